"""Training a surrogate: from labels to layers, in NumPy.

The flux modes come from the labels alone. The hidden layers start as bends spread over the domain; several starts are
fitted to some of the labels, and the best goes on with all of them. Last come the directions that the fit leaves open.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal, get_args

import numpy as np
from threadpoolctl import threadpool_limits

from mmopt.errors import SurrogateError
from mmopt.metabolism.atlas import Atlas
from mmopt.metabolism.cell import GROWTH
from mmopt.metabolism.sampling import Progress, sample
from mmopt.metabolism.table import FluxTable
from mmopt.surrogate.against_labels import balance_error, compare
from mmopt.surrogate.directions import Directions, directions
from mmopt.surrogate.fit import Fit, fit, least_squares
from mmopt.surrogate.modes import counted, flux_modes, homogeneous, rate_modes, shares
from mmopt.surrogate.surrogate import ACTIVATIONS, Layer, Surrogate
from mmopt.surrogate.ties import tie

Basis = Literal["kept", "linear", "rates"]
HIDDEN: Final = (24, 24)
LABELS: Final = 4096
ITERATIONS: Final = 200
STARTS: Final = 4

_THREADS: Final = 1
"""Threads of the linear algebra in a fit: its products are small, and two threads take 0.22 s for a step that one does in 0.12.
One thread also rounds the same way on any machine of a kind."""

_HELD_OUT: Final = 0.1
"""Part of the table that fitting never sees; the card's errors are measured on it."""

_START_LABELS, _START_STEPS = 1024, 40
"""Labels and steps with which the starts are told apart."""

_STEEP: Final = {"tanh": (3.0, 2.0), "sigmoid": (6.0, 4.0), "softplus": (4.0, 2.0)}
"""Slope of the first bends over half the domain, and of the later ones. Over starts 0 to 3, 1,000 labels of iJO1366 and 60
steps, tanh bends of slope 3 end at losses of 0.0005 to 0.0008, of 2 at 0.0009 to 0.0059; Glorot's start is ten times worse."""


def train(
    labels: FluxTable | Atlas,
    *,
    hidden: Sequence[int] = HIDDEN,
    activation: str = "tanh",
    basis: Basis = "kept",
    iterations: int = ITERATIONS,
    starts: int = STARTS,
    seed: int = 0,
    start: Surrogate | None = None,
    progress: Progress | None = None,
) -> Surrogate:
    """Fit a surrogate to labels.

    Parameters
    ----------
    labels
        A table, of which a tenth is held out and gives the errors on the card; or an atlas, of which 4,096 labels are
        sampled, and the corners of the critical regions known so far.
    hidden
        Widths of the hidden layers.
    activation
        ``tanh``, ``sigmoid`` or ``softplus``.
    basis
        ``kept``: no irreversible reaction runs backwards, whatever the input. ``linear``: combinations of modes alone,
        which balance, and may run reactions backwards by as much as they err. ``rates``: growth, maintenance and the
        exchanges one by one, as most dense surrogates do; nothing makes them balance, and no other flux can be read.
    iterations
        Most steps of the fit.
    starts
        How many starts are tried; the best goes on.
    seed
        Of the starting weights and of the held-out tenth. The same seed gives the same weights.
    start
        A surrogate with the same layers, whose fit is gone on with; no other start is tried then.
    progress
        Called with (done, total) after every step.

    Raises
    ------
    SurrogateError
        If there are too few solved labels, labels that are not finite, or an activation that is not smooth or not known.

    References
    ----------
    Golub and Pereyra (1973), SIAM J. Numer. Anal. 10:413-432 (variable projection).

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> surrogate = train(sample(atlas.network, atlas.domain, 200, answers=atlas), hidden=(6,), iterations=60)
    >>> surrogate.card["held_out"]["growth"]["r2"] > 0.99
    True
    """
    table = labels_of(labels, seed=seed) if isinstance(labels, Atlas) else labels
    table = table.answered()  # a label without an answer teaches nothing
    widths = _checked(table, hidden, activation, basis, starts)
    started = time.perf_counter()
    held_out = _held_out(len(table), seed)
    space = _space(table, ~held_out, basis)
    unit = (table.inputs[~held_out] - _middle(table)) / _half(table)
    with threadpool_limits(_THREADS):
        if start is None:
            found = _best(unit, space.counted, widths, activation, iterations, starts, seed, progress)
        else:
            found = fit(
                unit,
                space.counted,
                _gone_on(table, start, widths, activation),
                activation,
                steps=iterations,
                progress=progress,
            )
    layers = _layers(table, found, activation)
    surrogate = Surrogate(
        domain=table.domain,
        hidden=layers,
        weights=_weighing(layers, table.inputs[~held_out], space.wanted),
        modes=space.modes,
        offset=space.offset,
        reactions=table.network.reactions,
        biomass=table.network.biomass,
        maintenance=table.network.maintenance,
        maintenance_demand=table.network.maintenance_demand,
        card={},
        directions=space.kept,
    )
    how = {
        "hidden": list(widths),
        "activation": activation,
        "basis": basis,
        "balanced": basis != "rates",
        "tied": list(space.tied),
        "homogeneous": homogeneous(table.network, table.domain, table.fluxes),
        "training_seed": seed,
        "starts": starts if start is None else 0,
        "iterations": iterations,
        "loss": found.loss,
        "seconds": round(time.perf_counter() - started, 1),
    }
    return replace(surrogate, card=_card(table, surrogate, held_out, how))


def labels_of(atlas: Atlas, n: int = LABELS, seed: int = 0) -> FluxTable:
    """Labels from an atlas: ``n`` sampled ones, and those at the corners of the regions it knows."""
    table = sample(atlas.network, atlas.domain, n, seed, answers=atlas)
    points, answers = atlas.corners()
    return table.joined(points, answers) if len(points) else table


@dataclass(frozen=True, eq=False)
class _Space:
    """What a network is to give: weights of flux modes, and the few combinations of them whose errors count."""

    modes: np.ndarray
    offset: np.ndarray
    wanted: np.ndarray
    """Weights of the modes at the labels, shape (labels, modes)."""
    counted: np.ndarray
    """What the fit sees, shape (labels, counted): errors in it count alike."""
    kept: Directions | None
    tied: tuple[str, ...]


def _space(table: FluxTable, taught: np.ndarray, basis: Basis) -> _Space:
    network, fluxes = table.network, table.fluxes[taught]
    share, readings = shares(network, table.domain, fluxes)
    tied: tuple[str, ...] = ()
    kept = None
    if basis == "rates":
        modes, offset = rate_modes(network, fluxes), np.zeros(len(network.reactions))
    else:
        if basis == "kept":
            fluxes, tied = tie(network, fluxes, readings)
        modes, offset = flux_modes(network, fluxes)
        if basis == "kept":
            inputs = np.array([network.column(name) for name in table.domain.inputs])
            kept = directions(network, modes, offset, np.ptp(fluxes, axis=0), inputs, readings)
    wanted = (fluxes - offset) @ np.linalg.pinv(modes)
    return _Space(modes, offset, wanted, wanted @ counted(modes, wanted, share, kept, readings), kept, tied)


def _best(
    inputs: np.ndarray,
    wanted: np.ndarray,
    widths: Sequence[int],
    activation: str,
    iterations: int,
    starts: int,
    seed: int,
    progress: Progress | None,
) -> Fit:
    """The best of some starts on some of the labels, then fitted to all of them."""
    random = np.random.default_rng(seed)
    some = random.permutation(len(inputs))[:_START_LABELS]
    short = min(_START_STEPS, iterations)
    whole = starts * short + iterations
    tried = []
    for number in range(starts):
        start = _start(inputs.shape[1], widths, activation, random)
        tried.append(fit(inputs[some], wanted[some], start, activation, steps=short))
        if progress is not None:
            progress((number + 1) * short, whole)
    best = min(tried, key=lambda each: each.loss)

    def count(done: int, _: int) -> None:
        if progress is not None:
            progress(starts * short + done, whole)

    start = list(zip(best.weights[:-1], best.biases[:-1], strict=True))
    return fit(inputs, wanted, start, activation, steps=iterations, progress=count)


def _start(
    inputs: int, widths: Sequence[int], activation: str, random: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Bends of the first layer through random points of the box in random directions; then random sums of them."""
    first, later = _STEEP[activation]
    normals = random.normal(size=(inputs, widths[0]))
    normals *= first / np.linalg.norm(normals, axis=0)
    through = random.uniform(-1.0, 1.0, (inputs, widths[0]))
    layers = [(normals, -np.sum(normals * through, axis=0))]
    for before, width in pairwise(widths):
        weights = random.normal(size=(before, width)) * later / np.sqrt(before)
        layers.append((weights, random.uniform(-1.0, 1.0, width)))
    return layers


def _layers(table: FluxTable, found: Fit, activation: str) -> tuple[Layer, ...]:
    """Hidden layers of limits, the scaling of the inputs folded into the first."""
    first, *later = (
        Layer(weights, bias, activation) for weights, bias in zip(found.weights[:-1], found.biases[:-1], strict=True)
    )
    weights = first.weights / _half(table)[:, None]
    return (Layer(weights, first.bias - _middle(table) @ weights, activation), *later)


def _gone_on(
    table: FluxTable, start: Surrogate, widths: Sequence[int], activation: str
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Hidden layers of a surrogate as a start of the fit, in scaled inputs."""
    same = tuple(layer.weights.shape[1] for layer in start.hidden) == tuple(widths)
    if not same or start.inputs != table.domain.inputs or any(each.activation != activation for each in start.hidden):
        raise SurrogateError(
            f"the surrogate to start from has other layers or inputs than {list(widths)} {activation} of "
            f"{', '.join(table.domain.inputs)}; give hidden= and activation= as it was trained with, or no start"
        )
    first, *later = start.hidden
    scaled = (first.weights * _half(table)[:, None], first.bias + _middle(table) @ first.weights)
    return [scaled, *((layer.weights, layer.bias) for layer in later)]


def _weighing(hidden: Sequence[Layer], limits: np.ndarray, wanted: np.ndarray) -> Layer:
    """The linear layer that gives the weights of all modes best, those that hardly count included."""
    values = limits
    for layer in hidden:
        values = layer(values)
    values = np.column_stack([values, np.ones(len(values))])
    _, last = least_squares(values, wanted)
    return Layer(last[:-1], last[-1], "linear")


def _card(table: FluxTable, surrogate: Surrogate, held_out: np.ndarray, how: dict[str, Any]) -> dict[str, Any]:
    """Tell where a surrogate comes from, how it was trained, and how wrong it is on the labels held out."""
    origin = {name: _plain(value) for name, value in table.data.attrs.items() if name not in ("lower", "upper")}
    return {
        **origin,
        "labels": len(table),
        **how,
        "held_out": compare(surrogate, table.network, table.inputs[held_out], table.fluxes[held_out]),
        "balance": balance_error(surrogate, table.network, table.inputs),
    }


def _held_out(count: int, seed: int) -> np.ndarray:
    chosen = np.zeros(count, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(count)[: max(1, round(_HELD_OUT * count))]] = True
    return chosen


def _middle(table: FluxTable) -> np.ndarray:
    middle: np.ndarray = (table.domain.lower + table.domain.upper) / 2.0
    return middle


def _half(table: FluxTable) -> np.ndarray:
    half: np.ndarray = (table.domain.upper - table.domain.lower) / 2.0
    return half


def _plain(value: Any) -> Any:
    """What JSON can hold: netCDF gives NumPy scalars back."""
    return value.item() if isinstance(value, np.generic) else value


def _checked(table: FluxTable, hidden: Sequence[int], activation: str, basis: str, starts: int) -> tuple[int, ...]:
    if activation not in ACTIVATIONS or activation == "linear":
        smooth = ", ".join(name for name in ACTIVATIONS if name != "linear")
        raise SurrogateError(f"activation '{activation}' cannot be used; use one of {smooth}")
    widths = tuple(int(width) for width in hidden)
    if not widths or min(widths) < 1:
        raise SurrogateError(f"hidden layers {list(hidden)} cannot be made; give one width or more, each at least 1")
    if basis not in get_args(Basis):
        raise SurrogateError(f"basis '{basis}' is unknown; use one of {', '.join(get_args(Basis))}")
    if starts < 1:
        raise SurrogateError(f"{starts} starts cannot be tried; use at least 1")
    if table.network.maintenance in table.domain.inputs:
        raise SurrogateError(
            f"the maintenance demand '{table.network.maintenance}' needs no input of its own, since answers scale with it; "
            "train over uptake limits, then use Surrogate.with_maintenance(demand) or embed(..., maintenance=demand)"
        )
    if len(table) < 50:
        raise SurrogateError(f"{len(table)} labels are too few to train on; sample at least 50")
    if not np.all(np.isfinite(table.fluxes)) or not np.all(np.isfinite(table.inputs)):
        raise SurrogateError("the table holds numbers that are not finite; sample again")
    if np.ptp(table.data[GROWTH].values) == 0.0:
        raise SurrogateError("growth is the same at every label: there is nothing to learn; widen the domain")
    return widths

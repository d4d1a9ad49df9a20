"""Training a surrogate: from labels to layers, in NumPy.

What the last layer combines comes from the labels alone (`bases`). The hidden layers start as bends spread over the
domain; several starts are fitted to some of the labels, and the best goes on with all of them.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal, get_args

import numpy as np
from threadpoolctl import threadpool_limits

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import Progress, tabulate_fluxes
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.rates import GROWTH
from mmopt.surrogate.surrogate import ACTIVATIONS, Surrogate
from mmopt.training.comparison import balance_error, compare
from mmopt.training.modes import homogeneous
from mmopt.training.output_layers import Lesson, conic, linear, rates

Basis = Literal["conic", "linear", "rates"]
HIDDEN: Final = (24, 24)
LABELS: Final = 4096
ITERATIONS: Final = 150
STARTS: Final = 4

_THREADS: Final = 1
"""Threads of the linear algebra in a fit: its products are small, and two threads take 0.22 s for a step that one does in 0.12.
One thread also rounds the same way on any machine of a kind."""

_HELD_OUT: Final = 0.1
"""Part of the table that fitting never sees; the card's errors are measured on it."""

_BASES: Final = {"conic": conic, "linear": linear, "rates": rates}


def train(
    labels: FluxTable | Atlas,
    *,
    hidden: Sequence[int] = HIDDEN,
    activation: str = "tanh",
    basis: Basis = "conic",
    iterations: int = ITERATIONS,
    starts: int = STARTS,
    seed: int = 0,
    start: Surrogate | None = None,
    held_among: int | None = None,
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
        ``conic``: non-negative weights on extreme answers, so that fluxes balance and no irreversible reaction runs
        backwards, whatever the input; the weights are one more layer, of softplus. ``linear``: any weights on flux modes;
        fluxes balance, and may run reactions backwards by as much as they err. ``rates``: growth, maintenance and the
        exchanges one by one, as most dense surrogates do; nothing makes them balance, and no other flux can be read.
    iterations
        Most steps of the fit.
    starts
        How many starts are tried; the best goes on.
    seed
        Of the starting weights and of the held-out tenth. The same seed gives the same weights.
    start
        A surrogate with the same layers, whose fit is gone on with; no other start is tried then.
    held_among
        FluxBatch at the start of the table among which the tenth is held out, so that labels joined later change nothing
        about it and are all taught; by default all.
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
    table = training_table(labels, seed=seed) if isinstance(labels, Atlas) else labels
    table = table.answered()  # a label without an answer teaches nothing
    widths = _checked(table, hidden, activation, basis, starts)
    if start is not None and start.inputs != table.domain.inputs:
        raise SurrogateError(f"the surrogate to start from has the inputs {', '.join(start.inputs)}; give no start")
    started = time.perf_counter()
    held_out = _held_out(len(table), seed, held_among)
    lesson = Lesson(
        network=table.network,
        domain=table.domain,
        inputs=table.inputs[~held_out],
        fluxes=table.fluxes[~held_out],
        widths=widths,
        activation=activation,
        iterations=iterations,
        starts=starts,
        seed=seed,
        start=start,
        progress=progress,
    )
    with threadpool_limits(_THREADS):
        found = _BASES[basis](lesson)
    if progress is not None:
        progress(1, 1)
    surrogate = Surrogate(
        domain=table.domain,
        hidden=found.hidden,
        weights=found.weights,
        modes=found.modes,
        offset=found.offset,
        reactions=table.network.reactions,
        biomass=table.network.biomass,
        maintenance=table.network.maintenance,
        maintenance_demand=table.network.maintenance_demand,
        card={},
    )
    how = {
        "hidden": list(widths),
        "activation": activation,
        "basis": basis,
        "balanced": basis != "rates",
        "modes": len(found.modes),
        "tied": list(found.tied),
        "homogeneous": homogeneous(table.network, table.domain, table.fluxes),
        "training_seed": seed,
        "starts": starts if start is None else 0,
        "iterations": iterations,
        "loss": found.loss,
        "seconds": round(time.perf_counter() - started, 1),
    }
    return replace(surrogate, card=_card(table, surrogate, held_out, how))


def training_table(atlas: Atlas, n: int = LABELS, seed: int = 0) -> FluxTable:
    """FluxBatch from an atlas: ``n`` sampled ones, and those at the corners of the regions it knows."""
    table = tabulate_fluxes(atlas.network, atlas.domain, n, seed, source=atlas)
    points, source = atlas.corners()
    return table.joined(points, source) if len(points) else table


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


def _held_out(count: int, seed: int, among: int | None) -> np.ndarray:
    first = count if among is None else min(among, count)
    chosen = np.zeros(count, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(first)[: max(1, round(_HELD_OUT * first))]] = True
    return chosen


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

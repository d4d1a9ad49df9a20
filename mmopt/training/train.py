"""Training a surrogate: from tabulated fluxes to layers, by one of two trainers.

What the output layer combines follows from the fluxes alone (`output_layers`). The layers before it are fitted in NumPy
by the Levenberg-Marquardt method, or in Keras by Adam; the same points are held out, and the card has the same keys.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from mmopt.checking import shown, whole
from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import Progress
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.rates import GROWTH
from mmopt.fitting.variable_projection import Fit
from mmopt.sensitivity.cliffs import Cliff, growth_cliffs
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training import joint_fit, keras_trainer
from mmopt.training.added_points import training_table
from mmopt.training.comparison import balance_error, compare
from mmopt.training.modes import homogeneous
from mmopt.training.output_layers import BASES, OutputLayer, TrainingSet, trained_layers
from mmopt.training.output_layers import Basis as Basis

HIDDEN: Final = (24, 24)
STARTS: Final = 4


class Trainer(NamedTuple):
    """A way to fit the layers of a surrogate.

    Attributes
    ----------
    fit
        Fits the layers before an output layer.
    iterations
        Steps or epochs by default.
    """

    fit: Callable[[TrainingSet, OutputLayer], Fit]
    iterations: int


TRAINERS: Final[Mapping[str, Trainer]] = MappingProxyType(
    {
        "levenberg_marquardt": Trainer(joint_fit.train_layers, 150),
        "keras": Trainer(keras_trainer.train_layers, keras_trainer.EPOCHS),
    }
)
"""Trainers by name; the first is the default."""

TRAINER: Final = "levenberg_marquardt"
ITERATIONS: Final = TRAINERS[TRAINER].iterations

_THREADS: Final = 1
"""Threads of the linear algebra in a fit: its products are small, and two threads take 0.22 s for a step that one does in 0.12.
One thread also rounds the same way on any machine of a kind."""

_HELD_OUT: Final = 0.1
"""Fraction of the table that the fit does not use; the card's errors are measured on it."""


_LEAST_POINTS: Final = 50
_HISTORY: Final = 50
"""Most losses on the card."""


def train(
    table: FluxTable | Atlas,
    *,
    hidden: Sequence[int] = HIDDEN,
    activation: str = "tanh",
    basis: Basis = "conic",
    trainer: str = TRAINER,
    iterations: int | None = None,
    starts: int = STARTS,
    seed: int = 0,
    start: Surrogate | None = None,
    held_among: int | None = None,
    cliffs: Sequence[Cliff] = (),
    switches: bool = False,
    progress: Progress | None = None,
    callbacks: Sequence[Any] = (),
) -> Surrogate:
    """Fit a surrogate to tabulated fluxes.

    Parameters
    ----------
    table
        A table, of which a tenth is held out and gives the errors on the card; or an atlas, of which fluxes are tabulated
        at 4,096 points and at the corners of the critical regions known so far.
    hidden
        Widths of the hidden layers.
    activation
        ``tanh``, ``sigmoid`` or ``softplus``.
    basis
        ``conic``: non-negative weights on conic generators, so that fluxes balance and no irreversible reaction runs
        backwards, whatever the input; the weights are one more layer, of softplus. ``linear``: any weights on flux modes;
        fluxes balance, and may run reactions backwards by as much as they err. ``rates``: growth, maintenance and the
        exchanges one by one, as most dense surrogates do; they do not balance, and no other flux can be read.
    trainer
        ``levenberg_marquardt``: variable projection, then all layers jointly, in NumPy. ``keras``: Adam with a decaying
        step length in Keras and TensorFlow, of which the best weights are kept.
    iterations
        Most steps of the fit; with Keras, epochs. By default 150 steps, or 100 epochs of up to
        thirty passes over the points.
    starts
        Number of starts that are tried; the best continues.
    seed
        Seed of the starts and of the held-out tenth. The same seed gives the same weights.
    start
        A surrogate with the same layers, from which the fit continues; no other start is tried then.
    held_among
        Number of points at the start of the table among which the tenth is held out, so that points joined later change
        nothing about it and are all used; by default all.
    cliffs
        Cliffs of growth, as `growth_cliffs` returns them: the fit leaves their points out, and modes are switched on within
        their thickness; those of an atlas are known.
    switches
        Add fixed units that turn off the uptake of what is not there (basis ``conic``), so that no species falls below zero
        in a simulation. An optimisation with such a surrogate took 4 to 16 times the iterations; without them a spent
        species falls by the error of its uptake, acetate of the case study to -0.05 g/L. Cliffs always have them.
    progress
        Called with (done, total) after every step or epoch.
    callbacks
        Keras callbacks, such as ``keras.callbacks.CSVLogger``; for the trainer ``keras`` alone.

    Returns
    -------
    Surrogate
        Its card holds the settings, the errors on the held-out points and the losses.

    Raises
    ------
    SurrogateError
        If an argument is out of its range, there are too few solved points, numbers are not finite, or TensorFlow is
        needed and missing.

    References
    ----------
    Golub and Pereyra (1973), SIAM J. Numer. Anal. 10:413-432 (variable projection).

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> table = tabulate_fluxes(atlas.network, atlas.domain, 200, source=atlas)
    >>> surrogate = train(table, hidden=(6,), iterations=60)
    >>> surrogate.card["held_out"]["growth"]["r2"] > 0.99
    True
    """
    steps = _check_settings(hidden, activation, basis, trainer, iterations, starts, seed, callbacks)
    cliffs = growth_cliffs(table) if isinstance(table, Atlas) and not cliffs else tuple(cliffs)
    table = _checked_table(table, seed, start)
    begin, (used, held_out) = time.perf_counter(), _rows(table, seed, held_among, cliffs)
    training_set = TrainingSet(
        network=table.network,
        domain=table.domain,
        inputs=table.inputs[used],
        fluxes=table.fluxes[used],
        widths=tuple(int(width) for width in hidden),
        activation=activation,
        iterations=steps,
        starts=starts,
        seed=seed,
        start=start,
        progress=progress,
        cliffs=cliffs,
        switches=switches or _has_switches(start, hidden),
        callbacks=callbacks,
    )
    surrogate, record = _fitted(training_set, basis, trainer)
    record["seconds"] = round(time.perf_counter() - begin, 1)
    return replace(surrogate, card=_card(table, surrogate, held_out, record))


def _rows(table: FluxTable, seed: int, among: int | None, cliffs: Sequence[Cliff]) -> tuple[np.ndarray, np.ndarray]:
    """Which points are fitted, and which are held out; none on cliffs but where the input is zero, and a switch is off."""
    off, inputs = np.ones(len(table), dtype=bool), table.domain.inputs
    for cliff in cliffs:
        values = table.inputs[:, inputs.index(cliff.name)]
        off &= ~cliff.holds(values) | (values == 0.0)
    held_out = _held_out(len(table), seed, among)
    return ~held_out & off, held_out & off


def _checked_table(table: Any, seed: int, start: Surrogate | None) -> FluxTable:
    """The points of a table, or of the training table of an atlas, that have a solution."""
    table = training_table(table, seed=seed) if isinstance(table, Atlas) else table
    if not isinstance(table, FluxTable):
        raise SurrogateError(f"table is {shown(table)}; give a FluxTable or an Atlas")
    solved: FluxTable = table.only_solved()  # a point without a solution trains nothing
    _check_table(solved, start)
    return solved


def _fitted(training_set: TrainingSet, basis: str, trainer: str) -> tuple[Surrogate, dict[str, Any]]:
    """A surrogate without a card, and the record of its fit."""
    network = training_set.network
    with threadpool_limits(_THREADS):
        output = BASES[basis](training_set)
        fit = TRAINERS[trainer].fit(training_set, output)
        layers = trained_layers(training_set, output, fit)
    if training_set.progress is not None:
        training_set.progress(1, 1)
    surrogate = Surrogate(
        domain=training_set.domain,
        hidden=layers.hidden,
        weights=layers.weights,
        modes=output.modes,
        offset=output.offset,
        reactions=network.reactions,
        biomass=network.biomass,
        maintenance=network.maintenance,
        maintenance_demand=network.maintenance_demand,
        card={},
    )
    cliffs = training_set.cliffs
    record = {
        "cliffs": [cliff.as_dict() for cliff in cliffs],
        "cliff_notes": [str(cliff) for cliff in cliffs],
        "hidden": list(training_set.widths),
        "activation": training_set.activation,
        "basis": basis,
        "balanced": basis != "rates",
        "modes": len(output.modes),
        "alternate_optima": list(output.fixed),
        "unbalanced_candidates": output.dropped,
        "trainer": trainer,
        "training_seed": training_set.seed,
        "starts": training_set.starts if training_set.start is None else 0,
        "iterations": training_set.iterations,
        "loss": fit.loss,
        "loss_history": _thinned(fit.history),
    }
    return surrogate, record


def _card(table: FluxTable, surrogate: Surrogate, held_out: np.ndarray, record: dict[str, Any]) -> dict[str, Any]:
    """Origin of a surrogate, its training, and its errors on the points held out."""
    origin = {name: _plain(value) for name, value in table.data.attrs.items() if name not in ("lower", "upper")}
    return {
        **origin,
        "points": len(table),
        "homogeneous": homogeneous(table.network, table.domain, table.fluxes),
        **record,
        "held_out": compare(surrogate, table.network, table.inputs[held_out], table.fluxes[held_out]),
        "balance": balance_error(surrogate, table.network, table.inputs),
    }


def _held_out(count: int, seed: int, among: int | None) -> np.ndarray:
    first = count if among is None else min(among, count)
    chosen = np.zeros(count, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(first)[: max(1, round(_HELD_OUT * first))]] = True
    return chosen


def _thinned(history: Sequence[float]) -> list[list[float]]:
    """Pairs of step and loss, the first and the last among them."""
    steps = np.unique(np.linspace(0, len(history) - 1, min(len(history), _HISTORY)).round().astype(int))
    return [[int(step), float(history[step])] for step in steps]


def _plain(value: Any) -> Any:
    """A value that JSON can hold: netCDF returns NumPy scalars."""
    return value.item() if isinstance(value, np.generic) else value


def _has_switches(start: Surrogate | None, hidden: Sequence[int]) -> bool:
    """Whether a surrogate to continue from has more units than the hidden layers that are wanted."""
    return (
        start is not None and start.conic and bool(start.hidden) and start.hidden[0].weights.shape[1] > int(hidden[0])
    )


def _check_settings(
    hidden: Sequence[int],
    activation: str,
    basis: str,
    trainer: str,
    iterations: int | None,
    starts: int,
    seed: int,
    callbacks: Sequence[Any],
) -> int:
    """Refuse settings out of their range; return the number of steps."""
    smooth = [name for name in ACTIVATIONS if name != "linear"]
    for name, value, known in (
        ("activation", activation, smooth),
        ("basis", basis, list(BASES)),
        ("trainer", trainer, list(TRAINERS)),
    ):
        if value not in known:
            raise SurrogateError(f"{name} is {shown(value)}; give one of {', '.join(known)}")
    widths: Any = hidden
    if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray) or not len(widths):
        raise SurrogateError(f"hidden is {shown(hidden)}; give one width or more, such as (16, 16)")
    for width in widths:
        whole("hidden", width, least=1, error=SurrogateError)
    whole("starts", starts, least=1, error=SurrogateError)
    whole("seed", seed, error=SurrogateError)
    if callbacks and trainer != "keras":
        raise SurrogateError(f"callbacks are for the trainer 'keras', not for '{trainer}'; choose it, or give none")
    if iterations is None:
        return TRAINERS[trainer].iterations
    return whole("iterations", iterations, least=1, error=SurrogateError)


def _check_table(table: FluxTable, start: Surrogate | None) -> None:
    if start is not None and start.inputs != table.domain.inputs:
        raise SurrogateError(f"the surrogate to start from has the inputs {', '.join(start.inputs)}; give no start")
    if table.network.maintenance in table.domain.inputs:
        raise SurrogateError(
            f"the maintenance demand '{table.network.maintenance}' needs no input of its own, since fluxes scale with it; "
            "train over uptake limits, then use Surrogate.with_maintenance(demand) or embed(..., maintenance=demand)"
        )
    if len(table) < _LEAST_POINTS:
        raise SurrogateError(f"{len(table)} points are too few to train on; tabulate at least {_LEAST_POINTS}")
    if not np.all(np.isfinite(table.fluxes)) or not np.all(np.isfinite(table.inputs)):
        raise SurrogateError("the table holds numbers that are not finite; tabulate the fluxes again")
    if np.ptp(table.data[GROWTH].values) == 0.0:
        raise SurrogateError("growth is the same at every point: there is nothing to fit; widen the domain")

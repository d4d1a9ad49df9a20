"""A search over sizes and activations: how accurate a surrogate can be, and how small.

Accuracy is the worst-case error over the domain, and not the error at held-out points. A larger surrogate errs less and
costs an optimiser more at every collocation point, so there is no best one, only a Pareto front. The reactor decides which
of its trials to use.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final

from mmopt.checking import shown, whole
from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import Progress
from mmopt.errors import InfeasibleError, SolverError, SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.sensitivity.coverage import check_explored
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.error_report import ErrorReport
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.architecture_trials import ArchitectureSearch, Trial
from mmopt.training.train import train
from mmopt.training.worst_case_errors import worst_case_errors

TRIALS: Final = 20
ITERATIONS: Final = 60

Cost = Callable[[Surrogate], float]
"""Cost of using a surrogate, such as the seconds of an optimisation with it; less is better."""

_MAIN: Final = 0.5
"""Exchanges with a smaller range do not count [mmol/gDW/h]: half the range of a trace is less than the error of oxygen of a
good surrogate of iJO1366."""

_LEAST_ERROR: Final = 1.0e-12
"""Least error for the proposals: zero has no logarithm."""

_PROPOSALS: Final = 10
"""Proposals for a trial; in a small space most of them are repeats, whose results are known."""

_RANDOM: Final = 7
"""First proposals, which are random. For the textbook network, 20 trials and 19 seeds, the Pareto front then holds an area of
1.94 square decades of error and size, with 4 of them 1.91, with 10 1.90, with random ones alone 1.88, all within 0.02."""


@dataclass(frozen=True)
class _Space:
    """The architectures of a search."""

    widths: tuple[int, int]
    layers: tuple[int, int]
    activations: Sequence[str]

    @property
    def size(self) -> int:
        """Number of different architectures."""
        widths = self.widths[1] - self.widths[0] + 1
        counts = range(self.layers[0], self.layers[1] + 1)
        return len(set(self.activations)) * sum(int(widths**count) for count in counts)

    def proposed(self, proposal: Any) -> tuple[tuple[int, ...], str]:
        """Widths and activation of a proposal; one layer and two are searched apart, on a log scale."""
        count = proposal.suggest_int("layers", *self.layers)
        hidden = tuple(
            proposal.suggest_int(f"width {index} of {count}", *self.widths, log=True) for index in range(1, count + 1)
        )
        return hidden, proposal.suggest_categorical("activation", list(dict.fromkeys(self.activations)))


@dataclass(frozen=True, eq=False)
class _Settings:
    """What all trials of a search share."""

    table: FluxTable
    atlas: Atlas
    iterations: int
    seed: int
    cost: Cost | None


def search_architectures(
    table: FluxTable,
    atlas: Atlas,
    *,
    trials: int = TRIALS,
    widths: tuple[int, int] = (4, 32),
    layers: tuple[int, int] = (1, 2),
    activations: Sequence[str] = ("tanh", "sigmoid", "softplus"),
    iterations: int = ITERATIONS,
    seed: int = 0,
    cost: Cost | None = None,
    progress: Progress | None = None,
) -> ArchitectureSearch:
    """Train surrogates of many sizes, compute their worst-case errors, and return which are worth having.

    Parameters
    ----------
    table
        Tabulated fluxes.
    atlas
        The exact fluxes over the same domain, explored.
    trials
        Different surrogates to try; fewer if there are not so many. Optuna's tree-structured Parzen estimator proposes
        them; for a repeated proposal the known result is used.
    widths
        Narrowest and widest hidden layer.
    layers
        Fewest and most hidden layers.
    activations
        ``tanh``, ``sigmoid``, ``softplus``, or some of them.
    iterations
        Most steps of a fit. With far fewer than a final training has, sizes can still be compared.
    seed
        Seed of the proposals, the trainings and the error reports: the same seed gives the same trials, unless the cost
        is a time.
    cost
        Cost of using a surrogate; if given, it counts beside worst-case error and size.
    progress
        Called with (done, total) after every trial.

    Returns
    -------
    ArchitectureSearch
        All trials. One that fails, in training or in ``cost``, is among them with its reason.

    Raises
    ------
    SurrogateError
        If Optuna is missing, a range is empty, the atlas is of another network or domain or not explored, or all trials
        fail.

    References
    ----------
    Ozaki et al. (2022), J. Artif. Intell. Res. 73:1209-1250 (the proposals, with several objectives).

    Examples
    --------
    >>> core = read_network("textbook")
    >>> atlas = Atlas(core, Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)}))
    >>> _ = atlas.explore()
    >>> table = tabulate_fluxes(core, atlas.domain, 100, source=atlas)
    >>> result = search_architectures(table, atlas, trials=3, widths=(2, 6), layers=(1, 1), iterations=20)
    >>> len(result.trials), result.best() in result.pareto_front()
    (3, True)
    """
    optuna = _optuna()
    space = _space(widths, layers, activations)
    wanted = min(whole("trials", trials, least=1, error=SurrogateError), space.size)
    whole("iterations", iterations, least=1, error=SurrogateError)
    whole("seed", seed, error=SurrogateError)
    _check_source(table, atlas)
    settings = _Settings(table, atlas, iterations, seed, cost)
    study = _study(optuna, seed, 2 if cost is None else 3)
    known: dict[tuple[tuple[int, ...], str], Trial] = {}
    for _ in range(_PROPOSALS * trials):
        proposal = study.ask()
        proposed = space.proposed(proposal)
        if proposed not in known:
            known[proposed] = _tried(settings, *proposed)
            if progress is not None:
                progress(len(known), wanted)
        _record(optuna, study, proposal, known[proposed])
        if len(known) == wanted:
            break
    return _with_success(ArchitectureSearch(tuple(known.values())))


def _optuna() -> Any:
    """Import the package optuna, for this module alone."""
    try:
        return import_module("optuna")
    except ImportError as error:
        raise SurrogateError(
            'an architecture search needs the package optuna, which is missing: pip install "mmopt[search]"'
        ) from error


def _study(optuna: Any, seed: int, objectives: int) -> Any:
    """A study in memory; Optuna reports its creation, and is silent for that long alone."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(
            directions=["minimize"] * objectives,
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM),
        )
    finally:
        optuna.logging.set_verbosity(verbosity)


def _record(optuna: Any, study: Any, proposal: Any, trial: Trial) -> None:
    """Report a trial to Optuna; errors and sizes as logarithms, since a factor of two counts the same everywhere."""
    if trial.reason is None:
        worst, size, *cost = trial.objectives
        study.tell(proposal, [math.log(max(worst, _LEAST_ERROR)), math.log(size), *cost])
    else:
        study.tell(proposal, state=optuna.trial.TrialState.FAIL)


def _tried(settings: _Settings, hidden: tuple[int, ...], activation: str) -> Trial:
    """One trial: training, worst-case errors and cost."""
    table, seed, cost = settings.table, settings.seed, settings.cost
    trial, begin = Trial(len(table.domain.inputs), hidden, activation), time.perf_counter()
    try:
        surrogate = train(table, hidden=hidden, activation=activation, iterations=settings.iterations, seed=seed)
        trial = replace(trial, seconds=time.perf_counter() - begin)
        worst = _worst(worst_case_errors(surrogate, settings.atlas, seed=seed))
        amount = None if cost is None else _finite_cost(cost, surrogate)
    except (
        SurrogateError,
        InfeasibleError,
        SolverError,
    ) as error:  # an optimisation with a poor surrogate may fail too
        return replace(trial, reason=str(error))
    return replace(trial, worst=worst, size=_size(surrogate), cost=amount, surrogate=surrogate)


def _worst(report: ErrorReport) -> float:
    """Largest error of growth and the main exchanges, as a fraction of their range."""
    names = [
        name
        for name, entry in report.readings.items()
        if name == GROWTH or (name != SHORTFALL and float(entry["range"]) > _MAIN)
    ]
    return max(report.relative(name) for name in names)


def _size(surrogate: Surrogate) -> int:
    """Weights and biases of all layers that are embedded for growth and the rates of the inputs."""
    return sum(layer.weights.size + layer.bias.size for layer in surrogate.layers([GROWTH, *surrogate.inputs]))


def _finite_cost(cost: Cost, surrogate: Surrogate) -> float:
    amount = float(cost(surrogate))
    if not math.isfinite(amount):
        raise SurrogateError(f"its cost is {amount}; let cost return a finite number, or raise SurrogateError")
    return amount


def _space(widths: tuple[int, int], layers: tuple[int, int], activations: Sequence[str]) -> _Space:
    """Check the ranges of a search."""
    for name, pair in (("widths", widths), ("layers", layers)):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise SurrogateError(f"{name} is {shown(pair)}; give two numbers, 1 <= first <= last")
        low, high = (whole(name, bound, error=SurrogateError) for bound in pair)
        if not 1 <= low <= high:
            raise SurrogateError(f"{name} is {shown(pair)}; give two numbers, 1 <= first <= last")
    smooth = [name for name in ACTIVATIONS if name != "linear"]
    unknown = [name for name in activations if name not in smooth]
    if unknown or not activations:
        raise SurrogateError(f"activations is {shown(activations)}; give some of {', '.join(smooth)}")
    return _Space((int(widths[0]), int(widths[1])), (int(layers[0]), int(layers[1])), tuple(activations))


def _check_source(table: FluxTable, atlas: Atlas) -> None:
    """Refuse an atlas of which no error report can follow, before any training."""
    if table.network.hash != atlas.network.hash or table.domain != atlas.domain:
        raise SurrogateError(
            "the atlas has another network or domain than the table; build it with Atlas(table.network, table.domain)"
        )
    check_explored(atlas)


def _with_success(result: ArchitectureSearch) -> ArchitectureSearch:
    if not result.successes:
        reasons = dict.fromkeys(str(trial.reason) for trial in result.trials)
        raise SurrogateError(f"all {len(result.trials)} trials failed: {'; '.join(reasons)}")
    return result

"""A walk over sizes and activations: how accurate a surrogate can be, and how small.

Accuracy is what the certificate says, the worst error sought everywhere in the domain, and not what labels held out say.
A larger surrogate errs less and costs an optimiser more at every collocation point, so there is no best one, only a
front: trials that no other trial beats at once in all that counts. Which of them to take is for the reactor to say.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Final

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import Progress
from mmopt.errors import InfeasibleError, SolverError, SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.surrogate.error_report import ErrorReport
from mmopt.surrogate.surrogate import ACTIVATIONS, Surrogate
from mmopt.training.train import train
from mmopt.training.worst_case_errors import EXPLORED, worst_case_errors

TRIALS: Final = 20
ITERATIONS: Final = 60

Cost = Callable[[Surrogate], float]
"""What a surrogate costs whoever uses it, such as the seconds of an optimisation with it; less is better."""

_COUNTS: Final = 0.5
"""Exchanges that move less than this are not asked how wrong they are [mmol/gDW/h]: of a trace, half its range is still no
more than what the oxygen of a good surrogate of iJO1366 is wrong by."""

_EXACT: Final = 1.0e-12
"""No surrogate is told to be more accurate than this: zero has no logarithm."""

_PROPOSALS: Final = 10
"""Proposals for each trial wanted; in a small space most of them are repeats, and answered from memory."""

_RANDOM: Final = 7
"""First proposals, which are random. For the textbook network, 20 trials and 19 seeds, the front then holds an area of 1.94
square decades of error and size, with 4 of them 1.91, with 10 1.90, with random ones alone 1.88, each give or take 0.02."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One surrogate that was tried.

    Attributes
    ----------
    inputs
        How many uptake limits go in.
    hidden, activation
        What was trained.
    worst
        Largest error found of growth and of the main exchanges, in parts of the range of each; infinite if it failed.
    size
        Weights and biases of what an optimisation of growth and the inputs' rates embeds; 0 if it failed.
    seconds
        Time of training [s].
    cost
        What the caller's cost said, if it was asked.
    surrogate
        What came out; None if it failed.
    reason
        Why it failed; None if it did not.
    """

    inputs: int
    hidden: tuple[int, ...]
    activation: str
    worst: float = math.inf
    size: int = 0
    seconds: float = 0.0
    cost: float | None = None
    surrogate: Surrogate | None = field(default=None, repr=False)
    reason: str | None = None

    @property
    def layers(self) -> str:
        """Widths from the inputs on, such as ``2-16-16``."""
        return "-".join(str(width) for width in (self.inputs, *self.hidden))

    @property
    def figures(self) -> tuple[float, ...]:
        """What is to be small: ``worst``, ``size``, and ``cost`` if there is one."""
        return (self.worst, self.size) if self.cost is None else (self.worst, self.size, self.cost)

    def beats(self, other: "Trial") -> bool:
        """Whether this one is nowhere worse than another, and somewhere better."""
        pairs = list(zip(self.figures, other.figures, strict=True))
        return all(own <= its for own, its in pairs) and any(own < its for own, its in pairs)

    def __str__(self) -> str:
        """Say what it is and how good."""
        return f"{self.layers} {self.activation} ({self.worst:.2%} at size {self.size})"


@dataclass(frozen=True, eq=False)
class ArchitectureSearch:
    """What a search found.

    Attributes
    ----------
    trials
        Every different surrogate that was tried, in order; failures too.
    """

    trials: tuple[Trial, ...]

    @property
    def made(self) -> tuple[Trial, ...]:
        """The trials that did not fail."""
        return tuple(trial for trial in self.trials if trial.reason is None)

    def front(self) -> tuple[Trial, ...]:
        """Trials that no other beats by worst error, size and cost, from the smallest on."""
        made = self.made
        best = [trial for trial in made if not any(other.beats(trial) for other in made)]
        return tuple(sorted(best, key=lambda trial: (trial.size, trial.worst)))

    def best(self, worst: float | None = None, size: int | None = None) -> Trial:
        """The smallest trial that is accurate enough, or the most accurate that is small enough.

        Parameters
        ----------
        worst
            Largest worst error allowed, in parts of the range. If it is given, the smallest trial within it is wanted.
        size
            Most weights and biases allowed. If it alone is given, the most accurate trial within it is wanted; if
            neither is, the most accurate of all.

        Raises
        ------
        SurrogateError
            If no trial keeps the bounds; the nearest is named.

        Examples
        --------
        >>> tried = [Trial(2, (4,), "tanh", worst=0.2, size=90), Trial(2, (9,), "tanh", worst=0.05, size=150)]
        >>> Search(tuple(tried)).best(worst=0.25).layers, Search(tuple(tried)).best(size=200).layers
        ('2-4', '2-9')
        """
        if not self.made:
            raise SurrogateError("no trial came to an end, so none is the best; see the reasons in table()")
        small = [trial for trial in self.made if size is None or trial.size <= size]
        if not small:
            least = min(self.made, key=lambda trial: trial.size)
            raise SurrogateError(f"no trial keeps within size {size}; nearest: {least}; search from smaller widths on")
        if worst is None:
            return min(small, key=lambda trial: (trial.worst, trial.size))
        within = [trial for trial in small if trial.worst <= worst]
        if not within:
            asked = f"{worst:.2%}" + ("" if size is None else f" and size {size}")
            closest = min(small, key=lambda trial: trial.worst)
            raise SurrogateError(
                f"no trial keeps within {asked}; nearest: {closest}; search more trials or larger widths"
            )
        return min(within, key=lambda trial: (trial.size, trial.worst))

    def table(self) -> str:
        """One line a trial, from the smallest on; the front is marked, and failures come last with their reason."""
        priced = any(trial.cost is not None for trial in self.trials)
        head = f"{'layers':14}{'activation':12}{'worst':>9}{'size':>8}{'seconds':>9}" + f"{'cost':>11}" * priced
        front = self.front()
        rows = [
            f"{trial.layers:14}{trial.activation:12}{trial.worst:9.2%}{trial.size:8d}{trial.seconds:9.1f}"
            + ("" if trial.cost is None else f"{trial.cost:11.4g}")
            + ("  front" if trial in front else "")
            for trial in sorted(self.made, key=lambda trial: (trial.size, trial.worst))
        ]
        failed = [
            f"{trial.layers:14}{trial.activation:12}  failed: {trial.reason}"
            for trial in self.trials
            if trial.reason is not None
        ]
        return "\n".join([head, *rows, *failed])


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
    """Train and certify surrogates of many sizes, and tell which are worth having.

    Parameters
    ----------
    table
        The labels.
    atlas
        The exact answer over the same domain, explored.
    trials
        Different surrogates to try; fewer if there are not so many. Optuna's tree-structured Parzen estimator proposes
        them; what it proposes again is answered from memory.
    widths
        Narrowest and widest hidden layer.
    layers
        Fewest and most hidden layers.
    activations
        ``tanh``, ``sigmoid``, ``softplus``, or some of them.
    iterations
        Most steps of each fit. With far fewer than a final training has, sizes are still told apart.
    seed
        Of the proposals, of each training and of each certificate: the same seed gives the same trials, unless the cost
        is a time.
    cost
        What a surrogate costs whoever uses it; if given, it counts beside worst error and size.
    progress
        Called with (done, total) after every trial.

    Returns
    -------
    Search
        All trials. One that fails is among them with its reason, be it in training or in ``cost``.

    Raises
    ------
    SurrogateError
        If Optuna is missing, nothing can be searched in the ranges, the atlas is of another network or domain or not
        explored, or all trials fail.

    References
    ----------
    Ozaki et al. (2022), J. Artif. Intell. Res. 73:1209-1250 (the proposals, with several objectives).

    Examples
    --------
    >>> core = read_network("textbook")
    >>> atlas = Atlas(core, Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)}))
    >>> _ = atlas.explore()
    >>> labels = sample(core, atlas.domain, 100, answers=atlas)
    >>> found = search(labels, atlas, trials=3, widths=(2, 6), layers=(1, 1), iterations=20)
    >>> len(found.trials), found.best() in found.front()
    (3, True)
    """
    optuna = _optuna()
    wanted = min(_checked(trials, widths, layers, activations), trials)
    _check_exact(table, atlas)
    study = _study(optuna, seed, 2 if cost is None else 3)
    known: dict[tuple[tuple[int, ...], str], Trial] = {}
    for _ in range(_PROPOSALS * trials):
        asked = study.ask()
        proposed = _proposed(asked, widths, layers, activations)
        if proposed not in known:
            known[proposed] = _tried(table, atlas, *proposed, iterations, seed, cost)
            if progress is not None:
                progress(len(known), wanted)
        _tell(optuna, study, asked, known[proposed])
        if len(known) == wanted:
            break
    return _some_made(ArchitectureSearch(tuple(known.values())))


def _optuna() -> Any:
    """Import the package optuna, which is met here alone."""
    try:
        return import_module("optuna")
    except ImportError as error:
        raise SurrogateError(
            'a search needs the package optuna, which is missing: pip install "mmopt[search]"'
        ) from error


def _study(optuna: Any, seed: int, objectives: int) -> Any:
    """A study in memory; making one is all that Optuna would report here, so it is quiet for that long alone."""
    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(
            directions=["minimize"] * objectives,
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM),
        )
    finally:
        optuna.logging.set_verbosity(loud)


def _proposed(
    asked: Any, widths: tuple[int, int], layers: tuple[int, int], activations: Sequence[str]
) -> tuple[tuple[int, ...], str]:
    """Widths and activation of a proposal; those of one layer and those of two are searched apart, on a log scale."""
    count = asked.suggest_int("layers", *layers)
    hidden = tuple(asked.suggest_int(f"width {place} of {count}", *widths, log=True) for place in range(1, count + 1))
    return hidden, asked.suggest_categorical("activation", list(dict.fromkeys(activations)))


def _tell(optuna: Any, study: Any, asked: Any, trial: Trial) -> None:
    """Tell what came of a proposal; errors and sizes by their logarithms, since half as much counts the same everywhere."""
    if trial.reason is None:
        worst, size, *cost = trial.figures
        study.tell(asked, [math.log(max(worst, _EXACT)), math.log(size), *cost])
    else:
        study.tell(asked, state=optuna.trial.TrialState.FAIL)


def _tried(
    table: FluxTable,
    atlas: Atlas,
    hidden: tuple[int, ...],
    activation: str,
    iterations: int,
    seed: int,
    cost: Cost | None,
) -> Trial:
    """One trial: trained, certified and, if wanted, used."""
    trial, started = Trial(len(table.domain.inputs), hidden, activation), time.perf_counter()
    try:
        surrogate = train(table, hidden=hidden, activation=activation, iterations=iterations, seed=seed)
        trial = replace(trial, seconds=time.perf_counter() - started)
        worst = _worst(worst_case_errors(surrogate, atlas, seed=seed))
        paid = None if cost is None else _paid(cost, surrogate)
    except (
        SurrogateError,
        InfeasibleError,
        SolverError,
    ) as error:  # an optimisation with a poor surrogate may fail too
        return replace(trial, reason=str(error))
    return replace(trial, worst=worst, size=_size(surrogate), cost=paid, surrogate=surrogate)


def _worst(error_report: ErrorReport) -> float:
    """Largest worst error of growth and the main exchanges, in parts of the range of each."""
    counted = [
        name
        for name, told in error_report.readings.items()
        if name == GROWTH or (name != SHORTFALL and float(told["range"]) > _COUNTS)
    ]
    return max(error_report.relative(name) for name in counted)


def _size(surrogate: Surrogate) -> int:
    """Weights and biases of all layers that are embedded for growth and the rates of the inputs."""
    return sum(layer.weights.size + layer.bias.size for layer in surrogate.layers([GROWTH, *surrogate.inputs]))


def _paid(cost: Cost, surrogate: Surrogate) -> float:
    paid = float(cost(surrogate))
    if not math.isfinite(paid):
        raise SurrogateError(f"its cost is {paid}; let cost give a finite number, or raise SurrogateError")
    return paid


def _checked(trials: int, widths: tuple[int, int], layers: tuple[int, int], activations: Sequence[str]) -> int:
    """How many different surrogates the ranges hold."""
    if trials < 1:
        raise SurrogateError(f"{trials} trials were asked for; use at least 1")
    for name, (low, high) in (("widths", widths), ("layers", layers)):
        if not 1 <= low <= high:
            raise SurrogateError(
                f"{name} from {low} to {high} cannot be searched; give two numbers, 1 <= first <= last"
            )
    smooth = [name for name in ACTIVATIONS if name != "linear"]
    unknown = [name for name in activations if name not in smooth]
    if unknown or not activations:
        raise SurrogateError(f"activations {list(activations)} cannot be searched; give some of {', '.join(smooth)}")
    each = widths[1] - widths[0] + 1
    return len(set(activations)) * sum(int(each**count) for count in range(layers[0], layers[1] + 1))


def _check_exact(table: FluxTable, atlas: Atlas) -> None:
    """Refuse an atlas that could certify no trial before any is trained."""
    if table.network.hash != atlas.network.hash or table.domain != atlas.domain:
        raise SurrogateError(
            "the atlas has another network or domain than the labels; make it with Atlas(table.network, table.domain)"
        )
    if atlas.coverage < EXPLORED:
        raise SurrogateError(
            f"the {len(atlas.regions)} regions known fill {atlas.coverage:.3%} of the domain; call atlas.explore() first"
        )


def _some_made(found: ArchitectureSearch) -> ArchitectureSearch:
    if not found.made:
        reasons = dict.fromkeys(str(trial.reason) for trial in found.trials)
        raise SurrogateError(f"all {len(found.trials)} trials failed: {'; '.join(reasons)}")
    return found

"""Results of an architecture search: trials, and their Pareto front of worst-case error, size and cost."""

import math
from dataclasses import dataclass, field

from mmopt.checking import finite
from mmopt.errors import SurrogateError
from mmopt.surrogate.surrogate import Surrogate


@dataclass(frozen=True, eq=False)
class Trial:
    """One trained surrogate of an architecture search.

    Attributes
    ----------
    inputs
        Number of uptake limits.
    hidden, activation
        Widths and activation of the hidden layers.
    worst
        Largest worst-case error of growth and of the main exchanges, as a fraction of the range; infinite if it failed.
    size
        Weights and biases that an optimisation of growth and the inputs' rates embeds; 0 if it failed.
    seconds
        Time of training [s].
    cost
        Cost by the caller's function, if there is one.
    surrogate
        The surrogate; None if it failed.
    reason
        Why it failed; None if it did not.

    Examples
    --------
    >>> small = Trial(2, (4,), "tanh", worst=0.2, size=90)
    >>> print(small)
    2-4 tanh (20.00% at size 90)
    >>> small.dominates(Trial(2, (9,), "tanh", worst=0.05, size=150))
    False
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
    def objectives(self) -> tuple[float, ...]:
        """What a search minimises: ``worst``, ``size``, and ``cost`` if there is one."""
        return (self.worst, self.size) if self.cost is None else (self.worst, self.size, self.cost)

    def dominates(self, other: "Trial") -> bool:
        """Return whether this trial is nowhere worse than another, and somewhere better.

        Parameters
        ----------
        other
            Another trial of the same search.

        Returns
        -------
        bool
            True if it dominates the other one.
        """
        pairs = list(zip(self.objectives, other.objectives, strict=True))
        return all(own <= others for own, others in pairs) and any(own < others for own, others in pairs)

    def __str__(self) -> str:
        return f"{self.layers} {self.activation} ({self.worst:.2%} at size {self.size})"


@dataclass(frozen=True, eq=False)
class ArchitectureSearch:
    """Trials of an architecture search.

    Attributes
    ----------
    trials
        Every different surrogate of the search, in order; failures too.

    Examples
    --------
    >>> trials = [Trial(2, (4,), "tanh", worst=0.2, size=90), Trial(2, (9,), "tanh", worst=0.05, size=150)]
    >>> result = ArchitectureSearch(tuple(trials))
    >>> result.best(worst=0.25).layers, result.best(size=200).layers
    ('2-4', '2-9')
    >>> [trial.layers for trial in result.pareto_front()]
    ['2-4', '2-9']
    """

    trials: tuple[Trial, ...]

    @property
    def successes(self) -> tuple[Trial, ...]:
        """The trials that did not fail."""
        return tuple(trial for trial in self.trials if trial.reason is None)

    def pareto_front(self) -> tuple[Trial, ...]:
        """Return the trials that no other dominates by worst-case error, size and cost, from the smallest on."""
        successes = self.successes
        best = [trial for trial in successes if not any(other.dominates(trial) for other in successes)]
        return tuple(sorted(best, key=lambda trial: (trial.size, trial.worst)))

    def best(self, worst: float | None = None, size: int | None = None) -> Trial:
        """Return the smallest trial that is accurate enough, or the most accurate one that is small enough.

        Parameters
        ----------
        worst
            Largest worst-case error allowed, as a fraction of the range. If it is given, the smallest trial within it is
            returned.
        size
            Most weights and biases allowed. If it alone is given, the most accurate trial within it is returned; if neither
            is, the most accurate of all.

        Returns
        -------
        Trial
            The best trial within the bounds.

        Raises
        ------
        SurrogateError
            If no trial keeps the bounds; the nearest is named.
        """
        if not self.successes:
            raise SurrogateError("all trials failed, so none is the best; see the reasons in table()")
        for name, bound in (("worst", worst), ("size", size)):
            if bound is not None:
                finite(name, bound, above=0.0, error=SurrogateError)
        small = [trial for trial in self.successes if size is None or trial.size <= size]
        if not small:
            least = min(self.successes, key=lambda trial: trial.size)
            raise SurrogateError(f"no trial keeps within size {size}; nearest: {least}; search from smaller widths on")
        if worst is None:
            return min(small, key=lambda trial: (trial.worst, trial.size))
        within = [trial for trial in small if trial.worst <= worst]
        if not within:
            bounds = f"{worst:.2%}" + ("" if size is None else f" and size {size}")
            closest = min(small, key=lambda trial: trial.worst)
            raise SurrogateError(
                f"no trial keeps within {bounds}; nearest: {closest}; search more trials or larger widths"
            )
        return min(within, key=lambda trial: (trial.size, trial.worst))

    def table(self) -> str:
        """Return one line for a trial, from the smallest on; the Pareto front is marked, and failures come last."""
        with_cost = any(trial.cost is not None for trial in self.trials)
        head = f"{'layers':14}{'activation':12}{'worst':>9}{'size':>8}{'seconds':>9}" + f"{'cost':>11}" * with_cost
        pareto_front = self.pareto_front()
        rows = [
            f"{trial.layers:14}{trial.activation:12}{trial.worst:9.2%}{trial.size:8d}{trial.seconds:9.1f}"
            + ("" if trial.cost is None else f"{trial.cost:11.4g}")
            + ("  front" if trial in pareto_front else "")
            for trial in sorted(self.successes, key=lambda trial: (trial.size, trial.worst))
        ]
        failed = [
            f"{trial.layers:14}{trial.activation:12}  failed: {trial.reason}"
            for trial in self.trials
            if trial.reason is not None
        ]
        return "\n".join([head, *rows, *failed])

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"ArchitectureSearch({len(self.trials)} trials, {len(self.pareto_front())} on the Pareto front)"

"""Simple feeds that an optimum is compared with: the best constant and the best exponential one.

Within a family of feeds of one shape, more feed gives more biomass until a limit is met, so each shape is scaled to the
largest size that keeps the limits, and the shape is chosen by its objective.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from scipy.optimize import minimize

from mmopt.errors import InfeasibleError, StudyError
from mmopt.problem.limits import violated_limits
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import ConstantFeed, ExponentialFeed, Profile
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory

_REFINEMENTS: Final = 12
"""Shapes tried around the best one of the grid, for each number of the shape."""

_STARTS: Final = (0.05, 0.1, 0.13, 0.155, 0.18, 0.22, 0.3)
"""Fractions of the batch after which a feed may start."""

_GROWTHS: Final = (0.0, 0.01, 0.02, 0.03, 0.045, 0.07, 0.11, 0.2)
"""Growth rates of an exponential feed [1/h]. Where limits are active, the objective has ridges over start and growth, on
which a simplex alone stops early: 40.6 g instead of 43.7 g in the E. coli case."""


@dataclass(frozen=True)
class _Accuracy:
    """How exactly the largest size is computed."""

    halvings: int
    tolerance: float
    points: int


_COARSE: Final = _Accuracy(8, 1.0e-4, 120)
_FINE: Final = _Accuracy(14, 1.0e-6, 400)
"""While shapes are compared, and for the one that is returned."""

Family = Callable[[float, Sequence[float]], Profile]
"""From a size in (0, 1] of the highest feed, and the shape's numbers, to a feed."""


def best_constant(problem: Problem, metabolism: Metabolism | None) -> tuple[ConstantFeed, Trajectory]:
    """Compute the constant feed, and the time it starts, with the highest objective within the limits.

    Parameters
    ----------
    problem
        A problem with one control.
    metabolism
        Metabolism of the cell; None for a system without one.

    Returns
    -------
    feed, trajectory
        The feed and its simulation.

    Raises
    ------
    InfeasibleError
        If not even a feed of zero keeps the limits.
    StudyError
        If the problem has several controls.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    >>> feed, trajectory = best_constant(problem, load_surrogate("ecoli_ijo1366"))
    >>> trajectory.final("volume") <= 2.1
    True
    """
    search = _SizeSearch(problem, metabolism)
    highest, hours = search.highest, problem.horizon.hours

    def family(size: float, shape: Sequence[float]) -> ConstantFeed:
        return ConstantFeed(size * highest, start=float(np.clip(shape[0], 0.0, hours)))

    shape = search.best_shape(family, [[fraction * hours for fraction in _STARTS]])
    size, trajectory = search.largest(family, shape, _FINE)
    return family(size, shape), trajectory


def best_exponential(problem: Problem, metabolism: Metabolism | None) -> tuple[ExponentialFeed, Trajectory]:
    """Compute the exponential feed, its growth rate and start, with the highest objective within the limits.

    Parameters
    ----------
    problem
        A problem with one control.
    metabolism
        Metabolism of the cell; None for a system without one.

    Returns
    -------
    feed, trajectory
        The feed and its simulation.

    Raises
    ------
    InfeasibleError
        If not even a feed of zero keeps the limits.
    StudyError
        If the problem has several controls.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(1.0), {"feed": (0.0, 0.1)}, {"volume": (None, 2.05)})
    >>> feed, trajectory = best_exponential(problem, load_surrogate("ecoli_ijo1366"))
    >>> feed.highest
    0.1
    """
    search = _SizeSearch(problem, metabolism)
    highest, hours = search.highest, problem.horizon.hours

    def family(size: float, shape: Sequence[float]) -> ExponentialFeed:
        start, growth = float(np.clip(shape[0], 0.0, hours)), float(np.clip(shape[1], 0.0, 1.0))
        # the size is that of the last rate: it is the end of an exponential feed that meets the limits
        return ExponentialFeed(size * highest * float(np.exp(-growth * (hours - start))), growth, start, highest)

    shape = search.best_shape(family, [[fraction * hours for fraction in _STARTS], list(_GROWTHS)])
    size, trajectory = search.largest(family, shape, _FINE)
    return family(size, shape), trajectory


class _SizeSearch:
    """Feeds of one control, scaled to the largest size that keeps the limits."""

    def __init__(self, problem: Problem, metabolism: Metabolism | None) -> None:
        if len(problem.controls) != 1:
            raise StudyError(f"the problem has {len(problem.controls)} controls; simple feeds are defined for one")
        self._simulator = Simulator(problem, metabolism)
        self._problem = problem
        self._name = next(iter(problem.controls))
        self.highest = problem.controls[self._name].high
        self._near = 0.5

    def best_shape(self, family: Family, grid: Sequence[Sequence[float]]) -> list[float]:
        """Shape whose largest size has the highest objective: the best of a grid, refined by Nelder and Mead's simplex."""

        def loss(shape: Sequence[float] | np.ndarray) -> float:
            values = [float(number) for number in shape]
            return -self._problem.objective_value(self.largest(family, values, _COARSE)[1])

        first = np.array(min(product(*grid), key=loss))
        spacing = [float(np.min(np.diff(values))) / 2.0 for values in grid]
        result = minimize(
            loss,
            first,
            method="Nelder-Mead",
            options={
                "initial_simplex": np.vstack([first, first + np.diag(spacing)]),
                "maxfev": _REFINEMENTS * len(first),
                "xatol": 1.0e-3,
                "fatol": 1.0e-3,
            },
        )
        shape: list[float] = result.x.tolist()
        return shape

    def largest(self, family: Family, shape: Sequence[float], accuracy: _Accuracy) -> tuple[float, Trajectory]:
        """Largest size of a shape that keeps the limits, and its simulation.

        A bisection of [0, 1] would end there, too; the search begins at the size of the shape before, which is near.
        """
        count = 2**accuracy.halvings
        low, high, step = -1, count, 1
        number = min(count - 1, round(self._near * count))
        kept: dict[int, Trajectory] = {}
        while high - low > 1:
            trial = self._simulated(family(number / count, shape), accuracy)
            violated = violated_limits(trial, self._problem.limits)
            if violated and number == 0:
                raise InfeasibleError(f"even a feed of zero violates {', '.join(violated)}; loosen the limits")
            if violated:
                high = number
            else:
                low, kept = number, {number: trial}
            number, step = _between(low, high, count, number, step), 2 * step
        self._near = low / count
        return self._near, kept[low]

    def _simulated(self, profile: Profile, accuracy: _Accuracy) -> Trajectory:
        return self._simulator.run({self._name: profile}, points=accuracy.points, tolerance=accuracy.tolerance)


def _between(low: int, high: int, count: int, last: int, step: int) -> int:
    """The next number to try: farther from the last one until the wanted one is between two, then in the middle."""
    if low < 0:
        return max(0, last - step)
    if high == count:
        return min(count - 1, last + step)
    return (low + high) // 2

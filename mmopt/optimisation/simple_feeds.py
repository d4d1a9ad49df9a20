"""The feeds an optimum is measured against: the best constant and the best exponential one.

Within a family of feeds of one shape, more feed gives more biomass until a limit is met, so each shape is scaled to the
largest size that keeps the limits, and the shape is chosen by what it then reaches.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize

from mmopt.errors import InfeasibleError, StudyError
from mmopt.problem.problem import Problem, violated_limits
from mmopt.reactor.profiles import ConstantFeed, ExponentialFeed, Profile
from mmopt.reactor.simulate import simulate
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory

_REFINEMENTS: Final = 12
"""Shapes tried around the best one of the grid, for each number of the shape."""

_STARTS: Final = (0.05, 0.1, 0.13, 0.155, 0.18, 0.22, 0.3)
"""Parts of the batch after which a feed may start."""

_GROWTHS: Final = (0.0, 0.01, 0.02, 0.03, 0.045, 0.07, 0.11, 0.2)
"""Growth rates of an exponential feed [1/h]. Where limits bind, what is reached has ridges over start and growth, on which
a simplex alone gets stuck: 40.6 g instead of 43.7 g in the E. coli case."""

_COARSE: Final[dict[str, Any]] = {"halvings": 8, "tolerance": 1.0e-4, "points": 120}
_FINE: Final[dict[str, Any]] = {"halvings": 14, "tolerance": 1.0e-6, "points": 400}
"""How exactly a size is found while shapes are compared, and for the one that is kept."""

Family = Callable[[float, Sequence[float]], Profile]
"""From a size in (0, 1] of the highest feed, and the shape's numbers, to a feed."""


def best_constant(problem: Problem, metabolism: Metabolism | None) -> tuple[ConstantFeed, Trajectory]:
    """Find the constant feed, and the time it starts, that reaches most within the limits.

    Returns
    -------
    feed, trajectory
        The feed and its simulation with the given cell.

    Raises
    ------
    InfeasibleError
        If not even an empty feed keeps the limits.
    """
    name, highest, hours = _only_control(problem)

    def family(size: float, shape: Sequence[float]) -> ConstantFeed:
        return ConstantFeed(size * highest, start=float(np.clip(shape[0], 0.0, hours)))

    shape = _best_shape(problem, metabolism, name, family, [[part * hours for part in _STARTS]])
    size, made = _largest_kept(problem, metabolism, name, family, shape, **_FINE)
    return family(size, shape), made


def best_exponential(problem: Problem, metabolism: Metabolism | None) -> tuple[ExponentialFeed, Trajectory]:
    """Find the exponential feed, its growth rate and the time it starts, that reaches most within the limits.

    Returns
    -------
    feed, trajectory
        The feed and its simulation with the given cell.

    Raises
    ------
    InfeasibleError
        If not even an empty feed keeps the limits.
    """
    name, highest, hours = _only_control(problem)

    def family(size: float, shape: Sequence[float]) -> ExponentialFeed:
        start, growth = float(np.clip(shape[0], 0.0, hours)), float(np.clip(shape[1], 0.0, 1.0))
        # the size is that of the last rate: it is the end of an exponential feed that meets the limits
        return ExponentialFeed(size * highest * float(np.exp(-growth * (hours - start))), growth, start, highest)

    shape = _best_shape(problem, metabolism, name, family, [[part * hours for part in _STARTS], list(_GROWTHS)])
    size, made = _largest_kept(problem, metabolism, name, family, shape, **_FINE)
    return family(size, shape), made


def _only_control(problem: Problem) -> tuple[str, float, float]:
    if len(problem.controls) != 1:
        raise StudyError(f"the problem has {len(problem.controls)} controls; simple feeds are defined for one")
    name, move = next(iter(problem.control_settings.items()))
    return name, move.high, problem.horizon.hours


def _best_shape(
    problem: Problem, metabolism: Metabolism | None, name: str, family: Family, grid: Sequence[Sequence[float]]
) -> list[float]:
    """Shape whose largest kept size reaches most: the best of a grid, refined by Nelder and Mead's simplex."""

    def lost(shape: Sequence[float] | np.ndarray) -> float:
        values = [float(number) for number in shape]
        return -problem.objective_value(_largest_kept(problem, metabolism, name, family, values, **_COARSE)[1])

    first = np.array(min(product(*grid), key=lost))
    spacing = [float(np.min(np.diff(values))) / 2.0 for values in grid]
    found = minimize(
        lost,
        first,
        method="Nelder-Mead",
        options={
            "initial_simplex": np.vstack([first, first + np.diag(spacing)]),
            "maxfev": _REFINEMENTS * len(first),
            "xatol": 1.0e-3,
            "fatol": 1.0e-3,
        },
    )
    shape: list[float] = found.x.tolist()
    return shape


def _largest_kept(
    problem: Problem,
    metabolism: Metabolism | None,
    name: str,
    family: Family,
    shape: Sequence[float],
    *,
    halvings: int,
    tolerance: float,
    points: int,
) -> tuple[float, Trajectory]:
    """Largest size of a shape that keeps the limits, by bisection, and its simulation."""

    def simulated(size: float) -> Trajectory:
        return simulate(
            problem.system,
            problem.start,
            {name: family(size, shape)},
            problem.horizon.hours,
            metabolism,
            parameters=problem.parameter_values,
            tolerance=tolerance,
            points=points,
        )

    low, high, kept = 0.0, 1.0, simulated(0.0)
    if violated_limits(kept, problem.limits):
        raise InfeasibleError(
            f"even an empty feed breaks {', '.join(violated_limits(kept, problem.limits))}; loosen the limits"
        )
    for _ in range(halvings):
        size = (low + high) / 2.0
        tried = simulated(size)
        if violated_limits(tried, problem.limits):
            high = size
        else:
            low, kept = size, tried
    return low, kept

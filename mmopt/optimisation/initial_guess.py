"""Where an optimisation begins: simulated controls that keep the limits.

The start decides convergence more than any option of a solver: from a feed that overloads the aeration most solves fail,
from one that keeps the limits they take some twenty iterations.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mmopt.problem.problem import Limits, Problem, violated_limits
from mmopt.reactor.profiles import ConstantFeed, Profile, StepFeed
from mmopt.reactor.simulate import simulate
from mmopt.results import Trajectory
from mmopt.surrogate.surrogate import Surrogate

_CUT: Final = 0.5

_MOST_CUTS: Final = 8

_REGROWTH: Final = 1.4
"""How much more than its forerunner kept an element tries at first."""

_LOOK_AHEAD: Final = 4

_SLIGHTLY: Final = 1.0e-4
"""Part of a limit by which it may be broken: a plan that lies on its limits is a start, too."""

_START_POINTS: Final = 15

_START_TOLERANCE: Final = 1.0e-4
"""Tolerance of the simulation that only gives a start."""


def feasible_guess(
    problem: Problem, surrogate: Surrogate | None, start: Mapping[str, Profile] | None = None
) -> tuple[Trajectory, float]:
    """Simulate starting controls, cut element by element until the limits are kept.

    An element's controls are lowered towards their lowest values until, with the lowest ones after it, no limit is
    broken for some elements on: what is fed too early is paid for later. If the whole still breaks one, the same is done
    once more, looking to the end each time.

    Returns
    -------
    trajectory, left
        The simulation, and the part of the wanted controls that is left on average.
    """
    given = start or {
        name: ConstantFeed((move.low + move.high) / 2.0) for name, move in problem.control_settings.items()
    }
    wanted = {name: _on_elements(problem, name, profile) for name, profile in given.items()}
    for ahead in (_LOOK_AHEAD, problem.horizon.elements):
        kept, left = _cut(problem, surrogate, wanted, ahead)
        whole = _simulated(problem, surrogate, problem.start, kept, 0, problem.horizon.elements)
        if keeps(problem, whole):
            break
    return whole, left


def _cut(
    problem: Problem, surrogate: Surrogate | None, wanted: Mapping[str, np.ndarray], ahead: int
) -> tuple[dict[str, np.ndarray], float]:
    """Lower the wanted controls element by element, looking ``ahead`` elements beyond each."""
    elements = problem.horizon.elements
    low = {name: float(move.low) for name, move in problem.control_settings.items()}
    kept = {name: np.full(elements, lowest) for name, lowest in low.items()}
    left = np.zeros(elements)
    state, trying = dict(problem.start), 1.0
    for number in range(elements):
        for cut in (*(_CUT**k for k in range(_MOST_CUTS)), 0.0):
            left[number] = cut * trying
            for name, values in wanted.items():
                kept[name][number] = low[name] + left[number] * (values[number] - low[name])
            tried = _simulated(problem, surrogate, state, kept, number, min(number + 1 + ahead, elements))
            if keeps(problem, tried):
                break
        trying = min(1.0, max(_REGROWTH * left[number], _CUT**_MOST_CUTS))
        end = problem.horizon.edges()[number + 1]
        state = {each.name: float(tried.at(each.name, end)) for each in problem.system.states}
    return kept, float(left.mean())


def keeps(problem: Problem, made: Trajectory, final: Limits | None = None) -> bool:
    """Whether a trajectory keeps a problem's limits, and those at the end if they are given, but for a trifle."""
    return max(violated_limits(made, problem.limits, final).values(), default=0.0) <= _SLIGHTLY


def _simulated(
    problem: Problem,
    surrogate: Surrogate | None,
    state: Mapping[str, float],
    controls: Mapping[str, np.ndarray],
    first: int,
    last: int,
) -> Trajectory:
    """Simulate from the begin of element ``first`` to the begin of element ``last``."""
    edges = problem.horizon.edges()
    return simulate(
        problem.system,
        state,
        {name: StepFeed(tuple(edges.tolist()), tuple(values.tolist())) for name, values in controls.items()},
        edges[last] - edges[first],
        surrogate,
        parameters=problem.parameter_values,
        start=edges[first],
        points=1 + _START_POINTS * (last - first),
        tolerance=_START_TOLERANCE,
    )


def _on_elements(problem: Problem, name: str, profile: Profile) -> np.ndarray:
    """A profile's values in the middle of each element, inside the control's range."""
    edges = problem.horizon.edges()
    move = problem.control_settings[name]
    wanted = np.clip([profile(float(t)) for t in (edges[:-1] + edges[1:]) / 2.0], move.low, move.high)
    held: np.ndarray = np.where(move.free(edges), wanted, move.low)
    return held

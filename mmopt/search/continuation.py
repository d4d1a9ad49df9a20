"""Continuation: a problem solved first with floors under its dissolved gases, which are then lowered step by step.

A culture that lives at a hundredth of the oxygen saturation makes a steep problem: uptake, growth and by-products all turn
within a thousandth of a mmol/L. With a floor that the aeration can hold the same problem is easy, and each plan is a good
start for the next floor.

References
----------
Nocedal and Wright (2006), Numerical Optimization, 2nd ed., Springer, section 11.3 (continuation methods).
"""

from dataclasses import replace
from typing import Final

import numpy as np

from mmopt.plan.plan import Plan
from mmopt.problem.problem import Problem
from mmopt.results import Trajectory
from mmopt.search.initial_guess import feasible_guess
from mmopt.search.single_start import SingleStart
from mmopt.transcription.compiled import CompiledProblem

FLOORS_OF_START: Final = (0.2, 0.05, 0.01, 0.002, 0.0)
"""Fractions of the highest value in the start."""

_STEPS_BACK: Final = 3
"""Most times a floor is halved towards the last one that was solved, where a solve fails."""


def lowered_floors(compiled: CompiledProblem, start: Trajectory, search: SingleStart) -> Plan | None:
    """Solve a problem by lowering floors under its quasi-steady states.

    Parameters
    ----------
    compiled
        The problem.
    start
        A simulation to start from.
    search
        How problems are compiled and solved.

    Returns
    -------
    Plan or None
        None if the problem has no such state, or a solve failed.
    """
    problem = compiled.problem
    highest = {state.name: float(start[state.name].max()) for state in problem.system.states if state.bends_at}
    if not highest:
        return None
    floored = search.options.compile(
        replace(problem, limits=with_floors(problem, highest, FLOORS_OF_START[0])), compiled.surrogate
    )
    trajectory = feasible_guess(floored.simulator, None).trajectory
    solved, wanted = None, list(FLOORS_OF_START)
    steps_back = 0
    while wanted and not search.deadline.has_passed():
        floored.change(limits={name: with_floors(problem, highest, wanted[0])[name] for name in highest})
        outcome = search.in_turn(floored, trajectory)
        if outcome.plan is not None:
            trajectory, solved = outcome.plan.trajectory, wanted.pop(0)
        elif solved is None or steps_back == _STEPS_BACK:
            break
        else:
            steps_back += 1
            wanted.insert(0, (wanted[0] + solved) / 2.0)
    compiled.solves.extend(floored.solves)
    return None if wanted else search.in_turn(compiled, trajectory).plan


def with_floors(
    problem: Problem, highest: dict[str, float], fraction: float
) -> dict[str, tuple[float | None, float | None]]:
    """Return the limits of a problem with floors under some states; its own floors stay where they are higher.

    Parameters
    ----------
    problem
        The problem.
    highest
        Highest value of every such state in a start, in its unit.
    fraction
        Floor as a fraction of it.

    Returns
    -------
    dict
        Lowest and highest allowed value by quantity.
    """
    limits = dict(problem.limits)
    for name, value in highest.items():
        low, high = limits.get(name, (None, None))
        limits[name] = (float(np.max([fraction * value, -np.inf if low is None else low])), high)
    return limits

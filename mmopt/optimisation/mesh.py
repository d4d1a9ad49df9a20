"""Mesh refinement: elements are divided whose end an integrator reaches elsewhere than the collocation."""

from itertools import pairwise
from typing import Final

import numpy as np

from mmopt.plan.plan import Plan
from mmopt.problem.horizon import Horizon
from mmopt.problem.simulator import Simulator
from mmopt.reactor.system import Metabolism

_SHARE: Final = 0.3
"""An element is divided whose error is above this fraction of the largest."""

_MOST_PIECES: Final = 4


def local_errors(plan: Plan, metabolism: Metabolism | None) -> np.ndarray:
    """Integrate each element from the plan's state at its beginning, and compare the states at its end.

    Parameters
    ----------
    plan
        The plan.
    metabolism
        Metabolism of its cell.

    Returns
    -------
    ndarray
        Largest difference of a state, in its scale, shape (elements,).
    """
    simulator = Simulator(plan.fixed_problem, metabolism)
    states = plan.problem.system.states
    slow = [state for state in states if not state.quasi_steady]
    controls, before = plan.controls, plan.trajectory
    errors = []
    for begin, end in pairwise(plan.edges):
        initial = {state.name: float(before.at(state.name, begin)) for state in states}
        after = simulator.run(controls, initial=initial, begin=begin, end=end, points=2)
        errors.append(
            max(abs(after.final(state.name) - float(before.at(state.name, end))) / state.scale for state in slow)
        )
    return np.array(errors)


def refined(plan: Plan, metabolism: Metabolism | None, tolerance: float) -> Horizon:
    """Divide the elements of a plan's horizon in which it errs most.

    Parameters
    ----------
    plan
        The optimum.
    metabolism
        Metabolism of its cell.
    tolerance
        Largest error wanted of the whole; an element that errs by more than its share is divided.

    Returns
    -------
    Horizon
        The finer mesh.
    """
    errors = local_errors(plan, metabolism)
    order = 2 * plan.problem.horizon.points - 1
    share = max(tolerance / len(errors), 1.0e-14)
    counts = np.clip(np.ceil((errors / share) ** (1.0 / order)), 1, _MOST_PIECES).astype(int)
    counts = np.where(errors >= _SHARE * errors.max(), np.maximum(counts, 2), 1)
    return plan.problem.horizon.divided(counts.tolist())

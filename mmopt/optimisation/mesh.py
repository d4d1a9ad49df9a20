"""A finer mesh where a collocation errs: elements whose end an integrator places elsewhere are cut."""

from itertools import pairwise
from typing import Final

import numpy as np

from mmopt.problem.horizon import Horizon
from mmopt.problem.problem import Problem
from mmopt.reactor.simulate import simulate
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.transcription.plan import controls_of

_SHARE: Final = 0.3
"""An element is cut whose error is above this part of the largest."""

_MOST_PIECES: Final = 4


def local_errors(problem: Problem, plan: Trajectory, metabolism: Metabolism | None) -> np.ndarray:
    """How far an integrator, begun at the plan's states, ends from them after each element, in scales; shape (elements,)."""
    settled = problem.with_choices(plan.stats.get("choice", {}))
    profiles = controls_of(plan)
    slow = [each for each in settled.system.states if not each.quasi_steady]
    found = []
    for begin, end in pairwise(settled.horizon.edges().tolist()):
        made = simulate(
            settled.system,
            {each.name: float(plan.at(each.name, begin)) for each in settled.system.states},
            profiles,
            end - begin,
            metabolism,
            parameters=settled.parameter_values,
            start=begin,
            points=2,
        )
        found.append(max(abs(made.final(each.name) - float(plan.at(each.name, end))) / each.scale for each in slow))
    return np.array(found)


def finer(problem: Problem, plan: Trajectory, metabolism: Metabolism | None, wanted: float) -> Horizon:
    """Cut the elements of a horizon in which a plan errs most.

    Parameters
    ----------
    problem, plan, metabolism
        The problem, its optimum, and who answers for the cell.
    wanted
        Largest error wanted of the whole; an element that errs by more than its share is cut.
    """
    errors = local_errors(problem, plan, metabolism)
    order = 2 * problem.horizon.points - 1
    share = max(wanted / len(errors), 1.0e-14)
    pieces = np.clip(np.ceil((errors / share) ** (1.0 / order)), 1, _MOST_PIECES).astype(int)
    pieces = np.where(errors >= _SHARE * errors.max(), np.maximum(pieces, 2), 1)
    return problem.horizon.cut(pieces.tolist())

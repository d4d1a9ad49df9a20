"""Constraint back-off: limits are tightened until a plan keeps them on its reference.

A collocation reads a limit at its points, and with the surrogate's rates. The reference is integrated: with the exact fluxes,
or with the surrogate where there are none. The difference between the two, element by element, is added to the limit (or given
back, where the collocation is stricter), and the problem solved again. Of the plans that keep the limits the best is returned.
Limits with a price are left as they are: violating them is the choice of the optimum.

References
----------
Chachuat, Srinivasan and Bonvin (2009), Comput. Chem. Eng. 33:1557-1567 (constraint adaptation).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from mmopt.plan.plan import KEPT, Plan, Replay
from mmopt.problem.problem import Problem
from mmopt.reactor.system import Metabolism

MOST_ROUNDS: Final = 12
_GROW_AFTER: Final = 5
"""Rounds after which a back-off only grows: where the plan changes its shape from round to round, and its minima their times,
the back-off of all shapes together keeps the limits."""

_ROOM: Final = 0.1
"""Fraction by which a back-off is wider than measured, or a relief narrower."""

_MEMORY: Final = 0.5
"""Fraction of an element's back-off that stays where the reference needs none any more: without it, a minimum that a back-off
has removed would return in every second round."""

_FRACTIONS: Final = (1.0, 0.5, 0.25)
"""Fractions of the step of a back-off that are tried, where a solve with all of it has no answer."""

_WORTHWHILE: Final = 1.0e-3

BackOff = Mapping[str, np.ndarray]
"""By limited quantity: back-off of each element, in its unit."""


@dataclass(frozen=True, eq=False)
class BackedOff:
    """A plan with its replay on the reference, and the back-off it was computed with.

    Attributes
    ----------
    plan, replay
        The plan, and its replay on the reference.
    back_off
        Back-off of each element by quantity.
    """

    plan: Plan
    replay: Replay
    back_off: BackOff

    @property
    def worst_violation(self) -> float:
        """Largest relative violation of a limit without a price."""
        return worst_of(self.replay, self.plan.problem)

    @property
    def largest(self) -> dict[str, float]:
        """Largest back-off by quantity, in its unit; without those that are not above zero."""
        return {name: float(amount.max()) for name, amount in self.back_off.items() if amount.max() > 0.0}


def backed_off(
    plan: Plan, reference: Metabolism | None, solve_again: Callable[[BackOff, Plan], Plan | None]
) -> BackedOff:
    """Tighten limits until a plan keeps them on the reference.

    Parameters
    ----------
    plan
        The optimum without back-off.
    reference
        Metabolism of the cell in the replay.
    solve_again
        Solves with a back-off, from the last plan; None if there is no answer.

    Returns
    -------
    BackedOff
        The best plan that keeps the limits; if none does, the one with the least violation.
    """
    hard = tuple(plan.problem.hard_limits)
    back_off: BackOff = {name: np.zeros(plan.problem.horizon.elements) for name in hard}
    best: BackedOff | None = None
    for number in range(MOST_ROUNDS):
        now = BackedOff(plan, plan.replay(reference), back_off)
        if best is not None and best.worst_violation <= KEPT and not _better(now, best):
            break
        if best is None or _better(now, best):
            best = now
        wanted = next_back_off(now, number)
        solved = None
        for fraction in _FRACTIONS:
            back_off = {name: now.back_off[name] + fraction * (wanted[name] - now.back_off[name]) for name in wanted}
            solved = solve_again(back_off, plan)
            if solved is not None:
                break
        if solved is None:
            break
        plan = solved
    return now if best is None else best


def tightened(problem: Problem, back_off: BackOff) -> Problem:
    """Tighten each limit by its largest back-off.

    Parameters
    ----------
    problem
        The problem.
    back_off
        Back-off by quantity, shape (elements,).

    Returns
    -------
    Problem
    """
    limits = {}
    for name, (low, high) in problem.limits.items():
        amount = max(0.0, float(back_off[name].max())) if name in back_off else 0.0
        limits[name] = (None if low is None else low + amount, None if high is None else high - amount)
    return replace(problem, limits=limits)


def worst_of(replay: Replay, problem: Problem) -> float:
    """Return the largest relative violation of a limit at all times that has no price.

    Parameters
    ----------
    replay
        A simulation of the problem.
    problem
        The problem.

    Returns
    -------
    float
    """
    return max((replay.violations.get(name, 0.0) for name in problem.hard_limits), default=0.0)


def _better(now: BackedOff, best: BackedOff) -> bool:
    """Whether a plan keeps limits where the best does not, violates less, or has a worthwhile higher objective."""
    if best.worst_violation > KEPT:
        return now.worst_violation < best.worst_violation
    gain = now.replay.objective - best.replay.objective
    return now.worst_violation <= KEPT and gain > _WORTHWHILE * abs(best.replay.objective)


def next_back_off(now: BackedOff, number: int) -> BackOff:
    """Return the back-off of the next round.

    Parameters
    ----------
    now
        The plan of this round.
    number
        The round, from 0.

    Returns
    -------
    mapping
        By hard limit the difference of the plan and its replay in each element, and some of the present back-off, or all.
    """
    return {name: _next(name, now, grow=number >= _GROW_AFTER) for name in now.back_off}


def _next(name: str, now: BackedOff, grow: bool) -> np.ndarray:
    """The next back-off of one quantity."""
    low, high = now.plan.problem.limits[name]
    planned, replayed = now.plan.trajectory, now.replay.trajectory
    gaps = []
    for begin, end in pairwise(now.plan.edges):
        ours = planned[name][(planned.time > begin + 1.0e-9) & (planned.time <= end + 1.0e-9)]
        theirs = replayed[name][(replayed.time >= begin) & (replayed.time <= end)]
        below = -np.inf if low is None else ours.min() - theirs.min()
        above = -np.inf if high is None else theirs.max() - ours.max()
        gaps.append(max(below, above))
    wanted = np.array(gaps)
    wanted *= np.where(wanted > 0.0, 1.0 + _ROOM, 1.0 - _ROOM)
    before = now.back_off[name]
    amount: np.ndarray = np.where(before > 0.0, np.maximum(wanted, before * (1.0 if grow else _MEMORY)), wanted)
    return amount

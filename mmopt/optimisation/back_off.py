"""Constraint back-off: limits are tightened until a plan keeps them on its reference.

A collocation reads a limit at its points, and with the surrogate's rates. The reference is integrated: with the exact fluxes,
or with the surrogate where there are none. The difference between the two, element by element, is added to the limit (or given
back, where the collocation is stricter), and the problem solved again. Of the plans that keep the limits the best is returned.
Limits with a price are left as they are: violating them is the choice of the optimum.

References
----------
Chachuat, Srinivasan and Bonvin (2009), Comput. Chem. Eng. 33:1557-1567 (constraint adaptation).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mmopt.plan.plan import KEPT, Plan, Replay
from mmopt.problem.problem import Problem
from mmopt.reactor.system import Metabolism
from mmopt.search.between_points import missed_by_points

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
    plans: Sequence[Plan],
    reference: Metabolism | None,
    solve_again: Callable[[Sequence[BackOff], Sequence[Plan]], Sequence[Plan] | None],
    goal: Callable[[Sequence[float]], float],
) -> list[BackedOff]:
    """Tighten limits until plans keep them on the reference.

    Parameters
    ----------
    plans
        The optimum without back-off: one plan, or one for each scenario.
    reference
        Metabolism of the cell in the replay.
    solve_again
        Solves with a back-off for every plan, from the last plans; None if there is no answer.
    goal
        From the objectives of all plans to what is maximised.

    Returns
    -------
    list of BackedOff
        The best plans that keep the limits; if none do, those with the least violation.
    """
    back_offs: list[BackOff] = [
        {name: np.zeros(plan.problem.horizon.elements) for name in plan.problem.hard_limits} for plan in plans
    ]
    best: list[BackedOff] = []
    for number in range(MOST_ROUNDS):
        now = [BackedOff(plan, plan.replay(reference), own) for plan, own in zip(plans, back_offs, strict=True)]
        if best and _worst(best) <= KEPT and not _better(now, best, goal):
            break
        if not best or _better(now, best, goal):
            best = now
        wanted = [{name: _next(name, one, grow=number >= _GROW_AFTER) for name in one.back_off} for one in now]
        for fraction in _FRACTIONS:
            back_offs = [_between(one.back_off, other, fraction) for one, other in zip(now, wanted, strict=True)]
            solved = solve_again(back_offs, plans)
            if solved is not None:
                break
        if solved is None:
            break
        plans = solved
    return best


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


def _worst(plans: Sequence[BackedOff]) -> float:
    return max(plan.worst_violation for plan in plans)


def _better(now: Sequence[BackedOff], best: Sequence[BackedOff], goal: Callable[[Sequence[float]], float]) -> bool:
    """Whether plans keep limits where the best do not, violate less, or have a worthwhile higher objective."""
    if _worst(best) > KEPT:
        return _worst(now) < _worst(best)
    ours, theirs = (goal([plan.replay.objective for plan in plans]) for plans in (now, best))
    return _worst(now) <= KEPT and ours - theirs > _WORTHWHILE * abs(theirs)


def _between(before: BackOff, wanted: BackOff, fraction: float) -> BackOff:
    """A fraction of the step from one back-off to another."""
    return {name: before[name] + fraction * (amount - before[name]) for name, amount in wanted.items()}


def _next(name: str, now: BackedOff, grow: bool) -> np.ndarray:
    """Difference of the plan and its replay in each element, and some of the present back-off, or all."""
    limit, edges = now.plan.problem.limits[name], np.array(now.plan.edges)
    wanted, room = missed_by_points(name, limit, edges, now.plan.trajectory, now.replay.trajectory)
    before = now.back_off[name]
    wanted *= np.where(wanted > 0.0, 1.0 + _ROOM, 1.0 - _ROOM)
    wanted = np.where(room < 0.0, wanted, np.minimum(wanted, np.maximum(before, 0.0)))
    amount: np.ndarray = np.where(before > 0.0, np.maximum(wanted, before * (1.0 if grow else _MEMORY)), wanted)
    return amount

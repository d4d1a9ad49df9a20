"""Margins by which limits are drawn in until a plan keeps them on its judge.

A collocation sees a limit at its points, and with the surrogate's eyes; the judge sees it all the time, and exactly. What
lies between the two views, element by element, is added to the limit (or given back, where the surrogate is the stricter
one), and the problem solved again. The best plan that the judge lets pass is kept.

Chachuat, Srinivasan and Bonvin (2009), Comput. Chem. Eng. 33:1557-1567, review how constraints are so modified by what a
plant shows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np

from mmopt.problem.problem import Problem
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.transcription.plan import replay

KEPT: Final = 2.0e-3
"""Part of a limit by which the judge may see it broken and still let it pass: the integrator's own error is near it."""

_ROUNDS: Final = 12
_PATIENT: Final = 5
"""Rounds after which margins only grow: where the plan changes its shape from round to round, and its dips their places, the
margins of all shapes together let it pass."""

_ROOM: Final = 0.1
"""Part of a gap by which a margin is wider than measured, or a relief narrower."""

_MEMORY: Final = 0.5
"""Part of an element's margin that is kept where the judge sees no need for it any more: without it, a dip that a margin
has removed would come back in every second round."""

_WORTHWHILE: Final = 1.0e-3

Margins = Mapping[str, np.ndarray]
"""By limited quantity: margin of each element, in its unit."""

Again = Callable[[Margins, Trajectory], Trajectory | None]
"""Solve with limits drawn in, starting from the last plan; None if there is no answer."""


@dataclass(frozen=True)
class Kept:
    """A plan, what the judge saw of it, and the margins it was made with."""

    plan: Trajectory
    replayed_on_reference: Trajectory
    margins: Margins

    @property
    def broken(self) -> float:
        """How far limits are broken at worst on the judge, relative to the limit."""
        return max(self.replayed_on_reference.stats["broken"].values(), default=0.0)


def back_off(problem: Problem, plan: Trajectory, reference: Metabolism, again: Again) -> Kept:
    """Move limits until the judge lets the plan pass; of those that pass, the best is given.

    Parameters
    ----------
    problem
        The problem, with the limits that are to be kept on the judge.
    plan
        Its optimum without margins.
    judge
        Who answers for the cell in the replay.
    again
        Solves the problem with margins.

    Returns
    -------
    Kept
        If no plan passes, the one that breaks the limits least.
    """
    margins: Margins = {name: np.zeros(problem.horizon.elements) for name in problem.limits}
    best: Kept | None = None
    for number in range(_ROUNDS):
        now = Kept(plan, replay(problem, plan, reference), margins)
        if best is not None and best.broken <= KEPT and not _better(problem, now, best):
            break
        if best is None or _better(problem, now, best):
            best = now
        margins = {name: _next_margin(problem, name, now, grow=number >= _PATIENT) for name in problem.limits}
        solved = again(margins, plan)
        if solved is None:
            break
        plan = solved
    return now if best is None else best


def tightened(problem: Problem, margins: Margins) -> Problem:
    """Draw each limit in by its largest margin."""
    drawn = {}
    for name, (low, high) in problem.limits.items():
        margin = max(0.0, float(margins[name].max()))
        drawn[name] = (None if low is None else low + margin, None if high is None else high - margin)
    return replace(problem, limits=drawn)


def _better(problem: Problem, now: Kept, best: Kept) -> bool:
    """Whether a plan passes where the best did not, breaks less, or reaches worthwhile more."""
    if best.broken > KEPT:
        return now.broken < best.broken
    reached, before = (kept.replayed_on_reference.stats["replayed"] for kept in (now, best))
    return now.broken <= KEPT and reached - before > _WORTHWHILE * abs(before)


def _next_margin(problem: Problem, name: str, now: Kept, grow: bool) -> np.ndarray:
    """What lies between the plan's view and the judge's in each element, and some of what was held before, or all."""
    low, high = problem.limits[name]
    gaps = []
    for begin, end in pairwise(now.plan.stats["edges"]):
        seen = now.plan[name][(now.plan.time > begin + 1.0e-9) & (now.plan.time <= end + 1.0e-9)]
        replayed_on_reference = now.replayed_on_reference[name][
            (now.replayed_on_reference.time >= begin) & (now.replayed_on_reference.time <= end)
        ]
        below = -np.inf if low is None else seen.min() - replayed_on_reference.min()
        above = -np.inf if high is None else replayed_on_reference.max() - seen.max()
        gaps.append(max(below, above))
    wanted = np.array(gaps)
    wanted *= np.where(wanted > 0.0, 1.0 + _ROOM, 1.0 - _ROOM)
    held = now.margins[name]
    margin: np.ndarray = np.where(held > 0.0, np.maximum(wanted, held * (1.0 if grow else _MEMORY)), wanted)
    return margin

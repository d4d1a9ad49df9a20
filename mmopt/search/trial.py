"""What a search tried and found."""

from dataclasses import dataclass, replace
from typing import Final

from mmopt.plan.plan import GuessRecord, Plan
from mmopt.search.starts import Start
from mmopt.solvers.ipopt import Solve

AS_SIMULATED: Final = "the best simulated start, as it is"
FLOORS: Final = "floors under dissolved gases, lowered step by step"
"""Remedies where no start led to an optimum."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    plan
        The best plan.
    start
        The best start that keeps the limits; None if none does.
    """

    plan: Plan
    start: Start | None


@dataclass(frozen=True, eq=False)
class Trial:
    """What one start led to.

    Attributes
    ----------
    start
        The start.
    solves
        Every solve from it; none if it was not tried.
    plan
        The plan that it led to.
    improved
        The best simulation of the controls of its solves, or the start itself; None if it was not tried.
    """

    start: Start
    solves: list[Solve]
    plan: Plan | None = None
    improved: Start | None = None

    @property
    def best_start(self) -> Start:
        """The better of the start and what its solves improved it to."""
        return self.improved or self.start

    @property
    def was_solved(self) -> bool:
        """Whether a solve was tried."""
        return bool(self.solves) or self.plan is not None

    @property
    def record(self) -> GuessRecord:
        """The record of it."""
        status = self.solves[-1].status if self.plan is None else self.plan.status
        objective = None if self.plan is None else self.plan.objective
        return GuessRecord(self.start.guess.kept, status.name, objective, self.start.name)


def best_plan(trials: list[Trial]) -> Plan | None:
    """Return the plan with the highest objective.

    Parameters
    ----------
    trials
        Trials, with plans or without.

    Returns
    -------
    Plan or None
    """
    plans = [trial.plan for trial in trials if trial.plan is not None]
    return max(plans, key=lambda plan: plan.objective, default=None)


def with_remedy(plan: Plan, remedy: str) -> Plan:
    """Return a plan whose record has one more remedy.

    Parameters
    ----------
    plan, remedy
        The plan, and what was done.

    Returns
    -------
    Plan
    """
    return replace(plan, record=replace(plan.record, remedies=(*plan.record.remedies, remedy)))

"""One step of a controller: limits first, the objective within them.

The program is compiled once and serves three problems, one after the other, by new data alone: the objective within hard
limits; where no answer keeps them, the least violation; then the objective within that violation. No price decides whether a
limit is kept.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mmopt.control.step_program import Decision, StepProgram
from mmopt.problem.problem import Problem
from mmopt.results import Trajectory
from mmopt.search.between_points import MOST_OF_FIRST, MOST_OF_LATER, BetweenPoints, last_plan_within_limits
from mmopt.search.elastic import violations_of
from mmopt.search.feed_gap import without_feed_gap
from mmopt.search.initial_guess import feasible_guess, keeps_limits
from mmopt.search.options import Deadline
from mmopt.solvers.ipopt import Solve
from mmopt.solvers.ipopt_options import Tuning
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.readout import profiles_of

_KEPT: Final = 1.0e-5
"""Violation, as the mean over the points in scales, up to which limits count as kept."""

_ROOM: Final = 0.01
"""Fraction by which the objective may add to the least violation: a program without room inside has no barrier path."""

_ROOM_OF_GUESS, _MORE = 0.1, 1.0e-4
"""The same where a simulation has the least violation: fraction, and mean over the points in scales."""

_FAR_ABOVE: Final = 1.0e-3
"""Violation, as the mean over the points in scales, by which a local optimum may be above twice that of a simulation."""

_BETTER: Final = 1.0e-4
"""Fraction of the objective by which another optimum has to be better to be taken."""

_QUICK: Final = 25
"""Iterations of a solve that starts from the last plan: of 288 in the demo 274 end within them, and 6 more within 50."""

_LOOKS_AT_FIRST, _LOOKS_AT_LATER = 8, 3
"""Most simulations of a plan, of the first one and of those after it, to tighten limits that it violates between the points.
Later plans are simulated as long as limits are tightened; all of them would take a fifth more time."""

_LAST_PLAN: Final = "the last plan is kept, since a new one violates limits between its points"

_AGAIN: Final = 40
"""Iterations of a solve with tighter limits from the plan that violates them."""

_MOST_MISSED: Final = 3
"""Steps in a row without an optimum in which only the solve from the last plan is tried; the next one tries all."""


class LimitsFirst(StepProgram):
    """A problem that is solved again and again, limits first.

    Parameters
    ----------
    problem, surrogate
        The problem and the surrogate of its cell.
    ipopt
        Options of Ipopt that differ from mmopt's.
    held
        Hours for which controls are held at their first values, as a plant does between two moves [h]: the first elements end
        then. By default the elements are those of the problem, and all have their own values.

    Examples
    --------
    >>> from mmopt.control.limits_first import LimitsFirst
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    >>> decision = LimitsFirst(problem, load_surrogate("ecoli_ijo1366")).solve(None, 0.0)
    >>> decision.status.name, decision.violations
    ('OPTIMAL', ())
    """

    def __init__(
        self,
        problem: Problem,
        surrogate: SmoothCell | None,
        ipopt: Mapping[str, Any] | None = None,
        held: float | None = None,
    ) -> None:
        super().__init__(problem, surrogate, ipopt, held)
        self._missed, self._between = 0, BetweenPoints()

    def reset(self) -> None:
        """Forget all solves, for another batch of the same problem."""
        super().reset()
        self._missed, self._between = 0, BetweenPoints()

    def solve(self, before: Trajectory | None, begin: float, deadline: Deadline = Deadline()) -> Decision:  # noqa: B008
        """Solve with hard limits or, where that has no answer, with the least violation.

        Parameters
        ----------
        before
            The last plan, to start from; None if there is none.
        begin
            Time of it at which this step begins [h].
        deadline
            When to stop.

        Returns
        -------
        Decision
        """
        self._compiled.solves.clear()
        self._deadline = deadline
        if all(variable.lb == variable.ub for variable in self._compiled.program.decisions()):
            return self._without_choice()
        tighter = self._between.at(self.problem.horizon.edges(begin))
        self._compiled.program.tighten(tighter)
        if before is None:
            return self._kept_between_points(self._anew(before, begin, deadline), before, begin)
        decision = self._from_last(before, begin) or self._anew(before, begin, deadline)
        tightened = any(amounts.any() for amounts in tighter.values())
        return self._kept_between_points(decision, before, begin) if tightened else decision

    def _from_last(self, before: Trajectory, begin: float) -> Decision | None:
        """The decision of a few iterations from the last plan; None if they have no answer."""
        self._compiled.program.allow_violation(0.0)
        self._compiled.start(before, begin, self.problem.horizon.hours)
        quick = self._solved(warm=not self._missed, tuning=Tuning.NEAR, iterations=_QUICK)
        return self._fed_again() if quick else None

    def _kept_between_points(self, decision: Decision, before: Trajectory | None, begin: float) -> Decision:
        """The decision or, where its plan violates limits in a simulation, that within tighter ones or the last plan."""
        edges = self.problem.horizon.edges(begin)
        looks, most = (_LOOKS_AT_FIRST, MOST_OF_FIRST) if before is None else (_LOOKS_AT_LATER, MOST_OF_LATER)
        for look in range(looks):
            if not decision.whole or decision.answer is None or self._deadline.has_passed():
                return decision
            controls, known = profiles_of(self.problem, decision.answer, 0.0), self._between
            measured = known.updated(self._compiled.simulator, self._compiled.trajectory(), controls, begin)
            self._between = measured
            if measured.worst <= most:
                return decision
            self._compiled.program.tighten(measured.at(edges))
            if look == looks - 1 or not self._solved_tighter(before, begin):
                self._between = known
                break
            decision = self._decision()
        if (held := self._last_plan(before, begin)) is not None:
            return self._as_simulated(held, _LAST_PLAN)
        note = f"the plan violates limits between its points, by up to {measured.worst:.1%}"
        return replace(decision, solves=tuple(self._compiled.solves), note=note)

    def _solved_tighter(self, before: Trajectory | None, begin: float) -> bool:
        """Whether there is an answer within tighter limits, from the plan that violates them or from the last plan."""
        if self._solved(warm=True, tuning=Tuning.NEAR, iterations=_AGAIN):
            return True
        held = self._last_plan(before, begin)
        if held is not None:
            self._compiled.start(held)
        return held is not None and self._solved_in_turn()

    def _last_plan(self, before: Trajectory | None, begin: float) -> Trajectory | None:
        """A simulation of the last plan, or of a smaller one, that keeps the limits about as well as a plan has to."""
        if before is None or self._deadline.has_passed():
            return None
        return last_plan_within_limits(self._compiled.simulator, before, begin, MOST_OF_LATER)

    def _anew(self, before: Trajectory | None, begin: float, deadline: Deadline) -> Decision:
        """The decision where the solve from the last plan has no answer."""
        simulator, held = self._compiled.simulator, self._last_plan(before, begin)
        again = self._missed in (0, _MOST_MISSED + 1)
        if held is not None and again:
            self._compiled.start(held)
            if self._solved_in_turn():
                return self._fed_again()
        none = np.zeros(self.problem.horizon.elements)  # tighter limits may have no answer any more
        self._compiled.program.tighten(dict.fromkeys(self.problem.hard_limits, none))
        guess = feasible_guess(simulator, stop=deadline.has_passed).trajectory
        if deadline.has_passed():  # the guess may be cut short, and feeds less than the last plan
            return Decision(None, (), tuple(self._compiled.solves))
        if not (kept := keeps_limits(self.problem, guess, self.problem.final)) and held is not None:
            guess, kept = held, True
        if kept and again:
            self._missed = 0
            self._compiled.program.allow_violation(0.0)
            self._compiled.start(guess)
            if self._solved_in_turn() or self._again(guess, Tuning.NEAR):
                return self._fed_again()
        self._missed += kept
        tried = self._compiled.solves[-1] if kept and self._compiled.solves else None
        decision = self._with_least_violation(guess, tried)
        if kept and (decision.answer is None or decision.violations):
            return self._as_simulated(guess if held is None else held)
        return decision

    def _fed_again(self) -> Decision:
        """The present answer or, where the cell starves in it though it grows later, that from a start without the gap."""
        compiled, before = self._compiled, self._compiled.solves[-1]
        self._missed = 0
        decision = self._decision()
        fed = None if self._deadline.has_passed() else without_feed_gap(compiled.plan())
        if fed is None:
            return decision
        compiled.start(feasible_guess(self._compiled.simulator, fed, stop=self._deadline.has_passed).trajectory)
        if self._solved_in_turn() and compiled.solves[-1].objective < before.objective - _BETTER * abs(
            before.objective
        ):
            return self._decision()
        return replace(decision, solves=(*compiled.solves[:-1], before))

    def _with_least_violation(self, guess: Trajectory, tried: Solve | None) -> Decision:
        """The objective within the least violation, of limits that the lowest controls violate or, if that fails, of all.

        ``tried`` is the last solve with the objective where a simulation keeps all limits; it is not tried again then.
        """
        violated = self.problem.violated_limits(guess)
        names = (*self.problem.hard_limits, *(f"final {name}" for name in self.problem.final))
        kept = [name for name in names if violated.get(name, 0.0) <= _KEPT]
        for hard in (kept, []) if kept else ([],):
            decision = self._violating(guess, hard, tried)
            if decision.answer is not None:
                return decision
        return decision

    def _violating(self, guess: Trajectory, kept: list[str], tried: Solve | None) -> Decision:
        """The objective within the least violation or, if that has no answer, the least violation alone."""
        program = self._compiled.program
        program.allow_violation(None, objective=False, kept=kept)
        self._compiled.start(guess)
        of_guess = program.excess
        if not self._solved(tuning=Tuning.FAR, iterations=math.inf) and not self._again(guess):
            return Decision(None, (), tuple(self._compiled.solves))
        worse = program.excess > 2.0 * of_guess + _FAR_ABOVE  # a local optimum, worse than where it began
        if worse:
            self._compiled.start(guess)
        least, answer, violations = program.excess, program.read_answer(), violations_of(program)
        none = least <= _KEPT
        room, most = (_ROOM_OF_GUESS, _MORE) if worse else (_ROOM, _KEPT)
        program.allow_violation(0.0 if none else least * (1.0 + room) + most, kept=kept)
        again = not none or tried is None
        if again and self._solved_in_turn():
            return self._decision(
                "" if none else "the limits cannot all be kept; they are violated as little as possible"
            )
        note = "the limits are kept" if none else "the limits cannot all be kept"
        note += "; no solve with the objective ended with an answer, so it was left out"
        solves = tuple(self._compiled.solves)
        if not again and tried is not None:  # the last one is that which decided: there is no optimum
            solves = (*(solve for solve in solves if solve is not tried), tried)
        return Decision(answer, () if none else violations, solves, note, simulated=worse)

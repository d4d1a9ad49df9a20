"""One step of a controller: limits first, the objective within them.

The program is compiled once and serves three problems, one after the other, by new data alone: the objective within hard
limits; where no answer keeps them, the least violation; then the objective within that violation. No price decides whether a
limit is kept.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.problem.step_data import StepData
from mmopt.results import Trajectory
from mmopt.search.between_points import BetweenPoints
from mmopt.search.elastic import Violation, simulated_violations, violations_of
from mmopt.search.feed_gap import without_feed_gap
from mmopt.search.initial_guess import feasible_guess, keeps_limits
from mmopt.search.options import Deadline
from mmopt.search.starts import last_plan_within_limits
from mmopt.solvers.ipopt import NonlinearProgram, Solve
from mmopt.solvers.ipopt_options import Tuning
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.bounds import Answer
from mmopt.transcription.compiled import CompiledProblem
from mmopt.transcription.equations import Relaxation
from mmopt.transcription.program import CollocationProgram
from mmopt.transcription.readout import profiles_of

STEP_OPTIONS: Final = {"max_iter": 200, "alpha_for_y": "primal"}

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

_USUAL: Final[tuple[tuple[Tuning, int], ...]] = ((Tuning.NEAR, 80), (Tuning.CLOSE, 100))
"""How Ipopt searches from a new guess, and in how many iterations: as usual, then close to the equations. The second alone ends
more often where no limit on dissolved oxygen is kept, but 20 batches of the demo end with 0.6 % less. The least violation has
as many iterations as the options allow."""

_MOST_TIGHTENED: Final = 8
"""Most solves of the first plan with limits that are tightened because it violates them between the points. Later plans keep to
the tighter limits without another look: that of every step would double the time of the fast ones."""

_MOST_MISSED: Final = 3
"""Steps in a row without an optimum in which only the solve from the last plan is tried; the next one tries all."""


@dataclass(frozen=True, eq=False)
class Decision:
    """What a step came to.

    Attributes
    ----------
    answer
        Controls and states; None if no solve ended with an answer.
    violations
        Limits that are violated in prediction.
    solves
        Records of the solves.
    note
        What was done where the limits could not be kept; empty otherwise.
    simulated
        Whether no solve ended with an answer as good as a simulation, and the answer is that.
    """

    answer: Answer | None
    violations: tuple[Violation, ...]
    solves: tuple[Solve, ...]
    note: str = ""
    simulated: bool = False

    @property
    def failure(self) -> str:
        """Why there is no answer of a solve, or one that violates what a simulation keeps; empty if there is a good one."""
        if self.answer is not None and not self.simulated:
            return ""
        if not self.solves:
            return "no time was left for a solve"
        if self.status.solved:
            return "the best plan violates limits more than a simulation does"
        return f"{self.status.value} ({self.solves[-1].ending})"

    @property
    def status(self) -> Status:
        """How the last solve ended; simulated, if there was nothing to choose."""
        if self.solves:
            return self.solves[-1].status
        return Status.NUMERICAL_TROUBLE if self.answer is None else Status.SIMULATED


class LimitsFirst:
    """A problem that is solved again and again, limits first.

    Parameters
    ----------
    problem, surrogate
        The problem and the surrogate of its cell.
    ipopt
        Options of Ipopt that differ from mmopt's.

    Examples
    --------
    >>> from mmopt.control.limits_first import LimitsFirst
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)}, {"acetate": (None, 2.0)})
    >>> decision = LimitsFirst(problem, load_surrogate("ecoli_ijo1366")).solve(None, 0.0)
    >>> decision.status.name, decision.violations
    ('OPTIMAL', ())
    """

    def __init__(self, problem: Problem, surrogate: SmoothCell | None, ipopt: Mapping[str, Any] | None = None) -> None:
        self._compiled = CompiledProblem(
            problem, surrogate, relaxation=Relaxation(1.0, in_turn=True), options={**STEP_OPTIONS, **(ipopt or {})}
        )
        self._parameters = {**problem.system.defaults, **problem.parameter_values}
        self._deadline = Deadline()
        self._missed, self._ways, self._between = 0, _USUAL, BetweenPoints()

    def reset(self) -> None:
        """Forget all solves, for another batch of the same problem."""
        self._missed, self._ways, self._between = 0, _USUAL, BetweenPoints()
        self._compiled.solves.clear()
        if isinstance(self._compiled.ipopt, NonlinearProgram):
            self._compiled.ipopt.reset()

    @property
    def problem(self) -> Problem:
        """The problem with the present data."""
        return self._compiled.problem

    @property
    def program(self) -> CollocationProgram:
        """The transcribed problem."""
        return self._compiled.program

    @property
    def ipopt(self) -> Any:
        """The solver that holds it."""
        return self._compiled.ipopt

    @property
    def simulators(self) -> tuple[Simulator, ...]:
        """The problem with the present data, and its surrogate, for simulations."""
        return (self._compiled.simulator,)

    def set_data(self, data: StepData) -> None:
        """Change data.

        Parameters
        ----------
        data
            The data of the next step.
        """
        known = {**self._parameters, **data.parameters}
        self._compiled.change(initial=data.states, length=data.length, parameters=known, controls=data.controls)
        self._compiled.program.set_elapsed(data.elapsed, data.before)
        for name, (low, high) in data.first.items():
            self._compiled.program.bound_first(name, low, high)

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
            return _without_choice(self._compiled)
        self._compiled.program.tighten(self._between.at(self.problem.horizon.edges(begin)))
        if before is not None:
            self._compiled.program.allow_violation(0.0)
            self._compiled.start(before, begin, self.problem.horizon.hours)
            if self._solved(warm=not self._missed, tuning=Tuning.NEAR, iterations=_QUICK):
                return self._fed_again()
        decision = self._anew(before, begin, deadline)
        return self._kept_between_points(decision, begin) if before is None else decision

    def _kept_between_points(self, decision: Decision, begin: float) -> Decision:
        """The decision or, where its plan violates limits in a simulation, that within tighter ones."""
        compiled, edges = self._compiled, self.problem.horizon.edges(begin)
        for _ in range(_MOST_TIGHTENED):
            if decision.answer is None or decision.violations or decision.simulated or self._deadline.has_passed():
                break
            controls, before = profiles_of(self.problem, decision.answer, 0.0), self._between
            self._between = before.updated(compiled.simulator, compiled.trajectory(), controls, begin)
            if not self._between.violated:
                break
            compiled.program.tighten(self._between.at(edges))
            if not self._solved(warm=True, tuning=Tuning.NEAR, iterations=_USUAL[0][1]):
                self._between = before
                return replace(decision, solves=(*compiled.solves[len(decision.solves) :], *decision.solves))
            decision = self._decision(decision.note)
        return decision

    def _anew(self, before: Trajectory | None, begin: float, deadline: Deadline) -> Decision:
        """The decision where the solve from the last plan has no answer."""
        late, simulator = deadline.has_passed(), self._compiled.simulator
        if before is not None and not late and (held := last_plan_within_limits(simulator, before, begin)) is not None:
            self._compiled.start(held)
            if self._solved_in_turn():
                return self._fed_again()
        none = np.zeros(self.problem.horizon.elements)  # tighter limits may have no answer any more
        self._compiled.program.tighten(dict.fromkeys(self.problem.hard_limits, none))
        guess = feasible_guess(simulator, stop=deadline.has_passed).trajectory
        if deadline.has_passed():  # the guess may be cut short, and feeds less than the last plan
            return Decision(None, (), tuple(self._compiled.solves))
        kept = keeps_limits(self.problem, guess, self.problem.final)
        if kept and self._missed in (0, _MOST_MISSED + 1):
            self._missed = 0
            self._compiled.program.allow_violation(0.0)
            self._compiled.start(guess)
            if self._solved_in_turn() or self._again(guess, Tuning.NEAR):
                return self._fed_again()
        self._missed += kept
        tried = self._compiled.solves[-1] if kept and self._compiled.solves else None
        decision = self._with_least_violation(guess, tried)
        if kept and (decision.answer is None or decision.violations):
            self._compiled.start(guess)
            answer = self._compiled.program.read_answer()
            return Decision(answer, (), tuple(self._compiled.solves), simulated=True)
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

    def _again(self, guess: Trajectory, tuning: Tuning = Tuning.CLOSE) -> bool:
        """Whether Ipopt has an answer from the same start when it searches in another way."""
        self._compiled.start(guess)
        return self._solved(tuning=tuning, iterations=math.inf)

    def _solved_in_turn(self) -> bool:
        """Whether Ipopt has an answer, as usual or close to the equations; first in the way that succeeded last."""
        for way in self._ways:
            if self._solved(tuning=way[0], iterations=way[1]):
                self._ways = tuple(sorted(_USUAL, key=lambda other: other != way))
                return True
        return False

    def _solved(self, *, warm: bool = False, tuning: Tuning, iterations: float) -> bool:
        if self._deadline.has_passed():
            return False
        left = self._deadline.left
        return self._compiled.solve(warm=warm, tuning=tuning, seconds=left, iterations=iterations).status.solved

    def _decision(self, note: str = "") -> Decision:
        program = self._compiled.program
        return Decision(program.read_answer(), violations_of(program), tuple(self._compiled.solves), note)


def _without_choice(compiled: CompiledProblem) -> Decision:
    """The simulation of controls that leave no choice, such as outside all windows."""
    simulated, problem = feasible_guess(compiled.simulator).trajectory, compiled.problem
    compiled.start(simulated)
    violations = simulated_violations(problem.with_hard_limits(), simulated, problem.final)
    return Decision(compiled.program.read_answer(), violations, ())

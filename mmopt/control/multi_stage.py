"""Multi-stage control: one move that suits several sets of parameters.

What is not known is a set of scenarios. The controls of the robust horizon are the same in all of them; afterwards each has its
own, since later measurements show which one is true. Limits hold in every scenario, the objective is the mean.

References
----------
Lucia, Finkler and Engell (2013), Multi-stage nonlinear model predictive control applied to a semi-batch polymerization reactor
under uncertainty, Journal of Process Control 23, 1306-1319.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mmopt.control.limits_first import LimitsFirst
from mmopt.control.step_program import STEP_OPTIONS, Decision
from mmopt.problem.choices import Choices
from mmopt.problem.goal import Goal
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.problem.step_data import StepData, mesh_of_step
from mmopt.results import Trajectory
from mmopt.search.elastic import Violation, simulated_violations, violations_of
from mmopt.search.initial_guess import feasible_guess
from mmopt.search.options import Deadline
from mmopt.search.scenario_starts import Scenarios, ScenarioStart, controls_of, scenario_problems
from mmopt.solvers.compiled_nlp import Solve
from mmopt.solvers.ipopt_options import Tuning
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.equations import Relaxation
from mmopt.transcription.readout import outline_of
from mmopt.transcription.scenario_program import ScenarioProgram

_QUICK: Final = 130
_USUAL: Final = ((Tuning.NEAR, 100), (Tuning.CLOSE, 100))
_LEAST: Final = ((Tuning.FAR, math.inf), (Tuning.CLOSE, math.inf))
"""How Ipopt searches, and in how many iterations: from the last plans, from a guess, and for the least violation."""

_KEPT: Final = 1.0e-6
"""Violation, as a mean over the points in scales, up to which limits count as kept."""

_ROOM: Final = 1.0e-3
"""Room that the objective has beyond the least violation, as a fraction of it."""

_SAME_TIME: Final = 1.0e-9


class _StepProgram(ScenarioProgram):
    """The scenarios of a step, with the data of the step and the violations it may have.

    ``elements`` are the numbers of the first ones in which controls are the same in all scenarios, and have one value.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        surrogate: SmoothCell | None,
        data: StepData,
        ipopt: Mapping[str, Any],
        elements: tuple[int, int],
    ) -> None:
        goal = Goal(np.full(len(problems), 1.0 / len(problems)), worst=False)
        self.data = data
        self.violation: Sequence[float | None] = [0.0] * len(problems)
        self.objective = True
        options = {**STEP_OPTIONS, **ipopt}
        relaxation = Relaxation(1.0, in_turn=True)
        shared, held = elements
        super().__init__(problems, surrogate, goal, relaxation=relaxation, ipopt=options, shared=shared, held=held)

    def _set_data(self, number: int) -> None:
        super()._set_data(number)
        self.program.set_elapsed(self.data.elapsed, self.data.before)
        for name, (low, high) in self.data.first.items():
            self.program.bound_first(name, low, high)
        self.program.allow_violation(self.violation[number], objective=self.objective)


class MultiStage:
    """A problem with several sets of parameters that is solved again and again, limits first.

    Parameters
    ----------
    problem, surrogate
        The problem and the surrogate of its cell.
    scenarios
        Parameters of every scenario that differ from the problem's. Where a parameter is estimated, the ratio to the problem's
        value stays.
    robust_horizon
        Hours in which all scenarios have the same controls [h].
    ipopt
        Options of Ipopt that differ from mmopt's.
    held
        Hours for which controls are held, as for `LimitsFirst` [h].

    Raises
    ------
    StudyError
        If a scenario is no mapping, a parameter is unknown or to be chosen, or a value is no finite number.

    Examples
    --------
    >>> from mmopt.control.multi_stage import MultiStage
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)}, {"acetate": (None, 2.0)})
    >>> solver = MultiStage(problem, load_surrogate("ecoli_ijo1366"), [{"kla": 250.0}, {"kla": 350.0}], 1.0)
    >>> decision = solver.solve(None, 0.0)
    >>> decision.status.name, decision.violations
    ('OPTIMAL', ())
    """

    def __init__(
        self,
        problem: Problem,
        surrogate: SmoothCell | None,
        scenarios: Sequence[Mapping[str, float]],
        robust_horizon: float,
        ipopt: Mapping[str, Any] | None = None,
        held: float | None = None,
    ) -> None:
        self._held = held
        self._nominal, self._surrogate = problem, surrogate
        self._scenarios, self._robust_horizon, self._ipopt = tuple(scenarios), robust_horizon, dict(ipopt or {})
        self._programs: dict[int, _StepProgram] = {}
        self._single = LimitsFirst(problem, surrogate, ipopt, held)
        self._problems = tuple(scenario_problems(problem, scenarios))
        self._data = StepData(0.0, problem.start_values, problem.horizon.hours, problem.controls)
        self._last: tuple[Trajectory, ...] = ()
        self._warm: _StepProgram | None = None
        self._solves: list[Solve] = []

    def reset(self) -> None:
        """Forget all solves, for another batch of the same problem."""
        self._single.reset()
        self._last, self._warm = (), None
        self._solves = []

    @property
    def settings(self) -> tuple[Any, float]:
        """The scenarios, and the robust horizon [h]."""
        return self._scenarios, self._robust_horizon

    @property
    def problem(self) -> Problem:
        """The problem with the present data, of the first scenario."""
        return self._problems[0]

    @property
    def simulators(self) -> tuple[Simulator, ...]:
        """The problem with the present data in every scenario, and its surrogate, for simulations."""
        return tuple(Simulator(problem, self._surrogate) for problem in self._problems)

    def set_data(self, data: StepData) -> None:
        """Change data.

        Parameters
        ----------
        data
            The data of the next step.
        """
        known = self._nominal
        changed = replace(
            known,
            initial={**known.initial, **data.states},
            horizon=mesh_of_step(known.horizon, data.length, self._held),
            controls={**known.controls, **data.controls},
        )
        self._problems, self._data = self._in_scenarios(changed, data.parameters), data

    def _in_scenarios(self, problem: Problem, estimates: Mapping[str, float]) -> tuple[Problem, ...]:
        """A problem with the parameters of every scenario."""
        usual = {**problem.system.defaults, **self._nominal.parameter_values}
        problems = []
        for scenario in self._scenarios:
            own = {name: value * _ratio(estimates.get(name), usual[name]) for name, value in scenario.items()}
            problems.append(replace(problem, parameters={**problem.parameters, **estimates, **own}))
        return tuple(problems)

    def _program(self) -> _StepProgram:
        """The program whose elements of the robust horizon are shared, with the present data."""
        edges = self.problem.horizon.edges()
        horizon = self._nominal.horizon
        held = 0 if self._held is None else horizon.elements_within(self._held)
        shared = max(1, held, int(np.sum(edges[:-1] < self._robust_horizon - _SAME_TIME)))
        if not self._programs:
            problems = [replace(problem, horizon=horizon) for problem in self._problems]
            program = _StepProgram(problems, self._surrogate, self._data, self._ipopt, (shared, held))
            self._programs[shared] = program
        if shared not in self._programs:
            self._programs[shared] = next(iter(self._programs.values())).sharing(shared)
        program = self._programs[shared]
        program.problems, program.data = self._problems, self._data
        program.violation, program.objective = [0.0] * len(self._problems), True
        return program

    def solve(self, before: Trajectory | None, begin: float, deadline: Deadline = Deadline()) -> Decision:  # noqa: B008
        """Solve with hard limits in all scenarios or, where that has no answer, with the least violation.

        Parameters
        ----------
        before
            The last plan of the first scenario; None if there is none.
        begin
            Time of it at which this step begins [h].
        deadline
            When to stop.

        Returns
        -------
        Decision
            That of the first scenario, with the violations of all.
        """
        self._solves, program = [], self._program()
        if all(variable.lb == variable.ub for variable in program.load(0).decisions()):
            return self._simulated(program, self._guess(), no_choice=True)
        if before is not None and self._last:
            program.start(self._last, begin=begin, length=self.problem.horizon.hours)
            if self._solved(program, deadline, ((Tuning.NEAR, _QUICK),), warm=self._warm is program):
                return self._decision(program, "")
        alone = self._alone(before, begin, deadline)
        if alone:
            program.start(alone)
            if self._solved(program, deadline, _USUAL):
                return self._decision(program, "")
        guess = self._guess()
        if guess is None:
            return Decision(None, (), tuple(self._solves))
        program.start(guess.trajectories)
        if guess.keeps and self._solved(program, deadline, _USUAL):
            return self._decision(program, "")
        return self._with_least_violation(program, guess, deadline)

    def _with_least_violation(self, program: _StepProgram, guess: ScenarioStart, deadline: Deadline) -> Decision:
        """The objective within the least violation of limits or, if that has no answer, the least violation alone."""
        program.violation, program.objective = [None] * len(self._problems), False
        program.start(guess.trajectories)
        if guess.keeps or not self._solved(program, deadline, _LEAST):
            return self._simulated(program, guess)
        least = [program.load(number).excess for number in range(len(self._problems))]
        note = "the limits cannot all be kept in all scenarios"
        if max(least) <= _KEPT:
            least, note = [0.0] * len(least), ""
        decision = self._decision(program, note)
        program.violation = [one and one * (1.0 + _ROOM) + _KEPT for one in least]
        program.objective = True
        program.start(self._last)
        if self._solved(program, deadline, _USUAL):
            return self._decision(program, note)
        return replace(decision, note=f"{note or 'the limits are kept'}; the objective was left out")

    def _alone(self, before: Trajectory | None, begin: float, deadline: Deadline) -> list[Trajectory]:
        """The plan of every scenario by itself, one from the other; none if one violates limits."""
        plans: list[Trajectory] = []
        for problem in self._problems:
            data = replace(self._data, parameters=problem.parameter_values)
            self._single.set_data(data)
            decision = self._single.solve(before, begin, deadline)
            self._solves.extend(decision.solves)
            if decision.answer is None or decision.violations:
                return []
            before, begin = outline_of(problem, decision.answer, data.elapsed), data.elapsed
            plans.append(before)
        return plans

    def _guess(self) -> ScenarioStart | None:
        """Controls that keep the limits in all scenarios, if lowering them does it; None if a simulation fails."""
        known = Scenarios(self._problems, self._surrogate, Goal(np.full(len(self._problems), 1.0), worst=False))
        simulator = known.simulator(0, Choices())
        guess = feasible_guess(simulator).trajectory
        start = known.simulated("guess", controls_of(simulator.problem, guess), Choices())
        return None if start is None else known.lowered(start)

    def _solved(
        self, program: _StepProgram, deadline: Deadline, ways: Sequence[tuple[Tuning, float]], *, warm: bool = False
    ) -> bool:
        """Whether Ipopt has an answer in one of the ways."""
        for tuning, iterations in ways:
            if deadline.has_passed():
                return False
            solve = program.solve(deadline.left, warm=warm, tuning=tuning, iterations=iterations)
            self._solves.append(solve)
            if solve.status.solved:
                return True
        return False

    def _decision(self, program: _StepProgram, note: str) -> Decision:
        """The present answer, with the largest violations of all scenarios."""
        worst: dict[tuple[str, str, bool], Violation] = {}
        last, first = [], None
        for number in range(len(self._problems)):
            loaded = program.load(number)
            answer = loaded.read_answer()
            last.append(outline_of(loaded.problem, answer, self._data.elapsed))
            first = first or answer
            for violation in violations_of(loaded):
                key = (violation.name, violation.side, violation.at_end)
                if key not in worst or violation.by > worst[key].by:
                    worst[key] = violation
        self._last, self._warm = tuple(last), program
        return Decision(first, tuple(worst.values()), tuple(self._solves), note)

    def _simulated(self, program: _StepProgram, guess: ScenarioStart | None, *, no_choice: bool = False) -> Decision:
        """The simulation of a guess that keeps the limits, where no solve ended with an answer, or of all there is."""
        if guess is None:
            return Decision(None, (), tuple(self._solves))
        program.violation = [None] * len(self._problems)
        program.start(guess.trajectories)
        violations = simulated_violations(
            self.problem.with_hard_limits(), guess.trajectories[guess.strictest], self.problem.final
        )
        answer = program.load(0).read_answer() if guess.keeps or no_choice else None
        return Decision(answer, violations, tuple(self._solves), simulated=guess.keeps and not no_choice)


def _ratio(estimate: float | None, usual: float) -> float:
    """By what a parameter of a scenario is multiplied, where it is estimated."""
    return 1.0 if estimate is None or usual == 0.0 else estimate / usual

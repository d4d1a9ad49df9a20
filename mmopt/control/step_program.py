"""The program of a controller's steps, solved again and again with new data, and what a step came to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.problem.step_data import StepData, mesh_of_step
from mmopt.results import Trajectory
from mmopt.search.elastic import Violation, simulated_violations, violations_of
from mmopt.search.initial_guess import feasible_guess
from mmopt.search.options import Deadline
from mmopt.solvers.ipopt import NonlinearProgram, Solve
from mmopt.solvers.ipopt_options import Tuning
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.bounds import Answer
from mmopt.transcription.compiled import CompiledProblem
from mmopt.transcription.equations import Relaxation
from mmopt.transcription.program import CollocationProgram

STEP_OPTIONS: Final = {"max_iter": 200, "alpha_for_y": "primal"}

USUAL: Final[tuple[tuple[Tuning, int], ...]] = ((Tuning.NEAR, 80), (Tuning.CLOSE, 100))
"""How Ipopt searches from a new guess, and in how many iterations: as usual, then close to the equations. The second alone ends
more often where no limit on dissolved oxygen is kept, but 20 batches of the demo end with 0.6 % less. The least violation has
as many iterations as the options allow."""


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
    def whole(self) -> bool:
        """Whether the objective was maximised and all limits are kept."""
        return self.answer is not None and not (self.violations or self.note or self.simulated)

    @property
    def status(self) -> Status:
        """How the last solve ended; simulated, if there was nothing to choose."""
        if self.solves:
            return self.solves[-1].status
        return Status.NUMERICAL_TROUBLE if self.answer is None else Status.SIMULATED


class StepProgram:
    """A problem that is compiled once, with hard limits, the least violation and the objective within it by data alone.

    Parameters
    ----------
    problem, surrogate, ipopt, held
        As for `LimitsFirst`.

    Examples
    --------
    >>> from mmopt.control.step_program import StepProgram
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)})
    >>> step = StepProgram(problem, load_surrogate("ecoli_ijo1366"), held=0.5)
    >>> step.set_data(StepData(3.0, start, 1.0, problem.controls))
    >>> step.problem.horizon.edges().round(3).tolist()
    [0.0, 0.5, 0.667, 0.833, 1.0]
    """

    def __init__(
        self,
        problem: Problem,
        surrogate: SmoothCell | None,
        ipopt: Mapping[str, Any] | None = None,
        held: float | None = None,
    ) -> None:
        self._horizon, self._held = problem.horizon, held
        self._compiled = CompiledProblem(
            problem,
            surrogate,
            relaxation=Relaxation(1.0, in_turn=True),
            options={**STEP_OPTIONS, **(ipopt or {})},
            held=0 if held is None else problem.horizon.elements_within(held),
        )
        self._parameters = {**problem.system.defaults, **problem.parameter_values}
        self._deadline = Deadline()
        self._ways = USUAL

    def reset(self) -> None:
        """Forget all solves, for another batch of the same problem."""
        self._ways = USUAL
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
        mesh = mesh_of_step(self._horizon, data.length, self._held).mesh
        self._compiled.change(
            initial=data.states, length=data.length, mesh=mesh, parameters=known, controls=data.controls
        )
        self._compiled.program.set_elapsed(data.elapsed, data.before)
        for name, (low, high) in data.first.items():
            self._compiled.program.bound_first(name, low, high)

    def _again(self, guess: Trajectory, tuning: Tuning = Tuning.CLOSE) -> bool:
        """Whether Ipopt has an answer from the same start when it searches in another way."""
        self._compiled.start(guess)
        return self._solved(tuning=tuning, iterations=math.inf)

    def _solved_in_turn(self) -> bool:
        """Whether Ipopt has an answer, as usual or close to the equations; first in the way that succeeded last."""
        for way in self._ways:
            if self._solved(tuning=way[0], iterations=way[1]):
                self._ways = tuple(sorted(USUAL, key=lambda other: other != way))
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

    def _as_simulated(self, trajectory: Trajectory, note: str = "") -> Decision:
        """The decision for a simulation."""
        self._compiled.start(trajectory)
        return Decision(self.program.read_answer(), (), tuple(self._compiled.solves), note, simulated=True)

    def _without_choice(self) -> Decision:
        """The simulation of controls that leave no choice, such as outside all windows."""
        simulated, problem = feasible_guess(self._compiled.simulator).trajectory, self.problem
        self._compiled.start(simulated)
        violations = simulated_violations(problem.with_hard_limits(), simulated, problem.final)
        return Decision(self.program.read_answer(), violations, ())

"""The advanced step: the next step is solved ahead for the state that is predicted, and moved along when the sample arrives.

A sample differs little from its prediction. So the optimum for the prediction, solved between two steps, is moved by the
linearised optimality conditions, which takes a millisecond. Where other limits become active, the step is solved as usual.

References
----------
Zavala and Biegler (2009), The advanced-step NMPC controller: optimality, stability and robustness, Automatica 45, 86-93.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final

import numpy as np

from mmopt.control.limits_first import LimitsFirst
from mmopt.control.multi_stage import MultiStage
from mmopt.control.step_program import Decision
from mmopt.errors import StudyError
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.problem.step_data import StepData
from mmopt.reactor.quantities import Quantity
from mmopt.results import Trajectory
from mmopt.search.options import Deadline
from mmopt.solvers.compiled_nlp import Solve
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.solvers.kkt import KktSystem
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.bounds import Answer
from mmopt.transcription.scaling import from_variable, to_variable

MOVED: Final = "the optimum solved ahead was moved along"

_SAME_TIME: Final = 1.0e-9


@dataclass(frozen=True, eq=False)
class _Ahead:
    """A step that was solved ahead: its data, its answer, and where its variables are among those of the system."""

    data: StepData
    answer: Answer
    system: KktSystem
    problem: Problem
    scaled: Mapping[str, Quantity]
    given: Mapping[str, int]
    controls: Mapping[str, list[int]]
    states: Mapping[str, tuple[list[int], list[int]]]
    """Of every state: the points at which it has a variable, and where that is."""

    def moved(self, data: StepData) -> Answer | None:
        """The answer for other states and parameters; None where other limits become active."""
        if not _differ_in_measured_alone(self.data, data):
            return None
        values = {**data.states, **data.parameters}
        names = [name for name in self.given if name in values]
        wanted = [
            to_variable(self.scaled[name], values[name]) if name in self.states else values[name] for name in names
        ]
        moved = self.system.moved(np.array([self.given[name] for name in names]), np.array(wanted, dtype=float))
        if moved is None:
            return None
        problem, rows = self.problem, self.answer.states.copy()
        for row, (name, (points, positions)) in zip(rows, self.states.items(), strict=True):
            row[points] = from_variable(self.scaled[name], moved[positions])
        controls = {
            name: tuple(np.clip(moved[positions] * problem.scales[name], control.low, control.high).tolist())
            for (name, positions), control in zip(self.controls.items(), problem.controls.values(), strict=True)
        }
        return replace(self.answer, controls=controls, states=rows)


class AdvancedStep:
    """A solver of steps that solves ahead.

    Parameters
    ----------
    solver
        The solver of whole steps.

    Examples
    --------
    >>> from mmopt.control.advanced_step import AdvancedStep
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)}, {"volume": (None, 2.2)})
    >>> solver = AdvancedStep(LimitsFirst(problem, load_surrogate("ecoli_ijo1366")))
    >>> data = StepData(0.0, start, 4.0, problem.controls)
    >>> solver.set_data(data)
    >>> decision = solver.look_ahead(None, 0.0)
    >>> solver.set_data(replace(data, states={**start, "biomass": 1.01}))
    >>> solver.solve(None, 0.0).note
    'the optimum solved ahead was moved along'
    """

    def __init__(self, solver: LimitsFirst) -> None:
        self._solver = solver
        self._data: StepData | None = None
        self._ahead: _Ahead | None = None

    def reset(self) -> None:
        """Forget all solves, for another batch of the same problem."""
        self._solver.reset()
        self._data = self._ahead = None

    @property
    def problem(self) -> Problem:
        """The problem with the data of the last solve."""
        return self._solver.problem

    @property
    def simulators(self) -> tuple[Simulator, ...]:
        """The problem with the data of the last solve, and its surrogate, for simulations."""
        return self._solver.simulators

    def set_data(self, data: StepData) -> None:
        """Change data; the program has them where the step is solved.

        Parameters
        ----------
        data
            The data of the next step.
        """
        self._data = data

    def solve(self, before: Trajectory | None, begin: float, deadline: Deadline = Deadline()) -> Decision:  # noqa: B008
        """Move the optimum that was solved ahead or, where that is not possible, solve.

        Parameters
        ----------
        before, begin, deadline
            As for `LimitsFirst.solve`.

        Returns
        -------
        Decision
        """
        started, ahead = perf_counter(), self._ahead
        self._ahead = None
        if ahead is not None and self._data is not None and (answer := ahead.moved(self._data)) is not None:
            solve = Solve(Status.OPTIMAL, 0, perf_counter() - started, float("nan"), MOVED)
            return Decision(answer, (), (solve,), MOVED)
        return self._solved(before, begin, deadline)

    def look_ahead(self, before: Trajectory | None, begin: float, deadline: Deadline = Deadline()) -> Decision:  # noqa: B008
        """Solve for predicted data, and prepare to move the optimum.

        Parameters
        ----------
        before, begin, deadline
            As for `LimitsFirst.solve`.

        Returns
        -------
        Decision
        """
        self._ahead = None
        decision = self._solved(before, begin, deadline)
        if decision.answer is not None and decision.whole:
            self._ahead = self._prepared(decision.answer)
        return decision

    def _solved(self, before: Trajectory | None, begin: float, deadline: Deadline) -> Decision:
        if self._data is not None:
            self._solver.set_data(self._data)
        return self._solver.solve(before, begin, deadline)

    def _prepared(self, answer: Answer) -> _Ahead | None:
        """The answer with all it takes to move it; None if the program does not hold it."""
        program, ipopt = self._solver.program, self._solver.ipopt
        if program.read_answer().controls != answer.controls or not isinstance(ipopt, NonlinearProgram):
            return None
        system = ipopt.kkt_system()
        if system is None or self._data is None:
            return None
        variables = program.variables
        positions = dict(zip(variables.data, ipopt.positions(list(variables.data.values())), strict=True))
        return _Ahead(
            self._data,
            answer,
            system,
            program.problem,
            variables.scaled,
            {name: position for name, position in positions.items() if position is not None},
            {name: _known(ipopt.positions(own))[1] for name, own in variables.controls.items()},
            {name: _known(ipopt.positions(own)) for name, own in variables.states.items()},
        )


def step_solver(
    problem: Problem,
    surrogate: SmoothCell | None,
    interval: float,
    robust: tuple[Sequence[Mapping[str, float]], float],
    advanced: bool,
    ipopt: Mapping[str, Any] | None,
) -> LimitsFirst | MultiStage | AdvancedStep:
    """Return a solver of steps: of one or several scenarios, or one that solves ahead.

    Parameters
    ----------
    problem, surrogate, ipopt
        As for `LimitsFirst`.
    interval
        Time between moves, in which controls are held [h].
    robust
        Parameters of the scenarios, none for the problem alone, and the robust horizon [h].
    advanced
        Whether it solves ahead.

    Returns
    -------
    LimitsFirst, MultiStage or AdvancedStep

    Raises
    ------
    StudyError
        If it is to solve ahead for several scenarios, or a scenario is wrong.
    """
    scenarios, hours = robust
    if len(scenarios):
        if advanced:
            raise StudyError("advanced_step is for one set of parameters; leave it or the scenarios out")
        return MultiStage(problem, surrogate, scenarios, hours, ipopt, interval)
    whole = LimitsFirst(problem, surrogate, ipopt, interval)
    return AdvancedStep(whole) if advanced else whole


def _differ_in_measured_alone(data: StepData, other: StepData) -> bool:
    """Whether nothing but the values of states and parameters differs."""
    if abs(data.elapsed - other.elapsed) > _SAME_TIME or data.parameters.keys() != other.parameters.keys():
        return False
    same = {"elapsed": 0.0, "length": 0.0, "states": {}, "parameters": {}}
    return replace(data, **same) == replace(other, **same)  # type: ignore[arg-type]


def _known(positions: list[int | None]) -> tuple[list[int], list[int]]:
    """Numbers of the variables that have a position, and their positions."""
    known = [(number, position) for number, position in enumerate(positions) if position is not None]
    return [number for number, _ in known], [position for _, position in known]

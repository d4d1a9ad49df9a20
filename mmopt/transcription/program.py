"""The transcribed problem: the one owner of its Pyomo components.

Data and limits are bounds of variables, so that new ones need no new program. What others need (values to start from, the
answer, multipliers of limits) goes through the methods here; the names of Pyomo components stay in this file and in
`mmopt.transcription.equations`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyomo.environ as pyo

from mmopt.problem.checks import Given
from mmopt.problem.choices import Choices
from mmopt.problem.control import LINES, Control
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.results import Trajectory
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.bounds import BoundedQuantity, bounded_quantities
from mmopt.transcription.equations import (
    HARD,
    Relaxation,
    element_at,
    state_at,
    value_count,
    write_equations,
)
from mmopt.transcription.scaling import from_variable, to_variable
from mmopt.transcription.starting import start_from


@dataclass(frozen=True, eq=False)
class Answer:
    """The present values of a program.

    Attributes
    ----------
    choices
        What was chosen besides the controls.
    controls
        Values of every control: one an element or, of lines, one an edge, in their units.
    fractions
        Collocation points as fractions of the length, shape (points,).
    states
        States in their units, shape (states, points).
    """

    choices: Choices
    controls: Mapping[str, tuple[float, ...]]
    fractions: np.ndarray
    states: np.ndarray


class CollocationProgram:
    """A problem as a nonlinear program.

    Parameters
    ----------
    problem
        The problem.
    surrogate
        Surrogate of its cell; None for a system without one.
    relaxation
        Which limits are soft; by default those with a price of their own.
    formulation
        How the surrogate is written, see `mmopt.transcription.transcribe`.
    block
        A Pyomo block to write into, for several programs in one; its objective is then left to the caller.

    Attributes
    ----------
    problem
        The problem, with the present data.
    pyomo
        The Pyomo problem or block.

    Raises
    ------
    StudyError, DomainError
        If the surrogate does not fit the system, or the system can request more uptake than it was trained for.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> CollocationProgram(problem, load_surrogate("ecoli_ijo1366")).size > (50, 50)
    True
    """

    def __init__(
        self,
        problem: Problem,
        surrogate: Surrogate | None = None,
        *,
        relaxation: Relaxation = HARD,
        formulation: str = "reduced_space",
        block: Any = None,
    ) -> None:
        Simulator(problem, surrogate).cell()
        self.problem = problem
        self._surrogate = surrogate
        self.pyomo = pyo.ConcreteModel(name="dynamic optimisation") if block is None else block
        write_equations(self.pyomo, problem, surrogate, relaxation, formulation)
        self._states = {state.name: state for state in self.pyomo.scaled_states}
        self.set_data(
            problem,
            initial=problem.initial,
            length=problem.horizon.length,
            parameters={**problem.system.defaults, **problem.parameters},
        )
        if block is None:
            self.pyomo.cost = pyo.Objective(expr=self.cost(relaxation.objective))

    @cached_property
    def size(self) -> tuple[int, int]:
        """Numbers of variables and of constraints."""
        count = self.pyomo.component_data_objects
        return sum(1 for _ in count(pyo.Var)), sum(1 for _ in count(pyo.Constraint, active=True))

    @property
    def hours(self) -> float:
        """Present length [h]."""
        return float(self.pyomo.length.value)

    def cost(self, objective: bool = True) -> Any:
        """Return what is to be minimised, as an expression.

        Parameters
        ----------
        objective
            Whether the objective counts; else violations alone, and a small fraction of the move penalty.

        Returns
        -------
        Pyomo expression
        """
        aim = -self.pyomo.aim if objective else 0.0
        return aim + self.move_penalty(objective) + self.pyomo.violation

    def move_penalty(self, objective: bool = True) -> Any:
        """Return the penalty of moves of the controls, as an expression.

        Parameters
        ----------
        objective
            Whether the objective counts, too; else a small fraction of the penalty is returned.

        Returns
        -------
        Pyomo expression
        """
        return self.pyomo.moves * (1.0 if objective else _LITTLE)

    def set_data(
        self,
        problem: Problem,
        *,
        initial: Mapping[str, Given] | None = None,
        length: Given | None = None,
        parameters: Mapping[str, Given] | None = None,
    ) -> None:
        """Change data and limits; they are bounds, so no equation is written again.

        Parameters
        ----------
        problem
            The problem with the new data, of the same structure.
        initial, length, parameters
            The data that changed: states and parameters by name, or ranges, and the length [h].
        """
        block = self.pyomo
        for name, given in (initial or {}).items():
            state = self._states[name]
            low, high = given if isinstance(given, tuple) else (given, given)
            _fix_or_bound(state_at(block, name, 0.0), (to_variable(state, low), to_variable(state, high)))
        if length is not None:
            _fix_or_bound(block.length, length)
        for name, given in (parameters or {}).items():
            _fix_or_bound(block.parameter[name], given)
        for name, control in problem.controls.items():
            scale = problem.scales[name]
            for k, free in enumerate(_free_values(problem, control)):
                block.control[name, k].setlb(control.low / scale)
                block.control[name, k].setub((control.high if free else control.low) / scale)
        for (name, _), variable in block.limited.items():
            _bound(variable, problem.limits[name])
        for name, variable in block.at_end.items():
            _bound(variable, problem.final[name])
        self.problem = problem

    def tighten(self, back_off: Mapping[str, np.ndarray]) -> None:
        """Tighten limits.

        Parameters
        ----------
        back_off
            By limited quantity: back-off of each element, in its unit, shape (elements,).
        """
        for name, amounts in back_off.items():
            low, high = self.problem.limits[name]
            for t in self.pyomo.inner:
                by = float(amounts[element_at(self.problem, t)])
                _bound(
                    self.pyomo.limited[name, t],
                    (None if low is None else low + by, None if high is None else high - by),
                )

    def start_from(self, trajectory: Trajectory, begin: float | None = None) -> None:
        """Set every variable from a trajectory.

        Parameters
        ----------
        trajectory
            States and controls over time.
        begin
            Time of the trajectory at which the horizon begins [h]; its first time by default.
        """
        start_from(self.pyomo, self.problem, self._surrogate, trajectory, begin)

    def read_answer(self) -> "Answer":
        """Return the present values of everything that was chosen, and of the states."""
        points, states = sorted(self.pyomo.time), self.pyomo.scaled_states
        rows = [[from_variable(state, state_at(self.pyomo, state.name, t).value) for t in points] for state in states]
        return Answer(self._choices(), self._controls(), np.array(points), np.array(rows))

    def _choices(self) -> Choices:
        """What was chosen besides the controls."""
        block, problem = self.pyomo, self.problem

        def read(value: float, given: tuple[float, float]) -> float:
            return float(np.clip(value, *given))

        length = problem.horizon.length
        return Choices(
            read(block.length.value, length) if isinstance(length, tuple) else None,
            {
                name: read(from_variable(self._states[name], state_at(block, name, 0.0).value), given)
                for name, given in problem.initial.items()
                if isinstance(given, tuple)
            },
            {
                name: read(block.parameter[name].value, given)
                for name, given in problem.parameters.items()
                if isinstance(given, tuple)
            },
        )

    def _controls(self) -> dict[str, tuple[float, ...]]:
        """Values of every control on each element or, of lines, at each edge, in their units."""
        scales, count = self.problem.scales, value_count
        return {
            # Ipopt relaxes bounds by 1e-8; a pump does not
            name: tuple(
                float(np.clip(self.pyomo.control[name, k].value * scales[name], control.low, control.high))
                for k in range(count(self.problem, control))
            )
            for name, control in self.problem.controls.items()
        }

    def decisions(self) -> list[Any]:
        """Return the variables of everything that is chosen: controls, then length, initial states and parameters."""
        block, problem = self.pyomo, self.problem
        chosen = [block.length] if isinstance(problem.horizon.length, tuple) else []
        chosen += [state_at(block, name, 0.0) for name, given in problem.initial.items() if isinstance(given, tuple)]
        chosen += [block.parameter[name] for name, given in problem.parameters.items() if isinstance(given, tuple)]
        return [*block.control.values(), *chosen]

    def bounded_quantities(self) -> Iterator[BoundedQuantity]:
        """Return limits at all times, limits at the end, and controls, with their variables."""
        return bounded_quantities(self.pyomo, self.problem)


_LITTLE = 1.0e-2
"""Weight of the move penalty where only violations are minimised."""


def _free_values(problem: Problem, control: Control) -> np.ndarray:
    """Whether a control may leave its lowest value, for each value it has."""
    inside = control.is_free(problem.horizon.edges())
    if control.shape != LINES:
        return inside
    free: np.ndarray = np.append(inside, True) & np.insert(inside, 0, True)
    return free


def _bound(variable: Any, pair: tuple[float | None, float | None]) -> None:
    low, high = pair
    variable.setlb(low)
    variable.setub(high)


def _fix_or_bound(variable: Any, given: Given) -> None:
    """Give a variable equal bounds, or its range."""
    low, high = given if isinstance(given, tuple) else (given, given)
    variable.setlb(low)
    variable.setub(high)
    variable.set_value((low + high) / 2.0, skip_validation=True)

"""The transcribed problem: the one owner of its Pyomo components.

Data and limits are bounds of variables, so that new ones need no new program. What others need (values to start from, the
answer, multipliers of limits) goes through the methods here; the names of Pyomo components stay in this file and in
`mmopt.transcription.equations`.
"""

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pyomo.environ as pyo

from mmopt.problem.checks import Given
from mmopt.problem.control import LINES, Control
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.results import Trajectory
from mmopt.solvers.nlp import fix_or_bound
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.aim import set_tracking
from mmopt.transcription.bounds import (
    Answer,
    BoundedQuantity,
    ProgramVariables,
    answer_of,
    bounded_quantities,
    variables_of,
)
from mmopt.transcription.equations import HARD, Relaxation, write_equations
from mmopt.transcription.points import element_at, set_mesh, state_at
from mmopt.transcription.scaling import to_variable
from mmopt.transcription.starting import start_from


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
    held
        Number of the first elements in which the controls have one value; 0: every element has its own.
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
        surrogate: SmoothCell | None = None,
        *,
        relaxation: Relaxation = HARD,
        formulation: str = "reduced_space",
        held: int = 0,
        block: Any = None,
    ) -> None:
        Simulator(problem, surrogate).cell()
        self.problem = problem
        self._surrogate = surrogate
        self.pyomo = pyo.ConcreteModel(name="dynamic optimisation") if block is None else block
        write_equations(self.pyomo, problem, surrogate, relaxation, formulation, held)
        self._states = {state.name: state for state in self.pyomo.scaled_states}
        self.set_data(
            problem,
            initial=problem.initial,
            length=problem.horizon.length,
            parameters={**problem.system.defaults, **problem.parameters},
        )
        if relaxation.in_turn:
            for name, value in problem.start_values.items():
                fix_or_bound(self.pyomo.start[name], value)
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
        block = self.pyomo
        if block.in_turn:
            weight = block.objective_weight
            return weight * (block.moves + block.violation - block.aim) + (1.0 - weight) * (
                block.excess + _LITTLE * block.moves
            )
        aim = -block.aim if objective else 0.0
        return aim + self.move_penalty(objective) + block.violation

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
        set_mesh(block, problem)
        for name, given in (initial or {}).items():
            state = self._states[name]
            low, high = given if isinstance(given, tuple) else (given, given)
            fix_or_bound(state_at(block, name, 0.0), (to_variable(state, low), to_variable(state, high)))
        if length is not None:
            fix_or_bound(block.length, length)
        for name, given in (parameters or {}).items():
            fix_or_bound(block.parameter[name], given)
        for name, control in problem.controls.items():
            scale = problem.scales[name]
            inside = _free_values(problem, control)
            inside[: block.held[name]] = inside[: block.held[name]].all()
            for k, free in enumerate(inside):
                block.control[name, k].setlb(control.low / scale)
                block.control[name, k].setub((control.high if free else control.low) / scale)
        for (name, _), variable in block.limited.items():
            _bound(variable, problem.limits[name])
        for name, variable in block.at_end.items():
            _bound(variable, problem.final[name])
        set_tracking(block, problem)
        self.problem = problem

    def allow_violation(self, most: float | None, *, objective: bool = True, kept: Collection[str] = ()) -> None:
        """Set by how much limits without a price may be violated in all, in a program that takes both in turn.

        Parameters
        ----------
        most
            Largest violation, as the mean over the collocation points of the violations in scales; 0 for hard limits, None for
            any.
        objective
            Whether the objective is maximised within it; else the violation is minimised.
        kept
            Limits that stay hard; those at the end are named ``final <name>``.
        """
        block = self.pyomo
        for kind, soft, prefix in (("limited", self.problem.soft, ""), ("at_end", {}, "final ")):
            for side in ("below", "above"):
                for index, slack in block.component(f"{kind}_{side}").items():
                    name = index[0] if isinstance(index, tuple) else index
                    if name not in soft:
                        hard = most == 0.0 or f"{prefix}{name}" in kept
                        slack.setub(0.0 if hard else None)
                        slack.set_value(0.0 if hard else slack.value, skip_validation=True)
        block.excess.setub(most)
        fix_or_bound(block.objective_weight, 1.0 if objective else 0.0)

    def set_elapsed(self, hours: float, before: Mapping[str, float] | None = None) -> None:
        """Set the hours since the start of the batch, for the objective of a program that keeps to it.

        Parameters
        ----------
        hours
            Hours since the start [h].
        before
            Controls that were applied last, in their units; by default those before the batch.
        """
        fix_or_bound(self.pyomo.elapsed, hours)
        set_tracking(self.pyomo, self.problem, hours, before)

    def bound_first(self, name: str, low: float, high: float) -> None:
        """Narrow the range of the first value of a control.

        Parameters
        ----------
        name
            The control.
        low, high
            The range, in its unit; what lies outside the range of the control is not added to it.
        """
        first, scale = self.pyomo.control[name, 0], self.problem.scales[name]
        lower, upper = first.lb, first.ub
        first.setlb(min(max(low / scale, lower), upper))
        first.setub(max(min(high / scale, upper), lower))

    @property
    def excess(self) -> float:
        """Present violation of limits without a price, as `allow_violation` counts it."""
        return float(self.pyomo.excess.value)

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
                by = float(amounts[element_at(self.pyomo, t)])
                _bound(
                    self.pyomo.limited[name, t],
                    (None if low is None else low + by, None if high is None else high - by),
                )

    def start_from(self, trajectory: Trajectory, begin: float | None = None, length: float | None = None) -> None:
        """Set every variable from a trajectory.

        Parameters
        ----------
        trajectory
            States and controls over time.
        begin
            Time of the trajectory at which the horizon begins [h]; its first time by default.
        length
            Hours of it that are read, held beyond its end [h]; all of it by default.
        """
        start_from(self.pyomo, self.problem, self._surrogate, trajectory, begin, length)

    def read_answer(self) -> Answer:
        """Return the present values of everything that was chosen, and of the states."""
        return answer_of(self.pyomo, self.problem)

    def decisions(self, elements: int | None = None) -> list[Any]:
        """Return the variables of everything that is chosen: controls, then length, initial states and parameters.

        Parameters
        ----------
        elements
            The first elements, whose values of every control are returned; all by default.

        Returns
        -------
        list of Pyomo variables
        """
        block, problem = self.pyomo, self.problem
        last = {name: control.shape == LINES for name, control in problem.controls.items()}
        controls = [one for (name, k), one in block.control.items() if elements is None or k < elements + last[name]]
        chosen = [block.length] if isinstance(problem.horizon.length, tuple) else []
        chosen += [state_at(block, name, 0.0) for name, given in problem.initial.items() if isinstance(given, tuple)]
        chosen += [block.parameter[name] for name, given in problem.parameters.items() if isinstance(given, tuple)]
        return [*{id(one): one for one in controls}.values(), *chosen]

    @property
    def variables(self) -> ProgramVariables:
        """The variables of data, controls and states."""
        return variables_of(self.pyomo, self.problem)

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

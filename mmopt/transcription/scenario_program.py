"""Several scenarios of a problem as one nonlinear program: what is chosen is one variable, the states are copies.

Scenarios differ in data alone, which are bounds of variables. So the problem is written and derived once, whatever the number
of scenarios, and the controls, a free length, free initial states and parameters are the same variables in all of them.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import pyomo.environ as pyo

from mmopt.plan.plan import Plan, SolveRecord
from mmopt.problem.choices import Choices
from mmopt.problem.goal import Goal
from mmopt.problem.problem import Problem
from mmopt.results import Trajectory
from mmopt.solvers.compiled_nlp import CompiledNlp, Solve
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.solvers.ipopt_options import Tuning
from mmopt.solvers.nlp import bounds_of, copies_of, read_nlp, set_values, values_of
from mmopt.status import Status
from mmopt.surrogate.grey_box import GREY_BOX
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.equations import HARD, Relaxation
from mmopt.transcription.ipopt_choice import ipopt_options
from mmopt.transcription.program import CollocationProgram
from mmopt.transcription.readout import active_limits, plan_of, record_of

_OPTIONS: Final = {"mumps_pivtol": 1.0e-3, "max_iter": 300}
"""With MUMPS's own tolerance of pivots, 1e-6, it miscounts the inertia of many scenarios: Ipopt then adds up to 1e15 to the
Hessian and comes to a stand. Nine scenarios of the case study end at a time limit with it, and after 61 with this.
Solves from simulated starts took up to 212, most under 100."""


class ScenarioProgram:
    """Scenarios of a problem in one program.

    A violated soft limit has its full price in every scenario: what one scenario gains from a violation, all may gain from,
    and with a price shared between them a limit that is kept alone would be violated together.

    Parameters
    ----------
    problems
        The problem with the parameters of every scenario.
    surrogate
        Surrogate of the cell; None for a system without one.
    goal
        What is maximised.
    relaxation
        Which limits are soft; by default those with a price of their own.
    ipopt
        Options of Ipopt that differ from mmopt's.
    shared
        Number of the first elements in which the controls are the same in all scenarios, for a program that takes objective
        and violations in turn; all by default.
    held
        Number of the first elements in which the controls have one value; 0: every element has its own.

    Attributes
    ----------
    problems
        The problems with the present data.
    program
        The program that all scenarios are copies of.
    solves
        Record of every solve.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, 2), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    >>> goal = Goal(np.array([0.5, 0.5]), worst=False)
    >>> ScenarioProgram([problem, problem], load_surrogate("ecoli_ijo1366"), goal).size[0] > 200
    True
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        surrogate: SmoothCell | None,
        goal: Goal,
        *,
        relaxation: Relaxation = HARD,
        ipopt: Mapping[str, Any] | None = None,
        shared: int | None = None,
        held: int = 0,
    ) -> None:
        self.problems = tuple(problems)
        self.solves: list[Solve] = []
        self._surrogate, self._goal = surrogate, goal
        whole = pyo.ConcreteModel(name="one scenario")
        whole.scenario = pyo.Block(concrete=True)
        self.program = CollocationProgram(
            problems[0], surrogate, relaxation=relaxation, formulation=GREY_BOX, held=held, block=whole.scenario
        )
        self._in_turn = relaxation.in_turn
        whole.price = pyo.Var(initialize=0.0)
        whole.price_equation = pyo.Constraint(expr=whole.price == self._own_cost)
        whole.cost = pyo.Objective(expr=0.0 if self._in_turn else self.program.move_penalty(relaxation.objective))
        self._price, self._objective = whole.price, relaxation.objective
        self._variables, self._nlp = read_nlp(whole)
        self._options = {**ipopt_options(surrogate), **_OPTIONS}, ipopt
        self._connect(shared)

    def sharing(self, elements: int) -> Self:
        """Return a program of the same scenarios in which the controls are the same in other elements.

        Parameters
        ----------
        elements
            Number of the first elements.

        Returns
        -------
        ScenarioProgram
            It is not derived anew, and both load their values into the same Pyomo problem.
        """
        other = copy(self)
        other._connect(elements)
        return other

    def _connect(self, shared: int | None) -> None:
        """Put the copies together."""
        goal, whole = self._goal, self.program.pyomo
        number = {id(variable): k for k, variable in enumerate(self._variables)}
        common = [number[id(one)] for one in self.program.decisions(shared) if id(one) in number]
        counts = goal.worst and self._objective
        self._positions, size = _positions(len(self.problems), len(self._variables), common, first=int(counts))
        aims = self._positions[:, number[id(whole.aim)]]
        linear = np.zeros(size)
        if self._objective and not self._in_turn:
            linear[0 if counts else aims] = -1.0 if counts else -goal.shares
        linear[self._positions[:, number[id(self._price)]]] = goal.shares if self._in_turn else 1.0
        less = [(0, int(aim)) for aim in aims] if counts else []
        self._aims = aims if counts else None
        self._ipopt = CompiledNlp(copies_of(self._nlp, self._positions, linear, less), *self._options)
        self._values = np.zeros(size)
        self._lower, self._upper = np.full(size, -np.inf), np.full(size, np.inf)

    @property
    def _own_cost(self) -> Any:
        """What every scenario adds to the cost by itself, besides its aim or, in turn, with it."""
        return self.program.cost() if self._in_turn else self.program.pyomo.violation

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of variables (data among them) and constraints."""
        return self._ipopt.size

    def change(self, problems: Sequence[Problem]) -> None:
        """Change data and limits; values to start from stay.

        Parameters
        ----------
        problems
            The problems with the new data, of the same structure.
        """
        self.problems = tuple(problems)
        for number in range(len(problems)):
            self._set_data(number)
            self._read_bounds(number)

    def tighten(self, back_offs: Sequence[Mapping[str, np.ndarray]]) -> None:
        """Tighten the limits of every scenario.

        Parameters
        ----------
        back_offs
            For every scenario as for `CollocationProgram.tighten`.
        """
        for number, back_off in enumerate(back_offs):
            self._set_data(number)
            self.program.tighten(back_off)
            self._read_bounds(number)
            self.program.tighten({name: np.zeros_like(amounts) for name, amounts in back_off.items()})

    def start(
        self,
        trajectories: Sequence[Trajectory],
        choices: Choices = Choices(),  # noqa: B008 - immutable
        begin: float | None = None,
        length: float | None = None,
    ) -> None:
        """Start the next solve from trajectories with the same controls, or with controls that differ where they may.

        Parameters
        ----------
        trajectories
            States and controls over time in every scenario.
        choices
            What was chosen besides the controls.
        begin, length
            Part of the trajectories [h], as for `CollocationProgram.start_from`.
        """
        for number, trajectory in enumerate(trajectories):
            self._set_data(number)
            for name, value in choices.parameters.items():
                self.program.pyomo.parameter[name].set_value(value, skip_validation=True)
            self.program.start_from(trajectory, begin, length)
            self._price.set_value(pyo.value(self._own_cost), skip_validation=True)
            self._read_bounds(number)
            self._values[self._positions[number]] = values_of(self._variables)
        if self._aims is not None:
            self._values[0] = self._values[self._aims].min()

    def solve(
        self,
        seconds: float = np.inf,
        *,
        warm: bool = False,
        tuning: Tuning = Tuning.NEAR,
        iterations: float = np.inf,
    ) -> Solve:
        """Solve from the present values, and keep the solution if there is one.

        Parameters
        ----------
        seconds
            Time limit [s].
        warm
            Whether to start from the multipliers of the last accepted solve, too.
        tuning
            How Ipopt searches.
        iterations
            Limit of iterations, besides that of the options.

        Returns
        -------
        Solve
        """
        solve, values = self._ipopt.solve(
            self._values, self._lower, self._upper, warm=warm, tuning=tuning, seconds=seconds, iterations=iterations
        )
        if solve.status.solved:
            self._values = values
        self.solves.append(solve)
        return solve

    def load(self, number: int) -> CollocationProgram:
        """Return the program with the present values of one scenario.

        Parameters
        ----------
        number
            The scenario.

        Returns
        -------
        CollocationProgram
        """
        self._set_data(number)
        set_values(self._variables, self._values[self._positions[number]])
        return self.program

    def plans(self, status: Status) -> list[Plan]:
        """Return the plan in every scenario.

        Parameters
        ----------
        status
            How the solve ended.

        Returns
        -------
        list of Plan
            Without replays; what active limits are worth is the gain of the goal.
        """
        plans = []
        for number in range(len(self.problems)):
            program = self.load(number)
            limits = active_limits(program, self._multipliers(number).__getitem__) if status.solved else ()
            plans.append(plan_of(program, self._surrogate, self._record(status), status, limits))
        return plans

    def _record(self, status: Status) -> SolveRecord:
        variables, constraints = self.size
        record = record_of(self.program, NonlinearProgram.name, self.solves, status, 0.0)
        return replace(record, variables=variables, constraints=constraints)

    def _multipliers(self, number: int) -> "_Multipliers":
        pushes = self._ipopt.bound_multipliers
        if pushes is None:
            return _Multipliers({})
        own = pushes[self._positions[number]].tolist()
        return _Multipliers(dict(zip(map(id, self._variables), own, strict=True)))

    def _set_data(self, number: int) -> None:
        problem = self.problems[number]
        self.program.set_data(
            problem,
            initial=problem.initial,
            length=problem.horizon.length,
            parameters={**problem.system.defaults, **problem.parameters},
        )

    def _read_bounds(self, number: int) -> None:
        own = self._positions[number]
        self._lower[own], self._upper[own] = bounds_of(self._variables)


@dataclass(frozen=True, eq=False)
class _Multipliers:
    """Multipliers of bounds by variable."""

    known: Mapping[int, float]

    def __getitem__(self, variable: Any) -> float:
        return self.known.get(id(variable), 0.0)


def _positions(copies: int, width: int, shared: Sequence[int], first: int) -> tuple[np.ndarray, int]:
    """Positions of the variables of all copies, shape (copies, width), and their number; shared ones come first."""
    own = np.setdiff1d(np.arange(width), shared)
    positions = np.empty((copies, width), dtype=int)
    positions[:, shared] = first + np.arange(len(shared))
    begin = first + len(shared)
    positions[:, own] = begin + np.arange(copies * len(own)).reshape(copies, len(own))
    return positions, begin + copies * len(own)

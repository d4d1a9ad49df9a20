"""Several scenarios of a problem as one nonlinear program: what is chosen is one variable, the states are copies.

Scenarios differ in data alone, which are bounds of variables. So the problem is written and derived once, whatever the number
of scenarios, and the controls, a free length, free initial states and parameters are the same variables in all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

from mmopt.plan.plan import Plan, SolveRecord
from mmopt.problem.choices import Choices
from mmopt.problem.problem import Problem
from mmopt.results import Trajectory
from mmopt.solvers.compiled_nlp import CompiledNlp, Solve
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.solvers.nlp import bounds_of, copies_of, read_nlp, set_values, values_of
from mmopt.status import Status
from mmopt.surrogate.grey_box import GREY_BOX
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.active_limits import active_limits
from mmopt.transcription.equations import HARD, Relaxation
from mmopt.transcription.ipopt_choice import ipopt_options
from mmopt.transcription.program import CollocationProgram
from mmopt.transcription.readout import plan_of, record_of

_OPTIONS: Final = {"mumps_pivtol": 1.0e-3, "max_iter": 300}
"""With MUMPS's own tolerance of pivots, 1e-6, it miscounts the inertia of many scenarios: Ipopt then adds up to 1e15 to the
Hessian and comes to a stand. Nine scenarios of the case study end at a time limit with it, and after 61 with this.
Solves from simulated starts took up to 212, most under 100."""


@dataclass(frozen=True, eq=False)
class Goal:
    """What is maximised over several scenarios.

    Attributes
    ----------
    shares
        Weights of the scenarios in the mean, which add up to one.
    worst
        Whether the worst scenario counts in place of the mean.
    """

    shares: np.ndarray
    worst: bool

    def value(self, objectives: Sequence[float]) -> float:
        """Return the goal.

        Parameters
        ----------
        objectives
            Objective of every scenario.

        Returns
        -------
        float
        """
        return float(np.min(objectives)) if self.worst else float(np.dot(self.shares, objectives))

    def of(self, numbers: Sequence[int]) -> "Goal":
        """Return the goal of some of the scenarios.

        Parameters
        ----------
        numbers
            The scenarios.

        Returns
        -------
        Goal
        """
        shares = self.shares[list(numbers)]
        return replace(self, shares=shares / shares.sum())


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
    ) -> None:
        self.problems = tuple(problems)
        self.solves: list[Solve] = []
        self._surrogate = surrogate
        self._goal = goal
        whole = pyo.ConcreteModel(name="one scenario")
        whole.scenario = pyo.Block(concrete=True)
        self.program = CollocationProgram(
            problems[0], surrogate, relaxation=relaxation, formulation=GREY_BOX, block=whole.scenario
        )
        whole.price = pyo.Var(initialize=0.0)
        whole.price_equation = pyo.Constraint(expr=whole.price == whole.scenario.violation)
        whole.cost = pyo.Objective(expr=self.program.move_penalty(relaxation.objective))
        self._price = whole.price
        self._variables, nlp = read_nlp(whole)
        number = {id(variable): k for k, variable in enumerate(self._variables)}
        shared = [number[id(one)] for one in self.program.decisions() if id(one) in number]
        counts = goal.worst and relaxation.objective
        self._positions, size = _positions(len(problems), len(self._variables), shared, first=int(counts))
        aims = self._positions[:, number[id(whole.scenario.aim)]]
        linear = np.zeros(size)
        if relaxation.objective:
            linear[0 if counts else aims] = -1.0 if counts else -goal.shares
        linear[self._positions[:, number[id(whole.price)]]] = 1.0
        less = [(0, int(aim)) for aim in aims] if counts else []
        self._aims = aims if counts else None
        self._ipopt = CompiledNlp(
            copies_of(nlp, self._positions, linear, less), {**ipopt_options(surrogate), **_OPTIONS}, ipopt
        )
        self._values = np.zeros(size)
        self._lower, self._upper = np.full(size, -np.inf), np.full(size, np.inf)

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

    def start(self, trajectories: Sequence[Trajectory], choices: Choices) -> None:
        """Start the next solve from trajectories with the same controls.

        Parameters
        ----------
        trajectories
            States and controls over time in every scenario.
        choices
            What was chosen besides the controls.
        """
        for number, trajectory in enumerate(trajectories):
            self._set_data(number)
            for name, value in choices.parameters.items():
                self.program.pyomo.parameter[name].set_value(value, skip_validation=True)
            self.program.start_from(trajectory)
            self._price.set_value(pyo.value(self.program.pyomo.violation), skip_validation=True)
            self._read_bounds(number)
            self._values[self._positions[number]] = values_of(self._variables)
        if self._aims is not None:
            self._values[0] = self._values[self._aims].min()

    def solve(self, seconds: float = np.inf, *, warm: bool = False) -> Solve:
        """Solve from the present values, and keep the solution if there is one.

        Parameters
        ----------
        seconds
            Time limit [s].
        warm
            Whether to start from the multipliers of the last accepted solve, too.

        Returns
        -------
        Solve
        """
        solve, values = self._ipopt.solve(self._values, self._lower, self._upper, warm=warm, seconds=seconds)
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

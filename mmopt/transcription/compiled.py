"""A problem compiled once, and solved again for other data: initial states, parameters, limits, ranges, length.

What changes between solves are bounds of variables, so that nothing is written or derived anew.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from mmopt.errors import StudyError
from mmopt.plan.plan import Plan, SolveRecord
from mmopt.problem.checks import Given
from mmopt.problem.control import Control, as_control
from mmopt.problem.limits import Limits
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import Solve
from mmopt.solvers.ipopt_options import Tuning
from mmopt.status import Status
from mmopt.surrogate.embed import REDUCED
from mmopt.surrogate.grey_box import GREY_BOX
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.equations import HARD, Relaxation
from mmopt.transcription.ipopt_choice import ipopt_for, ipopt_options
from mmopt.transcription.program import CollocationProgram
from mmopt.transcription.readout import active_limits, plan_of, record_of, trajectory_of


@dataclass(frozen=True, eq=False)
class Outcome:
    """A solve, and the plan that it led to.

    Attributes
    ----------
    solve
        The record of the solve.
    plan
        The plan without replays; None if the solve ended without an optimum.
    """

    solve: Solve
    plan: Plan | None


class CompiledProblem:
    """A problem as a program that is solved again and again.

    Parameters
    ----------
    problem
        The problem; its structure (horizon but for the length, names of limits, shapes of controls) stays.
    surrogate
        Surrogate of the cell; None for a system without one.
    relaxation
        Which limits are soft; by default those with a price of their own.
    options
        Options of Ipopt that differ from mmopt's.
    bundled
        Use the Ipopt from pip; else the user's own executable, which is written to and read from with every solve.
    formulation
        How the surrogate is written, see `transcribe`. By default ``grey_box`` for the bundled Ipopt and
        ``reduced_space``, which any solver takes, for an executable.
    held
        Number of the first elements in which the controls have one value; 0: every element has its own.

    Attributes
    ----------
    program
        The transcribed problem, with the present data.
    ipopt
        The solver that holds it.
    solves
        Record of every solve.

    Raises
    ------
    SolverError
        If the executable is wanted and there is none.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> compiled = CompiledProblem(problem, load_surrogate("ecoli_ijo1366"))
    >>> compiled.solve().status.name
    'OPTIMAL'
    >>> compiled.change(initial={**start, "biomass": 1.2})
    >>> compiled.solve(warm=True).status.name
    'OPTIMAL'
    """

    def __init__(
        self,
        problem: Problem,
        surrogate: SmoothCell | None = None,
        *,
        relaxation: Relaxation = HARD,
        options: Mapping[str, Any] | None = None,
        bundled: bool = True,
        formulation: str | None = None,
        held: int = 0,
    ) -> None:
        started = perf_counter()
        self.surrogate = surrogate
        written = formulation or (GREY_BOX if bundled else REDUCED)
        self.program = CollocationProgram(problem, surrogate, relaxation=relaxation, formulation=written, held=held)
        self.ipopt = ipopt_for(self.program.pyomo, ipopt_options(surrogate), options, bundled)
        self._build_seconds = perf_counter() - started
        self.solves: list[Solve] = []

    @property
    def problem(self) -> Problem:
        """The problem with the present data."""
        return self.program.problem

    @property
    def simulator(self) -> Simulator:
        """The problem with the present data, and its surrogate, for simulations."""
        return Simulator(self.problem, self.surrogate)

    def change(
        self,
        *,
        initial: Mapping[str, Given] | None = None,
        parameters: Mapping[str, Given] | None = None,
        length: Given | None = None,
        mesh: tuple[float, ...] | None = None,
        limits: Limits | None = None,
        final: Limits | None = None,
        controls: Mapping[str, Control | tuple[float, float]] | None = None,
    ) -> None:
        """Change data; what is not named stays.

        Parameters
        ----------
        initial, parameters
            States and parameters by name, or ranges, in their units.
        length
            Length [h], or its range.
        mesh
            Edges of the elements as fractions of the length, in a program that takes objective and violations in turn.
        limits, final
            Limits by quantity; only of quantities that were limited when the problem was compiled.
        controls
            Ranges of controls, or controls of the same shape, rate limit and move penalty.

        Raises
        ------
        StudyError
            If a name is unknown, a number is not finite, a quantity has no limit in the compiled problem, or a control has
            another shape, rate limit or move penalty.
        """
        before = self.problem
        horizon = before.horizon if length is None else replace(before.horizon, length=length)
        changed = replace(
            before,
            initial={**before.initial, **(initial or {})},
            parameters={**before.parameters, **(parameters or {})},
            horizon=horizon if mesh is None else replace(horizon, mesh=mesh),
            limits={**before.limits, **(limits or {})},
            final={**before.final, **(final or {})},
            controls={**before.controls, **_with_ranges(before, controls or {})},
        )
        _check_structure(before, changed)
        self.program.set_data(changed, initial=initial, length=length, parameters=parameters)

    def start(self, trajectory: Trajectory, begin: float | None = None, length: float | None = None) -> None:
        """Start the next solve from a trajectory.

        Parameters
        ----------
        trajectory
            States and controls over time.
        begin
            Time of the trajectory at which the horizon begins [h]; its first time by default.
        length
            Hours of it that are read, held beyond its end [h]; all of it by default.
        """
        self.program.start_from(trajectory, begin, length)

    def solve(
        self,
        *,
        warm: bool = False,
        tuning: Tuning = Tuning.NEAR,
        seconds: float = math.inf,
        iterations: float = math.inf,
    ) -> Solve:
        """Solve from the present values.

        Parameters
        ----------
        warm
            Whether to start from the multipliers of the last accepted solve, too.
        tuning
            How Ipopt searches.
        seconds
            Time limit of the solve [s].
        iterations
            Limit of iterations of this solve, besides that of the options.

        Returns
        -------
        Solve
            Status, iterations and seconds.
        """
        solve = self.ipopt.solve(warm=warm, tuning=tuning, seconds=seconds, iterations=iterations)
        self.solves.append(solve)
        return solve

    def solve_from(
        self,
        trajectory: Trajectory,
        seconds: float = math.inf,
        *,
        tuning: Tuning = Tuning.NEAR,
        iterations: float = math.inf,
    ) -> "Outcome":
        """Solve from a trajectory.

        Parameters
        ----------
        trajectory
            States and controls over time.
        seconds
            Time limit of the solve [s].
        tuning
            How Ipopt searches.
        iterations
            Limit of iterations, besides that of the options.

        Returns
        -------
        Outcome
            The solve, and the plan if it ended with an optimum.
        """
        self.start(trajectory)
        solve = self.solve(tuning=tuning, seconds=seconds, iterations=iterations)
        return Outcome(solve, self.plan(solve.status) if solve.status.solved else None)

    def last_controls(self) -> Mapping[str, Profile] | None:
        """Return the controls at which the last solve ended, an optimum or not; None if Ipopt did not return any."""
        return self.plan(self.solves[-1].status).controls if self.ipopt.load_last() else None

    def multiplier(self, variable: Any) -> float:
        """Return the multiplier of a variable's bounds in the last solve, above zero at its upper bound.

        Parameters
        ----------
        variable
            A variable of the program.

        Returns
        -------
        float
        """
        return float(self.ipopt.multiplier(variable))

    def trajectory(self, status: Status = Status.OPTIMAL) -> Trajectory:
        """Return the present values as a trajectory at the collocation points.

        Parameters
        ----------
        status
            How the solve ended.

        Returns
        -------
        Trajectory
        """
        return trajectory_of(self.program, self.surrogate, status)

    def plan(self, status: Status = Status.OPTIMAL) -> Plan:
        """Return the present values as a plan.

        Parameters
        ----------
        status
            How the solve ended.

        Returns
        -------
        Plan
            Without replays.
        """
        limits = active_limits(self.program, self.multiplier)
        return plan_of(self.program, self.surrogate, self.record(status), status, limits)

    def plan_as_simulated(self, trajectory: Trajectory) -> Plan:
        """Return a simulation as a plan: its controls, as they are.

        Parameters
        ----------
        trajectory
            A simulation of the problem with controls on its mesh.

        Returns
        -------
        Plan
            Without active limits and replays.
        """
        self.start(trajectory)
        return plan_of(self.program, self.surrogate, self.record(Status.START), Status.START)

    def record(self, status: Status = Status.OPTIMAL) -> SolveRecord:
        """Return the record of all solves.

        Parameters
        ----------
        status
            How the last one ended.

        Returns
        -------
        SolveRecord
        """
        return record_of(self.program, self.ipopt.name, self.solves, status, self._build_seconds)


def _with_ranges(problem: Problem, controls: Mapping[str, Control | tuple[float, float]]) -> dict[str, Any]:
    """Controls as they were, with other ranges; unknown names are left for the problem to refuse."""
    known = problem.controls
    return {
        name: replace(known[name], low=given[0], high=given[1])
        if isinstance(given, tuple) and name in known
        else as_control(given)
        for name, given in controls.items()
    }


def _check_structure(before: Problem, changed: Problem) -> None:
    """Refuse what a compiled problem cannot change."""
    for kind, new, old in (("limit", changed.limits, before.limits), ("limit at the end", changed.final, before.final)):
        if set(new) != set(old):
            names = ", ".join(sorted(set(new) - set(old)))
            raise StudyError(
                f"the compiled problem has no {kind} of {names}; name it, as (None, None), when it is compiled"
            )
    for name, control in changed.controls.items():
        own = before.controls[name]
        if replace(control, low=own.low, high=own.high, windows=own.windows) != own:
            raise StudyError(
                f"control '{name}' was compiled with another shape, rate limit or move penalty; compile the problem anew"
            )

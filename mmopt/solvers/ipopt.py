"""Nonlinear programs, compiled once into Ipopt and re-solved for other data.

Pyomo writes the problem once, CasADi reads it and solves it in process with the Ipopt that its wheel brings. What changes
between solves is a variable with equal bounds, so that a new solve changes bound vectors alone. Where a user has an
``ipopt`` executable (with HSL, from ``idaes get-extensions``), `IpoptExecutable` takes that one.
"""

import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import casadi
import numpy as np
import pyomo.environ as pyo

from mmopt.errors import SolverError
from mmopt.solvers.clock import Clock
from mmopt.solvers.nlp import read_nlp
from mmopt.status import Status

_STATUS: Final = {
    "Solve_Succeeded": Status.OPTIMAL,
    "Solved_To_Acceptable_Level": Status.ACCEPTABLE,
    "Feasible_Point_Found": Status.ACCEPTABLE,
    "Infeasible_Problem_Detected": Status.INFEASIBLE,
    "Maximum_Iterations_Exceeded": Status.ITERATION_LIMIT,
    "Maximum_CpuTime_Exceeded": Status.TIME_LIMIT,
    "Maximum_WallTime_Exceeded": Status.TIME_LIMIT,
    "User_Requested_Stop": Status.TIME_LIMIT,  # of the clock, which alone requests it
    "Diverging_Iterates": Status.UNBOUNDED,
}
"""Every other ending of Ipopt is numerical trouble."""

_EXECUTABLE_STATUS: Final = {
    pyo.TerminationCondition.optimal: Status.OPTIMAL,
    pyo.TerminationCondition.feasible: Status.ACCEPTABLE,
    pyo.TerminationCondition.infeasible: Status.INFEASIBLE,
    pyo.TerminationCondition.maxIterations: Status.ITERATION_LIMIT,
    pyo.TerminationCondition.maxTimeLimit: Status.TIME_LIMIT,
    pyo.TerminationCondition.unbounded: Status.UNBOUNDED,
}

_BOUND_SUFFIXES: Final = ("ipopt_zL_out", "ipopt_zU_out")

_LEAST_SECONDS: Final = 1.0e-6
"""An executable refuses a limit of time that is not above zero."""

_UNKNOWN_COUNT: Final = 0
"""Pyomo does not pass on how many iterations an executable took."""

_OPTIONS: Final = {"max_iter": 300, "tol": 1.0e-8, "acceptable_tol": 1.0e-6, "linear_solver": "mumps"}

_DERIVATIVES: Final = {"hess_lag": "nlp_hess_l", "jac_g": "nlp_jac_g", "grad_f": "nlp_grad_f"}
"""CasADi's options that take derivative functions, and the names under which a made solver gives its own."""

_WARM: Final = {
    "warm_start_init_point": "yes",
    "mu_init": 1.0e-6,
    "warm_start_bound_push": 1.0e-8,
    "warm_start_bound_frac": 1.0e-8,
    "warm_start_slack_bound_push": 1.0e-8,
    "warm_start_slack_bound_frac": 1.0e-8,
    "warm_start_mult_bound_push": 1.0e-8,
}
"""A start from an accepted solve: barrier and pushes small enough not to leave its neighbourhood."""


@dataclass(frozen=True)
class Solve:
    """The record of one solve."""

    status: Status
    iterations: int
    seconds: float
    objective: float
    ending: str


class NonlinearProgram:
    """A Pyomo problem compiled into an in-process Ipopt.

    Bounds and values of its variables may be changed between solves; its constraints may not. Variables must not be
    fixed: data are variables with equal bounds.

    Parameters
    ----------
    problem
        A Pyomo problem with one active objective.
    options
        Options of Ipopt that differ from mmopt's.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> problem = pyo.ConcreteModel()
    >>> problem.x = pyo.Var(initialize=3.0, bounds=(1.0, None))
    >>> problem.cost = pyo.Objective(expr=problem.x**2)
    >>> program = NonlinearProgram(problem)
    >>> program.solve().status.name, round(problem.x.value, 6)
    ('OPTIMAL', 1.0)
    >>> problem.x.setlb(2.0)
    >>> program.solve().status.name, round(problem.x.value, 6)
    ('OPTIMAL', 2.0)
    """

    name = "bundled Ipopt"

    def __init__(self, problem: pyo.ConcreteModel, options: Mapping[str, Any] | None = None) -> None:
        self._options = {**_OPTIONS, **(options or {})}
        self._variables, self._statement = read_nlp(problem)
        self._derivatives = dict(self._statement.derivatives)
        self._solvers: dict[bool, casadi.Function] = {}
        self._multipliers: dict[str, np.ndarray] = {}
        self._bounds_push: dict[int, float] = {}
        self._clock = Clock(*self.size)

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of variables (data among them) and constraints."""
        return len(self._variables), len(self._statement.lower)

    def options(self, *, warm: bool = False) -> dict[str, Any]:
        """Options Ipopt is given in a cold or a warm solve."""
        return {**self._options, **(_WARM if warm else {}), "print_level": 0, "sb": "yes"}

    def solve(self, *, warm: bool = False, seconds: float = math.inf) -> Solve:
        """Solve from the present values of the variables, and load the answer into them if there is one.

        Parameters
        ----------
        warm
            Start from the multipliers of the last accepted solve as well; without one this is a cold start.
        seconds
            After how long it is stopped, by the clock on the wall; looked at between iterations.
        """
        warm = warm and bool(self._multipliers)
        solver = self._solver(warm)
        lower = np.array([-np.inf if v.lb is None else v.lb for v in self._variables])
        upper = np.array([np.inf if v.ub is None else v.ub for v in self._variables])
        start = np.array([0.0 if v.value is None else v.value for v in self._variables])
        started = time.perf_counter()
        self._clock.deadline = started + seconds
        answer = solver(
            x0=np.clip(start, lower, upper),
            lbx=lower,
            ubx=upper,
            lbg=self._statement.lower,
            ubg=self._statement.upper,
            **(self._multipliers if warm else {}),
        )
        seconds = time.perf_counter() - started
        told = solver.stats()
        status = _STATUS.get(told["return_status"], Status.NUMERICAL_TROUBLE)
        if status.solved:
            self._multipliers = {"lam_g0": np.array(answer["lam_g"]), "lam_x0": np.array(answer["lam_x"])}
            self._bounds_push = dict(
                zip(map(id, self._variables), self._multipliers["lam_x0"].ravel().tolist(), strict=True)
            )
            for variable, value in zip(self._variables, np.array(answer["x"]).ravel().tolist(), strict=True):
                variable.set_value(value, skip_validation=True)
        return Solve(status, int(told["iter_count"]), seconds, float(answer["f"]), told["return_status"])

    def multiplier(self, variable: Any) -> float:
        """Multiplier of a variable's bounds at the last accepted solve: how much one more unit lowers the objective.

        Above zero at an upper bound (one unit up), below zero at a lower one (one unit down); zero for a variable that is in
        no equation.
        """
        return self._bounds_push.get(id(variable), 0.0)

    def _solver(self, warm: bool) -> casadi.Function:
        if warm not in self._solvers:
            # derivatives take most of the making: the second solver takes those of the first
            made = next(iter(self._solvers.values()), None)
            if made is not None:
                self._derivatives = {ours: made.get_function(theirs) for ours, theirs in _DERIVATIVES.items()}
            given = {"x": self._statement.x, "f": self._statement.cost, "g": self._statement.equations}
            self._solvers[warm] = casadi.nlpsol(
                "problem",
                "ipopt",
                given,
                {
                    "ipopt": self.options(warm=warm),
                    "print_time": False,
                    "iteration_callback": self._clock,
                    **self._derivatives,
                },
            )
        return self._solvers[warm]


class IpoptExecutable:
    """The user's own ``ipopt``, through Pyomo's usual write, solve and load.

    Parameters
    ----------
    problem
        A Pyomo problem with one active objective.
    executable
        Path of ``ipopt``.
    options
        Options of Ipopt that differ from mmopt's; its own default linear solver is taken unless one is named here.
    """

    name = "ipopt executable"

    def __init__(self, problem: pyo.ConcreteModel, executable: Path, options: Mapping[str, Any] | None = None) -> None:
        self._problem = problem
        self._solver = pyo.SolverFactory("ipopt", executable=str(executable))
        own = {name: value for name, value in _OPTIONS.items() if name != "linear_solver"}
        self._solver.options.update({**own, **(options or {})})
        self._executable = executable
        for suffix in _BOUND_SUFFIXES:
            if problem.component(suffix) is None:
                problem.add_component(suffix, pyo.Suffix(direction=pyo.Suffix.IMPORT))

    def multiplier(self, variable: Any) -> float:
        """Multiplier of a variable's bounds at the last accepted solve, see `NonlinearProgram.multiplier`."""
        return -sum(self._problem.component(suffix).get(variable) or 0.0 for suffix in _BOUND_SUFFIXES)

    def solve(self, *, warm: bool = False, seconds: float = math.inf) -> Solve:
        """Solve from the present values of the variables, and load the answer into them if there is one.

        Always from values alone, ``warm`` or not; ``seconds`` are those of the processor, which every version knows to limit.

        Raises
        ------
        SolverError
            If the executable does not run.
        """
        started = time.perf_counter()
        try:
            limited = {"max_cpu_time": max(seconds, _LEAST_SECONDS)} if seconds < math.inf else {}
            told = self._solver.solve(self._problem, load_solutions=False, options=limited)
        except (ValueError, RuntimeError, OSError) as error:
            raise SolverError(f"{self._executable} did not run ({error}); check it with `mmopt doctor`") from error
        seconds = time.perf_counter() - started
        status = _EXECUTABLE_STATUS.get(told.solver.termination_condition, Status.NUMERICAL_TROUBLE)
        if status is Status.ITERATION_LIMIT and "time exceeded" in str(told.solver.message).lower():
            status = Status.TIME_LIMIT  # the AMPL protocol has one code for all limits
        objective = float("nan")
        if status.solved:
            self._problem.solutions.load_from(told)
            objective = float(pyo.value(next(self._problem.component_data_objects(pyo.Objective, active=True))))
        return Solve(status, _UNKNOWN_COUNT, seconds, objective, str(told.solver.message))


def find_executable() -> Path | None:
    """Find the user's own ``ipopt``: on the search path, or where ``idaes get-extensions`` puts it."""
    found = shutil.which("ipopt")
    if found is None:
        import idaes

        found = shutil.which("ipopt", path=idaes.bin_directory)
    return Path(found) if found else None

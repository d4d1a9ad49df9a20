"""Nonlinear programs, compiled once into Ipopt and re-solved for other data.

Pyomo writes the problem once, CasADi reads it and solves it in process with the Ipopt of its wheel. Data that change
between solves are variables with equal bounds, so that a new solve changes bound vectors alone. Where a user has an
``ipopt`` executable (with HSL, from ``idaes get-extensions``), `IpoptExecutable` uses that one.
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

from mmopt.checking import shown
from mmopt.errors import SolverError, StudyError
from mmopt.solvers.clock import Clock
from mmopt.solvers.interruption import held_interruption
from mmopt.solvers.ipopt_options import DEFAULTS, WARM, check_options
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
    "User_Requested_Stop": Status.TIME_LIMIT,  # only the clock requests it
    "Diverging_Iterates": Status.UNBOUNDED,
}
"""Every other status of Ipopt is numerical trouble."""

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
"""An executable refuses a time limit that is not above zero."""

_UNKNOWN_COUNT: Final = 0
"""Pyomo does not report the number of iterations of an executable."""

_DERIVATIVES: Final = {"hess_lag": "nlp_hess_l", "jac_g": "nlp_jac_g", "grad_f": "nlp_grad_f"}
"""CasADi's options for derivative functions, and the names of these functions in an existing solver."""


@dataclass(frozen=True)
class Solve:
    """Record of one solve.

    Attributes
    ----------
    status
        Status of the solve.
    iterations
        Number of iterations.
    seconds
        Wall-clock time [s].
    objective
        Value of the objective at the end.
    ending
        Message of the solver.
    """

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

    Raises
    ------
    StudyError
        If the problem is none of Pyomo with one active objective, or Ipopt does not accept an option.
    SolverError
        If the problem has a grey box that is no dense network.

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
        check_problem(problem)
        self._options = {**DEFAULTS, **check_options(options)}
        self._variables, self._nlp = read_nlp(problem)
        self._derivatives = dict(self._nlp.derivatives)
        self._solvers: dict[bool, casadi.Function] = {}
        self._multipliers: dict[str, np.ndarray] = {}
        self._bounds_push: dict[int, float] = {}
        self._clock = Clock(*self.size)

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of variables (data among them) and constraints."""
        return len(self._variables), len(self._nlp.lower)

    def options(self, *, warm: bool = False) -> dict[str, Any]:
        """Return the options of Ipopt.

        Parameters
        ----------
        warm
            Whether the solve is a warm start.

        Returns
        -------
        dict
            Values by name of option.
        """
        return {**self._options, **(WARM if warm else {}), "print_level": 0, "sb": "yes"}

    def solve(self, *, warm: bool = False, seconds: float = math.inf) -> Solve:
        """Solve from the present values of the variables, and load the solution into them if there is one.

        Parameters
        ----------
        warm
            Whether to start from the multipliers of the last accepted solve as well; without one this is a cold start.
        seconds
            Limit of wall-clock time [s], checked between iterations.

        Returns
        -------
        Solve
            Record of the solve.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, at the end of the iteration.
        """
        warm = warm and bool(self._multipliers)
        solver = self._solver(warm)
        lower = np.array([-np.inf if v.lb is None else v.lb for v in self._variables])
        upper = np.array([np.inf if v.ub is None else v.ub for v in self._variables])
        start = np.array([0.0 if v.value is None else v.value for v in self._variables])
        started = time.perf_counter()
        self._clock.deadline = started + seconds
        with held_interruption() as self._clock.interruption:
            solution = solver(
                x0=np.clip(start, lower, upper),
                lbx=lower,
                ubx=upper,
                lbg=self._nlp.lower,
                ubg=self._nlp.upper,
                **(self._multipliers if warm else {}),
            )
        seconds = time.perf_counter() - started
        stats = solver.stats()
        status = _STATUS.get(stats["return_status"], Status.NUMERICAL_TROUBLE)
        if status.solved:
            self._multipliers = {"lam_g0": np.array(solution["lam_g"]), "lam_x0": np.array(solution["lam_x"])}
            self._bounds_push = dict(
                zip(map(id, self._variables), self._multipliers["lam_x0"].ravel().tolist(), strict=True)
            )
            for variable, value in zip(self._variables, np.array(solution["x"]).ravel().tolist(), strict=True):
                variable.set_value(value, skip_validation=True)
        return Solve(status, int(stats["iter_count"]), seconds, float(solution["f"]), stats["return_status"])

    def multiplier(self, variable: Any) -> float:
        """Return the multiplier of a variable's bounds at the last accepted solve.

        It is the decrease of the objective per unit by which the bound is loosened.

        Parameters
        ----------
        variable
            A Pyomo variable of the problem.

        Returns
        -------
        float
            Above zero at an upper bound, below zero at a lower one; zero for a variable that is in no equation.
        """
        return self._bounds_push.get(id(variable), 0.0)

    def _solver(self, warm: bool) -> casadi.Function:
        if warm not in self._solvers:
            # derivatives take most of the build time: the second solver uses those of the first
            first = next(iter(self._solvers.values()), None)
            if first is not None:
                self._derivatives = {ours: first.get_function(theirs) for ours, theirs in _DERIVATIVES.items()}
            nlp = {"x": self._nlp.x, "f": self._nlp.cost, "g": self._nlp.equations}
            self._solvers[warm] = casadi.nlpsol(
                "problem",
                "ipopt",
                nlp,
                {
                    "ipopt": self.options(warm=warm),
                    "print_time": False,
                    "iteration_callback": self._clock,
                    **self._derivatives,
                },
            )
        return self._solvers[warm]


class IpoptExecutable:
    """The user's own ``ipopt`` executable, called through Pyomo.

    Parameters
    ----------
    problem
        A Pyomo problem with one active objective.
    executable
        Path of ``ipopt``.
    options
        Options of Ipopt that differ from mmopt's; its own default linear solver is used unless one is named here.
    """

    name = "ipopt executable"

    def __init__(self, problem: pyo.ConcreteModel, executable: Path, options: Mapping[str, Any] | None = None) -> None:
        check_problem(problem)
        self._problem = problem
        self._solver = pyo.SolverFactory("ipopt", executable=str(executable))
        own = {name: value for name, value in DEFAULTS.items() if name != "linear_solver"}
        self._solver.options.update({**own, **(options or {})})
        self._executable = executable
        for suffix in _BOUND_SUFFIXES:
            if problem.component(suffix) is None:
                problem.add_component(suffix, pyo.Suffix(direction=pyo.Suffix.IMPORT))

    def multiplier(self, variable: Any) -> float:
        """Return the multiplier of a variable's bounds at the last accepted solve, see `NonlinearProgram.multiplier`.

        Parameters
        ----------
        variable
            A Pyomo variable of the problem.

        Returns
        -------
        float
            As for `NonlinearProgram.multiplier`.
        """
        return -sum(self._problem.component(suffix).get(variable) or 0.0 for suffix in _BOUND_SUFFIXES)

    def solve(self, *, warm: bool = False, seconds: float = math.inf) -> Solve:
        """Solve from the present values of the variables, and load the solution into them if there is one.

        Parameters
        ----------
        warm
            Without effect: an executable always starts from values alone.
        seconds
            Limit of processor time [s], which every version of Ipopt can limit.

        Returns
        -------
        Solve
            Record of the solve.

        Raises
        ------
        SolverError
            If the executable does not run.
        """
        started = time.perf_counter()
        try:
            limited = {"max_cpu_time": max(seconds, _LEAST_SECONDS)} if seconds < math.inf else {}
            results = self._solver.solve(self._problem, load_solutions=False, options=limited)
        except (ValueError, RuntimeError, OSError) as error:
            raise SolverError(f"{self._executable} did not run ({error}); check it with `mmopt doctor`") from error
        seconds = time.perf_counter() - started
        status = _EXECUTABLE_STATUS.get(results.solver.termination_condition, Status.NUMERICAL_TROUBLE)
        if status is Status.ITERATION_LIMIT and "time exceeded" in str(results.solver.message).lower():
            status = Status.TIME_LIMIT  # the AMPL protocol has one code for all limits
        objective = float("nan")
        if status.solved:
            self._problem.solutions.load_from(results)
            objective = float(pyo.value(next(self._problem.component_data_objects(pyo.Objective, active=True))))
        return Solve(status, _UNKNOWN_COUNT, seconds, objective, str(results.solver.message))


def check_problem(problem: Any) -> None:
    """Check that Ipopt can solve a problem.

    Parameters
    ----------
    problem
        The problem.

    Raises
    ------
    StudyError
        If it is no Pyomo problem with one active objective.
    """
    if not isinstance(problem, pyo.ConcreteModel):
        raise StudyError(f"problem is {shown(problem)}; give a ConcreteModel of Pyomo")
    count = sum(1 for _ in problem.component_data_objects(pyo.Objective, active=True))
    if count != 1:
        raise StudyError(f"problem has {count} active objectives; give one with a single objective")


def find_executable() -> Path | None:
    """Return the path of the user's own ``ipopt``: on the search path, or where ``idaes get-extensions`` installs it."""
    path = shutil.which("ipopt")
    if path is None:
        import idaes

        path = shutil.which("ipopt", path=idaes.bin_directory)
    return Path(path) if path else None

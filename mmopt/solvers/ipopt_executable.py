"""The user's own Ipopt, such as one with HSL from ``idaes get-extensions``: written to and read from with every solve."""

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyomo.environ as pyo

from mmopt.errors import SolverError
from mmopt.solvers.compiled_nlp import Solve
from mmopt.solvers.ipopt import check_problem
from mmopt.solvers.ipopt_options import DEFAULTS, Tuning
from mmopt.status import Status

_EXECUTABLE_STATUS: Final = {
    pyo.TerminationCondition.optimal: Status.OPTIMAL,
    pyo.TerminationCondition.feasible: Status.ACCEPTABLE,
    pyo.TerminationCondition.infeasible: Status.INFEASIBLE,
    pyo.TerminationCondition.maxIterations: Status.ITERATION_LIMIT,
    pyo.TerminationCondition.maxTimeLimit: Status.TIME_LIMIT,
    pyo.TerminationCondition.unbounded: Status.UNBOUNDED,
}

_BOUND_SUFFIXES: Final = ("ipopt_zL_out", "ipopt_zU_out")

_LEAST_SECONDS: Final = 1.0e-2
"""Time of an executable below which it is not started: processor time is counted in steps of some milliseconds."""

_UNKNOWN_COUNT: Final = 0
"""Pyomo does not report the number of iterations of an executable."""


class IpoptExecutable:
    """The user's own ``ipopt`` executable, called through Pyomo.

    Parameters
    ----------
    problem
        A Pyomo problem with one active objective.
    executable
        Path of ``ipopt``.
    options
        Options of Ipopt that differ from mmopt's; its own default linear solver is used unless one is named here or in ``own``.
    own
        Options that no tuning changes.
    """

    name = "ipopt executable"

    def __init__(
        self,
        problem: pyo.ConcreteModel,
        executable: Path,
        options: Mapping[str, Any] | None = None,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        check_problem(problem)
        self._problem = problem
        self._solver = pyo.SolverFactory("ipopt", executable=str(executable))
        defaults = {name: value for name, value in DEFAULTS.items() if name != "linear_solver"}
        self._own = dict(own or {})
        self._solver.options.update({**defaults, **(options or {}), **self._own})
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

    def load_last(self) -> bool:
        """Return False: an executable returns the values of optima alone."""
        return False

    def solve(
        self,
        *,
        warm: bool = False,
        tuning: Tuning = Tuning.NEAR,
        seconds: float = math.inf,
        iterations: float = math.inf,
    ) -> Solve:
        """Solve as `NonlinearProgram.solve` does.

        Parameters
        ----------
        warm
            Without effect: an executable always starts from values alone.
        tuning, iterations
            As there.
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
        if seconds < _LEAST_SECONDS:
            return Solve(Status.TIME_LIMIT, 0, 0.0, math.nan, "no time was left")
        started = time.perf_counter()
        try:
            limited: dict[str, Any] = {**tuning.options, **self._own}
            if seconds < math.inf:
                limited["max_cpu_time"] = seconds
            if iterations < math.inf:
                limited["max_iter"] = int(iterations)
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


def find_executable() -> Path | None:
    """Return the path of the user's own ``ipopt``: on the search path, or where ``idaes get-extensions`` installs it."""
    path = shutil.which("ipopt")
    if path is None:
        import idaes

        path = shutil.which("ipopt", path=idaes.bin_directory)
    return Path(path) if path else None

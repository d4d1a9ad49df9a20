"""Nonlinear programs, compiled once into Ipopt and re-solved for other data.

Pyomo writes the problem once, CasADi reads it and solves it in process with the Ipopt of its wheel. Data that change
between solves are variables with equal bounds, so that a new solve changes bound vectors alone. Where a user has an
``ipopt`` executable (with HSL, from ``idaes get-extensions``), `IpoptExecutable` uses that one.
"""

import math
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

from mmopt.checking import shown
from mmopt.errors import SolverError, StudyError
from mmopt.solvers.compiled_nlp import CompiledNlp, Solve
from mmopt.solvers.ipopt_options import DEFAULTS, Tuning
from mmopt.solvers.nlp import bounds_of, read_nlp, set_values, values_of
from mmopt.status import Status

__all__ = [
    "IpoptExecutable",
    "NonlinearProgram",
    "Solve",
    "bounds_of",
    "check_problem",
    "find_executable",
    "set_values",
    "values_of",
]

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
    own
        Options that no tuning changes.

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

    def __init__(
        self,
        problem: pyo.ConcreteModel,
        options: Mapping[str, Any] | None = None,
        own: Mapping[str, Any] | None = None,
    ) -> None:
        check_problem(problem)
        self._variables, nlp = read_nlp(problem)
        self._compiled = CompiledNlp(nlp, options, own)
        self._bounds_push: dict[int, float] = {}
        self._first = values_of(self._variables)
        self._last: np.ndarray | None = None

    def reset(self) -> None:
        """Restore the values that the variables had when this was compiled, and forget all solves."""
        self._compiled.forget()
        self._bounds_push = {}
        set_values(self._variables, self._first)

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of variables (data among them) and constraints."""
        return self._compiled.size

    def options(self, *, warm: bool = False, tuning: Tuning = Tuning.NEAR) -> dict[str, Any]:
        """Return the options of Ipopt.

        Parameters
        ----------
        warm
            Whether the solve is a warm start.
        tuning
            How Ipopt searches.

        Returns
        -------
        dict
            Values by name of option.
        """
        return self._compiled.options(warm=warm, tuning=tuning)

    def solve(
        self,
        *,
        warm: bool = False,
        tuning: Tuning = Tuning.NEAR,
        seconds: float = math.inf,
        iterations: float = math.inf,
    ) -> Solve:
        """Solve from the present values of the variables, and load the solution into them if there is one.

        Parameters
        ----------
        warm
            Whether to start from the multipliers of the last accepted solve as well; without one this is a cold start.
        tuning
            How Ipopt searches.
        seconds
            Limit of wall-clock time [s], checked between iterations.
        iterations
            Limit of iterations of this solve, besides that of the options.

        Returns
        -------
        Solve
            Record of the solve.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, at the end of the iteration.
        """
        lower, upper = bounds_of(self._variables)
        start = values_of(self._variables)
        solve, values = self._compiled.solve(
            start, lower, upper, warm=warm, tuning=tuning, seconds=seconds, iterations=iterations
        )
        self._last = np.clip(values, lower, upper) if np.all(np.isfinite(values)) else None
        pushes = self._compiled.bound_multipliers
        if solve.status.solved and pushes is not None:
            self._bounds_push = dict(zip(map(id, self._variables), pushes.tolist(), strict=True))
            set_values(self._variables, values)
        return solve

    def load_last(self) -> bool:
        """Load the values at which the last solve ended into the variables, an optimum or not.

        Returns
        -------
        bool
            Whether there are any.
        """
        if self._last is not None:
            set_values(self._variables, self._last)
        return self._last is not None

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

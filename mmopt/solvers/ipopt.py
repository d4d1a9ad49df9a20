"""Nonlinear programs, compiled once into Ipopt and re-solved for other data.

Pyomo writes the problem once, CasADi reads it and solves it in process with the Ipopt of its wheel. Data that change
between solves are variables with equal bounds, so that a new solve changes bound vectors alone.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo

from mmopt.checking import shown
from mmopt.errors import StudyError
from mmopt.solvers.compiled_nlp import CompiledNlp, Solve
from mmopt.solvers.ipopt_options import Tuning
from mmopt.solvers.kkt import KktSystem
from mmopt.solvers.nlp import bounds_of, read_nlp, set_values, values_of

__all__ = [
    "NonlinearProgram",
    "Solve",
    "bounds_of",
    "check_problem",
    "set_values",
    "values_of",
]


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

    def positions(self, variables: Sequence[Any]) -> list[int | None]:
        """Return the positions of variables among all.

        Parameters
        ----------
        variables
            Variables of the problem.

        Returns
        -------
        list
            None for a variable that is in no equation.
        """
        known = {id(variable): number for number, variable in enumerate(self._variables)}
        return [known.get(id(variable)) for variable in variables]

    def kkt_system(self) -> KktSystem | None:
        """Return the linearised conditions at the present values, which have to be the last optimum.

        Returns
        -------
        KktSystem or None
            None if there is none, or the system is singular.
        """
        return self._compiled.kkt_system(values_of(self._variables), *bounds_of(self._variables))

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

"""An optimum moved along with its data, without another solve.

At an optimum the conditions of Karush, Kuhn and Tucker hold. Linearised there, with the active bounds held, they show how the
optimum moves with data: one solve of a sparse linear system whose factors are prepared. It is exact to first order as long as
the same bounds stay active; where they do not, nothing is returned.

References
----------
Zavala and Biegler (2009), The advanced-step NMPC controller: optimality, stability and robustness, Automatica 45, 86-93.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

_OUTSIDE: Final = 5.0e-3
"""Fraction of one and a bound by which a variable may leave it before other bounds count as active. Of 192 optima of the case
study, with states and oxygen transfer off by 1 to 10 %, those within it have a first control within 0.4 % of another solve."""

_RESIDUAL: Final = 1.0
"""Largest residual of an equation at a moved optimum: beyond it the equations are too curved for a linear answer."""

_FLIP: Final = 1.0e-6
"""Multiplier with the wrong sign from which on a bound counts as no longer active."""

_REGULAR: Final = 1.0e-12


@dataclass(frozen=True, eq=False)
class KktSystem:
    """The factors of the linearised conditions at an optimum.

    Attributes
    ----------
    values
        The optimum, shape (variables,).
    multipliers
        Of the bounds, above zero at upper ones, shape (variables,).
    lower, upper
        Bounds of the variables; data have equal ones.
    free
        Positions of the variables that move freely.
    rows
        Equations that hold at the optimum, as equations or as active inequalities.
    hessian, jacobian
        Of the Lagrangian, whole, and of these equations.
    factors
        Solves the system for a right-hand side.
    residuals
        Residuals of the equations at given values.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from mmopt.solvers.ipopt import NonlinearProgram
    >>> problem = pyo.ConcreteModel()
    >>> problem.x, problem.data = pyo.Var(initialize=1.0), pyo.Var(initialize=2.0, bounds=(2.0, 2.0))
    >>> problem.y = pyo.Var(initialize=1.0)
    >>> problem.law = pyo.Constraint(expr=problem.y == problem.x - 3.0 * problem.data)
    >>> problem.cost = pyo.Objective(expr=problem.y**2 + problem.x**2)
    >>> program = NonlinearProgram(problem)
    >>> program.solve().status.name, round(problem.x.value, 6)
    ('OPTIMAL', 3.0)
    >>> position, data = program.positions([problem.x, problem.data])
    >>> round(float(program.kkt_system().moved(np.array([data]), np.array([2.2]))[position]), 6)
    3.3
    """

    values: np.ndarray
    multipliers: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    free: np.ndarray
    rows: np.ndarray
    hessian: Any
    jacobian: Any
    factors: Callable[[np.ndarray], np.ndarray]
    residuals: Callable[[np.ndarray], np.ndarray]

    def moved(self, positions: np.ndarray, data: np.ndarray) -> np.ndarray | None:
        """Return the optimum for other data.

        Parameters
        ----------
        positions, data
            Positions of the data that changed, and their values, shape (data,).

        Returns
        -------
        numpy.ndarray or None
            Shape (variables,); None if other bounds become active, or the equations are too curved.
        """
        change = np.zeros(len(self.values))
        change[positions] = data - self.values[positions]
        right = -np.concatenate([(self.hessian @ change)[self.free], self.jacobian @ change])
        if not np.all(np.isfinite(right)):
            return None
        answer = self.factors(right)
        change[self.free] = answer[: len(self.free)]
        pushes = self.multipliers - self.hessian @ change - self.jacobian.T @ answer[len(self.free) :]
        held = np.setdiff1d(np.flatnonzero(self.lower < self.upper), self.free)
        flips = pushes[held] * np.sign(self.multipliers[held]) < -_FLIP
        moved = self.values + change
        lower, upper, inside = self.lower[self.free], self.upper[self.free], moved[self.free]
        outside = np.any(lower - inside > _OUTSIDE * (1.0 + np.abs(lower))) or np.any(
            inside - upper > _OUTSIDE * (1.0 + np.abs(upper))
        )
        if outside or np.any(flips) or np.abs(self.residuals(moved)[self.rows]).max(initial=0.0) > _RESIDUAL:
            return None
        moved[self.free] = np.clip(inside, lower, upper)
        return moved


def kkt_system(
    functions: tuple[Any, Any, Any],
    values: np.ndarray,
    multipliers: tuple[np.ndarray, np.ndarray],
    bounds: tuple[np.ndarray, np.ndarray],
    limits: tuple[np.ndarray, np.ndarray],
) -> KktSystem | None:
    """Linearise the conditions at an optimum, and factorise them.

    Parameters
    ----------
    functions
        CasADi's functions of the equations, of their Jacobian, and of the upper triangle of the Hessian of the Lagrangian.
    values
        The optimum.
    multipliers
        Of the bounds of variables, and of the equations, as CasADi signs them.
    bounds, limits
        Bounds of the variables, and of the equations.

    Returns
    -------
    KktSystem or None
        None if the system is singular.
    """
    equations, slopes, bends = functions
    of_bounds, of_rows = multipliers
    (lower, upper), (low, high) = bounds, limits
    residual = np.array(equations(values, [])).ravel()
    gap = np.minimum(values - lower, upper - values)
    free = np.flatnonzero((lower < upper) & (np.abs(of_bounds) <= np.maximum(gap, 0.0)))
    slack = np.minimum(residual - low, high - residual)
    rows = np.flatnonzero((low == high) | (np.abs(of_rows) > np.maximum(slack, 0.0)))
    target = np.where(low == high, low, residual)
    jacobian = slopes(values, [])[1].sparse().tocsr()[rows]
    triangle = bends(values, [], 1.0, of_rows).sparse().tocsr()
    hessian = (triangle + sp.triu(triangle, 1).T).tocsr()
    factors = _factors(hessian[free][:, free], jacobian[:, free])
    if factors is None:
        return None
    return KktSystem(
        values,
        of_bounds,
        lower,
        upper,
        free,
        rows,
        hessian,
        jacobian,
        factors,
        lambda moved: np.array(equations(moved, [])).ravel() - target,
    )


def _factors(hessian: Any, jacobian: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """The solver of the linear system of free variables and multipliers; None if that is singular."""
    rows, columns = jacobian.shape
    upper = [hessian + _REGULAR * sp.identity(columns), jacobian.T]
    system = sp.bmat([upper, [jacobian, -_REGULAR * sp.identity(rows)]], format="csc")
    try:
        factors = splu(system)
    except RuntimeError:  # exactly singular
        return None
    solve: Callable[[np.ndarray], np.ndarray] = factors.solve
    return solve

"""Linear programs with several aims in strict order, compiled once and re-solved for other bounds.

A weighted sum of the aims leads to a basis fast; its reduced costs, aim by aim, then *prove* that it is the strict optimum.
The proof depends on the basis alone and not on the bounds, so every basis is proved once, and no solution depends on the
weights. Where the proof fails, the aims are optimised one after the other, every aim on the optimal face of those before.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from mmopt.checking import as_float, shown
from mmopt.errors import StudyError
from mmopt.solvers.affine_law import AffineLaw, affine_law
from mmopt.solvers.highs import Simplex
from mmopt.solvers.optimality import OptimalityCertificates
from mmopt.status import Status

if TYPE_CHECKING:
    import pyomo.environ as pyo


class LexicographicProgram:
    """A linear program whose active objectives are minimised in strict order.

    Parameters
    ----------
    problem
        A Pyomo problem with linear constraints and several active minimisation objectives, first aim first.
    weights
        Weight of every objective in the combined objective, which is tried first.
    columns
        Variables whose values `solve` returns, in this order.
    changing
        Variables whose bounds `solve` sets, in this order; one with equal bounds in the problem stays fixed, at new values.

    Raises
    ------
    StudyError
        If there is not one finite weight per objective.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> problem = pyo.ConcreteModel()
    >>> problem.x, problem.y = pyo.Var(bounds=(0.0, 2.0)), pyo.Var(bounds=(0.0, None))
    >>> problem.total = pyo.Constraint(expr=problem.x + problem.y == 3.0)
    >>> problem.first, problem.second = pyo.Objective(expr=problem.y), pyo.Objective(expr=-problem.x)
    >>> columns = [problem.x, problem.y]
    >>> program = LexicographicProgram(problem, weights=[1.0, 1.0e-3], columns=columns, changing=[problem.x])
    >>> values, status = program.solve(np.zeros(1), np.ones(1))
    >>> values.tolist(), status.name
    ([1.0, 2.0], 'OPTIMAL')
    """

    def __init__(
        self,
        problem: "pyo.ConcreteModel",
        *,
        weights: Sequence[float],
        columns: "Sequence[pyo.Var]",
        changing: "Sequence[pyo.Var]",
    ) -> None:
        from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

        form = LinearStandardFormCompiler().write(problem, mixed_form=True)
        position = {id(variable): column for column, variable in enumerate(form.columns)}
        self._returned = np.array([position.get(id(variable), -1) for variable in columns], dtype=np.int32)
        self._changing = np.array([position[id(variable)] for variable in changing], dtype=np.int32)
        self._demanded = self._changing[[v.lb == v.ub for v in changing]]
        self._aims = np.asarray(form.c.todense(), dtype=float)
        self._combined = _checked_weights(weights, len(self._aims)) @ self._aims
        lower = np.array([-np.inf if v.lb is None else v.lb for v in form.columns], dtype=float)
        upper = np.array([np.inf if v.ub is None else v.ub for v in form.columns], dtype=float)
        bound_type = np.array([row.bound_type for row in form.rows])
        rows = np.where(bound_type == 1, -np.inf, form.rhs), np.where(bound_type == -1, np.inf, form.rhs)
        self._simplex = Simplex(sp.csc_array(form.A), self._combined, (lower, upper), rows)
        self._optimality = OptimalityCertificates(self._simplex, self._aims)
        self._passes = 0
        self._restart_basis = None

    def solve(self, lower: np.ndarray, upper: np.ndarray, closed: Sequence[int] = ()) -> tuple[np.ndarray, Status]:
        """Solve with new bounds of the changing variables.

        Parameters
        ----------
        lower, upper
            Bounds of the ``changing`` variables, in their order.
        closed
            Positions in ``columns`` of variables that are zero in this solve.

        Returns
        -------
        values, status
            Values of ``columns``, meaningful only if ``status.solved``.
        """
        self._simplex.set_bounds(self._changing, lower, upper)
        if len(closed):
            return self._solve_closed(self._returned[np.asarray(closed, dtype=int)])
        status = self._solve()
        return self._values(), status

    @property
    def bases_proved(self) -> int:
        """Number of distinct optimal bases that were proved so far."""
        return self._optimality.count

    @property
    def passes(self) -> int:
        """Number of solves that went aim by aim, because the combined objective did not reach the strict optimum."""
        return self._passes

    def restart(self, lower: np.ndarray, upper: np.ndarray) -> None:
        """Return to one basis, so that later solves do not depend on earlier ones.

        Parameters
        ----------
        lower, upper
            Bounds of the ``changing`` variables whose cold start gives the basis; used by the first call alone.
        """
        if self._restart_basis is None:
            self._simplex.restart()
            self.solve(lower, upper)
            self._restart_basis = self._simplex.basis()
        self._simplex.restart(self._restart_basis)

    def law(self) -> AffineLaw | None:
        """Compute the affine law around the present solution; None where its basis could not be proved.

        The upper bounds of the changing variables move, and with them the lower bounds of those that are fixed. Strict
        optimality of a basis does not depend on any bound, so the law holds wherever its values keep all bounds.
        """
        leading = self._optimality.leading()
        if leading is None:
            return None
        basic = np.sort(self._simplex.basic())  # one basis, one rounding, whatever order the simplex met it in
        law = affine_law(self._simplex, basic, leading, self._changing, self._demanded)
        constant, slope = np.append(law.constant, 0.0), np.vstack([law.slope, np.zeros_like(law.slope[:1])])
        return AffineLaw(constant[self._returned], slope[self._returned], law.left, law.right)

    def _solve_closed(self, columns: np.ndarray) -> tuple[np.ndarray, Status]:
        columns = columns[columns >= 0]
        kept = self._simplex.lower[columns], self._simplex.upper[columns]
        self._simplex.set_bounds(columns, np.zeros(len(columns)), np.zeros(len(columns)))
        try:
            status = self._solve()
            return self._values(), status
        finally:
            self._simplex.set_bounds(columns, *kept)

    def _solve(self) -> Status:
        status = self._simplex.run()
        if status is Status.NUMERICAL_TROUBLE:  # large weights can be too much for a cold start; single aims are not
            self._simplex.restart()
            status = self._pass_through_aims()
        elif status.solved and self._optimality.leading() is None:
            status = self._pass_through_aims()
        return status

    def _values(self) -> np.ndarray:
        values = np.append(self._simplex.values()[0], 0.0)  # a variable in no constraint and no aim stays at zero
        returned: np.ndarray = values[self._returned]
        return returned

    def _pass_through_aims(self) -> Status:
        """Optimise one aim after the other on the optimal face of those before: the strict order by definition."""
        self._passes += 1
        simplex = self._simplex
        kept = simplex.lower.copy(), simplex.upper.copy()
        kept_rows = simplex.row_lower.copy(), simplex.row_upper.copy()
        status = Status.OPTIMAL
        for aim in self._aims:
            simplex.set_cost(aim)
            status = simplex.run()
            if not status.solved:
                break
            self._freeze(aim)
        simplex.set_bounds(np.arange(len(kept[0])), *kept)
        simplex.set_row_bounds(np.arange(len(kept_rows[0])), *kept_rows)
        simplex.set_cost(self._combined)
        return status

    def _freeze(self, aim: np.ndarray) -> None:
        """Fix every variable whose change would worsen ``aim``: the free variables span its optimal face."""
        simplex = self._simplex
        reduced, zero = self._optimality.reduced_costs(simplex.basic(), aim[None, :])
        columns, rows = np.split(np.abs(reduced[0]) > zero[0], [len(aim)])
        values, activity = simplex.values()
        here = np.flatnonzero(columns)
        at = np.clip(values[here], simplex.lower[here], simplex.upper[here])
        simplex.set_bounds(here, at, at)
        here = np.flatnonzero(rows)
        at = np.clip(activity[here], simplex.row_lower[here], simplex.row_upper[here])
        simplex.set_row_bounds(here, at, at)


def _checked_weights(weights: Any, count: int) -> np.ndarray:
    values = np.array([as_float(weight) for weight in weights]) if isinstance(weights, Iterable) else np.zeros(0)
    if len(values) != count or not np.isfinite(values).all():
        raise StudyError(f"weights is {shown(weights)}; give {count} finite numbers, one per objective")
    return values

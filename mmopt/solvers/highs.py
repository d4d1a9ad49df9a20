"""Linear programs with several aims in strict order, compiled once into HiGHS and re-solved for other bounds.

A weighted sum of the aims finds a basis fast; it is then *proved* to be the strict optimum from its reduced costs, taken
aim by aim. The proof depends on the basis alone and not on the bounds, so each basis is proved once, and an answer never
rests on the weights. Where the proof fails, the aims are passed one after the other, each on the optimal face of the
ones before.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import highspy
import numpy as np
import scipy.sparse as sp

from mmopt.solvers.laws import AffineLaw, Bounds, affine_law
from mmopt.status import Status

if TYPE_CHECKING:
    import pyomo.environ as pyo

_FEASIBILITY: Final = 1.0e-9
"""Primal and dual tolerance of HiGHS; the default 1e-7 would show in fluxes of 1e-6."""

_REDUCED_COST_ZERO: Final = 1.0e-8
"""Reduced costs closer to zero than this, relative to the prices behind them, count as zero."""

_STATUS: Final = {
    highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: Status.TIME_LIMIT,
    highspy.HighsModelStatus.kIterationLimit: Status.ITERATION_LIMIT,
}


class LexicographicProgram:
    """A linear program whose active objectives are minimised in strict order.

    Parameters
    ----------
    problem
        A Pyomo problem with linear constraints and several active minimisation objectives, first aim first.
    weights
        One for each objective: the combined objective that is tried first.
    columns
        Variables whose values `solve` returns, in this order.
    changing
        Variables whose bounds `solve` sets, in this order; one with equal bounds in the problem stays fixed, at new values.
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
        self._matrix = sp.csc_array(form.A)
        self._transposed = sp.csr_array(self._matrix.T)
        self._aims = np.asarray(form.c.todense(), dtype=float)
        self._combined = np.asarray(weights, dtype=float) @ self._aims
        self._lower = np.array([-np.inf if v.lb is None else v.lb for v in form.columns], dtype=float)
        self._upper = np.array([np.inf if v.ub is None else v.ub for v in form.columns], dtype=float)
        bound_type = np.array([row.bound_type for row in form.rows])
        self._row_lower = np.where(bound_type == 1, -np.inf, form.rhs)
        self._row_upper = np.where(bound_type == -1, np.inf, form.rhs)
        self._proved: dict[bytes, np.ndarray | None] = {}
        self._highs = self._load()

    def solve(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, Status]:
        """Solve with new bounds of the changing variables.

        Parameters
        ----------
        lower, upper
            Bounds of the ``changing`` variables, in their order.

        Returns
        -------
        values, status
            Values of ``columns``, meaningful only if ``status.solved``.
        """
        self._lower[self._changing], self._upper[self._changing] = lower, upper
        self._highs.changeColsBounds(len(self._changing), self._changing, lower, upper)
        status = self._run()
        if status is Status.NUMERICAL_TROUBLE:  # large weights can be too much for a cold start; single aims are not
            self._highs.clearSolver()
            status = self._pass_through_aims()
        elif status.solved and not self._is_strict_optimum():
            status = self._pass_through_aims()
        values = np.append(self._values(), 0.0)  # a variable in no constraint and no aim stays at zero
        return values[self._returned], status

    @property
    def bases_proved(self) -> int:
        """How many distinct optimal bases were met and proved so far."""
        return sum(leading is not None for leading in self._proved.values())

    def _load(self) -> highspy.Highs:
        program = highspy.HighsLp()
        program.num_row_, program.num_col_ = self._matrix.shape
        program.col_cost_ = self._combined
        program.col_lower_, program.col_upper_ = self._lower, self._upper
        program.row_lower_, program.row_upper_ = self._row_lower, self._row_upper
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_ = self._matrix.indptr
        program.a_matrix_.index_ = self._matrix.indices
        program.a_matrix_.value_ = self._matrix.data
        highs = highspy.Highs()
        for option, value in {
            "output_flag": False,
            "presolve": "off",  # it would throw the last basis away
            "solver": "simplex",
            "threads": 1,
            "primal_feasibility_tolerance": _FEASIBILITY,
            "dual_feasibility_tolerance": _FEASIBILITY,
        }.items():
            highs.setOptionValue(option, value)
        highs.passModel(program)
        return highs

    def _run(self) -> Status:
        self._highs.run()
        return _STATUS.get(self._highs.getModelStatus(), Status.NUMERICAL_TROUBLE)

    def _values(self) -> np.ndarray:
        return np.array(self._highs.getSolution().col_value)

    def law(self) -> AffineLaw | None:
        """The law around the present answer; None where its basis could not be proved.

        The upper bounds of the changing variables move, and with them the lower bounds of those that are fixed. Strict
        optimality of a basis does not depend on any bound, so the law holds wherever its values keep all bounds.
        """
        leading = self._leading()
        if leading is None:
            return None
        bounds = Bounds(self._lower, self._upper, self._row_lower, self._row_upper)
        law = affine_law(self._matrix, bounds, self._basic(), leading, self._changing, self._demanded)
        constant, slope = np.append(law.constant, 0.0), np.vstack([law.slope, np.zeros_like(law.slope[:1])])
        return AffineLaw(constant[self._returned], slope[self._returned], law.left, law.right)

    def _is_strict_optimum(self) -> bool:
        """Whether the present basis is optimal aim by aim, whatever the weights were."""
        return self._leading() is not None

    def _leading(self) -> np.ndarray | None:
        """Sign of the first aim that moving each variable would worsen; None if the present basis is not optimal."""
        basic = self._basic()
        at_lower, at_upper = self._resting()
        key = np.sort(basic).tobytes() + np.packbits(at_lower).tobytes() + np.packbits(at_upper).tobytes()
        if key not in self._proved:
            reduced, zero = self._reduced_costs(basic, self._aims)
            self._proved[key] = _lexicographically_optimal(reduced, zero, basic, at_lower, at_upper)
        return self._proved[key]

    def _basic(self) -> np.ndarray:
        """Positions of the basic variables in the order of HiGHS: columns first, then rows."""
        _, basic = self._highs.getBasicVariables()
        basic = np.asarray(basic)
        return np.where(basic < 0, self._matrix.shape[1] - basic - 1, basic)

    def _resting(self) -> tuple[np.ndarray, np.ndarray]:
        """Which of the columns and rows stand at their lower and at their upper bound; fixed ones do both."""
        solution = self._highs.getSolution()
        values = np.concatenate([solution.col_value, solution.row_value])
        lower = np.concatenate([self._lower, self._row_lower])
        upper = np.concatenate([self._upper, self._row_upper])
        return values <= lower + _FEASIBILITY, values >= upper - _FEASIBILITY

    def _reduced_costs(self, basic: np.ndarray, aims: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reduced costs of each aim over columns and rows, and how small of them counts as zero."""
        costs = np.hstack([aims, np.zeros((len(aims), self._matrix.shape[0]))])
        prices = np.array([self._highs.getBasisTransposeSolve(cost[basic])[1] for cost in costs])
        reduced = np.hstack([aims - (self._transposed @ prices.T).T, prices])
        scale = np.maximum(1.0, np.abs(prices).max(axis=1))
        return reduced, _REDUCED_COST_ZERO * scale

    def _pass_through_aims(self) -> Status:
        """Take the aims one by one, each on the optimal face of those before; the strict order by definition."""
        every = np.arange(self._matrix.shape[1], dtype=np.int32)
        rows = np.arange(self._matrix.shape[0], dtype=np.int32)
        column_bounds = [self._lower.copy(), self._upper.copy()]
        row_bounds = [self._row_lower.copy(), self._row_upper.copy()]
        status = Status.OPTIMAL
        for aim in self._aims:
            self._highs.changeColsCost(len(every), every, aim)
            status = self._run()
            if not status.solved:
                break
            self._freeze(aim, column_bounds, row_bounds)
        self._highs.changeColsBounds(len(every), every, self._lower, self._upper)
        self._highs.changeRowsBounds(len(rows), rows, self._row_lower, self._row_upper)
        self._highs.changeColsCost(len(every), every, self._combined)
        return status

    def _freeze(self, aim: np.ndarray, column_bounds: list[np.ndarray], row_bounds: list[np.ndarray]) -> None:
        """Fix every variable whose move would worsen ``aim``: what stays free is its optimal face."""
        reduced, zero = self._reduced_costs(self._basic(), aim[None, :])
        frozen = np.abs(reduced[0]) > zero[0]
        solution = self._highs.getSolution()
        count = len(column_bounds[0])
        for bounds, part, values, change in (
            (column_bounds, frozen[:count], solution.col_value, self._highs.changeColsBounds),
            (row_bounds, frozen[count:], solution.row_value, self._highs.changeRowsBounds),
        ):
            position = np.flatnonzero(part).astype(np.int32)
            at = np.clip(np.array(values)[position], bounds[0][position], bounds[1][position])
            bounds[0][position] = bounds[1][position] = at
            change(len(position), position, at, at)


def _lexicographically_optimal(
    reduced: np.ndarray, zero: np.ndarray, basic: np.ndarray, at_lower: np.ndarray, at_upper: np.ndarray
) -> np.ndarray | None:
    """Signs of the leading reduced costs, if no nonbasic variable can leave its bound without worsening an aim first."""
    sign = np.where(np.abs(reduced) > zero[:, None], np.sign(reduced), 0.0)
    first = np.argmax(sign != 0.0, axis=0)
    leading = np.take_along_axis(sign, first[None, :], axis=0)[0]
    bad = ((leading < 0.0) & ~at_upper) | ((leading > 0.0) & ~at_lower)
    bad[basic] = False
    return None if np.any(bad & ~(at_lower & at_upper)) else leading

"""A linear program held in HiGHS: bounds and costs change, the last basis stays, prices can be asked for.

The only door to HiGHS. Positions count columns first, then rows, as a basis does.
"""

from typing import Final

import highspy
import numpy as np
import scipy.sparse as sp

from mmopt.status import Status

FEASIBILITY: Final = 1.0e-9
"""Primal and dual tolerance of HiGHS; the default 1e-7 would show in fluxes of 1e-6."""

_OPTIONS: Final = {
    "output_flag": False,
    "presolve": "off",  # it would throw the last basis away
    "solver": "simplex",
    "threads": 1,
    "primal_feasibility_tolerance": FEASIBILITY,
    "dual_feasibility_tolerance": FEASIBILITY,
}

_STATUS: Final = {
    highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: Status.TIME_LIMIT,
    highspy.HighsModelStatus.kIterationLimit: Status.ITERATION_LIMIT,
}


class _Silent(highspy.Highs):  # type: ignore[misc]
    """HiGHS that says nothing: from 1.16 on it prints a banner as soon as its callbacks are set, before options can be."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Set the callbacks, silenced."""
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


class Simplex:
    """min cost'x with row_lower <= A x <= row_upper and lower <= x <= upper, warm-started from its last basis.

    Attributes
    ----------
    matrix
        A, shape (rows, columns).
    lower, upper, row_lower, row_upper
        The bounds as they are now.
    """

    def __init__(
        self,
        matrix: sp.csc_array,
        cost: np.ndarray,
        bounds: tuple[np.ndarray, np.ndarray],
        row_bounds: tuple[np.ndarray, np.ndarray],
    ) -> None:
        self.matrix = matrix
        self.lower, self.upper = bounds
        self.row_lower, self.row_upper = row_bounds
        program = highspy.HighsLp()
        program.num_row_, program.num_col_ = matrix.shape
        program.col_cost_ = cost
        program.col_lower_, program.col_upper_ = bounds
        program.row_lower_, program.row_upper_ = row_bounds
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_ = matrix.indptr
        program.a_matrix_.index_ = matrix.indices
        program.a_matrix_.value_ = matrix.data
        self._highs = _Silent()
        for option, value in _OPTIONS.items():
            self._highs.setOptionValue(option, value)
        self._highs.passModel(program)

    def run(self) -> Status:
        """Solve from the last basis."""
        self._highs.run()
        return _STATUS.get(self._highs.getModelStatus(), Status.NUMERICAL_TROUBLE)

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Values of the columns and of the rows."""
        solution = self._highs.getSolution()
        return np.array(solution.col_value), np.array(solution.row_value)

    def set_cost(self, cost: np.ndarray) -> None:
        """Take another objective."""
        self._highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)

    def set_bounds(self, columns: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Move bounds of some columns."""
        self.lower[columns], self.upper[columns] = lower, upper
        self._highs.changeColsBounds(len(columns), columns.astype(np.int32), lower, upper)

    def set_row_bounds(self, rows: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Move bounds of some rows."""
        self.row_lower[rows], self.row_upper[rows] = lower, upper
        self._highs.changeRowsBounds(len(rows), rows.astype(np.int32), lower, upper)

    def basic(self) -> np.ndarray:
        """Positions of the basic variables, in the order of the rows of the basis matrix."""
        _, basic = self._highs.getBasicVariables()
        basic = np.asarray(basic)
        return np.where(basic < 0, self.matrix.shape[1] - basic - 1, basic)

    def prices(self, basic_cost: np.ndarray) -> np.ndarray:
        """Prices y of the rows for which the basic variables, at this cost, have none left: B'y = cost."""
        return np.asarray(self._highs.getBasisTransposeSolve(basic_cost)[1])

    def basis(self) -> highspy.HighsBasis:
        """The present basis, for `restart`."""
        return self._highs.getBasis()

    def restart(self, basis: highspy.HighsBasis | None = None) -> None:
        """Forget everything but bounds and cost; what follows depends on ``basis`` alone and not on what ran before."""
        self._highs.clearSolver()
        if basis is not None:
            self._highs.setBasis(basis)


def maximise(matrix: sp.csc_array, gain: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, Status]:
    """Solve max gain'x with A x = 0 and lower <= x <= upper, once.

    Returns
    -------
    values, status
        Values of x, meaningful only if ``status.solved``.
    """
    zero = np.zeros(matrix.shape[0])
    simplex = Simplex(matrix, -gain, (lower.copy(), upper.copy()), (zero, zero.copy()))
    status = simplex.run()
    return simplex.values()[0], status

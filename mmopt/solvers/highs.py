"""A linear program in HiGHS: bounds and costs change, the last basis stays, dual prices can be computed.

The only module that imports HiGHS. Positions count columns first, then rows, as a basis does.
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
    "presolve": "off",  # it would drop the last basis
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
    """HiGHS without output: from 1.16 on it prints a banner as soon as its callbacks are set, before options can be."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Set the callbacks, silenced."""
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()


class Simplex:
    """min cost'x with row_lower <= A x <= row_upper and lower <= x <= upper, warm-started from its last basis.

    Parameters
    ----------
    matrix
        A, shape (rows, columns).
    cost
        Shape (columns,).
    bounds
        Lower and upper bounds of the columns; `set_bounds` changes these arrays.
    row_bounds
        Lower and upper bounds of the rows; `set_row_bounds` changes these arrays.

    Attributes
    ----------
    matrix
        A.
    lower, upper, row_lower, row_upper
        The present bounds.

    Examples
    --------
    >>> one = sp.csc_array(np.array([[1.0, 1.0]]))
    >>> zero, two = np.zeros(2), np.full(2, 2.0)
    >>> simplex = Simplex(one, np.array([1.0, 3.0]), (zero, two), (np.array([3.0]), np.array([3.0])))
    >>> simplex.run().name, simplex.values()[0].tolist()
    ('OPTIMAL', [2.0, 1.0])
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
        """Change the objective.

        Parameters
        ----------
        cost
            Shape (columns,).
        """
        self._highs.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost)

    def set_bounds(self, columns: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Change bounds of some columns.

        Parameters
        ----------
        columns
            Positions of the columns.
        lower, upper
            Their bounds.
        """
        self.lower[columns], self.upper[columns] = lower, upper
        self._highs.changeColsBounds(len(columns), columns.astype(np.int32), lower, upper)

    def set_row_bounds(self, rows: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        """Change bounds of some rows.

        Parameters
        ----------
        rows
            Positions of the rows.
        lower, upper
            Their bounds.
        """
        self.row_lower[rows], self.row_upper[rows] = lower, upper
        self._highs.changeRowsBounds(len(rows), rows.astype(np.int32), lower, upper)

    def basic(self) -> np.ndarray:
        """Positions of the basic variables, in the order of the rows of the basis matrix."""
        _, basic = self._highs.getBasicVariables()
        basic = np.asarray(basic)
        return np.where(basic < 0, self.matrix.shape[1] - basic - 1, basic)

    def prices(self, basic_cost: np.ndarray) -> np.ndarray:
        """Compute the dual prices y of the rows at which basic variables have no reduced cost: B'y = cost.

        Parameters
        ----------
        basic_cost
            Costs of the basic variables, in the order of `basic`.

        Returns
        -------
        ndarray
            Prices, shape (rows,).
        """
        return np.asarray(self._highs.getBasisTransposeSolve(basic_cost)[1])

    def basis(self) -> highspy.HighsBasis:
        """The present basis, for `restart`."""
        return self._highs.getBasis()

    def restart(self, basis: highspy.HighsBasis | None = None) -> None:
        """Reset everything but bounds and cost, so that later solves do not depend on earlier ones.

        Parameters
        ----------
        basis
            Basis to start from; a cold start if None.
        """
        self._highs.clearSolver()
        if basis is not None:
            self._highs.setBasis(basis)


def maximise(matrix: sp.csc_array, gain: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, Status]:
    """Solve max gain'x with A x = 0 and lower <= x <= upper, once.

    Parameters
    ----------
    matrix
        A, shape (rows, columns).
    gain
        Shape (columns,).
    lower, upper
        Bounds, shape (columns,).

    Returns
    -------
    values, status
        Values of x, meaningful only if ``status.solved``.
    """
    zero = np.zeros(matrix.shape[0])
    simplex = Simplex(matrix, -gain, (lower.copy(), upper.copy()), (zero, zero.copy()))
    status = simplex.run()
    return simplex.values()[0], status

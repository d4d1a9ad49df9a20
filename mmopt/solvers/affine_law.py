"""The affine law of a linear program around an optimal basis, and the region in which it holds; means of such laws.

Basic variables are x_B = -B⁻¹ N x_N, so they are affine in every bound that moves; the law holds as long as they keep their
own bounds.

Gal and Nedoma (1972), Manage. Sci. 18:406.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Final

import casadi
import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from mmopt.solvers.highs import Simplex

_COEFFICIENT_ZERO: Final = 1.0e-11
"""A basic variable whose law depends less than this on every moving bound does not bound the region."""


@dataclass(frozen=True, eq=False)
class AffineLaw:
    """The solution as an affine function of the bounds of the changing variables, while one basis stays optimal.

    Attributes
    ----------
    constant, slope
        The values are ``constant + slope @ bounds``; shapes (columns,) and (columns, changing).
    left, right
        The region: ``left @ bounds <= right``; shapes (conditions, changing) and (conditions,).
    """

    constant: np.ndarray
    slope: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def of(self, spread: np.ndarray, offset: np.ndarray | None = None) -> "AffineLaw":
        """Write the law in other variables x, where bounds are ``spread @ x + offset``.

        Parameters
        ----------
        spread
            Shape (changing, variables).
        offset
            Shape (changing,); zero if None.

        Returns
        -------
        AffineLaw
            The law, with slopes and region in x.
        """
        if offset is None:
            return AffineLaw(self.constant, self.slope @ spread, self.left @ spread, self.right)
        constant = self.constant + self.slope @ offset
        return AffineLaw(constant, self.slope @ spread, self.left @ spread, self.right - self.left @ offset)

    def where(self, left: np.ndarray, right: np.ndarray) -> "AffineLaw":
        """Restrict the law to a smaller region.

        Parameters
        ----------
        left, right
            More conditions ``left @ bounds <= right``.

        Returns
        -------
        AffineLaw
            The law in the intersection.
        """
        return AffineLaw(self.constant, self.slope, np.vstack([self.left, left]), np.concatenate([self.right, right]))


def affine_law(
    program: Simplex,
    basic: np.ndarray,
    leading: np.ndarray,
    changing: np.ndarray,
    demanded: np.ndarray,
) -> AffineLaw:
    """Compute the affine law of all columns from a basis.

    Parameters
    ----------
    program
        The program, with its present bounds.
    basic
        Positions of the basic variables, columns first, then rows.
    leading
        Sign of the leading reduced cost of every column and row: the bound at which a nonbasic one rests.
    changing
        Columns whose upper bound moves.
    demanded
        Those of them whose lower bound moves along.

    Returns
    -------
    AffineLaw
        The law and its region.
    """
    matrix = program.matrix
    rows, columns = matrix.shape
    moving = np.zeros((columns, len(changing)))
    moving[changing, np.arange(len(changing))] = 1.0
    constant, slope = _resting_columns(program, basic, leading[:columns], changing, demanded, moving)
    activity = np.where((leading[columns:] < 0.0) | np.isinf(program.row_lower), program.row_upper, program.row_lower)
    activity[basic[basic >= columns] - columns] = 0.0
    whole = sp.hstack([matrix, -sp.eye_array(rows)], format="csc")
    push = np.column_stack([matrix @ constant - activity, matrix @ slope])
    moved = -splu(whole[:, basic]).solve(push)
    inside = basic < columns
    constant[basic[inside]], slope[basic[inside]] = moved[inside, 0], moved[inside, 1:]
    left, right = _region(program, basic, moved, moving)
    return AffineLaw(constant, slope, left, right)


def _resting_columns(
    program: Simplex,
    basic: np.ndarray,
    leading: np.ndarray,
    changing: np.ndarray,
    demanded: np.ndarray,
    moving: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Values of the nonbasic columns, and their slopes by the moving bounds; zero for basic columns."""
    pinned = program.lower == program.upper
    at_upper = ((leading < 0.0) | (pinned & ~(leading > 0.0))) & np.isfinite(program.upper)
    at_upper |= np.isinf(program.lower) & np.isfinite(program.upper)  # its only finite bound, whatever the price
    at_upper[demanded] = True
    resting = np.setdiff1d(np.arange(len(leading)), basic)
    follows = np.isin(resting, changing) & at_upper[resting]
    constant, slope = np.zeros(len(leading)), np.zeros_like(moving)
    slope[resting[follows]] = moving[resting[follows]]
    still = resting[~follows]
    constant[still] = np.where(at_upper[still], program.upper[still], program.lower[still])
    return constant, slope


def _region(
    program: Simplex, basic: np.ndarray, moved: np.ndarray, moving: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Conditions under which the basic variables keep their bounds, without conditions that always hold."""
    lower = np.concatenate([program.lower, program.row_lower])[basic]
    upper = np.concatenate([program.upper, program.row_upper])[basic]
    follows = np.vstack([moving, np.zeros((len(program.row_lower), moving.shape[1]))])[basic]
    upper = np.where(np.any(follows, axis=1), 0.0, upper)
    left = np.vstack([-moved[:, 1:], moved[:, 1:] - follows])
    right = np.concatenate([moved[:, 0] - lower, upper - moved[:, 0]])
    depends = (np.abs(left).max(axis=1) > _COEFFICIENT_ZERO) & np.isfinite(right)
    return left[depends], right[depends]


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mean of affine laws, weighted by the softmax of affine scores: the one layer of a soft law.

    Attributes
    ----------
    scores
        Slopes of the scores, shape (laws, inputs).
    offsets
        Scores at zero, shape (laws,).
    affine_laws
        Slope of every output by each input, then its constant, shape (inputs + 1, laws, outputs).

    Examples
    --------
    >>> from mmopt.solvers.affine_law import Mixture
    >>> ramp = Mixture(np.array([[0.0], [4.0]]), np.zeros(2), np.array([[[0.0], [1.0]], [[0.0], [0.0]]]))
    >>> values, slopes, _ = ramp.derivatives(np.array([[-9.0, 0.0, 9.0]]), np)
    >>> values.round(3).tolist(), slopes[0].round(3).tolist()
    ([[-0.0, 0.0, 9.0]], [[-0.0, 0.5, 1.0]])
    """

    scores: np.ndarray
    offsets: np.ndarray
    affine_laws: np.ndarray

    def values(self, inputs: Any, of: Any) -> Any:
        """Compute the outputs.

        Parameters
        ----------
        inputs
            Shape (inputs, points), of NumPy or CasADi.
        of
            Module whose functions are used, `numpy` or `casadi`.

        Returns
        -------
        array
            Shape (outputs, points).
        """
        return self._mixed(self._shares(inputs, of), inputs, of)

    def derivatives(self, inputs: Any, of: Any) -> tuple[Any, list[Any], dict[tuple[int, int], Any]]:
        """Compute values, slopes and curvatures, as `derivatives` does.

        Parameters
        ----------
        inputs
            Shape (inputs, points), of NumPy or CasADi.
        of
            Module whose functions are used, `numpy` or `casadi`.

        Returns
        -------
        values, slopes, curvatures
        """
        shares, count = self._shares(inputs, of), self.scores.shape[1]
        means = [product(self.scores[:, [k]].T, shares, of) for k in range(count)]
        lean = [self._wide(self.scores[:, k], inputs) - self._tall(means[k], of) for k in range(count)]
        turned = [shares * deviation for deviation in lean]
        slopes = [product(self.affine_laws[k].T, shares, of) + self._mixed(turned[k], inputs, of) for k in range(count)]
        curvatures = {}
        for i, j in combinations_with_replacement(range(count), 2):
            spread = product((self.scores[:, [i]] * self.scores[:, [j]]).T, shares, of) - means[i] * means[j]
            bent = shares * (lean[i] * lean[j] - self._tall(spread, of))
            across = product(self.affine_laws[i].T, turned[j], of) + product(self.affine_laws[j].T, turned[i], of)
            curvatures[i, j] = across + self._mixed(bent, inputs, of)
        return self._mixed(shares, inputs, of), slopes, curvatures

    def _shares(self, inputs: Any, of: Any) -> Any:
        """Softmax of the scores, shape (laws, points); no exponent is positive."""
        scores = product(self.scores, inputs, of) + self._wide(self.offsets, inputs)
        highest = scores
        while highest.shape[0] > 1:
            half = (highest.shape[0] + 1) // 2
            highest = of.fmax(highest[:half, :], highest[highest.shape[0] - half :, :])
        raised = of.exp(scores - self._tall(highest, of))
        return raised / self._tall(product(np.ones((1, len(self.offsets))), raised, of), of)

    def _mixed(self, shares: Any, inputs: Any, of: Any) -> Any:
        """Outputs of the laws, weighted, shape (outputs, points)."""
        outputs = self.affine_laws.shape[2]
        total = product(self.affine_laws[-1].T, shares, of)
        for k, affine_law in enumerate(self.affine_laws[:-1]):
            row = inputs[k : k + 1, :]
            total = total + (of.repmat(row, outputs, 1) if of is casadi else row) * product(affine_law.T, shares, of)
        return total

    def _wide(self, column: np.ndarray, inputs: Any) -> np.ndarray:
        return np.repeat(column[:, None], inputs.shape[1], axis=1)

    def _tall(self, row: Any, of: Any) -> Any:
        return of.repmat(row, len(self.offsets), 1) if of is casadi else row


def product(weights: np.ndarray, values: Any, of: Any) -> Any:
    """Multiply a matrix of numbers by an array or an expression.

    Parameters
    ----------
    weights
        Shape (rows, columns).
    values
        Shape (columns, points), of NumPy or CasADi.
    of
        Module of the values, `numpy` or `casadi`.

    Returns
    -------
    array
        Shape (rows, points).
    """
    return of.mtimes(np.ascontiguousarray(weights), values) if of is casadi else weights @ values

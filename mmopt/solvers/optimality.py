"""Optimality certificates: reduced costs, aim by aim, that prove a basis to be the strict optimum.

A proof depends on the basis and on which bounds are active, and not on their values, so every basis is proved once.
"""

from typing import Final

import numpy as np
import scipy.sparse as sp

from mmopt.solvers.highs import FEASIBILITY, Simplex

_REDUCED_COST_ZERO: Final = 1.0e-8
"""Reduced costs closer to zero than this, relative to the prices behind them, count as zero."""


class OptimalityCertificates:
    """Optimality certificates of the bases that a program has visited.

    Parameters
    ----------
    simplex
        The program.
    aims
        Costs of the aims, first aim first, shape (aims, columns).
    """

    def __init__(self, simplex: Simplex, aims: np.ndarray) -> None:
        self._simplex, self._aims = simplex, aims
        self._transposed = sp.csr_array(simplex.matrix.T)
        self._known: dict[bytes, np.ndarray | None] = {}

    @property
    def count(self) -> int:
        """Number of distinct bases that were proved."""
        return sum(leading is not None for leading in self._known.values())

    def leading(self) -> np.ndarray | None:
        """Return the sign of every leading reduced cost; None if the present basis is not optimal.

        Returns
        -------
        ndarray or None
            Sign of the first aim that a change of the variable would worsen, shape (columns + rows,).
        """
        basic = self._simplex.basic()
        at_lower, at_upper = self._resting(np.concatenate(self._simplex.values()))
        key = np.sort(basic).tobytes() + np.packbits(at_lower).tobytes() + np.packbits(at_upper).tobytes()
        if key not in self._known:
            reduced, zero = self.reduced_costs(basic, self._aims)
            self._known[key] = _lexicographically_optimal(reduced, zero, basic, at_lower, at_upper)
        return self._known[key]

    def reduced_costs(self, basic: np.ndarray, aims: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the reduced costs of aims.

        Parameters
        ----------
        basic
            Positions of the basic variables.
        aims
            Costs, shape (aims, columns).

        Returns
        -------
        reduced, zero
            Reduced costs, shape (aims, columns + rows), and the size below which they count as zero, shape (aims,).
        """
        costs = np.hstack([aims, np.zeros((len(aims), self._simplex.matrix.shape[0]))])
        prices = np.array([self._simplex.prices(cost[basic]) for cost in costs])
        reduced = np.hstack([aims - (self._transposed @ prices.T).T, prices])
        scale = np.maximum(1.0, np.abs(prices).max(axis=1))
        return reduced, _REDUCED_COST_ZERO * scale

    def _resting(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether columns and rows are at their lower and at their upper bound; fixed ones are at both."""
        lower = np.concatenate([self._simplex.lower, self._simplex.row_lower])
        upper = np.concatenate([self._simplex.upper, self._simplex.row_upper])
        return values <= lower + FEASIBILITY, values >= upper - FEASIBILITY


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

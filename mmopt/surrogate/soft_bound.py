"""Bounds of the error of a smooth mean of the affine laws of an atlas.

The exact flux v(u) is continuous, and equal to an affine law v_j in region j. The mean is

    s(u) = Σ w_k(u) v_k(u),   w_k(u) = exp(β h_k(u)) / Σ_l exp(β h_l(u)),

with affine weights h_k, of which h_j is the largest in region j; let d_k = h_j - h_k there. Then s - v ≤ E in a point of region
j just where Σ_k exp(-β d_k) (v_k - v_j - E) ≤ 0. Both v_k - v_j and d_k are affine in the region; so, with c_k the least number
for which v_k - v_j ≤ c_k (d_k + η) at its corners, that holds all over it, and E is a bound there if

    Σ_k max {(c_k (x + η) - E) exp(-β x) : m_k ≤ x ≤ M_k} ≤ 0,

with m_k and M_k the least and the largest d_k at the corners, and η what rounding leaves of d_k ≥ 0. Every maximum is at
x = E / c_k + 1 / β - η, or at the end next to it; the one of j itself is -E. The same bounds v - s, and the largest bound over
all regions holds wherever a region is known. It falls as 1 / β, and does not depend on how the weights were computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.surrogate.max_affine import ROUNDING, Corners
from mmopt.units import GROWTH_UNIT, RATE

_HALVINGS: Final = 18

_SHOWN: Final = 1.0e-2
"""Least change of a flux over the domain that is on the card [mmol/gDW/h]."""


@dataclass(frozen=True, eq=False)
class Separation:
    """Separation of regions by max-affine weights, and the bounds that follow.

    Attributes
    ----------
    corners
        The corners of the regions.
    depth
        At every corner by how much the own weight is above the others, plus ``slack``; shape (corners, regions).
    slack
        No less than twice what rounding leaves of it below zero; η.
    """

    corners: Corners
    depth: np.ndarray
    slack: float

    @staticmethod
    def of(corners: Corners, weights: np.ndarray) -> "Separation":
        """Compute the separation of regions.

        Parameters
        ----------
        corners
            Corners of its regions.
        weights
            Max-affine weights, shape (regions, inputs + 1).

        Returns
        -------
        Separation
        """
        beyond = corners.excess(weights)
        slack = 2.0 * max(ROUNDING, float(beyond.max()))
        return Separation(corners, slack - beyond, slack)

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        return -self.corners.largest(-self.depth), self.corners.largest(self.depth)

    def _holds(self, steepest: np.ndarray, error: float, sharpness: float) -> bool:
        with np.errstate(divide="ignore"):  # for an affine law that is never above: the end that is further off
            depth = np.clip(error / steepest + 1.0 / sharpness, *self._ends)
        terms = (steepest * depth - error) * np.exp(sharpness * (self.slack - depth))
        return bool(terms.sum(axis=1).max() <= 0.0)

    def bound(self, excess: np.ndarray, sharpness: float) -> float:
        """Compute the least error that the proof allows.

        Parameters
        ----------
        excess
            By how much every affine law is above that of the corner's own region, or zero; shape (corners, regions).
        sharpness
            Factor of the weights, β.

        Returns
        -------
        float
        """
        trivial = float(excess.max())  # no mean is further off than the furthest
        if trivial <= 0.0:
            return 0.0
        steepest = self.corners.largest(excess / self.depth)
        return least(lambda error: self._holds(steepest, error, sharpness), 1.0e-9 * trivial, trivial)

    def sharpness(self, excess: np.ndarray, error: float) -> float:
        """Compute the least sharpness for which the bound is no more than an error.

        Parameters
        ----------
        excess
            As for `bound`.
        error
            The error.

        Returns
        -------
        float

        Raises
        ------
        SurrogateError
            If rounding prevents a bound as small as that.
        """
        steepest = self.corners.largest(excess / self.depth)
        high = min(10.0 * float(np.log(len(self.corners.starts) + 2.0)) / error, 1.0 / self.slack)
        if not self._holds(steepest, error, high):
            raise SurrogateError(f"an error of {error:g} cannot be proved for these regions; give a larger one")
        return least(lambda sharpness: self._holds(steepest, error, sharpness), 1.0e-4 * high, high)


def least(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Find the least number between two from which on a condition holds, to 0.01 % of it; it holds at the higher.

    Parameters
    ----------
    holds
        The condition.
    low, high
        The two numbers, above zero.

    Returns
    -------
    float

    Examples
    --------
    >>> round(least(lambda x: x * x >= 2.0, 0.1, 10.0), 3)
    1.414
    """
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def card_of(atlas: Atlas, law: Any, spans: np.ndarray, error: float) -> dict[str, Any]:
    """Return what a law was computed from, and the bounds of growth, the shortfall and every exchange that changes.

    Parameters
    ----------
    atlas
        The atlas.
    law
        The `SoftLaw`.
    spans
        Range of every flux over the domain.
    error
        The error given to `soft_law`.

    Returns
    -------
    dict
    """
    network = atlas.network
    rows = {GROWTH: network.column(network.biomass), SHORTFALL: len(network.reactions)}
    rows |= {name: column for name in network.exchanges if spans[column := network.column(name)] > _SHOWN}
    return {
        "network": network.name,
        "network_hash": network.hash,
        "atlas": atlas.digest,
        "regions": len(atlas.regions),
        "planes": len(atlas.growth_planes()[1]),
        "error": error,
        "sharpness": law.sharpness,
        "bounds": {name: {"bound": law.bound(name), "range": float(spans[row])} for name, row in rows.items()},
        "units": {name: GROWTH_UNIT if name == GROWTH else RATE for name in rows},
    }

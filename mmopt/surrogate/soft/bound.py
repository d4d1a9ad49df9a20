"""Bounds of the error of a smooth mean of the affine laws of an atlas.

The exact flux v(u) is continuous, and equal to an affine law v_j in region j. The mean is

    s(u) = Σ w_k(u) v_k(u),   w_k(u) = exp(β h_k(u)) / Σ_l exp(β h_l(u)),

with affine weights h_k, of which h_j is the largest in region j; let d_k = h_j - h_k there. Then s - v ≤ E in a point of region
j just where Σ_k exp(-β d_k) (v_k - v_j - E) ≤ 0. Both v_k - v_j and d_k are affine in the region; so, with c_k the least number
for which v_k - v_j ≤ c_k (d_k + η) at its corners, that holds all over it, and E is a bound there if

    Σ_k max {(c_k (x + η) - E) exp(-β x) : m_k ≤ x ≤ M_k} ≤ 0,

with m_k and M_k the least and the largest d_k at the corners, and η what rounding leaves of d_k ≥ 0. Every maximum is at
x = E / c_k + 1 / β - η, or at the end next to it; the one of j itself is -E. The same bounds v - s, and the largest bound over
all regions holds wherever a region is known. It falls as 1 / β, and does not depend on how the weights were computed. The term
of a region that is far, with a large m_k, is at most r_k exp(-β m_k), where r_k is the most that v_k is above any flux in the
domain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.surrogate.soft.corners import Corners, ranges_of
from mmopt.surrogate.soft.separation import Separation
from mmopt.surrogate.soft.weights import Separated
from mmopt.units import GROWTH_UNIT, RATE

_HALVINGS: Final = 18

_FAR: Final = 32.0
"""Regions are far whose share in the mean is below the exponential of minus this."""

_SHOWN: Final = 1.0e-2
"""Least change of a flux over the domain that is on the card [mmol/gDW/h]."""

MINOR, _TRACE = 0.1, 0.02
"""Exchanges are minor that change less than this fraction of the one that changes most, and traces that change less than this
[mmol/gDW/h]."""


def reach_of(sharpness: float) -> float:
    """Return from which separation on regions are far.

    Parameters
    ----------
    sharpness
        Factor of the weights, β.

    Returns
    -------
    float
    """
    return _FAR / sharpness


@dataclass(frozen=True, eq=False)
class Proof:
    """Bounds of the errors of a mean of affine laws.

    Attributes
    ----------
    separation
        Separation of the regions by the weights.
    sharpness
        Factor of the weights, β.
    """

    separation: Separation
    sharpness: float

    @staticmethod
    def of(corners: Corners, weights: np.ndarray, sharpness: float) -> "Proof":
        """Compare all regions.

        Parameters
        ----------
        corners
            Corners of the regions.
        weights
            Max-affine weights, shape (regions, inputs + 1).
        sharpness
            Factor of the weights, β.

        Returns
        -------
        Proof
        """
        return Proof(Separation.of(corners, weights, reach_of(sharpness)), sharpness)

    @cached_property
    def _far_share(self) -> np.ndarray:
        return self.separation.far_share(self.sharpness)

    def bound(self, planes: np.ndarray) -> float:
        """Compute the least error of a reading that the proof allows.

        Parameters
        ----------
        planes
            The reading by the affine law of every region, shape (regions, inputs + 1).

        Returns
        -------
        float
        """
        corners = self.separation.corners
        points = list(corners.by_region())
        steepest = self.separation.steepest(lambda own, others: points[own] @ (planes[others] - planes[own]).T)
        ranges = (most[:, 0] for most in ranges_of(corners, planes[:, :, None]))
        return max(self._bound(ratio, np.maximum(most, 0.0)) for ratio, most in zip(steepest, ranges, strict=True))

    def _bound(self, steepest: np.ndarray, most: np.ndarray) -> float:
        trivial = float(most.max())  # no mean is further off than the furthest
        if trivial <= 0.0:
            return 0.0
        far = self._far_share @ most

        def holds(error: float, regions: np.ndarray) -> np.ndarray:
            sums: np.ndarray = _sums(self.separation, steepest, error, self.sharpness, regions)
            holding: np.ndarray = -sums >= far[regions]
            return holding

        return _least_of_all(holds, len(most), 1.0e-9 * trivial, trivial)


def sharpness_for(compared: Separated, error: float) -> float:
    """Compute the least sharpness for which every reading errs by no more than an error.

    Parameters
    ----------
    compared
        Weights, and how steeply the readings change across their separation.
    error
        The error, on the scale of the readings.

    Returns
    -------
    float

    Raises
    ------
    SurrogateError
        If rounding prevents a bound as small as that.
    """
    separation = compared.separation
    high = min(10.0 * float(np.log(len(compared.ranges) + 2.0)) / error, 1.0 / separation.slack)

    def holds(sharpness: float, regions: np.ndarray) -> np.ndarray:
        far: np.ndarray = separation.far_share(sharpness)[regions] @ compared.ranges
        return -_sums(separation, compared.steepest, error, sharpness, regions) >= far

    if not holds(high, np.arange(len(compared.ranges))).all():
        raise SurrogateError(f"an error of {error:g} cannot be proved for these regions; give a larger one")
    return _least_of_all(holds, len(compared.ranges), 1.0e-4 * high, high)


def _sums(
    separation: Separation, steepest: np.ndarray, error: float, sharpness: float, regions: np.ndarray
) -> np.ndarray:
    """What must not be above zero, over the near pairs of some regions, shape (regions,)."""
    first, count = separation.ends[regions], np.diff(separation.ends)[regions]
    starts = np.cumsum(count) - count
    pairs = np.repeat(first - starts, count) + np.arange(int(count.sum()))
    ratio, (least_depth, most_depth) = steepest[pairs], separation.depths
    highest = np.full(len(pairs), np.inf)  # for an affine law that is never above: the end that is further off
    np.divide(error, ratio, out=highest, where=ratio > 0.0)
    depth = np.clip(highest + 1.0 / sharpness, least_depth[pairs], most_depth[pairs])
    terms = (ratio * depth - error) * np.exp(sharpness * (separation.slack - depth))
    sums: np.ndarray = np.add.reduceat(terms, starts)
    return sums


def _least_of_all(holds: Callable[[float, np.ndarray], np.ndarray], regions: int, low: float, high: float) -> float:
    """The least number from which on a condition holds in all regions; those in which it holds are left out from there on."""
    rest = np.arange(regions)
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        holding = holds(middle, rest)
        if holding.all():
            high = middle
        else:
            low, rest = middle, rest[~holding]
    return high


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
        Every bound has a ``size``: ``large``, ``minor`` or ``trace``.
    """
    network = atlas.network
    largest = float(spans[[network.column(name) for name in network.exchanges]].max())
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
        "bounds": {
            name: {
                "bound": law.bound(name),
                "range": float(spans[row]),
                "size": _size(float(spans[row]), largest) if name in network.exchanges else "large",
            }
            for name, row in rows.items()
        },
        "units": {name: GROWTH_UNIT if name == GROWTH else RATE for name in rows},
    }


def _size(span: float, largest: float) -> str:
    if span >= MINOR * largest:
        return "large"
    return "minor" if span >= _TRACE else "trace"

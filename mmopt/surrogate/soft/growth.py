"""Growth as the soft minimum of its planes, with a proved bound of its error.

Growth is max(0, min p_k) over its planes p_k: where the maintenance demand can be met it is their minimum, which is concave;
it comes down to zero where the demand is just met, so beyond, where nothing grows, the minimum is below zero.

The soft minimum -log Σ exp(-β p_k) / β is below the minimum p_j by log Σ exp(-β (p_k - p_j)) / β. That is convex in every
region, and so largest at a corner; it is log K / β at most, for K planes. The soft maximum with zero is above the maximum
by log 2 / γ at most, and never below (Boyd and Vandenberghe 2004, Convex Optimization, section 3.1.5).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.surrogate.limit_points import planes_of
from mmopt.surrogate.soft.bound import least
from mmopt.surrogate.soft.corners import Corners

_NO_SHORTFALL: Final = 1.0e-9
_EXACT: Final = 1.0e-6
"""How well the planes must repeat growth at the corners [1/h]."""


@dataclass(frozen=True, eq=False)
class SoftGrowth:
    """Growth from its planes alone, without the fluxes that go with it.

    Attributes
    ----------
    planes
        Of scaled inputs and a one [1/h], shape (planes, inputs + 1).
    sharpness, zero
        Of the minimum, β, and of the maximum with zero, γ [h].
    bound
        Largest error [1/h].
    """

    planes: np.ndarray
    sharpness: float
    zero: float
    bound: float

    def __call__(self, scaled: np.ndarray) -> np.ndarray:
        """Compute growth.

        Parameters
        ----------
        scaled
            Scaled inputs and a one, shape (..., inputs + 1).

        Returns
        -------
        ndarray
            Growth [1/h], shape (...).
        """
        growth = scaled @ self.planes.T
        soft = growth.min(axis=-1) - _below(growth, self.sharpness)
        value: np.ndarray = np.logaddexp(0.0, self.zero * soft) / self.zero
        return value


def soft_growth(atlas: Atlas, corners: Corners, values: np.ndarray, error: float) -> SoftGrowth:
    """Compute soft growth whose error is at most a given one, and which is no sharper than that takes.

    Parameters
    ----------
    atlas
        An explored atlas.
    corners
        Corners of its regions.
    values
        Growth and shortfall there, by the affine law of the corner's own region, shape (corners, 2).
    error
        Largest error wanted [1/h].

    Returns
    -------
    SoftGrowth

    Raises
    ------
    SurrogateError
        If growth is not the least of its planes, or zero.
    """
    planes = planes_of(atlas.domain, *atlas.growth_planes())
    growth, shortfall = values.T
    starved = np.maximum.reduceat(shortfall, corners.starts)[corners.owner] >= _NO_SHORTFALL
    at_corners = corners.points @ planes.T
    lowest = at_corners.min(axis=1, initial=np.inf)
    deviation = float(np.abs(np.where(starved, growth, np.maximum(lowest, 0.0) - growth)).max())
    if starved.all() or deviation > _EXACT:
        raise SurrogateError("growth is not the least of its planes, or zero, in this atlas; read it from the fluxes")
    met, high = at_corners[~starved], float(np.log(len(planes) + 1.0)) / error
    sharpness = least(lambda beta: bool(_below(met, beta).max() <= error), 1.0e-3 * high, high)
    return SoftGrowth(planes, sharpness, float(np.log(2.0)) / error, error + deviation)


def _below(planes: np.ndarray, sharpness: float) -> np.ndarray:
    """By how much the soft minimum over the last axis is below the minimum."""
    above = planes - planes.min(axis=-1, keepdims=True)
    value: np.ndarray = np.log(np.exp(-sharpness * above).sum(axis=-1)) / sharpness
    return value

"""How far max-affine weights separate the regions, and how steeply readings change across that distance.

Only regions that are near are compared corner by corner: where the own weight is far above another's, the other affine law
has no share in the mean, and a coarse bound of it is enough.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from mmopt.surrogate.soft.corners import Corners

ROUNDING: Final = 1.0e-5
"""Violation of their conditions that weights may have, on the scale of the readings: corners are rounded, solvers have
tolerances."""

Excess = Callable[[int, np.ndarray], np.ndarray]
"""From a region and others to a difference at its corners, shape (corners of the region, others)."""


@dataclass(frozen=True, eq=False)
class Separation:
    """Separation of regions by max-affine weights.

    Attributes
    ----------
    corners
        The corners of the regions.
    weights
        Max-affine weights, shape (regions, inputs + 1).
    least, most
        By how much the weight of the first region is above that of the second at its own corners, at the least and at the
        most; shape (regions, regions).
    slack
        No less than twice what rounding leaves of it below zero; η.
    reach
        Regions are near whose least separation is below it.
    """

    corners: Corners
    weights: np.ndarray
    least: np.ndarray
    most: np.ndarray
    slack: float
    reach: float

    @staticmethod
    def of(corners: Corners, weights: np.ndarray, reach: float) -> "Separation":
        """Compute the separation of regions.

        Parameters
        ----------
        corners
            Corners of the regions.
        weights
            Max-affine weights, shape (regions, inputs + 1).
        reach
            Least separation of regions that are far.

        Returns
        -------
        Separation
        """
        least, most = np.zeros((2, len(weights), len(weights)))
        for own, points in enumerate(corners.by_region()):
            depth = points @ (weights[own] - weights).T
            least[own], most[own] = depth.min(axis=0), depth.max(axis=0)
        slack = 2.0 * max(ROUNDING, -float(least.min()))
        return Separation(corners, weights, least, most, slack, reach)

    @cached_property
    def own(self) -> np.ndarray:
        """The first region of every near pair, ascending, shape (pairs,)."""
        return np.nonzero(self.least < self.reach)[0].astype(np.int32)

    @cached_property
    def other(self) -> np.ndarray:
        """The second region of every near pair, shape (pairs,)."""
        return np.nonzero(self.least < self.reach)[1].astype(np.int32)

    @cached_property
    def ends(self) -> np.ndarray:
        """Numbers of the first pair of every region, and of all pairs, shape (regions + 1,)."""
        return np.searchsorted(self.own, np.arange(len(self.weights) + 1))

    @cached_property
    def depths(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and most separation of every near pair, plus ``slack``; shapes (pairs,)."""
        near = self.least < self.reach
        return self.least[near] + self.slack, self.most[near] + self.slack

    def near(self) -> Iterator[tuple[int, slice, np.ndarray, np.ndarray]]:
        """Yield every region with those near it.

        Yields
        ------
        region, pairs, others, depth
            The region, its pairs, the other regions, and the separation at its corners plus ``slack``.
        """
        for own, points in enumerate(self.corners.by_region()):
            pairs = slice(int(self.ends[own]), int(self.ends[own + 1]))
            others = self.other[pairs]
            yield own, pairs, others, self.slack + points @ (self.weights[own] - self.weights[others]).T

    def steepest(self, excess: Excess) -> tuple[np.ndarray, np.ndarray]:
        """Compute the largest ratio of a difference to the separation, over the corners of every near pair.

        Parameters
        ----------
        excess
            The difference.

        Returns
        -------
        above, below
            Of the difference and of its opposite, zero at the least; shapes (pairs,).
        """
        above, below = np.zeros((2, len(self.own)))
        for own, pairs, others, depth in self.near():
            ratio = excess(own, others) / depth
            np.maximum(0.0, ratio.max(axis=0), out=above[pairs])
            np.maximum(0.0, -ratio.min(axis=0), out=below[pairs])
        return above, below

    def far_share(self, sharpness: float) -> np.ndarray:
        """Compute the largest share of every far region in the mean, relative to that of the own one.

        Parameters
        ----------
        sharpness
            Factor of the weights, β.

        Returns
        -------
        ndarray
            Shape (regions, regions), zero where regions are near.
        """
        share: np.ndarray = np.exp(-sharpness * np.maximum(self.least, self.reach))
        share[self.least < self.reach] = 0.0
        return share

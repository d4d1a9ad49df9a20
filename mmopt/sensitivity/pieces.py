"""Polytopes with an affine law, stacked: the critical regions of an atlas, and the borders between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.fba.atlas import Atlas
from mmopt.fba.region import Region

_ON_FACET: Final = 1.0e-7
"""A corner this close to a facet, relative to the box, lies on it."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Polytopes with an affine law, stacked; short lists of corners are filled up with their last one.

    Attributes
    ----------
    corners
        Shape (pieces, most corners, inputs).
    sizes
        Number of distinct corners, shape (pieces,).
    constants, slopes
        Affine laws of the readings, shapes (pieces, readings) and (pieces, readings, inputs).
    """

    corners: np.ndarray
    sizes: np.ndarray
    constants: np.ndarray
    slopes: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    def exact(self, which: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Compute exact readings of points by the laws of their pieces.

        Parameters
        ----------
        which
            Indices of the pieces, shape (points,).
        points
            Shape (points, inputs).

        Returns
        -------
        ndarray
            Shape (points, readings).
        """
        values: np.ndarray = self.constants[which] + np.einsum("nri,ni->nr", self.slopes[which], points)
        return values

    def extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the lowest and the highest exact readings of every piece: an affine law has them at corners.

        Returns
        -------
        least, most
            Shapes (pieces, readings).
        """
        least, most = np.empty_like(self.constants), np.empty_like(self.constants)
        for piece, corners in enumerate(self.corners):
            values = self.constants[piece] + corners @ self.slopes[piece].T
            least[piece], most[piece] = values.min(axis=0), values.max(axis=0)
        return least, most

    def subset(self, which: np.ndarray) -> "Pieces":
        """Return some of the pieces.

        Parameters
        ----------
        which
            Indices of the pieces.

        Returns
        -------
        Pieces
            Those pieces.
        """
        return Pieces(self.corners[which], self.sizes[which], self.constants[which], self.slopes[which])

    def shrunk(self, factor: float) -> "Pieces":
        """Scale every piece about its middle.

        Parameters
        ----------
        factor
            Below 1, the scaled pieces are well inside.

        Returns
        -------
        Pieces
            The scaled pieces, with the same laws.
        """
        real = np.arange(self.corners.shape[1]) < self.sizes[:, None]
        middles = (self.corners * real[..., None]).sum(axis=1) / self.sizes[:, None]
        corners = middles[:, None] + factor * (self.corners - middles[:, None])
        return Pieces(corners, self.sizes, self.constants, self.slopes)


def regions_of(atlas: Atlas, rows: np.ndarray) -> Pieces:
    """Stack the critical regions of an atlas.

    Parameters
    ----------
    atlas
        The atlas.
    rows
        Rows of its laws that are the readings.

    Returns
    -------
    Pieces
        One for every region.
    """
    regions = list(atlas.regions)
    return _stacked([region.shape.corners for region in regions], regions, rows)


def borders_of(atlas: Atlas, rows: np.ndarray) -> Pieces:
    """Stack the facets between critical regions.

    Parameters
    ----------
    atlas
        The atlas.
    rows
        Rows of its laws that are the readings.

    Returns
    -------
    Pieces
        The facets, with the law of one of the two regions.
    """
    width = atlas.domain.upper - atlas.domain.lower
    corners, owners = [], []
    for region in atlas.regions:
        unit = (region.shape.corners - atlas.domain.lower) / width
        for middle, normal in zip(*region.shape.beyond, strict=True):
            on = np.abs((unit - middle) @ normal) < _ON_FACET
            if on.sum() >= len(width):
                corners.append(region.shape.corners[on])
                owners.append(region)
    return _stacked(corners, owners, rows)


def _stacked(corners: Sequence[np.ndarray], owners: Sequence[Region], rows: np.ndarray) -> Pieces:
    sizes = np.array([len(polytope) for polytope in corners], dtype=int)
    most = int(sizes.max(initial=1))
    filled = [np.vstack([polytope, np.repeat(polytope[-1:], most - len(polytope), axis=0)]) for polytope in corners]
    inputs, planes = corners[0].shape[1] if corners else 0, [region.law(rows) for region in owners]
    return Pieces(
        np.array(filled).reshape(len(sizes), most, inputs),
        sizes,
        np.array([constant for constant, _ in planes]).reshape(len(sizes), len(rows)),
        np.array([slope for _, slope in planes]).reshape(len(sizes), len(rows), inputs),
    )

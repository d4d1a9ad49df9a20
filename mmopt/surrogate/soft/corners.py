"""The regions of an atlas as arrays: their corners, affine laws and neighbours."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from mmopt.fba.atlas import Atlas
from mmopt.surrogate.limit_points import planes_of, scaled

_ALIKE: Final = 1.0e-7
"""Largest difference of coefficients of affine laws that are the same but for rounding, as a fraction of their range."""

_TOUCHING: Final = 1.0e-8
"""A corner this far beyond a facet of the next region counts as on it [mmol/gDW/h]."""


@dataclass(frozen=True, eq=False)
class Corners:
    """Corners of all regions, one region after the other.

    Attributes
    ----------
    points
        Scaled inputs and a one, shape (corners, inputs + 1).
    owner
        The region of every corner, ascending, shape (corners,).
    """

    points: np.ndarray
    owner: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        """Index of the first corner of every region, shape (regions,)."""
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    @cached_property
    def ranges(self) -> tuple[slice, ...]:
        """The corners of every region."""
        ends = [*self.starts[1:].tolist(), len(self.owner)]
        return tuple(slice(start, end) for start, end in zip(self.starts.tolist(), ends, strict=True))

    def by_region(self) -> Iterator[np.ndarray]:
        """Yield the points of every region.

        Yields
        ------
        ndarray
            Shape (corners of the region, inputs + 1).
        """
        for here in self.ranges:
            yield self.points[here]

    def values(self, affine_laws: np.ndarray) -> np.ndarray:
        """Compute what the own affine law of every corner says there.

        Parameters
        ----------
        affine_laws
            Of scaled inputs and a one, shape (regions, inputs + 1, readings).

        Returns
        -------
        ndarray
            Shape (corners, readings).
        """
        values: np.ndarray = np.concatenate(
            [points @ law for points, law in zip(self.by_region(), affine_laws, strict=True)]
        )
        return values


def corners_of(atlas: Atlas) -> Corners:
    """Return all corners of all regions.

    Parameters
    ----------
    atlas
        An explored atlas.

    Returns
    -------
    Corners
    """
    corners = [region.shape.corners for region in atlas.regions]
    return Corners(
        scaled(atlas.domain, np.concatenate(corners)), np.repeat(np.arange(len(corners)), [*map(len, corners)])
    )


def affine_laws_of(atlas: Atlas) -> np.ndarray:
    """Return the affine laws of fluxes and shortfall, from scaled inputs and a one.

    Parameters
    ----------
    atlas
        An explored atlas.

    Returns
    -------
    ndarray
        Shape (regions, inputs + 1, reactions + 1).
    """
    affine_laws = np.zeros((len(atlas.regions), len(atlas.inputs) + 1, len(atlas.network.reactions) + 1))
    for number, region in enumerate(atlas.regions):
        affine_laws[number] = planes_of(atlas.domain, region.slope, region.constant).T
    return affine_laws


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Which regions meet, and where.

    Attributes
    ----------
    touching
        Whether two regions share as many corners as a facet has at least, shape (regions, regions).
    corner, region
        Every corner with every region that holds it; shapes (pairs,).
    """

    touching: np.ndarray
    corner: np.ndarray
    region: np.ndarray


def neighbours_of(atlas: Atlas, corners: Corners) -> Neighbours:
    """Find out which regions meet.

    Parameters
    ----------
    atlas
        An explored atlas.
    corners
        Corners of its regions.

    Returns
    -------
    Neighbours
    """
    domain, regions = atlas.domain, len(atlas.regions)
    points = domain.lower + corners.points[:, :-1] * (domain.upper - domain.lower)
    touching, held = np.zeros((regions, regions), dtype=bool), []
    for number, region in enumerate(atlas.regions):
        shape = region.shape
        low, high = shape.corners.min(axis=0) - _TOUCHING, shape.corners.max(axis=0) + _TOUCHING
        near = np.flatnonzero(np.all((points >= low) & (points <= high), axis=1))
        inside = near[np.all(points[near] @ shape.left.T <= shape.right + _TOUCHING, axis=1)]
        touching[:, number] = np.bincount(corners.owner[inside], minlength=regions) >= len(atlas.inputs)
        held.append(inside)
    np.fill_diagonal(touching, val=False)
    return Neighbours(touching | touching.T, np.concatenate(held), np.repeat(np.arange(regions), [*map(len, held)]))


def objectives_of(atlas: Atlas, corners: Corners, affine_laws: np.ndarray) -> np.ndarray:
    """Return the affine laws of the objectives of the flux program, in their order, as fractions of their ranges.

    Laws that differ by rounding alone are made equal: a price on the first objectives is so much higher than on the rest
    that it would turn their rounding into a difference.

    Parameters
    ----------
    atlas
        An explored atlas.
    corners
        Corners of its regions.
    affine_laws
        Of all fluxes and the shortfall, shape (regions, inputs + 1, reactions + 1).

    Returns
    -------
    ndarray
        Of shortfall, growth and total flux, shape (regions, inputs + 1, 3).
    """
    objectives = np.zeros((*affine_laws.shape[:2], 3))
    for number, (points, law) in enumerate(zip(corners.by_region(), affine_laws, strict=True)):
        fluxes = law[:, :-1]
        total = fluxes @ np.sign((points @ fluxes).sum(axis=0))  # in a region a flux runs one way
        objectives[number] = np.column_stack(
            [law[:, -1], fluxes[:, atlas.network.column(atlas.network.biomass)], total]
        )
    objectives /= np.maximum(np.ptp(corners.values(objectives), axis=0), np.finfo(float).tiny)
    return np.stack([_rounding_removed(planes) for planes in np.moveaxis(objectives, 2, 0)], axis=2)


def _rounding_removed(planes: np.ndarray) -> np.ndarray:
    """Planes, of which those that are alike in every coefficient are replaced by the first of them."""
    order = np.argsort(planes, axis=0)
    steps = np.diff(np.take_along_axis(planes, order, axis=0), axis=0, prepend=planes.min(axis=0)[None]) > _ALIKE
    groups = np.zeros(planes.shape, dtype=int)
    np.put_along_axis(groups, order, np.cumsum(steps, axis=0), axis=0)
    _, first, group = np.unique(groups, axis=0, return_index=True, return_inverse=True)
    alike: np.ndarray = planes[first][group.ravel()]
    return alike


def spans_of(corners: Corners, affine_laws: np.ndarray) -> np.ndarray:
    """Compute the range of every flux over the corners; all values at once would take gigabytes with four inputs.

    Parameters
    ----------
    corners
        Corners of the regions.
    affine_laws
        Shape (regions, inputs + 1, fluxes).

    Returns
    -------
    ndarray
        Shape (fluxes,).
    """
    lowest, highest = np.full((2, affine_laws.shape[2]), np.inf)
    for points, law in zip(corners.by_region(), affine_laws, strict=True):
        values = points @ law
        lowest, highest = np.minimum(lowest, values.min(axis=0)), np.minimum(highest, -values.max(axis=0))
    spans: np.ndarray = -highest - lowest
    return spans


def ranges_of(corners: Corners, affine_laws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bound the differences of readings from every affine law, at any corner of any region.

    Parameters
    ----------
    corners
        Corners of the regions.
    affine_laws
        Shape (regions, inputs + 1, readings).

    Returns
    -------
    above, below
        How far an affine law is above and below the true reading at the most; shapes (regions, readings).
    """
    true, slopes, constants = corners.values(affine_laws), affine_laws[:, :-1], affine_laws[:, -1]
    above = constants + np.maximum(slopes, 0.0).sum(axis=1) - true.min(axis=0)  # the scaled domain is from 0 to 1
    below = true.max(axis=0) - constants - np.minimum(slopes, 0.0).sum(axis=1)
    return above, below


def different(affine_laws: np.ndarray, decimals: int) -> np.ndarray:
    """Return which readings are no multiples of others; of those that are, the largest.

    Parameters
    ----------
    affine_laws
        Shape (regions, inputs + 1, readings).
    decimals
        Decimals to which two readings are multiples of one another.

    Returns
    -------
    ndarray of int
        Numbers of the readings.
    """
    flat = affine_laws.reshape(-1, affine_laws.shape[2]).T
    size = np.linalg.norm(flat, axis=1)
    order = np.argsort(-size)[: np.count_nonzero(size)]
    way = np.sign(flat[order, np.abs(flat[order]).argmax(axis=1)]) * size[order]
    _, first = np.unique(np.round(flat[order] / way[:, None], decimals), axis=0, return_index=True)
    return order[first]

"""The regions of an atlas as arrays, and max-affine weights that separate them.

The weights are affine functions, one a region, of which the region's own is the largest in it. A price on every flux, forward
and backward apart, gives a weight to every region: the price of its fluxes. Some price has the wanted property: the
objectives of the flux program, weighted by sizes far apart, since the least value of a linear program is convex in its limits
and bends wherever its solution does. Of all prices, a small linear program takes the one that bends least and still has, in
region j and for every reading v on its scale,

    d_k = h_j - h_k ≥ |v_k - v_j|.

The right side is convex and the left affine, so the condition is needed at the corners of the region alone, and for
neighbours: on the way to regions further off both sides add up.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy.optimize import linprog

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.surrogate.limit_points import planes_of, scaled

ROUNDING: Final = 1.0e-6
"""Violation of their conditions that weights may have, on the scale of the readings: corners are rounded, solvers have
tolerances."""

_TOUCHING: Final = 1.0e-8
"""A corner this far beyond a facet of the next region counts as on it [mmol/gDW/h]."""

_WEAK: Final = 1.0e-7
"""A direction in which fluxes move together is left out if it is weaker than this fraction of the strongest."""

_ALIKE: Final = 7
"""Decimals to which two readings are multiples of each other, or two corners one."""

_ROUNDS: Final = 8

_CHUNK: Final = 20_000
"""Pairs of a corner and a region whose bends are computed at once."""

_UNBOUNDED: Final = 3
"""Status of a linear program without a least value."""


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

    def excess(self, planes: np.ndarray) -> np.ndarray:
        """Compute by how much every region's plane is above that of the corner's own.

        Parameters
        ----------
        planes
            Of scaled inputs and a one, shape (regions, inputs + 1).

        Returns
        -------
        ndarray
            Shape (corners, regions).
        """
        values = self.points @ planes.T
        beyond: np.ndarray = values - values[np.arange(len(values)), self.owner][:, None]
        return beyond

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Compute the largest values over the corners of every region.

        Parameters
        ----------
        values
            Shape (corners, regions).

        Returns
        -------
        ndarray
            Shape (regions, regions).
        """
        largest: np.ndarray = np.maximum.reduceat(values, self.starts, axis=0)
        return largest


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
    return np.array([planes_of(atlas.domain, region.slope, region.constant).T for region in atlas.regions])


def neighbours_of(atlas: Atlas, corners: Corners) -> np.ndarray:
    """Return which regions share as many corners as a facet has at least.

    Parameters
    ----------
    atlas
        An explored atlas.
    corners
        Corners of its regions.

    Returns
    -------
    ndarray of bool
        Shape (regions, regions).
    """
    domain, shapes = atlas.domain, [region.shape for region in atlas.regions]
    points = domain.lower + corners.points[:, :-1] * (domain.upper - domain.lower)
    inside = [np.all(points @ shape.left.T <= shape.right + _TOUCHING, axis=1) for shape in shapes]
    shared = np.add.reduceat(np.array(inside, dtype=int).T, corners.starts, axis=0)
    touching = (shared >= len(atlas.inputs)) & ~np.eye(len(shapes), dtype=bool)
    neighbours: np.ndarray = touching | touching.T
    return neighbours


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
    for k, law in enumerate(affine_laws):
        values = corners.points[corners.owner == k] @ law
        lowest, highest = np.minimum(lowest, values.min(axis=0)), np.minimum(highest, -values.max(axis=0))
    spans: np.ndarray = -highest - lowest
    return spans


def separation(corners: Corners, affine_laws: np.ndarray) -> np.ndarray:
    """Compute the largest difference of any reading between every affine law and that of the corner's own region.

    Parameters
    ----------
    corners
        Corners of its regions.
    affine_laws
        Of every reading on its scale, shape (regions, inputs + 1, readings).

    Returns
    -------
    ndarray
        Shape (corners, regions).
    """
    affine_laws = affine_laws - affine_laws[:1]
    affine_laws = affine_laws[:, :, _different(affine_laws)]
    separations = np.zeros((len(corners.owner), len(affine_laws)))
    for own, start in enumerate(corners.starts):
        here = slice(start, start + int(np.sum(corners.owner == own)))
        between = np.tensordot(corners.points[here], affine_laws - affine_laws[own], axes=(1, 1))
        separations[here] = np.abs(between).max(axis=2, initial=0.0)
    return separations


def max_affine_weights(
    corners: Corners, affine_laws: np.ndarray, separations: np.ndarray, neighbours: np.ndarray
) -> np.ndarray:
    """Compute weights that separate regions at least as far as their affine laws differ, and bend least.

    Parameters
    ----------
    corners, affine_laws
        As for `separation`.
    separations
        The differences, as `separation` returns them.
    neighbours
        Which regions are neighbours, shape (regions, regions).

    Returns
    -------
    ndarray
        Of scaled inputs and a one, shape (regions, inputs + 1).

    Raises
    ------
    SurrogateError
        If there is no such price.
    """
    basis, required = _priced(corners, affine_laws), neighbours[corners.owner]
    weights = np.zeros(affine_laws.shape[:2])
    for round_number in range(_ROUNDS if basis.size and required.any() else 0):
        solved_weights = _solved(corners, basis, separations, required)
        if solved_weights is None and round_number == 0:
            raise SurrogateError(
                "there are no weights that separate the regions of this atlas; explore a smaller domain"
            )
        if solved_weights is None:  # the bound takes the rest into account
            break
        weights = solved_weights
        violated = (separations + corners.excess(weights) > 2.0 * ROUNDING) & ~required
        if not violated.any():
            break
        required = required | violated
    return weights


def _solved(corners: Corners, basis: np.ndarray, separations: np.ndarray, required: np.ndarray) -> np.ndarray | None:
    """Weights that bend least over the required pairs of corners and regions; None if the linear program fails.

    Of the corners of two neighbours the worst enters the linear program first, and others where its answer violates theirs.
    """
    pairs = _Pairs(corners, basis, *np.nonzero(required))
    enough = separations[pairs.corner, pairs.other] - ROUNDING
    largest = np.max([np.abs(pairs.bends(here)).max(axis=0) for here in pairs.chunks], axis=0)
    size = np.maximum(largest, np.finfo(float).tiny)
    # in all others two regions meet, at whatever price
    apart = np.concatenate([np.abs(pairs.bends(here) / size).max(axis=1) > ROUNDING for here in pairs.chunks])
    bent = np.sum([pairs.bends(here)[apart[here]].sum(axis=0) for here in pairs.chunks], axis=0) / size
    weights = np.zeros(basis.shape[:2])
    rows, wanted = np.zeros(0, dtype=int), np.where(apart, enough, -np.inf)
    while np.any(wanted > -np.inf):
        rows = np.append(rows, pairs.worst(wanted))
        solved = linprog(bent, -pairs.bends(rows) / size, -enough[rows], bounds=(None, None), method="highs")
        if solved.status == _UNBOUNDED and len(rows) < np.count_nonzero(apart):
            wanted[rows] = -np.inf  # so few pairs leave some price without a bound
            continue
        if solved.status != 0:
            return None
        weights = basis @ (solved.x / size)
        missing = enough - pairs.separated(weights)
        wanted = np.where(apart & (missing > ROUNDING / 2.0), missing, -np.inf)
        wanted[rows] = -np.inf
    return weights


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of a corner and a region other than its own, and how far weights of a basis bend between the two."""

    corners: Corners
    basis: np.ndarray
    corner: np.ndarray
    other: np.ndarray

    def bends(self, rows: np.ndarray | slice) -> np.ndarray:
        """Bends of all weights of the basis, shape (rows, weights)."""
        corner, other = self.corner[rows], self.other[rows]
        between = self.basis[self.corners.owner[corner]] - self.basis[other]
        bends: np.ndarray = np.einsum("pi,pir->pr", self.corners.points[corner], between)
        return bends

    @property
    def chunks(self) -> list[slice]:
        """Slices of rows; the bends of all at once would take gigabytes with four inputs."""
        return [slice(first, first + _CHUNK) for first in range(0, len(self.corner), _CHUNK)]

    def separated(self, weights: np.ndarray) -> np.ndarray:
        """By how much the own weight is above the other's, shape (pairs,)."""
        between = weights[self.corners.owner[self.corner]] - weights[self.other]
        above: np.ndarray = np.einsum("pi,pi->p", self.corners.points[self.corner], between)
        return above

    def worst(self, values: np.ndarray) -> np.ndarray:
        """For every two regions the pair with the largest value, of those above minus infinity."""
        order = np.argsort(-values, kind="stable")[: np.count_nonzero(values > -np.inf)]
        regions = self.corners.owner[self.corner].astype(np.int64) * len(self.basis) + self.other
        first: np.ndarray = order[np.unique(regions[order], return_index=True)[1]]
        return first


def _priced(corners: Corners, affine_laws: np.ndarray) -> np.ndarray:
    """Affine laws of what can have a price: directions of split fluxes; (regions, inputs + 1, directions)."""
    values = np.einsum("pi,pin->pn", corners.points, affine_laws[corners.owner])
    forward = np.add.reduceat(values, corners.starts, axis=0) > 0.0  # in a region a flux runs one way
    split = np.concatenate([affine_laws * forward[:, None], affine_laws * ~forward[:, None]], axis=2)
    values = np.concatenate([np.maximum(values, 0.0), np.minimum(values, 0.0)], axis=1)
    values = values[np.unique(np.round(corners.points, _ALIKE), axis=0, return_index=True)[1]]
    _, strength, ways = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    priced: np.ndarray = split @ ways[strength > _WEAK * strength.max(initial=0.0)].T
    return priced


def _different(affine_laws: np.ndarray) -> np.ndarray:
    """Readings, the largest of those that are multiples of each other."""
    flat = affine_laws.reshape(-1, affine_laws.shape[2]).T
    size = np.linalg.norm(flat, axis=1)
    order = np.argsort(-size)[: np.count_nonzero(size)]
    way = np.sign(flat[order, np.abs(flat[order]).argmax(axis=1)]) * size[order]
    _, first = np.unique(np.round(flat[order] / way[:, None], _ALIKE), axis=0, return_index=True)
    return order[first]

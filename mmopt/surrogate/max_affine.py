"""The regions of an atlas as arrays, and heights that tell them apart: affine functions whose largest is the region's own.

A price on every flux, forward and backward apart, gives a height to each law: the price of its fluxes. Some price does
what is wanted: the aims of the label program, weighted by sizes far apart, for the least value of a linear program is
convex in its limits and bends wherever its answer does. Of all prices, a small linear program takes the one that bends
least and still has, in region j and for every reading v on its scale,

    d_k = h_j - h_k ≥ |v_k - v_j|.

The right side is convex and the left affine, so it is enough to ask at the corners of the region, and for neighbours: on
the way to regions further off both sides add up.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy.optimize import linprog

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain

ROUNDING: Final = 1.0e-6
"""What heights may miss of their conditions, on the scale of the readings: corners are rounded, solvers have tolerances."""

_TOUCHING: Final = 1.0e-8
"""How far a corner may be beyond a facet of the next region and count as on it [mmol/gDW/h]."""

_WEAK: Final = 1.0e-7
"""A way in which fluxes move together is left out if it is weaker than this part of the strongest."""

_ALIKE: Final = 7
"""Decimals to which two readings are multiples of each other, or two corners one."""

_ROUNDS: Final = 8


@dataclass(frozen=True, eq=False)
class Corners:
    """Corners of all regions, each region's after the other's.

    Attributes
    ----------
    points
        Scaled inputs and a one, shape (corners, inputs + 1).
    owner
        The region of each, ascending, shape (corners,).
    """

    points: np.ndarray
    owner: np.ndarray

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each region begins, shape (regions,)."""
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    def excess(self, planes: np.ndarray) -> np.ndarray:
        """By how much every region's plane is above that of the corner's own, shape (corners, regions)."""
        values = self.points @ planes.T
        beyond: np.ndarray = values - values[np.arange(len(values)), self.owner][:, None]
        return beyond

    def most(self, values: np.ndarray) -> np.ndarray:
        """The largest of (corners, regions) over the corners of each region, shape (regions, regions)."""
        largest: np.ndarray = np.maximum.reduceat(values, self.starts, axis=0)
        return largest


def scaled(domain: Domain, limits: np.ndarray) -> np.ndarray:
    """Limits as parts of their ranges, and a one; shape (..., inputs) to (..., inputs + 1)."""
    parts = (limits - domain.lower) / (domain.upper - domain.lower)
    return np.concatenate([parts, np.ones((*parts.shape[:-1], 1))], axis=-1)


def planes_of(domain: Domain, slopes: np.ndarray, constants: np.ndarray) -> np.ndarray:
    """Planes for scaled inputs and a one, from slopes of shape (planes, inputs) and constants; (planes, inputs + 1)."""
    return np.column_stack([slopes * (domain.upper - domain.lower), constants + slopes @ domain.lower])


def corners_of(atlas: Atlas) -> Corners:
    """All corners of all regions."""
    every = [region.shape.corners for region in atlas.regions]
    return Corners(scaled(atlas.domain, np.concatenate(every)), np.repeat(np.arange(len(every)), [*map(len, every)]))


def laws_of(atlas: Atlas) -> np.ndarray:
    """Fluxes and shortfall from scaled inputs and a one, shape (regions, inputs + 1, reactions + 1)."""
    return np.array([planes_of(atlas.domain, each.slope, each.constant).T for each in atlas.regions])


def facing_of(atlas: Atlas, corners: Corners) -> np.ndarray:
    """Which regions share as many corners as a facet has at least, shape (regions, regions)."""
    domain, shapes = atlas.domain, [each.shape for each in atlas.regions]
    points = domain.lower + corners.points[:, :-1] * (domain.upper - domain.lower)
    held = [np.all(points @ shape.left.T <= shape.right + _TOUCHING, axis=1) for shape in shapes]
    shared = np.add.reduceat(np.array(held, dtype=int).T, corners.starts, axis=0)
    touching = (shared >= len(atlas.inputs)) & ~np.eye(len(shapes), dtype=bool)
    facing: np.ndarray = touching | touching.T
    return facing


def parting(corners: Corners, laws: np.ndarray) -> np.ndarray:
    """The largest difference of any reading between every law and the corner's own, shape (corners, regions).

    Parameters
    ----------
    corners
        Corners of the regions.
    laws
        Of every reading on its scale, shape (regions, inputs + 1, readings).
    """
    laws = laws - laws[:1]
    laws = laws[:, :, _different(laws)]
    apart = np.zeros((len(corners.owner), len(laws)))
    for own, start in enumerate(corners.starts):
        here = slice(start, start + int(np.sum(corners.owner == own)))
        between = np.tensordot(corners.points[here], laws - laws[own], axes=(1, 1))
        apart[here] = np.abs(between).max(axis=2, initial=0.0)
    return apart


def least_bent(corners: Corners, laws: np.ndarray, apart: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """Heights that part regions at least as far as their laws are apart.

    Parameters
    ----------
    corners, laws
        As for `parting`.
    apart
        What `parting` says.
    facing
        Which regions are neighbours, shape (regions, regions).

    Returns
    -------
    ndarray
        Of scaled inputs and a one, shape (regions, inputs + 1).

    Raises
    ------
    SurrogateError
        If no price is found.
    """
    basis, asked = _priced(corners, laws), facing[corners.owner]
    heights = np.zeros(laws.shape[:2])
    for turn in range(_ROUNDS if basis.size and asked.any() else 0):
        found = _solved(corners, basis, apart, asked)
        if found is None and turn == 0:
            raise SurrogateError("no heights are found for the regions of this atlas; explore a smaller domain")
        if found is None:  # the bound tells what is missing
            break
        heights = found
        missed = (apart + corners.excess(heights) > 2.0 * ROUNDING) & ~asked
        if not missed.any():
            break
        asked = asked | missed
    return heights


def _solved(corners: Corners, basis: np.ndarray, apart: np.ndarray, asked: np.ndarray) -> np.ndarray | None:
    """Heights that bend least over the asked pairs of corners and regions; None if the linear program fails."""
    corner, other = np.nonzero(asked)
    bends = np.einsum("pi,pir->pr", corners.points[corner], basis[corners.owner[corner]] - basis[other])
    size = np.maximum(np.abs(bends).max(axis=0), np.finfo(float).tiny)
    told = np.abs(bends / size).max(axis=1) > ROUNDING  # elsewhere two regions meet, at whatever price
    bends, enough = bends[told] / size, apart[corner, other][told] - ROUNDING
    solved = linprog(bends.sum(axis=0), -bends, -enough, bounds=(None, None), method="highs")
    return None if solved.status != 0 else basis @ (solved.x / size)


def _priced(corners: Corners, laws: np.ndarray) -> np.ndarray:
    """Laws of what can have a price: ways in which the split fluxes move together, shape (regions, inputs + 1, ways)."""
    values = np.einsum("pi,pin->pn", corners.points, laws[corners.owner])
    forward = np.add.reduceat(values, corners.starts, axis=0) > 0.0  # in a region a flux runs one way
    split = np.concatenate([laws * forward[:, None], laws * ~forward[:, None]], axis=2)
    values = np.concatenate([np.maximum(values, 0.0), np.minimum(values, 0.0)], axis=1)
    values = values[np.unique(np.round(corners.points, _ALIKE), axis=0, return_index=True)[1]]
    _, strength, ways = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    priced: np.ndarray = split @ ways[strength > _WEAK * strength.max(initial=0.0)].T
    return priced


def _different(laws: np.ndarray) -> np.ndarray:
    """Readings, the largest of those that are multiples of each other."""
    flat = laws.reshape(-1, laws.shape[2]).T
    size = np.linalg.norm(flat, axis=1)
    order = np.argsort(-size)[: np.count_nonzero(size)]
    way = np.sign(flat[order, np.abs(flat[order]).argmax(axis=1)]) * size[order]
    _, first = np.unique(np.round(flat[order] / way[:, None], _ALIKE), axis=0, return_index=True)
    return order[first]

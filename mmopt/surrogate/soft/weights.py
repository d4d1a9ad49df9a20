"""Max-affine weights that separate the regions of an atlas.

The weights are affine functions, one a region, of which the region's own is the largest in it. A price on every flux, forward
and backward apart, gives a weight to every region: the price of its fluxes. Some price has the wanted property: the
objectives of the flux program, weighted by sizes far apart, since the least value of a linear program is convex in its limits
and bends wherever its solution does. So these objectives are in the basis of prices, free of rounding. Of all prices, a small
linear program takes the one that bends least and still has, in region j and for every reading v on its scale,

    d_k = h_j - h_k ≥ |v_k - v_j|.

The right side is convex and the left affine, so the condition is needed at the corners of the region alone, and for
neighbours: on the way to regions further off both sides add up.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from scipy.optimize import linprog

from mmopt.errors import SurrogateError
from mmopt.surrogate.soft.corners import Corners, Neighbours, different, ranges_of
from mmopt.surrogate.soft.separation import ROUNDING, Separation

_WEAK: Final = 1.0e-7
"""A direction in which fluxes move together is left out if it is weaker than this fraction of the strongest."""

_ALIKE: Final = 7
"""Decimals to which two readings are multiples of each other, or two corners one."""

_ROUNDS: Final = 8

_CHUNK: Final = 5_000
"""Pairs of a corner and a region whose bends are computed at once."""

_AT_ONCE: Final = 128
"""Regions whose affine laws are compared at once, so that they fit a processor's cache."""

_UNBOUNDED: Final = (3, 4)
"""Statuses of a linear program without a least value; HiGHS finds some of them neither unbounded nor solved."""


@dataclass(frozen=True, eq=False)
class Separated:
    """Weights of the regions, and how steeply the readings change across their separation.

    Attributes
    ----------
    separation
        The weights and how far they separate.
    steepest
        Largest ratio of the difference of any reading to the separation, of every near pair; shape (pairs,).
    ranges
        Largest difference of any reading from every affine law, anywhere in the domain; shape (regions,).
    """

    separation: Separation
    steepest: np.ndarray
    ranges: np.ndarray


def separated(
    corners: Corners, affine_laws: np.ndarray, objectives: np.ndarray, neighbours: Neighbours, reach: float
) -> Separated:
    """Compute weights that separate regions at least as far as their affine laws differ, and bend least.

    Parameters
    ----------
    corners
        Corners of the regions.
    affine_laws
        Of every reading on its scale, shape (regions, inputs + 1, readings).
    objectives
        Of the objectives of the flux program, shape (regions, inputs + 1, objectives).
    neighbours
        Which regions meet, and where.
    reach
        As for `Separation`; regions that are far are not compared.

    Returns
    -------
    Separated

    Raises
    ------
    SurrogateError
        If there is no such price.
    """
    affine_laws = affine_laws[:, :, different(affine_laws, _ALIKE)]
    basis = np.concatenate([objectives, _priced(corners, affine_laws)], axis=2)
    pairs = _pairs_of(corners, affine_laws, neighbours)
    if not len(pairs.corner):
        return _compared(Separation.of(corners, np.zeros(affine_laws.shape[:2]), reach), affine_laws, np.inf)[0]
    rows = np.zeros(0, dtype=int)
    for round_number in range(_ROUNDS):
        solution = _solved(pairs, basis, rows)
        if solution is None and round_number == 0:
            raise SurrogateError(
                "the linear program for the weights of this law has no answer; explore a smaller domain, or train a surrogate"
            )
        if solution is None:  # the bound takes the rest into account
            break
        rows, separation = solution.rows, Separation.of(corners, solution.weights, reach)
        compared, violated = _compared(separation, affine_laws, 2.0 * solution.missing)
        more = pairs.with_others(violated)
        if len(more.corner) == len(pairs.corner):
            break
        pairs = more
    return compared


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of a corner and a region other than its own, and the difference of the readings there."""

    corners: Corners
    corner: np.ndarray
    other: np.ndarray
    difference: np.ndarray

    @property
    def key(self) -> np.ndarray:
        """A number for every corner and region, shape (pairs,)."""
        key: np.ndarray = self.corner * np.int64(self.corners.owner[-1] + 1) + self.other
        return key

    def chosen(self, rows: np.ndarray) -> "_Pairs":
        """Some of these."""
        return _Pairs(self.corners, self.corner[rows], self.other[rows], self.difference[rows])

    @property
    def chunks(self) -> list[slice]:
        """Slices of rows; the bends of all at once would take gigabytes with four inputs."""
        return [slice(first, first + _CHUNK) for first in range(0, len(self.corner), _CHUNK)]

    def bends(self, basis: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
        """How far the weights of a basis bend between corner and region, shape (rows, weights)."""
        corner, other = self.corner[rows], self.other[rows]
        between = basis[self.corners.owner[corner]] - basis[other]
        bends: np.ndarray = np.einsum("pi,pir->pr", self.corners.points[corner], between)
        return bends

    def separated(self, weights: np.ndarray) -> np.ndarray:
        """By how much the own weight is above the other's, shape (pairs,)."""
        return np.concatenate([self.bends(weights[:, :, None], here)[:, 0] for here in self.chunks])

    @property
    def owner(self) -> np.ndarray:
        """The region of every corner, shape (pairs,)."""
        owner: np.ndarray = self.corners.owner[self.corner]
        return owner

    @property
    def regions(self) -> np.ndarray:
        """A number for every two regions, shape (pairs,)."""
        regions: np.ndarray = self.owner * np.int64(self.corners.owner[-1] + 1) + self.other
        return regions

    def worst(self, missing: np.ndarray, tolerated: float, rows: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Of every group the pair that lacks most, of those that lack more than is tolerated and are not among the rows."""
        lacking = np.flatnonzero(missing > tolerated)
        lacking = lacking[~np.isin(lacking, rows)]
        order = lacking[np.argsort(-missing[lacking], kind="stable")]
        first: np.ndarray = order[np.unique(group[order], return_index=True)[1]]
        return first

    def with_others(self, others: "_Pairs") -> "_Pairs":
        """These, and those of others that are not among them."""
        new = others.chosen(~np.isin(others.key, self.key))
        return _Pairs(
            self.corners,
            np.append(self.corner, new.corner),
            np.append(self.other, new.other),
            np.append(self.difference, new.difference),
        )


def _pairs_of(corners: Corners, affine_laws: np.ndarray, neighbours: Neighbours) -> _Pairs:
    """The corners of every region with its neighbours, but for those where both meet or hardly differ."""
    corner, other, difference = [], [], []
    for own, here in enumerate(corners.ranges):
        beside = np.flatnonzero(neighbours.touching[own])
        differences = _differences(corners.points[here], affine_laws, own, beside)
        at, what = np.nonzero(differences > ROUNDING)
        corner.append(here.start + at)
        other.append(beside[what])
        difference.append(differences[at, what])
    pairs = _Pairs(corners, np.concatenate(corner), np.concatenate(other), np.concatenate(difference))
    return pairs.chosen(~np.isin(pairs.key, neighbours.corner * np.int64(len(affine_laws)) + neighbours.region))


def _differences(points: np.ndarray, affine_laws: np.ndarray, own: int, others: np.ndarray) -> np.ndarray:
    """Largest difference of any reading between affine laws, shape (points, others)."""
    largest = np.zeros((len(points), len(others)))
    for first in range(0, len(others), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        between = np.tensordot(points, affine_laws[others[some]] - affine_laws[own], axes=(1, 1))
        largest[:, some] = np.abs(between, out=between).max(axis=2, initial=0.0)
    return largest


def _compared(separation: Separation, affine_laws: np.ndarray, tolerated: float) -> tuple[Separated, _Pairs]:
    """How steeply the readings change across a separation, and where they differ by more than it."""
    corners, steepest = separation.corners, np.zeros(len(separation.own))
    violated: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for own, pairs, others, depth in separation.near():
        here = corners.ranges[own]
        difference = _differences(corners.points[here], affine_laws, own, others)
        steepest[pairs] = (difference / depth).max(axis=0)
        corner, other = np.nonzero(difference - (depth - separation.slack) > tolerated)
        violated.append((here.start + corner, others[other], difference[corner, other]))
    columns = (np.concatenate(column) for column in zip(*violated, strict=True))
    ranges = np.maximum(*ranges_of(corners, affine_laws)).max(axis=1, initial=0.0)
    return Separated(separation, steepest, ranges), _Pairs(corners, *columns)


class _Solution(NamedTuple):
    """Weights, the rows of the linear program that it took, and the most that is missing at any pair."""

    weights: np.ndarray
    rows: np.ndarray
    missing: float


def _solved(pairs: _Pairs, basis: np.ndarray, rows: np.ndarray) -> _Solution | None:
    """Compute weights that bend least over pairs of corners and regions; None if the linear program fails.

    The worst pair of every region enters the linear program until it has an answer, then the worst of every two regions that
    violates it.
    """
    largest = np.max([np.abs(pairs.bends(basis, here)).max(axis=0) for here in pairs.chunks], axis=0)
    size = np.maximum(largest, np.finfo(float).tiny)
    bent = np.sum([pairs.bends(basis, here).sum(axis=0) for here in pairs.chunks], axis=0) / size
    bent /= np.abs(bent).max()
    weights, missing, tolerated, group = np.zeros(basis.shape[:2]), pairs.difference, ROUNDING, pairs.owner
    while len(new := pairs.worst(missing, tolerated, rows, group)):
        rows = np.append(rows, new)
        least = -pairs.difference[rows]
        solved = linprog(bent, -pairs.bends(basis, rows) / size, least, bounds=(None, None), method="highs-ds")
        if solved.status in _UNBOUNDED and len(rows) < len(pairs.corner):
            continue  # so few pairs leave some price without a bound
        if solved.status != 0:
            return None
        weights, group = basis @ (solved.x / size), pairs.regions
        missing = pairs.difference - pairs.separated(weights)
        tolerated = max(ROUNDING, float(missing[rows].max()))
    return _Solution(weights, rows, tolerated)


def _priced(corners: Corners, affine_laws: np.ndarray) -> np.ndarray:
    """Affine laws of what can have a price: directions of split fluxes; (regions, inputs + 1, directions)."""
    values = corners.values(affine_laws)
    forward = np.add.reduceat(values, corners.starts, axis=0) > 0.0  # in a region a flux runs one way
    values = values[np.unique(np.round(corners.points, _ALIKE), axis=0, return_index=True)[1]]
    values = np.concatenate([np.maximum(values, 0.0), np.minimum(values, 0.0)], axis=1)
    _, strength, ways = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    split = np.concatenate([affine_laws * forward[:, None], affine_laws * ~forward[:, None]], axis=2)
    priced: np.ndarray = split @ ways[strength > _WEAK * strength.max(initial=0.0)].T
    return priced

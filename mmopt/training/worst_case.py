"""Largest errors of a smooth law against an exact one that is piecewise affine.

Every piece is a polytope with an affine law, and a point in it is a mean of its corners. A search that moves points towards
corners therefore stays inside a piece, and the exact values there follow from its law: no program is solved and no region
is looked up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.fba.atlas import Atlas
from mmopt.fba.region import Region

Reader = Callable[[np.ndarray], np.ndarray]
"""From inputs of shape (points, inputs) to readings of shape (points, readings)."""

Score = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From points, readings and exact readings to what is maximised, shape (points, readings)."""

_RANDOM_POINTS, _SHARED_POINTS = 24, 30_000
"""Random points of a piece from which starts are chosen, beside its corners and its middle; and those that all pieces share
in proportion to the size of their boxes."""

_TO_FACES: Final = 4
"""Power of the weights of every second random point, which moves it to faces and edges, where a law bends most."""

_BETWEEN: Final = np.array([0.01, 0.03, 0.06, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.94, 0.97, 0.99])
"""Points between any two corners of a piece, with the edges of the domain among them; closest near the ends."""

_PER_PIECE: Final = 3
"""Most starts in one piece for a reading: a law may err most at either end of a large one."""

_FIRST_STEP, _LAST_STEP = 0.25, 1.0e-3
"""Fraction of the distance to a corner by which a point moves, at the start and at the end."""

_ROUNDS: Final = 60

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

    def corner_values(self) -> np.ndarray:
        """Compute exact readings of all corners, shape (pieces, corners, readings)."""
        values: np.ndarray = self.constants[:, None] + np.einsum("pri,pci->pcr", self.slopes, self.corners)
        return values

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


@dataclass(frozen=True, eq=False)
class WorstPoints:
    """Largest scores of the readings, and where they occur.

    Attributes
    ----------
    errors, points
        Shapes (readings,) and (readings, inputs).
    evaluations
        Number of points evaluated.
    """

    errors: np.ndarray
    points: np.ndarray
    evaluations: int


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
    inputs = corners[0].shape[1] if corners else 0
    return Pieces(
        np.array(filled).reshape(len(sizes), most, inputs),
        sizes,
        np.array([region.constant[rows] for region in owners]).reshape(len(sizes), len(rows)),
        np.array([region.slope[rows] for region in owners]).reshape(len(sizes), len(rows), inputs),
    )


def find_worst_points(
    reader: Reader, pieces: Pieces, starts: int, seed: int, score: Score | None = None
) -> WorstPoints:
    """Search for the largest error of every reading, from many starts by a pattern search towards corners.

    Parameters
    ----------
    reader
        The law that may err.
    pieces
        Where to search, and the exact laws there.
    starts
        Points from which the worst point of a reading is searched; they lie in different pieces if there are enough.
    seed
        Seed of the random points among which starts are chosen.
    score
        What is maximised; by default the absolute error.

    Returns
    -------
    WorstPoints
        Lower bounds of the largest scores.
    """
    score = score or _error
    weights, which = _spread(pieces, np.random.default_rng(seed))
    points = _mean(pieces, which, weights)
    errors = score(points, reader(points), pieces.exact(which, points))
    evaluations, count = len(points), errors.shape[1]
    chosen = np.concatenate([_worst_of_pieces(column, which, starts) for column in errors.T])
    reading = np.repeat(np.arange(count), starts)
    search = _PatternSearch(
        weights[chosen],
        which[chosen],
        reading,
        points[chosen],
        errors[chosen, reading],
        np.full(len(chosen), _FIRST_STEP),
    )
    for _ in range(_ROUNDS):
        evaluated = search.advance(reader, pieces, score)
        if not evaluated:
            break
        evaluations += evaluated
    tops = [np.flatnonzero(reading == k)[search.best[reading == k].argmax()] for k in range(count)]
    return WorstPoints(search.best[tops], search.points[tops], evaluations)


def _error(_: np.ndarray, readings: np.ndarray, exact: np.ndarray) -> np.ndarray:
    error: np.ndarray = np.abs(readings - exact)
    return error


@dataclass(eq=False)
class _PatternSearch:
    """Points as weights of corners, with their pieces and readings, best scores and step lengths."""

    weights: np.ndarray
    which: np.ndarray
    reading: np.ndarray
    points: np.ndarray
    best: np.ndarray
    step: np.ndarray

    def advance(self, reader: Reader, pieces: Pieces, score: Score) -> int:
        """Move every point towards the best corner, or halve its step; the number of points evaluated."""
        active = np.flatnonzero(self.step >= _LAST_STEP)
        if not active.size:
            return 0
        towards = np.eye(pieces.corners.shape[1])
        moved = self.weights[active, None] + self.step[active, None, None] * (towards - self.weights[active, None])
        owner = np.repeat(self.which[active], len(towards))
        points = _mean(pieces, owner, moved.reshape(-1, moved.shape[-1]))
        scores = score(points, reader(points), pieces.exact(owner, points))
        own = scores[np.arange(len(points)), np.repeat(self.reading[active], len(towards))].reshape(len(active), -1)
        first = own.argmax(axis=1)
        reached = own[np.arange(len(active)), first]
        better = reached > self.best[active]
        up = active[better]
        self.weights[up], self.best[up] = moved[better, first[better]], reached[better]
        self.points[up] = points.reshape(len(active), len(towards), -1)[better, first[better]]
        self.step[active[~better]] *= 0.5
        return len(points)


def _spread(pieces: Pieces, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of every piece, as weights of its corners: corners, middle, between corners, random; and their pieces."""
    most = pieces.corners.shape[1]
    real = np.arange(most) < pieces.sizes[:, None]
    extent = np.ptp(pieces.corners, axis=1)
    box = np.prod(extent + 1.0e-3 * extent.max(axis=0), axis=1)
    share = box / box.sum() if box.sum() > 0.0 else np.full(len(box), 1.0 / len(box))  # borders of one input are points
    owner = np.repeat(np.arange(len(pieces)), _RANDOM_POINTS + np.floor(_SHARED_POINTS * share).astype(int))
    mixed = random.exponential(size=(len(owner), most)) * real[owner]
    mixed[::2] **= _TO_FACES
    mixed /= mixed.sum(axis=1, keepdims=True)
    every = np.arange(len(pieces))
    weights = [np.tile(np.eye(most), (len(pieces), 1)), real / pieces.sizes[:, None], mixed]
    owners = [np.repeat(every, most), every, owner]
    for i, j in zip(*np.triu_indices(most, 1), strict=True):
        both = every[pieces.sizes > j]
        between = np.zeros((len(_BETWEEN), most))
        between[:, i], between[:, j] = _BETWEEN, 1.0 - _BETWEEN
        weights.append(np.tile(between, (len(both), 1)))
        owners.append(np.repeat(both, len(_BETWEEN)))
    return np.vstack(weights), np.concatenate(owners)


def _mean(pieces: Pieces, which: np.ndarray, weights: np.ndarray) -> np.ndarray:
    points: np.ndarray = np.einsum("nc,nci->ni", weights, pieces.corners[which])
    return points


def _worst_of_pieces(errors: np.ndarray, which: np.ndarray, starts: int) -> np.ndarray:
    """The worst points, a few of a piece; exactly ``starts`` of them, some of them twice if there are too few."""
    order = np.argsort(-errors, kind="stable")
    count = np.zeros(which.max() + 1, dtype=int)
    chosen = []
    for point in order:
        if count[which[point]] < _PER_PIECE:
            count[which[point]] += 1
            chosen.append(point)
            if len(chosen) == starts:
                break
    return np.resize(np.array(chosen), starts)

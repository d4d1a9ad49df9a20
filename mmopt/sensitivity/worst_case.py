"""Largest errors of a smooth law against an exact one that is piecewise affine.

Every piece is a polytope with an affine law, and a point in it is a mean of its corners. A search that moves points towards
corners therefore stays inside a piece, and the exact values there follow from its law: no program is solved and no region
is looked up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np

from mmopt.sensitivity.pieces import Pieces

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

_MOST_PAIRS: Final = 120
"""Pairs of corners of a piece between which points lie; random ones where there are more."""

_MOST_WAYS: Final = 32
"""Corners towards which a point moves in a round; random ones where there are more."""

_AT_ONCE: Final = 4_000_000
"""Numbers that are held at once: weights of points times corners. It bounds the memory, not the search."""


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
    score, random = score or _error, np.random.default_rng(seed)
    weights, which, errors, evaluations = _starts(reader, pieces, starts, random, score)
    count = errors.shape[0]
    reading = np.repeat(np.arange(count), starts)
    search = _PatternSearch(
        which.ravel(),
        reading,
        _mean(pieces, which.ravel(), weights.reshape(count * starts, -1)),
        errors.ravel(),
        np.full(count * starts, _FIRST_STEP),
        random,
    )
    for _ in range(_ROUNDS):
        evaluated = search.advance(reader, pieces, score)
        if not evaluated:
            break
        evaluations += evaluated
    tops = [np.flatnonzero(reading == k)[search.best[reading == k].argmax()] for k in range(count)]
    return WorstPoints(search.best[tops], search.points[tops], evaluations)


def _starts(
    reader: Reader, pieces: Pieces, starts: int, random: np.random.Generator, score: Score
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The worst points of many, reading by reading: their weights, pieces and errors; and how many there were.

    Pieces are taken some at a time, and the worst points of all so far are kept.
    """
    most, shared = pieces.corners.shape[1], _shared_points(pieces)
    points_of = _RANDOM_POINTS + shared + most + 1 + len(_BETWEEN) * min(_MOST_PAIRS, most * (most - 1) // 2)
    batch = np.cumsum(points_of * most) // _AT_ONCE
    batches: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    evaluations = 0
    for number in np.unique(batch):
        own = np.flatnonzero(batch == number)
        weights, which = _spread(pieces.subset(own), shared[own], random)
        points = _mean(pieces, own[which], weights)
        errors = score(points, reader(points), pieces.exact(own[which], points))
        evaluations += len(points)
        chosen = [_worst_of_pieces(column, which, starts) for column in errors.T]
        batches.append(
            (
                np.array([weights[rows] for rows in chosen]),
                np.array([own[which[rows]] for rows in chosen]),
                np.array([column[rows] for rows, column in zip(chosen, errors.T, strict=True)]),
            )
        )
    return (*reduce(lambda one, other: _better(one, other, starts), batches), evaluations)


def _better(
    one: tuple[np.ndarray, np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray, np.ndarray], starts: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The worst of two sets of points, reading by reading."""
    weights, which, errors = (np.concatenate(pair, axis=1) for pair in zip(one, other, strict=True))
    order = np.argsort(-errors, axis=1, kind="stable")[:, :starts]
    rows = np.arange(len(order))[:, None]
    return weights[rows, order], which[rows, order], errors[rows, order]


def _error(_: np.ndarray, readings: np.ndarray, exact: np.ndarray) -> np.ndarray:
    error: np.ndarray = np.abs(readings - exact)
    return error


@dataclass(eq=False)
class _PatternSearch:
    """Points with their pieces and readings, best scores and step lengths."""

    which: np.ndarray
    reading: np.ndarray
    points: np.ndarray
    best: np.ndarray
    step: np.ndarray
    random: np.random.Generator

    def advance(self, reader: Reader, pieces: Pieces, score: Score) -> int:
        """Move every point towards the best corner, or halve its step; the number of points evaluated."""
        active = np.flatnonzero(self.step >= _LAST_STEP)
        if not active.size:
            return 0
        ways = self._ways(pieces.sizes[self.which[active]], pieces.corners.shape[1])
        corners = pieces.corners[self.which[active][:, None], ways]
        moved = self.points[active, None] + self.step[active, None, None] * (corners - self.points[active, None])
        owner, points = np.repeat(self.which[active], ways.shape[1]), moved.reshape(-1, moved.shape[-1])
        scores = score(points, reader(points), pieces.exact(owner, points))
        own = scores[np.arange(len(points)), np.repeat(self.reading[active], ways.shape[1])].reshape(len(active), -1)
        first = own.argmax(axis=1)
        reached = own[np.arange(len(active)), first]
        better = reached > self.best[active]
        up = active[better]
        self.points[up], self.best[up] = moved[better, first[better]], reached[better]
        self.step[active[~better]] *= 0.5
        return len(points)

    def _ways(self, sizes: np.ndarray, most: int) -> np.ndarray:
        """Corners towards which points move, shape (points, ways): all of them if they are few."""
        if most <= _MOST_WAYS:
            return np.tile(np.arange(most), (len(sizes), 1))
        ways: np.ndarray = self.random.integers(sizes[:, None], size=(len(sizes), _MOST_WAYS))
        return ways


def _shared_points(pieces: Pieces) -> np.ndarray:
    """Random points of every piece in proportion to the size of its box."""
    extent = np.ptp(pieces.corners, axis=1)
    box = np.prod(extent + 1.0e-3 * extent.max(axis=0), axis=1)
    share = box / box.sum() if box.sum() > 0.0 else np.full(len(box), 1.0 / len(box))  # borders of one input are points
    shared: np.ndarray = np.floor(_SHARED_POINTS * share).astype(int)
    return shared


def _spread(pieces: Pieces, shared: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of every piece, as weights of its corners: corners, middle, between corners, random; and their pieces."""
    most = pieces.corners.shape[1]
    real = np.arange(most) < pieces.sizes[:, None]
    owner = np.repeat(np.arange(len(pieces)), _RANDOM_POINTS + shared)
    mixed = random.exponential(size=(len(owner), most)) * real[owner]
    mixed[::2] **= _TO_FACES
    mixed /= mixed.sum(axis=1, keepdims=True)
    every = np.arange(len(pieces))
    weights = [np.tile(np.eye(most), (len(pieces), 1)), real / pieces.sizes[:, None], mixed]
    owners = [np.repeat(every, most), every, owner]
    pairs = most * (most - 1) // 2
    if pairs <= _MOST_PAIRS:
        ends = [(i, j, every[pieces.sizes > j]) for i, j in zip(*np.triu_indices(most, 1), strict=True)]
    else:
        ways = random.integers(pieces.sizes, size=(_MOST_PAIRS, 2, len(pieces)))
        ends = [(one, other, every[one != other]) for one, other in ways]
    for i, j, both in ends:
        between = np.zeros((len(both), len(_BETWEEN), most))
        rows = np.arange(len(both))
        between[rows, :, np.broadcast_to(i, len(pieces))[both]] = _BETWEEN
        between[rows, :, np.broadcast_to(j, len(pieces))[both]] = 1.0 - _BETWEEN
        weights.append(between.reshape(-1, most))
        owners.append(np.repeat(both, len(_BETWEEN)))
    return np.vstack(weights), np.concatenate(owners)


def _mean(pieces: Pieces, which: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Points of some weights of the corners of their pieces; piece by piece, since corners of all points are many."""
    points = np.empty((len(which), pieces.corners.shape[2]))
    order = np.argsort(which, kind="stable")
    present, begin = np.unique(which[order], return_index=True)
    for piece, rows in zip(present, np.split(order, begin[1:]), strict=True):
        points[rows] = weights[rows] @ pieces.corners[piece]
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

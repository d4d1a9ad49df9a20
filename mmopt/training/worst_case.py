"""Where a smooth law errs most, against an exact answer that is affine in pieces.

Every piece is a polytope with its law, and a point in it is a mean of its corners. So a search that moves points towards
corners never leaves a piece, and what is compared there is exact: no program is solved and no region looked up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.fba.atlas import Atlas
from mmopt.fba.region import Region

Reader = Callable[[np.ndarray], np.ndarray]
"""From inputs of shape (points, inputs) to readings of shape (points, readings)."""

_SAMPLES, _SHARED = 24, 30_000
"""Random points of each piece from which starts are chosen, beside its corners and its middle; and those that all pieces
share by the size of their boxes."""

_TO_FACES: Final = 4
"""Power of the weights of every second random point, which draws it to faces and edges, where a law is bent most."""

_BETWEEN: Final = np.array([0.01, 0.03, 0.06, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.94, 0.97, 0.99])
"""Points between any two corners of a piece, with the edges of the domain among them; closest near the ends."""

_A_PIECE: Final = 3
"""Most starts in one piece, for a reading: a law may err most at either end of a large one."""

_FIRST_STEP, _LAST_STEP = 0.25, 1.0e-3
"""Part of the way to a corner by which a point is moved, at first and at last."""

_ROUNDS: Final = 60

_ON: Final = 1.0e-7
"""A corner this close to a facet, in parts of the box, lies on it."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Polytopes with an affine law each, stacked; short lists of corners are filled up with their last one.

    Attributes
    ----------
    corners
        Shape (pieces, most corners, inputs).
    sizes
        How many corners are different, shape (pieces,).
    constants, slopes
        The laws of the readings, shapes (pieces, readings) and (pieces, readings, inputs).
    """

    corners: np.ndarray
    sizes: np.ndarray
    constants: np.ndarray
    slopes: np.ndarray

    def __len__(self) -> int:
        return len(self.sizes)

    def exact(self, which: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Exact readings of points, each by the law of its piece; shape (points, readings)."""
        values: np.ndarray = self.constants[which] + np.einsum("nri,ni->nr", self.slopes[which], points)
        return values

    def subset(self, which: np.ndarray) -> "Pieces":
        """Some of the pieces."""
        return Pieces(self.corners[which], self.sizes[which], self.constants[which], self.slopes[which])

    def shrunk(self, part: float) -> "Pieces":
        """The same pieces, drawn together towards their middles: what is left is well inside."""
        real = np.arange(self.corners.shape[1]) < self.sizes[:, None]
        middles = (self.corners * real[..., None]).sum(axis=1) / self.sizes[:, None]
        corners = middles[:, None] + part * (self.corners - middles[:, None])
        return Pieces(corners, self.sizes, self.constants, self.slopes)


@dataclass(frozen=True, eq=False)
class Worst:
    """The largest errors found, one for each reading.

    Attributes
    ----------
    errors, points
        Shapes (readings,) and (readings, inputs).
    looked
        Points at which was looked.
    """

    errors: np.ndarray
    points: np.ndarray
    looked: int


def regions_of(atlas: Atlas, rows: np.ndarray) -> Pieces:
    """The critical regions of an atlas, with the laws of some rows."""
    regions = list(atlas.regions)
    return _stacked([each.shape.corners for each in regions], regions, rows)


def borders_of(atlas: Atlas, rows: np.ndarray) -> Pieces:
    """The facets between critical regions, each with the law of one of the two."""
    width = atlas.domain.upper - atlas.domain.lower
    corners, owners = [], []
    for each in atlas.regions:
        unit = (each.shape.corners - atlas.domain.lower) / width
        for middle, normal in zip(*each.shape.beyond, strict=True):
            on = np.abs((unit - middle) @ normal) < _ON
            if on.sum() >= len(width):
                corners.append(each.shape.corners[on])
                owners.append(each)
    return _stacked(corners, owners, rows)


def _stacked(corners: Sequence[np.ndarray], owners: Sequence[Region], rows: np.ndarray) -> Pieces:
    sizes = np.array([len(each) for each in corners], dtype=int)
    most = int(sizes.max(initial=1))
    filled = [np.vstack([each, np.repeat(each[-1:], most - len(each), axis=0)]) for each in corners]
    inputs = corners[0].shape[1] if corners else 0
    return Pieces(
        np.array(filled).reshape(len(sizes), most, inputs),
        sizes,
        np.array([each.constant[rows] for each in owners]).reshape(len(sizes), len(rows)),
        np.array([each.slope[rows] for each in owners]).reshape(len(sizes), len(rows), inputs),
    )


def search(
    reader: Reader, pieces: Pieces, starts: int, seed: int, score: Callable[..., np.ndarray] | None = None
) -> Worst:
    """Look for the largest error of every reading.

    Parameters
    ----------
    reader
        The law that may err.
    pieces
        Where to look, and what is exact there.
    starts
        Points from which each reading's worst is sought; they lie in different pieces as far as there are so many.
    seed
        Of the random points among which starts are chosen.
    score
        What is made largest, from points, readings and exact readings; by default the absolute error.
    """
    random, reference = np.random.default_rng(seed), score or _error
    weights, which = _spread(pieces, random)
    points = _mean(pieces, which, weights)
    errors = reference(points, reader(points), pieces.exact(which, points))
    looked = len(points)
    chosen = np.concatenate([_best_of_pieces(column, which, starts) for column in errors.T])
    wanted = np.repeat(np.arange(errors.shape[1]), starts)
    weights, which = weights[chosen], which[chosen]
    best, places = errors[chosen, wanted], points[chosen]
    step = np.full(len(best), _FIRST_STEP)
    towards = np.eye(pieces.corners.shape[1])
    for _ in range(_ROUNDS):
        going = np.flatnonzero(step >= _LAST_STEP)
        if not going.size:
            break
        moved = weights[going, None] + step[going, None, None] * (towards - weights[going, None])
        tried = moved.reshape(-1, moved.shape[-1])
        owner = np.repeat(which[going], len(towards))
        at = _mean(pieces, owner, tried)
        found = reference(at, reader(at), pieces.exact(owner, at))
        looked += len(at)
        own = found[np.arange(len(at)), np.repeat(wanted[going], len(towards))].reshape(len(going), -1)
        first = own.argmax(axis=1)
        gained = own[np.arange(len(going)), first]
        better = gained > best[going]
        up = going[better]
        weights[up], best[up] = moved[better, first[better]], gained[better]
        places[up] = at.reshape(len(going), len(towards), -1)[better, first[better]]
        step[going[~better]] *= 0.5
    tops = [np.flatnonzero(wanted == k)[best[wanted == k].argmax()] for k in range(errors.shape[1])]
    return Worst(best[tops], places[tops], looked)


def _error(_: np.ndarray, given: np.ndarray, exact: np.ndarray) -> np.ndarray:
    error: np.ndarray = np.abs(given - exact)
    return error


def _spread(pieces: Pieces, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of every piece, as weights of its corners: corners, middle, between corners, random ones; and whose they are."""
    most = pieces.corners.shape[1]
    real = np.arange(most) < pieces.sizes[:, None]
    extent = np.ptp(pieces.corners, axis=1)
    box = np.prod(extent + 1.0e-3 * extent.max(axis=0), axis=1)
    share = box / box.sum() if box.sum() > 0.0 else np.full(len(box), 1.0 / len(box))  # borders of one input are points
    drawn_of = np.repeat(np.arange(len(pieces)), _SAMPLES + np.floor(_SHARED * share).astype(int))
    drawn = random.exponential(size=(len(drawn_of), most)) * real[drawn_of]
    drawn[::2] **= _TO_FACES
    drawn /= drawn.sum(axis=1, keepdims=True)
    every = np.arange(len(pieces))
    weights = [np.tile(np.eye(most), (len(pieces), 1)), real / pieces.sizes[:, None], drawn]
    whose = [np.repeat(every, most), every, drawn_of]
    for i, j in zip(*np.triu_indices(most, 1), strict=True):
        both = every[pieces.sizes > j]
        between = np.zeros((len(_BETWEEN), most))
        between[:, i], between[:, j] = _BETWEEN, 1.0 - _BETWEEN
        weights.append(np.tile(between, (len(both), 1)))
        whose.append(np.repeat(both, len(_BETWEEN)))
    return np.vstack(weights), np.concatenate(whose)


def _mean(pieces: Pieces, which: np.ndarray, weights: np.ndarray) -> np.ndarray:
    points: np.ndarray = np.einsum("nc,nci->ni", weights, pieces.corners[which])
    return points


def _best_of_pieces(errors: np.ndarray, which: np.ndarray, starts: int) -> np.ndarray:
    """The worst points, a few of each piece; exactly as many as are wanted, if need be some of them twice."""
    order = np.argsort(-errors, kind="stable")
    met = np.zeros(which.max() + 1, dtype=int)
    chosen = []
    for place in order:
        if met[which[place]] < _A_PIECE:
            met[which[place]] += 1
            chosen.append(place)
            if len(chosen) == starts:
                break
    return np.resize(np.array(chosen), starts)

"""Convex regions of a box: their facets, corners and volume.

Everything happens in the unit box, so that one tolerance serves all inputs.

Barber, Dobkin and Huhdanpaa (1996), ACM Trans. Math. Softw. 22:469 (Qhull, which scipy.spatial holds).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection, QhullError

_FLAT: Final = 1.0e-9
"""A region whose largest inscribed ball, in the unit box, has a smaller radius than this is flat."""

_CONSTANT: Final = 1.0e-10
"""A condition that changes less than this across the box is one on no input: it holds everywhere or nowhere."""

_ALIKE: Final = 10
"""Decimals to which two half-spaces, or two corners, of the unit box are one."""

_ON: Final = 1.0e-8
"""A corner this close to a facet lies on it."""


@dataclass(frozen=True, eq=False, repr=False)
class Polytope:
    """A bounded convex region with an inside.

    Attributes
    ----------
    left, right
        Facets: ``left @ x <= right``, no condition too many; rows of length 1. Shapes (facets, inputs), (facets,).
    corners
        Shape (corners, inputs).
    volume
        Fraction of the box.
    beyond
        For each facet that is no face of the box, a point in its middle, and the unit normal that leads out; shapes
        (inner facets, inputs) both, in units of the box.
    """

    left: np.ndarray
    right: np.ndarray
    corners: np.ndarray
    volume: float
    beyond: tuple[np.ndarray, np.ndarray]

    def __repr__(self) -> str:
        return f"Polytope({len(self.right)} facets, {len(self.corners)} corners, {self.volume:.3g} of the box)"


def polytope(left: np.ndarray, right: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> Polytope | None:
    """Compute the region of the box in which ``left @ x <= right``.

    Parameters
    ----------
    left, right
        Half-spaces, shapes (conditions, inputs) and (conditions,).
    lower, upper
        The box, shape (inputs,).

    Returns
    -------
    Polytope or None
        None where the region is empty or flat.

    Examples
    --------
    >>> half = polytope(np.array([[1.0, 1.0]]), np.array([1.0]), np.zeros(2), np.ones(2))
    >>> round(half.volume, 6), len(half.corners)
    (0.5, 3)
    """
    width = upper - lower
    left, right = left * width, right - left @ lower
    length = np.linalg.norm(left, axis=1)
    fixed = length < _CONSTANT
    if np.any(right[fixed] < -_FLAT):
        return None
    normals, offsets, box = _half_spaces(left[~fixed] / length[~fixed, None], right[~fixed] / length[~fixed])
    centre = _centre(normals, offsets)
    if centre is None:
        return None
    try:
        facets, corners, volume = _facets_and_corners(normals, offsets, centre)
    except QhullError:  # too thin for its arithmetic
        return None
    scaled = normals[facets] / width
    size = np.linalg.norm(scaled, axis=1)
    inner = facets[~box[facets]]
    on = np.abs(corners @ normals[inner].T - offsets[inner]) < _ON
    middle = (on.T @ corners) / np.maximum(on.sum(axis=0), 1)[:, None]
    return Polytope(
        scaled / size[:, None],
        (offsets[facets] + scaled @ lower) / size,
        lower + corners * width,
        volume,
        (middle, normals[inner]),
    )


def _half_spaces(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Different half-spaces with the unit box among them, the tightest of each, and which are the faces of the box."""
    dimensions = left.shape[1]
    sides = np.vstack([np.eye(dimensions), -np.eye(dimensions)])
    left, right = np.vstack([sides, left]), np.concatenate([np.ones(dimensions), np.zeros(dimensions), right])
    box = np.arange(len(left)) < 2 * dimensions
    order = np.lexsort([~box, right])  # of parallel ones the tightest, and of equal ones the box
    rounded = np.round(left[order], _ALIKE) + 0.0
    _, first = np.unique(rounded, axis=0, return_index=True)
    kept = order[np.sort(first)]
    return left[kept], right[kept], box[kept]


def _centre(normals: np.ndarray, offsets: np.ndarray) -> np.ndarray | None:
    """Middle of the largest ball inside; None if the region is flat."""
    dimensions = normals.shape[1]
    cost = np.append(np.zeros(dimensions), -1.0)
    ball = linprog(cost, np.column_stack([normals, np.ones(len(normals))]), offsets, bounds=(None, None))
    if ball.status != 0 or ball.x[-1] < _FLAT:
        return None
    centre: np.ndarray = ball.x[:-1]
    return centre


def _facets_and_corners(
    normals: np.ndarray, offsets: np.ndarray, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    if normals.shape[1] == 1:
        ends = np.array([np.argmin(np.where(normals[:, 0] * way > 0.0, offsets, np.inf)) for way in (-1.0, 1.0)])
        corners = np.clip(offsets[ends] * normals[ends, 0], 0.0, 1.0)[:, None]
        return ends, corners, float(np.ptp(corners))
    met = HalfspaceIntersection(np.column_stack([normals, -offsets]), centre)
    inside = np.clip(met.intersections, 0.0, 1.0)  # Qhull's rounding leads out of a wide box by more than a tolerance
    corners = np.unique(np.round(inside, _ALIKE) + 0.0, axis=0)
    facets = np.unique(np.concatenate([np.asarray(facets) for facets in met.dual_facets]))
    return facets, corners, float(ConvexHull(corners).volume)

"""Points of a domain at which fluxes are tabulated, and the order in which they are solved.

A space-filling design covers the box. A fraction of its points is concentrated near zero uptake, because starvation
occupies a thin region that even coverage misses. The points are ordered along a sweep through the box, so that each solve
starts from the basis of a neighbour.
"""

from itertools import product
from typing import Final

import numpy as np

from mmopt.fba.domain import Domain, checked_count

_STARVED_FRACTION: Final = 0.25
"""Fraction of the points that are concentrated towards zero uptake."""

_FACE_FRACTION: Final = 0.25
"""Fraction of the points at which one of the limits is exactly at its lowest: a fed-batch spends most of its time on such a
face (no acetate left, no glucose left), and a wrong rate there would consume what is not there."""

_STARVED_POWER: Final = 4
"""The concentrated points are u⁴ of a uniform design: half of them lie in the lowest 6 % of each range."""

_CORNERS_FROM: Final = 16
"""Points for each corner of the box from which on the corners are among them."""

_SWEEP_CELLS: Final = 8
"""Cells of the sweep along each input."""


def design(domain: Domain, n: int, seed: int) -> np.ndarray:
    """Compute scrambled Sobol points in the box, some concentrated towards its lowest corner and some on its lowest faces.

    Where there are enough points for it, all corners of the box are among them: without them, a surrogate of iJO1366 was
    wrong by 9 % of the range of ethanol at a corner without a point nearby.

    Parameters
    ----------
    domain
        The box.
    n
        Number of points, at least 1.
    seed
        Seed of the scrambling, at least 0.

    Returns
    -------
    ndarray
        Shape (n, inputs); the corners and even coverage, then the concentrated points, then the faces.

    Raises
    ------
    StudyError
        If ``n`` or ``seed`` is no whole number or too low.

    Examples
    --------
    >>> from mmopt.dataset.design import design
    >>> design(Domain({"EX_glc__D_e": (0.0, 12.0)}), 8, seed=0).shape
    (8, 1)
    """
    from scipy.stats import qmc

    n, seed = checked_count("n", n, 1), checked_count("seed", seed)
    dimensions = len(domain.inputs)
    power = int(np.ceil(np.log2(max(n, 2))))
    starved_count, face_count = int(_STARVED_FRACTION * n), int(_FACE_FRACTION * n)
    even, starved, faces = (
        qmc.Sobol(dimensions, rng=np.random.default_rng([seed, stream])).random_base2(power) for stream in range(3)
    )
    faces[np.arange(len(faces)), np.arange(len(faces)) % dimensions] = 0.0
    faces[1::2] **= _STARVED_POWER
    corners = (
        np.array(list(product((0.0, 1.0), repeat=dimensions))) if n >= _CORNERS_FROM * 2**dimensions else faces[:0]
    )
    even = np.vstack([corners, even])
    unit = np.vstack(
        [even[: n - starved_count - face_count], starved[:starved_count] ** _STARVED_POWER, faces[:face_count]]
    )
    points: np.ndarray = domain.lower + unit * (domain.upper - domain.lower)
    return points


def sweep_order(points: np.ndarray, domain: Domain) -> np.ndarray:
    """Compute the order of points along a sweep through the cells of the box, in which neighbours follow each other.

    The sweep turns at the end of each row of cells (boustrophedon).

    Parameters
    ----------
    points
        Inputs [mmol/gDW/h], shape (points, inputs).
    domain
        The box.

    Returns
    -------
    ndarray
        Positions of the points, shape (points,).

    Examples
    --------
    >>> from mmopt.dataset.design import sweep_order
    >>> sweep_order(np.array([[9.0], [1.0], [5.0]]), Domain({"EX_glc__D_e": (0.0, 12.0)})).tolist()
    [1, 2, 0]
    """
    unit = (points - domain.lower) / (domain.upper - domain.lower)
    cells = np.minimum((unit * _SWEEP_CELLS).astype(int), _SWEEP_CELLS - 1)
    rank: np.ndarray = np.zeros(len(points), dtype=int)
    for column in cells.T:
        turned = np.where(rank % 2 == 0, column, _SWEEP_CELLS - 1 - column)
        rank = rank * _SWEEP_CELLS + turned
    return np.argsort(rank, kind="stable")

"""Points to train on: those of the first fit, and those that rounds add where the surrogate errs most."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.sensitivity.cliffs import growth_cliffs
from mmopt.sensitivity.coverage import covered_points
from mmopt.surrogate.error_report import ErrorReport
from mmopt.surrogate.surrogate import Surrogate

POINTS: Final = 4096

_NEAR: Final = 8
"""One point in so many is added close to limits of zero."""

_NEAR_ZERO: Final = 0.04
"""How close, as a fraction of the range of the limit: there the switches turn modes on."""

_AROUND: Final = 24
"""Points around every worst point, many of which coincide."""

_CLOSE: Final = 0.7
"""Fraction of its wanted error from which on the worst points of a reading get fluxes."""

_MANY, _WORST = 20_000, 600
"""Random points of a round, and how many of them get fluxes: those that err most."""

_SPREAD: Final = 0.03
"""Standard deviation of the points around worst ones, as a fraction of the width of the domain."""


def training_table(atlas: Atlas, n: int = POINTS, seed: int = 0) -> FluxTable:
    """Tabulate the fluxes of an atlas for a training.

    Parameters
    ----------
    atlas
        Source of the fluxes.
    n
        Number of points, spread over the domain.
    seed
        Seed of the points.

    Returns
    -------
    FluxTable
        Fluxes at ``n`` points, at an eighth of that close to limits of zero, and at the corners of the critical regions
        known so far.

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> len(training_table(atlas, n=64)) >= 64
    True
    """
    table = tabulate_fluxes(atlas.network, atlas.domain, n, seed, source=atlas)
    corners = atlas.corner_points()
    points = np.vstack([near_faces(atlas.domain, n // _NEAR, seed), corners]) if len(corners) else corners
    return table.extended(points, atlas.batch(points)) if len(points) else table


def near_faces(domain: Domain, n: int, seed: int) -> np.ndarray:
    """Return random points at which one limit is close to its lowest, where a substrate runs out.

    Parameters
    ----------
    domain
        The box.
    n
        Number of points.
    seed
        Seed of the points.

    Returns
    -------
    ndarray
        Shape (n, inputs).

    Examples
    --------
    >>> from mmopt.training.added_points import near_faces
    >>> bool(near_faces(Domain({"EX_glc__D_e": (0.0, 10.0)}), 50, 0).max() < 0.5)
    True
    """
    random, inputs = np.random.default_rng(seed), len(domain.inputs)
    unit = random.random((n, inputs))
    row, column = np.arange(n), random.integers(inputs, size=n)
    unit[row, column] = _NEAR_ZERO * unit[row, column] ** 2
    points: np.ndarray = domain.lower + unit * (domain.upper - domain.lower)
    return points


def points_around(report: ErrorReport, domain: Domain, bounds: Mapping[str, float], seed: int) -> np.ndarray:
    """Return points around the worst ones of every reading close to its wanted error, in every zone.

    Parameters
    ----------
    report
        The error report.
    domain
        The box of inputs.
    bounds
        Wanted errors by reading, as fractions of the range.
    seed
        Seed of the points.

    Returns
    -------
    ndarray
        Shape (points, inputs).
    """
    worst = [
        [zone["at"][name] for name in domain.inputs]
        for name, bound in bounds.items()
        if report.counted(name) > _CLOSE * bound
        for zone in report.readings[name]["zones"].values()
    ]
    centres = np.unique(np.round(worst, 6), axis=0)
    width, random = domain.upper - domain.lower, np.random.default_rng(seed)
    cloud = centres[:, None] + _SPREAD * width * random.normal(size=(len(centres), _AROUND, len(width)))
    cloud[:, 0] = centres
    points: np.ndarray = np.clip(cloud.reshape(-1, len(width)), domain.lower, domain.upper)
    return points


def worst_of_many(
    surrogate: Surrogate, atlas: Atlas, report: ErrorReport, bounds: Mapping[str, float], seed: int
) -> np.ndarray:
    """Return the worst of many random points, a third of them close to limits of zero.

    Parameters
    ----------
    surrogate, atlas, report
        The surrogate, the exact fluxes, and its error report.
    bounds
        Wanted errors by reading, as fractions of the range.
    seed
        Seed of the points.

    Returns
    -------
    ndarray
        Shape (points, inputs).
    """
    domain, names = atlas.domain, list(bounds)
    random = np.random.default_rng(seed)
    spread = domain.lower + random.random((_MANY, len(domain.inputs))) * (domain.upper - domain.lower)
    points = covered_points(atlas, np.vstack([spread, near_faces(domain, _MANY // 2, seed)]))
    allowed = np.array([bounds[name] * report.readings[name]["range"] for name in names])
    errors = np.abs(surrogate.reader(names)(points) - atlas.rates(points, names)) / allowed
    excess = errors.max(axis=1)
    for cliff in growth_cliffs(atlas, why=False):
        excess[cliff.holds(points[:, domain.inputs.index(cliff.name)])] = 0.0
    worst = np.argsort(-excess, kind="stable")[:_WORST]
    chosen: np.ndarray = points[worst[excess[worst] > _CLOSE]]
    return chosen


def joined(table: FluxTable, atlas: Atlas, points: np.ndarray) -> FluxTable:
    """Return the table with exact fluxes at further points.

    Parameters
    ----------
    table, atlas
        The table, and the source of the fluxes.
    points
        Shape (points, inputs).

    Returns
    -------
    FluxTable
    """
    atlas.extend(points)
    return table.extended(points, atlas.batch(points))


def points_in(points: np.ndarray | Sequence[Sequence[float]], domain: Domain) -> np.ndarray:
    """Return points of a trajectory, moved to the edge of the domain where they lie outside.

    Parameters
    ----------
    points
        Shape (points, inputs).
    domain
        The box of inputs.

    Returns
    -------
    ndarray
        Shape (points, inputs).

    Raises
    ------
    SurrogateError
        If the shape does not fit, or a number is not finite.
    """
    try:
        array = np.asarray(points, dtype=float)
    except (TypeError, ValueError):
        array = np.array(math.nan)
    if array.ndim != 2 or array.shape[1] != len(domain.inputs) or not np.all(np.isfinite(array)):
        raise SurrogateError(
            f"along has the shape {array.shape}; give finite inputs of shape (points, {len(domain.inputs)})"
        )
    clipped: np.ndarray = np.clip(array, domain.lower, domain.upper)
    return clipped

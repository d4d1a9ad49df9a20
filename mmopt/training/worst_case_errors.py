"""The error report of a surrogate: its largest errors against the exact fluxes, searched everywhere in its domain.

A test set gives the errors at random points. Here the largest errors are searched from many starts in every critical region
of an explored atlas and on every border between two; starvation, a sliver of the domain, is a zone of its own. Like those
of any search, they are lower bounds of the largest errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np

from mmopt.checking import shown, whole
from mmopt.dataset.tabulate import Progress
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.rates import GROWTH, SHORTFALL, rate_rows
from mmopt.sensitivity.cliffs import growth_cliffs
from mmopt.sensitivity.coverage import check_explored, covered_points
from mmopt.sensitivity.pieces import Pieces, borders_of, regions_of
from mmopt.sensitivity.worst_case import Reader, Score, WorstPoints, find_worst_points
from mmopt.surrogate.error_report import OFF_CLIFFS, ErrorReport
from mmopt.surrogate.surrogate import Surrogate
from mmopt.units import GROWTH_UNIT, RATE

STARTS: Final = 24
"""Starts for a reading in a zone. For `ecoli_ijo1366`, the errors from 24 and 200 starts and four seeds are equal within 1 %,
and the largest of two million random points exceeds them by 0.2 % at most."""

_CONSTANT: Final = 1.0e-2
"""Exchanges whose range over the domain is smaller than this are not in the report [mmol/gDW/h]."""

_INSIDE: Final = 0.9
_MEAN_POINTS: Final = 16_384
_FLUX_POINTS: Final = 2_000
_ABOVE, _ABOVE_POINTS = 0.05, 200
_BELOW, _BELOW_POINTS = 0.02, 1_000

_STARVED: Final = 1.0e-9


class Law(Protocol):
    """What an error report can describe: a `Surrogate`, or a `SoftLaw`."""

    @property
    def domain(self) -> Domain:
        """The box it is for."""

    def reader(self, names: Sequence[str]) -> Reader:
        """Return a function from inputs of shape (points, inputs), inside the domain or not, to readings."""

    def fluxes(self, limits: np.ndarray) -> np.ndarray:
        """Compute net fluxes of all reactions, shape (points, reactions)."""


def worst_case_errors(
    law: Law,
    atlas: Atlas,
    *,
    starts: int = STARTS,
    seed: int = 0,
    partial: bool = False,
    progress: Progress | None = None,
) -> ErrorReport:
    """Search the domain of a surrogate for its largest errors.

    Parameters
    ----------
    law
        A `Surrogate`, or a `SoftLaw`.
    atlas
        The exact fluxes over the same domain, explored.
    starts
        Points from which the largest error of a reading is searched in a zone.
    seed
        Seed of the random points.
    partial
        Accept an atlas that covers only some of the domain: errors are searched where it does.
    progress
        Called with (done, total) after every zone.

    Returns
    -------
    ErrorReport
        The largest errors by reading and zone, and how far fluxes balance and keep directions.

    Raises
    ------
    SurrogateError
        If the atlas is not explored or of another domain, or an argument is out of its range.

    Examples
    --------
    >>> core = read_network("textbook")
    >>> atlas = Atlas(core, Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> table = tabulate_fluxes(core, atlas.domain, 200, source=atlas)
    >>> report = worst_case_errors(train(table, hidden=(6,), iterations=60), atlas)
    >>> report.relative("growth") < 0.02
    True
    """
    _check(law, atlas, starts, seed, partial)
    names = _names(atlas)
    zones, reader, worst = _zones(atlas, names), law.reader(names), dict[str, WorstPoints]()
    steps = len(zones) + 1
    for done, (zone, pieces) in enumerate(zones.items(), start=1):
        if len(pieces):
            worst[zone] = find_worst_points(reader, pieces, starts, seed)
        if progress is not None:
            progress(done, steps)
    regions, off = zones["whole domain"], _off_cliffs(atlas)
    if off is not None:
        worst[OFF_CLIFFS] = find_worst_points(reader, regions, starts, seed, off)
    means, ranges = _means(law, atlas, names, seed), _ranges(regions)
    readings = {name: _reading(name, k, atlas, worst, ranges, means) for k, name in enumerate(names)}
    consumption = _consumption(law, atlas, regions, starts, seed)
    record = {
        "regions": len(atlas.regions),
        "borders": len(zones["borders"]),
        "points": sum(points.evaluations for points in worst.values()),
        "starts": starts,
        "seed": seed,
        "coverage": atlas.coverage,
    }
    outside = {"above": _above(law, atlas, names, seed), "below": _below(law, atlas, names, seed)}
    report = ErrorReport(
        readings, _balance_and_directions(law, atlas, seed), consumption, _zero(law, atlas, names), outside, record
    )
    if progress is not None:
        progress(steps, steps)
    return report


def with_error_report(surrogate: Surrogate, atlas: Atlas) -> Surrogate:
    """Return the same surrogate with its error report on the card.

    Parameters
    ----------
    surrogate, atlas
        As for `worst_case_errors`.

    Returns
    -------
    Surrogate
        Its ``error_report`` is the report.

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> surrogate = with_error_report(train(atlas, hidden=(4,), iterations=10, starts=1), atlas)
    >>> surrogate.error_report.worst("growth") > 0.0
    True
    """
    return replace(surrogate, card={**surrogate.card, "error_report": worst_case_errors(surrogate, atlas).as_dict()})


def _zones(atlas: Atlas, names: Sequence[str]) -> dict[str, Pieces]:
    """Pieces of every zone of the report."""
    rows = rate_rows(atlas.network, names)
    regions = regions_of(atlas, rows)
    shortfalls = regions.extremes()[1][:, list(names).index(SHORTFALL)]
    return {
        "whole domain": regions,
        "starvation": regions.subset(np.flatnonzero(shortfalls > _STARVED)),
        "borders": borders_of(atlas, rows),
        "inside": regions.shrunk(_INSIDE),
    }


def _off_cliffs(atlas: Atlas) -> Score | None:
    """Absolute errors off the cliffs of growth, zero on them; None if there are no cliffs."""
    cliffs = growth_cliffs(atlas, why=False)
    if not cliffs:
        return None

    def error(points: np.ndarray, readings: np.ndarray, exact: np.ndarray) -> np.ndarray:
        on = np.any([cliff.holds(points[:, atlas.inputs.index(cliff.name)]) for cliff in cliffs], axis=0)
        errors: np.ndarray = np.where(on[:, None], 0.0, np.abs(readings - exact))
        return errors

    return error


def _reading(
    name: str,
    k: int,
    atlas: Atlas,
    worst: Mapping[str, WorstPoints],
    ranges: Sequence[float],
    means: Sequence[float],
) -> dict[str, Any]:
    """Entry of one reading."""
    return {
        "unit": GROWTH_UNIT if name == GROWTH else RATE,
        "range": ranges[k],
        "mean": means[k],
        "zones": {zone: _entry(atlas.inputs, *_worst_in(worst, zone, k)) for zone in worst},
    }


def _worst_in(worst: Mapping[str, WorstPoints], zone: str, k: int) -> tuple[float, np.ndarray]:
    """Largest error of a reading in a zone, and its point; every zone lies in the whole domain."""
    zones = list(worst.values()) if zone == "whole domain" else [worst[zone]]
    top = max(zones, key=lambda points: float(points.errors[k]))
    return float(top.errors[k]), top.points[k]


def _entry(inputs: Sequence[str], worst: float, point: np.ndarray) -> dict[str, Any]:
    return {"worst": worst, "at": dict(zip(inputs, point.tolist(), strict=True))}


def _check(law: Law, atlas: Atlas, starts: int, seed: int, partial: bool) -> None:
    if not isinstance(atlas, Atlas):
        raise SurrogateError(f"atlas is {shown(atlas)}; give an Atlas of the surrogate's domain")
    if law.domain != atlas.domain:
        raise SurrogateError(
            "the atlas has another domain than the surrogate; build it with Atlas(network, surrogate.domain)"
        )
    check_explored(atlas, partial=partial)
    whole("starts", starts, least=1, error=SurrogateError)
    whole("seed", seed, error=SurrogateError)


def _names(atlas: Atlas) -> list[str]:
    """Growth, the shortfall, and the exchanges that are not constant."""
    network = atlas.network
    every = regions_of(atlas, rate_rows(network, network.exchanges))
    moving = [name for name, span in zip(network.exchanges, _ranges(every), strict=True) if span > _CONSTANT]
    return [GROWTH, SHORTFALL, *moving]


def _ranges(pieces: Pieces) -> list[float]:
    """Exact range of every reading over the domain: an affine law has its extremes at corners."""
    least, most = pieces.extremes()
    spans: list[float] = (most.max(axis=0) - least.min(axis=0)).tolist()
    return spans


def _means(law: Law, atlas: Atlas, names: Sequence[str], seed: int) -> list[float]:
    from scipy.stats import qmc  # half a second

    unit = qmc.Sobol(len(atlas.inputs), rng=seed).random(_MEAN_POINTS)
    points = covered_points(atlas, atlas.domain.lower + unit * (atlas.domain.upper - atlas.domain.lower))
    errors: list[float] = np.abs(law.reader(names)(points) - atlas.rates(points, names)).mean(axis=0).tolist()
    return errors


def _consumption(law: Law, atlas: Atlas, regions: Pieces, starts: int, seed: int) -> dict[str, dict[str, Any]]:
    """Largest uptake beyond a limit, input by input."""
    taken = [k for k, name in enumerate(atlas.inputs) if name in atlas.network.exchanges]
    if not taken:
        return {}
    names = [atlas.inputs[k] for k in taken]

    def excess(points: np.ndarray, readings: np.ndarray, _: np.ndarray) -> np.ndarray:
        beyond: np.ndarray = -readings - points[:, taken]
        return beyond

    constants = np.zeros((len(regions), len(taken)))
    slopes = np.zeros((len(regions), len(taken), len(atlas.inputs)))
    no_law = Pieces(regions.corners, regions.sizes, constants, slopes)
    worst = find_worst_points(law.reader(names), no_law, starts, seed, excess)
    return {
        name: _entry(atlas.inputs, float(error), point)
        for name, error, point in zip(names, worst.errors, worst.points, strict=True)
    }


def _zero(law: Law, atlas: Atlas, names: Sequence[str]) -> dict[str, float]:
    """Readings where no uptake is allowed, minus the exact ones."""
    exchanges = set(atlas.network.exchanges)
    point = np.array(
        [
            low if name in exchanges else high
            for name, low, high in zip(atlas.inputs, atlas.domain.lower, atlas.domain.upper, strict=True)
        ]
    )[None]
    if not len(covered_points(atlas, point)):
        return {}
    left = law.reader(names)(point)[0] - atlas.rates(point, names)[0]
    return dict(zip(names, left.tolist(), strict=True))


def _balance_and_directions(law: Law, atlas: Atlas, seed: int) -> dict[str, float]:
    """Balance and directions of all fluxes, at random points inside the domain and far outside."""
    network, width = atlas.network, atlas.domain.upper - atlas.domain.lower
    random = np.random.default_rng(seed)
    unit = np.vstack([random.random((_FLUX_POINTS, len(width))), random.uniform(-3.0, 4.0, (_FLUX_POINTS, len(width)))])
    fluxes = law.fluxes(atlas.domain.lower + unit * width)
    largest = np.maximum(np.abs(fluxes).max(axis=1), np.finfo(float).tiny)  # all fluxes may be zero
    imbalance = np.abs(network.stoichiometry @ fluxes.T).max(axis=0) / largest
    limited = [network.column(name) for name in atlas.inputs if name in network.exchanges]
    forward, backward = network.lower >= 0.0, network.upper <= 0.0
    forward[limited] = backward[limited] = False  # uptake limits decide their direction
    wrong = max(0.0, float(-fluxes[:, forward].min()), float(fluxes[:, backward].max(initial=0.0)))
    return {"balance": float(imbalance.max()), "backwards": wrong}


def _above(law: Law, atlas: Atlas, names: Sequence[str], seed: int) -> dict[str, Any]:
    """Largest errors a little above the domain, against the flux program."""
    random, width = np.random.default_rng(seed), atlas.domain.upper - atlas.domain.lower
    unit = random.random((_ABOVE_POINTS, len(width)))
    beyond = random.integers(len(width), size=_ABOVE_POINTS)
    unit[np.arange(_ABOVE_POINTS), beyond] = 1.0 + _ABOVE * random.random(_ABOVE_POINTS)
    points = atlas.domain.lower + unit * width
    rows = rate_rows(atlas.network, names)
    source = atlas.program.batch(points)
    solved = np.array([status.solved for status in source.status])
    if not solved.any():
        return {"by": _ABOVE, "worst": {}}
    exact = np.column_stack([source.net, source.shortfall])[solved][:, rows]
    errors = np.abs(law.reader(names)(points[solved]) - exact).max(axis=0)
    return {"by": _ABOVE, "worst": dict(zip(names, errors.tolist(), strict=True))}


def _below(law: Law, atlas: Atlas, names: Sequence[str], seed: int) -> dict[str, Any]:
    """Largest change of readings a little below the domain."""
    random, width = np.random.default_rng(seed), atlas.domain.upper - atlas.domain.lower
    edge = random.random((_BELOW_POINTS, len(width)))
    one = np.arange(_BELOW_POINTS), random.integers(len(width), size=_BELOW_POINTS)
    edge[one] = 0.0
    beyond = edge.copy()
    beyond[one] = -_BELOW * random.random(_BELOW_POINTS)
    reader, lower = law.reader(names), atlas.domain.lower
    moved = np.abs(reader(lower + beyond * width) - reader(lower + edge * width)).max(axis=0)
    return {"by": _BELOW, "moved": dict(zip(names, moved.tolist(), strict=True))}

"""The certificate of a surrogate: how wrong it is, sought everywhere in its domain against the exact answer.

A test set says how wrong a law is at points that chance chose. Here the worst points are looked for, from many starts,
in every critical region of an explored atlas and on every border between two; starvation, a sliver of the domain, is
looked through on its own. The errors found are lower bounds of the largest ones, as those of any search.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.rates import GROWTH, SHORTFALL, rate_rows
from mmopt.surrogate.error_report import ErrorReport
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.worst_case import Pieces, Reader, Worst, borders_of, regions_of, search
from mmopt.units import GROWTH_UNIT, RATE

STARTS: Final = 24
"""Starts for each reading in each zone. For `ecoli_ijo1366`, 24 and 200 starts and four seeds found errors
that are equal within 1 %, and two million random points none that was larger by more than 0.2 %."""

_MOVES: Final = 1.0e-2
"""Exchanges that move less than this over the whole domain are not on the certificate [mmol/gDW/h]."""

_INSIDE: Final = 0.9
_MEAN_POINTS: Final = 16_384
_FLUX_POINTS: Final = 2_000
_ABOVE, _ABOVE_POINTS = 0.05, 200
_BELOW, _BELOW_POINTS = 0.02, 1_000
EXPLORED: Final = 1.0 - 1.0e-4
"""Part of the domain that the regions of an atlas must fill: what is missing is thinner than arithmetic."""

_STARVED: Final = 1.0e-9


class Law(Protocol):
    """What can be certified: a `Surrogate`, or a `SoftLaw`."""

    @property
    def domain(self) -> Domain:
        """The box it is for."""

    def reader(self, names: Sequence[str]) -> Reader:
        """Readings of inputs of shape (points, inputs), inside the domain or not."""

    def fluxes(self, limits: np.ndarray) -> np.ndarray:
        """Net fluxes of all reactions, shape (points, reactions)."""


def worst_case_errors(
    law: Law,
    atlas: Atlas,
    *,
    starts: int = STARTS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ErrorReport:
    """Look everywhere in its domain for the worst errors of a surrogate.

    Parameters
    ----------
    law
        A `Surrogate`, or a `SoftLaw`.
    atlas
        The exact answer over the same domain, explored.
    starts
        Points from which the worst error of each reading is sought, in each zone.
    seed
        Of the random points.
    progress
        Called with (done, total) after every zone.

    Raises
    ------
    SurrogateError
        If the atlas is not explored or of another domain, or ``starts`` is below 1.

    Examples
    --------
    >>> core = read_network("textbook")
    >>> atlas = Atlas(core, Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> surrogate = train(sample(core, atlas.domain, 200, answers=atlas), hidden=(6,), iterations=60)
    >>> certificate = certify(surrogate, atlas)
    >>> certificate.relative("growth") < 0.02, certificate.laws["balance"] < 1.0e-9
    (True, True)
    """
    _check(law, atlas, starts)
    names = _names(atlas)
    rows = rate_rows(atlas.network, names)
    reader, regions = law.reader(names), regions_of(atlas, rows)
    starved = np.flatnonzero(_shortfalls(regions, names.index(SHORTFALL)) > _STARVED)
    zones = {
        "whole domain": regions,
        "starvation": regions.subset(starved),
        "borders": borders_of(atlas, rows),
        "inside": regions.shrunk(_INSIDE),
    }
    steps, looked = len(zones) + 2, 0
    found: dict[str, Worst] = {}
    for done, (zone, pieces) in enumerate(zones.items()):
        if len(pieces):
            found[zone] = search(reader, pieces, starts, seed)
            looked += found[zone].looked
        if progress is not None:
            progress(done + 1, steps)
    means, ranges = _means(law, atlas, names, seed), _ranges(regions)
    readings = {
        name: {
            "unit": GROWTH_UNIT if name == GROWTH else RATE,
            "range": ranges[k],
            "mean": means[k],
            "zones": {zone: _told(atlas.inputs, *_worst_in(found, zone, k)) for zone in found},
        }
        for k, name in enumerate(names)
    }
    consumption = _consumption(law, atlas, regions, starts, seed)
    if progress is not None:
        progress(steps - 1, steps)
    told = {
        "regions": len(atlas.regions),
        "borders": len(zones["borders"]),
        "points": looked,
        "starts": starts,
        "seed": seed,
        "coverage": atlas.coverage,
    }
    outside = {"above": _above(law, atlas, names, seed), "below": _below(law, atlas, names, seed)}
    error_report = ErrorReport(readings, _laws(law, atlas, seed), consumption, _zero(law, atlas, names), outside, told)
    if progress is not None:
        progress(steps, steps)
    return error_report


def with_error_report(surrogate: Surrogate, atlas: Atlas) -> Surrogate:
    """Return the same surrogate with its error report on the card; see `worst_case_errors`."""
    return replace(surrogate, card={**surrogate.card, "certificate": worst_case_errors(surrogate, atlas).as_dict()})


def _worst_in(found: Mapping[str, Worst], zone: str, k: int) -> tuple[float, np.ndarray]:
    """Worst error of a reading in a zone, and where; every zone is part of the whole domain."""
    places = list(found.values()) if zone == "whole domain" else [found[zone]]
    top = max(places, key=lambda each: float(each.errors[k]))
    return float(top.errors[k]), top.points[k]


def _told(inputs: Sequence[str], worst: float, point: np.ndarray) -> dict[str, Any]:
    return {"worst": worst, "at": dict(zip(inputs, point.tolist(), strict=True))}


def _check(law: Law, atlas: Atlas, starts: int) -> None:
    if law.domain != atlas.domain:
        raise SurrogateError(
            "the atlas has another domain than the surrogate; make it with Atlas(network, surrogate.domain)"
        )
    if atlas.coverage < EXPLORED:
        raise SurrogateError(
            f"the {len(atlas.regions)} regions known fill {atlas.coverage:.3%} of the domain; call atlas.explore() first"
        )
    if starts < 1:
        raise SurrogateError(f"{starts} starts were asked for; use at least 1")


def _names(atlas: Atlas) -> list[str]:
    """Growth, the shortfall, and the exchanges that move."""
    network = atlas.network
    every = regions_of(atlas, rate_rows(network, network.exchanges))
    moving = [name for name, span in zip(network.exchanges, _ranges(every), strict=True) if span > _MOVES]
    return [GROWTH, SHORTFALL, *moving]


def _ranges(pieces: Pieces) -> list[float]:
    """Exact range of every reading over the domain: an affine law has its ends at corners."""
    values = pieces.constants[:, None] + np.einsum("pri,pci->pcr", pieces.slopes, pieces.corners)
    spans: list[float] = np.ptp(values.reshape(-1, values.shape[-1]), axis=0).tolist()
    return spans


def _shortfalls(pieces: Pieces, k: int) -> np.ndarray:
    """Largest shortfall in every piece."""
    values = pieces.constants[:, None, k] + np.einsum("pi,pci->pc", pieces.slopes[:, k], pieces.corners)
    most: np.ndarray = values.max(axis=1)
    return most


def _means(law: Law, atlas: Atlas, names: Sequence[str], seed: int) -> list[float]:
    from scipy.stats import qmc

    unit = qmc.Sobol(len(atlas.inputs), rng=seed).random(_MEAN_POINTS)
    points = atlas.domain.lower + unit * (atlas.domain.upper - atlas.domain.lower)
    errors: list[float] = np.abs(law.reader(names)(points) - atlas.rates(points, names)).mean(axis=0).tolist()
    return errors


def _consumption(law: Law, atlas: Atlas, regions: Pieces, starts: int, seed: int) -> dict[str, dict[str, Any]]:
    """By how much more than a limit is taken up at most, input by input."""
    taken = [k for k, name in enumerate(atlas.inputs) if name in atlas.network.exchanges]
    if not taken:
        return {}
    names = [atlas.inputs[k] for k in taken]

    def excess(points: np.ndarray, given: np.ndarray, _: np.ndarray) -> np.ndarray:
        beyond: np.ndarray = -given - points[:, taken]
        return beyond

    none = Pieces(
        regions.corners,
        regions.sizes,
        np.zeros((len(regions), len(taken))),
        np.zeros((len(regions), len(taken), len(atlas.inputs))),
    )
    found = search(law.reader(names), none, starts, seed, excess)
    return {
        name: _told(atlas.inputs, float(error), point)
        for name, error, point in zip(names, found.errors, found.points, strict=True)
    }


def _zero(law: Law, atlas: Atlas, names: Sequence[str]) -> dict[str, float]:
    """Readings where no uptake is allowed, less what the exact answer is there."""
    exchanges = set(atlas.network.exchanges)
    point = np.array(
        [
            low if name in exchanges else high
            for name, low, high in zip(atlas.inputs, atlas.domain.lower, atlas.domain.upper, strict=True)
        ]
    )[None]
    left = law.reader(names)(point)[0] - atlas.rates(point, names)[0]
    return dict(zip(names, left.tolist(), strict=True))


def _laws(law: Law, atlas: Atlas, seed: int) -> dict[str, float]:
    """Balance and directions of all fluxes, at random points inside the domain and far outside."""
    network, width = atlas.network, atlas.domain.upper - atlas.domain.lower
    random = np.random.default_rng(seed)
    unit = np.vstack([random.random((_FLUX_POINTS, len(width))), random.uniform(-3.0, 4.0, (_FLUX_POINTS, len(width)))])
    fluxes = law.fluxes(atlas.domain.lower + unit * width)
    largest = np.maximum(np.abs(fluxes).max(axis=1), np.finfo(float).tiny)  # nothing at all runs where all is zero
    imbalance = np.abs(network.stoichiometry @ fluxes.T).max(axis=0) / largest
    limited = [network.column(name) for name in atlas.inputs if name in network.exchanges]
    forward, backward = network.lower >= 0.0, network.upper <= 0.0
    forward[limited] = backward[limited] = False  # what may be taken up is for the limits to say
    wrong = max(0.0, float(-fluxes[:, forward].min()), float(fluxes[:, backward].max(initial=0.0)))
    return {"balance": float(imbalance.max()), "backwards": wrong}


def _above(law: Law, atlas: Atlas, names: Sequence[str], seed: int) -> dict[str, Any]:
    """Worst errors a little above the domain, against the program."""
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
    """How far readings move a little below the domain."""
    random, width = np.random.default_rng(seed), atlas.domain.upper - atlas.domain.lower
    edge = random.random((_BELOW_POINTS, len(width)))
    one = np.arange(_BELOW_POINTS), random.integers(len(width), size=_BELOW_POINTS)
    edge[one] = 0.0
    beyond = edge.copy()
    beyond[one] = -_BELOW * random.random(_BELOW_POINTS)
    reader, lower = law.reader(names), atlas.domain.lower
    moved = np.abs(reader(lower + beyond * width) - reader(lower + edge * width)).max(axis=0)
    return {"by": _BELOW, "moved": dict(zip(names, moved.tolist(), strict=True))}

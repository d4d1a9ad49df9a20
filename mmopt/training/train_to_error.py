"""Training until a certificate says what is wanted: labels go where the surrogate is worst, or where a plan goes.

Round by round: certify, add labels around the worst points found, go on with the fit, or begin it anew where that is stuck.
The certificate looks everywhere, so what it finds is never left without a label nearby.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import Progress
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.rates import GROWTH
from mmopt.surrogate.error_report import ErrorReport
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.train import ITERATIONS, STARTS, train, training_table
from mmopt.training.worst_case_errors import worst_case_errors

WANTED: Final = 0.03
"""Worst error wanted of growth and of every larger exchange, in parts of its range."""

ROUNDS: Final = 10

_GROWTH: Final = 0.325
"""How much smaller the error of growth must be, if one bound is given for all."""

_LARGE: Final = 0.5
"""Exchanges that move more than this are held to a bound that is given for all [mmol/gDW/h]."""

_AROUND: Final = 24
"""FluxBatch around each of the worst points, of which many coincide."""

_CLOSE: Final = 0.7
"""Part of its bound from which on the worst points of a reading get labels."""

_SPREAD: Final = 0.03
"""Their standard deviation, in parts of the width of the domain."""

_QUICK: Final = 6
"""Starts of a certificate that only has to show where labels are missing; it takes a third of the time."""

_PATIENCE, _LITTLE = 4, 0.95
"""Rounds after which a fit is begun anew from other starts, if its errors have not fallen below this part of what they were."""

_GO_ON: Final = 0.12
"""Part of the steps of the first fit that each round goes on for."""


def train_to_error(
    atlas: Atlas,
    *,
    wanted: float | Mapping[str, float] = WANTED,
    rounds: int = ROUNDS,
    along: np.ndarray | None = None,
    table: FluxTable | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **training: Any,
) -> Surrogate:
    """Train until no error found is larger than wanted.

    Parameters
    ----------
    atlas
        The exact answer over the domain, explored.
    wanted
        Worst errors wanted in parts of each reading's range, by name; or one for all exchanges that move by more than
        0.5 mmol/gDW/h, and 0.325 of it for growth.
    rounds
        Most rounds after the first fit.
    along
        Inputs to be learnt besides, such as those of a trajectory, shape (points, inputs); those outside the domain are
        drawn to its edge.
    table
        FluxBatch of the first fit; by default those that `train` takes from the atlas.
    seed
        As for `train`.
    progress
        Called with (done, total), in thousandths of all rounds.
    training
        What else `train` takes: ``hidden``, ``activation``, ``basis``, ``iterations``, ``starts``.

    Returns
    -------
    Surrogate
        The best one found, with its certificate on the card. ``card["learnt"]`` tells the largest error of every round in parts
        of what is wanted, which round was kept, and whether all that was wanted was reached.

    Raises
    ------
    SurrogateError
        If a name or a bound in ``wanted`` cannot be, ``along`` does not fit, the atlas is not explored, or ``training`` holds
        what `train` refuses.

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> surrogate = learn(atlas, wanted={"growth": 0.01}, hidden=(8,), iterations=60)
    >>> surrogate.certificate.relative("growth") <= 0.01, surrogate.card["learnt"]["reached"]
    (True, True)
    """
    if rounds < 0:
        raise SurrogateError(f"{rounds} rounds cannot be done; use 0 or more")
    labels = training_table(atlas, seed=seed) if table is None else table
    among, begun = len(labels), time.perf_counter()
    if along is not None:
        labels = _with(labels, atlas, _checked_points(along, atlas.domain))
    iterations = int(training.pop("iterations", ITERATIONS))
    told = _Told(progress, rounds + 1)
    surrogate = train(labels, iterations=iterations, seed=seed, held_among=among, progress=told.of(0), **training)
    error_report = worst_case_errors(surrogate, atlas, starts=_QUICK, seed=seed)
    bounds = _bounds(wanted, error_report)
    error_report = _certified(surrogate, atlas, bounds, seed, error_report)
    best, history = (surrogate, error_report), [_excess(error_report, bounds)]
    for number in range(1, rounds + 1):
        if min(history) <= 1.0:
            break
        labels = _with(labels, atlas, _around(error_report, atlas.domain, bounds, seed + number))
        anew = _stuck(history)
        surrogate = train(
            labels,
            iterations=iterations if anew else max(1, round(_GO_ON * iterations)),
            seed=seed + number * anew,
            start=None if anew else surrogate,
            held_among=among,
            progress=told.of(number),
            **training,
        )
        error_report = _certified(surrogate, atlas, bounds, seed)
        if (excess := _excess(error_report, bounds)) < min(history):
            best = (surrogate, error_report)
        history.append(excess)
    told.end()
    told_on = _learnt(best, atlas, bounds, history, seed)
    how = {
        "iterations": iterations,
        "starts": int(training.get("starts", STARTS)),
        "seconds": round(time.perf_counter() - begun, 1),
    }
    return replace(best[0], card={**best[0].card, **how, **told_on})


def _learnt(
    best: tuple[Surrogate, ErrorReport], atlas: Atlas, bounds: Mapping[str, float], history: list[float], seed: int
) -> dict[str, Any]:
    """What the card tells of the rounds; a surrogate that did not reach what was wanted gets its full certificate now."""
    surrogate, error_report = best
    kept = int(np.argmin(history))
    if history[kept] > 1.0:
        error_report = worst_case_errors(surrogate, atlas, seed=seed)
        history = [*history[:kept], _excess(error_report, bounds), *history[kept + 1 :]]
    learnt = {"wanted": dict(bounds), "excess": history, "round": kept, "reached": history[kept] <= 1.0}
    return {"certificate": error_report.as_dict(), "learnt": learnt}


def _certified(
    surrogate: Surrogate, atlas: Atlas, bounds: Mapping[str, float], seed: int, quick: ErrorReport | None = None
) -> ErrorReport:
    """A certificate from few starts, which shows where labels are missing; from all of them once that one is passed."""
    found = quick or worst_case_errors(surrogate, atlas, starts=_QUICK, seed=seed)
    return worst_case_errors(surrogate, atlas, seed=seed) if _excess(found, bounds) <= 1.0 else found


def _stuck(history: Sequence[float]) -> bool:
    """Whether the last rounds, some in number, have brought next to nothing: the fit is then begun anew, elsewhere."""
    count = len(history) - 1
    return count > 0 and count % _PATIENCE == 0 and min(history[-_PATIENCE:]) > _LITTLE * min(history[:-_PATIENCE])


class _Told:
    """Progress of some fits, one after the other, as one."""

    def __init__(self, progress: Progress | None, parts: int) -> None:
        self._progress, self._parts = progress, parts

    def of(self, number: int) -> Progress | None:
        """The progress of one fit."""
        progress = self._progress
        if progress is None:
            return None
        return lambda done, total: progress(int(1000 * (number + done / max(1, total)) / self._parts), 1000)

    def end(self) -> None:
        if self._progress is not None:
            self._progress(1000, 1000)


def _bounds(wanted: float | Mapping[str, float], error_report: ErrorReport) -> dict[str, float]:
    """A bound for each reading that is held to one, in parts of its range."""
    if isinstance(wanted, Mapping):
        unknown = [name for name in wanted if name not in error_report.readings]
        if unknown:
            raise SurrogateError(
                f"an error of '{unknown[0]}' is wanted, which the certificate does not tell; it tells "
                f"{', '.join(error_report.readings)}"
            )
        bounds = {name: float(bound) for name, bound in wanted.items()}
    else:
        large = [name for name, told in error_report.readings.items() if name[:3] == "EX_" and told["range"] > _LARGE]
        bounds = {GROWTH: _GROWTH * float(wanted), **dict.fromkeys(large, float(wanted))}
    if not bounds or not all(np.isfinite(bound) and bound > 0.0 for bound in bounds.values()):
        raise SurrogateError(f"errors of {wanted!r} cannot be wanted; give parts of a range, above zero")
    return bounds


def _excess(error_report: ErrorReport, bounds: Mapping[str, float]) -> float:
    """The largest error in parts of what is wanted."""
    return max(error_report.relative(name) / bound for name, bound in bounds.items())


def _around(error_report: ErrorReport, domain: Domain, bounds: Mapping[str, float], seed: int) -> np.ndarray:
    """Points around the worst ones of every reading that matters, in every zone."""
    worst = [
        [zone["at"][name] for name in domain.inputs]
        for name, bound in bounds.items()
        if error_report.relative(name) > _CLOSE * bound
        for zone in error_report.readings[name]["zones"].values()
    ]
    centres = np.unique(np.round(worst, 6), axis=0)
    width, random = domain.upper - domain.lower, np.random.default_rng(seed)
    cloud = centres[:, None] + _SPREAD * width * random.normal(size=(len(centres), _AROUND, len(width)))
    cloud[:, 0] = centres
    points: np.ndarray = np.clip(cloud.reshape(-1, len(width)), domain.lower, domain.upper)
    return points


def _with(table: FluxTable, atlas: Atlas, points: np.ndarray) -> FluxTable:
    atlas.extend(points)
    return table.joined(points, atlas.batch(points))


def _checked_points(points: np.ndarray | Sequence[Sequence[float]], domain: Domain) -> np.ndarray:
    array = np.asarray(points, dtype=float)
    if array.ndim != 2 or array.shape[1] != len(domain.inputs) or not np.all(np.isfinite(array)):
        raise SurrogateError(
            f"points of shape {array.shape} cannot be learnt along; give finite inputs of shape (points, {len(domain.inputs)})"
        )
    clipped: np.ndarray = np.clip(array, domain.lower, domain.upper)
    return clipped

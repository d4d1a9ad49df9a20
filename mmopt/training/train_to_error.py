"""Training until the error report keeps the wanted errors: fluxes are added where the surrogate errs most.

Round by round: compute the error report, add fluxes around its worst points, and continue the fit, or restart it where it
stagnates. The report covers the whole domain, so that every error in it gets fluxes nearby.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mmopt.checking import finite, shown, whole
from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import Progress
from mmopt.errors import SurrogateError, nearest
from mmopt.fba.atlas import Atlas
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.sensitivity.cliffs import Cliff, growth_cliffs
from mmopt.sensitivity.coverage import check_explored, domain_note
from mmopt.surrogate.error_report import OFF_CLIFFS, ErrorReport
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.added_points import joined, points_around, points_in, training_table, worst_of_many
from mmopt.training.train import STARTS, TRAINER, TRAINERS, train
from mmopt.training.worst_case_errors import worst_case_errors

WANTED: Final = 0.03
"""Wanted worst-case error of every larger exchange, as a fraction of its range."""

ROUNDS: Final = 10

_GROWTH, _GROWTH_ENOUGH = 0.325, 0.00975
"""Factor of the wanted error of growth, if one number is given for all, and what it need not be below."""

_SHORTFALL: Final = 5.0
"""The same of the shortfall, whose range is a thin layer of the domain."""

_LARGE: Final = 0.5
"""Exchanges with a larger range than this keep a wanted error that is given for all [mmol/gDW/h]."""

_QUICK: Final = 6
"""Starts of a report that only has to show where fluxes are missing; it takes a third of the time."""

_PATIENCE, _LITTLE = 3, 0.97
"""Rounds in a row after which a training ends, if errors have not fallen below this fraction of the smallest before."""

_CONTINUED: Final = 0.25
"""Fraction of the steps of the first fit that a round continues for."""


def train_to_error(
    atlas: Atlas,
    *,
    wanted: float | Mapping[str, float] = WANTED,
    rounds: int = ROUNDS,
    along: np.ndarray | None = None,
    table: FluxTable | None = None,
    seed: int = 0,
    partial: bool = False,
    progress: Progress | None = None,
    **training: Any,
) -> Surrogate:
    """Train until no worst-case error is larger than wanted.

    Parameters
    ----------
    atlas
        The exact fluxes over the domain, explored.
    wanted
        Wanted worst-case errors as fractions of the range of the reading, by name; or one number for all exchanges of the
        network with a range above 0.5 mmol/gDW/h. The wanted error of the shortfall is then five times as large, and that
        of growth 0.325 of it, but no less than 0.975 % unless the number itself is.
    rounds
        Most rounds after the first fit.
    along
        Additional inputs, such as those of a trajectory, shape (points, inputs); those outside the domain are moved to its
        edge.
    table
        Fluxes of the first fit; by default those that `train` takes from the atlas.
    seed
        As for `train`.
    partial
        Accept an atlas that covers only some of the domain: errors are searched on what is covered, and the card says so.
    progress
        Called with (done, total), in thousandths of all rounds.
    **training
        Further arguments of `train`: ``hidden``, ``activation``, ``basis``, ``trainer``, ``iterations``, ``starts``,
        ``switches``, ``callbacks``.

    Returns
    -------
    Surrogate
        The best one, with its error report on the card. ``card["training_rounds"]`` holds the ``wanted`` errors, the
        ``excess`` of every round (its largest error relative to the wanted one), the ``round`` that was kept, and whether
        all wanted errors were ``reached``.

    Raises
    ------
    SurrogateError
        If a name or a number in ``wanted`` is out of its range, ``along`` does not fit, the atlas is not explored, or
        ``training`` holds what `train` refuses.

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> surrogate = train_to_error(atlas, wanted={"growth": 0.01}, hidden=(8,), iterations=60)
    >>> surrogate.error_report.relative("growth") <= 0.01, surrogate.card["training_rounds"]["reached"]
    (True, True)
    """
    begin = time.perf_counter()
    _check(atlas, wanted, rounds, seed, partial, training)
    table = training_table(atlas, seed=seed) if table is None else table
    among = len(table)
    if along is not None:
        table = joined(table, atlas, points_in(along, atlas.domain))
    fits = _Fits(atlas, seed, among, rounds + 1, progress, training)
    surrogate = fits.first(table)
    report = worst_case_errors(surrogate, atlas, starts=_QUICK, seed=seed, partial=True)
    bounds = _bounds(wanted, report)
    report = _full_if_passed(surrogate, atlas, bounds, seed, report)
    best, history = (surrogate, report), [_excess(report, bounds)]
    for number in range(1, rounds + 1):
        if min(history) <= 1.0 or _stagnates(history):
            break
        worst = points_around(report, atlas.domain, bounds, seed + number)
        table = joined(table, atlas, np.vstack([worst, worst_of_many(surrogate, atlas, report, bounds, seed + number)]))
        surrogate = fits.next(table, number, surrogate)
        report = _full_if_passed(surrogate, atlas, bounds, seed)
        if (excess := _excess(report, bounds)) < min(history):
            best = (surrogate, report)
        history.append(excess)
    if progress is not None:
        progress(1000, 1000)
    settings = {"iterations": fits.iterations, "starts": int(training.get("starts", STARTS))}
    rounds_record = _rounds_record(best, atlas, bounds, history, seed)
    seconds = round(time.perf_counter() - begin, 1)
    return replace(best[0], card={**best[0].card, **settings, "seconds": seconds, **rounds_record})


class _Fits:
    """The fits of all rounds: one held-out tenth, one set of arguments, one progress."""

    def __init__(
        self,
        atlas: Atlas,
        seed: int,
        among: int,
        rounds: int,
        progress: Progress | None,
        training: Mapping[str, Any],
    ) -> None:
        self._atlas, self._seed, self._among, self._rounds, self._progress = atlas, seed, among, rounds, progress
        self._cliffs: tuple[Cliff, ...] = growth_cliffs(atlas)
        self._training = {name: value for name, value in training.items() if name != "iterations"}
        iterations = training.get("iterations")
        default = TRAINERS[training.get("trainer", TRAINER)].iterations
        self.iterations = default if iterations is None else int(iterations)

    def first(self, table: FluxTable) -> Surrogate:
        """The first fit."""
        return self._fit(table, 0, self.iterations, self._seed, None)

    def next(self, table: FluxTable, number: int, start: Surrogate) -> Surrogate:
        """The fit of a round, continued from a surrogate."""
        return self._fit(table, number, max(1, round(_CONTINUED * self.iterations)), self._seed, start)

    def _fit(self, table: FluxTable, number: int, iterations: int, seed: int, start: Surrogate | None) -> Surrogate:
        return train(
            table,
            iterations=iterations,
            seed=seed,
            start=start,
            held_among=self._among,
            cliffs=self._cliffs,
            progress=self._progress_of(number),
            **self._training,
        )

    def _progress_of(self, number: int) -> Progress | None:
        """Progress of one fit, reported as that of all rounds."""
        progress, rounds = self._progress, self._rounds
        if progress is None:
            return None
        return lambda done, total: progress(int(1000 * (number + done / max(1, total)) / rounds), 1000)


def _rounds_record(
    best: tuple[Surrogate, ErrorReport], atlas: Atlas, bounds: Mapping[str, float], history: list[float], seed: int
) -> dict[str, Any]:
    """Entries of the card about the rounds; a surrogate that missed a wanted error gets its full report now."""
    surrogate, report = best
    kept = int(np.argmin(history))
    if history[kept] > 1.0:
        report = worst_case_errors(surrogate, atlas, seed=seed, partial=True)
        history = [*history[:kept], _excess(report, bounds), *history[kept + 1 :]]
    record: dict[str, Any] = {"wanted": dict(bounds), "excess": history, "round": kept, "reached": history[kept] <= 1.0}
    if not record["reached"]:
        record["ended"] = _why_ended(report, atlas, bounds, history)
    return {"error_report": report.as_dict(), "training_rounds": record, "domain_note": domain_note(atlas)}


def _full_if_passed(
    surrogate: Surrogate, atlas: Atlas, bounds: Mapping[str, float], seed: int, quick: ErrorReport | None = None
) -> ErrorReport:
    """A report from few starts, which shows where fluxes are missing; from all starts once that one is passed."""
    report = quick or worst_case_errors(surrogate, atlas, starts=_QUICK, seed=seed, partial=True)
    return worst_case_errors(surrogate, atlas, seed=seed, partial=True) if _excess(report, bounds) <= 1.0 else report


def _stagnates(history: Sequence[float]) -> bool:
    """Whether the last rounds brought nothing."""
    return len(history) > _PATIENCE and min(history[-_PATIENCE:]) > _LITTLE * min(history[:-_PATIENCE])


def _why_ended(report: ErrorReport, atlas: Atlas, bounds: Mapping[str, float], history: Sequence[float]) -> str:
    """Why a training ended without the wanted errors, and what to do."""
    name = max(bounds, key=lambda reading: report.counted(reading) / bounds[reading])
    zone = OFF_CLIFFS if OFF_CLIFFS in report.readings[name]["zones"] else "whole domain"
    at = report.readings[name]["zones"][zone]["at"]
    where = ", ".join(f"{key} {value:.3g}" for key, value in at.items())
    ended = f"{_PATIENCE} rounds in a row brought nothing" if _stagnates(history) else "all rounds were done"
    return (
        f"{ended}; {name} errs by {report.counted(name):.2%} of its range where {bounds[name]:.2%} are wanted, at {where} "
        f"mmol/gDW/h; give wider hidden layers (hidden=), a smaller domain, or a larger wanted error"
    )


def _check(
    atlas: Atlas,
    wanted: float | Mapping[str, float],
    rounds: int,
    seed: int,
    partial: bool,
    training: Mapping[str, Any],
) -> None:
    """Refuse arguments before the first fit, which takes long."""
    if not isinstance(atlas, Atlas):
        raise SurrogateError(f"atlas is {shown(atlas)}; give an explored Atlas")
    check_explored(atlas, partial=partial)
    whole("rounds", rounds, error=SurrogateError)
    whole("seed", seed, error=SurrogateError)
    known = ("hidden", "activation", "basis", "trainer", "iterations", "starts", "switches", "callbacks")
    unknown = [name for name in training if name not in known]
    if unknown:
        raise SurrogateError(f"there is no argument '{unknown[0]}'; give some of {', '.join(known)}")
    if training.get("iterations") is not None:
        whole("iterations", training["iterations"], least=1, error=SurrogateError)
    if (trainer := training.get("trainer", TRAINER)) not in TRAINERS:
        raise SurrogateError(f"trainer is {shown(trainer)}; give one of {', '.join(TRAINERS)}")
    if isinstance(wanted, Mapping):
        if not wanted:
            raise SurrogateError("wanted is empty; give a fraction of the range for one reading or more")
        readings = (GROWTH, SHORTFALL, *atlas.network.exchanges)
        for name, bound in wanted.items():
            if name not in readings:
                raise SurrogateError(f"wanted names {shown(name)}, which is no reading; {nearest(name, readings)}")
            finite(f"wanted error of '{name}'", bound, above=0.0, error=SurrogateError)
    else:
        finite("wanted", wanted, above=0.0, error=SurrogateError)


def _bounds(wanted: float | Mapping[str, float], report: ErrorReport) -> dict[str, float]:
    """Wanted error of every reading that has one, as a fraction of its range."""
    if isinstance(wanted, Mapping):
        unknown = [name for name in wanted if name not in report.readings]
        if unknown:
            raise SurrogateError(
                f"wanted names '{unknown[0]}', which the error report does not contain; it contains "
                f"{', '.join(report.readings)}"
            )
        return {name: float(bound) for name, bound in wanted.items()}
    error, (growth, missed) = float(wanted), (GROWTH, SHORTFALL)
    bounds = {growth: max(_GROWTH * error, min(error, _GROWTH_ENOUGH))}
    if report.readings[missed]["range"] > _LARGE:
        bounds[missed] = _SHORTFALL * error
    exchanges = [name for name in report.readings if name not in (growth, missed)]
    large = [name for name in exchanges if report.readings[name]["range"] > _LARGE]
    return {**bounds, **dict.fromkeys(large, error)}


def _excess(report: ErrorReport, bounds: Mapping[str, float]) -> float:
    """The largest error relative to the wanted one."""
    return max(report.counted(name) / bound for name, bound in bounds.items())

"""Sections of the page behind the results: the problem, the surrogate, and how everything was computed."""

from collections.abc import Mapping
from typing import Any

from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.figures.surrogates import plot_parity
from mmopt.report import page
from mmopt.report.records import NumberOrRange
from mmopt.report.run_folder import PARITY_FILE, TRAJECTORIES, RunFolder
from mmopt.report.sections import limit_rows, picture
from mmopt.report.summary import RunSummary
from mmopt.surrogate.error_report import training_notes
from mmopt.units import GROWTH_UNIT, RATE, TIME

_HASH_DIGITS = 12
"""Digits of a hash that are shown; enough to distinguish two networks."""

_OPTIONAL = ("names", "atlas", "title", "limits_kept", "unfinished")
"""Fields of a summary whose absence is not worth a note."""


def problem(run: RunFolder) -> str:
    """Write the problem: objective, horizon, initial state, controls, limits and parameters.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if the run did not save it.
    """
    known, body = run.summary.problem, ""
    if known is not None:
        body += page.facts(
            {
                "maximised": page.Html(page.text(page.words(known.objective.name)) + _unit(known.objective.unit)),
                "horizon": page.amount(known.hours, TIME),
                "elements": known.elements,
            }
        )
        initial = [[page.words(n), page.amount(a.value, ""), a.unit] for n, a in known.initial.items()]
        tables = {
            "Initial state": page.table(["state", "value", "unit"], initial) if initial else "",
            "Controls": _limits(known.controls, "control"),
            "Limits": _limits(known.limits, "quantity"),
            "Limits at the end": _limits(known.final, "quantity"),
        }
        body += "".join(f"<h3>{title}</h3>{table}" for title, table in tables.items() if table)
    return body + _parameters(run.summary)


def _unit(unit: str) -> str:
    return f" [{page.text(unit)}]" if unit else ""


def _limits(limits: Mapping[str, Any], kind: str) -> str:
    return page.table([kind, "lowest", "highest", "unit"], limit_rows(limits)) if limits else ""


def _parameters(summary: RunSummary) -> str:
    if not summary.parameters:
        return ""
    rows = [[name, _number(row.value), row.unit, row.source] for name, row in summary.parameters.items()]
    return "<h3>Parameters</h3>" + page.table(["parameter", "value", "unit", "source"], rows, stacked=True)


def _number(value: NumberOrRange) -> object:
    return page.amount(value, "") if isinstance(value, tuple) else value


def surrogate(run: RunFolder) -> str:
    """Write the accuracy of the surrogate: fresh points as a figure, and the worst errors over the domain.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if the run has no surrogate.
    """
    saved, summary = run.parity, run.summary
    known = {name.removeprefix("true_"): values for name, values in saved.items() if name.startswith("true_")}
    body = ""
    if known:
        units = {name: GROWTH_UNIT if name == "growth" else RATE for name in known}
        predicted = {name: saved[f"predicted_{name}"] for name in known if f"predicted_{name}" in saved}
        caption = (
            "Predictions of the surrogate at points that were not used for training, against the linear program; "
            "the worst point of every output is ringed."
        )
        body += picture(run, "parity", plot_parity(known, predicted, units, run.titles), caption, {})
    if summary.surrogate is not None:
        card = summary.surrogate.card
        body += "".join(f'<p class="alarm">{page.text(note)}</p>' for note in training_notes(card))
        body += _error_report(card.get("error_report"), summary.names)
        body += _proved(card.get("bounds"), card.get("units"), summary.names)
        body += _held_out(card.get("held_out"), summary.names)
    return body


def _error_report(report: object, names: Mapping[str, str]) -> str:
    """The worst errors over the domain, by zone."""
    if not isinstance(report, dict) or not isinstance(report.get("readings"), dict):
        return ""
    readings = {name: row for name, row in report["readings"].items() if _has_zones(row)}
    zones = list(dict.fromkeys(zone for row in readings.values() for zone in row["zones"]))
    if not zones:
        return ""
    rows = [
        [
            page.identified(name, names),
            _worst(row, zones[0]),
            row.get("mean"),
            row.get("range"),
            str(row.get("unit", "")),
        ]
        + [page.percent(_relative(row, zone)) for zone in zones]
        for name, row in readings.items()
    ]
    head = ["output", "worst", "mean", "range", "unit", *zones]
    return (
        "<h3>Worst errors over the domain</h3><p>Errors against the exact solution. The worst ones were searched from many "
        "starting points in every critical region and on every border of two; the last columns give the worst error by "
        "zone, in percent of the range.</p>" + page.table(head, rows) + page.details("Further checks", _checks(report))
    )


def _proved(bounds: object, units: object, names: Mapping[str, str]) -> str:
    """The proved errors of a soft law."""
    if (
        not isinstance(bounds, dict)
        or not isinstance(units, dict)
        or not all(isinstance(row, dict) for row in bounds.values())
    ):
        return ""
    exchanges = [row for name, row in bounds.items() if name not in (GROWTH, SHORTFALL)]
    widest = max((span for row in exchanges if (span := page.real(row.get("range"))) is not None), default=0.0)
    rows: dict[bool, list[list[object]]] = {True: [], False: []}
    for name, row in bounds.items():
        bound, span, large = (
            page.real(row.get("bound")),
            page.real(row.get("range")),
            row.get("size", "large") == "large",
        )
        whole = span if large else widest
        fraction = bound / whole if bound is not None and whole else None
        cells = [page.identified(name, names), bound, span, str(units.get(name, ""))]
        rows[large].append(
            [*cells, page.percent(fraction)] if large else [*cells, str(row["size"]), page.percent(fraction)]
        )
    head = ["output", "error", "range", "unit"]
    minor = page.table([*head, "size", "of the largest range"], rows[False])
    return (
        "<h3>Largest errors, proved</h3><p>No prediction inside the domain errs by more, against the exact solution.</p>"
        + page.table([*head, "of the range"], rows[True])
        + (page.details("Minor exchanges and traces", minor) if rows[False] else "")
    )


def _has_zones(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("zones"), dict)


def _checks(report: Mapping[str, Any]) -> str:
    """Balance, consumption beyond limits, and the extent of the search."""
    consumption = report.get("consumption", {})
    beyond = {f"{name} taken up beyond its limit, at most": row.get("worst") for name, row in consumption.items()}
    others = [entry for key in ("checks", "search") if isinstance(entry := report.get(key), dict)]
    return page.facts({**beyond, **{name: value for entry in others for name, value in entry.items()}})


def _worst(row: Mapping[str, Any], zone: str) -> float | None:
    known = row["zones"].get(zone)
    return page.real(known.get("worst")) if isinstance(known, dict) else None


def _relative(row: Mapping[str, Any], zone: str) -> float | None:
    error, span = _worst(row, zone), page.real(row.get("range"))
    return error / span if error is not None and span else None


def _held_out(errors: object, names: Mapping[str, str]) -> str:
    """Errors at the points held out of training."""
    if not isinstance(errors, dict) or not all(isinstance(row, dict) for row in errors.values()) or not errors:
        return ""
    rows = [
        [page.identified(name, names), *(row.get(key) for key in ("worst", "mean", "range")), str(row.get("unit", ""))]
        for name, row in errors.items()
    ]
    for cells, row in zip(rows, errors.values(), strict=True):
        r2 = page.real(row.get("r2"))
        cells.append(None if r2 is None else page.Html(f"{r2:.5f}"))
    head = ["output", "worst", "mean", "range", "unit", "R²"]
    return page.details("Errors at points held out of training", page.table(head, rows))


def computation(run: RunFolder) -> str:
    """Write how the results were computed: optimiser, timings, network, surrogate, versions and hashes.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if the run saved nothing of it.
    """
    summary = run.summary
    blocks = {
        "Optimisation": _optimisation(summary),
        "Timings": _timings(summary),
        "Network": page.facts(_short(summary.network.model_dump())) if summary.network else "",
        "Critical regions": page.facts(summary.atlas.model_dump()) if summary.atlas else "",
        "Surrogate": _card(summary),
        "Versions": page.facts(summary.versions or {}),
    }
    return "".join(f"<h3>{title}</h3>{body}" for title, body in blocks.items() if body)


def _optimisation(summary: RunSummary) -> str:
    if summary.optimisation is None:
        return ""
    values = summary.optimisation.model_dump(exclude={"back_off", "remedies"})
    values["remedies"] = "; ".join(summary.optimisation.remedies) or None
    moved = (
        f"{page.text(page.words(n))} by {page.amount(a.value, a.unit)}"
        for n, a in summary.optimisation.back_off.items()
    )
    values["limits moved by up to"] = page.Html(", ".join(moved) or "none")
    return page.facts({name: value for name, value in values.items() if value is not None})


def _timings(summary: RunSummary) -> str:
    if not summary.timings:
        return ""
    longest = max(seconds or 0.0 for seconds in summary.timings.values()) or 1.0
    rows = [
        [
            stage,
            seconds,
            page.Phrase(f'<span class="bar" style="width:{8.0 * (seconds or 0.0) / longest:.3g}rem"></span>'),
        ]
        for stage, seconds in summary.timings.items()
    ]
    return page.table(["stage", "seconds", ""], rows)


def _card(summary: RunSummary) -> str:
    """The card of the surrogate, without its errors."""
    if summary.surrogate is None:
        return ""
    apart = ("error_report", "held_out", "training_rounds", "loss_history")
    card = {name: value for name, value in summary.surrogate.card.items() if name not in apart}
    plain = {name: value for name, value in card.items() if not isinstance(value, dict)}
    groups = {name: value for name, value in card.items() if isinstance(value, dict)}
    return page.nested({"name": summary.surrogate.name, **_short(plain), **groups})


def _short(values: Mapping[str, Any]) -> dict[str, Any]:
    """Shorten hashes."""
    return {
        name: f"{value[:_HASH_DIGITS]}…"
        if "hash" in name and isinstance(value, str) and len(value) > _HASH_DIGITS
        else value
        for name, value in values.items()
    }


def missing(run: RunFolder) -> str:
    """Write which results the folder does not contain.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if nothing is missing.
    """
    files = [f"{name}.nc" for name in TRAJECTORIES if name not in run.trajectories]
    files += [] if run.parity else [PARITY_FILE]
    fields = [name for name in RunSummary.model_fields if name not in _OPTIONAL and getattr(run.summary, name) is None]
    return page.bullets(
        f"{kind}: {', '.join(names)}" for kind, names in (("files", files), ("summary", fields)) if names
    )

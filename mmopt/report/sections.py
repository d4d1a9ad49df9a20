"""Sections of the page with results: feeds, trajectories and starvation."""

import base64
from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.figure import Figure

from mmopt.figures.style import save_figure
from mmopt.figures.trajectories import plot_feeds, plot_trajectories
from mmopt.report import page
from mmopt.report.records import ClosedLoopRecord, FeedRecord, Limit, StarvationRecord
from mmopt.report.run_folder import RunFolder
from mmopt.report.summary import RunSummary
from mmopt.results import Trajectory
from mmopt.status import Status
from mmopt.units import RATE, TIME

_EXPECTED: Final = (Status.OPTIMAL, Status.ACCEPTABLE, Status.SIMULATED, Status.CLOSED_LOOP)

_COLUMN_ROWS: Final = 12
"""Rows of a feed table above each other; further rows begin a new column."""


def cards(run: RunFolder) -> str:
    """Write the few numbers that matter most.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if there is no result.
    """
    summary, shown = run.summary, []
    optimum = summary.row("optimum")
    if optimum is not None and optimum.reference is not None:
        value = page.amount(optimum.reference, summary.objective_unit)
        shown.append((value, page.words(summary.objective), "of the optimal feed, on the linear program"))
    for row in summary.results or ():
        if row.role != "optimum" and row.gain is not None:
            reached = f"which reaches {page.amount(row.reference, summary.objective_unit)}"
            shown.append((page.percent(row.gain, signed=True), f"over the {_lower(row.name)}", page.Html(reached)))
    if summary.gaps is not None and summary.gaps.reference is not None:
        shown.append((page.percent(summary.gaps.reference), "gap", "between the plan and the linear program"))
    if (loop := summary.closed_loop) is not None and loop.objective is not None:
        value = page.amount(loop.objective, summary.objective_unit)
        shown.append((value, "closed loop, under disturbance", _compared(loop, summary)))
    texts = (f'<div class="card"><b>{n}</b>{page.text(a)}<span>{page.text(b)}</span></div>' for n, a, b in shown)
    alarm = f'<p class="alarm">{page.text(summary.limits_not_kept)}</p>' if summary.limits_not_kept else ""
    return alarm + (f'<div class="cards">{"".join(texts)}</div>' if shown else "")


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _compared(loop: ClosedLoopRecord, summary: RunSummary) -> page.Html:
    """What the objective of a closed loop is to be compared with."""
    unit, known = summary.objective_unit, []
    if loop.reference_objective is not None:
        known.append(f"{page.amount(loop.reference_objective, unit)} by a controller that knows the plant")
    if loop.open_loop_objective is not None:
        known.append(f"{page.amount(loop.open_loop_objective, unit)} planned for the undisturbed plant")
    return page.Html("; ".join(known))


def results(run: RunFolder) -> str:
    """Write what every feed reaches, the gaps, and which limits are active or violated.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if there is no result.
    """
    summary, body = run.summary, ""
    if summary.results:
        unit = f" [{summary.objective_unit}]" if summary.objective_unit else ""
        head = ["feed", f"planned{unit}", f"integrated{unit}", f"linear program{unit}", "optimum gains", "note"]
        rows = [
            [row.name, row.planned, row.integrated, row.reference, page.percent(row.gain, signed=True), row.note]
            for row in summary.results
        ]
        about = (
            f"{page.words(summary.objective)} that every feed reaches: as planned, integrated with the surrogate, and"
        )
        body += f"<p>{page.text(about[:1].upper() + about[1:])} on the linear program itself.</p>"
        body += page.table(head, rows, stacked=True)
    if summary.gaps is not None:
        gaps = {
            "plan against integration": summary.gaps.integration,
            "plan against linear program": summary.gaps.reference,
        }
        body += page.facts({name: page.percent(gap) for name, gap in gaps.items()})
    if summary.active_limits:
        body += "<h3>Active limits</h3>" + page.bullets(summary.active_limits)
    return body + _violations(summary)


def _violations(summary: RunSummary) -> str:
    if summary.violations is None:
        return ""
    if not summary.violations:
        return "<p>On the linear program no limit is violated.</p>"
    rows = [
        [page.words(row.limit), row.allowed, row.reached, row.unit, page.percent(row.relative)]
        for row in summary.violations
    ]
    head = ["limit", "allowed", "reached", "unit", "violation"]
    heading = {
        None: "Limits violated on the linear program",
        False: "The plan does not keep its limits on the linear program",
        True: "Limits violated on the linear program, within the error of an integration",
    }[summary.limits_kept]
    title = f'<h3 class="alarm">{heading}</h3>'
    return title + page.table(head, rows, stacked=True)


def feeds(run: RunFolder) -> str:
    """Write the feed profiles as a figure and the optimal feed as a table.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if there is no feed.
    """
    reference = "replay" if "replay" in run.trajectories else "optimum"
    names = {reference: "optimal feed", "constant": "best constant", "exponential": "best exponential"}
    runs, summary = run.renamed(**names), run.summary
    controls = [name for trajectory in runs.values() for name in trajectory.names("control")]
    body = ""
    if controls:
        roles = {"optimal feed": "optimum", "best constant": "constant", "best exponential": "exponential"}
        rows = {name: summary.row(roles[name]) for name in runs}
        values = {name: row.reference for name, row in rows.items() if row is not None and row.reference is not None}
        control = "feed" if "feed" in controls else controls[0]
        objective = page.words(summary.objective)
        figure = plot_feeds(runs, control, values=values, objective=objective, unit=summary.objective_unit)
        caption = "The optimal feed beside the best simple ones."
        caption += f" Bars: {objective} on the linear program." if values else ""
        body = picture(run, "feeds", figure, caption, runs)
    for name, feed in (summary.feeds or {}).items():
        body += f"<h3>Table of the optimal {page.text(page.words(name))}</h3>{_feed_table(feed)}"
    return body


def _feed_table(feed: FeedRecord) -> str:
    chunks = [feed.rows[at : at + _COLUMN_ROWS] for at in range(0, len(feed.rows), _COLUMN_ROWS)]
    return f'<div class="columns">{"".join(page.table(feed.header, chunk) for chunk in chunks)}</div>'


def trajectories(run: RunFolder) -> str:
    """Write the trajectories of the optimal feed as figures.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if there is no trajectory.
    """
    runs = run.renamed(optimum="planned", resimulation="integrated", replay="linear program")
    if not runs:
        return ""
    caption = (
        "The optimal feed as planned, integrated with the surrogate, and on the linear program. The red side is forbidden. "
        "Limits of the plan are moved until the linear program keeps them, where that can be; so the plan can exceed one "
        "slightly."
    )
    figure = plot_trajectories(runs, limits=run.limits, titles=run.titles)
    body = picture(run, "trajectories", figure, caption, runs)
    rates = list(dict.fromkeys(name for one in runs.values() for name in one.names("rate") if name != "growth"))
    if rates:
        caption = "Rates of the cell along the same trajectories; negative is consumed."
        body += picture(run, "rates", plot_trajectories(runs, rates, titles=run.titles), caption, {})
    return body


def starvation(run: RunFolder) -> str:
    """Write what happens when the feed stops.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if this was not simulated.
    """
    record, body = run.summary.starvation, ""
    if record is not None:
        body = f"<p>{_starvation_text(record)}</p>"
        unit, name = run.summary.objective_unit, page.words(run.summary.objective)
        values = {f"{name}, linear program": record.reference, f"{name}, surrogate": record.surrogate}
        body += page.facts({title: page.amount(value, unit) for title, value in values.items()})
    runs = run.renamed(starvation_lp="linear program", starvation_surrogate="surrogate")
    caption = "A culture whose substrate runs out, by the linear program and by the surrogate."
    if runs:
        first = next(iter(runs.values()))
        cell = [name for name in ("growth", "shortfall") if name in first.data]
        names = [*first.names("state"), *first.names("control"), *cell]
        body += picture(run, "starvation", plot_trajectories(runs, names, titles=run.titles), caption, runs)
    return body


def _starvation_text(record: StarvationRecord) -> str:
    stops = f"The feed stops at {page.amount(record.feed_stops, TIME)}."
    if record.begins is None:
        return f"{stops} The cell does not starve before {page.amount(record.hours, TIME)}."
    return (
        f"{stops} From {page.amount(record.begins, TIME)} on the textbook program is infeasible and would end the "
        "simulation; here growth is zero, and the shortfall of maintenance ATP is up to "
        f"{page.amount(record.largest_shortfall, RATE)}."
    )


def picture(run: RunFolder, name: str, figure: Figure, caption: str, runs: Mapping[str, Trajectory]) -> str:
    """Save a figure in the folder ``figures`` and embed it; note the trajectories that ended unexpectedly.

    Parameters
    ----------
    run
        The run.
    name
        Name of the file, without suffix.
    figure
        The figure.
    caption
        Text below it.
    runs
        Trajectories in the figure, by name.

    Returns
    -------
    str
        HTML.
    """
    content = save_figure(figure, run.folder / "figures" / f"{name}.png").read_bytes()
    odd = "; ".join(f"{title}: {one.status.value}" for title, one in runs.items() if one.status not in _EXPECTED)
    caption += f" Note: {odd}." if odd else ""
    source = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    width = round(96 * figure.get_figwidth())  # CSS pixels per inch, so that letters are equally large in every figure
    size = f"max-width:{width}px;min-width:{min(width, 640)}px"
    image = f'<div class="wide"><img alt="{page.text(caption)}" style="{size}" src="{source}"></div>'
    wide = ' class="picture"' if width > 360 else ""
    return f"<figure{wide}>{image}<figcaption>{page.text(caption)}</figcaption></figure>"


def limit_rows(limits: Mapping[str, Limit]) -> Sequence[list[object]]:
    """Return rows of a table of limits: quantity, lowest, highest, unit.

    Parameters
    ----------
    limits
        Limits by quantity.

    Returns
    -------
    list
        One row per quantity.
    """
    return [[page.words(name), limit.lowest, limit.highest, limit.unit] for name, limit in limits.items()]

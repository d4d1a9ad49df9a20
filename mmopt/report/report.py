"""One page that tells what a run found, made from what the run saved.

Nothing is computed here, so the page can be made again at any time from the folder alone. A part the run did not save
is left out and named at the end. The page stands alone: figures inside it, no script, nothing fetched from elsewhere.
"""

import base64
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from mmopt.errors import StudyError
from mmopt.io.files import write_whole
from mmopt.report import page
from mmopt.report.plots import plot_closed_loop, plot_feeds, plot_parity, plot_trajectories, save_figure
from mmopt.results import Trajectory, load_trajectory
from mmopt.status import Status
from mmopt.units import GROWTH_UNIT, RATE

# What a run may save: parts of summary.json with their shape and that of their entries, and trajectories.
_PARTS: Final[Mapping[str, tuple[type, type]]] = {
    "created": (str, object),
    "results": (list, dict),
    "gaps": (dict, object),
    "violations": (list, dict),
    "limits": (dict, list),
    "optimisation": (dict, object),
    "binding": (list, str),
    "nmpc": (dict, object),
    "starvation": (dict, object),
    "surrogate": (dict, object),
    "parameters": (dict, list),
    "network": (dict, object),
    "versions": (dict, object),
    "timings": (dict, object),
    "known_limits": (list, str),
}
_TRAJECTORIES: Final = (
    *("optimum", "resimulation", "replay", "constant", "exponential"),
    *("closed_loop", "reference", "starvation_lp", "starvation_surrogate"),
)
_EXPECTED: Final = (Status.OPTIMAL, Status.SIMULATED, Status.CLOSED_LOOP)


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a run folder, and its pictures into ``figures/``, from what the run saved there.

    Parameters
    ----------
    folder
        A folder with ``summary.json``, of which only the title is required, and whatever else the run saved:
        trajectories (``optimum.nc``, ``replay.nc``, ...) and ``parity.npz``.

    Returns
    -------
    Path
        The page, which appears whole or not at all.

    Raises
    ------
    StudyError
        If ``summary.json`` is missing or corrupt, or a saved file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "summary.json").write_text('{"title": "A first run"}')
    ...     write_report(folder).name
    'report.html'
    """
    run = _read_run(Path(folder))
    written = _page(run)
    return write_whole(run.folder / "report.html", lambda part: part.write_text(written, encoding="utf-8"))


@dataclass(frozen=True)
class _Run:
    """What a run folder holds, as far as it was saved."""

    folder: Path
    summary: Mapping[str, Any]
    trajectories: Mapping[str, Trajectory]
    parity: Mapping[str, np.ndarray]

    def part(self, name: str) -> Any:
        """Give a part of the summary; empty where the run did not save it."""
        saved = self.summary.get(name)
        return _PARTS[name][0]() if saved is None else saved

    def labelled(self, **labels: str) -> dict[str, Trajectory]:
        """Those of the named trajectories that were saved, by label."""
        return {label: self.trajectories[name] for name, label in labels.items() if name in self.trajectories}

    def limits(self) -> dict[str, tuple[float | None, float | None]]:
        """Lowest and highest allowed value by quantity."""
        return {name: (page.real(row[0]), page.real(row[1])) for name, row in self.part("limits").items()}


def _read_run(folder: Path) -> _Run:
    files = {name: folder / f"{name}.nc" for name in _TRAJECTORIES}
    trajectories = {name: load_trajectory(file) for name, file in files.items() if file.exists()}
    return _Run(folder, _read_summary(folder / "summary.json"), trajectories, _read_parity(folder / "parity.npz"))


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{path} cannot be read ({error}); run the study again, then write its report") from error
    if not isinstance(summary, dict) or not isinstance(summary.get("title"), str):
        raise StudyError(f"{path} has no 'title', so no run of mmopt wrote it; run the study again")
    for name, (kind, entry) in _PARTS.items():
        part = summary.get(name)
        entries = part.values() if isinstance(part, dict) else part or ()
        if part is not None and not (isinstance(part, kind) and all(isinstance(one, entry) for one in entries)):
            wanted = f"{kind.__name__}" + ("" if entry is object else f" of {entry.__name__}")
            raise StudyError(f"{path}: '{name}' should be a {wanted}, but is {part!r:.60}; run the study again")
    return summary


def _read_parity(path: Path) -> dict[str, np.ndarray]:
    if not path.exists():
        return {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise StudyError(f"{path} is not a table of held-out points ({error}); run the study again") from error


def _page(run: _Run) -> str:
    writers = {
        "Feed profiles": _feeds,
        "Trajectories": _course,
        "The judge": _judge,
        "Closed loop": _closed_loop,
        "Starvation": _starvation,
        "Surrogate": _surrogate,
        "Parameters": _parameters,
        "How it was made": _provenance,
        "Known limits": lambda run: page.bullets(run.part("known_limits")),
        "Not in this run": _missing,
    }
    bodies = {title: body for title, write in writers.items() if (body := write(run))}
    links = "".join(f'<a href="#{page.anchor(title)}">{title}</a>' for title in bodies)
    sections = "\n".join(
        f'<section id="{page.anchor(t)}"><h2>{t}</h2>\n{body}\n</section>' for t, body in bodies.items()
    )
    facts = [run.part("created"), run.part("network").get("name"), run.part("surrogate").get("name")]
    title = page.text(run.summary["title"])
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{page.STYLE}</style></head>
<body><main>
<header><h1>{title}</h1><div class="soft">{" · ".join(page.text(fact) for fact in facts if fact)}</div></header>
<nav>{links}</nav>
{_headline(run)}
{sections}
<p class="soft">Made by mmopt from saved results; nothing was computed for this page.</p>
</main></body>
</html>
"""


def _headline(run: _Run) -> str:
    """Show the few numbers that matter, as cards."""
    replayed, cards = _replayed(run), []
    optimum = replayed.get("optim")
    if optimum is not None:
        cards.append((f"{page.text(optimum)} g", "final biomass", "of the optimum, by the LP judge"))
        for role in ("constant", "exponential"):
            if replayed.get(role):
                gain = page.percent(optimum / replayed[role] - 1.0, signed=True)
                cards.append((gain, f"over the best {role} feed", f"which ends with {page.text(replayed[role])} g"))
    if (gap := page.real(run.part("gaps").get("replay"))) is not None:
        cards.append((page.percent(gap), "LP replay gap", "between the optimiser's claim and the LP plant"))
    if (ratio := page.real(run.part("nmpc").get("ratio"))) is not None:
        cards.append((page.percent(ratio), "closed loop", "of the reference biomass, under disturbance"))
    texts = (f'<div class="card"><b>{n}</b>{what}<span>{which}</span></div>' for n, what, which in cards)
    return f'<div class="cards">{"".join(texts)}</div>' if cards else ""


def _replayed(run: _Run) -> dict[str, float]:
    """Find the final biomass [g] on the LP plant of the optimum and the simple feeds, by role or else by label."""
    replayed: dict[str, float] = {}
    for row in run.part("results"):
        said = str(row.get("role") or row.get("label")).lower()
        role = next((role for role in ("constant", "exponential", "optim") if role in said), "")
        if role and (mass := page.real(row.get("lp"))) is not None:
            replayed.setdefault(role, mass)
    return replayed


def _feeds(run: _Run) -> str:
    reference = "replay" if "replay" in run.trajectories else "optimum"
    runs = run.labelled(**{reference: "optimum", "constant": "best constant", "exponential": "best exponential"})
    controls = [name for one in runs.values() for name in one.names("control")]
    if not controls:
        return ""
    figure = plot_feeds(runs, "feed" if "feed" in controls else controls[0])
    scored = "that of its replay on the LP plant" if reference == "replay" else "as the optimiser claims it"
    return _figure(run, "feeds", figure, f"The optimum against the simple profiles; its biomass is {scored}.", runs)


def _course(run: _Run) -> str:
    runs = run.labelled(optimum="optimiser", resimulation="re-simulated", replay="LP plant")
    facts = page.facts(run.part("optimisation"))
    if not runs:
        return facts
    what = (
        "The plan as the optimiser sees it and as the metabolic network answers it; the red side is forbidden to the LP "
        "plant. Where the optimiser stands a little beyond a limit, the judge found it too strict there."
    )
    pictures = _figure(run, "trajectories", plot_trajectories(runs, limits=run.limits()), what, runs)
    rates = list(dict.fromkeys(name for one in runs.values() for name in one.names("rate") if name != "growth"))
    if rates:
        what = "Rates of the cell along the same trajectories; negative is consumed."
        pictures += _figure(run, "rates", plot_trajectories(runs, rates), what, {})
    if run.part("binding"):
        pictures += "<h3>Limits that bind</h3>" + page.bullets(run.part("binding"))
    return facts + pictures


def _judge(run: _Run) -> str:
    body = ""
    if results := run.part("results"):
        shown = [
            row | {"gain": page.percent(row.get("gain"), signed=True), "note": row.get("note") or ""} for row in results
        ]
        keys = ("label", "optimiser", "resimulated", "lp", "gain", "note")
        head = ("feed", "optimiser [g]", "re-simulated [g]", "LP plant [g]", "gain", "note")
        body += page.table(head, [[row.get(key) for key in keys] for row in shown])
    if gaps := run.part("gaps"):
        body += f"<h3>Gaps</h3>{page.facts({name: page.percent(gap) for name, gap in gaps.items()})}"
    if limits := run.part("limits"):
        rows = [[name, *page.padded(row)] for name, row in limits.items()]
        body += f"<h3>Limits</h3>{page.table(('quantity', 'lowest', 'highest', 'unit'), rows)}"
    if broken := run.part("violations"):
        shown = [row | {"relative": page.percent(row.get("relative"))} for row in broken]
        told = ("limit", "allowed", "reached", "relative", "unit")
        table = page.table(told, [[row.get(key) for key in told] for row in shown])
        body += f'<h3 class="alarm">Limits broken on the LP plant</h3>{table}'
    elif run.summary.get("violations") is not None:
        body += "<p>On the LP plant no limit is broken.</p>"
    return body


def _closed_loop(run: _Run) -> str:
    facts = dict(run.part("nmpc"))
    disturbance = facts.pop("disturbance", "")
    if "ratio" in facts:
        facts["ratio"] = page.percent(facts["ratio"])
    body = (f"<p>Disturbance: {page.text(disturbance)}.</p>" if disturbance else "") + page.facts(facts)
    if "closed_loop" not in run.trajectories:
        return body
    loop, reference = run.trajectories["closed_loop"], run.trajectories.get("reference")
    what = "The controlled plant against its reference; hatched bars are steps decided by a fallback."
    figure = plot_closed_loop(loop, reference, run.limits())
    return body + _figure(run, "closed_loop", figure, what, {"closed loop": loop})


def _starvation(run: _Run) -> str:
    facts = dict(run.part("starvation"))
    text = facts.pop("text", "")
    body = (f"<p>{page.text(text)}</p>" if text else "") + page.facts(facts)
    runs = run.labelled(starvation_lp="LP plant", starvation_surrogate="surrogate")
    what = "A culture that runs out of food, by the metabolic network and by the surrogate."
    return body + (_figure(run, "starvation", plot_trajectories(runs), what, runs) if runs else "")


def _surrogate(run: _Run) -> str:
    card = run.part("surrogate").get("card")
    body = ""
    if isinstance(card, dict):
        plain = {name: value for name, value in card.items() if name not in ("certificate", "learnt")}
        body = _certificate(card.get("certificate")) + page.nested(plain)
    known = {name.removeprefix("true_"): values for name, values in run.parity.items() if name.startswith("true_")}
    if not known:
        return body
    units = {name: GROWTH_UNIT if name == "growth" else RATE for name in known}
    predicted = {name: run.parity[f"predicted_{name}"] for name in known if f"predicted_{name}" in run.parity}
    what = "Predictions on points the surrogate was not trained on, against the LP; the worst point of each is ringed."
    return body + _figure(run, "parity", plot_parity(known, predicted, units), what, {})


def _certificate(told: object) -> str:
    """Show the worst errors found over the domain, by zone; the largest first."""
    if not isinstance(told, dict) or not isinstance(told.get("readings"), dict):
        return ""
    readings = {name: row for name, row in told["readings"].items() if isinstance(row, dict)}
    zones = list(dict.fromkeys(zone for row in readings.values() for zone in row.get("zones", {})))
    rows = [
        [name, row.get("unit"), row.get("range"), row.get("mean"), row["zones"].get(zones[0], {}).get("worst")]
        + [page.percent(_share(row["zones"].get(zone, {}).get("worst"), row.get("range"))) for zone in zones]
        for name, row in readings.items()
        if isinstance(row.get("zones"), dict) and zones
    ]
    head = ["reading", "unit", "range", "mean", "worst", *zones]
    consumption = told.get("consumption", {})
    facts = {
        **{f"{name} taken up beyond its limit, at most": row.get("worst") for name, row in consumption.items()},
        **told.get("laws", {}),
        **told.get("looked", {}),
    }
    return (
        "<h3>Certificate</h3><p>The worst errors found by a search from many starts in every critical region of the exact "
        f"answer and on every border between two; the last columns are the worst by zone, in percent of the range.</p>"
        f"{page.table(head, rows)}{page.facts(facts)}"
    )


def _share(error: object, span: object) -> float | None:
    error, span = page.real(error), page.real(span)
    return error / span if error is not None and span else None


def _parameters(run: _Run) -> str:
    rows = [[name, *page.padded(row)] for name, row in run.part("parameters").items()]
    return page.table(["parameter", "value", "unit", "source"], rows) if rows else ""


def _provenance(run: _Run) -> str:
    timings = run.part("timings")
    longest = max((page.real(seconds) or 0.0 for seconds in timings.values()), default=0.0) or 1.0
    widths = {stage: 12.0 * (page.real(seconds) or 0.0) / longest for stage, seconds in timings.items()}
    bars = {
        stage: page.Html(f'<span class="bar" style="width:{width:.3g}rem"></span>') for stage, width in widths.items()
    }
    rows = [[stage, seconds, bars[stage]] for stage, seconds in timings.items()]
    parts = {
        "Network": page.facts(run.part("network")),
        "Versions": page.facts(run.part("versions")),
        "Timings": page.table(["stage", "seconds", ""], rows) if rows else "",
    }
    return "".join(f"<h3>{title}</h3>{body}" for title, body in parts.items() if body)


def _missing(run: _Run) -> str:
    files = [f"{name}.nc" for name in _TRAJECTORIES if name not in run.trajectories]
    files += [] if run.parity else ["parity.npz"]
    parts = [name for name in _PARTS if run.summary.get(name) is None]
    return page.bullets(
        f"{what}: {', '.join(names)}" for what, names in (("files", files), ("summary", parts)) if names
    )


def _figure(run: _Run, name: str, figure: Figure, caption: str, runs: Mapping[str, Trajectory]) -> str:
    """Save a figure beside the page and put it into the page; say which of its trajectories ended unexpectedly."""
    picture = save_figure(figure, run.folder / "figures" / f"{name}.png").read_bytes()
    odd = "; ".join(f"{label}: {one.status.value}" for label, one in runs.items() if one.status not in _EXPECTED)
    caption += f" Note: {odd}." if odd else ""
    source = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
    width = round(96 * figure.get_figwidth())  # CSS pixels an inch, so that letters are as large in every figure
    look = f"max-width:{width}px;min-width:{min(width, 640)}px"
    image = f'<div class="wide"><img alt="{page.text(caption)}" style="{look}" src="{source}"></div>'
    return f"<figure>{image}<figcaption>{page.text(caption)}</figcaption></figure>"

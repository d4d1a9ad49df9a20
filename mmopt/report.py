"""One page that tells what a run found, made from what the run saved.

Nothing is computed here, so the page can be made again at any time from the folder alone. A part the run did not save
is left out and named at the end. The page stands alone: figures inside it, no script, nothing fetched from elsewhere.
"""

import base64
import html
import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from mmopt.errors import StudyError
from mmopt.plots import plot_closed_loop, plot_feeds, plot_parity, plot_trajectories, save_figure
from mmopt.results import Trajectory, load_trajectory, write_whole
from mmopt.status import Status
from mmopt.units import GROWTH, RATE

# What a run may save: parts of summary.json with their shape and that of their entries, and trajectories.
_PARTS: Final[Mapping[str, tuple[type, type]]] = {
    "created": (str, object),
    "results": (list, dict),
    "gaps": (dict, object),
    "violations": (list, dict),
    "limits": (dict, list),
    "optimisation": (dict, object),
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
_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2933;--soft:#5f6b7a;--page:#f6f7f9;--sheet:#fff;--rule:#dfe3e8;--blue:#0072b2;
--alarm:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--page:#14181d;--sheet:#1d232a;--rule:#333c46;
--blue:#56b4e9;--alarm:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.3rem;margin:0 0 .8rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}p{max-width:75ch}.soft,figcaption,dt,th{color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:1rem 0 1.6rem;font-size:.9rem}
a{color:var(--blue);text-decoration:none}a:hover{text-decoration:underline}
section,.card{background:var(--sheet);border:1px solid var(--rule);border-radius:12px}
section{padding:1.4rem 1.5rem;margin:1.25rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.9rem}.card{padding:1rem 1.1rem}
.card b{display:block;font-size:1.75rem;line-height:1.3;color:var(--blue);font-variant-numeric:tabular-nums}
.card{line-height:1.3}.card span{display:block;font-size:.85rem;color:var(--soft);margin-top:.25rem}
figure{margin:1rem 0}figure:last-child{margin-bottom:0}figcaption{font-size:.9rem;margin-top:.5rem;max-width:85ch}
img{display:block;width:100%;height:auto;background:#fff;border-radius:8px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;min-width:50%}
th,td{text-align:left;padding:.4rem 1.4rem .4rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600}td:last-child{min-width:8rem}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(140px,1fr));gap:.7rem 1.4rem;margin:.8rem 0}
dt{font-size:.82rem}dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.bar{display:block;height:.7rem;margin-top:.4rem;background:var(--blue);border-radius:3px;min-width:2px}
.alarm{color:var(--alarm);font-weight:600}
@media print{:root{--ink:#111;--soft:#555;--page:#fff;--sheet:#fff;--rule:#ccc;--blue:#0072b2;--alarm:#b3261e}
nav{display:none}main{padding:0;max-width:none}section{border:0;padding:0}figure,tr,.card,h2{break-inside:avoid}
h2,h3{break-after:avoid}*{print-color-adjust:exact}body{font-size:10pt}
.cards{grid-template-columns:repeat(5,1fr)}.card{padding:.6rem}.card b{font-size:1.4rem}.wide{overflow:visible}}
"""


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
    page = _page(run)
    return write_whole(run.folder / "report.html", lambda part: part.write_text(page, encoding="utf-8"))


class _Html(str):
    """Text that is already HTML; every other value is escaped on its way to the page."""


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
        return {name: (_real(row[0]), _real(row[1])) for name, row in self.part("limits").items()}


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
        "Known limits": lambda run: _list(run.part("known_limits")),
        "Not in this run": _missing,
    }
    bodies = {title: body for title, write in writers.items() if (body := write(run))}
    links = "".join(f'<a href="#{_anchor(title)}">{title}</a>' for title in bodies)
    sections = "\n".join(f'<section id="{_anchor(t)}"><h2>{t}</h2>\n{body}\n</section>' for t, body in bodies.items())
    facts = [run.part("created"), run.part("network").get("name"), run.part("surrogate").get("name")]
    title = _text(run.summary["title"])
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{_STYLE}</style></head>
<body><main>
<header><h1>{title}</h1><div class="soft">{" · ".join(_text(fact) for fact in facts if fact)}</div></header>
<nav>{links}</nav>
{_headline(run)}
{sections}
<p class="soft">Made by mmopt from saved results; nothing was computed for this page.</p>
</main></body>
</html>
"""


def _headline(run: _Run) -> str:
    """Show the few numbers that matter, as cards."""
    judged, cards = _judged(run), []
    optimum = judged.get("optim")
    if optimum is not None:
        cards.append((f"{_text(optimum)} g", "final biomass", "of the optimum, by the LP judge"))
        for role in ("constant", "exponential"):
            if judged.get(role):
                gain = _percent(optimum / judged[role] - 1.0, signed=True)
                cards.append((gain, f"over the best {role} feed", f"which ends with {_text(judged[role])} g"))
    if (gap := _real(run.part("gaps").get("replay"))) is not None:
        cards.append((_percent(gap), "LP replay gap", "between the optimiser's claim and the LP plant"))
    if (ratio := _real(run.part("nmpc").get("ratio"))) is not None:
        cards.append((_percent(ratio), "closed loop", "of the reference biomass, under disturbance"))
    texts = (f'<div class="card"><b>{n}</b>{what}<span>{which}</span></div>' for n, what, which in cards)
    return f'<div class="cards">{"".join(texts)}</div>' if cards else ""


def _judged(run: _Run) -> dict[str, float]:
    """Find the final biomass [g] on the LP plant of the optimum and the simple feeds, by role or else by label."""
    judged: dict[str, float] = {}
    for row in run.part("results"):
        said = str(row.get("role") or row.get("label")).lower()
        role = next((role for role in ("constant", "exponential", "optim") if role in said), "")
        if role and (mass := _real(row.get("lp"))) is not None:
            judged.setdefault(role, mass)
    return judged


def _feeds(run: _Run) -> str:
    judge = "replay" if "replay" in run.trajectories else "optimum"
    runs = run.labelled(**{judge: "optimum", "constant": "best constant", "exponential": "best exponential"})
    controls = [name for one in runs.values() for name in one.names("control")]
    if not controls:
        return ""
    figure = plot_feeds(runs, "feed" if "feed" in controls else controls[0])
    scored = "that of its replay on the LP plant" if judge == "replay" else "as the optimiser claims it"
    return _figure(run, "feeds", figure, f"The optimum against the simple profiles; its biomass is {scored}.", runs)


def _course(run: _Run) -> str:
    runs = run.labelled(optimum="optimiser", resimulation="re-simulated", replay="LP plant")
    facts = _facts(run.part("optimisation"))
    if not runs:
        return facts
    what = "The plan as the optimiser sees it and as the metabolic network answers it; the red side is forbidden."
    pictures = _figure(run, "trajectories", plot_trajectories(runs, limits=run.limits()), what, runs)
    rates = list(dict.fromkeys(name for one in runs.values() for name in one.names("rate") if name != "growth"))
    if rates:
        what = "Rates of the cell along the same trajectories; negative is consumed."
        pictures += _figure(run, "rates", plot_trajectories(runs, rates), what, {})
    return facts + pictures


def _judge(run: _Run) -> str:
    body = ""
    if results := run.part("results"):
        shown = [
            row | {"gain": _percent(row.get("gain"), signed=True), "note": row.get("note") or ""} for row in results
        ]
        keys = ("label", "optimiser", "resimulated", "lp", "gain", "note")
        head = ("feed", "optimiser [g]", "re-simulated [g]", "LP plant [g]", "gain", "note")
        body += _table(head, [[row.get(key) for key in keys] for row in shown])
    if gaps := run.part("gaps"):
        body += f"<h3>Gaps</h3>{_facts({name: _percent(gap) for name, gap in gaps.items()})}"
    if limits := run.part("limits"):
        rows = [[name, *_padded(row)] for name, row in limits.items()]
        body += f"<h3>Limits</h3>{_table(('quantity', 'lowest', 'highest', 'unit'), rows)}"
    if broken := run.part("violations"):
        shown = [row | {"relative": _percent(row.get("relative"))} for row in broken]
        told = ("limit", "allowed", "reached", "relative", "unit")
        table = _table(told, [[row.get(key) for key in told] for row in shown])
        body += f'<h3 class="alarm">Limits broken on the LP plant</h3>{table}'
    elif run.summary.get("violations") is not None:
        body += "<p>On the LP plant no limit is broken.</p>"
    return body


def _closed_loop(run: _Run) -> str:
    facts = dict(run.part("nmpc"))
    disturbance = facts.pop("disturbance", "")
    if "ratio" in facts:
        facts["ratio"] = _percent(facts["ratio"])
    body = (f"<p>Disturbance: {_text(disturbance)}.</p>" if disturbance else "") + _facts(facts)
    if "closed_loop" not in run.trajectories:
        return body
    loop, reference = run.trajectories["closed_loop"], run.trajectories.get("reference")
    what = "The controlled plant against its reference; hatched bars are steps decided by a fallback."
    figure = plot_closed_loop(loop, reference, run.limits())
    return body + _figure(run, "closed_loop", figure, what, {"closed loop": loop})


def _starvation(run: _Run) -> str:
    facts = dict(run.part("starvation"))
    text = facts.pop("text", "")
    body = (f"<p>{_text(text)}</p>" if text else "") + _facts(facts)
    runs = run.labelled(starvation_lp="LP plant", starvation_surrogate="surrogate")
    what = "A culture that runs out of food, by the metabolic network and by the surrogate."
    return body + (_figure(run, "starvation", plot_trajectories(runs), what, runs) if runs else "")


def _surrogate(run: _Run) -> str:
    card = run.part("surrogate").get("card")
    body = _nested(card) if isinstance(card, dict) else ""
    known = {name.removeprefix("true_"): values for name, values in run.parity.items() if name.startswith("true_")}
    if not known:
        return body
    units = {name: GROWTH if name == "growth" else RATE for name in known}
    predicted = {name: run.parity[f"predicted_{name}"] for name in known if f"predicted_{name}" in run.parity}
    what = "Predictions on points the surrogate was not trained on, against the LP; the worst point of each is ringed."
    return body + _figure(run, "parity", plot_parity(known, predicted, units), what, {})


def _parameters(run: _Run) -> str:
    rows = [[name, *_padded(row)] for name, row in run.part("parameters").items()]
    return _table(["parameter", "value", "unit", "source"], rows) if rows else ""


def _provenance(run: _Run) -> str:
    timings = run.part("timings")
    longest = max((_real(seconds) or 0.0 for seconds in timings.values()), default=0.0) or 1.0
    widths = {stage: 12.0 * (_real(seconds) or 0.0) / longest for stage, seconds in timings.items()}
    bars = {stage: _Html(f'<span class="bar" style="width:{width:.3g}rem"></span>') for stage, width in widths.items()}
    rows = [[stage, seconds, bars[stage]] for stage, seconds in timings.items()]
    parts = {
        "Network": _facts(run.part("network")),
        "Versions": _facts(run.part("versions")),
        "Timings": _table(["stage", "seconds", ""], rows) if rows else "",
    }
    return "".join(f"<h3>{title}</h3>{body}" for title, body in parts.items() if body)


def _missing(run: _Run) -> str:
    files = [f"{name}.nc" for name in _TRAJECTORIES if name not in run.trajectories]
    files += [] if run.parity else ["parity.npz"]
    parts = [name for name in _PARTS if run.summary.get(name) is None]
    return _list(f"{what}: {', '.join(names)}" for what, names in (("files", files), ("summary", parts)) if names)


def _figure(run: _Run, name: str, figure: Figure, caption: str, runs: Mapping[str, Trajectory]) -> str:
    """Save a figure beside the page and put it into the page; say which of its trajectories ended unexpectedly."""
    picture = save_figure(figure, run.folder / "figures" / f"{name}.png").read_bytes()
    odd = "; ".join(f"{label}: {one.status.value}" for label, one in runs.items() if one.status not in _EXPECTED)
    caption += f" Note: {odd}." if odd else ""
    source = f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"
    width = round(96 * figure.get_figwidth())  # CSS pixels an inch, so that letters are as large in every figure
    look = f"max-width:{width}px;min-width:{min(width, 640)}px"
    image = f'<div class="wide"><img alt="{_text(caption)}" style="{look}" src="{source}"></div>'
    return f"<figure>{image}<figcaption>{_text(caption)}</figcaption></figure>"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table; its columns of numbers stand to the right."""
    words = [any(type(row[place]) is str for row in rows) for place in range(len(head))]
    marks = ["" if word else ' class="n"' for word in words]
    top = "".join(f"<th{mark}>{_text(name)}</th>" for mark, name in zip(marks, head, strict=True))
    lines = ("".join(f"<td{m}>{_text(cell)}</td>" for m, cell in zip(marks, row, strict=True)) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _facts(facts: Mapping[str, object]) -> str:
    pairs = "".join(f"<div><dt>{_label(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items())
    return f"<dl>{pairs}</dl>" if pairs else ""


def _list(entries: Iterable[str]) -> str:
    lines = "".join(f"<li>{_text(entry)}</li>" for entry in entries)
    return f"<ul>{lines}</ul>" if lines else ""


def _nested(card: Mapping[str, Any]) -> str:
    """Plain entries as facts, an entry with entries of one kind as a table, any other as a part of its own."""
    body = _facts({name: value for name, value in card.items() if not isinstance(value, dict)})
    for name, part in card.items():
        if isinstance(part, dict) and part:
            alike = all(isinstance(row, dict) for row in part.values())
            keys = list(dict.fromkeys(key for row in part.values() for key in row)) if alike else []
            rows = [[output, *(row.get(key) for key in keys)] for output, row in part.items()] if alike else []
            body += f"<h3>{_label(name)}</h3>" + (_table(["", *keys], rows) if alike else _nested(part))
    return body


def _label(name: str) -> str:
    """Turn a key into words, with its unit; BiGG ids, which have capitals, stay as they are."""
    unit = " [g]" if name.endswith("_biomass") else " [ms]" if name.endswith("_ms") else ""
    return _text((name.removesuffix("_ms").replace("_", " ") if name.islower() else name) + unit)


def _text(value: object) -> str:
    """Any value as HTML, escaped unless it is HTML already."""
    if isinstance(value, _Html):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "&ndash;"
    if isinstance(value, float):
        mantissa, _, exponent = f"{value:.5g}".partition("e")
        return (mantissa + (f" &times; 10<sup>{int(exponent)}</sup>" if exponent else "")).replace("-", "&minus;")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value[:12])) + (f", … ({len(value)} values)" if len(value) > 12 else "")
    return html.escape(str(value))


def _percent(fraction: object, signed: bool = False) -> _Html:
    share = _real(fraction)
    shown = "" if share is None else f"{100.0 * share:{'+' if signed else ''}.3g} %".replace("-", "&minus;")
    return _Html(shown or _text(fraction))


def _real(value: object) -> float | None:
    """Take a finite number; None stands for whatever is not one."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _padded(row: Sequence[object]) -> list[object]:
    """Three cells, the last a word."""
    return [*row, None, None, ""][:3]


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")

"""Pages that follow from the package and from the results of the benchmarks: the API reference and the tables of figures."""

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import mmopt

FOLDERS = (
    "network",
    "fba",
    "sensitivity",
    "dataset",
    "fitting",
    "training",
    "surrogate",
    "exchange",
    "reactor",
    "simulation",
    "results",
    "pathways",
    "strains",
    "problem",
    "plan",
    "transcription",
    "search",
    "optimisation",
    "control",
    "operation",
    "figures",
    "report",
    "study",
    "parallel",
)
"""In the order in which data flow."""

MODULES = ("status", "errors", "units", "checking")
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def write_pages(source: Path) -> None:
    """Write every generated page into the folder of sources, where its text has changed."""
    reference = source / "reference"
    for name in (*FOLDERS, *MODULES):
        _write(reference / f"{name}.rst", module_page(name))
    _write(reference / "index.rst", reference_index())
    for name, table_of in TABLES.items():
        _write(reference / f"{name}.inc", table_of())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def summary(thing: Any) -> str:
    """First paragraph of a docstring, on one line."""
    return " ".join((thing.__doc__ or "").strip().partition("\n\n")[0].split())


def module_page(name: str) -> str:
    module = import_module(f"mmopt.{name}")
    title = f"mmopt.{name}"
    return f"""{title}
{"=" * len(title)}

.. automodule:: {title}
   :no-members:

{listed((name, f"{title}.{name}", getattr(module, name)) for name in public_names(module))}
{details(module, title)}"""


def listed(entries: Iterable[tuple[str, str, Any]]) -> str:
    """Return a table of names, with links to their full names, and what each one is."""
    rows = "".join(f"   * - :py:obj:`{name} <{full}>`\n     - {summary(value)}\n" for name, full, value in entries)
    return f".. list-table::\n   :widths: 30 70\n\n{rows}"


def public_names(module: ModuleType) -> list[str]:
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    return sorted(names)


def details(module: ModuleType, title: str) -> str:
    entries = []
    for name in public_names(module):
        value = getattr(module, name)
        kind = "autoclass" if isinstance(value, type) else "autofunction" if callable(value) else "autodata"
        entries.append(f".. {kind}:: {title}.{name}\n")
    return "\n".join(entries)


def reference_index() -> str:
    pages = "\n".join(f"   {name}" for name in (*FOLDERS, *MODULES))
    return f"""API reference
=============

Names a first script needs are in ``mmopt`` itself; each folder has more. Units: h, L, g/L, mmol/gDW/h, unless said otherwise.

.. toctree::
   :maxdepth: 1
   :caption: Folders

{pages}

Names in ``mmopt``
------------------

{listed((name, f"{home(name)}.{name}", getattr(mmopt, name)) for name in mmopt.__all__)}"""


def home(name: str) -> str:
    """Page on which a top name is described."""
    value = getattr(mmopt, name)
    for folder in (*FOLDERS, *MODULES):
        if getattr(import_module(f"mmopt.{folder}"), name, None) is value:
            return f"mmopt.{folder}"
    return "mmopt"


def table(headings: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    headings = list(headings)
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def _read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _flux_speed() -> str:
    speed = _read("metabolism")["speed"]
    rows = [
        (
            name.replace("label program", "flux program"),
            f"{figures['per_second']:,.0f}",
            f"{figures['over_cobra']:,.0f} ×",
        )
        for name, figures in speed.items()
        if "per_second" in figures
    ]
    return table(("way", "a second", "over cobra's loop"), rows)


def _published() -> str:
    names = {"secreting": "secreted protein", "penicillin": "penicillin", "ethanol": "ethanol"}
    known = {"secreting": "32.72", "penicillin": "88.05 to 88.06", "ethanol": "20,837 to 20,839"}
    rows = [
        (
            names.get(name, name),
            known.get(name, ""),
            f"{one['resimulated']:,.3f}",
            f"{one['gap']:.1e}",
            f"{one['seconds']:.0f}",
        )
        for name, one in _read("optimisation")["published"].items()
    ]
    headings = ("problem", "published best", "here, integrated", "gap to the collocation", "seconds")
    return table(headings, rows)


def _peers() -> str:
    rows = []
    for size, run in _read("peers").items():
        for way, one in run.get("ways", {}).items():
            warm = sorted(one["warm"])[len(one["warm"]) // 2]
            rows.append((size, way, f"{one['build']:.2f}", f"{one['first']:.2f}", f"{1000 * warm:.0f}"))
    headings = ("network", "way", "build [s]", "first solve [s]", "warm re-solve [ms]")
    return table(headings, rows)


def _formulations() -> str:
    names = {
        "grey_box": "grey box",
        "reduced_space": "OMLT, reduced space",
        "mixed": "OMLT, reduced, a variable before each softplus",
        "full_space": "OMLT, full space",
    }
    speed = _read("optimisation")["speed"]
    rows = [
        (
            title,
            f"{one['build']:.2f}",
            one["variables"],
            f"{one['first']:.1f}",
            one["iterations"],
            f"{1000 * one['warm']:.0f}",
        )
        for name, title in names.items()
        if (one := speed.get(name))
    ]
    headings = ("formulation", "write and read [s]", "variables", "first solve [s]", "iterations", "warm re-solve [ms]")
    return table(headings, rows)


def _layers() -> str:
    errors = _read("surrogate")["errors"]
    names = {"shipped": "conic (shipped)", "linear": "linear", "rates": "rates", "soft law": "soft law"}
    rows = [
        (
            title,
            *(f"{100 * one[key]:.2f} %" for key in ("growth", "EX_o2_e", "EX_ac_e")),
            f"{one['balance']:.0e}",
        )
        for name, title in names.items()
        if (one := errors.get(name))
    ]
    headings = ("output layer", "growth", "oxygen", "acetate", "imbalance [mmol/gDW/h]")
    return table(headings, rows)


def _all_families(families: dict[str, Any]) -> dict[str, Any]:
    """What the families of feed problems come to together."""
    rows = [row for one in families.values() for row in one["rows"].values()]
    plans = [row["iterations"] for row in rows if "iterations" in row]
    counts = ("problems", "feasible", "solved", "lost", "as_simulated", "violated_over_5_percent")
    return {
        **{name: sum(one[name] for one in families.values()) for name in counts},
        "least_gain": min(one["least_gain"] for one in families.values() if one["least_gain"] is not None),
        "iterations": np.median(plans),
        "first_seconds_p95": np.percentile([row["first_seconds"] for row in rows], 95),
        "seconds_p95": np.percentile([row["seconds"] for row in rows], 95),
    }


def _feed_problems() -> str:
    families = _read("feed_problems")
    rows = [
        (
            name,
            one["feasible"],
            f"{one['solved']} of {one['problems']}",
            one["lost"],
            "" if one["least_gain"] is None else f"{100 * one['least_gain']:.1f} %",
            one["as_simulated"],
            f"{one['iterations'] or 0:.0f}",
            f"{one['first_seconds_p95']:.1f}",
            f"{one['seconds_p95']:.1f}",
            one["violated_over_5_percent"],
        )
        for name, one in {**families, "all of them": _all_families(families)}.items()
    ]
    headings = (
        "problems",
        "a simple feed is feasible",
        "plans",
        "lost",
        "least gain over the best simple feed",
        "plans that are a simulated start",
        "iterations, median",
        "seconds to the first optimum, 95 %",
        "seconds in all, 95 %",
        "limits violated by more than 5 % between points",
    )
    return table(headings, rows)


def _control() -> str:
    rows = [
        (
            name,
            f"{one['mean']:.2f}",
            f"{one['least']:.2f}",
            one["broken"],
            f"{100 * one['worst_violation']:.0f} %",
            one["fallbacks"],
            f"{1000 * one['median_seconds']:.0f}",
            f"{1000 * one['p99_seconds']:.0f}",
        )
        for name, one in _read("control")["noise"]["rows"].items()
    ]
    headings = (
        "plant, noise, controller",
        "mean [g]",
        "least [g]",
        "batches that violate a limit by over 5 %",
        "worst violation",
        "fallbacks",
        "step, median [ms]",
        "step, 99 % [ms]",
    )
    return table(headings, rows)


def _faults() -> str:
    rows = [
        (
            name,
            one["batches"],
            one["raised"],
            one["gate broken"],
            len(one["not recovered"]),
            f"{one['largest error while it lasts']:.1f}",
            f"{one['largest error [standard deviations]']:.1f}",
            f"{100 * one['largest change of the move']:.1f} %",
            f"{100 * one['least objective']:.1f} %",
        )
        for name, one in _read("control")["faults"]["rows"].items()
    ]
    headings = (
        "faults, sensors",
        "batches",
        "exceptions",
        "gate broken",
        "not recovered",
        "largest error while it lasts [standard deviations]",
        "after three good samples",
        "largest change of the move then",
        "least objective, of the undisturbed one",
    )
    return table(headings, rows)


def _cycles() -> str:
    rows = [
        (
            name,
            one["cycles"],
            one["fallbacks"],
            f"{one['memory after a tenth [MB]']:.0f}",
            f"{one['memory at the end [MB]']:.0f}",
            f"{100 * one['largest growth']:.1f} %",
            *(f"{1000 * one[key]:.0f}" for key in ("median [s]", "p99 [s]", "worst [s]")),
        )
        for name, one in _read("control")["cycles"].items()
    ]
    headings = (
        "controller",
        "cycles",
        "fallbacks",
        "memory after a tenth [MB]",
        "at the end [MB]",
        "largest growth",
        "step, median [ms]",
        "99 % [ms]",
        "worst [ms]",
    )
    return table(headings, rows)


def _time_limits() -> str:
    limits = _read("control")["time_limit"]
    names = list(next(iter(limits.values())))
    rows = [(name, *(f"{1000 * one[name]:.0f}" for one in limits.values())) for name in names]
    return table(("worst step beyond its time limit [ms]", *limits), rows)


def _scenarios() -> str:
    rows = [
        (
            name,
            f"{one['seconds']:.1f}",
            one["iterations"],
            f"{one['mean']:.3f}",
            f"{one['worst']:.3f}",
            f"{100 * one['violation in integration']:.0f} %",
        )
        for name, one in _read("optimisation")["scenarios"].items()
    ]
    headings = ("scenarios", "seconds", "iterations", "mean [g]", "worst [g]", "worst violation between points")
    return table(headings, rows)


def _estimation() -> str:
    rows = [
        (
            one["batch"],
            "as assumed" if one["drift"] else "none",
            {"filter": "`Estimator`"}.get(one["estimator"], "`MovingHorizonEstimator`"),
            f"{100 * one['covered']:.1f} %",
            " to ".join(f"{100 * end(one['covered by unknown'].values()):.0f}" for end in (min, max)),
            *(f"{100 * one['relative error'][name]:.1f} %" for name in ("biomass", "glucose", "oxygen", "kla")),
            f"{1000 * one['seconds']['median']:.0f}",
            f"{1000 * one['seconds']['most']:.0f}",
        )
        for one in _read("estimation")["coverage"]
    ]
    headings = (
        "batch",
        "drift",
        "estimator",
        "95 % intervals that contain the truth",
        "least and most of six unknowns [%]",
        "error of biomass",
        "glucose",
        "oxygen",
        "kLa",
        "update, median [ms]",
        "most [ms]",
    )
    return table(headings, rows)


TABLES = {
    "feed_problems": _feed_problems,
    "control": _control,
    "faults": _faults,
    "cycles": _cycles,
    "time_limits": _time_limits,
    "estimation": _estimation,
    "scenarios": _scenarios,
    "fluxes": _flux_speed,
    "published": _published,
    "peers": _peers,
    "formulations": _formulations,
    "layers": _layers,
}
"""Tables of figures, by the name of the file that the page includes."""


if __name__ == "__main__":
    write_pages(Path(__file__).parent)

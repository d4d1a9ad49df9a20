"""A controller over scenarios on plants that nobody knows, and steps that are solved ahead.

    python benchmarks/uncertain_plants.py [plants] [ahead] [nine] [--plants N]

``plants``: the case study on plants whose oxygen transfer (80 to 120 %) and uptake (80 to 110 %) differ at random, while
nothing estimates them: a controller of the assumed plant, and one over four scenarios (transfer, uptake or both 20 % lower),
with the margin of the study (35 % of dissolved oxygen where 20 % are the limit) and without.
Plants that were run before are kept; more are added. ``ahead``: steps moved along with the sample beside steps that are solved,
with the noise of the study and twice that. ``nine``: seconds of a first and of later steps over nine scenarios. All by default.
Results are written to ``results/uncertain_plants.json``.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from control import BROKEN, case, cell

from mmopt import Controller
from mmopt.control import ClosedLoop, ControlledBatch
from mmopt.control.advanced_step import MOVED

TARGET = Path(__file__).parent / "results" / "uncertain_plants.json"
UNKNOWN = {"kla": (0.8, 1.2), "glucose_vmax": (0.8, 1.1)}
"""Factors between which parameters of the plants lie; above the last the surrogate is not valid."""
NOISES, SEEDS = (1.0, 2.0), range(10)


def batch(noisier: float = 1.0, **changes: Any) -> ControlledBatch:
    """The case study on the surrogate, with all states measured and nothing estimated but them."""
    problem, settings = case()
    noise = {name: noisier * deviation for name, deviation in settings.noise.items()}
    return ControlledBatch(problem, cell(), cell(), settings.interval, noise, aims=settings.limits, **changes)


def usual() -> dict[str, float]:
    """The values that the controller assumes."""
    problem, _ = case()
    known = {**problem.system.defaults, **problem.parameter_values}
    return {name: known[name] for name in UNKNOWN}


def lower(*names: str) -> dict[str, float]:
    """A scenario in which some parameters are lower."""
    return {name: UNKNOWN[name][0] * usual()[name] for name in names}


def plants(count: int, rows: dict[str, Any]) -> dict[str, Any]:
    """Both controllers on plants at random."""
    random = np.random.default_rng(0)
    drawn = [{name: value * random.uniform(*UNKNOWN[name]) for name, value in usual().items()} for _ in range(count)]
    scenarios = [{}, lower("kla"), lower("glucose_vmax"), lower(*UNKNOWN)]
    margin = case()[1].limits
    for name, given, aims in (("one", (), margin), ("four", scenarios, margin), ("four, no margin", scenarios, {})):
        known = rows.setdefault(name, [])
        controlled = replace(batch(scenarios=given), aims=aims)
        controller = controlled._controller
        for seed in range(len(known), count):
            other = replace(controlled, disturbance=drawn[seed])
            object.__setattr__(other, "_controller", controller)  # compiled once for all plants
            known.append(row_of(other.run(seed), controlled))
            print(f"{name:5} {seed:4} {known[-1]['objective']:6.2f} g, {known[-1]['violation']:.1%}", flush=True)
            keep(rows)
        print(name, summary(known))
    return rows


def row_of(loop: ClosedLoop, controlled: ControlledBatch) -> dict[str, Any]:
    """What counts of a batch."""
    worst = max(controlled.problem.violated_limits(loop.trajectory).values(), default=0.0)
    seconds = [round(float(value), 3) for value in loop.seconds]
    return {"objective": loop.objective, "violation": worst, "fallbacks": loop.fallbacks, "seconds": seconds}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Distributions over batches."""
    seconds = np.concatenate([row["seconds"] for row in rows])
    return {
        "batches": len(rows),
        "mean": float(np.mean([row["objective"] for row in rows])),
        "least": float(np.min([row["objective"] for row in rows])),
        "violating": sum(row["violation"] > BROKEN for row in rows),
        "violating at all": sum(row["violation"] > 0.001 for row in rows),
        "worst violation": max(row["violation"] for row in rows),
        "fallbacks": sum(row["fallbacks"] for row in rows),
        "seconds": {str(q): float(np.percentile(seconds, q)) for q in (50, 95, 99, 100)},
    }


def keep(rows: dict[str, Any]) -> None:
    """Save rows of plants, so that a run that is ended goes on where it was."""
    stored = stored_results()
    stored["plants"] = {"rows": rows, "summary": {name: summary(known) for name, known in rows.items() if known}}
    TARGET.write_text(json.dumps(stored, indent=1) + "\n")


def stored_results() -> dict[str, Any]:
    """The results so far."""
    return json.loads(TARGET.read_text()) if TARGET.exists() else {}


def ahead() -> dict[str, Any]:
    """Steps that are solved, and steps that are moved along, with the same seeds."""
    table: dict[str, Any] = {}
    for noisier, moves in product(NOISES, (False, True)):
        controlled = batch(noisier, advanced_step=moves)
        loops = [controlled.run(seed) for seed in SEEDS]
        moved = np.array([[MOVED in step.move.notes for step in loop.steps] for loop in loops])
        seconds = np.array([loop.seconds for loop in loops])
        row = {
            **summary([row_of(loop, controlled) for loop in loops]),
            "moved": float(moved.mean()),
            "milliseconds of moved steps": [float(1e3 * np.percentile(seconds[moved], q)) for q in (50, 95, 100)]
            if moves
            else [],
        }
        table[f"noise x {noisier:g}, {'moved' if moves else 'solved'}"] = row
        print(f"noise x {noisier:g}, {'moved' if moves else 'solved'}: {row}", flush=True)
    return table


def nine() -> dict[str, Any]:
    """A controller over nine scenarios: seconds to be made and prepared, and of the steps of a batch."""
    problem, settings = case()
    values = usual()
    factors = product(*((1.0, *UNKNOWN[name]) for name in UNKNOWN))
    scenarios = [{name: factor * values[name] for name, factor in zip(UNKNOWN, row, strict=True)} for row in factors]
    controlled = batch(scenarios=scenarios)
    first = Controller(controlled._aimed(), cell(), settings.interval, scenarios=scenarios).step(
        0.0, problem.start_values
    )
    loop = controlled.run(0)
    row = {"first": first.seconds, **row_of(loop, controlled), "median": float(np.median(loop.seconds))}
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=["plants", "ahead", "nine", []], default=[])
    parser.add_argument("--plants", type=int, default=500)
    given = parser.parse_args()
    parts: dict[str, Callable[[], Any]] = {"ahead": ahead, "nine": nine}
    for name in given.parts or ["ahead", "nine", "plants"]:
        if name == "plants":
            plants(given.plants, stored_results().get("plants", {}).get("rows", {}))
            continue
        result = parts[name]()
        TARGET.write_text(json.dumps({**stored_results(), name: result}, indent=1) + "\n")


if __name__ == "__main__":
    main()

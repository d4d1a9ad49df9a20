"""Fluxes inside the cell over time: all 2,583 of iJO1366 at 500 times of a fed-batch, by every metabolism, in one run.

    python benchmarks/simulation.py

The culture starves for four hours in between, where COBRApy's program is infeasible; its parsimonious fluxes are computed at
every twentieth of the other times, and its seconds multiplied. Results go into ``results/simulation.json``.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from cobra.exceptions import OptimizationError
from cobra.flux_analysis import pfba
from cobra.io import load_model

from mmopt import Atlas, ExponentialFeed, FluxProgram, ecoli_fed_batch, load_surrogate, read_network, simulate
from mmopt.results import Trajectory
from mmopt.results.fluxes import uptake_limits

TARGET = Path(__file__).parent / "results" / "simulation.json"
START = {"volume": 2.0, "biomass": 0.5, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
REPEATS, EVERY = 7, 20


def timed(compute: Callable[[], xr.DataArray]) -> tuple[float, float, xr.DataArray]:
    """First and median of the later times [s], and the fluxes."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        fluxes = compute()
        seconds.append(time.perf_counter() - begun)
    return seconds[0], float(np.median(seconds[1:])), fluxes


def by_cobra(run: Trajectory, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Seconds of COBRApy for all times, and at how many of those tried it has an answer."""
    system = ecoli_fed_batch()
    states = {state.name: run[state.name] for state in system.states}
    points = uptake_limits(system, {}, states, inputs)[::EVERY]
    network, solved = load_model("iJO1366"), 0
    begun = time.perf_counter()
    for point in points:
        for name, limit in zip(inputs, point, strict=True):
            network.reactions.get_by_id(name).lower_bound = -max(0.0, float(limit))
        try:
            pfba(network)
            solved += 1
        except OptimizationError:
            continue
    per_time = (time.perf_counter() - begun) / len(points)
    return {"later": per_time * run.time.size, "solved": solved, "tried": len(points)}


def main() -> None:
    cell, network = load_surrogate("ecoli_ijo1366"), read_network("iJO1366")
    feed = ExponentialFeed(0.005, 0.25, start=6.0)
    run = simulate(ecoli_fed_batch(), START, {"feed": feed}, 14.0, cell, points=500)
    atlas, program = Atlas(network, cell.domain), FluxProgram(network, cell.inputs)
    rows: dict[str, Any] = {}
    answers = {}
    for name, metabolism in {"surrogate": cell, "atlas": atlas, "flux program": program}.items():
        first, later, fluxes = timed(lambda one=metabolism: run.fluxes(one))  # type: ignore[misc]
        imbalance = float(np.abs(network.stoichiometry @ fluxes.values).max())
        rows[name], answers[name] = {"first": first, "later": later, "imbalance": imbalance}, fluxes.values
    rows["COBRApy"] = by_cobra(run, cell.inputs)
    results = {
        "reactions": len(network.reactions),
        "times": int(run.time.size),
        "rows": rows,
        "atlas and program differ by": float(np.abs(answers["atlas"] - answers["flux program"]).max()),
    }
    TARGET.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{results['reactions']} fluxes at {results['times']} times [ms]")
    for name, row in rows.items():
        answered = f"  answers {row['solved']} of {row['tried']} times" if "solved" in row else ""
        print(
            f"{name:14} first {1e3 * row.get('first', row['later']):10.1f}  later {1e3 * row['later']:10.1f}{answered}"
        )
    print(f"atlas and program differ by {results['atlas and program differ by']:.1e} mmol/gDW/h")


if __name__ == "__main__":
    main()

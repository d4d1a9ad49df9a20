"""The fluxes of the cell: how exact, and how fast, in one run.

Prints a table and writes benchmarks/results/metabolism.json. Speeds are ratios: cobra's loop, the flux program and the
atlas solve the same points in turns, so that a machine whose speed drifts slows all of them.
"""

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cobra.data
import numpy as np
from cobra.flux_analysis import pfba as cobra_pfba
from cobra.io import read_sbml_model

from mmopt import Atlas, Domain, FluxProgram, Network, read_network, tabulate_fluxes
from mmopt.dataset.design import design, sweep_order

BOX = Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 4.0)})
FED = Domain({"EX_glc__D_e": (0.5, 12.0), "EX_o2_e": (2.0, 16.0), "EX_ac_e": (0.0, 4.0)})
"""Where every point pays for maintenance, so that cobra has a solution too."""

NETWORKS = ("textbook", "iJO1366", "salmonella")
POINTS, ROUNDS, COBRA_POINTS = 2000, 4, 8
FRESH, BATCH, MANY = 2000, 200_000, 100_000


def main() -> None:
    networks = {name: read_network(name) for name in NETWORKS}
    atlases, exact = {}, {}
    for name, network in networks.items():
        atlases[name] = atlas = Atlas(network, BOX)
        started = time.perf_counter()
        covered = atlas.explore()
        exact[name] = {
            "regions": len(atlas.regions),
            "uncovered": max(0.0, 1.0 - covered),
            "explore_seconds": round(time.perf_counter() - started, 2),
            **against_program(atlas),
        }
    speed = speeds(networks["iJO1366"], atlases["iJO1366"])
    many = many_points(networks["iJO1366"], atlases["iJO1366"])
    refused = hostile()
    show(exact, speed, many, refused)
    target = Path(__file__).parent / "results" / "metabolism.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"exact": exact, "speed": speed, "many": many, "refused": refused}, indent=1) + "\n")


def against_program(atlas: Atlas) -> dict[str, float]:
    """Largest differences between the atlas and the program on fresh points."""
    network = atlas.network
    points = np.random.default_rng(20261123).random((FRESH, len(atlas.inputs))) * BOX.upper
    points = points[sweep_order(points, BOX)]
    solved, read = atlas.program.batch(points), atlas.batch(points)
    difference = np.abs(solved.net - read.net)
    exchanges = [network.column(name) for name in network.exchanges]
    return {
        "growth": float(np.abs(solved.growth - read.growth).max()),
        "exchanges": float(difference[:, exchanges].max()),
        "all_fluxes": float(difference.max()),
        "not_in_a_region": int((atlas.regions.locate(points) < 0).sum()),
    }


def speeds(network: Network, atlas: Atlas) -> dict[str, dict[str, float]]:
    """Solves a second of every method, on the same points."""
    raw = read_sbml_model(str(Path(cobra.data.__file__).parent / "iJO1366.xml.gz"))
    points = design(FED, POINTS, seed=1)
    points = points[sweep_order(points, FED)]
    program, cell = FluxProgram(network, FED.inputs), atlas.rate_function(["growth", *network.exchanges])
    every = np.random.default_rng(2).random((BATCH, len(FED.inputs))) * BOX.upper
    rates: dict[str, list[float]] = {}

    def timed(name: str, count: int, started: float) -> None:
        rates.setdefault(name, []).append(count / (time.perf_counter() - started))

    worst = 0.0
    for chunk in np.array_split(np.arange(POINTS), ROUNDS):
        started = time.perf_counter()
        growths = {k: program.solve(points[k]).growth for k in chunk}
        timed("flux program, warm", len(chunk), started)
        points_by_name = [dict(zip(FED.inputs, points[k], strict=True)) for k in chunk]
        started = time.perf_counter()
        [cell(limits) for limits in points_by_name]
        timed("atlas, point by point", len(chunk), started)
        started = time.perf_counter()
        atlas.rates(every)
        timed("atlas, in one batch", len(every), started)
        chosen = chunk[:: len(chunk) // COBRA_POINTS][:COBRA_POINTS]
        started = time.perf_counter()
        growths_of_cobra = [cobra_growth(raw, network, points[k]) for k in chosen]
        timed("cobra pfba() loop", len(chosen), started)
        worst = max([worst, *(abs(mine - growths[k]) for mine, k in zip(growths_of_cobra, chosen, strict=True))])
    middle = {name: float(np.median(values)) for name, values in rates.items()}
    return {
        name: {"per_second": value, "over_cobra": value / middle["cobra pfba() loop"]} for name, value in middle.items()
    } | {"largest difference in growth to cobra": {"per_hour": worst}}


def cobra_growth(raw: cobra.Model, network: Network, point: np.ndarray) -> float:
    with raw:
        for exchange, limit in zip(FED.inputs, point, strict=True):
            raw.reactions.get_by_id(exchange).lower_bound = -limit
        return float(cobra_pfba(raw).fluxes[network.biomass])


def many_points(network: Network, atlas: Atlas) -> dict[str, float]:
    """Time of a large table, in memory, journalled, and saved."""
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        table = tabulate_fluxes(network, BOX, MANY, source=atlas, workers=cores, journal=Path(folder) / "table.journal")
        tabulated = time.perf_counter() - started
        started = time.perf_counter()
        path = table.save(Path(folder) / "table.nc")
        saved = time.perf_counter() - started
        return {
            "points": MANY,
            "workers": cores,
            "tabulate_seconds": round(tabulated, 1),
            "save_seconds": round(saved, 1),
            "file_megabytes": round(path.stat().st_size / 2**20, 1),
        }


def hostile() -> dict[str, dict[str, float]]:
    """Seconds and memory until a file that would harm its reader is refused, one process a file."""
    head = b'<?xml version="1.0"?><sbml xmlns="http://www.sbml.org/sbml/level3/version1/core">'
    files = {
        "deep.xml": head + b"<a>" * 200_000,
        "doctype.xml": b'<?xml version="1.0"?><!DOCTYPE sbml [<!ENTITY a "b">]><sbml/>',
        "bomb.xml.gz": gzip.compress(head) + 200 * gzip.compress(b" " * 10_000_000),
        "zeros.xml.gz": gzip.compress(head + bytes(200_000_000)),
        "deep.json": b'{"a":' + b"[" * 200_000,
        "bomb.json.gz": gzip.compress(b'{"a":"') + 200 * gzip.compress(b" " * 10_000_000),
    }
    refused = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            path = Path(folder) / name
            path.write_bytes(content)
            printed = subprocess.run(
                [sys.executable, "-c", _READ, path], capture_output=True, text=True, check=True
            ).stdout
            seconds, megabytes = map(float, printed.split())
            refused[name] = {"seconds": seconds, "megabytes": megabytes, "size": len(content) / 2**20}
    return refused


_READ = """
import sys, time
from pathlib import Path
from mmopt import NetworkError, read_network
started = time.perf_counter()
try:
    read_network(sys.argv[1])
except NetworkError:
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()  # the usual count of memory may include that of the parent
    print(seconds, int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""


def show(
    exact: dict[str, dict[str, float]],
    speed: dict[str, dict[str, float]],
    many: dict[str, float],
    refused: dict[str, dict[str, float]],
) -> None:
    print(
        f"{'atlas against program':<24}{'regions':>9}{'uncovered':>11}{'growth':>10}{'exchanges':>11}{'all fluxes':>12}"
    )
    for name, row in exact.items():
        print(
            f"{name:<24}{row['regions']:>9}{row['uncovered']:>11.0e}{row['growth']:>10.0e}{row['exchanges']:>11.0e}"
            f"{row['all_fluxes']:>12.0e}"
        )
    program = speed["flux program, warm"]["per_second"]
    print(f"\n{'solves of iJO1366':<24}{'a second':>12}{'over cobra':>12}{'over program':>14}")
    for name, row in speed.items():
        if "per_second" in row:
            print(f"{name:<24}{row['per_second']:>12.1f}{row['over_cobra']:>12.0f}{row['per_second'] / program:>14.1f}")
    print(
        f"largest difference in growth to cobra: {speed['largest difference in growth to cobra']['per_hour']:.0e} 1/h"
    )
    print(
        f"\n{many['points']:.0f} points with the atlas, {many['workers']:.0f} workers: {many['tabulate_seconds']} s with "
        f"the journal, {many['save_seconds']} s to save {many['file_megabytes']} MB"
    )
    print(f"\n{'refused before it is read':<28}{'file, MB':>10}{'seconds':>9}{'memory, MB':>12}")
    for name, row in refused.items():
        print(f"{name:<28}{row['size']:>10.1f}{row['seconds']:>9.2f}{row['megabytes']:>12.0f}")


if __name__ == "__main__":
    main()

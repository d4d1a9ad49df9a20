"""What a controller does when things go wrong, or go on for long: parts of ``benchmarks/control.py``.

``faults``: every fault of ``tests/faults.py`` on every sensor, and random pairs; ``cycles``: 2,000 cycles of measuring,
estimating and deciding, with the memory of the processes; ``time_limit``: steps of a solver that hangs, is killed or cannot
be started; ``campaign``: 200 closed loops that are killed twice and resumed, on processes and on a local Dask cluster.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from mmopt import (
    Control,
    Controller,
    Estimator,
    Horizon,
    Plant,
    Problem,
    ecoli_fed_batch,
    load_surrogate,
    run_closed_loop,
)
from mmopt.control import Campaign, ControlledBatch, run_campaign
from mmopt.control.limits_first import LimitsFirst
from mmopt.parallel import OwnProcess, own_process
from mmopt.problem import SetPoint, Tracking
from mmopt.reactor import Quantity, System
from mmopt.reactor.system import Cell, Values
from tests import faults as injected

START = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
NOISE = {"volume": 0.005, "biomass": 0.05, "glucose": 0.05, "acetate": 0.02, "oxygen": 0.003}
LIMITS: dict[str, tuple[float | None, float | None]] = {"oxygen_saturation": (35.0, None), "volume": (None, 3.0)}
RECOVERED = {"deviations": 4.0, "move": 0.1}
SEEDS = 200


def faults(count: int = 60) -> dict[str, Any]:
    """All single faults and random pairs, with either set of sensors."""
    cell, rows = injected.shipped(), []
    here, apart = injected.controller(cell), injected.controller(cell, own_process=True)
    for sensors in injected.SENSORS:
        undisturbed = injected.run((), here, cell, sensors)
        both = [("single", one) for one in injected.singles(sensors)]
        both += [("pair", one) for one in injected.pairs(count, sensors, seed=2024)]
        for kind, given in both:
            row: dict[str, Any] = {
                "sensors": sensors,
                "kind": kind,
                "faults": [f"{one.kind}: {one.sensor}" for one in given],
            }
            try:
                batch = injected.run(given, apart if injected.hangs(given) else here, cell, sensors)
            except Exception as error:  # the figure that counts
                rows.append({**row, "raised": f"{type(error).__name__}: {error}"})
                continue
            rows.append({**row, "breaches": injected.breaches(batch), **injected.recovery(batch, undisturbed)})
    apart.close()
    sums = {
        f"{kind}s, {sensors}": _summed(rows, kind, sensors)
        for sensors in injected.SENSORS
        for kind in ("single", "pair")
    }
    print(json.dumps(sums, indent=1), flush=True)
    return {"pairs": count, "rows": sums, "runs": rows}


def _summed(rows: list[dict[str, Any]], kind: str, sensors: str) -> dict[str, Any]:
    own = [row for row in rows if (row["kind"], row["sensors"]) == (kind, sensors)]
    ended = [row for row in own if "raised" not in row]
    lasting = [
        row
        for row in ended
        if row["fallback"] or row["deviations"] > RECOVERED["deviations"] or row["move"] > RECOVERED["move"]
    ]
    return {
        "batches": len(own),
        "raised": len(own) - len(ended),
        "gate broken": sum(bool(row["breaches"]) for row in ended),
        "not recovered": [row["faults"] for row in lasting],
        "largest error [standard deviations]": max(row["deviations"] for row in ended),
        "largest error while it lasts": max(row["worst during"] for row in ended),
        "largest change of the move": max(row["move"] for row in ended),
        "least objective": min(row["objective"] for row in ended),
        "largest violation": max(row["violation"] for row in ended),
        "slowest step [s]": max(row["slowest"] for row in ended),
    }


@dataclass(frozen=True)
class Chemostat(System):
    """Monod's chemostat."""

    states = (Quantity("cells", "g/L", lower=0.0), Quantity("sugar", "g/L", lower=0.0))
    controls = (Quantity("dilution", "1/h", lower=0.0),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        growth = 0.5 * states["sugar"] / (0.2 + states["sugar"])
        return {
            "cells": (growth - controls["dilution"]) * states["cells"],
            "sugar": controls["dilution"] * (10.0 - states["sugar"]) - growth * states["cells"] / 0.5,
        }


def fed_batch(hours: float = 6.0) -> Problem:
    limits = {**LIMITS, "acetate": (None, 2.0)}
    return Problem(ecoli_fed_batch(), START, Horizon(hours, round(2 * hours)), {"feed": (0.0, 0.1)}, limits)


def cycles(count: int = 2000) -> dict[str, Any]:
    """Memory and times of many cycles: batches one after the other, here and with an own process, and one culture."""
    rows = {
        "batches": _batches(count, False),
        "batches, solver in its own process": _batches(count, True),
        "one culture": _culture(count),
    }
    print(json.dumps(rows, indent=1), flush=True)
    return rows


def _batches(count: int, own: bool) -> dict[str, Any]:
    cell, problem = load_surrogate("ecoli_textbook"), fed_batch()
    watch = Watch(count)
    with Controller(problem, cell, 0.5, own_process=own) as controller:
        seed = 0
        while not watch.is_over:
            controller.reset()
            plant = Plant(problem.system, cell, START, parameters={"kla": 285.0}, noise=NOISE, seed=seed)
            estimator = Estimator(problem.system, cell, START, NOISE, drifting={"kla": 0.05})
            watch.add(run_closed_loop(plant, controller, estimator, lambda *_: watch.look()))
            seed += 1
    return watch.figures()


def _culture(count: int) -> dict[str, Any]:
    """A set-point that changes every 50 h; the estimator keeps the last 500 intervals."""
    times = tuple((50.0 * k, 1.0 + k % 3) for k in range(count // 200 + 1))
    problem = Problem(
        Chemostat(),
        {"cells": 4.0, "sugar": 2.0},
        Horizon(3.0, elements=6),
        {"dilution": Control(0.0, 0.6)},
        maximise=Tracking({"sugar": SetPoint(times)}, moves={"dilution": 1.0}),
    )
    noise = {"cells": 0.05, "sugar": 0.05}
    watch = Watch(count)
    plant = Plant(problem.system, None, problem.initial, noise=noise, seed=1)
    controller = Controller(problem, None, 0.25, horizon="receding")
    estimator = Estimator(problem.system, None, problem.initial, noise)
    watch.add(run_closed_loop(plant, controller, estimator, lambda *_: watch.look(), hours=0.25 * count))
    return watch.figures()


class Watch:
    """Memory after every cycle, and times of steps."""

    def __init__(self, count: int) -> None:
        self.count, self.memory, self.seconds, self.fallbacks = count, [], [], 0
        self.process = psutil.Process()

    @property
    def is_over(self) -> bool:
        return len(self.seconds) >= self.count

    def look(self) -> None:
        running = [self.process, *self.process.children()]
        self.memory.append([one.memory_info().rss for one in running])

    def add(self, loop: Any) -> None:
        self.seconds += loop.seconds.tolist()
        self.fallbacks += loop.fallbacks

    def figures(self) -> dict[str, Any]:
        sums = np.array([sum(one) for one in self.memory]) / 2**20
        early = sums[len(sums) // 10 : len(sums) // 5].max()
        return {
            "cycles": len(self.seconds),
            "fallbacks": self.fallbacks,
            "memory after a tenth [MB]": float(early),
            "memory at the end [MB]": float(sums[-1]),
            "largest growth": float(sums[len(sums) // 5 :].max() / early - 1.0),
            "median [s]": float(np.median(self.seconds)),
            "p99 [s]": float(np.percentile(self.seconds, 99)),
            "worst [s]": float(max(self.seconds)),
        }


class Hangs(LimitsFirst):
    """Hangs for ever in every solve but the first."""

    def solve(self, *given: Any) -> Any:
        if self._hung:
            while True:
                pass
        self._hung = True
        return super().solve(*given)

    _hung = False


def time_limit(times: int = 8) -> dict[str, Any]:
    """How much longer than its time limit a step takes, at the most."""
    rows = {}
    for seconds in (0.05, 0.2, 1.0):
        rows[f"{seconds:g} s"] = {
            "this process": _late_here(seconds),
            "own process, hangs": _late(seconds, times, partial(Hangs, fed_batch(), load_surrogate("ecoli_textbook"))),
            "own process, stopped": _late(seconds, times, None, signal.SIGSTOP),
            "own process, killed": _late(seconds, times, None, signal.SIGKILL),
            "own process, does not start": _late_start(seconds, times),
        }
        print(seconds, json.dumps(rows[f"{seconds:g} s"]), flush=True)
    return rows


def _late_here(seconds: float) -> float:
    """The first step from no plan, whose solves and simulations take longer."""
    controller = Controller(fed_batch(12.0), load_surrogate("ecoli_ijo1366"), 0.5, time_limit=seconds)
    return max(controller.step(0.0, {**START, "biomass": 2.0 + 0.1 * k}).seconds for k in range(4)) - seconds


def _late(seconds: float, times: int, build: Callable[[], Any] | None, sent: signal.Signals | None = None) -> float:
    worst = -np.inf
    with Controller(fed_batch(), load_surrogate("ecoli_textbook"), 0.5, own_process=True) as controller:
        if build is not None:
            controller._solver.close()
            controller._solver = OwnProcess(build)
        controller.prepare()
        controller.time_limit = seconds
        for _ in range(times):
            controller._solver.wait()
            if build is not None:  # the first solve of a process is its good one
                controller._solver.run(_hung, seconds=60.0)
            if sent is not None:
                os.kill(controller._solver._life[0]._worker._process.pid, sent)
            for _ in range(2):  # the process is new in the second
                worst = max(worst, controller.step(0.5, START).seconds - seconds)
    return float(worst)


def _hung(solver: Hangs) -> None:
    solver._hung = True


def _late_start(seconds: float, times: int) -> float:
    def failing(_: bytes) -> Any:
        raise OSError("no memory")

    whole, own_process.Worker = own_process.Worker, failing
    try:
        with Controller(
            fed_batch(), load_surrogate("ecoli_textbook"), 0.5, own_process=True, time_limit=seconds
        ) as controller:
            return max(controller.step(0.5 * k, START).seconds for k in range(times)) - seconds
    finally:
        own_process.Worker = whole


SCRIPT = """
import sys
from pathlib import Path

from robustness import SEEDS, short_batch
from mmopt.control import run_campaign

if __name__ == "__main__":
    scheduler = sys.argv[2] if len(sys.argv) > 2 else None
    campaign = run_campaign(short_batch(), range(SEEDS), folder=Path("saved"), workers=int(sys.argv[1]), scheduler=scheduler)
    campaign.save("campaign.nc")
"""


def short_batch() -> ControlledBatch:
    """Two hours on the core network, with less oxygen transfer than the controller assumes."""
    cell = load_surrogate("ecoli_textbook")
    problem = Problem(ecoli_fed_batch(), START, Horizon(2.0, 4), {"feed": (0.0, 0.1)}, LIMITS)
    return ControlledBatch(problem, cell, cell, 0.5, NOISE, {"kla": 280.0}, {"kla": 0.05})


def campaign(workers: int) -> dict[str, Any]:
    """The same table, but for the seconds, from one go in this process and from runs that were killed twice."""
    from distributed import LocalCluster

    begun = time.perf_counter()
    reference = run_campaign(short_batch(), range(SEEDS))
    rows: dict[str, Any] = {"batches": SEEDS, "seconds in this process": time.perf_counter() - begun}
    rows["processes"] = _killed(reference, [str(workers)])
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster:
        rows["Dask"] = _killed(reference, ["1", cluster.scheduler_address])
    print(json.dumps(rows, indent=1), flush=True)
    return rows


def _killed(reference: Campaign, arguments: list[str]) -> dict[str, Any]:
    """Kill a campaign when a third and two thirds of its batches are saved, and compare what it comes to."""
    from mmopt.control import load_campaign

    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.py").write_text(SCRIPT)
        here = Path(__file__).parent
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here, here.parent)))}
        saved = []
        for until in (SEEDS // 3, 2 * SEEDS // 3, SEEDS + 1):
            with subprocess.Popen([sys.executable, "script.py", *arguments], cwd=folder, env=environment) as process:
                while process.poll() is None and len(list(folder.glob("saved/seed_*.nc"))) < until:
                    time.sleep(0.02)
                process.kill()
            saved.append(len(list(folder.glob("saved/seed_*.nc"))))
        resumed = load_campaign(folder / "campaign.nc")
    same = resumed.data.drop_vars("seconds").identical(reference.data.drop_vars("seconds"))
    return {"saved at the kills": saved[:2], "same table": bool(same), "seconds": time.perf_counter() - begun}

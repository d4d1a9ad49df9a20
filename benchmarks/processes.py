"""Seconds until a process has solved its first task: started anew, and from one that has imported mmopt, in one run.

    python benchmarks/processes.py

The task returns at once; what it needs is the import of the solver, the demo's controller. Starts of both kinds alternate. The
first of the fork server includes its own start. Results go into ``results/processes.json``.
"""

import json
import time
from multiprocessing import get_context
from pathlib import Path
from pickle import dumps
from typing import Any

import numpy as np

from mmopt import Horizon, Problem, ecoli_fed_batch, load_surrogate
from mmopt.parallel import pool

TARGET = Path(__file__).parent / "results" / "processes.json"
START = {"volume": 2.0, "biomass": 0.25, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
STARTS = 12


class Echo:
    """Returns the task; it carries a problem and a surrogate as a solver of steps does."""

    def __init__(self) -> None:
        self.problem = Problem(ecoli_fed_batch(), START, Horizon(12.0, 24), {"feed": (0.0, 0.1)})
        self.surrogate = load_surrogate("ecoli_ijo1366")

    def solve(self, task: Any) -> Any:
        """The task."""
        from mmopt.control.limits_first import LimitsFirst

        return task if LimitsFirst else None


def seconds(context: Any, payload: bytes) -> float:
    """From the start of a process to its first result [s]."""
    pool.process_context = lambda: context
    begun = time.perf_counter()
    worker = pool.Worker(payload)
    worker.solve(1)
    ended = time.perf_counter() - begun
    worker.kill()
    return ended


def main() -> None:
    payload, server, anew = dumps(Echo()), pool.process_context(), get_context("spawn")
    times: dict[str, list[float]] = {"anew": [], "from the fork server": []}
    for _ in range(STARTS):
        times["anew"].append(seconds(anew, payload))
        times["from the fork server"].append(seconds(server, payload))
    first = times["from the fork server"].pop(0)
    medians = {name: float(np.median(known)) for name, known in times.items()}
    found = {"first of the fork server": first, **medians, "ratio": medians["anew"] / medians["from the fork server"]}
    for name, value in found.items():
        print(f"{name:26} {value:8.3f}")
    TARGET.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

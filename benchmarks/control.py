"""Closed loops over many seeds, noises and plants, and first steps of random fed-batches.

    python benchmarks/control.py [PART ...] [--seeds N] [--workers N]

``noise``: the case study with the noise of its file and twice that, on the plant that the controller assumes and on others,
beside a controller that knows the plant; ``gas``: the same with off-gas, dissolved oxygen and volume alone;
``first``: first steps of the random fed-batches of ``benchmarks/optimisation.py``;
``perfect``: a plant that is known and measured exactly repeats the open-loop optimum; ``faults``, ``cycles``, ``time_limit``
and ``campaign`` are those of ``robustness.py``. All by default. The plant's cell is the surrogate, so that what is measured is
the controller. Results are written to ``results/control.json``.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import robustness
from optimisation import random_problems

from mmopt import (
    Controller,
    Horizon,
    Plant,
    Problem,
    Surrogate,
    load_surrogate,
    run_closed_loop,
)
from mmopt.control import ControlledBatch
from mmopt.search.initial_guess import feasible_guess, keeps_limits
from mmopt.study import read_study

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "case_studies" / "ecoli_fedbatch" / "study.yaml"
TARGET = Path(__file__).parent / "results" / "control.json"
BROKEN = 0.05
"""Fraction of a limit from which on it counts as broken."""


@dataclass(frozen=True)
class Truth:
    """What a plant differs in from the reactor that the controller assumes: factors of parameters and of maintenance."""

    parameters: Mapping[str, float]
    maintenance: float = 1.0


PLANTS = {
    "as assumed": Truth({}),
    "uptake -20 %": Truth({"glucose_vmax": 0.8}),
    "kla -20 %": Truth({"kla": 0.8}),
    "maintenance +30 %": Truth({}, 1.3),
    "all of these": Truth({"glucose_vmax": 0.8, "kla": 0.8}, 1.3),
}


GAS = {"volume": 0.005, "oxygen_saturation": 1.0, "oxygen_uptake": 1.0, "carbon_evolution": 1.0}
"""Noise of a balance [L], a probe [%] and an off-gas analyser [mmol/L/h]."""

ESTIMATED = {"glucose_vmax": 0.05}
"""What is estimated besides the oxygen transfer where glucose is not measured."""


@cache
def cell(maintenance: float = 1.0) -> Surrogate:
    """The shipped surrogate, with a factor of its maintenance."""
    shipped = load_surrogate("ecoli_ijo1366")
    return shipped if maintenance == 1.0 else shipped.with_maintenance(maintenance * shipped.maintenance_demand)


@cache
def case() -> tuple[Problem, Any]:
    """The case study, and the settings of its closed loop."""
    study = read_study(STUDY)
    system = replace(study.problem.system, carbon_dioxide="EX_co2_e")
    return replace(study.problem, system=system), study.closed_loop


def one_loop(seed: int, plant: str, noisier: float, knows: bool, gas: bool = False) -> dict[str, Any]:
    """One batch under control."""
    problem, settings = case()
    truth = PLANTS[plant]
    values = {name: factor * problem.system.defaults[name] for name, factor in truth.parameters.items()}
    batch = ControlledBatch(
        replace(problem, parameters=values) if knows else problem,
        cell(truth.maintenance if knows else 1.0),
        cell(truth.maintenance),
        settings.interval,
        {name: noisier * deviation for name, deviation in (GAS if gas else settings.noise).items()},
        values,
        {**settings.estimated, **(ESTIMATED if gas else {})},
        settings.limits,
    )
    loop = batch.run(seed)
    return {
        "seed": seed,
        "objective": loop.objective,
        "violations": problem.violated_limits(loop.trajectory),
        "fallbacks": loop.fallbacks,
        "seconds": loop.seconds.tolist(),
    }


def noise(seeds: int, workers: int, gas: bool = False) -> dict[str, Any]:
    """All plants and noises; for each also a controller that knows the plant, with the same seeds."""
    rows: dict[str, Any] = {}
    print("off-gas, dissolved oxygen and volume are measured" if gas else "all states are measured")
    print(f"{'plant':20} {'noise':>5} {'knows':>5} {'mean g':>7} {'least g':>7} {'broken':>6} {'worst':>6} {'fallb.':>6}"
          f" {'median s':>8} {'p99 s':>6} {'most s':>6}")  # fmt: skip
    for plant in PLANTS:
        for noisier in (1.0, 2.0):
            for knows in (True, False) if plant != "as assumed" else (True,):
                each = partial(one_loop, plant=plant, noisier=noisier, knows=knows, gas=gas)
                with ProcessPoolExecutor(workers) as pool:
                    runs = list(pool.map(each, range(seeds)))
                sums = summary(runs)
                rows[f"{plant}, noise x {noisier:g}, {'knows the plant' if knows else 'does not'}"] = sums
                print(f"{plant:20} {noisier:5g} {knows!s:>5} {sums['mean']:7.2f} {sums['least']:7.2f}"
                      f" {sums['broken']:6} {sums['worst_violation']:6.1%} {sums['fallbacks']:6}"
                      f" {sums['median_seconds']:8.3f} {sums['p99_seconds']:6.2f} {sums['most_seconds']:6.2f}",
                      flush=True)  # fmt: skip
    return {"seeds": seeds, "rows": rows}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Distributions over seeds."""
    worst = [max(run["violations"].values(), default=0.0) for run in runs]
    seconds = np.concatenate([run["seconds"] for run in runs])
    return {
        "mean": float(np.mean([run["objective"] for run in runs])),
        "least": float(np.min([run["objective"] for run in runs])),
        "broken": sum(by > BROKEN for by in worst),
        "worst_violation": float(max(worst)),
        "fallbacks": sum(run["fallbacks"] for run in runs),
        "median_seconds": float(np.median(seconds)),
        "p99_seconds": float(np.percentile(seconds, 99)),
        "most_seconds": float(seconds.max()),
        "runs": [{key: run[key] for key in ("seed", "objective", "violations", "fallbacks")} for run in runs],
    }


def first_step(number: int) -> dict[str, Any]:
    """The first step of a random fed-batch, without any plan before."""
    problem = list(random_problems(number + 1))[number]
    controller = Controller(problem, cell(), problem.horizon.hours / problem.horizon.elements)
    feasible = keeps_limits(problem, feasible_guess(controller._solver._compiled.simulator).trajectory)
    begun = time.perf_counter()
    move = controller.step(0.0, problem.start_values)
    return {
        "feasible": feasible,
        "fallback": move.fallback,
        "violations": list(move.violations),
        "seconds": time.perf_counter() - begun,
    }


def first(workers: int, count: int = 200) -> dict[str, Any]:
    """First steps: how many violate a limit that a simulated feed keeps, how many end without an answer."""
    with ProcessPoolExecutor(workers) as pool:
        rows = list(pool.map(first_step, range(count)))
    feasible = [row for row in rows if row["feasible"]]
    result = {
        "problems": count,
        "feasible": len(feasible),
        "violating": sum(bool(row["violations"]) for row in feasible),
        "without_answer": sum(bool(row["fallback"]) for row in feasible),
        "infeasible_without_answer": sum(bool(row["fallback"]) for row in rows if not row["feasible"]),
        "seconds": {q: float(np.percentile([row["seconds"] for row in rows], q)) for q in (50, 95, 100)},
    }
    print(json.dumps(result, indent=1), flush=True)
    return result


def perfect() -> dict[str, Any]:
    """A plant that is known and measured exactly: the closed loop beside the first plan."""
    problem, settings = case()
    assumed = replace(problem, horizon=Horizon(problem.horizon.hours, 24))
    controller = Controller(assumed, cell(), settings.interval)
    controller.step(0.0, problem.start_values)
    planned = assumed.objective_value(controller._solver._compiled.trajectory())
    plant = Plant(problem.system, cell(), problem.start_values, noise=dict.fromkeys(problem.start_values, 0.0))
    loop = run_closed_loop(plant, Controller(assumed, cell(), settings.interval))
    result = {"planned": planned, "closed loop": loop.objective, "violations": dict(loop.violations)}
    print(json.dumps(result, indent=1), flush=True)
    return result


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "perfect": lambda given: perfect(),
    "first": lambda given: first(given.workers),
    "noise": lambda given: noise(given.seeds, given.workers),
    "gas": lambda given: noise(given.seeds, given.workers, gas=True),
    "faults": lambda given: robustness.faults(),
    "cycles": lambda given: robustness.cycles(),
    "time_limit": lambda given: robustness.time_limit(),
    "campaign": lambda given: robustness.campaign(given.workers),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    results = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    for part in given.parts or PARTS:
        results[part] = PARTS[part](given)
        TARGET.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

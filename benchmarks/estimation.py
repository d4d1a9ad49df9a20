"""The Kalman filter and the moving-horizon estimator on simulated plants, measured by off-gas, dissolved oxygen and volume.

    python benchmarks/estimation.py [coverage] [step] [inoculum] [--seeds N]

``coverage``: how often 95 % intervals contain the truth, where the first estimate errs as assumed, with the drift that is
assumed and without any, in a batch that keeps its glucose and in one that spends it; ``step``: aeration falls by a fifth at
1 h; ``inoculum``: a third more biomass than assumed. All by default. The reactor is that of *E. coli* with the surrogate of the
textbook network, 0.25 h between measurements. Results are written to ``results/estimation.json``.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mmopt import Estimator, Plant, Surrogate, ecoli_fed_batch, load_surrogate
from mmopt.control import MovingHorizonEstimator
from mmopt.reactor import Bioreactor

TARGET = Path(__file__).parent / "results" / "estimation.json"
START = {"volume": 2.0, "biomass": 1.0, "glucose": 10.0, "acetate": 0.3, "oxygen": 0.19}
STARTS = {"glucose to the end": START, "glucose spent": {**START, "biomass": 2.0, "glucose": 4.0}}
OFF_GAS = {"volume": 0.005, "oxygen_saturation": 1.0, "oxygen_uptake": 0.5, "carbon_evolution": 0.5}
FEED = {"feed": 0.02}
INTERVAL, INTERVALS = 0.25, 12
WITHIN = 1.959964
"""Standard deviations of a 95 % interval."""

ESTIMATORS: dict[str, Callable[..., Estimator]] = {"filter": Estimator, "horizon 6": MovingHorizonEstimator}


@cache
def cell() -> Surrogate:
    return load_surrogate("ecoli_textbook")


@cache
def reactor() -> Bioreactor:
    return replace(ecoli_fed_batch(), carbon_dioxide="EX_co2_e")


@dataclass
class Record:
    """Errors and standard deviations of every unknown at every measurement, notes, and seconds of updates."""

    errors: list[dict[str, float]] = field(default_factory=list)
    deviations: list[dict[str, float]] = field(default_factory=list)
    estimates: list[dict[str, float]] = field(default_factory=list)
    truths: list[dict[str, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def followed(
    estimator: Estimator,
    truth: Mapping[str, float],
    kla: Callable[[int, float], float],
    seed: int,
    disturbed: Callable[[dict[str, float]], dict[str, float]] = dict,
) -> Record:
    """Follow a plant, whose aeration and states may change between two intervals."""
    record, states, now = Record(), dict(truth), kla(0, 300.0)
    held, noise = {"feed": 0.0}, np.random.default_rng(seed)
    for number in range(INTERVALS):
        plant = Plant(
            reactor(), cell(), states, parameters={"kla": now}, noise=OFF_GAS, seed=int(noise.integers(2**31))
        )
        plant._controls = held
        begun = time.perf_counter()
        record.notes += estimator.update(plant.measure())
        record.seconds.append(time.perf_counter() - begun)
        actual = {**states, "kla": now}
        estimate = {**estimator.states, **estimator.parameters}
        record.estimates.append(estimate)
        record.truths.append(actual)
        record.errors.append({name: estimate[name] - actual[name] for name in estimate})
        record.deviations.append(estimator.deviations)
        plant.advance(FEED, INTERVAL)
        estimator.predict(FEED, INTERVAL)
        held, states, now = dict(FEED), disturbed(plant.states), kla(number + 1, now)
    return record


def coverage(seeds: int) -> list[dict[str, Any]]:
    """Fractions of 95 % intervals that contain the truth, and root mean squares of relative errors."""
    rows = []
    for title, start in STARTS.items():
        for drift, own in ((0.0, 0.0), (0.02, 0.1)):
            for name, kind in ESTIMATORS.items():
                records = [random_batch(kind, start, seed, drift, own) for seed in range(seeds)]
                rows.append({"batch": title, "drift": drift, "estimator": name, **figures(records)})
                print(rows[-1], flush=True)
    return rows


def figures(records: list[Record]) -> dict[str, Any]:
    """Coverage of every unknown and of all, root mean squares of relative errors, what was left out, and times of updates."""
    inside: dict[str, list[bool]] = {}
    relative: dict[str, list[float]] = {}
    for record in records:
        for error, deviation, truth in zip(record.errors, record.deviations, record.truths, strict=True):
            for name, value in error.items():
                inside.setdefault(name, []).append(abs(value) <= WITHIN * deviation[name])
                relative.setdefault(name, []).append(value / truth[name])
    seconds = [value for record in records for value in record.seconds[6:]]
    return {
        "covered": round(float(np.mean([value for values in inside.values() for value in values])), 4),
        "covered by unknown": {name: round(float(np.mean(values)), 4) for name, values in inside.items()},
        "relative error": {
            name: round(float(np.sqrt(np.mean(np.square(values)))), 4) for name, values in relative.items()
        },
        "left out": sum(len(record.notes) for record in records),
        "seconds": {"median": round(float(np.median(seconds)), 4), "most": round(max(seconds), 3)},
    }


def random_batch(
    kind: Callable[..., Estimator], start: Mapping[str, float], seed: int, drift: float, own: float
) -> Record:
    """A plant whose start, aeration and drift are random as the estimator assumes; 10 % are the first uncertainty."""
    random = np.random.default_rng(1000 + seed)
    scales = {known.name: known.scale for known in reactor().states}

    def shifted(states: Mapping[str, float], by: float) -> dict[str, float]:
        sizes = {name: max(value, 0.02 * scales[name]) for name, value in states.items()}
        return {name: max(value + by * sizes[name] * random.standard_normal(), 0.0) for name, value in states.items()}

    first = 300.0 * (1.0 + 0.1 * random.standard_normal())

    def kla(number: int, now: float) -> float:
        return first if number == 0 else now + 300.0 * own * INTERVAL**0.5 * random.standard_normal()

    estimator = kind(reactor(), cell(), start, OFF_GAS, drifting={"kla": own}, drift=drift, uncertainty=0.1)
    return followed(estimator, shifted(start, 0.1), kla, seed, lambda states: shifted(states, drift * INTERVAL**0.5))


def step(seeds: int) -> list[dict[str, Any]]:
    """Hours after which the aeration is known to 5 % for good, after it fell by a fifth at 1 h."""
    rows = []
    for title, kind in ESTIMATORS.items():
        hours, notes = [], 0
        for seed in range(seeds):
            estimator = kind(reactor(), cell(), START, OFF_GAS, drifting={"kla": 0.1})
            record = followed(estimator, START, lambda number, now: 300.0 if number < 4 else 240.0, seed)
            wrong = [k for k, error in enumerate(record.errors) if k >= 4 and abs(error["kla"]) > 0.05 * 240.0]
            hours.append(INTERVAL * (max(wrong) + 1 - 4) if wrong else 0.0)
            notes += len(record.notes)
        rows.append({"estimator": title, "median": float(np.median(hours)), "most": max(hours), "left out": notes})
        print(rows[-1], flush=True)
    return rows


def inoculum(seeds: int) -> list[dict[str, Any]]:
    """Relative errors of biomass and glucose where the inoculum is a third thicker than assumed."""
    rows = []
    for title, kind in ESTIMATORS.items():
        errors: dict[str, list[float]] = {"biomass": [], "glucose": []}
        seconds: list[float] = []
        for seed in range(seeds):
            estimator = kind(reactor(), cell(), START, OFF_GAS, uncertainty=0.3)
            record = followed(estimator, {**START, "biomass": 1.33}, lambda number, now: 300.0, seed)
            seconds += record.seconds
            for name, values in errors.items():
                values.append(max(abs(record.errors[k][name]) / record.truths[k][name] for k in range(4, 8)))
        most = {name: round(max(values), 4) for name, values in errors.items()}
        median = {f"{name} median": round(float(np.median(values)), 4) for name, values in errors.items()}
        rows.append({"estimator": title, **most, **median, "seconds": float(np.median(seconds))})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["coverage", "step", "inoculum"])
    parser.add_argument("--seeds", type=int, default=100)
    given = parser.parse_args()
    results = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    for name in given.kinds:
        results[name] = {"coverage": coverage, "step": step, "inoculum": inoculum}[name](given.seeds)
        TARGET.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

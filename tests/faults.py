"""Faults of sensors, transmission and solver in a closed loop: one batch, in which they last for some steps."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from mmopt import (
    Control,
    Controller,
    Estimator,
    Horizon,
    Plant,
    Problem,
    Surrogate,
    ecoli_fed_batch,
    load_surrogate,
    run_closed_loop,
)
from mmopt.control import ClosedLoop, LateValue
from mmopt.control.limits_first import LimitsFirst
from mmopt.parallel import OwnProcess
from mmopt.problem.step_data import StepData

START = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
STATES = {"volume": 0.005, "biomass": 0.05, "glucose": 0.05, "acetate": 0.02, "oxygen": 0.003}
GAS = {"volume": 0.005, "oxygen_saturation": 1.0, "oxygen_uptake": 0.5, "carbon_evolution": 0.5}
SENSORS = {"states": STATES, "gas": GAS}
"""Noise of the sensors: all states, or the off-gas, a probe and a balance."""

NOISE = {**STATES, **GAS}
LIMITS = {"oxygen_saturation": (35.0, None), "acetate": (None, 2.0), "volume": (None, 3.0)}
PUMP = Control(0.0, 0.1, rate_limit=0.06)
HOURS, INTERVAL = 5.0, 0.5
BEGIN, STEPS = 4, 3
"""The step at which a fault begins, and how many it lasts."""

_LEAST = 1.0e-3
"""Standard deviation that an error is compared with at the least, in the unit of the state [g/L, L, mmol/L]."""

GOOD = 3
"""Good samples after which a batch has recovered."""

BUDGET = 0.6
"""Time limit of a step whose solver hangs [s]."""

Alter = Callable[[dict[str, Any], str, int, Any], None]
"""Changes what was measured: (measured, sensor, number of the faulty sample, memory)."""


def _value(value: Any) -> Alter:
    def alter(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
        measured[sensor] = value

    return alter


def _times(factor: float) -> Alter:
    def alter(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
        measured[sensor] = factor * measured[sensor]

    return alter


def _spike(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
    if number == 1:
        measured[sensor] = measured[sensor] + 50.0 * NOISE[sensor]


def _frozen(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
    measured[sensor] = memory.setdefault(sensor, measured[sensor])


def _drift(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
    measured[sensor] = measured[sensor] + 1.5 * (number + 1) * NOISE[sensor]


def _missing(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
    del measured[sensor]


def _late(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
    value = LateValue(measured.pop(sensor), INTERVAL * (BEGIN + number))
    if sensor in memory:
        measured[sensor] = memory[sensor]
    memory[sensor] = value


def _unknown_tag(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
    measured[sensor[:-1]] = measured.pop(sensor)


def _nothing(measured: dict[str, Any], sensor: str, number: int, memory: dict[str, Any]) -> None:
    """The fault is in the solver."""


FAULTS: Mapping[str, Alter] = {
    "nan": _value(math.nan),
    "none": _value(None),
    "text": _value("bad input"),
    "spike": _spike,
    "stuck": _value(0.0),
    "frozen": _frozen,
    "drift": _drift,
    "unit": _times(1000.0),
    "negative": _times(-1.0),
    "million": _value(1.0e6),
    "missing": _missing,
    "late": _late,
    "unknown tag": _unknown_tag,
    "solver fails": _nothing,
    "solver hangs": _nothing,
}


@dataclass(frozen=True)
class Fault:
    """A fault of a sensor, or of the solver."""

    kind: str
    sensor: str = "biomass"


class FaultyPlant(Plant):
    """A plant whose sensors have faults for some steps."""

    def __init__(self, faults: Sequence[Fault], *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.faults, self.number = faults, 0
        self.memory: list[dict[str, Any]] = [{} for _ in faults]

    def measure(self) -> dict[str, Any]:
        measured: dict[str, Any] = super().measure()
        number = self.number - BEGIN
        for fault, memory in zip(self.faults, self.memory, strict=True):
            if 0 <= number < STEPS and isinstance(measured.get(fault.sensor), float):
                FAULTS[fault.kind](measured, fault.sensor, number, memory)
        self.number += 1
        return measured


@dataclass
class Recorded:
    """An estimator and what it came to after each measurement."""

    estimator: Estimator
    plant: Plant
    estimates: list[Mapping[str, float]] = field(default_factory=list)
    errors: list[dict[str, float]] = field(default_factory=list)

    @property
    def sensors(self) -> tuple[str, ...]:
        return self.estimator.sensors

    def update(self, measured: Mapping[str, Any]) -> tuple[str, ...]:
        notes = self.estimator.update(measured)
        truth, deviations = self.plant.states, self.estimator.deviations
        self.estimates.append(self.states)
        self.errors.append(
            {name: abs(value - truth[name]) / max(deviations[name], _LEAST) for name, value in self.states.items()}
        )
        return notes

    def predict(self, controls: Mapping[str, float], duration: float) -> None:
        self.estimator.predict(controls, duration)

    @property
    def states(self) -> dict[str, float]:
        return self.estimator.states

    @property
    def parameters(self) -> dict[str, float]:
        return self.estimator.parameters


class HangsAtTimes(LimitsFirst):
    """Hangs for ever in the steps with faults."""

    def set_data(self, data: StepData) -> None:
        self._hangs = BEGIN * INTERVAL - 0.1 < data.elapsed < (BEGIN + STEPS) * INTERVAL - 0.1
        super().set_data(data)

    def solve(self, *given: Any) -> Any:
        while self._hangs:
            pass
        return super().solve(*given)


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch with faults: the loop, estimates, and their errors in standard deviations."""

    loop: ClosedLoop
    estimates: Sequence[Mapping[str, float]]
    errors: Sequence[Mapping[str, float]]

    @property
    def moves(self) -> np.ndarray:
        return np.array([step.move.controls["feed"] for step in self.loop.steps])


def problem() -> Problem:
    reactor = replace(ecoli_fed_batch(), carbon_dioxide="EX_co2_e")
    return Problem(reactor, START, Horizon(HOURS, 10), {"feed": PUMP}, LIMITS)


def controller(cell: Surrogate, own_process: bool = False) -> Controller:
    if not own_process:
        return Controller(problem(), cell, INTERVAL)
    made = Controller(problem(), cell, INTERVAL, time_limit=BUDGET)
    made._solver = OwnProcess(partial(HangsAtTimes, problem(), cell))
    return made


def run(faults: Sequence[Fault], of: Controller, cell: Surrogate, sensors: str = "states", seed: int = 1) -> Batch:
    """One batch; between steps there is time for a new process to be ready, as there is at a plant."""
    of.reset()
    noise = SENSORS[sensors]
    plant = FaultyPlant(faults, of.problem.system, cell, START, noise=noise, seed=seed)
    recorded = Recorded(Estimator(of.problem.system, cell, START, noise), plant)
    whole = of._solver.solve

    def failing(*given: Any) -> Any:
        if BEGIN < plant.number <= BEGIN + STEPS:
            raise RuntimeError("injected failure")
        return whole(*given)

    def wait(done: int, total: int) -> None:
        if isinstance(of._solver, OwnProcess):
            of._solver.wait()

    if any(fault.kind == "solver fails" for fault in faults):
        of._solver.solve = failing  # type: ignore[method-assign]
    try:
        loop = run_closed_loop(plant, of, recorded, wait)  # type: ignore[arg-type]
    finally:
        of._solver.solve = whole  # type: ignore[method-assign]
    return Batch(loop, recorded.estimates, recorded.errors)


def breaches(batch: Batch) -> list[str]:
    """What a batch may never do: write what pump and vessel cannot take, or anything that is no number."""
    moves, seen = batch.moves, []
    if not np.all(np.isfinite(moves)) or moves.min() < PUMP.low or moves.max() > PUMP.high:
        seen.append(f"range: {moves}")
    volumes = np.array([estimate["volume"] for estimate in batch.estimates])
    full = volumes + INTERVAL * moves > np.maximum(3.0, volumes) + 1.0e-9
    if np.any(full):
        seen.append(f"volume: {volumes[full]}")
    assert PUMP.rate_limit is not None
    if np.any(np.diff(moves) > PUMP.rate_limit * INTERVAL + 1.0e-12):
        seen.append(f"fastest change: {moves}")
    if not all(math.isfinite(value) for estimate in batch.estimates for value in estimate.values()):
        seen.append("an estimate is no number")
    plant = batch.loop.trajectory
    seen += [f"{name} of the plant is no number" for name in START if not np.all(np.isfinite(plant[name]))]
    seen += [f"no reason at {step.time} h" for step in batch.loop.steps if step.move.fallback and not step.move.reason]
    return seen


def recovery(batch: Batch, undisturbed: Batch) -> dict[str, Any]:
    """How a batch is after three good samples: the largest error of the estimate in standard deviations, its state, whether the
    move is an optimum, and by what fraction it differs from the undisturbed one at that time."""
    at = BEGIN + STEPS + GOOD - 1
    errors = batch.errors[at]
    worst = max(errors, key=lambda name: errors[name])
    move, other = batch.moves[at], undisturbed.moves[at]
    return {
        "deviations": float(errors[worst]),
        "state": worst,
        "fallback": batch.loop.steps[at].move.fallback,
        "move": float(abs(move - other) / max(other, 0.01 * PUMP.high)),
        "objective": float(batch.loop.objective / undisturbed.loop.objective),
        "worst during": float(max(max(batch.errors[k].values()) for k in range(BEGIN, BEGIN + STEPS))),
        "violation": float(max(batch.loop.violations.values(), default=0.0)),
        "slowest": float(max(batch.loop.seconds)),
    }


def singles(sensors: str) -> Iterator[tuple[Fault, ...]]:
    """Every fault of every sensor, and those of the solver."""
    for kind in FAULTS:
        for sensor in SENSORS[sensors] if not kind.startswith("solver") else ("volume",):
            yield (Fault(kind, sensor),)


def pairs(count: int, sensors: str, seed: int) -> Iterator[tuple[Fault, ...]]:
    """Random pairs of faults, of one sensor or of two."""
    random, names = np.random.default_rng(seed), list(SENSORS[sensors])
    for _ in range(count):
        kinds = random.choice(list(FAULTS), 2, replace=False)
        yield tuple(Fault(str(kind), names[random.integers(len(names))]) for kind in kinds)


def hangs(faults: Sequence[Fault]) -> bool:
    return any(fault.kind == "solver hangs" for fault in faults)


def shipped() -> Surrogate:
    return load_surrogate("ecoli_textbook")

"""A short batch of the core network under a supervisor, and what its sensors send."""

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mmopt import Control, Controller, Estimator, Horizon, Plant, Problem, ecoli_fed_batch, load_surrogate
from mmopt.control import LateValue, MovingHorizonEstimator
from mmopt.operation import Action, Journal, Mode, Supervisor
from mmopt.problem.content import content_of

START = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
NOISE = {"biomass": 0.05, "glucose": 0.05, "oxygen_saturation": 1.0}
INTERVAL, STEPS = 0.5, 6


def problem_of(rate_limit: float | None = None, low: float = 0.0) -> Problem:
    feed = Control(low, 0.1, rate_limit=rate_limit)
    limits = {"oxygen_saturation": (10.0, None)}
    return Problem(ecoli_fed_batch(), START, Horizon(3.0, elements=6), {"feed": feed}, limits)


_WAITING: dict[str, list[Controller]] = {}
_LENT: list[tuple[str, Controller]] = []


def controller_of(problem: Problem) -> Controller:
    """A controller that nothing else has in the present test; what it compiled is used again in later ones."""
    key = repr(content_of(problem))
    waiting = _WAITING.setdefault(key, [])
    controller = waiting.pop() if waiting else Controller(problem, load_surrogate("ecoli_textbook"), INTERVAL)
    controller.reset()
    _LENT.append((key, controller))
    return controller


@pytest.fixture(autouse=True)
def controllers_are_used_again() -> Iterator[None]:
    yield
    while _LENT:
        key, controller = _LENT.pop()
        _WAITING[key].append(controller)


def estimator_of(problem: Problem, kind: str = "kalman_filter") -> Estimator:
    cell, drifting = load_surrogate("ecoli_textbook"), {"kla": 0.05}
    if kind == "moving_horizon":
        return MovingHorizonEstimator(problem.system, cell, START, NOISE, drifting=drifting, horizon=3)
    return Estimator(problem.system, cell, START, NOISE, drifting=drifting)


def plant_of(problem: Problem) -> Plant:
    return Plant(problem.system, load_surrogate("ecoli_textbook"), {**START, "biomass": 1.1}, noise=NOISE, seed=4)


@cache
def inputs() -> tuple[dict[str, Any], ...]:
    """What arrives at every step: the values of a plant that is fed at one rate, faults, and a late value."""
    plant, arrived = plant_of(problem_of()), []
    for _ in range(STEPS):
        arrived.append(dict(plant.measure()))
        plant.advance({"feed": 0.004}, INTERVAL)
    arrived[1] |= {"glucose": float("nan"), "FT-101": 7.0}
    arrived[2] |= {"glucose": None, "biomass": "lost"}
    arrived[4]["glucose"] = LateValue(arrived[3].pop("glucose"), 3 * INTERVAL)
    return tuple(arrived)


def run(supervisor: Supervisor, first: int = 0, last: int = STEPS) -> list[Action]:
    """Steps of the batch, in shadow at first and in AUTO from the second on."""
    actions = []
    for number in range(first, last):
        if number == 1:
            supervisor.set_mode(Mode.AUTO)
        applied = {"feed": 0.004} if number == 0 else None
        actions.append(supervisor.step(number * INTERVAL, inputs()[number], applied))
    return actions


def supervisor_of(kind: str, journal: Journal | None = None, *, resume: bool = False) -> Supervisor:
    problem = problem_of(rate_limit=0.02)
    parts = controller_of(problem), estimator_of(problem, kind)
    if resume:
        assert journal is not None
        return Supervisor.resume(*parts, journal=journal, mode=Mode.SHADOW)
    return Supervisor(*parts, journal=journal, mode=Mode.SHADOW)


def main(path: str, kind: str, steps: str) -> None:
    """Run some steps, report them, and begin the next one: the process is killed by the test that started it."""
    journal = Journal(Path(path))
    supervisor = supervisor_of(kind, journal)
    run(supervisor, 0, int(steps))
    print("recorded", flush=True)
    if sys.stdin.readline():  # go on, and be killed in the middle of it
        run(supervisor, int(steps), STEPS)
    print("not killed", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

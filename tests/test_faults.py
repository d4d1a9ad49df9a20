"""Faults alone and in pairs: nothing is raised, nothing breaks the gate, and three good samples later they are over."""

from collections.abc import Iterator

import pytest

from mmopt import Controller, Surrogate
from tests import faults
from tests.faults import FAULTS, SENSORS, Batch, Fault

ONE_EACH = [
    (Fault(kind, list(SENSORS[sensors])[(number + shift) % len(SENSORS[sensors])]), sensors)
    for shift, sensors in enumerate(SENSORS)
    for number, kind in enumerate(FAULTS)
    if kind != "solver hangs" and number % len(SENSORS) == shift
]
"""Every fault once, of sensors of either set in turn; `benchmarks/robustness.py faults` has all sensors."""

DEVIATIONS, MOVE = 4.0, 0.1
"""What counts as recovered: errors of the estimate in its standard deviations, and the fraction by which a move differs."""


@pytest.fixture(scope="module")
def cell() -> Surrogate:
    return faults.shipped()


@pytest.fixture(scope="module")
def here(cell: Surrogate) -> Controller:
    return faults.controller(cell)


@pytest.fixture(scope="module")
def apart(cell: Surrogate) -> Iterator[Controller]:
    with faults.controller(cell, own_process=True) as one:
        yield one


@pytest.fixture(scope="module")
def undisturbed(here: Controller, cell: Surrogate) -> dict[str, Batch]:
    return {sensors: faults.run((), here, cell, sensors) for sensors in SENSORS}


def check(batch: Batch, undisturbed: Batch) -> None:
    assert faults.breaches(batch) == []
    after = faults.recovery(batch, undisturbed)
    assert after["deviations"] < DEVIATIONS
    assert after["fallback"] == ""
    assert after["move"] < MOVE


@pytest.mark.parametrize(
    ("fault", "sensors"), ONE_EACH, ids=lambda one: one if isinstance(one, str) else f"{one.kind}-{one.sensor}"
)
def test_batch_recovers_from_a_fault(
    here: Controller, cell: Surrogate, undisturbed: dict[str, Batch], fault: Fault, sensors: str
) -> None:
    batch = faults.run((fault,), here, cell, sensors)
    check(batch, undisturbed[sensors])
    steps = batch.loop.steps[faults.BEGIN : faults.BEGIN + faults.STEPS]
    if fault.kind == "solver fails":
        assert {step.move.fallback for step in steps} == {"last plan"}
    elif fault.kind not in ("missing", "late", "drift", "frozen"):  # these look like what a sensor may do
        assert any(fault.sensor[:-1] in note for step in steps for note in step.left_out)


PAIRS = [pair for pair in faults.pairs(12, "gas", seed=11) if not faults.hangs(pair)]
"""A solver that hangs costs its time limit at every step; one such pair follows."""


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: "-".join(one.kind for one in pair))
def test_batch_recovers_from_two_faults_at_once(
    here: Controller, cell: Surrogate, undisturbed: dict[str, Batch], pair: tuple[Fault, ...]
) -> None:
    check(faults.run(pair, here, cell, "gas"), undisturbed["gas"])


def test_batch_recovers_from_a_solver_that_hangs(
    apart: Controller, cell: Surrogate, undisturbed: dict[str, Batch]
) -> None:
    batch = faults.run((Fault("solver hangs"), Fault("million", "glucose")), apart, cell)
    check(batch, undisturbed["states"])
    hung = [step.move for step in batch.loop.steps if step.move.fallback]
    assert [move.fallback for move in hung] == ["last plan"] * faults.STEPS
    assert all("no answer within" in move.reason for move in hung)
    assert max(batch.loop.seconds) < faults.BUDGET + 1.0

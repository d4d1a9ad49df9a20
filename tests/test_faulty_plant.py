"""A plant in which things go wrong at known times: what it does is what the faults say, and a controller goes on."""

from typing import Any

import numpy as np
import pytest

from mmopt import (
    ConstantFeed,
    Controller,
    Estimator,
    Horizon,
    Plant,
    Problem,
    Surrogate,
    ecoli_fed_batch,
    load_surrogate,
    run_closed_loop,
    simulate,
)
from mmopt.control import LateValue, Sampling
from mmopt.errors import StudyError
from mmopt.operation import FaultyPlant, ParameterDrift, PumpFault, SensorFault

START = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
NOISE = {"volume": 0.001, "biomass": 0.01, "glucose": 0.01, "acetate": 0.01, "oxygen": 0.001}
FEED = {"feed": 0.01}


@pytest.fixture(scope="module")
def core() -> Surrogate:
    return load_surrogate("ecoli_textbook")


def plant(core: Surrogate, *faults: Any, **more: Any) -> FaultyPlant:
    return FaultyPlant(ecoli_fed_batch(), core, START, **{"noise": NOISE, **more}, faults=faults)


def test_without_faults_it_is_a_plant(core: Surrogate) -> None:
    usual, same = Plant(ecoli_fed_batch(), core, START, noise=NOISE, seed=3), plant(core, seed=3)
    for _ in range(3):
        assert usual.measure() == same.measure()
        assert usual.advance(FEED, 0.5).data.equals(same.advance(FEED, 0.5).data)


def test_parameter_changes_at_its_time(core: Surrogate) -> None:
    changed = plant(core, ParameterDrift("kla", 150.0, begins=0.3))
    changed.advance(FEED, 1.0)
    first = simulate(ecoli_fed_batch(), START, {"feed": ConstantFeed(0.01)}, 0.3, core)
    middle = {name: first.final(name) for name in START}
    whole = simulate(
        ecoli_fed_batch(),
        middle,
        {"feed": ConstantFeed(0.01)},
        0.7,
        core,
        parameters={"kla": 150.0},
        start=0.3,
        continued=True,
    )
    assert changed.states == pytest.approx({name: whole.final(name) for name in START}, rel=1e-5, abs=1e-7)


def test_parameter_drifts_from_value_to_value(core: Surrogate) -> None:
    fault = ParameterDrift("kla", 100.0, begins=1.0, lasts=2.0)
    assert [fault.value(time, 300.0) for time in (0.5, 1.0, 2.0, 3.0, 9.0)] == [300.0, 300.0, 200.0, 100.0, 100.0]
    slow, fast = plant(core, fault), plant(core, ParameterDrift("kla", 100.0, begins=1.0))
    ends = [one.advance(FEED, 2.0).final("oxygen_saturation") for one in (slow, fast)]
    assert ends[1] < ends[0]


def test_stuck_pump_stays_as_it_was(core: Surrogate) -> None:
    stuck = plant(core, PumpFault("feed", begins=0.5, lasts=1.0, stuck=True))
    stuck.advance({"feed": 0.02}, 0.5)
    run = stuck.advance({"feed": 0.0}, 2.0)
    fed = run.final("volume") - float(run["volume"][0])
    assert fed == pytest.approx(0.02 * 1.0, rel=1e-4)
    assert run.at("feed", 1.0) == pytest.approx(0.02)
    assert run.final("feed") == 0.0


def test_weak_pump_reaches_no_more(core: Surrogate) -> None:
    run = plant(core, PumpFault("feed", begins=0.0, highest=0.004)).advance(FEED, 1.0)
    assert run.final("volume") - 2.0 == pytest.approx(0.004, rel=1e-4)


def test_sensors_freeze_fall_silent_and_change_their_unit(core: Surrogate) -> None:
    faults = [
        SensorFault("biomass", begins=0.5, frozen=True),
        SensorFault("oxygen", begins=0.5, lasts=0.5, silent=True),
        SensorFault("glucose", begins=0.5, factor=1000.0, offset=1.0),
    ]
    faulty, usual = plant(core, *faults), plant(core)
    shown = []
    for _ in range(3):
        shown.append((faulty.measure(), usual.measure()))
        faulty.advance(FEED, 0.5)
        usual.advance(FEED, 0.5)
    (first, _), (middle, true), (last, _) = shown
    assert middle["biomass"] == last["biomass"] == first["biomass"]
    assert "oxygen" not in middle
    assert "oxygen" in last
    assert middle["glucose"] == pytest.approx(1000.0 * float(true["glucose"]) + 1.0)  # type: ignore[arg-type]


def test_late_value_of_a_time_before_the_fault_is_right(core: Surrogate) -> None:
    faulty = plant(core, SensorFault("biomass", begins=0.4, offset=50.0), sampling={"biomass": Sampling(delay=0.5)})
    faulty.measure()
    faulty.advance(FEED, 0.5)
    late = faulty.measure()["biomass"]
    assert isinstance(late, LateValue)
    assert late.value == pytest.approx(1.0, abs=0.05)


def test_controller_survives_a_bad_day(core: Surrogate) -> None:
    problem = Problem(
        ecoli_fed_batch(), START, Horizon(4.0, 8), {"feed": (0.0, 0.1)}, {"oxygen_saturation": (30.0, None)}
    )
    faults = [
        ParameterDrift("kla", 260.0, begins=1.0, lasts=1.0),
        PumpFault("feed", begins=1.5, lasts=0.5, stuck=True),
        SensorFault("biomass", begins=2.0, lasts=1.0, frozen=True),
        SensorFault("glucose", begins=2.5, factor=1000.0),
    ]
    estimator = Estimator(problem.system, core, START, NOISE, drifting={"kla": 0.1})
    loop = run_closed_loop(plant(core, *faults), Controller(problem, core, 0.5), estimator)
    assert len(loop.steps) == 8
    assert all(np.isfinite(step.move.controls["feed"]) for step in loop.steps)
    assert any("glucose" in text for step in loop.steps for text in step.left_out)


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        (ParameterDrift("klaa", 1.0, begins=0.0), "parameter 'klaa'"),
        (PumpFault("air", begins=0.0), "control 'air'"),
        (SensorFault("ph", begins=0.0), "sensor 'ph'"),
        ("kla", "no fault"),
        (None, "no fault"),
    ],
)
def test_unknown_faults_are_refused(core: Surrogate, fault: Any, wrong: str) -> None:
    with pytest.raises(StudyError, match=wrong):
        plant(core, fault)


@pytest.mark.parametrize("begins", [-1.0, float("nan"), "soon", None])
@pytest.mark.parametrize("kind", [SensorFault, PumpFault])
def test_bad_times_are_refused(kind: Any, begins: Any) -> None:
    with pytest.raises(StudyError):
        kind("feed", begins=begins)

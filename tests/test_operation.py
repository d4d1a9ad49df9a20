"""A supervisor writes what its mode allows, begins without a bump, and goes on whatever its sensors send."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from mmopt import Control, Horizon, Problem, StudyError, run_closed_loop
from mmopt.control import Controller, Gate, LateValue
from mmopt.control.advanced_step import MOVED
from mmopt.operation import Mode, Supervisor
from tests.operation_case import INTERVAL, START, STEPS, controller_of, estimator_of, inputs, plant_of, problem_of
from tests.operation_case import controllers_are_used_again as controllers_are_used_again
from tests.systems import Pulled

FEED = 0.03


def supervisor_of(mode: Mode, problem: Problem | None = None, **more: Any) -> Supervisor:
    problem = problem or problem_of()
    return Supervisor(controller_of(problem), estimator_of(problem), mode=mode, **more)


def test_batch_in_auto_is_the_closed_loop() -> None:
    problem = problem_of()
    loop = run_closed_loop(plant_of(problem), controller_of(problem), estimator_of(problem))
    plant, supervisor, moves = plant_of(problem), supervisor_of(Mode.AUTO), []
    for _ in range(STEPS):
        action = supervisor.step(plant.time, plant.measure())
        assert action.controls is not None
        plant.advance(action.controls, INTERVAL)
        moves.append(action.controls)
    assert moves == [step.move.controls for step in loop.steps]


@pytest.mark.parametrize(
    ("mode", "writes", "computes", "estimates"),
    [
        (Mode.OFF, False, False, False),
        (Mode.SHADOW, False, True, True),
        (Mode.MANUAL, True, False, True),
        (Mode.AUTO, True, True, True),
    ],
)
def test_mode_writes_and_computes(mode: Mode, writes: bool, computes: bool, estimates: bool) -> None:
    supervisor = supervisor_of(mode)
    supervisor.set_manual({"feed": FEED})
    action = supervisor.step(0.0, inputs()[0], {"feed": 0.01})
    assert (action.controls is not None, action.move is not None) == (writes, computes)
    assert (mode.writes, bool(supervisor.states), action.mode) == (writes, estimates, mode)
    assert action.notes == ()
    if mode is Mode.MANUAL:
        assert action.controls == {"feed": FEED}


def test_shadow_computes_what_auto_would_write_from_what_is_applied() -> None:
    shadow, auto = supervisor_of(Mode.SHADOW), supervisor_of(Mode.AUTO)
    applied: dict[str, float] | None = None
    for number in range(3):
        written = auto.step(number * INTERVAL, inputs()[number])
        computed = shadow.step(number * INTERVAL, inputs()[number], applied and {"feed": applied["feed"]})
        assert computed.controls is None
        assert computed.move is not None
        assert number == 0 or computed.move.controls == written.controls
        assert written.controls is not None
        applied = dict(written.controls)


@pytest.mark.parametrize("rate_limit", [None, 0.01], ids=["free", "rate limit"])
@pytest.mark.parametrize("before", [Mode.OFF, Mode.SHADOW, Mode.MANUAL])
def test_auto_begins_with_what_was_applied(before: Mode, rate_limit: float | None) -> None:
    supervisor = supervisor_of(before, problem_of(rate_limit))
    supervisor.set_manual({"feed": FEED})
    first = supervisor.step(0.0, inputs()[0], {"feed": FEED})
    supervisor.set_mode(Mode.AUTO)
    applied = None if before.writes else {"feed": FEED}
    action = supervisor.step(INTERVAL, inputs()[1], applied)
    assert first.mode is before
    assert action.move is not None
    assert action.move.controls != {"feed": FEED}
    assert action.controls == {"feed": FEED}
    assert "AUTO begins with the controls that were applied last" in action.notes
    following = supervisor.step(2 * INTERVAL, inputs()[2])
    assert following.move is not None
    assert following.controls == following.move.controls
    feed = following.controls["feed"]
    assert feed < FEED  # there is too much glucose to feed
    if rate_limit is not None:
        assert feed == pytest.approx(FEED - rate_limit * INTERVAL, abs=1e-12)


def test_value_at_which_auto_begins_passes_the_gate() -> None:
    supervisor = supervisor_of(Mode.SHADOW)
    supervisor.step(0.0, inputs()[0], {"feed": 0.15})
    supervisor.set_mode(Mode.AUTO)
    assert supervisor.step(INTERVAL, inputs()[1], {"feed": 0.15}).controls == {"feed": 0.1}


def test_auto_begins_again_after_another_mode() -> None:
    supervisor = supervisor_of(Mode.AUTO)
    supervisor.step(0.0, inputs()[0])
    supervisor.set_mode(Mode.MANUAL)
    supervisor.set_manual({"feed": 0.07})
    supervisor.step(INTERVAL, inputs()[1])
    supervisor.set_mode(Mode.AUTO)
    assert supervisor.step(2 * INTERVAL, inputs()[2]).controls == {"feed": 0.07}


def test_manual_begins_with_what_was_written_and_forgets_values_when_it_ends() -> None:
    supervisor = supervisor_of(Mode.AUTO)
    written = supervisor.step(0.0, inputs()[0]).controls
    supervisor.set_mode(Mode.MANUAL)
    assert supervisor.step(INTERVAL, inputs()[1]).controls == written
    supervisor.set_manual({"feed": 0.07})
    assert supervisor.step(2 * INTERVAL, inputs()[2]).controls == {"feed": 0.07}
    supervisor.set_mode(Mode.SHADOW)
    supervisor.step(3 * INTERVAL, inputs()[3], {"feed": 0.02})
    supervisor.set_mode(Mode.MANUAL)
    assert supervisor.step(4 * INTERVAL, inputs()[4]).controls == {"feed": 0.02}


def test_manual_values_pass_the_gate() -> None:
    supervisor = supervisor_of(Mode.MANUAL, problem_of(rate_limit=0.02))
    supervisor.set_manual({"feed": 9.0})
    action = supervisor.step(0.0, inputs()[0], {"feed": 0.01})
    assert (action.controls, action.notes) == ({"feed": 0.01}, ("feed: 9 was wanted, 0.01 is written",))
    assert supervisor.step(INTERVAL, inputs()[1]).controls == {"feed": pytest.approx(0.02)}
    supervisor = supervisor_of(Mode.MANUAL)
    supervisor.set_manual({"feed": 9.0})
    assert supervisor.step(0.0, inputs()[0]).controls == {"feed": 0.1}


def test_own_gate_is_passed_in_auto() -> None:
    problem = problem_of()
    narrow = Gate(replace(problem, controls={"feed": (0.0, 0.001)}), INTERVAL)
    assert supervisor_of(Mode.AUTO, gate=narrow).step(0.0, inputs()[0]).controls == {"feed": 0.001}


@pytest.mark.parametrize(
    ("controls", "said"),
    [
        ({"fed": 0.1}, "there is no control 'fed'; nearest known: feed"),
        ({"feed": float("nan")}, "feed is nan; give a finite number"),
        ({"feed": "fast"}, "feed is 'fast'; give a finite number"),
        (0.1, "controls is 0.1; give a mapping"),
    ],
)
def test_manual_value_that_is_none_is_refused(controls: Any, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        supervisor_of(Mode.OFF).set_manual(controls)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"controller": "PID"}, "controller is 'PID'; give a Controller"),
        ({"estimator": 3}, "estimator is 3; give a Estimator, or leave it out"),
        ({"journal": "batch.journal"}, "journal is 'batch.journal'; give a Journal, or leave it out"),
        ({"mode": "AUTO"}, "mode is 'AUTO'; use one of Mode.OFF, Mode.SHADOW, Mode.MANUAL, Mode.AUTO"),
    ],
)
def test_argument_of_another_kind_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        Supervisor(**{"controller": controller_of(problem_of()), **arguments})


FAULTS: Mapping[str, Any] = {
    "nothing": {},
    "NaN": {"biomass": float("nan")},
    "None": {"biomass": None},
    "text": {"biomass": "lost"},
    "infinite": {"biomass": float("inf")},
    "spike": {"biomass": 1e6},
    "negative": {"biomass": -50.0},
    "truth value": {"biomass": True},
    "huge integer": {"biomass": 10**400},
    "complex": {"biomass": np.complex128(1j)},
    "array": {"biomass": np.ones(3)},
    "object": {"biomass": object()},
    "unknown tag": {"FT-101": 3.0},
    "tag that is no text": {7: 3.0},
    "late from the future": {"biomass": LateValue(1.0, taken=50.0)},
    "late and none": {"biomass": LateValue(float("nan"), taken=0.0)},
    "no mapping": "connection lost",
    "none at all": None,
}


@cache
def without_values() -> tuple[dict[str, float] | None, float]:
    """Controls of a step at which nothing arrives, and the biomass that is estimated then."""
    supervisor = supervisor_of(Mode.AUTO)
    supervisor.step(0.0, inputs()[0])
    return supervisor.step(INTERVAL, {}).controls, supervisor.states["biomass"]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_a_sensor_is_left_out_and_the_step_goes_on(fault: str) -> None:
    supervisor, (controls, biomass) = supervisor_of(Mode.AUTO), without_values()
    supervisor.step(0.0, inputs()[0])
    action = supervisor.step(INTERVAL, FAULTS[fault])
    assert action.move is not None
    assert action.move.fallback == ""
    assert action.controls == action.move.controls
    assert bool(action.left_out) == (fault not in ("nothing", "none at all"))
    if fault not in ("spike", "negative", "infinite"):  # these widen the estimate
        assert action.controls == controls
    assert supervisor.states["biomass"] == pytest.approx(biomass, rel=1e-9)


def test_frozen_sensor_is_left_out_until_it_moves() -> None:
    supervisor = supervisor_of(Mode.SHADOW)
    left_out = [supervisor.step(0.1 * number, {"glucose": 4.0}, {"feed": 0.0}).left_out for number in range(5)]
    assert left_out[:2] == [(), ()]
    assert "glucose is 4 again, to the last digit, where a change was expected; it is frozen" in left_out[4]
    assert supervisor.step(0.5, {"glucose": 3.5}, {"feed": 0.0}).left_out == ()


def test_all_sensors_at_once_may_fail() -> None:
    supervisor = supervisor_of(Mode.AUTO)
    for number in range(STEPS):
        action = supervisor.step(number * INTERVAL, {"biomass": None, "glucose": "x", "oxygen_saturation": math.nan})
        assert action.controls is not None
        assert 0.0 <= action.controls["feed"] <= 0.1
        assert len(action.left_out) == 3


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (0.2, r"the time is 0.2 h, before the last step at 0.5 h; nothing was changed"),
        (float("nan"), "the time is nan; give hours since the start of the batch; nothing was changed"),
        (None, "the time is None; give hours"),
        ("late", "the time is 'late'; give hours"),
        (1.7e9, "more than 1000 h after the last step"),
    ],
)
def test_time_that_is_none_changes_nothing(time: Any, said: str) -> None:
    supervisor, other = supervisor_of(Mode.AUTO), supervisor_of(Mode.AUTO)
    other.step(0.5, inputs()[1])
    last = supervisor.step(0.5, inputs()[1])
    action = supervisor.step(time, inputs()[2], {"feed": 0.05})
    assert (action.controls, action.move) == (last.controls, None)
    assert said in action.notes[0]
    again = [one.step(1.0, inputs()[2]) for one in (supervisor, other)]
    assert again[0].controls == again[1].controls
    assert supervisor.states == other.states


@pytest.mark.parametrize("mode", Mode)
def test_step_without_a_time_holds_what_was_written(mode: Mode) -> None:
    supervisor = supervisor_of(mode)
    supervisor.set_manual({"feed": 0.02})
    last = supervisor.step(0.5, inputs()[1], {"feed": 0.02})
    assert supervisor.step(math.nan, inputs()[2], {"feed": 0.05}).controls == last.controls


def test_estimate_is_predicted_over_the_time_that_has_passed() -> None:
    problem = problem_of()
    supervisor, estimator = supervisor_of(Mode.SHADOW, problem), estimator_of(problem)
    expected = estimator_of(problem)
    for time, feed in ((0.25, 0.01), (0.5, 0.02), (1.75, 0.03), (1.75, 0.03), (1.76, 0.0)):
        supervisor.step(time, {}, {"feed": feed})
        if time > expected.time:
            expected.predict({"feed": feed}, time - expected.time)
        assert supervisor.states == pytest.approx(expected.states, rel=1e-9)
    estimator.predict({"feed": 0.0}, 1.76)
    assert supervisor.states["volume"] > estimator.states["volume"] + 0.03


def test_estimate_goes_on_after_a_time_without_it() -> None:
    problem = problem_of()
    supervisor, expected = supervisor_of(Mode.OFF, problem), estimator_of(problem)
    for time, feed in ((0.5, 0.01), (1.0, 0.01), (1.2, 0.04)):
        supervisor.step(time, {"biomass": 77.0}, {"feed": feed})
        assert not supervisor.states
    supervisor.set_mode(Mode.SHADOW)
    supervisor.step(1.5, {}, {"feed": 0.02})
    for feed, hours in ((0.01, 1.0), (0.04, 0.2), (0.02, 0.3)):
        expected.predict({"feed": feed}, hours)
    assert supervisor.states == pytest.approx(expected.states, rel=1e-9)


def test_late_value_counts_at_its_time() -> None:
    problem = problem_of()
    supervisor, expected = supervisor_of(Mode.SHADOW, problem), estimator_of(problem)
    late = {"glucose": LateValue(3.4, taken=0.4)}
    for number, measured in enumerate([{}, {}, late]):
        supervisor.step(number * INTERVAL, measured, {"feed": 0.01})
        if number:
            expected.predict({"feed": 0.01}, INTERVAL)
    expected.update(late)
    assert supervisor.states == pytest.approx(expected.states, rel=1e-9)
    assert supervisor.states["glucose"] != pytest.approx(START["glucose"], rel=0.02)


def test_step_that_comes_early_keeps_the_fastest_change() -> None:
    supervisor = supervisor_of(Mode.MANUAL, problem_of(rate_limit=0.02))
    supervisor.step(0.0, {}, {"feed": 0.0})
    supervisor.set_manual({"feed": 0.1})
    written = [supervisor.step(time, {}).controls for time in (0.1, 0.2, 0.2, 0.7)]
    assert [one and one["feed"] for one in written] == pytest.approx([0.002, 0.004, 0.004, 0.014])


@pytest.mark.parametrize(
    ("applied", "taken", "said"),
    [
        ({"feed": None}, 0.02, "applied feed is None; 0.02 is taken"),
        ({"feed": math.nan}, 0.02, "applied feed is nan; 0.02 is taken"),
        ({"feed": 1e6}, 0.02, "applied feed is 1000000.0; 0.02 is taken"),
        ({"pump": 0.01}, 0.02, "applied names 'pump', which is no control; known: feed"),
        ("lost", 0.02, "applied is 'lost'; give a mapping"),
        ({"feed": -0.001}, 0.0, None),
        ({"feed": 0.15}, 0.15, None),
        (None, 0.02, None),
    ],
)
def test_applied_value_that_cannot_be_is_not_taken(applied: Any, taken: float, said: str | None) -> None:
    supervisor = supervisor_of(Mode.SHADOW)
    supervisor.step(0.0, {}, {"feed": 0.02})
    action = supervisor.step(INTERVAL, {}, applied)
    assert supervisor.applied == {"feed": taken}
    assert len(action.notes) == (said is not None)
    assert said is None or said in action.notes[0]


def test_lowest_controls_are_assumed_where_nothing_says_what_is_applied() -> None:
    supervisor = supervisor_of(Mode.SHADOW, problem_of(low=0.002))
    action = supervisor.step(0.0, {})
    assert action.notes == ("what is applied is not known; the lowest controls are assumed",)
    assert supervisor.applied == {"feed": 0.002}


def test_lowest_controls_are_written_where_there_is_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(low=0.002)
    supervisor, healthy = supervisor_of(Mode.AUTO, problem), supervisor_of(Mode.AUTO, problem)
    assert supervisor.estimator is not None

    def failing(*_: Any) -> None:
        raise ZeroDivisionError("the law of a user")

    with monkeypatch.context() as patch:
        patch.setattr(supervisor.estimator, "predict", failing)
        action = supervisor.step(INTERVAL, inputs()[1])
    assert (action.controls, action.move) == ({"feed": 0.002}, None)
    assert action.notes == (
        "there is no estimate: the prediction failed (the law of a user)",
        "the lowest controls are written",
    )
    healthy.step(INTERVAL, {})
    again = supervisor.step(2 * INTERVAL, {})  # the time without a prediction is made up for
    healthy.step(2 * INTERVAL, {}, {"feed": 0.002})
    assert again.move is not None
    assert supervisor.states["volume"] == pytest.approx(START["volume"] + 0.002 * 2 * INTERVAL, abs=1e-9)


def test_estimate_that_is_not_finite_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = supervisor_of(Mode.AUTO)
    assert supervisor.estimator is not None
    monkeypatch.setattr(type(supervisor.estimator), "states", {**START, "biomass": math.nan})
    action = supervisor.step(0.0, {})
    assert action.controls == {"feed": 0.0}
    assert "there is no estimate: it is not finite" in action.notes


@pytest.mark.parametrize(("mode", "feed"), [(Mode.AUTO, 0.0), (Mode.MANUAL, 0.02), (Mode.SHADOW, None)])
def test_step_never_raises(mode: Mode, feed: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = supervisor_of(mode)
    supervisor.step(0.0, inputs()[0], {"feed": 0.02})

    def failing(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(supervisor, "_take", failing)
    supervisor._applied = {"feed": 0.02}
    action = supervisor.step(INTERVAL, inputs()[1])
    assert action.controls == (None if feed is None else {"feed": feed})
    assert action.notes == ("the step failed (RuntimeError: a defect)",)


def test_interruption_is_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = supervisor_of(Mode.AUTO)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor.controller, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        supervisor.step(0.0, inputs()[0])


def test_lowest_controls_are_written_after_the_end_of_the_batch() -> None:
    supervisor = supervisor_of(Mode.AUTO, problem_of(low=0.002))
    supervisor.step(2.5, {})
    action = supervisor.step(3.0, {})
    assert (action.controls, action.move) == ({"feed": 0.002}, None)
    assert action.notes == ("the batch ended at 3 h", "the lowest controls are written")


def cart_of(mode: Mode) -> Supervisor:
    cart = Problem(Pulled(), {"x": 0.0, "v": 0.0}, Horizon(4.0, 4, 3), {"u": Control(-1.0, 1.0)}, maximise="x")
    return Supervisor(Controller(cart, None, 1.0), mode=mode)


def test_measurements_are_the_states_without_an_estimator() -> None:
    supervisor = cart_of(Mode.AUTO)
    assert supervisor.step(0.0, {"x": 0.5, "v": 0.1}).controls == {"u": pytest.approx(1.0)}
    action = supervisor.step(1.0, {"x": 1.0, "v": None})
    assert supervisor.states == {"x": 1.0, "v": 0.1}
    assert action.notes == ("not measured, last values are taken: v",)
    nothing = supervisor.step(2.0, {})
    assert nothing.controls == {"u": -1.0}
    assert nothing.notes == ("there is no estimate: no state was measured", "the lowest controls are written")


def test_look_ahead_moves_the_next_step() -> None:
    problem = problem_of()
    controller = Controller(problem, controller_of(problem).surrogate, INTERVAL, advanced_step=True)
    plant = plant_of(problem)
    supervisor = Supervisor(controller, estimator_of(problem), mode=Mode.AUTO)
    notes = []
    for _ in range(STEPS):
        action = supervisor.step(plant.time, plant.measure())
        assert action.controls is not None
        assert action.move is not None
        supervisor.look_ahead()
        plant.advance(action.controls, INTERVAL)
        notes.append(action.move.notes)
    assert any(MOVED in one for one in notes[1:])

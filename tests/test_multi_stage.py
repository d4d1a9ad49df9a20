"""A controller over several sets of parameters: one first move for all of them, limits kept in each."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmopt import (
    ConstantFeed,
    Control,
    Controller,
    Horizon,
    Problem,
    Surrogate,
    ecoli_fed_batch,
    load_surrogate,
    simulate,
)
from mmopt.control import ControlledBatch
from mmopt.control.multi_stage import MultiStage
from mmopt.errors import StudyError
from mmopt.problem.step_data import StepData
from mmopt.search.options import Deadline
from mmopt.status import Status

START = {"volume": 2.0, "biomass": 4.0, "glucose": 0.02, "acetate": 0.0, "oxygen": 0.2}
LIMITS: dict[str, tuple[float | None, float | None]] = {
    "oxygen_saturation": (20.0, None),
    "acetate": (None, 2.0),
    "volume": (None, 3.0),
}
USUAL, LESS, MORE = {"kla": 300.0}, {"kla": 210.0}, {"kla": 360.0}
INTERVAL = 0.5


@pytest.fixture(scope="module")
def core() -> Surrogate:
    return load_surrogate("ecoli_textbook")


def batch(hours: float = 4.0, elements: int = 8, **changes: Any) -> Problem:
    problem = Problem(ecoli_fed_batch(), START, Horizon(hours, elements), {"feed": (0.0, 0.1)}, LIMITS)
    return replace(problem, **changes)


def solver(core: Surrogate, scenarios: list[Mapping[str, float]], **changes: Any) -> MultiStage:
    return MultiStage(batch(**changes), core, scenarios, INTERVAL)


def step(multi_stage: MultiStage, hours: float, problem: Problem, parameters: Mapping[str, float] = {}) -> None:
    left = problem.horizon.hours - hours
    multi_stage.set_data(StepData(hours, problem.start_values, left, problem.controls, parameters))


def test_equal_scenarios_are_the_problem_alone(core: Surrogate) -> None:
    alone = Controller(batch(), core, INTERVAL).step(0.0, START)
    twice = Controller(batch(), core, INTERVAL, scenarios=[{}, {}]).step(0.0, START)
    assert twice.status is Status.OPTIMAL
    assert twice.controls["feed"] == pytest.approx(alone.controls["feed"], rel=5e-3)  # which looks between its points


def test_first_controls_are_the_same_and_later_ones_differ(core: Surrogate) -> None:
    multi_stage = solver(core, [USUAL, LESS, MORE])
    assert multi_stage.solve(None, 0.0).status is Status.OPTIMAL
    feeds = np.array([run.at("feed", np.array([0.25, 3.0])) for run in multi_stage._last])
    assert np.ptp(feeds[:, 0]) == 0.0
    assert np.ptp(feeds[:, 1]) > 0.05 * feeds[:, 1].max()


def test_robust_horizon_holds_more_controls_together(core: Surrogate) -> None:
    multi_stage = MultiStage(batch(), core, [USUAL, LESS], 4.0)
    multi_stage.solve(None, 0.0)
    feeds = np.array([run["feed"] for run in multi_stage._last])
    assert np.ptp(feeds, axis=0).max() == 0.0


@pytest.mark.parametrize("scenario", [USUAL, LESS, MORE])
def test_first_move_keeps_the_limits_in_every_scenario(core: Surrogate, scenario: Mapping[str, float]) -> None:
    move = Controller(batch(), core, INTERVAL, scenarios=[USUAL, LESS, MORE]).step(0.0, START)
    feed = {"feed": ConstantFeed(move.controls["feed"])}
    run = simulate(batch().system, START, feed, INTERVAL, core, parameters=scenario, points=50)
    assert run["oxygen_saturation"][1:].min() > 20.0 * 0.95  # points, not lines between them, keep a limit


def test_move_of_the_problem_alone_breaks_a_limit_in_a_scenario(core: Surrogate) -> None:
    """What the test above would miss if the scenarios made no difference."""
    move = Controller(batch(), core, INTERVAL).step(0.0, START)
    feed = {"feed": ConstantFeed(move.controls["feed"])}
    run = simulate(batch().system, START, feed, INTERVAL, core, parameters=LESS, points=50)
    assert run["oxygen_saturation"].min() < 20.0 * 0.9


def test_unknown_transfer_keeps_limits_over_the_batch(core: Surrogate) -> None:
    """The plant transfers 30 % less oxygen than assumed, and nothing estimates it."""
    shown = {"volume": 0.001, "biomass": 0.02, "glucose": 0.01, "acetate": 0.01, "oxygen": 0.001}
    alone = ControlledBatch(batch(), core, core, INTERVAL, shown, disturbance=LESS)
    robust = replace(alone, scenarios=[USUAL, LESS])
    broken = [
        batch().violated_limits(one.run(seed=1).trajectory).get("oxygen_saturation", 0.0) for one in (alone, robust)
    ]
    assert broken[0] > 0.1
    assert broken[1] < 0.05


def test_limits_that_no_scenario_keeps_are_violated_as_little_as_possible(core: Surrogate) -> None:
    problem = batch(initial={**START, "acetate": 2.5})
    move = Controller(problem, core, INTERVAL, scenarios=[USUAL, LESS]).step(0.0, problem.start_values)
    assert move.fallback == ""
    assert any("acetate" in text for text in move.violations)
    assert "all scenarios" in move.notes[-1]


def test_estimated_parameters_move_the_scenarios(core: Surrogate) -> None:
    multi_stage, problem = solver(core, [{}, LESS]), batch()
    step(multi_stage, 0.0, problem, {"kla": 150.0})
    assert [known.parameters["kla"] for known in multi_stage._problems] == [150.0, pytest.approx(105.0)]


def test_batch_after_a_reset_is_the_same(core: Surrogate) -> None:
    shown = {"volume": 0.001, "biomass": 0.05, "glucose": 0.01, "acetate": 0.01, "oxygen": 0.001}
    robust = ControlledBatch(batch(2.0, 4), core, core, INTERVAL, shown, scenarios=[USUAL, LESS])
    first, again = robust.run(seed=3), robust.run(seed=3)
    assert first.trajectory.data.equals(again.trajectory.data)


def test_windows_rates_and_several_lines_are_kept(core: Surrogate) -> None:
    control = Control(0.0, 0.1, shape="lines", rate_limit=0.02)
    move = Controller(batch(controls={"feed": control}), core, INTERVAL, scenarios=[USUAL, LESS])
    first, second = move.step(0.0, START), move.step(INTERVAL, START)
    assert first.status.solved
    assert abs(second.controls["feed"] - first.controls["feed"]) <= 0.02 * INTERVAL + 1e-9


def test_no_time_is_a_fallback(core: Surrogate) -> None:
    decision = solver(core, [USUAL, LESS]).solve(None, 0.0, Deadline.after(1e-9))
    assert decision.failure


@pytest.mark.parametrize(
    ("scenarios", "wrong"),
    [
        ({"kla": 200.0}, "scenarios is"),
        ("kla", "scenarios is"),
        ([3.0], "scenarios is"),
        ([{"klaa": 200.0}], "klaa"),
        ([{"kla": float("nan")}], "kla"),
        ([{"kla": (100.0, 200.0)}], "kla"),
        ([{"kla": None}], "kla"),
        ([{"kla": "much"}], "kla"),
    ],
)
def test_bad_scenarios_are_refused(core: Surrogate, scenarios: Any, wrong: str) -> None:
    with pytest.raises(StudyError, match=wrong):
        Controller(batch(), core, INTERVAL, scenarios=scenarios)


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan"), "long"])
def test_bad_robust_horizon_is_refused(core: Surrogate, hours: Any) -> None:
    with pytest.raises(StudyError, match="robust_horizon"):
        Controller(batch(), core, INTERVAL, scenarios=[USUAL], robust_horizon=hours)


def test_scenarios_in_a_process_of_their_own_move_the_same(core: Surrogate) -> None:
    here = Controller(batch(2.0, 4), core, INTERVAL, scenarios=[USUAL, LESS])
    with Controller(batch(2.0, 4), core, INTERVAL, scenarios=[USUAL, LESS], own_process=True) as there:
        there.prepare()
        here.prepare()
        moves = [controller.step(0.0, START) for controller in (here, there)]
    assert moves[1].fallback == ""
    assert moves[1].controls == moves[0].controls


def test_bad_scenarios_of_a_process_are_refused_at_once(core: Surrogate) -> None:
    with pytest.raises(StudyError, match="klaa"):
        Controller(batch(), core, INTERVAL, scenarios=[{"klaa": 200.0}], own_process=True)


def test_failed_step_feeds_what_keeps_the_limits_in_every_scenario(core: Surrogate) -> None:
    """The exponential feed that is prepared for failed steps is smaller with a scenario of less oxygen transfer."""
    feeds = []
    for scenarios in ([USUAL], [USUAL, LESS]):
        controller = Controller(batch(), core, INTERVAL, scenarios=scenarios)
        controller.prepare()
        feeds.append(controller._fallbacks._feed["feed"].size)
    assert feeds[1] < feeds[0]

"""A controller keeps limits first, whatever the sensors say, and lets only what pump and vessel can take pass."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from mmopt import (
    Controller,
    Estimator,
    Horizon,
    Plant,
    Problem,
    Surrogate,
    ecoli_fed_batch,
    load_surrogate,
    optimise,
)
from mmopt import run_closed_loop as closed_loop
from mmopt.control import ClosedLoop
from mmopt.control.fallbacks import EXPONENTIAL, HELD, LAST_PLAN, LOWEST, SIMULATED
from mmopt.control.gate import Gate
from mmopt.errors import StudyError
from mmopt.problem import Control, Objective, productivity, violated_limits
from mmopt.problem.simulator import Simulator
from mmopt.reactor import Quantity, System
from mmopt.reactor.system import Cell
from mmopt.search.between_points import BetweenPoints
from mmopt.search.initial_guess import feasible_guess
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.transcription.compiled import CompiledProblem

START = {"volume": 2.0, "biomass": 0.25, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
NOISE = {"volume": 0.005, "biomass": 0.2, "glucose": 0.05, "acetate": 0.02, "oxygen": 0.003}
LIMITS: dict[str, tuple[float | None, float | None]] = {
    "oxygen_saturation": (20.0, None),
    "acetate": (None, 2.0),
    "volume": (None, 3.0),
}
AIMED = {**LIMITS, "oxygen_saturation": (35.0, None)}


@pytest.fixture(scope="module")
def cell() -> Surrogate:
    return load_surrogate("ecoli_ijo1366")


@pytest.fixture(scope="module")
def core() -> Surrogate:
    return load_surrogate("ecoli_textbook")


def batch(hours: float = 12.0, elements: int = 24, **changes: Any) -> Problem:
    return replace(Problem(ecoli_fed_batch(), START, Horizon(hours, elements), {"feed": (0.0, 0.1)}, AIMED), **changes)


def run(cell: Surrogate, seed: int, kla: float = 300.0, noisier: float = 1.0) -> ClosedLoop:
    problem = batch()
    noise = {name: noisier * deviation for name, deviation in NOISE.items()}
    plant = Plant(problem.system, cell, START, parameters={"kla": kla}, noise=noise, seed=seed)
    estimator = Estimator(problem.system, cell, START, noise, drifting={"kla": 0.05})
    return closed_loop(plant, Controller(problem, cell, 0.5), estimator)


# --- limits


@pytest.mark.parametrize(("seed", "kla", "noisier"), [(3, 300.0, 1.0), (11, 255.0, 2.0)])
def test_noise_makes_no_batch_overfeed(cell: Surrogate, seed: int, kla: float, noisier: float) -> None:
    loop = run(cell, seed, kla, noisier)
    assert max(violated_limits(loop.trajectory, LIMITS).values(), default=0.0) < 0.05
    assert loop.fallbacks <= 1
    assert loop.objective > 30.0


@pytest.mark.parametrize("wrong", [{"acetate": 5.0}, {"biomass": 9.0}, {"oxygen": 0.0}], ids=str)
def test_wrong_sample_does_not_change_the_steps_after_it(core: Surrogate, wrong: dict[str, float]) -> None:
    now = {"volume": 2.0, "biomass": 0.9, "glucose": 1.0, "acetate": 0.1, "oxygen": 0.15}
    clean, hit = (Controller(batch(5.0, 10), core, 0.5) for _ in range(2))
    for controller in (clean, hit):
        controller.step(0.0, START)
    hit.step(0.5, {**now, **wrong})
    undisturbed, after = clean.step(0.5, now), hit.step(0.5, now)
    assert after.fallback in ("", SIMULATED)  # the mesh is coarse
    assert after.violations == ()
    reached = [controller.plan.final("biomass") * controller.plan.final("volume") for controller in (clean, hit)]  # type: ignore[union-attr]
    assert reached[1] > 0.97 * reached[0]
    assert undisturbed.violations == ()


def test_steps_without_an_optimum_do_not_try_the_same_again(core: Surrogate) -> None:
    """Solves with the objective fail; the one from the last plan is tried at every step, all of them at every fourth."""
    problem = batch(6.0, 12, limits={**LIMITS, "oxygen_saturation": (10.0, None)})  # a batch without feed keeps it
    controller = Controller(problem, core, 0.5)
    controller.step(0.0, START)
    compiled = controller._solver._compiled
    whole = compiled.ipopt.solve

    def failing(**options: Any) -> Solve:
        if compiled.program.pyomo.objective_weight.value == 1.0:
            return Solve(Status.ITERATION_LIMIT, 80, 0.0, math.nan, "injected failure")
        return whole(**options)

    compiled.ipopt.solve = failing  # type: ignore[method-assign]
    counts = []
    for number in range(1, 7):
        move = controller.step(0.1 * number, START)
        counts.append(len(compiled.solves))
        assert "no solve with the objective" in move.notes[-1]
        assert move.status is Status.ITERATION_LIMIT
        assert move.violations == ()
    assert max(counts) == counts[0] == counts[4] == 7
    assert {*counts[1:4], counts[5]} == {2}
    compiled.ipopt.solve = whole  # type: ignore[method-assign]
    assert Status.OPTIMAL in {controller.step(0.1 * number, START).status for number in range(7, 11)}


def test_solve_from_the_last_plan_ends_after_so_many_iterations(core: Surrogate) -> None:
    compiled = CompiledProblem(batch(4.0, 4, limits={}), core)
    solve = compiled.solve(iterations=3)
    assert (solve.status, solve.iterations) == (Status.ITERATION_LIMIT, 3)
    assert compiled.solve().status.solved


def test_parameter_that_is_not_given_any_more_is_that_of_the_problem(core: Surrogate) -> None:
    controller = Controller(batch(4.0, 8, parameters={"kla": 280.0}), core, 0.5)
    controller.step(0.0, START, {"kla": 200.0, "glucose_vmax": 8.0})
    assert controller._solver.problem.parameter_values["kla"] == 200.0
    controller.step(0.5, START)
    known = controller._solver.problem.parameter_values
    assert (known["kla"], known["glucose_vmax"]) == (280.0, controller.problem.system.defaults["glucose_vmax"])


def test_vessel_above_its_limit_is_not_fed(core: Surrogate) -> None:
    controller = Controller(batch(6.0, 12, limits={"volume": (None, 2.6)}), core, 0.5)
    move = controller.step(0.0, {**START, "volume": 2.62})
    assert move.controls == {"feed": 0.0}
    assert "volume" in move.violations[0]
    assert "as little as possible" in move.notes[0]


def test_answer_violates_no_limit_far_more_than_a_simulation_does(cell: Surrogate) -> None:
    """The least violation is searched locally: from here Ipopt ended at 36 % of oxygen too little, where no feed lacks 2 %."""
    state = {"volume": 2.0105, "biomass": 2.357, "glucose": 0.29, "acetate": 0.421, "oxygen": 0.0735}
    move = Controller(batch(), cell, 0.5).step(2.5, state, {"kla": 255.0})
    lacking = [float(line.split(" is ")[1].split(" ")[0]) for line in move.violations]
    assert max(lacking, default=0.0) < 10.0


def test_limit_that_cannot_be_kept_is_violated_as_little_as_possible(core: Surrogate) -> None:
    """Too much glucose for the aeration: no feed, and the prediction says what is violated, when, and by how much."""
    controller = Controller(batch(6.0, 12), core, 0.5)
    move = controller.step(0.0, {**START, "biomass": 2.0, "glucose": 12.0})
    assert move.fallback == ""
    assert move.controls["feed"] == pytest.approx(0.0, abs=1.0e-4)
    assert any("oxygen_saturation at" in line and "below the lowest allowed" in line for line in move.violations)


def test_plant_that_is_known_repeats_the_plan(cell: Surrogate) -> None:
    problem = batch(6.0, 12, limits=LIMITS)
    plant = Plant(problem.system, cell, START, noise=dict.fromkeys(START, 0.0))
    loop = closed_loop(plant, Controller(problem, cell, 0.5))
    plan = optimise(problem, cell)
    assert {step.move.fallback for step in loop.steps} <= {"", SIMULATED}
    assert loop.objective == pytest.approx(plan.objective, rel=3.0e-2)  # the mesh is coarse
    assert (
        max(violated_limits(loop.trajectory, LIMITS).values(), default=0.0) < 0.01
    )  # 0.09 with the limits as they are


# --- what a problem promises


@dataclass(frozen=True)
class Tank(System):
    """What is pumped is there: x' = u."""

    states = (Quantity("x", "L"),)
    controls = (Quantity("u", "L/h", lower=0.0),)

    def derivative(
        self, states: Mapping[str, Any], controls: Mapping[str, Any], parameters: Mapping[str, Any], cell: Cell
    ) -> dict[str, Any]:
        return {"x": controls["u"]}


def tank(control: Control, **changes: Any) -> Problem:
    known: dict[str, Any] = {"maximise": "x", "horizon": Horizon(6.0, elements=12)}
    return Problem(Tank(), {"x": 0.0}, controls={"u": control}, **{**known, **changes})


def pumped(problem: Problem) -> tuple[list[float], float]:
    controller, plant, x, moves = Controller(problem, None, 0.5), Plant(problem.system, None, {"x": 0.0}), 0.0, []
    while plant.time < 6.0 - 1.0e-9:
        move = controller.step(plant.time, {"x": x})
        assert move.fallback == "", move.reason
        moves.append(move.controls["u"])
        x = plant.advance(move.controls, 0.5).final("x")
    return moves, x


@pytest.mark.parametrize("window", [(2.0, 4.0), (0.0, 2.0), (4.5, 6.0)])
def test_windows_are_those_of_the_batch(window: tuple[float, float], capfd: pytest.CaptureFixture[str]) -> None:
    moves, x = pumped(tank(Control(0.0, 1.0, windows=(window,))))
    times = 0.5 * np.arange(12)
    inside = (times >= window[0]) & (times < window[1])
    assert moves == pytest.approx(np.where(inside, 1.0, 0.0).tolist(), abs=1.0e-6)
    assert x == pytest.approx(window[1] - window[0], abs=1.0e-6)
    assert "WARNING" not in capfd.readouterr().err


def test_fastest_change_holds_between_moves() -> None:
    controller = Controller(tank(Control(0.0, 1.0, rate_limit=0.2), limits={"x": (None, 2.0)}), None, 0.5)
    moves = [controller.step(time, {"x": x}).controls["u"] for time, x in ((0.0, 0.0), (0.5, 1.9), (1.0, 0.0))]
    assert np.abs(np.diff(moves)).max() <= 0.1 + 1.0e-9


@pytest.mark.parametrize(
    "objective",
    [
        productivity("x", "L/h"),
        Objective("squared gain", "L2", lambda end, start: -((end["x"] - start["x"] - 3.0) ** 2)),
    ],
    ids=lambda objective: objective.name,
)
def test_objective_counts_from_the_start_of_the_batch(objective: Objective) -> None:
    """The second one is best at 3 L of the whole batch, not of what is left of it."""
    _, x = pumped(tank(Control(0.0, 1.0, move_penalty=1.0e-6), maximise=objective))
    assert x == pytest.approx(6.0 if objective.name != "squared gain" else 3.0, abs=0.01)


def test_what_is_left_to_be_chosen_is_refused() -> None:
    with pytest.raises(StudyError, match="a controller takes a fixed length"):
        Controller(tank(Control(0.0, 1.0), horizon=Horizon((3.0, 6.0), elements=12)), None, 0.5)


# --- samples


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), None, "0.5", True, [0.5]], ids=repr)
def test_sample_that_is_no_number_is_told(core: Surrogate, wrong: Any) -> None:
    controller = Controller(batch(4.0, 8), core, 0.5)
    planned = controller.step(0.0, START)
    move = controller.step(0.5, {**START, "glucose": wrong})
    assert (move.fallback, planned.fallback) == (LAST_PLAN, "")
    assert "glucose is no finite number" in move.reason
    assert math.isfinite(move.controls["feed"])
    assert controller.step(0.5, START).fallback == ""


def test_missing_sample_is_told(core: Surrogate) -> None:
    controller = Controller(batch(4.0, 8), core, 0.5)
    move = controller.step(0.0, {name: value for name, value in START.items() if name != "acetate"})
    assert (move.fallback, move.controls) == (LOWEST, {"feed": 0.0})
    assert "acetate is missing" in move.reason


@pytest.mark.parametrize("value", [-1.0e-12, -0.01])
def test_sample_below_zero_counts_as_zero(core: Surrogate, value: float) -> None:
    move = Controller(batch(4.0, 8), core, 0.5).step(0.0, {**START, "glucose": value})
    assert move.fallback == ""
    assert move.notes[0] == f"glucose is {value:g}, below its lowest value; taken as 0"


@pytest.mark.parametrize("time", [-1.0, -1.0e300])
def test_time_before_the_batch_is_told(core: Surrogate, time: float) -> None:
    """Nothing is optimised over what would be left of the batch then."""
    move = Controller(batch(4.0, 8), core, 0.5).step(time, START)
    assert move.iterations == 0
    assert "before the start of the batch" in move.reason


def test_last_plan_is_followed_for_three_steps_and_a_feed_that_keeps_the_limits_after_it(core: Surrogate) -> None:
    problem = batch()
    controller = Controller(problem, core, 0.5)
    plant = Plant(problem.system, core, START, noise=dict.fromkeys(START, 0.0))
    known, moves = START, []
    for number in range(24):
        moves.append(controller.step(plant.time, known if number < 4 else {**known, "biomass": float("nan")}))
        plant.advance(moves[-1].controls, 0.5)
        known = plant.states
    assert [move.fallback for move in moves] == [""] * 4 + [LAST_PLAN] * 3 + [EXPONENTIAL] * 17
    fed = [move.controls["feed"] for move in moves[7:]]
    assert np.diff(np.log(fed)) == pytest.approx(np.diff(np.log(fed))[0])
    assert 0.0 < fed[0] < fed[-1] <= 0.1
    assert "the last plan was followed for 3 steps" in moves[7].notes
    assert known["acetate"] < 2.0
    assert 100.0 * known["oxygen"] / 0.21 > 35.0
    assert known["biomass"] > 2.8  # 2.4 without a feed


@pytest.mark.parametrize(("name", "elements", "lowest"), [("ecoli_textbook", 24, 35.0), ("ecoli_ijo1366", 16, 25.0)])
def test_limits_are_kept_between_the_points_of_the_first_plan(name: str, elements: int, lowest: float) -> None:
    """Dissolved oxygen has a sharp minimum where glucose is spent: once there, nothing keeps it above the limit any more."""
    cell = load_surrogate(name)
    problem = batch(elements=elements, limits={**LIMITS, "oxygen_saturation": (lowest, None)})
    controller = Controller(problem, cell, 0.5)
    controller.prepare()
    plant = Plant(problem.system, cell, START, noise=dict.fromkeys(START, 0.0))
    lowest_seen, states = np.inf, plant.states
    for _ in range(8):
        move = controller.step(plant.time, states)
        assert not move.violations
        piece = plant.advance(move.controls, 0.5)
        states = plant.states
        lowest_seen = min(lowest_seen, piece["oxygen_saturation"].min())
    assert lowest_seen > 0.97 * lowest


def test_tighter_limits_are_those_of_every_element_within_half_of_one() -> None:
    between = BetweenPoints(np.array([0.0, 1.0, 2.0, 3.0]), {"x": np.array([1.0, 4.0, 2.0])})
    assert between.at(np.array([0.2, 0.4, 1.0, 1.5, 2.6, 4.0]))["x"].tolist() == [1.0, 4.0, 4.0, 4.0, 2.0]
    assert between.at(np.array([3.5, 6.0]))["x"].tolist() == [0.0]


def test_controls_are_held_where_there_is_no_feed_and_are_the_lowest_after_two_steps(core: Surrogate) -> None:
    controller = Controller(tank(Control(0.0, 0.2), limits={"x": (None, 1.5)}), None, 0.5, horizon="receding")
    moves = [controller.step(0.0, {"x": 0.0})]
    moves += [controller.step(0.5 * number, {"x": float("nan")}) for number in range(1, 8)]
    assert [move.fallback for move in moves] == [""] + [LAST_PLAN] * 3 + [HELD] * 2 + [LOWEST] * 2
    assert moves[4].controls == moves[5].controls == moves[3].controls
    assert moves[3].controls["u"] > 0.1
    assert "controls were held for 2 steps" in moves[6].notes[0]
    assert controller.step(4.0, {"x": 0.0}).fallback == ""


def test_feed_of_a_state_that_no_feed_keeps_within_the_limits_is_the_lowest(core: Surrogate) -> None:
    """Where even the lowest feed violates a limit nothing is held."""
    controller = Controller(batch(6.0, 12), core, 0.5)
    controller._solver.solve = raising  # type: ignore[method-assign, union-attr]
    controller._last = {"feed": 0.05}
    move = controller.step(0.0, {**START, "biomass": 3.0, "glucose": 12.0})
    assert (move.fallback, move.controls) == (LOWEST, {"feed": 0.0})
    assert "none keeps the limits, so the controls are not held" in move.notes[0]


def test_prepared_controller_whose_solver_fails_feeds_the_batch(core: Surrogate) -> None:
    problem = batch(6.0, 12)
    controller = Controller(problem, core, 0.5)
    controller._solver.solve = raising  # type: ignore[method-assign, union-attr]
    plant = Plant(problem.system, core, START, noise=dict.fromkeys(START, 0.0))
    loop = closed_loop(plant, controller)
    assert {step.move.fallback for step in loop.steps} == {EXPONENTIAL}
    assert max(violated_limits(loop.trajectory, LIMITS).values(), default=0.0) < 0.01
    assert loop.objective > 3.0


def raising(*_: Any, **__: Any) -> Any:
    raise RuntimeError("injected failure")


@pytest.mark.parametrize("error", [TypeError("a text"), MemoryError(), ZeroDivisionError(), KeyError("x")], ids=repr)
def test_solver_that_raises_is_survived(core: Surrogate, error: Exception) -> None:
    controller = Controller(batch(4.0, 8), core, 0.5)

    def raising(**_: Any) -> Any:
        raise error

    controller._solver._compiled.ipopt.solve = raising  # type: ignore[method-assign]
    move = controller.step(0.0, START)
    assert move.fallback == EXPONENTIAL
    assert 0.0 < move.controls["feed"] < 0.1
    assert type(error).__name__ in move.reason
    assert "there is no plan" in move.notes


# --- time limits


def test_guess_that_is_stopped_has_the_lowest_controls_from_there_on(core: Surrogate) -> None:
    calls: list[int] = []

    def stop() -> bool:
        calls.append(1)
        return len(calls) > 5

    problem = batch(4.0, 8, limits={"volume": (None, 3.0)})
    middles = (problem.horizon.edges()[:-1] + problem.horizon.edges()[1:]) / 2.0
    whole = feasible_guess(Simulator(problem, core)).trajectory.at("feed", middles)
    stopped = feasible_guess(Simulator(problem, core), stop=stop).trajectory.at("feed", middles)
    assert whole.min() > 0.0
    assert stopped.tolist() == [*whole[:5].tolist(), 0.0, 0.0, 0.0]


def test_step_whose_time_is_over_follows_the_last_plan(core: Surrogate) -> None:
    """Within this process no solve begins any more, and a guess that was cut short is no plan."""
    controller = Controller(batch(6.0, 12), core, 0.5)
    planned = controller.step(0.0, START)
    assert controller.plan is not None
    plan, controller.time_limit = controller.plan, 1.0e-6
    move = controller.step(0.5, START)
    assert (move.fallback, move.iterations, move.reason) == (LAST_PLAN, 0, "no time was left for a solve")
    assert controller.plan is plan
    assert planned.fallback == ""


# --- the gate


def test_gate_passes_nothing_that_pump_and_vessel_cannot_take() -> None:
    feed = Control(0.01, 0.1, windows=((1.0, 3.0),), rate_limit=0.05)
    gate = Gate(batch(4.0, 8, controls={"feed": feed}), 0.5)
    rng = np.random.default_rng(5)
    special = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0e308, 5.0e-324, -1.0e308]
    for _ in range(20_000):
        wanted = rng.choice(special) if rng.random() < 0.3 else rng.normal() * 10.0 ** rng.integers(-12, 12)
        volume = rng.choice(special) if rng.random() < 0.1 else rng.uniform(1.0, 3.2)
        time, last = rng.uniform(0.0, 3.5), rng.uniform(0.01, 0.1)
        value = gate.passed({"feed": wanted}, time, {"volume": volume}, {"feed": last})["feed"]
        assert 0.01 <= value <= 0.1
        if not 1.0 <= time <= 2.5 or (math.isfinite(volume) and 3.0 - volume < 0.005):
            assert value == 0.01
        elif math.isfinite(volume):
            assert 0.5 * value <= max(3.0 - volume, 0.005) + 1.0e-12


def test_last_interval_may_be_shorter_than_the_others() -> None:
    """The batch ends two thirds into the last interval, and so does the window."""
    gate = Gate(batch(4.0, 8, controls={"feed": Control(0.0, 0.1, windows=((0.0, 4.0),))}), 1.5)
    assert gate.passed({"feed": 0.05}, 3.0, {}) == {"feed": 0.05}


@pytest.mark.parametrize("wanted", [{}, {"feed": None}, {"feed": "0.1"}, {"fed": 0.1}], ids=repr)
def test_gate_takes_the_lowest_where_nothing_usable_is_wanted(wanted: dict[str, Any]) -> None:
    assert Gate(batch(), 0.5).passed(wanted, 0.0, {}) == {"feed": 0.0}


# --- the estimator


def estimator(core: Surrogate, **noise: float) -> Estimator:
    return Estimator(ecoli_fed_batch(), core, {**START, "biomass": 1.0}, noise or {"biomass": 0.05})


@pytest.mark.parametrize("value", [None, float("nan"), "1.2", float("-inf")], ids=repr)
def test_value_that_is_no_number_is_left_out(core: Surrogate, value: Any) -> None:
    filtered = estimator(core)
    notes = filtered.update({"biomass": value})
    assert "no finite number" in notes[0]
    assert filtered.states["biomass"] == 1.0


def test_unknown_sensor_is_refused(core: Surrogate) -> None:
    with pytest.raises(StudyError, match="there is no sensor 'biomas'; nearest known: biomass"):
        estimator(core).update({"biomas": 1.2})


def test_spike_is_left_out_and_a_change_that_stays_is_followed(core: Surrogate) -> None:
    filtered = estimator(core)
    assert "1000, where 1 +-" in filtered.update({"biomass": 1000.0})[0]
    assert filtered.states["biomass"] == 1.0
    assert filtered.update({"biomass": 1.02}) == ()
    left_out = [len(filtered.update({"biomass": 3.0})) for _ in range(8)]
    assert 2 <= sum(left_out) <= 5
    assert filtered.states["biomass"] == pytest.approx(3.0, rel=0.1)


def test_thin_culture_measured_below_zero_is_not_empty(core: Surrogate) -> None:
    filtered = Estimator(ecoli_fed_batch(), core, {**START, "biomass": 0.1}, {"biomass": 0.05}, uncertainty=3.0)
    filtered.update({"biomass": -0.1})
    assert 0.005 < filtered.states["biomass"] < 0.1

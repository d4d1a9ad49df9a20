"""Closed loops: the batch is completed, what is not known is learnt, and failures are survived and told."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt.control import ClosedLoop, Plant, load_closed_loop, run_closed_loop
from mmopt.control.controller import Controller
from mmopt.control.estimator import Estimator
from mmopt.control.fallbacks import EXPONENTIAL, LAST_PLAN, LOWEST, SIMULATED
from mmopt.errors import StudyError
from mmopt.fba.atlas import Atlas
from mmopt.fba.flux_program import FluxProgram
from mmopt.network.network import Network
from mmopt.problem.horizon import Horizon
from mmopt.problem.problem import Problem
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.study.schema import Study, read_study
from mmopt.surrogate.surrogate import Surrogate
from tests.systems import Decay

CASE = Path(__file__).parent.parent / "case_studies" / "ecoli_fedbatch" / "study.yaml"
HOURS, INTERVAL = 6.0, 0.5


@pytest.fixture(scope="module")
def study() -> Study:
    return read_study(CASE)


@pytest.fixture(scope="module")
def problem(study: Study) -> Problem:
    """The case study, over its first hours: batch, oxygen limit, feed."""
    assert study.closed_loop is not None
    whole = study.problem
    return replace(whole, horizon=Horizon(HOURS, 12, 3), limits={**whole.limits, **study.closed_loop.limits})


@pytest.fixture(scope="module")
def atlas(ijo1366: Network, surrogate: Surrogate) -> Atlas:
    return Atlas(ijo1366, surrogate.domain)


def closed_loop(
    study: Study,
    problem: Problem,
    surrogate: Surrogate,
    metabolism: Any,
    known: Mapping[str, float],
    broken: tuple[float, ...] = (),
) -> tuple[ClosedLoop, Estimator]:
    """The study's closed loop on its disturbed plant; solves with so many hours left fail."""
    part = study.closed_loop
    assert part is not None
    controller = Controller(replace(problem, parameters=known), surrogate, INTERVAL)
    whole = controller._solver._compiled.ipopt.solve

    def failing(**how: Any) -> Solve:
        if any(abs(controller._solver.problem.horizon.hours - left) < 0.01 for left in broken):
            return Solve(Status.NUMERICAL_TROUBLE, 3, 0.0, float("nan"), "injected failure")
        return whole(**how)

    controller._solver._compiled.ipopt.solve = failing  # type: ignore[method-assign]
    estimator = Estimator(
        problem.system, surrogate, problem.initial, part.noise, parameters=known, drifting=part.estimated
    )
    plant = Plant(
        problem.system, metabolism, problem.initial, parameters=part.disturbance, noise=part.noise, seed=part.seed
    )
    return run_closed_loop(plant, controller, estimator), estimator


@pytest.fixture(scope="module")
def disturbed(study: Study, problem: Problem, surrogate: Surrogate, plant: FluxProgram) -> tuple[ClosedLoop, Estimator]:
    """The controller does not know that less oxygen is transferred; the plant is the linear program itself."""
    return closed_loop(study, problem, surrogate, plant, {})


def test_disturbed_batch_is_completed(disturbed: tuple[ClosedLoop, Estimator]) -> None:
    loop, _ = disturbed
    assert loop.trajectory.time[-1] == pytest.approx(HOURS)
    assert {step.move.fallback for step in loop.steps} <= {"", SIMULATED}
    assert loop.fallbacks <= 3


def test_every_step_is_recorded(disturbed: tuple[ClosedLoop, Estimator]) -> None:
    steps = disturbed[0].steps
    assert len(steps) == int(HOURS / INTERVAL)
    for move in (step.move for step in steps):
        assert move.seconds > 0.0
        assert move.iterations > 0
        assert move.status.solved or move.notes  # without an optimum, what was done is told


def test_saved_loop_is_read_back(disturbed: tuple[ClosedLoop, Estimator], tmp_path: Path) -> None:
    again = load_closed_loop(disturbed[0].save(tmp_path / "loop.nc"))
    assert (again.steps, again.objective, again.violations) == (
        disturbed[0].steps,
        disturbed[0].objective,
        disturbed[0].violations,
    )


def test_samples_are_kept_where_they_were_taken(disturbed: tuple[ClosedLoop, Estimator]) -> None:
    shown = disturbed[0].trajectory["measured_biomass"]
    assert np.sum(np.isfinite(shown)) == int(HOURS / INTERVAL)


def test_disturbed_loop_comes_close_to_one_that_knows_the_plant(
    study: Study, problem: Problem, surrogate: Surrogate, atlas: Atlas, disturbed: tuple[ClosedLoop, Estimator]
) -> None:
    assert study.closed_loop is not None
    reference, _ = closed_loop(study, problem, surrogate, atlas, study.closed_loop.disturbance)
    assert disturbed[0].objective == pytest.approx(reference.objective, rel=0.05)


def test_estimator_learns_the_oxygen_transfer(study: Study, disturbed: tuple[ClosedLoop, Estimator]) -> None:
    assert study.closed_loop is not None
    assert disturbed[1].parameters["kla"] == pytest.approx(study.closed_loop.disturbance["kla"], rel=0.08)


def test_injected_failures_are_survived_and_told(
    study: Study, problem: Problem, surrogate: Surrogate, atlas: Atlas, disturbed: tuple[ClosedLoop, Estimator]
) -> None:
    loop, _ = closed_loop(study, problem, surrogate, atlas, {}, broken=(3.5, 3.0))
    fallbacks = {step.time: step.move for step in loop.steps if step.move.fallback}
    assert {2.5, 3.0} <= set(fallbacks)
    assert {move.fallback for move in fallbacks.values()} <= {SIMULATED, LAST_PLAN}
    assert "injected failure" in fallbacks[2.5].reason
    assert loop.trajectory.time[-1] == pytest.approx(HOURS)
    assert loop.objective == pytest.approx(disturbed[0].objective, rel=0.05)


def test_step_without_any_plan_takes_the_lowest_controls(problem: Problem, surrogate: Surrogate) -> None:
    controller = Controller(replace(problem, horizon=Horizon(2.0, 2, 1)), surrogate, INTERVAL)
    move = controller.step(0.0, {**problem.initial, "biomass": float("nan")})
    assert (move.fallback, move.controls) == (LOWEST, {"feed": 0.0})
    assert "biomass is no finite number" in move.reason


def test_prepared_controller_begins_with_a_plan(problem: Problem, surrogate: Surrogate) -> None:
    controller = Controller(replace(problem, horizon=Horizon(2.0, 4, 2)), surrogate, INTERVAL)
    controller.prepare()
    assert controller.plan is not None
    first = controller.step(0.0, problem.initial)
    other = Controller(replace(problem, horizon=Horizon(2.0, 4, 2)), surrogate, INTERVAL).step(0.0, problem.initial)
    assert first.controls["feed"] == pytest.approx(other.controls["feed"], abs=1.0e-4)
    assert first.iterations < other.iterations


def test_controller_that_cannot_be_prepared_says_why_in_its_first_step(problem: Problem, surrogate: Surrogate) -> None:
    impossible = replace(problem, horizon=Horizon(2.0, 4, 2), final={"biomass": (50.0, None)})
    controller = Controller(impossible, surrogate, INTERVAL, time_limit=1.0e-3)
    controller.prepare()
    assert controller.plan is None
    move = controller.step(0.0, problem.initial)
    assert move.fallback in (EXPONENTIAL, LOWEST)  # as time allows
    assert move.reason


def test_step_after_the_end_of_the_batch_says_so(problem: Problem, surrogate: Surrogate) -> None:
    controller = Controller(replace(problem, horizon=Horizon(2.0, 2, 1)), surrogate, INTERVAL)
    assert "the batch ended at 2 h" in controller.step(2.5, problem.initial).reason


def test_interval_longer_than_the_batch_is_refused(problem: Problem, surrogate: Surrogate) -> None:
    with pytest.raises(StudyError, match="interval is 7 h"):
        Controller(problem, surrogate, 7.0)


def test_noise_is_the_same_for_the_same_seed(problem: Problem, atlas: Atlas) -> None:
    shown = [Plant(problem.system, atlas, problem.initial, noise={"biomass": 0.1}, seed=3).measure() for _ in range(2)]
    assert shown[0] == shown[1]


def test_filter_of_a_linear_system_equals_the_textbook_filter() -> None:
    estimator = Estimator(Decay(), None, {"x": 2.0}, {"x": 0.3}, drift=0.1, uncertainty=0.4)
    mean, variance = 2.0, (0.4 * 2.0) ** 2
    for measured in (1.5, 0.9, 0.2):
        gain = variance / (variance + 0.3**2)
        mean, variance = mean + gain * (measured - mean), (1.0 - gain) * variance
        estimator.update({"x": measured})
        assert estimator.states["x"] == pytest.approx(mean, rel=1.0e-5)
        factor = np.exp(-0.5)
        mean, variance = factor * mean, factor**2 * variance + (0.1 * factor * mean) ** 2
        estimator.predict({}, 1.0)


def test_missing_measurement_changes_nothing() -> None:
    estimator = Estimator(Decay(), None, {"x": 2.0}, {"x": 0.3})
    estimator.update({"x": float("nan")})
    assert estimator.states == {"x": 2.0}


def test_estimator_refuses_a_sensor_of_no_state() -> None:
    with pytest.raises(StudyError, match="measured 'y' is no state"):
        Estimator(Decay(), None, {"x": 2.0}, {"y": 0.3})


@pytest.fixture(scope="module")
def short(problem: Problem) -> Problem:
    return replace(problem, horizon=Horizon(4.0, 8))


@pytest.fixture(scope="module")
def measured(short: Problem, surrogate: Surrogate) -> ClosedLoop:
    """A batch in which every state is measured."""
    plant = Plant(short.system, surrogate, short.initial, noise=dict.fromkeys(short.initial, 0.0))
    return run_closed_loop(plant, Controller(short, surrogate, INTERVAL))


@pytest.mark.parametrize("sensors", [(), ("biomass", "volume")])
def test_states_that_no_sensor_shows_are_those_of_the_last_plan(
    short: Problem, measured: ClosedLoop, surrogate: Surrogate, sensors: tuple[str, ...]
) -> None:
    """They stayed at the start of the batch, so that every move was a first one and the culture was overfed."""
    plant = Plant(short.system, surrogate, short.initial, noise=dict.fromkeys(sensors, 0.0))
    loop = run_closed_loop(plant, Controller(short, surrogate, INTERVAL))
    assert loop.objective == pytest.approx(measured.objective, rel=0.02)
    assert all("oxygen" in step.left_out[0] for step in loop.steps)
    assert all(step.left_out == () for step in measured.steps)

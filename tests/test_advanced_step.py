"""Steps that are solved ahead, and moved along with the sample: as another solve has them, or solved as usual."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

from mmopt import Controller, Horizon, Problem, Surrogate, ecoli_fed_batch, load_surrogate
from mmopt.control import ControlledBatch
from mmopt.control.advanced_step import MOVED
from mmopt.errors import StudyError
from mmopt.solvers.ipopt import NonlinearProgram

START = {"volume": 2.0, "biomass": 4.0, "glucose": 0.02, "acetate": 0.0, "oxygen": 0.2}
LIMITS: dict[str, tuple[float | None, float | None]] = {
    "oxygen_saturation": (20.0, None),
    "acetate": (None, 2.0),
    "volume": (None, 3.0),
}
INTERVAL = 0.5
SHOWN = {"volume": 0.001, "biomass": 0.02, "glucose": 0.005, "acetate": 0.005, "oxygen": 0.001}


@pytest.fixture(scope="module")
def core() -> Surrogate:
    return load_surrogate("ecoli_textbook")


def batch(hours: float = 4.0, elements: int = 8) -> Problem:
    return Problem(ecoli_fed_batch(), START, Horizon(hours, elements), {"feed": (0.0, 0.1)}, LIMITS)


def begun(core: Surrogate, advanced: bool = True) -> tuple[Controller, dict[str, float]]:
    """A controller after its first step, and the state it expects at the next."""
    controller = Controller(batch(), core, INTERVAL, advanced_step=advanced)
    controller.step(0.0, START)
    plan = controller.plan
    assert plan is not None
    return controller, {name: max(0.0, float(plan.at(name, INTERVAL))) for name in START}


def changed(states: Mapping[str, float], factors: Mapping[str, float]) -> dict[str, float]:
    return {**states, **{name: states[name] * factor for name, factor in factors.items()}}


@pytest.mark.parametrize("factors", [{}, {"biomass": 1.01}, {"biomass": 0.99}, {"glucose": 1.01}, {"volume": 0.999}])
def test_moved_control_is_that_of_another_solve(core: Surrogate, factors: Mapping[str, float]) -> None:
    controller, expected = begun(core)
    controller.look_ahead(INTERVAL)
    moved = controller.step(INTERVAL, changed(expected, factors))
    assert MOVED in moved.notes
    usual, _ = begun(core, advanced=False)
    solved = usual.step(INTERVAL, changed(expected, factors))
    assert moved.controls["feed"] == pytest.approx(solved.controls["feed"], rel=5e-3)


def test_estimated_parameter_moves_the_control_too(core: Surrogate) -> None:
    controller, expected = begun(core)
    controller.look_ahead(INTERVAL, expected, {"kla": 300.0})
    moved = controller.step(INTERVAL, expected, {"kla": 297.0})
    usual, _ = begun(core, advanced=False)
    solved = usual.step(INTERVAL, expected, {"kla": 297.0})
    assert MOVED in moved.notes
    assert moved.controls["feed"] == pytest.approx(solved.controls["feed"], rel=5e-3)
    assert moved.controls["feed"] < 0.999 * usual.step(INTERVAL, expected, {"kla": 300.0}).controls["feed"]


@pytest.mark.parametrize(
    "factors", [{"biomass": 0.5}, {"glucose": 40.0}, {"oxygen": 1.0, "acetate": 1.0, "biomass": 1.6}]
)
def test_far_from_the_prediction_is_solved_as_usual(core: Surrogate, factors: Mapping[str, float]) -> None:
    controller, expected = begun(core)
    controller.look_ahead(INTERVAL)
    move = controller.step(INTERVAL, changed(expected, factors))
    assert MOVED not in move.notes
    assert move.iterations > 0


def test_other_time_is_solved_as_usual(core: Surrogate) -> None:
    controller, expected = begun(core)
    controller.look_ahead(INTERVAL)
    assert MOVED not in controller.step(INTERVAL + 0.1, expected).notes


def test_look_ahead_counts_for_one_step(core: Surrogate) -> None:
    controller, expected = begun(core)
    controller.look_ahead(INTERVAL)
    assert MOVED in controller.step(INTERVAL, expected).notes
    assert MOVED not in controller.step(INTERVAL, expected).notes


@pytest.mark.parametrize("wrong", [{"biomass": float("nan")}, {"biomass": None}, {"biomass": "4"}])
def test_look_ahead_never_raises(core: Surrogate, wrong: Any) -> None:
    controller, expected = begun(core)
    before = controller.plan
    controller.look_ahead(INTERVAL, {**expected, **wrong})
    assert controller.plan is before
    assert controller.step(INTERVAL, expected).fallback == ""


def test_look_ahead_of_a_usual_controller_does_nothing(core: Surrogate) -> None:
    controller, _ = begun(core, advanced=False)
    before = controller.plan
    controller.look_ahead(INTERVAL)
    assert controller.plan is before


def test_closed_loop_ends_as_without(core: Surrogate) -> None:
    usual = ControlledBatch(batch(), core, core, INTERVAL, SHOWN)
    ahead = replace(usual, advanced_step=True)
    for seed in (1, 2):
        loops = [one.run(seed) for one in (usual, ahead)]
        assert loops[1].objective == pytest.approx(loops[0].objective, rel=2e-3)
        assert max(batch().violated_limits(loops[1].trajectory).values(), default=0.0) < 0.05
        moved = [MOVED in step.move.notes for step in loops[1].steps]
        assert sum(moved) >= len(moved) // 2


def test_batch_after_a_reset_is_the_same(core: Surrogate) -> None:
    ahead = ControlledBatch(batch(2.0, 4), core, core, INTERVAL, SHOWN, advanced_step=True)
    first, again = ahead.run(seed=3), ahead.run(seed=3)
    assert first.trajectory.data.equals(again.trajectory.data)


def test_scenarios_and_advanced_steps_are_refused_together(core: Surrogate) -> None:
    with pytest.raises(StudyError, match="advanced_step"):
        Controller(batch(), core, INTERVAL, scenarios=[{}], advanced_step=True)


def test_a_process_of_its_own_and_advanced_steps_are_refused_together(core: Surrogate) -> None:
    with pytest.raises(StudyError, match="own_process"):
        Controller(batch(), core, INTERVAL, own_process=True, advanced_step=True)


def quadratic(least: float = -10.0) -> tuple[NonlinearProgram, pyo.ConcreteModel]:
    """Least x² + y² with x + 2y = data and y above a bound; y is 0.4 of the data."""
    problem = pyo.ConcreteModel()
    problem.x, problem.y = pyo.Var(initialize=1.0), pyo.Var(initialize=1.0, bounds=(least, None))
    problem.data = pyo.Var(initialize=5.0, bounds=(5.0, 5.0))
    problem.law = pyo.Constraint(expr=problem.x + 2.0 * problem.y == problem.data)
    problem.cost = pyo.Objective(expr=problem.x**2 + problem.y**2)
    program = NonlinearProgram(problem)
    assert program.solve().status.solved
    return program, problem


def moved_to(program: NonlinearProgram, problem: pyo.ConcreteModel, data: float) -> tuple[float, float] | None:
    x, y, position = program.positions([problem.x, problem.y, problem.data])
    system = program.kkt_system()
    assert system is not None
    moved = system.moved(np.array([position]), np.array([data]))
    return None if moved is None else (float(moved[x]), float(moved[y]))


@pytest.mark.parametrize("data", [4.0, 5.0, 9.0])
def test_quadratic_program_moves_exactly(data: float) -> None:
    assert moved_to(*quadratic(), data) == pytest.approx((0.2 * data, 0.4 * data), abs=1e-7)


def test_active_bound_stays_active() -> None:
    assert moved_to(*quadratic(least=3.0), 5.5) == pytest.approx((-0.5, 3.0), abs=1e-6)


@pytest.mark.parametrize(("least", "data"), [(1.9, 4.0), (3.0, 9.0), (3.0, float("nan"))])
def test_other_active_bounds_are_noticed(least: float, data: float) -> None:
    """A bound that is reached, one that is left, and no number at all."""
    assert moved_to(*quadratic(least), data) is None


def test_system_without_a_solve_is_none() -> None:
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var(initialize=1.0)
    problem.cost = pyo.Objective(expr=problem.x**2)
    assert NonlinearProgram(problem).kkt_system() is None

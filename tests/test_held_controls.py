"""What a controller plans is what a plant holds: one value until the next move, on elements that end with the interval."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmopt import Control, Controller, Horizon, Plant, Problem, ecoli_fed_batch, load_surrogate
from mmopt.control import run_closed_loop
from mmopt.control.fallbacks import SIMULATED
from mmopt.control.limits_first import LimitsFirst
from mmopt.control.step_program import STEP_OPTIONS
from mmopt.problem.step_data import mesh_of_step
from mmopt.problem.tracking import SetPoint, Tracking
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.compiled import CompiledProblem
from mmopt.transcription.equations import Relaxation

START = {"volume": 2.0, "biomass": 0.25, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
LIMITS: dict[str, tuple[float | None, float | None]] = {
    "oxygen_saturation": (20.0, None),
    "acetate": (None, 2.0),
    "volume": (None, 3.0),
}
FED = {**START, "biomass": 4.0, "glucose": 0.05}


@pytest.fixture(scope="module")
def core() -> Surrogate:
    return load_surrogate("ecoli_textbook")


def batch(hours: float, elements: int, control: Any = (0.0, 0.1), **changes: Any) -> Problem:
    return replace(
        Problem(ecoli_fed_batch(), START, Horizon(hours, elements), {"feed": Control(*control)}, LIMITS), **changes
    )


@pytest.mark.parametrize("shape", ["steps", "lines"])
@pytest.mark.parametrize(("interval", "time"), [(0.5, 0.0), (0.5, 1.0), (0.7, 1.4), (1.0, 2.0), (1.0, 3.5), (0.3, 3.7)])
def test_plan_has_one_value_until_the_next_move(core: Surrogate, shape: str, interval: float, time: float) -> None:
    problem = batch(4.0, 8, initial=FED, controls={"feed": Control(0.0, 0.1, shape=shape)})
    controller = Controller(problem, core, interval)
    move = controller.step(time, FED)
    assert move.status.solved
    end = min(time + interval, 4.0)
    inside = np.linspace(time, end - 2.0e-3 * interval, 9)
    planned = [controller._profiles["feed"](float(t)) for t in inside]
    assert planned == pytest.approx([planned[0]] * 9, rel=1e-9)
    assert move.controls["feed"] == pytest.approx(planned[0], rel=2e-3)
    edges = controller._solver.problem.horizon.edges(time)
    assert np.abs(edges - end).min() < 1.1e-3 * interval


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("scheme", ["radau", "legendre"])
def test_program_on_a_mesh_that_is_data_is_that_compiled_on_it(core: Surrogate, scheme: str, tracked: bool) -> None:
    """Limits, fastest change, set-points over time and their integral are those of the present mesh."""
    mesh = (0.0, 0.1, 0.15, 0.4, 0.45, 0.8, 1.0)
    control = Control(0.0, 0.1, rate_limit=0.02, move_penalty=0.01)
    problem = batch(2.0, 6, initial=FED, controls={"feed": control})
    problem = replace(problem, horizon=replace(problem.horizon, scheme=scheme))
    if tracked:
        rising = SetPoint(((0.0, 4.0), (2.0, 5.5)), shape="lines")
        problem = replace(problem, maximise=Tracking({"biomass": rising}, summed="integral", moves={"feed": 1.0}))
    there = replace(problem, horizon=replace(problem.horizon, mesh=mesh))
    options = {**STEP_OPTIONS, "tol": 1e-9}
    ours, compiled = (
        CompiledProblem(one, core, relaxation=Relaxation(1.0, in_turn=True), options=options)
        for one in (problem, there)
    )
    ours.change(mesh=mesh)
    for one in (ours, compiled):
        one.program.set_elapsed(0.0)
        one.program.allow_violation(0.0)
        assert one.solve().status.solved
    assert ours.solves[-1].objective == pytest.approx(compiled.solves[-1].objective, rel=1e-4)
    answers = [one.program.read_answer() for one in (ours, compiled)]
    assert answers[0].fractions == pytest.approx(answers[1].fractions, abs=2e-6)  # Pyomo.DAE rounds points
    assert answers[0].controls["feed"] == pytest.approx(answers[1].controls["feed"], abs=1e-5)
    assert np.allclose(answers[0].states, answers[1].states, rtol=1e-4, atol=1e-5)


def test_known_plant_keeps_its_limits_on_a_coarse_mesh(core: Surrogate) -> None:
    """With moves that were means of a plan, dissolved oxygen fell 37 % below its limit."""
    problem = batch(6.0, 12, (0.0, 0.1, "lines"))
    plant = Plant(problem.system, core, START, noise=dict.fromkeys(START, 0.0))
    loop = run_closed_loop(plant, Controller(problem, core, 0.5))
    assert max(problem.violated_limits(loop.trajectory).values(), default=0.0) < 0.03
    assert {step.move.fallback for step in loop.steps} <= {"", SIMULATED}
    assert all("last plan is kept" in " ".join(step.move.notes) for step in loop.steps if step.move.fallback)
    assert problem.objective_value(loop.trajectory) > 12.0


@pytest.mark.parametrize("hours", [0.4, 0.5, 0.51, 0.9, 1.0, 3.3, 6.0])
@pytest.mark.parametrize("horizon", [Horizon(6.0, 12), Horizon(6.0, 4), Horizon(6.0, 10, grading=3.0), Horizon(6.0, 1)])
def test_mesh_of_a_step_is_one(horizon: Horizon, hours: float) -> None:
    left = mesh_of_step(horizon, hours, 0.5)
    edges, count = left.edges(), horizon.elements_within(0.5)
    assert len(edges) == horizon.elements + 1
    assert np.all(np.diff(edges) > 0.0)
    assert edges[-1] == pytest.approx(hours)
    if horizon.elements > 1:
        assert edges[count] == pytest.approx(min(0.5, 0.999 * hours))
    assert mesh_of_step(horizon, hours, None).fractions.tolist() == horizon.fractions.tolist()


@pytest.mark.parametrize("held", [None, 0.5, 1.0])
def test_lines_are_held_only_where_it_is_asked(core: Surrogate, held: float | None) -> None:
    problem = batch(4.0, 8, initial=FED, controls={"feed": Control(0.0, 0.1, shape="lines")})
    control = LimitsFirst(problem, core, held=held).program.pyomo.control
    different = len({id(control["feed", k]) for k in range(9)})
    assert different == {None: 9, 0.5: 8, 1.0: 7}[held]


def test_plan_that_violates_limits_between_its_points_says_so(core: Surrogate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else keeps the limits, and no tighter limits have an answer."""
    solver = LimitsFirst(batch(6.0, 6), core, held=1.0)
    whole = solver._compiled.ipopt.solve
    found: list[Solve] = []

    def failing_later(**options: Any) -> Solve:
        if any(solve.status.solved for solve in found):
            return Solve(Status.ITERATION_LIMIT, 9, 0.0, 0.0, "injected failure")
        found.append(whole(**options))
        return found[-1]

    monkeypatch.setattr(solver._compiled.ipopt, "solve", failing_later)
    decision = solver.solve(None, 0.0)
    assert decision.answer is not None
    assert "the plan violates limits between its points, by up to " in decision.note

"""Set-points are kept, moves have a price, and a horizon that recedes goes on for as long as the culture does."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from mmopt import Control, Controller, Horizon, Objective, Plant, Problem, StudyError, optimise, run_closed_loop
from mmopt.control import ClosedLoop
from mmopt.problem import SetPoint, Tracking
from mmopt.reactor import Integral, Quantity, System
from mmopt.reactor.system import Cell, Values
from mmopt.transcription import CompiledProblem
from mmopt.transcription import program as program_file
from tests.systems import Pulled


@dataclass(frozen=True)
class Lag(System):
    """A level that follows its control: x' = u - x."""

    states = (Quantity("x", "g/L"),)
    controls = (Quantity("u", "g/L/h"),)
    derived = (Quantity("double", "g/L"),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return {"x": controls["u"] - states["x"]}

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        return {"double": 2.0 * states["x"]}


@dataclass(frozen=True)
class Chemostat(System):
    """Monod's culture, of which as much is withdrawn as is fed."""

    states = (Quantity("cells", "g/L", lower=0.0), Quantity("sugar", "g/L", lower=0.0))
    controls = (Quantity("dilution", "1/h", lower=0.0),)
    derived = (Quantity("harvest", "g/L/h"),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        growth = 0.5 * states["sugar"] / (0.2 + states["sugar"]) * states["cells"]
        return {
            "cells": growth - controls["dilution"] * states["cells"],
            "sugar": controls["dilution"] * (10.0 - states["sugar"]) - growth / 0.5,
        }

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        return {"harvest": controls["dilution"] * states["cells"]}


def lag(tracking: Any, hours: float = 3.0, elements: int = 6, **changes: Any) -> Problem:
    known: dict[str, Any] = {"controls": {"u": Control(-10.0, 10.0, move_penalty=0.0)}}
    return Problem(Lag(), {"x": 0.0}, Horizon(hours, elements), maximise=tracking, **{**known, **changes})


def run(problem: Problem, interval: float = 0.5, hours: float | None = None, **how: Any) -> ClosedLoop:
    """The plant is known and measured exactly."""
    plant = Plant(problem.system, None, problem.start_values, noise=dict.fromkeys(problem.start_values, 0.0))
    horizon = "shrinking" if hours is None else "receding"
    loop = run_closed_loop(plant, Controller(problem, None, interval, horizon=horizon, **how), hours=hours)
    assert loop.fallbacks == 0, [step.move.reason for step in loop.steps]
    return loop


def moves_of(loop: ClosedLoop, name: str = "u") -> np.ndarray:
    return np.array([step.move.controls[name] for step in loop.steps])


# --- set-points and prices


def test_linear_system_tracks_its_set_point_without_offset() -> None:
    loop = run(lag(Tracking({"x": 2.0}, moves={"u": 0.1})), hours=12.0)
    assert loop.trajectory.final("x") == pytest.approx(2.0, abs=1.0e-5)


def test_derived_quantity_is_tracked() -> None:
    loop = run(lag(Tracking({"double": 3.0}, moves={"u": 0.1})), hours=12.0)
    assert loop.trajectory.final("x") == pytest.approx(1.5, abs=1.0e-5)


def test_larger_price_makes_moves_smaller() -> None:
    squares = [
        np.sum(np.diff(moves_of(run(lag(Tracking({"x": 2.0}, moves={"u": price}, before={"u": 0.0})), hours=3.0))) ** 2)
        for price in (0.01, 1.0, 100.0)
    ]
    assert squares[0] > 5.0 * squares[1] > 25.0 * squares[2]


def test_change_from_the_last_move_has_its_price() -> None:
    """Of so dear a move the first is hardly another than that before it, at the start of the batch and in any later step."""
    controller = Controller(
        lag(Tracking({"x": 2.0}, moves={"u": 1.0e4}, before={"u": 0.7})), None, 0.5, horizon="receding"
    )
    moves = [controller.step(time, {"x": 0.0}).controls["u"] for time in (0.0, 0.5, 1.0)]
    assert moves == pytest.approx([0.7] * 3, abs=1.0e-2)


def test_first_move_of_a_batch_is_free_where_nothing_was_applied_before() -> None:
    move = Controller(lag(Tracking({"x": 2.0}, moves={"u": 1.0e4})), None, 0.5, horizon="receding").step(
        0.0, {"x": 0.0}
    )
    assert move.controls["u"] > 2.0


def test_tracking_is_added_to_an_objective_at_the_end() -> None:
    """What is gained by x at the end pulls it above its set-point, by half its price where the weight at the end is one."""
    tracking = Tracking({"x": SetPoint(2.0, weight=0.0, final_weight=1.0)}, plus="x")
    plan = optimise(lag(tracking), None)
    assert plan.trajectory.final("x") == pytest.approx(2.5, abs=1.0e-4)
    assert plan.objective == pytest.approx(2.5 - 0.25, abs=1.0e-4)
    assert plan.problem.objective.name == "x with tracking"


def test_price_along_the_horizon_is_an_integral() -> None:
    """The same moves as of a state that integrates the quantity and is maximised at the end."""
    moves = Tracking(prices={"x": 1.0}, moves={"u": 0.05}, before={"u": 0.0})
    whole = Integral(Lag(), Quantity("total", "g h/L"), lambda now: now["x"])
    other = replace(lag(moves), system=whole, initial={"x": 0.0, "total": 0.0})
    other = replace(other, maximise=Tracking(moves={"u": 0.05}, before={"u": 0.0}, plus="total"))
    found = [np.array(optimise(problem, None).values["u"]) for problem in (lag(moves), other)]
    assert found[0] == pytest.approx(found[1], rel=1.0e-5)


@pytest.mark.parametrize("summed", ["integral", "edges"])
@pytest.mark.parametrize("scheme", ["radau", "legendre"])
@pytest.mark.parametrize("shape", ["steps", "lines"])
def test_objective_of_a_trajectory_is_that_of_the_program(summed: str, scheme: str, shape: str) -> None:
    tracking = Tracking(
        {"x": SetPoint(((0.0, 1.0), (1.4, 2.0)), weight=2.0, final_weight=3.0, shape="lines")},
        {"u": 0.1},
        {"double": 0.3},
        {"u": 0.5},
        summed=summed,
    )
    problem = lag(tracking, controls={"u": Control(-5.0, 5.0, shape, move_penalty=0.0)})
    problem = replace(problem, horizon=Horizon(3.0, 6, scheme=scheme, grading=2.0))
    compiled = CompiledProblem(problem)
    solve = compiled.solve()
    plan = compiled.plan()
    assert plan.objective == pytest.approx(-solve.objective, rel=1.0e-6)
    assert plan.replay(None).objective == pytest.approx(plan.objective, rel=2.0e-3)


def test_integral_does_not_depend_on_the_mesh() -> None:
    values = [optimise(lag(Tracking({"x": 2.0}), elements=count), None).objective for count in (12, 24)]
    assert values[0] == pytest.approx(values[1], rel=0.1)


# --- the horizon that recedes


def test_set_point_of_a_chemostat_is_held_for_longer_than_the_horizon() -> None:
    problem = Problem(
        Chemostat(),
        {"cells": 1.0, "sugar": 5.0},
        Horizon(4.0, elements=8),
        {"dilution": (0.0, 0.6)},
        maximise=Tracking({"sugar": 2.0}, moves={"dilution": 1.0}),
    )
    loop = run(problem, hours=30.0)
    assert loop.trajectory.time[-1] == pytest.approx(30.0)
    assert loop.trajectory.at("sugar", np.linspace(20.0, 30.0, 31)) == pytest.approx(2.0, abs=2.0e-3)
    assert loop.trajectory.final("cells") == pytest.approx(0.5 * (10.0 - 2.0), rel=1.0e-3)
    assert moves_of(loop, "dilution")[-1] == pytest.approx(0.5 * 2.0 / 2.2, rel=1.0e-3)


@pytest.mark.parametrize("final", [None, 6.0], ids=["same weight at the end", "another weight at the end"])
def test_moves_are_those_of_the_riccati_recursion(final: float | None) -> None:
    """Two points are exact for a cart, so that collocation has the transition of the discrete system."""
    width, count, price, weights = 0.5, 10, 0.5, (1.0, 0.1)
    tracking = Tracking(
        {name: SetPoint(0.0, weight, final) for name, weight in zip(("x", "v"), weights, strict=True)},
        {"u": price},
        before={"u": 0.3},
        summed="edges",
    )
    free = {"u": Control(-50.0, 50.0, move_penalty=0.0)}
    problem = Problem(Pulled(), {"x": 1.0, "v": -0.2}, Horizon(count * width, count, 2), free, maximise=tracking)
    loop = run(problem, width, hours=6 * width)
    step = np.array([[1.0, width, width**2 / 2.0], [0.0, 1.0, width], [0.0, 0.0, 1.0]])
    push = np.array([[width**2 / 2.0], [width], [1.0]])
    cost = np.diag([*(weights if final is None else (final, final)), 0.0])
    for _ in range(count):
        gain = np.linalg.solve(price + push.T @ cost @ push, push.T @ cost @ step)
        cost = step.T @ cost @ (step - push @ gain) + np.diag([*weights, 0.0])
    measured = np.array([loop.trajectory[f"measured_{name}"] for name in ("x", "v")])
    measured = measured[:, np.isfinite(measured[0])]
    moves = moves_of(loop)
    states = np.vstack([measured, [0.3, *moves[:-1]]])
    assert moves == pytest.approx(((step - push @ gain) @ states)[2], rel=1.0e-6)


@pytest.mark.parametrize("hours", [None, 6.0], ids=["shrinking", "receding"])
def test_reference_is_that_of_the_time_of_the_batch(hours: float | None) -> None:
    changing = Tracking({"x": SetPoint(((0.0, 1.0), (3.0, 2.0)), weight=100.0)})
    loop = run(lag(changing, 6.0 if hours is None else 2.0, 12 if hours is None else 4), hours=hours)
    x = loop.trajectory.at("x", np.array([1.5, 4.5, 5.0]))
    assert x == pytest.approx([1.0, 2.0, 2.0], abs=0.03)


def test_move_in_a_batch_is_that_of_a_batch_that_begins_there() -> None:
    """Of which the reference changes as much earlier."""
    moves = [
        Controller(
            lag(Tracking({"x": SetPoint(((0.0, 1.0), (change, 2.0)), shape=shape)})), None, 0.5, horizon="receding"
        )
        .step(time, {"x": 0.9})
        .controls["u"]
        for shape in ("steps", "lines")
        for time, change in ((40.0, 41.0), (0.0, 1.0))
    ]
    assert moves[0] == pytest.approx(moves[1], rel=1.0e-6)
    assert moves[2] != pytest.approx(moves[0], rel=1.0e-2)


def test_windows_and_fastest_change_are_those_of_the_batch() -> None:
    pump = Control(0.0, 4.0, windows=((4.0, 8.0),), rate_limit=1.0)
    moves = moves_of(run(lag(Tracking({"x": 2.0}), controls={"u": pump}), hours=10.0))
    assert np.all(moves[:8] == 0.0)
    assert np.all(moves[16:] == 0.0)
    assert moves[8:10] == pytest.approx([0.5, 1.0], abs=1.0e-6)
    assert moves[14:16] == pytest.approx([1.0, 0.5], abs=1.0e-6)  # early enough to be at zero when the window closes


def test_program_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written, write = [], program_file.write_equations
    monkeypatch.setattr(program_file, "write_equations", lambda *given: written.append(1) or write(*given))
    run(lag(Tracking({"x": SetPoint(((0.0, 1.0), (3.0, 2.0)))}, {"u": 0.1})), hours=5.0)
    assert len(written) == 1


def test_interval_may_be_another_than_the_elements() -> None:
    loop = run(lag(Tracking({"x": 2.0}, moves={"u": 0.1}), 3.0, 4), 0.4, hours=9.0)
    assert len(loop.steps) == 23
    assert loop.trajectory.final("x") == pytest.approx(2.0, abs=1.0e-3)


def test_last_plan_is_followed_where_an_estimate_cannot_be_used() -> None:
    """For three steps at most; a plan that is shorter is held at its end."""
    controller = Controller(lag(Tracking({"x": 2.0}, moves={"u": 0.1}), 1.0, 2), None, 0.5, horizon="receding")
    known = controller.step(20.0, {"x": 1.0})
    moves = [controller.step(20.5 + 0.5 * k, {"x": float("nan")}) for k in range(4)]
    assert [move.fallback for move in moves] == ["last plan"] * 3 + ["held controls"]
    assert known.fallback == ""
    assert moves[1].controls == moves[0].controls
    assert moves[2].controls == moves[0].controls


# --- limits


def test_limits_come_before_set_points() -> None:
    loop = run(lag(Tracking({"x": SetPoint(3.0, weight=1.0e4)}), limits={"x": (None, 2.0)}), hours=6.0)
    assert loop.trajectory.final("x") == pytest.approx(2.0, abs=1.0e-3)
    assert max(loop.violations.values(), default=0.0) < 1.0e-3


def test_limit_that_cannot_be_kept_is_violated_as_little_as_possible() -> None:
    problem = lag(Tracking({"x": 5.0}), limits={"x": (None, 2.0)})
    move = Controller(problem, None, 0.5, horizon="receding").step(7.0, {"x": 3.0})
    assert move.controls["u"] == pytest.approx(-10.0, abs=0.1)
    assert "as little as possible" in move.notes[0]


def test_limits_at_the_end_are_no_limits_of_an_endless_run() -> None:
    loop = run(lag(Tracking({"x": 1.0}, moves={"u": 1.0}), final={"x": (0.8, 0.8)}), hours=1.0)
    assert loop.violations == {}


# --- arguments


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Tracking(), "nothing to track; give set_points, prices or moves"),
        (lambda: Tracking({"x": "high"}), "a set-point is 'high'; give a finite number, or pairs"),
        (lambda: Tracking({"x": float("nan")}), "a set-point is nan; give a finite number"),
        (lambda: Tracking({"x": []}), r"a set-point is \[\]; give a finite number"),
        (lambda: Tracking({"x": [(0.0, 1.0), 2.0]}), "give a finite number, or pairs"),
        (
            lambda: Tracking({"x": [(1.0, 1.0), (0.0, 2.0)]}),
            r"times of a set-point are \[1.0, 0.0\]; give times that asc",
        ),
        (lambda: SetPoint(1.0, weight=-1.0), "weight is -1.0; it should be greater than or equal to 0"),
        (lambda: SetPoint(1.0, final_weight=float("inf")), "final_weight is inf; it should be a finite number"),
        (lambda: SetPoint(1.0, shape="ramp"), "shape of a set-point is 'ramp'; use one of steps, lines"),
        (lambda: Tracking({"x": 1.0}, moves={"u": -1.0}), "moves.u is -1.0; it should be greater than or equal to 0"),
        (lambda: Tracking({"x": 1.0}, prices={"x": float("nan")}), "prices.x is nan; it should be a finite number"),
        (lambda: Tracking({"x": 1.0}, summed="points"), "summed is 'points'; use one of integral, edges"),
        (lambda: Tracking({"x": 1.0}, plus=3.0), "plus is 3.0; give the name of a quantity, an Objective, or None"),
        (lambda: Tracking({"x": 1.0}, scale=0.0), "scale is 0.0; it should be greater than 0"),
        (lambda: lag(Tracking({"y": 1.0})), "the tracking names 'y', which is unknown; known: double, x"),
        (lambda: lag(Tracking(prices={"y": 1.0})), "the tracking names 'y', which is unknown"),
        (lambda: lag(Tracking({"x": 1.0}, moves={"v": 1.0})), "there is no control 'v'; known: u"),
        (lambda: lag(Tracking({"x": 1.0}, before={"v": 1.0})), "there is no control 'v'; known: u"),
        (lambda: lag(Tracking({"x": 1.0}, plus="y")), "there is no state, derived quantity or rate 'y'"),
        (lambda: lag(Tracking({"x": 1.0}, plus=Objective("y", "", lambda end, start: end["y"]))), "reads 'y'"),
        (
            lambda: lag({"set_points": {"x": 1.0}, "wait": {}}),
            "there is no 'wait' in a tracking; give one of set_points",
        ),
        (lambda: lag(3.0), "maximise is 3.0; give the name of a quantity, an Objective, or a Tracking"),
        (
            lambda: replace(lag(Tracking({"x": [(0.0, 1.0), (1.0, 2.0)]})), horizon=Horizon((2.0, 3.0))),
            "set-points that change over time need a fixed length",
        ),
        (
            lambda: Controller(lag("x"), None, 0.5, horizon="endless"),
            "horizon is 'endless'; use one of shrinking, reced",
        ),
        (lambda: run(lag("x"), hours=float("nan")), "hours is nan"),
        (lambda: run(lag("x"), hours=-1.0), "hours is -1"),
    ],
)
def test_wrong_argument_is_named(build: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        build()


@pytest.mark.parametrize(
    ("horizon", "hours", "message"),
    [
        ("receding", None, "hours is missing; give how long the controller with a receding horizon runs"),
        (
            "shrinking",
            4.0,
            "hours is 4.0, but the horizon shrinks and the batch is as long as that of its problem, 3 h",
        ),
    ],
)
def test_hours_fit_the_kind_of_horizon(horizon: str, hours: float | None, message: str) -> None:
    plant = Plant(Lag(), None, {"x": 0.0})
    with pytest.raises(StudyError, match=message):
        run_closed_loop(plant, Controller(lag("x"), None, 0.5, horizon=horizon), hours=hours)


def test_study_file_describes_the_same_tracking() -> None:
    given = {
        "set_points": {"x": {"value": [[0.0, 1.0], [3.0, 2.0]], "weight": 2.0, "shape": "lines"}, "double": 3},
        "moves": {"u": 0.1},
        "plus": "x",
        "summed": "edges",
    }
    known = Tracking(
        {"x": SetPoint(((0.0, 1.0), (3.0, 2.0)), 2.0, shape="lines"), "double": SetPoint(3.0)},
        {"u": 0.1},
        plus="x",
        summed="edges",
    )
    assert lag(given).maximise == known

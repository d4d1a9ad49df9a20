"""Kinds of problems: what may be chosen, limited and wished for, each against an answer known by hand or quadrature."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.optimisation.mesh import refined
from mmopt.optimisation.optimise import optimise
from mmopt.optimisation.pareto import pareto
from mmopt.optimisation.scenarios import optimise_scenarios
from mmopt.problem.control import Control
from mmopt.problem.horizon import Horizon
from mmopt.problem.objective import Objective, least_time, productivity, worth, yield_on
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.integral import Integral
from mmopt.reactor.quantities import Parameter, Quantity
from mmopt.reactor.system import Cell, System
from mmopt.search import OptimiseOptions, starts
from mmopt.search.initial_guess import feasible_guess
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.transcription.compiled import CompiledProblem
from tests.published import ethanol, fastest, lysine, penicillin, shin_lim
from tests.systems import Pulled

REST = {"x": 0.0, "v": 0.0}


@dataclass(frozen=True)
class Tank(System):
    """A tank that is filled: volume' = strength x feed."""

    states = (Quantity("volume", "L", lower=0.0),)
    controls = (Quantity("feed", "L/h", lower=0.0),)
    parameters = (Parameter("strength", 1.0),)

    def derivative(
        self, states: Mapping[str, Any], controls: Mapping[str, Any], parameters: Mapping[str, Any], cell: Cell
    ) -> dict[str, Any]:
        return {"volume": parameters["strength"] * controls["feed"]}


def pulled(**changes: Any) -> Problem:
    known: dict[str, Any] = {
        "system": Pulled(),
        "initial": REST,
        "horizon": Horizon(2.0, 10),
        "controls": {"u": Control(-1.0, 1.0, move_penalty=0.0)},
        "maximise": "x",
    }
    return Problem(**{**known, **changes})


def tank(**changes: Any) -> Problem:
    known: dict[str, Any] = {
        "system": Tank(),
        "initial": {"volume": 1.0},
        "horizon": Horizon(2.0, 8),
        "controls": {"feed": Control(0.0, 1.0, move_penalty=0.0)},
        "maximise": "volume",
    }
    return Problem(**{**known, **changes})


# what may be fixed and chosen


def test_least_time_of_a_cart_from_rest_to_rest() -> None:
    """1 m in 2 h: half of the way pulled, half braked."""
    still = {"x": (1.0, 1.0), "v": (0.0, 0.0)}
    plan = optimise(pulled(horizon=Horizon((0.5, 5.0), 20), maximise=least_time(), final=still))
    assert plan.choices.length == pytest.approx(2.0, abs=1.0e-6)
    assert plan.integration.objective == pytest.approx(-2.0, abs=1.0e-6)


def test_free_length_reaches_what_the_same_length_reaches_when_fixed() -> None:
    compiled = CompiledProblem(ethanol(30))
    compiled.start(feasible_guess(Simulator(ethanol(30), None)).trajectory)
    assert compiled.solve().status.solved
    free = compiled.plan()
    compiled.change(length=free.choices.length)
    assert compiled.solve(warm=True).status.solved
    assert compiled.plan().trajectory.final("amount") == pytest.approx(free.trajectory.final("amount"), rel=1.0e-5)


def test_start_that_may_be_chosen_is_chosen() -> None:
    plan = optimise(tank(initial={"volume": (0.5, 1.5)}))
    assert plan.choices.initial["volume"] == pytest.approx(1.5, abs=1.0e-6)
    assert plan.integration.objective == pytest.approx(3.5, abs=1.0e-5)


def test_parameter_that_may_be_chosen_is_chosen() -> None:
    plan = optimise(tank(parameters={"strength": (0.5, 2.0)}))
    assert plan.choices.parameters["strength"] == pytest.approx(2.0, abs=1.0e-6)
    assert plan.integration.objective == pytest.approx(5.0, abs=1.0e-5)


def test_fixed_end_is_reached_exactly() -> None:
    plan = optimise(pulled(final={"v": (0.0, 0.0)}))
    assert plan.trajectory.final("v") == pytest.approx(0.0, abs=1.0e-8)
    assert plan.trajectory.final("x") == pytest.approx(1.0, abs=1.0e-6)


# what a control may do


def test_lines_have_no_jumps_and_are_replayed_as_lines() -> None:
    plan = optimise(
        pulled(controls={"u": Control(-1.0, 1.0, shape="lines", move_penalty=0.0)}, final={"v": (0.0, 0.0)})
    )
    assert len(plan.values["u"]) == 11
    assert 0.9 < plan.trajectory.final("x") < 1.0
    assert plan.integration.gap < 1.0e-4


@pytest.mark.parametrize("shape", ["steps", "lines"])
def test_control_changes_no_faster_than_it_may(shape: str) -> None:
    control = Control(-1.0, 1.0, shape=shape, rate_limit=1.5, move_penalty=0.0)
    plan = optimise(pulled(controls={"u": control}, final={"v": (0.0, 0.0)}))
    assert np.abs(np.diff(plan.values["u"])).max() == pytest.approx(1.5 * 0.2, abs=1.0e-6)


def test_control_rests_outside_its_windows() -> None:
    plan = optimise(tank(controls={"feed": Control(0.0, 1.0, windows=((0.5, 1.1),), move_penalty=0.0)}))
    assert plan.values["feed"] == pytest.approx([0, 0, 1, 1, 0, 0, 0, 0], abs=1.0e-6)


def test_windows_need_a_fixed_length() -> None:
    with pytest.raises(StudyError, match="windows of control 'feed' need a fixed length"):
        tank(horizon=Horizon((1.0, 2.0)), controls={"feed": Control(0.0, 1.0, windows=((0.0, 1.0),))})


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"shape": "waves"}, "shape 'waves' is unknown"),
        ({"rate_limit": 0.0}, "rate_limit is 0"),
        ({"windows": ((2.0, 1.0),)}, "window cannot last from 2 h to 1 h"),
        ({"move_penalty": float("nan")}, "move_penalty is nan"),
    ],
)
def test_control_that_makes_no_sense_is_refused(numbers: dict[str, Any], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        Control(0.0, 1.0, **numbers)


# what may be wished for


def test_productivity_is_gain_over_time() -> None:
    """Filling costs nothing and starts at 1 L: every hour gains the same, so that any length does."""
    plan = optimise(tank(horizon=Horizon((1.0, 3.0), 8), maximise=productivity("volume")))
    assert plan.objective == pytest.approx(1.0, abs=1.0e-6)


def test_price_on_time_shortens_a_batch() -> None:
    dear = worth({"volume": 1.0, "time": -2.0})
    plan = optimise(tank(horizon=Horizon((1.0, 3.0), 8), maximise=dear))
    assert plan.choices.length == pytest.approx(1.0, abs=1.0e-6)
    assert plan.objective == pytest.approx(0.0, abs=1.0e-5)


def test_yield_and_any_expression_see_the_start() -> None:
    doubled = yield_on("volume", lambda end, start: start["volume"])
    assert optimise(tank(maximise=doubled)).objective == pytest.approx(2.0, abs=1.0e-5)
    squared = Objective("squared", "L2", lambda end, start: -((end["volume"] - 2.2) ** 2))
    assert optimise(tank(maximise=squared)).trajectory.final("volume") == pytest.approx(2.2, abs=1.0e-3)


@pytest.mark.parametrize(
    "objective",
    [worth({"beer": 1.0}), productivity("beer"), Objective("x", "", lambda end, start: end["volume"] - start["beer"])],
    ids=["worth", "productivity", "of one's own"],
)
def test_objective_over_nothing_known_is_refused(objective: Objective) -> None:
    with pytest.raises(StudyError, match=r"reads 'beer', which is unknown; .*feed"):
        tank(maximise=objective)


def test_integral_along_the_way_is_a_state() -> None:
    """Least of the integral of u^2 that moves the cart by 1 in 2 h from rest to rest is 12 / 2^3 (a parabola of speed)."""
    effort = Integral(Pulled(), Quantity("effort", "m2/h3"), lambda seen: seen["u"] ** 2)
    problem = pulled(
        system=effort,
        initial={**REST, "effort": 0.0},
        horizon=Horizon(2.0, 40),
        controls={"u": Control(-3.0, 3.0, shape="lines", move_penalty=0.0)},
        maximise=worth({"effort": -1.0}),
        final={"x": (1.0, 1.0), "v": (0.0, 0.0)},
    )
    assert optimise(problem).integration.objective == pytest.approx(-12.0 / 8.0, rel=1.0e-4)


def test_total_of_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(StudyError, match="has a 'x' already"):
        Integral(Pulled(), Quantity("x", "m"), lambda seen: seen["u"])


# limits that may be broken


def test_soft_limit_is_broken_as_far_as_its_price_allows() -> None:
    kept = optimise(tank(limits={"volume": (None, 2.0)}, soft={"volume": 1.0e3}))
    cheap = optimise(tank(limits={"volume": (None, 2.0)}, soft={"volume": 1.0e-3}))
    assert kept.trajectory.final("volume") == pytest.approx(2.0, abs=1.0e-3)
    assert cheap.trajectory.final("volume") == pytest.approx(3.0, abs=1.0e-3)


@pytest.mark.parametrize(
    ("soft", "says"),
    [({"biomass": 1.0}, "no soft limit 'biomass'"), ({"volume": 0.0}, "must be a finite number above 0")],
)
def test_soft_limit_that_makes_no_sense_is_refused(soft: dict[str, float], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        tank(limits={"volume": (None, 2.0)}, soft=soft)


# collocation


@pytest.mark.parametrize("scheme", ["radau", "legendre"])
@pytest.mark.parametrize("points", [1, 2, 3, 4, 5])
def test_every_collocation_reaches_the_analytic_optimum(scheme: str, points: int) -> None:
    plan = optimise(pulled(horizon=Horizon(2.0, 10, points, scheme)))
    assert plan.trajectory.final("x") == pytest.approx(
        2.2 if (scheme, points) == ("radau", 1) else 2.0, abs=1.0e-6
    )  # implicit Euler
    assert plan.integration.objective == pytest.approx(2.0, abs=1.0e-4)


def test_singular_arc_is_found_between_its_bangs() -> None:
    problem, hours = fastest(60)
    assert optimise(problem).choices.length == pytest.approx(hours, rel=1.0e-3)


def test_finer_mesh_brings_collocation_and_integration_together() -> None:
    coarse = ethanol(12)
    assert optimise(coarse).integration.gap > 5.0e-4
    fine = optimise(coarse, options=OptimiseOptions(mesh_tolerance=5.0e-4))
    assert fine.integration.gap < 5.0e-4
    assert fine.record.elements > 12


@pytest.mark.slow
def test_many_optima_are_searched_from_a_coarse_mesh() -> None:
    plan = optimise(shin_lim(40), options=OptimiseOptions(guesses=4))
    assert plan.integration is not None
    assert plan.integration.objective > 784.9


@pytest.mark.parametrize(("hours", "published"), [(20.0, 23.414), (25.0, 23.490), (40.0, 18.627)])
def test_state_that_falls_below_its_lowest_value_by_itself_is_allowed_to(hours: float, published: float) -> None:
    plan = optimise(lysine(hours))
    assert plan.status is Status.OPTIMAL
    assert plan.integration is not None
    assert plan.integration.objective / hours == pytest.approx(published, abs=1.5e-3)


def test_best_of_several_starts_is_kept() -> None:
    plan = optimise(ethanol(20), options=OptimiseOptions(guesses=3))
    reached = [guess.objective for guess in plan.record.guesses]
    assert [guess.name for guess in plan.record.guesses] == ["guess"] * 3 + ["plan on a coarse mesh"]
    assert plan.objective == max(reached)


# once compiled, solved again


def test_starts_in_processes_are_those_tried_here() -> None:
    here = optimise(ethanol(8), options=OptimiseOptions(guesses=3))
    there = optimise(ethanol(8), options=OptimiseOptions(guesses=3, workers=2))
    assert there.record.guesses == here.record.guesses
    assert there.objective == pytest.approx(here.objective, rel=1.0e-9)
    assert there.record.iterations == here.record.iterations


def test_problem_that_cannot_be_sent_says_what_to_do() -> None:
    @dataclass(frozen=True)
    class Here(Tank):
        pass

    with pytest.raises(StudyError, match=r"cannot be sent to other processes .* workers=1"):
        optimise(tank(system=Here()), options=OptimiseOptions(guesses=2, workers=2))


def test_time_that_is_too_short_for_any_optimum_leaves_the_best_start_and_says_so() -> None:
    plan = optimise(penicillin(60), options=OptimiseOptions(guesses=8, time_limit=1.0e-3))
    assert plan.record.out_of_time
    assert plan.status is Status.START
    assert "no solve ended with a better plan" in repr(plan)
    assert plan.integration is not None
    assert plan.integration.worst_violation < 1.0e-3


def test_best_plan_by_the_time_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*given: Any) -> Any:
        time.sleep(0.8)
        return feasible_guess(*given)

    monkeypatch.setattr(starts, "feasible_guess", slow)
    plan = optimise(tank(), options=OptimiseOptions(guesses=8, time_limit=2.4))
    assert plan.record.out_of_time
    assert 1 <= len(plan.record.guesses) <= 4
    assert plan.trajectory.final("volume") == pytest.approx(3.0, rel=1.0e-6)


def test_plan_on_a_coarse_mesh_outlives_the_time_for_a_finer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*given: Any) -> Any:
        time.sleep(1.5)
        return refined(*given)

    monkeypatch.setattr(sys.modules["mmopt.optimisation.optimise"], "refined", slow)
    plan = optimise(ethanol(12), options=OptimiseOptions(mesh_tolerance=1.0e-6, time_limit=1.5))
    assert plan.record.out_of_time
    assert plan.record.elements == 12


def test_too_little_time_is_never_told_as_limits_that_conflict() -> None:
    impossible = tank(limits={"volume": (None, 0.5)})
    with pytest.raises(InfeasibleError):
        optimise(impossible)
    with pytest.raises(SolverError, match="stopped at the time limit"):
        optimise(impossible, options=OptimiseOptions(time_limit=1.0e-3))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [({"guesses": 0}, "guesses is 0"), ({"workers": 0}, "workers is 0"), ({"time_limit": 0.0}, "time_limit is 0")],
    ids=str,
)
def test_ways_to_look_that_make_no_sense_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(StudyError, match=says):
        optimise(tank(), options=OptimiseOptions(**wrong))


@pytest.mark.parametrize("failures", [1, 2])
def test_numerical_trouble_is_survived_by_another_start(failures: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = CompiledProblem.solve, 0

    def failing(self: CompiledProblem, **options: Any) -> Solve:
        nonlocal calls
        calls += 1
        if calls <= failures:
            return Solve(Status.NUMERICAL_TROUBLE, 1, 0.0, float("nan"), "Invalid_Number_Detected")
        return whole(self, **options)

    monkeypatch.setattr(CompiledProblem, "solve", failing)
    assert optimise(tank()).objective == pytest.approx(3.0, abs=1.0e-5)


def test_compiled_problem_takes_new_data() -> None:
    compiled = CompiledProblem(tank(limits={"volume": (None, None)}))
    compiled.solve()
    compiled.change(initial={"volume": 2.0}, length=1.0, limits={"volume": (None, 2.5)}, controls={"feed": (0.0, 5.0)})
    assert compiled.solve(warm=True).status.solved
    assert compiled.plan().trajectory.final("volume") == pytest.approx(2.5, abs=1.0e-6)
    assert compiled.plan().trajectory.time[-1] == 1.0


def test_compiled_problem_takes_no_new_structure() -> None:
    compiled = CompiledProblem(tank())
    with pytest.raises(StudyError, match="has no limit of volume"):
        compiled.change(limits={"volume": (None, 2.0)})


def test_compiled_control_keeps_its_shape() -> None:
    with pytest.raises(StudyError, match="control 'feed' was compiled with another shape"):
        CompiledProblem(tank()).change(controls={"feed": Control(0.0, 1.0, shape="lines")})


def test_compiled_problem_refuses_unknown_names() -> None:
    with pytest.raises(StudyError, match="there is no state 'volme'; nearest known: volume"):
        CompiledProblem(tank()).change(initial={"volme": 2.0})


# several wishes, several cases


def test_front_trades_one_quantity_for_another() -> None:
    """Speed at the end for way: with v(2) >= w the cart must have been pulled all along for w = 2, and may brake for w = 0."""
    front = pareto(pulled(maximise=worth({"x": -1.0}), final={"v": (0.0, None)}), "v", points=4)
    speeds, ways = front.points.T
    assert front.missed == {}
    assert np.all(np.diff(speeds) > 0.0)
    assert np.all(np.diff(ways) <= 1.0e-6)
    assert (speeds[-1], ways[-1]) == (pytest.approx(2.0, abs=1.0e-5), pytest.approx(-2.0, abs=1.0e-4))


def test_front_over_nothing_known_is_refused() -> None:
    with pytest.raises(StudyError, match="no quantity 'speed'"):
        pareto(pulled(), "speed")


def test_one_feed_keeps_the_limit_in_every_case() -> None:
    problem = tank(limits={"volume": (None, 3.0)})
    weak, strong = optimise_scenarios(problem, [{"strength": 0.5}, {"strength": 2.0}])
    assert weak.values["feed"] == pytest.approx(strong.values["feed"], abs=1.0e-6)
    assert strong.trajectory.final("volume") == pytest.approx(3.0, abs=1.0e-5)
    assert weak.trajectory.final("volume") == pytest.approx(1.5, abs=1.0e-5)


def test_worst_case_is_as_good_as_it_can_be() -> None:
    """Near 2 L: the mean of both cases wants all of them near, the worst only the farthest."""
    near = Objective("near", "L", lambda end, start: -((end["volume"] - 2.0) ** 2))
    cases = [{"strength": 0.5}, {"strength": 1.5}]
    plans = optimise_scenarios(tank(maximise=near), cases, worst=True)
    assert plans[0].objective == pytest.approx(plans[1].objective, abs=1.0e-4)


def test_case_that_has_no_controls_is_named_with_what_it_breaks() -> None:
    problem = tank(final={"volume": (2.5, None)})
    with pytest.raises(
        InfeasibleError, match=r"in scenario 2 \(strength 0.5\): at the least, volume at the end is 0.5 L below"
    ):
        optimise_scenarios(problem, [{"strength": 2.0}, {"strength": 0.5}])


def test_cases_that_conflict_with_each_other_are_told_from_one_that_cannot_be() -> None:
    problem = tank(final={"volume": (2.0, 2.0)})
    with pytest.raises(InfeasibleError, match="each scenario has controls that keep its limits, but none were found"):
        optimise_scenarios(problem, [{"strength": 1.0}, {"strength": 2.0}])


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(StudyError, match="2 scenarios need as many weights"):
        optimise_scenarios(tank(), [{}, {}], weights=weights)


# wishes that cannot be met


def test_target_out_of_reach_is_named_with_what_is_missing() -> None:
    with pytest.raises(
        InfeasibleError, match=r"volume at the end is 2 L below the lowest allowed, 5 L, held there by.*highest feed, 1"
    ):
        optimise(tank(final={"volume": (5.0, None)}))


def test_start_beyond_a_limit_is_named() -> None:
    with pytest.raises(InfeasibleError, match=r"above the highest allowed, 0.5 L \(it begins at 1 L\)"):
        optimise(tank(limits={"volume": (None, 0.5)}))


def test_limits_that_conflict_are_named() -> None:
    with pytest.raises(
        InfeasibleError, match="volume at the end is 1 L below the lowest allowed, 3 L, held there by volume"
    ):
        optimise(tank(limits={"volume": (None, 2.0)}, final={"volume": (3.0, None)}))


def test_feed_of_nothing_with_a_target_is_named() -> None:
    with pytest.raises(InfeasibleError, match=r"volume at the end is 1 L below .* controls that leave no choice"):
        optimise(tank(controls={"feed": (0.0, 0.0)}, final={"volume": (2.0, None)}))


# what limits are worth


def test_multiplier_says_what_one_more_unit_is_worth() -> None:
    plan = optimise(tank(limits={"volume": (None, 2.0)}))
    (bound,) = [limit for limit in plan.active_limits if limit.name == "volume"]
    assert bound.worth == pytest.approx(1.0, abs=1.0e-4)
    assert "volume is at its highest allowed value, 2 L" in str(bound)
    assert "one L more is worth 1 L" in str(bound)


def test_less_feed_than_none_is_no_advice() -> None:
    """The least volume is what there was: a pump that ran backwards would make it less, but none does."""
    fewer = Objective("fewer", "L", lambda end, start: -end["volume"])
    assert optimise(tank(maximise=fewer)).active_limits == ()


def test_range_of_a_control_has_its_worth_too() -> None:
    plan = optimise(tank())
    (bound,) = plan.active_limits
    assert (bound.name, bound.side, bound.worth) == ("feed", "highest", pytest.approx(2.0, abs=1.0e-4))
    assert bound.spans == ((0.0, 2.0),)

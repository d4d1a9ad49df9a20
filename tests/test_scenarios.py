"""One set of controls for several scenarios, against single optima, integrations and answers known by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from mmopt.errors import InfeasibleError, StudyError
from mmopt.optimisation.optimise import optimise
from mmopt.optimisation.scenarios import optimise_scenarios
from mmopt.plan.plan import Plan
from mmopt.problem.control import Control
from mmopt.problem.horizon import Horizon
from mmopt.problem.objective import Objective, productivity
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.quantities import Parameter, Quantity
from mmopt.reactor.system import Cell, System
from mmopt.reactor.vessels.ecoli import ecoli_fed_batch
from mmopt.search.options import OptimiseOptions
from mmopt.surrogate.loading import load_surrogate
from mmopt.surrogate.surrogate import Surrogate

GAP = 1.0e-3
"""Relative difference between a collocation of a few elements and its integration."""

LIMITS: dict[str, tuple[float | None, float | None]] = {
    "oxygen_saturation": (20.0, None),
    "acetate": (None, 2.0),
    "volume": (None, 3.0),
}


def fed_batch(**changes: Any) -> Problem:
    start = {"volume": 2.0, "biomass": 0.4, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
    problem = Problem(ecoli_fed_batch(), start, Horizon(8.0, 10), {"feed": (0.0, 0.1)}, LIMITS)
    return replace(problem, **changes)


def grid(**factors: tuple[float, ...]) -> list[dict[str, float]]:
    """All combinations of factors of parameters."""
    defaults = ecoli_fed_batch().defaults
    return [
        {name: defaults[name] * factor for name, factor in zip(factors, combination, strict=True)}
        for combination in product(*factors.values())
    ]


FOUR = grid(kla=(0.85, 1.15), glucose_vmax=(0.95, 1.05))


def at_points(problem: Problem, surrogate: Surrogate) -> float:
    """The optimum that keeps the limits at the collocation points, as that of many scenarios does."""
    middle = {"feed": ConstantFeed(0.05)}
    return optimise(problem, surrogate, guess=middle, options=OptimiseOptions(back_off=False)).objective


def check_limits_at_points(problem: Problem, plans: list[Plan]) -> None:
    for plan in plans:
        for name, (low, high) in problem.limits.items():
            values = plan.trajectory[name][1:]
            scale = problem.quantities[name].scale
            assert low is None or values.min() >= low - 1.0e-5 * scale
            assert high is None or values.max() <= high + 1.0e-5 * scale


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return load_surrogate("ecoli_ijo1366")


@pytest.fixture(scope="module")
def scenarios() -> list[dict[str, float]]:
    """Four; `benchmarks/optimisation.py` has nine and 27."""
    return FOUR


@pytest.fixture(scope="module")
def mean(scenarios: list[dict[str, float]], surrogate: Surrogate) -> list[Plan]:
    return optimise_scenarios(fed_batch(), scenarios, surrogate, back_off=False)


@pytest.fixture(scope="module")
def worst(scenarios: list[dict[str, float]], surrogate: Surrogate) -> list[Plan]:
    return optimise_scenarios(fed_batch(), scenarios, surrogate, worst=True, back_off=False)


@pytest.fixture(scope="module")
def alone(scenarios: list[dict[str, float]], surrogate: Surrogate) -> list[float]:
    """The optimum of each scenario, had it a feed of its own."""
    return [at_points(replace(fed_batch(), parameters=scenario), surrogate) for scenario in scenarios]


@pytest.mark.parametrize("of", ["mean", "worst"])
def test_one_feed_keeps_the_limits_of_many_scenarios(
    scenarios: list[dict[str, float]], alone: list[float], of: str, request: pytest.FixtureRequest
) -> None:
    plans = request.getfixturevalue(of)
    check_limits_at_points(fed_batch(), plans)
    assert max(plan.integration.gap for plan in plans if plan.integration is not None) < GAP
    assert all(plan.values["feed"] == plans[0].values["feed"] for plan in plans)
    assert [plan.problem.parameters for plan in plans] == scenarios
    assert min(plan.objective for plan in plans) <= min(alone) * (1.0 + GAP)
    assert np.mean([plan.objective for plan in plans]) <= np.mean(alone) * (1.0 + GAP)


def test_worst_scenario_is_not_worse_than_that_of_the_best_mean(mean: list[Plan], worst: list[Plan]) -> None:
    assert min(plan.objective for plan in worst) >= min(plan.objective for plan in mean) * (1.0 - 1.0e-6)
    assert sum(plan.objective for plan in mean) >= sum(plan.objective for plan in worst) * (1.0 - 1.0e-6)


@pytest.mark.parametrize(
    "scenarios", [[{}], [{}, {}, {}], [{}, {"kla": 300.0}]], ids=["one", "equal", "by another name"]
)
def test_equal_scenarios_have_the_optimum_of_the_problem(
    scenarios: list[dict[str, float]], surrogate: Surrogate
) -> None:
    problem = fed_batch()
    plans = optimise_scenarios(problem, scenarios, surrogate, back_off=False)
    assert len(plans) == len(scenarios)
    alone = at_points(problem, surrogate)
    assert [plan.objective for plan in plans] == pytest.approx([alone] * len(plans), rel=GAP)


def test_scenarios_that_hardly_differ_have_nearly_the_optimum_of_the_problem(surrogate: Surrogate) -> None:
    """Their active limits are nearly the same, so that their gradients nearly depend on each other."""
    plans = optimise_scenarios(fed_batch(), [{"kla": 300.0 + 1.0e-4 * k} for k in range(4)], surrogate, back_off=False)
    assert plans[0].objective == pytest.approx(at_points(fed_batch(), surrogate), rel=GAP)


def test_four_scenarios_of_another_network_with_a_free_length() -> None:
    core = load_surrogate("ecoli_textbook")
    problem = fed_batch(horizon=Horizon((5.0, 9.0), 8), maximise=productivity("biomass_amount"))
    plans = optimise_scenarios(problem, FOUR, core, back_off=False)
    check_limits_at_points(problem, plans)
    lengths = {plan.choices.length for plan in plans}
    assert len(lengths) == 1
    assert 5.0 <= lengths.pop() <= 9.0
    assert max(plan.integration.gap for plan in plans if plan.integration is not None) < GAP


def test_weights_move_the_mean_towards_the_heavier_scenario() -> None:
    near = Objective("near", "L", lambda end, start: -((end["volume"] - 2.0) ** 2))
    scenarios = [{"strength": 0.5}, {"strength": 1.5}]
    for weights in ([1.0, 1.0], [1.0, 3.0]):
        plans = optimise_scenarios(two_pumps(maximise=near, limits={}), scenarios, weights=weights)
        amount = sum(plans[0].values["feed"]) / len(plans[0].values["feed"])
        # the least squares of 1 + s a = 2 over both strengths s, for 1 h at a L/h
        wanted = np.dot(weights, [0.5, 1.5]) / np.dot(weights, [0.25, 2.25])
        assert amount == pytest.approx(wanted, abs=1.0e-4)


@dataclass(frozen=True)
class TwoPumps(System):
    """A tank that one pump fills and another empties: volume' = strength x feed - bleed."""

    states = (Quantity("volume", "L", lower=0.0),)
    controls = (Quantity("feed", "L/h", lower=0.0), Quantity("bleed", "L/h", lower=0.0))
    parameters = (Parameter("strength", 1.0),)

    def derivative(
        self, states: Mapping[str, Any], controls: Mapping[str, Any], parameters: Mapping[str, Any], cell: Cell
    ) -> dict[str, Any]:
        return {"volume": parameters["strength"] * controls["feed"] - controls["bleed"]}


def two_pumps(**changes: Any) -> Problem:
    known: dict[str, Any] = {
        "system": TwoPumps(),
        "initial": {"volume": 1.0},
        "horizon": Horizon(1.0, 4),
        "controls": {"feed": Control(0.0, 3.0, move_penalty=0.0), "bleed": Control(0.0, 0.0, move_penalty=0.0)},
        "limits": {"volume": (None, 3.0)},
        "maximise": "volume",
    }
    return Problem(**{**known, **changes})


def test_two_controls_and_a_chosen_start_are_shared() -> None:
    controls = {"feed": Control(1.0, 3.0, move_penalty=0.0), "bleed": Control(0.0, 0.5, move_penalty=0.0)}
    problem = two_pumps(controls=controls, initial={"volume": (0.5, 2.0)}, final={"volume": (1.5, None)})
    plans = optimise_scenarios(problem, [{"strength": s} for s in (0.5, 1.0, 1.5, 2.0)])
    assert len({plan.choices.initial["volume"] for plan in plans}) == 1
    assert all(plan.values == plans[0].values for plan in plans)
    assert plans[3].trajectory.final("volume") == pytest.approx(3.0, abs=1.0e-5)
    # start + 2 f - b <= 3 and f >= 1: the mean start + 1.25 f - b is at most 3 - 0.75
    assert np.mean([plan.objective for plan in plans]) == pytest.approx(2.25, abs=1.0e-4)


@pytest.mark.parametrize("count", [1, 4, 9])
def test_price_that_keeps_a_limit_alone_keeps_it_in_many_scenarios(count: int) -> None:
    """All gain from a violation that one alone pays for, so a price shared by all would be too low."""
    problem = two_pumps(limits={"volume": (None, 3.0)}, soft={"volume": 30.0})
    strengths = np.linspace(1.0, 2.0, count) if count > 1 else [2.0]
    plans = optimise_scenarios(problem, [{"strength": float(s)} for s in strengths])
    assert plans[-1].trajectory["volume"].max() <= 3.0 + 1.0e-4


@pytest.mark.parametrize("worst", [False, True])
def test_limits_are_kept_between_points_in_every_scenario(worst: bool) -> None:
    core, kla = load_surrogate("ecoli_textbook"), [{"kla": 250.0}, {"kla": 300.0}, {"kla": 350.0}]
    loose, tight = (
        optimise_scenarios(fed_batch(), kla, core, worst=worst, back_off=back_off) for back_off in (False, True)
    )
    assert max(plan.replay(core).worst_violation for plan in loose) > 0.02, "the case shows nothing"
    assert max(plan.replay(core).worst_violation for plan in tight) < 0.005
    assert tight[0].objective > 0.95 * loose[0].objective


def test_scenario_without_controls_is_named_among_four() -> None:
    core = load_surrogate("ecoli_textbook")
    problem = fed_batch(final={"biomass_amount": (16.0, None)}, horizon=Horizon(8.0, 4))
    with pytest.raises(InfeasibleError, match=r"in scenario 3 \(kla 60\): .*biomass_amount at the end"):
        optimise_scenarios(problem, [{"kla": kla} for kla in (300.0, 280.0, 60.0, 320.0)], core)


def test_scenarios_that_conflict_are_named_with_what_they_violate() -> None:
    problem = two_pumps(final={"volume": (2.0, 2.0)})
    with pytest.raises(InfeasibleError, match=r"keep them in all: at the least, in scenario \d \(strength"):
        optimise_scenarios(problem, [{"strength": 1.0}, {"strength": 2.0}, {"strength": 1.5}])


def test_chosen_parameter_is_no_parameter_of_a_scenario() -> None:
    problem = two_pumps(parameters={"strength": (0.5, 1.0)})
    with pytest.raises(StudyError, match=r"scenario 1 has strength = 0.7; give a number, of a parameter that is not"):
        optimise_scenarios(problem, [{"strength": 0.7}, {}])


def test_chosen_parameter_is_shared() -> None:
    """volume = 1 + s f with the chosen s, the same in all scenarios."""
    plans = optimise_scenarios(two_pumps(parameters={"strength": (0.5, 1.0)}), [{}, {}])
    assert plans[0].choices.parameters == plans[1].choices.parameters
    assert plans[0].objective == pytest.approx(3.0, abs=1.0e-4)


def test_time_limit_leaves_the_best_start(surrogate: Surrogate) -> None:
    plans = optimise_scenarios(fed_batch(), FOUR, surrogate, time_limit=1.0e-3)
    assert plans[0].record.out_of_time
    assert all(plan.keeps_limits for plan in plans)

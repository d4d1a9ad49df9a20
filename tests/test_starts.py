"""The best simple feeds of a search: they keep the limits, and are nearly those of all shapes searched to the end."""

from dataclasses import replace

import pytest

from mmopt import Control, Horizon, OptimiseOptions, Problem, StepFeed, Surrogate, ecoli_fed_batch, optimise
from mmopt.problem.simulator import Simulator
from mmopt.reactor import Aeration, StirredTank
from mmopt.search import starts
from mmopt.search.initial_guess import feasible_guess
from mmopt.search.single_start import UNFINISHED
from mmopt.search.trial import AS_SIMULATED
from mmopt.status import Status

START = {"volume": 2.0, "biomass": 0.6, "glucose": 3.0, "acetate": 0.0, "oxygen": 0.2}
PROBLEM = Problem(
    ecoli_fed_batch(),
    START,
    Horizon(7.0, 10),
    {"feed": (0.0, 0.08)},
    {"volume": (None, 2.6), "oxygen_saturation": (15.0, None)},
)


@pytest.mark.parametrize(
    "limits",
    [
        PROBLEM.limits,
        {"volume": (None, 2.4), "acetate": (None, 1.2)},
        {"volume": (None, 2.5), "oxygen_uptake": (None, 60.0)},
    ],
    ids=["oxygen", "acetate", "oxygen uptake"],
)
def test_best_simple_feeds_are_nearly_those_of_a_whole_search(
    surrogate: Surrogate, monkeypatch: pytest.MonkeyPatch, limits: dict[str, tuple[float | None, float | None]]
) -> None:
    simulator = Simulator(replace(PROBLEM, limits=limits), surrogate)
    soon = {start.name: start for start in starts.simple_starts(simulator)}
    monkeypatch.setattr(starts, "_REFINED", 100)
    monkeypatch.setattr(starts, "_REFINEMENTS", 8)
    monkeypatch.setattr(starts, "_FACTOR", 1.2)
    for whole in starts.simple_starts(simulator):
        assert soon[whole.name].keeps
        assert soon[whole.name].objective > 0.95 * whole.objective


def test_controls_that_keep_the_limits_are_the_guess_as_they_are(surrogate: Surrogate) -> None:
    simulator = Simulator(PROBLEM, surrogate)
    best = starts.simple_starts(simulator)[0].guess.trajectory
    edges = PROBLEM.horizon.edges()
    rates = tuple(best.at("feed", (edges[:-1] + edges[1:]) / 2.0).tolist())
    guess = feasible_guess(simulator, {"feed": StepFeed(tuple(edges.tolist()), rates)})
    assert guess.kept == 1.0
    assert guess.trajectory.final("biomass") == pytest.approx(best.final("biomass"), rel=1.0e-3)


@pytest.mark.parametrize("iterations", [3, 12])
def test_unfinished_solves_leave_a_plan_that_keeps_the_limits(surrogate: Surrogate, iterations: int) -> None:
    plan = optimise(PROBLEM, surrogate, options=OptimiseOptions(ipopt={"max_iter": iterations}))
    simple = max(start.objective for start in starts.simple_starts(Simulator(PROBLEM, surrogate)))
    assert plan.status is Status.START
    assert plan.keeps_limits
    assert plan.integration is not None
    assert plan.integration.objective >= (1.0 - 1.0e-3) * simple
    assert plan.record.remedies[-1] in (UNFINISHED, AS_SIMULATED)


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": {}, "final": {"volume": (None, 2.0)}, "horizon": Horizon(7.0, 3)},
        {"limits": {"volume": (None, 2.5)}, "controls": {"feed": Control(0.0, 0.08, windows=((6.5, 6.6),))}},
    ],
    ids=["a full vessel", "no element in the window"],
)
def test_no_feed_is_the_plan_where_nothing_else_keeps_the_limits(
    surrogate: Surrogate, changes: dict[str, object]
) -> None:
    problem = replace(PROBLEM, **changes)
    plan = optimise(problem, surrogate)
    assert plan.status in (Status.START, Status.OPTIMAL)
    assert plan.keeps_limits
    assert max(plan.controls["feed"].rates) == pytest.approx(0.0, abs=1.0e-6)


def stirred(surrogate: Surrogate, number: int) -> Problem:
    """A dense culture whose stirrer is a control beside the feed: at its lowest speed no feed keeps dissolved oxygen."""
    reactor = ecoli_fed_batch()
    tank = StirredTank(0.08, 0.18)
    reactor = replace(reactor, aeration=Aeration(None, 0.21), components=(tank,))
    start = {"volume": 2.0, "biomass": 2.0 + 0.4 * number, "glucose": 0.5, "acetate": 0.1, "oxygen": 0.2}
    controls = {"feed": Control(0.0, 0.1), "stirrer_speed": Control(200.0, 900.0), "gas_flow": Control(3.0, 3.0)}
    limits = {"oxygen_saturation": (15.0 - 5.0 * number, None), "acetate": (None, 2.0), "volume": (None, 3.0)}
    return Problem(reactor, start, Horizon(8.0, 8), controls, limits)


@pytest.mark.parametrize("number", [0, 1])
def test_one_control_is_shaped_where_others_have_to_be_high(surrogate: Surrogate, number: int) -> None:
    problem = stirred(surrogate, number)
    found = starts.simple_starts(Simulator(problem, surrogate))
    assert found
    assert all(start.keeps for start in found)
    assert min(start.guess.trajectory["stirrer_speed"].min() for start in found) == pytest.approx(900.0)
    plan = optimise(problem, surrogate)
    assert plan.keeps_limits
    assert plan.objective >= max(start.objective for start in found)

"""A fed-batch of the core network whose overflow is limited alone: better than an exponential feed, from every start.

Maintenance is 10 mmol/gDW/h, acetate is not taken up, glucose inhibits its own uptake, and the pump is slow.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from cobra.io import load_model

from mmopt import (
    Atlas,
    ConstantFeed,
    Control,
    Domain,
    ExponentialFeed,
    Horizon,
    Problem,
    Surrogate,
    optimise,
    read_network,
)
from mmopt.reactor import Aeration, Bioreactor, Profile, Species, Uptake
from mmopt.training import train_to_error

EXPONENTIAL = 13.2
"""Biomass that an exponential feed of two parameters reaches within the limits [g/L]."""


class SelfInhibited(Bioreactor):
    """A reactor whose glucose uptake falls again at high concentrations (Haldane, 100 g/L)."""

    def limits(self, states: Mapping[str, Any], parameters: Mapping[str, float]) -> dict[str, Any]:
        glucose = states["glucose"]
        size = abs(glucose)
        rate = parameters["glucose_vmax"] * glucose / (parameters["glucose_half"] + size + size * size / 100.0)
        return {**super().limits(states, parameters), "EX_glc__D_e": rate}


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    raw = load_model("textbook")
    raw.reactions.ATPM.lower_bound = 10.0
    explored = Atlas(read_network(raw), Domain({"EX_glc__D_e": (0.0, 10.0), "EX_o2_e": (0.0, 16.0)}))
    explored.explore()
    return explored


@pytest.fixture(scope="module")
def surrogate(atlas: Atlas) -> Surrogate:
    return train_to_error(atlas, wanted=0.1, hidden=(12, 12))


@pytest.fixture(scope="module")
def problem() -> Problem:
    reactor = SelfInhibited(
        (
            Species("glucose", "EX_glc__D_e", molar_mass=180.156, uptake=Uptake(10.0, 1.0), fed=100.0),
            Species("acetate", "EX_ac_e", molar_mass=59.044),
            Species("oxygen", "EX_o2_e", "mmol/L", uptake=Uptake(15.0, 0.003), scale=0.1),
        ),
        aeration=Aeration(kla=400.0, saturation=0.21),
    )
    start = {"volume": 1.0, "biomass": 0.1, "glucose": 10.0, "acetate": 0.0, "oxygen": 0.21}
    pump = Control(0.0, 0.5, rate_limit=0.05 / 0.4)
    limits = {"volume": (None, 3.0), "acetate": (None, 5.0)}
    return Problem(reactor, start, Horizon(12.0, 30), {"feed": pump}, limits, maximise="biomass")


@pytest.mark.slow
@pytest.mark.parametrize(
    "guess",
    [None, ConstantFeed(0.02), ConstantFeed(0.2), ExponentialFeed(0.005, 0.3)],
    ids=lambda one: type(one).__name__,
)
def test_plan_of_the_core_network_is_better_than_an_exponential_feed_from_every_start(
    problem: Problem, surrogate: Surrogate, atlas: Atlas, guess: Profile | None
) -> None:
    plan = optimise(problem, surrogate, guess=None if guess is None else {"feed": guess})
    on_reference = plan.replay(atlas)
    assert on_reference.objective > EXPONENTIAL
    assert on_reference.worst_violation < 0.01
    assert plan.integration is not None
    assert on_reference.objective == pytest.approx(plan.integration.objective, rel=0.02)

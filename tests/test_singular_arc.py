"""A fed-batch with Haldane's law has a singular arc: the substrate is held where growth is fastest, at sqrt(K_S K_I).

The formulas are those of the textbook problem: with the biomass x V to be maximised at a given time and nothing else limited,
growth is fastest at S* = sqrt(K_S K_I), so the feed is exponential and x V grows by exp(mu(S*) t). Source: Lim and
Shin (2013), Fed-Batch Cultures, Cambridge University Press.
"""

from dataclasses import dataclass
from math import exp, sqrt
from typing import Any

import numpy as np
import pytest

from mmopt import Horizon, Plan, Problem, optimise
from mmopt.problem import Control, Objective
from mmopt.reactor import Quantity, System
from mmopt.reactor.kinetics import haldane
from mmopt.reactor.system import Cell, Values

HALF, INHIBITION, VMAX, GIVEN, HOURS = 0.5, 8.0, 0.6, 300.0, 6.0
YIELD = 0.5
BEST = sqrt(HALF * INHIBITION)
FASTEST = VMAX / (1.0 + 2.0 * sqrt(HALF / INHIBITION))
START = {"volume": 2.0, "biomass": 2.0, "substrate": BEST}


@dataclass(frozen=True)
class Haldane(System):
    """Growth on a substrate that inhibits itself."""

    states = (
        Quantity("volume", "L", lower=0.0),
        Quantity("biomass", "g/L", scale=10.0, lower=0.0),
        Quantity("substrate", "g/L", lower=0.0),
    )
    controls = (Quantity("feed", "L/h", scale=0.1, lower=0.0),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        growth = haldane(states["substrate"], VMAX, HALF, INHIBITION)
        dilution = controls["feed"] / states["volume"]
        return {
            "volume": controls["feed"],
            "biomass": (growth - dilution) * states["biomass"],
            "substrate": dilution * (GIVEN - states["substrate"]) - growth * states["biomass"] / YIELD,
        }


def planned(substrate: float, elements: int) -> Plan:
    most = Objective("biomass in all", "g", lambda end, start: end["biomass"] * end["volume"], 10.0)
    feed = Control(0.0, 1.0, shape="lines")
    return optimise(
        Problem(Haldane(), {**START, "substrate": substrate}, Horizon(HOURS, elements), {"feed": feed}, maximise=most)
    )


def test_growth_is_fastest_at_the_root_of_both_constants() -> None:
    around = [haldane(BEST * factor, VMAX, HALF, INHIBITION) for factor in (0.99, 1.0, 1.01)]
    assert max(around) == around[1] == pytest.approx(FASTEST, rel=1e-12)


def test_plan_holds_the_substrate_where_growth_is_fastest() -> None:
    plan = planned(BEST, 60)
    inside = plan.trajectory["substrate"][plan.trajectory.time < 0.9 * HOURS]
    np.testing.assert_allclose(inside, BEST, rtol=1e-3)
    assert plan.integration is not None
    assert plan.integration.objective == pytest.approx(4.0 * exp(FASTEST * HOURS), rel=1e-4)


def test_feed_of_the_arc_is_that_of_the_formula() -> None:
    plan = planned(BEST, 60)
    time = np.linspace(0.5, 0.8 * HOURS, 20)
    wanted = FASTEST * 4.0 * np.exp(FASTEST * time) / (YIELD * (GIVEN - BEST))
    np.testing.assert_allclose([plan.controls["feed"](t) for t in time], wanted, rtol=2e-2)


@pytest.mark.parametrize("substrate", [0.3, 6.0])
def test_plan_goes_to_the_arc_from_either_side(substrate: float) -> None:
    plan = planned(substrate, 24)
    inside = plan.trajectory.at("substrate", np.linspace(0.6 * HOURS, 0.85 * HOURS, 10))
    np.testing.assert_allclose(inside, BEST, rtol=3e-2)

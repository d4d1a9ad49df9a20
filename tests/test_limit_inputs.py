"""A knock-down or a product drain is an input like an uptake limit: from the flux program to the surrogate."""

import numpy as np
import pytest

from mmopt.fba import Atlas, Domain, pfba
from mmopt.network import LinearLimit, Network, knock_out, set_bounds
from mmopt.surrogate import Surrogate
from mmopt.training import train_to_error

GLUCOSE = "EX_glc__D_e"
MEMBERS = {"TKT1": 8.0, "PGI": 10.0}
"""Reactions, and a flux that they do not need to exceed [mmol/gDW/h]."""


@pytest.fixture(scope="module", params=MEMBERS)
def atlas(request: pytest.FixtureRequest, textbook: Network) -> Atlas:
    limit = LinearLimit("capacity", MEMBERS[request.param], weights={request.param: 1.0})
    atlas = Atlas(textbook, Domain({GLUCOSE: (0.0, 10.0), "capacity": (0.0, limit.most)}), limits=[limit])
    atlas.explore()
    return atlas


@pytest.fixture(scope="module")
def trained(atlas: Atlas) -> Surrogate:
    return train_to_error(atlas, wanted=0.05, rounds=2, hidden=(10, 10), iterations=60, starts=2, switches=True)


def test_capacity_of_zero_is_the_knock_out(atlas: Atlas) -> None:
    (reaction,) = atlas.program.limits[0].weights or ()
    without = pfba(knock_out(atlas.network, reaction), {GLUCOSE: 9.0}).growth
    assert atlas.rates(np.array([[9.0, 0.0]]), ["growth"]).item() == pytest.approx(without, abs=1.0e-6)


def test_surrogate_follows_the_capacity(trained: Surrogate, atlas: Atlas) -> None:
    points = np.column_stack([np.full(20, 9.0), np.linspace(0.0, atlas.domain.upper[1], 20)])
    exact = atlas.rates(points, ["growth"])
    assert trained.predict(points, ["growth"]) == pytest.approx(exact, abs=0.05 * exact.max())


def test_only_what_is_taken_up_is_switched_off(trained: Surrogate) -> None:
    points = np.array([[9.0, 0.0], [0.0, 5.0]])
    growth = trained.predict(points, ["growth"])[:, 0]
    assert growth[0] > 0.1
    assert growth[1] < 1.0e-9


def test_forced_product_leaves_a_part_without_solution_that_is_stated(textbook: Network) -> None:
    atlas = Atlas(set_bounds(textbook, {"EX_ac_e": (3.0, 1000.0)}), Domain({GLUCOSE: (0.0, 10.0)}))
    atlas.explore()
    surrogate = train_to_error(atlas, wanted=0.1, rounds=1, hidden=(6,), iterations=40, starts=1)
    assert "has no solution" in str(surrogate)
    assert surrogate.predict([9.0], ["EX_ac_e"])[0] > 2.0

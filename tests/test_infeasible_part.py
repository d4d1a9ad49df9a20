"""A domain of which a part has no solution is explored, trained and reported on the rest."""

import numpy as np
import pytest

from mmopt.errors import SurrogateError
from mmopt.fba import Atlas, Domain
from mmopt.network import read_network
from mmopt.surrogate import Surrogate
from mmopt.training import train_to_error, worst_case_errors
from tests.toy_networks import cell

BOX = Domain({"EX_glc__D_e": (0.0, 10.0)})
QUICK = {"wanted": 0.05, "rounds": 1, "hidden": (6,), "iterations": 40, "starts": 1}


def forced(least: float) -> Atlas:
    """A cell that must secrete acetate, and so cannot live on less than half as much glucose."""
    atlas = Atlas(read_network(cell(changed={"EX_ac_e": (least, 1000.0)})), BOX)
    atlas.explore()
    return atlas


@pytest.fixture(scope="module", params=[2.0, 6.0], ids=str)
def atlas(request: pytest.FixtureRequest) -> Atlas:
    return forced(request.param)


@pytest.fixture(scope="module")
def trained(atlas: Atlas) -> Surrogate:
    return train_to_error(atlas, **QUICK)


def test_part_without_solution_is_estimated(atlas: Atlas) -> None:
    assert atlas.infeasible == pytest.approx(1.0 - atlas.coverage, abs=0.03)
    assert 0.05 < atlas.infeasible < 0.4


def test_surrogate_is_right_where_there_is_a_solution(trained: Surrogate, atlas: Atlas) -> None:
    points = np.linspace(10.0 * (1.0 - atlas.coverage) + 1.0e-6, 10.0, 50)[:, None]
    exact = atlas.rates(points, ["growth"])
    assert trained.predict(points, ["growth"]) == pytest.approx(exact, abs=0.1 * np.ptp(exact))


def test_part_without_solution_is_on_the_card_and_in_the_text(trained: Surrogate) -> None:
    assert "of the domain has no solution" in trained.card["domain_note"]
    assert "of the domain has no solution" in str(trained)


def test_domain_without_any_solution_is_refused() -> None:
    with pytest.raises(SurrogateError, match="the 0 regions known"):
        train_to_error(forced(30.0), **QUICK)


@pytest.fixture(scope="module")
def stopped(core_atlas: Atlas) -> Atlas:
    atlas = Atlas(core_atlas.network, core_atlas.domain)
    atlas.explore(most=6)
    return atlas


def test_exploration_stops_at_a_budget_of_regions(stopped: Atlas) -> None:
    assert 6 <= len(stopped.regions) < 27
    assert stopped.infeasible == 0.0


def test_exploration_stops_at_a_budget_of_memory(core_atlas: Atlas) -> None:
    atlas = Atlas(core_atlas.network, core_atlas.domain)
    atlas.explore(megabytes=0.02)
    assert 1 < len(atlas.regions) < 27


def test_atlas_that_stopped_early_is_refused_with_a_choice(stopped: Atlas) -> None:
    with pytest.raises(SurrogateError, match=r"smaller domain or fewer inputs, or give partial=True"):
        train_to_error(stopped, **QUICK)


def test_errors_of_what_is_covered_can_be_had(stopped: Atlas) -> None:
    surrogate = train_to_error(stopped, partial=True, **QUICK)
    assert "critical regions known cover" in str(surrogate)
    report = worst_case_errors(surrogate, stopped, partial=True)
    assert report.search["coverage"] == pytest.approx(stopped.coverage)

"""Where growth climbs steeply with one input, exact slopes say so, and what runs out there."""

import numpy as np
import pytest

from mmopt.fba import Atlas, Domain
from mmopt.network import read_network
from mmopt.sensitivity import Cliff, growth_cliffs
from mmopt.surrogate import Surrogate
from mmopt.training import train_to_error
from tests.toy_networks import cell

BOX = Domain({"EX_glc__D_e": (0.0, 10.0), "EX_o2_e": (0.0, 8.0)})


def trace_cell(need: float, *, coupled: bool = True) -> Atlas:
    """A cell that needs ``need`` mmol of a sterol a gram, which it makes of oxygen; an exchange of the sterol is closed."""
    more = {
        "EX_o2_e": ({"o2_e": -1.0}, (-8.0, 1000.0)),
        "O2t": ({"o2_e": -1.0, "o2_c": 1.0}, (0.0, 1000.0)),
        "STEROL": ({"glc__D_c": -0.01, "o2_c": -1.0, "ste_c": 1.0}, (0.0, 1000.0)),
        "EX_ste_e": ({"ste_e": -1.0}, (0.0, 1000.0)),
        "STEt": ({"ste_e": -1.0, "ste_c": 1.0}, (-1000.0, 1000.0)),
        "RESP": ({"glc__D_c": -1.0, "o2_c": -2.0, "atp_c": 6.0}, (0.0, 1000.0)),
    }
    biomass = {"glc__D_c": -1.0, "atp_c": -4.0} | ({"ste_c": -need} if coupled else {})
    network = read_network(cell(more=more | {"BIOMASS": (biomass, (0.0, 1000.0))}))
    atlas = Atlas(network, BOX)
    atlas.explore()
    return atlas


@pytest.fixture(scope="module", params=[0.002, 0.006], ids=str)
def atlas(request: pytest.FixtureRequest) -> Atlas:
    return trace_cell(request.param)


def test_trace_that_growth_needs_is_a_cliff(atlas: Atlas) -> None:
    (cliff,) = growth_cliffs(atlas)
    assert (cliff.name, cliff.start) == ("EX_o2_e", 0.0)
    assert cliff.end < 0.03
    assert cliff.slope > 100.0 * cliff.other_slope


def test_cliff_names_what_runs_out_and_what_would_provide_it(atlas: Atlas) -> None:
    (cliff,) = growth_cliffs(atlas)
    assert cliff.missing == ("ste_c",)
    assert cliff.nutrients == ("EX_ste_e",)
    assert "open EX_ste_e with set_bounds" in str(cliff)


def test_need_that_is_no_trace_is_no_cliff() -> None:
    assert growth_cliffs(trace_cell(0.5)) == ()


def test_cell_without_the_need_has_no_cliff() -> None:
    assert growth_cliffs(trace_cell(0.002, coupled=False)) == ()


def test_domain_that_begins_beside_the_cliff_has_none(atlas: Atlas) -> None:
    (cliff,) = growth_cliffs(atlas)
    beside = Atlas(atlas.network, Domain({**BOX.limits, "EX_o2_e": (cliff.edge, 8.0)}))
    beside.explore()
    assert growth_cliffs(beside) == ()


@pytest.mark.parametrize("name", ["textbook_atlas", "ijo1366_atlas", "salmonella_atlas"])
def test_bacteria_have_no_cliff(name: str, request: pytest.FixtureRequest) -> None:
    assert growth_cliffs(request.getfixturevalue(name)) == ()


def test_points_on_and_close_beside_a_cliff_are_held() -> None:
    cliff = Cliff("EX_o2_e", 0.0, 0.02, (0.0, 0.4), 20.0, 0.1)
    assert cliff.holds(np.array([0.0, 0.02, 0.039, 0.041])).tolist() == [True, True, True, False]


@pytest.fixture(scope="module")
def trained() -> Surrogate:
    return train_to_error(trace_cell(0.002), wanted=0.05, rounds=2, hidden=(8, 8), iterations=60, starts=2)


def test_wanted_errors_are_those_off_the_cliff(trained: Surrogate) -> None:
    report, rounds = trained.error_report, trained.card["training_rounds"]
    assert report is not None
    counted = max(report.relative(name, "off cliffs") / bound for name, bound in rounds["wanted"].items())
    assert rounds["excess"][rounds["round"]] == pytest.approx(counted)
    assert report.worst("growth", "off cliffs") < report.worst("growth")


def test_surrogate_does_not_grow_without_what_is_needed(trained: Surrogate) -> None:
    points = np.column_stack([np.linspace(0.0, 10.0, 50), np.zeros(50)])
    assert trained.predict(points, ["growth"]).max() < 1.0e-9


def test_cliff_is_on_the_card_and_in_the_text(trained: Surrogate) -> None:
    assert trained.card["cliffs"][0]["name"] == "EX_o2_e"
    assert "No error is wanted on a cliff: growth climbs" in str(trained)
    assert "off cliffs" in str(trained)

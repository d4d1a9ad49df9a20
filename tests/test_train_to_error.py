"""Learning goes on until the certificate says what is wanted, and says so where it does not come so far."""

import numpy as np
import pytest

from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.train import _held_out, train, training_table
from mmopt.training.train_to_error import train_to_error

BOX = Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)})
QUICK = {"hidden": (8, 8), "iterations": 40, "starts": 2}


@pytest.fixture(scope="module")
def atlas(core_atlas: Atlas) -> Atlas:
    return core_atlas


@pytest.fixture(scope="module")
def learnt(atlas: Atlas) -> Surrogate:
    few = tabulate_fluxes(atlas.network, BOX, 60, source=atlas)
    return train_to_error(atlas, wanted=1.0e-4, rounds=2, table=few, **QUICK)


def test_rounds_make_the_worst_error_smaller(learnt: Surrogate) -> None:
    excess = learnt.card["learnt"]["excess"]
    assert min(excess) < excess[0]


def test_bound_that_is_not_reached_is_told(learnt: Surrogate) -> None:
    assert learnt.card["learnt"]["reached"] is False


def test_card_carries_the_certificate_of_the_best_round(learnt: Surrogate) -> None:
    error_report = learnt.error_report
    assert error_report is not None
    bounds = learnt.card["learnt"]["wanted"]
    assert max(error_report.relative(name) / bound for name, bound in bounds.items()) == pytest.approx(
        learnt.card["learnt"]["excess"][learnt.card["learnt"]["round"]]
    )


def test_no_round_is_done_where_the_first_fit_is_good_enough(atlas: Atlas) -> None:
    easy = train_to_error(atlas, wanted=0.9, **QUICK)
    assert easy.card["learnt"]["excess"][0] <= 1.0
    assert len(easy.card["learnt"]["excess"]) == 1


def test_growth_is_held_more_tightly_than_exchanges(atlas: Atlas) -> None:
    bounds = train_to_error(atlas, wanted=0.9, **QUICK).card["learnt"]["wanted"]
    assert bounds["growth"] == pytest.approx(0.325 * 0.9)
    assert bounds["EX_o2_e"] == 0.9


def test_labels_along_a_trajectory_make_it_better_there(atlas: Atlas) -> None:
    few = tabulate_fluxes(atlas.network, BOX, 60, source=atlas)
    path = np.column_stack([np.linspace(9.0, 10.0, 200), np.linspace(3.0, 3.5, 200)])
    exact = atlas.rates(path, ["growth"])

    def error(surrogate: Surrogate) -> float:
        return float(np.abs(surrogate.reader(["growth"])(path) - exact).max())

    without = train_to_error(atlas, wanted=0.9, rounds=0, table=few, **QUICK)
    along = train_to_error(atlas, wanted=0.9, rounds=0, table=few, along=path, **QUICK)
    assert error(along) < 0.5 * error(without)


def test_labels_joined_later_leave_what_is_held_out_as_it_is() -> None:
    first, later = _held_out(100, 3, None), _held_out(160, 3, 100)
    assert np.array_equal(later[:100], first)
    assert not later[100:].any()


def test_labels_of_an_atlas_hold_its_corners(atlas: Atlas) -> None:
    corners, _ = atlas.corners()
    inputs = training_table(atlas, n=64).inputs
    assert len(inputs) == 64 + len(corners)
    assert np.array_equal(inputs[64:], corners)


def test_training_goes_on_from_a_surrogate(atlas: Atlas) -> None:
    table = tabulate_fluxes(atlas.network, BOX, 200, source=atlas)
    first = train(table, **QUICK)
    on = train(table, hidden=(8, 8), iterations=20, start=first)
    assert on.card["loss"] <= first.card["loss"] * (1.0 + 1.0e-6)


def test_going_on_with_other_layers_is_refused(atlas: Atlas) -> None:
    table = tabulate_fluxes(atlas.network, BOX, 200, source=atlas)
    first = train(table, hidden=(4,), iterations=5, starts=1)
    with pytest.raises(SurrogateError, match="has other layers than"):
        train(table, hidden=(8, 8), iterations=5, start=first)


@pytest.mark.parametrize("wanted", [0.0, -1.0, float("nan"), {}, {"growth": 0.0}], ids=str)
def test_bounds_that_cannot_be_are_refused(atlas: Atlas, wanted: object) -> None:
    with pytest.raises(SurrogateError, match="cannot be wanted; give parts of a range, above zero"):
        train_to_error(atlas, wanted=wanted, **QUICK)  # type: ignore[arg-type]


def test_unknown_reading_is_refused(atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="an error of 'grow' is wanted, which the certificate does not tell"):
        train_to_error(atlas, wanted={"grow": 0.1}, **QUICK)


@pytest.mark.parametrize("along", [np.zeros(3), np.zeros((4, 3)), np.full((2, 2), np.nan)], ids=["flat", "wide", "nan"])
def test_points_that_do_not_fit_are_refused(atlas: Atlas, along: np.ndarray) -> None:
    with pytest.raises(SurrogateError, match="cannot be learnt along"):
        train_to_error(atlas, along=along, **QUICK)


def test_negative_rounds_are_refused(atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="-1 rounds cannot be done"):
        train_to_error(atlas, rounds=-1)

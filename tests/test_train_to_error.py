"""Training continues until the error report keeps the wanted errors, and the card says where it does not."""

import cobra
import numpy as np
import pytest

from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.network import Network, read_network
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.added_points import training_table
from mmopt.training.train import _held_out, train
from mmopt.training.train_to_error import _stagnates, train_to_error

BOX = Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)})
QUICK = {"hidden": (8, 8), "iterations": 40, "starts": 2}
HARDLY = {"wanted": 0.05, "rounds": 0, "hidden": (6,), "iterations": 5, "starts": 1}


@pytest.fixture(scope="module")
def atlas(core_atlas: Atlas) -> Atlas:
    return core_atlas


@pytest.fixture(scope="module")
def trained(atlas: Atlas) -> Surrogate:
    few = tabulate_fluxes(atlas.network, BOX, 60, source=atlas)
    return train_to_error(atlas, wanted=1.0e-4, rounds=2, table=few, **QUICK)


@pytest.fixture(scope="module")
def easy(atlas: Atlas) -> Surrogate:
    """One that has no more to learn."""
    return train_to_error(atlas, wanted=0.9, **QUICK)


@pytest.fixture(scope="module")
def plain(atlas: Atlas) -> Surrogate:
    return train_to_error(atlas, **HARDLY)


def test_rounds_make_the_worst_error_smaller(trained: Surrogate) -> None:
    excess = trained.card["training_rounds"]["excess"]
    assert min(excess) < excess[0]


def test_missed_error_is_on_the_card(trained: Surrogate) -> None:
    assert trained.card["training_rounds"]["reached"] is False


def test_card_holds_the_error_report_of_the_best_round(trained: Surrogate) -> None:
    error_report = trained.error_report
    assert error_report is not None
    bounds = trained.card["training_rounds"]["wanted"]
    assert max(error_report.relative(name) / bound for name, bound in bounds.items()) == pytest.approx(
        trained.card["training_rounds"]["excess"][trained.card["training_rounds"]["round"]]
    )


def test_no_round_is_done_where_the_first_fit_is_good_enough(easy: Surrogate) -> None:
    assert easy.card["training_rounds"]["excess"][0] <= 1.0
    assert len(easy.card["training_rounds"]["excess"]) == 1


def test_growth_is_held_more_tightly_than_exchanges(easy: Surrogate) -> None:
    bounds = easy.card["training_rounds"]["wanted"]
    assert bounds["growth"] == pytest.approx(0.325 * 0.9)
    assert bounds["EX_o2_e"] == 0.9


def test_fluxes_along_a_trajectory_make_it_better_there(atlas: Atlas) -> None:
    few = tabulate_fluxes(atlas.network, BOX, 60, source=atlas)
    path = np.column_stack([np.linspace(9.0, 10.0, 200), np.linspace(3.0, 3.5, 200)])
    exact = atlas.rates(path, ["growth"])

    def error(surrogate: Surrogate) -> float:
        return float(np.abs(surrogate.reader(["growth"])(path) - exact).max())

    without = train_to_error(atlas, wanted=0.9, rounds=0, table=few, **QUICK)
    along = train_to_error(atlas, wanted=0.9, rounds=0, table=few, along=path, **QUICK)
    assert error(along) < 0.5 * error(without)


def test_points_joined_later_leave_what_is_held_out_as_it_is() -> None:
    first, later = _held_out(100, 3, None), _held_out(160, 3, 100)
    assert np.array_equal(later[:100], first)
    assert not later[100:].any()


def test_table_of_an_atlas_hold_its_corners(atlas: Atlas) -> None:
    corners, _ = atlas.corners()
    inputs = training_table(atlas, n=64).inputs
    assert len(inputs) == 64 + 8 + len(corners)
    assert np.array_equal(inputs[72:], corners)


def test_training_continues_from_a_surrogate(atlas: Atlas) -> None:
    table = tabulate_fluxes(atlas.network, BOX, 200, source=atlas)
    first = train(table, **QUICK)
    on = train(table, hidden=(8, 8), iterations=20, start=first)
    assert on.card["loss"] <= first.card["loss"] * (1.0 + 1.0e-6)


def test_continuing_with_other_layers_is_refused(atlas: Atlas) -> None:
    table = tabulate_fluxes(atlas.network, BOX, 200, source=atlas)
    first = train(table, hidden=(4,), iterations=5, starts=1)
    with pytest.raises(SurrogateError, match="has other layers than"):
        train(table, hidden=(8, 8), iterations=5, start=first)


@pytest.mark.parametrize(
    "wanted", [0.0, -1.0, float("nan"), "small", None, {}, {"growth": 0.0}, {"growth": "small"}], ids=str
)
def test_bounds_that_cannot_be_are_refused(atlas: Atlas, wanted: object) -> None:
    with pytest.raises(SurrogateError, match=r"wanted .*; give a (finite number above 0|fraction of the range)"):
        train_to_error(atlas, wanted=wanted, **QUICK)  # type: ignore[arg-type]


def test_unknown_reading_is_refused(atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="wanted names 'grow', which is no reading; nearest known: growth"):
        train_to_error(atlas, wanted={"grow": 0.1}, **QUICK)


@pytest.mark.parametrize("along", [np.zeros(3), np.zeros((4, 3)), np.full((2, 2), np.nan)], ids=["flat", "wide", "nan"])
def test_points_that_do_not_fit_are_refused(atlas: Atlas, along: np.ndarray) -> None:
    with pytest.raises(SurrogateError, match=r"along has the shape .*; give finite inputs"):
        train_to_error(atlas, along=along, **QUICK)


def test_negative_rounds_are_refused(atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="rounds is -1; give a whole number, at least 0"):
        train_to_error(atlas, rounds=-1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hiden": (8,)}, "there is no argument 'hiden'"),
        ({"iterations": 0}, "iterations is 0; give a whole number, at least 1"),
        ({"trainer": "torch"}, "trainer is 'torch'; give one of levenberg_marquardt, keras"),
    ],
    ids=str,
)
def test_arguments_of_training_are_checked_before_any_fit(atlas: Atlas, wrong: dict, message: str) -> None:
    with pytest.raises(SurrogateError, match=message):
        train_to_error(atlas, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden": ()}, r"hidden is \(\); give one width or more"),
        ({"hidden": "8"}, "hidden is '8'; give one width or more"),
        ({"hidden": (8, 0.5)}, "hidden is 0.5; give a whole number, at least 1"),
        ({"activation": "relu"}, "activation is 'relu'; give one of tanh"),
        ({"iterations": 0}, "iterations is 0; give a whole number, at least 1"),
        ({"iterations": float("nan")}, "iterations is nan; give a whole number"),
        ({"basis": "x"}, "basis is 'x'; give one of conic, linear, rates"),
        ({"starts": -1}, "starts is -1; give a whole number, at least 1"),
        ({"seed": "one"}, "seed is 'one'; give a whole number, at least 0"),
    ],
    ids=str,
)
def test_arguments_of_train_are_checked(atlas: Atlas, wrong: dict, message: str) -> None:
    with pytest.raises(SurrogateError, match=message):
        train(atlas, **wrong)


def test_table_of_another_kind_is_refused() -> None:
    with pytest.raises(SurrogateError, match="table is 'fluxes'; give a FluxTable or an Atlas"):
        train("fluxes")  # type: ignore[arg-type]


def test_missed_error_is_in_the_text_and_in_the_representation(trained: Surrogate) -> None:
    assert "wanted errors not reached" in repr(trained)
    assert "The wanted errors are not reached: " in str(trained)
    assert "of its range where 0.01% are wanted" in str(trained)


def test_text_of_a_surrogate_that_reached_its_errors_says_nothing(easy: Surrogate) -> None:
    assert "not reached" not in repr(easy)
    assert "not reached" not in str(easy)


def renamed(style: str) -> Network:
    """The textbook network, its exchanges under other ids."""
    other = cobra.io.load_model("textbook")
    for number, reaction in enumerate(other.exchanges):
        reaction.id = style.format(number + 1634)
    other.repair()
    return read_network(other)


@pytest.mark.parametrize("style", ["r_{}", "uptake{}", "R{}_rxn"])
def test_exchanges_count_under_any_id(atlas: Atlas, plain: Surrogate, style: str) -> None:
    network = renamed(style)
    ids = dict(zip(atlas.network.exchanges, network.exchanges, strict=True))
    other = Atlas(network, Domain({ids[name]: limits for name, limits in BOX.limits.items()}))
    other.explore()
    one, two = plain, train_to_error(other, **HARDLY)
    wanted = one.card["training_rounds"]["wanted"]
    assert len(wanted) > 8
    assert two.card["training_rounds"]["wanted"] == {ids.get(name, name): bound for name, bound in wanted.items()}
    for name in wanted:
        ranges = [
            one.error_report.readings[name]["range"],
            two.error_report.readings[ids.get(name, name)]["range"],
        ]
        assert ranges[0] == pytest.approx(ranges[1], rel=1.0e-9)


def test_shortfall_has_a_wanted_error_of_its_own(easy: Surrogate) -> None:
    rounds = easy.card["training_rounds"]
    assert rounds["wanted"]["shortfall"] == pytest.approx(5.0 * 0.9)


def test_three_rounds_that_bring_nothing_end_a_training() -> None:
    assert _stagnates([2.0, 1.99, 1.98, 1.97])
    assert not _stagnates([2.0, 1.99, 1.98, 1.5])
    assert not _stagnates([2.0, 1.99, 1.98])

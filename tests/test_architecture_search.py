"""A search tries many sizes, and the caller chooses along their Pareto front of error, size and cost."""

import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.errors import SolverError, StudyError, SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.figures import plot_architecture_search, save_figure
from mmopt.network.network import Network
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.architecture_search import search_architectures
from mmopt.training.architecture_trials import ArchitectureSearch, Trial
from mmopt.training.worst_case_errors import worst_case_errors

QUICK = {"widths": (2, 6), "layers": (1, 2), "iterations": 12}


@pytest.fixture(scope="module")
def atlas(textbook: Network) -> Atlas:
    atlas = Atlas(textbook, Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)}))
    atlas.explore()
    return atlas


@pytest.fixture(scope="module")
def table(atlas: Atlas) -> FluxTable:
    return tabulate_fluxes(atlas.network, atlas.domain, 100, source=atlas)


@pytest.fixture(scope="module")
def result(table: FluxTable, atlas: Atlas) -> ArchitectureSearch:
    return search_architectures(table, atlas, trials=6, **QUICK)


@pytest.fixture
def same_report(result: ArchitectureSearch, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every surrogate gets the certificate of one: what costs and failures do does not depend on it."""
    error_report = worst_case_errors(result.successes[0].surrogate, atlas, starts=1)
    monkeypatch.setattr("mmopt.training.architecture_search.worst_case_errors", lambda *_, **__: error_report)


def width(surrogate: Surrogate) -> float:
    """A cost that is the same on every machine."""
    return float(sum(surrogate.card["hidden"]))  # beside these units there are switches


def summary(search_architectures: ArchitectureSearch) -> list[tuple]:
    """All that a search says but seconds, which no seed decides."""
    return [(trial.hidden, trial.activation, trial.objectives, trial.reason) for trial in search_architectures.trials]


def trials_of(*figures: tuple[float, int], cost: list[float] | None = None, failed: int = 0) -> ArchitectureSearch:
    """Made-up trials of given worst errors and sizes, and some that failed."""
    costs = cost or [None] * len(figures)
    made = [
        Trial(2, (number,), "tanh", worst=worst, size=size, cost=each)
        for number, ((worst, size), each) in enumerate(zip(figures, costs, strict=True), start=1)
    ]
    return ArchitectureSearch((*made, *[Trial(2, (99,), "tanh", reason="no luck")] * failed))


def points(figure) -> list[list[tuple[float, float]]]:
    """Points of each panel."""
    return [[tuple(line.get_xydata()[0]) for line in axes.lines if line.get_marker() != "None"] for axes in figure.axes]


# the walk


def test_as_many_different_surrogates_are_tried_as_were_asked_for(result: ArchitectureSearch) -> None:
    assert len({(trial.hidden, trial.activation) for trial in result.trials}) == len(result.trials) == 6


def test_sizes_keep_to_their_ranges(result: ArchitectureSearch) -> None:
    assert all(2 <= width <= 6 for trial in result.trials for width in trial.hidden)
    assert {len(trial.hidden) for trial in result.trials} <= {1, 2}


def test_a_seed_gives_the_same_trials_again(result: ArchitectureSearch, table: FluxTable, atlas: Atlas) -> None:
    assert summary(search_architectures(table, atlas, trials=3, **QUICK)) == summary(result)[:3]


@pytest.mark.usefixtures("same_report")
def test_another_seed_gives_other_trials(result: ArchitectureSearch, table: FluxTable, atlas: Atlas) -> None:
    assert summary(search_architectures(table, atlas, trials=2, seed=1, **QUICK)) != summary(result)[:2]


@pytest.mark.usefixtures("same_report")
def test_a_space_of_three_is_tried_out_once_each(table: FluxTable, atlas: Atlas) -> None:
    small = search_architectures(table, atlas, trials=50, widths=(3, 3), layers=(1, 1), iterations=5)
    assert sorted(trial.activation for trial in small.trials) == ["sigmoid", "softplus", "tanh"]


def test_worst_is_the_largest_of_growth_and_the_main_exchanges(result: ArchitectureSearch, atlas: Atlas) -> None:
    trial = result.trials[0]
    error_report = worst_case_errors(trial.surrogate, atlas)
    main = [name for name, told in error_report.readings.items() if name != "shortfall" and told["range"] > 0.5]
    assert "EX_o2_e" in main
    assert "shortfall" in error_report.readings
    assert trial.worst == max(error_report.relative(name) for name in {"growth", *main})


def test_size_counts_what_is_embedded(result: ArchitectureSearch) -> None:
    trial = result.trials[0]
    layers = trial.surrogate.layers(["growth", "EX_glc__D_e", "EX_o2_e"])
    assert trial.size == sum(layer.weights.size + layer.bias.size for layer in layers)


@pytest.mark.usefixtures("same_report")
def test_progress_is_told_after_every_trial(table: FluxTable, atlas: Atlas) -> None:
    seen: list[tuple[int, int]] = []
    search_architectures(table, atlas, trials=2, progress=lambda *each: seen.append(each), **QUICK)
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.usefixtures("same_report")
def test_a_search_says_nothing_and_leaves_the_loudness_as_it_was(table: FluxTable, atlas: Atlas, capfd) -> None:
    before = logging.getLogger("optuna").level
    search_architectures(table, atlas, trials=1, **QUICK)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("optuna").level == before


# costs and failures


@pytest.mark.usefixtures("same_report")
def test_a_cost_is_told_beside_size_and_worst_error(table: FluxTable, atlas: Atlas) -> None:
    priced = search_architectures(table, atlas, trials=3, cost=width, **QUICK)
    assert [trial.cost for trial in priced.trials] == [sum(trial.hidden) for trial in priced.trials]
    assert "cost" in priced.table()


@pytest.mark.usefixtures("same_report")
@pytest.mark.parametrize("error", [SurrogateError("too wide"), SolverError("too wide")])
def test_a_failed_trial_is_kept_with_its_reason(table: FluxTable, atlas: Atlas, error: Exception) -> None:
    def cost(surrogate: Surrogate) -> float:
        if len(surrogate.hidden) == 3:  # the last one weighs the modes
            raise error
        return 1.0

    mixed = search_architectures(table, atlas, trials=6, cost=cost, **QUICK)
    assert {trial.reason for trial in mixed.trials if len(trial.hidden) == 2} == {"too wide"}
    assert {trial.reason for trial in mixed.trials if len(trial.hidden) == 1} == {None}


@pytest.mark.usefixtures("same_report")
def test_a_cost_that_is_no_number_fails_its_trial(table: FluxTable, atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="all 1 trials failed: its cost is nan; let cost return a finite number"):
        search_architectures(table, atlas, trials=1, cost=lambda _: math.nan, **QUICK)


def test_a_search_of_which_nothing_comes_is_an_error_with_every_reason(atlas: Atlas) -> None:
    few = tabulate_fluxes(atlas.network, atlas.domain, 20, source=atlas)
    with pytest.raises(SurrogateError, match="all 2 trials failed: 20 points are too few to train on"):
        search_architectures(few, atlas, trials=2, **QUICK)


@pytest.mark.usefixtures("same_report")
def test_an_error_of_the_callers_own_is_not_hidden(table: FluxTable, atlas: Atlas) -> None:
    with pytest.raises(ZeroDivisionError):
        search_architectures(table, atlas, trials=1, cost=lambda _: 1.0 / 0.0, **QUICK)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"trials": 0}, "trials is 0; give a whole number, at least 1"),
        ({"widths": (8, 4)}, r"widths is \(8, 4\); give two numbers"),
        ({"layers": (0, 2)}, r"layers is \(0, 2\); give two numbers"),
        ({"activations": ("tanh", "relu")}, r"activations is \('tanh', 'relu'\); give some of tanh"),
        ({"activations": ()}, r"activations is \(\); give some of"),
    ],
)
def test_what_cannot_be_searched_is_refused(table: FluxTable, atlas: Atlas, wrong: dict, message: str) -> None:
    with pytest.raises(SurrogateError, match=message):
        search_architectures(table, atlas, **wrong)


def test_an_atlas_of_another_domain_is_refused_before_training(table: FluxTable, textbook_atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="the atlas has another network or domain than the table"):
        search_architectures(table, textbook_atlas)


def test_an_unexplored_atlas_is_refused_before_training(table: FluxTable) -> None:
    with pytest.raises(SurrogateError, match=r"the 0 regions known fill 0.000% of the domain; call atlas.explore\(\)"):
        search_architectures(table, Atlas(table.network, table.domain))


def test_missing_optuna_is_said_with_its_cure(table: FluxTable, atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        SurrogateError, match=r'needs the package optuna, which is missing: pip install "mmopt\[search\]"'
    ):
        search_architectures(table, atlas)


def test_importing_search_does_not_load_optuna() -> None:
    code = (
        "import sys; from mmopt.training import search_architectures; from mmopt.figures import plot_architecture_search; "
        "sys.exit('optuna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# the choice


def test_nothing_beats_a_trial_of_the_front(result: ArchitectureSearch) -> None:
    for trial in result.pareto_front():
        better = [each for each in result.successes if each.worst <= trial.worst and each.size <= trial.size]
        assert {each.objectives for each in better} == {trial.objectives}


def test_whatever_is_not_on_the_front_is_beaten_by_it(result: ArchitectureSearch) -> None:
    front = result.pareto_front()
    assert all(any(best.dominates(trial) for best in front) for trial in result.successes if trial not in front)


def test_the_front_goes_from_the_smallest_to_the_most_accurate() -> None:
    front = trials_of((0.1, 300), (0.4, 100), (0.3, 200), (0.35, 250)).pareto_front()
    assert [trial.size for trial in front] == [100, 200, 300]


def test_a_cheap_trial_is_on_the_front_though_larger_and_less_accurate() -> None:
    assert len(trials_of((0.1, 100), (0.2, 200), cost=[2.0, 1.0]).pareto_front()) == 2


def test_a_failed_trial_is_on_no_front() -> None:
    assert len(trials_of((0.1, 100), failed=1).pareto_front()) == 1


def test_the_best_within_an_error_is_the_smallest() -> None:
    best = trials_of((0.01, 300), (0.04, 200), (0.2, 100)).best(worst=0.05)
    assert (best.worst, best.size) == (0.04, 200)


def test_the_best_within_a_size_is_the_most_accurate() -> None:
    best = trials_of((0.01, 300), (0.04, 200), (0.2, 100)).best(size=250)
    assert (best.worst, best.size) == (0.04, 200)


def test_the_best_without_a_bound_is_the_most_accurate_of_all() -> None:
    assert trials_of((0.04, 200), (0.01, 300), failed=1).best().size == 300


def test_the_best_keeps_both_bounds_or_is_refused() -> None:
    with pytest.raises(SurrogateError, match=r"within 2.00% and size 250; nearest: 2-2 tanh \(4.00% at size 200\)"):
        trials_of((0.01, 300), (0.04, 200)).best(worst=0.02, size=250)


def test_an_error_that_no_trial_keeps_is_answered_with_the_most_accurate() -> None:
    with pytest.raises(SurrogateError, match=r"no trial keeps within 0.10%; nearest: 2-1 tanh \(1.00% at size 300\)"):
        trials_of((0.01, 300), (0.04, 200)).best(worst=0.001)


def test_a_size_that_no_trial_keeps_is_answered_with_the_smallest() -> None:
    with pytest.raises(SurrogateError, match=r"no trial keeps within size 50; nearest: 2-2 tanh \(4.00% at size 200\)"):
        trials_of((0.01, 300), (0.04, 200)).best(size=50)


def test_the_table_has_a_line_for_each_trial_and_marks_the_front() -> None:
    head, *lines = trials_of((0.1, 100), (0.2, 200), failed=1).table().splitlines()
    assert head.split() == ["layers", "activation", "worst", "size", "seconds"]
    assert [line.split()[0] for line in lines] == ["2-1", "2-2", "2-99"]
    assert [line.endswith("front") for line in lines] == [True, False, False]
    assert lines[2].endswith("failed: no luck")


# the picture


def test_the_picture_has_a_point_for_each_trial(result: ArchitectureSearch) -> None:
    drawn = points(plot_architecture_search(result))
    assert len(drawn) == 1
    assert sorted(drawn[0]) == sorted((trial.size, 100.0 * trial.worst) for trial in result.trials)


def test_costs_have_a_panel_of_their_own() -> None:
    drawn = points(plot_architecture_search(trials_of((0.1, 100), (0.2, 200), cost=[2.0, 1.0])))
    assert [sorted(panel) for panel in drawn] == [[(100, 10.0), (200, 20.0)], [(1.0, 20.0), (2.0, 10.0)]]


def test_the_line_runs_along_the_best_of_each_size() -> None:
    axes = plot_architecture_search(trials_of((0.4, 100), (0.45, 150), (0.1, 200))).axes[0]
    line = next(line for line in axes.lines if line.get_drawstyle() == "steps-post")
    assert [tuple(place) for place in line.get_xydata()[1:-1]] == [(100, 40.0), (200, 10.0)]


def test_the_best_are_named_by_their_layers() -> None:
    axes = plot_architecture_search(trials_of((0.4, 100), (0.45, 150), (0.1, 1000))).axes[0]
    assert [text.get_text() for text in axes.texts] == ["2-1", "2-3"]


def test_names_that_would_lie_on_each_other_are_thinned_out() -> None:
    texts = plot_architecture_search(trials_of((0.4, 1000), (0.399, 1001), (0.01, 90_000))).axes[0].texts
    assert [text.get_visible() for text in texts] == [True, False, True]


def test_failures_are_counted_on_the_picture() -> None:
    assert plot_architecture_search(trials_of((0.1, 100), failed=3)).axes[0].get_title("right") == "3 failed"


def test_costs_below_zero_are_drawn_too(tmp_path: Path) -> None:
    figure = plot_architecture_search(trials_of((0.1, 100), (0.2, 200), cost=[-2.0, 1.0]))
    assert figure.axes[1].get_xscale() == "linear"
    assert save_figure(figure, tmp_path / "costs.png").exists()


def test_a_search_without_a_trial_draws_nothing() -> None:
    with pytest.raises(StudyError, match="there is no trial to plot"):
        plot_architecture_search(trials_of(failed=1))

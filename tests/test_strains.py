"""Knock-outs ranked by a batch: what single simulations give, once for strains that are alike, and the same after a kill."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mmopt import (
    ConstantFeed,
    Domain,
    FluxProgram,
    Horizon,
    NetworkError,
    Problem,
    StudyError,
    ecoli_fed_batch,
    read_network,
    simulate,
)
from mmopt.fba import essential
from mmopt.network import knock_out, set_bounds
from mmopt.network.network import Network
from mmopt.problem import Objective
from mmopt.strains import Ranking, optimise_best, rank_knockouts
from mmopt.strains.ranking import WILD_TYPE

START = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
DOMAIN = Domain({"EX_glc__D_e": (0.0, 11.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 3.0)})
FEED = {"feed": ConstantFeed(0.005)}
SOME = ["b1723", "PGI", ("PFK", "PGI"), "b1779", "ACKr"]


def problem(**changes: Any) -> Problem:
    whole = Problem(ecoli_fed_batch(), START, Horizon(2.0), {"feed": (0.0, 0.1)}, {"acetate": (None, 0.4)})
    return replace(whole, **changes)


@pytest.fixture(scope="module")
def core() -> Network:
    return read_network("textbook")


@pytest.fixture(scope="module")
def ranking(core: Network) -> Ranking:
    return rank_knockouts(core, problem(), FEED, DOMAIN, SOME)


def test_strain_is_its_simulation_with_the_linear_program(core: Network, ranking: Ranking) -> None:
    for name, genes in (("PGI", ["PGI"]), ("PFK+PGI", ["PFK", "PGI"]), ("ACKr", ["ACKr"]), (WILD_TYPE, [])):
        program = FluxProgram(knock_out(core, *genes) if genes else core, DOMAIN.inputs)
        run = simulate(ecoli_fed_batch(), START, FEED, 2.0, program)
        assert ranking.table.loc[name, "objective"] == pytest.approx(problem().objective_value(run), rel=1e-5)
        assert ranking.table.loc[name, "acetate"] == pytest.approx(run.final("acetate"), abs=1e-4)


def test_table_is_in_order_and_says_what_was_lost(ranking: Ranking) -> None:
    table = ranking.table
    assert np.all(np.diff(table["objective"]) <= 0.0)
    assert set(table.index) == {WILD_TYPE, "b1723", "PGI", "PFK+PGI", "b1779", "ACKr"}
    assert table.loc["b1723"].drop("lost").equals(table.loc[WILD_TYPE].drop("lost"))  # its isoenzyme does the work
    assert ranking.lost["PFK+PGI"] == ("PFK", "PGI")
    assert table.loc[WILD_TYPE, "gain"] == 0.0
    assert table.loc["b1779", "biomass"] < 1.0  # glyceraldehyde-3-phosphate dehydrogenase: diluted alone
    assert "wild type" in repr(ranking)


def test_best_strains_keep_the_limits(ranking: Ranking) -> None:
    violated = ranking.table[ranking.table["violation"] > 0.0]
    assert set(violated["violated"]) == {"acetate"}
    assert not set(violated.index) & set(ranking.best().index)
    assert len(ranking.best(1, within=np.inf)) == 1
    assert set(ranking.best(within=np.inf).index) > set(ranking.best().index)


def test_genes_that_are_essential_are_those_without_growth(core: Network) -> None:
    ranking = rank_knockouts(core, problem(horizon=Horizon(0.5)), {"feed": ConstantFeed(0.0)}, DOMAIN)
    assert len(ranking.table) == len(core.genes) + 1
    grown = ranking.table["biomass"] / START["biomass"]
    none = {name for name, ratio in grown.items() if ratio < 1.001}
    assert none == set(essential(core, {"EX_glc__D_e": 10.0, "EX_o2_e": 15.0}))


def test_ranking_that_was_ended_continues(core: Network, ranking: Ranking, tmp_path: Path) -> None:
    def ending(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank_knockouts(core, problem(), FEED, DOMAIN, SOME, folder=tmp_path, progress=ending)
    journal = tmp_path / "strains.jsonl"
    journal.write_text(journal.read_text() + '[["PG')  # killed within a line
    calls: list[tuple[int, int]] = []
    again = rank_knockouts(
        core, problem(), FEED, DOMAIN, SOME, folder=tmp_path, workers=2, progress=lambda *call: calls.append(call)
    )
    assert calls == [(3, 5), (4, 5), (5, 5)]  # b1723 is the wild type
    assert again.table.equals(ranking.table)
    lines = journal.read_text().splitlines()
    assert len(lines) == 6
    journal.write_text("\n".join([*lines[:2], "nonsense", *lines[2:]]) + "\n")
    with pytest.raises(StudyError, match=r"line 3 of .*strains.jsonl is no result .*; remove that line"):
        rank_knockouts(core, problem(), FEED, DOMAIN, SOME, folder=tmp_path)
    with pytest.raises(StudyError, match="holds the strains of another batch"):
        rank_knockouts(core, problem(horizon=Horizon(3.0)), FEED, DOMAIN, SOME, folder=tmp_path)


def test_strain_without_any_flux_comes_last_with_its_reason(core: Network) -> None:
    forced = set_bounds(core, {"EX_etoh_e": (1.0, 1000.0)})
    ranking = rank_knockouts(forced, problem(horizon=Horizon(0.2)), FEED, DOMAIN, ["PGI", "ETOHt2r"])
    last = ranking.table.iloc[-1]
    assert last.name == "ETOHt2r"
    assert np.isnan(last["objective"])
    assert last["reason"]
    assert ranking.table.loc["PGI", "reason"] == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "textbook"}, "network is 'textbook'; give a Network"),
        ({"problem": None}, "problem is None; give a Problem"),
        ({"domain": {}}, "domain is {}; give a Domain"),
        ({"controls": {}}, "give a profile of feed"),
        ({"controls": 3}, "controls is 3; give a profile of feed"),
        ({"knockouts": "PGI"}, "knockouts is 'PGI'; give genes or reactions"),
        ({"knockouts": []}, r"knockouts is \[\]; give genes or reactions"),
        ({"knockouts": [3]}, "knockouts names 3"),
        ({"knockouts": [("PGI", 3)]}, "knockouts names"),
        ({"knockouts": [()]}, "knockouts names"),
        ({"knockouts": ["PGJ"]}, "PGJ"),
        ({"workers": 0}, "workers"),
    ],
    ids=str,
)
def test_argument_of_another_kind_is_refused(core: Network, changes: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {
        "network": core,
        "problem": problem(),
        "controls": FEED,
        "domain": DOMAIN,
        "knockouts": SOME,
    }
    with pytest.raises((StudyError, NetworkError), match=said):
        rank_knockouts(**{**given, **changes})


def test_nothing_is_a_gain_over_nothing(core: Network) -> None:
    """A fed-batch that takes its acetate up again ends with a rounding of it."""
    spent = problem(maximise="acetate", horizon=Horizon(6.0), limits={})
    ranking = rank_knockouts(core, spent, {"feed": ConstantFeed(0.0)}, DOMAIN, ["PGI"])
    assert abs(ranking.table.loc[WILD_TYPE, "objective"]) < 1e-5
    assert ranking.table["gain"].isna().all()


def test_gain_over_a_cost_is_less_of_it(core: Network) -> None:
    costs = problem(maximise=Objective("cost", "EUR", lambda end, start: -end["acetate"]))
    ranking = rank_knockouts(core, costs, FEED, DOMAIN, ["PGI", "ACKr"])
    assert ranking.table["gain"].is_monotonic_decreasing
    assert ranking.table["gain"].iloc[0] >= 0.0 >= ranking.table["gain"].iloc[-1]


def test_best_strains_have_feeds_of_their_own_that_keep_the_limits(textbook: Network) -> None:
    start = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
    limits = {"oxygen_saturation": (20.0, None)}
    problem = Problem(ecoli_fed_batch(), start, Horizon(3.0, 4), {"feed": (0.0, 0.1)}, limits)
    domain = Domain({"EX_glc__D_e": (0.0, 11.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 3.0)})
    overfed = {"feed": ConstantFeed(0.05)}
    ranking = rank_knockouts(textbook, problem, overfed, domain, ["PFK", "PFL", "PTAr", ("PFL", "PTAr")])
    done: list[tuple[int, int]] = []
    plans = optimise_best(ranking, textbook, problem, domain, 2, progress=lambda *at: done.append(at))
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert len(plans.table) == 3
    assert plans.table["keeps_limits"].all()
    assert plans.table.loc["wild type", "gain"] == 0.0
    for name, plan in plans.plans.items():
        assert plan.on_reference is not None
        assert plan.on_reference.objective == plans.table.loc[name, "exact"]


@pytest.mark.parametrize("count", [0, 1.5, "x", None])
def test_number_of_strains_has_to_be_one(textbook: Network, count: object) -> None:
    ranking = Ranking(pd.DataFrame({"objective": [1.0]}, index=["wild type"]), {"wild type": ()}, "biomass [g]")
    with pytest.raises(StudyError, match="count is"):
        optimise_best(ranking, textbook, None, None, count)  # type: ignore[arg-type]

"""Fluxes inside the cell over time: of every metabolism, at every time, balanced, and what is computed from them."""

from pathlib import Path
from typing import Any

import cobra
import numpy as np
import pytest
import xarray as xr
from cobra.flux_analysis import flux_variability_analysis
from cobra.io import load_model

from mmopt import (
    Atlas,
    ConstantFeed,
    Domain,
    FluxProgram,
    MmoptError,
    Network,
    Surrogate,
    Trajectory,
    ecoli_fed_batch,
    load_surrogate,
    load_trajectory,
    pfba,
    simulate,
    soft_law,
)
from mmopt.figures import plot_fluxes
from mmopt.pathways import (
    PATHWAYS,
    carbon_shares,
    flux_ranges,
    largest_changes,
    respiratory_quotient,
    shown_reactions,
    turnover,
    yields,
)

START = {"volume": 2.0, "biomass": 1.0, "glucose": 3.0, "acetate": 0.0, "oxygen": 0.2}
"""Glucose is spent after two hours; later the cell eats acetate, and starves."""


@pytest.fixture(scope="module")
def cell() -> Surrogate:
    return load_surrogate("ecoli_textbook")


@pytest.fixture(scope="module")
def atlas(cell: Surrogate, textbook: Network) -> Atlas:
    return Atlas(textbook, cell.domain)


def batch(cell: Any, **how: Any) -> Trajectory:
    return simulate(ecoli_fed_batch(), START, {"feed": ConstantFeed(0.0)}, 6.0, cell, points=60, **how)


@pytest.fixture(scope="module")
def run(cell: Surrogate) -> Trajectory:
    return batch(cell)


@pytest.fixture(scope="module")
def exact(run: Trajectory, atlas: Atlas) -> xr.DataArray:
    return run.fluxes(atlas)


def test_fluxes_are_those_of_the_simulation(run: Trajectory, cell: Surrogate) -> None:
    fluxes = run.fluxes(cell)
    assert fluxes.dims == ("reaction", "time")
    fed = run["glucose"] > 0.5
    for name, reaction in {"growth": cell.biomass, "EX_ac_e": "EX_ac_e"}.items():
        values = fluxes.sel(reaction=reaction).values
        assert values[fed] == pytest.approx(run[name][fed], abs=1.0e-3)
        assert values == pytest.approx(run[name], abs=0.05)  # spent substrates are not taken up in a simulation
    assert fluxes.attrs["units"] == "mmol/gDW/h"


def test_every_flux_of_a_surrogate_is_within_its_error_report(
    run: Trajectory, cell: Surrogate, exact: xr.DataArray
) -> None:
    fluxes, report = run.fluxes(cell), cell.error_report
    assert report is not None
    for reaction in (name for name in fluxes.reaction.values if name in report.readings):
        off = np.abs(fluxes.sel(reaction=reaction) - exact.sel(reaction=reaction)).values.max()
        assert off <= 1.05 * report.worst(reaction), reaction


def test_fluxes_balance_at_every_time_also_where_the_cell_starves(
    run: Trajectory, cell: Surrogate, exact: xr.DataArray, textbook: Network
) -> None:
    assert run["shortfall"].max() > 1.0
    for fluxes in (run.fluxes(cell), exact):
        columns = [textbook.column(name) for name in fluxes.reaction.values]
        assert np.abs(textbook.stoichiometry[:, columns] @ fluxes.values).max() < 1.0e-8


def test_atlas_and_program_give_the_same(
    run: Trajectory, exact: xr.DataArray, textbook: Network, cell: Surrogate
) -> None:
    solved = run.fluxes(FluxProgram(textbook, cell.inputs))
    assert np.abs(solved.values - exact.values).max() < 1.0e-8
    assert solved.shortfall.values == pytest.approx(exact.shortfall.values, abs=1.0e-8)
    assert solved.shortfall.values.max() > 1.0


def test_soft_law_has_fluxes_within_its_bound(atlas: Atlas) -> None:
    explored = Atlas(atlas.network, atlas.domain)
    explored.explore()
    law = soft_law(explored, error=0.05)
    run = batch(law)
    off = np.abs(run.fluxes(law) - run.fluxes(explored)).sel(reaction="PFK").values.max()
    assert off <= law.bound("PFK") + 1.0e-9


def test_parameters_of_the_simulation_count(cell: Surrogate) -> None:
    slow = batch(cell, parameters={"glucose_vmax": 5.0})
    fluxes = slow.fluxes(cell)
    assert fluxes.sel(reaction=cell.biomass).values == pytest.approx(slow["growth"], abs=1.0e-3)
    faster = slow.fluxes(cell, ecoli_fed_batch())  # its defaults
    assert float(faster.sel(reaction=cell.biomass)[0]) > float(fluxes.sel(reaction=cell.biomass)[0])


def test_loaded_trajectory_asks_for_its_vessel(run: Trajectory, cell: Surrogate, tmp_path: Path) -> None:
    loaded = load_trajectory(run.save(tmp_path / "run.nc"))
    with pytest.raises(MmoptError, match=r"give it: fluxes\(metabolism, reactor\)"):
        loaded.fluxes(cell)
    again = loaded.fluxes(cell, ecoli_fed_batch())
    assert np.array_equal(again.values, run.fluxes(cell).values)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"glucose_vmx": 5.0}, "no parameter 'glucose_vmx'"), ({"glucose_vmax": 5.0, 3: 1.0}, "no parameter 3")],
)
def test_unknown_parameter_is_named(run: Trajectory, cell: Surrogate, parameters: Any, message: str) -> None:
    with pytest.raises(MmoptError, match=message):
        run.fluxes(cell, ecoli_fed_batch(), parameters)


def test_cell_of_a_smaller_domain_is_refused(run: Trajectory, textbook: Network) -> None:
    """Clipped to its domain it would give the fluxes of other limits."""
    small = Atlas(textbook, Domain({"EX_glc__D_e": (0.0, 4.0), "EX_o2_e": (0.0, 4.0), "EX_ac_e": (0.0, 3.0)}))
    small.explore()
    with pytest.raises(MmoptError, match=r"EX_glc__D_e.* 4"):
        run.fluxes(soft_law(small, error=0.05))


def test_cell_of_other_inputs_is_refused(run: Trajectory, textbook: Network) -> None:
    with pytest.raises(MmoptError, match="limits no uptake by EX_nh4_e"):
        run.fluxes(FluxProgram(textbook, ["EX_nh4_e"]))


# --- what is computed from them


@pytest.mark.parametrize("metabolite", ["atp_c", "nadph_c", "nadh_c"])
def test_as_much_of_a_metabolite_is_produced_as_consumed(
    exact: xr.DataArray, textbook: Network, metabolite: str
) -> None:
    rates = turnover(exact, textbook, metabolite)
    assert np.abs(rates.sum("reaction").values).max() < 1.0e-8
    assert np.all(np.diff(np.abs(rates.values).max(axis=1)) <= 0.0)
    with load_model("textbook") as source:
        reactions = {one.id for one in source.metabolites.get_by_id(metabolite).reactions}
    assert set(rates.reaction.values) <= reactions


def test_maintenance_that_is_met_and_that_is_missing_is_the_demand(exact: xr.DataArray, textbook: Network) -> None:
    met = -turnover(exact, textbook, "atp_c").sel(reaction="ATPM").values
    assert met + exact.shortfall.values == pytest.approx(textbook.maintenance_demand, abs=1.0e-7)


def test_yields_and_quotient_are_ratios_of_the_rates(exact: xr.DataArray) -> None:
    fed = exact.sel(reaction="EX_glc__D_e").values < -1.0e-6
    ratios = yields(exact, "EX_glc__D_e", ["EX_ac_e"])
    expected = exact.sel(reaction="EX_ac_e").values[fed] / -exact.sel(reaction="EX_glc__D_e").values[fed]
    assert ratios.sel(reaction="EX_ac_e").values[fed] == pytest.approx(expected)
    quotient = respiratory_quotient(exact).values
    assert np.all((quotient[fed] > 0.5) & (quotient[fed] < 3.0))


def test_carbon_that_is_taken_up_is_all_there(exact: xr.DataArray, textbook: Network) -> None:
    shares = carbon_shares(exact, textbook)
    fed = _taken(exact, textbook).values > 1.0e-6
    assert shares.values[:, fed].sum(axis=0) == pytest.approx(1.0, abs=1.0e-9)
    assert np.isnan(shares.values[:, ~fed]).all()
    assert not fed.all()
    grows = exact.sel(reaction=textbook.biomass).values > 0.05
    content = (shares.sel(reaction=textbook.biomass) * _taken(exact, textbook))[grows] / exact.sel(
        reaction=textbook.biomass
    )[grows]
    assert content.values == pytest.approx(content.values.mean(), rel=1.0e-6)  # carbon of a gram of biomass
    assert 30.0 < content.values.mean() < 45.0


def _taken(fluxes: xr.DataArray, network: Network) -> xr.DataArray:
    carbon = np.array([network.carbon.get(name, 0.0) for name in network.exchanges])
    return -(fluxes.sel(reaction=list(network.exchanges)) * carbon[:, None]).clip(max=0.0).sum("reaction")


def test_largest_changes_are_in_order(exact: xr.DataArray) -> None:
    table = largest_changes(exact, 0.0, 6.0, count=5)
    whole = np.abs(exact.values[:, -1] - exact.values[:, 0])
    assert np.abs(table["change"].to_numpy()) == pytest.approx(np.sort(whole)[::-1][:5])
    with pytest.raises(MmoptError, match="outside the trajectory, 0 to 6 h"):
        largest_changes(exact, 0.0, 9.0)
    with pytest.raises(MmoptError, match="count"):
        largest_changes(exact, 0.0, 6.0, count=0)


@pytest.mark.parametrize(("total", "factor"), [(None, None), (1.0, 1.0), (1.1, 1.1)])
def test_ranges_are_those_of_cobra(textbook: Network, total: float | None, factor: float | None) -> None:
    reactions = ["PGI", "PFK", "G6PDH2r", "EX_ac_e", "ACKr", "ICL"]
    limits = {"EX_glc__D_e": 10.0, "EX_o2_e": 15.0}
    ours = flux_ranges(textbook, limits, reactions, total=total)
    cobra.Configuration().tolerance = 1.0e-9
    with load_model("textbook") as source:
        for name, limit in limits.items():
            source.reactions.get_by_id(name).lower_bound = -limit
        theirs = flux_variability_analysis(source, reactions, pfba_factor=factor, processes=1)
    assert ours["least"].to_numpy() == pytest.approx(theirs["minimum"].to_numpy(), abs=2.0e-3)
    assert ours["most"].to_numpy() == pytest.approx(theirs["maximum"].to_numpy(), abs=2.0e-3)
    assert np.all(ours["least"] <= ours["flux"] + 1.0e-6)
    assert np.all(ours["flux"] <= ours["most"] + 1.0e-6)


def test_ranges_are_known_where_the_textbook_program_is_infeasible(textbook: Network) -> None:
    ranges = flux_ranges(textbook, {"EX_glc__D_e": 0.2}, ["ATPM", "PGI"])
    fluxes = pfba(textbook, {"EX_glc__D_e": 0.2})
    assert fluxes.shortfall > 1.0
    assert ranges.loc["ATPM"].to_numpy() == pytest.approx(textbook.maintenance_demand - fluxes.shortfall, abs=1.0e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda run, cell, network: run.fluxes("x"), "metabolism is 'x'"),
        (lambda run, cell, network: run.fluxes(cell, "reactor"), "system is 'reactor'"),
        (lambda run, cell, network: run.fluxes(cell, type(ecoli_fed_batch())), "give the vessel"),
        (lambda run, cell, network: run.fluxes(cell, ecoli_fed_batch(), "kla"), "parameters is 'kla'"),
        (lambda run, cell, network: turnover(run.fluxes(cell), network, "atp"), "no metabolite 'atp'"),
        (lambda run, cell, network: turnover(run.fluxes(cell), "textbook", "atp_c"), "network is 'textbook'"),
        (lambda run, cell, network: yields(run.fluxes(cell), "glucose"), "no reaction 'glucose'"),
        (lambda run, cell, network: yields(None, "EX_glc__D_e"), "fluxes is None"),
        (lambda run, cell, network: respiratory_quotient(run), "give what Trajectory.fluxes returns"),
        (lambda run, cell, network: carbon_shares({}, network), "give what Trajectory.fluxes returns"),
        (lambda run, cell, network: largest_changes(run.fluxes(cell), float("nan"), 2.0), "outside the trajectory"),
        (lambda run, cell, network: flux_ranges(network, {"EX_glc__D_e": -1.0}, ["PGI"]), "number from 0 up"),
        (lambda run, cell, network: flux_ranges(network, {"EX_glc__D_e": 1.0}, ["PGX"]), "no reaction 'PGX'"),
        (lambda run, cell, network: flux_ranges(network, {"EX_glc__D_e": 1.0}, ["PGI"], total=0.5), "total is 0.5"),
        (lambda run, cell, network: flux_ranges(None, {}, ["PGI"]), "network is None"),
        (lambda run, cell, network: shown_reactions("glycolyse", network.reactions), "no pathway 'glycolyse'"),
    ],
)
def test_nonsense_is_named(run: Trajectory, cell: Surrogate, textbook: Network, wrong: Any, message: str) -> None:
    with pytest.raises(MmoptError, match=message):
        wrong(run, cell, textbook)


# --- pictures


def test_every_pathway_has_reactions_of_both_networks(textbook: Network, ijo1366: Network) -> None:
    for name in PATHWAYS:
        assert len(shown_reactions(name, textbook.reactions)) >= 4
        assert len(shown_reactions(name, ijo1366.reactions)) >= 4
    known = {*textbook.reactions, *ijo1366.reactions}
    assert {one for reactions in PATHWAYS.values() for one in reactions} <= known


def test_figure_has_a_panel_for_every_reaction(run: Trajectory, cell: Surrogate, exact: xr.DataArray) -> None:
    reactions = shown_reactions("glycolysis", cell.reactions)
    figure = plot_fluxes({"surrogate": run.fluxes(cell), "program": exact}, reactions)
    assert [axes.get_title("left") for axes in figure.axes] == list(reactions)
    assert all(len(axes.get_lines()) == 3 for axes in figure.axes)  # two cells and the zero
    with pytest.raises(MmoptError, match="no cell has a reaction 'PFX'"):
        plot_fluxes({"surrogate": exact}, ["PFX"])
    with pytest.raises(MmoptError, match="nothing to plot"):
        plot_fluxes({}, ["PFK"])

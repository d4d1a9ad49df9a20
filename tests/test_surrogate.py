"""The surrogate repeats the label program closely, and balances whatever it predicts."""

import dataclasses
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.errors import DomainError, SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.flux_program import FluxProgram
from mmopt.network.network import Network
from mmopt.network.variants import set_bounds
from mmopt.reactor.bioreactor import Bioreactor
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.vessels.ecoli import ecoli_fed_batch
from mmopt.simulation.simulate import simulate
from mmopt.surrogate.embed import embed
from mmopt.surrogate.loading import load_surrogate
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.comparison import balance_error, compare
from mmopt.training.train import train

GLUCOSE, OXYGEN, ACETATE = "EX_glc__D_e", "EX_o2_e", "EX_ac_e"
SMALL = Domain({GLUCOSE: (0.0, 10.0), OXYGEN: (0.0, 20.0)})


def uniform(domain: Domain, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(domain.lower, domain.upper, (count, len(domain.inputs)))


def sample_at(network: Network, points: np.ndarray) -> np.ndarray:
    """Growth and oxygen exchange by the program."""
    program = FluxProgram(network, SMALL.inputs)
    solved = [program.solve(point) for point in points]
    return np.array([[each.growth, each.net[network.column(OXYGEN)]] for each in solved])


@pytest.fixture(scope="module")
def held_out(plant: FluxProgram, surrogate: Surrogate) -> tuple[np.ndarray, np.ndarray]:
    """Limits and fluxes at 300 points that no training has seen."""
    points = uniform(surrogate.domain, 300, seed=12345)
    return points, np.array([plant.solve(point).net for point in points])


@pytest.fixture(scope="module")
def table(textbook: Network) -> FluxTable:
    return tabulate_fluxes(textbook, SMALL, 300)


@pytest.fixture(scope="module")
def trained(table: FluxTable) -> Surrogate:
    return train(table, hidden=(8, 8), iterations=60, seed=1)


def test_shipped_growth_is_close_everywhere(
    surrogate: Surrogate, ijo1366: Network, held_out: tuple[np.ndarray, np.ndarray]
) -> None:
    assert compare(surrogate, ijo1366, *held_out)["growth"]["worst"] <= 0.01


def test_shipped_growth_explains_the_labels(
    surrogate: Surrogate, ijo1366: Network, held_out: tuple[np.ndarray, np.ndarray]
) -> None:
    assert compare(surrogate, ijo1366, *held_out)["growth"]["r2"] >= 0.999


@pytest.mark.parametrize("exchange", [GLUCOSE, OXYGEN, ACETATE, "EX_co2_e"])
def test_shipped_exchange_explains_the_labels(
    surrogate: Surrogate, ijo1366: Network, held_out: tuple[np.ndarray, np.ndarray], exchange: str
) -> None:
    assert compare(surrogate, ijo1366, *held_out)[exchange]["r2"] >= 0.999


@pytest.mark.parametrize("seed", [12345, 99])
def test_shipped_fluxes_balance_anywhere(surrogate: Surrogate, ijo1366: Network, seed: int) -> None:
    assert balance_error(surrogate, ijo1366, uniform(surrogate.domain, 300, seed)) <= 1.0e-9


def test_wrong_weights_balance_all_the_same(surrogate: Surrogate, ijo1366: Network) -> None:
    wrong = dataclasses.replace(surrogate.weights, weights=surrogate.weights.weights[::-1])
    twisted = dataclasses.replace(surrogate, weights=wrong)
    assert balance_error(twisted, ijo1366, uniform(surrogate.domain, 20, seed=0)) <= 1.0e-9


def test_shipped_card_names_the_network_as_read_now(surrogate: Surrogate, ijo1366: Network) -> None:
    assert surrogate.card["network_hash"] == ijo1366.hash


def test_shipped_surrogate_has_the_reactions_of_the_network(surrogate: Surrogate, ijo1366: Network) -> None:
    assert surrogate.reactions == ijo1366.reactions


def test_shipped_surrogate_has_the_roles_of_the_network(surrogate: Surrogate, ijo1366: Network) -> None:
    told = (surrogate.biomass, surrogate.maintenance, surrogate.maintenance_demand)
    assert told == (ijo1366.biomass, ijo1366.maintenance, ijo1366.maintenance_demand)


def test_shipped_domain_is_glucose_oxygen_and_acetate(surrogate: Surrogate) -> None:
    assert dict(surrogate.domain.limits) == {GLUCOSE: (0.0, 12.0), OXYGEN: (0.0, 16.0), ACETATE: (0.0, 4.0)}


@pytest.mark.parametrize(
    "fact", ["seed", "training_seed", "points", "hidden", "activation", "version_mmopt", "balance"]
)
def test_shipped_card_tells_its_origin(surrogate: Surrogate, fact: str) -> None:
    assert fact in surrogate.card


@pytest.mark.parametrize("reading", ["growth", GLUCOSE, OXYGEN, ACETATE, "ATPM"])
def test_shipped_card_tells_the_worst_error(surrogate: Surrogate, reading: str) -> None:
    assert surrogate.card["held_out"][reading]["worst"] > 0.0


def test_growth_reading_is_the_flux_of_biomass(surrogate: Surrogate, ijo1366: Network) -> None:
    point = [8.0, 12.0, 1.0]
    read = surrogate.predict(point, ["growth"])[0]
    assert read == pytest.approx(surrogate.predict(point)[ijo1366.column(ijo1366.biomass)], abs=1.0e-12)


def test_shortfall_reading_is_what_maintenance_misses(surrogate: Surrogate, ijo1366: Network) -> None:
    points = uniform(surrogate.domain, 50, seed=4)
    maintained = surrogate.predict(points)[:, ijo1366.column("ATPM")]
    assert surrogate.predict(points, ["shortfall"])[:, 0] == pytest.approx(3.15 - maintained, abs=1.0e-10)


def test_named_readings_are_the_fluxes_in_the_asked_order(surrogate: Surrogate, ijo1366: Network) -> None:
    names = ["EX_co2_e", "PFK", GLUCOSE]
    points = uniform(surrogate.domain, 20, seed=5)
    expected = surrogate.predict(points)[:, [ijo1366.column(name) for name in names]]
    assert surrogate.predict(points, names) == pytest.approx(expected, abs=1.0e-10)


def test_one_point_gives_one_row_of_many(surrogate: Surrogate) -> None:
    points = uniform(surrogate.domain, 3, seed=6)
    assert surrogate.predict(points[1], ["growth"]) == pytest.approx(
        surrogate.predict(points, ["growth"])[1], abs=1e-13
    )


def test_cell_of_a_surrogate_reads_what_it_predicts(surrogate: Surrogate) -> None:
    rates = surrogate.rate_function(["EX_co2_e", "growth"])({ACETATE: 1.0, OXYGEN: 12.0, GLUCOSE: 8.0})
    expected = dict(
        zip(["EX_co2_e", "growth"], surrogate.predict([8.0, 12.0, 1.0], ["EX_co2_e", "growth"]), strict=True)
    )
    assert rates == pytest.approx(expected, abs=1.0e-12)


def test_cell_of_a_surrogate_takes_a_limit_below_zero_as_none(surrogate: Surrogate) -> None:
    cell = surrogate.rate_function(["growth", GLUCOSE])
    below = cell({GLUCOSE: -3.0, OXYGEN: 15.0, ACETATE: -1.0})
    assert below == cell({GLUCOSE: 0.0, OXYGEN: 15.0, ACETATE: 0.0})


def test_network_that_was_not_told_what_is_below_zero_does_not_run_away(core_atlas: Atlas) -> None:
    cell = train(core_atlas, hidden=(8, 8), iterations=40, starts=2)
    fed = ecoli_fed_batch()
    species = tuple(replace(each, uptake=None) if each.name == "acetate" else each for each in fed.species)
    start = {"volume": 2.0, "biomass": 0.25, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
    batch = partial(simulate, Bioreactor(species, fed.aeration), start, {"feed": ConstantFeed(0.0)}, 16.0)
    starved, exact = batch(cell), batch(core_atlas)
    assert starved["glucose"].min() > -1.0
    assert starved.final("biomass") == pytest.approx(exact.final("biomass"), rel=0.05)


def test_cell_of_a_surrogate_takes_a_limit_above_the_domain_as_its_edge(surrogate: Surrogate) -> None:
    cell = surrogate.rate_function(["growth"])
    assert cell({GLUCOSE: 500.0, OXYGEN: 15.0, ACETATE: 0.0}) == cell({GLUCOSE: 12.0, OXYGEN: 15.0, ACETATE: 0.0})


def test_limit_outside_the_domain_is_refused_with_advice(surrogate: Surrogate) -> None:
    with pytest.raises(
        DomainError,
        match=r"limit 14\.2 mmol/gDW/h of EX_glc__D_e is outside the trained domain \[0, 12\]; retrain with a wider Domain",
    ):
        surrogate.predict([14.2, 10.0, 0.0])


def test_limit_that_is_not_a_number_is_refused(surrogate: Surrogate) -> None:
    with pytest.raises(DomainError, match="nan mmol/gDW/h of EX_o2_e is outside the trained domain"):
        surrogate.predict([10.0, np.nan, 0.0])


def test_unknown_reading_names_the_nearest(surrogate: Surrogate) -> None:
    with pytest.raises(SurrogateError, match="no reading 'EX_glc_D_e'; nearest known: EX_glc__D_e"):
        surrogate.predict([8.0, 12.0, 1.0], ["EX_glc_D_e"])


READINGS = ["growth", GLUCOSE, OXYGEN, ACETATE, "shortfall"]


@pytest.fixture(scope="module")
def embedded(surrogate: Surrogate) -> pyo.ConcreteModel:
    """A problem whose limits are halves of its variables, so that expressions go in."""
    problem = pyo.ConcreteModel()
    problem.twice = pyo.Var(surrogate.inputs, initialize=2.0)
    problem.rates = pyo.Expression(READINGS)
    for name, rate in embed(
        problem, surrogate, {i: problem.twice[i] / 2.0 for i in surrogate.inputs}, READINGS
    ).items():
        problem.rates[name] = rate
    return problem


def test_embedded_rates_are_the_predicted_ones(surrogate: Surrogate, embedded: pyo.ConcreteModel) -> None:
    points = uniform(surrogate.domain, 1, seed=8)
    found = []
    for point in points:
        embedded.twice.set_values(dict(zip(surrogate.inputs, 2.0 * point, strict=True)))
        found.append([pyo.value(embedded.rates[name]) for name in READINGS])
    assert np.array(found) == pytest.approx(surrogate.predict(points, READINGS), abs=1.0e-9)


def test_embedding_leaves_no_constraints(embedded: pyo.ConcreteModel) -> None:
    assert not list(embedded.component_data_objects(pyo.Constraint, active=None))


def test_embedding_leaves_only_the_variables_of_the_caller(embedded: pyo.ConcreteModel) -> None:
    names = {variable.parent_component().name for variable in embedded.component_data_objects(pyo.Var)}
    assert names == {"twice"}


def test_embedding_an_unknown_reading_names_the_nearest(surrogate: Surrogate) -> None:
    problem = pyo.ConcreteModel()
    problem.limit = pyo.Var(surrogate.inputs, initialize=1.0)
    with pytest.raises(SurrogateError, match="no reading 'grow'"):
        embed(problem, surrogate, dict(problem.limit), ["grow"])


def test_trained_fluxes_balance(trained: Surrogate, textbook: Network) -> None:
    assert balance_error(trained, textbook, uniform(SMALL, 200, seed=2)) <= 1.0e-9


def test_trained_growth_follows_the_labels(trained: Surrogate) -> None:
    assert trained.card["held_out"]["growth"]["r2"] > 0.9


def test_trained_card_tells_how_it_was_made(trained: Surrogate, textbook: Network) -> None:
    told = {name: trained.card[name] for name in ("network_hash", "points", "hidden", "activation", "training_seed")}
    assert told == {
        "network_hash": textbook.hash,
        "points": 300,
        "hidden": [8, 8],
        "activation": "tanh",
        "training_seed": 1,
    }


def test_trained_surrogate_saves_and_loads(trained: Surrogate, tmp_path: Path) -> None:
    trained.save(tmp_path / "small")
    points = uniform(SMALL, 10, seed=3)
    assert np.array_equal(load_surrogate(tmp_path / "small").predict(points), trained.predict(points))


def test_training_with_one_seed_gives_one_surrogate(table: FluxTable, trained: Surrogate) -> None:
    again = train(table, hidden=(8, 8), iterations=60, seed=1)
    assert np.array_equal(again.weights.weights, trained.weights.weights)


def test_training_with_another_seed_gives_another(table: FluxTable, trained: Surrogate) -> None:
    other = train(table, hidden=(8, 8), iterations=5, seed=2)
    assert not np.array_equal(other.hidden[0].weights, trained.hidden[0].weights)


def test_training_tells_its_progress(table: FluxTable) -> None:
    told: list[tuple[int, int]] = []
    train(table, hidden=(4,), iterations=3, starts=2, progress=lambda done, total: told.append((done, total)))
    parts = [done / total for done, total in told]
    assert parts[-1] == 1.0
    assert parts == sorted(parts)


def test_training_with_softplus_balances(table: FluxTable, textbook: Network) -> None:
    soft = train(table, hidden=(4,), activation="softplus", iterations=5)
    assert balance_error(soft, textbook, uniform(SMALL, 20, seed=0)) <= 1.0e-9


@pytest.mark.parametrize("activation", ["relu", "linear", ""])
def test_activation_that_is_not_smooth_is_refused(table: FluxTable, activation: str) -> None:
    with pytest.raises(SurrogateError, match=rf"activation is '{activation}'; give one of tanh, softplus"):
        train(table, activation=activation)


@pytest.mark.parametrize("hidden", [(), (0,), (8, -1)], ids=str)
def test_hidden_layers_that_cannot_be_made_are_refused(table: FluxTable, hidden: tuple[int, ...]) -> None:
    with pytest.raises(SurrogateError, match=r"hidden is .*; give (one width or more|a whole number, at least 1)"):
        train(table, hidden=hidden)


def test_too_few_labels_are_refused(textbook: Network) -> None:
    with pytest.raises(SurrogateError, match="49 points are too few to train on; tabulate at least 50"):
        train(tabulate_fluxes(textbook, SMALL, 49))


@pytest.mark.parametrize("name", ["fluxes", "inputs"])
def test_labels_that_are_not_finite_are_refused(table: FluxTable, name: str) -> None:
    data = table.data.copy(deep=True)
    data[name][3, 1] = np.nan
    with pytest.raises(SurrogateError, match="the table holds numbers that are not finite; tabulate the fluxes again"):
        train(dataclasses.replace(table, data=data))


def test_table_without_growth_is_refused(textbook: Network) -> None:
    starving = tabulate_fluxes(textbook, Domain({GLUCOSE: (0.0, 0.2)}), 50)
    with pytest.raises(SurrogateError, match="there is nothing to fit; widen the domain"):
        train(starving)


def test_using_a_saved_surrogate_never_loads_tensorflow() -> None:
    script = (
        "import sys, pyomo.environ as pyo, mmopt;"
        "cell = mmopt.load_surrogate('ecoli_ijo1366');"
        "cell.predict([8.0, 15.0, 0.0]);"
        "problem = pyo.ConcreteModel();"
        "problem.limit = pyo.Var(cell.inputs, initialize=1.0);"
        "from mmopt.surrogate import embed; embed(problem, cell, dict(problem.limit), ['growth']);"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_another_maintenance_demand_is_that_of_the_exact_answer(textbook: Network) -> None:
    half = set_bounds(textbook, {"ATPM": (textbook.maintenance_demand / 2.0, 1000.0)})
    table = tabulate_fluxes(textbook, SMALL, 400)
    scaled = train(table, hidden=(8, 8), iterations=60).with_maintenance(textbook.maintenance_demand / 2.0)
    points = uniform(scaled.domain, 100, seed=2)
    exact = sample_at(half, points)
    error = np.abs(scaled.predict(points, ["growth", OXYGEN]) - exact).max(axis=0)
    assert error[0] < 0.03
    assert error[1] < 0.8


def test_maintenance_scales_fluxes_and_limits_alike(trained: Surrogate) -> None:
    double = trained.with_maintenance(2.0 * trained.maintenance_demand)
    points = uniform(SMALL, 20, seed=3)
    assert double.fluxes(2.0 * points) == pytest.approx(2.0 * trained.fluxes(points), rel=1.0e-9, abs=1.0e-9)


def test_embedded_maintenance_is_that_of_the_scaled_surrogate(trained: Surrogate) -> None:
    problem = pyo.ConcreteModel()
    problem.limit = pyo.Var(trained.inputs, initialize=3.0)
    problem.demand = pyo.Var(initialize=5.0)
    rates = embed(problem, trained, dict(problem.limit), ["growth", OXYGEN], maintenance=problem.demand)
    expected = trained.with_maintenance(5.0).predict([3.0, 3.0], ["growth", OXYGEN])
    assert [pyo.value(rates["growth"]), pyo.value(rates[OXYGEN])] == pytest.approx(expected.tolist(), abs=1.0e-9)


@pytest.mark.parametrize("demand", [0.0, -1.0, float("nan")])
def test_maintenance_demand_that_cannot_be_is_refused(trained: Surrogate, demand: float) -> None:
    with pytest.raises(SurrogateError, match="give a finite number above 0"):
        trained.with_maintenance(demand)


def test_surrogate_that_does_not_scale_is_refused(trained: Surrogate) -> None:
    bound = dataclasses.replace(trained, card={**trained.card, "homogeneous": False})
    with pytest.raises(SurrogateError, match="fluxes do not scale with the demand"):
        bound.with_maintenance(4.0)


def test_domain_with_the_maintenance_demand_is_referred_to_scaling(textbook: Network) -> None:
    table = tabulate_fluxes(textbook, Domain({GLUCOSE: (0.0, 10.0), "ATPM": (1.0, 10.0)}), 60)
    with pytest.raises(SurrogateError, match="needs no input of its own, since fluxes scale with it"):
        train(table)


def test_limits_by_exchange_id_are_taken_in_any_order(surrogate: Surrogate) -> None:
    by_name = {"EX_o2_e": 15.0, "EX_ac_e": 0.0, "EX_glc__D_e": 8.0}
    assert surrogate.predict(by_name) == pytest.approx(surrogate.predict([8.0, 15.0, 0.0]), rel=1.0e-15)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"EX_o2_e": 15.0, "EX_glc__D_e": 8.0}, "limits lack EX_ac_e"),
        ({"EX_o2": 15.0}, "unknown input 'EX_o2'"),
        ("text", "no number"),
        ([1.0, 2.0], r"shape \(2,\)"),
        ([1.0, None, 2.0], "no number"),
    ],
)
def test_limits_that_do_not_fit_are_refused(surrogate: Surrogate, limits: Any, message: str) -> None:
    with pytest.raises(DomainError, match=message):
        surrogate.predict(limits)


def test_repr_of_a_surrogate_is_short(surrogate: Surrogate) -> None:
    assert len(repr(surrogate)) < 100


@pytest.mark.parametrize("names", [[], "growth"])
def test_readings_that_are_no_list_are_refused(surrogate: Surrogate, names: object) -> None:
    with pytest.raises(SurrogateError, match="give a list of one or more names"):
        surrogate.predict([1.0, 1.0, 0.0], names)  # type: ignore[arg-type]


@pytest.mark.parametrize("demand", ["x", None, float("nan"), 0.0, -1.0])
def test_demand_that_is_no_positive_number_is_refused(surrogate: Surrogate, demand: object) -> None:
    with pytest.raises(SurrogateError, match="give a finite number above 0"):
        surrogate.with_maintenance(demand)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", [{"a": 1.0}, {}, None, {"EX_glc__D_e": "x", "EX_o2_e": 1.0, "EX_ac_e": 0.0}])
def test_limits_that_fit_no_input_are_refused(surrogate: Surrogate, limits: object) -> None:
    with pytest.raises(DomainError, match="limits"):
        surrogate.check_limits(limits)  # type: ignore[arg-type]


def test_source_that_is_no_folder_is_refused() -> None:
    with pytest.raises(SurrogateError, match="source is None; give a folder"):
        load_surrogate(None)  # type: ignore[arg-type]

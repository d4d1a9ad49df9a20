"""The flux program gives the published numbers, keeps its strict order, and answers where the textbook program cannot."""

import dataclasses
import pickle
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.resources import files
from multiprocessing import get_context
from typing import Any

import cobra
import numpy as np
import pytest
from cobra.flux_analysis import pfba as cobra_pfba
from cobra.io import read_sbml_model
from scipy.optimize import linprog

from mmopt import Domain
from mmopt.errors import DomainError, InfeasibleError, NetworkError
from mmopt.fba import FluxBatch, Fluxes, FluxProgram, flux_problem, pfba
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.network.reading import read_network
from mmopt.status import Status

GLUCOSE, OXYGEN, ACETATE = "EX_glc__D_e", "EX_o2_e", "EX_ac_e"
IJO1366 = pytest.param("ijo1366", marks=pytest.mark.genome)
SALMONELLA = pytest.param("salmonella", marks=pytest.mark.genome)
MEASURES = ("growth", OXYGEN, "EX_ac_e", "EX_etoh_e", "EX_for_e", "total")

# Glucose limit 10 mmol/gDW/h, medium as shipped; growth, oxygen uptake, acetate, ethanol and formate secretion, total
# flux. Orth et al. (2010), EcoSal Plus 4 and (2011), Mol. Syst. Biol. 7:535 give the networks and their growth rates;
# further digits by cobrapy's pfba (Ebrahim et al. 2013, BMC Syst. Biol. 7:74).
PUBLISHED = {
    ("textbook", None): (0.8739215, 21.799493, 0.0, 0.0, 0.0, 518.422086),
    ("textbook", 20.0): (0.8326136, 20.0, 1.802563, 0.0, 0.0, 494.805421),
    ("textbook", 15.0): (0.7178372, 15.0, 6.811093, 0.0, 0.0, 429.185081),
    ("textbook", 0.0): (0.2116629, 0.0, 8.503585, 8.279455, 17.804674, 335.650617),
    ("ijo1366", None): (0.9823718, 17.578934, 0.0, 0.0, 0.0, 699.022275),
    ("ijo1366", 15.0): (0.8992173, 15.0, 3.083991, 0.0, 0.0, 644.765603),
    ("ijo1366", 0.0): (0.2415016, 0.0, 8.207632, 8.077669, 17.283320, 401.805481),
}

# Least glucose uptake that pays for maintenance [mmol/gDW/h], by oxygen limit.
LEAST_GLUCOSE = {
    ("textbook", 1000.0): 0.4794286,
    ("textbook", 0.0): 3.0509091,
    ("ijo1366", 1000.0): 0.1340426,
    ("ijo1366", 0.0): 1.26,
}

RANDOM = np.random.default_rng(7).uniform([0.5, 0.0], [12.0, 25.0], (6, 2)).round(3)


FILES = {"ijo1366": "iJO1366"}

Programs = Callable[[str], FluxProgram]
Sources = Callable[[str], cobra.Model]


@pytest.fixture(scope="module")
def programs(request: pytest.FixtureRequest) -> Programs:
    """Label programs of the packaged networks, by the name of their fixture."""
    return cache(lambda name: FluxProgram(request.getfixturevalue(name), [GLUCOSE, OXYGEN]))


@pytest.fixture(scope="module")
def sources(share: Callable[[str, Callable[[], Any]], Any]) -> Sources:
    """The same networks as cobra reads them."""

    @cache
    def source(name: str) -> cobra.Model:
        path = str(files("cobra.data") / f"{FILES.get(name, name)}.xml.gz")
        read = share(f"{name}_of_cobra", lambda: read_sbml_model(path))
        read.tolerance = 1.0e-9
        return read

    return source


def limited(source: cobra.Model, glucose: float, oxygen: float) -> None:
    source.reactions.get_by_id(GLUCOSE).lower_bound = -glucose
    source.reactions.get_by_id(OXYGEN).lower_bound = -oxygen


@pytest.fixture(scope="module")
def published_cases(request: pytest.FixtureRequest) -> Callable[[str, float | None], Fluxes]:
    def solved(name: str, oxygen: float | None) -> Fluxes:
        limits = {GLUCOSE: 10.0} if oxygen is None else {GLUCOSE: 10.0, OXYGEN: oxygen}
        return pfba(request.getfixturevalue(name), limits)

    return cache(solved)


def marked(cases: Iterable[tuple[str, float | None]]) -> list[object]:
    """The cases, with a mark on those of a genome-scale network."""
    return [pytest.param(*case, marks=[pytest.mark.genome] if case[0] != "textbook" else []) for case in cases]


@pytest.mark.parametrize(("name", "oxygen"), marked(PUBLISHED))
@pytest.mark.parametrize("measure", MEASURES)
def test_answer_is_the_published_one(
    published_cases: Callable[[str, float | None], Fluxes], name: str, oxygen: float | None, measure: str
) -> None:
    answer = published_cases(name, oxygen)
    found = {"growth": answer.growth, "total": answer.total, OXYGEN: answer.uptake(OXYGEN)}
    value = found[measure] if measure in found else answer.secretion(measure)
    assert value == pytest.approx(PUBLISHED[name, oxygen][MEASURES.index(measure)], abs=1.0e-6)


@pytest.mark.parametrize(("name", "oxygen"), marked(LEAST_GLUCOSE))
def test_maintenance_is_paid_in_full_above_the_least_glucose(programs: Programs, name: str, oxygen: float) -> None:
    assert programs(name).solve([LEAST_GLUCOSE[name, oxygen] + 1.0e-6, oxygen]).shortfall == pytest.approx(
        0.0, abs=1e-9
    )


@pytest.mark.parametrize(("name", "oxygen"), marked(LEAST_GLUCOSE))
def test_growth_begins_above_the_least_glucose(programs: Programs, name: str, oxygen: float) -> None:
    assert programs(name).solve([LEAST_GLUCOSE[name, oxygen] + 1.0e-3, oxygen]).growth > 1.0e-6


@pytest.mark.parametrize("part", [0.0, 0.25, 0.9, 0.9999])
@pytest.mark.parametrize(("name", "oxygen"), marked(LEAST_GLUCOSE))
def test_shortfall_is_the_part_that_glucose_cannot_pay(
    programs: Programs, name: str, oxygen: float, part: float
) -> None:
    # every mmol of glucose pays for the same ATP below the least glucose, so the shortfall is demand (1 - g / least)
    answer = programs(name).solve([part * LEAST_GLUCOSE[name, oxygen], oxygen])
    demand = programs(name).network.maintenance_demand
    assert answer.shortfall == pytest.approx(demand * (1.0 - part), abs=demand * 1.0e-6)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
@pytest.mark.parametrize(("name", "oxygen"), marked(LEAST_GLUCOSE))
def test_starving_cell_does_not_grow(programs: Programs, name: str, oxygen: float, part: float) -> None:
    assert programs(name).solve([part * LEAST_GLUCOSE[name, oxygen], oxygen]).growth == pytest.approx(0.0, abs=1.0e-9)


@pytest.mark.parametrize("glucose", [0.1, 0.3, 0.45])
@pytest.mark.parametrize("oxygen", [0.0, 0.5, 1000.0])
def test_shortfall_is_what_cobra_cannot_make(
    programs: Programs, sources: Sources, glucose: float, oxygen: float
) -> None:
    with sources("textbook") as source:
        limited(source, glucose, oxygen)
        source.reactions.ATPM.lower_bound = 0.0
        source.objective = "ATPM"
        most = source.slim_optimize()
    assert programs("textbook").solve([glucose, oxygen]).shortfall == pytest.approx(8.39 - most, abs=1.0e-7)


@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_cell_without_uptake_does_nothing(programs: Programs, name: str) -> None:
    network = programs(name).network
    idle = FluxProgram(network, network.exchanges).solve(np.zeros(len(network.exchanges)))
    assert (idle.total, idle.shortfall) == pytest.approx((0.0, network.maintenance_demand), abs=1.0e-9)


# --- agreement with cobra, whose own program is another and runs on GLPK


COBRA = [("textbook", 6), pytest.param("ijo1366", 2, marks=pytest.mark.genome)]
COBRA += [pytest.param("salmonella", 2, marks=pytest.mark.genome)]
ENOUGH = np.random.default_rng(12).uniform([4.0, 1.0, 0.0], [12.0, 16.0, 4.0], (6, 3)).round(3)
"""Limits at which each network can pay its maintenance, so that cobra's program has an answer."""

PRICE_OF_GROWTH = 1.0e4
"""Total flux that one more 1/h of growth costs is below this [mmol/gDW], so growth that cobra fixes to its tolerance of 1e-9
moves the total flux by less than 1e-5 mmol/gDW/h."""


@pytest.fixture(scope="module")
def cobras(request: pytest.FixtureRequest, sources: Sources) -> Callable[[str, int, float], list[tuple[float, float]]]:
    """Growth and total flux of cobra's `pfba` at the first points."""

    @cache
    def solved(name: str, count: int, fraction: float) -> list[tuple[float, float]]:
        source, found = sources(name), []
        biomass = request.getfixturevalue(name).biomass
        for point in ENOUGH[:count]:
            with source:
                for exchange, limit in zip((GLUCOSE, OXYGEN, ACETATE), point, strict=True):
                    source.reactions.get_by_id(exchange).lower_bound = -limit
                fluxes = cobra_pfba(source, fraction_of_optimum=fraction).fluxes
            found.append((float(fluxes[biomass]), float(fluxes.abs().sum())))
        return found

    return solved


@pytest.mark.parametrize("fraction", [1.0, 0.9])
@pytest.mark.parametrize(("name", "count"), COBRA)
def test_growth_and_total_flux_agree_with_cobra(
    request: pytest.FixtureRequest,
    cobras: Callable[[str, int, float], list[tuple[float, float]]],
    name: str,
    count: int,
    fraction: float,
) -> None:
    program = FluxProgram(request.getfixturevalue(name), [GLUCOSE, OXYGEN, ACETATE], fraction_of_optimum=fraction)
    source = [program.solve(point) for point in ENOUGH[:count]]
    off = np.abs([(one.growth, one.total) for one in source] - np.array(cobras(name, count, fraction)))
    assert np.all(off < [1.0e-7, PRICE_OF_GROWTH * 1.0e-9])


@pytest.mark.parametrize("name", [IJO1366, SALMONELLA])
def test_growth_in_the_medium_of_the_file_is_that_of_cobra(
    request: pytest.FixtureRequest, sources: Sources, name: str
) -> None:
    with sources(name) as source:
        assert pfba(request.getfixturevalue(name), {}).growth == pytest.approx(source.slim_optimize(), rel=1e-7)


def permuted(network: Network, seed: int) -> Network:
    generator = np.random.default_rng(seed)
    rows, columns = generator.permutation(len(network.metabolites)), generator.permutation(len(network.reactions))
    reactions = tuple(network.reactions[j] for j in columns)
    return dataclasses.replace(
        network,
        metabolites=tuple(network.metabolites[i] for i in rows),
        reactions=reactions,
        stoichiometry=network.stoichiometry[rows, :][:, columns],
        lower=network.lower[columns],
        upper=network.upper[columns],
        exchanges=tuple(name for name in reactions if name in network.exchanges),
    )


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_order_of_the_file_decides_nothing(
    request: pytest.FixtureRequest, points: np.ndarray, name: str, seed: int
) -> None:
    network, fluxes = request.getfixturevalue(name), request.getfixturevalue(f"{name}_labels")
    other = permuted(network, seed)
    net = FluxProgram(other, [GLUCOSE, OXYGEN, ACETATE]).batch(points[::40]).net
    assert np.abs(net[:, [other.column(each) for each in network.reactions]] - fluxes.net[::40]).max() < 1.0e-6


@pytest.mark.parametrize("point", [[10.0, 0.0], [0.1, 1000.0], [0.0, 0.0]], ids=str)
def test_order_of_the_file_decides_nothing_at_the_edge(programs: Programs, point: list[float]) -> None:
    network = programs("textbook").network
    other = FluxProgram(permuted(network, 1), [GLUCOSE, OXYGEN]).solve(point)
    assert [other[each] for each in network.reactions] == pytest.approx(
        programs("textbook").solve(point).net, abs=1.0e-6
    )


def test_order_of_the_inputs_decides_nothing(textbook: Network) -> None:
    one, other = pfba(textbook, {GLUCOSE: 8.0, OXYGEN: 9.0}), pfba(textbook, {OXYGEN: 9.0, GLUCOSE: 8.0})
    assert one.net == pytest.approx(other.net, abs=1.0e-9)


@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_answer_does_not_depend_on_earlier_solves(programs: Programs, name: str) -> None:
    points = np.random.default_rng(3).uniform([0.0, 0.0], [12.0, 20.0], (25, 2))
    forwards = np.array([programs(name).solve(point).net for point in points])
    backwards = np.array([programs(name).solve(point).net for point in points[::-1]])[::-1]
    assert forwards == pytest.approx(backwards, abs=1.0e-6)


def test_answer_of_a_used_program_is_that_of_a_fresh_one(programs: Programs, ijo1366: Network) -> None:
    fresh = pfba(ijo1366, {GLUCOSE: 7.3, OXYGEN: 4.4})
    assert programs("ijo1366").solve([7.3, 4.4]).net == pytest.approx(fresh.net, abs=1.0e-6)


def one_aim_after_the_other(network: Network, limits: dict[str, float]) -> tuple[float, float, float]:
    """Least shortfall, most growth, least total flux by separate plain linear programs, as the definition reads."""
    count = len(network.reactions)
    lower, upper = network.lower.copy(), network.upper.copy()
    lower[network.column(network.maintenance)] = 0.0
    for exchange, limit in limits.items():
        lower[network.column(exchange)] = -limit
    bounds = [
        *zip(np.maximum(lower, 0.0), np.maximum(upper, 0.0), strict=True),
        *zip(np.maximum(-upper, 0.0), np.maximum(-lower, 0.0), strict=True),
        (0.0, np.inf),
    ]
    dense = network.stoichiometry.toarray()
    balance = np.hstack([dense, -dense, np.zeros((len(dense), 1))])
    maintained, grown = np.zeros(2 * count + 1), np.zeros(2 * count + 1)
    maintained[[network.column(network.maintenance), -1]] = -1.0
    grown[network.column(network.biomass)] = -1.0
    missed = np.zeros(2 * count + 1)
    missed[-1] = 1.0
    total = 1.0 - missed
    rows, right = [maintained], [-network.maintenance_demand]
    least, exact = [], {"primal_feasibility_tolerance": 1.0e-10, "dual_feasibility_tolerance": 1.0e-10}
    for aim in (missed, grown, total):
        found = linprog(
            aim, np.array(rows), right, balance, np.zeros(len(dense)), bounds, method="highs-ds", options=exact
        )
        least.append(found.fun)
        rows.append(aim)
        right.append(found.fun + 1.0e-10)
    return least[0], -least[1], least[2]


STRICT = [
    (10.0, 1000.0),
    (10.0, 15.0),
    (10.0, 0.0),
    (3.0, 0.3),
    (1.0, 1.0),
    (0.4794, 1000.0),
    (0.48, 1000.0),
    (0.2, 0.4),
]


@pytest.mark.parametrize("aim", ["shortfall", "growth", "total"])
@pytest.mark.parametrize(("glucose", "oxygen"), [*STRICT, *map(tuple, RANDOM)])
def test_aims_are_met_in_strict_order(programs: Programs, glucose: float, oxygen: float, aim: str) -> None:
    expected = one_aim_after_the_other(programs("textbook").network, {GLUCOSE: glucose, OXYGEN: oxygen})
    answer = programs("textbook").solve([glucose, oxygen])
    assert getattr(answer, aim) == pytest.approx(expected[("shortfall", "growth", "total").index(aim)], abs=2.0e-6)


@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_fluxes_balance(programs: Programs, name: str) -> None:
    stoichiometry = programs(name).network.stoichiometry
    worst = max(np.abs(stoichiometry @ programs(name).solve(point).net).max() for point in (*RANDOM, [0.1, 5.0]))
    assert worst < 1.0e-7


@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_fluxes_keep_the_bounds(programs: Programs, name: str) -> None:
    network = programs(name).network
    lower = network.lower.copy()
    lower[network.column(network.maintenance)] = 0.0
    for point in (*RANDOM, [0.1, 5.0]):
        lower[[network.column(GLUCOSE), network.column(OXYGEN)]] = -np.asarray(point)
        net = programs(name).solve(point).net
        assert np.all((net >= lower - 1.0e-8) & (net <= network.upper + 1.0e-8))


def carbon_balance(source: cobra.Model, network: Network) -> np.ndarray:
    """Carbon that each reaction adds, by cobra's formulas; what has no formula holds none."""
    held = {metabolite.id: metabolite.elements.get("C", 0.0) for metabolite in source.metabolites if metabolite.formula}
    added = [
        sum(coefficient * held.get(metabolite.id, 0.0) for metabolite, coefficient in each.metabolites.items())
        for each in (source.reactions.get_by_id(reaction) for reaction in network.reactions)
    ]
    return np.where(np.abs(added) < 1.0e-6, 0.0, added)


@pytest.mark.parametrize("name", ["textbook", IJO1366, SALMONELLA])
def test_carbon_in_is_carbon_out_at_every_point(
    request: pytest.FixtureRequest, sources: Sources, points: np.ndarray, name: str
) -> None:
    network, fluxes = request.getfixturevalue(name), request.getfixturevalue(f"{name}_labels")
    moved = fluxes.net * carbon_balance(sources(name), network)
    taken_up = moved[:, [network.column(exchange) for exchange in network.exchanges]].clip(min=0.0).sum(axis=1)
    assert np.abs(moved.sum(axis=1) / taken_up).max() < 1.0e-9


@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_only_what_crosses_the_border_and_growth_change_the_carbon_inside(
    request: pytest.FixtureRequest, sources: Sources, name: str
) -> None:
    network, source = request.getfixturevalue(name), sources(name)
    changing = np.array(network.reactions)[carbon_balance(source, network) != 0.0]
    inside = set(changing) - {each.id for each in source.boundary}
    assert inside <= {reaction for reaction in network.reactions if reaction.upper().startswith("BIOMASS")}


@pytest.mark.parametrize("value", [-1.0, -1.0e-9, np.nan])
def test_limit_that_is_no_uptake_is_refused(programs: Programs, value: float) -> None:
    with pytest.raises(DomainError, match=r"limit of EX_o2_e is .* give a number from 0 up"):
        programs("textbook").solve([10.0, value])


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_maintenance_that_is_no_demand_is_refused(programs: Programs, value: float) -> None:
    with pytest.raises(DomainError, match=r"maintenance demand is .* give a finite number, at least 0"):
        programs("textbook").solve([10.0, 10.0], maintenance=value)


def test_missing_limit_is_refused(programs: Programs) -> None:
    with pytest.raises(DomainError, match=r"2 inputs are needed \(EX_glc__D_e, EX_o2_e\), 1 were given"):
        programs("textbook").solve([10.0])


def test_unknown_exchange_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="nearest known: EX_glc__D_e"):
        pfba(textbook, {"EX_glc_e": 10.0})


def test_exchange_given_twice_is_refused(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"a name is given twice in EX_o2_e, EX_o2_e"):
        FluxProgram(textbook, [OXYGEN, OXYGEN])


@pytest.fixture
def forced(textbook: Network) -> FluxProgram:
    """The textbook network with a kinase that must run, at a cost of ATP."""
    lower = textbook.lower.copy()
    lower[textbook.column("PFK")] = 5.0
    return FluxProgram(dataclasses.replace(textbook, lower=lower), [GLUCOSE])


def test_other_forced_reaction_that_cannot_run_is_named(forced: FluxProgram) -> None:
    with pytest.raises(InfeasibleError, match=r"uptake limits EX_glc__D_e 0\.1: PFK must run"):
        forced.solve([0.1])


def test_program_answers_after_an_infeasible_question(forced: FluxProgram) -> None:
    before = forced.solve([10.0]).net
    with pytest.raises(InfeasibleError, match="PFK must run"):
        forced.solve([0.1])
    assert forced.solve([10.0]).net == pytest.approx(before, abs=1.0e-9)


def test_forced_growth_is_refused(textbook: Network) -> None:
    lower = textbook.lower.copy()
    lower[textbook.column(textbook.biomass)] = 0.1
    with pytest.raises(NetworkError, match="starving cells do not grow"):
        FluxProgram(dataclasses.replace(textbook, lower=lower), [GLUCOSE])


@pytest.mark.parametrize("blocked", ["Biomass_Ecoli_core", "ATPM"])
def test_blocked_reaction_carries_no_flux(textbook: Network, blocked: str) -> None:
    lower, upper = textbook.lower.copy(), textbook.upper.copy()
    lower[textbook.column(blocked)] = upper[textbook.column(blocked)] = 0.0
    assert pfba(dataclasses.replace(textbook, lower=lower, upper=upper), {GLUCOSE: 10.0})[blocked] == 0.0


@pytest.mark.parametrize("factor", [0.1, 2.0, 7.0])
@pytest.mark.parametrize("point", [[10.0, 15.0], [10.0, 0.0], [0.12, 1000.0]], ids=str)
@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_answer_scales_with_limits_and_maintenance(
    programs: Programs, name: str, point: list[float], factor: float
) -> None:
    # the other bounds of both networks are zero or infinite; that of cobalamin in iJO1366 is not, and nothing needs it
    demand = factor * programs(name).network.maintenance_demand
    scaled = programs(name).solve(factor * np.array(point), maintenance=demand)
    assert scaled.net / factor == pytest.approx(programs(name).solve(point).net, abs=1.0e-9, rel=1.0e-9)


def test_maintenance_of_one_question_does_not_stay(programs: Programs) -> None:
    before = programs("textbook").solve([10.0, 10.0]).net
    programs("textbook").solve([10.0, 10.0], maintenance=20.0)
    assert programs("textbook").solve([10.0, 10.0]).net == pytest.approx(before, abs=1.0e-9)


def test_fluxes_are_continuous_where_starvation_begins(programs: Programs) -> None:
    least = LEAST_GLUCOSE["textbook", 1000.0]
    below, above = (programs("textbook").solve([least + step, 1000.0]).net for step in (-1.0e-5, 1.0e-5))
    assert below == pytest.approx(above, abs=1.0e-2)


@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_cell_of_a_program_reads_what_it_solves(programs: Programs, name: str) -> None:
    names = ["EX_co2_e", "shortfall", "growth", "PFK"]
    answer = programs(name).solve([9.0, 11.0])
    rates = programs(name).rate_function(names)({OXYGEN: 11.0, GLUCOSE: 9.0})
    expected = {
        "shortfall": answer.shortfall,
        "growth": answer.growth,
        "EX_co2_e": answer["EX_co2_e"],
        "PFK": answer["PFK"],
    }
    assert rates == pytest.approx(expected, abs=1.0e-9)


def test_cell_of_a_program_keeps_the_given_order(programs: Programs) -> None:
    names = ["EX_co2_e", "shortfall", "growth"]
    assert list(programs("textbook").rate_function(names)({GLUCOSE: 1.0, OXYGEN: 1.0})) == names


def test_cell_of_a_program_takes_a_limit_below_zero_as_none(programs: Programs) -> None:
    cell = programs("textbook").rate_function(["growth", "shortfall"])
    assert cell({GLUCOSE: -1.0e-9, OXYGEN: 10.0}) == pytest.approx({"growth": 0.0, "shortfall": 8.39})


def test_cell_of_a_program_refuses_an_unknown_reading(programs: Programs) -> None:
    with pytest.raises(NetworkError, match="no reaction 'EX_co_e'; nearest known: EX_co2_e"):
        programs("textbook").rate_function(["EX_co_e"])


def test_split_fluxes_give_the_net_flux_back(programs: Programs) -> None:
    answer = programs("textbook").solve([10.0, 10.0])
    forward, reverse = answer.split
    assert np.array_equal(forward - reverse, answer.net)


def test_split_fluxes_are_not_negative(programs: Programs) -> None:
    assert min(part.min() for part in programs("textbook").solve([10.0, 10.0]).split) >= 0.0


def test_network_without_maintenance_has_no_shortfall(textbook: Network) -> None:
    lower = textbook.lower.copy()
    lower[textbook.column("ATPM")] = 0.0
    free = dataclasses.replace(textbook, lower=lower, maintenance=None)
    assert pfba(free, {GLUCOSE: 0.0}).shortfall == pytest.approx(0.0, abs=1.0e-12)


def test_problem_can_be_written_without_inputs(textbook: Network) -> None:
    assert flux_problem(textbook).reverse[textbook.column(GLUCOSE)].ub == 10.0


def test_packaged_limits_hold_where_none_is_given() -> None:
    assert pfba(read_network("textbook"), {}).uptake(GLUCOSE) == pytest.approx(10.0)


# --- what holds over the whole domain


@pytest.mark.parametrize("name", ["textbook", IJO1366, SALMONELLA])
def test_more_of_a_limit_never_means_less_growth(
    request: pytest.FixtureRequest, domain: Domain, points: np.ndarray, name: str
) -> None:
    program = FluxProgram(request.getfixturevalue(name), domain.inputs)
    for column, way in enumerate(np.eye(len(domain.inputs))):
        for start in points[:: len(points) // (5 if name == "textbook" else 2)]:
            line = start + np.outer(np.linspace(-start[column], domain.upper[column] - start[column], 12), way)
            assert np.diff(program.batch(line.clip(min=0.0)).growth).min() > -1.0e-9


@pytest.mark.parametrize("name", ["textbook", IJO1366, SALMONELLA])
def test_growth_between_two_points_is_no_less_than_its_mean_where_maintenance_is_met(
    request: pytest.FixtureRequest, domain: Domain, points: np.ndarray, name: str
) -> None:
    fluxes: FluxBatch = request.getfixturevalue(f"{name}_labels")
    fed = np.flatnonzero(fluxes.shortfall < 1.0e-9)
    one, other = np.random.default_rng(9).choice(fed, (2, 100 if name == "textbook" else 25))
    between = FluxProgram(request.getfixturevalue(name), domain.inputs).batch(0.5 * (points[one] + points[other]))
    assert np.all(between.growth >= 0.5 * (fluxes.growth[one] + fluxes.growth[other]) - 1.0e-9)


@pytest.mark.parametrize("name", ["textbook", IJO1366, SALMONELLA])
def test_shortfall_between_two_points_is_no_more_than_its_mean(
    request: pytest.FixtureRequest, domain: Domain, points: np.ndarray, name: str
) -> None:
    starved = points[:120] * 0.1
    program = FluxProgram(request.getfixturevalue(name), domain.inputs)
    ends, between = program.batch(starved).shortfall, program.batch(0.5 * (starved[1:] + starved[:-1])).shortfall
    assert np.all(between <= 0.5 * (ends[1:] + ends[:-1]) + 1.0e-9)


@pytest.mark.parametrize("name", ["textbook", IJO1366, SALMONELLA])
def test_cell_that_misses_maintenance_does_not_grow(
    request: pytest.FixtureRequest, points: np.ndarray, name: str
) -> None:
    fluxes: FluxBatch = request.getfixturevalue(f"{name}_labels")
    assert np.minimum(fluxes.growth, fluxes.shortfall).max() < 1.0e-9


@pytest.mark.parametrize("name", ["textbook", IJO1366, SALMONELLA])
def test_no_uptake_is_above_its_limit(
    request: pytest.FixtureRequest, domain: Domain, points: np.ndarray, name: str
) -> None:
    fluxes, network = request.getfixturevalue(f"{name}_labels"), request.getfixturevalue(name)
    columns = [network.column(exchange) for exchange in domain.inputs]
    assert np.all(-fluxes.net[:, columns] <= points + 1.0e-9)


# --- options


@pytest.mark.parametrize(
    ("oxygen", "per_glucose"), [(np.inf, 17.5), (0.0, 2.75)], ids=["with oxygen", "without oxygen"]
)
def test_most_atp_of_a_glucose_is_the_published_one(textbook: Network, oxygen: float, per_glucose: float) -> None:
    # Orth, Fleming and Palsson (2010), EcoSal Plus 4, table of maximum yields of cofactors
    draining = dataclasses.replace(textbook, biomass="ATPM")
    answer = pfba(draining, {GLUCOSE: 1.0, OXYGEN: oxygen})
    assert answer.growth == pytest.approx(per_glucose, abs=1.0e-6)


def test_growth_is_the_flux_of_whatever_is_called_growth(textbook: Network) -> None:
    answer = pfba(dataclasses.replace(textbook, biomass="EX_succ_e"), {GLUCOSE: 10.0})
    assert answer.growth == answer["EX_succ_e"]


@pytest.mark.parametrize("objective", ["EX_ac_e", "EX_etoh_e", "EX_succ_e", "CYTBD", "PGI", "G6PDH2r"])
def test_most_of_any_reaction_is_that_of_cobra(textbook: Network, sources: Sources, objective: str) -> None:
    with sources("textbook") as source:
        limited(source, 10.0, 8.0)
        source.objective = objective
        most = source.slim_optimize()
    answer = pfba(dataclasses.replace(textbook, biomass=objective), {GLUCOSE: 10.0, OXYGEN: 8.0})
    assert answer.growth == pytest.approx(most, abs=1.0e-7)


def test_objective_named_when_a_network_is_read_is_what_is_made_most(sources: Sources) -> None:
    named = read_network(sources("textbook"), biomass="EX_succ_e")
    assert pfba(named, {GLUCOSE: 10.0}).growth == pytest.approx(16.3842, abs=1.0e-4)


@pytest.mark.parametrize("fraction", [0.999, 0.5, 0.01])
@pytest.mark.parametrize("point", [[10.0, 15.0], [5.0, 0.0], [0.45, 1000.0]], ids=str)
def test_cell_grows_as_much_as_is_enough(programs: Programs, point: list[float], fraction: float) -> None:
    # growth costs flux, so no more than enough is made
    program = FluxProgram(programs("textbook").network, [GLUCOSE, OXYGEN], fraction_of_optimum=fraction)
    most = programs("textbook").solve(point).growth
    assert program.solve(point).growth == pytest.approx(fraction * most, abs=1.0e-9)


def test_cell_that_need_not_grow_most_has_less_total_flux(programs: Programs) -> None:
    enough = FluxProgram(programs("textbook").network, [GLUCOSE, OXYGEN], fraction_of_optimum=0.9).solve([10.0, 15.0])
    assert enough.total < programs("textbook").solve([10.0, 15.0]).total


@pytest.mark.parametrize("fraction", [0.9, 0.5])
def test_maintenance_comes_before_enough_growth(programs: Programs, fraction: float) -> None:
    program = FluxProgram(programs("textbook").network, [GLUCOSE, OXYGEN], fraction_of_optimum=fraction)
    assert program.solve([0.3, 1000.0]).shortfall == pytest.approx(
        programs("textbook").solve([0.3, 1000.0]).shortfall, abs=1.0e-9
    )


def test_maintenance_comes_before_an_objective_below_zero(textbook: Network) -> None:
    # the most glucose that can be left over is none: what feeds maintenance is taken up, whatever part is enough
    uptake = dataclasses.replace(textbook, biomass=GLUCOSE)
    assert pfba(uptake, {GLUCOSE: 10.0}, fraction_of_optimum=0.9).shortfall == pytest.approx(0.0, abs=1.0e-9)


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.0001, np.nan])
def test_fraction_that_is_no_part_is_refused(textbook: Network, fraction: float) -> None:
    with pytest.raises(DomainError, match=r"fraction_of_optimum is .* above 0 up to 1"):
        FluxProgram(textbook, [GLUCOSE], fraction_of_optimum=fraction)


def without(network: Network, reaction: str) -> Network:
    lower, upper = network.lower.copy(), network.upper.copy()
    lower[network.column(reaction)] = upper[network.column(reaction)] = 0.0
    return dataclasses.replace(network, lower=lower, upper=upper)


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [1.0, 0.9])
def test_closed_reaction_is_one_with_bounds_of_zero(textbook: Network, fraction: float) -> None:
    inputs, point = [GLUCOSE, OXYGEN], [10.0, 12.0]
    whole = FluxProgram(textbook, inputs, fraction_of_optimum=fraction)
    for reaction in (each for each in textbook.reactions[::2] if each not in (*inputs, "ATPM")):
        expected = FluxProgram(without(textbook, reaction), inputs, fraction_of_optimum=fraction).solve(point)
        assert whole.solve(point, closed=[reaction]).net == pytest.approx(expected.net, abs=1.0e-8)


@pytest.mark.slow
@pytest.mark.genome
@pytest.mark.parametrize("reaction", ["PGI", "PFK", "CYTBO3_4pp", "ENO", "GLCptspp"])
def test_closed_reaction_of_a_genome_scale_network_is_one_with_bounds_of_zero(
    programs: Programs, reaction: str
) -> None:
    expected = FluxProgram(without(programs("ijo1366").network, reaction), [GLUCOSE, OXYGEN]).solve([9.0, 12.0])
    assert programs("ijo1366").solve([9.0, 12.0], closed=[reaction]).net == pytest.approx(expected.net, abs=1.0e-7)


def test_closed_reactions_carry_nothing(programs: Programs) -> None:
    answer = programs("textbook").solve([10.0, 12.0], closed=["PGI", "EX_ac_e", GLUCOSE])
    assert (answer["PGI"], answer["EX_ac_e"], answer[GLUCOSE]) == (0.0, 0.0, 0.0)


def test_closed_reactions_are_open_the_next_time(programs: Programs) -> None:
    before = programs("textbook").solve([10.0, 12.0]).net
    programs("textbook").solve([10.0, 12.0], closed=["PGI", "ENO", "ATPS4r"])
    assert programs("textbook").solve([10.0, 12.0]).net == pytest.approx(before, abs=1.0e-9)


def test_cell_whose_maintenance_is_closed_misses_all_of_it(programs: Programs) -> None:
    assert programs("textbook").solve([10.0, 12.0], closed=["ATPM"]).shortfall == pytest.approx(8.39)


def test_unknown_closed_reaction_names_the_nearest(programs: Programs) -> None:
    with pytest.raises(NetworkError, match="no reaction 'PGII'; nearest known: PGI"):
        programs("textbook").solve([10.0, 12.0], closed=["PGII"])


# --- linear limits


def most_growth_with(source: cobra.Model, weights: dict[str, float], most: float, *, net: bool) -> float:
    """Growth by cobra under one more constraint; 10 of glucose, 15 of oxygen."""
    with source:
        limited(source, 10.0, 15.0)
        row = source.problem.Constraint(0.0, ub=most)
        source.add_cons_vars(row)
        source.solver.update()
        terms = {}
        for reaction, weight in weights.items():
            each = source.reactions.get_by_id(reaction)
            terms[each.forward_variable] = weight
            terms[each.reverse_variable] = -weight if net else weight
        row.set_linear_coefficients(terms)
        return float(source.slim_optimize())


WEIGHED = {
    "enzymes": ({"PFK": 1.0, "CYTBD": 0.5, "ATPS4r": 0.1}, 18.0, False),
    "one reaction": ({"CYTBD": 1.0}, 20.0, False),
    "net": ({"EX_ac_e": 1.0, GLUCOSE: 0.5}, 0.0, True),
    "net below zero": ({"PGI": -1.0}, -8.0, True),
}
"""Weights, most, and whether net fluxes count."""


@pytest.mark.parametrize("kind", WEIGHED)
def test_growth_under_a_linear_limit_is_that_of_cobra(textbook: Network, sources: Sources, kind: str) -> None:
    weights, most, net = WEIGHED[kind]
    expected = most_growth_with(sources("textbook"), weights, most, net=net)
    answer = pfba(textbook, {GLUCOSE: 10.0, OXYGEN: 15.0}, limits=[LinearLimit(kind, most, weights, net)])
    assert answer.growth == pytest.approx(expected, abs=1.0e-7)


@pytest.mark.parametrize("kind", WEIGHED)
def test_linear_limit_is_kept(textbook: Network, kind: str) -> None:
    weights, most, net = WEIGHED[kind]
    answer = pfba(textbook, {GLUCOSE: 10.0, OXYGEN: 15.0}, limits=[LinearLimit(kind, most, weights, net)])
    spent = sum(weight * (answer[each] if net else abs(answer[each])) for each, weight in weights.items())
    assert spent <= most + 1.0e-9


@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_growth_under_a_limit_of_total_flux_is_that_of_cobra(programs: Programs, sources: Sources, name: str) -> None:
    network = programs(name).network
    weights = dict.fromkeys(network.reactions, 1.0)
    expected = most_growth_with(sources(name), weights, 300.0, net=False)
    answer = pfba(network, {GLUCOSE: 10.0, OXYGEN: 15.0}, limits=[LinearLimit("total flux", 300.0)])
    assert (answer.growth, answer.total) == pytest.approx((expected, 300.0), abs=1.0e-7)


def test_limit_that_does_not_bind_changes_nothing(programs: Programs) -> None:
    loose = FluxProgram(programs("textbook").network, [GLUCOSE, OXYGEN], limits=[LinearLimit("total flux", 1.0e4)])
    assert loose.solve([10.0, 15.0]).net == pytest.approx(programs("textbook").solve([10.0, 15.0]).net, abs=1.0e-9)


def test_linear_limit_can_be_an_input(textbook: Network) -> None:
    limit = LinearLimit("total flux", 300.0)
    moving = FluxProgram(textbook, ["total flux", GLUCOSE], limits=[limit])
    assert [moving.solve([most, 10.0]).total for most in (100.0, 400.0, 1000.0)] == pytest.approx(
        [100.0, 400.0, 518.422086], abs=1.0e-6
    )


def test_linear_limit_as_input_is_the_limit_itself(textbook: Network) -> None:
    moving = FluxProgram(textbook, [GLUCOSE, "flux"], limits=[LinearLimit("flux", 1.0)])
    fixed = pfba(textbook, {GLUCOSE: 10.0}, limits=[LinearLimit("flux", 250.0)])
    assert moving.solve([10.0, 250.0]).net == pytest.approx(fixed.net, abs=1.0e-9)


def test_unknown_reaction_in_a_linear_limit_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="no reaction 'PFKK'; nearest known: PFK"):
        FluxProgram(textbook, [GLUCOSE], limits=[LinearLimit("enzymes", 5.0, {"PFKK": 1.0})])


@pytest.mark.parametrize("weight", [-1.0, np.inf, np.nan])
def test_weight_that_no_size_can_have_is_refused(weight: float) -> None:
    with pytest.raises(DomainError, match=r"weight of PFK in limit 'enzymes' is .* give a finite number from 0 up"):
        LinearLimit("enzymes", 5.0, {"PFK": weight})


@pytest.mark.parametrize("most", [-1.0, np.inf, np.nan])
def test_limit_that_is_no_number_is_refused(most: float) -> None:
    with pytest.raises(DomainError, match=r"limit 'enzymes' is .* give a finite number from 0 up"):
        LinearLimit("enzymes", most)


def test_two_limits_of_one_name_are_refused(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="a name is given twice"):
        FluxProgram(textbook, [GLUCOSE], limits=[LinearLimit("flux", 5.0), LinearLimit("flux", 6.0)])


def test_limit_that_is_not_given_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="no linear limit of that name; nearest known: total flux"):
        FluxProgram(textbook, ["total fluxes"], limits=[LinearLimit("total flux", 5.0)])


# --- maintenance


@pytest.mark.parametrize("name", ["textbook", IJO1366, SALMONELLA])
def test_maintenance_as_input_is_the_demand_itself(request: pytest.FixtureRequest, name: str) -> None:
    network = request.getfixturevalue(name)
    as_input, other = FluxProgram(network, [network.maintenance, GLUCOSE]), FluxProgram(network, [GLUCOSE])
    for demand in (0.0, 5.0, 30.0, 300.0):
        given = other.solve([10.0], maintenance=demand)
        assert as_input.solve([demand, 10.0]).net == pytest.approx(given.net, abs=1.0e-7)


@pytest.mark.parametrize("name", ["textbook", SALMONELLA])
def test_maintenance_as_input_is_a_bound_of_its_reaction(request: pytest.FixtureRequest, name: str) -> None:
    network, demand = request.getfixturevalue(name), 20.0
    column = network.column(network.maintenance)
    lower, upper = network.lower.copy(), network.upper.copy()
    lower[column], upper[column] = demand, demand if lower[column] == upper[column] else upper[column]
    other = pfba(dataclasses.replace(network, lower=lower, upper=upper), {GLUCOSE: 10.0})
    dissipating = FluxProgram(network, [GLUCOSE, network.maintenance]).solve([10.0, demand])
    assert dissipating.net == pytest.approx(other.net, abs=1.0e-7)


@pytest.mark.genome
def test_maintenance_that_is_fixed_is_met_exactly(salmonella: Network) -> None:
    program, demands = FluxProgram(salmonella, [GLUCOSE, "ATPM"]), [0.0, 4.0, 8.39, 30.0]
    assert [program.solve([10.0, demand])["ATPM"] for demand in demands] == pytest.approx(demands, abs=1.0e-9)


# --- limits without end


@pytest.mark.parametrize("name", ["textbook", IJO1366, SALMONELLA])
def test_limit_without_end_is_one_that_is_never_reached(request: pytest.FixtureRequest, name: str) -> None:
    program = FluxProgram(request.getfixturevalue(name), [GLUCOSE, OXYGEN])
    assert program.solve([10.0, np.inf]).net == pytest.approx(program.solve([10.0, 500.0]).net, abs=1.0e-9)


@pytest.mark.parametrize("limits", [[np.inf, np.inf], [np.inf, 10.0]], ids=str)
def test_growth_without_end_names_the_reaction_and_what_it_runs_on(programs: Programs, limits: list[float]) -> None:
    with pytest.raises(NetworkError, match=r"Biomass_Ecoli_core\) is unbounded: it runs on EX_glc__D_e, .* a finite"):
        programs("textbook").solve(limits)


@pytest.mark.genome
def test_growth_without_end_is_told_of_a_genome_scale_network(programs: Programs) -> None:
    with pytest.raises(NetworkError, match=r"core_53p95M\) is unbounded: it runs on EX_glc__D_e, "):
        programs("ijo1366").solve([np.inf, 10.0])


def test_growth_without_end_is_told_of_another_objective(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"reaction ATPM\) is unbounded: it runs on EX_glc__D_e, "):
        pfba(dataclasses.replace(textbook, biomass="ATPM"), {GLUCOSE: np.inf})


def test_loop_that_runs_on_nothing_is_reported(textbook: Network) -> None:
    # FRD7 and SUCDi undo each other
    with pytest.raises(NetworkError, match=r"reaction FRD7\) is unbounded: it runs on no uptake at all"):
        pfba(dataclasses.replace(textbook, biomass="FRD7"), {GLUCOSE: 10.0})


def test_program_answers_after_growth_without_end(programs: Programs) -> None:
    before = programs("textbook").solve([10.0, 10.0]).net
    with pytest.raises(NetworkError, match="unbounded"):
        programs("textbook").solve([np.inf, np.inf])
    assert programs("textbook").solve([10.0, 10.0]).net == pytest.approx(before, abs=1.0e-9)


@pytest.mark.genome
def test_exchange_that_can_carry_nothing_is_an_input_without_effect(programs: Programs) -> None:
    network = programs("ijo1366").network
    answer = FluxProgram(network, [GLUCOSE, OXYGEN, "EX_ni2_e", "EX_cm_e"]).solve([9.0, 11.0, 0.0, 5.0])
    assert answer["EX_cm_e"] == 0.0


# --- many at once, elsewhere, and copies


def test_batch_holds_the_answers(programs: Programs) -> None:
    there = RANDOM.clip(max=16.0)
    batch = programs("textbook").batch(there)
    assert batch.net == pytest.approx(np.array([programs("textbook").solve(each).net for each in there]), abs=1.0e-9)


@pytest.mark.parametrize("fraction", [1.0, 0.9])
@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_bits_of_a_batch_do_not_depend_on_what_was_solved_before(
    request: pytest.FixtureRequest, points: np.ndarray, name: str, fraction: float
) -> None:
    program = FluxProgram(request.getfixturevalue(name), [GLUCOSE, OXYGEN], fraction_of_optimum=fraction)
    before = program.batch(points[:40, :2]).net
    for point in points[700:2000:71, :2]:
        program.solve(point, maintenance=point.sum(), closed=["PGI"])
    assert np.array_equal(program.batch(points[:40, :2]).net, before)


@pytest.fixture(scope="module")
def elsewhere() -> Iterable[ProcessPoolExecutor]:
    """Another process, that begins with nothing."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def used(program: FluxProgram, points: np.ndarray) -> np.ndarray:
    """Fluxes of a batch, after some other questions."""
    for point in points[::-3]:
        program.solve(point)
    return program.batch(points).net


@pytest.mark.slow
@pytest.mark.parametrize("name", ["textbook", IJO1366])
def test_bits_of_a_batch_are_the_same_in_another_process(
    elsewhere: ProcessPoolExecutor, programs: Programs, points: np.ndarray, name: str
) -> None:
    there = points[::40, :2]
    assert np.array_equal(elsewhere.submit(used, programs(name), there).result(), programs(name).batch(there).net)


def test_batch_tells_which_points_were_not_solved(programs: Programs) -> None:
    statuses = programs("textbook").batch(np.array([[1.0, 1.0], [np.inf, np.inf], [1.0, 1.0]])).status
    assert [status is Status.OPTIMAL for status in statuses] == [True, False, True]


def test_points_that_were_not_solved_are_no_numbers(programs: Programs) -> None:
    batch = programs("textbook").batch(np.array([[np.inf, np.inf], [1.0, 1.0]]))
    assert [np.isnan(batch.net[0]).all(), np.isnan(batch.growth[0]), np.isnan(batch.net[1]).any()] == [
        True,
        True,
        False,
    ]


def test_batch_of_nothing_is_empty(programs: Programs) -> None:
    batch = programs("textbook").batch(np.empty((0, 2)))
    assert (len(batch), batch.net.shape) == (0, (0, 95))


def test_batch_without_inputs_gives_the_network_as_shipped(textbook: Network) -> None:
    assert FluxProgram(textbook, []).batch(np.empty((3, 0))).growth == pytest.approx([0.8739215] * 3, abs=1.0e-7)


def test_copy_of_a_program_answers_with_the_same_bits(textbook: Network, points: np.ndarray) -> None:
    limits = [LinearLimit("flux", 300.0), LinearLimit("net", 5.0, {"PFK": 1.0, "PGI": -1.0}, net=True)]
    program = FluxProgram(textbook, [GLUCOSE, "flux"], fraction_of_optimum=0.9, limits=limits)
    there = points[:50, :2] * [1.0, 20.0]
    assert np.array_equal(pickle.loads(pickle.dumps(program)).batch(there).net, program.batch(there).net)


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": [OXYGEN, GLUCOSE]},
        {"fraction_of_optimum": 0.9},
        {"limits": [LinearLimit("flux", 300.0)]},
        {"limits": [LinearLimit("flux", 300.0, {"PFK": 1.0})]},
        {"limits": [LinearLimit("flux", 300.0, {"PFK": 1.0}, net=True)]},
    ],
    ids=["inputs", "fraction", "limit", "weights", "net"],
)
def test_digest_of_a_program_tells_what_decides_an_answer(textbook: Network, change: dict[str, object]) -> None:
    usual: dict[str, object] = {"inputs": [GLUCOSE, OXYGEN], "limits": [LinearLimit("flux", 200.0)]}
    assert FluxProgram(textbook, **usual).digest != FluxProgram(textbook, **{**usual, **change}).digest


def test_law_is_that_of_the_last_demand(programs: Programs) -> None:
    program = programs("textbook")
    answer = program.solve([8.0, 12.0], maintenance=20.0)
    law = program.law()
    assert law is not None
    assert (law.constant + law.slope @ [8.0, 12.0])[:-1] == pytest.approx(answer.net, abs=1.0e-9)


# --- arguments that are none


NONSENSE: tuple[Any, ...] = ("ten", None, np.nan, -1.0, {}, object, np.array(["ten"]))


@pytest.mark.parametrize("value", NONSENSE, ids=str)
def test_uptake_limit_that_is_no_number_is_refused_by_name(textbook: Network, value: Any) -> None:
    with pytest.raises(DomainError, match=r"limit of EX_glc__D_e is .*; give a number from 0 up"):
        pfba(textbook, {GLUCOSE: value})


@pytest.mark.parametrize("uptake", ["EX_glc__D_e", None, 10.0, [10.0], object], ids=str)
def test_uptake_that_is_no_mapping_is_refused(textbook: Network, uptake: Any) -> None:
    with pytest.raises(DomainError, match=r"uptake is .*; give a mapping of exchange ids to limits"):
        pfba(textbook, uptake)


@pytest.mark.parametrize("network", ["textbook", None, 3.0], ids=str)
def test_network_that_is_none_is_refused(network: Any) -> None:
    with pytest.raises(NetworkError, match=r"network is .*; give a Network"):
        FluxProgram(network, [GLUCOSE])


@pytest.mark.parametrize("inputs", [GLUCOSE, None, 3.0, [None], [3.0]], ids=str)
def test_inputs_that_are_no_names_are_refused(textbook: Network, inputs: Any) -> None:
    with pytest.raises(NetworkError, match=r"inputs is .*; give a list of reaction ids"):
        FluxProgram(textbook, inputs)


@pytest.mark.parametrize("fraction", ["half", None, [0.5], True], ids=str)
def test_fraction_that_is_no_number_is_refused(textbook: Network, fraction: Any) -> None:
    with pytest.raises(DomainError, match=r"fraction_of_optimum is .* above 0 up to 1"):
        FluxProgram(textbook, [GLUCOSE], fraction_of_optimum=fraction)


@pytest.mark.parametrize("limits", ["flux", None, [3.0], 3.0], ids=str)
def test_limits_that_are_no_linear_limits_are_refused(textbook: Network, limits: Any) -> None:
    with pytest.raises(DomainError, match=r"limits is .*; give a list of LinearLimit"):
        FluxProgram(textbook, [GLUCOSE], limits=limits)


@pytest.mark.parametrize("limits", ["ten", None, 10.0, {GLUCOSE: 10.0}, object], ids=str)
def test_solve_of_no_list_is_refused(programs: Programs, limits: Any) -> None:
    with pytest.raises(DomainError, match=r"limits is .*; give 2 numbers \(EX_glc__D_e, EX_o2_e\)"):
        programs("textbook").solve(limits)


@pytest.mark.parametrize("points", [None, "ten", [["ten", 1.0]], [10.0, 15.0], [[10.0], [1.0, 2.0]], {}], ids=str)
def test_points_that_are_no_numbers_are_refused(programs: Programs, points: Any) -> None:
    with pytest.raises(DomainError, match=r"points|inputs are needed"):
        programs("textbook").batch(points)


@pytest.mark.parametrize("maintenance", ["ten", [8.39], -1.0, np.inf], ids=str)
def test_maintenance_that_is_no_number_is_refused(programs: Programs, maintenance: Any) -> None:
    with pytest.raises(DomainError, match=r"maintenance demand is .*; give a finite number, at least 0"):
        programs("textbook").solve([10.0, 15.0], maintenance)


@pytest.mark.parametrize("closed", ["PFK", None, [None], 3.0], ids=str)
def test_closed_that_are_no_names_are_refused(programs: Programs, closed: Any) -> None:
    with pytest.raises(NetworkError, match=r"closed is .*; give a list of reaction ids"):
        programs("textbook").solve([10.0, 15.0], closed=closed)


@pytest.mark.parametrize("names", ["growth", None, 3.0], ids=str)
def test_rates_that_are_no_names_are_refused(programs: Programs, names: Any) -> None:
    with pytest.raises(NetworkError, match=r"names is .*; give a list"):
        programs("textbook").rate_function(names)


# --- what is printed


def test_solution_is_printed_in_short(textbook: Network) -> None:
    fluxes = pfba(textbook, {GLUCOSE: 10.0, OXYGEN: 15.0})
    assert repr(fluxes) == "Fluxes('e_coli_core': growth 0.7178 1/h, solved to optimality)"
    assert f"uptake: {OXYGEN} 15" in str(fluxes)
    assert fluxes._repr_html_().startswith("<table><tr><th>network</th><td>e_coli_core</td></tr>")


def test_program_is_printed_in_short(textbook: Network) -> None:
    assert repr(FluxProgram(textbook, [GLUCOSE])) == "FluxProgram('e_coli_core' by EX_glc__D_e)"
    assert len(repr(FluxProgram(textbook, textbook.exchanges))) < 200

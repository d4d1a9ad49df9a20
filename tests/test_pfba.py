"""The label program gives the published numbers, keeps its strict order, and answers where the textbook program cannot."""

import dataclasses
from importlib.resources import files

import cobra
import numpy as np
import pytest
from cobra.flux_analysis import pfba as cobra_pfba
from cobra.io import read_sbml_model
from scipy.optimize import linprog

from mmopt.errors import DomainError, InfeasibleError, NetworkError
from mmopt.metabolism.network import Network, read_network
from mmopt.metabolism.pfba import Fluxes, LabelProgram, label_problem, pfba

GLUCOSE, OXYGEN = "EX_glc__D_e", "EX_o2_e"
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


@pytest.fixture(scope="module")
def programs(textbook: Network, ijo1366: Network) -> dict[str, LabelProgram]:
    return {
        "textbook": LabelProgram(textbook, [GLUCOSE, OXYGEN]),
        "ijo1366": LabelProgram(ijo1366, [GLUCOSE, OXYGEN]),
    }


@pytest.fixture(scope="module")
def sources() -> dict[str, cobra.Model]:
    """The same networks as cobra reads them."""
    folder = files("cobra.data")
    found = {name.lower(): read_sbml_model(str(folder / f"{name}.xml.gz")) for name in ("textbook", "iJO1366")}
    for source in found.values():
        source.tolerance = 1.0e-9
    return found


def limited(source: cobra.Model, glucose: float, oxygen: float) -> None:
    source.reactions.get_by_id(GLUCOSE).lower_bound = -glucose
    source.reactions.get_by_id(OXYGEN).lower_bound = -oxygen


@pytest.fixture(scope="module")
def published_cases(textbook: Network, ijo1366: Network) -> dict[tuple[str, float | None], Fluxes]:
    networks = {"textbook": textbook, "ijo1366": ijo1366}
    return {
        (name, oxygen): pfba(networks[name], {GLUCOSE: 10.0} if oxygen is None else {GLUCOSE: 10.0, OXYGEN: oxygen})
        for name, oxygen in PUBLISHED
    }


@pytest.mark.parametrize("case", PUBLISHED, ids=str)
@pytest.mark.parametrize("measure", MEASURES)
def test_answer_is_the_published_one(
    published_cases: dict[tuple[str, float | None], Fluxes], case: tuple[str, float | None], measure: str
) -> None:
    answer = published_cases[case]
    found = {"growth": answer.growth, "total": answer.total, OXYGEN: answer.uptake(OXYGEN)}
    value = found[measure] if measure in found else answer.secretion(measure)
    assert value == pytest.approx(PUBLISHED[case][MEASURES.index(measure)], abs=1.0e-6)


@pytest.mark.parametrize(("name", "oxygen"), LEAST_GLUCOSE, ids=str)
def test_maintenance_is_paid_in_full_above_the_least_glucose(
    programs: dict[str, LabelProgram], name: str, oxygen: float
) -> None:
    assert programs[name].solve([LEAST_GLUCOSE[name, oxygen] + 1.0e-6, oxygen]).shortfall == pytest.approx(
        0.0, abs=1e-9
    )


@pytest.mark.parametrize(("name", "oxygen"), LEAST_GLUCOSE, ids=str)
def test_growth_begins_above_the_least_glucose(programs: dict[str, LabelProgram], name: str, oxygen: float) -> None:
    assert programs[name].solve([LEAST_GLUCOSE[name, oxygen] + 1.0e-3, oxygen]).growth > 1.0e-6


@pytest.mark.parametrize("part", [0.0, 0.25, 0.9, 0.9999])
@pytest.mark.parametrize(("name", "oxygen"), LEAST_GLUCOSE, ids=str)
def test_shortfall_is_the_part_that_glucose_cannot_pay(
    programs: dict[str, LabelProgram], name: str, oxygen: float, part: float
) -> None:
    # every mmol of glucose pays for the same ATP below the least glucose, so the shortfall is demand (1 - g / least)
    answer = programs[name].solve([part * LEAST_GLUCOSE[name, oxygen], oxygen])
    demand = programs[name].network.maintenance_demand
    assert answer.shortfall == pytest.approx(demand * (1.0 - part), abs=demand * 1.0e-6)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
@pytest.mark.parametrize(("name", "oxygen"), LEAST_GLUCOSE, ids=str)
def test_starving_cell_does_not_grow(programs: dict[str, LabelProgram], name: str, oxygen: float, part: float) -> None:
    assert programs[name].solve([part * LEAST_GLUCOSE[name, oxygen], oxygen]).growth == pytest.approx(0.0, abs=1.0e-9)


@pytest.mark.parametrize("glucose", [0.1, 0.3, 0.45])
@pytest.mark.parametrize("oxygen", [0.0, 0.5, 1000.0])
def test_shortfall_is_what_cobra_cannot_make(
    programs: dict[str, LabelProgram], sources: dict[str, cobra.Model], glucose: float, oxygen: float
) -> None:
    with sources["textbook"] as source:
        limited(source, glucose, oxygen)
        source.reactions.ATPM.lower_bound = 0.0
        source.objective = "ATPM"
        most = source.slim_optimize()
    assert programs["textbook"].solve([glucose, oxygen]).shortfall == pytest.approx(8.39 - most, abs=1.0e-7)


@pytest.mark.parametrize("name", ["textbook", "ijo1366"])
def test_cell_without_uptake_does_nothing(programs: dict[str, LabelProgram], name: str) -> None:
    network = programs[name].network
    idle = LabelProgram(network, network.exchanges).solve(np.zeros(len(network.exchanges)))
    assert (idle.total, idle.shortfall) == pytest.approx((0.0, network.maintenance_demand), abs=1.0e-9)


@pytest.mark.parametrize(
    ("name", "points"), [("textbook", RANDOM), ("ijo1366", RANDOM[:2])], ids=["textbook", "iJO1366"]
)
def test_growth_agrees_with_cobra(
    programs: dict[str, LabelProgram], sources: dict[str, cobra.Model], name: str, points: np.ndarray
) -> None:
    growth = []
    for glucose, oxygen in points:
        with sources[name] as source:
            limited(source, glucose, oxygen)
            growth.append(source.slim_optimize())
    assert [programs[name].solve(point).growth for point in points] == pytest.approx(growth, abs=1.0e-7)


@pytest.mark.parametrize(
    ("name", "points"), [("textbook", RANDOM), ("ijo1366", RANDOM[:2])], ids=["textbook", "iJO1366"]
)
def test_total_flux_agrees_with_cobra(
    programs: dict[str, LabelProgram], sources: dict[str, cobra.Model], name: str, points: np.ndarray
) -> None:
    totals = []
    for glucose, oxygen in points:
        with sources[name] as source:
            limited(source, glucose, oxygen)
            totals.append(float(cobra_pfba(source).fluxes.abs().sum()))
    assert [programs[name].solve(point).total for point in points] == pytest.approx(totals, abs=1.0e-5)


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


@pytest.mark.parametrize("point", [[10.0, 15.0], [10.0, 0.0], [0.1, 1000.0], [5.0, 2.0]], ids=str)
@pytest.mark.parametrize("name", ["textbook", "ijo1366"])
def test_order_of_the_file_decides_nothing(
    request: pytest.FixtureRequest, programs: dict[str, LabelProgram], name: str, point: list[float]
) -> None:
    other = request.getfixturevalue(f"{name}_permuted").solve(point)
    expected = programs[name].solve(point)
    assert [other[reaction] for reaction in expected.network.reactions] == pytest.approx(expected.net, abs=1.0e-6)


@pytest.fixture(scope="module")
def textbook_permuted(textbook: Network) -> LabelProgram:
    return LabelProgram(permuted(textbook, 1), [GLUCOSE, OXYGEN])


@pytest.fixture(scope="module")
def ijo1366_permuted(ijo1366: Network) -> LabelProgram:
    return LabelProgram(permuted(ijo1366, 1), [GLUCOSE, OXYGEN])


def test_order_of_the_inputs_decides_nothing(textbook: Network) -> None:
    one, other = pfba(textbook, {GLUCOSE: 8.0, OXYGEN: 9.0}), pfba(textbook, {OXYGEN: 9.0, GLUCOSE: 8.0})
    assert one.net == pytest.approx(other.net, abs=1.0e-9)


@pytest.mark.parametrize("name", ["textbook", "ijo1366"])
def test_answer_does_not_depend_on_what_was_asked_before(programs: dict[str, LabelProgram], name: str) -> None:
    points = np.random.default_rng(3).uniform([0.0, 0.0], [12.0, 20.0], (25, 2))
    forwards = np.array([programs[name].solve(point).net for point in points])
    backwards = np.array([programs[name].solve(point).net for point in points[::-1]])[::-1]
    assert forwards == pytest.approx(backwards, abs=1.0e-6)


def test_answer_of_a_used_program_is_that_of_a_fresh_one(programs: dict[str, LabelProgram], ijo1366: Network) -> None:
    fresh = pfba(ijo1366, {GLUCOSE: 7.3, OXYGEN: 4.4})
    assert programs["ijo1366"].solve([7.3, 4.4]).net == pytest.approx(fresh.net, abs=1.0e-6)


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
def test_aims_are_met_in_strict_order(
    programs: dict[str, LabelProgram], glucose: float, oxygen: float, aim: str
) -> None:
    expected = one_aim_after_the_other(programs["textbook"].network, {GLUCOSE: glucose, OXYGEN: oxygen})
    answer = programs["textbook"].solve([glucose, oxygen])
    assert getattr(answer, aim) == pytest.approx(expected[("shortfall", "growth", "total").index(aim)], abs=2.0e-6)


@pytest.mark.parametrize("name", ["textbook", "ijo1366"])
def test_fluxes_balance(programs: dict[str, LabelProgram], name: str) -> None:
    stoichiometry = programs[name].network.stoichiometry
    worst = max(np.abs(stoichiometry @ programs[name].solve(point).net).max() for point in (*RANDOM, [0.1, 5.0]))
    assert worst < 1.0e-7


@pytest.mark.parametrize("name", ["textbook", "ijo1366"])
def test_fluxes_keep_the_bounds(programs: dict[str, LabelProgram], name: str) -> None:
    network = programs[name].network
    lower = network.lower.copy()
    lower[network.column(network.maintenance)] = 0.0
    for point in (*RANDOM, [0.1, 5.0]):
        lower[[network.column(GLUCOSE), network.column(OXYGEN)]] = -np.asarray(point)
        net = programs[name].solve(point).net
        assert np.all((net >= lower - 1.0e-8) & (net <= network.upper + 1.0e-8))


@pytest.mark.parametrize("point", [[10.0, 1000.0], [10.0, 8.0], [10.0, 0.0], [0.1, 1000.0]], ids=str)
@pytest.mark.parametrize("name", ["textbook", "ijo1366"])
def test_carbon_in_is_carbon_out(
    programs: dict[str, LabelProgram], sources: dict[str, cobra.Model], name: str, point: list[float]
) -> None:
    answer, source = programs[name].solve(point), sources[name]
    carbon_of_biomass = -source.reactions.get_by_id(answer.network.biomass).check_mass_balance()["C"]
    demands = [reaction for reaction in source.boundary if reaction.id not in answer.network.exchanges]
    out = sum(answer.network.carbon[exchange] * answer[exchange] for exchange in answer.network.exchanges)
    out += sum(next(iter(each.metabolites)).elements.get("C", 0) * answer[each.id] for each in demands)
    assert out + carbon_of_biomass * answer.growth == pytest.approx(0.0, abs=1.0e-6)


@pytest.mark.parametrize("value", [-1.0, -1.0e-9, np.nan])
def test_limit_that_is_no_uptake_is_refused(programs: dict[str, LabelProgram], value: float) -> None:
    with pytest.raises(DomainError, match=r"uptake limit of EX_o2_e is .* give a number from 0 up"):
        programs["textbook"].solve([10.0, value])


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_maintenance_that_is_no_demand_is_refused(programs: dict[str, LabelProgram], value: float) -> None:
    with pytest.raises(DomainError, match=r"maintenance demand is .* give a finite number from 0 up"):
        programs["textbook"].solve([10.0, 10.0], maintenance=value)


def test_missing_limit_is_refused(programs: dict[str, LabelProgram]) -> None:
    with pytest.raises(DomainError, match=r"2 uptake limits are needed \(EX_glc__D_e, EX_o2_e\), 1 were given"):
        programs["textbook"].solve([10.0])


def test_unknown_exchange_names_the_nearest(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="nearest known: EX_glc__D_e"):
        pfba(textbook, {"EX_glc_e": 10.0})


def test_exchange_given_twice_is_refused(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"named twice in EX_o2_e, EX_o2_e"):
        LabelProgram(textbook, [OXYGEN, OXYGEN])


@pytest.fixture
def forced(textbook: Network) -> LabelProgram:
    """The textbook network with a kinase that must run, at a cost of ATP."""
    lower = textbook.lower.copy()
    lower[textbook.column("PFK")] = 5.0
    return LabelProgram(dataclasses.replace(textbook, lower=lower), [GLUCOSE])


def test_other_forced_reaction_that_cannot_run_is_named(forced: LabelProgram) -> None:
    with pytest.raises(InfeasibleError, match=r"uptake limits EX_glc__D_e 0\.1: PFK must run"):
        forced.solve([0.1])


def test_program_answers_after_an_infeasible_question(forced: LabelProgram) -> None:
    before = forced.solve([10.0]).net
    with pytest.raises(InfeasibleError, match="PFK must run"):
        forced.solve([0.1])
    assert forced.solve([10.0]).net == pytest.approx(before, abs=1.0e-9)


def test_forced_growth_is_refused(textbook: Network) -> None:
    lower = textbook.lower.copy()
    lower[textbook.column(textbook.biomass)] = 0.1
    with pytest.raises(NetworkError, match="starving cells do not grow"):
        LabelProgram(dataclasses.replace(textbook, lower=lower), [GLUCOSE])


@pytest.mark.parametrize("blocked", ["Biomass_Ecoli_core", "ATPM"])
def test_blocked_reaction_carries_no_flux(textbook: Network, blocked: str) -> None:
    lower, upper = textbook.lower.copy(), textbook.upper.copy()
    lower[textbook.column(blocked)] = upper[textbook.column(blocked)] = 0.0
    assert pfba(dataclasses.replace(textbook, lower=lower, upper=upper), {GLUCOSE: 10.0})[blocked] == 0.0


@pytest.mark.parametrize("factor", [0.1, 2.0, 7.0])
@pytest.mark.parametrize("point", [[10.0, 15.0], [10.0, 0.0], [0.3, 1000.0]], ids=str)
def test_answer_scales_with_limits_and_maintenance(
    programs: dict[str, LabelProgram], point: list[float], factor: float
) -> None:
    scaled = programs["textbook"].solve(factor * np.array(point), maintenance=factor * 8.39)
    assert scaled.net == pytest.approx(factor * programs["textbook"].solve(point).net, abs=1.0e-7 * max(1.0, factor))


def test_maintenance_of_one_question_does_not_stay(programs: dict[str, LabelProgram]) -> None:
    before = programs["textbook"].solve([10.0, 10.0]).net
    programs["textbook"].solve([10.0, 10.0], maintenance=20.0)
    assert programs["textbook"].solve([10.0, 10.0]).net == pytest.approx(before, abs=1.0e-9)


def test_fluxes_are_continuous_where_starvation_begins(programs: dict[str, LabelProgram]) -> None:
    least = LEAST_GLUCOSE["textbook", 1000.0]
    below, above = (programs["textbook"].solve([least + step, 1000.0]).net for step in (-1.0e-5, 1.0e-5))
    assert below == pytest.approx(above, abs=1.0e-2)


@pytest.mark.parametrize("name", ["textbook", "ijo1366"])
def test_cell_of_a_program_reads_what_it_solves(programs: dict[str, LabelProgram], name: str) -> None:
    names = ["EX_co2_e", "shortfall", "growth", "PFK"]
    answer = programs[name].solve([9.0, 11.0])
    rates = programs[name].answers(names)({OXYGEN: 11.0, GLUCOSE: 9.0})
    expected = {
        "shortfall": answer.shortfall,
        "growth": answer.growth,
        "EX_co2_e": answer["EX_co2_e"],
        "PFK": answer["PFK"],
    }
    assert rates == pytest.approx(expected, abs=1.0e-9)


def test_cell_of_a_program_keeps_the_asked_order(programs: dict[str, LabelProgram]) -> None:
    names = ["EX_co2_e", "shortfall", "growth"]
    assert list(programs["textbook"].answers(names)({GLUCOSE: 1.0, OXYGEN: 1.0})) == names


def test_cell_of_a_program_takes_a_limit_below_zero_as_none(programs: dict[str, LabelProgram]) -> None:
    cell = programs["textbook"].answers(["growth", "shortfall"])
    assert cell({GLUCOSE: -1.0e-9, OXYGEN: 10.0}) == pytest.approx({"growth": 0.0, "shortfall": 8.39})


def test_cell_of_a_program_refuses_an_unknown_reading(programs: dict[str, LabelProgram]) -> None:
    with pytest.raises(NetworkError, match="no reaction 'EX_co_e'; nearest known: EX_co2_e"):
        programs["textbook"].answers(["EX_co_e"])


def test_split_fluxes_give_the_net_flux_back(programs: dict[str, LabelProgram]) -> None:
    answer = programs["textbook"].solve([10.0, 10.0])
    forward, reverse = answer.split
    assert np.array_equal(forward - reverse, answer.net)


def test_split_fluxes_are_not_negative(programs: dict[str, LabelProgram]) -> None:
    assert min(part.min() for part in programs["textbook"].solve([10.0, 10.0]).split) >= 0.0


def test_network_without_maintenance_has_no_shortfall(textbook: Network) -> None:
    lower = textbook.lower.copy()
    lower[textbook.column("ATPM")] = 0.0
    free = dataclasses.replace(textbook, lower=lower, maintenance=None)
    assert pfba(free, {GLUCOSE: 0.0}).shortfall == pytest.approx(0.0, abs=1.0e-12)


def test_problem_can_be_written_without_inputs(textbook: Network) -> None:
    assert label_problem(textbook).reverse[textbook.column(GLUCOSE)].ub == 10.0


def test_packaged_limits_hold_where_none_is_given() -> None:
    assert pfba(read_network("textbook"), {}).uptake(GLUCOSE) == pytest.approx(10.0)

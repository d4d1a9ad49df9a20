"""Components of a vessel add up to its balances, in every mode and in every back end."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import casadi
import numpy as np
import pint
import pyomo.environ as pyo
import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from mmopt import (
    Bioreactor,
    ConstantFeed,
    Control,
    Controller,
    Horizon,
    Problem,
    StudyError,
    Surrogate,
    ecoli_fed_batch,
    load_surrogate,
    optimise,
    simulate,
)
from mmopt.optimisation import scaled
from mmopt.reactor import (
    Acidity,
    Aeration,
    Base,
    Clock,
    Component,
    Evaporation,
    ExponentialFeed,
    Feed,
    Harvest,
    Induction,
    Lag,
    LuedekingPiret,
    Overflow,
    Parameter,
    Quantity,
    Samples,
    ShareOfGrowth,
    Species,
    StirredTank,
    Stripping,
    Temperature,
    Uptake,
    batch,
    chemostat,
    fed_batch,
    perfusion,
    saturation,
)
from mmopt.reactor.known import SystemField
from mmopt.results import times_at
from mmopt.simulation import simulate_cycles, steady_state

GLUCOSE = "EX_glc__D_e"
YIELD, SUGAR = 0.09, 180.156
START = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}


class Linear:
    """A cell that grows in proportion to the sugar that it takes up."""

    inputs = (GLUCOSE,)

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Nothing is too much."""

    def rate_function(self, names: Sequence[str]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        known = {"growth": YIELD, GLUCOSE: -1.0, "EX_nh4_e": -0.8}
        return lambda limits: {name: known.get(name, 0.0) * limits[GLUCOSE] for name in names}


def simple(**fields: Any) -> Bioreactor:
    """Glucose alone, 10 mmol/gDW/h at most, half of it at 0.1 g/L, fed with 20 g/L."""
    uptake = fields.pop("uptake", Uptake(10.0, 0.1))
    fed = 0.0 if "feeds" in fields else 20.0
    return Bioreactor((Species("glucose", GLUCOSE, molar_mass=SUGAR, uptake=uptake, fed=fed),), **fields)


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return load_surrogate("ecoli_textbook")


@pytest.mark.parametrize("dilution", [0.1, 0.4, 0.8])
def test_chemostat_ends_where_growth_equals_dilution(dilution: float) -> None:
    steady = steady_state(
        chemostat(simple()), {"volume": 2.0, "biomass": 1.0, "glucose": 1.0}, {"feed": 2.0 * dilution}, Linear()
    )
    glucose = 0.1 * dilution / (10.0 * YIELD - dilution)
    assert steady.final("glucose") == pytest.approx(glucose, rel=1.0e-4)
    assert steady.final("biomass") == pytest.approx(YIELD * (20.0 - glucose) / (SUGAR / 1000.0), rel=1.0e-4)
    assert steady.final("volume") == 2.0


def test_washed_out_culture_is_no_steady_state() -> None:
    with pytest.raises(StudyError, match="washed out: biomass falls to"):
        steady_state(chemostat(simple()), {"volume": 1.0, "biomass": 1.0, "glucose": 1.0}, {"feed": 0.95}, Linear())


def test_fed_batch_has_no_steady_state() -> None:
    with pytest.raises(StudyError, match="no steady state: 'volume' still goes"):
        steady_state(simple(), {"volume": 1.0, "biomass": 1.0, "glucose": 1.0}, {"feed": 0.1}, Linear())


def test_cells_behind_a_filter_leave_with_the_bleed_alone() -> None:
    reactor = perfusion(simple(), retention=0.9)
    steady = steady_state(
        reactor, {"volume": 1.0, "biomass": 1.0, "glucose": 1.0}, {"feed": 1.0, "bleed": 0.2}, Linear()
    )
    leaving = 0.2 + 0.1 * 0.8
    assert steady.final("growth") == pytest.approx(leaving, rel=1.0e-4)
    biomass = YIELD * 1.0 * (20.0 - steady.final("glucose")) / (SUGAR / 1000.0) / leaving
    assert steady.final("biomass") == pytest.approx(biomass, rel=1.0e-4)


@pytest.mark.parametrize("growth", [0.2, 0.6])
def test_exponential_feed_holds_growth_and_glucose(growth: float) -> None:
    glucose = 0.1 * growth / (10.0 * YIELD - growth)
    first = growth * 0.5 * 1.0 * (SUGAR / 1000.0) / YIELD / (20.0 - glucose)
    start = {"volume": 1.0, "biomass": 0.5, "glucose": glucose}
    run = simulate(simple(), start, {"feed": ExponentialFeed(first, growth)}, 4.0, Linear(), tolerance=1.0e-9)
    assert run["glucose"] == pytest.approx(np.full(len(run.time), glucose), rel=1.0e-4)
    assert run.final("biomass_amount") == pytest.approx(0.5 * math.exp(growth * 4.0), rel=1.0e-4)


def test_repeated_fed_batch_begins_each_cycle_with_what_was_kept() -> None:
    start = {"volume": 1.0, "biomass": 0.5, "glucose": 1.0}
    first, second = simulate_cycles(simple(), start, {"feed": ConstantFeed(0.25)}, 4.0, Linear(), cycles=2, kept=0.25)
    assert first.final("volume") == pytest.approx(2.0)
    assert second.final("volume") == pytest.approx(1.5)
    assert second["biomass"][0] == pytest.approx(first.final("biomass"))


EVERYTHING = (
    Harvest("bleed"),
    Harvest("filtrate", retention=0.9),
    Evaporation(0.01),
    Samples(0.02),
    Base(2000.0),
    LuedekingPiret("acid", 2.0, 0.1),
    ShareOfGrowth("protein", 0.2, Induction("biomass", above=2.0, width=0.5)),
    Clock(),
    Lag(2.0),
    Temperature(5.0, 40.0, 46.0, value=33.0),
    Acidity(4.0, 7.0, 9.5, value=6.5),
)


def test_amounts_change_by_what_flows_and_reacts() -> None:
    feeds = (Feed("sugar", {"glucose": 400.0}), Feed("water"))
    reactor = simple(feeds=feeds, components=EVERYTHING, death=0.1)
    random = np.random.default_rng(3)
    states = {state.name: float(random.uniform(0.5, 3.0)) for state in reactor.states}
    controls = {control.name: float(random.uniform(0.01, 0.1)) for control in reactor.controls}
    cell = Linear().rate_function(reactor.readings)
    change = reactor.derivative(states, controls, reactor.defaults, cell)
    rates = cell(reactor.limits(states, reactor.defaults))
    biomass, volume = states["biomass"], states["volume"]
    base = 0.8 * rates["growth"] / YIELD * biomass * volume / 2000.0
    out = controls["bleed"] + 0.02
    flows = controls["sugar"] + controls["water"] + base - out - controls["filtrate"] - 0.01
    assert change["volume"] == pytest.approx(flows)

    def amount(name: str) -> float:
        return volume * change[name] + states[name] * change["volume"]

    level = reactor.components[6].induction.level(states)  # type: ignore[attr-defined]
    formed = 0.2 * rates["growth"] * biomass * level * volume
    eaten = rates["growth"] / YIELD * biomass * volume * SUGAR / 1000.0
    leaves = out + controls["filtrate"]
    assert amount("glucose") == pytest.approx(400.0 * controls["sugar"] - eaten - leaves * states["glucose"])
    assert amount("protein") == pytest.approx(formed - leaves * states["protein"])
    assert amount("acid") == pytest.approx((2.0 * rates["growth"] + 0.1) * biomass * volume - leaves * states["acid"])
    washed = (out + 0.1 * controls["filtrate"]) * biomass
    assert amount("biomass") == pytest.approx(rates["growth"] * biomass * volume - formed - washed)
    assert (change["age"], change["adaptation"]) == (1.0, (1.0 - states["adaptation"]) / 2.0)


LAWS: dict[str, dict[str, Any]] = {
    "monod": {},
    "haldane": {"law": "haldane", "inhibition": 20.0},
    "contois": {"law": "contois"},
    "moser": {"law": "moser", "exponent": 1.5},
    "tessier": {"law": "tessier"},
    "own": {"law": lambda now: now["glucose_vmax"] * now["glucose"] / (1.0 + abs(now["glucose"]))},
    "others": {"competitors": {"acetate": 1.0}, "needs": {"oxygen": 0.01}, "inhibitors": {"acetate": 9.0}},
}


def vessel(law: str, stirred: bool) -> Bioreactor:
    """Every component with an uptake law, on the exchanges of *E. coli*."""
    glucose, acetate, oxygen = (replace(one, fed=0.0) for one in ecoli_fed_batch().species)
    tank = (StirredTank(0.07, 0.16),) if stirred else ()
    return Bioreactor(
        (replace(glucose, uptake=Uptake(10.0, 0.1, **LAWS[law])), acetate, oxygen),
        Aeration(None if stirred else 300.0, saturation("oxygen")),
        feeds=(Feed("sugar", {"glucose": 400.0}), Feed("water")),
        components=(*EVERYTHING, Stripping("acetate", 0.1), Overflow(0.5), *tank),
    )


def numbers(reactor: Bioreactor, seed: int) -> list[dict[str, float]]:
    random = np.random.default_rng(seed)
    kinds = (reactor.states, reactor.controls)
    return [
        *({one.name: float(one.scale * random.uniform(0.1, 1.5)) for one in kind} for kind in kinds),
        reactor.defaults,
    ]


def proportional(limits: Mapping[str, Any]) -> dict[str, Any]:
    sugar, acetate, oxygen = limits[GLUCOSE], limits["EX_ac_e"], limits["EX_o2_e"]
    rates = {"growth": 0.05 * sugar + 0.01 * acetate, "EX_nh4_e": -0.4 * sugar, "shortfall": 0.01 * oxygen}
    return {**rates, GLUCOSE: -sugar, "EX_ac_e": 0.1 * sugar - acetate, "EX_o2_e": -oxygen}


@pytest.mark.parametrize("stirred", [False, True])
@pytest.mark.parametrize("law", LAWS)
def test_every_back_end_has_the_same_derivative(law: str, stirred: bool) -> None:
    reactor = vessel(law, stirred)
    states, controls, parameters = numbers(reactor, 5)
    plain = reactor.derivative(states, controls, parameters, proportional)
    derived = reactor.observe(states, controls, parameters, proportional(reactor.limits(states, parameters)))
    symbols = [{name: casadi.MX.sym(name) for name in kind} for kind in (states, controls)]
    traced = reactor.derivative(*symbols, parameters, proportional)
    function = casadi.Function(
        "change", [*symbols[0].values(), *symbols[1].values()], [casadi.MX(traced[name]) for name in plain]
    )
    compiled = function(*states.values(), *controls.values())
    problem = pyo.ConcreteModel()
    problem.now = pyo.Var([*states, *controls], initialize={**states, **controls})
    variables = [{name: problem.now[name] for name in kind} for kind in (states, controls)]
    written = reactor.derivative(*variables, parameters, proportional)
    for value, (name, number) in zip(compiled, plain.items(), strict=True):
        assert float(value) == pytest.approx(number, rel=1.0e-9, abs=1.0e-12), name
        assert pyo.value(written[name]) == pytest.approx(number, rel=1.0e-9, abs=1.0e-12), name
    assert set(derived) == {known.name for known in reactor.derived}
    assert np.isfinite(list(derived.values())).all()


@pytest.mark.parametrize("law", LAWS)
def test_limits_are_odd_or_small_below_zero_and_never_above_the_largest(law: str) -> None:
    reactor = vessel(law, stirred=False)
    states, _, parameters = numbers(reactor, 7)
    largest = reactor.largest_limits(parameters)
    for glucose in (-1.0e3, -0.1, -1.0e-9, 0.0, 1.0e-9, 0.1, 1.0, 1.0e3):
        limit = reactor.limits({**states, "glucose": glucose}, parameters)[GLUCOSE]
        assert np.isfinite(limit)
        assert limit <= largest[GLUCOSE] * (1.0 + 1.0e-9)
        assert limit * glucose >= 0.0


def test_inhibitor_below_zero_meets_no_pole() -> None:
    uptake = Uptake(10.0, 0.1, {"acetate": 9.0})
    values = [
        uptake.limit(
            "glucose",
            {"glucose": 1.0, "acetate": acetate},
            {"glucose_vmax": 10.0, "glucose_half": 0.1, "glucose_inhibition_by_acetate": 9.0},
        )
        for acetate in np.linspace(-30.0, 30.0, 121)
    ]
    assert np.all(np.diff(values) < 0.0)
    assert max(values) < 20.0


def test_units_of_the_balances_are_those_of_the_states() -> None:
    units = pint.UnitRegistry()
    units.define("gDW = gram")

    def measured(one: Quantity | Parameter, value: float) -> Any:
        return value * units(one.unit)

    glucose = Species("glucose", GLUCOSE, "mmol/L", uptake=Uptake(10.0, 0.1))
    components = tuple(
        component
        for component in EVERYTHING
        if not isinstance(component, ShareOfGrowth | LuedekingPiret | Clock | Temperature)
    )
    reactor = Bioreactor(
        (glucose,), feeds=(Feed("sugar", {"glucose": 400.0}),), components=(*components, Stripping("glucose", 0.1))
    )
    kinds = (reactor.states, reactor.controls, reactor.parameters)
    given = [{one.name: measured(one, getattr(one, "value", 0.5)) for one in kind} for kind in kinds]
    per_hour = units("1/hour")
    given[2]["glucose_equilibrium"] = 0.0 * units("mmol/L")

    def cell(limits: Mapping[str, Any]) -> dict[str, Any]:
        sugar = limits[GLUCOSE]
        assert sugar.check("[substance]/[mass]/[time]")
        return {"growth": 0.1 * per_hour, GLUCOSE: -sugar, "EX_nh4_e": -0.8 * sugar, "shortfall": 0.1 * sugar}

    change = reactor.derivative(given[0], given[1], given[2], cell)
    for state in reactor.states:
        assert change[state.name].is_compatible_with(given[0][state.name] * per_hour), state.name


@pytest.mark.parametrize("mode", [fed_batch, chemostat, perfusion])
def test_every_mode_is_optimised_and_controlled(mode: Callable[[Bioreactor], Bioreactor], surrogate: Surrogate) -> None:
    reactor = mode(ecoli_fed_batch())
    controls = {control.name: (0.0, 0.2) for control in reactor.controls}
    problem = Problem(reactor, START, Horizon(2.0, 4), controls, {"oxygen_saturation": (20.0, None)})
    plan = optimise(problem, surrogate)
    assert plan.status.solved
    assert plan.integration is not None
    assert plan.integration.gap < 0.01
    move = Controller(problem, surrogate, interval=0.5).step(0.0, START)
    assert move.status.solved
    assert set(move.controls) == set(controls)


def test_water_is_fed_where_the_product_of_overflow_has_to_be_thinned(surrogate: Surrogate) -> None:
    lean = tuple(replace(one, fed=0.0) for one in ecoli_fed_batch().species)
    two = replace(ecoli_fed_batch(), species=lean, feeds=(Feed("sugar", {"glucose": 500.0}), Feed("water")))
    start = {**START, "acetate": 3.0, "glucose": 0.1}
    limits = {"oxygen_saturation": (20.0, None), "volume": (None, 4.0)}
    problem = Problem(
        two, start, Horizon(2.0, 4), {"sugar": (0.0, 0.1), "water": (0.0, 1.0)}, limits, final={"acetate": (None, 2.0)}
    )
    plan = optimise(problem, surrogate)
    assert plan.keeps_limits
    assert plan.trajectory["water"].max() > 0.1
    assert plan.trajectory.final("acetate") <= 2.0 * 1.001


def test_study_file_builds_the_same_reactor() -> None:
    text = """
species:
  - {name: glucose, exchange: EX_glc__D_e, molar_mass: 180.156, uptake: {vmax: 10.0, half: 0.1, law: moser, exponent: 2.0}}
  - {name: oxygen, exchange: EX_o2_e, unit: mmol/L, uptake: {vmax: 15.0, half: 0.001}}
aeration: {kla: null, saturation: 0.21}
feeds: [{name: sugar, content: {glucose: 500.0}}]
components:
  - {kind: stirred_tank, stirrer_diameter: 0.07, vessel_diameter: 0.16}
  - {kind: harvest, name: bleed}
  - {kind: evaporation, rate: 0.002}
  - {kind: overflow, retention: 0.9}
"""
    built = TypeAdapter(SystemField).validate_python(YAML(typ="safe").load(text))
    glucose = Species("glucose", GLUCOSE, molar_mass=SUGAR, uptake=Uptake(10.0, 0.1, law="moser", exponent=2.0))
    oxygen = Species("oxygen", "EX_o2_e", "mmol/L", uptake=Uptake(15.0, 0.001))
    assert built == Bioreactor(
        (glucose, oxygen),
        Aeration(None, 0.21),
        feeds=(Feed("sugar", {"glucose": 500.0}),),
        components=(StirredTank(0.07, 0.16), Harvest("bleed"), Evaporation(0.002), Overflow(0.9)),
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: replace(ecoli_fed_batch(), aeration=Aeration(None, 0.21)),
            "kla is None, and no component computes it",
        ),
        (lambda: replace(ecoli_fed_batch(), components=(StirredTank(0.1, 0.2),)), "kla is given, and a component"),
        (lambda: Evaporation(-0.1), "rate is -0.1"),
        (lambda: Harvest(retention=1.5), "retention is 1.5"),
        (lambda: simple(components=(Harvest("feed"),)), "more than one 'feed'"),
        (lambda: simple(components=(Overflow(), Overflow())), "more than one Overflow"),
        (lambda: simple(components=(Feed("second"),)), "'second' is among components; give it in feeds"),
        (lambda: simple(components=("harvest",)), "a component is 'harvest'; give a Component"),
        (lambda: simple(components=({"kind": "harvset"},)), "kind of a component is 'harvset'; nearest known: harvest"),
        (lambda: simple(components=(Stripping("oxygen", 1.0),)), "has 'oxygen', which is no species"),
        (lambda: simple(feeds=(Feed("a", {"xylose": 1.0}),)), "has 'xylose', which is no species"),
        (lambda: simple(feeds=(Feed("a"), Feed("a"))), "two feeds 'a'"),
        (lambda: replace(simple(), feeds=(Feed("a"),)), "'glucose' has fed, and there are feeds"),
        (lambda: Uptake(1.0, 1.0, law="hill"), "there is no law 'hill'"),
        (lambda: Uptake(1.0, 1.0, law="haldane"), "haldane needs inhibition"),
        (lambda: Uptake(1.0, 1.0, exponent=2.0), "exponent belongs to the law moser"),
        (lambda: Uptake(1.0, 1.0, law="moser", exponent=0.5), "exponent is 0.5"),
        (lambda: Uptake(1.0, 1.0, law=3.0), "law is 3.0"),
        (lambda: simple(uptake=Uptake(1.0, 1.0, needs={"oxygen": 1.0})), "'oxygen' is no species"),
        (lambda: StirredTank(0.2, 0.1), "stirrer_diameter is 0.2 m in a vessel of 0.1 m"),
        (lambda: saturation("helium"), "gas is 'helium'"),
        (lambda: saturation("oxygen", fraction=1.2), "fraction is 1.2"),
        (lambda: Temperature(5.0, 40.0, 46.0, value=50.0), "temperature is 50"),
        (lambda: Temperature(5.0, 20.0, 46.0, value=30.0), "nearer to the lowest"),
        (lambda: Acidity(7.0, 4.0, 9.0, value=6.0), "give three that ascend"),
        (lambda: batch("reactor"), "reactor is 'reactor'; give a Bioreactor"),
        (lambda: chemostat(batch(simple())), "the reactor has no feed"),
    ],
)
def test_bad_components_are_refused_in_one_line(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(StudyError, match=message) as refused:
        build()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_law_without_a_number_is_named(value: float) -> None:
    reactor = simple(uptake=Uptake(10.0, 0.1, law=lambda now: value * now["glucose"]))
    with pytest.raises(StudyError, match=f"uptake limit of {GLUCOSE} is (nan|inf)"):
        simulate(reactor, {"volume": 1.0, "biomass": 1.0, "glucose": 1.0}, {"feed": ConstantFeed(0.1)}, 1.0, Linear())


def test_component_of_ones_own_takes_ten_lines() -> None:
    class Decay(Component):
        parameters = (Parameter("decay", 0.5, "1/h", lower=0.0),)

        def rates(self, now: Mapping[str, Any]) -> dict[str, Any]:
            return {"glucose": -now["decay"] * now["glucose"]}

    reactor = batch(simple(components=(Decay(),)))
    run = simulate(reactor, {"volume": 1.0, "biomass": 0.0, "glucose": 1.0}, {}, 2.0, Linear(), tolerance=1.0e-9)
    assert run.final("glucose") == pytest.approx(math.exp(-1.0), rel=1.0e-6)


def test_gas_in_equilibrium_is_that_of_handbooks() -> None:
    """Oxygen in fresh water under humid air at 1 atm: 8.26 mg/L at 25 degrees, 6.7 mg/L at 37."""
    assert saturation("oxygen", 25.0) == pytest.approx(8.26 / 32.0, rel=0.05)
    assert saturation("oxygen", 37.0) == pytest.approx(6.7 / 32.0, rel=0.05)


@pytest.mark.parametrize(
    ("coalescing", "expected"),
    [(True, 3600.0 * 0.026 * 1000.0**0.4 * 0.01**0.5), (False, 3600.0 * 0.002 * 1000.0**0.7 * 0.01**0.2)],
)
def test_transfer_follows_the_published_correlation(coalescing: bool, expected: float) -> None:
    tank = StirredTank(0.1, 0.3, power_number=5.0, coalescing=coalescing)
    speed = (1000.0 * 0.01 / (5.0 * 1000.0 * 0.1**5)) ** (1.0 / 3.0)
    gas = 0.01 * math.pi * 0.15**2 * 60.0 * 1000.0
    now = {"stirrer_speed": 60.0 * speed, "gas_flow": gas, "volume": 10.0, "power_number": 5.0}
    observed = tank.observe(now)
    assert observed["power_by_volume"] == pytest.approx(1000.0)
    assert observed["kla"] == pytest.approx(expected)


def test_scale_up_says_which_limit_is_met_first(surrogate: Surrogate) -> None:
    limits = {"oxygen_saturation": (20.0, None), "volume": (None, 2.5), "acetate": (None, 3.0)}
    problem = Problem(ecoli_fed_batch(), START, Horizon(4.0, 8), {"feed": Control(0.0, 0.1)}, limits)
    plan = optimise(problem, surrogate)
    same = scaled(plan, surrogate, volume=20.0)
    assert same.problem.controls["feed"].high == pytest.approx(1.0)
    assert same.problem.limits["volume"] == (None, pytest.approx(25.0))
    assert same.trajectory.final("biomass") == pytest.approx(plan.trajectory.final("biomass"), rel=5.0e-3)
    assert all(row.violated_from is None for row in same.limits)
    worse = scaled(plan, surrogate, volume=20.0, parameters={"kla": 270.0})
    violated = {row.name for row in worse.limits if row.violated_from is not None}
    assert "oxygen_saturation" in violated
    assert "volume" not in violated
    assert "oxygen_saturation, lowest" in str(worse)
    assert optimise(worse.problem, surrogate).keeps_limits


@pytest.mark.parametrize("volume", [0.0, -1.0, float("nan"), "20"])
def test_scale_up_to_no_volume_is_refused(volume: Any, surrogate: Surrogate) -> None:
    plan = optimise(Problem(ecoli_fed_batch(), START, Horizon(1.0, 1), {"feed": (0.0, 0.1)}), surrogate)
    with pytest.raises(StudyError, match="volume is"):
        scaled(plan, surrogate, volume=volume)


@pytest.mark.parametrize(
    ("value", "factor"), [(22.0, 0.9633333), (10.0, 0.3333333), (5.0, 0.0), (30.0, 0.0), (20.0, 1.0)]
)
def test_temperature_acts_as_the_cardinal_law_elsewhere(value: float, factor: float) -> None:
    """Values of the function T_lim of the R package macrogrow for 5, 20 and 30 degrees."""
    component = Temperature(5.0, 20.0, 30.0, value=value)
    assert component.factors({}, component_values(component))["*"] == pytest.approx(factor, abs=1.0e-6)


def component_values(component: Component) -> dict[str, float]:
    return {one.name: one.value for one in component.parameters}


class Wrong(Component):
    """A component with a mistake."""

    def __init__(self, **methods: Callable[[Mapping[str, Any]], Any]) -> None:
        self.__dict__.update(methods)


class Unseen(Component):
    """A component that does not compute what it declares."""

    derived = (Quantity("odour", "1"),)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Wrong(rates=lambda now: {"glucose": now["glucos"]}), "Wrong reads 'glucos'.*nearest known: glucose"),
        (lambda: Wrong(rates=lambda now: {"glucos": 1.0}), "Wrong returns a rate of 'glucos', which is no state"),
        (lambda: Wrong(streams=lambda now: [now["pump"]]), "Wrong reads 'pump', which the reactor does not have"),
        (Unseen, "Unseen observes no 'odour'"),
        (lambda: LuedekingPiret("acid", 1.0, 0.0, Induction("inducer", 0.5, 0.1)), "reads 'inducer'"),
    ],
)
def test_mistake_in_a_component_is_named_when_the_reactor_is_made(build: Callable[[], Component], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        simple(components=(build(),))


def test_feed_law_that_reads_what_is_not_there_is_named() -> None:
    with pytest.raises(StudyError, match="Feed reads 'oxygen', which the reactor does not have"):
        simple(feeds=(Feed("sugar", law=lambda now: now["oxygen"]),))


NONSENSE = [None, 3.0, "x", [], {}, float("nan")]


@pytest.mark.parametrize("bad", NONSENSE, ids=str)
@pytest.mark.parametrize(
    "call",
    [
        lambda bad: steady_state(chemostat(simple()), {"volume": 1.0, "biomass": 1.0, "glucose": 1.0}, bad, Linear()),
        lambda bad: steady_state(chemostat(simple()), bad, {"feed": 0.1}, Linear()),
        lambda bad: simulate_cycles(simple(), bad, {"feed": ConstantFeed(0.1)}, 1.0, Linear(), cycles=2, kept=0.5),
        lambda bad: simulate_cycles(simple(), START, {"feed": ConstantFeed(0.1)}, 1.0, Linear(), cycles=2, kept=bad),
        lambda bad: times_at(bad, "glucose", 0.1),
        lambda bad: scaled(bad, None, volume=20.0),
        saturation,
        batch,
    ],
)
def test_nonsense_is_an_error_of_mmopt(call: Callable[[Any], Any], bad: Any) -> None:
    with pytest.raises(StudyError):
        call(bad)


def test_rates_of_components_grow_with_the_vessel(surrogate: Surrogate) -> None:
    reactor = replace(ecoli_fed_batch(), components=(Evaporation(0.01), Harvest("draw", scale=0.2)))
    problem = Problem(reactor, START, Horizon(1.0, 2), {"feed": (0.0, 0.1), "draw": (0.0, 0.05)})
    larger = scaled(optimise(problem, surrogate), surrogate, volume=20.0).problem
    assert larger.parameters["evaporation"] == pytest.approx(0.1)
    assert larger.controls["draw"].high == pytest.approx(0.5)
    assert larger.system.controls[1].scale == pytest.approx(2.0)  # that of the pump
    assert larger.system.states[0].scale == pytest.approx(10.0)


def test_control_that_has_to_stay_above_zero_says_so() -> None:
    reactor = replace(ecoli_fed_batch(), aeration=Aeration(None, 0.21), components=(StirredTank(0.08, 0.18),))
    controls = {"feed": (0.0, 0.1), "stirrer_speed": (0.0, 900.0), "gas_flow": (3.0, 3.0)}
    with pytest.raises(StudyError, match="'stirrer_speed' has to stay above 0; raise its lowest value"):
        Problem(reactor, START, Horizon(1.0), controls)

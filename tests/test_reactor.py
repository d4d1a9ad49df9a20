"""The reactor keeps its balances, simulations meet their closed forms, and cells starve and overflow by themselves."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cobra.data
import numpy as np
import pytest
from cobra.io import read_sbml_model

from mmopt.errors import DomainError, SolverError, StudyError
from mmopt.fba.flux_program import FluxProgram
from mmopt.network.network import Network
from mmopt.reactor import (
    Aeration,
    Bioreactor,
    ConstantFeed,
    ExponentialFeed,
    Inflow,
    LinearFeed,
    Parameter,
    Profile,
    Quantity,
    Species,
    StepFeed,
    System,
    Uptake,
    ecoli_fed_batch,
)
from mmopt.reactor.components.gas import oxygen_transfer
from mmopt.reactor.kinetics import inhibited, monod
from mmopt.reactor.system import Cell, Values
from mmopt.reactor.vessels.ecoli import SOURCES
from mmopt.results import Trajectory
from mmopt.simulation import simulate, simulate_many
from mmopt.status import Status
from mmopt.surrogate import load_surrogate
from mmopt.surrogate.surrogate import Surrogate

GLUCOSE_MASS, ACETATE_MASS = 180.156, 59.044
START = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
FEED = {"feed": ConstantFeed(0.02)}


class Dead:
    """A metabolism that does nothing."""

    inputs = ("EX_glc__D_e", "EX_ac_e", "EX_o2_e")

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Accept everything."""

    def rate_function(self, names: Sequence[str]) -> Cell:
        return lambda limits: dict.fromkeys(names, 0.0)


@dataclass(frozen=True)
class Given(System):
    """A system made of one function of (states, controls)."""

    names: tuple[str, ...]
    change: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    controlled: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    derived: tuple[Quantity, ...] = ()
    readings: tuple[str, ...] = ()

    @property
    def states(self) -> tuple[Quantity, ...]:
        return tuple(Quantity(name, "g/L") for name in self.names)

    @property
    def controls(self) -> tuple[Quantity, ...]:
        return tuple(Quantity(name, "L/h") for name in self.controlled)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return self.change(states, controls)


# --- balances and kinetics


@pytest.mark.parametrize(("volume", "feed"), [(1.0, 0.1), (3.5, 0.0), (0.2, 2.0)])
def test_balances_conserve_what_no_cell_touches(volume: float, feed: float) -> None:
    concentration, fed = 7.0, 500.0
    inflow = Inflow(feed, {"glucose": fed})
    change = inflow.by(volume).change("glucose", concentration)
    # d(C V)/dt = C' V + C V' is what the feed brings
    assert change * volume + concentration * inflow.volume == pytest.approx(fed * feed)


def test_balance_of_biomass_adds_growth_decay_and_dilution() -> None:
    reactor = replace(ecoli_fed_batch(), death=0.1)
    rates = {**dict.fromkeys(reactor.readings, 0.0), "growth": 0.5, "shortfall": 1.0}
    states = {**START, "volume": 2.0, "biomass": 10.0}
    change = reactor.derivative(states, {"feed": 0.1}, reactor.defaults, lambda limits: rates)
    assert change["biomass"] == pytest.approx(3.5)


def test_oxygen_is_transferred_out_above_saturation() -> None:
    assert oxygen_transfer(kla=300.0, saturation=0.21, concentration=0.31) == pytest.approx(-30.0)


@pytest.mark.parametrize("constant", [0.05, 5.0])
def test_monod_never_falls_even_below_zero(constant: float) -> None:
    rates = monod(np.linspace(-20.0, 20.0, 2001), 10.0, constant)
    assert np.all(np.diff(rates) > 0.0)


def test_monod_is_smooth_at_zero() -> None:
    step = 1.0e-6
    below, above = (monod(0.0, 10.0, 0.05) - monod(-step, 10.0, 0.05)) / step, monod(step, 10.0, 0.05) / step
    assert below == pytest.approx(above, rel=1.0e-3)


def test_monod_of_nothing_is_nothing() -> None:
    assert monod(0.0, 10.0, 0.05) == 0.0


def test_inhibition_without_inhibitor_changes_nothing() -> None:
    assert inhibited(10.0, 0.0, 9.0) == 10.0


def test_derivative_passes_arrays_through() -> None:
    reactor = ecoli_fed_batch()
    rows = {name: np.array([value, value]) for name, value in START.items()}
    cell = Dead().rate_function(reactor.readings)
    many = reactor.derivative(rows, {"feed": 0.02}, reactor.defaults, cell)
    one = reactor.derivative(START, {"feed": 0.02}, reactor.defaults, cell)
    assert {name: value[1] if np.ndim(value) else value for name, value in many.items()} == pytest.approx(one)


# --- feeds


@pytest.mark.parametrize(("time", "rate"), [(-1.0, 0.0), (1.999, 0.0), (2.0, 0.05), (9.0, 0.05)])
def test_constant_feed_begins_at_its_start(time: float, rate: float) -> None:
    assert ConstantFeed(0.05, start=2.0)(time) == rate


@pytest.mark.parametrize(("time", "rate"), [(0.5, 0.0), (1.0, 0.01), (3.0, 0.01 * np.exp(0.4)), (50.0, 0.1)])
def test_exponential_feed_rises_to_its_highest(time: float, rate: float) -> None:
    assert ExponentialFeed(0.01, 0.2, start=1.0, highest=0.1)(time) == pytest.approx(rate)


def test_exponential_feed_bends_where_it_meets_its_highest() -> None:
    feed = ExponentialFeed(0.01, 0.2, start=1.0, highest=0.1)
    assert feed.breakpoints == pytest.approx((1.0, 1.0 + np.log(10.0) / 0.2))


@pytest.mark.parametrize(("time", "rate"), [(-1.0, 0.1), (0.0, 0.1), (0.999, 0.1), (1.0, 0.3), (2.0, 0.3), (9.0, 0.3)])
def test_step_feed_holds_its_rates(time: float, rate: float) -> None:
    assert StepFeed((0.0, 1.0, 2.0), (0.1, 0.3))(time) == rate


@pytest.mark.parametrize(
    ("edges", "rates", "said"),
    [
        ((0.0, 1.0), (0.1, 0.2), "2 rates need 3 edges, 2 were given"),
        ((0.0,), (), "0 rates need 1 edges"),
        ((0.0, 2.0, 1.0), (0.1, 0.2), "must ascend"),
        ((0.0, 1.0, 1.0), (0.1, 0.2), "must ascend"),
        ((0.0, 1.0), (np.nan,), "all its numbers be finite"),
    ],
)
def test_step_feed_that_makes_no_sense_is_refused(
    edges: tuple[float, ...], rates: tuple[float, ...], said: str
) -> None:
    with pytest.raises(StudyError, match=said):
        StepFeed(edges, rates)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConstantFeed(np.nan),
        lambda: ConstantFeed(0.1, start=np.inf),
        lambda: ExponentialFeed(0.01, np.nan),
        lambda: ExponentialFeed(np.inf, 0.2),
    ],
    ids=["rate", "start", "growth", "initial"],
)
def test_feed_of_numbers_that_are_not_finite_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(StudyError, match=r"(rate|start|growth|initial) is (nan|inf); it should be a finite number"):
        make()


# --- closed forms


def test_simulation_meets_exponential_growth() -> None:
    run = simulate(Given(("x",), lambda s, c: {"x": 0.4 * s["x"]}), {"x": 0.1}, {}, 10.0, tolerance=1.0e-9)
    assert run["x"] == pytest.approx(0.1 * np.exp(0.4 * run.time), rel=1.0e-6)


def test_simulation_meets_washout() -> None:
    dilution, fed = 0.3, 20.0
    system = Given(("c", "x"), lambda s, c: {"c": dilution * (fed - s["c"]), "x": -dilution * s["x"]})
    run = simulate(system, {"c": 1.0, "x": 5.0}, {}, 12.0, tolerance=1.0e-9)
    assert run["c"] == pytest.approx(fed - (fed - 1.0) * np.exp(-dilution * run.time), rel=1.0e-6)


def test_simulation_meets_a_stepwise_control() -> None:
    system = Given(("v",), lambda s, c: {"v": c["feed"]}, controlled=("feed",))
    run = simulate(system, {"v": 1.0}, {"feed": StepFeed((0.0, 1.0, 1.5, 3.0), (0.2, 5.0, 0.0))}, 3.0)
    assert run["v"] == pytest.approx(np.interp(run.time, [0.0, 1.0, 1.5, 3.0], [1.0, 1.2, 3.7, 3.7]), abs=1.0e-9)


def test_simulation_has_a_time_at_every_jump() -> None:
    system = Given(("v",), lambda s, c: {"v": c["feed"]}, controlled=("feed",))
    run = simulate(system, {"v": 1.0}, {"feed": StepFeed((0.0, 0.777, 3.0), (0.2, 0.0))}, 3.0, points=4)
    assert {0.0, 0.777, 3.0} <= set(run.time)


def test_simulation_can_start_later() -> None:
    run = simulate(Given(("x",), lambda s, c: {"x": 1.0}), {"x": 0.0}, {}, 2.0, start=5.0)
    assert (run.time[0], run.time[-1], run.final("x")) == pytest.approx((5.0, 7.0, 2.0))


def test_simulation_matches_derivatives_by_name() -> None:
    system = Given(("x", "y"), lambda s, c: {"y": 2.0, "x": 1.0})
    run = simulate(system, {"y": 0.0, "x": 0.0}, {}, 1.0)
    assert (run.final("x"), run.final("y")) == pytest.approx((1.0, 2.0))


def test_simulation_stops_where_its_rule_rises_above_zero() -> None:
    run = simulate(
        Given(("x",), lambda s, c: {"x": 0.4 * s["x"]}),
        {"x": 1.0},
        {},
        10.0,
        tolerance=1.0e-9,
        stop_when=lambda states, rates: states["x"] - 2.0,
    )
    assert run.time[-1] == pytest.approx(np.log(2.0) / 0.4, abs=1.0e-6)


def test_simulation_that_stops_tells_so() -> None:
    run = simulate(
        Given(("x",), lambda s, c: {"x": 1.0}), {"x": 0.0}, {}, 2.0, stop_when=lambda states, rates: states["x"] - 1.0
    )
    assert run.status is Status.ENDED_EARLY


def test_simulation_that_runs_away_is_no_result() -> None:
    with pytest.raises(
        SolverError, match=r"integration failed at 1 h: no step size suits the equations; check initial states"
    ):
        simulate(Given(("x",), lambda s, c: {"x": s["x"] ** 2}), {"x": 1.0}, {}, 3.0)


def test_simulation_of_an_empty_vessel_is_no_result() -> None:
    with pytest.raises(SolverError, match=r"no derivative at 0 h: float division by zero"):
        simulate(ecoli_fed_batch(), {**START, "volume": 0.0}, FEED, 1.0, Dead())


def test_vessel_without_cells_holds_what_was_fed() -> None:
    run = simulate(ecoli_fed_batch(), START, {"feed": StepFeed((0.0, 2.0, 5.0), (0.1, 0.3))}, 5.0, Dead())
    fed = 0.1 * np.minimum(run.time, 2.0) + 0.3 * np.maximum(run.time - 2.0, 0.0)
    assert run["glucose"] * run["volume"] == pytest.approx(5.0 + 500.0 * fed, rel=1.0e-4)


def test_vessel_without_cells_keeps_its_biomass() -> None:
    run = simulate(ecoli_fed_batch(), START, FEED, 5.0, Dead())
    assert run["biomass"] * run["volume"] == pytest.approx(np.full_like(run.time, 0.5), rel=1.0e-4)


def test_oxygen_without_cells_saturates() -> None:
    run = simulate(ecoli_fed_batch(), START, {"feed": ConstantFeed(0.0)}, 1.0, Dead())
    assert run.final("oxygen_saturation") == pytest.approx(100.0, abs=1.0e-3)


# --- with a cell


@pytest.fixture(scope="module")
def fed_batches(surrogate: Surrogate, plant: FluxProgram) -> dict[str, Trajectory]:
    """The same 6 h fed-batch, with either as the cell."""
    start = {**START, "biomass": 1.0}
    feed = {"feed": ExponentialFeed(0.004, 0.25)}
    cells = {"surrogate": surrogate, "program": plant}
    return {name: simulate(ecoli_fed_batch(), start, feed, 6.0, cell) for name, cell in cells.items()}


def test_surrogate_and_program_grow_the_same_biomass(fed_batches: dict[str, Trajectory]) -> None:
    assert fed_batches["surrogate"].final("biomass") == pytest.approx(fed_batches["program"].final("biomass"), rel=0.03)


def test_surrogate_follows_the_program_all_along(fed_batches: dict[str, Trajectory]) -> None:
    replayed_on_reference = fed_batches["program"]
    gap = np.abs(
        fed_batches["surrogate"].at("biomass", replayed_on_reference.time) - replayed_on_reference["biomass"]
    ).max()
    assert gap < 0.03 * replayed_on_reference["biomass"].max()


@pytest.mark.parametrize("name", ["surrogate", "program"])
def test_fed_batch_names_its_rates(fed_batches: dict[str, Trajectory], name: str) -> None:
    assert fed_batches[name].names("rate") == ("growth", "EX_glc__D_e", "EX_ac_e", "EX_o2_e", "shortfall")


def test_fed_batch_carries_units(fed_batches: dict[str, Trajectory]) -> None:
    data = fed_batches["program"].data
    told = {name: data[name].attrs["units"] for name in ("volume", "biomass", "oxygen", "feed", "growth", "EX_o2_e")}
    assert told == {
        "volume": "L",
        "biomass": "g/L",
        "oxygen": "mmol/L",
        "feed": "L/h",
        "growth": "1/h",
        "EX_o2_e": "mmol/gDW/h",
    }


@pytest.fixture(scope="module")
def starving(plant: FluxProgram) -> Trajectory:
    """A feed that stops after half an hour, watched until acetate is gone as well."""
    feed = {"feed": StepFeed((0.0, 0.5, 2.5), (0.01, 0.0))}
    return simulate(ecoli_fed_batch(), {**START, "biomass": 5.0, "glucose": 0.1}, feed, 2.5, plant)


def test_starving_culture_is_simulated_to_the_end(starving: Trajectory) -> None:
    assert (starving.status, starving.time[-1]) == (Status.SIMULATED, 2.5)


def test_starving_culture_stops_growing(starving: Trajectory) -> None:
    assert starving.final("growth") == pytest.approx(0.0, abs=1.0e-9)


def test_starving_culture_misses_its_maintenance(starving: Trajectory) -> None:
    assert starving.final("shortfall") == pytest.approx(3.15, abs=0.05)


def test_fed_culture_does_not_miss_its_maintenance(starving: Trajectory) -> None:
    fed = (starving.time > 0.01) & (starving.time < 0.45)
    assert np.abs(starving["shortfall"][fed]).max() < 1.0e-9


@pytest.mark.parametrize("state", ["volume", "biomass", "glucose", "acetate", "oxygen"])
def test_starving_culture_takes_nothing_that_is_not_there(starving: Trajectory, state: str) -> None:
    assert starving[state].min() >= -1.0e-6


def test_starving_culture_keeps_its_biomass_where_no_death_is_assumed(starving: Trajectory) -> None:
    late = starving["shortfall"] > 3.0
    assert np.ptp(starving["biomass"][late]) < 1.0e-4 * starving.final("biomass")


def test_starving_culture_dies_where_death_is_assumed(plant: FluxProgram) -> None:
    reactor = Bioreactor(ecoli_fed_batch().species, ecoli_fed_batch().aeration, death=0.1)
    empty = {**START, "biomass": 5.0, "glucose": 0.0}
    run = simulate(reactor, empty, {"feed": ConstantFeed(0.0)}, 1.0, plant)
    # nothing to eat: the whole demand of 3.15 is missed, so X = X0 exp(-0.1 * 3.15 t)
    assert run.final("biomass") == pytest.approx(5.0 * np.exp(-0.315), rel=1.0e-4)


def overfed(cell: object, kla: float) -> Trajectory:
    start = {**START, "biomass": 10.0, "glucose": 20.0}
    feed = {"feed": ConstantFeed(0.0)}
    return simulate(ecoli_fed_batch(), start, feed, 0.5, cell, parameters={"kla": kla})  # type: ignore[arg-type]


def test_acetate_appears_where_oxygen_is_short(plant: FluxProgram) -> None:
    assert overfed(plant, kla=100.0).final("acetate") > 1.0


def test_acetate_does_not_appear_where_nothing_is_short(plant: FluxProgram) -> None:
    slow = {"glucose_vmax": 5.0, "kla": 1000.0}
    run = simulate(ecoli_fed_batch(), START, {"feed": ConstantFeed(0.0)}, 0.5, plant, parameters=slow)
    assert run["acetate"].max() < 1.0e-6


def test_surrogate_overflows_as_the_program_does(plant: FluxProgram, surrogate: Surrogate) -> None:
    replayed_on_reference = overfed(plant, kla=100.0).final("acetate")
    assert overfed(surrogate, kla=100.0).final("acetate") == pytest.approx(replayed_on_reference, rel=0.05)


def test_carbon_fed_is_carbon_found(textbook: Network) -> None:
    reactor = Bioreactor(
        species=(
            Species("glucose", "EX_glc__D_e", molar_mass=GLUCOSE_MASS, uptake=Uptake(10.0, 0.05), fed=500.0),
            Species("oxygen", "EX_o2_e", "mmol/L", uptake=Uptake(15.0, 0.001), scale=0.1),
            Species("acetate", "EX_ac_e", molar_mass=ACETATE_MASS),
            Species("formate", "EX_for_e", "mmol/L"),
            Species("ethanol", "EX_etoh_e", "mmol/L"),
            Species("dioxide", "EX_co2_e", "mmol/L"),  # stays dissolved here, so that it can be counted
        ),
        aeration=Aeration(kla=150.0, saturation=0.21),
    )
    start = {
        **dict.fromkeys((each.name for each in reactor.states), 0.0),
        "volume": 1.0,
        "biomass": 2.0,
        "glucose": 10.0,
    }
    program = FluxProgram(textbook, ["EX_glc__D_e", "EX_o2_e"])
    run = simulate(reactor, start, {"feed": ConstantFeed(0.02, start=0.5)}, 2.0, program, tolerance=1.0e-8)
    # mmol of carbon per unit of each; 42.5555 per g of biomass is what the biomass reaction lacks in products
    carbon = {
        "biomass": 42.5555,
        "glucose": 6.0e3 / GLUCOSE_MASS,
        "acetate": 2.0e3 / ACETATE_MASS,
        "formate": 1.0,
        "ethanol": 2.0,
        "dioxide": 1.0,
    }
    found = run["volume"] * sum(each * run[name] for name, each in carbon.items())
    fed = 0.02 * np.maximum(run.time - 0.5, 0.0) * 500.0 * carbon["glucose"]
    assert found == pytest.approx(found[0] + fed, rel=1.0e-5)


# --- refusals


def run(**changed: Any) -> Trajectory:
    arguments = {"initial": START, "controls": FEED, "duration": 1.0, "metabolism": Dead(), **changed}
    return simulate(ecoli_fed_batch(), **arguments)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"initial": {name: START[name] for name in ("volume", "biomass", "glucose")}},
            "state acetate, oxygen is missing",
        ),
        ({"initial": {**START, "glucos": 1.0}}, "there is no state 'glucos'; nearest known: glucose"),
        ({"initial": {**START, "glucose": np.nan}}, "state 'glucose' is nan; give a finite number"),
        ({"initial": {**START, "glucose": np.inf}}, "state 'glucose' is inf; give a finite number"),
        ({"controls": {}}, "control feed is missing; give a value for each of feed"),
        ({"controls": {**FEED, "fed": ConstantFeed(0.0)}}, "there is no control 'fed'; nearest known: feed"),
        ({"parameters": {"Kla": 1.0}}, "there is no parameter 'Kla'; nearest known: kla"),
        ({"parameters": {"kla": np.nan}}, "parameter 'kla' is nan; give a finite number"),
        ({"duration": 0.0}, "duration is 0.0; give a finite number above 0"),
        ({"duration": -1.0}, "duration is -1.0; give a finite number above 0"),
        ({"duration": np.nan}, "duration is nan; give a finite number above 0"),
        ({"start": np.nan}, "start is nan; give a finite number"),
        ({"initial": {**START, "biomass": -1.0}}, "state 'biomass' begins at -1 g/L; give a value from 0 to inf"),
        ({"controls": {"feed": ConstantFeed(-0.1)}}, "control 'feed' is -0.1 L/h at 0 h; give a value from 0 to inf"),
        ({"controls": {"feed": 0.02}}, "control 'feed' is 0.02; give a profile"),
        ({"parameters": {"kla": -5.0}}, "parameter 'kla' is -5 1/h; give a finite number, at least 0"),
        ({"parameters": {"glucose_half": 0.0}}, "parameter 'glucose_half' is 0 g/L; give a finite number, above 0"),
        ({"points": 0}, "points is 0; give a whole number"),
        ({"tolerance": 0.0}, "tolerance is 0.0; give a finite number above 0"),
        ({"stop_when": 3}, "stop_when is 3; give a function"),
        ({"metabolism": "iJO1366"}, "metabolism is 'iJO1366'; give a Surrogate"),
        ({"metabolism": None}, "this system has a cell; give metabolism="),
    ],
    ids=[
        "missing state",
        "unknown state",
        "state nan",
        "state infinite",
        "missing control",
        "unknown control",
        "unknown parameter",
        "parameter nan",
        "no duration",
        "negative duration",
        "duration nan",
        "start nan",
        "negative state",
        "negative control",
        "number as control",
        "negative parameter",
        "half constant zero",
        "no points",
        "no tolerance",
        "number as stop rule",
        "text as metabolism",
        "no metabolism",
    ],
)
def test_simulation_of_what_makes_no_sense_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        run(**changed)


def test_integration_without_end_ends() -> None:
    def noise(states: Mapping[str, Any], controls: Mapping[str, Any]) -> dict[str, Any]:
        return {"x": np.sin(1.0e7 * states["t"]), "t": 1.0}

    with pytest.raises(SolverError, match=r"stands at 0\.\d+ h after 50000 evaluations"):
        simulate(Given(("x", "t"), noise), {"x": 0.0, "t": 0.0}, {}, 1.0, tolerance=1.0e-12)


def test_system_that_derives_from_nothing_is_refused() -> None:
    with pytest.raises(StudyError, match="system is an object of Dead; give a System, such as a Bioreactor"):
        simulate(Dead(), {}, {}, 1.0)  # type: ignore[arg-type]


def test_class_instead_of_a_system_is_refused() -> None:
    with pytest.raises(StudyError, match="system is the class Given; give an object of it"):
        simulate(Given, {}, {}, 1.0)  # type: ignore[arg-type]


def test_system_with_one_name_twice_is_refused() -> None:
    with pytest.raises(StudyError, match="Given has more than one 'x'"):
        simulate(Given(("x", "x"), lambda s, c: {"x": 1.0}), {"x": 0.0}, {}, 1.0)


def test_derivative_without_a_state_is_refused() -> None:
    with pytest.raises(StudyError, match=r"Given\.derivative returns no 'y'; return every state"):
        simulate(Given(("x", "y"), lambda s, c: {"x": 1.0}), {"x": 0.0, "y": 0.0}, {}, 1.0)


def test_equations_that_no_step_size_suits_end_the_integration() -> None:
    with pytest.raises(
        SolverError, match=r"from 0 h to 1 h stands at .* h after 10000 evaluations; check parameters and feed"
    ):
        simulate(Given(("x",), lambda s, c: {"x": -1.0e12 if s["x"] > 0.0 else 1.0e12}), {"x": 0.0}, {}, 1.0)


def test_absurd_parameter_ends_the_integration() -> None:
    with pytest.raises(
        SolverError, match=r"integration failed at 0 h: no step size suits the equations; check initial"
    ):
        run(parameters={"kla": 1.0e308})


class Violation:
    """A profile of a user's own that fails after half an hour."""

    breakpoints = ()

    def __call__(self, time: float) -> float:
        return 0.02 if time < 0.5 else np.nan


def test_control_that_is_not_a_number_is_refused_with_its_time() -> None:
    with pytest.raises(StudyError, match=r"control 'feed' is nan at 0\.\d+ h; give a finite number at every time"):
        run(controls={"feed": Violation()})


def test_metabolism_with_other_inputs_is_refused(textbook: Network) -> None:
    with pytest.raises(StudyError, match="the metabolism takes EX_glc__D_e; make them the same"):
        run(metabolism=FluxProgram(textbook, ["EX_glc__D_e"]))


def test_uptake_rate_above_the_trained_domain_is_refused(surrogate: Surrogate) -> None:
    with pytest.raises(
        DomainError, match=r"uptake limit 13 .* of EX_glc__D_e is outside .* or lower the largest uptake rate"
    ):
        run(metabolism=surrogate, parameters={"glucose_vmax": 13.0})


def test_uptake_rate_at_the_edge_of_the_trained_domain_is_accepted(surrogate: Surrogate) -> None:
    assert run(metabolism=surrogate, parameters={"glucose_vmax": 12.0}).status is Status.SIMULATED


def test_species_in_grams_needs_its_molar_mass() -> None:
    with pytest.raises(StudyError, match="glucose is in g/L and needs its molar mass"):
        Species("glucose", "EX_glc__D_e")


def test_species_in_an_unknown_unit_is_refused() -> None:
    with pytest.raises(StudyError, match="unit 'mg/L' of glucose is unknown; use g/L or mmol/L"):
        Species("glucose", "EX_glc__D_e", "mg/L", molar_mass=GLUCOSE_MASS)


def test_inhibitor_that_is_no_species_is_refused() -> None:
    glucose = Species("glucose", "EX_glc__D_e", "mmol/L", uptake=Uptake(10.0, 0.05, {"acetat": 9.0}))
    with pytest.raises(StudyError, match="inhibitor 'acetat' is no species of the reactor; nearest known: acetate"):
        Bioreactor((glucose, Species("acetate", "EX_ac_e", "mmol/L")))


def test_aerated_gas_that_is_no_species_is_refused() -> None:
    with pytest.raises(StudyError, match="aerated 'oxygen' is no species of the reactor"):
        Bioreactor((Species("glucose", "EX_glc__D_e", "mmol/L"),), Aeration(300.0, 0.21))


def test_every_parameter_of_the_shipped_reactor_has_a_source() -> None:
    unfed = {"acetate_fed", "oxygen_fed"}
    assert {one.name: one.source for one in ecoli_fed_batch().parameters if one.name not in unfed} == SOURCES


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("glucose_vmax", "mmol/gDW/h"),
        ("glucose_half", "g/L"),
        ("oxygen_half", "mmol/L"),
        ("glucose_inhibition_by_acetate", "g/L"),
        ("glucose_fed", "g/L"),
        ("oxygen_fed", "mmol/L"),
        ("kla", "1/h"),
        ("saturation", "mmol/L"),
        ("death", "g/mmol"),
    ],
)
def test_parameter_of_the_shipped_reactor_has_its_unit(name: str, unit: str) -> None:
    assert {one.name: one.unit for one in ecoli_fed_batch().parameters}[name] == unit


def test_reactor_is_shown_as_a_table_of_parameters() -> None:
    page = ecoli_fed_batch()._repr_html_()
    assert "<td>kla</td><td>300</td><td>1/h</td><td>upper end of the bench fermenter of Badino" in page


def test_reactor_is_described_in_one_line() -> None:
    assert repr(ecoli_fed_batch()) == "Bioreactor: glucose, acetate, oxygen; oxygen is aerated; 13 parameters"


def test_system_of_a_user_is_described_in_one_line() -> None:
    class Tank(System):
        states = (Quantity("level", "m"),)
        parameters = (Parameter("area", 2.0, "m2"),)

        def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
            return {"level": 0.0}

    assert repr(Tank()) == "Tank: states level; controls none; 1 parameter"


def test_copy_of_a_reactor_is_equal() -> None:
    reactor = ecoli_fed_batch()
    assert pickle.loads(pickle.dumps(reactor)) == reactor


def test_reactor_with_another_death_constant_differs_in_that_alone() -> None:
    reactor = replace(ecoli_fed_batch(), death=0.02)
    assert reactor.defaults == {**ecoli_fed_batch().defaults, "death": 0.02}


@pytest.mark.parametrize(
    ("kind", "second"),
    [("species 'glucose'", Species("glucose", "EX_b", "mmol/L")), ("exchange 'EX_a'", Species("b", "EX_a", "mmol/L"))],
    ids=["species", "exchange"],
)
def test_species_given_twice_is_refused(kind: str, second: Species) -> None:
    with pytest.raises(StudyError, match=f"{kind} is given 2 times; give it once"):
        Bioreactor((Species("glucose", "EX_a", "mmol/L"), second))


def test_species_named_as_the_volume_is_refused() -> None:
    with pytest.raises(StudyError, match="Bioreactor has more than one 'volume'"):
        Bioreactor((Species("volume", "EX_a", "mmol/L"),))


def test_aerated_species_in_grams_is_refused() -> None:
    with pytest.raises(StudyError, match="aerated 'oxygen' is in g/L; give it in mmol/L"):
        Bioreactor((Species("oxygen", "EX_o2_e", molar_mass=32.0),), Aeration(300.0, 0.21))


def test_biomass_of_the_textbook_holds_the_carbon_used_here() -> None:
    source = read_sbml_model(f"{cobra.data.__path__[0]}/textbook.xml.gz")
    assert -source.reactions.Biomass_Ecoli_core.check_mass_balance()["C"] == pytest.approx(42.5555)


# --- compiled simulations


class Uncompiled(System):
    """A system whose derivative converts its states, so that it cannot be compiled."""

    def __init__(self, system: System) -> None:
        self._given = system
        for name in ("states", "controls", "derived", "parameters", "readings"):
            setattr(self, name, getattr(system, name))

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        return self._given.limits({name: float(value) for name, value in states.items()}, parameters)

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        return self._given.observe(states, controls, parameters, rates)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return self._given.derivative(
            {name: float(value) for name, value in states.items()}, controls, parameters, cell
        )


PROFILES = {
    "steps": StepFeed((0.0, 1.0, 2.0, 4.0), (0.01, 0.05, 0.0)),
    "lines": LinearFeed((0.0, 2.0, 4.0), (0.0, 0.05, 0.01)),
    "exponential": ExponentialFeed(0.005, 0.3, 0.5, 0.05),
}


@pytest.mark.parametrize("feed", PROFILES.values(), ids=PROFILES)
@pytest.mark.parametrize("name", ["ecoli_ijo1366", "ecoli_textbook"])
def test_compiled_simulation_is_the_one_in_python(feed: Profile, name: str) -> None:
    cell, reactor = load_surrogate(name), ecoli_fed_batch()
    fast, slow = (
        simulate(system, START, {"feed": feed}, 4.0, cell, tolerance=1.0e-9)
        for system in (reactor, Uncompiled(reactor))
    )
    for quantity in (*reactor.states, *reactor.derived):
        assert fast[quantity.name] == pytest.approx(slow[quantity.name], abs=1.0e-6 * quantity.scale), quantity.name
    assert fast["growth"] == pytest.approx(slow["growth"], abs=1.0e-6)


def test_compiled_simulation_takes_the_parameters_of_each_call() -> None:
    cell, reactor, feed = load_surrogate("ecoli_textbook"), ecoli_fed_batch(), {"feed": ConstantFeed(0.02)}
    for kla in (100.0, 400.0):
        fast, slow = (
            simulate(system, START, feed, 2.0, cell, parameters={"kla": kla}, tolerance=1.0e-9)
            for system in (reactor, Uncompiled(reactor))
        )
        assert fast.final("oxygen") == pytest.approx(slow.final("oxygen"), abs=1.0e-6)


def test_system_that_compares_its_states_is_simulated_in_python() -> None:
    falling = Given(("x",), lambda s, c: {"x": -1.0 if s["x"] > 0.5 else -0.5})
    assert simulate(falling, {"x": 1.0}, {}, 1.0).final("x") == pytest.approx(0.25, abs=1.0e-4)


def test_many_simulations_are_those_of_single_calls_in_order() -> None:
    cell, reactor = load_surrogate("ecoli_textbook"), ecoli_fed_batch()
    feeds = [{"feed": ConstantFeed(rate)} for rate in (0.03, 0.01, 0.02)]
    one_by_one = [simulate(reactor, START, feed, 1.0, cell) for feed in feeds]
    for workers in (1, 2):
        found = simulate_many(reactor, START, feeds, 1.0, cell, workers=workers)
        assert [run.final("glucose") for run in found] == [run.final("glucose") for run in one_by_one]


def test_many_simulations_want_a_list() -> None:
    with pytest.raises(StudyError, match="give a list of mappings, one for each simulation"):
        simulate_many(ecoli_fed_batch(), START, {"feed": ConstantFeed(0.0)}, 1.0, load_surrogate("ecoli_textbook"))  # type: ignore[arg-type]


def test_only_quasi_steady_states_from_zero_up_have_a_logarithm() -> None:
    assert Quantity("oxygen", "mmol/L", lower=0.0, quasi_steady=True, bends_at=0.001).bends_at == 0.001
    for other in ({"lower": 0.0}, {"quasi_steady": True}):
        with pytest.raises(StudyError, match=r"bends_at=0\.001; only quasi-steady states"):
            Quantity("oxygen", "mmol/L", bends_at=0.001, **other)  # type: ignore[arg-type]

"""What plants measure: off-gas, dissolved oxygen and volume; rare and late samples; sensors that stand still."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmopt import (
    Control,
    Controller,
    Estimator,
    Horizon,
    MmoptError,
    Plant,
    Problem,
    SolverError,
    StudyError,
    Surrogate,
    ecoli_fed_batch,
    load_surrogate,
    optimise,
    run_closed_loop,
    simulate,
)
from mmopt.control import ControlledBatch, LateValue, MovingHorizonEstimator, Sampling
from mmopt.control.fallbacks import SIMULATED
from mmopt.reactor import Bioreactor, ConstantFeed, Uptake
from mmopt.simulation.sensitivities import Sensitivities
from tests.systems import Walk

START = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
OFF_GAS = {"volume": 0.005, "oxygen_saturation": 1.0, "oxygen_uptake": 0.5, "carbon_evolution": 0.5}


@pytest.fixture(scope="module")
def cell() -> Surrogate:
    return load_surrogate("ecoli_textbook")


@pytest.fixture(scope="module")
def reactor() -> Bioreactor:
    return replace(ecoli_fed_batch(), carbon_dioxide="EX_co2_e")


# --- off-gas


def test_respiratory_quotient_is_that_of_the_fluxes(reactor: Bioreactor, cell: Surrogate) -> None:
    batch = simulate(reactor, START, {"feed": ConstantFeed(0.0)}, 1.0, cell)
    evolved, taken = batch["EX_co2_e"] * batch["biomass"], -batch["EX_o2_e"] * batch["biomass"]
    assert batch["carbon_evolution"] == pytest.approx(evolved, abs=1.0e-9)
    assert batch["oxygen_uptake"] == pytest.approx(taken, abs=1.0e-9)
    assert batch["respiratory_quotient"] == pytest.approx(evolved / taken, rel=1.0e-6)
    assert 0.8 < batch["respiratory_quotient"].mean() < 1.5


def test_respiratory_quotient_of_no_respiration_is_zero(reactor: Bioreactor) -> None:
    nothing = dict.fromkeys(reactor.readings, 0.0)
    assert reactor.observe(START, {"feed": 0.0}, reactor.defaults, nothing)["respiratory_quotient"] == 0.0


def test_carbon_dioxide_is_recorded_without_aeration(reactor: Bioreactor) -> None:
    closed = replace(reactor, aeration=None)
    assert [known.name for known in closed.derived] == ["biomass_amount", "carbon_evolution"]


def test_carbon_evolution_can_be_limited(reactor: Bioreactor, cell: Surrogate) -> None:
    limits = {"carbon_evolution": (None, 60.0)}
    plan = optimise(Problem(reactor, START, Horizon(4.0, 8), {"feed": Control(0.0, 0.1)}, limits), cell)
    assert plan.status.solved
    assert plan.trajectory["carbon_evolution"].max() == pytest.approx(60.0, rel=0.01)


def test_biomass_is_learnt_from_off_gas(reactor: Bioreactor, cell: Surrogate) -> None:
    """The inoculum is a third thicker than assumed, and nobody takes a sample."""
    plant = Plant(reactor, cell, {**START, "biomass": 1.33}, noise=OFF_GAS, seed=3)
    estimator = Estimator(reactor, cell, START, OFF_GAS, uncertainty=0.3)
    for _ in range(8):
        estimator.update(plant.measure())
        plant.advance({"feed": 0.01}, 0.25)
        estimator.predict({"feed": 0.01}, 0.25)
    left_out = estimator.update(plant.measure())
    assert left_out == ()
    assert estimator.states["biomass"] == pytest.approx(plant.states["biomass"], rel=0.05)
    assert estimator.deviations["biomass"] < 0.05 * plant.states["biomass"]


def test_oxygen_transfer_is_learnt_from_off_gas(reactor: Bioreactor, cell: Surrogate) -> None:
    plant = Plant(reactor, cell, START, parameters={"kla": 240.0}, noise=OFF_GAS, seed=1)
    estimator = Estimator(reactor, cell, START, OFF_GAS, drifting={"kla": 0.1})
    for _ in range(6):
        estimator.update(plant.measure())
        plant.advance({"feed": 0.01}, 0.25)
        estimator.predict({"feed": 0.01}, 0.25)
    estimator.update(plant.measure())
    assert estimator.parameters["kla"] == pytest.approx(240.0, rel=0.05)


def test_controller_works_from_off_gas_as_well_as_from_all_states(reactor: Bioreactor, cell: Surrogate) -> None:
    limits = {"oxygen_saturation": (30.0, None)}
    start = {**START, "glucose": 2.0}
    problem = Problem(reactor, start, Horizon(3.0, 12), {"feed": (0.0, 0.1)}, limits)
    all_states = {"volume": 0.005, "biomass": 0.05, "glucose": 0.05, "acetate": 0.02, "oxygen": 0.003}
    batch = ControlledBatch(problem, cell, cell, 0.5, OFF_GAS, aims={"oxygen_saturation": (35.0, None)})
    by_gas, by_states = batch.run(seed=2), replace(batch, noise=all_states).run(seed=2)
    assert {step.move.fallback for step in by_gas.steps} <= {"", SIMULATED}
    assert by_gas.violations.get("oxygen_saturation", 0.0) < 0.05
    assert by_gas.objective == pytest.approx(by_states.objective, rel=0.03)
    assert np.isfinite(by_gas.trajectory["measured_carbon_evolution"]).sum() == 6


def test_batch_is_controlled_with_either_estimator(reactor: Bioreactor, cell: Surrogate) -> None:
    problem = Problem(reactor, START, Horizon(1.5, 6), {"feed": (0.0, 0.1)}, {"volume": (None, 3.0)})
    batch = ControlledBatch(problem, cell, cell, 0.5, OFF_GAS)
    other = replace(batch, estimator="moving_horizon")
    assert other.run(seed=1).objective == pytest.approx(batch.run(seed=1).objective, rel=0.02)
    assert other.run(seed=1).objective != batch.run(seed=1).objective
    with pytest.raises(StudyError, match="use one of kalman_filter, moving_horizon"):
        replace(batch, estimator="mhe")


def test_sensors_show_what_a_simulation_records(reactor: Bioreactor, cell: Surrogate) -> None:
    names = [known.name for known in (*reactor.states, *reactor.derived)]
    plant = Plant(reactor, cell, START, parameters={"kla": 280.0}, noise=dict.fromkeys(names, 0.0))
    assert plant.measure()["oxygen_saturation"] == pytest.approx(100.0 * 0.2 / 0.21)
    recorded = plant.advance({"feed": 0.02}, 0.5)
    shown = plant.measure()
    assert list(shown) == names
    for name in names:
        assert shown[name] == pytest.approx(recorded.final(name), rel=1.0e-6)


def test_plant_within_its_metabolism_is_measured_where_defaults_are_not(reactor: Bioreactor, cell: Surrogate) -> None:
    """The default uptake is beyond this domain, and the plant's is not."""
    narrow = replace(reactor, species=(replace(reactor.species[0], uptake=Uptake(20.0, 0.05)), *reactor.species[1:]))
    plant = Plant(narrow, cell, START, parameters={"glucose_vmax": 8.0}, noise={"oxygen_uptake": 0.0})
    assert 0.0 < float(plant.measure()["oxygen_uptake"]) < 16.0  # type: ignore[arg-type]


# --- rare and late samples


def test_sample_is_taken_every_so_often(reactor: Bioreactor, cell: Surrogate) -> None:
    plant = Plant(
        reactor, cell, START, noise={"volume": 0.01, "biomass": 0.1}, sampling={"biomass": Sampling(every=1.0)}
    )
    seen = []
    for _ in range(5):
        seen.append(sorted(plant.measure()))
        plant.advance({"feed": 0.0}, 0.5)
    assert seen == [["biomass", "volume"], ["volume"]] * 2 + [["biomass", "volume"]]


def test_sample_is_taken_at_the_first_move_after_its_time(reactor: Bioreactor, cell: Surrogate) -> None:
    """A sample every 45 minutes, and a move every half hour."""
    plant = Plant(reactor, cell, START, noise={"biomass": 0.1}, sampling={"biomass": Sampling(every=0.75)})
    seen = []
    for _ in range(6):
        seen += [plant.time] * len(plant.measure())
        plant.advance({"feed": 0.0}, 0.5)
    assert seen == [0.0, 1.0, 1.5, 2.5]


def test_two_late_values_at_once_arrive_one_after_the_other(reactor: Bioreactor, cell: Surrogate) -> None:
    plant = Plant(reactor, cell, START, noise={"biomass": 0.0}, sampling={"biomass": Sampling(delay=0.7)})
    arrived = []
    for hours in (0.5, 0.1, 1.0, 1.0, 1.0):
        arrived.append(plant.measure().get("biomass"))
        plant.advance({"feed": 0.0}, hours)
    assert [getattr(value, "taken", None) for value in arrived] == [None, None, None, 0.0, 0.5]


def test_value_arrives_when_its_analysis_is_done(reactor: Bioreactor, cell: Surrogate) -> None:
    plant = Plant(reactor, cell, START, noise={"biomass": 0.0}, sampling={"biomass": Sampling(every=1.0, delay=0.75)})
    arrived = []
    for _ in range(4):
        arrived.append(plant.measure())
        plant.advance({"feed": 0.0}, 0.5)
    assert arrived == [{}, {}, {"biomass": LateValue(1.0, taken=0.0)}, {}]


@pytest.mark.parametrize("taken", [0.0, 0.5, 1.0, 1.5], ids=str)
def test_late_value_counts_as_if_it_had_come_in_time(reactor: Bioreactor, cell: Surrogate, taken: float) -> None:
    def estimator() -> Estimator:
        return Estimator(reactor, cell, START, {**OFF_GAS, "biomass": 0.05}, drifting={"kla": 0.1}, uncertainty=0.2)

    def followed(in_time: bool) -> Estimator:
        filtered, plant, sample = estimator(), Plant(reactor, cell, START, noise=OFF_GAS, seed=5), 0.0
        for number in range(4):
            measured: dict[str, Any] = dict(plant.measure())
            if plant.time == taken:
                sample = 1.1 * plant.states["biomass"]
                if in_time:
                    measured["biomass"] = sample
            filtered.update(measured)
            if number < 3:
                plant.advance({"feed": 0.02}, 0.5)
                filtered.predict({"feed": 0.02}, 0.5)
        if not in_time:
            assert filtered.update({"biomass": LateValue(sample, taken)}) == ()
        return filtered

    prompt, late = followed(True), followed(False)
    assert late.states == pytest.approx(prompt.states, rel=1.0e-3)
    assert late.deviations == pytest.approx(prompt.deviations, rel=1.0e-3)


def test_sample_between_two_moves_counts_at_its_time() -> None:
    late = Estimator(Walk(), None, {"position": 0.0, "speed": 1.0}, {"height": 0.1}, drift=0.0)
    split = Estimator(Walk(), None, {"position": 0.0, "speed": 1.0}, {"height": 0.1}, drift=0.0)
    late.predict({}, 1.0)
    late.predict({}, 1.0)
    assert late.update({"height": LateValue(0.9, taken=0.7)}) == ()
    split.predict({}, 0.7)
    split.update({"height": 0.9})
    split.predict({}, 1.3)
    assert late.states == pytest.approx(split.states, rel=1.0e-5)
    assert late.time == pytest.approx(2.0)


@pytest.mark.parametrize(("taken", "said"), [(3.0, "after the present 1 h"), (1.0 + 1.0e-6, "after the present")])
def test_sample_from_the_future_is_left_out(taken: float, said: str) -> None:
    estimator = Estimator(Walk(), None, {"position": 0.0, "speed": 1.0}, {"height": 0.1})
    estimator.predict({}, 1.0)
    before = estimator.states
    assert said in estimator.update({"height": LateValue(0.5, taken)})[0]
    assert estimator.states == before


def test_late_value_far_from_what_was_expected_is_left_out() -> None:
    estimator = Estimator(Walk(), None, {"position": 0.0, "speed": 1.0}, {"height": 0.1})
    estimator.predict({}, 1.0)
    before = estimator.states
    assert "height is 1000" in estimator.update({"height": LateValue(1000.0, 0.0)})[0]
    assert estimator.states == pytest.approx(before, rel=1.0e-9)


def test_replay_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = Estimator(Walk(), None, {"position": 0.0, "speed": 1.0}, {"height": 0.1})
    for _ in range(3):
        estimator.predict({}, 1.0)
    before, whole = estimator.states, estimator._filter.predicted

    def failing(*given: Any) -> Any:
        raise SolverError("injected failure")

    monkeypatch.setattr(estimator._filter, "predicted", failing)
    with pytest.raises(SolverError, match="injected"):
        estimator.update({"height": LateValue(0.9, taken=1.0)})
    assert estimator.states == before
    monkeypatch.setattr(estimator._filter, "predicted", whole)
    assert estimator.update({"height": LateValue(0.9, taken=1.0)}) == ()
    assert estimator.states != before


def test_late_value_that_is_no_number_is_left_out() -> None:
    estimator = Estimator(Walk(), None, {"position": 0.0, "speed": 1.0}, {"height": 0.1})
    assert "no finite number" in estimator.update({"height": LateValue(float("nan"), 0.0)})[0]


# --- the filter


def test_filter_of_a_linear_system_is_the_kalman_filter() -> None:
    """Against the textbook's matrices, with the exponential of the system's matrix."""
    estimator = Estimator(Walk(), None, {"position": 0.0, "speed": 1.0}, {"height": 0.3}, drift=0.0, uncertainty=0.5)
    mean, change = np.array([0.0, 1.0]), np.array([[1.0, (1.0 - np.exp(-0.1)) / 0.1], [0.0, np.exp(-0.1)]])
    sizes = np.array([0.02, 1.0])
    covariance, picks = np.diag((0.5 * sizes) ** 2), np.array([[2.0, -1.0]])
    for measured in (-0.9, 0.7, 2.2, 4.1):
        gain = covariance @ picks.T / (picks @ covariance @ picks.T + 0.09)
        mean = mean + (gain * (measured - picks @ mean)).ravel()
        covariance = covariance - gain @ picks @ covariance
        estimator.update({"height": measured})
        assert list(estimator.states.values()) == pytest.approx(mean, rel=1.0e-5)
        deviations = [estimator.deviations[name] for name in ("position", "speed")]
        assert deviations == pytest.approx(np.sqrt(np.diag(covariance)), rel=1.0e-4)
        mean, covariance = change @ mean, change @ covariance @ change.T
        estimator.predict({}, 1.0)


def test_state_that_may_be_below_zero_is_not_cut_off() -> None:
    estimator = Estimator(Walk(), None, {"position": 0.1, "speed": -1.0}, {"position": 0.1}, uncertainty=1.0)
    estimator.predict({}, 1.0)
    estimator.update({"position": -0.8})
    assert estimator.states["position"] < -0.5
    assert estimator.states["speed"] < 0.0


@pytest.mark.parametrize("kind", [Estimator, MovingHorizonEstimator])
def test_estimated_uptake_stays_where_the_metabolism_is_valid(
    reactor: Bioreactor, cell: Surrogate, kind: type[Estimator]
) -> None:
    """Gas that more than the largest valid uptake would make is left out, or explained by what is valid."""
    noise = {"oxygen_uptake": 0.5, "carbon_evolution": 0.5}
    given = {"parameters": {"glucose_vmax": 11.5}, "drifting": {"glucose_vmax": 0.5}}
    estimator = kind(reactor, cell, START, noise, **given)
    plant = Plant(reactor, cell, START, parameters={"glucose_vmax": 11.9}, noise=noise, seed=2)
    for _ in range(5):
        estimator.update({name: 1.1 * float(value) for name, value in plant.measure().items()})  # type: ignore[arg-type]
        assert estimator.parameters["glucose_vmax"] <= 12.0
        plant.advance({"feed": 0.01}, 0.25)
        estimator.predict({"feed": 0.01}, 0.25)


# --- frozen


def test_probe_that_stands_still_is_left_out(reactor: Bioreactor, cell: Surrogate) -> None:
    """Dissolved oxygen is drawn down in a growing batch; the probe shows what it showed at the start."""
    plant = Plant(reactor, cell, {**START, "biomass": 5.0, "glucose": 20.0}, noise=OFF_GAS, seed=4)
    estimator = Estimator(reactor, cell, {**START, "biomass": 5.0, "glucose": 20.0}, OFF_GAS)
    notes: list[str] = []
    for _ in range(6):
        notes += estimator.update({**plant.measure(), "oxygen_saturation": 60.0})
        plant.advance({"feed": 0.0}, 0.25)
        estimator.predict({"feed": 0.0}, 0.25)
    assert any("frozen" in note or "was expected" in note for note in notes)
    assert estimator.states["oxygen"] == pytest.approx(plant.states["oxygen"], rel=0.1)


def test_rare_sensor_that_repeats_itself_is_frozen() -> None:
    """Between its samples another sensor is read, which must not count as what it was expected to show."""
    noise = {"position": 0.5, "height": 0.05}
    walk = Estimator(Walk(), None, {"position": 1.0, "speed": 1.0}, noise, drift=0.3, uncertainty=0.5)
    notes: list[str] = []
    for number in range(12):
        sample = {"height": 2.0 * (1.0 + 0.25 * number) - 1.0 + 1.0e-6 * number}
        notes += walk.update({**sample, **({"position": 1.5} if number % 4 == 0 else {})})
        walk.predict({}, 0.25)
    assert any("position" in note and ("frozen" in note or "was expected" in note) for note in notes)


def test_quantity_that_stands_still_is_not_frozen() -> None:
    still = Estimator(Walk(), None, {"position": 1.0, "speed": 0.0}, {"position": 0.1}, drift=0.0)
    notes: list[str] = []
    for _ in range(6):
        notes += still.update({"position": 1.0})
        still.predict({}, 1.0)
    assert notes == []


# --- wrong arguments


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda r, c: Estimator(r, c, START, {"oxygen_uptak": 0.5}), "nearest known: .*oxygen_uptake"),
        (lambda r, c: Plant(r, c, START, noise={"our": 0.5}), "measured 'our' is no state and no derived quantity"),
        (lambda r, c: Plant(r, c, START, noise={"volume": 0.1}, sampling={"volum": Sampling()}), "not measured"),
        (lambda r, c: Plant(r, c, START, noise={"volume": 0.1}, sampling={"volume": 2.0}), "give a Sampling"),
        (lambda r, c: Sampling(every=0.0), "every"),
        (lambda r, c: Sampling(delay=-1.0), "delay"),
        (lambda r, c: LateValue(1.0, float("nan")), "taken"),
        (lambda r, c: replace(r, carbon_dioxide=5), "carbon_dioxide"),
    ],
)
def test_wrong_argument_is_named(reactor: Bioreactor, cell: Surrogate, wrong: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        wrong(reactor, cell)


def test_exchange_that_the_cell_does_not_have_is_named(cell: Surrogate) -> None:
    with pytest.raises(MmoptError, match="nearest known: EX_co2_e"):
        simulate(replace(ecoli_fed_batch(), carbon_dioxide="EX_co2"), START, {"feed": ConstantFeed(0.0)}, 1.0, cell)


def test_loop_without_estimator_takes_states_alone(reactor: Bioreactor, cell: Surrogate) -> None:
    problem = Problem(reactor, START, Horizon(1.0, 2), {"feed": (0.0, 0.1)})
    noise = {**dict.fromkeys(START, 0.0), "oxygen_uptake": 0.1}
    loop = run_closed_loop(Plant(reactor, cell, START, noise=noise), Controller(problem, cell, 0.5))
    assert loop.fallbacks == 0


def test_estimate_moves_on_where_uptake_of_spent_species_chatters(surrogate: Surrogate) -> None:
    """Glucose, acetate and oxygen are spent at once: the variational equations do not come to an end there."""
    system = ecoli_fed_batch()
    spent = {
        "volume": 2.132213,
        "biomass": 17.770728,
        "glucose": 0.005673378,
        "acetate": 0.0022869,
        "oxygen": 0.04827592,
    }
    parameters = {**system.defaults, "kla": 301.4427457839523}
    scale = np.array([*(state.scale for state in system.states), 300.0])
    controls = {"feed": 0.02371464267594795}
    end = Sensitivities(system, surrogate, ["kla"], scale).moved(spent, parameters, controls, 0.5)
    feed = {"feed": ConstantFeed(controls["feed"])}
    simulated = simulate(system, spent, feed, 0.5, surrogate, parameters={"kla": parameters["kla"]})
    assert end.values == pytest.approx([simulated.final(state.name) for state in system.states], abs=1.0e-4)
    assert np.isfinite(end.slopes).all()
    volume, biomass = 0, 1
    assert end.slopes[volume, volume] == pytest.approx(1.0)
    assert 0.8 < end.slopes[biomass, biomass] < 1.1


def test_values_that_stay_far_are_followed_where_a_species_is_predicted_to_be_spent() -> None:
    """The covariance that a far value adds is gone after an interval in which acetate is eaten in prediction."""
    start = {"volume": 2.0, "biomass": 4.0, "glucose": 0.02, "acetate": 0.3, "oxygen": 0.2}
    estimator = Estimator(ecoli_fed_batch(), load_surrogate("ecoli_textbook"), start, {"acetate": 0.03})
    left_out = []
    for number in range(10):
        estimator.predict({"feed": 0.005}, 0.5)
        left_out.append(bool(estimator.update({"acetate": 0.8 + 0.1 * number})))
    assert left_out[0]
    assert sum(left_out) < 7
    assert estimator.states["acetate"] == pytest.approx(1.7, abs=0.3)


def test_one_far_value_changes_nothing_and_two_on_either_side_neither() -> None:
    start = {"volume": 2.0, "biomass": 4.0, "glucose": 0.02, "acetate": 0.3, "oxygen": 0.2}
    estimator = Estimator(ecoli_fed_batch(), load_surrogate("ecoli_textbook"), start, {"biomass": 0.03})
    for value in (9.0, -9.0, 9.0, -9.0):
        before = estimator.states["biomass"]
        assert estimator.update({"biomass": value})
        assert estimator.states["biomass"] == before

"""Moving-horizon estimation: the Kalman filter where that is exact, bounds, off-gas alone, bad samples, and failures."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares, minimize

from mmopt import (
    Controller,
    Estimator,
    Horizon,
    Plant,
    Problem,
    SolverError,
    StudyError,
    Surrogate,
    ecoli_fed_batch,
    load_surrogate,
    run_closed_loop,
    simulate,
)
from mmopt.control import LateValue, MovingHorizonEstimator, Sampling
from mmopt.estimation.window import Window
from mmopt.reactor import Bioreactor, ConstantFeed, Parameter, Quantity, System
from mmopt.simulation.sensitivities import Sensitivities
from tests.systems import Walk

START = {"volume": 2.0, "biomass": 1.0, "glucose": 10.0, "acetate": 0.3, "oxygen": 0.19}
OFF_GAS = {"volume": 0.005, "oxygen_saturation": 1.0, "oxygen_uptake": 0.5, "carbon_evolution": 0.5}
FEED = {"feed": 0.02}


@pytest.fixture(scope="module")
def cell() -> Surrogate:
    return load_surrogate("ecoli_textbook")


@pytest.fixture(scope="module")
def reactor() -> Bioreactor:
    return replace(ecoli_fed_batch(), carbon_dioxide="EX_co2_e")


class WalkAboveZero(Walk):
    """The same, but the position is never below zero."""

    states = (Quantity("position", "m", lower=0.0), Quantity("speed", "m/h"))


class Logistic(System):
    """Growth to a limit; the rate is not known."""

    states = (Quantity("x", "g/L", lower=0.0),)
    parameters = (Parameter("rate", 0.5, "1/h", lower=0.0),)

    def derivative(self, states: Any, controls: Any, parameters: Any, cell: Any) -> dict[str, Any]:
        return {"x": parameters["rate"] * states["x"] * (1.0 - states["x"] / 5.0)}


class Branching(Logistic):
    """The same, with a comparison that CasADi cannot compile."""

    def derivative(self, states: Any, controls: Any, parameters: Any, cell: Any) -> dict[str, Any]:
        return super().derivative(states, controls, parameters, cell) if states["x"] > 0.0 else {"x": 0.0}


WALK = {"position": 0.5, "speed": 1.0}
SEEN = {"height": 0.3, "speed": 0.2}
CHANGE = np.array([[1.0, (1.0 - np.exp(-0.1)) / 0.1], [0.0, np.exp(-0.1)]])
PICKS, NOISE = np.array([[2.0, -1.0], [0.0, 1.0]]), np.diag([0.09, 0.04])


# --- linear systems


@pytest.mark.parametrize("horizon", [None, 1, 3, 20])
@pytest.mark.parametrize("drift", [0.0, 0.1])
def test_estimate_of_a_linear_system_is_that_of_the_kalman_filter(drift: float, horizon: int | None) -> None:
    """Against the textbook's matrices, with the exponential of the system's matrix; no horizon is the filter itself."""
    options: dict[str, Any] = {"drift": drift, "uncertainty": 0.5}
    estimator = (
        Estimator(Walk(), None, WALK, SEEN, **options)
        if horizon is None
        else MovingHorizonEstimator(Walk(), None, WALK, SEEN, horizon=horizon, **options)
    )
    mean, covariance = np.array([0.5, 1.0]), np.diag([0.25, 0.5]) ** 2
    random = np.random.default_rng(0)
    for number in range(10):
        measured = PICKS @ [0.5 + 0.8 * number, 0.8] + [0.3, 0.2] * random.standard_normal(2)
        gain = covariance @ PICKS.T @ np.linalg.inv(PICKS @ covariance @ PICKS.T + NOISE)
        mean, covariance = mean + gain @ (measured - PICKS @ mean), covariance - gain @ PICKS @ covariance
        assert estimator.update(dict(zip(SEEN, measured.tolist(), strict=True))) == ()
        assert list(estimator.states.values()) == pytest.approx(mean, rel=1.0e-8, abs=1.0e-8)
        assert list(estimator.deviations.values()) == pytest.approx(np.sqrt(np.diag(covariance)), rel=1.0e-8)
        estimator.predict({}, 1.0)
        mean = CHANGE @ mean
        drifted = np.diag((drift * np.maximum(np.abs(mean), 0.02)) ** 2)
        covariance = CHANGE @ covariance @ CHANGE.T + drifted


@pytest.mark.parametrize("horizon", [1, 4])
def test_bad_and_late_values_of_a_linear_system_count_as_in_the_filter(horizon: int) -> None:
    walked = [
        Estimator(Walk(), None, WALK, SEEN),
        MovingHorizonEstimator(Walk(), None, WALK, SEEN, horizon=horizon),
    ]
    given: list[dict[str, Any]] = [
        {"height": 0.1, "speed": 1.1},
        {"height": 900.0, "speed": 1.0},
        {"height": None, "speed": "high"},
        {},
        {"height": 5.9, "speed": LateValue(0.8, 2.5)},
        {"height": LateValue(1.9, 1.0)},
        {"height": LateValue(1.0, 80.0)},
        {"height": float("nan"), "speed": 0.5},
    ]
    for measured in given:
        notes = [estimator.update(measured) for estimator in walked]
        assert notes[0] == notes[1]
        assert walked[1].states == pytest.approx(walked[0].states, rel=1.0e-8)
        assert walked[1].deviations == pytest.approx(walked[0].deviations, rel=1.0e-8)
        for estimator in walked:
            estimator.predict({}, 1.0)


# --- nonlinear systems, and bounds


@pytest.mark.parametrize("system", [Logistic(), Branching()], ids=["compiled", "in Python"])
def test_window_that_holds_all_has_the_least_squares(system: System) -> None:
    """Against a fit of the closed solution."""
    measured, deviation = np.array([0.55, 0.75, 1.25, 1.6, 2.4, 2.6]), 0.1
    times = np.arange(len(measured))
    estimator = MovingHorizonEstimator(
        system, None, {"x": 0.4}, {"x": deviation}, drifting={"rate": 0.0}, drift=0.0, uncertainty=0.5, horizon=10
    )
    for number, value in enumerate(measured.tolist()):
        estimator.update({"x": value})
        if number < len(measured) - 1:
            estimator.predict({}, 1.0)

    def grown(first: float, rate: float) -> np.ndarray:
        return 5.0 / (1.0 + (5.0 / first - 1.0) * np.exp(-rate * times))

    def residuals(unknowns: np.ndarray) -> np.ndarray:
        prior = (unknowns - [0.4, 0.5]) / [0.2, 0.25]
        return np.concatenate([prior, (grown(*unknowns) - measured) / deviation])

    fit = least_squares(residuals, [0.4, 0.5], xtol=1.0e-12)
    spread = np.sqrt(np.diag(np.linalg.inv(fit.jac.T @ fit.jac)))
    assert estimator.parameters["rate"] == pytest.approx(fit.x[1], abs=0.005 * spread[1])
    assert estimator.states["x"] == pytest.approx(grown(*fit.x)[-1], abs=0.005 * deviation)
    assert estimator.deviations["rate"] == pytest.approx(spread[1], rel=0.02)


def test_bounds_hold_at_every_time_of_the_window() -> None:
    """Against a general optimiser; the last position that is allowed is at its bound."""
    estimator = MovingHorizonEstimator(WalkAboveZero(), None, WALK, SEEN, drift=0.0, uncertainty=1.0)
    steps, measured = [np.eye(2)], [(0.9, -0.1), (-0.3, -0.2), (-1.2, -0.25), (-1.4, -0.3)]
    for number, (height, speed) in enumerate(measured):
        estimator.update({"height": height, "speed": speed})
        if number < len(measured) - 1:
            estimator.predict({}, 1.0)
            steps.append(CHANGE @ steps[-1])

    def cost(start: np.ndarray) -> float:
        arrival = (start - [0.5, 1.0]) / [0.5, 1.0]
        off = [(PICKS @ step @ start - seen) / [0.3, 0.2] for step, seen in zip(steps, measured, strict=True)]
        return float(arrival @ arrival + sum(one @ one for one in off))

    kept = [{"type": "ineq", "fun": lambda start, row=step[0]: row @ start} for step in steps]
    start = minimize(cost, [0.5, 0.0], constraints=kept, tol=1.0e-14).x
    expected = steps[-1] @ start
    assert expected[0] == pytest.approx(0.0, abs=1.0e-6)
    assert list(estimator.states.values()) == pytest.approx(expected, abs=1.0e-5)
    assert estimator.states["position"] >= 0.0


def test_parameter_stays_within_its_bounds() -> None:
    estimator = MovingHorizonEstimator(
        Logistic(), None, {"x": 1.0}, {"x": 0.05}, drifting={"rate": 0.5}, drift=0.0, uncertainty=0.5
    )
    for value in (1.0, 0.9, 0.78, 0.7):
        estimator.update({"x": value})
        assert estimator.parameters["rate"] >= 0.0
        estimator.predict({}, 1.0)
    assert estimator.parameters["rate"] == pytest.approx(0.0, abs=1.0e-9)


# --- off-gas


def followed(
    estimator: Estimator,
    reactor: Bioreactor,
    cell: Surrogate,
    truth: Mapping[str, float],
    seed: int,
    *,
    kla: tuple[float, ...] = (300.0,) * 5,
) -> tuple[dict[str, float], list[str]]:
    """Follow a plant for quarters of an hour with their own aeration; returns the true states at the end, and all notes."""
    notes: list[str] = []
    states = dict(truth)
    for number, value in enumerate(kla):
        plant = Plant(reactor, cell, states, parameters={"kla": value}, noise=OFF_GAS, seed=100 * seed + number)
        plant._controls = dict(FEED)
        notes += estimator.update(plant.measure())
        if number < len(kla) - 1:
            plant.advance(FEED, 0.25)
            estimator.predict(FEED, 0.25)
        states = plant.states
    return states, notes


@pytest.mark.parametrize("seed", range(3))
def test_biomass_and_glucose_are_learnt_from_off_gas(reactor: Bioreactor, cell: Surrogate, seed: int) -> None:
    """The inoculum is a third thicker than assumed, and nobody takes a sample."""
    estimator = MovingHorizonEstimator(reactor, cell, START, OFF_GAS, uncertainty=0.3)
    truth, notes = followed(estimator, reactor, cell, {**START, "biomass": 1.33}, seed)
    assert notes == []
    assert estimator.states["biomass"] == pytest.approx(truth["biomass"], rel=0.05)
    assert estimator.states["glucose"] == pytest.approx(truth["glucose"], rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_step_of_the_aeration_is_followed_within_an_hour(reactor: Bioreactor, cell: Surrogate, seed: int) -> None:
    estimator = MovingHorizonEstimator(reactor, cell, START, OFF_GAS, drifting={"kla": 0.1})
    # dissolved oxygen follows the aeration in seconds: one measurement before the step, then four quarters of an hour
    followed(estimator, reactor, cell, START, seed, kla=(300.0, 300.0, 240.0, 240.0, 240.0, 240.0, 240.0))
    assert estimator.parameters["kla"] == pytest.approx(240.0, rel=0.05)
    assert abs(estimator.parameters["kla"] - 240.0) < 4.0 * estimator.deviations["kla"]


def test_late_sample_counts_as_if_it_had_come_in_time(reactor: Bioreactor, cell: Surrogate) -> None:
    def estimated(taken: int, arrives: int) -> MovingHorizonEstimator:
        estimator = MovingHorizonEstimator(reactor, cell, START, {**OFF_GAS, "biomass": 0.1}, uncertainty=0.2)
        plant = Plant(reactor, cell, {**START, "biomass": 1.2}, noise=OFF_GAS, seed=2)
        for number in range(4):
            late = {"biomass": LateValue(1.55, 0.25 * taken)} if number == arrives else {}
            assert estimator.update({**plant.measure(), **late}) == ()
            plant.advance(FEED, 0.25)
            estimator.predict(FEED, 0.25)
        return estimator

    prompt, late = estimated(1, 1), estimated(1, 3)
    assert late.states == pytest.approx(prompt.states, rel=1.0e-3)
    assert late.deviations == pytest.approx(prompt.deviations, rel=1.0e-2)


# --- bad samples, failures


def test_bad_values_change_as_little_as_in_the_filter(reactor: Bioreactor, cell: Surrogate) -> None:
    estimators = [
        kind(reactor, cell, START, OFF_GAS, drifting={"kla": 0.1}) for kind in (Estimator, MovingHorizonEstimator)
    ]
    bad: list[dict[str, Any]] = [{}, {"oxygen_uptake": 500.0}, {"volume": None, "carbon_evolution": "high"}, {}]
    plant = Plant(reactor, cell, START, noise=OFF_GAS, seed=7)
    for number in range(6):
        measured = {**plant.measure(), "oxygen_saturation": 90.0, **(bad[number] if number < len(bad) else {})}
        notes = [estimator.update(measured) for estimator in estimators]
        # what was expected differs a little in the two
        assert [note.split(",")[0] for note in notes[0]] == [note.split(",")[0] for note in notes[1]]
        plant.advance(FEED, 0.25)
        for estimator in estimators:
            estimator.predict(FEED, 0.25)
    assert any("frozen" in note or "was expected" in note for note in notes[1])
    assert estimators[1].states["biomass"] == pytest.approx(plant.states["biomass"], rel=0.05)


def test_window_without_an_estimate_takes_that_of_the_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(window: Window) -> None:
        raise SolverError("injected failure")

    estimators = [kind(Walk(), None, WALK, SEEN) for kind in (Estimator, MovingHorizonEstimator)]
    monkeypatch.setattr(Window, "solve", failing)
    notes = [estimator.update({"height": 0.3}) for estimator in estimators]
    assert notes == [(), ("the window has no estimate (injected failure); the filter's is taken",)]
    assert estimators[1].states == estimators[0].states
    monkeypatch.undo()
    for estimator in estimators:
        estimator.predict({}, 1.0)
        assert estimator.update({"height": 2.0}) == ()
    assert estimators[1].states == pytest.approx(estimators[0].states, rel=1.0e-8)


@pytest.mark.parametrize("horizon", [0, 1.5, "six", None])
def test_horizon_that_is_no_number_of_intervals_is_refused(horizon: Any) -> None:
    with pytest.raises(StudyError, match="horizon"):
        MovingHorizonEstimator(Walk(), None, WALK, SEEN, horizon=horizon)


def test_unknown_sensor_is_refused(reactor: Bioreactor, cell: Surrogate) -> None:
    with pytest.raises(StudyError, match="oxygen_uptake"):
        MovingHorizonEstimator(reactor, cell, START, {"oxygen_uptak": 0.5})


# --- closed loop


def test_closed_loop_runs_with_it(reactor: Bioreactor, cell: Surrogate) -> None:
    problem = Problem(reactor, START, Horizon(2.0, 4), {"feed": (0.0, 0.1)}, {"oxygen_saturation": (20.0, None)})
    noise = {**OFF_GAS, "biomass": 0.1}
    plant = Plant(
        reactor,
        cell,
        START,
        parameters={"kla": 260.0},
        noise=noise,
        sampling={"biomass": Sampling(every=1.0, delay=0.5)},
        seed=1,
    )
    estimator = MovingHorizonEstimator(reactor, cell, START, noise, drifting={"kla": 0.1}, horizon=3)
    loop = run_closed_loop(plant, Controller(problem, cell, 0.5), estimator)
    assert len(loop.steps) == 4
    assert loop.fallbacks == 0
    assert estimator.time == pytest.approx(2.0)
    assert estimator.parameters["kla"] == pytest.approx(260.0, rel=0.05)


# --- sensitivities


@pytest.mark.parametrize("system", [Logistic(), Branching()], ids=["compiled", "in Python"])
def test_sensitivities_are_those_of_the_closed_solution(system: System) -> None:
    first, rate, hours = 0.4, 0.6, 2.0
    end = Sensitivities(system, None, ["rate"], np.array([1.0, 0.5])).moved({"x": first}, {"rate": rate}, {}, hours)
    decay = np.exp(-rate * hours)
    value = 5.0 / (1.0 + (5.0 / first - 1.0) * decay)
    by_first, by_rate = value**2 * decay / first**2, value**2 / 5.0 * (5.0 / first - 1.0) * hours * decay
    assert end.values == pytest.approx([value], rel=1.0e-5)
    assert end.slopes[0] == pytest.approx([by_first, by_rate], rel=1.0e-4)


def test_prediction_is_that_of_a_simulation(reactor: Bioreactor, cell: Surrogate) -> None:
    scale = np.array([state.scale for state in reactor.states] + [300.0])
    linearised = Sensitivities(reactor, cell, ["kla"], scale)

    def simulated(changed: Mapping[str, float], kla: float = 300.0) -> np.ndarray:
        start, feeds = {**START, **changed}, {"feed": ConstantFeed(0.02)}
        end = simulate(reactor, start, feeds, 0.25, cell, parameters={"kla": kla}, points=2, tolerance=1.0e-12)
        return np.array([end.final(state.name) for state in reactor.states])

    end = linearised.moved(START, reactor.defaults, FEED, 0.25)
    assert end.values == pytest.approx(simulated({}), rel=1.0e-7)
    by_biomass = (simulated({"biomass": 1.001}) - simulated({"biomass": 0.999})) / 0.002
    assert end.slopes[:, 1] == pytest.approx(by_biomass, rel=1.0e-4, abs=1.0e-6)
    by_kla = (simulated({}, 303.0) - simulated({}, 297.0)) / 6.0
    assert end.slopes[:, 5] == pytest.approx(by_kla, rel=1.0e-3, abs=1.0e-10)


def test_derived_quantities_have_their_slopes(reactor: Bioreactor, cell: Surrogate) -> None:
    scale = np.array([state.scale for state in reactor.states] + [300.0])
    linearised = Sensitivities(reactor, cell, ["kla"], scale)
    read = linearised.read(START, reactor.defaults, FEED)
    shifted = [{**START, "oxygen": START["oxygen"] * (1.0 + by)} for by in (-1.0e-4, 1.0e-4)]
    low, high = (linearised.read(one, reactor.defaults, FEED).values for one in shifted)
    names = [known.name for known in reactor.derived]
    assert read.slopes[:, 4] == pytest.approx((high - low) / (2.0e-4 * START["oxygen"]), rel=1.0e-4, abs=1.0e-6)
    assert read.values[names.index("oxygen_saturation")] == pytest.approx(100.0 * 0.19 / 0.21)
    assert read.slopes[names.index("oxygen_transfer"), 5] == pytest.approx(0.21 - 0.19)


def test_integration_that_fails_says_so() -> None:
    class Escaping(System):
        states = (Quantity("x", "g"),)

        def derivative(self, states: Any, controls: Any, parameters: Any, cell: Any) -> dict[str, Any]:
            return {"x": states["x"] * states["x"]}

    with pytest.raises(SolverError, match="failed after 1 h"):
        Sensitivities(Escaping(), None, [], np.ones(1)).moved({"x": 1.0}, {}, {}, 2.0)

"""The textbook's dynamic FBA is met to its published end, and starvation goes on from there without a break."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt.fba.flux_program import FluxProgram
from mmopt.network.network import Network
from mmopt.results import Trajectory
from mmopt.status import Status

TUTORIAL = Path(__file__).parents[1] / "case_studies" / "dynamic_fba" / "tutorial.py"

# COBRApy's tutorial on dynamic FBA: the linear program becomes infeasible here.
END = {"time": 5.80191035, "biomass": 0.87280538, "glucose": 0.25178492}

LEAST_GLUCOSE = 0.4794286
"""Least uptake that pays for maintenance [mmol/gDW/h]."""


@pytest.fixture(scope="module")
def tutorial() -> dict[str, Any]:
    return runpy.run_path(str(TUTORIAL))


@pytest.fixture(scope="module")
def program(textbook: Network) -> FluxProgram:
    return FluxProgram(textbook, ["EX_glc__D_e"])


@pytest.fixture(scope="module")
def ended(tutorial: dict[str, Any], program: FluxProgram) -> Trajectory:
    return tutorial["until_first_shortfall"](program)


@pytest.fixture(scope="module")
def whole(tutorial: dict[str, Any], program: FluxProgram) -> Trajectory:
    return tutorial["through_starvation"](program)


def test_tutorial_keeps_its_own_assertions(tutorial: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    tutorial["main"]()
    assert "textbook rule ends at" in capsys.readouterr().out


def test_textbook_rule_ends_when_published(ended: Trajectory) -> None:
    assert ended.time[-1] == pytest.approx(END["time"], abs=1.0e-5)


@pytest.mark.parametrize("state", ["biomass", "glucose"])
def test_textbook_rule_ends_where_published(ended: Trajectory, state: str) -> None:
    assert ended.final(state) == pytest.approx(END[state], abs=2.0e-6)


def test_textbook_rule_ends_at_the_least_glucose(ended: Trajectory) -> None:
    limit = 10.0 * ended.final("glucose") / (5.0 + ended.final("glucose"))
    assert limit == pytest.approx(LEAST_GLUCOSE, abs=1.0e-6)


def test_textbook_rule_tells_that_it_ended_early(ended: Trajectory) -> None:
    assert ended.status is Status.ENDED_EARLY


def test_own_rule_goes_on_to_the_end(whole: Trajectory) -> None:
    assert (whole.status, whole.time[-1]) == (Status.SIMULATED, 8.0)


@pytest.mark.parametrize("state", ["biomass", "glucose"])
def test_both_rules_agree_until_the_first_shortfall(ended: Trajectory, whole: Trajectory, state: str) -> None:
    before = whole.time < END["time"]
    assert ended.at(state, whole.time[before]) == pytest.approx(whole[state][before], abs=1.0e-6)


def test_glucose_falls_towards_zero(whole: Trajectory) -> None:
    assert 0.0 < whole.final("glucose") < 0.01


def test_glucose_never_rises(whole: Trajectory) -> None:
    assert np.all(np.diff(whole["glucose"]) < 0.0)


def test_biomass_is_constant_once_growth_stops(whole: Trajectory) -> None:
    after = whole.time > END["time"] + 1.0e-4
    assert np.ptp(whole["biomass"][after]) < 1.0e-7


def test_growth_stays_zero_once_it_stops(whole: Trajectory) -> None:
    after = whole.time > END["time"] + 1.0e-4
    assert np.abs(whole["growth"][after]).max() < 1.0e-9


def test_shortfall_is_zero_until_growth_stops(whole: Trajectory) -> None:
    before = whole.time < END["time"] - 1.0e-4
    assert np.abs(whole["shortfall"][before]).max() < 1.0e-9


def test_shortfall_is_the_part_that_glucose_cannot_pay(whole: Trajectory) -> None:
    after = whole.time > END["time"] + 1.0e-4
    glucose = whole["glucose"][after]
    unpaid = 8.39 * (1.0 - 10.0 * glucose / (5.0 + glucose) / LEAST_GLUCOSE)
    assert whole["shortfall"][after] == pytest.approx(unpaid, abs=1.0e-5)


def test_shortfall_rises_from_zero_without_a_jump(whole: Trajectory) -> None:
    # d(shortfall)/dt is 13 mmol/gDW/h² at most, where it begins: no step between two times is larger
    assert np.diff(whole["shortfall"]).max() < 13.5 * np.diff(whole.time).max()


def test_glucose_lost_by_the_vessel_is_what_the_cells_took_up(whole: Trajectory) -> None:
    # dG/dt = -q X, by the trapezoid rule over the printed times
    rate = -whole["EX_glc__D_e"] * whole["biomass"]
    taken = np.sum(0.5 * (rate[1:] + rate[:-1]) * np.diff(whole.time))
    assert whole["glucose"][0] - whole.final("glucose") == pytest.approx(taken, rel=1.0e-4)

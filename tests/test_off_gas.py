"""The off-gas follows from the balance of what nothing takes up, and is limited, measured and read from a study."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from mmopt import (
    Bioreactor,
    ConstantFeed,
    Horizon,
    Problem,
    StudyError,
    Surrogate,
    ecoli_fed_batch,
    load_surrogate,
    optimise,
    simulate,
)
from mmopt.estimation.readout import measurable
from mmopt.optimisation import scaled
from mmopt.reactor import OffGas, StirredTank
from mmopt.reactor.known import SystemField

START = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
LITRES = 22.414
"""Of a mole of gas at 0 degrees Celsius and 1.01325 bar."""


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    return load_surrogate("ecoli_textbook")


def analysed(**fields: float) -> Bioreactor:
    return replace(ecoli_fed_batch(), components=(OffGas(flow=3.0, **fields),), carbon_dioxide="EX_co2_e")


def test_nitrogen_that_enters_leaves_and_oxygen_and_carbon_dioxide_are_those_of_the_cells(surrogate: Surrogate) -> None:
    run = simulate(analysed(), START, {"feed": ConstantFeed(0.02)}, 4.0, surrogate)
    entering = 3.0 * 60.0 / LITRES * 1000.0  # mmol/h
    nitrogen = entering * (100.0 - 20.95 - 0.04) / 100.0
    leaving = nitrogen / (1.0 - (run["off_gas_oxygen"] + run["off_gas_carbon_dioxide"]) / 100.0)
    used = (entering * 20.95 - leaving * run["off_gas_oxygen"]) / 100.0 / run["volume"]
    given = (leaving * run["off_gas_carbon_dioxide"] - entering * 0.04) / 100.0 / run["volume"]
    np.testing.assert_allclose(used, run["oxygen_uptake"], rtol=1.0e-9, atol=1.0e-9)
    np.testing.assert_allclose(given, run["carbon_evolution"], rtol=1.0e-9, atol=1.0e-9)
    assert 10.0 < run["off_gas_oxygen"].min() < 20.0


def test_analyser_without_cells_reads_the_gas_that_enters(surrogate: Surrogate) -> None:
    empty = {**START, "biomass": 0.0}
    run = simulate(analysed(oxygen=40.0, carbon_dioxide=1.0), empty, {"feed": ConstantFeed(0.0)}, 1.0, surrogate)
    assert run.final("off_gas_oxygen") == pytest.approx(40.0)
    assert run.final("off_gas_carbon_dioxide") == pytest.approx(1.0)


def test_flow_is_that_of_a_stirred_tank_where_none_is_given(surrogate: Surrogate) -> None:
    reactor = ecoli_fed_batch()
    tank = (StirredTank(0.08, 0.18), OffGas())
    stirred = replace(reactor, aeration=replace(reactor.aeration, kla=None), components=tank)
    controls = {"feed": ConstantFeed(0.0), "stirrer_speed": ConstantFeed(600.0)}
    slow, fast = (
        simulate(stirred, START, {**controls, "gas_flow": ConstantFeed(flow)}, 1.0, surrogate) for flow in (1.0, 4.0)
    )
    assert 0.0 < slow.final("off_gas_oxygen") < fast.final("off_gas_oxygen") < 20.95


def test_fraction_in_the_off_gas_can_be_limited_and_measured(surrogate: Surrogate) -> None:
    reactor = analysed()
    limits = {"off_gas_carbon_dioxide": (None, 1.5), "volume": (None, 2.4)}
    plan = optimise(Problem(reactor, START, Horizon(4.0, 6), {"feed": (0.0, 0.1)}, limits), surrogate)
    assert plan.keeps_limits
    assert plan.integration is not None
    assert plan.integration.trajectory["off_gas_carbon_dioxide"].max() == pytest.approx(1.5, rel=2.0e-2)
    assert {"off_gas_oxygen", "off_gas_carbon_dioxide"} <= set(measurable(reactor))


def test_gas_flow_grows_with_the_vessel_so_that_the_off_gas_stays(surrogate: Surrogate) -> None:
    limits = {"oxygen_saturation": (20.0, None), "volume": (None, 2.4)}
    plan = optimise(Problem(analysed(), START, Horizon(4.0, 6), {"feed": (0.0, 0.1)}, limits), surrogate)
    large = scaled(plan, surrogate, volume=20.0)
    assert large.problem.parameters["air_flow"] == pytest.approx(30.0)
    small = plan.replay(surrogate).trajectory
    assert large.trajectory.final("off_gas_oxygen") == pytest.approx(small.final("off_gas_oxygen"), rel=1.0e-4)


def test_study_file_has_an_analyser() -> None:
    text = """
species:
  - {name: oxygen, exchange: EX_o2_e, unit: mmol/L, uptake: {vmax: 15.0, half: 0.001}}
components: [{kind: off_gas, flow: 2.5, oxygen: 21.0}]
"""
    described = YAML(typ="safe").load(text)
    reactor = TypeAdapter(SystemField).validate_python(described)
    assert reactor.components == (OffGas(2.5, 21.0),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flow": 0.0}, "flow is 0.0; it should be greater than 0"),
        ({"oxygen": 99.0, "carbon_dioxide": 1.0}, "the balance needs some other gas"),
        ({"oxygen_exchange": ""}, "oxygen_exchange"),
    ],
)
def test_impossible_gas_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        OffGas(**fields)


def test_analyser_without_a_flow_is_refused_when_the_reactor_is_made() -> None:
    with pytest.raises(StudyError, match="gas_flow"):
        replace(ecoli_fed_batch(), components=(OffGas(),))

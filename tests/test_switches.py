"""What is not there is not eaten: uptake vanishes with its limit, whatever the trained layers say."""

from collections.abc import Callable
from typing import Any

import casadi
import numpy as np
import pyomo.environ as pyo
import pytest

from mmopt.dataset import tabulate_fluxes
from mmopt.exchange import export_onnx
from mmopt.fba import Atlas, Domain
from mmopt.fitting.switches import STRENGTH, Switches, no_switches, switches_of
from mmopt.surrogate import Surrogate, embed
from mmopt.surrogate.layer import Layer, chained
from mmopt.training import train

GLUCOSE, OXYGEN = "EX_glc__D_e", "EX_o2_e"
BOX = Domain({"EX_a_e": (0.0, 10.0), "EX_b_e": (0.0, 5.0), "EX_c_e": (1.0, 2.0)})
NOTHING_LEFT = 1.0e-9
"""Uptake of what is not there [mmol/gDW/h]: exp(-40), times what a softplus may be large."""


def switches(activation: str, seed: int = 0) -> Switches:
    return switches_of(BOX, np.random.default_rng(seed).random((3, 4)) > 0.4, activation)


def layers(own: Switches, depth: int, seed: int) -> tuple[list[Layer], Layer]:
    """Hidden layers of which the second takes the units beside the first, and a layer of softplus."""
    random, widths = np.random.default_rng(seed), [3, 6, 5, 4][: depth + 1]
    rows = [before + (own.count if number == 1 else 0) for number, before in enumerate(widths)]
    hidden = [
        Layer(random.normal(size=(rows[number], width)), random.normal(size=width), own.activation)
        for number, width in enumerate(widths[1:])
    ]
    return hidden, Layer(random.normal(size=(rows[-1], 4)), random.normal(size=4), "softplus")


@pytest.fixture(scope="module", params=[(8, 8), (6,)], ids=str)
def trained(request: Any, core_atlas: Atlas) -> Surrogate:
    table = tabulate_fluxes(core_atlas.network, core_atlas.domain, 200, source=core_atlas)
    return train(table, hidden=request.param, iterations=5, starts=1, switches=True)


def on_a_face(surrogate: Surrogate, column: int, value: float = 0.0) -> np.ndarray:
    points = np.random.default_rng(column).random((200, 2)) * surrogate.domain.upper
    points[:, column] = value
    return points


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_one_chain_of_layers_does_what_layers_and_switches_do(activation: str, depth: int) -> None:
    own = switches(activation)
    hidden, last = layers(own, depth, 1)
    points = np.random.default_rng(2).random((100, 3)) * [0.2, 0.05, 1.0] + [0.0, 0.0, 1.0]
    values = np.hstack([hidden[0](points), own.units(points)])
    for layer in hidden[1:]:
        values = layer(values)
    arguments = values @ last.weights + last.bias + own.lowering(points, depth)
    assert chained(own.joined(hidden, last), points) == pytest.approx(np.logaddexp(0.0, arguments), abs=1.0e-9)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_trained_layers_are_those_that_were_joined(activation: str, depth: int) -> None:
    own = switches(activation)
    hidden, last = layers(own, depth, 3)
    *joined, softplus = own.joined(hidden, last)
    parted, own_last = own.parted(joined, softplus)
    for one, other in zip((*hidden, last), (*parted, own_last), strict=True):
        assert one.weights == pytest.approx(other.weights, abs=1.0e-9)
        assert one.bias == pytest.approx(other.bias, abs=1.0e-9)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_modes_are_off_at_zero_and_untouched_above(activation: str) -> None:
    own = switches(activation)
    assert own.lowering(np.array([[0.0, 5.0, 1.0]]), 2)[0] == pytest.approx(-STRENGTH * own.consumes[0], abs=1.0e-9)
    assert own.lowering(np.array([[0.2, 0.1, 1.0]]), 2)[0] == pytest.approx(np.zeros(4), abs=1.0e-2)


def test_input_that_is_never_zero_has_no_switch() -> None:
    assert set(switches("tanh").columns) == {0, 1}


def test_chain_without_switches_is_as_it_was() -> None:
    none = no_switches(3, 4, "tanh")
    hidden, last = layers(none, 2, 4)
    assert none.joined(hidden, last) == (*hidden, last)


@pytest.mark.parametrize("column", [0, 1])
def test_what_is_not_there_is_not_eaten(trained: Surrogate, column: int) -> None:
    points = on_a_face(trained, column)
    assert -trained.reader([trained.inputs[column]])(points).min() < NOTHING_LEFT


@pytest.mark.parametrize("column", [0, 1])
def test_nothing_is_eaten_below_zero(trained: Surrogate, column: int) -> None:
    points = on_a_face(trained, column, -0.3)
    assert -trained.reader([trained.inputs[column]])(points).min() < NOTHING_LEFT


def casadi_rates(surrogate: Surrogate, points: np.ndarray, names: list[str], _: Any) -> np.ndarray:
    symbols = casadi.SX.sym("limits", 2)
    rates = surrogate.rate_function(names).expressions({name: symbols[k] for k, name in enumerate(surrogate.inputs)})
    function = casadi.Function("rates", [symbols], [casadi.vertcat(*(rates[name] for name in names))])
    return np.array(function(points.T)).T


def pyomo_rates(surrogate: Surrogate, points: np.ndarray, names: list[str], _: Any) -> np.ndarray:
    rows = []
    for point in points[:4]:
        problem = pyo.ConcreteModel()
        problem.limit = pyo.Var(surrogate.inputs, initialize=dict(zip(surrogate.inputs, point, strict=True)))
        rates = embed(problem, surrogate, dict(problem.limit), names)
        rows.append([pyo.value(rates[name]) for name in names])
    return np.array(rows)


def onnx_rates(surrogate: Surrogate, points: np.ndarray, names: list[str], folder: Any) -> np.ndarray:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(export_onnx(surrogate, folder / "cell.onnx", names)))
    rates: np.ndarray = session.run(None, {session.get_inputs()[0].name: points})[0]
    return rates


@pytest.mark.parametrize("rates", [casadi_rates, pyomo_rates, onnx_rates])
@pytest.mark.parametrize("column", [0, 1])
def test_embedded_and_exported_surrogates_eat_nothing_either(
    trained: Surrogate, tmp_path: Any, column: int, rates: Callable[..., np.ndarray]
) -> None:
    eaten = -rates(trained, on_a_face(trained, column), [trained.inputs[column]], tmp_path)
    assert eaten.max() < NOTHING_LEFT


def test_surrogate_without_switches_is_continued_with_them(core_atlas: Atlas) -> None:
    table = tabulate_fluxes(core_atlas.network, core_atlas.domain, 200, source=core_atlas)
    before = train(table, hidden=(6, 6), iterations=5, starts=1)
    after = train(table, hidden=(6, 6), iterations=5, start=before, switches=True)
    assert before.hidden[0].weights.shape[1] == 6
    assert (
        train(table, hidden=(6, 6), iterations=5, start=after).hidden[0].weights.shape == after.hidden[0].weights.shape
    )
    assert -after.reader([GLUCOSE])(on_a_face(after, 0)).min() < NOTHING_LEFT

"""Surrogates leave for Keras, ONNX and IDAES and come back unchanged; what else stands in such files is refused, never run."""

import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pyomo.environ as pyo
import pytest
from onnx import TensorProto, helper, numpy_helper

from mmopt.errors import SurrogateError
from mmopt.exchange import export_keras, idaes_surrogate
from mmopt.exchange import foreign_network as exchange
from mmopt.exchange.keras_import import import_keras
from mmopt.exchange.onnx_export import export_onnx
from mmopt.exchange.onnx_import import import_onnx
from mmopt.fba.domain import Domain
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.vessels.ecoli import ecoli_fed_batch
from mmopt.simulation.simulate import simulate
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.surrogate.embed import embed
from mmopt.surrogate.loading import load_surrogate
from mmopt.surrogate.surrogate import ACTIVATIONS, Layer, Surrogate, chained
from tests.networks import BOX, chain, small_surrogate, uniform

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # TensorFlow's own arrays, on NumPy 2
)

NAMES = ["growth", "EX_ac_e", "shortfall", "EX_o2_e"]
GIVEN = ["growth", "EX_ac_e"]
DOUBLE, SINGLE = 1.0e-9, 1.0e-6
Change = Callable[[Any], object]


@pytest.fixture(scope="module", params=["ecoli_ijo1366", *ACTIVATIONS])
def cell(request: pytest.FixtureRequest) -> Surrogate:
    return load_surrogate("ecoli_ijo1366") if request.param == "ecoli_ijo1366" else small_surrogate(request.param)


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    return keras


def own_answer(network: Any, points: np.ndarray) -> np.ndarray:
    """What Keras itself says, in the precision of the network."""
    return np.asarray(network(points), dtype=float)


# exports


def test_keras_gives_what_the_surrogate_predicts(cell: Surrogate, tmp_path: Path, keras: Any) -> None:
    points = uniform(cell.domain, 1000, seed=1)
    network = keras.saving.load_model(export_keras(cell, tmp_path / "cell.keras", NAMES))
    assert own_answer(network, points) == pytest.approx(cell.predict(points, NAMES), abs=DOUBLE)


def test_onnx_runtime_gives_what_the_surrogate_predicts(cell: Surrogate, tmp_path: Path) -> None:
    from onnxruntime import InferenceSession

    points = uniform(cell.domain, 1000, seed=2)
    session = InferenceSession(export_onnx(cell, tmp_path / "cell.onnx", NAMES))
    assert session.run(None, {"limits": points})[0] == pytest.approx(cell.predict(points, NAMES), abs=DOUBLE)


def test_exported_graph_names_limits_and_readings_with_units(tmp_path: Path) -> None:
    proto = onnx.load(export_onnx(small_surrogate(), tmp_path / "cell.onnx", NAMES))
    assert {each.key: json.loads(each.value) for each in proto.metadata_props} == {
        "limits": ["EX_glc__D_e", "EX_o2_e"],
        "limits_unit": "mmol/gDW/h",
        "lower": [0.0, 0.0],
        "upper": [10.0, 16.0],
        "readings": NAMES,
        "readings_units": ["1/h", "mmol/gDW/h", "mmol/gDW/h", "mmol/gDW/h"],
    }


def test_exported_graph_passes_the_checker(tmp_path: Path) -> None:
    onnx.checker.check_model(
        str(export_onnx(small_surrogate("softplus"), tmp_path / "cell.onnx", NAMES)), full_check=True
    )


@pytest.mark.parametrize("export", [export_keras, export_onnx, lambda cell, _, names: idaes_surrogate(cell, names)])
@pytest.mark.parametrize("names", [[], "growth", ["growth", "growth"]], ids=str)
def test_names_that_are_not_a_list_of_names_are_refused(export: Callable[..., Any], names: Any, tmp_path: Path) -> None:
    path = tmp_path / ("cell.keras" if export is export_keras else "cell.onnx")
    with pytest.raises(SurrogateError, match="cannot be exchanged; give a list of different names"):
        export(small_surrogate(), path, names)


@pytest.mark.parametrize(("export", "suffix"), [(export_keras, ".keras"), (export_onnx, ".onnx")])
def test_export_of_an_unknown_reading_writes_nothing(export: Callable[..., Any], suffix: str, tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match="no reading 'EX_lac_e'"):
        export(small_surrogate(), tmp_path / f"cell{suffix}", ["EX_lac_e"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("export", "suffix"), [(export_keras, ".keras"), (export_onnx, ".onnx")])
def test_export_under_another_ending_is_refused(export: Callable[..., Any], suffix: str, tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match=rf"cell.h5 does not end in \{suffix}"):
        export(small_surrogate(), tmp_path / "cell.h5", ["growth"])


def test_softplus_that_would_overflow_is_not_exported(tmp_path: Path) -> None:
    steep = Layer(np.full((2, 1), 100.0), np.zeros(1), "softplus")
    cell = exchange.imported(
        exchange.network_file("steep.onnx", ".onnx", ""),
        [steep],
        BOX,
        ["growth"],
        scaling=(0.0, 1.0, 0.0, 1.0),
        biomass="BIOMASS",
        maintenance=(None, 0.0),
    )
    with pytest.raises(SurrogateError, match="a softplus of this surrogate can take 2600, and ONNX Runtime overflows"):
        export_onnx(cell, tmp_path / "steep.onnx", ["growth"])


# IDAES


@pytest.fixture(scope="module")
def flowsheet_cell(surrogate: Surrogate) -> Any:
    return idaes_surrogate(surrogate, NAMES)


def test_idaes_surrogate_is_labelled_and_bounded(flowsheet_cell: Any, surrogate: Surrogate) -> None:
    told = (flowsheet_cell.input_labels(), flowsheet_cell.output_labels(), flowsheet_cell.input_bounds())
    labels = ["growth", "EX_ac_e_flux", "shortfall", "EX_o2_e_flux"]
    assert told == (list(surrogate.inputs), labels, dict(surrogate.domain.limits))


@pytest.mark.parametrize("formulation", ["FULL_SPACE", "REDUCED_SPACE"])
def test_idaes_block_is_solved_to_the_best_of_the_surrogate(
    flowsheet_cell: Any, surrogate: Surrogate, formulation: str
) -> None:
    """Most growth with at most 10 mmol/gDW/h of oxygen and 1 of acetate secreted; the judge is a grid."""
    from idaes.core.surrogate.surrogate_block import SurrogateBlock

    sheet = pyo.ConcreteModel()
    sheet.cell = SurrogateBlock()
    sheet.cell.build_model(flowsheet_cell, formulation=flowsheet_cell.Formulation[formulation])
    sheet.cell.inputs["EX_o2_e"].setub(10.0)
    for name in surrogate.inputs:  # from no uptake at all, where nothing grows, an optimum may be local
        sheet.cell.inputs[name].set_value(4.0)
    sheet.cell.outputs["EX_ac_e_flux"].setub(1.0)
    sheet.cost = pyo.Objective(expr=-sheet.cell.outputs["growth"])
    solved = NonlinearProgram(sheet).solve()
    assert solved.status.solved
    limits = [sheet.cell.inputs[name].value for name in surrogate.inputs]
    found = [value.value for value in sheet.cell.outputs.values()]
    assert found == pytest.approx(chained(surrogate.layers(NAMES), np.array(limits)), abs=1.0e-7)
    grid = np.stack(np.meshgrid(*(np.linspace(0.0, top, 41) for top in (12.0, 10.0, 4.0))), axis=-1).reshape(-1, 3)
    readings = surrogate.predict(grid, NAMES)
    best = readings[readings[:, 1] <= 1.0, 0].max()
    assert best - 1.0e-6 <= found[0] <= best + 0.01


def test_idaes_surrogate_evaluates_what_the_surrogate_predicts(flowsheet_cell: Any, surrogate: Surrogate) -> None:
    import pandas as pd

    points = uniform(surrogate.domain, 100, seed=3)
    told = flowsheet_cell.evaluate_surrogate(pd.DataFrame(points, columns=list(surrogate.inputs)))
    assert told.to_numpy() == pytest.approx(surrogate.predict(points, NAMES), abs=1.0e-5)  # Keras rounds to float32


# imports of what was exported


@pytest.mark.parametrize(
    ("export", "take", "suffix"), [(export_keras, import_keras, ".keras"), (export_onnx, import_onnx, ".onnx")]
)
def test_surrogate_that_left_comes_back_to_the_last_bit(
    cell: Surrogate, tmp_path: Path, export: Callable[..., Path], take: Callable[..., Surrogate], suffix: str
) -> None:
    names = ["growth", "EX_ac_e", "ATPM"]
    back = take(export(cell, tmp_path / f"cell{suffix}", names), cell.domain, names, biomass=cell.biomass)
    points = uniform(cell.domain, 1000, seed=4)
    assert np.array_equal(back.predict(points, names), cell.predict(points, names))


def test_imported_surrogate_tells_that_nothing_balances_it(tmp_path: Path) -> None:
    path = export_onnx(small_surrogate(), tmp_path / "theirs.onnx", GIVEN)
    assert import_onnx(path, BOX, GIVEN).card == {"kind": "dense, imported", "balanced": False, "source": "theirs.onnx"}


def test_imported_surrogate_is_saved_and_loaded(tmp_path: Path) -> None:
    given = import_onnx(export_onnx(small_surrogate(), tmp_path / "cell.onnx", GIVEN), BOX, GIVEN)
    given.save(tmp_path / "cell")
    points = uniform(BOX, 20, seed=5)
    assert np.array_equal(load_surrogate(tmp_path / "cell").predict(points), given.predict(points))


def test_imported_surrogate_is_embedded_as_it_predicts(tmp_path: Path) -> None:
    given = import_onnx(export_onnx(small_surrogate("sigmoid"), tmp_path / "cell.onnx", GIVEN), BOX, GIVEN)
    problem = pyo.ConcreteModel()
    problem.limit = pyo.Var(given.inputs, initialize=3.0)
    rates = embed(problem, given, dict(problem.limit), GIVEN)
    assert [pyo.value(rates[name]) for name in GIVEN] == pytest.approx(given.predict([3.0, 3.0], GIVEN), abs=1.0e-12)


def test_imported_surrogate_ferments_as_the_one_that_was_exported(surrogate: Surrogate, tmp_path: Path) -> None:
    reactor = ecoli_fed_batch()
    names = [*(name for name in reactor.readings if name != "shortfall"), "ATPM"]
    given = import_onnx(
        export_onnx(surrogate, tmp_path / "cell.onnx", names),
        surrogate.domain,
        names,
        biomass=surrogate.biomass,
        maintenance="ATPM",
        maintenance_demand=surrogate.maintenance_demand,
    )
    start = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
    feed = {"feed": ConstantFeed(0.02)}
    mine, theirs = (simulate(reactor, start, feed, 2.0, each).final("biomass") for each in (surrogate, given))
    assert theirs == pytest.approx(mine, rel=1.0e-9)


# imports of what others trained


def trained_elsewhere(keras: Any, kind: str, activation: str, **options: Any) -> Any:
    """A Keras network with two inputs and two outputs, with weights of all signs."""
    keras.utils.set_random_seed(7)
    dense = keras.layers.Dense
    normalised = []
    if options.get("normalised") == "given":
        normalised = [keras.layers.Normalization(mean=[5.0, 8.0], variance=[8.0, 21.0], dtype=kind)]
    if options.get("normalised") == "adapted":
        normalised = [keras.layers.Normalization(dtype=kind)]
        normalised[0].adapt(uniform(BOX, 200, seed=6))
    layers = [
        *normalised,
        dense(7, activation, dtype=kind, bias_initializer="normal", use_bias=options.get("use_bias", True)),
        dense(5, activation, dtype=kind, name="inner", kernel_regularizer="l2"),
        dense(2, options.get("last", "linear"), dtype=kind, bias_initializer="normal"),
    ]
    network = keras.Sequential([keras.Input((2,), dtype=kind), *layers] if options.get("told", True) else layers)
    network(np.zeros((1, 2), dtype=kind))
    if options.get("compiled"):
        network.compile("adam", "mse")
        network.fit(np.ones((8, 2), dtype=kind), np.ones((8, 2)), verbose=0)
    return network


@pytest.mark.parametrize(("kind", "most"), [("float64", DOUBLE), ("float32", SINGLE)])
@pytest.mark.parametrize(
    ("activation", "options"),
    [
        *((activation, {}) for activation in ACTIVATIONS),
        ("tanh", {"use_bias": False}),
        ("tanh", {"last": "sigmoid"}),
        ("tanh", {"normalised": "given"}),
        ("tanh", {"normalised": "adapted"}),
    ],
    ids=str,
)
def test_imported_network_gives_what_keras_gives(
    keras: Any, tmp_path: Path, kind: str, most: float, activation: str, options: dict[str, Any]
) -> None:
    network = trained_elsewhere(keras, kind, activation, **options)
    network.save(tmp_path / "theirs.keras")
    points = uniform(BOX, 1000, seed=8)
    told = own_answer(keras.saving.load_model(tmp_path / "theirs.keras"), points)
    given = import_keras(tmp_path / "theirs.keras", BOX, GIVEN).predict(points, GIVEN)
    assert given == pytest.approx(told, abs=most * max(1.0, np.abs(told).max()))


@pytest.mark.parametrize("options", [{"compiled": True}, {"told": False}], ids=str)
def test_network_is_imported_however_it_was_built(keras: Any, tmp_path: Path, options: dict[str, Any]) -> None:
    network = trained_elsewhere(keras, "float32", "tanh", **options)
    network.save(tmp_path / "theirs.keras")
    points = uniform(BOX, 50, seed=9)
    given = import_keras(tmp_path / "theirs.keras", BOX, GIVEN).predict(points, GIVEN)
    assert given == pytest.approx(own_answer(network, points), abs=SINGLE, rel=SINGLE)


def scaled(take: Callable[..., Surrogate], path: Path) -> Surrogate:
    scalings = {
        "input_offset": [5.0, 8.0],
        "input_factor": [2.5, 4.0],
        "output_offset": 0.5,
        "output_factor": [2.0, 30.0],
    }
    return take(path, BOX, GIVEN, **scalings)


@pytest.mark.parametrize("last", ["linear", "sigmoid"])
def test_scalings_are_folded_in_as_omlt_has_them(tmp_path: Path, last: str) -> None:
    layers = chain([2, 5, 2], ["tanh", last], seed=3)
    points = uniform(BOX, 100, seed=10)
    expected = chained(layers, (points - [5.0, 8.0]) / [2.5, 4.0]) * [2.0, 30.0] + 0.5
    assert scaled(import_onnx, written(tmp_path, graph(layers))).predict(points, GIVEN) == pytest.approx(
        expected, abs=1e-12
    )


def test_scalings_of_idaes_agree_with_ours(keras: Any, tmp_path: Path) -> None:
    import pandas as pd
    from idaes.core.surrogate.keras_surrogate import KerasSurrogate
    from idaes.core.surrogate.sampling.scaling import OffsetScaler

    network = trained_elsewhere(keras, "float64", "tanh")
    network.save(tmp_path / "theirs.keras")
    inputs, outputs = list(BOX.inputs), ["a", "b"]
    x = OffsetScaler(inputs, pd.Series([5.0, 8.0], inputs), pd.Series([2.5, 4.0], inputs))
    y = OffsetScaler(outputs, pd.Series([0.5, 0.5], outputs), pd.Series([2.0, 30.0], outputs))
    theirs = KerasSurrogate(network, inputs, outputs, dict(BOX.limits), x, y)
    points = uniform(BOX, 50, seed=11)
    told = theirs.evaluate_surrogate(pd.DataFrame(points, columns=inputs)).to_numpy()
    given = scaled(import_keras, tmp_path / "theirs.keras").predict(points, GIVEN)
    assert given == pytest.approx(told, abs=1.0e-4)  # Keras rounds to float32


# ONNX graphs as others write them


def graph(layers: list[Layer], kind: str = "gemm", precision: type = float) -> Any:
    """A chain of layers in one of the ways in which exporters write it."""
    nodes, weights, before = [], [], "x"
    operators = {"tanh": "Tanh", "softplus": "Softplus", "sigmoid": "Sigmoid", "linear": "Identity"}
    for k, layer in enumerate(layers):
        w, b, s, y = f"w{k}", f"b{k}", f"s{k}", f"y{k}"
        matrix, bias = layer.weights.astype(precision), layer.bias.astype(precision)
        if kind == "matmul":
            nodes += [helper.make_node("MatMul", [before, w], [f"m{k}"]), helper.make_node("Add", [b, f"m{k}"], [s])]
            bias = bias[None, :]
        elif kind == "torch":
            matrix = matrix.T
            nodes += [helper.make_node("Gemm", [before, w, b], [s], alpha=1.0, beta=1.0, transB=1)]
        elif kind == "halves":
            matrix, bias = matrix * 2.0, bias * 4.0
            nodes += [helper.make_node("Gemm", [before, w, b], [s], alpha=0.5, beta=0.25)]
        else:
            nodes += [helper.make_node("Gemm", [before, w, b], [s])]
        nodes += [helper.make_node(operators[layer.activation], [s], [y])]
        weights += [numpy_helper.from_array(np.ascontiguousarray(matrix), w), numpy_helper.from_array(bias, b)]
        before = y
    return proto_of(nodes, weights, before, precision)


def proto_of(nodes: list[Any], weights: list[Any], last: str, precision: type = float) -> Any:
    number = TensorProto.DOUBLE if precision is float else TensorProto.FLOAT
    ends = [[helper.make_tensor_value_info(name, number, ["n", None])] for name in ("x", last)]
    made = helper.make_graph(nodes, "theirs", *ends, weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def written(folder: Path, proto: Any) -> Path:
    (folder / "theirs.onnx").write_bytes(proto.SerializeToString())
    return folder / "theirs.onnx"


@pytest.mark.parametrize("kind", ["gemm", "matmul", "torch", "halves"])
@pytest.mark.parametrize(("precision", "most"), [(float, DOUBLE), (np.float32, SINGLE)], ids=["double", "float"])
def test_imported_graph_gives_what_onnx_runtime_gives(tmp_path: Path, kind: str, precision: type, most: float) -> None:
    from onnxruntime import InferenceSession

    path = written(tmp_path, graph(chain([2, 6, 5, 2], ["tanh", "sigmoid", "linear"], seed=5), kind, precision))
    points = uniform(BOX, 1000, seed=12)
    told = InferenceSession(path).run(None, {"x": points.astype(precision)})[0]
    assert import_onnx(path, BOX, GIVEN).predict(points, GIVEN) == pytest.approx(told, abs=most, rel=most)


def small_graph() -> Any:
    return graph(chain([2, 3, 2], ["tanh", "linear"], seed=6))


def last_node(proto: Any) -> Any:
    return proto.graph.node[-1]


def outside(proto: Any) -> None:
    proto.graph.initializer[0].data_location = TensorProto.EXTERNAL
    proto.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def branched(proto: Any) -> None:
    last_node(proto).input[0] = "y0"


def swapped(proto: Any) -> None:
    proto.graph.node[0].input[:] = ["w0", "x", "b0"]


def two_inputs(proto: Any) -> None:
    proto.graph.input.append(helper.make_tensor_value_info("z", TensorProto.DOUBLE, [1]))


def with_function(proto: Any) -> None:
    proto.functions.append(helper.make_function("mine", "F", ["a"], ["b"], [], [helper.make_opsetid("", 18)]))


def early_add(proto: Any) -> None:
    proto.graph.node[0].CopyFrom(helper.make_node("Add", ["x", "b0"], ["s0"]))


def wrong_size(proto: Any) -> None:
    proto.graph.initializer[0].dims[0] = 2**40


def no_size(proto: Any) -> None:
    proto.graph.initializer[0].dims[0] = -1


def not_finite(proto: Any) -> None:
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((2, 3), np.nan), "w0"))


def whole(proto: Any) -> None:
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((2, 3), dtype=int), "w0"))


def flat(proto: Any) -> None:
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones(6), "w0"))


def wide_bias(proto: Any) -> None:
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.ones((2, 3)), "b0"))


def without_values(proto: Any) -> None:
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((2, 0)), "w0"))
    proto.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.ones(0), "b0"))
    proto.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.ones((0, 2)), "w1"))


def long(proto: Any) -> None:
    proto.graph.node.extend(helper.make_node("Identity", [f"y{k}"], [f"y{k + 1}"]) for k in range(1, 200))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (outside, "keeps 'w0' in another file, which is not opened"),
        (branched, "is no chain: operator Identity does not take what the one before it gives"),
        (swapped, "holds operator Gemm, but not of values times weights"),
        (two_inputs, "has 2 inputs and 1 outputs, not one of each"),
        (with_function, "holds functions, training steps or sparse weights"),
        (early_add, r"adds an array of shape \(3,\) to 2 values"),
        (wrong_size, "is damaged: 'w0' cannot be read"),
        (no_size, "is damaged: 'w0' "),
        (not_finite, "holds weights that are not finite"),
        (whole, "holds 'w0' in another type than float or double"),
        (flat, r"holds weights 'w0' of shape \(6,\) where a matrix should be"),
        (wide_bias, r"adds an array of shape \(2, 3\) to 3 values"),
        (without_values, "holds a layer without values"),
        (long, "holds more than 128 operators or weights"),
        (
            lambda p: setattr(last_node(p), "op_type", "Relu"),
            "holds operator ai.onnx.Relu, which is not one of those",
        ),
        (lambda p: setattr(last_node(p), "op_type", "If"), "holds operator ai.onnx.If"),
        (lambda p: setattr(last_node(p), "domain", "mine"), "holds operator mine.Identity"),
        (lambda p: setattr(p.graph.node[2], "op_type", "Tanh"), "holds operator Tanh of more than one value"),
        (lambda p: p.graph.initializer.append(p.graph.initializer[0]), "names a weight twice"),
        (lambda p: last_node(p).attribute.append(helper.make_attribute("to", 1)), "holds operator Identity with 'to'"),
        (lambda p: p.graph.node[0].attribute.append(helper.make_attribute("transA", 1)), "not of values times weights"),
        (lambda p: setattr(p.graph.output[0], "name", "s1"), "its output is not what the last operator gives"),
        (lambda p: setattr(p.opset_import[0], "version", 6), "is of operator set 6; 7 is the oldest"),
        (lambda p: p.ClearField("opset_import"), "is no ONNX file, or is of operator set 0"),
        (lambda p: p.ClearField("graph"), "has 0 inputs and 0 outputs"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_graph_that_is_no_chain_of_dense_layers_is_refused(tmp_path: Path, change: Change, reason: str) -> None:
    proto = small_graph()
    change(proto)
    with pytest.raises(SurrogateError, match=rf"{reason}.*; save a chain of Gemm"):
        import_onnx(written(tmp_path, proto), BOX, GIVEN)


@pytest.mark.parametrize("data", [b"\xff" * 100, b"PK\x03\x04 no graph", b'{"json": 1}'])
def test_file_that_is_no_graph_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "theirs.onnx").write_bytes(data)
    with pytest.raises(SurrogateError, match=r"is damaged or no ONNX file|is no ONNX file"):
        import_onnx(tmp_path / "theirs.onnx", BOX, GIVEN)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_graph_that_was_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    path = written(tmp_path, small_graph())
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(SurrogateError, match=r"theirs\.onnx is damaged"):
        import_onnx(path, BOX, GIVEN)


def test_missing_package_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, small_graph())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SurrogateError, match=r'pip install "mmopt\[onnx\]"'):
        import_onnx(path, BOX, GIVEN)
    with pytest.raises(SurrogateError, match=r'pip install "mmopt\[onnx\]"'):
        export_onnx(small_surrogate(), tmp_path / "cell.onnx", GIVEN)


# what does not fit


@pytest.mark.parametrize(
    ("names", "options", "reason"),
    [
        (["growth"], {}, "gives 2 readings, but 1 were named"),
        (["growth", "growth"], {}, "different names"),
        (["growth", "BIOMASS"], {}, "'growth' is the flux of 'BIOMASS', which is named besides"),
        (["growth", "shortfall"], {}, "'shortfall' follows from the flux of the maintenance reaction"),
        (GIVEN, {"maintenance": "ATPM"}, "maintenance reaction 'ATPM' is not among the readings"),
        (GIVEN, {"input_factor": 0.0}, "factor 0.0 cannot be; give finite numbers, factors above zero"),
        (GIVEN, {"output_factor": [1.0, -2.0]}, "factors above zero"),
        (GIVEN, {"input_offset": [1.0, np.nan]}, "give finite numbers"),
        (GIVEN, {"output_offset": [1.0, 2.0, 3.0]}, r"offset of shape \(3,\) does not fit 2 values"),
    ],
    ids=str,
)
def test_names_and_scalings_that_do_not_fit_are_refused(
    tmp_path: Path, names: list[str], options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SurrogateError, match=reason):
        import_onnx(written(tmp_path, small_graph()), BOX, names, **options)


def test_domain_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match="holds a layer that takes 2 values, but the domain has 1"):
        import_onnx(written(tmp_path, small_graph()), Domain({"EX_o2_e": (0.0, 1.0)}), GIVEN)


def test_reading_that_was_not_imported_is_refused(tmp_path: Path) -> None:
    given = import_onnx(written(tmp_path, small_graph()), BOX, ["EX_co2_e", "EX_ac_e"])
    with pytest.raises(SurrogateError, match="has no reading 'growth'"):
        given.predict([1.0, 1.0], ["growth"])


@pytest.mark.parametrize("take", [import_keras, import_onnx])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("theirs.h5", "is Keras's old format; load it with keras.saving.load_model where you trust it"),
        ("theirs.pkl", "is a pickle, which can run anything when it is read"),
        ("theirs.pt", "is PyTorch's format, a pickle, .*; write ONNX with torch.onnx.export"),
        ("theirs.pth", "is PyTorch's format"),
        ("saved_model.pb", "is a TensorFlow graph, which can run anything"),
        ("theirs.tflite", "does not end in"),
        ("theirs", "does not end in"),
    ],
)
def test_other_formats_are_refused_unread(
    take: Callable[..., Surrogate], name: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(SurrogateError, match=f"{name} {reason}"):
        take(tmp_path / name, BOX, GIVEN)


@pytest.mark.parametrize(
    ("take", "name", "other"), [(import_keras, "a.onnx", "import_onnx"), (import_onnx, "a.keras", "import_keras")]
)
def test_format_of_the_other_import_is_sent_there(take: Callable[..., Surrogate], name: str, other: str) -> None:
    with pytest.raises(SurrogateError, match=f"give it to {other}"):
        take(name, BOX, GIVEN)


either = pytest.mark.parametrize(("take", "name"), [(import_keras, "a.keras"), (import_onnx, "a.onnx")])


@either
def test_folder_is_not_imported(take: Callable[..., Surrogate], name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(SurrogateError, match="is a folder, as TensorFlow's SavedModel is, which can run anything"):
        take(tmp_path / name, BOX, GIVEN)


@either
def test_missing_file_is_not_imported(take: Callable[..., Surrogate], name: str, tmp_path: Path) -> None:
    with pytest.raises(SurrogateError, match=f"{name} is missing; save"):
        take(tmp_path / name, BOX, GIVEN)


@either
def test_empty_file_is_not_imported(take: Callable[..., Surrogate], name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(SurrogateError, match=f"{name} is empty; save"):
        take(tmp_path / name, BOX, GIVEN)


@either
def test_file_that_is_too_large_is_not_imported(take: Callable[..., Surrogate], name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(16 * 2**20 + 1)
    with pytest.raises(SurrogateError, match="has 17 MB, more than the 16 that are read"):
        take(tmp_path / name, BOX, GIVEN)


# Keras files that mean harm, or other things than dense layers


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return export_keras(small_surrogate(), tmp_path_factory.mktemp("keras") / "cell.keras", GIVEN).read_bytes()


@pytest.fixture
def theirs(exported: bytes, tmp_path: Path) -> Path:
    (tmp_path / "theirs.keras").write_bytes(exported)
    return tmp_path / "theirs.keras"


@contextmanager
def members(path: Path) -> Iterator[dict[str, bytes]]:
    """Members of an archive, to be changed."""
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    yield found
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in found.items():
            archive.writestr(name, data)


def refused(path: Path, reason: str) -> None:
    with pytest.raises(
        SurrogateError, match=f"theirs.keras {reason}.*; save a Sequential of Dense layers with Keras 3"
    ):
        import_keras(path, BOX, GIVEN)


def with_config(path: Path, change: Change) -> Path:
    with members(path) as found:
        config = json.loads(found["config.json"])
        change(config)
        found["config.json"] = json.dumps(config).encode()
    return path


def first_dense(config: Any) -> Any:
    return config["config"]["layers"][1]


def in_dense(**changed: object) -> Change:
    return lambda config: first_dense(config)["config"].update(changed)


def as_layer(**changed: object) -> Change:
    return lambda config: first_dense(config).update(changed)


FUNCTION = {"module": "builtins", "class_name": "function", "config": "system", "registered_name": "function"}
EVIL = {"module": "os", "class_name": "system", "config": {"command": "true"}, "registered_name": None}
LAMBDA = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda c: c.update(class_name="Model"),
            "describes a network of class Model, not a Sequential or a functional",
        ),
        (
            lambda c: c.update(module="evil"),
            "needs 'Sequential' of the package 'evil'; only Keras's own layers are read",
        ),
        (lambda c: c.update(module="kerasx.layers"), "needs 'Sequential' of the package 'kerasx.layers'"),
        (lambda c: c.update(registered_name="mine>Net"), "needs 'mine>Net' of the package 'keras'"),
        (lambda c: c.pop("class_name"), "describes an object without class or module"),
        (lambda c: c.update(config=7), "has no configuration of its Sequential"),
        (lambda c: c["config"].update(layers={}), "describes a Sequential without a list of layers"),
        (lambda c: c["config"]["layers"].insert(1, 7), "describes no Keras network in its config.json"),
        (lambda c: c["config"].update(layers=[]), "must hold Dense layers"),
        (lambda c: c["config"]["layers"].append(c["config"]["layers"][0]), "holds a second input"),
        (as_layer(class_name="Lambda"), "holds a Lambda layer, whose code would be run; it was not"),
        (as_layer(class_name="LSTM"), "holds a layer of class LSTM; known: InputLayer, Normalization, Dense"),
        (as_layer(module="os"), "needs 'Dense' of the package 'os'"),
        (as_layer(registered_name="Custom>Dense"), "needs 'Custom>Dense'"),
        (in_dense(activation="relu"), "holds a Dense layer with the activation 'relu'; known: tanh"),
        (in_dense(activation=FUNCTION), "needs 'function' of the package 'builtins'"),
        (in_dense(activation=None), "holds a Dense layer with an activation of its own"),
        (in_dense(kernel_initializer=EVIL), "needs 'system' of the package 'os'"),
        (in_dense(kernel_regularizer=LAMBDA), "describes an object without class or module"),
        (in_dense(bias_constraint={"nested": [{"deeper": EVIL}]}), "needs 'system' of the package 'os'"),
        (in_dense(dtype="mixed_float16"), "computes in mixed_float16; known: float32, float64"),
        (in_dense(dtype=None), "computes in None"),
        (in_dense(quantization_config={"mode": "int8"}), "is quantised or has adapters"),
        (in_dense(lora_rank=4), "is quantised or has adapters"),
        (in_dense(units=7), r"holds weights of shape \(2, 6\) for a Dense layer of 7 units"),
    ],
    ids=range(25),
)
def test_description_of_other_than_dense_layers_is_refused(theirs: Path, change: Change, reason: str) -> None:
    refused(with_config(theirs, change), reason)


@pytest.mark.parametrize("changed", [{"axis": [0]}, {"mean": [1.0, 2.0, 3.0]}, {"variance": [-1.0, 1.0]}])
def test_normalisation_that_is_not_simple_is_refused(keras: Any, tmp_path: Path, changed: dict[str, Any]) -> None:
    trained_elsewhere(keras, "float64", "tanh", normalised="given").save(tmp_path / "theirs.keras")
    refused(with_config(tmp_path / "theirs.keras", in_dense(**changed)), "holds a Normalization")


@pytest.fixture
def hostile(keras: Any, tmp_path: Path) -> Path:
    """A real file with a Lambda layer that makes another file when it is run."""
    mark = str(tmp_path / "ran")
    code = keras.layers.Lambda(lambda x: (open(mark, "w").close(), x)[1])  # noqa: PTH123 - builtins alone are known there
    keras.Sequential([keras.Input((2,)), code, keras.layers.Dense(2)]).save(tmp_path / "theirs.keras")
    (tmp_path / "ran").unlink()
    return tmp_path / "theirs.keras"


def test_lambda_layer_is_refused_and_not_run(hostile: Path) -> None:
    refused(hostile, "holds a Lambda layer, whose code would be run; it was not")
    assert not hostile.with_name("ran").exists()


def test_lambda_layer_would_run_in_a_reader_that_believes_it(hostile: Path, keras: Any) -> None:
    keras.saving.load_model(hostile, safe_mode=False)
    assert hostile.with_name("ran").exists()


def test_pickle_called_keras_is_refused_and_not_run(theirs: Path, tmp_path: Path) -> None:
    theirs.write_bytes(b"cpathlib\nPath.touch\n(S'" + str(tmp_path / "ran").encode() + b"'\ntR.")
    refused(theirs, "is no zip archive")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["assets/vocabulary.txt", "evil.py", "model.weights.npz"])
def test_archive_with_another_member_is_refused(theirs: Path, name: str) -> None:
    with members(theirs) as found:
        found[name] = b"anything"
    refused(theirs, f"holds a member '{name}' that does not belong there")


@pytest.mark.parametrize("name", ["../config.json", "/etc/cron.d/evil"])
def test_archive_that_leads_elsewhere_is_refused(theirs: Path, name: str) -> None:
    with members(theirs) as found:
        found[name] = b"anything"
    refused(theirs, f"holds a member '{name}' that leads out of it")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_archive_without_a_member_is_refused(theirs: Path, name: str) -> None:
    with members(theirs) as found:
        del found[name]
    refused(theirs, f"lacks '{name}'")


def test_archive_that_unpacks_to_too_much_is_refused(theirs: Path) -> None:
    with zipfile.ZipFile(theirs, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * 17 * 2**20)
    refused(theirs, "unpacks to 17 MB, more than the 16 that are read")


def test_archive_with_a_flipped_bit_is_refused(theirs: Path) -> None:
    raw = theirs.read_bytes()
    place = raw.index(b"\x89HDF") + 200
    theirs.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
    refused(theirs, "is damaged .*Bad CRC-32")


# weights that mean harm


@contextmanager
def weights(path: Path) -> Iterator[h5py.File]:
    """The HDF5 part of an archive, to be changed."""
    with members(path) as found:
        image = io.BytesIO(found["model.weights.h5"])
        with h5py.File(image, "r+") as file:
            yield file
        found["model.weights.h5"] = image.getvalue()


KERNEL = "layers/dense/vars/0"


def test_weights_behind_a_link_to_another_file_are_refused(theirs: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["numbers"] = np.ones((2, 6))
    with weights(theirs) as file:
        del file[KERNEL]
        file[KERNEL] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "numbers")
    refused(theirs, f"holds weights that cannot be read: '{KERNEL}' is a link to somewhere else")


def test_weights_kept_in_another_file_are_refused(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(96))
    with weights(theirs) as file:
        del file[KERNEL]
        file.create_dataset(KERNEL, (2, 6), "f8", external=[(str(tmp_path / "secret"), 0, 96)])
    refused(theirs, f"holds weights that cannot be read: '{KERNEL}' is packed, or kept in another file")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ({"data": np.ones((2, 6)), "compression": "gzip"}, "is packed, or kept in another file"),
        ({"shape": (2**20, 2**20), "dtype": "f8", "chunks": (1, 2**10)}, "is packed, or kept in another file"),
        ({"shape": (2**20, 2**20), "dtype": "f8"}, "claims more numbers than the file holds"),
        ({"data": np.ones((2, 6), dtype=int)}, "is no array of float32 or float64"),
        ({"data": np.ones((2, 6), dtype="f2")}, "is no array of float32 or float64"),
        ({"data": b"words"}, "is no array of float32 or float64"),
    ],
    ids=range(6),
)
def test_weights_that_are_no_plain_numbers_are_refused(theirs: Path, make: dict[str, Any], reason: str) -> None:
    with weights(theirs) as file:
        del file[KERNEL]
        file.create_dataset(KERNEL, **make)
    refused(theirs, f"holds weights that cannot be read: '{KERNEL}' {reason}")


def test_weights_that_are_missing_are_refused(theirs: Path) -> None:
    with weights(theirs) as file:
        del file["layers/dense_1"]
    refused(theirs, "holds weights that cannot be read: it has no 'layers/dense_1/vars/0'")


def test_weights_that_are_not_finite_are_refused(theirs: Path) -> None:
    with weights(theirs) as file:
        file[KERNEL][0, 0] = np.nan
    refused(theirs, f"holds numbers that are not finite in '{KERNEL}'")


def test_weights_of_layers_that_do_not_follow_each_other_are_refused(theirs: Path) -> None:
    with weights(theirs) as file:
        del file[KERNEL]
        file[KERNEL] = np.ones((3, 6))
    refused(theirs, "holds a layer that takes 3 values, but the domain has 2")


@pytest.mark.parametrize("data", [b"", b"no HDF5", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_weights_that_are_no_hdf5_are_refused(theirs: Path, data: bytes) -> None:
    with members(theirs) as found:
        found["model.weights.h5"] = data
    refused(theirs, "holds weights that cannot be read: ")


def test_weights_that_keep_hdf5_busy_for_ever_are_refused(theirs: Path) -> None:
    """The free space of a group's names is a list; here its next element is always itself."""
    with members(theirs) as found:
        raw = bytearray(found["model.weights.h5"])
        heap = raw.rindex(b"HEAP", 0, raw.index(b"dense_1\0"))
        free, names = struct.unpack_from("<QQ", raw, heap + 16)
        struct.pack_into("<QQ", raw, names + free, free, 16)
        found["model.weights.h5"] = bytes(raw)
    refused(theirs, "holds weights that cannot be read: its HDF5 part keeps the library busy or ends it")


def test_import_wakes_neither_keras_nor_tensorflow_nor_onnx(theirs: Path) -> None:
    script = (
        "import sys, mmopt, mmopt.exchange;"
        f"mmopt.exchange.import_keras({str(theirs)!r}, mmopt.Domain({dict(BOX.limits)!r}), {GIVEN!r}).predict([1.0, 1.0]);"
        "print(sorted({'tensorflow', 'keras', 'onnx', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Networks as people write them in Keras and ONNX become chains of dense layers that give the same, or are refused by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from mmopt.errors import SurrogateError
from mmopt.exchange.keras_import import import_keras
from mmopt.exchange.onnx_import import import_onnx
from tests.networks import BOX, uniform

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # TensorFlow's own arrays, on NumPy 2
)

NAMES = ["growth", "EX_ac_e"]
POINTS = uniform(BOX, 300, seed=1)
DOUBLE, ROUNDED, SINGLE = 1.0e-9, 1.0e-7, 1.0e-6
"""Relative to the largest value; Keras rounds the numbers of a Rescaling to single precision, in double precision too."""

Build = Callable[[Any], Any]


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    return keras


def close(given: np.ndarray, expected: np.ndarray, most: float) -> bool:
    return bool(np.abs(given - expected).max() <= most * max(1.0, np.abs(expected).max()))


# Keras


def sequential(*names: str) -> Build:
    """A Sequential of layers written as calls of Keras's layers."""

    def build(keras: Any) -> Any:
        scope = {"L": keras.layers, "np": np, "keras": keras}
        layers = [eval(name, scope) for name in names]
        return keras.Sequential([keras.Input((2,)), *layers])

    return build


def functional(keras: Any) -> Any:
    x = keras.Input((2,), name="limits")
    h = keras.layers.Rescaling(0.1, name="scaled")(x)
    h = keras.layers.Dense(6, name="second")(h)
    h = keras.layers.BatchNormalization(name="first")(h)
    h = keras.layers.Activation("softplus")(h)
    h = keras.layers.Dropout(0.3)(h)
    return keras.Model(x, keras.layers.Dense(2, name="rates")(h))


def functional_with_names_of_ends(keras: Any) -> Any:
    x = keras.Input((2,), name="limits")
    return keras.Model({"limits": x}, {"rates": keras.layers.Dense(2)(keras.layers.Dense(4, "tanh")(x))})


def functional_with_operators(keras: Any) -> Any:
    x = keras.Input((2,))
    h = keras.ops.tanh(keras.layers.Dense(5)((x - np.array([5.0, 7.0])) / np.array([3.0, 4.0])))
    h = keras.activations.sigmoid(1.5 - 2.0 * keras.layers.Dense(4)(h))
    return keras.Model(x, -keras.layers.Dense(2)(h * np.array([1.0, 2.0, -1.0, 0.5]) + 0.25))


def network_in_a_network(keras: Any) -> Any:
    dense = keras.layers.Dense
    inner = keras.Sequential([keras.Input((2,)), dense(4, "tanh"), keras.layers.BatchNormalization(), dense(3)])
    y = keras.Input((3,))
    last = keras.Model(y, dense(2)(dense(4, "sigmoid")(y)))
    x = keras.Input((2,))
    return keras.Model(x, last(inner(dense(2, "softplus")(x))))


KERAS = {
    "activations of their own": sequential(
        "L.Dense(5)", "L.Activation('tanh')", "L.Dense(2)", "L.Activation('linear')"
    ),
    "two activations": sequential("L.Dense(5, 'tanh')", "L.Activation('sigmoid')", "L.Dense(2, 'softplus')"),
    "activation at once": sequential("L.Activation('tanh')", "L.Dense(2)"),
    "activation of a function": sequential("L.Dense(4)", "L.Activation(keras.ops.softplus)", "L.Dense(2)"),
    "noise": sequential(
        "L.GaussianNoise(0.1)",
        "L.Dense(4, 'tanh')",
        "L.AlphaDropout(0.2)",
        "L.GaussianDropout(0.2)",
        "L.ActivityRegularization(0.1)",
        "L.Identity()",
        "L.Dense(2)",
        "L.Dropout(0.5)",
    ),
    "shapes": sequential("L.Flatten()", "L.Dense(4, 'tanh')", "L.Reshape((4,))", "L.Dense(2)", "L.Reshape((-1,))"),
    "normalised batches": sequential(
        "L.BatchNormalization()",
        "L.Dense(6, use_bias=False)",
        "L.BatchNormalization(epsilon=0.01)",
        "L.Activation('tanh')",
        "L.Dense(5, 'softplus')",
        "L.BatchNormalization(scale=False)",
        "L.Dense(2)",
        "L.BatchNormalization(center=False)",
    ),
    "no scale and no centre": sequential(
        "L.Dense(3, 'tanh')", "L.BatchNormalization(scale=False, center=False)", "L.Dense(2)"
    ),
    "rescaled": sequential(
        "L.Rescaling(0.1, offset=-0.5)", "L.Dense(4, 'tanh')", "L.Dense(2)", "L.Rescaling([2.0, 30.0], [0.5, 1.0])"
    ),
    "rescaled by arrays": sequential("L.Rescaling(np.array([0.1, 0.2]))", "L.Dense(4, 'sigmoid')", "L.Dense(2)"),
    "normalised and back": sequential(
        "L.Normalization(mean=[5.0, 8.0], variance=[8.0, 21.0])",
        "L.Dense(4, 'tanh')",
        "L.Dense(2)",
        "L.Normalization(mean=[0.3, 4.0], variance=[0.04, 9.0], invert=True)",
    ),
    "normalised between": sequential("L.Dense(3, 'tanh')", "L.Normalization(mean=0.1, variance=2.0)", "L.Dense(2)"),
    "rescaled only then activated": sequential(
        "L.Rescaling(0.2)", "L.Activation('tanh')", "L.Rescaling(3.0)", "L.Dense(2)"
    ),
    "functional": functional,
    "names of ends": functional_with_names_of_ends,
    "operators": functional_with_operators,
    "network in a network": network_in_a_network,
    "many layers": sequential(*["L.Dense(3, 'tanh')", "L.BatchNormalization()"] * 15, "L.Dense(2)"),
}


@pytest.fixture
def precision(keras: Any, request: pytest.FixtureRequest) -> Any:
    """Keras takes its policy from the precision at the first layer that is made, so both are set."""
    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(policy)
    keras.config.set_floatx(before)


def with_random_weights(network: Any, seed: int = 3) -> Any:
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        size = tuple(variable.shape)
        spread = "variance" in variable.path
        variable.assign(rng.uniform(0.5, 2.0, size) if spread else rng.normal(size=size))
    return network


@pytest.mark.parametrize("precision", ["float64", "float32"], indirect=True)
@pytest.mark.parametrize("build", KERAS.values(), ids=[name.replace(" ", "_") for name in KERAS])
def test_network_of_keras_gives_the_same(keras: Any, precision: str, tmp_path: Path, build: Build) -> None:
    network = with_random_weights(build(keras))
    network.save(tmp_path / "theirs.keras")
    points = POINTS.astype(precision)
    expected = network({"limits": points} if build is functional_with_names_of_ends else points)
    expected = np.asarray(expected["rates"] if isinstance(expected, dict) else expected, dtype=float)
    given = import_keras(tmp_path / "theirs.keras", BOX, NAMES).predict(POINTS, NAMES)
    assert close(given, expected, ROUNDED if precision == "float64" else SINGLE)


def residual(keras: Any) -> Any:
    x = keras.Input((2,))
    h = keras.layers.Dense(2)(x)
    return keras.Model(x, keras.layers.Add()([h, x]))


def branch(keras: Any) -> Any:
    x = keras.Input((2,))
    h = keras.layers.Dense(2, "tanh")(x)
    return keras.Model(x, h * keras.layers.Dense(2)(h))


def shared(keras: Any) -> Any:
    x, dense = keras.Input((2,)), keras.layers.Dense(2, "tanh", name="twice")
    return keras.Model(x, dense(dense(x)))


def dropout_in_use(keras: Any) -> Any:
    x = keras.Input((2,))
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Dropout(0.5, name="always")(x, training=True)))


def divided(keras: Any) -> Any:
    x = keras.Input((2,))
    return keras.Model(x, 1.0 / keras.layers.Dense(2)(x))


def two_inputs(keras: Any) -> Any:
    x, z = keras.Input((1,)), keras.Input((1,))
    return keras.Model([x, z], keras.layers.Dense(2)(keras.layers.Concatenate()([x, z])))


def two_outputs(keras: Any) -> Any:
    x = keras.Input((2,))
    return keras.Model(x, [keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)])


def squared(keras: Any) -> Any:
    x = keras.Input((2,))
    return keras.Model(x, keras.layers.Dense(2)(keras.ops.square(x)))


def images(keras: Any) -> Any:
    return keras.Sequential([keras.Input((2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (residual, "is no chain: layer '.*' does not take what the one before it gives"),
        (branch, "is no chain: layer '.*' does not take what the one before it gives"),
        (shared, "is no chain: layer 'twice' is used several times"),
        (dropout_in_use, "calls layer 'always' with .*'training': True"),
        (divided, "divides a number by values"),
        (two_inputs, "has 2 inputs and 1 outputs"),
        (two_outputs, "has 1 inputs and 2 outputs"),
        (squared, "holds a layer of class Square; known: InputLayer, Normalization, Dense, Activation"),
        (images, r"takes values of shape \[None, 2, 1\], not one row of numbers"),
        (sequential("L.Dense(2)", "L.LeakyReLU()"), "holds a layer of class LeakyReLU; known"),
        (sequential("L.Dense(2)", "L.ReLU()"), "holds a layer of class ReLU; known"),
        (sequential("L.Dense(2)", "L.Activation('relu')"), "Activation layer with the activation 'relu'; known: tanh"),
        (sequential("L.Dense(2, 'gelu')"), "Dense layer with the activation 'gelu'"),
        (sequential("L.Dense(2)", "L.LayerNormalization()"), "holds a layer of class LayerNormalization"),
        (sequential("L.Dense(2)", "L.UnitNormalization()"), "holds a layer of class UnitNormalization"),
        (sequential("L.Dense(4)", "L.Reshape((2, 2))", "L.Flatten()", "L.Dense(2)"), r"holds a Reshape to \[2, 2\]"),
        (sequential("L.Rescaling(0.1)"), "must hold Dense layers"),
        (sequential("L.Dense(3)", "L.BatchNormalization(renorm=True)", "L.Dense(2)"), "BatchNormalization with renorm"),
        (sequential("L.Dense(2)", "L.Rescaling(float('nan'))"), "cannot be read as JSON|not finite"),
    ],
)
def test_network_of_keras_that_is_no_chain_is_refused_by_name(
    keras: Any, tmp_path: Path, build: Build, reason: str
) -> None:
    build(keras).save(tmp_path / "theirs.keras")
    with pytest.raises(SurrogateError, match=reason):
        import_keras(tmp_path / "theirs.keras", BOX, NAMES)


# ONNX

RNG = np.random.default_rng(7)
ARRAYS = {
    "w": RNG.normal(size=(2, 5)),
    "wt": RNG.normal(size=(5, 2)),
    "v": RNG.normal(size=(5, 2)),
    "vt": RNG.normal(size=(2, 5)),
    "square": RNG.normal(size=(5, 5)),
    "b": RNG.normal(size=5),
    "row": RNG.normal(size=(1, 5)),
    "c": RNG.normal(size=2),
    "mean": np.array([5.0, 8.0]),
    "spread": np.array([2.5, 4.0]),
    "spread_row": np.array([[2.5, 4.0]]),
    "gamma": RNG.normal(size=5),
    "variance": RNG.uniform(0.5, 2.0, 5),
    "half": np.array(0.5),
    "tiny": np.array(1.0e-7),
    "one_column": np.array([-1, 1]),
    "columns": np.array([-1, 5]),
    "same": np.array([0, -1]),
    "off": np.array(False),
    "on": np.array(True),
}
Node = tuple[str, str] | tuple[str, str, dict[str, Any]]


def graph(*nodes: Node, precision: Any = np.float64, opset: int = 17) -> Any:
    """A graph of operators: each takes the values before it where its arguments have an x."""
    made, at = [], "x"
    for index, (kind, arguments, *attributes) in enumerate(nodes):
        options = dict(attributes[0]) if attributes else {}
        names = ["" if name == "_" else at if name == "x" else name for name in arguments.split()]
        dynamic = "x" in arguments.split()
        out = f"y{index}" if dynamic else options.pop("out")
        made.append(helper.make_node(kind, names, [out], **options))
        at = out if dynamic else at
    used = {name for node in made for name in node.input}
    weights = [
        numpy_helper.from_array(array.astype(precision) if array.dtype.kind == "f" else array, name)
        for name, array in ARRAYS.items()
        if name in used
    ]
    number = helper.np_dtype_to_tensor_dtype(np.dtype(precision))
    ends = [[helper.make_tensor_value_info(name, number, shape)] for name, shape in (("x", ["n", 2]), (at, None))]
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(helper.make_graph(made, "theirs", *ends, weights), opset_imports=opsets, ir_version=8)


def written(folder: Path, proto: Any) -> Path:
    (folder / "theirs.onnx").write_bytes(proto.SerializeToString())
    return folder / "theirs.onnx"


DENSE: tuple[Node, ...] = (("Gemm", "x w b"), ("Tanh", "x"), ("Gemm", "x v c"))
TRANSPOSED = {"transB": 1}
ONNX: dict[str, tuple[Node, ...]] = {
    "PyTorch": (
        ("Gemm", "x wt b", {"alpha": 1.0, "beta": 1.0, "transB": 1}),
        ("Sigmoid", "x"),
        ("Gemm", "x vt c", TRANSPOSED),
    ),
    "alpha and beta": (
        ("Gemm", "x w b", {"alpha": 0.3, "beta": -2.0}),
        ("Softplus", "x"),
        ("Gemm", "x v", {"alpha": 2.0}),
    ),
    "scaled before": (("Sub", "x mean"), ("Div", "x spread_row"), *DENSE),
    "scaled after": (*DENSE, ("Mul", "x spread"), ("Add", "mean x")),
    "scaled between": (
        ("Gemm", "x w b"),
        ("Tanh", "x"),
        ("Mul", "half x"),
        ("Sub", "b x"),
        ("Neg", "x"),
        ("Gemm", "x v c"),
    ),
    "no bias": (("MatMul", "x w"), ("Tanh", "x"), ("MatMul", "x v")),
    "bias twice": (
        ("MatMul", "x w"),
        ("Add", "row x"),
        ("Sub", "x b"),
        ("Sigmoid", "x"),
        ("MatMul", "x v"),
        ("Add", "x c"),
    ),
    "batch normalised": (
        ("Gemm", "x w b"),
        ("BatchNormalization", "x gamma b b variance", {"epsilon": 1e-3}),
        ("Tanh", "x"),
        ("BatchNormalization", "x b gamma gamma variance"),
        ("Gemm", "x v c"),
    ),
    "dropout": (("Gemm", "x w b"), ("Tanh", "x"), ("Dropout", "x half off"), ("Gemm", "x v c"), ("Identity", "x")),
    "dropout without arguments": (("Dropout", "x"), *DENSE),
    "shapes": (
        ("Flatten", "x"),
        ("Gemm", "x w b"),
        ("Reshape", "x columns"),
        ("Tanh", "x"),
        ("Gemm", "x v c"),
        ("Reshape", "x same"),
    ),
    "computed weights": (
        ("Transpose", "wt", {"out": "k", "perm": [1, 0]}),
        ("MatMul", "x k"),
        ("Mul", "row half", {"out": "shift"}),
        ("Add", "x shift"),
        ("Tanh", "x"),
        ("Gemm", "x v c"),
    ),
    "normalised as Keras does": (
        ("Sqrt", "spread_row", {"out": "root"}),
        ("Max", "root tiny", {"out": "least"}),
        ("Sub", "x mean"),
        ("Div", "x least"),
        *DENSE,
    ),
    "activations twice": (
        ("Tanh", "x"),
        ("Gemm", "x w b"),
        ("Sigmoid", "x"),
        ("Softplus", "x"),
        ("Gemm", "x v c"),
        ("Tanh", "x"),
    ),
    "three layers": (("Gemm", "x w b"), ("Tanh", "x"), ("Gemm", "x square row"), ("Gemm", "x v c"), ("Sigmoid", "x")),
}


def answer(path: Path, precision: Any) -> np.ndarray:
    from onnxruntime import InferenceSession

    session = InferenceSession(path)
    return np.asarray(session.run(None, {"x": POINTS.astype(precision)})[0], dtype=float)


@pytest.mark.parametrize(("precision", "most"), [(np.float64, DOUBLE), (np.float32, SINGLE)], ids=["double", "float"])
@pytest.mark.parametrize("nodes", ONNX.values(), ids=[name.replace(" ", "_") for name in ONNX])
def test_graph_gives_the_same(tmp_path: Path, nodes: tuple[Node, ...], precision: Any, most: float) -> None:
    path = written(tmp_path, graph(*nodes, precision=precision, opset=18))
    assert close(import_onnx(path, BOX, NAMES).predict(POINTS, NAMES), answer(path, precision), most)


def constant(name: str, array: np.ndarray) -> Any:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))


def test_constants_of_every_kind_are_weights(tmp_path: Path) -> None:
    proto = graph(("Add", "x shift"), ("Mul", "x factor"), *DENSE, precision=np.float32)
    nodes = [
        helper.make_node("Constant", [], ["shift"], value_floats=[0.5, -1.0]),
        helper.make_node("Constant", [], ["factor"], value_float=0.25),
        *[constant(name, ARRAYS[name].astype(np.float32)) for name in ("w", "b", "v", "c")],
        *proto.graph.node,
    ]
    del proto.graph.node[:], proto.graph.initializer[:]
    proto.graph.node.extend(nodes)
    path = written(tmp_path, proto)
    assert close(import_onnx(path, BOX, NAMES).predict(POINTS, NAMES), answer(path, np.float32), SINGLE)


SCALER = {"domain": "ai.onnx.ml", "offset": [5.0, 8.0], "scale": [0.4, 0.25]}
PIPELINES: dict[str, tuple[Node, ...]] = {
    "scaler and perceptron": (
        ("Scaler", "x", SCALER),
        ("Cast", "x", {"to": TensorProto.FLOAT}),
        ("MatMul", "x w"),
        ("Add", "x row"),
        ("Tanh", "x"),
        ("MatMul", "x v"),
        ("Add", "x c"),
    ),
    "one scale": (("Scaler", "x", {"domain": "ai.onnx.ml", "offset": [1.0], "scale": [0.5]}), *DENSE),
    "least and largest": (("Cast", "x", {"to": TensorProto.FLOAT}), ("Mul", "x spread"), ("Add", "x mean"), *DENSE),
    "linear regression": (
        ("Scaler", "x", SCALER),
        (
            "LinearRegressor",
            "x",
            {"domain": "ai.onnx.ml", "targets": 2, "coefficients": [1.0, 2.0, -3.0, 0.5], "intercepts": [0.1, 7.0]},
        ),
    ),
}


@pytest.mark.parametrize("nodes", PIPELINES.values(), ids=[name.replace(" ", "_") for name in PIPELINES])
def test_pipeline_gives_the_same(tmp_path: Path, nodes: tuple[Node, ...]) -> None:
    path = written(tmp_path, graph(*nodes, precision=np.float32))
    assert close(import_onnx(path, BOX, NAMES).predict(POINTS, NAMES), answer(path, np.float32), SINGLE)


def test_rates_in_one_column_keep_their_order(tmp_path: Path) -> None:
    path = written(tmp_path, graph(*DENSE, ("Reshape", "x one_column")))
    given = import_onnx(path, BOX, NAMES).predict(POINTS, NAMES)
    assert close(given.reshape(-1, 1), answer(path, np.float64), DOUBLE)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ((*DENSE[:1], ("Relu", "x"), *DENSE[2:]), r"operator ai\.onnx\.Relu, which is not one of those that are read"),
        ((("Clip", "x"), *DENSE), r"operator ai\.onnx\.Clip"),
        ((("Normalizer", "x", {"domain": "ai.onnx.ml", "norm": "L2"}), *DENSE), r"operator ai\.onnx\.ml\.Normalizer"),
        ((("Tanh", "x", {"domain": "ai.onnx.ml"}), *DENSE), r"operator ai\.onnx\.ml\.Tanh"),
        ((("Scaler", "x", {"scale": [1.0], "offset": [0.0]}), *DENSE), r"operator ai\.onnx\.Scaler"),
        ((("Scaler", "x", {"domain": "ai.onnx.ml", "scale": [1.0, 2.0, 3.0]}), *DENSE), "Scaler, but not of 2 values"),
        ((*DENSE, ("Mul", "x x")), "is no chain: operator Mul"),
        ((*DENSE, ("Div", "c x")), "operator Div, but not of values by a constant"),
        ((("MatMul", "w x"), *DENSE[1:]), "operator MatMul, but not of values times weights"),
        ((*DENSE, ("Add", "x b")), r"adds an array of shape \(5,\) to 2 values"),
        ((("Sub", "x b"), *DENSE), r"adds an array of shape \(5,\) to 2 values"),
        ((*DENSE, ("Add", "x one_column")), "holds 'one_column' in another type than float or double"),
        ((*DENSE, ("Cast", "x", {"to": TensorProto.FLOAT16})), "operator Cast, but not to float or double"),
        ((*DENSE, ("Cast", "x", {"to": TensorProto.INT64})), "operator Cast, but not to float or double"),
        ((*DENSE, ("Cast", "x")), "operator Cast, but not to float or double"),
        ((("Dropout", "x half on"), *DENSE), "operator Dropout, but not as when a network is used"),
        ((("Reshape", "x one_column"), *DENSE), "operator Reshape, but not to rows of 2 values"),
        ((("Flatten", "x", {"axis": 0}), *DENSE), "operator Flatten, but not to one row"),
        (
            (*DENSE[:1], ("BatchNormalization", "x gamma b b variance", {"training_mode": 1}), *DENSE[1:]),
            "its mean and",
        ),
        ((*DENSE[:1], ("BatchNormalization", "x c c c c"), *DENSE[1:]), "BatchNormalization, but not of 5 values"),
        ((("Exp", "c", {"out": "k"}), *DENSE), "operator Exp of constants, which is not computed"),
        ((("Add", "b c", {"out": "k"}), *DENSE), "operator Add of constants that do not fit"),
        ((("Max", "b row gamma", {"out": "k"}), *DENSE), "operator Max of constants that do not fit"),
        (
            (("Reshape", "b same", {"out": "k"}), ("Reshape", "w columns", {"out": "l"}), *DENSE),
            "constants that do not fit",
        ),
        ((("Sub", "x mean"), ("Div", "x spread")), "holds no dense layer"),
        ((("Div", "x zero"), *DENSE), "weights that are not finite"),
    ],
)
def test_graph_that_is_no_chain_is_refused_by_name(
    tmp_path: Path, nodes: tuple[Node, ...], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ARRAYS, "zero", np.zeros(2))
    with pytest.raises(SurrogateError, match=reason):
        import_onnx(written(tmp_path, graph(*nodes)), BOX, NAMES)


def test_wide_layer_that_would_need_a_large_matrix_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARRAYS, "wide", np.ones((2, 30_000)))
    proto = graph(("MatMul", "x wide"), ("Tanh", "x"), ("Tanh", "x"), *DENSE[2:], precision=np.float32)
    with pytest.raises(SurrogateError, match="scales 30000 values, more than 2048"):
        import_onnx(written(tmp_path, proto), BOX, NAMES)

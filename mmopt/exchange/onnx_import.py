"""ONNX graphs that another package trained, as surrogates.

A file is parsed, its graph is followed, and a chain of the operators below is taken; nothing in it is run, and no other
file is opened.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from mmopt.errors import SurrogateError, first_line
from mmopt.exchange.foreign_network import LARGEST_NETWORK, imported, network_file, onnx_package
from mmopt.fba.domain import Domain
from mmopt.io.foreign_file import ForeignFile
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.surrogate import Layer, Surrogate

_OLDEST_OPSET: Final = 7
"""Before it, Gemm and Add broadcast by other rules."""

_FLOAT, _INT = 1, 2
_GEMM: Final = {"alpha": _FLOAT, "beta": _FLOAT, "transA": _INT, "transB": _INT}
"""Attributes that are read, all of Gemm, and their types in ONNX."""

_MOST_NODES: Final = 128
_INLINE: Final = 0
_CURE: Final = "save a chain of Gemm (or MatMul and Add), Tanh, Softplus and Sigmoid, weights inside, as name.onnx"


def import_onnx(
    path: str | Path,
    domain: Domain,
    names: Sequence[str],
    *,
    input_offset: ArrayLike = 0.0,
    input_factor: ArrayLike = 1.0,
    output_offset: ArrayLike = 0.0,
    output_factor: ArrayLike = 1.0,
    biomass: str = "BIOMASS",
    maintenance: str | None = None,
    maintenance_demand: float = 0.0,
) -> Surrogate:
    """Build a surrogate from an ONNX graph.

    Its fluxes balance as well as that network was trained to: no output layer enforces it.

    Parameters
    ----------
    path
        An ``.onnx`` file with one chain from one input to one output: Gemm, or MatMul and Add, with Tanh, Softplus, Sigmoid or
        Identity after it; weights of 32 or 64 bits, in the file itself.
    domain, names, input_offset, input_factor, output_offset, output_factor, biomass, maintenance, maintenance_demand
        As for `import_keras`.

    Returns
    -------
    Surrogate

    Raises
    ------
    SurrogateError
        If the file is damaged or too large, contains anything but such a chain, or does not fit domain and names, or if the
        package onnx is not installed.

    Examples
    --------
    >>> import_onnx("network.keras", Domain({"EX_glc__D_e": (0.0, 12.0)}), ["growth"])
    Traceback (most recent call last):
    mmopt.errors.SurrogateError: network.keras does not end in .onnx; give it to import_keras
    """
    file = network_file(path, ".onnx", _CURE)
    data = file.read(LARGEST_NETWORK)
    try:
        proto = onnx_package().load_model_from_string(data)
    except SurrogateError:
        raise
    except Exception as error:  # the reader fails in many ways; all mean that the file is damaged
        file.refuse(f"is damaged or no ONNX file ({first_line(error)})")
    return imported(
        file,
        _chain(file, proto),
        domain,
        names,
        scaling=(input_offset, input_factor, output_offset, output_factor),
        biomass=biomass,
        maintenance=(maintenance, maintenance_demand),
    )


def _chain(file: ForeignFile, proto: Any) -> list[Layer]:
    """The dense layers along the graph of a file."""
    graph = proto.graph
    version = max((known.version for known in proto.opset_import if known.domain in ("", "ai.onnx")), default=0)
    if version < _OLDEST_OPSET:
        file.refuse(f"is no ONNX file, or is of operator set {version}; {_OLDEST_OPSET} is the oldest that is read")
    if proto.functions or proto.training_info or graph.sparse_initializer:
        file.refuse("holds functions, training steps or sparse weights")
    if len(graph.node) > _MOST_NODES or len(graph.initializer) > _MOST_NODES:
        file.refuse(f"holds more than {_MOST_NODES} operators or weights")
    weights = {tensor.name: _array(file, tensor) for tensor in graph.initializer}
    if len(weights) < len(graph.initializer):
        file.refuse("names a weight twice")
    inputs = [value.name for value in graph.input if value.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        file.refuse(f"has {len(inputs)} inputs and {len(graph.output)} outputs, not one of each")
    at, layers = inputs[0], list[Layer]()
    for node in graph.node:
        taken = [name for name in node.input if name not in weights and name]
        if taken != [at] or len(node.output) != 1:
            file.refuse(
                f"is no chain: operator {node.op_type} does not take what the one before it gives, and that alone"
            )
        _follow(file, layers, node, weights)
        at = node.output[0]
    if at != graph.output[0].name:
        file.refuse("is no chain: its output is not what the last operator gives")
    return layers


def _array(file: ForeignFile, tensor: Any) -> np.ndarray:
    onnx = onnx_package()
    if tensor.data_location != _INLINE or tensor.external_data:
        file.refuse(f"keeps '{tensor.name}' in another file, which is not opened")
    if tensor.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        file.refuse(f"holds '{tensor.name}' in another type than float or double")
    try:
        array = np.asarray(onnx_package("numpy_helper").to_array(tensor), dtype=float)
    except Exception as error:  # sizes that do not fit the numbers fail in many ways
        file.refuse(f"is damaged: '{tensor.name}' cannot be read ({first_line(error)})")
    if array.shape != tuple(tensor.dims):
        file.refuse(f"is damaged: '{tensor.name}' has no size")
    return array


@np.errstate(over="ignore", invalid="ignore")  # numbers that are not finite are refused in the end
def _follow(file: ForeignFile, layers: list[Layer], node: Any, weights: dict[str, np.ndarray]) -> None:
    """Add one operator to the layers so far."""
    kind = node.op_type
    activation = next((known.name for known in ACTIVATIONS.values() if known.onnx == kind), None)
    if node.domain not in ("", "ai.onnx") or (activation is None and kind not in ("Gemm", "MatMul", "Add")):
        file.refuse(f"holds operator {node.domain or 'ai.onnx'}.{kind}, which is not one of those that are read")
    attributes = _attributes(file, node)
    if kind in ("Gemm", "MatMul"):
        layers.append(_dense(file, node, attributes, weights))
    elif kind == "Add":
        added = [weights[name] for name in node.input if name in weights]
        if not layers or layers[-1].activation != "linear" or len(added) != 1:
            file.refuse("holds operator Add, but not after MatMul or Gemm")
        layers[-1] = replace(layers[-1], bias=layers[-1].bias + _bias(file, added[0], len(layers[-1].bias)))
    elif len(node.input) != 1:
        file.refuse(f"holds operator {kind} of more than one value")
    elif kind != "Identity":
        if not layers or layers[-1].activation != "linear":
            file.refuse(f"holds operator {kind}, but not after MatMul, Gemm or Add")
        layers[-1] = replace(layers[-1], activation=str(activation))


def _attributes(file: ForeignFile, node: Any) -> dict[str, float]:
    values = {}
    for attribute in node.attribute:
        if node.op_type != "Gemm" or _GEMM.get(attribute.name) != attribute.type or attribute.ref_attr_name:
            file.refuse(f"holds operator {node.op_type} with '{attribute.name}', which is not read")
        values[attribute.name] = float(attribute.f if attribute.type == _FLOAT else attribute.i)
    return values


def _dense(file: ForeignFile, node: Any, attributes: dict[str, float], weights: dict[str, np.ndarray]) -> Layer:
    names = [*node.input] if len(node.input) != 3 or node.input[2] else [*node.input[:2]]  # a bias may be left out
    most = 3 if node.op_type == "Gemm" else 2
    if not 2 <= len(names) <= most or any(name not in weights for name in names[1:]) or attributes.get("transA"):
        file.refuse(f"holds operator {node.op_type}, but not of values times weights")
    matrix = weights[names[1]]
    if matrix.ndim != 2:
        file.refuse(f"holds weights '{names[1]}' of shape {matrix.shape} where a matrix should be")
    matrix = attributes.get("alpha", 1.0) * (matrix.T if attributes.get("transB") else matrix)
    bias = np.zeros(matrix.shape[1])
    if len(names) == 3:
        bias = attributes.get("beta", 1.0) * _bias(file, weights[names[2]], len(bias))
    return Layer(matrix, bias, "linear")


def _bias(file: ForeignFile, array: np.ndarray, size: int) -> np.ndarray:
    row = array[0] if array.ndim == 2 and len(array) == 1 else array
    if row.shape not in ((), (1,), (size,)):
        file.refuse(f"adds an array of shape {array.shape} to {size} values")
    return np.broadcast_to(row, (size,))

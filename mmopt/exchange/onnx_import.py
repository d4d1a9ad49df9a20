"""ONNX graphs that another package trained, as surrogates.

A file is parsed, its graph is followed, and a chain of the operators below is taken; nothing in it is run, and no other
file is opened.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from mmopt.errors import SurrogateError, first_line
from mmopt.exchange.dense_chain import DenseChain
from mmopt.exchange.foreign_network import LARGEST_NETWORK, imported, network_file, onnx_package
from mmopt.exchange.onnx_constants import array_of, computed
from mmopt.exchange.onnx_operators import Operator, append
from mmopt.fba.domain import Domain
from mmopt.io.foreign_file import ForeignFile
from mmopt.surrogate.surrogate import Layer, Surrogate

_OLDEST_OPSET: Final = 7
"""Before it, Gemm and Add broadcast by other rules."""

_MOST_NODES: Final = 128
_CURE: Final = (
    "save a chain of Gemm (or MatMul and Add), Tanh, Softplus and Sigmoid, with scalings, weights inside, as name.onnx"
)


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
        An ``.onnx`` file with one chain from one input to one output: Gemm, MatMul, Tanh, Softplus and Sigmoid; constants
        that are added, subtracted, multiplied or divided by, BatchNormalization, and skl2onnx's Scaler and
        LinearRegressor, which are folded in; Cast, Dropout, Flatten and Reshape that change nothing. Weights of 32 or 64
        bits, in the file itself. A Reshape to one column at the end, as skl2onnx writes it, is left out.
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
        _chain(file, proto, len(domain.inputs)),
        domain,
        names,
        scaling=(input_offset, input_factor, output_offset, output_factor),
        biomass=biomass,
        maintenance=(maintenance, maintenance_demand),
    )


@np.errstate(all="ignore")  # numbers that are not finite are refused in the end
def _chain(file: ForeignFile, proto: Any, width: int) -> list[Layer]:
    """The dense layers along the graph of a file."""
    graph = proto.graph
    _check_graph(file, proto)
    constants = {tensor.name: array_of(file, tensor) for tensor in graph.initializer}
    if len(constants) < len(graph.initializer):
        file.refuse("names a weight twice")
    inputs = [value.name for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        file.refuse(f"has {len(inputs)} inputs and {len(graph.output)} outputs, not one of each")
    at, last, chain = inputs[0], graph.output[0].name, DenseChain(file, width)
    for node in graph.node:
        names = [*node.input]
        while names and not names[-1]:  # arguments that are left out
            names.pop()
        taken = [name for name in names if name not in constants and name]
        if not taken and len(node.output) == 1:
            constants[node.output[0]] = computed(file, node, constants)
            continue
        if taken != [at] or "" in names[:2] or len(node.output) != 1 + _masked(node):
            file.refuse(
                f"is no chain: operator {node.op_type} does not take what the one before it gives, and that alone"
            )
        arguments = tuple(constants.get(name) for name in names)
        append(chain, Operator(file, node, arguments, last=node.output[0] == last))
        at = node.output[0]
    if at != last:
        file.refuse("is no chain: its output is not what the last operator gives")
    return chain.layers()


def _check_graph(file: ForeignFile, proto: Any) -> None:
    graph = proto.graph
    version = max((known.version for known in proto.opset_import if known.domain in ("", "ai.onnx")), default=0)
    if version < _OLDEST_OPSET:
        file.refuse(f"is no ONNX file, or is of operator set {version}; {_OLDEST_OPSET} is the oldest that is read")
    if proto.functions or proto.training_info or graph.sparse_initializer:
        file.refuse("holds functions, training steps or sparse weights")
    if len(graph.node) > _MOST_NODES or len(graph.initializer) > _MOST_NODES:
        file.refuse(f"holds more than {_MOST_NODES} operators or weights")


def _masked(node: Any) -> bool:
    """Whether an operator gives a mask besides, which the chain does not take."""
    return node.op_type == "Dropout" and len(node.output) > 1

"""Surrogates as ONNX graphs in double precision: the chain of dense layers that `Surrogate.layers` returns."""

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.exchange.foreign_network import checked_names, onnx_package
from mmopt.exchange.input_ranges import largest_sum
from mmopt.fba.domain import Domain
from mmopt.fba.rates import GROWTH
from mmopt.io.files import write_whole
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.surrogate import Layer, Surrogate
from mmopt.units import GROWTH_UNIT, RATE

_OPSET, _IR = 18, 8
"""ONNX Runtime computes Softplus of doubles in the operator sets 18 to 21, where it is expanded into simpler operators."""

_LARGEST_EXPONENT: Final = 700.0
"""exp of more overflows in double precision, and ONNX Runtime takes softplus as log(1 + exp z)."""


def export_onnx(surrogate: Surrogate, path: str | Path, names: Sequence[str]) -> Path:
    """Write a surrogate as an ONNX graph in double precision.

    Input ``limits`` and output ``readings`` have shape (points, names); their names, units and domain are in the
    metadata of the file.

    Parameters
    ----------
    surrogate
        The surrogate.
    path
        File to write, ending in ``.onnx``; it appears whole or not at all.
    names
        Readings that the graph returns, in order: ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h]. It takes
        the surrogate's uptake limits [mmol/gDW/h], in their order.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SurrogateError
        If a name is unknown, the path has another ending, the package onnx is not installed, or a softplus would overflow.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(load_surrogate("ecoli_ijo1366"), f"{folder}/cell.onnx", ["growth", "EX_ac_e"]).name
    'cell.onnx'
    """
    if Path(path).suffix != ".onnx":
        raise SurrogateError(f"{path} does not end in .onnx; rename it")
    layers = surrogate.layers(readings := checked_names(names))
    _check_range(layers, surrogate.domain)
    onnx, helper, number = onnx_package(), onnx_package("helper"), onnx_package().TensorProto.DOUBLE
    inputs, weights = len(surrogate.inputs), list(_weights(layers))
    graph = helper.make_graph(
        list(_nodes(layers)),
        "surrogate",
        [helper.make_tensor_value_info("limits", number, ["points", inputs])],
        [helper.make_tensor_value_info("readings", number, ["points", len(readings)])],
        weights,
    )
    proto = helper.make_model(
        graph,
        producer_name="mmopt",
        producer_version=version("mmopt"),
        ir_version=_IR,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )
    helper.set_model_props(proto, _metadata(surrogate, readings))
    onnx_package("checker").check_model(proto, full_check=True)
    return write_whole(path, lambda temporary: onnx.save_model(proto, temporary))


def _check_range(layers: Sequence[Layer], domain: Domain) -> None:
    """Refuse a softplus whose input could overflow somewhere in the domain."""
    most = largest_sum(layers, domain, "softplus")
    if most > _LARGEST_EXPONENT:
        raise SurrogateError(
            f"a softplus of this surrogate can take {most:.0f}, and ONNX Runtime overflows above "
            f"{_LARGEST_EXPONENT:.0f}; scale the inputs, or train with tanh"
        )


def _nodes(layers: Sequence[Layer]) -> Iterator[Any]:
    helper, before = onnx_package("helper"), "limits"
    for index, layer in enumerate(layers):
        after = f"values_{index}" if index < len(layers) - 1 else "readings"
        straight = layer.activation == "linear"
        yield helper.make_node(
            "Gemm", [before, f"weights_{index}", f"bias_{index}"], [after if straight else f"sums_{index}"]
        )
        if not straight:
            yield helper.make_node(ACTIVATIONS[layer.activation].onnx, [f"sums_{index}"], [after])
        before = after


def _weights(layers: Sequence[Layer]) -> Iterator[Any]:
    pack = onnx_package("numpy_helper").from_array
    for index, layer in enumerate(layers):
        yield pack(np.ascontiguousarray(layer.weights, dtype=float), f"weights_{index}")
        yield pack(np.ascontiguousarray(layer.bias, dtype=float), f"bias_{index}")


def _metadata(surrogate: Surrogate, readings: Sequence[str]) -> dict[str, str]:
    facts = {
        "limits": list(surrogate.inputs),
        "limits_unit": RATE,
        "lower": surrogate.domain.lower.tolist(),
        "upper": surrogate.domain.upper.tolist(),
        "readings": list(readings),
        "readings_units": [GROWTH_UNIT if name in (GROWTH, surrogate.biomass) else RATE for name in readings],
    }
    return {name: json.dumps(value) for name, value in facts.items()}

"""Constants of an ONNX graph: weights in the file, and what a graph computes from them alone."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from mmopt.errors import first_line
from mmopt.exchange.foreign_network import onnx_package
from mmopt.io.foreign_file import ForeignFile

_INLINE: Final = 0
_MOST_NUMBERS: Final = 4 * 2**20
"""Most numbers of a computed constant: as many as a file can hold."""

_CASTS: Final = ("FLOAT", "DOUBLE")

_VALUES: Final[Mapping[str, tuple[str, type]]] = {
    "value": ("t", float),
    "value_float": ("f", float),
    "value_floats": ("floats", float),
    "value_int": ("i", np.int64),
    "value_ints": ("ints", np.int64),
}
"""Ways in which a constant is written, and the field and the type of its value."""

_ELEMENTWISE: Final[Mapping[str, np.ufunc]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Max": np.maximum,
    "Min": np.minimum,
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Reciprocal": np.reciprocal,
    "Identity": np.positive,
}
"""Operators that exporters leave between constants, such as the spread of a normalisation."""


def array_of(file: ForeignFile, tensor: Any, name: str = "") -> np.ndarray:
    """Return the numbers of a tensor.

    Parameters
    ----------
    file
        The file.
    tensor
        The tensor.
    name
        Its name, for messages; by default its own.

    Returns
    -------
    ndarray
        Floating-point numbers in double precision, whole numbers as they are.

    Raises
    ------
    SurrogateError
        If it is kept in another file, of another type, or damaged.
    """
    onnx, name = onnx_package(), name or tensor.name
    if tensor.data_location != _INLINE or tensor.external_data:
        file.refuse(f"keeps '{name}' in another file, which is not opened")
    kinds = onnx.TensorProto
    if tensor.data_type not in (kinds.FLOAT, kinds.DOUBLE, kinds.INT32, kinds.INT64, kinds.BOOL):
        file.refuse(f"holds '{name}' in another type than float or double")
    try:
        array = np.asarray(onnx_package("numpy_helper").to_array(tensor))
    except Exception as error:  # sizes that do not fit the numbers fail in many ways
        file.refuse(f"is damaged: '{name}' cannot be read ({first_line(error)})")
    if array.shape != tuple(tensor.dims):
        file.refuse(f"is damaged: '{name}' has no size")
    return array.astype(float) if array.dtype.kind == "f" else array


def computed(file: ForeignFile, node: Any, constants: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what an operator gives that takes constants alone.

    Parameters
    ----------
    file
        The file.
    node
        The operator.
    constants
        Constants so far, by name.

    Returns
    -------
    ndarray

    Raises
    ------
    SurrogateError
        If the operator is not one of those that are computed, or its arguments do not fit.
    """
    arguments = [constants[name] for name in node.input if name]
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if node.domain not in ("", "ai.onnx") or node.op_type not in (
        *_ELEMENTWISE,
        "Constant",
        "Cast",
        "Transpose",
        "Reshape",
    ):
        file.refuse(f"holds operator {node.op_type} of constants, which is not computed")
    if node.op_type == "Constant":
        return _constant(file, node, attributes)
    try:
        with np.errstate(all="ignore"):  # numbers that are not finite are refused in the end
            return _value(node.op_type, arguments, attributes)
    except (TypeError, ValueError, KeyError, IndexError):
        file.refuse(f"holds operator {node.op_type} of constants that do not fit")


def _value(kind: str, arguments: list[np.ndarray], attributes: Mapping[str, Any]) -> np.ndarray:
    """What an operator gives; any exception means that its arguments do not fit."""
    if kind == "Cast":
        if not cast_is_read(attributes):
            raise ValueError("a cast to another type")
        return arguments[0].astype(float)
    if kind == "Transpose":
        return np.transpose(arguments[0], [int(axis) for axis in attributes["perm"].ints] if attributes else None)
    if attributes:
        raise ValueError("attributes")
    if kind == "Reshape":
        return np.reshape(arguments[0], [int(size) for size in arguments[1].ravel()])
    if len(arguments) != _ELEMENTWISE[kind].nin or any(array.dtype.kind != "f" for array in arguments):
        raise ValueError("other arguments")
    if np.prod(np.broadcast_shapes(*(array.shape for array in arguments)), dtype=float) > _MOST_NUMBERS:
        raise ValueError("too many numbers")
    return np.asarray(_ELEMENTWISE[kind](*arguments))


def cast_is_read(attributes: Mapping[str, Any]) -> bool:
    """Return whether a cast goes to single or double precision.

    Parameters
    ----------
    attributes
        Attributes of the operator by name.

    Returns
    -------
    bool
    """
    kinds = onnx_package().TensorProto
    return "to" in attributes and attributes["to"].i in [getattr(kinds, name) for name in _CASTS]


def _constant(file: ForeignFile, node: Any, attributes: Mapping[str, Any]) -> np.ndarray:
    name = node.output[0]
    kind, attribute = next(iter(attributes.items()), ("", None))
    if len(attributes) != 1 or attribute is None or kind not in _VALUES:
        file.refuse(f"holds a constant '{name}' that is no array of numbers")
    if kind == "value":
        return array_of(file, attribute.t, name)
    field, number = _VALUES[kind]
    value = getattr(attribute, field)
    return np.asarray(value if isinstance(value, int | float) else list(value), dtype=number)

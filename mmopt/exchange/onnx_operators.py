"""Operators of ONNX that are read, as pieces of a chain of dense layers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mmopt.exchange.dense_chain import DenseChain
from mmopt.exchange.onnx_constants import cast_is_read
from mmopt.io.foreign_file import ForeignFile
from mmopt.solvers.activations import ACTIVATIONS

_OWN_DOMAINS: Final = ("", "ai.onnx")
_LEARNING_DOMAIN: Final = "ai.onnx.ml"
"""Operators of classical methods, as skl2onnx writes them."""

_ACTIVATIONS: Final = {known.onnx: known.name for known in ACTIVATIONS.values()}
_FLOAT, _INT, _STRING, _FLOATS = 1, 2, 3, 6
_ATTRIBUTES: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "Gemm": {"alpha": _FLOAT, "beta": _FLOAT, "transA": _INT, "transB": _INT},
        "BatchNormalization": {"epsilon": _FLOAT, "momentum": _FLOAT, "training_mode": _INT, "spatial": _INT},
        "Cast": {"to": _INT, "saturate": _INT},
        "Dropout": {"ratio": _FLOAT, "seed": _INT},
        "Flatten": {"axis": _INT},
        "Reshape": {"allowzero": _INT},
        "Scaler": {"offset": _FLOATS, "scale": _FLOATS},
        "LinearRegressor": {"coefficients": _FLOATS, "intercepts": _FLOATS, "targets": _INT, "post_transform": _STRING},
    }
)
"""Attributes that are read, and their types in ONNX."""


@dataclass(frozen=True)
class Operator:
    """An operator with the constants that it takes.

    Attributes
    ----------
    file
        The file.
    node
        The operator.
    arguments
        Its arguments in order; None stands for the values themselves.
    last
        Whether its values are the output of the graph.
    """

    file: ForeignFile
    node: Any
    arguments: tuple[np.ndarray | None, ...]
    last: bool

    @property
    def kind(self) -> str:
        """Name of the operator."""
        return str(self.node.op_type)

    @property
    def attributes(self) -> dict[str, Any]:
        """Values of its attributes.

        Raises
        ------
        SurrogateError
            If one is not read.
        """
        known, values = _ATTRIBUTES.get(self.kind, {}), {}
        for attribute in self.node.attribute:
            if known.get(attribute.name) != attribute.type or attribute.ref_attr_name:
                self.file.refuse(f"holds operator {self.kind} with '{attribute.name}', which is not read")
            values[attribute.name] = _value(attribute)
        return values

    @property
    def numbers(self) -> list[np.ndarray]:
        """The constants.

        Raises
        ------
        SurrogateError
            If one has whole numbers.
        """
        for name, array in zip(self.node.input, self.arguments, strict=False):
            if array is not None and array.dtype.kind != "f":
                self.file.refuse(f"holds '{name}' in another type than float or double")
        return [array for array in self.arguments if array is not None]

    def refuse_use(self, use: str) -> None:
        """Refuse the way in which the operator is used.

        Parameters
        ----------
        use
            What it should be, as in "of values times weights".

        Raises
        ------
        SurrogateError
            Always.
        """
        self.file.refuse(f"holds operator {self.kind}, but not {use}")


def _value(attribute: Any) -> Any:
    """Value of an attribute."""
    if attribute.type == _FLOATS:
        return np.array(attribute.floats, dtype=float)
    return {_FLOAT: float(attribute.f), _INT: int(attribute.i), _STRING: bytes(attribute.s)}[attribute.type]


def append(chain: DenseChain, operator: Operator) -> None:
    """Append an operator to a chain.

    Parameters
    ----------
    chain
        The chain.
    operator
        The operator.

    Raises
    ------
    SurrogateError
        If it is not one of those that are read.
    """
    kind, domain = operator.kind, operator.node.domain
    known = _LEARNING if domain == _LEARNING_DOMAIN else _OWN if domain in _OWN_DOMAINS else {}
    if kind not in known and (kind not in _ACTIVATIONS or domain not in _OWN_DOMAINS):
        operator.file.refuse(f"holds operator {domain or 'ai.onnx'}.{kind}, which is not one of those that are read")
    if kind in known:
        known[kind](chain, operator, operator.attributes)
        return
    if len(operator.arguments) != 1:
        operator.file.refuse(f"holds operator {kind} of more than one value")
    if operator.attributes:
        operator.refuse_use("without attributes")
    chain.activate(_ACTIVATIONS[kind])


def _gemm(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    values, *rest = operator.arguments
    most = 3 if operator.kind == "Gemm" else 2
    numbers = operator.numbers
    if values is not None or not 2 <= 1 + len(rest) <= most or len(numbers) != len(rest) or attributes.get("transA"):
        operator.refuse_use("of values times weights")
    matrix = numbers[0]
    if matrix.ndim != 2:
        names = list(operator.node.input)
        operator.file.refuse(f"holds weights '{names[1]}' of shape {matrix.shape} where a matrix should be")
    matrix = attributes.get("alpha", 1.0) * (matrix.T if attributes.get("transB") else matrix)
    bias = np.zeros(matrix.shape[1])
    chain.dense(matrix, bias)
    if len(numbers) > 1:
        chain.scale(np.ones(()), attributes.get("beta", 1.0) * numbers[1])


def _arithmetic(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    numbers, one, none = operator.numbers, np.ones(()), np.zeros(())
    if len(operator.arguments) != 2 or len(numbers) != 1:
        operator.refuse_use("of values and a constant")
    number, first = numbers[0], operator.arguments[0] is None
    if operator.kind == "Add":
        chain.scale(one, number)
    elif operator.kind == "Sub":
        chain.scale(*((one, -number) if first else (-one, number)))
    elif operator.kind == "Mul":
        chain.scale(number, none)
    elif first:
        chain.scale(1.0 / number, none)
    else:
        operator.refuse_use("of values by a constant")


def _neg(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    chain.scale(-np.ones(()), np.zeros(()))


def _batch_normalization(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    numbers = operator.numbers
    if operator.arguments[0] is not None or len(numbers) != 4 or attributes.get("training_mode"):
        operator.refuse_use("with its mean and variance fixed")
    gamma, beta, mean, variance = numbers
    spread = variance + attributes.get("epsilon", 1.0e-5)
    if any(array.shape != (chain.width,) for array in numbers) or np.any(spread <= 0.0):
        operator.refuse_use(f"of {chain.width} values")
    factor = gamma / np.sqrt(spread)
    chain.scale(factor, beta - mean * factor)


def _scaler(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    factor, offset = attributes.get("scale", np.ones(1)), attributes.get("offset", np.zeros(1))
    if any(array.shape not in ((1,), (chain.width,)) for array in (factor, offset)):
        operator.refuse_use(f"of {chain.width} values")
    chain.scale(factor, -offset * factor)


def _linear_regressor(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    targets = attributes.get("targets", 1)
    weights, bias = attributes.get("coefficients", np.zeros(0)), attributes.get("intercepts")
    if attributes.get("post_transform", b"NONE") != b"NONE" or not 0 < targets <= len(weights) == targets * chain.width:
        operator.refuse_use(f"of {chain.width} values without a transformation")
    bias = np.zeros(targets) if bias is None else bias
    chain.dense(weights.reshape(targets, chain.width).T, bias)


def _cast(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    if not cast_is_read({attribute.name: attribute for attribute in operator.node.attribute}):
        operator.refuse_use("to float or double")


def _dropout(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    training = operator.arguments[2] if len(operator.arguments) > 2 else None
    if operator.arguments[0] is not None or (training is not None and np.any(training)):
        operator.refuse_use("as when a network is used")


def _flatten(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    if attributes.get("axis", 1) not in (1, -1):
        operator.refuse_use("to one row of values")


def _reshape(chain: DenseChain, operator: Operator, attributes: Mapping[str, Any]) -> None:
    """To the shape that values have already; or, at the end, to one column in the same order, as skl2onnx writes it."""
    shape = operator.arguments[1] if len(operator.arguments) > 1 else None
    sizes = [] if shape is None else [int(size) for size in shape.ravel()]
    allowed = [[-1, chain.width], [0, chain.width], [0, -1], *([[-1, 1]] if operator.last else [])]
    if operator.arguments[0] is not None or sizes not in allowed or attributes.get("allowzero"):
        operator.refuse_use(f"to rows of {chain.width} values")


_Append = Callable[[DenseChain, Operator, Mapping[str, Any]], None]

_OWN: Final[Mapping[str, _Append]] = MappingProxyType(
    {
        **dict.fromkeys(("Gemm", "MatMul"), _gemm),
        **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _arithmetic),
        "Neg": _neg,
        "BatchNormalization": _batch_normalization,
        "Cast": _cast,
        "Dropout": _dropout,
        "Flatten": _flatten,
        "Reshape": _reshape,
    }
)
_LEARNING: Final[Mapping[str, _Append]] = MappingProxyType({"Scaler": _scaler, "LinearRegressor": _linear_regressor})

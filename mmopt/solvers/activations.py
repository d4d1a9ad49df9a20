"""The activation functions of dense networks: one table for training, evaluation, optimisation and export.

Every activation is increasing and smooth, so that bounds pass through layers and Ipopt gets two derivatives. A function is
listed once for NumPy arrays (``value``), once with its derivatives in arithmetic that NumPy and CasADi share
(``derivatives``), and once as an algebraic expression for Pyomo (``expression``). The last two never take the exponential
of a large positive number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from scipy.special import expit

Derivatives = Callable[[Any, Any], tuple[Any, Any, Any]]
"""Value, first and second derivative at ``z``, computed with the functions of a module (`numpy` or `casadi`)."""


@dataclass(frozen=True)
class Activation:
    """One activation function.

    Attributes
    ----------
    name
        Name in mmopt and in Keras.
    onnx
        Name of the operator of ONNX.
    value
        The function of a NumPy array.
    derivatives
        Function of ``z`` and a module, `numpy` or `casadi`, that returns value, first and second derivative.
    slope_of_value
        First derivative as a function of the value, for NumPy arrays.
    expression
        Function of an expression and a module with ``exp``, ``log``, ``sqrt`` and ``tanh``, such as `pyomo.environ`, that
        returns an expression.
    range
        Open interval of the values.

    Examples
    --------
    >>> from mmopt.solvers.activations import ACTIVATIONS
    >>> ACTIVATIONS["tanh"]
    Activation('tanh')
    >>> value, slope, curvature = ACTIVATIONS["sigmoid"].derivatives(np.zeros(1), np)
    >>> float(value[0]), float(slope[0]), float(curvature[0])
    (0.5, 0.25, 0.0)
    """

    name: str
    onnx: str
    value: Callable[[np.ndarray], np.ndarray]
    derivatives: Derivatives
    slope_of_value: Callable[[np.ndarray], np.ndarray]
    expression: Callable[[Any, Any], Any]
    range: tuple[float, float]

    @property
    def keras(self) -> str:
        """Name in Keras."""
        return self.name

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Return the values at an array.

        Parameters
        ----------
        z
            Any shape.
        """
        return self.value(z)

    def __repr__(self) -> str:
        return f"Activation({self.name!r})"


def _linear(z: Any, functions: Any) -> tuple[Any, Any, Any]:
    return z, 1.0, 0.0


def _tanh(z: Any, functions: Any) -> tuple[Any, Any, Any]:
    value = functions.tanh(z)
    slope = 1.0 - value * value
    return value, slope, -2.0 * value * slope


def _sigmoid(z: Any, functions: Any) -> tuple[Any, Any, Any]:
    value = (1.0 + functions.tanh(z / 2.0)) / 2.0
    slope = value * (1.0 - value)
    return value, slope, slope * (1.0 - 2.0 * value)


def _softplus(z: Any, functions: Any) -> tuple[Any, Any, Any]:
    """Through |z|, so that no exponent is positive."""
    value = functions.fmax(z, 0.0) + functions.log1p(functions.exp(-functions.fabs(z)))
    slope = (1.0 + functions.tanh(z / 2.0)) / 2.0
    return value, slope, slope * (1.0 - slope)


def _sigmoid_expression(x: Any, functions: Any) -> Any:
    """1 / (1 + exp(-x)), where exp(-x) would overflow below -709: through tanh, which is bounded."""
    return (1.0 + functions.tanh(x / 2.0)) / 2.0


def _softplus_expression(x: Any, functions: Any) -> Any:
    """log(exp(x) + 1), where exp(x) would overflow above 709: exp(M) is factored out, for a smooth M > max(x, 0).

    No exponent is positive then, and since M - max(x, 0) is 1/2 at most, the argument of the logarithm stays above zero.
    """
    most = (x + functions.sqrt(x**2 + 1.0)) / 2.0
    return most + functions.log(functions.exp(x - most) + functions.exp(-most))


_ALL: Final = (
    Activation(
        "tanh",
        "Tanh",
        np.tanh,
        _tanh,
        lambda value: 1.0 - value * value,
        lambda x, functions: functions.tanh(x),
        (-1.0, 1.0),
    ),
    Activation(
        "softplus",
        "Softplus",
        lambda z: np.logaddexp(z, 0.0),
        _softplus,
        lambda value: -np.expm1(-value),
        _softplus_expression,
        (0.0, np.inf),
    ),
    Activation(
        "linear",
        "Identity",
        lambda z: z,
        _linear,
        np.ones_like,
        lambda x, functions: x,
        (-np.inf, np.inf),
    ),
    Activation(
        "sigmoid",
        "Sigmoid",
        expit,
        _sigmoid,
        lambda value: value * (1.0 - value),
        _sigmoid_expression,
        (0.0, 1.0),
    ),
)

ACTIVATIONS: Final[Mapping[str, Activation]] = MappingProxyType({activation.name: activation for activation in _ALL})
"""Every activation by its name."""

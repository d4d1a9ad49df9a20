"""Dense layers, and the chain of them that a surrogate evaluates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mmopt.fba.domain import Domain
from mmopt.solvers.activations import ACTIVATIONS


@dataclass(frozen=True, eq=False, repr=False)
class Layer:
    """A dense layer, ``activation(z @ weights + bias)``.

    Attributes
    ----------
    weights
        Shape (inputs, outputs).
    bias
        Shape (outputs,).
    activation
        Name in `mmopt.solvers.activations.ACTIVATIONS`.

    Examples
    --------
    >>> layer = Layer(np.array([[2.0], [1.0]]), np.array([0.5]), "linear")
    >>> layer, layer(np.array([1.0, 1.0])).tolist()
    (Layer(2 - 1, linear), [3.5])
    """

    weights: np.ndarray
    bias: np.ndarray
    activation: str

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Return outputs, shape (..., outputs), for inputs of shape (..., inputs)."""
        return ACTIVATIONS[self.activation](z @ self.weights + self.bias)

    def __repr__(self) -> str:
        return f"Layer({' - '.join(map(str, self.weights.shape))}, {self.activation})"


@runtime_checkable
class SmoothCell(Protocol):
    """A smooth map from uptake limits to balanced fluxes, as optimisations take it: a `Surrogate` or a `SoftLaw`."""

    @property
    def domain(self) -> Domain:
        """Where it holds."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchanges whose uptake limits go in, in order."""

    def layers(self, names: Sequence[str]) -> Any:
        """Layers from limits to the named readings."""

    def rate_function(self, names: Sequence[str]) -> Any:
        """Rates of the cell by name, as a function of uptake limits by name."""

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Check that uptake limits lie in the domain."""


def chained(layers: Sequence[Layer], values: np.ndarray) -> np.ndarray:
    """Evaluate a chain of layers.

    Parameters
    ----------
    layers
        Dense layers, in order.
    values
        Inputs of the first layer, shape (..., inputs).

    Returns
    -------
    ndarray
        Outputs of the last layer, shape (..., outputs).

    Examples
    --------
    >>> double = Layer(np.array([[2.0]]), np.zeros(1), "linear")
    >>> chained([double, double], np.array([1.0])).tolist()
    [4.0]
    """
    for layer in layers:
        values = layer(values)
    return values

"""Least squares for a small dense network by variable projection, and the derivatives of dense layers.

For given hidden layers the best linear output layer is a linear least-squares problem. Variable projection therefore
searches the hidden layers alone, by the Levenberg-Marquardt method, with the output layer always at its optimum. A step
costs one matrix product for a pair of layers, because the derivative by a weight is the product of the layer's input and
of the derivative by the layer's pre-activation.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmopt.dataset.tabulate import Progress
from mmopt.errors import SurrogateError
from mmopt.fitting.levenberg_marquardt import descend
from mmopt.fitting.products import products_of_columns, products_of_one, products_of_two
from mmopt.solvers.activations import ACTIVATIONS

Layers = list[tuple[np.ndarray, np.ndarray]]
"""Weights and bias of every layer."""

_RIDGE = 1.0e-10
"""Penalty on the squared weights of the output layer: without it, two units that are alike get large weights that cancel."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted network.

    Attributes
    ----------
    weights, biases
        Of every layer, the output layer last.
    loss
        Loss at the end.
    history
        Loss at the start and after every step or epoch.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    loss: float
    history: tuple[float, ...]

    @property
    def layers(self) -> Layers:
        """Weights and bias of every layer."""
        return list(zip(self.weights, self.biases, strict=True))


def variable_projection(
    inputs: np.ndarray,
    targets: np.ndarray,
    start: Sequence[tuple[np.ndarray, np.ndarray]],
    activation: str,
    *,
    steps: int = 200,
    beside: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Fit hidden layers, and the linear layer after them, to targets.

    Parameters
    ----------
    inputs
        Scaled inputs, shape (points, inputs).
    targets
        Targets whose errors have equal importance, shape (points, outputs).
    start
        Weights and biases of the hidden layers at the start.
    activation
        Activation of every hidden layer.
    steps
        Most steps; 0 computes the best output layer for the hidden layers of the start.
    beside
        Values of fixed units beside the first layer, shape (points, units); none by default.
    progress
        Called with (done, most) after every step.

    Returns
    -------
    Fit
        Hidden layers, then the output layer.

    Raises
    ------
    SurrogateError
        If the loss is not finite at the start.

    References
    ----------
    Golub and Pereyra (1973), SIAM J. Numer. Anal. 10:413-432 (variable projection).

    Examples
    --------
    >>> from mmopt.fitting.variable_projection import variable_projection
    >>> x = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> start = [(np.array([[2.0, -2.0]]), np.array([0.5, 0.5]))]
    >>> variable_projection(x, np.abs(x), start, "tanh", steps=50).loss < 1.0e-3
    True
    """
    state = _State.of(inputs, targets, list(start), activation, beside)
    if not np.isfinite(state.loss):
        raise SurrogateError(
            f"the fit starts at a loss of {state.loss}; scale the inputs and outputs, or try another seed"
        )
    state, history = descend(state, steps, progress)
    weights = (*(weights for weights, _ in state.layers), state.last[:-1])
    return Fit(weights, (*(bias for _, bias in state.layers), state.last[-1]), state.loss, history)


@dataclass(frozen=True, eq=False)
class _State:
    """Hidden layers, their values, and the best output layer for them."""

    inputs: np.ndarray
    targets: np.ndarray
    layers: Layers
    activation: str
    beside: np.ndarray | None
    values: list[np.ndarray]
    """Scaled inputs and the values of every hidden layer, with a column of ones for the bias."""
    basis: np.ndarray
    """Columns that span what the output layer compensates; shape (points, units + 1)."""
    last: np.ndarray
    """The output layer, bias last, shape (units + 1, outputs)."""
    residual: np.ndarray
    loss: float

    @property
    def points(self) -> int:
        """Number of points of the mean."""
        return len(self.inputs)

    @classmethod
    def of(
        cls,
        inputs: np.ndarray,
        targets: np.ndarray,
        layers: Layers,
        activation: str,
        beside: np.ndarray | None = None,
    ) -> "_State":
        values = forward(inputs, layers, activation, beside)
        with np.errstate(all="ignore"):
            basis, last = least_squares(values[-1], targets)
            residual = values[-1] @ last - targets
            loss = float(np.sum(residual * residual) / len(residual) + _RIDGE * np.sum(last * last))
        return cls(inputs, targets, layers, activation, beside, values, basis, last, residual, loss)

    def moved(self, change: np.ndarray) -> "_State":
        """The state after a change of all hidden weights and biases."""
        return _State.of(self.inputs, self.targets, changed(self.layers, change), self.activation, self.beside)

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrix and gradient of the projected residual by the hidden weights (Kaufman's approximation)."""
        backward = self._backward()
        entering = self.values[:-1]
        projected = [_projection(a, self.basis, b) for a, b in zip(entering, backward, strict=True)]
        sizes = np.cumsum([0, *(len(rows) for rows in projected)])
        gram = np.empty((sizes[-1], sizes[-1]))
        for i, (a, back_a) in enumerate(zip(entering, backward, strict=True)):
            for j, (b, back_b) in enumerate(zip(entering[: i + 1], backward[: i + 1], strict=True)):
                products = products_of_one(a, back_a) if i == j else products_of_two(a, back_a, b, back_b)
                block = products - projected[i] @ projected[j].T
                gram[sizes[i] : sizes[i + 1], sizes[j] : sizes[j + 1]] = block
                gram[sizes[j] : sizes[j + 1], sizes[i] : sizes[i + 1]] = block.T
        return gram, gradient_of(entering, backward, self.residual)

    def _backward(self) -> list[np.ndarray]:
        """Derivatives of the outputs by the pre-activation of every hidden unit, shapes (points, units, outputs)."""
        slope, units = ACTIVATIONS[self.activation].slope_of_value, self.layers[-1][1].size
        back = slope(self.values[-1][:, :units])[:, :, None] * self.last[:units]
        return backward_through(self.layers, self.values, back, slope)


def backward_through(
    layers: Layers, values: list[np.ndarray], back: np.ndarray, slope: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray]:
    """Propagate derivatives from the last of some layers back to the first.

    Parameters
    ----------
    layers
        The layers.
    values
        Inputs of the layers, as `forward` returns them, and what may follow.
    back
        Derivatives by the pre-activation of the last layer, shape (points, units, outputs).
    slope
        Derivative of the activation as a function of its value.

    Returns
    -------
    list of ndarray
        Derivatives by the pre-activation of every layer, first layer first.
    """
    derivatives = [back]
    trained = [bias.size for _, bias in layers[-2::-1]]  # units beside a layer are fixed
    for (weights, _), entering, units in zip(layers[:0:-1], values[len(layers) - 1 : 0 : -1], trained, strict=True):
        back = slope(entering[:, :units])[:, :, None] * np.matmul(weights[:units], back)
        derivatives.append(back)
    return derivatives[::-1]


def changed(layers: Layers, change: np.ndarray) -> Layers:
    """Add a change to all weights and biases.

    Parameters
    ----------
    layers
        The layers.
    change
        Change of the weights and then the bias of the first layer, then of the next.

    Returns
    -------
    list
        Layers.
    """
    result, begin = [], 0
    for weights, bias in layers:
        size = (weights.shape[0] + 1) * weights.shape[1]
        block = change[begin : begin + size].reshape(-1, weights.shape[1])
        result.append((weights + block[:-1], bias + block[-1]))
        begin += size
    return result


def forward(inputs: np.ndarray, layers: Layers, activation: str, beside: np.ndarray | None = None) -> list[np.ndarray]:
    """Evaluate hidden layers.

    Parameters
    ----------
    inputs
        Scaled inputs, shape (points, inputs).
    layers, activation
        Hidden layers.
    beside
        Values of fixed units beside the first layer, shape (points, units); none by default.

    Returns
    -------
    list of ndarray
        Inputs and values of all layers, with a column of ones.
    """
    values = [_with_ones(inputs)]
    for weights, bias in layers:
        units = ACTIVATIONS[activation](values[-1][:, :-1] @ weights + bias)
        if beside is not None and len(values) == 1:
            units = np.hstack([units, beside])
        values.append(_with_ones(units))
    return values


def gradient_of(values: list[np.ndarray], backward: list[np.ndarray], residual: np.ndarray) -> np.ndarray:
    """Compute the gradient of half the squared residual by all weights.

    Parameters
    ----------
    values
        Inputs of the layers with a column of ones, shapes (points, units + 1).
    backward
        Derivatives of the residual by the pre-activations, shapes (points, units, outputs).
    residual
        Shape (points, outputs).

    Returns
    -------
    ndarray
        In the order of a change; see `changed`.
    """
    return np.concatenate(
        [(a.T @ np.einsum("njr,nr->nj", back, residual)).ravel() for a, back in zip(values, backward, strict=True)]
    )


def _with_ones(values: np.ndarray) -> np.ndarray:
    """Append a column of ones, for the bias."""
    return np.column_stack([values, np.ones(len(values))])


def least_squares(values: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the best linear layer.

    Parameters
    ----------
    values
        Inputs of the layer with a column of ones, shape (points, units + 1).
    targets
        Shape (points, outputs).

    Returns
    -------
    basis, last
        Columns that span the outputs of the layer, and its weights with the bias last; NaN if ``values`` are not finite.
    """
    if not np.all(np.isfinite(values)):
        return np.zeros_like(values), np.full((values.shape[1], targets.shape[1]), np.nan)
    left, strength, right = np.linalg.svd(values, full_matrices=False)
    damped = strength**2 + _RIDGE * len(values)
    last = right.T @ ((strength / damped)[:, None] * (left.T @ targets))
    return left * (strength / np.sqrt(damped)), last


def _projection(entering: np.ndarray, basis: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Component of a layer's derivatives that the output layer compensates, one row for a weight."""
    both = products_of_columns(entering, basis).T @ back.reshape(len(back), -1)
    ordered = both.reshape(entering.shape[1], basis.shape[1], *back.shape[1:]).transpose(0, 2, 1, 3)
    rows: np.ndarray = ordered.reshape(entering.shape[1] * back.shape[1], -1)
    return rows

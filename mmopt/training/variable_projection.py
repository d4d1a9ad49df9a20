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
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.solvers.levenberg_marquardt import descend

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
    >>> from mmopt.training.variable_projection import variable_projection
    >>> x = np.linspace(-1.0, 1.0, 50)[:, None]
    >>> start = [(np.array([[2.0, -2.0]]), np.array([0.5, 0.5]))]
    >>> variable_projection(x, np.abs(x), start, "tanh", steps=50).loss < 1.0e-3
    True
    """
    state = _State.of(inputs, targets, list(start), activation)
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
    def of(cls, inputs: np.ndarray, targets: np.ndarray, layers: Layers, activation: str) -> "_State":
        values = forward(inputs, layers, activation)
        with np.errstate(all="ignore"):
            basis, last = least_squares(values[-1], targets)
            residual = values[-1] @ last - targets
            loss = float(np.sum(residual * residual) / len(residual) + _RIDGE * np.sum(last * last))
        return cls(inputs, targets, layers, activation, values, basis, last, residual, loss)

    def moved(self, change: np.ndarray) -> "_State":
        """The state after a change of all hidden weights and biases."""
        return _State.of(self.inputs, self.targets, changed(self.layers, change), self.activation)

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
        slope = ACTIVATIONS[self.activation].slope_of_value
        return backward_through(
            self.layers, self.values, slope(self.values[-1][:, :-1])[:, :, None] * self.last[:-1], slope
        )


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
    for (weights, _), entering in zip(layers[:0:-1], values[len(layers) - 1 : 0 : -1], strict=True):
        back = slope(entering[:, :-1])[:, :, None] * np.matmul(weights, back)
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


def forward(inputs: np.ndarray, layers: Layers, activation: str) -> list[np.ndarray]:
    """Evaluate hidden layers.

    Parameters
    ----------
    inputs
        Scaled inputs, shape (points, inputs).
    layers, activation
        Hidden layers.

    Returns
    -------
    list of ndarray
        Inputs and values of all layers, with a column of ones.
    """
    values = [_with_ones(inputs)]
    for weights, bias in layers:
        values.append(_with_ones(ACTIVATIONS[activation](values[-1][:, :-1] @ weights + bias)))
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


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All products of a column of one with a column of the other, shape (points, columns of a times those of b)."""
    product: np.ndarray = (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)
    return product


def _projection(entering: np.ndarray, basis: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Component of a layer's derivatives that the output layer compensates, one row for a weight."""
    both = _products(entering, basis).T @ back.reshape(len(back), -1)
    ordered = both.reshape(entering.shape[1], basis.shape[1], *back.shape[1:]).transpose(0, 2, 1, 3)
    rows: np.ndarray = ordered.reshape(entering.shape[1] * back.shape[1], -1)
    return rows


def products_of_two(a: np.ndarray, back_a: np.ndarray, b: np.ndarray, back_b: np.ndarray) -> np.ndarray:
    """Compute inner products of the derivatives by all weights of two layers.

    Parameters
    ----------
    a, b
        Inputs of the two layers, shapes (points, units + 1).
    back_a, back_b
        Derivatives by their pre-activations, shapes (points, units, outputs).

    Returns
    -------
    ndarray
        Shape (weights of the first layer, weights of the second).
    """
    between = np.matmul(back_a, back_b.transpose(0, 2, 1))
    units_a, units_b = between.shape[1:]
    block = _products(a, b).T @ between.reshape(len(a), -1)
    ordered = block.reshape(a.shape[1], b.shape[1], units_a, units_b).transpose(0, 2, 1, 3)
    whole: np.ndarray = ordered.reshape(a.shape[1] * units_a, b.shape[1] * units_b)
    return whole


def products_of_one(a: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Compute `products_of_two` of a layer with itself: half of them follow from the other half.

    Parameters
    ----------
    a
        Inputs of the layer, shape (points, units + 1).
    back
        Derivatives by its pre-activations, shape (points, units, outputs).

    Returns
    -------
    ndarray
        Shape (weights, weights).
    """
    columns, units = a.shape[1], back.shape[1]
    (i, j), (k, m) = np.triu_indices(columns), np.triu_indices(units)
    between = np.matmul(back, back.transpose(0, 2, 1))[:, k, m]
    block = (a[:, i] * a[:, j]).T @ between
    whole = np.empty((columns, columns, units, units))
    for first, second in ((i, j), (j, i)):
        for this, other in ((k, m), (m, k)):
            whole[first[:, None], second[:, None], this, other] = block
    return np.ascontiguousarray(whole.transpose(0, 2, 1, 3)).reshape(columns * units, columns * units)

"""Least squares for a small dense network, by variable projection.

However the hidden layers stand, the best last layer is a linear least-squares problem. So only the hidden layers are
searched, by Levenberg and Marquardt, with the last one always at its best; a step costs one matrix product a pair of
layers, because the derivative by a weight is a product of what goes into the layer and what comes back to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np
import scipy.linalg

from mmopt.dataset.tabulate import Progress
from mmopt.errors import SurrogateError
from mmopt.surrogate.surrogate import ACTIVATIONS

SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": lambda value: 1.0 - value * value,
    "sigmoid": lambda value: value * (1.0 - value),
    "softplus": lambda value: -np.expm1(-value),
}
"""Derivatives of the activations, written in their values."""

Layers = list[tuple[np.ndarray, np.ndarray]]
"""Weights and bias of each layer."""

_RIDGE = 1.0e-10
"""Price of the squared weights of the last layer, beside the mean squared error: two units that have become alike would
otherwise be weighed against each other with weights that cancel. Part of the loss, so that its gradient stays exact."""

_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1.0e-2, 1.0e-9, 1.0e8
_RELAX, _TIGHTEN = 0.4, 3.0
"""How the damping follows success and failure; relative to the curvature of each weight."""

_STALL_STEPS, _STALL = 40, 5.0e-3
"""The fit ends when the loss has fallen by less than this part over so many steps."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted network: weights and biases of every layer, the last one linear, and the loss reached."""

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    loss: float
    steps: int


def fit(
    inputs: np.ndarray,
    wanted: np.ndarray,
    start: Sequence[tuple[np.ndarray, np.ndarray]],
    activation: str,
    *,
    counts: np.ndarray | None = None,
    steps: int = 200,
    progress: Progress | None = None,
) -> Fit:
    """Fit hidden layers, and the linear layer after them, to wanted values.

    Parameters
    ----------
    inputs
        Scaled inputs, shape (points, inputs).
    wanted
        Values in which every error counts alike, shape (points, outputs).
    start
        Weights and biases of the hidden layers at the start.
    activation
        Of every hidden layer.
    counts
        How much each point counts, shape (points,); by default all alike.
    steps
        Most steps.
    progress
        Called with (done, most) after every step.

    Raises
    ------
    SurrogateError
        If the loss is not a number, already at the start.

    References
    ----------
    Golub and Pereyra (1973), SIAM J. Numer. Anal. 10:413-432 (variable projection).
    """
    root = np.sqrt(np.ones(len(inputs)) if counts is None else counts / counts.mean())[:, None]
    at = _State.of(inputs, wanted, root, list(start), activation)
    if not np.isfinite(at.loss):
        raise SurrogateError(
            f"the fit starts at a loss of {at.loss}; scale the inputs and outputs, or try another seed"
        )
    at, taken = descend(at, steps, progress)
    weights = (*(weights for weights, _ in at.layers), at.last[:-1])
    return Fit(weights, (*(bias for _, bias in at.layers), at.last[-1]), at.loss, taken)


class Descending(Protocol):
    """A point in the space of weights, from which Levenberg and Marquardt's method goes down."""

    @property
    def loss(self) -> float:
        """Mean square that is made least; gram matrix and gradient belong to the sum, ``points`` times as large."""

    @property
    def points(self) -> int:
        """Points of the mean."""

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrix and gradient of the residual."""

    def moved(self, change: np.ndarray) -> Self:
        """The point after a change of all weights."""


Point = TypeVar("Point", bound=Descending)


def descend(at: Point, steps: int, progress: Progress | None = None) -> tuple[Point, int]:
    """Go down by Levenberg and Marquardt's method, and say how many steps were taken."""
    damping, harder, losses = _FIRST_DAMPING, 2.0, [at.loss]
    for step in range(steps):
        gram, gradient = at.normal_equations()
        curvature = np.maximum(np.diag(gram), 1.0e-12 * np.diag(gram).max())
        while damping < _MOST_DAMPING:
            change = _solved(gram, damping * curvature, gradient)
            tried = at.moved(change) if change is not None else None
            if change is not None and tried is not None and tried.loss < at.loss:
                expected = float(change @ (damping * curvature * change - gradient)) / at.points
                gain = (at.loss - tried.loss) / expected
                damping = max(_LEAST_DAMPING, damping * max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3))
                at, harder = tried, 2.0
                break
            damping, harder = damping * harder, 2.0 * harder
        losses.append(at.loss)
        if progress is not None:
            progress(step + 1, steps)
        if damping >= _MOST_DAMPING or (
            len(losses) > _STALL_STEPS and losses[-1 - _STALL_STEPS] - at.loss < _STALL * at.loss
        ):
            break
    if progress is not None:
        progress(steps, steps)
    return at, len(losses) - 1


def _solved(gram: np.ndarray, damping: np.ndarray, gradient: np.ndarray) -> np.ndarray | None:
    try:
        factor = scipy.linalg.cho_factor(gram + np.diag(damping), check_finite=False)
    except np.linalg.LinAlgError:
        return None
    change: np.ndarray = scipy.linalg.cho_solve(factor, -gradient, check_finite=False)
    return change if np.all(np.isfinite(change)) else None


@dataclass(frozen=True, eq=False)
class _State:
    """Hidden layers, the values they give, and the best last layer for them."""

    inputs: np.ndarray
    wanted: np.ndarray
    root: np.ndarray
    layers: list[tuple[np.ndarray, np.ndarray]]
    activation: str
    values: list[np.ndarray]
    """Scaled inputs and the values of every hidden layer, each with a column of ones for the bias."""
    basis: np.ndarray
    """Columns whose products with a change tell what the last layer makes good of it; shape (points, units + 1)."""
    last: np.ndarray
    """The linear layer, bias last, shape (units + 1, outputs)."""
    residual: np.ndarray
    loss: float

    @property
    def points(self) -> int:
        """Points of the mean."""
        return len(self.inputs)

    @classmethod
    def of(
        cls,
        inputs: np.ndarray,
        wanted: np.ndarray,
        root: np.ndarray,
        layers: list[tuple[np.ndarray, np.ndarray]],
        activation: str,
    ) -> "_State":
        values = forward(inputs, layers, activation)
        with np.errstate(all="ignore"):
            basis, last = least_squares(root * values[-1], root * wanted)
            residual = root * (values[-1] @ last - wanted)
            loss = float(np.sum(residual * residual) / len(residual) + _RIDGE * np.sum(last * last))
        return cls(inputs, wanted, root, layers, activation, values, basis, last, residual, loss)

    def moved(self, change: np.ndarray) -> "_State":
        """The state after a change of all hidden weights and biases."""
        return _State.of(self.inputs, self.wanted, self.root, changed(self.layers, change), self.activation)

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrix and gradient of the projected residual by the hidden weights (Kaufman's approximation)."""
        backward = self._backward()
        goes_in = self.values[:-1]
        projected = [_inside(a, self.basis, b) for a, b in zip(goes_in, backward, strict=True)]
        sizes = np.cumsum([0, *(len(each) for each in projected)])
        gram = np.empty((sizes[-1], sizes[-1]))
        for i, (a, back_a) in enumerate(zip(goes_in, backward, strict=True)):
            for j, (b, back_b) in enumerate(zip(goes_in[: i + 1], backward[: i + 1], strict=True)):
                products = products_of_one(a, back_a) if i == j else products_of_two(a, back_a, b, back_b)
                block = products - projected[i] @ projected[j].T
                gram[sizes[i] : sizes[i + 1], sizes[j] : sizes[j + 1]] = block
                gram[sizes[j] : sizes[j + 1], sizes[i] : sizes[i + 1]] = block.T
        return gram, gradient_of(goes_in, backward, self.residual)

    def _backward(self) -> list[np.ndarray]:
        """Derivatives of the weighted outputs by what each hidden unit is given, shapes (points, units, outputs)."""
        slope = SLOPES[self.activation]
        back = (self.root * slope(self.values[-1][:, :-1]))[:, :, None] * self.last[:-1]
        found = [back]
        for (weights, _), values in zip(self.layers[:0:-1], self.values[-2:0:-1], strict=True):
            back = slope(values[:, :-1])[:, :, None] * np.matmul(weights, back)
            found.append(back)
        return found[::-1]


def changed(layers: Layers, change: np.ndarray) -> Layers:
    """Layers after a change of all their weights and biases, the weights and the bias of each layer after the other."""
    found, place = [], 0
    for weights, bias in layers:
        size = (weights.shape[0] + 1) * weights.shape[1]
        part = change[place : place + size].reshape(-1, weights.shape[1])
        found.append((weights + part[:-1], bias + part[-1]))
        place += size
    return found


def forward(inputs: np.ndarray, layers: Layers, activation: str) -> list[np.ndarray]:
    """Inputs and the values of every hidden layer, each with a column of ones."""
    values = [with_ones(inputs)]
    for weights, bias in layers:
        values.append(with_ones(ACTIVATIONS[activation](values[-1][:, :-1] @ weights + bias)))
    return values


def gradient_of(values: list[np.ndarray], backward: list[np.ndarray], residual: np.ndarray) -> np.ndarray:
    """Gradient of half the squared residual by all weights, from what goes into the layers and what comes back to them."""
    return np.concatenate(
        [(a.T @ np.einsum("njr,nr->nj", back, residual)).ravel() for a, back in zip(values, backward, strict=True)]
    )


def with_ones(values: np.ndarray) -> np.ndarray:
    """Values with a column of ones at their end, for the bias."""
    return np.column_stack([values, np.ones(len(values))])


def least_squares(values: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns that span what the last layer can make good, and its best weights."""
    if not np.all(np.isfinite(values)):
        return np.zeros_like(values), np.full((values.shape[1], wanted.shape[1]), np.nan)
    left, strength, right = np.linalg.svd(values, full_matrices=False)
    damped = strength**2 + _RIDGE * len(values)
    last = right.T @ ((strength / damped)[:, None] * (left.T @ wanted))
    return left * (strength / np.sqrt(damped)), last


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """All products of a column of one with a column of the other, shape (points, columns of a times those of b)."""
    product: np.ndarray = (a[:, :, None] * b[:, None, :]).reshape(len(a), -1)
    return product


def _inside(goes_in: np.ndarray, basis: np.ndarray, back: np.ndarray) -> np.ndarray:
    """The part of a layer's derivatives that the last layer makes good, one row a weight."""
    both = _products(goes_in, basis).T @ back.reshape(len(back), -1)
    ordered = both.reshape(goes_in.shape[1], basis.shape[1], *back.shape[1:]).transpose(0, 2, 1, 3)
    rows: np.ndarray = ordered.reshape(goes_in.shape[1] * back.shape[1], -1)
    return rows


def products_of_two(a: np.ndarray, back_a: np.ndarray, b: np.ndarray, back_b: np.ndarray) -> np.ndarray:
    """Inner products of the derivatives by all weights of two layers."""
    between = np.matmul(back_a, back_b.transpose(0, 2, 1))
    units_a, units_b = between.shape[1:]
    block = _products(a, b).T @ between.reshape(len(a), -1)
    ordered = block.reshape(a.shape[1], b.shape[1], units_a, units_b).transpose(0, 2, 1, 3)
    whole: np.ndarray = ordered.reshape(a.shape[1] * units_a, b.shape[1] * units_b)
    return whole


def products_of_one(a: np.ndarray, back: np.ndarray) -> np.ndarray:
    """The same of a layer with itself, where half of the products are known from the other half."""
    columns, units = a.shape[1], back.shape[1]
    (i, j), (k, m) = np.triu_indices(columns), np.triu_indices(units)
    between = np.matmul(back, back.transpose(0, 2, 1))[:, k, m]
    block = (a[:, i] * a[:, j]).T @ between
    whole = np.empty((columns, columns, units, units))
    for first, second in ((i, j), (j, i)):
        for this, other in ((k, m), (m, k)):
            whole[first[:, None], second[:, None], this, other] = block
    return np.ascontiguousarray(whole.transpose(0, 2, 1, 3)).reshape(columns * units, columns * units)

"""The fit of non-negative weights: all layers at once, with the softplus that keeps the weights above zero in the loop.

Variable projection cannot see through a softplus. Here the network does: it may let a weight fall far below zero where
its softplus is zero, and bend less itself, since the softplus bends for it at the borders of critical regions.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from mmopt.dataset.tabulate import Progress
from mmopt.training.fit import (
    SLOPES,
    Fit,
    Layers,
    changed,
    descend,
    forward,
    gradient_of,
    products_of_one,
    products_of_two,
)

_THREADS: Final = 2
"""Blocks of the Gram matrix that are made at once."""

_RIDGE: Final = 1.0e-7
"""Price of the squared weights of the hidden layers, beside the mean squared error. Without it one unit of a fit became so
steep that growth was off by a quarter of its range in a layer of a thousandth of the domain, between all labels."""

_RIDGE_LAST: Final = 3.0e-9
"""The same for the layer before the softplus. It costs no accuracy, but no weight is sent to softplus(-300) where it is zero:
the most a unit can be given, as far as bounds on the last hidden layer tell, falls from 887 to 170 for iJO1366. Programs
that bound every unit that way overflow above 709."""


@dataclass(frozen=True, eq=False)
class Goal:
    """What a network is to give.

    Attributes
    ----------
    inputs
        Scaled inputs, shape (points, inputs).
    wanted
        FluxBatch in which every error counts alike, shape (points, counted).
    gains
        What the softplus of each weight adds to them, shape (modes, counted).
    activation
        Of the hidden layers.
    """

    inputs: np.ndarray
    wanted: np.ndarray
    gains: np.ndarray
    activation: str


def polish(goal: Goal, start: Layers, steps: int, progress: Progress | None = None) -> Fit:
    """Fit all layers, from where variable projection ended or an earlier fit.

    Parameters
    ----------
    goal
        The goal.
    start
        Weights and biases of the hidden layers, then of the layer whose softplus weighs the modes.
    steps
        Most steps.
    progress
        Called with (done, most) after every step.
    """
    at, taken = descend(_State.of(goal, start), steps, progress)
    return Fit(tuple(w for w, _ in at.layers), tuple(b for _, b in at.layers), at.loss, taken)


@dataclass(frozen=True, eq=False)
class _State:
    """All layers, the values they give, and the errors."""

    goal: Goal
    layers: Layers
    values: list[np.ndarray]
    """Scaled inputs and the values of every hidden layer, each with a column of ones."""
    last: np.ndarray
    """What the softplus is given, shape (points, modes)."""
    residual: np.ndarray
    loss: float

    @property
    def points(self) -> int:
        """Points of the mean."""
        return len(self.goal.inputs)

    @classmethod
    def of(cls, goal: Goal, layers: Layers) -> "_State":
        """The state with these layers."""
        values = forward(goal.inputs, layers[:-1], goal.activation)
        last = values[-1] @ np.vstack(layers[-1])
        residual = np.logaddexp(0.0, last) @ goal.gains - goal.wanted
        ridge = float(_prices(layers) @ _flat(layers) ** 2)
        return cls(goal, layers, values, last, residual, float(np.sum(residual * residual) / len(residual)) + ridge)

    def moved(self, change: np.ndarray) -> "_State":
        """The state after a change of all weights."""
        return _State.of(self.goal, changed(self.layers, change))

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrix and gradient of the residual by all weights, the ridge included."""
        backward = self._backward()
        sizes = np.cumsum([0, *(a.shape[1] * b.shape[1] for a, b in zip(self.values, backward, strict=True))])
        gram = np.empty((sizes[-1], sizes[-1]))
        # a gram matrix rounded to single precision bends the way down, not where it ends, and takes half of the time
        coarse = [
            (a.astype(np.float32), back.astype(np.float32)) for a, back in zip(self.values, backward, strict=True)
        ]
        pairs = [(i, j) for i in range(len(coarse)) for j in range(i + 1)]
        with ThreadPoolExecutor(_THREADS) as threads:  # each block by one thread, so that it rounds the same way
            blocks = list(threads.map(lambda pair: _products(coarse, *pair), pairs))
        for (i, j), block in zip(pairs, blocks, strict=True):
            gram[sizes[i] : sizes[i + 1], sizes[j] : sizes[j + 1]] = block
            gram[sizes[j] : sizes[j + 1], sizes[i] : sizes[i + 1]] = block.T
        price = self.points * _prices(self.layers)
        gram[np.diag_indices_from(gram)] += price
        whole = gradient_of(self.values, backward, self.residual) + price * _flat(self.layers)
        return gram, whole

    def _backward(self) -> list[np.ndarray]:
        """Derivatives of the errors by what each unit is given, shapes (points, units, counted), the last layer's last."""
        slope = SLOPES[self.goal.activation]
        back = expit(self.last)[:, :, None] * self.goal.gains
        found = [back]
        for (weights, _), values in zip(self.layers[:0:-1], self.values[:0:-1], strict=True):
            back = slope(values[:, :-1])[:, :, None] * np.matmul(weights, back)
            found.append(back)
        return found[::-1]


def _products(coarse: Sequence[tuple[np.ndarray, np.ndarray]], i: int, j: int) -> np.ndarray:
    """Inner products of the derivatives by the weights of two layers."""
    return products_of_one(*coarse[i]) if i == j else products_of_two(*coarse[i], *coarse[j])


def _prices(layers: Layers) -> np.ndarray:
    """What the square of each weight costs, in the order of a change; biases cost nothing."""
    ridges = [_RIDGE] * (len(layers) - 1) + [_RIDGE_LAST]
    return np.concatenate(
        [
            np.repeat([ridge, 0.0], [weights.size, bias.size])
            for (weights, bias), ridge in zip(layers, ridges, strict=True)
        ]
    )


def _flat(layers: Layers) -> np.ndarray:
    """All weights and biases in the order of a change."""
    return np.concatenate([np.vstack(layer).ravel() for layer in layers])

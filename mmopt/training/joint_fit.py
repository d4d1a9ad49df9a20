"""The default trainer: starts by variable projection, then all layers jointly, both by the Levenberg-Marquardt method.

Variable projection cannot treat the softplus that keeps the weights of the modes non-negative. The joint fit includes it:
a weight may be far below zero where its softplus is zero, and the hidden layers bend less, since the softplus bends at the
borders of critical regions.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import expit

from mmopt.dataset.tabulate import Progress
from mmopt.fitting.levenberg_marquardt import descend
from mmopt.fitting.products import products_of_one, products_of_two
from mmopt.fitting.variable_projection import (
    Fit,
    Layers,
    backward_through,
    changed,
    forward,
    gradient_of,
    variable_projection,
)
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.training.output_layers import OutputLayer, TrainingSet, initial_layers

_START_POINTS, _START_STEPS = 1024, 40
"""Points and steps with which the starts are compared."""

_NEAR_STEPS: Final = 20
"""Steps of the variable projection before a joint fit: it only has to come near."""

_CONCURRENT: Final = 2
"""Starts that are tried at once, and blocks of the Gram matrix that are computed at once."""

RIDGE: Final = 1.0e-7
"""Penalty on the squared weights of the hidden layers, beside the mean squared error. Without it one unit of a fit became so
steep that growth was off by a quarter of its range in a layer of a thousandth of the domain, between all points."""

RIDGE_LAST: Final = 3.0e-9
"""The same for the layer before the softplus. It costs no accuracy, but no weight becomes softplus(-300) where it is zero:
the largest pre-activation, by bounds on the last hidden layer, falls from 887 to 170 for iJO1366. Programs that bound every
unit that way overflow above 709."""


@dataclass(frozen=True, eq=False)
class FitTarget:
    """What a network with non-negative mode weights is fitted to.

    Attributes
    ----------
    inputs
        Scaled inputs, shape (points, inputs).
    targets
        Targets whose errors have equal importance, shape (points, targets).
    gains
        Effect of the softplus of every mode weight on the targets, shape (modes, targets).
    activation
        Activation of the hidden layers.
    beside
        Values of the switches beside the first layer, shape (points, switches); none by default.
    lowering
        What the switches add before the softplus of every mode, shape (points, modes); none by default.
    """

    inputs: np.ndarray
    targets: np.ndarray
    gains: np.ndarray
    activation: str
    beside: np.ndarray | None = None
    lowering: np.ndarray | None = None

    def some(self, rows: np.ndarray) -> "FitTarget":
        """Return the target at some of the points.

        Parameters
        ----------
        rows
            Positions of the points.

        Returns
        -------
        FitTarget
        """
        names = [name for name in ("inputs", "targets", "beside", "lowering") if getattr(self, name) is not None]
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def train_layers(training_set: TrainingSet, output: OutputLayer) -> Fit:
    """Fit the layers of a surrogate by the Levenberg-Marquardt method; the best of several starts continues.

    Parameters
    ----------
    training_set
        Points, fluxes and the settings of the training.
    output
        What the output layer combines.

    Returns
    -------
    Fit
        Hidden layers in scaled inputs, then the output layer.
    """
    return _train_conic(training_set, output) if output.conic else _train_linear(training_set, output)


def fit_target(training_set: TrainingSet, output: OutputLayer) -> FitTarget:
    """Return what a network with non-negative mode weights is fitted to.

    Parameters
    ----------
    training_set, output
        Points and output layer.

    Returns
    -------
    FitTarget
    """
    switches, depth = output.switches, len(training_set.widths)
    return FitTarget(
        training_set.unit,
        output.targets,
        output.gains,
        training_set.activation,
        switches.units(training_set.inputs),
        switches.lowering(training_set.inputs, depth),
    )


def _train_conic(training_set: TrainingSet, output: OutputLayer) -> Fit:
    """Non-negative mode weights: starts near by variable projection, then all layers jointly."""
    target = fit_target(training_set, output)
    progress, start = training_set.progress, output.start
    if start is None:
        start = _best_conic_start(training_set, target, output.pre_activations)
        total = training_set.starts * _START_STEPS
        progress = _after(progress, total, total + training_set.iterations)
    return joint_fit(target, start, training_set.iterations, progress)


def _best_conic_start(training_set: TrainingSet, target: FitTarget, pre_activations: np.ndarray) -> Layers:
    """The best of some starts on some of the points."""
    random = np.random.default_rng(training_set.seed)
    some = random.permutation(len(target.inputs))[:_START_POINTS]
    few = target.some(some)
    beside = 0 if target.beside is None else target.beside.shape[1]
    starts = [initial_layers(training_set, random, beside) for _ in range(training_set.starts)]

    def fitted(start: Layers) -> Fit:
        steps = min(_NEAR_STEPS, training_set.iterations)
        near = variable_projection(
            few.inputs, pre_activations[some], start, training_set.activation, steps=steps, beside=few.beside
        )
        return joint_fit(few, near.layers, min(_START_STEPS, training_set.iterations))

    fits = []
    with ThreadPoolExecutor(_CONCURRENT) as threads:
        for number, fit in enumerate(threads.map(fitted, starts)):
            fits.append(fit)
            if training_set.progress is not None:
                total = training_set.starts * _START_STEPS + training_set.iterations
                training_set.progress((number + 1) * _START_STEPS, total)
    return min(fits, key=lambda fit: fit.loss).layers


def _train_linear(training_set: TrainingSet, output: OutputLayer) -> Fit:
    """Any mode weights: the hidden layers by variable projection."""
    inputs, progress, start = training_set.unit, training_set.progress, output.start
    if start is None:
        short = min(_START_STEPS, training_set.iterations)
        total = training_set.starts * short + training_set.iterations
        start = _best_linear_start(training_set, output.targets, short, total)
        progress = _after(progress, training_set.starts * short, total)
    return variable_projection(
        inputs, output.targets, start, training_set.activation, steps=training_set.iterations, progress=progress
    )


def _best_linear_start(training_set: TrainingSet, targets: np.ndarray, steps: int, total: int) -> Layers:
    """The hidden layers of the best of some starts on some of the points."""
    random, inputs = np.random.default_rng(training_set.seed), training_set.unit
    some = random.permutation(len(inputs))[:_START_POINTS]
    fits = []
    for number in range(training_set.starts):
        start = initial_layers(training_set, random)
        fits.append(variable_projection(inputs[some], targets[some], start, training_set.activation, steps=steps))
        if training_set.progress is not None:
            training_set.progress((number + 1) * steps, total)
    return min(fits, key=lambda fit: fit.loss).layers[:-1]


def _after(progress: Progress | None, before: int, total: int) -> Callable[[int, int], None] | None:
    """Progress of the rest of the work, reported as that of all of it."""
    if progress is None:
        return None
    return lambda done, _: progress(min(total, before + done), total)


def joint_fit(target: FitTarget, start: Layers, steps: int, progress: Progress | None = None) -> Fit:
    """Fit all layers jointly, from the end of a variable projection or of an earlier fit.

    Parameters
    ----------
    target
        Inputs and targets.
    start
        Weights and biases of the hidden layers, then of the layer whose softplus gives the mode weights.
    steps
        Most steps; 0 computes the loss of the start.
    progress
        Called with (done, most) after every step.

    Returns
    -------
    Fit
        Hidden layers, then the layer before the softplus.
    """
    state, history = descend(_State.of(target, start), steps, progress)
    return Fit(tuple(w for w, _ in state.layers), tuple(b for _, b in state.layers), state.loss, history)


@dataclass(frozen=True, eq=False)
class _State:
    """All layers, their values, and the errors."""

    target: FitTarget
    layers: Layers
    values: list[np.ndarray]
    """Scaled inputs and the values of every hidden layer, with a column of ones."""
    last: np.ndarray
    """Arguments of the softplus, shape (points, modes)."""
    residual: np.ndarray
    loss: float

    @property
    def points(self) -> int:
        """Number of points of the mean."""
        return len(self.target.inputs)

    @classmethod
    def of(cls, target: FitTarget, layers: Layers) -> "_State":
        """The state with these layers."""
        values = forward(target.inputs, layers[:-1], target.activation, target.beside)
        last = values[-1] @ np.vstack(layers[-1]) + (0.0 if target.lowering is None else target.lowering)
        residual = np.logaddexp(0.0, last) @ target.gains - target.targets
        ridge = float(_penalties(layers) @ _flat(layers) ** 2)
        return cls(target, layers, values, last, residual, float(np.sum(residual * residual) / len(residual)) + ridge)

    def moved(self, change: np.ndarray) -> "_State":
        """The state after a change of all weights."""
        return _State.of(self.target, changed(self.layers, change))

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrix and gradient of the residual by all weights, with the ridge."""
        backward = self._backward()
        sizes = np.cumsum([0, *(a.shape[1] * b.shape[1] for a, b in zip(self.values, backward, strict=True))])
        gram = np.empty((sizes[-1], sizes[-1]))
        # a Gram matrix in single precision changes the path of the descent, not its end, and takes half of the time
        coarse = [
            (a.astype(np.float32), back.astype(np.float32)) for a, back in zip(self.values, backward, strict=True)
        ]
        pairs = [(i, j) for i in range(len(coarse)) for j in range(i + 1)]
        with ThreadPoolExecutor(_CONCURRENT) as threads:  # one thread for a block, so that it rounds the same way
            blocks = list(threads.map(lambda pair: _products(coarse, *pair), pairs))
        for (i, j), block in zip(pairs, blocks, strict=True):
            gram[sizes[i] : sizes[i + 1], sizes[j] : sizes[j + 1]] = block
            gram[sizes[j] : sizes[j + 1], sizes[i] : sizes[i + 1]] = block.T
        penalty = self.points * _penalties(self.layers)
        gram[np.diag_indices_from(gram)] += penalty
        gradient = gradient_of(self.values, backward, self.residual) + penalty * _flat(self.layers)
        return gram, gradient

    def _backward(self) -> list[np.ndarray]:
        """Derivatives of the errors by all pre-activations, shapes (points, units, targets), the output layer last."""
        back = expit(self.last)[:, :, None] * self.target.gains
        return backward_through(self.layers, self.values, back, ACTIVATIONS[self.target.activation].slope_of_value)


def _products(coarse: Sequence[tuple[np.ndarray, np.ndarray]], i: int, j: int) -> np.ndarray:
    """Inner products of the derivatives by the weights of two layers."""
    return products_of_one(*coarse[i]) if i == j else products_of_two(*coarse[i], *coarse[j])


def _penalties(layers: Layers) -> np.ndarray:
    """Penalty on the square of every weight, in the order of a change; none on biases."""
    ridges = [RIDGE] * (len(layers) - 1) + [RIDGE_LAST]
    return np.concatenate(
        [
            np.repeat([ridge, 0.0], [weights.size, bias.size])
            for (weights, bias), ridge in zip(layers, ridges, strict=True)
        ]
    )


def _flat(layers: Layers) -> np.ndarray:
    """All weights and biases in the order of a change."""
    return np.concatenate([np.vstack(layer).ravel() for layer in layers])

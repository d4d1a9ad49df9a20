"""The second trainer: the same layers, fitted by Adam in Keras 3 with TensorFlow.

Keras is imported by a training with this trainer alone; a surrogate holds plain arrays, whichever trainer fitted it.
"""

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fitting.variable_projection import Fit, Layers, variable_projection
from mmopt.training.joint_fit import RIDGE, RIDGE_LAST, fit_target, joint_fit
from mmopt.training.output_layers import OutputLayer, TrainingSet, initial_layers

EPOCHS: Final = 100
"""Epochs of a training by default."""

_PASSES, _ROWS, _BATCH = 30, 300_000, 256
"""Passes over the points in an epoch, points that they hold at most, and points of a step. An epoch costs Keras 30 to 50 ms
whatever it holds."""

_LEARNING_RATE: Final = 1.0e-2
_START_POINTS: Final = 1024
"""Points with which the starts are compared."""

_QUIET: Final = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""Settings with which TensorFlow prints nothing about its build, and rounds the same way in every run."""


def train_layers(training_set: TrainingSet, output: OutputLayer) -> Fit:
    """Fit the layers of a surrogate by Adam with a decaying step length, and keep the best weights.

    Parameters
    ----------
    training_set
        Points, fluxes and the settings of the training; ``iterations`` are epochs, ``callbacks`` are passed to Keras.
    output
        What the output layer combines.

    Returns
    -------
    Fit
        Hidden layers in scaled inputs, then the output layer; the losses of the epochs.

    Raises
    ------
    SurrogateError
        If TensorFlow or Keras is missing, or no loss is finite.

    References
    ----------
    Kingma and Ba (2015), Adam: a method for stochastic optimization, ICLR.
    """
    keras = load_keras()
    with _reproducible(keras, training_set.seed):
        start = _start(training_set, output)
        network = _network(keras, training_set, output, start)
        history = _descend(keras, network, training_set, output)
        layers = [tuple(layer.get_weights()) for layer in network.layers if layer.trainable and layer.weights]
    return _fit(training_set, output, layers, history)


def load_keras() -> Any:
    """Import Keras with its TensorFlow back end.

    Returns
    -------
    module
        The package ``keras``.

    Raises
    ------
    SurrogateError
        If Keras or TensorFlow is missing.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    missing = [package for package in ("tensorflow", "keras") if find_spec(package) is None]
    if missing:
        raise SurrogateError(
            f'the trainer "keras" needs the package {missing[0]}, which is missing: pip install tensorflow '
            "(on Linux tensorflow-cpu suffices), or use the default trainer"
        )
    import keras

    return keras


@contextmanager
def _reproducible(keras: Any, seed: int) -> Iterator[None]:
    """Seed the random numbers that Keras uses and compute in float64; the caller's generators and precision come back."""
    python, numpy, precision = random.getstate(), np.random.get_state(), keras.config.floatx()  # noqa: NPY002
    keras.utils.set_random_seed(seed)
    policy = keras.config.dtype_policy()  # set once by whatever used Keras first; metrics take it from here
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        keras.config.set_floatx(precision)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def _start(training_set: TrainingSet, output: OutputLayer) -> Layers:
    """Hidden layers of the best start, with their best output layer."""
    if output.start is not None and output.conic:
        return output.start
    inputs, generator = training_set.unit, np.random.default_rng(training_set.seed)
    some = generator.permutation(len(inputs))[:_START_POINTS]
    targets = output.pre_activations if output.conic else output.targets
    starts = [output.start] if output.start is not None else []
    beside = output.switches.units(training_set.inputs)[some]
    starts = starts or [initial_layers(training_set, generator, beside.shape[1]) for _ in range(training_set.starts)]
    fits = [
        variable_projection(inputs[some], targets[some], start, training_set.activation, steps=0, beside=beside)
        for start in starts
    ]
    return min(fits, key=lambda fit: fit.loss).layers


def _network(keras: Any, training_set: TrainingSet, output: OutputLayer, start: Layers) -> Any:
    """The layers as Keras has them, with the switches as further inputs; fixed gains after a softplus give the targets."""
    activations = [training_set.activation] * (len(start) - 1) + ["softplus" if output.conic else "linear"]
    ridges = [RIDGE] * (len(start) - 1) + [RIDGE_LAST]
    count = output.targets.shape[1]  # the loss is the mean over targets, where the ridge belongs to their sum
    limits = keras.Input((len(training_set.domain.inputs),))
    beside = keras.Input((output.switches.count,))
    lowering = keras.Input((start[-1][1].size,))
    values = limits
    for number, ((weights, bias), activation, ridge) in enumerate(zip(start, activations, ridges, strict=True)):
        last = number == len(start) - 1
        if number == 1:
            values = keras.layers.Concatenate()([values, beside])
        regularizer = keras.regularizers.L2(ridge / count)
        dense = keras.layers.Dense(bias.size, None if last else activation, kernel_regularizer=regularizer)
        values = dense(values)
        dense.set_weights([weights, bias])
        if last:
            values = keras.layers.Activation(activation)(keras.layers.Add()([values, lowering]))
    if output.conic:
        gains = keras.layers.Dense(count, use_bias=False, trainable=False)
        values = gains(values)
        gains.set_weights([output.gains])
    return keras.Model([limits, beside, lowering], values)


def _descend(keras: Any, network: Any, training_set: TrainingSet, output: OutputLayer) -> list[float]:
    """Minimise the mean squared error, and leave the weights of the best epoch in the network."""
    epochs, targets, switches = training_set.iterations, output.targets, output.switches
    lowering = np.zeros((len(targets), len(output.modes) if output.conic else targets.shape[1]))
    if output.conic:
        lowering = switches.lowering(training_set.inputs, len(training_set.widths))
    arrays = (training_set.unit, switches.units(training_set.inputs), lowering, targets)
    passes = max(1, min(_PASSES, _ROWS // len(targets)))
    *inputs, outputs = (np.tile(array, (passes, 1)) for array in arrays)
    batches = -(-len(outputs) // _BATCH)
    rate = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, epochs * batches)
    network.compile(
        keras.optimizers.Adam(rate), keras.losses.MeanSquaredError(), steps_per_execution=batches, jit_compile=False
    )
    history: list[float] = []
    best: list[list[np.ndarray]] = []

    def record(epoch: int, logs: Any) -> None:
        loss = targets.shape[1] * float(logs["loss"])
        if np.isfinite(loss) and loss < min(history, default=np.inf):
            best[:] = [network.get_weights()]
        history.append(loss if np.isfinite(loss) else np.inf)
        if training_set.progress is not None:
            training_set.progress(epoch + 1, epochs)

    own = keras.callbacks.LambdaCallback(on_epoch_end=record)
    network.fit(inputs, outputs, _BATCH, epochs, verbose=0, callbacks=[own, *training_set.callbacks])
    if not best:
        raise SurrogateError("no epoch ended with a finite loss; scale the inputs and outputs, or try another seed")
    network.set_weights(best[0])
    return history


def _fit(
    training_set: TrainingSet, output: OutputLayer, layers: Sequence[tuple[Any, ...]], history: Sequence[float]
) -> Fit:
    """The layers as a fit, with the loss that the other trainer computes for them."""
    arrays = [(np.asarray(weights, float), np.asarray(bias, float)) for weights, bias in layers]
    inputs, activation = training_set.unit, training_set.activation
    if output.conic:
        loss = joint_fit(fit_target(training_set, output), arrays, 0).loss
    else:
        loss = variable_projection(inputs, output.targets, arrays[:-1], activation, steps=0).loss
    return Fit(tuple(w for w, _ in arrays), tuple(b for _, b in arrays), loss, tuple(history))

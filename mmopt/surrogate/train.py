"""Training a surrogate: the only file that imports Keras.

The flux modes come from the labels alone (their singular vectors, cleaned to balance to rounding); Keras holds the
network that weighs them; full-batch L-BFGS in float64 fits it. Errors count by what a reactor integrates: growth, the
exchanges of the domain and the shortfall most, the other exchanges less, the fluxes inside the cell least.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import scipy.sparse as sp

from mmopt.errors import SurrogateError
from mmopt.metabolism.cell import GROWTH
from mmopt.metabolism.network import Network
from mmopt.metabolism.sampling import Progress
from mmopt.metabolism.table import FluxTable
from mmopt.surrogate.certify import balance_error, compare
from mmopt.surrogate.surrogate import ACTIVATIONS, Layer, Surrogate

HIDDEN = (24, 24)
ITERATIONS = 4000

_HELD_OUT = 0.1
"""Part of the table that fitting never sees; the card's errors are measured on it."""

_MODE_FLOOR = 1.0e-7
"""Modes weaker than this, relative to the strongest, are the solver's rounding."""

_IMPORTANCE = {"growth": 3.0, "reactor": 1.0, "exchange": 0.3, "inside": 0.3}
"""How much an error counts, relative to the range of the quantity; all fluxes inside the cell count as one."""

_PEAKS = 1.0
"""Weight of the root mean fourth power beside the mean square: on iJO1366 (4,096 labels, 24-24, 4,000 iterations) it
lowers the worst error of growth from 0.0080 to 0.0062 1/h and that of oxygen from 0.58 to 0.37 mmol/gDW/h."""

_QUIET_TENSORFLOW = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""What keeps TensorFlow from speaking of its build on the user's screen, where the user has not said otherwise."""

_MINOR_EXCHANGE = 0.5
"""Exchanges that move less than this over the whole domain count as fluxes inside the cell [mmol/gDW/h]."""


def train(
    table: FluxTable,
    *,
    hidden: Sequence[int] = HIDDEN,
    activation: str = "tanh",
    iterations: int = ITERATIONS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Surrogate:
    """Fit a surrogate to a table of labels.

    Parameters
    ----------
    table
        The labels; a tenth of them is held out and gives the errors on the card.
    hidden
        Widths of the hidden layers.
    activation
        ``tanh`` or ``softplus``.
    iterations
        Most L-BFGS iterations.
    seed
        Of the starting weights and of the held-out tenth.
    progress
        Called with (done, total) after every iteration.

    Raises
    ------
    SurrogateError
        If there are too few solved labels, labels that are not finite, or an activation that is not smooth or not known.

    References
    ----------
    Liu and Nocedal (1989), Math. Program. 45:503-528 (L-BFGS).
    """
    table = table.answered()  # a label without an answer teaches nothing
    widths = _checked(table, hidden, activation)
    for name, value in _QUIET_TENSORFLOW.items():
        os.environ.setdefault(name, value)
    started = time.perf_counter()
    held_out = _held_out(len(table), seed)
    inputs, fluxes = table.inputs, table.fluxes
    modes, offset = flux_modes(table.network, fluxes[~held_out])
    wanted = (fluxes - offset) @ np.linalg.pinv(modes)
    scale = np.maximum(wanted[~held_out].std(axis=0), 1.0e-12)
    emphasis = _emphasis(table, fluxes[~held_out], modes) * scale[:, None]
    unit = (inputs - _middle(table)) / _half(table)

    keras = _keras_network(len(table.domain.inputs), widths, len(modes), activation, seed)
    loss = _fit(keras, unit[~held_out], wanted[~held_out] / scale, emphasis, iterations, progress)
    surrogate = _assembled(table, [_layer(dense) for dense in keras.layers], scale, modes, offset)
    how = {
        "hidden": list(widths),
        "activation": activation,
        "training_seed": seed,
        "iterations": iterations,
        "loss": loss,
        "seconds": round(time.perf_counter() - started, 1),
    }
    return replace(surrogate, card=_card(table, surrogate, held_out, how))


def _assembled(
    table: FluxTable, layers: Sequence[Layer], scale: np.ndarray, modes: np.ndarray, offset: np.ndarray
) -> Surrogate:
    """Make a surrogate of trained layers, the scaling of inputs and weights folded into the first and the last."""
    first, *middle, last = layers
    weights = first.weights / _half(table)[:, None]
    network = table.network
    return Surrogate(
        domain=table.domain,
        hidden=(Layer(weights, first.bias - _middle(table) @ weights, first.activation), *middle),
        weights=Layer(last.weights * scale, last.bias * scale, "linear"),
        modes=modes,
        offset=offset,
        reactions=network.reactions,
        biomass=network.biomass,
        maintenance=network.maintenance,
        maintenance_demand=network.maintenance_demand,
        card={},
    )


def _card(table: FluxTable, surrogate: Surrogate, held_out: np.ndarray, how: dict[str, Any]) -> dict[str, Any]:
    """Tell where a surrogate comes from, how it was trained, and how wrong it is on the labels held out."""
    origin = {name: _plain(value) for name, value in table.data.attrs.items() if name not in ("lower", "upper")}
    return {
        **origin,
        "labels": len(table),
        **how,
        "version_keras": version("keras"),
        "held_out": compare(surrogate, table.network, table.inputs[held_out], table.fluxes[held_out]),
        "balance": balance_error(surrogate, table.network, table.inputs),
    }


def flux_modes(network: Network, fluxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find balanced flux vectors whose combinations give all labels.

    Parameters
    ----------
    network
        Gives S.
    fluxes
        Labels, shape (labels, reactions) [mmol/gDW/h].

    Returns
    -------
    modes, offset
        Shapes (modes, reactions) and (reactions,); both satisfy S v = 0 to rounding.
    """
    used = np.flatnonzero(np.any(fluxes != 0.0, axis=0))
    offset = fluxes[:, used].mean(axis=0)
    _, strength, directions = np.linalg.svd(fluxes[:, used] - offset, full_matrices=False)
    kept = directions[strength > _MODE_FLOOR * strength[0]]
    balanced = _balance_projection(network.stoichiometry[:, used])
    modes = np.zeros((len(kept), fluxes.shape[1]))
    modes[:, used] = kept @ balanced
    whole_offset = np.zeros(fluxes.shape[1])
    whole_offset[used] = offset @ balanced
    return modes, whole_offset


def _balance_projection(stoichiometry: sp.csc_array) -> np.ndarray:
    """The orthogonal projection onto {v: S v = 0}; it removes what the solver's tolerance left."""
    dense = stoichiometry.toarray()
    dense = dense[np.any(dense != 0.0, axis=1)]
    _, strength, rows = np.linalg.svd(dense)
    null = rows[np.sum(strength > 1.0e-10 * strength[0]) :]
    projection: np.ndarray = null.T @ null
    return projection


def _emphasis(table: FluxTable, fluxes: np.ndarray, modes: np.ndarray) -> np.ndarray:
    """Matrix that turns an error in mode weights into errors that count, shape (modes, counted)."""
    network = table.network
    spread = np.ptp(fluxes, axis=0)
    inputs = [network.column(name) for name in table.domain.inputs]
    spread[inputs] = np.minimum(
        spread[inputs], table.domain.upper - table.domain.lower
    )  # an error must be small beside the limit
    moving = np.flatnonzero(spread > 1.0e-6)
    growth = network.column(network.biomass)
    reactor = set(inputs)
    if network.maintenance is not None:
        reactor.add(network.column(network.maintenance))
    exchanges = {network.column(name) for name in network.exchanges if spread[network.column(name)] > _MINOR_EXCHANGE}
    kind = [
        "growth" if j == growth else "reactor" if j in reactor else "exchange" if j in exchanges else "inside"
        for j in moving
    ]
    share = np.array([_IMPORTANCE[each] for each in kind]) / spread[moving]
    share[[each == "inside" for each in kind]] /= np.sqrt(kind.count("inside"))
    counted = modes[:, moving] * share
    # only the Gram matrix matters to a sum of squares, so a square root of it does the same with far fewer columns
    values, vectors = np.linalg.eigh(counted @ counted.T)
    root: np.ndarray = vectors * np.sqrt(np.maximum(values, 0.0))
    return root


def _keras_network(inputs: int, widths: Sequence[int], outputs: int, activation: str, seed: int) -> Any:
    import keras

    layers = [
        keras.layers.Dense(
            width, activation=kind, dtype="float64", kernel_initializer=keras.initializers.GlorotUniform(seed + number)
        )
        for number, (width, kind) in enumerate([*((width, activation) for width in widths), (outputs, "linear")])
    ]
    return keras.Sequential([keras.Input((inputs,), dtype="float64"), *layers])


def _fit(
    keras: Any,
    inputs: np.ndarray,
    wanted: np.ndarray,
    emphasis: np.ndarray,
    iterations: int,
    progress: Progress | None,
) -> float:
    """Full-batch L-BFGS on the Keras variables; returns the final loss."""
    from scipy.optimize import minimize

    shapes = [tuple(variable.shape) for variable in keras.trainable_variables]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

    def unpack(flat: np.ndarray) -> list[np.ndarray]:
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]

    value_and_gradient = _loss_with_gradient(keras, inputs, wanted, emphasis)
    done = 0

    def count(_: np.ndarray) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, iterations)

    start = np.concatenate([np.asarray(variable).ravel() for variable in keras.trainable_variables])
    fit = minimize(
        lambda flat: value_and_gradient(unpack(flat)),
        start,
        jac=True,
        method="L-BFGS-B",
        callback=count,
        options={"maxiter": iterations, "maxfun": 2 * iterations, "maxcor": 30, "ftol": 0.0, "gtol": 1.0e-10},
    )
    if not np.isfinite(fit.fun):
        raise SurrogateError(f"the fit diverged (loss {fit.fun}); try another seed or fewer hidden units")
    for variable, value in zip(keras.trainable_variables, unpack(fit.x), strict=True):
        variable.assign(value)
    return float(fit.fun)


def _loss_with_gradient(
    keras: Any, inputs: np.ndarray, wanted: np.ndarray, emphasis: np.ndarray
) -> Callable[[list[np.ndarray]], tuple[float, np.ndarray]]:
    import tensorflow as tf

    x, y, e = (tf.constant(array, dtype=tf.float64) for array in (inputs, wanted, emphasis))
    variables = [variable.value for variable in keras.trainable_variables]

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def evaluate(*values: Any) -> Any:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        with tf.GradientTape() as tape:
            error = tf.matmul(keras(x) - y, e)
            squares = tf.reduce_sum(error * error, axis=1)
            loss = tf.reduce_mean(squares) + _PEAKS * tf.sqrt(tf.reduce_mean(squares * squares))
        gradient = tape.gradient(loss, variables)
        return loss, tf.concat([tf.reshape(part, [-1]) for part in gradient], axis=0)

    def value_and_gradient(values: list[np.ndarray]) -> tuple[float, np.ndarray]:
        loss, gradient = evaluate(*(tf.constant(value) for value in values))
        return float(loss), np.asarray(gradient)

    return value_and_gradient


def _layer(dense: Any) -> Layer:
    weights, bias = dense.get_weights()
    return Layer(np.asarray(weights), np.asarray(bias), dense.activation.__name__)


def _held_out(count: int, seed: int) -> np.ndarray:
    chosen = np.zeros(count, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(count)[: max(1, round(_HELD_OUT * count))]] = True
    return chosen


def _middle(table: FluxTable) -> np.ndarray:
    middle: np.ndarray = (table.domain.lower + table.domain.upper) / 2.0
    return middle


def _half(table: FluxTable) -> np.ndarray:
    half: np.ndarray = (table.domain.upper - table.domain.lower) / 2.0
    return half


def _plain(value: Any) -> Any:
    """What JSON can hold: netCDF gives NumPy scalars back."""
    return value.item() if isinstance(value, np.generic) else value


def _checked(table: FluxTable, hidden: Sequence[int], activation: str) -> tuple[int, ...]:
    if activation not in ACTIVATIONS or activation == "linear":
        smooth = ", ".join(name for name in ACTIVATIONS if name != "linear")
        raise SurrogateError(f"activation '{activation}' cannot be used; use one of {smooth}")
    widths = tuple(int(width) for width in hidden)
    if not widths or min(widths) < 1:
        raise SurrogateError(f"hidden layers {list(hidden)} cannot be made; give one width or more, each at least 1")
    if len(table) < 50:
        raise SurrogateError(f"{len(table)} labels are too few to train on; sample at least 50")
    if not np.all(np.isfinite(table.fluxes)) or not np.all(np.isfinite(table.inputs)):
        raise SurrogateError("the table holds numbers that are not finite; sample again")
    if np.ptp(table.data[GROWTH].values) == 0.0:
        raise SurrogateError("growth is the same at every label: there is nothing to learn; widen the domain")
    return widths

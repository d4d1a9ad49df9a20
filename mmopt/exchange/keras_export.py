"""Surrogates as Keras networks: the chain of dense layers that `Surrogate.layers` returns.

Keras and TensorFlow are imported when an export is called.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mmopt.errors import SurrogateError
from mmopt.exchange.foreign_network import checked_names
from mmopt.io.files import write_whole
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.surrogate import Surrogate

_QUIET: Final = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""Keeps TensorFlow from printing about its build, where the user has not set otherwise."""


def export_keras(surrogate: Surrogate, path: str | Path, names: Sequence[str]) -> Path:
    """Write a surrogate as a Keras 3 network, a Sequential of Dense layers in float64.

    Parameters
    ----------
    surrogate
        The surrogate.
    path
        File to write, ending in ``.keras``; it appears whole or not at all.
    names
        Readings that the network returns, in order: ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h]. It
        takes the surrogate's uptake limits [mmol/gDW/h], in their order. Called with float64 it returns float64; Keras's
        own ``predict`` rounds its inputs to float32.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SurrogateError
        If a name is unknown, the path has another ending, or Keras or TensorFlow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_keras(load_surrogate("ecoli_ijo1366"), f"{folder}/cell.keras", ["growth", "EX_ac_e"]).name
    'cell.keras'
    """
    if Path(path).suffix != ".keras":
        raise SurrogateError(f"{path} does not end in .keras, by which Keras recognises its files; rename it")
    network = keras_network(surrogate, checked_names(names))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # TensorFlow's, on NumPy 2
        return write_whole(path, network.save)


def keras_network(surrogate: Surrogate, names: Sequence[str]) -> Any:
    """Return the dense layers of a surrogate for some readings as a Keras network.

    Parameters
    ----------
    surrogate
        The surrogate.
    names
        Readings, in order.

    Returns
    -------
    keras.Sequential
        In float64.

    Raises
    ------
    SurrogateError
        If a name is unknown, or Keras or TensorFlow is not installed.
    """
    layers = surrogate.layers(names)
    keras = _keras()
    dense = [
        keras.layers.Dense(
            layer.weights.shape[1],
            ACTIVATIONS[layer.activation].keras,
            kernel_initializer="zeros",
            dtype="float64",
            name=f"layer_{index}",
        )
        for index, layer in enumerate(layers)
    ]
    network = keras.Sequential([keras.Input((len(surrogate.inputs),), dtype="float64", name="limits"), *dense])
    for layer, copy in zip(layers, dense, strict=True):
        copy.set_weights([layer.weights, layer.bias])
    return network


def _keras() -> Any:
    """Import Keras with its TensorFlow backend."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import keras
    except ImportError as error:
        missing = error.name or "keras"
        raise SurrogateError(
            f"exports to Keras and IDAES need {missing}, which is missing: pip install tensorflow"
        ) from error
    return keras

"""Surrogates for Keras and for IDAES flowsheets: the chain of dense layers that `Surrogate.layers` gives.

Beside training, this is the only file that imports Keras, and it does so when it is asked.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mmopt.errors import SurrogateError
from mmopt.exchange.foreign_network import checked_names
from mmopt.io.files import write_whole
from mmopt.surrogate.surrogate import Surrogate

_QUIET: Final = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""What keeps TensorFlow from speaking of its build on the user's screen, where the user has not said otherwise."""


def export_keras(surrogate: Surrogate, path: str | Path, names: Sequence[str]) -> Path:
    """Write a surrogate as a Keras 3 network, a Sequential of Dense layers in float64.

    Parameters
    ----------
    surrogate
        The surrogate.
    path
        File to write, ending in ``.keras``; it appears whole or not at all.
    names
        Readings that the network is to give, in order: ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h]. It
        takes the surrogate's uptake limits [mmol/gDW/h], in their order. Called with float64 it answers in float64; Keras's
        own ``predict`` rounds its inputs to float32.

    Raises
    ------
    SurrogateError
        If a name is unknown, or the path has another ending.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_keras(load_surrogate("ecoli_ijo1366"), f"{folder}/cell.keras", ["growth", "EX_ac_e"]).name
    'cell.keras'
    """
    if Path(path).suffix != ".keras":
        raise SurrogateError(f"{path} does not end in .keras, by which Keras knows its files; name it so")
    network = _sequential(surrogate, checked_names(names))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # TensorFlow's, on NumPy 2
        return write_whole(path, network.save)


def idaes_surrogate(surrogate: Surrogate, names: Sequence[str]) -> Any:
    """Give a surrogate as what IDAES puts into a flowsheet through a `SurrogateBlock`.

    Parameters
    ----------
    surrogate
        The surrogate. Its uptake limits [mmol/gDW/h] become the labels of the inputs, its domain their bounds.
    names
        Readings, as for `export_keras`; they become the labels of the outputs.

    Returns
    -------
    idaes.core.surrogate.keras_surrogate.KerasSurrogate
        In float64 and without scalers, since the layers take limits as they are. IDAES wants every label once, so a reading
        that is an input too is labelled ``<id>_flux``. A block takes the surrogate with the formulation ``FULL_SPACE`` or
        ``REDUCED_SPACE``, exactly; ``evaluate_surrogate`` rounds limits to float32, as Keras's ``predict`` does.

    Raises
    ------
    SurrogateError
        If a name is unknown.

    Examples
    --------
    >>> cell = idaes_surrogate(load_surrogate("ecoli_ijo1366"), ["growth", "EX_ac_e"])
    >>> cell.input_labels(), cell.output_labels()
    (['EX_glc__D_e', 'EX_o2_e', 'EX_ac_e'], ['growth', 'EX_ac_e_flux'])
    """
    network = _sequential(surrogate, names := checked_names(names))
    from idaes.core.surrogate.keras_surrogate import KerasSurrogate

    labels = [f"{name}_flux" if name in surrogate.inputs else name for name in names]
    return KerasSurrogate(network, list(surrogate.inputs), labels, dict(surrogate.domain.limits))


def _sequential(surrogate: Surrogate, names: Sequence[str]) -> Any:
    """The chain of a surrogate for some readings, as Keras knows it."""
    layers = surrogate.layers(names)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import keras

    dense = [
        keras.layers.Dense(
            layer.weights.shape[1], layer.activation, kernel_initializer="zeros", dtype="float64", name=f"layer_{place}"
        )
        for place, layer in enumerate(layers)
    ]
    network = keras.Sequential([keras.Input((len(surrogate.inputs),), dtype="float64", name="limits"), *dense])
    for layer, each in zip(layers, dense, strict=True):
        each.set_weights([layer.weights, layer.bias])
    return network

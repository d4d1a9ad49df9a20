"""Networks that Keras trained, as surrogates.

Keras itself is never imported. The archive is unpacked in memory, its description is checked word by word, and the weights
are read as plain arrays; so nothing in a file is run, neither Lambda layers nor objects of other packages.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from mmopt.errors import SurrogateError
from mmopt.exchange.dense_chain import DenseChain
from mmopt.exchange.foreign_network import LARGEST_NETWORK, imported, network_file
from mmopt.exchange.keras_layers import ARITHMETIC, OPERATORS, UNCHANGED, KerasLayer, array_of, described_layers
from mmopt.fba.domain import Domain
from mmopt.io.foreign_file import MOST_MEMBERS, ForeignFile
from mmopt.io.hdf5 import datasets
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.surrogate import Layer, Surrogate

_CURE: Final = "save a Sequential of Dense layers with Keras 3, as name.keras"
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS: Final = ("metadata.json", _CONFIG, _WEIGHTS)
_LAST_AXIS: Final = ([-1], [1], -1, 1)
_LEAST_SPREAD: Final = 1.0e-7
"""Keras divides by no less than this when it normalises (its epsilon)."""


def import_keras(
    path: str | Path,
    domain: Domain,
    names: Sequence[str],
    *,
    input_offset: ArrayLike = 0.0,
    input_factor: ArrayLike = 1.0,
    output_offset: ArrayLike = 0.0,
    output_factor: ArrayLike = 1.0,
    biomass: str = "BIOMASS",
    maintenance: str | None = None,
    maintenance_demand: float = 0.0,
) -> Surrogate:
    """Build a surrogate from a Keras network.

    Its fluxes balance as well as that network was trained to: no output layer enforces it.

    Parameters
    ----------
    path
        A ``.keras`` file of Keras 3 with a Sequential or a functional chain of Dense layers, with Activation,
        BatchNormalization, Normalization, Rescaling, Dropout and the like between them. How it was compiled does not matter.
    domain
        The uptake limits that it takes [mmol/gDW/h], in the order of the network's inputs, and where it is valid.
    names
        Its outputs, in order: ``growth`` [1/h] or reaction ids [mmol/gDW/h].
    input_offset, input_factor, output_offset, output_factor
        Scalings outside of the network: it takes (x - offset) / factor and returns (y - offset) / factor, as OMLT's
        `OffsetScaling` has it. A number, or one for every input or output.
    biomass
        Id of the reaction whose flux is growth.
    maintenance, maintenance_demand
        Id of the maintenance reaction, if it is among ``names``, and the demand on it [mmol/gDW/h].

    Returns
    -------
    Surrogate

    Raises
    ------
    SurrogateError
        If the file is damaged or too large, contains anything but such layers, or does not fit domain and names.

    Examples
    --------
    >>> import_keras("network.h5", Domain({"EX_glc__D_e": (0.0, 12.0)}), ["growth"])
    Traceback (most recent call last):
    mmopt.errors.SurrogateError: network.h5 is Keras's old format; ...
    """
    file = network_file(path, ".keras", _CURE)
    members = file.members(_MEMBERS, LARGEST_NETWORK)
    layers = described_layers(file, file.json(members[_CONFIG], "its config.json "))
    return imported(
        file,
        _chain(file, layers, members[_WEIGHTS], len(domain.inputs)),
        domain,
        names,
        scaling=(input_offset, input_factor, output_offset, output_factor),
        biomass=biomass,
        maintenance=(maintenance, maintenance_demand),
    )


@np.errstate(all="ignore")  # numbers that are not finite are refused in the end
def _chain(file: ForeignFile, layers: Sequence[KerasLayer], weights: bytes, inputs: int) -> list[Layer]:
    """The dense layers with their weights; scalings and shifts are folded into them."""
    if not any(layer.kind == "Dense" for layer in layers):
        file.refuse("must hold Dense layers")
    arrays = _arrays(file, weights, [f"{layer.folder}/{k}" for layer in layers for k in range(_arrays_of(layer))])
    chain = DenseChain(file, inputs)
    for layer in layers:
        _append(file, chain, layer, [arrays[f"{layer.folder}/{k}"] for k in range(_arrays_of(layer))])
    return chain.layers()


def _arrays_of(layer: KerasLayer) -> int:
    """Number of arrays of weights that are read."""
    config = layer.config
    if layer.kind == "Dense":
        return 1 + _has(config, "use_bias")
    if layer.kind == "BatchNormalization":
        return 2 + _has(config, "scale") + _has(config, "center")
    return 2 if layer.kind == "Normalization" and config.get("mean") is None else 0


def _has(config: Mapping[str, Any], option: str) -> bool:
    return config.get(option) is not False


def _append(file: ForeignFile, chain: DenseChain, layer: KerasLayer, arrays: Sequence[np.ndarray]) -> None:
    kind, config = layer.kind, layer.config
    if kind not in ARITHMETIC and len(layer.arguments) > 1:
        file.refuse(f"calls a layer of class {kind} with more than the values of the layer before it")
    if kind == "Dense":
        name, units = _activation(file, kind, config), config.get("units")
        if arrays[0].shape[1:] != (units,):
            file.refuse(f"holds weights of shape {arrays[0].shape} for a Dense layer of {units!r} units")
        chain.dense(arrays[0], arrays[1] if len(arrays) > 1 else np.zeros(arrays[0].shape[1]))
        chain.activate(name)
    elif kind == "Activation":
        chain.activate(_activation(file, kind, config))
    elif kind in OPERATORS:
        chain.activate(OPERATORS[kind])
    elif kind == "Reshape":
        if config.get("target_shape") not in ([-1], [chain.width]):
            file.refuse(f"holds a Reshape to {config.get('target_shape')!r:.40}, not to one row of values")
    elif kind not in UNCHANGED:
        chain.scale(*_scaling(file, layer, arrays, chain.width))


def _activation(file: ForeignFile, kind: str, config: Mapping[str, Any]) -> str:
    name = config.get("activation")
    if not isinstance(name, str):
        file.refuse(f"holds a {kind} layer with an activation of its own, whose code would be run; it was not")
    if name not in ACTIVATIONS:
        file.refuse(f"holds a {kind} layer with the activation '{name}'; known: {', '.join(ACTIVATIONS)}")
    return name


def _scaling(
    file: ForeignFile, layer: KerasLayer, arrays: Sequence[np.ndarray], width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset of a layer or an operator that scales."""
    if layer.kind == "Rescaling":
        scale, offset = (array_of(file, layer.config.get(key), "Rescaling") for key in ("scale", "offset"))
        return scale, offset
    if layer.kind == "Normalization":
        return _normalization(file, layer.config, arrays, width)
    if layer.kind == "BatchNormalization":
        return _batch_normalization(file, layer.config, list(arrays))
    return _arithmetic(file, layer)


def _normalization(
    file: ForeignFile, config: Mapping[str, Any], adapted: Sequence[np.ndarray], width: int
) -> tuple[np.ndarray, np.ndarray]:
    if config.get("axis") not in _LAST_AXIS:
        file.refuse("holds a Normalization that is not along the last axis")
    given = adapted or [array_of(file, config.get(key), "Normalization") for key in ("mean", "variance")]
    try:
        mean, variance = (np.broadcast_to(values.ravel(), (width,)) for values in given)
    except ValueError:
        file.refuse(f"holds a Normalization that does not fit {width} inputs")
    if np.any(variance < 0.0):
        file.refuse("holds a Normalization with a variance below zero")
    spread = np.maximum(np.sqrt(variance), _LEAST_SPREAD)
    return (spread, mean) if config.get("invert") else (1.0 / spread, -mean / spread)


def _batch_normalization(
    file: ForeignFile, config: Mapping[str, Any], arrays: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Its moving mean and variance count, as when a network is used."""
    if config.get("axis") not in _LAST_AXIS or config.get("renorm"):
        file.refuse("holds a BatchNormalization with renorm, or not along the last axis")
    epsilon = array_of(file, config.get("epsilon"), "BatchNormalization")
    *trained, mean, variance = arrays
    if any(array.shape != mean.shape for array in arrays) or mean.ndim != 1 or np.any(variance + epsilon <= 0.0):
        file.refuse("holds a BatchNormalization whose arrays do not fit")
    gamma = trained.pop(0) if _has(config, "scale") else np.ones(mean.shape)
    beta = trained.pop(0) if trained else np.zeros(mean.shape)
    factor = gamma / np.sqrt(variance + epsilon)
    return factor, beta - mean * factor


def _arithmetic(file: ForeignFile, layer: KerasLayer) -> tuple[np.ndarray, np.ndarray]:
    """An operator between the values and a number."""
    kind, one, none = layer.kind, np.ones(()), np.zeros(())
    if kind == "Negative":
        return -one, none
    if len(layer.arguments) != 2:
        file.refuse(f"holds operator {kind}, but not of values and a number")
    first = layer.arguments[0] is None
    number = array_of(file, layer.arguments[1 if first else 0], kind)
    if kind == "Add":
        return one, number
    if kind == "Subtract":
        return (one, -number) if first else (-one, number)
    if kind == "Multiply":
        return number, none
    if not first:
        file.refuse("divides a number by values, which no dense layer does")
    return 1.0 / number, none


def _arrays(file: ForeignFile, weights: bytes, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for first in range(0, len(wanted), MOST_MEMBERS):
        names = wanted[first : first + MOST_MEMBERS]
        try:
            packed = datasets(weights, names)
        except SurrogateError as error:
            file.refuse(f"holds weights that cannot be read: {error}")
        members = file.unpacked(packed, [f"{k}.npy" for k in range(len(names))])
        arrays |= {name: file.array(name, members[f"{k}.npy"]) for k, name in enumerate(names)}
    return arrays

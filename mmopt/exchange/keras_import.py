"""Networks that Keras trained, as surrogates.

Keras itself is never imported. The archive is unpacked in memory, its description is checked word by word, and the weights
are read as plain arrays; so nothing in a file is run, neither Lambda layers nor objects of other packages.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from mmopt.errors import SurrogateError
from mmopt.exchange.foreign_network import LARGEST_NETWORK, imported, network_file, shifted
from mmopt.fba.domain import Domain
from mmopt.io.foreign_file import MOST_MEMBERS, ForeignFile
from mmopt.io.hdf5 import datasets
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.surrogate import Layer, Surrogate

_CURE: Final = "save a Sequential of Dense layers with Keras 3, as name.keras"
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_MEMBERS: Final = ("metadata.json", _CONFIG, _WEIGHTS)
_KINDS: Final = ("InputLayer", "Normalization", "Dense")
_FLOATS: Final = ("float32", "float64")
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
        A ``.keras`` file of Keras 3 with a Sequential of Dense layers, after a Normalization if there is one. How it was
        compiled does not matter.
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
    layers = list(_described(file, file.json(members[_CONFIG], "its config.json ")))
    return imported(
        file,
        _chain(file, layers, members[_WEIGHTS]),
        domain,
        names,
        scaling=(input_offset, input_factor, output_offset, output_factor),
        biomass=biomass,
        maintenance=(maintenance, maintenance_demand),
    )


def _described(file: ForeignFile, description: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Class and configuration of every layer after the first of a Sequential, when it has been checked."""
    kind, config = _object(file, description)
    if kind != "Sequential":
        file.refuse(f"describes a network of class {kind}, not a Sequential")
    if not isinstance(config.get("layers"), list):
        file.refuse("describes a Sequential without a list of layers")
    for index, layer in enumerate(config["layers"]):
        kind, config = _object(file, layer)
        if kind == "Lambda":
            file.refuse("holds a Lambda layer, whose code would be run; it was not")
        if kind not in _KINDS:
            file.refuse(f"holds a layer of class {kind}; known: {', '.join(_KINDS)}")
        _check_members(file, config)
        if kind == "InputLayer" and index:
            file.refuse("holds a second input")
        if kind != "InputLayer":
            _check_numbers(file, config)
            yield kind, config


def _object(file: ForeignFile, description: Any) -> tuple[str, Mapping[str, Any]]:
    """Class and configuration of an object, if it is one of Keras's own."""
    if not isinstance(description, dict):
        file.refuse("describes no Keras network in its config.json")
    kind, module, registered = (description.get(key) for key in ("class_name", "module", "registered_name"))
    if not isinstance(kind, str) or not isinstance(module, str):
        file.refuse("describes an object without class or module in its config.json")
    if module.partition(".")[0] != "keras" or registered is not None:
        file.refuse(f"needs '{registered or kind}' of the package '{module}'; only Keras's own layers are read")
    if not isinstance(description.get("config"), dict):
        file.refuse(f"has no configuration of its {kind}")
    return kind, description["config"]


def _check_members(file: ForeignFile, config: Mapping[str, Any]) -> None:
    """Refuse initialisers, regularisers and the like that are not Keras's own, though none of them would be used."""
    left: list[Any] = list(config.values())
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                _object(file, value)
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)


def _check_numbers(file: ForeignFile, config: Mapping[str, Any]) -> None:
    kind = config.get("dtype")
    name = _object(file, kind)[1].get("name") if isinstance(kind, dict) else kind
    if name not in _FLOATS:
        file.refuse(f"computes in {name}; known: {', '.join(_FLOATS)}")
    if config.get("quantization_config") is not None or config.get("lora_rank") is not None:
        file.refuse("is quantised or has adapters (LoRA)")


def _chain(file: ForeignFile, layers: Sequence[tuple[str, Mapping[str, Any]]], weights: bytes) -> list[Layer]:
    """The dense layers with their weights; a normalisation is folded into the first of them."""
    dense = [config for kind, config in layers if kind == "Dense"]
    normal = [config for kind, config in layers if kind == "Normalization"]
    if not dense or (normal and (len(normal) > 1 or layers[0][0] != "Normalization")):
        file.refuse("must hold Dense layers, and a Normalization before the first of them alone")
    folders = [f"layers/dense_{k}".removesuffix("_0") + "/vars" for k in range(len(dense))]
    wanted = [
        f"{folder}/{k}" for folder, config in zip(folders, dense, strict=True) for k in range(1 + _has_bias(config))
    ]
    adapted = bool(normal) and normal[0].get("mean") is None
    if adapted:
        wanted += ["layers/normalization/vars/0", "layers/normalization/vars/1"]
    arrays = _arrays(file, weights, wanted)
    chain = [_layer(file, config, arrays, folder) for folder, config in zip(folders, dense, strict=True)]
    if normal:
        chain[0] = _normalised(file, chain[0], normal[0], [arrays[name] for name in wanted[-2:]] if adapted else None)
    return chain


def _has_bias(config: Mapping[str, Any]) -> bool:
    return config.get("use_bias") is not False


def _layer(file: ForeignFile, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray], folder: str) -> Layer:
    name, units, weights = config.get("activation"), config.get("units"), arrays[f"{folder}/0"]
    if not isinstance(name, str):
        file.refuse("holds a Dense layer with an activation of its own, whose code would be run; it was not")
    if name not in ACTIVATIONS:
        file.refuse(f"holds a Dense layer with the activation '{name}'; known: {', '.join(ACTIVATIONS)}")
    if weights.shape[1:] != (units,):
        file.refuse(f"holds weights of shape {weights.shape} for a Dense layer of {units!r} units")
    return Layer(weights, arrays[f"{folder}/1"] if _has_bias(config) else np.zeros(weights.shape[1]), name)


def _arrays(file: ForeignFile, weights: bytes, wanted: Sequence[str]) -> dict[str, np.ndarray]:
    if len(wanted) > MOST_MEMBERS:
        file.refuse(f"holds more than {MOST_MEMBERS // 2} layers")
    try:
        packed = datasets(weights, wanted)
    except SurrogateError as error:
        file.refuse(f"holds weights that cannot be read: {error}")
    members = file.unpacked(packed, [f"{k}.npy" for k in range(len(wanted))])
    return {name: file.array(name, members[f"{k}.npy"]) for k, name in enumerate(wanted)}


def _normalised(
    file: ForeignFile, layer: Layer, config: Mapping[str, Any], adapted: Sequence[np.ndarray] | None
) -> Layer:
    if config.get("invert") is not False or config.get("axis") not in ([-1], [1], -1, 1):
        file.refuse("holds a Normalization that inverts, or is not along the last axis")
    inputs = len(layer.weights)
    try:
        mean, variance = (
            np.broadcast_to(np.asarray(values, dtype=float).ravel(), (inputs,))
            for values in adapted or (config.get("mean"), config.get("variance"))
        )
    except (TypeError, ValueError, OverflowError):
        file.refuse(f"holds a Normalization that does not fit {inputs} inputs")
    if np.any(variance < 0.0):
        file.refuse("holds a Normalization with a variance below zero")
    return shifted(layer, mean, np.maximum(np.sqrt(variance), _LEAST_SPREAD))

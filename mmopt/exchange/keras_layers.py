"""Layers of a Keras network in the order in which a value passes them, as its config.json describes them.

The description is checked word by word: only Keras's own layers, in a Sequential or a functional chain.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mmopt.io.foreign_file import ForeignFile

MOST_LAYERS: Final = 256
"""Most layers of a network; each has four arrays of weights or fewer."""

UNCHANGED: Final = (
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
    "Flatten",
)
"""Layers that do nothing to a row of values when a network is used."""

KINDS: Final = (
    "InputLayer",
    "Normalization",
    "Dense",
    "Activation",
    "BatchNormalization",
    "Rescaling",
    "Reshape",
    *UNCHANGED,
)
ARITHMETIC: Final = ("Add", "Subtract", "Multiply", "TrueDivide", "Divide", "Negative")
OPERATORS: Final = {"Tanh": "tanh", "Sigmoid": "sigmoid", "Softplus": "softplus"}

_CONTAINERS: Final = ("Sequential", "Functional")
_FLOATS: Final = ("float32", "float64")
_TENSOR: Final = "__keras_tensor__"
_ARRAYS: Final = ("__numpy__", "__tensor__")
_OWN_OPERATORS: Final = "keras.src.ops"


@dataclass(frozen=True)
class KerasLayer:
    """A layer, or an operator between layers.

    Attributes
    ----------
    kind
        Its class.
    config
        Its configuration.
    folder
        Folder of its weights in the archive.
    arguments
        What an operator takes, in order; None stands for the values themselves.

    Examples
    --------
    >>> KerasLayer("Dense", {"units": 2}, "layers/dense/vars").kind
    'Dense'
    """

    kind: str
    config: Mapping[str, Any]
    folder: str
    arguments: tuple[Any, ...] = ()


def described_layers(file: ForeignFile, description: Any) -> list[KerasLayer]:
    """Return the layers of a network in order, when its description has been checked.

    Parameters
    ----------
    file
        The file.
    description
        Content of its config.json.

    Returns
    -------
    list of KerasLayer

    Raises
    ------
    SurrogateError
        If it is no chain of layers that are known.
    """
    kind, _ = _object(file, description)
    if kind not in _CONTAINERS:
        file.refuse(f"describes a network of class {kind}, not a Sequential or a functional chain")
    layers = list(_layers(file, description, ""))
    if len(layers) > MOST_LAYERS:
        file.refuse(f"holds more than {MOST_LAYERS} layers")
    return layers


def array_of(file: ForeignFile, value: Any, what: str) -> np.ndarray:
    """Return numbers of a description as an array.

    Parameters
    ----------
    file
        The file.
    value
        A number, a list of numbers, or an array as Keras writes it.
    what
        What they are, for messages.

    Returns
    -------
    ndarray

    Raises
    ------
    SurrogateError
        If they are no numbers.
    """
    if isinstance(value, dict) and value.get("class_name") in _ARRAYS and isinstance(value.get("config"), dict):
        value = value["config"].get("value")
    try:
        array = np.asarray(value)
    except ValueError:
        file.refuse(f"holds a {what} without numbers")
    if array.dtype.kind not in "fi":
        file.refuse(f"holds a {what} without numbers")
    return array.astype(float)


def _layers(file: ForeignFile, description: Any, prefix: str) -> Iterator[KerasLayer]:
    """Layers of a container; containers in it are unfolded. Weights are filed under class and count."""
    kind, config = _object(file, description)
    if not isinstance(config.get("layers"), list):
        file.refuse(f"describes a {kind} without a list of layers")
    arguments = _connections(file, config) if kind == "Functional" else [()] * len(config["layers"])
    seen: Counter[str] = Counter()
    for index, (layer, taken) in enumerate(zip(config["layers"], arguments, strict=True)):
        kind, own = _object(file, layer)
        name = _folder(kind)
        folder = f"{prefix}layers/{name}" + (f"_{seen[name]}" if seen[name] else "")
        seen[name] += 1
        if kind in _CONTAINERS:
            yield from _layers(file, layer, f"{folder}/")
            continue
        _check_layer(file, layer, own)
        if kind == "InputLayer":
            _check_input(file, own, first=not index)
        else:
            yield KerasLayer(kind, own, f"{folder}/vars", taken)


def _check_layer(file: ForeignFile, layer: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    kind = layer["class_name"]
    if kind == "Lambda":
        file.refuse("holds a Lambda layer, whose code would be run; it was not")
    operator = str(layer["module"]).startswith(_OWN_OPERATORS)
    if kind not in ((*ARITHMETIC, *OPERATORS) if operator else KINDS):
        file.refuse(f"holds a layer of class {kind}; known: {', '.join(KINDS)}")
    _check_members(file, config)
    if kind != "InputLayer" and not operator:
        _check_numbers(file, config)


def _check_input(file: ForeignFile, config: Mapping[str, Any], *, first: bool) -> None:
    if not first:
        file.refuse("holds a second input")
    shape = config.get("batch_shape")
    if not isinstance(shape, list) or len(shape) != 2:
        file.refuse(f"takes values of shape {shape}, not one row of numbers for every point")


def _connections(file: ForeignFile, config: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What every layer of a functional network takes, if they are one chain in the order of their list."""
    ends = [_ends(config.get(key)) for key in ("input_layers", "output_layers")]
    if any(len(names) != 1 for names in ends):
        file.refuse(f"has {len(ends[0])} inputs and {len(ends[1])} outputs, not one of each")
    (at,), (last,) = ends
    taken: list[tuple[Any, ...]] = []
    for layer in config["layers"]:
        name, nodes = (layer.get(key) if isinstance(layer, dict) else None for key in ("name", "inbound_nodes"))
        if nodes == [] and name == at:
            taken.append(())
            continue
        if not isinstance(nodes, list) or len(nodes) != 1 or not isinstance(nodes[0], dict):
            file.refuse(f"is no chain: layer '{name}' is used several times, or not at all")
        taken.append(_arguments(file, nodes[0], str(name), at))
        at = str(name)
    if at != last:
        file.refuse(f"is no chain: its output is that of '{last}', not of the last layer")
    return taken


def _ends(description: Any) -> list[str]:
    """Names of the layers at one end, in the ways in which Keras writes them."""
    if isinstance(description, dict):
        return [name for value in description.values() for name in _ends(value)]
    if not isinstance(description, list) or not description:
        return []
    if isinstance(description[0], str):
        return [description[0]]
    return [name for value in description for name in _ends(value)]


def _arguments(file: ForeignFile, node: Mapping[str, Any], name: str, at: str) -> tuple[Any, ...]:
    """Arguments of a call, with None for the values that come from the layer before; nothing but those may change a call."""
    options = node.get("kwargs") or {}
    if not isinstance(options, dict) or any(options.values()):
        file.refuse(f"calls layer '{name}' with {options!r:.80}, which is not read")
    arguments = node.get("args")
    given = arguments if isinstance(arguments, list) else []
    tensors = [value for value in given if isinstance(value, dict) and value.get("class_name") == _TENSOR]
    history = [value["config"].get("keras_history") for value in tensors if isinstance(value.get("config"), dict)]
    if history != [[at, 0, 0]]:
        file.refuse(f"is no chain: layer '{name}' does not take what the one before it gives, and that alone")
    return tuple(None if value is tensors[0] else value for value in given)


def _object(file: ForeignFile, description: Any) -> tuple[str, Mapping[str, Any]]:
    """Class and configuration of an object, if it is one of Keras's own."""
    if not isinstance(description, dict):
        file.refuse("describes no Keras network in its config.json")
    kind, module, registered = (description.get(key) for key in ("class_name", "module", "registered_name"))
    if not isinstance(kind, str) or not isinstance(module, str):
        file.refuse("describes an object without class or module in its config.json")
    if module.partition(".")[0] != "keras" or registered not in (None, kind):
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
            if "class_name" in value and value["class_name"] not in _ARRAYS:
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


def _folder(kind: str) -> str:
    """Name of a class as Keras files weights under it."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()

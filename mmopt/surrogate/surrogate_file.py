"""A surrogate as a folder of two files: a JSON document and plain arrays.

Both are checked before anything is built from them, and nothing in them is ever run. The document holds the SHA-256 of the
arrays and of all else in it, so that files of two saves, or changed ones, are never taken for one surrogate.
"""

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from mmopt.errors import DomainError, SurrogateError, nearest
from mmopt.fba.domain import Domain
from mmopt.io.files import write_whole
from mmopt.io.foreign_file import LARGEST, LARGEST_TEXT, MOST_MEMBERS, ForeignFile
from mmopt.io.seal import canonical_json, digest, digest_arrays
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.layer import Layer

SCHEMA: Final = 3

_CARD, _ARRAYS = "surrogate.json", "arrays.npz"
_CURE: Final = "train it again"
_CHANGED: Final = "it was changed after it was written: take both files from one save, or train it again"
_ALWAYS: Final = ("used", "modes", "offset")
_MOST_LAYERS: Final = (MOST_MEMBERS - len(_ALWAYS)) // 2

Range = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]


class SurrogateContents(Protocol):
    """The fields of a surrogate that its files hold."""

    @property
    def domain(self) -> Domain: ...  # noqa: D102

    @property
    def hidden(self) -> tuple[Layer, ...]: ...  # noqa: D102

    @property
    def weights(self) -> Layer: ...  # noqa: D102

    @property
    def modes(self) -> np.ndarray: ...  # noqa: D102

    @property
    def offset(self) -> np.ndarray: ...  # noqa: D102

    @property
    def reactions(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def biomass(self) -> str: ...  # noqa: D102

    @property
    def maintenance(self) -> str | None: ...  # noqa: D102

    @property
    def maintenance_demand(self) -> float: ...  # noqa: D102

    @property
    def card(self) -> Mapping[str, Any]: ...  # noqa: D102


class _Description(BaseModel):
    """The JSON document: these keys, these types, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: int = Field(alias="schema")
    domain: dict[str, Range]
    activations: Annotated[list[str], Field(min_length=1, max_length=_MOST_LAYERS)]
    reactions: Annotated[list[str], Field(min_length=1)]
    biomass: str
    maintenance: str | None
    maintenance_demand: FiniteFloat
    card: dict[str, Any]
    sha256: str


def check_shapes(surrogate: SurrogateContents) -> None:
    """Check that layers, modes and reactions fit together, and that all numbers are finite.

    Parameters
    ----------
    surrogate
        The surrogate.

    Raises
    ------
    SurrogateError
        If they do not.
    """
    width = len(surrogate.domain.inputs)
    for layer in (*surrogate.hidden, surrogate.weights):
        if layer.activation not in ACTIVATIONS:
            raise SurrogateError(f"activation '{layer.activation}' is unknown; known: {', '.join(ACTIVATIONS)}")
        if layer.weights.ndim != 2 or layer.weights.shape[0] != width or layer.bias.shape != layer.weights.shape[1:]:
            raise SurrogateError(f"a layer of shape {layer.weights.shape} cannot follow {width} values; train it again")
        width = layer.weights.shape[1]
    if surrogate.weights.activation != "linear":
        raise SurrogateError("the last layer must be linear: it weighs the flux modes")
    if surrogate.modes.shape != (width, len(surrogate.reactions)):
        raise SurrogateError(f"{surrogate.modes.shape} modes do not fit {width} weights; train it again")
    every = (
        surrogate.modes,
        surrogate.offset,
        *(array for layer in (*surrogate.hidden, surrogate.weights) for array in (layer.weights, layer.bias)),
    )
    if not all(np.all(np.isfinite(array)) for array in every):
        raise SurrogateError("the surrogate holds numbers that are not finite; train it again")
    _check_values(surrogate)


def _check_values(surrogate: SurrogateContents) -> None:
    """Check that what it predicts at the corners and in the middle of its domain is finite."""
    domain = surrogate.domain
    points = np.array([domain.lower, (domain.lower + domain.upper) / 2.0, domain.upper])
    with np.errstate(all="ignore"):
        for layer in (*surrogate.hidden, surrogate.weights):
            points = layer(points)
        points = surrogate.offset + points @ surrogate.modes
    if not np.all(np.isfinite(points)):
        raise SurrogateError("the surrogate predicts numbers that are not finite; train it again")


def write_surrogate(surrogate: SurrogateContents, folder: str | Path) -> Path:
    """Write arrays and card into a folder; each file appears whole or not at all.

    Numbers on the card that are not finite become null, since JSON has none.

    Parameters
    ----------
    surrogate
        The surrogate.
    folder
        The folder.

    Returns
    -------
    Path
        The file of the card.

    Raises
    ------
    SurrogateError
        If it is larger than what `load_surrogate` reads, or JSON cannot hold its card.
    """
    folder = Path(folder)
    arrays = _arrays(surrogate)
    described: dict[str, Any] = {
        "schema": SCHEMA,
        "domain": {name: list(limits) for name, limits in surrogate.domain.limits.items()},
        "activations": [layer.activation for layer in (*surrogate.hidden, surrogate.weights)],
        "reactions": list(surrogate.reactions),
        "biomass": surrogate.biomass,
        "maintenance": surrogate.maintenance,
        "maintenance_demand": surrogate.maintenance_demand,
        "card": _plain(surrogate.card),
    }
    try:
        described = json.loads(json.dumps(described, allow_nan=False))
        text = json.dumps({**described, "sha256": _digest(described, arrays)}, indent=1) + "\n"
    except (TypeError, ValueError) as error:
        raise SurrogateError(f"{folder} cannot be written: JSON cannot hold the card ({error})") from error
    size = sum(array.nbytes for array in arrays.values())
    if len(arrays) > MOST_MEMBERS or max(size, surrogate.modes.nbytes) > LARGEST or len(text) > LARGEST_TEXT:
        raise SurrogateError(
            f"{folder} cannot be written: {size / 2**20:.0f} MB of arrays in {len(surrogate.hidden) + 1} layers are more "
            "than a surrogate may have; train a smaller one"
        )
    write_whole(folder / _ARRAYS, lambda temporary: np.savez_compressed(temporary, allow_pickle=False, **arrays))
    return write_whole(folder / _CARD, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_surrogate(source: str | Path) -> dict[str, Any]:
    """Read and check the fields of a surrogate.

    Parameters
    ----------
    source
        A folder, or the name of a surrogate that ships with mmopt.

    Returns
    -------
    dict
        The fields by name.

    Raises
    ------
    SurrogateError
        If there is none, or its files are damaged, changed, too large, or hold anything but names and numbers.
    """
    if not isinstance(source, str | Path):
        raise SurrogateError(f"source is {source!r:.60}; give a folder, or the name of a surrogate that ships")
    folder = Path(source)
    if not folder.is_dir() and str(source) in shipped_surrogates():
        folder = _shipped() / str(source)
    if folder.is_file():
        raise SurrogateError(f"{folder} is a file; a surrogate is a folder with {_CARD} and {_ARRAYS}: give the folder")
    if not (folder / _CARD).exists():
        raise SurrogateError(
            f"there is no surrogate '{source}': no folder with {_CARD}, and none of that name ships; "
            f"{nearest(str(source), shipped_surrogates())}"
        )
    description, facts = _read_description(ForeignFile(folder / _CARD, _CURE))
    return _assemble(description, _read_arrays(ForeignFile(folder / _ARRAYS, _CURE), description, facts))


def shipped_surrogates() -> tuple[str, ...]:
    """Return the names of the surrogates that ship with mmopt.

    Examples
    --------
    >>> shipped_surrogates()
    ('ecoli_ijo1366', 'ecoli_textbook')
    """
    return tuple(sorted(folder.name for folder in _shipped().iterdir() if (folder / _CARD).is_file()))


def _shipped() -> Path:
    return Path(str(files("mmopt.shipped").joinpath("")))


def _arrays(surrogate: SurrogateContents) -> dict[str, np.ndarray]:
    """All numbers of a surrogate by name; reactions that no mode moves are left out."""
    used = np.flatnonzero(np.any(surrogate.modes != 0.0, axis=0) | (surrogate.offset != 0.0))
    arrays = {"modes": surrogate.modes[:, used], "offset": surrogate.offset[used]}
    for number, layer in enumerate((*surrogate.hidden, surrogate.weights)):
        arrays[f"weights_{number}"], arrays[f"bias_{number}"] = layer.weights, layer.bias
    return {
        "used": np.asarray(used, "<i8"),
        **{name: np.asarray(array, "<f8") for name, array in arrays.items()},
    }


def _plain(value: Any) -> Any:
    """What JSON can hold of a card: numbers that are not finite become None."""
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the document, but for the SHA-256 in it, and of the arrays."""
    return digest(canonical_json(facts), digest_arrays(arrays))


def _read_description(file: ForeignFile) -> tuple[_Description, dict[str, Any]]:
    """The document, checked, and what its SHA-256 covers."""
    content = file.json(file.read(LARGEST_TEXT))
    if not isinstance(content, dict):
        file.refuse("describes no surrogate: it is no JSON object")
    schema = content.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        file.refuse(f"has schema {schema!r}, this mmopt reads {SCHEMA}")
    try:
        description = _Description.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = ".".join(map(str, first["loc"]))
        file.refuse(f"describes no surrogate: {location}: {first['msg']}")
    _check_description(file, description)
    return description, {name: value for name, value in content.items() if name != "sha256"}


def _check_description(file: ForeignFile, description: _Description) -> None:
    unknown = [name for name in description.activations if name not in ACTIVATIONS]
    if unknown:
        file.refuse(f"names the activation '{unknown[0]}', which is unknown; known: {', '.join(ACTIVATIONS)}")
    if len(set(description.reactions)) < len(description.reactions):
        file.refuse("names a reaction twice")
    if description.maintenance is not None and description.maintenance not in description.reactions:
        file.refuse(f"names the maintenance reaction '{description.maintenance}', which is not among its reactions")
    try:
        _domain(description)
    except DomainError as error:
        file.refuse(f"has a domain that cannot be: {error}")


def _domain(description: _Description) -> Domain:
    return Domain({name: (low, high) for name, (low, high) in description.domain.items()})


def _read_arrays(file: ForeignFile, description: _Description, facts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    names = [*_ALWAYS, *(f"{kind}_{k}" for k in range(len(description.activations)) for kind in ("weights", "bias"))]
    members = file.members([f"{name}.npy" for name in names])
    arrays = {name: file.array(name, members[f"{name}.npy"]) for name in names}
    if _digest(facts, arrays) != description.sha256:
        ForeignFile(file.path, _CHANGED).refuse("is not what was written: its SHA-256 is another")
    integers = [name for name, array in arrays.items() if array.dtype == np.int64]
    if integers != ["used"]:
        file.refuse("must hold whole numbers in 'used' and float64 in all others")
    used, modes, offset = (arrays[name] for name in _ALWAYS)
    if used.ndim != 1 or np.any((used < 0) | (used >= len(description.reactions))) or np.any(np.diff(used) <= 0):
        file.refuse(f"must hold in 'used' ascending positions among {len(description.reactions)} reactions")
    if modes.ndim != 2 or modes.shape[1:] != used.shape or offset.shape != used.shape:
        file.refuse(
            f"holds modes of shape {modes.shape} and an offset of shape {offset.shape} for {used.size} reactions"
        )
    if len(modes) * len(description.reactions) * modes.itemsize > LARGEST:
        file.refuse(
            f"holds {len(modes)} modes of {len(description.reactions)} reactions, more than {LARGEST // 2**20} MB"
        )
    return arrays


def _assemble(description: _Description, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    layers = [
        Layer(arrays[f"weights_{number}"], arrays[f"bias_{number}"], activation)
        for number, activation in enumerate(description.activations)
    ]
    reactions = tuple(description.reactions)
    modes = np.zeros((len(arrays["modes"]), len(reactions)))
    offset = np.zeros(len(reactions))
    modes[:, arrays["used"]], offset[arrays["used"]] = arrays["modes"], arrays["offset"]
    return {
        "domain": _domain(description),
        "hidden": tuple(layers[:-1]),
        "weights": layers[-1],
        "modes": modes,
        "offset": offset,
        "reactions": reactions,
        "biomass": description.biomass,
        "maintenance": description.maintenance,
        "maintenance_demand": description.maintenance_demand,
        "card": description.card,
    }

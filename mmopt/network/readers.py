"""Each format of metabolic networks, read through cobra, and the bounds in it on their own.

Ids are looked at before cobra takes them: it keeps a network in GLPK, which ends the process at a name it does not like.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

import numpy as np

from mmopt.errors import NetworkError
from mmopt.io.guard import chunks
from mmopt.network.network import check_bounds

if TYPE_CHECKING:
    import cobra

Bound = tuple[str, float, float]
"""A reaction, and its lower and upper bound [mmol/gDW/h]."""

_LONGEST_ID: Final = 240
"""Most bytes of an id; GLPK takes 255, and cobra appends 14 to a reaction's."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_UNBOUNDED: Final = 1000.0
"""Upper bound of a reaction in JSON that gives none [mmol/gDW/h]; as cobra has it."""

_FIELDS: Final = frozenset(("rxns", "mets", "S", "lb", "ub"))
"""What a MATLAB structure must have to be a network."""


def read_sbml(path: Path) -> "cobra.Model":
    """A file in SBML, as cobra reads it."""
    from cobra.io import read_sbml_model
    from cobra.io.sbml import F_REACTION, F_REPLACE, F_SPECIE

    checked = {kind: _checking(F_REPLACE[kind]) for kind in (F_REACTION, F_SPECIE)}
    return read_sbml_model(str(path), f_replace={**F_REPLACE, **checked})


def _checking(decode: Callable[[str], str]) -> Callable[[str], str]:
    """The same decoding of SBML's ids, of which some stand for characters that no id may have."""

    def checked(name: str) -> str:
        return _checked_id(decode(name))

    return checked


def bounds_in_sbml(path: Path) -> Iterator[Bound]:
    """Bounds in SBML: parameters that level 3 refers to, or those in the kinetic laws of level 2."""
    parser = ElementTree.XMLParser()  # noqa: S314  # the guard has seen this file
    for chunk in chunks(path):
        parser.feed(chunk)
    elements = list(parser.close().iter())
    shared = {found.get("id"): _number(found.get("value")) for found in elements if _local(found.tag) == "parameter"}
    for reaction in (found for found in elements if _local(found.tag) == "reaction"):
        own = {
            found.get("id"): _number(found.get("value"))
            for found in reaction.iter()
            if _local(found.tag) == "parameter"
        }
        named = {_local(key): value for key, value in reaction.attrib.items()}
        low = own.get("LOWER_BOUND", shared.get(named.get("lowerFluxBound"), -np.inf))
        high = own.get("UPPER_BOUND", shared.get(named.get("upperFluxBound"), np.inf))
        yield named["id"].removeprefix("R_"), low, high


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _number(value: object) -> float:
    """A bound as a file gives it; not a number where it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def read_json(path: Path) -> "cobra.Model":
    """A file in cobra's JSON."""
    from cobra.io.dict import model_from_dict

    content = _content_of_json(path)
    bounds = list(_bounds_of_reactions(content))
    check_all(bounds)
    for part in (*content["reactions"], *content["metabolites"]):
        _checked_id(part["id"])
    for reaction in content["reactions"]:  # cobra would set one bound after the other, and refuse some in between
        reaction.pop("lower_bound", None), reaction.pop("upper_bound", None)
    raw = model_from_dict(content)
    for reaction, low, high in bounds:
        raw.reactions.get_by_id(reaction).bounds = low, high
    return raw


def bounds_in_json(path: Path) -> Iterator[Bound]:
    """Bounds in cobra's JSON."""
    return _bounds_of_reactions(_content_of_json(path))


def _content_of_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(b"".join(chunks(path)).decode("utf-8-sig"))
    for part in ("reactions", "metabolites", "genes"):
        if not isinstance(content.get(part), list):
            raise NetworkError(f"{path} is no network in cobra's JSON: it has no list of {part}; write it with cobra")
    return content


def _bounds_of_reactions(content: dict[str, Any]) -> Iterator[Bound]:
    for reaction in content["reactions"]:
        low, high = reaction.get("lower_bound", 0.0), reaction.get("upper_bound", _UNBOUNDED)
        yield str(reaction["id"]), _number(low), _number(high)


def read_mat(path: Path) -> "cobra.Model":
    """A MATLAB file of the COBRA toolbox; the network is called what its variable is."""
    from cobra.io.mat import from_mat_struct

    name, structure = _structure_in_mat(path)
    for part in ("rxns", "mets"):
        for cell in structure[part][0, 0].ravel():
            _checked_id(str(cell[0]))
    return from_mat_struct(structure, model_id=name)


def bounds_in_mat(path: Path) -> Iterator[Bound]:
    """Bounds in a MATLAB file."""
    _, structure = _structure_in_mat(path)
    names, low, high = (structure[part][0, 0].ravel() for part in ("rxns", "lb", "ub"))
    for column, name in enumerate(names):
        yield str(name[0]), _number(low[column]), _number(high[column])


def _structure_in_mat(path: Path) -> tuple[str, np.ndarray]:
    """Name and content of the first variable that has the fields of a network."""
    from scipy.io import loadmat

    for name, found in loadmat(path).items():
        if isinstance(found, np.ndarray) and found.dtype.names and set(found.dtype.names) >= _FIELDS:
            return name, found
    fields = ", ".join(sorted(_FIELDS))
    raise NetworkError(f"{path} holds no structure with the fields {fields}; save a network of the COBRA toolbox")


def check_all(bounds: list[Bound]) -> None:
    """Refuse bounds that no flux can keep, by the name of their reaction."""
    check_bounds([name for name, _, _ in bounds], *(np.array([bound[side] for bound in bounds]) for side in (1, 2)))


def _checked_id(name: object) -> str:
    if (
        not isinstance(name, str)
        or not name
        or len(name.encode(errors="replace")) > _LONGEST_ID
        or _CONTROL.search(name)
    ):
        told = f"{name!r:.60}"
        raise NetworkError(f"{told} is no id: it must be a text of up to {_LONGEST_ID} bytes; rename it in the file")
    return name

"""Readers of the formats of metabolic networks: through cobra, and of their bounds alone.

Ids are checked before cobra gets them: it stores a network in GLPK, which ends the process at a name it does not accept.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

import numpy as np

from mmopt.errors import NetworkError
from mmopt.io.guard import chunks
from mmopt.network.network_checks import check_bounds

if TYPE_CHECKING:
    import cobra

Bound = tuple[str, float, float]
"""A reaction, and its lower and upper bound [mmol/gDW/h]."""

_LONGEST_ID: Final = 240
"""Most bytes of an id; GLPK takes 255, and cobra appends 14 to a reaction's."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_UNBOUNDED: Final = 1000.0
"""Upper bound of a reaction in JSON without one [mmol/gDW/h], as in cobra."""

_FIELDS: Final = frozenset(("rxns", "mets", "S", "lb", "ub"))
"""Fields that a MATLAB structure must have to be a network."""


def read_sbml(path: Path) -> "cobra.Model":
    """Read a file in SBML with cobra.

    Parameters
    ----------
    path
        The file, already checked.

    Returns
    -------
    cobra.Model
        The network.
    """
    from cobra.io import read_sbml_model
    from cobra.io.sbml import F_REACTION, F_REPLACE, F_SPECIE

    checked = {kind: _checking(F_REPLACE[kind]) for kind in (F_REACTION, F_SPECIE)}
    return read_sbml_model(str(path), f_replace={**F_REPLACE, **checked})


def _checking(decode: Callable[[str], str]) -> Callable[[str], str]:
    """Decode ids of SBML, some of which encode characters that no id may have."""

    def checked(name: str) -> str:
        return _checked_id(decode(name))

    return checked


def bounds_in_sbml(path: Path) -> Iterator[Bound]:
    """Read the bounds in SBML: parameters that level 3 refers to, or those in the kinetic laws of level 2.

    Parameters
    ----------
    path
        The file, already checked.

    Yields
    ------
    tuple
        Reaction id, lower and upper bound [mmol/gDW/h].
    """
    parser = ElementTree.XMLParser()  # noqa: S314  # the guard has seen this file
    for chunk in chunks(path):
        parser.feed(chunk)
    elements = list(parser.close().iter())
    shared = _parameters(elements)
    for reaction in (element for element in elements if _local(element.tag) == "reaction"):
        own = _parameters(reaction.iter())
        named = {_local(key): value for key, value in reaction.attrib.items()}
        low = own.get("LOWER_BOUND", shared.get(named.get("lowerFluxBound"), -np.inf))
        high = own.get("UPPER_BOUND", shared.get(named.get("upperFluxBound"), np.inf))
        yield named["id"].removeprefix("R_"), low, high


def _parameters(elements: Iterable[ElementTree.Element]) -> dict[str | None, float]:
    return {one.get("id"): _number(one.get("value")) for one in elements if _local(one.tag) == "parameter"}


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _number(value: object) -> float:
    """A bound of a file; NaN where it is no number."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def read_json(path: Path) -> "cobra.Model":
    """Read a file in cobra's JSON.

    Parameters
    ----------
    path
        The file, already checked.

    Returns
    -------
    cobra.Model
        The network.

    Raises
    ------
    NetworkError
        If it is no network, an id cannot be used, or no flux can keep a bound.
    """
    from cobra.io.dict import model_from_dict

    content = _content_of_json(path)
    bounds = list(_bounds_of_reactions(content))
    check_all(bounds)
    for item in (*content["reactions"], *content["metabolites"]):
        _checked_id(item["id"])
    for reaction in content["reactions"]:  # cobra would set one bound after the other, and refuse some in between
        reaction.pop("lower_bound", None), reaction.pop("upper_bound", None)
    raw = model_from_dict(content)
    for reaction, low, high in bounds:
        raw.reactions.get_by_id(reaction).bounds = low, high
    return raw


def bounds_in_json(path: Path) -> Iterator[Bound]:
    """Read the bounds in cobra's JSON.

    Parameters
    ----------
    path
        The file, already checked.

    Returns
    -------
    iterator of tuple
        Reaction id, lower and upper bound [mmol/gDW/h].
    """
    return _bounds_of_reactions(_content_of_json(path))


def _content_of_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(b"".join(chunks(path)).decode("utf-8-sig"))
    for kind in ("reactions", "metabolites", "genes"):
        if not isinstance(content.get(kind), list):
            raise NetworkError(f"{path} is no network in cobra's JSON: it has no list of {kind}; write it with cobra")
    return content


def _bounds_of_reactions(content: dict[str, Any]) -> Iterator[Bound]:
    for reaction in content["reactions"]:
        low, high = reaction.get("lower_bound", 0.0), reaction.get("upper_bound", _UNBOUNDED)
        yield str(reaction["id"]), _number(low), _number(high)


def read_mat(path: Path) -> "cobra.Model":
    """Read a MATLAB file of the COBRA toolbox; the network gets the name of its variable.

    Parameters
    ----------
    path
        The file, already checked.

    Returns
    -------
    cobra.Model
        The network.

    Raises
    ------
    NetworkError
        If no variable is a network, or an id cannot be used.
    """
    from cobra.io.mat import from_mat_struct

    name, structure = _structure_in_mat(path)
    for field in ("rxns", "mets"):
        for cell in structure[field][0, 0].ravel():
            _checked_id(str(cell[0]))
    return from_mat_struct(structure, model_id=name)


def bounds_in_mat(path: Path) -> Iterator[Bound]:
    """Read the bounds in a MATLAB file.

    Parameters
    ----------
    path
        The file, already checked.

    Yields
    ------
    tuple
        Reaction id, lower and upper bound [mmol/gDW/h].
    """
    _, structure = _structure_in_mat(path)
    names, low, high = (structure[field][0, 0].ravel() for field in ("rxns", "lb", "ub"))
    for column, name in enumerate(names):
        yield str(name[0]), _number(low[column]), _number(high[column])


def _structure_in_mat(path: Path) -> tuple[str, np.ndarray]:
    """Name and content of the first variable that has the fields of a network."""
    from scipy.io import loadmat

    for name, variable in loadmat(path).items():
        if isinstance(variable, np.ndarray) and variable.dtype.names and set(variable.dtype.names) >= _FIELDS:
            return name, variable
    fields = ", ".join(sorted(_FIELDS))
    raise NetworkError(f"{path} holds no structure with the fields {fields}; save a network of the COBRA toolbox")


def check_all(bounds: list[Bound]) -> None:
    """Refuse bounds that no flux can keep, by the name of their reaction.

    Parameters
    ----------
    bounds
        Reaction id, lower and upper bound [mmol/gDW/h] of every reaction.

    Raises
    ------
    NetworkError
        Naming the first such reaction.
    """
    check_bounds([name for name, _, _ in bounds], *(np.array([bound[side] for bound in bounds]) for side in (1, 2)))


def _checked_id(name: object) -> str:
    if (
        not isinstance(name, str)
        or not name
        or len(name.encode(errors="replace")) > _LONGEST_ID
        or _CONTROL.search(name)
    ):
        raise NetworkError(
            f"{f'{name!r:.60}'} is no id: it must be a text of up to {_LONGEST_ID} bytes; rename it in the file"
        )
    return name

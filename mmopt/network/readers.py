"""Readers of JSON and MATLAB files of metabolic networks: through cobra, and of their bounds alone.

Ids are checked before cobra gets them: it stores a network in GLPK, which ends the process at a name it does not accept.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.sparse as sp

from mmopt.errors import NetworkError
from mmopt.io.guard import chunks
from mmopt.network.gene_rules import gene_rule, set_rules
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
        checked_id(item["id"])
    _refuse_rows_of_json(path, content)
    rules = {}
    for reaction in content["reactions"]:  # cobra would set one bound after the other, and refuse some in between
        reaction.pop("lower_bound", None), reaction.pop("upper_bound", None)
        rules[reaction["id"]] = str(reaction.get("gene_reaction_rule") or "")
        if gene_rule(rules[reaction["id"]]) is None:  # cobra would stop at it, or leave it out
            reaction["gene_reaction_rule"] = ""
    raw = model_from_dict(content)
    set_rules(raw, rules)
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
        yield str(reaction["id"]), as_bound(low), as_bound(high)


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
            checked_id(str(cell[0]))
    _refuse_rows_of_mat(path, structure)
    rules = _rules_of_mat(structure)
    fields = [field for field in _fields(structure) if field != "grRules"]  # cobra would stop at some rules
    raw = from_mat_struct(structure[fields], model_id=name)
    set_rules(raw, rules)
    return raw


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
        yield str(name[0]), as_bound(low[column]), as_bound(high[column])


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


def checked_id(name: object) -> str:
    """Return an id that cobra and its solver can hold, or raise an error.

    Parameters
    ----------
    name
        The id in a file.

    Returns
    -------
    str
        The same id.

    Raises
    ------
    NetworkError
        If it is no text, is too long, or has control characters.
    """
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


def as_bound(value: object) -> float:
    """Return a bound of a file.

    Parameters
    ----------
    value
        The bound as the file gives it.

    Returns
    -------
    float
        Its value; NaN where it is no number.
    """
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def _refuse_rows_of_json(path: Path, content: dict[str, Any]) -> None:
    for metabolite in content["metabolites"]:
        if as_bound(metabolite.get("_bound", 0.0)) != 0.0 or metabolite.get("_constraint_sense", "E") != "E":
            raise NetworkError(_unbalanced(path, metabolite["id"]))


def _refuse_rows_of_mat(path: Path, structure: np.ndarray) -> None:
    """Refuse rows beside S v = 0, which cobra would leave out."""
    fields = _fields(structure)
    metabolites = _texts(fields["mets"])
    gathered = _numbers(fields.get("b", ()))
    senses = "".join(_texts(fields.get("csense", ())))
    for row, metabolite in enumerate(metabolites):
        if (row < len(gathered) and gathered[row] != 0.0) or senses[row : row + 1] not in ("", "E"):
            raise NetworkError(_unbalanced(path, metabolite))
    for field in ("C", "A", "E", "D"):  # coupling constraints, of old files, and further variables
        matrix = sp.csr_array(sp.coo_array(fields[field])) if np.size(fields.get(field, ())) else sp.csr_array((0, 0))
        rows = matrix[len(metabolites) :] if field == "A" else matrix
        if rows.nnz:
            row = int(np.flatnonzero(np.diff(rows.indptr))[0])
            names = _texts(fields.get("ctrs", ()))
            name = names[row] if field == "C" and row < len(names) else f"{row + 1} of field {field}"
            raise NetworkError(
                f"{path} has the row '{name}' beside S v = 0, which is not read; remove it from the file, and give it as "
                "LinearLimit(...) to FluxProgram or pfba (limits=)"
            )


def _unbalanced(path: Path, metabolite: object) -> str:
    return (
        f"{path} lets metabolite '{metabolite}' gather, or be used up (its row of S v = 0 has another right side or sense), "
        "which is not read; balance it, and add a reaction that drains or supplies it"
    )


def _rules_of_mat(structure: np.ndarray) -> dict[str, str]:
    """Gene rules by reaction id: as texts, else as formulas of x(i), else as the genes of a reaction alone."""
    fields = _fields(structure)
    reactions, genes = _texts(fields["rxns"]), _texts(fields.get("genes", ()))
    texts = _texts(fields.get("grRules", ())) or [""] * len(reactions)
    formulas = _texts(fields.get("rules", ())) or [""] * len(reactions)
    rules = {}
    for reaction, text, formula in zip(reactions, texts, formulas, strict=False):
        rules[reaction] = text or re.sub(r"x\((\d+)\)", lambda x: _gene(genes, int(x[1])), formula)
    used = fields.get("rxnGeneMat", ())
    if not any(rules.values()) and np.size(used):
        for reaction, row in zip(reactions, sp.csr_array(sp.coo_array(used)).toarray(), strict=False):
            rules[reaction] = ", ".join(genes[column] for column in np.flatnonzero(row) if column < len(genes))
    return rules


def _fields(structure: np.ndarray) -> dict[str, Any]:
    """Fields of a structure by name."""
    return {field: structure[field][0, 0] for field in structure.dtype.names or ()}


def _gene(genes: list[str], number: int) -> str:
    return genes[number - 1] if 0 < number <= len(genes) else f"x({number})"


def _texts(field: Any) -> list[str]:
    """Texts of a cell array; empty ones where a cell holds none."""
    cells = np.asarray(field, dtype=object).ravel()
    return [str(np.asarray(cell).ravel()[0]) if np.size(cell) else "" for cell in cells]


def _numbers(field: Any) -> np.ndarray:
    dense = field.toarray() if sp.issparse(field) else np.asarray(field)
    numbers: np.ndarray = dense.astype(float).ravel()
    return numbers

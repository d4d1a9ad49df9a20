"""SBML as cobra reads it, where cobra reads it as the standard means it; the rest is set right here, or refused.

A species whose ``boundaryCondition`` is true is not balanced. cobra balances it, and adds an exchange with open bounds that
hides the file's own. So such species are changed in the text that cobra gets: where the file moves them by an exchange of its
own, that one stands.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

import numpy as np

from mmopt.errors import NetworkError
from mmopt.io.guard import chunks
from mmopt.network.gene_rules import gene_rule, set_rules
from mmopt.network.readers import Bound, as_bound, checked_id

if TYPE_CHECKING:
    import cobra

_BEYOND: Final = re.compile(r"(_b|_boundary|\[b\]|\(b\))$|_LSQBKT_b_RSQBKT_$|_LPAREN_b_RPAREN_$")
"""Ends of ids of species beyond the border."""

_OUTSIDE: Final = re.compile(r"^(C_)?[eb]\d*$|extra|external|boundary|medium", re.IGNORECASE)
"""Ids and names of compartments outside of the cell."""

_EXCHANGE: Final = "SBO:0000627"

_RULE: Final = re.compile(r"GENE[ _]ASSOCIATION:(?P<rule>[^<]*)<")

_ASSIGNING: Final = ("initialAssignment", "assignmentRule", "rateRule")


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

    Raises
    ------
    NetworkError
        If the file has rows beside S v = 0, a quadratic objective, or numbers that rules assign, or an id cannot be used.
    """
    from cobra.io import read_sbml_model
    from cobra.io.sbml import F_REACTION, F_REPLACE, F_SPECIE

    elements = _elements(path)
    _refuse_rows(path, elements)
    checked = {kind: _checking(F_REPLACE[kind]) for kind in (F_REACTION, F_SPECIE)}
    decode = {**F_REPLACE, **checked}
    rules = _rules_in_notes(elements)
    text = _text_for_cobra(path, elements, hides_rules=None in map(gene_rule, rules.values()))
    raw = read_sbml_model(str(path) if text is None else text, f_replace=decode)
    set_rules(raw, {decode[F_REACTION](reaction): rule for reaction, rule in rules.items()})
    for name in _never_reversed(elements):
        raw.reactions.get_by_id(decode[F_REACTION](name)).lower_bound = 0.0
    return raw


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
    elements = _elements(path)
    shared = _parameters(elements)
    for reaction in (element for element in elements if _local(element.tag) == "reaction"):
        own, named = _parameters(reaction.iter()), _named(reaction)
        low = own.get("LOWER_BOUND", shared.get(named.get("lowerFluxBound"), -np.inf))
        high = own.get("UPPER_BOUND", shared.get(named.get("upperFluxBound"), np.inf))
        yield named["id"].removeprefix("R_"), low, high


def _checking(decode: Callable[[str], str]) -> Callable[[str], str]:
    """Decode ids of SBML, some of which encode characters that no id may have."""

    def checked(name: str) -> str:
        return checked_id(decode(name))

    return checked


def _elements(path: Path) -> list[ElementTree.Element]:
    parser = ElementTree.XMLParser()  # noqa: S314  # the guard has seen this file
    for chunk in chunks(path):
        parser.feed(chunk)
    return list(parser.close().iter())


def _parameters(elements: Iterable[ElementTree.Element]) -> dict[str | None, float]:
    return {one.get("id"): as_bound(one.get("value")) for one in elements if _local(one.tag) == "parameter"}


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _named(element: ElementTree.Element) -> dict[str, str]:
    """Attributes without their namespaces."""
    return {_local(key): value for key, value in element.attrib.items()}


def _refuse_rows(path: Path, elements: list[ElementTree.Element]) -> None:
    """Refuse what cobra would leave out: constraints of fbc version 3, quadratic objectives, and numbers that rules assign."""
    for named in (_named(one) for one in elements if _local(one.tag) == "userDefinedConstraint"):
        name = named.get("id") or named.get("name") or "without an id"
        raise NetworkError(
            f"{path} has the constraint '{name}' beside S v = 0, which is not read; remove it from the file, and give it as "
            "LinearLimit(...) to FluxProgram or pfba (limits=)"
        )
    for named in (
        _named(one) for one in elements if _local(one.tag) in ("fluxObjective", "userDefinedConstraintComponent")
    ):
        if named.get("variableType", "linear") != "linear":
            raise NetworkError(
                f"{path} has an objective that is {named['variableType']} in '{named.get('reaction')}'; give a linear one"
            )
    assigned = {
        _named(one).get("symbol") or _named(one).get("variable") for one in elements if _local(one.tag) in _ASSIGNING
    }
    if not assigned:
        return
    for reaction in (one for one in elements if _local(one.tag) == "reaction"):
        named = _named(reaction)
        used = {named.get("lowerFluxBound"), named.get("upperFluxBound"), *(one.get("id") for one in reaction.iter())}
        if changed := sorted(filter(None, assigned & used)):
            raise NetworkError(
                f"{path} computes '{changed[0]}' of reaction '{named.get('id')}' by a rule, which is not read; "
                "write its value into the file"
            )


def _never_reversed(elements: list[ElementTree.Element]) -> Iterator[str]:
    """Ids of irreversible reactions without a lower bound, which cobra takes for reversible."""
    for reaction in (one for one in elements if _local(one.tag) == "reaction"):
        named = _named(reaction)
        bounded = "lowerFluxBound" in named or "LOWER_BOUND" in _parameters(reaction.iter())
        if named.get("reversible") in ("false", "0") and not bounded:
            yield named["id"]


def _rules_in_notes(elements: list[ElementTree.Element]) -> dict[str, str]:
    """Gene rules by reaction id where they stand in notes, and not as an association."""
    rules = {}
    for reaction in (one for one in elements if _local(one.tag) == "reaction"):
        if any(_local(one.tag) == "geneProductAssociation" for one in reaction):
            continue
        for text in (one.text or "" for one in reaction.iter() if _local(one.tag) == "p"):
            if match := _RULE.search(f"{text}<"):
                rules[reaction.get("id", "")] = re.sub(r"\bG_", "", match["rule"]).strip()
    return {reaction: rule for reaction, rule in rules.items() if rule}


def _text_for_cobra(path: Path, elements: list[ElementTree.Element], *, hides_rules: bool) -> str | None:
    """The file as a text in which species of the border are set right; None if cobra can read the file as it is."""
    flagged = [named["id"] for named in map(_named, elements) if named.get("boundaryCondition") in ("true", "1")]
    if not flagged and not hides_rules:
        return None
    import libsbml  # type: ignore[import-untyped,unused-ignore]

    text = b"".join(chunks(path))
    if hides_rules:  # cobra would stop at them; `set_rules` sets them
        text = re.sub(rb"GENE[ _]ASSOCIATION:", b"RULE:", text)
    if not flagged:
        return text.decode("utf-8-sig")
    document = libsbml.readSBMLFromString(text.decode("utf-8-sig"))
    _set_border(document.getModel())
    return str(libsbml.writeSBMLToString(document))


def _set_border(network: Any) -> None:
    """Balance the species of the border that the file's own exchanges move, and remove those beyond it."""
    species = {one.getIdAttribute(): one for one in network.getListOfSpecies()}
    used: dict[str, list[Any]] = {name: [] for name, one in species.items() if one.getBoundaryCondition()}
    for reaction in network.getListOfReactions():
        for name in _species_of(reaction) & used.keys():
            used[name].append(reaction)
    outside = {name for name, one in species.items() if _is_outside(network.getCompartment(one.getCompartment()))}
    for name, reactions in used.items():
        exchange = f"R_EX_{name.removeprefix('M_')}"  # cobra would add it
        if any(len(_species_of(reaction)) == 1 for reaction in reactions):
            species[name].setBoundaryCondition(False)
        elif reactions and all(_crosses(reaction, name, outside) for reaction in reactions):
            _remove(network, name, reactions)
        elif network.getReaction(exchange) is not None:
            raise NetworkError(
                f"species '{name}' is a boundary species, and its reaction {exchange} moves other species, too; set its "
                "boundaryCondition to false, or rename the reaction"
            )


def _remove(network: Any, name: str, reactions: list[Any]) -> None:
    """Remove a species from its reactions and from the network."""
    for reaction in reactions:
        for side in (reaction.getListOfReactants(), reaction.getListOfProducts()):
            for position in reversed(range(side.size())):
                if side.get(position).getSpecies() == name:
                    side.remove(position)
    network.removeSpecies(name)


def _species_of(reaction: Any) -> set[str]:
    sides = (*reaction.getListOfReactants(), *reaction.getListOfProducts())
    return {reference.getSpecies() for reference in sides}


def _crosses(reaction: Any, name: str, outside: set[str]) -> bool:
    """Whether a reaction moves one other species to the one beyond the border, and nothing else."""
    others = _species_of(reaction) - {name}
    if len(others) != 1:
        return False
    marked = reaction.getIdAttribute().startswith(("R_EX_", "EX_")) or reaction.getSBOTermID() == _EXCHANGE
    return marked or bool(_BEYOND.search(name)) or others <= outside


def _is_outside(compartment: Any) -> bool:
    return compartment is not None and any(
        _OUTSIDE.search(text) for text in (compartment.getIdAttribute(), compartment.getName())
    )

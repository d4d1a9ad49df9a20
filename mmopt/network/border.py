"""The border of a network: which reactions move a metabolite out of the cell, and each of them once, as mmol of it.

A file may give an exchange in either direction, with any coefficient, or one for uptake and one for secretion; and it may
end in metabolites beyond the border, which nothing balances. Here every metabolite of the outside has one exchange that
moves one mmol per unit of flux, positive where the cell secretes.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

_BEYOND: Final = re.compile(r"^(?P<stem>.+?)(_b|_boundary|\[b\]|\(b\)|_LSQBKT_b_RSQBKT_|_LPAREN_b_RPAREN_)$")
"""Ids of metabolites beyond the border, as some files write them."""

_COMPARTMENT: Final = re.compile(r"(_[a-z]\d*|\[[a-z]\d*\]|\([a-z]\d*\)|_L\w+KT_[a-z]_R\w+KT_|_L\w+N_[a-z]_R\w+N_)$")

_INSIDE_NAMES: Final = re.compile(r"^(R_)?(DM|SK|SN|sink|demand)(?=[_\W])", re.IGNORECASE)

_EXCHANGE_NAME: Final = re.compile(r"^(R_)?EX_", re.IGNORECASE)

_OUTSIDE_IDS: Final = re.compile(r"^(C_)?e\d*$|^u$|^extra|^medium$", re.IGNORECASE)

_OUTSIDE_NAMES: Final = re.compile(
    r"extra[- _]?(cellular|organism)|^(external|exterior|outside|medium|environment)\b", re.I
)

_EXCHANGE, _DEMAND, _SINK = "SBO:0000627", "SBO:0000628", "SBO:0000632"


@dataclass(frozen=True)
class Draft:
    """A network while it is read, in arrays.

    Attributes
    ----------
    metabolites, reactions
        Ids of rows and columns.
    stoichiometry
        S, shape (metabolites, reactions).
    lower, upper
        Bounds [mmol/gDW/h], shape (reactions,).
    exchanges
        Ids of the exchange reactions.
    merged
        Exchange by the id of another one for the same metabolite.
    notes
        What was changed, in words.
    """

    metabolites: tuple[str, ...]
    reactions: tuple[str, ...]
    stoichiometry: sp.csc_array
    lower: np.ndarray
    upper: np.ndarray
    exchanges: tuple[str, ...] = ()
    merged: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def without_beyond(draft: Draft) -> Draft:
    """Remove metabolites beyond the border: id ends in ``_b``, and all that moves them comes from their like inside it.

    Parameters
    ----------
    draft
        The network.

    Returns
    -------
    Draft
        The network without these rows, so that the reactions that end in them are exchanges.
    """
    columns = draft.stoichiometry
    rows = columns.tocsr()
    beyond = []
    for row, name in enumerate(draft.metabolites):
        match = _BEYOND.match(name)
        used = rows.indices[rows.indptr[row] : rows.indptr[row + 1]]
        if match and len(used) and all(_moves_like(draft, int(column), row, match["stem"]) for column in used):
            beyond.append(row)
    if not beyond:
        return draft
    kept = np.setdiff1d(np.arange(len(draft.metabolites)), beyond)
    names = [draft.metabolites[row] for row in beyond]
    return replace(
        draft,
        metabolites=tuple(draft.metabolites[row] for row in kept),
        stoichiometry=sp.csc_array(rows[kept]),
        notes=(*draft.notes, f"{_listed(names)} lie beyond the border and are not balanced"),
    )


def _moves_like(draft: Draft, column: int, row: int, stem: str) -> bool:
    """Whether a reaction moves the metabolite of another compartment to this row, and nothing else."""
    moved = draft.stoichiometry[:, [column]].indices
    if len(moved) != 2:  # one metabolite on both sides of the border
        return False
    other = draft.metabolites[int(moved[moved != row][0])]
    return _COMPARTMENT.sub("", other) == stem


def with_exchanges(draft: Draft, raw: Any, kept: str | None, apart: Collection[str | None] = ()) -> Draft:
    """Write every exchange once, with a coefficient of -1: a positive flux secretes one mmol, a negative one takes it up.

    Parameters
    ----------
    draft
        The network.
    raw
        The same network as cobra reads it, for names and compartments.
    kept
        A reaction that stays as it is written, and is no exchange: the objective of a file that maximises an uptake.
    apart
        Reactions that are not merged with others.

    Returns
    -------
    Draft
        The network with its exchanges.
    """
    outside = _outside(raw)
    counts = np.diff(draft.stoichiometry.indptr)
    exchanges = [
        reaction
        for reaction, count in zip(draft.reactions, counts, strict=True)
        if count == 1 and reaction != kept and _is_exchange(draft, raw, reaction, outside)
    ]
    return _merged(_turned(draft, exchanges), exchanges, apart)


def _outside(raw: Any) -> set[str]:
    """Ids of the compartments outside of the cell."""
    names = {_compartment(one) for one in raw.metabolites} - {""}
    listed = {name: str((raw.compartments or {}).get(name) or "") for name in names}
    by_name = {name for name, text in listed.items() if _OUTSIDE_NAMES.search(text)}
    return by_name or {name for name in names if _OUTSIDE_IDS.search(name)}


def _compartment(metabolite: Any) -> str:
    """Compartment of a metabolite, by its id where the source gives none; empty if unknown."""
    ending = _COMPARTMENT.search(metabolite.id)
    return str(metabolite.compartment or "") or (re.sub(r"\W|_|L\w+KT|R\w+KT", "", ending[0]) if ending else "")


def _is_exchange(draft: Draft, raw: Any, reaction: str, outside: set[str]) -> bool:
    """Whether a reaction of one metabolite moves it out of the cell; sinks and demands of the inside do not."""
    column = draft.reactions.index(reaction)
    row = int(draft.stoichiometry.indices[draft.stoichiometry.indptr[column]])
    if _INSIDE_NAMES.match(reaction):
        return False
    if _EXCHANGE_NAME.match(reaction):
        return True
    sbo = raw.reactions.get_by_id(reaction).annotation.get("sbo", "")
    compartment = _compartment(raw.metabolites.get_by_id(draft.metabolites[row]))
    if _DEMAND in sbo or _SINK in sbo:
        return False
    return _EXCHANGE in sbo or not outside or not compartment or compartment in outside


def _turned(draft: Draft, exchanges: list[str]) -> Draft:
    """Turn exchanges that are written as uptake, and scale those whose coefficient is not 1."""
    stoichiometry, lower, upper = draft.stoichiometry.copy(), draft.lower.copy(), draft.upper.copy()
    scaled = []
    for column in map(draft.reactions.index, exchanges):
        entry = int(stoichiometry.indptr[column])
        coefficient = float(stoichiometry.data[entry])
        stoichiometry.data[entry] = -1.0
        ends = sorted((-coefficient * lower[column], -coefficient * upper[column]))
        if coefficient != -1.0:
            lower[column], upper[column] = 0.0 + ends[0], 0.0 + ends[1]  # no -0.0: the hash covers it
        if abs(coefficient) != 1.0:
            scaled.append(draft.reactions[column])
    notes = (f"fluxes of {_listed(scaled)} count mmol of the metabolite",) if scaled else ()
    return replace(draft, stoichiometry=stoichiometry, lower=lower, upper=upper, notes=(*draft.notes, *notes))


def _merged(draft: Draft, exchanges: list[str], apart: Collection[str | None]) -> Draft:
    """Join the exchanges of one metabolite: bounds add up, and the shortest id stays."""
    by_row: dict[int, list[str]] = {}
    for reaction in exchanges:
        column = draft.reactions.index(reaction)
        by_row.setdefault(int(draft.stoichiometry.indices[draft.stoichiometry.indptr[column]]), []).append(reaction)
    lower, upper, merged = draft.lower.copy(), draft.upper.copy(), {}
    for several in (names for names in by_row.values() if len(names) > 1 and not set(names) & set(apart)):
        kept = min(several, key=len)
        columns = [draft.reactions.index(name) for name in several]
        column = draft.reactions.index(kept)
        lower[column], upper[column] = draft.lower[columns].sum(), draft.upper[columns].sum()
        merged.update({name: kept for name in several if name != kept})
    if not merged:
        return replace(draft, exchanges=tuple(exchanges))
    stay = np.array([column for column, name in enumerate(draft.reactions) if name not in merged])
    notes = [f"{name} and {kept} are one exchange, '{kept}'" for name, kept in merged.items()]
    return replace(
        draft,
        reactions=tuple(draft.reactions[column] for column in stay),
        stoichiometry=sp.csc_array(draft.stoichiometry[:, stay]),
        lower=lower[stay],
        upper=upper[stay],
        exchanges=tuple(name for name in exchanges if name not in merged),
        merged=merged,
        notes=(*draft.notes, _listed(notes)),
    )


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")

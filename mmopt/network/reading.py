"""From a network as cobra reads it to a `Network`: the only module that changes signs.

Every exchange reaction is turned so that a positive flux secretes and a negative flux takes up, whichever way it is written
in the file. What cannot be decided, such as which of two objectives is growth, must be given and is not guessed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from mmopt.checking import shown
from mmopt.errors import NetworkError
from mmopt.network.formats import find_file, load, quiet
from mmopt.network.network import Network
from mmopt.network.network_checks import check_bounds, unbounded_to_infinite

if TYPE_CHECKING:
    import cobra

_CANDIDATES = 3
"""Number of candidates for growth in a message, where no id contains that word."""


def read_network(
    source: "str | Path | cobra.Model", *, biomass: str | None = None, maintenance: str | None = None
) -> Network:
    """Read a metabolic network.

    Parameters
    ----------
    source
        Path of a file in SBML (``.xml``, ``.xml.gz``, ``.sbml``, ``.sbml.gz``), cobra's JSON (``.json``, ``.json.gz``) or
        MATLAB's format (``.mat``); a ``cobra.Model`` (never changed); or the name of a network that ships with cobra:
        ``textbook``, ``iJO1366``, ``salmonella``.
    biomass
        Reaction whose flux is growth; by default the objective of the source.
    maintenance
        ATP maintenance reaction; by default the one named ``ATPM``, else the only reaction with a positive lower bound.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    NetworkError
        If the file is missing, damaged, of another format or harmful to its reader, or the network has no single
        objective or has bounds no flux can keep, or ``biomass`` or ``maintenance`` is none of its reactions.

    Examples
    --------
    >>> read_network("textbook").biomass
    'Biomass_Ecoli_core'
    """
    for argument, reaction in (("biomass", biomass), ("maintenance", maintenance)):
        if reaction is not None and not isinstance(reaction, str):
            raise NetworkError(f"{argument} is {shown(reaction)}; give the id of a reaction as a text")
    raw: Any = load(find_file(source)) if isinstance(source, str | Path) else source
    if not hasattr(raw, "reactions"):
        raise NetworkError(f"{shown(raw)} is no metabolic network; give a path, a name or a cobra object")
    with quiet():
        return _network(raw, biomass, maintenance)


def _network(raw: "cobra.Model", biomass: str | None, maintenance: str | None) -> Network:
    stoichiometry = _stoichiometry(raw)
    reactions = tuple(reaction.id for reaction in raw.reactions)
    exchanges = tuple(reaction.id for reaction in raw.reactions if reaction.boundary and _moves_outside(reaction))
    lower = np.array([reaction.lower_bound for reaction in raw.reactions], dtype=float)
    upper = np.array([reaction.upper_bound for reaction in raw.reactions], dtype=float)
    check_bounds(reactions, lower, upper)
    index = {reaction: column for column, reaction in enumerate(reactions)}
    for column in (index[exchange] for exchange in exchanges):
        if stoichiometry[:, [column]].data[0] > 0.0:  # written as uptake
            stoichiometry[:, [column]] *= -1.0
            lower[column], upper[column] = 0.0 - upper[column], 0.0 - lower[column]  # no -0.0: the hash covers it
    return Network(
        name=str(raw.id or "network"),
        metabolites=tuple(metabolite.id for metabolite in raw.metabolites),
        reactions=reactions,
        stoichiometry=stoichiometry,
        lower=unbounded_to_infinite(lower),
        upper=unbounded_to_infinite(upper),
        biomass=biomass or _objective(raw),
        maintenance=maintenance or _maintenance(reactions, lower),
        exchanges=exchanges,
        carbon={exchange: _carbon(raw.reactions.get_by_id(exchange)) for exchange in exchanges},
        genes=_genes(raw),
        rules={reaction.id: rule for reaction in raw.reactions if (rule := reaction.gene_reaction_rule)},
    )


def _stoichiometry(raw: "cobra.Model") -> sp.csc_array:
    rows = {metabolite.id: row for row, metabolite in enumerate(raw.metabolites)}
    entries = [
        (rows[metabolite.id], column, float(coefficient))
        for column, reaction in enumerate(raw.reactions)
        for metabolite, coefficient in reaction.metabolites.items()
    ]
    if not entries:
        raise NetworkError(f"{raw.id or 'the network'} has no reactions; give a file with a metabolic network")
    row, column, value = (np.array(values) for values in zip(*entries, strict=True))
    if not np.isfinite(value).all():
        reaction = raw.reactions[int(column[~np.isfinite(value)][0])].id
        raise NetworkError(
            f"reaction '{reaction}' has a coefficient that is not a finite number; correct it in the file"
        )
    return sp.csc_array((value, (row, column)), shape=(len(raw.metabolites), len(raw.reactions)))


def _moves_outside(reaction: Any) -> bool:
    """Whether a reaction moves one metabolite across the system's border; sinks and demands of the inside do not."""
    return len(reaction.metabolites) == 1 and not reaction.id.startswith(("DM_", "SK_", "sink_"))


def _genes(raw: "cobra.Model") -> tuple[str, ...]:
    """Ids of the genes, without the pieces of rules that cobra reads as genes in files of level 2."""
    return tuple(str(gene.id) for gene in raw.genes if gene.reactions or " " not in str(gene.id))


def _objective(raw: "cobra.Model") -> str:
    from cobra.util.solver import linear_reaction_coefficients

    sign = -1.0 if raw.objective_direction == "min" else 1.0
    weights = linear_reaction_coefficients(raw)
    objectives = {reaction.id: sign * weights[reaction] for reaction in raw.reactions if weights.get(reaction)}
    if len(objectives) == 1 and min(objectives.values()) > 0.0:
        return str(next(iter(objectives)))
    listed = ", ".join(f"{value:g} {reaction}" for reaction, value in objectives.items())
    several = f"several objectives: {listed}" if len(objectives) > 1 else f"the objective {listed}"
    candidates = ", ".join(objectives if len(objectives) > 1 else _likely_growth(raw))
    raise NetworkError(
        f"the network has {several if objectives else 'no objective'}; name one reaction as biomass=, candidates: {candidates}"
    )


def _likely_growth(raw: "cobra.Model") -> list[str]:
    """Reactions named after growth, else those that consume most metabolites, as only growth does."""
    named = [
        reaction.id
        for reaction in raw.reactions
        if any(word in f"{reaction.id} {reaction.name}".lower() for word in ("biomass", "growth"))
    ]
    consuming = sorted(raw.reactions, key=lambda reaction: -len(reaction.reactants))
    return named or [reaction.id for reaction in consuming[:_CANDIDATES]]


def _maintenance(reactions: tuple[str, ...], lower: np.ndarray) -> str | None:
    forced = [reaction for reaction, low in zip(reactions, lower, strict=True) if low > 0.0]
    named = [reaction for reaction in reactions if reaction.upper() in ("ATPM", "R_ATPM", "NGAM")]
    if len(named) == 1:
        return named[0]
    if len(forced) == 1:
        return forced[0]
    if forced:
        raise NetworkError(f"several reactions are forced to run: {', '.join(forced)}; name one as maintenance=")
    return None


def _carbon(exchange: Any) -> float:
    metabolite = next(iter(exchange.metabolites))
    elements = metabolite.elements or {}
    return float(elements.get("C", 0.0))

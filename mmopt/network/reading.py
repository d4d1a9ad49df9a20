"""From a network as cobra reads it to a `Network`: growth, maintenance and bounds, and exchanges by `border`.

What cannot be decided, such as which of two objectives is growth, must be given and is not guessed; what a network cannot
hold, such as rows beside S v = 0, is refused by name.
"""

import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.sparse as sp

from mmopt.checking import shown
from mmopt.errors import NetworkError, nearest
from mmopt.network.border import Draft, with_exchanges, without_beyond
from mmopt.network.formats import find_file, load, quiet
from mmopt.network.gene_rules import gene_rule, genes_in, rules_of
from mmopt.network.network import Network
from mmopt.network.network_checks import bounds_meant, check_bounds

if TYPE_CHECKING:
    import cobra

_CANDIDATES: Final = 3
"""Number of candidates for growth in a message, where no id contains that word, and of reactions in a note."""

_MAINTENANCE_IDS: Final = frozenset(("ATPM", "R_ATPM", "NGAM"))

_MAINTENANCE: Final = re.compile(r"atpm(?![a-z])|ngam|maintenance", re.IGNORECASE)

_ATP_NAMES: Final = MappingProxyType(
    {
        **dict.fromkeys(("atp", "cpd00002", "c00002", "adenosine triphosphate"), "atp"),
        **dict.fromkeys(("adp", "cpd00008", "c00008", "adenosine diphosphate"), "adp"),
        **dict.fromkeys(("h2o", "cpd00001", "c00001", "water"), "h2o"),
        **dict.fromkeys(("pi", "cpd00009", "c00009", "phosphate", "orthophosphate", "diphosphate"), "pi"),
        **dict.fromkeys(("h", "cpd00067", "c00080", "h+", "proton"), "h"),
    }
)
"""What takes its share in the hydrolysis of ATP, by stems of ids and names."""


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
        ATP maintenance reaction; by default the one named ``ATPM``, else the forced reaction whose name says so or which
        hydrolyses ATP.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    NetworkError
        If the file is missing, damaged, of another format or harmful to its reader, or the network has no single
        objective, rows beside S v = 0 or bounds no flux can keep, or must grow, or ``biomass`` or ``maintenance`` is none of
        its reactions.

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
    _refuse_rows(raw)
    draft = without_beyond(_draft(raw))
    check_bounds(draft.reactions, draft.lower, draft.upper)
    growth, kept, gain = _growth(raw, draft, biomass)
    maintenance = maintenance or _maintenance(raw, draft, growth)
    draft = with_exchanges(_with_bounds_meant(draft, gain), raw, kept, (growth, maintenance))
    _refuse_forced_growth(draft, growth)
    return Network(
        name=str(raw.id or "network"),
        metabolites=draft.metabolites,
        reactions=draft.reactions,
        stoichiometry=draft.stoichiometry,
        lower=draft.lower,
        upper=draft.upper,
        biomass=growth,
        maintenance=maintenance,
        exchanges=draft.exchanges,
        carbon={exchange: _carbon(raw.reactions.get_by_id(exchange)) for exchange in draft.exchanges},
        genes=_genes(raw),
        rules={reaction: rule for reaction, rule in rules_of(raw).items() if reaction not in draft.merged},
        merged=draft.merged,
        notes=(*draft.notes, *_forced_notes(draft, maintenance)),
    )


def _draft(raw: "cobra.Model") -> Draft:
    return Draft(
        metabolites=tuple(metabolite.id for metabolite in raw.metabolites),
        reactions=tuple(reaction.id for reaction in raw.reactions),
        stoichiometry=_stoichiometry(raw),
        lower=np.array([reaction.lower_bound for reaction in raw.reactions], dtype=float),
        upper=np.array([reaction.upper_bound for reaction in raw.reactions], dtype=float),
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


def _genes(raw: "cobra.Model") -> tuple[str, ...]:
    """Ids of the genes, without the pieces of rules that cobra reads as genes in files of level 2."""
    known = [str(gene.id) for gene in raw.genes if gene.reactions or " " not in str(gene.id)]
    unread = [gene for text in rules_of(raw).values() if gene_rule(text) is None for gene in genes_in(text)]
    return tuple(dict.fromkeys((*known, *unread)))


def _refuse_rows(raw: "cobra.Model") -> None:
    """Refuse rows beside S v = 0, and variables beside fluxes, which a network does not hold."""
    metabolites = {metabolite.id for metabolite in raw.metabolites}
    fluxes = {name for reaction in raw.reactions for name in (reaction.id, reaction.reverse_id)}
    constraints = list(getattr(raw, "constraints", ()))
    others = [variable for variable in getattr(raw, "variables", ()) if variable.name not in fluxes]
    for row in constraints:
        bounded = row.lb is not None or row.ub is not None
        if row.name not in metabolites and bounded:
            raise NetworkError(
                f"the network has the constraint '{row.name}' beside S v = 0, which is not read; remove it "
                "(remove_cons_vars), and give it as LinearLimit(...) to FluxProgram or pfba (limits=)"
            )
        extra = row.get_linear_coefficients(others) if others and bounded else {}
        if bounded and (row.lb != 0.0 or row.ub != 0.0 or any(extra.values())):
            raise NetworkError(
                f"the row of metabolite '{row.name}' is not S v = 0, and is not read; balance it, and add a reaction that "
                "drains or supplies it"
            )
    for metabolite in raw.metabolites:
        if metabolite._bound != 0.0:  # files hold it, and cobra leaves it out
            raise NetworkError(
                f"metabolite '{metabolite.id}' may gather ({metabolite._bound:g}), which is not read; balance it, and add a "
                "reaction that drains or supplies it"
            )


def _growth(raw: "cobra.Model", draft: Draft, biomass: str | None) -> tuple[str, str | None, np.ndarray]:
    """Growth reaction; the same if it must stay as it is written; and what the cell maximises, in the file's directions.

    An exchange that is given by name is maximised as secretion, as everywhere; the objective of a file as the file means it.
    """
    gain = np.zeros(len(draft.reactions))
    growth, sign = (biomass, 1.0) if biomass is not None else _objective(raw, draft)
    if growth not in draft.reactions:
        raise NetworkError(f"biomass: there is no reaction {shown(growth)}; {nearest(growth, draft.reactions)}")
    column = draft.reactions.index(growth)
    border = draft.stoichiometry[:, [column]].data
    if biomass is not None and len(border) == 1 and border[0] > 0.0:
        sign = -1.0
    gain[column] = sign
    kept = biomass is None and sign > 0.0 and len(border) == 1 and border[0] != -1.0
    return growth, growth if kept else None, gain


def _objective(raw: "cobra.Model", draft: Draft) -> tuple[str, float]:
    """Reaction of the objective, and the sign of its weight: negative only for secretion that is written as uptake."""
    from cobra.util.solver import linear_reaction_coefficients

    sign = -1.0 if raw.objective_direction == "min" else 1.0
    weights = linear_reaction_coefficients(raw)
    objectives = {reaction.id: sign * weights[reaction] for reaction in raw.reactions if weights.get(reaction)}
    if len(objectives) == 1:
        name, weight = next(iter(objectives.items()))
        border = draft.stoichiometry[:, [draft.reactions.index(name)]].data
        if weight > 0.0 or border.tolist() == [1.0]:
            return str(name), float(np.sign(weight))
    listed = ", ".join(f"{value:g} {reaction}" for reaction, value in objectives.items())
    several = f"several objectives: {listed}" if len(objectives) > 1 else f"the objective {listed}"
    candidates = ", ".join(objectives if len(objectives) > 1 else _likely_growth(raw))
    raise NetworkError(
        f"the network has {several if objectives else 'no objective'}; name one reaction as biomass=, candidates: {candidates}"
    )


def _with_bounds_meant(draft: Draft, gain: np.ndarray) -> Draft:
    lower, upper, meant = bounds_meant(draft.stoichiometry, draft.lower, draft.upper, gain)
    notes = () if meant is None else (f"bounds of {meant:g} hold growth, and are limits here",)
    return replace(draft, lower=lower, upper=upper, notes=(*draft.notes, *notes))


def _refuse_forced_growth(draft: Draft, growth: str) -> None:
    low = draft.lower[draft.reactions.index(growth)]
    if low > 0.0:
        raise NetworkError(
            f"biomass reaction '{growth}' has a positive lower bound ({low:g}), but starving cells do not grow; set it to 0"
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


def _maintenance(raw: "cobra.Model", draft: Draft, growth: str) -> str | None:
    """ATP maintenance: a forced reaction by its id, else by its name or because it hydrolyses ATP, else one named so."""
    lows = zip(draft.reactions, draft.lower, strict=True)
    forced = [reaction for reaction, low in lows if low > 0.0 and reaction != growth]
    named = [reaction for reaction in draft.reactions if reaction.upper() in _MAINTENANCE_IDS]
    spoken = [reaction for reaction in forced if _MAINTENANCE.search(reaction)]
    for likely in ([reaction for reaction in named if reaction in forced], spoken):
        if len(likely) == 1:
            return likely[0]
    likely = [reaction for reaction in forced if reaction in spoken or _maintains(raw.reactions.get_by_id(reaction))]
    inside = [reaction for reaction in forced if len(raw.reactions.get_by_id(reaction).metabolites) > 1]
    if len(likely) == 1 and not set(inside) - set(likely):
        return likely[0]
    if likely:
        raise NetworkError(f"several reactions are forced to run: {', '.join(forced)}; name one as maintenance=")
    return named[0] if len(named) == 1 else None


def _maintains(reaction: Any) -> bool:
    return bool(_MAINTENANCE.search(reaction.name or "")) or _hydrolyses(reaction)


def _hydrolyses(reaction: Any) -> bool:
    """Whether a reaction uses ATP and nothing but water, and yields nothing but ADP, phosphate and protons."""
    used, given = (
        {_ATP_NAMES.get(_stem(one)) for one in side} | {None for one in side if _stem(one) not in _ATP_NAMES}
        for side in (reaction.reactants, reaction.products)
    )
    return "atp" in used and used <= {"atp", "h2o"} and given <= {"adp", "pi", "h"}


def _stem(metabolite: Any) -> str:
    """Id without its compartment; the name where the id is a number."""
    stem = re.sub(r"(_[a-z]\d*|\[\w+\]|\(\w\))$", "", str(metabolite.id)).lower()
    named = re.sub(r"(\s*[\[(][\w ]+[\])]|[-_ ][a-z]\d?)$", "", str(metabolite.name or "")).lower()
    return stem if stem in _ATP_NAMES else named


def _forced_notes(draft: Draft, maintenance: str | None) -> tuple[str, ...]:
    forced = [
        reaction
        for reaction, low, high in zip(draft.reactions, draft.lower, draft.upper, strict=True)
        if (low > 0.0 or high < 0.0) and reaction != maintenance
    ]
    more = " and more" if len(forced) > _CANDIDATES else ""
    note = f"{', '.join(forced[:_CANDIDATES])}{more} must run, and not as maintenance (which maintenance= names)"
    return (note,) if forced else ()


def _carbon(exchange: Any) -> float:
    metabolite = next(iter(exchange.metabolites))
    elements = metabolite.elements or {}
    return float(elements.get("C", 0.0))

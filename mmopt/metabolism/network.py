"""Metabolic networks as mmopt sees them: stoichiometry, bounds and names, frozen.

Here signs flip, once: every exchange reaction is written so that a positive flux secretes and a negative flux takes up,
whichever way the file wrote it. Everything after this file may rely on it.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from mmopt.errors import NetworkError, nearest
from mmopt.metabolism.sbml import check_sbml

if TYPE_CHECKING:
    import cobra

PACKAGED = ("textbook", "iJO1366", "salmonella")
"""Networks that ship inside the cobra wheel."""

_UNBOUNDED = 1.0e3
"""Flux bounds at or beyond this are the field's way to write 'no bound' [mmol/gDW/h]."""


@dataclass(frozen=True, eq=False)
class Network:
    """A metabolic network; fluxes are net fluxes v with ``lower <= v <= upper`` [mmol/gDW/h] and S v = 0.

    Attributes
    ----------
    name
        The id the source gives it.
    metabolites, reactions
        Ids, in the order of rows and columns of the stoichiometry.
    stoichiometry
        S, shape (metabolites, reactions).
    lower, upper
        Bounds [mmol/gDW/h], shape (reactions,).
    biomass
        Id of the reaction whose flux is the growth rate [1/h].
    maintenance
        Id of the ATP maintenance reaction, or None if the network has none.
    exchanges
        Ids of the exchange reactions.
    carbon
        Carbon atoms in what each exchange moves, where the source gives a formula.
    """

    name: str
    metabolites: tuple[str, ...]
    reactions: tuple[str, ...]
    stoichiometry: sp.csc_array
    lower: np.ndarray
    upper: np.ndarray
    biomass: str
    maintenance: str | None
    exchanges: tuple[str, ...]
    carbon: Mapping[str, float]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Column of each reaction."""
        return {reaction: column for column, reaction in enumerate(self.reactions)}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that decides an answer: two networks with one hash give the same labels."""
        digest = hashlib.sha256()
        for text in (*self.metabolites, *self.reactions, self.biomass, str(self.maintenance)):
            digest.update(text.encode() + b"\0")
        for array in (self.stoichiometry.indptr, self.stoichiometry.indices):
            digest.update(array.astype("<i8").tobytes())
        for array in (self.stoichiometry.data, self.lower, self.upper):
            digest.update(array.astype("<f8").tobytes())
        return digest.hexdigest()

    @property
    def maintenance_demand(self) -> float:
        """ATP maintenance demand [mmol/gDW/h]; 0 if there is no maintenance reaction."""
        return 0.0 if self.maintenance is None else max(0.0, float(self.lower[self.index[self.maintenance]]))

    def column(self, reaction: str) -> int:
        """Column of a reaction.

        Raises
        ------
        NetworkError
            If the id is unknown; the nearest known ids are named.
        """
        if reaction not in self.index:
            raise NetworkError(f"{self.name} has no reaction '{reaction}'; {nearest(reaction, self.reactions)}")
        return self.index[reaction]

    def exchange(self, reaction: str) -> int:
        """Column of an exchange reaction.

        Raises
        ------
        NetworkError
            If the id is unknown, or is no exchange reaction; the nearest known exchange ids are named.
        """
        if reaction not in self.exchanges:
            raise NetworkError(f"{self.name} has no exchange '{reaction}'; {nearest(reaction, self.exchanges)}")
        return self.index[reaction]


def read_network(
    source: "str | Path | cobra.Model", *, biomass: str | None = None, maintenance: str | None = None
) -> Network:
    """Read a metabolic network.

    Parameters
    ----------
    source
        Path of an SBML file (``.xml``, ``.xml.gz``), a ``cobra.Model`` (never changed), or the name of a network that
        ships with cobra: ``textbook``, ``iJO1366``, ``salmonella``.
    biomass
        Reaction whose flux is growth; by default the objective of the source.
    maintenance
        ATP maintenance reaction; by default the one named ``ATPM``, else the only reaction with a positive lower bound.

    Raises
    ------
    NetworkError
        If the file is missing, empty or not SBML, or the network has no single objective or has bounds no flux can keep.

    Examples
    --------
    >>> read_network("textbook").biomass
    'Biomass_Ecoli_core'
    """
    raw: Any = _read_cobra(source) if isinstance(source, str | Path) else source
    stoichiometry = _stoichiometry(raw)
    reactions = tuple(reaction.id for reaction in raw.reactions)
    exchanges = tuple(reaction.id for reaction in raw.reactions if reaction.boundary and _moves_outside(reaction))
    lower = np.array([reaction.lower_bound for reaction in raw.reactions], dtype=float)
    upper = np.array([reaction.upper_bound for reaction in raw.reactions], dtype=float)
    _check_bounds(reactions, lower, upper)
    index = {reaction: column for column, reaction in enumerate(reactions)}
    for column in (index[exchange] for exchange in exchanges):
        if stoichiometry[:, [column]].data[0] > 0.0:  # written as uptake
            stoichiometry[:, [column]] *= -1.0
            lower[column], upper[column] = 0.0 - upper[column], 0.0 - lower[column]  # no -0.0: the hash sees it
    network = Network(
        name=raw.id or "network",
        metabolites=tuple(metabolite.id for metabolite in raw.metabolites),
        reactions=reactions,
        stoichiometry=stoichiometry,
        lower=_unbounded_to_infinite(lower),
        upper=_unbounded_to_infinite(upper),
        biomass=biomass or _objective(raw),
        maintenance=maintenance or _maintenance(reactions, lower),
        exchanges=exchanges,
        carbon={exchange: _carbon(raw.reactions.get_by_id(exchange)) for exchange in exchanges},
    )
    network.column(network.biomass)
    if network.maintenance is not None:
        network.column(network.maintenance)
    return network


def _read_cobra(source: str | Path) -> "cobra.Model":
    import cobra.data
    from cobra.io import read_sbml_model

    path = Path(source)
    if str(source) in PACKAGED:
        path = Path(cobra.data.__file__).parent / f"{source}.xml.gz"
    if not path.is_file():
        raise NetworkError(
            f"there is no file '{path}', and no packaged network of that name; {nearest(str(path), PACKAGED)}"
        )
    check_sbml(path)
    with _quiet("cobra"):
        try:
            return read_sbml_model(str(path))
        except Exception as error:  # libSBML and cobra raise many kinds; each means the same to a user
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise NetworkError(
                f"{path} cannot be read as SBML: {reason}. Check the file with an SBML validator"
            ) from error


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a chatty reader's remarks off the user's screen; its errors still come as exceptions."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _stoichiometry(raw: "cobra.Model") -> sp.csc_array:
    rows = {metabolite.id: row for row, metabolite in enumerate(raw.metabolites)}
    entries = [
        (rows[metabolite.id], column, float(coefficient))
        for column, reaction in enumerate(raw.reactions)
        for metabolite, coefficient in reaction.metabolites.items()
    ]
    if not entries:
        raise NetworkError(f"{raw.id or 'the network'} has no reactions; give a file with a metabolic network")
    row, column, value = zip(*entries, strict=True)
    shape = (len(raw.metabolites), len(raw.reactions))
    return sp.csc_array((np.array(value), (np.array(row), np.array(column))), shape=shape)


def _moves_outside(reaction: Any) -> bool:
    """Exchanges move one metabolite across the system's border; sinks and demands of the inside are not exchanges."""
    return len(reaction.metabolites) == 1 and not reaction.id.startswith(("DM_", "SK_", "sink_"))


def _check_bounds(reactions: tuple[str, ...], lower: np.ndarray, upper: np.ndarray) -> None:
    for reaction, low, high in zip(reactions, lower, upper, strict=True):
        if np.isnan(low) or np.isnan(high):
            raise NetworkError(f"reaction '{reaction}' has a bound that is not a number; correct it in the file")
        if low > high:
            raise NetworkError(
                f"reaction '{reaction}' has lower bound {low:g} above upper bound {high:g}; correct them"
            )


def _unbounded_to_infinite(bounds: np.ndarray) -> np.ndarray:
    return np.where(np.abs(bounds) >= _UNBOUNDED, np.copysign(np.inf, bounds), bounds)


def _objective(raw: "cobra.Model") -> str:
    from cobra.util.solver import linear_reaction_coefficients

    found = {reaction.id: value for reaction, value in linear_reaction_coefficients(raw).items() if value}
    if len(found) != 1 or min(found.values()) <= 0.0:
        what = "no objective" if not found else "the objective " + ", ".join(f"{v:g} {r}" for r, v in found.items())
        likely = [reaction.id for reaction in raw.reactions if "biomass" in reaction.id.lower()]
        raise NetworkError(
            f"the network has {what}; name one reaction as biomass=, candidates: {', '.join(likely) or 'none'}"
        )
    return str(next(iter(found)))


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

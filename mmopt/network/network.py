"""Metabolic networks: stoichiometry, bounds, names and gene rules, frozen.

Every exchange reaction is written so that a positive flux secretes and a negative flux takes up. `reading` turns them that
way, and all other modules rely on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from mmopt.checking import shown
from mmopt.errors import NetworkError, nearest
from mmopt.io.facts import facts_table, facts_text
from mmopt.io.seal import digest
from mmopt.network.network_checks import check_network


@dataclass(frozen=True, eq=False)
class Network:
    """A metabolic network; fluxes are net fluxes v with ``lower <= v <= upper`` [mmol/gDW/h] and S v = 0.

    Attributes
    ----------
    name
        Id of the network in its source.
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
        Carbon atoms of the metabolite of every exchange, by exchange id; 0 where the source gives no formula.
    genes
        Ids of the genes.
    rules
        Genes a reaction needs, by reaction id, as in ``"b1 and (b2 or b3)"``; a reaction that needs none has no rule.
    merged
        Exchange by the id of another that the source has for the same metabolite: both are one here, in both directions.
    notes
        What was changed or decided when the source was read, in words.

    Raises
    ------
    NetworkError
        If an argument is of the wrong kind, an id stands twice, shapes do not agree, a number is not finite, a bound cannot
        be kept, or the biomass, the maintenance reaction or an exchange is no reaction of the network.

    Examples
    --------
    >>> network = read_network("textbook")
    >>> network
    Network('e_coli_core': 95 reactions, 72 metabolites, 20 exchanges, 137 genes)
    >>> network.biomass, network.maintenance_demand, network.column("PFK")
    ('Biomass_Ecoli_core', 8.39, 71)
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
    genes: tuple[str, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)
    merged: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_network(self)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Column of each reaction."""
        return {reaction: column for column, reaction in enumerate(self.reactions)}

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that decides fluxes: two networks with one hash have the same fluxes.

        Genes and rules are not covered: they decide nothing until a knock-out turns them into bounds.
        """
        names = (*self.metabolites, *self.reactions, self.biomass, str(self.maintenance))
        pattern = (self.stoichiometry.indptr, self.stoichiometry.indices)
        numbers = (self.stoichiometry.data, self.lower, self.upper)
        return digest(
            *(f"{name}\0" for name in names),
            *(array.astype("<i8") for array in pattern),
            *(array.astype("<f8") for array in numbers),
        )

    @property
    def maintenance_demand(self) -> float:
        """ATP maintenance demand [mmol/gDW/h]; 0 if there is no maintenance reaction."""
        return 0.0 if self.maintenance is None else max(0.0, float(self.lower[self.index[self.maintenance]]))

    def column(self, reaction: str) -> int:
        """Return the column of a reaction.

        Parameters
        ----------
        reaction
            Id of the reaction.

        Returns
        -------
        int
            Its position among `reactions`.

        Raises
        ------
        NetworkError
            If the id is unknown; the nearest known ids are named.
        """
        name = self.resolved(reaction)
        if not isinstance(name, str) or name not in self.index:
            raise NetworkError(f"{self.name} has no reaction {shown(reaction)}; {nearest(reaction, self.reactions)}")
        return self.index[name]

    def exchange(self, reaction: str) -> int:
        """Return the column of an exchange reaction.

        Parameters
        ----------
        reaction
            Id of the exchange reaction.

        Returns
        -------
        int
            Its position among `reactions`.

        Raises
        ------
        NetworkError
            If the id is unknown, or is no exchange reaction; the nearest known exchange ids are named.
        """
        name = self.resolved(reaction)
        if not isinstance(name, str) or name not in self.exchanges:
            raise NetworkError(f"{self.name} has no exchange {shown(reaction)}; {nearest(reaction, self.exchanges)}")
        return self.index[name]

    def resolved(self, reaction: Any) -> Any:
        """Return the id under which a reaction of the source is here.

        Parameters
        ----------
        reaction
            Id of a reaction.

        Returns
        -------
        str
            The id of the exchange that the reaction is merged into; else the same id.
        """
        return self.merged.get(reaction, reaction) if isinstance(reaction, str) else reaction

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {kind}" for kind, count in self._counts().items())
        return f"Network({self.name!r}: {counts})"

    def __str__(self) -> str:
        return facts_text(self._facts())

    def _repr_html_(self) -> str:
        """Table for a notebook."""
        return facts_table(self._facts())

    def _counts(self) -> dict[str, int]:
        return {
            "reactions": len(self.reactions),
            "metabolites": len(self.metabolites),
            "exchanges": len(self.exchanges),
            "genes": len(self.genes),
        }

    def _facts(self) -> dict[str, str]:
        demand = f"{self.maintenance} >= {self.maintenance_demand:g} mmol/gDW/h" if self.maintenance else "none"
        counts = {kind: str(count) for kind, count in self._counts().items()}
        notes = {"notes": "; ".join(self.notes)} if self.notes else {}
        facts = {"network": self.name, **counts, "biomass": self.biomass, "maintenance": demand, "hash": self.hash[:12]}
        return {**facts, **notes}


def checked_network(network: Any) -> Network:
    """Return a network, or raise an error.

    Parameters
    ----------
    network
        Any object.

    Returns
    -------
    Network
        The same object.

    Raises
    ------
    NetworkError
        If it is no `Network`.

    Examples
    --------
    >>> from mmopt.network.network import checked_network
    >>> checked_network("textbook")
    Traceback (most recent call last):
    mmopt.errors.NetworkError: network is 'textbook'; give a Network, as read_network returns it
    """
    if not isinstance(network, Network):
        raise NetworkError(f"network is {shown(network)}; give a Network, as read_network returns it")
    return network

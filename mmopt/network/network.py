"""Metabolic networks as mmopt sees them: stoichiometry, bounds, names and gene rules, frozen.

Every exchange reaction is written so that a positive flux secretes and a negative flux takes up. `reading` sees to that, and
everything after it may rely on it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from mmopt.errors import NetworkError, nearest

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
    genes
        Ids of the genes.
    rules
        By reaction id, which genes it needs, as in ``"b1 and (b2 or b3)"``; a reaction that needs none has no rule.
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

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Column of each reaction."""
        return {reaction: column for column, reaction in enumerate(self.reactions)}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that decides an answer: two networks with one hash give the same labels.

        Genes and rules are not among it: they decide nothing until a knock-out turns them into bounds.
        """
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


def check_bounds(reactions: Sequence[str], lower: np.ndarray, upper: np.ndarray) -> None:
    """Refuse bounds that no flux can keep [mmol/gDW/h].

    Raises
    ------
    NetworkError
        Naming the first such reaction.
    """
    for reaction, low, high in zip(reactions, lower.tolist(), upper.tolist(), strict=True):
        if np.isnan(low) or np.isnan(high):
            raise NetworkError(f"reaction '{reaction}' has a bound that is not a number; correct it")
        if low > high:
            raise NetworkError(
                f"reaction '{reaction}' has lower bound {low:g} above upper bound {high:g}; correct them"
            )
        if low == np.inf or high == -np.inf:
            raise NetworkError(
                f"reaction '{reaction}' has bounds {low:g} and {high:g}, which no flux keeps; correct them"
            )


def unbounded_to_infinite(bounds: np.ndarray) -> np.ndarray:
    """Bounds with 'no bound' as infinity, however it was written [mmol/gDW/h]."""
    return np.where(np.abs(bounds) >= _UNBOUNDED, np.copysign(np.inf, bounds), bounds)

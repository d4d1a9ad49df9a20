"""Growth after single deletions, and the genes without which there is none.

Genes without which the same reactions are lost have one growth rate, so a screen solves once for each set of reactions.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mmopt.checking import shown
from mmopt.errors import DomainError, InfeasibleError, NetworkError
from mmopt.fba.domain import checked_fraction
from mmopt.fba.flux_program import FluxProgram
from mmopt.network.gene_rules import lost_by
from mmopt.network.network import Network

_ESSENTIAL = 0.01
"""Fraction of the whole network's growth below which a deletion counts as lethal; as in cobra."""


def single_deletions(
    network: Network, uptake: Mapping[str, float], names: Sequence[str] | None = None
) -> Mapping[str, float]:
    """Compute growth after the deletion of one gene or reaction at a time.

    Genes without which the same reactions are lost share one solve; those without which none is lost need none.

    Parameters
    ----------
    network
        The metabolic network.
    uptake
        Largest uptake by exchange reaction id [mmol/gDW/h]; every other limit is the network's own.
    names
        Ids of genes or reactions; by default all genes.

    Returns
    -------
    Mapping[str, float]
        Growth by name [1/h]; 0 where the cell cannot maintain itself, NaN where no flux keeps all bounds.

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), a rule cannot be read, or there are no genes.
    DomainError
        If a limit is negative or no number.

    Examples
    --------
    >>> growth = single_deletions(read_network("textbook"), {"EX_glc__D_e": 10.0}, ["b1779", "b1723", "PFK"])
    >>> {name: round(value, 4) for name, value in growth.items()}
    {'b1779': 0.0, 'b1723': 0.8739, 'PFK': 0.704}
    """
    return _deletions(network, uptake, names)[1]


def essential(network: Network, uptake: Mapping[str, float], threshold: float = _ESSENTIAL) -> tuple[str, ...]:
    """Return the genes without which the cell does not grow.

    Parameters
    ----------
    network
        The metabolic network.
    uptake
        Largest uptake by exchange reaction id [mmol/gDW/h]; every other limit is the network's own.
    threshold
        Fraction of the whole network's growth that counts as growing, in (0, 1].

    Returns
    -------
    tuple of str
        Ids of the genes.

    Raises
    ------
    NetworkError
        If the network has no genes, has a rule that cannot be read, or does not grow at these limits.
    DomainError
        If a limit is negative or not a number, or ``threshold`` lies outside (0, 1].

    Examples
    --------
    >>> essential(read_network("textbook"), {"EX_glc__D_e": 10.0})
    ('b0720', 'b2779', 'b2415', 'b2416', 'b1779', 'b1136', 'b2926')
    """
    threshold = checked_fraction("threshold", threshold)
    whole, growth = _deletions(network, uptake, None)
    if not whole > 0.0:
        limits = ", ".join(f"{exchange} {limit:g}" for exchange, limit in uptake.items())
        raise NetworkError(f"{network.name} does not grow at uptake limits {limits}, so no gene is essential; feed it")
    return tuple(name for name, value in growth.items() if not value >= threshold * whole)


def _deletions(
    network: Network, uptake: Mapping[str, float], names: Sequence[str] | None
) -> tuple[float, dict[str, float]]:
    """Growth of the whole network, and without each name [1/h]."""
    if not isinstance(network, Network):
        raise NetworkError(f"network is {shown(network)}; give a Network, as read_network returns it")
    if not isinstance(uptake, Mapping):
        raise DomainError(f"uptake is {shown(uptake)}; give a mapping of exchange ids to limits [mmol/gDW/h]")
    if names is None and not network.genes:
        raise NetworkError(f"{network.name} has no genes, since its source gives none; name reactions as names=")
    lost = lost_by(network, network.genes if names is None else names)
    program, limits = FluxProgram(network, list(uptake)), list(uptake.values())
    grown: dict[tuple[str, ...], float] = {(): program.solve(limits).growth}
    for reactions in lost.values():
        if reactions not in grown:
            try:
                grown[reactions] = program.solve(limits, closed=reactions).growth
            except InfeasibleError:  # a reaction that must run cannot: NaN, as in cobra
                grown[reactions] = np.nan
    return grown[()], {name: grown[reactions] for name, reactions in lost.items()}

"""Variants of a network: knock-outs, media, bounds and objectives; every variant is a new network with a hash of its own.

A variant differs from its network in bounds or in the growth reaction, and in nothing else. So whatever takes a network
takes a variant, and fluxes or surrogates of one are never mistaken for those of the other.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from mmopt.checking import as_float, finite, shown
from mmopt.errors import DomainError, InfeasibleError, NetworkError
from mmopt.network.gene_rules import reactions_lost
from mmopt.network.network import Network, checked_network
from mmopt.network.network_checks import LARGE, check_bounds, open_bounds
from mmopt.solvers.highs import maximise

_CARBON_WEIGHT: Final = 100.0
"""Weight of a carbon atom in a medium against a mole of glucose or of what has none."""

_GLUCOSE: Final = re.compile(r"EX_(glc(__|_|-)?(aD|D)?|glucose|cpd00027)(?![a-zA-Z0-9])", re.IGNORECASE)

_USUAL: Final = re.compile(r"EX_(o2|nh4|pi|so4|cpd00007|cpd00013|cpd00009|cpd00048)(?![a-zA-Z0-9])", re.IGNORECASE)

_CHEAP: Final = 0.2
"""Weight of glucose, oxygen and the usual salts."""

_ROUNDS_OF_WEIGHTS: Final = 3

_DEAR: Final = 0.1
"""Uptake at which a nutrient is half as dear as one that is not taken [mmol/gDW/h]."""

_TAKEN: Final = 1.0e-9
"""Smallest uptake that a medium names [mmol/gDW/h]; cofactors are needed at 1e-7."""


def knock_out(network: Network, *names: str) -> Network:
    """Remove genes or reactions from a network.

    Parameters
    ----------
    network
        The metabolic network.
    *names
        Ids of genes or reactions; a name that is both counts as the gene.

    Returns
    -------
    Network
        The network with bounds of zero for all reactions that are lost.

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), or the rule of a reaction cannot be read.

    Examples
    --------
    >>> without = knock_out(read_network("textbook"), "b1779")  # glyceraldehyde-3-phosphate dehydrogenase
    >>> pfba(without, {"EX_glc__D_e": 10.0}).growth
    0.0
    """
    return set_bounds(network, dict.fromkeys(reactions_lost(network, *names), (0.0, 0.0)))


def set_medium(network: Network, uptake: Mapping[str, float]) -> Network:
    """Set the medium: what is not named cannot be taken up, water and salts included.

    Parameters
    ----------
    network
        The metabolic network.
    uptake
        Largest uptake by exchange reaction id, >= 0 [mmol/gDW/h]; infinity and 1000 mean that there is no limit. Sinks and
        demands of the inside are no exchanges, and are not changed.

    Returns
    -------
    Network
        The network with other bounds of its exchanges.

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), or an exchange must take up more than it may.
    DomainError
        If a limit is negative or not a number.

    Examples
    --------
    >>> salts = {"EX_nh4_e": 1000.0, "EX_pi_e": 1000.0, "EX_h2o_e": 1000.0, "EX_h_e": 1000.0}
    >>> on_acetate = set_medium(read_network("textbook"), {"EX_ac_e": 10.0, "EX_o2_e": 20.0, **salts})
    >>> round(pfba(on_acetate, {}).growth, 4)
    0.1733
    """
    checked_network(network)
    for exchange, limit in _items("uptake", uptake):
        network.exchange(exchange)
        if not as_float(limit) >= 0.0:
            raise DomainError(f"uptake limit of {exchange} is {shown(limit)} mmol/gDW/h; give a number from 0 up")
    limits = {network.resolved(exchange): float(limit) for exchange, limit in uptake.items()}
    bounds = {}
    for exchange in network.exchanges:
        low, high = _bounds(network, exchange)
        if exchange in limits:
            bounds[exchange] = -limits[exchange], high
        else:  # a forced uptake is closed as well
            bounds[exchange] = max(0.0, low), max(0.0, high)
    return set_bounds(network, bounds)


def minimal_medium(network: Network, growth: float = 0.5) -> dict[str, float]:
    """Compute a small medium on which the network grows: glucose where it is taken up, salts, and what else is needed.

    Parameters
    ----------
    network
        The metabolic network, usually one whose exchanges are all open.
    growth
        Growth rate that the medium suffices for [1/h].

    Returns
    -------
    dict
        Uptake limit by exchange reaction id, for `set_medium` [mmol/gDW/h].

    Raises
    ------
    DomainError
        If ``growth`` is not a positive number.
    InfeasibleError
        If the network cannot grow so fast on what its exchanges take up.

    Examples
    --------
    >>> opened = set_bounds(read_network("textbook"), {"EX_glc__D_e": (-1000.0, 1000.0)})
    >>> medium = minimal_medium(opened, 0.5)
    >>> growth = pfba(set_medium(opened, medium), {}).growth
    >>> sorted(medium)[:3], round(growth, 3) >= 0.5
    (['EX_glc__D_e', 'EX_nh4_e', 'EX_o2_e'], True)
    """
    checked_network(network)
    growth = finite("growth", growth, above=0.0, unit="1/h", error=DomainError)
    columns = np.array([network.column(exchange) for exchange in network.exchanges], dtype=int)
    lower, upper = network.lower.copy(), network.upper.copy()
    most = np.maximum(-lower[columns], 0.0)
    lower[columns], upper[columns] = np.maximum(lower[columns], 0.0), np.maximum(upper[columns], 0.0)
    lower[network.column(network.biomass)] = growth
    weights = np.array([_unlike_a_nutrient(network, exchange) for exchange in network.exchanges])
    taken = np.zeros(len(columns))
    for _ in range(_ROUNDS_OF_WEIGHTS):  # what is taken little becomes dear, so that few nutrients remain
        values, status = maximise(
            sp.csc_array(sp.hstack([network.stoichiometry, -network.stoichiometry[:, columns]])),
            -np.concatenate([np.zeros(len(lower)), weights / (taken + _DEAR)]),
            np.concatenate([lower, np.zeros(len(columns))]),
            np.concatenate([upper, most]),
        )
        if not status.solved:
            break
        taken = values[len(lower) :]
    if not status.solved:
        raise InfeasibleError(
            f"{network.name} does not grow at {growth:g} 1/h on what its exchanges may take up: {status.value}; "
            "open more exchanges, or lower growth"
        )
    rates = zip(network.exchanges, taken.tolist(), strict=True)
    return {exchange: float(f"{1.01 * rate:.3g}") for exchange, rate in rates if rate > _TAKEN}


def _unlike_a_nutrient(network: Network, exchange: str) -> float:
    """Weight of an uptake in the search for a medium: that of glucose and of what has no carbon is least."""
    if _GLUCOSE.search(exchange) or _USUAL.search(exchange):
        return _CHEAP
    return 1.0 + _CARBON_WEIGHT * network.carbon.get(exchange, 0.0)


def set_bounds(network: Network, bounds: Mapping[str, tuple[float, float]]) -> Network:
    """Change the bounds of reactions.

    Parameters
    ----------
    network
        The metabolic network.
    bounds
        Lower and upper bound by reaction id [mmol/gDW/h]; 1000 and more mean that there is no bound, unless the network has
        finite bounds of such a size. Exchanges are positive where the cell secretes; the lower bound of the maintenance
        reaction is its demand.

    Returns
    -------
    Network
        The network with these bounds.

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), bounds are no pair of numbers, or no flux can keep them.

    Examples
    --------
    >>> anaerobic = set_bounds(read_network("textbook"), {"EX_o2_e": (0.0, 0.0)})
    >>> round(pfba(anaerobic, {"EX_glc__D_e": 10.0}).growth, 4)
    0.2117
    """
    checked_network(network)
    pairs = _items("bounds", bounds)
    columns = [network.column(reaction) for reaction, _ in pairs]
    numbers = np.array([_pair(reaction, pair) for reaction, pair in pairs], dtype=float).reshape(-1, 2)
    low, high = (side + 0.0 for side in numbers.T)  # no -0.0: the hash covers it
    if not _has_large_bounds(network):
        low, high = open_bounds(low, high)
    check_bounds(list(bounds), low, high)
    lower, upper = network.lower.copy(), network.upper.copy()
    lower[columns], upper[columns] = low, high
    return replace(network, lower=lower, upper=upper)


def set_objective(network: Network, reaction: str) -> Network:
    """Set the growth reaction, whose flux the cell maximises.

    Parameters
    ----------
    network
        The metabolic network.
    reaction
        Id of any reaction; its flux [mmol/gDW/h] then takes the role of growth.

    Returns
    -------
    Network
        The network with this biomass reaction.

    Raises
    ------
    NetworkError
        If the id is unknown; the nearest known ids are named.

    Examples
    --------
    >>> succinate = set_objective(read_network("textbook"), "EX_succ_e")
    >>> round(pfba(succinate, {"EX_glc__D_e": 10.0}).growth, 4)
    16.3842
    """
    checked_network(network).column(reaction)
    return replace(network, biomass=reaction)


def _items(argument: str, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
    if not isinstance(given, Mapping):
        raise NetworkError(f"{argument} is {shown(given)}; give a mapping by reaction id")
    return list(given.items())


def _pair(reaction: str, pair: Any) -> tuple[float, float]:
    try:
        low, high = pair
    except (TypeError, ValueError):
        low = high = None
    if any(math.isnan(as_float(bound)) and not isinstance(bound, float) for bound in (low, high)):
        raise NetworkError(
            f"bounds of reaction '{reaction}' are {shown(pair)}; give a pair of numbers, lower and upper bound"
        )
    return as_float(low), as_float(high)


def _has_large_bounds(network: Network) -> bool:
    """Whether finite bounds are so large that 1000 is a number like others in this network."""
    sizes = np.abs(np.concatenate([network.lower, network.upper]))
    return bool(np.any((sizes >= LARGE) & np.isfinite(sizes)))


def _bounds(network: Network, reaction: str) -> tuple[float, float]:
    column = network.column(reaction)
    return float(network.lower[column]), float(network.upper[column])

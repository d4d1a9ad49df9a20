"""Variants of a network: knock-outs, media, bounds and objectives; every variant is a new network with a hash of its own.

A variant differs from its network in bounds or in the growth reaction, and in nothing else. So whatever takes a network
takes a variant, and fluxes or surrogates of one are never mistaken for those of the other.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mmopt.checking import as_float, shown
from mmopt.errors import DomainError, NetworkError
from mmopt.network.gene_rules import reactions_lost
from mmopt.network.network import Network, checked_network
from mmopt.network.network_checks import check_bounds, unbounded_to_infinite


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
    bounds = {}
    for exchange in network.exchanges:
        low, high = _bounds(network, exchange)
        if exchange in uptake:
            bounds[exchange] = -float(uptake[exchange]), high
        else:  # a forced uptake is closed as well
            bounds[exchange] = max(0.0, low), max(0.0, high)
    return set_bounds(network, bounds)


def set_bounds(network: Network, bounds: Mapping[str, tuple[float, float]]) -> Network:
    """Change the bounds of reactions.

    Parameters
    ----------
    network
        The metabolic network.
    bounds
        Lower and upper bound by reaction id [mmol/gDW/h]; 1000 and more mean that there is no bound. Exchanges are positive
        where the cell secretes; the lower bound of the maintenance reaction is its demand.

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
    changed = unbounded_to_infinite(numbers + 0.0)  # no -0.0: the hash covers it
    check_bounds(list(bounds), changed[:, 0], changed[:, 1])
    lower, upper = network.lower.copy(), network.upper.copy()
    lower[columns], upper[columns] = changed[:, 0], changed[:, 1]
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


def _bounds(network: Network, reaction: str) -> tuple[float, float]:
    column = network.column(reaction)
    return float(network.lower[column]), float(network.upper[column])

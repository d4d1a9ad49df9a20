"""Variants of a network: knock-outs, media, bounds and aims, each a new frozen network with a hash of its own.

A variant differs from its network in bounds or in the reaction called growth, and in nothing else. So whatever takes a
network takes a variant, and labels or surrogates of the one are never mistaken for the other's.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mmopt.errors import DomainError
from mmopt.network.gene_rules import reactions_lost
from mmopt.network.network import Network, check_bounds, unbounded_to_infinite


def knock_out(network: Network, *names: str) -> Network:
    """Take genes or reactions out of a network.

    Parameters
    ----------
    network
        The metabolic network.
    names
        Ids of genes or reactions; a name that is both counts as the gene.

    Returns
    -------
    Network
        The network without flux through what is lost, whatever its bounds were before.

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
    """Give the cell another medium: what is not named cannot be taken up, water and salts included.

    Parameters
    ----------
    network
        The metabolic network.
    uptake
        Largest uptake by exchange reaction id, >= 0 [mmol/gDW/h]; infinity and 1000 mean that there is no limit. Sinks and
        demands of the inside are no exchanges, and stay as they are.

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
    for exchange, limit in uptake.items():
        network.exchange(exchange)
        if not limit >= 0.0:
            raise DomainError(f"uptake limit of {exchange} is {limit:g} mmol/gDW/h; give a number from 0 up")
    bounds = {}
    for exchange in network.exchanges:
        low, high = _bounds(network, exchange)
        if exchange in uptake:
            bounds[exchange] = -float(uptake[exchange]), high
        else:  # an uptake that was forced is closed as well
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

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), or no flux can keep the bounds.

    Examples
    --------
    >>> anaerobic = set_bounds(read_network("textbook"), {"EX_o2_e": (0.0, 0.0)})
    >>> round(pfba(anaerobic, {"EX_glc__D_e": 10.0}).growth, 4)
    0.2117
    """
    columns = [network.column(reaction) for reaction in bounds]
    given = (
        np.array([tuple(pair) for pair in bounds.values()], dtype=float).reshape(-1, 2) + 0.0
    )  # no -0.0: the hash sees it
    given = unbounded_to_infinite(given)
    check_bounds(list(bounds), given[:, 0], given[:, 1])
    lower, upper = network.lower.copy(), network.upper.copy()
    lower[columns], upper[columns] = given[:, 0], given[:, 1]
    return replace(network, lower=lower, upper=upper)


def set_objective(network: Network, reaction: str) -> Network:
    """Call another reaction growth: what the cell makes the most of.

    Parameters
    ----------
    network
        The metabolic network.
    reaction
        Id of any reaction; its flux [mmol/gDW/h] then stands wherever growth does.

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
    network.column(reaction)
    return replace(network, biomass=reaction)


def _bounds(network: Network, reaction: str) -> tuple[float, float]:
    column = network.column(reaction)
    return float(network.lower[column]), float(network.upper[column])

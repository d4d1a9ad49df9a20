"""What a surrogate combines, and which of its errors count.

The flux modes come from the labels alone: their singular vectors, cleaned to balance to rounding. Errors count by what
a reactor integrates: growth most, the exchanges next, the fluxes inside the cell least.
"""

from typing import Final

import numpy as np
import scipy.sparse as sp

from mmopt.fba.domain import Domain
from mmopt.network.network import Network

_MODE_FLOOR: Final = 1.0e-7
"""Modes weaker than this, relative to the strongest, are the solver's rounding."""

_GROWTH, _EXCHANGE, _INSIDE = 5.0, 1.0, 0.3
"""How much an error counts, relative to the range of the quantity; all fluxes inside the cell count as one."""

_TRACE: Final = 0.1
"""The same of an exchange that is small over the whole domain."""

_MINOR_EXCHANGE: Final = 0.5
"""Exchanges that move less than this over the whole domain count as fluxes inside the cell [mmol/gDW/h]."""

_MOVES: Final = 1.0e-6
"""A flux that moves less than this over all labels is constant [mmol/gDW/h]."""

_MET: Final = 1.0e-6
"""A flux this close to a limit, in parts of it, meets it."""

_COUNTED: Final = 3.0e-4
"""Directions of the counted errors in which the labels move less than this are left to the linear layer: with them a
step of the fit costs 1.4 times as much, and no error on the card changes in its second digit."""


_COUNTED_INSIDE: Final = 1.0e-2
"""The same of the directions in which fluxes inside the cell move, where the fit sees fluxes instead of modes."""


def flux_modes(network: Network, fluxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find balanced flux vectors whose combinations give all labels.

    Parameters
    ----------
    network
        Gives S.
    fluxes
        FluxBatch, shape (labels, reactions) [mmol/gDW/h].

    Returns
    -------
    modes, offset
        Shapes (modes, reactions) and (reactions,); both satisfy S v = 0 to rounding.
    """
    used = np.flatnonzero(np.any(fluxes != 0.0, axis=0))
    offset = fluxes[:, used].mean(axis=0)
    _, strength, found = np.linalg.svd(fluxes[:, used] - offset, full_matrices=False)
    kept = found[strength > _MODE_FLOOR * strength[0]]
    balanced = _balance_projection(network.stoichiometry[:, used])
    modes = np.zeros((len(kept), fluxes.shape[1]))
    modes[:, used] = kept @ balanced
    whole_offset = np.zeros(fluxes.shape[1])
    whole_offset[used] = offset @ balanced
    return modes, whole_offset


def rate_modes(network: Network, fluxes: np.ndarray) -> np.ndarray:
    """One mode for growth, for maintenance and for every exchange that moves: nothing balances them; (modes, reactions)."""
    told = [network.column(network.biomass), *(network.column(name) for name in network.exchanges)]
    if network.maintenance is not None:
        told.append(network.column(network.maintenance))
    moving = [column for column in dict.fromkeys(told) if np.ptp(fluxes[:, column]) > _MOVES]
    modes: np.ndarray = np.eye(fluxes.shape[1])[moving]
    return modes


def _balance_projection(stoichiometry: sp.csc_array) -> np.ndarray:
    """The orthogonal projection onto {v: S v = 0}; it removes what the solver's tolerance left."""
    dense = stoichiometry.toarray()
    dense = dense[np.any(dense != 0.0, axis=1)]
    _, strength, rows = np.linalg.svd(dense)
    null = rows[np.sum(strength > 1.0e-10 * strength[0]) :]
    projection: np.ndarray = null.T @ null
    return projection


def homogeneous(network: Network, domain: Domain, fluxes: np.ndarray) -> bool:
    """Whether answers scale with uptake limits and maintenance demand: no label meets any other limit but zero."""
    others = np.ones(len(network.reactions), dtype=bool)
    others[[network.column(name) for name in domain.inputs if name in network.reactions]] = False
    if network.maintenance is not None:
        others[network.column(network.maintenance)] = False
    least, most = fluxes.min(axis=0), fluxes.max(axis=0)
    with np.errstate(invalid="ignore"):  # a limit that is infinite is never met
        meets_lower = (network.lower != 0.0) & (least <= network.lower + _MET * np.abs(network.lower))
        meets_upper = (network.upper != 0.0) & (most >= network.upper - _MET * np.abs(network.upper))
    held = (network.lower > 0.0) | (network.upper < 0.0)
    return not bool(np.any(others & (meets_lower | meets_upper | held)))


def shares(network: Network, domain: Domain, fluxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much an error of each flux counts [1 / flux], and the same for growth, exchanges and maintenance alone.

    Parameters
    ----------
    network, domain
        The network, and the box of the labels.
    fluxes
        FluxBatch, shape (labels, reactions) [mmol/gDW/h].

    Returns
    -------
    shares, readings
        Shapes (reactions,) each; ``readings`` is zero inside the cell.
    """
    ranges = np.ptp(fluxes, axis=0)
    inputs = [network.column(name) for name in domain.inputs]
    ranges[inputs] = np.minimum(ranges[inputs], domain.upper - domain.lower)  # small beside the limit
    moving = ranges > _MOVES
    growth, main = network.column(network.biomass), list(inputs)
    if network.maintenance is not None:
        main.append(network.column(network.maintenance))
    exchanges = [network.column(name) for name in network.exchanges]
    main += [column for column in exchanges if ranges[column] > _MINOR_EXCHANGE]
    weight = np.zeros(len(ranges))
    weight[[column for column in {*main, growth} if moving[column]]] = _EXCHANGE
    weight[growth] *= _GROWTH
    inside = moving & (weight == 0.0)
    share = np.zeros(len(ranges))
    share[moving] = 1.0 / ranges[moving]
    weight[[column for column in exchanges if inside[column]]] = _TRACE
    readings = share * weight
    return readings + share * inside * _INSIDE / np.sqrt(max(1, inside.sum())), readings


def counted(modes: np.ndarray, weights: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Matrix that turns errors in mode weights into few errors that count alike, shape (modes, counted).

    Parameters
    ----------
    modes
        Shape (modes, reactions).
    weights
        Weights of the modes at the labels, shape (labels, modes).
    share
        As `shares` gives it.
    """
    errors = modes * share
    moved = np.linalg.qr(weights - weights.mean(axis=0), mode="r")
    _, strength, found = np.linalg.svd(moved @ errors, full_matrices=False)
    chosen: np.ndarray = errors @ found[strength > _COUNTED * np.sqrt(len(weights))].T
    return chosen


def counting(fluxes: np.ndarray, share: np.ndarray, readings: np.ndarray) -> np.ndarray:
    """Matrix that turns errors in fluxes into few errors that count alike, shape (reactions, counted).

    Every reading has a column of its own; fluxes inside the cell have columns for the directions in which they move.
    """
    told = np.flatnonzero(readings)
    columns = np.zeros((len(share), len(told)))
    columns[told, np.arange(len(told))] = readings[told]
    inside = np.where(readings == 0.0, share, 0.0)
    moved = (fluxes - fluxes.mean(axis=0)) * inside
    used = np.flatnonzero(np.any(moved != 0.0, axis=0))
    _, strength, found = np.linalg.svd(np.linalg.qr(moved[:, used], mode="r"), full_matrices=False)
    directions = np.zeros((len(share), int(np.sum(strength > _COUNTED_INSIDE * np.sqrt(len(fluxes))))))
    directions[used] = inside[used, None] * found[: directions.shape[1]].T
    return np.hstack([columns, directions])

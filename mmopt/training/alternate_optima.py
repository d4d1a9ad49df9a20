"""Minor fluxes tied to growth, so that no capacity of a surrogate and no repair is spent on them.

A cell may take its traces of iron up by one transporter or by another, and which of the two changes from region to
region. No reactor notices, but a surrogate would need modes and bends for it. So each such flux is made proportional to
growth in the labels, by a balanced exchange with its alternatives that leaves growth as it is and every label within all
directions. The surrogate's error of a tied flux is then as large as the flux moves, which is nothing beside the others.
"""

from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from mmopt.network.balance import rebalanced
from mmopt.network.network import Network

MINOR: Final = 0.02
"""A flux that moves less than this over all labels is minor [mmol/gDW/h]."""

_MOVES: Final = 1.0e-9
"""Below this a flux does not move at all [mmol/gDW/h]."""

_DISTURBS: Final = 1.0e-3
"""Part of the range of any reading by which a tie may move it."""

_LEAST_COST: Final = 1.0e-4
"""Price of a flux inside the cell in an exchange, beside one range of a reading that counts."""

_STRICT: Final = {"primal_feasibility_tolerance": 1.0e-10, "dual_feasibility_tolerance": 1.0e-10}
"""What HiGHS is asked for: traces are smaller than its usual tolerances."""


def tie(network: Network, fluxes: np.ndarray, readings: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Tie every minor flux that must not run backwards to growth, where its alternatives allow it.

    Parameters
    ----------
    network
        The network.
    fluxes
        FluxBatch, shape (labels, reactions) [mmol/gDW/h].
    readings
        How much an error of growth, an exchange or maintenance counts, shape (reactions,); zero inside the cell.

    Returns
    -------
    fluxes, tied
        Balanced labels within all directions, shape (labels, reactions), and ids of the reactions that were tied.
    """
    tied = np.array(fluxes)
    growth = tied[:, network.column(network.biomass)]
    used = np.flatnonzero(np.any(tied != 0.0, axis=0))
    fixed = [network.column(network.biomass)]
    if network.maintenance is not None:
        fixed.append(network.column(network.maintenance))
    ranges = np.ptp(tied[:, used], axis=0)
    one_way = (network.lower[used] >= 0.0) | (network.upper[used] <= 0.0)
    minor = used[one_way & (ranges < MINOR) & (ranges > _MOVES)]
    names = []
    for column in minor[np.argsort(-np.ptp(tied[:, minor], axis=0), kind="stable")]:
        for ratio in _ratios(tied[:, column], growth):
            excess = tied[:, column] - ratio * growth
            if np.abs(excess).max() <= _MOVES:  # it is tied already
                fixed.append(int(column))
                break
            exchange = _exchange(network, tied, used, np.array(fixed), int(column), excess, readings)
            if exchange is not None:
                tied -= excess[:, None] * exchange
                fixed.append(int(column))
                names.append(network.reactions[column])
                break
    return tied, tuple(names)


def _ratios(flux: np.ndarray, growth: np.ndarray) -> list[float]:
    """Ratios to growth that are tried: the best one, none at all, and the largest."""
    grows = growth > 1.0e-3 * growth.max()
    best = float(flux @ growth / (growth @ growth))
    every = flux[grows] / growth[grows]
    return [best, 0.0, float(every[np.argmax(np.abs(every))])]


def _exchange(
    network: Network,
    fluxes: np.ndarray,
    used: np.ndarray,
    fixed: np.ndarray,
    column: int,
    excess: np.ndarray,
    readings: np.ndarray,
) -> np.ndarray | None:
    """The cheapest balanced vector with one unit of a flux that can be taken off every label, excess by excess."""
    most = np.full(len(used), np.inf)
    least = np.full(len(used), -np.inf)
    above, below = excess > _MOVES, excess < -_MOVES
    for sign, one_way in ((1.0, network.lower[used] >= 0.0), (-1.0, network.upper[used] <= 0.0)):
        room = np.maximum(sign * fluxes[:, used[one_way]], 0.0)
        # what is taken off is excess times the exchange, and must not exceed what is there
        ends = [
            room[part] / np.abs(excess[part])[:, None] if part.any() else np.full((1, one_way.sum()), np.inf)
            for part in (above, below)
        ]
        highest, lowest = (ends[0].min(axis=0), -ends[1].min(axis=0))
        if sign > 0.0:
            most[one_way], least[one_way] = highest, lowest
        else:
            most[one_way], least[one_way] = -lowest, -highest
    held = np.isin(used, fixed)
    most[held] = least[held] = 0.0
    here = used == column
    most[here] = least[here] = 1.0
    stoichiometry = sp.csc_array(network.stoichiometry[:, used])
    split = sp.hstack([stoichiometry, -stoichiometry]).tocsc()
    bounds = np.column_stack(
        [
            np.concatenate([np.maximum(least, 0.0), np.maximum(-most, 0.0)]),
            np.concatenate([np.maximum(most, 0.0), np.maximum(-least, 0.0)]),
        ]
    )
    cost = np.tile(_LEAST_COST + readings[used], 2)
    found = linprog(cost, A_eq=split, b_eq=np.zeros(split.shape[0]), bounds=bounds, method="highs", options=_STRICT)
    if found.status != 0:
        return None
    exchange = found.x[: len(used)] - found.x[len(used) :]
    if np.max(np.abs(exchange) * readings[used]) * np.abs(excess).max() > _DISTURBS:
        return None
    whole = np.zeros(fluxes.shape[1])
    whole[used] = exchange
    whole[column] = 1.0
    return rebalanced(sp.csc_array(network.stoichiometry), whole, column)

"""Alternate optima of minor fluxes, fixed in proportion to growth.

A cell may take its traces of iron up by one transporter or by another, and which of the two differs between critical
regions. No reactor notices, but a surrogate would need modes and bends for it. Such a flux is therefore set proportional
to growth in the training fluxes, by adding a balanced exchange with its alternatives that keeps growth as it is and all
fluxes within their directions. The surrogate's error of such a flux is as large as its range, which is negligible.
"""

from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from mmopt.network.balance import rebalanced
from mmopt.network.network import Network

MINOR: Final = 0.02
"""A flux whose range over all points is smaller than this is minor [mmol/gDW/h]."""

_CONSTANT: Final = 1.0e-9
"""A flux whose range is smaller than this is constant [mmol/gDW/h]."""

_DISTURBANCE: Final = 1.0e-3
"""Largest change of any reading by an exchange, as a fraction of its range."""

_LEAST_COST: Final = 1.0e-4
"""Cost of a flux inside the cell in an exchange, beside one range of a weighted reading."""

_STRICT: Final = {"primal_feasibility_tolerance": 1.0e-10, "dual_feasibility_tolerance": 1.0e-10}
"""Options of HiGHS: traces are smaller than its usual tolerances."""


def fix_alternate_optima(
    network: Network, fluxes: np.ndarray, readings: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Set every minor irreversible flux proportional to growth, where its alternatives allow it.

    Parameters
    ----------
    network
        The network.
    fluxes
        Shape (points, reactions) [mmol/gDW/h].
    readings
        Weights of errors of growth, exchanges and maintenance, shape (reactions,); zero inside the cell.

    Returns
    -------
    fluxes, fixed
        Balanced fluxes within all directions, shape (points, reactions), and ids of the reactions that were changed.
    """
    result = np.array(fluxes)
    growth = result[:, network.column(network.biomass)]
    used = np.flatnonzero(np.any(result != 0.0, axis=0))
    kept = [network.column(network.biomass)]
    if network.maintenance is not None:
        kept.append(network.column(network.maintenance))
    ranges = np.ptp(result[:, used], axis=0)
    one_way = (network.lower[used] >= 0.0) | (network.upper[used] <= 0.0)
    minor = used[one_way & (ranges < MINOR) & (ranges > _CONSTANT)]
    names = []
    for column in minor[np.argsort(-np.ptp(result[:, minor], axis=0), kind="stable")]:
        for ratio in _ratios(result[:, column], growth):
            excess = result[:, column] - ratio * growth
            if np.abs(excess).max() <= _CONSTANT:  # it is proportional already
                kept.append(int(column))
                break
            exchange = _exchange(network, result, used, np.array(kept), int(column), excess, readings)
            if exchange is not None:
                result -= excess[:, None] * exchange
                kept.append(int(column))
                names.append(network.reactions[column])
                break
    return result, tuple(names)


def _ratios(flux: np.ndarray, growth: np.ndarray) -> list[float]:
    """Ratios to growth to try: the best one, none at all, and the largest."""
    grows = growth > 1.0e-3 * growth.max()
    best = float(flux @ growth / (growth @ growth))
    every = flux[grows] / growth[grows]
    return [best, 0.0, float(every[np.argmax(np.abs(every))])]


def _exchange(
    network: Network,
    fluxes: np.ndarray,
    used: np.ndarray,
    kept: np.ndarray,
    column: int,
    excess: np.ndarray,
    readings: np.ndarray,
) -> np.ndarray | None:
    """The cheapest balanced vector with one unit of a flux that can be subtracted from the fluxes, times their excess."""
    least, most = _room(network, fluxes[:, used], used, excess)
    held = np.isin(used, kept)
    most[held] = least[held] = 0.0
    own = used == column
    most[own] = least[own] = 1.0
    stoichiometry = sp.csc_array(network.stoichiometry[:, used])
    split = sp.hstack([stoichiometry, -stoichiometry]).tocsc()
    bounds = np.column_stack(
        [
            np.concatenate([np.maximum(least, 0.0), np.maximum(-most, 0.0)]),
            np.concatenate([np.maximum(most, 0.0), np.maximum(-least, 0.0)]),
        ]
    )
    cost = np.tile(_LEAST_COST + readings[used], 2)
    solution = linprog(cost, A_eq=split, b_eq=np.zeros(split.shape[0]), bounds=bounds, method="highs", options=_STRICT)
    if solution.status != 0:
        return None
    exchange = solution.x[: len(used)] - solution.x[len(used) :]
    if np.max(np.abs(exchange) * readings[used]) * np.abs(excess).max() > _DISTURBANCE:
        return None
    whole = np.zeros(fluxes.shape[1])
    whole[used] = exchange
    whole[column] = 1.0
    return rebalanced(sp.csc_array(network.stoichiometry), whole, column)


def _room(network: Network, fluxes: np.ndarray, used: np.ndarray, excess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest exchange of the used reactions with which no irreversible flux changes its direction."""
    least, most = np.full(len(used), -np.inf), np.full(len(used), np.inf)
    above, below = excess > _CONSTANT, excess < -_CONSTANT
    for sign, one_way in ((1.0, network.lower[used] >= 0.0), (-1.0, network.upper[used] <= 0.0)):
        room = np.maximum(sign * fluxes[:, one_way], 0.0)
        # excess times the exchange is subtracted, and must not exceed the flux
        highest, lowest = (
            (room[rows] / np.abs(excess[rows])[:, None]).min(axis=0) if rows.any() else np.full(one_way.sum(), np.inf)
            for rows in (above, below)
        )
        least[one_way], most[one_way] = (-lowest, highest) if sign > 0.0 else (-highest, lowest)
    return least, most

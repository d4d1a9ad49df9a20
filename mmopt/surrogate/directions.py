"""What keeps irreversible reactions from running backwards in a surrogate, whatever its weights.

Every balanced flux vector that a surrogate can make is a point of a space of some twenty dimensions, and the reactions
that must not run backwards cut a cone out of it. Few of them form its facets. For each of those there is a repair mode:
a balanced flux vector that runs the reaction forward by one, runs no irreversible reaction backwards, and disturbs
growth and the exchanges least. Of each mode a soft positive part of what is missing is added. So the facet fluxes come
out positive, with them all irreversible reactions, and S v = 0 stays true: non-negative weights on non-negative modes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from mmopt.errors import SurrogateError
from mmopt.metabolism.network import Network

_WIDTH: Final = 1.0e-3
"""Softness of a positive part, in parts of the range of its flux: what is added where the flux is zero is 0.7 of it."""

_MOVES: Final = 1.0e-9
"""A reaction whose flux moves less than this over all labels is not used [mmol/gDW/h]."""

_ALIKE: Final = 7
"""Decimals to which two directions of the space are one."""

_LEAST_COST: Final = 1.0e-4
"""Price of a flux inside the cell in a repair mode, beside one range of a reading that counts."""

_NEVER_SEEN: Final = 3.0
"""Price of a mmol of what the cell never exchanges in any label: a repair that lets it secrete lactate would be strange."""

_BALANCED: Final = 1.0e-9
"""Largest imbalance of a repair mode, relative to its largest flux."""


@dataclass(frozen=True, eq=False)
class Directions:
    """Facets of the cone of irreversible reactions, and their repair modes.

    Attributes
    ----------
    watched
        Columns of the reactions that form facets, shape (facets,).
    signs
        1 where a reaction must not run backwards, -1 where it must not run forwards, shape (facets,).
    widths
        Softness of each positive part [mmol/gDW/h], shape (facets,).
    repairs
        Balanced flux vectors, one for a mmol/gDW/h that a watched reaction lacks; shape (facets, reactions).
    """

    watched: np.ndarray
    signs: np.ndarray
    widths: np.ndarray
    repairs: np.ndarray

    def fits(self, reactions: int) -> bool:
        """Whether all parts belong together, for a network of so many reactions."""
        facets = self.watched.shape
        return (
            len(facets) == 1
            and self.signs.shape == self.widths.shape == facets
            and self.repairs.shape == (*facets, reactions)
            and bool(np.all((self.watched >= 0) & (self.watched < reactions)))
            and bool(np.all(self.widths > 0.0) and np.all(np.abs(self.signs) == 1.0))
        )

    def added(self, fluxes: np.ndarray) -> np.ndarray:
        """How much of each repair mode is added to fluxes of shape (..., reactions); shape (..., facets)."""
        missing = -self.signs * fluxes[..., self.watched] / self.widths
        added: np.ndarray = self.widths * np.logaddexp(0.0, missing)
        return added


def directions(
    network: Network, modes: np.ndarray, offset: np.ndarray, ranges: np.ndarray, free: np.ndarray, prices: np.ndarray
) -> Directions:
    """Find the facets and their repair modes.

    Parameters
    ----------
    network
        The network.
    modes, offset
        What the surrogate combines, shapes (modes, reactions) and (reactions,).
    ranges
        Range of every flux over the labels, shape (reactions,).
    free
        Columns of the inputs: their directions are for the limits to say.
    prices
        Price of a flux of every reaction in a repair mode, shape (reactions,), zero where it does not count.

    Raises
    ------
    SurrogateError
        If a reaction cannot run forward in any balanced state of the network.
    """
    used = np.flatnonzero((np.abs(modes).max(axis=0) * np.sqrt(len(modes)) > _MOVES) | (np.abs(offset) > _MOVES))
    used = np.setdiff1d(used, free)
    signed = [(j, 1.0) for j in used if network.lower[j] >= 0.0]
    signed += [(j, -1.0) for j in used if network.upper[j] <= 0.0 and network.lower[j] < 0.0]
    if not signed:
        return Directions(np.empty(0, dtype=int), np.empty(0), np.empty(0), np.empty((0, len(network.reactions))))
    columns, signs = np.array([j for j, _ in signed]), np.array([sign for _, sign in signed])
    facets = (signs * np.vstack([modes[:, columns], offset[columns]])).T
    lengths = np.linalg.norm(facets, axis=1)
    facets /= lengths[:, None]
    kept, group = _distinct(facets, ranges[columns])
    least = np.zeros((len(kept), len(network.reactions)))
    # fluxes that are proportional in the space must be so in the repair modes, which know more reactions
    least[group, columns] = signs * lengths / lengths[kept][group]
    watched = columns[kept]
    repairs = _repairs(network, watched, signs[kept], least, free, prices, np.union1d(used, free))
    return Directions(watched, signs[kept], _WIDTH * np.maximum(ranges[watched], _MOVES), repairs)


def _distinct(rows: np.ndarray, ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that differ, of equal ones that with the largest range; and which of these each row is equal to."""
    order = np.argsort(-ranges, kind="stable")
    _, first, group = np.unique(np.round(rows[order], _ALIKE) + 0.0, axis=0, return_index=True, return_inverse=True)
    of_row = np.empty(len(rows), dtype=int)
    of_row[order] = group.ravel()
    return order[first], of_row


def _repairs(
    network: Network,
    watched: np.ndarray,
    signs: np.ndarray,
    least: np.ndarray,
    free: np.ndarray,
    prices: np.ndarray,
    known: np.ndarray,
) -> np.ndarray:
    """The cheapest balanced flux vector in the cone that runs each watched reaction by one, and others at least so far."""
    reversible_input = np.zeros(len(network.reactions), dtype=bool)
    reversible_input[free] = True
    forward = np.flatnonzero((network.upper > 0.0) | reversible_input)
    backward = np.flatnonzero((network.lower < 0.0) | reversible_input)
    stoichiometry = sp.csc_array(network.stoichiometry)
    split = sp.hstack([stoichiometry[:, forward], -stoichiometry[:, backward]]).tocsc()
    never = np.zeros(len(network.reactions), dtype=bool)
    never[[network.column(name) for name in network.exchanges]] = True
    never[known] = False
    cost = (_LEAST_COST + prices + _NEVER_SEEN * never)[np.concatenate([forward, backward])]
    repairs = np.zeros((len(watched), len(network.reactions)))
    for row, (column, sign) in enumerate(zip(watched, signs, strict=True)):
        lowest = np.concatenate([np.maximum(least[row][forward], 0.0), np.maximum(-least[row][backward], 0.0)])
        bounds = np.column_stack([lowest, np.full(len(cost), np.inf)])
        found = linprog(cost, A_eq=split, b_eq=np.zeros(split.shape[0]), bounds=bounds, method="highs")
        if found.status != 0:
            raise SurrogateError(
                f"reaction '{network.reactions[column]}' cannot run in any balanced state of the network, so nothing can "
                "keep its direction; train with basis='linear'"
            )
        np.add.at(repairs[row], forward, found.x[: len(forward)])
        np.subtract.at(repairs[row], backward, found.x[len(forward) :])
        repairs[row] = rebalanced(stoichiometry, repairs[row], column, sign)
    return repairs


def rebalanced(stoichiometry: sp.csc_array, fluxes: np.ndarray, column: int, sign: float) -> np.ndarray:
    """Take the tolerance of the solver off a flux vector: exact balance on the reactions it uses, one of them held.

    Raises
    ------
    SurrogateError
        If its reactions cannot be balanced without one of them turning round.
    """
    used = np.flatnonzero(np.abs(fluxes) > 1.0e-9)
    part = stoichiometry[:, used].toarray()
    part = part[np.any(part != 0.0, axis=1)]
    fixed = used == column
    solved = fluxes[used].copy()
    scale = np.abs(solved[~fixed])
    solved[fixed] = sign
    change = np.linalg.lstsq(part[:, ~fixed] * scale, -part @ solved, rcond=None)[0]
    solved[~fixed] += scale * change
    if np.abs(part @ solved).max() > _BALANCED * np.abs(solved).max() or np.any(solved * fluxes[used] < 0.0):
        raise SurrogateError("a flux mode could not be balanced to rounding; train with basis='linear'")
    cleaned = np.zeros_like(fluxes)
    cleaned[used] = solved
    return cleaned

"""Directions of reactions that can carry flux; blocked ones are left out of every program.

Only the signs of bounds count: what is blocked here is blocked at every limit. Three exact steps. Dead ends: metabolites
that no reaction produces, or none consumes. Irreversible reactions: one linear program runs all of them that can run,
because feasible fluxes add up. Reversible reactions: since all remaining irreversible reactions can run at once, the
feasible fluxes span the whole null space, and a reversible reaction is blocked exactly where that space is zero.
"""

from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from mmopt.solvers.highs import maximise

_RUNS: Final = 0.5
"""The program limits every rewarded flux to 1 and scales freely: reactions that can run reach 1, all others 0."""

_SPAN_ZERO: Final = 1.0e-12
"""Entries of a random vector of the null space below this are zero; on the packaged networks those of blocked reactions are
below 6e-15, and those of reactions that run above 9e-7."""

_SCALINGS: Final = 4
"""Rounds of scaling rows and columns; further ones change little."""


def running_directions(
    stoichiometry: sp.csc_array, forward: np.ndarray, reverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute which directions can carry flux.

    Parameters
    ----------
    stoichiometry
        S, shape (metabolites, reactions).
    forward, reverse
        Whether the bounds allow the direction, shape (reactions,).

    Returns
    -------
    forward, reverse
        Whether some flux with S v = 0 uses it, shape (reactions,). Both directions of a reversible reaction count as used if
        it can run at all.

    Notes
    -----
    Where the linear program has no solution, all irreversible reactions count as running: a blocked reaction more in a flux
    program changes none of its fluxes.

    Examples
    --------
    >>> chain = sp.csc_array(np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]))  # -> a ->, and b that no reaction consumes
    >>> running_directions(chain, np.full(3, True), np.full(3, False))[0]
    array([ True,  True, False])
    """
    forward, reverse = _without_dead_ends(stoichiometry, forward, reverse)
    if not np.any(forward | reverse):
        return forward, reverse
    scaled = _scaled(stoichiometry)
    forward, reverse = _without_idle_irreversible(scaled, forward, reverse)
    spanned = _spanned(scaled, forward | reverse)
    return forward & spanned, reverse & spanned


def _without_dead_ends(
    stoichiometry: sp.csc_array, forward: np.ndarray, reverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    produces, consumes = sp.csr_array(stoichiometry > 0.0, dtype=float), sp.csr_array(stoichiometry < 0.0, dtype=float)
    while True:
        alone = ((produces + consumes) @ (forward | reverse).astype(float)) < 2
        unproduced = (produces @ forward + consumes @ reverse == 0.0) | alone
        unconsumed = (consumes @ forward + produces @ reverse == 0.0) | alone
        kept_forward = forward & ~(consumes.T @ unproduced + produces.T @ unconsumed > 0.0)
        kept_reverse = reverse & ~(produces.T @ unproduced + consumes.T @ unconsumed > 0.0)
        if np.array_equal(kept_forward, forward) and np.array_equal(kept_reverse, reverse):
            return forward, reverse
        forward, reverse = kept_forward, kept_reverse


def _without_idle_irreversible(
    stoichiometry: sp.csc_array, forward: np.ndarray, reverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    one_way = np.flatnonzero(forward ^ reverse)
    sign = np.where(forward[one_way], 1.0, -1.0)
    counted = stoichiometry[:, one_way] @ sp.diags_array(sign)  # the first unit of every flux, which is rewarded
    values, status = maximise(
        sp.csc_array(sp.hstack([stoichiometry, counted])),
        np.concatenate([np.zeros(len(forward)), np.ones(len(one_way))]),
        np.concatenate([np.where(reverse, -np.inf, 0.0), np.zeros(len(one_way))]),
        np.concatenate([np.where(forward, np.inf, 0.0), np.ones(len(one_way))]),
    )
    if not status.solved:
        return forward, reverse
    idle = one_way[values[len(forward) :] < _RUNS]
    forward, reverse = forward.copy(), reverse.copy()
    forward[idle], reverse[idle] = False, False
    return forward, reverse


def _scaled(stoichiometry: sp.csc_array) -> sp.csc_array:
    """Scale rows and fluxes to entries near 1, by powers of two: signs of fluxes stay, and tiny ones are no rounding."""
    entries = sp.coo_array(stoichiometry)
    size = np.log2(np.maximum(np.abs(entries.data), np.finfo(float).tiny))
    by_row, by_column = np.zeros(stoichiometry.shape[0]), np.zeros(stoichiometry.shape[1])
    for _ in range(_SCALINGS):
        for factor, index in ((by_row, entries.row), (by_column, entries.col)):
            rest = np.bincount(index, size + by_row[entries.row] + by_column[entries.col], len(factor))
            factor -= rest / np.maximum(np.bincount(index, minlength=len(factor)), 1)
    left, right = (sp.diags_array(2.0 ** np.round(factor)) for factor in (by_row, by_column))
    return sp.csc_array(left @ stoichiometry @ right)


def _spanned(stoichiometry: sp.csc_array, kept: np.ndarray) -> np.ndarray:
    """Where a random vector, projected onto the null space of the kept columns, is not zero."""
    running = sp.csc_array(stoichiometry[:, np.flatnonzero(kept)])
    rows, columns = running.shape
    # a dependent row would make this system singular; so small a number changes no digit that counts
    saddle = sp.block_array(
        [[sp.eye_array(columns), running.T], [running, -1.0e-10 * sp.eye_array(rows)]], format="csc"
    )
    start = np.concatenate([np.random.default_rng(0).uniform(0.5, 1.0, columns), np.zeros(rows)])
    factors = splu(saddle)
    projected = factors.solve(start)[:columns]
    projected = factors.solve(np.concatenate([projected, np.zeros(rows)]))[
        :columns
    ]  # once more: rounding is not spanned
    spanned = np.zeros(len(kept), dtype=bool)
    spanned[np.flatnonzero(kept)] = np.abs(projected) > _SPAN_ZERO
    return spanned

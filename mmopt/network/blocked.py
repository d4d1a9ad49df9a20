"""Which directions of which reactions can carry flux at all, so that nothing is solved that cannot.

Bounds count by their signs alone: what is blocked here is blocked at every limit. Three steps, each exact. Dead ends: a
metabolite that nothing can make, or nothing can use. Irreversible reactions: one linear program runs all of them that can
run, because feasible fluxes add up. Reversible ones: since the irreversible that are left can all run at once, the
feasible fluxes span the whole null space, and a reversible reaction is blocked just where that space is zero.
"""

from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from mmopt.errors import SolverError
from mmopt.solvers.highs import maximise

_RUNS: Final = 0.5
"""The program lets each reaction run at up to 1, and scales freely: those that can run do at 1, the others at 0."""

_SPAN_ZERO: Final = 1.0e-8
"""Parts of a random vector of the null space below this are zero; on the packaged networks they are below 4e-10, and those
of reactions that run above 9e-7."""


def running_directions(
    stoichiometry: sp.csc_array, forward: np.ndarray, reverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Directions that can carry flux.

    Parameters
    ----------
    stoichiometry
        S, shape (metabolites, reactions).
    forward, reverse
        Which directions the bounds allow, shape (reactions,).

    Returns
    -------
    forward, reverse
        Which of them some flux with S v = 0 uses. Of a reversible reaction both are kept if it can run at all.

    Examples
    --------
    >>> chain = sp.csc_array(np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]))  # -> a ->, and b that nothing uses
    >>> running_directions(chain, np.full(3, True), np.full(3, False))[0]
    array([ True,  True, False])
    """
    forward, reverse = _without_dead_ends(stoichiometry, forward, reverse)
    if not np.any(forward | reverse):
        return forward, reverse
    forward, reverse = _without_idle_irreversible(stoichiometry, forward, reverse)
    spanned = _spanned(stoichiometry, forward | reverse)
    return forward & spanned, reverse & spanned


def _without_dead_ends(
    stoichiometry: sp.csc_array, forward: np.ndarray, reverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    makes, takes = sp.csr_array(stoichiometry > 0.0, dtype=float), sp.csr_array(stoichiometry < 0.0, dtype=float)
    while True:
        alone = ((makes + takes) @ (forward | reverse).astype(float)) < 2
        never_made = (makes @ forward + takes @ reverse == 0.0) | alone
        never_used = (takes @ forward + makes @ reverse == 0.0) | alone
        kept_forward = forward & ~(takes.T @ never_made + makes.T @ never_used > 0.0)
        kept_reverse = reverse & ~(makes.T @ never_made + takes.T @ never_used > 0.0)
        if np.array_equal(kept_forward, forward) and np.array_equal(kept_reverse, reverse):
            return forward, reverse
        forward, reverse = kept_forward, kept_reverse


def _without_idle_irreversible(
    stoichiometry: sp.csc_array, forward: np.ndarray, reverse: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    one_way = np.flatnonzero(forward ^ reverse)
    sign = np.where(forward[one_way], 1.0, -1.0)
    counted = stoichiometry[:, one_way] @ sp.diags_array(sign)  # the first unit of each, which is rewarded
    values, status = maximise(
        sp.csc_array(sp.hstack([stoichiometry, counted])),
        np.concatenate([np.zeros(len(forward)), np.ones(len(one_way))]),
        np.concatenate([np.where(reverse, -np.inf, 0.0), np.zeros(len(one_way))]),
        np.concatenate([np.where(forward, np.inf, 0.0), np.ones(len(one_way))]),
    )
    if not status.solved:
        raise SolverError(f"the search for blocked reactions ended with: {status.value}")
    idle = one_way[values[len(forward) :] < _RUNS]
    forward, reverse = forward.copy(), reverse.copy()
    forward[idle], reverse[idle] = False, False
    return forward, reverse


def _spanned(stoichiometry: sp.csc_array, kept: np.ndarray) -> np.ndarray:
    """Where a random vector, projected onto the null space of the kept columns, is not zero."""
    part = sp.csc_array(stoichiometry[:, np.flatnonzero(kept)])
    rows, columns = part.shape
    # a dependent row would make this system singular; so small a number decides no digit that is looked at
    saddle = sp.block_array([[sp.eye_array(columns), part.T], [part, -1.0e-10 * sp.eye_array(rows)]], format="csc")
    start = np.concatenate([np.random.default_rng(0).uniform(0.5, 1.0, columns), np.zeros(rows)])
    projected = splu(saddle).solve(start)[:columns]
    spanned = np.zeros(len(kept), dtype=bool)
    spanned[np.flatnonzero(kept)] = np.abs(projected) > _SPAN_ZERO
    return spanned

"""Flux vectors that balance to rounding: a solver's tolerance is removed from them."""

import numpy as np
import scipy.sparse as sp

BALANCED = 1.0e-9
"""Largest imbalance of a balanced flux vector, relative to its largest flux."""


def rebalanced(stoichiometry: sp.csc_array, fluxes: np.ndarray, held: int, floor: float = 1.0e-10) -> np.ndarray | None:
    """Balance a flux vector to rounding on the reactions it uses; every flux changes in proportion to itself.

    Parameters
    ----------
    stoichiometry
        S, shape (metabolites, reactions).
    fluxes
        Balanced within a solver's tolerance, shape (reactions,).
    held
        Column of a flux that is not changed.
    floor
        Fluxes below this are zero.

    Returns
    -------
    ndarray or None
        The fluxes, shape (reactions,); None if a reaction would have to change its direction.

    Examples
    --------
    >>> chain = sp.csc_array(np.array([[1.0, -1.0]]))
    >>> rebalanced(chain, np.array([1.0, 1.0 + 1.0e-8]), held=0)
    array([1., 1.])
    """
    used = np.flatnonzero(np.abs(fluxes) > floor)
    balances = stoichiometry[:, used].toarray()
    balances = balances[np.any(balances != 0.0, axis=1)]
    free, solved = used != held, fluxes[used].copy()
    scale = np.abs(solved[free])
    solved[free] += scale * np.linalg.lstsq(balances[:, free] * scale, -balances @ solved, rcond=None)[0]
    if np.abs(balances @ solved).max() > BALANCED * np.abs(solved).max() or np.any(solved * fluxes[used] < 0.0):
        return None
    cleaned = np.zeros_like(fluxes)
    cleaned[used] = solved
    return cleaned

"""Flux vectors that balance to rounding: what is left of a solver's tolerance is taken off."""

import numpy as np
import scipy.sparse as sp

BALANCED = 1.0e-9
"""Largest imbalance of a balanced flux vector, relative to its largest flux."""


def rebalanced(stoichiometry: sp.csc_array, fluxes: np.ndarray, held: int, floor: float = 1.0e-10) -> np.ndarray | None:
    """Balance a flux vector exactly on the reactions it uses, each changed in proportion to its flux.

    Parameters
    ----------
    stoichiometry
        S, shape (metabolites, reactions).
    fluxes
        Balanced within a solver's tolerance, shape (reactions,).
    held
        Column of a flux that stays as it is.
    floor
        Fluxes below this are zero.

    Returns
    -------
    ndarray or None
        None where that cannot be done without turning a reaction round.
    """
    used = np.flatnonzero(np.abs(fluxes) > floor)
    part = stoichiometry[:, used].toarray()
    part = part[np.any(part != 0.0, axis=1)]
    free, solved = used != held, fluxes[used].copy()
    scale = np.abs(solved[free])
    solved[free] += scale * np.linalg.lstsq(part[:, free] * scale, -part @ solved, rcond=None)[0]
    if np.abs(part @ solved).max() > BALANCED * np.abs(solved).max() or np.any(solved * fluxes[used] < 0.0):
        return None
    cleaned = np.zeros_like(fluxes)
    cleaned[used] = solved
    return cleaned

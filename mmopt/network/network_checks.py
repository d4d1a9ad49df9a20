"""Checks of the arguments a network is built from, and which bounds mean that there is none."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from mmopt.checking import shown
from mmopt.errors import NetworkError, nearest

LARGE: Final = 1.0e3
"""Flux bounds at or beyond this are the field's way to write 'no bound' [mmol/gDW/h]."""

_USUAL: Final = 0.25
"""Share of the bounds from which on a large size counts as a way to write 'no bound', beside the largest."""

_SAME: Final = 1.0e-6
"""Relative difference up to which two optima are the same."""

_PRICE: Final = 1.0e-9
"""Dual price of a bound that holds growth, at the least."""


def check_network(network: Any) -> None:
    """Check the arguments of a network.

    Parameters
    ----------
    network
        A `Network`.

    Raises
    ------
    NetworkError
        Naming the first wrong argument, its value and what to do.
    """
    if not isinstance(network.name, str):
        raise NetworkError(f"name is {shown(network.name)}; give a text")
    for argument in ("metabolites", "reactions", "exchanges", "genes"):
        _check_ids(argument, getattr(network, argument))
    _check_stoichiometry(network)
    for argument in ("lower", "upper"):
        bounds = getattr(network, argument)
        if not _is_numeric(bounds) or bounds.shape != (len(network.reactions),):
            raise NetworkError(f"{argument} is {shown(bounds)}; give an array of {len(network.reactions)} numbers")
    check_bounds(network.reactions, network.lower, network.upper)
    _check_known("biomass", [network.biomass], network.reactions)
    _check_known("maintenance", [] if network.maintenance is None else [network.maintenance], network.reactions)
    _check_known("exchanges", network.exchanges, network.reactions)
    if not isinstance(network.notes, tuple) or not all(isinstance(note, str) for note in network.notes):
        raise NetworkError(f"notes is {shown(network.notes)}; give a tuple of texts")
    _check_known("merged", getattr(network.merged, "values", tuple)(), network.exchanges)
    for argument in ("carbon", "rules", "merged"):
        if not isinstance(getattr(network, argument), Mapping):
            raise NetworkError(f"{argument} is {shown(getattr(network, argument))}; give a mapping by reaction id")


def _check_ids(argument: str, ids: Any) -> None:
    if not isinstance(ids, tuple) or not all(isinstance(name, str) and name for name in ids):
        raise NetworkError(f"{argument} is {shown(ids)}; give a tuple of ids")
    if len(set(ids)) < len(ids):
        twice = next(name for position, name in enumerate(ids) if name in ids[:position])
        raise NetworkError(f"{argument} names '{twice}' twice; give every id once")


def _check_known(argument: str, names: Iterable[str], reactions: Sequence[str]) -> None:
    known = set(reactions)
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise NetworkError(f"{argument}: there is no reaction {shown(name)}; {nearest(name, reactions)}")


def _check_stoichiometry(network: Any) -> None:
    matrix, shape = network.stoichiometry, (len(network.metabolites), len(network.reactions))
    if not isinstance(matrix, sp.csc_array):
        raise NetworkError(f"stoichiometry is {shown(matrix)}; give a scipy.sparse.csc_array")
    if matrix.shape != shape:
        raise NetworkError(f"stoichiometry has shape {matrix.shape}; give one row per metabolite, {shape}")
    if not _is_numeric(matrix.data) or not np.isfinite(matrix.data).all():
        raise NetworkError("stoichiometry holds what is not a finite number; correct it")


def _is_numeric(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind in "fiu"


def check_bounds(reactions: Sequence[str], lower: np.ndarray, upper: np.ndarray) -> None:
    """Check that some flux keeps the bounds of every reaction.

    Parameters
    ----------
    reactions
        Ids of the reactions.
    lower, upper
        Their bounds [mmol/gDW/h], shape (reactions,).

    Raises
    ------
    NetworkError
        Naming the first reaction whose bounds no flux can keep.

    Examples
    --------
    >>> check_bounds(["PFK"], np.array([2.0]), np.array([1.0]))
    Traceback (most recent call last):
    mmopt.errors.NetworkError: reaction 'PFK' has lower bound 2 above upper bound 1; correct them
    """
    kept = (lower <= upper) & (lower < np.inf) & (upper > -np.inf)  # NaN is not kept
    for column in np.flatnonzero(~kept).tolist():
        reaction, low, high = reactions[column], float(lower[column]), float(upper[column])
        if np.isnan(low) or np.isnan(high):
            raise NetworkError(f"reaction '{reaction}' has a bound that is not a number; correct it")
        if low > high:
            raise NetworkError(
                f"reaction '{reaction}' has lower bound {low:g} above upper bound {high:g}; correct them"
            )
        if low == np.inf or high == -np.inf:
            raise NetworkError(
                f"reaction '{reaction}' has bounds {low:g} and {high:g}, which no flux keeps; correct them"
            )


def unbounded_to_infinite(bounds: np.ndarray) -> np.ndarray:
    """Write 'no bound' as infinity, whichever number it was written as.

    Parameters
    ----------
    bounds
        Bounds [mmol/gDW/h].

    Returns
    -------
    ndarray
        The same bounds, those from 1000 on infinite.

    Examples
    --------
    >>> unbounded_to_infinite(np.array([-1000.0, 10.0]))
    array([-inf,  10.])
    """
    return np.where(np.abs(bounds) >= LARGE, np.copysign(np.inf, bounds), bounds)


def open_bounds(lower: np.ndarray, upper: np.ndarray, least: float = LARGE) -> tuple[np.ndarray, np.ndarray]:
    """Write 'no bound' as infinity on the side that it opens; a demand is never without bound.

    Parameters
    ----------
    lower, upper
        Bounds [mmol/gDW/h], shape (reactions,).
    least
        Size from which on a bound means that there is none.

    Returns
    -------
    lower, upper
        The same bounds, lower ones from -least down and upper ones from least up infinite.

    Examples
    --------
    >>> open_bounds(np.array([-1000.0, 2000.0]), np.array([10.0, 5000.0]))
    (array([ -inf, 2000.]), array([10., inf]))
    """
    return np.where(lower <= -least, -np.inf, lower), np.where(upper >= least, np.inf, upper)


def bounds_meant(
    stoichiometry: sp.csc_array, lower: np.ndarray, upper: np.ndarray, gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Open the bounds that a source writes for 'no bound', unless growth depends on one of them.

    A size from 1000 up means 'no bound' where it is the largest of the source, or is written for a quarter of all bounds.
    Where growth is finite with all bounds as they are written, it must be the same without those: otherwise they are meant.

    Parameters
    ----------
    stoichiometry
        S, shape (metabolites, reactions).
    lower, upper
        Bounds as they are written [mmol/gDW/h], shape (reactions,).
    gain
        What the cell maximises, shape (reactions,).

    Returns
    -------
    lower, upper, meant
        The bounds; and the size that does not mean 'no bound', None where all such sizes do.
    """
    sizes, counts = np.unique(np.abs(np.concatenate([lower, upper])), return_counts=True)
    most = float(sizes[-1]) if len(sizes) else 0.0
    usual = sizes[(sizes >= LARGE) & (counts >= _USUAL * counts[sizes > 0.0].sum())]
    if most < LARGE:
        return lower, upper, None
    least = [float(min(usual)), most] if len(usual) and min(usual) < most else [most]
    written, binding = _highest(stoichiometry, lower, upper, gain)
    for size in least:
        opened = open_bounds(lower, upper, size)
        if written is None or not np.any(binding & ((opened[0] != lower) | (opened[1] != upper))):
            return *opened, None
        highest, _ = _highest(stoichiometry, *opened, gain)
        if highest is not None and abs(highest - written) <= _SAME * max(1.0, abs(written)):
            return *opened, None
        if highest is not None:  # finite, and another
            return lower, upper, size
    return *opened, None  # growth is unbounded without them: the medium is open


def _highest(
    stoichiometry: sp.csc_array, lower: np.ndarray, upper: np.ndarray, gain: np.ndarray
) -> tuple[float | None, np.ndarray]:
    """Highest gain, None if there is none, and whether a bound of a flux holds it."""
    from scipy.optimize import linprog

    with np.errstate(all="ignore"):
        solved = linprog(
            -gain,
            A_eq=stoichiometry,
            b_eq=np.zeros(stoichiometry.shape[0]),
            bounds=np.column_stack([lower, upper]),
            method="highs",
        )
    if solved.status != 0:
        return None, np.zeros(len(gain), dtype=bool)
    return -float(solved.fun), np.abs(solved.lower.marginals) + np.abs(solved.upper.marginals) > _PRICE

"""Checks of the arguments a network is built from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

from mmopt.checking import shown
from mmopt.errors import NetworkError, nearest

_UNBOUNDED: Final = 1.0e3
"""Flux bounds at or beyond this are the field's way to write 'no bound' [mmol/gDW/h]."""


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
    for argument in ("carbon", "rules"):
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
    return np.where(np.abs(bounds) >= _UNBOUNDED, np.copysign(np.inf, bounds), bounds)

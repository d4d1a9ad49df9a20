"""Uptake limits as arrays in the order of a domain, from arrays or from mappings by exchange id."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmopt.errors import DomainError, nearest
from mmopt.fba.domain import Domain

Limits = Mapping[str, float] | Sequence[float] | np.ndarray
"""Uptake limits [mmol/gDW/h]: by exchange id, or as an array in the order of the inputs."""


def limit_points(domain: Domain, limits: Limits) -> np.ndarray:
    """Return uptake limits inside a domain as an array in the order of its inputs.

    Parameters
    ----------
    domain
        The box of uptake limits.
    limits
        Uptake limits [mmol/gDW/h]: a mapping of exchange ids to numbers (or to arrays of one length), or an array of shape
        (inputs,) or (points, inputs).

    Returns
    -------
    ndarray
        Shape (inputs,) or (points, inputs).

    Raises
    ------
    DomainError
        If an exchange is unknown or missing, a value is no finite number, the shape does not fit, or a point lies outside.

    Examples
    --------
    >>> domain = Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)})
    >>> limit_points(domain, {"EX_o2_e": 15.0, "EX_glc__D_e": 10.0}).tolist()
    [10.0, 15.0]
    """
    if isinstance(limits, Mapping):
        _check_names(domain, limits)
    try:
        points = np.asarray(_columns(domain, limits) if isinstance(limits, Mapping) else limits)
    except (TypeError, ValueError) as error:
        raise DomainError(f"limits hold arrays of unequal length: {limits!r:.80}") from error
    if points.dtype.kind not in "iuf":
        raise DomainError(f"limits hold a value that is no number: {limits!r:.80}")
    points = points.astype(float)
    width = len(domain.inputs)
    if points.ndim not in (1, 2) or points.shape[-1] != width:
        raise DomainError(
            f"limits of shape {points.shape} do not fit the inputs {', '.join(domain.inputs)}; give ({width},), "
            f"(points, {width}) or a mapping by exchange id"
        )
    domain.check(points)
    return points


def limit_values(domain: Domain, limits: Mapping[str, float]) -> np.ndarray:
    """Return uptake limits in the order of a domain's inputs, whether or not they lie inside.

    Parameters
    ----------
    domain
        The box of uptake limits.
    limits
        Uptake limits by exchange id [mmol/gDW/h].

    Returns
    -------
    ndarray
        Shape (inputs,).

    Raises
    ------
    DomainError
        If an exchange is unknown or missing, or a value is no number.
    """
    if not isinstance(limits, Mapping):
        raise DomainError(f"limits are {limits!r:.80}; give a mapping from exchange ids to numbers")
    _check_names(domain, limits)
    try:
        return np.array([limits[name] for name in domain.inputs], dtype=float)
    except (TypeError, ValueError) as error:
        raise DomainError(f"limits hold a value that is no number: {limits!r:.80}") from error


def _check_names(domain: Domain, limits: Mapping[str, float]) -> None:
    unknown = [name for name in limits if name not in domain.inputs]
    if unknown:
        raise DomainError(f"limits name the unknown input '{unknown[0]}'; {nearest(str(unknown[0]), domain.inputs)}")
    missing = [name for name in domain.inputs if name not in limits]
    if missing:
        raise DomainError(f"limits lack {', '.join(missing)}; give one uptake limit for every input")


def _columns(domain: Domain, limits: Mapping[str, float]) -> np.ndarray:
    return np.stack([np.asarray(limits[name]) for name in domain.inputs], axis=-1)


def scaled(domain: Domain, limits: np.ndarray) -> np.ndarray:
    """Return limits as fractions of their ranges, and a one.

    Parameters
    ----------
    domain
        The box of inputs.
    limits
        Shape (..., inputs).

    Returns
    -------
    ndarray
        Shape (..., inputs + 1).
    """
    fractions = (limits - domain.lower) / (domain.upper - domain.lower)
    return np.concatenate([fractions, np.ones((*fractions.shape[:-1], 1))], axis=-1)


def planes_of(domain: Domain, slopes: np.ndarray, constants: np.ndarray) -> np.ndarray:
    """Return planes for scaled inputs and a one.

    Parameters
    ----------
    domain
        The box of inputs.
    slopes
        Slopes for inputs, shape (planes, inputs).
    constants
        Shape (planes,).

    Returns
    -------
    ndarray
        Shape (planes, inputs + 1).
    """
    return np.column_stack([slopes * (domain.upper - domain.lower), constants + slopes @ domain.lower])


def unscaled(domain: Domain, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients of limits and constants, from those of fractions and a one.

    Parameters
    ----------
    domain
        The box of inputs.
    coefficients
        Shape (regions, inputs + 1) or (regions, inputs + 1, readings).

    Returns
    -------
    slopes, constants
        Without the last entry of the second axis, and without that axis.
    """
    ranges = (domain.upper - domain.lower).reshape(-1, *[1] * (coefficients.ndim - 2))
    slopes = coefficients[:, :-1] / ranges
    return slopes, coefficients[:, -1] - np.tensordot(slopes, domain.lower, axes=(1, 0))

"""Inputs of the flux program: the box in which they vary, and the checks of their values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from mmopt.checking import as_float, shown
from mmopt.errors import DomainError, MmoptError, StudyError
from mmopt.io.facts import facts_table, facts_text

_PAIR, _POINT_SET = 2, 2
_LISTED = 4
"""Inputs in a ``repr``."""


@dataclass(frozen=True, repr=False)
class Domain:
    """The named box of uptake limits in which fluxes are tabulated and a surrogate is valid.

    Parameters
    ----------
    limits
        Lowest and highest uptake limit by exchange id [mmol/gDW/h].

    Raises
    ------
    DomainError
        If a name is no text, or a range is no pair of numbers, empty, negative or not finite.

    Examples
    --------
    >>> domain = Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)})
    >>> domain
    Domain({'EX_glc__D_e': (0.0, 12.0), 'EX_o2_e': (0.0, 16.0)})
    >>> domain.inputs, domain.upper.tolist()
    (('EX_glc__D_e', 'EX_o2_e'), [12.0, 16.0])
    """

    limits: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        if not isinstance(self.limits, Mapping):
            raise DomainError(f"limits is {shown(self.limits)}; give a mapping of exchange ids to (lowest, highest)")
        if not self.limits:
            raise DomainError("a domain needs at least one uptake limit")
        ranges = {exchange: _checked_range(exchange, limits) for exchange, limits in self.limits.items()}
        object.__setattr__(self, "limits", MappingProxyType(ranges))

    def __reduce__(self) -> tuple[type["Domain"], tuple[dict[str, tuple[float, float]]]]:
        """Pickle a plain mapping; the read-only view of it cannot be pickled."""
        return Domain, (dict(self.limits),)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchange ids, in order."""
        return tuple(self.limits)

    @property
    def lower(self) -> np.ndarray:
        """Lowest limits [mmol/gDW/h], shape (inputs,)."""
        return np.array([low for low, _ in self.limits.values()])

    @property
    def upper(self) -> np.ndarray:
        """Highest limits [mmol/gDW/h], shape (inputs,)."""
        return np.array([high for _, high in self.limits.values()])

    def check(self, points: np.ndarray, below: float = 1.0e-9, above: float = 1.0e-9) -> None:
        """Refuse points outside the box.

        Parameters
        ----------
        points
            Inputs [mmol/gDW/h], shape (inputs,) or (points, inputs).
        below, above
            Fractions of each range by which a point may lie below and above it.

        Raises
        ------
        DomainError
            If a point lies outside; the message names the input, its value and the range.

        Examples
        --------
        >>> domain = Domain({"EX_glc__D_e": (0.0, 12.0)})
        >>> domain.check(np.array([[10.0]]))
        >>> domain.check(np.array([[14.2]]))
        Traceback (most recent call last):
        mmopt.errors.DomainError: uptake limit 14.2 mmol/gDW/h of EX_glc__D_e is outside the trained domain [0, 12]; ...
        """
        width = self.upper - self.lower
        outside = ~((points >= self.lower - below * width) & (points <= self.upper + above * width))
        if np.any(outside):
            position = tuple(np.argwhere(np.atleast_2d(outside))[0])
            value, name = np.atleast_2d(points)[position], self.inputs[position[1]]
            low, high = self.limits[name]
            raise DomainError(
                f"uptake limit {value:g} mmol/gDW/h of {name} is outside the trained domain [{low:g}, {high:g}]; "
                "retrain with a wider Domain, or lower the largest uptake rate"
            )

    def __repr__(self) -> str:
        listed = [f"{name!r}: {limits}" for name, limits in list(self.limits.items())[:_LISTED]]
        more = [f"... {len(self.limits)} inputs"] if len(self.limits) > _LISTED else []
        return f"Domain({{{', '.join([*listed, *more])}}})"

    def __str__(self) -> str:
        return facts_text(self._facts())

    def _repr_html_(self) -> str:
        """Table for a notebook."""
        return facts_table(self._facts())

    def _facts(self) -> dict[str, str]:
        return {name: f"{low:g} to {high:g} mmol/gDW/h" for name, (low, high) in self.limits.items()}


def _checked_range(exchange: Any, limits: Any) -> tuple[float, float]:
    if not isinstance(exchange, str) or not exchange.strip():
        raise DomainError(f"an input of the domain is {shown(exchange)}; give an exchange id as a text")
    if not isinstance(limits, Sequence | np.ndarray) or isinstance(limits, str) or len(limits) != _PAIR:
        raise DomainError(f"the range of {exchange} is {shown(limits)}; give a pair (lowest, highest) [mmol/gDW/h]")
    low, high = map(as_float, limits)
    if not 0.0 <= low < high < np.inf:
        values = ", ".join(
            f"{as_float(limit):g}" if isinstance(limit, int | float) else shown(limit) for limit in limits
        )
        raise DomainError(
            f"the range of {exchange} is [{values}] mmol/gDW/h; give 0 <= lowest < highest, both finite numbers"
        )
    return low, high


def checked_inputs(inputs: Sequence[str], limits: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return one number from 0 up for each input, or raise an error.

    Parameters
    ----------
    inputs
        Names of the inputs.
    limits
        Their values [mmol/gDW/h].

    Returns
    -------
    ndarray
        Shape (inputs,).

    Raises
    ------
    DomainError
        If a value is missing, negative or no number; the message names the input.
    """
    values = _floats(limits)
    if values is None:
        raise DomainError(f"limits is {shown(limits)}; give {len(inputs)} numbers ({', '.join(inputs)})")
    if values.shape != (len(inputs),):
        raise DomainError(f"{len(inputs)} inputs are needed ({', '.join(inputs)}), {values.size} were given")
    for name, value, given in zip(inputs, values, limits, strict=True):
        if not value >= 0.0:
            text = f"{value:g}" if isinstance(given, float | int) else shown(given)
            raise DomainError(f"limit of {name} is {text} mmol/gDW/h; give a number from 0 up")
    return values


def _floats(values: Any) -> np.ndarray | None:
    """Values as floats, NaN where one is no number; None if they are no list."""
    if isinstance(values, np.ndarray) and values.dtype == float:
        return values
    listed = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
    return np.array([as_float(value) for value in values]) if listed else None


def checked_points(inputs: Sequence[str], points: np.ndarray) -> np.ndarray:
    """Return points of shape (points, inputs), each with a number from 0 up for each input, or raise an error.

    Parameters
    ----------
    inputs
        Names of the inputs.
    points
        Their values at all points [mmol/gDW/h].

    Returns
    -------
    ndarray
        The points as floats.

    Raises
    ------
    DomainError
        If an input is missing, negative or no number.
    """
    try:
        points = np.asarray(points, dtype=float)
    except (TypeError, ValueError) as error:
        raise DomainError(
            f"points is {shown(points)}; give an array of numbers of shape (points, {len(inputs)})"
        ) from error
    if points.ndim != _POINT_SET:
        raise DomainError(f"points have shape {points.shape}; give one row a point: (points, {len(inputs)})")
    if points.shape[1] != len(inputs) or not np.all(points >= 0.0):
        for point in points:
            checked_inputs(inputs, point)
    return points


def checked_fraction(name: str, value: Any) -> float:
    """Return a fraction above 0 and up to 1, or raise an error.

    Parameters
    ----------
    name
        Name of the argument, for the message.
    value
        What was given.

    Returns
    -------
    float
        The fraction.

    Raises
    ------
    DomainError
        If it is no number, or lies outside (0, 1].
    """
    fraction = as_float(value)
    if not 0.0 < fraction <= 1.0:
        raise DomainError(f"{name} is {shown(value)}; give a fraction above 0 up to 1")
    return fraction


def checked_count(name: str, value: Any, least: int = 0, error: type[MmoptError] = StudyError) -> int:
    """Return a whole number, or raise an error.

    Parameters
    ----------
    name
        Name of the argument, for the message.
    value
        What was given.
    least
        Lowest allowed number.
    error
        Error to raise.

    Returns
    -------
    int
        The number.

    Raises
    ------
    MmoptError
        Of the class ``error``, if it is no whole number or below ``least``.
    """
    number = as_float(value)
    if not (math.isfinite(number) and number == math.floor(number) and number >= least):
        raise error(f"{name} is {shown(value)}; give a whole number, at least {least}")
    return int(value)

"""Quantities and parameters of a system: names with units, typical sizes and physical bounds."""

import re
import sys
from functools import cached_property
from typing import Any, Final

import numpy as np

from mmopt.arguments import as_float, shown
from mmopt.checking import Name, NotNegative, Number, Positive, checked
from mmopt.errors import StudyError

ABOVE_ZERO: Final = sys.float_info.min
"""Lower bound of a parameter that must be above zero."""


_UNFIT: Final = re.compile(r"""[\x00-\x1f\x7f/\\,;"']|^[=+@\s-]|\s$|^time$""")
"""What a name may not have: what ends a cell of a table, is a formula in a spreadsheet, or a group in HDF5."""

_LONGEST_NAME: Final = 100


@checked
class Quantity:
    """A named quantity of a system.

    Parameters
    ----------
    name, unit
        Name and unit in every result.
    scale
        Typical size, in the unit.
    lower, upper
        Physical bounds.
    quasi_steady
        Whether it follows the others so fast that an optimisation may take it as quasi-steady; a simulation always
        integrates it.
    bends_at
        If above 0: the size, in the unit, at which rates that depend on it bend, such as a half-saturation constant. An
        optimisation then uses the logarithm ln(1 + q / bends_at) as its variable. For quasi-steady states from 0 up.

    Raises
    ------
    StudyError
        If an argument is of the wrong type, the name does not fit tables and files, the scale is not above 0, the bounds do
        not ascend, or ``bends_at`` is given for another state.

    Examples
    --------
    >>> Quantity("biomass", "g/L", scale=10.0, lower=0.0)
    Quantity(name='biomass', unit='g/L', scale=10.0, lower=0.0, upper=inf, quasi_steady=False, bends_at=0.0)
    """

    name: Name
    unit: str
    scale: Positive = 1.0
    lower: Number = -np.inf
    upper: Number = np.inf
    quasi_steady: bool = False
    bends_at: NotNegative = 0.0

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_bounds(self)
        if self.bends_at and not (self.quasi_steady and self.lower == 0.0):
            raise StudyError(
                f"'{self.name}' has bends_at={self.bends_at:g}; only quasi-steady states with a lowest value of 0 take it"
            )


@checked
class Parameter:
    """A number of a system, with its unit, its source and its physical bounds.

    Parameters
    ----------
    name, unit
        Name and unit in every result.
    value
        Default value, in the unit.
    source
        Origin of the value: a reference, or "assumed".
    lower, upper
        Physical bounds; no simulation or optimisation uses a value outside.

    Raises
    ------
    StudyError
        If an argument is of the wrong type, the name does not fit tables and files, or the value is not finite or outside
        its bounds.

    Examples
    --------
    >>> Parameter("kla", -5.0, "1/h", lower=0.0)
    Traceback (most recent call last):
    mmopt.errors.StudyError: parameter 'kla' is -5 1/h; give a finite number, at least 0
    """

    name: Name
    value: Number
    unit: str = ""
    source: str = ""
    lower: Number = -np.inf
    upper: Number = np.inf

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_bounds(self)
        self.checked_value(self.value)

    def checked_value(self, value: Any) -> float:
        """Return a value of this parameter after a check.

        Parameters
        ----------
        value
            The value, in the parameter's unit.

        Returns
        -------
        float
            The value.

        Raises
        ------
        StudyError
            If it is no finite number, or outside the bounds.
        """
        number = as_float(value)
        if not np.isfinite(number) or not self.lower <= number <= self.upper:
            text = f"{number:g} {self.unit}".rstrip() if np.isfinite(number) else shown(value)
            raise StudyError(f"parameter '{self.name}' is {text}; give a finite number{self._bounds()}")
        return number

    def _bounds(self) -> str:
        """Describe the bounds in a message."""
        low = ", above 0" if self.lower == ABOVE_ZERO else f", at least {self.lower:g}"
        return (low if self.lower > -np.inf else "") + (f", at most {self.upper:g}" if self.upper < np.inf else "")


class HasQuantities:
    """What a system, or a component of one, has; each has a default, and a class attribute suffices.

    Examples
    --------
    >>> from mmopt.reactor.quantities import HasQuantities
    >>> class Level(HasQuantities):
    ...     states = (Quantity("level", "m"),)
    >>> Level().states[0].name, Level().controls
    ('level', ())
    """

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """Quantities with a derivative."""
        return ()

    @cached_property
    def controls(self) -> tuple[Quantity, ...]:
        """Quantities that a profile prescribes."""
        return ()

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Numbers of the derivative, with their defaults, units, sources and bounds."""
        return ()

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """Further quantities to record or limit: functions of states, controls, parameters and rates."""
        return ()

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """Rates of the cell that the derivative reads: exchange ids, ``growth``, ``shortfall``."""
        return ()


def _check_name(name: str) -> None:
    if _UNFIT.search(name) or len(name) > _LONGEST_NAME:
        raise StudyError(
            f"a quantity is called {shown(name)}; give a name of at most {_LONGEST_NAME} letters other than 'time', without "
            "slashes, commas, quotes and line ends, that does not begin with =, +, - or @"
        )


def _check_bounds(quantity: Quantity | Parameter) -> None:
    if not quantity.lower <= quantity.upper:
        raise StudyError(
            f"the bounds of '{quantity.name}' are {quantity.lower:g} to {quantity.upper:g}; give two that ascend"
        )

"""Checks of single arguments: numbers of any kind, and the description of any value in a message."""

import math
from typing import Any, Final

from mmopt.errors import MmoptError, StudyError

_SHOWN: Final = 60
"""Characters of a value in a message."""

LARGEST_WHOLE: Final = 2**53
"""Whole numbers up to here are exact as floats, so that none changes on its way through a file."""


def shown(value: Any) -> str:
    """Describe a value of any kind in a message: at most 60 characters, no address.

    Parameters
    ----------
    value
        Any object.

    Returns
    -------
    str
        Its ``repr`` where that is short, or else its beginning, or its kind.

    Examples
    --------
    >>> shown("fast"), shown(object()), shown(list(range(100)))
    ("'fast'", 'an object of object', '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16...')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # an integer too long to print, or an object that cannot
        return f"an object of {type(value).__name__}"
    if " object at 0x" in text or " at 0x" in text:
        return f"an object of {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def as_float(value: Any) -> float:
    """Return a number of any kind (NumPy's too) as a float, and NaN for anything else: text, truth values, arrays.

    Parameters
    ----------
    value
        Any object.

    Returns
    -------
    float
        The number, or NaN.

    Examples
    --------
    >>> as_float(3), as_float("fast")
    (3.0, nan)
    """
    number = float_or_none(value)
    return math.nan if number is None else number


def float_or_none(value: Any) -> float | None:
    """Return a number of any kind as a float, and None for anything else.

    Parameters
    ----------
    value
        Any object.

    Returns
    -------
    float or None
        The number, NaN and infinity included.

    Examples
    --------
    >>> float_or_none(3), float_or_none("fast")
    (3.0, None)
    """
    if isinstance(value, bool | str | bytes) or getattr(value, "ndim", False):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def finite(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    unit: str = "",
    error: type[MmoptError] = StudyError,
) -> float:
    """Return a finite number, or raise an error that names it.

    Parameters
    ----------
    name
        Name of the argument, for the message.
    value
        What was given.
    above, least
        Exclusive and inclusive lower bound.
    unit
        Unit of the number, for the message.
    error
        Error to raise.

    Returns
    -------
    float
        The number.

    Raises
    ------
    MmoptError
        Of the class ``error``, if the value is no finite number or below a bound.

    Examples
    --------
    >>> finite("kla", 300, above=0.0)
    300.0
    >>> finite("kla", "fast")
    Traceback (most recent call last):
    mmopt.errors.StudyError: kla is 'fast'; give a finite number
    """
    number = as_float(value)
    want = "a finite number"
    want += f" above {above:g}" if above is not None else f", at least {least:g}" if least is not None else ""
    want += f" [{unit}]" if unit else ""
    if not math.isfinite(number) or (above is not None and number <= above) or (least is not None and number < least):
        raise error(f"{name} is {shown(value)}; give {want}")
    return number


def whole(name: str, value: Any, *, least: int = 0, error: type[MmoptError] = StudyError) -> int:
    """Return a whole number, or raise an error that names it.

    Parameters
    ----------
    name
        Name of the argument, for the message.
    value
        Value of the argument.
    least
        Smallest value allowed.
    error
        Error to raise.

    Returns
    -------
    int
        The number.

    Raises
    ------
    MmoptError
        Of the class ``error``, if the value is no whole number or too small.

    Examples
    --------
    >>> whole("starts", 4.0, least=1)
    4
    >>> whole("starts", -1, least=1)
    Traceback (most recent call last):
    mmopt.errors.StudyError: starts is -1; give a whole number, at least 1
    """
    number = as_float(value)
    if not math.isfinite(number) or number != int(number) or not least <= number <= LARGEST_WHOLE:
        raise error(f"{name} is {shown(value)}; give a whole number, at least {least}")
    return int(number)

"""Checks of arguments where objects are made: a wrong one is an error of mmopt that names the argument.

`checked` makes a frozen dataclass whose fields pydantic validates, so that a script and a study file build the same
objects through the same checks. From a script a wrong argument raises a `StudyError`; inside a study file pydantic
collects all of them with their location.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Annotated, Any, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass

from mmopt.errors import MmoptError, StudyError

_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=True, strict=False)


def _number(value: Any) -> Any:
    """Let numbers of any kind pass (NumPy's too), and nothing else: text and truth values are no numbers."""
    if isinstance(value, bool | str | bytes) or value is None:
        raise ValueError(f"{value!r:.60} is given; it should be a number")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{value!r:.60} is given; it should be a number") from error


def _count(value: Any) -> Any:
    number = _number(value)
    if number != math.floor(number) or not math.isfinite(number):
        raise ValueError(f"{value!r:.60} is given; it should be a whole number")
    return int(number)


def _number_or_range(value: Any) -> Any:
    if not isinstance(value, tuple | list):
        return _number(value)
    if len(value) != 2:
        raise ValueError(f"{value!r:.60} is given; it should be a number, or a range of two")
    return (_number(value[0]), _number(value[1]))


def _limit_pair(value: Any) -> Any:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{value!r:.60} is given; it should be a pair (lowest, highest), None where there is none")
    return tuple(None if bound is None else _number(bound) for bound in value)


def _name(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r:.60} is given; it should be a name, in quotes and not empty")
    return value


Name = Annotated[str, BeforeValidator(_name), Field(min_length=1)]
"""A text that is not empty."""

Number = Annotated[float, BeforeValidator(_number)]
"""Any number, NaN and infinity included."""

NumberOrRange = Annotated[
    float | tuple[float, float],
    PlainValidator(_number_or_range, json_schema_input_type=float | tuple[float, float]),
]
"""A number, or the range (lowest, highest) in which an optimisation may choose it."""

LimitPair = Annotated[
    tuple[float | None, float | None],
    PlainValidator(_limit_pair, json_schema_input_type=tuple[float | None, float | None]),
]
"""Lowest and highest allowed value; None where there is none."""

Finite = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
"""A finite number."""

Positive = Annotated[float, BeforeValidator(_number), Field(gt=0.0, allow_inf_nan=False)]
"""A finite number above 0."""

NotNegative = Annotated[float, BeforeValidator(_number), Field(ge=0.0, allow_inf_nan=False)]
"""A finite number, at least 0."""

Count = Annotated[int, BeforeValidator(_count), Field(ge=1)]
"""A whole number, at least 1."""

Seed = Annotated[int, BeforeValidator(_count), Field(ge=0)]
"""A whole number, at least 0."""


@dataclass_transform(frozen_default=True)
def checked(
    cls: type[Any] | None = None,
    *,
    error: type[MmoptError] = StudyError,
    repr: bool = True,  # noqa: A002
) -> Any:
    """Make a frozen dataclass whose fields are validated against their annotations.

    Parameters
    ----------
    cls
        The class to decorate.
    error
        Error raised when it is built from a script with a wrong argument.
    repr
        Whether a ``__repr__`` is generated.

    Returns
    -------
    type
        The dataclass.

    Examples
    --------
    >>> from typing import Annotated
    >>> from pydantic import Field
    >>> @checked
    ... class Pump:
    ...     rate: Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
    >>> Pump(rate=-1.0)
    Traceback (most recent call last):
    mmopt.errors.StudyError: Pump: rate is -1.0; it should be greater than 0
    """
    if cls is None:
        return functools.partial(checked, error=error, repr=repr)
    built = pydantic_dataclass(frozen=True, config=_CONFIG, repr=repr)(cls)
    _translate_errors(built, error)
    return built


def _translate_errors(cls: type[Any], error: type[MmoptError]) -> None:
    validate: Callable[..., None] = cls.__init__

    @functools.wraps(validate)
    def construct(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            validate(self, *args, **kwargs)
        except ValidationError as problems:
            names = [field.name for field in dataclasses.fields(cls) if field.init]
            listed = [{**one, "loc": _named(one["loc"], names)} for one in problems.errors()]
            prefix = (
                "" if all(one["type"] == "value_error" and not one["loc"] for one in listed) else f"{cls.__name__}: "
            )
            raise error(prefix + "; ".join(map(describe_problem, listed))) from problems

    cls.__init__ = construct


def _named(location: tuple[int | str, ...], names: list[str]) -> tuple[int | str, ...]:
    """Name an argument that was given by its position."""
    first = location[0] if location else None
    return (names[first], *location[1:]) if isinstance(first, int) and first < len(names) else location


def describe_problem(problem: Any) -> str:
    """Return one problem of pydantic as a clause: which argument, its value, what it should be.

    Examples
    --------
    >>> describe_problem({"loc": ("kla",), "input": -5, "msg": "Input should be greater than 0", "type": "greater_than"})
    'kla is -5; it should be greater than 0'
    """
    location = ".".join(map(str, problem["loc"]))
    message = str(problem["msg"])
    if problem["type"] == "value_error":  # raised by our own check: the message is complete
        message = message.removeprefix("Value error, ")
        return f"{location}: {message}" if location else message
    if problem["type"] in ("missing", "missing_argument"):
        return f"{location} is missing; give it"
    if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"there is no argument '{location}'"
    value = f"{problem['input']!r}"
    value = value if len(value) <= 60 else value[:57] + "..."
    return f"{location} is {value}; {message.replace('Input should', 'it should', 1)}"


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
    want = "a finite number"
    want += f" above {above:g}" if above is not None else f", at least {least:g}" if least is not None else ""
    want += f" [{unit}]" if unit else ""
    try:
        number = math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or (above is not None and number <= above) or (least is not None and number < least):
        raise error(f"{name} is {value!r:.60}; give {want}")
    return number

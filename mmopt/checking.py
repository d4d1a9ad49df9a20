"""Checks of arguments where objects are made: a wrong one is an error of mmopt that names the argument.

`checked` makes a frozen dataclass whose fields pydantic validates, so that a script and a study file build the same
objects through the same checks. From a script a wrong argument raises a `StudyError`; inside a study file pydantic
collects all of them with their location.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, validate_call
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import PydanticCustomError

from mmopt.arguments import LARGEST_WHOLE, as_float, finite, float_or_none, shown, whole
from mmopt.errors import MmoptError, StudyError

__all__ = [
    "Count",
    "Finite",
    "LimitPair",
    "Name",
    "NotNegative",
    "Number",
    "NumberOrRange",
    "Positive",
    "Seed",
    "as_float",
    "checked",
    "checked_arguments",
    "describe_problem",
    "finite",
    "shown",
    "whole",
]

P = ParamSpec("P")
R = TypeVar("R")

_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=True, strict=False)

_LISTED = 5
"""Problems in the message of one constructor; a study file lists all."""

_PAIR = 2


def _should_be(what: str) -> PydanticCustomError:
    return PydanticCustomError("wrong_kind", f"Input should be {what}")


def _number(value: Any) -> float:
    if (number := float_or_none(value)) is None:
        raise _should_be("a number")
    return number


def _count(value: Any) -> int:
    number = as_float(value)
    if not abs(number) <= LARGEST_WHOLE or number != math.floor(number):
        raise _should_be(f"a whole number, at most {LARGEST_WHOLE}")
    return int(value)


def _number_or_range(value: Any) -> float | tuple[float, ...]:
    values = value if isinstance(value, tuple | list) and len(value) == _PAIR else (value,)
    numbers = tuple(map(float_or_none, values))
    if None in numbers:
        raise _should_be("a number, or a range of two")
    return _number(value) if len(values) == 1 else tuple(map(_number, values))


def _limit_pair(value: Any) -> tuple[float | None, ...]:
    pair = value if isinstance(value, tuple | list) else ()
    if len(pair) != _PAIR or any(float_or_none(bound) is None for bound in pair if bound is not None):
        raise _should_be("a pair (lowest, highest), None where there is none")
    return tuple(None if bound is None else _number(bound) for bound in pair)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _should_be("a name: a text that is not empty")
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
            raise error(_message(problems, names, cls.__name__)) from problems

    cls.__init__ = construct


def checked_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Validate the arguments of a function against their annotations.

    Parameters
    ----------
    function
        The function to decorate.

    Returns
    -------
    callable
        The same function; a wrong argument raises a `StudyError` that names it.

    Examples
    --------
    >>> @checked_arguments
    ... def twice(rate: Positive) -> float:
    ...     return 2.0 * rate
    >>> twice("fast")
    Traceback (most recent call last):
    mmopt.errors.StudyError: twice: rate is 'fast'; it should be a number
    """
    validate = validate_call(config=_CONFIG)(function)
    names = list(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return validate(*args, **kwargs)
        except ValidationError as problems:
            raise StudyError(_message(problems, names, function.__name__)) from problems

    return call


def _message(problems: ValidationError, names: list[str], owner: str) -> str:
    """Return all problems in one line, after the name of the class or function."""
    listed = [{**problem, "loc": _named(problem["loc"], names)} for problem in problems.errors()]
    complete = all(problem["type"] == "value_error" and not problem["loc"] for problem in listed)
    shortest = listed[:_LISTED]
    more = f"; and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ("" if complete else f"{owner}: ") + "; ".join(map(describe_problem, shortest)) + more


def _named(location: tuple[int | str, ...], names: list[str]) -> tuple[int | str, ...]:
    """Name an argument that was given by its position."""
    first = location[0] if location else None
    return (names[first], *location[1:]) if isinstance(first, int) and first < len(names) else location


def describe_problem(problem: Any) -> str:
    """Return one problem of pydantic as a clause: which argument, its value, what it should be.

    Parameters
    ----------
    problem
        One of ``ValidationError.errors()``.

    Returns
    -------
    str
        The clause.

    Examples
    --------
    >>> describe_problem({"loc": ("kla",), "input": -5, "msg": "Input should be greater than 0", "type": "greater_than"})
    'kla is -5; it should be greater than 0'
    """
    location = ".".join(map(str, problem["loc"]))
    kind, message = problem["type"], str(problem["msg"])
    if kind == "value_error":  # raised by a check of mmopt: the message is complete
        message = message.removeprefix("Value error, ")
        return f"{location}: {message}" if location else message
    if kind in ("missing", "missing_argument"):
        return f"{location} is missing; give it"
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"there is no argument '{location}'"
    if kind == "unexpected_positional_argument":
        return f"{shown(problem['input'])} is given as an argument too many; name the arguments"
    if kind == "multiple_argument_values":
        return f"{location} is given twice; give it once"
    return f"{location} is {shown(problem['input'])}; {_instruction(message)}"


_PLAIN = {
    "a valid string": "a text",
    "a valid tuple": "a list",
    "a valid list": "a list",
    "a valid dictionary": "a mapping of names to values",
    "a dictionary or an instance of": "a mapping, or an object of",
    "an instance of": "an object of",
    "a valid boolean": "true or false",
}
"""Kinds of values, in the words of pydantic and in plain ones."""


def _instruction(message: str) -> str:
    """Rewrite a message of pydantic as what the value should be."""
    message = message.replace("Input should", "it should", 1)
    for kind, plain in _PLAIN.items():
        message = message.replace(kind, plain)
    return message

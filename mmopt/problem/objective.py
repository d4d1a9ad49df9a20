"""What is to be made large: a quantity at the end, a worth of several with their prices, or any expression of them.

An objective sees the end and the start of a batch: every state, derived quantity and rate of the cell by name, and
``time``, the hours since the start. What runs along a batch (an integral) is a state, see `mmopt.reactor.integral`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from mmopt.reactor.system import Values

Value = Callable[[Values, Values], Any]
"""From what is seen at the end and at the start to a number, or an expression."""

DURATION: Final = "time"
"""Name under which an objective sees the hours since the start."""


@dataclass(frozen=True)
class Objective:
    """Something that is to be large at the end.

    Attributes
    ----------
    name, unit
        As they stand in results.
    value
        What it is worth, in plain arithmetic: numbers and Pyomo expressions pass through it.
    scale
        Its typical size, in its unit.

    Examples
    --------
    >>> gain = Objective("gain", "g/L", lambda end, start: end["biomass"] - start["biomass"])
    >>> gain.value({"biomass": 3.0, "time": 5.0}, {"biomass": 1.0, "time": 0.0})
    2.0
    """

    name: str
    unit: str
    value: Value
    scale: float = 1.0


def final(name: str, unit: str = "", scale: float = 1.0) -> Objective:
    """The most of a quantity at the end: an amount or, of a concentration, the titre."""
    return Objective(name, unit, partial(_final, name), scale)


def productivity(name: str, unit: str = "", scale: float = 1.0) -> Objective:
    """The most of a quantity gained per hour.

    Examples
    --------
    >>> productivity("product").value({"product": 6.0, "time": 3.0}, {"product": 0.0, "time": 0.0})
    2.0
    """
    return Objective(f"{name} per hour", unit, partial(_productivity, name), scale)


def yield_on(name: str, used: Value, unit: str = "", scale: float = 1.0) -> Objective:
    """The most of a quantity gained for what is used of another.

    Parameters
    ----------
    name
        What is gained.
    used
        What was used; above zero for every batch.

    Examples
    --------
    >>> fed = yield_on("product", lambda end, start: 500.0 * (end["volume"] - start["volume"]))
    >>> fed.value({"product": 6.0, "volume": 2.5, "time": 3.0}, {"product": 0.0, "volume": 2.0, "time": 0.0})
    0.024
    """
    return Objective(f"{name} yield", unit, partial(_yield, name, used), scale)


def worth(prices: Mapping[str, float], unit: str = "", scale: float = 1.0) -> Objective:
    """The most of what quantities are worth at the end; ``time`` may have a price, too.

    Examples
    --------
    >>> worth({"product": 10.0, "time": -2.0}).value({"product": 6.0, "time": 3.0}, {"product": 0.0, "time": 0.0})
    54.0
    """
    return Objective("worth", unit, partial(_worth, dict(prices)), scale)


def least_time(scale: float = 1.0) -> Objective:
    """The shortest batch; give what it has to reach as limits at its end.

    Examples
    --------
    >>> least_time().value({"time": 3.0}, {"time": 0.0})
    -3.0
    """
    return Objective("time saved", "h", _less_time, scale)


def _final(name: str, end: Values, start: Values) -> Any:
    return end[name]


def _productivity(name: str, end: Values, start: Values) -> Any:
    return (end[name] - start[name]) / end[DURATION]


def _yield(name: str, used: Value, end: Values, start: Values) -> Any:
    return (end[name] - start[name]) / used(end, start)


def _worth(prices: Mapping[str, float], end: Values, start: Values) -> Any:
    return sum(price * end[name] for name, price in prices.items())


def _less_time(end: Values, start: Values) -> Any:
    return -end[DURATION]

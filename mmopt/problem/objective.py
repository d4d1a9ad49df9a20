"""Objectives: a quantity at the end of a batch, the value of several with their prices, or any expression of them.

An objective depends on the end and the start of a batch: every state, derived quantity and rate of the cell by name, and
``time``, the hours since the start. An integral over the batch is a state, see `mmopt.reactor.Integral`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from mmopt.checking import Name, Number, Positive, checked, checked_arguments, shown
from mmopt.errors import StudyError
from mmopt.reactor.system import Values

Value = Callable[[Values, Values], Any]
"""From the quantities at the end and at the start to a number, or an expression."""

DURATION: Final = "time"
"""Name under which an objective reads the hours since the start."""

KINDS: Final = ("worth", "productivity", "yield", "least_time")
"""Kinds of objective that a study file can name."""


@checked(repr=False)
class Objective:
    """A quantity that is to be as large as possible at the end.

    Attributes
    ----------
    name, unit
        As they stand in results.
    value
        The objective in plain arithmetic, from the quantities at the end and at the start: numbers and Pyomo expressions
        pass through it.
    scale
        Typical size, in its unit.

    Examples
    --------
    >>> gain = Objective("gain", "g/L", lambda end, start: end["biomass"] - start["biomass"])
    >>> gain.value({"biomass": 3.0, "time": 5.0}, {"biomass": 1.0, "time": 0.0})
    2.0
    """

    name: Name
    unit: str
    value: Callable[..., Any]
    scale: Positive = 1.0

    def __repr__(self) -> str:
        return f"Objective: {self.name} [{self.unit or '-'}]"


@checked_arguments
def final(name: Name, unit: str = "", scale: Positive = 1.0) -> Objective:
    """Maximise a quantity at the end: an amount or, of a concentration, the titre.

    Parameters
    ----------
    name
        State, derived quantity or rate of the cell.
    unit
        Unit of the objective, for results.
    scale
        Typical size, in that unit.

    Returns
    -------
    Objective

    Examples
    --------
    >>> final("biomass_amount", "g").value({"biomass_amount": 50.0}, {})
    50.0
    """
    return Objective(name, unit, partial(_final, name), scale)


@checked_arguments
def productivity(name: Name, unit: str = "", scale: Positive = 1.0) -> Objective:
    """Maximise the gain of a quantity per hour.

    Parameters
    ----------
    name, unit, scale
        As for `final`.

    Returns
    -------
    Objective

    Examples
    --------
    >>> productivity("product").value({"product": 6.0, "time": 3.0}, {"product": 0.0, "time": 0.0})
    2.0
    """
    return Objective(f"{name} per hour", unit, partial(_productivity, name), scale)


@checked_arguments
def yield_on(name: Name, used: Value | Mapping[str, Number], unit: str = "", scale: Positive = 1.0) -> Objective:
    """Maximise the gain of a quantity relative to the use of another.

    Parameters
    ----------
    name
        The quantity that is gained.
    used
        What was used, above zero for every batch: a function of the quantities at the end and at the start, or factors of
        the gains of quantities, such as the concentration of the feed for the volume.
    unit, scale
        As for `final`.

    Returns
    -------
    Objective

    Examples
    --------
    >>> fed = yield_on("product", lambda end, start: 500.0 * (end["volume"] - start["volume"]))
    >>> fed.value({"product": 6.0, "volume": 2.5, "time": 3.0}, {"product": 0.0, "volume": 2.0, "time": 0.0})
    0.024
    >>> fed = yield_on("product", {"volume": 500.0})
    >>> fed.value({"product": 6.0, "volume": 2.5, "time": 3.0}, {"product": 0.0, "volume": 2.0, "time": 0.0})
    0.024
    """
    if isinstance(used, Mapping):
        if not used:
            raise StudyError("used is empty; give the factor of one quantity at least")
        used = partial(_gains, dict(used))
    return Objective(f"{name} yield", unit, partial(_yield, name, used), scale)


@checked_arguments
def worth(prices: Mapping[str, Number], unit: str = "", scale: Positive = 1.0) -> Objective:
    """Maximise the value of several quantities at the end; ``time`` may have a price, too.

    Parameters
    ----------
    prices
        Price of one unit of each quantity.
    unit, scale
        As for `final`.

    Returns
    -------
    Objective

    Examples
    --------
    >>> worth({"product": 10.0, "time": -2.0}).value({"product": 6.0, "time": 3.0}, {"product": 0.0, "time": 0.0})
    54.0
    """
    return Objective("worth", unit, partial(_worth, dict(prices)), scale)


@checked_arguments
def least_time(scale: Positive = 1.0) -> Objective:
    """Minimise the length of the batch; state what it has to reach as limits at its end.

    Parameters
    ----------
    scale
        Typical length [h].

    Returns
    -------
    Objective

    Examples
    --------
    >>> least_time().value({"time": 3.0}, {"time": 0.0})
    -3.0
    """
    return Objective("time saved", "h", _less_time, scale)


def as_objective(value: Any) -> Any:
    """Turn the mapping of a study file into an `Objective`; return anything else unchanged.

    Parameters
    ----------
    value
        A mapping, an objective, or anything else.

    Returns
    -------
    Objective or the value

    Raises
    ------
    StudyError
        If the mapping describes no objective.

    Examples
    --------
    >>> as_objective({"worth": {"product": 10.0}, "unit": "EUR"}).unit
    'EUR'
    """
    if not isinstance(value, Mapping):
        return value
    kinds = [kind for kind in KINDS if kind in value]
    options = {key: option for key, option in value.items() if key not in KINDS}
    unknown = [str(key) for key in options if key not in ("unit", "scale")]
    if len(kinds) != 1 or unknown:
        raise StudyError(
            f"the objective has {', '.join(map(str, value)) or 'no keys'}; give one of {', '.join(KINDS)}, with unit and scale "
            "where they are known"
        )
    argument = value[kinds[0]]
    if kinds[0] == "worth":
        if not isinstance(argument, Mapping):
            raise StudyError(f"worth is {shown(argument)}; give the price of each quantity by name")
        return worth(argument, **options)
    if kinds[0] == "yield":
        if not isinstance(argument, Mapping) or set(argument) != {"of", "on"}:
            raise StudyError(
                f"yield is {shown(argument)}; give 'of', a quantity, and 'on', the factor of each quantity used"
            )
        return yield_on(argument["of"], argument["on"], **options)
    return productivity(argument, **options) if kinds[0] == "productivity" else least_time(argument)


def _final(name: str, end: Values, start: Values) -> Any:
    return end[name]


def _productivity(name: str, end: Values, start: Values) -> Any:
    return (end[name] - start[name]) / end[DURATION]


def _gains(factors: Mapping[str, float], end: Values, start: Values) -> Any:
    return sum(factor * (end[name] - start[name]) for name, factor in factors.items())


def _yield(name: str, used: Value, end: Values, start: Values) -> Any:
    return (end[name] - start[name]) / used(end, start)


def _worth(prices: Mapping[str, float], end: Values, start: Values) -> Any:
    return sum(price * end[name] for name, price in prices.items())


def _less_time(end: Values, start: Values) -> Any:
    return -end[DURATION]

"""Units and titles of the columns of a feed table: which column holds what, and its factor to h and L/h."""

import re
from dataclasses import dataclass
from typing import Final

FROM, TO, TIME, RATE_COLUMN = "from", "to", "time", "rate"

_TIMES: Final = {"h": 1.0, "min": 1.0 / 60.0, "s": 1.0 / 3600.0, "d": 24.0}
_VOLUMES: Final = {"l": 1.0, "ml": 1.0e-3, "ul": 1.0e-6}
_MASSES: Final = {"kg": 1.0, "g": 1.0e-3, "mg": 1.0e-6}

_SPELLINGS: Final = {
    **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("day", "days"), "d"),
    **dict.fromkeys(("liter", "liters", "litre", "litres"), "l"),
    **dict.fromkeys(("milliliter", "milliliters", "millilitre", "millilitres"), "ml"),
    **dict.fromkeys(("microliter", "microliters", "microlitre", "microlitres"), "ul"),
}

TIME_UNITS: Final = "h, min, s or d"
RATE_UNITS: Final = "L, mL or µL per h, min, s or d, and g or kg per the same with a density"

_MEGA_OR_MILLI: Final = re.compile(r"M[LlGg]")
"""Written so, a prefix can be mega or milli."""

_WORDS: Final = {
    FROM: {"from", "start", "begin", "begins", "beginning", "von"},
    TO: {"to", "end", "ends", "until", "till", "stop", "bis"},
    RATE_COLUMN: {"rate", "feed", "feedrate", "flow", "flowrate", "pump", "f"},
    TIME: {"time", "t", "zeit", "timepoint"},
}
_LINEAR: Final = "linear"


@dataclass(frozen=True)
class RateUnit:
    """A unit of rates.

    Attributes
    ----------
    factor
        From the unit to L/h, or to kg/h.
    mass
        Whether it is a mass per time.
    hourly
        Whether it is per hour.

    Examples
    --------
    >>> RateUnit(0.001, mass=False, hourly=True).factor
    0.001
    """

    factor: float
    mass: bool
    hourly: bool


@dataclass(frozen=True)
class Title:
    """The title of a column.

    Attributes
    ----------
    text
        As it is written.
    unit
        The unit in it; None if there is none.
    role
        ``from``, ``to``, ``time`` or ``rate``; None if it is not known.
    linear
        Whether it says that rates are the points of lines.

    Examples
    --------
    >>> read_title("rate [mL/min]")
    Title(text='rate [mL/min]', unit='mL/min', role='rate', linear=False)
    >>> read_title("t_min").unit
    'min'
    """

    text: str
    unit: str | None
    role: str | None
    linear: bool


def time_factor(unit: str) -> float | None:
    """Return the factor from a unit of time to h.

    Parameters
    ----------
    unit
        The unit as it is written.

    Returns
    -------
    float or None
        None if it is no known unit of time.

    Examples
    --------
    >>> time_factor("d"), time_factor("Minutes") == 1 / 60, time_factor("weeks")
    (24.0, True, None)
    """
    return _TIMES.get(_symbol(unit.strip(" ()/")))


def rate_unit(unit: str) -> RateUnit | None:
    """Return a unit of rates.

    Parameters
    ----------
    unit
        The unit as it is written.

    Returns
    -------
    RateUnit or None
        None if it is no known unit of rates.

    Examples
    --------
    >>> rate_unit("mL h-1") == rate_unit("ml/h") == rate_unit("mL per hour")
    True
    >>> rate_unit("gal/h")
    """
    plain = unit.replace("⁻¹", "^-1").replace("−", "-")
    plain = re.sub(r"[·*×⋅]|(?<=[A-Za-z])\.(?=[A-Za-z])", " ", plain)
    plain = re.sub(r"\s+per\s+", "/", plain)
    plain = re.sub(r"[\s/]*([A-Za-z]+)\s*\^?\(?-1\)?\s*$", r"/\1", plain)
    amount, slash, time = (piece.strip(" ()") for piece in plain.partition("/"))
    if not slash or time_factor(time) is None or _MEGA_OR_MILLI.fullmatch(amount):
        return None
    symbol, hours = _symbol(amount), time_factor(time) or 1.0
    for known, mass in ((_VOLUMES, False), (_MASSES, True)):
        if symbol in known:
            return RateUnit(known[symbol] / hours, mass, hours == 1.0)
    return None


def read_title(text: str) -> Title:
    """Read the title of a column.

    Parameters
    ----------
    text
        The title, with a unit in brackets or behind it, or without.

    Returns
    -------
    Title
        Its unit may be an unknown one.

    Examples
    --------
    >>> read_title("F / (mL/h)").unit, read_title("Feed rate [rpm]").unit, read_title("from").unit
    ('mL/h', 'rpm', None)
    """
    bracket = re.search(r"\[(.*)\]", text) or re.search(r"(?<!/)(?<!/ )\((.*)\)", text)
    unit = bracket[1].strip() if bracket else _unit_behind(text)
    name = text[: bracket.start()] + text[bracket.end() :] if bracket else text
    words = {word for word in re.split(r"[^a-z]+", name.lower()) if word}
    return Title(text.strip(), unit, _role(words, unit), _LINEAR in words)


def _symbol(unit: str) -> str:
    plain = unit.strip().replace("µ", "u").replace("μ", "u").lower()  # micro sign and Greek mu
    return _SPELLINGS.get(plain, plain)


def _unit_behind(text: str) -> str | None:
    """A unit without brackets: behind a slash, a comma, 'in' or an underscore."""
    if time_factor(text) is not None or rate_unit(text) is not None:
        return text.strip()
    words = re.split(r"[\s_,]+", text.strip())
    for first in range(1, len(words)):
        behind = words[first:]
        for unit in (" ".join(behind), "/".join(behind)):
            plain = _unwrapped(unit)
            if time_factor(plain) is not None or rate_unit(plain) is not None:
                return plain
    if "/" in text:  # as in t/h or F/(L/h)
        return _unwrapped(text.partition("/")[2])
    unknown = re.search(r"\bper\b.*|%|\brpm\b|\b\w+\s*\^-1", text)
    return unknown[0] if unknown else None


def _unwrapped(unit: str) -> str:
    plain = unit.strip(" /")
    return plain[1:-1].strip() if plain.startswith("(") and plain.endswith(")") else plain


def _role(words: set[str], unit: str | None) -> str | None:
    if unit is not None and rate_unit(unit) is not None:
        return RATE_COLUMN
    roles = [role for role, known in _WORDS.items() if words & known]
    if unit is not None and time_factor(unit) is not None:
        roles = [role for role in roles if role != RATE_COLUMN]
    return roles[0] if roles else None

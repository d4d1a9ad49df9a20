"""Feed tables in files: numbers in h and L/h from whatever units, and checks that nothing is missing, twice or negative."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from mmopt.arguments import finite
from mmopt.errors import StudyError
from mmopt.reactor.feed_cells import Row, is_number, numbers, read_cells
from mmopt.reactor.feed_units import (
    FROM,
    RATE_COLUMN,
    RATE_UNITS,
    TIME,
    TIME_UNITS,
    TO,
    RateUnit,
    Title,
    rate_unit,
    read_title,
    time_factor,
)

_APART: Final = 1.0e-6
"""Fraction of the last time by which two times differ or are one: tables have eight digits or fewer."""

_LIGHTEST, _HEAVIEST = 0.5, 2.5
"""Densities of feed solutions [kg/L]: ammonia in water has 0.9, a syrup 1.4."""

_ROLES: Final = {3: (FROM, TO, RATE_COLUMN), 2: (TIME, RATE_COLUMN)}
_SHAPES: Final = "give rows of from, to, rate, or of time, rate"


@dataclass(frozen=True)
class FeedRows:
    """A feed table in h and L/h.

    Attributes
    ----------
    times
        Edges of steps, one more than rates, or the points of lines [h].
    rates
        Rates [L/h].
    linear
        Whether rates are the points of lines.
    source
        Name of the file.

    Examples
    --------
    >>> FeedRows((0.0, 2.0), (0.01,), linear=False, source="feed.csv").rates
    (0.01,)
    """

    times: tuple[float, ...]
    rates: tuple[float, ...]
    linear: bool
    source: str


def widened(times: Sequence[float]) -> tuple[float, float]:
    """Return the first and the last time of a table, widened by what rounding may take from them.

    Parameters
    ----------
    times
        Ascending times [h].

    Returns
    -------
    tuple of float
        Both times [h].

    Examples
    --------
    >>> widened((0.0, 2.0, 10.0))
    (-1e-06, 10.000001)
    """
    slack = 0.1 * _APART * max(abs(times[0]), abs(times[-1]))
    return times[0] - slack, times[-1] + slack


def covered(times: Sequence[float], time: float, source: str) -> bool:
    """Return whether a time lies in a table, and warn if it does not.

    Parameters
    ----------
    times
        Ascending times of the table [h].
    time
        The time [h].
    source
        Name of the file.

    Returns
    -------
    bool

    Examples
    --------
    >>> covered((0.0, 2.0), 1.0, "feed.csv")
    True
    """
    first, last = widened(times)
    if first <= time < last:
        return True
    warnings.warn(
        f"{source} has rows from {times[0]:g} h to {times[-1]:g} h alone; the feed is 0 L/h outside of them",
        UserWarning,
        stacklevel=3,
    )
    return False


def read_rows(path: Path, density: float | None = None, hours: float | None = None) -> FeedRows:
    r"""Read a feed table.

    Parameters
    ----------
    path
        The file.
    density
        Density of the feed [kg/L], for rates in mass per time.
    hours
        Length of the batch [h], which the table must cover.

    Returns
    -------
    FeedRows

    Raises
    ------
    StudyError
        If the file is no feed table, or does not cover the batch.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "feed.csv")
    ...     _ = path.write_text("time [min]\trate [mL/h]\n0\t10\n120\t0\n")
    ...     read_rows(path)
    FeedRows(times=(0.0, 2.0), rates=(0.01,), linear=False, source='feed.csv')
    """
    density = None if density is None else _checked_density(density)
    hours = None if hours is None else finite("hours", hours, above=0.0, unit="h")
    titles, rows = _header(path, read_cells(path))
    order, linear = _order(path, titles, len(rows[0][1]))
    values = np.array(numbers(path, rows))[:, order]
    factors = _factors(path, [titles[column] for column in order], density) if titles else [1.0] * len(order)
    values *= factors
    lines = [line for line, _ in rows]
    _check_rates(path, lines, values[:, -1])
    if values.shape[1] == len(_ROLES[3]):
        return _checked_span(path, _steps(path, lines, values), hours)
    return _checked_span(path, _points(path, lines, values, hours, linear), hours)


def _checked_density(density: float) -> float:
    number = finite("density", density, above=0.0, unit="kg/L")
    if not _LIGHTEST <= number <= _HEAVIEST:
        raise StudyError(f"density is {number:g} kg/L; give one from {_LIGHTEST} to {_HEAVIEST}, such as 1.2")
    return number


def _header(path: Path, rows: list[Row]) -> tuple[list[Title], list[Row]]:
    """Titles, if there are any, and rows of numbers; units may stand in a line of their own."""
    titles: list[Title] = []
    if not any(map(is_number, rows[0][1])):
        titles, rows = [read_title(cell) for cell in rows[0][1]], rows[1:]
        if rows and not any(map(is_number, rows[0][1])):
            titles, rows = _with_units(path, titles, rows[0]), rows[1:]
    if not rows:
        raise StudyError(f"{path} is no feed table: it has a header and no rows; {_SHAPES}")
    return titles, rows


def _with_units(path: Path, titles: list[Title], units: Row) -> list[Title]:
    line, cells = units
    known = [cell.strip(" []()") for cell in cells]
    if any(unit and time_factor(unit) is None and rate_unit(unit) is None for unit in known):
        raise StudyError(
            f"{path} has '{', '.join(cells)[:60]}' in line {line}, which are no numbers and no known units; times are in "
            f"{TIME_UNITS}, rates in {RATE_UNITS}"
        )
    if any(title.unit and unit for title, unit in zip(titles, known, strict=True)):
        raise StudyError(f"{path} has units in its header and in line {line}; leave one of them")
    return [read_title(f"{title.text} [{unit}]") if unit else title for title, unit in zip(titles, known, strict=True)]


def _order(path: Path, titles: list[Title], count: int) -> tuple[list[int], bool]:
    """Columns in the order from, to, rate, or time, rate; and whether rates are the points of lines."""
    roles = _ROLES[count]
    if not titles:
        return list(range(count)), False
    given = [TIME if count == len(_ROLES[2]) and title.role == FROM else title.role for title in titles]
    linear = any(title.linear for title in titles)
    if sorted(map(str, given)) == sorted(roles):
        order = [given.index(role) for role in roles]
    elif all(role in (None, expected) for role, expected in zip(given, roles, strict=True)):
        order = list(range(count))
    else:
        raise StudyError(f"{path} has the columns {', '.join(repr(title.text) for title in titles)}; {_SHAPES}")
    if linear and count != len(_ROLES[2]):
        raise StudyError(f"{path} has linear rates in rows of from, to, rate; lines need rows of time, rate")
    return order, linear


def _factors(path: Path, titles: list[Title], density: float | None) -> list[float]:
    """Factors to h for times, and to L/h for the rate. Without units they are h and L/h."""
    if all(title.unit is None for title in titles):
        return [1.0] * len(titles)
    *times, rate = titles
    hours = [_time(path, title) for title in times]
    given = [factor for factor in hours if factor is not None]
    unit = _rate(path, rate, density)
    if not given and unit is not None and not unit.hourly:
        raise StudyError(
            f"{path} has '{rate.text}' and no unit of its times; write it in the header, as in '{times[0].text} [min]'"
        )
    known = [factor or (given or [1.0])[0] for factor in hours]
    if unit is not None:
        return [*known, unit.factor / (density or 1.0 if unit.mass else 1.0)]
    if set(given) != {1.0}:
        raise StudyError(
            f"{path} has '{times[0].text}' and no unit of its rates; write it in the header, as in '{rate.text} [mL/min]'"
        )
    return [*known, 1.0]


def _time(path: Path, title: Title) -> float | None:
    if title.unit is None:
        return None
    if (factor := time_factor(title.unit)) is None:
        raise StudyError(
            f"{path} has the unit '{title.unit}' in '{title.text}', which is no known unit of time; known: {TIME_UNITS}"
        )
    return factor


def _rate(path: Path, title: Title, density: float | None) -> RateUnit | None:
    if title.unit is None:
        return None
    unit = rate_unit(title.unit)
    if unit is None:
        raise StudyError(
            f"{path} has the unit '{title.unit}' in '{title.text}', which is no known unit of feed rates; known: {RATE_UNITS}"
        )
    if unit.mass and density is None:
        raise StudyError(f"{path} has rates in {title.unit}; give the density of the feed [kg/L], as in density=1.2")
    return unit


def _check_rates(path: Path, lines: list[int], rates: np.ndarray) -> None:
    if np.any(rates < 0.0):
        worst = int(np.argmax(rates < 0.0))
        raise StudyError(
            f"{path} has the rate {rates[worst]:g} L/h in line {lines[worst]}; a feed cannot be below 0 L/h"
        )


def _steps(path: Path, lines: list[int], values: np.ndarray) -> FeedRows:
    """Steps of rows from, to, rate."""
    begin, end, rates = values.T
    apart = _APART * float(np.abs(values[:, :2]).max())
    for index, line in enumerate(lines):
        if not end[index] > begin[index]:
            raise StudyError(
                f"{path} has a row from {begin[index]:g} h to {end[index]:g} h in line {line}; a row ends after it begins"
            )
        if index and abs(gap := begin[index] - end[index - 1]) > apart:
            before, after = f"{end[index - 1]:g} h", f"{begin[index]:g} h"
            raise StudyError(
                f"{path} has no row from {before} to {after}, before line {line}; give one, with the rate 0 if nothing is fed"
                if gap > 0.0
                else f"{path} has a row that begins at {after} in line {line}, before the one above ends at {before}; "
                "give rows that follow each other"
            )
    return FeedRows((*begin.tolist(), float(end[-1])), tuple(rates.tolist()), linear=False, source=path.name)


def _points(path: Path, lines: list[int], values: np.ndarray, hours: float | None, linear: bool) -> FeedRows:
    """Steps of rows time, rate, where a rate is held until the next row; or the points of lines."""
    times, rates = (column.tolist() for column in values.T)
    for line, (before, after) in zip(lines[1:], pairwise(times), strict=True):
        if not after > before:
            raise StudyError(f"{path} has the time {after:g} h in line {line} after {before:g} h; give ascending times")
    if linear:
        if len(times) < 2:
            raise StudyError(f"{path} has one row of linear rates; give two or more")
        return FeedRows(tuple(times), tuple(rates), linear=True, source=path.name)
    if rates[-1] == 0.0 and len(rates) > 1:
        return FeedRows(tuple(times), tuple(rates[:-1]), linear=False, source=path.name)
    if hours is None or hours <= times[-1]:
        raise StudyError(
            f"{path} has the rate {rates[-1]:g} L/h from {times[-1]:g} h on and no end of it; end the table with a row of "
            "that time and the rate 0, or give the length of the batch, as in hours=12"
        )
    return FeedRows((*times, hours), tuple(rates), linear=False, source=path.name)


def _checked_span(path: Path, rows: FeedRows, hours: float | None) -> FeedRows:
    """Rows that cover the batch, if its length is given; a warning names rows before and after it."""
    if hours is None:
        return rows
    first, last = rows.times[0], rows.times[-1]
    apart = _APART * max(hours, abs(first), abs(last))
    if first > apart or last < hours - apart:
        raise StudyError(
            f"{path} has rows from {first:g} h to {last:g} h, but the batch is from 0 h to {hours:g} h; add rows for the "
            "rest, with the rate 0 if nothing is fed, or check the unit of time in the header"
        )
    if first < -apart or last > hours + apart:
        warnings.warn(
            f"{path.name} has rows from {first:g} h to {last:g} h; those before 0 h and after the end of the batch at "
            f"{hours:g} h are not used",
            UserWarning,
            stacklevel=4,
        )
    return rows

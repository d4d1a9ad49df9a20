"""Feed profiles: from time [h] to a rate [L/h]. They serve any other control as well."""

from bisect import bisect_right
from math import exp
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from mmopt.checking import Finite, Number, checked, shown
from mmopt.errors import StudyError
from mmopt.reactor.feed_file import covered, read_rows, widened

_LARGEST_EXPONENT: Final = 700.0
"""Exponents up to here have a finite exponential."""


class Profile(Protocol):
    """A prescribed control over time."""

    def __call__(self, time: float) -> float:
        """Value at a time [h]."""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Times at which it jumps or bends [h]."""


@checked
class ConstantFeed:
    """One rate from a start on, nothing before.

    Parameters
    ----------
    rate
        Rate [L/h].
    start
        Time at which it begins [h].

    Raises
    ------
    StudyError
        If a number is not finite.

    Examples
    --------
    >>> ConstantFeed(0.05, start=2.0)(1.0), ConstantFeed(0.05, start=2.0)(3.0)
    (0.0, 0.05)
    """

    rate: Finite
    start: Finite = 0.0

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        return self.rate if time >= self.start else 0.0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The start."""
        return (self.start,)


@checked
class ExponentialFeed:
    """``initial`` exp(``growth`` (t - ``start``)) from ``start`` on, never above ``highest``, and nothing before.

    The classical feed that keeps a specific growth rate, as in Xu et al. (1999).

    Parameters
    ----------
    initial
        Rate at the start [L/h].
    growth
        Growth rate of the feed [1/h].
    start
        Time at which it begins [h].
    highest
        Largest rate [L/h].

    Raises
    ------
    StudyError
        If a number is not finite; ``highest`` may be infinite.

    References
    ----------
    Xu, Jahic and Enfors (1999), Biotechnol. Prog. 15:81-90.

    Examples
    --------
    >>> feed = ExponentialFeed(0.01, growth=0.2, start=1.0, highest=0.1)
    >>> feed(0.0), feed(1.0), feed(50.0)
    (0.0, 0.01, 0.1)
    """

    initial: Finite
    growth: Finite
    start: Finite = 0.0
    highest: Number = np.inf

    def __post_init__(self) -> None:
        if np.isnan(self.highest):
            raise StudyError("the highest rate of an exponential feed is nan; give a number, or leave it out")

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        if time < self.start:
            return 0.0
        exponent = self.growth * (time - self.start)
        rate = self.initial * exp(exponent) if exponent < _LARGEST_EXPONENT else self.initial * np.inf
        return min(self.highest, rate) if self.initial else 0.0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The start, and the time at which the highest rate is reached."""
        if 0.0 < self.initial < self.highest < np.inf and self.growth > 0.0:
            return (self.start, self.start + float(np.log(self.highest / self.initial)) / self.growth)
        return (self.start,)


@checked
class StepFeed:
    """Rates held between edges: ``rates[i]`` from ``edges[i]`` to ``edges[i + 1]``, the last one for ever.

    Parameters
    ----------
    edges
        Ascending times [h], one more than rates.
    rates
        Rates [L/h].

    Raises
    ------
    StudyError
        If edges do not ascend, or numbers do not match or are not finite.

    Examples
    --------
    >>> StepFeed((0.0, 1.0, 2.0), (0.01, 0.03))(1.0)
    0.03
    """

    edges: tuple[Number, ...]
    rates: tuple[Number, ...]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.rates) + 1 or not self.rates:
            raise StudyError(f"{len(self.rates)} rates need {len(self.rates) + 1} edges, {len(self.edges)} were given")
        if np.any(np.diff(self.edges) <= 0.0) or not np.all(np.isfinite([*self.edges, *self.rates])):
            raise StudyError("the edges of a stepwise feed must ascend, and all its numbers be finite")

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        position = bisect_right(self.edges, time) - 1  # NumPy would convert the edges in every call
        return self.rates[min(max(position, 0), len(self.rates) - 1)]

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The inner edges."""
        return self.edges[1:-1]

    def __repr__(self) -> str:
        return f"StepFeed: {_summary(self.edges, self.rates)}"


@checked
class LinearFeed:
    """Straight lines between ``values`` at ``times``, held before the first and after the last.

    Parameters
    ----------
    times
        Ascending times [h].
    values
        Rates [L/h], as many as times.

    Raises
    ------
    StudyError
        If times do not ascend, or numbers do not match or are not finite.

    Examples
    --------
    >>> LinearFeed((0.0, 2.0), (0.01, 0.03))(0.5)
    0.015
    """

    times: tuple[Number, ...]
    values: tuple[Number, ...]

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values) or not self.values:
            raise StudyError(f"{len(self.values)} values need as many times, {len(self.times)} were given")
        if np.any(np.diff(self.times) <= 0.0) or not np.all(np.isfinite([*self.times, *self.values])):
            raise StudyError("the times of a piecewise linear feed must ascend, and all its numbers be finite")

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        position = bisect_right(self.times, time)  # NumPy would convert the times in every call
        if position in (0, len(self.times)):
            return self.values[max(position - 1, 0)]
        (begin, end), (first, last) = self.times[position - 1 : position + 1], self.values[position - 1 : position + 1]
        return first + (last - first) * ((time - begin) / (end - begin))

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The times."""
        return self.times

    def __repr__(self) -> str:
        return f"LinearFeed: {_summary(self.times, self.values)}"


def _summary(times: tuple[float, ...], rates: tuple[float, ...]) -> str:
    return f"{len(rates)} rates, {min(rates):g} to {max(rates):g}, from {times[0]:g} h to {times[-1]:g} h"


def is_stepwise(profile: Profile) -> bool:
    """Return whether a profile is constant between its breakpoints.

    Parameters
    ----------
    profile
        The profile.

    Returns
    -------
    bool
        False if it is not known to be.

    Examples
    --------
    >>> is_stepwise(ConstantFeed(0.02)), is_stepwise(LinearFeed((0.0, 1.0), (0.0, 0.1)))
    (True, False)
    """
    return isinstance(profile, (ConstantFeed, StepFeed))


def checked_profile(name: str, value: Any) -> Profile:
    """Return the profile of a control after a check.

    Parameters
    ----------
    name
        Name of the control, for the message.
    value
        A `Profile`.

    Returns
    -------
    Profile
        The same object.

    Raises
    ------
    StudyError
        If it is no function of time with breakpoints.

    Examples
    --------
    >>> checked_profile("feed", 0.02)
    Traceback (most recent call last):
    mmopt.errors.StudyError: control 'feed' is 0.02; give a profile, such as ConstantFeed(0.02)
    """
    if isinstance(value, type) or not callable(value) or not hasattr(value, "breakpoints"):
        raise StudyError(f"control '{name}' is {shown(value)}; give a profile, such as ConstantFeed(0.02)")
    return value  # type: ignore[no-any-return]


@checked(repr=False)
class _StepTable(StepFeed):
    """Steps from a file: nothing outside of its rows, where a warning says so."""

    source: str = ""

    def __call__(self, time: float) -> float:
        return super().__call__(time) if covered(self.edges, time, self.source) else 0.0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        first, last = widened(self.edges)
        return (first, *self.edges[1:-1], last)


@checked(repr=False)
class _LineTable(LinearFeed):
    """Lines from a file, as `_StepTable`."""

    source: str = ""

    def __call__(self, time: float) -> float:
        return super().__call__(time) if covered(self.times, time, self.source) else 0.0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        first, last = widened(self.times)
        return (first, *self.times[1:-1], last)


def read_feed(path: str | Path, *, density: float | None = None, hours: float | None = None) -> StepFeed | LinearFeed:
    r"""Read a feed table: rows ``from, to, rate`` without gaps, or ``time, rate`` where a rate is held until the next row.

    A header gives the units: h, min, s or d; L, mL or µL per time, or g or kg per time. Without units they are h and L/h.
    Outside of its rows the feed is 0 L/h, and a warning says so. A column ``linear rate`` has the points of lines.

    Parameters
    ----------
    path
        Text with commas, semicolons, tabs or spaces and decimal points or commas, or an Excel workbook (with openpyxl).
    density
        Density of the feed [kg/L], if rates are masses per time.
    hours
        Length of the batch [h]: the table must cover it, and a warning names rows before and after it.

    Returns
    -------
    StepFeed or LinearFeed
        The feed.

    Raises
    ------
    StudyError
        If the file is missing or no such table: unknown units, gaps, rates below 0, a batch that it does not cover.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "feed.csv")
    ...     _ = path.write_text("from [min],to [min],rate [mL/h]\n0,60,10\n60,180,20\n")
    ...     read_feed(path)
    StepFeed: 2 rates, 0.01 to 0.02, from 0 h to 3 h
    """
    rows = read_rows(Path(path), density, hours)
    return (_LineTable if rows.linear else _StepTable)(rows.times, rows.rates, rows.source)

"""Feed profiles: from time [h] to a rate [L/h]. They serve any other control as well."""

from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Protocol

import numpy as np

from mmopt.errors import StudyError


class Profile(Protocol):
    """A prescribed control over time."""

    def __call__(self, time: float) -> float:
        """Value at a time [h]."""

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """Times at which it jumps or bends [h]."""


@dataclass(frozen=True)
class ConstantFeed:
    """One rate [L/h] from ``start`` [h] on, nothing before.

    Examples
    --------
    >>> ConstantFeed(0.05, start=2.0)(1.0), ConstantFeed(0.05, start=2.0)(3.0)
    (0.0, 0.05)
    """

    rate: float
    start: float = 0.0

    def __post_init__(self) -> None:
        _check_finite(self.rate, self.start)

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        return self.rate if time >= self.start else 0.0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The start."""
        return (self.start,)


@dataclass(frozen=True)
class ExponentialFeed:
    """``initial`` exp(``growth`` (t - ``start``)) [L/h] from ``start`` [h] on, never above ``highest``.

    The classical feed that keeps a specific growth rate, as in Xu et al. (1999).
    """

    initial: float
    growth: float
    start: float = 0.0
    highest: float = np.inf

    def __post_init__(self) -> None:
        _check_finite(self.initial, self.growth, self.start)
        if np.isnan(self.highest):
            raise StudyError("the highest rate of an exponential feed is nan; give a number, or leave it out")

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        return min(self.highest, self.initial * exp(self.growth * (time - self.start))) if time >= self.start else 0.0

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The start, and where the highest rate is met."""
        if 0.0 < self.initial < self.highest < np.inf and self.growth > 0.0:
            return (self.start, self.start + float(np.log(self.highest / self.initial)) / self.growth)
        return (self.start,)


@dataclass(frozen=True)
class StepFeed:
    """Rates held between edges: ``rates[i]`` from ``edges[i]`` to ``edges[i + 1]``, the last one for ever.

    Parameters
    ----------
    edges
        Ascending times [h], one more than rates.
    rates
        [L/h].

    Raises
    ------
    StudyError
        If edges do not ascend, or numbers do not match.

    Examples
    --------
    >>> StepFeed((0.0, 1.0, 2.0), (0.01, 0.03))(1.0)
    0.03
    """

    edges: tuple[float, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.rates) + 1 or not self.rates:
            raise StudyError(f"{len(self.rates)} rates need {len(self.rates) + 1} edges, {len(self.edges)} were given")
        if np.any(np.diff(self.edges) <= 0.0) or not np.all(np.isfinite([*self.edges, *self.rates])):
            raise StudyError("the edges of a stepwise feed must ascend, and all its numbers be finite")

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        position = int(np.searchsorted(self.edges, time, side="right")) - 1
        return self.rates[min(max(position, 0), len(self.rates) - 1)]

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The inner edges."""
        return self.edges[1:-1]


@dataclass(frozen=True)
class LinearFeed:
    """Straight lines between ``values`` [L/h] at ``times`` [h], held before the first and after the last.

    Raises
    ------
    StudyError
        If times do not ascend, or numbers do not match.

    Examples
    --------
    >>> LinearFeed((0.0, 2.0), (0.01, 0.03))(0.5)
    0.015
    """

    times: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.times) != len(self.values) or not self.values:
            raise StudyError(f"{len(self.values)} values need as many times, {len(self.times)} were given")
        if np.any(np.diff(self.times) <= 0.0) or not np.all(np.isfinite([*self.times, *self.values])):
            raise StudyError("the times of a feed of lines must ascend, and all its numbers be finite")

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        return float(np.interp(time, self.times, self.values))

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The times."""
        return self.times


def _check_finite(*numbers: float) -> None:
    if not np.all(np.isfinite(numbers)):
        raise StudyError(f"a feed was given {', '.join(map(str, numbers))}; all its numbers must be finite")


def read_feed(path: str | Path) -> StepFeed:
    """Read a feed table: a header, then a row ``from, to, rate`` [h, h, L/h] for each step, without gaps.

    Raises
    ------
    StudyError
        If the file is missing or no such table.
    """
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
    except (OSError, ValueError) as error:
        raise StudyError(
            f"{path} is no feed table ({error}); give a CSV with a header and rows: from, to, rate"
        ) from error
    if table.size == 0 or table.shape[1] != 3 or not np.allclose(table[1:, 0], table[:-1, 1]):
        raise StudyError(f"{path} is no feed table; give rows: from, to, rate, each beginning where the last one ended")
    return StepFeed((*table[:, 0].tolist(), float(table[-1, 1])), tuple(table[:, 2].tolist()))

"""Starts of a search: simulated controls that keep the limits, among them the best of simple shapes.

A solve begins from a start, and a search ends with one at the least: no plan is worse than the best start that keeps the
limits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp
from typing import Final

import numpy as np

from mmopt.errors import SolverError
from mmopt.problem.control import Control
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import ConstantFeed, Profile
from mmopt.results import Trajectory
from mmopt.search.initial_guess import (
    Guess,
    feasible_guess,
    keeps_limits,
    moves_allowed,
    never,
    simulated_steps,
    step_levels,
)

_BEGINNINGS: Final = (0.0, 0.1, 0.2, 0.35)
"""Fractions of the horizon after which a simple feed may begin."""

_GROWTHS: Final = (0.5, 1.0, 2.0, 4.0)
"""Growth of an exponential feed over the whole horizon, as exponents."""

_FACTOR: Final = 1.5
_SMALLEST: Final = 1.0 / 64.0
"""Factor between two sizes of a shape that are tried, and the smallest of them, as a fraction of the range of the control."""

_REFINED, _REFINEMENTS = 3, 4
"""Best shapes whose size is refined, and how often the logarithm of its bracket is halved."""

_TOLERANCE: Final = 1.0e-4
_POINTS: Final = 60

_SHRUNK: Final = (1.0, 0.98, 0.95, 0.9)
"""Sizes that are tried where a shape as steps violates a limit that the shape itself keeps."""


@dataclass(frozen=True)
class ShapedFeed:
    """A feed of a simple shape: exp(``growth`` (t - ``end``)) of a range above its lowest value, from ``start`` on.

    Attributes
    ----------
    low, height
        Lowest value, and the height above it at the end.
    start, end
        Times at which it begins, and reaches its height [h].
    growth
        Growth rate [1/h]; 0 is a constant feed.

    Examples
    --------
    >>> from mmopt.search.starts import ShapedFeed
    >>> feed = ShapedFeed(0.0, 0.1, start=1.0, end=5.0, growth=0.0)
    >>> feed(0.5), feed(2.0)
    (0.0, 0.1)
    """

    low: float
    height: float
    start: float
    end: float
    growth: float

    def __call__(self, time: float) -> float:
        """Rate at a time [h]."""
        return self.low + (self.height * exp(self.growth * (time - self.end)) if time >= self.start else 0.0)

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The start."""
        return (self.start,)


@dataclass(frozen=True, eq=False)
class Start:
    """A simulation to start from.

    Attributes
    ----------
    name
        How its controls were chosen.
    guess
        The simulation.
    keeps
        Whether it keeps all limits, those at the end and those of the rate of change among them.
    objective
        Its objective.
    """

    name: str
    guess: Guess
    keeps: bool
    objective: float

    @classmethod
    def of(cls, name: str, guess: Guess, problem: Problem) -> "Start":
        """Evaluate a simulation.

        Parameters
        ----------
        name
            How its controls were chosen.
        guess
            The simulation.
        problem
            Its problem.

        Returns
        -------
        Start
        """
        keeps = keeps_limits(problem, guess.trajectory, problem.final) and moves_allowed(problem, guess.trajectory)
        return cls(name, guess, keeps, problem.objective_value(guess.trajectory))

    @property
    def rank(self) -> tuple[bool, float]:
        """The better the higher."""
        return self.keeps, self.objective


def lowered_start(name: str, simulator: Simulator, wanted: Mapping[str, Profile]) -> Start:
    """Return wanted controls, lowered until they keep the limits.

    Parameters
    ----------
    name
        How the controls were chosen.
    simulator
        The problem with the surrogate of its cell.
    wanted
        Profile of every control.

    Returns
    -------
    Start
    """
    return Start.of(name, feasible_guess(simulator, wanted), simulator.problem)


def simple_starts(simulator: Simulator, *, stop: Callable[[], bool] | None = None) -> list[Start]:
    """Return the best constant and the best exponential feed, where any of a small grid keeps the limits.

    Where no feed at all is the best of both, it is returned once.

    All controls have the same shape within their ranges; its size is the best of a bisection for the largest that keeps the
    limits. Where that leads to none, and there are several controls, one has the shape and the others are at their highest
    values, then at their lowest: a stirrer helps where a feed harms.

    Parameters
    ----------
    simulator
        The problem with the surrogate of its cell.
    stop
        Whether to come to an end, as at a deadline; what is best by then is returned.

    Returns
    -------
    list of Start
        At most two.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, 4), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    >>> starts = simple_starts(Simulator(problem, load_surrogate("ecoli_ijo1366")))
    >>> [start.name for start in starts], all(start.keeps for start in starts)
    (['best constant feed', 'best exponential feed'], True)
    """
    ended = stop or never
    for held in _held(simulator.problem):
        starts = _simple_starts(_Shapes(simulator, held, ended))
        if starts or ended():
            return starts
    return []


def _held(problem: Problem) -> list[dict[str, float]]:
    """Controls that are held while the others have a shape: none first, then all but one."""
    cases: list[dict[str, float]] = [{}]
    free = [name for name, control in problem.controls.items() if control.low < control.high]
    if len(free) > 1:
        for ends in ("high", "low"):
            cases += [
                {name: getattr(control, ends) for name, control in problem.controls.items() if name != shaped}
                for shaped in free
            ]
    return cases


def _simple_starts(shapes: "_Shapes") -> list[Start]:
    hours = shapes.problem.horizon.hours
    beginnings = [fraction * hours for fraction in _BEGINNINGS]
    families = {
        "best constant feed": [(beginning, 0.0) for beginning in beginnings],
        "best exponential feed": [(beginning, growth / hours) for beginning, growth in product(beginnings, _GROWTHS)],
    }
    no_feed = _tried(shapes, 0.0, (0.0, 0.0))
    starts: list[Start] = []
    for name, family in families.items():
        best = _best_of(shapes, family, no_feed)
        start = None if best is None else _as_steps(name, shapes, best.size, *best.shape)
        if start is not None and (best is not no_feed or not starts):
            starts.append(start)
    return starts


@dataclass(frozen=True)
class _Shapes:
    """Feeds of simple shapes for a problem, some of whose controls are held."""

    simulator: Simulator
    held: Mapping[str, float]
    ended: Callable[[], bool]

    @property
    def problem(self) -> Problem:
        return self.simulator.problem

    def profiles(self, size: float, beginning: float, growth: float) -> dict[str, Profile]:
        """Profile of every control."""

        def profile(name: str, control: Control) -> Profile:
            if name in self.held:
                return ConstantFeed(self.held[name])
            height = size * (control.high - control.low)
            return ShapedFeed(control.low, height, beginning, self.problem.horizon.hours, growth)

        return {name: profile(name, control) for name, control in self.problem.controls.items()}


@dataclass(frozen=True)
class _Sized:
    """A size of a shape: whether it keeps the limits, those at the end as well, and its objective."""

    size: float
    shape: tuple[float, float]
    keeps: bool
    counts: bool
    objective: float


def _tried(shapes: _Shapes, size: float, shape: tuple[float, float]) -> _Sized | None:
    """Simulate a size of a shape; None if the simulation fails, as where a vessel overflows any equation."""
    problem = shapes.problem
    try:
        trajectory = shapes.simulator.run(shapes.profiles(size, *shape), points=_POINTS, tolerance=_TOLERANCE)
    except SolverError:
        return None
    keeps = keeps_limits(problem, trajectory)
    counts = keeps and keeps_limits(problem, trajectory, problem.final)
    return _Sized(size, shape, keeps, counts, problem.objective_value(trajectory))


class _Bracket:
    """The sizes of a shape between which the largest lies that keeps the limits, from a size that is near it."""

    def __init__(self, shapes: _Shapes, shape: tuple[float, float], near: float) -> None:
        self._shapes, self._shape = shapes, shape
        self._low, self._high = 0.0, np.inf
        self.best: _Sized | None = None
        size = near
        while size >= _SMALLEST and self._low < 1.0 and (self._low == 0.0 or self._high == np.inf):
            size = min(1.0, size * _FACTOR) if self._try(size) else size / _FACTOR

    @property
    def keeps(self) -> bool:
        """Whether any size keeps the limits."""
        return self._low > 0.0

    @property
    def near(self) -> float:
        """A size from which the search of another shape may begin."""
        return max(self._low, _SMALLEST)

    @property
    def rank(self) -> float:
        """The better the higher."""
        return -np.inf if self.best is None else self.best.objective

    def refine(self) -> None:
        """Halve the bracket, in the logarithm of the size."""
        if 0.0 < self._low < self._high < np.inf:
            self._try(float(np.sqrt(self._low * self._high)))
        elif self._low == 1.0:  # more is not always better
            self._try(1.0 / _FACTOR)

    def _try(self, size: float) -> bool:
        """Simulate a size, and return whether it keeps the limits."""
        sized = _tried(self._shapes, size, self._shape)
        keeps = sized is not None and sized.keeps
        if sized is not None and sized.counts and sized.objective > self.rank:
            self.best = sized
        self._low, self._high = (max(self._low, size), self._high) if keeps else (self._low, min(self._high, size))
        return keeps


def _objective(sized: _Sized) -> float:
    return sized.objective


def _best_of(shapes: _Shapes, family: Sequence[tuple[float, float]], no_feed: _Sized | None) -> _Sized | None:
    """The best size of the best shape; every shape begins near the size of the one before."""
    brackets = [_Bracket(shapes, family[0], 1.0)]
    if not brackets[0].keeps and (no_feed is None or not no_feed.keeps):
        return None  # neither no feed nor any size of the first shape keeps the limits
    for shape in family[1:]:
        if shapes.ended():
            break
        brackets.append(_Bracket(shapes, shape, brackets[-1].near))
    brackets.sort(key=lambda bracket: bracket.rank, reverse=True)
    for bracket in brackets[:_REFINED]:
        for _ in range(_REFINEMENTS):
            if not shapes.ended():
                bracket.refine()
    candidates = [no_feed, *(bracket.best for bracket in brackets)]
    return max((one for one in candidates if one is not None and one.counts), key=_objective, default=None)


def _as_steps(name: str, shapes: _Shapes, size: float, beginning: float, growth: float) -> Start | None:
    """A shape as steps of the mesh, a little smaller if it must be."""
    problem = shapes.problem
    for shrunk in _SHRUNK:
        levels = step_levels(problem, shapes.profiles(shrunk * size, beginning, growth))
        try:
            trajectory: Trajectory = simulated_steps(shapes.simulator, levels)
        except SolverError:
            continue
        start = Start.of(name, Guess(trajectory, float(np.clip(shrunk * size, 0.0, 1.0))), problem)
        if start.keeps:
            return start
    return None

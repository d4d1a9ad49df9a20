"""What a controller writes in a step without an optimum: the fallbacks, one after the other.

The last plan comes first, then a conservative exponential feed that keeps the limits in a simulation, then the controls that
were written last, then the lowest. The feed is prepared while steps succeed, so that a step that has failed only reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp
from typing import Any, Final

from mmopt.control.gate import FLOW
from mmopt.errors import SolverError
from mmopt.parallel.own_process import OwnProcess
from mmopt.problem.control import Control
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.search.options import Deadline
from mmopt.status import Status

SIMULATED, LAST_PLAN, EXPONENTIAL = "simulated controls", "last plan", "exponential feed"
HELD, LOWEST = "held controls", "lowest controls"
FALLBACKS: Final = (SIMULATED, LAST_PLAN, EXPONENTIAL, HELD, LOWEST)
"""The fallbacks, in the order they are tried."""

MOST_OF_PLAN: Final = 3
"""Steps in a row for which the last plan is followed."""

MOST_HELD: Final = 2
"""Steps without an optimum in between for which the last written controls are held."""

_GROWTH: Final = 1.0
"""Exponent by which a conservative feed grows from its start to the end of the batch."""

_SMALLEST: Final = 1.0 / 128.0
"""Smallest size of such a feed that is tried, as a fraction of the range of the control."""

_NEGLIGIBLE: Final = 0.01
"""Fraction of a limit by which its simulation may violate it: a plan rides its limits, and the feed begins at a state of it."""

_RESERVE, _MOST_RESERVE = 0.1, 0.5
"""Fraction of the time that is left, and seconds at the most, which simulations leave for the way back from a process."""

_POINTS, _TOLERANCE = 60, 1.0e-4

_SAME_TIME: Final = 1.0e-9


@dataclass(frozen=True)
class Move:
    """Decision of a controller for the next interval.

    Attributes
    ----------
    controls
        Value of every control, held over the interval.
    status
        How the solve behind it ended.
    iterations, seconds
        Sums over all solves of the step.
    fallback
        Empty if the move is the optimum's; else the fallback it comes from, one of `mmopt.control.fallbacks.FALLBACKS`.
    reason
        Why there was a fallback.
    violations
        Limits that the plan violates, in words: which, by how much, and when in hours from now.
    notes
        What was changed in the estimate, done where limits cannot be kept, or why fallbacks were left out.

    Examples
    --------
    >>> Move({"feed": 0.05}, Status.OPTIMAL, iterations=7, seconds=0.03).fallback
    ''
    """

    controls: Mapping[str, float]
    status: Status
    iterations: int
    seconds: float
    fallback: str = ""
    reason: str = ""
    violations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class GrowingControl:
    """A control that grows exponentially above its lowest value, inside its windows.

    Attributes
    ----------
    control
        Range and windows.
    size
        Height at the end, as a fraction of the range.
    start, end
        Times between which it grows [h].

    Examples
    --------
    >>> from mmopt import Control
    >>> from mmopt.control.fallbacks import GrowingControl
    >>> feed = GrowingControl(Control(0.0, 0.1), size=0.5, start=1.0, end=5.0)
    >>> round(feed(1.0), 4), feed(5.0)
    (0.0184, 0.05)
    """

    control: Control
    size: float
    start: float
    end: float

    def __call__(self, time: float) -> float:
        """Value at a time [h]."""
        control = self.control
        windows = control.windows
        if windows is not None and not any(begin <= time < end for begin, end in windows):
            return control.low
        grown = exp(_GROWTH * (min(time, self.end) - self.end) / (self.end - self.start))
        return control.low + self.size * (control.high - control.low) * grown

    @property
    def breakpoints(self) -> tuple[float, ...]:
        """The edges of the windows."""
        return tuple(sorted({edge for window in self.control.windows or () for edge in window}))


class Fallbacks:
    """The controls of steps without an optimum.

    Parameters
    ----------
    problem
        The problem of the whole batch.
    interval
        Time between moves [h].
    ends
        Whether the batch ends with the horizon of the problem. An exponential feed is that of a batch that ends, whose controls
        are flows; any other problem has none.

    Examples
    --------
    >>> from mmopt.control.fallbacks import Fallbacks
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0), {"feed": (0.0, 0.1)})
    >>> fallbacks = Fallbacks(problem, interval=0.5)
    >>> [fallbacks.controls(0.0, None, {"feed": 0.03})[:2] for _ in range(3)]
    [({'feed': 0.03}, 'held controls'), ({'feed': 0.03}, 'held controls'), ({'feed': 0.0}, 'lowest controls')]
    """

    def __init__(self, problem: Problem, interval: float, ends: bool = True) -> None:
        units = {control.name: control.unit for control in problem.system.controls}
        self._problem, self._interval = problem, interval
        self._has_feed = ends and all(units[name] == FLOW for name in problem.controls)
        self.reset()

    def reset(self) -> None:
        """Forget everything, for another batch."""
        self._failed, self._held, self._near = 0, 0, 1.0
        self._feed: Mapping[str, GrowingControl] = {}
        self._why = "none was prepared" if self._has_feed else "the problem has none"
        self._none_keeps = False

    def follow(self) -> None:
        """Count a step that succeeded."""
        self._failed, self._held = 0, 0

    @property
    def need_feed(self) -> bool:
        """Whether a step that fails now does not follow the last plan any more."""
        return self._failed >= MOST_OF_PLAN

    @property
    def first_use(self) -> float:
        """Time from a step that succeeded to the first at which the exponential feed can be needed [h]."""
        return (MOST_OF_PLAN + 1) * self._interval

    def prepare(self, solver: Any, time: float, start: float, states: Mapping[str, float], deadline: Deadline) -> None:
        """Prepare the exponential feed; whatever happens, there is one that keeps the limits, or none.

        Where that fails for a feed that is to begin now, the one that was prepared before stays.

        Parameters
        ----------
        solver
            The solver of the controller, with the data of the present step, here or in a process of its own.
        time, start
            Times of the batch now, and at which the feed begins [h].
        states
            Every state at its begin.
        deadline
            When to stop.
        """
        end = self._problem.horizon.hours
        if not self._has_feed or start >= end - _SAME_TIME:
            self._feed = {}
            return
        first = min(1.0, 2.0 * self._near)
        earlier = replace(deadline, at=deadline.at - min(_RESERVE * max(0.0, deadline.left), _MOST_RESERVE))
        given = (start - time, end - time, states, first, earlier)
        try:
            if isinstance(solver, OwnProcess):
                size = solver.run(largest_size, *given, seconds=deadline.left)
            else:
                size = largest_size(solver, *given)
        except Exception as error:  # a fallback of its own follows
            size, self._why = None, f"{type(error).__name__}: {error}"
        else:
            self._why = "no time was left" if size is None else "none keeps the limits"
        if size is None and start <= time:
            return
        self._none_keeps = size == 0.0
        self._near = size or self._near
        feeds = {name: GrowingControl(one, size or 0.0, start, end) for name, one in self._problem.controls.items()}
        self._feed = feeds if size else {}

    def controls(
        self, time: float | None, planned: Mapping[str, float] | None, last: Mapping[str, float]
    ) -> tuple[dict[str, float], str, str]:
        """Return the controls of a step that failed.

        Parameters
        ----------
        time
            Time of the batch [h]; None if it is not known.
        planned
            Controls of the last plan now; None if there is none.
        last
            The controls that were written last; empty if there are none.

        Returns
        -------
        controls, fallback, why
            Value of every control, the fallback they come from, and why those before it were left out.
        """
        self._failed += 1
        if planned is not None and self._failed <= MOST_OF_PLAN:
            return dict(planned), LAST_PLAN, ""
        why = "there is no plan" if planned is None else f"the last plan was followed for {MOST_OF_PLAN} steps"
        if (fed := self._fed(time)) is not None:
            return fed, EXPONENTIAL, why
        why = f"{why}; exponential feed: {self._why}"
        if self._none_keeps:
            why = f"{why}, so the controls are not held"
        elif last and self._held < MOST_HELD:
            self._held += 1
            return dict(last), HELD, why
        else:
            why = f"{why}; " + (
                f"controls were held for {MOST_HELD} steps" if last else "nothing to be held was written"
            )
        return {name: float(control.low) for name, control in self._problem.controls.items()}, LOWEST, why

    def _fed(self, time: float | None) -> dict[str, float] | None:
        """The exponential feed in the middle of the next interval; None where there is none."""
        if time is None or not self._feed:
            return None
        if any(time < feed.start - _SAME_TIME or time > feed.end for feed in self._feed.values()):
            self._why = "it was prepared for another time"
            return None
        return {name: feed(min(time + self._interval / 2.0, feed.end)) for name, feed in self._feed.items()}


def largest_size(
    solver: Any, start: float, end: float, states: Mapping[str, float], first: float, deadline: Deadline
) -> float | None:
    """Return a size of an exponential feed with which a simulation keeps the limits, halved from the first.

    Parameters
    ----------
    solver
        A solver with ``simulators`` of its problem, of one in every scenario.
    start, end
        Times of that problem between which the feed grows [h].
    states
        Every state at its start.
    first
        Size that is tried first, as a fraction of the range of the control.
    deadline
        When to stop.

    Returns
    -------
    float or None
        0 if none keeps the limits; None if no time was left.
    """
    simulators, size = solver.simulators, first
    while size >= _SMALLEST:
        if deadline.has_passed():
            return None
        controls = simulators[0].problem.controls
        feeds = {name: GrowingControl(control, size, start, end) for name, control in controls.items()}
        if all(_keeps(simulator, feeds, start, end, states) for simulator in simulators):
            return size
        size /= 2.0
    return 0.0


def _keeps(
    simulator: Simulator, feeds: Mapping[str, GrowingControl], start: float, end: float, states: Mapping[str, float]
) -> bool:
    """Whether a simulation with these feeds keeps the limits, but for those at the end."""
    try:
        fed = simulator.run(feeds, initial=states, begin=start, end=end, points=_POINTS, tolerance=_TOLERANCE)
    except SolverError:  # such as in a vessel that overflows
        return False
    problem = replace(simulator.problem, final={})
    return max(problem.violated_limits(fed).values(), default=0.0) <= _NEGLIGIBLE

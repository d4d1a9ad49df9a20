"""State and parameter estimation: an extended Kalman filter around the same equations that are optimised.

The prediction integrates the system together with its sensitivities. Parameters that are estimated drift as random walks, so
that a controller adapts, say, to a worse aeration than it assumed. A value that arrives late corrects the estimate at the time
of its sample, and everything after it is computed again.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from mmopt.checking import finite, shown
from mmopt.control.gate import number
from mmopt.control.plant import LateValue
from mmopt.errors import StudyError, nearest
from mmopt.estimation.filter import Estimate, KalmanFilter
from mmopt.estimation.readout import check_sensors
from mmopt.parallel.threads import one_thread_at_a_time
from mmopt.reactor.system import Metabolism, System
from mmopt.simulation.simulate import checked_values, merged_parameters

_FAR: Final = 6.0
"""Standard deviations beyond which a measurement is left out."""

_LESS_CERTAIN: Final = 4.0
"""Factor of the variance of what was left out: a change that stays is followed after some samples."""

_FROZEN: Final = 2
"""Repetitions of a value to the last digit, where it should have moved by more than its noise, that mean a frozen sensor."""

_MOST_INTERVALS: Final = 500
"""Intervals that are kept for values that arrive late."""

_SAME_TIME: Final = 1.0e-9


@dataclass(frozen=True)
class _Interval:
    """An interval of the past: the estimate at its beginning before the measurements there, and what happened.

    ``extra`` is the covariance that values left out there have added.
    """

    begin: float
    before: Estimate
    extra: np.ndarray
    measured: Mapping[str, float]
    held: Mapping[str, float]
    controls: Mapping[str, float]
    duration: float


@dataclass
class _Repeated:
    """The last value of a sensor, what was expected after it, and how often it was repeated though it should have moved."""

    value: float
    expected: float = field(default=math.nan)
    times: int = 0


class Estimator:
    """An extended Kalman filter for the states, and for parameters that are not known well.

    Parameters
    ----------
    system
        The system.
    metabolism
        Metabolism of the cell; None for a system without one.
    initial
        First estimate of every state.
    noise
        Standard deviation of the measurement by measured quantity, in its unit. A measured quantity is a state, or one that
        the system derives, such as ``oxygen_uptake`` from the off-gas.
    parameters
        Values that differ from the system's.
    drifting
        Standard deviation by which an estimated parameter may change in the square root of an hour, relative to its value.
    drift
        The same for every state, relative to its estimate: how far the equations may be wrong.
    uncertainty
        Standard deviation of the first estimate, relative to it.

    Raises
    ------
    StudyError
        If a name is unknown, or a number is missing, not finite or out of range.

    References
    ----------
    Gelb (1974), Applied Optimal Estimation, MIT Press.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> estimator = Estimator(ecoli_fed_batch(), load_surrogate("ecoli_ijo1366"), start, {"biomass": 0.02})
    >>> estimator.update({"biomass": 1.1})
    ()
    >>> 1.0 < estimator.states["biomass"] < 1.1
    True
    """

    def __init__(
        self,
        system: System,
        metabolism: Metabolism | None,
        initial: Mapping[str, float],
        noise: Mapping[str, float],
        *,
        parameters: Mapping[str, float] | None = None,
        drifting: Mapping[str, float] | None = None,
        drift: float = 0.02,
        uncertainty: float = 0.05,
    ) -> None:
        names = [state.name for state in system.states]
        check_sensors(system, noise)
        for name, deviation in noise.items():
            finite(f"noise of {name}", deviation, above=0.0)
        fixed = merged_parameters(system, parameters)
        for name, amount in (drifting or {}).items():
            if name not in fixed:
                raise StudyError(f"there is no parameter '{name}'; {nearest(name, fixed)}")
            finite(f"drift of {name}", amount, least=0.0)
        drifts = np.array([finite("drift", drift, least=0.0)] * len(names) + list((drifting or {}).values()))
        self._noise, self._drifting = dict(noise), list(drifting or {})
        self._filter = KalmanFilter(system, metabolism, fixed, self._drifting, drifts, noise)
        first = checked_values(initial, names, "state")
        self._now = self._before = self._filter.first(first, finite("uncertainty", uncertainty, above=0.0))
        self._extra = np.zeros_like(self._now.covariance)
        self._measured: dict[str, float] = {}
        self._controls = {known.name: max(known.lower, 0.0) for known in system.controls}
        self._past: deque[_Interval] = deque(maxlen=_MOST_INTERVALS)
        self._repeated: dict[str, _Repeated] = {}
        self._far: dict[str, tuple[float, bool]] = {}
        self.time = 0.0

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the measured quantities."""
        return tuple(self._noise)

    @property
    def states(self) -> dict[str, float]:
        """Present estimate of every state."""
        return self._filter.named(self._now.mean)[0]

    @property
    def parameters(self) -> dict[str, float]:
        """Present estimate of the drifting parameters."""
        values = self._filter.named(self._now.mean)[1]
        return {name: values[name] for name in self._drifting}

    @property
    def deviations(self) -> dict[str, float]:
        """Standard deviation of the estimate of every state and drifting parameter, in its unit."""
        spread = np.sqrt(np.maximum(np.diag(self._now.covariance), 0.0)) * self._filter.scale
        return dict(zip(self._filter.unknowns, spread.tolist(), strict=True))

    @one_thread_at_a_time
    def predict(self, controls: Mapping[str, float], duration: float) -> None:
        """Predict the estimate after an interval.

        Parameters
        ----------
        controls
            Value of every control, held over the interval.
        duration
            Length of the interval [h].

        Raises
        ------
        StudyError, SolverError
            As `mmopt.simulation.simulate`.
        """
        after = self._filter.predicted(self._now, controls, duration)
        begin = self.time, self._before, self._extra, self._measured, self._controls
        self._past.append(_Interval(*begin, dict(controls), duration))
        self._now = self._before = after
        self._controls, self._measured, self._extra = dict(controls), {}, np.zeros_like(after.covariance)
        self.time += duration

    @one_thread_at_a_time
    def update(self, measured: Mapping[str, Any]) -> tuple[str, ...]:
        """Correct the estimate by a measurement.

        Values that are missing, no numbers or not finite are left out, and so are values of a sensor that repeats itself to
        the last digit where it should have moved. A value further from what is expected than six standard deviations of both
        together is left out, too, and doubles that of what it shows: a wrong value changes nothing, and a change that stays is
        followed after some samples.

        Parameters
        ----------
        measured
            Measured values by quantity, in its unit; a `LateValue` corrects the estimate at the time of its sample.

        Returns
        -------
        tuple of str
            What was left out, and why.

        Raises
        ------
        StudyError
            If a name is no measured quantity.
        """
        for name in measured:
            if name not in self._noise:
                raise StudyError(f"there is no sensor '{name}'; {nearest(str(name), self._noise)}")
        notes: list[str] = []
        before = self._now
        present = dict(_numbers(measured, notes))
        for name, late in present.items():
            if isinstance(late, LateValue):
                notes += self._amend(name, late)
        prompt = {name: value for name, value in present.items() if not isinstance(value, LateValue)}
        seen = list(prompt)
        self._leave_out_frozen(prompt, notes)
        self._weigh(prompt, notes)
        if self._now is not before:
            self._refine(notes)
        if seen:
            expected = self._filter.expected(self._now, self._controls)
            for name in seen:
                self._repeated[name].expected = expected[name][0]
        return tuple(notes)

    def _refine(self, notes: list[str]) -> None:
        """Improve the corrected estimate: the filter's is final."""

    def _weigh(self, measured: Mapping[str, float], notes: list[str]) -> None:
        """Correct the present estimate."""
        self._now, kept, extra = self._weighed(self._now, measured, self._controls, notes)
        self._measured, self._extra = {**self._measured, **kept}, self._extra + extra

    def _weighed(
        self, estimate: Estimate, measured: Mapping[str, float], controls: Mapping[str, float], notes: list[str]
    ) -> tuple[Estimate, dict[str, float], np.ndarray]:
        """The estimate corrected by what is not far from what is expected, the values that count, and added covariance."""
        before = estimate.covariance
        if not measured:
            return estimate, {}, np.zeros_like(before)
        expected, kept = self._filter.expected(estimate, controls), {}
        for name, value in measured.items():
            middle, deviation = expected[name]
            width = max(deviation, self._width_after_far(name, value > middle))
            if abs(value - middle) > _FAR * width:
                notes.append(f"{name} is {value:g}, where {middle:.4g} +- {deviation:.2g} was expected")
                self._far[name] = width, bool(value > middle)
                estimate = self._filter.less_certain(estimate, name, controls, _LESS_CERTAIN, deviation)
            else:
                kept[name] = value
                self._far.pop(name, None)
                if width > deviation:
                    estimate = self._filter.less_certain(estimate, name, controls, 1.0, width)
        return self._filter.corrected(estimate, kept, controls), kept, estimate.covariance - before

    def _width_after_far(self, name: str, above: bool) -> float:
        """Least deviation that counts after a value that was far on the same side: twice that one's.

        The covariance that was added then may be gone: where a species is predicted to be spent, whatever was there before.
        """
        width, side = self._far.get(name, (0.0, above))
        return 2.0 * width if side == above else 0.0

    def _leave_out_frozen(self, measured: dict[str, float], notes: list[str]) -> None:
        """Remove values of sensors that repeat themselves to the last digit, where more than noise was expected to change."""
        expected = self._filter.expected(self._now, self._controls) if measured else {}
        for name, value in list(measured.items()):
            last = self._repeated.setdefault(name, _Repeated(value))
            if value != last.value:
                self._repeated[name] = _Repeated(value)
            elif abs(expected[name][0] - last.expected) > self._noise[name]:
                last.times += 1
            if self._repeated[name].times >= _FROZEN:
                notes.append(f"{name} is {value:g} again, to the last digit, where a change was expected; it is frozen")
                del measured[name]

    def _amend(self, name: str, late: LateValue) -> list[str]:
        """Correct the estimate at an earlier time, and compute everything after it again."""
        if late.taken >= self.time - _SAME_TIME:
            if late.taken > self.time + _SAME_TIME:
                return [f"{name} was sampled at {late.taken:g} h, after the present {self.time:g} h"]
            notes: list[str] = []
            self._weigh({name: late.value}, notes)
            return notes
        if not self._past or late.taken < self._past[0].begin - _SAME_TIME:
            return [f"{name} was sampled at {late.taken:g} h, before all that is kept"]
        return self._replay(name, late)

    def _replay(self, name: str, late: LateValue) -> list[str]:
        """Go back to the interval of a sample, and repeat what happened since, with its value."""
        notes: list[str] = []
        again = [interval for interval in self._past if interval.begin + interval.duration > late.taken + _SAME_TIME]
        past, now = list(self._past)[: -len(again)], again[0].before
        for interval in _split(again, late.taken):
            before, extra, measured = now, interval.extra, dict(interval.measured)
            now = self._filter.corrected(now.widened(extra), measured, interval.held)
            if abs(interval.begin - late.taken) <= _SAME_TIME:
                now, kept, added = self._weighed(now, {name: late.value}, interval.held, notes)
                measured, extra = {**measured, **kept}, extra + added
            past.append(replace(interval, before=before, extra=extra, measured=measured))
            now = self._filter.predicted(now, interval.controls, interval.duration)
        corrected = self._filter.corrected(now.widened(self._extra), self._measured, self._controls)
        self._past = deque(past, maxlen=_MOST_INTERVALS)
        self._before, self._now = now, corrected
        return notes


def _split(intervals: list[_Interval], time: float) -> Iterator[_Interval]:
    """Intervals, of which the first is cut at a time if it does not begin there."""
    first = intervals[0]
    until = time - first.begin
    if until <= _SAME_TIME:
        yield from intervals
        return
    yield replace(first, duration=until)
    none = np.zeros_like(first.extra)
    yield replace(first, begin=time, extra=none, measured={}, held=first.controls, duration=first.duration - until)
    yield from intervals[1:]


def _numbers(measured: Mapping[str, Any], notes: list[str]) -> Iterator[tuple[str, Any]]:
    """Values that are finite numbers; a note about each that is none."""
    for name, given in measured.items():
        value = given.value if isinstance(given, LateValue) else given
        usable = number(value)
        if usable is None:
            notes.append(f"{name} is {shown(value)}, no finite number")
        else:
            yield name, LateValue(usable, given.taken) if isinstance(given, LateValue) else usable

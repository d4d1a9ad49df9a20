"""Simulated plants, and when their sensors are read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.checking import NotNegative, Positive, checked, finite, shown
from mmopt.errors import StudyError, nearest
from mmopt.estimation.readout import check_sensors, measurable
from mmopt.parallel.threads import one_thread_at_a_time
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.system import Metabolism, System
from mmopt.results import Trajectory
from mmopt.simulation.compiled import derivative_of
from mmopt.simulation.simulate import as_trajectory, checked_cell, checked_values, merged_parameters, simulate
from mmopt.status import Status

_POINTS: Final = 16
"""Times of an interval in the result."""

_SAME_TIME: Final = 1.0e-9


@checked
class Sampling:
    """When a quantity is sampled, and how long its analysis takes.

    Parameters
    ----------
    every
        Time between samples [h]; None for one at every move of the controller.
    delay
        Time from a sample to its value [h]: that of an analysis in the laboratory, or the lag of an off-gas analyser.

    Raises
    ------
    StudyError
        If a number is not finite or out of range.

    Examples
    --------
    >>> every_four_hours = Sampling(every=4.0, delay=1.0)
    >>> every_four_hours.is_due(6.0, last=4.0), every_four_hours.is_due(8.5, last=4.0)
    (False, True)
    """

    every: Positive | None = None
    delay: NotNegative = 0.0

    def is_due(self, time: float, last: float | None) -> bool:
        """Return whether a sample is taken: the first chance at or after every multiple of ``every``.

        Parameters
        ----------
        time
            Time since the start of the batch [h].
        last
            When the last sample was taken [h]; None if there is none.

        Returns
        -------
        bool
        """
        if self.every is None or last is None:
            return True
        following = (math.floor(last / self.every + _SAME_TIME) + 1) * self.every
        return time >= following - _SAME_TIME


@dataclass(frozen=True)
class LateValue:
    """A measured value whose sample was taken earlier.

    Parameters
    ----------
    value
        The value, in the unit of its quantity.
    taken
        When the sample was taken: time since the start of the batch [h].

    Raises
    ------
    StudyError
        If the time is no finite number from 0 up.

    Examples
    --------
    >>> LateValue(3.2, taken=4.0)
    LateValue(value=3.2, taken=4.0)
    """

    value: float
    taken: float

    def __post_init__(self) -> None:
        finite("taken", self.taken, least=0.0, unit="h")


def checked_sampling(
    sampling: Mapping[str, Sampling] | None, sensors: Mapping[str, float] | None
) -> dict[str, Sampling]:
    """Return how quantities are sampled, after a check.

    Parameters
    ----------
    sampling
        Sampling by measured quantity.
    sensors
        The measured quantities.

    Returns
    -------
    dict
        Sampling by measured quantity.

    Raises
    ------
    StudyError
        If a name is not measured, or a value is no `Sampling`.
    """
    for name, own in (sampling or {}).items():
        if name not in (sensors or {}):
            raise StudyError(f"sampling names '{name}', which is not measured; {nearest(str(name), sensors or {})}")
        if not isinstance(own, Sampling):
            raise StudyError(f"sampling of {name} is {shown(own)}; give a Sampling")
    return dict(sampling or {})


_PROMPT: Final = Sampling()


class Plant:
    """A simulated plant with its own parameters and noisy sensors; usually with the flux program as its cell.

    Parameters
    ----------
    system
        The system.
    metabolism
        Metabolism of the cell; None for a system without one.
    initial
        Value of every state, in its unit.
    parameters
        The true values that differ from the system's.
    noise
        Standard deviation of the sensor by measured quantity, in its unit: a state, or what the system derives.
    sampling
        When a measured quantity is sampled, and how late its value arrives; by default at every measurement, at once.
    seed
        Of the noise.

    Attributes
    ----------
    system
        The system.
    time
        Time since the start [h].

    Raises
    ------
    StudyError
        If a name is unknown, or a number is missing or not finite.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> plant = Plant(ecoli_fed_batch(), load_surrogate("ecoli_ijo1366"), start, noise={"biomass": 0.01})
    >>> plant.advance({"feed": 0.0}, 0.5).final("biomass") > 1.0
    True
    """

    def __init__(
        self,
        system: System,
        metabolism: Metabolism | None,
        initial: Mapping[str, float],
        *,
        parameters: Mapping[str, float] | None = None,
        noise: Mapping[str, float] | None = None,
        sampling: Mapping[str, Sampling] | None = None,
        seed: int = 0,
    ) -> None:
        checked_values(initial, [state.name for state in system.states], "state")
        self._parameters = merged_parameters(system, parameters)
        for name, deviation in (noise or {}).items():
            finite(f"noise of {name}", deviation, least=0.0)
        self.system = system
        self.time = 0.0
        self._metabolism = metabolism
        self._states = {state.name: float(initial[state.name]) for state in system.states}
        self._controls = {known.name: max(known.lower, 0.0) for known in system.controls}
        self._noise, self._sampling = dict(noise or {}), checked_sampling(sampling, noise)
        check_sensors(system, self._noise)
        self._last_read: dict[str, float] = {}
        self._late: list[tuple[float, str, LateValue]] = []
        self._random = np.random.default_rng(seed)

    @property
    def states(self) -> dict[str, float]:
        """True value of every state now, in its unit."""
        return dict(self._states)

    @one_thread_at_a_time
    def measure(self) -> dict[str, float | LateValue]:
        """Return the values that arrive now, by measured quantity."""
        arrived: dict[str, float | LateValue] = {}
        shown = self._shown()
        for name, deviation in self._noise.items():
            sampling = self._sampling.get(name, _PROMPT)
            if not sampling.is_due(self.time, self._last_read.get(name)):
                continue
            self._last_read[name] = self.time
            seen = shown[name] + deviation * self._random.standard_normal()
            if sampling.delay > 0.0:
                self._late.append((self.time + sampling.delay, name, LateValue(seen, self.time)))
            else:
                arrived[name] = seen
        for late in list(self._late):
            ready, name, value = late
            if ready <= self.time + _SAME_TIME and name not in arrived:  # one value of a sensor at a time
                arrived[name] = value
                self._late.remove(late)
        return arrived

    def _shown(self) -> dict[str, float]:
        """What sensors show without noise: the states and, where one of them is measured, derived quantities."""
        if self._noise.keys() <= self._states.keys():
            return self._states
        time, states = np.array([self.time]), np.array(list(self._states.values()))
        held = {name: ConstantFeed(value) for name, value in self._controls.items()}
        cell, rates = checked_cell(self.system, self._metabolism, self._parameters)
        own = (self.system, self._metabolism, held, self._parameters, cell, rates, (self.time, states))
        now = as_trajectory(derivative_of(*own), held, time, states[:, None], Status.SIMULATED, {})
        return {name: now.final(name) for name in measurable(self.system)}

    @one_thread_at_a_time
    def advance(self, controls: Mapping[str, float], duration: float) -> Trajectory:
        """Integrate the plant with held controls.

        Parameters
        ----------
        controls
            Value of every control, in its unit.
        duration
            How long [h].

        Returns
        -------
        Trajectory
            From the time before to the time after.

        Raises
        ------
        StudyError, SolverError
            As `mmopt.simulation.simulate`.
        """
        span = simulate(
            self.system,
            self._states,
            {name: ConstantFeed(value) for name, value in controls.items()},
            duration,
            self._metabolism,
            parameters=self._parameters,
            start=self.time,
            points=_POINTS,
            continued=self.time > 0.0,
        )
        self.time += duration
        self._controls = dict(controls)
        self._states = {state.name: span.final(state.name) for state in self.system.states}
        return span

"""Simulated plants."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mmopt.checking import finite
from mmopt.control.readout import Readout
from mmopt.control.sampling import LateValue, Sampling, checked_sampling
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.system import Metabolism, System
from mmopt.results import Trajectory
from mmopt.simulation.simulate import checked_values, merged_parameters, simulate

_POINTS: Final = 16
"""Times of an interval in the result."""

_PROMPT: Final = Sampling()
_SAME_TIME: Final = 1.0e-9


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
        self._states = dict(initial)
        self._controls = {known.name: max(known.lower, 0.0) for known in system.controls}
        self._noise, self._sampling = dict(noise or {}), checked_sampling(sampling, noise)
        self._readout = Readout(system, metabolism, self._noise)
        self._late: list[tuple[float, str, LateValue]] = []
        self._random = np.random.default_rng(seed)

    @property
    def states(self) -> dict[str, float]:
        """True value of every state now, in its unit."""
        return dict(self._states)

    def measure(self) -> dict[str, float | LateValue]:
        """Return the values that arrive now, by measured quantity."""
        values = self._readout(self._states, self._controls, self._parameters).tolist()
        arrived: dict[str, float | LateValue] = {}
        for (name, deviation), value in zip(self._noise.items(), values, strict=True):
            sampling = self._sampling.get(name, _PROMPT)
            if not sampling.is_due(self.time):
                continue
            seen = value + deviation * self._random.standard_normal()
            if sampling.delay > 0.0:
                self._late.append((self.time + sampling.delay, name, LateValue(seen, self.time)))
            else:
                arrived[name] = seen
        for late in [late for late in self._late if late[0] <= self.time + _SAME_TIME]:
            arrived[late[1]] = late[2]
            self._late.remove(late)
        return arrived

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

"""Simulated plants."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mmopt.checking import finite
from mmopt.errors import StudyError, nearest
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.system import Metabolism, System
from mmopt.results import Trajectory
from mmopt.simulation.simulate import checked_values, merged_parameters, simulate

_POINTS: Final = 16
"""Times of an interval in the result."""


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
        Standard deviation of the sensor by measured state, in its unit.
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
        seed: int = 0,
    ) -> None:
        checked_values(initial, [state.name for state in system.states], "state")
        merged_parameters(system, parameters)
        for name, deviation in (noise or {}).items():
            if name not in initial:
                raise StudyError(f"there is no state '{name}' to measure with noise; {nearest(name, initial)}")
            finite(f"noise of {name}", deviation, least=0.0)
        self.system = system
        self.time = 0.0
        self._metabolism = metabolism
        self._states = dict(initial)
        self._parameters = dict(parameters or {})
        self._noise = dict(noise or {})
        self._random = np.random.default_rng(seed)

    def measure(self) -> dict[str, float]:
        """Return what the sensors show now, by measured state."""
        return {
            name: self._states[name] + deviation * self._random.standard_normal()
            for name, deviation in self._noise.items()
        }

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
        self._states = {state.name: span.final(state.name) for state in self.system.states}
        return span

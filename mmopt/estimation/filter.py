"""An extended Kalman filter on the equations of a system; its estimates are values that nothing changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import erfcx

from mmopt.reactor.system import Metabolism, System
from mmopt.simulation.inputs import highest_valid
from mmopt.simulation.sensitivities import Sensitivities

_ROOM: Final = 1.0e-4
"""Distance of an estimated parameter from its upper bound, relative to its first value: differences step upwards."""

_LEAST: Final = 1.0e-9
"""Smallest estimate of a parameter that must be above zero, relative to its first value."""

_LEAST_SIZE: Final = 0.02
"""Fraction of its scale below which a state counts as no smaller, where uncertainty is relative to it."""

Controls = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Mean and covariance of states and estimated parameters, in scales.

    Attributes
    ----------
    mean
        Shape (unknowns,).
    covariance
        Shape (unknowns, unknowns).
    """

    mean: np.ndarray
    covariance: np.ndarray

    def widened(self, added: np.ndarray) -> "Estimate":
        """Return the estimate with more covariance.

        Parameters
        ----------
        added
            Shape (unknowns, unknowns).

        Returns
        -------
        Estimate
        """
        return replace(self, covariance=self.covariance + added)


class KalmanFilter:
    """The equations of an extended Kalman filter.

    Parameters
    ----------
    system, metabolism
        The system, and the metabolism of its cell.
    parameters
        Value of every parameter.
    drifting
        Names of the estimated ones.
    drift
        Standard deviation of the change of an unknown in the square root of an hour, relative to its size; shape (unknowns,).
    noise
        Standard deviation of the measurement by measured quantity, in its unit.

    Attributes
    ----------
    unknowns
        Names of the states, then of the estimated parameters.
    scale
        Their scales, shape (unknowns,).
    lowest, highest
        Their bounds, in scales; shape (unknowns,).

    Examples
    --------
    >>> from mmopt.estimation.filter import KalmanFilter
    >>> reactor, cell = ecoli_fed_batch(), load_surrogate("ecoli_ijo1366")
    >>> equations = KalmanFilter(reactor, cell, reactor.defaults, ["kla"], np.zeros(6), {"oxygen": 0.01})
    >>> equations.unknowns
    ['volume', 'biomass', 'glucose', 'acetate', 'oxygen', 'kla']
    """

    def __init__(
        self,
        system: System,
        metabolism: Metabolism | None,
        parameters: Mapping[str, float],
        drifting: Sequence[str],
        drift: np.ndarray,
        noise: Mapping[str, float],
    ) -> None:
        self._system, self._metabolism, self._fixed = system, metabolism, dict(parameters)
        self._states = [state.name for state in system.states]
        self.unknowns = [*self._states, *drifting]
        self._drift, self._noise, self._sensors = drift, dict(noise), list(noise)
        own = np.array([parameters[name] for name in drifting])
        self.scale = np.concatenate([[state.scale for state in system.states], own])
        self.lowest, self.highest = self._bounds(metabolism, drifting, own)
        self._sensitivities = Sensitivities(system, metabolism, drifting, self.scale)

    def first(self, states: np.ndarray, uncertainty: float) -> Estimate:
        """Return the estimate at the start.

        Parameters
        ----------
        states
            Values, shape (states,).
        uncertainty
            Standard deviation, relative to them.

        Returns
        -------
        Estimate
        """
        mean = np.concatenate([states, self.scale[len(states) :]]) / self.scale
        return Estimate(mean, np.diag((uncertainty * self._sizes(mean)) ** 2))

    def named(self, mean: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
        """Return states and all parameters by name.

        Parameters
        ----------
        mean
            Unknowns in scales, shape (unknowns,).

        Returns
        -------
        states, parameters : dict
        """
        values = (mean * self.scale).tolist()
        count = len(self._states)
        estimated = dict(zip(self.unknowns[count:], values[count:], strict=True))
        return dict(zip(self._states, values[:count], strict=True)), {**self._fixed, **estimated}

    def predicted(self, estimate: Estimate, controls: Controls, duration: float) -> Estimate:
        """Return the estimate after an interval.

        Parameters
        ----------
        estimate
            The estimate at its beginning.
        controls
            Value of every control, held over the interval.
        duration
            Its length [h].

        Returns
        -------
        Estimate

        Raises
        ------
        StudyError, SolverError
            As `mmopt.simulation.simulate`.
        """
        mean, change = self.moved(estimate.mean, controls, duration)
        covariance = change @ estimate.covariance @ change.T + self.drifted(mean, duration)
        return Estimate(mean, (covariance + covariance.T) / 2.0)

    def moved(self, mean: np.ndarray, controls: Controls, duration: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the unknowns after an interval, and their derivatives by those before; raises as `predicted`.

        Parameters
        ----------
        mean
            Unknowns in scales, shape (unknowns,).
        controls
            Value of every control, held over the interval.
        duration
            Its length [h].

        Returns
        -------
        mean, change : ndarray
            Shapes (unknowns,) and (unknowns, unknowns).
        """
        end = self._sensitivities.moved(*self.named(mean), controls, duration)
        count, change = len(self._states), np.eye(len(mean))
        change[:count] = end.slopes * self.scale / self.scale[:count, None]
        return np.concatenate([end.values / self.scale[:count], mean[count:]]), change

    def drifted(self, mean: np.ndarray, duration: float) -> np.ndarray:
        """Return the covariance of the drift over an interval.

        Parameters
        ----------
        mean
            Unknowns at its end, in scales; shape (unknowns,).
        duration
            Its length [h].

        Returns
        -------
        ndarray
            Shape (unknowns, unknowns).
        """
        return np.asarray(np.diag((self._drift * self._sizes(mean)) ** 2 * duration))

    def expected(self, estimate: Estimate, controls: Controls) -> dict[str, tuple[float, float]]:
        """Return what every sensor should show, with the standard deviation of both together.

        Parameters
        ----------
        estimate
            The present estimate.
        controls
            Present value of every control.

        Returns
        -------
        dict
            Value and deviation in the unit of the quantity.
        """
        values, slopes = self._shown(estimate.mean, controls)
        variances = ((slopes @ estimate.covariance) * slopes).sum(axis=1) + np.square(list(self._noise.values()))
        return dict(zip(self._sensors, zip(values.tolist(), np.sqrt(variances).tolist(), strict=True), strict=True))

    def residuals(
        self, mean: np.ndarray, measured: Mapping[str, float], controls: Controls
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return measured less expected values in standard deviations, and the derivatives of the expected ones.

        Parameters
        ----------
        mean
            Unknowns in scales, shape (unknowns,).
        measured
            Values by measured quantity, in its unit.
        controls
            Value of every control at the measurement.

        Returns
        -------
        residuals, slopes : ndarray
            Shapes (measured,) and (measured, unknowns).
        """
        rows = [self._sensors.index(name) for name in measured]
        values, slopes = (array[rows] for array in self._shown(mean, controls))
        deviations = np.array([self._noise[name] for name in measured])
        return (np.array(list(measured.values())) - values) / deviations, slopes / deviations[:, None]

    def corrected(self, estimate: Estimate, measured: Mapping[str, float], controls: Controls) -> Estimate:
        """Return the estimate corrected by measurements.

        Parameters
        ----------
        estimate
            The estimate before.
        measured
            Values by measured quantity, in its unit.
        controls
            Present value of every control.

        Returns
        -------
        Estimate
        """
        if not measured:
            return estimate
        innovation, picks = self.residuals(estimate.mean, measured, controls)
        noise = np.eye(len(innovation))
        gain = np.linalg.solve(picks @ estimate.covariance @ picks.T + noise, picks @ estimate.covariance).T
        correction = np.eye(len(estimate.mean)) - gain @ picks
        # Joseph's form stays symmetric and positive where the short one does not
        covariance = correction @ estimate.covariance @ correction.T + gain @ noise @ gain.T
        mean = estimate.mean + gain @ innovation
        below = np.flatnonzero(mean < self.lowest)
        spread = np.sqrt(np.maximum(np.diag(covariance)[below], 0.0))
        mean[below] = _truncated(mean[below], spread, self.lowest[below])
        return Estimate(np.clip(mean, self.lowest, self.highest), covariance)

    def less_certain(
        self, estimate: Estimate, sensor: str, controls: Controls, factor: float, least: float
    ) -> Estimate:
        """Return the estimate with more variance of what one sensor shows.

        Parameters
        ----------
        estimate
            The estimate before.
        sensor
            The measured quantity.
        controls
            Present value of every control.
        factor
            Factor of the variance.
        least
            Least standard deviation afterwards of what it shows, with its own noise, in its unit.

        Returns
        -------
        Estimate
        """
        slope = self._shown(estimate.mean, controls)[1][self._sensors.index(sensor)]
        variance = float(slope @ estimate.covariance @ slope)
        if variance <= 0.0:
            return estimate
        along = estimate.covariance @ slope / variance
        added = max((factor - 1.0) * variance, least**2 - self._noise[sensor] ** 2 - variance)
        return estimate.widened(added * np.outer(along, along))

    def _sizes(self, mean: np.ndarray) -> np.ndarray:
        """Size of every state in scales, to which its uncertainty is relative; one for parameters."""
        own = np.maximum(np.abs(mean[: len(self._states)]), _LEAST_SIZE)
        return np.concatenate([own, np.ones(len(mean) - len(own))])

    def _shown(self, mean: np.ndarray, controls: Controls) -> tuple[np.ndarray, np.ndarray]:
        """What the sensors show, and its slopes in their units by scales; shapes (sensors,) and (sensors, unknowns)."""
        values = dict(zip(self._states, (mean * self.scale).tolist(), strict=False))
        slopes = dict(zip(self._states, np.eye(len(self._states), len(mean)), strict=True))
        if not set(self._states).issuperset(self._sensors):
            derived = self._sensitivities.read(*self.named(mean), controls)
            names = [known.name for known in self._system.derived]
            values.update(zip(names, derived.values.tolist(), strict=True))
            slopes.update(zip(names, derived.slopes, strict=True))
        rows = np.array([slopes[name] for name in self._sensors]).reshape(-1, len(mean))
        return np.array([values[name] for name in self._sensors]), rows * self.scale

    def _bounds(
        self, metabolism: Metabolism | None, drifting: Sequence[str], own: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the unknowns in scales: their own, and for parameters what the metabolism is valid for."""
        known = {parameter.name: parameter for parameter in self._system.parameters}
        lowest = [state.lower / state.scale for state in self._system.states]
        highest = [state.upper / state.scale for state in self._system.states]
        for name, value in zip(drifting, own.tolist(), strict=True):
            valid = min(known[name].upper, highest_valid(self._system, metabolism, self._fixed, name))
            low, high = (known[name].lower / value, valid / value) if value > 0.0 else (0.0, np.inf)
            lowest.append(max(low, _LEAST) if low > 0.0 else 0.0)
            highest.append(high - _ROOM)
        return np.array(lowest), np.array(highest)


def _truncated(means: np.ndarray, deviations: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """Means of normal distributions of which only what is above a lowest value can be.

    A culture measured below zero is thin, not empty. See Simon (2010), IET Control Theory Appl. 4:1303-1318 (truncation).
    """
    deviations = np.maximum(deviations, 1.0e-12)
    beyond = (lowest - means) / deviations
    # phi / (1 - Phi), by the scaled complementary error function, which does not underflow
    hazard = np.sqrt(2.0 / np.pi) / erfcx(beyond / np.sqrt(2.0))
    return np.asarray(means + deviations * hazard)

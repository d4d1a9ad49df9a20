"""State and parameter estimation: an extended Kalman filter around the same equations that are optimised.

The prediction integrates the system; its sensitivities are finite differences of that integration. Parameters that are
estimated drift as random walks, so that a controller adapts, say, to a worse aeration than it assumed.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from scipy.special import erfcx

from mmopt.checking import finite
from mmopt.errors import StudyError, nearest
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.system import Metabolism, System
from mmopt.simulation.simulate import checked_values, merged_parameters, simulate

_STEP: Final = 1.0e-4
"""Finite-difference step, in scales; well above the integrator's tolerance."""

_LEAST: Final = 1.0e-9
"""Smallest estimate of a parameter that must be above zero, relative to its first value."""

_TOLERANCE: Final = 1.0e-7

_FAR: Final = 6.0
"""Standard deviations beyond which a measurement is left out."""

_LESS_CERTAIN: Final = 4.0
"""Factor of the variance of a state whose measurement was left out: a change that stays is followed after some samples."""

_LEAST_SIZE: Final = 0.02
"""Fraction of its scale below which a state counts as no smaller, where uncertainty is relative to it."""


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
        Standard deviation of the measurement by measured state, in its unit.
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
        self._system = system
        self._metabolism = metabolism
        self._names = [state.name for state in system.states]
        for name, deviation in noise.items():
            if name not in self._names:
                raise StudyError(f"measured '{name}' is no state; {nearest(name, self._names)}")
            finite(f"noise of {name}", deviation, above=0.0)
        self._fixed = merged_parameters(system, parameters)
        for name, amount in (drifting or {}).items():
            if name not in self._fixed:
                raise StudyError(f"there is no parameter '{name}'; {nearest(name, self._fixed)}")
            finite(f"drift of {name}", amount, least=0.0)
        drift, uncertainty = finite("drift", drift, least=0.0), finite("uncertainty", uncertainty, above=0.0)
        self._noise = dict(noise)
        self._drifting = list(drifting or {})
        own = np.array([self._fixed[name] for name in self._drifting])
        self._scale = np.concatenate([[state.scale for state in system.states], own])
        self._mean = np.concatenate([checked_values(initial, self._names, "state"), own]) / self._scale
        self._covariance = np.diag((uncertainty * self._sizes()) ** 2)
        self._drift = np.array([drift] * len(self._names) + list((drifting or {}).values()), dtype=float)
        self._lowest, self._highest = self._bounds(own)

    @property
    def states(self) -> dict[str, float]:
        """Present estimate of every state."""
        return self._named(self._mean)[0]

    @property
    def parameters(self) -> dict[str, float]:
        """Present estimate of the drifting parameters."""
        return {name: self._named(self._mean)[1][name] for name in self._drifting}

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
        before = self._mean
        self._mean = self._moved(before, controls, duration)
        columns = [
            (self._moved(before + _STEP * direction, controls, duration) - self._mean) / _STEP
            for direction in np.eye(len(before))
        ]
        change = np.column_stack(columns)
        added = np.diag((self._drift * self._sizes()) ** 2 * duration)
        self._covariance = change @ self._covariance @ change.T + added

    def update(self, measured: Mapping[str, Any]) -> tuple[str, ...]:
        """Correct the estimate by a measurement.

        Values that are missing, no numbers or not finite are left out. A value further from what is expected than six
        standard deviations of both together is left out, too, and doubles that of its state: a wrong value changes nothing,
        and a change that stays is followed after some samples.

        Parameters
        ----------
        measured
            Measured values by state, in its unit.

        Returns
        -------
        tuple of str
            What was left out, and why.

        Raises
        ------
        StudyError
            If a name is no measured state.
        """
        for name in measured:
            if name not in self._noise:
                raise StudyError(f"there is no sensor '{name}'; {nearest(str(name), self._noise)}")
        notes = [
            f"{name} is {measured[name]!r:.40}, no finite number" for name in measured if not _finite(measured[name])
        ]
        present = [name for name in measured if _finite(measured[name])]
        expected, deviations = self._expected(present)
        for name, value, deviation in zip(list(present), expected, deviations, strict=True):
            if abs(float(measured[name]) - value) > _FAR * deviation:
                notes.append(f"{name} is {measured[name]:g}, where {value:.4g} +- {deviation:.2g} was expected")
                present.remove(name)
                row = self._names.index(name)
                self._covariance[row, row] *= _LESS_CERTAIN
        if present:
            self._correct(present, measured)
        return tuple(notes)

    def _sizes(self) -> np.ndarray:
        """Size of every state in scales, to which its uncertainty is relative; one for parameters."""
        count = len(self._names)
        sizes: np.ndarray = np.concatenate(
            [np.maximum(np.abs(self._mean[:count]), _LEAST_SIZE), np.ones(len(self._mean) - count)]
        )
        return sizes

    def _expected(self, names: list[str]) -> tuple[list[float], list[float]]:
        """Expected measurements and their standard deviations, in units of the states."""
        rows = [self._names.index(name) for name in names]
        own = np.array([self._noise[name] for name in names])
        variances = np.diag(self._covariance)[rows] * self._scale[rows] ** 2 + own**2
        return (self._mean[rows] * self._scale[rows]).tolist(), np.sqrt(variances).tolist()

    def _correct(self, present: list[str], measured: Mapping[str, Any]) -> None:
        """The filter's correction by some measurements."""
        rows = np.array([self._names.index(name) for name in present])
        size = self._scale[rows]
        picks = np.eye(len(self._mean))[rows]
        noise = np.diag((np.array([self._noise[name] for name in present]) / size) ** 2)
        innovation = np.array([float(measured[name]) for name in present]) / size - self._mean[rows]
        gain = np.linalg.solve(picks @ self._covariance @ picks.T + noise, picks @ self._covariance).T
        correction = np.eye(len(self._mean)) - gain @ picks
        # Joseph's form stays symmetric and positive where the short one does not
        self._covariance = correction @ self._covariance @ correction.T + gain @ noise @ gain.T
        mean = self._mean + gain @ innovation
        below = np.flatnonzero(mean < self._lowest)
        deviations = np.sqrt(np.maximum(np.diag(self._covariance)[below], 0.0))
        mean[below] = _truncated(mean[below], deviations, self._lowest[below])
        self._mean = np.clip(mean, self._lowest, self._highest)

    def _bounds(self, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of the estimate in its scales: states from zero on, parameters within their own bounds."""
        known = {parameter.name: parameter for parameter in self._system.parameters}
        lowest, highest = [0.0] * len(self._names), [np.inf] * len(self._names)
        for name, value in zip(self._drifting, own.tolist(), strict=True):
            low, high = (known[name].lower / value, known[name].upper / value) if value > 0.0 else (0.0, np.inf)
            lowest.append(max(low, _LEAST) if low > 0.0 else 0.0)
            highest.append(high - _STEP)
        return np.array(lowest), np.array(highest)

    def _named(self, mean: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
        values = (mean * self._scale).tolist()
        count = len(self._names)
        states = dict(zip(self._names, values[:count], strict=True))
        return states, {**self._fixed, **dict(zip(self._drifting, values[count:], strict=True))}

    def _moved(self, mean: np.ndarray, controls: Mapping[str, float], duration: float) -> np.ndarray:
        states, parameters = self._named(mean)
        profiles = {name: ConstantFeed(value) for name, value in controls.items()}
        moved = simulate(
            self._system,
            states,
            profiles,
            duration,
            self._metabolism,
            parameters=parameters,
            points=2,
            tolerance=_TOLERANCE,
            continued=True,
        )
        count = len(self._names)
        return np.concatenate([[moved.final(name) for name in self._names] / self._scale[:count], mean[count:]])


def _truncated(means: np.ndarray, deviations: np.ndarray, lowest: np.ndarray) -> np.ndarray:
    """Means of normal distributions of which only what is above a lowest value can be.

    A culture whose measured density happens to be below zero is thin, not empty. See Simon (2010), IET Control Theory Appl.
    4:1303-1318 (truncation of the density).
    """
    deviations = np.maximum(deviations, 1.0e-12)
    beyond = (lowest - means) / deviations
    # phi / (1 - Phi), by the scaled complementary error function, which does not underflow
    hazard = np.sqrt(2.0 / np.pi) / erfcx(beyond / np.sqrt(2.0))
    above: np.ndarray = means + deviations * hazard
    return above


def _finite(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)

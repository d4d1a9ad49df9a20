"""State and parameter estimation: an extended Kalman filter around the same equations that are optimised.

The prediction integrates the system; its sensitivities are finite differences of that integration. Parameters that are
estimated drift as random walks, so that a controller adapts, say, to a worse aeration than it assumed.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

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
        The same for every state, relative to its scale: how far the equations may be wrong.
    uncertainty
        Standard deviation of the first estimate, relative to the scale or the parameter's value.

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
        self._covariance = np.eye(len(self._mean)) * uncertainty**2
        self._drift = np.array([drift**2] * len(self._names) + [amount**2 for amount in (drifting or {}).values()])
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
        self._covariance = change @ self._covariance @ change.T + np.diag(self._drift * duration)

    def update(self, measured: Mapping[str, float]) -> None:
        """Correct the estimate by a measurement.

        Parameters
        ----------
        measured
            Measured values by state, in its unit; those that are missing or not finite are left out.
        """
        present = [name for name, value in measured.items() if name in self._noise and np.isfinite(value)]
        if not present:
            return
        rows = np.array([self._names.index(name) for name in present])
        size = self._scale[rows]
        picks = np.eye(len(self._mean))[rows]
        noise = np.diag((np.array([self._noise[name] for name in present]) / size) ** 2)
        innovation = np.array([measured[name] for name in present]) / size - self._mean[rows]
        gain = np.linalg.solve(picks @ self._covariance @ picks.T + noise, picks @ self._covariance).T
        correction = np.eye(len(self._mean)) - gain @ picks
        # Joseph's form stays symmetric and positive where the short one does not
        self._covariance = correction @ self._covariance @ correction.T + gain @ noise @ gain.T
        self._mean = np.clip(self._mean + gain @ innovation, self._lowest, self._highest)

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

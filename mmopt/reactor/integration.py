"""Integration of a system in time with SciPy, section by section between the jumps of its controls.

Every section is integrated on its own, implicitly: dissolved gases equilibrate in seconds, a fermentation takes a day.
LSODA (Petzold 1983, SIAM J. Sci. Stat. Comput. 4:136-148) took a third of the time of BDF here, at the same error.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.integrate import solve_ivp

from mmopt.checking import as_float, shown
from mmopt.errors import SolverError, StudyError
from mmopt.reactor.profiles import Profile
from mmopt.reactor.system import Cell, System

MOST_EVALUATIONS: Final = 50_000
"""Evaluations of the derivative in one section, after which an integration ends: four times those of a 24 h fed-batch at a
tolerance of 1e-12. Only equations that no step size suits need more, and would never end."""

STALL_EVALUATIONS: Final = 10_000
_STALL: Final = 1.0e-9
"""Every so many evaluations have to advance by this fraction of a section; the fastest gas transfer advances by 1e-6 of a
batch in a hundred."""

SLACK: Final = 1.0e-3
"""Fraction of its scale by which a state or control may lie outside its bounds: integrators and optimisers leave 1e-8 to
1e-4, wrong signs and units far more."""


class Derivative:
    """Derivative of a system with its controls as a function of time and states, with a count of its evaluations.

    Parameters
    ----------
    system
        The system.
    controls
        Profile of every control.
    parameters
        Value of every parameter.
    cell
        The cell.

    Attributes
    ----------
    evaluations
        Evaluations so far.

    Examples
    --------
    >>> class Decay(System):
    ...     states = (Quantity("x", "g"),)
    ...
    ...     def derivative(self, states, controls, parameters, cell):
    ...         return {"x": -2.0 * states["x"]}
    >>> Derivative(Decay(), {}, {}, lambda limits: {})(0.0, np.array([3.0])).tolist()
    [-6.0]
    """

    def __init__(
        self, system: System, controls: Mapping[str, Profile], parameters: Mapping[str, float], cell: Cell
    ) -> None:
        self._system, self._parameters, self._cell = system, parameters, cell
        self._profiles = [(known, controls[known.name]) for known in system.controls]
        self._names = [state.name for state in system.states]
        self.evaluations = 0

    def controls(self, time: float) -> dict[str, float]:
        """Return the value of every control.

        Parameters
        ----------
        time
            The time [h].

        Returns
        -------
        dict
            Values by name.

        Raises
        ------
        StudyError
            If one is not finite, or outside its physical bounds.
        """
        values = {}
        for known, profile in self._profiles:
            value = profile(time)
            number = as_float(value)
            if not np.isfinite(number):
                raise StudyError(
                    f"control '{known.name}' is {shown(value)} at {time:.4g} h; give a finite number at every time"
                )
            if not known.lower - SLACK * known.scale <= number <= known.upper + SLACK * known.scale:
                raise StudyError(
                    f"control '{known.name}' is {number:g} {known.unit} at {time:.4g} h; "
                    f"give a value from {known.lower:g} to {known.upper:g}"
                )
            values[known.name] = number
        return values

    def states(self, values: np.ndarray) -> dict[str, float]:
        """Return states by name.

        Parameters
        ----------
        values
            Values of shape (states,).

        Returns
        -------
        dict
            Values by name.
        """
        return dict(zip(self._names, values.tolist(), strict=True))

    def __call__(self, time: float, values: np.ndarray) -> np.ndarray:
        """Return the derivative of all states, shape (states,)."""
        self.evaluations += 1
        controls = self.controls(time)
        try:
            change = self._system.derivative(self.states(values), controls, self._parameters, self._cell)
        except ArithmeticError as error:  # an empty vessel, a state that runs away
            raise SolverError(f"no derivative at {time:.4g} h: {error}; check initial states and parameters") from error
        missing = [name for name in self._names if name not in change]
        if missing:
            raise StudyError(f"{type(self._system).__name__}.derivative returns no '{missing[0]}'; return every state")
        return np.array([change[name] for name in self._names], dtype=float)


def integrated(
    derivative: Derivative,
    crossing: Callable[[float, np.ndarray], float] | None,
    edges: np.ndarray,
    grid: np.ndarray,
    state: np.ndarray,
    tolerance: float,
    scales: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Integrate section by section.

    Parameters
    ----------
    derivative
        The derivative.
    crossing
        Function of time and states at whose rise through zero the integration ends; None if there is no such event.
    edges
        Edges of the sections [h].
    grid
        Times to record besides [h].
    state
        Initial states, shape (states,).
    tolerance
        Relative tolerance.
    scales
        Typical sizes of the states, shape (states,); the absolute tolerance is relative to them.

    Returns
    -------
    times : ndarray
        Shape (times,).
    states : ndarray
        Shape (states, times).
    ended : bool
        Whether the event ended the integration.

    Raises
    ------
    SolverError
        If the integrator fails, or a section needs more than `MOST_EVALUATIONS`.

    Examples
    --------
    >>> class Decay(System):
    ...     states = (Quantity("x", "g"),)
    ...
    ...     def derivative(self, states, controls, parameters, cell):
    ...         return {"x": -states["x"]}
    >>> decay = Derivative(Decay(), {}, {}, lambda limits: {})
    >>> edges, one = np.array([0.0, 1.0]), np.ones(1)
    >>> times, states, ended = integrated(decay, None, edges, edges, one, 1.0e-8, one)
    >>> round(float(states[0, -1]), 6)
    0.367879
    """
    times, rows = [edges[:1]], [state[:, None]]
    for low, high in pairwise(edges):
        section = solve_ivp(
            _bounded(derivative, low, high),
            (low, high),
            rows[-1][:, -1],
            method="LSODA",
            t_eval=np.append(grid[(grid > low) & (grid < high)], high),
            rtol=tolerance,
            atol=tolerance * scales,
            events=crossing,
        )
        if section.status < 0:
            raise SolverError(f"the integration failed at {low:.4g} h: {section.message}; check parameters and feed")
        times.append(section.t)
        rows.append(section.y)
        if section.status == 1:
            return np.concatenate([*times, section.t_events[0]]), np.hstack([*rows, section.y_events[0].T]), True
    return np.concatenate(times), np.hstack(rows), False


def _bounded(derivative: Derivative, low: float, high: float) -> Callable[[float, np.ndarray], np.ndarray]:
    """Bound the evaluations in a section, and evaluate just before its end there: the jump at it belongs to the next one."""
    latest = np.nextafter(high, -np.inf)
    begun = derivative.evaluations
    mark = (begun, low)

    def evaluate(time: float, values: np.ndarray) -> np.ndarray:
        nonlocal mark
        spent = derivative.evaluations - begun
        stalled = False
        if derivative.evaluations - mark[0] >= STALL_EVALUATIONS:
            stalled = time - mark[1] < _STALL * (high - low)
            mark = (derivative.evaluations, time)
        if stalled or spent >= MOST_EVALUATIONS:
            raise SolverError(
                f"the integration from {low:.4g} h to {high:.4g} h stands at {time:.6g} h after {spent} evaluations; "
                "check parameters and feed for absurd sizes, or raise the tolerance"
            )
        return derivative(min(time, latest), values)

    return evaluate


def section_edges(controls: Mapping[str, Profile], start: float, duration: float) -> np.ndarray:
    """Return start, end, and every jump of a control between them.

    Parameters
    ----------
    controls
        Profile of every control.
    start, duration
        The span [h].

    Returns
    -------
    ndarray
        Ascending times [h].

    Examples
    --------
    >>> section_edges({"feed": ConstantFeed(0.1, start=2.0)}, 0.0, 5.0).tolist()
    [0.0, 2.0, 5.0]
    """
    jumps = {jump for profile in controls.values() for jump in profile.breakpoints}
    shortest = 1.0e-9 * duration
    inner = [jump for jump in jumps if start + shortest < jump < start + duration - shortest]
    return np.array([start, *sorted(inner), start + duration])

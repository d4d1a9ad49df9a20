"""Integration of a system in time with SciPy, section by section between the jumps of its controls.

Every section is integrated on its own, implicitly: dissolved gases equilibrate in seconds, a fermentation takes a day.
LSODA (Petzold 1983, SIAM J. Sci. Stat. Comput. 4:136-148) took a third of the time of BDF here, at the same error.
"""

import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.integrate import ODEintWarning, odeint, solve_ivp

from mmopt.errors import SolverError
from mmopt.reactor.profiles import Profile
from mmopt.simulation.derivative import Derivative

MOST_EVALUATIONS: Final = 50_000
"""Evaluations of the derivative in one section, after which an integration ends: four times those of a 24 h fed-batch at a
tolerance of 1e-12. Only equations that no step size suits need more, and would never end."""

STALL_EVALUATIONS: Final = 10_000
_STALL: Final = 1.0e-9
"""Every so many evaluations have to advance by this fraction of a section; the fastest gas transfer advances by 1e-6 of a
batch in a hundred."""

_APART: Final = 1.0e-9
"""Fraction of a section by which recorded times lie apart from its edges, or are its edges."""

_SUCCESS: Final = "Integration successful."
_NO_STEP: Final = "Illegal input"
"""LSODA says so, too, where its step size is not finite."""


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
        derivative.begin_section(low, high)
        evaluate = _Bounded(derivative, low, high)
        apart = _APART * (high - low)  # LSODA cannot step to a time next to its first
        at = np.append(grid[(grid > low + apart) & (grid < high - apart)], high)
        if crossing is None:
            times.append(at)
            rows.append(_section(evaluate, low, at, rows[-1][:, -1], tolerance, scales))
            continue
        section = solve_ivp(
            evaluate,
            (low, high),
            rows[-1][:, -1],
            method="LSODA",
            t_eval=at,
            rtol=tolerance,
            atol=tolerance * scales,
            events=crossing,
        )
        if section.status < 0:
            raise evaluate.failure(section.message)
        times.append(section.t)
        rows.append(section.y)
        if section.status == 1:
            return np.concatenate([*times, section.t_events[0]]), np.hstack([*rows, section.y_events[0].T]), True
    return np.concatenate(times), np.hstack(rows), False


def _section(
    evaluate: "_Bounded",
    low: float,
    at: np.ndarray,
    state: np.ndarray,
    tolerance: float,
    scales: np.ndarray,
) -> np.ndarray:
    """States at some times of a section, shape (states, times): LSODA in one call, a quarter of the time of `solve_ivp`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ODEintWarning)  # the message is raised below
        values, record = odeint(
            evaluate,
            state,
            np.insert(at, 0, low),
            tfirst=True,
            rtol=tolerance,
            atol=tolerance * scales,
            tcrit=at[-1:],
            mxstep=MOST_EVALUATIONS,
            full_output=True,
        )
    rows: np.ndarray = values[1:].T
    if record["message"] != _SUCCESS or not np.isfinite(rows).all():
        raise evaluate.failure(record["message"])
    return rows


class _Bounded:
    """The derivative in a section with a bound of its evaluations.

    Just before the end of the section counts as its end: the jump there belongs to the next section.
    """

    def __init__(self, derivative: Derivative, low: float, high: float) -> None:
        self._derivative, self._low, self._high = derivative, low, high
        self._latest = np.nextafter(high, -np.inf)
        self._begun = derivative.evaluations
        self._check, self._reached = self._begun + STALL_EVALUATIONS, low
        self._last = (low, np.zeros(1))

    def __call__(self, time: float, values: np.ndarray) -> np.ndarray:
        """Derivative of the states."""
        if self._derivative.evaluations >= self._check:
            self._check_progress(time)
        change = self._derivative(min(time, self._latest), values)
        self._last = (time, change)
        return change

    def _check_progress(self, time: float) -> None:
        spent = self._derivative.evaluations - self._begun
        if spent >= MOST_EVALUATIONS or time - self._reached < _STALL * (self._high - self._low):
            raise SolverError(
                f"the integration from {self._low:.4g} h to {self._high:.4g} h stands at {time:.6g} h after {spent} "
                "evaluations; check parameters and feed for absurd sizes, or raise the tolerance"
            )
        self._check, self._reached = self._derivative.evaluations + STALL_EVALUATIONS, time

    def failure(self, reason: str) -> SolverError:
        """Error of an integrator that gave up."""
        time, change = self._last
        if not np.isfinite(change).all():
            return SolverError(f"no derivative at {time:.4g} h: it is not finite; check initial states and parameters")
        why = "no step size suits the equations" if reason.startswith(_NO_STEP) else reason.rstrip(".")
        return SolverError(f"the integration failed at {time:.4g} h: {why}; check initial states, parameters and feed")


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

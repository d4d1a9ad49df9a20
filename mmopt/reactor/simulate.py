"""Simulation of a system with SciPy, with a surrogate or with the linear program itself as the cell.

Each stretch between two jumps of a control is integrated on its own, implicitly: dissolved gases settle in seconds, a
fermentation takes a day. LSODA (Petzold 1983) took a third of the time of BDF here, at the same error.
"""

import time as clock
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
from scipy.integrate import solve_ivp

from mmopt.errors import SolverError, StudyError, nearest
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.reactor.profiles import Profile
from mmopt.reactor.system import Cell, Metabolism, System, checked_system, no_cell
from mmopt.results import Trajectory, trajectory
from mmopt.status import Status
from mmopt.units import GROWTH_UNIT, RATE

TOLERANCE: Final = 1.0e-6
"""Relative tolerance of a step."""

_PLENTY: Final = 1.0e6

StopRule = Callable[[Mapping[str, float], Mapping[str, float]], float]
"""From (states, rates) to a number; the simulation stops where it rises above zero."""


def simulate(
    system: System,
    initial: Mapping[str, float],
    controls: Mapping[str, Profile],
    duration: float,
    metabolism: Metabolism | None = None,
    *,
    parameters: Mapping[str, float] | None = None,
    start: float = 0.0,
    points: int = 400,
    tolerance: float = TOLERANCE,
    stop_when: StopRule | None = None,
) -> Trajectory:
    """Integrate a system over time.

    Parameters
    ----------
    system
        The system.
    initial
        Value of every state at the start, in its unit.
    controls
        Profile of every control.
    duration
        Length [h].
    metabolism
        Who answers for the cell: a `Surrogate`, or a `FluxProgram` (the linear program in the loop).
    parameters
        Values that differ from ``system.defaults``.
    start
        First time [h].
    points
        Evenly spaced times in the result, beside the jumps of the controls.
    tolerance
        Relative tolerance of the integrator; absolute it is the same part of each state's scale.
    stop_when
        Ends the simulation early.

    Returns
    -------
    Trajectory
        States, controls, rates of the cell, derived quantities.

    Raises
    ------
    StudyError
        If a state, control or parameter is missing, unknown or not finite.
    SolverError
        If the integrator fails, or the derivative divides by zero or overflows.

    Examples
    --------
    >>> feeds = {"feed": ConstantFeed(0.02)}
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> batch = simulate(ecoli_fed_batch(), start, feeds, 2.0, load_surrogate("ecoli_ijo1366"))
    >>> 1.0 < batch.final("biomass") < 3.0
    True
    """
    started = clock.perf_counter()
    checked_system(system)
    numbers = merged_parameters(system, parameters)
    state = checked_values(initial, [each.name for each in system.states], "state")
    _check_names(controls, [each.name for each in system.controls], "control")
    if not 0.0 < duration < np.inf or not np.isfinite(start):
        raise StudyError(f"the duration is {duration:g} h from {start:g} h; give finite times, the duration above 0")
    cell, names = checked_cell(system, metabolism, numbers)
    calls = 0

    def derivative(time: float, values: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        now = {name: _finite_control(name, profile(time), time) for name, profile in controls.items()}
        try:
            found = system.derivative(_named(system, values), now, numbers, cell)
        except ArithmeticError as error:  # an empty vessel, a state that runs away
            raise SolverError(f"no derivative at {time:.4g} h: {error}; check initial states and parameters") from error
        return np.array([found[each.name] for each in system.states], dtype=float)

    def crossing(time: float, values: np.ndarray) -> float:
        states = _named(system, values)
        return stop_when(states, cell(system.limits(states, numbers))) if stop_when else -1.0

    crossing.terminal, crossing.direction = True, 1.0  # type: ignore[attr-defined]
    edges = _edges(controls, start, duration)
    grid = np.linspace(start, start + duration, points)
    scales = np.array([each.scale for each in system.states])
    times, rows, ended = _integrated(derivative, crossing if stop_when else None, edges, grid, state, tolerance, scales)
    stats = {"seconds": clock.perf_counter() - started, "derivative_calls": calls, "tolerance": tolerance}
    status = Status.ENDED_EARLY if ended else Status.SIMULATED
    return as_trajectory(system, times, rows, controls, numbers, (cell, names), status, stats)


def _integrated(
    derivative: Callable[[float, np.ndarray], np.ndarray],
    crossing: Callable[[float, np.ndarray], float] | None,
    edges: np.ndarray,
    grid: np.ndarray,
    state: np.ndarray,
    tolerance: float,
    scales: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Integrate stretch by stretch: times, states of shape (states, times), and whether an event ended it."""
    times, rows = [edges[:1]], [state[:, None]]
    for low, high in pairwise(edges):
        part = solve_ivp(
            _held_before(derivative, high),
            (low, high),
            rows[-1][:, -1],
            method="LSODA",
            t_eval=np.append(grid[(grid > low) & (grid < high)], high),
            rtol=tolerance,
            atol=tolerance * scales,
            events=crossing,
        )
        if part.status < 0:
            raise SolverError(f"the integration failed at {low:.4g} h: {part.message}; check parameters and feed")
        times.append(part.t)
        rows.append(part.y)
        if part.status == 1:
            return np.concatenate([*times, part.t_events[0]]), np.hstack([*rows, part.y_events[0].T]), True
    return np.concatenate(times), np.hstack(rows), False


def as_trajectory(
    system: System,
    time: np.ndarray,
    states: np.ndarray,
    controls: Mapping[str, Profile],
    parameters: Mapping[str, float],
    checked_cell: tuple[Cell, tuple[str, ...]],
    status: Status,
    stats: Mapping[str, Any],
) -> Trajectory:
    """Make a `Trajectory` of states of shape (states, times): add controls, rates and derived quantities."""
    cell, names = checked_cell
    rows = [_named(system, column) for column in states.T]
    held = [{name: profile(float(t)) for name, profile in controls.items()} for t in time]
    rates = [cell(system.limits(row, parameters)) for row in rows] if names else [{} for _ in rows]
    derived = [system.observe(row, now, parameters, seen) for row, now, seen in zip(rows, held, rates, strict=True)]
    found = {each.name: ("state", each.unit, states[k]) for k, each in enumerate(system.states)}
    for each in system.controls:
        found[each.name] = ("control", each.unit, np.array([now[each.name] for now in held]))
    for each in system.derived:
        found[each.name] = ("derived", each.unit, np.array([row[each.name] for row in derived]))
    for name in names:
        unit = GROWTH_UNIT if name == GROWTH else RATE
        found[name] = ("rate", unit, np.array([row[name] for row in rates]))
    return trajectory(time, found, status, stats)


def merged_parameters(system: System, changed: Mapping[str, float] | None) -> dict[str, float]:
    """Take the system's parameters, with some changed.

    Raises
    ------
    StudyError
        If a name is unknown, or a value not finite or outside the bounds of its parameter.
    """
    known = {parameter.name: parameter for parameter in system.parameters}
    values = system.defaults
    for name, value in (changed or {}).items():
        if name not in known:
            raise StudyError(f"there is no parameter '{name}'; {nearest(name, known)}")
        values[name] = known[name].checked_value(value)
    return values


def checked_values(given: Mapping[str, float], names: list[str], kind: str) -> np.ndarray:
    """Values in the order of ``names``.

    Raises
    ------
    StudyError
        If one is missing, unknown or not finite.
    """
    _check_names(given, names, kind)
    for name in names:
        if not np.isfinite(given[name]):
            raise StudyError(f"{kind} '{name}' is {given[name]}; give a finite number")
    return np.array([float(given[name]) for name in names])


def _check_names(given: Mapping[str, Any], names: list[str], kind: str) -> None:
    for name in given:
        if name not in names:
            raise StudyError(f"there is no {kind} '{name}'; {nearest(name, names)}")
    missing = [name for name in names if name not in given]
    if missing:
        raise StudyError(f"{kind} {', '.join(missing)} is missing; give a value for each of {', '.join(names)}")


def checked_cell(
    system: System, metabolism: Metabolism | None, parameters: Mapping[str, float]
) -> tuple[Cell, tuple[str, ...]]:
    """Who answers for the cell of a system, and the rates it reads: those the derivative asks, and the shortfall.

    Raises
    ------
    StudyError
        If the system asks a cell and there is none, or one with other uptake limits.
    DomainError
        If the system can ask for more uptake than the metabolism is trusted for.
    """
    if not system.readings:
        return no_cell, ()
    if metabolism is None:
        raise StudyError("this system asks a cell; give metabolism= a Surrogate or a FluxProgram")
    largest = _largest_limits(system, parameters)
    if set(largest) != set(metabolism.inputs):
        raise StudyError(
            f"the reactor limits the uptake of {', '.join(largest)}, but the metabolism takes "
            f"{', '.join(metabolism.inputs)}; make them the same"
        )
    metabolism.check_limits(largest)
    names = tuple(dict.fromkeys((*system.readings, SHORTFALL)))
    return metabolism.rate_function(names), names


def _largest_limits(system: System, parameters: Mapping[str, float]) -> dict[str, float]:
    """The largest uptake limits a system can ask for: each state in turn is plenty, the others are gone."""
    largest: dict[str, float] = {}
    for abundant in system.states:
        states = {each.name: _PLENTY * each.scale if each is abundant else 0.0 for each in system.states}
        for exchange, limit in system.limits(states, parameters).items():
            largest[exchange] = max(limit, largest.get(exchange, 0.0))
    return largest


def _finite_control(name: str, value: float, time: float) -> float:
    if not np.isfinite(value):
        raise StudyError(f"control '{name}' is {value} at {time:.4g} h; give a finite number at every time")
    return value


def _named(system: System, values: np.ndarray) -> dict[str, float]:
    return dict(zip((each.name for each in system.states), values.tolist(), strict=True))


def _edges(controls: Mapping[str, Profile], start: float, duration: float) -> np.ndarray:
    """Start, end, and every jump of a control between them."""
    jumps = {jump for profile in controls.values() for jump in profile.breakpoints}
    shortest = 1.0e-9 * duration
    inner = [jump for jump in jumps if start + shortest < jump < start + duration - shortest]
    return np.array([start, *sorted(inner), start + duration])


def _held_before(derivative: Callable[[float, np.ndarray], np.ndarray], end: float) -> Callable[..., np.ndarray]:
    """Evaluate just before ``end`` there: the jump at it belongs to the next stretch."""
    latest = np.nextafter(end, -np.inf)
    return lambda time, values: derivative(min(time, latest), values)

"""Simulation of a system, with a surrogate or with the linear program itself as the cell."""

import time as clock
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from mmopt.checking import as_float, finite, shown
from mmopt.errors import StudyError, nearest
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.reactor.integration import Derivative, integrated, section_edges
from mmopt.reactor.profiles import Profile, checked_profile
from mmopt.reactor.system import Cell, Metabolism, System, checked_system, no_cell
from mmopt.results import Trajectory, trajectory
from mmopt.status import Status
from mmopt.units import GROWTH_UNIT, RATE

TOLERANCE: Final = 1.0e-6
"""Relative tolerance of a step."""

_ABUNDANT: Final = 1.0e6
"""Concentration, in scales, at which uptake is saturated."""

_ROOM: Final = 0.15
"""Scales by which an initial state may lie beyond its bounds: a simulation that continues from an estimate, a collocation or
another simulation begins a little below zero where a substrate is spent."""

_MOST_POINTS: Final = 1_000_000
"""Times in a result: more than any figure shows, and 8 MB for every quantity."""

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
        Metabolism of the cell: a `Surrogate`, an `Atlas`, or a `FluxProgram` (the linear program in the loop); None for a
        system without a cell.
    parameters
        Values that differ from ``system.defaults``.
    start
        First time [h].
    points
        Evenly spaced times in the result, beside the jumps of the controls.
    tolerance
        Relative tolerance of the integrator; the absolute one is the same fraction of every state's scale.
    stop_when
        Function of states and rates by name; the simulation ends where it rises above zero.

    Returns
    -------
    Trajectory
        States, controls, rates of the cell, derived quantities.

    Raises
    ------
    StudyError
        If an argument is of the wrong type, or a state, control or parameter is missing, unknown, not finite or outside its
        physical bounds.
    DomainError
        If the system can request more uptake than the metabolism is valid for.
    SolverError
        If the integrator fails or comes to a stand, or the derivative divides by zero or overflows.

    Examples
    --------
    >>> feeds = {"feed": ConstantFeed(0.02)}
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> batch = simulate(ecoli_fed_batch(), start, feeds, 2.0, load_surrogate("ecoli_ijo1366"))
    >>> 1.0 < batch.final("biomass") < 3.0
    True
    """
    started = clock.perf_counter()
    system = checked_system(system)
    numbers = merged_parameters(system, parameters)
    state = _initial_states(system, initial)
    _check_names(controls, [known.name for known in system.controls], "control")
    profiles = {name: checked_profile(name, profile) for name, profile in controls.items()}
    start = finite("start", start, unit="h")
    duration = finite("duration", duration, above=0.0, unit="h")
    tolerance = finite("tolerance", tolerance, above=0.0)
    if not 1 <= (count := as_float(points)) <= _MOST_POINTS:
        raise StudyError(f"points is {shown(points)}; give a whole number from 1 to {_MOST_POINTS}")
    if stop_when is not None and (isinstance(stop_when, type) or not callable(stop_when)):
        raise StudyError(f"stop_when is {shown(stop_when)}; give a function of states and rates")
    cell, names = checked_cell(system, metabolism, numbers)
    derivative = Derivative(system, profiles, numbers, cell)
    crossing = (
        None if stop_when is None else _event(stop_when, derivative, lambda row: system.limits(row, numbers), cell)
    )
    times, rows, ended = integrated(
        derivative,
        crossing,
        section_edges(profiles, start, duration),
        np.linspace(start, start + duration, int(count)),
        state,
        tolerance,
        np.array([known.scale for known in system.states]),
    )
    seconds = clock.perf_counter() - started
    stats = {"seconds": seconds, "derivative_calls": derivative.evaluations, "tolerance": tolerance}
    status = Status.ENDED_EARLY if ended else Status.SIMULATED
    return as_trajectory(system, times, rows, profiles, numbers, (cell, names), status, stats)


def _event(
    stop_when: StopRule, derivative: Derivative, limits: Callable[[Mapping[str, float]], dict[str, float]], cell: Cell
) -> Callable[[float, np.ndarray], float]:
    """Return the event at which a simulation ends."""

    def crossing(time: float, values: np.ndarray) -> float:
        states = derivative.states(values)
        return stop_when(states, cell(limits(states)))

    crossing.terminal, crossing.direction = True, 1.0  # type: ignore[attr-defined]
    return crossing


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
    """Build a `Trajectory` from states: add controls, rates and derived quantities.

    Parameters
    ----------
    system
        The system.
    time
        Times [h], shape (times,).
    states
        Values of the states, shape (states, times).
    controls
        Profile of every control.
    parameters
        Value of every parameter.
    checked_cell
        The cell and the names of its rates, as `checked_cell` returns them.
    status
        How the computation ended.
    stats
        Figures about the computation.

    Returns
    -------
    Trajectory
    """
    cell, names = checked_cell
    order = [known.name for known in system.states]
    rows = [dict(zip(order, column.tolist(), strict=True)) for column in states.T]
    held = [{name: profile(float(t)) for name, profile in controls.items()} for t in time]
    rates = [cell(system.limits(row, parameters)) for row in rows] if names else [{} for _ in rows]
    derived = [system.observe(row, now, parameters, seen) for row, now, seen in zip(rows, held, rates, strict=True)]
    values = {known.name: ("state", known.unit, states[k]) for k, known in enumerate(system.states)}
    for known in system.controls:
        values[known.name] = ("control", known.unit, np.array([now[known.name] for now in held]))
    for known in system.derived:
        values[known.name] = ("derived", known.unit, _derived(system, known.name, derived))
    for name in names:
        unit = GROWTH_UNIT if name == GROWTH else RATE
        values[name] = ("rate", unit, np.array([row[name] for row in rates]))
    return trajectory(time, values, status, stats)


def _derived(system: System, name: str, rows: list[dict[str, float]]) -> np.ndarray:
    if any(name not in row for row in rows):
        raise StudyError(f"{type(system).__name__}.observe returns no '{name}'; return every derived quantity")
    return np.array([row[name] for row in rows])


def merged_parameters(system: System, changed: Mapping[str, float] | None) -> dict[str, float]:
    """Return the system's parameters, with some changed.

    Parameters
    ----------
    system
        The system.
    changed
        Values that differ from its defaults.

    Returns
    -------
    dict
        Value of every parameter by name.

    Raises
    ------
    StudyError
        If a name is unknown, or a value not finite or outside the bounds of its parameter.

    Examples
    --------
    >>> merged_parameters(ecoli_fed_batch(), {"kla": 250.0})["kla"]
    250.0
    """
    known = {parameter.name: parameter for parameter in system.parameters}
    values = system.defaults
    for name, value in _mapping({} if changed is None else changed, "parameter").items():
        if name not in known:
            raise StudyError(f"there is no parameter '{name}'; {nearest(str(name), known)}")
        values[name] = known[name].checked_value(value)
    return values


def checked_values(given: Mapping[str, float], names: list[str], kind: str) -> np.ndarray:
    """Return values in the order of ``names``.

    Parameters
    ----------
    given
        Values by name.
    names
        The names that must be given.
    kind
        What the names are, for messages: ``state``, ``control``.

    Returns
    -------
    ndarray
        Shape (names,).

    Raises
    ------
    StudyError
        If one is missing, unknown or not finite.

    Examples
    --------
    >>> checked_values({"b": 2.0, "a": 1.0}, ["a", "b"], "state").tolist()
    [1.0, 2.0]
    """
    _check_names(given, names, kind)
    values = np.array([as_float(given[name]) for name in names])
    for name, value in zip(names, values, strict=True):
        if not np.isfinite(value):
            raise StudyError(f"{kind} '{name}' is {shown(given[name])}; give a finite number")
    return values


def _initial_states(system: System, initial: Mapping[str, float]) -> np.ndarray:
    values = checked_values(initial, [known.name for known in system.states], "state")
    for known, value in zip(system.states, values, strict=True):
        slack = _ROOM * known.scale
        if not known.lower - slack <= value <= known.upper + slack:
            raise StudyError(
                f"state '{known.name}' begins at {value:g} {known.unit}; give a value from {known.lower:g} to {known.upper:g}"
            )
    return values


def _mapping(given: Any, kind: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise StudyError(f"{shown(given)} is given for every {kind}; give a mapping from names to values")
    return given


def _check_names(given: Mapping[str, Any], names: list[str], kind: str) -> None:
    for name in _mapping(given, kind):
        if name not in names:
            raise StudyError(f"there is no {kind} '{name}'; {nearest(str(name), names)}")
    missing = [name for name in names if name not in given]
    if missing:
        raise StudyError(f"{kind} {', '.join(missing)} is missing; give a value for each of {', '.join(names)}")


def checked_cell(
    system: System, metabolism: Metabolism | None, parameters: Mapping[str, float]
) -> tuple[Cell, tuple[str, ...]]:
    """Return the cell of a system and the names of its rates: those that the derivative reads, and the shortfall.

    Parameters
    ----------
    system
        The system.
    metabolism
        Its metabolism, or None.
    parameters
        Value of every parameter.

    Returns
    -------
    cell : Cell
        From uptake limits to rates by name.
    names : tuple of str
        Names of the rates; empty for a system without a cell.

    Raises
    ------
    StudyError
        If the system reads rates and there is no metabolism, or one with other uptake limits.
    DomainError
        If the system can request more uptake than the metabolism is valid for.

    Examples
    --------
    >>> reactor = ecoli_fed_batch()
    >>> checked_cell(reactor, load_surrogate("ecoli_ijo1366"), reactor.defaults)[1]
    ('growth', 'EX_glc__D_e', 'EX_ac_e', 'EX_o2_e', 'shortfall')
    """
    if not system.readings:
        return no_cell, ()
    if metabolism is None:
        raise StudyError("this system has a cell; give metabolism= a Surrogate, an Atlas or a FluxProgram")
    if not isinstance(metabolism, Metabolism) or isinstance(metabolism, type):
        raise StudyError(f"metabolism is {shown(metabolism)}; give a Surrogate, an Atlas or a FluxProgram")
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
    """Return the largest uptake limits a system can request: one state after the other is abundant, the others are gone."""
    largest: dict[str, float] = {}
    for abundant in system.states:
        states = {known.name: _ABUNDANT * known.scale if known is abundant else 0.0 for known in system.states}
        for exchange, limit in system.limits(states, parameters).items():
            largest[exchange] = max(limit, largest.get(exchange, 0.0))
    return largest

"""Simulation of a system, with a surrogate or with the linear program itself as the cell."""

import time as clock
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from mmopt.arguments import as_float, finite, shown
from mmopt.errors import StudyError
from mmopt.fba.rates import GROWTH
from mmopt.reactor.inputs import check_names, checked_cell, checked_values, initial_states, merged_parameters
from mmopt.reactor.integration import Derivative, integrated, section_edges
from mmopt.reactor.profiles import Profile, checked_profile
from mmopt.reactor.system import Cell, Metabolism, System, checked_system
from mmopt.results import Trajectory, trajectory
from mmopt.status import Status
from mmopt.units import GROWTH_UNIT, RATE

__all__ = ["TOLERANCE", "as_trajectory", "checked_cell", "checked_values", "merged_parameters", "simulate"]

TOLERANCE: Final = 1.0e-6
"""Relative tolerance of a step."""

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
    continued: bool = False,
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
    continued
        Whether the initial states are the end of another simulation, which may lie outside their bounds by its error; they are
        then not checked against them.

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
    state = initial_states(system, initial, continued)
    check_names(controls, [known.name for known in system.controls], "control")
    profiles = {name: checked_profile(name, profile) for name, profile in controls.items()}
    start = finite("start", start, unit="h")
    duration = finite("duration", duration, above=0.0, unit="h")
    tolerance = finite("tolerance", tolerance, above=0.0)
    if not 1 <= (count := as_float(points)) <= _MOST_POINTS:
        raise StudyError(f"points is {shown(points)}; give a whole number from 1 to {_MOST_POINTS}")
    cell, names = checked_cell(system, metabolism, numbers)
    derivative = Derivative(system, profiles, numbers, cell)
    times, rows, ended = integrated(
        derivative,
        _event(stop_when, system, numbers, cell),
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
    stop_when: StopRule | None, system: System, parameters: Mapping[str, float], cell: Cell
) -> Callable[[float, np.ndarray], float] | None:
    """Return the event at which a simulation ends, as SciPy takes it."""
    if stop_when is None:
        return None
    if isinstance(stop_when, type) or not callable(stop_when):
        raise StudyError(f"stop_when is {shown(stop_when)}; give a function of states and rates")
    names = [known.name for known in system.states]

    def crossing(time: float, values: np.ndarray) -> float:
        states = dict(zip(names, values.tolist(), strict=True))
        return stop_when(states, cell(system.limits(states, parameters)))

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

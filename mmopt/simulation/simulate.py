"""Simulation of a system, with a surrogate or with the linear program itself as the cell."""

import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mmopt.arguments import as_float, finite, shown
from mmopt.errors import StudyError
from mmopt.fba.rates import GROWTH
from mmopt.parallel.sharing import solved
from mmopt.reactor.profiles import Profile, checked_profile
from mmopt.reactor.system import Cell, Metabolism, System, checked_system
from mmopt.results import Trajectory, trajectory
from mmopt.simulation.compiled import derivative_of
from mmopt.simulation.derivative import Derivative
from mmopt.simulation.inputs import check_names, checked_cell, checked_values, initial_states, merged_parameters
from mmopt.simulation.integration import integrated, section_edges
from mmopt.status import Status
from mmopt.units import GROWTH_UNIT, RATE

__all__ = [
    "TOLERANCE",
    "as_trajectory",
    "checked_cell",
    "checked_values",
    "merged_parameters",
    "simulate",
    "simulate_many",
]

TOLERANCE: Final = 1.0e-6
"""Relative tolerance of a step."""

_MOST_POINTS: Final = 1_000_000
"""Times in a result: more than any figure shows, and 8 MB for every quantity."""

_CHUNKS: Final = 8
"""Chunks of many simulations for each process."""

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
    derivative = derivative_of(system, metabolism, profiles, numbers, cell, names, (start, state))
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
    return as_trajectory(derivative, profiles, times, rows, status, stats)


def simulate_many(
    system: System,
    initial: Mapping[str, float],
    controls: Sequence[Mapping[str, Profile]],
    duration: float,
    metabolism: Metabolism | None = None,
    *,
    parameters: Mapping[str, float] | None = None,
    points: int = 400,
    tolerance: float = TOLERANCE,
    workers: int = 1,
    scheduler: str | None = None,
) -> list[Trajectory]:
    """Integrate a system for many controls, here, in processes, or on a Dask cluster.

    Parameters
    ----------
    system, initial, duration, metabolism, parameters, points, tolerance
        As for `simulate`.
    controls
        Profiles of all controls, one mapping for each simulation.
    workers
        Processes. One takes some seconds to start, and imports the calling script, which therefore needs its
        ``if __name__ == "__main__":``.
    scheduler
        Address of a running Dask scheduler, whose workers simulate then.

    Returns
    -------
    list of Trajectory
        In the order of ``controls``, whatever the number of workers.

    Raises
    ------
    StudyError, DomainError, SolverError
        As `simulate`; or if the system or the metabolism cannot be sent to processes.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> feeds = [{"feed": ConstantFeed(rate)} for rate in (0.01, 0.02)]
    >>> found = simulate_many(ecoli_fed_batch(), start, feeds, 1.0, load_surrogate("ecoli_ijo1366"))
    >>> [round(trajectory.final("volume"), 3) for trajectory in found]
    [1.01, 1.02]
    """
    if isinstance(controls, Mapping) or not isinstance(controls, Sequence):
        raise StudyError(f"controls is {shown(controls)}; give a list of mappings, one for each simulation")
    one = _Simulation(system, initial, duration, metabolism, parameters, points, tolerance)
    if scheduler is None and (workers == 1 or len(controls) < 2):
        return [one.solve([profiles])[0] for profiles in controls]
    chunk = max(1, -(-len(controls) // (_CHUNKS * workers)))
    chunks = {first: list(controls[first : first + chunk]) for first in range(0, len(controls), chunk)}
    results = dict(solved(one, chunks, _describe, "simulate_many", workers, scheduler))
    return [trajectory for first in chunks for trajectory in results[first]]


def _describe(number: int) -> str:
    return f"simulations from {number} on"


@dataclass(frozen=True, eq=False)
class _Simulation:
    """A simulation without its controls, as it is sent to processes."""

    system: System
    initial: Mapping[str, float]
    duration: float
    metabolism: Metabolism | None
    parameters: Mapping[str, float] | None
    points: int
    tolerance: float

    def solve(self, controls: list[Mapping[str, Profile]]) -> list[Trajectory]:
        """Simulate some controls."""
        return [
            simulate(
                self.system,
                self.initial,
                profiles,
                self.duration,
                self.metabolism,
                parameters=self.parameters,
                points=self.points,
                tolerance=self.tolerance,
            )
            for profiles in controls
        ]


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
    derivative: Derivative,
    controls: Mapping[str, Profile],
    time: np.ndarray,
    states: np.ndarray,
    status: Status,
    stats: Mapping[str, Any],
) -> Trajectory:
    """Build a `Trajectory` from states: add controls, rates and derived quantities.

    Parameters
    ----------
    derivative
        Derivative of the system.
    controls
        Profile of every control.
    time
        Times [h], shape (times,).
    states
        Values of the states, shape (states, times).
    status
        How the computation ended.
    stats
        Figures about the computation.

    Returns
    -------
    Trajectory
    """
    system = derivative.system
    held = {known.name: np.array([float(controls[known.name](float(t))) for t in time]) for known in system.controls}
    rates, derived = derivative.read(states, held)
    values = {known.name: ("state", known.unit, states[k]) for k, known in enumerate(system.states)}
    values.update({known.name: ("control", known.unit, held[known.name]) for known in system.controls})
    values.update({known.name: ("derived", known.unit, derived[known.name]) for known in system.derived})
    for name, rate in rates.items():
        values[name] = ("rate", GROWTH_UNIT if name == GROWTH else RATE, rate)
    return trajectory(time, values, status, stats, (system, derivative.parameters))

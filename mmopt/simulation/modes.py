"""Simulations of a mode of operation: to a steady state, or over cycles that each begin with what the last one left."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mmopt.arguments import as_float, finite, shown
from mmopt.errors import StudyError
from mmopt.reactor.profiles import ConstantFeed, Profile
from mmopt.reactor.system import Metabolism, System, checked_system
from mmopt.results import Trajectory
from mmopt.simulation.inputs import checked_mapping
from mmopt.simulation.simulate import TOLERANCE, simulate

_STEADY: Final = 1.0e-6
"""Change of every state over the last half of a simulation, in scales, at which it is steady."""

_FIRST, _MOST = 16.0, 16384.0
"""First length of a simulation, and the longest [h]; each is twice as long as the one before."""

_WASHED_OUT: Final = 1.0e-3
"""Fraction of the initial biomass at which a culture is washed out."""

BIOMASS, VOLUME = "biomass", "volume"


def steady_state(
    system: System,
    initial: Mapping[str, float],
    controls: Mapping[str, float],
    metabolism: Metabolism | None = None,
    *,
    parameters: Mapping[str, float] | None = None,
    tolerance: float = 1.0e-8,
) -> Trajectory:
    """Simulate constant controls until nothing changes any more, as in a chemostat.

    Where there are several steady states, it is the one that the initial state leads to.

    Parameters
    ----------
    system
        The system, such as a `mmopt.reactor.chemostat`.
    initial
        Value of every state at the start, in its unit.
    controls
        Value of every control, in its unit.
    metabolism, parameters, tolerance
        As for `simulate`.

    Returns
    -------
    Trajectory
        The way to the steady state, which is its end: `Trajectory.final` has its values.

    Raises
    ------
    StudyError
        If the culture is washed out, or there is no steady state within 16,384 h.
    DomainError, SolverError
        As `simulate`.

    Examples
    --------
    >>> reactor = chemostat(ecoli_fed_batch())
    >>> start = {"volume": 1.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
    >>> feed = {"feed": 0.2}
    >>> steady = steady_state(reactor, start, feed, load_surrogate("ecoli_ijo1366"), parameters={"glucose_fed": 10.0})
    >>> round(steady.final("growth"), 4)
    0.2
    """
    system, hours = checked_system(system), _FIRST
    profiles = {name: ConstantFeed(value) for name, value in checked_mapping(controls, "control").items()}
    begun = checked_mapping(initial, "state").get(BIOMASS, 0.0)
    scales = {state.name: state.scale for state in system.states}
    while hours <= _MOST:
        batch = simulate(system, initial, profiles, hours, metabolism, parameters=parameters, tolerance=tolerance)
        middle = {name: float(batch.at(name, batch.time[-1] / 2.0)) for name in scales}
        ends = {name: batch.final(name) for name in scales}
        if BIOMASS in ends and ends[BIOMASS] < _WASHED_OUT * begun:
            raise StudyError(
                f"the culture is washed out: biomass falls to {ends[BIOMASS]:.2g} g/L after {hours:g} h; feed less, or retain "
                "cells"
            )
        if all(abs(ends[name] - middle[name]) <= _STEADY * scale for name, scale in scales.items()):
            return batch
        hours *= 2.0
    changing = max(scales, key=lambda name: abs(ends[name] - middle[name]) / scales[name])
    raise StudyError(
        f"there is no steady state: '{changing}' still goes from {middle[changing]:.4g} to {ends[changing]:.4g} in the last "
        f"half of {_MOST:g} h; give controls that keep the volume, such as those of a chemostat"
    )


def simulate_cycles(
    system: System,
    initial: Mapping[str, float],
    controls: Mapping[str, Profile],
    duration: float,
    metabolism: Metabolism | None = None,
    *,
    cycles: int,
    kept: float,
    parameters: Mapping[str, float] | None = None,
    points: int = 400,
    tolerance: float = TOLERANCE,
) -> list[Trajectory]:
    """Simulate a repeated fed-batch: after every cycle some of the broth is taken out, and the next begins with the rest.

    Parameters
    ----------
    system, initial, metabolism, parameters, points, tolerance
        As for `simulate`; the system has a state ``volume``.
    controls
        Profile of every control over a cycle.
    duration
        Length of a cycle [h].
    cycles
        Their number.
    kept
        Fraction of the volume that stays in the vessel, above 0 and at most 1.

    Returns
    -------
    list of Trajectory
        One for each cycle; time counts from its beginning.

    Raises
    ------
    StudyError
        If an argument is out of range, or the system has no ``volume``.
    DomainError, SolverError
        As `simulate`.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> feed, cell = {"feed": ConstantFeed(0.05)}, load_surrogate("ecoli_ijo1366")
    >>> batches = simulate_cycles(ecoli_fed_batch(), start, feed, 4.0, cell, cycles=2, kept=0.5)
    >>> [round(batch.final("volume"), 3) for batch in batches]
    [1.2, 0.8]
    """
    system = checked_system(system)
    if VOLUME not in {state.name for state in system.states}:
        raise StudyError(f"{type(system).__name__} has no state 'volume'; give a Bioreactor")
    if not as_float(cycles) >= 1.0 or as_float(cycles) != np.floor(as_float(cycles)):
        raise StudyError(f"cycles is {shown(cycles)}; give a whole number, at least 1")
    if (kept := finite("kept", kept, above=0.0)) > 1.0:
        raise StudyError(f"kept is {kept:g}; give a fraction of the volume, above 0 and at most 1")
    batches: list[Trajectory] = []
    states = dict(checked_mapping(initial, "state"))
    for _ in range(int(cycles)):
        batch = simulate(
            system,
            states,
            controls,
            duration,
            metabolism,
            parameters=parameters,
            points=points,
            tolerance=tolerance,
            continued=bool(batches),
        )
        batches.append(batch)
        states = {state.name: batch.final(state.name) for state in system.states}
        states[VOLUME] *= kept
    return batches

"""Values to start a solve from: every variable of a transcribed problem, from a trajectory."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

from mmopt.problem.control import LINES, Control
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.quantities import Quantity
from mmopt.reactor.system import no_cell
from mmopt.results import Trajectory
from mmopt.simulation.compiled import derivative_of
from mmopt.simulation.inputs import merged_parameters
from mmopt.surrogate.embed import start_embedding
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.points import control_at, points_of, state_at
from mmopt.transcription.scaling import from_variable, to_variable

_ROOM: Final = 2.0
"""How far below zero a state may go, relative to the start, where a start goes below its lowest value."""

_FALLS: Final = 1.0e-6
"""Fall from its lowest value, in scales an hour, from which on the equations take a state below it."""

_MEAN_OF: Final = (np.arange(10) + 0.5) / 10.0
"""Fractions of an element at which a control is read for its mean."""


def start_from(
    block: Any,
    problem: Problem,
    surrogate: SmoothCell | None,
    trajectory: Trajectory,
    begin: float | None = None,
    length: float | None = None,
) -> None:
    """Set every variable from a trajectory.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem, surrogate
        The problem and the surrogate of its cell.
    trajectory
        States and controls over time.
    begin
        Time of the trajectory at which the horizon begins [h]; its first time by default.
    length
        Hours of it that are read, held beyond its end [h]; all of it by default.
    """
    first = float(trajectory.time[0]) if begin is None else begin
    length = float(trajectory.time[-1]) - first if length is None else length
    if block.length.lb != block.length.ub:
        block.length.set_value(length, skip_validation=True)
    points = points_of(block, problem)
    for state in block.scaled_states:
        # a simulation with a surrogate lets what has run out drift below zero, where its smooth law would start badly
        given = trajectory.at(state.name, first + points * length)
        below = surrogate is None and given.min() < state.lower and _goes_below(problem, state, trajectory)
        values = to_variable(state, given if below else np.clip(given, state.lower, state.upper))
        for t, value in zip(sorted(block.time), values.tolist(), strict=True):
            variable = state_at(block, state.name, t)
            if below and t > 0.0 and variable.lb is not None:
                variable.setlb(min(variable.lb, _ROOM * float(values.min())))
            if t > 0.0 or variable.lb != variable.ub:
                variable.set_value(value, skip_validation=True)
    edges = first + length * problem.horizon.fractions
    for name, control in problem.controls.items():
        values = _control_values(trajectory, name, control, edges) / problem.scales[name]
        values[: block.held[name]] = values[: block.held[name]].mean()
        for k, value in enumerate(values.tolist()):
            block.control[name, k].set_value(value, skip_validation=True)
    complete_start(block, problem, surrogate)


def _goes_below(problem: Problem, state: Quantity, trajectory: Trajectory) -> bool:
    """Whether the equations, and not the error of the integrator, take a state without a cell below its lowest value."""
    system, parameters = problem.system, merged_parameters(problem.system, problem.parameter_values)
    below = trajectory[state.name] < state.lower
    first = max(int(np.argmax(below)) - 1, 0)
    states = {known.name: max(float(trajectory[known.name][first]), known.lower) for known in system.states}
    controls = {known.name: float(trajectory[known.name][first]) for known in system.controls}
    change = system.derivative({**states, state.name: state.lower}, controls, parameters, no_cell)[state.name]
    return bool(change < -_FALLS * state.scale)


def complete_start(block: Any, problem: Problem, surrogate: SmoothCell | None) -> None:
    """Give rates of change and limited quantities the values that states and controls imply.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem, surrogate
        The problem and the surrogate of its cell.
    """
    system, times = problem.system, list(block.inner)
    states = {
        state.name: np.array([from_variable(state, state_at(block, state.name, t).value) for t in times])
        for state in block.scaled_states
    }
    controls = {
        name: np.array([pyo.value(control_at(block, problem, name, t)) for t in times]) * problem.scales[name]
        for name in (known.name for known in system.controls)
    }
    parameters = {name: float(variable.value) for name, variable in block.parameter.items()}
    changes, values = _implied(problem, surrogate, states, controls, parameters)
    for state in block.scaled_states:
        if not state.quasi_steady:
            slopes = block.length.value * changes[state.name] / state.scale
            for t, slope in zip(times, slopes.tolist(), strict=True):
                block.rate[state.name, t].set_value(slope, skip_validation=True)
    for name in problem.limits:
        scale = problem.quantities[name].scale
        for t, value in zip(times, values[name].tolist(), strict=True):
            _start_limited(block, "limited", (name, t), value, scale)
    for name in problem.final:
        _start_limited(block, "at_end", name, float(values[name][-1]), problem.quantities[name].scale)
    limits = {} if surrogate is None else _limits(problem, states, parameters)
    for k, t in enumerate(times):
        known = ({name: row[k] for name, row in limits.items()}, {name: values[name][k] for name in system.readings})
        start_embedding(block.point[t], known if limits else None)
    start_embedding(block.begin)
    if block.in_turn:
        block.excess.set_value(pyo.value(block.excess_sum), skip_validation=True)
    block.aim.set_value(pyo.value(block.scaled_objective), skip_validation=True)


def _implied(
    problem: Problem,
    surrogate: SmoothCell | None,
    states: Mapping[str, np.ndarray],
    controls: Mapping[str, np.ndarray],
    parameters: Mapping[str, float],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Derivatives of the states, and every quantity by name, at several times; shape (times,)."""
    system = problem.system
    cell, names = (no_cell, ()) if surrogate is None else (surrogate.rate_function(system.readings), system.readings)
    columns = np.array([states[known.name] for known in system.states])
    constant = {name: ConstantFeed(float(values[0])) for name, values in controls.items()}
    derivative = derivative_of(system, surrogate, constant, parameters, cell, names, (0.0, columns[:, 0]))
    rates, derived = derivative.read(columns, controls)
    changes = dict(zip((known.name for known in system.states), derivative.changes(columns, controls), strict=True))
    return changes, {**states, **controls, **rates, **derived}


def _limits(
    problem: Problem, states: Mapping[str, np.ndarray], parameters: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Uptake limits at several times by name, shape (times,); none where they cannot be computed at once."""
    try:
        limits = {name: np.asarray(row, dtype=float) for name, row in problem.system.limits(states, parameters).items()}
    except Exception:  # a system may do with its arguments whatever single numbers allow
        return {}
    shape = next(iter(states.values())).shape
    return limits if all(row.shape == shape and np.isfinite(row).all() for row in limits.values()) else {}


def _start_limited(block: Any, kind: str, index: Any, value: float, scale: float) -> None:
    """Give a limited quantity its value or, where its limit is soft, the nearest allowed one and the slack."""
    variable = block.component(kind)[index]
    below, above = (block.component(f"{kind}_{side}") for side in ("below", "above"))
    if index in below:
        inside = max(value, -np.inf if variable.lb is None else variable.lb)
        inside = min(inside, np.inf if variable.ub is None else variable.ub)
        below[index].set_value(max(0.0, inside - value) / scale, skip_validation=True)
        above[index].set_value(max(0.0, value - inside) / scale, skip_validation=True)
        value = inside
    variable.set_value(value, skip_validation=True)


def _control_values(trajectory: Trajectory, name: str, control: Control, edges: np.ndarray) -> np.ndarray:
    """A trajectory's values of a control: at each edge of lines, the mean over each element of steps."""
    if control.shape == LINES:
        return trajectory.at(name, edges)
    inside = edges[:-1, None] + np.diff(edges)[:, None] * _MEAN_OF
    means: np.ndarray = trajectory.at(name, inside).mean(axis=1)
    return means

"""The variables of a transcribed problem: data and limits as their bounds, values to start from, and the answer read back."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyomo.environ as pyo

from mmopt.problem.control import LINES, Control
from mmopt.problem.problem import Given, Problem
from mmopt.reactor.system import RecordingCell, no_cell
from mmopt.results import Trajectory
from mmopt.surrogate.embed import start_embedding
from mmopt.surrogate.surrogate import Surrogate


def set_data(
    program: Any,
    problem: Problem,
    *,
    initial: Mapping[str, Given] | None = None,
    length: Given | None = None,
    parameters: Mapping[str, Given] | None = None,
) -> None:
    """Change data of a program: they are bounds, so no equation is written anew.

    Parameters
    ----------
    initial
        States at the start of the horizon, in their units, or ranges.
    length
        Of the horizon [h], or its range.
    parameters
        Values by name, or ranges.
    """
    for name, given in (initial or {}).items():
        _bound(state_at(program, name, 0.0), given, problem.scales[name])
    if length is not None:
        _bound(program.length, length)
    for name, given in (parameters or {}).items():
        _bound(program.parameter[name], given)


def bound_limits(program: Any, problem: Problem) -> None:
    """Bound controls and limited quantities as the problem says now."""
    for name, move in problem.control_settings.items():
        scale = problem.scales[name]
        for number, free in enumerate(_free(problem, move)):
            program.control[name, number].setlb(move.low / scale)
            program.control[name, number].setub((move.high if free else move.low) / scale)
    for (name, _), variable in program.watched.items():
        _between(variable, problem.limits[name])
    for name, variable in program.at_end.items():
        _between(variable, problem.final[name])


def start_from(
    program: Any,
    problem: Problem,
    trajectory: Trajectory,
    surrogate: Surrogate | None,
    begin: float | None = None,
) -> None:
    """Set every variable from a trajectory, from ``begin`` [h] (its first time by default) to its last."""
    first = float(trajectory.time[0]) if begin is None else begin
    length = float(trajectory.time[-1]) - first
    if program.length.lb != program.length.ub:
        program.length.set_value(length, skip_validation=True)
    points = np.array(sorted(program.time))
    for each in problem.system.states:
        # a simulation with a surrogate lets what is gone drift below zero, where its smooth law would begin astray
        values = np.clip(trajectory.at(each.name, first + points * length), each.lower, each.upper) / each.scale
        for t, value in zip(points.tolist(), values.tolist(), strict=True):
            variable = state_at(program, each.name, t)
            if t > 0.0 or variable.lb != variable.ub:
                variable.set_value(value, skip_validation=True)
    edges = problem.horizon.fractions()
    for name, move in problem.control_settings.items():
        scale = problem.scales[name]
        for number, held in enumerate(_held(trajectory, name, move, first + length * edges)):
            program.control[name, number].set_value(held / scale, skip_validation=True)
    complete_start(program, problem, surrogate)


def complete_start(program: Any, problem: Problem, surrogate: Surrogate | None) -> None:
    """Give rates of change and watched quantities the values that states and controls imply."""
    system, scales = problem.system, problem.scales
    parameters = {name: variable.value for name, variable in program.parameter.items()}
    asked = RecordingCell(no_cell if surrogate is None else surrogate.rate_function(system.readings))
    known = problem.quantities
    seen: dict[str, Any] = {}
    for t in program.inner:
        states = {each.name: state_at(program, each.name, t).value * each.scale for each in system.states}
        controls = {name: pyo.value(control_at(program, problem, name, t)) * scales[name] for name in problem.controls}
        change = system.derivative(states, controls, parameters, asked)
        seen = {**states, **controls, **asked.rates, **system.observe(states, controls, parameters, asked.rates)}
        for each in system.states:
            if not each.quasi_steady:
                slope = program.length.value * change[each.name] / each.scale
                program.rate[each.name, t].set_value(slope, skip_validation=True)
        for name in problem.limits:
            slacks = (program.below, program.above) if (name, t) in program.below else None
            _start_limited(program.watched, slacks, (name, t), seen[name], known[name].scale)
    for name in problem.final:
        slacks = (program.end_below, program.end_above) if name in program.end_below else None
        _start_limited(program.at_end, slacks, name, seen[name], known[name].scale)
    for block in (*program.point.values(), program.begin):
        start_embedding(block)
    program.aim.set_value(pyo.value(program.worth), skip_validation=True)


def _start_limited(limited: Any, slacks: tuple[Any, Any] | None, at: Any, value: float, scale: float) -> None:
    """Give a limited quantity its value or, where its limit is soft, the nearest allowed, and by what the limit is broken."""
    variable = limited[at]
    if slacks is not None:
        inside = max(value, -np.inf if variable.lb is None else variable.lb)
        inside = min(inside, np.inf if variable.ub is None else variable.ub)
        for slack, sign in zip(slacks, (1.0, -1.0), strict=True):
            slack[at].set_value(max(0.0, sign * (inside - value)) / scale, skip_validation=True)
        value = inside
    variable.set_value(value, skip_validation=True)


def tighten(program: Any, problem: Problem, margins: Mapping[str, np.ndarray]) -> None:
    """Draw the limits in by a margin for each element, shape (elements,), in the units of the limited quantities."""
    for name, margin in margins.items():
        low, high = problem.limits[name]
        for t in program.inner:
            by = float(margin[element_of(problem, t)])
            program.watched[name, t].setlb(None if low is None else low + by)
            program.watched[name, t].setub(None if high is None else high - by)


def read_controls(program: Any, problem: Problem) -> dict[str, np.ndarray]:
    """Values of every control on each element or, of lines, at each edge, in their units."""
    return {
        # Ipopt relaxes bounds by 1e-8; a pump does not
        name: np.clip(
            [program.control[name, number].value * problem.scales[name] for number in range(values_of(problem, move))],
            move.low,
            move.high,
        )
        for name, move in problem.control_settings.items()
    }


def read_states(program: Any, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Scaled times, shape (points,), and states in their units, shape (states, points)."""
    points = sorted(program.time)
    rows = [[state_at(program, each.name, t).value * each.scale for t in points] for each in problem.system.states]
    return np.array(points), np.array(rows)


def read_choice(program: Any, problem: Problem) -> dict[str, Any]:
    """Values of what was chosen beside the controls, for `Problem.settled`."""
    chosen: dict[str, Any] = {}
    for each in _choices(program, problem):
        value = float(np.clip(each.variable.value * each.scale, *each.range))
        if each.name:
            chosen.setdefault(each.kind, {})[each.name] = value
        else:
            chosen[each.kind] = value
    return chosen


def shared(program: Any, problem: Problem) -> list[Any]:
    """Variables that programs of one problem, with other parameters, have in common: controls, and whatever else is chosen."""
    return [*program.control.values(), *(each.variable for each in _choices(program, problem))]


class _Choice(NamedTuple):
    """Something that is chosen beside the controls."""

    kind: str
    name: str
    variable: Any
    scale: float
    range: tuple[float, float]


def _choices(program: Any, problem: Problem) -> Iterator[_Choice]:
    if isinstance(problem.horizon.length, tuple):
        yield _Choice("length", "", program.length, 1.0, problem.horizon.length)
    for name, given in problem.initial.items():
        if isinstance(given, tuple):
            yield _Choice("initial", name, state_at(program, name, 0.0), problem.scales[name], given)
    for name, given in problem.parameters.items():
        if isinstance(given, tuple):
            yield _Choice("parameters", name, program.parameter[name], 1.0, given)


def state_at(program: Any, name: str, t: float) -> Any:
    """A state's variable at a point, settled or not, scaled."""
    return program.state[name, t] if (name, t) in program.state else program.quasi_steady[name, t]


def control_at(program: Any, problem: Problem, name: str, t: float) -> Any:
    """A control at a point, scaled."""
    element = element_of(problem, t)
    if problem.control_settings[name].shape != LINES:
        return program.control[name, element]
    low, high = problem.horizon.fractions()[element : element + 2]
    part = (t - low) / (high - low)
    return (1.0 - part) * program.control[name, element] + part * program.control[name, element + 1]


def element_of(problem: Problem, t: float) -> int:
    """Number of the element a point belongs to; an edge belongs to the earlier one."""
    return max(0, int(np.searchsorted(problem.horizon.fractions(), t - 1.0e-9)) - 1)


def values_of(problem: Problem, move: Control) -> int:
    """How many values a control has: one an element or, of lines, one an edge."""
    return problem.horizon.elements + (move.shape == LINES)


def _free(problem: Problem, move: Control) -> np.ndarray:
    """Whether a control may leave its lowest value, for each number it has."""
    inside = move.free(problem.horizon.edges())
    if move.shape != LINES:
        return inside
    free: np.ndarray = np.append(inside, True) & np.insert(inside, 0, True)
    return free


def _held(trajectory: Trajectory, name: str, move: Control, edges: np.ndarray) -> np.ndarray:
    """A trajectory's values of a control: at each edge of lines, the mean over each element of steps."""
    if move.shape == LINES:
        return trajectory.at(name, edges)
    fine = np.linspace(0.0, 1.0, 10, endpoint=False) + 0.05
    inside = edges[:-1, None] + np.diff(edges)[:, None] * fine
    means: np.ndarray = trajectory.at(name, inside).mean(axis=1)
    return means


def _between(variable: Any, pair: tuple[float | None, float | None]) -> None:
    low, high = pair
    variable.setlb(low)
    variable.setub(high)


def _bound(variable: Any, given: Given, scale: float = 1.0) -> None:
    """Give a variable equal bounds, or its range."""
    low, high = given if isinstance(given, tuple) else (given, given)
    variable.setlb(low / scale)
    variable.setub(high / scale)
    variable.set_value((low + high) / 2.0 / scale, skip_validation=True)

"""From a dynamic problem to a nonlinear program: Radau collocation with Pyomo.DAE, the surrogate embedded at each point.

Time runs from 0 to 1 and its length is a datum, so that a shrinking horizon keeps the structure of the program; all data
are variables with equal bounds, so that new data need no new program. States are scaled by their typical sizes; states
that settle in seconds are taken as settled. Every limited quantity is a variable whose bounds are the limits.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo
from pyomo.dae import ContinuousSet, DerivativeVar

from mmopt.control.problem import Problem
from mmopt.reactor.simulate import answering, merged_parameters
from mmopt.reactor.system import Quantity, no_cell
from mmopt.results import Trajectory
from mmopt.surrogate.embed import embed
from mmopt.surrogate.surrogate import Surrogate

_BELOW_ZERO: Final = 2.0e-2
"""Part of its scale by which a state may fall below zero: a smooth rate is a little wrong where a substrate is gone."""

_SMOOTHNESS: Final = 1.0e-4
"""Price of the squared change of a control from element to element, in scaled units: it makes a flat optimum unique."""


def transcribe(
    problem: Problem, surrogate: Surrogate | None = None, *, price: float | None = None
) -> pyo.ConcreteModel:
    """Write a problem as a nonlinear program.

    Parameters
    ----------
    problem
        The problem.
    surrogate
        Answers for the cell; None for a system without one.
    price
        None: limits are hard. Else they are soft: the objective loses this much, in scales of the maximised quantity, for a
        limit that is broken by its whole scale for the whole horizon.

    Returns
    -------
    ConcreteModel
        An ordinary Pyomo problem. ``time`` is the continuous set in [0, 1]; ``length`` [h], ``parameter[name]`` and the
        state at time 0 are data; ``state[name, t]``, ``settled[name, t]`` and ``control[name, element]`` are scaled;
        ``watched[name, t]`` are the limited quantities in their own units.

    Raises
    ------
    DomainError
        If the system can ask for more uptake than the surrogate was trained for.

    References
    ----------
    Nicholson et al. (2018), Math. Program. Comput. 10:187-223 (Pyomo.DAE).
    """
    if surrogate is not None:
        answering(problem.system, surrogate, merged_parameters(problem.system, problem.parameters))
    program = pyo.ConcreteModel(name="dynamic optimisation")
    _declare(program, problem)
    pyo.TransformationFactory("dae.collocation").apply_to(
        program, wrt=program.time, nfe=problem.horizon.elements, ncp=problem.horizon.points, scheme="LAGRANGE-RADAU"
    )
    program.inner = pyo.Set(initialize=sorted(program.time)[1:], ordered=True)
    program.point = pyo.Block(program.inner, rule=lambda block, t: _point(block, t, program, problem, surrogate))
    _watch(program, problem, price)
    _objective(program, problem, price)
    return program


def set_data(
    program: pyo.ConcreteModel,
    problem: Problem,
    *,
    initial: Mapping[str, float] | None = None,
    length: float | None = None,
    parameters: Mapping[str, float] | None = None,
) -> None:
    """Change data of a program: they are bounds, so no equation is written anew.

    Parameters
    ----------
    initial
        States at the start of the horizon, in their units.
    length
        Of the horizon [h].
    parameters
        Values by name.
    """
    for name, value in (initial or {}).items():
        _pin(_state(program, name, 0.0), value / problem.scales[name])
    if length is not None:
        _pin(program.length, length)
    for name, value in (parameters or {}).items():
        _pin(program.parameter[name], value)


def start_from(
    program: pyo.ConcreteModel,
    problem: Problem,
    trajectory: Trajectory,
    surrogate: Surrogate | None,
    begin: float | None = None,
) -> None:
    """Set every variable from a trajectory, from ``begin`` [h] (its first time by default) to its last."""
    first = float(trajectory.time[0]) if begin is None else begin
    length = float(trajectory.time[-1]) - first
    points = np.array(list(program.inner))
    for each in problem.system.states:
        values = trajectory.at(each.name, first + points * length) / each.scale
        for t, value in zip(points.tolist(), values.tolist(), strict=True):
            _state(program, each.name, t).set_value(value, skip_validation=True)
    edges = np.array(program.time.get_finite_elements())
    fine = np.linspace(0.0, 1.0, 10, endpoint=False) + 0.05
    for name in problem.controls:
        for number, (low, high) in enumerate(pairwise(edges)):
            held = trajectory.at(name, first + length * (low + fine * (high - low))).mean()
            program.control[name, number].set_value(float(held) / problem.scales[name], skip_validation=True)
    complete_start(program, problem, surrogate)


def complete_start(program: pyo.ConcreteModel, problem: Problem, surrogate: Surrogate | None) -> None:
    """Give rates of change and watched quantities the values that states and controls imply."""
    system, scales = problem.system, problem.scales
    parameters = {name: variable.value for name, variable in program.parameter.items()}
    cell = no_cell if surrogate is None else surrogate.answers(system.readings)
    for t in program.inner:
        states = {each.name: _state(program, each.name, t).value * each.scale for each in system.states}
        controls = {name: program.control[name, _element(program, t)].value * scales[name] for name in problem.controls}
        change = system.derivative(states, controls, parameters, cell)
        seen = {**states, **system.observe(states, parameters)}
        for each in system.states:
            if not each.quasi_steady:
                slope = program.length.value * change[each.name] / each.scale
                program.rate[each.name, t].set_value(slope, skip_validation=True)
        for name in _watched_names(problem):
            program.watched[name, t].set_value(seen[name], skip_validation=True)


def tighten(program: pyo.ConcreteModel, problem: Problem, margins: Mapping[str, np.ndarray]) -> None:
    """Draw the limits in by a margin for each element, shape (elements,), in the units of the limited quantities."""
    for name, margin in margins.items():
        low, high = problem.limits[name]
        for t in program.inner:
            by = float(margin[_element(program, t)])
            program.watched[name, t].setlb(None if low is None else low + by)
            program.watched[name, t].setub(None if high is None else high - by)


def read_controls(program: pyo.ConcreteModel, problem: Problem) -> dict[str, np.ndarray]:
    """Values of every control on each element, in their units."""
    elements = range(problem.horizon.elements)
    return {
        # Ipopt relaxes bounds by 1e-8; a pump does not
        name: np.clip([program.control[name, number].value * problem.scales[name] for number in elements], low, high)
        for name, (low, high) in problem.controls.items()
    }


def read_states(program: pyo.ConcreteModel, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Scaled times, shape (points,), and states in their units, shape (states, points)."""
    points = sorted(program.time)
    rows = [[_state(program, each.name, t).value * each.scale for t in points] for each in problem.system.states]
    return np.array(points), np.array(rows)


def _declare(program: pyo.ConcreteModel, problem: Problem) -> None:
    system, scales = problem.system, problem.scales
    initial = {name: float(value) / scales[name] for name, value in problem.initial.items()}
    bounds = {each.name: _bounds(each) for each in system.states}
    program.time = ContinuousSet(bounds=(0.0, 1.0))
    program.length = pyo.Var()
    program.parameter = pyo.Var(list(system.parameters))
    for kind, quasi_steady in (("state", False), ("settled", True)):
        names = [each.name for each in system.states if each.quasi_steady is quasi_steady]
        variable = pyo.Var(
            names, program.time, bounds=lambda _, name, t: bounds[name], initialize=lambda _, name, t: initial[name]
        )
        program.add_component(kind, variable)
    program.rate = DerivativeVar(program.state, wrt=program.time, initialize=0.0)
    ranges = {name: (low / scales[name], high / scales[name]) for name, (low, high) in problem.controls.items()}
    program.control = pyo.Var(
        list(ranges),
        range(problem.horizon.elements),
        bounds=lambda _, name, element: ranges[name],
        initialize=lambda _, name, element: ranges[name][0],
    )
    set_data(
        program,
        problem,
        initial=problem.initial,
        length=problem.horizon.length,
        parameters=merged_parameters(system, problem.parameters),
    )


def _point(block: Any, t: float, program: pyo.ConcreteModel, problem: Problem, surrogate: Surrogate | None) -> None:
    """The equations of one collocation point."""
    system, scales = problem.system, problem.scales
    states = {each.name: _state(program, each.name, t) * each.scale for each in system.states}
    element = _element(program, t)
    controls = {name: program.control[name, element] * scales[name] for name in problem.controls}
    parameters = dict(program.parameter)
    cell = no_cell if surrogate is None else lambda limits: embed(block, surrogate, limits, system.readings)
    change = system.derivative(states, controls, parameters, cell)
    slow = [each.name for each in system.states if not each.quasi_steady]
    fast = [each.name for each in system.states if each.quasi_steady]
    block.slope = pyo.Expression(slow, rule=lambda _, name: program.length * change[name] / scales[name])
    block.moves = pyo.Constraint(slow, rule=lambda b, name: program.rate[name, t] == b.slope[name])
    block.settles = pyo.Constraint(fast, rule=lambda _, name: change[name] / scales[name] == 0.0)
    seen = {**states, **system.observe(states, parameters)}
    block.seen = pyo.Expression(_watched_names(problem), rule=lambda _, name: seen[name])


def _watch(program: pyo.ConcreteModel, problem: Problem, price: float | None) -> None:
    """Bound the limited quantities; where limits are soft, by what they may be broken is a variable that costs."""
    limits = problem.limits
    program.watched = pyo.Var(
        _watched_names(problem), program.inner, bounds=lambda _, name, t: limits.get(name, (None, None))
    )
    if price is None:
        program.watches = pyo.Constraint(
            program.watched.index_set(), rule=lambda m, name, t: m.watched[name, t] == m.point[t].seen[name]
        )
        return
    program.below = pyo.Var(list(limits), program.inner, bounds=(0.0, None), initialize=0.0)
    program.above = pyo.Var(list(limits), program.inner, bounds=(0.0, None), initialize=0.0)
    scale = {name: each.scale for name, each in problem.watchable.items()}

    def watches(m: pyo.ConcreteModel, name: str, t: float) -> Any:
        broken = scale[name] * (m.below[name, t] - m.above[name, t]) if name in limits else 0.0
        return m.watched[name, t] == m.point[t].seen[name] + broken

    program.watches = pyo.Constraint(program.watched.index_set(), rule=watches)


def _objective(program: pyo.ConcreteModel, problem: Problem, price: float | None) -> None:
    """Most of the wanted quantity at the end, in its scale, less a small price of restless controls."""
    scale = problem.watchable[problem.maximise].scale
    restless = pyo.quicksum(
        (program.control[name, number] - program.control[name, number - 1]) ** 2
        for name in problem.controls
        for number in range(1, problem.horizon.elements)
    )
    broken: Any = 0.0
    if price is not None:
        total = pyo.quicksum(program.below.values()) + pyo.quicksum(program.above.values())
        broken = price * total / len(program.inner)
    end = program.watched[problem.maximise, program.inner.last()]
    program.cost = pyo.Objective(expr=-end / scale + _SMOOTHNESS * restless + broken)


def _watched_names(problem: Problem) -> list[str]:
    return list(dict.fromkeys((problem.maximise, *problem.limits)))


def _state(program: pyo.ConcreteModel, name: str, t: float) -> Any:
    return program.state[name, t] if (name, t) in program.state else program.settled[name, t]


def _element(program: pyo.ConcreteModel, t: float) -> int:
    """Number of the element a point belongs to; with Radau points its right end does."""
    return max(0, int(np.searchsorted(program.time.get_finite_elements(), t - 1.0e-9)) - 1)


def _bounds(state: Quantity) -> tuple[float | None, float | None]:
    low = None if np.isinf(state.lower) else state.lower / state.scale - _BELOW_ZERO
    return low, None if np.isinf(state.upper) else state.upper / state.scale


def _pin(variable: Any, value: float) -> None:
    variable.setlb(value)
    variable.setub(value)
    variable.set_value(value, skip_validation=True)

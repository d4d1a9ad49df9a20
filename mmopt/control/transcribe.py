"""From a dynamic problem to a nonlinear program: collocation with Pyomo.DAE, the surrogate embedded at each point.

Time runs from 0 to 1 and its length is a variable, so that a shrinking horizon and a free final time keep the structure of
the program; all data are variables with equal bounds, so that new data need no new program. States are scaled by their
typical sizes; states that settle in seconds are taken as settled. Every limited quantity is a variable whose bounds are
the limits.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo
from pyomo.dae import ContinuousSet, DerivativeVar

from mmopt.control.controls import LINES, Control
from mmopt.control.horizon import LEGENDRE, RADAU
from mmopt.control.objective import DURATION
from mmopt.control.problem import Given, Problem
from mmopt.reactor.simulate import answering, merged_parameters
from mmopt.reactor.system import Asked, Cell, Quantity, no_cell
from mmopt.results import Trajectory
from mmopt.surrogate.embed import embed, start_embedding
from mmopt.surrogate.grey_box import GREY_BOX, Gathered
from mmopt.surrogate.surrogate import Surrogate

_BELOW_ZERO: Final = 0.2
"""Part of its scale by which a state may fall below zero where a surrogate answers. Its rates are a little wrong where a
substrate is gone, and a polynomial swings below zero where one runs out within an element; uptake through |c| drives it
back. Laws without a cell may have a pole below zero, and get no room."""

_CALM: Final = 1.0e-2
"""Part of the price of unrest where nothing is wanted but to break limits little."""

EVERYWHERE, END = "everywhere", "end"

_SCHEMES: Final = {RADAU: "LAGRANGE-RADAU", LEGENDRE: "LAGRANGE-LEGENDRE"}


def transcribe(
    problem: Problem,
    surrogate: Surrogate | None = None,
    *,
    price: float | None = None,
    soft: str = EVERYWHERE,
    aim: bool = True,
    formulation: str = "reduced_space",
) -> pyo.ConcreteModel:
    """Write a problem as a nonlinear program.

    Parameters
    ----------
    problem
        The problem.
    surrogate
        Answers for the cell; None for a system without one.
    price
        None: limits are hard but for those with a price of their own. Else they are soft, and cost this much where they have no
        price of their own.
    soft
        Which limits ``price`` makes soft: ``everywhere``, or ``end`` for those at the end alone.
    aim
        Whether the objective is wanted; else nothing is but to break limits as little as possible.
    formulation
        How the surrogate is written: as `embed` says, or ``grey_box``, all points as one function of matrices.

    Returns
    -------
    ConcreteModel
        An ordinary Pyomo problem. ``time`` is the continuous set in [0, 1]; ``length`` [h], ``parameter[name]`` and the
        state at time 0 are data, or decisions within their range; ``state[name, t]``, ``settled[name, t]`` and
        ``control[name, number]`` are scaled, numbers those of elements or, of lines, of edges; ``watched[name, t]`` and
        ``at_end[name]`` are the limited quantities in their own units; ``aim`` is the objective, scaled.

    Raises
    ------
    DomainError
        If the system can ask for more uptake than the surrogate was trained for.

    References
    ----------
    Nicholson et al. (2018), Math. Program. Comput. 10:187-223 (Pyomo.DAE).
    """
    if surrogate is not None:
        answering(problem.system, surrogate, merged_parameters(problem.system, problem.numbers))
    program = pyo.ConcreteModel(name="dynamic optimisation")
    write(program, problem, surrogate, price=price, soft=soft, formulation=formulation)
    wanted = -program.aim + program.unrest if aim else _CALM * program.unrest
    program.cost = pyo.Objective(expr=wanted + program.broken)
    return program


def write(
    program: Any,
    problem: Problem,
    surrogate: Surrogate | None,
    *,
    price: float | None = None,
    soft: str = EVERYWHERE,
    formulation: str = "reduced_space",
) -> None:
    """Write a problem into a block, all but its objective: ``aim`` is to be large, ``unrest`` and ``broken`` small."""
    _declare(program, problem)
    cell_at, close = _cells(program, problem, surrogate, formulation)
    pyo.TransformationFactory("dae.collocation").apply_to(
        program,
        wrt=program.time,
        nfe=problem.horizon.elements,
        ncp=problem.horizon.points,
        scheme=_SCHEMES[problem.horizon.scheme],
    )
    program.inner = pyo.Set(initialize=sorted(program.time)[1:], ordered=True)
    seen: dict[float, dict[str, Any]] = {}
    program.point = pyo.Block(
        program.inner, rule=lambda block, t: _point(block, t, program, problem, cell_at(block), seen)
    )
    prices = {**({} if price is None or soft == END else dict.fromkeys(problem.limits, price)), **problem.soft}
    _watch(program, problem, seen, prices)
    _finish(program, problem, seen[program.inner.last()], price)
    _aim(program, problem, seen[program.inner.last()], cell_at)
    _move(program, problem)
    close()


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
        _bound(_state(program, name, 0.0), given, problem.scales[name])
    if length is not None:
        _bound(program.length, length)
    for name, given in (parameters or {}).items():
        _bound(program.parameter[name], given)


def bound_limits(program: Any, problem: Problem) -> None:
    """Bound controls and limited quantities as the problem says now."""
    for name, move in problem.moves.items():
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
        values = trajectory.at(each.name, first + points * length) / each.scale
        for t, value in zip(points.tolist(), values.tolist(), strict=True):
            variable = _state(program, each.name, t)
            if t > 0.0 or variable.lb != variable.ub:
                variable.set_value(value, skip_validation=True)
    edges = problem.horizon.fractions()
    for name, move in problem.moves.items():
        scale = problem.scales[name]
        for number, held in enumerate(_held(trajectory, name, move, first + length * edges)):
            program.control[name, number].set_value(held / scale, skip_validation=True)
    complete_start(program, problem, surrogate)


def complete_start(program: Any, problem: Problem, surrogate: Surrogate | None) -> None:
    """Give rates of change and watched quantities the values that states and controls imply."""
    system, scales = problem.system, problem.scales
    parameters = {name: variable.value for name, variable in program.parameter.items()}
    asked = Asked(no_cell if surrogate is None else surrogate.answers(system.readings))
    known = problem.watchable
    seen: dict[str, Any] = {}
    for t in program.inner:
        states = {each.name: _state(program, each.name, t).value * each.scale for each in system.states}
        controls = {name: pyo.value(_control(program, problem, name, t)) * scales[name] for name in problem.controls}
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
            by = float(margin[_element(problem, t)])
            program.watched[name, t].setlb(None if low is None else low + by)
            program.watched[name, t].setub(None if high is None else high - by)


def read_controls(program: Any, problem: Problem) -> dict[str, np.ndarray]:
    """Values of every control on each element or, of lines, at each edge, in their units."""
    return {
        # Ipopt relaxes bounds by 1e-8; a pump does not
        name: np.clip(
            [program.control[name, number].value * problem.scales[name] for number in range(_count(problem, move))],
            move.low,
            move.high,
        )
        for name, move in problem.moves.items()
    }


def read_states(program: Any, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Scaled times, shape (points,), and states in their units, shape (states, points)."""
    points = sorted(program.time)
    rows = [[_state(program, each.name, t).value * each.scale for t in points] for each in problem.system.states]
    return np.array(points), np.array(rows)


def read_choice(program: Any, problem: Problem) -> dict[str, Any]:
    """Values of what was chosen beside the controls, for `Problem.settled`."""
    chosen: dict[str, Any] = {}
    if isinstance(problem.horizon.length, tuple):
        chosen["length"] = float(np.clip(program.length.value, *problem.horizon.length))
    initial = {name: each for name, each in problem.initial.items() if isinstance(each, tuple)}
    if initial:
        values = {name: _state(program, name, 0.0).value * problem.scales[name] for name in initial}
        chosen["initial"] = {name: float(np.clip(values[name], *each)) for name, each in initial.items()}
    parameters = {name: each for name, each in problem.parameters.items() if isinstance(each, tuple)}
    if parameters:
        values = {name: program.parameter[name].value for name in parameters}
        chosen["parameters"] = {name: float(np.clip(values[name], *each)) for name, each in parameters.items()}
    return chosen


def shared(program: Any, problem: Problem) -> list[Any]:
    """Variables that programs of one problem, with other parameters, have in common: controls, and whatever else is chosen."""
    found = list(program.control.values())
    if isinstance(problem.horizon.length, tuple):
        found.append(program.length)
    found += [_state(program, name, 0.0) for name, given in problem.initial.items() if isinstance(given, tuple)]
    found += [program.parameter[name] for name, given in problem.parameters.items() if isinstance(given, tuple)]
    return found


def _declare(program: Any, problem: Problem) -> None:
    system, scales = problem.system, problem.scales
    initial = {name: value / scales[name] for name, value in problem.start.items()}
    below = _BELOW_ZERO if system.readings else 0.0
    bounds = {each.name: _bounds(each, below) for each in system.states}
    program.time = ContinuousSet(initialize=problem.horizon.fractions().tolist())
    program.length = pyo.Var()
    program.parameter = pyo.Var(list(system.parameters))
    for kind, quasi_steady in (("state", False), ("settled", True)):
        names = [each.name for each in system.states if each.quasi_steady is quasi_steady]
        variable = pyo.Var(
            names, program.time, bounds=lambda _, name, t: bounds[name], initialize=lambda _, name, t: initial[name]
        )
        program.add_component(kind, variable)
    program.rate = DerivativeVar(program.state, wrt=program.time, initialize=0.0)
    ranges = {
        (name, number): (move.low / scales[name], (move.high if free else move.low) / scales[name])
        for name, move in problem.moves.items()
        for number, free in enumerate(_free(problem, move))
    }
    program.control = pyo.Var(list(ranges), bounds=lambda _, *at: ranges[at], initialize=lambda _, *at: ranges[at][0])
    set_data(
        program,
        problem,
        initial=problem.initial,
        length=problem.horizon.length,
        parameters={**system.parameters, **problem.parameters},
    )


def _point(
    block: Any,
    t: float,
    program: Any,
    problem: Problem,
    cell: Cell,
    seen: dict[float, dict[str, Any]],
) -> None:
    """The equations of one point; what is seen there goes into ``seen``."""
    system, scales = problem.system, problem.scales
    states = {each.name: _state(program, each.name, t) * each.scale for each in system.states}
    controls = {name: _control(program, problem, name, t) * scales[name] for name in problem.controls}
    parameters = dict(program.parameter)
    asked = Asked(cell)
    change = system.derivative(states, controls, parameters, asked)
    slow = [each.name for each in system.states if not each.quasi_steady]
    fast = [each.name for each in system.states if each.quasi_steady]
    block.slope = pyo.Expression(slow, rule=lambda _, name: program.length * change[name] / scales[name])
    block.moves = pyo.Constraint(slow, rule=lambda b, name: program.rate[name, t] == b.slope[name])
    block.settles = pyo.Constraint(fast, rule=lambda _, name: change[name] / scales[name] == 0.0)
    derived = system.observe(states, controls, parameters, asked.rates)
    seen[t] = {**parameters, **states, **controls, **asked.rates, **derived, DURATION: program.length}


def _cells(
    program: Any, problem: Problem, surrogate: Surrogate | None, formulation: str
) -> tuple[Callable[[Any], Cell], Callable[[], None]]:
    """Who answers for the cell in a block, and what is to be done when all blocks are written."""
    readings = problem.system.readings
    if surrogate is None:
        return lambda block: no_cell, lambda: None
    if formulation == GREY_BOX:
        gathered = Gathered(program, surrogate, readings)
        return gathered.cell, gathered.close
    return lambda block: lambda limits: embed(block, surrogate, limits, readings, formulation), lambda: None


def _watch(
    program: Any, problem: Problem, seen: Mapping[float, Mapping[str, Any]], prices: Mapping[str, float]
) -> None:
    """Bound the limited quantities; where a limit is soft, by what it may be broken is a variable that costs."""
    limits, soft = problem.limits, [name for name in problem.limits if name in prices]
    program.watched = pyo.Var(list(limits), program.inner, bounds=lambda _, name, t: limits[name])
    program.below = pyo.Var(soft, program.inner, bounds=(0.0, None), initialize=0.0)
    program.above = pyo.Var(soft, program.inner, bounds=(0.0, None), initialize=0.0)
    scale = {name: each.scale for name, each in problem.watchable.items()}

    def watches(m: Any, name: str, t: float) -> Any:
        broken = scale[name] * (m.below[name, t] - m.above[name, t]) if name in prices else 0.0
        return m.watched[name, t] == seen[t][name] + broken

    program.watches = pyo.Constraint(program.watched.index_set(), rule=watches)
    program.broken = pyo.Expression(
        expr=pyo.quicksum(
            prices[name] * (program.below[name, t] + program.above[name, t]) / len(program.inner)
            for name in soft
            for t in program.inner
        )
    )


def _finish(program: Any, problem: Problem, end: Mapping[str, Any], price: float | None) -> None:
    """Bound what is limited at the end."""
    limits = problem.final
    program.at_end = pyo.Var(list(limits), bounds=lambda _, name: limits[name])
    soft = list(limits) if price is not None else []
    program.end_below = pyo.Var(soft, bounds=(0.0, None), initialize=0.0)
    program.end_above = pyo.Var(soft, bounds=(0.0, None), initialize=0.0)
    scale = {name: each.scale for name, each in problem.watchable.items()}

    def ends(m: Any, name: str) -> Any:
        broken = scale[name] * (m.end_below[name] - m.end_above[name]) if soft else 0.0
        return m.at_end[name] == end[name] + broken

    program.ends = pyo.Constraint(list(limits), rule=ends)
    if price is not None:
        total = pyo.quicksum(program.end_below.values()) + pyo.quicksum(program.end_above.values())
        program.broken.set_value(program.broken.expr + price * total)


class _Start(dict[str, Any]):
    """What is seen at the start; derived quantities and rates only if something asks for them."""

    def __init__(self, known: Mapping[str, Any], more: Any) -> None:
        super().__init__(known)
        self._more = more

    def __missing__(self, name: str) -> Any:
        self.update(self._more())
        if name not in self:
            raise KeyError(name)
        return self[name]


def _aim(program: Any, problem: Problem, end: Mapping[str, Any], cell_at: Callable[[Any], Cell]) -> None:
    """Tie ``aim`` to the objective."""
    system, scales = problem.system, problem.scales
    program.begin = pyo.Block(concrete=True)
    parameters = dict(program.parameter)
    states = {each.name: _state(program, each.name, 0.0) * each.scale for each in system.states}
    controls = {name: program.control[name, 0] * scales[name] for name in problem.controls}

    def more() -> dict[str, Any]:
        asked = Asked(cell_at(program.begin))
        system.derivative(states, controls, parameters, asked)
        return {**asked.rates, **system.observe(states, controls, parameters, asked.rates)}

    start = _Start({**parameters, **states, **controls, DURATION: 0.0}, more)
    objective = problem.objective
    program.aim = pyo.Var()
    program.worth = pyo.Expression(expr=objective.value(end, start) / objective.scale)
    program.aims = pyo.Constraint(expr=program.aim == program.worth)


def _move(program: Any, problem: Problem) -> None:
    """Keep controls from changing faster than they can, and price their unrest."""
    program.changes = pyo.ConstraintList()
    edges = problem.horizon.fractions()
    unrest: Any = 0.0
    for name, move in problem.moves.items():
        places = edges if move.shape == LINES else (edges[:-1] + edges[1:]) / 2.0
        for number, (before, after) in enumerate(pairwise(places.tolist())):
            step = program.control[name, number + 1] - program.control[name, number]
            unrest += move.unrest * (step * problem.scales[name] / max(move.high - move.low, 1.0e-12)) ** 2
            if move.change is not None:
                most = move.change * (after - before) / problem.scales[name] * program.length
                program.changes.add(step <= most)
                program.changes.add(step >= -most)
    program.unrest = pyo.Expression(expr=unrest)


def _count(problem: Problem, move: Control) -> int:
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


def _control(program: Any, problem: Problem, name: str, t: float) -> Any:
    """A control at a point, scaled."""
    element = _element(problem, t)
    if problem.moves[name].shape != LINES:
        return program.control[name, element]
    low, high = problem.horizon.fractions()[element : element + 2]
    part = (t - low) / (high - low)
    return (1.0 - part) * program.control[name, element] + part * program.control[name, element + 1]


def _state(program: Any, name: str, t: float) -> Any:
    return program.state[name, t] if (name, t) in program.state else program.settled[name, t]


def _element(problem: Problem, t: float) -> int:
    """Number of the element a point belongs to; an edge belongs to the earlier one."""
    return max(0, int(np.searchsorted(problem.horizon.fractions(), t - 1.0e-9)) - 1)


def _bounds(state: Quantity, below: float) -> tuple[float | None, float | None]:
    low = None if np.isinf(state.lower) else state.lower / state.scale - below
    return low, None if np.isinf(state.upper) else state.upper / state.scale


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

"""From a dynamic problem to a nonlinear program: collocation with Pyomo.DAE, the surrogate embedded at each point.

Time runs from 0 to 1 and its length is a variable, so that a shrinking horizon and a free final time keep the structure of
the program; all data are variables with equal bounds, so that new data need no new program. States are scaled by their
typical sizes; states that settle in seconds are taken as settled. Every limited quantity is a variable whose bounds are
the limits.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo
from pyomo.dae import ContinuousSet, DerivativeVar

from mmopt.problem.control import LINES
from mmopt.problem.horizon import LEGENDRE, RADAU
from mmopt.problem.objective import DURATION
from mmopt.problem.problem import Problem
from mmopt.reactor.simulate import checked_cell, merged_parameters
from mmopt.reactor.system import Cell, Quantity, RecordingCell, no_cell
from mmopt.surrogate.embed import embed
from mmopt.surrogate.grey_box import GREY_BOX, Gathered
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.program import bound_limits, control_at, set_data, state_at, values_of

_BELOW_ZERO: Final = 0.2
"""Part of its scale by which a state may fall below zero where a surrogate answers. Its rates are a little wrong where a
substrate is gone, and a polynomial swings below zero where one runs out within an element; uptake through |c| drives it
back. Laws without a cell may have a pole below zero, and get no room."""

_CALM: Final = 1.0e-2
"""Part of the price of move_penalty where nothing is wanted but to break limits little."""

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
        state at time 0 are data, or decisions within their range; ``state[name, t]``, ``quasi_steady[name, t]`` and
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
    program = pyo.ConcreteModel(name="dynamic optimisation")
    write(program, problem, surrogate, price=price, soft=soft, formulation=formulation)
    wanted = -program.aim + program.move_penalty if aim else _CALM * program.move_penalty
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
    """Write a problem into a block, all but its objective: ``aim`` is to be large, ``move_penalty`` and ``broken`` small.

    Raises
    ------
    DomainError
        If the system can ask for more uptake than the surrogate was trained for.
    """
    if surrogate is not None:
        checked_cell(problem.system, surrogate, merged_parameters(problem.system, problem.parameter_values))
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
    _limit(program, problem, seen, price, soft)
    _aim(program, problem, seen[program.inner.last()], cell_at)
    _move(program, problem)
    close()
    bound_limits(program, problem)


def _declare(program: Any, problem: Problem) -> None:
    system, scales = problem.system, problem.scales
    initial = {name: value / scales[name] for name, value in problem.start.items()}
    below = _BELOW_ZERO if system.readings else 0.0
    bounds = {each.name: _bounds(each, below) for each in system.states}
    program.time = ContinuousSet(initialize=problem.horizon.fractions().tolist())
    program.length = pyo.Var()
    program.parameter = pyo.Var(list(system.parameters))
    for kind, quasi_steady in (("state", False), ("quasi_steady", True)):
        names = [each.name for each in system.states if each.quasi_steady is quasi_steady]
        variable = pyo.Var(
            names, program.time, bounds=lambda _, name, t: bounds[name], initialize=lambda _, name, t: initial[name]
        )
        program.add_component(kind, variable)
    program.rate = DerivativeVar(program.state, wrt=program.time, initialize=0.0)
    program.control = pyo.Var(
        [
            (name, number)
            for name, move in problem.control_settings.items()
            for number in range(values_of(problem, move))
        ],
        initialize=lambda _, name, number: problem.control_settings[name].low / scales[name],
    )
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
    states = {each.name: state_at(program, each.name, t) * each.scale for each in system.states}
    controls = {name: control_at(program, problem, name, t) * scales[name] for name in problem.controls}
    parameters = dict(program.parameter)
    asked = RecordingCell(cell)
    change = system.derivative(states, controls, parameters, asked)
    slow = [each.name for each in system.states if not each.quasi_steady]
    fast = [each.name for each in system.states if each.quasi_steady]
    block.slope = pyo.Expression(slow, rule=lambda _, name: program.length * change[name] / scales[name])
    block.dynamics = pyo.Constraint(slow, rule=lambda b, name: program.rate[name, t] == b.slope[name])
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


def _limit(
    program: Any, problem: Problem, seen: Mapping[float, Mapping[str, Any]], price: float | None, soft: str
) -> None:
    """Make limited quantities variables, whose bounds will be the limits; ``broken`` is what breaking soft ones costs."""
    points, last = program.inner, program.inner.last()
    everywhere = {} if price is None or soft == END else dict.fromkeys(problem.limits, price)
    at_end = {} if price is None else dict.fromkeys(problem.final, price)
    watched = {(name, t): seen[t][name] for name in problem.limits for t in points}
    ends = {name: seen[last][name] for name in problem.final}
    parts = ("watched", "below", "above", "watches"), ("at_end", "end_below", "end_above", "ends")
    broken = _limited(program, problem, parts[0], watched, {**everywhere, **problem.soft}) / len(points)
    program.broken = pyo.Expression(expr=broken + _limited(program, problem, parts[1], ends, at_end))


def _limited(
    program: Any, problem: Problem, parts: Sequence[str], seen: Mapping[Any, Any], prices: Mapping[str, float]
) -> Any:
    """Variables equal to what is seen, or off by what costs; that cost is given back, summed over all."""
    known = problem.quantities
    name_of = {at: at[0] if isinstance(at, tuple) else at for at in seen}
    soft = [at for at in seen if name_of[at] in prices]
    limited = pyo.Var(list(seen))
    below, above = (pyo.Var(soft, bounds=(0.0, None), initialize=0.0) for _ in range(2))

    def tied(_: Any, *at: Any) -> Any:
        place = at if len(at) > 1 else at[0]
        off = known[name_of[place]].scale * (below[place] - above[place]) if name_of[place] in prices else 0.0
        return limited[place] == seen[place] + off

    for part, component in zip(parts, (limited, below, above, pyo.Constraint(list(seen), rule=tied)), strict=True):
        program.add_component(part, component)
    return pyo.quicksum(prices[name_of[at]] * (below[at] + above[at]) for at in soft)


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
    states = {each.name: state_at(program, each.name, 0.0) * each.scale for each in system.states}
    controls = {name: program.control[name, 0] * scales[name] for name in problem.controls}

    def more() -> dict[str, Any]:
        asked = RecordingCell(cell_at(program.begin))
        system.derivative(states, controls, parameters, asked)
        return {**asked.rates, **system.observe(states, controls, parameters, asked.rates)}

    start = _Start({**parameters, **states, **controls, DURATION: 0.0}, more)
    objective = problem.objective
    program.aim = pyo.Var()
    program.worth = pyo.Expression(expr=objective.value(end, start) / objective.scale)
    program.aims = pyo.Constraint(expr=program.aim == program.worth)


def _move(program: Any, problem: Problem) -> None:
    """Keep controls from changing faster than they can, and price their move_penalty."""
    program.changes = pyo.ConstraintList()
    edges = problem.horizon.fractions()
    move_penalty: Any = 0.0
    for name, move in problem.control_settings.items():
        places = edges if move.shape == LINES else (edges[:-1] + edges[1:]) / 2.0
        for number, (before, after) in enumerate(pairwise(places.tolist())):
            step = program.control[name, number + 1] - program.control[name, number]
            move_penalty += move.move_penalty * (step * problem.scales[name] / max(move.high - move.low, 1.0e-12)) ** 2
            if move.change is not None:
                most = move.change * (after - before) / problem.scales[name] * program.length
                program.changes.add(step <= most)
                program.changes.add(step >= -most)
    program.move_penalty = pyo.Expression(expr=move_penalty)


def _bounds(state: Quantity, below: float) -> tuple[float | None, float | None]:
    low = None if np.isinf(state.lower) else state.lower / state.scale - below
    return low, None if np.isinf(state.upper) else state.upper / state.scale

"""The equations of a dynamic problem: collocation with Pyomo.DAE, the surrogate embedded at each point.

Time runs from 0 to 1 and its length is a variable, so that a shrinking horizon and a free final time keep the structure of
the program; all data are variables with equal bounds, so that new data need no new program. States are scaled by their
typical sizes; quasi-steady states are algebraic. Every limited quantity is a variable whose bounds are the limits.

References
----------
Nicholson et al. (2018), Math. Program. Comput. 10:187-223 (Pyomo.DAE).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyomo.environ as pyo
from pyomo.dae import ContinuousSet, DerivativeVar

from mmopt.errors import StudyError
from mmopt.problem.control import LINES
from mmopt.problem.horizon import LEGENDRE, RADAU
from mmopt.problem.objective import DURATION
from mmopt.problem.problem import Problem
from mmopt.reactor.system import Cell, RecordingCell, no_cell
from mmopt.surrogate.embed import embed
from mmopt.surrogate.grey_box import GREY_BOX, Gathered
from mmopt.surrogate.layer import SmoothCell
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.aim import write_moves, write_objective
from mmopt.transcription.points import control_at, element_at, state_at, stretch_at, value_count
from mmopt.transcription.scaling import from_variable, scaled_states, to_variable, variable_bounds

_BELOW_ZERO: Final = 0.2
"""Fraction of its scale by which a state may fall below zero where a surrogate gives the rates. They are slightly wrong where
a substrate has run out, and a polynomial swings below zero where one runs out within an element; uptake through |c| drives
it back. Laws without a cell may have a pole below zero, and get no room."""

EVERYWHERE, END = "everywhere", "end"

_SCHEMES: Final = {RADAU: "LAGRANGE-RADAU", LEGENDRE: "LAGRANGE-LEGENDRE"}


@dataclass(frozen=True)
class Relaxation:
    """Which limits of a problem may be violated, at which price.

    Attributes
    ----------
    price
        Price of a violation where a limit has no price of its own; None: only limits with a price of their own are soft.
    where
        The limits that ``price`` makes soft: ``everywhere``, or ``end`` for those at the end alone.
    objective
        Whether the problem's objective is maximised; else only violations are minimised.
    in_turn
        Whether one program is to serve for hard limits, for the least violation, and for the objective within a violation, by
        new data alone; see `CollocationProgram.allow_violation`. The start that an objective reads, the hours since, and the
        lengths of the elements are then data, too, so that a controller keeps to the start of its batch and to its interval.

    Examples
    --------
    >>> Relaxation(price=100.0).where
    'everywhere'
    """

    price: float | None = None
    where: str = EVERYWHERE
    objective: bool = True
    in_turn: bool = False

    def __post_init__(self) -> None:
        if self.where not in (EVERYWHERE, END):
            raise StudyError(f"limits cannot be relaxed '{self.where}'; use {EVERYWHERE} or {END}")


HARD: Final = Relaxation()


def write_equations(
    block: Any, problem: Problem, surrogate: SmoothCell | None, relaxation: Relaxation, formulation: str, held: int = 0
) -> None:
    """Write a problem into a Pyomo block, all but its objective.

    Parameters
    ----------
    block
        A Pyomo block. Afterwards ``aim`` is the scaled objective to be maximised, ``moves`` the penalty of moves and
        ``violation`` the price of violated soft limits.
    problem, surrogate
        The problem, and the surrogate of its cell.
    relaxation
        Which limits are soft.
    formulation
        How the surrogate is written, see `mmopt.transcription.transcribe`.
    held
        Number of the first elements in which the controls have one value; 0: every element has its own.
    """
    block.scaled_states = scaled_states(problem, soft=relaxation.price is not None)
    block.in_turn = relaxation.in_turn
    _declare(block, problem, held)
    cell_at, close = _cells(block, problem, surrogate, formulation)
    pyo.TransformationFactory("dae.collocation").apply_to(
        block,
        wrt=block.time,
        nfe=problem.horizon.elements,
        ncp=problem.horizon.points,
        scheme=_SCHEMES[problem.horizon.scheme],
    )
    block.inner = pyo.Set(initialize=sorted(block.time)[1:], ordered=True)
    values: dict[float, dict[str, Any]] = {}
    block.point = pyo.Block(
        block.inner, rule=lambda point, t: _write_point(point, t, block, problem, cell_at(point), values)
    )
    _write_limits(block, problem, values, relaxation)
    write_objective(block, problem, values, cell_at)
    write_moves(block, problem)
    close()


def _declare(block: Any, problem: Problem, held: int) -> None:
    system = problem.system
    scales = problem.scales
    initial = {state.name: to_variable(state, problem.start_values[state.name]) for state in block.scaled_states}
    below = _BELOW_ZERO if system.readings else 0.0
    bounds = {state.name: variable_bounds(state, below) for state in block.scaled_states}
    block.compiled_edges = problem.horizon.fractions
    block.time = ContinuousSet(initialize=block.compiled_edges.tolist())
    block.stretch = pyo.Var(range(problem.horizon.elements if block.in_turn else 0), bounds=(1.0, 1.0), initialize=1.0)
    block.length = pyo.Var()
    block.parameter = pyo.Var(list(system.defaults))
    for kind, quasi_steady in (("state", False), ("quasi_steady", True)):
        names = [state.name for state in system.states if state.quasi_steady is quasi_steady]
        variable = pyo.Var(
            names, block.time, bounds=lambda _, name, t: bounds[name], initialize=lambda _, name, t: initial[name]
        )
        block.add_component(kind, variable)
    block.rate = DerivativeVar(block.state, wrt=block.time, initialize=0.0)
    block.held = {
        name: max(1, held + (held > 0 and control.shape == LINES)) for name, control in problem.controls.items()
    }
    first = {
        (name, k): (name, 0 if k < block.held[name] else k)
        for name, control in problem.controls.items()
        for k in range(value_count(problem, control))
    }
    block.control_value = pyo.Var(
        list(dict.fromkeys(first.values())), initialize=lambda _, name, k: problem.controls[name].low / scales[name]
    )
    block.control = {index: block.control_value[own] for index, own in first.items()}


def _write_point(
    point: Any, t: float, block: Any, problem: Problem, cell: Cell, values: dict[float, dict[str, Any]]
) -> None:
    """Write the equations of one collocation point; the quantities there go into ``values``."""
    system, scales = problem.system, problem.scales
    states = {state.name: from_variable(state, state_at(block, state.name, t)) for state in block.scaled_states}
    controls = {name: control_at(block, problem, name, t) * scales[name] for name in problem.controls}
    parameters = dict(block.parameter)
    recording = RecordingCell(cell)
    change = system.derivative(states, controls, parameters, recording)
    sizes = {state.name: state.scale for state in block.scaled_states}
    slow = [state.name for state in system.states if not state.quasi_steady]
    fast = [state.name for state in system.states if state.quasi_steady]
    length = block.length * stretch_at(block, element_at(block, t))
    point.slope = pyo.Expression(slow, rule=lambda _, name: length * change[name] / sizes[name])
    point.dynamics = pyo.Constraint(slow, rule=lambda b, name: block.rate[name, t] == b.slope[name])
    point.steady = pyo.Constraint(fast, rule=lambda _, name: change[name] / sizes[name] == 0.0)
    derived = system.observe(states, controls, parameters, recording.rates)
    values[t] = {**parameters, **states, **controls, **recording.rates, **derived, DURATION: block.length}


def _cells(
    block: Any, problem: Problem, surrogate: SmoothCell | None, formulation: str
) -> tuple[Callable[[Any], Cell], Callable[[], None]]:
    """Return the cell of a point's block, and what is to be called when all points are written."""
    readings = problem.system.readings
    if surrogate is None:
        return lambda point: no_cell, lambda: None
    if formulation == GREY_BOX:
        gathered = Gathered(block, surrogate, readings)
        return gathered.cell, gathered.close
    if not isinstance(surrogate, Surrogate):
        raise StudyError(
            f"a soft law goes into equations as a grey box alone, not as {formulation}: optimise with bundled=True, and "
            "diagnose with a trained surrogate"
        )
    trained: Surrogate = surrogate
    return lambda point: lambda limits: embed(point, trained, limits, readings, formulation), lambda: None


def _write_limits(
    block: Any, problem: Problem, values: Mapping[float, Mapping[str, Any]], relaxation: Relaxation
) -> None:
    """Make limited quantities variables, whose bounds will be the limits; ``violation`` is the price of violating soft ones."""
    points, last, price = block.inner, block.inner.last(), relaxation.price
    everywhere = {} if price is None or relaxation.where == END else dict.fromkeys(problem.limits, price)
    at_end = {} if price is None else dict.fromkeys(problem.final, price)
    limited = {(name, t): values[t][name] for name in problem.limits for t in points}
    ends = {name: values[last][name] for name in problem.final}
    priced, excess = _write_limited(block, "limited", problem, limited, {**everywhere, **problem.soft})
    priced_end, excess_end = _write_limited(block, "at_end", problem, ends, at_end)
    priced, excess = priced / len(points) + priced_end, excess / len(points) + excess_end
    if not relaxation.in_turn:
        block.violation = pyo.Expression(expr=priced + excess)
        return
    block.violation = pyo.Expression(expr=priced)
    block.excess = pyo.Var(bounds=(0.0, None), initialize=0.0)
    block.excess_sum = pyo.Expression(expr=excess)
    block.excess_equation = pyo.Constraint(expr=block.excess == block.excess_sum)
    block.objective_weight = pyo.Var(bounds=(1.0, 1.0), initialize=1.0)


def _write_limited(
    block: Any, kind: str, problem: Problem, values: Mapping[Any, Any], prices: Mapping[str, float]
) -> tuple[Any, Any]:
    """Write variables equal to the values, or off by slacks that have a price.

    Returned are the summed price of limits with a price of their own, and that of the others.
    """
    quantities = problem.quantities
    name_of = {index: index[0] if isinstance(index, tuple) else index for index in values}
    soft = [index for index in values if name_of[index] in prices]
    limited = pyo.Var(list(values))
    below, above = (pyo.Var(soft, bounds=(0.0, None), initialize=0.0) for _ in range(2))

    def equal(_: Any, *arguments: Any) -> Any:
        index = arguments if len(arguments) > 1 else arguments[0]
        scale = quantities[name_of[index]].scale
        slack = scale * (below[index] - above[index]) if name_of[index] in prices else 0.0
        return limited[index] == values[index] + slack

    block.add_component(kind, limited)
    block.add_component(f"{kind}_below", below)
    block.add_component(f"{kind}_above", above)
    block.add_component(f"{kind}_equation", pyo.Constraint(list(values), rule=equal))
    own, others = (
        pyo.quicksum(
            prices[name_of[index]] * (below[index] + above[index])
            for index in soft
            if (name_of[index] in problem.soft and kind == "limited") is priced
        )
        for priced in (True, False)
    )
    return own, others

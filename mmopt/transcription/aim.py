"""What a dynamic problem minimises: its objective at the end of the batch, what is tracked, and the moves of its controls."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyomo.environ as pyo

from mmopt.problem.control import LINES
from mmopt.problem.objective import DURATION
from mmopt.problem.problem import Problem
from mmopt.problem.stage_sum import stage_weights
from mmopt.problem.tracking import INTEGRAL, Tracking
from mmopt.reactor.system import Cell, RecordingCell
from mmopt.solvers.nlp import fix_or_bound
from mmopt.transcription.points import element_at, points_of, stretch_at
from mmopt.transcription.scaling import from_variable


class _StartValues(dict[str, Any]):
    """The quantities at the start; derived quantities and rates are written only where an objective reads them."""

    def __init__(self, known: Mapping[str, Any], more: Callable[[], Mapping[str, Any]]) -> None:
        super().__init__(known)
        self._more = more

    def __missing__(self, name: str) -> Any:
        self.update(self._more())
        if name not in self:
            raise KeyError(name)
        return self[name]


def write_objective(
    block: Any, problem: Problem, values: Mapping[float, Mapping[str, Any]], cell_at: Callable[[Any], Cell]
) -> None:
    """Tie ``aim`` to the scaled objective.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem.
    values
        Quantities at every point, by name.
    cell_at
        Returns the cell at a point, given the block of the point.
    """
    system, scales, end = problem.system, problem.scales, values[block.inner.last()]
    block.begin = pyo.Block(concrete=True)
    parameters = dict(block.parameter)
    if block.in_turn:
        block.start = pyo.Var([state.name for state in block.scaled_states], initialize=problem.start_values)
        block.elapsed = pyo.Var(bounds=(0.0, 0.0), initialize=0.0)
        states = dict(block.start)
        end = {**end, DURATION: block.elapsed + block.length}
    else:
        states = {state.name: from_variable(state, _first(block, state.name)) for state in block.scaled_states}
    controls = {name: block.control[name, 0] * scales[name] for name in problem.controls}

    def more() -> dict[str, Any]:
        recording = RecordingCell(cell_at(block.begin))
        system.derivative(states, controls, parameters, recording)
        return {**recording.rates, **system.observe(states, controls, parameters, recording.rates)}

    start = _StartValues({**parameters, **states, **controls, DURATION: 0.0}, more)
    objective = problem.objective
    block.aim = pyo.Var()
    tracked = 0.0 if problem.tracking is None else _write_tracking(block, problem, problem.tracking, values)
    block.scaled_objective = pyo.Expression(expr=(objective.value(end, start) - tracked) / objective.scale)
    block.aim_equation = pyo.Constraint(expr=block.aim == block.scaled_objective)


def write_moves(block: Any, problem: Problem) -> None:
    """Limit the rate of change of controls, and write the penalty of their moves as ``moves``.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem.
    """
    block.rate_limits = pyo.ConstraintList()
    widths = [width * stretch_at(block, k) for k, width in enumerate(np.diff(block.compiled_edges).tolist())]
    between = [(before + after) / 2.0 for before, after in pairwise(widths)]
    penalty: Any = 0.0
    for name, control in problem.controls.items():
        for k, apart in enumerate(widths if control.shape == LINES else between):
            if k + 1 < block.held[name]:
                continue
            move = block.control[name, k + 1] - block.control[name, k]
            width = max(control.high - control.low, 1.0e-12)
            penalty += control.move_penalty * (move * problem.scales[name] / width) ** 2
            if control.rate_limit is not None:
                largest = control.rate_limit * apart / problem.scales[name] * block.length
                block.rate_limits.add(move <= largest)
                block.rate_limits.add(move >= -largest)
    block.moves = pyo.Expression(expr=penalty)


def _write_tracking(block: Any, problem: Problem, tracking: Tracking, values: Mapping[float, Mapping[str, Any]]) -> Any:
    """Return what is tracked as an expression; set-points and the moves before are data, see `set_tracking`."""
    points, last = list(block.inner), block.inner.last()
    weights = stage_weights(problem.horizon, np.array(points), tracking.summed)
    integral = tracking.summed == INTEGRAL
    counted = {
        t: float(weight) * (stretch_at(block, element_at(block, t)) if integral else 1.0)
        for t, weight in zip(points, weights, strict=True)
        if weight != 0.0
    }
    hours = block.length if integral else 1.0
    names = list(tracking.set_points)
    block.set_point = pyo.Var([(name, t) for name in names for t in dict.fromkeys([*counted, last])], initialize=0.0)
    cost: Any = 0.0
    for name, set_point in tracking.set_points.items():
        squares = {t: (values[t][name] - block.set_point[name, t]) ** 2 for t in dict.fromkeys([*counted, last])}
        cost += hours * set_point.weight * pyo.quicksum(weight * squares[t] for t, weight in counted.items())
        cost += tracking.final_weight(name) * squares[last]
    for name, price in tracking.prices.items():
        cost -= hours * price * pyo.quicksum(weight * values[t][name] for t, weight in counted.items())
    block.before = pyo.Var(list(tracking.moves), initialize=0.0)
    block.moved_before = pyo.Var(list(tracking.moves), initialize=0.0)
    for name, price in tracking.moves.items():
        scale, values_of_it = problem.scales[name], [one for (other, _), one in block.control.items() if other == name]
        moves = [after - before for before, after in pairwise(values_of_it) if after is not before]
        squared = pyo.quicksum(move**2 for move in moves)
        cost += (
            price * scale**2 * (squared + block.moved_before[name] * (block.control[name, 0] - block.before[name]) ** 2)
        )
    return cost


def set_tracking(block: Any, problem: Problem, begin: float = 0.0, before: Mapping[str, float] | None = None) -> None:
    """Set the data of what is tracked: set-points over the horizon, and controls that were applied before it.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem with the present data.
    begin
        Time of the batch at which the horizon begins [h].
    before
        Controls that were applied last, in their units; by default those before the batch.
    """
    tracking = problem.tracking
    if tracking is None:
        return
    present = dict(zip(sorted(block.time), points_of(block, problem).tolist(), strict=True))
    for (name, t), variable in block.set_point.items():
        at = begin + present[t] * problem.horizon.hours
        fix_or_bound(variable, float(tracking.set_points[name].at(np.array(at))))
    applied = tracking.before if before is None else before
    for name in tracking.moves:
        fix_or_bound(block.moved_before[name], float(name in applied))
        fix_or_bound(block.before[name], applied.get(name, 0.0) / problem.scales[name])


def _first(block: Any, name: str) -> Any:
    """The variable of a state at the start."""
    return block.state[name, 0.0] if (name, 0.0) in block.state else block.quasi_steady[name, 0.0]

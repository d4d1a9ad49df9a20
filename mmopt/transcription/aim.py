"""What a dynamic problem minimises: its objective at the end of the batch, and the moves of its controls."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pyomo.environ as pyo

from mmopt.problem.control import LINES
from mmopt.problem.objective import DURATION
from mmopt.problem.problem import Problem
from mmopt.reactor.system import Cell, RecordingCell
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


def write_objective(block: Any, problem: Problem, end: Mapping[str, Any], cell_at: Callable[[Any], Cell]) -> None:
    """Tie ``aim`` to the scaled objective.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem.
    end
        Quantities at the end, by name.
    cell_at
        Returns the cell at a point, given the block of the point.
    """
    system, scales = problem.system, problem.scales
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
    block.scaled_objective = pyo.Expression(expr=objective.value(end, start) / objective.scale)
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
    edges = problem.horizon.fractions
    penalty: Any = 0.0
    for name, control in problem.controls.items():
        positions = edges if control.shape == LINES else (edges[:-1] + edges[1:]) / 2.0
        for k, (before, after) in enumerate(pairwise(positions.tolist())):
            move = block.control[name, k + 1] - block.control[name, k]
            width = max(control.high - control.low, 1.0e-12)
            penalty += control.move_penalty * (move * problem.scales[name] / width) ** 2
            if control.rate_limit is not None:
                largest = control.rate_limit * (after - before) / problem.scales[name] * block.length
                block.rate_limits.add(move <= largest)
                block.rate_limits.add(move >= -largest)
    block.moves = pyo.Expression(expr=penalty)


def _first(block: Any, name: str) -> Any:
    """The variable of a state at the start."""
    return block.state[name, 0.0] if (name, 0.0) in block.state else block.quasi_steady[name, 0.0]

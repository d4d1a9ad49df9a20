"""What the variables of a transcribed problem stand for: quantities whose limits are their bounds, and the answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmopt.problem.choices import Choices
from mmopt.problem.control import LINES
from mmopt.problem.problem import Problem
from mmopt.reactor.quantities import Quantity
from mmopt.transcription.points import points_of, state_at, value_count
from mmopt.transcription.scaling import from_variable

LIMIT, FINAL, CONTROL = "limit", "final", "control"
"""Kinds of bounded quantities."""


@dataclass(frozen=True, eq=False)
class BoundedQuantity:
    """A quantity whose limits are bounds of variables.

    Attributes
    ----------
    kind
        ``limit`` (at all times), ``final`` (at the end) or ``control``.
    name, unit, scale
        The quantity.
    lower, upper
        Its limits, None where there is none.
    edges
        Times between which a variable stands for the quantity [h], shape (variables + 1,).
    variables
        Variables of the Pyomo problem, for the multipliers that a solver gives.
    unit_of_variable
        Size of one unit of the variable, in the quantity's unit.
    slacks
        Variables of the violation below and above, in scales; empty where the limit is hard.
    """

    kind: str
    name: str
    unit: str
    scale: float
    lower: float | None
    upper: float | None
    edges: np.ndarray
    variables: tuple[Any, ...]
    unit_of_variable: float = 1.0
    slacks: tuple[tuple[Any, Any], ...] = ()

    @property
    def violations(self) -> np.ndarray:
        """Violation below and above at each variable, in scales, shape (2, variables); zero where the limit is hard."""
        if not self.slacks:
            return np.zeros((2, len(self.variables)))
        return np.array([[below.value, above.value] for below, above in self.slacks]).T


def bounded_quantities(block: Any, problem: Problem) -> Iterator[BoundedQuantity]:
    """Yield limits at all times, limits at the end, and controls, with their variables.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem.

    Returns
    -------
    iterator of BoundedQuantity
    """
    hours = float(block.length.value)
    times, present = list(block.inner), points_of(block, problem)
    for kind, component, limits, indices in (
        (LIMIT, "limited", problem.limits, {name: [(name, t) for t in times] for name in problem.limits}),
        (FINAL, "at_end", problem.final, {name: [name] for name in problem.final}),
    ):
        variables, below, above = (block.component(f"{component}{side}") for side in ("", "_below", "_above"))
        edges = present * hours if kind == LIMIT else np.array([hours, hours])
        for name, (low, high) in limits.items():
            known = problem.quantities[name]
            slacks = tuple((below[index], above[index]) for index in indices[name] if index in below)
            own = tuple(variables[index] for index in indices[name])
            yield BoundedQuantity(kind, name, known.unit, known.scale, low, high, edges, own, slacks=slacks)
    units = {control.name: control.unit for control in problem.system.controls}
    for name, control in problem.controls.items():
        own = tuple(block.control[name, k] for k in range(value_count(problem, control)))
        edges = problem.horizon.fractions * hours
        edges = edges if control.shape != LINES else np.append(edges[:1], edges)
        scale = problem.scales[name]
        yield BoundedQuantity(CONTROL, name, units[name], scale, control.low, control.high, edges, own, scale)


@dataclass(frozen=True, eq=False)
class Answer:
    """The present values of a program.

    Attributes
    ----------
    choices
        What was chosen besides the controls.
    controls
        Values of every control: one an element or, of lines, one an edge, in their units.
    fractions
        Start and collocation points as fractions of the length, shape (points,).
    states
        States in their units, shape (states, points).
    """

    choices: Choices
    controls: Mapping[str, tuple[float, ...]]
    fractions: np.ndarray
    states: np.ndarray


def answer_of(block: Any, problem: Problem) -> Answer:
    """Return the present values of everything that was chosen, and of the states.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem.

    Returns
    -------
    Answer
    """
    known = variables_of(block, problem)
    rows = [[from_variable(known.scaled[name], one.value) for one in own] for name, own in known.states.items()]
    controls = {name: _in_units(problem, name, own) for name, own in known.controls.items()}
    return Answer(_choices(block, problem, known.scaled), controls, points_of(block, problem), np.array(rows))


def _choices(block: Any, problem: Problem, states: Mapping[str, Quantity]) -> Choices:
    """What was chosen besides the controls."""

    def read(value: float, given: tuple[float, float]) -> float:
        return float(np.clip(value, *given))

    length = problem.horizon.length
    return Choices(
        read(block.length.value, length) if isinstance(length, tuple) else None,
        {
            name: read(from_variable(states[name], state_at(block, name, 0.0).value), given)
            for name, given in problem.initial.items()
            if isinstance(given, tuple)
        },
        {
            name: read(block.parameter[name].value, given)
            for name, given in problem.parameters.items()
            if isinstance(given, tuple)
        },
    )


def _in_units(problem: Problem, name: str, variables: Sequence[Any]) -> tuple[float, ...]:
    """Values of a control in its unit. Ipopt relaxes bounds by 1e-8; a pump does not."""
    control, scale = problem.controls[name], problem.scales[name]
    return tuple(float(np.clip(one.value * scale, control.low, control.high)) for one in variables)


@dataclass(frozen=True, eq=False)
class ProgramVariables:
    """Variables of a transcribed problem by what they stand for.

    Attributes
    ----------
    data
        Variables of initial states and parameters, by name.
    controls
        Of every control: one an element or, of lines, one an edge.
    states
        Of every state at all points.
    scaled
        States as they are scaled.
    """

    data: Mapping[str, Any]
    controls: Mapping[str, list[Any]]
    states: Mapping[str, list[Any]]
    scaled: Mapping[str, Quantity]


def variables_of(block: Any, problem: Problem) -> ProgramVariables:
    """Return the variables of data, controls and states.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem.

    Returns
    -------
    ProgramVariables
    """
    points, scaled = sorted(block.time), {state.name: state for state in block.scaled_states}
    states = {name: [state_at(block, name, t) for t in points] for name in scaled}
    controls = {
        name: [block.control[name, k] for k in range(value_count(problem, control))]
        for name, control in problem.controls.items()
    }
    data = {name: variables[0] for name, variables in states.items()} | dict(block.parameter.items())
    return ProgramVariables(data, controls, states, scaled)

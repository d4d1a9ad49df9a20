"""The variable of a state in the collocation: the state in its scale or, where its laws bend near zero, a logarithm of it.

Uptake of a dissolved gas bends at a thousandth of its saturation. In the logarithm ln(1 + c/b) of its concentration c, with
b where it bends, Monod's law is 1 - exp(-w): steps of a solver that were far too long in c are good in w. Of twelve solves of
a fed-batch without a limit on dissolved oxygen six ended with an optimum in c, and eleven in w.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

from mmopt.errors import SolverError
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.quantities import Quantity

_LEAST: Final = -0.02
"""Lowest logarithm where the state may fall below zero: a fiftieth of ``bends_at`` below."""


_NO_SCALE: Final = 1.0
_FAR_ABOVE: Final = 1.0e3
"""The scale of a state that was given none, and the multiple of it from which on its size takes its place."""

_POINTS, _TOLERANCE = 25, 1.0e-3
"""Times, and tolerance, of a simulation that shows sizes alone."""


def scaled_states(problem: Problem, soft: bool) -> tuple[Quantity, ...]:
    """Return the states of a system as they are to be scaled.

    A state of no scale of its own that is far above 1 at the start, such as a number of cells, or without a cell at any time of
    a simulation with the lowest controls, has that size as its scale.

    In a problem with soft limits none is a logarithm: the way to a hundredth of the saturation is short in it, and a controller
    that pays for violations takes it more easily. Of twenty batches with noise seven broke a limit with it, and six without.

    Parameters
    ----------
    problem
        The problem.
    soft
        Whether all limits are soft.

    Returns
    -------
    tuple of Quantity
        In order; ``bends_at`` is 0 where the variable is no logarithm.
    """
    sizes = _sizes(problem) if any(state.scale == _NO_SCALE for state in problem.system.states) else {}
    return tuple(
        replace(
            state,
            scale=sizes[state.name]
            if sizes.get(state.name, 0.0) > _FAR_ABOVE and state.scale == _NO_SCALE
            else state.scale,
            bends_at=0.0 if soft else state.bends_at,
        )
        for state in problem.system.states
    )


def _sizes(problem: Problem) -> dict[str, float]:
    """Largest size of every state at the start and, without a cell, in a simulation with the lowest controls."""
    begins = {name: abs(value) for name, value in problem.start_values.items()}
    if problem.system.readings:
        return begins
    lowest = {name: ConstantFeed(control.low) for name, control in problem.controls.items()}
    try:
        trajectory = Simulator(problem, None).run(lowest, points=_POINTS, tolerance=_TOLERANCE)
    except SolverError:
        return begins
    return {name: max(size, float(np.abs(trajectory[name]).max())) for name, size in begins.items()}


def to_variable(state: Quantity, value: Any) -> Any:
    """Return the variable of a state's value.

    Parameters
    ----------
    state
        The state.
    value
        Its value in its unit, a number or array.

    Returns
    -------
    float or ndarray
    """
    if not state.bends_at:
        return value / state.scale
    return np.log1p(np.maximum(value / state.bends_at, np.expm1(_LEAST)))


def from_variable(state: Quantity, variable: Any) -> Any:
    """Return the value of a state from its variable, a number or a Pyomo variable.

    Parameters
    ----------
    state
        The state.
    variable
        The variable.

    Returns
    -------
    float or Pyomo expression
        In the unit of the state.
    """
    return state.bends_at * (pyo.exp(variable) - 1.0) if state.bends_at else variable * state.scale


def variable_bounds(state: Quantity, below: float) -> tuple[float | None, float | None]:
    """Return the bounds of a state's variable.

    Parameters
    ----------
    state
        The state.
    below
        Fraction of its scale by which it may fall below its lowest value.

    Returns
    -------
    low, high : float or None
    """
    high = None if np.isinf(state.upper) else float(to_variable(state, state.upper))
    if state.bends_at:
        return (_LEAST if below else 0.0), high
    return (None if np.isinf(state.lower) else state.lower / state.scale - below), high

"""Variables of a transcribed problem at its collocation points, and the elements that these belong to.

The mesh of the equations is that of the problem which was compiled. In the program of a controller the lengths of the elements
are data: the problem with the present data may have another mesh of as many elements.
"""

from typing import Any

import numpy as np

from mmopt.problem.control import LINES, Control
from mmopt.problem.problem import Problem
from mmopt.solvers.nlp import fix_or_bound


def state_at(block: Any, name: str, t: float) -> Any:
    """Return a state's variable at a point, quasi-steady or not.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    name
        The state.
    t
        The point, as a fraction of the length.

    Returns
    -------
    Pyomo variable
    """
    return block.state[name, t] if (name, t) in block.state else block.quasi_steady[name, t]


def control_at(block: Any, problem: Problem, name: str, t: float) -> Any:
    """Return a control at a point, scaled: a variable, or the line between two.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem.
    name
        The control.
    t
        The point, as a fraction of the length.

    Returns
    -------
    Pyomo variable or expression
    """
    element = element_at(block, t)
    if problem.controls[name].shape != LINES:
        return block.control[name, element]
    low, high = block.compiled_edges[element : element + 2]
    fraction = (t - low) / (high - low)
    return (1.0 - fraction) * block.control[name, element] + fraction * block.control[name, element + 1]


def element_at(block: Any, t: float) -> int:
    """Return the number of the element that a point belongs to; an edge belongs to the earlier one.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    t
        The point, as a fraction of the length on the mesh of the equations.

    Returns
    -------
    int
    """
    return max(0, int(np.searchsorted(block.compiled_edges, t - 1.0e-9)) - 1)


def stretch_at(block: Any, element: int) -> Any:
    """Return by how much an element is longer than on the mesh of the equations, where its length is data.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    element
        Number of the element.

    Returns
    -------
    Pyomo variable or 1.0
    """
    return block.stretch[element] if block.in_turn else 1.0


def set_mesh(block: Any, problem: Problem) -> None:
    """Set the lengths of the elements, where they are data.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem with the present data.
    """
    if block.in_turn:
        for element, value in enumerate((np.diff(problem.horizon.fractions) / np.diff(block.compiled_edges)).tolist()):
            fix_or_bound(block.stretch[element], value)


def points_of(block: Any, problem: Problem) -> np.ndarray:
    """Return the start and all collocation points as fractions of the length, on the present mesh.

    Parameters
    ----------
    block
        The Pyomo block of the problem.
    problem
        The problem with the present data.

    Returns
    -------
    ndarray
        Ascending, shape (points + 1,).
    """
    points, edges = np.array(sorted(block.time)), problem.horizon.fractions
    if np.array_equal(edges, block.compiled_edges):
        return points
    present: np.ndarray = np.interp(points, block.compiled_edges, edges)
    return present


def value_count(problem: Problem, control: Control) -> int:
    """Return how many values a control has: one an element or, of lines, one an edge.

    Parameters
    ----------
    problem
        The problem.
    control
        The control.

    Returns
    -------
    int
    """
    return problem.horizon.elements + (control.shape == LINES)

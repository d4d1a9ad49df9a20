"""The sum of a tracking along a horizon: its weights at collocation points, and its value for a trajectory."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from mmopt.problem.control import LINES, Control
from mmopt.problem.horizon import RADAU, Horizon
from mmopt.problem.tracking import EDGES, INTEGRAL, Tracking
from mmopt.results import Trajectory

_SAME: Final = 1.0e-9
"""Fractions of a length, and hours, closer than this are equal."""


def stage_weights(horizon: Horizon, points: np.ndarray, summed: str) -> np.ndarray:
    """Return the weight of every collocation point in a sum along the horizon.

    Parameters
    ----------
    horizon
        The horizon.
    points
        Collocation points as fractions of the length, ascending, without the start, shape (points,).
    summed
        ``edges``: 1 at the end of an element. ``integral``: the quadrature of the collocation, as fractions of the length.

    Returns
    -------
    ndarray
        Shape (points,).

    Examples
    --------
    >>> from mmopt.problem.stage_sum import stage_weights
    >>> stage_weights(Horizon(2.0, elements=2, points=1), np.array([0.5, 1.0]), "integral").tolist()
    [0.5, 0.5]
    """
    edges, weights = horizon.fractions, np.zeros(len(points))
    element, at_edge = _elements(horizon, points)
    if summed == EDGES:
        weights[at_edge] = 1.0
        return weights
    inside = ~at_edge if horizon.scheme != RADAU else np.ones_like(at_edge)
    for k, (low, high) in enumerate(pairwise(edges.tolist())):
        own = np.flatnonzero((element == k) & inside)
        weights[own] = (high - low) * _quadrature((points[own] - low) / (high - low))
    return weights


def _elements(horizon: Horizon, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Element of every point, of which an edge belongs to the earlier one, and whether the point is at its end."""
    edges = horizon.fractions
    element = np.clip(np.searchsorted(edges, points - _SAME) - 1, 0, horizon.elements - 1)
    return element, np.abs(points - edges[element + 1]) < _SAME


def _quadrature(nodes: np.ndarray) -> np.ndarray:
    """Weights of the interpolatory quadrature from 0 to 1."""
    powers = np.arange(len(nodes))
    weights: np.ndarray = np.linalg.solve(nodes[None, :] ** powers[:, None], 1.0 / (powers + 1.0))
    return weights


def tracking_cost(
    tracking: Tracking, horizon: Horizon, controls: Mapping[str, Control], trajectory: Trajectory
) -> float:
    """Compute the weighted squares less the prices of a trajectory.

    Parameters
    ----------
    tracking
        The tracking.
    horizon
        The horizon; a trajectory that is longer or shorter has elements of its mean length.
    controls
        Controls by name, for their shapes.
    trajectory
        The trajectory; its times are those of the batch.

    Returns
    -------
    float
        In the unit of the objective.

    Examples
    --------
    >>> from mmopt.problem.stage_sum import tracking_cost
    >>> from mmopt.results import trajectory
    >>> level = trajectory(np.linspace(0.0, 2.0, 21), {"x": ("state", "m", np.full(21, 3.0))}, Status.SIMULATED)
    >>> round(tracking_cost(Tracking({"x": 1.0}), Horizon(2.0), {}, level), 6)
    8.0
    """
    edges = _edges(horizon, trajectory)
    if tracking.summed == EDGES:
        times, weights = edges[1:], np.ones(len(edges) - 1)
    else:
        times, weights = trajectory.time, _integral(horizon, trajectory.time)

    def values_of(name: str) -> np.ndarray:
        return trajectory.at(name, times) if tracking.summed == EDGES else trajectory[name]

    total = 0.0
    for name, set_point in tracking.set_points.items():
        squares = (values_of(name) - set_point.at(times)) ** 2
        total += set_point.weight * float(weights @ squares) + tracking.final_weight(name) * float(squares[-1])
    for name, price in tracking.prices.items():
        total -= price * float(weights @ values_of(name))
    for name, price in tracking.moves.items():
        lines = name in controls and controls[name].shape == LINES
        values = trajectory.at(name, edges) if lines else trajectory[name]
        first = [tracking.before[name]] if name in tracking.before else []
        total += price * float(np.sum(np.diff([*first, *values.tolist()]) ** 2))
    return total


def _edges(horizon: Horizon, trajectory: Trajectory) -> np.ndarray:
    """Edges of the elements of a trajectory [h]."""
    begin, end = float(trajectory.time[0]), float(trajectory.time[-1])
    if abs(end - begin - horizon.hours) < _SAME * max(1.0, horizon.hours):
        return horizon.edges(begin)
    count = max(1, round((end - begin) * horizon.elements / horizon.hours))
    return np.linspace(begin, end, count + 1)


def _integral(horizon: Horizon, times: np.ndarray) -> np.ndarray:
    """Weights of the integral over times [h]: those of the collocation at its points, else of the trapezoidal rule."""
    length = float(times[-1] - times[0])
    points, own = (times[1:] - times[0]) / length, horizon.points + (horizon.scheme != RADAU)
    element, at_edge = _elements(horizon, points)
    counts = np.bincount(element, minlength=horizon.elements)
    if np.all(counts == own) and np.count_nonzero(at_edge) == horizon.elements:
        return np.append(0.0, length * stage_weights(horizon, points, INTEGRAL))
    steps = np.diff(times)
    weights: np.ndarray = (np.append(steps, 0.0) + np.append(0.0, steps)) / 2.0
    return weights

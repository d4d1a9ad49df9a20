"""Limits between the collocation points: a controller tightens them until its plans keep them in a simulation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile
from mmopt.results import Trajectory
from mmopt.search.initial_guess import NEGLIGIBLE, simulated_steps

_POINTS, _TOLERANCE = 16, 1.0e-5
"""Points of the simulation in each element, and its relative tolerance."""

MOST_OF_FIRST, MOST_OF_LATER = 0.005, 0.01
"""Violation of a limit, relative to it, in a simulation of the first plan or a later one from which it is solved again."""

_ROOM: Final = 0.1
"""Fraction by which a limit is tightened more than measured."""

_FADING: Final = 0.5
"""Fraction of the tightening that stays where the plan is far from the limit."""

_NOTHING: Final = 1.0e-3
"""Tightening that counts as none, in scales of the quantity."""

_SAME_TIME: Final = 1.0e-9

_NEAR: Final = 0.5
"""Fraction of the tightening within which a plan is near its limit."""

_SIZES: Final = (1.0, 0.9, 0.7, 0.4)
"""Sizes of the controls of the last plan, above their lowest values, that are simulated in turn."""


@dataclass(frozen=True, eq=False)
class BetweenPoints:
    """How much limits are tightened over the time of a batch.

    A simulation of the plan falls below what the points show where a quantity bends sharply, as dissolved oxygen does where
    glucose is spent. The difference, element by element, tightens the limit there, in this step and those after it.

    Attributes
    ----------
    edges
        Times of the batch at which elements begin and end [h], shape (elements + 1,).
    amounts
        Amount in each element by quantity, in its unit, shape (elements,).
    worst
        Largest violation of a limit in the simulation, relative to it.

    Examples
    --------
    >>> from mmopt.search.between_points import BetweenPoints
    >>> BetweenPoints().at(np.array([0.0, 1.0, 2.0]))
    {}
    """

    edges: np.ndarray = field(default_factory=lambda: np.zeros(0))
    amounts: Mapping[str, np.ndarray] = field(default_factory=dict)
    worst: float = 0.0

    def at(self, edges: np.ndarray) -> dict[str, np.ndarray]:
        """Return how much limits are tightened on another mesh, up to half an element beside those they were measured for.

        Parameters
        ----------
        edges
            Times of the batch at which its elements begin and end [h], shape (elements + 1,).

        Returns
        -------
        dict
            Amount in each element by quantity, in its unit, shape (elements,).
        """
        reach = 0.5 * np.diff(self.edges)
        overlap = (self.edges[:-1] - reach < edges[1:, None] - 1.0e-9) & (
            self.edges[1:] + reach > edges[:-1, None] + 1.0e-9
        )
        return {name: np.where(overlap, amount, 0.0).max(axis=1, initial=0.0) for name, amount in self.amounts.items()}

    def updated(
        self, simulator: Simulator, planned: Trajectory, controls: Mapping[str, Profile], begin: float
    ) -> "BetweenPoints":
        """Return what it takes to keep the limits in a simulation of a plan.

        Parameters
        ----------
        simulator
            The problem with the data of the step.
        planned
            The plan at its collocation points, from 0 h.
        controls
            Its controls, from 0 h.
        begin
            Time of the batch at which it begins [h].

        Returns
        -------
        BetweenPoints
        """
        problem, edges = simulator.problem, simulator.problem.horizon.edges()
        before = self.at(begin + edges)
        count = _tightened(before, problem.horizon.elements)
        simulated = simulator.run(controls, end=float(edges[count]), points=1 + _POINTS * count, tolerance=_TOLERANCE)
        amounts = {}
        for name in problem.hard_limits:
            known = before.get(name, np.zeros(len(edges) - 1))
            measured = missed_by_points(name, problem.limits[name], edges[: count + 1], planned, simulated)
            amounts[name] = np.concatenate([_tightening(*measured, known[:count]), known[count:]])
            amounts[name][amounts[name] < _NOTHING * problem.quantities[name].scale] = 0.0
        violated = problem.violated_limits(simulated)
        worst = max((violated.get(name, 0.0) for name in problem.hard_limits), default=0.0)
        return BetweenPoints(begin + edges, amounts, worst)


def missed_by_points(
    name: str, limit: tuple[float | None, float | None], edges: np.ndarray, planned: Trajectory, simulated: Trajectory
) -> tuple[np.ndarray, np.ndarray]:
    """Compare a plan at its points with a simulation of it, in each element.

    Parameters
    ----------
    name, limit
        A limited quantity, and its lowest and highest allowed value.
    edges
        Times at which elements begin and end [h], shape (elements + 1,).
    planned, simulated
        The plan at its collocation points, and its simulation.

    Returns
    -------
    missed, room : ndarray
        How much nearer to the limit the simulation comes than the points do, below zero where the points are stricter, and how
        far from the limit it stays, below zero where it violates it; shape (elements,), in the unit of the quantity.

    Examples
    --------
    >>> times, values = np.array([0.0, 0.5, 1.0]), {"x": ("state", "g", np.array([5.0, 3.0, 4.0]))}
    >>> fine = trajectory(times, values, Status.SIMULATED)
    >>> coarse = trajectory(times[::2], {"x": ("state", "g", np.array([5.0, 4.0]))}, Status.OPTIMAL)
    >>> [one.tolist() for one in missed_by_points("x", (2.5, None), np.array([0.0, 1.0]), coarse, fine)]
    [[1.0], [0.5]]
    """
    missed, room = np.full((2, len(edges) - 1), [[-np.inf], [np.inf]])
    for k, (begin, end) in enumerate(pairwise(edges)):
        ours = planned[name][(planned.time > begin + _SAME_TIME) & (planned.time <= end + _SAME_TIME)]
        theirs = simulated[name][(simulated.time >= begin - _SAME_TIME) & (simulated.time <= end + _SAME_TIME)]
        for bound, sign in zip(limit, (-1.0, 1.0), strict=True):
            if bound is not None:
                highest = (sign * theirs).max()
                missed[k] = max(missed[k], highest - (sign * ours).max())
                room[k] = min(room[k], sign * bound - highest)
    return missed, room


def _tightened(before: Mapping[str, np.ndarray], elements: int) -> int:
    """Number of the first elements up to the one after the last with a tighter limit; all if nothing was measured yet."""
    last = [int(np.flatnonzero(amounts).max()) for amounts in before.values() if amounts.any()]
    return min(max(last) + 2, elements) if last else elements


def _tightening(missed: np.ndarray, room: np.ndarray, before: np.ndarray) -> np.ndarray:
    """What a limit is tightened by in each element: what the points miss where it is violated, else some of what it was."""
    missed = np.maximum(missed, 0.0)
    wanted = np.where(room < 0.0, (1.0 + _ROOM) * missed, 0.0)
    kept = np.where(room < _NEAR * before, before, 0.0)
    amount: np.ndarray = np.max([wanted, kept, _FADING * before], axis=0)
    return amount


def last_plan_within_limits(
    simulator: Simulator, before: Trajectory, begin: float, most: float = NEGLIGIBLE
) -> Trajectory | None:
    """Simulate the controls of the last plan from some time on, made smaller where they violate limits.

    Ipopt ends within 10 to 30 iterations from a start inside the limits, and often not within 80 from one that violates them.

    Parameters
    ----------
    simulator
        The problem with its present data, and the metabolism of its cell.
    before
        The last plan.
    begin
        Time of it at which the problem begins [h].
    most
        Largest violation that counts as none, relative to the limit.

    Returns
    -------
    Trajectory or None
        None if every size violates a limit.
    """
    problem, edges = simulator.problem, simulator.problem.horizon.edges()
    middles = np.minimum(begin + (edges[:-1] + edges[1:]) / 2.0, before.time[-1])
    for size in _SIZES:
        levels = {
            name: np.clip(control.low + size * (before.at(name, middles) - control.low), control.low, control.high)
            for name, control in problem.controls.items()
        }
        simulated = simulated_steps(simulator, levels)
        if max(problem.violated_limits(simulated).values(), default=0.0) <= most:
            return simulated
    return None

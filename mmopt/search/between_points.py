"""Limits between the collocation points: a controller tightens them until its plans keep them in a simulation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np

from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile
from mmopt.results import Trajectory

_POINTS, _TOLERANCE = 16, 1.0e-5
"""Points of the simulation in each element, and its relative tolerance."""

MOST_BETWEEN: Final = 0.01
"""Relative violation of a limit in a simulation of the plan from which the plan is solved again."""

_ROOM: Final = 0.1
"""Fraction by which a limit is tightened more than measured."""

_FADING: Final = 0.5
"""Fraction of the tightening that stays where the plan is far from the limit."""

_NEAR: Final = 2.0
"""A plan is near a limit within so many times what the points miss."""


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
    violated
        Whether the plan violates a limit by more than `MOST_BETWEEN`.

    Examples
    --------
    >>> from mmopt.search.between_points import BetweenPoints
    >>> BetweenPoints().at(np.array([0.0, 1.0, 2.0]))
    {}
    """

    edges: np.ndarray = field(default_factory=lambda: np.zeros(0))
    amounts: Mapping[str, np.ndarray] = field(default_factory=dict)
    violated: bool = False

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
        simulated = simulator.run(controls, points=1 + _POINTS * problem.horizon.elements, tolerance=_TOLERANCE)
        before = self.at(begin + edges)
        amounts = {
            name: _tightening(problem.limits[name], edges, (planned.time, planned[name]), simulated, name, before)
            for name in problem.hard_limits
        }
        violated = problem.violated_limits(simulated)
        worst = max((violated.get(name, 0.0) for name in problem.hard_limits), default=0.0)
        return BetweenPoints(begin + edges, amounts, worst > MOST_BETWEEN)


def _tightening(
    limit: tuple[float | None, float | None],
    edges: np.ndarray,
    planned: tuple[np.ndarray, np.ndarray],
    simulated: Trajectory,
    name: str,
    before: Mapping[str, np.ndarray],
) -> np.ndarray:
    """What a limit is tightened by in each element, shape (elements,)."""
    low, high = limit
    amounts = before.get(name, np.zeros(len(edges) - 1)).copy()
    for k, (begin, end) in enumerate(pairwise(edges)):
        ours = planned[1][(planned[0] > begin + 1.0e-9) & (planned[0] <= end + 1.0e-9)]
        theirs = simulated[name][(simulated.time >= begin - 1.0e-9) & (simulated.time <= end + 1.0e-9)]
        wanted = 0.0
        for bound, sign in ((low, -1.0), (high, 1.0)):
            if bound is not None:
                missed = max(0.0, (sign * theirs).max() - (sign * ours).max())
                if sign * bound - (sign * theirs).max() < _NEAR * max(missed, amounts[k]):
                    wanted = max(wanted, (1.0 + _ROOM) * missed)
        amounts[k] = max(wanted, _FADING * amounts[k])
    return amounts

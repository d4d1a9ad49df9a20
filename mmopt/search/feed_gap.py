"""Feed gaps: plans in which the cell starves for a while in the middle, which no gradient leaves.

A little feed is spent on maintenance and grows next to nothing, and the small errors of a surrogate make a local optimum of
that.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mmopt.fba.rates import GROWTH
from mmopt.plan.plan import Plan
from mmopt.reactor.profiles import Profile, StepFeed

_STARVES: Final = 0.8
"""Fraction of the growth of a later element; an optimal batch tends to grow ever slower."""

_NEGLIGIBLE: Final = 0.01
"""Fraction of the fastest growth that is none."""


def without_feed_gap(plan: Plan) -> Mapping[str, Profile] | None:
    """Interpolate the controls of a plan over the elements in which the cell starves though it grows later.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    mapping of profiles, or None
        None if the plan has no such element.
    """
    trajectory = plan.trajectory
    if GROWTH not in trajectory.data:
        return None
    edges = np.array(plan.edges)
    growth = _means(trajectory.time[1:], trajectory[GROWTH][1:], edges)
    later = np.append(np.maximum.accumulate(growth[:0:-1])[::-1], -np.inf)
    fed = growth >= _STARVES * later - _NEGLIGIBLE * growth.max()
    if fed.all():
        return None
    middle = (edges[:-1] + edges[1:]) / 2.0
    return {
        name: StepFeed(
            plan.edges, tuple(np.interp(middle, middle[fed], [profile(float(t)) for t in middle[fed]]).tolist())
        )
        for name, profile in plan.controls.items()
    }


def _means(times: np.ndarray, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean of the values in each element; one at its end belongs to it."""
    element = np.clip(np.searchsorted(edges, times, side="left") - 1, 0, len(edges) - 2)
    total, count = (np.bincount(element, weights, len(edges) - 1) for weights in (values, np.ones_like(values)))
    means: np.ndarray = total / count
    return means

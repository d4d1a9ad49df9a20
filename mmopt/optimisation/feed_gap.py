"""A trap among feeds: the cell starves for a while in the middle of a plan, and no gradient leads out.

A little feed is spent on maintenance and grows next to nothing, and the small errors of a surrogate make a hollow of that.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mmopt.reactor.profiles import Profile, StepFeed
from mmopt.results import Trajectory
from mmopt.transcription.plan import controls_of

_STARVES: Final = 0.8
"""Part of the growth that a later element has; an optimal batch tends to grow ever slower."""

_TRIFLE: Final = 0.01
"""Part of the fastest growth that is none."""


def without_feed_gap(plan: Trajectory) -> Mapping[str, Profile] | None:
    """The controls of a plan, led over the elements in which the cell starves though it grows later; None if there are none."""
    if "growth" not in plan.data:
        return None
    edges = np.array(plan.stats["edges"])
    growth = _means(plan.time[1:], plan["growth"][1:], edges)
    later = np.append(np.maximum.accumulate(growth[:0:-1])[::-1], -np.inf)
    fed = growth >= _STARVES * later - _TRIFLE * growth.max()
    if fed.all():
        return None
    middle = (edges[:-1] + edges[1:]) / 2.0
    return {
        name: StepFeed(
            tuple(edges.tolist()), tuple(np.interp(middle, middle[fed], [profile(t) for t in middle[fed]]).tolist())
        )
        for name, profile in controls_of(plan).items()
    }


def _means(times: np.ndarray, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean of the values in each element; one at its end belongs to it."""
    which = np.clip(np.searchsorted(edges, times, side="left") - 1, 0, len(edges) - 2)
    total, count = (np.bincount(which, weights, len(edges) - 1) for weights in (values, np.ones_like(values)))
    means: np.ndarray = total / count
    return means

"""Different feeds to start from, since optima can be local."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile, StepFeed

SHAPES: Final = (
    lambda part: np.full_like(part, 0.5),
    lambda part: part,
    lambda part: 1.0 - part,
    lambda part: np.full_like(part, 0.1),
    lambda part: np.where(part < 0.5, 0.6, 0.05),
    lambda part: np.where(part < 0.5, 0.05, 0.6),
    lambda part: np.exp(4.0 * (part - 1.0)),
)
"""From the part of the horizon that has passed to that of the range: the middle, up, down, low, early, late, exponential."""


def initial_guesses(problem: Problem, count: int, seed: int = 0) -> Iterator[Mapping[str, Profile]]:
    """Profiles of all controls to start from, ``count`` times: some shapes of feed, then steps at random."""
    edges = problem.horizon.edges()
    part = (edges[:-1] + edges[1:]) / 2.0 / edges[-1]
    random = np.random.default_rng(seed)
    for number in range(count):
        heights = {
            name: SHAPES[number](part) if number < len(SHAPES) else random.random(len(part))
            for name in problem.controls
        }
        yield {
            name: StepFeed(tuple(edges.tolist()), tuple((move.low + heights[name] * (move.high - move.low)).tolist()))
            for name, move in problem.control_settings.items()
        }

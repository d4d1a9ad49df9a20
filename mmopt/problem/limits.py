"""Limits of quantities, and by how much a trajectory violates them."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mmopt.results import Trajectory

Limits = Mapping[str, tuple[float | None, float | None]]
"""Lowest and highest allowed value by name; None where there is none."""

_NEAR_ZERO: Final = 1.0e-6
"""Fraction of the scale of a quantity below which a limit counts as zero."""


def violated_limits(
    trajectory: Trajectory, limits: Limits, final: Limits | None = None, scales: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Compute the largest violation of each violated limit, relative to the limit.

    Only times after the first count: the initial state is given, not chosen. `Problem.violated_limits` gives the limits and
    scales of a problem.

    Parameters
    ----------
    trajectory
        The trajectory.
    limits
        Lowest and highest allowed value by quantity, at all times.
    final
        The same at the last time; violations of these are named ``final <name>``.
    scales
        Typical size by quantity, in its unit, to which a violation of a limit of zero is relative; 1 where none is given.

    Returns
    -------
    dict
        Relative violation by name; empty if all limits are kept.

    Examples
    --------
    >>> from mmopt.results import trajectory
    >>> volume = ("state", "L", np.array([2.0, 2.5, 3.3]))
    >>> batch = trajectory(np.array([0.0, 1.0, 2.0]), {"volume": volume}, Status.SIMULATED)
    >>> violated_limits(batch, {"volume": (None, 3.0)})
    {'volume': 0.0999...}
    """
    scale = dict(scales or {})
    everywhere = {name: _excess(trajectory[name][1:], pair, scale.get(name, 1.0)) for name, pair in limits.items()}
    at_end = {
        f"final {name}": _excess(trajectory[name][-1:], pair, scale.get(name, 1.0))
        for name, pair in (final or {}).items()
    }
    return {name: worst for name, worst in {**everywhere, **at_end}.items() if worst > 0.0}


def _excess(values: np.ndarray, pair: tuple[float | None, float | None], scale: float) -> float:
    """Largest amount by which values are outside a pair of limits, relative to the limit; 0 if they are inside."""

    def size(limit: float) -> float:
        return abs(limit) if abs(limit) > _NEAR_ZERO * scale else scale

    low, high = pair
    below = -np.inf if low is None else float((low - values).max()) / size(low)
    above = -np.inf if high is None else float((values - high).max()) / size(high)
    return max(0.0, below, above)

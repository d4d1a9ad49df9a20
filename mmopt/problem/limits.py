"""Limits of quantities, and by how much a trajectory violates them."""

from collections.abc import Mapping

import numpy as np

from mmopt.results import Trajectory

Limits = Mapping[str, tuple[float | None, float | None]]
"""Lowest and highest allowed value by name; None where there is none."""

_LEAST_SIZE = 1.0e-12
"""A violation of a limit at zero is taken relative to this."""


def violated_limits(trajectory: Trajectory, limits: Limits, final: Limits | None = None) -> dict[str, float]:
    """Compute the largest violation of each violated limit, relative to the limit.

    Only times after the first count: the initial state is given, not chosen.

    Parameters
    ----------
    trajectory
        The trajectory.
    limits
        Lowest and highest allowed value by quantity, at all times.
    final
        The same at the last time; violations of these are named ``final <name>``.

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
    violated = {name: worst for name, pair in limits.items() if (worst := _excess(trajectory[name][1:], pair)) > 0.0}
    at_end = {f"final {name}": _excess(trajectory[name][-1:], pair) for name, pair in (final or {}).items()}
    return {**violated, **{name: worst for name, worst in at_end.items() if worst > 0.0}}


def _excess(values: np.ndarray, pair: tuple[float | None, float | None]) -> float:
    """Largest amount by which values are outside a pair of limits, relative to the limit; 0 if they are inside."""
    low, high = pair
    below = -np.inf if low is None else float((low - values).max()) / max(abs(low), _LEAST_SIZE)
    above = -np.inf if high is None else float((values - high).max()) / max(abs(high), _LEAST_SIZE)
    return max(0.0, below, above)

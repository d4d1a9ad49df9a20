"""Times at which something happens in a trajectory: a substrate is gone, a limit is met, an inducer is added."""

from typing import Final, Literal

import numpy as np
from scipy.interpolate import PchipInterpolator

from mmopt.arguments import finite, shown
from mmopt.errors import StudyError, nearest
from mmopt.results.over_time import Trajectory

DIRECTIONS: Final = ("either", "rises", "falls")

_LEAST: Final = 2


def times_at(
    trajectory: Trajectory, name: str, level: float, direction: Literal["either", "rises", "falls"] = "either"
) -> np.ndarray:
    """Locate the times at which a quantity passes a level, by monotone cubic interpolation between the recorded times.

    With the 400 times that a simulation records by default, a substrate that runs out within minutes is located to seconds. To
    end a simulation there exactly, use ``stop_when`` of `mmopt.simulate`.

    Parameters
    ----------
    trajectory
        The trajectory.
    name
        A quantity of it.
    level
        The level, in the unit of the quantity.
    direction
        Whether it ``rises`` through the level, ``falls``, or ``either``.

    Returns
    -------
    ndarray
        Ascending times [h]; empty where it never passes.

    Raises
    ------
    StudyError
        If there is no such quantity, the level is no finite number, or the direction is unknown.

    References
    ----------
    Fritsch and Butland (1984), SIAM J. Sci. Stat. Comput. 5:300-304.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> feed, cell = {"feed": ConstantFeed(0.0)}, load_surrogate("ecoli_ijo1366")
    >>> batch = simulate(ecoli_fed_batch(), start, feed, 8.0, cell)
    >>> times_at(batch, "glucose", 0.01, "falls").size
    1
    """
    if not isinstance(trajectory, Trajectory):
        raise StudyError(f"trajectory is {shown(trajectory)}; give a Trajectory, as simulate returns it")
    if not isinstance(name, str) or name not in trajectory.data:
        raise StudyError(
            f"there is no quantity {shown(name)}; {nearest(str(name), map(str, trajectory.data.data_vars))}"
        )
    if direction not in DIRECTIONS:
        raise StudyError(f"direction is {shown(direction)}; give one of {', '.join(DIRECTIONS)}")
    above = trajectory[name] - finite("level", level)
    jumps = np.flatnonzero(np.diff(trajectory.time) <= 0.0) + 1
    passed: list[float] = []
    for times, values in zip(np.split(trajectory.time, jumps), np.split(above, jumps), strict=True):
        if len(times) < _LEAST:
            continue
        curve = PchipInterpolator(times, values)
        roots = curve.roots(extrapolate=False)
        roots = roots[np.isfinite(roots)]  # a stretch that lies on the level has none
        slope = np.sign(curve(np.minimum(roots + 1.0e-9, times[-1])) - curve(np.maximum(roots - 1.0e-9, times[0])))
        wanted = {"either": slope != 0.0, "rises": slope > 0.0, "falls": slope < 0.0}[direction]
        passed += roots[wanted].tolist()
    for left, right, at in zip(above[jumps - 1], above[jumps], trajectory.time[jumps], strict=True):
        if left * right < 0.0 and direction in ("either", "rises" if right > 0.0 else "falls"):
            passed.append(float(at))  # it jumps over the level
    return np.unique(np.round(passed, 12))

"""The Levenberg-Marquardt method for nonlinear least squares, on states that supply their normal equations."""

from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import numpy as np
import scipy.linalg

_FIRST_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1.0e-2, 1.0e-9, 1.0e8
"""Damping, relative to the curvature of every weight."""

_STALL_STEPS, _STALL = 40, 5.0e-3
"""The fit ends when the loss has fallen by less than this fraction over so many steps."""


class Descending(Protocol):
    """A point in the space of weights, from which the Levenberg-Marquardt method descends."""

    @property
    def loss(self) -> float:
        """Mean square to minimise; Gram matrix and gradient belong to the sum, ``points`` times as large."""

    @property
    def points(self) -> int:
        """Number of points of the mean."""

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrix and gradient of the residual."""

    def moved(self, change: np.ndarray) -> Self:
        """The point after a change of all weights."""


Point = TypeVar("Point", bound=Descending)


def descend(
    state: Point, steps: int, progress: Callable[[int, int], object] | None = None
) -> tuple[Point, tuple[float, ...]]:
    """Minimise the loss by the Levenberg-Marquardt method.

    Parameters
    ----------
    state
        The point to start from.
    steps
        Most steps.
    progress
        Called with (done, most) after every step.

    Returns
    -------
    state, history
        The last point, and the losses from the start to the end.

    References
    ----------
    Nielsen (1999), Damping parameter in Marquardt's method, IMM-REP-1999-05, Technical University of Denmark.

    Examples
    --------
    >>> from mmopt.fitting.levenberg_marquardt import descend
    >>> class Line:
    ...     points = 1
    ...     def __init__(self, x):
    ...         self.x, self.loss = x, (x - 3.0) ** 2
    ...     def normal_equations(self):
    ...         return np.eye(1), np.array([self.x - 3.0])
    ...     def moved(self, change):
    ...         return Line(self.x + float(change[0]))
    >>> state, history = descend(Line(0.0), 20)
    >>> round(state.x, 6)
    3.0
    """
    damping, growth, losses = _FIRST_DAMPING, 2.0, [state.loss]
    for step in range(steps):
        gram, gradient = state.normal_equations()
        curvature = np.maximum(np.diag(gram), 1.0e-12 * np.diag(gram).max())
        while damping < _MOST_DAMPING:
            change = _solved(gram, damping * curvature, gradient)
            trial = state.moved(change) if change is not None else None
            if change is not None and trial is not None and trial.loss < state.loss:
                expected = float(change @ (damping * curvature * change - gradient)) / state.points
                gain = (state.loss - trial.loss) / expected
                damping = max(_LEAST_DAMPING, damping * max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3))
                state, growth = trial, 2.0
                break
            damping, growth = damping * growth, 2.0 * growth
        losses.append(state.loss)
        if progress is not None:
            progress(step + 1, steps)
        if damping >= _MOST_DAMPING or (
            len(losses) > _STALL_STEPS and losses[-1 - _STALL_STEPS] - state.loss < _STALL * state.loss
        ):
            break
    if progress is not None and steps:
        progress(steps, steps)
    return state, tuple(losses)


def _solved(gram: np.ndarray, damping: np.ndarray, gradient: np.ndarray) -> np.ndarray | None:
    try:
        factor = scipy.linalg.cho_factor(gram + np.diag(damping), check_finite=False)
    except np.linalg.LinAlgError:
        return None
    change: np.ndarray = scipy.linalg.cho_solve(factor, -gradient, check_finite=False)
    return change if np.all(np.isfinite(change)) else None

"""What a control may do: its range, its shape between the edges of elements, how fast it may change, and when."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.errors import StudyError

STEPS, LINES = "steps", "lines"
SHAPES: Final = (STEPS, LINES)


@dataclass(frozen=True)
class Control:
    """What a control may do.

    Parameters
    ----------
    low, high
        Its range, in its unit.
    shape
        ``steps``: constant on each element. ``lines``: a straight line over each, without jumps between them.
    change
        Largest change per hour, of a line or from step to step; any, if it is None.
    windows
        Stretches of time from, to [h] outside which it stays at its lowest value; an element counts as inside only as a
        whole. None: it is free all the time.
    move_penalty
        Price of its squared jumps in parts of its range, summed, in scales of the objective: it makes a flat optimum unique.

    Raises
    ------
    StudyError
        If a number or the shape makes no sense.

    Examples
    --------
    >>> pump = Control(0.0, 0.1, windows=((2.0, 10.0),))
    >>> pump.free(np.array([0.0, 2.0, 6.0, 11.0])).tolist()
    [False, True, False]
    """

    low: float
    high: float
    shape: str = STEPS
    change: float | None = None
    windows: tuple[tuple[float, float], ...] | None = None
    move_penalty: float = 1.0e-4

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise StudyError(f"a control of shape '{self.shape}' is unknown; use one of {', '.join(SHAPES)}")
        if self.change is not None and not 0.0 < self.change < np.inf:
            raise StudyError(
                f"a control cannot change by {self.change:g} per hour; give a finite number above 0, or None"
            )
        if not 0.0 <= self.move_penalty < np.inf:
            raise StudyError(
                f"the move_penalty of a control cannot cost {self.move_penalty:g}; give a finite number, at least 0"
            )
        for begin, end in self.windows or ():
            if not -np.inf < begin < end < np.inf:
                raise StudyError(f"a window from {begin:g} h to {end:g} h is none; give two finite times that ascend")

    def free(self, edges: np.ndarray) -> np.ndarray:
        """Which elements between ``edges`` [h] lie inside a window, shape (elements,)."""
        if self.windows is None:
            return np.ones(len(edges) - 1, dtype=bool)
        inside = [(edges[:-1] >= begin - 1.0e-9) & (edges[1:] <= end + 1.0e-9) for begin, end in self.windows]
        free: np.ndarray = np.any(inside, axis=0) if inside else np.zeros(len(edges) - 1, dtype=bool)
        return free

"""The freedom of a control: its range, its shape between the edges of elements, how fast it may change, and when."""

from typing import Any, Final

import numpy as np

from mmopt.checking import Number, checked, shown
from mmopt.errors import StudyError

STEPS, LINES = "steps", "lines"
SHAPES: Final = (STEPS, LINES)

_SAME_TIME: Final = 1.0e-9
"""Times closer than this [h] are equal."""


@checked
class Control:
    """The freedom that an optimisation has with one control.

    Parameters
    ----------
    low, high
        Range, in the control's unit.
    shape
        ``steps``: constant on each element. ``lines``: linear on each element and continuous.
    rate_limit
        Largest change per hour, of a line or from step to step [unit/h]; None for no limit.
    windows
        Time spans (from, to) [h] outside which the control stays at its lowest value; an element is inside only as a
        whole. None: free at all times.
    move_penalty
        Penalty of the summed squared moves, relative to the range, in scales of the objective; it makes a flat optimum
        unique.

    Raises
    ------
    StudyError
        If a number is not finite or out of range, or the shape is unknown.

    Examples
    --------
    >>> pump = Control(0.0, 0.1, windows=((2.0, 10.0),))
    >>> pump.is_free(np.array([0.0, 2.0, 6.0, 11.0])).tolist()
    [False, True, False]
    """

    low: Number
    high: Number
    shape: str = STEPS
    rate_limit: Number | None = None
    windows: tuple[tuple[Number, Number], ...] | None = None
    move_penalty: Number = 1.0e-4

    def __post_init__(self) -> None:
        if np.isnan(self.low) or np.isnan(self.high):
            raise StudyError(f"the range of a control is {self.low} to {self.high}; give two numbers")
        if self.shape not in SHAPES:
            raise StudyError(f"a control of shape '{self.shape}' is unknown; use one of {', '.join(SHAPES)}")
        if self.rate_limit is not None and not 0.0 < self.rate_limit < np.inf:
            raise StudyError(f"rate_limit is {self.rate_limit:g}; give a finite number above 0, or None")
        if not 0.0 <= self.move_penalty < np.inf:
            raise StudyError(f"move_penalty is {self.move_penalty:g}; give a finite number, at least 0")
        for begin, end in self.windows or ():
            if not -np.inf < begin < end < np.inf:
                raise StudyError(f"a window cannot last from {begin:g} h to {end:g} h; give two finite ascending times")

    def is_free(self, edges: np.ndarray) -> np.ndarray:
        """Return which elements lie inside a window.

        Parameters
        ----------
        edges
            Edges of the elements [h], shape (elements + 1,).

        Returns
        -------
        ndarray of bool
            Shape (elements,).
        """
        if self.windows is None:
            return np.ones(len(edges) - 1, dtype=bool)
        inside = [(edges[:-1] >= begin - _SAME_TIME) & (edges[1:] <= end + _SAME_TIME) for begin, end in self.windows]
        free: np.ndarray = np.any(inside, axis=0) if inside else np.zeros(len(edges) - 1, dtype=bool)
        return free


def as_control(value: Any) -> Any:
    """Turn a pair (lowest, highest) into a `Control`; return anything else unchanged.

    Parameters
    ----------
    value
        A pair, a control, or anything else.

    Returns
    -------
    Control or the value

    Raises
    ------
    StudyError
        If it is a sequence of another length.

    Examples
    --------
    >>> as_control((0.0, 0.1)).high
    0.1
    """
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise StudyError(f"{shown(value)} is given for a control; give (lowest, highest), or a Control")
        return Control(*value)
    return value

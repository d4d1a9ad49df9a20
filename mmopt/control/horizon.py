"""How far an optimisation looks, and how finely it cuts the time."""

from dataclasses import dataclass

import numpy as np

from mmopt.errors import StudyError


@dataclass(frozen=True)
class Horizon:
    """A stretch of time cut into elements of equal length, each with collocation points.

    Parameters
    ----------
    length
        [h].
    elements
        Number of elements; controls are constant on each.
    points
        Radau collocation points in each element.

    Raises
    ------
    StudyError
        If a number makes no sense.

    Examples
    --------
    >>> Horizon(10.0, elements=4).edges().tolist()
    [0.0, 2.5, 5.0, 7.5, 10.0]
    """

    length: float
    elements: int = 20
    points: int = 3

    def __post_init__(self) -> None:
        if not 0.0 < self.length < np.inf:
            raise StudyError(f"the horizon is {self.length:g} h long; give a finite length above 0")
        if self.elements < 1 or not 1 <= self.points <= 5:
            raise StudyError(f"{self.elements} elements with {self.points} points cannot be made; give >= 1 and 1 to 5")

    def edges(self, start: float = 0.0) -> np.ndarray:
        """Times between elements [h], shape (elements + 1,)."""
        return np.linspace(start, start + self.length, self.elements + 1)

"""How far an optimisation looks, and how finely it cuts the time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mmopt.errors import StudyError

RADAU, LEGENDRE = "radau", "legendre"
SCHEMES: Final = (RADAU, LEGENDRE)


@dataclass(frozen=True)
class Horizon:
    """A stretch of time cut into elements, each with collocation points.

    Parameters
    ----------
    length
        [h]; or the range in which the optimisation may choose it.
    elements
        Number of elements.
    points
        Collocation points in each element.
    scheme
        ``radau``: the end of each element is a point. ``legendre``: none is, and the order is higher by one.
    grading
        Length of the last element in parts of the first one's; those between follow a geometric row.
    mesh
        Edges of the elements in parts of the length, from 0 to 1, if neither equal nor graded elements will do; then
        ``elements`` is one less than their number.

    Raises
    ------
    StudyError
        If a number makes no sense.

    Examples
    --------
    >>> Horizon(10.0, elements=4).edges().tolist()
    [0.0, 2.5, 5.0, 7.5, 10.0]
    >>> Horizon((6.0, 10.0), elements=2, grading=3.0).edges().tolist()
    [0.0, 2.0, 8.0]
    """

    length: float | tuple[float, float]
    elements: int = 20
    points: int = 3
    scheme: str = RADAU
    grading: float = 1.0
    mesh: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        low, high = self.length if isinstance(self.length, tuple) else (self.length, self.length)
        if not 0.0 < low <= high < np.inf:
            told = f"{low:g} h" if low == high else f"{low:g} to {high:g} h"
            raise StudyError(f"the horizon is {told} long; give a finite length above 0, or a range of two that ascend")
        if self.elements < 1 or not 1 <= self.points <= 5:
            raise StudyError(f"{self.elements} elements with {self.points} points cannot be made; give >= 1 and 1 to 5")
        if self.scheme not in SCHEMES:
            raise StudyError(f"collocation '{self.scheme}' is unknown; use one of {', '.join(SCHEMES)}")
        if not 0.0 < self.grading < np.inf:
            raise StudyError(f"elements cannot be graded by {self.grading:g}; give a finite number above 0")
        if self.mesh is not None and not _is_mesh(self.mesh, self.elements):
            raise StudyError(
                f"a mesh of {self.elements} elements has {self.elements + 1} edges that ascend from 0 to 1"
            )

    @property
    def hours(self) -> float:
        """Its length [h]; the middle of the range if it may be chosen."""
        return float(sum(self.length) / 2.0) if isinstance(self.length, tuple) else float(self.length)

    def fractions(self) -> np.ndarray:
        """Edges of the elements in parts of the length, shape (elements + 1,)."""
        if self.mesh is not None:
            return np.array(self.mesh)
        if self.grading == 1.0 or self.elements == 1:
            return np.linspace(0.0, 1.0, self.elements + 1)
        widths = self.grading ** np.linspace(0.0, 1.0, self.elements)
        edges: np.ndarray = np.concatenate([[0.0], np.cumsum(widths) / widths.sum()])
        edges[-1] = 1.0
        return edges

    def edges(self, start: float = 0.0) -> np.ndarray:
        """Times between elements [h], shape (elements + 1,)."""
        edges: np.ndarray = start + self.hours * self.fractions()
        return edges

    def cut(self, pieces: Sequence[int]) -> "Horizon":
        """Cut each element into some equal pieces.

        Examples
        --------
        >>> Horizon(10.0, elements=2).cut([1, 2]).edges().tolist()
        [0.0, 5.0, 7.5, 10.0]
        """
        before = self.fractions()
        edges = [
            np.linspace(low, high, count, endpoint=False)
            for low, high, count in zip(before[:-1], before[1:], pieces, strict=True)
        ]
        mesh = (*np.concatenate(edges).tolist(), 1.0)
        return replace(self, elements=len(mesh) - 1, mesh=mesh)


def _is_mesh(mesh: Sequence[float], elements: int) -> bool:
    ascends = bool(np.all(np.diff(mesh) > 0.0)) and bool(np.all(np.isfinite(mesh)))
    return len(mesh) == elements + 1 and ascends and mesh[0] == 0.0 and mesh[-1] == 1.0

"""The horizon of an optimisation: its length, and the elements into which collocation divides it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mmopt.checking import Count, Number, NumberOrRange, checked
from mmopt.errors import StudyError

RADAU, LEGENDRE = "radau", "legendre"
SCHEMES: Final = (RADAU, LEGENDRE)

_MOST_POINTS: Final = 5
"""Collocation points for which Pyomo.DAE and the mesh refinement were tried."""

_LEFT: Final = 1.0e-3
"""Fraction of a horizon that is left for its last elements where the first ones take all of it."""


@checked
class Horizon:
    """A time span divided into elements with collocation points.

    Parameters
    ----------
    length
        Length [h], or the range in which the optimisation may choose it.
    elements
        Number of elements.
    points
        Number of collocation points in each element, 1 to 5.
    scheme
        ``radau``: the end of an element is a collocation point. ``legendre``: it is not, and the order is higher by one.
    grading
        Length of the last element divided by that of the first; the lengths in between follow a geometric sequence.
    mesh
        Edges of the elements as fractions of the length, from 0 to 1, where neither equal nor graded elements fit; then
        ``elements`` is one less than their number.

    Raises
    ------
    StudyError
        If a number is not finite, out of range, or contradicts another.

    References
    ----------
    Biegler (2010), Nonlinear Programming, SIAM, chapter 10 (orthogonal collocation on finite elements).

    Examples
    --------
    >>> Horizon(10.0, elements=4).edges().tolist()
    [0.0, 2.5, 5.0, 7.5, 10.0]
    >>> Horizon((6.0, 10.0), elements=2, grading=3.0).edges().tolist()
    [0.0, 2.0, 8.0]
    """

    length: NumberOrRange
    elements: Count = 20
    points: Count = 3
    scheme: str = RADAU
    grading: Number = 1.0
    mesh: tuple[Number, ...] | None = None

    def __post_init__(self) -> None:
        low, high = self.length if isinstance(self.length, tuple) else (self.length, self.length)
        if not 0.0 < low <= high < np.inf:
            length = f"{low:g} h" if low == high else f"{low:g} to {high:g} h"
            raise StudyError(
                f"the horizon is {length} long; give a finite length above 0, or an ascending range of two"
            )
        if self.points > _MOST_POINTS:
            raise StudyError(f"an element cannot have {self.points} collocation points; give 1 to {_MOST_POINTS}")
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
        """Length [h]; the middle of the range where it may be chosen."""
        return float(sum(self.length) / 2.0) if isinstance(self.length, tuple) else float(self.length)

    @property
    def fractions(self) -> np.ndarray:
        """Edges of the elements as fractions of the length, shape (elements + 1,)."""
        if self.mesh is not None:
            return np.array(self.mesh)
        if self.grading == 1.0 or self.elements == 1:
            return np.linspace(0.0, 1.0, self.elements + 1)
        widths = self.grading ** np.linspace(0.0, 1.0, self.elements)
        edges: np.ndarray = np.concatenate([[0.0], np.cumsum(widths) / widths.sum()])
        edges[-1] = 1.0
        return edges

    def edges(self, start: float = 0.0) -> np.ndarray:
        """Return the times between elements.

        Parameters
        ----------
        start
            Time at which the horizon begins [h].

        Returns
        -------
        ndarray
            Times [h], shape (elements + 1,).
        """
        edges: np.ndarray = start + self.hours * self.fractions
        return edges

    def elements_within(self, hours: float) -> int:
        """Count the elements that lie within the first hours for the most part; at least one.

        Parameters
        ----------
        hours
            The hours [h].

        Returns
        -------
        int

        Examples
        --------
        >>> Horizon(10.0, elements=4).elements_within(5.0)
        2
        """
        edges = self.edges()
        return max(1, int(np.sum((edges[:-1] + edges[1:]) / 2.0 < hours)))

    def with_first(self, hours: float, count: int) -> "Horizon":
        """Let the first elements end after some hours; they and the others keep their ratios.

        Parameters
        ----------
        hours
            The hours; of a horizon that is no longer, a thousandth is left for the other elements [h].
        count
            Number of the first elements.

        Returns
        -------
        Horizon
            The same horizon on the other mesh.

        Examples
        --------
        >>> Horizon(10.0, elements=4).with_first(1.0, 1).edges().tolist()
        [0.0, 1.0, 4.0, 7.0, 10.0]
        """
        before = self.fractions
        if count >= self.elements:
            return self
        end = min(hours / self.hours, 1.0 - _LEFT)
        first = end * before[:count] / before[count]
        rest = end + (1.0 - end) * (before[count:-1] - before[count]) / (1.0 - before[count])
        return replace(self, mesh=(*first.tolist(), *rest.tolist(), 1.0))

    def divided(self, counts: Sequence[int]) -> "Horizon":
        """Divide elements into equal smaller ones.

        Parameters
        ----------
        counts
            Number of new elements in place of each old one, shape (elements,).

        Returns
        -------
        Horizon
            The same horizon on the finer mesh.

        Examples
        --------
        >>> Horizon(10.0, elements=2).divided([1, 2]).edges().tolist()
        [0.0, 5.0, 7.5, 10.0]
        """
        before = self.fractions
        edges = [
            np.linspace(low, high, count, endpoint=False)
            for low, high, count in zip(before[:-1], before[1:], counts, strict=True)
        ]
        mesh = (*np.concatenate(edges).tolist(), 1.0)
        return replace(self, elements=len(mesh) - 1, mesh=mesh)


def _is_mesh(mesh: Sequence[float], elements: int) -> bool:
    ascends = bool(np.all(np.diff(mesh) > 0.0)) and bool(np.all(np.isfinite(mesh)))
    return len(mesh) == elements + 1 and ascends and mesh[0] == 0.0 and mesh[-1] == 1.0

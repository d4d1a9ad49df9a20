"""Critical regions: the parts of the domain in which one basis stays optimal, the laws that hold there, and finding them.

Regions have no inner point in common (one answer, one law), so their volumes add up to what is covered.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.fba.domain import Domain
from mmopt.fba.polytope import Polytope, polytope
from mmopt.solvers.affine_law import AffineLaw

INSIDE: Final = 1.0e-9
"""How far a point may be beyond a facet and count as inside [mmol/gDW/h]; the tolerance of the program."""


@dataclass(frozen=True, eq=False)
class Region:
    """A critical region.

    Attributes
    ----------
    constant, slope
        Net fluxes, then the shortfall, are ``constant + slope @ inputs``; shapes (reactions + 1,), (reactions + 1, inputs).
    shape
        Where: facets, corners, and the part of the domain it fills.
    """

    constant: np.ndarray
    slope: np.ndarray
    shape: Polytope

    def holds(self, point: np.ndarray) -> bool:
        """Whether the law holds at a point."""
        with np.errstate(invalid="ignore"):  # an input without limit: no region holds it, since all are bounded
            return bool((self.shape.left @ point <= self.shape.right + INSIDE).all())


def region(law: AffineLaw, domain: Domain) -> Region | None:
    """The region of a law in the domain; None where it is flat."""
    found = polytope(law.left, law.right, domain.lower, domain.upper)
    return None if found is None else Region(law.constant, law.slope, found)


class Regions:
    """Regions that are known, with their facets stacked so that many points are looked up at once."""

    def __init__(self, known: "list[Region] | None" = None) -> None:
        self._known = list(known or [])
        self._stack()

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Region]:
        return iter(self._known)

    def __getitem__(self, number: int) -> Region:
        return self._known[number]

    def add(self, met: Region) -> int:
        """Remember a region; its number."""
        self._known.append(met)
        self._stack()
        return len(self._known) - 1

    @property
    def volume(self) -> float:
        """Part of the domain's volume that they fill."""
        return float(sum(each.shape.volume for each in self._known))

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Numbers of the regions that hold the points, -1 where there is none; shape (points,)."""
        found = np.full(len(points), -1)
        left_over, rest = np.arange(len(points)), np.ascontiguousarray(points.T)
        for number in self._by_volume:
            if not left_over.size:
                break
            shape = self._known[number].shape
            with np.errstate(invalid="ignore"):
                holds = (shape.left @ rest <= (shape.right + INSIDE)[:, None]).all(axis=0)
            found[left_over[holds]] = number
            left_over, rest = left_over[~holds], rest[:, ~holds]
        return found

    def values(self, points: np.ndarray, found: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Values of some rows at points whose regions are found, shape (points, rows); zero where none is.

        Rounded the same way however many points there are, so that the bits depend on a point and its region alone.
        """
        values = np.zeros((len(points), len(rows)))
        order = np.argsort(found, kind="stable")
        numbers, starts = np.unique(found[order], return_index=True)
        for number, here in zip(numbers, np.split(order, starts[1:]), strict=False):  # nothing splits into one part
            if number < 0:
                continue
            law = self._known[number]
            constant, slope = law.constant[rows], law.slope[rows]
            moving = np.flatnonzero((constant != 0.0) | (slope != 0.0).any(axis=1))  # most rates of a network are zero
            part = np.repeat(constant[None, moving], len(here), axis=0)
            for column, of_input in zip(points[here].T, slope[moving].T, strict=True):
                part += column[:, None] * of_input
            values[here[:, None], moving] = part
        return values

    def locate_one(self, point: np.ndarray) -> int:
        """Number of a region that holds one point, -1 if there is none."""
        if not self._known:
            return -1
        with np.errstate(invalid="ignore"):
            holds = np.logical_and.reduceat(self._left @ point <= self._right, self._starts)
        first = int(holds.argmax())
        return first if holds[first] else -1

    def _stack(self) -> None:
        shapes = [each.shape for each in self._known]
        self._by_volume = np.argsort([-shape.volume for shape in shapes], kind="stable")
        if shapes:
            self._left = np.vstack([shape.left for shape in shapes])
            self._right = np.concatenate([shape.right for shape in shapes]) + INSIDE
            self._starts = np.cumsum([0, *(len(shape.right) for shape in shapes[:-1])])

"""Critical regions: the sets of inputs in which one basis stays optimal, the affine laws that hold there, and their look-up.

Regions have no inner point in common (one optimum, one affine law), so their volumes add up to what is covered.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from mmopt.fba.domain import Domain
from mmopt.fba.polytope import Polytope, polytope
from mmopt.parallel.threads import one_thread_at_a_time
from mmopt.solvers.affine_law import AffineLaw

INSIDE: Final = 1.0e-9
"""Distance beyond a facet up to which a point counts as inside [mmol/gDW/h]; the tolerance of the program."""


class Region:
    """A critical region. Only the rates that are not zero in it are stored: one in six of a genome-scale network.

    Parameters
    ----------
    constant, slope
        Net fluxes, then the shortfall, are ``constant + slope @ inputs``; shapes (reactions + 1,), (reactions + 1, inputs).
    shape
        Facets, corners, and the fraction of the domain that the region fills.
    """

    __slots__ = ("_rows", "_size", "_values", "shape")

    def __init__(self, constant: np.ndarray, slope: np.ndarray, shape: Polytope) -> None:
        rows = np.flatnonzero((constant != 0.0) | (slope != 0.0).any(axis=1))
        self._size, self._rows = len(constant), rows.astype(np.int32)
        self._values = np.column_stack([constant[rows], slope[rows]])
        self.shape = shape

    @property
    def constant(self) -> np.ndarray:
        """Constants of all rates, shape (reactions + 1,)."""
        constant = np.zeros(self._size)
        constant[self._rows] = self._values[:, 0]
        return constant

    @property
    def slope(self) -> np.ndarray:
        """Slopes of all rates, shape (reactions + 1, inputs)."""
        slope = np.zeros((self._size, self._values.shape[1] - 1))
        slope[self._rows] = self._values[:, 1:]
        return slope

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        shape, values = self.shape, self._values.nbytes + self._rows.nbytes
        return (
            values + shape.left.nbytes + shape.right.nbytes + shape.corners.nbytes + sum(b.nbytes for b in shape.beyond)
        )

    def law(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return constants and slopes of some rates.

        Parameters
        ----------
        rows
            Row numbers in the net fluxes followed by the shortfall.

        Returns
        -------
        constant, slope
            Shapes (rows,) and (rows, inputs).
        """
        values = np.zeros((len(rows), self._values.shape[1]))
        if self._rows.size:
            at = np.minimum(np.searchsorted(self._rows, rows), len(self._rows) - 1)
            stored = self._rows[at] == rows
            values[stored] = self._values[at[stored]]
        return values[:, 0], values[:, 1:]

    def holds(self, point: np.ndarray) -> bool:
        """Return whether the affine law holds at a point.

        Parameters
        ----------
        point
            Inputs [mmol/gDW/h], shape (inputs,).

        Returns
        -------
        bool
            Whether the point lies in the region.
        """
        with np.errstate(invalid="ignore"):  # an input without limit: no region holds it, since all are bounded
            return bool((self.shape.left @ point <= self.shape.right + INSIDE).all())

    def __repr__(self) -> str:
        return f"Region({len(self.shape.right)} facets, {self.shape.volume:.3g} of the domain)"


def region(law: AffineLaw, domain: Domain) -> Region | None:
    """Compute the region of an affine law in a domain.

    Parameters
    ----------
    law
        The affine law of net fluxes, then the shortfall, in the inputs.
    domain
        The box of inputs.

    Returns
    -------
    Region or None
        None where it is flat.
    """
    shape = polytope(law.left, law.right, domain.lower, domain.upper)
    return None if shape is None else Region(law.constant, law.slope, shape)


class Regions:
    """Known regions, with their facets stacked so that many points are looked up at once.

    Parameters
    ----------
    known
        The first regions, if there are any.
    """

    def __init__(self, known: "list[Region] | None" = None) -> None:
        self._known: list[Region] = []
        self._facets = 0
        self._left, self._right, self._starts = np.empty((0, 0)), np.empty(0), np.empty(0, dtype=int)
        for own in known or []:
            self.add(own)

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Region]:
        return iter(self._known)

    def __getitem__(self, number: int) -> Region:
        return self._known[number]

    def __repr__(self) -> str:
        return f"Regions({len(self._known)} regions, {self.volume:.3g} of the domain)"

    def add(self, new: Region) -> int:
        """Add a region.

        Parameters
        ----------
        new
            The region.

        Returns
        -------
        int
            Its number.
        """
        self._known.append(new)
        begin, end = self._facets, self._facets + len(new.shape.right)
        if end > len(self._right) or len(self._known) > len(
            self._starts
        ):  # room for twice as many, so that adding is cheap
            self._left = _longer(self._left.reshape(-1, new.shape.left.shape[1]), end)
            self._right, self._starts = _longer(self._right, end), _longer(self._starts, len(self._known))
        self._left[begin:end], self._right[begin:end] = new.shape.left, new.shape.right + INSIDE
        self._starts[len(self._known) - 1], self._facets = begin, end
        return len(self._known) - 1

    @property
    def volume(self) -> float:
        """Fraction of the domain's volume that they fill."""
        return float(sum(known.shape.volume for known in self._known))

    def locate(self, points: np.ndarray) -> np.ndarray:
        """Return the numbers of the regions that hold some points.

        Parameters
        ----------
        points
            Inputs [mmol/gDW/h], shape (points, inputs).

        Returns
        -------
        ndarray
            Numbers, -1 where there is no region; shape (points,).
        """
        numbers = np.full(len(points), -1)
        left_over, rest = np.arange(len(points)), np.ascontiguousarray(points.T)
        by_volume = np.argsort([-known.shape.volume for known in self._known], kind="stable").astype(int)
        for number in by_volume:
            if not left_over.size:
                break
            shape = self._known[number].shape
            with np.errstate(invalid="ignore"):
                holds = (shape.left @ rest <= (shape.right + INSIDE)[:, None]).all(axis=0)
            numbers[left_over[holds]] = number
            left_over, rest = left_over[~holds], rest[:, ~holds]
        return numbers

    def values(self, points: np.ndarray, numbers: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Compute some rows at points in known regions.

        Rounded the same way however many points there are, so that the bits depend on a point and its region alone.

        Parameters
        ----------
        points
            Inputs [mmol/gDW/h], shape (points, inputs).
        numbers
            Numbers of their regions, shape (points,).
        rows
            Row numbers in the net fluxes followed by the shortfall.

        Returns
        -------
        ndarray
            Shape (points, rows) [mmol/gDW/h]; zero where the number is -1.
        """
        values = np.zeros((len(points), len(rows)))
        order = np.argsort(numbers, kind="stable")
        present, starts = np.unique(numbers[order], return_index=True)
        for number, here in zip(present, np.split(order, starts[1:]), strict=False):  # nothing splits into one array
            if number < 0:
                continue
            known = self._known[number]
            constant, slope = known.law(rows)
            moving = np.flatnonzero((constant != 0.0) | (slope != 0.0).any(axis=1))  # most rates of a network are zero
            block = np.repeat(constant[None, moving], len(here), axis=0)
            for column, of_input in zip(points[here].T, slope[moving].T, strict=True):
                block += column[:, None] * of_input
            values[here[:, None], moving] = block
        return values

    def locate_one(self, point: np.ndarray) -> int:
        """Return the number of a region that holds one point.

        Parameters
        ----------
        point
            Inputs [mmol/gDW/h], shape (inputs,).

        Returns
        -------
        int
            The number, -1 if there is none.
        """
        if not self._known:
            return -1
        with np.errstate(invalid="ignore"):
            inside = self._left[: self._facets] @ point <= self._right[: self._facets]
            holds = np.logical_and.reduceat(inside, self._starts[: len(self._known)])
        first = int(holds.argmax())
        return first if holds[first] else -1


def _longer(array: np.ndarray, least: int) -> np.ndarray:
    """The array with room for twice as many rows, or more."""
    longer = np.zeros((2 * max(least, len(array)), *array.shape[1:]), dtype=array.dtype)
    longer[: len(array)] = array
    return longer


class RegionRates:
    """Some rates at one point after the other: the last region first, since a reactor moves slowly through them.

    Parameters
    ----------
    regions
        The known regions.
    find
        Returns the number of a region that holds a point, which it may add; -1 where there is none.
    solve
        Computes net fluxes, then the shortfall, where there is no region.
    rows
        Row numbers of the rates.
    """

    def __init__(
        self,
        regions: Regions,
        find: Callable[[np.ndarray], int],
        solve: Callable[[np.ndarray], np.ndarray],
        rows: np.ndarray,
    ) -> None:
        self._regions, self._find, self._solve, self._rows = regions, find, solve, rows
        self._read: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._last: Region | None = None
        self._law = (np.empty(0), np.empty((0, 0)))

    @one_thread_at_a_time
    def __call__(self, point: np.ndarray) -> np.ndarray:
        """Return the rates at a point."""
        if self._last is None or not self._last.holds(point):
            number = self._find(point)
            if number < 0:  # outside the domain, or without a region: the program is solved
                solved: np.ndarray = self._solve(point)[self._rows]
                return solved
            self._last = self._regions[number]
            if number not in self._read:
                self._read[number] = self._last.law(self._rows)
            self._law = self._read[number]
        constant, slope = self._law
        value: np.ndarray = constant + slope @ point
        return value

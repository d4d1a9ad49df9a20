"""The map of critical regions in a domain, completed where points lie or walked across facets until it is full.

From the middle of every facet one step leads into the neighbour; where that ends, random points search for missing
regions. The covered volume is known exactly, since regions do not overlap.
"""

import math
from collections.abc import Callable
from itertools import islice
from typing import Final

import numpy as np

from mmopt.checking import finite
from mmopt.errors import DomainError, InfeasibleError
from mmopt.fba.domain import Domain, checked_count, checked_fraction, checked_points
from mmopt.fba.flux_program import FluxProgram
from mmopt.fba.region import INSIDE, Region, Regions, region
from mmopt.io.facts import facts_table, facts_text
from mmopt.network.network import Network
from mmopt.parallel.threads import one_thread_at_a_time
from mmopt.status import Status

_NUDGES: Final = (0.0, 1.0e-6, 1.0e-4, 1.0e-8)
"""Fractions of the way to an inner point by which a point is moved when its basis is degenerate, or its region flat: where
several regions meet, one of them with an inside is wanted."""

_STEPS: Final = (1.0e-7, 1.0e-4)
"""Distances beyond a facet at which a neighbour is searched, as fractions of the domain: close, then past regions that are
too thin to keep."""

_SAME: Final = 9
"""Decimals to which two planes, or two corners, are one."""

_CHECKED: Final = 64
"""Points outside all regions that are solved, to see whether they have a solution."""

_MEGABYTE: Final = 2**20
_NO_SHORTFALL: Final = 1.0e-9
_THOUSAND: Final = 1000


class RegionMap:
    """The critical regions of a flux program in a domain that are known so far.

    Parameters
    ----------
    program
        The flux program.
    domain
        The box in which regions are kept, with the inputs of the program.
    regions
        The first regions.
    """

    def __init__(self, program: FluxProgram, domain: Domain, regions: Regions) -> None:
        self.program, self.domain, self.regions = program, domain, regions
        self.infeasible = 0.0
        """Fraction of the domain without a solution, as `explore` estimated it where it ended before all was covered."""

    @property
    def network(self) -> Network:
        """The metabolic network."""
        return self.program.network

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in order."""
        return self.program.inputs

    @property
    def coverage(self) -> float:
        """Fraction of the domain's volume that the known regions fill."""
        return self.regions.volume

    def extend(self, points: np.ndarray) -> np.ndarray:
        """Add the regions that hold some points, where they are not known yet.

        Parameters
        ----------
        points
            Inputs, shape (points, inputs) [mmol/gDW/h].

        Returns
        -------
        ndarray
            Numbers of the regions, -1 where there is none; shape (points,).
        """
        points = checked_points(self.inputs, points)
        numbers = self.regions.locate(points)
        for position in np.flatnonzero(numbers < 0):
            numbers[position] = self.find(points[position])
        return numbers

    @one_thread_at_a_time
    def find(self, point: np.ndarray) -> int:
        """Return the number of a region that holds one point, and add it where it is not known yet.

        Parameters
        ----------
        point
            Inputs, shape (inputs,) [mmol/gDW/h].

        Returns
        -------
        int
            Number of the region, -1 if there is none.
        """
        known = self.regions.locate_one(point)
        if known >= 0 or not self._in_box(point):
            return known
        inner = self.domain.lower + self._width * 0.4142135623730951
        for nudge in _NUDGES:
            try:
                self.program.solve(point + nudge * (inner - point))
            except InfeasibleError:  # a reaction must run that cannot run there: no solution, and so no region
                continue
            law = self.program.law()
            if law is None or np.any(
                law.left @ point > law.right + INSIDE * np.maximum(1.0, np.linalg.norm(law.left, axis=1))
            ):
                continue
            new = region(law, self.domain)
            if new is not None and self.regions.locate_one(new.shape.corners.mean(axis=0)) < 0:
                return self.regions.add(new)
        return -1

    @one_thread_at_a_time
    def explore(
        self,
        wanted: float = 1.0 - 1.0e-9,
        *,
        most: int | None = None,
        megabytes: float | None = None,
        probes: int = 4096,
        progress: Callable[[int, int], None] | None = None,
    ) -> float:
        """Fill the domain with regions, and return the covered fraction of its volume.

        Parameters
        ----------
        wanted
            Coverage at which to stop, in (0, 1].
        most
            Regions at which to stop; by default there is no limit, and a domain of many inputs can have very many: 296 of
            iJO1366 over three inputs, 1,031 over four, 3,347 over five, more than 12,700 over six.
        megabytes
            Memory of the regions at which to stop; by default there is no limit.
        probes
            Random points to try where walking across facets leads to no new region.
        progress
            Called with the covered volume and 1000, in thousandths.

        Returns
        -------
        float
            `coverage`. What is not covered has no solution (`infeasible`), or is beyond ``most`` and ``megabytes``.

        Raises
        ------
        DomainError
            If ``wanted``, ``most``, ``megabytes`` or ``probes`` is no number or out of range.
        """
        wanted, probes = checked_fraction("wanted", wanted), checked_count("probes", probes, error=DomainError)
        most = None if most is None else checked_count("most", most, error=DomainError)
        room = (
            math.inf if megabytes is None else finite("megabytes", megabytes, above=0.0, error=DomainError) * _MEGABYTE
        )
        self.find(self.domain.lower + 0.5 * self._width)
        walked, random, volume, taken = 0, np.random.default_rng(0), 0.0, 0
        counted = 0
        while True:
            for known in islice(self.regions, counted, None):
                volume, taken, counted = volume + known.shape.volume, taken + known.nbytes, counted + 1
            if volume >= wanted or taken >= room or (most is not None and counted >= most):
                break
            if walked < len(self.regions):
                self._walk_out_of(self.regions[walked])
                walked += 1
            else:
                before = len(self.regions)
                points = self.domain.lower + random.random((probes, len(self.inputs))) * self._width
                numbers = self.extend(points)
                if len(self.regions) == before:
                    self.infeasible = self._without_solution(points[numbers < 0]) * float(np.mean(numbers < 0))
                    break
            if progress is not None:
                progress(int(_THOUSAND * min(1.0, volume)), _THOUSAND)
        return self.coverage

    def _without_solution(self, points: np.ndarray) -> float:
        """1 if some points have no solution because a reaction must run that cannot run there; 0 if any has one."""
        status = self.program.batch(points[:_CHECKED]).status
        return float(all(one is Status.INFEASIBLE for one in status))

    def growth_planes(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the planes whose minimum is the growth rate wherever the maintenance demand can be met.

        Returns
        -------
        slopes, constants
            Growth is ``min(slopes @ inputs + constants)`` [1/h]; shapes (planes, inputs) and (planes,). Complete once
            the domain is explored.
        """
        row = self.network.column(self.network.biomass)
        planes = [
            np.append(known.slope[row], known.constant[row])
            for known in self.regions
            if np.all(known.constant[-1] + known.shape.corners @ known.slope[-1] < _NO_SHORTFALL)
        ]
        if not planes:
            return np.empty((0, len(self.inputs))), np.empty(0)
        unique = np.unique(np.round(planes, _SAME) + 0.0, axis=0, return_index=True)[1]
        exact = np.array(planes)[unique]
        return exact[:, :-1], exact[:, -1]

    def corner_points(self) -> np.ndarray:
        """Return the different corners of the known regions.

        Returns
        -------
        ndarray
            Inputs, shape (corners, inputs) [mmol/gDW/h].
        """
        if len(self.regions) == 0:
            return np.empty((0, len(self.inputs)))
        corners = np.vstack([known.shape.corners for known in self.regions])
        return np.unique(np.round(corners, _SAME) + 0.0, axis=0)

    def __repr__(self) -> str:
        counts = f"{_counted(len(self.regions), 'critical region')} of {_counted(len(self.inputs), 'input')}"
        return f"{type(self).__name__}({self.network.name!r}: {counts}, {100.0 * self.coverage:.1f} % of the domain)"

    def __str__(self) -> str:
        return facts_text(self._facts())

    def _repr_html_(self) -> str:
        """Table for a notebook."""
        return facts_table(self._facts())

    def _facts(self) -> dict[str, str]:
        return {
            "network": self.network.name,
            "critical regions": str(len(self.regions)),
            "covered": f"{100.0 * self.coverage:.1f} % of the domain",
            "domain": str(self.domain).replace("\n", ", "),
        }

    @property
    def _width(self) -> np.ndarray:
        width: np.ndarray = self.domain.upper - self.domain.lower
        return width

    def _in_box(self, point: np.ndarray) -> bool:
        return bool(np.all((point >= self.domain.lower - INSIDE) & (point <= self.domain.upper + INSIDE)))

    def _walk_out_of(self, known: Region) -> None:
        """Step across every inner facet of a region."""
        middles, normals = known.shape.beyond
        for middle, normal in zip(middles, normals, strict=True):
            for step in _STEPS:
                unit = middle + step * normal
                if np.all((unit >= 0.0) & (unit <= 1.0)):
                    self.find(self.domain.lower + unit * self._width)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

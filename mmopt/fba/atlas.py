"""The atlas: critical regions of the label program, the exact piecewise affine answer, found lazily.

Around any answer the fluxes are affine in the inputs as long as its basis stays feasible; strict optimality of a basis
depends on no input. A query inside a known region is answered by its law; a miss solves the program and adds a region.
Regions have no inner point in common, so their volumes add up to what is covered.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from mmopt.errors import InfeasibleError
from mmopt.fba.domain import Domain
from mmopt.fba.flux_program import FluxProgram, checked_points
from mmopt.fba.fluxes import FluxBatch, Fluxes
from mmopt.fba.rates import GROWTH, Cell, rate_rows
from mmopt.fba.region import INSIDE, Region, Regions, region
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.status import Status

_NUDGES: Final = (0.0, 1.0e-6, 1.0e-4, 1.0e-8)
"""Parts of the way to an inner point by which a query is moved when its basis is degenerate, or its region flat: where
several regions meet, one of them with an inside is wanted."""


class Atlas:
    """The label program with a memory; exact wherever the program is, and it can stand wherever the program can.

    Parameters
    ----------
    network
        The metabolic network.
    domain
        The box in which regions are kept. Outside it the program answers.
    fraction, limits
        As for `FluxProgram`.

    Raises
    ------
    NetworkError
        If an input of the domain is unknown.

    References
    ----------
    Gal and Nedoma (1972), Manage. Sci. 18:406 (multiparametric linear programming).

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> atlas.rates(np.array([[10.0], [8.0]]), ["growth"]).round(4).tolist(), len(atlas.regions)
    ([[0.8739], [0.6906]], 1)
    >>> round(atlas.explore(), 9), len(atlas.regions)
    (1.0, 7)
    """

    def __init__(
        self, network: Network, domain: Domain, *, fraction: float = 1.0, limits: Sequence[LinearLimit] = ()
    ) -> None:
        self.domain = domain
        self.program = FluxProgram(network, domain.inputs, fraction=fraction, limits=limits)
        self._regions = Regions()

    @property
    def network(self) -> Network:
        """The network that is asked."""
        return self.program.network

    @property
    def inputs(self) -> tuple[str, ...]:
        """What varies, in order."""
        return self.program.inputs

    @property
    def regions(self) -> Regions:
        """The regions known so far."""
        return self._regions

    @property
    def coverage(self) -> float:
        """Part of the domain's volume that the known regions fill."""
        return self._regions.volume

    def extend(self, points: np.ndarray) -> np.ndarray:
        """Numbers of regions that hold the points, found now where need be; -1 where none could be had."""
        points = checked_points(self.inputs, points)
        found = self._regions.locate(points)
        for place in np.flatnonzero(found < 0):
            found[place] = self.find(points[place])
        return found

    def find(self, point: np.ndarray) -> int:
        """Number of a region that holds one point, found now if need be; -1 if none could be had."""
        known = self._regions.locate_one(point)
        if known >= 0 or not _in_box(self.domain, point):
            return known
        inner = self.domain.lower + (self.domain.upper - self.domain.lower) * 0.4142135623730951
        for nudge in _NUDGES:
            try:
                self.program.solve(point + nudge * (inner - point))
            except InfeasibleError:  # something must run that cannot there: no answer, and so no region
                continue
            law = self.program.law()
            if law is None or np.any(
                law.left @ point > law.right + INSIDE * np.maximum(1.0, np.linalg.norm(law.left, axis=1))
            ):
                continue
            met = region(law, self.domain)
            if met is not None and self._regions.locate_one(met.shape.corners.mean(axis=0)) < 0:
                return self._regions.add(met)
        return -1

    def rates(self, points: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
        """Exact rates at many points.

        Parameters
        ----------
        points
            Inputs, shape (points, inputs) [mmol/gDW/h].
        names
            ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h]; by default growth and all exchanges.

        Returns
        -------
        ndarray
            Shape (points, names).
        """
        points = checked_points(self.inputs, points)
        rows = rate_rows(self.network, self._named(names))
        found = self.extend(points)
        values = self._regions.values(points, found, rows)
        for place in np.flatnonzero(found < 0):
            fluxes = self.program.solve(points[place])
            values[place] = np.append(fluxes.net, fluxes.shortfall)[rows]
        return values

    def jacobian(self, points: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
        """Exact derivatives of the rates to the inputs, shape (points, names, inputs).

        At a border of regions it is that of one of them; not a number where no region could be had.
        """
        points = checked_points(self.inputs, points)
        rows = rate_rows(self.network, self._named(names))
        found = self.extend(points)
        values = np.full((len(points), len(rows), len(self.inputs)), np.nan)
        for number in np.unique(found[found >= 0]):
            values[found == number] = self._regions[number].slope[rows]
        return values

    def fluxes(self, point: Sequence[float] | np.ndarray) -> Fluxes:
        """All fluxes at one point."""
        points = checked_points(self.inputs, np.asarray(point, dtype=float).reshape(1, -1))
        number = self.find(points[0])
        if number < 0:
            return self.program.solve(points[0])
        values = self._regions.values(points, np.array([number]), np.arange(len(self.network.reactions) + 1))[0]
        growth = float(values[self.network.column(self.network.biomass)])
        return Fluxes(self.network, growth, values[:-1], float(values[-1]), Status.OPTIMAL)

    def batch(self, points: np.ndarray) -> FluxBatch:
        """All fluxes at many points, without adding regions: the bits depend on the points and the regions alone."""
        points = checked_points(self.inputs, points)
        found = self._regions.locate(points)
        reactions = len(self.network.reactions)
        net = self._regions.values(points, found, np.arange(reactions))
        shortfall = self._regions.values(points, found, np.array([reactions]))[:, 0]
        status = np.full(len(points), Status.OPTIMAL, dtype=object)
        missed = np.flatnonzero(found < 0)
        if missed.size:
            solved = self.program.batch(points[missed])
            net[missed], shortfall[missed], status[missed] = solved.net, solved.shortfall, solved.status
        return FluxBatch(net, net[:, self.network.column(self.network.biomass)].copy(), shortfall, tuple(status))

    def rate_function(self, names: Sequence[str]) -> Cell:
        """The atlas as who answers for the cell inside a reactor, reading ``names``.

        Raises
        ------
        NetworkError
            If a reaction id is unknown.
        """
        return Cell(self.inputs, tuple(names), _Reader(self, rate_rows(self.network, names)))

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Accept every limit: what no region holds, the program answers, from zero up."""

    def explore(
        self,
        wanted: float = 1.0 - 1.0e-9,
        *,
        most: int | None = None,
        probes: int = 4096,
        progress: Callable[[int, int], None] | None = None,
    ) -> float:
        """Fill the domain with regions, and say which part of its volume they cover.

        Parameters
        ----------
        wanted
            Coverage at which to stop.
        most
            Regions at which to stop; by default there is no limit, and a domain of many inputs can have very many.
        probes
            Random points to try where walking across facets finds nothing more.
        progress
            Called with the covered volume and 1000, in thousandths.

        Returns
        -------
        float
            `coverage`.
        """
        from mmopt.fba.explore import explore

        return explore(self, wanted, most, probes, progress)

    def growth_planes(self) -> tuple[np.ndarray, np.ndarray]:
        """The planes whose minimum is the growth rate wherever the maintenance demand can be met.

        Returns
        -------
        slopes, constants
            Growth is ``min(slopes @ inputs + constants)`` [1/h]; shapes (planes, inputs) and (planes,). Complete once
            the domain is explored.
        """
        from mmopt.fba.explore import growth_planes

        return growth_planes(self)

    def corners(self) -> tuple[np.ndarray, FluxBatch]:
        """Corners of the known regions, and all fluxes there.

        Inside a region every answer is a mean of those at its corners, so these fluxes are the modes of the network in
        this domain.

        Returns
        -------
        points, labels
            Shape (corners, inputs), and the answers.
        """
        from mmopt.fba.explore import corners

        return corners(self)

    def save(self, path: str | Path) -> Path:
        """Write the atlas as netCDF; the file appears whole or not at all. Read it with `load_atlas`."""
        from mmopt.fba.atlas_file import save_atlas

        return save_atlas(self, path)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the bits of an answer."""
        digest = hashlib.sha256(repr((self.program.digest, dict(self.domain.limits))).encode())
        for each in self._regions:
            shape = each.shape
            for array in (each.constant, each.slope, shape.left, shape.right, shape.corners, *shape.beyond):
                digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the recipe and the regions; the program is compiled again where it arrives."""
        return _rebuilt, (self.program, dict(self.domain.limits), list(self._regions))

    def _named(self, names: Sequence[str] | None) -> Sequence[str]:
        return names if names is not None else (GROWTH, *self.network.exchanges)


class _Reader:
    """Some rates at one point after the other: the last region first, since a reactor moves slowly through them."""

    def __init__(self, atlas: Atlas, rows: np.ndarray) -> None:
        self._atlas, self._rows = atlas, rows
        self._read: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._last: Region | None = None
        self._law = (np.empty(0), np.empty((0, 0)))

    def __call__(self, point: np.ndarray) -> np.ndarray:
        if self._last is None or not self._last.holds(point):
            number = self._atlas.find(point)
            if number < 0:  # outside the domain, or no region could be had: the program's own answer
                fluxes = self._atlas.program.solve(point)
                solved: np.ndarray = np.append(fluxes.net, fluxes.shortfall)[self._rows]
                return solved
            self._last = self._atlas.regions[number]
            if number not in self._read:
                self._read[number] = (self._last.constant[self._rows], self._last.slope[self._rows])
            self._law = self._read[number]
        constant, slope = self._law
        value: np.ndarray = constant + slope @ point
        return value


def _in_box(domain: Domain, point: np.ndarray) -> bool:
    return bool(np.all((point >= domain.lower - INSIDE) & (point <= domain.upper + INSIDE)))


def _rebuilt(program: FluxProgram, box: dict[str, tuple[float, float]], regions: list[Region]) -> Atlas:
    atlas = Atlas.__new__(Atlas)
    atlas.domain, atlas.program, atlas._regions = Domain(box), program, Regions(regions)
    return atlas

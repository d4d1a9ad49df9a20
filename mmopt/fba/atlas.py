"""The atlas: critical regions of the flux program, its exact piecewise affine solution, computed where it is needed.

Around any solution the fluxes are affine in the inputs as long as its basis stays feasible; strict optimality of a basis
depends on no input. A point inside a known region needs one affine law; any other point is solved and adds a region.
Regions have no inner point in common, so their volumes add up to what is covered.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmopt.checking import shown
from mmopt.errors import DomainError, NetworkError, StudyError, first_line
from mmopt.fba.atlas_file import AtlasContent, read_atlas, write_atlas
from mmopt.fba.domain import Domain, checked_inputs, checked_points
from mmopt.fba.flux_program import FluxProgram
from mmopt.fba.fluxes import FluxBatch, Fluxes
from mmopt.fba.rates import GROWTH, RateFunction, rate_rows
from mmopt.fba.region import Region, RegionRates, Regions
from mmopt.fba.region_map import RegionMap
from mmopt.io.seal import digest
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.parallel.threads import one_thread_at_a_time
from mmopt.status import Status


class Atlas(RegionMap):
    """The flux program with a memory of its critical regions: as exact as the program, and usable wherever it is.

    Parameters
    ----------
    network
        The metabolic network.
    domain
        The box in which regions are kept. Outside it the program is solved.
    fraction_of_optimum, limits
        As for `FluxProgram`.

    Raises
    ------
    NetworkError
        If an input of the domain is unknown.
    DomainError
        If ``domain`` is no `Domain`, or ``fraction_of_optimum`` is not in (0, 1].

    References
    ----------
    Gal and Nedoma (1972), Manage. Sci. 18:406 (multiparametric linear programming).

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> atlas.rates(np.array([[10.0], [8.0]]), ["growth"]).round(4).tolist(), len(atlas.regions)
    ([[0.8739], [0.6906]], 1)
    >>> round(atlas.explore(), 9)
    1.0
    >>> atlas
    Atlas('e_coli_core': 7 critical regions of 1 input, 100.0 % of the domain)
    >>> atlas.jacobian(np.array([[10.0]]), ["growth"]).round(4).tolist()
    [[[0.0917]]]
    """

    def __init__(
        self, network: Network, domain: Domain, *, fraction_of_optimum: float = 1.0, limits: Sequence[LinearLimit] = ()
    ) -> None:
        if not isinstance(domain, Domain):
            raise DomainError(f"domain is {shown(domain)}; give a Domain")
        program = FluxProgram(network, domain.inputs, fraction_of_optimum=fraction_of_optimum, limits=limits)
        super().__init__(program, domain, Regions())

    @one_thread_at_a_time
    def rates(self, points: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
        """Compute exact rates at many points.

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
        rows = rate_rows(self.network, _rates_or_all(self.network, names))
        numbers = self.extend(points)
        values = self.regions.values(points, numbers, rows)
        for position in np.flatnonzero(numbers < 0):
            values[position] = self.program.solve(points[position]).net_and_shortfall[rows]
        return values

    @one_thread_at_a_time
    def jacobian(self, points: np.ndarray, names: Sequence[str] | None = None) -> np.ndarray:
        """Compute exact derivatives of the rates with respect to the inputs.

        Parameters
        ----------
        points
            Inputs, shape (points, inputs) [mmol/gDW/h].
        names
            Rates, as for `rates`.

        Returns
        -------
        ndarray
            Shape (points, names, inputs). At a border of regions it is that of one of them; NaN where there is no region.
        """
        points = checked_points(self.inputs, points)
        rows = rate_rows(self.network, _rates_or_all(self.network, names))
        numbers = self.extend(points)
        values = np.full((len(points), len(rows), len(self.inputs)), np.nan)
        for number in np.unique(numbers[numbers >= 0]):
            values[numbers == number] = self.regions[number].law(rows)[1]
        return values

    @one_thread_at_a_time
    def fluxes(self, point: Sequence[float] | np.ndarray) -> Fluxes:
        """Compute all fluxes at one point.

        Parameters
        ----------
        point
            Inputs, shape (inputs,) [mmol/gDW/h].

        Returns
        -------
        Fluxes
            As `FluxProgram.solve` returns them.
        """
        points = checked_inputs(self.inputs, point)[None, :]
        number = self.find(points[0])
        if number < 0:
            return self.program.solve(points[0])
        values = self.regions.values(points, np.array([number]), np.arange(len(self.network.reactions) + 1))[0]
        growth = float(values[self.network.column(self.network.biomass)])
        return Fluxes(self.network, growth, values[:-1], float(values[-1]), Status.OPTIMAL)

    @one_thread_at_a_time
    def batch(self, points: np.ndarray) -> FluxBatch:
        """Compute all fluxes at many points, without adding regions.

        Parameters
        ----------
        points
            Inputs, shape (points, inputs) [mmol/gDW/h].

        Returns
        -------
        FluxBatch
            The fluxes; their bits depend on the points and the known regions alone.
        """
        points = checked_points(self.inputs, points)
        numbers = self.regions.locate(points)
        reactions = len(self.network.reactions)
        net = self.regions.values(points, numbers, np.arange(reactions))
        shortfall = self.regions.values(points, numbers, np.array([reactions]))[:, 0]
        status = np.full(len(points), Status.OPTIMAL, dtype=object)
        missed = np.flatnonzero(numbers < 0)
        if missed.size:
            solved = self.program.batch(points[missed])
            net[missed], shortfall[missed], status[missed] = solved.net, solved.shortfall, solved.status
        return FluxBatch(net, net[:, self.network.column(self.network.biomass)].copy(), shortfall, tuple(status))

    def rate_function(self, names: Sequence[str]) -> RateFunction:
        """Return some rates as a function of the uptake limits, for a reactor.

        Parameters
        ----------
        names
            ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h].

        Returns
        -------
        RateFunction
            Rates by name, from uptake limits by name.

        Raises
        ------
        NetworkError
            If a reaction id is unknown.
        """
        rates = RegionRates(
            self.regions,
            self.find,
            lambda point: self.program.solve(point).net_and_shortfall,
            rate_rows(self.network, names),
        )
        return RateFunction(self.inputs, tuple(names), rates)

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Accept every limit: where there is no region, the program is solved, from zero up.

        Parameters
        ----------
        limits
            Largest uptake rates by exchange id [mmol/gDW/h].
        """

    @one_thread_at_a_time
    def corners(self) -> tuple[np.ndarray, FluxBatch]:
        """Return the corners of the known regions, and all fluxes there.

        Inside a region every flux vector is a mean of those at its corners, so these fluxes are the modes of the network
        in this domain.

        Returns
        -------
        points, fluxes
            Inputs, shape (corners, inputs) [mmol/gDW/h], and the fluxes there.
        """
        points = self.corner_points()
        return points, self.batch(points)

    def save(self, path: str | Path) -> Path:
        """Write the atlas as netCDF; the file appears whole or not at all. Read it with `load_atlas`.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Path
            The file.
        """
        if not isinstance(path, str | Path):
            raise StudyError(f"path is {shown(path)}; give the path of a file")
        program = self.program
        content = AtlasContent(
            network=self.network.name,
            network_hash=self.network.hash,
            domain=self.domain,
            fraction_of_optimum=program.fraction_of_optimum,
            limits=program.limits,
            regions=list(self.regions),
            digest=self.digest,
        )
        return write_atlas(content, path)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the bits of a result."""
        arrays = (
            array
            for known in self.regions
            for array in (
                known.constant,
                known.slope,
                known.shape.left,
                known.shape.right,
                known.shape.corners,
                *known.shape.beyond,
            )
        )
        return digest(repr((self.program.digest, dict(self.domain.limits))), *(array.astype("<f8") for array in arrays))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the program and the regions; the program is compiled again where it arrives."""
        return _rebuilt, (self.program, dict(self.domain.limits), list(self.regions))


def load_atlas(path: str | Path, network: Network) -> Atlas:
    """Read an atlas that `Atlas.save` wrote.

    Parameters
    ----------
    path
        The file.
    network
        The network of the atlas.

    Returns
    -------
    Atlas
        The atlas, with its regions.

    Raises
    ------
    StudyError
        If the file is missing, damaged, no atlas, or belongs to another network.

    Examples
    --------
    >>> import tempfile
    >>> network = read_network("textbook")
    >>> atlas = Atlas(network, Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = atlas.save(f"{folder}/atlas.nc")
    ...     load_atlas(path, network).digest == atlas.digest
    True
    """
    if not isinstance(network, Network):
        raise NetworkError(f"network is {shown(network)}; give a Network, as read_network returns it")
    try:
        content = read_atlas(path)
        if content.network_hash != network.hash:
            raise StudyError(f"{path} belongs to another network than {network.name} as read now; explore again")
        atlas = Atlas(network, content.domain, fraction_of_optimum=content.fraction_of_optimum, limits=content.limits)
        for known in content.regions:
            if len(known.constant) != len(network.reactions) + 1:
                raise ValueError("its arrays have a wrong shape")
            atlas.regions.add(known)
        if atlas.digest != content.digest:
            raise ValueError("its content is not what was written")
    except StudyError:
        raise
    except Exception as error:  # a damaged file fails in many ways; all mean the same to a user
        raise StudyError(f"{path} is not an atlas mmopt wrote ({first_line(error)}); explore again") from error
    return atlas


def _rates_or_all(network: Network, names: Sequence[str] | None) -> Sequence[str]:
    """Names of rates; by default growth and all exchanges."""
    return names if names is not None else (GROWTH, *network.exchanges)


def _rebuilt(program: FluxProgram, box: dict[str, tuple[float, float]], regions: list[Region]) -> Atlas:
    atlas = Atlas.__new__(Atlas)
    RegionMap.__init__(atlas, program, Domain(box), Regions(regions))
    return atlas

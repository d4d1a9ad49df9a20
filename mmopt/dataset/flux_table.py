"""Fluxes at many points as a table with its provenance.

A saved table carries the SHA-256 of its content, names and provenance included, so that damage is noticed when it is read.
"""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mmopt.checking import shown
from mmopt.dataset.table_file import DIMENSIONS, STATUSES, check_suffix, read_data, status_flags, write_data
from mmopt.errors import NetworkError, StudyError, first_line
from mmopt.fba.domain import Domain, checked_points
from mmopt.fba.fluxes import FluxBatch
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.io.facts import facts_table, facts_text
from mmopt.network.network import Network
from mmopt.status import Status
from mmopt.units import GROWTH_UNIT, RATE


@dataclass(frozen=True, eq=False, repr=False)
class FluxTable:
    """Fluxes at many points of a domain.

    Attributes
    ----------
    data
        ``inputs`` (point, input), ``fluxes`` (point, reaction) [mmol/gDW/h], ``growth`` [1/h], ``shortfall``
        [mmol/gDW/h], ``status``; the provenance (network hash, domain, seed, versions) in ``attrs``. Where a point was
        not solved its numbers are NaN.
    network
        The metabolic network.
    domain
        The box of the inputs.

    Examples
    --------
    >>> table = tabulate_fluxes(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 10.0)}), n=16)
    >>> table
    FluxTable('e_coli_core': 95 fluxes at 16 points, 16 solved)
    >>> table.inputs.shape, round(float(table.data["growth"].max()), 2)
    ((16, 1), 0.76)
    """

    data: xr.Dataset
    network: Network
    domain: Domain

    @property
    def inputs(self) -> np.ndarray:
        """Inputs, such as uptake limits [mmol/gDW/h], shape (points, inputs)."""
        return np.asarray(self.data["inputs"].values)

    @property
    def fluxes(self) -> np.ndarray:
        """Net fluxes [mmol/gDW/h], shape (points, reactions)."""
        return np.asarray(self.data["fluxes"].values)

    @property
    def status(self) -> tuple[Status, ...]:
        """How the solver ended at every point."""
        return tuple(STATUSES[code] for code in self.data["status"].values)

    @property
    def solved(self) -> np.ndarray:
        """Whether every point was solved, shape (points,)."""
        good = np.array([status.solved for status in STATUSES])
        return np.asarray(good[self.data["status"].values])

    def only_solved(self) -> "FluxTable":
        """Return the points that were solved.

        Returns
        -------
        FluxTable
            This very table if all points were solved.
        """
        solved = self.solved
        return self if solved.all() else FluxTable(self.data.isel(point=solved), self.network, self.domain)

    def extended(self, points: np.ndarray, fluxes: FluxBatch) -> "FluxTable":
        """Return the table with more points at its end, such as the corners of an atlas.

        Parameters
        ----------
        points
            Inputs of these points [mmol/gDW/h], shape (points, inputs).
        fluxes
            Fluxes there, as `FluxProgram.batch` and `Atlas.batch` return them.

        Returns
        -------
        FluxTable
            The longer table.

        Raises
        ------
        StudyError
            If there are not as many fluxes as points, or of another number of reactions.
        """
        points = checked_points(self.domain.inputs, points)
        if not isinstance(fluxes, FluxBatch) or fluxes.net.shape != (len(points), len(self.network.reactions)):
            raise StudyError(
                f"fluxes is {shown(fluxes)}; give a FluxBatch of {len(self.network.reactions)} reactions at the "
                f"{len(points)} points"
            )
        more = tabulate(
            self.network,
            self.domain,
            0,
            inputs=points,
            fluxes=fluxes.net,
            growth=fluxes.growth,
            shortfall=fluxes.shortfall,
            status=np.array([STATUSES.index(status) for status in fluxes.status], dtype=np.int8),
        )
        data = xr.concat([self.data, more.data], dim="point", combine_attrs="override", data_vars="minimal")
        return FluxTable(data, self.network, self.domain)

    def __len__(self) -> int:
        return int(self.data.sizes["point"])

    def save(self, path: str | Path) -> Path:
        """Write the table as netCDF (``.nc``) or Parquet (``.parquet``); the file appears whole or not at all.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        StudyError
            If the suffix is another, or the file cannot be written; an earlier file of that name stays as it was.
        """
        return write_data(self.data, path)

    def __repr__(self) -> str:
        counts = f"{len(self.network.reactions)} fluxes at {len(self)} points, {int(self.solved.sum())} solved"
        return f"FluxTable({self.network.name!r}: {counts})"

    def __str__(self) -> str:
        return facts_text(self._facts())

    def _repr_html_(self) -> str:
        """Table for a notebook."""
        return facts_table(self._facts())

    def _facts(self) -> dict[str, str]:
        return {
            "network": self.network.name,
            "points": f"{len(self)}, {int(self.solved.sum())} solved",
            "fluxes": str(len(self.network.reactions)),
            "domain": str(self.domain).replace("\n", ", "),
            "seed": str(self.data.attrs.get("seed", "unknown")),
        }


def load_table(path: str | Path, network: Network) -> FluxTable:
    """Read a table that `FluxTable.save` wrote.

    Parameters
    ----------
    path
        The file, ``.nc`` or ``.parquet``.
    network
        The network of the table.

    Returns
    -------
    FluxTable
        The table, to the last bit.

    Raises
    ------
    StudyError
        If the file is missing or damaged, is not a table, or belongs to another network.

    Examples
    --------
    >>> import tempfile
    >>> network = read_network("textbook")
    >>> table = tabulate_fluxes(network, Domain({"EX_glc__D_e": (0.0, 10.0)}), n=16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_table(table.save(f"{folder}/table.nc"), network)
    FluxTable('e_coli_core': 95 fluxes at 16 points, 16 solved)
    """
    if not isinstance(network, Network):
        raise NetworkError(f"network is {shown(network)}; give a Network, as read_network returns it")
    check_suffix(path)
    try:
        data = read_data(path)
        names = [str(name) for name in data["input"].values]
        box = zip(np.atleast_1d(data.attrs["lower"]), np.atleast_1d(data.attrs["upper"]), strict=True)
        table = FluxTable(data, network, Domain(dict(zip(names, box, strict=True))))
        _check_content(table)
        origin = data.attrs["network_hash"]
    except StudyError:  # a missing package names what to install
        raise
    except Exception as error:  # a damaged file fails in many ways; all mean the same to a user
        raise StudyError(
            f"{path} is not a table of fluxes mmopt wrote ({first_line(error)}); tabulate the fluxes again"
        ) from error
    if origin != network.hash:
        raise StudyError(
            f"{path} belongs to another network than {network.name} as read now; tabulate the fluxes again"
        )
    return table


def tabulate(
    network: Network,
    domain: Domain,
    seed: int,
    *,
    inputs: np.ndarray,
    fluxes: np.ndarray,
    growth: np.ndarray,
    shortfall: np.ndarray,
    status: np.ndarray,
) -> FluxTable:
    """Build a table of arrays with one row a point; nothing is copied.

    Parameters
    ----------
    network
        The metabolic network.
    domain
        The box of the inputs.
    seed
        Seed of the points.
    inputs
        Shape (points, inputs) [mmol/gDW/h].
    fluxes
        Net fluxes, shape (points, reactions) [mmol/gDW/h].
    growth
        Shape (points,) [1/h].
    shortfall
        Shape (points,) [mmol/gDW/h].
    status
        Positions in `STATUSES`, shape (points,).

    Returns
    -------
    FluxTable
        The table.
    """
    columns = {
        "inputs": (inputs, {"units": RATE}),
        "fluxes": (fluxes, {"units": RATE}),
        GROWTH: (growth, {"units": GROWTH_UNIT}),
        SHORTFALL: (shortfall, {"units": RATE}),
        "status": (status, status_flags()),
    }
    data = xr.Dataset(
        {name: (DIMENSIONS[name], array, attrs) for name, (array, attrs) in columns.items()},
        coords={"input": list(domain.inputs), "reaction": list(network.reactions)},
        attrs=provenance(network, domain, seed),
    )
    return FluxTable(data, network, domain)


def provenance(network: Network, domain: Domain, seed: int) -> dict[str, Any]:
    """Return the provenance of a table or a surrogate.

    Parameters
    ----------
    network
        The metabolic network.
    domain
        The box of the inputs.
    seed
        Seed of the points.

    Returns
    -------
    dict
        Network, domain, seed and versions, by name.
    """
    return {
        "network": network.name,
        "network_hash": network.hash,
        "lower": domain.lower.tolist(),
        "upper": domain.upper.tolist(),
        "seed": seed,
        **{f"version_{package}": version(package) for package in ("mmopt", "cobra", "highspy", "numpy")},
    }


def _check_content(table: FluxTable) -> None:
    """Refuse a content that is never written, should the checksum be right all the same."""
    data, solved = table.data, table.solved
    if tuple(map(str, data["reaction"].values)) != table.network.reactions and (
        data.attrs["network_hash"] == table.network.hash
    ):
        raise ValueError("its reactions are not those of its network")
    if not np.isfinite(table.inputs).all():
        raise ValueError("it contains inputs that are not finite")
    for name in ("fluxes", GROWTH, SHORTFALL):
        values = data[name].values
        if not np.isfinite(values if solved.all() else values[solved]).all():
            raise ValueError(f"its {name} are not finite where they were solved")

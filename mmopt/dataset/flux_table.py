"""FluxBatch as a table that knows where it comes from, and its two files: netCDF and Parquet.

A saved table carries the SHA-256 of all it says, names and provenance included. So whatever was damaged on the way is
found when it is read, whichever file it was in.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from mmopt.errors import StudyError, first_line
from mmopt.fba.domain import Domain
from mmopt.fba.fluxes import FluxBatch
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.io.files import write_whole
from mmopt.io.netcdf import read_netcdf, write_netcdf
from mmopt.io.parquet import read_parquet, write_parquet
from mmopt.network.network import Network
from mmopt.status import Status
from mmopt.units import GROWTH_UNIT, RATE

STATUSES: Final = tuple(Status)
"""A status is stored as its place in this row; the table's file says which place means what."""

_CHECKSUM: Final = "checksum"

_DIMENSIONS: Final = {
    "inputs": ("label", "input"),
    "fluxes": ("label", "reaction"),
    GROWTH: ("label",),
    SHORTFALL: ("label",),
    "status": ("label",),
}

_ROWS_PACKED: Final = 256
"""FluxBatch in one packed piece of a netCDF file. Whole rows pack best, since neighbours along the snake share fluxes; more
of them at once gain nothing (42 MB for 20,000 labels of iJO1366, against 55 MB in columns)."""


@dataclass(frozen=True, eq=False)
class FluxTable:
    """FluxBatch at sampled inputs.

    Attributes
    ----------
    data
        ``inputs`` (label, input), ``fluxes`` (label, reaction) [mmol/gDW/h], ``growth`` [1/h], ``shortfall``
        [mmol/gDW/h], ``status``; the provenance (network hash, domain, seed, versions) in ``attrs``. Where a label was
        not solved its numbers are NaN.
    network
        The network that was asked.
    domain
        The box the inputs come from.
    """

    data: xr.Dataset
    network: Network
    domain: Domain

    @property
    def inputs(self) -> np.ndarray:
        """Inputs, such as uptake limits [mmol/gDW/h], shape (labels, inputs)."""
        return np.asarray(self.data["inputs"].values)

    @property
    def fluxes(self) -> np.ndarray:
        """Net fluxes [mmol/gDW/h], shape (labels, reactions)."""
        return np.asarray(self.data["fluxes"].values)

    @property
    def status(self) -> tuple[Status, ...]:
        """How each label ended."""
        return tuple(STATUSES[code] for code in self.data["status"].values)

    @property
    def solved(self) -> np.ndarray:
        """Which labels are answers, shape (labels,)."""
        good = np.array([status.solved for status in STATUSES])
        return np.asarray(good[self.data["status"].values])

    def answered(self) -> "FluxTable":
        """The labels that were solved; this very table if all of them were."""
        solved = self.solved
        return self if solved.all() else FluxTable(self.data.isel(label=solved), self.network, self.domain)

    def joined(self, points: np.ndarray, labels: FluxBatch) -> "FluxTable":
        """Put more labels at the end of a table, such as those of an atlas's corners.

        Parameters
        ----------
        points
            Inputs of the labels, shape (labels, inputs).
        labels
            The answers there, as `FluxProgram.batch` and `Atlas.batch` give them.
        """
        more = tabulate(
            self.network,
            self.domain,
            0,
            inputs=np.asarray(points, dtype=float),
            fluxes=labels.net,
            growth=labels.growth,
            shortfall=labels.shortfall,
            status=np.array([STATUSES.index(status) for status in labels.status], dtype=np.int8),
        )
        data = xr.concat([self.data, more.data], dim="label", combine_attrs="override", data_vars="minimal")
        return FluxTable(data, self.network, self.domain)

    def __len__(self) -> int:
        return int(self.data.sizes["label"])

    def save(self, path: str | Path) -> Path:
        """Write the table as netCDF (``.nc``) or Parquet (``.parquet``); the file appears whole or not at all.

        Raises
        ------
        StudyError
            If the suffix is another, or the file cannot be written; a file that stood there before stays as it was.
        """
        netcdf = _is_netcdf(path)
        data = self.data.assign_attrs({_CHECKSUM: checksum(self.data)})

        def write_down(part: Path) -> None:
            if netcdf:
                _write_netcdf(data, part)
            else:
                write_parquet(data, part, _DIMENSIONS)
            with part.open("rb+") as file:
                os.fsync(
                    file.fileno()
                )  # a journal is deleted once its table is saved, so the table must be on the disk

        try:
            return write_whole(path, write_down)
        except OSError as error:
            raise StudyError(
                f"the table cannot be saved as {path} ({first_line(error)}); make room or give another path, and save "
                "again: a file that stood there before is as it was"
            ) from error


def load_table(path: str | Path, network: Network) -> FluxTable:
    """Read a table that `FluxTable.save` wrote.

    Raises
    ------
    StudyError
        If the file is missing or damaged, is not a table, or was made from another network.
    """
    netcdf = _is_netcdf(path)
    try:
        data = read_netcdf(path, sealed=True) if netcdf else read_parquet(path, _DIMENSIONS)
        if data.attrs.pop(_CHECKSUM) != checksum(data):
            raise ValueError("what it holds is not what was saved")
        data["status"] = _status_of_today(data["status"])
        names = [str(name) for name in data["input"].values]
        box = zip(np.atleast_1d(data.attrs["lower"]), np.atleast_1d(data.attrs["upper"]), strict=True)
        table = FluxTable(data, network, Domain(dict(zip(names, box, strict=True))))
        _check_labels(table)
        made_from = data.attrs["network_hash"]
    except Exception as error:  # a damaged file fails in many ways; each means the same to a user
        raise StudyError(f"{path} is not a table of labels mmopt wrote ({first_line(error)}); sample again") from error
    if made_from != network.hash:
        raise StudyError(f"{path} was made from another network than {network.name} as read now; sample again")
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
    """Make a table of arrays with one row a label; ``status`` holds places in `STATUSES`. Nothing is copied."""
    columns = {
        "inputs": (inputs, {"units": RATE}),
        "fluxes": (fluxes, {"units": RATE}),
        GROWTH: (growth, {"units": GROWTH_UNIT}),
        SHORTFALL: (shortfall, {"units": RATE}),
        "status": (status, _flags()),
    }
    data = xr.Dataset(
        {name: (_DIMENSIONS[name], array, attrs) for name, (array, attrs) in columns.items()},
        coords={"input": list(domain.inputs), "reaction": list(network.reactions)},
        attrs=provenance(network, domain, seed),
    )
    return FluxTable(data, network, domain)


def provenance(network: Network, domain: Domain, seed: int) -> dict[str, Any]:
    """What a table or a surrogate must tell about its origin."""
    return {
        "network": network.name,
        "network_hash": network.hash,
        "lower": domain.lower.tolist(),
        "upper": domain.upper.tolist(),
        "seed": seed,
        **{f"version_{package}": version(package) for package in ("mmopt", "cobra", "highspy", "numpy")},
    }


def checksum(data: xr.Dataset) -> str:
    """SHA-256 of all a table says: its names, numbers to the last bit, units and provenance."""
    digest = hashlib.sha256(_words(data, (*_DIMENSIONS, "input", "reaction")).encode())
    for name in _DIMENSIONS:
        digest.update(np.ascontiguousarray(data[name].values).data)
    return digest.hexdigest()


def _words(data: xr.Dataset, variables: Sequence[str]) -> str:
    """All of a table but its numbers, as one text that is the same after any file."""
    told = {
        "attrs": _plain(data.attrs),
        "input": [str(name) for name in data["input"].values],
        "reaction": [str(name) for name in data["reaction"].values],
        **{
            f"variable {name}": [list(map(str, data[name].dims)), data[name].shape, _plain(data[name].attrs)]
            for name in variables
        },
    }
    return json.dumps(told, sort_keys=True)


def _plain(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them; netCDF gives NumPy back, and a list of one as its only member."""

    def plain(value: Any) -> Any:
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    return {str(name): plain(value) for name, value in attrs.items() if name != _CHECKSUM}


def _check_labels(table: FluxTable) -> None:
    """Refuse what no sampling writes, should the checksum be right all the same."""
    data, solved = table.data, table.solved
    if tuple(map(str, data["reaction"].values)) != table.network.reactions and (
        data.attrs["network_hash"] == table.network.hash
    ):
        raise ValueError("its reactions are not those of its network")
    if not np.isfinite(table.inputs).all():
        raise ValueError("it holds inputs that are not finite")
    for name in ("fluxes", GROWTH, SHORTFALL):
        values = data[name].values
        if not np.isfinite(values if solved.all() else values[solved]).all():
            raise ValueError(f"its {name} are not finite where they were solved")


def _flags() -> dict[str, Any]:
    """What the numbers of `STATUSES` mean, in the words of the CF conventions."""
    return {
        "flag_values": np.arange(len(STATUSES), dtype=np.int8),
        "flag_meanings": " ".join(status.name for status in STATUSES),
    }


def _status_of_today(stored: xr.DataArray) -> xr.DataArray:
    """Statuses by their names in the file, as places in `STATUSES`; another version may know them in another order."""
    names = stored.attrs["flag_meanings"].split()
    places = np.array([STATUSES.index(Status[name]) for name in names], dtype=np.int8)
    return stored.copy(data=places[stored.values]).assign_attrs(_flags())


def _is_netcdf(path: str | Path) -> bool:
    suffix = Path(path).suffix
    if suffix not in (".nc", ".parquet"):
        raise StudyError(
            f"a table of labels was asked for as {path}, but '{suffix}' is no kind of file it can be; "
            "use .nc (netCDF) or .parquet"
        )
    return suffix == ".nc"


def _write_netcdf(data: xr.Dataset, path: Path) -> None:
    rows = max(1, min(_ROWS_PACKED, data.sizes["label"]))
    packed = {"zlib": True, "complevel": 1, "shuffle": False, "_FillValue": None}
    encoding = {name: {**packed, "chunksizes": (rows, *data[name].shape[1:])} for name in _DIMENSIONS}
    write_netcdf(data, path, encoding)

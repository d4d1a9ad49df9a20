"""The data of a table of fluxes as a file: netCDF or Parquet, with a checksum of all that it contains."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from mmopt.checking import shown
from mmopt.errors import StudyError, first_line
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.io.files import write_whole
from mmopt.io.netcdf import read_netcdf, write_netcdf
from mmopt.io.parquet import read_parquet, write_parquet
from mmopt.io.seal import canonical_json, digest
from mmopt.status import Status

STATUSES: Final = tuple(Status)
"""A status is stored as its position here; the table's file says which position means what."""

_CHECKSUM: Final = "checksum"

DIMENSIONS: Final = {
    "inputs": ("point", "input"),
    "fluxes": ("point", "reaction"),
    GROWTH: ("point",),
    SHORTFALL: ("point",),
    "status": ("point",),
}

_ROWS_PACKED: Final = 256
"""Points in one packed piece of a netCDF file. Whole rows pack best, since neighbours along the sweep share fluxes; more of
them at once gain nothing (42 MB for 20,000 points of iJO1366, against 55 MB in columns)."""


def write_data(data: xr.Dataset, path: str | Path) -> Path:
    """Write the data of a table; the file appears whole or not at all.

    Parameters
    ----------
    data
        Data of a `FluxTable`.
    path
        The file, ``.nc`` or ``.parquet``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StudyError
        If the suffix is another, or the file cannot be written; an earlier file of that name stays as it was.
    """
    netcdf = check_suffix(path)
    data = data.assign_attrs({_CHECKSUM: checksum(data)})

    def write_down(temporary: Path) -> None:
        if netcdf:
            _write_netcdf(data, temporary)
        else:
            write_parquet(data, temporary, DIMENSIONS)
        with temporary.open("rb+") as file:  # a journal is deleted once its table is saved: it must be on the disk
            os.fsync(file.fileno())

    try:
        return write_whole(path, write_down)
    except OSError as error:
        raise StudyError(
            f"the table cannot be saved as {path} ({first_line(error)}); make room or give another path, and save "
            "again: an earlier file of that name is as it was"
        ) from error


def read_data(path: str | Path) -> xr.Dataset:
    """Read the data of a table.

    Parameters
    ----------
    path
        The file, ``.nc`` or ``.parquet``.

    Returns
    -------
    Dataset
        Data of a `FluxTable`; a damaged file raises exceptions of any kind.
    """
    data = read_netcdf(path, sealed=True) if check_suffix(path) else read_parquet(path, DIMENSIONS)
    if data.attrs.pop(_CHECKSUM) != checksum(data):
        raise ValueError("its content is not what was saved")
    data["status"] = _current_status(data["status"])
    return data


def checksum(data: xr.Dataset) -> str:
    """Compute the SHA-256 of a table's content: its names, numbers to the last bit, units and provenance.

    Parameters
    ----------
    data
        Data of a table.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    words = _words(data, (*DIMENSIONS, "input", "reaction"))
    return digest(words, *(np.ascontiguousarray(data[name].values) for name in DIMENSIONS))


def check_suffix(path: str | Path) -> bool:
    """Return whether a table's file is netCDF, by its suffix, or else Parquet.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    bool
        Whether it is netCDF.

    Raises
    ------
    StudyError
        If the path is none, or its suffix is another.
    """
    if not isinstance(path, str | Path):
        raise StudyError(f"path is {shown(path)}; give the path of a .nc (netCDF) or .parquet file")
    suffix = Path(path).suffix
    if suffix not in (".nc", ".parquet"):
        raise StudyError(f"'{suffix}' of {path} is no suffix of a table of fluxes; use .nc (netCDF) or .parquet")
    return suffix == ".nc"


def status_flags() -> dict[str, Any]:
    """Return what the numbers of `STATUSES` mean, in attributes of the CF conventions."""
    return {
        "flag_values": np.arange(len(STATUSES), dtype=np.int8),
        "flag_meanings": " ".join(status.name for status in STATUSES),
    }


def _words(data: xr.Dataset, variables: Sequence[str]) -> str:
    """All of a table but its numbers, as one text that is the same after any file."""
    words = {
        "attrs": _plain(data.attrs),
        "input": [str(name) for name in data["input"].values],
        "reaction": [str(name) for name in data["reaction"].values],
        **{
            f"variable {name}": [list(map(str, data[name].dims)), data[name].shape, _plain(data[name].attrs)]
            for name in variables
        },
    }
    return canonical_json(words)


def _plain(attrs: dict[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON can contain them; netCDF returns NumPy values, and a list of one as its only member."""

    def plain(value: Any) -> Any:
        value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    return {str(name): plain(value) for name, value in attrs.items() if name != _CHECKSUM}


def _current_status(stored: xr.DataArray) -> xr.DataArray:
    """Statuses by their names in the file, as positions in `STATUSES`; another version may have another order."""
    names = stored.attrs["flag_meanings"].split()
    positions = np.array([STATUSES.index(Status[name]) for name in names], dtype=np.int8)
    return stored.copy(data=positions[stored.values]).assign_attrs(status_flags())


def _write_netcdf(data: xr.Dataset, path: Path) -> None:
    rows = max(1, min(_ROWS_PACKED, data.sizes["point"]))
    packed = {"zlib": True, "complevel": 1, "shuffle": False, "_FillValue": None}
    encoding = {name: {**packed, "chunksizes": (rows, *data[name].shape[1:])} for name in DIMENSIONS}
    write_netcdf(data, path, encoding)

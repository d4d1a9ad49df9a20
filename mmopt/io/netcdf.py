"""Sealed netCDF files."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from mmopt.io.seal import check_seal, seal


def write_netcdf(data: xr.Dataset, path: Path, encoding: Mapping[str, Any] | None = None) -> None:
    """Write a netCDF file and seal it.

    It is built in memory first, since on a full disk HDF5 ends the process where Python raises an error. The seal, a SHA-256
    of the file, stands behind what HDF5 reads: a damaged file can make HDF5 run for ever, or end the process as well.

    Parameters
    ----------
    data
        Content of the file.
    path
        The file.
    encoding
        Encoding of variables, as for `xarray.Dataset.to_netcdf`.
    """
    import h5netcdf
    from xarray.backends import H5NetCDFStore

    image = io.BytesIO()
    with h5netcdf.File(image, "w") as file:
        data.dump_to_store(H5NetCDFStore(file), encoding=encoding or {})
    with path.open("wb") as disk:
        disk.write(image.getbuffer())
        disk.write(seal(image.getbuffer()))


def read_netcdf(path: str | Path, *, sealed: bool = False) -> xr.Dataset:
    """Read a netCDF file into memory.

    Parameters
    ----------
    path
        The file.
    sealed
        Whether the file must have a seal. A seal that exists must be right in any case.

    Returns
    -------
    Dataset
        Content of the file.

    Raises
    ------
    Exception
        Of any kind, if the file is missing or damaged.
    """
    import h5py

    if not Path(path).is_file():
        raise FileNotFoundError("there is no such file")
    check_seal(Path(path).read_bytes(), sealed)
    with h5py.File(path, "r") as raw:  # where HDF5 cannot read the root, h5netcdf would leave a broken object
        raw.attrs.get("_nc3_strict")
    with xr.open_dataset(path, engine="h5netcdf") as file:
        return file.load()

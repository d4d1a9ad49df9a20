"""Tables of fluxes as Parquet, one column per reaction: the only file that imports Arrow.

What a netCDF file keeps as attributes stands in the metadata of the schema; units stand at every column as well.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from mmopt.errors import missing_package

_KEY: Final = b"mmopt"

_ROWS: Final = 8192
"""Rows of one row group: as many are transposed in memory at once (170 MB for iJO1366)."""


def write_parquet(data: xr.Dataset, path: Path, dimensions: Mapping[str, tuple[str, ...]]) -> None:
    """Write the variables of a data set as columns.

    Parameters
    ----------
    data
        The data set.
    path
        The file.
    dimensions
        Dimensions by name of variable. All variables share the first dimension, that of the rows; one of two dimensions
        becomes as many columns as the second has names.

    Raises
    ------
    StudyError
        If pyarrow is not installed.
    """
    pa, pq = _arrow()
    description = {
        "attrs": _listed(data.attrs),
        "variables": {name: _listed(data[name].attrs) for name in dimensions},
        "names": {second: _names(data, second) for _, *rest in dimensions.values() for second in rest},
    }
    fields = [
        pa.field(column, pa.from_numpy_dtype(data[name].dtype), False, {"units": data[name].attrs.get("units", "")})
        for name, dims in dimensions.items()
        for column in _columns(name, dims, description["names"])
    ]
    schema = pa.schema(fields, {_KEY: json.dumps(description).encode()})
    # a dictionary could store -0.0 as 0.0, and zstd alone packs as small
    options: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}
    with pq.ParquetWriter(path, schema, write_statistics=False, **options) as writer:
        for first in range(0, data.sizes[next(iter(dimensions.values()))[0]], _ROWS):
            arrays: list[Any] = []
            for name in dimensions:
                rows = data[name].values[first : first + _ROWS]
                arrays += [pa.array(column) for column in np.ascontiguousarray(np.atleast_2d(rows.T))]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def read_parquet(path: str | Path, dimensions: Mapping[str, tuple[str, ...]]) -> xr.Dataset:
    """Read a file that `write_parquet` wrote.

    Parameters
    ----------
    path
        The file.
    dimensions
        Dimensions by name of variable, as they were written.

    Returns
    -------
    Dataset
        The data set.

    Raises
    ------
    StudyError
        If pyarrow is not installed.
    Exception
        Of any kind, if the file is missing or damaged.
    """
    _, pq = _arrow()
    if not Path(path).is_file():
        raise FileNotFoundError("there is no such file")
    with pq.ParquetFile(path) as file:
        description = json.loads(file.schema_arrow.metadata[_KEY])
        names = description["names"]
        columns = {name: _columns(name, dims, names) for name, dims in dimensions.items()}
        arrays = {
            name: np.empty(
                (file.metadata.num_rows, *(len(names[second]) for second in dims[1:])),
                dtype=file.schema_arrow.field(columns[name][0]).type.to_pandas_dtype(),
            )
            for name, dims in dimensions.items()
        }
        first = 0
        for group in range(file.num_row_groups):
            read = file.read_row_group(group)
            for name, array in arrays.items():
                rows = array[first : first + len(read)].reshape(len(read), -1)
                for position, column in enumerate(columns[name]):
                    rows[:, position] = read[column].to_numpy()
            first += len(read)
    return xr.Dataset(
        {name: (dims, arrays[name], description["variables"][name]) for name, dims in dimensions.items()},
        coords=names,
        attrs=description["attrs"],
    )


def _arrow() -> tuple[Any, Any]:
    """Arrow and its module for Parquet."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise missing_package("Parquet files", "pyarrow", "parquet") from error
    return pa, pq


def _columns(name: str, dims: tuple[str, ...], names: Mapping[str, list[str]]) -> list[str]:
    return [f"{name}/{column}" for column in names[dims[1]]] if len(dims) > 1 else [name]


def _names(data: xr.Dataset, dimension: str) -> list[str]:
    return [str(name) for name in data[dimension].values]


def _listed(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes in types that JSON can contain."""
    return {
        str(name): value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in attrs.items()
    }

"""A table of labels as Parquet, one column a reaction: the only file that imports Arrow.

What a netCDF file keeps as attributes stands in the metadata of the schema; the units stand at each column as well.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

_KEY: Final = b"mmopt"

_ROWS: Final = 8192
"""FluxBatch in one row group: what is turned round in memory at once (170 MB for iJO1366)."""


def write_parquet(data: xr.Dataset, path: Path, dimensions: Mapping[str, tuple[str, ...]]) -> None:
    """Write the variables of ``dimensions``; one of two dimensions becomes as many columns as the second has names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = {
        "attrs": _listed(data.attrs),
        "variables": {name: _listed(data[name].attrs) for name in dimensions},
        "names": {second: _names(data, second) for _, *rest in dimensions.values() for second in rest},
    }
    fields = [
        pa.field(column, pa.from_numpy_dtype(data[name].dtype), False, {"units": data[name].attrs.get("units", "")})
        for name, dims in dimensions.items()
        for column in _columns(name, dims, told["names"])
    ]
    schema = pa.schema(fields, {_KEY: json.dumps(told).encode()})
    # a dictionary could take -0.0 for 0.0; and what packs well, zstd packs as small
    how: dict[str, Any] = {"compression": "zstd", "compression_level": 1, "use_dictionary": False}
    with pq.ParquetWriter(path, schema, write_statistics=False, **how) as writer:
        for first in range(0, data.sizes["label"], _ROWS):
            arrays: list[Any] = []
            for name in dimensions:
                part = data[name].values[first : first + _ROWS]
                arrays += [pa.array(column) for column in np.ascontiguousarray(np.atleast_2d(part.T))]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def read_parquet(path: str | Path, dimensions: Mapping[str, tuple[str, ...]]) -> xr.Dataset:
    """Read what `write_parquet` wrote; what is wrong with a damaged file comes as any kind of exception."""
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise FileNotFoundError("there is no such file")
    with pq.ParquetFile(path) as file:
        told = json.loads(file.schema_arrow.metadata[_KEY])
        labels = file.metadata.num_rows
        columns = {name: _columns(name, dims, told["names"]) for name, dims in dimensions.items()}
        arrays = {
            name: np.empty(
                (labels, *(len(told["names"][second]) for second in dims[1:])),
                dtype=file.schema_arrow.field(columns[name][0]).type.to_pandas_dtype(),
            )
            for name, dims in dimensions.items()
        }
        first = 0
        for group in range(file.num_row_groups):
            read = file.read_row_group(group)
            for name, array in arrays.items():
                part = array[first : first + len(read)].reshape(len(read), -1)
                for position, column in enumerate(columns[name]):
                    part[:, position] = read[column].to_numpy()
            first += len(read)
    return xr.Dataset(
        {name: (dims, arrays[name], told["variables"][name]) for name, dims in dimensions.items()},
        coords=told["names"],
        attrs=told["attrs"],
    )


def _columns(name: str, dims: tuple[str, ...], names: Mapping[str, list[str]]) -> list[str]:
    return [f"{name}/{each}" for each in names[dims[1]]] if len(dims) > 1 else [name]


def _names(data: xr.Dataset, dimension: str) -> list[str]:
    return [str(name) for name in data[dimension].values]


def _listed(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes as JSON can hold them."""
    return {
        str(name): value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        for name, value in attrs.items()
    }

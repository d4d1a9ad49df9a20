"""What every computation over time returns: a `Trajectory`.

A simulation, an optimisation and a closed loop all give the same kind of result, so pictures and reports need to know
only one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mmopt.errors import StudyError, first_line
from mmopt.io.files import write_whole
from mmopt.io.netcdf import read_netcdf, write_netcdf
from mmopt.status import Status
from mmopt.units import TIME


@dataclass(frozen=True)
class Trajectory:
    """States, controls and rates over time.

    Attributes
    ----------
    data
        One variable for each quantity along the coordinate ``time`` [h]; each carries ``units`` and ``kind``
        (``state``, ``control``, ``rate`` or ``derived``) in its attributes.
    status
        How the computation ended.
    stats
        Figures about the computation: seconds, iterations, gaps. Only what JSON can hold.
    """

    data: xr.Dataset
    status: Status
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def time(self) -> np.ndarray:
        """Times [h], ascending."""
        return np.asarray(self.data["time"].values, dtype=float)

    def __getitem__(self, name: str) -> np.ndarray:
        """Values of one quantity at `time`."""
        if name not in self.data:
            raise KeyError(f"no '{name}' in this trajectory; it holds {', '.join(map(str, self.data.data_vars))}")
        return np.asarray(self.data[name].values, dtype=float)

    def names(self, kind: str) -> tuple[str, ...]:
        """Names of all quantities of one kind."""
        return tuple(str(name) for name, values in self.data.data_vars.items() if values.attrs.get("kind") == kind)

    def final(self, name: str) -> float:
        """Last value of one quantity."""
        return float(self[name][-1])

    def at(self, name: str, times: np.ndarray | float) -> np.ndarray:
        """Values of one quantity at other times, linearly interpolated."""
        return np.asarray(np.interp(times, self.time, self[name]))

    def save(self, path: str | Path) -> Path:
        """Write this trajectory as netCDF; the file appears whole or not at all."""
        data = self.data.copy()
        data.attrs.update(status=self.status.name, stats=json.dumps(dict(self.stats)))
        return write_whole(path, lambda part: write_netcdf(data, part))

    def to_csv(self, path: str | Path, names: tuple[str, ...] | None = None) -> Path:
        """Write the named quantities (all by default) as a table with units in the header."""
        chosen = names or tuple(map(str, self.data.data_vars))
        header = [f"time [{TIME}]"] + [f"{name} [{self.data[name].attrs.get('units', '')}]" for name in chosen]
        table = np.column_stack([self.time, *(self[name] for name in chosen)])
        return write_whole(
            path, lambda part: np.savetxt(part, table, delimiter=",", header=",".join(header), comments="", fmt="%.8g")
        )


def trajectory(
    time: np.ndarray,
    values: Mapping[str, tuple[str, str, np.ndarray]],
    status: Status,
    stats: Mapping[str, Any] | None = None,
) -> Trajectory:
    """Build a `Trajectory` from ``{name: (kind, unit, array of shape (times,))}``.

    Raises
    ------
    ValueError
        If times do not ascend or an array has another length.

    Examples
    --------
    >>> trajectory(np.array([0.0, 1.0]), {"volume": ("state", "L", np.array([1.0, 2.0]))}, Status.SIMULATED).final("volume")
    2.0
    """
    time = np.asarray(time, dtype=float)
    if time.ndim != 1 or np.any(np.diff(time) < 0.0):
        raise ValueError("times must be one ascending row")
    variables = {}
    for name, (kind, unit, array) in values.items():
        array = np.asarray(array, dtype=float)
        if array.shape != time.shape:
            raise ValueError(f"'{name}' has shape {array.shape}, but there are {time.size} times")
        variables[name] = ("time", array, {"kind": kind, "units": unit})
    data = xr.Dataset(variables, coords={"time": ("time", time, {"units": TIME})})
    return Trajectory(data, status, dict(stats or {}))


def load_trajectory(path: str | Path) -> Trajectory:
    """Read a trajectory that `Trajectory.save` wrote.

    Raises
    ------
    StudyError
        If the file is missing or not a trajectory.
    """
    try:
        data = read_netcdf(path)
        status = Status[data.attrs.pop("status")]
        found = Trajectory(data, status, json.loads(data.attrs.pop("stats")))
        if "time" not in data.coords:
            raise ValueError("it has no times")
        return found
    except Exception as error:  # a damaged file fails in many ways; each means the same to a user
        raise StudyError(
            f"{path} is not a trajectory mmopt wrote ({first_line(error)}); run the study again"
        ) from error

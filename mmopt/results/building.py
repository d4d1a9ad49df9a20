"""Trajectories from arrays and from files."""

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from mmopt.checking import shown
from mmopt.errors import StudyError, first_line
from mmopt.io.netcdf import read_netcdf
from mmopt.results.fluxes import Vessel
from mmopt.results.over_time import Trajectory, as_array, figures_of
from mmopt.status import Status
from mmopt.units import TIME

_LONGEST_PATH: Final = 400  # characters of a path in a message


def trajectory(
    time: np.ndarray,
    values: Mapping[str, tuple[str, str, np.ndarray]],
    status: Status,
    stats: Mapping[str, Any] | None = None,
    vessel: tuple[Vessel, Mapping[str, float]] | None = None,
) -> Trajectory:
    """Build a trajectory from arrays.

    Parameters
    ----------
    time
        Times [h], ascending.
    values
        Kind (``state``, ``control``, ``rate`` or ``derived``), unit and array of shape (times,) of every quantity.
    status
        Status of the computation.
    stats
        Figures about the computation, in types that JSON can contain.
    vessel
        The system and its parameters, for `Trajectory.fluxes`.

    Returns
    -------
    Trajectory
        The trajectory.

    Raises
    ------
    StudyError
        If times are no ascending numbers, or an array is not numeric or has another length.

    Examples
    --------
    >>> trajectory(np.array([0.0, 1.0]), {"volume": ("state", "L", np.array([1.0, 2.0]))}, Status.SIMULATED).final("volume")
    2.0
    """
    time = as_array("time", time)
    if time.ndim != 1 or not np.isfinite(time).all() or np.any(np.diff(time) < 0.0):
        raise StudyError(f"time is {shown(time)}; times must be one ascending row of finite numbers [{TIME}]")
    if not isinstance(values, Mapping):
        raise StudyError(f"values is {shown(values)}; give (kind, unit, array) by name of quantity")
    variables: dict[Hashable, xr.Variable] = {"time": xr.Variable(("time",), time, {"units": TIME}, fastpath=True)}
    for name, (kind, unit, given) in ((name, _triple(name, entry)) for name, entry in values.items()):
        if name == "time":
            raise StudyError("no quantity can be called 'time', which the times are called; give it another name")
        array = as_array(f"'{name}'", given)
        if array.shape != time.shape:
            raise StudyError(f"'{name}' has shape {array.shape}, but there are {time.size} times")
        variables[name] = xr.Variable(("time",), array, {"kind": kind, "units": unit}, fastpath=True)
    computed = object.__new__(Trajectory)
    computed.__dict__.update(
        status=status, stats=figures_of(status, {} if stats is None else stats), _columns=variables
    )
    if vessel is not None:
        computed.__dict__["_vessel"] = vessel
    return computed


def _triple(name: Any, entry: Any) -> tuple[str, str, Any]:
    given = entry if isinstance(entry, tuple) and len(entry) == len(("kind", "unit", "array")) else (None, None, None)
    if not isinstance(name, str) or not isinstance(given[0], str) or not isinstance(given[1], str):
        raise StudyError(f"values of {shown(name)} are {shown(entry)}; give (kind, unit, array) by name of quantity")
    return given


def joined(spans: Sequence[Trajectory], status: Status) -> Trajectory:
    """Join trajectories that follow each other.

    Parameters
    ----------
    spans
        One or more trajectories of one vessel, in order.
    status
        Status of the whole.

    Returns
    -------
    Trajectory

    Examples
    --------
    >>> spans = [trajectory(np.array([t, t + 1.0]), {"volume": ("state", "L", np.ones(2))}, Status.SIMULATED) for t in (0, 1)]
    >>> joined(spans, Status.CLOSED_LOOP).time.tolist()
    [0.0, 1.0, 1.0, 2.0]
    """
    whole = Trajectory(xr.concat([span.data for span in spans], dim="time"), status)
    if "_vessel" in spans[-1].__dict__:
        whole.__dict__["_vessel"] = spans[-1].__dict__["_vessel"]
    return whole


def load_trajectory(path: str | Path) -> Trajectory:
    """Read a trajectory that `Trajectory.save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Trajectory
        The trajectory.

    Raises
    ------
    StudyError
        If the file is missing or not a trajectory.

    Examples
    --------
    >>> import tempfile
    >>> run = trajectory(np.array([0.0, 4.0]), {"volume": ("state", "L", np.ones(2))}, Status.SIMULATED)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load_trajectory(run.save(Path(folder) / "run.nc"))
    Trajectory(2 times from 0 to 4 h, 1 quantity: simulated to the end)
    """
    if not isinstance(path, str | Path):
        raise StudyError(f"path is {shown(path)}; give the path of a trajectory")
    try:
        data = read_netcdf(path, sealed=True)
        status = Status[data.attrs.pop("status")]
        return Trajectory(data, status, json.loads(data.attrs.pop("stats")))
    except Exception as error:  # a damaged file fails in many ways; all mean the same to a user
        raise StudyError(
            f"{str(path)[:_LONGEST_PATH]} is not a trajectory mmopt wrote ({first_line(error)}); run the study again"
        ) from error

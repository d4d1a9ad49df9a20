"""The results of many batches under control: their spread over time, objectives, violated limits, and times of steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr

from mmopt.control.closed_loop import ClosedLoop
from mmopt.errors import StudyError, first_line
from mmopt.io.files import write_whole
from mmopt.io.netcdf import read_netcdf, write_netcdf
from mmopt.problem.problem import Problem
from mmopt.units import TIME

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS: Final = 10
"""Times of an interval in a campaign."""

_VIOLATED: Final = 0.05
"""Fraction of a limit from which on a batch counts as one that violates it."""


@dataclass(frozen=True, eq=False)
class Campaign:
    """Batches under control that differ in their noise.

    Attributes
    ----------
    data
        Quantities along ``seed`` and ``time`` [h]; along ``seed`` the ``objective``, the largest relative ``violation`` of a
        limit of the problem, and ``fallbacks``; along ``seed`` and ``step`` the ``seconds`` of the controller.

    Examples
    --------
    >>> campaign = Campaign(xr.Dataset({"objective": ("seed", [3.0, 4.0])}, coords={"seed": [0, 1]}))
    >>> campaign.objectives.tolist()
    [3.0, 4.0]
    """

    data: xr.Dataset

    @property
    def objectives(self) -> np.ndarray:
        """Objective of every batch, shape (batches,)."""
        return np.asarray(self.data["objective"].values, dtype=float)

    @property
    def violations(self) -> np.ndarray:
        """Largest violation of a limit in every batch, as a fraction of the limit, shape (batches,)."""
        return np.asarray(self.data["violation"].values, dtype=float)

    @property
    def violating(self) -> int:
        """Number of batches that violate a limit by more than 5 % of it."""
        return int(np.sum(self.violations > _VIOLATED))

    @property
    def fallbacks(self) -> np.ndarray:
        """Number of steps that took a fallback in every batch, shape (batches,)."""
        return np.asarray(self.data["fallbacks"].values, dtype=int)

    @property
    def seconds(self) -> np.ndarray:
        """Seconds of every step of every batch, shape (batches, steps)."""
        return np.asarray(self.data["seconds"].values, dtype=float)

    def save(self, path: str | Path) -> Path:
        """Write the campaign as netCDF; the file appears whole or not at all. Read it with `load_campaign`.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Path
            The file.
        """
        return write_whole(path, lambda file: write_netcdf(self.data, file))

    def to_csv(self, path: str | Path) -> Path:
        """Write one row for every batch.

        Parameters
        ----------
        path
            The file; its folder is created.

        Returns
        -------
        Path
            The file.
        """
        table = np.column_stack(
            [self.data["seed"].values, self.objectives, self.violations, self.fallbacks, self.seconds.max(axis=1)]
        )
        header = "seed,objective,largest relative violation,fallbacks,longest step [s]"
        return write_whole(
            path, lambda file: np.savetxt(file, table, delimiter=",", header=header, comments="", fmt="%.8g")
        )

    def plot(self, names: Sequence[str] | None = None) -> "Figure":
        """Plot the spread of quantities over time.

        Parameters
        ----------
        names
            Quantities to plot; by default all states and controls.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from mmopt.figures.campaigns import plot_campaign

        return plot_campaign(self, names)

    def __repr__(self) -> str:
        low, middle, high = np.quantile(self.objectives, [0.0, 0.5, 1.0])
        usual, late = 1000.0 * np.quantile(self.seconds, [0.5, 0.99])
        return (
            f"Campaign of {len(self.objectives)} batches: objective {low:.5g} to {high:.5g}, median {middle:.5g}; "
            f"{self.violating} violate a limit by more than 5 %; {int(self.fallbacks.sum())} fallbacks; step median "
            f"{usual:.0f} ms, 99 % within {late:.0f} ms"
        )


def load_campaign(path: str | Path) -> Campaign:
    """Read a campaign that `Campaign.save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Campaign

    Raises
    ------
    StudyError
        If the file is missing or no campaign.

    Examples
    --------
    >>> load_campaign("missing.nc")
    Traceback (most recent call last):
    mmopt.errors.StudyError: missing.nc is not a campaign ...
    """
    try:
        data = read_netcdf(path, sealed=True)
        missing = {"objective", "violation", "fallbacks", "seconds"} - set(data)
        if missing:
            raise ValueError(f"it has no {', '.join(sorted(missing))}")
    except Exception as error:  # a damaged file fails in many ways; all mean the same to a user
        raise StudyError(f"{path} is not a campaign mmopt wrote ({first_line(error)}); run it again") from error
    return Campaign(data)


def campaign_of(problem: Problem, loops: Mapping[int, ClosedLoop]) -> Campaign:
    """Put closed loops together at the same times; a control has the value that is held.

    Parameters
    ----------
    problem
        The problem whose limits count.
    loops
        Closed loops of the same batch by seed.

    Returns
    -------
    Campaign
    """
    first = next(iter(loops.values()))
    steps = len(first.steps)
    times = np.linspace(0.0, first.trajectory.time[-1], _POINTS * steps + 1)
    variables: dict[str, Any] = {}
    for kind in ("state", "control", "rate", "derived"):
        for name in first.trajectory.names(kind):
            values = np.array([_at(loop, name, kind, times) for loop in loops.values()])
            attributes = {"kind": kind, "units": first.trajectory.data[name].attrs.get("units", "")}
            variables[name] = (("seed", "time"), values, attributes)
    worst = [max(problem.violated_limits(loop.trajectory).values(), default=0.0) for loop in loops.values()]
    variables["objective"] = ("seed", [loop.objective for loop in loops.values()])
    variables["violation"] = ("seed", worst)
    variables["fallbacks"] = ("seed", [loop.fallbacks for loop in loops.values()])
    variables["seconds"] = (("seed", "step"), np.array([loop.seconds for loop in loops.values()]), {"units": "s"})
    return Campaign(xr.Dataset(variables, coords={"seed": list(loops), "time": ("time", times, {"units": TIME})}))


def _at(loop: ClosedLoop, name: str, kind: str, times: np.ndarray) -> np.ndarray:
    if kind != "control":
        return loop.trajectory.at(name, times)
    held = np.searchsorted(loop.trajectory.time, times, side="right") - 1
    values: np.ndarray = loop.trajectory[name][np.clip(held, 0, None)]
    return values

"""The result of every computation over time: a `Trajectory`.

A simulation, an optimisation and a closed loop return the same kind of result, so that plots and reports need only one.
"""

import html
import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mmopt.checking import shown
from mmopt.errors import StudyError, nearest
from mmopt.io.files import write_whole
from mmopt.io.netcdf import write_netcdf
from mmopt.results.fluxes import Vessel, check_cell_and_vessel, flux_array, uptake_limits
from mmopt.status import Status
from mmopt.units import TIME

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Trajectory:
    """States, controls and rates over time.

    Attributes
    ----------
    data
        One variable per quantity along the coordinate ``time`` [h], with ``units`` and ``kind`` (``state``, ``control``,
        ``rate`` or ``derived``) in its attributes.
    status
        Status of the computation.
    stats
        Figures about the computation, in types that JSON can contain.

    Raises
    ------
    StudyError
        If an argument is of another kind, or the data have no times.

    Examples
    --------
    >>> volume = ("state", "L", np.array([1.0, 2.0]))
    >>> run = trajectory(np.array([0.0, 4.0]), {"volume": volume}, Status.SIMULATED)
    >>> run
    Trajectory(2 times from 0 to 4 h, 1 quantity: simulated to the end)
    >>> run.final("volume"), float(run.at("volume", 1.0))
    (2.0, 1.25)
    """

    data: xr.Dataset
    status: Status
    stats: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.data, xr.Dataset) or "time" not in self.data.coords:
            raise StudyError(f"data is {shown(self.data)}; give a Dataset with a coordinate 'time'")
        object.__setattr__(self, "stats", figures_of(self.status, self.stats))

    def __getattr__(self, name: str) -> Any:
        """Build the data set of computed columns when it is first read: it takes a third of a short simulation."""
        columns = self.__dict__.get("_columns")
        if name != "data" or columns is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        quantities = dict(columns)
        self.__dict__["data"] = xr.Dataset(coords={"time": quantities.pop("time")}, data_vars=quantities)
        return self.__dict__["data"]

    @property
    def time(self) -> np.ndarray:
        """Times [h], ascending."""
        return np.asarray(self._variables["time"].values, dtype=float)

    @property
    def _variables(self) -> Mapping[Hashable, xr.Variable]:
        columns: Mapping[Hashable, xr.Variable] | None = self.__dict__.get("_columns")
        return self.data.variables if columns is None or "data" in self.__dict__ else columns

    def __getitem__(self, name: str) -> np.ndarray:
        """Values of one quantity at `time`."""
        variables = self._variables  # an array of xarray for every access would cost a tenth of a simulation
        if not isinstance(name, str) or name not in variables:
            raise UnknownQuantityError(f"this trajectory has no {shown(name)}; {nearest(name, self._names(), 12)}")
        return np.asarray(variables[name].values, dtype=float)

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the names of all quantities of one kind.

        Parameters
        ----------
        kind
            ``state``, ``control``, ``rate`` or ``derived``.

        Returns
        -------
        tuple of str
            Names in the order of the data.
        """
        return tuple(name for name in self._names() if self._variables[name].attrs.get("kind") == kind)

    def final(self, name: str) -> float:
        """Return the last value of a quantity.

        Parameters
        ----------
        name
            Name of the quantity.

        Returns
        -------
        float
            Its value at the last time, in its unit.
        """
        return float(self[name][-1])

    def at(self, name: str, times: np.ndarray | float) -> np.ndarray:
        """Interpolate a quantity linearly.

        Parameters
        ----------
        name
            Name of the quantity.
        times
            Times [h]; before the first and after the last time the value is constant.

        Returns
        -------
        ndarray
            Values, of the shape of ``times``.
        """
        return np.asarray(np.interp(as_array("times", times), self.time, self[name]))

    def fluxes(
        self, metabolism: Any, system: Vessel | None = None, parameters: Mapping[str, float] | None = None
    ) -> xr.DataArray:
        """Compute every flux inside the cell at all times.

        Parameters
        ----------
        metabolism
            A surrogate, a soft law, an atlas or a flux program; any of them, not only that of the simulation.
        system, parameters
            The vessel, and its parameters that differ from its defaults; by default those of the computation, which a file does
            not have.

        Returns
        -------
        xarray.DataArray
            Net fluxes [mmol/gDW/h] by ``reaction`` and ``time``; see `mmopt.results.flux_array`.

        Raises
        ------
        DomainError
            If an uptake limit is above the domain of the metabolism.
        StudyError
            If the vessel is not known or does not limit what the metabolism takes.

        Examples
        --------
        >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
        >>> cell = load_surrogate("ecoli_textbook")
        >>> batch = simulate(ecoli_fed_batch(), start, {"feed": ConstantFeed(0.01)}, 4.0, cell)
        >>> fluxes = batch.fluxes(cell)
        >>> dict(fluxes.sizes), round(float(fluxes.sel(reaction="PFK")[0]), 2)
        ({'reaction': 95, 'time': 400}, 7.57)
        """
        known = self.__dict__.get("_vessel", (None, {})) if system is None else (system, {})
        if known[0] is None:
            raise StudyError("this trajectory does not say which vessel it is of; give it: fluxes(metabolism, reactor)")
        check_cell_and_vessel(metabolism, known[0], parameters)
        given = {**known[1], **({} if parameters is None else parameters)}
        states = {state.name: self[state.name] for state in known[0].states}
        return flux_array(metabolism, uptake_limits(known[0], given, states, metabolism.inputs), self.time)

    def save(self, path: str | Path) -> Path:
        """Write this trajectory as netCDF; the file is written completely or not at all.

        Parameters
        ----------
        path
            The file; its folder is created.

        Returns
        -------
        Path
            The file. Read it with `load_trajectory`.
        """
        data = self.data.copy()
        data.attrs.update(status=self.status.name, stats=json.dumps(dict(self.stats)))
        return write_whole(path, lambda file: write_netcdf(data, file))

    def to_csv(self, path: str | Path, names: tuple[str, ...] | None = None) -> Path:
        """Write quantities as a table with units in the header.

        Parameters
        ----------
        path
            The file; its folder is created.
        names
            Names of the quantities; all by default.

        Returns
        -------
        Path
            The file.
        """
        if not isinstance(chosen := self._names() if names is None else names, tuple | list):
            raise StudyError(f"names is {shown(names)}; give a tuple of names of quantities")
        table = np.column_stack([self.time, *map(self.__getitem__, chosen)])
        header = [f"time [{TIME}]", *(f"{name} [{self._unit(name)}]" for name in chosen)]
        return write_whole(
            path, lambda file: np.savetxt(file, table, delimiter=",", header=",".join(header), comments="", fmt="%.8g")
        )

    def __repr__(self) -> str:
        time, names = self.time, self._names()
        span = f"{time.size} times from {time[0]:g} to {time[-1]:g} {TIME}" if time.size else "no times"
        return f"Trajectory({span}, {len(names)} quantit{'y' if len(names) == 1 else 'ies'}: {self.status.value})"

    def __str__(self) -> str:
        rows = (f"  {name}: {first} to {last} {unit}".rstrip() for name, unit, first, last in self._ends())
        return "\n".join([repr(self), *rows])

    def plot(self, names: Sequence[str] | None = None) -> "Figure":
        """Plot quantities over time.

        Parameters
        ----------
        names
            Quantities to plot; by default all states, controls and ``growth``.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from mmopt.figures.trajectories import plot_trajectories

        return plot_trajectories({self.status.value: self}, names)

    def _repr_html_(self) -> str:
        """Table for a notebook: first and last value of every quantity."""
        head = "<tr><th>quantity</th><th>unit</th><th>first</th><th>last</th></tr>"
        rows = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self._ends())
        return f"<p>{html.escape(repr(self))}</p><table>{head}{''.join(map('<tr>{}</tr>'.format, rows))}</table>"

    def _ends(self) -> Iterator[tuple[str, str, str, str]]:
        """Name, unit, first and last value of every quantity."""
        if self.time.size:
            for name, values in ((name, self[name]) for name in self._names()):
                yield name, self._unit(name), f"{values[0]:.4g}", f"{values[-1]:.4g}"

    def _names(self) -> tuple[str, ...]:
        own = self._variables if "data" not in self.__dict__ else self.data.data_vars
        return tuple(str(name) for name in own if name != "time")

    def _unit(self, name: str) -> str:
        return str(self._variables[name].attrs.get("units", ""))


def as_array(name: str, values: Any) -> np.ndarray:
    """Return values as an array of numbers.

    Parameters
    ----------
    name
        What they are, for the message.
    values
        The values.

    Returns
    -------
    ndarray

    Raises
    ------
    StudyError
        If they are no numbers.
    """
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError, OverflowError) as error:
        raise StudyError(f"{name} is {shown(values)}; give an array of numbers") from error


def figures_of(status: Any, stats: Any) -> dict[str, Any]:
    """Return the figures about a computation after a check.

    Parameters
    ----------
    status
        Its status.
    stats
        Figures by name.

    Returns
    -------
    dict

    Raises
    ------
    StudyError
        If either is of another kind.
    """
    if not isinstance(status, Status):
        raise StudyError(f"status is {shown(status)}; give a Status")
    if not isinstance(stats, Mapping):
        raise StudyError(f"stats is {shown(stats)}; give a mapping of names to figures")
    return dict(stats)


class UnknownQuantityError(StudyError, KeyError):
    """A trajectory has no quantity of this name."""

    __str__ = Exception.__str__  # a KeyError would print its message in quotes

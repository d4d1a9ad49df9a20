"""Fluxes inside the cell at every time of a trajectory."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr

from mmopt.checking import shown
from mmopt.errors import StudyError, nearest
from mmopt.units import RATE, TIME


class Vessel(Protocol):
    """A system whose cell takes uptake limits."""

    @property
    def states(self) -> Sequence[Any]:
        """Its states."""

    @property
    def defaults(self) -> dict[str, float]:
        """Default value of every parameter by name."""

    def limits(self, states: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Uptake limits by exchange id [mmol/gDW/h]."""


def check_cell_and_vessel(metabolism: Any, system: Any, parameters: Any) -> None:
    """Raise an error if what fluxes are computed from is of another kind.

    Parameters
    ----------
    metabolism, system, parameters
        As for `Trajectory.fluxes`.

    Raises
    ------
    StudyError
        If one is.
    """
    if not hasattr(metabolism, "inputs") or not (hasattr(metabolism, "batch") or hasattr(metabolism, "fluxes")):
        raise StudyError(f"metabolism is {shown(metabolism)}; give a surrogate, a soft law, an atlas or a flux program")
    if not hasattr(system, "limits") or not hasattr(system, "states") or isinstance(system, type):
        raise StudyError(f"system is {shown(system)}; give the vessel, such as a Bioreactor")
    if parameters is not None and not isinstance(parameters, Mapping):
        raise StudyError(f"parameters is {shown(parameters)}; give values by name")


def uptake_limits(
    system: Vessel, parameters: Mapping[str, float], states: Mapping[str, np.ndarray], inputs: Sequence[str]
) -> np.ndarray:
    """Compute the inputs of a cell from the states of its vessel.

    Parameters
    ----------
    system
        The vessel.
    parameters
        Parameters that differ from its defaults.
    states
        Values of every state, shape (times,).
    inputs
        Exchanges whose limits are wanted.

    Returns
    -------
    ndarray
        Shape (times, inputs) [mmol/gDW/h].

    Raises
    ------
    StudyError
        If a parameter is unknown, or the system limits no such uptake.
    """
    unknown = [name for name in parameters if name not in system.defaults]
    if unknown:
        raise StudyError(f"there is no parameter {shown(unknown[0])}; {nearest(str(unknown[0]), system.defaults)}")
    limits = system.limits(states, {**system.defaults, **parameters})
    missing = [name for name in inputs if name not in limits]
    if missing:
        known = ", ".join(limits) or "none"
        raise StudyError(
            f"{type(system).__name__} limits no uptake by {missing[0]}, only {known}; give a cell of these"
        )
    times = len(next(iter(states.values())))
    return np.stack([np.broadcast_to(np.asarray(limits[name], dtype=float), (times,)) for name in inputs], axis=1)


def flux_array(metabolism: Any, points: np.ndarray, time: np.ndarray) -> xr.DataArray:
    """Compute the net fluxes of all reactions at many inputs.

    Parameters
    ----------
    metabolism
        A surrogate, a soft law, an atlas or a flux program.
    points
        Inputs, shape (times, inputs) [mmol/gDW/h].
    time
        Times [h], shape (times,).

    Returns
    -------
    xarray.DataArray
        Net fluxes [mmol/gDW/h] by ``reaction`` and ``time``; growth [1/h] is the flux of the biomass reaction, whose id is in
        ``attrs["biomass"]``. With an atlas or a program, the coordinate ``shortfall`` has what misses of the maintenance demand
        [mmol/gDW/h], and fluxes are NaN where there is no solution. A simulation with a surrogate takes up nothing of what is
        spent; these are the fluxes of the network itself, which err by no more than its error report says.

    Raises
    ------
    DomainError
        If an input is above the domain of the metabolism.

    Examples
    --------
    >>> program = FluxProgram(read_network("textbook"), ["EX_glc__D_e"])
    >>> fluxes = flux_array(program, np.array([[10.0], [0.2]]), np.array([0.0, 1.0]))
    >>> fluxes.sel(reaction="PFK").values.round(3).tolist(), fluxes.shortfall.values.round(3).tolist()
    ([7.477, 0.2], [0.0, 4.89])
    """
    shortfall: dict[str, Any] = {}
    metabolism.check_limits(dict(zip(metabolism.inputs, points.max(axis=0, initial=0.0).tolist(), strict=True)))
    if hasattr(metabolism, "batch"):
        points = np.maximum(points, 0.0)  # a spent species is a little below zero in a simulation
        if hasattr(metabolism, "extend"):
            metabolism.extend(points)
        solved, network = metabolism.batch(points), metabolism.network
        values, reactions, biomass = solved.net, network.reactions, network.biomass
        shortfall = {"shortfall": ("time", solved.shortfall, {"units": RATE})}
    else:
        reactions, biomass = metabolism.reactions, metabolism.biomass
        values = metabolism.fluxes(np.clip(points, metabolism.domain.lower, metabolism.domain.upper))
    return xr.DataArray(
        values.T,
        {"reaction": list(reactions), "time": ("time", time, {"units": TIME}), **shortfall},
        ("reaction", "time"),
        "flux",
        {"units": RATE, "long_name": "net flux", "biomass": biomass},
    )

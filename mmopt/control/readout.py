"""What sensors show: states and derived quantities of a system, from its own equations."""

from collections.abc import Iterable, Mapping

import numpy as np

from mmopt.errors import StudyError, nearest
from mmopt.reactor.quantities import Quantity
from mmopt.reactor.system import Metabolism, System
from mmopt.simulation.simulate import checked_cell, merged_parameters


def measurable(system: System) -> dict[str, Quantity]:
    """Return what a sensor can show: states and derived quantities by name.

    Parameters
    ----------
    system
        The system.

    Returns
    -------
    dict

    Examples
    --------
    >>> from mmopt.control.readout import measurable
    >>> [name for name, known in measurable(ecoli_fed_batch()).items() if known.unit == "mmol/L/h"]
    ['oxygen_transfer', 'oxygen_uptake']
    """
    return {known.name: known for known in (*system.states, *system.derived)}


def check_sensors(system: System, sensors: Iterable[str]) -> None:
    """Check that sensors show what the system has.

    Parameters
    ----------
    system
        The system.
    sensors
        Names of measured quantities.

    Raises
    ------
    StudyError
        If one is neither a state nor a derived quantity.
    """
    known = measurable(system)
    for name in sensors:
        if name not in known:
            raise StudyError(f"measured '{name}' is no state and no derived quantity; {nearest(str(name), known)}")


class Readout:
    """Measured quantities as functions of states, controls and parameters.

    Parameters
    ----------
    system
        The system.
    metabolism
        Metabolism of the cell; None for a system without one.
    sensors
        Names of measured quantities.

    Raises
    ------
    StudyError
        If a name is unknown, or the metabolism does not fit.

    Examples
    --------
    >>> from mmopt.control.readout import Readout
    >>> reactor, start = ecoli_fed_batch(), {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.105}
    >>> readout = Readout(reactor, load_surrogate("ecoli_ijo1366"), ["volume", "oxygen_saturation"])
    >>> readout(start, {"feed": 0.0}, reactor.defaults).tolist()
    [2.0, 50.0]
    """

    def __init__(self, system: System, metabolism: Metabolism | None, sensors: Iterable[str]) -> None:
        self._system, self._sensors = system, tuple(sensors)
        check_sensors(system, self._sensors)
        states = {known.name for known in system.states}
        self._derives = not states.issuperset(self._sensors)
        self._cell = None
        if self._derives:
            self._cell, self._rates = checked_cell(system, metabolism, merged_parameters(system, None))

    def __call__(
        self, states: Mapping[str, float], controls: Mapping[str, float], parameters: Mapping[str, float]
    ) -> np.ndarray:
        """Return what the sensors show without noise.

        Parameters
        ----------
        states, controls, parameters
            Values by name.

        Returns
        -------
        ndarray
            In the order of the sensors, in their units.
        """
        values = dict(states)
        if self._cell is not None:
            rates = self._cell(self._system.limits(states, parameters)) if self._rates else {}
            values.update(self._system.observe(states, controls, parameters, rates))
        return np.array([float(values[name]) for name in self._sensors])

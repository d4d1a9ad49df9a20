"""What sensors can show: states and derived quantities of a system."""

from collections.abc import Iterable

from mmopt.errors import StudyError, nearest
from mmopt.reactor.quantities import Quantity
from mmopt.reactor.system import System


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
    >>> from mmopt.estimation.readout import measurable
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

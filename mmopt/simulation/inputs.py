"""Checks of what a simulation is given: parameters, states, names, and a metabolism that fits the system."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from mmopt.arguments import as_float, shown
from mmopt.errors import DomainError, StudyError, nearest
from mmopt.fba.rates import SHORTFALL
from mmopt.reactor.system import Cell, Metabolism, System, no_cell

_LARGE, _HALVINGS = 1.0e3, 40
"""Search for the highest valid value of a parameter: its end, in present values, and halvings of the bracket."""

_ROOM: Final = 0.09
"""Scales by which an initial state may lie beyond its bounds: a simulation that continues from an estimate, a collocation or
another simulation begins a little below zero where a substrate is spent."""


def merged_parameters(system: System, changed: Mapping[str, float] | None) -> dict[str, float]:
    """Return the system's parameters, with some changed.

    Parameters
    ----------
    system
        The system.
    changed
        Values that differ from its defaults.

    Returns
    -------
    dict
        Value of every parameter by name.

    Raises
    ------
    StudyError
        If a name is unknown, or a value not finite or outside the bounds of its parameter.

    Examples
    --------
    >>> merged_parameters(ecoli_fed_batch(), {"kla": 250.0})["kla"]
    250.0
    """
    known = {parameter.name: parameter for parameter in system.parameters}
    values = system.defaults
    for name, value in checked_mapping({} if changed is None else changed, "parameter").items():
        if name not in known:
            raise StudyError(f"there is no parameter '{name}'; {nearest(str(name), known)}")
        values[name] = known[name].checked_value(value)
    return values


def checked_values(given: Mapping[str, float], names: list[str], kind: str) -> np.ndarray:
    """Return values in the order of ``names``.

    Parameters
    ----------
    given
        Values by name.
    names
        The names that must be given.
    kind
        What the names are, for messages: ``state``, ``control``.

    Returns
    -------
    ndarray
        Shape (names,).

    Raises
    ------
    StudyError
        If one is missing, unknown or not finite.

    Examples
    --------
    >>> checked_values({"b": 2.0, "a": 1.0}, ["a", "b"], "state").tolist()
    [1.0, 2.0]
    """
    check_names(given, names, kind)
    values = np.array([as_float(given[name]) for name in names])
    for name, value in zip(names, values, strict=True):
        if not np.isfinite(value):
            raise StudyError(f"{kind} '{name}' is {shown(given[name])}; give a finite number")
    return values


def initial_states(system: System, initial: Mapping[str, float], continued: bool = False) -> np.ndarray:
    """Return the initial states of a simulation in the order of the system's.

    Parameters
    ----------
    system
        The system.
    initial
        Value of every state, in its unit.
    continued
        Whether they are the end of another simulation, and are not checked against their bounds.

    Returns
    -------
    ndarray
        Shape (states,).

    Raises
    ------
    StudyError
        If one is missing, unknown, not finite, or far outside its physical bounds.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> initial_states(ecoli_fed_batch(), start).tolist()
    [1.0, 0.5, 5.0, 0.0, 0.2]
    """
    values = checked_values(initial, [known.name for known in system.states], "state")
    for known, value in zip(system.states, values, strict=True):
        slack = np.inf if continued else _ROOM * known.scale
        if not known.lower - slack <= value <= known.upper + slack:
            raise StudyError(
                f"state '{known.name}' begins at {value:g} {known.unit}; give a value from {known.lower:g} to {known.upper:g}"
            )
    return values


def checked_mapping(given: Any, kind: str) -> Mapping[str, Any]:
    """Return a mapping after a check of its type.

    Parameters
    ----------
    given
        What is given for every state, control or parameter.
    kind
        Which of them.

    Returns
    -------
    Mapping
        The same object.

    Raises
    ------
    StudyError
        If it is no mapping.

    Examples
    --------
    >>> from mmopt.simulation.inputs import checked_mapping
    >>> checked_mapping(3.0, "control")
    Traceback (most recent call last):
    mmopt.errors.StudyError: 3.0 is given for every control; give a mapping from names to values
    """
    if not isinstance(given, Mapping):
        raise StudyError(f"{shown(given)} is given for every {kind}; give a mapping from names to values")
    return given


def check_names(given: Mapping[str, Any], names: list[str], kind: str) -> None:
    """Check that exactly the known names are given.

    Parameters
    ----------
    given
        Values by name.
    names
        The known names.
    kind
        What they name, for messages.

    Raises
    ------
    StudyError
        If a name is unknown or missing.

    Examples
    --------
    >>> check_names({"fed": 0.1}, ["feed"], "control")
    Traceback (most recent call last):
    mmopt.errors.StudyError: there is no control 'fed'; nearest known: feed
    """
    for name in checked_mapping(given, kind):
        if name not in names:
            raise StudyError(f"there is no {kind} '{name}'; {nearest(str(name), names)}")
    missing = [name for name in names if name not in given]
    if missing:
        raise StudyError(f"{kind} {', '.join(missing)} is missing; give a value for each of {', '.join(names)}")


def checked_cell(
    system: System, metabolism: Metabolism | None, parameters: Mapping[str, float]
) -> tuple[Cell, tuple[str, ...]]:
    """Return the cell of a system and the names of its rates: those that the derivative reads, and the shortfall.

    Parameters
    ----------
    system
        The system.
    metabolism
        Its metabolism, or None.
    parameters
        Value of every parameter.

    Returns
    -------
    cell : Cell
        From uptake limits to rates by name.
    names : tuple of str
        Names of the rates; empty for a system without a cell.

    Raises
    ------
    StudyError
        If the system reads rates and there is no metabolism, or one with other uptake limits.
    DomainError
        If the system can request more uptake than the metabolism is valid for.

    Examples
    --------
    >>> reactor = ecoli_fed_batch()
    >>> checked_cell(reactor, load_surrogate("ecoli_ijo1366"), reactor.defaults)[1]
    ('growth', 'EX_glc__D_e', 'EX_ac_e', 'EX_o2_e', 'shortfall')
    """
    if not system.readings:
        return no_cell, ()
    if metabolism is None:
        raise StudyError("this system has a cell; give metabolism= a Surrogate, an Atlas or a FluxProgram")
    if not isinstance(metabolism, Metabolism) or isinstance(metabolism, type):
        raise StudyError(f"metabolism is {shown(metabolism)}; give a Surrogate, an Atlas or a FluxProgram")
    largest = system.largest_limits(parameters)
    if set(largest) != set(metabolism.inputs):
        raise StudyError(
            f"the reactor limits the uptake of {', '.join(largest)}, but the metabolism takes "
            f"{', '.join(metabolism.inputs)}; make them the same"
        )
    metabolism.check_limits(largest)
    names = tuple(dict.fromkeys((*system.readings, SHORTFALL)))
    return metabolism.rate_function(names), names


def highest_valid(system: System, metabolism: Metabolism | None, parameters: Mapping[str, float], name: str) -> float:
    """Return the highest value of a parameter at which the metabolism is valid for all uptake that the system can request.

    Parameters
    ----------
    system, metabolism
        The system, and the metabolism of its cell.
    parameters
        Value of every parameter.
    name
        The parameter.

    Returns
    -------
    float
        Infinite where no value up to a thousand times the present one is too high; the present one where that is.

    Examples
    --------
    >>> from mmopt.simulation.inputs import highest_valid
    >>> reactor = ecoli_fed_batch()
    >>> round(highest_valid(reactor, load_surrogate("ecoli_ijo1366"), reactor.defaults, "glucose_vmax"), 3)
    12.0
    """

    def valid(value: float) -> bool:
        try:
            checked_cell(system, metabolism, {**parameters, name: value})
        except DomainError:
            return False
        return True

    low, high = parameters[name], _LARGE * parameters[name]
    if valid(high):
        return np.inf
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if valid(middle) else (low, middle)
    return low

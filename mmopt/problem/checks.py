"""Checks of a problem: names that must be known, and numbers that must not contradict each other."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from mmopt.checking import shown
from mmopt.errors import StudyError, nearest
from mmopt.problem.control import Control
from mmopt.problem.horizon import Horizon
from mmopt.problem.limits import Limits
from mmopt.problem.objective import DURATION, Objective, as_objective
from mmopt.problem.tracking import Tracking, as_tracking
from mmopt.reactor.quantities import ABOVE_ZERO, Quantity
from mmopt.reactor.system import System

Given = float | tuple[float, float]
"""A number, or the range in which the optimisation may choose it."""


def objective(value: Any) -> Any:
    """Return a quantity's name, an `Objective` or a `Tracking`.

    Parameters
    ----------
    value
        What was given.

    Returns
    -------
    str, Objective or Tracking

    Raises
    ------
    StudyError
        If it is none of them, nor a mapping that describes one.
    """
    value = as_objective(as_tracking(value))
    if isinstance(value, str | Objective | Tracking):
        return value
    raise StudyError(f"maximise is {shown(value)}; give the name of a quantity, an Objective, or a Tracking")


def check_parameters(system: System, given: Mapping[str, Given]) -> None:
    """Check that parameters are known, finite and within their physical bounds.

    Parameters
    ----------
    system
        The system.
    given
        Values or ranges by name.

    Raises
    ------
    StudyError
        If one is not.
    """
    known = {parameter.name: parameter for parameter in system.parameters}
    _check_known("parameter", given, known)
    for name, value in given.items():
        _check_given("parameter", name, value)
        for bound in value if isinstance(value, tuple) else (value,):
            known[name].checked_value(bound)


def check_initial(system: System, initial: Mapping[str, Given]) -> None:
    """Check that every state has an initial value that it can have.

    Parameters
    ----------
    system
        The system.
    initial
        Values or ranges by state.

    Raises
    ------
    StudyError
        If one has not.
    """
    known = {state.name: state for state in system.states}
    _check_known("state", initial, known)
    missing = [name for name in known if name not in initial]
    if missing:
        raise StudyError(f"state {', '.join(missing)} is missing; give a value for each of {', '.join(known)}")
    for name, state in known.items():
        _check_given("state", name, initial[name])
        low, high = given if isinstance(given := initial[name], tuple) else (given, given)
        if not (state.lower <= low and high <= state.upper):
            raise StudyError(
                f"{name} cannot begin at {low if low < state.lower else high:g} {state.unit}; give a possible value"
            )


def check_limits(known: Mapping[str, Quantity], limits: Limits) -> None:
    """Check that limited quantities are known, and their limits do not contradict each other.

    Parameters
    ----------
    known
        Quantities that can be limited, by name.
    limits
        Lowest and highest allowed value by name.

    Raises
    ------
    StudyError
        If a name is unknown, or the lowest value above the highest.
    """
    for name, (low, high) in limits.items():
        if name not in known:
            raise StudyError(f"there is no state, derived quantity or rate '{name}'; {nearest(name, known)}")
        _check_range(name, -np.inf if low is None else low, np.inf if high is None else high)


def check_controls(system: System, controls: Mapping[str, Control], horizon: Horizon) -> None:
    """Check that every control of the system has a finite and possible range.

    Parameters
    ----------
    system
        The system.
    controls
        Controls by name.
    horizon
        The horizon, whose length must be fixed where a control has windows.

    Raises
    ------
    StudyError
        If one has not.
    """
    if set(controls) != {control.name for control in system.controls}:
        names = ", ".join(control.name for control in system.controls)
        raise StudyError(f"give the lowest and highest value of each control: {names}")
    for known in system.controls:
        control = controls[known.name]
        _check_range(known.name, control.low, control.high)
        if not (np.isfinite(control.low) and np.isfinite(control.high)):
            raise StudyError(f"the range of control '{known.name}' must be finite")
        if control.low < known.lower:
            least = (
                "has to stay above 0" if known.lower == ABOVE_ZERO else f"cannot be below {known.lower:g} {known.unit}"
            )
            raise StudyError(f"control '{known.name}' {least}; raise its lowest value")
        if control.windows and isinstance(horizon.length, tuple):
            raise StudyError(f"the windows of control '{known.name}' need a fixed length; give the horizon one number")


def check_objective(objective: Objective, typical: Mapping[str, float]) -> None:
    """Check that the objective reads known quantities alone.

    Its value at typical sizes means nothing, and need not exist.

    Parameters
    ----------
    objective
        The objective.
    typical
        A value for everything that it can read.

    Raises
    ------
    StudyError
        If it reads another name.
    """
    try:
        with suppress(ArithmeticError), np.errstate(all="ignore"):
            objective.value(typical, {**typical, DURATION: 0.0})
    except KeyError as error:
        name = str(error.args[0])
        raise StudyError(f"the objective reads '{name}', which is unknown; {nearest(name, typical)}") from error


def check_tracking(
    tracking: Tracking, known: Mapping[str, Quantity], controls: Mapping[str, Control], horizon: Horizon
) -> None:
    """Check that a tracking names known quantities and controls, and that its times are certain.

    Parameters
    ----------
    tracking
        The tracking.
    known
        Quantities that can be tracked, by name.
    controls
        Controls by name.
    horizon
        The horizon, whose length must be fixed where a set-point changes over time.

    Raises
    ------
    StudyError
        If a name is unknown, or the length is not fixed.
    """
    for name in (*tracking.set_points, *tracking.prices):
        if name not in known:
            raise StudyError(f"the tracking names '{name}', which is unknown; {nearest(name, known)}")
    _check_known("control", {**tracking.moves, **tracking.before}, controls)
    if tracking.varies and isinstance(horizon.length, tuple):
        raise StudyError("set-points that change over time need a fixed length; give the horizon one number")


def check_soft(soft: Mapping[str, float], limits: Limits) -> None:
    """Check that soft limits are limits, with a price above zero.

    Parameters
    ----------
    soft
        Prices by quantity.
    limits
        The limits.

    Raises
    ------
    StudyError
        If one is no limit, or its price no finite number above zero.
    """
    _check_known("soft limit", soft, limits)
    for name, price in soft.items():
        if not (np.isfinite(price) and price > 0.0):
            raise StudyError(f"the price of soft limit '{name}' is {price:g}; it must be a finite number above 0")


def _check_known(kind: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise StudyError(f"there is no {kind} '{name}'; {nearest(name, list(known))}")


def _check_given(kind: str, name: str, given: Given) -> None:
    if isinstance(given, tuple):
        _check_range(name, *given)
    if not np.all(np.isfinite(given)):
        raise StudyError(f"{kind} '{name}' is {given}; give a finite number, or a range of two")


def _check_range(name: str, low: float, high: float) -> None:
    if np.isnan(low) or np.isnan(high):
        raise StudyError(f"a limit of '{name}' is not a number; give a number, or none at all")
    if low > high:
        raise StudyError(f"the lowest {name} allowed, {low:g}, is above the highest, {high:g}; no point can keep both")

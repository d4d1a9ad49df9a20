"""What a plant sends, before anything is computed with it: whatever it is, nothing raises."""

import math
from collections.abc import Collection, Mapping
from typing import Any, Final

import numpy as np

from mmopt.arguments import as_float, shown
from mmopt.control.controller import Controller
from mmopt.control.plant import LateValue
from mmopt.errors import nearest
from mmopt.problem.problem import Problem

_NEARLY: Final = 1.0e-6
"""Fraction by which a step may come before its time without counting as early."""

LONGEST: Final = 1000.0
"""Hours between two steps from which on a time counts as wrong: that of another clock, or in another unit."""


def elapsed_since(last: float, time: Any) -> tuple[float, str]:
    """Return the hours since the last step, and what is wrong with the time; then the hours are not a number.

    Parameters
    ----------
    last
        Time of the last step [h].
    time
        Time of this one, as it was given.

    Returns
    -------
    hours, note

    Examples
    --------
    >>> from mmopt.operation.inputs import elapsed_since
    >>> elapsed_since(1.0, 1.5), elapsed_since(1.0, 0.5)
    ((0.5, ''), (nan, 'the time is 0.5 h, before the last step at 1 h'))
    """
    hours = as_float(time) - last
    if not math.isfinite(hours):
        return math.nan, f"the time is {shown(time)}; give hours since the start of the batch"
    if hours < 0.0:
        return math.nan, f"the time is {time:g} h, before the last step at {last:g} h"
    if hours > LONGEST:
        return math.nan, f"the time is {time:g} h, more than {LONGEST:g} h after the last step at {last:g} h"
    return hours, ""


def usable_values(measured: Any, sensors: Collection[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the values of known sensors, and what was left out.

    Parameters
    ----------
    measured
        What arrived.
    sensors
        Names of the measured quantities.

    Returns
    -------
    values, left_out
        Numbers as floats; what is no number stays as it is, since an estimator leaves it out and says so.

    Examples
    --------
    >>> from mmopt.operation.inputs import usable_values
    >>> usable_values({"biomass": np.float32(1.5), "FT-101": 3.0}, ["biomass", "oxygen"])
    ({'biomass': 1.5}, ("there is no sensor 'FT-101'; known: biomass, oxygen",))
    """
    if measured is None:
        return {}, ()
    if not isinstance(measured, Mapping):
        return {}, (f"the measurement is {shown(measured)}; give a mapping of names to values",)
    values: dict[str, Any] = {}
    left_out = []
    for name, given in measured.items():
        if not isinstance(name, str) or name not in sensors:
            left_out.append(f"there is no sensor {shown(name)}; {nearest(name, sensors)}")
        elif isinstance(given, LateValue):
            values[name] = LateValue(_plain(given.value), given.taken)
        else:
            values[name] = _plain(given)
    return values, tuple(left_out)


def _plain(value: Any) -> Any:
    """A number as a float; one that is too large or complex as its description; anything else as it is."""
    if isinstance(value, complex | np.complexfloating):
        return shown(value)
    number = as_float(value)
    if not math.isnan(number):
        return number
    return shown(value) if isinstance(value, int) and not isinstance(value, bool) else value


def numbers_of(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the values that are finite numbers of the present.

    Parameters
    ----------
    values
        Values by name.

    Returns
    -------
    dict

    Examples
    --------
    >>> from mmopt.operation.inputs import numbers_of
    >>> numbers_of({"biomass": 1.5, "glucose": None, "acetate": LateValue(0.1, taken=0.0)})
    {'biomass': 1.5}
    """
    return {name: float(value) for name, value in values.items() if math.isfinite(as_float(value))}


def applied_controls(applied: Any, before: Mapping[str, float], problem: Problem) -> tuple[dict[str, float], list[str]]:
    """Return what the plant's controls are, and what cannot be so.

    Parameters
    ----------
    applied
        What the plant reports.
    before
        What they were, for what it does not report.
    problem
        The problem. A value further outside the range of its control than that is wide is a fault of the report.

    Returns
    -------
    controls, notes

    Examples
    --------
    >>> from mmopt.operation.inputs import applied_controls
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0), {"feed": (0.0, 0.1)})
    >>> applied_controls({"feed": 0.05}, {}, problem), applied_controls({"feed": None}, {"feed": 0.04}, problem)
    (({'feed': 0.05}, []), ({'feed': 0.04}, ['applied feed is None; 0.04 is taken']))
    """
    if applied is None:
        return dict(before), []
    if not isinstance(applied, Mapping):
        return dict(before), [f"applied is {shown(applied)}; give a mapping of controls to values"]
    controls, notes = dict(before), []
    lowest = {known.name: known.lower for known in problem.system.controls}
    for name, given in applied.items():
        if not isinstance(name, str) or name not in problem.controls:
            notes.append(f"applied names {shown(name)}, which is no control; {nearest(name, problem.controls)}")
            continue
        own, value = problem.controls[name], as_float(_plain(given))
        width = own.high - own.low
        if math.isfinite(value) and own.low - width <= value <= own.high + width:
            controls[name] = max(value, lowest[name])
        else:
            taken = controls.setdefault(name, float(own.low))
            notes.append(f"applied {name} is {shown(given)}; {taken:g} is taken")
    return controls, notes


def slowed(
    controller: Controller, applied: Mapping[str, float], wanted: Mapping[str, float], elapsed: float
) -> dict[str, float]:
    """Return values within the fastest change of a step that comes early: the gate counts with whole intervals.

    Parameters
    ----------
    controller
        The controller.
    applied
        Value of every control that the plant has.
    wanted
        Value of every control that is to be written.
    elapsed
        Time since the last step [h].

    Returns
    -------
    dict
        Value by control.
    """
    values = dict(wanted)
    if elapsed < controller.interval * (1.0 - _NEARLY):
        for name, control in controller.problem.controls.items():
            if control.rate_limit is not None and name in applied:
                most, before = control.rate_limit * elapsed, applied[name]
                values[name] = min(max(values[name], before - most), before + most)
    return values

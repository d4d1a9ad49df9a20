"""What is to be optimised, before anything is written for a solver."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mmopt.control.horizon import Horizon
from mmopt.errors import StudyError, nearest
from mmopt.reactor.simulate import checked_values, merged_parameters
from mmopt.reactor.system import Quantity, System
from mmopt.results import Trajectory

Limits = Mapping[str, tuple[float | None, float | None]]
"""Lowest and highest allowed value by name; None where there is none."""


@dataclass(frozen=True)
class Problem:
    """A system from a start over a horizon, within limits, for the most of something at the end.

    Parameters
    ----------
    system
        The system.
    initial
        Value of every state at the start.
    horizon
        How far, how fine.
    controls
        Lowest and highest value of every control.
    limits
        Lowest and highest allowed value of states and derived quantities, at all times.
    maximise
        State or derived quantity whose value at the end is to be as large as possible.
    parameters
        Values that differ from the system's.

    Raises
    ------
    StudyError
        If a name is unknown, or a number is missing, not finite, or contradicts another.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> Problem(ecoli_fed_batch(), start, Horizon(10.0), {"feed": (0.0, 0.1)}).maximise
    'biomass_amount'
    """

    system: System
    initial: Mapping[str, float]
    horizon: Horizon
    controls: Mapping[str, tuple[float, float]]
    limits: Limits = field(default_factory=dict)
    maximise: str = "biomass_amount"
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        merged_parameters(self.system, self.parameters)
        _check_start(self.system, self.initial)
        _check_limits(self.watchable, self.limits, self.maximise)
        _check_controls(self.system, self.controls)

    @property
    def watchable(self) -> dict[str, Quantity]:
        """States and derived quantities by name."""
        return {each.name: each for each in (*self.system.states, *self.system.derived)}

    @property
    def scales(self) -> dict[str, float]:
        """Typical size of every state and control."""
        return {each.name: each.scale for each in (*self.system.states, *self.system.controls)}


def limits_broken(trajectory: Trajectory, limits: Limits) -> dict[str, float]:
    """How far each broken limit is broken at worst, relative to the limit; empty if all are kept.

    Only times after the first count: a start is given, not chosen.
    """
    broken: dict[str, float] = {}
    for name, (low, high) in limits.items():
        values = trajectory[name][1:]
        for limit, excess in (
            (low, None if low is None else low - values),
            (high, None if high is None else values - high),
        ):
            if limit is not None and excess is not None and excess.max() > 0.0:
                broken[name] = max(broken.get(name, 0.0), float(excess.max()) / max(abs(limit), 1.0e-12))
    return broken


def _check_start(system: System, initial: Mapping[str, float]) -> None:
    checked_values(initial, [each.name for each in system.states], "state")
    for each in system.states:
        if not each.lower <= initial[each.name] <= each.upper:
            raise StudyError(f"{each.name} cannot begin at {initial[each.name]:g} {each.unit}; give a possible value")


def _check_limits(known: Mapping[str, Quantity], limits: Limits, maximise: str) -> None:
    for name in (*limits, maximise):
        if name not in known:
            raise StudyError(f"there is no state or derived quantity '{name}'; {nearest(name, known)}")
    for name, (low, high) in limits.items():
        _check_range(name, -np.inf if low is None else low, np.inf if high is None else high)


def _check_controls(system: System, controls: Mapping[str, tuple[float, float]]) -> None:
    if set(controls) != {each.name for each in system.controls}:
        named = ", ".join(each.name for each in system.controls)
        raise StudyError(f"give the lowest and highest value of each control: {named}")
    for each in system.controls:
        low, high = controls[each.name]
        _check_range(each.name, low, high)
        if not (np.isfinite(low) and np.isfinite(high)):
            raise StudyError(f"the range of control '{each.name}' must be finite")
        if low < each.lower:
            raise StudyError(
                f"control '{each.name}' cannot be below {each.lower:g} {each.unit}; raise its lowest value"
            )


def _check_range(name: str, low: float, high: float) -> None:
    if np.isnan(low) or np.isnan(high):
        raise StudyError(f"a limit of '{name}' is not a number; give a number, or none at all")
    if low > high:
        raise StudyError(f"the lowest {name} allowed, {low:g}, is above the highest, {high:g}; no point can keep both")

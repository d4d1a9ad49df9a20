"""What is to be optimised, before anything is written for a solver."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mmopt.errors import StudyError, nearest
from mmopt.fba.rates import GROWTH
from mmopt.problem.control import Control
from mmopt.problem.horizon import Horizon
from mmopt.problem.objective import DURATION, Objective, final
from mmopt.reactor.system import Quantity, System
from mmopt.results import Trajectory
from mmopt.units import GROWTH_UNIT, RATE

Limits = Mapping[str, tuple[float | None, float | None]]
"""Lowest and highest allowed value by name; None where there is none."""

Given = float | tuple[float, float]
"""A number, or the range in which the optimisation may choose it."""

_RATE_SCALE, _GROWTH_SCALE = 10.0, 1.0


@dataclass(frozen=True)
class Problem:
    """A system from a start over a horizon, within limits, for the most of something at the end.

    Parameters
    ----------
    system
        The system.
    initial
        Value of every state at the start, or the range in which it may be chosen.
    horizon
        How far, how fine.
    controls
        Lowest and highest value of every control, or a `Control` that says more.
    limits
        Lowest and highest allowed value, at all times after the start, of states, derived quantities and rates of the cell.
    maximise
        Quantity whose value at the end is to be as large as possible, or an `Objective`.
    parameters
        Values that differ from the system's, or ranges in which they may be chosen.
    final
        Lowest and highest allowed value at the end, as in ``limits``; equal ones fix it.
    soft
        Price of a broken limit, for those that may be broken: what the objective loses, in its scale, for a limit that is
        broken by the whole scale of its quantity for the whole horizon.

    Raises
    ------
    StudyError
        If a name is unknown, or a number is missing, not finite, or contradicts another.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> Problem(ecoli_fed_batch(), start, Horizon(10.0), {"feed": (0.0, 0.1)}).objective.name
    'biomass_amount'
    """

    system: System
    initial: Mapping[str, Given]
    horizon: Horizon
    controls: Mapping[str, tuple[float, float] | Control]
    limits: Limits = field(default_factory=dict)
    maximise: str | Objective = "biomass_amount"
    parameters: Mapping[str, Given] = field(default_factory=dict)
    final: Limits = field(default_factory=dict)
    soft: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_known("parameter", self.parameters, self.system.parameters)
        for name, given in self.parameters.items():
            _check_given("parameter", name, given)
        _check_start(self.system, self.initial)
        _check_limits(self.quantities, self.limits)
        _check_limits(self.quantities, self.final)
        if isinstance(self.maximise, str):
            _check_limits(self.quantities, {self.maximise: (None, None)})
        _check_controls(self)
        _check_objective(self)
        _check_known("soft limit", self.soft, self.limits)
        if not all(np.isfinite(price) and price > 0.0 for price in self.soft.values()):
            raise StudyError("the price of a soft limit must be a finite number above 0")

    @property
    def quantities(self) -> dict[str, Quantity]:
        """States, derived quantities and rates of the cell by name."""
        rates = [
            Quantity(name, GROWTH_UNIT, _GROWTH_SCALE) if name == GROWTH else Quantity(name, RATE, _RATE_SCALE)
            for name in self.system.readings
        ]
        return {each.name: each for each in (*self.system.states, *self.system.derived, *rates)}

    @property
    def scales(self) -> dict[str, float]:
        """Typical size of every state and control."""
        return {each.name: each.scale for each in (*self.system.states, *self.system.controls)}

    @property
    def control_settings(self) -> dict[str, Control]:
        """Every control."""
        return {name: given if isinstance(given, Control) else Control(*given) for name, given in self.controls.items()}

    @property
    def objective(self) -> Objective:
        """What is to be large."""
        if isinstance(self.maximise, Objective):
            return self.maximise
        known = self.quantities[self.maximise]
        return final(known.name, known.unit, known.scale)

    @property
    def start(self) -> dict[str, float]:
        """A number for every state at the start: the middle where it may be chosen."""
        return {name: _middle(given) for name, given in self.initial.items()}

    @property
    def parameter_values(self) -> dict[str, float]:
        """A number for every parameter that differs from the system's: the middle where it may be chosen."""
        return {name: _middle(given) for name, given in self.parameters.items()}

    @property
    def has_choices(self) -> bool:
        """Whether anything but the controls is to be chosen: a start, a parameter, or the length."""
        given = (*self.initial.values(), *self.parameters.values(), self.horizon.length)
        return any(isinstance(each, tuple) for each in given)

    def with_choices(self, choice: Mapping[str, Any]) -> "Problem":
        """The problem in which everything but the controls is decided.

        Parameters
        ----------
        choice
            ``length`` [h], and numbers by name in ``initial`` and ``parameters``, as a plan's ``stats["choice"]`` holds them.
        """
        return replace(
            self,
            initial={**self.start, **choice.get("initial", {})},
            parameters={**self.parameter_values, **choice.get("parameters", {})},
            horizon=replace(self.horizon, length=float(choice.get("length", self.horizon.hours))),
        )

    def objective_value(self, made: Trajectory) -> float:
        """What a trajectory is worth."""
        numbers = {**self.system.parameters, **self.parameter_values}
        start, end = (
            {**numbers, **{name: float(made[name][at]) for name in map(str, made.data.data_vars)}} for at in (0, -1)
        )
        begin = float(made.time[0])
        return float(self.objective.value({**end, DURATION: float(made.time[-1]) - begin}, {**start, DURATION: 0.0}))


def violated_limits(trajectory: Trajectory, limits: Limits, final: Limits | None = None) -> dict[str, float]:
    """How far each broken limit is broken at worst, relative to the limit; empty if all are kept.

    Only times after the first count: a start is given, not chosen. Limits at the end are named ``final <name>``.
    """
    broken = {name: worst for name, pair in limits.items() if (worst := _excess(trajectory[name][1:], pair)) > 0.0}
    at_end = {f"final {name}": _excess(trajectory[name][-1:], pair) for name, pair in (final or {}).items()}
    return {**broken, **{name: worst for name, worst in at_end.items() if worst > 0.0}}


def _excess(values: np.ndarray, pair: tuple[float | None, float | None]) -> float:
    """By what values leave a pair of limits at worst, relative to the limit; 0 if they do not."""
    low, high = pair
    below = -np.inf if low is None else float((low - values).max()) / max(abs(low), 1.0e-12)
    above = -np.inf if high is None else float((values - high).max()) / max(abs(high), 1.0e-12)
    return max(0.0, below, above)


def _middle(given: Given) -> float:
    return float(sum(given) / 2.0) if isinstance(given, tuple) else float(given)


def _check_known(kind: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise StudyError(f"there is no {kind} '{name}'; {nearest(name, list(known))}")


def _check_given(kind: str, name: str, given: Given) -> None:
    if isinstance(given, tuple):
        _check_range(name, *given)
    if not np.all(np.isfinite(given)):
        raise StudyError(f"{kind} '{name}' is {given}; give a finite number, or a range of two")


def _check_start(system: System, initial: Mapping[str, Given]) -> None:
    known = {each.name: each for each in system.states}
    _check_known("state", initial, known)
    missing = [name for name in known if name not in initial]
    if missing:
        raise StudyError(f"state {', '.join(missing)} is missing; give a value for each of {', '.join(known)}")
    for name, each in known.items():
        _check_given("state", name, initial[name])
        low, high = given if isinstance(given := initial[name], tuple) else (given, given)
        if not (each.lower <= low and high <= each.upper):
            raise StudyError(
                f"{name} cannot begin at {low if low < each.lower else high:g} {each.unit}; give a possible value"
            )


def _check_limits(known: Mapping[str, Quantity], limits: Limits) -> None:
    for name, (low, high) in limits.items():
        if name not in known:
            raise StudyError(f"there is no state, derived quantity or rate '{name}'; {nearest(name, known)}")
        _check_range(name, -np.inf if low is None else low, np.inf if high is None else high)


def _check_controls(problem: Problem) -> None:
    if set(problem.controls) != {each.name for each in problem.system.controls}:
        named = ", ".join(each.name for each in problem.system.controls)
        raise StudyError(f"give the lowest and highest value of each control: {named}")
    moves = problem.control_settings
    for each in problem.system.controls:
        low, high = moves[each.name].low, moves[each.name].high
        _check_range(each.name, low, high)
        if not (np.isfinite(low) and np.isfinite(high)):
            raise StudyError(f"the range of control '{each.name}' must be finite")
        if low < each.lower:
            raise StudyError(
                f"control '{each.name}' cannot be below {each.lower:g} {each.unit}; raise its lowest value"
            )
        if moves[each.name].windows and isinstance(problem.horizon.length, tuple):
            raise StudyError(f"the windows of control '{each.name}' need a fixed length; give the horizon one number")


def _check_objective(problem: Problem) -> None:
    """Whether all that an objective asks for is known; what it is worth at typical sizes means nothing, and may not exist."""
    known: dict[str, float] = {**problem.system.parameters, **problem.parameter_values, DURATION: problem.horizon.hours}
    known |= {name: each.scale for name, each in problem.quantities.items()}
    known |= {each.name: each.scale for each in problem.system.controls}
    try:
        with suppress(ArithmeticError), np.errstate(all="ignore"):
            problem.objective.value(known, {**known, DURATION: 0.0})
    except KeyError as error:
        asked = str(error.args[0])
        raise StudyError(f"the objective asks for '{asked}', which nothing tells; {nearest(asked, known)}") from error


def _check_range(name: str, low: float, high: float) -> None:
    if np.isnan(low) or np.isnan(high):
        raise StudyError(f"a limit of '{name}' is not a number; give a number, or none at all")
    if low > high:
        raise StudyError(f"the lowest {name} allowed, {low:g}, is above the highest, {high:g}; no point can keep both")

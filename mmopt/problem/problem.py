"""Dynamic optimisation problems: what is to be optimised, before anything is written for a solver."""

from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator

from mmopt.checking import LimitPair, Number, NumberOrRange, checked
from mmopt.fba.rates import GROWTH
from mmopt.problem import checks
from mmopt.problem.choices import Choices
from mmopt.problem.control import Control, as_control
from mmopt.problem.horizon import Horizon
from mmopt.problem.limits import violated_limits
from mmopt.problem.objective import DURATION, Objective, final
from mmopt.problem.stage_sum import tracking_cost
from mmopt.problem.tracking import Tracking
from mmopt.reactor.known import SystemField
from mmopt.reactor.quantities import Quantity
from mmopt.results import Trajectory
from mmopt.units import GROWTH_UNIT, RATE

_RATE_SCALE, _GROWTH_SCALE = 10.0, 1.0

_ObjectiveField = Annotated[
    str | Objective | Tracking, PlainValidator(checks.objective, json_schema_input_type=str | dict[str, Any])
]


@checked(repr=False)
class Problem:
    """A system from an initial state over a horizon, within limits, with an objective that is maximised.

    Parameters
    ----------
    system
        The system.
    initial
        Initial value of every state, in its unit, or the range in which it may be chosen.
    horizon
        Length and elements.
    controls
        Lowest and highest value of every control, or a `Control` with more settings.
    limits
        Lowest and highest allowed value of states, derived quantities and rates of the cell, at all times after the first.
    maximise
        Name of a quantity whose value at the end is maximised, an `Objective`, or a `Tracking` of set-points.
    parameters
        Values that differ from the system's defaults, or ranges in which they may be chosen.
    final
        Lowest and highest allowed value at the end; equal ones fix it.
    soft
        Price of a violation, for limits that may be violated: the loss of the objective, in its scale, for a limit that is
        violated by the whole scale of its quantity over the whole horizon.

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

    system: SystemField
    initial: dict[str, NumberOrRange]
    horizon: Horizon
    controls: dict[
        str, Annotated[Control, BeforeValidator(as_control, json_schema_input_type=Control | tuple[float, float])]
    ]
    limits: dict[str, LimitPair] = field(default_factory=dict)
    maximise: _ObjectiveField = "biomass_amount"
    parameters: dict[str, NumberOrRange] = field(default_factory=dict)
    final: dict[str, LimitPair] = field(default_factory=dict)
    soft: dict[str, Number] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.check_parameters(self.system, self.parameters)
        checks.check_initial(self.system, self.initial)
        checks.check_limits(self.quantities, self.limits)
        checks.check_limits(self.quantities, self.final)
        checks.check_controls(self.system, self.controls, self.horizon)
        if self.tracking is not None:
            checks.check_tracking(self.tracking, self.quantities, self.controls, self.horizon)
        if isinstance(self._at_end, str):
            checks.check_limits(self.quantities, {self._at_end: (None, None)})
        checks.check_objective(self.objective, self._typical_values)
        checks.check_soft(self.soft, self.limits)

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """States, derived quantities and rates of the cell by name: what can be limited or maximised."""
        rates = [
            Quantity(name, GROWTH_UNIT, _GROWTH_SCALE) if name == GROWTH else Quantity(name, RATE, _RATE_SCALE)
            for name in self.system.readings
        ]
        return {known.name: known for known in (*self.system.states, *self.system.derived, *rates)}

    @cached_property
    def scales(self) -> dict[str, float]:
        """Typical size of every state and control."""
        return {known.name: known.scale for known in (*self.system.states, *self.system.controls)}

    @property
    def tracking(self) -> Tracking | None:
        """What is tracked along the horizon; None if nothing is."""
        return self.maximise if isinstance(self.maximise, Tracking) else None

    @property
    def objective(self) -> Objective:
        """The objective; its value is that at the end alone, without what is tracked."""
        at_end = self._at_end
        if at_end is None:
            return Objective("tracking", "", _nothing, 1.0 if self.tracking is None else self.tracking.scale)
        if isinstance(at_end, str):
            known = self.quantities[at_end]
            at_end = final(known.name, known.unit, known.scale)
        return at_end if self.tracking is None else replace(at_end, name=f"{at_end.name} with tracking")

    @property
    def start_values(self) -> dict[str, float]:
        """Initial value of every state; the middle of the range where it may be chosen."""
        return {name: _middle(given) for name, given in self.initial.items()}

    @property
    def parameter_values(self) -> dict[str, float]:
        """Value of every parameter that differs from the system's; the middle of the range where it may be chosen."""
        return {name: _middle(given) for name, given in self.parameters.items()}

    @property
    def has_choices(self) -> bool:
        """Whether anything but the controls is to be chosen: an initial state, a parameter, or the length."""
        given = (*self.initial.values(), *self.parameters.values(), self.horizon.length)
        return any(isinstance(value, tuple) for value in given)

    def with_choices(self, choices: Choices) -> "Problem":
        """Fix everything that is to be chosen, but the controls.

        Parameters
        ----------
        choices
            The chosen values; what it does not name is fixed at the middle of its range.

        Returns
        -------
        Problem
            The same problem in which the controls alone are free.
        """
        return replace(
            self,
            initial={**self.start_values, **choices.initial},
            parameters={**self.parameter_values, **choices.parameters},
            horizon=replace(self.horizon, length=self.horizon.hours if choices.length is None else choices.length),
        )

    def objective_value(self, trajectory: Trajectory) -> float:
        """Compute the objective of a trajectory.

        Parameters
        ----------
        trajectory
            A trajectory of the problem's system.

        Returns
        -------
        float
            The objective, in its unit.
        """
        numbers = {**self.system.defaults, **self.parameter_values}
        names = [str(name) for name in trajectory.data.data_vars]
        start, end = ({**numbers, **{name: float(trajectory[name][at]) for name in names}} for at in (0, -1))
        duration = float(trajectory.time[-1] - trajectory.time[0])
        at_end = float(self.objective.value({**end, DURATION: duration}, {**start, DURATION: 0.0}))
        if self.tracking is None:
            return at_end
        return at_end - tracking_cost(self.tracking, self.horizon, self.controls, trajectory)

    @property
    def hard_limits(self) -> dict[str, tuple[float | None, float | None]]:
        """Limits at all times without those that have a price."""
        return {name: pair for name, pair in self.limits.items() if name not in self.soft}

    def with_hard_limits(self) -> "Problem":
        """Return the problem without the limits that have a price.

        Returns
        -------
        Problem
        """
        return replace(self, limits=self.hard_limits, soft={}) if self.soft else self

    def violated_limits(self, trajectory: Trajectory) -> dict[str, float]:
        """Compute by how much a trajectory violates the limits.

        Parameters
        ----------
        trajectory
            A trajectory of the system.

        Returns
        -------
        dict
            Largest violation of each violated limit, relative to the limit, or to the scale of the quantity where the limit
            is zero; limits at the end are named ``final <name>``.
        """
        scales = {name: self.quantities[name].scale for name in (*self.limits, *self.final)}
        return violated_limits(trajectory, self.limits, self.final, scales)

    @property
    def _at_end(self) -> str | Objective | None:
        """What is maximised at the end, as it is given."""
        return self.maximise.plus if isinstance(self.maximise, Tracking) else self.maximise

    @property
    def _typical_values(self) -> Mapping[str, float]:
        """A value for everything an objective can read."""
        known: dict[str, float] = {**self.system.defaults, **self.parameter_values, DURATION: self.horizon.hours}
        known |= {name: quantity.scale for name, quantity in self.quantities.items()}
        return known | {control.name: control.scale for control in self.system.controls}

    def __repr__(self) -> str:
        objective = self.objective
        unit = f" [{objective.unit}]" if objective.unit else ""
        limited = ", ".join([*self.limits, *(f"{name} at the end" for name in self.final)]) or "none"
        return (
            f"Problem: maximise {objective.name}{unit} of {type(self.system).__name__} over {_hours(self.horizon)}, "
            f"{self.horizon.elements} elements; controls: {', '.join(self.controls)}; limits: {limited}"
        )

    def _repr_html_(self) -> str:
        objective = self.objective
        rows = [("maximise", f"{objective.name} [{objective.unit or '-'}]")]
        rows += [("horizon", f"{_hours(self.horizon)}, {self.horizon.elements} elements")]
        rows += [(name, f"{control.low:g} to {control.high:g}") for name, control in self.controls.items()]
        rows += [(name, _pair(pair)) for name, pair in self.limits.items()]
        rows += [(f"{name} at the end", _pair(pair)) for name, pair in self.final.items()]
        cells = "".join(f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in rows)
        return f"<table>{cells}</table>"


def _nothing(end: Mapping[str, Any], start: Mapping[str, Any]) -> float:
    return 0.0


def _middle(given: float | tuple[float, float]) -> float:
    return float(sum(given) / 2.0) if isinstance(given, tuple) else float(given)


def _hours(horizon: Horizon) -> str:
    return (
        f"{horizon.length[0]:g} to {horizon.length[1]:g} h"
        if isinstance(horizon.length, tuple)
        else f"{horizon.length:g} h"
    )


def _pair(pair: tuple[float | None, float | None]) -> str:
    low, high = pair
    return f"{'any' if low is None else format(low, 'g')} to {'any' if high is None else format(high, 'g')}"

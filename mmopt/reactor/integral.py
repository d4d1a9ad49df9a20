"""Integrals over time as one more state of a system.

A cost that accumulates (base, cooling, oxygen) can so be limited, priced or read like any other state, and simulation,
replay and optimisation integrate it the same way.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from mmopt.checking import checked
from mmopt.errors import StudyError
from mmopt.reactor.known import SystemField
from mmopt.reactor.quantities import Parameter, Quantity
from mmopt.reactor.system import Cell, RecordingCell, System, Values

Integrand = Callable[[Mapping[str, Any]], Any]
"""From states, controls, parameters, derived quantities and rates by name to the derivative of the integral."""


@checked(repr=False)
class Integral(System):
    """A system with one more state: the integral of a function over time.

    Parameters
    ----------
    system
        The system.
    total
        The new state; a problem or a simulation gives its initial value.
    integrand
        Its derivative in plain arithmetic: a function of states, controls, parameters, derived quantities and rates by
        name.

    Raises
    ------
    StudyError
        If an argument is of the wrong type, or the system has a quantity of that name.

    Examples
    --------
    >>> reactor = Integral(ecoli_fed_batch(), Quantity("fed", "g"), lambda now: now["feed"] * now["glucose_fed"])
    >>> [state.name for state in reactor.states][-1]
    'fed'
    """

    system: SystemField
    total: Quantity
    integrand: Integrand

    def __post_init__(self) -> None:
        system = self.system
        known: tuple[Quantity | Parameter, ...] = (
            *system.states,
            *system.controls,
            *system.derived,
            *system.parameters,
        )
        if self.total.name in {one.name for one in known}:
            raise StudyError(f"the system has a '{self.total.name}' already; give the integral another name")

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """Those of the system, then the total."""
        return (*self.system.states, self.total)

    @cached_property
    def controls(self) -> tuple[Quantity, ...]:
        """Those of the system."""
        return self.system.controls

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """Those of the system."""
        return self.system.derived

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of the system."""
        return self.system.parameters

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """Those of the system."""
        return self.system.readings

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Compute the uptake limits of the system [mmol/gDW/h]."""
        return self.system.limits(states, parameters)

    def largest_limits(self, parameters: Values) -> dict[str, float]:
        """Return the largest uptake limits of the system [mmol/gDW/h]."""
        return self.system.largest_limits(parameters)

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        """Compute the derived quantities of the system."""
        return self.system.observe(states, controls, parameters, rates)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        """Compute the time derivative of every state, that of the integral last [its unit/h]."""
        recording = RecordingCell(cell)
        change = dict(self.system.derivative(states, controls, parameters, recording))
        derived = self.system.observe(states, controls, parameters, recording.rates)
        change[self.total.name] = self.integrand({**parameters, **states, **controls, **derived, **recording.rates})
        return change

    def __repr__(self) -> str:
        return f"Integral: {self.total.name} [{self.total.unit}] along {self.system!r}"

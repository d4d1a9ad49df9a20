"""What adds up along a batch: an integral over time as one more state of a system.

So a cost that runs along (base, cooling, oxygen) can be limited, priced or read like any other state, and simulation,
replay and optimisation integrate it the same way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mmopt.errors import StudyError
from mmopt.reactor.quantities import Parameter, Quantity
from mmopt.reactor.system import Cell, RecordingCell, System, Values, checked_system

Integrand = Callable[[Mapping[str, Any]], Any]
"""From states, controls, parameters, derived quantities and rates by name to what is added each hour."""


@dataclass(frozen=True)
class Integral(System):
    """A system with one more state, which begins at what ``initial`` says and grows by what ``integrand`` says.

    Attributes
    ----------
    system
        The system.
    total
        The new state.
    integrand
        What is added each hour, in plain arithmetic.

    Examples
    --------
    >>> reactor = Integral(ecoli_fed_batch(), Quantity("fed", "g"), lambda seen: seen["feed"] * seen["glucose_fed"])
    >>> [state.name for state in reactor.states][-1]
    'fed'
    """

    system: System
    total: Quantity
    integrand: Integrand = field(repr=False)

    def __post_init__(self) -> None:
        system = checked_system(self.system)
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
        """Those of the system."""
        return self.system.limits(states, parameters)

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        """Those of the system."""
        return self.system.observe(states, controls, parameters, rates)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        """That of the system, and what is added."""
        asked = RecordingCell(cell)
        change = dict(self.system.derivative(states, controls, parameters, asked))
        derived = self.system.observe(states, controls, parameters, asked.rates)
        change[self.total.name] = self.integrand({**parameters, **states, **controls, **derived, **asked.rates})
        return change

"""What adds up along a batch: an integral over time as one more state of a system.

So a cost that runs along (base, cooling, oxygen) can be limited, priced or read like any other state, and simulation,
replay and optimisation integrate it the same way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmopt.errors import StudyError
from mmopt.reactor.system import Cell, Quantity, RecordingCell, System, Values

Integrand = Callable[[Mapping[str, Any]], Any]
"""From states, controls, parameters, derived quantities and rates by name to what is added each hour."""


@dataclass(frozen=True)
class Integral:
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
        known = {each.name for each in (*self.system.states, *self.system.controls, *self.system.derived)}
        if self.total.name in known | set(self.system.parameters):
            raise StudyError(f"the system has a '{self.total.name}' already; give what adds up another name")

    @property
    def states(self) -> tuple[Quantity, ...]:
        """Those of the system, then the total."""
        return (*self.system.states, self.total)

    @property
    def controls(self) -> tuple[Quantity, ...]:
        """Those of the system."""
        return self.system.controls

    @property
    def derived(self) -> tuple[Quantity, ...]:
        """Those of the system."""
        return self.system.derived

    @property
    def parameters(self) -> Mapping[str, float]:
        """Those of the system."""
        return self.system.parameters

    @property
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

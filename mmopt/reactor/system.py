"""What a dynamic system is: named states, controls and parameters, and a derivative in plain arithmetic.

The derivative is written once. Floats, NumPy arrays and Pyomo expressions pass through it, so that a simulation, the
collocation of an optimisation and an estimator share one set of equations. Who answers for the cell is an argument.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

Values = Mapping[str, Any]
"""By name: numbers, arrays, or expressions of an optimisation."""

Cell = Callable[[Values], Values]
"""Who answers for the cell: uptake limits by exchange id in, rates by name out [mmol/gDW/h, growth 1/h]."""


@dataclass(frozen=True)
class Quantity:
    """A named quantity of a system.

    Attributes
    ----------
    name, unit
        As they stand in every result.
    scale
        Its typical size, in its unit.
    lower, upper
        Physical bounds.
    quasi_steady
        Whether it settles so fast that an optimisation may take it as settled; a simulation always follows it.
    """

    name: str
    unit: str
    scale: float = 1.0
    lower: float = -np.inf
    upper: float = np.inf
    quasi_steady: bool = False


class System(Protocol):
    """What can be simulated, optimised and controlled."""

    @property
    def states(self) -> tuple[Quantity, ...]:
        """Quantities with a derivative."""

    @property
    def controls(self) -> tuple[Quantity, ...]:
        """Quantities a profile prescribes."""

    @property
    def derived(self) -> tuple[Quantity, ...]:
        """Further quantities worth watching or limiting, functions of the states."""

    @property
    def parameters(self) -> Mapping[str, float]:
        """Numbers by name, with their defaults."""

    @property
    def readings(self) -> tuple[str, ...]:
        """Rates the derivative asks of the cell; empty for a system without one."""

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Uptake limits the cell meets, by exchange id [mmol/gDW/h]."""

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        """Values of the derived quantities; ``rates`` are what the cell answered, by reading."""

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        """Time derivative of every state [its unit/h]."""


@runtime_checkable
class Metabolism(Protocol):
    """What can answer for the cell in a simulation: a label program, or a surrogate of it."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchanges whose uptake limits it takes."""

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Raise a `DomainError` if it cannot answer at such uptake limits."""

    def rate_function(self, names: Sequence[str]) -> Cell:
        """A cell that reads the named rates."""


class RecordingCell:
    """A cell that keeps its last answer in ``rates``, so that what is derived from rates need not ask again."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.rates: Mapping[str, Any] = {}

    def __call__(self, limits: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the cell."""
        self.rates = self._cell(limits)
        return self.rates


def no_cell(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Answer for systems that ask no cell."""
    return {}

"""Dynamic systems: named states, controls and parameters, and a derivative in plain arithmetic.

The derivative is written once. Floats, NumPy arrays and Pyomo expressions pass through it, so that a simulation, the
collocation of an optimisation and an estimator share one set of equations. The metabolism of the cell is an argument.
"""

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, runtime_checkable

from mmopt.arguments import shown
from mmopt.errors import StudyError
from mmopt.reactor.quantities import HasQuantities, Parameter, Quantity

Values = Mapping[str, Any]
"""By name: numbers, arrays, or expressions of an optimisation."""

_ABUNDANT: Final = 1.0e6
"""Concentration, in scales, at which uptake is saturated."""

Cell = Callable[[Values], Values]
"""A cell: uptake limits by exchange id in, rates by name out [mmol/gDW/h, growth 1/h]."""


class System(HasQuantities, ABC):
    """What can be simulated, optimised and controlled: the base class of every system.

    A system has ``states`` and ``controls`` (class attributes suffice) and a `derivative`. Everything else has a default:
    without ``readings`` it has no cell.

    Examples
    --------
    >>> class Tank(System):
    ...     states = (Quantity("level", "m"),)
    ...     controls = (Quantity("inflow", "m3/h", lower=0.0),)
    ...     parameters = (Parameter("area", 2.0, "m2", lower=0.1),)
    ...
    ...     def derivative(self, states, controls, parameters, cell):
    ...         return {"level": controls["inflow"] / parameters["area"]}
    >>> Tank().defaults
    {'area': 2.0}
    >>> round(simulate(Tank(), {"level": 0.0}, {"inflow": ConstantFeed(1.0)}, 3.0).final("level"), 6)
    1.5
    """

    @property
    def defaults(self) -> dict[str, float]:
        """Default value of every parameter by name."""
        return {parameter.name: parameter.value for parameter in self.parameters}

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Compute the uptake limits of the cell.

        Parameters
        ----------
        states, parameters
            Values by name, in their units.

        Returns
        -------
        dict
            Uptake limits by exchange id [mmol/gDW/h]; empty for a system without a cell.
        """
        return {}

    def largest_limits(self, parameters: Values) -> dict[str, float]:
        """Return the largest uptake limits that the states can lead to: here, where one state after the other is abundant.

        Parameters
        ----------
        parameters
            Values by name, in their units.

        Returns
        -------
        dict
            Uptake limits by exchange id [mmol/gDW/h].

        Raises
        ------
        StudyError
            If one is not finite.
        """
        largest: dict[str, float] = {}
        for abundant in self.states:
            states = {known.name: _ABUNDANT * known.scale if known is abundant else 0.0 for known in self.states}
            for exchange, limit in self.limits(states, parameters).items():
                if not math.isfinite(limit):
                    raise StudyError(
                        f"the uptake limit of {exchange} is {limit:g} where '{abundant.name}' is abundant and all else is "
                        "gone; give a law that is finite everywhere"
                    )
                largest[exchange] = max(limit, largest.get(exchange, 0.0))
        return largest

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        """Compute the derived quantities.

        Parameters
        ----------
        states, controls, parameters
            Values by name, in their units.
        rates
            Rates of the cell by reading [mmol/gDW/h, growth 1/h].

        Returns
        -------
        dict
            Value of every derived quantity by name, in its unit.
        """
        return {}

    @abstractmethod
    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        """Compute the time derivative of every state.

        Parameters
        ----------
        states, controls, parameters
            Values by name, in their units: numbers, arrays or expressions.
        cell
            The cell, a function from uptake limits to rates; see `limits`.

        Returns
        -------
        dict
            Derivative by state [its unit/h].
        """

    def __repr__(self) -> str:
        states, controls = (", ".join(known.name for known in kind) for kind in (self.states, self.controls))
        return f"{type(self).__name__}: states {states}; controls {controls or 'none'}; {_parameters(self)}"


def checked_system(system: Any) -> System:
    """Return a system after a check of its names.

    Parameters
    ----------
    system
        An object of a class derived from `System`.

    Returns
    -------
    System
        The same object.

    Raises
    ------
    StudyError
        If it is no `System`, has no states, or a name occurs twice.

    Examples
    --------
    >>> checked_system(ecoli_fed_batch()).controls[0].name
    'feed'
    """
    if isinstance(system, type):
        raise StudyError(f"system is {shown(system)}; give an object of it, such as {system.__name__}()")
    if not isinstance(system, System):
        raise StudyError(f"system is {shown(system)}; give a System, such as a Bioreactor, or derive from System")
    kinds: tuple[tuple[str, type], ...] = (
        ("states", Quantity),
        ("controls", Quantity),
        ("derived", Quantity),
        ("parameters", Parameter),
        ("readings", str),
    )
    for attribute, kind in kinds:
        values = getattr(system, attribute)
        if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
            raise StudyError(
                f"{attribute} of {type(system).__name__} is {shown(values)}; give a tuple of {kind.__name__}"
            )
    if not system.states:
        raise StudyError(f"{type(system).__name__} has no states; give a tuple of Quantity")
    named: tuple[Quantity | Parameter, ...] = (*system.states, *system.controls, *system.derived, *system.parameters)
    twice = [name for name, count in Counter(one.name for one in named).items() if count > 1]
    if twice:
        raise StudyError(f"{type(system).__name__} has more than one '{twice[0]}'; give every quantity its own name")
    both = [one.name for one in (*system.states, *system.controls, *system.derived) if one.name in system.readings]
    if both:
        raise StudyError(f"'{both[0]}' of {type(system).__name__} is a rate of the cell, too; give it another name")
    return system


@runtime_checkable
class Metabolism(Protocol):
    """Metabolism of the cell: a flux program, an atlas, or a surrogate."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchanges whose uptake limits it takes."""

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Raise a `DomainError` if it is not valid at such uptake limits [mmol/gDW/h]."""

    def rate_function(self, names: Sequence[str]) -> Cell:
        """Return a cell that computes the named rates."""


class RecordingCell:
    """A cell that keeps its last rates, so that quantities derived from them need no second evaluation.

    Attributes
    ----------
    rates
        Rates of the last evaluation by name.

    Parameters
    ----------
    cell
        The cell to evaluate.

    Examples
    --------
    >>> recording = RecordingCell(lambda limits: {"growth": 0.1 * limits["EX_glc__D_e"]})
    >>> recording({"EX_glc__D_e": 5.0}), recording.rates
    ({'growth': 0.5}, {'growth': 0.5})
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.rates: Mapping[str, Any] = {}

    def __call__(self, limits: Mapping[str, Any]) -> Mapping[str, Any]:
        """Evaluate the cell at uptake limits [mmol/gDW/h] and keep its rates."""
        self.rates = self._cell(limits)
        return self.rates


def no_cell(limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return no rates: the cell of a system without one.

    Parameters
    ----------
    limits
        Not used.

    Returns
    -------
    dict
        Empty.

    Examples
    --------
    >>> no_cell({})
    {}
    """
    return {}


def _parameters(system: System) -> str:
    count = len(system.parameters)
    return "1 parameter" if count == 1 else f"{count} parameters"

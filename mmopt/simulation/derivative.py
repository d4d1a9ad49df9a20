"""The derivative of a system with its controls, as integrators take it."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from mmopt.checking import as_float, shown
from mmopt.errors import SolverError, StudyError
from mmopt.reactor.profiles import Profile, is_stepwise
from mmopt.reactor.system import Cell, System

SLACK: Final = 1.0e-3
"""Fraction of its scale by which a state or control may lie outside its bounds: integrators and optimisers leave 1e-8 to
1e-4, wrong signs and units far more."""


Arrays = dict[str, np.ndarray]
"""Arrays by name."""


class Derivative:
    """Derivative of a system with its controls as a function of time and states, with a count of its evaluations.

    Parameters
    ----------
    system
        The system.
    controls
        Profile of every control.
    parameters
        Value of every parameter.
    cell
        The cell.
    rates
        Names of its rates.

    Attributes
    ----------
    system
        The system.
    parameters
        Value of every parameter.
    evaluations
        Evaluations so far.

    Examples
    --------
    >>> class Decay(System):
    ...     states = (Quantity("x", "g"),)
    ...
    ...     def derivative(self, states, controls, parameters, cell):
    ...         return {"x": -2.0 * states["x"]}
    >>> Derivative(Decay(), {}, {}, lambda limits: {})(0.0, np.array([3.0])).tolist()
    [-6.0]
    """

    def __init__(
        self,
        system: System,
        controls: Mapping[str, Profile],
        parameters: Mapping[str, float],
        cell: Cell,
        rates: tuple[str, ...] = (),
    ) -> None:
        self.system, self.parameters, self._cell, self._rates = system, parameters, cell, rates
        self._profiles = [(known, controls[known.name]) for known in system.controls]
        self._names = [state.name for state in system.states]
        self._section: dict[str, float] = {}
        self._changing = True
        self.evaluations = 0

    def begin_section(self, low: float, high: float) -> None:
        """Prepare for times between two jumps of the controls: what is constant there is evaluated once.

        Parameters
        ----------
        low, high
            The section [h].
        """
        self._section, self._changing = {}, True
        now = self.controls(low)
        self._section = {known.name: now[known.name] for known, profile in self._profiles if is_stepwise(profile)}
        self._changing = len(self._section) < len(self._profiles)

    def controls(self, time: float) -> dict[str, float]:
        """Return the value of every control.

        Parameters
        ----------
        time
            The time [h].

        Returns
        -------
        dict
            Values by name.

        Raises
        ------
        StudyError
            If one is not finite, or outside its physical bounds.
        """
        if not self._changing:
            return self._section
        values = {}
        for known, profile in self._profiles:
            if known.name in self._section:
                values[known.name] = self._section[known.name]
                continue
            value = profile(time)
            number = value if type(value) is float else as_float(value)
            if not math.isfinite(number):
                raise StudyError(
                    f"control '{known.name}' is {shown(value)} at {time:.4g} h; give a finite number at every time"
                )
            if not known.lower - SLACK * known.scale <= number <= known.upper + SLACK * known.scale:
                raise StudyError(
                    f"control '{known.name}' is {number:g} {known.unit} at {time:.4g} h; "
                    f"give a value from {known.lower:g} to {known.upper:g}"
                )
            values[known.name] = number
        return values

    def states(self, values: np.ndarray) -> dict[str, float]:
        """Return states by name.

        Parameters
        ----------
        values
            Values of shape (states,).

        Returns
        -------
        dict
            Values by name.
        """
        return dict(zip(self._names, values.tolist(), strict=True))

    def read(self, states: np.ndarray, controls: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays]:
        """Compute rates and derived quantities.

        Parameters
        ----------
        states
            Values of the states, shape (states, times).
        controls
            Values of the controls by name, of shape (times,).

        Returns
        -------
        rates, derived : dict
            Arrays of shape (times,) by name.

        Raises
        ------
        StudyError
            If the system does not return a derived quantity.
        """
        system, rates, derived = self.system, [], []
        for column, values in enumerate(states.T):
            row, now = self.states(values), {name: float(value[column]) for name, value in controls.items()}
            rates.append(self._cell(system.limits(row, self.parameters)) if self._rates else {})
            derived.append(system.observe(row, now, self.parameters, rates[-1]))
        names = [known.name for known in system.derived]
        for name in names:
            if any(name not in row for row in derived):
                raise StudyError(f"{type(system).__name__}.observe returns no '{name}'; return every derived quantity")
        return _columns(self._rates, rates), _columns(names, derived)

    def changes(self, states: np.ndarray, controls: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute the derivative of all states at several times.

        Parameters
        ----------
        states
            Values of the states, shape (states, times).
        controls
            Values of the controls by name, of shape (times,).

        Returns
        -------
        ndarray
            Shape (states, times).
        """
        rows = []
        for column, values in enumerate(states.T):
            now = {name: float(value[column]) for name, value in controls.items()}
            change = self.system.derivative(self.states(values), now, self.parameters, self._cell)
            rows.append([float(change[name]) for name in self._names])
        return np.array(rows).T

    def __call__(self, time: float, values: np.ndarray) -> np.ndarray:
        """Return the derivative of all states, shape (states,)."""
        self.evaluations += 1
        controls = self.controls(time)
        try:
            change = self.system.derivative(self.states(values), controls, self.parameters, self._cell)
        except ArithmeticError as error:  # an empty vessel, a state that runs away
            raise SolverError(f"no derivative at {time:.4g} h: {error}; check initial states and parameters") from error
        missing = [name for name in self._names if name not in change]
        if missing:
            raise StudyError(f"{type(self.system).__name__}.derivative returns no '{missing[0]}'; return every state")
        return np.array([change[name] for name in self._names], dtype=float)


def _columns(names: Sequence[str], rows: Sequence[Mapping[str, float]]) -> Arrays:
    return {name: np.array([row[name] for row in rows]) for name in names}

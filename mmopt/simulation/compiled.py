"""Systems compiled with CasADi for simulations: derivative, rates and derived quantities as one function each.

The derivative of a system takes numbers and expressions alike, so CasADi's symbols pass through it once, and every evaluation
after that needs a few microseconds in place of forty. What cannot be compiled (a metabolism that is a linear program, a
derivative that compares or converts its states) is evaluated in Python; the results are the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, Protocol, runtime_checkable

import casadi
import numpy as np

from mmopt.errors import SolverError
from mmopt.reactor.profiles import Profile
from mmopt.reactor.quantities import Parameter, Quantity
from mmopt.reactor.system import Cell, RecordingCell, System, no_cell
from mmopt.simulation.derivative import Arrays, Derivative

_KEPT: Final = 16
"""Pairs of a system and a metabolism that stay compiled."""

_ALIKE: Final = 1.0e-9
"""Relative difference up to which the compiled derivative and the one in Python agree."""


@runtime_checkable
class SymbolicCell(Protocol):
    """A cell that also computes its rates as CasADi expressions."""

    def expressions(self, limits: Mapping[str, Any]) -> dict[str, Any]:
        """Rates by name, from uptake limits by exchange id."""


@dataclass(frozen=True, eq=False)
class CompiledSystem:
    """A system and its cell as CasADi functions of states, controls and parameters.

    Attributes
    ----------
    derivative
        To the derivative of every state, in order.
    readout
        To the rates of the cell, then the derived quantities, in order.
    """

    derivative: Any
    readout: Any

    def at(self, which: str, count: int) -> Any:
        """Return one of the functions at several times at once.

        Parameters
        ----------
        which
            ``derivative`` or ``readout``.
        count
            The number of times.

        Returns
        -------
        casadi.Function
        """
        mapped = self._mapped.get((which, count))
        if mapped is None:
            if len(self._mapped) >= _KEPT:
                self._mapped.clear()
            mapped = self._mapped[which, count] = getattr(self, which).map(count)
        return mapped

    def slopes(self, which: str, parameters: Sequence[int]) -> Any:
        """Return one of the functions with its derivatives.

        Parameters
        ----------
        which
            ``derivative`` or ``readout``.
        parameters
            Positions of the parameters by which it is derived, besides the states.

        Returns
        -------
        casadi.Function
            To its values, and its derivatives by states and by parameters; at least one column of these.
        """
        key = (which, *parameters)
        if key not in self._derived:
            function: Any = getattr(self, which)
            arguments = [casadi.MX.sym(name, function.size1_in(k)) for k, name in enumerate(("x", "u", "p"))]
            (values,) = function.call(arguments, True, False)
            seeds = casadi.DM.zeros(arguments[2].numel(), max(1, len(parameters)))
            for column, row in enumerate(parameters):
                seeds[row, column] = 1.0
            rows = [values, casadi.jacobian(values, arguments[0]), casadi.jtimes(values, arguments[2], seeds)]
            self._derived[key] = casadi.Function("slopes", arguments, [casadi.densify(row) for row in rows])
        return self._derived[key]

    @cached_property
    def _mapped(self) -> dict[tuple[str, int], Any]:
        return {}

    @cached_property
    def _derived(self) -> dict[Any, Any]:
        return {}


class CompiledDerivative(Derivative):
    """As `Derivative`, evaluated by CasADi.

    Parameters
    ----------
    compiled
        The compiled system.
    system, controls, parameters, cell, rates
        As for `Derivative`.
    """

    def __init__(
        self,
        compiled: CompiledSystem,
        system: System,
        controls: Mapping[str, Profile],
        parameters: Mapping[str, float],
        cell: Cell,
        rates: tuple[str, ...],
    ) -> None:
        super().__init__(system, controls, parameters, cell, rates)
        self._compiled = compiled
        self._values, self._change = np.zeros((2, len(system.states)))
        self._held = np.zeros(max(1, len(system.controls)))
        self._numbers = np.array([parameters[one.name] for one in system.parameters] or [0.0])
        self._buffer, self._evaluate = compiled.derivative.buffer()
        for position, array in enumerate((self._values, self._held, self._numbers)):
            self._buffer.set_arg(position, array.data)
        self._buffer.set_res(0, self._change.data)

    def read(self, states: np.ndarray, controls: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays]:
        """Compute rates and derived quantities; see `Derivative.read`."""
        values = self._all("readout", states, controls)
        names = [known.name for known in self.system.derived]
        split = len(self._rates)
        return dict(zip(self._rates, values[:split], strict=True)), dict(zip(names, values[split:], strict=True))

    def changes(self, states: np.ndarray, controls: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute the derivative of all states at several times; see `Derivative.changes`."""
        return self._all("derivative", states, controls)

    def _all(self, which: str, states: np.ndarray, controls: Mapping[str, np.ndarray]) -> np.ndarray:
        """One of the functions at several times, shape (rows, times)."""
        count = states.shape[1]
        held = np.array(list(controls.values())) if controls else np.zeros((1, count))
        numbers = np.repeat(self._numbers[:, None], count, axis=1)
        values: np.ndarray = self._compiled.at(which, count)(states, held, numbers).full()
        return values

    def slopes(
        self, which: str, parameters: Sequence[str]
    ) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return the derivative or the readout with its slopes, for the present controls and parameters.

        Parameters
        ----------
        which
            ``derivative`` or ``readout``.
        parameters
            Names of the parameters by which it is derived, besides the states.

        Returns
        -------
        callable
            From states of shape (states,) to values of shape (rows,), and derivatives by states, (states, rows), and by
            parameters, (parameters, rows); in arrays that the next call overwrites.
        """
        self._hold(0.0)
        names = [one.name for one in self.system.parameters]
        function = self._compiled.slopes(which, [names.index(name) for name in parameters])
        count, at = function.size1_out(0), np.zeros(len(self._values))
        by_states, by_parameters = np.zeros((len(at), count)), np.zeros((max(1, len(parameters)), count))
        values, (buffer, evaluate) = np.zeros(count), function.buffer()
        for position, array in enumerate((at, self._held, self._numbers)):
            buffer.set_arg(position, array.data)
        for position, array in enumerate((values, by_states, by_parameters)):
            buffer.set_res(position, array.data)
        kept = self, buffer  # CasADi reads and writes their memory
        results = values, by_states, by_parameters[: len(parameters)]

        def slopes(states: np.ndarray, _: Any = kept) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            at[:] = states
            evaluate()
            return results

        return slopes

    def begin_section(self, low: float, high: float) -> None:
        """Prepare for times between two jumps of the controls; see `Derivative.begin_section`."""
        super().begin_section(low, high)
        self._hold(low)

    def _hold(self, time: float) -> None:
        self._held[: len(self._profiles)] = list(self.controls(time).values())

    def __call__(self, time: float, values: np.ndarray) -> np.ndarray:
        """Return the derivative of all states, shape (states,), in an array that the next call overwrites."""
        self.evaluations += 1
        self._values[:] = values
        if self._changing:
            self._hold(time)
        self._evaluate()
        return self._change

    def agrees(self, time: float, values: np.ndarray) -> bool:
        """Return whether the evaluation in Python gives the same.

        Parameters
        ----------
        time
            The time [h].
        values
            States, shape (states,).

        Returns
        -------
        bool
        """
        try:
            self._hold(time)
            ours, theirs = self(time, values), Derivative.__call__(self, time, values)
        except SolverError:
            return False
        return bool(np.all(np.abs(ours - theirs) <= _ALIKE * (1.0 + np.abs(theirs).max())))


class _Same:
    """An object as a key: equal to itself alone."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def derivative_of(
    system: System,
    metabolism: Any,
    controls: Mapping[str, Profile],
    parameters: Mapping[str, float],
    cell: Cell,
    rates: tuple[str, ...],
    state: tuple[float, np.ndarray],
) -> Derivative:
    """Return the derivative of a system, compiled where it can be.

    A system is compiled once with each metabolism, and compared with its evaluation in Python at a first state.

    Parameters
    ----------
    system
        The system.
    metabolism
        The metabolism of the cell, or None.
    controls
        Profile of every control.
    parameters
        Value of every parameter.
    cell
        The cell.
    rates
        Names of its rates.
    state
        A time [h] and the states then, shape (states,).

    Returns
    -------
    Derivative
    """
    compiled = None
    if not rates or isinstance(cell, SymbolicCell):
        compiled = _compiled(_Same(system), _Same(metabolism), _Any(cell), rates)
    if compiled is not None:
        fast = CompiledDerivative(compiled, system, controls, parameters, cell, rates)
        if fast.agrees(*state):
            return fast
    return Derivative(system, controls, parameters, cell, rates)


class _Any(_Same):
    """An object that goes with a key and takes no part in it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Any)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=_KEPT)
def _compiled(system: _Same, metabolism: _Same, cell: _Any, names: tuple[str, ...]) -> CompiledSystem | None:
    try:
        return _traced(system.value, cell.value.expressions if names else no_cell, names)
    except Exception:  # a derivative may do with its arguments whatever numbers allow
        return None


def _traced(system: System, cell: Cell, names: tuple[str, ...]) -> CompiledSystem:
    """Send symbols through a system."""
    states = casadi.MX.sym("states", len(system.states))
    controls = casadi.MX.sym("controls", max(1, len(system.controls)))
    numbers = casadi.MX.sym("parameters", max(1, len(system.parameters)))
    recording = RecordingCell(cell)
    kinds: tuple[tuple[Sequence[Quantity | Parameter], Any], ...] = (
        (system.states, states),
        (system.controls, controls),
        (system.parameters, numbers),
    )
    given = [{known.name: vector[row] for row, known in enumerate(kind)} for kind, vector in kinds]
    change = system.derivative(given[0], given[1], given[2], recording)
    if names:
        recording(system.limits(given[0], given[2]))
    derived = system.observe(given[0], given[1], given[2], recording.rates)
    rows = [*(recording.rates[name] for name in names), *(derived[known.name] for known in system.derived)]
    arguments = [states, controls, numbers]
    return CompiledSystem(
        casadi.Function("derivative", arguments, [_column([change[known.name] for known in system.states])]),
        casadi.Function("readout", arguments, [_column(rows)]),
    )


def _column(rows: list[Any]) -> Any:
    """Expressions and numbers as one dense column."""
    return casadi.densify(casadi.vertcat(*map(casadi.MX, rows))) if rows else casadi.MX(0, 1)

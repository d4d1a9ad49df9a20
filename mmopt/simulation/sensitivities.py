"""Ends of simulations and derived quantities with their derivatives by states and parameters, for estimators.

The variational equations are integrated together with the system: for the Jacobians J of the derivative f by states, and G by
parameters, the sensitivities S of the states follow S' = J S + G. The integrator chooses its steps for both, and its Newton
iteration takes the block-diagonal Jacobian (simultaneous corrector). A system that CasADi compiles has exact J and G; any
other has them from forward differences of the derivative, never of the integration.

References
----------
Maly and Petzold (1996), Appl. Numer. Math. 20:57-79 (sensitivities beside the states). Bock (1981), Springer Series in Chemical
Physics 18:102-125 (internal differentiation).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mmopt.checking import finite
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.system import Metabolism, System
from mmopt.simulation.compiled import CompiledDerivative, derivative_of
from mmopt.simulation.derivative import Derivative
from mmopt.simulation.inputs import check_names, checked_cell, initial_states, merged_parameters
from mmopt.simulation.integration import integrated

_TOLERANCE: Final = 1.0e-9
"""Relative tolerance of states and sensitivities where the Jacobians are exact."""

_TOLERANCE_OF_DIFFERENCES: Final = 1.0e-7

_STEP: Final = 1.0e-5
"""Step of forward differences, in scales."""

Slopes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values of shape (rows,), and their derivatives by states, (states, rows), and by parameters, (parameters, rows)."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """Values with their derivatives.

    Attributes
    ----------
    values
        Shape (rows,).
    slopes
        Derivatives by states, then estimated parameters; shape (rows, unknowns).
    """

    values: np.ndarray
    slopes: np.ndarray


class Sensitivities:
    """A system between two times with held controls, linearised.

    Parameters
    ----------
    system, metabolism
        The system, and the metabolism of its cell.
    estimated
        Names of the parameters by which derivatives are computed.
    scale
        Typical sizes of the states, then of these parameters; shape (unknowns,).

    Examples
    --------
    >>> from mmopt.simulation.sensitivities import Sensitivities
    >>> class Decay(System):
    ...     states = (Quantity("x", "g"),)
    ...
    ...     def derivative(self, states, controls, parameters, cell):
    ...         return {"x": -2.0 * states["x"]}
    >>> end = Sensitivities(Decay(), None, [], np.ones(1)).moved({"x": 3.0}, {}, {}, 0.5)
    >>> np.round([*end.values, *end.slopes[0]], 6).tolist()
    [1.103638, 0.367879]
    """

    def __init__(
        self, system: System, metabolism: Metabolism | None, estimated: Sequence[str], scale: np.ndarray
    ) -> None:
        self._system, self._metabolism, self._estimated, self._scale = system, metabolism, tuple(estimated), scale

    def moved(
        self,
        states: Mapping[str, float],
        parameters: Mapping[str, float],
        controls: Mapping[str, float],
        duration: float,
    ) -> Linearised:
        """Integrate the system and its sensitivities over an interval.

        Parameters
        ----------
        states
            Value of every state at the beginning, in its unit; it may lie outside its bounds by an error.
        parameters
            Value of every parameter.
        controls
            Value of every control, held over the interval.
        duration
            Its length [h].

        Returns
        -------
        Linearised
            States at the end.

        Raises
        ------
        StudyError, DomainError, SolverError
            As `mmopt.simulation.simulate`.
        """
        finite("duration", duration, above=0.0, unit="h")
        start = initial_states(self._system, states, continued=True)
        base, own = self._derivatives(start, parameters, controls)
        count, scale = len(start), self._scale
        exact = isinstance(base, CompiledDerivative)
        variational = _Variational(self._slopes(base, own, "derivative"), scale, count)
        rows = np.vstack([start, np.diag(scale[:count]), np.zeros((len(self._estimated), count))])
        edges = np.array([0.0, duration])
        _, ends, _ = integrated(
            variational,
            None,
            edges,
            edges,
            rows.ravel(),
            _TOLERANCE if exact else _TOLERANCE_OF_DIFFERENCES,
            np.tile(scale[:count], len(rows)),
        )
        end = ends[:, -1].reshape(rows.shape)
        return Linearised(end[0], (end[1:] / scale[:, None]).T)

    def read(
        self, states: Mapping[str, float], parameters: Mapping[str, float], controls: Mapping[str, float]
    ) -> Linearised:
        """Compute the derived quantities of the system.

        Parameters
        ----------
        states, parameters, controls
            Values by name.

        Returns
        -------
        Linearised
            Derived quantities, in the order of the system's.

        Raises
        ------
        StudyError, DomainError
            As `mmopt.simulation.simulate`.
        """
        start = initial_states(self._system, states, continued=True)
        base, own = self._derivatives(start, parameters, controls)
        values, by_states, by_parameters = self._slopes(base, own, "readout")(start)
        slopes = np.vstack([by_states, by_parameters[: len(self._estimated)]]).T
        derived = len(self._system.derived)
        return Linearised(values[len(values) - derived :].copy(), slopes[len(slopes) - derived :].copy())

    def _derivatives(
        self, start: np.ndarray, parameters: Mapping[str, float], controls: Mapping[str, float]
    ) -> tuple[Derivative, list[Derivative]]:
        """The derivative, and where it is not compiled the same with a step of every estimated parameter."""
        system = self._system
        check_names(controls, [known.name for known in system.controls], "control")
        numbers = merged_parameters(system, parameters)
        cell, rates = checked_cell(system, self._metabolism, numbers)
        held = {name: ConstantFeed(value) for name, value in controls.items()}
        base = derivative_of(system, self._metabolism, held, numbers, cell, rates, (0.0, start))
        if isinstance(base, CompiledDerivative):
            return base, []
        steps = _STEP * self._scale[len(start) :]
        changed = [{**numbers, name: numbers[name] + step} for name, step in zip(self._estimated, steps, strict=True)]
        return base, [Derivative(system, held, one, cell, rates) for one in changed]

    def _slopes(self, base: Derivative, own: Sequence[Derivative], which: str) -> Callable[[np.ndarray], Slopes]:
        """Values and slopes of the derivative or the readout as a function of the states."""
        if isinstance(base, CompiledDerivative):
            return base.slopes(which, self._estimated)
        held = {name: np.array([value]) for name, value in base.controls(0.0).items()}

        def read(derivative: Derivative) -> Callable[[np.ndarray], np.ndarray]:
            if which == "derivative":
                return lambda values: derivative(0.0, values)
            return lambda values: np.array([row[0] for row in derivative.read(values[:, None], held)[1].values()])

        return _Differences(read(base), [read(one) for one in own], self._scale)


class _Differences:
    """A function of the states with its slopes by forward differences."""

    def __init__(
        self,
        base: Callable[[np.ndarray], np.ndarray],
        changed: Sequence[Callable[[np.ndarray], np.ndarray]],
        scale: np.ndarray,
    ) -> None:
        self._base, self._changed = base, changed
        count = len(scale) - len(changed)
        self._steps, self._own_steps = np.diag(_STEP * scale[:count]), _STEP * scale[count:]

    def __call__(self, values: np.ndarray) -> Slopes:
        """Values, and slopes by states and parameters."""
        middle = self._base(values)
        by_states = [(self._base(values + step) - middle) / step[k] for k, step in enumerate(self._steps)]
        own = zip(self._changed, self._own_steps, strict=True)
        by_parameters = [(changed(values) - middle) / step for changed, step in own]
        return middle, np.array(by_states), np.array(by_parameters).reshape(len(by_parameters), len(middle))


class _Variational:
    """States and their sensitivities as one system: the states, then their derivatives by one unknown after the other."""

    def __init__(self, slopes: Callable[[np.ndarray], Slopes], scale: np.ndarray, count: int) -> None:
        self._slopes, self._count, self._own = slopes, count, scale[count:, None]
        self.evaluations = 0
        self._change = np.zeros((1 + len(scale), count))
        row, column = (index.ravel() for index in np.indices((count, count)))
        self._band, self._column = row - column + count - 1, column
        self._bands = np.zeros((2 * count - 1, 1 + len(scale), count))

    def begin_section(self, low: float, high: float) -> None:
        """Nothing changes with time."""

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of SciPy's ``odeint``: the Jacobian has the system's own on its diagonal, block by block."""
        return {"Dfun": self._jacobian, "ml": self._count - 1, "mu": self._count - 1}

    def __call__(self, time: float, values: np.ndarray) -> np.ndarray:
        """Return the derivative of states and sensitivities, in an array that the next call overwrites."""
        self.evaluations += 1
        count, change = self._count, self._change
        rows = values.reshape(change.shape)
        change[0], by_states, by_parameters = self._slopes(rows[0])
        np.matmul(rows[1:], by_states, out=change[1:])
        if len(self._own):
            change[1 + count :] += self._own * by_parameters
        return change.ravel()

    def _jacobian(self, time: float, values: np.ndarray) -> np.ndarray:
        """Bands of the block-diagonal Jacobian."""
        by_states = self._slopes(values[: self._count])[1]
        self._bands[self._band, :, self._column] = by_states.T.ravel()[:, None]
        return self._bands.reshape(len(self._bands), -1)

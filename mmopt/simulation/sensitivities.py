"""Ends of simulations and derived quantities with their derivatives by states and parameters, for estimators.

The variational equations are integrated together with the system: for the Jacobians J of the derivative f by states, and G by
parameters, the sensitivities S of the states follow S' = J S + G. The integrator chooses its steps for both, and its Newton
iteration takes the block-diagonal Jacobian (simultaneous corrector). A system that CasADi compiles has exact J and G; any
other has them from forward differences of the derivative. Where uptake of several spent species chatters, so that this fails,
they are differences of whole simulations.

VODE (Brown, Byrne and Hindmarsh 1989, SIAM J. Sci. Stat. Comput. 10:1038-1051) stays with backward differences: LSODA changed
to Adams's method in the middle of an interval in which dissolved oxygen was spent, and took twelve times as many evaluations.

References
----------
Maly and Petzold (1996), Appl. Numer. Math. 20:57-79 (sensitivities beside the states). Bock (1981), Springer Series in Chemical
Physics 18:102-125 (internal differentiation).
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.integrate import ode

from mmopt.checking import finite
from mmopt.errors import SolverError
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.system import Metabolism, System
from mmopt.simulation.compiled import CompiledDerivative, derivative_of
from mmopt.simulation.derivative import Derivative
from mmopt.simulation.inputs import check_names, checked_cell, initial_states, merged_parameters
from mmopt.simulation.simulate import simulate

_TOLERANCE: Final = 1.0e-9
"""Relative tolerance of states and sensitivities where the Jacobians are exact."""

_TOLERANCE_OF_DIFFERENCES: Final = 1.0e-6

_STEP: Final = 1.0e-5
"""Step of forward differences, in scales."""

_STEP_OF_SIMULATIONS: Final = 1.0e-3
"""Step of differences of whole simulations, in scales, where the variational equations do not come to an end."""

_MOST_STEPS: Final = 5_000
"""Steps of an interval, after which an integration ends: twenty times those in which dissolved oxygen is spent."""

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
        try:
            end = variational.integrated(rows, duration, _TOLERANCE if exact else _TOLERANCE_OF_DIFFERENCES)
        except SolverError:
            if not self._system.readings:  # without a cell nothing chatters: the solution has a pole
                raise
            return self._by_simulations(start, parameters, controls, duration)
        return Linearised(end[0], (end[1:] / scale[:, None]).T)

    def _by_simulations(
        self, start: np.ndarray, parameters: Mapping[str, float], controls: Mapping[str, float], duration: float
    ) -> Linearised:
        """States at the end, with derivatives from differences of whole simulations: rough, but they come to an end."""
        names, count = [state.name for state in self._system.states], len(start)
        held = {name: ConstantFeed(value) for name, value in controls.items()}

        def ended(unknowns: np.ndarray) -> np.ndarray:
            initial = dict(zip(names, unknowns[:count].tolist(), strict=True))
            changed = {**parameters, **dict(zip(self._estimated, unknowns[count:].tolist(), strict=True))}
            end = simulate(
                self._system, initial, held, duration, self._metabolism, parameters=changed, points=2, continued=True
            )
            return np.array([end.final(name) for name in names])

        unknowns = np.concatenate([start, [parameters[name] for name in self._estimated]])
        steps = _STEP_OF_SIMULATIONS * self._scale
        # a parameter goes down where it can: above, the metabolism need not be valid
        steps[count:] *= np.where(unknowns[count:] > steps[count:], -1.0, 1.0)
        middle = ended(unknowns)
        slopes = [(ended(unknowns + step) - middle) / step[k] for k, step in enumerate(np.diag(steps))]
        return Linearised(middle, np.array(slopes).T)

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
        self._slopes, self._count, self._sizes, self._own = slopes, count, scale[:count], scale[count:, None]
        self._change = np.zeros((1 + len(scale), count))
        row, column = (index.ravel() for index in np.indices((count, count)))
        self._band, self._column = row - column + count - 1, column
        self._bands = np.zeros((2 * count - 1, 1 + len(scale), count))
        self.shape = 2 * count - 1, self._change.size

    def integrated(self, rows: np.ndarray, duration: float, tolerance: float) -> np.ndarray:
        """States and sensitivities after some hours, as rows."""
        bands = self._count - 1
        guarded = _Guarded(self)
        solver = ode(guarded, guarded.jacobian).set_integrator(
            "vode",
            method="bdf",
            rtol=tolerance,
            atol=tolerance * np.tile(self._sizes, len(rows)),
            lband=bands,
            uband=bands,
            nsteps=_MOST_STEPS,
        )
        solver.set_initial_value(rows.ravel(), 0.0)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", UserWarning)  # the message is raised below
            end = solver.integrate(duration)
        if guarded.error is not None:
            raise guarded.error
        if not solver.successful() or not np.isfinite(end).all():
            raise SolverError(
                f"the integration with sensitivities failed after {solver.t:.4g} h of {duration:g} h; check initial states, "
                "parameters and feed"
            )
        ends: np.ndarray = end.reshape(rows.shape)
        return ends

    def __call__(self, time: float, values: np.ndarray) -> np.ndarray:
        """Return the derivative of states and sensitivities, in an array that the next call overwrites."""
        count, change = self._count, self._change
        rows = values.reshape(change.shape)
        change[0], by_states, by_parameters = self._slopes(rows[0])
        np.matmul(rows[1:], by_states, out=change[1:])
        if len(self._own):
            change[1 + count :] += self._own * by_parameters
        return change.ravel()

    def jacobian(self, time: float, values: np.ndarray) -> np.ndarray:
        """Bands of the block-diagonal Jacobian."""
        by_states = self._slopes(values[: self._count])[1]
        self._bands[self._band, :, self._column] = by_states.T.ravel()[:, None]
        return self._bands.reshape(self.shape)


class _Guarded:
    """Variational equations that keep an error until the integration has ended: VODE does not stop at one."""

    def __init__(self, variational: _Variational) -> None:
        self._variational = variational
        self.error: BaseException | None = None

    def __call__(self, time: float, values: np.ndarray) -> np.ndarray:
        """Derivative of states and sensitivities; not a number after an error."""
        return self._kept(self._variational, time, values, values.shape)

    def jacobian(self, time: float, values: np.ndarray) -> np.ndarray:
        """Bands of the Jacobian; not a number after an error."""
        return self._kept(self._variational.jacobian, time, values, self._variational.shape)

    def _kept(
        self,
        function: Callable[[float, np.ndarray], np.ndarray],
        time: float,
        values: np.ndarray,
        shape: tuple[int, ...],
    ) -> np.ndarray:
        if self.error is None:
            try:
                return function(time, values)
            except BaseException as error:  # an interruption, too, is raised when the integrator has returned
                self.error = error
        return np.full(shape, np.nan)

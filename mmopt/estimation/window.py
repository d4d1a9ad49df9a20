"""Nonlinear least squares over a window of intervals, within bounds: the problem that a moving-horizon estimator solves.

The unknowns are what is random: the deviation of the estimate at the window's beginning from its prior, and the drift of every
interval, in standard deviations. The states follow from them by integration (single shooting), so that a state without drift
needs no special case and no inverse of a covariance. A step of the Gauss-Newton method solves a linear least-squares problem
whose inequalities are the bounds of states and parameters at every time of the window, by least-distance programming.

References
----------
Lawson and Hanson (1974), Solving Least Squares Problems, Prentice-Hall, chapter 23. Bell (1994), SIAM J. Optim. 4:626-636 (the
Gauss-Newton method is an iterated Kalman smoother).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.linalg
import scipy.optimize

from mmopt.errors import MmoptError, SolverError
from mmopt.estimation.filter import Estimate, KalmanFilter

_NEGLIGIBLE: Final = 1.0e-15
"""Variance, relative to the largest, that counts as none."""

_CONVERGED: Final = 5.0e-3
"""Largest step of an unknown, in standard deviations, after which a search ends."""

_LITTLE: Final = 5.0e-3
"""Fall of half the sum of squares in a step that counts as none: that of an unknown which moves by a tenth of its deviation.
Where a substrate is spent slopes jump, and steps go to and fro between both sides."""

_CLOSE: Final = 0.1
"""Step of an unknown, in standard deviations, that is taken then without another integration."""

_MOST_STEPS, _MOST_HALVINGS = 20, 8

_ROUNDING: Final = 1.0e-9
"""Rise of the sum of squares that counts as none: integrations are as exact."""

_OUTSIDE: Final = 1.0e-10
"""Violation of a bound, in scales, that counts as none."""

_NO_DISTANCE: Final = 1.0e-12
"""Residual of the non-negative least squares that means inequalities without a solution."""


@dataclass(frozen=True, eq=False)
class Stage:
    """A time of the window, and the interval that follows.

    Attributes
    ----------
    measured
        Values by sensor, in its unit.
    held
        Value of every control when they were read.
    guess
        Initial guess of the unknowns, in scales; None for what the earlier ones predict.
    controls
        Value of every control over the interval that follows.
    duration
        Its length [h]; 0 at the last time.
    drift
        Covariance of the drift over it, shape (unknowns, unknowns).
    """

    measured: Mapping[str, float]
    held: Mapping[str, float]
    guess: np.ndarray | None
    controls: Mapping[str, float]
    duration: float
    drift: np.ndarray


@dataclass(frozen=True, eq=False)
class WindowEstimate:
    """Solution over a window.

    Attributes
    ----------
    nodes
        Unknowns at every time, in scales; shape (times, unknowns).
    last
        Estimate at the last time.
    """

    nodes: np.ndarray
    last: Estimate


@dataclass(frozen=True, eq=False)
class _Point:
    """The window at one value of the random unknowns, linearised: nodes, their derivatives, and residuals of measurements."""

    random: np.ndarray
    nodes: np.ndarray
    effects: np.ndarray
    residuals: np.ndarray
    slopes: np.ndarray

    @property
    def cost(self) -> float:
        """Half the sum of squares."""
        return 0.5 * float(self.random @ self.random + self.residuals @ self.residuals)


class Window:
    """The least-squares problem of a window.

    Parameters
    ----------
    equations
        The equations of the filter.
    prior
        Estimate at the first time, before the measurements there.
    stages
        Times of the window.

    Examples
    --------
    >>> from mmopt.estimation.filter import Estimate, KalmanFilter
    >>> from mmopt.estimation.window import Stage, Window
    >>> reactor = ecoli_fed_batch()
    >>> equations = KalmanFilter(reactor, load_surrogate("ecoli_ijo1366"), reactor.defaults, [], np.zeros(5), {"biomass": 0.1})
    >>> prior = equations.first(np.array([2.0, 1.0, 4.0, 0.0, 0.2]), 0.1)
    >>> stage = Stage({"biomass": 1.2}, {"feed": 0.0}, None, {}, 0.0, np.zeros((5, 5)))
    >>> round(equations.named(Window(equations, prior, [stage]).solve().last.mean)[0]["biomass"], 6)
    1.1
    """

    def __init__(self, equations: KalmanFilter, prior: Estimate, stages: Sequence[Stage]) -> None:
        self._equations, self._prior, self._stages = equations, prior, stages
        self._roots = [_root(prior.covariance), *(_root(stage.drift) for stage in stages[:-1])]
        self._ends = np.cumsum([root.shape[1] for root in self._roots])

    def solve(self) -> WindowEstimate:
        """Return the estimate that minimises the sum of squares within the bounds.

        Returns
        -------
        WindowEstimate

        Raises
        ------
        StudyError, DomainError, SolverError
            If an integration fails from the start, no step keeps the bounds, or the search does not converge.
        """
        point, price, fall = self._at(None), 0.0, np.inf
        for number in range(_MOST_STEPS):
            factor, target = self._normalised(point)
            step, multipliers = self._step(point, factor, target)
            size = float(np.abs(step).max(initial=0.0))
            if size <= _CONVERGED or fall <= _LITTLE:
                return self._result(point, factor, step if size <= _CLOSE else 0.0 * step)
            price = max(price, 2.0 * float(multipliers.max(initial=0.0)))
            lower = self._line_search(point, step, price)
            if lower is None and size > _CLOSE:
                raise SolverError(f"the sum of squares does not fall after {number} steps")
            if lower is None:
                return self._result(point, factor, step)
            point, fall = lower, self._penalised(point, price) - self._penalised(lower, price)
        raise SolverError(f"the sum of squares has no minimum after {_MOST_STEPS} steps")

    def _result(self, point: _Point, factor: np.ndarray, step: np.ndarray) -> WindowEstimate:
        """The solution after a small step, with the covariance of the linearised problem without bounds."""
        half = scipy.linalg.solve_triangular(factor, point.effects[-1].T, trans="T")
        nodes = np.clip(point.nodes + point.effects @ step, self._equations.lowest, self._equations.highest)
        return WindowEstimate(nodes, Estimate(nodes[-1], half.T @ half))

    def _at(self, random: np.ndarray | None) -> _Point:
        """The window at some values of the random unknowns; by default at those that lead to the guesses."""
        equations, roots = self._equations, self._roots
        own = np.zeros(self._ends[-1]) if random is None else random
        mean, change = self._prior.mean, np.zeros((len(self._prior.mean), self._ends[-1]))
        nodes, effects, residuals, slopes = [], [], [], []
        for stage, root, end in zip(self._stages, roots, self._ends, strict=True):
            columns = slice(end - root.shape[1], end)
            if random is None and stage.guess is not None:
                own[columns] = np.linalg.lstsq(root, stage.guess - mean, rcond=None)[0]
            node, effect = mean + root @ own[columns], change.copy()
            effect[:, columns] += root
            nodes.append(node)
            effects.append(effect)
            inside = np.clip(node, equations.lowest, equations.highest)
            if stage.measured:
                residual, slope = equations.residuals(inside, stage.measured, stage.held)
                residuals.append(residual)
                slopes.append(slope @ effect)
            if stage.duration > 0.0:
                mean, moved = equations.moved(inside, stage.controls, stage.duration)
                change = moved @ effect
        return _Point(
            own,
            np.array(nodes),
            np.array(effects),
            np.concatenate([np.zeros(0), *residuals]),
            np.vstack([np.zeros((0, len(own))), *slopes]),
        )

    def _normalised(self, point: _Point) -> tuple[np.ndarray, np.ndarray]:
        """Triangular factor R and target b: the linearised sum of squares is (R step - b)' (R step - b) and a constant."""
        size = len(point.random)
        rotation, factor = np.linalg.qr(np.vstack([np.eye(size), point.slopes]))
        return factor, rotation.T @ np.concatenate([-point.random, point.residuals])

    def _step(self, point: _Point, factor: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Step that minimises the linearised sum of squares within the bounds, and the multipliers of these."""
        rows, least = self._inequalities(point)
        step = scipy.linalg.solve_triangular(factor, target)
        if np.all(rows @ step >= least - _OUTSIDE):
            return step, np.zeros(0)
        normalised = scipy.linalg.solve_triangular(factor, rows.T, trans="T").T
        shift, multipliers = _least_distance(normalised, least - normalised @ target)
        return scipy.linalg.solve_triangular(factor, target + shift), multipliers

    def _inequalities(self, point: _Point) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the nodes as rows @ step >= least; those that no step changes are left out."""
        low, high = self._equations.lowest - point.nodes, self._equations.highest - point.nodes
        below, above = np.isfinite(low), np.isfinite(high)
        rows = np.vstack([point.effects[below], -point.effects[above]])
        least = np.concatenate([low[below], -high[above]])
        moves = np.abs(rows).max(axis=1, initial=0.0) > _OUTSIDE
        return rows[moves], least[moves]

    def _line_search(self, point: _Point, step: np.ndarray, price: float) -> _Point | None:
        """The first point on the way along a step, halved again and again, at which the exact penalty function is lower."""
        before, fraction = self._penalised(point, price), 1.0
        for _ in range(_MOST_HALVINGS):
            try:
                trial = self._at(point.random + fraction * step)
            except MmoptError:  # an integration that fails there
                fraction /= 2.0
                continue
            if self._penalised(trial, price) <= before + _ROUNDING * (1.0 + before):
                return trial
            fraction /= 2.0
        return None

    def _penalised(self, point: _Point, price: float) -> float:
        """Cost, with the price of what lies outside the bounds."""
        inside = np.clip(point.nodes, self._equations.lowest, self._equations.highest)
        return point.cost + price * float(np.abs(point.nodes - inside).sum())


def _root(covariance: np.ndarray) -> np.ndarray:
    """A root L of a covariance L L', with a column for every direction that has variance."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _NEGLIGIBLE * max(float(values.max(initial=0.0)), 0.0)
    root: np.ndarray = vectors[:, kept] * np.sqrt(values[kept])
    return root


def _least_distance(rows: np.ndarray, least: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shortest vector with rows @ vector >= least, and the multipliers of the rows."""
    target = np.zeros(rows.shape[1] + 1)
    target[-1] = 1.0
    try:
        weights, distance = scipy.optimize.nnls(np.vstack([rows.T, least]), target)
    except RuntimeError as error:
        raise SolverError(f"the bounds of the window: {error}") from error
    if distance <= _NO_DISTANCE:
        raise SolverError("no step keeps the bounds of the window")
    multipliers = weights / (1.0 - float(least @ weights))
    return rows.T @ multipliers, multipliers

"""Radau collocation of a fed-batch by hand in CasADi: what the comparisons with other routes have in common.

Everything is scaled as mmopt scales it. The equations of the reactor are mmopt's own, called with CasADi's symbols.
"""

from collections.abc import Mapping
from typing import Any

import casadi
import numpy as np

from mmopt import Problem, Trajectory

SLOW, FAST = ("volume", "biomass", "glucose", "acetate"), "oxygen"
"""States with a slope, and the one that settles at once."""


class ByHand:
    """Variables of a fed-batch with one feed, and what ties them.

    Attributes
    ----------
    inner, fast, feed
        Symbols: slow states and the fast one at all points, shapes (slow, points) and (1, points); the feed of the elements.
    times
        Of the points [h], shape (elements, points of one).
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        horizon = problem.horizon
        self._each, self._elements = horizon.points, horizon.elements
        self._inside = casadi.collocation_points(self._each, "radau")
        self.count = self._elements * self._each
        self.times = (np.arange(self._elements)[:, None] + np.array(self._inside)) * horizon.hours / self._elements
        self.inner = casadi.MX.sym("inner", len(SLOW), self.count)
        self.fast = casadi.MX.sym("fast", 1, self.count)
        self.feed = casadi.MX.sym("feed", 1, self._elements)
        self.scales = [problem.scales[name] for name in SLOW]

    @property
    def variables(self) -> Any:
        """All variables, in one column."""
        return casadi.veccat(self.inner, self.fast, self.feed)

    @property
    def feeds(self) -> Any:
        """The feed at all points."""
        return casadi.kron(self.feed, casadi.DM.ones(1, self._each))

    @property
    def begin(self) -> np.ndarray:
        """Slow states at the start."""
        return self.scaled(self.problem.start_values)

    def scaled(self, start: Mapping[str, float]) -> np.ndarray:
        """Slow states of a start, scaled."""
        return np.array([start[name] / scale for name, scale in zip(SLOW, self.scales, strict=True)])

    def named(self, x: Any, z: Any) -> dict[str, Any]:
        """States of a point by name, in their units."""
        slow = {name: x[k] * scale for k, (name, scale) in enumerate(zip(SLOW, self.scales, strict=True))}
        return {**slow, FAST: z * self.problem.scales[FAST]}

    def slopes(self, change: Mapping[str, Any]) -> tuple[Any, Any]:
        """Scaled slopes of the slow states [1/h], and what has to be zero for the fast one."""
        slow = [change[name] / scale for name, scale in zip(SLOW, self.scales, strict=True)]
        return casadi.vertcat(*slow), change[FAST] / self.problem.scales[FAST]

    def gaps(self, begin: Any, slopes: Any) -> Any:
        """By what polynomials miss the slopes at all points."""
        table, _, _ = casadi.collocation_coeff(self._inside)
        edges = casadi.horzcat(begin, self.inner[:, self._each - 1 : -1 : self._each])
        width = self.problem.horizon.hours / self._elements
        gaps = []
        for k in range(self._elements):
            here = slice(k * self._each, (k + 1) * self._each)
            known = casadi.horzcat(edges[:, k], self.inner[:, here])
            gaps.append(casadi.mtimes(known, table) - width * slopes[:, here])
        return casadi.veccat(*gaps)

    @property
    def move_penalty(self) -> float:
        """Price of squared jumps of the scaled feed."""
        control = self.problem.controls["feed"]
        return float(control.move_penalty * (self.problem.scales["feed"] / (control.high - control.low)) ** 2)

    def worth(self, volume: Any, biomass: Any) -> Any:
        """The objective at the end, scaled, from states in their units."""
        return volume * biomass / self.problem.quantities["biomass_amount"].scale

    @property
    def cost(self) -> Any:
        """What is to be small."""
        last = self.inner[:, -1] * casadi.DM(self.scales)
        jumps = self.feed[:, 1:] - self.feed[:, :-1]
        return -self.worth(last[0], last[1]) + self.move_penalty * casadi.sumsqr(jumps)

    def bounds(self, name: str, floor: float) -> tuple[float, float]:
        """Lowest and highest value of a state after the start, scaled; the lowest is ``floor`` without a limit above it."""
        low, high = self.problem.limits.get(name, (None, None))
        scale = self.problem.scales[name]
        return max(floor, -np.inf if low is None else low / scale), np.inf if high is None else high / scale

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest feed, scaled."""
        control = self.problem.controls["feed"]
        return control.low / self.problem.scales["feed"], control.high / self.problem.scales["feed"]

    def bounded(self, floor: float) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest values of all variables."""
        low, high = zip(*(self.bounds(name, floor) for name in (*SLOW, FAST)), strict=True)
        sides = [
            np.concatenate(
                [np.tile(side[:-1], self.count), np.full(self.count, side[-1]), np.full(self._elements, end)]
            )
            for side, end in zip((low, high), self.range, strict=True)
        ]
        return sides[0], sides[1]

    def at(self, made: Trajectory, name: str, times: Any) -> np.ndarray:
        """A trajectory's values at some times, scaled."""
        found: np.ndarray = made.at(name, times) / self.problem.scales[name]
        return found

    def held(self, made: Trajectory) -> np.ndarray:
        """A trajectory's feed in the middle of each element, scaled."""
        middle = (np.arange(self._elements) + 0.5) * self.problem.horizon.hours / self._elements
        return self.at(made, "feed", middle)

    def start(self, made: Trajectory) -> np.ndarray:
        """Values of all variables on a trajectory."""
        times = self.times.ravel()
        slow = np.array([self.at(made, name, times) for name in SLOW])
        return np.concatenate([slow.T.ravel(), self.at(made, FAST, times), self.held(made)])

    def feed_of(self, values: np.ndarray) -> list[float]:
        """The feed among values of all variables, in its unit and range."""
        control = self.problem.controls["feed"]
        first = (len(SLOW) + 1) * self.count
        part = np.asarray(values)[first : first + self._elements] * self.problem.scales["feed"]
        found: list[float] = np.clip(part, control.low, control.high).tolist()
        return found

"""Moving-horizon estimation: states and parameters that fit the measurements of the last intervals best, within their bounds.

What lies before the window is the prior of its first time (arrival cost): the prediction of that time by the filter, from this
estimator's own estimate then. So no measurement counts twice, and on a linear system without active bounds the estimate is that
of the Kalman filter, whatever the horizon.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from mmopt.arguments import whole
from mmopt.control.estimator import Estimator
from mmopt.errors import MmoptError
from mmopt.estimation.filter import Estimate
from mmopt.estimation.window import Stage, Window
from mmopt.reactor.system import Metabolism, System

_HORIZON: Final = 6


class MovingHorizonEstimator(Estimator):
    """A moving-horizon estimator for the states, and for parameters that are not known well.

    Parameters
    ----------
    system, metabolism, initial, noise, parameters, drifting, drift, uncertainty
        As for `Estimator`.
    horizon
        Number of intervals in the window.

    Attributes
    ----------
    horizon
        Number of intervals in the window.

    Raises
    ------
    StudyError
        If a name is unknown, or a number is missing, not finite or out of range.

    References
    ----------
    Rao, Rawlings and Mayne (2003), IEEE Trans. Autom. Control 48:246-258.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> cell = load_surrogate("ecoli_ijo1366")
    >>> estimator = MovingHorizonEstimator(ecoli_fed_batch(), cell, start, {"biomass": 0.02}, horizon=4)
    >>> estimator.predict({"feed": 0.0}, 0.5)
    >>> estimator.update({"biomass": 1.5})
    ()
    >>> 1.5 < estimator.states["biomass"] < 1.55
    True
    """

    def __init__(
        self,
        system: System,
        metabolism: Metabolism | None,
        initial: Mapping[str, float],
        noise: Mapping[str, float],
        *,
        horizon: int = _HORIZON,
        parameters: Mapping[str, float] | None = None,
        drifting: Mapping[str, float] | None = None,
        drift: float = 0.02,
        uncertainty: float = 0.05,
    ) -> None:
        super().__init__(
            system,
            metabolism,
            initial,
            noise,
            parameters=parameters,
            drifting=drifting,
            drift=drift,
            uncertainty=uncertainty,
        )
        self.horizon = whole("horizon", horizon, least=1)
        self._nodes: dict[float, np.ndarray] = {}

    def _refine(self, notes: list[str]) -> None:
        """Solve the window; where that fails, the filter's estimate stays."""
        prior, stages = self._window()
        try:
            solution = Window(self._filter, prior, list(stages.values())).solve()
        except (MmoptError, ValueError, ArithmeticError) as error:
            notes.append(f"the window has no estimate ({error}); the filter's is taken")
            self._nodes = {}
        else:
            self._now, self._nodes = solution.last, dict(zip(stages, solution.nodes, strict=True))

    def _window(self) -> tuple[Estimate, dict[float, Stage]]:
        """The prior of the window, and its stages by time."""
        intervals = list(self._past)[-self.horizon :]
        prior = intervals[0].before.widened(intervals[0].extra) if intervals else self._before.widened(self._extra)
        after = [*((one.before, one.extra) for one in intervals[1:]), (self._before, self._extra)]
        stages = {}
        for one, (estimate, extra) in zip(intervals, after, strict=False):
            drift = self._filter.drifted(estimate.mean, one.duration) + extra
            guess = self._nodes.get(one.begin)
            stages[one.begin] = Stage(one.measured, one.held, guess, one.controls, one.duration, drift)
        guess, none = self._nodes.get(self.time), np.zeros_like(self._extra)
        stages[self.time] = Stage(self._measured, self._controls, guess, self._controls, 0.0, none)
        return prior, stages

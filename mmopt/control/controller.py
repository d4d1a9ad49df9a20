"""Nonlinear model predictive control over the rest of a batch.

The program is written and compiled once. Each step changes data alone (state, remaining time, estimated parameters) and
starts from the last accepted plan. Limits are soft, so that a disturbed plant always has a next move. A step never raises
and never returns an unexplained move: where no solve is accepted, it says which fallback it took, and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import numpy as np

from mmopt.checking import finite
from mmopt.errors import MmoptError, StudyError
from mmopt.plan.plan import profile_of
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile
from mmopt.results import Trajectory, trajectory
from mmopt.search.initial_guess import feasible_guess
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.compiled import CompiledProblem
from mmopt.transcription.equations import Relaxation

PRICE: Final = 100.0
"""Price of a violated limit; about ten times the gain from violating the oxygen limit of the E. coli case."""

STEP_OPTIONS: Final = {"max_iter": 300, "max_wall_time": 20.0, "alpha_for_y": "primal"}
"""A step must end before the next sample is due."""

LAST_PLAN, LOWEST = "last plan", "lowest controls"
"""The fallbacks, in the order they are tried."""

_MEAN_OF: Final = (np.arange(200) + 0.5) / 200
"""Fractions of an interval at which a plan is read for its mean."""


@dataclass(frozen=True)
class Move:
    """Decision of a controller for the next interval.

    Attributes
    ----------
    controls
        Value of every control, held over the interval.
    status
        How the solve behind it ended.
    iterations, seconds
        Sums over all solves of the step.
    fallback
        Empty if the move is the optimum's; else the fallback it comes from.
    reason
        Why there was a fallback.

    Examples
    --------
    >>> Move({"feed": 0.05}, Status.OPTIMAL, iterations=7, seconds=0.03).fallback
    ''
    """

    controls: Mapping[str, float]
    status: Status
    iterations: int
    seconds: float
    fallback: str = ""
    reason: str = ""


class Controller:
    """A shrinking-horizon controller of a batch.

    Parameters
    ----------
    problem
        What is maximised at the end of the batch; its horizon is the whole batch.
    surrogate
        Surrogate of the cell; None for a system without one.
    interval
        Time between moves [h].
    price
        Price of a violated limit, see `mmopt.transcription.Relaxation`. A limit is kept only where violating it gains less:
        if a plan violates one that could be kept, raise the price.
    ipopt
        Options of Ipopt that differ from mmopt's.

    Raises
    ------
    StudyError
        If the interval is outside the horizon, or the price not above 0.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)})
    >>> controller = Controller(problem, load_surrogate("ecoli_ijo1366"), interval=1.0)
    >>> move = controller.step(0.0, start)
    >>> move.status.name, move.fallback
    ('OPTIMAL', '')
    """

    def __init__(
        self,
        problem: Problem,
        surrogate: Surrogate | None,
        interval: float,
        *,
        price: float = PRICE,
        ipopt: Mapping[str, Any] | None = None,
    ) -> None:
        hours = problem.horizon.hours
        self.interval = finite("interval", interval, above=0.0, unit="h")
        if self.interval > hours:
            raise StudyError(f"interval is {interval:g} h; give one above 0 and within {hours:g} h")
        self.problem = problem
        self._compiled = CompiledProblem(
            problem,
            surrogate,
            relaxation=Relaxation(finite("price", price, above=0.0)),
            options={**STEP_OPTIONS, **(ipopt or {})},
        )
        self._plan: Trajectory | None = None
        self._profiles: Mapping[str, Profile] = {}

    def step(self, time: float, states: Mapping[str, float], parameters: Mapping[str, float] | None = None) -> Move:
        """Decide the controls of the interval that begins at ``time``.

        Parameters
        ----------
        time
            Time since the start of the batch [h].
        states
            Estimate of every state, in its unit.
        parameters
            Estimates of parameters that differ from the problem's.

        Returns
        -------
        Move
            In every case; a failure is in ``status``, ``fallback`` and ``reason``.
        """
        started = perf_counter()
        solves: list[Solve] = []
        reason = ""
        try:
            self._set(time, states, parameters or {})
            self._solve(time, solves)
        except (MmoptError, RuntimeError, ValueError, ArithmeticError) as error:
            reason = f"{type(error).__name__}: {error}"
        status = solves[-1].status if solves else Status.NUMERICAL_TROUBLE
        accepted = status.solved and not reason
        if accepted:
            self._accept(time)
        elif not reason:
            reason = f"{status.value} ({solves[-1].ending})"
        fallback = "" if accepted else LAST_PLAN if self._profiles else LOWEST
        return Move(
            controls=self._next(time),
            status=status,
            iterations=sum(solve.iterations for solve in solves),
            seconds=perf_counter() - started,
            fallback=fallback,
            reason="" if accepted else reason,
        )

    @property
    def plan(self) -> Trajectory | None:
        """The last accepted plan, from its step to the end of the batch."""
        return self._plan

    def _set(self, time: float, states: Mapping[str, float], parameters: Mapping[str, float]) -> None:
        if not all(np.isfinite([time, *states.values(), *parameters.values()])):
            raise ValueError("the estimate holds numbers that are not finite")
        left = self.problem.horizon.hours - time
        if left <= 0.0:
            raise ValueError(f"the batch ended at {self.problem.horizon.hours:g} h")
        self._compiled.change(initial=states, length=left, parameters=parameters)

    def _solve(self, time: float, solves: list[Solve]) -> None:
        """Warm from the last plan if there is one; cold from a simulated feed if there is none, or if that failed."""
        if self._plan is not None:
            self._compiled.start(self._plan, begin=time)
            solves.append(self._compiled.solve(warm=True))
        if not solves or not solves[-1].status.solved:
            self._compiled.start(feasible_guess(self._compiled.simulator).trajectory)
            solves.append(self._compiled.solve())

    def _accept(self, time: float) -> None:
        problem, answer = self._compiled.problem, self._compiled.program.read_answer()
        edges = tuple(problem.horizon.edges(time).tolist())
        self._profiles = {
            name: profile_of(problem.controls[name].shape, edges, values) for name, values in answer.controls.items()
        }
        times = time + answer.fractions * problem.horizon.hours
        values = {state.name: ("state", state.unit, answer.states[k]) for k, state in enumerate(problem.system.states)}
        for control in problem.system.controls:
            held = np.array([self._profiles[control.name](float(t)) for t in times])
            values[control.name] = ("control", control.unit, held)
        self._plan = trajectory(times, values, Status.OPTIMAL)

    def _next(self, time: float) -> dict[str, float]:
        """The plan's mean over the next interval, which gives the same amount; the lowest controls without a plan."""
        if not self._profiles:
            return {name: float(control.low) for name, control in self.problem.controls.items()}
        end = min(time + self.interval, self.problem.horizon.hours)
        within = time + (end - time) * _MEAN_OF
        return {name: float(np.mean([profile(float(t)) for t in within])) for name, profile in self._profiles.items()}

"""Nonlinear model predictive control over the rest of a batch, or over a horizon that recedes.

The program is written and compiled once. Each step changes data alone (state, remaining time, estimated parameters) and
starts from the last accepted plan. Limits come first, see `mmopt.control.limits_first`, and a gate that knows no optimiser
lets only what the pump and the vessel can take pass. A step never raises and never returns an unexplained move: where no solve
is accepted, it says which fallback it took, and why.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final

import numpy as np

from mmopt.checking import finite, shown
from mmopt.control.advanced_step import AdvancedStep, step_solver
from mmopt.control.gate import Gate
from mmopt.control.limits_first import Decision
from mmopt.errors import StudyError
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile, StepFeed
from mmopt.results import Trajectory
from mmopt.search.options import Deadline
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.bounds import Answer
from mmopt.transcription.readout import outline_of, profiles_of

SIMULATED, LAST_PLAN, LOWEST = "simulated controls", "last plan", "lowest controls"
"""The fallbacks, in the order they are tried."""

SHRINKING, RECEDING = "shrinking", "receding"
HORIZONS: Final = (SHRINKING, RECEDING)

_TIME_LIMIT: Final = 20.0
_MOST_FALLBACKS: Final = 3
"""Steps in a row for which the last plan is followed."""

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
    violations
        Limits that the plan violates, in words: which, by how much, and when in hours from now.
    notes
        What was changed in the estimate, or done where limits cannot be kept.

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
    violations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Controller:
    """A controller of a batch, or of a culture that goes on.

    Parameters
    ----------
    problem
        What is maximised. Windows, the fastest change of controls, set-points over time and the start that an objective reads
        are those of the time of the batch, at every step.
    surrogate
        Surrogate of the cell; None for a system without one.
    interval
        Time between moves [h].
    horizon
        ``shrinking``: the horizon of the problem is the whole batch, and a step optimises what is left of it.
        ``receding``: every step optimises a horizon of that length from its own time on, and the batch has no end; limits
        at the end are those of the horizon of every step.
    scenarios
        Parameters of several scenarios that differ from the problem's, the first of them the most likely: the limits are kept
        in all of them, and their mean is optimised. Where a parameter is estimated, the ratio to the problem's value stays.
    robust_horizon
        Hours in which the controls are the same in all scenarios, later each has its own [h]; the interval by default.
    advanced_step
        Whether `look_ahead` prepares steps, so that a step moves the optimum for the predicted state along with the sample.
    time_limit
        Seconds after which a step solves no more, and takes a fallback. Ipopt is stopped between iterations.
    ipopt
        Options of Ipopt that differ from mmopt's.

    Raises
    ------
    StudyError
        If the interval is outside the horizon, the kind of horizon is unknown, a number is out of range, or the problem leaves
        the length, the initial state or parameters to be chosen.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)})
    >>> controller = Controller(problem, load_surrogate("ecoli_ijo1366"), interval=1.0)
    >>> move = controller.step(0.0, start)
    >>> move.status.name, move.fallback
    ('OPTIMAL', '')
    >>> held = replace(problem, maximise=Tracking({"biomass": 1.5}, moves={"feed": 10.0}))
    >>> Controller(held, load_surrogate("ecoli_ijo1366"), 1.0, horizon="receding").step(30.0, start).fallback
    ''
    """

    def __init__(
        self,
        problem: Problem,
        surrogate: SmoothCell | None,
        interval: float,
        *,
        horizon: str = SHRINKING,
        scenarios: Sequence[Mapping[str, float]] = (),
        robust_horizon: float | None = None,
        advanced_step: bool = False,
        time_limit: float = _TIME_LIMIT,
        ipopt: Mapping[str, Any] | None = None,
    ) -> None:
        if problem.has_choices:
            raise StudyError(
                "a controller takes a fixed length, initial state and parameters; give numbers, such as plan.fixed_problem has"
            )
        hours = problem.horizon.hours
        self.interval = finite("interval", interval, above=0.0, unit="h")
        if self.interval > hours:
            raise StudyError(f"interval is {interval:g} h; give one above 0 and within {hours:g} h")
        if horizon not in HORIZONS:
            raise StudyError(f"horizon is {shown(horizon)}; use one of {', '.join(HORIZONS)}")
        self.horizon = horizon
        self.problem, self.surrogate = problem, surrogate
        self.time_limit = finite("time_limit", time_limit, above=0.0, unit="s")
        robust = finite(
            "robust_horizon", self.interval if robust_horizon is None else robust_horizon, above=0.0, unit="h"
        )
        self._solver = step_solver(problem, surrogate, (scenarios, robust), advanced_step, ipopt)
        self._gate = Gate(problem, self.interval, ends=horizon == SHRINKING)
        self._plan: Trajectory | None = None
        self._profiles: Mapping[str, Profile] = {}
        self._last: Mapping[str, float] = {}
        self._fallbacks = 0

    def reset(self) -> None:
        """Forget plan, moves and solves, for another batch; what was compiled stays."""
        self._solver.reset()
        self._plan, self._profiles, self._last, self._fallbacks = None, {}, {}, 0

    def prepare(self) -> None:
        """Solve the problem from its own start, before the batch begins, so that the first step starts from a plan.

        Nothing is done where there is a plan. A solve that fails changes nothing: the first step solves without a plan then.
        """
        if self._plan is None:
            try:
                self._decided(0.0, self.problem.start_values, {})
            except Exception:  # whatever happened, the first step meets it again, and its reason says what it was
                self._plan, self._profiles = None, {}

    def look_ahead(
        self, time: float, states: Mapping[str, float] | None = None, parameters: Mapping[str, float] | None = None
    ) -> None:
        """Solve the step at ``time`` for a predicted state, between two steps, where the controller takes advanced steps.

        A solve that fails changes nothing.

        Parameters
        ----------
        time
            Time of the next step, since the start of the batch [h].
        states, parameters
            Prediction of every state, in its unit, and estimates; by default the states of the last plan.
        """
        if not isinstance(self._solver, AdvancedStep) or self._plan is None:
            return
        try:
            plan = self._plan
            expected = states or {state.name: float(plan.at(state.name, time)) for state in self.problem.system.states}
            estimate, _ = self._estimate(time, expected, parameters or {})
            self._set(time, estimate, parameters or {})
            decision = self._solver.look_ahead(plan, time, Deadline.after(self.time_limit))
            if decision.answer is not None:
                self._accept(time, decision.answer)
        except Exception:  # the step itself meets it again, and its reason says what it was
            self._plan = plan

    def step(
        self,
        time: float,
        states: Mapping[str, float],
        parameters: Mapping[str, float] | None = None,
        applied: Mapping[str, float] | None = None,
    ) -> Move:
        """Decide the controls of the interval that begins at ``time``.

        Parameters
        ----------
        time
            Time since the start of the batch [h].
        states
            Estimate of every state, in its unit. What is below the lowest value of a state counts as that, and is noted.
        parameters
            Estimates of parameters that differ from the problem's.
        applied
            Controls that the plant had last, from which rates of change count; the last move by default.

        Returns
        -------
        Move
            In every case; a failure is in ``status``, ``fallback`` and ``reason``.
        """
        started = perf_counter()
        self._last = dict(applied) if isinstance(applied, Mapping) else self._last
        decision, reason = Decision(None, (), ()), ""
        notes: tuple[str, ...] = ()
        try:
            estimate, notes = self._estimate(time, states, parameters or {})
            decision = self._decided(time, estimate, parameters or {})
            reason = decision.failure
        except Exception as error:  # whatever happened, the plant needs a move, and the reason says what it was
            reason = f"{type(error).__name__}: {error}"
        wanted, fallback = self._wanted(time, reason, decision.simulated)
        controls = self._gate.passed(
            wanted, _number_or(time, 0.0), states if isinstance(states, Mapping) else {}, self._last
        )
        self._last = controls
        return Move(
            controls=controls,
            status=decision.status,
            iterations=sum(solve.iterations for solve in decision.solves),
            seconds=perf_counter() - started,
            fallback=fallback,
            reason=reason,
            violations=() if reason and not decision.simulated else tuple(map(str, decision.violations)),
            notes=(*notes, *([decision.note] if decision.note else [])),
        )

    @property
    def plan(self) -> Trajectory | None:
        """The last accepted plan, from its step to the end of its horizon."""
        return self._plan

    def _estimate(
        self, time: float, states: Mapping[str, float], parameters: Mapping[str, float]
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """The estimate within what states can be, and what was changed."""
        known = {state.name: state for state in self.problem.system.states}
        missing = [name for name in known if name not in states]
        bad = [name for name, value in {"time": time, **states, **parameters}.items() if not _is_number(value)]
        if missing or bad:
            wrong = [*(f"{name} is missing" for name in missing), *(f"{name} is no finite number" for name in bad)]
            raise StudyError(f"the estimate cannot be used: {', '.join(wrong)}")
        below = [name for name, state in known.items() if states[name] < state.lower]
        notes = tuple(
            f"{name} is {states[name]:g}, below its lowest value; taken as {known[name].lower:g}" for name in below
        )
        return {name: max(float(value), known[name].lower) for name, value in states.items() if name in known}, notes

    def _decided(self, time: float, states: Mapping[str, float], parameters: Mapping[str, float]) -> Decision:
        """Solve from the last plan, and keep the answer as the next one."""
        self._set(time, states, parameters)
        decision = self._solver.solve(self._plan, time, Deadline.after(self.time_limit))
        if decision.answer is not None:
            self._accept(time, decision.answer)
        return decision

    def _set(self, time: float, states: Mapping[str, float], parameters: Mapping[str, float]) -> None:
        """Give the program the present data."""
        hours = self.problem.horizon.hours
        left = hours if self.horizon == RECEDING else hours - time
        if left <= 0.0:
            raise StudyError(f"the batch ended at {hours:g} h")
        controls, first = {}, {}
        for name, control in self.problem.controls.items():
            windows = control.windows and tuple((begin - time, end - time) for begin, end in control.windows)
            controls[name] = replace(control, windows=windows)
            if control.rate_limit is not None and name in self._last:
                step = control.rate_limit * self.interval
                first[name] = (self._last[name] - step, self._last[name] + step)
        self._solver.set_data(time, states, left, parameters, controls, first, self._last or None)

    def _accept(self, time: float, answer: Answer) -> None:
        """Keep the answer as the plan."""
        problem = self._solver.problem
        self._profiles = profiles_of(problem, answer, time)
        self._plan = outline_of(problem, answer, time)

    def _wanted(self, time: float, reason: str, simulated: bool) -> tuple[dict[str, float], str]:
        """The move before the gate, and the fallback it comes from."""
        if not reason or simulated:
            self._fallbacks = 0
            return self._next(time), SIMULATED if simulated else ""
        self._fallbacks += 1
        if self._profiles and self._fallbacks <= _MOST_FALLBACKS and _is_number(time):
            return self._next(time), LAST_PLAN
        return {name: float(control.low) for name, control in self.problem.controls.items()}, LOWEST

    def _next(self, time: float) -> dict[str, float]:
        """The plan's mean over the next interval, which gives the same amount; of an element in no window it has no say."""
        end = time + self.interval
        if self.horizon == SHRINKING:
            end = min(end, self.problem.horizon.hours)
        times = time + (end - time) * _MEAN_OF
        moves = {}
        for name, profile in self._profiles.items():
            rates = np.array([profile(float(t)) for t in times])
            if isinstance(profile, StepFeed) and self.problem.controls[name].windows is not None:
                edges = np.array(profile.edges)
                element = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2)
                free = self.problem.controls[name].is_free(edges)[element]
                rates = rates[free] if free.any() else rates
            moves[name] = float(np.mean(rates))
        return moves


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _number_or(value: Any, other: float) -> float:
    return float(value) if _is_number(value) else other

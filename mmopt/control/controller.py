"""Nonlinear model predictive control over the rest of a batch, or over a horizon that recedes.

The program is written and compiled once. Each step changes data alone (state, remaining time, estimated parameters) and
starts from the last accepted plan. Limits come first, see `mmopt.control.limits_first`, and a gate that knows no optimiser
lets only what the pump and the vessel can take pass. A step never raises and never returns an unexplained move: where no solve
is accepted, it says which fallback it took, and why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Any, Final, Self

from mmopt.checking import finite, shown
from mmopt.control.advanced_step import AdvancedStep, step_solver
from mmopt.control.fallbacks import SIMULATED, Fallbacks, Move
from mmopt.control.gate import Gate, number, usable_estimate
from mmopt.control.limits_first import LimitsFirst
from mmopt.control.multi_stage import MultiStage
from mmopt.control.step_program import Decision
from mmopt.errors import StudyError
from mmopt.parallel.own_process import OwnProcess
from mmopt.parallel.threads import one_thread_at_a_time
from mmopt.problem.problem import Problem
from mmopt.problem.step_data import StepData
from mmopt.reactor.profiles import Profile
from mmopt.results import Trajectory
from mmopt.search.options import Deadline
from mmopt.search.scenario_starts import scenario_problems
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.bounds import Answer
from mmopt.transcription.readout import mean_controls, outline_of, profiles_of

SHRINKING, RECEDING = "shrinking", "receding"
HORIZONS: Final = (SHRINKING, RECEDING)

_TIME_LIMIT: Final = 20.0
_VOLUME: Final = "volume"


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
        Time between moves [h]. The first elements of every plan end with it, and controls have one value in them.
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
        Seconds after which a step solves no more, and takes a fallback. In this process Ipopt is stopped between iterations,
        and a simulation runs to its end.
    own_process
        Whether the solver lives in a process of its own, as `mmopt.parallel.OwnProcess`: a step without an answer at its time
        limit is given up, whatever the solver does; its process is killed, and another one compiles in the background. Until
        that is ready, steps take fallbacks. Moves are the same as without it.
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
        own_process: bool = False,
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
        together = self.interval if robust_horizon is None else robust_horizon
        robust = tuple(scenarios), finite("robust_horizon", together, above=0.0, unit="h")
        scenario_problems(problem, scenarios)  # which a process would only check later
        build = partial(step_solver, problem, surrogate, self.interval, robust, advanced_step, ipopt)
        self._solver = _hosted(build, advanced_step, own_process)
        self._gate = Gate(problem, self.interval, ends=horizon == SHRINKING)
        self._plan: Trajectory | None = None
        self._profiles: Mapping[str, Profile] = {}
        self._last: Mapping[str, float] = {}
        self._fallbacks = Fallbacks(problem, self.interval, ends=horizon == SHRINKING)
        self._volume: float | None = None

    @one_thread_at_a_time
    def reset(self) -> None:
        """Forget plan, moves and solves, for another batch; what was compiled stays."""
        self._solver.reset()
        self._fallbacks.reset()
        self._plan, self._profiles, self._last, self._volume = None, {}, {}, None

    def close(self) -> None:
        """End the process of the solver, if it has one; it also ends with this object and with this process."""
        if isinstance(self._solver, OwnProcess):
            self._solver.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process of the solver."""
        self.close()

    @one_thread_at_a_time
    def prepare(self) -> None:
        """Solve the problem from its own start, before the batch begins, so that the first step starts from a plan.

        Nothing is done where there is a plan. A solve that fails changes nothing: the first step solves without a plan then.
        With a solver in its own process this waits until that has started and compiled, which no time limit ends.
        """
        if self._plan is not None:
            return
        start = self.problem.start_values
        try:
            if isinstance(self._solver, OwnProcess):
                self._solver.wait()
            self._decided(0.0, start, {}, Deadline.after(self.time_limit))
        except Exception:  # whatever happened, the first step meets it again, and its reason says what it was
            self._plan, self._profiles = None, {}
        begin = 0.0 if self._plan is None else self._fallbacks.first_use - self.interval
        self._prepare_feed(0.0, begin, start, Deadline.after(self.time_limit))

    @one_thread_at_a_time
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
            estimate, _ = usable_estimate(self.problem, time, expected, parameters or {})
            self._set(time, estimate, parameters or {})
            deadline = Deadline.after(self.time_limit)
            decision = self._solver.look_ahead(plan, time, deadline)
            if decision.answer is not None:
                self._accept(time, decision.answer)
                self._prepare_feed(time, time + self._fallbacks.first_use, {}, deadline)
        except Exception:  # the step itself meets it again, and its reason says what it was
            self._plan = plan

    @one_thread_at_a_time
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
        started, deadline = perf_counter(), Deadline.after(self.time_limit)
        self._last = dict(applied) if isinstance(applied, Mapping) else self._last
        decision, reason = Decision(None, (), ()), ""
        estimate: Mapping[str, float] = {}
        notes: tuple[str, ...] = ()
        try:
            estimate, notes = usable_estimate(self.problem, time, states, parameters or {})
            decision = self._decided(time, estimate, parameters or {}, deadline)
            reason = decision.failure
        except Exception as error:  # whatever happened, the plant needs a move, and the reason says what it was
            reason = f"{type(error).__name__}: {error}"
        if not reason or decision.simulated:
            self._fallbacks.follow()
            if not isinstance(self._solver, AdvancedStep):  # that has time for it when it looks ahead
                self._prepare_feed(time, time + self._fallbacks.first_use, {}, deadline)
            wanted, fallback, why = self._next(time), SIMULATED if decision.simulated else "", ""
        else:
            wanted, fallback, why = self._without_optimum(number(time), estimate, deadline)
        controls = self._written(wanted, time, states)
        return Move(
            controls=controls,
            status=decision.status,
            iterations=sum(solve.iterations for solve in decision.solves),
            seconds=perf_counter() - started,
            fallback=fallback,
            reason=reason,
            violations=() if reason and not decision.simulated else tuple(map(str, decision.violations)),
            notes=(*notes, *filter(None, (decision.note, why))),
        )

    @property
    def plan(self) -> Trajectory | None:
        """The last accepted plan, from its step to the end of its horizon."""
        return self._plan

    def _decided(
        self, time: float, states: Mapping[str, float], parameters: Mapping[str, float], deadline: Deadline
    ) -> Decision:
        """Solve from the last plan, and keep the answer as the next one."""
        self._set(time, states, parameters)
        decision: Decision = self._solver.solve(self._plan, time, deadline)
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
        # all of them: a program keeps what is not named, such as the last estimate of the batch before
        known = {**self.problem.system.defaults, **self.problem.parameter_values, **parameters}
        self._solver.set_data(StepData(time, states, left, controls, known, first, self._last or None))

    def _accept(self, time: float, answer: Answer) -> None:
        """Keep the answer as the plan."""
        problem = self._solver.problem
        self._profiles = profiles_of(problem, answer, time)
        self._plan = outline_of(problem, answer, time)

    def _prepare_feed(self, time: float, begin: float, states: Mapping[str, float], deadline: Deadline) -> None:
        """Prepare the exponential feed from some states or, where there is a plan, from those it has then."""
        if self._plan is not None:
            states = {state.name: float(self._plan.at(state.name, begin)) for state in self.problem.system.states}
        self._fallbacks.prepare(self._solver, time, begin, states, deadline)

    def _without_optimum(
        self, time: float | None, estimate: Mapping[str, float], deadline: Deadline
    ) -> tuple[dict[str, float], str, str]:
        """The move of a step that failed, its fallback, and why others were left out; the feed begins anew if there is time."""
        planned = self._next(time) if self._profiles and time is not None else None
        if (
            time is not None
            and estimate
            and (planned is None or self._fallbacks.need_feed)
            and not deadline.has_passed()
        ):
            self._fallbacks.prepare(self._solver, time, time, estimate, deadline)
        return self._fallbacks.controls(time, planned, self._last)

    def _written(self, wanted: Mapping[str, float], time: Any, states: Any) -> dict[str, float]:
        """What the gate lets through; a volume that is not known is what went in since it was."""
        known = dict(states) if isinstance(states, Mapping) else {}
        volume = number(known.get(_VOLUME))
        volume = self._volume if volume is None else volume
        controls = self._gate.passed(wanted, time, {**known, _VOLUME: volume}, self._last)
        self._volume = None if volume is None else self._gate.projected_volume(volume, controls)
        self._last = controls
        return controls

    def _next(self, time: float) -> dict[str, float]:
        """The plan's mean over the next interval, which gives the same amount."""
        end = time + self.interval
        if self.horizon == SHRINKING:
            end = min(end, self.problem.horizon.hours)
        return mean_controls(self.problem, self._profiles, time, end)


def _hosted(
    build: Callable[[], LimitsFirst | MultiStage | AdvancedStep], advanced_step: bool, own_process: bool
) -> LimitsFirst | MultiStage | AdvancedStep | OwnProcess:
    """The solver, here or in a process of its own."""
    if advanced_step and own_process:
        raise StudyError("advanced_step moves an optimum in this process; leave it or own_process out")
    return OwnProcess(build) if own_process else build()

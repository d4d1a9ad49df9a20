"""Trajectories, active limits and plans read from the present values of a transcribed problem."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mmopt.plan.active_limit import ActiveLimit, Span
from mmopt.plan.plan import Plan, SolveRecord, profile_of
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile, StepFeed
from mmopt.results import Trajectory, trajectory
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.bounds import CONTROL, LIMIT, Answer, BoundedQuantity
from mmopt.transcription.program import CollocationProgram

_MEAN_OF: Final = (np.arange(200) + 0.5) / 200
"""Fractions of an interval at which a control is read for its mean."""

_ACTIVE: Final = 1.0e-4
"""Fraction of a limit's largest multiplier from which on it is active at a point; the barrier leaves less everywhere."""

_NEGLIGIBLE: Final = 1.0e-6
"""Active limits worth less than this fraction of the objective's scale, for a whole scale of the quantity, are left out."""


def trajectory_of(
    program: CollocationProgram, surrogate: SmoothCell | None, status: Status, answer: Answer | None = None
) -> Trajectory:
    """Return the present values of a program as a trajectory.

    Parameters
    ----------
    program, surrogate
        The program, and the surrogate of its cell.
    status
        How the solve ended.
    answer
        The values, if they were read before.

    Returns
    -------
    Trajectory
        At the collocation points.
    """
    answer = answer or program.read_answer()
    problem = program.problem.with_choices(answer.choices)
    edges = tuple(problem.horizon.edges().tolist())
    controls = {
        name: profile_of(problem.controls[name].shape, edges, values) for name, values in answer.controls.items()
    }
    times = answer.fractions * problem.horizon.hours
    return Simulator(problem, surrogate).describe(times, answer.states, controls, status)


def plan_of(
    program: CollocationProgram,
    surrogate: SmoothCell | None,
    record: SolveRecord,
    status: Status,
    limits: tuple[ActiveLimit, ...] = (),
) -> Plan:
    """Return the present values of a program as a plan.

    Parameters
    ----------
    program, surrogate
        The program, and the surrogate of its cell.
    record
        How it was solved.
    status
        How the solve ended.
    limits
        Active limits.

    Returns
    -------
    Plan
        Without replays.
    """
    answer = program.read_answer()
    trajectory = trajectory_of(program, surrogate, status, answer)
    objective = program.problem.with_choices(answer.choices).objective_value(trajectory)
    return Plan(program.problem, trajectory, answer.controls, answer.choices, objective, limits, record)


def record_of(
    program: CollocationProgram, solver: str, solves: Sequence[Solve], status: Status, build_seconds: float
) -> SolveRecord:
    """Return the record of some solves of a program.

    Parameters
    ----------
    program
        The program.
    solver
        Name of the solver.
    solves
        All solves.
    status
        How the last one ended.
    build_seconds
        Time to transcribe and compile [s].

    Returns
    -------
    SolveRecord
    """
    variables, constraints = program.size
    return SolveRecord(
        solver=solver,
        status=status.value,
        iterations=sum(solve.iterations for solve in solves),
        solves=len(solves),
        solve_seconds=sum(solve.seconds for solve in solves),
        build_seconds=build_seconds,
        variables=variables,
        constraints=constraints,
        elements=program.problem.horizon.elements,
    )


def profiles_of(problem: Problem, answer: Answer, begin: float) -> dict[str, Profile]:
    """Return the controls of an answer over the time of the batch.

    Parameters
    ----------
    problem
        The problem that was solved.
    answer
        Its answer.
    begin
        Time of the batch at which its horizon begins [h].

    Returns
    -------
    dict
        Profile by control.
    """
    edges = tuple(problem.horizon.edges(begin).tolist())
    return {name: profile_of(problem.controls[name].shape, edges, values) for name, values in answer.controls.items()}


def outline_of(problem: Problem, answer: Answer, begin: float) -> Trajectory:
    """Return states and controls of an answer over the time of the batch, without rates and derived quantities.

    Parameters
    ----------
    problem
        The problem that was solved.
    answer
        Its answer.
    begin
        Time of the batch at which its horizon begins [h].

    Returns
    -------
    Trajectory
    """
    profiles = profiles_of(problem, answer, begin)
    times = begin + answer.fractions * problem.horizon.hours
    values = {state.name: ("state", state.unit, answer.states[k]) for k, state in enumerate(problem.system.states)}
    for control in problem.system.controls:
        held = np.array([profiles[control.name](float(t)) for t in times])
        values[control.name] = ("control", control.unit, held)
    return trajectory(times, values, Status.OPTIMAL)


def mean_controls(problem: Problem, profiles: Mapping[str, Profile], begin: float, end: float) -> dict[str, float]:
    """Return the means of controls over an interval; of elements in no window they have no say.

    Parameters
    ----------
    problem
        The problem of the whole batch.
    profiles
        Controls over the time of the batch.
    begin, end
        The interval [h].

    Returns
    -------
    dict
        Value by control, in its unit.
    """
    times = begin + (end - begin) * _MEAN_OF
    means = {}
    for name, profile in profiles.items():
        rates = np.array([profile(float(t)) for t in times])
        if isinstance(profile, StepFeed) and problem.controls[name].windows is not None:
            edges = np.array(profile.edges)
            element = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2)
            free = problem.controls[name].is_free(edges)[element]
            rates = rates[free] if free.any() else rates
        means[name] = float(np.mean(rates))
    return means


def active_limits(program: CollocationProgram, multiplier: Callable[[Any], float]) -> tuple[ActiveLimit, ...]:
    """Find the limits that are active in the present answer of a program.

    Parameters
    ----------
    program
        A solved program.
    multiplier
        Multiplier of the bounds of a variable, above zero at its upper bound.

    Returns
    -------
    tuple of ActiveLimit
        The one worth most for the scale of its quantity first.
    """
    objective = program.problem.objective
    hours = program.hours
    widest = float(np.max(np.diff(program.problem.horizon.fractions))) * hours
    lowest_possible = {control.name: control.lower for control in program.problem.system.controls}
    weighted: list[tuple[float, ActiveLimit]] = []
    for quantity in program.bounded_quantities():
        pushes = np.array([multiplier(variable) for variable in quantity.variables]) / quantity.unit_of_variable
        lower = quantity.lower
        if quantity.kind == CONTROL and lower is not None and lower <= lowest_possible[quantity.name]:
            lower = None  # less than nothing cannot be fed
        gap = widest if quantity.kind == LIMIT else 0.0
        for side, limit, push in (("lowest", lower, -pushes), ("highest", quantity.upper, pushes)):
            push = np.maximum(push, 0.0)
            if limit is None or not push.any():
                continue
            worth = float(push.sum()) * objective.scale
            spans = _spans(quantity, push, gap)
            limited = ActiveLimit(quantity.name, side, float(limit), quantity.unit, spans, worth, objective.unit)
            weighted.append((worth * quantity.scale, limited))
    kept = [entry for entry in weighted if entry[0] > _NEGLIGIBLE * objective.scale]
    return tuple(limited for _, limited in sorted(kept, key=lambda entry: -entry[0]))


def _spans(quantity: BoundedQuantity, push: np.ndarray, gap: float) -> tuple[Span, ...]:
    """Spans in which the multiplier pushes; a point stands for the time before it.

    Within an element a limit may be active at its end alone, so that gaps up to ``gap`` count as active, too.
    """
    spans: list[Span] = []
    for k in np.flatnonzero(push > _ACTIVE * push.max()).tolist():
        low, high = float(quantity.edges[k]), float(quantity.edges[k + 1])
        if spans and low - spans[-1][1] < gap + 1.0e-9:
            spans[-1] = (spans[-1][0], high)
        else:
            spans.append((low, high))
    return tuple(spans)

"""Trajectories and plans read from the present values of a transcribed problem."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from mmopt.plan.active_limit import ActiveLimit
from mmopt.plan.plan import Plan, SolveRecord, profile_of
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile, StepFeed
from mmopt.results import Trajectory, trajectory
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.bounds import Answer
from mmopt.transcription.program import CollocationProgram

_MEAN_OF: Final = (np.arange(200) + 0.5) / 200
"""Fractions of an interval at which a control is read for its mean."""


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

"""Trajectories and plans read from the present values of a transcribed problem."""

from collections.abc import Sequence

from mmopt.problem.simulator import Simulator
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.active_limits import ActiveLimit
from mmopt.transcription.plan import Plan, SolveRecord, profile_of
from mmopt.transcription.program import CollocationProgram


def trajectory_of(program: CollocationProgram, surrogate: Surrogate | None, status: Status) -> Trajectory:
    """Return the present values of a program as a trajectory.

    Parameters
    ----------
    program, surrogate
        The program, and the surrogate of its cell.
    status
        How the solve ended.

    Returns
    -------
    Trajectory
        At the collocation points.
    """
    problem = program.problem.with_choices(program.read_choices())
    fractions, states = program.read_states()
    edges = tuple(problem.horizon.edges().tolist())
    controls = {
        name: profile_of(problem.controls[name].shape, edges, tuple(values.tolist()))
        for name, values in program.read_controls().items()
    }
    return Simulator(problem, surrogate).describe(fractions * problem.horizon.hours, states, controls, status)


def plan_of(
    program: CollocationProgram,
    surrogate: Surrogate | None,
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
    choices, trajectory = program.read_choices(), trajectory_of(program, surrogate, status)
    values = {name: tuple(own.tolist()) for name, own in program.read_controls().items()}
    objective = program.problem.with_choices(choices).objective_value(trajectory)
    return Plan(program.problem, trajectory, values, choices, objective, limits, record)


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

"""Optimal control of a system: simulate, transcribe, start, solve, simulate again, and let the linear program judge.

The objective of a collocation can lie, and a surrogate can. So every optimum carries the gap to an integration of its
controls, and with a judge its limits are drawn in until they are kept there.
"""

import time
from collections.abc import Mapping
from typing import Any

import pyomo.environ as pyo

from mmopt.control.margins import Margins, drawn_in, keep_limits
from mmopt.control.plan import controls_of, read_plan, replay
from mmopt.control.problem import Problem, limits_broken
from mmopt.control.start import feasible_start
from mmopt.control.transcribe import start_from, tighten, transcribe
from mmopt.errors import InfeasibleError, SolverError
from mmopt.reactor.feeds import Profile
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import IpoptExecutable, NonlinearProgram, Solve, find_executable
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate


def optimise(
    problem: Problem,
    surrogate: Surrogate | None = None,
    *,
    start: Mapping[str, Profile] | None = None,
    judge: Metabolism | None = None,
    options: Mapping[str, Any] | None = None,
    bundled: bool | None = None,
) -> Trajectory:
    """Find the controls that give the most of the wanted quantity at the end, within the limits.

    Parameters
    ----------
    problem
        The problem.
    surrogate
        Answers for the cell; None for a system without one.
    start
        Profiles to start from, by control; they are cut until their simulation keeps the limits. By default the middle of
        each control's range.
    judge
        If given, the plan is replayed on it, and limits are moved, element by element, by what lies between its view and
        the plan's, until they are kept on the judge; see `mmopt.control.margins`.
    options
        Options of Ipopt that differ from mmopt's.
    bundled
        True: the Ipopt from pip. False: the user's own executable. None: the executable if there is one.

    Returns
    -------
    Trajectory
        The optimum at the collocation points. ``stats`` holds the controls, the solver's record, the margins by which
        limits were drawn in, and ``resimulated``, the maximised quantity by an ODE integrator with the same controls,
        with ``resimulation_gap``.

    Raises
    ------
    InfeasibleError
        If no controls keep the limits.
    SolverError
        If Ipopt ends otherwise without an optimum.
    """
    begun = time.perf_counter()
    guess, left = feasible_start(problem, surrogate, start)
    program = transcribe(problem, surrogate)
    start_from(program, problem, guess, surrogate)
    ipopt = _door(program, options, bundled)
    built = time.perf_counter()
    solves = [_accepted(ipopt.solve(), problem, guess)]
    plan = read_plan(program, problem, surrogate, solves[-1].status)
    margins: Margins = {}
    if judge is not None:

        def again(drawn: Margins, last: Trajectory) -> Trajectory | None:
            tighten(program, problem, drawn)
            careful, _ = feasible_start(drawn_in(problem, drawn), surrogate, controls_of(last))
            start_from(program, problem, careful, surrogate)
            solves.append(ipopt.solve())
            solved = solves[-1].status.solved
            return read_plan(program, problem, surrogate, solves[-1].status) if solved else None

        kept = keep_limits(problem, plan, judge, again)
        plan, margins = kept.plan, kept.margins
    stats = {
        "solver": ipopt.name,
        "iterations": sum(each.iterations for each in solves),
        "solves": len(solves),
        "solve_seconds": sum(each.seconds for each in solves),
        "build_seconds": built - begun,
        "variables": sum(1 for _ in program.component_data_objects(pyo.Var)),
        "constraints": sum(1 for _ in program.component_data_objects(pyo.Constraint, active=True)),
        "start_left": left,
        "margins": {name: float(margin.max()) for name, margin in margins.items() if margin.max() > 0.0},
        **_integrated(problem, surrogate, plan),
    }
    return Trajectory(plan.data, plan.status, {**plan.stats, **stats})


def _integrated(problem: Problem, surrogate: Surrogate | None, plan: Trajectory) -> dict[str, float]:
    """What the plan claims, what an integration of its controls reaches, and the gap."""
    stats = replay(problem, plan, surrogate).stats
    return {
        "optimum": plan.final(problem.maximise),
        "resimulated": stats["replayed"],
        "resimulation_gap": stats["replay_gap"],
    }


def _door(
    program: pyo.ConcreteModel, options: Mapping[str, Any] | None, bundled: bool | None
) -> NonlinearProgram | IpoptExecutable:
    executable = None if bundled else find_executable()
    if bundled is False and executable is None:
        raise SolverError("no ipopt executable was found; install one (idaes get-extensions) or use the bundled Ipopt")
    return NonlinearProgram(program, options) if executable is None else IpoptExecutable(program, executable, options)


def _accepted(solve: Solve, problem: Problem, guess: Trajectory) -> Solve:
    """Pass a solve that has an answer.

    Raises
    ------
    InfeasibleError, SolverError
        If it has none.
    """
    if solve.status is Status.INFEASIBLE:
        raise InfeasibleError(_why_infeasible(problem, guess))
    if not solve.status.solved:
        raise SolverError(
            f"the optimisation ended without an optimum: {solve.status.value} ({solve.ending}, {solve.iterations} "
            "iterations); try another start, more elements, or looser limits"
        )
    return solve


def _why_infeasible(problem: Problem, guess: Trajectory) -> str:
    """Say which limits the most careful simulated controls break."""
    broken = limits_broken(guess, problem.limits)
    if not broken:
        return (
            "Ipopt found no controls that keep all limits, though a simulation did; try another start or more elements"
        )
    worst = ", ".join(f"{name} (by {part:.0%} of its limit)" for name, part in broken.items())
    return f"no controls keep all limits: even the lowest break {worst}; loosen those limits or change the start of the batch"

"""Optimal control of a system: simulate, transcribe, start, solve, simulate again, and let the linear program judge.

The objective of a collocation can lie, and a surrogate can. So every optimum carries the gap to an integration of its
controls, and `replay` puts them on the linear program.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

from mmopt.control.problem import Problem, limits_broken
from mmopt.control.start import feasible_start
from mmopt.control.transcribe import read_controls, read_states, start_from, tighten, transcribe
from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.reactor.feeds import Profile, StepFeed
from mmopt.reactor.simulate import answering, describe, merged_parameters, simulate
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import IpoptExecutable, NonlinearProgram, Solve, find_executable
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate

_KEPT: Final = 2.0e-3
"""Part of a limit by which the judge may see it broken and still call it kept: the integrator's own error is near it."""

_MARGIN_ROOM: Final = 1.1
_MOST_MARGIN_ROUNDS: Final = 6


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
        If given, the plan is replayed on it, and where a limit is broken there, it is drawn in by as much and the problem
        solved again, until the limits are kept on the judge.
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
    solve = _accepted(ipopt.solve(), problem, guess)
    solves, margins = [solve], _no_margins(problem)
    while judge is not None and len(solves) <= _MOST_MARGIN_ROUNDS:
        plan = _plan(program, problem, surrogate, solve)
        judged = replay(problem, plan, judge)
        if max(judged.stats["broken"].values(), default=0.0) <= _KEPT:
            break
        margins = _wider_margins(problem, judged, margins)
        tighten(program, problem, margins)
        guess, _ = feasible_start(_drawn_in(problem, margins), surrogate, controls_of(plan))
        start_from(program, problem, guess, surrogate)
        solve = _accepted(ipopt.solve(), problem, guess)
        solves.append(solve)
    plan = _plan(program, problem, surrogate, solve)
    again = simulate(
        problem.system,
        problem.initial,
        controls_of(plan),
        problem.horizon.length,
        surrogate,
        parameters=problem.parameters,
    )
    reached, found = again.final(problem.maximise), plan.final(problem.maximise)
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
        "optimum": found,
        "resimulated": reached,
        "resimulation_gap": abs(found - reached) / abs(reached),
    }
    return Trajectory(plan.data, plan.status, {**plan.stats, **stats})


def replay(problem: Problem, plan: Trajectory, metabolism: Metabolism | None) -> Trajectory:
    """Simulate the controls of a plan with another cell, usually the linear program itself.

    Parameters
    ----------
    problem
        The problem the plan was made for.
    plan
        What `optimise` returned.
    metabolism
        Who answers for the cell.

    Returns
    -------
    Trajectory
        ``stats`` holds ``replayed``, the maximised quantity at the end, ``replay_gap`` to the plan, and ``broken``, how
        far each broken limit is broken relative to the limit.
    """
    made = simulate(
        problem.system,
        problem.initial,
        controls_of(plan),
        problem.horizon.length,
        metabolism,
        parameters=problem.parameters,
    )
    reached, planned = made.final(problem.maximise), plan.final(problem.maximise)
    judged = {
        "replayed": reached,
        "replay_gap": abs(planned - reached) / abs(reached),
        "broken": limits_broken(made, problem.limits),
    }
    return Trajectory(made.data, made.status, {**made.stats, **judged})


def controls_of(plan: Trajectory) -> dict[str, StepFeed]:
    """The stepwise controls of a plan that `optimise` made.

    Raises
    ------
    StudyError
        If the trajectory is no plan.
    """
    if "edges" not in plan.stats:
        raise StudyError("this trajectory holds no stepwise controls; give one that optimise made")
    edges = tuple(plan.stats["edges"])
    return {name: StepFeed(edges, tuple(rates)) for name, rates in plan.stats["controls"].items()}


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


def _plan(program: pyo.ConcreteModel, problem: Problem, surrogate: Surrogate | None, solve: Solve) -> Trajectory:
    """The program's present answer as a trajectory."""
    edges = problem.horizon.edges().tolist()
    rates = {name: values.tolist() for name, values in read_controls(program, problem).items()}
    points, states = read_states(program, problem)
    numbers = merged_parameters(problem.system, problem.parameters)
    return describe(
        problem.system,
        points * problem.horizon.length,
        states,
        {name: StepFeed(tuple(edges), tuple(values)) for name, values in rates.items()},
        numbers,
        answering(problem.system, surrogate, numbers),
        solve.status,
        {"edges": edges, "controls": rates},
    )


def _no_margins(problem: Problem) -> dict[str, np.ndarray]:
    return {name: np.zeros(problem.horizon.elements) for name in problem.limits}


def _drawn_in(problem: Problem, margins: Mapping[str, np.ndarray]) -> Problem:
    """The problem with each limit drawn in by its largest margin."""
    drawn = {}
    for name, (low, high) in problem.limits.items():
        margin = float(margins[name].max())
        drawn[name] = (None if low is None else low + margin, None if high is None else high - margin)
    return replace(problem, limits=drawn)


def _wider_margins(problem: Problem, judged: Trajectory, margins: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Add to the margin of each element what the judge saw broken in it, and a little more."""
    edges = problem.horizon.edges()
    wider = {}
    for name, margin in margins.items():
        low, high = problem.limits[name]
        values = judged[name]
        excess = np.zeros_like(values)
        if low is not None:
            excess = np.maximum(excess, low - values)
        if high is not None:
            excess = np.maximum(excess, values - high)
        worst = [excess[(judged.time >= begin) & (judged.time <= end)].max() for begin, end in pairwise(edges)]
        wider[name] = margin + _MARGIN_ROOM * np.array(worst)
    return wider


def _why_infeasible(problem: Problem, guess: Trajectory) -> str:
    """Say which limits the most careful simulated controls break."""
    broken = limits_broken(guess, problem.limits)
    if not broken:
        return (
            "Ipopt found no controls that keep all limits, though a simulation did; try another start or more elements"
        )
    worst = ", ".join(f"{name} (by {part:.0%} of its limit)" for name, part in broken.items())
    return f"no controls keep all limits: even the lowest break {worst}; loosen those limits or change the start of the batch"

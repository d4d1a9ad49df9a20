"""Optimal control of a system: simulate, transcribe, start, solve, simulate again, and let the linear program judge.

The objective of a collocation can lie, and a surrogate can. So every optimum carries the gap to an integration of its
controls, and `replay` puts them on the linear program.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

from mmopt.control.problem import Problem, limits_broken
from mmopt.control.transcribe import read_controls, read_states, start_from, transcribe
from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.reactor.feeds import ConstantFeed, Profile, StepFeed
from mmopt.reactor.simulate import answering, describe, merged_parameters, simulate
from mmopt.reactor.system import Metabolism
from mmopt.results import Status, Trajectory
from mmopt.solvers.ipopt import NonlinearProgram, Solve, find_executable, solve_with_executable
from mmopt.surrogate.surrogate import Surrogate

_SCALE_DOWN: Final = 0.7
_MOST_TRIALS: Final = 16
_START_TOLERANCE: Final = 1.0e-4
"""Tolerance of the simulation that only gives a start."""


def optimise(
    problem: Problem,
    surrogate: Surrogate | None = None,
    *,
    start: Mapping[str, Profile] | None = None,
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
        Profiles to start from, by control; they are scaled down until their simulation keeps the limits. By default the
        middle of each control's range.
    options
        Options of Ipopt that differ from mmopt's.
    bundled
        True: the Ipopt from pip. False: the user's own executable. None: the executable if there is one.

    Returns
    -------
    Trajectory
        The optimum at the collocation points. ``stats`` holds the controls, the solver's record, and
        ``resimulated``, the maximised quantity by an ODE integrator with the same controls, with ``resimulation_gap``.

    Raises
    ------
    InfeasibleError
        If no controls keep the limits.
    SolverError
        If Ipopt ends otherwise without an optimum.
    """
    begun = time.perf_counter()
    guess, scaled = feasible_start(problem, surrogate, start)
    program = transcribe(problem, surrogate)
    start_from(program, problem, guess)
    built = time.perf_counter()
    solve, solver = _solve(program, options, bundled)
    if solve.status is Status.INFEASIBLE:
        raise InfeasibleError(_why_infeasible(problem, guess))
    if not solve.status.solved:
        raise SolverError(
            f"the optimisation ended without an optimum: {solve.status.value} ({solve.ending}, {solve.iterations} "
            "iterations); try another start, more elements, or looser limits"
        )
    controls = _stepwise(program, problem)
    stats = {
        "solver": solver,
        "iterations": solve.iterations,
        "solve_seconds": solve.seconds,
        "build_seconds": built - begun,
        "variables": sum(1 for _ in program.component_data_objects(pyo.Var)),
        "constraints": sum(1 for _ in program.component_data_objects(pyo.Constraint, active=True)),
        "start_scaled_by": scaled,
        "edges": problem.horizon.edges().tolist(),
        "controls": {name: list(profile.rates) for name, profile in controls.items()},
    }
    points, states = read_states(program, problem)
    numbers = merged_parameters(problem.system, problem.parameters)
    optimum = describe(
        problem.system,
        points * problem.horizon.length,
        states,
        controls,
        numbers,
        answering(problem.system, surrogate),
        solve.status,
        stats,
    )
    again = simulate(
        problem.system, problem.initial, controls, problem.horizon.length, surrogate, parameters=problem.parameters
    )
    reached, found = again.final(problem.maximise), optimum.final(problem.maximise)
    gaps = {"optimum": found, "resimulated": reached, "resimulation_gap": abs(found - reached) / abs(reached)}
    return Trajectory(optimum.data, optimum.status, {**stats, **gaps})


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
        problem.system, problem.initial, controls_of(plan), problem.horizon.length, metabolism, parameters=problem.parameters
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


def feasible_start(
    problem: Problem, surrogate: Surrogate | None, start: Mapping[str, Profile] | None = None
) -> tuple[Trajectory, float]:
    """Simulate starting controls, scaled down towards their lowest values until the limits are kept.

    Returns
    -------
    trajectory, factor
        The simulation, and the factor of the controls; if even the lowest values break a limit, that simulation and 0.
    """
    given = start or {name: ConstantFeed((low + high) / 2.0) for name, (low, high) in problem.controls.items()}
    factor = 1.0
    for trial in range(_MOST_TRIALS + 1):
        factor = 0.0 if trial == _MOST_TRIALS else _SCALE_DOWN**trial
        controls = {name: _stepped(problem, name, profile, factor) for name, profile in given.items()}
        simulated = simulate(
            problem.system,
            problem.initial,
            controls,
            problem.horizon.length,
            surrogate,
            parameters=problem.parameters,
            tolerance=_START_TOLERANCE,
        )
        if not limits_broken(simulated, problem.limits):
            break
    return simulated, factor


def _stepped(problem: Problem, name: str, profile: Profile, factor: float) -> StepFeed:
    """A profile on the elements of the horizon, ``factor`` of the way from the lowest value to its own."""
    low, high = problem.controls[name]
    edges = problem.horizon.edges()
    wanted = np.clip([profile(float(t)) for t in (edges[:-1] + edges[1:]) / 2.0], low, high)
    return StepFeed(tuple(edges.tolist()), tuple((low + factor * (wanted - low)).tolist()))


def _solve(program: pyo.ConcreteModel, options: Mapping[str, Any] | None, bundled: bool | None) -> tuple[Solve, str]:
    executable = None if bundled else find_executable()
    if bundled is False and executable is None:
        raise SolverError("no ipopt executable was found; install one (idaes get-extensions) or use the bundled Ipopt")
    if executable is not None:
        return solve_with_executable(program, executable, options), "ipopt executable"
    return NonlinearProgram(program, options).solve(), "bundled Ipopt"


def _stepwise(program: pyo.ConcreteModel, problem: Problem) -> dict[str, StepFeed]:
    edges = tuple(problem.horizon.edges().tolist())
    return {name: StepFeed(edges, tuple(rates.tolist())) for name, rates in read_controls(program, problem).items()}


def _why_infeasible(problem: Problem, guess: Trajectory) -> str:
    """Say which limits the most careful simulated controls break."""
    broken = limits_broken(guess, problem.limits)
    if not broken:
        return "Ipopt found no controls that keep all limits, though a simulation did; try another start or more elements"
    worst = ", ".join(f"{name} (by {part:.0%} of its limit)" for name, part in broken.items())
    return f"no controls keep all limits: even the lowest break {worst}; loosen those limits or change the start of the batch"

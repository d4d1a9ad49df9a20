"""One feed for several cases: what is not known (a strain, a transfer coefficient) stands as some sets of parameters.

All cases are written into one program that shares the controls and whatever else is chosen. The objective is their mean, or
the worst of them; limits hold in every case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from mmopt.control.plan import integrated, read_plan
from mmopt.control.problem import Problem
from mmopt.control.program import shared, start_from
from mmopt.control.start import feasible_start
from mmopt.control.transcribe import write
from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.reactor.feeds import StepFeed
from mmopt.reactor.simulate import simulate
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import NonlinearProgram, Solve
from mmopt.status import Status
from mmopt.surrogate.grey_box import GREY_BOX
from mmopt.surrogate.surrogate import Surrogate


def optimise_cases(
    problem: Problem,
    cases: Sequence[Mapping[str, float]],
    surrogate: Surrogate | None = None,
    *,
    worst: bool = False,
    weights: Sequence[float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Trajectory]:
    """Find the controls that are best over several sets of parameters at once.

    Parameters
    ----------
    problem
        The problem.
    cases
        Parameters of each case that differ from the problem's.
    surrogate
        Answers for the cell; None for a system without one.
    worst
        Whether the worst case is to be as good as possible; else the mean is.
    weights
        Of the cases in the mean, above zero; by default all alike.
    options
        Options of Ipopt that differ from mmopt's.

    Returns
    -------
    list of Trajectory
        The plan in each case: the same controls, its own states. ``stats`` as of `optimise`, without bindings.

    Raises
    ------
    StudyError
        If there is no case, or the weights do not fit.
    InfeasibleError
        If no controls were found that keep the limits in every case.
    SolverError
        If Ipopt ends otherwise without an optimum.
    """
    share = _checked(cases, weights)
    problems = [replace(problem, parameters={**problem.parameters, **case}) for case in cases]
    program = _written(problem, problems, surrogate, share, worst)
    blocks = list(program.case.values())
    _start(problems, blocks, surrogate)
    if worst:
        program.worst.set_value(min(block.aim.value for block in blocks))
    solve = NonlinearProgram(program, options).solve()
    if solve.status is Status.INFEASIBLE:
        raise InfeasibleError(
            "no controls were found that keep the limits in every case; loosen them, or leave a case out"
        )
    if not solve.status.solved:
        raise SolverError(
            f"the optimisation over {len(cases)} cases ended without an optimum: {solve.status.value} ({solve.ending})"
        )
    return [_plan(block, each, surrogate, solve) for block, each in zip(blocks, problems, strict=True)]


def _written(
    problem: Problem, problems: Sequence[Problem], surrogate: Surrogate | None, share: np.ndarray, worst: bool
) -> pyo.ConcreteModel:
    """All cases as one program, a block each, with the same controls and choices."""
    program = pyo.ConcreteModel(name="one feed for several cases")
    program.case = pyo.Block(
        range(len(problems)), rule=lambda block, k: write(block, problems[k], surrogate, formulation=GREY_BOX)
    )
    first, *others = program.case.values()
    program.same = pyo.ConstraintList()
    for block in others:
        for ours, theirs in zip(shared(first, problem), shared(block, problem), strict=True):
            program.same.add(ours == theirs)
    weighed = list(zip(share.tolist(), program.case.values(), strict=True))
    aim: Any = pyo.quicksum(part * block.aim for part, block in weighed)
    if worst:
        program.worst = aim = pyo.Var(initialize=0.0)
        program.least = pyo.Constraint(range(len(problems)), rule=lambda m, k: m.worst <= m.case[k].aim)
    broken = pyo.quicksum(part * block.broken for part, block in weighed)
    program.cost = pyo.Objective(expr=-aim + first.unrest + broken)
    return program


def _plan(block: Any, problem: Problem, surrogate: Surrogate | None, solve: Solve) -> Trajectory:
    """The plan in one case."""
    plan = read_plan(block, problem, surrogate, solve.status)
    stats = {
        "optimum": problem.settled(plan.stats["choice"]).reached(plan),
        "iterations": solve.iterations,
        "solve_seconds": solve.seconds,
        **integrated(problem, plan, surrogate),
    }
    return Trajectory(plan.data, plan.status, {**plan.stats, **stats})


def _checked(cases: Sequence[Mapping[str, float]], weights: Sequence[float] | None) -> np.ndarray:
    if not cases:
        raise StudyError("there is no case to optimise for; give the parameters of one or more")
    share = np.full(len(cases), 1.0) if weights is None else np.asarray(weights, dtype=float)
    if share.shape != (len(cases),) or not np.all(np.isfinite(share)) or np.any(share <= 0.0):
        raise StudyError(f"{len(cases)} cases need as many weights, finite and above 0; {share.tolist()} were given")
    parts: np.ndarray = share / share.sum()
    return parts


def _start(problems: Sequence[Problem], blocks: Sequence[Any], surrogate: Surrogate | None) -> None:
    """Start every case from the least of the controls that keep the limits in one of them."""
    edges = problems[0].horizon.edges()
    guesses = [feasible_start(each, surrogate)[0] for each in problems]
    middles = (edges[:-1] + edges[1:]) / 2.0
    least = {
        name: StepFeed(
            tuple(edges.tolist()), tuple(np.min([guess.at(name, middles) for guess in guesses], axis=0).tolist())
        )
        for name in problems[0].controls
    }
    for each, block in zip(problems, blocks, strict=True):
        made = simulate(
            each.system, each.start, least, each.horizon.hours, surrogate, parameters=each.numbers, tolerance=1.0e-5
        )
        start_from(block, each, made, surrogate)

"""One feed for several cases: what is not known (a strain, a transfer coefficient) stands as some sets of parameters.

All cases are written into one program that shares the controls and whatever else is chosen. The objective is their mean, or
the worst of them; limits hold in every case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.optimisation.elastic import elastic
from mmopt.optimisation.feed_gap import without_feed_gap
from mmopt.optimisation.initial_guess import feasible_guess
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile, StepFeed
from mmopt.reactor.simulate import simulate
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import NonlinearProgram, Solve
from mmopt.status import Status
from mmopt.surrogate.grey_box import GREY_BOX
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.collocation import write
from mmopt.transcription.compiled import ipopt_options
from mmopt.transcription.plan import integrated, read_plan
from mmopt.transcription.program import shared, start_from


def optimise_scenarios(
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
        If no controls were found that keep the limits in every case; the first that has none even alone is named, and why.
    SolverError
        If Ipopt ends otherwise without an optimum.
    """
    share = _checked(cases, weights)
    problems = [replace(problem, parameters={**problem.parameters, **case}) for case in cases]
    program = _written(problem, problems, surrogate, share, worst)
    solver = NonlinearProgram(program, ipopt_options(surrogate, options))
    _start(program, problems, surrogate)
    solve = solver.solve()
    if not solve.status.solved:
        raise _unsolved(problems, cases, surrogate, solve, options)
    plans = _plans(program, problems, surrogate, solve)
    wish = next((wish for plan in plans if (wish := without_feed_gap(plan)) is not None), None)
    if wish is not None:
        settled = [each.with_choices(plan.stats["choice"]) for each, plan in zip(problems, plans, strict=True)]
        _start(program, settled, surrogate, wish)
        again = solver.solve()
        if again.status.solved and again.objective < solve.objective:
            plans = _plans(program, problems, surrogate, again)
    return [_judged(problem, plan, surrogate) for problem, plan in zip(problems, plans, strict=True)]


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
    program.cost = pyo.Objective(expr=-aim + first.move_penalty + broken)
    return program


def _plans(
    program: pyo.ConcreteModel, problems: Sequence[Problem], surrogate: Surrogate | None, solve: Solve
) -> list[Trajectory]:
    """The plan in each case."""
    told = {"iterations": solve.iterations, "solve_seconds": solve.seconds}
    plans = [
        read_plan(block, each, surrogate, solve.status)
        for block, each in zip(program.case.values(), problems, strict=True)
    ]
    return [Trajectory(plan.data, plan.status, {**plan.stats, **told}) for plan in plans]


def _judged(problem: Problem, plan: Trajectory, surrogate: Surrogate | None) -> Trajectory:
    """A plan with what it reaches, and what an integration of its controls does."""
    reached = {"optimum": problem.with_choices(plan.stats["choice"]).objective_value(plan)}
    return Trajectory(plan.data, plan.status, {**plan.stats, **reached, **integrated(problem, plan, surrogate)})


def _unsolved(
    problems: Sequence[Problem],
    cases: Sequence[Mapping[str, float]],
    surrogate: Surrogate | None,
    solve: Solve,
    options: Mapping[str, Any] | None,
) -> InfeasibleError | SolverError:
    """Why there is no plan: a case that has none even alone, or all of them together."""
    for number, problem in enumerate(problems):
        guess, _ = feasible_guess(problem, surrogate)
        least = elastic(problem, surrogate, guess, options)
        if least is not None and least.broken:
            told = ", ".join(f"{name} {value:g}" for name, value in cases[number].items()) or "nothing changed"
            return InfeasibleError(
                f"no controls were found that keep all limits in case {number + 1} ({told}): {least}; loosen one of them, or "
                "leave the case out"
            )
    if solve.status is Status.INFEASIBLE:
        return InfeasibleError(
            "each case has controls that keep its limits, but none were found that keep them in all; loosen limits, or leave a "
            "case out"
        )
    return SolverError(
        f"the optimisation over {len(cases)} cases ended without an optimum: {solve.status.value} ({solve.ending})"
    )


def _checked(cases: Sequence[Mapping[str, float]], weights: Sequence[float] | None) -> np.ndarray:
    if not cases:
        raise StudyError("there is no case to optimise for; give the parameters of one or more")
    share = np.full(len(cases), 1.0) if weights is None else np.asarray(weights, dtype=float)
    if share.shape != (len(cases),) or not np.all(np.isfinite(share)) or np.any(share <= 0.0):
        raise StudyError(f"{len(cases)} cases need as many weights, finite and above 0; {share.tolist()} were given")
    parts: np.ndarray = share / share.sum()
    return parts


def _start(
    program: pyo.ConcreteModel,
    problems: Sequence[Problem],
    surrogate: Surrogate | None,
    wish: Mapping[str, Profile] | None = None,
) -> None:
    """Start every case from the least of the controls that keep the limits in one of them."""
    edges = problems[0].horizon.edges()
    guesses = [feasible_guess(each, surrogate, wish)[0] for each in problems]
    middles = (edges[:-1] + edges[1:]) / 2.0
    least = {
        name: StepFeed(
            tuple(edges.tolist()), tuple(np.min([guess.at(name, middles) for guess in guesses], axis=0).tolist())
        )
        for name in problems[0].controls
    }
    for each, block in zip(problems, program.case.values(), strict=True):
        made = simulate(
            each.system,
            each.start,
            least,
            each.horizon.hours,
            surrogate,
            parameters=each.parameter_values,
            tolerance=1.0e-5,
        )
        start_from(block, each, made, surrogate)
    if program.component("worst") is not None:
        program.worst.set_value(min(block.aim.value for block in program.case.values()))

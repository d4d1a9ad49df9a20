"""A plan: what an optimisation found, as a trajectory whose controls can be played again on another cell."""

import pyomo.environ as pyo

from mmopt.control.problem import Problem, limits_broken
from mmopt.control.transcribe import read_controls, read_states
from mmopt.errors import StudyError
from mmopt.reactor.feeds import StepFeed
from mmopt.reactor.simulate import answering, describe, merged_parameters, simulate
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate


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
    """Give the stepwise controls of a plan that `optimise` made.

    Raises
    ------
    StudyError
        If the trajectory is no plan.
    """
    if "edges" not in plan.stats:
        raise StudyError("this trajectory holds no stepwise controls; give one that optimise made")
    edges = tuple(plan.stats["edges"])
    return {name: StepFeed(edges, tuple(rates)) for name, rates in plan.stats["controls"].items()}


def read_plan(program: pyo.ConcreteModel, problem: Problem, surrogate: Surrogate | None, status: Status) -> Trajectory:
    """Read the present answer of a program as a trajectory."""
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
        status,
        {"edges": edges, "controls": rates},
    )

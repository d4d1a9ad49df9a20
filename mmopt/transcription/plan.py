"""A plan: what an optimisation found, as a trajectory whose controls can be played again on another cell."""

from collections.abc import Sequence
from typing import Any

from mmopt.errors import StudyError
from mmopt.problem.control import LINES, STEPS
from mmopt.problem.problem import Problem, violated_limits
from mmopt.reactor.profiles import LinearFeed, Profile, StepFeed
from mmopt.reactor.simulate import checked_cell, describe, merged_parameters, simulate
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.program import read_choice, read_controls, read_states

_POINTS = 20
"""Times of a replay in each element, at least."""


def replay(problem: Problem, plan: Trajectory, metabolism: Metabolism | None) -> Trajectory:
    """Simulate the controls of a plan with another cell, usually the linear program itself.

    Parameters
    ----------
    problem
        The problem the plan was made for.
    plan
        What `optimise` returned; what it chose beside the controls is taken from it.
    metabolism
        Who answers for the cell.

    Returns
    -------
    Trajectory
        ``stats`` holds ``replayed``, what it is worth, ``replay_gap`` to the plan, and ``broken``, how far each broken limit
        is broken relative to the limit.
    """
    settled = problem.with_choices(plan.stats.get("choice", {}))
    made = simulate(
        settled.system,
        settled.start,
        controls_of(plan),
        settled.horizon.hours,
        metabolism,
        parameters=settled.parameter_values,
        points=max(400, _POINTS * settled.horizon.elements),
    )
    reached, planned = settled.objective_value(made), settled.objective_value(plan)
    replayed_on_reference = {
        "replayed": reached,
        "replay_gap": abs(planned - reached) / max(abs(reached), 1.0e-12),
        "broken": violated_limits(made, settled.limits, settled.final),
    }
    return Trajectory(made.data, made.status, {**made.stats, **replayed_on_reference})


def integrated(problem: Problem, plan: Trajectory, metabolism: Metabolism | None) -> dict[str, Any]:
    """What an integration of a plan's controls says, as `optimise` puts it into ``stats``."""
    stats = replay(problem, plan, metabolism).stats
    return {
        "resimulated": stats["replayed"],
        "resimulation_gap": stats["replay_gap"],
        "resimulation_broken": stats["broken"],
    }


def controls_of(plan: Trajectory) -> dict[str, Profile]:
    """Give the controls of a plan that `optimise` made.

    Raises
    ------
    StudyError
        If the trajectory is no plan.
    """
    if "edges" not in plan.stats:
        raise StudyError("this trajectory holds no controls of a plan; give one that optimise made")
    edges, shapes = tuple(plan.stats["edges"]), plan.stats.get("shapes", {})
    return {name: profile_of(shapes.get(name, STEPS), edges, values) for name, values in plan.stats["controls"].items()}


def profile_of(shape: str, edges: Sequence[float], values: Sequence[float]) -> Profile:
    """A control of a shape as a profile: steps between edges [h], or lines through them."""
    return LinearFeed(tuple(edges), tuple(values)) if shape == LINES else StepFeed(tuple(edges), tuple(values))


def read_plan(program: Any, problem: Problem, surrogate: Surrogate | None, status: Status) -> Trajectory:
    """Read the present answer of a program as a trajectory."""
    choice = read_choice(program, problem)
    settled = problem.with_choices(choice)
    stats = {
        "edges": settled.horizon.edges().tolist(),
        "controls": {name: values.tolist() for name, values in read_controls(program, settled).items()},
        "shapes": {name: move.shape for name, move in settled.control_settings.items()},
        "choice": choice,
    }
    points, states = read_states(program, settled)
    numbers = merged_parameters(settled.system, settled.parameter_values)
    held = controls_of(Trajectory(None, status, stats))  # type: ignore[arg-type]
    return describe(
        settled.system,
        points * settled.horizon.hours,
        states,
        held,
        numbers,
        checked_cell(settled.system, surrogate, numbers),
        status,
        stats,
    )

"""A search on a coarse mesh, whose best plan is carried to the mesh of the problem by halving its elements.

A coarse problem has fewer optima and is solved in a tenth of a second, so many starts can be tried. On a fine mesh an
interior-point method that begins far from its bounds forgets where it started; the last solves therefore begin close to
them. The feed of an ethanol fermentation (Shin and Lim) is published with 764.5 g; eight starts on 100 elements end with
750 g, and from a coarse mesh with 785.07 g.
"""

from dataclasses import replace
from typing import Any, Final

from mmopt.errors import SolverError
from mmopt.plan.plan import Plan
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.results import Trajectory
from mmopt.search.initial_guess import guessed_controls
from mmopt.search.options import Deadline, OptimiseOptions
from mmopt.search.starts import lowered_start, simple_starts

_COARSE: Final = 25
"""Most elements of a coarse mesh."""

_NEAR: Final[dict[str, Any]] = {"mu_init": 1.0e-3, "bound_push": 1.0e-4, "bound_frac": 1.0e-4}
_CLOSE: Final[dict[str, Any]] = {"mu_init": 1.0e-6, "bound_push": 1.0e-8, "bound_frac": 1.0e-8}
"""Barrier and distance from bounds at the start, where every start is tried a second time, and where a plan is refined."""


def plan_on_coarse_mesh(problem: Problem, options: OptimiseOptions, deadline: Deadline) -> Plan | None:
    """Search on a coarse mesh, and refine the best plan to the mesh of the problem.

    Parameters
    ----------
    problem
        A problem of a system without a cell.
    options
        How problems are solved, and from how many guesses.
    deadline
        When to stop.

    Returns
    -------
    Plan or None
        None if the mesh is the user's own, or no solve on a coarse mesh led to an optimum.
    """
    meshes = _meshes(problem)
    plan = _best_of_starts(replace(problem, horizon=replace(problem.horizon, elements=meshes[0])), options, deadline)
    for elements in meshes[1:]:
        if plan is None or deadline.has_passed():
            break
        finer = replace(problem, horizon=replace(problem.horizon, elements=elements))
        compiled = _with_barrier(options, _CLOSE).compile(finer, None)
        trajectory = _simulated(plan, finer)
        plan = None if trajectory is None else compiled.solve_from(trajectory, deadline.left).plan
    return plan


def _meshes(problem: Problem) -> list[int]:
    """Elements of the meshes from the coarse one to that of the problem, about twice as many each time."""
    meshes = [problem.horizon.elements]
    while meshes[0] > _COARSE and problem.horizon.mesh is None:
        meshes.insert(0, -(-meshes[0] // 2))
    return meshes


def _best_of_starts(problem: Problem, options: OptimiseOptions, deadline: Deadline) -> Plan | None:
    """The best plan from guesses and simple feeds, each with two barriers."""
    simulator = Simulator(problem, None)
    starts = [
        lowered_start("guess", simulator, controls)
        for controls in guessed_controls(problem, options.guesses, options.seed)
    ]
    plans: list[Plan | None] = []
    for barrier in ({}, _NEAR):
        compiled = _with_barrier(options, barrier).compile(problem, None)
        plans += [
            compiled.solve_from(start.guess.trajectory, deadline.left).plan
            for start in (*starts, *simple_starts(simulator))
            if not deadline.has_passed()
        ]
    return max((plan for plan in plans if plan is not None), key=lambda plan: plan.objective, default=None)


def _with_barrier(options: OptimiseOptions, barrier: dict[str, Any]) -> OptimiseOptions:
    return replace(options, ipopt={**barrier, **options.ipopt})


def _simulated(plan: Plan, problem: Problem) -> Trajectory | None:
    """A simulation of a plan's controls and choices."""
    try:
        return Simulator(problem.with_choices(plan.choices), None).run(plan.controls)
    except SolverError:
        return None

"""Optimal control of a system: simulate, transcribe, start, solve, simulate again, and let the linear program judge.

The objective of a collocation can lie, and a surrogate can. So every optimum carries the gap to an integration of its
controls, and with a judge its limits are drawn in until they are kept there.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pyomo.environ as pyo

from mmopt.errors import SolverError, StudyError
from mmopt.fba.atlas import Atlas
from mmopt.optimisation.adaptation import adapt_surrogate, uptake_limits
from mmopt.optimisation.back_off import Margins, back_off, tightened
from mmopt.optimisation.initial_guess import feasible_guess
from mmopt.optimisation.mesh import finer
from mmopt.optimisation.multi_start import CoarseMeshError, OptimiseOptions, best_of, solved_from
from mmopt.problem.horizon import Horizon
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.active_limits import outside, planned
from mmopt.transcription.compiled import CompiledProblem
from mmopt.transcription.plan import controls_of, integrated, replay
from mmopt.transcription.program import tighten

AGREEMENT: Final = 1.0e-3

_ROUNDS: Final = 4
"""Most times a surrogate learns along a plan."""

_FINER: Final = 6
"""Most times a mesh is made finer."""


def optimise(
    problem: Problem,
    surrogate: Surrogate | None = None,
    *,
    start: Mapping[str, Profile] | None = None,
    starts: int = 1,
    seed: int = 0,
    workers: int = 1,
    time_limit: float | None = None,
    tolerance: float | None = None,
    reference: Metabolism | None = None,
    refine: bool = False,
    agreement: float = AGREEMENT,
    options: Mapping[str, Any] | None = None,
    bundled: bool = True,
    formulation: str | None = None,
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
    starts
        How many starts are tried, the first as ``start`` says, the others of other shapes; the best optimum is kept.
    seed
        Of the starts at random.
    workers
        In how many processes starts are tried. A process takes seconds to begin, so more than one pays where a start takes
        long; each imports the script that called, which therefore needs its ``if __name__ == "__main__":``.
    time_limit
        After how many seconds on the wall no more is tried: starts, meshes, margins, rounds of learning. The best plan by
        then is kept, and ``stats["out_of_time"]`` says so. Ipopt is stopped between iterations, simulations run to their end.
    tolerance
        If given, the mesh is made finer until the optimum and an integration of its controls agree to this part, six times at
        most; ``resimulation_gap`` tells how far it came.
    judge
        If given, the plan is replayed on it, and limits are moved, element by element, by what lies between its view and
        the plan's, until they are kept on the judge; see `mmopt.optimisation.back_off`.
    refine
        Whether the surrogate is to learn along the plan, and the problem to be solved again, until the judge, an `Atlas`,
        agrees; see `mmopt.optimisation.adaptation`. The plan on which they agree best is kept; ``stats["refined"]`` tells the gap of
        every round, and whether they agreed.
    agreement
        Largest part of the objective by which plan and judge may then differ.
    options
        Options of Ipopt that differ from mmopt's.
    bundled, formulation
        Which Ipopt, and how the surrogate is written, see `CompiledProblem`.

    Returns
    -------
    Trajectory
        The optimum at the collocation points. ``stats`` holds the controls, what else was chosen, the solver's record, the
        margins by which limits were drawn in, the limits that bind and what they are worth (``active_limits``), where the
        surrogate's domain was left (``outside``), and ``resimulated``, what an ODE integrator reaches with the same
        controls, with ``resimulation_gap`` and ``resimulation_broken``; with a judge the same of it.

    Raises
    ------
    InfeasibleError
        If no controls keep the limits; those that conflict are named, and by how much.
    SolverError
        If Ipopt ends otherwise without an optimum, at the time limit or before.
    StudyError
        If there is nothing to try, or what is to be sent to processes cannot be.
    """
    if starts < 1 or workers < 1:
        raise StudyError(f"{starts} starts in {workers} processes cannot be tried; use at least 1 of each")
    if time_limit is not None and not 0.0 < time_limit < math.inf:
        raise StudyError(f"a time limit of {time_limit:g} s is none; give a finite number above 0, or None")
    deadline = math.inf if time_limit is None else time.monotonic() + time_limit
    how = OptimiseOptions(starts, seed, workers, deadline, tolerance, reference, options, bundled, formulation)
    if not refine:
        return _optimised(problem, surrogate, start, how)
    if not isinstance(reference, Atlas) or surrogate is None:
        raise StudyError("to refine, give a surrogate, and judge= an Atlas, which has the exact labels")
    best = plan = _optimised(problem, surrogate, start, how)
    gaps = [plan.stats["judged_gap"]]
    while best.stats["judged_gap"] > agreement and len(gaps) <= _ROUNDS and how.left > 0.0:
        surrogate = adapt_surrogate(
            surrogate, reference, uptake_limits(problem, replay(problem, plan, reference), reference.domain)
        )
        try:
            plan = _optimised(problem, surrogate, controls_of(plan), replace(how, starts=1))
        except SolverError:
            if how.left > 0.0:
                raise
            break
        gaps.append(plan.stats["judged_gap"])
        best = min(best, plan, key=lambda each: each.stats["judged_gap"])
    told = {"gaps": gaps, "agreed": best.stats["judged_gap"] <= agreement}
    return Trajectory(best.data, best.status, {**best.stats, "refined": told})


def _optimised(
    problem: Problem, surrogate: Surrogate | None, start: Mapping[str, Profile] | None, how: OptimiseOptions
) -> Trajectory:
    """The optimum with one surrogate."""
    begun = time.perf_counter()
    compiled = how.compiled(problem, surrogate)
    built = time.perf_counter()
    solves, rounds = compiled.solves, 0
    try:
        plan, tried = best_of(compiled, start, how)
    except CoarseMeshError:
        compiled, rounds = _finer(compiled, how, problem.horizon.cut([2] * problem.horizon.elements)), 1
        plan, tried = best_of(compiled, start, how)
    while how.tolerance is not None and rounds < _FINER and how.left > 0.0:
        if replay(compiled.problem, plan, surrogate).stats["replay_gap"] <= how.tolerance:
            break
        again = _finer(compiled, how, finer(compiled.problem, plan, surrogate, how.tolerance))
        try:
            plan = solved_from(again, plan, how.options, how.deadline)
        except SolverError:
            if how.left > 0.0:
                raise
            break
        compiled, rounds = again, rounds + 1
    plan, margins, replayed_on_reference = _kept(compiled, plan, how)
    problem, program = compiled.problem, compiled.program
    stats = {
        "solver": compiled.ipopt.name,
        "iterations": sum(each.iterations for each in solves),
        "solves": len(solves),
        "solve_seconds": sum(each.seconds for each in solves),
        "build_seconds": built - begun,
        "seconds": time.perf_counter() - begun,
        "variables": sum(1 for _ in program.component_data_objects(pyo.Var)),
        "constraints": sum(1 for _ in program.component_data_objects(pyo.Constraint, active=True)),
        "starts": tried,
        "out_of_time": how.left <= 0.0,
        "elements": problem.horizon.elements,
        "finer": rounds,
        "margins": {name: float(margin.max()) for name, margin in margins.items() if margin.max() > 0.0},
        "objective": {"name": problem.objective.name, "unit": problem.objective.unit},
        "outside": outside(problem, plan, surrogate),
        **integrated(problem, plan, surrogate),
        **replayed_on_reference,
    }
    return Trajectory(plan.data, plan.status, {**plan.stats, **stats})


def _finer(compiled: CompiledProblem, how: OptimiseOptions, horizon: Horizon) -> CompiledProblem:
    """The same problem on another mesh; its solves are counted on."""
    again = how.compiled(replace(compiled.problem, horizon=horizon), compiled.surrogate)
    again.solves = compiled.solves
    return again


def _kept(
    compiled: CompiledProblem, plan: Trajectory, how: OptimiseOptions
) -> tuple[Trajectory, Margins, dict[str, Any]]:
    """The plan whose limits are kept on the judge, the margins it took, and what the judge says."""
    if how.reference is None:
        return plan, {}, {}
    problem = compiled.problem

    def again(drawn: Margins, last: Trajectory) -> Trajectory | None:
        if how.left <= 0.0:
            return None
        tighten(compiled.program, problem, drawn)
        settled = problem.with_choices(last.stats["choice"])
        careful, _ = feasible_guess(tightened(settled, drawn), compiled.surrogate, controls_of(last))
        compiled.start(careful)
        solve = compiled.solve(seconds=how.left)
        return planned(compiled, solve.status) if solve.status.solved else None

    kept = back_off(problem, plan, how.reference, again)
    seen = kept.replayed_on_reference.stats
    says = {"judged": seen["replayed"], "judged_gap": seen["replay_gap"], "judged_broken": seen["broken"]}
    return kept.plan, kept.margins, says

"""Optimal control of a system: simulate, transcribe, start, solve, simulate again, and let the linear program judge.

The objective of a collocation can lie, and a surrogate can. So every optimum carries the gap to an integration of its
controls, and with a judge its limits are drawn in until they are kept there.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pyomo.environ as pyo

from mmopt.control.compiled import Compiled
from mmopt.control.elastic import elastic
from mmopt.control.horizon import Horizon
from mmopt.control.judgement import outside, planned
from mmopt.control.margins import Margins, drawn_in, keep_limits
from mmopt.control.mesh import finer
from mmopt.control.plan import controls_of, integrated, replay
from mmopt.control.problem import Problem
from mmopt.control.program import tighten
from mmopt.control.refine import learn_along, uptake_limits
from mmopt.control.start import feasible_start, keeps
from mmopt.control.starts import wishes
from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.metabolism.atlas import Atlas
from mmopt.reactor.feeds import Profile
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import Solve
from mmopt.surrogate.surrogate import Surrogate

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
    tolerance: float | None = None,
    judge: Metabolism | None = None,
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
    tolerance
        If given, the mesh is made finer until the optimum and an integration of its controls agree to this part, six times at
        most; ``resimulation_gap`` tells how far it came.
    judge
        If given, the plan is replayed on it, and limits are moved, element by element, by what lies between its view and
        the plan's, until they are kept on the judge; see `mmopt.control.margins`.
    refine
        Whether the surrogate is to learn along the plan, and the problem to be solved again, until the judge, an `Atlas`,
        agrees; see `mmopt.control.refine`. The plan on which they agree best is kept; ``stats["refined"]`` tells the gap of
        every round, and whether they agreed.
    agreement
        Largest part of the objective by which plan and judge may then differ.
    options
        Options of Ipopt that differ from mmopt's.
    bundled, formulation
        Which Ipopt, and how the surrogate is written, see `Compiled`.

    Returns
    -------
    Trajectory
        The optimum at the collocation points. ``stats`` holds the controls, what else was chosen, the solver's record, the
        margins by which limits were drawn in, the limits that bind and what they are worth (``binding``), where the
        surrogate's domain was left (``outside``), and ``resimulated``, what an ODE integrator reaches with the same
        controls, with ``resimulation_gap`` and ``resimulation_broken``; with a judge the same of it.

    Raises
    ------
    InfeasibleError
        If no controls keep the limits; those that conflict are named, and by how much.
    SolverError
        If Ipopt ends otherwise without an optimum.
    """
    how = _How(starts, seed, tolerance, judge, options, bundled, formulation)
    if not refine:
        return _optimised(problem, surrogate, start, how)
    if not isinstance(judge, Atlas) or surrogate is None:
        raise StudyError("to refine, give a surrogate, and judge= an Atlas, which has the exact labels")
    best = plan = _optimised(problem, surrogate, start, how)
    gaps = [plan.stats["judged_gap"]]
    while best.stats["judged_gap"] > agreement and len(gaps) <= _ROUNDS:
        surrogate = learn_along(surrogate, judge, uptake_limits(problem, replay(problem, plan, judge), judge.domain))
        plan = _optimised(problem, surrogate, controls_of(plan), replace(how, starts=1))
        gaps.append(plan.stats["judged_gap"])
        best = min(best, plan, key=lambda each: each.stats["judged_gap"])
    told = {"gaps": gaps, "agreed": best.stats["judged_gap"] <= agreement}
    return Trajectory(best.data, best.status, {**best.stats, "refined": told})


@dataclass(frozen=True)
class _How:
    """How an optimum is looked for, see `optimise`."""

    starts: int
    seed: int
    tolerance: float | None
    judge: Metabolism | None
    options: Mapping[str, Any] | None
    bundled: bool
    formulation: str | None

    def compiled(self, problem: Problem, surrogate: Surrogate | None) -> Compiled:
        """The problem, compiled."""
        return Compiled(problem, surrogate, options=self.options, bundled=self.bundled, formulation=self.formulation)


class _TooCoarseError(SolverError):
    """A simulation keeps the limits, and the collocation sees them broken whatever is done."""


def _optimised(
    problem: Problem, surrogate: Surrogate | None, start: Mapping[str, Profile] | None, how: _How
) -> Trajectory:
    """The optimum with one surrogate."""
    begun = time.perf_counter()
    compiled = how.compiled(problem, surrogate)
    built = time.perf_counter()
    solves, rounds = compiled.solves, 0
    try:
        plan, tried = _best(compiled, start, how)
    except _TooCoarseError:
        compiled, rounds = _finer(compiled, how, problem.horizon.cut([2] * problem.horizon.elements)), 1
        plan, tried = _best(compiled, start, how)
    while how.tolerance is not None and rounds < _FINER:
        if replay(compiled.problem, plan, surrogate).stats["replay_gap"] <= how.tolerance:
            break
        mesh = finer(compiled.problem, plan, surrogate, how.tolerance)
        compiled, rounds = _finer(compiled, how, mesh), rounds + 1
        plan = solved_from(compiled, plan, how.options)
    plan, margins, judged = _kept(compiled, plan, how.judge)
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
        "elements": problem.horizon.elements,
        "finer": rounds,
        "margins": {name: float(margin.max()) for name, margin in margins.items() if margin.max() > 0.0},
        "objective": {"name": problem.objective.name, "unit": problem.objective.unit},
        "outside": outside(problem, plan, surrogate),
        **integrated(problem, plan, surrogate),
        **judged,
    }
    return Trajectory(plan.data, plan.status, {**plan.stats, **stats})


def _finer(compiled: Compiled, how: _How, horizon: Horizon) -> Compiled:
    """The same problem on another mesh; its solves are counted on."""
    again = how.compiled(replace(compiled.problem, horizon=horizon), compiled.surrogate)
    again.solves = compiled.solves
    return again


def _best(
    compiled: Compiled, start: Mapping[str, Profile] | None, how: _How
) -> tuple[Trajectory, list[dict[str, Any]]]:
    """The best optimum of some starts, and what became of each.

    Raises
    ------
    InfeasibleError, SolverError
        If none has one; what is said is about the first.
    """
    problem, surrogate = compiled.problem, compiled.surrogate
    tried: list[dict[str, Any]] = []
    best: Trajectory | None = None
    failed: InfeasibleError | SolverError | None = None
    for number, wish in enumerate(wishes(problem, how.starts, how.seed)):
        guess, left = feasible_start(problem, surrogate, start if start and number == 0 else wish)
        try:
            plan = solved_from(compiled, guess, how.options)
        except (InfeasibleError, SolverError) as error:
            failed = failed or error
            tried.append({"start_left": left, "status": type(error).__name__, "reached": None})
            continue
        tried.append({"start_left": left, "status": plan.status.name, "reached": plan.stats["optimum"]})
        if best is None or plan.stats["optimum"] > best.stats["optimum"]:
            best = plan
    if best is None and failed is not None:
        raise failed
    if best is None:
        raise StudyError(f"{how.starts} starts cannot be tried; use at least 1")
    return best, tried


def solved_from(compiled: Compiled, guess: Trajectory, options: Mapping[str, Any] | None) -> Trajectory:
    """The optimum from a start; where Ipopt fails, from the point that breaks limits least, if it breaks none.

    Raises
    ------
    InfeasibleError, SolverError
        If there is none.
    """
    compiled.start(guess)
    solve = compiled.solve()
    if solve.status.solved:
        return planned(compiled, solve.status)
    least = elastic(compiled.problem, compiled.surrogate, guess, options)
    if least is None:
        raise SolverError(_ended(solve))
    if least.broken and keeps(problem := compiled.problem, guess, problem.final):
        raise _TooCoarseError(
            f"a simulation keeps all limits, but with {problem.horizon.elements} elements no controls do: {least}; use more "
            "elements"
        )
    if least.broken:
        raise InfeasibleError(f"no controls were found that keep all limits: {least}; loosen one of them")
    compiled.start(least.plan)
    solve = compiled.solve()
    if not solve.status.solved:
        raise SolverError(_ended(solve))
    return planned(compiled, solve.status)


def _ended(solve: Solve) -> str:
    return (
        f"the optimisation ended without an optimum: {solve.status.value} ({solve.ending}, {solve.iterations} iterations); "
        "try another start, more elements, or looser limits"
    )


def _kept(compiled: Compiled, plan: Trajectory, judge: Metabolism | None) -> tuple[Trajectory, Margins, dict[str, Any]]:
    """The plan whose limits are kept on the judge, the margins it took, and what the judge says."""
    if judge is None:
        return plan, {}, {}
    problem = compiled.problem

    def again(drawn: Margins, last: Trajectory) -> Trajectory | None:
        tighten(compiled.program, problem, drawn)
        settled = problem.settled(last.stats["choice"])
        careful, _ = feasible_start(drawn_in(settled, drawn), compiled.surrogate, controls_of(last))
        compiled.start(careful)
        solve = compiled.solve()
        return planned(compiled, solve.status) if solve.status.solved else None

    kept = keep_limits(problem, plan, judge, again)
    seen = kept.judged.stats
    says = {"judged": seen["replayed"], "judged_gap": seen["replay_gap"], "judged_broken": seen["broken"]}
    return kept.plan, kept.margins, says

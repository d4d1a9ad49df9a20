"""Optimal control of a system: guess, transcribe, solve, integrate again, and check on the exact metabolism.

The objective of a collocation can be wrong, and a surrogate can. So every optimum carries the gap to an integration of its
controls, and its limits are tightened until they are kept there, or, with a reference, on that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final

from mmopt.errors import SolverError, StudyError
from mmopt.fba.atlas import Atlas
from mmopt.optimisation.adaptation import adapted, outside_domain, uptake_limits_along
from mmopt.optimisation.back_off import MOST_ROUNDS, BackOff, backed_off, tightened, worst_of
from mmopt.optimisation.mesh import refined
from mmopt.plan.plan import KEPT, Plan, Replay
from mmopt.problem.horizon import Horizon
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile
from mmopt.reactor.system import Metabolism
from mmopt.search.initial_guess import feasible_guess
from mmopt.search.multi_start import CoarseMeshError, Search, remedy_of
from mmopt.search.options import Deadline, OptimiseOptions
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.compiled import CompiledProblem

_ADAPTATIONS: Final = 4
"""Most times a surrogate is adapted to a plan."""

_REFINEMENTS: Final = 6
"""Most times a mesh is refined."""

_FAILURES: Final = 4
"""Solves of a constraint back-off without an answer, after which the best plan so far is taken."""

_WORSE: Final = 1.0e-4
"""Fraction of its objective by which a plan may be below a start: the error of the integrator."""

_DEFAULT: Final = OptimiseOptions()

Controls = Mapping[str, Profile]


def optimise(
    problem: Problem,
    surrogate: SmoothCell | None = None,
    *,
    guess: Controls | None = None,
    reference: Metabolism | None = None,
    adapt: bool = False,
    options: OptimiseOptions = _DEFAULT,
) -> Plan:
    """Compute the controls that maximise the objective of a problem within its limits.

    Parameters
    ----------
    problem
        The problem.
    surrogate
        Surrogate of the cell; None for a system without one.
    guess
        Profiles to start from, by control; they are lowered until their simulation keeps the limits. By default the
        better of the best constant and the best exponential feed, and where no simple feed leads to an optimum, the middle of
        each control's range.
    reference
        If given, the plan is replayed on this metabolism, and limits are tightened, element by element, by the difference
        between the two, until they are kept there. By default the integration of the plan takes its place, where that
        violates a limit between collocation points; see `mmopt.optimisation.back_off`.
    adapt
        Whether the surrogate is trained further along the plan, and the problem solved again, until the reference, an
        `Atlas`, agrees; see `mmopt.optimisation.adaptation`. The plan with the smallest gap is returned.
    options
        Initial guesses, time limit, mesh refinement and the like.

    Returns
    -------
    Plan
        The optimum, with an integration of its controls and, with a reference, their replay on it.

    Raises
    ------
    InfeasibleError
        If no controls were found that keep the limits; those that conflict are named, and by how much.
    SolverError
        If Ipopt ends otherwise without an optimum, at the time limit or before.
    StudyError
        If an argument is of the wrong kind, or the problem cannot be sent to processes.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)})
    >>> plan = optimise(problem, load_surrogate("ecoli_ijo1366"))
    >>> plan.objective > 10.0
    True
    """
    _check_arguments(problem, surrogate, reference, adapt, options)
    search = Search(options, Deadline.after(options.time_limit))
    if adapt and isinstance(surrogate, Surrogate) and isinstance(reference, Atlas):
        return _adapted(problem, surrogate, search, reference, guess)
    return _Optimisation(problem, surrogate, search, reference).run(guess)


def _adapted(problem: Problem, surrogate: Surrogate, search: Search, atlas: Atlas, guess: Controls | None) -> Plan:
    """Optimise and train the surrogate further along the plan in turn; the plan with the smallest gap is returned."""
    best = plan = _Optimisation(problem, surrogate, search, atlas).run(guess)
    gaps = [_gap(plan)]
    single = replace(search, options=replace(search.options, guesses=1))
    while _gap(best) > search.options.agreement and len(gaps) <= _ADAPTATIONS and not search.deadline.has_passed():
        simulator = Simulator(plan.fixed_problem, atlas)
        surrogate = adapted(surrogate, atlas, uptake_limits_along(simulator, plan.replay(atlas).trajectory))
        try:
            plan = _Optimisation(problem, surrogate, single, atlas).run(plan.controls)
        except SolverError:
            if not search.deadline.has_passed():
                raise
            break
        gaps.append(_gap(plan))
        best = min(best, plan, key=_gap)
    return replace(best, record=replace(best.record, adaptation_gaps=tuple(gaps)))


def _gap(plan: Plan) -> float:
    """Gap of a plan to its reference."""
    return float("inf") if plan.on_reference is None else plan.on_reference.gap


@dataclass(frozen=True)
class _Optimisation:
    """One problem with one surrogate."""

    problem: Problem
    surrogate: SmoothCell | None
    search: Search
    reference: Metabolism | None

    def run(self, guess: Controls | None) -> Plan:
        """Compute the optimum, refine its mesh, back off from limits, and integrate the controls."""
        started = perf_counter()
        compiled = self._compiled(self.problem.horizon)
        refinements = 0
        try:
            result = self.search.best(compiled, guess)
        except CoarseMeshError:
            compiled = self._compiled(self.problem.horizon.divided([2] * self.problem.horizon.elements), compiled)
            refinements = 1
            result = self.search.best(compiled, guess, last_mesh=True)
        on_first_mesh, plan = compiled, result.plan
        guesses, remedies = plan.record.guesses, plan.record.remedies
        compiled, plan, refinements = self._refined(compiled, plan, refinements)
        plan, on_reference, back_off = self._backed_off(compiled, plan)
        integration = plan.replay(self.surrogate)
        if result.start is not None and plan.status is not Status.START:
            held = on_first_mesh.plan_as_simulated(result.start.guess.trajectory)
            as_simulated, held_on_reference = held.replay(self.surrogate), self._on_reference(held)
            if _is_worse(on_reference or integration, held_on_reference or as_simulated):
                plan, integration, on_reference, back_off = held, as_simulated, held_on_reference, {}
                remedies = (*remedies, remedy_of(result.start))
        simulator = Simulator(plan.fixed_problem, self.surrogate)
        record = replace(
            compiled.record(plan.status),
            seconds=perf_counter() - started,
            refinements=refinements,
            guesses=guesses,
            remedies=remedies,
            out_of_time=self.search.deadline.has_passed(),
            back_off=back_off,
            outside_domain=outside_domain(simulator, plan.trajectory),
        )
        return replace(plan, record=record, integration=integration, on_reference=on_reference)

    def _on_reference(self, plan: Plan) -> Replay | None:
        """The replay of a plan on the reference, if there is one."""
        return None if self.reference is None else plan.replay(self.reference)

    def _compiled(self, horizon: Horizon, before: CompiledProblem | None = None) -> CompiledProblem:
        """Compile the problem on a mesh; the solves on the mesh before count, too."""
        compiled = self.search.options.compile(replace(self.problem, horizon=horizon), self.surrogate)
        if before is not None:
            compiled.solves = before.solves
        return compiled

    def _refined(self, compiled: CompiledProblem, plan: Plan, refinements: int) -> tuple[CompiledProblem, Plan, int]:
        """Refine the mesh until the optimum and an integration of its controls agree."""
        tolerance, deadline = self.search.options.mesh_tolerance, self.search.deadline
        while tolerance is not None and refinements < _REFINEMENTS and not deadline.has_passed():
            if plan.replay(self.surrogate).gap <= tolerance:
                break
            finer = self._compiled(refined(plan, self.surrogate, tolerance), compiled)
            try:
                plan = self.search.optimum(finer, plan.trajectory)
            except SolverError:
                if not deadline.has_passed():
                    raise
                break
            compiled, refinements = finer, refinements + 1
            self.search.options.report("mesh refinement", refinements, _REFINEMENTS)
        return compiled, plan, refinements

    def _backed_off(self, compiled: CompiledProblem, plan: Plan) -> tuple[Plan, Replay | None, dict[str, float]]:
        """Return the plan whose limits are kept in its replay, the replay on the reference, and the back-off it took.

        Without a reference the replay is the integration with the surrogate, and nothing is done if that keeps the limits.
        """
        if self.reference is None and worst_of(plan.replay(self.surrogate), plan.problem) <= KEPT:
            return plan, None, {}
        if not self.search.options.back_off:
            return plan, self._on_reference(plan), {}
        rounds = failures = 0

        def solve_again(back_offs: Sequence[BackOff], plans: Sequence[Plan]) -> list[Plan] | None:
            nonlocal rounds, failures
            (back_off,), (last,) = back_offs, plans
            rounds += 1
            self.search.options.report("constraint back-off", rounds, MOST_ROUNDS)
            if self.search.deadline.has_passed() or failures == _FAILURES:
                return None
            compiled.program.tighten(back_off)
            if self.reference is None:
                compiled.start(last.trajectory)
                if (warm := self.search.warm(compiled)).status.solved:
                    return [compiled.plan(warm.status)]
            tight = Simulator(tightened(last.fixed_problem, back_off), self.surrogate)
            guess = feasible_guess(tight, last.controls).trajectory
            again = self.search.in_turn(compiled, guess).plan
            failures += again is None
            return None if again is None else [again]

        metabolism = self.surrogate if self.reference is None else self.reference
        (kept,) = backed_off([plan], metabolism, solve_again, goal=max)
        return kept.plan, None if self.reference is None else kept.replay, kept.largest


def _is_worse(plan: Replay, start: Replay) -> bool:
    """Whether a plan is worse than a simulated start that keeps the limits."""
    return start.worst_violation <= KEPT and plan.objective < start.objective - _WORSE * abs(start.objective)


def _check_arguments(problem: Any, surrogate: Any, reference: Any, adapt: bool, options: Any) -> None:
    for name, value, kind in (("problem", problem, Problem), ("options", options, OptimiseOptions)):
        if not isinstance(value, kind):
            raise StudyError(f"{name} is {value!r:.60}; give an object of the class {kind.__name__}")
    if surrogate is not None and not isinstance(surrogate, SmoothCell):
        raise StudyError(f"surrogate is {surrogate!r:.60}; give a SmoothCell, such as load_surrogate returns, or None")
    if reference is not None and not isinstance(reference, Metabolism):
        raise StudyError(f"reference is {reference!r:.60}; give an Atlas, a FluxProgram or a SmoothCell, or None")
    if adapt and not (isinstance(reference, Atlas) and isinstance(surrogate, Surrogate)):
        raise StudyError("to adapt, give a trained surrogate, and reference= an Atlas, which has the exact fluxes")

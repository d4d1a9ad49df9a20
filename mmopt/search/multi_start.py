"""Multi-start: the optimum from one initial guess, or the best from several, here or in processes.

Optima of feeds can be local. So a plan with a feed gap is solved again with feed in the gap, and the record holds what every
other guess led to.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from mmopt.errors import InfeasibleError, SolverError, StudyError, first_line
from mmopt.parallel.pool import ProcessPool
from mmopt.plan.plan import Plan
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile
from mmopt.results import Trajectory
from mmopt.search.coarse import plan_on_coarse_mesh
from mmopt.search.continuation import lowered_floors
from mmopt.search.elastic import least_violation
from mmopt.search.initial_guess import Guess, feasible_guess, guessed_controls, halved, keeps_limits
from mmopt.search.single_start import THOROUGH, UNFINISHED, SingleStart
from mmopt.search.starts import Start, lowered_start, simple_starts
from mmopt.search.trial import AS_SIMULATED, FLOORS, SearchResult, Trial, best_plan, with_remedy
from mmopt.solvers.ipopt import Solve
from mmopt.solvers.ipopt_options import Tuning
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.compiled import CompiledProblem

LEAST_VIOLATION: Final = "a start from the least violation of the limits"
"""A remedy, besides those of `mmopt.search.trial`."""

Controls = Mapping[str, Profile]


class CoarseMeshError(SolverError):
    """A simulation keeps the limits, and the collocation violates them whatever the controls."""


@dataclass(frozen=True)
class Search(SingleStart):
    """How optima are searched.

    Attributes
    ----------
    options
        The options.
    deadline
        When to stop.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, 2), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    >>> from mmopt.search.options import Deadline
    >>> search = Search(OptimiseOptions(), Deadline())
    >>> result = search.best(CompiledProblem(problem, load_surrogate("ecoli_ijo1366")), None)
    >>> result.plan.objective >= result.start.objective
    True
    """

    def optimum(self, compiled: CompiledProblem, guess: Trajectory) -> Plan:
        """Solve from one guess; where Ipopt fails, from the point of least violation, if it violates nothing.

        Parameters
        ----------
        compiled
            The problem.
        guess
            A trajectory to start from.

        Returns
        -------
        Plan

        Raises
        ------
        InfeasibleError, SolverError
            If there is no optimum, or not before the deadline.
        """
        outcome = self.in_turn(compiled, guess)
        return outcome.plan or self._from_least_violation(compiled, guess, outcome.solve)

    def _from_least_violation(self, compiled: CompiledProblem, guess: Trajectory, before: Solve) -> Plan:
        """Solve from the point of least violation, where Ipopt fails from a guess."""
        if before.status is Status.TIME_LIMIT:
            raise SolverError(_ended(before))
        least = least_violation(compiled.simulator, guess, self.options.ipopt, self.deadline)
        if self.deadline.has_passed():  # a solve that had no time shows nothing
            raise SolverError(_ended(replace(before, status=Status.TIME_LIMIT)))
        if least is None:
            return self._from_less(compiled, guess, before)
        problem = compiled.problem
        if least.violations and keeps_limits(problem, guess, problem.final):
            raise CoarseMeshError(
                f"a simulation keeps all limits, but with {problem.horizon.elements} elements no controls do: {least}; use "
                "more elements"
            )
        if least.violations:
            raise InfeasibleError(f"no controls were found that keep all limits: {least}; loosen one of them")
        again = self.in_turn(compiled, least.trajectory)
        return again.plan or self._from_less(compiled, guess, again.solve)

    def _from_less(self, compiled: CompiledProblem, guess: Trajectory, before: Solve) -> Plan:
        """Solve from half of the guessed controls, where Ipopt fails from all of them though they keep the limits."""
        less = {name: halved(guess, name, control.low) for name, control in compiled.problem.controls.items()}
        outcome = self.in_turn(compiled, feasible_guess(compiled.simulator, less).trajectory)
        if outcome.plan is None:
            raise SolverError(_ended(before))
        return outcome.plan

    def optimum_without_gap(self, compiled: CompiledProblem, guess: Trajectory) -> Plan:
        """Solve from one guess, and again with feed in the gaps of the plan; the better plan is returned.

        The compiled problem need not hold the plan that is returned.

        Parameters
        ----------
        compiled, guess
            As for `optimum`.

        Returns
        -------
        Plan

        Raises
        ------
        InfeasibleError, SolverError
            As `optimum`.
        """
        return self.without_gap(compiled, self.optimum(compiled, guess))

    def best(self, compiled: CompiledProblem, wanted: Controls | None, last_mesh: bool = False) -> SearchResult:
        """Solve from several starts, and return the best plan; after the deadline no more are begun.

        Without controls to begin with, and with one guess, the first start is the better of the best constant and the best
        exponential feed, then the other, then the guess; else they are solved from where no plan is better than they are. Where
        no solve leads to an optimum, but the controls of an unfinished one improve on the simple feeds in a simulation, these
        are the plan. Else floors under dissolved gases are lowered step by step, then the least violation is computed;
        and if that fails, the best start that keeps the limits is the plan.

        Parameters
        ----------
        compiled
            The problem.
        wanted
            Controls of the first guess, which is then the first start; None for the middle of their ranges.
        last_mesh
            Whether no finer mesh will be tried.

        Returns
        -------
        SearchResult
            The plan, whose record holds what every start led to, and the best start.

        Raises
        ------
        InfeasibleError, SolverError
            If no start keeps the limits, and none leads to an optimum; the message is about the first.
        CoarseMeshError
            If a start keeps the limits, and on this mesh no controls do.
        StudyError
            If the problem cannot be sent to processes.
        """
        simple_first = self.options.guesses == 1 and not wanted
        simple = self._from_simple_feeds(compiled, []) if simple_first else []
        late = self.deadline.has_passed() and any(trial.start.keeps for trial in simple)
        guessed = [] if late or best_plan(simple) is not None else self._from_guesses(compiled, wanted)
        ordered = [*guessed, *simple, *self._from_coarse_mesh(compiled)]
        if not simple_first:
            ordered += self._from_simple_feeds(compiled, ordered)
        start = max((trial.best_start for trial in ordered), key=lambda start: start.rank)
        plan = best_plan(ordered)
        if plan is None:
            plan = self._rescued(compiled, ordered[0], start if start.keeps else None, last_mesh)
        records = tuple(trial.record for trial in ordered if trial.was_solved)
        return SearchResult(replace(plan, record=replace(plan.record, guesses=records)), start if start.keeps else None)

    def _from_guesses(self, compiled: CompiledProblem, wanted: Controls | None) -> list[Trial]:
        """Try guesses, lowered until they keep the limits, in their order."""
        controls = list(guessed_controls(compiled.problem, self.options.guesses, self.options.seed))
        if wanted:
            controls[0] = wanted
        trials = []
        for number, trial in self._trials(compiled, controls):
            trials.append((number, trial))
            self.options.report("initial guesses", len(trials), len(controls))
        return [trial for _, trial in sorted(trials, key=lambda entry: entry[0])]

    def _from_coarse_mesh(self, compiled: CompiledProblem) -> list[Trial]:
        """The plan from a search on a coarse mesh, if several guesses are wanted for a system without a cell."""
        if self.options.guesses == 1 or compiled.surrogate is not None or self.deadline.has_passed():
            return []
        plan = plan_on_coarse_mesh(compiled.problem, self.options, self.deadline)
        name, problem = "plan on a coarse mesh", compiled.problem
        return [] if plan is None else [Trial(Start.of(name, Guess(plan.trajectory, 1.0), problem), [], plan)]

    def _from_simple_feeds(self, compiled: CompiledProblem, trials: list[Trial]) -> list[Trial]:
        """Simple feeds; those better than every plan are solved from."""
        if self.deadline.has_passed():
            return []
        tried: list[Trial] = []
        for start in sorted(
            simple_starts(compiled.simulator, stop=self.deadline.has_passed),
            key=lambda start: start.objective,
            reverse=True,
        ):
            plan = best_plan([*trials, *tried])
            if (plan is not None and plan.objective >= start.objective) or self.deadline.has_passed():
                tried.append(Trial(start, []))
            else:
                tried.append(self.trial(compiled, start, THOROUGH if not tried else (Tuning.CLOSE,)))
        return tried

    def _rescued(self, compiled: CompiledProblem, first: Trial, start: Start | None, last_mesh: bool) -> Plan:
        """A plan where no start led to one."""
        if start is not None:
            as_simulated = with_remedy(compiled.plan_as_simulated(start.guess.trajectory), remedy_of(start))
            if self.deadline.has_passed() or start.name == UNFINISHED:
                return as_simulated
            plan = lowered_floors(compiled, start.guess.trajectory, self)
            if plan is not None:
                return with_remedy(plan, FLOORS)
        guess = (first.start if start is None else start).guess.trajectory
        try:
            plan = self._from_least_violation(compiled, guess, first.solves[-1])
        except (InfeasibleError, SolverError) as error:
            if start is None or (isinstance(error, CoarseMeshError) and not last_mesh):
                raise
            return as_simulated
        return with_remedy(plan, LEAST_VIOLATION)

    def _trials(self, compiled: CompiledProblem, controls: list[Controls]) -> Iterator[tuple[int, Trial]]:
        """Yield trials with the numbers of their guesses, as they end."""
        workers = min(self.options.workers, len(controls))
        if workers == 1:
            for number, wanted in enumerate(controls):
                if number == 0 or not self.deadline.has_passed():
                    yield number, _trial(compiled, wanted, self)
            return
        search = replace(self, options=replace(self.options, progress=None))
        try:
            pool = ProcessPool(_RemoteSearch(compiled.problem, compiled.surrogate, search), workers)
        except StudyError as error:  # pickle refuses it
            raise StudyError(
                f"the problem cannot be sent to other processes ({first_line(error)}); define its system and objective at the "
                "top of a module, or use workers=1"
            ) from error
        with closing(pool):
            running = {pool.submit(wanted): number for number, wanted in enumerate(controls)}
            for future in as_completed(running):
                number = running[future]
                if isinstance(future.exception(), pool.deaths):
                    yield number, _trial(compiled, controls[number], self)
                    continue
                trial = future.result()
                compiled.solves.extend(trial.solves)
                yield number, trial


@dataclass(frozen=True, eq=False)
class _RemoteSearch:
    """What a process needs to try guesses; it compiles the problem at the first."""

    problem: Problem
    surrogate: SmoothCell | None
    search: Search

    @cached_property
    def _compiled(self) -> CompiledProblem:
        return self.search.options.compile(self.problem, self.surrogate)

    def solve(self, wanted: Controls) -> Trial:
        """Try one guess."""
        return _trial(self._compiled, wanted, self.search)


def _trial(compiled: CompiledProblem, wanted: Controls, search: Search) -> Trial:
    """Try one guess."""
    return search.trial(compiled, lowered_start("guess", compiled.simulator, wanted))


def remedy_of(start: Start) -> str:
    """Return the remedy that takes a start as the plan.

    Parameters
    ----------
    start
        The start.

    Returns
    -------
    str
    """
    return UNFINISHED if start.name == UNFINISHED else AS_SIMULATED


def _ended(solve: Solve) -> str:
    more = "more time, " if solve.status is Status.TIME_LIMIT else ""
    return (
        f"the optimisation ended without an optimum: {solve.status.value} ({solve.ending}, {solve.iterations} iterations); "
        f"try {more}another initial guess, more elements, or looser limits"
    )

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

import numpy as np

from mmopt.errors import InfeasibleError, SolverError, StudyError, first_line
from mmopt.optimisation.elastic import least_violation
from mmopt.optimisation.feed_gap import without_feed_gap
from mmopt.optimisation.initial_guess import Guess, feasible_guess, guessed_controls, keeps_limits
from mmopt.optimisation.options import Deadline, OptimiseOptions
from mmopt.parallel.pool import ProcessPool
from mmopt.plan.plan import GuessRecord, Plan
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import LinearFeed, Profile
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.compiled import CompiledProblem

_GAP_ROUNDS: Final = 2
"""Most times a plan with a feed gap is solved again; more rounds gain little."""

_BETTER: Final = 1.0e-6
"""Fraction of an optimum by which another is better."""

_UNSENDABLE: Final = StudyError
"""Raised by a pool for what pickle refuses."""

Controls = Mapping[str, Profile]


class CoarseMeshError(SolverError):
    """A simulation keeps the limits, and the collocation violates them whatever the controls."""


@dataclass(frozen=True)
class Search:
    """How optima are searched.

    Attributes
    ----------
    options
        The options.
    deadline
        When to stop.
    """

    options: OptimiseOptions
    deadline: Deadline

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
        outcome = compiled.solve_from(guess, self.deadline.left)
        if outcome.solve.status is Status.NUMERICAL_TROUBLE:  # rare, and not always repeated from the same start
            outcome = compiled.solve_from(guess, self.deadline.left)
        solve = outcome.solve
        if outcome.plan is not None:
            return outcome.plan
        if solve.status is Status.TIME_LIMIT:
            raise SolverError(_ended(solve))
        least = least_violation(compiled.simulator, guess, self.options.ipopt, self.deadline)
        if self.deadline.has_passed():  # a solve that had no time shows nothing
            raise SolverError(_ended(replace(solve, status=Status.TIME_LIMIT)))
        if least is None:
            return self._from_less(compiled, guess, solve)
        problem = compiled.problem
        if least.violations and keeps_limits(problem, guess, problem.final):
            raise CoarseMeshError(
                f"a simulation keeps all limits, but with {problem.horizon.elements} elements no controls do: {least}; use "
                "more elements"
            )
        if least.violations:
            raise InfeasibleError(f"no controls were found that keep all limits: {least}; loosen one of them")
        again = compiled.solve_from(least.trajectory, self.deadline.left)
        return again.plan or self._from_less(compiled, guess, again.solve)

    def _from_less(self, compiled: CompiledProblem, guess: Trajectory, before: Solve) -> Plan:
        """Solve from half of the guessed controls, where Ipopt fails from all of them though they keep the limits."""
        less = {name: _halved(guess, name, control.low) for name, control in compiled.problem.controls.items()}
        outcome = compiled.solve_from(feasible_guess(compiled.simulator, less).trajectory, self.deadline.left)
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
        plan = self.optimum(compiled, guess)
        for _ in range(_GAP_ROUNDS):
            wanted = without_feed_gap(plan)
            if wanted is None or self.deadline.has_passed():
                break
            fed = feasible_guess(compiled.simulator.with_choices(plan.choices), wanted).trajectory
            other = compiled.solve_from(fed, self.deadline.left).plan
            if other is None or other.objective - plan.objective <= _BETTER * abs(plan.objective):
                break
            plan = other
        return plan

    def best(self, compiled: CompiledProblem, wanted: Controls | None) -> Plan:
        """Solve from several guesses, and return the best plan; after the deadline no more are begun.

        Parameters
        ----------
        compiled
            The problem.
        wanted
            Controls of the first guess; None for the middle of their ranges.

        Returns
        -------
        Plan
            Its record holds what every guess led to.

        Raises
        ------
        InfeasibleError, SolverError
            If no guess leads to an optimum; the message is about the first.
        StudyError
            If the problem cannot be sent to processes.
        """
        controls = list(guessed_controls(compiled.problem, self.options.guesses, self.options.seed))
        if wanted:
            controls[0] = wanted
        trials = []
        for number, trial in self._trials(compiled, controls):
            trials.append((number, trial))
            self.options.report("initial guesses", len(trials), len(controls))
        ordered = [trial for _, trial in sorted(trials, key=lambda entry: entry[0])]
        plans = [trial.plan for trial in ordered if trial.plan is not None]
        if not plans:
            raise next(trial.error for trial in ordered if trial.error is not None)
        best = max(plans, key=lambda plan: plan.objective)
        return replace(best, record=replace(best.record, guesses=tuple(trial.record for trial in ordered)))

    def _trials(self, compiled: CompiledProblem, controls: list[Controls]) -> Iterator[tuple[int, "_Trial"]]:
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
        except _UNSENDABLE as error:
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
class _Trial:
    """What one guess led to."""

    guess: Guess
    solves: list[Solve]
    plan: Plan | None = None
    error: InfeasibleError | SolverError | None = None

    @property
    def record(self) -> GuessRecord:
        if self.plan is None:
            return GuessRecord(self.guess.kept, type(self.error).__name__, None)
        return GuessRecord(self.guess.kept, self.plan.status.name, self.plan.objective)


@dataclass(frozen=True, eq=False)
class _RemoteSearch:
    """What a process needs to try guesses; it compiles the problem at the first."""

    problem: Problem
    surrogate: Surrogate | None
    search: Search

    @cached_property
    def _compiled(self) -> CompiledProblem:
        return self.search.options.compile(self.problem, self.surrogate)

    def solve(self, wanted: Controls) -> _Trial:
        """Try one guess."""
        return _trial(self._compiled, wanted, self.search)


def _trial(compiled: CompiledProblem, wanted: Controls, search: Search) -> _Trial:
    """Try one guess."""
    before = len(compiled.solves)
    guess = feasible_guess(compiled.simulator, wanted)
    plan, failure = None, None
    try:
        plan = search.optimum_without_gap(compiled, guess.trajectory)
    except (InfeasibleError, SolverError) as error:
        failure = error
    return _Trial(guess, compiled.solves[before:], plan, failure)


def _halved(guess: Trajectory, name: str, low: float) -> Profile:
    """A control of a guess, halfway to its lowest value."""
    return LinearFeed(*_ascending(guess.time, low + 0.5 * (guess[name] - low)))


def _ascending(times: np.ndarray, values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Points of a line with strictly ascending times."""
    first = np.append(True, np.diff(times) > 0.0)
    return tuple(times[first].tolist()), tuple(values[first].tolist())


def _ended(solve: Solve) -> str:
    more = "more time, " if solve.status is Status.TIME_LIMIT else ""
    return (
        f"the optimisation ended without an optimum: {solve.status.value} ({solve.ending}, {solve.iterations} iterations); "
        f"try {more}another initial guess, more elements, or looser limits"
    )

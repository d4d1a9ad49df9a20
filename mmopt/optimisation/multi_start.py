"""Attempts at an optimum: from one start, or from several, here or in processes, and the best that is found.

Optima of feeds can be local. So a plan in which the cell starves is tried once more with feed in the gap, and what was found
from other starts is told with the best.
"""

import math
import pickle
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from mmopt.errors import InfeasibleError, SolverError, StudyError, first_line
from mmopt.optimisation.elastic import elastic
from mmopt.optimisation.feed_gap import without_feed_gap
from mmopt.optimisation.guess_shapes import initial_guesses
from mmopt.optimisation.initial_guess import feasible_guess, keeps
from mmopt.parallel.pool import ProcessPool
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.active_limits import planned
from mmopt.transcription.compiled import CompiledProblem

_FED_AGAIN: Final = 2
"""Most times a plan in which the cell starves is tried again; what it takes more than one for gains little."""

_BETTER: Final = 1.0e-6
"""Part of an optimum by which another is better."""

_UNSENDABLE: Final = (pickle.PicklingError, AttributeError, TypeError)
"""What pickle raises."""


class CoarseMeshError(SolverError):
    """A simulation keeps the limits, and the collocation sees them broken whatever is done."""


@dataclass(frozen=True)
class OptimiseOptions:
    """How an optimum is looked for, see `optimise`; ``deadline`` is one of `time.monotonic`, the same in all processes."""

    starts: int
    seed: int
    workers: int
    deadline: float
    tolerance: float | None
    reference: Metabolism | None
    options: Mapping[str, Any] | None
    bundled: bool
    formulation: str | None

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.deadline - time.monotonic()

    def compiled(self, problem: Problem, surrogate: Surrogate | None) -> CompiledProblem:
        """The problem, compiled."""
        return CompiledProblem(
            problem, surrogate, options=self.options, bundled=self.bundled, formulation=self.formulation
        )


@dataclass(frozen=True, eq=False)
class _Attempt:
    """What became of one start."""

    left: float
    solves: list[Solve]
    plan: Trajectory | None = None
    error: InfeasibleError | SolverError | None = None

    @property
    def as_dict(self) -> dict[str, Any]:
        """For the statistics of a plan."""
        if self.plan is None:
            return {"start_left": self.left, "status": type(self.error).__name__, "reached": None}
        return {"start_left": self.left, "status": self.plan.status.name, "reached": self.plan.stats["optimum"]}


@dataclass(frozen=True, eq=False)
class _Elsewhere:
    """What a process needs to try starts; it compiles the problem at the first."""

    problem: Problem
    surrogate: Surrogate | None
    how: OptimiseOptions

    @cached_property
    def _compiled(self) -> CompiledProblem:
        return self.how.compiled(self.problem, self.surrogate)

    def solve(self, wish: Mapping[str, Profile]) -> _Attempt:
        """Try from one start."""
        return _tried(self._compiled, wish, self.how)


def _tried(compiled: CompiledProblem, wish: Mapping[str, Profile], how: OptimiseOptions) -> _Attempt:
    """Try from one start."""
    before = len(compiled.solves)
    guess, left = feasible_guess(compiled.problem, compiled.surrogate, wish)
    plan, failed = None, None
    try:
        plan = fed_from(compiled, guess, how.options, how.deadline)
    except (InfeasibleError, SolverError) as error:
        failed = error
    return _Attempt(left, compiled.solves[before:], plan, failed)


def best_of(
    compiled: CompiledProblem, start: Mapping[str, Profile] | None, how: OptimiseOptions
) -> tuple[Trajectory, list[dict[str, Any]]]:
    """The best optimum of some starts, and what became of each; once time is over no more are begun.

    Raises
    ------
    InfeasibleError, SolverError
        If none has one; what is said is about the first.
    StudyError
        If the problem cannot be sent to processes.
    """
    wanted = list(initial_guesses(compiled.problem, how.starts, how.seed))
    if start:
        wanted[0] = start
    made = [attempt for _, attempt in sorted(_made(compiled, wanted, how), key=lambda pair: pair[0])]
    plans = [each.plan for each in made if each.plan is not None]
    if not plans:
        raise next(each.error for each in made if each.error is not None)
    return max(plans, key=lambda plan: plan.stats["optimum"]), [each.as_dict for each in made]


def _made(
    compiled: CompiledProblem, wanted: list[Mapping[str, Profile]], how: OptimiseOptions
) -> Iterator[tuple[int, _Attempt]]:
    """Attempts with the numbers of their starts, as they are done."""
    workers = min(how.workers, len(wanted))
    if workers == 1:
        for number, wish in enumerate(wanted):
            if number == 0 or how.left > 0.0:
                yield number, _tried(compiled, wish, how)
        return
    try:
        pool = ProcessPool(_Elsewhere(compiled.problem, compiled.surrogate, replace(how, reference=None)), workers)
    except _UNSENDABLE as error:
        raise StudyError(
            f"the problem cannot be sent to other processes ({first_line(error)}); define its system and objective at the top "
            "of a module, or use workers=1"
        ) from error
    with closing(pool):
        flying = {pool.submit(wish): number for number, wish in enumerate(wanted)}
        for future in as_completed(flying):
            number = flying[future]
            if isinstance(future.exception(), pool.deaths):
                yield number, _tried(compiled, wanted[number], how)
                continue
            attempt = future.result()
            compiled.solves.extend(attempt.solves)
            yield number, attempt


def fed_from(
    compiled: CompiledProblem, guess: Trajectory, options: Mapping[str, Any] | None, deadline: float = math.inf
) -> Trajectory:
    """The optimum from a start as `solved_from` finds it, tried again with feed where the cell starves.

    The better one is told, which need not be what the compiled problem holds then.
    """
    plan = solved_from(compiled, guess, options, deadline)
    for _ in range(_FED_AGAIN):
        wish = without_feed_gap(plan)
        if wish is None or time.monotonic() >= deadline:
            break
        again, _ = feasible_guess(compiled.problem.with_choices(plan.stats["choice"]), compiled.surrogate, wish)
        compiled.start(again)
        solve = compiled.solve(seconds=deadline - time.monotonic())
        if not solve.status.solved:
            break
        other = planned(compiled, solve.status)
        gain = other.stats["optimum"] - plan.stats["optimum"]
        if gain <= _BETTER * abs(plan.stats["optimum"]):
            break
        plan = other
    return plan


def solved_from(
    compiled: CompiledProblem, guess: Trajectory, options: Mapping[str, Any] | None, deadline: float = math.inf
) -> Trajectory:
    """The optimum from a start; where Ipopt fails, from the point that breaks limits least, if it breaks none.

    Raises
    ------
    InfeasibleError, SolverError
        If there is none, or not before the deadline of `time.monotonic`.
    """
    compiled.start(guess)
    solve = compiled.solve(seconds=deadline - time.monotonic())
    if solve.status.solved:
        return planned(compiled, solve.status)
    if solve.status is Status.TIME_LIMIT:
        raise SolverError(_ended(solve))
    least = elastic(compiled.problem, compiled.surrogate, guess, options, deadline)
    if time.monotonic() >= deadline:  # nothing is shown by what had no time
        raise SolverError(_ended(replace(solve, status=Status.TIME_LIMIT)))
    if least is None:
        raise SolverError(_ended(solve))
    if least.broken and keeps(problem := compiled.problem, guess, problem.final):
        raise CoarseMeshError(
            f"a simulation keeps all limits, but with {problem.horizon.elements} elements no controls do: {least}; use more "
            "elements"
        )
    if least.broken:
        raise InfeasibleError(f"no controls were found that keep all limits: {least}; loosen one of them")
    compiled.start(least.plan)
    solve = compiled.solve(seconds=deadline - time.monotonic())
    if not solve.status.solved:
        raise SolverError(_ended(solve))
    return planned(compiled, solve.status)


def _ended(solve: Solve) -> str:
    more = "more time, " if solve.status is Status.TIME_LIMIT else ""
    return (
        f"the optimisation ended without an optimum: {solve.status.value} ({solve.ending}, {solve.iterations} iterations); "
        f"try {more}another start, more elements, or looser limits"
    )

"""The search for controls that are best over several scenarios: starts from what is known, and remedies where solves fail.

The plan of one scenario alone is simulated in all; where it violates limits, the scenario that it violates most is solved
alone, and so on. What results is lowered until it keeps the limits in all scenarios, and starts the program of all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from mmopt.plan.plan import KEPT, Plan
from mmopt.problem.choices import Choices
from mmopt.search.continuation import FLOORS_OF_START, with_floors
from mmopt.search.elastic import Violation, violations_of
from mmopt.search.feed_gap import without_feed_gap
from mmopt.search.initial_guess import feasible_guess
from mmopt.search.options import Deadline
from mmopt.search.scenario_starts import Scenarios, ScenarioStart, controls_of
from mmopt.search.starts import simple_starts
from mmopt.search.trial import FLOORS
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.transcription.equations import Relaxation
from mmopt.transcription.scenario_program import ScenarioProgram

_MOST_STRICT: Final = 6
"""Most scenarios that are solved together for a start."""

_STRICT: Final = "plan of the strictest scenarios"

_SPREADS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Fractions of the differences between scenarios, from none to all."""

_STEPS_BACK: Final = 3

_BOTH: Final = 2
"""The plan of the strictest scenarios as it is, and lowered: both are solved from."""

_BETTER: Final = 1.0e-6

SPREAD: Final = "differences between scenarios, widened step by step"
LEAST_VIOLATION: Final = "a start from the least violation of the limits in all scenarios"


@dataclass(frozen=True, eq=False)
class ScenarioResult:
    """What a search over scenarios found.

    Attributes
    ----------
    plans
        The plan in every scenario, without replays; empty if there is none.
    start
        The best simulated start that keeps the limits in all scenarios; None if none does.
    solve
        The last solve.
    remedies
        What was done where no start led to an optimum.
    violations
        Least violations by scenario, where not all limits can be kept.
    """

    plans: tuple[Plan, ...]
    start: ScenarioStart | None
    solve: Solve
    remedies: tuple[str, ...] = ()
    violations: tuple[tuple[Violation, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class ScenarioSearch:
    """A search over scenarios.

    Attributes
    ----------
    scenarios
        The scenarios.
    ipopt
        Options of Ipopt that differ from mmopt's.
    deadline
        When to stop.
    """

    scenarios: Scenarios
    ipopt: Mapping[str, Any]
    deadline: Deadline

    @cached_property
    def program(self) -> ScenarioProgram:
        """The program of all scenarios."""
        known = self.scenarios
        return ScenarioProgram(known.problems, known.surrogate, known.goal, ipopt=self.ipopt)

    @property
    def _last(self) -> Solve:
        """The last solve."""
        solves = self.program.solves
        return solves[-1] if solves else Solve(Status.TIME_LIMIT, 0, 0.0, float("nan"), "no solve was begun")

    def best(self) -> ScenarioResult:
        """Solve from the starts, and return the best plans.

        Returns
        -------
        ScenarioResult
        """
        starts: list[ScenarioStart] = []
        plans: list[Plan] = []
        for start in self._starts():
            starts.append(start)
            if not plans or len(starts) == _BOTH:  # one of the two often ends in a worse optimum
                plans = self.better(plans, self.solved(start.trajectories, start.choices))
            if len(starts) > 1 and (plans or not any(start.keeps for start in starts)):
                break
        plans = _or_from_mean(self, self.without_gap(plans), starts)
        for start in self._simple_starts(starts):
            starts.append(start)
            if not plans or start.objective > self._objective(plans):
                plans = self.better(plans, self.solved(start.trajectories, start.choices))
        kept = max((start for start in starts if start.keeps), key=lambda start: start.objective, default=None)
        if plans or not starts:
            return ScenarioResult(tuple(plans), kept, self._last)
        return self._rescued(max(starts, key=lambda start: start.rank), kept)

    def solved(self, trajectories: Sequence[Any], choices: Choices) -> list[Plan]:
        """Solve from trajectories.

        Parameters
        ----------
        trajectories
            States and controls over time in every scenario.
        choices
            What was chosen besides the controls.

        Returns
        -------
        list of Plan
            Empty if the solve ended without an optimum.
        """
        if self.deadline.has_passed():
            return []
        self.program.start(trajectories, choices)
        solve = self.program.solve(self.deadline.left)
        return self.program.plans(solve.status) if solve.status.solved else []

    def _objective(self, plans: Sequence[Plan]) -> float:
        return self.scenarios.goal.value([plan.objective for plan in plans])

    def better(self, plans: list[Plan], others: list[Plan]) -> list[Plan]:
        """Return the better plans of two.

        Parameters
        ----------
        plans, others
            Plans of the scenarios, or none.

        Returns
        -------
        list of Plan
            ``plans`` if both are equally good.
        """
        if not plans or not others:
            return plans or others
        gain = self._objective(others) - self._objective(plans)
        return others if gain > _BETTER * abs(self._objective(plans)) else plans

    def _starts(self) -> Iterator[ScenarioStart]:
        """The plan of the strictest scenarios as it is, and lowered for all; then a guess, lowered for all."""
        known, choices = self.scenarios, _middle_choices(self.scenarios)
        simulator = known.simulator(0, choices)
        guess = controls_of(simulator.problem, feasible_guess(simulator).trajectory)
        start = known.simulated("guess", guess, choices)
        strict = None if start is None else self._of_strictest(start)
        if strict is not None:
            yield strict
            yield known.lowered(strict)
        if start is not None:
            yield known.lowered(start)

    def _of_strictest(self, guess: ScenarioStart) -> ScenarioStart | None:
        """The plan of a few scenarios: one at first, then with the one that the plan before violates most, and so on.

        It is the best in their mean, which has fewer local optima than the worst of them.
        """
        known, numbers, strict = self.scenarios, [0], guess
        while len(numbers) <= _MOST_STRICT and not self.deadline.has_passed():
            few = known.of(numbers)
            search = replace(self, scenarios=replace(few, goal=replace(few.goal, worst=False)))
            plans: list[Plan] = []
            for start in dict.fromkeys((strict, guess)):
                begun = few.simulated(start.name, start.controls, start.choices)
                if begun is not None and not plans:
                    begun = few.lowered(begun)
                    plans = search.solved(begun.trajectories, begun.choices)
            plans = search.without_gap(plans)
            self.program.solves.extend(search.program.solves)
            start_of_all = plans and known.simulated(_STRICT, plans[0].controls, plans[0].choices)
            if not start_of_all:
                break
            strict = start_of_all
            violated = {k: by for k, by in enumerate(strict.violations) if k not in numbers and by > KEPT}
            if not violated:
                break
            numbers.append(max(violated, key=lambda k: violated[k]))
        return None if strict is guess else strict

    def _simple_starts(self, starts: Sequence[ScenarioStart]) -> Iterator[ScenarioStart]:
        """The best constant and exponential feeds of the strictest scenario, lowered for all."""
        if not starts or self.deadline.has_passed():
            return
        known, choices = self.scenarios, starts[0].choices
        simulator = known.simulator(starts[0].strictest, choices)
        for simple in simple_starts(simulator):
            start = known.simulated(simple.name, controls_of(simulator.problem, simple.guess.trajectory), choices)
            if start is not None:
                yield known.lowered(start)

    def without_gap(self, plans: list[Plan]) -> list[Plan]:
        """Solve again with feed in the gaps of a plan; the better plans are returned.

        Parameters
        ----------
        plans
            Plans of the scenarios, or none.

        Returns
        -------
        list of Plan
        """
        wanted = next((wanted for plan in plans if (wanted := without_feed_gap(plan)) is not None), None)
        if wanted is None:
            return plans
        fed = self.scenarios.simulated("feed in a gap", wanted, plans[0].choices)
        if fed is None:
            return plans
        fed = self.scenarios.lowered(fed)
        return self.better(plans, self.solved(fed.trajectories, fed.choices))

    def _rescued(self, start: ScenarioStart, kept: ScenarioStart | None) -> ScenarioResult:
        """Plans where no start led to them."""
        failed = self._last
        if self.deadline.has_passed():
            return ScenarioResult((), kept, failed)
        # both need controls that keep the limits in one scenario at least
        remedies = ((SPREAD, self._widened), (FLOORS, self._floors_lowered)) if kept is not None else ()
        for remedy, method in remedies:
            plans = method(start)
            if plans:
                return ScenarioResult(tuple(plans), kept, self._last, (remedy,))
        relaxed = self._relaxed(start)
        if relaxed is not None:
            violations = tuple(violations_of(relaxed.load(number)) for number in range(len(relaxed.problems)))
            if any(violations):
                return ScenarioResult((), kept, failed, (), violations)
            keeping = relaxed.plans(Status.OPTIMAL)
            plans = self.solved([plan.trajectory for plan in keeping], keeping[0].choices)
            if plans:
                return ScenarioResult(tuple(plans), kept, self._last, (LEAST_VIOLATION,))
        return ScenarioResult((), kept, failed)

    def _widened(self, start: ScenarioStart) -> list[Plan]:
        """Solve with equal scenarios first, whose differences then grow step by step."""
        program, known, centre = self.program, self.scenarios, start.strictest
        equal = known.moved(0.0, centre).simulated(start.name, start.controls, start.choices)
        if equal is None:
            return []
        reached, wanted, steps_back = -1.0, list(_SPREADS), 0
        program.start(equal.trajectories, equal.choices)
        while wanted and not self.deadline.has_passed():
            program.change(known.moved(wanted[0], centre).problems)
            if program.solve(self.deadline.left).status.solved:
                reached = wanted.pop(0)
            elif reached < 0.0 or steps_back == _STEPS_BACK:
                break
            else:
                steps_back += 1
                wanted.insert(0, (wanted[0] + reached) / 2.0)
        program.change(known.problems)
        return [] if wanted else program.plans(program.solves[-1].status)

    def _floors_lowered(self, start: ScenarioStart) -> list[Plan]:
        """Solve with floors under dissolved gases first, which are then lowered step by step."""
        known = self.scenarios
        states = [state.name for state in known.problems[0].system.states if state.bends_at]
        if not states or self.deadline.has_passed():
            return []
        highest = {name: max(float(run[name].max()) for run in start.trajectories) for name in states}

        def floored(fraction: float) -> Scenarios:
            limited = [replace(problem, limits=with_floors(problem, highest, fraction)) for problem in known.problems]
            return replace(known, problems=tuple(limited))

        first = floored(FLOORS_OF_START[0])
        lower = first.lowered(start)
        program = ScenarioProgram(first.problems, known.surrogate, known.goal, ipopt=self.ipopt)
        program.start(lower.trajectories, lower.choices)
        for fraction in FLOORS_OF_START:
            program.change(floored(fraction).problems)
            solve = program.solve(self.deadline.left)
            if not solve.status.solved:
                return []
        plans = program.plans(solve.status)
        return self.solved([plan.trajectory for plan in plans], plans[0].choices)

    def _relaxed(self, start: ScenarioStart) -> ScenarioProgram | None:
        """The program in which violations alone are minimised, solved."""
        known = self.scenarios
        relaxation = Relaxation(1.0, objective=False)
        program = ScenarioProgram(known.problems, known.surrogate, known.goal, relaxation=relaxation, ipopt=self.ipopt)
        program.start(start.trajectories, start.choices)
        return program if program.solve(self.deadline.left).status.solved else None


def _or_from_mean(search: ScenarioSearch, plans: list[Plan], starts: Sequence[ScenarioStart]) -> list[Plan]:
    """Where the worst scenario counts: the better of plans and those that start from the best mean, which has fewer optima."""
    goal = search.scenarios.goal
    if not goal.worst or len(search.scenarios.problems) == 1 or search.deadline.has_passed():
        return plans
    mean = replace(search, scenarios=replace(search.scenarios, goal=replace(goal, worst=False)))
    of_mean: list[Plan] = []
    for start in starts:
        of_mean = of_mean or mean.solved(start.trajectories, start.choices)
    of_mean = mean.without_gap(of_mean)
    search.program.solves.extend(mean.program.solves)
    if not of_mean:
        return plans
    again = search.solved([plan.trajectory for plan in of_mean], of_mean[0].choices)
    return search.better(search.better(plans, of_mean), again)


def _middle_choices(scenarios: Scenarios) -> Choices:
    """The middle of what is to be chosen besides the controls."""
    problem = scenarios.problems[0]
    return Choices(
        problem.horizon.hours if isinstance(problem.horizon.length, tuple) else None,
        {name: problem.start_values[name] for name, given in problem.initial.items() if isinstance(given, tuple)},
        {
            name: problem.parameter_values[name]
            for name, given in problem.parameters.items()
            if isinstance(given, tuple)
        },
    )

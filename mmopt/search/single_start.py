"""Solves from one start, and what is left of those that fail.

A solve that goes on for long seldom ends with an optimum. But its controls, lowered until a simulation keeps the limits, are
often better than those it began with: where no solve ends with an optimum, they are the plan.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mmopt.errors import SolverError
from mmopt.plan.plan import Plan
from mmopt.results import Trajectory
from mmopt.search.feed_gap import without_feed_gap
from mmopt.search.initial_guess import Guess, feasible_guess, simulated_steps
from mmopt.search.options import Deadline, OptimiseOptions
from mmopt.search.starts import Start
from mmopt.search.trial import Trial
from mmopt.solvers.ipopt import Solve
from mmopt.solvers.ipopt_options import Tuning
from mmopt.status import Status
from mmopt.transcription.compiled import CompiledProblem, Outcome

UNFINISHED: Final = "controls of an unfinished solve, lowered until a simulation keeps the limits"
"""Name of a start, and of the remedy where it is the plan."""

USUAL: Final = (Tuning.NEAR, Tuning.CLOSE)
"""How Ipopt searches: as usual, which is quicker where it succeeds, then close to the equations, which succeeds more often."""

THOROUGH: Final = (*USUAL, Tuning.PRIMAL)
"""The same, and then with other steps of the multipliers."""

_ITERATIONS: Final = {Tuning.NEAR: 80, Tuning.CLOSE: 200, Tuning.PRIMAL: 300}
"""Iterations of a solve of a cell, unless the user gives a number."""

_GAP_ROUNDS: Final = 2
"""Most times a plan with a feed gap is solved again; more rounds gain little."""

_GAP_ITERATIONS: Final = 60

_FRACTIONS: Final = (1.0, 0.998, 0.99, 0.97, 0.9)
"""Fractions of the lowered controls, above their lowest values, that are simulated until the limits are kept between points."""

_STRICT: Final = 1.0e-5
"""Violation of a limit, relative to it, up to which such controls count: nothing is to be gained from a tolerance."""

_GAIN: Final = 1.0e-3
"""Fraction of a start's objective by which a better simulation takes its place."""

_BETTER: Final = 1.0e-6
"""Fraction of an optimum by which another is better."""


@dataclass(frozen=True)
class SingleStart:
    """How a problem is solved from one start.

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
    >>> from mmopt.search.single_start import SingleStart
    >>> compiled = CompiledProblem(problem, load_surrogate("ecoli_ijo1366"))
    >>> guess = compiled.simulator.run({"feed": ConstantFeed(0.01)})
    >>> SingleStart(OptimiseOptions(), Deadline()).direct(compiled, guess).solve.status.name
    'OPTIMAL'
    """

    options: OptimiseOptions
    deadline: Deadline

    def direct(self, compiled: CompiledProblem, guess: Trajectory, tuning: Tuning = Tuning.NEAR) -> Outcome:
        """Solve from one guess, and once more where Ipopt meets numerical trouble.

        Parameters
        ----------
        compiled
            The problem.
        guess
            A trajectory to start from.
        tuning
            How Ipopt searches.

        Returns
        -------
        Outcome
        """
        most = self._most(compiled, _ITERATIONS[tuning])
        outcome = compiled.solve_from(guess, self.deadline.left, tuning=tuning, iterations=most)
        if outcome.solve.status is Status.NUMERICAL_TROUBLE:  # rare, and not always repeated from the same start
            outcome = compiled.solve_from(guess, self.deadline.left, tuning=tuning, iterations=most)
        return outcome

    def in_turn(self, compiled: CompiledProblem, guess: Trajectory) -> Outcome:
        """Solve from one guess as usual and, where that fails, close to the equations.

        Parameters
        ----------
        compiled
            The problem.
        guess
            A trajectory to start from.

        Returns
        -------
        Outcome
        """
        for tuning in USUAL:
            outcome = self.direct(compiled, guess, tuning)
            if outcome.plan is not None or self.deadline.has_passed():
                break
        return outcome

    def warm(self, compiled: CompiledProblem) -> Solve:
        """Solve from the present values and the multipliers of the last optimum.

        Parameters
        ----------
        compiled
            The problem.

        Returns
        -------
        Solve
        """
        most = self._most(compiled, _ITERATIONS[Tuning.NEAR])
        return compiled.solve(warm=True, seconds=self.deadline.left, iterations=most)

    def trial(self, compiled: CompiledProblem, start: Start, tunings: Sequence[Tuning] = USUAL) -> Trial:
        """Solve from a start, and simulate the controls of what fails.

        Each solve begins from the start, which is smooth: better simulations led to fewer optima. Where the start does not keep
        the limits, it begins from a simulation that does.

        Parameters
        ----------
        compiled
            The problem.
        start
            The start.
        tunings
            How Ipopt searches, one after the other; no more than one, where no simulation keeps the limits.

        Returns
        -------
        Trial
        """
        before, best, outcome = len(compiled.solves), start, None
        for tuning in tunings:
            if outcome is not None and (self.deadline.has_passed() or not best.keeps):
                break
            outcome = self.direct(compiled, (start if start.keeps else best).guess.trajectory, tuning)
            if outcome.plan is not None:
                plan = self.without_gap(compiled, outcome.plan)
                return Trial(start, compiled.solves[before:], plan, best)
            best = self._improved(compiled, best)
        return Trial(start, compiled.solves[before:], None, best)

    def without_gap(self, compiled: CompiledProblem, plan: Plan) -> Plan:
        """Solve again with feed in the gaps of a plan; the better plan is returned.

        Parameters
        ----------
        compiled, plan
            The problem, and a plan of it.

        Returns
        -------
        Plan
        """
        most = self._most(compiled, _GAP_ITERATIONS)
        for _ in range(_GAP_ROUNDS):
            wanted = without_feed_gap(plan)
            if wanted is None or self.deadline.has_passed():
                break
            fed = feasible_guess(compiled.simulator.with_choices(plan.choices), wanted).trajectory
            other = compiled.solve_from(fed, self.deadline.left, iterations=most).plan
            if other is None or other.objective - plan.objective <= _BETTER * abs(plan.objective):
                break
            plan = other
        return plan

    def _improved(self, compiled: CompiledProblem, start: Start) -> Start:
        """A start or, if it is better, the last controls, lowered until a simulation keeps the limits between points, too."""
        problem, simulator = compiled.problem, compiled.simulator
        if problem.has_choices or self.deadline.has_passed() or (controls := compiled.last_controls()) is None:
            return start
        edges = problem.horizon.edges()
        try:
            guess = feasible_guess(simulator, controls)
            levels = {name: guess.trajectory.at(name, (edges[:-1] + edges[1:]) / 2.0) for name in problem.controls}
            for fraction in _FRACTIONS:
                low = {name: control.low for name, control in problem.controls.items()}
                less = {name: low[name] + fraction * (values - low[name]) for name, values in levels.items()}
                trajectory = simulated_steps(simulator, less, fine=True)
                lowered = Start.of(UNFINISHED, Guess(trajectory, guess.kept), problem)
                strict = max(problem.violated_limits(trajectory).values(), default=0.0) <= _STRICT
                if lowered.keeps and strict:
                    break
        except SolverError:
            return start
        worth_it = not start.keeps or lowered.objective > start.objective + _GAIN * abs(start.objective)
        return lowered if lowered.keeps and strict and worth_it else start

    def _most(self, compiled: CompiledProblem, iterations: int) -> float:
        """Limit of the iterations of one of several solves."""
        return math.inf if compiled.surrogate is None or "max_iter" in self.options.ipopt else iterations

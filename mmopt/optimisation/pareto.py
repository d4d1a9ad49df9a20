"""What a second wish costs: the front between the objective and a quantity at the end, by continuation.

The problem is compiled once. From point to point only the bound of the second quantity moves (the epsilon-constraint
method), and each solve starts from the answer before.

References
----------
Haimes, Lasdon and Wismer (1971), IEEE Trans. Syst. Man Cybern. 1:296-297 (epsilon constraints).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.optimisation.initial_guess import feasible_guess
from mmopt.optimisation.multi_start import fed_from, solved_from
from mmopt.problem.objective import final
from mmopt.problem.problem import Problem
from mmopt.results import Trajectory
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.active_limits import planned
from mmopt.transcription.compiled import CompiledProblem
from mmopt.transcription.plan import integrated


@dataclass(frozen=True)
class ParetoFront:
    """Optima in the order of the second quantity.

    Attributes
    ----------
    over
        The second quantity.
    plans
        One for each point; ``stats`` holds ``optimum``, ``resimulated`` and ``over``, the second quantity at the end.
    missed
        Values of the second quantity for which there was no optimum, and why.
    """

    over: str
    plans: tuple[Trajectory, ...]
    missed: Mapping[float, str]

    @property
    def points(self) -> np.ndarray:
        """The second quantity and the objective of each plan, shape (plans, 2)."""
        return np.array([(plan.stats["over"], plan.stats["optimum"]) for plan in self.plans]).reshape(-1, 2)


def pareto(
    problem: Problem,
    over: str,
    surrogate: Surrogate | None = None,
    *,
    points: int = 8,
    values: Sequence[float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> ParetoFront:
    """Find the front between a problem's objective and a quantity at the end, both to be large.

    Parameters
    ----------
    problem
        The problem.
    over
        The second quantity: a state, derived quantity or rate of the cell.
    surrogate
        Answers for the cell; None for a system without one.
    points
        How many points, evenly from what the best objective leaves of the second quantity to the most of it.
    values
        Least values of the second quantity, in place of these.
    options
        Options of Ipopt that differ from mmopt's.

    Raises
    ------
    StudyError
        If the quantity is unknown, or the fewest points are not two.
    InfeasibleError, SolverError
        If not even one end of the front has an optimum.
    """
    if over not in problem.quantities:
        raise StudyError(
            f"there is no quantity '{over}' to trade the objective for; name a state, derived quantity or rate"
        )
    if values is None and points < 2:
        raise StudyError(f"a front of {points} points is none; ask for 2 or more")
    low, high = problem.final.get(over, (None, None))
    compiled = CompiledProblem(replace(problem, final={**problem.final, over: (low, high)}), surrogate, options=options)
    guess, _ = feasible_guess(problem, surrogate)
    plans, missed = [], {}
    if values is None:
        # each end in a program of its own: fed_from may leave it at another answer than it tells
        first = fed_from(CompiledProblem(compiled.problem, surrogate, options=options), guess, options)
        known = problem.quantities[over]
        wish = replace(problem, maximise=final(over, known.unit, known.scale))
        most = fed_from(CompiledProblem(wish, surrogate, options=options), first, options).final(over)
        plans.append(_told(problem, first, surrogate, over))
        values = np.linspace(first.final(over), most, points)[1:].tolist()
    for value in values:
        compiled.change(final={over: (float(value), high)})
        warm = bool(compiled.solves) and compiled.solve(warm=True).status.solved
        try:
            found = planned(compiled) if warm else solved_from(compiled, plans[-1] if plans else guess, options)
        except (InfeasibleError, SolverError) as error:
            missed[float(value)] = str(error)
            continue
        plans.append(_told(problem, found, surrogate, over))
    if not plans:
        raise InfeasibleError(
            f"no point of the front has an optimum: {next(iter(missed.values()), 'no value was asked for')}"
        )
    return ParetoFront(over, tuple(plans), missed)


def _told(problem: Problem, plan: Trajectory, surrogate: Surrogate | None, over: str) -> Trajectory:
    stats = {"over": plan.final(over), **integrated(problem, plan, surrogate)}
    return Trajectory(plan.data, plan.status, {**plan.stats, **stats})

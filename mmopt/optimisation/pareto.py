"""The Pareto front between the objective and a second quantity at the end, by continuation.

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

from mmopt.errors import InfeasibleError, SolverError, StudyError, nearest
from mmopt.plan.plan import Plan
from mmopt.problem.objective import final
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.results import Trajectory
from mmopt.search.initial_guess import feasible_guess
from mmopt.search.multi_start import Search
from mmopt.search.options import Deadline, OptimiseOptions
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.compiled import CompiledProblem


@dataclass(frozen=True, eq=False)
class ParetoFront:
    """Optima in the order of the second quantity.

    Attributes
    ----------
    over
        The second quantity.
    plans
        One plan for each point, with an integration of its controls.
    missed
        Values of the second quantity for which there is no optimum, and why.

    Examples
    --------
    >>> ParetoFront("volume", (), {}).points.shape
    (0, 2)
    """

    over: str
    plans: tuple[Plan, ...]
    missed: Mapping[float, str]

    @property
    def points(self) -> np.ndarray:
        """The second quantity and the objective of each plan, shape (plans, 2)."""
        return np.array([(plan.trajectory.final(self.over), plan.objective) for plan in self.plans]).reshape(-1, 2)


def pareto(
    problem: Problem,
    over: str,
    surrogate: SmoothCell | None = None,
    *,
    points: int = 8,
    values: Sequence[float] | None = None,
    ipopt: Mapping[str, Any] | None = None,
) -> ParetoFront:
    """Compute the Pareto front between a problem's objective and a quantity at the end, both to be large.

    Parameters
    ----------
    problem
        The problem.
    over
        The second quantity: a state, derived quantity or rate of the cell.
    surrogate
        Surrogate of the cell; None for a system without one.
    points
        Number of points, evenly from the second quantity at the best objective to its own maximum.
    values
        Least values of the second quantity, in place of these.
    ipopt
        Options of Ipopt that differ from mmopt's.

    Returns
    -------
    ParetoFront

    Raises
    ------
    StudyError
        If the quantity is unknown, or there are fewer than two points.
    InfeasibleError, SolverError
        If not even one end of the front has an optimum.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, 2), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    >>> front = pareto(problem, "glucose", load_surrogate("ecoli_ijo1366"), points=2)
    >>> len(front.plans)
    2
    """
    if over not in problem.quantities:
        raise StudyError(
            f"there is no quantity '{over}' to trade the objective for: name a state, derived quantity or rate; "
            f"{nearest(over, problem.quantities)}"
        )
    if values is None and points < 2:
        raise StudyError(f"points is {points}; a Pareto front needs 2 or more")
    search = Search(OptimiseOptions(ipopt=dict(ipopt or {})), Deadline())
    low, high = problem.final.get(over, (None, None))
    limited = replace(problem, final={**problem.final, over: (low, high)})
    compiled = search.options.compile(limited, surrogate)
    guess = feasible_guess(Simulator(problem, surrogate)).trajectory
    plans: list[Plan] = []
    missed: dict[float, str] = {}
    if values is None:
        first, most = _ends(limited, over, surrogate, search, guess)
        plans.append(_integrated(first, surrogate))
        values = np.linspace(first.trajectory.final(over), most, points)[1:].tolist()
    for value in values:
        compiled.change(final={over: (float(value), high)})
        before = plans[-1].trajectory if plans else guess
        try:
            plans.append(_integrated(_next(compiled, search, before), surrogate))
        except (InfeasibleError, SolverError) as error:
            missed[float(value)] = str(error)
    if not plans:
        raise InfeasibleError(
            f"no point of the front has an optimum: {next(iter(missed.values()), 'no value was requested')}"
        )
    return ParetoFront(over, tuple(plans), missed)


def _ends(
    problem: Problem, over: str, surrogate: SmoothCell | None, search: Search, guess: Trajectory
) -> tuple[Plan, float]:
    """The optimum of the objective alone, and the largest value of the second quantity; each in a program of its own."""
    first = search.optimum_without_gap(search.options.compile(problem, surrogate), guess)
    known = problem.quantities[over]
    alone = replace(problem, maximise=final(over, known.unit, known.scale))
    most = search.optimum_without_gap(search.options.compile(alone, surrogate), first.trajectory)
    return first, most.trajectory.final(over)


def _next(compiled: CompiledProblem, search: Search, before: Trajectory) -> Plan:
    """The optimum from the present answer or, if that fails, from the plan before."""
    if compiled.solves and (solve := compiled.solve(warm=True)).status.solved:
        return compiled.plan(solve.status)
    return search.optimum(compiled, before)


def _integrated(plan: Plan, surrogate: SmoothCell | None) -> Plan:
    return replace(plan, integration=plan.replay(surrogate))

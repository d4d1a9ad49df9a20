"""One set of controls for several scenarios: what is uncertain (a strain, a transfer coefficient) as sets of parameters.

All scenarios are written into one program that shares the controls and whatever else is chosen. The objective is their mean,
or the worst of them; limits hold in every scenario.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Final

import numpy as np

from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.optimisation.back_off import BackOff, backed_off, worst_of
from mmopt.plan.plan import KEPT, Plan, SolveRecord
from mmopt.problem.goal import Goal
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.search.elastic import least_violation
from mmopt.search.initial_guess import feasible_guess
from mmopt.search.options import Deadline
from mmopt.search.scenario_search import ScenarioResult, ScenarioSearch
from mmopt.search.scenario_starts import Scenarios, ScenarioStart, scenario_problems
from mmopt.search.trial import AS_SIMULATED
from mmopt.solvers.ipopt import Solve
from mmopt.status import Status
from mmopt.surrogate.layer import SmoothCell

_WORSE: Final = 1.0e-4
"""Fraction of the goal by which plans may be below a start: the error of the integrator."""


def optimise_scenarios(
    problem: Problem,
    scenarios: Sequence[Mapping[str, float]],
    surrogate: SmoothCell | None = None,
    *,
    worst: bool = False,
    weights: Sequence[float] | None = None,
    back_off: bool = True,
    time_limit: float | None = None,
    ipopt: Mapping[str, Any] | None = None,
) -> list[Plan]:
    """Compute the controls that are best over several sets of parameters at once.

    Parameters
    ----------
    problem
        The problem.
    scenarios
        Parameters of each scenario that differ from the problem's.
    surrogate
        Surrogate of the cell; None for a system without one.
    worst
        Whether the worst scenario is to be as good as possible; else the mean is.
    weights
        Weights of the scenarios in the mean, above zero; by default equal.
    back_off
        Whether limits are tightened until the integrations of the controls keep them between collocation points, too, in
        every scenario.
    time_limit
        Seconds after which no further solve is begun, and the running one is stopped; the best plans by then are returned.
    ipopt
        Options of Ipopt that differ from mmopt's.

    Returns
    -------
    list of Plan
        The plan in each scenario: the same controls, its own states, and an integration of the controls. What its active
        limits are worth is what the goal over all scenarios gains. They are never worse together than the best simulated
        start that keeps the limits in all scenarios.

    Raises
    ------
    StudyError
        If there is no scenario, or the weights do not fit.
    InfeasibleError
        If no controls were found that keep the limits in every scenario; the first that has none alone is named, and why.
    SolverError
        If Ipopt ends otherwise without an optimum.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, 2), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    >>> plans = optimise_scenarios(problem, [{"kla": 250.0}, {"kla": 350.0}], load_surrogate("ecoli_ijo1366"))
    >>> len(plans)
    2
    """
    shares = _checked_shares(scenarios, weights)
    problems = scenario_problems(problem, scenarios)
    numbers = _distinct(problems)  # equal scenarios would hold the same limits twice
    kept = list(dict.fromkeys(numbers))
    goal = Goal(np.array([shares[[number == k for number in numbers]].sum() for k in kept]), worst)
    known = Scenarios(tuple(problems[k] for k in kept), surrogate, goal)
    search = ScenarioSearch(known, dict(ipopt or {}), Deadline.after(time_limit))
    started = perf_counter()
    result = search.best()
    plans = [replace(plan, integration=plan.replay(surrogate)) for plan in result.plans]
    if back_off and any(map(_violates, plans)):
        plans = _backed_off(search, plans)
    remedies = result.remedies
    if result.start is not None and (not plans or _is_worse(plans, result.start, known)):
        plans, remedies = _as_simulated(search, result.start), (*remedies, AS_SIMULATED)
    if not plans:
        raise _failure(problems, scenarios, surrogate, result, ipopt, [kept.index(number) for number in numbers])
    seconds, late = perf_counter() - started, search.deadline.has_passed()
    solves = search.program.solves
    plans = [replace(plan, record=_completed(plan.record, solves, seconds, late, remedies)) for plan in plans]
    return [replace(plans[kept.index(k)], problem=own) for k, own in zip(numbers, problems, strict=True)]


def _backed_off(search: ScenarioSearch, plans: list[Plan]) -> list[Plan]:
    """Integrate the controls of plans, and tighten the limits of every scenario until the integrations keep them."""
    program, known = search.program, search.scenarios
    program.start([plan.trajectory for plan in plans], plans[0].choices)
    begun = len(program.solves)

    def solve_again(back_offs: Sequence[BackOff], _: Sequence[Plan]) -> list[Plan] | None:
        if search.deadline.has_passed():
            return None
        program.tighten(back_offs)
        solve = program.solve(search.deadline.left, warm=len(program.solves) > begun)
        return program.plans(solve.status) if solve.status.solved else None

    kept = backed_off(plans, known.surrogate, solve_again, known.goal.value)
    return [
        replace(one.plan, integration=one.replay, record=replace(one.plan.record, back_off=one.largest)) for one in kept
    ]


def _violates(plan: Plan) -> bool:
    """Whether the integration of a plan violates a limit without a price."""
    return plan.integration is not None and worst_of(plan.integration, plan.problem) > KEPT


def _completed(
    record: SolveRecord, solves: Sequence[Solve], seconds: float, late: bool, remedies: tuple[str, ...]
) -> SolveRecord:
    """A record with the sums over all solves of all scenarios together."""
    return replace(
        record,
        iterations=sum(solve.iterations for solve in solves),
        solves=len(solves),
        solve_seconds=sum(solve.seconds for solve in solves),
        seconds=seconds,
        remedies=remedies,
        out_of_time=late,
    )


def _is_worse(plans: Sequence[Plan], start: ScenarioStart, known: Scenarios) -> bool:
    """Whether integrated plans are worse than a simulated start that keeps the limits."""
    replays = [plan.integration.objective for plan in plans if plan.integration is not None]
    return known.goal.value(replays) < start.objective - _WORSE * abs(start.objective)


def _as_simulated(search: ScenarioSearch, start: ScenarioStart) -> list[Plan]:
    """A start as plans: its controls, as they are."""
    search.program.start(start.trajectories, start.choices)
    plans = search.program.plans(Status.START)
    return [replace(plan, integration=plan.replay(search.scenarios.surrogate)) for plan in plans]


def _failure(
    problems: Sequence[Problem],
    scenarios: Sequence[Mapping[str, float]],
    surrogate: SmoothCell | None,
    result: ScenarioResult,
    ipopt: Mapping[str, Any] | None,
    numbers: Sequence[int],
) -> InfeasibleError | SolverError:
    """Why there is no plan: a scenario that has none alone, or all of them together."""
    for number, problem in enumerate(problems):
        simulator = Simulator(problem, surrogate)
        least = least_violation(simulator, feasible_guess(simulator).trajectory, ipopt)
        if least is not None and least.violations:
            return InfeasibleError(
                f"no controls were found that keep all limits in scenario {_named(number, scenarios)}: {least}; loosen one of "
                "them, or leave the scenario out"
            )
    together = [
        f"in scenario {_named(number, scenarios)} {'; '.join(map(str, result.violations[k]))}"
        for number, k in enumerate(numbers)
        if result.violations and result.violations[k]
    ]
    if together or result.solve.status is Status.INFEASIBLE:
        because = f": at the least, {', and '.join(together)}" if together else ""
        return InfeasibleError(
            f"each scenario has controls that keep its limits, but none were found that keep them in all{because}; loosen "
            "limits, or leave a scenario out"
        )
    ended = result.solve
    return SolverError(
        f"the optimisation over {len(scenarios)} scenarios ended without an optimum: {ended.status.value} ({ended.ending}); "
        "try fewer scenarios, more elements, or looser limits"
    )


def _named(number: int, scenarios: Sequence[Mapping[str, float]]) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in scenarios[number].items()) or "nothing changed"
    return f"{number + 1} ({values})"


def _distinct(problems: Sequence[Problem]) -> list[int]:
    """Number of the first problem with the same parameters, for every problem."""
    known: dict[tuple[Any, ...], int] = {}
    return [
        known.setdefault(tuple(sorted({**problem.system.defaults, **problem.parameters}.items())), number)
        for number, problem in enumerate(problems)
    ]


def _checked_shares(scenarios: Sequence[Mapping[str, float]], weights: Sequence[float] | None) -> np.ndarray:
    """Weights that add up to one."""
    if not scenarios:
        raise StudyError("there is no scenario to optimise for; give the parameters of one or more")
    given = np.full(len(scenarios), 1.0) if weights is None else np.asarray(weights, dtype=float)
    if given.shape != (len(scenarios),) or not np.all(np.isfinite(given)) or np.any(given <= 0.0):
        raise StudyError(
            f"weights are {given.tolist()}; {len(scenarios)} scenarios need as many weights, finite and above 0"
        )
    shares: np.ndarray = given / given.sum()
    return shares

"""One set of controls for several scenarios: what is uncertain (a strain, a transfer coefficient) as sets of parameters.

All scenarios are written into one program that shares the controls and whatever else is chosen. The objective is their mean,
or the worst of them; limits hold in every scenario.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from mmopt.errors import InfeasibleError, SolverError, StudyError
from mmopt.plan.plan import Plan
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile, StepFeed
from mmopt.search.elastic import least_violation
from mmopt.search.feed_gap import without_feed_gap
from mmopt.search.initial_guess import feasible_guess
from mmopt.solvers.ipopt import NonlinearProgram, Solve
from mmopt.status import Status
from mmopt.surrogate.grey_box import GREY_BOX
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.ipopt_choice import ipopt_options
from mmopt.transcription.program import CollocationProgram
from mmopt.transcription.readout import plan_of, record_of

_TOLERANCE = 1.0e-5
"""Tolerance of a simulation that only gives a guess."""


def optimise_scenarios(
    problem: Problem,
    scenarios: Sequence[Mapping[str, float]],
    surrogate: Surrogate | None = None,
    *,
    worst: bool = False,
    weights: Sequence[float] | None = None,
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
    ipopt
        Options of Ipopt that differ from mmopt's.

    Returns
    -------
    list of Plan
        The plan in each scenario: the same controls, its own states; without active limits.

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
    problems = [replace(problem, parameters={**problem.parameters, **scenario}) for scenario in scenarios]
    program = _ScenarioProgram.write(problem, problems, surrogate, shares, worst)
    solver = NonlinearProgram(program.pyomo, ipopt_options(surrogate, ipopt))
    program.start(problems)
    solve = solver.solve()
    if not solve.status.solved:
        raise _failure(problems, scenarios, surrogate, solve, ipopt)
    plans = program.plans(solver, solve)
    controls = next((controls for plan in plans if (controls := without_feed_gap(plan)) is not None), None)
    if controls is not None:
        program.start([plan.fixed_problem for plan in plans], controls)
        again = solver.solve()
        if again.status.solved and again.objective < solve.objective:
            plans = program.plans(solver, again)
    return [replace(plan, integration=plan.replay(surrogate)) for plan in plans]


@dataclass(frozen=True, eq=False)
class _ScenarioProgram:
    """The programs of all scenarios in one Pyomo problem, with shared decisions."""

    pyomo: pyo.ConcreteModel
    programs: tuple[CollocationProgram, ...]
    surrogate: Surrogate | None

    @classmethod
    def write(
        cls,
        problem: Problem,
        problems: Sequence[Problem],
        surrogate: Surrogate | None,
        shares: np.ndarray,
        worst: bool,
    ) -> "_ScenarioProgram":
        """Write all scenarios, tie their decisions, and combine their objectives."""
        whole = pyo.ConcreteModel(name="optimisation over scenarios")
        whole.scenario = pyo.Block(range(len(problems)))
        programs = tuple(
            CollocationProgram(known, surrogate, formulation=GREY_BOX, block=block)
            for known, block in zip(problems, whole.scenario.values(), strict=True)
        )
        first = programs[0]
        whole.shared = pyo.ConstraintList()
        for program in programs[1:]:
            for own, common in zip(program.decisions(), first.decisions(), strict=True):
                whole.shared.add(own == common)
        blocks = [program.pyomo for program in programs]
        objective: Any = pyo.quicksum(float(share) * block.aim for share, block in zip(shares, blocks, strict=True))
        if worst:
            whole.worst = objective = pyo.Var(initialize=0.0)
            whole.least = pyo.Constraint(range(len(blocks)), rule=lambda m, k: m.worst <= m.scenario[k].aim)
        violation = pyo.quicksum(float(share) * block.violation for share, block in zip(shares, blocks, strict=True))
        whole.cost = pyo.Objective(expr=-objective + first.pyomo.moves + violation)
        return cls(whole, programs, surrogate)

    def start(self, problems: Sequence[Problem], wanted: Mapping[str, Profile] | None = None) -> None:
        """Start every scenario from the least of the controls that keep the limits in one of them."""
        simulators = [Simulator(problem, self.surrogate) for problem in problems]
        guesses = [feasible_guess(simulator, wanted).trajectory for simulator in simulators]
        edges = problems[0].horizon.edges()
        middles = (edges[:-1] + edges[1:]) / 2.0
        least = {
            name: StepFeed(
                tuple(edges.tolist()), tuple(np.min([guess.at(name, middles) for guess in guesses], axis=0).tolist())
            )
            for name in problems[0].controls
        }
        for simulator, program in zip(simulators, self.programs, strict=True):
            program.start_from(simulator.run(least, tolerance=_TOLERANCE))
        if self.pyomo.component("worst") is not None:
            self.pyomo.worst.set_value(min(program.pyomo.aim.value for program in self.programs))

    def plans(self, solver: NonlinearProgram, solve: Solve) -> list[Plan]:
        """The plan in each scenario."""
        status = solve.status
        return [
            plan_of(program, self.surrogate, record_of(program, solver.name, [solve], status, 0.0), status)
            for program in self.programs
        ]


def _failure(
    problems: Sequence[Problem],
    scenarios: Sequence[Mapping[str, float]],
    surrogate: Surrogate | None,
    solve: Solve,
    ipopt: Mapping[str, Any] | None,
) -> InfeasibleError | SolverError:
    """Why there is no plan: a scenario that has none alone, or all of them together."""
    for number, problem in enumerate(problems):
        simulator = Simulator(problem, surrogate)
        least = least_violation(simulator, feasible_guess(simulator).trajectory, ipopt)
        if least is not None and least.violations:
            values = ", ".join(f"{name} {value:g}" for name, value in scenarios[number].items()) or "nothing changed"
            return InfeasibleError(
                f"no controls were found that keep all limits in scenario {number + 1} ({values}): {least}; loosen one of "
                "them, or leave the scenario out"
            )
    if solve.status is Status.INFEASIBLE:
        return InfeasibleError(
            "each scenario has controls that keep its limits, but none were found that keep them in all; loosen limits, or "
            "leave a scenario out"
        )
    return SolverError(
        f"the optimisation over {len(scenarios)} scenarios ended without an optimum: {solve.status.value} ({solve.ending})"
    )


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

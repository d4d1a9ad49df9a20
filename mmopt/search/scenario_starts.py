"""Starts of a search over scenarios: controls simulated in all of them, lowered until they keep the limits in all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mmopt.checking import shown
from mmopt.errors import SolverError, StudyError
from mmopt.plan.plan import profile_of
from mmopt.problem.choices import Choices
from mmopt.problem.control import LINES
from mmopt.problem.goal import Goal
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile
from mmopt.results import Trajectory
from mmopt.search.initial_guess import feasible_guess, keeps_limits, moves_allowed
from mmopt.surrogate.layer import SmoothCell

_LOWERINGS: Final = 3
"""Most times that controls are lowered in a scenario: after all others have lowered them, it may violate a limit again."""

_POINTS_AN_ELEMENT: Final = 15
_TOLERANCE: Final = 1.0e-5

Controls = Mapping[str, Profile]


@dataclass(frozen=True, eq=False)
class ScenarioStart:
    """Controls simulated in every scenario.

    Attributes
    ----------
    name
        How the controls were chosen.
    controls
        The controls.
    choices
        What was chosen besides them.
    trajectories
        The simulations.
    violations
        Largest relative violation of a limit in every scenario.
    keeps
        Whether all limits are kept in all scenarios, those at the end and those of the rate of change among them.
    objective
        The goal over all scenarios.
    """

    name: str
    controls: Controls
    choices: Choices
    trajectories: tuple[Trajectory, ...]
    violations: tuple[float, ...]
    keeps: bool
    objective: float

    @property
    def rank(self) -> tuple[bool, float]:
        """The better the higher."""
        return self.keeps, self.objective

    @property
    def strictest(self) -> int:
        """The scenario with the largest violation."""
        return int(np.argmax(self.violations))


@dataclass(frozen=True, eq=False)
class Scenarios:
    """Scenarios that are simulated with the same controls.

    Attributes
    ----------
    problems
        The problem with the parameters of every scenario.
    surrogate
        Surrogate of the cell; None for a system without one.
    goal
        What is maximised.
    """

    problems: tuple[Problem, ...]
    surrogate: SmoothCell | None
    goal: Goal

    def of(self, numbers: Sequence[int]) -> "Scenarios":
        """Return some of the scenarios.

        Parameters
        ----------
        numbers
            Which.

        Returns
        -------
        Scenarios
        """
        return replace(self, problems=tuple(self.problems[k] for k in numbers), goal=self.goal.of(numbers))

    def simulator(self, number: int, choices: Choices) -> Simulator:
        """Return the simulator of a scenario.

        Parameters
        ----------
        number
            The scenario.
        choices
            What was chosen besides the controls.

        Returns
        -------
        Simulator
        """
        return Simulator(self.problems[number].with_choices(choices), self.surrogate)

    def simulated(self, name: str, controls: Controls, choices: Choices) -> ScenarioStart | None:
        """Simulate controls in every scenario.

        Parameters
        ----------
        name
            How they were chosen.
        controls, choices
            The controls, and what was chosen besides them.

        Returns
        -------
        ScenarioStart or None
            None if a simulation fails.
        """
        points = 1 + _POINTS_AN_ELEMENT * self.problems[0].horizon.elements
        simulators = [self.simulator(number, choices) for number in range(len(self.problems))]
        try:
            trajectories = [simulator.run(controls, points=points, tolerance=_TOLERANCE) for simulator in simulators]
        except SolverError:
            return None
        pairs = [(simulator.problem, run) for simulator, run in zip(simulators, trajectories, strict=True)]
        violated = [max(problem.violated_limits(run).values(), default=0.0) for problem, run in pairs]
        keeps = all(keeps_limits(problem, run, problem.final) for problem, run in pairs) and moves_allowed(*pairs[0])
        objective = self.goal.value([problem.objective_value(run) for problem, run in pairs])
        return ScenarioStart(name, controls, choices, tuple(trajectories), tuple(violated), keeps, objective)

    def lowered(self, start: ScenarioStart) -> ScenarioStart:
        """Lower the controls of a start until they keep the limits in all scenarios, if that does it.

        Parameters
        ----------
        start
            The start.

        Returns
        -------
        ScenarioStart
            The start itself, if it keeps them.
        """
        best = start
        for _ in range(_LOWERINGS * len(self.problems)):
            if best.keeps:
                break
            simulator = self.simulator(best.strictest, start.choices)
            guess = feasible_guess(simulator, best.controls).trajectory
            lower = self.simulated(start.name, controls_of(simulator.problem, guess), start.choices)
            if lower is None or not (lower.keeps or max(lower.violations) < max(best.violations)):
                break
            best = lower
        return best

    def moved(self, share: float, centre: int) -> "Scenarios":
        """Return scenarios whose parameters lie between one scenario and their own.

        Parameters
        ----------
        share
            Fraction of the way to their own parameters.
        centre
            The one scenario.

        Returns
        -------
        Scenarios
        """
        begin = _fixed_parameters(self.problems[centre])

        def between(problem: Problem) -> Problem:
            own = _fixed_parameters(problem)
            values = {name: begin[name] + share * (own[name] - begin[name]) for name in own}
            return replace(problem, parameters={**problem.parameters, **values})

        return replace(self, problems=tuple(map(between, self.problems)))


def controls_of(problem: Problem, trajectory: Trajectory) -> dict[str, Profile]:
    """Return the controls of a simulation as profiles on the mesh of a problem.

    Parameters
    ----------
    problem
        The problem, with everything but its controls fixed.
    trajectory
        A simulation of it with controls on its mesh.

    Returns
    -------
    dict
        By control.
    """
    edges = problem.horizon.edges()
    middles = (edges[:-1] + edges[1:]) / 2.0
    profiles = {}
    for name, control in problem.controls.items():
        values = trajectory.at(name, edges if control.shape == LINES else middles)
        profiles[name] = profile_of(control.shape, tuple(edges.tolist()), tuple(values.tolist()))
    return profiles


def _fixed_parameters(problem: Problem) -> dict[str, float]:
    """All parameters of a problem that are not to be chosen."""
    known = {**problem.system.defaults, **problem.parameters}
    return {name: float(value) for name, value in known.items() if not isinstance(value, tuple)}


def scenario_problems(problem: Problem, scenarios: Sequence[Mapping[str, float]]) -> list[Problem]:
    """Return a problem with the parameters of every scenario.

    Parameters
    ----------
    problem
        The problem.
    scenarios
        Parameters of every scenario that differ from the problem's.

    Returns
    -------
    list of Problem

    Raises
    ------
    StudyError
        If a scenario is no mapping, a parameter is unknown or to be chosen, or a value is no finite number.
    """
    if isinstance(scenarios, Mapping | str) or not all(isinstance(scenario, Mapping) for scenario in scenarios):
        raise StudyError(
            f"scenarios is {shown(scenarios)}; give a list of parameters by name, such as [{{'kla': 250.0}}]"
        )
    chosen = {name for name, given in problem.parameters.items() if isinstance(given, tuple)}
    for number, scenario in enumerate(scenarios):
        for name, value in scenario.items():
            if np.ndim(value) or name in chosen:
                raise StudyError(
                    f"scenario {number + 1} has {name} = {value}; give a number, of a parameter that is not to be chosen"
                )
    return [replace(problem, parameters={**problem.parameters, **scenario}) for scenario in scenarios]

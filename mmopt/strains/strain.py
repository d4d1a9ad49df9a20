"""One strain in a batch: its network without some reactions, simulated with exact fluxes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmopt.errors import MmoptError, first_line
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.network.network import Network
from mmopt.network.variants import set_bounds
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import Profile
from mmopt.results import Trajectory
from mmopt.status import Status

POINTS = 97
"""Times of a simulation in which limits and starvation are looked for."""


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch that every strain grows in.

    Attributes
    ----------
    network
        The network of the strain that nothing was taken from.
    problem
        Reactor, initial states, parameters, horizon, limits and objective.
    controls
        Profile of every control.
    domain
        Uptake limits for which exact fluxes are kept.
    """

    network: Network
    problem: Problem
    controls: Mapping[str, Profile]
    domain: Domain

    def simulated(self, lost: tuple[str, ...]) -> Trajectory:
        """Simulate a strain.

        Parameters
        ----------
        lost
            Reactions that it does not have.

        Returns
        -------
        Trajectory

        Raises
        ------
        MmoptError
            If no flux keeps all bounds, or the integration fails.
        """
        strain = set_bounds(self.network, dict.fromkeys(lost, (0.0, 0.0))) if lost else self.network
        return Simulator(self.problem, Atlas(strain, self.domain)).run(self.controls, points=POINTS)

    def solve(self, task: list[str]) -> dict[str, Any]:
        """Simulate a strain, as a worker does.

        Parameters
        ----------
        task
            Reactions that it does not have.

        Returns
        -------
        dict
            Objective, final states, the largest violation of a limit and the largest shortfall of maintenance; or ``reason``.
        """
        try:
            run = self.simulated(tuple(task))
        except MmoptError as error:
            return {"reason": first_line(error)}
        if run.status is not Status.SIMULATED:
            return {"reason": f"{run.status.value} at {run.time[-1]:.4g} h"}
        violations = self.problem.violated_limits(run)
        return {
            "objective": float(self.problem.objective_value(run)),
            "final": {state.name: float(run.final(state.name)) for state in self.problem.system.states},
            "violation": max(violations.values(), default=0.0),
            "violated": max(violations, key=violations.__getitem__, default=""),
            "shortfall": float(run["shortfall"].max()) if "shortfall" in run.data else 0.0,
        }

"""Simulation of a problem's system with given controls: the one place where a problem meets an integrator."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mmopt.problem.choices import Choices
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile
from mmopt.reactor.system import Cell, Metabolism
from mmopt.results import Trajectory
from mmopt.simulation.compiled import derivative_of
from mmopt.simulation.simulate import TOLERANCE, as_trajectory, checked_cell, merged_parameters, simulate
from mmopt.status import Status

_POINTS = 400


@dataclass(frozen=True)
class Simulator:
    """A problem with the metabolism of its cell.

    Attributes
    ----------
    problem
        The problem; what it leaves to be chosen counts as the middle of its range.
    metabolism
        Metabolism of the cell: a surrogate, an atlas or the flux program; None for a system without a cell.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0), {"feed": (0.0, 0.1)})
    >>> batch = Simulator(problem, load_surrogate("ecoli_ijo1366")).run({"feed": ConstantFeed(0.02)})
    >>> round(batch.final("volume"), 3)
    1.04
    """

    problem: Problem
    metabolism: Metabolism | None

    @property
    def parameters(self) -> dict[str, float]:
        """Value of every parameter of the system."""
        return merged_parameters(self.problem.system, self.problem.parameter_values)

    def with_choices(self, choices: Choices) -> "Simulator":
        """Return the same for the problem in which everything but the controls is fixed.

        Parameters
        ----------
        choices
            Chosen length, initial states and parameters.

        Returns
        -------
        Simulator
        """
        return Simulator(self.problem.with_choices(choices), self.metabolism)

    def cell(self) -> tuple[Cell, tuple[str, ...]]:
        """Return the cell, from uptake limits to rates by name, and the names of its rates.

        Raises
        ------
        StudyError, DomainError
            If the metabolism does not fit the system, or the system can request more uptake than it is valid for.
        """
        return checked_cell(self.problem.system, self.metabolism, self.parameters)

    def run(
        self,
        controls: Mapping[str, Profile],
        *,
        initial: Mapping[str, float] | None = None,
        begin: float = 0.0,
        end: float | None = None,
        points: int = _POINTS,
        tolerance: float = TOLERANCE,
    ) -> Trajectory:
        """Integrate the system over the horizon, or a span of it.

        Parameters
        ----------
        controls
            Profile of every control.
        initial
            States at ``begin``; by default the problem's initial states.
        begin, end
            The span [h]; by default the whole horizon.
        points
            Evenly spaced times in the result.
        tolerance
            Relative tolerance of the integrator.

        Returns
        -------
        Trajectory

        Raises
        ------
        StudyError, SolverError
            As `mmopt.simulation.simulate`.
        """
        problem = self.problem
        return simulate(
            problem.system,
            problem.start_values if initial is None else initial,
            controls,
            (problem.horizon.hours if end is None else end) - begin,
            self.metabolism,
            parameters=problem.parameter_values,
            start=begin,
            points=points,
            tolerance=tolerance,
            continued=initial is not None,
        )

    def describe(
        self, times: np.ndarray, states: np.ndarray, controls: Mapping[str, Profile], status: Status
    ) -> Trajectory:
        """Complete states that were computed otherwise with controls, rates and derived quantities.

        Parameters
        ----------
        times
            Times [h], shape (times,).
        states
            Values of the states, shape (states, times).
        controls
            Profile of every control.
        status
            How the computation ended.

        Returns
        -------
        Trajectory
        """
        system, (cell, rates) = self.problem.system, self.cell()
        first = (float(times[0]), states[:, 0])
        derivative = derivative_of(system, self.metabolism, controls, self.parameters, cell, rates, first)
        return as_trajectory(derivative, controls, times, states, status, {})

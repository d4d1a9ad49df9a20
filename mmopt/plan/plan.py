"""The plan: what an optimisation returns, typed, with everything that was chosen and how it was computed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mmopt.errors import StudyError, nearest
from mmopt.plan.active_limit import ActiveLimit
from mmopt.plan.feed_table import FeedTable
from mmopt.problem.choices import Choices
from mmopt.problem.control import LINES
from mmopt.problem.problem import Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor.profiles import LinearFeed, Profile, StepFeed
from mmopt.reactor.system import Metabolism
from mmopt.results import Trajectory
from mmopt.status import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT: Final = 2.0e-3
"""Relative violation in a simulation that still counts as kept: the integrator's own error is near it."""

_POINTS_AN_ELEMENT: Final = 20
"""Times of a replay in each element, at least."""

_LEAST_POINTS: Final = 400


@dataclass(frozen=True)
class GuessRecord:
    """What became of one initial guess.

    Attributes
    ----------
    kept
        Fraction of the guessed controls that was left after they were lowered until the limits were kept.
    status
        How the solve from it ended: a status, or the name of the error.
    objective
        The objective that it led to; None if it led to no optimum.
    name
        How it was chosen: ``guess``, ``best constant feed`` or ``best exponential feed``.
    """

    kept: float
    status: str
    objective: float | None
    name: str = "guess"


@dataclass(frozen=True)
class SolveRecord:
    """How a plan was computed.

    Attributes
    ----------
    solver
        The Ipopt that was used.
    status
        How the last solve ended.
    iterations, solves, solve_seconds
        Sums over all solves.
    build_seconds, seconds
        Time to transcribe and compile, and in all.
    variables, constraints
        Size of the program.
    elements, refinements
        Elements of the mesh, and how many times it was refined.
    guesses
        What became of each initial guess.
    remedies
        What was done where no start led to an optimum.
    out_of_time
        Whether the time limit ended the search.
    back_off
        Largest amount by which limits were tightened, by quantity, in its unit.
    outside_domain
        Largest amount by which uptake limits leave the surrogate's domain, by exchange [mmol/gDW/h].
    adaptation_gaps
        Gap to the reference before each round of surrogate adaptation, and after the last.

    Examples
    --------
    >>> SolveRecord("bundled Ipopt", "solved to optimality", 20, 1, 0.1, 0.2, 300, 280, 12).elements
    12
    """

    solver: str
    status: str
    iterations: int
    solves: int
    solve_seconds: float
    build_seconds: float
    variables: int
    constraints: int
    elements: int
    seconds: float = 0.0
    refinements: int = 0
    guesses: tuple[GuessRecord, ...] = ()
    remedies: tuple[str, ...] = ()
    out_of_time: bool = False
    back_off: Mapping[str, float] = field(default_factory=dict)
    outside_domain: Mapping[str, float] = field(default_factory=dict)
    adaptation_gaps: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Replay:
    """A simulation of a plan's controls.

    Attributes
    ----------
    trajectory
        The simulation.
    objective
        Its objective, in the objective's unit.
    gap
        Difference to the plan's objective, relative to this one.
    violations
        Largest violation of each violated limit, relative to the limit; limits at the end are named ``final <name>``.

    Examples
    --------
    >>> Replay(None, 49.9, 0.001, {"oxygen_saturation": 0.002}).worst_violation
    0.002
    """

    trajectory: Trajectory
    objective: float
    gap: float
    violations: Mapping[str, float]

    @property
    def worst_violation(self) -> float:
        """Largest relative violation of a limit; 0 if all are kept."""
        return max(self.violations.values(), default=0.0)


@dataclass(frozen=True, eq=False)
class Plan:
    """An optimum.

    Attributes
    ----------
    problem
        The problem, on the mesh of the optimum.
    trajectory
        States, controls, rates and derived quantities at the collocation points.
    values
        Values of every control: one an element or, of lines, one an edge, in their units.
    choices
        What was chosen besides the controls.
    objective
        The objective, in its unit.
    active_limits
        Limits that are active, and what they are worth.
    record
        How it was computed.
    integration
        An ODE integration of the controls with the same surrogate.
    on_reference
        The same with the reference metabolism, where one was given.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)})
    >>> plan = optimise(problem, load_surrogate("ecoli_ijo1366"))
    >>> plan.status.name, len(plan.feed_table().rates), plan.integration.gap < 0.01
    ('OPTIMAL', 4, True)
    """

    problem: Problem
    trajectory: Trajectory
    values: Mapping[str, tuple[float, ...]]
    choices: Choices
    objective: float
    active_limits: tuple[ActiveLimit, ...]
    record: SolveRecord
    integration: Replay | None = None
    on_reference: Replay | None = None

    @property
    def status(self) -> Status:
        """How the solve ended."""
        return self.trajectory.status

    @property
    def keeps_limits(self) -> bool:
        """Whether a simulation of the controls keeps the limits: on the reference, if there is one, else with the surrogate."""
        replay = self.on_reference or self.integration
        return replay is None or replay.worst_violation <= KEPT

    @property
    def fixed_problem(self) -> Problem:
        """The problem with everything fixed that was chosen, but the controls."""
        return self.problem.with_choices(self.choices)

    @property
    def edges(self) -> tuple[float, ...]:
        """Edges of the elements [h]."""
        return tuple(self.fixed_problem.horizon.edges().tolist())

    @property
    def controls(self) -> dict[str, Profile]:
        """Profile of every control."""
        return {
            name: profile_of(self.problem.controls[name].shape, self.edges, values)
            for name, values in self.values.items()
        }

    def replay(self, metabolism: Metabolism | None) -> Replay:
        """Simulate the controls with another cell, usually the flux program itself.

        Parameters
        ----------
        metabolism
            Metabolism of the cell; None for a system without one.

        Returns
        -------
        Replay
            The simulation, its objective, and the limits that it violates.

        Raises
        ------
        StudyError, DomainError, SolverError
            If the metabolism does not fit the system, or the integrator fails.
        """
        problem = self.fixed_problem
        points = max(_LEAST_POINTS, _POINTS_AN_ELEMENT * problem.horizon.elements)
        trajectory = Simulator(problem, metabolism).run(self.controls, points=points)
        objective, planned = problem.objective_value(trajectory), problem.objective_value(self.trajectory)
        gap = abs(planned - objective) / max(abs(objective), 1.0e-12)
        return Replay(trajectory, objective, gap, problem.violated_limits(trajectory))

    def feed_table(self, control: str | None = None) -> FeedTable:
        """Return a control as a table.

        Parameters
        ----------
        control
            Name of the control; by default the first.

        Returns
        -------
        FeedTable

        Raises
        ------
        StudyError
            If there is no such control.
        """
        name = next(iter(self.values)) if control is None else control
        if name not in self.values:
            raise StudyError(f"there is no control '{name}'; {nearest(name, self.values)}")
        unit = next(known.unit for known in self.problem.system.controls if known.name == name)
        known = self.problem.controls[name]
        return FeedTable(self.edges, self.values[name], unit, name, known.shape, max(abs(known.low), abs(known.high)))

    def save(self, path: str | Path) -> Path:
        """Write the plan as netCDF; the file appears whole or not at all. Read it with `load_plan`.

        Parameters
        ----------
        path
            The file.

        Returns
        -------
        Path
            The file.
        """
        record = {
            "values": {name: list(values) for name, values in self.values.items()},
            "mesh": self.problem.horizon.fractions.tolist(),
            "choices": asdict(self.choices),
            "objective": self.objective,
            "active_limits": [limit.as_dict() for limit in self.active_limits],
            "record": self.record.as_dict(),
        }
        return Trajectory(self.trajectory.data, self.status, {"plan": record}).save(path)

    def plot(self, names: Sequence[str] | None = None) -> "Figure":
        """Plot the plan and its replays, with the limits.

        Parameters
        ----------
        names
            Quantities to plot; by default all states, controls, ``growth`` and whatever has a limit.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from mmopt.figures.trajectories import plot_trajectories

        replays = {"integration": self.integration, "reference": self.on_reference}
        shown = {title: replay.trajectory for title, replay in replays.items() if replay is not None}
        return plot_trajectories({"plan": self.trajectory, **shown}, names, self.problem.limits)

    def __repr__(self) -> str:
        objective = self.problem.objective
        lines = [
            f"Plan: {self.status.value}; {objective.name} {self.objective:.5g} {objective.unit}".rstrip()
            + f" at {self.edges[-1]:g} h, {self.record.elements} elements, {self.record.iterations} iterations"
        ]
        for title, replay in (("integration", self.integration), ("reference", self.on_reference)):
            if replay is not None:
                violated = ", ".join(f"{name} by {amount:.1%}" for name, amount in replay.violations.items()) or "none"
                lines.append(f"{title}: {replay.objective:.5g} (gap {replay.gap:.2%}); limits violated: {violated}")
        if not self.keeps_limits:
            lines.append(
                "THE PLAN DOES NOT KEEP ITS LIMITS: use more elements, loosen a limit, or change the initial state"
            )
        if self.record.remedies:
            lines.append(
                f"no solve from a start ended with an optimum; used instead: {'; '.join(self.record.remedies)}"
            )
        return "\n".join([*lines, *map(str, self.active_limits)])

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{line}</li>" for line in repr(self).splitlines()[1:])
        return f"<p>{repr(self).splitlines()[0]}</p><ul>{lines}</ul>{self.feed_table()._repr_html_()}"


def profile_of(shape: str, edges: tuple[float, ...], values: tuple[float, ...]) -> Profile:
    """Return a control of a shape as a profile: steps between edges, or lines through them.

    Parameters
    ----------
    shape
        ``steps`` or ``lines``.
    edges
        Times [h].
    values
        One value a step, or one a time.

    Returns
    -------
    StepFeed or LinearFeed
    """
    return LinearFeed(edges, values) if shape == LINES else StepFeed(edges, values)

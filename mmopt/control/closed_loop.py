"""A controller on a plant it does not know exactly: measure, estimate, decide, advance."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mmopt.checking import finite
from mmopt.control.controller import RECEDING, Controller
from mmopt.control.estimator import Estimator
from mmopt.control.fallbacks import Move
from mmopt.control.plant import LateValue, Plant
from mmopt.errors import StudyError
from mmopt.problem.problem import Problem
from mmopt.results import Trajectory, joined, load_trajectory
from mmopt.status import Status

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[int, int], None]
"""Called with (done, total) after every interval."""

_SAME_TIME: Final = 1.0e-9


@dataclass(frozen=True)
class Step:
    """One step of a closed loop.

    Attributes
    ----------
    time
        When its interval begins [h].
    move
        What the controller decided.
    left_out
        Measurements that the estimator left out, and why.
    """

    time: float
    move: Move
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ClosedLoop:
    """A batch under control.

    Attributes
    ----------
    trajectory
        What the plant did; ``measured_<quantity>`` where a sample was taken, NaN elsewhere.
    steps
        Every step of the controller.
    objective
        Objective of the controller's problem, in its unit.
    violations
        Largest violation of each violated limit of the controller's problem, relative to the limit.

    Examples
    --------
    >>> ClosedLoop(None, (Step(0.0, Move({"feed": 0.1}, Status.OPTIMAL, 5, 0.02)),), 12.0, {}).fallbacks
    0
    """

    trajectory: Trajectory
    steps: tuple[Step, ...]
    objective: float
    violations: Mapping[str, float]

    @property
    def fallbacks(self) -> int:
        """Number of steps that took a fallback."""
        return sum(bool(step.move.fallback) for step in self.steps)

    @property
    def seconds(self) -> np.ndarray:
        """Seconds that each step took, shape (steps,)."""
        return np.array([step.move.seconds for step in self.steps])

    def save(self, path: str | Path) -> Path:
        """Write the closed loop as netCDF; the file appears whole or not at all. Read it with `load_closed_loop`.

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
            "steps": [
                {"time": step.time, "left_out": step.left_out, **asdict(step.move), "status": step.move.status.name}
                for step in self.steps
            ],
            "objective": self.objective,
            "violations": dict(self.violations),
        }
        return Trajectory(self.trajectory.data, self.trajectory.status, {"closed_loop": record}).save(path)

    def plot(self) -> "Figure":
        """Plot the plant over time, with the measurements and the steps that took a fallback.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from mmopt.figures.trajectories import plot_closed_loop

        return plot_closed_loop(self)

    def __repr__(self) -> str:
        violated = ", ".join(f"{name} by {amount:.1%}" for name, amount in self.violations.items()) or "none"
        return (
            f"ClosedLoop: objective {self.objective:.5g} after {len(self.steps)} steps, {self.fallbacks} fallbacks, median "
            f"{1000.0 * float(np.median(self.seconds)):.0f} ms; limits violated: {violated}"
        )


def load_closed_loop(path: str | Path) -> ClosedLoop:
    """Read a closed loop that `ClosedLoop.save` wrote.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    ClosedLoop

    Raises
    ------
    StudyError
        If the file is missing or no closed loop.

    Examples
    --------
    >>> load_closed_loop("missing.nc")
    Traceback (most recent call last):
    mmopt.errors.StudyError: missing.nc is not a trajectory ...
    """
    saved = load_trajectory(path)
    record = saved.stats.get("closed_loop")
    if not isinstance(record, Mapping):
        raise StudyError(f"{path} is no closed loop; give a file that ClosedLoop.save wrote")
    try:
        steps = tuple(_step(entry) for entry in record["steps"])
        objective, violations = float(record["objective"]), dict(record["violations"])
    except (KeyError, TypeError, ValueError) as error:
        raise StudyError(f"{path} is no closed loop ({error}); run the study again") from error
    return ClosedLoop(Trajectory(saved.data, saved.status), steps, objective, violations)


def run_closed_loop(
    plant: Plant,
    controller: Controller,
    estimator: Estimator | None = None,
    progress: Progress | None = None,
    *,
    hours: float | None = None,
) -> ClosedLoop:
    """Run a batch under control to its end.

    Parameters
    ----------
    plant
        The plant.
    controller
        The controller; with a shrinking horizon the batch is as long as the horizon of its problem.
    estimator
        Turns measurements into states and parameters; without one the controller takes the measurements for the states. A
        state that no sensor shows at a move is then that of the last plan, which is noted.
    progress
        Called with (done, total) after every interval.
    hours
        How long a controller with a receding horizon runs [h]; such a run has no limits at its end.

    Returns
    -------
    ClosedLoop

    Raises
    ------
    StudyError
        If ``hours`` is missing or not above 0 for a receding horizon, or given for a shrinking one.
    SolverError
        If the integration of the plant fails.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> cell = load_surrogate("ecoli_ijo1366")
    >>> plant = Plant(problem.system, cell, start, noise={"biomass": 0.01})
    >>> run_closed_loop(plant, Controller(problem, cell, interval=1.0)).fallbacks
    0
    """
    problem, interval = controller.problem, controller.interval
    length = _length(controller, hours)
    count = moves_in(length, interval)
    spans, steps, measurements = [], [], []
    controller.prepare()
    for number in range(count):
        measured = plant.measure()
        measurements.append(measured)
        left_out: tuple[str, ...] = ()
        if estimator is not None:
            left_out = _updated(estimator, measured)
            move = controller.step(plant.time, estimator.states, estimator.parameters)
        else:
            states, left_out = _states_without_estimator(controller, plant.time, measured)
            move = controller.step(plant.time, states)
        steps.append(Step(plant.time, move, left_out))
        duration = min(interval, length - plant.time)
        spans.append(plant.advance(move.controls, duration))
        if estimator is not None:
            estimator.predict(move.controls, duration)
        if number + 1 < count:
            controller.look_ahead(plant.time, *(() if estimator is None else (estimator.states, estimator.parameters)))
        if progress is not None:
            progress(number + 1, count)
    if controller.horizon == RECEDING:
        problem = replace(problem, final={})
    return _closed_loop(problem, spans, steps, measurements)


def moves_in(length: float, interval: float) -> int:
    """Return how many moves a batch has; the last interval may be shorter.

    Parameters
    ----------
    length, interval
        Length of the batch, and time between moves [h].

    Returns
    -------
    int

    Examples
    --------
    >>> from mmopt.control.closed_loop import moves_in
    >>> moves_in(12.0, 0.5), moves_in(1.3, 0.5)
    (24, 3)
    """
    return int(np.ceil(length / interval - _SAME_TIME))


def _updated(estimator: Estimator, measured: Mapping[str, Any]) -> tuple[str, ...]:
    """Correct the estimate, and return what was left out; a tag that is no sensor does not end a batch."""
    known = {name: value for name, value in measured.items() if name in estimator.sensors}
    return (*(f"{name} is no sensor" for name in measured if name not in known), *estimator.update(known))


def _states_without_estimator(
    controller: Controller, time: float, measured: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The measured states, those of the last plan where none was measured, and a note of these."""
    states: dict[str, Any] = dict(controller.problem.start_values)
    if controller.plan is not None:
        states = {name: float(controller.plan.at(name, time)) for name in states}
    prompt = {name: value for name, value in measured.items() if not isinstance(value, LateValue) and name in states}
    unseen = [name for name in states if name not in prompt]
    notes = (f"no measurement of {', '.join(unseen)}: taken from the last plan",) if unseen else ()
    return {**states, **prompt}, notes


def _length(controller: Controller, hours: float | None) -> float:
    """Length of a run [h]."""
    if controller.horizon == RECEDING:
        if hours is None:
            raise StudyError("hours is missing; give how long the controller with a receding horizon runs")
        return finite("hours", hours, above=0.0, unit="h")
    if hours is not None:
        raise StudyError(
            f"hours is {hours}, but the horizon shrinks and the batch is as long as that of its problem, "
            f"{controller.problem.horizon.hours:g} h; leave hours out, or give the controller a receding horizon"
        )
    return controller.problem.horizon.hours


def _closed_loop(
    problem: Problem, spans: list[Trajectory], steps: list[Step], measurements: list[dict[str, Any]]
) -> ClosedLoop:
    """Put the spans together, and the measurements where their samples were taken."""
    whole = joined(spans, Status.CLOSED_LOOP)
    data = whole.data
    begins = np.cumsum([0, *(span.data.sizes["time"] for span in spans[:-1])])
    times = np.array([step.time for step in steps])
    for name in dict.fromkeys(name for measured in measurements for name in measured if name in data):
        values = np.full(data.sizes["time"], np.nan)
        for time, measured in zip(times, measurements, strict=True):
            given = measured.get(name)
            taken, value = (given.taken, given.value) if isinstance(given, LateValue) else (time, given)
            if value is not None:
                values[begins[np.argmin(np.abs(times - taken))]] = _number(value)
        attributes = {"kind": "measured", "units": data[name].attrs["units"]}
        data[f"measured_{name}"] = ("time", values, attributes)
    violations = problem.violated_limits(whole)
    return ClosedLoop(whole, tuple(steps), problem.objective_value(whole), violations)


def _step(entry: Mapping[str, Any]) -> Step:
    fields = {name: value for name, value in entry.items() if name not in ("time", "status", "left_out")}
    for name in ("violations", "notes"):
        fields[name] = tuple(fields.get(name, ()))
    return Step(float(entry["time"]), Move(status=Status[entry["status"]], **fields), tuple(entry.get("left_out", ())))


def _number(value: Any) -> float:
    """A measurement as a number; NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")

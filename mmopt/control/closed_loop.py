"""A controller on a plant it does not know exactly: measure, estimate, decide, advance."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from mmopt.control.controller import Controller, Move
from mmopt.control.estimator import Estimator
from mmopt.errors import StudyError
from mmopt.problem.problem import violated_limits
from mmopt.reactor.profiles import ConstantFeed
from mmopt.reactor.simulate import checked_values, merged_parameters, simulate
from mmopt.reactor.system import Metabolism, System
from mmopt.results import Trajectory
from mmopt.status import Status

Progress = Callable[[int, int], None]

_POINTS = 16
"""Times kept in each interval."""


class Plant:
    """A simulated plant with its own parameters and noisy sensors; usually with the linear program as its cell.

    Parameters
    ----------
    system
        The system.
    metabolism
        Who answers for the cell.
    initial
        Value of every state.
    parameters
        The true values that differ from the system's.
    noise
        Standard deviation of the sensor by measured state, in its unit.
    seed
        Of the noise.
    """

    def __init__(
        self,
        system: System,
        metabolism: Metabolism | None,
        initial: Mapping[str, float],
        *,
        parameters: Mapping[str, float] | None = None,
        noise: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        checked_values(initial, [each.name for each in system.states], "state")
        merged_parameters(system, parameters)
        for name in noise or {}:
            if name not in initial:
                raise StudyError(f"the noise of '{name}' was given, but there is no such state")
        self.system = system
        self.time = 0.0
        self._metabolism = metabolism
        self._states = dict(initial)
        self._parameters = dict(parameters or {})
        self._noise = dict(noise or {})
        self._random = np.random.default_rng(seed)

    def measure(self) -> dict[str, float]:
        """What the sensors show now."""
        return {
            name: self._states[name] + deviation * self._random.standard_normal()
            for name, deviation in self._noise.items()
        }

    def advance(self, controls: Mapping[str, float], duration: float) -> Trajectory:
        """Run on for ``duration`` [h] with held controls."""
        made = simulate(
            self.system,
            self._states,
            {name: ConstantFeed(value) for name, value in controls.items()},
            duration,
            self._metabolism,
            parameters=self._parameters,
            start=self.time,
            points=_POINTS,
        )
        self.time += duration
        self._states = {each.name: made.final(each.name) for each in self.system.states}
        return made


def run_closed_loop(
    plant: Plant,
    controller: Controller,
    estimator: Estimator | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    """Run a batch under control to its end.

    Parameters
    ----------
    plant
        The plant.
    controller
        The controller; the batch is as long as the horizon of its problem.
    estimator
        Turns measurements into states and parameters; without one the controller takes the measurements for the states,
        and the sensors must then show every state.
    progress
        Called with (done, total) after every interval.

    Returns
    -------
    Trajectory
        What the plant did; ``measured_<state>`` where a sample was taken, NaN elsewhere; ``stats["steps"]`` with time,
        controls, status, iterations, seconds, fallback and reason of every step; ``stats["broken"]`` as in `replay`.
    """
    length, interval = controller.problem.horizon.hours, controller.interval
    count = int(np.ceil(length / interval - 1.0e-9))
    pieces, steps, samples = [], [], []
    known: dict[str, float] = dict(controller.problem.start)
    for number in range(count):
        sample = plant.measure()
        samples.append(sample)
        if estimator is not None:
            estimator.update(sample)
            move = controller.step(plant.time, estimator.states, estimator.parameters)
        else:
            known.update(sample)
            move = controller.step(plant.time, known)
        steps.append(_record(plant.time, move))
        duration = min(interval, length - plant.time)
        pieces.append(plant.advance(move.controls, duration))
        if estimator is not None:
            estimator.predict(move.controls, duration)
        if progress is not None:
            progress(number + 1, count)
    data = xr.concat([piece.data for piece in pieces], dim="time")
    for name in samples[0]:
        shown = np.full(data.sizes["time"], np.nan)
        shown[np.cumsum([0, *(piece.data.sizes["time"] for piece in pieces[:-1])])] = [
            sample[name] for sample in samples
        ]
        data[f"measured_{name}"] = ("time", shown, {"kind": "measured", "units": data[name].attrs["units"]})
    loop = Trajectory(data, Status.CLOSED_LOOP, {"steps": steps})
    seconds = [step["seconds"] for step in steps]
    stats = {
        "steps": steps,
        "fallbacks": sum(bool(step["fallback"]) for step in steps),
        "median_seconds": float(np.median(seconds)),
        "worst_seconds": float(np.max(seconds)),
        "broken": violated_limits(loop, controller.problem.limits),
        "reached": controller.problem.objective_value(loop),
    }
    return Trajectory(data, Status.CLOSED_LOOP, stats)


def _record(time: float, move: Move) -> dict[str, Any]:
    return {"time": time, **asdict(move), "status": move.status.name, "controls": dict(move.controls)}

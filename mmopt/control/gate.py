"""The gate between a controller and a pump: whatever comes, only what the pump and the vessel can take goes through.

It knows nothing of optimisers and solves nothing: range, fastest change and volume, by arithmetic alone. Beside it stands the
check of what comes in: an estimate that a solver can use.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mmopt.errors import StudyError
from mmopt.problem.control import Control
from mmopt.problem.problem import Problem

_VOLUME: Final = "volume"
FLOW: Final = "L/h"
_SAME_TIME: Final = 1.0e-9


@dataclass(frozen=True)
class Gate:
    """What controls may be written.

    Attributes
    ----------
    problem
        The problem: ranges, rates of change and windows of its controls, and the limit of the volume.
    interval
        Time between moves [h].
    ends
        Whether the batch ends with the horizon of the problem, and its last interval may be shorter.

    Examples
    --------
    >>> from mmopt.control.gate import Gate
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0), {"feed": (0.0, 0.1)}, {"volume": (None, 3.0)})
    >>> gate = Gate(problem, interval=0.5)
    >>> gate.passed({"feed": float("nan")}, 0.0, {"volume": 2.0}), gate.passed({"feed": 9.0}, 0.0, {"volume": 2.98})
    ({'feed': 0.0}, {'feed': 0.04...})
    """

    problem: Problem
    interval: float
    ends: bool = True

    def passed(
        self,
        wanted: Mapping[str, Any],
        time: Any,
        states: Mapping[str, Any],
        last: Mapping[str, Any] | None = None,
    ) -> dict[str, float]:
        """Return what may be written.

        Parameters
        ----------
        wanted
            Value of every control; what is no finite number counts as the lowest.
        time
            Time since the start of the batch [h]; what is no finite number is in no window.
        states
            Present states; a volume that is no finite number is not counted.
        last
            The controls that were written last, for the fastest change.

        Returns
        -------
        dict
            Value by control, within its range.
        """
        passed, present = {}, number(time)
        for name, control in self.problem.controls.items():
            value = number(wanted.get(name))
            value = control.low if value is None else min(max(value, control.low), control.high)
            before = number((last or {}).get(name))
            if control.rate_limit is not None and before is not None:
                step = control.rate_limit * self.interval
                value = min(max(value, before - step), before + step)
            if not self._is_free(control, present):
                value = control.low
            passed[name] = float(min(max(value, control.low), control.high))
        return self._within_volume(passed, states)

    def projected_volume(self, volume: float, controls: Mapping[str, float]) -> float:
        """Return the volume after an interval in which flows of controls come in, and nothing is taken out.

        Parameters
        ----------
        volume
            The volume before it [L].
        controls
            Value of every control.

        Returns
        -------
        float
        """
        return volume + self.interval * sum(controls[name] for name in self._flows())

    def _flows(self) -> list[str]:
        """Controls that fill the vessel."""
        return [known.name for known in self.problem.system.controls if known.unit == FLOW]

    def _is_free(self, control: Control, time: float | None) -> bool:
        """Whether the interval from a time on is inside a window of a control."""
        if control.windows is None or time is None:
            return control.windows is None
        end = time + self.interval
        if self.ends:
            end = min(end, max(time, self.problem.horizon.hours))
        return bool(control.is_free(np.array([time, end]))[0])

    def _within_volume(self, passed: dict[str, float], states: Mapping[str, Any]) -> dict[str, float]:
        """Lower flows together so that the vessel is not filled beyond its limit within the interval."""
        _, highest = self.problem.limits.get(_VOLUME, (None, None))
        volume = number(states.get(_VOLUME))
        if highest is None or volume is None:
            return passed
        lowest = {name: self.problem.controls[name].low for name in self._flows()}
        above = sum(passed[name] - low for name, low in lowest.items())
        room = max(0.0, (highest - volume) / self.interval - sum(lowest.values()))
        share = min(1.0, room / above) if above > 0.0 else 1.0
        return {
            name: min(value, lowest[name] + share * (value - lowest[name])) if name in lowest else value
            for name, value in passed.items()
        }


def number(value: Any) -> float | None:
    """Return a value as a finite number.

    Parameters
    ----------
    value
        Anything.

    Returns
    -------
    float or None
        None if it is no real number or not finite; text and truth values are none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        converted = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return None
    return converted if math.isfinite(converted) else None


def usable_estimate(
    problem: Problem, time: float, states: Mapping[str, float], parameters: Mapping[str, float]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the estimate within what states can be.

    Parameters
    ----------
    problem
        The problem.
    time
        Time since the start of the batch [h].
    states, parameters
        Estimates by name.

    Returns
    -------
    states, notes
        Value of every state, and what was changed.

    Raises
    ------
    StudyError
        If a state is missing, or the time, a state or a parameter is no finite number, or the time is below zero.
    """
    known = {state.name: state for state in problem.system.states}
    missing = [name for name in known if name not in states]
    bad = [name for name, value in {"time": time, **states, **parameters}.items() if number(value) is None]
    if missing or bad:
        wrong = [*(f"{name} is missing" for name in missing), *(f"{name} is no finite number" for name in bad)]
        raise StudyError(f"the estimate cannot be used: {', '.join(wrong)}")
    if time < -_SAME_TIME:
        raise StudyError(f"time is {time:g} h, before the start of the batch")
    below = [name for name, state in known.items() if states[name] < state.lower]
    notes = tuple(
        f"{name} is {states[name]:g}, below its lowest value; taken as {known[name].lower:g}" for name in below
    )
    return {name: max(float(value), known[name].lower) for name, value in states.items() if name in known}, notes

"""A simulated plant in which things go wrong at known times: for practice, and to see what a controller survives."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from mmopt.checking import Finite, NotNegative, checked, finite, shown
from mmopt.control.plant import LateValue, Plant, Sampling
from mmopt.errors import StudyError, nearest
from mmopt.reactor.system import Metabolism, System
from mmopt.results import Trajectory, joined

_SHORTEST: Final = 1.0e-6
"""Hours below which a part of an interval is not simulated by itself."""

_DRIFT_STEP: Final = 0.1
"""Hours for which a drifting parameter is held."""


@checked
class ParameterDrift:
    """A parameter of the plant that changes: a fouled sparger, another feed, a contaminated culture.

    Parameters
    ----------
    name
        The parameter.
    to
        Its new value, in its unit.
    begins
        When the change begins [h].
    lasts
        How long it takes [h]; 0 for a step. Afterwards the new value stays.

    Examples
    --------
    >>> ParameterDrift("kla", 200.0, begins=4.0, lasts=1.0).value(4.5, usual=300.0)
    250.0
    """

    name: str
    to: Finite
    begins: NotNegative
    lasts: NotNegative = 0.0

    def value(self, time: float, usual: float) -> float:
        """Return the value at a time.

        Parameters
        ----------
        time
            Time since the start [h].
        usual
            Value before the change, in its unit.

        Returns
        -------
        float
        """
        if time < self.begins:
            return usual
        share = 1.0 if self.lasts == 0.0 else min(1.0, (time - self.begins) / self.lasts)
        return usual + share * (self.to - usual)


@checked
class PumpFault:
    """A control that is not what was written.

    Parameters
    ----------
    name
        The control.
    begins
        When the fault begins [h].
    lasts
        How long it lasts [h]; to the end by default.
    stuck
        Whether the control stays as it was.
    highest
        Highest value that it reaches, in its unit; None for any.

    Examples
    --------
    >>> PumpFault("feed", begins=4.0, lasts=0.5, stuck=True).holds(4.2)
    True
    """

    name: str
    begins: NotNegative
    lasts: NotNegative | None = None
    stuck: bool = False
    highest: Finite | None = None

    def holds(self, time: float) -> bool:
        """Return whether the fault lasts at a time.

        Parameters
        ----------
        time
            Time since the start [h].

        Returns
        -------
        bool
        """
        return _holds(self, time)


@checked
class SensorFault:
    """A sensor that shows something else than it should.

    Parameters
    ----------
    name
        The measured quantity.
    begins
        When the fault begins [h].
    lasts
        How long it lasts [h]; to the end by default.
    frozen
        Whether it repeats its last value.
    silent
        Whether it shows nothing.
    factor, offset
        What the value is multiplied by, then what is added to it, in its unit: 1000 for a change from g/L to mg/L.

    Examples
    --------
    >>> SensorFault("oxygen", begins=4.0, factor=1000.0).shown(0.2, last=0.19)
    200.0
    """

    name: str
    begins: NotNegative
    lasts: NotNegative | None = None
    frozen: bool = False
    silent: bool = False
    factor: Finite = 1.0
    offset: Finite = 0.0

    def holds(self, time: float) -> bool:
        """Return whether the fault lasts at a time.

        Parameters
        ----------
        time
            Time since the start [h].

        Returns
        -------
        bool
        """
        return _holds(self, time)

    def shown(self, value: float, last: float | None) -> float:
        """Return what the sensor shows.

        Parameters
        ----------
        value
            What it should show, in its unit.
        last
            What it showed last; None before.

        Returns
        -------
        float
        """
        return last if self.frozen and last is not None else self.factor * value + self.offset


Fault = ParameterDrift | PumpFault | SensorFault


def _end(fault: Fault) -> float:
    return fault.begins + (math.inf if fault.lasts is None else fault.lasts)


def _holds(fault: PumpFault | SensorFault, time: float) -> bool:
    return fault.begins <= time < _end(fault)


class FaultyPlant(Plant):
    """A simulated plant with faults by a schedule; it takes the place of `Plant`.

    Parameters
    ----------
    system, metabolism, initial, parameters, noise, sampling, seed
        As for `Plant`.
    faults
        What goes wrong, and when.

    Raises
    ------
    StudyError
        If a fault is of another kind, or names a parameter, control or sensor that there is not; or as `Plant`.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> faults = [ParameterDrift("kla", 150.0, begins=0.5), SensorFault("biomass", begins=0.5, silent=True)]
    >>> plant = FaultyPlant(ecoli_fed_batch(), load_surrogate("ecoli_textbook"), start, noise={"biomass": 0.01}, faults=faults)
    >>> plant.advance({"feed": 0.0}, 1.0).final("oxygen_saturation") < 70.0, plant.measure()
    (True, {})
    """

    def __init__(
        self,
        system: System,
        metabolism: Metabolism | None,
        initial: Mapping[str, float],
        *,
        parameters: Mapping[str, float] | None = None,
        noise: Mapping[str, float] | None = None,
        sampling: Mapping[str, Sampling] | None = None,
        seed: int = 0,
        faults: Sequence[Fault] = (),
    ) -> None:
        super().__init__(system, metabolism, initial, parameters=parameters, noise=noise, sampling=sampling, seed=seed)
        known: dict[type, tuple[str, Any]] = {
            ParameterDrift: ("parameter", self._parameters),
            PumpFault: ("control", self._controls),
            SensorFault: ("sensor", self._noise),
        }
        for fault in faults:
            if type(fault) not in known:
                raise StudyError(f"{shown(fault)} is no fault; give a ParameterDrift, PumpFault or SensorFault")
            kind, names = known[type(fault)]
            if fault.name not in names:
                raise StudyError(f"there is no {kind} '{fault.name}'; {nearest(fault.name, names)}")
        self.faults = tuple(faults)
        self._usual = dict(self._parameters)
        self._showed: dict[str, float] = {}

    def measure(self) -> dict[str, float | LateValue]:
        """Return the values that arrive now, by measured quantity, with the faults of the sensors."""
        self._parameters = self._parameters_at(self.time)
        arrived: dict[str, float | LateValue] = {}
        for name, given in super().measure().items():
            late = given.taken if isinstance(given, LateValue) else None
            value: float = given.value if isinstance(given, LateValue) else given
            now = [one for one in self._of(SensorFault, name) if one.holds(self.time if late is None else late)]
            if any(fault.silent for fault in now):
                continue
            for fault in now:
                value = fault.shown(value, self._showed.get(name))
            self._showed[name] = value
            arrived[name] = value if late is None else LateValue(value, late)
        return arrived

    def advance(self, controls: Mapping[str, float], duration: float) -> Trajectory:
        """Integrate the plant with held controls, with the faults of parameters and pumps.

        Parameters
        ----------
        controls
            Value of every control that is written, in its unit.
        duration
            How long [h].

        Returns
        -------
        Trajectory
            From the time before to the time after; its controls are those that the plant had.

        Raises
        ------
        StudyError, SolverError
            As `Plant.advance`.
        """
        finite("duration", duration, above=0.0, unit="h")
        edges = self._edges(self.time, self.time + duration)
        spans = []
        for begin, end in pairwise(edges):
            self._parameters = self._parameters_at((begin + end) / 2.0)
            spans.append(super().advance(self._reached(controls, (begin + end) / 2.0), end - begin))
        return joined(spans, spans[-1].status)

    def _of(self, kind: type, name: str) -> list[Any]:
        """Faults of one kind and name."""
        return [fault for fault in self.faults if isinstance(fault, kind) and fault.name == name]

    def _parameters_at(self, time: float) -> dict[str, float]:
        """The true parameters at a time."""
        values = dict(self._usual)
        for fault in self.faults:
            if isinstance(fault, ParameterDrift):
                values[fault.name] = fault.value(time, values[fault.name])
        return values

    def _reached(self, controls: Mapping[str, float], time: float) -> dict[str, float]:
        """What the pumps do at a time."""
        reached = dict(controls)
        for name in controls:
            for fault in self._of(PumpFault, name):
                if fault.holds(time):
                    reached[name] = self._controls[name] if fault.stuck else reached[name]
                    reached[name] = reached[name] if fault.highest is None else min(reached[name], fault.highest)
        return reached

    def _edges(self, begin: float, end: float) -> list[float]:
        """Times between which nothing changes but states."""
        times = [begin, end]
        for fault in self.faults:
            times += [fault.begins, _end(fault)]
            if isinstance(fault, ParameterDrift) and fault.lasts > 0.0:
                times += np.arange(fault.begins, _end(fault), _DRIFT_STEP).tolist()
        edges = [begin]
        for time in sorted(time for time in times if begin < time < end):
            if time - edges[-1] > _SHORTEST and end - time > _SHORTEST:
                edges.append(time)
        return [*edges, end]

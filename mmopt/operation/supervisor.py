"""A controller beside a real plant: what it is given, what it writes, and what is kept for a restart.

A step measures nothing and moves nothing by itself: it takes what arrived, and returns what is to be written. It never raises.
Everything that is written passes a gate.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmopt.arguments import as_float, shown
from mmopt.control.controller import SHRINKING, Controller
from mmopt.control.estimator import Estimator
from mmopt.control.fallbacks import Move
from mmopt.control.gate import Gate
from mmopt.errors import StudyError, first_line, nearest
from mmopt.operation.actions import Action, Mode, checked_mode
from mmopt.operation.inputs import applied_controls, elapsed_since, numbers_of, slowed, usable_values
from mmopt.operation.journal import Journal
from mmopt.operation.memory import controller_memory, facts_of, restore_controller
from mmopt.operation.observer import Observer
from mmopt.operation.records import Record
from mmopt.parallel.threads import one_thread_at_a_time


class Supervisor:
    """A controller beside a plant, in one of four modes (see `Mode`).

    Parameters
    ----------
    controller
        The controller; the supervisor resets and prepares it.
    estimator
        Turns measurements into states and parameters, from its own time on. Without one the measurements are the states;
        last values stand for single ones that are missing.
    gate
        What everything that is written passes; by default that of the controller's problem.
    journal
        Where every step is recorded; an empty one.
    mode
        The first mode.

    Raises
    ------
    StudyError
        If an argument is of another kind, or the journal has steps (see `Supervisor.resume`) or is that of something else.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=4), {"feed": (0.0, 0.1)})
    >>> cell = load_surrogate("ecoli_textbook")
    >>> estimator = Estimator(problem.system, cell, start, {"biomass": 0.05})
    >>> supervisor = Supervisor(Controller(problem, cell, interval=0.5), estimator, mode=Mode.SHADOW)
    >>> supervisor.step(0.0, {"biomass": 1.02}, applied={"feed": 0.0}).controls is None
    True
    >>> supervisor.set_mode(Mode.AUTO)
    >>> supervisor.step(0.5, {"biomass": None}, applied={"feed": 0.01}).controls
    {'feed': 0.01}
    """

    def __init__(
        self,
        controller: Controller,
        estimator: Estimator | None = None,
        *,
        gate: Gate | None = None,
        journal: Journal | None = None,
        mode: Mode = Mode.OFF,
    ) -> None:
        _check_kinds(controller, estimator, gate, journal)
        self.controller, self.estimator, self.journal = controller, estimator, journal
        problem = controller.problem
        self.gate = gate or Gate(problem, controller.interval, ends=controller.horizon == SHRINKING)
        self._mode, self._manual = checked_mode(mode), dict[str, float]()
        self._time = 0.0 if estimator is None else estimator.time
        self._lowest = {name: float(control.low) for name, control in problem.controls.items()}
        self._observer = Observer(problem, estimator)
        self._applied: dict[str, float] = {}
        self._begins = False
        self._states: dict[str, float] = {}
        self._unrecorded: list[str] = []
        if journal is not None:
            journal.claim(facts_of(controller, estimator))
            if journal.steps:
                raise StudyError(
                    f"journal {journal.path} has {journal.steps} steps; continue that batch by Supervisor.resume, or give "
                    "another path"
                )
        controller.reset()
        controller.prepare()

    @classmethod
    def resume(
        cls,
        controller: Controller,
        estimator: Estimator | None = None,
        *,
        journal: Journal,
        gate: Gate | None = None,
        mode: Mode = Mode.OFF,
    ) -> "Supervisor":
        """Continue the batch of a journal: mode, estimate and plan are those after its last step.

        Parameters
        ----------
        controller, estimator, gate
            As they were built for the batch.
        journal
            Its journal; where that is empty, the batch begins.
        mode
            The first mode of a batch that begins.

        Returns
        -------
        Supervisor

        Raises
        ------
        StudyError
            If the journal is that of something else, or damaged.
        """
        supervisor = cls(controller, estimator, gate=gate, mode=mode)
        if not isinstance(journal, Journal):
            raise StudyError(f"journal is {shown(journal)}; give a Journal")
        journal.claim(facts_of(controller, estimator))
        memory = journal.memory()
        if memory is not None:
            try:
                supervisor._restore(memory)
            except (StudyError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise StudyError(
                    f"the batch of {journal.path} cannot be continued ({first_line(error)}); begin with another journal"
                ) from error
        supervisor.journal = journal
        return supervisor

    @property
    def mode(self) -> Mode:
        """The present mode."""
        return self._mode

    @property
    def applied(self) -> Mapping[str, float]:
        """The controls that the plant has, as far as is known."""
        return dict(self._applied)

    @property
    def states(self) -> Mapping[str, float]:
        """Estimate of every state at the last step; empty where there was none."""
        return dict(self._states)

    @one_thread_at_a_time
    def set_mode(self, mode: Mode) -> None:
        """Change the mode, from the next step on.

        Parameters
        ----------
        mode
            The mode. AUTO begins with the controls that were applied last. Where MANUAL ends, the operator's values are
            forgotten.

        Raises
        ------
        StudyError
            If it is no `Mode`.
        """
        if checked_mode(mode) is self._mode:
            return
        self._begins = mode is Mode.AUTO
        self._manual = {} if self._mode is Mode.MANUAL else self._manual
        self._mode = mode
        self._keep()

    @one_thread_at_a_time
    def set_manual(self, controls: Mapping[str, float]) -> None:
        """Set the operator's values, which are written in the mode MANUAL.

        Parameters
        ----------
        controls
            Value by control, in its unit; the others stay as they are.

        Raises
        ------
        StudyError
            If a name is no control, or a value no finite number.
        """
        known = self.controller.problem.controls
        if not isinstance(controls, Mapping):
            raise StudyError(f"controls is {shown(controls)}; give a mapping of controls to values")
        for name, value in controls.items():
            if name not in known:
                raise StudyError(f"there is no control {shown(name)}; {nearest(name, known)}")
            if not math.isfinite(as_float(value)):
                raise StudyError(f"{name} is {shown(value)}; give a finite number")
        self._manual = {**self._manual, **{name: float(value) for name, value in controls.items()}}
        self._keep()

    @one_thread_at_a_time
    def step(self, time: float, measured: Mapping[str, Any], applied: Mapping[str, Any] | None = None) -> Action:
        """Do one step.

        Parameters
        ----------
        time
            Time since the start of the batch [h]. Steps need not be regular. A time that is none, or before the last step,
            changes nothing: what was written stays.
        measured
            What arrived, by measured quantity: numbers, `LateValue`, or whatever a sensor sends.
        applied
            What the plant's controls are at this time. What it does not name counts as the value written last.

        Returns
        -------
        Action
            In every case.
        """
        begins, manual = self._begins, dict(self._manual)
        self._states = {}
        try:
            action = self._action(time, measured, applied)
        except Exception as error:  # whatever happened, the plant needs an answer, and the note says what it was
            action = self._held(time, f"the step failed ({type(error).__name__}: {first_line(error)})", safe=True)
        action = replace(action, notes=(*action.notes, *self._unrecorded))
        self._unrecorded = []
        if self.journal is None:
            return action
        parameters = self.estimator.parameters if self._states and self.estimator is not None else {}
        record = Record(action, measured, applied, manual, begins, self._states, parameters)
        try:
            self.journal.add(record, self._memory())
        except Exception as error:  # a full disk is no reason to leave the plant alone
            return replace(action, notes=(*action.notes, f"the step is not recorded: {error}"))
        return action

    @one_thread_at_a_time
    def look_ahead(self) -> None:
        """Solve the next step ahead, after what was written is on its way, where the controller takes advanced steps."""
        parameters = {} if self.estimator is None else self.estimator.parameters
        self.controller.look_ahead(self._time + self.controller.interval, None, parameters)

    def _action(self, time: Any, measured: Any, applied: Any) -> Action:
        """One step, without its record."""
        elapsed, wrong = elapsed_since(self._time, time)
        if wrong:
            return self._held(time, f"{wrong}; nothing was changed")
        notes = self._take(elapsed, applied)
        self._time = now = float(time)
        if self._mode is Mode.OFF:
            return Action(now, Mode.OFF, None, None, (), tuple(notes))
        values, left_out = usable_values(measured, self._observer.sensors)
        self._states, parameters, also = self._observer.estimate(values, notes)
        problem, move = self.controller.problem, None
        if self.controller.horizon == SHRINKING and now >= problem.horizon.hours:
            notes.append(f"the batch ended at {problem.horizon.hours:g} h")
        elif self._states and self._mode is not Mode.MANUAL:
            move = self.controller.step(now, self._states, parameters, self._applied or None)
        controls = self._written(elapsed, move, values, notes) if self._mode.writes else None
        self._applied = self._applied if controls is None else dict(controls)
        return Action(now, self._mode, controls, move, (*left_out, *also), tuple(notes))

    def _take(self, elapsed: float, applied: Any) -> list[str]:
        """Keep what was applied since the last step, for estimator and controller."""
        self._applied, notes = applied_controls(applied, self._applied, self.controller.problem)
        held = {**self._lowest, **self._applied}
        if not self._mode.writes and len(self._applied) < len(held):
            notes.append("what is applied is not known; the lowest controls are assumed")
            self._applied = held
        self._observer.elapse(elapsed, held)
        return notes

    def _written(
        self, elapsed: float, move: Move | None, values: Mapping[str, Any], notes: list[str]
    ) -> dict[str, float]:
        """What is written, through the gate."""
        last, wanted = self._applied, dict(self._lowest)
        if self._mode is Mode.MANUAL:
            wanted |= {**last, **self._manual}
        elif move is None:
            notes.append("the lowest controls are written")
        elif self._begins and last:
            notes.append("AUTO begins with the controls that were applied last")
            wanted |= last
        else:
            wanted |= move.controls
        self._begins = self._begins and move is None
        states = self._states or numbers_of(values)
        passed = self.gate.passed(slowed(self.controller, last, wanted, elapsed), self._time, states, last)
        if self._mode is Mode.MANUAL:
            other = [name for name in passed if passed[name] != wanted[name]]
            notes += [f"{name}: {wanted[name]:g} was wanted, {passed[name]:g} is written" for name in other]
        return passed

    def _held(self, time: Any, note: str, *, safe: bool = False) -> Action:
        """The action of a step that changes nothing; where it failed, the lowest controls in AUTO."""
        controls = {**self._lowest, **({} if safe and self._mode is Mode.AUTO else self._applied)}
        if self._mode.writes:
            self._applied = dict(controls)
        return Action(time, self._mode, controls if self._mode.writes else None, None, (), (note,))

    def _memory(self) -> dict[str, Any]:
        """What a restart needs."""
        return {
            "mode": self._mode.name,
            "manual": self._manual,
            "begins": self._begins,
            "time": self._time,
            "applied": self._applied,
            "observer": self._observer.memory(),
            "controller": controller_memory(self.controller),
        }

    def _restore(self, memory: Mapping[str, Any]) -> None:
        self._mode, self._manual = Mode[memory["mode"]], dict(memory["manual"])
        self._begins, self._time = bool(memory["begins"]), float(memory["time"])
        self._applied = dict(memory["applied"])
        self._observer.restore(memory["observer"])
        if not restore_controller(self.controller, memory["controller"]):
            self._unrecorded.append("the solver begins anew: moves may differ from those without a restart by rounding")

    def _keep(self) -> None:
        """Record a mode, or an operator's values, at once: a restart must not return to those before."""
        if self.journal is not None:
            try:
                self.journal.keep(self._memory())
            except StudyError as error:
                self._unrecorded.append(f"the mode is not recorded: {error}")


def _check_kinds(controller: Any, estimator: Any, gate: Any, journal: Any) -> None:
    if not isinstance(controller, Controller):
        raise StudyError(f"controller is {shown(controller)}; give a Controller")
    for name, value, kind in (
        ("estimator", estimator, Estimator),
        ("gate", gate, Gate),
        ("journal", journal, Journal),
    ):
        if value is not None and not isinstance(value, kind):
            raise StudyError(f"{name} is {shown(value)}; give a {kind.__name__}, or leave it out")

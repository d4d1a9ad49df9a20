"""From what arrives to an estimate of the present: prediction over the time that has passed, then the measurement."""

import math
from collections.abc import Mapping
from typing import Any

from mmopt.control.estimator import Estimator
from mmopt.errors import first_line
from mmopt.operation.inputs import numbers_of
from mmopt.operation.memory import estimator_memory, restore_estimator
from mmopt.problem.problem import Problem

Estimated = tuple[dict[str, float], dict[str, float], tuple[str, ...]]
"""States and parameters, both empty where there is no estimate, and the measurements that were left out."""


class Observer:
    """An estimator with the time that it has not yet predicted, or the measured states where there is none.

    Parameters
    ----------
    problem
        The problem.
    estimator
        The estimator, or None.

    Examples
    --------
    >>> from mmopt.operation.observer import Observer
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> notes = []
    >>> Observer(problem, None).estimate({"biomass": 1.1}, notes)[0]["biomass"], notes
    (1.1, ['not measured, last values are taken: volume, glucose, acetate, oxygen'])
    """

    def __init__(self, problem: Problem, estimator: Estimator | None) -> None:
        self._estimator = estimator
        self._known: dict[str, float] = dict(problem.start_values)
        self._waiting: list[tuple[float, dict[str, float]]] = []

    @property
    def sensors(self) -> tuple[str, ...]:
        """Names of the measured quantities."""
        return tuple(self._known) if self._estimator is None else self._estimator.sensors

    def elapse(self, hours: float, controls: Mapping[str, float]) -> None:
        """Let time pass; nothing is computed before an estimate is needed.

        Parameters
        ----------
        hours
            How long [h].
        controls
            The controls that were applied.
        """
        held = dict(controls)
        if self._estimator is None or hours <= 0.0:
            return
        if self._waiting and self._waiting[-1][1] == held:
            hours += self._waiting.pop()[0]
        self._waiting.append((hours, held))

    def estimate(self, values: Mapping[str, Any], notes: list[str]) -> Estimated:
        """Return the estimate of the present.

        Parameters
        ----------
        values
            What arrived of known sensors.
        notes
            List to which is added what was not as usual.

        Returns
        -------
        states, parameters, left_out
            Neither states nor parameters where there is no estimate.
        """
        if self._estimator is None:
            return self._measured(values, notes), {}, ()
        try:
            while self._waiting:
                hours, held = self._waiting[0]
                self._estimator.predict(held, hours)
                del self._waiting[0]
        except Exception as error:  # system and cell may be a user's own
            notes.append(f"there is no estimate: the prediction failed ({first_line(error)})")
            return {}, {}, ()
        left_out: tuple[str, ...] = ()
        try:
            left_out = self._estimator.update(values)
        except Exception as error:
            notes.append(f"the measurement was not used ({first_line(error)})")
        states, parameters = self._estimator.states, self._estimator.parameters
        if not all(map(math.isfinite, (*states.values(), *parameters.values()))):
            notes.append("there is no estimate: it is not finite")
            return {}, {}, left_out
        return states, parameters, left_out

    def _measured(self, values: Mapping[str, Any], notes: list[str]) -> dict[str, float]:
        """Measured states, and the last values of those that are missing."""
        present = numbers_of(values)
        if not present:
            notes.append("there is no estimate: no state was measured")
            return {}
        missing = [name for name in self._known if name not in present]
        if missing:
            notes.append(f"not measured, last values are taken: {', '.join(missing)}")
        self._known.update(present)
        return dict(self._known)

    def memory(self) -> dict[str, Any]:
        """Return what a restart needs."""
        return {
            "known": self._known,
            "waiting": [[hours, held] for hours, held in self._waiting],
            "estimator": None if self._estimator is None else estimator_memory(self._estimator),
        }

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Continue from a memory.

        Parameters
        ----------
        memory
            What `memory` returned.

        Raises
        ------
        StudyError, KeyError, TypeError, ValueError
            If it is that of another estimator, or damaged.
        """
        self._known = dict(memory["known"])
        self._waiting = [(float(hours), dict(held)) for hours, held in memory["waiting"]]
        if self._estimator is not None:
            restore_estimator(self._estimator, memory["estimator"])

"""A journal once more: the recorded inputs go to another supervisor, and its moves are compared with the recorded ones."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmopt.checking import shown
from mmopt.errors import StudyError
from mmopt.operation.journal import Journal
from mmopt.operation.memory import facts_of
from mmopt.operation.supervisor import Supervisor


@dataclass(frozen=True)
class Difference:
    """A control that differs in a step.

    Attributes
    ----------
    step
        Number of the step, from 1 on.
    time
        Its time [h].
    name
        The control, with what was compared: ``written`` or ``move``.
    recorded, replayed
        Both values; NaN where there is none.

    Examples
    --------
    >>> Difference(3, 1.0, "written feed", 0.05, 0.06)
    Difference(step=3, time=1.0, name='written feed', recorded=0.05, replayed=0.06)
    """

    step: int
    time: float
    name: str
    recorded: float
    replayed: float


@dataclass(frozen=True)
class Replayed:
    """A journal that was replayed.

    Attributes
    ----------
    steps
        Number of steps.
    differences
        Every control that differs by a bit or more, in the order of the steps.

    Examples
    --------
    >>> Replayed(12, ()).same
    True
    """

    steps: int
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether all moves are the same to the last bit."""
        return not self.differences

    @property
    def largest(self) -> float:
        """Largest absolute difference; infinite where one of both has no value."""
        amounts = [abs(one.recorded - one.replayed) for one in self.differences]
        return max((math.inf if math.isnan(amount) else amount for amount in amounts), default=0.0)

    def __str__(self) -> str:
        if self.same:
            return f"{self.steps} steps, all moves the same"
        first = self.differences[0]
        return (
            f"{self.steps} steps, {len(self.differences)} differences, the largest {self.largest:g}; the first in step "
            f"{first.step} at {first.time:g} h: {first.name} {first.recorded:g}, replayed {first.replayed:g}"
        )


def replay(journal: Journal, supervisor: Supervisor) -> Replayed:
    """Replay the recorded inputs of a journal.

    Parameters
    ----------
    journal
        The journal.
    supervisor
        A new supervisor of the same problem without a journal, or with another one. Its settings may differ, such as the noise
        of its estimator, to see what another controller had done with the same inputs.

    Returns
    -------
    Replayed

    Raises
    ------
    StudyError
        If the journal is damaged, has no steps, is that of another problem, or is that of the supervisor.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=4), {"feed": (0.0, 0.1)})
    >>> controller = Controller(problem, load_surrogate("ecoli_textbook"), interval=0.5)
    >>> with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "batch.journal") as journal:
    ...     action = Supervisor(controller, journal=journal, mode=Mode.AUTO).step(0.0, start)
    ...     print(replay(journal, Supervisor(controller)))
    1 steps, all moves the same
    """
    if not isinstance(journal, Journal) or not isinstance(supervisor, Supervisor):
        raise StudyError(f"replay takes a Journal and a Supervisor; {shown(journal)}, {shown(supervisor)} were given")
    if supervisor.journal is journal:
        raise StudyError("the supervisor writes the journal that is replayed; give one without a journal")
    own, there = facts_of(supervisor.controller, supervisor.estimator), journal.facts
    if there.get("problem", own["problem"]) != own["problem"]:
        raise StudyError(
            f"journal {journal.path} is that of another problem; give a supervisor of the problem it is of"
        )
    count, differences = 0, list[Difference]()
    for record in journal.records():
        count += 1
        action = record.action
        supervisor._mode, supervisor._manual, supervisor._begins = action.mode, dict(record.manual), record.begins
        again = supervisor.step(action.time, record.measured, record.applied)
        time = action.time if isinstance(action.time, int | float) else math.nan
        moved = [None if one.move is None else one.move.controls for one in (action, again)]
        for what, pairs in (("written", _differing(action.controls, again.controls)), ("move", _differing(*moved))):
            differences += [Difference(count, time, f"{what} {name}", *pair) for name, pair in pairs]
    if not count:
        raise StudyError(f"journal {journal.path} has no steps; give that of a batch")
    return Replayed(count, tuple(differences))


def _differing(
    one: Mapping[str, float] | None, other: Mapping[str, float] | None
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Names whose values differ, with both."""
    one, other = one or {}, other or {}
    for name in dict.fromkeys([*one, *other]):
        pair = one.get(name, math.nan), other.get(name, math.nan)
        if pair[0] != pair[1]:
            yield name, pair

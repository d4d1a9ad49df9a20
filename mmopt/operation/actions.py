"""What a supervisor does in a step, and the modes in which it does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mmopt.arguments import shown
from mmopt.control.fallbacks import Move
from mmopt.errors import StudyError


class Mode(Enum):
    """Mode of a supervisor: what is computed, and what is written to the plant.

    Examples
    --------
    >>> Mode.SHADOW.writes, Mode.AUTO.writes
    (False, True)
    """

    OFF = "nothing is computed, nothing is written"
    SHADOW = "the controller computes, nothing is written"
    MANUAL = "the operator's values pass the gate and are written"
    AUTO = "the controller's moves are written"

    @property
    def writes(self) -> bool:
        """Whether controls are written."""
        return self in (Mode.MANUAL, Mode.AUTO)


@dataclass(frozen=True)
class Action:
    """What a supervisor did in a step.

    Attributes
    ----------
    time
        Time of the step as it was given [h].
    mode
        The mode of the step.
    controls
        Value of every control that is to be written; None where nothing is.
    move
        The controller's move; None where it computed none.
    left_out
        Measurements that were left out, and why.
    notes
        What else was not as usual.

    Examples
    --------
    >>> Action(0.5, Mode.SHADOW, None, None).controls is None
    True
    """

    time: Any
    mode: Mode
    controls: Mapping[str, float] | None
    move: Move | None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def checked_mode(mode: Any) -> Mode:
    """Return a mode, checked.

    Parameters
    ----------
    mode
        What a user gave.

    Returns
    -------
    Mode

    Raises
    ------
    StudyError
        If it is no `Mode`.
    """
    if not isinstance(mode, Mode):
        raise StudyError(f"mode is {shown(mode)}; use one of {', '.join(f'Mode.{one.name}' for one in Mode)}")
    return mode

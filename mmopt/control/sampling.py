"""When sensors are read, and when their values arrive."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mmopt.checking import NotNegative, Positive, checked, finite, shown
from mmopt.errors import StudyError, nearest

_SAME_TIME: Final = 1.0e-9


@checked
class Sampling:
    """When a quantity is sampled, and how long its analysis takes.

    Parameters
    ----------
    every
        Time between samples [h]; None for one at every move of the controller.
    delay
        Time from a sample to its value [h]: that of an analysis in the laboratory, or the lag of an off-gas analyser.

    Raises
    ------
    StudyError
        If a number is not finite or out of range.

    Examples
    --------
    >>> every_four_hours = Sampling(every=4.0, delay=1.0)
    >>> every_four_hours.is_due(6.0, last=4.0), every_four_hours.is_due(8.5, last=4.0)
    (False, True)
    """

    every: Positive | None = None
    delay: NotNegative = 0.0

    def is_due(self, time: float, last: float | None) -> bool:
        """Return whether a sample is taken: the first chance at or after every multiple of ``every``.

        Parameters
        ----------
        time
            Time since the start of the batch [h].
        last
            When the last sample was taken [h]; None if there is none.

        Returns
        -------
        bool
        """
        if self.every is None or last is None:
            return True
        following = (math.floor(last / self.every + _SAME_TIME) + 1) * self.every
        return time >= following - _SAME_TIME


@dataclass(frozen=True)
class LateValue:
    """A measured value whose sample was taken earlier.

    Parameters
    ----------
    value
        The value, in the unit of its quantity.
    taken
        When the sample was taken: time since the start of the batch [h].

    Raises
    ------
    StudyError
        If the time is no finite number from 0 up.

    Examples
    --------
    >>> LateValue(3.2, taken=4.0)
    LateValue(value=3.2, taken=4.0)
    """

    value: float
    taken: float

    def __post_init__(self) -> None:
        finite("taken", self.taken, least=0.0, unit="h")


def checked_sampling(
    sampling: Mapping[str, Sampling] | None, sensors: Mapping[str, float] | None
) -> dict[str, Sampling]:
    """Return how quantities are sampled, after a check.

    Parameters
    ----------
    sampling
        Sampling by measured quantity.
    sensors
        The measured quantities.

    Returns
    -------
    dict
        Sampling by measured quantity.

    Raises
    ------
    StudyError
        If a name is not measured, or a value is no `Sampling`.
    """
    for name, own in (sampling or {}).items():
        if name not in (sensors or {}):
            raise StudyError(f"sampling names '{name}', which is not measured; {nearest(str(name), sensors or {})}")
        if not isinstance(own, Sampling):
            raise StudyError(f"sampling of {name} is {shown(own)}; give a Sampling")
    return dict(sampling or {})

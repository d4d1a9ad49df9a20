"""When sensors are read, and when their values arrive."""

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
    >>> Sampling(every=4.0, delay=1.0).is_due(8.0)
    True
    >>> Sampling(every=4.0).is_due(6.0)
    False
    """

    every: Positive | None = None
    delay: NotNegative = 0.0

    def is_due(self, time: float) -> bool:
        """Return whether a sample is taken at a time.

        Parameters
        ----------
        time
            Time since the start of the batch [h].

        Returns
        -------
        bool
        """
        if self.every is None:
            return True
        return abs(time - round(time / self.every) * self.every) <= _SAME_TIME * max(1.0, time)


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

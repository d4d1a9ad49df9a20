"""What an optimisation chooses besides the controls: the length, initial states, and parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Choices:
    """Values chosen within the ranges that a problem gives.

    Attributes
    ----------
    length
        Length of the batch [h]; None where it was given.
    initial
        Initial states by name, in their units.
    parameters
        Parameters by name, in their units.

    Examples
    --------
    >>> bool(Choices()), bool(Choices(length=12.0))
    (False, True)
    """

    length: float | None = None
    initial: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything was chosen."""
        return self.length is not None or bool(self.initial) or bool(self.parameters)

"""What a step of a controller changes in its problem."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmopt.problem.control import Control


@dataclass(frozen=True)
class StepData:
    """What a step changes in the program of a controller.

    Attributes
    ----------
    elapsed
        Hours since the start of the batch [h].
    states
        Every state, in its unit.
    length
        Length that is left [h].
    controls
        Controls with their windows from now on.
    parameters
        Parameters that differ from the problem's.
    first
        Range of the first value of a control, by name.
    before
        Controls that were applied last, in their units; None at the start of the batch.
    """

    elapsed: float
    states: Mapping[str, float]
    length: float
    controls: Mapping[str, Control]
    parameters: Mapping[str, float] = field(default_factory=dict)
    first: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    before: Mapping[str, float] | None = None

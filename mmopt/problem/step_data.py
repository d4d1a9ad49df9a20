"""What a step of a controller changes in its problem: data, and the mesh."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mmopt.problem.control import Control
from mmopt.problem.horizon import Horizon


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


def mesh_of_step(horizon: Horizon, hours: float, held: float | None) -> Horizon:
    """Return the horizon of a step, whose first elements end with the interval in which controls are held.

    Parameters
    ----------
    horizon
        The horizon of the problem.
    hours
        Length that is left [h].
    held
        The interval [h]; None: the elements keep their ratios.

    Returns
    -------
    Horizon
    """
    left = replace(horizon, length=hours)
    return left if held is None else left.with_first(held, horizon.elements_within(held))

"""Components that slow all uptake down, or that of some species: adaptation, temperature and pH."""

from dataclasses import field
from functools import cached_property
from typing import Any, Final, Literal

from mmopt.checking import Finite, Name, Positive, checked
from mmopt.errors import StudyError
from mmopt.reactor.components.component import Component, Now
from mmopt.reactor.quantities import Parameter, Quantity
from mmopt.reactor.system import Values

EVERY: Final = "*"
"""Every species."""


@checked
class Lag(Component):
    """Adaptation of the uptake as a state from 0 to 1 that approaches 1: the uptake limits are multiplied by it.

    Parameters
    ----------
    time
        Time constant [h].
    species
        Names of the species; none for all.
    name
        Name of the state; its initial value is the fraction of adapted uptake.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> Lag(time=2.0).rates({"adaptation": 0.5, "adaptation_time": 2.0})
    {'adaptation': 0.25}
    """

    time: Positive
    species: tuple[Name, ...] = ()
    name: Name = "adaptation"
    kind: Literal["lag"] = field(default="lag", repr=False, kw_only=True)

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """The adaptation."""
        return (Quantity(self.name, "1", 1.0, 0.0),)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The time constant."""
        return (Parameter(f"{self.name}_time", self.time, "h", "", 1.0e-3),)

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The species."""
        return self.species

    def rates(self, now: Now) -> dict[str, Any]:
        """Compute the adaptation."""
        return {self.name: (1.0 - now[self.name]) / now[f"{self.name}_time"]}

    def factors(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Return the adaptation of every species."""
        return dict.fromkeys(self.species or (EVERY,), states[self.name])


@checked
class Temperature(Component):
    """Uptake by the cardinal temperatures: none below the lowest and above the highest, all of it at the best.

    Parameters
    ----------
    lowest, best, highest
        Cardinal temperatures [degrees Celsius].
    value
        Temperature of the culture, the parameter ``temperature``.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If the temperatures do not ascend, the best is not nearer to the highest than to the lowest, or ``value`` is outside.

    References
    ----------
    Rosso, Lobry, Bajard and Flandrois (1995), Appl. Environ. Microbiol. 61:610-616.

    Examples
    --------
    >>> component = Temperature(lowest=5.0, best=40.0, highest=46.0, value=30.0)
    >>> round(component.factors({}, {"temperature": 30.0})["*"], 2), component.factors({}, {"temperature": 40.0})
    (0.65, {'*': 1.0})
    """

    lowest: Finite
    best: Finite
    highest: Finite
    value: Finite
    kind: Literal["temperature"] = field(default="temperature", repr=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_cardinal("temperature", self.lowest, self.best, self.highest, self.value)
        if self.best <= (self.lowest + self.highest) / 2.0:
            raise StudyError(
                f"the best temperature, {self.best:g}, is nearer to the lowest than to the highest; this law needs it above "
                f"{(self.lowest + self.highest) / 2.0:g}"
            )

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The temperature."""
        return (Parameter("temperature", self.value, "degC", "", self.lowest, self.highest),)

    def factors(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Compute the factor of all uptake."""
        now, low, best, high = parameters["temperature"], self.lowest, self.best, self.highest
        below = (best - low) * (now - best) - (best - high) * (best + low - 2.0 * now)
        return {EVERY: (now - high) * (now - low) ** 2 / ((best - low) * below)}


@checked
class Acidity(Component):
    """Uptake by the cardinal values of pH: none below the lowest and above the highest, all of it at the best.

    Parameters
    ----------
    lowest, best, highest
        Cardinal values.
    value
        pH of the culture, the parameter ``ph``.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If the values do not ascend, or ``value`` is outside.

    References
    ----------
    Rosso, Lobry, Bajard and Flandrois (1995), Appl. Environ. Microbiol. 61:610-616.

    Examples
    --------
    >>> round(Acidity(lowest=4.0, best=7.0, highest=9.5, value=6.0).factors({}, {"ph": 6.0})["*"], 3)
    0.875
    """

    lowest: Finite
    best: Finite
    highest: Finite
    value: Finite
    kind: Literal["acidity"] = field(default="acidity", repr=False, kw_only=True)

    def __post_init__(self) -> None:
        _check_cardinal("pH", self.lowest, self.best, self.highest, self.value)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The pH."""
        return (Parameter("ph", self.value, "1", "", self.lowest, self.highest),)

    def factors(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Compute the factor of all uptake."""
        now = parameters["ph"]
        both = (now - self.lowest) * (now - self.highest)
        return {EVERY: both / (both - (now - self.best) ** 2)}


def _check_cardinal(what: str, lowest: float, best: float, highest: float, value: float) -> None:
    if not lowest < best < highest:
        raise StudyError(
            f"lowest, best and highest {what} are {lowest:g}, {best:g} and {highest:g}; give three that ascend"
        )
    if not lowest <= value <= highest:
        raise StudyError(f"{what} is {value:g}; give a value from {lowest:g} to {highest:g}")

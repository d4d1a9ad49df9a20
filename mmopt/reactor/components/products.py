"""Components for products that the network does not have, their induction, and the age of a batch."""

from dataclasses import field
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field

from mmopt.checking import Finite, Name, NotNegative, Positive, checked
from mmopt.fba.rates import GROWTH
from mmopt.reactor.components.component import Component, Now
from mmopt.reactor.quantities import Parameter, Quantity
from mmopt.units import MASS_CONCENTRATION, TIME

BIOMASS = "biomass"


@checked
class Induction:
    """A switch from 0 to 1 as a quantity rises, smooth so that an optimisation can follow it.

    Parameters
    ----------
    quantity
        A state or a control: ``biomass``, an inducer, or the ``age`` of a `Clock`.
    above
        Value at which the switch is half way, in its unit.
    width
        Distance from there to 85 %, in its unit.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> Induction("biomass", above=10.0, width=0.5).level({"biomass": 10.0})
    0.5
    """

    quantity: Name
    above: Finite
    width: Positive

    def level(self, now: Now) -> Any:
        """Compute the switch.

        Parameters
        ----------
        now
            Values by name.

        Returns
        -------
        Any
            From 0 to 1.
        """
        beyond = (now[self.quantity] - self.above) / self.width
        return 0.5 * (1.0 + beyond / (1.0 + beyond**2) ** 0.5)


@checked
class Clock(Component):
    """The age of the batch as a state, for what happens at a time; start it at 0.

    Parameters
    ----------
    kind
        Its name in a study file.

    Examples
    --------
    >>> Clock().rates({})
    {'age': 1.0}
    """

    kind: Literal["clock"] = field(default="clock", repr=False, kw_only=True)

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """The age."""
        return (Quantity("age", TIME, 10.0, 0.0),)

    def rates(self, now: Now) -> dict[str, Any]:
        """Return an hour an hour."""
        return {"age": 1.0}


@checked
class LuedekingPiret(Component):
    """A product that is formed with growth and without it, dP/dt = (a mu + b) X; the cell spends nothing on it.

    Parameters
    ----------
    name
        Name of the state [g/L].
    with_growth
        Product per biomass grown, a [g/g].
    without_growth
        Product per biomass and time, b [g/g/h].
    induction
        What switches it on; None for always.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    References
    ----------
    Luedeking and Piret (1959), J. Biochem. Microbiol. Technol. Eng. 1:393-412.

    Examples
    --------
    >>> component = LuedekingPiret("acid", with_growth=2.2, without_growth=0.05)
    >>> component.rates({"acid_with_growth": 2.0, "acid_without_growth": 0.5, "growth": 0.25, "biomass": 4.0})
    {'acid': 4.0}
    """

    name: Name
    with_growth: NotNegative
    without_growth: NotNegative = 0.0
    induction: Induction | None = None
    kind: Literal["luedeking_piret"] = field(default="luedeking_piret", repr=False, kw_only=True)

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """The product."""
        return (Quantity(self.name, MASS_CONCENTRATION, 1.0, 0.0),)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Both coefficients."""
        return (
            Parameter(f"{self.name}_with_growth", self.with_growth, "g/g", "", 0.0),
            Parameter(f"{self.name}_without_growth", self.without_growth, "g/g/h", "", 0.0),
        )

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """Growth."""
        return (GROWTH,)

    def rates(self, now: Now) -> dict[str, Any]:
        """Compute the formation [g/L/h]."""
        specific = now[f"{self.name}_with_growth"] * now[GROWTH] + now[f"{self.name}_without_growth"]
        return {self.name: specific * now[BIOMASS] * _level(self.induction, now)}


@checked
class ShareOfGrowth(Component):
    """A product, such as a recombinant protein, that takes a share of what the cell grows: biomass grows by that much less.

    Parameters
    ----------
    name
        Name of the state [g/L].
    share
        Share of growth, from 0 to 1 [g/g].
    induction
        What switches it on; None for always.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> component = ShareOfGrowth("protein", share=0.25)
    >>> component.rates({"protein_share": 0.25, "growth": 0.5, "biomass": 8.0})
    {'protein': 1.0, 'biomass': -1.0}
    """

    name: Name
    share: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
    induction: Induction | None = None
    kind: Literal["share_of_growth"] = field(default="share_of_growth", repr=False, kw_only=True)

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """The product."""
        return (Quantity(self.name, MASS_CONCENTRATION, 1.0, 0.0),)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The share."""
        return (Parameter(f"{self.name}_share", self.share, "g/g", "", 0.0, 1.0),)

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """Growth."""
        return (GROWTH,)

    def rates(self, now: Now) -> dict[str, Any]:
        """Compute the formation, and what the biomass grows less [g/L/h]."""
        formed = now[f"{self.name}_share"] * now[GROWTH] * now[BIOMASS] * _level(self.induction, now)
        return {self.name: formed, BIOMASS: -formed}


def _level(induction: Induction | None, now: Now) -> Any:
    return 1.0 if induction is None else induction.level(now)

"""Components that bring liquid into a vessel or take it out: feeds, harvest, overflow, evaporation, samples and base."""

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, PlainValidator

from mmopt.arguments import shown
from mmopt.checking import Name, NotNegative, Positive, checked
from mmopt.errors import StudyError
from mmopt.reactor.components.component import Component, Inflow, Now, Outflow, Stream
from mmopt.reactor.quantities import ABOVE_ZERO, Parameter, Quantity
from mmopt.units import FEED

BIOMASS, VOLUME_STATE = "biomass", "volume"

Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
"""A number from 0 to 1."""


def _law(value: Any) -> Callable[[Now], Any] | None:
    if value is not None and (isinstance(value, type) or not callable(value)):
        raise StudyError(f"law is {shown(value)}; give a function of states, parameters and controls by name")
    return value


if TYPE_CHECKING:
    FeedLaw = Callable[[Now], Any] | None
else:
    FeedLaw = Annotated[Any, PlainValidator(_law, json_schema_input_type=None)]


@checked
class Feed(Component):
    """A feed with its composition: a control, or a law of what the vessel holds.

    Parameters
    ----------
    name
        Name of the control.
    content
        Concentration by species, in the unit of the species; the rest is water.
    scale
        Typical rate [L/h].
    law
        Rate [L/h] as a function of states, parameters and other controls by name, such as a feed that answers to dissolved
        oxygen; the feed is then no control.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> glucose = Species("glucose", "EX_glc__D_e", molar_mass=180.156, uptake=Uptake(10.0, 0.05))
    >>> reactor = Bioreactor((glucose,), feeds=(Feed("sugar", {"glucose": 500.0}), Feed("water", {})))
    >>> [control.name for control in reactor.controls], reactor.defaults["glucose_in_sugar"]
    (['sugar', 'water'], 500.0)
    """

    name: Name = "feed"
    content: dict[str, NotNegative] = field(default_factory=dict)
    scale: Positive = 0.1
    law: FeedLaw = None

    @cached_property
    def controls(self) -> tuple[Quantity, ...]:
        """The feed, unless a law gives its rate."""
        return () if self.law else (Quantity(self.name, FEED, self.scale, 0.0),)

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """The rate, where a law gives it."""
        return (Quantity(self.name, FEED, self.scale, 0.0),) if self.law else ()

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """What is in it."""
        return tuple(self.content)

    def streams(self, now: Now) -> Sequence[Stream]:
        """Return one inflow; the concentrations are the parameters ``<species>_in_<name>``."""
        return (Inflow(self._rate(now), {name: now[f"{name}_in_{self.name}"] for name in self.content}),)

    def observe(self, now: Now) -> dict[str, Any]:
        """Compute the rate, where a law gives it."""
        return {self.name: self._rate(now)} if self.law else {}

    def _rate(self, now: Now) -> Any:
        return self.law(now) if self.law else now[self.name]


@checked
class Harvest(Component):
    """A pump that takes broth out, through a filter that retains cells or without one: a control.

    Parameters
    ----------
    name
        Name of the control.
    retention
        Fraction of the biomass that stays in the vessel: 0 is a bleed, 1 a filter that no cell passes.
    scale
        Typical rate [L/h].
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> Harvest("bleed").controls[0].name
    'bleed'
    """

    name: Name = "harvest"
    retention: Fraction = 0.0
    scale: Positive = 0.1
    kind: Literal["harvest"] = field(default="harvest", repr=False, kw_only=True)

    @cached_property
    def controls(self) -> tuple[Quantity, ...]:
        """The rate."""
        return (Quantity(self.name, FEED, self.scale, 0.0),)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The fraction that stays, ``<name>_retention``, unless none does."""
        return (Parameter(f"{self.name}_retention", self.retention, "", "", 0.0, 1.0),) if self.retention else ()

    def streams(self, now: Now) -> Sequence[Stream]:
        """Return one outflow."""
        retained = {BIOMASS: now[f"{self.name}_retention"]} if self.retention else {}
        return (Outflow(now[self.name], retained),)


@checked
class Overflow(Component):
    """A weir or a level control: whatever flows in beyond the other outflows leaves, so that the volume is constant.

    Parameters
    ----------
    retention
        Fraction of the biomass that stays in the vessel: 0 in a chemostat, 1 behind a filter that no cell passes.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If ``retention`` is no number from 0 to 1.

    Examples
    --------
    >>> Overflow(retention=0.95).parameters[0].value
    0.95
    """

    retention: Fraction = 0.0
    kind: Literal["overflow"] = field(default="overflow", repr=False, kw_only=True)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The fraction that stays, unless none does."""
        return (Parameter("overflow_retention", self.retention, "", "", 0.0, 1.0),) if self.retention else ()

    def leaving(self, net_inflow: Any, now: Now) -> Stream:
        """Return the outflow.

        Parameters
        ----------
        net_inflow
            Inflows less the other outflows [L/h].
        now
            Values by name.

        Returns
        -------
        Outflow
        """
        return Outflow(net_inflow, {BIOMASS: now["overflow_retention"]} if self.retention else {})


@checked
class Evaporation(Component):
    """Water that leaves with the gas.

    Parameters
    ----------
    rate
        Volume per time [L/h].
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If ``rate`` is no finite number, at least 0.

    Examples
    --------
    >>> Evaporation(0.002).parameters[0].name
    'evaporation'
    """

    rate: NotNegative
    kind: Literal["evaporation"] = field(default="evaporation", repr=False, kw_only=True)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The rate."""
        return (Parameter("evaporation", self.rate, FEED, "", 0.0),)

    def streams(self, now: Now) -> Sequence[Stream]:
        """Return one outflow, of water alone."""
        return (Outflow(now["evaporation"], everything=1.0),)


@checked
class Samples(Component):
    """Samples, as the broth that they take on average.

    Parameters
    ----------
    rate
        Volume per time [L/h], such as 0.01 for 10 mL every hour.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If ``rate`` is no finite number, at least 0.

    Examples
    --------
    >>> Samples(0.01).parameters[0].unit
    'L/h'
    """

    rate: NotNegative
    kind: Literal["samples"] = field(default="samples", repr=False, kw_only=True)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The rate."""
        return (Parameter("samples", self.rate, FEED, "", 0.0),)

    def streams(self, now: Now) -> Sequence[Stream]:
        """Return one outflow."""
        return (Outflow(now["samples"]),)


@checked
class Base(Component):
    """Base that a pH control adds as the culture takes up ammonium: one proton is released for each ammonium ion.

    Parameters
    ----------
    concentration
        Base in its solution [mmol/L].
    ammonium
        Exchange of ammonium.
    protons
        Protons released per ammonium ion [mol/mol].
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> base = Base(concentration=5000.0)
    >>> base.observe({"base_concentration": 5000.0, "EX_nh4_e": -5.0, "biomass": 20.0, "volume": 2.0})
    {'base_feed': 0.04}
    """

    concentration: Positive
    ammonium: Name = "EX_nh4_e"
    protons: NotNegative = 1.0
    kind: Literal["base"] = field(default="base", repr=False, kw_only=True)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The concentration."""
        return (Parameter("base_concentration", self.concentration, "mmol/L", "", ABOVE_ZERO),)

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """The rate."""
        return (Quantity("base_feed", FEED, 0.01),)

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """The exchange of ammonium."""
        return (self.ammonium,)

    def streams(self, now: Now) -> Sequence[Stream]:
        """Return one inflow."""
        return (Inflow(self.observe(now)["base_feed"]),)

    def observe(self, now: Now) -> dict[str, Any]:
        """Compute the rate of the base [L/h]."""
        uptake = -now[self.ammonium] * now[BIOMASS] * now[VOLUME_STATE]
        return {"base_feed": self.protons * uptake / now["base_concentration"]}


def checked_feeds(feeds: Sequence[Feed]) -> None:
    """Check that no feed has the name of another.

    Parameters
    ----------
    feeds
        Feeds of a vessel.

    Raises
    ------
    StudyError
        If two have one name.

    Examples
    --------
    >>> checked_feeds((Feed("sugar"), Feed("sugar")))
    Traceback (most recent call last):
    mmopt.errors.StudyError: there are two feeds 'sugar'; give each its own name
    """
    names = [feed.name for feed in feeds]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"there are two feeds '{name}'; give each its own name")

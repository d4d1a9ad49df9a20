"""A well-mixed bioreactor: species with uptake laws, feeds, aeration and further components around a metabolism."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import field
from functools import cached_property
from html import escape
from typing import Any, Final

from mmopt.checking import NotNegative, Positive, checked
from mmopt.errors import StudyError, nearest
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.reactor.components.component import Component, Inflow, Now, Stream
from mmopt.reactor.components.factors import EVERY
from mmopt.reactor.components.flows import Feed, Overflow, checked_feeds
from mmopt.reactor.components.gas import oxygen_transfer
from mmopt.reactor.components.known import ComponentField
from mmopt.reactor.quantities import ABOVE_ZERO, Parameter, Quantity
from mmopt.reactor.species import Aeration, Species
from mmopt.reactor.system import Cell, System, Values, checked_system
from mmopt.units import FEED, HEAT, MASS_CONCENTRATION, MOLAR_CONCENTRATION, TRANSFER, TRANSFER_RATE, VOLUME

VOLUME_STATE, BIOMASS_STATE, FEED_CONTROL, KLA = "volume", "biomass", "feed", "kla"

HEAT_OF_OXYGEN: Final = 0.4435
"""Heat of an aerobic fermentation [kJ/mmol of oxygen taken up]: 106 kcal/mol, J. Appl. Chem. Biotechnol. 26 (1976),
doi:10.1002/jctb.5020260179."""

_NO_RESPIRATION: Final = 1.0e-6
"""Oxygen uptake at which the respiratory quotient fades to zero [mmol/L/h]."""


@checked(repr=False)
class Bioreactor(System):
    """A well-mixed bioreactor.

    Parameters
    ----------
    species
        Dissolved species.
    aeration
        Oxygen transfer, or None.
    death
        Biomass lost per mmol of missing maintenance ATP [g/mmol]; 0 assumes no loss.
    biomass_scale, volume_scale, feed_scale
        Typical sizes [g/L, L, L/h].
    sources
        Source of parameters by name; names of parameters that the reactor does not have are ignored.
    carbon_dioxide
        Exchange of carbon dioxide, such as ``EX_co2_e``, whose evolution the off-gas shows; None leaves it out.
    feeds
        Feeds, each a control with its composition; none for a batch. By default there is one, the control ``feed``, with what
        the species have as ``fed``.
    components
        Further components: outflows, gases, products, whatever adds to the balances (`Component`).

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range, a name occurs twice, or a component needs a species that is
        missing.

    Examples
    --------
    >>> glucose = Species("glucose", "EX_glc__D_e", molar_mass=180.156, uptake=Uptake(10.0, 0.05), fed=500.0)
    >>> reactor = Bioreactor((glucose,))
    >>> reactor
    Bioreactor: glucose; 4 parameters
    >>> [state.name for state in reactor.states], reactor.limits({"glucose": 0.05}, reactor.defaults)
    (['volume', 'biomass', 'glucose'], {'EX_glc__D_e': 5.0})
    """

    species: tuple[Species, ...]
    aeration: Aeration | None = None
    death: NotNegative = 0.0
    biomass_scale: Positive = 10.0
    volume_scale: Positive = 1.0
    feed_scale: Positive = 0.1
    sources: dict[str, str] = field(default_factory=dict)
    carbon_dioxide: str | None = None
    feeds: tuple[Feed, ...] | None = None
    components: tuple[ComponentField, ...] = ()

    def __post_init__(self) -> None:
        names = [species.name for species in self.species]
        if not names:
            raise StudyError("species is empty; give at least one Species")
        for kind, values in (("species", names), ("exchange", [species.exchange for species in self.species])):
            if twice := [value for value, count in Counter(values).items() if count > 1]:
                raise StudyError(f"{kind} '{twice[0]}' is given {values.count(twice[0])} times; give it once")
        inhibitors = [name for species in self.species if species.uptake for name in species.uptake.others]
        for name in inhibitors:
            if name not in names:
                raise StudyError(f"inhibitor '{name}' is no species of the reactor; {nearest(name, names)}")
        if self.aeration and self.aeration.species not in names:
            raise StudyError(
                f"aerated '{self.aeration.species}' is no species of the reactor; {nearest(self.aeration.species, names)}"
            )
        if self._gas and self._gas.unit != MOLAR_CONCENTRATION:
            raise StudyError(f"aerated '{self._gas.name}' is in {self._gas.unit}; give it in {MOLAR_CONCENTRATION}")
        self._check_components(names)
        checked_system(self)
        for component in self._added:
            self._evaluate(component)

    def _check_components(self, names: list[str]) -> None:
        """Check feeds and components against the species."""
        checked_feeds(self.feeds or ())
        fed = [species.name for species in self.species if species.fed]
        if self.feeds is not None and fed:
            raise StudyError(
                f"'{fed[0]}' has fed, and there are feeds; give its concentration in the content of a feed"
            )
        for component in (*(self.feeds or ()), *self.components):
            if isinstance(component, Feed) and component in self.components:
                raise StudyError(f"the feed '{component.name}' is among components; give it in feeds")
            for name in component.needs:
                if name not in names:
                    raise StudyError(
                        f"{type(component).__name__} has '{name}', which is no species; {nearest(name, names)}"
                    )
        computed = any(KLA in {known.name for known in component.derived} for component in self.components)
        if self.aeration and (self.aeration.kla is None) != computed:
            what = "None, and no component computes it" if not computed else "given, and a component computes it"
            raise StudyError(f"kla is {what}; give a number, or None and a component such as StirredTank")
        if sum(isinstance(component, Overflow) for component in self.components) > 1:
            raise StudyError("there is more than one Overflow; give one")

    def _evaluate(self, component: Component) -> None:
        """Evaluate a component at typical values: what it reads and returns has to be there."""
        states = {known.name: known.scale for known in self.states}
        controls = {known.name: known.scale for known in self.controls}
        now = {**self.defaults, **states, **controls, **dict.fromkeys(self.readings, 0.1)}
        name = type(component).__name__
        try:
            changed = component.rates(now)
            component.factors(states, self.defaults)
            component.streams(now)
            derived = component.observe(now)
        except KeyError as error:
            missing = str(error.args[0]) if error.args else ""
            raise StudyError(
                f"{name} reads '{missing}', which the reactor does not have; {nearest(missing, now)}"
            ) from error
        except ArithmeticError:  # of these values alone
            return
        for kind, given, known in (
            ("a rate of", changed, states),
            ("", {known.name: 0.0 for known in component.derived}, derived),
        ):
            for other in given:
                if other not in known:
                    what = f"returns {kind} '{other}', which is no state" if kind else f"observes no '{other}'"
                    raise StudyError(f"{name} {what}; {nearest(other, known)}")

    @cached_property
    def _gas(self) -> Species | None:
        """The aerated species."""
        return next((one for one in self.species if self.aeration and one.name == self.aeration.species), None)

    @cached_property
    def _transferring(self) -> Component:
        """The component that computes the transfer coefficient."""
        return next(one for one in self.components if KLA in {known.name for known in one.derived})

    @cached_property
    def _added(self) -> tuple[Component, ...]:
        """All components besides the cells and what is dissolved."""
        return (*(self.feeds or ()), *self.components)

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """Volume, biomass, every species, and those of the components."""
        return (
            Quantity(VOLUME_STATE, VOLUME, self.volume_scale, 0.0),
            Quantity(BIOMASS_STATE, MASS_CONCENTRATION, self.biomass_scale, 0.0),
            *(self._state(one) for one in self.species),
            *_joined(component.states for component in self._added),
        )

    def _state(self, species: Species) -> Quantity:
        """The state of a species; a gas is quasi-steady, and its uptake bends at its half-saturation constant."""
        gas = species is self._gas
        bends_at = species.uptake.half if gas and species.uptake else 0.0
        return Quantity(species.name, species.unit, species.scale, 0.0, quasi_steady=gas, bends_at=bends_at)

    @cached_property
    def controls(self) -> tuple[Quantity, ...]:
        """The feeds, and the controls of the components."""
        own = (Quantity(FEED_CONTROL, FEED, self.feed_scale, 0.0),) if self.feeds is None else ()
        return (*own, *_joined(component.controls for component in self._added))

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """Biomass in the whole vessel; with aeration, oxygen in percent of saturation, its transfer and uptake, and heat.

        With an exchange of carbon dioxide its evolution and, with aeration, the respiratory quotient; then what components add.
        """
        values = [Quantity("biomass_amount", "g", self.biomass_scale * self.volume_scale, 0.0)]
        if self.aeration:
            values += [
                Quantity("oxygen_saturation", "%", 100.0, 0.0),
                Quantity("oxygen_transfer", TRANSFER_RATE, 100.0),
                Quantity("oxygen_uptake", TRANSFER_RATE, 100.0),
                Quantity("heat", HEAT, 50.0),
            ]
        if self.carbon_dioxide:
            values.append(Quantity("carbon_evolution", TRANSFER_RATE, 100.0))
        if self.carbon_dioxide and self.aeration:
            values.append(Quantity("respiratory_quotient", "mol/mol"))
        return (*values, *_joined(component.derived for component in self._added))

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every number of the reactor, such as ``glucose_vmax``, ``glucose_half``, ``glucose_fed``, ``kla``."""
        units = {species.name: species.unit for species in self.species}
        rows = [Parameter("death", self.death, "g/mmol", "", 0.0)]
        for species in self.species:
            if self.feeds is None:
                rows.append(Parameter(f"{species.name}_fed", species.fed, species.unit, "", 0.0))
            if species.uptake:
                rows += species.uptake.parameters(species.name, units)
        for feed in self.feeds or ():
            rows += [
                Parameter(f"{name}_in_{feed.name}", value, units[name], "", 0.0) for name, value in feed.content.items()
            ]
        if self.aeration:
            if self.aeration.kla is not None:
                rows.append(Parameter("kla", self.aeration.kla, TRANSFER, "", 0.0))
            rows.append(Parameter("saturation", self.aeration.saturation, MOLAR_CONCENTRATION, "", ABOVE_ZERO))
        rows += _joined(component.parameters for component in self._added)
        return tuple(
            Parameter(one.name, one.value, one.unit, self.sources.get(one.name, one.source), one.lower, one.upper)
            for one in rows
        )

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """Growth, the exchange of each species, that of carbon dioxide if recorded, what components read, the shortfall."""
        exchanges = dict.fromkeys(species.exchange for species in self.species)
        if self.carbon_dioxide:
            exchanges[self.carbon_dioxide] = None
        exchanges.update(dict.fromkeys(_joined(component.readings for component in self._added)))
        return tuple(dict.fromkeys((GROWTH, *exchanges, SHORTFALL)))

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Compute the uptake limit of every species with an uptake law [mmol/gDW/h]."""
        factors = [component.factors(states, parameters) for component in self._added]
        values = {}
        for species in self.species:
            if species.uptake is None:
                continue
            limit = species.uptake.limit(species.name, states, parameters)
            for factor in factors:
                for name in (species.name, EVERY):
                    limit = limit * factor[name] if name in factor else limit
            values[species.exchange] = limit
        return values

    def largest_limits(self, parameters: Values) -> dict[str, float]:
        """Return the largest uptake limits, whatever the states are [mmol/gDW/h]."""
        largest = super().largest_limits(parameters)
        for one in self.species:
            if one.uptake:
                largest[one.exchange] = max(largest[one.exchange], one.uptake.most(one.name, parameters))
        return largest

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        """Compute the derived quantities."""
        now = {**parameters, **states, **controls, **rates}
        values = {"biomass_amount": states[BIOMASS_STATE] * states[VOLUME_STATE]}
        for component in self._added:
            values.update(component.observe(now))
        if self._gas:
            uptake = -rates[self._gas.exchange] * states[BIOMASS_STATE]
            values["oxygen_saturation"] = 100.0 * states[self._gas.name] / parameters["saturation"]
            values["oxygen_transfer"] = self._transfer({**now, **values})
            values["oxygen_uptake"] = uptake
            values["heat"] = HEAT_OF_OXYGEN * uptake
        if self.carbon_dioxide:
            values["carbon_evolution"] = rates[self.carbon_dioxide] * states[BIOMASS_STATE]
        if self.carbon_dioxide and self._gas:
            # smooth, and 0 in place of 0/0 where nothing respires
            values["respiratory_quotient"] = values["carbon_evolution"] / (uptake**2 + _NO_RESPIRATION**2) ** 0.5
        return values

    def _transfer(self, now: Now) -> Any:
        """Oxygen transfer [mmol/L/h]."""
        gas = self._gas
        return 0.0 if gas is None else oxygen_transfer(now["kla"], now["saturation"], now[gas.name])

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        """Compute the time derivative of every state [its unit/h]: reactions and transfer, components, then streams."""
        rates = cell(self.limits(states, parameters))
        now = {**parameters, **states, **controls, **rates}
        if self.aeration and self.aeration.kla is None:
            now.update(self._transferring.observe(now))
        biomass = states[BIOMASS_STATE]
        values = dict.fromkeys((state.name for state in self.states), 0.0)
        values[BIOMASS_STATE] = (rates[GROWTH] - parameters["death"] * rates[SHORTFALL]) * biomass
        for species in self.species:
            values[species.name] = species.amount(rates[species.exchange] * biomass)
            if species is self._gas:
                values[species.name] = values[species.name] + self._transfer(now)
        for component in self._added:
            for name, rate in component.rates(now).items():
                values[name] = values[name] + rate
        for stream in self._streams(now):
            values[VOLUME_STATE] = values[VOLUME_STATE] + stream.volume
            dilution = stream.by(states[VOLUME_STATE])
            for name in self._diluted:
                values[name] = values[name] + dilution.change(name, states[name])
        return values

    @cached_property
    def _diluted(self) -> tuple[str, ...]:
        """States that streams dilute or concentrate: those per litre."""
        return tuple(state.name for state in self.states if state.unit.endswith("/L"))

    def _streams(self, now: Now) -> list[Stream]:
        """All streams; an overflow takes what the others leave over."""
        streams: list[Stream] = []
        if self.feeds is None:
            streams.append(Inflow(now[FEED_CONTROL], {one.name: now[f"{one.name}_fed"] for one in self.species}))
        streams += [stream for component in self._added for stream in component.streams(now)]
        overflow = next((component for component in self.components if isinstance(component, Overflow)), None)
        if overflow is not None and streams:
            streams.append(overflow.leaving(sum(stream.volume for stream in streams), now))
        return streams

    def __repr__(self) -> str:
        names = ", ".join(species.name for species in self.species)
        aerated = f"; {self.aeration.species} is aerated" if self.aeration else ""
        return f"{type(self).__name__}: {names}{aerated}; {len(self.parameters)} parameters"

    def _repr_html_(self) -> str:
        """Return a table of the parameters with unit and source."""
        rows = "".join(
            f"<tr><td>{escape(one.name)}</td><td>{one.value:g}</td><td>{escape(one.unit)}</td><td>{escape(one.source)}</td></tr>"
            for one in self.parameters
        )
        head = "".join(f"<th>{title}</th>" for title in ("parameter", "value", "unit", "source"))
        return f"<p>{escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table>"


def _joined(groups: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(one for group in groups for one in group)

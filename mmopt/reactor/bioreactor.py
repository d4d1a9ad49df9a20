"""A well-mixed fed-batch bioreactor: species with uptake laws, a feed and aeration around a metabolism."""

from collections import Counter
from dataclasses import field
from functools import cached_property
from html import escape
from typing import Any, Final

from mmopt.checking import NotNegative, Positive, checked
from mmopt.errors import StudyError, nearest
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.reactor import balances, kinetics
from mmopt.reactor.quantities import ABOVE_ZERO, Parameter, Quantity
from mmopt.reactor.species import Aeration, Species
from mmopt.reactor.system import Cell, System, Values, checked_system
from mmopt.units import FEED, HEAT, MASS_CONCENTRATION, MOLAR_CONCENTRATION, RATE, TRANSFER, TRANSFER_RATE, VOLUME

VOLUME_STATE, BIOMASS_STATE, FEED_CONTROL = "volume", "biomass", "feed"

HEAT_OF_OXYGEN: Final = 0.4435
"""Heat of an aerobic fermentation [kJ/mmol of oxygen taken up]: 106 kcal/mol, J. Appl. Chem. Biotechnol. 26 (1976),
doi:10.1002/jctb.5020260179."""

_NO_RESPIRATION: Final = 1.0e-6
"""Oxygen uptake at which the respiratory quotient fades to zero [mmol/L/h]."""


@checked(repr=False)
class Bioreactor(System):
    """A well-mixed fed-batch bioreactor.

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

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range, a name occurs twice, or an inhibitor or the aerated species is
        not among the species.

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

    def __post_init__(self) -> None:
        names = [species.name for species in self.species]
        if not names:
            raise StudyError("species is empty; give at least one Species")
        for kind, values in (("species", names), ("exchange", [species.exchange for species in self.species])):
            if twice := [value for value, count in Counter(values).items() if count > 1]:
                raise StudyError(f"{kind} '{twice[0]}' is given {values.count(twice[0])} times; give it once")
        inhibitors = [name for species in self.species if species.uptake for name in species.uptake.inhibitors]
        for name in inhibitors:
            if name not in names:
                raise StudyError(f"inhibitor '{name}' is no species of the reactor; {nearest(name, names)}")
        if self.aeration and self.aeration.species not in names:
            raise StudyError(
                f"aerated '{self.aeration.species}' is no species of the reactor; {nearest(self.aeration.species, names)}"
            )
        if self._gas and self._gas.unit != MOLAR_CONCENTRATION:
            raise StudyError(f"aerated '{self._gas.name}' is in {self._gas.unit}; give it in {MOLAR_CONCENTRATION}")
        checked_system(self)

    @cached_property
    def _gas(self) -> Species | None:
        """The aerated species."""
        return next((one for one in self.species if self.aeration and one.name == self.aeration.species), None)

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """Volume, biomass, then every species."""
        return (
            Quantity(VOLUME_STATE, VOLUME, self.volume_scale, 0.0),
            Quantity(BIOMASS_STATE, MASS_CONCENTRATION, self.biomass_scale, 0.0),
            *(self._state(one) for one in self.species),
        )

    def _state(self, species: Species) -> Quantity:
        """The state of a species; a gas is quasi-steady, and its uptake bends at its half-saturation constant."""
        gas = species is self._gas
        bends_at = species.uptake.half if gas and species.uptake else 0.0
        return Quantity(species.name, species.unit, species.scale, 0.0, quasi_steady=gas, bends_at=bends_at)

    @cached_property
    def controls(self) -> tuple[Quantity, ...]:
        """The feed."""
        return (Quantity(FEED_CONTROL, FEED, self.feed_scale, 0.0),)

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """Biomass in the whole vessel; with aeration, oxygen in percent of saturation, its transfer and uptake, and heat.

        With an exchange of carbon dioxide its evolution and, with aeration, the respiratory quotient.
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
        return tuple(values)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every number of the reactor, such as ``glucose_vmax``, ``glucose_half``, ``glucose_fed``, ``kla``."""
        units = {species.name: species.unit for species in self.species}
        rows = [("death", self.death, "g/mmol", 0.0)]
        for species in self.species:
            name, uptake = species.name, species.uptake
            rows.append((f"{name}_fed", species.fed, species.unit, 0.0))
            if uptake:
                rows.append((f"{name}_vmax", uptake.vmax, RATE, 0.0))
                rows.append((f"{name}_half", uptake.half, species.unit, ABOVE_ZERO))
                for inhibitor, constant in uptake.inhibitors.items():
                    rows.append((f"{name}_inhibition_by_{inhibitor}", constant, units[inhibitor], ABOVE_ZERO))
        if self.aeration:
            rows.append(("kla", self.aeration.kla, TRANSFER, 0.0))
            rows.append(("saturation", self.aeration.saturation, MOLAR_CONCENTRATION, ABOVE_ZERO))
        return tuple(
            Parameter(name, value, unit, self.sources.get(name, ""), lower) for name, value, unit, lower in rows
        )

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """Growth, the exchange of each species, that of carbon dioxide if it is recorded, and the shortfall."""
        exchanges = dict.fromkeys(species.exchange for species in self.species)
        if self.carbon_dioxide:
            exchanges[self.carbon_dioxide] = None
        return (GROWTH, *exchanges, SHORTFALL)

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Compute the uptake limit of every species with an uptake law [mmol/gDW/h]."""
        values = {}
        for species in self.species:
            if species.uptake is None:
                continue
            rate = kinetics.monod(
                states[species.name], parameters[f"{species.name}_vmax"], parameters[f"{species.name}_half"]
            )
            for inhibitor in species.uptake.inhibitors:
                constant = parameters[f"{species.name}_inhibition_by_{inhibitor}"]
                rate = kinetics.inhibited(rate, states[inhibitor], constant)
            values[species.exchange] = rate
        return values

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        """Compute the derived quantities."""
        values = {"biomass_amount": states[BIOMASS_STATE] * states[VOLUME_STATE]}
        if self._gas:
            oxygen = states[self._gas.name]
            uptake = -rates[self._gas.exchange] * states[BIOMASS_STATE]
            values["oxygen_saturation"] = 100.0 * oxygen / parameters["saturation"]
            values["oxygen_transfer"] = balances.oxygen_transfer(parameters["kla"], parameters["saturation"], oxygen)
            values["oxygen_uptake"] = uptake
            values["heat"] = HEAT_OF_OXYGEN * uptake
        if self.carbon_dioxide:
            values["carbon_evolution"] = rates[self.carbon_dioxide] * states[BIOMASS_STATE]
        if self.carbon_dioxide and self._gas:
            # smooth, and 0 in place of 0/0 where nothing respires
            values["respiratory_quotient"] = values["carbon_evolution"] / (uptake**2 + _NO_RESPIRATION**2) ** 0.5
        return values

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        """Compute the time derivative of every state [its unit/h]."""
        rates = cell(self.limits(states, parameters))
        biomass, feed = states[BIOMASS_STATE], controls[FEED_CONTROL]
        dilution = feed / states[VOLUME_STATE]
        decay = parameters["death"] * rates[SHORTFALL]
        values = {
            VOLUME_STATE: balances.volume_balance(feed),
            BIOMASS_STATE: balances.biomass_balance(biomass, rates[GROWTH], decay, dilution),
        }
        for species in self.species:
            transfer = 0.0
            if self.aeration and species.name == self.aeration.species:
                transfer = balances.oxygen_transfer(parameters["kla"], parameters["saturation"], states[species.name])
            values[species.name] = balances.species_balance(
                states[species.name],
                parameters[f"{species.name}_fed"],
                dilution,
                species.amount(rates[species.exchange] * biomass),
                transfer,
            )
        return values

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

"""A well-mixed fed-batch bioreactor: species, uptake laws, a feed and aeration around a metabolism."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from mmopt.errors import StudyError, nearest
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.reactor import balances, kinetics
from mmopt.reactor.quantities import ABOVE_ZERO, Parameter, Quantity
from mmopt.reactor.system import Cell, System, Values
from mmopt.units import FEED, HEAT, MASS_CONCENTRATION, MOLAR_CONCENTRATION, RATE, TRANSFER_RATE, VOLUME, grams

VOLUME_STATE, BIOMASS_STATE, FEED_CONTROL = "volume", "biomass", "feed"

HEAT_OF_OXYGEN: Final = 0.4435
"""Heat of an aerobic fermentation [kJ/mmol of oxygen taken up]: 106 kcal/mol, J. Appl. Chem. Biotechnol. 26 (1976),
doi:10.1002/jctb.5020260179."""


@dataclass(frozen=True)
class Uptake:
    """Monod uptake with non-competitive inhibitors.

    Attributes
    ----------
    vmax
        Largest uptake rate [mmol/gDW/h].
    half
        Concentration at half of it, in the unit of the species.
    inhibitors
        Inhibition constant by species name, in the unit of that species.
    """

    vmax: float
    half: float
    inhibitors: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Species:
    """Something dissolved that the cell exchanges.

    Attributes
    ----------
    name
        Name of the state.
    exchange
        Exchange reaction in the network.
    unit
        ``g/L`` (then ``molar_mass`` is needed) or ``mmol/L``.
    molar_mass
        g/mol.
    uptake
        What limits its uptake; None if it is only produced.
    fed
        Concentration in the feed, in its unit.
    scale
        Its typical concentration.
    """

    name: str
    exchange: str
    unit: str = MASS_CONCENTRATION
    molar_mass: float | None = None
    uptake: Uptake | None = None
    fed: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.unit not in (MASS_CONCENTRATION, MOLAR_CONCENTRATION):
            raise StudyError(f"unit '{self.unit}' of {self.name} is unknown; use g/L or mmol/L")
        if self.unit == MASS_CONCENTRATION and self.molar_mass is None:
            raise StudyError(f"{self.name} is in g/L and needs its molar mass")

    def amount(self, millimoles: Any) -> Any:
        """Turn mmol into the unit of this species."""
        return (
            millimoles
            if self.molar_mass is None or self.unit != MASS_CONCENTRATION
            else grams(millimoles, self.molar_mass)
        )


@dataclass(frozen=True)
class Aeration:
    """Oxygen transfer from gas; ``kla`` [1/h], ``saturation`` C* [mmol/L]."""

    kla: float
    saturation: float
    species: str = "oxygen"


@dataclass(frozen=True)
class Bioreactor(System):
    """A fed-batch bioreactor; a `System`.

    Attributes
    ----------
    species
        What is dissolved.
    aeration
        Oxygen transfer, or None.
    death
        Biomass lost for each mmol of maintenance ATP the cell misses [g/mmol]; 0 assumes none is.
    biomass_scale, volume_scale, feed_scale
        Typical sizes [g/L, L, L/h].
    sources
        Source of parameters by name; names of parameters that the reactor does not have are ignored.

    Examples
    --------
    >>> glucose = Species("glucose", "EX_glc__D_e", molar_mass=180.156, uptake=Uptake(10.0, 0.05), fed=500.0)
    >>> reactor = Bioreactor((glucose,))
    >>> [state.name for state in reactor.states], reactor.limits({"glucose": 0.05}, reactor.defaults)
    (['volume', 'biomass', 'glucose'], {'EX_glc__D_e': 5.0})
    """

    species: tuple[Species, ...]
    aeration: Aeration | None = None
    death: float = 0.0
    biomass_scale: float = 10.0
    volume_scale: float = 1.0
    feed_scale: float = 0.1
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        names = [each.name for each in self.species]
        for name in {name for each in self.species if each.uptake for name in each.uptake.inhibitors} - set(names):
            raise StudyError(f"inhibitor '{name}' is no species of the reactor; {nearest(name, names)}")
        if self.aeration and self.aeration.species not in names:
            raise StudyError(
                f"aerated '{self.aeration.species}' is no species of the reactor; {nearest(self.aeration.species, names)}"
            )

    @cached_property
    def _gas(self) -> Species | None:
        """The aerated species."""
        return next((each for each in self.species if self.aeration and each.name == self.aeration.species), None)

    @cached_property
    def states(self) -> tuple[Quantity, ...]:
        """Volume, biomass, then every species."""
        gas = self._gas.name if self._gas else None
        return (
            Quantity(VOLUME_STATE, VOLUME, self.volume_scale, 0.0),
            Quantity(BIOMASS_STATE, MASS_CONCENTRATION, self.biomass_scale, 0.0),
            *(Quantity(each.name, each.unit, each.scale, 0.0, quasi_steady=each.name == gas) for each in self.species),
        )

    @cached_property
    def controls(self) -> tuple[Quantity, ...]:
        """The feed."""
        return (Quantity(FEED_CONTROL, FEED, self.feed_scale, 0.0),)

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """Biomass in the whole vessel; with aeration, oxygen in percent of saturation, its transfer and uptake, and heat."""
        whole = Quantity("biomass_amount", "g", self.biomass_scale * self.volume_scale, 0.0)
        if self.aeration is None:
            return (whole,)
        return (
            whole,
            Quantity("oxygen_saturation", "%", 100.0, 0.0),
            Quantity("oxygen_transfer", TRANSFER_RATE, 100.0),
            Quantity("oxygen_uptake", TRANSFER_RATE, 100.0),
            Quantity("heat", HEAT, 50.0),
        )

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
            rows.append(("kla", self.aeration.kla, "1/h", 0.0))
            rows.append(("saturation", self.aeration.saturation, units[self.aeration.species], ABOVE_ZERO))
        return tuple(
            Parameter(name, value, unit, self.sources.get(name, ""), lower) for name, value, unit, lower in rows
        )

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """Growth, the exchange of each species, and the shortfall."""
        return (GROWTH, *(each.exchange for each in self.species), SHORTFALL)

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Uptake limit of every species that can be taken up [mmol/gDW/h]."""
        found = {}
        for each in self.species:
            if each.uptake is None:
                continue
            rate = kinetics.monod(states[each.name], parameters[f"{each.name}_vmax"], parameters[f"{each.name}_half"])
            for inhibitor in each.uptake.inhibitors:
                constant = parameters[f"{each.name}_inhibition_by_{inhibitor}"]
                rate = kinetics.inhibited(rate, states[inhibitor], constant)
            found[each.exchange] = rate
        return found

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        """Values of the derived quantities."""
        found = {"biomass_amount": states[BIOMASS_STATE] * states[VOLUME_STATE]}
        if self._gas:
            oxygen = states[self._gas.name]
            uptake = -rates[self._gas.exchange] * states[BIOMASS_STATE]
            found["oxygen_saturation"] = 100.0 * oxygen / parameters["saturation"]
            found["oxygen_transfer"] = balances.oxygen_transfer(parameters["kla"], parameters["saturation"], oxygen)
            found["oxygen_uptake"] = uptake
            found["heat"] = HEAT_OF_OXYGEN * uptake
        return found

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        """Time derivative of every state [its unit/h]."""
        rates = cell(self.limits(states, parameters))
        biomass, feed = states[BIOMASS_STATE], controls[FEED_CONTROL]
        dilution = feed / states[VOLUME_STATE]
        decay = parameters["death"] * rates[SHORTFALL]
        found = {
            VOLUME_STATE: balances.volume_balance(feed),
            BIOMASS_STATE: balances.biomass_balance(biomass, rates[GROWTH], decay, dilution),
        }
        for each in self.species:
            transfer = 0.0
            if self.aeration and each.name == self.aeration.species:
                transfer = balances.oxygen_transfer(parameters["kla"], parameters["saturation"], states[each.name])
            found[each.name] = balances.species_balance(
                states[each.name],
                parameters[f"{each.name}_fed"],
                dilution,
                each.amount(rates[each.exchange] * biomass),
                transfer,
            )
        return found

"""Gas transfer: a stirred tank whose coefficient follows stirrer and gas flow, gases beside oxygen, and their solubility."""

import math
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal

from mmopt.arguments import as_float, shown
from mmopt.checking import Name, NotNegative, Positive, checked
from mmopt.errors import StudyError, nearest
from mmopt.reactor.components.component import Component, Now
from mmopt.reactor.quantities import ABOVE_ZERO, Parameter, Quantity
from mmopt.units import GAS_FLOW, TRANSFER, TRANSFER_RATE

SOLUBILITY: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"oxygen": (1.3e-5, 1500.0), "carbon_dioxide": (3.3e-4, 2400.0)}
)
"""Henry's constant in water at 25 degrees Celsius [mol/m3/Pa], and its temperature coefficient [K]: Sander (2023), Atmos. Chem.
Phys. 23:10901-12440."""

_REFERENCE, _ZERO_CELSIUS = 298.15, 273.15
_BAR: Final = 1.0e5
_HOTTEST: Final = 100.0

_WATER: Final = 1000.0
"""Density of the broth [kg/m3]."""

_CORRELATIONS: Final = {True: (2.6e-2, 0.4, 0.5), False: (2.0e-3, 0.7, 0.2)}
"""Factor, and exponents of power and of gas velocity, for coalescing bubbles and for those that do not coalesce."""

_SECONDS, _MINUTES = 3600.0, 60.0
_LITRES: Final = 1000.0


def saturation(gas: str, temperature: float = 37.0, pressure: float = 1.01325, fraction: float = 0.2095) -> float:
    """Compute the concentration of a gas in water in equilibrium with humid gas, by Henry's law.

    Parameters
    ----------
    gas
        ``oxygen`` or ``carbon_dioxide``.
    temperature
        Temperature [degrees Celsius].
    pressure
        Absolute pressure [bar].
    fraction
        Mole fraction in the dry gas: 0.2095 is oxygen in air; in a vessel that uses much of it, that of the off-gas.

    Returns
    -------
    float
        Concentration [mmol/L], to some 4 %: the constants have two digits, and salts lower it.

    Raises
    ------
    StudyError
        If the gas is unknown, or a number is outside its range.

    References
    ----------
    Sander (2023), Atmos. Chem. Phys. 23:10901-12440 (Henry's constants). Vapour pressure of water by the Antoine equation.

    Examples
    --------
    >>> round(saturation("oxygen"), 3), round(saturation("oxygen", pressure=2.0), 3)
    (0.213, 0.434)
    """
    if not isinstance(gas, str) or gas not in SOLUBILITY:
        raise StudyError(f"gas is {shown(gas)}; {nearest(str(gas), SOLUBILITY)}")
    ranges = {
        "temperature": (temperature, 0.0, _HOTTEST),
        "pressure": (pressure, 0.0, 1.0e3),
        "fraction": (fraction, 0.0, 1.0),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= as_float(value) <= high:
            raise StudyError(f"{name} is {shown(value)}; give a number from {low:g} to {high:g}")
    constant, coefficient = SOLUBILITY[gas]
    henry = constant * math.exp(coefficient * (1.0 / (_ZERO_CELSIUS + temperature) - 1.0 / _REFERENCE))
    vapour = 133.322 * 10.0 ** (8.07131 - 1730.63 / (233.426 + temperature))
    return float(fraction * max(0.0, pressure * _BAR - vapour) * henry)


def oxygen_transfer(kla: Any, saturation: Any, concentration: Any) -> Any:
    """Compute the oxygen transfer rate, kLa (C* - C).

    Parameters
    ----------
    kla
        Volumetric mass transfer coefficient [1/h].
    saturation, concentration
        C* and C [mmol/L].

    Returns
    -------
    Any
        Transfer from gas to liquid [mmol/L/h].

    Examples
    --------
    >>> oxygen_transfer(kla=300.0, saturation=0.25, concentration=0.125)
    37.5
    """
    return kla * (saturation - concentration)


@checked
class StirredTank(Component):
    """Oxygen transfer from the speed of the stirrer and the gas flow, both controls: the correlations of van 't Riet.

    kLa = 0.026 (P/V)^0.4 v^0.5 where bubbles coalesce (water), 0.002 (P/V)^0.7 v^0.2 where they do not (with salts), in 1/s,
    of the power by volume P/V [W/m3] and the velocity v of the gas in the empty vessel [m/s]. They were measured for 500 to
    10,000 W/m3 in vessels of 2 L to 2.6 m3 (4.4 m3 without coalescence), and are accurate to 20 to 40 %. P is the power without
    gas, Np rho N3 D5. To stay in that range, limit ``power_by_volume``.

    Parameters
    ----------
    stirrer_diameter, vessel_diameter
        Diameters [m].
    power_number
        Power number of all stirrers together; 5 for one Rushton turbine.
    coalescing
        Whether bubbles coalesce.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range, or the stirrer is wider than the vessel.

    References
    ----------
    Van 't Riet (1979), Ind. Eng. Chem. Process Des. Dev. 18:357-364.

    Examples
    --------
    >>> tank = StirredTank(stirrer_diameter=0.075, vessel_diameter=0.2)
    >>> now = {"stirrer_speed": 600.0, "gas_flow": 5.0, "volume": 5.0, **{one.name: one.value for one in tank.parameters}}
    >>> {name: round(value) for name, value in tank.observe(now).items()}
    {'kla': 108, 'power_by_volume': 2373}
    """

    stirrer_diameter: Positive
    vessel_diameter: Positive
    power_number: Positive = 5.0
    coalescing: bool = True
    kind: Literal["stirred_tank"] = field(default="stirred_tank", repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.stirrer_diameter >= self.vessel_diameter:
            raise StudyError(
                f"stirrer_diameter is {self.stirrer_diameter:g} m in a vessel of {self.vessel_diameter:g} m; give a smaller one"
            )

    @cached_property
    def controls(self) -> tuple[Quantity, ...]:
        """Speed of the stirrer, and gas flow."""
        return (
            Quantity("stirrer_speed", "1/min", 500.0, ABOVE_ZERO),
            Quantity("gas_flow", GAS_FLOW, 5.0, ABOVE_ZERO),
        )

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The power number."""
        return (Parameter("power_number", self.power_number, "", "", ABOVE_ZERO),)

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """The transfer coefficient, and the power by volume."""
        return (Quantity("kla", TRANSFER, 300.0), Quantity("power_by_volume", "W/m3", 1000.0))

    def observe(self, now: Now) -> dict[str, Any]:
        """Compute the transfer coefficient [1/h] and the power by volume [W/m3]."""
        factor, of_power, of_velocity = _CORRELATIONS[self.coalescing]
        speed = now["stirrer_speed"] / _MINUTES
        power = now["power_number"] * _WATER * speed**3 * self.stirrer_diameter**5
        by_volume = power * _LITRES / now["volume"]
        velocity = now["gas_flow"] / _LITRES / _MINUTES / (0.25 * math.pi * self.vessel_diameter**2)
        return {
            "kla": _SECONDS * factor * by_volume**of_power * velocity**of_velocity,
            "power_by_volume": by_volume,
        }


@checked
class Stripping(Component):
    """Transfer of a dissolved gas or a volatile product to the gas: k (C* - C).

    Parameters
    ----------
    species
        Name of the species, in mmol/L or g/L.
    coefficient
        Transfer coefficient k [1/h]: for carbon dioxide about 0.9 times that of oxygen.
    equilibrium
        Concentration C* in equilibrium with the gas, in the unit of the species.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> component = Stripping("carbon_dioxide", coefficient=270.0, equilibrium=0.01)
    >>> now = {"carbon_dioxide": 1.01, "carbon_dioxide_stripping": 270.0, "carbon_dioxide_equilibrium": 0.01}
    >>> component.rates(now)
    {'carbon_dioxide': -270.0}
    """

    species: Name
    coefficient: NotNegative
    equilibrium: NotNegative = 0.0
    kind: Literal["stripping"] = field(default="stripping", repr=False, kw_only=True)

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The species."""
        return (self.species,)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Coefficient and equilibrium."""
        return (
            Parameter(f"{self.species}_stripping", self.coefficient, TRANSFER, "", 0.0),
            Parameter(f"{self.species}_equilibrium", self.equilibrium, "", "", 0.0),
        )

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """The transfer."""
        return (Quantity(f"{self.species}_stripped", TRANSFER_RATE, 100.0),)

    def rates(self, now: Now) -> dict[str, Any]:
        """Compute the transfer into the liquid."""
        name = self.species
        return {name: now[f"{name}_stripping"] * (now[f"{name}_equilibrium"] - now[name])}

    def observe(self, now: Now) -> dict[str, Any]:
        """Compute the transfer out of the liquid."""
        return {f"{self.species}_stripped": -self.rates(now)[self.species]}

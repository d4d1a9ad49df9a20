"""The off-gas: what an analyser behind the vessel reads."""

from dataclasses import field
from functools import cached_property
from typing import Any, Final, Literal

from mmopt.checking import Name, NotNegative, Positive, checked
from mmopt.errors import StudyError
from mmopt.reactor.components.component import Component, Now
from mmopt.reactor.quantities import ABOVE_ZERO, Parameter, Quantity
from mmopt.units import GAS_FLOW

_MOLAR_VOLUME: Final = 22.414e-3
"""Volume of an ideal gas at 0 degrees Celsius and 1.01325 bar [L/mmol]."""

_MINUTES: Final = 60.0
_WHOLE: Final = 100.0


@checked
class OffGas(Component):
    """Mole fractions of oxygen and carbon dioxide in the dry off-gas, by the balance of the gas that nothing takes up.

    What the cells take up is taken as missing from the gas at once, and what they give off as in it: gas and dissolved gases
    are at steady state, as they are within minutes. Oxygen below zero means that less enters than the cells take up, since the
    flow is too small for this culture.

    Parameters
    ----------
    flow
        Flow of dry gas into the vessel at 0 degrees Celsius and 1.01325 bar [L/min]; None where it is the control of a
        `StirredTank`.
    oxygen, carbon_dioxide
        Mole fractions in the gas that enters [%]; by default those of dry air.
    oxygen_exchange, carbon_dioxide_exchange
        Exchange reactions of both gases.
    kind
        Its name in a study file.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range.

    Examples
    --------
    >>> analyser = OffGas(flow=2.2414)
    >>> now = {"air_flow": 2.2414, "inlet_oxygen": 20.95, "inlet_carbon_dioxide": 0.04, "volume": 2.0, "biomass": 6.0}
    >>> read = analyser.observe({**now, "EX_o2_e": -10.0, "EX_co2_e": 10.0})
    >>> round(read["off_gas_oxygen"], 3), round(read["off_gas_carbon_dioxide"], 3)
    (18.95, 2.04)
    """

    flow: Positive | None = None
    oxygen: Positive = 20.95
    carbon_dioxide: NotNegative = 0.04
    oxygen_exchange: Name = "EX_o2_e"
    carbon_dioxide_exchange: Name = "EX_co2_e"
    kind: Literal["off_gas"] = field(default="off_gas", repr=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.oxygen + self.carbon_dioxide >= _WHOLE:
            raise StudyError(
                f"oxygen and carbon_dioxide are {self.oxygen:g} and {self.carbon_dioxide:g} % of the gas that enters; the "
                "balance needs some other gas, such as nitrogen"
            )

    @cached_property
    def readings(self) -> tuple[str, ...]:
        """Both exchanges."""
        return (self.oxygen_exchange, self.carbon_dioxide_exchange)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The gas that enters."""
        flow = () if self.flow is None else (Parameter("air_flow", self.flow, GAS_FLOW, "", ABOVE_ZERO),)
        return (
            *flow,
            Parameter("inlet_oxygen", self.oxygen, "%", "", 0.0),
            Parameter("inlet_carbon_dioxide", self.carbon_dioxide, "%", "", 0.0),
        )

    @cached_property
    def derived(self) -> tuple[Quantity, ...]:
        """Both fractions."""
        return (Quantity("off_gas_oxygen", "%", 10.0), Quantity("off_gas_carbon_dioxide", "%", 10.0))

    def observe(self, now: Now) -> dict[str, Any]:
        """Compute the mole fractions in the off-gas [%]."""
        flow = now["gas_flow" if self.flow is None else "air_flow"]
        entering = flow * _MINUTES / _MOLAR_VOLUME
        cells = now["biomass"] * now["volume"]
        added = {
            "oxygen": now[self.oxygen_exchange] * cells,
            "carbon_dioxide": now[self.carbon_dioxide_exchange] * cells,
        }
        leaving = entering + added["oxygen"] + added["carbon_dioxide"]
        return {
            f"off_gas_{gas}": (now[f"inlet_{gas}"] * entering + _WHOLE * amount) / leaving
            for gas, amount in added.items()
        }

"""Dynamic flux balance analysis of a batch culture, through the starvation after the glucose is spent.

The case is that of COBRApy's tutorial on dynamic FBA: *E. coli* core on glucose, whose uptake limit follows Monod's law. There
the linear program becomes infeasible at 5.80191 h, when the glucose no longer pays for maintenance, and the tutorial
ends. The flux program misses a fraction of the maintenance demand instead, and the simulation continues.

`PUBLISHED` is the end of the tutorial's equations by the textbook's rule, to stop at the first shortfall.
"""

from types import MappingProxyType
from typing import Any, Final

from mmopt import FluxProgram, Trajectory, read_network, simulate
from mmopt.reactor import Parameter, Quantity, System
from mmopt.reactor.kinetics import monod
from mmopt.reactor.system import Cell, Values

GLUCOSE: Final = "EX_glc__D_e"
INITIAL: Final = MappingProxyType({"biomass": 0.1, "glucose": 10.0})
PUBLISHED: Final = MappingProxyType({"time": 5.80191035, "biomass": 0.87280538, "glucose": 0.25178492})
"""End of the textbook's dynamic FBA [h, gDW/L, mmol/L]; its integrator keeps about six digits."""

_TOLERANCE: Final = 1.0e-10
_FIRST_SHORTFALL: Final = 1.0e-6
"""A shortfall above this counts [mmol/gDW/h]; solvers leave about 1e-9 where there is none. It is exceeded 1e-7 h later."""


class Batch(System):
    """Biomass [gDW/L] and glucose [mmol/L] in a closed vessel."""

    states = (Quantity("biomass", "g/L", lower=0.0), Quantity("glucose", "mmol/L", lower=0.0))
    parameters = (
        Parameter("vmax", 10.0, "mmol/gDW/h", "COBRApy's tutorial", lower=0.0),
        Parameter("half", 5.0, "mmol/L", "COBRApy's tutorial", lower=0.0),
    )
    readings = ("growth", GLUCOSE)

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        """Limit the uptake of glucose by Monod's law."""
        return {GLUCOSE: monod(states["glucose"], parameters["vmax"], parameters["half"])}

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        """Time derivative of both states."""
        rates = cell(self.limits(states, parameters))
        return {"biomass": rates["growth"] * states["biomass"], "glucose": rates[GLUCOSE] * states["biomass"]}


def until_first_shortfall(program: FluxProgram) -> Trajectory:
    """Simulate by the textbook's rule: end where maintenance can no longer be paid in full."""
    return simulate(
        Batch(),
        INITIAL,
        {},
        8.0,
        program,
        tolerance=_TOLERANCE,
        stop_when=lambda states, rates: rates["shortfall"] - _FIRST_SHORTFALL,
    )


def through_starvation(program: FluxProgram) -> Trajectory:
    """Simulate by the rule of the flux program: a fraction of maintenance is missed, and the culture continues."""
    return simulate(Batch(), INITIAL, {}, 8.0, program, tolerance=_TOLERANCE)


def main() -> None:
    """Simulate by both rules, print them side by side, and compare the first with the published end."""
    program = FluxProgram(read_network("textbook"), [GLUCOSE])
    ended, whole = until_first_shortfall(program), through_starvation(program)
    print(f"{'':24}{'time [h]':>12}{'biomass [g/L]':>16}{'glucose [mmol/L]':>18}{'shortfall':>12}")
    for title, run in (("textbook rule ends at", ended), ("flux program continues to", whole)):
        row = (run.time[-1], run.final("biomass"), run.final("glucose"), run.final("shortfall"))
        print(f"{title:24}{row[0]:12.6f}{row[1]:16.8f}{row[2]:18.8f}{row[3]:12.4f}")

    assert abs(ended.time[-1] - PUBLISHED["time"]) < 1.0e-5
    assert abs(ended.final("biomass") - PUBLISHED["biomass"]) < 2.0e-6
    assert abs(ended.final("glucose") - PUBLISHED["glucose"]) < 2.0e-6
    assert whole.time[-1] == 8.0
    assert whole.final("glucose") < 0.1 * PUBLISHED["glucose"]


if __name__ == "__main__":
    main()

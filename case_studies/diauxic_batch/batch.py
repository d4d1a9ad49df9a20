"""Glucose and xylose in one batch, with oxygen and without it: glucose goes first, since it represses the uptake of xylose.

    python case_studies/diauxic_batch/batch.py

The uptake laws and the initial state are those of Hanly and Henson (2011):
glucose 10.5 G / (0.0027 + G) / (1 + E / 20), xylose 6 Z / (0.0165 + Z) / (1 + E / 20) / (1 + G / 0.005), oxygen
15 O / (0.024 + O) at a constant O of 0.24 mmol/L. They used iJR904; here it is iJO1366, so that times differ. The cell is the
linear program in the loop, then its critical regions; both see the sugars go at the same times. It ends in assertions.
"""

from collections.abc import Mapping
from typing import Final

from mmopt import Atlas, Bioreactor, Domain, FluxProgram, Trajectory, read_network, simulate
from mmopt.network import set_bounds
from mmopt.reactor import Metabolism, Species, Uptake, batch

GLUCOSE, XYLOSE, OXYGEN = "EX_glc__D_e", "EX_xyl__D_e", "EX_o2_e"
START: Final = {"volume": 1.0, "biomass": 0.03, "glucose": 15.5, "xylose": 8.0, "ethanol": 0.0}
GONE: Final = 0.01
"""Concentration at which a sugar counts as gone [g/L]."""

AERATED: Final = 15.0 * 0.24 / (0.024 + 0.24)
"""Largest oxygen uptake at 0.24 mmol/L [mmol/gDW/h]."""

HOURS: Final = 60.0


def vessel() -> Bioreactor:
    """A closed vessel with two sugars and ethanol; the network limits oxygen."""
    by_ethanol = {"ethanol": 20.0}
    return batch(
        Bioreactor(
            (
                Species("glucose", GLUCOSE, molar_mass=180.156, uptake=Uptake(10.5, 0.0027, by_ethanol)),
                Species(
                    "xylose", XYLOSE, molar_mass=150.13, uptake=Uptake(6.0, 0.0165, {**by_ethanol, "glucose": 0.005})
                ),
                Species("ethanol", "EX_etoh_e", molar_mass=46.069),
            )
        )
    )


def until_gone(cell: Metabolism, sugar: str) -> Trajectory:
    """The batch until a sugar is gone."""

    def gone(states: Mapping[str, float], _: Mapping[str, float]) -> float:
        return GONE - states[sugar]

    return simulate(vessel(), START, {}, HOURS, cell, stop_when=gone, tolerance=1.0e-8)


def times(oxygen: float) -> dict[str, dict[str, float]]:
    """Times at which each sugar is gone [h], and the biomass when glucose is, by the cell."""
    network = set_bounds(read_network("iJO1366"), {OXYGEN: (-oxygen, 1000.0)})
    domain = Domain({GLUCOSE: (0.0, 10.5), XYLOSE: (0.0, 6.0)})
    results = {}
    for name, cell in {"atlas": Atlas(network, domain), "program": FluxProgram(network, domain.inputs)}.items():
        glucose, xylose = until_gone(cell, "glucose"), until_gone(cell, "xylose")
        results[name] = {
            "glucose": float(glucose.time[-1]),
            "xylose": float(xylose.time[-1]),
            "biomass": glucose.final("biomass"),
            "ethanol": glucose.final("ethanol"),
        }
    return results


def main() -> dict[str, dict[str, dict[str, float]]]:
    """Both batches, and what must hold."""
    every = {"with oxygen": times(AERATED), "without oxygen": times(0.0)}
    for name, results in every.items():
        for cell, row in results.items():
            print(
                f"{name}, {cell}: glucose gone at {row['glucose']:.3f} h with {row['biomass']:.3f} g/L of biomass and "
                f"{row['ethanol']:.2f} g/L of ethanol, xylose at {row['xylose']:.3f} h"
            )
        for sugar in ("glucose", "xylose"):
            assert abs(results["atlas"][sugar] - results["program"][sugar]) < 1.0e-3
        assert results["atlas"]["glucose"] < results["atlas"]["xylose"]
    aerobic, anaerobic = every["with oxygen"]["atlas"], every["without oxygen"]["atlas"]
    assert aerobic["glucose"] < anaerobic["glucose"]
    assert aerobic["biomass"] > 2.0 * anaerobic["biomass"]
    assert anaerobic["ethanol"] > 1.0
    return every


if __name__ == "__main__":
    main()

"""Labels a second: the compiled label program and the atlas against a loop of cobra's pFBA, on iJO1366, in one run.

Prints a table and writes benchmarks/results/labels.json. The three are timed in turns on the same points, so that a
machine whose speed drifts slows all of them.
"""

import json
import time
from pathlib import Path

import cobra.data
import numpy as np
from cobra.flux_analysis import pfba as cobra_pfba
from cobra.io import read_sbml_model

from mmopt import Atlas, Domain, LabelProgram, read_network
from mmopt.metabolism.sampling import sample

DOMAIN = Domain({"EX_glc__D_e": (0.5, 12.0), "EX_o2_e": (2.0, 16.0), "EX_ac_e": (0.0, 4.0)})
LABELS, ROUNDS, COBRA_LABELS = 2000, 4, 5


def main() -> None:
    network = read_network("iJO1366")
    raw = read_sbml_model(str(Path(cobra.data.__file__).parent / "iJO1366.xml.gz"))
    points = sample(network, DOMAIN, LABELS, seed=1).inputs
    program, atlas = LabelProgram(network, DOMAIN.inputs), Atlas(network, DOMAIN.inputs)
    cell = atlas.answers(["growth", *DOMAIN.inputs])
    [cell(dict(zip(DOMAIN.inputs, point, strict=True))) for point in points]
    rates: dict[str, list[float]] = {"cobra pfba() loop": [], "label program": [], "atlas, regions known": []}
    worst = 0.0
    for part in np.array_split(np.arange(LABELS), ROUNDS):
        started = time.perf_counter()
        growths = [program.solve(points[k]).growth for k in part]
        rates["label program"].append(len(part) / (time.perf_counter() - started))
        started = time.perf_counter()
        [cell(dict(zip(DOMAIN.inputs, points[k], strict=True))) for k in part]
        rates["atlas, regions known"].append(len(part) / (time.perf_counter() - started))
        started = time.perf_counter()
        for number, k in enumerate(part[:: len(part) // COBRA_LABELS][:COBRA_LABELS]):
            with raw:
                for exchange, limit in zip(DOMAIN.inputs, points[k], strict=True):
                    raw.reactions.get_by_id(exchange).lower_bound = -limit
                found = cobra_pfba(raw).fluxes[network.biomass]
            worst = max(worst, abs(found - growths[number * (len(part) // COBRA_LABELS)]))
        rates["cobra pfba() loop"].append(COBRA_LABELS / (time.perf_counter() - started))
    base = float(np.median(rates["cobra pfba() loop"]))
    rows = {
        name: {"per_second": float(np.median(each)), "ratio": float(np.median(each)) / base}
        for name, each in rates.items()
    }
    print(f"{'labels of iJO1366':<24}{'a second':>12}{'ratio':>10}")
    for name, row in rows.items():
        print(f"{name:<24}{row['per_second']:>12.1f}{row['ratio']:>10.0f}")
    print(f"largest difference in growth to cobra: {worst:.1e} 1/h; {atlas.regions} regions")
    target = Path(__file__).parent / "results" / "labels.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        json.dumps({"rows": rows, "worst_growth_difference": worst, "regions": atlas.regions}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()

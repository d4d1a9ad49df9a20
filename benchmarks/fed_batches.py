"""A fed-batch of a day with the cell in three forms beside COBRApy's tutorial, a thousand scenarios, and what balances.

    python benchmarks/fed_batches.py [day] [scenarios] [balances]

*day*: 24 h of *E. coli* (iJO1366) simulated with the surrogate, the atlas, and the linear program kept warm in the loop; beside
it the derivative of COBRApy's tutorial on dynamic flux balance analysis (lexicographic optima, a program built anew for every
time) for the first minutes with its tolerances, its seconds per evaluation multiplied by the evaluations of the whole day.
*scenarios*: 1,000 feeds in two processes, and on a local Dask cluster.
*balances*: carbon, nitrogen, oxygen and volume of batch, fed-batch, chemostat and perfusion, starvation among them. What
goes in and out is integrated along with the states; the elements are those of the formulas of the network.
Results go into ``results/fed_batches.json``.
"""

import argparse
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cobra.io import load_model
from cobra.util import add_lexicographic_constraints, add_lp_feasibility, fix_objective_as_constraint
from dask.distributed import Client, LocalCluster
from scipy.integrate import solve_ivp

from mmopt import (
    Atlas,
    ConstantFeed,
    ExponentialFeed,
    FluxProgram,
    ecoli_fed_batch,
    load_surrogate,
    read_network,
    simulate,
)
from mmopt.reactor import Integral, Quantity, StepFeed, System, batch, chemostat, perfusion
from mmopt.simulation import simulate_many

TARGET = Path(__file__).parent / "results" / "fed_batches.json"
START = {"volume": 2.0, "biomass": 0.5, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
DAY = 24.0
FEED = ExponentialFeed(0.003, 0.1)
TUTORIAL_HOURS = 0.02
SCENARIOS, MOVES = 1000, 24


def seconds_of_a_day(metabolism: Any) -> dict[str, float]:
    """A first simulation, which compiles or adds critical regions, and a second."""
    row: dict[str, float] = {}
    for which in ("first", "later"):
        begun = time.perf_counter()
        run = simulate(ecoli_fed_batch(), START, {"feed": FEED}, DAY, metabolism)
        row[which] = time.perf_counter() - begun
    return {**row, "biomass": run.final("biomass"), "evaluations": float(run.stats["derivative_calls"])}


def tutorial(evaluations: float) -> dict[str, float]:
    """Seconds of COBRApy's tutorial loop: per evaluation for the first minutes, times the evaluations of the day."""
    network, reactor = load_model("iJO1366"), ecoli_fed_batch()
    biomass = "BIOMASS_Ec_iJO1366_core_53p95M"
    names = [state.name for state in reactor.states]

    def cell(limits: Mapping[str, float]) -> dict[str, float]:
        with network:
            for name, limit in limits.items():
                network.reactions.get_by_id(name).lower_bound = -max(0.0, limit)
            add_lp_feasibility(network)
            fix_objective_as_constraint(network)
            order = [biomass, *limits]
            values = add_lexicographic_constraints(network, order, ["max"] * len(order))
        return {"growth": values[biomass], "shortfall": 0.0, **{name: values[name] for name in limits}}

    def derivative(hours: float, values: np.ndarray) -> list[float]:
        change = reactor.derivative(
            dict(zip(names, values.tolist(), strict=True)), {"feed": FEED(hours)}, reactor.defaults, cell
        )
        return [float(change[name]) for name in names]

    begun = time.perf_counter()
    run = solve_ivp(derivative, (0.0, TUTORIAL_HOURS), list(START.values()), method="BDF", rtol=1.0e-6, atol=1.0e-8)
    per_evaluation = (time.perf_counter() - begun) / run.nfev
    return {"per_evaluation": per_evaluation, "later": per_evaluation * evaluations}


def day() -> dict[str, Any]:
    """The table of a day."""
    surrogate, network = load_surrogate("ecoli_ijo1366"), read_network("iJO1366")
    cells = {
        "surrogate": surrogate,
        "atlas": Atlas(network, surrogate.domain),
        "program": FluxProgram(network, surrogate.inputs),
    }
    rows: dict[str, Any] = {name: seconds_of_a_day(cell) for name, cell in cells.items()}
    rows["COBRApy's tutorial"] = tutorial(rows["program"]["evaluations"])
    for name, row in rows.items():
        row["beside the program"] = rows["program"]["later"] / row["later"]
        row["beside the tutorial"] = rows["COBRApy's tutorial"]["later"] / row["later"]
        print(f"{name:20} {row['later']:9.3f} s  {row['beside the program']:8.1f}  {row['beside the tutorial']:10.0f}")
    return rows


def scenarios() -> dict[str, Any]:
    """A thousand random feeds, in processes and on a cluster."""
    surrogate, random = load_surrogate("ecoli_ijo1366"), np.random.default_rng(0)
    edges = tuple(np.linspace(0.0, 12.0, MOVES + 1).tolist())
    feeds = [{"feed": StepFeed(edges, tuple(random.uniform(0.0, 0.05, MOVES).tolist()))} for _ in range(SCENARIOS)]
    row: dict[str, Any] = {}
    begun = time.perf_counter()
    here = simulate_many(ecoli_fed_batch(), START, feeds, 12.0, surrogate, workers=2)
    row["processes"] = time.perf_counter() - begun
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        begun = time.perf_counter()
        there = simulate_many(
            ecoli_fed_batch(), START, feeds, 12.0, surrogate, workers=2, scheduler=cluster.scheduler_address
        )
        row["Dask"] = time.perf_counter() - begun
    row["largest difference"] = max(
        float(np.abs(one[name] - other[name]).max())
        for one, other in zip(here, there, strict=True)
        for name in ("biomass", "glucose", "acetate", "oxygen")
    )
    seconds = f"{row['processes']:.1f} s in processes, {row['Dask']:.1f} s on Dask"
    print(f"{SCENARIOS} scenarios: {seconds}, difference {row['largest difference']:.1e}")
    return row


def atoms(formula: str, element: str) -> float:
    """Atoms of an element in a formula."""
    return sum(float(count or 1.0) for name, count in re.findall(r"([A-Z][a-z]?)([0-9.]*)", formula) if name == element)


def balances() -> dict[str, Any]:
    """Difference of what goes in and what is there, relative to what is there."""
    network, shipped = load_model("iJO1366"), load_surrogate("ecoli_ijo1366")
    exchanges = {one.id: next(iter(one.metabolites)).formula for one in network.exchanges}
    atlas = Atlas(read_network("iJO1366"), shipped.domain)
    reactor = ecoli_fed_batch()
    modes: dict[str, tuple[System, dict[str, Any]]] = {
        "batch": (batch(reactor), {}),
        "fed-batch": (reactor, {"feed": FEED}),
        "fed-batch that starves": (reactor, {"feed": StepFeed((0.0, 3.0, 8.0, 12.0), (0.01, 0.0, 0.02))}),
        "chemostat": (chemostat(reactor), {"feed": ConstantFeed(0.2)}),
        "perfusion": (perfusion(reactor, 0.95), {"feed": ConstantFeed(0.2), "bleed": ConstantFeed(0.05)}),
    }
    results = {}
    for name, (system, controls) in modes.items():
        results[name] = {
            element: _imbalance(system, controls, atlas, exchanges, element) for element in ("C", "N", "O")
        }
        results[name]["species"] = _species_imbalance(system, controls, atlas)
        print(f"{name:24}", "  ".join(f"{kind} {value:.1e}" for kind, value in results[name].items()))
    return results


def _imbalance(system: Any, controls: dict[str, Any], cell: Any, exchanges: dict[str, str], element: str) -> float:
    """Atoms that the exchanges bring into the cells, less those of the biomass that grows, per atom taken up.

    The exchanges include all of the network: the biomass reaction drains what its formula says.
    """
    run = simulate(system, START, controls, 12.0, cell)
    fluxes = run.fluxes(cell)
    ids = [
        name for name in fluxes.coords["reaction"].values if name in exchanges and atoms(exchanges[name] or "", element)
    ]
    net = sum(atoms(exchanges[name], element) * fluxes.sel(reaction=name).values for name in ids)
    taken = sum(atoms(exchanges[name], element) * np.maximum(0.0, -fluxes.sel(reaction=name).values) for name in ids)
    growth = run["growth"]
    grown = growth > 1.0e-3
    in_biomass = -(net[grown] / growth[grown])
    steady = float(np.ptp(in_biomass) / np.abs(in_biomass).max()) if grown.any() else 0.0
    starving = float(np.abs(net[~grown]).max() / max(1.0e-9, taken.max())) if (~grown).any() else 0.0
    return max(steady, starving if not grown.all() and (growth[~grown] < 1.0e-9).all() else 0.0)


def _species_imbalance(system: Any, controls: dict[str, Any], cell: Any) -> float:
    """What the states gain, less what the derivative adds up to: d(VC)/dt integrated along with the states."""
    watched: Any = system
    for name in ("biomass", "glucose", "acetate", "oxygen"):
        watched = Integral(watched, Quantity(f"{name}_in_all", "g", 10.0), _amount_rate(system, name))
    start = {**START, **{f"{name}_in_all": 0.0 for name in ("biomass", "glucose", "acetate", "oxygen")}}
    run = simulate(watched, start, controls, 12.0, cell, tolerance=1.0e-9)
    worst = 0.0
    for name in ("biomass", "glucose", "acetate", "oxygen"):
        amount = run["volume"] * run[name]
        worst = max(worst, float(np.abs(amount - amount[0] - run[f"{name}_in_all"]).max() / np.abs(amount).max()))
    return worst


def _amount_rate(system: Any, name: str) -> Any:
    """What flows in and out, reacts and is transferred [g/h or mmol/h], written out for the modes of this benchmark."""
    species = {one.name: one for one in system.species}
    retention = next(
        (component.retention for component in system.components if type(component).__name__ == "Overflow"), None
    )

    def rate(now: Mapping[str, Any]) -> Any:
        feed, bleed = now.get("feed", 0.0), now.get("bleed", 0.0)
        overflow = 0.0 if retention is None else feed - bleed
        volume, biomass = now["volume"], now["biomass"]
        kept = (retention or 0.0) if name == "biomass" else 0.0
        out = (bleed + (1.0 - kept) * overflow) * now[name]
        if name == "biomass":
            return now["growth"] * biomass * volume - out
        one = species[name]
        reacted = now[one.exchange] * biomass * volume * (one.molar_mass / 1000.0 if one.molar_mass else 1.0)
        transfer = now["kla"] * (now["saturation"] - now[name]) * volume if name == "oxygen" else 0.0
        return feed * now.get(f"{name}_fed", 0.0) + reacted + transfer - out

    return rate


PARTS = {"day": day, "scenarios": scenarios, "balances": balances}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("which", nargs="*", default=list(PARTS))
    results = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    for which in parser.parse_args().which:
        results[which] = PARTS[which]()
        TARGET.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

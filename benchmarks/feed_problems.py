"""Fed-batches of ten kinds on several networks with random data, beside simple feeds.

    python benchmarks/feed_problems.py [kind ...] [--count N] [--networks NAME ...] [--accept]

Kinds: see ``KINDS``; all by default. Every problem that one of twelve simple feeds shows to be feasible has to be solved, and
no plan may be worse than the best of these feeds. The results are written to ``results/feed_problems.json``, the baseline of
the next run: what was solved has to be solved again. Seconds, of which the table has the 95th percentile, are those of one
process: to the first optimum, and of the whole call, with the solves that keep limits between collocation points.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import yeast

from mmopt import (
    Control,
    ExponentialFeed,
    Horizon,
    InfeasibleError,
    MmoptError,
    OptimiseOptions,
    Problem,
    StepFeed,
    ecoli_fed_batch,
    load_surrogate,
    optimise,
)
from mmopt.problem import productivity, violated_limits, worth
from mmopt.problem.simulator import Simulator
from mmopt.reactor import Feed, Profile, StirredTank

TARGET = Path(__file__).parent / "results" / "feed_problems.json"
COUNT, ELEMENTS, POINTS = 20, 20, 500
LOST = 0.01
"""Fraction of the baseline's objective that counts as lost."""

Data = np.random.Generator


@dataclass(frozen=True)
class Organism:
    """A reactor with what returns its surrogate, and the name of the overflow product."""

    reactor: Any
    surrogate: Callable[[], Any]
    product: str


@cache
def shipped(name: str) -> Any:
    """A surrogate that ships, by name."""
    return load_surrogate(name)


ORGANISMS = {
    "textbook": Organism(ecoli_fed_batch(), partial(shipped, "ecoli_textbook"), "acetate"),
    "iJO1366": Organism(ecoli_fed_batch(), partial(shipped, "ecoli_ijo1366"), "acetate"),
    "iMM904": Organism(yeast.fed_batch(), yeast.law, "ethanol"),
}


def base(organism: Organism, data: Data, highest_glucose: float = 8.0) -> Problem:
    """A fed-batch with random data, limited by the volume alone."""
    start = {
        "volume": data.uniform(1.5, 2.5),
        "biomass": float(np.exp(data.uniform(np.log(0.1), np.log(3.0)))),
        "glucose": data.uniform(0.0, highest_glucose),
        organism.product: data.uniform(0.0, 0.5),
        "oxygen": 0.2,
    }
    return Problem(
        organism.reactor,
        start,
        Horizon(data.uniform(4.0, 20.0), ELEMENTS),
        {"feed": Control(0.0, data.uniform(0.02, 0.2))},
        {"volume": (None, start["volume"] + data.uniform(0.1, 1.5))},
        parameters={"kla": data.uniform(100.0, 500.0)},
    )


def limited(problem: Problem, name: str, low: float | None, high: float | None) -> Problem:
    """The same with one more limit."""
    return replace(problem, limits={**problem.limits, name: (low, high)})


def no_oxygen_limit(organism: Organism, data: Data) -> Problem:
    """Only the volume is limited."""
    return base(organism, data)


def product_alone(organism: Organism, data: Data) -> Problem:
    """The overflow product is limited, oxygen is not."""
    return limited(base(organism, data), organism.product, None, data.uniform(0.5, 5.0))


def growth_rate(organism: Organism, data: Data) -> Problem:
    """The growth rate is limited, and dissolved oxygen."""
    problem = limited(base(organism, data, 0.03), "growth", None, data.uniform(0.15, 0.7))
    return limited(problem, "oxygen_saturation", data.uniform(5.0, 30.0), None)


def oxygen_uptake(organism: Organism, data: Data) -> Problem:
    """The oxygen uptake rate is limited, and the overflow product."""
    problem = limited(base(organism, data), "oxygen_uptake", None, data.uniform(15.0, 80.0))
    return limited(problem, organism.product, None, data.uniform(1.0, 5.0))


def heat(organism: Organism, data: Data) -> Problem:
    """The heat is limited by the cooling, and dissolved oxygen."""
    problem = limited(base(organism, data), "heat", None, data.uniform(7.0, 40.0))
    return limited(problem, "oxygen_saturation", data.uniform(5.0, 30.0), None)


def free_length(organism: Organism, data: Data) -> Problem:
    """The productivity over a free length, with limits on dissolved oxygen and the overflow product."""
    problem = limited(base(organism, data), "oxygen_saturation", data.uniform(5.0, 30.0), None)
    problem = limited(problem, organism.product, None, data.uniform(1.0, 4.0))
    return replace(
        problem,
        horizon=Horizon((3.0, problem.horizon.length), ELEMENTS),
        maximise=productivity("biomass_amount", "g/h", 1.0),
    )


def moves(organism: Organism, data: Data) -> Problem:
    """A slow pump, or a feed in two windows only; limits on dissolved oxygen and the overflow product."""
    problem = limited(base(organism, data), "oxygen_saturation", data.uniform(5.0, 30.0), None)
    problem = limited(problem, organism.product, None, data.uniform(1.0, 4.0))
    high, length = problem.controls["feed"].high, problem.horizon.length
    if data.uniform() < 0.5:
        feed = Control(0.0, high, shape="lines", rate_limit=high * data.uniform(0.05, 0.5))
    else:
        pause = data.uniform(0.3, 0.6) * length
        feed = Control(0.0, high, windows=((0.0, pause), (pause + 0.15 * length, length)))
    return replace(problem, controls={"feed": feed})


def money(organism: Organism, data: Data) -> Problem:
    """The worth of biomass less that of the feed in EUR, with limits on dissolved oxygen and the overflow product."""
    problem = limited(base(organism, data), "oxygen_saturation", data.uniform(5.0, 30.0), None)
    problem = limited(problem, organism.product, None, data.uniform(1.0, 4.0))
    return replace(problem, maximise=worth({"biomass_amount": 2.0, "volume": -data.uniform(5.0, 100.0)}, "EUR", 50.0))


def several_feeds(organism: Organism, data: Data) -> Problem:
    """A feed of glucose, and one of the overflow product; limits on dissolved oxygen and the overflow product."""
    problem = limited(base(organism, data), "oxygen_saturation", data.uniform(5.0, 30.0), None)
    problem = limited(problem, organism.product, None, data.uniform(1.0, 4.0))
    lean = tuple(replace(one, fed=0.0) for one in organism.reactor.species)
    feeds = (Feed("feed", {"glucose": 500.0}), Feed("second", {organism.product: data.uniform(50.0, 300.0)}))
    return replace(
        problem,
        system=replace(organism.reactor, species=lean, feeds=feeds),
        controls={**problem.controls, "second": Control(0.0, data.uniform(0.01, 0.1))},
    )


def aeration(organism: Organism, data: Data) -> Problem:
    """The stirrer is a control beside the feed, each with lines or steps, a slow motor or pump, or windows."""
    problem = limited(base(organism, data), "oxygen_saturation", data.uniform(5.0, 30.0), None)
    problem = limited(problem, organism.product, None, data.uniform(1.0, 4.0))
    tank = StirredTank(0.08, 0.18, coalescing=bool(data.uniform() < 0.5))
    air = replace(organism.reactor.aeration, kla=None)
    high, length = problem.controls["feed"].high, problem.horizon.length
    shapes = {"feed": (0.0, high), "stirrer_speed": (300.0, data.uniform(600.0, 1000.0))}
    controls = {"gas_flow": Control(3.0, 3.0)}
    for name, (low, top) in shapes.items():
        shape = str(data.choice(["steps", "lines"]))
        rate = (top - low) * data.uniform(0.1, 1.0) if data.uniform() < 0.5 else None
        free = shape == "steps" and rate is None and data.uniform() < 0.5
        windows = ((0.0, 0.5 * length), (0.6 * length, length)) if free else None
        controls[name] = Control(low, top, shape=shape, rate_limit=rate, windows=windows)
    return replace(
        problem, system=replace(organism.reactor, aeration=air, components=(tank,)), controls=controls, parameters={}
    )


KINDS: dict[str, Callable[[Organism, Data], Problem]] = {
    "no oxygen limit": no_oxygen_limit,
    "product alone": product_alone,
    "growth rate": growth_rate,
    "oxygen uptake": oxygen_uptake,
    "heat": heat,
    "free length": free_length,
    "moves": moves,
    "money": money,
    "several feeds": several_feeds,
    "aeration": aeration,
}


def simple_feeds(problem: Problem) -> Iterator[Profile]:
    """Twelve feeds that the control allows: constant, and exponential up to the highest; none outside the windows."""
    control, horizon = problem.controls["feed"], problem.horizon
    length = horizon.length[1] if isinstance(horizon.length, tuple) else horizon.length
    edges = np.linspace(0.0, length, ELEMENTS + 1)
    free = control.is_free(edges)
    for fraction in (0.0, 0.01, 0.03, 0.1, 0.3, 1.0):
        yield StepFeed(tuple(edges.tolist()), tuple(np.where(free, fraction * control.high, 0.0).tolist()))
    for fraction in (0.01, 0.05):
        for growth in (0.1, 0.2, 0.3):
            exponential = ExponentialFeed(fraction * control.high, growth)
            middles = (edges[:-1] + edges[1:]) / 2.0
            rates = np.minimum(np.array([exponential(time) for time in middles]), control.high)
            if control.rate_limit is None or np.abs(np.diff(rates) / np.diff(middles)).max() <= control.rate_limit:
                yield StepFeed(tuple(edges.tolist()), tuple(np.where(free, rates, 0.0).tolist()))


def allowed(problem: Problem, control: Control, value: float) -> Profile:
    """A constant value inside the windows of a control, its lowest outside of them."""
    horizon = problem.horizon
    length = horizon.length[1] if isinstance(horizon.length, tuple) else horizon.length
    edges = np.linspace(0.0, length, ELEMENTS + 1)
    return StepFeed(tuple(edges.tolist()), tuple(np.where(control.is_free(edges), value, control.low).tolist()))


def best_simple(problem: Problem, surrogate: Any) -> float | None:
    """The best objective of the simple feeds that keep all limits in a simulation."""
    horizon = problem.horizon
    length = horizon.length[1] if isinstance(horizon.length, tuple) else horizon.length
    fixed = replace(problem, horizon=replace(horizon, length=length))
    simulator, best = Simulator(fixed, surrogate), None
    for feed in simple_feeds(problem):
        others = {
            name: allowed(problem, control, control.high if name == "stirrer_speed" else control.low)
            for name, control in problem.controls.items()
            if name != "feed"
        }
        simulated = simulator.run({"feed": feed, **others}, points=POINTS)
        if not violated_limits(simulated, problem.limits, problem.final):
            objective = fixed.objective_value(simulated)
            best = objective if best is None else max(best, objective)
    return best


def solved(problem: Problem, surrogate: Any) -> dict[str, Any]:
    """One problem: the plan, and the best simple feed."""
    begun = time.perf_counter()
    tightened: list[float] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "constraint back-off":
            tightened.append(time.perf_counter())

    try:
        plan = optimise(problem, surrogate, options=OptimiseOptions(progress=progress))
    except MmoptError as error:
        row: dict[str, Any] = {"infeasible": isinstance(error, InfeasibleError), "error": str(error)[:200]}
    else:
        row = {
            "objective": plan.integration.objective,
            "status": plan.status.name,
            "iterations": plan.record.iterations,
            "remedies": list(plan.record.remedies),
            "violations": {name: round(worst, 4) for name, worst in plan.integration.violations.items()},
        }
    ended = time.perf_counter()
    row["seconds"] = round(ended - begun, 2)
    row["first_seconds"] = round((tightened[0] if tightened else ended) - begun, 2)
    row["back_off_rounds"] = len(tightened)
    row["simple"] = best_simple(problem, surrogate)
    return row


def family(kind: str, organism: Organism, count: int) -> dict[str, dict[str, Any]]:
    """All problems of a kind on a network."""
    rows = {}
    for number in range(count):
        data = np.random.default_rng([list(KINDS).index(kind), number])
        rows[str(number)] = solved(KINDS[kind](organism, data), organism.surrogate())
    return rows


def summary(rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What matters of one family."""
    plans = [row for row in rows.values() if "objective" in row]
    feasible = [row for row in rows.values() if row["simple"] is not None]
    lost = [row for row in feasible if "objective" not in row]
    gains = [
        (row["objective"] - row["simple"]) / max(abs(row["simple"]), 1e-9) for row in plans if row["simple"] is not None
    ]
    return {
        "problems": len(rows),
        "feasible": len(feasible),
        "solved": len(plans),
        "lost": len(lost),
        "unsolved": sum("objective" not in row and not row["infeasible"] for row in rows.values()),
        "least_gain": min(gains, default=None),
        "as_simulated": sum(row["status"] != "OPTIMAL" for row in plans),
        "iterations": float(np.median([row["iterations"] for row in plans])) if plans else None,
        "first_seconds_p95": float(np.percentile([row["first_seconds"] for row in rows.values()], 95)),
        "seconds_p95": float(np.percentile([row["seconds"] for row in rows.values()], 95)),
        "violated_over_5_percent": sum(max(row["violations"].values(), default=0.0) > 0.05 for row in plans),
    }


def against_baseline(rows: dict[str, Any], before: dict[str, Any], name: str) -> list[str]:
    """What was solved before and is not now, or is to something worse."""
    lines = []
    for number, old in before.items():
        if "objective" not in old or number not in rows:
            continue
        now = rows[number].get("objective")
        if now is None:
            lines.append(f"{name} {number} was solved before: {rows[number]['error']}")
        elif now < old["objective"] - LOST * abs(old["objective"]):
            lines.append(f"{name} {number} reached {old['objective']:.4g} before, {now:.4g} now")
    return lines


def line(name: str, sums: dict[str, Any]) -> str:
    """A row of the table."""
    gain = "" if sums["least_gain"] is None else f"{100.0 * sums['least_gain']:.2f} %"
    counts = f"{sums['feasible']:5} {sums['solved']:6} {sums['lost']:4}"
    effort = f"{sums['iterations'] or 0:6.0f} {sums['first_seconds_p95']:7.1f} {sums['seconds_p95']:6.1f}"
    return f"{name:28} {counts} {gain:>8} {effort} {sums['violated_over_5_percent']:5}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--networks", nargs="*", default=list(ORGANISMS))
    parser.add_argument("--accept", action="store_true")
    given = parser.parse_args()
    results = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    lost, everything = [], {}
    print(
        f"{'problems':28} {'feas.':>5} {'solved':>6} {'lost':>4} {'gain':>8} {'iter.':>6} {'first s':>7}"
        f" {'all s':>6} {'> 5 %':>5}"
    )
    for network in given.networks:
        for kind in given.kinds:
            name = f"{network}, {kind}"
            rows = family(kind, ORGANISMS[network], given.count)
            everything.update({f"{name} {number}": row for number, row in rows.items()})
            row_sums = summary(rows)
            print(line(name, row_sums), flush=True)
            against = against_baseline(rows, results.get(name, {}).get("rows", {}), name)
            lost += against
            if given.accept or not against:
                results[name] = {**row_sums, "rows": rows}
                TARGET.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(summary(everything), indent=1))
    for text in lost:
        print("LOST:", text)
    return 1 if lost and not given.accept else 0


if __name__ == "__main__":
    sys.exit(main())

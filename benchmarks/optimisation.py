"""Optimisation measured: published optima, random problems, formulations, warm re-solves, wishes that cannot be met.

    python benchmarks/optimisation.py [part ...]

Parts: published, analytic, random, starts, speed, lengths, mesh, wishes, scenarios; all by default. Results are joined into
``results/optimisation.json``. Ratios come from one run; seconds are those of the machine. ``random`` is compared with the
baseline in that file: what was solved before has to be solved again. If it is not, the baseline stays, and the exit code is 1;
``--accept`` makes what is found now the baseline.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from pyomo.repn.plugins.nl_writer import NLWriter

sys.path.insert(0, str(Path(__file__).parents[1]))

from mmopt import (
    ConstantFeed,
    Control,
    Horizon,
    InfeasibleError,
    MmoptError,
    Problem,
    SolverError,
    ecoli_fed_batch,
    load_surrogate,
    optimise,
)
from mmopt.optimisation import optimise_scenarios
from mmopt.problem import violated_limits
from mmopt.problem.simulator import Simulator
from mmopt.search import OptimiseOptions
from mmopt.search.initial_guess import SHAPES, feasible_guess
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.study import read_study
from mmopt.transcription import CompiledProblem, transcribe
from tests.published import ethanol, fastest, penicillin, secreting

ROOT = Path(__file__).parent.parent
STUDY = ROOT / "case_studies" / "ecoli_fedbatch" / "study.yaml"
TARGET = Path(__file__).parent / "results" / "optimisation.json"
RANDOM, SEED = 200, 0
FEEDS = 40
"""Starts at random; those of a shape come before them."""
REFUTING = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Constant feeds, in parts of the highest; if one of them keeps the limits in a simulation, a problem is feasible after all."""
BEST = {"secreting": 32.71, "penicillin": 88.04, "ethanol": 20_835.0}


def published() -> dict[str, Any]:
    """Three published problems, scored by integration, from the default start and others; nothing tuned by hand."""
    rows = {}
    for name, make in {"secreting": secreting, "penicillin": penicillin, "ethanol": ethanol}.items():
        begun = time.perf_counter()
        plan = optimise(make(100), options=OptimiseOptions(guesses=8))
        rows[name] = {
            "wanted": BEST[name],
            "resimulated": plan.integration.objective,
            "collocation": plan.objective,
            "gap": plan.integration.gap,
            "broken": dict(plan.integration.violations),
            "seconds": round(time.perf_counter() - begun, 1),
            "starts": [guess.objective for guess in plan.record.guesses],
            "chosen": asdict(plan.choices),
        }
    return rows


def analytic() -> dict[str, Any]:
    """Bang, singular arc, bang: the least time by collocation and by quadrature."""
    rows = {}
    for elements in (30, 60, 100):
        problem, exact = fastest(elements)
        found = optimise(problem).choices.length
        rows[str(elements)] = {"exact": exact, "found": found, "off": found / exact - 1.0}
    return rows


def random_problems(count: int) -> Iterator[Problem]:
    """Fed-batches of random starts, limits, feeds, lengths and oxygen transfer."""
    random = np.random.default_rng(SEED)
    for _ in range(count):
        start = {
            "volume": random.uniform(1.5, 2.5),
            "biomass": float(np.exp(random.uniform(np.log(0.1), np.log(3.0)))),
            "glucose": random.uniform(0.0, 8.0),
            "acetate": random.uniform(0.0, 1.0),
            "oxygen": 0.2,
        }
        limits = {
            "oxygen_saturation": (random.uniform(5.0, 40.0), None),
            "acetate": (None, random.uniform(0.5, 4.0)),
            "volume": (None, start["volume"] + random.uniform(0.1, 1.5)),
        }
        horizon = Horizon(random.uniform(4.0, 20.0), 20)
        feed = {"feed": (0.0, random.uniform(0.02, 0.2))}
        yield Problem(ecoli_fed_batch(), start, horizon, feed, limits, parameters={"kla": random.uniform(100.0, 500.0)})


def random() -> dict[str, Any]:
    """How many random problems are solved, how many are shown to be infeasible and why, how many neither."""
    surrogate = load_surrogate("ecoli_ijo1366")
    solved: dict[str, Any] = {}
    infeasible: dict[str, str] = {}
    refuted: list[str] = []
    neither: dict[str, str] = {}
    for number, problem in enumerate(random_problems(RANDOM)):
        try:
            plan = optimise(problem, surrogate)
            solved[str(number)] = [plan.record.iterations, plan.objective, plan.record.solves]
        except InfeasibleError as error:
            infeasible[str(number)] = str(error)
            if any(_kept_by(problem, surrogate, part) for part in REFUTING):
                refuted.append(str(number))
        except SolverError as error:
            neither[str(number)] = str(error)
    iterations = [each[0] for each in solved.values()]
    return {
        "solved": solved,
        "infeasible": infeasible,
        "refuted": refuted,
        "neither": neither,
        "part_solved": len(solved) / (len(solved) + len(neither) + len(refuted)),
        "iterations": {"median": float(np.median(iterations)), "nine of ten": float(np.percentile(iterations, 90))},
    }


def _kept_by(problem: Problem, surrogate: Any, part: float) -> bool:
    """Whether a simulation of a constant feed, a part of the highest, keeps all limits of a problem."""
    feed = {name: ConstantFeed(part * control.high) for name, control in problem.controls.items()}
    made = Simulator(problem, surrogate).run(feed, points=500)
    return max(violated_limits(made, problem.limits, problem.final).values(), default=0.0) <= 0.0


def starts() -> dict[str, Any]:
    """How many of forty feeds at random lead to the best optimum of the case study."""
    plan = optimise(
        read_study(STUDY).problem,
        load_surrogate("ecoli_ijo1366"),
        options=OptimiseOptions(guesses=len(SHAPES) + FEEDS, seed=SEED),
    )
    reached = np.array([guess.objective for guess in plan.record.guesses[len(SHAPES) :]], dtype=float)
    best = float(plan.objective)
    within = {f"within {part:.2%}": int(np.sum(reached >= (1.0 - part) * best)) for part in (1.0e-4, 2.0e-3)}
    return {
        "starts": FEEDS,
        "best": best,
        "failed": int(np.isnan(reached).sum()),
        "worst": float(np.nanmin(reached)),
        **within,
    }


def speed() -> dict[str, Any]:
    """20 elements of 3 points: the first solve with all it takes, and re-solves for another start."""
    surrogate = load_surrogate("ecoli_ijo1366")
    case = read_study(STUDY).problem
    problem = replace(case, horizon=Horizon(case.horizon.hours, 20))
    changed = [{**problem.start_values, "biomass": 0.25 * (1.0 + 0.02 * step)} for step in range(1, 6)]
    rows: dict[str, Any] = {}
    for formulation in ("grey_box", "reduced_space", "mixed", "full_space"):
        begun = time.perf_counter()
        compiled = CompiledProblem(problem, surrogate, formulation=formulation)
        built = time.perf_counter()
        compiled.start(feasible_guess(compiled.simulator).trajectory)
        ready = time.perf_counter()
        first = compiled.solve()
        done = time.perf_counter()
        warm = []
        for start in changed:
            before = time.perf_counter()
            compiled.change(initial=start)
            solve = compiled.solve(warm=True)
            warm.append((time.perf_counter() - before, solve.iterations, solve.status.solved))
        rows[formulation] = {
            "build": built - begun,
            "start": ready - built,
            "first": done - begun,
            "iterations": first.iterations,
            "objective": first.objective,
            "warm": float(np.median([each[0] for each in warm])),
            "warm_iterations": [each[1] for each in warm],
            "warm_solved": all(each[2] for each in warm),
            "variables": compiled.program.size[0],
        }
    rows["write, solve, load"] = {"warm": _written_anew(problem, surrogate, changed)}
    fast = rows["grey_box"]
    rows["ratios"] = {
        "first to warm": fast["first"] / fast["warm"],
        "written anew to warm": rows["write, solve, load"]["warm"] / fast["warm"],
    }
    return rows


def _written_anew(problem: Problem, surrogate: Any, changed: list[dict[str, float]]) -> float:
    """Median seconds of a re-solve that writes the problem anew, as Pyomo's solver interfaces do, and starts cold.

    Neither reading the file nor deriving is counted, at which an executable may be faster than CasADi.
    """
    program = transcribe(problem, surrogate)
    program.start_from(feasible_guess(Simulator(problem, surrogate)).trajectory)
    held = NonlinearProgram(program.pyomo)
    held.solve()
    seconds = []
    for start in changed:
        begun = time.perf_counter()
        program.set_data(problem, initial=start)
        NLWriter().write(program.pyomo, StringIO())
        held.solve()
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds))


def lengths() -> dict[str, Any]:
    """A free length, and the same length fixed."""
    rows = {}
    for name, make in {"penicillin": penicillin, "ethanol": ethanol}.items():
        compiled = CompiledProblem(make(60))
        compiled.start(feasible_guess(compiled.simulator).trajectory)
        compiled.solve()
        free = compiled.plan()
        compiled.change(length=free.choices.length)
        solve = compiled.solve(warm=True)
        fixed = compiled.plan().trajectory.final("amount")
        rows[name] = {
            "free": free.trajectory.final("amount"),
            "fixed": fixed,
            "off": abs(fixed / free.trajectory.final("amount") - 1.0),
        }
        rows[name]["solved"] = solve.status.solved
    return rows


def mesh() -> dict[str, Any]:
    """Ethanol on a coarse mesh, and made finer until collocation and integration agree to 0.05 %."""
    rows = {}
    for name, tolerance in (("coarse", None), ("finer", 5.0e-4)):
        plan = optimise(ethanol(12), options=OptimiseOptions(mesh_tolerance=tolerance))
        rows[name] = {
            "elements": plan.record.elements,
            "finer": plan.record.refinements,
            "resimulation_gap": plan.integration.gap,
            "optimum": plan.objective,
            "resimulated": plan.integration.objective,
        }
    return rows


def infeasible_limits() -> dict[str, str]:
    """Wishes that cannot be met, and what is said."""
    surrogate = load_surrogate("ecoli_ijo1366")
    case = read_study(STUDY).problem
    impossible = {
        "start above the volume limit": replace(case, limits={**case.limits, "volume": (None, 1.9)}),
        "oxygen that nothing keeps": replace(case, limits={**case.limits, "oxygen_saturation": (95.0, None)}),
        "target out of reach": replace(case, final={"biomass_amount": (200.0, None)}),
        "no feed, and a target": replace(
            case, controls={"feed": Control(0.0, 0.0)}, final={"biomass_amount": (40.0, None)}
        ),
    }
    told = {}
    for name, problem in impossible.items():
        try:
            plan = optimise(problem, surrogate)
            told[name] = f"SOLVED: {plan.objective}"
        except MmoptError as error:
            told[name] = f"{type(error).__name__}: {error}"
    return told


def scenarios() -> dict[str, Any]:
    """One feed for 1, 3, 9 and 27 sets of parameters of the case study, for their mean and for the worst of them."""
    problem, surrogate = read_study(STUDY).problem, load_surrogate("ecoli_ijo1366")
    spreads = {"kla": (1.0, 0.85, 1.15), "glucose_vmax": (1.0, 0.9, 1.1), "acetate_vmax": (1.0, 0.9, 1.1)}
    defaults = problem.system.defaults
    rows: dict[str, Any] = {}
    for count in range(len(spreads) + 1):
        names = list(spreads)[:count]
        factors = product(*(spreads[name] for name in names))
        cases = [{name: factor * defaults[name] for name, factor in zip(names, row, strict=True)} for row in factors]
        for goal in ("mean", "worst"):
            begun = time.perf_counter()
            plans = optimise_scenarios(problem, cases, surrogate, worst=goal == "worst")
            rows[f"{len(cases)}, {goal}"] = {
                "seconds": round(time.perf_counter() - begun, 1),
                "iterations": plans[0].record.iterations,
                "mean": float(np.mean([plan.objective for plan in plans])),
                "worst": min(plan.objective for plan in plans),
                "violation in integration": max(plan.integration.worst_violation for plan in plans),
                "gap": max(plan.integration.gap for plan in plans),
                "remedies": list(plans[0].record.remedies),
            }
            rows[f"{len(cases)}, {goal}"]["ratio to one"] = (
                rows[f"{len(cases)}, {goal}"]["seconds"] / rows["1, mean"]["seconds"]
            )
    return rows


PARTS: dict[str, Callable[[], Any]] = {
    "published": published,
    "analytic": analytic,
    "random": random,
    "starts": starts,
    "speed": speed,
    "lengths": lengths,
    "mesh": mesh,
    "wishes": infeasible_limits,
    "scenarios": scenarios,
}


def against_baseline(found: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Random problems that were solved before and are not now, or are to something worse by more than 1 %."""
    lost = []
    for number, (_, optimum, _) in before.get("solved", {}).items():
        now = found["solved"].get(number)
        if now is None:
            lost.append(f"problem {number} was solved before")
        elif now[1] < 0.99 * optimum:
            lost.append(f"problem {number} reached {optimum:.4g} before, {now[1]:.4g} now")
    return lost


def main() -> int:
    wanted = [name for name in sys.argv[1:] if name in PARTS] or list(PARTS)
    results: dict[str, Any] = {}
    with contextlib.suppress(FileNotFoundError):
        results = json.loads(TARGET.read_text())
    lost: list[str] = []
    for name in wanted:
        begun = time.perf_counter()
        found = PARTS[name]()
        print(f"\n{name} ({time.perf_counter() - begun:.0f} s)")
        show(found)
        if name == "random" and "--accept" not in sys.argv:
            lost = against_baseline(found, results.get("random", {}))
            for line in lost:
                print("LOST:", line)
            if lost:
                continue
        results[name] = found
        TARGET.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if lost else 0


def show(found: dict[str, Any]) -> None:
    for key, value in found.items():
        text = f"{len(value)}" if key in ("solved", "infeasible", "neither") else json.dumps(value)
        print(f"  {key:28} {text[:180]}")


if __name__ == "__main__":
    sys.exit(main())

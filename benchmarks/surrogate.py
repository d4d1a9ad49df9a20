"""The surrogate: its errors, its size, the time of its training, and an optimisation with it, in one run.

Prints tables and writes benchmarks/results/surrogate.json. ``--quick`` trains with one seed alone; ``inputs`` measures seconds,
memory and errors by the number of inputs alone, ``law`` the same of soft laws, ``trainers`` runs the comparison of the trainers
alone; they leave the other results in the file as they are.
"""

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import casadi
import numpy as np
import pyomo.environ as pyo
from pyomo.repn.plugins.nl_writer import NLWriter

from mmopt import (
    Atlas,
    Domain,
    FluxTable,
    Problem,
    Surrogate,
    load_surrogate,
    optimise,
    read_network,
    tabulate_fluxes,
    train,
    train_to_error,
)
from mmopt.errors import MmoptError
from mmopt.exchange import export_keras, export_onnx
from mmopt.study.schema import read_study
from mmopt.surrogate import embed, soft_law
from mmopt.training import worst_case_errors

ROOT = Path(__file__).parent.parent
STUDY = ROOT / "case_studies" / "ecoli_fedbatch" / "study.yaml"
BOX = Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 4.0)})
MATTER = ("EX_glc__D_e", "EX_o2_e", "EX_co2_e", "EX_ac_e", "EX_for_e", "EX_etoh_e", "EX_nh4_e")
READINGS = ["growth", "shortfall", *MATTER]
SEEDS = (0,) if "--quick" in sys.argv else (0, 1, 2, 3, 4)
MANY = {
    **BOX.limits,
    "EX_glyc_e": (0.0, 8.0),
    "EX_nh4_e": (0.0, 10.0),
    "EX_lac__D_e": (0.0, 6.0),
}
MOST_REGIONS = 6_000
MOST_OF_A_LAW, ERROR = 5, 0.05
ANYWHERE, AGREE = 10_000, 1_000


TARGET = Path(__file__).parent / "results" / "surrogate.json"
EPOCHS = (100, 300, 1000)


def main() -> None:
    network = read_network("iJO1366")
    if "law" in sys.argv:
        write(
            {**(json.loads(TARGET.read_text()) if TARGET.exists() else {}), "laws_by_inputs": laws_by_inputs(network)}
        )
        return
    begin = time.perf_counter()
    atlas = Atlas(network, BOX)
    atlas.explore()
    explored = time.perf_counter() - begin
    if "inputs" in sys.argv:
        rows = by_inputs(network)
        write({**(json.loads(TARGET.read_text()) if TARGET.exists() else {}), "by_inputs": rows})
        return
    if "trainers" in sys.argv:
        rows = trainers(tabulate_fluxes(network, BOX, 4096, source=atlas), atlas)
        show_trainers(rows)
        write({**(json.loads(TARGET.read_text()) if TARGET.exists() else {}), "trainers": rows})
        return
    seeds = five_seeds(atlas, explored)
    shipped = load_surrogate("ecoli_ijo1366")
    table = tabulate_fluxes(network, BOX, 4096, source=atlas)
    rivals: dict[str, Any] = {
        "shipped": shipped,
        "linear": train(table, basis="linear", iterations=150),
        "rates": train(table, basis="rates", iterations=150),
        "soft law": soft_law(atlas, error=0.01),
    }
    results = {
        "seeds": seeds,
        "by_inputs": known("by_inputs"),
        "laws_by_inputs": known("laws_by_inputs"),
        "trainers": known("trainers") if "--quick" in sys.argv else trainers(table, atlas),
        "same_weights": same_weights(table),
        "r2": r2(shipped, atlas),
        "errors": {name: errors(law, atlas) for name, law in rivals.items()},
        "bound_kept": bound_kept(rivals["soft law"], atlas),
        "anywhere": anywhere(shipped, atlas),
        "agreement": agreement(shipped),
        "fed_batch": {name: fed_batch(rivals[name], atlas) for name in ("shipped", "linear", "rates")},
        "refused": refused(shipped),
    }
    show(results)
    show_trainers(results["trainers"])
    write(results)


def known(name: str) -> list[dict[str, Any]]:
    """Rows of the last comparison of the trainers, or by number of inputs, which take longer than all the rest."""
    return json.loads(TARGET.read_text()).get(name, []) if TARGET.exists() else []


def by_inputs(network: Any) -> list[dict[str, Any]]:
    """Seconds, memory and errors by the number of inputs; every row in a process of its own, whose peak is measured.

    Six inputs have more critical regions than there is time for: a budget of regions, and errors on what they cover.
    """
    print("\ninputs   regions   covered   explored   trained   memory   growth   exchange   shortfall   reached")
    rows = []
    for count in range(2, len(MANY) + 1):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            row = pool.submit(of_inputs, network, dict(list(MANY.items())[:count])).result()
        rows.append(row)
        print(
            f"{count:6}   {row['regions']:7}   {row['coverage']:7.1%}   {row['explored']:6.1f} s   {row['trained']:5.1f} s   "
            f"{row['megabytes']:3.0f} MB   {row['growth']:6.2%}   {row['exchange']:8.2%}   {row['shortfall']:9.2%}   "
            f"{row['reached']}",
            flush=True,
        )
    return rows


def of_inputs(network: Any, box: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """One row of `by_inputs`."""
    begin = time.perf_counter()
    atlas = Atlas(network, Domain(box))
    atlas.explore(most=MOST_REGIONS)
    explored = time.perf_counter() - begin
    surrogate = train_to_error(atlas, partial=True)
    report, rounds = surrogate.error_report, surrogate.card["training_rounds"]
    assert report is not None
    exchanges = [name for name in rounds["wanted"] if name not in ("growth", "shortfall")]
    return {
        "inputs": list(box),
        "regions": len(atlas.regions),
        "coverage": atlas.coverage,
        "explored": round(explored, 1),
        "trained": round(time.perf_counter() - begin - explored, 1),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "growth": report.relative("growth"),
        "exchange": max(report.relative(name) for name in exchanges),
        "shortfall": report.relative("shortfall"),
        "reached": rounds["reached"],
    }


def laws_by_inputs(network: Any) -> list[dict[str, Any]]:
    """Seconds, memory and proved errors of soft laws by the number of inputs; every row in a process of its own."""
    print("\ninputs   regions   explored      law    memory   growth   exchange   shortfall")
    rows = []
    for count in range(2, MOST_OF_A_LAW + 1):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            row = pool.submit(law_of_inputs, network, dict(list(MANY.items())[:count])).result()
        rows.append(row)
        print(
            f"{count:6}   {row['regions']:7}   {row['explored']:6.1f} s   {row['law']:5.1f} s   {row['megabytes']:4.0f} MB   "
            f"{row['growth']:6.2%}   {row['exchange']:8.2%}   {row['shortfall']:9.2%}",
            flush=True,
        )
    return rows


def law_of_inputs(network: Any, box: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """One row of `laws_by_inputs`; bounds of growth, the shortfall, and exchanges of at least a tenth of the largest range."""
    begin = time.perf_counter()
    atlas = Atlas(network, Domain(box))
    atlas.explore()
    explored = time.perf_counter() - begin
    law = soft_law(atlas, error=ERROR)
    bounds = {name: (entry["bound"], entry["range"]) for name, entry in law.card["bounds"].items()}
    exchanges = {name: entry for name, entry in bounds.items() if name not in ("growth", "shortfall")}
    large = max(width for _, width in exchanges.values()) / 10.0
    return {
        "inputs": list(box),
        "regions": len(atlas.regions),
        "corners": len(law.corners.points),
        "explored": round(explored, 1),
        "law": round(time.perf_counter() - begin - explored, 1),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "growth": bounds["growth"][0] / bounds["growth"][1],
        "exchange": max(bound / width for bound, width in exchanges.values() if width >= large),
        "shortfall": bounds["shortfall"][0] / bounds["shortfall"][1],
        "sharpness": law.sharpness,
    }


def write(results: dict[str, Any]) -> None:
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(results, indent=1) + "\n")


def trainers(table: FluxTable, atlas: Atlas) -> list[dict[str, Any]]:
    """Both trainers with the same layers, table and seeds: seconds, loss and worst-case errors."""
    settings: list[tuple[str, int | None]] = [("levenberg_marquardt", None), *(("keras", epochs) for epochs in EPOCHS)]
    rows = []
    for trainer, iterations in settings:
        for seed in SEEDS[:2]:
            begin = time.perf_counter()
            surrogate = train(table, trainer=trainer, iterations=iterations, seed=seed)
            seconds = time.perf_counter() - begin
            report = worst_case_errors(surrogate, atlas)
            rows.append(
                {
                    "trainer": trainer,
                    "iterations": surrogate.card["iterations"],
                    "seed": seed,
                    "seconds": round(seconds, 1),
                    "loss": surrogate.card["loss"],
                    "growth": report.relative("growth"),
                    "exchange": max(report.relative(name) for name in MATTER),
                    **{name: report.relative(name) for name in MATTER},
                }
            )
            print(rows[-1], flush=True)
    return rows


def show_trainers(rows: list[dict[str, Any]]) -> None:
    print("\ntrainer               iterations   seed   seconds       loss   worst growth   worst exchange")
    for row in rows:
        print(
            f"{row['trainer']:20}   {row['iterations']:9}   {row['seed']:4}   {row['seconds']:7.1f}   {row['loss']:.2e}"
            f"   {row['growth']:12.2%}   {row['exchange']:14.2%}"
        )


def five_seeds(atlas: Atlas, explored: float) -> dict[str, Any]:
    """Surrogates of several seeds: seconds with the tabulation, and worst errors."""
    rows: dict[str, Any] = {}
    for seed in SEEDS:
        begin = time.perf_counter()
        surrogate = train_to_error(atlas, seed=seed)
        seconds = explored + time.perf_counter() - begin
        report = surrogate.error_report
        assert report is not None
        rows[str(seed)] = {
            "seconds": round(seconds, 1),
            "growth": report.worst("growth"),
            "exchange": max(report.relative(name) for name in MATTER),
            "shortfall": report.relative("shortfall"),
            "modes": surrogate.card["modes"],
            "rounds": len(surrogate.card["training_rounds"]["excess"]),
        }
        print(seed, rows[str(seed)], flush=True)
    spread = {
        key: max(row[key] for row in rows.values()) / min(row[key] for row in rows.values())
        for key in ("growth", "exchange")
    }
    return {"rows": rows, "spread": spread}


def same_weights(table: Any) -> bool:
    """Whether one seed gives one surrogate, to the last bit."""
    one, other = (train(table, iterations=10, starts=2, seed=3) for _ in range(2))
    return all(np.array_equal(a.weights, b.weights) for a, b in zip(one.hidden, other.hidden, strict=True))


def r2(surrogate: Surrogate, atlas: Atlas) -> dict[str, float]:
    """Coefficients of determination on 20,000 points that no training saw."""
    points = np.random.default_rng(20261124).random((20_000, 3)) * BOX.upper
    names = ["growth", *MATTER]
    exact, given = atlas.rates(points, names), surrogate.predict(points, names)
    left = np.sum((given - exact) ** 2, axis=0) / np.sum((exact - exact.mean(axis=0)) ** 2, axis=0)
    return dict(zip(names, (1.0 - left).tolist(), strict=True))


def errors(law: Any, atlas: Atlas) -> dict[str, Any]:
    """Worst-case errors as fractions of the range; growth in 1/h as well."""
    report = worst_case_errors(law, atlas)
    return {
        "growth_worst": report.worst("growth"),
        **{name: report.relative(name) for name in READINGS},
        "starvation_growth": report.worst("growth", "starvation"),
        "balance": report.checks["balance"],
        "backwards": report.checks["backwards"],
        "beyond_limit": max(entry["worst"] for entry in report.consumption.values()),
        "left_at_zero": max(abs(value) for value in report.zero.values()),
    }


def bound_kept(law: Any, atlas: Atlas) -> dict[str, list[float]]:
    """Worst-case errors of the soft law, and its proved bounds."""
    report = worst_case_errors(law, atlas)
    return {name: [report.worst(name), law.bound(name)] for name in report.readings}


def anywhere(surrogate: Surrogate, atlas: Atlas) -> dict[str, Any]:
    """Balance and split fluxes at random inputs, half of them outside the domain."""
    network, random = atlas.network, np.random.default_rng(7)
    unit = np.vstack([random.random((ANYWHERE // 2, 3)), random.uniform(-3.0, 4.0, (ANYWHERE // 2, 3))])
    fluxes = surrogate.fluxes(unit * BOX.upper)
    one_way = np.flatnonzero(network.lower >= 0.0)
    one_way = np.setdiff1d(one_way, [network.column(name) for name in BOX.inputs])
    imbalance = np.abs(network.stoichiometry @ fluxes.T).max(axis=0) / np.maximum(np.abs(fluxes).max(axis=1), 1e-300)
    return {
        "points": ANYWHERE,
        "imbalance": float(imbalance.max()),
        "least_irreversible": float(fluxes[:, one_way].min()),
        "finite": bool(np.all(np.isfinite(fluxes))),
    }


def agreement(surrogate: Surrogate) -> dict[str, float]:
    """Largest differences to `predict`, by way."""
    import keras
    import onnxruntime

    names = ["growth", *MATTER]
    points = np.random.default_rng(1).random((AGREE, 3)) * BOX.upper
    own = surrogate.predict(points, names)
    gaps = {
        way: float(np.abs(embedded(surrogate, points, names, way) - own).max())
        for way in ("reduced_space", "full_space")
    }
    with tempfile.TemporaryDirectory() as folder:
        exported = keras.saving.load_model(export_keras(surrogate, Path(folder, "cell.keras"), names))
        gaps["keras"] = float(np.abs(np.asarray(exported(points)) - own).max())
        session = onnxruntime.InferenceSession(str(export_onnx(surrogate, Path(folder, "cell.onnx"), names)))
        gaps["onnxruntime"] = float(np.abs(session.run(None, {session.get_inputs()[0].name: points})[0] - own).max())
    return gaps


def embedded(surrogate: Surrogate, points: np.ndarray, names: list[str], way: str) -> np.ndarray:
    """Rates of the equations that OMLT writes, as Ipopt gets them: as .nl through CasADi, solved for the rates."""
    problem = pyo.ConcreteModel()
    problem.limit = pyo.Var(surrogate.inputs, initialize=1.0)
    rates = embed(problem, surrogate, dict(problem.limit), names, way)
    problem.rate = pyo.Var(names)
    problem.law = pyo.Constraint(names, rule=lambda _, name: problem.rate[name] == rates[name])
    builder = casadi.NlpBuilder()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "problem.nl")
        with path.open("w") as stream:
            names_of = NLWriter().write(problem, stream, linear_presolve=False, scale_model=False)
        builder.import_nl(str(path))
    every = dict(zip((variable.name for variable in names_of.variables), builder.x, strict=True))
    unknown = [name for name in every if not name.startswith("limit")]
    given = casadi.vertcat(*(every[variable.name] for variable in problem.limit.values()))
    left = casadi.vertcat(*builder.g) - np.array(builder.g_lb)
    equations = casadi.Function("left", [casadi.vertcat(*(every[name] for name in unknown)), given], [left]).expand()
    steps = {"max_iter": 100, "abstol": 0.0, "abstolStep": 0.0, "error_on_fail": False}
    root = casadi.rootfinder("root", "newton", equations, steps)
    solved = np.array(root.map(len(points))(np.zeros((len(unknown), len(points))), points.T))
    return solved[[unknown.index(problem.rate[name].name) for name in names]].T


def fed_batch(surrogate: Surrogate, atlas: Atlas) -> dict[str, Any]:
    """The case study's optimum on the surrogate, and on the linear program along the same feed."""
    problem: Problem = read_study(STUDY).problem
    try:
        begin = time.perf_counter()
        plan = optimise(problem, surrogate)
        seconds = time.perf_counter() - begin
    except MmoptError as error:
        return {"failed": str(error)}
    reference = plan.replay(atlas.program)
    peaks = [float(trajectory["acetate"].max()) for trajectory in (plan.trajectory, reference.trajectory)]
    return {
        "iterations": plan.record.iterations,
        "seconds": round(seconds, 2),
        "solve_seconds": round(plan.record.solve_seconds, 2),
        "collocation_gap": plan.integration.gap if plan.integration is not None else None,
        "biomass": [plan.objective, reference.objective],
        "biomass_gap": reference.gap,
        "acetate_peaks": peaks,
        "acetate_gap": abs(peaks[0] - peaks[1]) / peaks[1],
    }


def refused(surrogate: Surrogate) -> dict[str, str]:
    """Damaged copies of a surrogate, and why each is refused."""
    harm: dict[str, Callable[[Path], Any]] = {
        "truncated arrays": lambda folder: (folder / "arrays.npz").write_bytes(
            (folder / "arrays.npz").read_bytes()[:2000]
        ),
        "truncated description": lambda folder: (folder / "surrogate.json").write_text(
            (folder / "surrogate.json").read_text()[:500]
        ),
        "another weight": lambda folder: changed(folder, 1.0),
        "weight that is no number": lambda folder: changed(folder, np.nan),
        "pickle for arrays": lambda folder: np.array([{}]).dump(folder / "arrays.npz"),
    }
    reasons = {}
    for name, harmed in harm.items():
        with tempfile.TemporaryDirectory() as folder:
            surrogate.save(Path(folder, "cell"))
            harmed(Path(folder, "cell"))
            try:
                load_surrogate(Path(folder, "cell"))
                reasons[name] = "LOADED"
            except MmoptError as error:
                reasons[name] = str(error).replace(folder, "")
    return reasons


def changed(folder: Path, value: float) -> None:
    """Another number in the arrays, the rest as it was."""
    with np.load(folder / "arrays.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["bias_0"][0] = value
    np.savez(folder / "arrays.npz", **arrays)


def show(results: dict[str, Any]) -> None:
    print("\nseed   seconds   growth [1/h]   worst exchange   shortfall   modes   rounds")
    for seed, row in results["seeds"]["rows"].items():
        print(
            f"{seed:4}   {row['seconds']:7.1f}   {row['growth']:12.4f}   {row['exchange']:14.2%}   {row['shortfall']:9.2%}"
            f"   {row['modes']:5}   {row['rounds']:6}"
        )
    print("spread of seeds:", {key: f"{value:.2f} x" for key, value in results["seeds"]["spread"].items()})
    print("same seed, same weights:", results["same_weights"])
    print("R2:", {name: round(value, 6) for name, value in results["r2"].items()})
    print(f"\n{'worst errors, fraction of range':34}" + "".join(f"{name:>12}" for name in results["errors"]))
    for key in next(iter(results["errors"].values())):
        print(f"{key:34}" + "".join(f"{row[key]:12.2e}" for row in results["errors"].values()))
    kept = results["bound_kept"]
    print(
        "\nsoft law within its bound:", all(worst <= bound for worst, bound in kept.values()), f"({len(kept)} readings)"
    )
    print("anywhere:", results["anywhere"])
    print("agreement with predict:", {name: f"{value:.1e}" for name, value in results["agreement"].items()})
    for name, row in results["fed_batch"].items():
        print(f"fed-batch, {name}:", row)
    for name, why in results["refused"].items():
        print(f"refused, {name}: {why[:110]}")


if __name__ == "__main__":
    main()

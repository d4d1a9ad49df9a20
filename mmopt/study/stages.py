"""The stages of a study, from the network to the report; what `mmopt run` does.

Each stage takes objects and gives objects, tells its progress, and writes what it made into the run folder at once, so
that an interrupted run keeps what it has.
"""

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np

from mmopt.control.closed_loop import Plant, run_closed_loop
from mmopt.control.controller import Controller
from mmopt.control.estimator import Estimator
from mmopt.dataset.flux_table import FluxTable, load_table
from mmopt.dataset.tabulate import tabulate_fluxes, worthwhile_workers
from mmopt.errors import MmoptError, SolverError, StudyError
from mmopt.fba.atlas import Atlas
from mmopt.fba.flux_program import FluxProgram
from mmopt.fba.rates import GROWTH
from mmopt.io.files import write_whole
from mmopt.network.network import Network
from mmopt.optimisation.optimise import optimise
from mmopt.optimisation.simple_feeds import best_constant, best_exponential
from mmopt.problem.problem import Limits, Problem, violated_limits
from mmopt.reactor.profiles import Profile, StepFeed
from mmopt.reactor.simulate import simulate
from mmopt.reactor.system import Metabolism
from mmopt.report.report import write_report
from mmopt.results import Trajectory
from mmopt.study.schema import NmpcPart, StarvationPart, Study
from mmopt.surrogate.surrogate import Surrogate
from mmopt.surrogate.surrogate_file import load_surrogate
from mmopt.training.comparison import compare
from mmopt.training.worst_case_errors import EXPLORED, with_error_report
from mmopt.transcription.plan import replay

PARITY_POINTS: Final = 400
_PARITY_SEED: Final = 20260101
"""Seed of the points a surrogate is shown on; no training uses it."""

_LABELS_A_REGION: Final = 6
"""FluxBatch that the program solves in the time that one more region takes to find."""

_NO_MARGIN: Final = 1.0e-6
"""Part of a scale below which a margin is none."""

_STARTS: Final = 4
"""Feeds an optimisation is started from, since optima are local; `docs/design.md` has how far apart they were."""

_EXPLORABLE: Final = 2_000
"""Critical regions up to which a domain is explored for a certificate: about a minute of iJO1366."""

_SIMPLE: Final = {"constant": best_constant, "exponential": best_exponential}

PACKAGES: Final = ("mmopt", "cobra", "pyomo", "omlt", "casadi", "highspy", "scipy", "numpy")

KNOWN_LIMITS: Final = (
    "The reactor is well mixed; the cell answers at once to its surroundings, without lag, stress or product burden.",
    "The network's biomass yield is an upper estimate: it grows better on paper than in a vessel.",
    "Largest uptake rates come from the literature, for other strains and vessels; fit them to your own before use.",
    "Biomass that starves does not die here unless the reactor is given a death constant.",
)


@dataclass
class Run:
    """A run folder, the progress it tells, and what the stages have made so far."""

    folder: Path
    tell: Callable[[str, int, int], None]
    summary: dict[str, Any] = field(default_factory=dict)
    atlas: Atlas | None = None

    @contextmanager
    def stage(self, name: str, steps: int = 1) -> Iterator[Callable[[int, int], None]]:
        """Time a stage and tell its progress; the summary is written when it ends."""
        started = time.perf_counter()
        self.tell(name, 0, steps)
        yield lambda done, total: self.tell(name, done, total)
        self.summary.setdefault("timings", {})[name] = round(time.perf_counter() - started, 2)
        self.write_summary()
        self.tell(name, steps, steps)

    def keep(self, name: str, trajectory: Trajectory) -> Trajectory:
        """Save a trajectory under its name, and pass it on."""
        trajectory.save(self.folder / f"{name}.nc")
        return trajectory

    def write_summary(self) -> None:
        """Write ``summary.json``."""
        text = json.dumps(self.summary, indent=1)
        write_whole(self.folder / "summary.json", lambda part: part.write_text(text + "\n"))


def read_summary(folder: Path) -> dict[str, Any]:
    """What earlier commands told in this run folder; empty if there is none that can be read."""
    try:
        told = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def run_study(study: Study, run: Run, *, fresh: bool = False) -> dict[str, Any]:
    """Do everything a study asks for, and write the report.

    Parameters
    ----------
    study
        The study.
    run
        Where results go and who is told.
    fresh
        Sample and train a surrogate anew, whatever the study names.

    Returns
    -------
    dict
        What ``summary.json`` holds.
    """
    problem = study.problem()
    run.summary.clear()
    _begin(study, run, problem)
    with run.stage("network"):
        network = study.cell()
        run.summary["network"] = {
            "name": network.name,
            "reactions": len(network.reactions),
            "metabolites": len(network.metabolites),
            "hash": network.hash,
        }
    surrogate = _surrogate(study, run, network, fresh)
    atlas = Atlas(network, surrogate.domain)
    # the simple feeds need nothing of what follows, so the second core looks for them meanwhile
    with _simple_feeds_meanwhile(problem, atlas) as simple:
        _parity(run, network, surrogate)
        if study.starvation is not None:
            _starve(study.starvation, run, problem, surrogate, atlas)
        plan, replayed_on_reference = plan_and_replay(run, problem, surrogate, atlas)
        if study.nmpc is not None:
            close_loop(study.nmpc, run, problem, surrogate, atlas)
        _compare_feeds(run, problem, plan, replayed_on_reference, simple)
    run.write_summary()
    with run.stage("report"):
        write_report(run.folder)
    return run.summary


def make_table(
    study: Study, run: Run, network: Network, *, workers: int | None = None, scheduler: str | None = None
) -> FluxTable:
    """Sample the labels of a study, and save them as ``labels.nc``.

    Finished labels stay in ``labels.journal`` until the table is saved; after an interruption the next call goes on from
    there. ``workers`` is as for `sample`, by default as many as there are cores and work is worth.
    """
    part, journal = study.sampling, run.folder / "labels.journal"
    source = _answers(study, run, network)
    if workers is None:  # an atlas answers faster than processes start
        workers = 1 if scheduler or part.source == "atlas" else worthwhile_workers(part.labels)
    with run.stage("labels", part.labels) as progress:
        table = tabulate_fluxes(
            network,
            study.box(),
            part.labels,
            part.seed,
            source=source,
            workers=workers,
            scheduler=scheduler,
            journal=journal,
            progress=progress,
        )
        table.save(run.folder / "labels.nc")
        journal.unlink()
    return table


def _answers(study: Study, run: Run, network: Network) -> Atlas | FluxProgram:
    """Who answers for the labels: the program, or an atlas explored as far as that saves work."""
    part = study.sampling
    if part.source == "program":
        return FluxProgram(network, study.box().inputs)
    atlas = Atlas(network, study.box())
    with run.stage("critical regions", 1000) as progress:
        atlas.explore(most=max(1, part.labels // _LABELS_A_REGION), progress=progress)
    run.summary["atlas"] = {"regions": len(atlas.regions), "coverage": atlas.coverage}
    run.atlas = atlas
    return atlas


def make_surrogate(study: Study, run: Run, table: FluxTable, *, iterations: int | None = None) -> Surrogate:
    """Train and certify the surrogate of a study, and save it in the folder ``surrogate``.

    Without a certificate where the domain has more critical regions than can be explored; the card then says so.
    """
    from mmopt.training.train import train
    from mmopt.training.train_to_error import train_to_error

    part = study.training
    most = part.iterations if iterations is None else iterations
    how: dict[str, Any] = {
        "hidden": part.hidden,
        "activation": part.activation,
        "basis": part.basis,
        "starts": part.starts,
        "iterations": most,
        "seed": part.seed,
    }
    atlas = _explored(run, table)
    if atlas is None or part.wanted is None:
        with run.stage("training", most) as progress:
            surrogate = train(table, **how, progress=progress)
    else:
        with run.stage("training", 1000) as progress:
            taught = table.joined(*atlas.corners())
            surrogate = train_to_error(atlas, wanted=part.wanted, table=taught, **how, progress=progress)
    with run.stage("certificate"):
        if atlas is not None and surrogate.error_report is None:
            surrogate = with_error_report(surrogate, atlas)
        surrogate.save(run.folder / "surrogate")
    return surrogate


def _explored(run: Run, table: FluxTable) -> Atlas | None:
    """An atlas that fills the domain of a table; None where that takes too many critical regions."""
    atlas = run.atlas
    if atlas is None or atlas.domain != table.domain or atlas.network.hash != table.network.hash:
        atlas = Atlas(table.network, table.domain)
    if atlas.coverage < EXPLORED:
        with run.stage("critical regions", 1000) as progress:
            atlas.explore(most=_EXPLORABLE, progress=progress)
    run.atlas = atlas
    run.summary["atlas"] = {"regions": len(atlas.regions), "coverage": atlas.coverage}
    return atlas if atlas.coverage >= EXPLORED else None


def find_surrogate(study: Study, run: Run, network: Network) -> Surrogate:
    """The surrogate of a study: the one it names, else one trained before in this run folder.

    Raises
    ------
    StudyError
        If there is none, or it was made from another network.
    """
    if study.surrogate is not None:
        surrogate, name = load_surrogate(study.surrogate), study.surrogate
    elif (run.folder / "surrogate").is_dir():
        surrogate, name = load_surrogate(run.folder / "surrogate"), "trained in this run"
    else:
        raise StudyError(
            "the study names no surrogate and none was trained in this folder; run with --fresh, or train one"
        )
    if surrogate.card.get("network_hash") != network.hash:
        raise StudyError(f"surrogate '{name}' was made from another network than {network.name}; run with --fresh")
    _describe_surrogate(run, name, surrogate)
    return surrogate


def find_table(study: Study, run: Run, network: Network) -> FluxTable:
    """The labels sampled before in this run folder, if they are those the study asks for; else sampled now."""
    path = run.folder / "labels.nc"
    if path.is_file():
        table = load_table(path, network)
        part = study.sampling
        if (table.domain, len(table), int(table.data.attrs["seed"])) == (study.box(), part.labels, part.seed):
            return table
    return make_table(study, run, network)


def plan_and_replay(run: Run, problem: Problem, surrogate: Surrogate, atlas: Atlas) -> tuple[Trajectory, Trajectory]:
    """Optimise, write the feed as a table, and replay the plan on the linear program itself."""
    with run.stage("optimal feed"):
        plan = run.keep("optimum", optimise(problem, surrogate, starts=_STARTS, reference=atlas))
        run.keep("resimulation", replay(problem, plan, surrogate))
    for name in problem.controls:
        edges, rates = plan.stats["edges"], plan.stats["controls"][name]
        _write_feed(run.folder / f"{name}.csv", edges, rates, plan.data[name].attrs["units"])
    with run.stage("judge: the plan on the linear program"):
        replayed_on_reference = run.keep("replay", replay(problem, plan, atlas.program))
    keys = ("solver", "iterations", "solves", "solve_seconds", "build_seconds", "variables", "constraints")
    units = {name: each.unit for name, each in problem.quantities.items()}
    drawn = [
        f"{name} by {margin:.2g} {units[name]}"
        for name, margin in plan.stats["margins"].items()
        if margin > _NO_MARGIN * problem.quantities[name].scale
    ]
    run.summary["optimisation"] = {
        "status": plan.status.value,
        **{key: plan.stats[key] for key in keys},
        "limits moved by up to": ", ".join(drawn) or "none",
    }
    run.summary["binding"] = [each["text"] for each in plan.stats["binding"]]
    run.summary["gaps"] = {
        "resimulation": plan.stats["resimulation_gap"],
        "replay": replayed_on_reference.stats["replay_gap"],
    }
    run.summary["violations"] = _violations(replayed_on_reference, problem.limits)
    return plan, replayed_on_reference


def _begin(study: Study, run: Run, problem: Problem) -> None:
    run.folder.mkdir(parents=True, exist_ok=True)
    units = {name: each.unit for name, each in problem.quantities.items()}
    sources = study.sources()
    numbers = {**problem.system.defaults, **problem.parameter_values}
    run.summary.update(
        title=study.title,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        parameters={name: [value, _unit(name), sources.get(name, "study file")] for name, value in numbers.items()},
        limits={name: [low, high, units[name]] for name, (low, high) in problem.limits.items()},
        known_limits=list(KNOWN_LIMITS),
    )


def _surrogate(study: Study, run: Run, network: Network, fresh: bool) -> Surrogate:
    if not fresh:
        return find_surrogate(study, run, network)
    surrogate = make_surrogate(study, run, make_table(study, run, network))
    _describe_surrogate(run, "trained in this run", surrogate)
    return surrogate


def _describe_surrogate(run: Run, name: str, surrogate: Surrogate) -> None:
    run.summary["surrogate"] = {"name": name, "card": dict(surrogate.card)}


def _parity(run: Run, network: Network, surrogate: Surrogate) -> None:
    """Show the surrogate against the linear program on points it has never met."""
    with run.stage("surrogate on fresh points", PARITY_POINTS) as progress:
        table = tabulate_fluxes(network, surrogate.domain, PARITY_POINTS, _PARITY_SEED, progress=progress).answered()
        found = compare(surrogate, network, table.inputs, table.fluxes)
        names = [GROWTH, *surrogate.inputs]
        columns = [network.column(network.biomass), *(network.column(name) for name in surrogate.inputs)]
        predicted = surrogate.predict(table.inputs, names)
        arrays = {f"true_{name}": table.fluxes[:, column] for name, column in zip(names, columns, strict=True)}
        arrays.update({f"predicted_{name}": predicted[:, k] for k, name in enumerate(names)})
        write_whole(run.folder / "parity.npz", lambda part: np.savez_compressed(part, allow_pickle=False, **arrays))
        run.summary["surrogate"]["fresh_points"] = found


def _starve(part: StarvationPart, run: Run, problem: Problem, surrogate: Surrogate, atlas: Atlas) -> None:
    """Stop the feed, and follow the cell to where the textbook program is infeasible."""
    feed = StepFeed((0.0, part.feed_stops, max(part.hours, part.feed_stops + 1.0)), (part.feed, 0.0))

    def starved(metabolism: Metabolism) -> Trajectory:
        feeds: dict[str, Profile] = dict.fromkeys(problem.controls, feed)
        return simulate(
            problem.system, problem.start, feeds, part.hours, metabolism, parameters=problem.parameter_values
        )

    with run.stage("starvation"):
        by_program = run.keep("starvation_lp", starved(atlas.program))
        by_surrogate = run.keep("starvation_surrogate", starved(surrogate))
        missing = by_program["shortfall"]
        hungry = by_program.time[missing > 1.0e-6]
        run.summary["starvation"] = {
            "text": (
                f"The feed stops at {part.feed_stops:g} h. From {hungry[0]:.2f} h on the textbook program is infeasible "
                f"and would end the simulation; here growth is zero and the shortfall of maintenance ATP says what is "
                f"missing, up to {missing.max():.3f} mmol/gDW/h."
                if hungry.size
                else f"The feed stops at {part.feed_stops:g} h; the cell never starves before {part.hours:g} h."
            ),
            "final biomass on the linear program": by_program.final("biomass_amount"),
            "final biomass on the surrogate": by_surrogate.final("biomass_amount"),
        }


@contextmanager
def _simple_feeds_meanwhile(problem: Problem, atlas: Atlas) -> Iterator[Connection]:
    """Look for the simple feeds in a process of its own, which ends with the block, also where the block fails."""
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_simple_feeds, args=(theirs, problem, atlas), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.terminate()
        process.join()


def _simple_feeds(told: Connection, problem: Problem, atlas: Atlas) -> None:
    """Find the simple feeds, judged by the exact answer all along, and tell each of them or why there is none."""
    for find in _SIMPLE.values():
        try:
            feed, made = find(problem, atlas)
        except MmoptError as error:
            told.send(error)
        else:
            told.send((", ".join(f"{key} {value:.4g}" for key, value in vars(feed).items()), made))


def _told_feed(role: str, told: Connection) -> tuple[str, Trajectory]:
    try:
        answer = told.recv()
    except EOFError as error:
        raise SolverError(
            f"the search for the best {role} feed ended without an answer; run the study again"
        ) from error
    if isinstance(answer, MmoptError):
        raise answer
    shape, made = answer
    return shape, made


def _compare_feeds(
    run: Run,
    problem: Problem,
    plan: Trajectory,
    replayed_on_reference: Trajectory,
    simple: Connection,
) -> None:
    """Set the optimal feed beside the best simple ones, all by the judgement of the linear program."""
    best = problem.objective_value(replayed_on_reference)
    rows: list[dict[str, Any]] = [
        {
            "label": "Optimal feed",
            "role": "optimum",
            "optimiser": plan.stats["optimum"],
            "resimulated": plan.stats["resimulated"],
            "lp": best,
            "gain": None,
            "note": "the last on the linear program itself",
        }
    ]
    for role in _SIMPLE:
        with run.stage(f"best {role} feed"):
            shape, made = _told_feed(role, simple)
            run.keep(role, made)
        reached = problem.objective_value(made)
        gain = best / reached - 1.0
        rows.append(
            {
                "label": f"Best {role} feed",
                "role": role,
                "optimiser": None,
                "resimulated": None,
                "lp": reached,
                "gain": gain,
                "note": f"{_verdict(gain)}; {shape}",
            }
        )
    run.summary["results"] = rows


def _verdict(gain: float) -> str:
    if gain >= 0.0:
        return f"the optimal feed gives {gain:.1%} more"
    return f"BETTER than the planned feed, which gives {-gain:.1%} less: cut the horizon into more elements"


def close_loop(part: NmpcPart, run: Run, problem: Problem, surrogate: Surrogate, atlas: Atlas) -> None:
    """Control the batch on a disturbed plant, and as a controller would that knows the plant."""
    steps = int(np.ceil(problem.horizon.hours / part.interval - 1.0e-9))
    aimed = replace(problem, limits={**problem.limits, **part.limits})
    told = dict(problem.parameter_values)
    loops = {}
    # the loop that counts runs on the linear program itself; what it is compared with, on the same answers remembered
    for role, stage, known, cell in (
        ("closed_loop", "closed loop on the linear program", told, atlas.program),
        ("reference", "closed loop, plant known", {**told, **part.disturbance}, atlas),
    ):
        with run.stage(stage, steps) as progress:
            controller = Controller(replace(aimed, parameters=known), surrogate, part.interval)
            estimator = Estimator(
                problem.system, surrogate, problem.start, part.noise, parameters=known, drifting=part.estimated
            )
            plant = Plant(
                problem.system,
                cell,
                problem.start,
                parameters={**told, **part.disturbance},
                noise=part.noise,
                seed=part.seed,
            )
            loops[role] = run.keep(role, run_closed_loop(plant, controller, estimator, progress))
    loop, reference = loops["closed_loop"], loops["reference"]
    run.summary["nmpc"] = {
        "disturbance": ", ".join(f"{name} {value:g}" for name, value in part.disturbance.items()) or "none",
        "final_biomass": loop.stats["reached"],
        "reference_biomass": reference.stats["reached"],
        "ratio": loop.stats["reached"] / reference.stats["reached"],
        "steps": len(loop.stats["steps"]),
        "fallbacks": loop.stats["fallbacks"],
        "median_ms": 1000.0 * loop.stats["median_seconds"],
        "worst_ms": 1000.0 * loop.stats["worst_seconds"],
        "limits broken on the plant": ", ".join(
            f"{name} by {broken:.1%} of the limit" for name, broken in violated_limits(loop, problem.limits).items()
        )
        or "none",
    }


def _violations(replayed_on_reference: Trajectory, limits: Limits) -> list[dict[str, Any]]:
    rows = []
    for name, relative in violated_limits(replayed_on_reference, limits).items():
        low, high = limits[name]
        values = replayed_on_reference[name][1:]
        below = low is not None and (high is None or low - values.min() > values.max() - high)
        rows.append(
            {
                "limit": name,
                "allowed": low if below else high,
                "reached": float(values.min() if below else values.max()),
                "relative": relative,
                "unit": replayed_on_reference.data[name].attrs["units"],
            }
        )
    return rows


def _write_feed(path: Path, edges: list[float], rates: list[float], unit: str) -> None:
    """The feed as a table a control system can take: from, to, rate."""
    table = np.column_stack([edges[:-1], edges[1:], rates])
    header = f"from [h],to [h],rate [{unit}]"
    write_whole(path, lambda part: np.savetxt(part, table, delimiter=",", header=header, comments="", fmt="%.8g"))


_UNITS: Final[Mapping[str, str]] = {"vmax": "mmol/gDW/h", "kla": "1/h", "saturation": "mmol/L", "death": "g/mmol"}


def _unit(parameter: str) -> str:
    kind = parameter.rsplit("_", 1)[-1]
    if parameter == "oxygen_half":
        return "mmol/L"
    return _UNITS.get(kind, "g/L")

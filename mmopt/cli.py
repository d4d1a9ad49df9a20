"""The command line: every command is one verb, and every error is one line and an exit code.

Exit codes: 2 for bad input, 1 for work that failed, 3 for a plan that does not keep its limits, 130 after Ctrl-C, 143 after
SIGTERM.
Tracebacks only with ``--debug``.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mmopt.ctrl_c import EXIT_CODE, Watch
from mmopt.errors import MmoptError
from mmopt.terminal import closed_loop_line, progress, say, show_results, warn

if TYPE_CHECKING:
    from mmopt.problem.problem import Problem
    from mmopt.report.summary import RunSummary
    from mmopt.study.run import Run
    from mmopt.study.schema import Study

_BAD_INPUT, _FAILED, _LIMITS_NOT_KEPT = 2, 1, 3
_DEBUG: Final = "--debug"
_watch: Final = Watch()


class _InterruptedError(Exception):
    """Ctrl-C while a run was going on."""


app = typer.Typer(
    help="Optimal feeds and predictive control of fermentations, from genome-scale metabolic networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StudyFile = Annotated[Path, typer.Argument(help="The study file (YAML).", metavar="STUDY")]
Folder = Annotated[Path | None, typer.Option("--folder", "-o", help="Run folder; by default runs/<name of the study>.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"mmopt {version('mmopt')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option(_DEBUG, help="Show tracebacks of errors; before or after a command.")] = False,
) -> None:
    """Optimal feeds and predictive control of fermentations, from genome-scale metabolic networks."""


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="The file to write.", metavar="[FILE]")] = Path("study.yaml"),
) -> None:
    """Write a commented study to begin with."""
    from mmopt.errors import StudyError
    from mmopt.study.schema import study_template

    if file.exists():
        raise StudyError(f"{file} exists; give another name")
    file.write_text(study_template(), encoding="utf-8")
    say(f"{file}; run it with: mmopt run {file}")


@app.command()
def run(
    file: StudyFile,
    folder: Folder = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Tabulate fluxes and train a surrogate anew.")] = False,
) -> None:
    """Compute the whole study: surrogate, optimal feed, replay on the linear program, closed loop, report."""
    from mmopt.study.stages import run_study

    with _opened(file, folder, whole=True, fresh=fresh) as (study, current):
        if current.summary.timings:
            say(f"continues the run that was interrupted after: {', '.join(current.summary.timings)}")
        summary = run_study(study, current, fresh=fresh)
        show_results(summary, current.folder)
    end_with_code(summary)


@app.command()
def tabulate(
    file: StudyFile,
    folder: Folder = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Number of processes; by default as many as there are cores, if that saves time."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask scheduler (tcp://...), whose workers solve instead.")
    ] = None,
) -> None:
    """Tabulate fluxes over the study's domain with the linear program; continues an interrupted call."""
    from mmopt.study.run import TABLE_FILE
    from mmopt.study.tables import compute_table

    with _opened(file, folder) as (study, current):
        network = study.read_network()
        table = compute_table(study, current, network, workers=workers, scheduler=scheduler)
        unsolved = len(table) - int(table.solved.sum())
        without = f", {unsolved} of them unsolved" if unsolved else ""
        say(f"fluxes of {network.name} at {len(table)} points{without}, in {current.folder / TABLE_FILE}")


@app.command()
def train(
    file: StudyFile,
    folder: Folder = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Number of iterations, instead of the study's.")] = None,
) -> None:
    """Train a surrogate on tabulated fluxes; they are tabulated first if there are none."""
    from mmopt.errors import StudyError
    from mmopt.study.surrogates import train_surrogate
    from mmopt.study.tables import table_of
    from mmopt.surrogate.error_report import training_notes

    with _opened(file, folder) as (study, current):
        if study.soft_law is not None:
            raise StudyError(f"{file} has a soft_law, which needs no training; leave it out to train a surrogate")
        network = study.read_network()
        surrogate = train_surrogate(study, current, table_of(study, current, network), iterations=iterations)
        growth, report, atlas = surrogate.card["held_out"]["growth"], surrogate.error_report, current.summary.atlas
        errors = f"growth within {growth['worst']:.4f} 1/h, R2 {growth['r2']:.5f}"
        say(f"surrogate in {current.folder / 'surrogate'}: {errors}")
        for note in training_notes(surrogate.card):
            warn(note)
        if report is not None:
            say(str(report))
        elif atlas is not None:
            say(
                f"no error report: {atlas.regions} critical regions cover only {atlas.coverage or 0.0:.1%} of the domain; "
                "use a smaller domain, or fewer inputs"
            )


@app.command()
def simulate(
    file: StudyFile,
    feed: Annotated[Path, typer.Option(help="Feed table (CSV or Excel: from, to, rate), as a run writes it.")],
    folder: Folder = None,
    program: Annotated[bool, typer.Option("--lp", help="Simulate the cell with the linear program itself.")] = False,
    density: Annotated[
        float | None, typer.Option(help="Density of the feed [kg/L], for tables in g/h or kg/h.")
    ] = None,
) -> None:
    """Simulate a feed table, with the surrogate or with the linear program."""
    from mmopt.fba.flux_program import FluxProgram
    from mmopt.problem.simulator import Simulator
    from mmopt.reactor.profiles import read_feed
    from mmopt.study.surrogates import surrogate_of

    with _opened(file, folder) as (study, current):
        problem, network = study.problem, study.read_network()
        surrogate = surrogate_of(study, current, network)
        cell: Any = FluxProgram(network, surrogate.inputs) if program else surrogate
        with current.stage("simulation"):
            table_of_feed = read_feed(feed, density=density, hours=problem.horizon.hours)
            trajectory = Simulator(problem, cell).run(dict.fromkeys(problem.controls, table_of_feed))
            current.save("simulation", trajectory)
            table = trajectory.to_csv(current.folder / "simulation.csv")
        objective = problem.objective
        reached = f"{objective.name} {problem.objective_value(trajectory):.4g} {objective.unit}".rstrip()
        say(f"{reached} at {problem.horizon.hours:g} h; {table}")


@app.command()
def optimise(file: StudyFile, folder: Folder = None) -> None:
    """Compute the optimal feed and replay it on the linear program."""
    from mmopt.fba.atlas import Atlas
    from mmopt.study.plans import plan_and_replay
    from mmopt.study.surrogates import surrogate_of

    with _opened(file, folder) as (study, current):
        problem, network = _described(study, current), study.read_network()
        surrogate = surrogate_of(study, current, network)
        plan, replay = plan_and_replay(current, problem, surrogate, Atlas(network, surrogate.domain))
        unit = f" {problem.objective.unit}".rstrip()
        integrated = "" if plan.integration is None else f", integrated {plan.integration.objective:.4g}{unit}"
        say(
            f"{problem.objective.name}: planned {plan.objective:.4g}{unit}{integrated}, on the linear program "
            f"{replay.objective:.4g}{unit}; feed table in {current.folder}"
        )
        for remedy in plan.record.remedies:
            say(f"no solve from a start ended with an optimum; used instead: {remedy}")
        if current.summary.limits_not_kept:
            say(current.summary.limits_not_kept)
    end_with_code(current.summary)


@app.command()
def diagnose(file: StudyFile, folder: Folder = None) -> None:
    """Check the structure of the study's optimisation problem with the tools of IDAES, all choices fixed."""
    from mmopt.study.surrogates import surrogate_of
    from mmopt.transcription.diagnose import diagnose as structural_warnings
    from mmopt.transcription.diagnose import with_few_elements

    with _opened(file, folder) as (study, current):
        surrogate = surrogate_of(study, current, study.read_network())
        warnings = structural_warnings(with_few_elements(study.problem), surrogate)
        for warning in warnings:
            say(warning)
        none = "no structural warnings: the problem is square and nonsingular"
        say(f"{len(warnings)} structural warnings" if warnings else none)
        if warnings:
            raise typer.Exit(_FAILED)


@app.command()
def closed_loop(file: StudyFile, folder: Folder = None) -> None:
    """Run the closed loop of the study on its disturbed plant."""
    from mmopt.errors import StudyError
    from mmopt.fba.atlas import Atlas
    from mmopt.study.closed_loops import run_closed_loops
    from mmopt.study.surrogates import surrogate_of

    with _opened(file, folder) as (study, current):
        if study.closed_loop is None:
            raise StudyError(f"{file} has no 'closed_loop'; add one, as in the study that `mmopt init` writes")
        problem, network = _described(study, current), study.read_network()
        surrogate = surrogate_of(study, current, network)
        atlas = Atlas(network, surrogate.domain)
        record = run_closed_loops(study.closed_loop, current, problem, surrogate, atlas)
        say(f"closed loop: {closed_loop_line(record, current.summary)}")


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="A run folder.", metavar="FOLDER")]) -> None:
    """Write the report of a run folder again."""
    from mmopt.report.write import write_report

    say(str(write_report(folder)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors."""
    import json

    from mmopt.study.schema import study_schema

    say(json.dumps(study_schema(), indent=2))


@app.command()
def doctor() -> None:
    """Show what is installed and which Ipopt and linear solvers are used, and solve a test problem."""
    from mmopt.doctor import examine

    healthy = True
    for subject, finding, good in examine():
        healthy &= good
        say(f"{'ok ' if good else 'NOT OK '} {subject}: {finding}")
    if not healthy:
        raise typer.Exit(_FAILED)


def main() -> None:
    """Run the command line; an error of mmopt or of the file system becomes one line and an exit code."""
    debug = _DEBUG in sys.argv
    arguments = [word for word in sys.argv[1:] if word != _DEBUG]
    _watch.start()
    try:
        app(args=arguments, prog_name="mmopt")
    except _InterruptedError as error:
        warn(str(error))
        sys.exit(_watch.code)
    except SystemExit as end:
        if end.code == EXIT_CODE:  # before there was a run folder
            warn("interrupted")
            sys.exit(_watch.code)
        raise
    except MmoptError as error:
        if debug:
            raise
        warn(str(error))
        sys.exit(_BAD_INPUT if isinstance(error, ValueError) else _FAILED)
    except OSError as error:
        if debug:
            raise
        file = f"{error.filename}: " if error.filename else ""
        warn(f"{file}{error.strerror or error}; give another file or folder")
        sys.exit(_BAD_INPUT if error.filename else _FAILED)


def end_with_code(summary: "RunSummary") -> None:
    """End with the exit code of a plan that does not keep its limits, if it does not.

    Parameters
    ----------
    summary
        The results.

    Raises
    ------
    typer.Exit
        With exit code 3.
    """
    if summary.limits_kept is False:
        raise typer.Exit(_LIMITS_NOT_KEPT)


@contextmanager
def _opened(
    file: Path, folder: Path | None, *, whole: bool = False, fresh: bool = False
) -> Iterator[tuple["Study", "Run"]]:
    """Open a checked study and its run folder, whose progress the terminal shows; a whole study begins anew or continues."""
    from mmopt.io.lock import one_process_in
    from mmopt.study.description import mark_of
    from mmopt.study.run import begin_run
    from mmopt.study.schema import read_study

    study = read_study(file)
    name = file.resolve().parent.name if file.stem == "study" else file.stem
    folder = folder or Path("runs") / name
    _watch.message = f"interrupted; what was finished is in {folder}"
    try:
        with one_process_in(folder), progress() as shown:
            mark = mark_of(study, fresh) if whole else None
            yield study, begin_run(folder, study.title, study.problem, shown, mark=mark)
    except KeyboardInterrupt:
        raise _InterruptedError(_watch.message) from None


def _described(study: "Study", current: "Run") -> "Problem":
    """Return the problem of a study, and describe it in the summary of the run."""
    from mmopt.study.description import describe_study

    problem = study.problem
    current.record(**describe_study(study.title, problem))
    return problem

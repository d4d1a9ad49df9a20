"""The command line: thin, each command is one verb.

Errors of mmopt are one line and an exit code: 2 for bad input, 1 for work that failed. Tracebacks only with ``--debug``.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmopt.errors import MmoptError

if TYPE_CHECKING:
    from mmopt.study.schema import Study
    from mmopt.study.stages import Run

app = typer.Typer(
    help="Optimal feeds and predictive control of fermentations, from genome-scale metabolic networks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StudyFile = Annotated[Path, typer.Argument(help="The study file (YAML).", metavar="STUDY")]
Folder = Annotated[Path | None, typer.Option("--folder", "-o", help="Run folder; by default runs/<name of the study>.")]


@app.command()
def run(
    file: StudyFile,
    folder: Folder = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Sample and train a surrogate anew.")] = False,
) -> None:
    """Do the whole study: surrogate, optimal feed, judge, closed loop, report."""
    from mmopt.study.stages import run_study

    with _opened(file, folder) as (study, made):
        _print_summary(run_study(study, made, fresh=fresh), made.folder)


@app.command()
def sample(
    file: StudyFile,
    folder: Folder = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="ProcessPool that solve; by default as many as cores, if there is the work."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a running Dask scheduler (tcp://...), whose workers solve instead.")
    ] = None,
) -> None:
    """Sample labels over the study's domain with the linear program; go on from where an earlier call was interrupted."""
    from mmopt.study.stages import make_table

    with _opened(file, folder) as (study, made):
        network = study.cell()
        table = make_table(study, made, network, workers=workers, scheduler=scheduler)
        missed = len(table) - int(table.solved.sum())
        without = f", {missed} of them without an answer" if missed else ""
        _say(f"{len(table)} labels of {network.name}{without}, in {made.folder / 'labels.nc'}")


@app.command()
def train(
    file: StudyFile,
    folder: Folder = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Other than the study's.")] = None,
) -> None:
    """Train a surrogate on sampled labels (sampled now if there are none)."""
    from mmopt.study.stages import find_table, make_surrogate

    with _opened(file, folder) as (study, made):
        network = study.cell()
        surrogate = make_surrogate(study, made, find_table(study, made, network), iterations=iterations)
        growth, error_report = surrogate.card["held_out"]["growth"], surrogate.error_report
        _say(
            f"surrogate in {made.folder / 'surrogate'}: growth within {growth['worst']:.4f} 1/h, R2 {growth['r2']:.5f}"
        )
        _say(
            f"no certificate: {made.summary['atlas']['regions']} critical regions fill only "
            f"{made.summary['atlas']['coverage']:.1%} of the domain; a smaller domain, or fewer inputs, can be certified"
            if error_report is None
            else str(error_report)
        )


@app.command()
def simulate(
    file: StudyFile,
    feed: Annotated[Path, typer.Option(help="Feed table (CSV: from, to, rate), as a run writes it.")],
    folder: Folder = None,
    program: Annotated[bool, typer.Option("--lp", help="With the linear program itself as the cell.")] = False,
) -> None:
    """Simulate a feed table, with the surrogate or with the linear program in the loop."""
    from mmopt.fba.flux_program import FluxProgram
    from mmopt.reactor.profiles import read_feed
    from mmopt.reactor.simulate import simulate as integrate
    from mmopt.study.stages import find_surrogate

    with _opened(file, folder) as (study, made):
        problem = study.problem()
        network = study.cell()
        surrogate = find_surrogate(study, made, network)
        cell: Any = FluxProgram(network, surrogate.inputs) if program else surrogate
        profiles = {name: read_feed(feed) for name in problem.controls}
        with made.stage("simulation"):
            found = integrate(
                problem.system,
                problem.start,
                profiles,
                problem.horizon.hours,
                cell,
                parameters=problem.parameter_values,
            )
            made.keep("simulation", found)
            found.to_csv(made.folder / "simulation.csv")
        reached = f"{problem.objective.name} {problem.objective_value(found):.4g} at {problem.horizon.hours:g} h"
        _say(f"{reached}; {made.folder / 'simulation.csv'}")


@app.command()
def optimise(file: StudyFile, folder: Folder = None) -> None:
    """Find the optimal feed and replay it on the linear program."""
    from mmopt.fba.atlas import Atlas
    from mmopt.study.stages import find_surrogate, plan_and_replay

    with _opened(file, folder) as (study, made):
        problem = study.problem()
        network = study.cell()
        surrogate = find_surrogate(study, made, network)
        plan, replayed_on_reference = plan_and_replay(made, problem, surrogate, Atlas(network, surrogate.domain))
        _say(
            f"{problem.objective.name}: optimiser {plan.stats['optimum']:.4g}, integrated {plan.stats['resimulated']:.4g}, "
            f"linear program {replayed_on_reference.stats['replayed']:.4g}; feed table in {made.folder}"
        )


@app.command()
def diagnose(file: StudyFile, folder: Folder = None) -> None:
    """Look for flaws in the structure of the study's optimisation with the tools of IDAES, all choices fixed."""
    from mmopt.study.stages import find_surrogate
    from mmopt.transcription.diagnose import diagnose as look
    from mmopt.transcription.diagnose import few_elements

    with _opened(file, folder) as (study, made):
        found = look(few_elements(study.problem()), find_surrogate(study, made, study.cell()))
        for warning in found:
            _say(warning)
        _say(
            f"{len(found)} structural warnings"
            if found
            else "no structural warnings: the problem is square and nonsingular"
        )
        if found:
            raise typer.Exit(1)


@app.command()
def nmpc(file: StudyFile, folder: Folder = None) -> None:
    """Run the closed loop of the study on its disturbed plant."""
    from mmopt.errors import StudyError
    from mmopt.fba.atlas import Atlas
    from mmopt.study.stages import close_loop, find_surrogate

    with _opened(file, folder) as (study, made):
        if study.nmpc is None:
            raise StudyError(f"{file} has no part 'nmpc'; add one, see case_studies/ecoli_fedbatch/study.yaml")
        network = study.cell()
        surrogate = find_surrogate(study, made, network)
        close_loop(study.nmpc, made, study.problem(), surrogate, Atlas(network, surrogate.domain))
        told = made.summary["nmpc"]
        _say(
            f"closed loop: {told['final_biomass']:.4g}, {told['ratio']:.1%} of a controller that knows the plant; "
            f"{told['steps']} steps, {told['fallbacks']} fallbacks, median {told['median_ms']:.0f} ms"
        )


@app.command()
def doctor() -> None:
    """Say what is installed, which Ipopt and linear solvers would be used, and solve a test problem."""
    from mmopt.doctor import examine

    healthy = True
    for what, found, good in examine():
        healthy &= good
        _say(f"{'ok ' if good else 'NOT OK '} {what}: {found}")
    if not healthy:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; turn mmopt's errors into one line and an exit code."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        app(args=arguments, prog_name="mmopt")
    except MmoptError as error:
        if debug:
            raise
        typer.echo(f"mmopt: {error}", err=True)
        sys.exit(2 if isinstance(error, ValueError) else 1)


@contextmanager
def _opened(file: Path, folder: Path | None) -> Iterator[tuple["Study", "Run"]]:
    """A checked study, and a run folder that tells its progress on the terminal."""
    from mmopt.study.schema import read_study
    from mmopt.study.stages import Run, read_summary

    study = read_study(file)
    name = file.resolve().parent.name if file.stem == "study" else file.stem
    with _progress() as tell:
        where = folder or Path("runs") / name
        yield study, Run(where, tell, read_summary(where))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Steps a second, while they are made."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None or task.finished else f"{task.speed:.4g}/s")

    columns = (
        TextColumn("{task.description:<40}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield tell


def _print_summary(summary: dict[str, Any], folder: Path) -> None:
    """What a user wants to know first."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=summary["title"], title_justify="left")
    for heading in ("feed", r"on the linear program \[g]", "optimum gains"):
        table.add_column(heading)
    for row in summary["results"]:
        gain = "" if row["gain"] is None else f"{row['gain']:+.1%}"
        table.add_row(row["label"], f"{row['lp']:.2f}", gain)
    console.print(table)
    for row in summary["results"]:
        if row["gain"] is not None and row["gain"] < 0.0:
            console.print(f"{row['label']}: {row['note']}")
    gaps = summary["gaps"]
    console.print(
        f"plan against integration {gaps['resimulation']:.2%}, against the linear program {gaps['replay']:.2%}"
    )
    worst = max((row["relative"] for row in summary["violations"]), default=0.0)
    console.print(f"limits broken on the linear program: {f'by up to {worst:.2%}' if worst else 'none'}")
    if "nmpc" in summary:
        told = summary["nmpc"]
        console.print(
            f"closed loop, {told['disturbance']}: {told['final_biomass']:.2f} g, {told['ratio']:.1%} of a controller that "
            f"knows the plant; {told['fallbacks']} fallbacks in {told['steps']} steps, median {told['median_ms']:.0f} ms"
        )
    console.print(f"report: {folder / 'report.html'}    feed table: {folder / 'feed.csv'}")


def _say(text: str) -> None:
    typer.echo(text)


if __name__ == "__main__":
    main()

"""A run: its folder, the report of its progress, and the summary of what its stages have computed so far."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from mmopt.fba.atlas import Atlas
from mmopt.problem.problem import Problem
from mmopt.report.run_folder import CAMPAIGN_FILE, FLUXES, PARITY_FILE, TRAJECTORIES
from mmopt.report.summary import SUMMARY_FILE, RunSummary, read_summary
from mmopt.report.write import REPORT_FILE
from mmopt.results import Trajectory
from mmopt.study.description import describe_study

_SIMULATION: Final = ("simulation.nc", "simulation.csv")

TABLE_FILE: Final = "fluxes.nc"
"""The table of fluxes."""

BATCHES: Final = "batches"
"""Folder of the closed loops of a campaign, until it is complete."""

StepProgress = Callable[[int, int], None]
"""Called with the steps that are done and the steps in total."""


class Progress(Protocol):
    """Receives the progress of stages, such as the bars of the command line."""

    def __call__(self, stage: str, done: int, total: int, detail: str = "", *, ended: bool = False) -> None:
        """Report that ``done`` of ``total`` steps of a stage are done; ``detail`` says what it does now."""


def no_progress(stage: str, done: int, total: int, detail: str = "", *, ended: bool = False) -> None:
    """Ignore progress.

    Parameters
    ----------
    stage
        Name of the stage.
    done, total
        Steps.
    detail
        What the stage does now.
    ended
        Whether the stage has ended.

    Examples
    --------
    >>> no_progress("network", 0, 1)
    """


@dataclass
class Run:
    """A run folder with the summary of its results.

    Attributes
    ----------
    folder
        Where results are written.
    summary
        What the stages have computed so far.
    progress
        Receives the progress of stages.
    atlas
        The critical regions that an earlier stage explored.

    Examples
    --------
    >>> Run(Path("runs/first"), RunSummary(title="First")).summary.title
    'First'
    """

    folder: Path
    summary: RunSummary
    progress: Progress = no_progress
    atlas: Atlas | None = None

    @contextmanager
    def stage(self, name: str, steps: int = 1) -> Iterator[StepProgress]:
        """Time a stage and report its progress; the summary is written when it ends.

        Parameters
        ----------
        name
            Name of the stage.
        steps
            Number of its steps.

        Yields
        ------
        Callable
            To be called with the steps that are done and the steps in total.
        """
        started = time.perf_counter()
        self.progress(name, 0, steps)
        yield lambda done, total: self.progress(name, done, total)
        seconds = round(time.perf_counter() - started, 2)
        self.record(timings={**(self.summary.timings or {}), name: seconds})
        self.progress(name, steps, steps, ended=True)

    def has_done(self, name: str) -> bool:
        """Return whether a stage of a whole run has ended, in this process or before an interruption.

        Parameters
        ----------
        name
            Name of the stage.

        Returns
        -------
        bool
        """
        return self.summary.unfinished is not None and name in (self.summary.timings or {})

    def record(self, **fields: Any) -> None:
        """Change fields of the summary, and write it.

        Parameters
        ----------
        fields
            New values by name, see `RunSummary`.
        """
        self.summary = self.summary.changed(**fields)
        self.summary.write(self.folder)

    def save(self, name: str, trajectory: Trajectory) -> Trajectory:
        """Save a trajectory in the folder.

        Parameters
        ----------
        name
            Name of the file, without suffix.
        trajectory
            The trajectory.

        Returns
        -------
        Trajectory
            The same.
        """
        trajectory.save(self.folder / f"{name}.nc")
        return trajectory


def begin_run(
    folder: str | Path, title: str, problem: Problem, progress: Progress = no_progress, *, mark: str | None = None
) -> Run:
    """Open a run folder for a study; results of another study in it are moved to ``previous``.

    Parameters
    ----------
    folder
        The folder; it is created when the first result is written.
    title, problem
        Title and problem of the study.
    progress
        Receives the progress of stages.
    mark
        Mark of a study that is run as a whole, see `mmopt.study.description.mark_of`: results of the same study are moved,
        too, unless they are those of an interrupted run with this mark, which is continued. None for one of its stages.

    Returns
    -------
    Run
        The run.

    Raises
    ------
    StudyError
        If the folder has a summary that is malformed.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0), {"feed": (0.0, 0.1)})
    >>> begin_run("runs/none", "A title", problem, mark="f3a1").summary.title
    'A title'
    """
    run = open_run(folder, title, progress)
    _remove_temporaries(run.folder, (TABLE_FILE, *_files(run.summary), *(f"{name}.csv" for name in problem.controls)))
    described = describe_study(title, problem)
    other = run.summary.problem is not None and run.summary.problem != described["problem"]
    if mark is not None and mark == run.summary.unfinished:
        return run
    if mark is not None or other:
        _move_results(run.folder, run.summary)
        return Run(run.folder, RunSummary(title=title), progress)
    run.summary = run.summary.changed(unfinished=None)  # results of a stage alone are not those of the run
    return run


def _files(summary: RunSummary) -> list[str]:
    """Names of the files with the results of a run."""
    names = [SUMMARY_FILE, REPORT_FILE, PARITY_FILE, CAMPAIGN_FILE, *_SIMULATION]
    names += [f"{name}.nc" for name in (*TRAJECTORIES, *FLUXES)]
    return [*names, *(f"{name}.csv" for name in summary.feeds or ())]


def _remove_temporaries(folder: Path, names: Sequence[str]) -> None:
    """Remove what a killed process left of files that it was writing."""
    for file in map(Path, names):
        for left in folder.glob(f".{file.stem}-????????{file.suffix}"):
            left.unlink(missing_ok=True)


def _move_results(folder: Path, summary: RunSummary) -> None:
    """Move the results of an earlier run to ``previous``, in place of those there."""
    files = _files(summary)
    shutil.rmtree(folder / BATCHES, ignore_errors=True)
    present = [folder / name for name in files if (folder / name).is_file()]
    if present:
        previous = folder / "previous"
        previous.mkdir(exist_ok=True)
        for name in files:
            (previous / name).unlink(missing_ok=True)
        for path in present:
            path.replace(previous / path.name)


def open_run(folder: str | Path, title: str, progress: Progress = no_progress) -> Run:
    """Open a run folder; results of earlier stages in it are kept.

    Parameters
    ----------
    folder
        The folder; it is created when the first result is written.
    title
        Title of the study.
    progress
        Receives the progress of stages.

    Returns
    -------
    Run
        The run.

    Raises
    ------
    StudyError
        If the folder has a summary that is malformed.

    Examples
    --------
    >>> open_run("runs/none", "A title").summary.title
    'A title'
    """
    folder = Path(folder)
    begun = (folder / SUMMARY_FILE).exists()
    summary = read_summary(folder).changed(title=title) if begun else RunSummary(title=title)
    return Run(folder, summary, progress)

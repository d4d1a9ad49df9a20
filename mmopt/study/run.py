"""A run: its folder, the report of its progress, and the summary of what its stages have computed so far."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mmopt.fba.atlas import Atlas
from mmopt.report.summary import SUMMARY_FILE, RunSummary, read_summary
from mmopt.results import Trajectory

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

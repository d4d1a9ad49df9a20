"""What the command line shows: the progress of stages, and the results of a run.

A terminal gets bars; a file or a pipe gets plain lines, at least one when a stage begins and one when it ends.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task

    from mmopt.report.records import CampaignRecord, ClosedLoopRecord
    from mmopt.report.summary import RunSummary
    from mmopt.study.run import Progress

_QUIET: Final = 30.0
"""Longest time without a line about a stage whose steps go on [s]."""


def say(text: str) -> None:
    """Print a line of results.

    Parameters
    ----------
    text
        The line.

    Examples
    --------
    >>> say("done")
    done
    """
    typer.echo(text)


def warn(text: str) -> None:
    """Print an error on the standard error stream.

    Parameters
    ----------
    text
        The message: one line, or one per mistake of a study.

    Examples
    --------
    >>> warn("no such file")
    """
    typer.echo(f"mmopt: {text}", err=True)


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show progress on the standard error stream: as bars on a terminal, else as plain lines.

    Yields
    ------
    Progress
        To be called when a stage begins, advances and ends.

    Examples
    --------
    >>> with progress() as report:
    ...     report("network", 1, 1)
    """
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    with _bars() as bars:
        yield bars


class PlainProgress:
    """Progress as plain lines: when a stage begins, when it ends, and in between every half minute.

    Examples
    --------
    >>> PlainProgress()("network", 1, 1)
    """

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._stages: dict[str, float] = {}
        self._latest = 0.0

    def __call__(self, stage: str, done: int, total: int, detail: str = "", *, ended: bool = False) -> None:
        """Report that ``done`` of ``total`` steps of a stage are done.

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
        """
        now = time.perf_counter()
        if ended:
            self._line(now, f"{stage}: done in {now - self._stages.pop(stage, now):.1f} s")
        elif stage not in self._stages:
            self._stages[stage] = now
            self._line(now, stage)
        elif now - self._latest > _QUIET:
            self._line(now, f"{stage}: {detail or f'{done} of {total}'}")

    def _line(self, now: float, text: str) -> None:
        self._latest = now
        print(f"[{now - self._begun:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def _bars() -> "Iterator[Progress]":
    from rich.console import Console
    from rich.progress import Progress

    with Progress(*_columns(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int, detail: str = "", *, ended: bool = False) -> None:
            # a stage of one step has no length until it ends: its bar moves, and the detail says what it does
            known = total if total > 1 or ended else None
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=known, detail=detail)
            bars.update(tasks[stage], completed=done, total=known, detail=detail)

        yield report


def _columns() -> "Iterator[ProgressColumn]":
    """Columns that fit into 80 characters."""
    from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Steps(ProgressColumn):
        """Steps that are done, their rate and the time they still take; of a stage without steps, what it does now."""

        def render(self, task: "Task") -> Text:
            if task.total is None or task.total == 1:
                return Text(str(task.fields["detail"]), no_wrap=True)
            rate = "" if task.speed is None or task.finished else f" {task.speed:.3g}/s"
            left = "" if task.finished or not task.time_remaining else f" {task.time_remaining:.0f} s"
            return Text(f"{task.completed:.0f}/{task.total:.0f}{rate}{left}", no_wrap=True)

    yield SpinnerColumn(finished_text="✓")
    yield TextColumn("{task.description:<33}")
    yield BarColumn(bar_width=10)
    yield TimeElapsedColumn()
    yield Steps()


def show_results(summary: "RunSummary", folder: Path) -> None:
    """Print the results of a run.

    Parameters
    ----------
    summary
        The results.
    folder
        The run folder.

    Examples
    --------
    >>> from mmopt.report import RunSummary
    >>> show_results(RunSummary(title="A first run"), Path("runs/first"))
    report: runs/first/report.html
    """
    if summary.surrogate is not None:
        from mmopt.surrogate.error_report import training_notes

        for note in training_notes(summary.surrogate.card):
            say(note)
    if summary.results:
        _show_feeds(summary)
    if summary.gaps is not None:
        integration, reference = _percent(summary.gaps.integration), _percent(summary.gaps.reference)
        say(f"gap of the plan to its integration {integration}, to the linear program {reference}")
    if summary.violations is not None:
        worst = max((row.relative or 0.0 for row in summary.violations), default=0.0)
        say(f"limits violated on the linear program: {f'by up to {worst:.2%}' if worst else 'none'}")
    if summary.limits_not_kept:
        say(summary.limits_not_kept)
    if summary.closed_loop is not None:
        disturbance = ", ".join(f"{n} {a.value:g} {a.unit}" for n, a in summary.closed_loop.disturbance.items())
        say(
            f"closed loop with {disturbance or 'the plant as assumed'}: {closed_loop_line(summary.closed_loop, summary)}"
        )
        if summary.closed_loop.campaign is not None:
            say(f"closed loop with other noise, {campaign_line(summary.closed_loop.campaign, summary)}")
    say(f"report: {folder / 'report.html'}")
    for name in summary.feeds or ():
        say(f"feed table: {folder / name}.csv")


def _show_feeds(summary: "RunSummary") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    unit = f" [{summary.objective_unit}]" if summary.objective_unit else ""
    table = Table(title=escape(summary.title), title_justify="left")
    for heading in ("feed", f"{summary.objective}{unit}, linear program", "optimal feed gains"):
        table.add_column(escape(heading))
    for row in summary.results or ():
        gain = "" if row.gain is None else f"{row.gain:+.1%}"
        table.add_row(escape(row.name), _number(row.reference), gain)
    Console().print(table)
    for row in summary.results or ():
        if row.note and (row.reference is None or (row.gain is not None and row.gain < 0.0)):
            say(f"{row.name}: {row.note}")


def closed_loop_line(loop: "ClosedLoopRecord", summary: "RunSummary") -> str:
    """Describe a closed loop in one line: objectives with their unit, steps and times.

    Parameters
    ----------
    loop
        The closed loop.
    summary
        The results, with the objective's name and unit.

    Returns
    -------
    str
        The line.

    Examples
    --------
    >>> from mmopt.report import RunSummary
    >>> from mmopt.report.records import ClosedLoopRecord
    >>> closed_loop_line(ClosedLoopRecord(objective=35.4, steps=24, median_ms=51.0), RunSummary(title="A"))
    'objective 35.4; 24 steps, 0 fallbacks, median 51 ms'
    """
    unit = f" {summary.objective_unit}" if summary.objective_unit else ""
    compared = []
    if loop.reference_objective is not None:
        compared.append(f"{_number(loop.reference_objective)}{unit} by a controller that knows the plant")
    if loop.open_loop_objective is not None:
        compared.append(f"{_number(loop.open_loop_objective)}{unit} by the optimal feed on the undisturbed plant")
    against = f" ({', '.join(compared)})" if compared else ""
    return (
        f"{summary.objective} {_number(loop.objective)}{unit}{against}; {loop.steps} steps, {loop.fallbacks} fallbacks, "
        f"median {loop.median_ms or 0.0:.0f} ms"
    )


def campaign_line(campaign: "CampaignRecord", summary: "RunSummary") -> str:
    """Describe a campaign in one line.

    Parameters
    ----------
    campaign
        The campaign.
    summary
        The results, with the objective's name and unit.

    Returns
    -------
    str
        The line.

    Examples
    --------
    >>> from mmopt.report import RunSummary
    >>> from mmopt.report.records import CampaignRecord
    >>> from mmopt.terminal import campaign_line
    >>> campaign_line(CampaignRecord(batches=20, lowest=34.9, median=35.3, highest=35.8), RunSummary(title="A"))
    '20 batches: objective 34.9 to 35.8, median 35.3; 0 violate a limit by more than 5 %, 0 fallbacks'
    """
    unit = f" {summary.objective_unit}" if summary.objective_unit else ""
    spread = f"{_number(campaign.lowest)} to {_number(campaign.highest)}{unit}, median {_number(campaign.median)}"
    return (
        f"{campaign.batches} batches: {summary.objective} {spread}; {campaign.violating} violate a limit by more than 5 %, "
        f"{campaign.fallbacks} fallbacks"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _percent(fraction: float | None) -> str:
    return "unknown" if fraction is None else f"{fraction:.2%}"

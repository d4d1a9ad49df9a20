"""What the stages of a study, the command line and the report exchange: one checked record, saved as ``summary.json``."""

from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from mmopt.checking import describe_problem
from mmopt.errors import StudyError, first_line
from mmopt.io.files import read_whole, write_whole
from mmopt.report.records import (
    AtlasRecord,
    ClosedLoopRecord,
    FeedRecord,
    Gaps,
    NetworkRecord,
    Number,
    OptimisationRecord,
    ParameterRecord,
    ProblemRecord,
    Record,
    ResultRow,
    StarvationRecord,
    SurrogateRecord,
    ViolationRow,
)

SUMMARY_FILE: Final = "summary.json"

_LARGEST: Final = 64 * 2**20
"""Most bytes of a summary; that of the case study has 0.03 MB."""


class RunSummary(Record):
    """The results of a run, without its trajectories. Only the title is required; None is what was not computed.

    Attributes
    ----------
    title, created
        Title of the study, and date and time of the run.
    versions
        Versions of packages by name.
    network, surrogate, atlas
        The metabolic network, the surrogate, and the critical regions that were explored.
    problem
        Objective, horizon, initial state, controls and limits.
    parameters
        Value, unit and source of every parameter of the reactor.
    names
        Readable names by identifier, such as ``glucose`` for ``EX_glc__D_e``.
    optimisation
        How the optimum was computed.
    results
        One row per feed, the optimal feed first.
    gaps
        Relative differences of the plan to its integration and to the linear program.
    violations
        Limits that the optimal feed violates on the linear program.
    limits_kept
        Whether the optimal feed keeps its limits on the linear program, but for the error of the integrator.
    active_limits
        One sentence per active limit of the plan.
    feeds
        Optimal feed table by control.
    closed_loop, starvation
        The closed loop, and the simulation whose feed stops.
    timings
        Wall-clock seconds by stage.
    known_limits
        Limits of validity, one sentence each.
    unfinished
        Mark of the study whose whole run has not ended, so that the same command continues it; None after its end.

    Examples
    --------
    >>> RunSummary(title="A first run").changed(timings={"network": 3.4}).timings
    {'network': 3.4}
    >>> print(RunSummary(title="A first run"))
    RunSummary: A first run
    """

    title: str
    created: str | None = None
    versions: dict[str, str] | None = None
    network: NetworkRecord | None = None
    surrogate: SurrogateRecord | None = None
    atlas: AtlasRecord | None = None
    problem: ProblemRecord | None = None
    parameters: dict[str, ParameterRecord] | None = None
    names: dict[str, str] = Field(default_factory=dict)
    optimisation: OptimisationRecord | None = None
    results: tuple[ResultRow, ...] | None = None
    gaps: Gaps | None = None
    violations: tuple[ViolationRow, ...] | None = None
    limits_kept: bool | None = None
    active_limits: tuple[str, ...] | None = None
    feeds: dict[str, FeedRecord] | None = None
    closed_loop: ClosedLoopRecord | None = None
    starvation: StarvationRecord | None = None
    timings: dict[str, Number] | None = None
    known_limits: tuple[str, ...] | None = None
    unfinished: str | None = None

    @property
    def objective(self) -> str:
        """Name of the objective."""
        return self.problem.objective.name if self.problem else "objective"

    @property
    def objective_unit(self) -> str:
        """Unit of the objective."""
        return self.problem.objective.unit if self.problem else ""

    @property
    def limits_not_kept(self) -> str:
        """Which limits the optimal feed does not keep, as a sentence; empty if it keeps all, or none was checked."""
        if self.limits_kept is not False:
            return ""
        rows = [
            f"{row.limit.replace('_', ' ')} reaches {row.reached:.4g} {row.unit}, allowed {row.allowed:g}"
            for row in self.violations or ()
            if row.reached is not None and row.allowed is not None
        ]
        return f"The plan does not keep its limits on the linear program: {'; '.join(rows)}"

    def changed(self, **fields: Any) -> "RunSummary":
        """Return a copy with other fields.

        Parameters
        ----------
        fields
            New values by name of the field.

        Returns
        -------
        RunSummary
            The copy; its fields are checked.
        """
        return RunSummary(**{**{name: getattr(self, name) for name in RunSummary.model_fields}, **fields})

    def row(self, role: str) -> ResultRow | None:
        """Return the result of a feed.

        Parameters
        ----------
        role
            ``optimum``, or the name of a simple feed, such as ``constant``.

        Returns
        -------
        ResultRow or None
            None if there is none.
        """
        return next((row for row in self.results or () if row.role == role), None)

    def write(self, folder: str | Path) -> Path:
        """Write ``summary.json``; the file appears complete or not at all.

        Parameters
        ----------
        folder
            The run folder.

        Returns
        -------
        Path
            The file.
        """
        text = self.model_dump_json(indent=1, exclude_none=True)
        return write_whole(Path(folder) / SUMMARY_FILE, lambda temporary: temporary.write_text(text + "\n", "utf-8"))

    def __repr__(self) -> str:
        return f"RunSummary: {self.title}" + (f", {self.created}" if self.created else "")

    __str__ = __repr__


def read_summary(folder: str | Path) -> RunSummary:
    """Read ``summary.json`` of a run folder.

    Parameters
    ----------
    folder
        The run folder.

    Returns
    -------
    RunSummary
        The summary.

    Raises
    ------
    StudyError
        If the file is missing or malformed; the first wrong entry is named.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = RunSummary(title="A first run").write(folder)
    ...     read_summary(folder).title
    'A first run'
    """
    path = Path(folder) / SUMMARY_FILE
    try:
        return RunSummary.model_validate_json(read_whole(path, _LARGEST))
    except OSError as error:
        raise StudyError(f"{path} cannot be read ({error.strerror}); run the study again") from error
    except ValidationError as error:
        problem = describe_problem(error.errors()[0]) if error.errors()[0]["loc"] else first_line(error)
        raise StudyError(f"{path} is not a summary of a run: {problem}; run the study again") from error

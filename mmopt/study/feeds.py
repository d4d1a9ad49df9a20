"""The stage that compares the optimal feed with the best simple ones."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from mmopt.errors import InfeasibleError, StudyError, first_line
from mmopt.fba.atlas import Atlas
from mmopt.optimisation.simple_feeds import best_constant, best_exponential
from mmopt.parallel.background import Background
from mmopt.problem.problem import Problem
from mmopt.report.records import ResultRow
from mmopt.results import Trajectory
from mmopt.study.run import Run

_SEARCHES: Final = {"constant": best_constant, "exponential": best_exponential}


@dataclass(frozen=True)
class SimpleFeed:
    """The best feed of a simple shape.

    Attributes
    ----------
    shape
        Its numbers as text.
    trajectory
        Its simulation with exact fluxes.

    Examples
    --------
    >>> from mmopt import Status
    >>> from mmopt.results import trajectory
    >>> volume = {"volume": ("state", "L", np.array([1.0, 2.0]))}
    >>> SimpleFeed("rate 0.1", trajectory(np.array([0.0, 1.0]), volume, Status.SIMULATED)).shape
    'rate 0.1'
    """

    shape: str
    trajectory: Trajectory


def search_simple_feeds(problem: Problem, atlas: Atlas) -> Background:
    """Begin to search for the best simple feeds in another process.

    Parameters
    ----------
    problem
        The problem; it has one control.
    atlas
        Exact fluxes, with which every feed is simulated.

    Returns
    -------
    Background
        The searches, in the order in which `compare_feeds` reads their results.
    """
    return Background(*(partial(_search, role, problem, atlas) for role in _SEARCHES))


def _search(role: str, problem: Problem, atlas: Atlas) -> SimpleFeed:
    feed, trajectory = _SEARCHES[role](problem, atlas)
    return SimpleFeed(", ".join(f"{name} {value:.4g}" for name, value in vars(feed).items()), trajectory)


def compare_feeds(run: Run, problem: Problem, searches: Background) -> tuple[ResultRow, ...]:
    """Compare the optimal feed with the best simple ones, all on the linear program.

    Parameters
    ----------
    run
        The run, with the row of the optimal feed; gets the trajectories, and the rows in its summary.
    problem
        The problem.
    searches
        The searches for simple feeds.

    Returns
    -------
    tuple of ResultRow
        One row per feed, the optimal feed first.

    Raises
    ------
    SolverError
        If a search failed. A feed that does not exist has a row that says why.
    """
    optimum = run.summary.row("optimum")
    planned = None if optimum is None else optimum.reference
    rows = [] if optimum is None else [optimum]
    for role in _SEARCHES:
        with run.stage(f"best {role} feed"):
            try:
                feed: SimpleFeed = searches.result()
            except (InfeasibleError, StudyError) as error:
                rows.append(ResultRow(role=role, name=f"Best {role} feed", note=f"there is none: {first_line(error)}"))
                continue
            run.save(role, feed.trajectory)
        reached = problem.objective_value(feed.trajectory)
        gain = planned / reached - 1.0 if reached and planned is not None else None
        note = "; ".join(filter(None, [_verdict(gain), feed.shape]))
        rows.append(ResultRow(role=role, name=f"Best {role} feed", reference=reached, gain=gain, note=note))
    run.record(results=tuple(rows))
    return tuple(rows)


def _verdict(gain: float | None) -> str:
    if gain is None or gain >= 0.0:
        return "" if gain is None else f"the optimal feed gives {gain:.1%} more"
    return f"better than the planned feed, which gives {-gain:.1%} less: divide the horizon into more elements"

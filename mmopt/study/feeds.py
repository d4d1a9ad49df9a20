"""The stage that compares the optimal feed with the best simple ones."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from mmopt.errors import SolverError
from mmopt.fba.atlas import Atlas
from mmopt.optimisation.simple_feeds import best_constant, best_exponential
from mmopt.parallel.pool import ProcessPool
from mmopt.problem.problem import Problem
from mmopt.report.records import ResultRow
from mmopt.results import Trajectory
from mmopt.study.run import Run
from mmopt.transcription.plan import Plan, Replay

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
    >>> from mmopt.results import Status, trajectory
    >>> volume = {"volume": ("state", "L", np.array([1.0, 2.0]))}
    >>> SimpleFeed("rate 0.1", trajectory(np.array([0.0, 1.0]), volume, Status.SIMULATED)).shape
    'rate 0.1'
    """

    shape: str
    trajectory: Trajectory


Searches = Mapping[str, "Future[SimpleFeed]"]
"""Searches in progress by the name of the shape."""


@dataclass(frozen=True)
class _Search:
    """What another process needs to search for simple feeds."""

    problem: Problem
    atlas: Atlas

    def solve(self, role: str) -> SimpleFeed:
        """Search for the best feed of one shape."""
        feed, trajectory = _SEARCHES[role](self.problem, self.atlas)
        return SimpleFeed(", ".join(f"{name} {value:.4g}" for name, value in vars(feed).items()), trajectory)


@contextmanager
def search_simple_feeds(problem: Problem, atlas: Atlas) -> Iterator[Searches]:
    """Search for the best simple feeds in another process, which ends with the block.

    Parameters
    ----------
    problem
        The problem; it has one control.
    atlas
        Exact fluxes, with which every feed is simulated.

    Yields
    ------
    Mapping
        The searches by name of the shape.
    """
    with closing(ProcessPool(_Search(problem, atlas), 1)) as pool:
        yield {role: pool.submit(role) for role in _SEARCHES}


def compare_feeds(run: Run, problem: Problem, plan: Plan, replay: Replay, searches: Searches) -> tuple[ResultRow, ...]:
    """Compare the optimal feed with the best simple ones, all on the linear program.

    Parameters
    ----------
    run
        The run; gets the trajectories, and the rows in its summary.
    problem
        The problem.
    plan, replay
        The plan, and its simulation on the linear program.
    searches
        Searches for simple feeds.

    Returns
    -------
    tuple of ResultRow
        One row per feed, the optimal feed first.

    Raises
    ------
    SolverError
        If a search ended without a result.
    """
    rows = list(run.summary.results or ())
    for role, search in searches.items():
        with run.stage(f"best {role} feed"):
            feed = _result(role, search)
            run.save(role, feed.trajectory)
        reached = problem.objective_value(feed.trajectory)
        gain = replay.objective / reached - 1.0 if reached else None
        note = "; ".join(filter(None, [_verdict(gain), feed.shape]))
        rows.append(ResultRow(role=role, name=f"Best {role} feed", reference=reached, gain=gain, note=note))
    run.record(results=tuple(rows))
    return tuple(rows)


def _result(role: str, search: "Future[SimpleFeed]") -> SimpleFeed:
    try:
        return search.result()
    except ProcessPool.deaths as error:
        raise SolverError(f"the search for the best {role} feed ended without a result; run the study again") from error


def _verdict(gain: float | None) -> str:
    if gain is None or gain >= 0.0:
        return "" if gain is None else f"the optimal feed gives {gain:.1%} more"
    return f"better than the planned feed, which gives {-gain:.1%} less: divide the horizon into more elements"

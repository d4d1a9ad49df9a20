"""The workers of a running Dask scheduler as a crew; the only file that imports Dask."""

from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final

from mmopt.errors import SolverError, StudyError, first_line
from mmopt.parallel.pool import TaskSolver

DECIDING: Final = ("mmopt", "highspy", "numpy")
"""Packages whose versions can decide the last bits of a label."""

_PATIENCE: Final = 10.0
"""How long a Dask scheduler may take to answer, or to find a first worker [s]."""


def versions() -> dict[str, str]:
    """Versions of the packages that can decide the last bits of a label."""
    return {package: version(package) for package in DECIDING}


class Cluster:
    """The workers of a running Dask scheduler."""

    def __init__(self, solver: TaskSolver, scheduler: str) -> None:
        from distributed import Client, KilledWorker

        self.deaths: tuple[type[BaseException], ...] = (KilledWorker, CancelledError)
        self._scheduler = scheduler
        self._solver = solver
        try:
            self._client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise StudyError(
                f"no Dask scheduler answers at {scheduler} ({first_line(error)}); start one with `dask scheduler`, and "
                "give the address it tells"
            ) from error
        try:
            self._check_workers()
            self.renew()
        except BaseException:
            self.close()
            raise

    def room(self) -> int:
        """How many chunks may be in flight."""
        with self._told_if_lost():
            return 2 * max(1, len(self._client.nthreads()))  # one at work, one on its way, at each worker

    def submit(self, task: Any) -> "Future[Any]":
        """Hand out one chunk."""
        with self._told_if_lost():
            future: Future[Any] = self._executor.submit(_solve, self._sent, task)
        return future

    def renew(self) -> None:
        """Send the answers to all workers; those that had them may be gone."""
        with self._told_if_lost():
            self._sent = self._client.scatter(self._solver, broadcast=True, hash=False)
            self._executor = self._client.get_executor(pure=False)

    def close(self) -> None:
        """Send everybody home, now."""
        self._client.close()

    @contextmanager
    def _told_if_lost(self) -> Iterator[None]:
        from distributed.client import ClosedClientError

        try:
            yield
        except (OSError, TimeoutError, ClosedClientError) as error:
            raise SolverError(
                f"the Dask scheduler at {self._scheduler} was lost ({first_line(error)}); start it again and run the same "
                "again: with a journal it goes on from the chunks that are done"
            ) from error

    def _check_workers(self) -> None:
        """Refuse a cluster that cannot do the work, or whose numbers could differ in their last bits."""
        from distributed import TimeoutError as Late

        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except Late as error:
            raise StudyError(
                f"the Dask scheduler at {self._scheduler} has no workers; start some with "
                f"`dask worker {self._scheduler} --nworkers auto --nthreads 1`"
            ) from error
        ours = versions()
        for worker, theirs in self._client.run(versions, on_error="return").items():
            if theirs != ours:
                said = first_line(theirs) if isinstance(theirs, Exception) else _named(theirs)
                raise StudyError(
                    f"Dask worker {worker} cannot work with us: it has {said}, here is {_named(ours)}; "
                    "install the same versions everywhere"
                )


def _solve(solver: TaskSolver, task: Any) -> Any:
    return solver.solve(task)


def _named(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {number}" for package, number in packages.items())

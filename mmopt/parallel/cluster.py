"""The workers of a running Dask scheduler as a pool; the only file that imports Dask."""

from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, Final, Self

from mmopt.checking import shown
from mmopt.errors import SolverError, StudyError, first_line, missing_package
from mmopt.parallel.pool import TaskSolver

DECIDING: Final = ("mmopt", "highspy", "numpy")
"""Packages whose versions can decide the last bits of a flux."""

_PATIENCE: Final = 10.0
"""How long a Dask scheduler may take to answer, or to get a first worker [s]."""


def versions() -> dict[str, str]:
    """Return the versions of the packages that can decide the last bits of a flux."""
    return {package: version(package) for package in DECIDING}


class Cluster:
    """The workers of a running Dask scheduler.

    Parameters
    ----------
    solver
        The solver; it, its tasks and its results must be picklable.
    scheduler
        Address of the scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises
    ------
    StudyError
        If Dask is not installed, the address is no text, no scheduler answers there, or it has no workers or workers
        with other versions of the packages that decide the result.

    Examples
    --------
    >>> from mmopt.parallel import Cluster
    >>> Cluster(read_network("textbook"), scheduler=8786)
    Traceback (most recent call last):
    mmopt.errors.StudyError: scheduler is 8786; give its address as a text, such as 'tcp://127.0.0.1:8786'
    """

    def __init__(self, solver: TaskSolver, scheduler: str) -> None:
        if not isinstance(scheduler, str) or not scheduler.strip():
            raise StudyError(
                f"scheduler is {shown(scheduler)}; give its address as a text, such as 'tcp://127.0.0.1:8786'"
            )
        try:
            from distributed import KilledWorker
        except ImportError as error:
            raise missing_package("workers of a Dask cluster", "distributed", "cluster") from error

        self.deaths: tuple[type[BaseException], ...] = (KilledWorker, CancelledError)
        self._scheduler = scheduler
        self._solver = solver
        try:
            self._client = _connected(scheduler)
        except (OSError, ValueError, TypeError) as error:
            raise StudyError(
                f"no Dask scheduler answers at {scheduler} ({first_line(error)}); start one with `dask scheduler`, and "
                "give the address that it prints"
            ) from error
        try:
            self._check_workers()
            self.renew()
        except BaseException:
            self.close()
            raise

    def room(self) -> int:
        """Return how many tasks may be in flight."""
        with self._explained_if_lost():
            return 2 * max(1, len(self._client.nthreads()))  # one at work, one on its way, at each worker

    def submit(self, task: Any) -> "Future[Any]":
        """Hand out one task.

        Parameters
        ----------
        task
            Argument of the solver, picklable.

        Returns
        -------
        Future
            Future of the result.
        """
        with self._explained_if_lost():
            future: Future[Any] = self._executor.submit(_solve, self._sent, task)
        return future

    def renew(self) -> None:
        """Send the solver to all workers; those that had it may be gone."""
        with self._explained_if_lost():
            self._sent = self._client.scatter(self._solver, broadcast=True, hash=False)
            self._executor = self._client.get_executor(pure=False)

    def close(self) -> None:
        """Disconnect from the scheduler now; tasks in flight are cancelled."""
        self._client.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect from the scheduler."""
        self.close()

    def __repr__(self) -> str:
        return f"Cluster({self._scheduler!r})"

    @contextmanager
    def _explained_if_lost(self) -> Iterator[None]:
        from distributed.client import ClosedClientError

        try:
            yield
        except (OSError, TimeoutError, ClosedClientError) as error:
            raise SolverError(
                f"the Dask scheduler at {self._scheduler} was lost ({first_line(error)}); start it again and run the same "
                "again: with a journal it continues from the chunks that are done"
            ) from error

    def _check_workers(self) -> None:
        """Refuse a cluster that cannot do the work, or whose numbers could differ in their last bits."""
        from distributed import TimeoutError as NoWorkersInTime

        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except NoWorkersInTime as error:
            raise StudyError(
                f"the Dask scheduler at {self._scheduler} has no workers; start some with "
                f"`dask worker {self._scheduler} --nworkers auto --nthreads 1`"
            ) from error
        ours = versions()
        for worker, theirs in self._client.run(versions, on_error="return").items():
            if theirs != ours:
                reported = first_line(theirs) if isinstance(theirs, Exception) else _named(theirs)
                raise StudyError(
                    f"Dask worker {worker} cannot work with us: it has {reported}, here is {_named(ours)}; "
                    "install the same versions everywhere"
                )


def _connected(scheduler: str) -> Any:
    """A client of a scheduler; one that cannot connect is closed at once.

    Otherwise the garbage collector closes it later, in whatever thread it runs, and may wait there for a lock that this
    thread's owner holds.
    """
    from distributed import Client

    class ClosedIfLost(Client):  # type: ignore[misc]
        def start(self, **settings: Any) -> None:
            try:
                super().start(**settings)
            except BaseException:
                self.close()
                raise

    return ClosedIfLost(scheduler, timeout=_PATIENCE, set_as_default=False)


def _solve(solver: TaskSolver, task: Any) -> Any:
    return solver.solve(task)


def _named(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {number}" for package, number in packages.items())

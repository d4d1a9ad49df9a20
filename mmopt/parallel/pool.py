"""Pools that solve tasks in other processes, and the one of processes on this machine.

A pool takes tasks and returns futures, so that one loop serves any pool. Each process has a pipe of its own, and holds
the only other end of it: its death is the end of a file, even in the middle of a result. That is why this is not the
pool of the standard library, which shares one pipe among all workers and waits for ever for the rest of such a result.

A process imports for more than a second. On Linux one does it once, and the others are forked from it: it has done nothing but
import, has no solver and no open file, so that they are as fresh as those that are started anew elsewhere.
"""

import pickle
import sys
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Any, Final, Protocol, Self

from mmopt.checking import shown
from mmopt.errors import StudyError, first_line
from mmopt.parallel.worker import work


class TaskSolver(Protocol):
    """An object that is sent to other processes and solves tasks there."""

    def solve(self, task: Any, /) -> Any:
        """Solve one task; the task and its result are pickled."""


class Pool(Protocol):
    """Workers that take tasks and return futures."""

    @property
    def deaths(self) -> tuple[type[BaseException], ...]:
        """Exceptions a future raises when its worker died."""

    def room(self) -> int:
        """How many tasks may be in flight."""

    def submit(self, task: Any) -> "Future[Any]":
        """Hand out one task."""

    def renew(self) -> None:
        """Replace dead workers."""

    def close(self) -> None:
        """End all workers now."""


_LONGEST_EXIT: Final = 5.0
"""How long a process without work may take to end [s]; it needs a fifth of a second."""

_MOST_WORKERS: Final = 1024

_IMPORTED: Final = ("mmopt.control.controller", "mmopt.dataset.workers", "mmopt.optimisation.optimise")
"""What the solvers of mmopt's own tasks need."""


class WorkerDiedError(Exception):
    """A worker process ended before it had returned a result."""


class ProcessPool:
    """Processes of this machine, each with its own copy of the solver; a dead one is replaced.

    Parameters
    ----------
    solver
        The solver; it, its tasks and its results must be picklable.
    workers
        Number of processes.

    Raises
    ------
    StudyError
        If the number of workers is no whole number from 1 to 1024, or the solver cannot be pickled.

    Examples
    --------
    >>> from mmopt.parallel import ProcessPool
    >>> program = read_network("textbook")
    >>> ProcessPool(program, workers=0)
    Traceback (most recent call last):
    mmopt.errors.StudyError: workers is 0; give a whole number from 1 to 1024
    """

    deaths: Final = (WorkerDiedError,)

    def __init__(self, solver: TaskSolver, workers: int) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= _MOST_WORKERS:
            raise StudyError(f"workers is {shown(workers)}; give a whole number from 1 to {_MOST_WORKERS}")
        self._payload = pickled(solver)
        self._size = workers
        self._threads = ThreadPoolExecutor(workers)  # one waits for each process
        self._workers: set[Worker] = set()
        self._idle: deque[Worker] = deque()
        self._closed = False

    def room(self) -> int:
        """Return how many tasks may be in flight."""
        return self._size

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
        return self._threads.submit(self._solve, task)

    def renew(self) -> None:
        """Do nothing: the next task meets no idle process, and starts a new one."""

    def close(self) -> None:
        """End all processes now."""
        self._closed = True
        idle = set(self._idle)
        for worker in idle:
            worker.dismiss()
        for worker in self._workers - idle:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in idle:
            worker.kill(after=_LONGEST_EXIT)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes."""
        self.close()

    def __repr__(self) -> str:
        return f"ProcessPool({self._size} workers)"

    def _solve(self, task: Any) -> Any:
        worker = self._idle_worker()
        try:
            result = worker.solve(task)
        except WorkerDiedError:
            self._workers.discard(worker)
            worker.kill()
            raise
        self._idle.append(worker)
        if isinstance(result, Exception):
            raise result
        return result

    def _idle_worker(self) -> "Worker":
        """An idle worker, or a new one."""
        with suppress(IndexError):
            return self._idle.popleft()
        worker = Worker(self._payload)
        self._workers.add(worker)
        if self._closed:  # meanwhile; close() may have missed this one
            worker.kill()
        return worker


def pickled(solver: TaskSolver) -> bytes:
    """Return a solver as it is sent to other processes.

    Parameters
    ----------
    solver
        The solver.

    Returns
    -------
    bytes

    Raises
    ------
    StudyError
        If it cannot be pickled.
    """
    try:
        return pickle.dumps(solver)
    except Exception as error:  # objects fail to be pickled in many ways
        raise StudyError(
            f"{shown(solver)} cannot be sent to other processes ({type(error).__name__}); give functions and classes "
            "of a module, no lambdas"
        ) from error


class Worker:
    """One process and our end of its pipe.

    Parameters
    ----------
    payload
        The pickled solver.

    Raises
    ------
    WorkerDiedError
        If the process ended while it received the solver.
    """

    def __init__(self, payload: bytes) -> None:
        context = process_context()
        self._pipe, their_end = context.Pipe()
        self._process = context.Process(target=work, args=(their_end, payload), daemon=True)
        try:
            self._process.start()
        except OSError as error:  # it was killed while it received the solver
            raise WorkerDiedError(first_line(error)) from error
        finally:
            their_end.close()

    def solve(self, task: Any) -> Any:
        """Have one task solved.

        Parameters
        ----------
        task
            The task.

        Returns
        -------
        Any
            The result; an exception is one, too.

        Raises
        ------
        WorkerDiedError
            If the process ended before it had returned a result.
        """
        try:
            self._pipe.send(task)
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerDiedError(first_line(error)) from error

    def dismiss(self) -> None:
        """Let an idle process end by itself, and clean up."""
        self._pipe.close()

    def stop(self) -> None:
        """Kill the process, whatever it does, without waiting for its end."""
        self._process.kill()

    def kill(self, after: float = 0.0) -> None:
        """End the process, whatever it does, unless it ends by itself within some time.

        Parameters
        ----------
        after
            The time [s].
        """
        self._process.join(after)
        self._process.kill()
        self._process.join()


def process_context() -> ForkServerContext | SpawnContext:
    """Return how processes are started: from one that has imported mmopt on Linux, anew elsewhere.

    Returns
    -------
    context of multiprocessing

    Examples
    --------
    >>> from mmopt.parallel.pool import process_context
    >>> process_context().get_start_method() in ("forkserver", "spawn")
    True
    """
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context

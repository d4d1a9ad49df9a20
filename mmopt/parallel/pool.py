"""Crews that solve chunks of labels, and the one of spawned processes on this machine.

A crew takes points and gives futures, so one loop serves any (`workers.py`). Each process has a pipe of its own, and holds
the only other end of it: its death is the end of a file, even in the middle of an answer. That is why this is not the
pool of the standard library, which shares one pipe among all workers and waits for ever for the rest of such an answer.
"""

import pickle
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import Any, Final, Protocol

from mmopt.errors import first_line
from mmopt.parallel.worker import work


class TaskSolver(Protocol):
    """What can be sent to a process to solve there what comes."""

    def solve(self, task: Any, /) -> Any:
        """Solve one task; both ways it is pickled."""


class Pool(Protocol):
    """Whoever takes chunks and answers with futures."""

    @property
    def deaths(self) -> tuple[type[BaseException], ...]:
        """What a future raises when a worker died over it."""

    def room(self) -> int:
        """How many chunks may be in flight."""

    def submit(self, task: Any) -> "Future[Any]":
        """Hand out one chunk."""

    def renew(self) -> None:
        """Go on after a death."""

    def close(self) -> None:
        """Send everybody home, now."""


_GOING_HOME: Final = 5.0
"""How long a process without work may take to end [s]; it needs a fifth of a second."""


class WorkerDiedError(Exception):
    """A worker process ended before it had answered."""


class ProcessPool:
    """Spawned processes of this machine, each with its own copy of who solves; a dead one is replaced."""

    deaths: Final = (WorkerDiedError,)

    def __init__(self, solver: TaskSolver, workers: int) -> None:
        self._parcel = pickle.dumps(solver)
        self._size = workers
        self._threads = ThreadPoolExecutor(workers)  # one waits for each process
        self._everybody: set[_Worker] = set()
        self._idle: deque[_Worker] = deque()
        self._closed = False

    def room(self) -> int:
        """How many chunks may be in flight."""
        return self._size

    def submit(self, task: Any) -> "Future[Any]":
        """Hand out one task, such as the points of a chunk."""
        return self._threads.submit(self._ask, task)

    def renew(self) -> None:
        """Nothing to do: the next chunk finds nobody idle, and starts a new process."""

    def close(self) -> None:
        """Send everybody home, now."""
        self._closed = True
        idle = set(self._idle)
        for worker in idle:
            worker.dismiss()
        for worker in self._everybody - idle:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in idle:
            worker.kill(after=_GOING_HOME)

    def _ask(self, task: Any) -> Any:
        worker = self._somebody()
        try:
            answer = worker.ask(task)
        except WorkerDiedError:
            self._everybody.discard(worker)
            worker.kill()
            raise
        self._idle.append(worker)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _somebody(self) -> "_Worker":
        """Somebody idle, or somebody new."""
        with suppress(IndexError):
            return self._idle.popleft()
        worker = _Worker(self._parcel)
        self._everybody.add(worker)
        if self._closed:  # meanwhile; who closed may have missed this one
            worker.kill()
        return worker


class _Worker:
    """One process and our end of its pipe."""

    def __init__(self, payload: bytes) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, payload), daemon=True)
        try:
            self._process.start()
        except OSError as error:  # it was killed while it was given the answers
            raise WorkerDiedError(first_line(error)) from error
        finally:
            theirs.close()

    def ask(self, task: Any) -> Any:
        """Have one task solved; the exception that was met is an answer, too."""
        try:
            self._pipe.send(task)
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerDiedError(first_line(error)) from error

    def dismiss(self) -> None:
        """Tell an idle process that it may end, and clean up after itself."""
        self._pipe.close()

    def kill(self, after: float = 0.0) -> None:
        """End the process, whatever it does, unless it ends by itself within some time [s]."""
        self._process.join(after)
        self._process.kill()
        self._process.join()

"""A solver that lives in a process of its own, and that answers within a budget of time or is replaced.

Compiled code can be stopped between its iterations alone, and a simulation not at all. What waits for another process can
stop waiting at any time: the process is killed, and a new one is started and compiles again in the background.
"""

import math
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import current_process
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Final

from mmopt.errors import SolverError, StudyError, first_line
from mmopt.parallel.pool import Worker, WorkerDiedError, pickled

_RESERVE, _MOST_RESERVE = 0.1, 0.5
"""Fraction of the budget, and seconds at the most, by which the solver is to end earlier by itself: a process that is killed
has to compile again."""

_LONGEST_START: Final = 300.0
"""Seconds after which a process that is not ready is replaced."""

_TRIES: Final = 2
"""Processes that may die in one step: one that was killed before it, and its successor."""


class OwnProcess:
    """A solver of a controller in a process of its own.

    It has the methods of the solver it stands for. What that keeps between solves stays in its process; a process that is
    replaced begins without it.

    Parameters
    ----------
    build
        Callable without arguments that returns the solver. It must be picklable: `functools.partial` of a class of a module.

    Raises
    ------
    StudyError
        If ``build`` cannot be pickled, or this process may not start others: a worker of a pool, or a script that is read by
        a process that it has started itself.

    Examples
    --------
    >>> from functools import partial
    >>> from mmopt.control.limits_first import LimitsFirst
    >>> from mmopt.parallel import OwnProcess
    >>> from mmopt.search.options import Deadline
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)})
    >>> solver = OwnProcess(partial(LimitsFirst, problem, load_surrogate("ecoli_textbook")))
    >>> solver.wait(), solver.solve(None, 0.0, Deadline.after(30.0)).status.name
    (True, 'OPTIMAL')
    >>> solver.close()
    """

    def __init__(self, build: Callable[[], Any]) -> None:
        if current_process().daemon:
            raise StudyError(
                "own_process is True in a worker of a pool, which may start no process; leave it out, or use no workers"
            )
        if getattr(current_process(), "_inheriting", False):
            raise StudyError(
                "put the calls of the script under `if __name__ == '__main__':`; its processes read it again"
            )
        self._build = build
        self._payload = pickled(_Host(build))
        self._life = [_Life(self._payload)]
        self._data: tuple[int, tuple[Any, ...]] = (0, ())
        self._forget = False
        self.problem: Any = None
        weakref.finalize(self, _end, self._life)

    def set_data(self, *given: Any) -> None:
        """Keep the data of the next solve, with which they are sent.

        Parameters
        ----------
        *given
            As the solver takes them.
        """
        self._data = (self._data[0] + 1, given)

    def solve(self, before: Any, begin: float, deadline: Any) -> Any:
        """Solve with the data that were set.

        Parameters
        ----------
        before
            The last plan; None if there is none.
        begin
            Time of it at which this step begins [h].
        deadline
            When the answer counts no more.

        Returns
        -------
        Any
            What the solver returns.

        Raises
        ------
        SolverError
            If there is no answer in time, or the process has died or cannot be started.
        """
        earlier = replace(deadline, at=deadline.at - min(_RESERVE * deadline.left, _MOST_RESERVE))
        answer, self.problem = self.run(_solved, before, begin, earlier, seconds=deadline.left)
        return answer

    def run(self, work: Callable[..., Any], *given: Any, seconds: float) -> Any:
        """Call a function with the solver, in its process, which has the data that were set.

        Parameters
        ----------
        work
            Function of a module; its first argument is the solver.
        *given
            Its other arguments.
        seconds
            Time after which the result counts no more.

        Returns
        -------
        Any
            What the function returns.

        Raises
        ------
        SolverError
            As `solve`.
        """
        until, died = monotonic() + seconds, ""
        for _ in range(_TRIES):
            future = self._life[0].submit(_Task(work, given, self._data, self._forget))
            try:
                done = wait([future], None if until == math.inf else max(0.0, until - monotonic())).done
            except BaseException:  # Ctrl-C, while the process works on
                self._renew()
                raise
            if not done:
                raise self._late(future, seconds)
            if not isinstance(future.exception(), WorkerDiedError):
                self._forget = False
                return future.result()
            died = str(future.exception())
            self._renew()
        raise SolverError(f"the process of the solver ended or could not be started ({died}); another one is started")

    def wait(self) -> bool:
        """Wait until the process is ready for a solve, or cannot be started.

        Returns
        -------
        bool
            Whether it is ready.
        """
        with suppress(SolverError):
            self.run(_ready, seconds=_LONGEST_START)
            return True
        return False

    def reset(self) -> None:
        """Forget all solves, for another batch of the same problem."""
        self._forget = True

    def close(self) -> None:
        """End the process now, whatever it does; another solve starts another one."""
        _end(self._life)

    def _late(self, future: "Future[Any]", seconds: float) -> SolverError:
        """Give a task up that is not done in time, and replace the process if it is at work on it."""
        if not future.cancel():
            self._renew()
            return SolverError(f"no answer within {seconds:.3g} s; its process was ended, and another one is started")
        if self._life[0].age > _LONGEST_START:
            self._renew()
        return SolverError("the process of the solver is not ready yet")

    def _renew(self) -> None:
        """End the process, and start another one in the background."""
        self._life[0].end()
        self._life[0] = _Life(self._payload)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._build,)

    def __repr__(self) -> str:
        return f"OwnProcess({self._build!r})"


def _end(life: "list[_Life]") -> None:
    life[0].end()


@dataclass(frozen=True)
class _Task:
    """A function to be called with the solver, after it was given data, if they are new."""

    work: Callable[..., Any]
    given: tuple[Any, ...] = ()
    data: tuple[int, tuple[Any, ...]] = (0, ())
    forget: bool = False


class _Host:
    """The solver in its process, built where the first task arrives."""

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build, self._version = build, 0
        self._solver: Any = None

    def solve(self, task: _Task) -> Any:
        if self._solver is None:
            self._solver = self._build()
        elif task.forget:
            self._solver.reset()
        version, data = task.data
        if version != self._version:
            self._solver.set_data(*data)
            self._version = version
        return task.work(self._solver, *task.given)


def _solved(solver: Any, before: Any, begin: float, deadline: Any) -> tuple[Any, Any]:
    """The answer, and the problem that it answers."""
    return solver.solve(before, begin, deadline), solver.problem


def _ready(solver: Any) -> None:
    """Do nothing: the solver is built."""


class _Life:
    """One process, from its start to its end, and the thread that starts it and waits for it."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._tasks: SimpleQueue[tuple[Any, Future[Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._ended = ""
        self._begun = monotonic()
        self.submit(_Task(_ready))
        # no thread of a pool: the interpreter would wait for that before it ends
        threading.Thread(target=self._serve, daemon=True, name="mmopt solver process").start()

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return monotonic() - self._begun

    def submit(self, task: Any) -> "Future[Any]":
        """Hand out one task."""
        future: Future[Any] = Future()
        with self._lock:
            if self._ended:
                future.set_exception(WorkerDiedError(self._ended))
            else:
                self._tasks.put((task, future))
        return future

    def end(self, reason: str = "it was ended") -> None:
        """End the process, whatever it does, and fail what is waiting; its thread cleans up."""
        with self._lock:
            self._ended = self._ended or reason
            if self._worker is not None:
                self._worker.stop()
        self._tasks.put(None)

    def _serve(self) -> None:
        try:
            worker = Worker(self._payload)
        except Exception as error:  # processes fail to start in many ways
            self.end(f"{type(error).__name__}: {first_line(error)}")
            self._fail_waiting()
            return
        with self._lock:
            self._worker = worker
        if self._ended:
            worker.stop()
        while (entry := self._tasks.get()) is not None:
            self._answer(worker, *entry)
        worker.kill()
        self._fail_waiting()

    def _answer(self, worker: Worker, task: Any, future: "Future[Any]") -> None:
        """Have one task solved, unless it was given up."""
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = worker.solve(task)
        except WorkerDiedError as error:
            self.end(first_line(error))
            result = error
        except Exception as error:  # such as a task that cannot be pickled
            result = error
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    def _fail_waiting(self) -> None:
        """Fail the tasks that are left."""
        with suppress(Empty):
            while True:
                entry = self._tasks.get_nowait()
                if entry is not None and entry[1].set_running_or_notify_cancel():
                    entry[1].set_exception(WorkerDiedError(self._ended))

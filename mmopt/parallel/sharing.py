"""Shares tasks out to the workers of a pool, and repeats those in flight when a worker dies."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import closing
from typing import Any, Final

from mmopt.errors import SolverError
from mmopt.parallel.cluster import Cluster
from mmopt.parallel.pool import Pool, ProcessPool, TaskSolver

_MOST_DEATHS: Final = 3
_ALONE_AFTER: Final = 2
"""A task in flight at so many deaths of workers is tried alone, so that a last death can only be its own."""


def solved(
    solver: TaskSolver,
    tasks: Mapping[int, Any],
    describe: Callable[[int], str],
    caller: str,
    workers: int = 1,
    scheduler: str | None = None,
) -> Iterator[tuple[int, Any]]:
    """Solve tasks in this process, in others, or on a Dask cluster.

    Parameters
    ----------
    solver
        What solves them.
    tasks
        Tasks by number.
    describe
        Text for a task in a message, from its number.
    caller
        Function of mmopt that the user called, for a message.
    workers
        Processes; 1 is this one.
    scheduler
        Address of a running Dask scheduler, whose workers solve then.

    Yields
    ------
    number, result
        Number of a task, and its result, as they are finished.

    Raises
    ------
    StudyError
        If the number of workers is none, or the scheduler does not answer.
    SolverError
        If a task was in flight at three deaths of workers.
    """
    if scheduler is None and (workers == 1 or not tasks):
        for number, task in tasks.items():
            yield number, solver.solve(task)
        return
    pool: Pool = ProcessPool(solver, min(workers, len(tasks))) if scheduler is None else Cluster(solver, scheduler)
    with closing(pool):
        yield from share_out(pool, tasks, describe, caller)


def share_out(
    pool: Pool, tasks: Mapping[int, Any], describe: Callable[[int], str], caller: str
) -> Iterator[tuple[int, Any]]:
    """Keep a pool busy, and repeat the tasks that were in flight when a worker died.

    Parameters
    ----------
    pool
        The pool.
    tasks
        Tasks by number.
    describe
        Text for a task in a message, from its number.
    caller
        Function of mmopt that the user called, for a message.

    Yields
    ------
    number, result
        Number of a task, and its result, as they are finished.

    Raises
    ------
    SolverError
        If a task was in flight at three deaths of workers.
    """
    waiting, deaths = deque(tasks), Counter[int]()
    flying: dict[Future[Any], int] = {}
    while waiting or flying:
        while waiting and _may_start(waiting[0], flying.values(), deaths, pool.room()):
            number = waiting.popleft()
            flying[pool.submit(tasks[number])] = number
        finished = wait(flying, return_when=FIRST_COMPLETED).done
        if any(isinstance(_failure(future), pool.deaths) for future in finished):
            pool.renew()
            finished = {future for future in flying if future.done()}
        for future in finished:
            number = flying.pop(future)
            if isinstance(_failure(future), pool.deaths):
                deaths[number] += 1
                waiting.appendleft(number)
                if deaths[number] >= _MOST_DEATHS:
                    raise _lost(deaths[number], describe(number), caller)
            else:
                yield number, future.result()


def _may_start(number: int, flying: Collection[int], deaths: Mapping[int, int], room: int) -> bool:
    if not flying:
        return True
    return len(flying) < room and all(deaths[task] < _ALONE_AFTER for task in (number, *flying))


def _failure(future: "Future[Any]") -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _lost(deaths: int, task: str, caller: str) -> SolverError:
    return SolverError(
        f"{deaths} workers died while they solved {task}, the last one alone; if memory is short, use fewer workers. In a "
        f"script, call {caller} under `if __name__ == '__main__':`, since every worker reads the script again"
    )

"""Distributes the chunks of a table to this process, to worker processes, or to a Dask cluster.

What `FluxSource.batch` returns is bitwise a function of the points alone. So the result does not depend on which worker
solves a chunk, in which order, or how often, and the death of a worker costs a retry.
"""

import pickle
from collections import Counter, deque
from collections.abc import Collection, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import closing
from typing import Final

import numpy as np

from mmopt.dataset.journal import Packed, pack
from mmopt.dataset.payload import FluxSource, Payload
from mmopt.errors import SolverError
from mmopt.parallel.cluster import Cluster
from mmopt.parallel.pool import Pool, ProcessPool

_MOST_DEATHS: Final = 3
_ALONE_AFTER: Final = 2
"""A chunk in flight at so many deaths of workers is tried alone, so that a last death can only be its own."""


def solve_chunks(
    source: FluxSource, chunks: Mapping[int, np.ndarray], *, workers: int = 1, scheduler: str | None = None
) -> Generator[tuple[int, Packed], None, None]:
    """Solve chunks of points, and yield them as they are finished.

    Parameters
    ----------
    source
        Source of the fluxes; it is sent to every worker once.
    chunks
        Points by the number of their chunk.
    workers
        Number of processes; 1 is this one.
    scheduler
        Address of a running Dask scheduler; its workers solve then.

    Yields
    ------
    number, packed
        Number of a chunk, and its fluxes.

    Raises
    ------
    StudyError
        If the scheduler does not answer, has no workers, or has some with other packages.
    SolverError
        If a chunk was in flight at three deaths of workers.
    """
    if scheduler is None and (workers == 1 or not chunks):
        for number, points in chunks.items():
            yield number, pack(source.batch(points))
        return
    pool: Pool
    if scheduler is None:
        pool = ProcessPool(Payload(pickle.dumps(source)), min(workers, len(chunks)))
    else:
        pool = Cluster(Payload(pickle.dumps(source)), scheduler)
    with closing(pool):
        yield from _share_out(pool, chunks)


def _share_out(pool: Pool, chunks: Mapping[int, np.ndarray]) -> Iterator[tuple[int, Packed]]:
    """Keep a pool busy, and retry the chunks that were in flight when a worker died."""
    waiting, deaths = deque(chunks), Counter[int]()
    flying: dict[Future[Packed], int] = {}
    while waiting or flying:
        while waiting and _may_start(waiting[0], flying.values(), deaths, pool.room()):
            number = waiting.popleft()
            flying[pool.submit(chunks[number])] = number
        finished = wait(flying, return_when=FIRST_COMPLETED).done
        if any(isinstance(_failure(future), pool.deaths) for future in finished):
            pool.renew()
            finished = {future for future in flying if future.done()}
        for future in finished:
            number = flying.pop(future)
            if isinstance(_failure(future), pool.deaths):
                deaths[number] += 1
                waiting.appendleft(number)
                _check_deaths(number, deaths[number], chunks)
            else:
                yield number, future.result()


def _may_start(number: int, flying: Collection[int], deaths: Mapping[int, int], room: int) -> bool:
    if not flying:
        return True
    return len(flying) < room and all(deaths[chunk] < _ALONE_AFTER for chunk in (number, *flying))


def _failure(future: "Future[Packed]") -> BaseException | None:
    return CancelledError() if future.cancelled() else future.exception()


def _check_deaths(number: int, deaths: int, chunks: Mapping[int, np.ndarray]) -> None:
    if deaths >= _MOST_DEATHS:
        raise SolverError(
            f"{deaths} workers died while they solved chunk {number} ({len(chunks[number])} points), the last one alone; if "
            "memory is short, use fewer workers. In a script, call tabulate_fluxes under "
            "`if __name__ == '__main__':`, since every worker reads the script again"
        )

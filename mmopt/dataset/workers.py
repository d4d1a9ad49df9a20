"""Distributes the chunks of a table to this process, to worker processes, or to a Dask cluster.

What `FluxSource.batch` returns is bitwise a function of the points alone. So the result does not depend on which worker
solves a chunk, in which order, or how often, and the death of a worker costs a retry.
"""

import pickle
from collections.abc import Generator, Mapping

import numpy as np

from mmopt.dataset.journal import Packed, pack
from mmopt.dataset.payload import FluxSource, Payload
from mmopt.parallel.sharing import solved


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
    sent = Payload(pickle.dumps(source))
    yield from solved(
        sent,
        chunks,
        lambda number: f"chunk {number} ({len(chunks[number])} points)",
        "tabulate_fluxes",
        workers,
        scheduler,
    )

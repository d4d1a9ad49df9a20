"""Fluxes at many points of a domain: `tabulate_fluxes`.

The points are cut into chunks of one size, and every chunk is solved from the same fixed state. So the table is the same
to the last bit for any number of workers, and whether or not the work was interrupted.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import numpy as np

from mmopt.checking import shown
from mmopt.dataset.design import design, sweep_order
from mmopt.dataset.flux_table import FluxTable, tabulate
from mmopt.dataset.journal import Journal, Packed, unpack
from mmopt.dataset.payload import FluxSource
from mmopt.dataset.table_file import STATUSES
from mmopt.dataset.workers import solve_chunks
from mmopt.errors import DomainError, NetworkError, StudyError
from mmopt.fba.domain import Domain, checked_count
from mmopt.fba.flux_program import FluxProgram
from mmopt.fba.unsolved import why_unsolved
from mmopt.io.seal import digest
from mmopt.network.network import Network
from mmopt.parallel.cluster import versions
from mmopt.status import Status

Progress = Callable[[int, int], None]
"""Called with (done, total) during long work."""

CHUNK: Final = 250
"""Points solved at once: 0.7 s of iJO1366. Solving, storing and sending them costs the same from 60 to 2,000 (2.6 ms a
point), so this is how much an interruption may lose, and how finely the work is distributed."""

_WORTH_A_WORKER: Final = 4
"""Chunks for which another process is worth the one to two seconds in which it starts."""


def tabulate_fluxes(
    network: Network,
    domain: Domain,
    n: int,
    seed: int = 0,
    *,
    source: FluxSource | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    journal: str | Path | None = None,
    progress: Progress | None = None,
) -> FluxTable:
    """Solve the flux program at ``n`` points of the domain.

    Parameters
    ----------
    network
        The metabolic network.
    domain
        The box of inputs.
    n
        Number of points, at least 1.
    seed
        Seed of the points, at least 0: same seed, same table, to the last bit.
    source
        Source of the fluxes, with the inputs of the domain: a `FluxProgram` (by default a new one) or an `Atlas`.
    workers
        Number of processes; 1 is this process. From a script, call under ``if __name__ == "__main__":``.
    scheduler
        Address of a running Dask scheduler, such as ``tcp://10.0.0.1:8786``, whose workers solve instead.
    journal
        File that stores every finished chunk; the same call continues from it after any interruption.
    progress
        Called with (done, total) as chunks are finished.

    Returns
    -------
    FluxTable
        A point that was not solved is in it, with its status, and NaN for numbers.

    Raises
    ------
    NetworkError
        If the domain names an unknown exchange, or ``network`` is no `Network`.
    DomainError
        If ``domain`` is no `Domain`.
    StudyError
        If ``n``, ``seed`` or ``workers`` is no whole number or too low, the journal belongs to another table, is damaged, in
        use or cannot be written, or no scheduler runs at the address.
    InfeasibleError, SolverError
        If no point at all was solved; `SolverError` also if workers keep dying in one chunk.

    Examples
    --------
    >>> table = tabulate_fluxes(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 10.0)}), n=16)
    >>> table.fluxes.shape
    (16, 95)
    """
    workers, seed = _checked_workers(workers, scheduler), checked_count("seed", seed)
    source = _checked_source(network, domain, source)
    points = design(domain, n, seed)
    points = points[sweep_order(points, domain)]
    chunks = _Chunks(points, len(network.reactions), progress)
    with ExitStack() as open_resources:
        kept = None
        if journal is not None:
            kept = open_resources.enter_context(Journal(journal, _facts(network, domain, seed, source, points)))
            chunks.fill(*kept.chunks())
        missing = {number: points[rows] for number, rows in chunks.missing()}
        solver = solve_chunks(source, missing, workers=workers, scheduler=scheduler)
        for number, packed in open_resources.enter_context(closing(solver)):
            if kept is not None:
                kept.add(number, packed)
            chunks.fill((number, packed))
    table = tabulate(network, domain, seed, inputs=points, **chunks.arrays)
    if not table.solved.any():
        status = next((status for status in table.status if status is not Status.INFEASIBLE), Status.INFEASIBLE)
        raise why_unsolved(network, domain.inputs, points[table.status.index(status)], status)
    return table


def worthwhile_workers(n: int) -> int:
    """Return how many processes are worth starting on this machine: no more than cores, or than work.

    Parameters
    ----------
    n
        Number of points.

    Returns
    -------
    int
        Number of processes, at least 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, n // (_WORTH_A_WORKER * CHUNK)))


class _Chunks:
    """Accumulates the arrays of a table from its chunks."""

    def __init__(self, points: np.ndarray, reactions: int, progress: Progress | None) -> None:
        self._points, self._reactions, self._progress = len(points), reactions, progress
        self._done: set[int] = set()
        self.arrays: dict[str, np.ndarray] = {
            "fluxes": np.zeros((self._points, reactions)),
            "growth": np.zeros(self._points),
            "shortfall": np.zeros(self._points),
            "status": np.zeros(self._points, dtype=np.int8),
        }

    def missing(self) -> list[tuple[int, slice]]:
        """Numbers and rows of the chunks that are missing."""
        return [(number, self._rows(number)) for number in range(-(-self._points // CHUNK)) if number not in self._done]

    def fill(self, *chunks: tuple[int, Packed]) -> None:
        """Write chunks into their rows, and report the progress."""
        for number, packed in chunks:
            rows = self._rows(number)
            fluxes = unpack(packed, self._reactions, rows.stop - rows.start)
            self.arrays["fluxes"][rows] = fluxes.net
            self.arrays["growth"][rows] = fluxes.growth
            self.arrays["shortfall"][rows] = fluxes.shortfall
            self.arrays["status"][rows] = [STATUSES.index(status) for status in fluxes.status]
            self._done.add(number)
        if self._progress is not None and chunks:
            rows_done = (self._rows(number) for number in self._done)
            self._progress(sum(rows.stop - rows.start for rows in rows_done), self._points)

    def _rows(self, number: int) -> slice:
        return slice(number * CHUNK, min((number + 1) * CHUNK, self._points))


def _checked_workers(workers: int, scheduler: str | None) -> int:
    workers = checked_count("workers", workers, 1)
    if scheduler is not None and not isinstance(scheduler, str):
        raise StudyError(f"scheduler is {shown(scheduler)}; give an address such as tcp://10.0.0.1:8786")
    if scheduler is not None and workers != 1:
        raise StudyError(
            f"{workers} workers and the scheduler {scheduler} are given; give one of the two, since a scheduler has "
            "workers of its own"
        )
    return workers


def _checked_source(network: Network, domain: Domain, source: FluxSource | None) -> FluxSource:
    """Return the source of fluxes, if it is for this network and the inputs of this domain."""
    if not isinstance(network, Network):
        raise NetworkError(f"network is {shown(network)}; give a Network, as read_network returns it")
    if not isinstance(domain, Domain):
        raise DomainError(f"domain is {shown(domain)}; give a Domain")
    if source is None:
        return FluxProgram(network, domain.inputs)
    if not all(hasattr(source, name) for name in ("network", "inputs", "digest", "batch")):
        raise StudyError(f"source is {shown(source)}; give a FluxProgram or an Atlas")
    if source.network.hash != network.hash:
        raise StudyError(
            f"source is for another network ({source.network.name}) than the table ({network.name}); build it from the "
            "same network"
        )
    if source.inputs != domain.inputs:
        raise StudyError(
            f"source has the inputs {', '.join(source.inputs)}, the domain has {', '.join(domain.inputs)}; "
            "give both the same, in the same order"
        )
    return source


def _facts(network: Network, domain: Domain, seed: int, source: FluxSource, points: np.ndarray) -> dict[str, str]:
    """Everything that decides the fluxes, in words that can be compared."""
    box = ", ".join(f"{name} {low!r} to {high!r}" for name, (low, high) in domain.limits.items())
    return {
        "network": f"{network.name} {network.hash[:12]}",
        "domain": box,
        "labels": str(len(points)),
        "seed": str(seed),
        "points": digest(points)[:12],
        "answers": source.digest,
        "chunk": str(CHUNK),
        **versions(),
    }

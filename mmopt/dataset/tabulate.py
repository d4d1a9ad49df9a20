"""FluxBatch at many inputs: `sample`.

The points are cut into chunks of one size, and each chunk is solved from the same fixed state. So the table is the same
to the last bit for any number of workers, and whether or not the work was interrupted.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import numpy as np

from mmopt.dataset.flux_table import STATUSES, FluxTable, tabulate
from mmopt.dataset.journal import Journal, Packed, unpack
from mmopt.dataset.payload import FluxSource
from mmopt.dataset.workers import solve_chunks
from mmopt.errors import StudyError
from mmopt.fba.domain import Domain, design, sweep_order
from mmopt.fba.flux_program import FluxProgram
from mmopt.fba.unsolved import why_unsolved
from mmopt.network.network import Network
from mmopt.parallel.cluster import versions
from mmopt.status import Status

Progress = Callable[[int, int], None]
"""Called with (done, total) while a long work goes on."""

CHUNK: Final = 250
"""FluxBatch solved in one go: 0.7 s of iJO1366. Solving, keeping and sending them costs the same from 60 to 2,000 (2.6 ms a
label), so this is how much an interruption may lose, and how finely the work is shared."""

_WORTH_A_WORKER: Final = 4
"""Chunks for which a process is worth the one to two seconds in which it starts."""


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
    """Solve the label program at ``n`` points of the domain.

    Parameters
    ----------
    network
        The metabolic network.
    domain
        The box of inputs.
    n
        Number of labels.
    seed
        Same seed, same table, to the last bit.
    answers
        Who answers, with the inputs of the domain: a `FluxProgram` (by default a new one) or an `Atlas`.
    workers
        ProcessPool that solve; 1 is this process. From a script of yours, call under ``if __name__ == "__main__":``.
    scheduler
        Address of a running Dask scheduler, such as ``tcp://10.0.0.1:8786``, whose workers solve instead.
    journal
        File that keeps every finished chunk; the same call goes on from it after any interruption.
    progress
        Called with (done, total) as chunks of labels arrive.

    Returns
    -------
    FluxTable
        A label that was not solved is in it, with its status, and NaN for numbers.

    Raises
    ------
    NetworkError
        If the domain names an unknown exchange.
    StudyError
        If the journal is of other labels, damaged, in use or cannot be written, or the scheduler does not answer.
    InfeasibleError, SolverError
        If no label at all was solved; `SolverError` also if workers keep dying over one chunk.

    Examples
    --------
    >>> table = sample(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 10.0)}), n=16)
    >>> table.fluxes.shape
    (16, 95)
    """
    _check_workers(workers, scheduler)
    source = _checked(network, domain, source)
    points = design(domain, n, seed)
    points = points[sweep_order(points, domain)]
    sheet = _Sheet(points, len(network.reactions), progress)
    with ExitStack() as open_things:
        kept = None
        if journal is not None:
            kept = open_things.enter_context(Journal(journal, _facts(network, domain, seed, source, points)))
            sheet.fill(*kept.chunks())
        missing = {number: points[rows] for number, rows in sheet.missing()}
        solved = open_things.enter_context(closing(solve_chunks(source, missing, workers=workers, scheduler=scheduler)))
        for number, packed in solved:
            if kept is not None:
                kept.add(number, packed)
            sheet.fill((number, packed))
    table = tabulate(network, domain, seed, inputs=points, **sheet.arrays)
    if not table.solved.any():
        told = next((status for status in table.status if status is not Status.INFEASIBLE), Status.INFEASIBLE)
        raise why_unsolved(network, domain.inputs, points[table.status.index(told)], told)
    return table


def worthwhile_workers(labels: int) -> int:
    """How many processes are worth starting on this machine for so many labels: no more than cores, or than work."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, labels // (_WORTH_A_WORKER * CHUNK)))


class _Sheet:
    """The arrays of a table while its chunks come in."""

    def __init__(self, points: np.ndarray, reactions: int, progress: Progress | None) -> None:
        self._labels, self._reactions, self._progress = len(points), reactions, progress
        self._done: set[int] = set()
        self.arrays: dict[str, np.ndarray] = {
            "fluxes": np.zeros((self._labels, reactions)),
            "growth": np.zeros(self._labels),
            "shortfall": np.zeros(self._labels),
            "status": np.zeros(self._labels, dtype=np.int8),
        }

    def missing(self) -> list[tuple[int, slice]]:
        """Numbers and rows of the chunks that are not there yet."""
        return [(number, self._rows(number)) for number in range(-(-self._labels // CHUNK)) if number not in self._done]

    def fill(self, *chunks: tuple[int, Packed]) -> None:
        """Put chunks where they belong, and tell how far it is."""
        for number, packed in chunks:
            labels, rows = unpack(packed, self._reactions), self._rows(number)
            self.arrays["fluxes"][rows] = labels.net
            self.arrays["growth"][rows] = labels.growth
            self.arrays["shortfall"][rows] = labels.shortfall
            self.arrays["status"][rows] = [STATUSES.index(status) for status in labels.status]
            self._done.add(number)
        if self._progress is not None and chunks:
            rows_done = (self._rows(number) for number in self._done)
            self._progress(sum(rows.stop - rows.start for rows in rows_done), self._labels)

    def _rows(self, number: int) -> slice:
        return slice(number * CHUNK, min((number + 1) * CHUNK, self._labels))


def _check_workers(workers: int, scheduler: str | None) -> None:
    if workers < 1:
        raise StudyError(f"{workers} workers were asked for; ask for at least 1")
    if scheduler is not None and workers != 1:
        raise StudyError(
            f"{workers} workers and the scheduler {scheduler} were asked for; give one of the two, "
            "since a scheduler brings its own workers"
        )


def _checked(network: Network, domain: Domain, source: FluxSource | None) -> FluxSource:
    """Return who answers, if it is for this network and the inputs of this domain."""
    if source is None:
        return FluxProgram(network, domain.inputs)
    if source.network.hash != network.hash:
        raise StudyError(
            f"answers are for another network ({source.network.name}) than the one sampled ({network.name}); make them "
            "from the same network"
        )
    if source.inputs != domain.inputs:
        raise StudyError(
            f"answers have the inputs {', '.join(source.inputs)}, the domain has {', '.join(domain.inputs)}; "
            "give both the same, in the same order"
        )
    return source


def _facts(network: Network, domain: Domain, seed: int, source: FluxSource, points: np.ndarray) -> dict[str, str]:
    """Everything that decides the labels, in words that can be compared."""
    box = ", ".join(f"{name} {low!r} to {high!r}" for name, (low, high) in domain.limits.items())
    return {
        "network": f"{network.name} {network.hash[:12]}",
        "domain": box,
        "labels": str(len(points)),
        "seed": str(seed),
        "points": hashlib.sha256(np.ascontiguousarray(points).data).hexdigest()[:12],
        "answers": source.digest,
        "chunk": str(CHUNK),
        **versions(),
    }

"""Sources of fluxes, and how one travels to the workers that compute a table."""

import pickle
import threading
from typing import Protocol

import numpy as np

from mmopt.dataset.journal import Packed, pack
from mmopt.fba.fluxes import FluxBatch
from mmopt.network.network import Network


class FluxSource(Protocol):
    """Who answers for the cell at many points: a `FluxProgram`, an `Atlas`."""

    @property
    def network(self) -> Network:
        """The network that is asked."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns of ``points``."""

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides an answer."""

    def batch(self, points: np.ndarray) -> FluxBatch:
        """FluxBatch at points of shape (labels, inputs), bitwise a function of the points."""


class Payload:
    """Pickled answers on their way to a worker: unpacked there at the first chunk, and asked by one thread at a time."""

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled
        self._unpacked: FluxSource | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Payload"], tuple[bytes]]:
        return Payload, (self._pickled,)

    def solve(self, points: np.ndarray) -> Packed:
        """Solve one chunk."""
        with self._lock:
            if self._unpacked is None:
                self._unpacked = pickle.loads(self._pickled)  # noqa: S301 - our own words, from our own process
            return pack(self._unpacked.batch(points))

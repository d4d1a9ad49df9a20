"""Sources of fluxes, and how one is sent to the workers that compute a table."""

import pickle
import threading
from typing import Protocol

import numpy as np

from mmopt.dataset.journal import Packed, pack
from mmopt.fba.fluxes import FluxBatch
from mmopt.network.network import Network


class FluxSource(Protocol):
    """A source of fluxes at many points: a `FluxProgram` or an `Atlas`."""

    @property
    def network(self) -> Network:
        """The metabolic network."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns of ``points``."""

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the fluxes."""

    def batch(self, points: np.ndarray) -> FluxBatch:
        """Compute fluxes at points of shape (points, inputs), bitwise a function of the points."""


class Payload:
    """A pickled source of fluxes for a worker: unpacked there at the first chunk, and used by one thread at a time.

    Parameters
    ----------
    pickled
        The source, pickled.
    """

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled
        self._unpacked: FluxSource | None = None
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Payload"], tuple[bytes]]:
        return Payload, (self._pickled,)

    def __repr__(self) -> str:
        return f"Payload({len(self._pickled)} bytes)"

    def solve(self, points: np.ndarray) -> Packed:
        """Solve one chunk.

        Parameters
        ----------
        points
            Its points, shape (points, inputs) [mmol/gDW/h].

        Returns
        -------
        Packed
            Its fluxes.
        """
        with self._lock:
            if self._unpacked is None:
                self._unpacked = pickle.loads(self._pickled)  # noqa: S301 - written by our own process
            return pack(self._unpacked.batch(points))

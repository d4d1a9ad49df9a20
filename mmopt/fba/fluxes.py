"""Answers of the label program: one with its names, or many as arrays."""

from dataclasses import dataclass, field

import numpy as np

from mmopt.network.network import Network
from mmopt.status import Status


@dataclass(frozen=True, eq=False)
class Fluxes:
    """One answer of the label program.

    Attributes
    ----------
    growth
        Growth rate [1/h].
    net
        Net fluxes [mmol/gDW/h], shape (reactions,), in the order of ``network.reactions``; exchanges are positive where
        the cell secretes.
    shortfall
        Missed part of the maintenance demand [mmol/gDW/h].
    status
        How the solver ended.
    """

    network: Network = field(repr=False)
    growth: float
    net: np.ndarray = field(repr=False)
    shortfall: float
    status: Status

    @property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """Forward and reverse fluxes, both >= 0 [mmol/gDW/h]."""
        return np.maximum(self.net, 0.0), np.maximum(-self.net, 0.0)

    @property
    def total(self) -> float:
        """Total flux, the sum of all forward and reverse fluxes [mmol/gDW/h]."""
        return float(np.abs(self.net).sum())

    def __getitem__(self, reaction: str) -> float:
        """Net flux of one reaction [mmol/gDW/h]."""
        return float(self.net[self.network.column(reaction)])

    def uptake(self, exchange: str) -> float:
        """Uptake rate of one exchange, >= 0 [mmol/gDW/h]."""
        return max(0.0, -float(self.net[self.network.exchange(exchange)]))

    def secretion(self, exchange: str) -> float:
        """Secretion rate of one exchange, >= 0 [mmol/gDW/h]."""
        return max(0.0, float(self.net[self.network.exchange(exchange)]))


@dataclass(frozen=True, eq=False)
class FluxBatch:
    """Many answers of the label program; a row that was not solved is not a number.

    Attributes
    ----------
    net
        Net fluxes [mmol/gDW/h], shape (points, reactions).
    growth
        Growth rates [1/h], shape (points,).
    shortfall
        Missed parts of the maintenance demand [mmol/gDW/h], shape (points,).
    status
        How the solver ended at each point.
    """

    net: np.ndarray
    growth: np.ndarray
    shortfall: np.ndarray
    status: tuple[Status, ...]

    def __len__(self) -> int:
        return len(self.status)

"""Solutions of the flux program: one with its names, or many as arrays."""

from dataclasses import dataclass, field

import numpy as np

from mmopt.io.facts import facts_table, facts_text
from mmopt.network.network import Network
from mmopt.status import Status

_LISTED = 6
"""Exchanges in the summary of one solution."""

_MOVES = 1.0e-9


@dataclass(frozen=True, eq=False, repr=False)
class Fluxes:
    """One solution of the flux program.

    Attributes
    ----------
    network
        The metabolic network.
    growth
        Growth rate [1/h].
    net
        Net fluxes [mmol/gDW/h], shape (reactions,), in the order of ``network.reactions``; exchanges are positive where
        the cell secretes.
    shortfall
        Missing amount of the maintenance demand [mmol/gDW/h].
    status
        How the solver ended.

    Examples
    --------
    >>> fluxes = pfba(read_network("textbook"), {"EX_glc__D_e": 10.0, "EX_o2_e": 15.0})
    >>> fluxes
    Fluxes('e_coli_core': growth 0.7178 1/h, solved to optimality)
    >>> round(fluxes["PFK"], 4), round(fluxes.uptake("EX_o2_e"), 4), round(fluxes.secretion("EX_ac_e"), 4)
    (7.2801, 15.0, 6.8111)
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

    @property
    def net_and_shortfall(self) -> np.ndarray:
        """Net fluxes followed by the shortfall [mmol/gDW/h], shape (reactions + 1,)."""
        values: np.ndarray = np.append(self.net, self.shortfall)
        return values

    def __getitem__(self, reaction: str) -> float:
        """Net flux of one reaction [mmol/gDW/h]."""
        return float(self.net[self.network.column(reaction)])

    def uptake(self, exchange: str) -> float:
        """Return the uptake rate of one exchange.

        Parameters
        ----------
        exchange
            Id of the exchange reaction.

        Returns
        -------
        float
            Rate, >= 0 [mmol/gDW/h].

        Raises
        ------
        NetworkError
            If the id is unknown; the nearest known exchange ids are named.
        """
        return max(0.0, -float(self.net[self.network.exchange(exchange)]))

    def secretion(self, exchange: str) -> float:
        """Return the secretion rate of one exchange.

        Parameters
        ----------
        exchange
            Id of the exchange reaction.

        Returns
        -------
        float
            Rate, >= 0 [mmol/gDW/h].

        Raises
        ------
        NetworkError
            If the id is unknown; the nearest known exchange ids are named.
        """
        return max(0.0, float(self.net[self.network.exchange(exchange)]))

    def __repr__(self) -> str:
        return f"Fluxes({self.network.name!r}: growth {self.growth:.4g} 1/h, {self.status.value})"

    def __str__(self) -> str:
        return facts_text(self._facts())

    def _repr_html_(self) -> str:
        """Table for a notebook."""
        return facts_table(self._facts())

    def _facts(self) -> dict[str, str]:
        rates = {name: float(self.net[self.network.index[name]]) for name in self.network.exchanges}
        return {
            "network": self.network.name,
            "growth": f"{self.growth:.4g} 1/h",
            "shortfall": f"{self.shortfall:.4g} mmol/gDW/h",
            "uptake": _largest({name: -rate for name, rate in rates.items()}),
            "secretion": _largest(rates),
            "status": self.status.value,
        }


@dataclass(frozen=True, eq=False, repr=False)
class FluxBatch:
    """Many solutions of the flux program; a row that was not solved is NaN.

    Attributes
    ----------
    net
        Net fluxes [mmol/gDW/h], shape (points, reactions).
    growth
        Growth rates [1/h], shape (points,).
    shortfall
        Missing amounts of the maintenance demand [mmol/gDW/h], shape (points,).
    status
        How the solver ended at every point.

    Examples
    --------
    >>> program = FluxProgram(read_network("textbook"), ["EX_glc__D_e"])
    >>> batch = program.batch(np.array([[1.0], [10.0]]))
    >>> batch, batch.growth.round(4).tolist()
    (FluxBatch(95 net fluxes at 2 points, 2 solved), [0.0484, 0.8739])
    """

    net: np.ndarray
    growth: np.ndarray
    shortfall: np.ndarray
    status: tuple[Status, ...]

    def __len__(self) -> int:
        return len(self.status)

    def __repr__(self) -> str:
        solved = sum(status.solved for status in self.status)
        return f"FluxBatch({self.net.shape[1]} net fluxes at {len(self)} points, {solved} solved)"


def _largest(rates: dict[str, float]) -> str:
    """Return the largest rates as text."""
    names = sorted((name for name, rate in rates.items() if rate > _MOVES), key=lambda name: -rates[name])
    listed = ", ".join(f"{name} {rates[name]:.4g}" for name in names[:_LISTED])
    return f"{listed}{', ...' if len(names) > _LISTED else ''} mmol/gDW/h" if names else "none"

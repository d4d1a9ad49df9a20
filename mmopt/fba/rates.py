"""Who answers for the cell inside a reactor: uptake limits by name in, rates by name out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmopt.network.network import Network

GROWTH = "growth"
SHORTFALL = "shortfall"


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell that answers by name.

    Attributes
    ----------
    inputs
        What its answer depends on, in the order that ``rates`` takes.
    names
        What it tells, in the order that ``rates`` gives: growth [1/h], shortfall or net fluxes [mmol/gDW/h].
    rates
        The answer: inputs of shape (inputs,) to values of shape (names,).
    """

    inputs: tuple[str, ...]
    names: tuple[str, ...]
    rates: Callable[[np.ndarray], np.ndarray]

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Rates at the given uptake limits [mmol/gDW/h].

        A limit below zero counts as zero: trial steps of an integrator overshoot where a substrate runs out.
        """
        point = np.array([limits[name] for name in self.inputs])
        return dict(zip(self.names, self.rates(np.maximum(point, 0.0)).tolist(), strict=True))


def rate_rows(network: Network, names: Sequence[str]) -> np.ndarray:
    """Rows of the named readings in the net fluxes followed by the shortfall.

    Raises
    ------
    NetworkError
        If a reaction id is unknown.
    """
    special = {GROWTH: network.column(network.biomass), SHORTFALL: len(network.reactions)}
    return np.array([special[name] if name in special else network.column(name) for name in names], dtype=int)

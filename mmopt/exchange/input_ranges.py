"""Bounds of the sums that the units of a surrogate take: interval arithmetic, cell by cell.

Over the whole domain at once such bounds are far too wide, since every unit then has its own worst point.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mmopt.fba.domain import Domain
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.layer import Layer

_CELLS: Final = 4096
"""Number of cells of the box, about."""


def largest_sum(layers: Sequence[Layer], domain: Domain, activation: str) -> float:
    """Bound the sum that units of a kind take anywhere in a domain.

    Parameters
    ----------
    layers
        From limits on.
    domain
        The box of inputs.
    activation
        The kind of unit.

    Returns
    -------
    float
        Minus infinity if there is no such unit.
    """
    low, high = _cells(domain)
    most = -np.inf
    for layer in layers:  # all activations rise, so that the ends of a cell decide
        rising, falling = np.maximum(layer.weights, 0.0), np.minimum(layer.weights, 0.0)
        low, high = low @ rising + high @ falling + layer.bias, high @ rising + low @ falling + layer.bias
        if layer.activation == activation:
            most = max(most, float(high.max()))
        low, high = ACTIVATIONS[layer.activation](low), ACTIVATIONS[layer.activation](high)
    return most


def _cells(domain: Domain) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corners of the cells, shapes (cells, inputs)."""
    inputs = len(domain.inputs)
    pieces = max(1, int(_CELLS ** (1.0 / inputs)))
    grid = np.stack(np.meshgrid(*[np.arange(pieces)] * inputs, indexing="ij"), axis=-1).reshape(-1, inputs)
    cell = (domain.upper - domain.lower) / pieces
    return domain.lower + grid * cell, domain.lower + (grid + 1) * cell

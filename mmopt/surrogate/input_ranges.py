"""What the units of a surrogate are given at most: bounds by interval arithmetic, cell by cell.

Over the whole domain at once such bounds are far too wide, since each unit is then allowed its worst apart from all others.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mmopt.fba.domain import Domain
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.layer import Layer

_CELLS: Final = 4096
"""Cells into which the box is cut, about."""


def largest_sum(layers: Sequence[Layer], domain: Domain, activation: str) -> float:
    """The largest sum that a unit of a kind can be given anywhere in a domain; minus infinity if there is no such unit.

    Parameters
    ----------
    layers
        From limits on.
    domain
        The box of inputs.
    activation
        The kind of unit.
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
    parts = max(1, int(_CELLS ** (1.0 / inputs)))
    grid = np.stack(np.meshgrid(*[np.arange(parts)] * inputs, indexing="ij"), axis=-1).reshape(-1, inputs)
    cell = (domain.upper - domain.lower) / parts
    return domain.lower + grid * cell, domain.lower + (grid + 1) * cell

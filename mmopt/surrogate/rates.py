"""Rates of the cell by name, from uptake limits by name: what a reactor evaluates."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import casadi
import numpy as np

from mmopt.fba.domain import Domain
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.surrogate.layer import Layer, chained

_BELOW: Final = 0.1
"""Fraction of every range by which a reactor may leave the domain below, as for a trained surrogate."""


@dataclass(frozen=True, eq=False)
class SurrogateRates:
    """Rates of a surrogate by name, from uptake limits by exchange id.

    Attributes
    ----------
    domain
        The domain of the surrogate.
    names
        Readings, in order.
    layers
        From limits to these readings.
    """

    domain: Domain
    names: tuple[str, ...]
    layers: tuple[Layer, ...]

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Compute readings; limits outside the domain count as its edge.

        Where a substrate has run out, limits fall a little below zero, where the layers were not trained.

        Parameters
        ----------
        limits
            Uptake limits by exchange id [mmol/gDW/h].

        Returns
        -------
        dict
            Readings by name.
        """
        domain = self.domain
        point = np.array([limits[exchange] for exchange in domain.inputs], dtype=float)
        point = np.clip(point, domain.lower, domain.upper)
        return dict(zip(self.names, chained(self.layers, point).tolist(), strict=True))

    def expressions(self, limits: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the same as CasADi expressions.

        Parameters
        ----------
        limits
            Uptake limits by exchange id, as expressions.

        Returns
        -------
        dict
            Readings by name.
        """
        domain = self.domain
        point = casadi.vertcat(*(limits[exchange] for exchange in domain.inputs))
        values = casadi.fmin(casadi.fmax(point, domain.lower), domain.upper)
        for layer in self.layers:
            sums = casadi.mtimes(casadi.DM(layer.weights.T), values) + casadi.DM(layer.bias)
            values = ACTIVATIONS[layer.activation].derivatives(sums, casadi)[0]
        return {name: values[row] for row, name in enumerate(self.names)}


@dataclass(frozen=True, eq=False)
class SoftLawRates:
    """The rates of the cell by a soft law: limits by name in, rates by name out.

    Attributes
    ----------
    domain
        The domain of the soft law.
    names
        Readings, in order.
    read
        From limits of shape (inputs,) to readings of shape (names,).
    """

    domain: Domain
    names: tuple[str, ...]
    read: Callable[[np.ndarray], np.ndarray] = field(repr=False)

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Compute the readings at uptake limits; limits beyond the domain count as its edge.

        Parameters
        ----------
        limits
            Uptake limits by exchange id [mmol/gDW/h].

        Returns
        -------
        dict
            Readings by name.
        """
        lower, upper = self.domain.lower, self.domain.upper
        point = np.array([limits[exchange] for exchange in self.domain.inputs], dtype=float)
        point = np.clip(point, lower - _BELOW * (upper - lower), upper)
        return dict(zip(self.names, self.read(point).tolist(), strict=True))

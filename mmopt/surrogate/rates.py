"""Rates of the cell by name, from uptake limits by name: what a reactor evaluates.

What is spent is not taken up: in a simulation, the uptake of a spent substrate is given back.

Near a limit of zero a surrogate takes up a little of what is not there, within its error, and the substrate drifts below zero
over hours of starvation. What is taken up beyond a limit near zero is given back along a fixed flux vector for each input,
made of the surrogate's own modes: it takes up one mmol of that input, gives off none of the others, and changes the other
exchanges as little as it can. So the fluxes balance as before, and the uptake is the limit. This has a kink, which an
integrator steps over and Ipopt does not: a collocation follows the smooth network, so it is for simulations alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import casadi
import numpy as np

from mmopt.fba.domain import Domain
from mmopt.solvers.activations import ACTIVATIONS
from mmopt.solvers.affine_law import Mixture
from mmopt.surrogate.layer import Layer, chained

_NEAR: Final = 0.02
"""Fraction of the range of a limit from which on nothing is given back."""

_SMALL: Final = 1.0e-6
"""Weight of the mode weights themselves beside the exchanges, and the error of a vector that counts as none."""


@dataclass(frozen=True, eq=False)
class SpentSubstrates:
    """How the uptake of spent substrates is given back.

    Attributes
    ----------
    taken
        From units before the output layer to the net uptake of each input [mmol/gDW/h], shape (units, inputs).
    constant
        Net uptake with all units at zero, shape (inputs,).
    near
        Limits from which on nothing is given back [mmol/gDW/h], shape (inputs,); zero where nothing ever is.
    rates
        Change of the readings for one mmol/gDW/h that is given back, shape (inputs, readings).

    Examples
    --------
    >>> given = SpentSubstrates(np.array([[2.0]]), np.zeros(1), np.array([0.1]), np.array([[1.0, -0.5]]))
    >>> given.back(np.array([[3.0]]), np.array([[0.0]]), np).tolist()
    [[6.0], [-3.0]]
    """

    taken: np.ndarray
    constant: np.ndarray
    near: np.ndarray
    rates: np.ndarray

    def back(self, units: Any, limits: Any, of: Any) -> Any:
        """Compute what has to be added to the readings.

        Parameters
        ----------
        units
            Values of the units before the output layer, shape (units, points), of NumPy or CasADi.
        limits
            Uptake limits [mmol/gDW/h], shape (inputs, points).
        of
            Module whose functions are used, `numpy` or `casadi`.

        Returns
        -------
        array
            Shape (readings, points).
        """
        total: Any = 0.0
        for number in np.flatnonzero(self.near > 0.0).tolist():
            limit = limits[number : number + 1, :]
            taken = _product(self.taken[:, number], units, of) + float(self.constant[number])
            held = of.fmax(0.0, 1.0 - limit / float(self.near[number]))
            excess = of.fmax(0.0, taken - limit) * held
            total = total + _spread(self.rates[number], excess, of)
        return total


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
    spent
        How the uptake of spent substrates is given back; None where the surrogate's modes do not balance.
    """

    domain: Domain
    names: tuple[str, ...]
    layers: tuple[Layer, ...]
    spent: SpentSubstrates | None = None

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Compute readings; limits outside the domain count as its edge, and what is spent is not taken up.

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
        point = _clipped(self.domain, limits)
        units = chained(self.layers[:-1], point)
        values = self.layers[-1](units)
        if self.spent is not None:
            values = values + self.spent.back(units[:, None], point[:, None], np)[:, 0]
        return dict(zip(self.names, values.tolist(), strict=True))

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
        units = point = _clipped_expressions(self.domain, limits)
        for layer in self.layers[:-1]:
            units = _passed(layer, units)
        values = _passed(self.layers[-1], units)
        if self.spent is not None:
            values = values + self.spent.back(units, point, casadi)
        return {name: values[row] for row, name in enumerate(self.names)}


def _clipped(domain: Domain, limits: Mapping[str, float]) -> np.ndarray:
    """Limits in order; those outside the domain count as its edge."""
    point = np.array([limits[exchange] for exchange in domain.inputs], dtype=float)
    clipped: np.ndarray = np.clip(point, domain.lower, domain.upper)
    return clipped


def _clipped_expressions(domain: Domain, limits: Mapping[str, Any]) -> Any:
    """The same as expressions of CasADi."""
    point = casadi.vertcat(*(limits[exchange] for exchange in domain.inputs))
    return casadi.fmin(casadi.fmax(point, domain.lower), domain.upper)


def _passed(layer: Layer, values: Any) -> Any:
    """Expressions behind a layer."""
    sums = casadi.mtimes(casadi.DM(layer.weights.T), values) + casadi.DM(layer.bias)
    return ACTIVATIONS[layer.activation].derivatives(sums, casadi)[0]


@dataclass(frozen=True, eq=False)
class SoftLawRates:
    """The rates of the cell by a soft law: limits by name in, rates by name out.

    Attributes
    ----------
    domain
        The domain of the soft law.
    names
        Readings, in order.
    law
        From limits to readings.
    """

    domain: Domain
    names: tuple[str, ...]
    law: Mixture = field(repr=False)

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
        point = _clipped(self.domain, limits)
        return dict(zip(self.names, self.law.values(point[:, None], np)[:, 0].tolist(), strict=True))

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
        values = self.law.values(_clipped_expressions(self.domain, limits), casadi)
        return {name: values[row] for row, name in enumerate(self.names)}


@dataclass(frozen=True, eq=False)
class PlanesRates:
    """The rates of a soft law whose growth is read from its planes, in Python alone.

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
        point = _clipped(self.domain, limits)
        return dict(zip(self.names, self.read(point).tolist(), strict=True))


def spent_substrates(surrogate: Any, read: np.ndarray, factors: np.ndarray) -> SpentSubstrates | None:
    """Return how the uptake of spent substrates is given back in a simulation.

    Parameters
    ----------
    surrogate
        A `Surrogate`.
    read, factors
        Columns of the readings among the reactions, and the factors that make readings of fluxes.

    Returns
    -------
    SpentSubstrates or None
        None if no limit can be zero, or the modes hold no such flux vectors, as those that do not balance.
    """
    column_of = {reaction: column for column, reaction in enumerate(surrogate.reactions)}
    if not set(surrogate.inputs) <= set(column_of) or surrogate.card.get("balanced") is not True:
        return None
    columns = [column_of[exchange] for exchange in surrogate.inputs]
    vectors = _vectors(surrogate, columns)
    domain = surrogate.domain
    near = np.where(domain.lower <= 0.0, _NEAR * (domain.upper - domain.lower), 0.0)
    near[[vector is None for vector in vectors]] = 0.0
    if not np.any(near > 0.0):
        return None
    rates = np.array([np.zeros(len(read)) if vector is None else -vector[read] * factors for vector in vectors])
    taken = -(surrogate.weights.weights @ surrogate.modes[:, columns])
    constant = -(surrogate.weights.bias @ surrogate.modes[:, columns] + surrogate.offset[columns])
    return SpentSubstrates(taken, constant, near, rates)


def _vectors(surrogate: Any, columns: list[int]) -> list[np.ndarray | None]:
    """Flux vectors, one for each input, that take up one of it; None where the modes hold none."""
    others = _watched(surrogate, columns)
    sizes = np.abs(surrogate.modes).max(axis=0)
    seen = np.vstack([(surrogate.modes[:, others] / sizes[others]).T, _SMALL * np.eye(len(surrogate.modes))])
    return [_vector(surrogate.modes, seen, columns, number) for number in range(len(columns))]


def _watched(surrogate: Any, columns: list[int]) -> list[int]:
    """Columns of what is to change little: growth, maintenance, and the exchanges of the error report, or all by name."""
    report = surrogate.error_report
    names = report.readings if report is not None else [name for name in surrogate.reactions if name.startswith("EX_")]
    used = np.abs(surrogate.modes).max(axis=0) > 0.0
    wanted = {surrogate.biomass, surrogate.maintenance, *names, *surrogate.inputs}
    return [column for column, name in enumerate(surrogate.reactions) if name in wanted and used[column]]


def _vector(modes: np.ndarray, seen: np.ndarray, columns: list[int], number: int) -> np.ndarray | None:
    """The vector that takes up one of an input and changes what is watched least; of other inputs it gives nothing off."""
    taken = -modes[:, columns].T
    held = [number]
    for _ in columns:
        wanted = np.array([float(k == number) for k in held])
        size = len(held)
        system = np.block([[seen.T @ seen, taken[held].T], [taken[held], np.zeros((size, size))]])
        weights = np.linalg.lstsq(system, np.concatenate([np.zeros(len(modes)), wanted]), rcond=None)[0][: len(modes)]
        if np.abs(taken[held] @ weights - wanted).max() > _SMALL:
            return None
        given_off = [k for k in np.flatnonzero(taken @ weights < -_SMALL).tolist() if k not in held]
        if not given_off:
            vector: np.ndarray = weights @ modes
            return vector
        held += given_off
    return None


def _product(weights: np.ndarray, units: Any, of: Any) -> Any:
    return weights[None, :] @ units if of is np else of.mtimes(of.DM(weights[None, :]), units)


def _spread(rates: np.ndarray, excess: Any, of: Any) -> Any:
    return rates[:, None] * excess if of is np else of.mtimes(of.DM(rates[:, None]), excess)

"""The surrogate: a small smooth network whose output layer combines flux modes.

Every mode balances, S m = 0, and so does whatever the network makes of them: the weights can be wrong, the balance
cannot. Growth, exchange rates, the shortfall and every flux inside the cell are linear readings of the same weights.
It is evaluated with NumPy alone; TensorFlow is needed for exports to Keras and IDAES and for ``trainer="keras"`` only.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from mmopt.checking import finite
from mmopt.errors import SurrogateError, nearest
from mmopt.fba.domain import Domain
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.io.facts import facts_table
from mmopt.solvers.activations import ACTIVATIONS as ACTIVATIONS
from mmopt.surrogate.error_report import ErrorReport, training_notes
from mmopt.surrogate.layer import Layer as Layer
from mmopt.surrogate.layer import chained as chained
from mmopt.surrogate.limit_points import Limits, limit_points, limit_values
from mmopt.surrogate.rates import SurrogateRates, spent_substrates
from mmopt.surrogate.surrogate_file import check_shapes, write_surrogate


@dataclass(frozen=True, eq=False, repr=False)
class Surrogate:
    """A smooth map from uptake limits to balanced fluxes.

    Attributes
    ----------
    domain
        The box of uptake limits it was trained on.
    hidden
        Dense layers from limits [mmol/gDW/h] to the last hidden values; the scaling of the inputs is inside the first.
    weights
        The linear layer from the last hidden values to the weights of the modes.
    modes
        Balanced flux vectors, shape (modes, reactions).
    offset
        A balanced flux vector that is always added, shape (reactions,).
    reactions
        Reaction ids.
    biomass, maintenance, maintenance_demand
        As in the network.
    card
        Where it comes from and how wrong it is.
    """

    domain: Domain
    hidden: tuple[Layer, ...]
    weights: Layer
    modes: np.ndarray = field(repr=False)
    offset: np.ndarray = field(repr=False)
    reactions: tuple[str, ...] = field(repr=False)
    biomass: str
    maintenance: str | None
    maintenance_demand: float
    card: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        check_shapes(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchanges whose uptake limits go in, in order."""
        return self.domain.inputs

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {reaction: column for column, reaction in enumerate(self.reactions)}

    @property
    def conic(self) -> bool:
        """Whether its weights are non-negative by construction: a softplus before them, and nothing that turns its sign."""
        return (
            bool(self.hidden)
            and self.hidden[-1].activation == "softplus"
            and bool(np.all(self.weights.weights >= 0.0) and np.all(self.weights.bias >= 0.0))
            and not np.any(self.offset)
        )

    def layers(self, names: Sequence[str]) -> tuple[Layer, ...]:
        """Return the whole network as a chain of dense layers, from limits [mmol/gDW/h] to the named readings.

        Everything that uses a surrogate goes through this chain: `predict`, a reactor, an optimisation, an export.

        Parameters
        ----------
        names
            ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h], in the order wanted.

        Returns
        -------
        tuple of Layer

        Raises
        ------
        SurrogateError
            If a name is unknown; the nearest known are named.
        """
        columns, factors, constants = self._columns(names)
        modes, offset = self.modes[:, columns] * factors, self.offset[columns] * factors + constants
        return (*self.hidden, Layer(self.weights.weights @ modes, self.weights.bias @ modes + offset, "linear"))

    def reader(self, names: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function of limits, inside the domain or not, that computes readings.

        Parameters
        ----------
        names
            Readings, in order.

        Returns
        -------
        callable
            From limits of shape (..., inputs) to readings of shape (..., names).
        """
        return partial(chained, self.layers(names))

    def _columns(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Columns of the readings, and the factors and constants that make readings of fluxes."""
        if isinstance(names, str) or not len(names):
            raise SurrogateError(f"{names!r:.60} is given as readings; give a list of one or more names")
        columns_of = [self._column(name) for name in names]
        columns, factors, constants = (np.array(own) for own in zip(*columns_of, strict=True))
        return columns, factors, constants

    def _column(self, name: str) -> tuple[int, float, float]:
        if name == SHORTFALL:
            if self.maintenance is None:
                return 0, 0.0, 0.0
            return self._index[self.maintenance], -1.0, self.maintenance_demand
        reaction = self.biomass if name == GROWTH else name
        if reaction not in self._index:
            raise SurrogateError(f"the surrogate has no reading '{name}'; {nearest(name, self.reactions)}")
        return self._index[reaction], 1.0, 0.0

    def fluxes(self, limits: np.ndarray) -> np.ndarray:
        """Compute the net fluxes of all reactions, also outside the domain.

        Parameters
        ----------
        limits
            Uptake limits [mmol/gDW/h], shape (..., inputs).

        Returns
        -------
        ndarray
            Fluxes [mmol/gDW/h], shape (..., reactions).
        """
        fluxes: np.ndarray = chained((*self.hidden, self.weights), limits) @ self.modes + self.offset
        return fluxes

    def predict(self, limits: Limits, names: Sequence[str] | None = None) -> np.ndarray:
        """Compute readings at uptake limits inside the domain.

        Parameters
        ----------
        limits
            Uptake limits [mmol/gDW/h]: by exchange id, or an array of shape (inputs,) or (points, inputs).
        names
            Readings wanted; by default the net flux of every reaction, in order.

        Returns
        -------
        ndarray
            Shape (readings,) or (points, readings).

        Raises
        ------
        DomainError
            If a limit lies outside the domain, is no number, or belongs to no input, or one is missing.
        SurrogateError
            If a name is unknown.

        Examples
        --------
        >>> surrogate = load_surrogate("ecoli_ijo1366")
        >>> bool(abs(surrogate.predict([8.0, 15.0, 0.0], ["growth"])[0] - 0.785) < 0.01)
        True
        """
        points = limit_points(self.domain, limits)
        return self.fluxes(points) if names is None else chained(self.layers(names), points)

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Check that uptake limits lie in the domain.

        Parameters
        ----------
        limits
            Uptake limits by exchange id [mmol/gDW/h].

        Raises
        ------
        DomainError
            If one does not; its name and range are in the message.
        """
        self.domain.check(np.maximum(limit_values(self.domain, limits), self.domain.lower))

    def rate_function(self, names: Sequence[str]) -> SurrogateRates:
        """Return the rates of the cell as a function of uptake limits by name.

        Parameters
        ----------
        names
            Readings, in order.

        Returns
        -------
        SurrogateRates

        Raises
        ------
        SurrogateError
            If a name is unknown.
        """
        self._columns(names)
        return _rates_of(self, tuple(names))

    def with_maintenance(self, demand: float) -> "Surrogate":
        """Return the surrogate of the same cell with another maintenance demand.

        The exact answer is homogeneous of degree one in uptake limits and demand, f(λu, λm) = λ f(u, m), and so no input is
        needed for the demand: limits, fluxes, domain and error report are scaled by λ, the new demand over the old one.

        Parameters
        ----------
        demand
            ATP for maintenance [mmol/gDW/h], above zero.

        Returns
        -------
        Surrogate

        Raises
        ------
        SurrogateError
            If there is no demand to scale, the new one is not above zero, or the network has other limits that bind.

        Examples
        --------
        >>> thrifty = load_surrogate("ecoli_ijo1366").with_maintenance(1.575)
        >>> thrifty.domain.upper.tolist()
        [6.0, 8.0, 2.0]
        """
        if self.maintenance is None or self.maintenance_demand <= 0.0:
            raise SurrogateError("the surrogate's network has no maintenance demand that could be scaled")
        demand = finite("the maintenance demand", demand, above=0.0, unit="mmol/gDW/h", error=SurrogateError)
        if self.card.get("homogeneous") is not True:
            raise SurrogateError(
                "the training fluxes meet other limits than uptake and maintenance, or the card does not record it, so "
                "fluxes do not scale with the demand; tabulate fluxes and train with the demand you want"
            )
        return scaled(self, demand / self.maintenance_demand)

    @property
    def error_report(self) -> ErrorReport | None:
        """The error report on the card; None where there is none."""
        return ErrorReport.of(self.card["error_report"]) if self.card.get("error_report") is not None else None

    def __repr__(self) -> str:
        notes = training_notes(self.card)
        missed = ", wanted errors not reached" if notes and "not reached" in notes[0] else ""
        return f"Surrogate({self.card.get('network', 'unnamed network')}: {self._shape()}{missed})"

    def __str__(self) -> str:
        """Return network, inputs, layers, the error report, and what the training did not reach."""
        errors = str(self.error_report or "no error report; add one with with_error_report")
        head = f"Surrogate of {self.card.get('network', 'an unnamed network')}: {self._shape()}"
        return "\n".join([head, errors, *training_notes(self.card)])

    def _repr_html_(self) -> str:
        """Table for a notebook."""
        facts = {"network": str(self.card.get("network", "unnamed")), "layers": self._shape()}
        report = self.error_report
        return facts_table(facts if report is None else facts | report.facts)

    def _shape(self) -> str:
        """Inputs and layers in one line."""
        widths = " - ".join(str(layer.weights.shape[1]) for layer in self.hidden)
        return f"{', '.join(self.inputs)} - {widths} {self.hidden[0].activation if self.hidden else ''}".rstrip()

    def save(self, folder: str | Path) -> Path:
        """Write arrays and card into a folder; readable without Keras. Read it with `load_surrogate`.

        Parameters
        ----------
        folder
            The folder.

        Returns
        -------
        Path
            The file of the card.

        Raises
        ------
        SurrogateError
            If it is larger than what `load_surrogate` reads, or JSON cannot hold its card.
        """
        return write_surrogate(self, folder)


def scaled(surrogate: Surrogate, factor: float) -> Surrogate:
    """Return the surrogate with ``factor`` times the fluxes at ``factor`` times the limits and the maintenance demand.

    Parameters
    ----------
    surrogate
        The surrogate.
    factor
        The factor, above zero.

    Returns
    -------
    Surrogate
    """
    first, *later = surrogate.hidden or (surrogate.weights,)
    first = replace(first, weights=first.weights / factor)
    error_report = surrogate.error_report
    box = {name: (factor * low, factor * high) for name, (low, high) in surrogate.domain.limits.items()}
    card = {**surrogate.card, "scaled": factor * float(surrogate.card.get("scaled", 1.0))}
    if error_report is not None:
        card["error_report"] = error_report.scaled(factor).as_dict()
    return replace(
        surrogate,
        domain=Domain(box),
        hidden=(first, *later) if surrogate.hidden else (),
        weights=surrogate.weights if surrogate.hidden else first,
        modes=factor * surrogate.modes,
        offset=factor * surrogate.offset,
        maintenance_demand=factor * surrogate.maintenance_demand,
        card=card,
    )


@lru_cache(maxsize=64)
def _rates_of(surrogate: Surrogate, names: Sequence[str]) -> SurrogateRates:
    """Rate function of readings, kept: every simulation needs the same."""
    spent = spent_substrates(surrogate, *surrogate._columns(names)[:2])
    return SurrogateRates(surrogate.domain, tuple(names), surrogate.layers(names), spent)

"""A smooth law computed from an explored atlas, with a proved bound of its error; nothing is trained.

It is a mean of the affine laws of all regions. All of them balance at any limits, and so does the mean; inside a region
its own law has nearly all the weight. `max_affine` explains the weights, `soft_bound` the proof.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np

from mmopt.errors import SurrogateError, nearest
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.rates import GROWTH, SHORTFALL
from mmopt.solvers.affine_law import Mixture
from mmopt.surrogate.limit_points import Limits, limit_points, limit_values, scaled, unscaled
from mmopt.surrogate.rates import PlanesRates, SoftLawRates
from mmopt.surrogate.soft.bound import MINOR, Proof, card_of, reach_of, sharpness_for
from mmopt.surrogate.soft.corners import Corners, affine_laws_of, corners_of, neighbours_of, objectives_of, spans_of
from mmopt.surrogate.soft.growth import SoftGrowth, soft_growth
from mmopt.surrogate.soft.weights import separated

WHOLE: Final = 1.0 - 1.0e-6
"""Fraction of the domain that the regions must fill."""

_ANSWERED: Final = 1.0e-7
"""Added to every bound: the difference of an atlas from its program, and of corners from their regions."""

_MOVES: Final = 1.0e-7
"""Least change of a flux over the domain that counts in the weights [mmol/gDW/h]."""

_SHARPNESS: Final = 3.0
"""Sharpness that most laws have, multiplied by their error."""

_MATRICES, _MOST_GIGABYTES = 6, 6.0
"""Matrices of regions that exist at once, and what a law may take."""


@dataclass(frozen=True, eq=False)
class SoftLaw:
    """A smooth map from uptake limits to balanced fluxes, whose error is bounded by proof; `soft_law` computes it.

    Attributes
    ----------
    domain
        Where it holds.
    reactions, biomass
        As in the network.
    affine_laws
        Fluxes and shortfall from scaled inputs and a one, shape (regions, inputs + 1, reactions + 1).
    weights
        Max-affine weights of the regions, shape (regions, inputs + 1).
    sharpness
        Factor of the weights, β.
    corners
        Corners of the regions.
    planes
        Growth from its planes; None where it is the flux of biomass.
    card
        Where it comes from, and its proved errors.

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> soft_law(atlas, error=0.05)
    SoftLaw of e_coli_core: EX_glc__D_e, ... regions, growth within ... 1/h
    """

    domain: Domain
    reactions: tuple[str, ...] = field(repr=False)
    biomass: str
    affine_laws: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    sharpness: float
    corners: Corners = field(repr=False)
    planes: SoftGrowth | None = field(default=None, repr=False)
    card: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchanges whose uptake limits go in, in order."""
        return self.domain.inputs

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        rows = {name: row for row, name in enumerate((*self.reactions, SHORTFALL))}
        return {**rows, GROWTH: rows[self.biomass]}

    @cached_property
    def _proof(self) -> Proof:
        return Proof.of(self.corners, self.weights, self.sharpness)

    def __repr__(self) -> str:
        what = f"SoftLaw of {self.card.get('network', 'an unnamed network')}: {', '.join(self.inputs)}"
        return f"{what}, {len(self.affine_laws)} regions, growth within {self.bound(GROWTH):.2g} 1/h"

    def _row(self, name: str) -> int:
        if name not in self._rows:
            raise SurrogateError(f"the soft law has no reading '{name}'; {nearest(name, self.reactions)}")
        return self._rows[name]

    def predict(self, limits: Limits, names: Sequence[str] | None = None) -> np.ndarray:
        """Readings at uptake limits inside the domain.

        Parameters
        ----------
        limits
            Uptake limits [mmol/gDW/h]: by exchange id, or an array of shape (inputs,) or (points, inputs).
        names
            ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h]; by default every reaction, in order.

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
        """
        return self.reader(self.reactions if names is None else names)(limit_points(self.domain, limits))

    def bound(self, name: str) -> float:
        """Return the largest error of a reading anywhere in the domain, by proof.

        Parameters
        ----------
        name
            The reading.

        Returns
        -------
        float
            In the unit of the reading.

        Raises
        ------
        SurrogateError
            If the name is unknown.
        """
        row = self._row(name)
        if name == GROWTH and self.planes is not None:
            return self.planes.bound
        return _ANSWERED + self._proof.bound(self.affine_laws[:, :, row])

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Check that uptake limits lie in the domain.

        Parameters
        ----------
        limits
            Uptake limits by exchange id [mmol/gDW/h].

        Raises
        ------
        DomainError
            If one does not.
        """
        self.domain.check(np.maximum(limit_values(self.domain, limits), self.domain.lower))

    def rate_function(self, names: Sequence[str]) -> "SoftLawRates | PlanesRates":
        """Return the rates of the cell as a function of uptake limits by name.

        Parameters
        ----------
        names
            Readings, in order.

        Returns
        -------
        SoftLawRates or PlanesRates

        Raises
        ------
        SurrogateError
            If a name is unknown.
        """
        if self.planes is not None and GROWTH in names:
            return PlanesRates(self.domain, tuple(names), self.reader(names))
        return SoftLawRates(self.domain, tuple(names), self.layers(names)[0])

    def layers(self, names: Sequence[str]) -> tuple[Mixture]:
        """Return the law as one layer, from limits [mmol/gDW/h] to the named readings.

        Parameters
        ----------
        names
            ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h], in the order wanted.

        Returns
        -------
        tuple of Mixture
            One layer.

        Raises
        ------
        SurrogateError
            If a name is unknown, or growth is read from its planes, which are no such layer.
        """
        if self.planes is not None and GROWTH in names:
            raise SurrogateError(
                "growth from its planes is not for optimisations; use soft_law(atlas, growth='fluxes')"
            )
        rows = np.array([self._row(name) for name in names], dtype=int)
        scores, offsets = unscaled(self.domain, self.sharpness * self.weights)
        slopes, constants = unscaled(self.domain, self.affine_laws[:, :, rows])
        coefficients = np.concatenate([slopes, constants[:, None, :]], axis=1).transpose(1, 0, 2)
        return (Mixture(scores, offsets, np.ascontiguousarray(coefficients)),)

    def fluxes(self, limits: np.ndarray) -> np.ndarray:
        """Compute the net fluxes of all reactions, also outside the domain.

        Parameters
        ----------
        limits
            Shape (..., inputs) [mmol/gDW/h].

        Returns
        -------
        ndarray
            Shape (..., reactions) [mmol/gDW/h].
        """
        return self.reader(self.reactions)(limits)

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

        Raises
        ------
        SurrogateError
            If a name is unknown.
        """
        rows = np.array([self._row(name) for name in names], dtype=int)
        used = np.flatnonzero(
            np.any(self.affine_laws[:, :, rows] != 0.0, axis=(0, 1))
        )  # most fluxes of a network are zero
        affine_laws = np.ascontiguousarray(np.moveaxis(self.affine_laws[:, :, rows[used]], 1, 0))
        weights, planes = self.sharpness * self.weights.T, self.planes if GROWTH in names else None
        of_growth = np.array([name == GROWTH for name in names], dtype=bool)

        def read(limits: np.ndarray) -> np.ndarray:
            fractions = scaled(self.domain, limits)
            score = fractions @ weights
            shares = np.exp(score - score.max(axis=-1, keepdims=True))
            shares /= shares.sum(axis=-1, keepdims=True)
            values = np.zeros((*fractions.shape[:-1], len(rows)))
            values[..., used] = sum(fractions[..., k, None] * (shares @ law) for k, law in enumerate(affine_laws))
            if planes is not None:
                values[..., of_growth] = planes(fractions)[..., None]
            return values

        return read


def soft_law(atlas: Atlas, *, error: float = 0.01, growth: Literal["fluxes", "planes"] = "fluxes") -> SoftLaw:
    """Compute a smooth law from an explored atlas.

    Parameters
    ----------
    atlas
        An atlas whose regions fill its domain.
    error
        Largest error wanted of any reading, as a fraction of its range over the domain; for minor fluxes, of a
        tenth of the range of the exchange that changes most. The smaller, the sharper are the bends.
    growth
        What ``growth`` reads: the flux of biomass, which balances with all others; or its planes, which use
        the whole error and bend a hundred times less for it, but are not in the balance.

    Returns
    -------
    SoftLaw
        `SoftLaw.bound` returns the largest error of a reading, which may be far less than the given one.

    Raises
    ------
    SurrogateError
        If the atlas is not explored, ``error`` is not between 0 and 1, or smaller than rounding allows, or the law would
        take more than 6 GB, as with six inputs of a genome-scale network.

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> law = soft_law(atlas, error=0.01)
    >>> bool(abs(law.predict([10.0], ["growth"])[0] - 0.8739215) <= law.bound("growth") < 0.01)
    True
    """
    _check(atlas, error, growth)
    corners, network = corners_of(atlas), atlas.network
    regions = len(atlas.regions)
    gigabytes = 8.0e-9 * regions * (_MATRICES * regions + (len(atlas.inputs) + 1) * len(network.reactions))
    if gigabytes > _MOST_GIGABYTES:
        raise SurrogateError(
            f"a law of {regions} regions would take about {gigabytes:.0f} GB; use fewer inputs or a smaller domain, or "
            "train a surrogate"
        )
    affine_laws = affine_laws_of(atlas)
    spans, biomass = spans_of(corners, affine_laws), network.column(network.biomass)
    scale = np.maximum(spans, MINOR * spans[[network.column(exchange) for exchange in network.exchanges]].max())
    scale[biomass] = spans[biomass]
    moving = np.flatnonzero(spans > _MOVES)
    relative, objectives = affine_laws[:, :, moving] / scale[moving], objectives_of(atlas, corners, affine_laws)
    del affine_laws  # 400 MB with five inputs, which the weights need
    compared = separated(corners, relative, objectives, neighbours_of(atlas, corners), reach_of(_SHARPNESS / error))
    weights, sharpness = compared.separation.weights, sharpness_for(compared, error)
    del relative, compared
    affine_laws, planes = affine_laws_of(atlas), None
    if growth == "planes":
        values = corners.values(affine_laws[:, :, [biomass, -1]])
        planes = soft_growth(atlas, corners, values, error * float(spans[biomass]))
    law = SoftLaw(atlas.domain, network.reactions, network.biomass, affine_laws, weights, sharpness, corners, planes)
    return replace(law, card=card_of(atlas, law, spans, error))


def _check(atlas: Atlas, error: float, growth: str) -> None:
    if not 0.0 < error < 1.0:
        raise SurrogateError(f"the error is {error:g}; give a fraction of the range of the readings, between 0 and 1")
    if growth not in ("fluxes", "planes"):
        raise SurrogateError(f"growth cannot be read from '{growth}'; give 'fluxes' or 'planes'")
    if atlas.coverage < WHOLE:
        raise SurrogateError(
            f"the {len(atlas.regions)} regions known fill {atlas.coverage:.3%} of the domain; call atlas.explore() first"
        )

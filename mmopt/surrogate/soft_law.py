"""A smooth law made straight from an explored atlas, with a proved bound of its error; nothing is trained.

It is a mean of the affine laws of all regions. Each of them balances at any limits, and so does the mean; inside a region
its own law has nearly all the weight. How the weights are found is told in `heights`, the proof in `soft_bound`.
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
from mmopt.surrogate.limit_points import Limits, limit_points
from mmopt.surrogate.max_affine import Corners, corners_of, facing_of, laws_of, least_bent, parting, scaled
from mmopt.surrogate.soft_bound import Apart
from mmopt.surrogate.soft_growth import SoftGrowth, soft_growth
from mmopt.units import GROWTH_UNIT, RATE

_ENOUGH: Final = 1.0 - 1.0e-6
"""Part of the domain that the regions must fill."""

_ANSWERED: Final = 1.0e-7
"""Added to every bound: how well an atlas repeats its program, and corners their regions."""

_MOVES: Final = 1.0e-7
_TOLD: Final = 1.0e-2
"""How much a flux must change over the domain to have a say in the heights; and to be on the card [mmol/gDW/h]."""

_MINOR: Final = 0.1
"""Errors of a flux that changes less than this part of the exchange that changes most count against that part."""

_BELOW: Final = 0.1
"""Part of each range by which a reactor may leave the domain below, as for a trained surrogate."""


@dataclass(frozen=True, eq=False)
class SoftLaw:
    """A smooth map from uptake limits to balanced fluxes, whose error is bounded by proof; `soft_law` makes it.

    Attributes
    ----------
    domain
        Where it holds.
    reactions, biomass
        As in the network.
    laws
        Fluxes and shortfall from scaled inputs and a one, shape (regions, inputs + 1, reactions + 1).
    heights
        Which law has the weight, shape (regions, inputs + 1).
    sharpness
        What heights are multiplied by, β.
    corners
        Of the regions.
    planes
        What reads ``growth``; None where it is the flux of biomass.
    card
        Where it comes from, and how wrong it can be.
    """

    domain: Domain
    reactions: tuple[str, ...] = field(repr=False)
    biomass: str
    laws: np.ndarray = field(repr=False)
    heights: np.ndarray = field(repr=False)
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
    def _apart(self) -> Apart:
        return Apart.by(self.corners, self.heights)

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
        """Largest error of a reading anywhere in the domain, by proof, in its unit; unknown names are refused."""
        row = self._row(name)
        if name == GROWTH and self.planes is not None:
            return self.planes.bound
        above = self.corners.excess(self.laws[:, :, row])
        return _ANSWERED + max(self._apart.bound(np.maximum(way * above, 0.0), self.sharpness) for way in (1.0, -1.0))

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Refuse uptake limits outside the domain by a `DomainError`."""
        self.domain.check(np.maximum([limits[exchange] for exchange in self.inputs], self.domain.lower))

    def rate_function(self, names: Sequence[str]) -> "SoftLawRates":
        """The law as who answers for the cell inside a reactor, reading ``names``."""
        return SoftLawRates(self.domain, tuple(names), self.reader(names))

    def fluxes(self, limits: np.ndarray) -> np.ndarray:
        """Net fluxes of all reactions, also outside the domain; shape (..., reactions) for limits (..., inputs)."""
        return self.reader(self.reactions)(limits)

    def reader(self, names: Sequence[str]) -> Callable[[np.ndarray], np.ndarray]:
        """From limits of shape (..., inputs), inside the domain or not, to readings of shape (..., names)."""
        rows = np.array([self._row(name) for name in names], dtype=int)
        used = np.flatnonzero(np.any(self.laws[:, :, rows] != 0.0, axis=(0, 1)))  # most fluxes of a network are zero
        laws = np.ascontiguousarray(np.moveaxis(self.laws[:, :, rows[used]], 1, 0))
        heights, planes = self.sharpness * self.heights.T, self.planes if GROWTH in names else None
        of_growth = np.array([name == GROWTH for name in names], dtype=bool)

        def read(limits: np.ndarray) -> np.ndarray:
            parts = scaled(self.domain, limits)
            height = parts @ heights
            weights = np.exp(height - height.max(axis=-1, keepdims=True))
            weights /= weights.sum(axis=-1, keepdims=True)
            values = np.zeros((*parts.shape[:-1], len(rows)))
            values[..., used] = sum(parts[..., k, None] * (weights @ law) for k, law in enumerate(laws))
            if planes is not None:
                values[..., of_growth] = planes(parts)[..., None]
            return values

        return read


@dataclass(frozen=True, eq=False)
class SoftLawRates:
    """A soft law that answers for the cell: limits by name in, rates by name out."""

    domain: Domain
    names: tuple[str, ...]
    read: Callable[[np.ndarray], np.ndarray] = field(repr=False)

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Readings at the given uptake limits [mmol/gDW/h]; limits beyond the trusted box count as its edge."""
        lower, upper = self.domain.lower, self.domain.upper
        point = np.array([limits[exchange] for exchange in self.domain.inputs], dtype=float)
        point = np.clip(point, lower - _BELOW * (upper - lower), upper)
        return dict(zip(self.names, self.read(point).tolist(), strict=True))


def soft_law(atlas: Atlas, *, error: float = 0.01, growth: Literal["fluxes", "planes"] = "fluxes") -> SoftLaw:
    """Make a smooth law from an explored atlas.

    Parameters
    ----------
    atlas
        An atlas whose regions fill its domain.
    error
        Largest error wanted of any reading, as a part of its range over the domain; for minor fluxes, as a part of a
        tenth of the range of the exchange that changes most. The smaller, the sharper are the bends.
    growth
        What ``growth`` reads: the flux of biomass, which balances with all others; or its planes, which make use of
        the whole error and bend a hundred times less for it, but take no part in the balance.

    Returns
    -------
    SoftLaw
        `SoftLaw.bound` tells how wrong each reading can be, which may be far less than was asked.

    Raises
    ------
    SurrogateError
        If the atlas is not explored, ``error`` is not between 0 and 1, or smaller than rounding allows.

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> law = soft_law(atlas, error=0.01)
    >>> bool(abs(law.predict([10.0], ["growth"])[0] - 0.8739215) <= law.bound("growth") < 0.01)
    True
    """
    _check(atlas, error, growth)
    corners, laws, network = corners_of(atlas), laws_of(atlas), atlas.network
    values = np.concatenate([corners.points[corners.owner == k] @ law for k, law in enumerate(laws)])
    spans, biomass = np.ptp(values, axis=0), network.column(network.biomass)
    scale = np.maximum(spans, _MINOR * spans[[network.column(exchange) for exchange in network.exchanges]].max())
    scale[biomass] = spans[biomass]
    moving = np.flatnonzero(spans > _MOVES)
    relative = laws[:, :, moving] / scale[moving]
    apart = parting(corners, relative)
    heights = least_bent(corners, relative, apart, facing_of(atlas, corners))
    sharpness = Apart.by(corners, heights).sharpness(apart, error)
    planes = soft_growth(atlas, corners, values, error * float(spans[biomass])) if growth == "planes" else None
    law = SoftLaw(atlas.domain, network.reactions, network.biomass, laws, heights, sharpness, corners, planes)
    return replace(law, card=_card(atlas, law, spans, error))


def _check(atlas: Atlas, error: float, growth: str) -> None:
    if not 0.0 < error < 1.0:
        raise SurrogateError(f"the error is {error:g}; give a part of the range of the readings, between 0 and 1")
    if growth not in ("fluxes", "planes"):
        raise SurrogateError(f"growth cannot be read from '{growth}'; give 'fluxes' or 'planes'")
    if atlas.coverage < _ENOUGH:
        raise SurrogateError(
            f"the {len(atlas.regions)} regions known fill {atlas.coverage:.3%} of the domain; call atlas.explore() first"
        )


def _card(atlas: Atlas, law: SoftLaw, spans: np.ndarray, error: float) -> dict[str, Any]:
    """What the law is made from, and the bounds of growth, the shortfall and every exchange that changes."""
    network = atlas.network
    told = {GROWTH: network.column(network.biomass), SHORTFALL: len(network.reactions)}
    told |= {name: column for name in network.exchanges if spans[column := network.column(name)] > _TOLD}
    return {
        "network": network.name,
        "network_hash": network.hash,
        "atlas": atlas.digest,
        "regions": len(atlas.regions),
        "planes": len(atlas.growth_planes()[1]),
        "error": error,
        "sharpness": law.sharpness,
        "bounds": {name: {"bound": law.bound(name), "range": float(spans[row])} for name, row in told.items()},
        "units": {name: GROWTH_UNIT if name == GROWTH else RATE for name in told},
    }

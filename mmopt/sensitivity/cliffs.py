"""Cliffs: thin layers of a domain in which growth climbs steeply with one input.

A cell that needs a trace of a nutrient (yeast and its sterols, which need a little oxygen) grows not at all without it, and
almost at its best with a thousandth of the range. No small smooth network follows that, and a worst-case error is decided
there. The exact slopes of an atlas show it before any training.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from mmopt.fba.atlas import Atlas
from mmopt.sensitivity.nutrients import missing_nutrients

_STEEP: Final = 15.0
"""Slope from which on growth climbs steeply: so many times its whole range over the whole range of the input."""

_THIN: Final = 0.05
"""Thickness of a cliff in its input, as a fraction of the range; what is thicker is a slope that a network follows."""

_CLIMB: Final = 0.05
"""Growth that is climbed on a cliff, as a fraction of its range; less is no matter."""

BESIDE: Final = 2.0
"""The layer in which a surrogate errs by a cliff, as a multiple of the cliff's thickness."""

_LISTED: Final = 6


@dataclass(frozen=True)
class Cliff:
    """A layer in which growth climbs steeply with one input.

    Attributes
    ----------
    name
        The input.
    start, end
        Lowest and highest value of the input on the cliff [mmol/gDW/h].
    growth
        Lowest and highest growth on the cliff [1/h].
    slope, other_slope
        Steepest slope of growth on the cliff and off it [1/h by mmol/gDW/h].
    missing
        Metabolites that growth needs and the cell cannot make where the input is zero.
    nutrients
        Closed exchanges that would provide them.

    Examples
    --------
    >>> cliff = Cliff("EX_o2_e", 0.0, 0.024, (0.0, 0.42), 17.9, 0.12, ("ergst_c",), ("EX_ergst_e",))
    >>> cliff.edge
    0.048
    >>> print(cliff)
    growth climbs from 0 to 0.42 1/h while EX_o2_e goes from 0 to 0.024 mmol/gDW/h (slope 17.9, elsewhere up to 0.12): ...
    """

    name: str
    start: float
    end: float
    growth: tuple[float, float]
    slope: float
    other_slope: float
    missing: tuple[str, ...] = ()
    nutrients: tuple[str, ...] = ()

    @property
    def edge(self) -> float:
        """Value of the input up to which errors count as those of the cliff [mmol/gDW/h]."""
        return self.start + BESIDE * (self.end - self.start)

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Return whether values of the input are on the cliff or close beside it.

        Parameters
        ----------
        values
            Values of the input [mmol/gDW/h].

        Returns
        -------
        ndarray of bool
            Of the same shape.
        """
        beside = BESIDE * (self.end - self.start)
        held: np.ndarray = (values >= self.end - beside) & (values < self.edge)
        return held

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as JSON can hold them."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        low, high = self.growth
        climb = (
            f"growth climbs from {low:.3g} to {high:.3g} 1/h while {self.name} goes from {self.start:.3g} to "
            f"{self.end:.3g} mmol/gDW/h (slope {self.slope:.3g}, elsewhere up to {self.other_slope:.3g}): "
        )
        why = f"without it the cell cannot make {_listed(self.missing)}" if self.missing else "it is needed in traces"
        provide = f"open {_listed(self.nutrients)} with set_bounds, or " if self.nutrients else ""
        return f"{climb}{why}. To have no cliff, {provide}begin the domain of {self.name} at {self.edge:.2g}"


def growth_cliffs(atlas: Atlas, *, why: bool = True) -> tuple[Cliff, ...]:
    """Return the cliffs of growth in a domain, at most one for every input, and what runs out there.

    Parameters
    ----------
    atlas
        The exact fluxes over the domain, explored.
    why
        Whether to compute what runs out, which takes seconds.

    Returns
    -------
    tuple of Cliff
        The cliffs; empty where growth is steep nowhere.

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 12.0)}))
    >>> _ = atlas.explore()
    >>> growth_cliffs(atlas)
    ()
    """
    row = atlas.network.column(atlas.network.biomass)
    corners = [region.shape.corners for region in atlas.regions]
    planes = [(float(constant[0]), slope[0]) for constant, slope in (r.law(np.array([row])) for r in atlas.regions)]
    if not corners:
        return ()
    growth = [constant + points @ slope for points, (constant, slope) in zip(corners, planes, strict=True)]
    every = np.concatenate(growth)
    span = float(np.ptp(every))
    if span <= 0.0:
        return ()
    slopes = np.array([slope for _, slope in planes])
    cliffs = [_cliff(atlas, column, corners, growth, slopes[:, column], span) for column in range(len(atlas.inputs))]
    return tuple(_explained(cliff, atlas) if why else cliff for cliff in cliffs if cliff is not None)


def _explained(cliff: Cliff, atlas: Atlas) -> Cliff:
    if cliff.start > 0.0:
        return cliff
    missing, nutrients = missing_nutrients(atlas.network, atlas.domain, cliff.name)
    return replace(cliff, missing=missing, nutrients=nutrients)


def _cliff(
    atlas: Atlas,
    column: int,
    corners: Sequence[np.ndarray],
    growth: Sequence[np.ndarray],
    slopes: np.ndarray,
    span: float,
) -> Cliff | None:
    """The cliff of one input; None if there is none, or growth climbs little on it."""
    low, high = float(atlas.domain.lower[column]), float(atlas.domain.upper[column])
    width = high - low
    begin = np.array([points[:, column].min() for points in corners])
    end = np.array([points[:, column].max() for points in corners])
    steep = (slopes * width / span > _STEEP) & (end - begin < _THIN * width)
    if not steep.any():
        return None
    first = begin[steep].min()
    steep &= end - first < _THIN * width  # one layer: what is steep further up is another matter
    climbed = np.concatenate([growth[number] for number in np.flatnonzero(steep).tolist()])
    if np.ptp(climbed) < _CLIMB * span:
        return None
    return Cliff(
        atlas.inputs[column],
        float(max(low, first)),
        float(end[steep].max()),
        (max(0.0, float(climbed.min())) + 0.0, float(climbed.max())),
        float(slopes[steep].max()),
        float(slopes[~steep].max(initial=0.0)),
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more

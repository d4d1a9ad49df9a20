"""Filling a domain with critical regions, and what the whole map then tells.

From the middle of every facet one step leads into the neighbour; where that ends, random points look for what was
missed. What is covered is known exactly, since regions do not overlap.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from mmopt.fba.fluxes import FluxBatch
from mmopt.fba.region import Region

if TYPE_CHECKING:
    from mmopt.fba.atlas import Atlas

_STEPS: Final = (1.0e-7, 1.0e-4)
"""How far beyond a facet a neighbour is looked for, in parts of the domain: close, then past what is too thin to keep."""

_SAME: Final = 9
"""Decimals to which two planes, or two corners, are one."""

_NO_SHORTFALL: Final = 1.0e-9
_THOUSAND: Final = 1000


def explore(
    atlas: "Atlas", wanted: float, most: int | None, probes: int, progress: Callable[[int, int], None] | None
) -> float:
    """Fill the domain of an atlas; see `Atlas.explore`."""
    atlas.find(atlas.domain.lower + 0.5 * _width(atlas))
    walked, random = 0, np.random.default_rng(0)

    def enough() -> bool:
        return atlas.coverage >= wanted or (most is not None and len(atlas.regions) >= most)

    while not enough():
        if walked < len(atlas.regions):
            _walk_out_of(atlas, atlas.regions[walked])
            walked += 1
        else:
            known = len(atlas.regions)
            atlas.extend(atlas.domain.lower + random.random((probes, len(atlas.inputs))) * _width(atlas))
            if len(atlas.regions) == known:
                break
        if progress is not None:
            progress(int(_THOUSAND * min(1.0, atlas.coverage)), _THOUSAND)
    return atlas.coverage


def growth_planes(atlas: "Atlas") -> tuple[np.ndarray, np.ndarray]:
    """Different planes of growth in the regions without shortfall; see `Atlas.growth_planes`."""
    row = atlas.network.column(atlas.network.biomass)
    planes = [
        np.append(each.slope[row], each.constant[row])
        for each in atlas.regions
        if np.all(each.constant[-1] + each.shape.corners @ each.slope[-1] < _NO_SHORTFALL)
    ]
    if not planes:
        return np.empty((0, len(atlas.inputs))), np.empty(0)
    unique = np.unique(np.round(planes, _SAME) + 0.0, axis=0, return_index=True)[1]
    exact = np.array(planes)[unique]
    return exact[:, :-1], exact[:, -1]


def corners(atlas: "Atlas") -> tuple[np.ndarray, FluxBatch]:
    """Different corners of the regions with their fluxes; see `Atlas.corners`."""
    if len(atlas.regions) == 0:
        points = np.empty((0, len(atlas.inputs)))
    else:
        every = np.vstack([each.shape.corners for each in atlas.regions])
        points = np.unique(np.round(every, _SAME) + 0.0, axis=0)
    return points, atlas.batch(points)


def _walk_out_of(atlas: "Atlas", region: Region) -> None:
    middles, normals = region.shape.beyond
    for middle, normal in zip(middles, normals, strict=True):
        for step in _STEPS:
            unit = middle + step * normal
            if np.all((unit >= 0.0) & (unit <= 1.0)):
                atlas.find(atlas.domain.lower + unit * _width(atlas))


def _width(atlas: "Atlas") -> np.ndarray:
    width: np.ndarray = atlas.domain.upper - atlas.domain.lower
    return width

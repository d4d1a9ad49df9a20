"""An atlas as a file: netCDF with its affine laws, its regions, and the facts that decide them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr

from mmopt.fba.domain import Domain
from mmopt.fba.polytope import Polytope
from mmopt.fba.region import Region
from mmopt.io.files import write_whole
from mmopt.io.netcdf import read_netcdf, write_netcdf
from mmopt.network.linear_limit import LinearLimit
from mmopt.units import RATE


@dataclass(frozen=True, eq=False)
class AtlasContent:
    """What the file of an atlas contains.

    Attributes
    ----------
    network, network_hash
        Name and hash of the network.
    domain
        The box of inputs.
    fraction_of_optimum, limits
        Options of the flux program.
    regions
        The critical regions.
    digest
        Digest of the atlas.
    """

    network: str
    network_hash: str
    domain: Domain
    fraction_of_optimum: float
    limits: Sequence[LinearLimit]
    regions: Sequence[Region]
    digest: str


def write_atlas(content: AtlasContent, path: str | Path) -> Path:
    """Write the content of an atlas as netCDF; the file appears whole or not at all.

    Parameters
    ----------
    content
        The content.
    path
        The file.

    Returns
    -------
    Path
        The file.
    """
    data = xr.Dataset(_variables(content), coords={"input": list(content.domain.inputs)}, attrs=_attributes(content))
    packed = {str(name): {"zlib": True, "complevel": 1} for name, array in data.data_vars.items() if array.size}
    return write_whole(path, lambda temporary: write_netcdf(data, temporary, packed))


def read_atlas(path: str | Path) -> AtlasContent:
    """Read the content of an atlas.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    AtlasContent
        The content; a damaged file raises exceptions of any kind.
    """
    data = read_netcdf(path, sealed=True)
    attributes = data.attrs
    box = zip(np.atleast_1d(attributes["lower"]), np.atleast_1d(attributes["upper"]), strict=True)
    return AtlasContent(
        network=str(attributes["network"]),
        network_hash=str(attributes["network_hash"]),
        domain=Domain(dict(zip(map(str, data["input"].values), box, strict=True))),
        fraction_of_optimum=float(attributes["fraction"]),
        limits=[LinearLimit(name, most, weights, net) for name, most, weights, net in json.loads(attributes["limits"])],
        regions=_regions(data),
        digest=str(attributes["digest"]),
    )


def _variables(content: AtlasContent) -> dict[str, tuple[str | tuple[str, ...], np.ndarray]]:
    regions = content.regions
    shapes = [region.shape for region in regions]
    inputs = len(content.domain.inputs)

    def stacked(dimension: str, arrays: list[np.ndarray]) -> tuple[tuple[str, str], np.ndarray]:
        return (dimension, "input"), np.concatenate([np.empty((0, inputs)), *arrays])

    rows = len(regions[0].constant) if regions else 0
    return {
        "constant": (("region", "row"), np.array([region.constant for region in regions]).reshape(len(regions), rows)),
        "slope": (
            ("region", "row", "input"),
            np.array([region.slope for region in regions]).reshape(len(regions), rows, inputs),
        ),
        "volume": ("region", np.array([shape.volume for shape in shapes])),
        "facets": ("region", np.array([len(shape.right) for shape in shapes], dtype=int)),
        "corners": ("region", np.array([len(shape.corners) for shape in shapes], dtype=int)),
        "inner_facets": ("region", np.array([len(shape.beyond[0]) for shape in shapes], dtype=int)),
        "left": stacked("facet", [shape.left for shape in shapes]),
        "right": ("facet", np.concatenate([np.empty(0), *(shape.right for shape in shapes)])),
        "corner": stacked("every_corner", [shape.corners for shape in shapes]),
        "middle": stacked("inner_facet", [shape.beyond[0] for shape in shapes]),
        "normal": stacked("inner_facet", [shape.beyond[1] for shape in shapes]),
    }


def _attributes(content: AtlasContent) -> dict[str, object]:
    limits = [[limit.name, limit.most, limit.weights and dict(limit.weights), limit.net] for limit in content.limits]
    return {
        "units": RATE,
        "network": content.network,
        "network_hash": content.network_hash,
        "lower": content.domain.lower.tolist(),
        "upper": content.domain.upper.tolist(),
        "fraction": content.fraction_of_optimum,
        "limits": json.dumps(limits),
        "coverage": float(sum(region.shape.volume for region in content.regions)),
        "digest": content.digest,
        **{f"version_{package}": version(package) for package in ("mmopt", "highspy", "numpy", "scipy")},
    }


def _regions(data: xr.Dataset) -> list[Region]:
    values = {str(name): np.asarray(array.values) for name, array in data.data_vars.items()}
    if not all(np.all(np.isfinite(array)) for array in values.values()):
        raise ValueError("its arrays contain values that are no numbers")
    facets, corners, inner = (np.cumsum(values[name])[:-1] for name in ("facets", "corners", "inner_facets"))
    shapes = zip(
        np.split(values["left"], facets),
        np.split(values["right"], facets),
        np.split(values["corner"], corners),
        values["volume"].tolist(),
        zip(np.split(values["middle"], inner), np.split(values["normal"], inner), strict=True),
        strict=False,  # np.split of nothing is one empty array
    )
    affine_laws = zip(values["constant"], values["slope"], strict=True)
    return [
        Region(constant, slope, Polytope(*shape)) for (constant, slope), shape in zip(affine_laws, shapes, strict=False)
    ]

"""An atlas as a file: netCDF with its laws, its regions, and what they were made from."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr

from mmopt.errors import StudyError, first_line
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.polytope import Polytope
from mmopt.fba.region import Region
from mmopt.io.files import write_whole
from mmopt.io.netcdf import read_netcdf, write_netcdf
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.units import RATE


def save_atlas(atlas: Atlas, path: str | Path) -> Path:
    """Write an atlas as netCDF; the file appears whole or not at all."""
    data = _dataset(atlas)
    packed = {str(name): {"zlib": True, "complevel": 1} for name, array in data.data_vars.items() if array.size}
    return write_whole(path, lambda part: write_netcdf(data, part, packed))


def load_atlas(path: str | Path, network: Network) -> Atlas:
    """Read an atlas that `Atlas.save` wrote.

    Parameters
    ----------
    path
        The file.
    network
        The network the atlas was made from.

    Raises
    ------
    StudyError
        If the file is missing, damaged, no atlas, or was made from another network.
    """
    try:
        data = read_netcdf(path, sealed=True)
        told = data.attrs
        if told["network_hash"] != network.hash:
            raise StudyError(f"{path} was made from another network than {network.name} as read now; explore again")
        box = zip(np.atleast_1d(told["lower"]), np.atleast_1d(told["upper"]), strict=True)
        domain = Domain(dict(zip(map(str, data["input"].values), box, strict=True)))
        atlas = Atlas(network, domain, fraction=float(told["fraction"]), limits=_limits(data))
        for met in _regions(data, len(network.reactions) + 1):
            atlas.regions.add(met)
        if atlas.digest != told["digest"]:
            raise ValueError("its content is not what was written")
    except StudyError:
        raise
    except Exception as error:  # a damaged file fails in many ways; each means the same to a user
        raise StudyError(f"{path} is not an atlas mmopt wrote ({first_line(error)}); explore again") from error
    return atlas


def _dataset(atlas: Atlas) -> xr.Dataset:
    regions = list(atlas.regions)
    shapes = [each.shape for each in regions]
    inputs = len(atlas.inputs)
    rows = len(atlas.network.reactions) + 1

    def stacked(dimension: str, arrays: list[np.ndarray]) -> tuple[tuple[str, str], np.ndarray]:
        return (dimension, "input"), np.concatenate([np.empty((0, inputs)), *arrays])

    limits, weights = atlas.program.limits, [each.weights for each in atlas.program.limits]
    return xr.Dataset(
        {
            "constant": (("region", "row"), np.array([each.constant for each in regions]).reshape(-1, rows)),
            "slope": (("region", "row", "input"), np.array([e.slope for e in regions]).reshape(-1, rows, inputs)),
            "volume": ("region", np.array([shape.volume for shape in shapes])),
            "facets": ("region", np.array([len(shape.right) for shape in shapes], dtype=int)),
            "corners": ("region", np.array([len(shape.corners) for shape in shapes], dtype=int)),
            "inner_facets": ("region", np.array([len(shape.beyond[0]) for shape in shapes], dtype=int)),
            "left": stacked("facet", [shape.left for shape in shapes]),
            "right": ("facet", np.concatenate([np.empty(0), *(shape.right for shape in shapes)])),
            "corner": stacked("every_corner", [shape.corners for shape in shapes]),
            "middle": stacked("inner_facet", [shape.beyond[0] for shape in shapes]),
            "normal": stacked("inner_facet", [shape.beyond[1] for shape in shapes]),
        },
        coords={"input": list(atlas.inputs)},
        attrs={
            "units": RATE,
            "network": atlas.network.name,
            "network_hash": atlas.network.hash,
            "lower": atlas.domain.lower.tolist(),
            "upper": atlas.domain.upper.tolist(),
            "fraction": atlas.program.fraction,
            "limits": json.dumps(
                [[e.name, e.most, w and dict(w), e.net] for e, w in zip(limits, weights, strict=True)]
            ),
            "coverage": atlas.coverage,
            "digest": atlas.digest,
            **{f"version_{package}": version(package) for package in ("mmopt", "highspy", "numpy", "scipy")},
        },
    )


def _limits(data: xr.Dataset) -> list[LinearLimit]:
    return [LinearLimit(name, most, weights, net) for name, most, weights, net in json.loads(data.attrs["limits"])]


def _regions(data: xr.Dataset, rows: int) -> list[Region]:
    values = {str(name): np.asarray(array.values) for name, array in data.data_vars.items()}
    if values["constant"].shape[1] != rows or not all(np.all(np.isfinite(array)) for array in values.values()):
        raise ValueError("its arrays have a wrong shape, or hold what is no number")
    facets, corners, inner = (np.cumsum(values[name])[:-1] for name in ("facets", "corners", "inner_facets"))
    shapes = zip(
        np.split(values["left"], facets),
        np.split(values["right"], facets),
        np.split(values["corner"], corners),
        values["volume"].tolist(),
        zip(np.split(values["middle"], inner), np.split(values["normal"], inner), strict=True),
        strict=False,  # np.split of nothing is one empty part
    )
    laws = zip(values["constant"], values["slope"], strict=True)
    return [Region(constant, slope, Polytope(*shape)) for (constant, slope), shape in zip(laws, shapes, strict=False)]

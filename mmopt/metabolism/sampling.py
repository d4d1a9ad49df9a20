"""Labels at many inputs: the box they come from, where they lie in it, and the table they fill.

A space-filling design covers the box; a part of its points is drawn towards zero uptake on purpose, because starvation
lives in a sliver that even coverage misses. The points are solved along a snake through the box, so that each solve
starts from a neighbour's basis.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import xarray as xr

from mmopt.errors import DomainError, StudyError
from mmopt.metabolism.network import Network
from mmopt.metabolism.pfba import GROWTH, SHORTFALL, LabelProgram
from mmopt.results import first_line, read_netcdf, write_whole
from mmopt.units import GROWTH as GROWTH_UNIT
from mmopt.units import RATE

Progress = Callable[[int, int], None]
"""Called with (done, total) while a long work goes on."""

STARVED_PART, FACE_PART = 0.25, 0.25
"""Parts of the labels drawn towards zero uptake, and put where one of the limits is exactly zero: a fed-batch spends most
of its time on such a face (no acetate left, no glucose left), and there a wrong rate would eat what is not there."""

_STARVED_POWER = 4
"""The drawn points are u⁴ of a uniform design: half of them lie in the lowest 6 % of each range."""

_SNAKE_CELLS = 8


@dataclass(frozen=True)
class Domain:
    """The named box of uptake limits that is sampled and trusted.

    Parameters
    ----------
    limits
        Lowest and highest uptake limit by exchange id [mmol/gDW/h].

    Raises
    ------
    DomainError
        If a range is empty, negative or not finite.

    Examples
    --------
    >>> Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)}).inputs
    ('EX_glc__D_e', 'EX_o2_e')
    """

    limits: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        if not self.limits:
            raise DomainError("a domain needs at least one uptake limit")
        for exchange, (low, high) in self.limits.items():
            if not (0.0 <= low < high < np.inf):
                raise DomainError(
                    f"the range of {exchange} is [{low:g}, {high:g}] mmol/gDW/h; give 0 <= lowest < highest, both finite"
                )
        object.__setattr__(
            self, "limits", MappingProxyType({name: (float(a), float(b)) for name, (a, b) in self.limits.items()})
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchange ids, in order."""
        return tuple(self.limits)

    @property
    def lower(self) -> np.ndarray:
        """Lowest limits [mmol/gDW/h], shape (inputs,)."""
        return np.array([low for low, _ in self.limits.values()])

    @property
    def upper(self) -> np.ndarray:
        """Highest limits [mmol/gDW/h], shape (inputs,)."""
        return np.array([high for _, high in self.limits.values()])

    def check(self, points: np.ndarray, below: float = 1.0e-9, above: float = 1.0e-9) -> None:
        """Refuse points outside the box; ``below`` and ``above`` are the parts of each range by which they may be.

        Raises
        ------
        DomainError
            Naming the input, its value and the range.
        """
        width = self.upper - self.lower
        outside = ~((points >= self.lower - below * width) & (points <= self.upper + above * width))
        if np.any(outside):
            position = tuple(np.argwhere(np.atleast_2d(outside))[0])
            value, name = np.atleast_2d(points)[position], self.inputs[position[1]]
            low, high = self.limits[name]
            raise DomainError(
                f"uptake limit {value:g} mmol/gDW/h of {name} is outside the trained domain [{low:g}, {high:g}]; "
                "retrain with a wider Domain, or lower the largest uptake rate"
            )


@dataclass(frozen=True, eq=False)
class FluxTable:
    """Labels at sampled inputs.

    Attributes
    ----------
    data
        ``inputs`` (label, input), ``fluxes`` (label, reaction) [mmol/gDW/h], ``growth`` [1/h], ``shortfall`` [mmol/gDW/h];
        the provenance (network hash, domain, seed, versions) in ``attrs``.
    network
        The network that was asked.
    domain
        The box the inputs come from.
    """

    data: xr.Dataset
    network: Network
    domain: Domain

    @property
    def inputs(self) -> np.ndarray:
        """Uptake limits [mmol/gDW/h], shape (labels, inputs)."""
        return np.asarray(self.data["inputs"].values)

    @property
    def fluxes(self) -> np.ndarray:
        """Net fluxes [mmol/gDW/h], shape (labels, reactions)."""
        return np.asarray(self.data["fluxes"].values)

    def __len__(self) -> int:
        return int(self.data.sizes["label"])

    def save(self, path: str | Path) -> Path:
        """Write the table as netCDF; the file appears whole or not at all."""
        packed = {name: {"zlib": True, "complevel": 4} for name in ("inputs", "fluxes")}
        return write_whole(path, lambda part: self.data.to_netcdf(part, engine="h5netcdf", encoding=packed))


def load_table(path: str | Path, network: Network) -> FluxTable:
    """Read a table that `FluxTable.save` wrote.

    Raises
    ------
    StudyError
        If the file is missing, is not a table, or was made from another network.
    """
    try:
        data = read_netcdf(path)
        names = [str(name) for name in data["input"].values]
        box = zip(np.atleast_1d(data.attrs["lower"]), np.atleast_1d(data.attrs["upper"]), strict=True)
        table = FluxTable(data, network, Domain(dict(zip(names, box, strict=True))))
        made_from = data.attrs["network_hash"]
    except Exception as error:  # a damaged file fails in many ways; each means the same to a user
        raise StudyError(f"{path} is not a table of labels mmopt wrote ({first_line(error)}); sample again") from error
    if made_from != network.hash:
        raise StudyError(f"{path} was made from another network than {network.name} as read now; sample again")
    return table


def design(domain: Domain, n: int, seed: int) -> np.ndarray:
    """Scrambled Sobol points in the box, some of them drawn towards its lowest corner and some put on its lowest faces.

    Returns
    -------
    ndarray
        Shape (n, inputs); even coverage, then the drawn part, then the faces.

    Examples
    --------
    >>> design(Domain({"EX_glc__D_e": (0.0, 12.0)}), 8, seed=0).shape
    (8, 1)
    """
    from scipy.stats import qmc

    if n < 1:
        raise StudyError(f"{n} labels were asked for; ask for at least 1")
    dimensions = len(domain.inputs)
    power = int(np.ceil(np.log2(max(n, 2))))
    starved, faces = int(STARVED_PART * n), int(FACE_PART * n)
    even, drawn, faced = (
        qmc.Sobol(dimensions, rng=np.random.default_rng([seed, stream])).random_base2(power) for stream in range(3)
    )
    faced[np.arange(len(faced)), np.arange(len(faced)) % dimensions] = 0.0
    faced[1::2] **= _STARVED_POWER
    unit = np.vstack([even[: n - starved - faces], drawn[:starved] ** _STARVED_POWER, faced[:faces]])
    points: np.ndarray = domain.lower + unit * (domain.upper - domain.lower)
    return points


def sample(network: Network, domain: Domain, n: int, seed: int = 0, progress: Progress | None = None) -> FluxTable:
    """Solve the label program at ``n`` points of the domain.

    Parameters
    ----------
    network
        The metabolic network.
    domain
        The box of uptake limits.
    n
        Number of labels.
    seed
        Same seed, same table.
    progress
        Called with (done, total) after every label.

    Raises
    ------
    NetworkError
        If the domain names an unknown exchange.

    Examples
    --------
    >>> table = sample(read_network("textbook"), Domain({"EX_glc__D_e": (0.0, 10.0)}), n=16)
    >>> table.fluxes.shape
    (16, 95)
    """
    program = LabelProgram(network, domain.inputs)
    points = design(domain, n, seed)
    points = points[_snake(points, domain)]
    answers = []
    for done, point in enumerate(points, start=1):
        answers.append(program.solve(point))
        if progress is not None:
            progress(done, n)
    data = xr.Dataset(
        {
            "inputs": (("label", "input"), points, {"units": RATE}),
            "fluxes": (("label", "reaction"), np.array([answer.net for answer in answers]), {"units": RATE}),
            GROWTH: ("label", np.array([answer.growth for answer in answers]), {"units": GROWTH_UNIT}),
            SHORTFALL: ("label", np.array([answer.shortfall for answer in answers]), {"units": RATE}),
        },
        coords={"input": list(domain.inputs), "reaction": list(network.reactions)},
        attrs=provenance(network, domain, seed),
    )
    return FluxTable(data, network, domain)


def provenance(network: Network, domain: Domain, seed: int) -> dict[str, Any]:
    """What a table or a surrogate must tell about its origin."""
    return {
        "network": network.name,
        "network_hash": network.hash,
        "lower": domain.lower.tolist(),
        "upper": domain.upper.tolist(),
        "seed": seed,
        **{f"version_{package}": version(package) for package in ("mmopt", "cobra", "highspy", "numpy")},
    }


def _snake(points: np.ndarray, domain: Domain) -> np.ndarray:
    """Order in which the points are met by a snake through the cells of the box: neighbours follow each other."""
    unit = (points - domain.lower) / (domain.upper - domain.lower)
    cells = np.minimum((unit * _SNAKE_CELLS).astype(int), _SNAKE_CELLS - 1)
    passed: np.ndarray = np.zeros(len(points), dtype=int)
    for column in cells.T:
        turned = np.where(passed % 2 == 0, column, _SNAKE_CELLS - 1 - column)
        passed = passed * _SNAKE_CELLS + turned
    return np.argsort(passed, kind="stable")

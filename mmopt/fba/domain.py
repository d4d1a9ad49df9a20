"""The box of inputs that is sampled and trusted, and where in it the labels lie.

A space-filling design covers the box; a part of its points is drawn towards zero uptake on purpose, because starvation
lives in a sliver that even coverage misses. The points are met along a snake through the box, so that each solve starts
from a neighbour's basis.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np

from mmopt.errors import DomainError, StudyError

STARVED_PART, FACE_PART = 0.25, 0.25
"""Parts of the labels drawn towards zero uptake, and put where one of the limits is exactly zero: a fed-batch spends most
of its time on such a face (no acetate left, no glucose left), and there a wrong rate would eat what is not there."""

_STARVED_POWER = 4
"""The drawn points are u⁴ of a uniform design: half of them lie in the lowest 6 % of each range."""

_CORNERS_FROM = 16
"""FluxBatch for each corner of the box from which on the corners are among them."""

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

    def __reduce__(self) -> tuple[type["Domain"], tuple[dict[str, tuple[float, float]]]]:
        """Pickle a plain mapping; the read-only view of it cannot be pickled."""
        return Domain, (dict(self.limits),)

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


def design(domain: Domain, n: int, seed: int) -> np.ndarray:
    """Scrambled Sobol points in the box, some of them drawn towards its lowest corner and some put on its lowest faces.

    Where there are enough points for it, all corners of the box are among them: without, a surrogate of iJO1366 was found to
    be wrong by 9 % of the range of ethanol at a corner that no label was near.

    Returns
    -------
    ndarray
        Shape (n, inputs); the corners and even coverage, then the drawn part, then the faces.

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
    corners = (
        np.array(list(product((0.0, 1.0), repeat=dimensions))) if n >= _CORNERS_FROM * 2**dimensions else faced[:0]
    )
    even = np.vstack([corners, even])
    unit = np.vstack([even[: n - starved - faces], drawn[:starved] ** _STARVED_POWER, faced[:faces]])
    points: np.ndarray = domain.lower + unit * (domain.upper - domain.lower)
    return points


def sweep_order(points: np.ndarray, domain: Domain) -> np.ndarray:
    """Order in which the points are met by a snake through the cells of the box: neighbours follow each other.

    Returns
    -------
    ndarray
        Positions of the points, shape (points,).

    Examples
    --------
    >>> snake(np.array([[9.0], [1.0], [5.0]]), Domain({"EX_glc__D_e": (0.0, 12.0)})).tolist()
    [1, 2, 0]
    """
    unit = (points - domain.lower) / (domain.upper - domain.lower)
    cells = np.minimum((unit * _SNAKE_CELLS).astype(int), _SNAKE_CELLS - 1)
    passed: np.ndarray = np.zeros(len(points), dtype=int)
    for column in cells.T:
        turned = np.where(passed % 2 == 0, column, _SNAKE_CELLS - 1 - column)
        passed = passed * _SNAKE_CELLS + turned
    return np.argsort(passed, kind="stable")

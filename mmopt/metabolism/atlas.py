"""Critical regions: the exact, piecewise affine answer of the label program, found lazily.

Around any answer the fluxes are affine in the limits as long as its basis stays feasible; strict optimality of a basis
depends on no limit. A query inside a known region is answered by its law; a miss solves the program and adds a region.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mmopt.metabolism.network import Network
from mmopt.metabolism.pfba import GROWTH, SHORTFALL, LabelProgram
from mmopt.solvers.laws import AffineLaw

_INSIDE: Final = 1.0e-9
"""How far a basic variable may be beyond its bound for a point to count as inside; the tolerance of the program."""


class Atlas:
    """The label program with a memory; exact wherever the program is, and it can stand wherever the program can.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        Exchanges whose uptake limits vary.

    References
    ----------
    Gal and Nedoma (1972), Manage. Sci. 18:406 (multiparametric linear programming).

    Examples
    --------
    >>> atlas = Atlas(read_network("textbook"), ["EX_glc__D_e"])
    >>> cell = atlas.answers(["growth"])
    >>> [round(cell({"EX_glc__D_e": limit})["growth"], 4) for limit in (10.0, 8.0)], atlas.regions
    ([0.8739, 0.6906], 1)
    """

    def __init__(self, network: Network, inputs: Sequence[str]) -> None:
        self.program = LabelProgram(network, inputs)
        self._laws: list[AffineLaw] = []

    @property
    def inputs(self) -> tuple[str, ...]:
        """Exchanges whose uptake limits vary, in order."""
        return self.program.inputs

    @property
    def regions(self) -> int:
        """How many regions are known so far."""
        return len(self._laws)

    def trusts(self, limits: Mapping[str, float]) -> None:
        """Accept every limit: the program answers them all, from zero up."""

    def answers(self, names: Sequence[str]) -> "AtlasCell":
        """The atlas as who answers for the cell inside a reactor, reading ``names``.

        Raises
        ------
        NetworkError
            If a reaction id is unknown.
        """
        network = self.program.network
        special = {GROWTH: network.column(network.biomass), SHORTFALL: len(network.reactions)}
        rows = [special[name] if name in special else network.column(name) for name in names]
        return AtlasCell(self, tuple(names), np.array(rows), [])

    def find(self, point: np.ndarray, last: int) -> int | None:
        """Number of a region that holds (limits, demand), tried from ``last`` on; None if none can be had."""
        for number in (last, *reversed(range(len(self._laws)))):
            if number < len(self._laws) and _holds(self._laws[number], point):
                return number
        self.program.solve(point[:-1])
        found = self.program.law()
        if found is None or not _holds(found, point):
            return None
        self._laws.append(found)
        return len(self._laws) - 1

    def __getitem__(self, number: int) -> AffineLaw:
        return self._laws[number]


@dataclass(eq=False)
class AtlasCell:
    """An atlas that answers for the cell: limits by name in, rates by name out."""

    atlas: Atlas
    names: tuple[str, ...]
    rows: np.ndarray
    readings: list[tuple[np.ndarray, np.ndarray]]
    last: int = 0

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Rates at the given uptake limits [mmol/gDW/h]; a limit below zero counts as zero."""
        program = self.atlas.program
        point = np.array([*(max(0.0, limits[name]) for name in program.inputs), program.network.maintenance_demand])
        number = self.atlas.find(point, self.last)
        if number is None:  # a basis that could not be proved: the program's own answer, without a law
            fluxes = program.solve(point[:-1])
            values = np.append(fluxes.net, fluxes.shortfall)[self.rows]
        else:
            self.last = number
            for known in range(len(self.readings), self.atlas.regions):
                law = self.atlas[known]
                self.readings.append((law.constant[self.rows], law.slope[self.rows]))
            constant, slope = self.readings[number]
            values = constant + slope @ point
        return dict(zip(self.names, values.tolist(), strict=True))


def _holds(law: AffineLaw, point: np.ndarray) -> bool:
    return bool(np.all(law.left @ point <= law.right + _INSIDE))

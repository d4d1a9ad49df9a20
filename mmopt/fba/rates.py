"""Rates of the cell inside a reactor: uptake limits by name in, rates by name out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmopt.checking import shown
from mmopt.errors import NetworkError
from mmopt.network.network import Network

GROWTH = "growth"
SHORTFALL = "shortfall"


@dataclass(frozen=True, eq=False, repr=False)
class RateFunction:
    """Some rates as a function of the uptake limits, both by name.

    Attributes
    ----------
    inputs
        Names of the uptake limits, in the order that ``rates`` takes.
    names
        Names of the rates, in the order that ``rates`` returns: growth [1/h], shortfall or net fluxes [mmol/gDW/h].
    rates
        Function of inputs of shape (inputs,) that returns values of shape (names,).

    Examples
    --------
    >>> program = FluxProgram(read_network("textbook"), ["EX_glc__D_e"])
    >>> cell = program.rate_function(["growth"])
    >>> round(cell({"EX_glc__D_e": 10.0})["growth"], 4)
    0.8739
    """

    inputs: tuple[str, ...]
    names: tuple[str, ...]
    rates: Callable[[np.ndarray], np.ndarray]

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Return the rates at the given uptake limits [mmol/gDW/h].

        A limit below zero counts as zero: trial steps of an integrator overshoot where a substrate runs out.
        """
        point = np.array([limits[name] for name in self.inputs])
        return dict(zip(self.names, self.rates(np.maximum(point, 0.0)).tolist(), strict=True))

    def __repr__(self) -> str:
        return f"RateFunction({len(self.names)} rates of {', '.join(self.inputs)})"


def rate_rows(network: Network, names: Sequence[str]) -> np.ndarray:
    """Return the rows of the named rates in the net fluxes followed by the shortfall.

    Parameters
    ----------
    network
        The metabolic network.
    names
        ``growth``, ``shortfall`` or reaction ids.

    Returns
    -------
    ndarray
        Row numbers, shape (names,).

    Raises
    ------
    NetworkError
        If a reaction id is unknown, or ``names`` is no list of names.
    """
    if isinstance(names, str) or not isinstance(names, Sequence | np.ndarray | Mapping):
        raise NetworkError(f"names is {shown(names)}; give a list of '{GROWTH}', '{SHORTFALL}' and reaction ids")
    special = {GROWTH: network.column(network.biomass), SHORTFALL: len(network.reactions)}
    return np.array(
        [special[name] if isinstance(name, str) and name in special else network.column(name) for name in names],
        dtype=int,
    )

"""Linear limits on fluxes beyond the bounds of single reactions: what enzymes, membranes or a flux budget allow."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from mmopt.checking import as_float, shown
from mmopt.errors import DomainError
from mmopt.network.network import Network, checked_network


@dataclass(frozen=True)
class LinearLimit:
    """Sum of weight x flux <= most, over the sizes of fluxes or over net fluxes.

    Parameters
    ----------
    name
        Name of the limit; a flux program may have it as an input under this name.
    most
        The limit, in units of weight x mmol/gDW/h.
    weights
        Weight of each reaction by id; by default 1 for every reaction, which limits the total flux.
    net
        Whether net fluxes count, which may be negative, and so may weights. By default both directions count alike, as they
        do for an enzyme, and weights are >= 0.

    Raises
    ------
    DomainError
        If the name is no text, or a weight or the limit is no finite number, or negative where sizes are counted.

    References
    ----------
    Beg et al. (2007), Proc. Natl. Acad. Sci. USA 104(31):12663 (molecular crowding as a linear limit on fluxes).

    Examples
    --------
    >>> network = read_network("textbook")
    >>> program = FluxProgram(network, ["EX_glc__D_e"], limits=[LinearLimit("total flux", 400.0)])
    >>> round(program.solve([10.0]).total, 6)
    400.0
    """

    name: str
    most: float
    weights: Mapping[str, float] | None = None
    net: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise DomainError(f"name is {shown(self.name)}; give the name of the limit as a text")
        if not isinstance(self.net, bool):
            raise DomainError(f"net of limit '{self.name}' is {shown(self.net)}; give True or False")
        if not self._allowed(self.most):
            raise DomainError(f"limit '{self.name}' is {shown(self.most)}; give a finite number from 0 up")
        if self.weights is None:
            return
        if not isinstance(self.weights, Mapping):
            raise DomainError(
                f"weights of limit '{self.name}' are {shown(self.weights)}; give a mapping by reaction id"
            )
        for reaction, weight in self.weights.items():
            if not self._allowed(weight):
                raise DomainError(
                    f"weight of {reaction} in limit '{self.name}' is {shown(weight)}; give a finite number from 0 up, "
                    "or net=True to count net fluxes"
                )
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    def _allowed(self, value: Any) -> bool:
        number = as_float(value)
        return math.isfinite(number) and (self.net or number >= 0.0)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a plain mapping; the read-only view of it cannot be pickled."""
        return LinearLimit, (self.name, self.most, self.weights and dict(self.weights), self.net)

    def coefficients(self, network: Network) -> tuple[np.ndarray, np.ndarray]:
        """Compute the coefficients of the forward and of the reverse fluxes.

        Parameters
        ----------
        network
            The metabolic network.

        Returns
        -------
        forward, reverse
            Both of shape (reactions,).

        Raises
        ------
        NetworkError
            If it is no network, or a reaction id is unknown; the nearest known ids are named.
        """
        forward = np.ones(len(checked_network(network).reactions))
        if self.weights is not None:
            forward[:] = 0.0
            for reaction, weight in self.weights.items():
                forward[network.column(reaction)] = weight
        return forward, -forward if self.net else forward

"""Ranges of fluxes at the optimum: other flux distributions may be as good as the one that is returned."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.optimize import linprog

from mmopt.arguments import finite, shown
from mmopt.errors import SolverError, StudyError
from mmopt.fba.flux_program import FluxProgram
from mmopt.fba.fluxes import Fluxes
from mmopt.network.network import Network

_UNBOUNDED: Final = 3
"""Status of SciPy where a flux has no limit."""

_ROOM: Final = 1.0e-7
"""Relative room of growth and total flux: what the solver of the optimum leaves."""


def flux_ranges(
    network: Network,
    limits: Mapping[str, float],
    reactions: Sequence[str],
    *,
    total: float | None = 1.0,
) -> pd.DataFrame:
    """Compute the least and the most flux of reactions at the optimum (flux variability analysis).

    Parameters
    ----------
    network
        The network.
    limits
        Uptake limits by exchange id [mmol/gDW/h].
    reactions
        Reactions whose ranges are wanted.
    total
        Largest total flux as a multiple of the least; None for all distributions of the same growth, as in textbook flux
        variability analysis.

    Returns
    -------
    pandas.DataFrame
        By reaction: ``least``, ``flux`` (that of the flux program) and ``most`` [mmol/gDW/h]. Where maintenance is not met, all
        have the least shortfall. Infinite where a cycle of reactions has no limit, which needs ``total=None``.

    Raises
    ------
    NetworkError, DomainError, StudyError
        If a reaction, a limit, or the total is not valid.
    SolverError
        If HiGHS ends without an optimum.

    References
    ----------
    Mahadevan and Schilling (2003), Metab. Eng. 5:264-276.

    Examples
    --------
    >>> ranges = flux_ranges(read_network("textbook"), {"EX_glc__D_e": 10.0}, ["PGI", "FRD7"], total=None)
    >>> ranges.round(2).to_dict("list")
    {'least': [4.86, 0.0], 'flux': [4.86, 0.0], 'most': [4.86, inf]}
    """
    if not isinstance(network, Network):
        raise StudyError(f"network is {shown(network)}; give a Network, see read_network")
    if total is not None:
        total = finite("total", total, least=1.0)
    columns = [network.column(reaction) for reaction in reactions]
    optimum = FluxProgram(network, list(limits)).solve(list(limits.values()))
    least, most = _bounds(network, limits, optimum)
    count = len(network.reactions)
    balance = sp.csc_array(sp.hstack([network.stoichiometry, -network.stoichiometry]))
    bounds = np.column_stack([np.concatenate([least[0], least[1]]), np.concatenate([most[0], most[1]])])
    spent = None if total is None else np.ones((1, 2 * count))
    largest = None if total is None else [optimum.total * total * (1.0 + _ROOM)]
    rows = []
    for column in columns:
        ends = []
        for sign in (1.0, -1.0):
            weights = np.zeros(2 * count)
            weights[column], weights[count + column] = sign, -sign
            solved = linprog(weights, spent, largest, balance, np.zeros(balance.shape[0]), bounds, method="highs")
            if solved.status not in (0, _UNBOUNDED):
                raise SolverError(f"no range of {network.reactions[column]}: {solved.message}")
            ends.append(sign * (solved.fun if solved.status == 0 else -np.inf))
        rows.append((ends[0], float(optimum.net[column]), ends[1]))
    index = pd.Index([network.reactions[column] for column in columns], name="reaction")
    return pd.DataFrame(rows, index, ["least", "flux", "most"])


def _bounds(
    network: Network, limits: Mapping[str, float], optimum: Fluxes
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Bounds of forward and reverse fluxes at the optimum: lowest, then highest."""
    lower, upper = network.lower.astype(float), network.upper.astype(float)
    for name, limit in limits.items():
        lower[network.exchange(name)] = -limit
    if network.maintenance is not None:
        lower[network.column(network.maintenance)] -= optimum.shortfall * (1.0 + _ROOM)
    growth = network.column(network.biomass)
    lower[growth] = max(lower[growth], optimum.growth * (1.0 - _ROOM))
    return (np.maximum(lower, 0.0), np.maximum(-upper, 0.0)), (np.maximum(upper, 0.0), np.maximum(-lower, 0.0))

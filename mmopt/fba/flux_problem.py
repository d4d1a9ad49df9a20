"""The flux program as a Pyomo problem: what the cell does with given uptake limits, in positive fluxes.

Net fluxes are split, v = v⁺ - v⁻ with v⁺, v⁻ >= 0, and four objectives are optimised in strict order: the least shortfall of
the maintenance demand, the highest growth, the least total flux, and a fixed tie-break. So the solution exists for every
limit from zero up, is unique, and is a continuous, piecewise affine function of the limits. Where the substrate does not
suffice for maintenance, and the textbook program is infeasible, growth is zero and the shortfall is the missing amount.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyomo.environ as pyo

from mmopt.errors import NetworkError
from mmopt.network.blocked import running_directions
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.solvers.highs import maximise

_LARGE: Final = 1.0e3
"""Largest flux in the check that blocked reactions do not hold growth [mmol/gDW/h]."""

_GROWS: Final = 1.0e-6
"""Growth in that check above rounding [1/h]."""


def flux_problem(
    network: Network, inputs: Sequence[str] = (), *, limits: Sequence[LinearLimit] = (), floor: bool = False
) -> pyo.ConcreteModel:
    """Write the flux program as a Pyomo problem.

    Only directions of reactions that can carry flux are written. The uptake limit of an exchange is the upper bound of
    its reverse flux (``problem.reverse``), a linear limit that of ``problem.spent``; the maintenance demand is a variable
    with equal bounds. All may be changed without writing the problem again. The objectives stand in their order and are
    all active: a solver takes them lexicographically.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        Exchanges whose uptake limits will be set; their uptake is open without limit until then.
    limits
        Linear limits beyond the bounds of single reactions.
    floor
        Require no less growth than ``problem.floor``, a variable with equal bounds, in place of the highest growth.

    Returns
    -------
    ConcreteModel
        The problem.

    Raises
    ------
    NetworkError
        If an input is no exchange, or the biomass reaction has a positive lower bound.

    References
    ----------
    Lewis et al. (2010), Mol. Syst. Biol. 6:390 (parsimonious flux balance analysis).

    Examples
    --------
    >>> problem = flux_problem(read_network("textbook"))
    >>> [objective.name for objective in problem.component_objects(pyo.Objective)]
    ['least_shortfall', 'most_growth', 'least_total_flux', 'tie_break']
    """
    lower, upper = _bounds_without_maintenance(network)
    for column in (network.exchange(exchange) for exchange in inputs):  # an input is a limit, and no demand
        lower[column], upper[column] = -np.inf, max(0.0, upper[column])
    problem = pyo.ConcreteModel(name=f"flux program of {network.name}")
    _write_fluxes(problem, network, lower, upper)
    forward, reverse = dict(problem.forward), dict(problem.reverse)
    net = {j: forward.get(j, 0.0) - reverse.get(j, 0.0) for j in {*forward, *reverse}}
    growth = net.get(network.column(network.biomass), 0.0)
    _write_balance(problem, network, net)
    _write_maintenance(problem, network, net)
    _write_limits(problem, network, limits)
    problem.least_shortfall = pyo.Objective(expr=problem.shortfall)
    if floor:
        problem.floor = pyo.Var(bounds=(0.0, 0.0))
        problem.enough_growth = pyo.Constraint(expr=growth - problem.floor >= 0.0)
    else:
        problem.most_growth = pyo.Objective(expr=-growth)
    fluxes = [(0, j, flux) for j, flux in problem.forward.items()] + [(1, j, v) for j, v in problem.reverse.items()]
    problem.least_total_flux = pyo.Objective(expr=pyo.quicksum(flux for _, _, flux in fluxes))
    weights = [_tie_break_weights(reaction) for reaction in network.reactions]
    problem.tie_break = pyo.Objective(expr=pyo.quicksum(weights[j][way] * flux for way, j, flux in fluxes))
    return problem


def _write_fluxes(problem: pyo.ConcreteModel, network: Network, lower: np.ndarray, upper: np.ndarray) -> None:
    """Forward and reverse fluxes of the directions that can run, and of those that must."""
    runs_forward, runs_reverse = running_directions(network.stoichiometry, upper > 0.0, lower < 0.0)
    growth = network.column(network.biomass)
    if (
        upper[growth] > 0.0 and not runs_forward[growth] and _grows(network, lower, upper)
    ):  # a coefficient beyond rounding
        runs_forward, runs_reverse = upper > 0.0, lower < 0.0
    runs_forward, runs_reverse = runs_forward | (lower > 0.0), runs_reverse | (upper < 0.0)
    forward = np.column_stack([np.maximum(lower, 0.0), np.maximum(upper, 0.0)])
    reverse = np.column_stack([np.maximum(-upper, 0.0), np.maximum(-lower, 0.0)])
    problem.forward = pyo.Var(np.flatnonzero(runs_forward).tolist(), bounds=lambda _, j: _pair(forward[j]))
    problem.reverse = pyo.Var(np.flatnonzero(runs_reverse).tolist(), bounds=lambda _, j: _pair(reverse[j]))


def _grows(network: Network, lower: np.ndarray, upper: np.ndarray) -> bool:
    """Whether the cell can grow without any demand, by a linear program over all reactions."""
    gain = np.zeros(len(lower))
    gain[network.column(network.biomass)] = 1.0
    most, least = np.clip(upper, 0.0, _LARGE), np.clip(lower, -_LARGE, 0.0)
    values, status = maximise(network.stoichiometry, gain, least, most)
    return status.solved and bool(gain @ values > _GROWS)


def _write_balance(problem: pyo.ConcreteModel, network: Network, net: dict[int, Any]) -> None:
    rows = network.stoichiometry.tocsr()

    def balance(block: pyo.ConcreteModel, i: int) -> object:
        entries = range(rows.indptr[i], rows.indptr[i + 1])
        terms = [(float(rows.data[k]), int(rows.indices[k])) for k in entries if int(rows.indices[k]) in net]
        return pyo.quicksum(c * net[j] for c, j in terms) == 0.0 if terms else pyo.Constraint.Skip

    problem.balance = pyo.Constraint(range(len(network.metabolites)), rule=balance)


def _write_maintenance(problem: pyo.ConcreteModel, network: Network, net: dict[int, Any]) -> None:
    """Maintenance and shortfall meet the demand; exactly, where the network fixes the reaction to one flux."""
    problem.shortfall = pyo.Var(bounds=(0.0, None))
    problem.demand = pyo.Var(bounds=(network.maintenance_demand, network.maintenance_demand))
    maintained: Any = 0.0
    fixed = False
    if network.maintenance is not None:
        column = network.column(network.maintenance)
        maintained, fixed = net.get(column, 0.0), bool(0.0 < network.lower[column] == network.upper[column])
    missed = maintained + problem.shortfall - problem.demand
    problem.maintenance = pyo.Constraint(expr=missed == 0.0 if fixed else missed >= 0.0)


def _write_limits(problem: pyo.ConcreteModel, network: Network, limits: Sequence[LinearLimit]) -> None:
    most = {limit.name: limit.most for limit in limits}
    problem.spent = pyo.Var([limit.name for limit in limits], bounds=lambda _, name: (None, most[name]))
    problem.spending = pyo.Constraint(list(problem.spent))
    for limit in limits:
        forward, reverse = limit.coefficients(network)
        terms = [forward[j] * v for j, v in problem.forward.items()] + [
            reverse[j] * v for j, v in problem.reverse.items()
        ]
        problem.spending[limit.name] = pyo.quicksum(terms) - problem.spent[limit.name] == 0.0


def _bounds_without_maintenance(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Bounds in which the maintenance reaction is free to miss its demand."""
    lower, upper = network.lower.copy(), network.upper.copy()
    if network.maintenance is not None:
        column = network.column(network.maintenance)
        if 0.0 < lower[column] == upper[column]:  # the demand fixes it, and may be another than the network's
            upper[column] = np.inf
        lower[column] = min(0.0, lower[column])
    if lower[network.column(network.biomass)] > 0.0:
        raise NetworkError(
            f"biomass reaction '{network.biomass}' has a positive lower bound; starving cells do not grow"
        )
    return lower, upper


def _pair(bounds: np.ndarray) -> tuple[float | None, float | None]:
    return float(bounds[0]), None if np.isinf(bounds[1]) else float(bounds[1])


def _tie_break_weights(reaction: str) -> tuple[float, float]:
    """Two numbers in [0, 1) that depend on the reaction's id alone, so that the order of a file decides nothing."""
    digest = hashlib.sha256(reaction.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32, int.from_bytes(digest[4:8], "big") / 2**32

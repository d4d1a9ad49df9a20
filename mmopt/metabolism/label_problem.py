"""The label program: what the cell does with given uptake limits, in positive fluxes.

Net fluxes are split, v = v⁺ - v⁻ with v⁺, v⁻ >= 0, and four aims are met in strict order: the least shortfall of the
maintenance demand, the most growth, the least total flux, and a fixed tie-break. So the answer exists for every limit
from zero up, is unique, and is a continuous, piecewise affine function of the limits. Where the substrate cannot pay for
maintenance, and the textbook program is infeasible, growth is zero and the shortfall says how much is missing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyomo.environ as pyo

from mmopt.errors import DomainError, InfeasibleError, NetworkError, SolverError
from mmopt.metabolism.network import Network
from mmopt.solvers.highs import LexicographicProgram
from mmopt.solvers.laws import AffineLaw
from mmopt.status import Status

GROWTH = "growth"
SHORTFALL = "shortfall"

_WEIGHTS = (1.0e6, 1.0e4, 0.1, 1.0e-5)
"""Weights of one combined objective that usually lands on the strict optimum at once; `LexicographicProgram` proves each
answer and passes through the aims one by one where it did not."""


@dataclass(frozen=True, eq=False)
class Fluxes:
    """One answer of the label program.

    Attributes
    ----------
    growth
        Growth rate [1/h].
    net
        Net fluxes [mmol/gDW/h], shape (reactions,), in the order of ``network.reactions``; exchanges are positive where
        the cell secretes.
    shortfall
        Missed part of the maintenance demand [mmol/gDW/h].
    status
        How the solver ended.
    """

    network: Network = field(repr=False)
    growth: float
    net: np.ndarray = field(repr=False)
    shortfall: float
    status: Status

    @property
    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """Forward and reverse fluxes, both >= 0 [mmol/gDW/h]."""
        return np.maximum(self.net, 0.0), np.maximum(-self.net, 0.0)

    @property
    def total(self) -> float:
        """Total flux, the sum of all forward and reverse fluxes [mmol/gDW/h]."""
        return float(np.abs(self.net).sum())

    def __getitem__(self, reaction: str) -> float:
        """Net flux of one reaction [mmol/gDW/h]."""
        return float(self.net[self.network.column(reaction)])

    def uptake(self, exchange: str) -> float:
        """Uptake rate of one exchange, >= 0 [mmol/gDW/h]."""
        return max(0.0, -float(self.net[self.network.exchange(exchange)]))

    def secretion(self, exchange: str) -> float:
        """Secretion rate of one exchange, >= 0 [mmol/gDW/h]."""
        return max(0.0, float(self.net[self.network.exchange(exchange)]))


def label_problem(network: Network, inputs: Sequence[str] = ()) -> pyo.ConcreteModel:
    """Write the label program as a Pyomo problem.

    The uptake limit of an exchange is the upper bound of its reverse flux; the maintenance demand is a variable with
    equal bounds. Both may be changed without writing the problem again. The four objectives stand in their order and are
    all active: a solver takes them lexicographically.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        Exchanges whose uptake limits will be set; their uptake is open without limit until then.

    References
    ----------
    Lewis et al. (2010), Mol. Syst. Biol. 6:390 (parsimonious flux balance analysis).

    Examples
    --------
    >>> problem = label_problem(read_network("textbook"))
    >>> [objective.name for objective in problem.component_objects(pyo.Objective)]
    ['least_shortfall', 'most_growth', 'least_total_flux', 'tie_break']
    """
    lower, upper = _bounds_without_maintenance(network)
    lower[[network.exchange(exchange) for exchange in inputs]] = -np.inf
    problem = pyo.ConcreteModel(name=f"label program of {network.name}")
    forward_bounds = np.column_stack([np.maximum(lower, 0.0), np.maximum(upper, 0.0)])
    reverse_bounds = np.column_stack([np.maximum(-upper, 0.0), np.maximum(-lower, 0.0)])
    runs_forward, runs_reverse = np.flatnonzero(upper > 0.0).tolist(), np.flatnonzero(lower < 0.0).tolist()
    problem.forward = pyo.Var(runs_forward, bounds=lambda _, j: _pair(forward_bounds[j]))
    problem.reverse = pyo.Var(runs_reverse, bounds=lambda _, j: _pair(reverse_bounds[j]))
    forward, reverse = dict(problem.forward), dict(problem.reverse)
    net = {j: forward.get(j, 0.0) - reverse.get(j, 0.0) for j in {*forward, *reverse}}
    problem.shortfall = pyo.Var(bounds=(0.0, None))
    problem.demand = pyo.Var(bounds=(network.maintenance_demand, network.maintenance_demand))

    rows = network.stoichiometry.tocsr()

    def balance(block: pyo.ConcreteModel, i: int) -> object:
        entries = range(rows.indptr[i], rows.indptr[i + 1])
        terms = [(float(rows.data[k]), int(rows.indices[k])) for k in entries if int(rows.indices[k]) in net]
        return pyo.quicksum(c * net[j] for c, j in terms) == 0.0 if terms else pyo.Constraint.Skip

    problem.balance = pyo.Constraint(range(len(network.metabolites)), rule=balance)
    maintained = 0.0
    if network.maintenance is not None:
        maintained = net.get(network.column(network.maintenance), 0.0)
    problem.maintenance = pyo.Constraint(expr=maintained + problem.shortfall - problem.demand >= 0.0)

    weights = [_tie_break_weights(reaction) for reaction in network.reactions]
    problem.least_shortfall = pyo.Objective(expr=problem.shortfall)
    problem.most_growth = pyo.Objective(expr=-net.get(network.column(network.biomass), 0.0))
    problem.least_total_flux = pyo.Objective(
        expr=pyo.quicksum(problem.forward.values()) + pyo.quicksum(problem.reverse.values())
    )
    problem.tie_break = pyo.Objective(
        expr=pyo.quicksum(weights[j][0] * flux for j, flux in problem.forward.items())
        + pyo.quicksum(weights[j][1] * flux for j, flux in problem.reverse.items())
    )
    return problem


class LabelProgram:
    """The label program of a network, compiled once and solved for many uptake limits.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        Exchanges whose uptake limits vary; all other limits are the network's own.

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), or is given twice.

    Examples
    --------
    >>> program = LabelProgram(read_network("textbook"), ["EX_glc__D_e"])
    >>> round(program.solve([10.0]).growth, 6), round(program.solve([0.3]).shortfall, 4)
    (0.873922, 3.14)
    """

    def __init__(self, network: Network, inputs: Sequence[str]) -> None:
        self.network = network
        self.inputs = tuple(inputs)
        columns = [network.exchange(exchange) for exchange in self.inputs]
        if len(set(columns)) < len(columns):
            raise NetworkError(f"an exchange is named twice in {', '.join(self.inputs)}; give each uptake limit once")
        problem = label_problem(network, self.inputs)
        self._forward = np.array(list(problem.forward), dtype=int)
        self._reverse = np.array(list(problem.reverse), dtype=int)
        self._program = LexicographicProgram(
            problem,
            weights=_WEIGHTS,
            columns=[*problem.forward.values(), *problem.reverse.values(), problem.shortfall],
            changing=[*(problem.reverse[j] for j in columns), problem.demand],
        )
        self._lower = np.array([max(0.0, -network.upper[j]) for j in columns])

    def solve(self, limits: Sequence[float] | np.ndarray, maintenance: float | None = None) -> Fluxes:
        """Answer for one set of uptake limits.

        Parameters
        ----------
        limits
            Largest uptake of each input, in the order of `inputs` [mmol/gDW/h].
        maintenance
            Maintenance demand [mmol/gDW/h]; by default the network's own.

        Raises
        ------
        DomainError
            If a limit is negative or not a number.
        InfeasibleError
            If the network forces some other reaction to run that these limits cannot feed.
        SolverError
            If HiGHS ends without an optimum.
        """
        limits = _checked_limits(self.inputs, limits)
        demand = self.network.maintenance_demand if maintenance is None else float(maintenance)
        if not demand >= 0.0 or np.isinf(demand):
            raise DomainError(f"maintenance demand is {demand:g} mmol/gDW/h; give a finite number from 0 up")
        values, status = self._program.solve(
            lower=np.append(np.minimum(self._lower, limits), demand), upper=np.append(limits, demand)
        )
        if status is Status.INFEASIBLE:
            raise InfeasibleError(_why_infeasible(self.network, self.inputs, limits))
        if not status.solved:
            raise SolverError(f"the label program of {self.network.name} was not solved: {status.value}")
        forward, reverse = np.split(values[:-1], [len(self._forward)])
        net = np.zeros(len(self.network.reactions))
        net[self._forward] += forward
        net[self._reverse] -= reverse
        growth = float(net[self.network.column(self.network.biomass)])
        return Fluxes(self.network, growth, net, float(values[-1]), status)

    def law(self) -> AffineLaw | None:
        """How the net fluxes depend on (limits, demand) around the last answer; None where its basis is not proved.

        The law's values are the net fluxes, then the shortfall.
        """
        law = self._program.law()
        if law is None:
            return None
        count = len(self._forward)
        joined = []
        for values in (law.constant[:, None], law.slope):
            net = np.zeros((len(self.network.reactions) + 1, values.shape[1]))
            np.add.at(net, self._forward, values[:count])
            np.subtract.at(net, self._reverse, values[count:-1])
            net[-1] = values[-1]
            joined.append(net)
        return AffineLaw(joined[0][:, 0], joined[1], law.left, law.right)

    def trusts(self, limits: Mapping[str, float]) -> None:
        """Accept every limit: the program answers them all, from zero up."""

    def answers(self, names: Sequence[str]) -> "LabelCell":
        """The program itself as who answers for the cell inside a reactor, reading ``names``.

        Parameters
        ----------
        names
            ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h].

        Raises
        ------
        NetworkError
            If a reaction id is unknown.
        """
        columns = {name: self.network.column(name) for name in names if name not in (GROWTH, SHORTFALL)}
        return LabelCell(self, tuple(names), columns)


@dataclass(frozen=True, eq=False)
class LabelCell:
    """A label program that answers for the cell: limits by name in, rates by name out."""

    program: LabelProgram
    names: tuple[str, ...]
    columns: Mapping[str, int]

    def __call__(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Rates at the given uptake limits [mmol/gDW/h].

        A limit below zero counts as zero: trial steps of an integrator overshoot where a substrate runs out.
        """
        fluxes = self.program.solve([max(0.0, limits[exchange]) for exchange in self.program.inputs])
        own = {GROWTH: fluxes.growth, SHORTFALL: fluxes.shortfall}
        return {name: own[name] if name in own else float(fluxes.net[self.columns[name]]) for name in self.names}


def pfba(network: Network, uptake: Mapping[str, float]) -> Fluxes:
    """Solve parsimonious flux balance analysis for the given uptake limits.

    For many limits of the same exchanges, compile a `LabelProgram` once instead.

    Parameters
    ----------
    network
        The metabolic network.
    uptake
        Largest uptake by exchange reaction id [mmol/gDW/h]; every other limit is the network's own.

    Returns
    -------
    Fluxes
        Growth [1/h], net fluxes [mmol/gDW/h], shortfall of the maintenance demand [mmol/gDW/h].

    Raises
    ------
    NetworkError
        If an id is unknown; the nearest known ids are named.
    DomainError
        If a limit is negative or not a number.

    References
    ----------
    Lewis et al. (2010), Mol. Syst. Biol. 6:390.

    Examples
    --------
    >>> round(pfba(read_network("textbook"), {"EX_glc__D_e": 10.0}).growth, 7)
    0.8739215
    """
    return LabelProgram(network, list(uptake)).solve(list(uptake.values()))


def _checked_limits(inputs: Sequence[str], limits: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(limits, dtype=float)
    if values.shape != (len(inputs),):
        raise DomainError(f"{len(inputs)} uptake limits are needed ({', '.join(inputs)}), {values.size} were given")
    for exchange, value in zip(inputs, values, strict=True):
        if not value >= 0.0:
            raise DomainError(f"uptake limit of {exchange} is {value:g} mmol/gDW/h; give a number from 0 up")
    return values


def _bounds_without_maintenance(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Bounds in which the maintenance reaction is free to miss its demand."""
    lower, upper = network.lower.copy(), network.upper.copy()
    if network.maintenance is not None:
        lower[network.column(network.maintenance)] = min(0.0, network.lower[network.column(network.maintenance)])
    growth = network.column(network.biomass)
    if lower[growth] > 0.0:
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


def _why_infeasible(network: Network, inputs: Sequence[str], limits: np.ndarray) -> str:
    forced = [
        reaction
        for reaction, low, high in zip(network.reactions, network.lower, network.upper, strict=True)
        if (low > 0.0 or high < 0.0) and reaction != network.maintenance and reaction not in inputs
    ]
    given = ", ".join(f"{exchange} {limit:g}" for exchange, limit in zip(inputs, limits, strict=True))
    return (
        f"no fluxes of {network.name} keep the bounds at uptake limits {given}: "
        f"{', '.join(forced[:3]) or 'some reactions'} must run; set those bounds to include 0"
    )

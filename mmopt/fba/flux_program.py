"""The label program, compiled once and solved for many inputs; `pfba` for one.

Every answer is the strict optimum of `flux_problem`: proved from its basis, or found aim by aim.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from mmopt.errors import DomainError, NetworkError, nearest
from mmopt.fba.compiled_program import CompiledFluxProgram
from mmopt.fba.fluxes import FluxBatch, Fluxes
from mmopt.fba.rates import Cell, rate_rows
from mmopt.fba.unsolved import why_unsolved
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.solvers.affine_law import AffineLaw

_SETTLED_AT: Final = 10.0
"""Uptake limits of the basis that `restart` goes back to [mmol/gDW/h]; any will do."""


class FluxProgram:
    """The label program of a network, compiled once and solved for many inputs.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        What varies: exchanges whose uptake limits are given, the maintenance reaction, whose demand is given, or linear
        limits by name. Everything else is the network's own.
    fraction
        Part of the most growth that is enough; below 1, total flux is least among all fluxes that grow at least so much.
    limits
        Linear limits beyond the bounds of single reactions.

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), or is given twice.
    DomainError
        If ``fraction`` is not in (0, 1].

    Examples
    --------
    >>> program = FluxProgram(read_network("textbook"), ["EX_glc__D_e"])
    >>> round(program.solve([10.0]).growth, 6), round(program.solve([0.3]).shortfall, 4)
    (0.873922, 3.14)
    >>> dissipating = FluxProgram(read_network("textbook"), ["EX_glc__D_e", "ATPM"])
    >>> round(dissipating.solve([10.0, 20.0]).growth, 6)
    0.814798
    """

    def __init__(
        self,
        network: Network,
        inputs: Sequence[str],
        *,
        fraction: float = 1.0,
        limits: Sequence[LinearLimit] = (),
    ) -> None:
        self.network, self.inputs = network, tuple(inputs)
        self.fraction, self.limits = float(fraction), tuple(limits)
        self._growth, self._last, self._demand = network.column(network.biomass), 0.0, network.maintenance_demand
        if not 0.0 < self.fraction <= 1.0:
            raise DomainError(
                f"fraction is {fraction:g}; give the part of the most growth that is enough, above 0 up to 1"
            )
        exchanges, moving = _sorted_inputs(network, self.inputs, self.limits)
        self._spread = _spread(network, self.inputs, [*exchanges, *moving])
        self._most = CompiledFluxProgram(network, exchanges, self.limits, moving, floor=False)
        self._enough = None
        if self.fraction < 1.0:
            self._enough = CompiledFluxProgram(network, exchanges, self.limits, moving, floor=True)

    def solve(
        self,
        limits: Sequence[float] | np.ndarray,
        maintenance: float | None = None,
        closed: Sequence[str] = (),
    ) -> Fluxes:
        """Answer for one set of inputs.

        Parameters
        ----------
        limits
            The inputs, in the order of `inputs` [mmol/gDW/h].
        maintenance
            Maintenance demand [mmol/gDW/h]; by default the network's own.
        closed
            Reactions whose flux is held at zero: knock-outs, for this answer alone.

        Raises
        ------
        DomainError
            If an input is negative or not a number.
        NetworkError
            If a reaction id is unknown, or growth is unbounded at these inputs.
        InfeasibleError
            If the network forces some other reaction to run that these inputs cannot feed.
        SolverError
            If HiGHS ends without an optimum.
        """
        values = _checked_inputs(self.inputs, limits)
        demand = self.network.maintenance_demand if maintenance is None else _checked_demand(maintenance)
        shut = [self.network.column(reaction) for reaction in closed]
        self._demand = demand
        answer = self._solve(self._parameters(values, demand), shut)
        if not answer.status.solved:
            raise why_unsolved(self.network, self.inputs, values, answer.status)
        return answer

    def batch(self, points: np.ndarray) -> FluxBatch:
        """Answer for many inputs; the bits depend on the points alone, whatever was solved before and in which process.

        Neighbours should follow each other: every solve starts from the last one's basis. What cannot be solved is not a
        number, and its status says why.

        Parameters
        ----------
        points
            Inputs, shape (points, inputs) [mmol/gDW/h].

        Raises
        ------
        DomainError
            If an input is negative or not a number.
        """
        points = checked_points(self.inputs, points)
        self._restart()
        self._demand = demand = self.network.maintenance_demand
        source = [self._solve(self._parameters(point, demand), ()) for point in points]
        return FluxBatch(
            np.array([answer.net for answer in source]).reshape(-1, len(self.network.reactions)),
            np.array([answer.growth for answer in source]),
            np.array([answer.shortfall for answer in source]),
            tuple(answer.status for answer in source),
        )

    def law(self) -> AffineLaw | None:
        """How the net fluxes, then the shortfall, depend on the inputs around the last answer; None without a proof.

        The maintenance demand, unless it is an input, is that of the last answer.
        """
        law = self._most.law()
        if law is not None and self._enough is not None:
            law = self._floored(law, self._enough.law())
        return None if law is None else law.of(self._spread, self._parameters(np.zeros(len(self.inputs)), self._demand))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides an answer."""
        limits = [
            (each.name, each.most, each.net, each.weights and sorted(each.weights.items())) for each in self.limits
        ]
        text = repr((self.network.hash, self.inputs, self.fraction, limits))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def passes(self) -> int:
        """How many solves went aim by aim, because the combined objective had not landed on the strict optimum."""
        return self._most.passes + (self._enough.passes if self._enough is not None else 0)

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Accept every limit: the program answers them all, from zero up."""

    def rate_function(self, names: Sequence[str]) -> Cell:
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
        rows = rate_rows(self.network, names)

        def rates(point: np.ndarray) -> np.ndarray:
            fluxes = self.solve(point)
            values: np.ndarray = np.append(fluxes.net, fluxes.shortfall)[rows]
            return values

        return Cell(self.inputs, tuple(names), rates)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the recipe; the program is compiled again where it arrives."""
        return _rebuilt, (self.network, self.inputs, self.fraction, self.limits)

    def _solve(self, parameters: np.ndarray, closed: Sequence[int]) -> Fluxes:
        net, shortfall, status = self._most.solve(parameters, closed)
        self._last = float(net[self._growth])
        if status.solved and self._enough is not None:
            floor = self._enough_of(self._last) * self._last
            net, shortfall, status = self._enough.solve(np.append(parameters, floor), closed)
        return Fluxes(self.network, float(net[self._growth]), net, shortfall, status)

    def _floored(self, most: AffineLaw, enough: AffineLaw | None) -> AffineLaw | None:
        """The law of the second program, where its floor follows the law of the first."""
        if enough is None:
            return None
        count, growth, constant = most.slope.shape[1], most.slope[self._growth], most.constant[self._growth]
        part = self._enough_of(self._last)
        spread = np.vstack([np.eye(count), part * growth])
        floor = np.append(np.zeros(count), part * constant)
        sign = 1.0 if self._last < 0.0 else -1.0
        return enough.of(spread, floor).where(
            np.vstack([most.left, sign * growth]), np.append(most.right, -sign * constant)
        )

    def _enough_of(self, growth: float) -> float:
        """Part of the most growth that is enough; all of it where the most is a loss."""
        return 1.0 if growth < 0.0 else self.fraction

    def _parameters(self, values: np.ndarray, demand: float) -> np.ndarray:
        """Parameters of the compiled problem: what the inputs set, and the demand unless it is an input."""
        parameters = np.full(len(self._spread), demand)
        for row, sets in enumerate(self._spread > 0.0):  # and no product: an input without limit is infinite
            if sets.any():
                parameters[row] = values[sets][0]
        return parameters

    def _restart(self) -> None:
        home = self._parameters(np.full(len(self.inputs), _SETTLED_AT), self.network.maintenance_demand)
        self._most.restart(home)
        if self._enough is not None:
            self._enough.restart(np.append(home, 0.0))


def pfba(
    network: Network,
    uptake: Mapping[str, float],
    *,
    fraction: float = 1.0,
    limits: Sequence[LinearLimit] = (),
) -> Fluxes:
    """Solve parsimonious flux balance analysis for the given uptake limits.

    For many limits of the same exchanges, compile a `FluxProgram` once instead.

    Parameters
    ----------
    network
        The metabolic network.
    uptake
        Largest uptake by exchange reaction id [mmol/gDW/h]; every other limit is the network's own.
    fraction
        Part of the most growth that is enough.
    limits
        Linear limits beyond the bounds of single reactions.

    Returns
    -------
    Fluxes
        Growth [1/h], net fluxes [mmol/gDW/h], shortfall of the maintenance demand [mmol/gDW/h].

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), or growth is unbounded.
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
    return FluxProgram(network, list(uptake), fraction=fraction, limits=limits).solve(list(uptake.values()))


def _sorted_inputs(
    network: Network, inputs: tuple[str, ...], limits: Sequence[LinearLimit]
) -> tuple[list[str], list[str]]:
    """The exchanges and the linear limits among the inputs."""
    known = [limit.name for limit in limits]
    if len(set(inputs)) < len(inputs) or len(set(known)) < len(known):
        raise NetworkError(f"a name is given twice in {', '.join([*inputs, *known])}; give each input and limit once")
    exchanges = [name for name in inputs if name not in known and name != network.maintenance]
    for name in exchanges:
        if name not in network.exchanges:
            raise NetworkError(
                f"{network.name} has no exchange '{name}', and there is no linear limit of that name; "
                f"{nearest(name, [*network.exchanges, *known])}"
            )
    return exchanges, [name for name in inputs if name in known]


def _spread(network: Network, inputs: tuple[str, ...], parameters: Sequence[str]) -> np.ndarray:
    """Which input sets which parameter, shape (parameters and demand, inputs)."""
    names = [*parameters, network.maintenance]
    return np.array([[float(name == given) for given in inputs] for name in names]).reshape(len(names), len(inputs))


def _rebuilt(
    network: Network, inputs: tuple[str, ...], fraction: float, limits: tuple[LinearLimit, ...]
) -> FluxProgram:
    return FluxProgram(network, inputs, fraction=fraction, limits=limits)


def _checked_inputs(inputs: Sequence[str], given: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(given, dtype=float)
    if values.shape != (len(inputs),):
        raise DomainError(f"{len(inputs)} inputs are needed ({', '.join(inputs)}), {values.size} were given")
    for name, value in zip(inputs, values, strict=True):
        if not value >= 0.0:
            raise DomainError(f"limit of {name} is {value:g} mmol/gDW/h; give a number from 0 up")
    return values


def checked_points(inputs: Sequence[str], points: np.ndarray) -> np.ndarray:
    """Points of shape (points, inputs), each with a number from 0 up for each input.

    Raises
    ------
    DomainError
        If an input is missing, negative or not a number.
    """
    points = np.asarray(points, dtype=float)
    if points.ndim != 2:
        raise DomainError(f"points have shape {points.shape}; give one row a point: (points, {len(inputs)})")
    if points.shape[1] != len(inputs) or not np.all(points >= 0.0):
        for point in points:
            _checked_inputs(inputs, point)
    return points


def _checked_demand(maintenance: float) -> float:
    if not 0.0 <= maintenance < np.inf:
        raise DomainError(f"maintenance demand is {maintenance:g} mmol/gDW/h; give a finite number from 0 up")
    return float(maintenance)

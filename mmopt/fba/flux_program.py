"""The flux program (lexicographic parsimonious FBA), compiled once and solved for many inputs; `pfba` for one.

Every solution is the strict optimum of `flux_problem`: proved from its basis, or computed objective by objective.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from mmopt.checking import finite, shown
from mmopt.errors import DomainError, NetworkError
from mmopt.fba.compiled_program import CompiledFluxProgram, parameter_matrix, sorted_inputs
from mmopt.fba.domain import checked_fraction, checked_inputs, checked_points
from mmopt.fba.fluxes import FluxBatch, Fluxes
from mmopt.fba.rates import RateFunction, rate_rows
from mmopt.fba.unsolved import why_unsolved
from mmopt.io.seal import digest
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.parallel.threads import one_thread_at_a_time
from mmopt.solvers.affine_law import AffineLaw

_BASIS_AT: Final = 10.0
"""Uptake limits of the basis from which every batch starts [mmol/gDW/h]; any would do."""

_LISTED: Final = 4
"""Inputs in a ``repr``."""


class FluxProgram:
    """The flux program of a network, compiled once and solved for many inputs.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        What varies: exchanges whose uptake limits are given, the maintenance reaction, whose demand is given, or linear
        limits by name. Everything else is the network's own.
    fraction_of_optimum
        Fraction of the highest growth that is required, in (0, 1]; below 1, total flux is least among all fluxes that grow
        at least so much.
    limits
        Linear limits beyond the bounds of single reactions.

    Raises
    ------
    NetworkError
        If ``network`` is no `Network`, or an id is unknown (the nearest known ids are named) or given twice.
    DomainError
        If ``fraction_of_optimum`` is not in (0, 1], or ``limits`` are no linear limits.

    Examples
    --------
    >>> program = FluxProgram(read_network("textbook"), ["EX_glc__D_e"])
    >>> round(program.solve([10.0]).growth, 6), round(program.solve([0.3]).shortfall, 4)
    (0.873922, 3.14)
    >>> dissipating = FluxProgram(read_network("textbook"), ["EX_glc__D_e", "ATPM"])
    >>> round(dissipating.solve([10.0, 20.0]).growth, 6)
    0.814798
    >>> program
    FluxProgram('e_coli_core' by EX_glc__D_e)
    """

    def __init__(
        self,
        network: Network,
        inputs: Sequence[str],
        *,
        fraction_of_optimum: float = 1.0,
        limits: Sequence[LinearLimit] = (),
    ) -> None:
        self.network, names = _checked_network(network), _checked_names("inputs", inputs)
        self.inputs = tuple(str(network.resolved(name)) for name in names)
        self.fraction_of_optimum = checked_fraction("fraction_of_optimum", fraction_of_optimum)
        self.limits = _checked_limits(limits)
        self._growth, self._last, self._demand = network.column(network.biomass), 0.0, network.maintenance_demand
        exchanges, moving = sorted_inputs(network, self.inputs, self.limits)
        self._spread = parameter_matrix(network, self.inputs, [*exchanges, *moving])
        self._most = CompiledFluxProgram(network, exchanges, self.limits, moving, floor=False)
        self._enough = None
        if self.fraction_of_optimum < 1.0:
            self._enough = CompiledFluxProgram(network, exchanges, self.limits, moving, floor=True)

    @one_thread_at_a_time
    def solve(
        self,
        limits: Sequence[float] | np.ndarray,
        maintenance: float | None = None,
        closed: Sequence[str] = (),
    ) -> Fluxes:
        """Compute the fluxes for one set of inputs.

        Parameters
        ----------
        limits
            The inputs, in the order of `inputs` [mmol/gDW/h].
        maintenance
            Maintenance demand [mmol/gDW/h]; by default the network's own.
        closed
            Reactions whose flux is held at zero: knock-outs, for this solve alone.

        Returns
        -------
        Fluxes
            Growth, net fluxes, and the shortfall of the maintenance demand.

        Raises
        ------
        DomainError
            If an input or the maintenance demand is negative or no number.
        NetworkError
            If a reaction id is unknown, or growth is unbounded at these inputs.
        InfeasibleError
            If the network forces some other reaction to run that these inputs cannot feed.
        SolverError
            If HiGHS ends without an optimum.
        """
        values = checked_inputs(self.inputs, limits)
        demand = self.network.maintenance_demand if maintenance is None else _checked_demand(maintenance)
        shut = [self.network.column(reaction) for reaction in _checked_names("closed", closed)]
        self._demand = demand
        fluxes = self._solve(self._parameters(values, demand), shut)
        if not fluxes.status.solved:
            raise why_unsolved(self.network, self.inputs, values, fluxes.status)
        return fluxes

    @one_thread_at_a_time
    def batch(self, points: np.ndarray) -> FluxBatch:
        """Compute the fluxes for many inputs; their bits depend on the points alone, not on earlier solves or the process.

        Neighbours should follow each other: every solve starts from the last one's basis. A point that cannot be solved
        has NaN fluxes and its status.

        Parameters
        ----------
        points
            Inputs, shape (points, inputs) [mmol/gDW/h].

        Returns
        -------
        FluxBatch
            The fluxes at all points.

        Raises
        ------
        DomainError
            If an input is negative or no number.
        """
        points = checked_points(self.inputs, points)
        self._restart()
        self._demand = demand = self.network.maintenance_demand
        solutions = [self._solve(self._parameters(point, demand), ()) for point in points]
        return FluxBatch(
            np.array([fluxes.net for fluxes in solutions]).reshape(-1, len(self.network.reactions)),
            np.array([fluxes.growth for fluxes in solutions]),
            np.array([fluxes.shortfall for fluxes in solutions]),
            tuple(fluxes.status for fluxes in solutions),
        )

    def law(self) -> AffineLaw | None:
        """Return the affine law of the net fluxes, then the shortfall, around the last solution; None without a proof.

        The maintenance demand, unless it is an input, is that of the last solution.

        Returns
        -------
        AffineLaw or None
            The affine law in the inputs.
        """
        law = self._most.law()
        if law is not None and self._enough is not None:
            law = self._floored(law, self._enough.law())
        return None if law is None else law.of(self._spread, self._parameters(np.zeros(len(self.inputs)), self._demand))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the fluxes."""
        limits = [
            (limit.name, limit.most, limit.net, limit.weights and sorted(limit.weights.items()))
            for limit in self.limits
        ]
        return digest(repr((self.network.hash, self.inputs, self.fraction_of_optimum, limits)))

    @property
    def passes(self) -> int:
        """Number of solves that went objective by objective, since the combined one did not end at the strict optimum."""
        return self._most.passes + (self._enough.passes if self._enough is not None else 0)

    def check_limits(self, limits: Mapping[str, float]) -> None:
        """Accept every limit: the program can be solved for all, from zero up.

        Parameters
        ----------
        limits
            Largest uptake rates by exchange id [mmol/gDW/h].
        """

    def rate_function(self, names: Sequence[str]) -> RateFunction:
        """Return some rates as a function of the uptake limits, for a reactor.

        Parameters
        ----------
        names
            ``growth`` [1/h], ``shortfall`` or reaction ids [mmol/gDW/h].

        Returns
        -------
        RateFunction
            Rates by name, from uptake limits by name.

        Raises
        ------
        NetworkError
            If a reaction id is unknown.
        """
        rows = rate_rows(self.network, names)

        return RateFunction(self.inputs, tuple(names), lambda point: self.solve(point).net_and_shortfall[rows])

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments; the program is compiled again where it arrives."""
        return _rebuilt, (self.network, self.inputs, self.fraction_of_optimum, self.limits)

    def __repr__(self) -> str:
        listed = ", ".join([*self.inputs[:_LISTED], *(["..."] if len(self.inputs) > _LISTED else [])])
        return f"FluxProgram({self.network.name!r} by {listed or 'no inputs'})"

    def _solve(self, parameters: np.ndarray, closed: Sequence[int]) -> Fluxes:
        net, shortfall, status = self._most.solve(parameters, closed)
        self._last = float(net[self._growth])
        if status.solved and self._enough is not None:
            floor = self._enough_of(self._last) * self._last
            net, shortfall, status = self._enough.solve(np.append(parameters, floor), closed)
        return Fluxes(self.network, float(net[self._growth]), net, shortfall, status)

    def _floored(self, most: AffineLaw, enough: AffineLaw | None) -> AffineLaw | None:
        """The affine law of the second program, where its floor follows that of the first."""
        if enough is None:
            return None
        count, growth, constant = most.slope.shape[1], most.slope[self._growth], most.constant[self._growth]
        fraction = self._enough_of(self._last)
        spread = np.vstack([np.eye(count), fraction * growth])
        floor = np.append(np.zeros(count), fraction * constant)
        sign = 1.0 if self._last < 0.0 else -1.0
        return enough.of(spread, floor).where(
            np.vstack([most.left, sign * growth]), np.append(most.right, -sign * constant)
        )

    def _enough_of(self, growth: float) -> float:
        """Fraction of the highest growth that is required; all of it where the highest is a loss."""
        return 1.0 if growth < 0.0 else self.fraction_of_optimum

    def _parameters(self, values: np.ndarray, demand: float) -> np.ndarray:
        """Parameters of the compiled problem: what the inputs set, and the demand unless it is an input."""
        parameters = np.full(len(self._spread), demand)
        for row, sets in enumerate(self._spread > 0.0):  # and no product: an input without limit is infinite
            if sets.any():
                parameters[row] = values[sets][0]
        return parameters

    def _restart(self) -> None:
        start = self._parameters(np.full(len(self.inputs), _BASIS_AT), self.network.maintenance_demand)
        self._most.restart(start)
        if self._enough is not None:
            self._enough.restart(np.append(start, 0.0))


def pfba(
    network: Network,
    uptake: Mapping[str, float],
    *,
    fraction_of_optimum: float = 1.0,
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
    fraction_of_optimum
        Fraction of the highest growth that is required, in (0, 1].
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
        If ``uptake`` is no mapping, or a limit is negative or no number.

    References
    ----------
    Lewis et al. (2010), Mol. Syst. Biol. 6:390.

    Examples
    --------
    >>> round(pfba(read_network("textbook"), {"EX_glc__D_e": 10.0}).growth, 7)
    0.8739215
    >>> pfba(read_network("textbook"), {"EX_glc__D_e": -1.0})
    Traceback (most recent call last):
    mmopt.errors.DomainError: limit of EX_glc__D_e is -1 mmol/gDW/h; give a number from 0 up
    """
    if not isinstance(uptake, Mapping):
        raise DomainError(f"uptake is {shown(uptake)}; give a mapping of exchange ids to limits [mmol/gDW/h]")
    program = FluxProgram(network, list(uptake), fraction_of_optimum=fraction_of_optimum, limits=limits)
    return program.solve(list(uptake.values()))


def _rebuilt(
    network: Network, inputs: tuple[str, ...], fraction_of_optimum: float, limits: tuple[LinearLimit, ...]
) -> FluxProgram:
    return FluxProgram(network, inputs, fraction_of_optimum=fraction_of_optimum, limits=limits)


def _checked_network(network: Network) -> Network:
    if not isinstance(network, Network):
        raise NetworkError(f"network is {shown(network)}; give a Network, as read_network returns it")
    return network


def _checked_names(argument: str, names: Sequence[str]) -> tuple[str, ...]:
    listed = (None,) if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    if not all(isinstance(name, str) for name in listed):
        raise NetworkError(f"{argument} is {shown(names)}; give a list of reaction ids")
    return tuple(map(str, listed))


def _checked_limits(limits: Sequence[LinearLimit]) -> tuple[LinearLimit, ...]:
    if not isinstance(limits, Sequence) or not all(isinstance(limit, LinearLimit) for limit in limits):
        raise DomainError(f"limits is {shown(limits)}; give a list of LinearLimit")
    return tuple(limits)


def _checked_demand(maintenance: float) -> float:
    return finite("maintenance demand", maintenance, least=0.0, unit="mmol/gDW/h", error=DomainError)

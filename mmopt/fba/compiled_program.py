"""The flux problem in the solver: parameters in, net fluxes out.

Parameters are the uptake limits of some exchanges, some linear limits, the maintenance demand and, where it is requested,
the floor of growth, in this order.
"""

from collections.abc import Sequence

import numpy as np

from mmopt.errors import NetworkError, nearest
from mmopt.fba.flux_problem import flux_problem
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.solvers.affine_law import AffineLaw
from mmopt.solvers.lexicographic import LexicographicProgram
from mmopt.status import Status

_SHORTFALL, _GROWTH, _TOTAL_FLUX, _TIE_BREAK = 1.0e6, 1.0e4, 0.1, 1.0e-5
"""Weights of one combined objective whose optimum is usually the strict one; `LexicographicProgram` proves every solution,
and solves objective by objective where it is not."""


class CompiledFluxProgram:
    """A flux problem compiled for some parameters.

    Parameters
    ----------
    network
        The metabolic network.
    exchanges
        Exchanges whose uptake limits are parameters.
    limits
        All linear limits.
    moving
        Names of those limits that are parameters.
    floor
        Require a floor of growth, the last parameter, in place of the highest growth.
    """

    def __init__(
        self,
        network: Network,
        exchanges: Sequence[str],
        limits: Sequence[LinearLimit],
        moving: Sequence[str],
        *,
        floor: bool,
    ) -> None:
        problem = flux_problem(network, exchanges, limits=limits, floor=floor)
        self._reactions = len(network.reactions)
        self._forward = np.array(list(problem.forward), dtype=int)
        self._reverse = np.array(list(problem.reverse), dtype=int)
        columns = [network.exchange(exchange) for exchange in exchanges]
        runs = [j in problem.reverse for j in columns]  # nothing moves with the limit of a blocked exchange
        self._moved = np.array([*runs, *(True for _ in moving), True, *([True] * floor)])
        self._lower = np.array([*(0.0 for _ in columns), *(-np.inf for _ in moving)])
        self._program = LexicographicProgram(
            problem,
            weights=(_SHORTFALL, _TOTAL_FLUX, _TIE_BREAK) if floor else (_SHORTFALL, _GROWTH, _TOTAL_FLUX, _TIE_BREAK),
            columns=[*problem.forward.values(), *problem.reverse.values(), problem.shortfall],
            changing=[
                *(problem.reverse[j] for j in columns if j in problem.reverse),
                *(problem.spent[name] for name in moving),
                problem.demand,
                *([problem.floor] if floor else []),
            ],
        )

    def solve(self, parameters: np.ndarray, closed: Sequence[int] = ()) -> tuple[np.ndarray, float, Status]:
        """Solve for some parameters.

        Parameters
        ----------
        parameters
            Values of the parameters, in their order.
        closed
            Columns of reactions that are held at zero.

        Returns
        -------
        net, shortfall, status
            Net fluxes, shape (reactions,), and the shortfall [mmol/gDW/h], NaN unless ``status.solved``.
        """
        split = self._split(closed) if len(closed) else ()
        values, status = self._program.solve(*self._bounds(parameters), split)
        if not status.solved:
            return np.full(self._reactions, np.nan), np.nan, status
        return self._net(values[:, None])[:, 0], float(values[-1]), status

    def law(self) -> AffineLaw | None:
        """Return the affine law of net fluxes, then the shortfall, around the last solution; None without a proof."""
        law = self._program.law()
        if law is None:
            return None
        spread = np.zeros((int(self._moved.sum()), len(self._moved)))
        spread[np.arange(len(spread)), np.flatnonzero(self._moved)] = 1.0
        constant = np.append(self._net(law.constant[:, None]), law.constant[-1])
        slope = np.vstack([self._net(law.slope), law.slope[-1:]])
        return AffineLaw(constant, slope, law.left, law.right).of(spread)

    @property
    def passes(self) -> int:
        """Number of solves that went objective by objective."""
        return self._program.passes

    def restart(self, parameters: np.ndarray) -> None:
        """Forget earlier solves, and return to the basis that the first call computed at these parameters.

        Parameters
        ----------
        parameters
            Values of the parameters, in their order.
        """
        self._program.restart(*self._bounds(parameters))

    def _bounds(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of the variables that follow the parameters."""
        lower = parameters.copy()
        lower[: len(self._lower)] = self._lower
        return lower[self._moved], parameters[self._moved]

    def _net(self, values: np.ndarray) -> np.ndarray:
        """Net fluxes of all reactions from the returned columns, shape (columns, any)."""
        net = np.zeros((self._reactions, values.shape[1]))
        forward, reverse = np.split(values[:-1], [len(self._forward)])
        net[self._forward] += forward
        net[self._reverse] -= reverse
        return net

    def _split(self, closed: Sequence[int]) -> list[int]:
        """Numbers of the forward and reverse columns of some reactions."""
        both = np.concatenate([self._forward, self._reverse])
        return np.flatnonzero(np.isin(both, closed)).tolist()


def sorted_inputs(
    network: Network, inputs: tuple[str, ...], limits: Sequence[LinearLimit]
) -> tuple[list[str], list[str]]:
    """Return the exchanges and the linear limits among the inputs.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        Names of the inputs.
    limits
        All linear limits.

    Returns
    -------
    exchanges, moving
        Names of the exchanges and of the linear limits.

    Raises
    ------
    NetworkError
        If a name is unknown, or given twice.
    """
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


def parameter_matrix(network: Network, inputs: tuple[str, ...], parameters: Sequence[str]) -> np.ndarray:
    """Return which input sets which parameter.

    Parameters
    ----------
    network
        The metabolic network.
    inputs
        Names of the inputs.
    parameters
        Names of the parameters but the demand.

    Returns
    -------
    ndarray
        Ones and zeros, shape (parameters and demand, inputs).
    """
    names = [*parameters, network.maintenance]
    return np.array([[float(name == given) for given in inputs] for name in names]).reshape(len(names), len(inputs))

"""The label problem in the solver: parameters in, net fluxes out.

Parameters are the uptake limits of some exchanges, some linear limits, the maintenance demand and, where it is asked for,
the floor of growth, in this order.
"""

from collections.abc import Sequence

import numpy as np

from mmopt.fba.flux_problem import flux_problem
from mmopt.network.linear_limit import LinearLimit
from mmopt.network.network import Network
from mmopt.solvers.affine_law import AffineLaw
from mmopt.solvers.lexicographic import LexicographicProgram
from mmopt.status import Status

_SHORTFALL, _GROWTH, _TOTAL_FLUX, _TIE_BREAK = 1.0e6, 1.0e4, 0.1, 1.0e-5
"""Weights of one combined objective that usually lands on the strict optimum at once; `LexicographicProgram` proves each
answer and passes through the aims one by one where it did not."""


class CompiledFluxProgram:
    """A label problem compiled for some parameters.

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
        Ask for a floor of growth, the last parameter, in place of the most growth.
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
        """Net fluxes, shortfall, and how the solver ended; not numbers unless ``status.solved``.

        ``closed`` are columns of reactions that are held at zero.
        """
        split = self._split(closed) if len(closed) else ()
        values, status = self._program.solve(*self._bounds(parameters), split)
        if not status.solved:
            return np.full(self._reactions, np.nan), np.nan, status
        return self._net(values[:, None])[:, 0], float(values[-1]), status

    def law(self) -> AffineLaw | None:
        """How net fluxes, then the shortfall, depend on the parameters around the last answer; None without a proof."""
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
        """How many solves went aim by aim."""
        return self._program.passes

    def restart(self, settled_at: np.ndarray) -> None:
        """Forget what was solved before, and go back to the basis found at these parameters by the first call."""
        self._program.restart(*self._bounds(settled_at))

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

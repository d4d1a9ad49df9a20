"""An NLP of CasADi, compiled once into Ipopt and solved again for other bounds and starts."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import casadi
import numpy as np

from mmopt.solvers.interruption import Clock, held_interruption
from mmopt.solvers.ipopt_options import DEFAULTS, WARM, Tuning, check_options
from mmopt.solvers.kkt import KktSystem, kkt_system
from mmopt.solvers.nlp import Nlp
from mmopt.status import Status

_STATUS: Final = {
    "Solve_Succeeded": Status.OPTIMAL,
    "Solved_To_Acceptable_Level": Status.ACCEPTABLE,
    "Feasible_Point_Found": Status.ACCEPTABLE,
    "Infeasible_Problem_Detected": Status.INFEASIBLE,
    "Maximum_Iterations_Exceeded": Status.ITERATION_LIMIT,
    "Maximum_CpuTime_Exceeded": Status.TIME_LIMIT,
    "Maximum_WallTime_Exceeded": Status.TIME_LIMIT,
    "User_Requested_Stop": Status.TIME_LIMIT,  # only the clock requests it
    "Diverging_Iterates": Status.UNBOUNDED,
}
"""Every other status of Ipopt is numerical trouble."""

_DERIVATIVES: Final = {"hess_lag": "nlp_hess_l", "jac_g": "nlp_jac_g", "grad_f": "nlp_grad_f"}
"""CasADi's options for derivative functions, and the names of these functions in an existing solver."""


@dataclass(frozen=True)
class Solve:
    """Record of one solve.

    Attributes
    ----------
    status
        Status of the solve.
    iterations
        Number of iterations.
    seconds
        Wall-clock time [s].
    objective
        Value of the objective at the end.
    ending
        Message of the solver.
    """

    status: Status
    iterations: int
    seconds: float
    objective: float
    ending: str


class CompiledNlp:
    """An NLP in an in-process Ipopt.

    Parameters
    ----------
    nlp
        The NLP.
    options
        Options of Ipopt that differ from mmopt's.
    own
        Options that no tuning changes.

    Attributes
    ----------
    nlp
        The NLP.
    bound_multipliers
        Multipliers of the bounds of all variables at the last accepted solve, above zero at upper bounds; None before.

    Raises
    ------
    StudyError
        If Ipopt does not accept an option.
    """

    def __init__(
        self, nlp: Nlp, options: Mapping[str, Any] | None = None, own: Mapping[str, Any] | None = None
    ) -> None:
        self.nlp = nlp
        self._options, self._own = {**DEFAULTS, **check_options(options)}, check_options(own)
        self._derivatives = dict(nlp.derivatives)
        self._solvers: dict[tuple[bool, Tuning], casadi.Function] = {}
        self._multipliers: dict[str, np.ndarray] = {}
        self._clock = Clock(*self.size)

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of variables and constraints."""
        return self.nlp.x.numel(), len(self.nlp.lower)

    @property
    def bound_multipliers(self) -> np.ndarray | None:
        """Multipliers of the bounds of all variables at the last accepted solve, above zero at upper bounds."""
        return self._multipliers["lam_x0"].ravel() if self._multipliers else None

    def forget(self) -> None:
        """Forget the multipliers of the last accepted solve."""
        self._multipliers = {}

    def options(self, *, warm: bool = False, tuning: Tuning = Tuning.NEAR) -> dict[str, Any]:
        """Return the options of Ipopt.

        Parameters
        ----------
        warm
            Whether the solve is a warm start.
        tuning
            How Ipopt searches.

        Returns
        -------
        dict
            Values by name of option.
        """
        tuned = {**self._options, **tuning.options, **self._own}
        return {**tuned, **(WARM if warm else {}), "print_level": 0, "sb": "yes"}

    def solve(
        self,
        start: np.ndarray,
        lower: np.ndarray,
        upper: np.ndarray,
        *,
        warm: bool = False,
        tuning: Tuning = Tuning.NEAR,
        seconds: float = math.inf,
        iterations: float = math.inf,
    ) -> tuple[Solve, np.ndarray]:
        """Solve from a start.

        Parameters
        ----------
        start, lower, upper
            Values to start from, and bounds of all variables.
        warm
            Whether to start from the multipliers of the last accepted solve as well; without one this is a cold start.
        tuning
            How Ipopt searches.
        seconds
            Limit of wall-clock time [s], checked between iterations.
        iterations
            Limit of iterations of this solve, besides that of the options.

        Returns
        -------
        solve, values
            Record of the solve, and the last values of all variables.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, at the end of the iteration.
        """
        warm = warm and bool(self._multipliers)
        solver = self._solver(warm, tuning)
        started = time.perf_counter()
        self._clock.deadline, self._clock.most, self._clock.iterations = started + seconds, iterations, 0
        with held_interruption() as self._clock.interruption:
            solution = solver(
                x0=np.clip(start, lower, upper),
                lbx=lower,
                ubx=upper,
                lbg=self.nlp.lower,
                ubg=self.nlp.upper,
                **(self._multipliers if warm else {}),
            )
            # conversions of CasADi lose an exception as well
            arrays = {name: np.array(solution[name]) for name in ("x", "lam_g", "lam_x")}
            objective, stats = float(solution["f"]), solver.stats()
        seconds = time.perf_counter() - started
        status = _STATUS.get(stats["return_status"], Status.NUMERICAL_TROUBLE)
        if status is Status.TIME_LIMIT and self._clock.iterations > iterations:
            status = Status.ITERATION_LIMIT
        if status.solved:
            self._multipliers = {"lam_g0": arrays["lam_g"], "lam_x0": arrays["lam_x"]}
        record = Solve(status, int(stats["iter_count"]), seconds, objective, stats["return_status"])
        return record, arrays["x"].ravel()

    def kkt_system(self, values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> KktSystem | None:
        """Return the linearised conditions at the last accepted optimum.

        Parameters
        ----------
        values, lower, upper
            The optimum, and bounds of all variables.

        Returns
        -------
        KktSystem or None
            None if there was no accepted solve, or the system is singular.
        """
        if not self._multipliers:
            return None
        solver = next(iter(self._solvers.values()))
        functions = tuple(solver.get_function(name) for name in ("nlp_g", "nlp_jac_g", "nlp_hess_l"))
        pushes = (self._multipliers["lam_x0"].ravel(), self._multipliers["lam_g0"].ravel())
        return kkt_system(functions, values, pushes, (lower, upper), (self.nlp.lower, self.nlp.upper))

    def _solver(self, warm: bool, tuning: Tuning) -> casadi.Function:
        if (warm, tuning) not in self._solvers:
            # derivatives take most of the build time: the second solver uses those of the first
            first = next(iter(self._solvers.values()), None)
            if first is not None:
                self._derivatives = {ours: first.get_function(theirs) for ours, theirs in _DERIVATIVES.items()}
            nlp = {"x": self.nlp.x, "f": self.nlp.cost, "g": self.nlp.equations}
            self._solvers[warm, tuning] = casadi.nlpsol(
                "problem",
                "ipopt",
                nlp,
                {
                    "ipopt": self.options(warm=warm, tuning=tuning),
                    "print_time": False,
                    "iteration_callback": self._clock,
                    **self._derivatives,
                },
            )
        return self._solvers[warm, tuning]

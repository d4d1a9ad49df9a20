"""What stops Ipopt between two iterations: a deadline or Ctrl-C. Ipopt's own time limits are fixed when a solver is built."""

import math
import time
from typing import Any, Final

import casadi

from mmopt.solvers.interruption import Interruption

_SHAPES: Final = {"x": "variables", "lam_x": "variables", "g": "constraints", "lam_g": "constraints", "f": "one"}
"""Sizes of the arrays CasADi passes after every iteration; all others are empty."""


class Clock(casadi.Callback):  # type: ignore[misc]
    """Stop a solve when ``deadline`` (of `time.perf_counter`) has passed, after ``most`` iterations, or at an interruption.

    Parameters
    ----------
    variables, constraints
        Their numbers in the program.
    """

    def __init__(self, variables: int, constraints: int) -> None:
        super().__init__()
        self.deadline = math.inf
        self.most = math.inf
        self.iterations = 0
        self.interruption = Interruption()
        self._sizes = {"variables": variables, "constraints": constraints, "one": 1}
        self.construct("clock", {})

    def get_n_in(self) -> int:
        """Number of inputs: the outputs of a solver."""
        return int(casadi.nlpsol_n_out())

    def get_n_out(self) -> int:
        """Number of outputs: one, whether to stop."""
        return 1

    def get_sparsity_in(self, number: int) -> Any:
        """Return the shape of an input.

        Parameters
        ----------
        number
            Position of the input.

        Returns
        -------
        casadi.Sparsity
            Its shape.
        """
        shape = _SHAPES.get(casadi.nlpsol_out(number))
        return casadi.Sparsity(0, 0) if shape is None else casadi.Sparsity.dense(self._sizes[shape])

    def eval(self, _: Any) -> list[float]:
        """Return 1 if the solve is to stop."""
        self.iterations += 1
        late = self.iterations > self.most or time.perf_counter() >= self.deadline
        return [float(self.interruption.came or late)]

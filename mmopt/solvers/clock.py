"""A clock that stops Ipopt between two iterations; its own limits of time are fixed when a solver is made."""

import math
import time
from typing import Any, Final

import casadi

_SHAPES: Final = {"x": "variables", "lam_x": "variables", "g": "constraints", "lam_g": "constraints", "f": "one"}
"""Sizes of what CasADi shows after each iteration; all else is empty."""


class Clock(casadi.Callback):  # type: ignore[misc]
    """Stops a solve when ``deadline`` (of `time.perf_counter`) has passed.

    Parameters
    ----------
    variables, constraints
        How many the program has.
    """

    def __init__(self, variables: int, constraints: int) -> None:
        super().__init__()
        self.deadline = math.inf
        self._sizes = {"variables": variables, "constraints": constraints, "one": 1}
        self.construct("clock", {})

    def get_n_in(self) -> int:
        """As many as a solver gives out."""
        return int(casadi.nlpsol_n_out())

    def get_n_out(self) -> int:
        """Whether to stop."""
        return 1

    def get_sparsity_in(self, number: int) -> Any:
        """Shape of what comes in."""
        shape = _SHAPES.get(casadi.nlpsol_out(number))
        return casadi.Sparsity(0, 0) if shape is None else casadi.Sparsity.dense(self._sizes[shape])

    def eval(self, _: Any) -> list[float]:
        """Look at the clock."""
        return [float(time.perf_counter() >= self.deadline)]

"""What stops compiled code: a deadline or Ctrl-C, between two iterations of Ipopt.

Ipopt's own time limits are fixed when a solver is built, and CasADi loses an exception raised inside it.
"""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import casadi

_SHAPES: Final = {"x": "variables", "lam_x": "variables", "g": "constraints", "lam_g": "constraints", "f": "one"}
"""Sizes of the arrays CasADi passes after every iteration; all others are empty."""


class Interruption:
    """Whether the user pressed Ctrl-C during a block of compiled code."""

    def __init__(self) -> None:
        self.came = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Remember a signal.

        Parameters
        ----------
        number
            Number of the signal.
        frame
            Where Python was.
        """
        self.came = True


@contextmanager
def held_interruption() -> Iterator[Interruption]:
    """Hold Ctrl-C until the end of a block, then hand it to the handler that was there before.

    Only the main thread of Python receives signals; elsewhere, and where signals are ignored, nothing changes.

    Yields
    ------
    Interruption
        Whether it came, for code that can stop early.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block, if it came.

    Examples
    --------
    >>> with held_interruption() as interruption:
    ...     interruption.came
    False
    """
    interruption = Interruption()
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    signal.signal(signal.SIGINT, interruption.note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
    if interruption.came:
        before(signal.SIGINT, None)


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

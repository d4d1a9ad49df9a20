"""How an optimum is computed: options, a deadline, and the record of progress."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mmopt.checking import Count, Number, Seed, checked
from mmopt.errors import StudyError
from mmopt.problem.problem import Problem
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.compiled import CompiledProblem

AGREEMENT = 1.0e-3


@checked
class OptimiseOptions:
    """How `mmopt.optimise` computes an optimum.

    Parameters
    ----------
    guesses
        Number of initial guesses, since optima can be local; the best optimum is kept.
    seed
        Of the random guesses among them.
    workers
        Processes in which guesses are tried. A process takes seconds to start, so more than one pays where a solve is slow;
        each imports the calling script, which therefore needs its ``if __name__ == "__main__":``.
    time_limit
        Seconds after which nothing more is tried; the best plan by then is kept, and ``record.out_of_time`` is true. Ipopt
        is stopped between iterations, simulations run to their end.
    mesh_tolerance
        If given, the mesh is refined until the optimum and an integration of its controls agree to this fraction.
    back_off
        Whether limits are tightened until an integration of the plan keeps them, between collocation points, too, or, with a
        reference, the replay on that.
    agreement
        With surrogate adaptation: largest fraction by which the plan and the reference may differ.
    ipopt
        Options of Ipopt that differ from mmopt's.
    bundled
        Use the Ipopt from pip; else the user's own executable.
    formulation
        How the surrogate is written, see `mmopt.transcription.CompiledProblem`.
    progress
        Called with (stage, done, total) while the work goes on.

    Raises
    ------
    StudyError
        If a number is out of range.

    Examples
    --------
    >>> OptimiseOptions(guesses=4, time_limit=60.0).guesses
    4
    """

    guesses: Count = 1
    seed: Seed = 0
    workers: Count = 1
    time_limit: Number | None = None
    mesh_tolerance: Number | None = None
    back_off: bool = True
    agreement: Number = AGREEMENT
    ipopt: dict[str, Any] = field(default_factory=dict)
    bundled: bool = True
    formulation: str | None = None
    progress: Callable[[str, int, int], None] | None = None

    def __post_init__(self) -> None:
        for name, value in (("time_limit", self.time_limit), ("mesh_tolerance", self.mesh_tolerance)):
            if value is not None and not 0.0 < value < math.inf:
                raise StudyError(f"{name} is {value:g}; give a finite number above 0, or None")
        if not 0.0 < self.agreement < math.inf:
            raise StudyError(f"agreement is {self.agreement:g}; give a finite number above 0")

    def compile(self, problem: Problem, surrogate: SmoothCell | None) -> CompiledProblem:
        """Compile a problem.

        Parameters
        ----------
        problem, surrogate
            The problem and the surrogate of its cell.

        Returns
        -------
        CompiledProblem
        """
        return CompiledProblem(
            problem, surrogate, options=self.ipopt, bundled=self.bundled, formulation=self.formulation
        )

    def report(self, stage: str, done: int, total: int) -> None:
        """Report progress, if somewhere to report to was given.

        Parameters
        ----------
        stage
            What is computed.
        done, total
            Steps of it.
        """
        if self.progress is not None:
            self.progress(stage, done, total)


@dataclass(frozen=True)
class Deadline:
    """A time of `time.monotonic`, the same in all processes.

    Attributes
    ----------
    at
        The time [s]; infinite if there is none.
    """

    at: float = math.inf

    @classmethod
    def after(cls, seconds: float | None) -> "Deadline":
        """Return the deadline some seconds from now.

        Parameters
        ----------
        seconds
            How many; None for no deadline.

        Returns
        -------
        Deadline
        """
        return cls() if seconds is None else cls(time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """Seconds until it."""
        return self.at - time.monotonic()

    def has_passed(self) -> bool:
        """Return whether it has passed."""
        return self.left <= 0.0

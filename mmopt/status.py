"""Status of a computation; every solver's own status is translated into these."""

from enum import Enum


class Status(Enum):
    """Status of a computation; the value is the message to the user.

    Examples
    --------
    >>> Status.OPTIMAL.value, Status.OPTIMAL.solved
    ('solved to optimality', True)
    """

    OPTIMAL = "solved to optimality"
    ACCEPTABLE = "solved to the looser, acceptable tolerance"
    INFEASIBLE = "no point satisfies all the constraints"
    UNBOUNDED = "the objective has no bound"
    ITERATION_LIMIT = "stopped at the iteration limit"
    TIME_LIMIT = "stopped at the time limit"
    NUMERICAL_TROUBLE = "the solver met numerical trouble"
    START = "simulated controls that keep all limits; no solve ended with a better plan"
    SIMULATED = "simulated to the end"
    ENDED_EARLY = "simulation ended early, at an event"
    CLOSED_LOOP = "closed loop ran to the end"

    @property
    def solved(self) -> bool:
        """Whether the computation returned a solution."""
        return self in (Status.OPTIMAL, Status.ACCEPTABLE)

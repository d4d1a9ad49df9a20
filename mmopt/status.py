"""How a computation ended, in our own words; every solver's endings are translated into these."""

from enum import Enum


class Status(Enum):
    """How a computation ended; the value is the sentence a user reads."""

    OPTIMAL = "solved to optimality"
    ACCEPTABLE = "solved to the looser, acceptable tolerance"
    INFEASIBLE = "no point satisfies all the constraints"
    UNBOUNDED = "the objective has no bound"
    ITERATION_LIMIT = "stopped at the iteration limit"
    TIME_LIMIT = "stopped at the time limit"
    NUMERICAL_TROUBLE = "the solver met numerical trouble"
    SIMULATED = "simulated to the end"
    ENDED_EARLY = "simulation ended early, at an event"
    CLOSED_LOOP = "closed loop ran to the end"

    @property
    def solved(self) -> bool:
        """Whether the numbers that come with this status are an answer."""
        return self in (Status.OPTIMAL, Status.ACCEPTABLE)

"""From a problem to a nonlinear program that any Pyomo solver takes."""

from mmopt.problem.problem import Problem
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.equations import HARD, Relaxation
from mmopt.transcription.program import CollocationProgram


def transcribe(
    problem: Problem,
    surrogate: SmoothCell | None = None,
    *,
    relaxation: Relaxation = HARD,
    formulation: str = "reduced_space",
) -> CollocationProgram:
    """Write a problem as a nonlinear program, by orthogonal collocation on finite elements.

    Parameters
    ----------
    problem
        The problem.
    surrogate
        Surrogate of the cell; None for a system without one.
    relaxation
        Which limits are soft; by default those with a price of their own.
    formulation
        How the surrogate is written: ``reduced_space``, ``full_space`` or ``mixed`` as `mmopt.surrogate.embed` describes,
        or ``grey_box``, all points as one function of matrices.

    Returns
    -------
    CollocationProgram
        Its ``pyomo`` is an ordinary Pyomo problem.

    Raises
    ------
    StudyError, DomainError
        If the surrogate does not fit the system, or the system can request more uptake than it was trained for.

    References
    ----------
    Biegler (2010), Nonlinear Programming, SIAM, chapter 10.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> transcribe(problem, load_surrogate("ecoli_ijo1366")).pyomo.name
    'dynamic optimisation'
    """
    return CollocationProgram(problem, surrogate, relaxation=relaxation, formulation=formulation)

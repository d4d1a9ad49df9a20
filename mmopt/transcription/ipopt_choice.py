"""Which Ipopt solves a problem, and with which options."""

from collections.abc import Mapping
from typing import Any, Final

import pyomo.environ as pyo

from mmopt.errors import SolverError
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.solvers.ipopt_executable import IpoptExecutable, find_executable
from mmopt.surrogate.layer import SmoothCell

_OPTIONS: Final = {"max_iter": 1000}

_WITH_CELL: Final = {
    "mu_init": 1.0e-3,
    "bound_push": 1.0e-4,
    "bound_frac": 1.0e-4,
    "nlp_scaling_max_gradient": 1000.0,
    "alpha_for_y": "min-dual-infeas",
    "max_iter": 300,
}
"""With a surrogate, the objective of the initial guess is near the optimum, and the barrier need not begin far from limits;
`docs/design.md` has the measurements. Other systems start from far, and end in worse optima with these. A solve that needs
more iterations seldom ends with an optimum, and another start does."""


def ipopt_options(surrogate: SmoothCell | None) -> dict[str, Any]:
    """Return the options of Ipopt for a problem with or without a cell.

    Parameters
    ----------
    surrogate
        Surrogate of the cell, or None.

    Returns
    -------
    dict
    """
    return {**_OPTIONS, **({} if surrogate is None else _WITH_CELL)}


def ipopt_for(
    problem: pyo.ConcreteModel, options: Mapping[str, Any], own: Mapping[str, Any] | None, bundled: bool
) -> NonlinearProgram | IpoptExecutable:
    """Return the Ipopt that is to solve a Pyomo problem.

    Parameters
    ----------
    problem
        The Pyomo problem.
    options
        Options of Ipopt.
    own
        Options that no tuning changes, such as a user's.
    bundled
        Whether to use the Ipopt from pip.

    Returns
    -------
    NonlinearProgram or IpoptExecutable

    Raises
    ------
    SolverError
        If the executable is wanted and there is none.
    """
    if bundled:
        return NonlinearProgram(problem, options, own)
    executable = find_executable()
    if executable is None:
        raise SolverError("no ipopt executable was found; install one (idaes get-extensions) or use the bundled Ipopt")
    return IpoptExecutable(problem, executable, options, own)

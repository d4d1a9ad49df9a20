"""Structural diagnosis of a problem with the tools of IDAES and Pyomo, once everything that may be chosen is fixed."""

from dataclasses import replace
from typing import Final

import pyomo.environ as pyo

from mmopt.problem.problem import Problem
from mmopt.surrogate.layer import SmoothCell
from mmopt.transcription.collocation import transcribe
from mmopt.transcription.program import CollocationProgram

_ELEMENTS: Final = 2

_FORMULATION: Final = "mixed"
"""Pyomo's tools walk through nested expressions again at each occurrence; this nests least."""


def with_few_elements(problem: Problem) -> Problem:
    """Return the same problem with two elements: structure repeats, and Pyomo's tools are slow on large problems.

    Parameters
    ----------
    problem
        The problem.

    Returns
    -------
    Problem
    """
    return replace(problem, horizon=replace(problem.horizon, elements=_ELEMENTS, mesh=None))


def with_decisions_fixed(problem: Problem, surrogate: SmoothCell | None = None) -> CollocationProgram:
    """Transcribe a problem and fix its data and everything that may be chosen, at the middle of its range.

    Parameters
    ----------
    problem, surrogate
        The problem and the surrogate of its cell.

    Returns
    -------
    CollocationProgram
        Square: as many equations as free variables.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=1, points=1), {"feed": (0.0, 0.1)})
    >>> program = with_decisions_fixed(problem, load_surrogate("ecoli_ijo1366"))
    >>> all(variable.fixed for variable in program.decisions())
    True
    """
    program = transcribe(problem, surrogate, formulation=_FORMULATION)
    for data in program.pyomo.component_data_objects(pyo.Var):
        if data.lb is not None and data.lb == data.ub:
            data.fix()
    for variable in program.decisions():
        variable.fix((variable.lb + variable.ub) / 2.0)
    return program


def diagnose(problem: Problem, surrogate: SmoothCell | None = None) -> tuple[str, ...]:
    """Report the structural warnings of IDAES's `DiagnosticsToolbox` about a problem with all decisions fixed.

    It checks degrees of freedom, and searches for over- and underdetermined subsystems. Units are those of `mmopt.units`,
    not Pyomo's, so their consistency is not checked; nor are evaluation errors of logarithms whose arguments are positive by
    construction.

    Parameters
    ----------
    problem, surrogate
        The problem and the surrogate of its cell.

    Returns
    -------
    tuple of str
        Warnings; empty if there are none.

    References
    ----------
    Lee et al. (2021), J. Adv. Manuf. Process. 3:e10095 (IDAES).

    Examples
    --------
    >>> from mmopt.reactor import Quantity, System
    >>> class Tank(System):
    ...     states = (Quantity("volume", "L", lower=0.0),)
    ...     controls = (Quantity("feed", "L/h", lower=0.0),)
    ...
    ...     def derivative(self, states, controls, parameters, cell):
    ...         return {"volume": controls["feed"]}
    >>> diagnose(Problem(Tank(), {"volume": 1.0}, Horizon(1.0, 1, 1), {"feed": (0.0, 1.0)}, maximise="volume"))
    ()
    """
    from idaes.core.util.model_diagnostics import DiagnosticsToolbox

    toolbox = DiagnosticsToolbox(with_decisions_fixed(problem, surrogate).pyomo)
    try:
        toolbox.assert_no_structural_warnings(ignore_evaluation_errors=True, ignore_unit_consistency=True)
    except AssertionError as error:
        return tuple(line.strip() for line in str(error).splitlines() if line.strip())
    return ()

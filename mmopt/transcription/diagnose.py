"""What the tools of IDAES and Pyomo find in a problem once everything that may be chosen is fixed: is it square and sound."""

from dataclasses import replace
from typing import Final

import pyomo.environ as pyo

from mmopt.problem.problem import Problem
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.collocation import transcribe
from mmopt.transcription.program import shared

_ELEMENTS: Final = 2

_FORMULATION: Final = "mixed"
"""Pyomo's tools walk through nested expressions again at each place they are met; this nests least."""


def few_elements(problem: Problem) -> Problem:
    """The same problem with two elements: structure repeats from element to element, and Pyomo's tools take their time."""
    return replace(problem, horizon=replace(problem.horizon, elements=_ELEMENTS, mesh=None))


def decided(problem: Problem, surrogate: Surrogate | None = None) -> pyo.ConcreteModel:
    """A problem as a program without anything to choose: data fixed, chosen starts and controls fixed in their ranges.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=1, points=1), {"feed": (0.0, 0.1)})
    >>> decided(problem, load_surrogate("ecoli_ijo1366")).control["feed", 0].fixed
    True
    """
    program = transcribe(problem, surrogate, formulation=_FORMULATION)
    for data in program.component_data_objects(pyo.Var):
        if data.lb is not None and data.lb == data.ub:
            data.fix()
    for variable in shared(program, problem):
        variable.fix((variable.lb + variable.ub) / 2.0)
    return program


def diagnose(problem: Problem, surrogate: Surrogate | None = None) -> tuple[str, ...]:
    """Structural warnings of IDAES's `DiagnosticsToolbox` about a problem with all choices fixed; empty if there are none.

    It looks at degrees of freedom, and for parts that are over- or underdetermined. Units are those of `mmopt.units`, not
    Pyomo's, so their consistency is not looked at; nor are evaluation errors of logarithms whose arguments are positive by
    construction.
    """
    from idaes.core.util.model_diagnostics import DiagnosticsToolbox

    toolbox = DiagnosticsToolbox(decided(problem, surrogate))
    try:
        toolbox.assert_no_structural_warnings(ignore_evaluation_errors=True, ignore_unit_consistency=True)
    except AssertionError as error:
        return tuple(line.strip() for line in str(error).splitlines() if line.strip())
    return ()

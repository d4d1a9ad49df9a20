"""A Pyomo problem as CasADi states it: written once as ``.nl``, read as scalar expressions, networks put back as functions.

The writer knows no grey boxes, so they are left out of the file. Their equations, what goes out equals what the network makes
of what goes in, follow those of the file, and derivatives of both are put together.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import casadi
import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.pynumero.interfaces.external_grey_box import ExternalGreyBoxBlock
from pyomo.repn.plugins.nl_writer import NLWriter

from mmopt.errors import SolverError
from mmopt.solvers.dense import AtColumns, NetworkAtPoints


@dataclass(frozen=True, eq=False)
class Nlp:
    """A nonlinear program.

    Attributes
    ----------
    x, cost, equations
        CasADi's symbols and expressions of them.
    lower, upper
        Bounds of the equations.
    derivatives
        Functions for `casadi.nlpsol`, by its options; empty where CasADi is to derive them.
    """

    x: Any
    cost: Any
    equations: Any
    lower: np.ndarray
    upper: np.ndarray
    derivatives: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Tie:
    """A network whose inputs are entries of the variables, and where its outputs stand among them."""

    network: AtColumns
    outputs: Sequence[int]

    def missed(self, x: Any) -> Any:
        """By what outputs differ from what the network gives."""
        return x[self.outputs] - self.network.values(x)

    def jacobian(self, x: Any) -> Any:
        """Derivatives of that."""
        rows = len(self.outputs)
        pattern = casadi.Sparsity.triplet(rows, x.numel(), list(range(rows)), self.outputs)
        return casadi.DM(pattern, 1.0) - self.network.jacobian(x)


def read_nlp(problem: pyo.ConcreteModel) -> tuple[list[Any], Nlp]:
    """State a Pyomo problem for CasADi.

    Returns
    -------
    variables, statement
        Pyomo's variables in the order of ``x``, and the statement.

    Raises
    ------
    SolverError
        If the problem holds a grey box that is no dense network.
    """
    boxes = list(problem.component_data_objects(ExternalGreyBoxBlock, active=True))
    for box in boxes:
        if not isinstance(box.get_external_model(), NetworkAtPoints):
            raise SolverError(f"the grey box '{box.name}' is no dense network; the bundled Ipopt knows no other kind")
    variables, read = _read(problem, boxes)
    if not boxes:
        return variables, read
    place = {id(variable): k for k, variable in enumerate(variables)}
    for variable in (each for box in boxes for part in (box.inputs, box.outputs) for each in part.values()):
        if id(variable) not in place:  # in no equation but the network's
            place[id(variable)] = len(variables)
            variables.append(variable)
    ties = []
    for box in boxes:
        network = box.get_external_model()
        inputs = np.array([place[id(each)] for each in box.inputs.values()]).reshape(network.points, -1)
        outputs = [place[id(each)] for each in box.outputs.values()]
        ties.append(_Tie(AtColumns(network.layers, inputs, len(variables)), outputs))
    return variables, _tied(read, ties, len(variables))


def _read(problem: pyo.ConcreteModel, boxes: Sequence[Any]) -> tuple[list[Any], Nlp]:
    """Variables in the order of the file, and what CasADi reads from it, all but grey boxes."""
    for box in boxes:
        box.deactivate()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "problem.nl"
            with path.open("w") as stream:
                written = NLWriter().write(
                    problem, stream, symbolic_solver_labels=False, scale_model=False, linear_presolve=False
                )
            builder = casadi.NlpBuilder()
            builder.import_nl(str(path))
    finally:
        for box in boxes:
            box.activate()
    given = casadi.vertcat(*builder.x)
    read = casadi.Function("read", [given], [builder.f, casadi.vertcat(*builder.g)]).expand()
    x = casadi.SX.sym("x", given.numel())
    cost, equations = read(x)
    return list(written.variables), Nlp(x, cost, equations, np.array(builder.g_lb), np.array(builder.g_ub))


def _tied(read: Nlp, ties: Sequence[_Tie], size: int) -> Nlp:
    """A statement with the equations of networks."""
    plain, slopes, bends = _derived(read)
    x, none = casadi.MX.sym("x", size), casadi.MX.sym("p", 0)
    own, wide, rows = x[: read.x.numel()], size - read.x.numel(), read.equations.numel()
    missed = [tie.missed(x) for tie in ties]
    cost, equations = plain(own)
    whole = casadi.vertcat(equations, *missed)
    cost_at, gradient, equations_at, jacobian = slopes(own)
    jacobian = casadi.vertcat(casadi.horzcat(jacobian, casadi.MX(rows, wide)), *(tie.jacobian(x) for tie in ties))
    scale, multipliers = casadi.MX.sym("lam_f"), casadi.MX.sym("lam_g", whole.numel())
    hessian = casadi.diagcat(bends(own, scale, multipliers[:rows]), casadi.MX(wide, wide))
    at = rows
    for tie in ties:
        hessian -= tie.network.hessian(x, multipliers[at : at + len(tie.outputs)])
        at += len(tie.outputs)
    given, lagrangian = ["x", "p"], [x, none, scale, multipliers]
    derivatives = {
        "grad_f": ("nlp_grad_f", given, {"f": cost_at, "grad_f_x": casadi.vertcat(gradient, casadi.MX(wide, 1))}),
        "jac_g": ("nlp_jac_g", given, {"g": casadi.vertcat(equations_at, *missed), "jac_g_x": jacobian}),
        "hess_lag": ("nlp_hess_l", [*given, "lam_f", "lam_g"], {"triu_hess_gamma_x_x": hessian}),
    }
    made = {
        option: casadi.Function(name, lagrangian[: len(names)], list(told.values()), names, list(told))
        for option, (name, names, told) in derivatives.items()
    }
    nothing = np.zeros(at - rows)
    lower, upper = np.concatenate([read.lower, nothing]), np.concatenate([read.upper, nothing])
    return Nlp(x, cost, whole, lower, upper, made)


def _derived(read: Nlp) -> tuple[Any, Any, Any]:
    """Values, first and second derivatives of what was read, as functions."""
    x, cost, equations = read.x, read.cost, read.equations
    factor, push = casadi.SX.sym("factor"), casadi.SX.sym("push", equations.numel())
    lagrangian = factor * cost + casadi.dot(push, equations)
    first = [cost, casadi.gradient(cost, x), equations, casadi.jacobian(equations, x)]
    return (
        casadi.Function("plain", [x], [cost, equations]),
        casadi.Function("slopes", [x], first),
        casadi.Function("bends", [x, factor, push], [casadi.triu(casadi.hessian(lagrangian, x)[0])]),
    )

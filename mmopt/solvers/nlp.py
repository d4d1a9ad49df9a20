"""A Pyomo problem as an NLP of CasADi: written once as ``.nl``, read as scalar expressions, networks added as functions.

The writer does not support grey boxes, so they are left out of the file. Their equations, outputs = network(inputs), follow
those of the file, and derivatives of both are combined.
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
class _NetworkEquations:
    """Equations of a network whose inputs and outputs are entries of the variables."""

    network: AtColumns
    outputs: Sequence[int]

    def residuals(self, x: Any) -> Any:
        """Outputs among the variables minus outputs of the network."""
        return x[self.outputs] - self.network.values(x)

    def jacobian(self, x: Any) -> Any:
        """Derivatives of the residuals."""
        rows = len(self.outputs)
        pattern = casadi.Sparsity.triplet(rows, x.numel(), list(range(rows)), self.outputs)
        return casadi.DM(pattern, 1.0) - self.network.jacobian(x)


def read_nlp(problem: pyo.ConcreteModel) -> tuple[list[Any], Nlp]:
    """Convert a Pyomo problem to an NLP of CasADi.

    Parameters
    ----------
    problem
        A Pyomo problem with one active objective.

    Returns
    -------
    variables, nlp
        Pyomo's variables in the order of ``x``, and the NLP.

    Raises
    ------
    SolverError
        If the problem has a grey box that is no dense network.
    """
    boxes = list(problem.component_data_objects(ExternalGreyBoxBlock, active=True))
    for box in boxes:
        if not isinstance(box.get_external_model(), NetworkAtPoints):
            raise SolverError(
                f"the grey box '{box.name}' is no dense network; the bundled Ipopt supports no other kind"
            )
    variables, read = _read(problem, boxes)
    if not boxes:
        return variables, read
    position = {id(variable): k for k, variable in enumerate(variables)}
    for variable in (one for box in boxes for group in (box.inputs, box.outputs) for one in group.values()):
        if id(variable) not in position:  # in no equation but the network's
            position[id(variable)] = len(variables)
            variables.append(variable)
    networks = []
    for box in boxes:
        network = box.get_external_model()
        inputs = np.array([position[id(variable)] for variable in box.inputs.values()]).reshape(network.points, -1)
        outputs = [position[id(variable)] for variable in box.outputs.values()]
        networks.append(_NetworkEquations(AtColumns(network.layers, inputs, len(variables)), outputs))
    return variables, _with_networks(read, networks, len(variables))


def _read(problem: pyo.ConcreteModel, boxes: Sequence[Any]) -> tuple[list[Any], Nlp]:
    """Variables in the order of the file, and the NLP CasADi reads from it, without grey boxes."""
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
    columns = casadi.vertcat(*builder.x)
    read = casadi.Function("read", [columns], [builder.f, casadi.vertcat(*builder.g)]).expand()
    x = casadi.SX.sym("x", columns.numel())
    cost, equations = read(x)
    return list(written.variables), Nlp(x, cost, equations, np.array(builder.g_lb), np.array(builder.g_ub))


def _with_networks(read: Nlp, networks: Sequence[_NetworkEquations], size: int) -> Nlp:
    """An NLP with the equations of networks."""
    plain, slopes, bends = _derived(read)
    x, none = casadi.MX.sym("x", size), casadi.MX.sym("p", 0)
    own, wide, rows = x[: read.x.numel()], size - read.x.numel(), read.equations.numel()
    residuals = [network.residuals(x) for network in networks]
    cost, equations = plain(own)
    whole = casadi.vertcat(equations, *residuals)
    cost_at, gradient, equations_at, jacobian = slopes(own)
    # dense, as Ipopt reads it: CasADi leaves entries that a sparse one lacks as they were in memory
    gradient = casadi.densify(casadi.vertcat(gradient, casadi.MX(wide, 1)))
    jacobian = casadi.vertcat(
        casadi.horzcat(jacobian, casadi.MX(rows, wide)), *(network.jacobian(x) for network in networks)
    )
    scale, multipliers = casadi.MX.sym("lam_f"), casadi.MX.sym("lam_g", whole.numel())
    hessian = casadi.diagcat(bends(own, scale, multipliers[:rows]), casadi.MX(wide, wide))
    at = rows
    for network in networks:
        hessian -= network.network.hessian(x, multipliers[at : at + len(network.outputs)])
        at += len(network.outputs)
    names, lagrangian = ["x", "p"], [x, none, scale, multipliers]
    derivatives = {
        "grad_f": ("nlp_grad_f", names, {"f": cost_at, "grad_f_x": gradient}),
        "jac_g": ("nlp_jac_g", names, {"g": casadi.vertcat(equations_at, *residuals), "jac_g_x": jacobian}),
        "hess_lag": ("nlp_hess_l", [*names, "lam_f", "lam_g"], {"triu_hess_gamma_x_x": hessian}),
    }
    functions = {
        option: casadi.Function(name, lagrangian[: len(inputs)], list(outputs.values()), inputs, list(outputs))
        for option, (name, inputs, outputs) in derivatives.items()
    }
    nothing = np.zeros(at - rows)
    lower, upper = np.concatenate([read.lower, nothing]), np.concatenate([read.upper, nothing])
    return Nlp(x, cost, whole, lower, upper, functions)


def _derived(read: Nlp) -> tuple[Any, Any, Any]:
    """Values, first and second derivatives of an NLP, as functions."""
    x, cost, equations = read.x, read.cost, read.equations
    factor, push = casadi.SX.sym("factor"), casadi.SX.sym("push", equations.numel())
    lagrangian = factor * cost + casadi.dot(push, equations)
    first = [cost, casadi.gradient(cost, x), equations, casadi.jacobian(equations, x)]
    return (
        casadi.Function("plain", [x], [cost, equations]),
        casadi.Function("slopes", [x], first),
        casadi.Function("bends", [x, factor, push], [casadi.triu(casadi.hessian(lagrangian, x)[0])]),
    )

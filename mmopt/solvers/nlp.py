"""A Pyomo problem as an NLP of CasADi: written once as ``.nl``, read as scalar expressions, networks added as functions.

The writer does not support grey boxes, so they are left out of the file. Their equations, outputs = network(inputs), follow
those of the file, and derivatives of both are combined. A problem that several copies of share variables is written and
derived once; the copies evaluate the same functions.
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
from mmopt.solvers.dense import AtColumns, NetworkAtPoints, sparse


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


def copies_of(nlp: Nlp, positions: np.ndarray, linear: np.ndarray, less: Sequence[tuple[int, int]]) -> Nlp:
    """Return an NLP of several copies of another, which share variables.

    Its cost is that of the first copy, which must depend on shared variables alone, and a linear one. Everything is evaluated
    by the functions of the one NLP, so that building costs the same for any number of copies.

    Parameters
    ----------
    nlp
        The NLP.
    positions
        Position of every variable of every copy among all variables, shape (copies, variables); shared ones have one.
    linear
        Coefficients of the linear cost, shape (all variables,).
    less
        Pairs of positions: the first variable may not be above the second.

    Returns
    -------
    Nlp
        Its equations are those of the copies one after the other, then the inequalities.
    """
    copies, width = positions.shape
    size, rows = len(linear), len(nlp.lower)
    one = nlp if nlp.derivatives else _with_networks(nlp, [], width)
    x, none = casadi.MX.sym("x", size), casadi.MX.sym("p", 0)
    own, nothing = casadi.reshape(x[positions.ravel().tolist()], width, copies), casadi.MX(0, copies)
    ends, number = np.array(less, dtype=int).reshape(-1, 2), np.arange(len(less))
    order = _ones(len(less), size, number, ends[:, 0]) - _ones(len(less), size, number, ends[:, 1])
    value = casadi.Function("value", [one.x], [one.cost, one.equations])
    costs, residuals = value.map(copies)(own)
    cost = costs[0] + casadi.dot(linear, x)
    whole = casadi.vertcat(casadi.vec(residuals), casadi.mtimes(order, x))
    gradient = one.derivatives["grad_f"](own[:, 0], casadi.MX(0, 1))[1]
    first = _ones(size, width, positions[0], np.arange(width))
    gradient = casadi.densify(casadi.mtimes(first, gradient) + linear)
    jacobian = _jacobian_of_copies(one, own, nothing, positions, size)
    jacobian = casadi.vertcat(jacobian, order)
    scale, multipliers = casadi.MX.sym("lam_f"), casadi.MX.sym("lam_g", whole.numel())
    pushes = casadi.reshape(multipliers[: copies * rows], rows, copies)
    factors = casadi.horzcat(scale, casadi.MX.zeros(1, copies - 1))
    hessian = _hessian_of_copies(one, (own, nothing, factors, pushes), positions, size)
    functions = _derivative_functions(x, none, scale, multipliers, cost, whole, gradient, jacobian, hessian)
    lower = np.concatenate([np.tile(nlp.lower, copies), np.full(len(less), -np.inf)])
    upper = np.concatenate([np.tile(nlp.upper, copies), np.zeros(len(less))])
    return Nlp(x, cost, whole, lower, upper, functions)


def _jacobian_of_copies(one: Nlp, own: Any, nothing: Any, positions: np.ndarray, size: int) -> Any:
    """Jacobian of the equations of all copies."""
    copies, rows = len(positions), len(one.lower)
    function = one.derivatives["jac_g"]
    row, column = (np.array(entries, dtype=int) for entries in function.sparsity_out(1).get_triplet())
    entries = function.map(copies)(own, nothing)[1].nz[:]
    at = np.concatenate([row + copy * rows for copy in range(copies)])
    return sparse(copies * rows, size, at, positions[:, column].ravel(), entries)


def _hessian_of_copies(one: Nlp, arguments: Sequence[Any], positions: np.ndarray, size: int) -> Any:
    """Upper triangle of the Hessian of the Lagrangian; entries of shared variables are summed over the copies."""
    function = one.derivatives["hess_lag"]
    row, column = (np.array(entries, dtype=int) for entries in function.sparsity_out(0).get_triplet())
    entries = function.map(len(positions))(*arguments).nz[:]
    ends = np.sort(np.stack([positions[:, row].ravel(), positions[:, column].ravel()]), axis=0)
    keys, index = np.unique(ends[0] * size + ends[1], return_inverse=True)
    summed = casadi.mtimes(_ones(len(keys), len(index), index, np.arange(len(index))), entries)
    return sparse(size, size, keys // size, keys % size, summed)


def _ones(rows: int, columns: int, row: np.ndarray, column: np.ndarray) -> Any:
    """A constant sparse matrix of ones."""
    return casadi.DM(casadi.Sparsity.triplet(rows, columns, row.tolist(), column.tolist()), 1.0)


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
    residual = casadi.vertcat(equations_at, *residuals)
    functions = _derivative_functions(x, none, scale, multipliers, cost_at, residual, gradient, jacobian, hessian)
    nothing = np.zeros(at - rows)
    lower, upper = np.concatenate([read.lower, nothing]), np.concatenate([read.upper, nothing])
    return Nlp(x, cost, whole, lower, upper, functions)


def _derivative_functions(
    x: Any, none: Any, scale: Any, multipliers: Any, cost: Any, whole: Any, gradient: Any, jacobian: Any, hessian: Any
) -> dict[str, Any]:
    """Functions of derivatives for `casadi.nlpsol`, by its options."""
    names, lagrangian = ["x", "p"], [x, none, scale, multipliers]
    derivatives = {
        "grad_f": ("nlp_grad_f", names, {"f": cost, "grad_f_x": gradient}),
        "jac_g": ("nlp_jac_g", names, {"g": whole, "jac_g_x": jacobian}),
        "hess_lag": ("nlp_hess_l", [*names, "lam_f", "lam_g"], {"triu_hess_gamma_x_x": hessian}),
    }
    return {
        option: casadi.Function(name, lagrangian[: len(inputs)], list(outputs.values()), inputs, list(outputs))
        for option, (name, inputs, outputs) in derivatives.items()
    }


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


def bounds_of(variables: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of variables.

    Parameters
    ----------
    variables
        Variables of Pyomo.

    Returns
    -------
    lower, upper
        Infinite where there is none.
    """
    lower = np.array([-np.inf if variable.lb is None else variable.lb for variable in variables])
    return lower, np.array([np.inf if variable.ub is None else variable.ub for variable in variables])


def values_of(variables: Sequence[Any]) -> np.ndarray:
    """Return the values of variables.

    Parameters
    ----------
    variables
        Variables of Pyomo.

    Returns
    -------
    numpy.ndarray
        Zero where there is none.
    """
    return np.array([0.0 if variable.value is None else variable.value for variable in variables])


def set_values(variables: Sequence[Any], values: np.ndarray) -> None:
    """Set the values of variables.

    Parameters
    ----------
    variables, values
        Variables of Pyomo, and their values.
    """
    for variable, value in zip(variables, values.tolist(), strict=True):
        variable.set_value(value, skip_validation=True)


def fix_or_bound(variable: Any, given: float | tuple[float, float]) -> None:
    """Give a variable equal bounds, as data have, or a range; its value is the middle.

    Parameters
    ----------
    variable
        A variable of Pyomo.
    given
        Its value, or lowest and highest value.
    """
    low, high = given if isinstance(given, tuple) else (given, given)
    variable.setlb(low)
    variable.setub(high)
    variable.set_value((low + high) / 2.0, skip_validation=True)

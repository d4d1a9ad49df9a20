"""Nonlinear programs, compiled once into Ipopt and re-solved for other data.

Pyomo writes the problem once, CasADi reads it and solves it in process with the Ipopt that its wheel brings. What changes
between solves is a variable with equal bounds, so that a new solve changes bound vectors alone. Where a user has an
``ipopt`` executable (with HSL, from ``idaes get-extensions``), `IpoptExecutable` takes that one.
"""

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import casadi
import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.pynumero.interfaces.external_grey_box import ExternalGreyBoxBlock
from pyomo.repn.plugins.nl_writer import NLWriter

from mmopt.errors import SolverError
from mmopt.solvers.dense import AtColumns, NetworkAtPoints
from mmopt.status import Status

_STATUS: Final = {
    "Solve_Succeeded": Status.OPTIMAL,
    "Solved_To_Acceptable_Level": Status.ACCEPTABLE,
    "Feasible_Point_Found": Status.ACCEPTABLE,
    "Infeasible_Problem_Detected": Status.INFEASIBLE,
    "Maximum_Iterations_Exceeded": Status.ITERATION_LIMIT,
    "Maximum_CpuTime_Exceeded": Status.TIME_LIMIT,
    "Maximum_WallTime_Exceeded": Status.TIME_LIMIT,
    "Diverging_Iterates": Status.UNBOUNDED,
}
"""Every other ending of Ipopt is numerical trouble."""

_EXECUTABLE_STATUS: Final = {
    pyo.TerminationCondition.optimal: Status.OPTIMAL,
    pyo.TerminationCondition.feasible: Status.ACCEPTABLE,
    pyo.TerminationCondition.infeasible: Status.INFEASIBLE,
    pyo.TerminationCondition.maxIterations: Status.ITERATION_LIMIT,
    pyo.TerminationCondition.maxTimeLimit: Status.TIME_LIMIT,
    pyo.TerminationCondition.unbounded: Status.UNBOUNDED,
}

_BOUND_SUFFIXES: Final = ("ipopt_zL_out", "ipopt_zU_out")

_UNKNOWN_COUNT: Final = 0
"""Pyomo does not pass on how many iterations an executable took."""

_OPTIONS: Final = {"max_iter": 300, "tol": 1.0e-8, "acceptable_tol": 1.0e-6, "linear_solver": "mumps"}

_DERIVATIVES: Final = {"hess_lag": "nlp_hess_l", "jac_g": "nlp_jac_g", "grad_f": "nlp_grad_f"}
"""CasADi's options that take derivative functions, and the names under which a made solver gives its own."""

_WARM: Final = {
    "warm_start_init_point": "yes",
    "mu_init": 1.0e-6,
    "warm_start_bound_push": 1.0e-8,
    "warm_start_bound_frac": 1.0e-8,
    "warm_start_slack_bound_push": 1.0e-8,
    "warm_start_slack_bound_frac": 1.0e-8,
    "warm_start_mult_bound_push": 1.0e-8,
}
"""A start from an accepted solve: barrier and pushes small enough not to leave its neighbourhood."""


@dataclass(frozen=True)
class Solve:
    """The record of one solve."""

    status: Status
    iterations: int
    seconds: float
    objective: float
    ending: str


class NonlinearProgram:
    """A Pyomo problem compiled into an in-process Ipopt.

    Bounds and values of its variables may be changed between solves; its constraints may not. Variables must not be
    fixed: data are variables with equal bounds.

    Parameters
    ----------
    problem
        A Pyomo problem with one active objective.
    options
        Options of Ipopt that differ from mmopt's.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> problem = pyo.ConcreteModel()
    >>> problem.x = pyo.Var(initialize=3.0, bounds=(1.0, None))
    >>> problem.cost = pyo.Objective(expr=problem.x**2)
    >>> program = NonlinearProgram(problem)
    >>> program.solve().status.name, round(problem.x.value, 6)
    ('OPTIMAL', 1.0)
    >>> problem.x.setlb(2.0)
    >>> program.solve().status.name, round(problem.x.value, 6)
    ('OPTIMAL', 2.0)
    """

    name = "bundled Ipopt"

    def __init__(self, problem: pyo.ConcreteModel, options: Mapping[str, Any] | None = None) -> None:
        self._options = {**_OPTIONS, **(options or {})}
        boxes = list(problem.component_data_objects(ExternalGreyBoxBlock, active=True))
        self._variables, builder = _read(problem, boxes)
        self._g_lower, self._g_upper = np.array(builder.g_lb), np.array(builder.g_ub)
        self._statement, self._derivatives = _stated(builder)
        if boxes:
            self._tie(boxes)
        self._solvers: dict[bool, casadi.Function] = {}
        self._multipliers: dict[str, np.ndarray] = {}
        self._bounds_push: dict[int, float] = {}

    def _tie(self, boxes: Sequence[Any]) -> None:
        """Add the networks of grey boxes: what goes out equals what their functions of matrices make of what goes in."""
        place = {id(variable): k for k, variable in enumerate(self._variables)}
        for box in boxes:
            for variable in (*box.inputs.values(), *box.outputs.values()):
                if id(variable) not in place:  # in no equation but the network's
                    place[id(variable)] = len(self._variables)
                    self._variables.append(variable)
        networks = []
        for box in boxes:
            network = box.get_external_model()
            if not isinstance(network, NetworkAtPoints):
                raise SolverError(
                    f"the grey box '{box.name}' is no dense network; the bundled Ipopt knows no other kind"
                )
            inputs = np.array([place[id(each)] for each in box.inputs.values()]).reshape(network.points, -1)
            outputs = [place[id(each)] for each in box.outputs.values()]
            networks.append((AtColumns(network.layers, inputs, len(self._variables)), outputs))
        ties = sum(len(outputs) for _, outputs in networks)
        self._g_lower, self._g_upper = (
            np.concatenate([side, np.zeros(ties)]) for side in (self._g_lower, self._g_upper)
        )
        self._statement, self._derivatives = _tied(self._statement, networks, len(self._variables))

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of variables (data among them) and constraints."""
        return len(self._variables), len(self._g_lower)

    def solve(self, *, warm: bool = False) -> Solve:
        """Solve from the present values of the variables, and load the answer into them if there is one.

        Parameters
        ----------
        warm
            Start from the multipliers of the last accepted solve as well; without one this is a cold start.
        """
        warm = warm and bool(self._multipliers)
        solver = self._solver(warm)
        lower = np.array([-np.inf if v.lb is None else v.lb for v in self._variables])
        upper = np.array([np.inf if v.ub is None else v.ub for v in self._variables])
        start = np.array([0.0 if v.value is None else v.value for v in self._variables])
        started = time.perf_counter()
        answer = solver(
            x0=np.clip(start, lower, upper),
            lbx=lower,
            ubx=upper,
            lbg=self._g_lower,
            ubg=self._g_upper,
            **(self._multipliers if warm else {}),
        )
        seconds = time.perf_counter() - started
        told = solver.stats()
        status = _STATUS.get(told["return_status"], Status.NUMERICAL_TROUBLE)
        if status.solved:
            self._multipliers = {"lam_g0": np.array(answer["lam_g"]), "lam_x0": np.array(answer["lam_x"])}
            self._bounds_push = dict(
                zip(map(id, self._variables), self._multipliers["lam_x0"].ravel().tolist(), strict=True)
            )
            for variable, value in zip(self._variables, np.array(answer["x"]).ravel().tolist(), strict=True):
                variable.set_value(value, skip_validation=True)
        return Solve(status, int(told["iter_count"]), seconds, float(answer["f"]), told["return_status"])

    def multiplier(self, variable: Any) -> float:
        """Multiplier of a variable's bounds at the last accepted solve: how much one more unit lowers the objective.

        Above zero at an upper bound (one unit up), below zero at a lower one (one unit down); zero for a variable that is in
        no equation.
        """
        return self._bounds_push.get(id(variable), 0.0)

    def _solver(self, warm: bool) -> casadi.Function:
        if warm not in self._solvers:
            options = {**self._options, **(_WARM if warm else {}), "print_level": 0, "sb": "yes"}
            # derivatives take most of the making: the second solver takes those of the first
            made = next(iter(self._solvers.values()), None)
            if made is not None:
                self._derivatives = {ours: made.get_function(theirs) for ours, theirs in _DERIVATIVES.items()}
            self._solvers[warm] = casadi.nlpsol(
                "problem", "ipopt", self._statement, {"ipopt": options, "print_time": False, **self._derivatives}
            )
        return self._solvers[warm]


def _read(problem: pyo.ConcreteModel, boxes: Sequence[Any]) -> tuple[list[Any], Any]:
    """Variables of a problem in the order of the file it is written to, and what CasADi reads from that."""
    for box in boxes:
        box.deactivate()  # the writer knows no grey boxes
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
    return list(written.variables), builder


def _stated(builder: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The problem CasADi read, as scalar expressions; their derivatives are left to CasADi."""
    x = casadi.vertcat(*builder.x)
    read = casadi.Function("read", [x], [builder.f, casadi.vertcat(*builder.g)]).expand()
    free = casadi.SX.sym("x", x.numel())
    cost, equations = read(free)
    return {"x": free, "f": cost, "g": equations}, {}


def _tied(
    statement: Mapping[str, Any], networks: Sequence[tuple[AtColumns, Sequence[int]]], size: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A problem with the equations of networks, whose derivatives are put together from both."""
    known, cost, equations = statement["x"], statement["f"], statement["g"]
    rows = equations.numel()
    factor, push = casadi.SX.sym("factor"), casadi.SX.sym("push", rows)
    plain = casadi.Function("plain", [known], [cost, equations])
    slopes = casadi.Function(
        "slopes", [known], [cost, casadi.gradient(cost, known), equations, casadi.jacobian(equations, known)]
    )
    bends = casadi.Function(
        "bends",
        [known, factor, push],
        [casadi.triu(casadi.hessian(factor * cost + casadi.dot(push, equations), known)[0])],
    )
    x, none = casadi.MX.sym("x", size), casadi.MX.sym("p", 0)
    own = x[: known.numel()]
    wide = size - known.numel()
    ends = [(network, list(outputs)) for network, outputs in networks]
    ties = [x[outputs] - network.values(x) for network, outputs in ends]
    given = dict(zip(("f", "g"), plain(own), strict=True))
    whole = casadi.vertcat(given["g"], *ties)
    cost_at, gradient, equations_at, jacobian = slopes(own)
    picks = [
        casadi.DM(casadi.Sparsity.triplet(len(outputs), size, list(range(len(outputs))), outputs), 1.0)
        for _, outputs in ends
    ]
    below = [pick - network.jacobian(x) for (network, _), pick in zip(ends, picks, strict=True)]
    jacobian = casadi.vertcat(casadi.horzcat(jacobian, casadi.MX(rows, wide)), *below)
    gradient = casadi.vertcat(gradient, casadi.MX(wide, 1))
    scale, multipliers = casadi.MX.sym("lam_f"), casadi.MX.sym("lam_g", whole.numel())
    hessian = casadi.diagcat(bends(own, scale, multipliers[:rows]), casadi.MX(wide, wide))
    at = rows
    for network, outputs in ends:
        hessian = hessian - network.hessian(x, multipliers[at : at + len(outputs)])
        at += len(outputs)
    return (
        {"x": x, "f": given["f"], "g": whole},
        {
            "grad_f": casadi.Function("nlp_grad_f", [x, none], [cost_at, gradient], ["x", "p"], ["f", "grad_f_x"]),
            "jac_g": casadi.Function(
                "nlp_jac_g", [x, none], [casadi.vertcat(equations_at, *ties), jacobian], ["x", "p"], ["g", "jac_g_x"]
            ),
            "hess_lag": casadi.Function(
                "nlp_hess_l",
                [x, none, scale, multipliers],
                [hessian],
                ["x", "p", "lam_f", "lam_g"],
                ["triu_hess_gamma_x_x"],
            ),
        },
    )


class IpoptExecutable:
    """The user's own ``ipopt``, through Pyomo's usual write, solve and load.

    Parameters
    ----------
    problem
        A Pyomo problem with one active objective.
    executable
        Path of ``ipopt``.
    options
        Options of Ipopt that differ from mmopt's; its own default linear solver is taken unless one is named here.
    """

    name = "ipopt executable"

    def __init__(self, problem: pyo.ConcreteModel, executable: Path, options: Mapping[str, Any] | None = None) -> None:
        self._problem = problem
        self._solver = pyo.SolverFactory("ipopt", executable=str(executable))
        own = {name: value for name, value in _OPTIONS.items() if name != "linear_solver"}
        self._solver.options.update({**own, **(options or {})})
        self._executable = executable
        for suffix in _BOUND_SUFFIXES:
            if problem.component(suffix) is None:
                problem.add_component(suffix, pyo.Suffix(direction=pyo.Suffix.IMPORT))

    def multiplier(self, variable: Any) -> float:
        """Multiplier of a variable's bounds at the last accepted solve, see `NonlinearProgram.multiplier`."""
        return -sum(self._problem.component(suffix).get(variable) or 0.0 for suffix in _BOUND_SUFFIXES)

    def solve(self, *, warm: bool = False) -> Solve:
        """Solve from the present values of the variables, and load the answer into them if there is one.

        Raises
        ------
        SolverError
            If the executable does not run.
        """
        started = time.perf_counter()
        try:
            told = self._solver.solve(self._problem, load_solutions=False)
        except (ValueError, RuntimeError, OSError) as error:
            raise SolverError(f"{self._executable} did not run ({error}); check it with `mmopt doctor`") from error
        seconds = time.perf_counter() - started
        status = _EXECUTABLE_STATUS.get(told.solver.termination_condition, Status.NUMERICAL_TROUBLE)
        objective = float("nan")
        if status.solved:
            self._problem.solutions.load_from(told)
            objective = float(pyo.value(next(self._problem.component_data_objects(pyo.Objective, active=True))))
        return Solve(status, _UNKNOWN_COUNT, seconds, objective, str(told.solver.message))


def find_executable() -> Path | None:
    """Find the user's own ``ipopt``: on the search path, or where ``idaes get-extensions`` puts it."""
    found = shutil.which("ipopt")
    if found is None:
        import idaes

        found = shutil.which("ipopt", path=idaes.bin_directory)
    return Path(found) if found else None

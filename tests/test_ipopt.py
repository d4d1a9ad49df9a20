"""Ipopt, bundled or as an executable: data are bounds, its status is translated, and both reach the same optimum."""

import sys
from pathlib import Path
from typing import Any

import pyomo.environ as pyo
import pytest

from mmopt.errors import SolverError, StudyError
from mmopt.optimisation import optimise
from mmopt.problem import Horizon, Problem
from mmopt.search import OptimiseOptions
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.solvers.ipopt_executable import IpoptExecutable, find_executable
from mmopt.solvers.ipopt_options import Tuning
from mmopt.status import Status
from tests.systems import Pulled


def hs71() -> pyo.ConcreteModel:
    """Problem 71 of Hock and Schittkowski; its optimum is 17.0140173."""
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var(range(4), bounds=(1.0, 5.0), initialize=dict(enumerate((1.0, 5.0, 5.0, 1.0))))
    x = problem.x
    problem.product = pyo.Constraint(expr=x[0] * x[1] * x[2] * x[3] >= 25.0)
    problem.sphere = pyo.Constraint(expr=sum(x[i] ** 2 for i in range(4)) == 40.0)
    problem.cost = pyo.Objective(expr=x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2])
    return problem


def bounded(low: float, high: float) -> pyo.ConcreteModel:
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var(initialize=1.0, bounds=(low, high))
    problem.y = pyo.Var(initialize=1.0)
    problem.tie = pyo.Constraint(expr=problem.y == problem.x**2)
    problem.cost = pyo.Objective(expr=problem.y)
    return problem


def test_published_optimum_is_reached() -> None:
    assert NonlinearProgram(hs71()).solve().objective == pytest.approx(17.0140173, abs=1.0e-6)


def test_changed_bounds_need_no_new_program() -> None:
    problem = bounded(1.0, 5.0)
    program = NonlinearProgram(problem)
    program.solve()
    problem.x.setlb(3.0)
    program.solve()
    assert problem.y.value == pytest.approx(9.0, abs=1.0e-6)


def test_warm_start_takes_fewer_iterations() -> None:
    program = NonlinearProgram(hs71())
    cold = program.solve()
    assert program.solve(warm=True).iterations < cold.iterations


def test_infeasible_problem_is_called_infeasible_and_changes_nothing() -> None:
    problem = bounded(1.0, 5.0)
    problem.impossible = pyo.Constraint(expr=problem.y <= -1.0)
    solve = NonlinearProgram(problem).solve()
    assert solve.status is Status.INFEASIBLE
    assert problem.x.value == 1.0


def test_iteration_limit_is_called_so() -> None:
    assert NonlinearProgram(hs71(), {"max_iter": 1}).solve().status is Status.ITERATION_LIMIT


def test_clock_on_the_wall_stops_a_solve_and_changes_nothing() -> None:
    problem = hs71()
    before = [variable.value for variable in problem.component_data_objects(pyo.Var)]
    solve = NonlinearProgram(problem).solve(seconds=0.0)
    assert solve.status is Status.TIME_LIMIT
    assert [variable.value for variable in problem.component_data_objects(pyo.Var)] == before


def test_solve_after_a_stopped_one_has_its_own_time() -> None:
    program = NonlinearProgram(hs71())
    program.solve(seconds=0.0)
    assert program.solve().status is Status.OPTIMAL
    assert program.solve(warm=True, seconds=60.0).status is Status.OPTIMAL


def test_executable_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(SolverError, match="mmopt doctor"):
        IpoptExecutable(hs71(), tmp_path / "ipopt").solve()


DRIVER = """#!{python}
# An `ipopt` as a user would have it: the AMPL protocol (.nl in, .sol out) around a real Ipopt.
import sys
import casadi

if "-v" in sys.argv:
    print("Ipopt 3.14.0")
    sys.exit(0)
stem = sys.argv[1].removesuffix(".nl")
options = dict(word.split("=", 1) for word in sys.argv[2:] if "=" in word)
read = casadi.NlpBuilder()
read.import_nl(stem + ".nl")
statement = dict(x=casadi.vertcat(*read.x), f=read.f, g=casadi.vertcat(*read.g))
most = dict(max_iter=int(options.get("max_iter", 3000)), print_level=0, sb="yes")
most["max_cpu_time"] = float(options.get("max_cpu_time", 1.0e6))
solver = casadi.nlpsol("driver", "ipopt", statement, dict(ipopt=most, print_time=False))
found = solver(x0=read.x_init, lbx=read.x_lb, ubx=read.x_ub, lbg=read.g_lb, ubg=read.g_ub)
code = dict(Solve_Succeeded=0, Infeasible_Problem_Detected=200, Maximum_Iterations_Exceeded=400)
code["Maximum_CpuTime_Exceeded"] = 400
said = solver.stats()["return_status"].replace("_CpuTime_", " CPU Time ")
x, duals = found["x"].full().ravel(), found["lam_g"].full().ravel()
head = ["Ipopt: " + said, "", "Options", 3, 0, 1, 0, len(duals), len(duals), len(x), len(x)]
ending = "objno 0 %d" % code.get(solver.stats()["return_status"], 500)
with open(stem + ".sol", "w") as file:
    file.write("\\n".join(map(str, [*head, *duals, *x, ending])) + "\\n")
"""


@pytest.fixture
def executable(tmp_path: Path) -> Path:
    path = tmp_path / "ipopt"
    path.write_text(DRIVER.replace("{python}", sys.executable))
    path.chmod(0o755)
    return path


def test_executable_reaches_the_same_optimum(executable: Path) -> None:
    assert IpoptExecutable(hs71(), executable).solve().objective == pytest.approx(17.0140173, abs=1.0e-6)


def test_executable_reports_an_infeasible_problem(executable: Path) -> None:
    problem = bounded(1.0, 5.0)
    problem.impossible = pyo.Constraint(expr=problem.y <= -1.0)
    assert IpoptExecutable(problem, executable).solve().status is Status.INFEASIBLE


def test_executable_reports_the_iteration_limit(executable: Path) -> None:
    assert IpoptExecutable(hs71(), executable, {"max_iter": 1}).solve().status is Status.ITERATION_LIMIT


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_executable_reports_the_time_limit(executable: Path, seconds: float) -> None:
    assert IpoptExecutable(hs71(), executable).solve(seconds=seconds).status is Status.TIME_LIMIT


def test_executable_with_enough_time_ends_at_the_optimum(executable: Path) -> None:
    assert IpoptExecutable(hs71(), executable).solve(seconds=60.0).status is Status.OPTIMAL


def test_executable_on_the_search_path_is_used(executable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(executable.parent))
    assert find_executable() == executable


def test_no_tuning_changes_an_option_of_the_user() -> None:
    program = NonlinearProgram(hs71(), {"mu_init": 1.0e-3, "alpha_for_y": "min-dual-infeas"}, {"mu_init": 0.5})
    far = program.options(tuning=Tuning.FAR)
    assert (far["mu_init"], far["alpha_for_y"]) == (0.5, "primal")
    assert program.options()["alpha_for_y"] == "min-dual-infeas"


def test_executable_is_the_one_that_optimises(executable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(executable.parent))
    cart = Problem(Pulled(), {"x": 0.0, "v": 0.0}, Horizon(4.0, 4, 3), {"u": (-1.0, 1.0)}, maximise="x")
    plan = optimise(cart, options=OptimiseOptions(bundled=False))
    assert (plan.record.solver, plan.objective) == ("ipopt executable", pytest.approx(8.0, rel=1.0e-6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_itr": 3}, "Ipopt has no option 'max_itr'"),
        ({"max_iter": -5}, "Ipopt does not accept -5 as its option 'max_iter'"),
        ({"max_iter": "many"}, "Ipopt does not accept 'many' as its option 'max_iter'"),
        ({"linear_solver": "ma57"}, "its linear solver is not installed"),
        ({"tol": float("nan")}, "Ipopt option 'tol' is nan; give a text or a number"),
        ({"tol": None}, "Ipopt option 'tol' is None; give a text or a number"),
        ({3: 4}, "Ipopt option 3 is 4; give a text or a number"),
        ("max_iter=3", "options of Ipopt are 'max_iter=3'; give a mapping"),
    ],
)
def test_option_that_ipopt_does_not_accept_is_named(options: Any, message: str) -> None:
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var(initialize=3.0, bounds=(1.0, None))
    problem.cost = pyo.Objective(expr=problem.x**2)
    with pytest.raises(StudyError, match=message):
        NonlinearProgram(problem, options)


@pytest.mark.parametrize("problem", [None, "x**2", 3.0, pyo.ConcreteModel()])
def test_problem_that_cannot_be_solved_is_named(problem: Any) -> None:
    with pytest.raises(StudyError, match=r"problem (is|has) .*; give (a ConcreteModel|one with a single objective)"):
        NonlinearProgram(problem)

"""The doors to Ipopt: data are bounds, endings become our words, and both doors give the same answer."""

import pyomo.environ as pyo
import pytest

from mmopt.errors import SolverError
from mmopt.solvers.ipopt import IpoptExecutable, NonlinearProgram, find_executable
from mmopt.status import Status


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


def test_published_optimum_is_found() -> None:
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


def test_executable_that_is_none_says_so(tmp_path: object) -> None:
    with pytest.raises(SolverError, match="mmopt doctor"):
        IpoptExecutable(hs71(), f"{tmp_path}/ipopt").solve()  # type: ignore[arg-type]


@pytest.mark.skipif(find_executable() is None, reason="no ipopt executable on this machine")
def test_both_doors_give_the_same_answer() -> None:
    path = find_executable()
    assert path is not None
    assert IpoptExecutable(hs71(), path).solve().objective == pytest.approx(17.0140173, abs=1.0e-6)

"""Aims are met in strict order whatever the weights, as a second solver finds them one after the other."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import pyomo.environ as pyo
import pytest
import swiglpk as glpk
from pyomo.repn import generate_standard_repn

from mmopt import Domain
from mmopt.fba import FluxProgram, flux_problem
from mmopt.network import LinearLimit, Network
from mmopt.solvers.lexicographic import LexicographicProgram
from mmopt.status import Status

GENOME = [pytest.param("ijo1366", marks=pytest.mark.genome), pytest.param("salmonella", marks=pytest.mark.genome)]


MOST_ITERATIONS = 50_000
"""Of one solve of the second solver, which takes some thousand from no basis."""


class Glpk:
    """A Pyomo problem in GLPK, its objectives minimised one after the other.

    After each aim, whatever rests at a bound and has a price is held there: what is left free is the optimal face, and no
    tolerance passes from one aim to the next.
    """

    def __init__(self, problem: pyo.ConcreteModel) -> None:
        self.variables = list(problem.component_data_objects(pyo.Var))
        number = {id(variable): column for column, variable in enumerate(self.variables, start=1)}
        rows = list(problem.component_data_objects(pyo.Constraint, active=True))
        self.columns, self.rows = range(1, len(self.variables) + 1), range(1, len(rows) + 1)
        self.program = glpk.glp_create_prob()
        glpk.glp_add_cols(self.program, len(self.variables))
        glpk.glp_add_rows(self.program, len(rows))
        self.row_bounds = []
        for position, row in zip(self.rows, rows, strict=True):
            terms = generate_standard_repn(row.body)
            count = len(terms.linear_vars)
            index, value = glpk.intArray(count + 1), glpk.doubleArray(count + 1)
            for k, (variable, weight) in enumerate(zip(terms.linear_vars, terms.linear_coefs, strict=True), start=1):
                index[k], value[k] = number[id(variable)], float(weight)
            glpk.glp_set_mat_row(self.program, position, count, index, value)
            self.row_bounds.append((pyo.value(row.lower), pyo.value(row.upper)))
        self.aims = []
        for objective in problem.component_data_objects(pyo.Objective, active=True):
            terms = generate_standard_repn(objective.expr)
            weights = zip(terms.linear_vars, terms.linear_coefs, strict=True)
            self.aims.append({number[id(variable)]: float(weight) for variable, weight in weights})
        self.options = glpk.glp_smcp()
        glpk.glp_init_smcp(self.options)
        self.options.msg_lev, self.options.tol_bnd, self.options.tol_dj = glpk.GLP_MSG_OFF, 1.0e-9, 1.0e-9
        self.options.it_lim = MOST_ITERATIONS
        glpk.glp_term_out(glpk.GLP_OFF)
        glpk.glp_scale_prob(self.program, glpk.GLP_SF_AUTO)  # without it, it circles on some networks

    def solve(self) -> np.ndarray:
        """Values of the variables, with the bounds they have in the problem now."""
        for column, variable in zip(self.columns, self.variables, strict=True):
            self._bound(glpk.glp_set_col_bnds, column, variable.lb, variable.ub)
        for row, bounds in zip(self.rows, self.row_bounds, strict=True):
            self._bound(glpk.glp_set_row_bnds, row, *bounds)
        for aim in self.aims:
            for column in self.columns:
                glpk.glp_set_obj_coef(self.program, column, aim.get(column, 0.0))
            for basis in (None, glpk.glp_adv_basis):  # from some bases it circles for ever
                if basis is not None:
                    basis(self.program, 0)
                ended = glpk.glp_simplex(self.program, self.options), glpk.glp_get_status(self.program)
                if ended == (0, glpk.GLP_OPT):
                    break
            else:
                raise RuntimeError(f"the second solver ended with {ended}")
            self._hold_what_has_a_price()
        return np.array([glpk.glp_get_col_prim(self.program, column) for column in self.columns])

    def _hold_what_has_a_price(self) -> None:
        for column in self.columns:
            resting = glpk.glp_get_col_stat(self.program, column) != glpk.GLP_BS
            if resting and abs(glpk.glp_get_col_dual(self.program, column)) > 1.0e-8:
                value = glpk.glp_get_col_prim(self.program, column)
                self._bound(glpk.glp_set_col_bnds, column, value, value)
        for row in self.rows:
            resting = glpk.glp_get_row_stat(self.program, row) != glpk.GLP_BS
            if resting and abs(glpk.glp_get_row_dual(self.program, row)) > 1.0e-8:
                value = glpk.glp_get_row_prim(self.program, row)
                self._bound(glpk.glp_set_row_bnds, row, value, value)

    def _bound(self, setter: Callable[..., None], position: int, low: float | None, high: float | None) -> None:
        kinds = {
            (False, False): glpk.GLP_DB,
            (False, True): glpk.GLP_LO,
            (True, False): glpk.GLP_UP,
            (True, True): glpk.GLP_FR,
        }
        kind = glpk.GLP_FX if low is not None and low == high else kinds[low is None, high is None]
        setter(self.program, position, kind, 0.0 if low is None else low, 0.0 if high is None else high)


def net_fluxes(problem: pyo.ConcreteModel, network: Network, values: dict[int, float]) -> np.ndarray:
    net = np.zeros(len(network.reactions))
    for column, flux in problem.forward.items():
        net[column] += values[id(flux)]
    for column, flux in problem.reverse.items():
        net[column] -= values[id(flux)]
    return net


def second_opinion(problem: pyo.ConcreteModel, network: Network, inputs: Iterable[str], points: np.ndarray) -> Any:
    """Net fluxes at some points by the second solver."""
    other, fluxes = Glpk(problem), []
    for point in points:
        for exchange, limit in zip(inputs, point, strict=True):
            problem.reverse[network.column(exchange)].setub(limit)
        values = dict(zip(map(id, other.variables), other.solve(), strict=True))
        fluxes.append(net_fluxes(problem, network, values))
    return np.array(fluxes)


@pytest.mark.parametrize("name", ["textbook", GENOME[0]])
def test_second_solver_finds_the_same_fluxes(
    request: pytest.FixtureRequest, domain: Domain, points: np.ndarray, name: str
) -> None:
    network, batch = request.getfixturevalue(name), request.getfixturevalue(f"{name}_labels")
    every = 40 if name == "textbook" else 100
    fluxes = second_opinion(flux_problem(network, domain.inputs), network, domain.inputs, points[::every])
    assert np.abs(fluxes - batch.net[::every]).max() < 1.0e-6


def test_second_solver_finds_the_same_fluxes_at_the_edge(textbook: Network) -> None:
    inputs = ["EX_glc__D_e", "EX_o2_e"]
    there = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [0.3, 8.0], [0.479428571428571, 50.0], [10.0, 21.0]])
    fluxes = second_opinion(flux_problem(textbook, inputs), textbook, inputs, there)
    assert np.abs(fluxes - FluxProgram(textbook, inputs).batch(there).net).max() < 1.0e-6


def test_second_solver_finds_the_same_fluxes_under_linear_limits(textbook: Network, points: np.ndarray) -> None:
    inputs = ["EX_glc__D_e", "EX_o2_e"]
    limits = [LinearLimit("flux", 200.0), LinearLimit("enzymes", 9.0, {"PFK": 1.0, "CYTBD": 0.4})]
    fluxes = second_opinion(flux_problem(textbook, inputs, limits=limits), textbook, inputs, points[::40, :2])
    assert np.abs(fluxes - FluxProgram(textbook, inputs, limits=limits).batch(points[::40, :2]).net).max() < 1.0e-6


@pytest.mark.parametrize("fraction", [0.95, 0.5])
def test_second_solver_finds_the_same_fluxes_where_less_growth_is_enough(
    textbook: Network, points: np.ndarray, fraction: float
) -> None:
    inputs = ["EX_glc__D_e", "EX_o2_e"]
    most, enough = flux_problem(textbook, inputs), flux_problem(textbook, inputs, floor=True)
    growth = textbook.column(textbook.biomass)
    for point in points[::100, :2]:
        floor = fraction * second_opinion(most, textbook, inputs, point[None, :])[0, growth]
        enough.floor.setlb(floor)
        enough.floor.setub(floor)
        fluxes = second_opinion(enough, textbook, inputs, point[None, :])[0]
        answer = FluxProgram(textbook, inputs, fraction_of_optimum=fraction).solve(point)
        assert np.abs(fluxes - answer.net).max() < 1.0e-6


# --- weights decide nothing


def lexicographic(network: Network, weights: list[float]) -> tuple[LexicographicProgram, Callable[..., np.ndarray]]:
    inputs = ["EX_glc__D_e", "EX_o2_e"]
    problem = flux_problem(network, inputs)
    moved = [problem.reverse[network.column(exchange)] for exchange in inputs]
    variables = list(problem.component_data_objects(pyo.Var))
    program = LexicographicProgram(problem, weights=weights, columns=variables, changing=[*moved, problem.demand])

    def net(point: np.ndarray) -> np.ndarray:
        demand = network.maintenance_demand
        values, _ = program.solve(np.array([0.0, 0.0, demand]), np.array([*point, demand]))
        return net_fluxes(problem, network, dict(zip(map(id, variables), values, strict=True)))

    return program, net


ABSURD = {"equal": [1.0, 1.0, 1.0, 1.0], "upside down": [1.0e-6, 1.0e-3, 1.0, 1.0e4], "the last alone": [0, 0, 0, 1.0]}


@pytest.mark.parametrize("weights", ABSURD.values(), ids=ABSURD)
def test_answers_do_not_rest_on_the_weights(textbook: Network, points: np.ndarray, weights: list[float]) -> None:
    there, (_, net) = points[::20, :2], lexicographic(textbook, weights)
    expected = FluxProgram(textbook, ["EX_glc__D_e", "EX_o2_e"]).batch(there).net
    assert np.abs([net(point) for point in there] - expected).max() < 1.0e-6


def test_absurd_weights_send_answers_through_the_aims(textbook: Network) -> None:
    program, net = lexicographic(textbook, ABSURD["upside down"])
    net(np.array([10.0, 10.0]))
    assert program.passes == 1


@pytest.mark.genome
def test_answers_of_a_genome_scale_network_do_not_rest_on_the_weights(ijo1366: Network, points: np.ndarray) -> None:
    there, (_, net) = points[::400, :2], lexicographic(ijo1366, ABSURD["equal"])
    expected = FluxProgram(ijo1366, ["EX_glc__D_e", "EX_o2_e"]).batch(there).net
    assert np.abs([net(point) for point in there] - expected).max() < 1.0e-6


# --- small programs whose answers can be seen


def small_problem(aims: list[Callable[[Any], Any]], constraint: Callable[[Any], Any]) -> pyo.ConcreteModel:
    """Two variables between 0 and 2, one constraint, some aims."""
    problem = pyo.ConcreteModel()
    problem.x, problem.y = pyo.Var(bounds=(0.0, 2.0)), pyo.Var(bounds=(0.0, 2.0))
    problem.row = pyo.Constraint(expr=constraint(problem))
    problem.aims = pyo.ObjectiveList()
    for aim in aims:
        problem.aims.add(aim(problem))
    return problem


def solved(problem: pyo.ConcreteModel, weights: list[float], upper: float = 2.0) -> tuple[list[float], Status]:
    program = LexicographicProgram(problem, weights=weights, columns=[problem.x, problem.y], changing=[problem.y])
    values, status = program.solve(np.zeros(1), np.array([upper]))
    return values.tolist(), status


def enough(problem: Any) -> Any:
    return problem.x + problem.y >= 1.0


@pytest.mark.parametrize("weights", [[1.0, 1.0e-3], [1.0, 1.0], [1.0e-3, 1.0]], ids=str)
def test_second_aim_decides_between_the_best_of_the_first(weights: list[float]) -> None:
    problem = small_problem([lambda p: p.x + p.y, lambda p: p.x], enough)
    assert solved(problem, weights)[0] == pytest.approx([0.0, 1.0], abs=1.0e-9)


@pytest.mark.parametrize("weights", [[1.0, 1.0e-3], [1.0, 1.0], [1.0e-3, 1.0]], ids=str)
def test_second_aim_costs_nothing_of_the_first(weights: list[float]) -> None:
    problem = small_problem([lambda p: -p.x, lambda p: 5.0 * p.x + p.y], enough)
    assert solved(problem, weights)[0] == pytest.approx([2.0, 0.0], abs=1.0e-9)


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [1.0, 1.0e2, 1.0e4]], ids=str)
def test_third_aim_is_met_on_the_face_of_the_first_two(weights: list[float]) -> None:
    problem = small_problem([lambda p: p.x + p.y, lambda p: -p.x - p.y, lambda p: p.x - p.y], enough)
    assert solved(problem, weights)[0] == pytest.approx([0.0, 1.0], abs=1.0e-9)


def test_moved_bound_is_kept() -> None:
    problem = small_problem([lambda p: p.x + p.y, lambda p: p.x], enough)
    assert solved(problem, [1.0, 0.1], upper=0.25)[0] == pytest.approx([0.75, 0.25], abs=1.0e-9)


def test_program_without_a_solution_is_reported() -> None:
    assert solved(small_problem([lambda p: p.x], lambda p: p.x + p.y >= 5.0), [1.0])[1] is Status.INFEASIBLE


def test_program_without_an_end_is_reported() -> None:
    problem = small_problem([lambda p: -p.x], lambda p: p.x >= p.y)
    problem.x.setub(None)
    assert solved(problem, [1.0])[1] is Status.UNBOUNDED


def test_later_aim_without_an_end_is_reported() -> None:
    problem = small_problem([lambda p: p.y, lambda p: -p.x], lambda p: p.x >= p.y)
    problem.x.setub(None)
    assert solved(problem, [1.0, 1.0])[1] is Status.UNBOUNDED


def test_variable_in_no_constraint_and_no_aim_is_zero() -> None:
    problem = small_problem([lambda p: p.x], lambda p: p.x >= 0.5)
    problem.idle = pyo.Var(bounds=(-1.0, 1.0))
    program = LexicographicProgram(problem, weights=[1.0], columns=[problem.idle, problem.x], changing=[problem.x])
    assert program.solve(np.zeros(1), np.ones(1))[0] == pytest.approx([0.0, 0.5])


@pytest.fixture(scope="module")
def around() -> Callable[[float], Any]:
    """The law of x + y >= 1 with the least of x, around an upper bound of y."""

    @cache
    def law(upper: float) -> Any:
        problem = small_problem([lambda p: p.x + p.y, lambda p: p.x], enough)
        program = LexicographicProgram(
            problem, weights=[1.0, 0.1], columns=[problem.x, problem.y], changing=[problem.y]
        )
        program.solve(np.zeros(1), np.array([upper]))
        return program.law()

    return law


@pytest.mark.parametrize(("upper", "slope"), [(0.25, [-1.0, 1.0]), (1.5, [0.0, 0.0])], ids=str)
def test_law_is_the_slope_on_its_side(around: Callable[[float], Any], upper: float, slope: list[float]) -> None:
    assert around(upper).slope[:, 0] == pytest.approx(slope, abs=1.0e-12)


@pytest.mark.parametrize(("upper", "constant"), [(0.25, [1.0, 0.0]), (1.5, [0.0, 1.0])], ids=str)
def test_law_has_the_constant_of_its_side(around: Callable[[float], Any], upper: float, constant: list[float]) -> None:
    assert around(upper).constant == pytest.approx(constant, abs=1.0e-12)


@pytest.mark.parametrize(
    ("upper", "bound", "holds"), [(0.25, 0.99, True), (0.25, 1.01, False), (1.5, 1.01, True), (1.5, 0.99, False)]
)
def test_law_holds_where_its_basis_is_feasible(
    around: Callable[[float], Any], upper: float, bound: float, holds: bool
) -> None:
    law = around(upper)
    assert bool(np.all(law.left @ np.array([bound]) <= law.right)) is holds

"""A network at many points at once: its derivatives, its place in Pyomo, and the same answers from Ipopt as OMLT's layers."""

from dataclasses import replace

import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.contrib.pynumero.interfaces.external_grey_box import ExternalGreyBoxBlock
from scipy.sparse import coo_matrix

from mmopt.errors import SolverError
from mmopt.optimisation.optimise import optimise
from mmopt.problem.horizon import Horizon
from mmopt.problem.problem import Problem
from mmopt.reactor.vessels.ecoli import ecoli_fed_batch
from mmopt.solvers.dense import AtColumns, NetworkAtPoints, derivatives
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.solvers.nlp import read_nlp
from mmopt.surrogate.grey_box import Gathered
from mmopt.surrogate.surrogate import ACTIVATIONS, Surrogate, chained
from mmopt.transcription.compiled import CompiledProblem
from tests.networks import small_surrogate, uniform

SMOOTH = [name for name in ACTIVATIONS if name != "linear"]
NAMES = ["growth", "EX_ac_e"]


def box(cell: Surrogate, count: int) -> tuple[NetworkAtPoints, np.ndarray]:
    points = uniform(cell.domain, count, seed=1)
    network = NetworkAtPoints(cell.layers(NAMES), count)
    network.set_input_values(points.ravel())
    return network, points


@pytest.mark.parametrize("activation", SMOOTH)
def test_outputs_are_what_the_surrogate_predicts(activation: str) -> None:
    cell = small_surrogate(activation)
    network, points = box(cell, 7)
    assert network.evaluate_outputs() == pytest.approx(cell.predict(points, NAMES).ravel(), abs=1.0e-12)


@pytest.mark.parametrize("activation", SMOOTH)
def test_jacobian_equals_finite_differences(activation: str) -> None:
    network, points = box(small_surrogate(activation), 3)
    found = network.evaluate_jacobian_outputs().toarray()
    for k, step in enumerate(1.0e-6 * np.eye(points.size)):
        moved = []
        for sign in (1.0, -1.0):
            network.set_input_values(points.ravel() + sign * step)
            moved.append(network.evaluate_outputs())
        assert found[:, k] == pytest.approx((moved[0] - moved[1]) / 2.0e-6, abs=1.0e-6)


@pytest.mark.parametrize("activation", SMOOTH)
def test_hessian_equals_finite_differences_of_the_jacobian(activation: str) -> None:
    network, points = box(small_surrogate(activation), 3)
    push = np.random.default_rng(2).normal(size=6)
    network.set_output_constraint_multipliers(push)
    lower = network.evaluate_hessian_outputs().toarray()
    whole = lower + np.tril(lower, -1).T
    for k, step in enumerate(1.0e-6 * np.eye(points.size)):
        moved = []
        for sign in (1.0, -1.0):
            network.set_input_values(points.ravel() + sign * step)
            moved.append(network.evaluate_jacobian_outputs().T @ push)
        assert whole[:, k] == pytest.approx((moved[0] - moved[1]) / 2.0e-6, abs=1.0e-5)


@pytest.mark.parametrize("activation", SMOOTH)
def test_casadi_functions_equal_the_grey_box(activation: str) -> None:
    cell = small_surrogate(activation)
    network, points = box(cell, 4)
    size, places = 11, np.array([[9, 0], [1, 7], [2, 3], [8, 5]])
    x, push = np.zeros(size), np.random.default_rng(3).normal(size=8)
    x[places] = points
    at = AtColumns(cell.layers(NAMES), places, size)
    network.set_output_constraint_multipliers(push)
    picks = coo_matrix((np.ones(8), (np.arange(8), places.ravel())), shape=(8, size)).toarray()
    lower = network.evaluate_hessian_outputs().toarray()
    hessian = picks.T @ (lower + np.tril(lower, -1).T) @ picks
    assert np.array(at.values(x)).ravel() == pytest.approx(network.evaluate_outputs(), abs=1.0e-12)
    assert np.array(at.jacobian(x).full()) == pytest.approx(network.evaluate_jacobian_outputs() @ picks, abs=1.0e-12)
    assert np.array(at.hessian(x, push).full()) == pytest.approx(np.triu(hessian), abs=1.0e-12)


def test_softplus_does_not_overflow() -> None:
    cell = small_surrogate("softplus")
    with np.errstate(over="raise"):
        values, slopes, curvatures = derivatives(cell.layers(NAMES), np.full((2, 1), 1.0e6), np)
    assert pytest.approx(chained(cell.layers(NAMES), np.full((1, 2), 1.0e6))) == values.T
    assert np.all(np.isfinite(slopes))
    assert all(np.all(np.isfinite(each)) for each in curvatures.values())


def test_grey_box_that_is_no_network_is_refused() -> None:
    problem = pyo.ConcreteModel()
    problem.limit = pyo.Var(["EX_glc__D_e", "EX_o2_e"], initialize=1.0)
    problem.here = pyo.Block()
    points = Gathered(problem, small_surrogate(), NAMES)
    rates = points.cell(problem.here)(dict(problem.limit))
    problem.cost = pyo.Objective(expr=rates["growth"])
    points.close()
    problem.cells._ex_model = object()
    with pytest.raises(SolverError, match="no dense network"):
        NonlinearProgram(problem)


@pytest.mark.genome
def test_every_formulation_gives_the_same_optimum(surrogate: Surrogate) -> None:
    start = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
    limits = {"oxygen_saturation": (30.0, None)}
    problem = Problem(ecoli_fed_batch(), start, Horizon(3.0, 3, 2), {"feed": (0.0, 0.05)}, limits)
    guess = optimise(replace(problem, initial={**start, "biomass": 0.95}), surrogate)  # near, since optima are local
    reached = []
    for formulation in ("grey_box", "reduced_space", "full_space"):
        compiled = CompiledProblem(problem, surrogate, formulation=formulation)
        compiled.start(guess.trajectory)
        solve = compiled.solve()
        assert solve.status.solved
        reached.append(compiled.plan(solve.status).objective)
    assert reached == pytest.approx([reached[0]] * 3, rel=1.0e-6)


def test_gradient_has_an_entry_for_every_variable_also_of_the_network_alone() -> None:
    """CasADi fills only the entries that exist; the others would be whatever the memory held."""
    cell = small_surrogate("tanh")
    network, points = box(cell, 2)
    problem = pyo.ConcreteModel()
    problem.cell = ExternalGreyBoxBlock(external_model=network)
    for variable, value in zip(problem.cell.inputs.values(), points.ravel(), strict=True):
        variable.set_value(value)
    problem.x = pyo.Var(bounds=(0.0, 1.0))
    problem.cost = pyo.Objective(expr=(problem.x - 0.5) ** 2)  # none of the network's variables is in the cost
    _, nlp = read_nlp(problem)
    gradient = nlp.derivatives["grad_f"].sparsity_out("grad_f_x")
    assert gradient.is_dense()
    assert gradient.numel() == nlp.x.numel()

"""A surrogate inside a Pyomo problem is the surrogate: in either formulation, with any activation, however far it is driven."""

import dataclasses
import itertools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import casadi
import numpy as np
import pyomo.environ as pyo
import pytest
from pyomo.repn.plugins.nl_writer import NLWriter
from scipy.special import expit

from mmopt import Domain, Surrogate, SurrogateError
from mmopt.solvers.ipopt import NonlinearProgram
from mmopt.status import Status
from mmopt.surrogate import embed
from mmopt.surrogate.surrogate import ACTIVATIONS, Layer

GLUCOSE, OXYGEN, ACETATE = "EX_glc__D_e", "EX_o2_e", "EX_ac_e"
READINGS = ["growth", GLUCOSE, OXYGEN, ACETATE, "shortfall"]
FORMULATIONS = ["reduced_space", "full_space"]
REACTIONS = ("BIOMASS", "ATPM", GLUCOSE, OXYGEN, "BLOCKED")
FAR = 1.0e4
"""Far beyond 710, where exp overflows."""

both = pytest.mark.parametrize("formulation", FORMULATIONS)


def small_surrogate(activation: str, widths: Sequence[int], seed: int = 0) -> Surrogate:
    """A surrogate of two inputs and random weights; its reaction BLOCKED carries no flux in any mode."""
    random = np.random.default_rng(seed)
    domain = Domain({GLUCOSE: (0.0, 10.0), OXYGEN: (0.0, 20.0)})
    sizes = [2, *widths]
    hidden = tuple(
        Layer(random.normal(size=(before, after)), random.normal(size=after), activation)
        for before, after in itertools.pairwise(sizes)
    )
    weights = Layer(random.normal(size=(sizes[-1], 3)), random.normal(size=3), "linear")
    modes, offset = random.normal(size=(3, len(REACTIONS))), random.normal(size=len(REACTIONS))
    modes[:, REACTIONS.index("BLOCKED")], offset[REACTIONS.index("BLOCKED")] = 0.0, 0.0
    return Surrogate(domain, hidden, weights, modes, offset, REACTIONS, "BIOMASS", "ATPM", 3.15, {})


def units(activation: str, weights: Sequence[float], biases: Sequence[float], shares: Sequence[float]) -> Surrogate:
    """A surrogate of one input and one hidden layer, whose growth is the sum of its units by their shares."""
    return Surrogate(
        domain=Domain({GLUCOSE: (0.0, 10.0)}),
        hidden=(Layer(np.array([weights]), np.array(biases), activation),),
        weights=Layer(np.array([[share] for share in shares]), np.zeros(1), "linear"),
        modes=np.ones((1, 1)),
        offset=np.zeros(1),
        reactions=("BIOMASS",),
        biomass="BIOMASS",
        maintenance=None,
        maintenance_demand=0.0,
        card={},
    )


def written(
    surrogate: Surrogate, names: Sequence[str], formulation: str, start: Mapping[str, float] | None = None
) -> pyo.ConcreteModel:
    """A problem whose limits are halves of its variables ``twice``, so that expressions go in."""
    problem = pyo.ConcreteModel()
    problem.twice = pyo.Var(surrogate.inputs)
    for exchange, value in (start or {}).items():
        problem.twice[exchange].set_value(2.0 * value)
    given = {exchange: problem.twice[exchange] / 2.0 for exchange in surrogate.inputs}
    rates = embed(problem, surrogate, given, names, formulation)
    problem.rate = pyo.Var(names)
    problem.as_dict = pyo.Constraint(names, rule=lambda _, name: problem.rate[name] == rates[name])
    return problem


@dataclasses.dataclass(frozen=True)
class CompiledProblem:
    """A problem as Ipopt sees it: what is left of its equations, as a function of unknowns and ``twice``."""

    left: casadi.Function
    unknown: list[str]

    def rates(self, points: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """The rates that solve all equations, for limits of shape (points, inputs)."""
        # each full step of Newton settles one more layer, wherever it starts; its line search takes some shorter ones
        steps = {"max_iter": 100, "abstol": 1.0e-13, "abstolStep": 0.0, "error_on_fail": False}
        root = casadi.rootfinder("root", "newton", self.left, steps)
        start = np.zeros((len(self.unknown), len(points)))
        found = np.array(root.map(len(points))(start, 2.0 * points.T))
        return found[[self.unknown.index(f"rate[{name}]") for name in names]].T


def as_ipopt_sees(problem: pyo.ConcreteModel) -> tuple[casadi.NlpBuilder, list[str]]:
    """A problem on the way that `NonlinearProgram` takes, and the names of its variables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.nl"
        with path.open("w") as stream:
            told = NLWriter().write(problem, stream, linear_presolve=False, scale_model=False)
        builder = casadi.NlpBuilder()
        builder.import_nl(str(path))
    return builder, [variable.name for variable in told.variables]


def compiled(problem: pyo.ConcreteModel) -> CompiledProblem:
    builder, names = as_ipopt_sees(problem)
    every = dict(zip(names, builder.x, strict=True))
    unknown = [name for name in names if not name.startswith("twice")]
    limits = [variable.name for variable in problem.twice.values()]
    # a variable on which nothing depends is not written
    given = casadi.vertcat(*(every[name] if name in every else casadi.MX.sym(name) for name in limits))
    left = casadi.vertcat(*builder.g) - np.array(builder.g_lb)
    function = casadi.Function("left", [casadi.vertcat(*(every[name] for name in unknown)), given], [left])
    return CompiledProblem(function.expand(), unknown)


def solved(surrogate: Surrogate, points: np.ndarray, names: Sequence[str], formulation: str) -> np.ndarray:
    return compiled(written(surrogate, names, formulation)).rates(points, names)


def uniform(domain: Domain, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(domain.lower, domain.upper, (count, len(domain.inputs)))


@both
def test_shipped_surrogate_embedded_is_the_predicted_one(surrogate: Surrogate, formulation: str) -> None:
    points = uniform(surrogate.domain, 200, seed=8)
    found = solved(surrogate, points, READINGS, formulation)
    assert np.abs(found - surrogate.predict(points, READINGS)).max() <= 1.0e-9


@both
@pytest.mark.parametrize("widths", [(6,), (5, 4, 3)], ids=["one layer", "three layers"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_made_up_surrogate_embedded_is_the_predicted_one(
    activation: str, widths: tuple[int, ...], formulation: str
) -> None:
    cell, names = small_surrogate(activation, widths), ["growth", OXYGEN, "shortfall"]
    points = uniform(cell.domain, 300, seed=1)
    assert np.abs(solved(cell, points, names, formulation) - cell.predict(points, names)).max() <= 1.0e-9


@both
def test_surrogate_without_hidden_layers_embeds(formulation: str) -> None:
    weights = Layer(np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]), np.ones(3), "linear")
    straight = dataclasses.replace(small_surrogate("tanh", (3,)), hidden=(), weights=weights)
    points = uniform(straight.domain, 10, seed=2)
    assert solved(straight, points, ["growth"], formulation) == pytest.approx(straight.predict(points, ["growth"]))


@both
def test_reading_that_is_always_zero_embeds(formulation: str) -> None:
    cell = small_surrogate("tanh", (3,))
    found = solved(cell, uniform(cell.domain, 5, seed=3), ["BLOCKED"], formulation)
    assert np.array_equal(found, np.zeros((5, 1)))


@both
@pytest.mark.parametrize("weight", [1.0, 0.0, -1.0])
def test_weights_that_arithmetic_may_drop_embed(weight: float, formulation: str) -> None:
    cell = small_surrogate("tanh", (4,))
    hidden = (dataclasses.replace(cell.hidden[0], weights=np.full((2, 4), weight)),)
    plain, points = dataclasses.replace(cell, hidden=hidden), uniform(cell.domain, 10, seed=4)
    found = solved(plain, points, ["growth"], formulation)
    assert found == pytest.approx(plain.predict(points, ["growth"]), abs=1.0e-9)


@both
def test_inputs_may_be_given_in_any_order(surrogate: Surrogate, formulation: str) -> None:
    problem = pyo.ConcreteModel()
    given = {ACETATE: 1.0, GLUCOSE: 8.0, OXYGEN: 12.0}
    rate = embed(problem, surrogate, given, ["growth"], formulation)["growth"]
    assert pyo.value(rate) == pytest.approx(surrogate.predict([8.0, 12.0, 1.0], ["growth"])[0], abs=1.0e-9)


@both
def test_limits_outside_the_domain_are_the_business_of_the_caller(surrogate: Surrogate, formulation: str) -> None:
    problem = pyo.ConcreteModel()
    beyond = dict(zip(surrogate.inputs, (-0.5, 20.0, 5.0), strict=True))
    rate = embed(problem, surrogate, beyond, ["growth"], formulation)["growth"]
    values = np.array(list(beyond.values()))
    for layer in surrogate.layers(["growth"]):
        values = layer(values)
    assert pyo.value(rate) == pytest.approx(values[0], abs=1.0e-9)


def counted(block: Any, kind: Any) -> int:
    return sum(1 for _ in block.component_data_objects(kind, active=None, descend_into=True))


@pytest.mark.parametrize("names", [READINGS[:1], READINGS[:3], READINGS], ids=len)
def test_reduced_space_writes_two_expressions_a_unit_and_no_more(surrogate: Surrogate, names: list[str]) -> None:
    network = written(surrogate, names, "reduced_space").network
    kinds = pyo.Var, pyo.Constraint, pyo.Expression
    assert [counted(network, kind) for kind in kinds] == [
        0,
        0,
        3 + 2 * sum(layer.bias.size for layer in surrogate.layers(names)),
    ]


@pytest.mark.parametrize("names", [READINGS[:1], READINGS[:3], READINGS], ids=len)
def test_full_space_writes_two_variables_a_unit_and_no_more(surrogate: Surrogate, names: list[str]) -> None:
    network = written(surrogate, names, "full_space").network
    kinds = pyo.Var, pyo.Constraint, pyo.Expression
    size = 3 + 2 * sum(layer.bias.size for layer in surrogate.layers(names))
    assert [counted(network, kind) for kind in kinds] == [size, size, 0]


@both
def test_reading_asked_for_twice_is_written_once(surrogate: Surrogate, formulation: str) -> None:
    once, twice = pyo.ConcreteModel(), pyo.ConcreteModel()
    given = dict.fromkeys(surrogate.inputs, 1.0)
    embed(once, surrogate, given, ["growth", OXYGEN], formulation)
    embed(twice, surrogate, given, ["growth", OXYGEN, "growth"], formulation)
    assert counted(once, (pyo.Var, pyo.Expression)) == counted(twice, (pyo.Var, pyo.Expression))


@both
def test_rates_come_back_under_their_names(surrogate: Surrogate, formulation: str) -> None:
    rates = embed(pyo.ConcreteModel(), surrogate, dict.fromkeys(surrogate.inputs, 1.0), READINGS[::-1], formulation)
    assert list(rates) == READINGS[::-1]


def test_full_space_has_no_bounds() -> None:
    network = written(small_surrogate("softplus", (4, 4)), ["growth", "BLOCKED"], "full_space").network
    assert {variable.bounds for variable in network.component_data_objects(pyo.Var)} == {(None, None)}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_full_space_starts_where_its_equations_hold(activation: str) -> None:
    cell = small_surrogate(activation, (5, 4))
    network = written(cell, READINGS[:2], "full_space", start={GLUCOSE: 3.0, OXYGEN: 7.0}).network
    left = [pyo.value(each.body - each.upper) for each in network.component_data_objects(pyo.Constraint)]
    assert np.abs(left).max() <= 1.0e-12


def test_full_space_starts_at_zero_where_an_input_has_no_value(surrogate: Surrogate) -> None:
    network = written(surrogate, ["growth"], "full_space", start={GLUCOSE: 3.0, OXYGEN: 7.0}).network
    assert {variable.value for variable in network.component_data_objects(pyo.Var)} == {0}


@pytest.mark.parametrize(
    ("undefined", "at"),
    [(lambda x: 1.0 / x, 0.0), (pyo.sqrt, -1.0), (pyo.log, 0.0), (lambda x: x**0.5, -1.0), (pyo.exp, 1.0e4)],
    ids=["pole", "root", "logarithm", "power", "overflow"],
)
def test_full_space_starts_at_zero_where_an_input_is_not_a_number(undefined: Any, at: float) -> None:
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var(initialize=at)
    cell = units("tanh", [1.0], [0.5], [1.0])
    assert embed(problem, cell, {GLUCOSE: undefined(problem.x)}, ["growth"], "full_space")["growth"].value == 0


def test_full_space_starts_at_the_rates_it_predicts(surrogate: Surrogate) -> None:
    point = [8.0, 12.0, 1.0]
    problem = pyo.ConcreteModel()
    rates = embed(problem, surrogate, dict(zip(surrogate.inputs, point, strict=True)), READINGS, "full_space")
    assert [rate.value for rate in rates.values()] == pytest.approx(surrogate.predict(point, READINGS), abs=1.0e-9)


INPUTS_WANTED = "the inputs must be EX_glc__D_e, EX_o2_e, EX_ac_e; "


@both
@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([GLUCOSE, OXYGEN], "missing EX_ac_e"),
        ([], "missing EX_glc__D_e, EX_o2_e, EX_ac_e"),
        ([GLUCOSE, OXYGEN, ACETATE, "EX_nh4_e"], r"unknown 'EX_nh4_e' \(nearest known: "),
        ([GLUCOSE, OXYGEN, "EX_ac"], r"missing EX_ac_e; unknown 'EX_ac' \(nearest known: EX_ac_e"),
    ],
    ids=["too few", "none", "too many", "misspelt"],
)
def test_wrong_inputs_are_named(surrogate: Surrogate, names: list[str], told: str, formulation: str) -> None:
    with pytest.raises(SurrogateError, match=INPUTS_WANTED + told):
        embed(pyo.ConcreteModel(), surrogate, dict.fromkeys(names, 1.0), ["growth"], formulation)


@both
def test_unknown_reading_names_the_nearest(surrogate: Surrogate, formulation: str) -> None:
    given = dict.fromkeys(surrogate.inputs, 1.0)
    with pytest.raises(SurrogateError, match="no reading 'EX_glc_D_e'; nearest known: EX_glc__D_e"):
        embed(pyo.ConcreteModel(), surrogate, given, ["growth", "EX_glc_D_e"], formulation)


@both
def test_no_reading_at_all_is_refused(surrogate: Surrogate, formulation: str) -> None:
    with pytest.raises(SurrogateError, match="no reading is named; name one or more, such as 'growth'"):
        embed(pyo.ConcreteModel(), surrogate, dict.fromkeys(surrogate.inputs, 1.0), [], formulation)


@pytest.mark.parametrize("formulation", ["full", "reduced", "Full_Space", ""])
def test_unknown_formulation_names_what_there_is(surrogate: Surrogate, formulation: str) -> None:
    with pytest.raises(
        SurrogateError, match=f"there is no formulation '{formulation}'; give one of reduced_space, mixed, full_space"
    ):
        embed(pyo.ConcreteModel(), surrogate, dict.fromkeys(surrogate.inputs, 1.0), ["growth"], formulation)


@both
def test_second_embedding_in_one_block_is_refused(surrogate: Surrogate, formulation: str) -> None:
    problem, given = pyo.ConcreteModel(), dict.fromkeys(surrogate.inputs, 1.0)
    embed(problem, surrogate, given, ["growth"], formulation)
    with pytest.raises(SurrogateError, match="holds a component 'network' already; give each embedding its own block"):
        embed(problem, surrogate, given, ["growth"], formulation)


def test_refused_embedding_leaves_the_block_as_it_was(surrogate: Surrogate) -> None:
    problem = pyo.ConcreteModel()
    with pytest.raises(SurrogateError):
        embed(problem, surrogate, dict.fromkeys(surrogate.inputs, 1.0), ["growth"], "full")
    assert not list(problem.component_objects())


@pytest.mark.parametrize("activation", ["relu", "gelu", "elu", "softmax", "tahn", "Tanh", ""])
def test_unsupported_activation_is_refused_when_the_surrogate_is_made(activation: str) -> None:
    with pytest.raises(SurrogateError, match=f"activation '{activation}' is unknown; known: tanh, softplus"):
        small_surrogate(activation, (3,))


# where exp overflows or vanishes, where a curve bends, and zero
SPREAD = np.unique(
    np.concatenate(
        [[0.0, 708.0, 709.7, 709.8, 710.0, 745.2, FAR], np.geomspace(1.0e-9, FAR, 150), np.linspace(0.0, 60.0, 121)]
    )
)
SPREAD = np.unique(np.concatenate([-SPREAD, SPREAD]))

SLOPES = {
    "tanh": lambda x: 1.0 / np.cosh(np.clip(x, -300.0, 300.0)) ** 2,
    "softplus": expit,
    "linear": np.ones_like,
    "sigmoid": lambda x: expit(x) * expit(-x),
}
CURVATURES = {
    "tanh": lambda x: -2.0 * np.tanh(x) / np.cosh(np.clip(x, -300.0, 300.0)) ** 2,
    "softplus": lambda x: expit(x) * expit(-x),
    "linear": np.zeros_like,
    "sigmoid": lambda x: expit(x) * expit(-x) * (expit(-x) - expit(x)),
}


@both
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_is_that_of_numpy_however_far(activation: str, formulation: str) -> None:
    unit = units(activation, [1.0], [0.0], [1.0])
    found = solved(unit, SPREAD[:, None], ["growth"], formulation)[:, 0]
    assert found == pytest.approx(ACTIVATIONS[activation](SPREAD), rel=1.0e-12, abs=1.0e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_has_the_same_value_in_pyomo(activation: str) -> None:
    problem = written(units(activation, [1.0], [0.0], [1.0]), ["growth"], "reduced_space")
    found = []
    for x in SPREAD.tolist():
        problem.twice[GLUCOSE].set_value(2.0 * x)
        found.append(pyo.value(problem.network.layer[problem.network.layers.last()].z[0]))
    assert found == pytest.approx(ACTIVATIONS[activation](SPREAD), rel=1.0e-12, abs=1.0e-12)


@pytest.fixture(scope="module", params=ACTIVATIONS)
def curve(request: pytest.FixtureRequest) -> tuple[str, np.ndarray, np.ndarray]:
    """An activation, its slopes and its curvatures over the spread, as Ipopt gets them."""
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var()
    unit = units(request.param, [1.0], [0.0], [1.0])
    problem.cost = pyo.Objective(expr=embed(problem, unit, {GLUCOSE: problem.x}, ["growth"])["growth"])
    builder, _ = as_ipopt_sees(problem)
    x = casadi.vertcat(*builder.x)
    bend, slope = casadi.hessian(builder.f, x)
    both_of_them = casadi.Function("derivatives", [x], [slope, bend]).expand().map(len(SPREAD))
    slopes, bends = both_of_them(SPREAD[None, :])
    return request.param, np.array(slopes)[0], np.array(bends)[0]


def test_slope_of_an_activation_is_right_however_far(curve: tuple[str, np.ndarray, np.ndarray]) -> None:
    activation, slopes, _ = curve
    assert slopes == pytest.approx(SLOPES[activation](SPREAD), rel=1.0e-9, abs=1.0e-9)


def test_curvature_of_an_activation_is_right_however_far(curve: tuple[str, np.ndarray, np.ndarray]) -> None:
    activation, _, bends = curve
    assert bends == pytest.approx(CURVATURES[activation](SPREAD), rel=1.0e-9, abs=1.0e-9)


@both
@pytest.mark.parametrize("begin", [0.0, 9.9])
@pytest.mark.parametrize("activation", ["softplus", "sigmoid"])
def test_ipopt_solves_where_exp_would_overflow(activation: str, begin: float, formulation: str) -> None:
    steep = units(activation, weights=[1.0, 1.0e3, -1.0e3], biases=[-3.0, 0.0, 0.0], shares=[1.0, 1.0e-3, 1.0e-3])
    wanted = steep.predict([6.0], ["growth"])[0]
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var(bounds=(0.0, 10.0), initialize=begin)
    rate = embed(problem, steep, {GLUCOSE: problem.x}, ["growth"], formulation)["growth"]
    problem.cost = pyo.Objective(expr=100.0 * (rate - wanted) ** 2)
    solve = NonlinearProgram(problem).solve()
    assert (solve.status, problem.x.value) == (Status.OPTIMAL, pytest.approx(6.0, abs=1.0e-3))


def test_both_formulations_have_one_optimum(surrogate: Surrogate) -> None:
    found = []
    for formulation in FORMULATIONS:
        problem = pyo.ConcreteModel()
        limits = surrogate.domain.limits
        problem.limit = pyo.Var(limits, bounds=lambda _, name: limits[name], initialize=2.0)  # noqa: B023
        rates = embed(problem, surrogate, dict(problem.limit), ["growth", ACETATE], formulation)
        price = 0.01 * sum(each**2 for each in problem.limit.values())
        problem.cost = pyo.Objective(expr=price - 5.0 * rates["growth"] + 0.1 * rates[ACETATE])
        assert NonlinearProgram(problem).solve().status is Status.OPTIMAL
        found.append([variable.value for variable in problem.limit.values()])
    assert found[0] == pytest.approx(found[1], abs=1.0e-5)

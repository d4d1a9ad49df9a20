"""What is spent is not taken up: simulations with a surrogate end at zero, not below."""

from dataclasses import replace

import casadi
import numpy as np
import pytest

from mmopt import Bioreactor, ConstantFeed, StepFeed, ecoli_fed_batch, load_surrogate
from mmopt.problem import Horizon, Problem
from mmopt.problem.simulator import Simulator
from mmopt.reactor import Aeration, Species, Uptake
from mmopt.surrogate import Surrogate

START = {"volume": 2.0, "biomass": 2.0, "glucose": 3.0, "acetate": 0.5, "oxygen": 0.2}


@pytest.fixture(scope="module", params=["ecoli_textbook", "ecoli_ijo1366"])
def surrogate(request: pytest.FixtureRequest) -> Surrogate:
    return load_surrogate(request.param)


def edge(surrogate: Surrogate, name: str, limit: float) -> np.ndarray:
    """Random limits of the domain with one at the given value."""
    domain = surrogate.domain
    unit = np.random.default_rng(4).random((200, len(domain.inputs)))
    points: np.ndarray = domain.lower + unit * (domain.upper - domain.lower)
    points[:, domain.inputs.index(name)] = limit
    return points


@pytest.mark.parametrize("name", ["EX_glc__D_e", "EX_ac_e", "EX_o2_e"])
def test_nothing_is_taken_up_where_the_limit_is_zero(surrogate: Surrogate, name: str) -> None:
    rates = surrogate.rate_function([name])
    taken = [-rates(dict(zip(surrogate.inputs, point, strict=True)))[name] for point in edge(surrogate, name, 0.0)]
    assert max(taken) < 1.0e-5


@pytest.mark.parametrize("name", ["EX_glc__D_e", "EX_ac_e", "EX_o2_e"])
def test_nothing_changes_away_from_zero(surrogate: Surrogate, name: str) -> None:
    spans = dict(zip(surrogate.inputs, surrogate.domain.upper - surrogate.domain.lower, strict=True))
    points = np.maximum(edge(surrogate, name, 0.5 * spans[name]), 0.02 * np.array(list(spans.values())))
    rates = surrogate.rate_function(["growth", name])
    for point in points[:50]:
        held = list(rates(dict(zip(surrogate.inputs, point, strict=True))).values())
        assert held == pytest.approx(surrogate.predict(point, ["growth", name]).tolist(), abs=1.0e-12)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_is_given_back_balances(surrogate: Surrogate, number: int, request: pytest.FixtureRequest) -> None:
    """The change of all fluxes, for each input, is a combination of balanced flux vectors."""
    network = request.getfixturevalue("textbook" if "core" in str(surrogate.card["network"]) else "ijo1366")
    held = surrogate.rate_function(surrogate.reactions).spent
    assert held is not None
    change = held.rates[number]
    assert np.abs(network.stoichiometry @ change).max() < 1.0e-9 * max(1.0, np.abs(change).max())
    assert change[network.column(surrogate.inputs[number])] == pytest.approx(1.0)


def test_expressions_are_the_numbers(surrogate: Surrogate) -> None:
    names = ["growth", "EX_ac_e", "EX_glc__D_e"]
    rates = surrogate.rate_function(names)
    symbols = {name: casadi.MX.sym(name) for name in surrogate.inputs}
    function = casadi.Function("rates", list(symbols.values()), list(rates.expressions(symbols).values()))
    for point in np.vstack([edge(surrogate, "EX_ac_e", 0.0)[:20], edge(surrogate, "EX_glc__D_e", 0.01)[:20]]):
        numbers = list(rates(dict(zip(surrogate.inputs, point, strict=True))).values())
        assert [float(value) for value in function(*point)] == pytest.approx(numbers, abs=1.0e-10)


@pytest.mark.parametrize("feed", [0.0, 0.01], ids=["batch", "fed until the middle"])
def test_spent_substrate_stays_at_zero(surrogate: Surrogate, feed: float) -> None:
    problem = Problem(ecoli_fed_batch(), START, Horizon(10.0, 10), {"feed": (0.0, 0.1)})
    profile = StepFeed((0.0, 5.0, 10.0), (feed, 0.0))
    simulated = Simulator(problem, surrogate).run({"feed": profile}, points=400)
    for name in ("glucose", "acetate"):
        assert simulated[name].min() > -1.0e-5
        assert simulated.final(name) < 0.01


def test_a_feed_of_another_substrate_does_not_bring_the_spent_one_back(surrogate: Surrogate) -> None:
    """Acetate is fed, and glucose is spent: the carbon of the acetate is what the cell lives on."""
    reactor = Bioreactor(
        (
            Species("glucose", "EX_glc__D_e", molar_mass=180.156, uptake=Uptake(10.5, 0.05)),
            Species("acetate", "EX_ac_e", molar_mass=59.044, uptake=Uptake(2.54, 0.05), fed=100.0),
            Species("oxygen", "EX_o2_e", "mmol/L", uptake=Uptake(15.0, 0.001), scale=0.1),
        ),
        Aeration(kla=300.0, saturation=0.21),
    )
    start = {**START, "glucose": 0.0}
    problem = Problem(reactor, start, Horizon(6.0, 6), {"feed": (0.0, 0.1)})
    simulated = Simulator(problem, surrogate).run({"feed": ConstantFeed(0.005)}, points=300)
    assert np.abs(simulated["glucose"]).max() < 1.0e-4


def test_surrogate_whose_rates_do_not_balance_is_left_as_it_is(surrogate: Surrogate) -> None:
    unbalanced = replace(surrogate, card={**surrogate.card, "balanced": False})
    assert unbalanced.rate_function(["growth"]).spent is None

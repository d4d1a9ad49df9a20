"""The fits follow the exact gradient and recover known networks; a surrogate keeps balance and directions everywhere."""

from dataclasses import replace

import numpy as np
import pytest

from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fitting.variable_projection import _State, variable_projection
from mmopt.surrogate.loading import load_surrogate
from mmopt.surrogate.surrogate import Surrogate, chained
from mmopt.training.joint_fit import FitTarget, joint_fit
from mmopt.training.joint_fit import _State as _JointState
from mmopt.training.modes import REPRESENTED, conic_generators, counted_directions, error_weights, non_negative_weights
from mmopt.training.train import train


def random_layers(widths: tuple[int, ...], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    random, layers, before = np.random.default_rng(seed), [], 3
    for width in widths:
        layers.append((random.normal(size=(before, width)), random.normal(size=width)))
        before = width
    return layers


INPUTS = np.random.default_rng(0).uniform(-1.0, 1.0, (200, 3))
TARGETS = np.column_stack([np.abs(INPUTS[:, 0]), np.minimum(INPUTS[:, 1], INPUTS[:, 2])])


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
@pytest.mark.parametrize("widths", [(6,), (6, 5), (4, 5, 6)])
def test_gradient_is_that_of_finite_differences(activation: str, widths: tuple[int, ...]) -> None:
    state = _State.of(INPUTS, TARGETS, random_layers(widths, 1), activation)
    _, gradient = state.normal_equations()
    for index in np.random.default_rng(2).choice(len(gradient), 5, replace=False):
        step = np.zeros(len(gradient))
        step[index] = 1.0e-5
        measured = (state.moved(step).loss - state.moved(-step).loss) / 2.0e-5
        assert 2.0 * gradient[index] / 200 == pytest.approx(measured, rel=1.0e-4, abs=1.0e-9)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_network_of_the_same_shape_is_recovered(activation: str) -> None:
    layers = random_layers((3,), 5)
    known = _State.of(INPUTS, TARGETS, layers, activation).values[-1] @ np.ones((4, 2))
    start = [(weights + 0.1, bias - 0.1) for weights, bias in layers]
    assert variable_projection(INPUTS, known, start, activation, steps=100).loss < 1.0e-6


def test_loss_never_grows_with_more_steps() -> None:
    losses = [
        variable_projection(INPUTS, TARGETS, random_layers((6, 5), 1), "tanh", steps=steps).loss for steps in (1, 5, 25)
    ]
    assert losses == sorted(losses, reverse=True)


def test_start_that_is_no_number_is_refused() -> None:
    with pytest.raises(SurrogateError, match="try another seed"):
        variable_projection(INPUTS, np.full_like(TARGETS, np.nan), random_layers((4,), 1), "tanh")


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_gradient_through_non_negative_weights_is_that_of_finite_differences(activation: str) -> None:
    random = np.random.default_rng(4)
    target = FitTarget(INPUTS, TARGETS, random.normal(size=(3, 2)), activation)
    state = _JointState.of(target, [*random_layers((6, 5), 1), (random.normal(size=(5, 3)), random.normal(size=3))])
    gram, gradient = state.normal_equations()
    for index in random.choice(len(gradient), 8, replace=False):
        step = np.zeros(len(gradient))
        step[index] = 1.0e-5
        measured = (state.moved(step).loss - state.moved(-step).loss) / 2.0e-5
        assert 2.0 * gradient[index] / 200 == pytest.approx(measured, rel=1.0e-4, abs=1.0e-9)
        column = (state.moved(step).residual - state.moved(-step).residual).ravel() / 2.0e-5
        assert gram[index, index] == pytest.approx(column @ column, rel=1.0e-3, abs=1.0e-4)


def test_non_negative_weights_of_the_same_shape_are_recovered() -> None:
    random = np.random.default_rng(6)
    layers = [*random_layers((4,), 5), (random.normal(size=(4, 2)), random.normal(size=2))]
    target = FitTarget(INPUTS, np.zeros((200, 3)), random.normal(size=(2, 3)), "tanh")
    known = replace(target, targets=_JointState.of(target, layers).residual)
    start = [(weights + 0.05, bias - 0.05) for weights, bias in layers]
    assert joint_fit(known, start, 100).loss < 1.0e-5


@pytest.fixture(scope="module")
def trained(textbook_atlas: Atlas) -> Surrogate:
    table = tabulate_fluxes(textbook_atlas.network, textbook_atlas.domain, 400, source=textbook_atlas)
    return train(table, hidden=(8, 8), iterations=20, starts=1)


@pytest.fixture(scope="module")
def anywhere(textbook_atlas: Atlas) -> np.ndarray:
    """Inputs inside the domain and far outside."""
    domain = textbook_atlas.domain
    width = domain.upper - domain.lower
    return np.random.default_rng(3).uniform(domain.lower - 3.0 * width, domain.upper + 3.0 * width, (10_000, 3))


def test_no_irreversible_reaction_runs_backwards_anywhere(
    trained: Surrogate, textbook_atlas: Atlas, anywhere: np.ndarray
) -> None:
    network, fluxes = textbook_atlas.network, trained.fluxes(anywhere)
    irreversible = network.lower >= 0.0
    irreversible[[network.column(name) for name in trained.inputs]] = False
    assert np.all(np.isfinite(fluxes))
    assert (fluxes[:, irreversible] / np.abs(fluxes).max(axis=1)[:, None]).min() >= -1.0e-9


def test_fluxes_balance_anywhere(trained: Surrogate, textbook_atlas: Atlas, anywhere: np.ndarray) -> None:
    fluxes = trained.fluxes(anywhere)
    imbalance = np.abs(textbook_atlas.network.stoichiometry @ fluxes.T).max(axis=0)
    assert (imbalance / np.abs(fluxes).max(axis=1)).max() <= 1.0e-9


def test_chain_of_layers_returns_the_same_fluxes(trained: Surrogate, anywhere: np.ndarray) -> None:
    names = ["EX_o2_e", "EX_ac_e", trained.biomass]
    columns = [trained.reactions.index(name) for name in names]
    fluxes = trained.fluxes(anywhere)[:, columns]
    assert chained(trained.layers(names), anywhere) == pytest.approx(fluxes, rel=1.0e-9, abs=1.0e-9)


def test_saved_surrogate_is_the_same_to_the_bit(trained: Surrogate, anywhere: np.ndarray, tmp_path: object) -> None:
    trained.save(f"{tmp_path}/cell")
    assert np.array_equal(load_surrogate(f"{tmp_path}/cell").fluxes(anywhere[:50]), trained.fluxes(anywhere[:50]))


def test_conic_basis_is_recognised(trained: Surrogate) -> None:
    assert trained.conic


def test_linear_basis_is_not_conic(textbook_atlas: Atlas) -> None:
    table = tabulate_fluxes(textbook_atlas.network, textbook_atlas.domain, 200, source=textbook_atlas)
    assert not train(table, hidden=(6,), iterations=5, starts=1, basis="linear").conic


def test_card_of_rates_says_that_they_do_not_balance(textbook_atlas: Atlas) -> None:
    table = tabulate_fluxes(textbook_atlas.network, textbook_atlas.domain, 200, source=textbook_atlas)
    loose = train(table, hidden=(6,), iterations=20, starts=1, basis="rates")
    assert loose.card["balanced"] is False
    assert loose.card["held_out"]["growth"]["r2"] > 0.9


def test_conic_generators_span_the_fluxes(textbook_atlas: Atlas) -> None:
    table = tabulate_fluxes(textbook_atlas.network, textbook_atlas.domain, 300, source=textbook_atlas)
    share, readings = error_weights(table.network, table.domain, table.fluxes)
    counts = counted_directions(table.fluxes, share, readings)
    modes, _ = conic_generators(table.network, table.domain.inputs, table.fluxes, counts)
    weights = non_negative_weights(table.fluxes, counts, modes)
    assert weights.min() >= 0.0
    assert np.linalg.norm((weights @ modes - table.fluxes) @ counts, axis=1).max() < 2.0 * REPRESENTED


def test_conic_generators_balance_and_run_nothing_backwards(textbook_atlas: Atlas) -> None:
    table = tabulate_fluxes(textbook_atlas.network, textbook_atlas.domain, 300, source=textbook_atlas)
    network = table.network
    share, readings = error_weights(network, table.domain, table.fluxes)
    modes, _ = conic_generators(
        network, table.domain.inputs, table.fluxes, counted_directions(table.fluxes, share, readings)
    )
    irreversible = network.lower >= 0.0
    irreversible[[network.column(name) for name in table.domain.inputs]] = False
    assert modes[:, irreversible].min() >= 0.0
    assert np.abs(network.stoichiometry @ modes.T).max() < 1.0e-10


@pytest.mark.parametrize("count", [1, 7])
def test_flux_vectors_that_cannot_be_balanced_are_counted_and_not_used(textbook_atlas: Atlas, count: int) -> None:
    table = tabulate_fluxes(textbook_atlas.network, textbook_atlas.domain, 300, source=textbook_atlas)
    share, readings = error_weights(table.network, table.domain, table.fluxes)
    counts = counted_directions(table.fluxes, share, readings)
    fluxes = table.fluxes.copy()
    spoilt = np.argsort(-np.linalg.norm(fluxes @ counts, axis=1))[:count]  # the longest, so that all are candidates
    only = table.network.column(table.network.biomass)
    fluxes[spoilt] = np.where(np.arange(fluxes.shape[1]) == only, 1.0 + np.arange(count)[:, None], 0.0)
    modes, dropped = conic_generators(table.network, table.domain.inputs, fluxes, counts)
    assert 1 <= dropped <= count
    assert np.abs(table.network.stoichiometry @ modes.T).max() < 1.0e-10
    rest = np.delete(table.fluxes, spoilt, axis=0)
    weights = non_negative_weights(rest, counts, modes)
    assert np.linalg.norm((weights @ modes - rest) @ counts, axis=1).max() < 3.0 * REPRESENTED


def test_fluxes_of_which_none_can_be_balanced_are_refused(textbook_atlas: Atlas) -> None:
    table = tabulate_fluxes(textbook_atlas.network, textbook_atlas.domain, 60, source=textbook_atlas)
    share, readings = error_weights(table.network, table.domain, table.fluxes)
    fluxes = np.zeros_like(table.fluxes)
    fluxes[:, table.network.column(table.network.biomass)] = np.linspace(0.1, 1.0, len(fluxes))
    with pytest.raises(SurrogateError, match=r"none of \d+ flux vectors could be balanced"):
        conic_generators(table.network, table.domain.inputs, fluxes, counted_directions(table.fluxes, share, readings))

"""The Keras trainer fits the same layers as the default one: same card, same guarantees, same numbers for a seed."""

import importlib.util
import random

import numpy as np
import pytest

from mmopt.dataset import FluxTable, tabulate_fluxes
from mmopt.errors import SurrogateError
from mmopt.fba import Atlas
from mmopt.surrogate import Surrogate
from mmopt.training import train, worst_case_errors

QUICK = {"hidden": (8, 8), "iterations": 25, "starts": 2}


@pytest.fixture(scope="module")
def table(core_atlas: Atlas) -> FluxTable:
    return tabulate_fluxes(core_atlas.network, core_atlas.domain, 256, source=core_atlas)


@pytest.fixture(scope="module")
def trained(table: FluxTable) -> Surrogate:
    return train(table, trainer="keras", **QUICK)


def test_growth_is_fitted(trained: Surrogate) -> None:
    assert trained.card["held_out"]["growth"]["r2"] > 0.97


def test_fluxes_balance_and_keep_directions_anywhere(trained: Surrogate, core_atlas: Atlas) -> None:
    network, domain = core_atlas.network, core_atlas.domain
    width = domain.upper - domain.lower
    fluxes = trained.fluxes(np.random.default_rng(3).uniform(-3.0 * width, 4.0 * width, (1000, 2)))
    assert trained.conic
    assert (np.abs(network.stoichiometry @ fluxes.T).max(axis=0) / np.abs(fluxes).max(axis=1)).max() < 1.0e-12
    irreversible = network.lower >= 0.0
    irreversible[[network.column(name) for name in domain.inputs]] = False
    assert fluxes[:, irreversible].min() > -1.0e-9


def test_card_has_the_keys_of_the_default_trainer(trained: Surrogate, table: FluxTable) -> None:
    default = train(table, **QUICK)
    assert trained.card.keys() == default.card.keys()
    assert (trained.card["trainer"], default.card["trainer"]) == ("keras", "levenberg_marquardt")
    assert [layer.weights.shape for layer in trained.hidden] == [layer.weights.shape for layer in default.hidden]


def test_error_report_has_the_readings_of_the_default_trainer(
    trained: Surrogate, table: FluxTable, core_atlas: Atlas
) -> None:
    own, default = (
        worst_case_errors(one, core_atlas, starts=2) for one in (trained, train(table, hidden=(4,), iterations=3))
    )
    assert own.readings.keys() == default.readings.keys()


def test_loss_history_is_thinned_and_the_best_epoch_is_kept(trained: Surrogate) -> None:
    history = trained.card["loss_history"]
    assert 2 <= len(history) <= 50
    assert trained.card["loss"] < history[0][1]


def test_seed_gives_the_same_weights_and_leaves_global_state(trained: Surrogate, table: FluxTable) -> None:
    import keras

    python, numpy, precision = random.getstate(), np.random.get_state()[1].copy(), keras.config.floatx()  # noqa: NPY002
    again = train(table, trainer="keras", **QUICK)
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(again.hidden, trained.hidden, strict=True))
    assert random.getstate() == python
    assert np.array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002
    assert keras.config.floatx() == precision


def test_precision_that_keras_was_used_with_before_does_not_matter(trained: Surrogate, table: FluxTable) -> None:
    keras = pytest.importorskip("keras")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        again = train(table, trainer="keras", **QUICK)
        assert keras.config.dtype_policy().name == "float32"
    finally:
        keras.config.set_dtype_policy(before)
    assert np.array_equal(again.weights.weights, trained.weights.weights)


def test_another_seed_gives_other_weights(trained: Surrogate, table: FluxTable) -> None:
    other = train(table, trainer="keras", **{**QUICK, "iterations": 1}, seed=1)
    assert not np.array_equal(other.hidden[0].weights, trained.hidden[0].weights)


@pytest.mark.parametrize("basis", ["linear", "rates"])
def test_other_bases_are_trained_too(table: FluxTable, basis: str) -> None:
    surrogate = train(table, trainer="keras", basis=basis, **QUICK)
    assert surrogate.card["held_out"]["growth"]["r2"] > 0.9
    assert (surrogate.card["balance"] < 1.0e-9) == (basis == "linear")


def test_training_continues_from_a_surrogate(trained: Surrogate, table: FluxTable) -> None:
    longer = train(table, trainer="keras", hidden=(8, 8), iterations=10, start=trained)
    assert longer.card["loss"] < trained.card["loss"]


def test_progress_and_callbacks_see_every_epoch(table: FluxTable) -> None:
    import keras

    epochs, progress = [], []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(logs["loss"]))
    train(
        table,
        trainer="keras",
        hidden=(4,),
        iterations=3,
        starts=1,
        callbacks=[callback],
        progress=lambda *done: progress.append(done),
    )
    assert len(epochs) == 3
    assert progress[:3] == [(1, 3), (2, 3), (3, 3)]


def test_callbacks_of_the_default_trainer_are_refused(table: FluxTable) -> None:
    with pytest.raises(SurrogateError, match="callbacks are for the trainer 'keras'"):
        train(table, callbacks=[object()])


def test_unknown_trainer_is_refused(table: FluxTable) -> None:
    with pytest.raises(SurrogateError, match="trainer is 'torch'; give one of levenberg_marquardt, keras"):
        train(table, trainer="torch")


@pytest.mark.parametrize("package", ["tensorflow", "keras"])
def test_missing_package_is_named(table: FluxTable, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr("mmopt.training.keras_trainer.find_spec", lambda name: None if name == package else known(name))
    with pytest.raises(SurrogateError, match=f"needs the package {package}, which is missing: pip install tensorflow"):
        train(table, trainer="keras", **QUICK)

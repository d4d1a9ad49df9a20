"""What many tests share: networks are read, and atlases explored, once a session."""

import gc
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt import Atlas, Domain, FluxProgram, Network, Surrogate, load_surrogate, read_network
from mmopt.fba import FluxBatch

GENOME_SCALE = {
    "ijo1366",
    "ijo1366_atlas",
    "ijo1366_labels",
    "plant",
    "salmonella",
    "salmonella_atlas",
    "salmonella_labels",
}
"""Fixtures that take seconds to build."""

SLOW_FILES = {
    "test_advanced_step",  # closed loops
    "test_architecture_search",  # trains many surrogates
    "test_atlas",  # explores
    "test_back_off",  # optimises
    "test_campaign",  # closed loops, again and again
    "test_case_studies",  # run scripts of seconds
    "test_cliffs",  # explores
    "test_cli",  # starts a process for every command
    "test_control",  # optimises the case study of iJO1366
    "test_core_network",  # optimises from four starts
    "test_embed",  # writes full-space formulations of iJO1366
    "test_exchange",  # TensorFlow, ONNX
    "test_keras_trainer",  # TensorFlow
    "test_imported_networks",  # TensorFlow
    "test_infeasible_part",  # trains on boxes in part without a solution
    "test_kinds",  # optimises every kind of problem
    "test_limits_first",  # closed loops
    "test_lexicographic",  # solves everything with a second solver
    "test_limit_inputs",  # trains on linear limits and products
    "test_moving_horizon",  # estimates along batches
    "test_multi_stage",  # closed loops
    "test_nmpc",  # closed loops
    "test_operation",  # closed loops
    "test_operation_journal",  # kills processes
    "test_opcua",  # starts and stops servers
    "test_own_process",  # starts and kills processes
    "test_network_files",  # writes and reads files of every kind
    "test_parallel",  # starts and kills processes
    "test_reading",  # writes and reads files of every format
    "test_readme",  # runs every page
    "test_report",  # draws every figure
    "test_faults",  # closed loops
    "test_fit",  # trains
    "test_gate_properties",  # drives the gate with any value
    "test_held_controls",  # closed loops
    "test_guard",  # starts processes with limits of memory
    "test_resume",  # runs studies
    "test_sampling",  # starts processes
    "test_scenarios",  # one feed for many scenarios
    "test_sensors",  # estimates along batches
    "test_soft_law",  # explores iJO1366
    "test_soft_law_in_use",  # optimises
    "test_spent",  # simulates with a genome-scale surrogate
    "test_strains",  # simulates, starts processes
    "test_starts",  # searches simple feeds, and optimises
    "test_surrogate",  # embeds and simulates genome-scale surrogates
    "test_tracking",  # closed loops
    "test_train_to_error",  # trains in rounds
    "test_workers",  # starts and kills processes
    "test_worst_case_errors",  # searches every critical region
}


def pytest_configure() -> None:
    """Collect garbage more rarely: with networks in memory the collector takes a twelfth of the time of the tests."""
    gc.set_threshold(100_000, 50, 100)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave slow files unread where no slow test is wanted: they import much."""
    return (config.option.markexpr == "not slow" and collection_path.stem in SLOW_FILES) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what `make check` leaves out: tests of slow files, and those that need a genome-scale network.

    They run first, so that no process is left at the end with a test of a minute.
    """
    for item in items:
        used = set(getattr(item, "fixturenames", ())) | {
            *map(str, getattr(getattr(item, "callspec", None), "params", {}).values())
        }
        if item.path.stem in SLOW_FILES or GENOME_SCALE & used or item.get_closest_marker("genome"):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: (item.path.stem != "test_workers", item.get_closest_marker("slow") is None))


Share = Callable[[str, Callable[[], Any]], Any]


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory) -> Share:
    """What takes seconds is made by the first process of the tests that needs it, and read by the other."""

    def shared(name: str, make: Callable[[], Any]) -> Any:
        if "PYTEST_XDIST_WORKER" not in os.environ:
            return make()
        folder = tmp_path_factory.getbasetemp().parent
        file, lock, ended = folder / f"{name}.pickle", folder / f"{name}.lock", time.monotonic() + 120.0
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            while not file.exists() and time.monotonic() < ended:
                time.sleep(0.1)
            return pickle.loads(file.read_bytes()) if file.exists() else make()
        made = make()
        partial = file.with_suffix(".partial")
        partial.write_bytes(pickle.dumps(made))
        partial.rename(file)
        return made

    return shared


@pytest.fixture(scope="session")
def textbook() -> Network:
    return read_network("textbook")


@pytest.fixture(scope="session")
def ijo1366(share: Share) -> Network:
    return share("iJO1366", lambda: read_network("iJO1366"))


@pytest.fixture(scope="session")
def salmonella(share: Share) -> Network:
    return share("salmonella", lambda: read_network("salmonella"))


@pytest.fixture(scope="session")
def domain() -> Domain:
    """From nothing to about what *E. coli* takes up at most."""
    return Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 4.0)})


def explored(network: Network, domain: Domain) -> Atlas:
    atlas = Atlas(network, domain)
    atlas.explore()
    return atlas


@pytest.fixture(scope="session")
def core_atlas(textbook: Network) -> Atlas:
    """The textbook network over glucose and oxygen alone: quick to train on."""
    return explored(textbook, Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)}))


@pytest.fixture(scope="session")
def textbook_atlas(textbook: Network, domain: Domain) -> Atlas:
    return explored(textbook, domain)


@pytest.fixture(scope="session")
def ijo1366_atlas(share: Share, ijo1366: Network, domain: Domain) -> Atlas:
    return share("iJO1366_atlas", lambda: explored(ijo1366, domain))


@pytest.fixture(scope="session")
def salmonella_atlas(share: Share, salmonella: Network, domain: Domain) -> Atlas:
    return share("salmonella_atlas", lambda: explored(salmonella, domain))


@pytest.fixture(scope="session")
def points(domain: Domain) -> np.ndarray:
    """Random points of the domain, neighbours after each other: that spares the program half of its steps."""
    unit = np.random.default_rng(2024).random((1500, len(domain.inputs)))
    slab, bar = (unit[:, 0] * 8.0).astype(int), (unit[:, 1] * 8.0).astype(int)
    across = np.where(slab % 2 == 0, bar, 7 - bar)
    along = np.where((8 * slab + across) % 2 == 0, unit[:, 2], -unit[:, 2])
    return domain.lower + unit[np.lexsort([along, across, slab])] * (domain.upper - domain.lower)


@pytest.fixture(scope="session")
def textbook_labels(textbook: Network, domain: Domain, points: np.ndarray) -> FluxBatch:
    return FluxProgram(textbook, domain.inputs).batch(points)


@pytest.fixture(scope="session")
def ijo1366_labels(share: Share, ijo1366: Network, domain: Domain, points: np.ndarray) -> FluxBatch:
    return share("iJO1366_labels", lambda: FluxProgram(ijo1366, domain.inputs).batch(points))


@pytest.fixture(scope="session")
def salmonella_labels(share: Share, salmonella: Network, domain: Domain, points: np.ndarray) -> FluxBatch:
    return share("salmonella_labels", lambda: FluxProgram(salmonella, domain.inputs).batch(points))


@pytest.fixture(scope="session")
def surrogate() -> Surrogate:
    return load_surrogate("ecoli_ijo1366")


@pytest.fixture(scope="session")
def plant(ijo1366: Network, surrogate: Surrogate) -> FluxProgram:
    """The linear program of iJO1366, with the inputs of the shipped surrogate."""
    return FluxProgram(ijo1366, surrogate.inputs)

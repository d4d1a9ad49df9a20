"""Minor fluxes are tied to growth without leaving the cone of balanced fluxes, or not at all."""

import numpy as np
import pytest

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.fba.atlas import Atlas
from mmopt.network.network import Network
from mmopt.training.alternate_optima import MINOR, tie
from mmopt.training.modes import shares


@pytest.fixture(scope="module")
def labels(ijo1366_atlas: Atlas) -> FluxTable:
    return tabulate_fluxes(ijo1366_atlas.network, ijo1366_atlas.domain, 500, source=ijo1366_atlas)


@pytest.fixture(scope="module")
def tied(labels: FluxTable) -> tuple[np.ndarray, tuple[str, ...]]:
    return tie(labels.network, labels.fluxes, shares(labels.network, labels.domain, labels.fluxes)[1])


@pytest.mark.genome
def test_iron_takes_one_way_in(tied: tuple[np.ndarray, tuple[str, ...]]) -> None:
    assert {"FE2tpp", "FE3abcpp"} & set(tied[1])


@pytest.mark.genome
def test_tied_fluxes_are_proportional_to_growth(labels: FluxTable, tied: tuple[np.ndarray, tuple[str, ...]]) -> None:
    fluxes, names = tied
    growth = fluxes[:, labels.network.column(labels.network.biomass)]
    for name in names:
        flux = fluxes[:, labels.network.column(name)]
        assert np.allclose(flux, growth * (flux @ growth) / (growth @ growth), atol=1.0e-8)


@pytest.mark.genome
def test_tied_labels_balance(labels: FluxTable, tied: tuple[np.ndarray, tuple[str, ...]]) -> None:
    assert np.abs(labels.network.stoichiometry @ tied[0].T).max() < 1.0e-9


@pytest.mark.genome
def test_tied_labels_run_nothing_backwards(labels: FluxTable, tied: tuple[np.ndarray, tuple[str, ...]]) -> None:
    network = labels.network
    one_way = network.lower >= 0.0
    one_way[[network.column(name) for name in labels.domain.inputs]] = False
    assert tied[0][:, one_way].min() > -1.0e-9


@pytest.mark.genome
def test_ties_leave_growth_and_maintenance_as_they_are(
    labels: FluxTable, tied: tuple[np.ndarray, tuple[str, ...]]
) -> None:
    kept = [labels.network.column(name) for name in (labels.network.biomass, "ATPM")]
    assert np.array_equal(tied[0][:, kept], labels.fluxes[:, kept])


@pytest.mark.genome
def test_ties_move_no_flux_by_more_than_a_trace(labels: FluxTable, tied: tuple[np.ndarray, tuple[str, ...]]) -> None:
    assert np.abs(tied[0] - labels.fluxes).max() <= 2.0 * MINOR


def test_network_without_traces_is_left_as_it_is(textbook: Network, textbook_atlas: Atlas) -> None:
    table = tabulate_fluxes(textbook, textbook_atlas.domain, 200, source=textbook_atlas)
    fluxes, names = tie(textbook, table.fluxes, shares(textbook, table.domain, table.fluxes)[1])
    assert names == ()
    assert np.array_equal(fluxes, table.fluxes)

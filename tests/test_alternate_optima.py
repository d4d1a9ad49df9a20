"""Minor fluxes are fixed in proportion to growth within the cone of balanced fluxes, or not at all."""

import numpy as np
import pytest

from mmopt.dataset.flux_table import FluxTable
from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.fba.atlas import Atlas
from mmopt.network.network import Network
from mmopt.training.alternate_optima import MINOR, fix_alternate_optima
from mmopt.training.modes import error_weights


@pytest.fixture(scope="module")
def table(ijo1366_atlas: Atlas) -> FluxTable:
    return tabulate_fluxes(ijo1366_atlas.network, ijo1366_atlas.domain, 250, source=ijo1366_atlas)


@pytest.fixture(scope="module")
def fixed(table: FluxTable) -> tuple[np.ndarray, tuple[str, ...]]:
    return fix_alternate_optima(
        table.network, table.fluxes, error_weights(table.network, table.domain, table.fluxes)[1]
    )


@pytest.mark.genome
def test_iron_has_one_way_in(fixed: tuple[np.ndarray, tuple[str, ...]]) -> None:
    assert {"FE2tpp", "FE3abcpp"} & set(fixed[1])


@pytest.mark.genome
def test_fixed_fluxes_are_proportional_to_growth(table: FluxTable, fixed: tuple[np.ndarray, tuple[str, ...]]) -> None:
    fluxes, names = fixed
    growth = fluxes[:, table.network.column(table.network.biomass)]
    for name in names:
        flux = fluxes[:, table.network.column(name)]
        assert np.allclose(flux, growth * (flux @ growth) / (growth @ growth), atol=1.0e-8)


@pytest.mark.genome
def test_fixed_fluxes_balance(table: FluxTable, fixed: tuple[np.ndarray, tuple[str, ...]]) -> None:
    assert np.abs(table.network.stoichiometry @ fixed[0].T).max() < 1.0e-9


@pytest.mark.genome
def test_fixed_fluxes_run_nothing_backwards(table: FluxTable, fixed: tuple[np.ndarray, tuple[str, ...]]) -> None:
    network = table.network
    one_way = network.lower >= 0.0
    one_way[[network.column(name) for name in table.domain.inputs]] = False
    assert fixed[0][:, one_way].min() > -1.0e-9


@pytest.mark.genome
def test_fixing_leaves_growth_and_maintenance_as_they_are(
    table: FluxTable, fixed: tuple[np.ndarray, tuple[str, ...]]
) -> None:
    kept = [table.network.column(name) for name in (table.network.biomass, "ATPM")]
    assert np.array_equal(fixed[0][:, kept], table.fluxes[:, kept])


@pytest.mark.genome
def test_fixing_moves_no_flux_by_more_than_a_trace(table: FluxTable, fixed: tuple[np.ndarray, tuple[str, ...]]) -> None:
    assert np.abs(fixed[0] - table.fluxes).max() <= 2.0 * MINOR


def test_network_without_traces_is_left_as_it_is(textbook: Network, textbook_atlas: Atlas) -> None:
    table = tabulate_fluxes(textbook, textbook_atlas.domain, 200, source=textbook_atlas)
    fluxes, names = fix_alternate_optima(textbook, table.fluxes, error_weights(textbook, table.domain, table.fluxes)[1])
    assert names == ()
    assert np.array_equal(fluxes, table.fluxes)

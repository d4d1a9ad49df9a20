"""The error report contains the largest errors, wherever they are, and how far fluxes balance and keep directions."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from mmopt.dataset.tabulate import tabulate_fluxes
from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.fba.rates import rate_rows
from mmopt.network.network import Network
from mmopt.sensitivity.pieces import borders_of, regions_of
from mmopt.surrogate.error_report import ZONES, ErrorReport
from mmopt.surrogate.soft_law import SoftLaw, soft_law
from mmopt.surrogate.surrogate import Surrogate
from mmopt.training.train import train
from mmopt.training.worst_case_errors import with_error_report, worst_case_errors

GLUCOSE, OXYGEN = "EX_glc__D_e", "EX_o2_e"
BOX = Domain({GLUCOSE: (0.0, 12.0), OXYGEN: (0.0, 16.0)})
NAMES = ["growth", "shortfall", GLUCOSE, OXYGEN, "EX_co2_e", "EX_ac_e", "EX_for_e"]


@pytest.fixture(scope="module")
def atlas(core_atlas: Atlas) -> Atlas:
    return core_atlas


@pytest.fixture(scope="module")
def trained(atlas: Atlas) -> Surrogate:
    return train(tabulate_fluxes(atlas.network, BOX, 400, source=atlas), hidden=(8, 8), iterations=40)


@pytest.fixture(scope="module")
def error_report(trained: Surrogate, atlas: Atlas) -> ErrorReport:
    return worst_case_errors(trained, atlas)


@pytest.fixture(scope="module")
def soft(atlas: Atlas) -> SoftLaw:
    return soft_law(atlas, error=0.01)


class Shifted:
    """The exact answer, but for a needle of a cell's size somewhere."""

    def __init__(self, atlas: Atlas, at: list[float], size: float, height: float) -> None:
        self.domain, self._atlas, self._at, self._size, self._height = atlas.domain, atlas, np.array(at), size, height

    def reader(self, names: Any) -> Any:
        def read(points: np.ndarray) -> np.ndarray:
            away = np.linalg.norm(points - self._at, axis=1) / self._size
            return self._atlas.rates(np.maximum(points, 0.0), names) + self._height * np.exp(-(away**2))[:, None]

        return read

    def fluxes(self, limits: np.ndarray) -> np.ndarray:
        return self._atlas.rates(np.maximum(limits, 0.0), self._atlas.network.reactions)


def seen(law: Any, atlas: Atlas, count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    unit = random.random((count, 2)) ** random.choice([1.0, 4.0], size=(count, 1))
    points = unit * BOX.upper
    return np.abs(law.reader(NAMES)(points) - atlas.rates(points, NAMES)).max(axis=0)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_random_point_is_worse_than_the_report(
    trained: Surrogate, atlas: Atlas, error_report: ErrorReport, seed: int
) -> None:
    found = np.array([error_report.worst(name) for name in NAMES])
    assert np.all(seen(trained, atlas, 50_000, seed) <= found * (1.0 + 1.0e-3))


@pytest.mark.parametrize("at", [[12.0, 16.0], [0.0, 0.0], [5.0, 9.0], [0.0, 11.0], [0.3, 0.2]], ids=str)
def test_an_error_of_the_size_of_a_needle_is_detected(atlas: Atlas, at: list[float]) -> None:
    needle = worst_case_errors(Shifted(atlas, at, size=0.4, height=0.5), atlas, starts=8)
    assert needle.worst("growth") == pytest.approx(0.5, rel=0.02)


def test_exact_answer_has_no_error(atlas: Atlas) -> None:
    exact = worst_case_errors(Shifted(atlas, [0.0, 0.0], size=1.0, height=0.0), atlas)
    assert max(exact.worst(name) for name in exact.readings) < 1.0e-6


def test_worst_of_every_zone_is_within_that_of_the_whole_domain(error_report: ErrorReport) -> None:
    for name in error_report.readings:
        for zone in error_report.readings[name]["zones"]:
            assert error_report.worst(name, zone) <= error_report.worst(name)


def test_worst_error_is_where_the_report_says(trained: Surrogate, atlas: Atlas, error_report: ErrorReport) -> None:
    for name in NAMES:
        for told in error_report.readings[name]["zones"].values():
            point = np.array([[told["at"][exchange] for exchange in BOX.inputs]])
            found = abs(trained.reader([name])(point) - atlas.rates(point, [name])).item()
            assert found == pytest.approx(told["worst"], rel=1.0e-6, abs=1.0e-7)


def test_starvation_is_looked_at_where_maintenance_is_missed(atlas: Atlas, error_report: ErrorReport) -> None:
    told = error_report.readings["growth"]["zones"]["starvation"]["at"]
    point = np.array([[told[exchange] for exchange in BOX.inputs]])
    assert atlas.rates(point, ["growth"]).item() == pytest.approx(0.0, abs=1.0e-9)


def test_every_zone_is_reported(error_report: ErrorReport) -> None:
    assert set(error_report.readings["growth"]["zones"]) == set(ZONES)


def test_range_is_that_of_the_exact_answer(atlas: Atlas, error_report: ErrorReport) -> None:
    corners, _ = atlas.corners()
    growth = atlas.rates(corners, ["growth"])
    assert error_report.readings["growth"]["range"] == pytest.approx(np.ptp(growth), abs=1.0e-9)


def test_mean_is_that_of_even_points(trained: Surrogate, atlas: Atlas, error_report: ErrorReport) -> None:
    points = np.random.default_rng(0).random((20_000, 2)) * BOX.upper
    mean = np.abs(trained.reader([OXYGEN])(points) - atlas.rates(points, [OXYGEN])).mean()
    assert error_report.readings[OXYGEN]["mean"] == pytest.approx(mean, rel=0.05)


def test_balance_and_directions_are_reported(error_report: ErrorReport) -> None:
    assert error_report.checks["balance"] <= 1.0e-9
    assert error_report.checks["backwards"] <= 1.0e-9


def test_free_rates_do_not_balance(atlas: Atlas) -> None:
    table = tabulate_fluxes(atlas.network, BOX, 400, source=atlas)
    loose = worst_case_errors(train(table, hidden=(8,), basis="rates", iterations=20), atlas)
    assert loose.checks["balance"] > 1.0e-3


def test_consumption_beyond_a_limit_is_what_it_says(trained: Surrogate, error_report: ErrorReport) -> None:
    for exchange, told in error_report.consumption.items():
        point = np.array([[told["at"][name] for name in BOX.inputs]])
        beyond = -trained.reader([exchange])(point).item() - told["at"][exchange]
        assert beyond == pytest.approx(told["worst"], abs=1.0e-9)


def test_consumption_exceeds_a_limit_by_no_more_than_the_worst_error(error_report: ErrorReport) -> None:
    for exchange, told in error_report.consumption.items():
        assert told["worst"] <= error_report.worst(exchange) * (1.0 + 1.0e-3)


def test_what_is_left_at_zero_uptake_is_within_the_worst_error(error_report: ErrorReport) -> None:
    for name, left in error_report.zero.items():
        assert abs(left) <= error_report.worst(name) * (1.0 + 1.0e-9)


@pytest.mark.parametrize("growth", ["fluxes", "planes"])
def test_soft_law_stays_within_its_proved_bound_at_the_worst_points(atlas: Atlas, growth: Any) -> None:
    law = soft_law(atlas, error=0.01, growth=growth)
    found = worst_case_errors(law, atlas)
    for name in found.readings:
        assert found.worst(name) <= law.bound(name)


def test_error_report_reads_back_from_json(error_report: ErrorReport) -> None:
    again = ErrorReport.of(json.loads(json.dumps(error_report.as_dict())))
    assert again.as_dict() == error_report.as_dict()


def test_surrogate_shows_its_error_report(trained: Surrogate, atlas: Atlas) -> None:
    shown = str(with_error_report(trained, atlas))
    assert "growth" in shown
    assert "whole domain" in shown


def test_surrogate_without_error_report_says_so(trained: Surrogate) -> None:
    assert trained.error_report is None
    assert "no error report" in str(trained)


def test_same_seed_gives_the_same_report(trained: Surrogate, atlas: Atlas, error_report: ErrorReport) -> None:
    assert worst_case_errors(trained, atlas).as_dict() == error_report.as_dict()


def test_progress_ends_with_all(soft: SoftLaw, atlas: Atlas) -> None:
    told: list[tuple[int, int]] = []
    worst_case_errors(soft, atlas, starts=2, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]


def test_unexplored_atlas_is_refused(trained: Surrogate, textbook: Network) -> None:
    with pytest.raises(SurrogateError, match=r"regions known fill .* of the domain; call atlas.explore\(\) first"):
        worst_case_errors(trained, Atlas(textbook, BOX))


def test_atlas_of_another_domain_is_refused(trained: Surrogate, textbook: Network) -> None:
    other = Atlas(textbook, Domain({GLUCOSE: (0.0, 12.0), OXYGEN: (0.0, 10.0)}))
    with pytest.raises(SurrogateError, match="the atlas has another domain than the surrogate"):
        worst_case_errors(trained, other)


def test_no_starts_are_refused(trained: Surrogate, atlas: Atlas) -> None:
    with pytest.raises(SurrogateError, match="starts is 0; give a whole number, at least 1"):
        worst_case_errors(trained, atlas, starts=0)


def test_unknown_reading_is_refused(error_report: ErrorReport) -> None:
    with pytest.raises(SurrogateError, match="the error report does not contain 'EX_nothing_e'"):
        error_report.worst("EX_nothing_e")


def test_damaged_error_report_is_refused(trained: Surrogate) -> None:
    damaged = dataclasses.replace(trained, card={"error_report": {"readings": {}}})
    with pytest.raises(SurrogateError, match="error report on the card has no section checks"):
        _ = damaged.error_report


def test_pieces_hold_the_exact_answer(atlas: Atlas) -> None:
    rows = rate_rows(atlas.network, NAMES)
    for pieces in (regions_of(atlas, rows), borders_of(atlas, rows), regions_of(atlas, rows).shrunk(0.5)):
        which = np.arange(len(pieces))
        points = pieces.corners.mean(axis=1)
        assert np.allclose(pieces.exact(which, points), atlas.rates(points, NAMES), atol=1.0e-7)

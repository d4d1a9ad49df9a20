"""Tables of labels lie in their box, repeat themselves, and know the network they came from."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmopt.errors import DomainError, NetworkError, StudyError
from mmopt.metabolism.network import Network
from mmopt.metabolism.pfba import LabelProgram
from mmopt.metabolism.sampling import Domain, FluxTable, design, load_table, sample

DOMAIN = Domain({"EX_glc__D_e": (1.0, 12.0), "EX_o2_e": (0.0, 16.0)})


@pytest.fixture(scope="module")
def table(textbook: Network) -> FluxTable:
    return sample(textbook, DOMAIN, 40, seed=3)


@pytest.mark.parametrize(
    "limits", [(-1.0, 5.0), (5.0, 5.0), (6.0, 5.0), (0.0, np.inf), (np.nan, 5.0), (0.0, np.nan)], ids=str
)
def test_range_that_is_no_box_is_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(DomainError, match=r"the range of EX_o2_e is \[.*\] mmol/gDW/h; give 0 <= lowest < highest"):
        Domain({"EX_glc__D_e": (0.0, 10.0), "EX_o2_e": limits})


def test_domain_without_inputs_is_refused() -> None:
    with pytest.raises(DomainError, match="a domain needs at least one uptake limit"):
        Domain({})


def test_domain_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        DOMAIN.limits["EX_o2_e"] = (0.0, 1.0)  # type: ignore[index]


@pytest.mark.parametrize("value", [16.1, -0.1, np.nan])
def test_point_outside_the_domain_is_refused_by_name(value: float) -> None:
    with pytest.raises(
        DomainError, match=r"of EX_o2_e is outside the trained domain \[0, 16\]; retrain with a wider Domain, or lower"
    ):
        DOMAIN.check(np.array([[5.0, 3.0], [5.0, value]]))


def test_corners_of_the_domain_are_inside() -> None:
    DOMAIN.check(np.array([DOMAIN.lower, DOMAIN.upper]))


@pytest.mark.parametrize("n", [1, 2, 7, 100, 257])
def test_design_has_as_many_points_as_asked(n: int) -> None:
    assert design(DOMAIN, n, seed=0).shape == (n, 2)


@pytest.mark.parametrize("n", [1, 7, 300])
def test_design_stays_in_the_box(n: int) -> None:
    points = design(DOMAIN, n, seed=1)
    assert np.all((points >= DOMAIN.lower) & (points <= DOMAIN.upper))


def test_design_reaches_every_part_of_the_box() -> None:
    points = (design(DOMAIN, 400, seed=0) - DOMAIN.lower) / (DOMAIN.upper - DOMAIN.lower)
    cells = {tuple(cell) for cell in np.minimum((points * 5).astype(int), 4)}
    assert len(cells) == 25


def test_design_puts_points_on_the_lowest_faces() -> None:
    points = design(DOMAIN, 400, seed=0)
    assert np.all(np.sum(points == DOMAIN.lower, axis=0) >= 40)


def test_design_of_one_seed_is_one_design() -> None:
    assert np.array_equal(design(DOMAIN, 64, seed=5), design(DOMAIN, 64, seed=5))


def test_design_of_another_seed_is_another() -> None:
    assert not np.array_equal(design(DOMAIN, 64, seed=5), design(DOMAIN, 64, seed=6))


@pytest.mark.parametrize("n", [0, -3])
def test_design_of_no_points_is_refused(n: int) -> None:
    with pytest.raises(StudyError, match=rf"{n} labels were asked for; ask for at least 1"):
        design(DOMAIN, n, seed=0)


def test_table_of_one_seed_is_one_table(textbook: Network, table: FluxTable) -> None:
    assert sample(textbook, DOMAIN, 40, seed=3).data.identical(table.data)


def test_table_holds_the_answers_of_the_program(textbook: Network, table: FluxTable) -> None:
    program = LabelProgram(textbook, DOMAIN.inputs)
    assert table.fluxes == pytest.approx(np.array([program.solve(point).net for point in table.inputs]), abs=1.0e-6)


def test_table_holds_the_points_of_the_design(table: FluxTable) -> None:
    drawn = design(DOMAIN, 40, seed=3)
    assert sorted(map(tuple, table.inputs)) == sorted(map(tuple, drawn))


def test_table_tells_its_units(table: FluxTable) -> None:
    assert {str(name): array.attrs["units"] for name, array in table.data.items()} == {
        "inputs": "mmol/gDW/h",
        "fluxes": "mmol/gDW/h",
        "growth": "1/h",
        "shortfall": "mmol/gDW/h",
    }


def test_table_has_the_length_that_was_asked(table: FluxTable) -> None:
    assert len(table) == 40


def test_unknown_exchange_in_the_domain_is_named(textbook: Network) -> None:
    with pytest.raises(NetworkError, match="no exchange 'EX_glc_e'; nearest known: EX_glc__D_e"):
        sample(textbook, Domain({"EX_glc_e": (0.0, 10.0)}), 8)


def test_progress_is_told_after_every_label(textbook: Network) -> None:
    told: list[tuple[int, int]] = []
    sample(textbook, DOMAIN, 5, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_saved_table_comes_back_with_its_labels(textbook: Network, table: FluxTable, tmp_path: Path) -> None:
    back = load_table(table.save(tmp_path / "table.nc"), textbook)
    assert np.array_equal(back.fluxes, table.fluxes)


def test_saved_table_comes_back_with_its_inputs(textbook: Network, table: FluxTable, tmp_path: Path) -> None:
    back = load_table(table.save(tmp_path / "table.nc"), textbook)
    assert np.array_equal(back.inputs, table.inputs)


@pytest.mark.parametrize("domain", [DOMAIN, Domain({"EX_glc__D_e": (0.0, 10.0)})], ids=["two inputs", "one input"])
def test_saved_table_comes_back_with_its_domain(textbook: Network, domain: Domain, tmp_path: Path) -> None:
    path = sample(textbook, domain, 4).save(tmp_path / "table.nc")
    assert load_table(path, textbook).domain == domain


def test_table_of_another_network_is_refused(textbook: Network, table: FluxTable, tmp_path: Path) -> None:
    path = table.save(tmp_path / "table.nc")
    upper = textbook.upper.copy()
    upper[textbook.column("PFK")] = 12.0
    with pytest.raises(StudyError, match="was made from another network than e_coli_core as read now; sample again"):
        load_table(path, dataclasses.replace(textbook, upper=upper))


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: b"label,growth\n1,0.5\n",
        lambda raw: raw[:100],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:-20],
        lambda raw: raw[:60] + bytes(400) + raw[460:],
    ],
    ids=["empty", "text", "cut early", "cut in the middle", "cut at the end", "zeroed"],
)
def test_damaged_table_is_refused(
    textbook: Network, table: FluxTable, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = table.save(tmp_path / "table.nc")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StudyError, match=r"is not a table of labels mmopt wrote \([^\n]*\); sample again$"):
        load_table(path, textbook)


def test_missing_table_is_refused(textbook: Network, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none.nc is not a table of labels mmopt wrote \(there is no such file\)"):
        load_table(tmp_path / "none.nc", textbook)


def test_table_without_its_box_is_refused(textbook: Network, table: FluxTable, tmp_path: Path) -> None:
    path = tmp_path / "table.nc"
    table.data.drop_attrs().to_netcdf(path, engine="h5netcdf")
    with pytest.raises(StudyError, match="is not a table of labels mmopt wrote"):
        load_table(path, textbook)


def test_table_with_a_box_of_another_size_is_refused(textbook: Network, table: FluxTable, tmp_path: Path) -> None:
    path = tmp_path / "table.nc"
    table.data.assign_attrs(lower=[0.0], upper=[1.0]).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(StudyError, match="is not a table of labels mmopt wrote"):
        load_table(path, textbook)

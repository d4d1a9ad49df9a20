"""Tables of fluxes lie in their box, repeat themselves, know the network they came from, and come back whole or not at all."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt.dataset import FluxTable, load_table, tabulate_fluxes
from mmopt.dataset.design import design
from mmopt.dataset.table_file import checksum
from mmopt.dataset.tabulate import CHUNK
from mmopt.errors import DomainError, InfeasibleError, MmoptError, NetworkError, StudyError
from mmopt.fba import Domain, FluxProgram
from mmopt.network.network import Network
from mmopt.status import Status

DOMAIN = Domain({"EX_glc__D_e": (1.0, 12.0), "EX_o2_e": (0.0, 16.0)})


@pytest.fixture(scope="module")
def table(textbook: Network) -> FluxTable:
    return tabulate_fluxes(textbook, DOMAIN, 40, seed=3)


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
def test_design_has_the_number_of_points_given(n: int) -> None:
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
    with pytest.raises(StudyError, match=rf"n is {n}; give a whole number, at least 1"):
        design(DOMAIN, n, seed=0)


def test_table_of_one_seed_is_one_table(textbook: Network, table: FluxTable) -> None:
    assert tabulate_fluxes(textbook, DOMAIN, 40, seed=3).data.identical(table.data)


def test_table_holds_the_answers_of_the_program(textbook: Network, table: FluxTable) -> None:
    program = FluxProgram(textbook, DOMAIN.inputs)
    assert table.fluxes == pytest.approx(np.array([program.solve(point).net for point in table.inputs]), abs=1.0e-6)


def test_table_holds_the_points_of_the_design(table: FluxTable) -> None:
    drawn = design(DOMAIN, 40, seed=3)
    assert sorted(map(tuple, table.inputs)) == sorted(map(tuple, drawn))


def test_table_tells_its_units(table: FluxTable) -> None:
    assert {str(name): array.attrs.get("units") for name, array in table.data.items()} == {
        "inputs": "mmol/gDW/h",
        "fluxes": "mmol/gDW/h",
        "growth": "1/h",
        "shortfall": "mmol/gDW/h",
        "status": None,
    }


def test_table_has_the_length_given(table: FluxTable) -> None:
    assert len(table) == 40


def test_unknown_exchange_in_the_domain_is_named(textbook: Network) -> None:
    with pytest.raises(NetworkError, match=r"no exchange 'EX_glc_e'.*; nearest known: EX_glc__D_e"):
        tabulate_fluxes(textbook, Domain({"EX_glc_e": (0.0, 10.0)}), 8)


def test_progress_is_reported_after_every_chunk(textbook: Network) -> None:
    reports: list[tuple[int, int]] = []
    size = 2 * CHUNK + 5
    tabulate_fluxes(textbook, DOMAIN, size, progress=lambda done, total: reports.append((done, total)))
    assert reports == [(CHUNK, size), (2 * CHUNK, size), (size, size)]


def test_answers_for_other_inputs_are_refused(textbook: Network) -> None:
    other = FluxProgram(textbook, ["EX_o2_e"])
    with pytest.raises(StudyError, match="source has the inputs EX_o2_e, the domain has EX_glc__D_e, EX_o2_e"):
        tabulate_fluxes(textbook, DOMAIN, 8, source=other)


def test_answers_for_another_network_are_refused(textbook: Network) -> None:
    other = FluxProgram(dataclasses.replace(textbook, lower=textbook.lower - 1.0), DOMAIN.inputs)
    with pytest.raises(StudyError, match="source is for another network"):
        tabulate_fluxes(textbook, DOMAIN, 8, source=other)


def test_no_workers_are_refused(textbook: Network) -> None:
    with pytest.raises(StudyError, match="workers is 0; give a whole number, at least 1"):
        tabulate_fluxes(textbook, DOMAIN, 8, workers=0)


def test_workers_beside_a_scheduler_are_refused(textbook: Network) -> None:
    with pytest.raises(StudyError, match="2 workers and the scheduler tcp://here:1 are given; give one of the two"):
        tabulate_fluxes(textbook, DOMAIN, 8, workers=2, scheduler="tcp://here:1")


@pytest.fixture(scope="module")
def forced(textbook: Network) -> Network:
    """A network in which a reaction must run that little glucose cannot feed."""
    lower = textbook.lower.copy()
    lower[textbook.column("PFK")] = 4.0
    return dataclasses.replace(textbook, lower=lower)


@pytest.fixture(scope="module")
def holed(forced: Network) -> FluxTable:
    """A table some of whose points have no solution."""
    return tabulate_fluxes(forced, DOMAIN, 60, seed=3)


def test_point_without_a_solution_keeps_its_status(holed: FluxTable) -> None:
    assert set(holed.status) == {Status.OPTIMAL, Status.INFEASIBLE}


def test_point_without_a_solution_has_no_numbers(holed: FluxTable) -> None:
    assert np.array_equal(np.isnan(holed.fluxes).all(axis=1), ~holed.solved)
    assert np.array_equal(np.isnan(holed.data["growth"].values), ~holed.solved)


def test_only_solved_points_are_kept(holed: FluxTable) -> None:
    solved = holed.only_solved()
    assert np.array_equal(solved.inputs, holed.inputs[holed.solved])
    assert np.isfinite(solved.fluxes).all()


def test_table_without_holes_is_returned_itself(table: FluxTable) -> None:
    assert table.only_solved() is table


def test_sampling_without_one_answer_says_why(forced: Network) -> None:
    with pytest.raises(InfeasibleError, match="PFK must run; set those bounds to include 0"):
        tabulate_fluxes(forced, Domain({"EX_glc__D_e": (0.0, 0.1), "EX_o2_e": (0.0, 0.1)}), 8)


@pytest.fixture(params=[".nc", ".parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a table is saved, in each kind of file."""
    return tmp_path / f"table{request.param}"


def test_saved_table_comes_back_as_it_was(textbook: Network, table: FluxTable, path: Path) -> None:
    assert load_table(table.save(path), textbook).data.identical(table.data)


def test_saved_table_comes_back_to_the_last_bit(forced: Network, holed: FluxTable, path: Path) -> None:
    assert checksum(load_table(holed.save(path), forced).data) == checksum(holed.data)


def test_saved_table_comes_back_with_its_holes(forced: Network, holed: FluxTable, path: Path) -> None:
    assert load_table(holed.save(path), forced).status == holed.status


def test_negative_zero_comes_back(textbook: Network, table: FluxTable, path: Path) -> None:
    data = table.data.copy(deep=True)
    data["fluxes"].values[0, :] = -0.0
    back = load_table(FluxTable(data, textbook, DOMAIN).save(path), textbook)
    assert np.signbit(back.fluxes[0]).all()


@pytest.mark.parametrize("domain", [DOMAIN, Domain({"EX_glc__D_e": (0.0, 10.0)})], ids=["two inputs", "one input"])
def test_saved_table_comes_back_with_its_domain(textbook: Network, domain: Domain, path: Path) -> None:
    assert load_table(tabulate_fluxes(textbook, domain, 4).save(path), textbook).domain == domain


def test_saved_table_leaves_nothing_beside_it(table: FluxTable, path: Path) -> None:
    assert list(table.save(path).parent.iterdir()) == [path]


def test_table_in_another_kind_of_file_is_refused(textbook: Network, table: FluxTable, tmp_path: Path) -> None:
    with pytest.raises(
        StudyError, match=r"'.csv' of .*table.csv is no suffix of a table of fluxes; use .nc \(netCDF\) or .parquet"
    ):
        table.save(tmp_path / "table.csv")
    with pytest.raises(StudyError, match=r"'' of .* is no suffix of a table of fluxes"):
        load_table(tmp_path / "table", textbook)


def test_parquet_has_a_column_for_each_reaction(table: FluxTable, tmp_path: Path) -> None:
    from pyarrow import parquet

    column = parquet.read_table(table.save(tmp_path / "table.parquet"))["fluxes/PFK"]
    assert np.array_equal(column.to_numpy(), table.fluxes[:, table.network.column("PFK")])


def test_table_of_another_network_is_refused(textbook: Network, table: FluxTable, path: Path) -> None:
    table.save(path)
    upper = textbook.upper.copy()
    upper[textbook.column("PFK")] = 12.0
    with pytest.raises(
        StudyError, match="belongs to another network than e_coli_core as read now; tabulate the fluxes again"
    ):
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
    textbook: Network, table: FluxTable, path: Path, damage: Callable[[bytes], bytes]
) -> None:
    table.save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        StudyError, match=r"is not a table of fluxes mmopt wrote \([^\n]*\); tabulate the fluxes again$"
    ):
        load_table(path, textbook)


def test_no_damaged_byte_gives_another_table(textbook: Network, table: FluxTable, path: Path) -> None:
    raw, draw = table.save(path).read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(raw)
        damaged[draw.integers(len(raw))] ^= 1 + int(draw.integers(255))
        path.write_bytes(damaged)
        try:
            back = load_table(path, textbook)
        except StudyError:
            continue
        assert back.data.identical(table.data)


def test_missing_table_is_refused(textbook: Network, path: Path) -> None:
    with pytest.raises(StudyError, match=r"is not a table of fluxes mmopt wrote \(there is no such file\)"):
        load_table(path, textbook)


def test_netcdf_of_others_is_refused(textbook: Network, table: FluxTable, tmp_path: Path) -> None:
    table.data.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    with pytest.raises(StudyError, match=r"is not a table of fluxes mmopt wrote \(its checksum is missing or wrong\)"):
        load_table(tmp_path / "table.nc", textbook)


@pytest.mark.parametrize(
    ("attrs", "said"), [({}, "lower"), ({"lower": [0.0], "upper": [1.0]}, "zip")], ids=["no box", "box of one"]
)
def test_table_with_a_wrong_box_is_refused(
    textbook: Network, table: FluxTable, path: Path, attrs: dict[str, list[float]], said: str
) -> None:
    kept = {name: value for name, value in table.data.attrs.items() if name not in ("lower", "upper")}
    wrong = table.data.drop_attrs().assign_attrs({**kept, **attrs})
    for name, array in table.data.items():
        wrong[name].attrs.update(array.attrs)
    FluxTable(wrong, textbook, DOMAIN).save(path)
    with pytest.raises(StudyError, match=f"is not a table of fluxes mmopt wrote .*{said}"):
        load_table(path, textbook)


@pytest.mark.parametrize("name", ["inputs", "fluxes", "growth", "shortfall"])
def test_table_with_numbers_that_are_not_finite_is_refused(
    textbook: Network, table: FluxTable, path: Path, name: str
) -> None:
    data = table.data.copy(deep=True)
    data[name].values[3] = np.nan
    FluxTable(data, textbook, DOMAIN).save(path)
    with pytest.raises(StudyError, match=rf"is not a table of fluxes mmopt wrote \(.*{name}.* not finite"):
        load_table(path, textbook)


@pytest.mark.parametrize("limits", [None, "glucose", 3.0, ["EX_glc__D_e"]], ids=str)
def test_limits_that_are_no_mapping_are_refused(limits: Any) -> None:
    with pytest.raises(DomainError, match=r"limits is .*; give a mapping"):
        Domain(limits)


@pytest.mark.parametrize("limits", [None, 3.0, "ab", (1.0,), (0.0, 1.0, 2.0)], ids=str)
def test_range_that_is_no_pair_is_refused(limits: Any) -> None:
    with pytest.raises(DomainError, match=r"the range of EX_o2_e is .*; give a pair"):
        Domain({"EX_o2_e": limits})


@pytest.mark.parametrize("limits", [("a", 1.0), (0.0, None), (0.0, [1.0]), (0.0, True)], ids=str)
def test_range_of_no_numbers_is_refused(limits: Any) -> None:
    with pytest.raises(DomainError, match=r"the range of EX_o2_e is \[.*\] mmol/gDW/h; give 0 <= lowest < highest"):
        Domain({"EX_o2_e": limits})


@pytest.mark.parametrize("name", [None, 3, "", " "], ids=repr)
def test_input_that_is_no_name_is_refused(name: Any) -> None:
    with pytest.raises(DomainError, match=r"an input of the domain is .*; give an exchange id"):
        Domain({name: (0.0, 1.0)})


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"n": 0}, StudyError, "n is 0; give a whole number, at least 1"),
        ({"n": 1.5}, StudyError, "n is 1.5; give a whole number"),
        ({"n": "many"}, StudyError, "n is 'many'; give a whole number"),
        ({"n": np.nan}, StudyError, "n is nan; give a whole number"),
        ({"n": None}, StudyError, "n is None; give a whole number"),
        ({"seed": -1}, StudyError, "seed is -1; give a whole number, at least 0"),
        ({"seed": "one"}, StudyError, "seed is 'one'; give a whole number"),
        ({"workers": 1.5}, StudyError, "workers is 1.5; give a whole number"),
        ({"scheduler": 8786}, StudyError, "scheduler is 8786; give an address"),
        ({"source": "atlas"}, StudyError, "source is 'atlas'; give a FluxProgram or an Atlas"),
        ({"journal": 3}, StudyError, "journal is 3; give the path of a file"),
        ({"network": "textbook"}, NetworkError, "network is 'textbook'; give a Network"),
        ({"domain": {"EX_o2_e": (0.0, 1.0)}}, DomainError, "domain is .*; give a Domain"),
    ],
    ids=str,
)
def test_table_of_nonsense_is_refused_by_name(
    textbook: Network, arguments: dict[str, Any], error: type[MmoptError], says: str
) -> None:
    with pytest.raises(error, match=says):
        tabulate_fluxes(**{"network": textbook, "domain": DOMAIN, "n": 8, **arguments})


@pytest.mark.parametrize("path", [None, 3, ["table.nc"]], ids=str)
def test_path_of_a_table_that_is_none_is_refused(textbook: Network, table: FluxTable, path: Any) -> None:
    with pytest.raises(StudyError, match=r"path is .*; give the path of a .nc"):
        table.save(path)
    with pytest.raises(StudyError, match=r"path is .*; give the path of a .nc"):
        load_table(path, textbook)


def test_extended_table_has_more_points(textbook: Network, table: FluxTable) -> None:
    points = np.array([[1.0, 2.0], [3.0, 4.0]])
    longer = table.extended(points, FluxProgram(textbook, DOMAIN.inputs).batch(points))
    assert len(longer) == len(table) + 2
    assert np.array_equal(longer.inputs[-2:], points)


@pytest.mark.parametrize("fluxes", [None, "fluxes", 3.0], ids=str)
def test_table_is_not_extended_by_nonsense(table: FluxTable, fluxes: Any) -> None:
    with pytest.raises(StudyError, match=r"fluxes is .*; give a FluxBatch of 95 reactions at the 1 points"):
        table.extended(np.array([[1.0, 2.0]]), fluxes)


def test_domain_and_table_are_printed_in_short(table: FluxTable) -> None:
    assert repr(DOMAIN) == "Domain({'EX_glc__D_e': (1.0, 12.0), 'EX_o2_e': (0.0, 16.0)})"
    assert str(DOMAIN) == "EX_glc__D_e: 1 to 12 mmol/gDW/h\nEX_o2_e: 0 to 16 mmol/gDW/h"
    assert len(repr(Domain({f"EX_{number}_e": (0.0, 1.0) for number in range(100)}))) < 200
    assert DOMAIN._repr_html_().startswith("<table><tr><th>EX_glc__D_e</th><td>1 to 12 mmol/gDW/h</td></tr>")
    assert repr(table) == "FluxTable('e_coli_core': 95 fluxes at 40 points, 40 solved)"
    assert "points: 40, 40 solved" in str(table)
    assert table._repr_html_().startswith("<table><tr><th>network</th>")

"""Trajectories are written whole, read back as they were, and refused in words when damaged."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt.errors import StudyError
from mmopt.io.files import write_whole
from mmopt.results import Trajectory, load_trajectory, trajectory
from mmopt.status import Status

STATS = {"seconds": 0.25, "iterations": 14, "gaps": {"replay": 1.0e-3}, "note": "three starts"}


@pytest.fixture
def run() -> Trajectory:
    return trajectory(
        np.array([0.0, 0.5, 2.0]),
        {
            "volume": ("state", "L", np.array([1.0, 1.1, 1.4])),
            "feed": ("control", "L/h", np.array([0.2, 0.2, 0.2])),
            "growth": ("rate", "1/h", np.array([0.5, 0.25, np.nan])),
            "biomass_amount": ("derived", "g", np.array([1.0 / 3.0, 0.7, 1.0])),
        },
        Status.SIMULATED,
        STATS,
    )


def test_saved_trajectory_comes_back_with_its_numbers(run: Trajectory, tmp_path: Path) -> None:
    assert load_trajectory(run.save(tmp_path / "run.nc")).data.identical(run.data)


def test_saved_trajectory_comes_back_with_its_status(run: Trajectory, tmp_path: Path) -> None:
    assert load_trajectory(run.save(tmp_path / "run.nc")).status is Status.SIMULATED


def test_saved_trajectory_comes_back_with_its_stats(run: Trajectory, tmp_path: Path) -> None:
    assert load_trajectory(run.save(tmp_path / "run.nc")).stats == STATS


def test_saving_twice_leaves_the_trajectory_unchanged(run: Trajectory, tmp_path: Path) -> None:
    run.save(tmp_path / "run.nc")
    assert run.data.attrs == {}


def test_saving_makes_the_folder(run: Trajectory, tmp_path: Path) -> None:
    assert run.save(tmp_path / "new" / "deep" / "run.nc").is_file()


def test_saving_replaces_an_older_file(run: Trajectory, tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    path.write_text("old")
    assert load_trajectory(run.save(path)).final("volume") == 1.4


def test_loaded_file_can_be_written_again(run: Trajectory, tmp_path: Path) -> None:
    path = run.save(tmp_path / "run.nc")
    assert load_trajectory(load_trajectory(path).save(path)).stats == STATS


def test_table_has_units_in_its_header(run: Trajectory, tmp_path: Path) -> None:
    header = run.to_csv(tmp_path / "run.csv").read_text().splitlines()[0]
    assert header == "time [h],volume [L],feed [L/h],growth [1/h],biomass_amount [g]"


def test_table_holds_the_numbers(run: Trajectory, tmp_path: Path) -> None:
    table = np.loadtxt(run.to_csv(tmp_path / "run.csv", ("volume", "feed")), delimiter=",", skiprows=1)
    assert np.array_equal(table, [[0.0, 1.0, 0.2], [0.5, 1.1, 0.2], [2.0, 1.4, 0.2]])


def test_table_holds_the_named_quantities_in_order(run: Trajectory, tmp_path: Path) -> None:
    header = run.to_csv(tmp_path / "run.csv", ("feed", "volume")).read_text().splitlines()[0]
    assert header == "time [h],feed [L/h],volume [L]"


def failing(path: Path) -> None:
    path.write_text("half of it")
    raise OSError("the disk is full")


def test_failed_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="the disk is full"):
        write_whole(tmp_path / "run.csv", failing)
    assert list(tmp_path.iterdir()) == []


def test_failed_writing_keeps_the_older_file(tmp_path: Path) -> None:
    (tmp_path / "run.csv").write_text("old")
    with pytest.raises(OSError, match="the disk is full"):
        write_whole(tmp_path / "run.csv", failing)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("run.csv", "old")]


def test_failed_saving_leaves_nothing(run: Trajectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmopt.results.over_time.write_netcdf", lambda data, path: failing(path))
    with pytest.raises(OSError, match="the disk is full"):
        run.save(tmp_path / "run.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"",
        lambda raw: b"not netCDF",
        lambda raw: raw[:100],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:-20],
        lambda raw: raw[:60] + bytes(400) + raw[460:],
    ],
    ids=["empty", "text", "cut early", "cut in the middle", "cut at the end", "zeroed"],
)
def test_damaged_file_is_refused(run: Trajectory, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = run.save(tmp_path / "run.nc")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StudyError, match=r"is not a trajectory mmopt wrote \([^\n]*\); run the study again$"):
        load_trajectory(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none.nc is not a trajectory mmopt wrote \(there is no such file\)"):
        load_trajectory(tmp_path / "none.nc")


def test_netcdf_of_others_is_refused(run: Trajectory, tmp_path: Path) -> None:
    path = tmp_path / "other.nc"
    run.data.to_netcdf(path, engine="h5netcdf")
    with pytest.raises(StudyError, match="is not a trajectory mmopt wrote"):
        load_trajectory(path)


def test_unknown_status_is_refused(run: Trajectory, tmp_path: Path) -> None:
    path = tmp_path / "other.nc"
    run.data.assign_attrs(status="FINE", stats="{}").to_netcdf(path, engine="h5netcdf")
    with pytest.raises(StudyError, match="is not a trajectory mmopt wrote"):
        load_trajectory(path)


def test_times_that_descend_are_refused() -> None:
    with pytest.raises(StudyError, match="times must be one ascending row"):
        trajectory(np.array([0.0, 2.0, 1.0]), {}, Status.SIMULATED)


def test_array_of_another_length_is_refused() -> None:
    with pytest.raises(StudyError, match=r"'volume' has shape \(3,\), but there are 2 times"):
        trajectory(np.array([0.0, 1.0]), {"volume": ("state", "L", np.zeros(3))}, Status.SIMULATED)


def test_unknown_quantity_names_what_there_is(run: Trajectory) -> None:
    with pytest.raises(KeyError, match=r"^this trajectory has no 'volum'; nearest known: volume$"):
        run["volum"]


def test_names_are_listed_by_kind(run: Trajectory) -> None:
    assert [run.names(kind) for kind in ("state", "control", "rate", "derived")] == [
        ("volume",),
        ("feed",),
        ("growth",),
        ("biomass_amount",),
    ]


def test_value_between_two_times_is_interpolated(run: Trajectory) -> None:
    assert run.at("volume", 1.25) == pytest.approx(1.25)


@pytest.mark.parametrize("status", Status)
def test_only_an_optimum_counts_as_solved(status: Status) -> None:
    assert status.solved == (status in (Status.OPTIMAL, Status.ACCEPTABLE))


@pytest.mark.parametrize("show", [repr, str, Trajectory._repr_html_])
def test_trajectory_shows_itself_briefly(run: Trajectory, show: Callable[[Trajectory], str]) -> None:
    text = show(run)
    assert len(text) < 700
    assert "3 times from 0 to 2 h, 4 quantities: simulated to the end" in text


def test_empty_trajectory_shows_itself() -> None:
    assert (
        str(trajectory(np.zeros(0), {}, Status.SIMULATED)) == "Trajectory(no times, 0 quantities: simulated to the end)"
    )


@pytest.mark.parametrize("name", [None, 3, ["volume"], float("nan")])
def test_quantity_that_is_no_text_is_unknown(run: Trajectory, name: object) -> None:
    with pytest.raises(StudyError, match=r"this trajectory has no .*; known: "):
        run[name]  # type: ignore[index]


@pytest.mark.parametrize(
    ("time", "values", "status", "stats", "message"),
    [
        ("now", {}, Status.SIMULATED, None, "time is 'now'; give an array of numbers"),
        (None, {}, Status.SIMULATED, None, "times must be one ascending row"),
        ([0.0, np.nan], {}, Status.SIMULATED, None, "times must be one ascending row of finite numbers"),
        ([[0.0]], {}, Status.SIMULATED, None, "times must be one ascending row"),
        ([0.0], None, Status.SIMULATED, None, "values is None; give .kind, unit, array. by name"),
        ([0.0], {"v": ("state", "L", ["x"])}, Status.SIMULATED, None, "'v' is .'x'.; give an array of numbers"),
        ([0.0], {}, "done", None, "status is 'done'; give a Status"),
        ([0.0], {}, Status.SIMULATED, "fast", "stats is 'fast'; give a mapping of names to figures"),
    ],
)
def test_wrong_argument_of_a_trajectory_is_named(time: Any, values: Any, status: Any, stats: Any, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        trajectory(time, values, status, stats)


def test_data_of_another_kind_are_refused() -> None:
    with pytest.raises(StudyError, match="data is None; give a Dataset with a coordinate 'time'"):
        Trajectory(None, Status.SIMULATED)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda run: run.at("volume", "noon"), "times is 'noon'; give an array of numbers"),
        (lambda run: run.at("volume", {}), "times is {}; give an array of numbers"),
        (lambda run: run.to_csv("run.csv", 3), "names is 3; give a tuple of names"),
        (lambda run: run.to_csv("run.csv", "volume"), "names is 'volume'; give a tuple of names"),
        (lambda run: run.to_csv("run.csv", ("volum",)), "this trajectory has no 'volum'"),
        (lambda _: load_trajectory(3), "path is 3; give the path of a trajectory"),  # type: ignore[arg-type]
        (
            lambda _: trajectory(np.zeros(1), {"v": 3}, Status.SIMULATED),
            "values of 'v' are 3; give .kind, unit, array.",
        ),  # type: ignore[dict-item]
    ],
)
def test_wrong_argument_of_a_method_is_named(
    run: Trajectory, use: Callable[[Trajectory], object], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        use(run)


def test_quantity_cannot_have_the_name_of_the_times() -> None:
    with pytest.raises(StudyError, match="'time'"):
        trajectory(np.zeros(2), {"time": ("state", "h", np.zeros(2))}, Status.SIMULATED)


def test_data_set_that_a_user_changes_is_what_the_trajectory_shows() -> None:
    run = trajectory(np.array([0.0, 1.0]), {"volume": ("state", "L", np.array([1.0, 2.0]))}, Status.SIMULATED)
    run.data["biomass"] = ("time", np.array([3.0, 4.0]), {"kind": "state", "units": "g/L"})
    assert run.names("state") == ("volume", "biomass")
    assert run.final("biomass") == 4.0


def test_computed_trajectory_is_replaced_copied_and_pickled_as_any_other(run: Trajectory) -> None:
    other = replace(run, stats={"seconds": 2.0})
    for again in (other, copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert type(again) is Trajectory
        assert again.data.identical(run.data)
    assert other.stats == {"seconds": 2.0}
    with pytest.raises(AttributeError, match="'Trajectory' object has no attribute 'dat'"):
        run.dat  # noqa: B018

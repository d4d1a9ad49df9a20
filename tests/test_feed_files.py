"""Feed tables are read as people write them, or refused by name; nothing outside of them is invented."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from mmopt.errors import StudyError
from mmopt.plan.feed_table import FeedTable
from mmopt.reactor.feed_units import rate_unit, read_title, time_factor
from mmopt.reactor.profiles import LinearFeed, StepFeed, is_stepwise, read_feed
from mmopt.reactor.vessels.ecoli import ecoli_fed_batch
from mmopt.simulation.simulate import simulate
from tests.test_reactor import Dead

HEADER = "from [h],to [h],rate [L/h]\n"
EDGES, RATES = (0.0, 1.5, 4.0), (0.02, 0.06)


def written(folder: Path, text: str | bytes, name: str = "feed.csv") -> Path:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder / name


def is_the_feed(feed: StepFeed | LinearFeed) -> bool:
    return (
        isinstance(feed, StepFeed) and np.allclose(feed.edges, EDGES, 1e-12) and np.allclose(feed.rates, RATES, 1e-12)
    )


# how a table is written


@pytest.mark.parametrize(
    "text",
    [
        "from [h];to [h];rate [L/h]\r\n0;1.5;0.02\r\n1.5;4;0.06\r\n",
        "from [h];to [h];rate [L/h]\n0,0;1,5;0,02\n1,5;4,0;0,06\n",
        "from [h]\tto [h]\trate [L/h]\n0\t1,5\t0,02\n1,5\t4\t0,06\n",
        'from [h],to [h],rate [L/h]\n"0","1,5","0,02"\n"1,5","4","0,06"\n',
        '"from [h]","to [h]","rate [L/h]"\n0, 1.5, 0.02\n1.5, 4, 0.06\n',
        "from [h]  to [h]  feed [L/h]\n  0    1.5   0.02\n 1.5   4    6e-2\n",
        "sep=;\nfrom;to;rate\n0;1.5;2E-2\n1.5;4;.06\n",
        "from|to|rate\n0|1.5|0.02\n1.5|4|0.06\n",
        "from [h],to [h],rate [L/h],\n0,1.5,0.02,\n1.5,4,0.06,\n,,,\n\n",
        "from,to,rate\n[h],[h],[L/h]\n0,1.5,0.02\n1.5,4,0.06",
        "# from [h],to [h],rate [mL/h]\n0,1.5,20\n1.5,4,60\n",
        "# fermentation 7\nfrom,to,rate\n0,1.5,0.02\n1.5,4,0.06\n",
        "rate [L/h],from [h],to [h]\n0.02,0,1.5\n0.06,1.5,4\n",
        "0 1.5 0.02\n1.5 4 0.06\n",
        "0;1,5;0,02\n1,5;4;0,06\n",
        "0,1.5,0.02\n1.5,4,0.06\n",
        "\n\n0\t1.5\t0.02\n1.5\t4\t0.06\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_table_is_read_however_it_is_written(tmp_path: Path, text: str, encoding: str) -> None:
    assert is_the_feed(read_feed(written(tmp_path, text.encode(encoding))))


@pytest.mark.parametrize(
    "text",
    [
        "time [h],step rate [L/h]\n0,0.02\n1.5,0.06\n4,0\n",
        "Time (h),Feed (L/h)\n0,0.02\n1.5,0.06\n4,0\n",
        "t/min;F/(mL/min)\n0;0,333333333333\n90;1\n240;0\n".replace("0,333333333333", "0,3333333333333333"),
        "0\t0.02\n1.5\t0.06\n4\t0\n",
        "start_h feed_mL_per_h\n0 20\n1.5 60\n4 0\n",
    ],
)
def test_rates_at_times_are_held_until_the_next_row(tmp_path: Path, text: str) -> None:
    assert is_the_feed(read_feed(written(tmp_path, text)))


def test_last_of_the_rates_at_times_is_held_until_the_end_of_the_batch(tmp_path: Path) -> None:
    assert is_the_feed(read_feed(written(tmp_path, "time,rate\n0,0.02\n1.5,0.06\n"), hours=4.0))


def test_last_of_the_rates_at_times_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        StudyError, match=r"0.06 L/h from 1.5 h on and no end of it; end the table with a row .* hours=12"
    ):
        read_feed(written(tmp_path, "time,rate\n0,0.02\n1.5,0.06\n"))


# units


@pytest.mark.parametrize(
    ("times", "per_hour"),
    [("h", 1.0), ("hours", 1.0), ("min", 60.0), ("Minutes", 60.0), ("s", 3600.0), ("sec", 3600.0), ("d", 1 / 24)],
)
@pytest.mark.parametrize(
    ("rate", "per_litre_an_hour"),
    [
        ("L/h", 1.0),
        ("l / h", 1.0),
        ("mL/h", 1e3),
        ("ml h-1", 1e3),
        ("mL·h⁻¹", 1e3),
        ("mL h^-1", 1e3),
        ("mL per hour", 1e3),
        ("mL/min", 1e3 / 60),
        ("µL/h", 1e6),
        ("μL/h", 1e6),
        ("uL/min", 1e6 / 60),
        ("µL/s", 1e6 / 3600),
        ("L/min", 1 / 60),
        ("L/d", 24.0),
        ("L/day", 24.0),
        ("litres/hr", 1.0),
        ("g/h", 1200.0),
        ("kg/h", 1.2),
        ("kg/d", 28.8),
        ("g/min", 20.0),
    ],
)
def test_units_of_the_header_are_converted(
    tmp_path: Path, times: str, per_hour: float, rate: str, per_litre_an_hour: float
) -> None:
    rows = [[low, high, given] for low, high, given in zip(EDGES[:-1], EDGES[1:], RATES, strict=True)]
    table = np.array(rows) * [per_hour, per_hour, per_litre_an_hour]
    lines = [f"from [{times}],to [{times}],feed ({rate})", *(",".join(map(repr, row)) for row in table.tolist())]
    assert is_the_feed(read_feed(written(tmp_path, "\n".join(lines)), density=1.2))


def test_micro_sign_of_windows_is_read(tmp_path: Path) -> None:
    text = "from [h];to [h];rate [µL/h]\n0;1,5;20000\n1,5;4;60000\n"
    assert is_the_feed(read_feed(written(tmp_path, text.encode("cp1252"))))


@pytest.mark.parametrize(
    ("title", "unit", "role"),
    [
        ("t / h", "h", "time"),
        ("F / (mL/h)", "mL/h", "rate"),
        ("F/(mL/h)", "mL/h", "rate"),
        ("Feed rate, mL/h", "mL/h", "rate"),
        ("feed_ml_min", "ml/min", "rate"),
        ("Feed in mL/min", "mL/min", "rate"),
        ("Start time (min)", "min", "from"),
        ("flow to the reactor [L/h]", "L/h", "rate"),
        ("pump 1 [L/h]", "L/h", "rate"),
        ("end of feed [h]", "h", "to"),
        ("glucose_feed", None, "rate"),
        ("to", None, "to"),
        ("feed rpm", "rpm", "rate"),
        ("feed [%]", "%", "rate"),
    ],
)
def test_title_has_a_unit_and_a_role(title: str, unit: str | None, role: str) -> None:
    known = read_title(title)
    assert (known.unit, known.role) == (unit, role)


@pytest.mark.parametrize("unit", ["gal/h", "L", "h", "mL/kg/h", "rpm", "mmol/h", "g/L", "m/h", "", "ML/h", "MG/h"])
def test_unit_that_is_unknown_or_ambiguous_is_no_rate(unit: str) -> None:
    assert rate_unit(unit) is None


@pytest.mark.parametrize("unit", ["m", "week", "", "h/L", "mL"])
def test_unit_that_is_unknown_is_no_time(unit: str) -> None:
    assert time_factor(unit) is None


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("from [h],to [h],rate [gal/h]", r"unit 'gal/h' in 'rate \[gal/h\]', .*known: L, mL or µL per h, min, s or d"),
        ("from [h],to [h],rate [ML/h]", "unit 'ML/h'"),
        ("from [h],to [h],rate [rpm]", "unit 'rpm'"),
        ("from [h],to [h],feed %", "unit '%'"),
        ("from [h],to [h],rate [mL]", "unit 'mL'"),
        ("from [h],to [h],rate []", "unit ''"),
        (
            "from [weeks],to [weeks],rate [L/h]",
            "unit 'weeks' in .*, which is no known unit of time; known: h, min, s or d",
        ),
        ("from [m],to [m],rate [L/h]", "unit 'm'"),
        ("from [h],to [h],rate [g/h]", r"rates in g/h; give the density of the feed \[kg/L\], as in density=1.2"),
        ("from,to,rate [mL/min]", r"no unit of its times; write it in the header, as in 'from \[min\]'"),
        ("from [min],to [min],rate", r"no unit of its rates; write it in the header, as in 'rate \[mL/min\]'"),
        ("time [h],glucose [L/h],ammonia [L/h]", "columns 'time .*; give rows of from, to, rate, or of time, rate"),
        ("to [h],time [h],rate [L/h]", "columns 'to "),
        ("from [h],to [h],linear rate [L/h]", "linear rates in rows of from, to, rate"),
        ("from,to,rate\nh,h,gal", "'h, h, gal' in line 2, which are no numbers and no known units"),
        ("from [h],to [h],rate [L/h]\nmin,min,mL/min", "units in its header and in line 2"),
    ],
)
def test_header_that_is_not_understood_is_refused_by_name(tmp_path: Path, header: str, reason: str) -> None:
    with pytest.raises(StudyError, match=reason):
        read_feed(written(tmp_path, f"{header}\n0,1,0.01\n1,3,0.02\n"))


def test_columns_without_a_unit_are_hourly_where_the_others_are(tmp_path: Path) -> None:
    assert is_the_feed(read_feed(written(tmp_path, "from,to,rate [mL/h]\n0,1.5,20\n1.5,4,60\n")))
    assert is_the_feed(read_feed(written(tmp_path, "from [h],to,rate\n0,1.5,0.02\n1.5,4,0.06\n")))


@pytest.mark.parametrize("density", [0.0, -1.0, 1200.0, float("nan"), "heavy"])
def test_density_that_cannot_be_is_refused(tmp_path: Path, density: float) -> None:
    with pytest.raises(StudyError, match="density is"):
        read_feed(written(tmp_path, HEADER + "0,1,0.01\n"), density=density)


# what is no feed


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ("0,2,-0.05", "rate -0.05 L/h in line 2; a feed cannot be below 0 L/h"),
        ("0,2,0.05\n2,3,−1e-9", "rate -1e-09 L/h in line 3"),
        ("0,2,0.05\n3,4,0.05", "no row from 2 h to 3 h, before line 3; give one, with the rate 0"),
        ("0,2,0.05\n1,4,0.05", "a row that begins at 1 h in line 3, before the one above ends at 2 h"),
        ("2,4,0.05\n0,2,0.05", "a row that begins at 0 h in line 3"),
        ("0,0,0.05", "a row from 0 h to 0 h in line 2; a row ends after it begins"),
        ("4,2,0.05", "a row from 4 h to 2 h"),
        ("0,2,nan", "'nan' in line 2, which is no finite number"),
        ("0,2,1e400", "'1e400' in line 2"),
        ("0,2,", "'' in line 2"),
        ("0,2,0.05 L/h", "'0.05 L/h' in line 2"),
        ("0,2,1_0", "'1_0' in line 2"),
        ("0,00:30,1", "'00:30' in line 2"),
        ("0,2,0.1,9", "no feed table: line 1 has 3 columns separated by commas, or rows differ in length"),
        ('0,2,"0,1"\n2,4,0.1', "numbers with points and with commas"),
        ('0,2,"1,000"', "'1,000', which is ambiguous: a decimal comma, or a thousand"),
        ("", "a header and no rows"),
    ],
)
def test_rows_that_are_no_feed_are_refused(tmp_path: Path, rows: str, reason: str) -> None:
    with pytest.raises(StudyError, match=rf"feed\.csv .*{reason}"):
        read_feed(written(tmp_path, HEADER + rows + "\n"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no rows"),
        ("one\ntwo\n", "line 1 has 1 columns"),
        (
            "0,01,0,02\n",
            "line 1 has 4 columns separated by commas.*semicolons between them where numbers have decimal commas",
        ),
        ("# all rates in mL/h\n0,2,10\n", "a comment, 'all rates in mL/h', and no header; write a header"),
        ("time,rate\n0,0.1\n0,0.2\n1,0\n", "the time 0 h in line 3 after 0 h"),
        (b"\x89PNG\0\0\0\x01\0\0", "save it as CSV|no feed table"),
        (b"\xd0\xcf\x11\xe0 old workbook", "an Excel workbook of the old format .*; save it as CSV"),
        (b"PK\x03\x04 none", "an Excel workbook or an archive that cannot be read .*; save it as CSV"),
    ],
)
def test_file_that_is_no_feed_table_is_refused(tmp_path: Path, text: str | bytes, reason: str) -> None:
    pytest.importorskip("openpyxl")
    with pytest.raises(StudyError, match=reason):
        read_feed(written(tmp_path, text))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"none\.csv is no feed table .*; give a CSV file"):
        read_feed(tmp_path / "none.csv")


def test_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    os.truncate(path, 17 * 2**20)
    with pytest.raises(StudyError, match="it has 17 MB; give at most 16"):
        read_feed(path)


# workbooks


def workbook(path: Path, *pages: list[list[object]]) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for number, rows in enumerate(pages):
        page = book.active if number == 0 else book.create_sheet()
        for row in rows:
            page.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize(
    "rows",
    [
        [["from [h]", "to [h]", "rate [mL/h]"], [0, 1.5, 20], [1.5, 4, 60.0]],
        [[], [None, "from [min]", "to [min]", "rate [L/h]"], [None, 0, 90, "0,02"], [None, 90, 240, "0,06"]],
        [[0.0, 1.5, 0.02], [1.5, 4.0, 0.06], [None, None, None]],
        [["time", "rate"], [0, 0.02], [1.5, 0.06], [4, 0]],
    ],
)
def test_workbook_is_read(tmp_path: Path, rows: list[list[object]]) -> None:
    assert is_the_feed(read_feed(workbook(tmp_path / "feed.xlsx", rows, [])))


def test_workbook_with_two_tables_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "feed.xlsx", [[0, 1, 0.1]], [[0, 1, 0.2]])
    with pytest.raises(StudyError, match=r"2 worksheets with content \(Sheet, Sheet1\); leave the feed table alone"):
        read_feed(path)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[0, True, 0.1]], "True in line 1, a date, a time of day or a truth value"),
        ([[0, 1, 0.1, 0.2]], "has 4 columns"),
        ([[0, 1, 0.1], [1, None, 0.2]], "'' in line 2, which is no finite number"),
        ([["from", "to", "rate [gal/h]"], [0, 1, 0.1]], "unit 'gal/h'"),
    ],
)
def test_workbook_that_is_no_feed_table_is_refused(tmp_path: Path, rows: list[list[object]], reason: str) -> None:
    with pytest.raises(StudyError, match=reason):
        read_feed(workbook(tmp_path / "feed.xlsx", rows))


def test_workbook_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(StudyError, match=r'openpyxl, which is missing: pip install "mmopt\[excel\]"'):
        read_feed(written(tmp_path, b"PK\x03\x04", "feed.xlsx"))


# outside of the rows


outside = pytest.mark.filterwarnings("ignore:.*the feed is 0 L/h outside of them:UserWarning")


@outside
def test_feed_is_zero_outside_of_its_rows(tmp_path: Path) -> None:
    feed = read_feed(written(tmp_path, HEADER + "1,2,0.05\n2,3,0.08\n"))
    assert [feed(time) for time in (0.0, 0.99, 1.0, 1.9, 2.0, 3.0, 3.1, 50.0)] == [
        *[0.0, 0.0, 0.05, 0.05],
        *[0.08, 0.08, 0.0, 0.0],
    ]


@pytest.mark.parametrize("time", [0.0, 4.0])
def test_time_outside_of_the_rows_is_warned_of(tmp_path: Path, time: float) -> None:
    feed = read_feed(written(tmp_path, HEADER + "1,2,0.05\n2,3,0.08\n"))
    with pytest.warns(
        UserWarning, match=r"feed\.csv has rows from 1 h to 3 h alone; the feed is 0 L/h outside of them"
    ):
        feed(time)


@outside
@pytest.mark.parametrize(
    ("text", "added"),
    [
        (HEADER + "2,3,0.05\n", 0.05),
        (HEADER + "0,1,0.05\n1,2,0.1\n", 0.15),
        ("from [min],to [min],rate [mL/min]\n60,120,1\n", 0.06),
        ("time [h],linear rate [L/h]\n1,0.0\n2,0.1\n3,0.0\n", 0.1),
    ],
)
def test_reactor_fills_by_the_rows_alone(tmp_path: Path, text: str, added: float) -> None:
    start = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
    feed = {"feed": read_feed(written(tmp_path, text))}
    volume = simulate(ecoli_fed_batch(), start, feed, 6.0, Dead(), tolerance=1e-9).final("volume")
    assert volume == pytest.approx(2.0 + added, abs=1e-6)


def test_simulation_that_leaves_the_rows_is_warned_of(tmp_path: Path) -> None:
    start = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
    feed = {"feed": read_feed(written(tmp_path, HEADER + "0,1,0.05\n"))}
    with pytest.warns(UserWarning, match="has rows from 0 h to 1 h alone"):
        simulate(ecoli_fed_batch(), start, feed, 2.0, Dead())


@pytest.mark.parametrize(
    ("rows", "hours"),
    [("0,6,0.05", 7.0), ("1,6,0.05", 6.0), ("0,360,0.05", 361.0), ("-2,-1,0.05", 6.0)],
)
def test_table_that_does_not_cover_the_batch_is_refused(tmp_path: Path, rows: str, hours: float) -> None:
    with pytest.raises(StudyError, match=rf"but the batch is from 0 h to {hours:g} h; add rows for the rest"):
        read_feed(written(tmp_path, HEADER + rows + "\n"), hours=hours)


@pytest.mark.parametrize("rows", ["-1,6,0.05", "0,24,0.05", "0,6,0.05\n6,9,0.1"])
def test_rows_before_and_after_the_batch_are_warned_of(tmp_path: Path, rows: str) -> None:
    with pytest.warns(UserWarning, match="those before 0 h and after the end of the batch at 6 h are not used"):
        read_feed(written(tmp_path, HEADER + rows + "\n"), hours=6.0)


def test_rounded_times_cover_the_batch(tmp_path: Path) -> None:
    hours = 11.123456789
    table = FeedTable((0.0, 4.0, hours), (0.01, 0.02), "L/h")
    feed = read_feed(table.to_csv(tmp_path / "feed.csv"), hours=hours)
    assert (feed(0.0), feed(hours)) == (0.01, 0.02)


# tables that mmopt writes


def test_table_of_a_plan_comes_back(tmp_path: Path) -> None:
    feed = read_feed(FeedTable(EDGES, RATES, "L/h").to_csv(tmp_path / "feed.csv"))
    assert is_the_feed(feed)
    assert is_stepwise(feed)


def test_lines_of_a_plan_are_never_taken_for_steps(tmp_path: Path) -> None:
    path = FeedTable((0.0, 2.0, 3.0), (0.01, 0.03, 0.0), "L/h", shape="lines").to_csv(tmp_path / "feed.csv")
    feed = read_feed(path)
    assert isinstance(feed, LinearFeed)
    assert feed(1.0) == pytest.approx(0.02)


def test_lines_come_back_as_lines(tmp_path: Path) -> None:
    feed = read_feed(written(tmp_path, "time [h],linear rate [L/h]\n0,0.01\n2,0.03\n3,0\n"))
    assert isinstance(feed, LinearFeed)
    assert feed(1.0) == pytest.approx(0.02)
    assert not is_stepwise(feed)


def test_control_that_is_hardly_used_is_zero_in_its_table() -> None:
    table = FeedTable((0.0, 1.0, 2.0), (3.6e-9, 2.9e-9), "L/h", largest=0.05)
    assert table.rows[:, -1].tolist() == [0.0, 0.0]

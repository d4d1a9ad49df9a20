"""A journal gives back what was put in, is for one table alone, and says what is wrong with a file that is not it."""

import sqlite3
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt.dataset.journal import Journal, Packed, pack, unpack
from mmopt.errors import StudyError
from mmopt.fba import FluxBatch
from mmopt.status import Status

FACTS = {"network": "e_coli_core", "seed": "3", "labels": "500"}
REACTIONS = 7


def fluxes(seed: int = 0) -> FluxBatch:
    """Fluxes at four points over seven reactions: empty columns, a negative zero, numbers of every size, and one not solved."""
    net = np.random.default_rng(seed).normal(size=(4, REACTIONS)) * 10.0 ** np.arange(-3, 4)
    net[:, [1, 4]] = 0.0
    net[0, 5] = -0.0
    net[3] = np.nan
    ended = (Status.OPTIMAL, Status.ACCEPTABLE, Status.OPTIMAL, Status.INFEASIBLE)
    return FluxBatch(net, np.array([0.1, 0.0, 1.0 / 3.0, np.nan]), np.array([0.0, 5e-324, 2.0, np.nan]), ended)


def bits(found: FluxBatch) -> list[object]:
    values = [getattr(found, field.name) for field in fields(found)]
    return [value.tobytes() if isinstance(value, np.ndarray) else value for value in values]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with two chunks."""
    path = tmp_path / "table.journal"
    with Journal(path, FACTS) as journal:
        journal.add(0, pack(fluxes(0)))
        journal.add(1, pack(fluxes(1)))
    return path


def kept(path: Path) -> dict[int, Packed]:
    with Journal(path, FACTS) as journal:
        return dict(journal.chunks())


def change(path: Path, statement: str, *values: object) -> None:
    base = sqlite3.connect(path)
    with base:
        base.execute(statement, values)
    base.close()


def test_packing_keeps_every_bit() -> None:
    assert bits(unpack(pack(fluxes()), REACTIONS)) == bits(fluxes())


def test_packing_leaves_out_empty_columns() -> None:
    only_zeros = FluxBatch(np.zeros((250, 3000)), np.zeros(250), np.zeros(250), (Status.OPTIMAL,) * 250)
    assert len(pack(only_zeros).net) < 100


def test_journal_gives_back_its_chunks(path: Path) -> None:
    assert kept(path) == {0: pack(fluxes(0)), 1: pack(fluxes(1))}


def test_journal_is_one_file(path: Path) -> None:
    assert [each.name for each in path.parent.iterdir()] == ["table.journal"]


def test_journal_makes_its_folder(tmp_path: Path) -> None:
    with Journal(tmp_path / "runs" / "mine" / "table.journal", FACTS) as journal:
        assert journal.path.is_file()


@pytest.mark.parametrize("column", ["status", "used", "net", "rates"])
def test_damaged_chunk_is_left_out(path: Path, column: str) -> None:
    change(path, f"UPDATE chunks SET {column} = (SELECT {column} || 'x' FROM chunks WHERE number = 1) WHERE number = 1")
    assert list(kept(path)) == [0]


def test_chunk_under_the_number_of_another_is_left_out(path: Path) -> None:
    change(path, "UPDATE chunks SET number = 5 WHERE number = 1")
    assert list(kept(path)) == [0]


def test_chunk_solved_again_takes_the_place_of_the_damaged(path: Path) -> None:
    change(path, "UPDATE chunks SET checksum = 'x' WHERE number = 1")
    with Journal(path, FACTS) as journal:
        journal.add(1, pack(fluxes(1)))
    assert list(kept(path)) == [0, 1]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({**FACTS, "seed": "4"}, r"\(seed: 4 here, 3 in the journal\)"),
        ({**FACTS, "network": "iJO1366", "labels": "9"}, r"network: iJO1366 here, .*; size: 9 here, 500"),
        ({**FACTS, "numpy": "2.4.6"}, r"\(numpy: 2.4.6 here, None in the journal\)"),
    ],
    ids=["one differs", "two differ", "one is new"],
)
def test_journal_of_another_table_is_refused_by_what_differs(path: Path, facts: dict[str, str], said: str) -> None:
    with pytest.raises(
        StudyError, match=f"belongs to another table of fluxes .*{said}.*give another path, or delete it"
    ):
        Journal(path, facts)


def test_refused_journal_keeps_its_chunks(path: Path) -> None:
    with pytest.raises(StudyError, match="belongs to another table of fluxes"):
        Journal(path, {**FACTS, "seed": "4"})
    assert list(kept(path)) == [0, 1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"label,growth\n1,0.5\n" * 100,
        lambda raw: raw[:100],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:4096] + bytes(4096) + raw[8192:],
    ],
    ids=["text", "cut early", "cut in the middle", "zeroed page"],
)
def test_damaged_journal_is_refused(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StudyError, match=r"is damaged, or is no journal \(.*\); delete it to start again"):
        kept(path)


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_never_gives_other_numbers(path: Path, seed: int) -> None:
    raw, where = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in where.integers(len(raw), size=20):
        raw[place] ^= 1 + int(where.integers(255))
    path.write_bytes(raw)
    try:
        found = kept(path)
    except StudyError:
        return
    assert found.items() <= {0: pack(fluxes(0)), 1: pack(fluxes(1))}.items()


def test_header_that_was_changed_is_refused(path: Path) -> None:
    change(path, "UPDATE header SET facts = replace(facts, '500', '600')")
    with pytest.raises(StudyError, match="its header was changed"):
        kept(path)


def test_database_of_others_is_refused(tmp_path: Path) -> None:
    change(tmp_path / "mine.db", "CREATE TABLE mine (value)")
    with pytest.raises(StudyError, match=r"mine.db is a database, but no journal of mmopt; give another path"):
        Journal(tmp_path / "mine.db", FACTS)


def test_folder_as_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"cannot be opened to write .*; give a path that can be written"):
        Journal(tmp_path, FACTS)


def test_journal_under_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match=r"cannot be created .*; give a path in a folder that can be written"):
        Journal(tmp_path / "file" / "table.journal", FACTS)


def test_journal_that_another_process_writes_is_refused(path: Path) -> None:
    second = f"from mmopt.dataset.journal import Journal\nJournal({str(path)!r}, {FACTS!r})"
    with Journal(path, FACTS) as first:
        done = subprocess.run([sys.executable, "-c", second], capture_output=True, text=True, check=False)
        first.add(2, pack(fluxes(2)))
    assert "is being written by another process; wait for it to end, or give another path" in done.stderr
    assert list(kept(path)) == [0, 1, 2]


def packed_chunk(points: int = 3, reactions: int = 5) -> Packed:
    net = np.arange(1.0, 1.0 + points * reactions).reshape(points, reactions)
    return pack(FluxBatch(net, np.ones(points), np.zeros(points), (Status.OPTIMAL,) * points))


@pytest.mark.parametrize(
    "changes",
    [
        {"net": zlib.compress(bytes(2**26), 9)},
        {"net": b"x"},
        {"net": zlib.compress(bytes(8))},
        {"status": "OPTIMAL " * 100_000},
        {"status": "OPTIMAL OPTIMAL GOOD"},
        {"used": np.array([0, 1, 2, 3, 5], dtype="<i4").tobytes()},
        {"used": np.array([-1, 1, 2, 3, 4], dtype="<i4").tobytes()},
        {"used": bytes(10**6)},
        {"used": None},
        {"rates": bytes(8)},
    ],
    ids=range(10),
)
def test_chunk_of_another_size_is_refused_before_it_takes_memory(changes: dict[str, Any]) -> None:
    whole = packed_chunk()
    np.testing.assert_array_equal(unpack(whole, 5, 3).net, np.arange(1.0, 16.0).reshape(3, 5))
    tracemalloc.start()
    with pytest.raises(StudyError, match="a chunk of the journal does not fit its table"):
        unpack(whole._replace(**changes), 5, 3)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**25

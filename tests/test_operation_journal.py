"""A batch goes on after its process was killed, is the same when replayed, and no other file is taken for its journal."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmopt import StudyError
from mmopt.control import LateValue
from mmopt.operation import Action, Journal, Mode, Record, Supervisor, replay
from mmopt.operation.encoding import as_json, from_json, packed, unpacked
from tests.operation_case import (
    START,
    STEPS,
    controller_of,
    estimator_of,
    inputs,
    problem_of,
    run,
    supervisor_of,
)
from tests.operation_case import controllers_are_used_again as controllers_are_used_again

ROOT = Path(__file__).parents[1]
KINDS = ("kalman_filter", "moving_horizon")


def moves(actions: list[Action]) -> list[object]:
    return [(action.controls, action.move and action.move.controls, action.left_out) for action in actions]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def uninterrupted(kind: str) -> tuple[list[Action], Supervisor]:
    supervisor = supervisor_of(kind)
    return run(supervisor), supervisor


def killed(path: Path, kind: str, steps: int, delay: float | None) -> None:
    """Run a batch in a process of its own, and kill it after some steps or, with a delay [s], in the next one."""
    command = [sys.executable, "-m", "tests.operation_case", str(path), kind, str(steps)]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "recorded\n"
        if delay is not None:
            process.stdin.write("go on\n")
            process.stdin.flush()
            time.sleep(delay)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert process.stdout.read() == ""


@pytest.mark.parametrize(("steps", "delay"), [(4, None), (3, 0.02)], ids=["between steps", "in a step"])
def test_batch_goes_on_after_its_process_was_killed(
    uninterrupted: tuple[list[Action], Supervisor], kind: str, steps: int, delay: float | None, tmp_path: Path
) -> None:
    whole, last = uninterrupted
    killed(tmp_path / "batch.journal", kind, steps, delay)
    with Journal(tmp_path / "batch.journal") as journal:
        done = journal.steps
        assert steps <= done < STEPS
        again = supervisor_of(kind, journal, resume=True)
        assert again.mode is Mode.AUTO
        assert moves(run(again, done)) == moves(whole[done:])
        assert again.states == last.states
        assert again.controller.plan is not None
        assert last.controller.plan is not None
        assert np.array_equal(again.controller.plan["biomass"], last.controller.plan["biomass"])
        assert journal.steps == STEPS


def test_moves_need_the_memory_of_the_solver(
    uninterrupted: tuple[list[Action], Supervisor], kind: str, tmp_path: Path
) -> None:
    """The comparison to the last bit can fail: without multipliers and values moves differ, if only by rounding."""
    with Journal(tmp_path / "batch.journal") as journal:
        run(supervisor_of(kind, journal), 0, 4)
        journal.keep({**journal.memory(), "controller": {**journal.memory()["controller"], "solver": None}})
        again = supervisor_of(kind, journal, resume=True)
        actions = run(again, 4)
        assert moves(actions) != moves(uninterrupted[0][4:])
        assert [action.notes for action in actions] == [
            ("the solver begins anew: moves may differ from those without a restart by rounding",),
            (),
        ]


def test_mode_that_was_set_after_the_last_step_is_that_after_a_restart(tmp_path: Path) -> None:
    problem = problem_of()
    with Journal(tmp_path / "batch.journal") as journal:
        supervisor = Supervisor(controller_of(problem), journal=journal, mode=Mode.AUTO)
        supervisor.step(0.0, START)
        supervisor.set_manual({"feed": 0.03})
        supervisor.set_mode(Mode.MANUAL)
    with Journal(tmp_path / "batch.journal") as journal:
        again = Supervisor.resume(controller_of(problem), journal=journal)
        assert again.mode is Mode.MANUAL
        assert again.step(0.5, START).controls == {"feed": 0.03}


def test_empty_journal_is_resumed_as_a_new_batch(tmp_path: Path) -> None:
    with Journal(tmp_path / "batch.journal") as journal:
        assert Supervisor.resume(controller_of(problem_of()), journal=journal, mode=Mode.SHADOW).mode is Mode.SHADOW


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a batch."""
    path = tmp_path_factory.mktemp("journal") / "batch.journal"
    with Journal(path) as journal:
        run(supervisor_of("kalman_filter", journal))
    return path


@pytest.fixture
def path(written: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy.journal"
    copy.write_bytes(written.read_bytes())
    return copy


def test_closed_journal_is_one_file_and_its_lock(written: Path) -> None:
    assert sorted(one.name for one in written.parent.iterdir()) == ["batch.journal", "batch.journal.lock"]


def test_record_has_what_the_step_was_given(written: Path) -> None:
    with Journal(written) as journal:
        records = list(journal.records())
    assert [record.action.mode for record in records] == [Mode.SHADOW] + [Mode.AUTO] * (STEPS - 1)
    assert [record.begins for record in records] == [False, True] + [False] * (STEPS - 2)
    assert records[0].applied == {"feed": 0.004}
    assert np.isnan(records[1].measured.pop("glucose"))
    received = [dict(one) for one in inputs()]
    del received[1]["glucose"]
    assert [record.measured for record in records] == received
    assert records[2].states.keys() == START.keys()
    assert records[2].parameters.keys() == {"kla"}


def test_journal_is_read_while_it_is_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "batch.journal") as journal, Journal(tmp_path / "batch.journal") as reader:
        Supervisor(controller_of(problem_of()), journal=journal).step(0.0, START)
        assert [record.measured for record in reader.records()] == [START]


def test_replay_of_a_batch_has_the_same_moves(written: Path) -> None:
    with Journal(written) as journal:
        replayed = replay(journal, supervisor_of("kalman_filter"))
    assert replayed.same
    assert str(replayed) == f"{STEPS} steps, all moves the same"


def test_replay_reports_which_step_differs_and_by_how_much(written: Path) -> None:
    problem = problem_of(rate_limit=0.02)
    surer = estimator_of(problem)
    surer._filter._noise["biomass"] = 0.01
    with Journal(written) as journal:
        replayed = replay(journal, Supervisor(controller_of(problem), surer))
        recorded = list(journal.records())
    first = replayed.differences[0]
    assert (first.step, first.name) == (1, "move feed")
    assert recorded[0].action.move is not None
    assert first.recorded == recorded[0].action.move.controls["feed"]
    assert 0.0 < abs(first.recorded - first.replayed) <= replayed.largest < 0.1
    assert "the first in step 1 at 0 h: move feed" in str(replayed)


def test_replay_of_an_empty_journal_is_refused(tmp_path: Path) -> None:
    with (
        Journal(tmp_path / "batch.journal") as journal,
        pytest.raises(StudyError, match="has no steps; give that of a batch"),
    ):
        replay(journal, Supervisor(controller_of(problem_of())))


def test_journal_with_steps_is_not_begun_again(path: Path) -> None:
    with (
        Journal(path) as journal,
        pytest.raises(StudyError, match=r"has 6 steps; continue that batch by Supervisor\.res"),
    ):
        supervisor_of("kalman_filter", journal)


def test_journal_of_another_problem_is_refused(path: Path) -> None:
    other = problem_of(rate_limit=0.03)
    with Journal(path) as journal:
        with pytest.raises(
            StudyError, match=r"is that of another batch \(problem: \w+ here, \w+ there\); give another"
        ):
            Supervisor.resume(controller_of(other), estimator_of(other), journal=journal)
        with pytest.raises(StudyError, match="is that of another problem"):
            replay(journal, Supervisor(controller_of(other), estimator_of(other)))


def test_journal_of_another_estimator_is_refused(path: Path) -> None:
    with (
        Journal(path) as journal,
        pytest.raises(StudyError, match=r"estimator: MovingHorizon.* here, Estimator .* there"),
    ):
        supervisor_of("moving_horizon", journal, resume=True)


def test_second_process_that_writes_is_refused(path: Path) -> None:
    with Journal(path) as first, Journal(path) as second:
        first.claim(first.facts)
        with pytest.raises(StudyError, match="is being written by another process; end that one first"):
            second.claim(second.facts)
        first.add(Record(Action(3.0, Mode.OFF, None, None), {}, None), {})
        assert first.steps == STEPS + 1


def test_unclaimed_journal_is_not_written(path: Path) -> None:
    with Journal(path) as journal, pytest.raises(StudyError, match="open for reading; claim it first"):
        journal.add(Record(Action(3.0, Mode.OFF, None, None), {}, None), {})


def change(path: Path, statement: str, *values: object) -> None:
    base = sqlite3.connect(path)
    with base:
        base.execute(statement, values)
    base.close()


def read(path: Path) -> tuple[list[Record], object]:
    with Journal(path) as journal:
        return list(journal.records()), journal.memory()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE steps SET measured = '{}' WHERE number = 2", "step 2 was changed"),
        ("UPDATE steps SET number = 9 WHERE number = 2", "step 9 was changed"),
        ("UPDATE memory SET content = content || x'00'", "what a restart needs was changed"),
        ("UPDATE header SET facts = replace(facts, 'shrinking', 'receding')", "its header was changed"),
        ("DROP TABLE steps", "no such table"),
    ],
)
def test_changed_journal_is_refused(path: Path, statement: str, said: str) -> None:
    change(path, statement)
    with pytest.raises(StudyError, match=rf"is damaged, or is no journal \({said}.*\); give another path, or restore"):
        read(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: b"time,feed\n1,0.5\n" * 100,
        lambda raw: raw[:100],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw[:4096] + bytes(4096) + raw[8192:],
    ],
    ids=["text", "cut early", "cut in the middle", "zeroed page"],
)
def test_damaged_journal_is_refused(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StudyError, match=r"is damaged, or is no journal \(.*\); give another path"):
        read(path)


@pytest.mark.parametrize("seed", range(8))
def test_random_damage_never_gives_other_steps(path: Path, written: Path, seed: int) -> None:
    raw, where = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for at in where.integers(len(raw), size=20):
        raw[at] ^= 1 + int(where.integers(255))
    path.write_bytes(raw)
    try:
        records, _ = read(path)
    except StudyError:
        return
    assert repr(records) == repr(read(written)[0])


def test_database_of_others_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    change(tmp_path / "mine.db", "CREATE TABLE mine (value)")
    before = (tmp_path / "mine.db").read_bytes()
    with pytest.raises(StudyError, match=r"mine.db is a database, but no journal of a supervisor; give another path"):
        Journal(tmp_path / "mine.db")
    assert (tmp_path / "mine.db").read_bytes() == before


def test_folder_as_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"cannot be opened to write .*; give a path that can be written"):
        Journal(tmp_path)


@pytest.mark.parametrize(
    "memory",
    [None, 7, {}, {"mode": "AUTO"}, "nothing"],
    ids=["none", "number", "empty", "short", "text"],
)
def test_memory_of_another_kind_is_refused(path: Path, memory: object) -> None:
    with Journal(path) as journal:
        journal.claim(journal.facts)
        journal.keep([memory])  # with a right checksum
        journal.close()
    with Journal(path) as journal, pytest.raises(StudyError, match=r"cannot be continued \(.*\); begin with another"):
        supervisor_of("kalman_filter", journal, resume=True)


def test_memory_of_another_size_is_refused(path: Path) -> None:
    with Journal(path) as journal:
        memory = journal.memory()
        memory["controller"]["solver"]["values"] = np.zeros(3)
        journal.claim(journal.facts)
        journal.keep(memory)
    with Journal(path) as journal, pytest.raises(StudyError, match=r"cannot be continued \(.*another shape"):
        supervisor_of("kalman_filter", journal, resume=True)


def test_step_that_cannot_be_recorded_is_done_and_says_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "batch.journal")
    supervisor = Supervisor(controller_of(problem_of()), journal=journal, mode=Mode.AUTO)
    journal.close()
    action = supervisor.step(0.0, START)
    assert action.controls is not None
    assert "the step is not recorded" in action.notes[-1]


@pytest.mark.parametrize(
    "value", [1, 0.1, -0.0, float("inf"), None, True, "text", LateValue(2.5, 1.0), LateValue(float("inf"), 0.0)]
)
def test_value_of_any_kind_comes_back(value: object) -> None:
    again = from_json(json.loads(json.dumps(as_json(value), allow_nan=False)))
    assert (repr(again), type(again)) == (repr(value), type(value))


@pytest.mark.parametrize("value", [10**400, 1j, object(), [1.0], np.zeros(2), b"raw", np.datetime64(1, "s")])
def test_value_that_json_cannot_contain_is_described(value: object) -> None:
    assert isinstance(from_json(json.loads(json.dumps(as_json(value), allow_nan=False))), str)


def test_memory_comes_back_to_the_last_bit() -> None:
    array = np.array([[0.1, -0.0, np.nan], [np.inf, 5e-324, 1 / 3]])
    again = unpacked(packed({"array": array, "number": 0.1 + 0.2, "none": None, "of NumPy": np.float64(1 / 3)}))
    assert again["array"].tobytes() == array.tobytes()
    assert again["array"].shape == array.shape
    assert (again["number"], again["of NumPy"], again["none"]) == (0.1 + 0.2, 1 / 3, None)


@pytest.mark.parametrize("raw", [b"", b"nothing", packed({"a": 1.0})[:-3]], ids=["empty", "text", "cut off"])
def test_bytes_that_are_no_memory_are_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"no memory|cut off"):
        unpacked(raw)


def test_memory_that_would_fill_the_machine_is_refused() -> None:
    with pytest.raises(ValueError, match="cut off, or too large"):
        unpacked(packed("x" * 70 * 2**20))

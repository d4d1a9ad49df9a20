"""FluxBatch are the same to the last bit whoever solves them, however often that was interrupted, and whoever was killed."""

import multiprocessing
import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from mmopt.dataset import FluxTable, load_table, tabulate_fluxes
from mmopt.dataset.journal import Journal
from mmopt.dataset.payload import FluxSource
from mmopt.dataset.table_file import checksum
from mmopt.dataset.tabulate import CHUNK
from mmopt.errors import SolverError, StudyError
from mmopt.fba import Atlas, Domain, FluxBatch, FluxProgram
from mmopt.network.network import Network
from mmopt.parallel import cluster as clusters

DOMAIN = Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 4.0)})
SIZE = 4 * CHUNK + 7
KILLS = 6

SCRIPT = f"""
import pickle, resource, sys
from pathlib import Path


def sample(folder, workers, n, room):
    from mmopt import tabulate_fluxes
    from mmopt.fba import Domain

    network = pickle.loads((folder / "network.pickle").read_bytes())
    if room:  # the largest file this process may write, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    domain = Domain({dict(DOMAIN.limits)!r})
    journal = folder / "table.journal"
    report = lambda done, total: print(done, flush=True)
    table = tabulate_fluxes(network, domain, n, seed=3, workers=workers, journal=journal, progress=report)
    table.save(folder / "table.nc")


if __name__ == "__main__":
    sample(Path(sys.argv[1]), *map(int, sys.argv[2:]))
"""

STARTER = """
import os, signal, sys
from pathlib import Path

from script import sample

if __name__ == "__main__":
    import mmopt.fba, mmopt.dataset.tabulate

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            sys.stdout = open(os.devnull, "w")
            sample(Path("."), *map(int, line.split()))
            os._exit(0)
        print(child, flush=True)
"""
"""Starts samplings as processes of their own in which everything is imported already."""


class Busy:
    """A source of fluxes that takes a while, and that kills its process at one point."""

    def __init__(self, program: FluxProgram, seconds: float = 0.0, deadly: float = np.inf) -> None:
        self.program, self.seconds, self.deadly = program, seconds, deadly
        self.network, self.inputs, self.digest = program.network, program.inputs, program.digest

    def batch(self, points: np.ndarray) -> FluxBatch:
        time.sleep(self.seconds)
        if np.any(points == self.deadly):
            os.kill(os.getpid(), signal.SIGKILL)
        return self.program.batch(points)


class Failing(Busy):
    """Answers with a mistake in them."""

    def batch(self, points: np.ndarray) -> FluxBatch:
        raise StudyError("this cannot be answered")


@pytest.fixture(scope="module")
def program(textbook: Network) -> FluxProgram:
    return FluxProgram(textbook, DOMAIN.inputs)


@pytest.fixture(scope="module")
def alone(textbook: Network) -> FluxTable:
    """The table as this process makes it, at one go."""
    return tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3)


def acting_at(size: int, act: Callable[[], object]) -> Callable[[int, int], None]:
    """Progress that acts once, when so many points are finished."""
    acted: list[object] = []

    def tell(done: int, total: int) -> None:
        if done >= size and not acted:
            acted.append(act())

    return tell


def interrupt() -> None:
    raise KeyboardInterrupt


def kill_a_worker() -> None:
    os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)


def same(one: FluxTable, other: FluxTable) -> bool:
    return checksum(one.data) == checksum(other.data)


def test_two_workers_make_the_same_table(textbook: Network, alone: FluxTable) -> None:
    assert same(tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, workers=2), alone)


def test_two_workers_with_an_atlas_make_the_table_of_one(textbook: Network) -> None:
    atlas = Atlas(textbook, DOMAIN)
    atlas.extend(np.array([[10.0, 15.0, 0.0], [5.0, 2.0, 1.0]]))
    one = tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, source=atlas)
    assert same(tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, source=atlas, workers=2), one)


@pytest.mark.parametrize("workers", [1, 2])
def test_resumed_table_is_the_uninterrupted(textbook: Network, alone: FluxTable, tmp_path: Path, workers: int) -> None:
    journal = tmp_path / "table.journal"
    with pytest.raises(KeyboardInterrupt):
        tabulate_fluxes(
            textbook, DOMAIN, SIZE, seed=3, workers=workers, journal=journal, progress=acting_at(2 * CHUNK, interrupt)
        )
    assert same(tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, workers=workers, journal=journal), alone)


def test_resuming_solves_only_what_is_missing(textbook: Network, program: FluxProgram, tmp_path: Path) -> None:
    journal, reports = tmp_path / "table.journal", []
    with pytest.raises(KeyboardInterrupt):
        tabulate_fluxes(textbook, DOMAIN, SIZE, journal=journal, progress=acting_at(2 * CHUNK, interrupt))
    tabulate_fluxes(textbook, DOMAIN, SIZE, journal=journal, progress=lambda done, _: reports.append(done))
    assert reports == [2 * CHUNK, 3 * CHUNK, 4 * CHUNK, SIZE]


def test_damaged_chunk_is_solved_again(textbook: Network, alone: FluxTable, tmp_path: Path) -> None:
    journal = tmp_path / "table.journal"
    tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, journal=journal)
    base = sqlite3.connect(journal)
    with base:
        base.execute("UPDATE chunks SET rates = zeroblob(length(rates)) WHERE number = 1")
    base.close()
    assert same(tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, journal=journal), alone)


@pytest.mark.parametrize(
    ("domain", "n", "seed", "said"),
    [
        (DOMAIN, SIZE, 4, r"seed: 4 here, 3 in the journal"),
        (DOMAIN, 300, 3, r"size: 300 here, 1007 in the journal"),
        (
            Domain({"EX_glc__D_e": (0.0, 9.0)}),
            SIZE,
            3,
            r"domain: EX_glc__D_e 0.0 to 9.0 here, EX_glc__D_e 0.0 to 12.0,",
        ),
    ],
    ids=["seed", "size", "domain"],
)
def test_journal_of_another_table_is_refused(
    textbook: Network, tmp_path: Path, domain: Domain, n: int, seed: int, said: str
) -> None:
    with pytest.raises(KeyboardInterrupt):
        tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, journal=tmp_path / "j", progress=acting_at(CHUNK, interrupt))
    with pytest.raises(StudyError, match=said):
        tabulate_fluxes(textbook, domain, n, seed, journal=tmp_path / "j")


def test_killed_worker_costs_nothing_but_time(textbook: Network, alone: FluxTable, program: FluxProgram) -> None:
    source = Busy(program, seconds=0.2)
    made = tabulate_fluxes(
        textbook, DOMAIN, SIZE, seed=3, source=source, workers=2, progress=acting_at(CHUNK, kill_a_worker)
    )
    assert same(made, alone)


def test_chunk_that_kills_its_workers_is_named(textbook: Network, alone: FluxTable, program: FluxProgram) -> None:
    source = Busy(program, deadly=alone.inputs[2 * CHUNK + 1, 0])
    with pytest.raises(SolverError, match=r"3 workers died while they solved chunk 2 \(250 points\)"):
        tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, source=source, workers=2)


def test_error_in_a_worker_comes_as_it_is(textbook: Network, program: FluxProgram) -> None:
    with pytest.raises(StudyError, match="this cannot be answered"):
        tabulate_fluxes(textbook, DOMAIN, SIZE, source=Failing(program), workers=2)


def test_interrupted_sampling_leaves_no_worker(textbook: Network, program: FluxProgram) -> None:
    with pytest.raises(KeyboardInterrupt):
        tabulate_fluxes(
            textbook,
            DOMAIN,
            SIZE,
            source=Busy(program, seconds=0.5),
            workers=2,
            progress=acting_at(CHUNK, interrupt),
        )
    assert multiprocessing.active_children() == []


class Scripted:
    """Runs of a sampling as a program of its own."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.folder = folder
        (folder / "network.pickle").write_bytes(pickle.dumps(network))
        (folder / "script.py").write_text(SCRIPT)

    @property
    def journal(self) -> Path:
        return self.folder / "table.journal"

    @property
    def table(self) -> Path:
        return self.folder / "table.nc"

    def start(self, *, workers: int = 2, size: int = SIZE, room: int = 0) -> "subprocess.Popen[str]":
        words = [sys.executable, "script.py", ".", workers, size, room]
        return subprocess.Popen(
            list(map(str, words)),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def clear(self) -> None:
        for path in (self.journal, self.table):
            path.unlink(missing_ok=True)


@pytest.fixture
def scripted(tmp_path: Path, textbook: Network) -> Scripted:
    return Scripted(tmp_path, textbook)


def everybody(process: "subprocess.Popen[str] | psutil.Process") -> list[psutil.Process]:
    """A process with all that came from it."""
    try:
        first = psutil.Process(process.pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def lives(process: psutil.Process) -> bool:
    """Whether a process still runs; a zombie is dead, and waits for the system to say so."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def left_of(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of some processes that are still there after a while."""
    for _ in range(2000):
        processes = [each for each in processes if lives(each)]
        if not processes:
            break
        time.sleep(0.01)
    return processes


def integrity(journal: Path) -> str:
    base = sqlite3.connect(journal)
    found = base.execute("PRAGMA integrity_check").fetchone()[0]
    base.close()
    return str(found)


class Starter:
    """Samplings in processes of their own, which are spared the imports."""

    def __init__(self, scripted: Scripted) -> None:
        folder = scripted.folder
        (folder / "starter.py").write_text(STARTER)
        words = [sys.executable, "starter.py"]
        self._process = subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, workers: int, size: int) -> psutil.Process:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(workers, size, 0, file=self._process.stdin, flush=True)
        return psutil.Process(int(self._process.stdout.readline()))

    def finish(self, workers: int, size: int) -> float:
        """Run to the end; how long that took [s]."""
        process, began = self.start(workers, size), time.monotonic()
        process.wait(timeout=120.0)
        return time.monotonic() - began

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def starter(scripted: Scripted) -> Iterator[Starter]:
    starter = Starter(scripted)
    yield starter
    starter.close()


def test_kills_change_nothing(scripted: Scripted, starter: Starter, textbook: Network) -> None:
    """Kill a run at random moments of its running time, resuming it each time; when it gets through, start again."""
    size, lasted = 5 * CHUNK, {}
    for workers in (1, 2):
        scripted.clear()
        lasted[workers] = starter.finish(workers, size)
        whole = load_table(scripted.table, textbook)
    scripted.clear()
    killed = 0
    for number, fraction in enumerate(np.random.default_rng(7).uniform(size=100)):
        if killed == KILLS:
            break
        workers = 1 + (number % 4 == 3)  # two begin with a second of imports
        process = starter.start(workers, size)
        try:
            process.wait(timeout=fraction * lasted[workers])
        except psutil.TimeoutExpired:
            present = everybody(process)
            killed += bool(present)
            with suppress(psutil.NoSuchProcess):
                process.kill()
            assert left_of(present) == []
        if scripted.journal.exists():
            assert integrity(scripted.journal) == "ok"
        if scripted.table.exists():
            assert same(load_table(scripted.table, textbook), whole)
            scripted.clear()
    assert killed == KILLS
    starter.finish(1, size)
    assert same(load_table(scripted.table, textbook), whole)


def test_ctrl_c_leaves_a_good_journal_and_nobody_behind(scripted: Scripted) -> None:
    with scripted.start(size=40 * CHUNK) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        present = everybody(process)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal sends: to the workers too
        assert left_of(present) == []
        assert "KeyboardInterrupt" in process.stderr.read()
    assert integrity(scripted.journal) == "ok"


def test_full_disk_ends_cleanly_with_the_journal_intact(
    scripted: Scripted, textbook: Network, alone: FluxTable
) -> None:
    with scripted.start(room=150_000, workers=1) as process:
        said = process.communicate()[1]
    assert re.search(r"StudyError: journal table.journal cannot be .*; make room and run the same again", said)
    assert integrity(scripted.journal) == "ok"
    reports: list[int] = []
    made = tabulate_fluxes(
        textbook, DOMAIN, SIZE, seed=3, journal=scripted.journal, progress=lambda done, _: reports.append(done)
    )
    assert reports[0] >= CHUNK
    assert same(made, alone)


@pytest.mark.parametrize("suffix", [".nc", ".parquet"])
def test_full_disk_keeps_the_older_table(scripted: Scripted, alone: FluxTable, suffix: str) -> None:
    path = alone.save(scripted.folder / f"table{suffix}")
    raw = path.read_bytes()
    code = (
        "import resource, sys, pickle\nfrom mmopt.dataset import load_table\n"
        f"table = load_table({str(path)!r}, pickle.load(open('network.pickle', 'rb')))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"table.save({str(path)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=scripted.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.search(r"StudyError: the table cannot be saved as .*File too large\); make room", done.stderr)
    assert path.read_bytes() == raw
    assert [each.name for each in scripted.folder.glob(".*")] == []


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """A Dask cluster of two processes on this machine."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as made:
        yield made


def test_dask_makes_the_same_table(textbook: Network, alone: FluxTable, cluster: object) -> None:
    address = cluster.scheduler_address  # type: ignore[attr-defined]
    assert same(tabulate_fluxes(textbook, DOMAIN, SIZE, seed=3, scheduler=address), alone)


def test_killed_dask_worker_costs_nothing_but_time(
    textbook: Network, alone: FluxTable, program: FluxProgram, cluster: object
) -> None:
    def kill() -> None:
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)  # type: ignore[attr-defined]

    address = cluster.scheduler_address  # type: ignore[attr-defined]
    source = Busy(program, seconds=0.2)
    made = tabulate_fluxes(
        textbook, DOMAIN, SIZE, seed=3, source=source, scheduler=address, progress=acting_at(CHUNK, kill)
    )
    assert same(made, alone)


@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:9", "nowhere"])
def test_scheduler_that_does_not_answer_is_refused(
    textbook: Network, monkeypatch: pytest.MonkeyPatch, scheduler: str
) -> None:
    monkeypatch.setattr(clusters, "_PATIENCE", 0.5)
    with pytest.raises(StudyError, match=f"no Dask scheduler answers at {scheduler} .*; start one with"):
        tabulate_fluxes(textbook, DOMAIN, 8, scheduler=scheduler)


def test_scheduler_without_workers_is_refused(textbook: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(clusters, "_PATIENCE", 0.5)
    with (
        LocalCluster(n_workers=0, processes=True, dashboard_address=":0", silence_logs=50) as empty,
        pytest.raises(StudyError, match=r"has no workers; start some with `dask worker tcp://"),
    ):
        tabulate_fluxes(textbook, DOMAIN, 8, scheduler=empty.scheduler_address)


def test_dask_worker_with_other_versions_is_refused(
    textbook: Network, cluster: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "version", lambda _: "0.0.1")  # here, and not at the workers
    with pytest.raises(
        StudyError, match=r"cannot work with us: it has mmopt .*, here is mmopt 0.0.1, .*; install the same"
    ):
        tabulate_fluxes(textbook, DOMAIN, 8, scheduler=cluster.scheduler_address)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("package", "home"), [("distributed", "cluster.py"), ("pyarrow", "parquet.py")])
def test_only_one_file_imports(package: str, home: str) -> None:
    sources = Path(clusters.__file__).parents[1].rglob("*.py")
    assert {path.name for path in sources if re.search(rf"^\s*(from|import) {package}\b", path.read_text(), re.M)} == {
        home
    }


def test_answers_have_what_a_crew_asks_for(program: FluxProgram) -> None:
    source: FluxSource = program
    assert source.inputs == DOMAIN.inputs


def test_journal_is_free_after_sampling(textbook: Network, tmp_path: Path) -> None:
    tabulate_fluxes(textbook, DOMAIN, 8, journal=tmp_path / "j")
    with pytest.raises(StudyError, match="belongs to another table of fluxes"):  # and not: is being written
        Journal(tmp_path / "j", {})

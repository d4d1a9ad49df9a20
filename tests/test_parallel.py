"""Work in other processes: results and errors come back, nothing outlives its block, and bad arguments are named."""

import os
import signal
import sys
import time
from functools import partial

import psutil
import pytest

from mmopt.errors import SolverError, StudyError
from mmopt.network import Network
from mmopt.parallel import Background, Cluster, ProcessPool


def raises() -> None:
    raise StudyError("this cannot be solved")


def raises_what_cannot_be_pickled() -> None:
    class Local(Exception):
        pass

    raise Local("kept as text")


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_background_returns_results_in_the_order_of_the_tasks() -> None:
    with Background(os.getpid, partial(divmod, 7, 2), os.getpid) as background:
        first, pair, last = (background.result() for _ in range(3))
    assert pair == (3, 1)
    assert first == last != os.getpid()


def test_background_raises_the_error_of_a_task_and_continues() -> None:
    with Background(raises, partial(sum, [1, 2])) as background:
        with pytest.raises(StudyError, match="this cannot be solved"):
            background.result()
        assert background.result() == 3


def test_error_that_cannot_be_pickled_comes_back_as_its_text() -> None:
    with (
        Background(raises_what_cannot_be_pickled) as background,
        pytest.raises(RuntimeError, match="Local: kept as text"),
    ):
        background.result()


def test_result_that_cannot_be_pickled_is_an_error() -> None:
    with Background(partial(map, abs, [1])) as background:
        assert list(background.result()) == [1]
    with Background(sys._getframe) as background, pytest.raises(TypeError, match="cannot pickle"):
        background.result()


def test_death_of_the_process_is_an_error() -> None:
    with Background(dies) as background, pytest.raises(SolverError, match="ended without a result"):
        background.result()


def test_background_ends_with_its_block() -> None:
    before = set(_children())
    start = time.perf_counter()
    with pytest.raises(ZeroDivisionError), Background(partial(time.sleep, 600.0)):
        raise ZeroDivisionError
    assert time.perf_counter() - start < 60.0
    assert not [process for process in set(_children()) - before if "spawn_main" in " ".join(process.cmdline())]


def test_result_of_every_task_is_returned_once() -> None:
    with Background(partial(sum, [1])) as background:
        background.result()
        with pytest.raises(StudyError, match="the results of all tasks were returned"):
            background.result()


@pytest.mark.parametrize("task", [3, None, "sum"])
def test_task_that_is_not_callable_is_refused(task: object) -> None:
    with pytest.raises(StudyError, match=f"a task is {task!r}; give a callable"):
        Background(task)  # type: ignore[arg-type]


def test_task_that_cannot_be_pickled_is_refused() -> None:
    with pytest.raises(StudyError, match="cannot be sent to other processes"):
        Background(lambda: 1)
    with pytest.raises(StudyError, match="there are no tasks"):
        Background()


@pytest.mark.parametrize("workers", [0, -1, 2.0, True, None, "two", float("nan"), 10**6])
def test_number_of_workers_that_is_none_is_refused(textbook: Network, workers: object) -> None:
    with pytest.raises(StudyError, match=r"workers is .*; give a whole number from 1 to"):
        ProcessPool(textbook, workers)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheduler", [None, 8786, "", float("nan"), ["tcp://here:1"]])
def test_address_that_is_no_text_is_refused(textbook: Network, scheduler: object) -> None:
    with pytest.raises(StudyError, match=r"scheduler is .*; give its address as a text"):
        Cluster(textbook, scheduler)  # type: ignore[arg-type]


def test_missing_dask_names_the_extra(textbook: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        StudyError, match=r'need the package distributed, which is missing: pip install "mmopt\[cluster\]"'
    ):
        Cluster(textbook, "tcp://127.0.0.1:1")  # type: ignore[arg-type]

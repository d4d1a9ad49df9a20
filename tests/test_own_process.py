"""A solver in its own process: the same moves, in time whatever it does, and no process is left."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from mmopt import Controller, Horizon, Plant, Problem, Surrogate, ecoli_fed_batch, load_surrogate, run_closed_loop
from mmopt.control.fallbacks import EXPONENTIAL, LAST_PLAN, LOWEST
from mmopt.control.limits_first import LimitsFirst
from mmopt.errors import SolverError, StudyError
from mmopt.parallel import OwnProcess, ProcessPool, own_process
from mmopt.parallel.pool import WorkerDiedError
from mmopt.problem.step_data import StepData
from mmopt.status import Status

START = {"volume": 2.0, "biomass": 0.25, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
NOISE = {"volume": 0.005, "biomass": 0.05, "glucose": 0.05, "acetate": 0.02, "oxygen": 0.003}
LIMITS = {"oxygen_saturation": (35.0, None), "acetate": (None, 2.0), "volume": (None, 3.0)}
LATE = 1.0
"""Seconds of other work on the machine; how exactly a budget is kept is a figure of the benchmarks."""

SCRIPT = """
import os, sys, time
from test_own_process import START, Stuck, controller

if __name__ == "__main__":
    with controller(True, stuck=True) as hangs:
        hangs.prepare()
        print(hangs._solver._life[0]._worker._process.pid, flush=True)
        hangs.time_limit = 100.0
        hangs.step(0.5, START)
"""


class Stuck(LimitsFirst):
    """Hangs for ever from half an hour on, until an hour and a half."""

    def set_data(self, data: StepData) -> None:
        self.elapsed = data.elapsed
        super().set_data(data)

    def solve(self, *given: Any) -> Any:
        if 0.4 < self.elapsed < 1.6:
            time.sleep(3600.0)
        return super().solve(*given)


class Deadly(LimitsFirst):
    """Kills its process at every solve."""

    def solve(self, *given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)


def problem() -> Problem:
    return Problem(ecoli_fed_batch(), START, Horizon(3.0, 6), {"feed": (0.0, 0.1)}, LIMITS)


def cell() -> Surrogate:
    return load_surrogate("ecoli_textbook")


def controller(own: bool, *, stuck: bool = False, **options: Any) -> Controller:
    made = Controller(problem(), cell(), 0.5, own_process=own and not stuck, **options)
    if stuck:
        made._solver = OwnProcess(partial(Stuck, problem(), cell()))
    return made


def pid(of: Controller) -> int:
    worker = of._solver._life[0]._worker  # type: ignore[union-attr]
    assert worker is not None
    return int(worker._process.pid or 0)


def ends(process: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(500):
        if not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def separate() -> Iterator[Controller]:
    with controller(True) as one:
        yield one


def test_moves_are_those_of_this_process_to_the_last_bit(separate: Controller) -> None:
    here = controller(False)
    for seed in (1,):
        moves = []
        for one in (here, separate):
            one.reset()
            loop = run_closed_loop(
                Plant(problem().system, cell(), START, parameters={"kla": 270.0}, noise=NOISE, seed=seed), one
            )
            moves.append([(step.move.controls, step.move.iterations, step.move.notes) for step in loop.steps])
        assert moves[0] == moves[1]
        assert here._fallbacks._feed == separate._fallbacks._feed


def test_solver_that_hangs_for_ever_costs_no_more_than_the_time_limit() -> None:
    hangs = controller(True, stuck=True)
    hangs.prepare()
    first = hangs.step(0.0, START)
    assert (first.status, first.fallback) == (Status.OPTIMAL, "")
    process, hangs.time_limit = pid(hangs), 0.5
    move = hangs.step(0.5, START)
    assert move.fallback == LAST_PLAN
    assert "no answer within 0.5 s; its process was ended, and another one is started" in move.reason
    assert 0.5 <= move.seconds < 0.5 + LATE
    assert ends(process)
    assert isinstance(hangs._solver, OwnProcess)
    assert hangs._solver.wait()
    hangs.time_limit = 20.0
    assert hangs.step(2.0, START).fallback == ""
    hangs.close()


def test_step_whose_process_is_not_ready_says_so_and_waits_no_longer(separate: Controller) -> None:
    separate.time_limit = 0.05
    move = separate.step(0.0, START)
    assert (move.fallback, move.controls) == (LOWEST, {"feed": 0.0})
    assert "is not ready yet" in move.reason
    assert move.seconds < 0.05 + LATE


def test_process_that_was_killed_is_replaced_within_the_step(separate: Controller) -> None:
    separate.prepare()
    separate.step(0.0, START)
    process = pid(separate)
    os.kill(process, signal.SIGKILL)
    assert ends(process)
    assert separate.step(0.5, START).fallback == ""
    assert pid(separate) != process


def test_process_that_dies_at_every_solve_leads_to_fallbacks() -> None:
    dies = controller(False)
    dies._solver = OwnProcess(partial(Deadly, problem(), cell()))
    dies.prepare()
    move = dies.step(0.0, START)
    assert move.fallback == EXPONENTIAL
    assert "ended or could not be started" in move.reason
    dies.close()


@pytest.mark.parametrize("error", [OSError("no memory"), AssertionError("daemonic"), WorkerDiedError("gone")], ids=repr)
def test_process_that_cannot_be_started_leads_to_fallbacks(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def failing(_: bytes) -> Any:
        raise error

    monkeypatch.setattr(own_process, "Worker", failing)
    with controller(True) as none:
        none.prepare()
        move = none.step(0.0, START)
        assert (move.fallback, move.controls) == (LOWEST, {"feed": 0.0})
        assert str(error) in move.reason
        assert move.seconds < LATE


def test_mistake_in_the_solver_is_said(separate: Controller) -> None:
    separate.prepare()
    move = separate.step(0.0, START, {"kl": 200.0})
    assert "StudyError" in move.reason
    assert "kl" in move.reason


def test_process_ends_with_its_controller_and_starts_again_after_it_was_closed() -> None:
    one = controller(True)
    one.prepare()
    process = pid(one)
    assert psutil.pid_exists(process)
    one.close()
    one.close()
    assert ends(process)
    assert one.step(0.0, START).fallback == ""
    another = pid(one)
    assert another != process
    del one
    assert ends(another)


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT])
def test_process_ends_with_its_parent_though_it_hangs(tmp_path: Path, way: signal.Signals) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]), "PATH": ""}
    command = [sys.executable, "script.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        process = int(parent.stdout.readline())
        parent.send_signal(way)
        assert ends(process)


def test_pickled_controller_has_a_process_of_its_own(separate: Controller) -> None:
    separate.prepare()
    with pickle.loads(pickle.dumps(separate)) as other:
        assert other.plan is not None
        assert other.step(0.0, START).fallback == ""
        assert pid(other) != pid(separate)


class Nested:
    """Makes a controller in a worker of a pool."""

    def solve(self, task: int) -> None:
        controller(True)


def test_worker_of_a_pool_is_refused_what_it_may_not_start() -> None:
    with ProcessPool(Nested(), 1) as pool, pytest.raises(StudyError, match="own_process is True in a worker of a pool"):
        pool.submit(1).result()


def test_solver_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(StudyError, match="cannot be sent to other processes"):
        OwnProcess(lambda: None)


def test_error_of_the_solver_is_raised() -> None:
    broken = OwnProcess(partial(LimitsFirst, None, None))  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        broken.run(print, seconds=60.0)
    with pytest.raises(SolverError, match="not ready"):
        OwnProcess(partial(time.sleep, 60.0)).run(print, seconds=0.1)

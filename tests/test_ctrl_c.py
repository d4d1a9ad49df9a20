"""Ctrl-C ends a program also where a library loses the exception, and an Ipopt solve between two iterations."""

import signal
import subprocess
import sys
import threading
import time

import pyomo.environ as pyo
import pytest

from mmopt.ctrl_c import EXIT_CODE
from mmopt.solvers.interruption import held_interruption
from mmopt.solvers.ipopt import NonlinearProgram

DEAF = """
import signal, sys, time
from mmopt import ctrl_c

ctrl_c.PATIENCE = float(sys.argv[1])
watch = ctrl_c.Watch()
watch.start()
watch.message = "interrupted; results are in run"
signal.signal(signal.SIGINT, lambda *_: print("lost", flush=True))
print("ready", flush=True)
while True:
    time.sleep(60.0)
"""


def deaf(patience: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DEAF, str(patience)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "lost\n"
    return process


def test_program_that_loses_the_exception_ends_after_a_while() -> None:
    process = deaf(0.2)
    _, errors = process.communicate(timeout=30.0)
    assert (process.returncode, errors) == (EXIT_CODE, "mmopt: interrupted; results are in run\n")


def test_second_ctrl_c_ends_it_at_once() -> None:
    process = deaf(600.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30.0)
    assert (process.returncode, errors) == (EXIT_CODE, "mmopt: interrupted; results are in run\n")


DESTROYED = """
import os, signal, sys, time
from mmopt.ctrl_c import Watch

watch = Watch()
watch.start()
watch.message = "interrupted; results are in run"

class Loses:
    def __del__(self):
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        time.sleep(0.1)

one = Loses()
del one
time.sleep(60.0)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_signal_in_a_destructor_ends_the_program_without_a_traceback(name: str, code: int) -> None:
    process = subprocess.run(
        [sys.executable, "-c", DESTROYED, name],
        capture_output=True,
        text=True,
        timeout=30.0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        check=False,
    )
    assert (process.returncode, process.stderr) == (code, "mmopt: interrupted; results are in run\n")


def test_other_exceptions_of_destructors_are_reported_as_ever() -> None:
    script = DESTROYED.replace("os.kill(os.getpid(), getattr(signal, sys.argv[1]))", "raise ValueError('mine')")
    script = script.replace("time.sleep(60.0)", "")
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30.0, check=False)
    assert process.returncode == 0
    assert "ValueError: mine" in process.stderr


def solved_for_ever(program: NonlinearProgram, x: pyo.Var, values: list[float]) -> None:
    while True:
        program.solve()
        x.set_values(dict(enumerate(values)))


def test_interrupted_solve_raises_and_leaves_the_values() -> None:
    problem = pyo.ConcreteModel()
    problem.x = pyo.Var(range(400), initialize=2.0)
    problem.cost = pyo.Objective(
        expr=sum(100.0 * (problem.x[i + 1] - problem.x[i] ** 2) ** 2 + (1.0 - problem.x[i]) ** 2 for i in range(399))
    )
    program = NonlinearProgram(problem, {"tol": 1e-14, "max_iter": 100_000, "mu_init": 1e3})
    program.solve(seconds=0.01)  # builds the solver
    before = [problem.x[i].value for i in range(400)]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.05, signal.raise_signal, [signal.SIGINT])
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            solved_for_ever(program, problem.x, before)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, handler)
    assert [problem.x[i].value for i in range(400)] == before


def test_held_interruption_goes_to_the_handler_that_was_there() -> None:
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        with held_interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.0)
            assert interruption.came
            assert came == []
        assert came == [signal.SIGINT]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with held_interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
        assert not interruption.came
    finally:
        signal.signal(signal.SIGINT, handler)
    assert came == [signal.SIGINT]

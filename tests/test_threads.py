"""Threads that share a program, an atlas or a controller get the answers of one thread; Python used to end."""

import copy
import pickle
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from mmopt import (
    Atlas,
    Controller,
    Domain,
    Estimator,
    FluxProgram,
    Horizon,
    Network,
    Problem,
    ecoli_fed_batch,
    load_surrogate,
)
from mmopt.parallel.threads import one_thread_at_a_time
from mmopt.problem.content import content_of

GLUCOSE, OXYGEN = "EX_glc__D_e", "EX_o2_e"
START = {"volume": 2.0, "biomass": 0.5, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}


def in_threads(work: Callable[[int], Any], count: int = 4) -> list[Any]:
    """What the calls return, in their order; the first error is raised."""
    results: list[Any] = [None] * count

    def call(number: int) -> None:
        try:
            results[number] = work(number)
        except BaseException as error:
            results[number] = error

    threads = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def points(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(0.0, [10.0, 15.0], (60, 2))


def answers(solve: Callable[[np.ndarray], Any]) -> Callable[[int], list[float]]:
    return lambda number: [float(solve(point)) for point in points(number)]


def growth_of(program: FluxProgram) -> Callable[[np.ndarray], float]:
    return lambda point: program.solve(point).growth


def test_threads_share_a_flux_program(textbook: Network) -> None:
    shared = FluxProgram(textbook, (GLUCOSE, OXYGEN))
    alone = FluxProgram(textbook, (GLUCOSE, OXYGEN))
    together = in_threads(answers(growth_of(shared)))
    for number, found in enumerate(together):
        assert found == pytest.approx(answers(growth_of(alone))(number), abs=1.0e-9)


def test_threads_share_an_atlas(textbook: Network) -> None:
    shared = Atlas(textbook, Domain({GLUCOSE: (0.0, 10.0), OXYGEN: (0.0, 15.0)}))
    alone = FluxProgram(textbook, (GLUCOSE, OXYGEN))
    cell = shared.rate_function(["growth"])

    def rates(point: np.ndarray) -> float:
        return cell({GLUCOSE: point[0], OXYGEN: point[1]})["growth"]

    for number, found in enumerate(in_threads(answers(rates))):
        assert found == pytest.approx(answers(growth_of(alone))(number), abs=1.0e-9)


def test_threads_share_a_controller() -> None:
    problem = Problem(
        ecoli_fed_batch(), START, Horizon(4.0, 4), {"feed": (0.0, 0.1)}, {"oxygen_saturation": (20.0, None)}
    )
    controller = Controller(problem, load_surrogate("ecoli_textbook"), interval=0.5)
    moves = in_threads(lambda _: [controller.step(0.0, START).controls["feed"] for _ in range(3)], count=3)
    assert np.ptp(np.ravel(moves)) < 1.0e-3


def test_threads_share_an_estimator() -> None:
    surrogate = load_surrogate("ecoli_textbook")
    estimator = Estimator(ecoli_fed_batch(), surrogate, START, noise={"biomass": 0.1, "volume": 0.01})

    def observe(_: int) -> Sequence[str]:
        for _ in range(5):
            estimator.predict({"feed": 0.01}, 0.05)
            estimator.update({"biomass": 0.6, "volume": 2.0})
        return ()

    in_threads(observe, count=3)
    assert all(np.isfinite(list(estimator.states.values())))


class Counter:
    """Adds slowly."""

    def __init__(self) -> None:
        self.count = 0

    @one_thread_at_a_time
    def add(self, times: int) -> int:
        """Add one, again and again, through itself."""
        for _ in range(times):
            before = self.count
            threading.Event().wait(1.0e-5)
            self.count = before + 1
        return self.add(0) if times else self.count


def test_lock_is_held_by_one_thread_and_taken_again_by_it() -> None:
    counter = Counter()
    in_threads(lambda _: counter.add(50))
    assert counter.count == 200


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copy_has_a_lock_of_its_own(copied: Callable[[Counter], Counter]) -> None:
    counter = Counter()
    counter.add(1)
    other = copied(counter)
    assert other.add(1) == 2
    assert counter.count == 1


def test_lock_is_no_content_of_an_object() -> None:
    used, fresh = Counter(), Counter()
    used.add(0)
    assert content_of(used) == content_of(fresh)

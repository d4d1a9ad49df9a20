"""Times at which a quantity passes a level are those of the curve, whatever it does there."""

import numpy as np
import pytest

from mmopt import ConstantFeed, StudyError, ecoli_fed_batch, load_surrogate, simulate
from mmopt.results import times_at, trajectory
from mmopt.status import Status


def wave(points: int = 400) -> object:
    times = np.linspace(0.0, 10.0, points)
    return trajectory(times, {"x": ("state", "g", np.sin(times))}, Status.SIMULATED)


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("either", [np.pi, 2.0 * np.pi, 3.0 * np.pi]), ("rises", [2.0 * np.pi]), ("falls", [np.pi, 3.0 * np.pi])],
)
def test_wave_passes_zero_where_it_does(direction: str, expected: list[float]) -> None:
    found = times_at(wave(), "x", 0.0, direction)
    assert found[found > 0.0] == pytest.approx(expected, abs=1.0e-4)


def test_level_that_is_never_passed_has_no_times() -> None:
    assert times_at(wave(), "x", 1.5).size == 0


def test_depletion_is_that_of_a_simulation_that_ends_there() -> None:
    start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    feed, cell = {"feed": ConstantFeed(0.0)}, load_surrogate("ecoli_textbook")
    whole = simulate(ecoli_fed_batch(), start, feed, 8.0, cell)
    ended = simulate(
        ecoli_fed_batch(), start, feed, 8.0, cell, stop_when=lambda states, rates: 0.05 - states["glucose"]
    )
    (gone,) = times_at(whole, "glucose", 0.05, "falls")
    assert gone == pytest.approx(ended.time[-1], abs=1.0e-3)


@pytest.mark.parametrize(("direction", "expected"), [("either", [2.0]), ("rises", [2.0]), ("falls", [])])
def test_jump_over_a_level_is_a_time(direction: str, expected: list[float]) -> None:
    times = np.array([0.0, 2.0, 2.0, 4.0])
    steps = trajectory(times, {"feed": ("control", "L/h", np.array([0.0, 0.0, 0.1, 0.1]))}, Status.SIMULATED)
    assert times_at(steps, "feed", 0.05, direction).tolist() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("y", 0.0), "no quantity 'y'; nearest known: x|no quantity 'y'; known: x"),
        (("x", float("nan")), "level is nan"),
        (("x", 0.0, "up"), "direction is 'up'"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        times_at(wave(), *arguments)

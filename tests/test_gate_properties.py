"""Whatever arrives, what is written keeps the range of the pump, its fastest change, its windows and the volume."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from mmopt import Control, Controller, Horizon, Problem, SolverError, Surrogate, ecoli_fed_batch, load_surrogate
from mmopt.control.fallbacks import EXPONENTIAL, HELD, LAST_PLAN, LOWEST, Fallbacks
from mmopt.control.gate import Gate
from mmopt.reactor import Quantity, System
from mmopt.reactor.system import Cell, Values
from mmopt.search.options import Deadline

START = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
HOURS, INTERVAL, HIGHEST = 8.0, 0.5, 3.0
STEP = 0.05 * INTERVAL
PUMP = Control(0.01, 0.1, windows=((1.0, 5.0),), rate_limit=0.05)
COUNT = 100_000
SPECIAL: tuple[Any, ...] = (
    math.nan,
    math.inf,
    -math.inf,
    0.0,
    -0.0,
    5.0e-324,
    -5.0e-324,
    2.2e-308,
    1.7976931348623157e308,
    -1.7976931348623157e308,
    None,
    "0.05",
    "",
    b"0.05",
    True,
    10**400,
    -(10**400),
    7,
    0,
    [0.05],
    np.float32(0.05),
    np.float64("nan"),
    np.int64(3),
    np.array([0.05]),
    1j,
    np.complex128(0.05),
    object(),
)
"""What sensors, tags and scripts have delivered, or could."""


@dataclass(frozen=True)
class TwoPumps(System):
    """A vessel with two flows and a temperature."""

    states = (Quantity("volume", "L", lower=0.0), Quantity("heat", "kJ"))
    controls = (Quantity("feed", "L/h", lower=0.0), Quantity("base", "L/h", lower=0.0), Quantity("jacket", "K"))

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return {"volume": controls["feed"] + controls["base"], "heat": controls["jacket"]}


@pytest.fixture(scope="module")
def cell() -> Surrogate:
    return load_surrogate("ecoli_textbook")


def fed_batch(pump: Control = PUMP) -> Problem:
    return Problem(ecoli_fed_batch(), START, Horizon(HOURS, 8), {"feed": pump}, {"volume": (None, HIGHEST)})


def arbitrary(seed: int, count: int, usual: tuple[float, float]) -> Iterator[Any]:
    """Any bit pattern as a float, any whole number, special values, and a third of usual ones."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2**64, count, dtype=np.uint64)
    with np.errstate(invalid="ignore"):
        floats = bits.view(np.float64)
    likely, which = random.uniform(*usual, count), random.random(count)
    special = random.integers(0, len(SPECIAL), count)
    for k in range(count):
        if which[k] < 0.35:
            yield float(floats[k])
        elif which[k] < 0.45:
            yield int(bits[k]) - 2**63
        elif which[k] < 0.65:
            yield SPECIAL[special[k]]
        else:
            yield float(likely[k])


def finite(value: Any) -> float | None:
    """The value as the gate is to take it; None where it is to count as unknown."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    if isinstance(value, int):
        return float(value) if abs(value) < 2**1023 else None
    return float(value) if math.isfinite(value) else None


def inside(time: float | None) -> bool:
    """Whether the interval from a time on lies in the window."""
    return time is not None and time >= 1.0 - 1.0e-9 and time + INTERVAL <= 5.0 + 1.0e-9


def check(value: Any, time: Any, volume: Any, last: Any) -> None:
    """All that a written value has to keep, from the definitions alone."""
    assert type(value) is float
    assert 0.01 <= value <= 0.1  # no NaN is
    known, before, present = finite(volume), finite(last), finite(time)
    if not inside(present):
        assert value == 0.01
    if known is not None:
        assert known + INTERVAL * value <= max(HIGHEST, known + INTERVAL * 0.01) + 1.0e-12
    if before is not None and 0.01 <= before <= 0.1:
        assert value <= before + STEP + 1.0e-15
        full = known is not None and known + INTERVAL * (before - STEP) > HIGHEST
        if inside(present) and not full:  # it falls faster only where a window closes or the vessel is full
            assert value >= before - STEP - 1.0e-15


def test_gate_lets_nothing_else_through() -> None:
    gate = Gate(fed_batch(), INTERVAL)
    ranges = ((0.0, 0.12), (0.0, 6.0), (1.8, 3.1), (0.01, 0.1))
    for wanted, time, volume, last in zip(
        *(arbitrary(seed, COUNT, usual) for seed, usual in enumerate(ranges)), strict=True
    ):
        value = gate.passed({"feed": wanted}, time, {"volume": volume}, {"feed": last})["feed"]
        check(value, time, volume, last)


def test_gate_of_several_flows_fills_no_vessel_beyond_its_limit() -> None:
    controls = {"feed": Control(0.0, 0.3), "base": Control(0.02, 0.2), "jacket": Control(-5.0, 5.0)}
    problem = Problem(
        TwoPumps(), {"volume": 2.0, "heat": 0.0}, Horizon(HOURS, 8), controls, {"volume": (None, HIGHEST)}, "heat"
    )
    gate = Gate(problem, INTERVAL)
    given = (arbitrary(seed, COUNT // 5, (-6.0, 6.0)) for seed in range(10, 13))
    for feed, jacket, volume in zip(*given, strict=True):
        passed = gate.passed({"feed": feed, "base": feed, "jacket": jacket}, 0.0, {"volume": volume})
        for name, control in controls.items():
            assert control.low <= passed[name] <= control.high
        known = finite(volume)
        if known is not None:
            least = known + INTERVAL * 0.02
            assert gate.projected_volume(known, passed) <= max(HIGHEST, least) + 1.0e-12


def test_ladder_behind_the_gate_writes_nothing_else() -> None:
    """Plans, times and last controls are arbitrary; successes come in between, with feeds of arbitrary sizes."""
    problem = fed_batch()
    gate, ladder = Gate(problem, INTERVAL), Fallbacks(problem, INTERVAL)
    names, random = set(), np.random.default_rng(3)
    solvers = [Sized(0.0), Sized(0.3), Sized(1.0), None]  # the last one has no simulators
    ranges = ((0.0, 0.12), (0.0, 6.0), (1.8, 3.1))
    last: dict[str, float] = {}
    for planned, time, volume in zip(
        *(arbitrary(seed, COUNT // 2, usual) for seed, usual in enumerate(ranges, start=20)), strict=True
    ):
        if random.random() < 0.05:
            ladder.follow()
            start = float(random.uniform(0.0, 9.0))
            ladder.prepare(solvers[random.integers(len(solvers))], start, start, START, Deadline.after(9.0))
        wanted, name, why = ladder.controls(finite(time), None if random.random() < 0.2 else {"feed": planned}, last)
        names.add(name)
        assert why or name == LAST_PLAN
        value = gate.passed(wanted, time, {"volume": volume}, last)["feed"]
        check(value, time, volume, last.get("feed"))
        last = {"feed": value}
    assert names == {LAST_PLAN, EXPONENTIAL, HELD, LOWEST}


class Sized:
    """A solver whose simulations keep the limits up to a size."""

    def __init__(self, size: float) -> None:
        self.size = size
        self.simulators = (self,)
        self.problem = replace(fed_batch(), limits={})

    def run(self, feeds: Any, **_: Any) -> Any:
        if feeds["feed"].size > self.size:
            raise SolverError("the vessel overflows")
        return Kept()


class Kept:
    """A trajectory that violates nothing."""

    def __getitem__(self, name: str) -> np.ndarray:
        return np.zeros(2)


def test_controller_survives_every_time_state_and_parameter(cell: Surrogate) -> None:
    """The solver fails at once, so that the steps are those of the ladder, behind the checks of the estimate."""
    controller = Controller(fed_batch(), cell, INTERVAL)
    controller.step(1.0, START)
    controller._solver.solve = failing  # type: ignore[method-assign, union-attr]
    names, seen = list(START), set()
    ranges = ((0.0, 6.0), (0.0, 3.0), (200.0, 400.0))
    given = [arbitrary(seed, 200, usual) for seed, usual in enumerate(ranges, start=30)]
    for k, (time, value, kla) in enumerate(zip(*given, strict=True)):
        before = controller._last["feed"]
        states = {**START, names[k % 5]: value}
        move = controller.step(time, states, {"kla": kla} if k % 2 else kla)
        check(move.controls["feed"], time, states["volume"], before)
        seen.add(move.fallback)
        assert move.reason
        if k % 30 == 0:
            controller._fallbacks.follow()
    assert seen >= {LAST_PLAN, EXPONENTIAL, LOWEST}


def failing(*_: Any) -> Any:
    raise RuntimeError("injected failure")


def test_volume_that_is_not_known_is_what_was_fed_since(cell: Surrogate) -> None:
    """Blind from a nearly full vessel on: the pump stops before the vessel overflows."""
    controller = Controller(fed_batch(Control(0.01, 0.1)), cell, INTERVAL)
    controller._fallbacks.controls = lambda *_: ({"feed": 0.1}, HELD, "injected")  # type: ignore[method-assign]
    volume = 2.9
    controller._solver.solve = failing  # type: ignore[method-assign, union-attr]
    for number in range(6):
        known = volume if number == 0 else math.nan
        volume += INTERVAL * controller.step(INTERVAL * number, {**START, "volume": known}).controls["feed"]
    assert volume == pytest.approx(HIGHEST + 3 * INTERVAL * 0.01, abs=0.011)


@pytest.mark.parametrize("states", [None, 3, "volume", [1.0], {}, {3: 4}, {"volume": {}}], ids=repr)
def test_controller_survives_what_are_no_states(cell: Surrogate, states: Any) -> None:
    controller = Controller(fed_batch(), cell, INTERVAL)
    move = controller.step(0.0, states)
    assert (move.fallback, move.controls) == (LOWEST, {"feed": 0.01})
    assert move.reason

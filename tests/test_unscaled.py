"""States that were given no scale: numbers of cells and molecules are optimised as if they had one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from mmopt import Horizon, OptimiseOptions, Problem, optimise
from mmopt.problem import Objective
from mmopt.reactor import Quantity
from mmopt.reactor.system import Cell, System
from mmopt.status import Status
from mmopt.transcription.scaling import scaled_states


@dataclass(frozen=True)
class CountedCells(System):
    """Animal cells by number on fed glucose."""

    scale: float = 1.0
    controls = (Quantity("feed", "L/h", lower=0.0),)

    @property
    def states(self) -> tuple[Quantity, ...]:  # type: ignore[override]
        return (
            Quantity("volume", "L"),
            Quantity("cells", "1/L", self.scale, 0.0),
            Quantity("glucose", "mmol/L", 10.0, 0.0),
        )

    def derivative(
        self, states: Mapping[str, Any], controls: Mapping[str, Any], parameters: Mapping[str, Any], cell: Cell
    ) -> dict[str, Any]:
        growth = 0.044 * states["glucose"] / (1.0 + abs(states["glucose"]))
        dilution = controls["feed"] / states["volume"]
        upkeep = 1.1e-10 * states["glucose"] / (0.01 + abs(states["glucose"]))
        return {
            "volume": controls["feed"],
            "cells": (growth - 0.001 - dilution) * states["cells"],
            "glucose": dilution * (653.0 - states["glucose"]) - (growth / 2.2e8 + upkeep) * states["cells"],
        }


@dataclass(frozen=True)
class CountedMolecules(System):
    """Molecules that a catalyst makes, from none on; heat speeds that up and destroys the catalyst."""

    scale: float = 1.0
    controls = (Quantity("heat", "1", lower=0.0),)

    @property
    def states(self) -> tuple[Quantity, ...]:  # type: ignore[override]
        return (Quantity("catalyst", "1", 0.5, 0.0), Quantity("molecules", "1", self.scale, 0.0))

    def derivative(
        self, states: Mapping[str, Any], controls: Mapping[str, Any], parameters: Mapping[str, Any], cell: Cell
    ) -> dict[str, Any]:
        heat, catalyst = controls["heat"], states["catalyst"]
        return {"catalyst": -0.5 * heat**2 * catalyst, "molecules": 6.0e14 * (0.2 + heat) * catalyst}


def cells(scale: float) -> Problem:
    amount = Objective("cells", "1", lambda end, start: end["cells"] * end["volume"], 1.0e9)
    start = {"volume": 3.0, "cells": 1.0e8, "glucose": 10.0}
    limits = {"volume": (None, 3.5)}
    return Problem(CountedCells(scale), start, Horizon(120.0, 20), {"feed": (0.0, 0.01)}, limits, maximise=amount)


def molecules(scale: float) -> Problem:
    amount = Objective("molecules", "1", lambda end, start: end["molecules"], 1.0e14)
    start = {"catalyst": 1.0, "molecules": 0.0}
    return Problem(CountedMolecules(scale), start, Horizon(4.0, 10), {"heat": (0.0, 3.0)}, maximise=amount)


@pytest.mark.parametrize(("problem", "scale"), [(cells, 1.0e9), (molecules, 1.0e14)])
def test_optimum_without_a_scale_is_that_with_one(problem: Any, scale: float) -> None:
    known = optimise(problem(scale), options=OptimiseOptions(guesses=2))
    plan = optimise(problem(1.0), options=OptimiseOptions(guesses=2))
    assert plan.status is known.status is Status.OPTIMAL
    assert plan.objective == pytest.approx(known.objective, rel=1.0e-4)
    assert plan.record.iterations < 3 * known.record.iterations


def test_scale_of_the_user_stays() -> None:
    (_, counted, _) = scaled_states(cells(2.0), soft=False)
    assert counted.scale == 2.0
    (_, counted, _) = scaled_states(cells(1.0), soft=False)
    assert counted.scale >= 1.0e8

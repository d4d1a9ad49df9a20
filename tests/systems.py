"""Systems without a cell whose answers are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmopt.reactor.system import Cell, Quantity, Values


class Bare:
    """What a system without a cell need not say."""

    derived: tuple[Quantity, ...] = ()
    readings: tuple[str, ...] = ()

    @property
    def parameters(self) -> Mapping[str, float]:
        return {}

    def limits(self, states: Values, parameters: Values) -> dict[str, Any]:
        return {}

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Pulled(Bare):
    """A cart that is pulled: x' = v, v' = u; from rest the farthest after time T under u <= 1 is T^2 / 2."""

    states = (Quantity("x", "m"), Quantity("v", "m/h"))
    controls = (Quantity("u", "m/h2"),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return {"x": states["v"], "v": controls["u"]}


@dataclass(frozen=True)
class Decay(Bare):
    """x' = -k x: linear, so that an extended Kalman filter is the exact one."""

    states = (Quantity("x", "g"),)
    controls: tuple[Quantity, ...] = ()

    @property
    def parameters(self) -> Mapping[str, float]:
        return {"k": 0.5}

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return {"x": -parameters["k"] * states["x"]}

"""Systems without a cell whose answers are known."""

from dataclasses import dataclass
from typing import Any

from mmopt.reactor import Parameter, Quantity, System
from mmopt.reactor.system import Cell, Values


@dataclass(frozen=True)
class Pulled(System):
    """A cart that is pulled: x' = v, v' = u; from rest the farthest after time T under u <= 1 is T^2 / 2."""

    states = (Quantity("x", "m"), Quantity("v", "m/h"))
    controls = (Quantity("u", "m/h2"),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return {"x": states["v"], "v": controls["u"]}


@dataclass(frozen=True)
class Decay(System):
    """x' = -k x: linear, so that an extended Kalman filter is the exact one."""

    states = (Quantity("x", "g"),)
    parameters = (Parameter("k", 0.5, "1/h", lower=0.0),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return {"x": -parameters["k"] * states["x"]}


class Walk(System):
    """A quantity that drifts with a rate that is a state of its own; both may be below zero."""

    states = (Quantity("position", "m"), Quantity("speed", "m/h"))
    derived = (Quantity("height", "m"),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        return {"position": states["speed"], "speed": -0.1 * states["speed"]}

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        return {"height": 2.0 * states["position"] - states["speed"]}

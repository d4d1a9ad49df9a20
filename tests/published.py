"""Published problems of optimal feeding, and one whose optimum is known by quadrature; systems without a cell."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from scipy.integrate import quad

from mmopt.problem.horizon import Horizon
from mmopt.problem.objective import least_time
from mmopt.problem.problem import Problem
from mmopt.reactor import Quantity, System
from mmopt.reactor.system import Cell, Values


def _exp(x: Any) -> Any:
    return np.exp(x) if isinstance(x, float) else pyo.exp(x)


class Fed(System):
    """A fed-batch whose product, in all of its volume, is wanted."""

    wanted: str

    def observe(self, states: Values, controls: Values, parameters: Values, rates: Values) -> dict[str, Any]:
        return {"amount": states[self.wanted] * states["volume"]}


class Secreting(Fed):
    """A secreted protein: Park and Ramirez (1988), AIChE J. 34:1550-1558, as restated in the PROPT manual (2010)."""

    wanted = "secreted"
    states = tuple(Quantity(name, "g/L", lower=0.0) for name in ("secreted", "total", "cells", "glucose", "volume"))
    controls = (Quantity("feed", "L/h", lower=0.0),)
    derived = (Quantity("amount", "g", 10.0),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        secreted, total, cells, glucose, volume = (states[each.name] for each in self.states)
        feed = controls["feed"]
        growth = 21.87 * glucose / ((glucose + 0.4) * (glucose + 62.5))
        secretion = 4.75 * growth / (0.12 + growth)
        expression = glucose * _exp(-5.0 * glucose) / (0.1 + glucose)
        return {
            "secreted": secretion * (total - secreted) - feed * secreted / volume,
            "total": expression * cells - feed * total / volume,
            "cells": growth * cells - feed * cells / volume,
            "glucose": -7.3 * growth * cells + feed * (20.0 - glucose) / volume,
            "volume": feed,
        }


class Penicillin(Fed):
    """Penicillin: Cuthrell and Biegler (1989), Comput. Chem. Eng. 13:49-62, as restated in the PROPT manual (2010)."""

    wanted = "product"
    states = (
        Quantity("biomass", "g/L", 10.0, 0.0),
        Quantity("product", "g/L", 5.0, 0.0),
        Quantity("substrate", "g/L", 5.0, 0.0),
        Quantity("volume", "L", 5.0, 0.0),
    )
    controls = (Quantity("feed", "g/h", 10.0, 0.0),)
    derived = (Quantity("amount", "g", 50.0),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        biomass, product, substrate, volume = (states[each.name] for each in self.states)
        feed = controls["feed"]
        growth = 0.11 * substrate / (0.006 * biomass + substrate)
        making = 0.0055 * substrate / (0.0001 + substrate * (1.0 + 10.0 * substrate))
        upkeep = 0.029 * biomass * substrate / (0.0001 + substrate)
        return {
            "biomass": growth * biomass - feed * biomass / (500.0 * volume),
            "product": making * biomass - 0.01 * product - feed * product / (500.0 * volume),
            "substrate": -growth * biomass / 0.47
            - making * biomass / 1.2
            - upkeep
            + feed * (1.0 - substrate / 500.0) / volume,
            "volume": feed / 500.0,
        }


class Ethanol(Fed):
    """Ethanol: Chen and Hwang (1990), Chem. Eng. Commun. 97:9-26, as restated in the PROPT manual (2010)."""

    wanted = "ethanol"
    states = (
        Quantity("biomass", "g/L", 10.0, 0.0),
        Quantity("substrate", "g/L", 50.0, 0.0),
        Quantity("ethanol", "g/L", 50.0, 0.0),
        Quantity("volume", "L", 100.0, 0.0),
    )
    controls = (Quantity("feed", "L/h", 5.0, 0.0),)
    derived = (Quantity("amount", "g", 1.0e4),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        biomass, substrate, ethanol, volume = (states[each.name] for each in self.states)
        feed = controls["feed"]
        growth = 0.408 * substrate / ((1.0 + ethanol / 16.0) * (0.22 + substrate))
        making = substrate / ((1.0 + ethanol / 71.5) * (0.44 + substrate))
        return {
            "biomass": growth * biomass - feed * biomass / volume,
            "substrate": -10.0 * growth * biomass + feed * (150.0 - substrate) / volume,
            "ethanol": making * biomass - feed * ethanol / volume,
            "volume": feed,
        }


def secreting(elements: int = 100) -> Problem:
    """Published best: 32.72 (PROPT, dynopt)."""
    start = {"secreted": 0.0, "total": 0.0, "cells": 1.0, "glucose": 5.0, "volume": 1.0}
    return Problem(Secreting(), start, Horizon(15.0, elements), {"feed": (0.0, 2.5)}, maximise="amount")


def penicillin(elements: int = 60) -> Problem:
    """Published best: 88.05 (PROPT), 88.06 (dynopt); the length is free."""
    limits = {"biomass": (None, 40.0), "substrate": (None, 25.0), "volume": (None, 10.0)}
    start = {"biomass": 1.5, "product": 0.0, "substrate": 0.0, "volume": 7.0}
    return Problem(Penicillin(), start, Horizon((100.0, 170.0), elements), {"feed": (0.0, 50.0)}, limits, "amount")


def ethanol(elements: int = 60) -> Problem:
    """Published best: 20,839 (dynopt), 20,837 (PROPT); the length is free, and there are bad local optima."""
    start = {"biomass": 1.0, "substrate": 150.0, "ethanol": 0.0, "volume": 10.0}
    limits = {"volume": (None, 200.0)}
    return Problem(Ethanol(), start, Horizon((40.0, 80.0), elements), {"feed": (0.0, 12.0)}, limits, "amount")


@dataclass(frozen=True)
class Inhibited(System):
    """Growth by Haldane's law in a fed-batch: slow on little and on much substrate, fastest in between."""

    most: float = 0.5
    half: float = 0.5
    inhibition: float = 8.0
    per_substrate: float = 0.5
    fed: float = 200.0

    states = (
        Quantity("volume", "L", lower=0.0),
        Quantity("biomass", "g/L", 10.0, 0.0),
        Quantity("substrate", "g/L", 5.0, 0.0),
    )
    controls = (Quantity("feed", "L/h", 0.1, 0.0),)

    def growth(self, substrate: Any) -> Any:
        return self.most * substrate / (self.half + substrate + substrate**2 / self.inhibition)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        volume, biomass, substrate = (states[each.name] for each in self.states)
        dilution, growth = controls["feed"] / volume, self.growth(substrate) * biomass
        return {
            "volume": controls["feed"],
            "biomass": growth - dilution * biomass,
            "substrate": dilution * (self.fed - substrate) - growth / self.per_substrate,
        }


def fastest(elements: int = 60) -> tuple[Problem, float]:
    """The fastest way to fill a vessel and use its substrate up, and how long it takes [h].

    Batch down to where growth is fastest, a feed that stays there (the singular arc), batch to the end. Time is the integral of
    1 / (growth rate x biomass) over biomass, so it is least where growth is fastest at every amount of biomass.
    """
    system = Inhibited()
    start = {"volume": 1.0, "biomass": 1.0, "substrate": 10.0}
    volume, left = 2.0, 0.5
    best = float(np.sqrt(system.half * system.inhibition))
    gained = system.per_substrate
    begun = start["biomass"] * start["volume"]
    first = quad(
        lambda s: gained / (system.growth(s) * (begun + gained * (start["substrate"] - s))), best, start["substrate"]
    )[0]
    at_feed = begun + gained * (start["substrate"] - best)
    full = at_feed + gained * (system.fed - best) * (volume - start["volume"])
    arc = float(np.log(full / at_feed)) / system.growth(best)
    last = quad(lambda s: gained * volume / (system.growth(s) * (full + gained * volume * (best - s))), left, best)[0]
    problem = Problem(
        system,
        start,
        Horizon((8.0, 20.0), elements),
        {"feed": (0.0, 1.0)},
        limits={"volume": (None, volume)},
        maximise=least_time(10.0),
        final={"volume": (volume, volume), "substrate": (None, left)},
    )
    return problem, first + arc + last


class ShinLim(System):
    """Ethanol with the equations of `Ethanol`, as amounts, in a vessel of 10 L: a problem of Shin and Lim."""

    states = (
        Quantity("cells", "g", 100.0, 0.0),
        Quantity("substrate", "g", 100.0, 0.0),
        Quantity("ethanol", "g", 500.0, 0.0),
        Quantity("volume", "L", 10.0, 0.0),
    )
    controls = (Quantity("feed", "L/h", 1.0, 0.0),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        substrate, ethanol = (states[name] / states["volume"] for name in ("substrate", "ethanol"))
        growth = 0.408 * substrate / ((1.0 + ethanol / 16.0) * (0.22 + substrate))
        making = substrate / ((1.0 + ethanol / 71.5) * (0.44 + substrate))
        return {
            "cells": growth * states["cells"],
            "substrate": 150.0 * controls["feed"] - 10.0 * growth * states["cells"],
            "ethanol": making * states["cells"],
            "volume": controls["feed"],
        }


def shin_lim(elements: int = 100) -> Problem:
    """785.08 g by a Radau collocation with 200 and 400 elements; published with 764.47 g."""
    start = {"cells": 0.1, "substrate": 0.001, "ethanol": 0.0, "volume": 1.0}
    limits = {"volume": (None, 10.0)}
    return Problem(ShinLim(), start, Horizon(39.5, elements), {"feed": (0.0, 2.0)}, limits, "ethanol")


class Lysine(System):
    """Lysine: Logist et al. (2009), among the examples of ACADO; the product is consumed at the start."""

    states = tuple(
        Quantity(name, unit, scale, 0.0)
        for name, unit, scale in (
            ("cells", "g", 10.0),
            ("substrate", "g", 20.0),
            ("lysine", "g", 20.0),
            ("volume", "L", 10.0),
        )
    )
    controls = (Quantity("feed", "L/h", 1.0, 0.0),)

    def derivative(self, states: Values, controls: Values, parameters: Values, cell: Cell) -> dict[str, Any]:
        growth = 0.125 * states["substrate"] / states["volume"]
        return {
            "cells": growth * states["cells"],
            "substrate": 2.8 * controls["feed"] - growth * states["cells"] / 0.135,
            "lysine": (134.0 * growth - 384.0 * growth * growth) * states["cells"],
            "volume": controls["feed"],
        }


def lysine(hours: float, elements: int = 50) -> Problem:
    """Published productivity: 23.414 in 20 h, 23.490 in 25 h, 18.627 in 40 h; the volume begins on its lowest value."""
    start = {"cells": 0.1, "substrate": 14.0, "lysine": 0.0, "volume": 5.0}
    limits = {"cells": (0.0, 15.0), "substrate": (0.0, 30.0), "volume": (5.0, 20.0)}
    final = {"volume": (5.0 + 20.0 / 2.8, None)}
    return Problem(Lysine(), start, Horizon(hours, elements), {"feed": (0.0, 2.0)}, limits, "lysine", final=final)

"""Scale-up: a plan in a vessel of another volume and aeration, and which limits it meets there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mmopt.arguments import finite, shown
from mmopt.errors import StudyError
from mmopt.plan.plan import Plan
from mmopt.problem.control import Control
from mmopt.problem.problem import Problem
from mmopt.reactor.bioreactor import Bioreactor
from mmopt.reactor.components.flows import Harvest
from mmopt.reactor.system import Metabolism, System
from mmopt.results import Trajectory
from mmopt.simulation.inputs import checked_mapping
from mmopt.units import FEED, GAS_FLOW, VOLUME

_EXTENSIVE: Final = (VOLUME, FEED, GAS_FLOW, "g", "kg", "mmol")
"""Units of what is proportional to the volume."""

VOLUME_STATE: Final = "volume"


@dataclass(frozen=True)
class LimitInBoth:
    """A limit in the small vessel and in the large one.

    Attributes
    ----------
    name, side, unit
        The quantity, ``lowest`` or ``highest``, and its unit.
    limit, scaled_limit
        The limit in both vessels.
    reached, scaled_reached
        The value nearest to the limit, or farthest beyond it.
    violated_from
        First time at which it is violated in the large vessel [h]; None if it is kept.

    Examples
    --------
    >>> print(LimitInBoth("volume", "highest", "L", 3.0, 30.0, 2.9, 29.0, None))
    volume, highest: 2.9 of 3 L, scaled 29 of 30 L, kept
    """

    name: str
    side: str
    unit: str
    limit: float
    scaled_limit: float
    reached: float
    scaled_reached: float
    violated_from: float | None

    def __str__(self) -> str:
        ending = "kept" if self.violated_from is None else f"violated from {self.violated_from:.2f} h"
        return (
            f"{self.name}, {self.side}: {self.reached:.4g} of {self.limit:.4g} {self.unit}, scaled "
            f"{self.scaled_reached:.4g} of {self.scaled_limit:.4g} {self.unit}, {ending}"
        )


@dataclass(frozen=True, eq=False)
class ScaleUp:
    """A plan in another vessel.

    Attributes
    ----------
    problem
        The same problem there: volumes, feeds and amounts in proportion, other parameters as given. Optimise it for a plan that
        keeps the limits.
    plan
        The plan in the small vessel.
    trajectory
        Its controls, in proportion, simulated in the large vessel.
    limits
        Every limit in both.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> limits = {"oxygen_saturation": (20.0, None)}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(4.0, elements=4), {"feed": (0.0, 0.1)}, limits)
    >>> surrogate = load_surrogate("ecoli_ijo1366")
    >>> larger = scaled(optimise(problem, surrogate), surrogate, volume=20.0, parameters={"kla": 200.0})
    >>> larger.problem.controls["feed"].high, larger.limits[0].violated_from is None
    (1.0, False)
    """

    problem: Problem
    plan: Plan
    trajectory: Trajectory
    limits: tuple[LimitInBoth, ...]

    def __str__(self) -> str:
        ratio = self.problem.start_values[VOLUME_STATE] / self.plan.fixed_problem.start_values[VOLUME_STATE]
        return "\n".join([f"{ratio:.4g} times the volume", *map(str, self.limits)])


def scaled(
    plan: Plan, metabolism: Metabolism | None, *, volume: float, parameters: Mapping[str, float] | None = None
) -> ScaleUp:
    """Take a plan to a vessel of another volume.

    Volumes, feeds [L/h], flows of gas [L/min] and amounts [g, mmol] are multiplied by the ratio of the volumes, and so are
    parameters in these units, such as that of evaporation; concentrations and times stay. Diameters of a
    `mmopt.reactor.StirredTank` stay, too: for another vessel give ``kla``, or a problem of its own.

    Parameters
    ----------
    plan
        A plan of a reactor with a state ``volume``.
    metabolism
        Metabolism of the cell.
    volume
        Initial volume in the other vessel [L].
    parameters
        What is different there, such as ``kla``.

    Returns
    -------
    ScaleUp

    Raises
    ------
    StudyError
        If there is no ``volume``, it is not above 0, or a parameter is unknown.
    DomainError, SolverError
        As `mmopt.simulation.simulate`.

    Examples
    --------
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, elements=2), {"feed": (0.0, 0.1)})
    >>> surrogate = load_surrogate("ecoli_ijo1366")
    >>> scaled(optimise(problem, surrogate), surrogate, volume=20.0).problem.controls["feed"].high
    1.0
    """
    if not isinstance(plan, Plan):
        raise StudyError(f"plan is {shown(plan)}; give a Plan, as optimise returns it")
    small = plan.fixed_problem
    if VOLUME_STATE not in small.start_values:
        raise StudyError(f"{type(small.system).__name__} has no state 'volume'; give a plan of a Bioreactor")
    ratio = finite("volume", volume, above=0.0, unit="L") / small.start_values[VOLUME_STATE]
    different = checked_mapping({} if parameters is None else parameters, "parameter")
    large = _scaled_problem(small, ratio, different)
    units = {control.name: control.unit for control in small.system.controls}
    larger = replace(
        plan,
        problem=large,
        values={
            name: tuple(ratio * value for value in values) if units[name] in _EXTENSIVE else values
            for name, values in plan.values.items()
        },
        choices=replace(plan.choices, initial={}, parameters={}),
    )
    before, after = plan.replay(metabolism).trajectory, larger.replay(metabolism).trajectory
    return ScaleUp(large, plan, after, tuple(_limits(small, large, before, after)))


def _scaled_problem(problem: Problem, ratio: float, parameters: Mapping[str, float]) -> Problem:
    quantities = problem.quantities
    controls = {control.name: control.unit for control in problem.system.controls}

    def times(value: float | None, unit: str) -> float | None:
        return value if value is None or unit not in _EXTENSIVE else ratio * value

    def limits(given: Mapping[str, tuple[float | None, float | None]]) -> dict[str, tuple[float | None, float | None]]:
        return {
            name: (times(low, quantities[name].unit), times(high, quantities[name].unit))
            for name, (low, high) in given.items()
        }

    def control(name: str, given: Control) -> Control:
        if controls[name] not in _EXTENSIVE:
            return given
        rate = None if given.rate_limit is None else ratio * given.rate_limit
        return replace(given, low=ratio * given.low, high=ratio * given.high, rate_limit=rate)

    rates = {
        one.name: ratio * problem.parameter_values.get(one.name, one.value)
        for one in problem.system.parameters
        if one.unit in _EXTENSIVE
    }
    return replace(
        problem,
        system=_scaled_system(problem.system, ratio),
        initial={
            name: float(times(value, quantities[name].unit) or 0.0) for name, value in problem.start_values.items()
        },
        controls={name: control(name, given) for name, given in problem.controls.items()},
        limits=limits(problem.limits),
        final=limits(problem.final),
        parameters={**problem.parameter_values, **rates, **parameters},
    )


def _scaled_system(system: System, ratio: float) -> System:
    """A reactor with the typical sizes of the other volume; any other system as it is."""
    if not isinstance(system, Bioreactor):
        return system
    pumps = [replace(one, scale=ratio * one.scale) if isinstance(one, Harvest) else one for one in system.components]
    feeds = None if system.feeds is None else tuple(replace(one, scale=ratio * one.scale) for one in system.feeds)
    return replace(
        system,
        volume_scale=ratio * system.volume_scale,
        feed_scale=ratio * system.feed_scale,
        feeds=feeds,
        components=tuple(pumps),
    )


def _limits(small: Problem, large: Problem, before: Trajectory, after: Trajectory) -> list[LimitInBoth]:
    """Every limit of both problems, with what the simulations reach."""
    rows = []
    for name, pair in small.limits.items():
        for side, limit, other in zip(("lowest", "highest"), pair, large.limits[name], strict=True):
            if limit is None or other is None:
                continue
            sign = 1.0 if side == "lowest" else -1.0
            room = sign * (after[name] - other)
            beyond = np.flatnonzero(room < -1.0e-3 * max(abs(other), small.quantities[name].scale * 1.0e-3))
            rows.append(
                LimitInBoth(
                    name,
                    side,
                    small.quantities[name].unit,
                    limit,
                    other,
                    float(before[name][np.argmin(sign * before[name])]),
                    float(after[name][np.argmin(sign * after[name])]),
                    float(after.time[beyond[0]]) if beyond.size else None,
                )
            )
    return rows

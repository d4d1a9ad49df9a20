"""What stands behind a plan: which limits bind, when, and what one more unit of each is worth; where the surrogate was left."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from mmopt.problem.problem import Problem
from mmopt.reactor.simulate import merged_parameters
from mmopt.results import Trajectory
from mmopt.status import Status
from mmopt.surrogate.surrogate import Surrogate
from mmopt.transcription.compiled import CompiledProblem

_BINDS: Final = 1.0e-4
"""Part of the largest multiplier of a limit from which on it binds at a point; the barrier leaves less everywhere."""

_WORTH: Final = 1.0e-6
"""What less than this part of the objective's scale, for a whole scale of the limited quantity, is not told."""


@dataclass(frozen=True)
class ActiveLimit:
    """A limit that binds.

    Attributes
    ----------
    name, side
        The limited quantity or control, and ``lowest`` or ``highest``.
    limit, unit
        The limit.
    spans
        From when to when it binds [h]; one time twice at the end of the batch.
    worth, objective_unit
        What one more unit of room, all along, adds to the objective (to first order).
    """

    name: str
    side: str
    limit: float
    unit: str
    spans: tuple[tuple[float, float], ...]
    worth: float
    objective_unit: str

    def __str__(self) -> str:
        """Say it in words."""
        when = ", ".join("at the end" if low == high else f"{low:.1f} to {high:.1f} h" for low, high in self.spans)
        unit = f" {self.unit}" if self.unit else ""
        more = "more" if self.side == "highest" else "less"
        return (
            f"{self.name} is held at the {self.side} allowed, {self.limit:g}{unit} ({when}): one{unit} {more} is worth "
            f"{self.worth:.2g} {self.objective_unit}".rstrip()
        )


def active_limits(compiled: CompiledProblem) -> tuple[ActiveLimit, ...]:
    """Limits that bind in the present answer of a compiled problem, the one worth most for its scale first."""
    program, problem, multiplier = compiled.program, compiled.problem, compiled.ipopt.multiplier
    known, objective, hours = problem.quantities, problem.objective, program.length.value
    scales = {**{name: each.scale for name, each in known.items()}, **problem.scales}
    element = float(np.max(np.diff(problem.horizon.fractions()))) * hours
    found = []
    for name, pair in problem.limits.items():
        times = list(program.inner)
        pushes = np.array([multiplier(program.watched[name, t]) for t in times])
        found += _sides(name, known[name].unit, pair, np.array([0.0, *times]) * hours, pushes, objective.scale, element)
    for name, pair in problem.final.items():
        pushes = np.array([multiplier(program.at_end[name])])
        found += _sides(name, known[name].unit, pair, np.array([hours, hours]), pushes, objective.scale, 0.0)
    edges = problem.horizon.fractions() * hours
    controls = {each.name: each for each in problem.system.controls}
    for name, move in problem.control_settings.items():
        numbers = [number for which, number in program.control if which == name]
        pushes = np.array([multiplier(program.control[name, number]) for number in numbers]) / problem.scales[name]
        places = edges if len(numbers) < len(edges) else np.append(edges[:1], edges)
        low = move.low if move.low > controls[name].lower else None  # less than nothing cannot be had
        found += _sides(name, controls[name].unit, (low, move.high), places, pushes, objective.scale, 0.0)
    told = [ActiveLimit(*each, objective.unit) for each in found]
    kept = [each for each in told if each.worth * scales[each.name] > _WORTH * objective.scale]
    return tuple(sorted(kept, key=lambda each: -each.worth * scales[each.name]))


def _sides(
    name: str,
    unit: str,
    pair: tuple[float | None, float | None],
    edges: np.ndarray,
    pushes: np.ndarray,
    scale: float,
    gap: float,
) -> list[tuple[str, str, float, str, tuple[tuple[float, float], ...], float]]:
    """Lowest and highest limit of one quantity, where their multipliers push; a point stands for the time before it.

    Within an element a limit may bind at its end alone, so that gaps up to ``gap`` count as bound, too.
    """
    found = []
    for side, limit, push in (("lowest", pair[0], -pushes), ("highest", pair[1], pushes)):
        push = np.maximum(push, 0.0)
        if limit is None or not push.any():
            continue
        spans: list[tuple[float, float]] = []
        for number in np.flatnonzero(push > _BINDS * push.max()).tolist():
            low, high = float(edges[number]), float(edges[number + 1])
            if spans and low - spans[-1][1] < gap + 1.0e-9:
                spans[-1] = (spans[-1][0], high)
            else:
                spans.append((low, high))
        found.append((name, side, float(limit), unit, tuple(spans), float(push.sum()) * scale))
    return found


def planned(compiled: CompiledProblem, status: Status = Status.OPTIMAL) -> Trajectory:
    """The present answer of a compiled problem as a plan; ``stats`` holds ``optimum`` and the limits that bind."""
    plan = compiled.plan(status)
    settled = compiled.problem.with_choices(plan.stats["choice"])
    stats = {**plan.stats, "optimum": settled.objective_value(plan), "binding": as_records(active_limits(compiled))}
    return Trajectory(plan.data, plan.status, stats)


def outside(problem: Problem, plan: Trajectory, surrogate: Surrogate | None) -> dict[str, float]:
    """By how much uptake limits along a plan leave the surrogate's domain at worst, by exchange [mmol/gDW/h]."""
    if surrogate is None or not problem.system.readings:
        return {}
    numbers = merged_parameters(problem.system, problem.parameter_values)
    names = [each.name for each in problem.system.states]
    worst: dict[str, float] = {}
    for row in zip(*(plan[name] for name in names), strict=True):
        limits = problem.system.limits(dict(zip(names, map(float, row), strict=True)), numbers)
        for exchange, value in limits.items():
            low, high = surrogate.domain.limits[exchange]
            worst[exchange] = max(worst.get(exchange, 0.0), low - value, value - high)
    return {exchange: by for exchange, by in worst.items() if by > 0.0}


def as_records(bindings: tuple[ActiveLimit, ...]) -> list[dict[str, Any]]:
    """Bindings as JSON can hold them."""
    return [{**asdict(each), "text": str(each)} for each in bindings]

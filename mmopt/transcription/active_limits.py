"""Active limits of an optimum: when they are active, and what one more unit of each is worth."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mmopt.plan.active_limit import ActiveLimit, Span
from mmopt.transcription.bounds import CONTROL, LIMIT, BoundedQuantity
from mmopt.transcription.program import CollocationProgram

_ACTIVE: Final = 1.0e-4
"""Fraction of a limit's largest multiplier from which on it is active at a point; the barrier leaves less everywhere."""

_NEGLIGIBLE: Final = 1.0e-6
"""Active limits worth less than this fraction of the objective's scale, for a whole scale of the quantity, are left out."""


def active_limits(program: CollocationProgram, multiplier: Callable[[Any], float]) -> tuple[ActiveLimit, ...]:
    """Find the limits that are active in the present answer of a program.

    Parameters
    ----------
    program
        A solved program.
    multiplier
        Multiplier of the bounds of a variable, above zero at its upper bound.

    Returns
    -------
    tuple of ActiveLimit
        The one worth most for the scale of its quantity first.
    """
    objective = program.problem.objective
    hours = program.hours
    widest = float(np.max(np.diff(program.problem.horizon.fractions))) * hours
    lowest_possible = {control.name: control.lower for control in program.problem.system.controls}
    weighted: list[tuple[float, ActiveLimit]] = []
    for quantity in program.bounded_quantities():
        pushes = np.array([multiplier(variable) for variable in quantity.variables]) / quantity.unit_of_variable
        lower = quantity.lower
        if quantity.kind == CONTROL and lower is not None and lower <= lowest_possible[quantity.name]:
            lower = None  # less than nothing cannot be fed
        gap = widest if quantity.kind == LIMIT else 0.0
        for side, limit, push in (("lowest", lower, -pushes), ("highest", quantity.upper, pushes)):
            push = np.maximum(push, 0.0)
            if limit is None or not push.any():
                continue
            worth = float(push.sum()) * objective.scale
            spans = _spans(quantity, push, gap)
            limited = ActiveLimit(quantity.name, side, float(limit), quantity.unit, spans, worth, objective.unit)
            weighted.append((worth * quantity.scale, limited))
    kept = [entry for entry in weighted if entry[0] > _NEGLIGIBLE * objective.scale]
    return tuple(limited for _, limited in sorted(kept, key=lambda entry: -entry[0]))


def _spans(quantity: BoundedQuantity, push: np.ndarray, gap: float) -> tuple[Span, ...]:
    """Spans in which the multiplier pushes; a point stands for the time before it.

    Within an element a limit may be active at its end alone, so that gaps up to ``gap`` count as active, too.
    """
    spans: list[Span] = []
    for k in np.flatnonzero(push > _ACTIVE * push.max()).tolist():
        low, high = float(quantity.edges[k]), float(quantity.edges[k + 1])
        if spans and low - spans[-1][1] < gap + 1.0e-9:
            spans[-1] = (spans[-1][0], high)
        else:
            spans.append((low, high))
    return tuple(spans)

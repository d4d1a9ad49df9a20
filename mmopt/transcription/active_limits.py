"""Active limits of an optimum: when they are active, and what one more unit of each is worth."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from mmopt.transcription.bounds import CONTROL, LIMIT, BoundedQuantity
from mmopt.transcription.program import CollocationProgram

_ACTIVE: Final = 1.0e-4
"""Fraction of a limit's largest multiplier from which on it is active at a point; the barrier leaves less everywhere."""

_NEGLIGIBLE: Final = 1.0e-6
"""Active limits worth less than this fraction of the objective's scale, for a whole scale of the quantity, are left out."""

Span = tuple[float, float]


@dataclass(frozen=True)
class ActiveLimit:
    """A limit that is active in an optimum.

    Attributes
    ----------
    name, side
        The limited quantity or control, and ``lowest`` or ``highest``.
    limit, unit
        The limit.
    spans
        Time spans in which it is active [h]; the same time twice at the end of the batch.
    worth, objective_unit
        Gain of the objective for one more unit of room, at all times (to first order).

    Examples
    --------
    >>> print(ActiveLimit("volume", "highest", 3.0, "L", ((12.0, 12.0),), 9.1, "g"))
    volume is at its highest allowed value, 3 L (at the end): one L more is worth 9.1 g
    """

    name: str
    side: str
    limit: float
    unit: str
    spans: tuple[Span, ...]
    worth: float
    objective_unit: str

    def __str__(self) -> str:
        when = ", ".join("at the end" if low == high else f"{low:.1f} to {high:.1f} h" for low, high in self.spans)
        unit = f" {self.unit}" if self.unit else ""
        more = "more" if self.side == "highest" else "less"
        return (
            f"{self.name} is at its {self.side} allowed value, {self.limit:g}{unit} ({when}): one{unit} {more} is worth "
            f"{self.worth:.2g} {self.objective_unit}".rstrip()
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


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

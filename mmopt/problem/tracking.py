"""Tracking: set-points that are kept along the whole horizon, prices that are paid along it, and a price of moves.

What is maximised is minus the sum of weighted squares, beside an objective at the end or without one. References over time
are those of the time of the batch, so that a controller reads them at each of its steps.
"""

from collections.abc import Mapping
from dataclasses import field
from itertools import pairwise
from typing import Annotated, Any, Final

import numpy as np
from pydantic import BeforeValidator, PlainValidator

from mmopt.arguments import float_or_none
from mmopt.checking import Finite, NotNegative, Positive, checked, shown
from mmopt.errors import StudyError
from mmopt.problem.control import LINES, SHAPES, STEPS
from mmopt.problem.objective import Objective, as_objective

INTEGRAL, EDGES = "integral", "edges"
SUMS: Final = (INTEGRAL, EDGES)

_SAME_TIME: Final = 1.0e-9
"""Times closer than this [h] are equal."""

Reference = float | tuple[tuple[float, float], ...]
"""A value, or pairs (time [h], value)."""


def _reference(value: Any) -> Reference:
    """A finite number, or pairs of finite numbers whose times ascend."""
    if not isinstance(value, list | tuple):
        numbers = [[0.0, float_or_none(value)]]
    else:
        numbers = [[float_or_none(one) for one in pair] if _is_pair(pair) else [None] for pair in value]
    if not numbers or any(one is None or not np.isfinite(one) for pair in numbers for one in pair):
        raise StudyError(f"a set-point is {shown(value)}; give a finite number, or pairs (time, value) of such")
    times = [time for time, _ in numbers]
    if any(after <= before for before, after in pairwise(times)):  # type: ignore[operator]
        raise StudyError(f"the times of a set-point are {shown(times)}; give times that ascend")
    if not isinstance(value, list | tuple):
        return float(value)
    return tuple((float(time), float(target)) for time, target in value)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


@checked
class SetPoint:
    """The value that a quantity is to keep, and the weight of the squared deviation from it.

    Parameters
    ----------
    value
        The value, in the quantity's unit, or pairs (time of the batch [h], value).
    weight
        Weight of the squared deviation [unit of the objective per squared unit of the quantity; of an integral, and per hour].
    final_weight
        Weight at the end: of a sum over edges in place of ``weight`` there, and beside an integral [unit of the objective per
        squared unit of the quantity]. None: as the others over edges, and none beside an integral.
    shape
        ``steps``: a value holds from its time on. ``lines``: lines between the values. Both hold the first value before
        the first time, and the last value after the last.

    Raises
    ------
    StudyError
        If a number is not finite or out of range, times do not ascend, or the shape is unknown.

    Examples
    --------
    >>> SetPoint(((0.0, 1.0), (4.0, 2.0))).at(np.array([0.0, 3.9, 4.0])).tolist()
    [1.0, 1.0, 2.0]
    >>> SetPoint(((0.0, 1.0), (4.0, 2.0)), shape="lines").at(np.array([2.0])).tolist()
    [1.5]
    """

    value: Annotated[Reference, PlainValidator(_reference, json_schema_input_type=Reference)]
    weight: NotNegative = 1.0
    final_weight: NotNegative | None = None
    shape: str = STEPS

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise StudyError(f"the shape of a set-point is {shown(self.shape)}; use one of {', '.join(SHAPES)}")

    @property
    def varies(self) -> bool:
        """Whether it changes over time."""
        return isinstance(self.value, tuple) and len({target for _, target in self.value}) > 1

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return the value at times.

        Parameters
        ----------
        times
            Times of the batch [h], any shape.

        Returns
        -------
        ndarray
            Values in the quantity's unit, of the same shape.
        """
        pairs = self.value if isinstance(self.value, tuple) else ((0.0, self.value),)
        known, targets = (np.array(column) for column in zip(*pairs, strict=True))
        if self.shape == LINES:
            return np.asarray(np.interp(times, known, targets))
        position = np.searchsorted(known, np.asarray(times) + _SAME_TIME, side="right") - 1
        held: np.ndarray = targets[np.maximum(position, 0)]
        return held


def as_set_point(value: Any) -> Any:
    """Turn a number, or pairs (time, value), into a `SetPoint`; return anything else unchanged.

    Parameters
    ----------
    value
        A number, pairs, a set-point, or anything else.

    Returns
    -------
    SetPoint or the value

    Raises
    ------
    StudyError
        If numbers are not finite, or times do not ascend.

    Examples
    --------
    >>> as_set_point(0.6).weight
    1.0
    """
    return value if isinstance(value, SetPoint | Mapping) else SetPoint(value)


def _plus(value: Any) -> Any:
    value = as_objective(value)
    if value is None or isinstance(value, Objective) or (isinstance(value, str) and value):
        return value
    raise StudyError(f"plus is {shown(value)}; give the name of a quantity, an Objective, or None")


@checked(repr=False)
class Tracking:
    """What is maximised along the horizon: minus the squared deviations from set-points and the squared moves of controls.

    Parameters
    ----------
    set_points
        Set-point by state, derived quantity or rate of the cell: a number in its unit, pairs (time, value), or a `SetPoint`
        with more settings.
    moves
        Price of the squared change of a control from one value to the next, by name [unit of the objective per squared unit
        of the control]; the change from the last move that was applied to the first value counts, too.
    prices
        Price of one unit of a quantity along the horizon [unit of the objective per unit of the quantity; of an integral, and
        per hour]: what is gained or, below zero, paid.
    before
        Values of controls that were applied before the batch, in their units. The first change of a control that is not
        named has no price at the start of the batch.
    plus
        What is maximised at the end, too: name of a quantity or an `Objective`; None for nothing else.
    summed
        ``integral``: squared deviations and prices are integrated over time [h], on any mesh the same. ``edges``: they are
        added up at the end of every element, as discrete controllers do; values of controls there are those of the element.
    scale
        Typical size of the sum, in its unit, where there is no objective beside it.

    Raises
    ------
    StudyError
        If there is nothing to track, an argument is of the wrong kind, or a number is out of range.

    Examples
    --------
    >>> Tracking({"biomass": SetPoint(5.0, weight=2.0)}, moves={"feed": 10.0}, plus="biomass_amount")
    Tracking: biomass, moves of feed, plus biomass_amount
    """

    set_points: dict[
        str, Annotated[SetPoint, BeforeValidator(as_set_point, json_schema_input_type=SetPoint | Reference)]
    ] = field(default_factory=dict)
    moves: dict[str, NotNegative] = field(default_factory=dict)
    prices: dict[str, Finite] = field(default_factory=dict)
    before: dict[str, Finite] = field(default_factory=dict)
    plus: Annotated[
        str | Objective | None, PlainValidator(_plus, json_schema_input_type=str | dict[str, Any] | None)
    ] = None
    summed: str = INTEGRAL
    scale: Positive = 1.0

    def __post_init__(self) -> None:
        if not (self.set_points or self.moves or self.prices):
            raise StudyError("there is nothing to track; give set_points, prices or moves")
        if self.summed not in SUMS:
            raise StudyError(f"summed is {shown(self.summed)}; use one of {', '.join(SUMS)}")

    @property
    def varies(self) -> bool:
        """Whether a set-point changes over time."""
        return any(set_point.varies for set_point in self.set_points.values())

    def final_weight(self, name: str) -> float:
        """Return what the end of the horizon adds to the weight of a set-point.

        Parameters
        ----------
        name
            The quantity.

        Returns
        -------
        float
            Of a sum over edges the difference to ``weight``, which may be below zero.
        """
        set_point = self.set_points[name]
        if set_point.final_weight is None:
            return 0.0
        return set_point.final_weight - (set_point.weight if self.summed == EDGES else 0.0)

    def __repr__(self) -> str:
        followed = [*self.set_points, *(f"price of {name}" for name in self.prices)]
        moved = [f"moves of {name}" for name in self.moves]
        plus = self.plus.name if isinstance(self.plus, Objective) else self.plus
        return f"Tracking: {', '.join([*followed, *moved, *([f'plus {plus}'] if plus else [])])}"


def as_tracking(value: Any) -> Any:
    """Turn the mapping of a study file that names set-points, moves or prices into a `Tracking`; return all else unchanged.

    Parameters
    ----------
    value
        A mapping, a tracking, or anything else.

    Returns
    -------
    Tracking or the value

    Raises
    ------
    StudyError
        If the mapping has an unknown key or a wrong value.

    Examples
    --------
    >>> as_tracking({"set_points": {"biomass": 5.0}, "moves": {"feed": 10.0}})
    Tracking: biomass, moves of feed
    """
    if isinstance(value, Mapping) and {"set_points", "moves", "prices"} & set(value):
        unknown = [str(key) for key in value if key not in Tracking.__dataclass_fields__]
        if unknown:
            raise StudyError(
                f"there is no '{unknown[0]}' in a tracking; give one of {', '.join(Tracking.__dataclass_fields__)}"
            )
        return Tracking(**value)
    return value

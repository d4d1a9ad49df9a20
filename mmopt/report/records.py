"""The records of a run summary: checked and frozen, read from JSON and written as JSON."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _finite_or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]
"""A finite number; None stands for NaN and infinity, which JSON does not have."""

NumberOrRange = Number | tuple[Number, Number]
"""A number, or the range in which the optimisation may choose it."""


class Record(BaseModel):
    """Base of all records: unknown keys are errors, and fields cannot be reassigned.

    Examples
    --------
    >>> from mmopt.report.records import Record
    >>> class Pump(Record):
    ...     rate: float
    >>> Pump(rate=2.0).rate
    2.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkRecord(Record):
    """The metabolic network of a run.

    Examples
    --------
    >>> NetworkRecord(name="iJO1366", reactions=2583, metabolites=1805, hash="b297fda7").reactions
    2583
    """

    name: str
    reactions: int
    metabolites: int
    hash: str


class FitErrors(Record):
    """Errors of one output of a surrogate at points that were not used for training.

    Examples
    --------
    >>> FitErrors(worst=0.01, mean=0.001, range=1.0, r2=0.9999, unit="1/h").unit
    '1/h'
    """

    worst: Number = None
    mean: Number = None
    range: Number = None
    r2: Number = None
    unit: str = ""


class SurrogateRecord(Record):
    """The surrogate of a run: its name, its card, and its errors at fresh points by output.

    Examples
    --------
    >>> SurrogateRecord(name="ecoli_ijo1366", card={"seed": 0}).card["seed"]
    0
    """

    name: str
    card: dict[str, Any] = {}
    fresh_points: dict[str, FitErrors] | None = None


class AtlasRecord(Record):
    """The critical regions that were explored: their number, and the fraction of the domain they cover.

    Examples
    --------
    >>> AtlasRecord(regions=296, coverage=1.0).regions
    296
    """

    regions: int
    coverage: Number = None


class Amount(Record):
    """A value with its unit; a pair is a range in which the value may be chosen.

    Examples
    --------
    >>> Amount(value=2.0, unit="L").unit
    'L'
    """

    value: NumberOrRange = None
    unit: str = ""


class ParameterRecord(Record):
    """A parameter with its unit and source.

    Examples
    --------
    >>> ParameterRecord(value=300.0, unit="1/h", source="measured").source
    'measured'
    """

    value: NumberOrRange = None
    unit: str = ""
    source: str = ""


class Limit(Record):
    """Lowest and highest allowed value of a quantity, in its unit; None is no limit.

    Examples
    --------
    >>> Limit(lowest=20.0, unit="%").highest is None
    True
    """

    lowest: Number = None
    highest: Number = None
    unit: str = ""


class ObjectiveRecord(Record):
    """Name and unit of what is maximised.

    Examples
    --------
    >>> str(ObjectiveRecord(name="worth", unit="EUR"))
    'worth [EUR]'
    """

    name: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name


class ProblemRecord(Record):
    """The optimisation problem of a run: objective, horizon, initial state, controls and limits, by name.

    Examples
    --------
    >>> ProblemRecord(objective=ObjectiveRecord(name="worth", unit="EUR"), hours=12.0, elements=24).hours
    12.0
    """

    objective: ObjectiveRecord
    hours: NumberOrRange = None
    elements: int = 1
    initial: dict[str, Amount] = {}
    controls: dict[str, Limit] = {}
    limits: dict[str, Limit] = {}
    final: dict[str, Limit] = {}


class OptimisationRecord(Record):
    """How the optimum was computed.

    ``back_off`` is the largest tightening of every limit, ``remedies`` what was done where no start led to an optimum.

    Examples
    --------
    >>> OptimisationRecord(status="solved to optimality", iterations=27).iterations
    27
    """

    status: str
    solver: str = ""
    iterations: int | None = None
    solves: int | None = None
    solve_seconds: Number = None
    build_seconds: Number = None
    seconds: Number = None
    variables: int | None = None
    constraints: int | None = None
    elements: int | None = None
    remedies: tuple[str, ...] = ()
    back_off: dict[str, Amount] = {}


class ResultRow(Record):
    """The objective that one feed reaches: as planned, integrated with the surrogate, and on the linear program.

    ``gain`` is the relative gain of the optimal feed over this one on the linear program.

    Examples
    --------
    >>> ResultRow(role="constant", name="best constant feed", reference=39.9, gain=0.25).gain
    0.25
    """

    role: str
    name: str
    planned: Number = None
    integrated: Number = None
    reference: Number = None
    gain: Number = None
    note: str = ""


class Gaps(Record):
    """Relative differences of the planned objective to its integration and to the linear program.

    Examples
    --------
    >>> Gaps(integration=1.0e-6, reference=4.0e-4).reference
    0.0004
    """

    integration: Number = None
    reference: Number = None


class ViolationRow(Record):
    """A limit that is violated on the linear program: allowed and reached value, in its unit, and relative violation.

    Examples
    --------
    >>> ViolationRow(limit="acetate", allowed=2.0, reached=2.1, relative=0.05, unit="g/L").relative
    0.05
    """

    limit: str
    allowed: Number = None
    reached: Number = None
    relative: Number = None
    unit: str = ""


class FeedRecord(Record):
    """A feed table: its column names with units, and its rows.

    Examples
    --------
    >>> FeedRecord(header=("from [h]", "to [h]", "feed [L/h]"), rows=((0.0, 1.0, 0.01),)).rows
    ((0.0, 1.0, 0.01),)
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Number, ...], ...]


class CampaignRecord(Record):
    """Batches under control that differ in their noise; objectives in the unit of the problem's objective.

    Attributes
    ----------
    batches
        Number of batches.
    lowest, median, highest
        Of the objective.
    violating
        Batches that violate a limit of the problem by more than 5 % of it.
    worst_violation
        Largest violation of a limit in any batch, relative to the limit.
    fallbacks
        Steps that took a fallback, in all batches.
    median_ms, late_ms
        Median of the time of a step, and what 99 % of the steps stay below.

    Examples
    --------
    >>> CampaignRecord(batches=20, lowest=34.9, median=35.3, highest=35.8).violating
    0
    """

    batches: int = 0
    lowest: Number = None
    median: Number = None
    highest: Number = None
    violating: int = 0
    worst_violation: Number = None
    fallbacks: int = 0
    median_ms: Number = None
    late_ms: Number = None


class ClosedLoopRecord(Record):
    """A closed loop on a disturbed plant; objectives in the unit of the problem's objective.

    Attributes
    ----------
    disturbance
        True value of the parameters that the controller does not know.
    objective, reference_objective, open_loop_objective
        Objective of the loop, of a controller that knows the plant, and of the optimum on the undisturbed plant.
    ratio
        Objective of the loop divided by that of the controller that knows the plant.
    aimed_limits
        Limits at which the controller aims, where they differ from the problem's.
    violations
        Relative violation on the plant by limit of the problem.
    campaign
        The same loop with other noise, many times.

    Examples
    --------
    >>> ClosedLoopRecord(objective=35.4, reference_objective=35.3, ratio=1.004, steps=24, fallbacks=0).steps
    24
    """

    disturbance: dict[str, Amount] = {}
    objective: Number = None
    reference_objective: Number = None
    open_loop_objective: Number = None
    ratio: Number = None
    aimed_limits: dict[str, Limit] = {}
    steps: int = 0
    fallbacks: int = 0
    median_ms: Number = None
    worst_ms: Number = None
    violations: dict[str, Number] = {}
    campaign: CampaignRecord | None = None


class StarvationRecord(Record):
    """A simulation whose feed stops: when starvation begins, its size, and the objective reached.

    Examples
    --------
    >>> StarvationRecord(feed_stops=5.0, hours=8.0, begins=5.03, largest_shortfall=3.15).begins
    5.03
    """

    feed_stops: Number = None
    hours: Number = None
    begins: Number = None
    largest_shortfall: Number = None
    reference: Number = None
    surrogate: Number = None

"""A step of a supervisor as a row of a journal."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from mmopt.control.fallbacks import Move
from mmopt.operation.actions import Action, Mode
from mmopt.operation.encoding import as_json, from_json, values_as_json, values_from_json
from mmopt.status import Status


@dataclass(frozen=True)
class Record:
    """One step of a supervisor.

    Attributes
    ----------
    action
        What was done.
    measured
        What the sensors sent, as it was received.
    applied
        What the plant had, as it was received.
    manual
        The operator's values at that time.
    begins
        Whether AUTO began with the step.
    states
        The estimate; empty where there was none.
    parameters
        Estimated parameters; empty where there was no estimate.
    clock
        When the step was recorded, as ISO 8601 in UTC.

    Examples
    --------
    >>> Record(Action(0.5, Mode.OFF, None, None), {"biomass": 1.5}, None).action.mode.name
    'OFF'
    """

    action: Action
    measured: Any
    applied: Any
    manual: Mapping[str, float] = field(default_factory=dict)
    begins: bool = False
    states: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, float] = field(default_factory=dict)
    clock: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))


COLUMNS = (
    "clock",
    "time",
    "mode",
    "begins",
    "measured",
    "applied",
    "manual",
    "states",
    "parameters",
    "controls",
    "move",
    "left_out",
    "notes",
)
"""Columns of a journal; each is a text, JSON but for the first and the third."""


def row_of(record: Record) -> tuple[str, ...]:
    """Return the row of a record.

    Parameters
    ----------
    record
        The record.

    Returns
    -------
    tuple of str
        One text for each of `COLUMNS`.

    Examples
    --------
    >>> from mmopt.operation.records import row_of
    >>> row_of(Record(Action(0.5, Mode.OFF, None, None), {"biomass": None}, None))[1:6]
    ('0.5', 'OFF', 'false', '{"biomass": null}', 'null')
    """
    action = record.action
    return (
        record.clock,
        json.dumps(as_json(action.time)),
        action.mode.name,
        json.dumps(record.begins),
        values_as_json(record.measured),
        values_as_json(record.applied),
        values_as_json(record.manual),
        values_as_json(record.states),
        values_as_json(record.parameters),
        values_as_json(action.controls),
        json.dumps(None if action.move is None else _of_move(action.move)),
        json.dumps(action.left_out),
        json.dumps(action.notes),
    )


def record_of(row: Sequence[str]) -> Record:
    """Return the record of a row.

    Parameters
    ----------
    row
        What `row_of` returned.

    Returns
    -------
    Record

    Raises
    ------
    ValueError, KeyError, TypeError, StudyError
        If the row is none.

    Examples
    --------
    >>> from mmopt.operation.records import record_of, row_of
    >>> record = Record(Action(0.5, Mode.AUTO, {"feed": 0.1}, None, notes=("late",)), {"biomass": "lost"}, None)
    >>> record_of(row_of(record)) == record
    True
    """
    named = dict(zip(COLUMNS, row, strict=True))
    move = json.loads(named["move"])
    action = Action(
        time=from_json(json.loads(named["time"])),
        mode=Mode[named["mode"]],
        controls=values_from_json(named["controls"]),
        move=None if move is None else _move_of(move),
        left_out=tuple(json.loads(named["left_out"])),
        notes=tuple(json.loads(named["notes"])),
    )
    values = {name: values_from_json(named[name]) for name in ("measured", "applied", "manual", "states", "parameters")}
    return Record(action, begins=json.loads(named["begins"]), clock=named["clock"], **values)


def _of_move(move: Move) -> dict[str, Any]:
    own = {**asdict(move), "status": move.status.name, "controls": dict(move.controls)}
    return own if math.isfinite(move.seconds) else {**own, "seconds": 0.0}


def _move_of(entry: Mapping[str, Any]) -> Move:
    known = {**entry, "status": Status[entry["status"]]}
    return Move(**{**known, "violations": tuple(known["violations"]), "notes": tuple(known["notes"])})

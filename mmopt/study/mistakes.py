"""All mistakes of a study file at once, with the line and the full name of every value.

Validation stops inside an object at its first wrong field. So wrong values that have a default are taken out and the rest
is validated again, until nothing new appears.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mmopt.checking import describe_problem
from mmopt.errors import nearest
from mmopt.study.yaml_file import Location, YamlFile

MOST_MISTAKES: Final = 50
"""Mistakes in one message."""

_ROUNDS: Final = 30
"""Validations of a file, each in about 2 ms."""

_UNKNOWN: Final = ("unexpected_keyword_argument", "extra_forbidden")
_MISSING: Final = ("missing", "missing_argument")

_OPTIONAL_ENTRIES: Final = frozenset({"limits", "final", "soft", "parameters", "disturbance", "estimated"})
"""Mappings whose entries may be left out."""

_MOVED: Final[Mapping[Location, str]] = {
    **{
        (name,): f"problem.{name}"
        for name in ("initial", "horizon", "controls", "limits", "final", "soft", "maximise", "parameters", "system")
    },
    ("reactor",): "problem.system (a name, or its species) and problem.parameters",
    ("nmpc",): "closed_loop",
    ("sampling",): "table",
    ("table", "labels"): "table.size",
    ("problem", "horizon", "hours"): "problem.horizon.length",
    ("problem", "reactor"): "problem.system (a name, or its species) and problem.parameters",
}
"""Keys of former versions, and where they stand now."""

_MOVED_ANYWHERE: Final[Mapping[str, str]] = {
    "range": "low and high",
    "change": "rate_limit",
}
"""Keys of a control in former versions, and what replaces them."""


def mistakes(file: YamlFile, target: type) -> list[str]:
    r"""List all mistakes of a file.

    Parameters
    ----------
    file
        The file.
    target
        The class that it describes.

    Returns
    -------
    list of str
        One line for every mistake, ``file:line: name is value; what it should be``; empty if there is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> values = {"size": 0, "sed": 1}
    >>> lines = {("size",): 1, ("sed",): 2}
    >>> print("\n".join(mistakes(YamlFile(Path("table.yaml"), values, lines), TableOptions)))
    table.yaml:1: size is 0; it should be greater than or equal to 1
    table.yaml:2: there is no 'sed'; nearest known: seed, size
    """
    values = copy.deepcopy(file.values)
    adapter: TypeAdapter[Any] = TypeAdapter(target)
    listed: dict[str, int] = {}
    removed: set[Location] = set()
    for _ in range(_ROUNDS):
        problems = list(_problems(adapter, values, file, removed))
        fresh = [(text, line) for text, line, _ in problems if text not in listed]
        listed.update(fresh)
        prunable = {location for _, _, location in problems if _may_be_left_out(location, target)}
        if not fresh or not prunable:
            break
        for location in prunable:
            _remove(values, location)
        removed |= prunable
    ordered = sorted(listed.items(), key=lambda one: one[1])
    lines = [f"{file.path}:{line}: {text}" for text, line in ordered[:MOST_MISTAKES]]
    return lines + ([f"and {len(ordered) - MOST_MISTAKES} more"] if len(ordered) > MOST_MISTAKES else [])


def _problems(
    adapter: TypeAdapter[Any], values: Any, file: YamlFile, removed: set[Location]
) -> Iterator[tuple[str, int, Location]]:
    """Yield message, line and location of the problems of one validation."""
    try:
        adapter.validate_python(values)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            location = _in_file(problem["loc"], file)
            if problem["type"] in _MISSING:
                location = (*location, problem["loc"][-1])
                if location in removed:
                    continue
            if problem["type"] == "value_error":
                location = _quoted(str(problem["msg"]), location, file)
            known = location
            while known not in file.lines and known:
                known = known[:-1]
            text = _text(problem, location, adapter)
            yield text, file.lines.get(known, 1), location


def _text(problem: Any, location: Location, adapter: TypeAdapter[Any]) -> str:
    """Describe a problem, with the nearest known name of an unknown key."""
    if problem["type"] not in _UNKNOWN:
        return describe_problem({**problem, "loc": location})
    key, owner = str(location[-1]), ".".join(map(str, location[:-1]))
    inside = f" in {owner}" if owner else ""
    moved = _MOVED.get(location) or (_MOVED_ANYWHERE.get(key) if "controls" in location else None)
    if moved:
        return f"there is no '{key}'{inside}; it is now {moved}"
    names = sorted({name for cls in _classes_at(location[:-1], _target(adapter)) for name in _names(cls)})
    return f"there is no '{key[:60]}'{inside}; {nearest(key[:60], names)}"


def _target(adapter: TypeAdapter[Any]) -> Any:
    return adapter._type  # the class that was given to it


def _in_file(location: tuple[int | str, ...], file: YamlFile) -> Location:
    """Leave out what pydantic adds to a location, such as the kinds of a union."""
    path: Location = ()
    for step in location:
        if (*path, step) in file.lines:
            path = (*path, step)
    return path


def _quoted(message: str, location: Location, file: YamlFile) -> Location:
    """Return the location of a name in quotes inside a value, where a message has one."""
    for name in re.findall(r"'([^']+)'", message):
        inside = [
            one for one in file.lines if one[: len(location)] == location and one != location and one[-1:] == (name,)
        ]
        if inside:
            return min(inside, key=lambda one: (".".join(map(str, one[:-1])) not in message, len(one)))
    return location


def _classes(annotation: Any) -> set[type]:
    """Return the dataclasses inside an annotation."""
    if is_dataclass(annotation) and isinstance(annotation, type):
        return {annotation}
    if get_origin(annotation) is Annotated:
        return _classes(get_args(annotation)[0])
    return {cls for inside in get_args(annotation) for cls in _classes(inside)}


def _names(cls: type) -> set[str]:
    return {field.name for field in fields(cls)} if is_dataclass(cls) else set()


def _classes_at(location: Location, target: Any) -> set[type]:
    """Return the dataclasses that a location may hold."""
    classes = _classes(target)
    for step in location:
        owners = [cls for cls in classes if step in _names(cls)]
        if owners:
            classes = {inside for cls in owners for inside in _classes(get_type_hints(cls)[str(step)])}
    return classes


def _may_be_left_out(location: Location, target: Any) -> bool:
    """Whether a value has a default, or is an entry that may be missing, or a key that is unknown."""
    if not location:
        return False
    if len(location) > 1 and location[-2] in _OPTIONAL_ENTRIES:
        return True
    owners = [cls for cls in _classes_at(location[:-1], target) if is_dataclass(cls)]
    known = [one for cls in owners for one in fields(cls) if one.name == location[-1]]
    required = "MISSING_TYPE"
    return bool(owners) and not any(
        type(one.default).__name__ == required and type(one.default_factory).__name__ == required for one in known
    )


def _remove(values: Any, location: Location) -> None:
    for step in location[:-1]:
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(values, dict):
        values.pop(location[-1], None)

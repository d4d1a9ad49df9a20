"""All mistakes of a study file at once, with the line and the full name of every value.

Validation stops inside an object at its first wrong field. So wrong values that have a default are taken out and the rest
is validated again, until nothing new appears.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
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

_NAMES_OF_THE_USER: Final = frozenset({"initial", "controls", "limits", "final", "soft", "parameters", "domain"})
"""Mappings whose keys are names of quantities."""

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
    listed: dict[str, int] = {}
    removed: set[Location] = set()
    for _ in range(_ROUNDS):
        problems = list(_problems(target, values, file, removed))
        fresh = [(text, line) for text, line, _ in problems if text not in listed]
        listed.update(fresh)
        prunable = {_removable(location, target) for _, _, location in problems} - {()}
        if not fresh or not prunable:
            break
        for location in prunable:
            _remove(values, location)
        removed |= prunable
    ordered = sorted(listed.items(), key=lambda one: one[1])
    lines = [f"{file.path}:{line}: {text}" for text, line in ordered[:MOST_MISTAKES]]
    return lines + ([f"and {len(ordered) - MOST_MISTAKES} more"] if len(ordered) > MOST_MISTAKES else [])


def _problems(target: type, values: Any, file: YamlFile, removed: set[Location]) -> Iterator[tuple[str, int, Location]]:
    """Yield message, line and location of the problems of one validation."""
    try:
        TypeAdapter(target).validate_python(values)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            missing = problem["type"] in _MISSING
            location = _in_file(problem["loc"][:-1] if missing else problem["loc"], file)
            if missing:
                location = (*location, problem["loc"][-1])
                if location in removed:
                    continue
            if problem["type"] == "value_error":
                location = _named(str(problem["msg"]), location, file)
            known = location
            while known not in file.lines and known:
                known = known[:-1]
            text = _text(problem, location, target)
            yield text, file.lines.get(known, 1), location


def _text(problem: Any, location: Location, target: type) -> str:
    """Describe a problem, with the nearest known name of an unknown key."""
    if problem["type"] not in _UNKNOWN:
        named = problem["type"] == "value_error" and ".".join(map(str, location[:-1])) in problem["msg"]
        return describe_problem({**problem, "loc": () if named and len(location) > 1 else location})
    key, owner = str(location[-1]), ".".join(map(str, location[:-1]))
    inside = f" in {owner}" if owner else ""
    moved = _MOVED.get(location) or (_MOVED_ANYWHERE.get(key) if "controls" in location else None)
    if moved:
        return f"there is no '{key}'{inside}; it is now {moved}"
    names = sorted({name for cls in _classes_at(location[:-1], target) for name in _names(cls)})
    return f"there is no '{key[:60]}'{inside}; {nearest(key[:60], names)}"


def _in_file(location: tuple[int | str, ...], file: YamlFile) -> Location:
    """Leave out what pydantic adds to a location, such as the kinds of a union."""
    path: Location = ()
    for step in location:
        if (*path, step) in file.lines:
            path = (*path, step)
    return path


def _named(message: str, location: Location, file: YamlFile) -> Location:
    """Return the location of a name inside a value that a message mentions, in quotes or among the user's own names."""
    inside = [one for one in file.lines if len(one) > len(location) and one[: len(location)] == location]
    quoted = set(re.findall(r"'([^']+)'", message))
    words = set(re.findall(r"\w+", message))
    candidates = [one for one in inside if one[-1] in quoted] or [
        one for one in inside if one[-1] in words and one[-2:-1] and one[-2] in _NAMES_OF_THE_USER
    ]
    begins = "begin" in message

    def distance(one: Location) -> tuple[bool, bool, int]:
        return ".".join(map(str, one[:-1])) not in message, begins != (one[-2:-1] == ("initial",)), len(one)

    return min(candidates, key=distance, default=location)


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


def _removable(location: Location, target: type) -> Location:
    """Return what of a wrong value can be left out, so that the rest is validated: itself or its section; else nothing."""
    if not location:
        return ()
    if len(location) > 1 and location[-2] in _OPTIONAL_ENTRIES:
        return location
    owners = _classes_at(location[:-1], target)
    known = [one for cls in owners for one in fields(cls) if one.name == location[-1]]
    if owners and not known:
        return location  # an unknown key
    if location[:2] == ("problem", "system"):  # without a species, its other names would be unknown
        return ()
    if owners and all(one.default is not MISSING or one.default_factory is not MISSING for one in known):
        return location
    return _removable(location[:1], target) if len(location) > 1 else ()


def _remove(values: Any, location: Location) -> None:
    for step in location[:-1]:
        try:
            values = values[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(values, dict):
        values.pop(location[-1], None)

"""Reading of a YAML file that may come from anybody: plain values, the line of every value, and quick refusals.

The file is read event by event, so that a harmful one is refused before it grows: too large, too deep, too many values,
aliases that multiply. Scalars follow the core schema of YAML 1.2, which has no dates and no truth values but true and false.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from mmopt.errors import StudyError

Location = tuple[str | int, ...]
"""Keys and positions from the root of a file to a value."""

MOST_BYTES: Final = 256_000
MOST_DEPTH: Final = 50
MOST_VALUES: Final = 10_000
MOST_ANCHORS: Final = 100
"""A study has about 100 values at a depth of 6 in 3 kB, and no anchors; files up to these bounds are read in a second."""

_TAGS: Final = (None, "!", "tag:yaml.org,2002:str")

_LONGEST_INTEGER: Final = 18
"""Digits of a whole number; a longer one is read as a float, which no count accepts."""

_CONSTANTS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class YamlFile:
    r"""Values of a YAML file, with their lines.

    Attributes
    ----------
    path
        The file.
    values
        The mapping at its root.
    lines
        Line of every value by location; of a value in a mapping, the line of its key.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "study.yaml")
    ...     _ = path.write_text("title: A batch\nhorizon: {length: 12.0}\n")
    ...     file = read_yaml(path)
    >>> file.values, file.lines["horizon", "length"]
    ({'title': 'A batch', 'horizon': {'length': 12.0}}, 2)
    """

    path: Path
    values: dict[str, Any]
    lines: dict[Location, int]


def read_yaml(path: str | Path) -> YamlFile:
    """Read a YAML file with a mapping at its root.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    YamlFile
        Its values and their lines.

    Raises
    ------
    StudyError
        If the file is missing, too large, not UTF-8, not YAML, no mapping, or has a key twice; the line is named.
    """
    path = Path(path)
    text = _text(path)
    builder = _Builder(path)
    try:
        events = iter(YAML(typ="safe", pure=True).parse(text))
        values = builder.document(events)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise StudyError(f"{path}:{line}: it is not YAML: {error.problem or error.context}; correct it") from error
    except (YAMLError, ValueError) as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(f"{path}: it is not YAML: {' '.join(str(error).split())[:200]}; correct it") from error
    if not isinstance(values, dict):
        raise StudyError(f"{path}:1: it holds no mapping of names to values; begin with mmopt init")
    return YamlFile(path, values, builder.lines)


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise StudyError(f"{path} cannot be read (it is no file); give a study file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, StudyError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise StudyError(f"{path} cannot be read ({reason}); give a study file") from error
    if len(data) > MOST_BYTES:
        raise StudyError(f"{path} is larger than {MOST_BYTES // 1000} kB; give a study file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{path}:{line}: byte {error.start} is not UTF-8; save it as UTF-8") from error
    if not text.strip():
        raise StudyError(f"{path} is empty; begin with mmopt init")
    return text


@dataclass
class _Anchored:
    """A value with the lines inside it, for aliases."""

    value: Any
    lines: dict[Location, int]


@dataclass
class _Builder:
    """Builds values from events, within bounds."""

    path: Path
    lines: dict[Location, int] = field(default_factory=dict)
    anchors: dict[str, _Anchored] = field(default_factory=dict)
    count: int = 0
    anchored: int = 0

    def document(self, events: Iterator[Event]) -> Any:
        """Build the only document of a file."""
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.error(event, "a second document begins; give one study per file")
                value = self.value(next(events), events, ())
        return value

    def value(self, event: Event, events: Iterator[Event], location: Location) -> Any:
        """Build the value that begins with an event."""
        self.count += 1
        if self.count > MOST_VALUES:
            raise self.error(event, f"there are more than {MOST_VALUES} values; give a study file")
        if len(location) > MOST_DEPTH:
            raise self.error(event, f"values are nested more than {MOST_DEPTH} deep; give a study file")
        self.lines.setdefault(location, self.line(event))
        if isinstance(event, AliasEvent):
            return self.repeated(event, location)
        if not isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent) or event.tag not in _TAGS:
            raise self.error(event, f"the tag {str(getattr(event, 'tag', ''))[:60]} is not supported; leave it out")
        if isinstance(event, MappingStartEvent):
            value: Any = self.mapping(events, location)
        elif isinstance(event, SequenceStartEvent):
            value = self.sequence(events, location)
        else:
            value = _scalar(event)
        if event.anchor:
            self.anchored += 1
            if self.anchored > MOST_ANCHORS:
                raise self.error(event, f"there are more than {MOST_ANCHORS} anchors; write the values out")
            inside = {
                one[len(location) :]: line for one, line in self.lines.items() if one[: len(location)] == location
            }
            self.anchors[event.anchor] = _Anchored(value, inside)
        return value

    def mapping(self, events: Iterator[Event], location: Location) -> dict[str, Any]:
        """Build a mapping."""
        values: dict[str, Any] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise self.error(event, "a key is no text; give names as keys")
            key = str(event.value)
            if key in values:
                raise self.error(event, f"the key '{key[:60]}' is given twice; give it once")
            self.lines[*location, key] = self.line(event)
            values[key] = self.value(next(events), events, (*location, key))
        return values

    def sequence(self, events: Iterator[Event], location: Location) -> list[Any]:
        """Build a list."""
        values: list[Any] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            values.append(self.value(event, events, (*location, len(values))))
        return values

    def repeated(self, event: AliasEvent, location: Location) -> Any:
        """Repeat an anchored value; its size counts again."""
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            raise self.error(event, f"the alias '{event.anchor[:60]}' names no value before it; write the value out")
        self.count += len(anchored.lines)
        if self.count > MOST_VALUES:
            raise self.error(event, f"aliases repeat more than {MOST_VALUES} values; write them out")
        self.lines.update({(*location, *inside): self.line(event) for inside in anchored.lines})
        return anchored.value

    def line(self, event: Event) -> int:
        """Return the line of an event."""
        return int(event.start_mark.line) + 1

    def error(self, event: Event, message: str) -> StudyError:
        """Return an error that names the line of an event."""
        return StudyError(f"{self.path}:{self.line(event)}: {message}")


def _scalar(event: ScalarEvent) -> Any:
    """Return a number, a truth value, None, or a text."""
    text = str(event.value)
    if not event.implicit[0] or event.tag == _TAGS[-1]:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _LONGEST_INTEGER else float(text)
    if _FLOAT.fullmatch(text):
        return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))
    return text

"""The journal of a supervisor: every step, and what a restart needs.

One SQLite file with a write-ahead log: other programs may read it while the batch runs. A step is one row, in one transaction
with the memory of the supervisor after it, and is on the disk before its controls are returned. One process writes at a time;
it holds a lock beside the file, which ends with it. The header contains what the journal is of. Nothing in a file is ever run.
"""

import fcntl
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from mmopt.checking import shown
from mmopt.errors import StudyError, first_line
from mmopt.io.seal import canonical_json, digest
from mmopt.operation.encoding import packed, unpacked
from mmopt.operation.records import COLUMNS, Record, record_of, row_of

_APPLICATION: Final = 0x6D6D6F70
"""Number in the header of SQLite files that are journals of a supervisor ("mmop")."""

_SCHEMA: Final = (
    f"PRAGMA application_id = {_APPLICATION}",
    "CREATE TABLE header (facts TEXT NOT NULL, key TEXT NOT NULL)",
    f"CREATE TABLE steps (number INTEGER PRIMARY KEY, {', '.join(f'{name} TEXT NOT NULL' for name in COLUMNS)}, "
    "checksum TEXT NOT NULL)",
    "CREATE TABLE memory (id INTEGER PRIMARY KEY CHECK (id = 1), content BLOB NOT NULL, checksum TEXT NOT NULL)",
)

_SETTINGS: Final = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a committed step also outlives a loss of power
)

_WAITS: Final = 2.0
"""Seconds for which a locked file is tried."""


class Journal:
    """The journal of a batch.

    Parameters
    ----------
    path
        The file; it is created where there is none. While it is written, SQLite keeps two more files beside it.

    Attributes
    ----------
    path
        The file.

    Raises
    ------
    StudyError
        If the file cannot be written, is damaged, or is none of a supervisor.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "batch.journal") as journal:
    ...     journal.claim({"problem": "a fed-batch"})
    ...     journal.add(Record(Action(0.5, Mode.OFF, None, None), {"biomass": 1.5}, None), memory={})
    ...     [record.measured for record in journal.records()]
    [{'biomass': 1.5}]
    """

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, str | Path):
            raise StudyError(f"journal is {shown(path)}; give the path of a file")
        self.path = Path(path)
        self._lock: IO[str] | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"journal {self.path} cannot be created ({error.strerror}); give a path in a folder that can be written"
            ) from error
        with self._explained():
            self._base = sqlite3.connect(self.path, timeout=_WAITS, isolation_level=None)
            # the checksum notices damaged text
            self._base.text_factory = lambda raw: raw.decode(errors="replace")
        try:
            with self._explained():
                self._open()
        except BaseException:
            self._base.close()
            raise

    def _open(self) -> None:
        kind = self._base.execute("PRAGMA application_id").fetchone()[0]
        if kind != _APPLICATION:  # nothing is written before this is known
            if self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise StudyError(f"{self.path} is a database, but no journal of a supervisor; give another path")
            self._base.execute("BEGIN EXCLUSIVE")
            for command in _SCHEMA:
                self._base.execute(command)
            self._base.execute("COMMIT")
        for setting in _SETTINGS:
            self._base.execute(setting)
        if self._base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages do not fit together")
        self._header()
        self._base.execute(f"SELECT number, {', '.join(COLUMNS)}, checksum FROM steps LIMIT 0")  # noqa: S608

    def _header(self) -> tuple[str, str] | None:
        """Facts and their key; None before the journal belongs to a batch."""
        header = self._base.execute("SELECT facts, key FROM header").fetchone()
        if header is None:
            return None
        if digest(str(header[0])) != header[1]:
            raise sqlite3.DatabaseError("its header was changed")
        return str(header[0]), str(header[1])

    def claim(self, facts: Mapping[str, str]) -> None:
        """Take the journal for writing.

        Parameters
        ----------
        facts
            What the journal is of, by name; those of the first claim are kept.

        Raises
        ------
        StudyError
            If it is the journal of something else, another process writes it, or it cannot be written.
        """
        own = dict(facts)
        with self._explained():
            self._lock = self._lock or _locked(self.path)
            header = self._header()
            if header is None:
                text = canonical_json(own)
                self._base.execute("INSERT INTO header VALUES (?, ?)", (text, digest(text)))
                return
        there = json.loads(header[0])
        differing = [name for name in {**own, **there} if own.get(name) != there.get(name)]
        if differing:
            listed = "; ".join(f"{name}: {own.get(name)} here, {there.get(name)} there" for name in differing)
            raise StudyError(
                f"journal {self.path} is that of another batch ({listed}); give another path, or the objects it is of"
            )

    def add(self, record: Record, memory: Any) -> None:
        """Store a step; it is on the disk when this returns.

        Parameters
        ----------
        record
            The step.
        memory
            What a restart needs after it: numbers, texts and arrays in lists and mappings.

        Raises
        ------
        StudyError
            If it cannot be written; the steps before it stay as they are.
        """
        row = row_of(record)
        with self._explained(), self._transaction():
            number = self.steps + 1
            marks = ", ".join("?" * (len(row) + 2))
            self._base.execute(f"INSERT INTO steps VALUES ({marks})", (number, *row, self._checksum(number, *row)))  # noqa: S608
            self._write_memory(memory)

    def keep(self, memory: Any) -> None:
        """Store what a restart needs, without a step.

        Parameters
        ----------
        memory
            As for `add`.

        Raises
        ------
        StudyError
            If it cannot be written.
        """
        with self._explained(), self._transaction():
            self._write_memory(memory)

    def _write_memory(self, memory: Any) -> None:
        content = packed(memory)
        self._base.execute("INSERT OR REPLACE INTO memory VALUES (1, ?, ?)", (content, self._checksum(content)))

    def memory(self) -> Any:
        """Return what a restart needs; None if there is nothing yet.

        Returns
        -------
        object

        Raises
        ------
        StudyError
            If it is damaged.
        """
        with self._explained():
            row = self._base.execute("SELECT content, checksum FROM memory").fetchone()
            if row is None:
                return None
            try:
                if row[1] == self._checksum(row[0]):
                    return unpacked(row[0])
            except ValueError:
                pass
            raise sqlite3.DatabaseError("what a restart needs was changed")

    def records(self) -> Iterator[Record]:
        """Yield all steps in their order.

        Yields
        ------
        Record

        Raises
        ------
        StudyError
            If one is damaged.
        """
        with self._explained():
            for number, *row, checksum in self._base.execute("SELECT * FROM steps ORDER BY number"):
                try:
                    if checksum != self._checksum(number, *row):
                        raise ValueError("its checksum is wrong")
                    record = record_of(row)
                except (ValueError, KeyError, TypeError) as error:
                    raise sqlite3.DatabaseError(f"step {number} was changed: {first_line(error)}") from error
                yield record

    def close(self) -> None:
        """Close the file, and let others write it."""
        self._base.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def facts(self) -> Mapping[str, str]:
        """What the journal is of; empty before it is claimed."""
        with self._explained():
            header = self._header()
        return {} if header is None else dict(json.loads(header[0]))

    @property
    def steps(self) -> int:
        """Number of steps."""
        with self._explained():
            return int(self._base.execute("SELECT coalesce(max(number), 0) FROM steps").fetchone()[0])

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checksum(self, *contents: object) -> str:
        """SHA-256 of contents with the key; by their repr, since damage can also turn a text into a number."""
        header = self._header()
        return digest(repr((header and header[1], *contents)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._lock is None:
            raise StudyError(f"journal {self.path} is open for reading; claim it first")
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error of SQLite into one that says what to do."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite quotes damaged text
            raise StudyError(f"journal {self.path} {_advice(error)}") from error


def _locked(path: Path) -> IO[str]:
    """The lock of the one process that writes a journal."""
    beside = path.with_name(f"{path.name}.lock")
    try:
        lock = beside.open("w")
    except OSError as error:
        raise StudyError(
            f"{beside} cannot be written ({error.strerror}); give a journal in a folder that can be written"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise StudyError(
            f"journal {path} is being written by another process; end that one first, or give another path"
        ) from error
    return lock


def _advice(error: Exception) -> str:
    """What is wrong with a journal, and what to do, from the error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the lower byte is the kind, the rest its finer cause
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "is locked by another program; close that one, or give another path"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return f"cannot be read or written ({first_line(error)}); make room on its disk"
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return f"cannot be opened to write ({first_line(error)}); give a path that can be written"
    return f"is damaged, or is no journal ({first_line(error)}); give another path, or restore a copy of it"

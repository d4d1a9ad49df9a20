"""The journal of a sampling: every finished chunk of labels, kept until the table is saved.

One SQLite file, one transaction a chunk, one writer. SQLite takes back a transaction that was cut off, so the file holds
whole chunks whenever the process dies. The journal is for one set of labels alone: what decides them stands in its header.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from mmopt.errors import StudyError, first_line
from mmopt.fba.fluxes import FluxBatch
from mmopt.status import Status

_APPLICATION: Final = 0x6D6D6F6A
"""How SQLite files that are journals of mmopt are told from any others ("mmoj")."""

_SCHEMA: Final = """
CREATE TABLE header (facts TEXT NOT NULL, key TEXT NOT NULL);
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY, status TEXT NOT NULL, used BLOB NOT NULL, net BLOB NOT NULL, rates BLOB NOT NULL,
    checksum TEXT NOT NULL
);
"""

_SETTINGS: Final = (
    # the lock stays until the journal is closed or its process dies, so that no second writer gets in between
    "PRAGMA locking_mode = EXCLUSIVE",
    # a rollback journal and not a write-ahead log: at rest there is one file and nothing beside it, to copy or to delete
    "PRAGMA journal_mode = DELETE",
)


class Packed(NamedTuple):
    """FluxBatch of one chunk as they travel between processes and are kept: float64 to the last bit, without empty columns."""

    status: str
    used: bytes
    net: bytes
    rates: bytes

    @property
    def labels(self) -> int:
        """How many labels these are."""
        return len(self.status.split())


def pack(labels: FluxBatch) -> Packed:
    """Pack the labels of one chunk; what is packed and unpacked is the same to the last bit.

    Examples
    --------
    >>> from mmopt.dataset.journal import pack, unpack
    >>> labels = FluxProgram(read_network("textbook"), ["EX_glc__D_e"]).batch(np.array([[1.0], [10.0]]))
    >>> bool(np.all(unpack(pack(labels), labels.net.shape[1]).net == labels.net))
    True
    """
    net = np.ascontiguousarray(labels.net)
    used = np.flatnonzero(net.view(np.uint64).any(axis=0))  # by bits: the sign of a zero and NaN count
    return Packed(
        " ".join(status.name for status in labels.status),
        used.astype("<i4").tobytes(),
        zlib.compress(np.ascontiguousarray(net[:, used]).data, 1),
        np.column_stack([labels.growth, labels.shortfall]).tobytes(),
    )


def unpack(packed: Packed, reactions: int) -> FluxBatch:
    """FluxBatch of one chunk, over that many reactions."""
    used = np.frombuffer(packed.used, dtype="<i4")
    net = np.zeros((packed.labels, reactions))
    net[:, used] = np.frombuffer(zlib.decompress(packed.net)).reshape(packed.labels, len(used))
    growth, shortfall = np.frombuffer(packed.rates).reshape(packed.labels, 2).T.copy()
    return FluxBatch(net, growth, shortfall, tuple(Status[name] for name in packed.status.split()))


class Journal:
    """Finished chunks in an SQLite file, for labels that are decided by ``facts``.

    Parameters
    ----------
    path
        The file; it is made if there is none.
    facts
        Everything that decides the labels, by name, in words a user can compare.

    Raises
    ------
    StudyError
        If the file is of other labels (what differs is named), is open elsewhere, is damaged, is no journal, or cannot
        be written.
    """

    def __init__(self, path: str | Path, facts: Mapping[str, str]) -> None:
        self.path = Path(path)
        self._facts = dict(facts)
        told = json.dumps(self._facts, sort_keys=True)
        self._key = hashlib.sha256(told.encode()).hexdigest()
        self._check_folder()
        with self._explained():
            self._base = sqlite3.connect(self.path, timeout=0.0, isolation_level=None)
            self._base.text_factory = lambda raw: raw.decode(
                errors="replace"
            )  # damaged text is for the checksum to find
        try:
            with self._explained():
                self._open(told)
        except BaseException:
            self._base.close()
            raise

    def chunks(self) -> Iterator[tuple[int, Packed]]:
        """Chunks that are there and whole, by number; one that was damaged is left out, to be solved again."""
        with self._explained():
            for number, *parts, checksum in self._base.execute("SELECT * FROM chunks ORDER BY number"):
                packed = Packed(*parts)
                if checksum == self._checksum(number, packed):
                    yield number, packed

    def add(self, number: int, packed: Packed) -> None:
        """Keep a finished chunk; it is on the disk when this returns.

        Raises
        ------
        StudyError
            If it cannot be written; the chunks before it stay as they are.
        """
        row = (number, *packed, self._checksum(number, packed))
        with self._explained():
            self._base.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"journal {self.path} cannot be made ({error.strerror}); give a path in a folder that can be written"
            ) from error

    def _open(self, told: str) -> None:
        for setting in _SETTINGS:
            self._base.execute(setting)
        self._base.execute("BEGIN EXCLUSIVE")
        kind = self._base.execute("PRAGMA application_id").fetchone()[0]
        filled = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if kind != _APPLICATION and filled:
            raise StudyError(f"{self.path} is a database, but no journal of mmopt; give another path for the journal")
        if not filled:
            self._begin(told)
        self._base.execute("COMMIT")
        if self._base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages do not fit together")
        self._compare(*(self._base.execute("SELECT facts, key FROM header").fetchone() or ("", "")))

    def _begin(self, told: str) -> None:
        self._base.execute(f"PRAGMA application_id = {_APPLICATION}")
        for statement in _SCHEMA.strip().split(";\n"):
            self._base.execute(statement)
        self._base.execute("INSERT INTO header VALUES (?, ?)", (told, self._key))

    def _compare(self, told: str, key: str) -> None:
        """Refuse a journal of other labels, and say what is other about them."""
        if hashlib.sha256(str(told).encode()).hexdigest() != key:
            raise sqlite3.DatabaseError("its header was changed")
        if key == self._key:
            return
        there = json.loads(told)
        differing = [name for name in {**self._facts, **there} if self._facts.get(name) != there.get(name)]
        said = "; ".join(
            f"{name}: {self._facts.get(name)} asked, {there.get(name)} in the journal" for name in differing
        )
        raise StudyError(
            f"journal {self.path} was begun for other labels ({said}); give another path, or delete it to begin anew"
        )

    def _checksum(self, number: int, packed: Packed) -> str:
        """SHA-256 of a chunk and of where it belongs; by its repr, since damage can also turn bytes into a number."""
        return hashlib.sha256(repr((self._key, number, *packed)).encode()).hexdigest()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite says into what a user can do."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite quotes what was damaged
            raise StudyError(f"journal {self.path} {_advice(error)}") from error


def _advice(error: Exception) -> str:
    """What is wrong with a journal, and what to do, from how SQLite failed."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the lower byte is the kind, the rest its finer cause
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "is being written by another process; wait for it to end, or give another path"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return (
            f"cannot be read or written ({first_line(error)}); make room and run the same again: it goes on from the chunks "
            "that are in the journal"
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return f"cannot be opened to write ({first_line(error)}); give a path that can be written"
    return f"is damaged, or is no journal ({first_line(error)}); delete it to begin anew, or give another path"

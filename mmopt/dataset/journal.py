"""The journal of a table of fluxes: every finished chunk, kept until the table is saved.

One SQLite file, one transaction a chunk, one writer. SQLite takes back a transaction that was cut off, so the file contains
whole chunks whenever the process dies. The journal is for one table alone: its header contains what decides the fluxes.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from mmopt.checking import shown
from mmopt.errors import StudyError, first_line
from mmopt.fba.fluxes import FluxBatch
from mmopt.io.seal import canonical_json, digest
from mmopt.status import Status

_APPLICATION: Final = 0x6D6D6F6A
"""Number in the header of SQLite files that are journals of mmopt ("mmoj")."""

_TITLES: Final = {"labels": "size", "answers": "source"}
"""Facts whose name in the file is not the one in messages."""

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
    """Fluxes of one chunk as they are sent between processes and stored: float64 to the last bit, without empty columns.

    Attributes
    ----------
    status
        Names of the statuses.
    used
        Columns that are not zero everywhere.
    net
        Net fluxes in these columns, compressed.
    rates
        Growth and shortfall.
    """

    status: str
    used: bytes
    net: bytes
    rates: bytes

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self.status.split())


def pack(fluxes: FluxBatch) -> Packed:
    """Pack the fluxes of one chunk; packed and unpacked they are the same to the last bit.

    Parameters
    ----------
    fluxes
        Fluxes at the points of the chunk.

    Returns
    -------
    Packed
        The packed chunk.

    Examples
    --------
    >>> from mmopt.dataset.journal import pack, unpack
    >>> fluxes = FluxProgram(read_network("textbook"), ["EX_glc__D_e"]).batch(np.array([[1.0], [10.0]]))
    >>> bool(np.all(unpack(pack(fluxes), fluxes.net.shape[1]).net == fluxes.net))
    True
    """
    net = np.ascontiguousarray(fluxes.net)
    used = np.flatnonzero(net.view(np.uint64).any(axis=0))  # by bits: the sign of a zero and NaN count
    return Packed(
        " ".join(status.name for status in fluxes.status),
        used.astype("<i4").tobytes(),
        zlib.compress(np.ascontiguousarray(net[:, used]).data, 1),
        np.column_stack([fluxes.growth, fluxes.shortfall]).tobytes(),
    )


def unpack(packed: Packed, reactions: int, points: int | None = None) -> FluxBatch:
    """Unpack the fluxes of one chunk; nothing larger than the chunk is unpacked.

    Parameters
    ----------
    packed
        The packed chunk.
    reactions
        Number of reactions.
    points
        Number of points that the chunk has to have; None for any.

    Returns
    -------
    FluxBatch
        Fluxes at the points of the chunk.

    Raises
    ------
    StudyError
        If the chunk is not one of so many points and reactions.
    """
    try:
        used, size = np.frombuffer(packed.used, dtype="<i4"), packed.size
        if points not in (None, size) or len(used) > reactions or not np.isin(used, np.arange(reactions)).all():
            raise ValueError("it has another size")
        room = 8 * size * len(used)  # bytes
        values = zlib.decompressobj().decompress(packed.net, room + 1)
        net = np.zeros((size, reactions))
        net[:, used] = np.frombuffer(values).reshape(size, len(used))
        growth, shortfall = np.frombuffer(packed.rates).reshape(size, 2).T.copy()
        return FluxBatch(net, growth, shortfall, tuple(Status[name] for name in packed.status.split()))
    except (ValueError, TypeError, AttributeError, KeyError, zlib.error) as error:
        raise StudyError(
            f"a chunk of the journal does not fit its table ({first_line(error)}); delete the journal to start again"
        ) from error


class Journal:
    """Finished chunks in an SQLite file, for a table that is decided by ``facts``.

    Parameters
    ----------
    path
        The file; it is created if there is none.
    facts
        Everything that decides the fluxes, by name, in words a user can compare.

    Raises
    ------
    StudyError
        If the file belongs to another table (what differs is named), is in use, is damaged, is no journal, or cannot be
        written.

    Examples
    --------
    >>> import tempfile
    >>> from mmopt.dataset.journal import Journal, pack
    >>> fluxes = FluxProgram(read_network("textbook"), ["EX_glc__D_e"]).batch(np.array([[1.0], [10.0]]))
    >>> with tempfile.TemporaryDirectory() as folder, Journal(f"{folder}/table.journal", {"seed": "0"}) as journal:
    ...     journal.add(0, pack(fluxes))
    ...     [(number, packed.size) for number, packed in journal.chunks()]
    [(0, 2)]
    """

    def __init__(self, path: str | Path, facts: Mapping[str, str]) -> None:
        if not isinstance(path, str | Path):
            raise StudyError(f"journal is {shown(path)}; give the path of a file")
        self.path = Path(path)
        self._facts = dict(facts)
        header = canonical_json(self._facts)
        self._key = digest(header)
        self._check_folder()
        with self._explained():
            self._base = sqlite3.connect(self.path, timeout=0.0, isolation_level=None)
            # the checksum notices damaged text
            self._base.text_factory = lambda raw: raw.decode(errors="replace")
        try:
            with self._explained():
                self._open(header)
        except BaseException:
            self._base.close()
            raise

    def chunks(self) -> Iterator[tuple[int, Packed]]:
        """Yield the chunks that are whole, by number; a damaged one is left out, to be solved again.

        Yields
        ------
        number, packed
            Number of a chunk, and its fluxes.
        """
        with self._explained():
            for number, *columns, checksum in self._base.execute("SELECT * FROM chunks ORDER BY number"):
                packed = Packed(*columns)
                if checksum == self._checksum(number, packed):
                    yield number, packed

    def add(self, number: int, packed: Packed) -> None:
        """Store a finished chunk; it is on the disk when this returns.

        Parameters
        ----------
        number
            Number of the chunk.
        packed
            Its fluxes.

        Raises
        ------
        StudyError
            If it cannot be written; the chunks before it stay as they are.
        """
        row = (number, *packed, self._checksum(number, packed))
        with self._explained():
            self._base.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?)", row)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def __repr__(self) -> str:
        return f"Journal({str(self.path)!r})"

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(
                f"journal {self.path} cannot be created ({error.strerror}); give a path in a folder that can be written"
            ) from error

    def _open(self, header: str) -> None:
        for setting in _SETTINGS:
            self._base.execute(setting)
        self._base.execute("BEGIN EXCLUSIVE")
        kind = self._base.execute("PRAGMA application_id").fetchone()[0]
        filled = self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if kind != _APPLICATION and filled:
            raise StudyError(f"{self.path} is a database, but no journal of mmopt; give another path for the journal")
        if not filled:
            self._begin(header)
        self._base.execute("COMMIT")
        if self._base.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages do not fit together")
        self._compare(*(self._base.execute("SELECT facts, key FROM header").fetchone() or ("", "")))

    def _begin(self, header: str) -> None:
        self._base.execute(f"PRAGMA application_id = {_APPLICATION}")
        for command in _SCHEMA.strip().split(";\n"):
            self._base.execute(command)
        self._base.execute("INSERT INTO header VALUES (?, ?)", (header, self._key))

    def _compare(self, header: str, key: str) -> None:
        """Refuse the journal of another table, and name what differs."""
        if digest(str(header)) != key:
            raise sqlite3.DatabaseError("its header was changed")
        if key == self._key:
            return
        there = json.loads(header)
        differing = [name for name in {**self._facts, **there} if self._facts.get(name) != there.get(name)]
        differences = "; ".join(
            f"{_TITLES.get(name, name)}: {self._facts.get(name)} here, {there.get(name)} in the journal"
            for name in differing
        )
        raise StudyError(
            f"journal {self.path} belongs to another table of fluxes ({differences}); give another path, or delete it to "
            "start again"
        )

    def _checksum(self, number: int, packed: Packed) -> str:
        """SHA-256 of a chunk with its key and number; by its repr, since damage can also turn bytes into a number."""
        return digest(repr((self._key, number, *packed)))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error of SQLite into one that says what to do."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite quotes damaged text
            raise StudyError(f"journal {self.path} {_advice(error)}") from error


def _advice(error: Exception) -> str:
    """What is wrong with a journal, and what to do, from the error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the lower byte is the kind, the rest its finer cause
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "is being written by another process; wait for it to end, or give another path"
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return (
            f"cannot be read or written ({first_line(error)}); make room and run the same again: it continues from the "
            "chunks in the journal"
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return f"cannot be opened to write ({first_line(error)}); give a path that can be written"
    return f"is damaged, or is no journal ({first_line(error)}); delete it to start again, or give another path"

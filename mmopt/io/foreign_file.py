"""Checks of a file of unknown origin before its content is used: bytes, archives, JSON and arrays.

Every size is checked before anything is unpacked; members of an archive are read by the names that are expected and never
extracted; arrays are numbers, never objects. Nothing in a file is ever run.
"""

import io
import json
import math
import stat
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from mmopt.errors import SurrogateError, first_line

LARGEST: Final = 256 * 2**20
"""Most bytes of an archive, packed or not; the shipped surrogate has 0.2 MB, dense modes of Recon3D some 20 MB."""

LARGEST_TEXT: Final = 32 * 2**20
"""Most bytes of a JSON document; the shipped one has 0.04 MB, most of it names of reactions."""

MOST_MEMBERS: Final = 64

_LARGEST_ENTRY: Final = 1024
"""Most bytes of one entry in the directory of an archive; names here have some 20."""

_LONGEST_REASON: Final = 400

NUMBERS: Final = ("<f8", "<i8")

_END, _FAR_END = b"PK\x05\x06", b"PK\x06\x07"
_END_SIZE, _FAR_END_SIZE = 22, 20
_PACKINGS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED: Final = 1


@dataclass(frozen=True)
class ForeignFile:
    """A file of unknown origin.

    Parameters
    ----------
    path
        The file.
    cure
        What to do if it cannot be used: the end of every message.

    Examples
    --------
    >>> from mmopt.io.foreign_file import ForeignFile
    >>> ForeignFile(Path("none.zip"), "train it again").read()
    Traceback (most recent call last):
    mmopt.errors.SurrogateError: none.zip is missing; train it again
    """

    path: Path
    cure: str

    def refuse(self, what: str) -> NoReturn:
        """Raise the error of this file; only printable characters of it reach the screen.

        Parameters
        ----------
        what
            What is wrong, a clause about the file.

        Raises
        ------
        SurrogateError
            Always.
        """
        reason = "".join(letter if letter.isprintable() else "?" for letter in what[:_LONGEST_REASON])
        raise SurrogateError(f"{self.path} {reason}; {self.cure}")

    def read(self, largest: int = LARGEST) -> bytes:
        """Return all bytes of the file.

        Parameters
        ----------
        largest
            Largest size that is read [bytes].

        Returns
        -------
        bytes
            Content of the file.

        Raises
        ------
        SurrogateError
            If it is missing, no plain file, empty, larger than ``largest`` [bytes], or cannot be read.
        """
        if self.path.is_dir():
            self.refuse("is a folder where a file should be")
        if not self.path.exists():
            self.refuse("is missing")
        if not self.path.is_file():
            self.refuse("is a device or a pipe, not a file")
        try:
            if (size := self.path.stat().st_size) > largest:
                self.refuse(f"has {_megabytes(size)} MB, more than the {_megabytes(largest)} that are read")
            data = self.path.read_bytes()
        except OSError as error:
            self.refuse(f"cannot be read ({first_line(error)})")
        return data or self.refuse("is empty")

    def members(self, expected: Collection[str], largest: int = LARGEST) -> dict[str, bytes]:
        """Read the file, a zip archive, and unpack it in memory.

        Parameters
        ----------
        expected, largest
            As for `unpacked`.

        Returns
        -------
        dict
            Content of every member by name.

        Raises
        ------
        SurrogateError
            As in `read` and `unpacked`.
        """
        return self.unpacked(self.read(largest), expected, largest)

    def unpacked(self, data: bytes, expected: Collection[str], largest: int = LARGEST) -> dict[str, bytes]:
        """Unpack a zip archive that is in memory already.

        Parameters
        ----------
        data
            The archive.
        expected
            Names of the members; the archive must contain exactly these.
        largest
            Largest size of all members [bytes].

        Returns
        -------
        dict
            Content of every member by name.

        Raises
        ------
        SurrogateError
            If it contains others than the expected ones, too many, more than ``largest`` [bytes], or cannot be unpacked.
        """
        self._check_directory(data)
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entries = archive.infolist()
                self._check_members(entries, expected, largest)
                return {entry.filename: archive.read(entry) for entry in entries}  # checks every member's CRC
        except SurrogateError:
            raise
        except Exception as error:  # a damaged archive fails in many ways; all mean the same to a user
            self.refuse(f"is damaged ({first_line(error)})")

    def json(self, data: bytes, prefix: str = "") -> Any:
        """Parse a JSON document.

        Parameters
        ----------
        data
            The document.
        prefix
            Name of the document inside the file, with a space behind it; empty if it is the whole file.

        Returns
        -------
        Any
            Content of the document; all numbers are finite.

        Raises
        ------
        SurrogateError
            If it is not JSON, names a key twice, or holds NaN or an infinity.
        """
        try:
            return json.loads(
                data.decode(), parse_constant=_not_finite, parse_float=_finite, object_pairs_hook=_with_unique_keys
            )
        except RecursionError:
            self.refuse(f"{prefix}nests too deep")
        except ValueError as error:  # JSONDecodeError and UnicodeDecodeError among them
            self.refuse(f"{prefix}cannot be read as JSON ({first_line(error)}): it is cut short or was changed")

    def array(self, name: str, data: bytes) -> np.ndarray:
        """Read an array from a member that `numpy.save` wrote.

        Parameters
        ----------
        name
            Name of the member, for messages.
        data
            Content of the member.

        Returns
        -------
        ndarray
            Finite numbers of 64 bits.

        Raises
        ------
        SurrogateError
            If the member is no array, has other numbers, is shorter or longer than it claims, or has NaN or an infinity.
        """
        file = io.BytesIO(data)
        try:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"version {version}")
            shape, turned, kind = np.lib.format.read_array_header_1_0(file)
        except Exception as error:  # headers are Python literals, which fail in many ways
            self.refuse(f"holds a member '{name}' that is no array of numbers ({first_line(error)})")
        if kind.hasobject:
            self.refuse(f"holds Python objects in '{name}', which could run anything; none was created")
        if kind.str not in NUMBERS:
            self.refuse(f"holds numbers of type {kind} in '{name}', not float64 or int64")
        body = data[file.tell() :]
        if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != len(body):
            self.refuse(f"holds {len(body)} bytes in '{name}', whose header claims the shape {shape}")
        array = np.frombuffer(body, dtype=kind).reshape(shape, order="F" if turned else "C").copy(order="K")
        if not np.all(np.isfinite(array)):
            self.refuse(f"holds numbers that are not finite in '{name}'")
        return array

    def _check_directory(self, data: bytes) -> None:
        """Check the end of a zip archive first: Python would read a directory of millions of members."""
        end = data[-_END_SIZE:]
        if not end.startswith(_END):
            cut = "is damaged: it is cut short or goes on after its end"
            self.refuse(cut if data.startswith(b"PK") else "is no zip archive")
        count, size = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
        far = data[-_END_SIZE - _FAR_END_SIZE :].startswith(_FAR_END)
        if count > MOST_MEMBERS or size > MOST_MEMBERS * _LARGEST_ENTRY or far:
            self.refuse(f"holds more than {MOST_MEMBERS} members")

    def _check_members(self, entries: Iterable[zipfile.ZipInfo], expected: Collection[str], largest: int) -> None:
        seen: set[str] = set()
        total = 0
        for entry in entries:
            name = entry.filename
            if name in seen:
                self.refuse(f"holds '{name}' twice")
            if stat.S_ISLNK(entry.external_attr >> 16):
                self.refuse(f"holds a link '{name}' instead of a member")
            if name not in expected:
                leads = name.startswith("/") or any(mark in name for mark in ("..", "\\", ":"))
                self.refuse(
                    f"holds a member '{name}' that " + ("leads out of it" if leads else "does not belong there")
                )
            if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _PACKINGS:
                self.refuse(f"holds '{name}' encrypted or packed in a way that is not read")
            seen.add(name)
            total += entry.file_size
        if total > largest:
            self.refuse(f"unpacks to {_megabytes(total)} MB, more than the {_megabytes(largest)} that are read")
        if missing := sorted(set(expected) - seen):
            self.refuse(f"lacks '{missing[0]}'")


def _megabytes(size: int) -> int:
    return math.ceil(size / 2**20)


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a finite number")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _not_finite(digits)


def _with_unique_keys(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return content

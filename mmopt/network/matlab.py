"""Checks of a MATLAB file before SciPy reads it: sizes and types in headers must agree with the bytes that follow.

SciPy's reader trusts such a file. It allocates what a header claims, looks up data types without a check that they exist,
and recurses into cells of cells; all of this can end the process. The walk here takes the same steps in the same order
(MATLAB's format, level 5) and compares every claim with the bytes of the file, so a file that passes is read safely.
"""

import struct
import zlib
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from mmopt.errors import NetworkError
from mmopt.io.guard import check_inflation, check_shape, check_size, refuse

_MATRIX: Final = 14
_COMPRESSED: Final = 15
_TEXTS: Final = (1, 16)
_INTEGERS: Final = MappingProxyType({5: "i4", 6: "u4"})
_DATA: Final = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18))
"""The data types that exist; in SciPy's table all others are missing, or lie beyond its end."""

_CELL: Final = 1
_STRUCT: Final = 2
_CHAR: Final = 4
_SPARSE: Final = 5
_OBJECTS: Final = MappingProxyType({3: "an object", 16: "a function handle", 17: "an object"})
_NUMBERS: Final = range(6, 16)
_COMPLEX: Final = 1 << 11

_LETTERS: Final = 2**25
"""Most characters in all texts of a variable; SciPy takes four bytes per character, also for characters only claimed."""

_FIELDS: Final = 1000
"""Most fields of a structure; the COBRA toolbox has about a hundred, and SciPy compares all pairs."""

_DIMENSIONS: Final = 32
_CHUNK: Final = 2**14
_HEADER: Final = 128


class _DamagedError(Exception):
    """The bytes do not follow the format."""


def check_mat(path: Path) -> None:
    """Refuse a file that is no MATLAB file of level 5, or that would harm its reader.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    NetworkError
        With the reason and what to do.
    """
    try:
        check_size(path, path.stat().st_size)
        data = path.read_bytes()
    except OSError as error:
        raise NetworkError(f"{path} cannot be read ({error}); give a MATLAB file") from error
    order = _byte_order(path, data[:_HEADER])
    at, size = _HEADER, 0
    try:
        while at < len(data):
            kind, count = struct.unpack_from(order + "II", data, at)
            if not 0 < count <= len(data) - at - 8:
                raise _DamagedError("it ends too early")
            body = memoryview(data)[at : at + 8 + count]
            content = _inflated(path, body[8:]) if kind == _COMPRESSED else body
            size += len(content)
            check_size(path, size)
            _Walk(path, content, order).matrix(0)
            at += 8 + count
    except (_DamagedError, struct.error, zlib.error) as error:
        raise NetworkError(f"{path} is a damaged MATLAB file: {error}; save it again with '-v7'") from error


def _byte_order(path: Path, header: bytes) -> str:
    """Byte order of the file, as a format character of `struct`."""
    if not header:
        raise NetworkError(f"{path} is empty; give a metabolic network")
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    if order is None or 0 in header[:4]:
        raise NetworkError(f"{path} is not a MATLAB file: it begins with {header[:20]!r}; save it with '-v7'")
    (level,) = struct.unpack(order + "H", header[124:126])
    if level >> 8 != 1:
        raise NetworkError(f"{path} is a MATLAB file of version 7.3, which cobra cannot read; save it with '-v7'")
    return order


def _inflated(path: Path, body: memoryview) -> bytes:
    inflater, content = zlib.decompressobj(), bytearray()
    for start in range(0, len(body), _CHUNK):
        content += inflater.decompress(body[start : start + _CHUNK])
        check_inflation(path, len(content), start + _CHUNK)
    if not inflater.eof:
        raise _DamagedError("a variable ends too early")
    return bytes(content)


class _Walk:
    """One pass over one variable; nothing that is read is kept."""

    def __init__(self, path: Path, data: bytes | memoryview, order: str) -> None:
        self.path, self.data, self.order = path, memoryview(data), order
        self.at = self.arrays = self.letters = 0

    def matrix(self, depth: int) -> None:
        """Walk over an array of any class and its content.

        Parameters
        ----------
        depth
            Number of arrays that contain this one.
        """
        kind, size = struct.unpack(self.order + "II", self._take(8))
        if kind != _MATRIX:
            raise _DamagedError(f"type {kind} stands where an array should")
        if size == 0:
            return
        (flags,) = struct.unpack(self.order + "I", self._take(16)[8:12])
        kind = flags & 0xFF
        if kind in _OBJECTS:
            cure = "save the structure with numbers, texts and cells alone"
            refuse(self.path, f"it holds {_OBJECTS[kind]}", cure)
        dimensions = self._dimensions()
        self._text()  # the name
        if kind in (_CELL, _STRUCT):
            fields = 1 if kind == _CELL else self._fields()
            self._claim(prod(dimensions) * max(1, fields), depth)
            for _ in range(prod(dimensions) * fields):
                self.matrix(depth + 1)
        else:
            self._values(kind, dimensions, bool(flags & _COMPLEX))

    def _values(self, kind: int, dimensions: list[int], is_complex: bool) -> None:
        if is_complex or (kind not in _NUMBERS and kind not in (_CHAR, _SPARSE)):
            raise _DamagedError("an array is neither of real numbers nor of texts, cells or fields")
        if kind == _SPARSE:
            self._sparse(*dimensions[:2])
            return
        _, content = self._element()
        if kind == _CHAR:
            self.letters += max(prod(dimensions), len(content))
            if self.letters > _LETTERS:
                refuse(self.path, f"its texts have more than {_LETTERS:,} characters", "give the network alone")

    def _sparse(self, rows: int, columns: int) -> None:
        row, start = self._integers(), self._integers()[: columns + 1]
        self._element()
        if len(start) < columns + 1 or start[0] != 0 or np.any(np.diff(start) < 0) or start[-1] > len(row):
            raise _DamagedError("the columns of a sparse array do not follow each other")
        if np.any((row < 0) | (row >= max(rows, 1))):  # what lies behind the last entry is 0, in an empty array too
            raise _DamagedError("a sparse array has rows outside of it")

    def _fields(self) -> int:
        """Number of fields of a structure."""
        length, names = self._integers(), self._text()
        if len(length) != 1 or length[0] < 1 or len(names) // int(length[0]) > _FIELDS:
            raise _DamagedError("the names of a structure's fields make no sense")
        return len(names) // int(length[0])

    def _dimensions(self) -> list[int]:
        dimensions: list[int] = self._integers().tolist()
        if not 2 <= len(dimensions) <= _DIMENSIONS or min(dimensions) < 0:
            raise _DamagedError("the size of an array makes no sense")
        return dimensions

    def _claim(self, count: int, depth: int) -> None:
        if 8 * count > len(self.data) - self.at:  # an empty array takes 8 bytes
            raise _DamagedError(f"an array claims {count:,} elements, for which the file is too short")
        self.arrays += count
        check_shape(self.path, depth, self.arrays)

    def _integers(self) -> np.ndarray:
        kind, content = self._element()
        if kind not in _INTEGERS:
            raise _DamagedError(f"type {kind} stands where whole numbers should")
        return np.frombuffer(content, dtype=self.order + _INTEGERS[kind], count=len(content) // 4).astype(np.int64)

    def _text(self) -> memoryview:
        kind, content = self._element()
        if kind not in _TEXTS:
            raise _DamagedError(f"type {kind} stands where a name should")
        return content

    def _element(self) -> tuple[int, memoryview]:
        """Type and bytes of one element; up to four bytes share a word with their type."""
        (word,) = struct.unpack(self.order + "I", self._take(4))
        kind, size = word & 0xFFFF, word >> 16
        if size > 4:
            raise _DamagedError(f"{size} bytes stand where 4 have room")
        if size:
            content = self._take(4)[:size]
        else:
            kind, (size,) = word, struct.unpack(self.order + "I", self._take(4))
            content = self._take(size)
            self.at += -size % 8
        if kind not in _DATA:
            raise _DamagedError(f"there is no type {kind} of data")
        return kind, content

    def _take(self, count: int) -> memoryview:
        if count > len(self.data) - self.at:
            raise _DamagedError("it ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

"""Checks of a network's file before any reader opens it: some files would end the process, or keep it busy for minutes.

libSBML recurses into the nesting of a file, so does Python's JSON reader, and cobra inflates any gzip file, so a few
kilobytes can do harm. One pass that neither recurses nor stores what it reads detects such files first, before cobra is
even imported. MATLAB files have a pass of their own, in `matlab`.
"""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final, NoReturn
from xml.parsers import expat

import numpy as np

from mmopt.errors import NetworkError

LARGEST: Final = 128 * 2**20
"""Largest size of a file, inflated [bytes]; Recon3D, of 10,600 reactions, has some 30 MB as SBML."""

DEEPEST: Final = 100
"""Deepest nesting; a network nests about ten deep, its notes a little deeper."""

MOST: Final = 2_000_000
"""Most elements, lists or arrays in a file; the 3,357 reactions of salmonella take 128,000 elements of SBML."""

INFLATION: Final = 100
"""Largest ratio of inflated to packed size; SBML and JSON pack to a tenth or a thirtieth, zeros to a thousandth."""

_BEFORE_RATIO: Final = 4 * 2**20
"""Inflated size up to which the ratio does not count [bytes]: nothing so small does harm."""

_LARGEST_PIECE: Final = 4 * 2**20
"""Largest single tag or comment [bytes]; expat reads an unfinished one again with every chunk, in quadratic time."""

_CHUNK: Final = 2**20
_HEAD: Final = 2**16
_BLANK: Final = b"\xef\xbb\xbf \t\r\n"
_SBML_STARTS: Final = (b"<sbml", b"<?xml")

_STEPS: Final = np.zeros(256, dtype=np.int8)
"""Change of the depth of nesting by a byte of JSON outside of texts."""
_STEPS[list(b"[{")], _STEPS[list(b"]}")] = 1, -1


def check_sbml(path: Path) -> None:
    """Refuse a file that is no SBML, or that would harm its reader.

    Parameters
    ----------
    path
        The file, plain or gzipped.

    Raises
    ------
    NetworkError
        With the reason and what to do.
    """
    first, rest = _opened(path)
    head = first[:_HEAD].lstrip(_BLANK)
    if not head.startswith(_SBML_STARTS) or b"<sbml" not in head:
        raise NetworkError(f"{path} is not SBML: it begins with {head[:20]!r}; give SBML, plain or gzipped")
    parser, read = _parser(path), 0
    try:
        for chunk in chain([first], rest):
            parser.Parse(chunk, False)
            read += len(chunk)
            if read - parser.CurrentByteIndex > _LARGEST_PIECE:
                refuse(path, f"one tag or remark has more than {_LARGEST_PIECE // 2**20} MB", "remove it")
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise NetworkError(f"{path} cannot be read as SBML: {error}. Check the file with an SBML validator") from error


def check_json(path: Path) -> None:
    """Refuse a file that is no JSON object, or that would harm its reader.

    Parameters
    ----------
    path
        The file, plain or gzipped.

    Raises
    ------
    NetworkError
        With the reason and what to do.
    """
    first, rest = _opened(path)
    head = first[:_HEAD].lstrip(_BLANK)
    if not head.startswith(b"{"):
        raise NetworkError(f"{path} is no network in JSON: it begins with {head[:20]!r}; write it with cobra")
    depth, lists, inside, held = 0, 0, False, b""
    for chunk in chain([first], rest):
        # within a text \\ and \" end nothing; half of either at the end of a chunk waits for the next one
        text = (held + chunk).replace(b"\\\\", b"").replace(b'\\"', b"")
        held = text[len(text.removesuffix(b"\\")) :]
        codes = np.frombuffer(text.removesuffix(b"\\"), dtype=np.uint8)
        if codes.size:
            within = np.logical_xor.accumulate(codes == ord('"')) ^ inside
            steps = np.where(within, 0, _STEPS[codes])
            depths = depth + np.cumsum(steps, dtype=np.int64)
            depth, inside, lists = int(depths[-1]), bool(within[-1]), lists + int(np.count_nonzero(steps > 0))
            check_shape(path, int(depths.max()), lists)


def chunks(path: Path) -> Iterator[bytes]:
    """Read a file, plain or gzipped, in chunks; refuse it where it inflates beyond reason.

    Parameters
    ----------
    path
        The file.

    Yields
    ------
    bytes
        Inflated chunks.

    Raises
    ------
    NetworkError
        If the file cannot be read to its end, checksum included, or is too large.
    """
    read = 0
    try:
        check_size(path, path.stat().st_size)
        with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else packed as file:
            while chunk := file.read(_CHUNK):
                read += len(chunk)
                check_inflation(path, read, packed.tell())
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        raise NetworkError(
            f"{path} cannot be read ({error}); give the whole file, gzipped if it ends in .gz"
        ) from error


def check_size(path: Path, size: int) -> None:
    """Refuse a file that is larger than any network.

    Parameters
    ----------
    path
        The file, for the message.
    size
        Its inflated size [bytes].

    Raises
    ------
    NetworkError
        If it is larger than `LARGEST`.
    """
    if size > LARGEST:
        cure = "give the network alone, or read it with cobra and give the object"
        refuse(path, f"it holds more than {LARGEST // 2**20} MB", cure)


def check_inflation(path: Path, size: int, packed: int) -> None:
    """Refuse a file that grows beyond reason as it is inflated.

    Parameters
    ----------
    path
        The file, for the message.
    size
        Inflated size so far [bytes].
    packed
        Packed size so far [bytes].

    Raises
    ------
    NetworkError
        If it is larger than `LARGEST`, or the ratio above `INFLATION`.
    """
    check_size(path, size)
    if size > max(_BEFORE_RATIO, INFLATION * packed):
        refuse(path, f"it inflates to more than {INFLATION} times its size", "give the network alone")


def check_shape(path: Path, depth: int, elements: int) -> None:
    """Refuse a file that nests deeper, or has more elements, than any network.

    Parameters
    ----------
    path
        The file, for the message.
    depth
        Depth of nesting.
    elements
        Number of elements, lists or arrays.

    Raises
    ------
    NetworkError
        If it is deeper than `DEEPEST` or has more elements than `MOST`.
    """
    if depth > DEEPEST:
        refuse(path, f"it nests more than {DEEPEST} deep", "give a file without such notes")
    if elements > MOST:
        refuse(path, f"it has more than {MOST:,} elements", "give the network alone, or read it with cobra")


def refuse(path: Path, what: str, cure: str) -> NoReturn:
    """Raise the error of a refused file.

    Parameters
    ----------
    path
        The file.
    what
        The reason, a clause about the file.
    cure
        What to do.

    Raises
    ------
    NetworkError
        Always.
    """
    raise NetworkError(f"{path} is refused: {what}, which no metabolic network does; {cure}")


def _opened(path: Path) -> tuple[bytes, Iterator[bytes]]:
    """First piece of a file, and the rest."""
    rest = chunks(path)
    first = next(rest, b"")
    if not first[:_HEAD].lstrip(_BLANK):
        raise NetworkError(f"{path} is empty; give a metabolic network")
    return first, rest


def _parser(path: Path) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    depth = elements = 0

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > DEEPEST or elements > MOST:
            check_shape(path, depth, elements)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_: object) -> None:
        refuse(path, "it declares a document type or entities", "remove the DOCTYPE")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.StartDoctypeDeclHandler = doctype
    return parser

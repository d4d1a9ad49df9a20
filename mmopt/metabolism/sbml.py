"""What is refused before a reader that trusts its input sees a file.

libSBML recurses into the nesting of a file and cobra inflates whatever gzip holds, so a few kilobytes can end the process
or keep it busy for minutes. One pass of a parser that does neither looks for such files first.
"""

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn
from xml.parsers import expat

from mmopt.errors import NetworkError

LARGEST: Final = 512 * 2**20
"""Largest size of a file, inflated [bytes]; Recon3D in SBML has some 30 MB."""

DEEPEST: Final = 100
"""Deepest nesting of elements; a network nests about ten deep, its notes a little deeper."""

INFLATION: Final = 200
"""Largest ratio of inflated to packed size; SBML packs to a tenth or a thirtieth."""

_CHUNK: Final = 2**18
_BEFORE_RATIO: Final = 2**22
_START: Final = (b"<sbml", b"<?xml")


def check_sbml(path: Path) -> None:
    """Refuse a file that is no SBML, or that would harm its reader.

    Raises
    ------
    NetworkError
        Saying what was found and what to do.
    """
    try:
        packed = path.stat().st_size
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
            _check_head(path, head)
            parser, read = _parser(path), 4096
            parser.Parse(head, False)
            while chunk := file.read(_CHUNK):
                read += len(chunk)
                if read > LARGEST or (read > _BEFORE_RATIO and read > INFLATION * packed):
                    _refuse(path, f"it inflates to more than {read // 2**20} MB", "give the network alone")
                parser.Parse(chunk, False)
            parser.Parse(b"", True)
    except (OSError, EOFError, zlib.error) as error:
        raise NetworkError(f"{path} cannot be read ({error}); give an SBML file, plain or gzipped") from error
    except expat.ExpatError as error:
        raise NetworkError(f"{path} cannot be read as SBML: {error}. Check the file with an SBML validator") from error


def _check_head(path: Path, head: bytes) -> None:
    if not head:
        raise NetworkError(f"{path} is empty; give an SBML file (.xml or .xml.gz)")
    if not head.startswith(_START) or b"<sbml" not in head:
        raise NetworkError(f"{path} is not SBML: it begins with {head[:20]!r}; give an SBML file (.xml or .xml.gz)")


def _parser(path: Path) -> expat.XMLParserType:
    parser = expat.ParserCreate()
    depth = 0

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            _refuse(path, f"its elements nest more than {DEEPEST} deep", "give a file without such notes")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_: object) -> None:
        _refuse(path, "it declares a document type or entities", "remove the DOCTYPE")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.StartDoctypeDeclHandler = doctype
    return parser


def _refuse(path: Path, what: str, cure: str) -> NoReturn:
    raise NetworkError(f"{path} is refused: {what}, which no metabolic network does; {cure}")

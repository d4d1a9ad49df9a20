"""Cells of a feed table as spreadsheets and editors write them: separators, quotes, decimal commas, encodings, workbooks."""

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from mmopt.errors import StudyError, first_line, missing_package
from mmopt.io.files import read_whole

_LARGEST: Final = 16 * 2**20
"""Most bytes of a file: a row a second for a week has some 10."""

_LARGEST_UNPACKED: Final = 128 * 2**20
_SEPARATORS: Final = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas", " ": "spaces"}
_COLUMNS: Final = (2, 3)

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WORKBOOK, _OLD_WORKBOOK = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
"""A thousand with a comma, or a number with three digits behind a decimal comma."""

Row = tuple[int, list[str]]
"""Line in the file, and cells."""


def read_cells(path: Path) -> list[Row]:
    r"""Read all rows of a table of two or three columns, a header among them; empty lines are left out.

    Parameters
    ----------
    path
        A text file, or an Excel workbook (.xlsx).

    Returns
    -------
    list of tuple
        Line in the file and cells, for every row.

    Raises
    ------
    StudyError
        If the file cannot be read, or has another number of columns.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "feed.csv")
    ...     _ = path.write_text("from;to;rate\n0;2;0,01\n")
    ...     read_cells(path)
    [(1, ['from', 'to', 'rate']), (2, ['0', '2', '0,01'])]
    """
    data = _bytes(path)
    if data.startswith(_OLD_WORKBOOK):
        raise StudyError(f"{path} is an Excel workbook of the old format (.xls); save it as CSV")
    rows = _workbook(path, data) if data.startswith(_WORKBOOK) else _text(path, _decoded(path, data))
    if not rows:
        raise StudyError(f"{path} is no feed table: it has no rows; give rows: from, to, rate")
    return rows


def numbers(path: Path, rows: Sequence[Row]) -> list[list[float]]:
    """Return the numbers of rows; a comma in a number is a decimal comma.

    Parameters
    ----------
    path
        The file, for messages.
    rows
        Rows without a header.

    Returns
    -------
    list of list of float

    Raises
    ------
    StudyError
        If a cell is no finite number, or commas could separate thousands.

    Examples
    --------
    >>> numbers(Path("feed.csv"), [(1, ["0", "2,5", "0,01"])])
    [[0.0, 2.5, 0.01]]
    """
    cells = [_plain(cell) for _, row in rows for cell in row]
    with_comma = [cell for cell in cells if "," in cell]
    if with_comma:
        if any("." in cell for cell in cells):
            raise StudyError(f"{path} has numbers with points and with commas; write all with decimal points")
        if all(_GROUPED.fullmatch(cell) for cell in with_comma):
            raise StudyError(
                f"{path} has '{with_comma[0]}', which is ambiguous: a decimal comma, or a thousand; use decimal points"
            )
    return [[_number(path, line, cell) for cell in row] for line, row in rows]


def is_number(cell: str) -> bool:
    """Return whether a cell is a number.

    Parameters
    ----------
    cell
        The cell.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_number("0,05"), is_number("from [h]")
    (True, False)
    """
    return _NUMBER.fullmatch(_plain(cell).replace(",", ".", 1)) is not None


def _plain(cell: str) -> str:
    return cell.strip().replace("−", "-")


def _number(path: Path, line: int, cell: str) -> float:
    plain = _plain(cell).replace(",", ".", 1)
    if not _NUMBER.fullmatch(plain) or abs(value := float(plain)) == float("inf"):
        raise StudyError(f"{path} has '{cell[:40]}' in line {line}, which is no finite number; give numbers alone")
    return value


def _bytes(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise StudyError(f"{path} is no feed table: it has {size / 2**20:.0f} MB; give at most 16")
        return read_whole(path, _LARGEST)
    except OSError as error:
        raise StudyError(
            f"{path} is no feed table ({first_line(error)}); give a CSV file with rows: from, to, rate"
        ) from error


def _decoded(path: Path, data: bytes) -> str:
    """Text in UTF-8, in UTF-16, or as Windows writes it in Western Europe and the Americas."""
    encodings = [name for mark, name in _MARKS if data.startswith(mark)][:1]
    if not encodings and b"\0" in data:
        encodings = ["utf-16-le" if data[1:2] == b"\0" else "utf-16-be"]
    for encoding in encodings or ["utf-8", "cp1252"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise StudyError(f"{path} is no feed table: it is no text; save it as CSV (UTF-8)")


def _text(path: Path, text: str) -> list[Row]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip(" \t;,|")]
    wanted = list(_SEPARATORS)
    if lines and (named := re.fullmatch(r"sep=(.)\s*", lines[0][1].strip('"'), re.IGNORECASE)):
        wanted, lines = [named[1]], lines[1:]  # a line that Excel reads
    comments = [(number, line.lstrip("# ")) for number, line in lines if line.lstrip().startswith("#")]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    for separator in wanted:
        rows = _split(path, lines, separator)
        if rows and len(widths := {len(cells) for _, cells in rows}) == 1 and widths <= {*_COLUMNS}:
            return [*_commented_header(path, rows, comments, separator), *rows]
    if not lines:
        return []
    count, separator = max((len(_split(path, lines, known)[0][1]), known) for known in wanted)
    raise StudyError(
        f"{path} is no feed table: line {lines[0][0]} has {count} columns separated by "
        f"{_SEPARATORS.get(separator, separator)}, or rows differ in length; give rows of from, to, rate, or of time, rate, "
        "with semicolons between them where numbers have decimal commas"
    )


def _split(path: Path, lines: Sequence[tuple[int, str]], separator: str) -> list[Row]:
    if separator == " ":  # a unit in brackets belongs to the title before it
        rows = [(number, re.sub(r"\s+(?=[\[(])", "_", line).split()) for number, line in lines]
        rows = [(number, [cell.replace("_", " ") for cell in cells]) for number, cells in rows]
    else:
        try:
            rows = [
                (number, [cell.strip() for cell in cells])
                for number, line in lines
                for cells in csv.reader([line], delimiter=separator, skipinitialspace=True)
            ]
        except csv.Error as error:
            raise StudyError(f"{path} is no feed table ({first_line(error)}); save it as CSV") from error
    while rows and all(len(cells) > 1 and not cells[-1] for _, cells in rows):
        rows = [(number, cells[:-1]) for number, cells in rows]
    return rows


def _commented_header(
    path: Path, rows: Sequence[Row], comments: Sequence[tuple[int, str]], separator: str
) -> list[Row]:
    """A header behind a number sign, as NumPy writes it."""
    if not comments or not all(map(is_number, rows[0][1])):
        return []
    before = [comment for comment in comments if comment[0] < rows[0][0]]
    header = _split(path, before, separator)[-1:]
    if header and len(header[0][1]) == len(rows[0][1]):
        return header
    raise StudyError(
        f"{path} has a comment, '{comments[0][1][:40]}', and no header; write a header, such as 'from [h],to [h],rate [L/h]'"
    )


def _workbook(path: Path, data: bytes) -> list[Row]:
    """Rows of the one worksheet with content."""
    try:
        openpyxl = import_module("openpyxl")
    except ImportError as error:
        raise missing_package(f"Excel workbooks such as {path}", "openpyxl", "excel") from error
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_UNPACKED:
                raise ValueError("it unpacks to more than 128 MB")
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
        pages = [(page.title, list(_filled(page.iter_rows(values_only=True)))) for page in book.worksheets]
    except Exception as error:  # a damaged workbook, or one of another program, fails in many ways
        raise StudyError(
            f"{path} is an Excel workbook or an archive that cannot be read ({first_line(error)}); save it as CSV"
        ) from error
    pages = [(title, rows) for title, rows in pages if rows]
    if len(pages) != 1:
        names = ", ".join(title for title, _ in pages) or "none"
        raise StudyError(f"{path} has {len(pages)} worksheets with content ({names}); leave the feed table alone in it")
    rows = [(line, [_cell(path, line, value) for value in values]) for line, values in pages[0][1]]
    first, last = _columns(rows)
    rows = [(line, cells[first:last]) for line, cells in rows]
    if last - first not in _COLUMNS:
        raise StudyError(f"{path} has {last - first} columns; give rows of from, to, rate, or of time, rate")
    return rows


def _columns(rows: Sequence[Row]) -> tuple[int, int]:
    """First column with content, and the one after the last."""
    filled = [column for _, cells in rows for column, cell in enumerate(cells) if cell]
    return min(filled), max(filled) + 1


def _filled(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[int, tuple[Any, ...]]]:
    return ((line, row) for line, row in enumerate(rows, start=1) if any(value is not None for value in row))


def _cell(path: Path, line: int, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str | None):
        raise StudyError(f"{path} has {value!s} in line {line}, a date, a time of day or a truth value; give numbers")
    return "" if value is None else repr(value) if isinstance(value, int | float) else value.strip()

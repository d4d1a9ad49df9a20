"""Tables, facts and lists as HTML, with every text escaped, and the style sheet of the page."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_DIGITS: Final = 4
"""Significant digits of a number on the page."""

_LEAST_FRACTION: Final = 1.0e-5
"""Fraction below which a percentage is not written out."""

_MOST_VALUES: Final = 12
"""Values of a list that are written out."""


class Html(str):
    """Text that is HTML already; any other value is escaped. In a table it counts as a number.

    Examples
    --------
    >>> text(Html("<b>1</b>"))
    '<b>1</b>'
    """


class Phrase(Html):
    """HTML that counts as words in a table, which are aligned to the left.

    Examples
    --------
    >>> text(Phrase("<b>oxygen</b>"))
    '<b>oxygen</b>'
    """


def table(head: Sequence[str], rows: Sequence[Sequence[object]], *, stacked: bool = False) -> str:
    """Write a table whose columns of numbers are aligned to the right.

    Parameters
    ----------
    head
        Names of the columns.
    rows
        Cells, shape (rows, columns).
    stacked
        Whether a narrow screen shows every row as a list of names and values; otherwise the table scrolls sideways.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> table(["time"], [[1.0]])
    '<div class="wide data"><table><thead><tr><th class="n">time</th></tr></thead>...'
    """
    numeric = [not any(type(row[column]) in (str, Phrase) for row in rows) for column in range(len(head))]
    marks = [' class="n"' if right else "" for right in numeric]
    top = "".join(f"<th{mark}>{text(name)}</th>" for mark, name in zip(marks, head, strict=True))
    body = "\n".join(f"<tr>{_cells(head, row, numeric)}</tr>" for row in rows)
    kind = "stack" if stacked else "data"
    return f'<div class="wide {kind}"><table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _cells(head: Sequence[str], row: Sequence[object], numeric: Sequence[bool]) -> str:
    cells = ""
    for name, cell, right in zip(head, row, numeric, strict=True):
        kinds = " ".join(["n"] * right + ["void"] * (text(cell) in ("", text(None))))
        mark = f' class="{kinds}"' if kinds else ""
        cells += f'<td{mark} data-head="{html.escape(name)}">{text(cell)}</td>'
    return cells


def facts(values: Mapping[str, object]) -> str:
    """Write named values side by side.

    Parameters
    ----------
    values
        Values by name.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> facts({"seed": 7})
    '<dl><div><dt>seed</dt><dd>7</dd></div></dl>'
    """
    pairs = "".join(f"<div><dt>{text(words(name))}</dt><dd>{text(value)}</dd></div>" for name, value in values.items())
    return f"<dl>{pairs}</dl>" if pairs else ""


def bullets(entries: Iterable[str]) -> str:
    """Write a list.

    Parameters
    ----------
    entries
        One text per point.

    Returns
    -------
    str
        HTML; empty if there are none.

    Examples
    --------
    >>> bullets(["well mixed"])
    '<ul><li>well mixed</li></ul>'
    """
    lines = "".join(f"<li>{text(entry)}</li>" for entry in entries)
    return f"<ul>{lines}</ul>" if lines else ""


def details(title: str, body: str) -> str:
    """Write a block that opens when its title is clicked; nothing if the body is empty.

    Parameters
    ----------
    title
        Text that is always visible.
    body
        HTML that is hidden at first.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> details("More", "<p>text</p>")
    '<details><summary>More</summary><p>text</p></details>'
    """
    return f"<details><summary>{text(title)}</summary>{body}</details>" if body else ""


def nested(card: Mapping[str, Any]) -> str:
    """Write plain entries as facts, a mapping of similar mappings as a table, any other mapping under its own title.

    Parameters
    ----------
    card
        Entries by name, as read from JSON.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> nested({"seed": 7, "box": {"low": 0}})
    '<dl>...seed...</dl><h3>box</h3><dl>...low...</dl>'
    """
    body = facts({name: value for name, value in card.items() if not isinstance(value, dict)})
    for name, entry in card.items():
        if isinstance(entry, dict) and entry:
            alike = all(isinstance(row, dict) for row in entry.values())
            keys = list(dict.fromkeys(key for row in entry.values() for key in row)) if alike else []
            rows = [[key, *(row.get(column) for column in keys)] for key, row in entry.items()] if alike else []
            body += f"<h3>{text(words(name))}</h3>" + (table(["", *keys], rows) if alike else nested(entry))
    return body


def words(name: str) -> str:
    """Replace underscores of a lower-case name by spaces; identifiers of a network, which have capitals, stay.

    Parameters
    ----------
    name
        A name.

    Returns
    -------
    str
        Text.

    Examples
    --------
    >>> words("biomass_amount"), words("EX_o2_e")
    ('biomass amount', 'EX_o2_e')
    """
    return name.replace("_", " ") if name.islower() else name


def identified(identifier: str, names: Mapping[str, str]) -> Phrase:
    """Write the readable name of an identifier, where known, with the identifier beside it.

    Parameters
    ----------
    identifier
        Identifier of a reaction.
    names
        Readable names by identifier.

    Returns
    -------
    Phrase
        HTML.

    Examples
    --------
    >>> identified("EX_o2_e", {"EX_o2_e": "oxygen"})
    'oxygen <span class="id">EX_o2_e</span>'
    """
    if identifier not in names:
        return Phrase(text(words(identifier)))
    return Phrase(f'{text(names[identifier])} <span class="id">{text(identifier)}</span>')


def text(value: object) -> str:
    """Return any value as HTML, escaped unless it is HTML already; numbers have four significant digits.

    Parameters
    ----------
    value
        Text, number, list, or HTML.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> text(49.947600811), text(None), text(1.0e-12)
    ('49.95', '&ndash;', '1 &times; 10<sup>&minus;12</sup>')
    """
    if isinstance(value, Html):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "&ndash;"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if 10**_DIGITS <= abs(value) < 10 ** (2 * _DIGITS):
            return f"{value:.0f}".replace("-", "&minus;")
        mantissa, _, exponent = f"{value:.{_DIGITS}g}".partition("e")
        power = f" &times; 10<sup>{int(exponent)}</sup>".replace("-", "&minus;") if exponent else ""
        return mantissa.replace("-", "&minus;") + power
    if isinstance(value, (list, tuple)):
        more = f", … ({len(value)} values)" if len(value) > _MOST_VALUES else ""
        return ", ".join(map(text, value[:_MOST_VALUES])) + more
    return html.escape(str(value))


def amount(value: object, unit: str) -> Html:
    """Write a number, or a range of two, with its unit.

    Parameters
    ----------
    value
        A number or a range of two; None and NaN are shown as a dash.
    unit
        Its unit.

    Returns
    -------
    Html
        HTML.

    Examples
    --------
    >>> amount(49.947600811, "g"), amount((6.0, 10.0), "h")
    ('49.95 g', '6 to 10 h')
    """
    number = f"{text(value[0])} to {text(value[1])}" if isinstance(value, tuple) and len(value) == 2 else text(value)
    return Html(f"{number} {text(unit)}" if unit and value is not None else number)


def percent(fraction: float | None, signed: bool = False) -> Html:
    """Write a fraction as a percentage with three significant digits.

    Parameters
    ----------
    fraction
        The fraction; None is shown as a dash.
    signed
        Whether a plus sign is shown.

    Returns
    -------
    Html
        HTML.

    Examples
    --------
    >>> percent(0.25109, signed=True), percent(1.0e-8), percent(None)
    ('+25.1 %', '&lt; 0.001 %', '&ndash;')
    """
    if fraction is None or not math.isfinite(fraction):
        return Html(text(None))
    if 0.0 < abs(fraction) < _LEAST_FRACTION:
        return Html("&lt; 0.001 %")
    return Html(f"{100.0 * fraction:{'+' if signed else ''}.3g} %".replace("-", "&minus;"))


def real(value: object) -> float | None:
    """Return a finite number, and None for everything else.

    Parameters
    ----------
    value
        Anything.

    Returns
    -------
    float or None
        The number.

    Examples
    --------
    >>> real(2), real("2"), real(float("nan"))
    (2.0, None, None)
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def anchor(title: str) -> str:
    """Return the identifier of a section.

    Parameters
    ----------
    title
        Title of a section.

    Returns
    -------
    str
        The identifier.

    Examples
    --------
    >>> anchor("Closed loop")
    'closed-loop'
    """
    return title.lower().replace(" ", "-")

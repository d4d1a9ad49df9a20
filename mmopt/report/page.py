"""Tables, facts and lists as HTML, with every text escaped, and the style sheet of the page."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2933;--soft:#5f6b7a;--page:#f6f7f9;--sheet:#fff;--rule:#dfe3e8;--blue:#0072b2;
--alarm:#b3261e;--shade:rgba(31,41,51,.16)}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--page:#14181d;--sheet:#1d232a;--rule:#333c46;
--blue:#56b4e9;--alarm:#ff8a80;--shade:rgba(0,0,0,.5)}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.3rem;margin:0 0 .8rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}p{max-width:75ch}.soft,figcaption,dt,th,.id{color:var(--soft)}
.id{font-size:.85em;overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:1rem 0 1.6rem;font-size:.9rem}
a{color:var(--blue);text-decoration:none}a:hover{text-decoration:underline}
section,.card{background:var(--sheet);border:1px solid var(--rule);border-radius:12px}
section{padding:1.4rem 1.5rem;margin:1.25rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.9rem}.card{padding:1rem 1.1rem}
.card b{display:block;font-size:1.75rem;line-height:1.3;color:var(--blue);font-variant-numeric:tabular-nums;
white-space:nowrap}
.card{line-height:1.3}.card span{display:block;font-size:.85rem;color:var(--soft);margin-top:.25rem}
figure{margin:1rem 0}figure:last-child{margin-bottom:0}figcaption{font-size:.9rem;margin-top:.5rem;max-width:85ch}
img{display:block;width:100%;height:auto;background:#fff;border-radius:8px}
.wide{overflow-x:auto}
.data{background:linear-gradient(90deg,var(--sheet) 1rem,transparent) 0/3rem 100% no-repeat local,
linear-gradient(270deg,var(--sheet) 1rem,transparent) 100%/3rem 100% no-repeat local,
linear-gradient(90deg,var(--shade),transparent) 0/.7rem 100% no-repeat,
linear-gradient(270deg,var(--shade),transparent) 100%/.7rem 100% no-repeat}
table{border-collapse:collapse;font-size:.92rem;min-width:50%}
th,td{text-align:left;padding:.4rem 1.4rem .4rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600}td:last-child{min-width:8rem}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.columns{display:flex;flex-wrap:wrap;gap:0 2.5rem}.columns table{min-width:0}.columns td:last-child{min-width:0}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:.7rem 1.4rem;margin:.8rem 0}
dt{font-size:.82rem}dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
details{margin:1rem 0}summary{cursor:pointer;font-weight:600}
.bar{display:block;height:.7rem;margin-top:.4rem;background:var(--blue);border-radius:3px;min-width:2px}
.alarm{color:var(--alarm);font-weight:600}
@media(max-width:640px){main{padding:1.5rem .8rem 3rem}section{padding:1.1rem 1rem}h1{font-size:1.6rem}
.cards{grid-template-columns:1fr 1fr}.card{padding:.8rem .8rem}.card b{font-size:1.35rem}
dl{grid-template-columns:1fr 1fr}
th,td{padding-right:.9rem}td:last-child{min-width:0}
.picture::before{content:"swipe sideways for the rest of the figure";font-size:.8rem;color:var(--soft)}
.stack table,.stack tbody,.stack tr,.stack td{display:block;width:100%}.stack thead{display:none}
.stack tr{border-bottom:1px solid var(--rule);padding:.5rem 0}
.stack td{display:flex;gap:1rem;justify-content:space-between;border:0;padding:.12rem 0;text-align:right;
white-space:normal;overflow-wrap:anywhere}
.stack td::before{content:attr(data-head);color:var(--soft);text-align:left;flex:0 0 7rem}
.stack td:first-child{font-weight:600;text-align:left}.stack td:first-child::before{content:none}
.stack td.void{display:none}}
@media print{:root{--ink:#111;--soft:#555;--page:#fff;--sheet:#fff;--rule:#ccc;--blue:#0072b2;--alarm:#b3261e;
--shade:transparent}
nav{display:none}main{padding:0;max-width:none}section{border:0;padding:0}figure,tr,.card,h2{break-inside:avoid}
h2,h3{break-after:avoid}*{print-color-adjust:exact}body{font-size:10pt}
.cards{grid-template-columns:repeat(5,1fr)}.card{padding:.6rem}.card b{font-size:1.4rem}.wide{overflow:visible}}
"""

_DIGITS: Final = 4
"""Significant digits of a number on the page."""

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

    Examples
    --------
    >>> facts({"seed": 7})
    '<dl><div><dt>seed</dt><dd>7</dd></div></dl>'
    """
    pairs = "".join(f"<div><dt>{text(words(name))}</dt><dd>{text(value)}</dd></div>" for name, value in values.items())
    return f"<dl>{pairs}</dl>" if pairs else ""


def bullets(entries: Iterable[str]) -> str:
    """Write a list.

    Examples
    --------
    >>> bullets(["well mixed"])
    '<ul><li>well mixed</li></ul>'
    """
    lines = "".join(f"<li>{text(entry)}</li>" for entry in entries)
    return f"<ul>{lines}</ul>" if lines else ""


def details(title: str, body: str) -> str:
    """Write a block that opens when its title is clicked; nothing if the body is empty.

    Examples
    --------
    >>> details("More", "<p>text</p>")
    '<details><summary>More</summary><p>text</p></details>'
    """
    return f"<details><summary>{text(title)}</summary>{body}</details>" if body else ""


def nested(card: Mapping[str, Any]) -> str:
    """Write plain entries as facts, a mapping of similar mappings as a table, any other mapping under its own title.

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

    Examples
    --------
    >>> words("biomass_amount"), words("EX_o2_e")
    ('biomass amount', 'EX_o2_e')
    """
    return name.replace("_", " ") if name.islower() else name


def identified(identifier: str, names: Mapping[str, str]) -> Phrase:
    """Write the readable name of an identifier, where known, with the identifier beside it.

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

    Examples
    --------
    >>> text(49.947600811), text(None), text(1.0e-12)
    ('49.95', '&ndash;', '1 &times; 10<sup>&minus;12</sup>')
    """
    if isinstance(value, Html):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "&ndash;"
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

    Examples
    --------
    >>> amount(49.947600811, "g"), amount((6.0, 10.0), "h")
    ('49.95 g', '6 to 10 h')
    """
    number = f"{text(value[0])} to {text(value[1])}" if isinstance(value, tuple) and len(value) == 2 else text(value)
    return Html(f"{number} {text(unit)}" if unit and value is not None else number)


def percent(fraction: float | None, signed: bool = False) -> Html:
    """Write a fraction as a percentage with three significant digits.

    Examples
    --------
    >>> percent(0.25109, signed=True), percent(None)
    ('+25.1 %', '&ndash;')
    """
    if fraction is None or not math.isfinite(fraction):
        return Html(text(None))
    return Html(f"{100.0 * fraction:{'+' if signed else ''}.3g} %".replace("-", "&minus;"))


def real(value: object) -> float | None:
    """Return a finite number, and None for everything else.

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

    Examples
    --------
    >>> anchor("Closed loop")
    'closed-loop'
    """
    return title.lower().replace(" ", "-")

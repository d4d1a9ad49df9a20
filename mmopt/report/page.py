"""The pieces of a page: tables, facts and lists as HTML, every text escaped, and the style sheet."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

STYLE: Final = """
:root{color-scheme:light dark;--ink:#1f2933;--soft:#5f6b7a;--page:#f6f7f9;--sheet:#fff;--rule:#dfe3e8;--blue:#0072b2;
--alarm:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--soft:#9aa5b1;--page:#14181d;--sheet:#1d232a;--rule:#333c46;
--blue:#56b4e9;--alarm:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1080px;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:2rem;line-height:1.2;margin:0 0 .3rem}h2{font-size:1.3rem;margin:0 0 .8rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}p{max-width:75ch}.soft,figcaption,dt,th{color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:1rem 0 1.6rem;font-size:.9rem}
a{color:var(--blue);text-decoration:none}a:hover{text-decoration:underline}
section,.card{background:var(--sheet);border:1px solid var(--rule);border-radius:12px}
section{padding:1.4rem 1.5rem;margin:1.25rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.9rem}.card{padding:1rem 1.1rem}
.card b{display:block;font-size:1.75rem;line-height:1.3;color:var(--blue);font-variant-numeric:tabular-nums}
.card{line-height:1.3}.card span{display:block;font-size:.85rem;color:var(--soft);margin-top:.25rem}
figure{margin:1rem 0}figure:last-child{margin-bottom:0}figcaption{font-size:.9rem;margin-top:.5rem;max-width:85ch}
img{display:block;width:100%;height:auto;background:#fff;border-radius:8px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.92rem;min-width:50%}
th,td{text-align:left;padding:.4rem 1.4rem .4rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
th{font-weight:600}td:last-child{min-width:8rem}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:.7rem 1.4rem;margin:.8rem 0}
dt{font-size:.82rem}dd{margin:0;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
.bar{display:block;height:.7rem;margin-top:.4rem;background:var(--blue);border-radius:3px;min-width:2px}
.alarm{color:var(--alarm);font-weight:600}
@media print{:root{--ink:#111;--soft:#555;--page:#fff;--sheet:#fff;--rule:#ccc;--blue:#0072b2;--alarm:#b3261e}
nav{display:none}main{padding:0;max-width:none}section{border:0;padding:0}figure,tr,.card,h2{break-inside:avoid}
h2,h3{break-after:avoid}*{print-color-adjust:exact}body{font-size:10pt}
.cards{grid-template-columns:repeat(5,1fr)}.card{padding:.6rem}.card b{font-size:1.4rem}.wide{overflow:visible}}
"""


class Html(str):
    """Text that is already HTML; every other value is escaped on its way to the page."""


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Write a table; its columns of numbers stand to the right."""
    words = [any(type(row[place]) is str for row in rows) for place in range(len(head))]
    marks = ["" if word else ' class="n"' for word in words]
    top = "".join(f"<th{mark}>{text(name)}</th>" for mark, name in zip(marks, head, strict=True))
    lines = ("".join(f"<td{m}>{text(cell)}</td>" for m, cell in zip(marks, row, strict=True)) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def facts(given: Mapping[str, object]) -> str:
    """Write named facts side by side."""
    pairs = "".join(f"<div><dt>{label(name)}</dt><dd>{text(value)}</dd></div>" for name, value in given.items())
    return f"<dl>{pairs}</dl>" if pairs else ""


def bullets(entries: Iterable[str]) -> str:
    """Write a list of points."""
    lines = "".join(f"<li>{text(entry)}</li>" for entry in entries)
    return f"<ul>{lines}</ul>" if lines else ""


def nested(card: Mapping[str, Any]) -> str:
    """Plain entries as facts, an entry with entries of one kind as a table, any other as a part of its own."""
    body = facts({name: value for name, value in card.items() if not isinstance(value, dict)})
    for name, part in card.items():
        if isinstance(part, dict) and part:
            alike = all(isinstance(row, dict) for row in part.values())
            keys = list(dict.fromkeys(key for row in part.values() for key in row)) if alike else []
            rows = [[output, *(row.get(key) for key in keys)] for output, row in part.items()] if alike else []
            body += f"<h3>{label(name)}</h3>" + (table(["", *keys], rows) if alike else nested(part))
    return body


def label(name: str) -> str:
    """Turn a key into words, with its unit; BiGG ids, which have capitals, stay as they are."""
    unit = " [g]" if name.endswith("_biomass") else " [ms]" if name.endswith("_ms") else ""
    return text((name.removesuffix("_ms").replace("_", " ") if name.islower() else name) + unit)


def text(value: object) -> str:
    """Any value as HTML, escaped unless it is HTML already."""
    if isinstance(value, Html):
        return value
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "&ndash;"
    if isinstance(value, float):
        mantissa, _, exponent = f"{value:.5g}".partition("e")
        return (mantissa + (f" &times; 10<sup>{int(exponent)}</sup>" if exponent else "")).replace("-", "&minus;")
    if isinstance(value, (list, tuple)):
        return ", ".join(map(text, value[:12])) + (f", … ({len(value)} values)" if len(value) > 12 else "")
    return html.escape(str(value))


def percent(fraction: object, signed: bool = False) -> Html:
    """Write a fraction as a percentage."""
    share = real(fraction)
    shown = "" if share is None else f"{100.0 * share:{'+' if signed else ''}.3g} %".replace("-", "&minus;")
    return Html(shown or text(fraction))


def real(value: object) -> float | None:
    """Take a finite number; None stands for whatever is not one."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def padded(row: Sequence[object]) -> list[object]:
    """Three cells, the last a word."""
    return [*row, None, None, ""][:3]


def anchor(title: str) -> str:
    """Make the name by which a section is linked."""
    return title.lower().replace(" ", "-")

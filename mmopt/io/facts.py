"""Short facts about an object as text, and as a table of a notebook."""

import html
from collections.abc import Mapping


def facts_text(facts: Mapping[str, str]) -> str:
    r"""Return facts as text, one a line.

    Parameters
    ----------
    facts
        Values by name.

    Returns
    -------
    str
        Lines of ``name: value``.

    Examples
    --------
    >>> from mmopt.io.facts import facts_text
    >>> facts_text({"growth": "0.87 1/h", "status": "optimal"})
    'growth: 0.87 1/h\nstatus: optimal'
    """
    return "\n".join(f"{name}: {value}" for name, value in facts.items())


def facts_table(facts: Mapping[str, str]) -> str:
    """Return facts as an HTML table for a notebook.

    Parameters
    ----------
    facts
        Values by name.

    Returns
    -------
    str
        HTML, in which names and values are escaped.

    Examples
    --------
    >>> from mmopt.io.facts import facts_table
    >>> facts_table({"growth": "< 1 1/h"})
    '<table><tr><th>growth</th><td>&lt; 1 1/h</td></tr></table>'
    """
    rows = (f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in facts.items())
    return f"<table>{''.join(rows)}</table>"

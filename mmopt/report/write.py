"""The report of a run: one HTML page, written from the files that the run saved.

Nothing is computed here, so the page can be written again at any time from the folder alone. The page needs no other file:
figures are embedded, and there is no link to another site; the one script moves the map of fluxes with its slider.
"""

from pathlib import Path
from typing import Final

from mmopt.io.files import write_whole
from mmopt.report import background, controlled, inside, page, sections
from mmopt.report.run_folder import RunFolder, read_run
from mmopt.report.styles import STYLE

_SECTIONS = {
    "Results": sections.results,
    "Feed profiles": sections.feeds,
    "Trajectories": sections.trajectories,
    "Closed loop": controlled.closed_loop,
    "Starvation": sections.starvation,
    "Inside the cell": inside.inside,
    "Problem": background.problem,
    "Surrogate": background.surrogate,
    "How it was computed": background.computation,
    "Known limits": lambda run: page.bullets(run.summary.known_limits or ()),
    "Not in this run": background.missing,
}


REPORT_FILE: Final = "report.html"


def write_report(folder: str | Path) -> Path:
    """Write ``report.html`` into a run folder, and its figures into ``figures/``, from what the run saved there.

    Parameters
    ----------
    folder
        A folder with ``summary.json``, of which only the title is required, and whatever else the run saved:
        trajectories (``optimum.nc``, ``replay.nc``, ...) and ``parity.npz``. What is missing is left out and named at the
        end of the page.

    Returns
    -------
    Path
        The page; the file appears complete or not at all.

    Raises
    ------
    StudyError
        If ``summary.json`` is missing or malformed, or a saved file cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "summary.json").write_text('{"title": "A first run"}')
    ...     write_report(folder).name
    'report.html'
    """
    run = read_run(folder)
    content = _page(run)
    return write_whole(run.folder / REPORT_FILE, lambda temporary: temporary.write_text(content, encoding="utf-8"))


def _page(run: RunFolder) -> str:
    summary = run.summary
    bodies = {title: body for title, section in _SECTIONS.items() if (body := section(run))}
    links = "".join(f'<a href="#{page.anchor(title)}">{title}</a>' for title in bodies)
    written = "\n".join(
        f'<section id="{page.anchor(name)}"><h2>{name}</h2>\n{body}\n</section>' for name, body in bodies.items()
    )
    origin = [summary.created, summary.network and summary.network.name, summary.surrogate and summary.surrogate.name]
    title = page.text(summary.title)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>{STYLE}</style></head>
<body><main>
<header><h1>{title}</h1><div class="soft">{" · ".join(page.text(entry) for entry in origin if entry)}</div></header>
<nav>{links}</nav>
{sections.cards(run)}
{written}
<p class="soft">Written by mmopt from saved results.</p>
</main></body>
</html>
"""

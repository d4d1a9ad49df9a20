"""The section of fluxes inside the cell."""

from collections.abc import Mapping
from typing import Final

import xarray as xr

from mmopt.figures.fluxes import plot_fluxes
from mmopt.pathways import PATHWAYS, largest_changes, shown_reactions
from mmopt.report import page, sections
from mmopt.report.flux_map import map_with_slider
from mmopt.report.run_folder import RunFolder
from mmopt.units import TIME

_OF: Final = {
    "fluxes_plan": ("the optimal feed", tuple(PATHWAYS)),
    "fluxes_starvation": ("the feed that stops", ("acetate", "oxidative phosphorylation")),
}
"""By name of the fluxes: what they are of, and which pathways are drawn."""

_WITH_MAP: Final = "fluxes_plan"

_EXACT: Final = "linear program"
"""Name of the exact fluxes."""


def inside(run: RunFolder) -> str:
    """Write the fluxes of central carbon metabolism over time.

    Parameters
    ----------
    run
        The run.

    Returns
    -------
    str
        HTML; empty if no fluxes were saved.
    """
    body = ""
    for name, fluxes in run.fluxes.items():
        of, pathways = _OF[name]
        known = next(iter(fluxes.values())).reaction.values
        body += f"<h3>{page.text(of[:1].upper() + of[1:])}</h3>"
        for pathway in pathways:
            if reactions := shown_reactions(pathway, known):
                caption = f"{pathway[:1].upper() + pathway[1:]}: net fluxes with {of}, at the same uptake limits."
                figure = plot_fluxes(fluxes, reactions, {one: run.summary.names.get(one, one) for one in reactions})
                body += sections.picture(run, f"{name}_{pathway.split()[0].lower()}", figure, caption, {})
        body += _changes(fluxes)
        if name == _WITH_MAP:
            body += map_with_slider(fluxes.get(_EXACT, next(iter(fluxes.values()))))
    return body


def _changes(fluxes: Mapping[str, xr.DataArray]) -> str:
    """Table of the largest changes from beginning to end."""
    exact = fluxes.get(_EXACT, next(iter(fluxes.values())))
    begin, end = float(exact.time[0]), float(exact.time[-1])
    table = largest_changes(exact, begin, end, 8).round(6) + 0.0
    head = ["reaction", f"at {begin:g} {TIME}", f"at {end:g} {TIME}", "change"]
    title = "<p>Largest changes of these fluxes from beginning to end [mmol/gDW/h]:</p>"
    return title + page.table(head, [list(row) for row in table.itertuples()])

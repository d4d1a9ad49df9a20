"""The section of fluxes inside the cell, and the files it is drawn from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import xarray as xr

from mmopt.errors import StudyError, first_line
from mmopt.figures.fluxes import plot_fluxes
from mmopt.io.files import write_whole
from mmopt.io.netcdf import read_netcdf, write_netcdf
from mmopt.pathways import PATHWAYS, largest_changes, shown_reactions
from mmopt.report import page, sections
from mmopt.report.run_folder import RunFolder
from mmopt.units import TIME

FLUX_FILES: Final = {"fluxes_plan": "the optimal feed", "fluxes_starvation": "the feed that stops"}
"""Files of fluxes, without suffix, and what each is of."""

_EXACT: Final = "linear program"
"""Name of the exact fluxes."""

_SPENT: Final = ("acetate", "oxidative phosphorylation")
"""Pathways that are drawn where the feed stops."""


def save_fluxes(path: Path, fluxes: Mapping[str, xr.DataArray]) -> None:
    """Save the fluxes of the pathways; nothing where the network has none of their reactions.

    Parameters
    ----------
    path
        The file.
    fluxes
        What `Trajectory.fluxes` returns, by name of the cell, of one trajectory and network.
    """
    known = next(iter(fluxes.values())).reaction.values
    chosen = list(dict.fromkeys(name for pathway in PATHWAYS for name in shown_reactions(pathway, known)))
    if chosen:
        shown = {name: one.sel(reaction=chosen).reset_coords(drop=True) for name, one in fluxes.items()}
        write_whole(path, lambda file: write_netcdf(xr.Dataset(shown), file))


def _read(path: Path) -> dict[str, xr.DataArray]:
    try:
        data = read_netcdf(path, sealed=True)
        return {str(name): data[name].assign_attrs(biomass="") for name in data.data_vars}
    except Exception as error:  # a damaged file fails in many ways; all mean the same to a user
        raise StudyError(f"{path} is not a file of fluxes ({first_line(error)}); run the study again") from error


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
    for name, of in FLUX_FILES.items():
        path = run.folder / f"{name}.nc"
        if not path.exists():
            continue
        fluxes = _read(path)
        known = next(iter(fluxes.values())).reaction.values
        body += f"<h3>{page.text(of[:1].upper() + of[1:])}</h3>"
        for pathway in PATHWAYS if name == "fluxes_plan" else _SPENT:
            if reactions := shown_reactions(pathway, known):
                caption = f"{pathway[:1].upper() + pathway[1:]}: net fluxes with {of}, at the same uptake limits."
                figure = plot_fluxes(fluxes, reactions, {one: run.summary.names.get(one, one) for one in reactions})
                body += sections.picture(run, f"{name}_{pathway.split()[0].lower()}", figure, caption, {})
        body += _changes(fluxes)
    return body


def _changes(fluxes: Mapping[str, xr.DataArray]) -> str:
    exact = fluxes.get(_EXACT, next(iter(fluxes.values())))
    times = exact.time.values
    begin, end = float(times[0]), float(times[-1])
    rows = [
        [name, *(round(value, 6) + 0.0 for value in values)]
        for name, *values in largest_changes(exact, begin, end, 8).itertuples()
    ]
    head = ["reaction", f"at {begin:g} {TIME}", f"at {end:g} {TIME}", "change"]
    return "<p>Largest changes of these fluxes from beginning to end [mmol/gDW/h]:</p>" + page.table(head, rows)

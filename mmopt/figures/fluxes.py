"""Figures of fluxes inside the cell over time."""

from collections.abc import Mapping, Sequence

import xarray as xr
from matplotlib.figure import Figure

from mmopt.errors import StudyError, nearest
from mmopt.figures.style import WIDTH, add_legend, empty_figure, line, style_panel
from mmopt.units import TIME

_COLUMNS = 4
_LEAST_SPAN = 1.0e-2
"""Shortest vertical axis [mmol/gDW/h], below which variation is rounding."""


def plot_fluxes(
    fluxes: Mapping[str, xr.DataArray], reactions: Sequence[str], titles: Mapping[str, str] | None = None
) -> Figure:
    """Plot fluxes over time with one small panel per reaction and one colour per cell.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns, by name in the legend: such as those of a surrogate and of the flux program.
    reactions
        Ids of the reactions, one panel each; a cell that lacks one has no line there.
    titles
        Titles of panels that differ from the ids.

    Returns
    -------
    Figure

    Raises
    ------
    StudyError
        If there is nothing to plot, or no cell has a reaction.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> cell = load_surrogate("ecoli_textbook")
    >>> batch = simulate(ecoli_fed_batch(), start, {"feed": ConstantFeed(0.01)}, 4.0, cell)
    >>> [axes.get_title("left") for axes in plot_fluxes({"surrogate": batch.fluxes(cell)}, ["PFK", "ACKr"]).axes]
    ['PFK', 'ACKr']
    """
    if not fluxes or not len(reactions):
        raise StudyError("there is nothing to plot; give fluxes by name and the ids of reactions")
    for reaction in reactions:
        if not any(reaction in one.reaction.values for one in fluxes.values()):
            known = next(iter(fluxes.values())).reaction.values
            raise StudyError(f"no cell has a reaction '{reaction}'; {nearest(str(reaction), known)}")
    columns = min(_COLUMNS, len(reactions))
    rows = -(-len(reactions) // columns)
    figure = empty_figure(WIDTH * columns / _COLUMNS, 1.9 * rows + 0.5)
    grid = figure.add_gridspec(rows, columns)
    for number, reaction in enumerate(reactions):
        panel = figure.add_subplot(grid[number // columns, number % columns])
        for index, one in enumerate(fluxes.values()):
            if reaction in one.reaction.values:
                panel.plot(one.time.values, one.sel(reaction=reaction).values, **line(index))
        unit = "1/h" if any(reaction == one.attrs.get("biomass") for one in fluxes.values()) else "mmol/gDW/h"
        style_panel(panel, (titles or {}).get(reaction, reaction), unit)
        low, high = panel.get_ylim()
        middle = 0.5 * (low + high)
        if high - low < _LEAST_SPAN:
            panel.set_ylim(middle - 0.5 * _LEAST_SPAN, middle + 0.5 * _LEAST_SPAN)
        panel.axhline(0.0, color="0.6", linewidth=0.6, zorder=0)
        panel.margins(x=0.015)
        if number + columns >= len(reactions):  # the lowest of its column
            panel.set_xlabel(f"time [{TIME}]")
    add_legend(figure, fluxes)
    return figure

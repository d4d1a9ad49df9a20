"""A figure of fluxes on a map of the metabolism."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from mmopt.errors import StudyError
from mmopt.figures.style import INK, MUTED, RULE, WIDTH, plain
from mmopt.pathways.flux_map import FluxMap, MapReaction, checked_map
from mmopt.pathways.pathways import check_fluxes
from mmopt.units import TIME

_THIN, _BROAD = 0.8, 7.0
"""Width of a line without a flux, and of the largest one [pt]."""

_NOTHING: Final = 1.0e-4
"""Fraction of the largest flux below which one is drawn as none."""


def plot_flux_map(
    fluxes: xr.DataArray, time: float, flux_map: FluxMap | None = None, largest: float | None = None
) -> Figure:
    """Draw the fluxes at one time on a map, as the width and colour of lines; arrows show their direction.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns.
    time
        The time [h]; fluxes between two times are read on the line between them.
    flux_map
        The map; by default the shipped one that has most of the reactions.
    largest
        Flux that is drawn broadest [mmol/gDW/h]; by default the largest on the map at that time.

    Returns
    -------
    Figure
        Reactions of the map that the fluxes do not have are grey.

    Raises
    ------
    StudyError
        If the time is outside the fluxes, or the map has none of the reactions.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 5.0, "acetate": 0.0, "oxygen": 0.2}
    >>> cell = load_surrogate("ecoli_textbook")
    >>> batch = simulate(ecoli_fed_batch(), start, {"feed": ConstantFeed(0.01)}, 4.0, cell)
    >>> plot_flux_map(batch.fluxes(cell), 2.0).axes[0].get_title("left")
    'central metabolism at 2 h'
    """
    check_fluxes(fluxes)
    values = fluxes_at(fluxes, time)
    flux_map = checked_map(flux_map, values)
    sizes = [abs(values.get(reaction.id, 0.0)) for reaction in flux_map.reactions]
    largest = max(sizes, default=0.0) if largest is None else largest
    left, top, width, height = flux_map.canvas
    figure = Figure(figsize=(WIDTH, WIDTH * height / width), facecolor="white")
    panel = figure.add_axes((0.0, 0.0, 1.0, 0.97))
    panel.set(xlim=(left, left + width), ylim=(top + height, top), aspect="equal")
    panel.set_axis_off()
    for reaction in flux_map.reactions:
        _draw(panel, reaction, values.get(reaction.id), largest or 1.0)
    for metabolite in flux_map.metabolites:
        size = 4.0 if metabolite.primary else 2.5
        panel.plot(*metabolite.at, marker="o", markersize=size, color="white", markeredgecolor=INK, zorder=3)
        panel.text(*metabolite.text_at, plain(metabolite.id), fontsize=6.5, color=INK, zorder=4)
    for text, at in flux_map.texts:
        panel.text(*at, plain(text), fontsize=10.0, color=INK, fontweight="bold")
    panel.set_title(
        f"{plain(flux_map.name)} at {time:g} {TIME}", loc="left", fontsize=9.5, color=INK, fontweight="bold"
    )
    return figure


def fluxes_at(fluxes: xr.DataArray, time: float) -> dict[str, float]:
    """Return the fluxes at one time by reaction.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns.
    time
        The time [h].

    Returns
    -------
    dict

    Raises
    ------
    StudyError
        If the time is outside the fluxes.
    """
    begin, end = float(fluxes.time[0]), float(fluxes.time[-1])
    if not isinstance(time, int | float) or not begin <= time <= end:
        raise StudyError(f"the time is {time!r}; give one from {begin:g} to {end:g} {TIME}")
    values = fluxes.interp(time=float(time)).values if fluxes.time.size > 1 else fluxes.values[:, 0]
    return dict(zip(map(str, fluxes.reaction.values), values.tolist(), strict=True))


def _draw(panel: Axes, reaction: MapReaction, flux: float | None, largest: float) -> None:
    """Draw a reaction with its id and its flux."""
    share = 0.0 if flux is None else min(1.0, abs(flux) / largest)
    share = 0.0 if share < _NOTHING else share
    colour = _blend(share) if share else RULE
    broad = _THIN + (_BROAD - _THIN) * share
    lines: Any = list(reaction.lines)
    panel.add_collection(LineCollection(lines, colors=colour, linewidths=broad, capstyle="round", zorder=1 + share))
    if flux is not None and share:
        for line in reaction.product_ends if flux > 0.0 else reaction.substrate_ends:
            _arrow(panel, line, colour, broad)
    said = reaction.id if flux is None else f"{reaction.id} {flux if share else 0.0:.3g}"
    panel.text(*reaction.text_at, plain(said), fontsize=6.0, color=MUTED, zorder=4)


def _arrow(panel: Axes, line: np.ndarray, colour: tuple[float, ...] | str, broad: float) -> None:
    before, end = line[-2], line[-1]
    tip = before + 0.8 * (end - before)
    look: Mapping[str, Any] = {
        "arrowstyle": "-|>",
        "color": colour,
        "linewidth": 0.1,
        "mutation_scale": 5.0 + 1.6 * broad,
    }
    panel.annotate("", xy=tuple(tip), xytext=tuple(before), arrowprops=dict(look), zorder=2)


def _blend(share: float) -> tuple[float, ...]:
    """From light blue to the dark end of the palette."""
    light, middle, dark = np.array([[0.62, 0.79, 0.88], [0.0, 0.447, 0.698], [0.12, 0.16, 0.2]])
    mixed = light + (middle - light) * min(1.0, 2.0 * share) + (dark - middle) * max(0.0, 2.0 * share - 1.0)
    return tuple(float(one) for one in mixed)

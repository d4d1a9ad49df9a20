"""Figure of a campaign: how far batches under control spread."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmopt.errors import StudyError, nearest
from mmopt.figures.shown import ShownCampaign
from mmopt.figures.style import COLOURS, INK, MUTED, WIDTH, empty_figure, plain, style_panel
from mmopt.figures.trajectories import Limits, set_scale
from mmopt.units import TIME


def plot_campaign(
    campaign: ShownCampaign,
    names: Sequence[str] | None = None,
    limits: Limits | None = None,
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """Plot the spread of quantities over the batches of a campaign, one panel each, and the objective of every batch.

    Parameters
    ----------
    campaign
        The campaign.
    names
        Quantities to plot; by default all states, controls, and whatever has a limit.
    limits, titles
        As for `plot_trajectories`; ``titles["objective"]`` is the name and unit of the objective.

    Returns
    -------
    Figure
        In every panel the median, the middle nine tenths, and lowest and highest; then a panel of the objectives.

    Raises
    ------
    StudyError
        If a quantity is unknown.

    Examples
    --------
    >>> import xarray as xr
    >>> from mmopt.control import Campaign
    >>> level = (("seed", "time"), np.ones((3, 2)), {"kind": "state", "units": "m"})
    >>> data = xr.Dataset({"level": level, "objective": ("seed", [1.0, 2.0, 3.0])}, coords={"time": [0.0, 1.0]})
    >>> [panel.get_title("left") for panel in plot_campaign(Campaign(data)).axes]
    ['level', 'objective']
    """
    data, limits, titles = campaign.data, limits or {}, titles or {}
    spread = [str(name) for name, values in data.data_vars.items() if values.dims == ("seed", "time")]
    usual = [name for name in spread if data[name].attrs.get("kind") in ("state", "control") or name in limits]
    chosen = usual if names is None else list(names)
    for name in chosen:
        if name not in spread:
            raise StudyError(f"the campaign has no '{name}'; {nearest(name, spread)}")
    columns = min(4, len(chosen) + 1)
    rows = -(-(len(chosen) + 1) // columns)
    figure = empty_figure(WIDTH, 2.15 * rows + 0.5)
    grid = figure.add_gridspec(rows, columns)
    panels = [figure.add_subplot(grid[k // columns, k % columns]) for k in range(len(chosen) + 1)]
    for panel, name in zip(panels, chosen, strict=False):
        style_panel(panel, titles.get(name, name), data[name].attrs.get("units", ""))
        _draw_spread(panel, np.asarray(data["time"].values), np.asarray(data[name].values))
        set_scale(panel, name, *limits.get(name, (None, None)))
        panel.set_xlabel(f"time [{TIME}]")
    _draw_objectives(panels[-1], campaign.objectives, titles.get("objective", "objective"))
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside upper left",
        ncols=4,
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
    )
    return figure


def _draw_spread(panel: Axes, time: np.ndarray, values: np.ndarray) -> None:
    low, least, middle, most, high = np.quantile(values, [0.0, 0.05, 0.5, 0.95, 1.0], axis=0)
    panel.fill_between(time, low, high, color=COLOURS[0], alpha=0.15, linewidth=0, label="all batches")
    panel.fill_between(time, least, most, color=COLOURS[0], alpha=0.3, linewidth=0, label="nine of ten")
    panel.plot(time, middle, color=COLOURS[0], linewidth=1.7, label="median")
    panel.margins(x=0.015)


def _draw_objectives(panel: Axes, objectives: np.ndarray, title: str) -> None:
    """Every batch a dot, in the order of its objective."""
    style_panel(panel, "objective", "")
    share = (np.arange(len(objectives)) + 0.5) / len(objectives)
    panel.plot(np.sort(objectives), 100.0 * share, color=COLOURS[1], marker="o", markersize=3.6, linewidth=1.0)
    panel.set_xlabel(plain(title))
    panel.set_ylabel("batches below [%]", fontsize=8.5, color=MUTED)
    panel.set_ylim(0.0, 100.0)

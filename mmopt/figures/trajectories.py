"""Figures of trajectories, feed profiles and closed loops: one function per figure.

Every function returns a new `Figure`, opens no window and changes no setting. The unit and kind of a quantity are read
from the trajectory, so quantities may have any names.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmopt.errors import StudyError, nearest
from mmopt.figures.shown import ShownLoop, ShownStep, ShownTrajectory
from mmopt.figures.style import (
    ALARM,
    COLOURS,
    INK,
    MUTED,
    WIDTH,
    add_legend,
    dots,
    empty_figure,
    line,
    plain,
    style_panel,
)
from mmopt.units import GROWTH_UNIT, RATE, TIME

Limits = Mapping[str, tuple[float | None, float | None]]
"""Lowest and highest allowed value by quantity, in its unit; None is no limit."""

_LEAST_SPANS: Final[Mapping[str, float]] = {RATE: 1.0e-2, GROWTH_UNIT: 1.0e-3, "%": 0.1}
"""Shortest vertical axis by unit: about a thousandth of the usual scale, below which variation is rounding."""

_MAINTENANCE_SCALE: Final = 3.0
"""Shortest vertical axis of a maintenance shortfall [mmol/gDW/h], the order of an ATP maintenance demand."""


def plot_trajectories(
    trajectories: Mapping[str, ShownTrajectory],
    names: Sequence[str] | None = None,
    limits: Limits | None = None,
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """Plot trajectories with one small panel per quantity and one colour per trajectory.

    Parameters
    ----------
    trajectories
        The trajectories by their name in the legend. A variable ``measured_<name>`` is plotted as dots in the panel of
        that quantity.
    names
        Quantities to plot; by default all states, controls, ``growth`` and whatever has a limit.
    limits
        ``(lowest, highest)`` allowed value by quantity, in its unit; None is no limit. A limit is a dashed line with the
        forbidden side shaded, or a note where it is far outside the scale. Limits of other quantities are ignored.
    titles
        Titles of panels that differ from the names.

    Returns
    -------
    Figure
        One axes per quantity, in the order of ``names``. Controls are steps: a value holds until the next time.

    Raises
    ------
    StudyError
        If there is nothing to plot, or no trajectory contains a name.

    Examples
    --------
    >>> from mmopt import Status
    >>> from mmopt.results import trajectory
    >>> run = trajectory(np.array([0.0, 1.0]), {"volume": ("state", "L", np.array([1.0, 2.0]))}, Status.SIMULATED)
    >>> [axes.get_title("left") for axes in plot_trajectories({"fed": run}).axes]
    ['volume']
    """
    figure, _ = _panels(trajectories, names, limits or {}, titles or {})
    return figure


def plot_feeds(
    trajectories: Mapping[str, ShownTrajectory],
    control: str = "feed",
    *,
    values: Mapping[str, float] | None = None,
    objective: str = "objective",
    unit: str = "",
) -> Figure:
    """Plot feed profiles as steps and, beside them, bars of the objective.

    Parameters
    ----------
    trajectories
        The trajectories by name.
    control
        The control to plot, in its own unit.
    values
        Objective by name of the trajectory, in ``unit``; without values there are no bars.
    objective
        Name of the objective.
    unit
        Unit of the objective.

    Returns
    -------
    Figure
        One axes with the profiles, and one with the bars if there are values.

    Raises
    ------
    StudyError
        If no trajectory contains the control.

    Examples
    --------
    >>> from mmopt import Status
    >>> from mmopt.results import trajectory
    >>> feed = {"feed": ("control", "L/h", np.zeros(2))}
    >>> batch = trajectory(np.array([0.0, 1.0]), feed, Status.SIMULATED)
    >>> figure = plot_feeds({"batch": batch}, values={"batch": 3.5}, objective="worth", unit="EUR")
    >>> [axes.get_title("left") for axes in figure.axes]
    ['feed', 'worth']
    """
    _chosen_names(trajectories, [control], {})
    values = {name: values[name] for name in trajectories if name in values} if values else {}
    figure = empty_figure(WIDTH, 3.6)
    grid = figure.add_gridspec(1, 2 if values else 1, width_ratios=[2.4, 1.0] if values else [1.0])
    panel = figure.add_subplot(grid[0], xlabel=f"time [{TIME}]")
    _draw_quantity(panel, control, trajectories, control)
    panel.set_ylim(bottom=min(0.0, panel.dataLim.y0))
    add_legend(figure, trajectories)
    if values:
        bars = style_panel(figure.add_subplot(grid[1]), objective, unit)
        colours = [line(index)["color"] for index, name in enumerate(trajectories) if name in values]
        columns = bars.bar(range(len(values)), list(values.values()), width=0.62, color=colours)
        bars.bar_label(columns, fmt="{:.3g}", padding=2, fontsize=8.5, color=INK)
        bars.set_xticks(range(len(values)), [plain(name).replace(" ", "\n") for name in values])
        bars.margins(y=0.12)
    return figure


def plot_closed_loop(
    closed_loop: ShownLoop,
    reference: ShownTrajectory | None = None,
    limits: Limits | None = None,
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """Plot a closed loop, its measurements, and the computing time of every controller step.

    Parameters
    ----------
    closed_loop
        The closed loop.
    reference
        A trajectory to compare with, such as that of a controller that knows the plant.
    limits, titles
        As for `plot_trajectories`.

    Returns
    -------
    Figure
        The panels of `plot_trajectories`; then bars of milliseconds with the fallbacks marked.

    Raises
    ------
    StudyError
        If there is nothing to plot.

    Examples
    --------
    >>> from mmopt.control.closed_loop import ClosedLoop, Step
    >>> from mmopt.control import Move
    >>> from mmopt import Status
    >>> from mmopt.results import trajectory
    >>> run = trajectory(np.array([0.0, 1.0]), {"level": ("state", "m", np.ones(2))}, Status.CLOSED_LOOP)
    >>> step = Step(0.0, Move({"pump": 0.1}, Status.OPTIMAL, 4, 0.03))
    >>> [axes.get_title("left") for axes in plot_closed_loop(ClosedLoop(run, (step,), 1.0, {})).axes]
    ['level', 'controller']
    """
    trajectories = {"closed loop": closed_loop.trajectory} | ({} if reference is None else {"reference": reference})
    figure, below = _panels(trajectories, None, limits or {}, titles or {}, row_below=bool(closed_loop.steps))
    if below is not None:
        _draw_steps(below, closed_loop.steps, closed_loop.trajectory.time)
    return figure


def _chosen_names(
    trajectories: Mapping[str, ShownTrajectory], names: Sequence[str] | None, limits: Limits
) -> list[str]:
    """Names to plot, in order; every one is in some trajectory."""
    runs = list(trajectories.values())
    known = dict.fromkeys(str(name) for run in runs for name in run.data.data_vars)
    if names is None:
        usual = [name for kind in ("state", "control") for run in runs for name in run.names(kind)]
        names = list(dict.fromkeys(usual + [name for name in known if name == "growth" or name in limits]))
    for name in names:
        if name not in known:
            raise StudyError(f"no trajectory contains '{name}'; {nearest(name, known)}")
    if not names:
        raise StudyError("there is nothing to plot; give a trajectory with a state or a control, or name a quantity")
    return list(names)


def _panels(
    trajectories: Mapping[str, ShownTrajectory],
    names: Sequence[str] | None,
    limits: Limits,
    titles: Mapping[str, str],
    row_below: bool = False,
) -> tuple[Figure, Axes | None]:
    """Lay out panels under one legend and, on request, an empty panel below them over the whole width."""
    chosen = _chosen_names(trajectories, names, limits)
    columns = 4 if len(chosen) in (4, 7, 8) else min(3, len(chosen))  # as few empty cells as possible
    rows = -(-len(chosen) // columns)
    figure = empty_figure(WIDTH if columns > 2 else WIDTH * 2 / 3, 2.15 * (rows + row_below) + 0.5)
    grid = figure.add_gridspec(rows + row_below, columns)
    for index, name in enumerate(chosen):
        panel = figure.add_subplot(grid[index // columns, index % columns])
        _draw_quantity(panel, name, trajectories, titles.get(name, name))
        set_scale(panel, name, *limits.get(name, (None, None)))
        if index // columns == rows - 1:
            panel.set_xlabel(f"time [{TIME}]")
    measured = next((k for k, run in enumerate(trajectories.values()) if _measured(run)), None)
    add_legend(figure, trajectories, {} if measured is None else {"measured": dots(measured)})
    return figure, figure.add_subplot(grid[rows, :]) if row_below else None


def _measured(run: ShownTrajectory) -> bool:
    return any(str(name).startswith("measured_") for name in run.data.data_vars)


def _draw_quantity(panel: Axes, name: str, trajectories: Mapping[str, ShownTrajectory], title: str) -> None:
    """Draw one quantity of every trajectory that contains it, and its measurements."""
    for index, run in enumerate(trajectories.values()):
        if name in run.data:
            attributes = run.data[name].attrs
            style_panel(panel, title, attributes.get("units", ""))
            values, drawstyle = run[name], "default"
            if attributes.get("kind") == "control":  # the value at the last time has no duration, so it is no jump
                values, drawstyle = np.append(values[:-1], values[-2:][:1]), "steps-post"
            panel.plot(run.time, values, drawstyle=drawstyle, **line(index))
        if f"measured_{name}" in run.data:
            panel.plot(run.time, run[f"measured_{name}"], **dots(index))
    panel.margins(x=0.015)


def set_scale(panel: Axes, name: str, lowest: float | None, highest: float | None) -> None:
    """Fit the scale of a panel to its data and to the limits that are near or violated; note the others.

    Parameters
    ----------
    panel
        A panel with its data.
    name
        Name of the quantity.
    lowest, highest
        Its limits; None is no limit.
    """
    bottom, top = panel.dataLim.intervaly if np.isfinite(panel.dataLim.intervaly).all() else (0.0, 1.0)
    marks = list(_axis_ends(name, panel.get_ylabel(), bottom, top))
    limits = [(limit, side) for limit, side in ((lowest, -1), (highest, 1)) if limit is not None and np.isfinite(limit)]
    reach = 1.5 * (marks[1] - marks[0])
    near = [(limit, side) for limit, side in limits if side * limit - max(side * bottom, side * top) < reach]
    marks += [limit for limit, _ in near]
    padding = 0.07 * (max(marks) - min(marks))
    panel.set_ylim(min(marks) - padding, max(marks) + padding)
    for limit, side in near:
        panel.axhline(limit, color=ALARM, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1.5)
        panel.axhspan(limit, panel.get_ylim()[side > 0], color=ALARM, alpha=0.08, linewidth=0, zorder=0.5)
    far = "  ".join(f"{'≤' if side > 0 else '≥'} {limit:g}" for limit, side in limits if (limit, side) not in near)
    panel.set_title(far, loc="right", fontsize=7.5, color=MUTED)


def _axis_ends(name: str, unit: str, bottom: float, top: float) -> tuple[float, float]:
    """Lower and upper end of an axis, so far apart that rounding and surrogate noise do not fill it."""
    least = _MAINTENANCE_SCALE if name == "shortfall" else _LEAST_SPANS.get(unit, 1.0e-6)
    span = max(top - bottom, 0.05 * max(abs(bottom), abs(top)), least)
    if span == top - bottom:
        return bottom, top
    if name == "shortfall":  # never negative, but for the surrogate's error
        return bottom, bottom + span
    return (bottom + top - span) / 2.0, (bottom + top + span) / 2.0


def _draw_steps(panel: Axes, steps: Sequence[ShownStep], time: np.ndarray) -> None:
    """Draw bars of milliseconds per controller step; fallbacks are hatched, marked and named."""
    style_panel(panel, "controller", "ms per step")
    starts = np.array([step.time for step in steps])
    milliseconds = 1e3 * np.array([step.move.seconds for step in steps])
    fallbacks = np.array([step.move.fallback for step in steps])
    width = 0.8 * min(np.diff(np.unique(np.append(starts, time[-1]))), default=1.0)
    for index, fallback in enumerate(dict.fromkeys(["", *sorted(fallbacks)])):
        own, colour = fallbacks == fallback, COLOURS[index % len(COLOURS)]
        title = plain(f"fallback: {fallback}" if fallback else "solved") + f" ({own.sum()})"
        hatch = "////" if fallback else ""
        at = starts[own]
        bars = panel.bar(at, milliseconds[own], width, align="edge", fc=colour, ec="w", lw=0, hatch=hatch, label=title)
        panel.bar_label(bars, ["▼" if fallback else ""] * len(at), color=colour, fontsize=8, padding=1)
    panel.axhline(np.median(milliseconds), color=INK, lw=1.0, ls=":", label=f"median {np.median(milliseconds):.3g} ms")
    panel.set_xlabel(f"time [{TIME}]")
    panel.set_xlim(min(time[0], starts[0]), max(time[-1], starts[-1] + width))
    panel.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=6, frameon=False, fontsize=8.5, labelcolor=INK)

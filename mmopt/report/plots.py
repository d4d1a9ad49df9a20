"""Figures of trajectories, closed loops, surrogates and searches for them: one function a figure.

Every function takes results and gives back a new `Figure` that belongs to nobody else: no window, no current figure, no
changed setting. Any names are welcome; what a quantity is and its unit are read from the trajectory itself.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from mmopt.errors import StudyError, nearest
from mmopt.io.files import write_whole
from mmopt.results import Trajectory
from mmopt.units import TIME

if TYPE_CHECKING:
    from mmopt.training.architecture_search import ArchitectureSearch, Trial

Limits = Mapping[str, tuple[float | None, float | None]]

# Okabe and Ito's palette, which people with any colour vision can tell apart; its yellow is too pale for a thin line.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1f2933")
# Lines that coincide stay visible: the first is broad and whole, those over it are thin and broken.
_DASHES: Final = ("-", (0, (4, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))
_INK, _MUTED, _RULE, _ALARM = "#1f2933", "#5f6b7a", "#d9dee4", "#b3261e"
_WIDTH: Final = 10.2  # inches: three panels side by side, readable on paper
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")
_FRONT: Final[dict[str, Any]] = {"color": _MUTED, "linewidth": 1.1, "zorder": 1.5}
_BEATEN: Final[dict[str, Any]] = {"alpha": 0.4, "markersize": 5.5, "zorder": 2.0}


def plot_trajectories(
    trajectories: Mapping[str, Trajectory], names: Sequence[str] | None = None, limits: Limits | None = None
) -> Figure:
    """Draw one small panel a quantity, one colour a trajectory.

    Parameters
    ----------
    trajectories
        What to compare, by its label in the legend. A variable ``measured_<name>`` becomes dots in the panel of a name.
    names
        Quantities to draw; by default all states, controls, ``growth`` and whatever has a limit.
    limits
        ``(lowest, highest)`` allowed value by quantity, in its unit; None is no limit. A dashed line with the forbidden
        side shaded, or a note where the limit is far off the scale. Limits of other quantities are passed over.

    Returns
    -------
    Figure
        One axes a quantity, in the order of ``names``. Controls are steps: a value holds until the next time.

    Raises
    ------
    StudyError
        If there is nothing to draw, or no trajectory holds a name.

    Examples
    --------
    >>> from mmopt.results import Status, trajectory
    >>> run = trajectory(np.array([0.0, 1.0]), {"volume": ("state", "L", np.array([1.0, 2.0]))}, Status.SIMULATED)
    >>> [axes.get_title("left") for axes in plot_trajectories({"fed": run}).axes]
    ['volume']
    """
    figure, _ = _panels(trajectories, names, limits or {})
    return figure


def plot_feeds(trajectories: Mapping[str, Trajectory], control: str = "feed") -> Figure:
    """Draw feed profiles as steps and, beside them, bars of the final ``biomass`` times ``volume`` [g].

    Parameters
    ----------
    trajectories
        What to compare, by label; the bars are those of trajectories that hold these two states.
    control
        The control to draw, in its own unit.

    Raises
    ------
    StudyError
        If no trajectory holds the control.

    Examples
    --------
    >>> from mmopt.results import Status, trajectory
    >>> feed = {"feed": ("control", "L/h", np.zeros(2))}
    >>> len(plot_feeds({"batch": trajectory(np.array([0.0, 1.0]), feed, Status.SIMULATED)}).axes)
    1
    """
    _chosen(trajectories, [control], {})
    final = {
        label: run.final("biomass") * run.final("volume")
        for label, run in trajectories.items()
        if {"biomass", "volume"} <= set(run.data)
    }
    figure = _figure(_WIDTH, 3.6)
    grid = figure.add_gridspec(1, 2 if final else 1, width_ratios=[2.4, 1.0] if final else [1.0])
    panel = figure.add_subplot(grid[0], xlabel=f"time [{TIME}]")
    _draw(panel, control, trajectories)
    panel.set_ylim(bottom=min(0.0, panel.dataLim.y0))
    _legend(figure, trajectories)
    if final:
        bars = _style(figure.add_subplot(grid[1]), "final biomass", "g")
        colours = [_line(place)["color"] for place, label in enumerate(trajectories) if label in final]
        drawn = bars.bar(range(len(final)), list(final.values()), width=0.62, color=colours)
        bars.bar_label(drawn, fmt="{:.3g}", padding=2, fontsize=8.5, color=_INK)
        bars.set_xticks(range(len(final)), [_plain(label).replace(" ", "\n") for label in final])
        bars.margins(y=0.12)
    return figure


def plot_closed_loop(
    closed_loop: Trajectory, reference: Trajectory | None = None, limits: Limits | None = None
) -> Figure:
    """Draw a closed loop, what was measured in it, and the time its controller took for each step.

    Parameters
    ----------
    closed_loop
        The plant under control; its steps are ``stats["steps"]``, dicts of ``time`` [h], ``seconds`` and ``fallback``
        (empty where none was needed).
    reference
        What it is compared with, such as the plan without a disturbance.
    limits
        As for `plot_trajectories`.

    Returns
    -------
    Figure
        The panels of `plot_trajectories`; then, if there are steps, bars of milliseconds with the fallbacks marked.

    Raises
    ------
    StudyError
        If there is nothing to draw.

    Examples
    --------
    >>> from mmopt.results import Status, trajectory
    >>> level = {"level": ("state", "m", np.ones(2))}
    >>> steps = [{"time": 0.0, "status": "OPTIMAL", "iterations": 4, "seconds": 0.03, "fallback": ""}]
    >>> run = trajectory(np.array([0.0, 1.0]), level, Status.CLOSED_LOOP, {"steps": steps})
    >>> [axes.get_title("left") for axes in plot_closed_loop(run).axes]
    ['level', 'controller']
    """
    trajectories = {"closed loop": closed_loop} | ({} if reference is None else {"reference": reference})
    steps: Sequence[Mapping[str, Any]] = closed_loop.stats.get("steps") or []
    figure, below = _panels(trajectories, None, limits or {}, row_below=bool(steps))
    if below is not None:
        _draw_steps(below, steps, closed_loop.time)
    return figure


def plot_parity(
    true: Mapping[str, np.ndarray], predicted: Mapping[str, np.ndarray], units: Mapping[str, str]
) -> Figure:
    r"""Draw a surrogate's predictions against the LP on points it was not trained on.

    Parameters
    ----------
    true, predicted
        Values by output, of equal shape; one square panel for each output of ``true``.
    units
        Unit by output.

    Raises
    ------
    StudyError
        If there is no output, or one is not predicted at the same points.

    Examples
    --------
    >>> growth = {"growth": np.array([0.1, 0.8])}
    >>> plot_parity(growth, growth, {"growth": "1/h"}).axes[0].texts[0].get_text()
    'worst error 0 1/h\n0 % of range'
    """
    if not true:
        raise StudyError("there is no output to compare; give at least one")
    for name, values in true.items():
        if not np.size(values) or np.shape(predicted.get(name, ())) != np.shape(values):
            raise StudyError(f"'{name}' is not predicted at the points where it is known; give both at equal points")
    columns = 2 if len(true) == 4 else min(3, len(true))
    rows = -(-len(true) // columns)
    figure = _figure(_WIDTH / 3 * columns, 3.6 * rows)
    for place, name in enumerate(true, start=1):
        unit = units.get(name, "")
        panel = _style(figure.add_subplot(rows, columns, place, xlabel=f"LP [{unit}]"), name, f"surrogate [{unit}]")
        _draw_parity(panel, np.ravel(true[name]), np.ravel(predicted[name]), unit)
    return figure


def plot_architecture_search(search: "ArchitectureSearch") -> Figure:
    """Draw what a search found: worst errors against sizes and, beside them, against costs if there are any.

    Parameters
    ----------
    search
        What `search` gave back.

    Returns
    -------
    Figure
        One point a trial, in the colour of its activation, full if it is on the search's front and pale if not; a line
        along the best of each panel, with their layers. How many trials failed is noted.

    Raises
    ------
    StudyError
        If there is no trial to draw.

    Examples
    --------
    >>> from mmopt.training.architecture_search import ArchitectureSearch, Trial
    >>> tried = [Trial(2, (4,), "tanh", worst=0.2, size=90), Trial(2, (9,), "tanh", worst=0.05, size=150)]
    >>> [text.get_text() for text in plot_architecture_search(Search(tuple(tried))).axes[0].texts]
    ['2-4', '2-9']
    """
    if not search.made:
        raise StudyError("there is no trial to draw; search again, with other ranges")
    sizes = [(trial, float(trial.size)) for trial in search.made]
    costs = [(trial, trial.cost) for trial in search.made if trial.cost is not None]
    figure = _figure(_WIDTH if costs else 0.6 * _WIDTH, 4.2)
    activations = sorted({trial.activation for trial in search.made})
    for place, (measure, trials) in enumerate({"size [weights and biases]": sizes, "cost": costs}.items()):
        if trials:
            panel = figure.add_subplot(1, 2 if costs else 1, place + 1, xlabel=measure)
            _style(panel, f"worst error against {measure.partition(' ')[0]}", "% of range")
            _draw_front(panel, trials, search.front(), activations)
    failed = len(search.trials) - len(search.made)
    if failed:
        figure.axes[0].set_title(f"{failed} failed", loc="right", fontsize=7.5, color=_ALARM)
    _search_legend(figure, activations, bool(costs))
    _thin_out(figure)
    return figure


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG at 150 dots an inch; the file appears whole or not at all."""
    return write_whole(path, lambda part: figure.savefig(part, format="png", dpi=150))


def _chosen(trajectories: Mapping[str, Trajectory], names: Sequence[str] | None, limits: Limits) -> list[str]:
    """Names to draw, in order, each held by some trajectory."""
    runs = list(trajectories.values())
    held = dict.fromkeys(str(name) for run in runs for name in run.data.data_vars)
    if names is None:
        usual = [name for kind in ("state", "control") for run in runs for name in run.names(kind)]
        names = list(dict.fromkeys(usual + [name for name in held if name == "growth" or name in limits]))
    for name in names:
        if name not in held:
            raise StudyError(f"no trajectory holds '{name}'; {nearest(name, held)}")
    if not names:
        raise StudyError("there is nothing to draw; give a trajectory with a state or a control, or name a quantity")
    return list(names)


def _panels(
    trajectories: Mapping[str, Trajectory], names: Sequence[str] | None, limits: Limits, row_below: bool = False
) -> tuple[Figure, Axes | None]:
    """Lay out panels under one legend and, if asked for, an empty panel as wide as all of them below."""
    chosen = _chosen(trajectories, names, limits)
    columns = 4 if len(chosen) in (4, 7, 8) else min(3, len(chosen))  # as few empty places as can be
    rows = -(-len(chosen) // columns)
    figure = _figure(_WIDTH if columns > 2 else _WIDTH * 2 / 3, 2.15 * (rows + row_below) + 0.5)
    grid = figure.add_gridspec(rows + row_below, columns)
    for place, name in enumerate(chosen):
        panel = figure.add_subplot(grid[place // columns, place % columns])
        _draw(panel, name, trajectories)
        _scale(panel, *limits.get(name, (None, None)))
        if place // columns == rows - 1:
            panel.set_xlabel(f"time [{TIME}]")
    _legend(figure, trajectories)
    return figure, figure.add_subplot(grid[rows, :]) if row_below else None


def _draw(panel: Axes, name: str, trajectories: Mapping[str, Trajectory]) -> None:
    """One quantity of every trajectory that holds it, and its measurements."""
    for place, run in enumerate(trajectories.values()):
        if name in run.data:
            facts = run.data[name].attrs
            _style(panel, name, facts.get("units", ""))
            values, drawstyle = run[name], "default"
            if facts.get("kind") == "control":  # the value at the last time holds for no time, so it draws no jump
                values, drawstyle = np.append(values[:-1], values[-2:][:1]), "steps-post"
            panel.plot(run.time, values, drawstyle=drawstyle, **_line(place))
        if f"measured_{name}" in run.data:
            panel.plot(run.time, run[f"measured_{name}"], **_dots(place))
    panel.margins(x=0.015)


def _scale(panel: Axes, lowest: float | None, highest: float | None) -> None:
    """Fit the scale to what is drawn and to the limits that are near or broken; note the others."""
    bottom, top = panel.dataLim.intervaly if np.isfinite(panel.dataLim.intervaly).all() else (0.0, 1.0)
    # Rounding errors are not zoomed in on: a value that hardly moves is drawn as a straight line.
    span = max(top - bottom, 0.05 * max(abs(bottom), abs(top)), 1e-6)
    limits = [(limit, side) for limit, side in ((lowest, -1), (highest, 1)) if limit is not None and np.isfinite(limit)]
    near = [(limit, side) for limit, side in limits if side * limit - max(side * bottom, side * top) < 1.5 * span]
    marks = [(bottom + top - span) / 2, (bottom + top + span) / 2, *(limit for limit, _ in near)]
    margin = 0.07 * (max(marks) - min(marks))
    panel.set_ylim(min(marks) - margin, max(marks) + margin)
    for limit, side in near:
        panel.axhline(limit, color=_ALARM, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1.5)
        panel.axhspan(limit, panel.get_ylim()[side > 0], color=_ALARM, alpha=0.08, linewidth=0, zorder=0.5)
    far = "  ".join(f"{'≤' if side > 0 else '≥'} {limit:g}" for limit, side in limits if (limit, side) not in near)
    panel.set_title(far, loc="right", fontsize=7.5, color=_MUTED)


def _draw_steps(panel: Axes, steps: Sequence[Mapping[str, Any]], time: np.ndarray) -> None:
    """Bars of milliseconds a controller step; fallbacks hatched, arrowed and named."""
    _style(panel, "controller", "ms a step")
    starts = np.array([step["time"] for step in steps], dtype=float)
    milliseconds = 1e3 * np.array([step["seconds"] for step in steps], dtype=float)
    fallbacks = np.array([str(step.get("fallback") or "") for step in steps])
    width = 0.8 * min(np.diff(np.unique(np.append(starts, time[-1]))), default=1.0)
    for place, fallback in enumerate(dict.fromkeys(["", *sorted(fallbacks)])):
        own, colour = fallbacks == fallback, _COLOURS[place % len(_COLOURS)]
        label = _plain(f"fallback: {fallback}" if fallback else "solved") + f" ({own.sum()})"
        hatch = "////" if fallback else ""
        at, heights = starts[own], milliseconds[own]
        bars = panel.bar(at, heights, width, align="edge", fc=colour, ec="w", lw=0, hatch=hatch, label=label)
        panel.bar_label(bars, ["▼" if fallback else ""] * len(at), color=colour, fontsize=8, padding=1)
    panel.axhline(np.median(milliseconds), color=_INK, lw=1.0, ls=":", label=f"median {np.median(milliseconds):.3g} ms")
    panel.set_xlabel(f"time [{TIME}]")
    panel.set_xlim(min(time[0], starts[0]), max(time[-1], starts[-1] + width))
    panel.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=6, frameon=False, fontsize=8.5, labelcolor=_INK)


def _draw_parity(panel: Axes, true: np.ndarray, predicted: np.ndarray, unit: str) -> None:
    """Points about the diagonal, the worst one ringed."""
    error = np.abs(predicted - true)
    worst, share = int(np.argmax(error)), 100.0 * error.max() / (np.ptp(true) or 1.0)
    panel.plot(true, predicted, "o", color=_COLOURS[0], markersize=3, alpha=0.45, markeredgewidth=0)
    panel.plot(
        true[worst], predicted[worst], "o", color=_COLOURS[1], markersize=9, fillstyle="none", markeredgewidth=1.6
    )
    panel.axline((true[worst], true[worst]), slope=1.0, color=_MUTED, linewidth=0.8, zorder=1.5)
    ends = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    margin = 0.05 * (ends[1] - ends[0]) or 1.0
    panel.set(xlim=(ends[0] - margin, ends[1] + margin), ylim=(ends[0] - margin, ends[1] + margin), box_aspect=1.0)
    note = f"worst error {error[worst]:.2g} {unit}\n{share:.2g} % of range"
    panel.text(0.04, 0.96, note, transform=panel.transAxes, va="top", fontsize=8.5, color=_INK)


def _draw_front(
    panel: Axes, trials: Sequence[tuple["Trial", float]], front: Sequence["Trial"], activations: Sequence[str]
) -> None:
    """Worst errors [%] against a measure of each trial; the steps below which none lies, with their layers."""
    best: list[tuple[float, float, str]] = []
    for trial, measure in sorted(trials, key=lambda each: (each[1], each[0].worst)):
        look = _marker(activations.index(trial.activation))
        panel.plot(measure, 100.0 * trial.worst, **(look if trial in front else look | _BEATEN))
        if not best or 100.0 * trial.worst < best[-1][1]:
            best.append((measure, 100.0 * trial.worst, trial.layers))
    _log_axis(panel, "y", [100.0 * trial.worst for trial, _ in trials])
    _log_axis(panel, "x", [measure for _, measure in trials])
    panel.margins(x=0.12, y=0.1)
    (left, right), (bottom, top) = panel.set_xlim(panel.get_xlim()), panel.set_ylim(panel.get_ylim())
    across = [left, best[0][0], *(measure for measure, _, _ in best), right]
    down = [top, top, *(error for _, error, _ in best), best[-1][1]]
    panel.plot(across[1:], down[1:], drawstyle="steps-post", **_FRONT)
    panel.fill_between(across, down, bottom, step="post", color=_RULE, alpha=0.35, linewidth=0, zorder=0.5)
    for measure, error, layers in best:  # left of a point of the front, and below it, no other can lie
        text = panel.annotate(layers, (measure, error), (-4, -4), textcoords="offset points", ha="right", va="top")
        text.set(fontsize=8, color=_INK, zorder=4.0)


def _log_axis(panel: Axes, name: str, values: Sequence[float]) -> None:
    """Make a scale logarithmic, if all values allow it, with few and plain numbers on it."""
    if min(values) <= 0.0:
        return
    panel.set(**{f"{name}scale": "log"})
    axis = panel.xaxis if name == "x" else panel.yaxis
    wide = max(values) > 8.0 * min(values)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if wide else MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _search_legend(figure: Figure, activations: Sequence[str], priced: bool) -> None:
    """The activations, and what full and pale points and the line mean, above all panels."""
    entries = [Line2D([], [], label=_plain(name), **_marker(place)) for place, name in enumerate(activations)]
    entries.append(Line2D([], [], label="beaten", **(_marker(0) | _BEATEN | {"color": _MUTED})))
    entries.append(Line2D([], [], label=f"best for its size{' or cost' * priced}", **_FRONT))
    figure.legend(handles=entries, loc="outside upper left", ncols=6, frameon=False, fontsize=9, labelcolor=_INK)


def _thin_out(figure: Figure) -> None:
    """Hide texts in panels that would lie upon one before them."""
    figure.draw_without_rendering()
    for panel in figure.axes:
        boxes: list[Bbox] = []
        for text in panel.texts:
            box = text.get_window_extent()
            text.set_visible(not any(box.overlaps(other) for other in boxes))
            boxes += [box] * text.get_visible()


def _marker(place: int) -> dict[str, Any]:
    """Give the look of points of the kind that comes at this place."""
    colour, shape = _COLOURS[place % len(_COLOURS)], _MARKERS[place % len(_MARKERS)]
    whole = {"linestyle": "", "markersize": 7.5, "markeredgecolor": "white", "markeredgewidth": 0.8, "zorder": 3.0}
    return {"color": colour, "marker": shape, **whole}


def _figure(width: float, height: float) -> Figure:
    """Make an empty figure of this size [inch] that leaves room for its own labels."""
    layout = ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.08, compress=True)
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def _style(panel: Axes, title: str, unit: str) -> Axes:
    """Make a panel quiet: its name above, its unit on the axis, faint lines across."""
    panel.set_title(_plain(title), loc="left", fontsize=9.5, fontweight="bold", color=_INK)
    panel.set_ylabel(_plain(unit), fontsize=8.5, color=_MUTED)
    panel.xaxis.label.set(fontsize=8.5, color=_MUTED)
    panel.tick_params(labelsize=8, colors=_MUTED, color=_RULE)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(_RULE)
    panel.grid(axis="y", color=_RULE, linewidth=0.6, alpha=0.7)
    panel.set_axisbelow(True)
    return panel


def _line(place: int) -> dict[str, Any]:
    """Give the look of the line that comes at this place."""
    dashes = _DASHES[place % len(_DASHES)]
    return {"color": _COLOURS[place % len(_COLOURS)], "linestyle": dashes, "linewidth": 1.7 if place else 2.6}


def _dots(place: int) -> dict[str, Any]:
    """Give the look of measurements on the line that comes at this place."""
    colour = _COLOURS[place % len(_COLOURS)]
    return {"linestyle": "", "marker": "o", "markersize": 3.6, "color": "white", "markeredgecolor": colour, "zorder": 3}


def _legend(figure: Figure, trajectories: Mapping[str, Trajectory]) -> None:
    """One legend for all panels, above them."""
    entries = {_plain(label): Line2D([], [], **_line(place)) for place, label in enumerate(trajectories)}
    for place, run in enumerate(trajectories.values()):
        if any(str(name).startswith("measured_") for name in run.data.data_vars):
            entries["measured"] = Line2D([], [], **_dots(place))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside upper left",
        ncols=4,
        frameon=False,
        fontsize=9.5,
        labelcolor=_INK,
        handlelength=2.6,
    )


def _plain(text: str) -> str:
    """Text that is shown as it stands: a dollar sign does not begin a formula."""
    return text.replace("$", r"\$")

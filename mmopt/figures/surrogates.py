"""Figures of surrogates: predictions against the linear program, and the trials of an architecture search."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from mmopt.errors import StudyError
from mmopt.figures.shown import ShownSearch, ShownTrial
from mmopt.figures.style import ALARM, COLOURS, INK, MUTED, RULE, WIDTH, empty_figure, marker, plain, style_panel

_BEST: Final[dict[str, Any]] = {"color": MUTED, "linewidth": 1.1, "zorder": 1.5}
_DOMINATED: Final[dict[str, Any]] = {"alpha": 0.4, "markersize": 5.5, "zorder": 2.0}


def plot_parity(
    true: Mapping[str, np.ndarray],
    predicted: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    titles: Mapping[str, str] | None = None,
) -> Figure:
    r"""Plot predictions of a surrogate against the linear program at points that were not used for training.

    Parameters
    ----------
    true, predicted
        Values by output, of equal shape; one square panel for every output of ``true``.
    units
        Unit by output.
    titles
        Titles of panels that differ from the names of outputs.

    Returns
    -------
    Figure
        One axes per output; the worst error is ringed and written in it.

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
    figure = empty_figure(WIDTH / 3 * columns, 3.6 * rows)
    for number, name in enumerate(true, start=1):
        unit = units.get(name, "")
        panel = figure.add_subplot(rows, columns, number, xlabel=f"linear program [{unit}]")
        style_panel(panel, (titles or {}).get(name, name), f"surrogate [{unit}]")
        _draw_parity(panel, np.ravel(true[name]), np.ravel(predicted[name]), unit)
    return figure


def plot_architecture_search(search: ShownSearch) -> Figure:
    """Plot the trials of a search: worst errors against sizes and, beside them, against costs if there are any.

    Parameters
    ----------
    search
        The result of `search_architectures`.

    Returns
    -------
    Figure
        One point per trial, in the colour of its activation, pale if another trial dominates it; a line along the best of
        every panel, with their layers. The number of failed trials is noted.

    Raises
    ------
    StudyError
        If there is no trial to plot.

    Examples
    --------
    >>> from mmopt.training.architecture_trials import ArchitectureSearch, Trial
    >>> trials = [Trial(2, (4,), "tanh", worst=0.2, size=90), Trial(2, (9,), "tanh", worst=0.05, size=150)]
    >>> [text.get_text() for text in plot_architecture_search(ArchitectureSearch(tuple(trials))).axes[0].texts]
    ['2-4', '2-9']
    """
    trained = search.successes
    if not trained:
        raise StudyError("there is no trial to plot; search again, with other ranges")
    sizes = [(trial, float(trial.size)) for trial in trained]
    costs = [(trial, trial.cost) for trial in trained if trial.cost is not None]
    figure = empty_figure(WIDTH if costs else 0.6 * WIDTH, 4.2)
    activations = sorted({trial.activation for trial in trained})
    for index, (measure, trials) in enumerate({"size [weights and biases]": sizes, "cost": costs}.items()):
        if trials:
            panel = figure.add_subplot(1, 2 if costs else 1, index + 1, xlabel=measure)
            style_panel(panel, f"worst error against {measure.partition(' ')[0]}", "% of range")
            _draw_trials(panel, trials, search.pareto_front(), activations)
    failed = len(search.trials) - len(trained)
    if failed:
        figure.axes[0].set_title(f"{failed} failed", loc="right", fontsize=7.5, color=ALARM)
    _add_search_legend(figure, activations, bool(costs))
    _hide_overlapping_texts(figure)
    return figure


def _draw_parity(panel: Axes, true: np.ndarray, predicted: np.ndarray, unit: str) -> None:
    """Draw points around the diagonal, the worst one ringed."""
    error = np.abs(predicted - true)
    worst, percent = int(np.argmax(error)), 100.0 * error.max() / (np.ptp(true) or 1.0)
    panel.plot(true, predicted, "o", color=COLOURS[0], markersize=3, alpha=0.45, markeredgewidth=0)
    panel.plot(
        true[worst], predicted[worst], "o", color=COLOURS[1], markersize=9, fillstyle="none", markeredgewidth=1.6
    )
    panel.axline((true[worst], true[worst]), slope=1.0, color=MUTED, linewidth=0.8, zorder=1.5)
    ends = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    padding = 0.05 * (ends[1] - ends[0]) or 1.0
    panel.set(xlim=(ends[0] - padding, ends[1] + padding), ylim=(ends[0] - padding, ends[1] + padding), box_aspect=1.0)
    note = f"worst error {error[worst]:.2g} {unit}\n{percent:.2g} % of range"
    panel.text(0.04, 0.96, note, transform=panel.transAxes, va="top", fontsize=8.5, color=INK)


def _draw_trials(
    panel: Axes, trials: Sequence[tuple[ShownTrial, float]], best: Sequence[ShownTrial], activations: Sequence[str]
) -> None:
    """Draw worst errors [%] against a measure of every trial; a step line through the best, with their layers."""
    steps: list[tuple[float, float, str]] = []
    for trial, measure in sorted(trials, key=lambda pair: (pair[1], pair[0].worst)):
        properties = marker(activations.index(trial.activation))
        panel.plot(measure, 100.0 * trial.worst, **(properties if trial in best else properties | _DOMINATED))
        if not steps or 100.0 * trial.worst < steps[-1][1]:
            steps.append((measure, 100.0 * trial.worst, trial.layers))
    _set_log_axis(panel, "y", [100.0 * trial.worst for trial, _ in trials])
    _set_log_axis(panel, "x", [measure for _, measure in trials])
    panel.margins(x=0.12, y=0.1)
    (left, right), (bottom, top) = panel.set_xlim(panel.get_xlim()), panel.set_ylim(panel.get_ylim())
    across = [left, steps[0][0], *(measure for measure, _, _ in steps), right]
    down = [top, top, *(error for _, error, _ in steps), steps[-1][1]]
    panel.plot(across[1:], down[1:], drawstyle="steps-post", **_BEST)
    panel.fill_between(across, down, bottom, step="post", color=RULE, alpha=0.35, linewidth=0, zorder=0.5)
    for measure, error, layers in steps:  # no point can lie left of a best one and below it
        text = panel.annotate(layers, (measure, error), (-4, -4), textcoords="offset points", ha="right", va="top")
        text.set(fontsize=8, color=INK, zorder=4.0)


def _set_log_axis(panel: Axes, name: str, values: Sequence[float]) -> None:
    """Set a logarithmic scale, if all values allow it, with few and plain numbers on it."""
    if min(values) <= 0.0:
        return
    panel.set(**{f"{name}scale": "log"})
    axis = panel.xaxis if name == "x" else panel.yaxis
    wide = max(values) > 8.0 * min(values)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if wide else MaxNLocator(5))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _add_search_legend(figure: Figure, activations: Sequence[str], priced: bool) -> None:
    """Draw the legend above all panels: the activations, dominated trials, and the line through the best."""
    entries = [Line2D([], [], label=plain(name), **marker(index)) for index, name in enumerate(activations)]
    entries.append(Line2D([], [], label="dominated", **(marker(0) | _DOMINATED | {"color": MUTED})))
    entries.append(Line2D([], [], label=f"best for its size{' or cost' * priced}", **_BEST))
    figure.legend(handles=entries, loc="outside upper left", ncols=6, frameon=False, fontsize=9, labelcolor=INK)


def _hide_overlapping_texts(figure: Figure) -> None:
    """Hide texts in panels that would overlap an earlier one."""
    figure.draw_without_rendering()
    for panel in figure.axes:
        boxes: list[Bbox] = []
        for text in panel.texts:
            box = text.get_window_extent()
            text.set_visible(not any(box.overlaps(other) for other in boxes))
            boxes += [box] * text.get_visible()

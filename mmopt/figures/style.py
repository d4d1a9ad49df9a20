"""The common look of all figures: colours, lines, panels and legends."""

from collections.abc import Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from mmopt.io.files import write_whole

# The palette of Okabe and Ito, distinguishable with any colour vision; its yellow is too pale for a thin line.
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1f2933")
INK, MUTED, RULE, ALARM = "#1f2933", "#5f6b7a", "#d9dee4", "#b3261e"
WIDTH: Final = 10.2  # inches: three panels side by side, readable on paper

# Lines that coincide stay visible: the first is broad and solid, those above it are thin and dashed.
_DASHES: Final = ("-", (0, (4, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))
_MARKERS: Final = ("o", "s", "^", "D", "v", "P")


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG at 150 dots per inch; the file appears complete or not at all.

    Parameters
    ----------
    figure
        The figure.
    path
        The file to write; missing folders are created.

    Returns
    -------
    Path
        The file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(Figure(figsize=(1.0, 1.0)), Path(folder, "empty.png")).name
    'empty.png'
    """
    return write_whole(path, lambda temporary: figure.savefig(temporary, format="png", dpi=150))


class _ShownFigure(Figure):
    """A figure that a notebook shows, whether or not pyplot was imported."""

    def _repr_png_(self) -> bytes:
        stream = BytesIO()
        self.savefig(stream, format="png", dpi=96)
        return stream.getvalue()


def empty_figure(width: float, height: float) -> Figure:
    """Return an empty figure whose layout leaves room for titles and legends.

    Parameters
    ----------
    width, height
        Size [inch].

    Returns
    -------
    Figure
    """
    layout = ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.08, compress=True)
    return _ShownFigure(figsize=(width, height), layout=layout, facecolor="white")


def style_panel(panel: Axes, title: str, unit: str) -> Axes:
    """Set title and unit of a panel, remove its frame, and draw faint horizontal lines.

    Parameters
    ----------
    panel
        The panel.
    title
        Its title.
    unit
        Unit of its vertical axis.

    Returns
    -------
    Axes
        The panel.
    """
    panel.set_title(plain(title), loc="left", fontsize=9.5, fontweight="bold", color=INK)
    panel.set_ylabel(plain(unit), fontsize=8.5, color=MUTED)
    panel.xaxis.label.set(fontsize=8.5, color=MUTED)
    panel.tick_params(labelsize=8, colors=MUTED, color=RULE)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(RULE)
    panel.grid(axis="y", color=RULE, linewidth=0.6, alpha=0.7)
    panel.set_axisbelow(True)
    return panel


def line(index: int) -> dict[str, Any]:
    """Return the look of a line.

    Parameters
    ----------
    index
        Position of the line in its figure.

    Returns
    -------
    dict
        Properties of a `Line2D`.
    """
    dashes = _DASHES[index % len(_DASHES)]
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": dashes, "linewidth": 1.7 if index else 2.6}


def dots(index: int) -> dict[str, Any]:
    """Return the look of measurements.

    Parameters
    ----------
    index
        Position of the line that they belong to.

    Returns
    -------
    dict
        Properties of a `Line2D`.
    """
    colour = COLOURS[index % len(COLOURS)]
    return {"linestyle": "", "marker": "o", "markersize": 3.6, "color": "white", "markeredgecolor": colour, "zorder": 3}


def marker(index: int) -> dict[str, Any]:
    """Return the look of points.

    Parameters
    ----------
    index
        Position of their kind in the figure.

    Returns
    -------
    dict
        Properties of a `Line2D`.
    """
    colour, shape = COLOURS[index % len(COLOURS)], _MARKERS[index % len(_MARKERS)]
    common = {"linestyle": "", "markersize": 7.5, "markeredgecolor": "white", "markeredgewidth": 0.8, "zorder": 3.0}
    return {"color": colour, "marker": shape, **common}


def add_legend(figure: Figure, names: Iterable[str], more: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Draw one legend above all panels.

    Parameters
    ----------
    figure
        The figure.
    names
        Names of lines, in order.
    more
        Further entries: properties of a `Line2D` by name.
    """
    entries = {plain(name): Line2D([], [], **line(index)) for index, name in enumerate(names)}
    entries |= {name: Line2D([], [], **properties) for name, properties in (more or {}).items()}
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside upper left",
        ncols=4,
        frameon=False,
        fontsize=9.5,
        labelcolor=INK,
        handlelength=2.6,
    )


def plain(text: str) -> str:
    """Escape dollar signs, which would begin a formula.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        Text that Matplotlib shows unchanged.
    """
    return text.replace("$", r"\$")

"""Figures show what the trajectory holds: every quantity, its unit, its limits, and what the controller did."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mmopt import Status
from mmopt.control import ClosedLoop, Move
from mmopt.control.closed_loop import Step
from mmopt.errors import StudyError
from mmopt.figures import plot_closed_loop, plot_feeds, plot_parity, plot_trajectories, save_figure
from mmopt.figures.style import empty_figure
from mmopt.results import Trajectory, trajectory

STEPS = tuple(
    Step(time, Move({"feed": 0.01}, status, iterations, seconds, fallback))
    for time, status, iterations, seconds, fallback in [
        (0.0, Status.OPTIMAL, 14, 0.250, ""),
        (5.0, Status.OPTIMAL, 4, 0.030, ""),
        (10.0, Status.ITERATION_LIMIT, 50, 0.090, "shifted plan"),
        (15.0, Status.OPTIMAL, 5, 0.040, ""),
    ]
)


def fed_batch(growth: float = 0.2, measured: bool = False) -> Trajectory:
    """A glucose-limited fed-batch of 20 h: feed rising in steps of an hour, dissolved oxygen falling as cells grow."""
    time = np.linspace(0.0, 20.0, 81)
    feed = 0.001 * np.exp(growth * np.floor(time))
    volume = 1.0 + np.concatenate([[0.0], np.cumsum(feed[:-1] * np.diff(time))])
    biomass = 0.5 * np.exp(growth * time)
    values = {
        "volume": ("state", "L", volume),
        "biomass": ("state", "g/L", biomass),
        "glucose": ("state", "g/L", 5.0 * np.exp(-time)),
        "feed": ("control", "L/h", feed),
        "growth": ("rate", "1/h", np.full_like(time, growth)),
        "EX_o2_e": ("rate", "mmol/gDW/h", -30.0 * growth - 0.1 * time),
        "oxygen_saturation": ("derived", "%", 100.0 - 2.5 * biomass),
    }
    if measured:
        sampled = np.where(np.arange(81) % 20 == 0, biomass + 0.1, np.nan)
        values["measured_biomass"] = ("measured", "g/L", sampled)
    return trajectory(time, values, Status.SIMULATED)


def controlled(run: Trajectory, steps: tuple[Step, ...] = ()) -> ClosedLoop:
    """A trajectory under control."""
    return ClosedLoop(run, steps, 12.0, {})


def tank(levels: list[float], **more: list[float]) -> Trajectory:
    """A system of one state, and whatever controls are named."""
    controls = {name: ("control", "L/h", np.array(values)) for name, values in more.items()}
    values = {"level": ("state", "m", np.array(levels)), **controls}
    return trajectory(np.arange(float(len(levels))), values, Status.SIMULATED)


def titles(figure: Figure) -> list[str]:
    return [axes.get_title("left") for axes in figure.axes]


def panel(figure: Figure, name: str) -> Axes:
    return figure.axes[titles(figure).index(name)]


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def shaded(axes: Axes) -> list[tuple[float, float]]:
    return [(patch.get_y(), patch.get_y() + patch.get_height()) for patch in axes.patches]


def limit_lines(axes: Axes) -> list[float]:
    return [float(line.get_ydata()[0]) for line in axes.lines if line.get_transform() != axes.transData]


def test_trajectories_have_one_panel_for_each_state_control_and_growth() -> None:
    assert titles(plot_trajectories({"run": fed_batch()})) == ["volume", "biomass", "glucose", "feed", "growth"]


def test_a_limited_quantity_gets_a_panel_too() -> None:
    figure = plot_trajectories({"run": fed_batch()}, limits={"oxygen_saturation": (20.0, None)})
    assert titles(figure)[-1] == "oxygen_saturation"


def test_panels_follow_the_names_asked_for() -> None:
    assert titles(plot_trajectories({"run": fed_batch()}, ["EX_o2_e", "volume"])) == ["EX_o2_e", "volume"]


def test_a_system_of_one_state_is_drawn() -> None:
    assert titles(plot_trajectories({"tank": tank([1.0, 2.0])})) == ["level"]


def test_quantities_of_all_trajectories_are_drawn_once() -> None:
    figure = plot_trajectories({"a": tank([1.0, 2.0]), "b": tank([1.0, 2.0], pump=[0.0, 1.0])})
    assert titles(figure) == ["level", "pump"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 1]


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(StudyError, match="no trajectory contains 'glucos'; nearest known: glucose"):
        plot_trajectories({"run": fed_batch()}, ["glucos"])


def test_nothing_to_draw_is_an_error() -> None:
    with pytest.raises(StudyError, match="nothing to plot"):
        plot_trajectories({})


def test_a_control_is_drawn_as_steps_and_a_state_is_not() -> None:
    figure = plot_trajectories({"run": fed_batch()})
    assert panel(figure, "feed").lines[0].get_drawstyle() == "steps-post"
    assert panel(figure, "biomass").lines[0].get_drawstyle() == "default"


def test_the_last_value_of_a_control_draws_no_jump() -> None:
    figure = plot_trajectories({"run": tank([1.0, 1.0, 1.0], pump=[1.0, 2.0, 9.0])})
    assert list(panel(figure, "pump").lines[0].get_ydata()) == [1.0, 2.0, 2.0]


def test_a_trajectory_has_one_colour_in_all_panels_and_the_legend() -> None:
    figure = plot_trajectories({"plan": fed_batch(), "plant": fed_batch(0.19)})
    drawn = [[to_hex(line.get_color()) for line in axes.lines] for axes in figure.axes]
    legend = [to_hex(line.get_color()) for line in figure.legends[0].get_lines()]
    assert labels(figure) == ["plan", "plant"]
    assert drawn == [legend] * len(figure.axes)
    assert len(set(legend)) == 2


def test_units_stand_on_the_axes() -> None:
    figure = plot_trajectories({"run": fed_batch()}, ["volume", "EX_o2_e"])
    assert [axes.get_ylabel() for axes in figure.axes] == ["L", "mmol/gDW/h"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["time [h]", "time [h]"]


def test_an_upper_limit_shades_what_lies_above_it() -> None:
    axes = panel(plot_trajectories({"run": fed_batch()}, limits={"biomass": (None, 30.0)}), "biomass")
    assert limit_lines(axes) == [30.0]
    assert shaded(axes) == [pytest.approx((30.0, axes.get_ylim()[1]))]


def test_a_lower_limit_shades_what_lies_below_it() -> None:
    axes = panel(
        plot_trajectories({"run": fed_batch()}, limits={"oxygen_saturation": (20.0, None)}), "oxygen_saturation"
    )
    assert limit_lines(axes) == [20.0]
    assert sorted(shaded(axes)[0]) == pytest.approx([axes.get_ylim()[0], 20.0])


def test_a_broken_limit_is_drawn_however_far_it_is_broken() -> None:
    axes = panel(plot_trajectories({"run": fed_batch()}, limits={"biomass": (None, -500.0)}), "biomass")
    assert limit_lines(axes) == [-500.0]
    assert axes.get_ylim()[0] < -500.0


def test_a_distant_limit_is_noted_and_leaves_the_scale_alone() -> None:
    axes = panel(plot_trajectories({"run": fed_batch()}, limits={"volume": (None, 100.0)}), "volume")
    assert axes.get_title("right") == "≤ 100"
    assert limit_lines(axes) == []
    assert axes.get_ylim()[1] < 2.0


def test_an_infinite_limit_is_no_limit() -> None:
    axes = panel(plot_trajectories({"run": fed_batch()}, limits={"volume": (-np.inf, np.inf)}), "volume")
    assert axes.get_title("right") == ""
    assert limit_lines(axes) == []


def test_rounding_errors_are_not_zoomed_in_on() -> None:
    axes = plot_trajectories({"run": tank([1.0, 1.0 + 1e-12, 1.0])}).axes[0]
    assert np.ptp(axes.get_ylim()) > 0.01


def rates(name: str, unit: str, values: list[float]) -> Trajectory:
    """A trajectory of one rate of the cell."""
    time = np.arange(float(len(values)))
    return trajectory(time, {name: ("rate", unit, np.array(values))}, Status.SIMULATED)


@pytest.mark.parametrize(
    ("name", "unit", "size", "least"),
    [
        ("shortfall", "mmol/gDW/h", 0.04, 3.0),
        ("EX_ac_e", "mmol/gDW/h", 1e-9, 0.01),
        ("growth", "1/h", 1e-9, 0.001),
        ("oxygen_saturation", "%", 1e-9, 0.1),
    ],
)
def test_noise_does_not_fill_its_axis(name: str, unit: str, size: float, least: float) -> None:
    axes = plot_trajectories({"run": rates(name, unit, [0.0, size, -size])}, [name]).axes[0]
    assert np.ptp(axes.get_ylim()) >= least


def test_a_real_shortfall_is_drawn_from_its_data() -> None:
    axes = plot_trajectories({"run": rates("shortfall", "mmol/gDW/h", [0.0, 8.0])}, ["shortfall"]).axes[0]
    assert 8.0 < axes.get_ylim()[1] < 9.0


def test_a_panel_can_have_a_readable_title() -> None:
    figure = plot_trajectories({"run": fed_batch()}, ["EX_o2_e"], titles={"EX_o2_e": "oxygen (EX_o2_e)"})
    assert titles(figure) == ["oxygen (EX_o2_e)"]


def test_a_quantity_without_a_number_leaves_its_panel_empty(tmp_path) -> None:
    figure = plot_trajectories({"run": tank([np.nan, np.nan])})
    assert save_figure(figure, tmp_path / "empty.png").exists()


def test_a_dollar_sign_is_text_and_not_a_formula(tmp_path) -> None:
    figure = plot_trajectories({r"costs $\none$": tank([1.0, 2.0], **{"$x$ and $y_": [0.0, 1.0]})})
    assert save_figure(figure, tmp_path / "dollars.png").exists()


def test_feeds_are_steps_beside_bars_of_the_objective() -> None:
    runs = {"optimum": fed_batch(), "best constant": fed_batch(0.18)}
    figure = plot_feeds(runs, values={"optimum": 12.0, "best constant": 9.5}, objective="worth", unit="EUR")
    feeds, bars = figure.axes
    assert [line.get_drawstyle() for line in feeds.lines] == ["steps-post"] * 2
    assert [bar.get_height() for bar in bars.patches] == [12.0, 9.5]
    assert [to_hex(bar.get_facecolor()) for bar in bars.patches] == [to_hex(line.get_color()) for line in feeds.lines]
    assert (bars.get_title("left"), bars.get_ylabel()) == ("worth", "EUR")


def test_a_bar_has_the_colour_of_its_feed_where_another_has_no_value() -> None:
    figure = plot_feeds({"a": fed_batch(), "b": fed_batch(0.18)}, values={"b": 9.5})
    feeds, bars = figure.axes
    assert to_hex(bars.patches[0].get_facecolor()) == to_hex(feeds.lines[1].get_color())


def test_feeds_without_values_have_no_bars() -> None:
    assert titles(plot_feeds({"tank": tank([1.0, 2.0], pump=[1.0, 2.0])}, control="pump")) == ["pump"]


def test_a_feed_that_no_trajectory_holds_is_an_error() -> None:
    with pytest.raises(StudyError, match="no trajectory contains 'feed'"):
        plot_feeds({"tank": tank([1.0, 2.0])})


def test_measurements_are_dots_in_the_panel_of_their_state() -> None:
    figure = plot_closed_loop(controlled(fed_batch(measured=True)))
    dots = panel(figure, "biomass").lines[1]
    assert "measured_biomass" not in titles(figure)
    assert (dots.get_linestyle(), dots.get_marker()) == ("None", "o")
    assert np.isfinite(dots.get_ydata()).sum() == 5
    assert labels(figure) == ["closed loop", "measured"]


def test_controller_steps_are_bars_of_milliseconds_at_their_times() -> None:
    bars = panel(plot_closed_loop(controlled(fed_batch(), STEPS)), "controller").patches
    drawn = sorted((bar.get_x(), bar.get_height()) for bar in bars)
    assert drawn == [pytest.approx(pair) for pair in [(0.0, 250.0), (5.0, 30.0), (10.0, 90.0), (15.0, 40.0)]]


def test_fallback_steps_are_hatched_and_named() -> None:
    axes = panel(plot_closed_loop(controlled(fed_batch(), STEPS)), "controller")
    assert [bar.get_x() for bar in axes.patches if bar.get_hatch()] == [10.0]
    assert "fallback: shifted plan (1)" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_a_closed_loop_without_steps_has_no_controller_panel() -> None:
    assert "controller" not in titles(plot_closed_loop(controlled(fed_batch())))


def test_the_reference_is_drawn_beside_the_closed_loop() -> None:
    figure = plot_closed_loop(controlled(fed_batch(), STEPS), reference=fed_batch(0.21))
    assert labels(figure) == ["closed loop", "reference"]
    assert len(panel(figure, "biomass").lines) == 2


def test_parity_writes_and_rings_the_worst_error() -> None:
    true = np.array([0.0, 0.4, 0.8])
    axes = plot_parity({"growth": true}, {"growth": np.array([0.0, 0.36, 0.81])}, {"growth": "1/h"}).axes[0]
    assert axes.texts[0].get_text() == "worst error 0.04 1/h\n5 % of range"
    ring = next(line for line in axes.lines if line.get_fillstyle() == "none")
    assert ring.get_xydata()[0] == pytest.approx((0.4, 0.36))


def test_parity_has_one_square_panel_an_output() -> None:
    values = {name: np.array([0.0, 1.0]) for name in ("growth", "EX_o2_e", "EX_ac_e", "shortfall")}
    figure = plot_parity(values, values, {})
    assert titles(figure) == list(values)
    assert all(axes.get_xlim() == axes.get_ylim() and axes.get_box_aspect() == 1.0 for axes in figure.axes)


@pytest.mark.parametrize("predicted", [{}, {"growth": np.zeros(3)}, {"EX_o2_e": np.zeros(2)}])
def test_parity_needs_predictions_at_the_same_points(predicted) -> None:
    with pytest.raises(StudyError, match="'growth' is not predicted at the points"):
        plot_parity({"growth": np.zeros(2)}, predicted, {})


def test_parity_needs_an_output() -> None:
    with pytest.raises(StudyError, match="no output"):
        plot_parity({}, {}, {})


def test_a_figure_is_saved_as_png_at_150_dots_an_inch(tmp_path) -> None:
    path = save_figure(Figure(figsize=(2.0, 1.0)), tmp_path / "deep" / "picture.png")
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert [int.from_bytes(content[start : start + 4]) for start in (16, 20)] == [300, 150]


def test_a_figure_that_cannot_be_drawn_leaves_no_file(tmp_path, monkeypatch) -> None:
    def fail(self, part, **_) -> None:
        part.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save_figure(Figure(), tmp_path / "picture.png")
    assert list(tmp_path.iterdir()) == []


def test_drawing_changes_no_setting() -> None:
    before = dict(matplotlib.rcParams)
    plot_closed_loop(controlled(fed_batch(), STEPS), fed_batch(), {"volume": (None, 1.5)})
    assert dict(matplotlib.rcParams) == before


def test_drawing_needs_no_current_figure() -> None:
    code = "import sys, mmopt.figures.trajectories; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_notebook_shows_a_figure_without_pyplot() -> None:
    assert empty_figure(2.0, 1.0)._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"  # type: ignore[attr-defined]

"""The report is one page that stands alone, tells what a run saved, and says what it did not."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mmopt import Status
from mmopt.control import ClosedLoop, Move
from mmopt.control.closed_loop import Step
from mmopt.errors import StudyError
from mmopt.report import RunSummary, read_summary, write_report
from mmopt.report.run_folder import save_fluxes
from mmopt.results import Trajectory, trajectory
from mmopt.surrogate import load_surrogate

SUMMARY: dict[str, Any] = {
    "title": "Fed-batch of E. coli",
    "created": "2025-03-02 14:07 UTC",
    "versions": {"mmopt": "0.1.0", "casadi": "3.7.2"},
    "network": {"name": "iJO1366", "reactions": 2583, "metabolites": 1805, "hash": "9f2c1b7d" * 8},
    "surrogate": {
        "name": "ecoli-aerobic",
        "card": {
            "seed": 7,
            "domain": {"EX_glc__D_e": [0.0, 12.0, "mmol/gDW/h"]},
            "held_out": {"growth": {"worst": 0.0061, "r2": 0.99998, "unit": "1/h"}, "EX_o2_e": {"worst": 0.23}},
            "balance": 3.1e-12,
        },
    },
    "problem": {
        "objective": {"name": "biomass_amount", "unit": "g"},
        "hours": 12.0,
        "elements": 24,
        "initial": {"volume": {"value": 2.0, "unit": "L"}, "biomass": {"value": 0.25, "unit": "g/L"}},
        "controls": {"feed": {"lowest": 0.0, "highest": 0.1, "unit": "L/h"}},
        "limits": {"oxygen_saturation": {"lowest": 20.0, "unit": "%"}, "volume": {"highest": 2.0, "unit": "L"}},
    },
    "parameters": {
        "vmax_glucose": {"value": 9.5, "unit": "mmol/gDW/h", "source": "Varma & Palsson (1994)"},
        "kla": {"value": 450.0, "unit": "1/h", "source": "assumed"},
    },
    "names": {"EX_glc__D_e": "glucose", "EX_o2_e": "oxygen"},
    "results": [
        {"role": "optimum", "name": "Optimal feed", "planned": 50.94, "integrated": 50.91, "reference": 50.6247},
        {"role": "constant", "name": "Best constant feed", "reference": 44.6, "gain": 0.135, "note": "less"},
        {"role": "exponential", "name": "Best exponential feed", "reference": 47.7, "gain": 0.0612, "note": "less"},
    ],
    "gaps": {"integration": 0.0006, "reference": 0.0063},
    "violations": [{"limit": "acetate", "allowed": 0.3, "reached": 0.3021, "relative": 0.007, "unit": "g/L"}],
    "optimisation": {"status": "solved to optimality", "iterations": 27, "seconds": 0.41, "variables": 1764},
    "active_limits": ["acetate is held at the highest allowed, 0.3 g/L (2.0 to 9.5 h): one g/L more is worth 1.2 g"],
    "feeds": {"feed": {"header": ["from [h]", "to [h]", "feed [L/h]"], "rows": [[0.0, 0.5, 0.0], [0.5, 1.0, 0.0125]]}},
    "closed_loop": {
        "disturbance": {"kla": {"value": 255.0, "unit": "1/h"}},
        "objective": 35.4187,
        "reference_objective": 41.57,
        "open_loop_objective": 50.6247,
        "ratio": 0.852,
        "aimed_limits": {"oxygen_saturation": {"lowest": 35.0, "unit": "%"}},
        "steps": 2,
        "fallbacks": 1,
        "median_ms": 38.8,
    },
    "starvation": {"feed_stops": 8.0, "hours": 12.0, "begins": 8.25, "largest_shortfall": 3.15, "reference": 9.3},
    "timings": {"fluxes": 21.4, "training": 60.2},
    "known_limits": ["The medium is well mixed."],
}
TRAJECTORIES = (
    *("optimum", "resimulation", "replay", "constant", "exponential"),
    *("closed_loop", "reference", "starvation_lp", "starvation_surrogate"),
)
STEPS = (
    Step(0.0, Move({"feed": 0.02}, Status.OPTIMAL, 14, 0.25)),
    Step(10.0, Move({"feed": 0.02}, Status.ITERATION_LIMIT, 50, 0.09, "shifted plan")),
)


def fed_batch(status: Status = Status.SIMULATED) -> Trajectory:
    """A fed-batch of 20 h whose cells grow at a fixed rate."""
    time = np.linspace(0.0, 20.0, 21)
    values = {
        "volume": ("state", "L", 1.0 + 0.02 * time),
        "biomass": ("state", "g/L", 0.5 * np.exp(0.2 * time)),
        "feed": ("control", "L/h", np.full(21, 0.02)),
        "growth": ("rate", "1/h", np.full(21, 0.2)),
        "EX_o2_e": ("rate", "mmol/gDW/h", np.full(21, -6.0)),
        "oxygen_saturation": ("derived", "%", 100.0 - 3.0 * time),
    }
    return trajectory(time, values, status)


def save_run(folder: Path, **changes: Any) -> Path:
    """A folder with everything a run can save; ``changes`` replace parts of the summary, None leaves a part out."""
    for name in TRAJECTORIES:
        fed_batch().save(folder / f"{name}.nc")
    ClosedLoop(fed_batch(), STEPS, 35.4187, {}).save(folder / "closed_loop.nc")
    growth = np.linspace(0.0, 0.9, 10)
    np.savez(folder / "parity.npz", true_growth=growth, predicted_growth=growth + 0.001)
    return save_summary(folder, **(SUMMARY | changes))


def save_summary(folder: Path, **parts: Any) -> Path:
    """A folder with a summary alone."""
    kept = {"title": "A run"} | {name: part for name, part in parts.items() if part is not None}
    (folder / "summary.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


class Page(HTMLParser):
    """What a browser would see: elements in order, their attributes, the text, and whether every element is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def values(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.elements if attribute in attributes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full run with its report; tests only read it."""
    folder = save_run(tmp_path_factory.mktemp("run"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(folder / "report.html")


def test_page_fetches_nothing(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "iframe", "object", "embed", "base", "form"}
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert scripts == [{"type": "application/json"}, {}] * page.source.count(
        'class="map"'
    )  # data, and what moves the map
    assert all(source.startswith("data:image/png;base64,") for source in page.values("src"))
    assert all(link.startswith("#") for link in page.values("href"))
    assert not re.search(r"url\(|@import|srcset|https?://", page.source)


def test_page_closes_every_element(page: Page) -> None:
    assert page.open == []


def test_links_lead_to_sections_of_the_page(page: Page) -> None:
    assert [link.removeprefix("#") for link in page.values("href")] == page.values("id")


def test_page_holds_the_very_pictures_saved_beside_it(page: Page, folder: Path) -> None:
    held = [base64.b64decode(source.partition(",")[2]) for source in page.values("src")]
    saved = [path.read_bytes() for path in (folder / "figures").glob("*.png")]
    assert sorted(held) == sorted(saved)
    names = {"feeds", "trajectories", "rates", "closed_loop", "starvation", "parity"}
    assert {path.stem for path in (folder / "figures").iterdir()} == names


def test_every_picture_is_described_in_words(page: Page) -> None:
    assert len(page.values("alt")) == len(page.values("src"))
    assert all(len(words) > 20 for words in page.values("alt"))


def test_cards_show_the_results_on_the_linear_program(page: Page) -> None:
    for card in (
        "50.62 g biomass amount of the optimal feed",
        "+13.5 % over the best constant feed which reaches 44.6 g",
        "+6.12 % over the best exponential feed which reaches 47.7 g",
        "0.63 % gap between the plan and the linear program",
        "35.42 g closed loop, under disturbance 41.57 g by a controller that knows the plant; 50.62 g planned",
    ):
        assert card in page.text


def test_results_come_first(page: Page) -> None:
    assert page.values("id")[0] == "results"
    assert page.values("id").index("how-it-was-computed") > page.values("id").index("problem")


def test_an_objective_is_shown_by_name_and_unit(tmp_path: Path) -> None:
    problem = SUMMARY["problem"] | {"objective": {"name": "worth", "unit": "EUR"}}
    save_run(tmp_path, problem=problem)
    page = Page(write_report(tmp_path))
    assert "50.62 EUR worth" in page.text
    assert "35.42 EUR closed loop" in page.text
    assert "planned [EUR]" in page.text
    assert not re.search(r"[0-9] g ", page.text.replace("one g/L more is worth 1.2 g", ""))


def test_no_gain_is_shown_without_a_result_on_the_linear_program(tmp_path: Path) -> None:
    rows = [
        {"role": "optimum", "name": "optimum", "planned": 50.0},
        {"role": "constant", "name": "c", "reference": 40.0},
    ]
    page = Page(write_report(save_summary(tmp_path, results=rows)))
    assert "of the optimal feed" not in page.text
    assert "over the" not in page.text


def test_numbers_have_four_significant_digits(page: Page) -> None:
    assert "50.6247" not in page.text
    assert "0.99998" in page.text  # but a coefficient of determination keeps what distinguishes it from one
    assert "3.1 × 10 −12" in page.text


def test_parameters_stand_with_unit_and_source(page: Page) -> None:
    assert "vmax_glucose 9.5 mmol/gDW/h Varma & Palsson (1994)" in page.text


def test_exchanges_have_a_readable_name_beside_the_identifier(page: Page) -> None:
    assert "oxygen EX_o2_e 0.23" in page.text
    assert "EX_glc__D_e 0, 12, mmol/gDW/h" in page.text


def test_hashes_are_shortened_and_come_after_the_results(page: Page) -> None:
    assert "9f2c1b7d9f2c…" in page.text
    assert "9f2c1b7d" * 8 not in page.text
    assert page.text.index("9f2c1b7d") > page.text.index("Initial state")


def test_horizon_initial_state_and_feed_table_are_shown(page: Page) -> None:
    assert "horizon 12 h" in page.text
    assert "state value unit volume 2 L biomass 0.25 g/L" in page.text
    assert "from [h] to [h] feed [L/h] 0 0.5 0 0.5 1 0.0125" in page.text


def test_closed_loop_names_the_limit_it_aims_at(page: Page) -> None:
    assert "the controller aims at oxygen saturation at least 35 % (limit: at least 20 %)" in page.text
    assert "kla 255 1/h" in page.text


def test_every_cell_has_its_column_name_for_narrow_screens(page: Page) -> None:
    cells = [attributes for tag, attributes in page.elements if tag == "td"]
    assert cells
    assert all("data-head" in attributes for attributes in cells)


def test_violated_limits_are_listed(page: Page) -> None:
    row = "limit allowed reached unit violation acetate 0.3 0.3021 g/L 0.7 %"
    assert f"Limits violated on the linear program {row}" in page.text


def test_page_states_that_no_limit_is_violated_only_if_that_was_checked(tmp_path: Path) -> None:
    sentence = "no limit is violated"
    assert sentence in Page(write_report(save_summary(tmp_path, violations=[]))).text
    assert sentence not in Page(write_report(save_summary(tmp_path, gaps={"reference": 0.01}))).text


def test_active_limits_stand_with_their_worth(page: Page) -> None:
    assert "Active limits acetate is held at the highest allowed, 0.3 g/L (2.0 to 9.5 h)" in page.text


def test_a_complete_run_misses_nothing(page: Page) -> None:
    assert "Not in this run" not in page.text


def test_a_title_alone_makes_a_page_that_names_all_that_is_missing(tmp_path: Path) -> None:
    page = Page(write_report(save_summary(tmp_path)))
    assert page.values("id") == ["not-in-this-run"]
    for name in [*(f"{stem}.nc" for stem in TRAJECTORIES), "parity.npz", *(set(SUMMARY) - {"title", "names"})]:
        assert name in page.text


@pytest.mark.parametrize(
    ("lost", "section"),
    [
        (["constant.nc", "exponential.nc", "replay.nc", "optimum.nc"], "feed-profiles"),
        (["closed_loop.nc"], "closed-loop"),
        (["starvation_lp.nc", "starvation_surrogate.nc"], "starvation"),
        (["parity.npz"], "surrogate"),
    ],
)
def test_a_section_without_its_parts_is_left_out_and_they_are_named(tmp_path: Path, lost, section) -> None:
    save_run(tmp_path, closed_loop=None, starvation=None, surrogate=None, feeds=None)
    for name in lost:
        (tmp_path / name).unlink()
    page = Page(write_report(tmp_path))
    assert section not in page.values("id")
    assert all(name in page.text for name in lost)


def test_a_trajectory_that_ended_early_is_reported_as_such(tmp_path: Path) -> None:
    fed_batch(Status.ENDED_EARLY).save(tmp_path / "replay.nc")
    page = Page(write_report(save_summary(tmp_path)))
    assert "linear program: simulation ended early, at an event" in page.text


def test_a_system_with_other_names_gets_its_pictures(tmp_path: Path) -> None:
    values = {"level": ("state", "m", np.array([1.0, 2.0])), "pump": ("control", "L/h", np.array([1.0, 0.0]))}
    trajectory(np.array([0.0, 1.0]), values, Status.OPTIMAL).save(tmp_path / "optimum.nc")
    write_report(save_summary(tmp_path))
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"feeds", "trajectories"}


def test_text_from_the_run_cannot_become_markup(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    amount, limit = {"value": 1.0, "unit": evil}, {"lowest": 1.0, "unit": evil}
    parts = {
        "title": evil,
        "created": evil,
        "versions": {evil: evil},
        "network": {"name": evil, "reactions": 1, "metabolites": 1, "hash": evil},
        "surrogate": {"name": evil, "card": {evil: evil, "held_out": {evil: {evil: evil}}, "layers": [evil]}},
        "names": {evil: evil},
        "problem": {
            "objective": {"name": evil, "unit": evil},
            "initial": {evil: amount},
            "controls": {evil: limit},
            "limits": {evil: limit},
        },
        "parameters": {evil: {"value": 1.0, "unit": evil, "source": evil}},
        "results": [{"role": evil, "name": evil, "gain": 1.0, "note": evil, "reference": 2.0}],
        "violations": [{"limit": evil, "relative": 1.0, "unit": evil}],
        "optimisation": {"status": evil, "solver": evil, "back_off": {evil: amount}},
        "active_limits": [evil],
        "feeds": {evil: {"header": [evil], "rows": [[1.0]]}},
        "closed_loop": {"disturbance": {evil: amount}, "objective": 1.0, "aimed_limits": {evil: limit}},
        "timings": {evil: 1.0},
        "known_limits": [evil],
    }
    page = Page(write_report(save_summary(tmp_path, **parts)))
    assert evil in page.text
    assert "<script" not in page.source


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"title": 3}', "\x00\xff"])
def test_a_corrupt_summary_is_an_error_that_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "summary.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(StudyError, match=r"summary\.json .*run the study again"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("entry", "wrong", "named"),
    [
        ("results", {}, "results"),
        ("results", ["a"], "results.0"),
        ("results", [{"role": "optimum", "name": "a", "gain": "much"}], "results.0.gain"),
        ("parameters", {"kla": 450.0}, "parameters.kla"),
        ("timings", [1], "timings"),
        ("known_limits", "none", "known_limits"),
        ("beer", 1, "beer"),
    ],
)
def test_a_malformed_summary_names_the_wrong_entry(tmp_path: Path, entry: str, wrong: Any, named: str) -> None:
    with pytest.raises(StudyError, match=f"{named}.*run the study again"):
        write_report(save_summary(tmp_path, **{entry: wrong}))


def test_a_summary_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    summary = RunSummary.model_validate(SUMMARY)
    summary.write(tmp_path)
    assert read_summary(tmp_path) == summary


def test_a_number_that_json_cannot_hold_becomes_none(tmp_path: Path) -> None:
    RunSummary(title="A run", gaps={"reference": float("nan")}).write(tmp_path)
    assert read_summary(tmp_path).gaps.reference is None


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="run the study again"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("parity.npz", b"damaged"),
        ("parity.npz", b"PK\x03\x04"),
        ("replay.nc", b"damaged"),
        ("closed_loop.nc", b"damaged"),
    ],
)
def test_a_damaged_file_is_named_and_leaves_the_old_page_whole(tmp_path: Path, name: str, content: bytes) -> None:
    old = write_report(save_summary(tmp_path)).read_bytes()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=name):
        write_report(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "report.html", "summary.json"])
    assert (tmp_path / "report.html").read_bytes() == old


def test_a_page_that_cannot_be_written_leaves_the_old_one_whole(tmp_path: Path, monkeypatch) -> None:
    old = write_report(save_summary(tmp_path)).read_bytes()

    def fail(self: Path, text: str, **_: Any) -> None:
        self.write_bytes(text[:10].encode())
        raise OSError("disk full")

    save_summary(tmp_path, created="later")
    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "summary.json"]
    assert (tmp_path / "report.html").read_bytes() == old


def test_a_page_made_again_is_the_same(folder: Path, page: Page) -> None:
    assert write_report(folder).read_text(encoding="utf-8") == page.source


def test_page_does_not_tell_where_it_was_made(page: Page, folder: Path) -> None:
    assert str(folder) not in page.source


def test_worst_errors_of_the_surrogate_are_shown_by_zone(tmp_path: Path) -> None:
    card = load_surrogate("ecoli_ijo1366").card
    page = Page(write_report(save_summary(tmp_path, surrogate={"name": "cell", "card": dict(card)})))
    growth = card["error_report"]["readings"]["growth"]
    percent = 100.0 * growth["zones"]["starvation"]["worst"] / growth["range"]
    assert "whole domain starvation borders inside" in page.text
    assert f"{percent:.3g} %" in page.text


@pytest.mark.parametrize("damage", [{}, {"readings": 3}, {"readings": {"growth": {}}}, "nothing"], ids=str)
def test_damaged_certificate_leaves_the_rest_of_the_page(tmp_path: Path, damage: object) -> None:
    page = Page(
        write_report(save_summary(tmp_path, surrogate={"name": "cell", "card": {"error_report": damage, "points": 7}}))
    )
    assert "points 7" in page.text


def test_page_begins_with_the_limits_that_a_plan_does_not_keep(tmp_path: Path) -> None:
    row = {"limit": "oxygen_saturation", "allowed": 20.0, "reached": 7.9, "relative": 0.605, "unit": "%"}
    sentence = "The plan does not keep its limits on the linear program: oxygen saturation reaches 7.9 %, allowed 20"
    text = Page(write_report(save_summary(tmp_path, violations=[row], limits_kept=False))).text
    assert sentence in text
    assert text.index(sentence) < text.index("allowed reached unit violation")
    assert sentence not in Page(write_report(save_summary(tmp_path, violations=[row], limits_kept=True))).text


MISSED: dict[str, Any] = {"training_rounds": {"reached": False, "excess": [1.4], "ended": "all rounds were done"}}


@pytest.mark.parametrize(
    ("card", "sentence"),
    [
        (MISSED, "The wanted errors are not reached: all rounds were done."),
        ({"cliff_notes": ["growth climbs"]}, "No error is wanted on a cliff: growth climbs."),
        ({"domain_note": "12.0% of the domain has no solution."}, "12.0% of the domain has no solution."),
    ],
    ids=["errors", "cliff", "domain"],
)
def test_page_states_what_a_training_did_not_reach(tmp_path: Path, card: dict[str, Any], sentence: str) -> None:
    page = Page(write_report(save_summary(tmp_path, surrogate={"name": "cell", "card": card})))
    assert sentence in page.text


@pytest.mark.parametrize("card", [{}, {"training_rounds": {"reached": True}}, {"training_rounds": 3}], ids=str)
def test_page_of_a_training_that_reached_its_errors_says_nothing(tmp_path: Path, card: dict[str, Any]) -> None:
    page = Page(write_report(save_summary(tmp_path, surrogate={"name": "cell", "card": card})))
    assert "not reached" not in page.text


def test_page_shows_the_fluxes_inside_the_cell(tmp_path: Path) -> None:
    reactions = ["PFK", "ACKr", "ATPM", "unknown to the pathways"]
    values = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 0.5, 0.0])
    axes = {"reaction": reactions, "time": [0.0, 1.0, 2.0]}
    exact = xr.DataArray(values, axes, ("reaction", "time"), attrs={"biomass": "growth"})
    save_fluxes(tmp_path / "fluxes_plan.nc", {"surrogate": exact * 1.1, "linear program": exact})
    page = Page(write_report(save_summary(tmp_path)))
    assert "Inside the cell" in page.text
    assert "Glycolysis: net fluxes with the optimal feed" in page.text
    assert "The feed that stops" not in page.text
    assert (tmp_path / "figures" / "fluxes_plan_glycolysis.png").exists()


def test_damaged_file_of_fluxes_is_named(tmp_path: Path) -> None:
    (tmp_path / "fluxes_plan.nc").write_bytes(b"no fluxes")
    with pytest.raises(StudyError, match=r"fluxes_plan.nc is not a file of fluxes .*; run the study again"):
        write_report(save_summary(tmp_path))


def test_network_without_known_pathways_has_no_file_of_fluxes(tmp_path: Path) -> None:
    other = xr.DataArray(np.ones((1, 2)), {"reaction": ["r1"], "time": [0.0, 1.0]}, ("reaction", "time"))
    save_fluxes(tmp_path / "fluxes_plan.nc", {"surrogate": other})
    assert not (tmp_path / "fluxes_plan.nc").exists()

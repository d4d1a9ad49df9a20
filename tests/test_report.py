"""The report is one page that stands alone, tells what a run saved, and says what it did not."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt.errors import StudyError
from mmopt.report.report import write_report
from mmopt.results import Status, Trajectory, trajectory
from mmopt.surrogate.surrogate_file import load_surrogate

SUMMARY: dict[str, Any] = {
    "title": "Fed-batch of E. coli",
    "created": "2025-03-02 14:07 UTC",
    "versions": {"mmopt": "0.1.0", "casadi": "3.7.2"},
    "network": {"name": "iJO1366", "reactions": 2583, "metabolites": 1805, "hash": "9f2c1b7d"},
    "surrogate": {
        "name": "ecoli-aerobic",
        "card": {
            "seed": 7,
            "domain": {"EX_glc__D_e": [0.0, 12.0, "mmol/gDW/h"]},
            "held_out": {"growth": {"worst": 0.0061, "r2": 0.99998, "unit": "1/h"}, "EX_o2_e": {"worst": 0.23}},
            "balance": 3.1e-12,
        },
    },
    "parameters": {"vmax_glucose": [9.5, "mmol/gDW/h", "Varma & Palsson (1994)"], "kla": [450.0, "1/h", "assumed"]},
    "limits": {"oxygen_saturation": [20.0, None, "%"], "volume": [None, 2.0, "L"]},
    "results": [
        {"label": "optimum", "optimiser": 50.94, "resimulated": 50.91, "lp": 50.62, "gain": None, "note": ""},
        {
            "label": "best constant",
            "optimiser": None,
            "resimulated": 44.7,
            "lp": 44.6,
            "gain": 0.135,
            "note": "over it",
        },
        {
            "label": "best exponential",
            "optimiser": None,
            "resimulated": 47.9,
            "lp": 47.7,
            "gain": 0.061,
            "note": "over it",
        },
    ],
    "gaps": {"resimulation": 0.0006, "replay": 0.0063},
    "violations": [{"limit": "acetate", "allowed": 0.3, "reached": 0.3021, "relative": 0.007, "unit": "g/L"}],
    "optimisation": {"status": "solved to optimality", "iterations": 27, "seconds": 0.41, "variables": 1764},
    "binding": ["acetate is held at the highest allowed, 0.3 g/L (2.0 to 9.5 h): one g/L more is worth 1.2 g"],
    "nmpc": {
        "disturbance": "oxygen transfer falls by 20 %",
        "ratio": 0.852,
        "steps": 2,
        "fallbacks": 1,
        "median_ms": 38.8,
    },
    "starvation": {"text": "The feed stops at 8 h."},
    "timings": {"sampling": 21.4, "training": 60.2},
    "known_limits": ["The medium is well mixed."],
}
TRAJECTORIES = (
    *("optimum", "resimulation", "replay", "constant", "exponential"),
    *("closed_loop", "reference", "starvation_lp", "starvation_surrogate"),
)
STEPS = [
    {"time": 0.0, "status": "OPTIMAL", "iterations": 14, "seconds": 0.25, "fallback": ""},
    {"time": 10.0, "status": "ITERATION_LIMIT", "iterations": 50, "seconds": 0.09, "fallback": "shifted plan"},
]


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
    return trajectory(time, values, status, {"steps": STEPS})


def save_run(folder: Path, **changes: Any) -> Path:
    """A folder with everything a run can save; ``changes`` replace parts of the summary, None leaves a part out."""
    for name in TRAJECTORIES:
        fed_batch().save(folder / f"{name}.nc")
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
        if tag not in ("meta", "img"):
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
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
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


def test_headline_tells_what_the_judge_found(page: Page) -> None:
    for card in (
        "50.62 g final biomass",
        "+13.5 % over the best constant feed which ends with 44.6 g",
        "+6.12 % over the best exponential feed which ends with 47.7 g",
        "0.63 % LP replay gap",
        "85.2 % closed loop",
    ):
        assert card in page.text


def test_headline_makes_no_gain_of_what_the_judge_did_not_score(tmp_path: Path) -> None:
    unjudged = [{"label": "optimum", "optimiser": 50.0, "lp": None}, {"label": "best constant", "lp": 40.0}]
    page = Page(write_report(save_summary(tmp_path, results=unjudged)))
    assert "final biomass" not in page.text
    assert "over the best constant" not in page.text


def test_a_role_tells_a_row_apart_whatever_its_label(tmp_path: Path) -> None:
    rows = [{"label": "A", "role": "constant", "lp": 40.0}, {"label": "B", "role": "optimum", "lp": 50.0}]
    assert "+25 % over the best constant feed" in Page(write_report(save_summary(tmp_path, results=rows))).text


def test_numbers_keep_the_digits_that_matter(page: Page) -> None:
    assert "0.99998" in page.text
    assert "3.1 × 10 −12" in page.text


def test_parameters_stand_with_unit_and_source(page: Page) -> None:
    assert "vmax_glucose 9.5 mmol/gDW/h Varma & Palsson (1994)" in page.text


def test_names_of_exchanges_are_not_altered(page: Page) -> None:
    assert "EX_glc__D_e 0, 12, mmol/gDW/h" in page.text


def test_broken_limits_are_listed(page: Page) -> None:
    assert "Limits broken on the LP plant limit allowed reached relative unit acetate 0.3 0.3021 0.7 % g/L" in page.text


def test_page_says_that_no_limit_is_broken_only_if_that_was_checked(tmp_path: Path) -> None:
    sentence = "no limit is broken"
    assert sentence in Page(write_report(save_summary(tmp_path, violations=[]))).text
    assert sentence not in Page(write_report(save_summary(tmp_path, gaps={"replay": 0.01}))).text


def test_limits_that_bind_stand_with_their_worth(page: Page) -> None:
    assert "Limits that bind acetate is held at the highest allowed, 0.3 g/L (2.0 to 9.5 h)" in page.text


def test_a_complete_run_misses_nothing(page: Page) -> None:
    assert "Not in this run" not in page.text


def test_a_title_alone_makes_a_page_that_names_all_that_is_missing(tmp_path: Path) -> None:
    page = Page(write_report(save_summary(tmp_path)))
    assert page.values("id") == ["not-in-this-run"]
    for name in [*(f"{stem}.nc" for stem in TRAJECTORIES), "parity.npz", *(set(SUMMARY) - {"title"})]:
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
    save_run(tmp_path, nmpc=None, starvation=None, surrogate=None)
    for name in lost:
        (tmp_path / name).unlink()
    page = Page(write_report(tmp_path))
    assert section not in page.values("id")
    assert all(name in page.text for name in lost)


def test_a_trajectory_that_ended_early_is_reported_as_such(tmp_path: Path) -> None:
    fed_batch(Status.ENDED_EARLY).save(tmp_path / "replay.nc")
    page = Page(write_report(save_summary(tmp_path)))
    assert "LP plant: simulation ended early, at an event" in page.text


def test_a_system_with_other_names_gets_its_pictures(tmp_path: Path) -> None:
    values = {"level": ("state", "m", np.array([1.0, 2.0])), "pump": ("control", "L/h", np.array([1.0, 0.0]))}
    trajectory(np.array([0.0, 1.0]), values, Status.OPTIMAL).save(tmp_path / "optimum.nc")
    write_report(save_summary(tmp_path))
    assert {path.stem for path in (tmp_path / "figures").iterdir()} == {"feeds", "trajectories"}


def test_text_from_the_run_cannot_become_markup(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>'
    parts = {
        "title": evil,
        "created": evil,
        "versions": {evil: evil},
        "network": {"name": evil},
        "surrogate": {"name": evil, "card": {evil: evil, "held_out": {evil: {evil: evil}}, "layers": [evil]}},
        "parameters": {evil: [evil, evil, evil]},
        "limits": {evil: [evil, None, evil]},
        "results": [{"label": evil, "gain": evil, "note": evil, "lp": evil}],
        "gaps": {evil: evil},
        "violations": [{"limit": evil, "relative": evil}],
        "optimisation": {"status": evil},
        "binding": [evil],
        "nmpc": {"disturbance": evil, "ratio": evil},
        "starvation": {"text": evil, evil: evil},
        "timings": {evil: evil},
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
    ("part", "wrong"),
    [("results", {}), ("results", ["a"]), ("parameters", {"kla": 450.0}), ("limits", [1]), ("known_limits", "none")],
)
def test_a_part_of_another_shape_is_named(tmp_path: Path, part: str, wrong: Any) -> None:
    with pytest.raises(StudyError, match=f"'{part}' should be a .*run the study again"):
        write_report(save_summary(tmp_path, **{part: wrong}))


def test_a_folder_without_a_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="run the study again"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content"), [("parity.npz", b"damaged"), ("parity.npz", b"PK\x03\x04"), ("replay.nc", b"damaged")]
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


def test_certificate_of_the_surrogate_is_shown_by_zone(tmp_path: Path) -> None:
    card = load_surrogate("ecoli_ijo1366").card
    page = Page(write_report(save_summary(tmp_path, surrogate={"name": "cell", "card": dict(card)})))
    growth = card["certificate"]["readings"]["growth"]
    told = 100.0 * growth["zones"]["starvation"]["worst"] / growth["range"]
    assert "whole domain starvation borders inside" in page.text
    assert f"{told:.3g} %" in page.text


@pytest.mark.parametrize("damage", [{}, {"readings": 3}, {"readings": {"growth": {}}}, "nothing"], ids=str)
def test_damaged_certificate_leaves_the_rest_of_the_page(tmp_path: Path, damage: object) -> None:
    page = Page(
        write_report(save_summary(tmp_path, surrogate={"name": "cell", "card": {"certificate": damage, "labels": 7}}))
    )
    assert "labels 7" in page.text

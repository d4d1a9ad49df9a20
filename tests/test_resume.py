"""A whole run that is interrupted again and again, and continued: it comes to what one run comes to."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmopt.control import load_campaign
from mmopt.results import load_trajectory
from mmopt.study import Study, open_run, read_study, run_study
from mmopt.study.description import mark_of
from mmopt.study.run import Progress, begin_run, no_progress

STUDY = """
title: A study that is interrupted
network: textbook
domain: {EX_glc__D_e: [0.0, 12.0], EX_o2_e: [0.0, 16.0], EX_ac_e: [0.0, 4.0]}
table: {size: 200, seed: 1}
training: {hidden: [8], iterations: 40, wanted: null}
problem:
  system: ecoli_fed_batch
  initial: {volume: 2.0, biomass: 0.5, glucose: 2.0, acetate: 0.0, oxygen: 0.2}
  horizon: {length: 2.0, elements: 4, points: 3}
  controls: {feed: [0.0, 0.1]}
  limits: {oxygen_saturation: [20.0, null]}
closed_loop:
  interval: 1.0
  disturbance: {kla: 280.0}
  noise: {volume: 0.005, biomass: 0.1, glucose: 0.05, acetate: 0.02, oxygen: 0.003}
  batches: 2
starvation: {feed: 0.005, feed_stops: 1.0, hours: 3.0}
"""

STAGES = {
    "fluxes": 0.5,
    "closed loop, plant known": 0.0,
    "closed loop, 2 batches": 0.5,
    "report": 0.0,
}
"""Stages, and the fraction of their steps after which the run is interrupted."""

NOT_AGAIN = {
    "closed loop, 2 batches": {
        *("fluxes", "training", "error report", "starvation", "optimal feed", "closed loop on the linear program")
    },
    "report": {"optimal feed", "closed loop, plant known"},
}
"""Stages that were finished before, by the stage in which a run is interrupted next."""

CLOSE = 1.0e-6

Summary = dict[str, Any]


def interrupted_in(name: str, seen: list[str]) -> Progress:
    def progress(stage: str, done: int, total: int, detail: str = "", *, ended: bool = False) -> None:
        seen.append(stage)
        if stage == name and not ended and done >= STAGES[name] * total:
            raise KeyboardInterrupt

    return progress


def go_on(study: Study, folder: Path, progress: Progress = no_progress) -> None:
    run = begin_run(folder, study.title, study.problem, progress, mark=mark_of(study, fresh=True))
    run_study(study, run, fresh=True)


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two results differ, but for times, and for digits that follow the order in which an atlas met its regions."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [
            name
            for name in one.keys() | other.keys()
            if not name.endswith(("seconds", "_ms")) and name not in ("timings", "created")
        ]
        return [line for name in names for line in differences(one.get(name), other.get(name), f"{where}.{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [line for pair in zip(one, other, strict=True) for line in differences(*pair, where)]
    numbers = all(isinstance(value, int | float) for value in (one, other))
    same = abs(one - other) <= CLOSE * max(1.0, abs(one)) if numbers else one == other
    return [] if same else [f"{where}: {one} and {other}"]


def summary_of(folder: Path) -> Summary:
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def without_figures() -> Iterator[None]:
    """A page of one word: drawing figures takes longer than all stages together, and is not what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mmopt.study.stages.write_report", lambda folder: (folder / "report.html").write_text("page"))
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    file = tmp_path_factory.mktemp("study") / "study.yaml"
    file.write_text(STUDY)
    return read_study(file)


@pytest.fixture(scope="module")
def whole(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    go_on(study, folder)
    return folder


@pytest.fixture(scope="module")
def continued(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("continued")
    for name in STAGES:
        seen: list[str] = []
        with pytest.raises(KeyboardInterrupt):
            go_on(study, folder, interrupted_in(name, seen))
        assert not (folder / "previous").exists(), name
        assert not NOT_AGAIN.get(name, set()) & set(seen), name
    go_on(study, folder)
    return folder


def test_continued_run_has_the_results_of_one_run(whole: Path, continued: Path) -> None:
    assert differences(summary_of(continued), summary_of(whole)) == []


@pytest.mark.parametrize(
    "name",
    [
        "optimum",
        "replay",
        "constant",
        "exponential",
        "closed_loop",
        "reference",
        "starvation_lp",
        "starvation_surrogate",
    ],
)
def test_trajectories_of_a_continued_run_are_those_of_one_run(whole: Path, continued: Path, name: str) -> None:
    one, other = (load_trajectory(folder / f"{name}.nc").data for folder in (whole, continued))
    assert set(one.data_vars) == set(other.data_vars)
    for quantity in one.data_vars:
        np.testing.assert_allclose(one[quantity], other[quantity], rtol=CLOSE, atol=CLOSE)


def test_campaign_of_a_continued_run_is_that_of_one_run(whole: Path, continued: Path) -> None:
    one, other = load_campaign(whole / "campaign.nc"), load_campaign(continued / "campaign.nc")
    np.testing.assert_allclose(one.objectives, other.objectives, rtol=CLOSE)
    assert not (continued / "batches").exists()


def test_nothing_is_left_of_an_interruption(whole: Path, continued: Path) -> None:
    assert "unfinished" not in summary_of(continued)
    assert {path.name for path in continued.iterdir()} == {path.name for path in whole.iterdir()}


def test_run_of_another_study_begins_anew(study: Study, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    open_run(folder, study.title).record(unfinished=mark_of(study, fresh=True))
    assert begin_run(folder, study.title, study.problem, mark=mark_of(study, fresh=True)).summary.results
    left = folder / ".optimum-k2j3h4g5.nc"  # written when a process was killed
    left.touch()
    (folder / "batches").mkdir()
    other = begin_run(folder, study.title, study.problem, mark=mark_of(study, fresh=False))
    assert other.summary.results is None
    assert (folder / "previous" / "summary.json").exists()
    assert not left.exists()
    assert not (folder / "batches").exists()


def test_stage_of_its_own_ends_what_could_be_continued(study: Study, tmp_path: Path) -> None:
    begin_run(tmp_path, study.title, study.problem).record(unfinished="a mark")
    assert summary_of(tmp_path)["unfinished"]
    begin_run(tmp_path, study.title, study.problem).record()
    assert "unfinished" not in summary_of(tmp_path)


def test_mark_is_that_of_the_files_of_a_study(study: Study, tmp_path: Path) -> None:
    network = tmp_path / "cell.json"
    (tmp_path / "study.yaml").write_text(STUDY.replace("network: textbook", "network: cell.json"))
    network.write_text("{}")
    own = read_study(tmp_path / "study.yaml")
    before = mark_of(own, fresh=False)
    assert before == mark_of(read_study(tmp_path / "study.yaml"), fresh=False) != mark_of(own, fresh=True)
    network.write_text("{ }")
    assert mark_of(own, fresh=False) != before

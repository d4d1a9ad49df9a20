"""The command line: one verb a command, one line an error, and a whole study from end to end."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmopt.dataset.flux_table import load_table
from mmopt.dataset.tabulate import tabulate_fluxes as draw
from mmopt.errors import StudyError
from mmopt.network.network import Network
from mmopt.problem.control import Control
from mmopt.problem.horizon import Horizon
from mmopt.results import load_trajectory
from mmopt.study.schema import read_study
from mmopt.study.stages import Run, make_table

CASE = Path(__file__).parent.parent / "case_studies" / "ecoli_fedbatch" / "study.yaml"

SMALL = """
title: Small fed-batch, textbook network
network: textbook
domain: {EX_glc__D_e: [0.0, 12.0], EX_o2_e: [0.0, 16.0], EX_ac_e: [0.0, 4.0]}
sampling: {labels: 400, seed: 1}
training: {hidden: [10], iterations: 100, wanted: null}
initial: {volume: 2.0, biomass: 0.5, glucose: 2.0, acetate: 0.0, oxygen: 0.2}
horizon: {hours: 3.0, elements: 12, points: 3}
controls: {feed: [0.0, 0.1]}
limits: {oxygen_saturation: [20.0, null]}
nmpc:
  interval: 1.0
  disturbance: {kla: 280.0}
  estimated: {kla: 0.05}
  noise: {volume: 0.005, biomass: 0.1, glucose: 0.05, acetate: 0.02, oxygen: 0.003}
starvation: {feed: 0.005, feed_stops: 1.0, hours: 4.0}
"""


def mmopt(*arguments: object, at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mmopt.cli", *map(str, arguments)],
        cwd=at,
        capture_output=True,
        text=True,
        timeout=300.0,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh run of the small study, from sampling to the report."""
    at = tmp_path_factory.mktemp("small")
    (at / "study.yaml").write_text(SMALL)
    done = mmopt("run", "study.yaml", "--fresh", "-o", "made", at=at)
    assert done.returncode == 0, done.stderr
    return at


@pytest.mark.parametrize(
    "name",
    [
        "report.html",
        "summary.json",
        "feed.csv",
        "labels.nc",
        "optimum.nc",
        "replay.nc",
        "constant.nc",
        "closed_loop.nc",
    ],
)
def test_fresh_run_leaves_every_result(folder: Path, name: str) -> None:
    assert (folder / "made" / name).stat().st_size > 0


def test_run_leaves_no_temporary_file(folder: Path) -> None:
    assert [path.name for path in (folder / "made").rglob(".*")] == []


def test_run_leaves_no_journal(folder: Path) -> None:
    assert list((folder / "made").rglob("*.journal*")) == []


@pytest.mark.parametrize("source", ["atlas", "program"])
def test_interrupted_sampling_goes_on_from_its_journal(textbook: Network, tmp_path: Path, source: str) -> None:
    (tmp_path / "study.yaml").write_text(broken(SMALL, "seed: 1}", f"seed: 1, source: {source}}}"))
    study = read_study(tmp_path / "study.yaml")

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "labels" and done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_table(study, Run(tmp_path / "made", interrupt), textbook)
    assert (tmp_path / "made" / "labels.journal").is_file()
    done = mmopt("sample", "study.yaml", "-o", "made", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "400 labels of e_coli_core, in made/labels.nc" in done.stdout
    whole = make_table(study, Run(tmp_path / "whole", lambda stage, done, total: None), textbook)
    assert load_table(tmp_path / "made" / "labels.nc", textbook).data.identical(whole.data)
    assert list((tmp_path / "made").glob("*.journal*")) == []


def test_journal_of_another_study_ends_in_one_line(textbook: Network, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SMALL)
    box = read_study(tmp_path / "study.yaml").box()
    draw(textbook, box, 40, 1, journal=tmp_path / "made" / "labels.journal")
    done = mmopt("sample", "study.yaml", "-o", "made", at=tmp_path)
    assert done.returncode == 2
    assert "was begun for other labels (labels: 400 asked, 40 in the journal" in done.stderr
    assert "Traceback" not in done.stderr


def test_report_of_a_run_misses_nothing(folder: Path) -> None:
    page = (folder / "made" / "report.html").read_text()
    assert "Not in this run" not in page


def test_feed_table_simulates_to_what_was_planned(folder: Path) -> None:
    done = mmopt("simulate", "study.yaml", "-o", "made", "--feed", "made/feed.csv", at=folder)
    assert done.returncode == 0, done.stderr
    planned = load_trajectory(folder / "made" / "optimum.nc").stats["resimulated"]
    simulated = load_trajectory(folder / "made" / "simulation.nc").final("biomass_amount")
    assert simulated == pytest.approx(planned, rel=1.0e-5)


def test_single_verbs_find_what_a_run_made(folder: Path) -> None:
    for verb in ("optimise", "nmpc"):
        done = mmopt(verb, "study.yaml", "-o", "made", at=folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_help_names_every_verb(tmp_path: Path) -> None:
    told = mmopt("--help", at=tmp_path).stdout
    assert all(verb in told for verb in ("run", "sample", "train", "simulate", "optimise", "nmpc", "doctor"))


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['mmopt', '--help']\n"
        "from mmopt.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'pyomo', 'cobra', 'casadi', 'xarray', 'numpy'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_doctor_solves_its_test_problems(tmp_path: Path) -> None:
    done = mmopt("doctor", at=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "bundled Ipopt" in done.stdout
    assert "textbook growth 0.8739215" in done.stdout


def broken(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("network: textbook", "network: nowhere.xml", 2, "there is no file 'nowhere.xml'"),
        ("EX_glc__D_e: [0.0, 12.0]", "EX_glc_e: [0.0, 12.0]", 2, "nearest known: EX_glc__D_e"),
        ("biomass: 0.5", "biomass: .nan", 2, "initial.biomass"),
        ("biomass: 0.5", "biomass: lots", 2, "initial.biomass"),
        ("hours: 3.0", "hours: -3.0", 2, "horizon.hours"),
        ("limits: {oxygen_saturation", "limits: {oxygen_saturatio", 2, "nearest known: oxygen_saturation"),
        ("[20.0, null]", "[20.0, 10.0]", 2, "no point can keep both"),
        ("title:", "titel:", 2, "title"),
        ("training: {hidden: [10]", "training: {hidden: [0]", 2, "training.hidden"),
        ("controls: {feed: [0.0, 0.1]}", "controls: {}", 2, "each control: feed"),
        ("{feed: [0.0, 0.1]}", "{feed: {range: [0.0, 0.1], shape: curves}}", 2, "controls.feed"),
        ("{feed: [0.0, 0.1]}", "{feed: {range: [0.0, 0.1], windows: [[2.0, 1.0]]}}", 2, "two finite times that ascend"),
        ("controls:", "soft: {acetate: 1.0}\ncontrols:", 2, "soft limit"),
        ("controls:", "maximise: {worth: {beer: 1.0}}\ncontrols:", 2, "beer"),
    ],
)
def test_bad_study_ends_in_one_line(tmp_path: Path, old: str, new: str, code: int, said: str) -> None:
    (tmp_path / "study.yaml").write_text(broken(SMALL, old, new))
    done = mmopt("sample" if "EX_" in old or "network" in old else "run", "study.yaml", at=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("mmopt: ")]) == 1


@pytest.mark.parametrize("content", ["", "just words", "a: [1, 2", "\x00\x01"])
def test_file_that_is_no_study_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "study.yaml").write_text(content)
    with pytest.raises(StudyError, match=r"study\.yaml"):
        read_study(tmp_path / "study.yaml")


@pytest.mark.parametrize("content", ["", "<html></html>", "not xml at all"])
def test_network_that_is_not_sbml_ends_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "cell.xml").write_text(content)
    (tmp_path / "study.yaml").write_text(broken(SMALL, "network: textbook", "network: cell.xml"))
    done = mmopt("sample", "study.yaml", at=tmp_path)
    assert done.returncode == 2
    assert "cell.xml" in done.stderr
    assert "Traceback" not in done.stderr


def test_truncated_surrogate_ends_in_one_line(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "surrogate"
    made.mkdir()
    whole = (folder / "made" / "surrogate" / "arrays.npz").read_bytes()
    (made / "arrays.npz").write_bytes(whole[: len(whole) // 2])
    (made / "surrogate.json").write_text((folder / "made" / "surrogate" / "surrogate.json").read_text())
    (tmp_path / "study.yaml").write_text(SMALL + "surrogate: surrogate\n")
    done = mmopt("optimise", "study.yaml", at=tmp_path)
    assert done.returncode == 2
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_infeasible_limits_end_with_code_one(folder: Path) -> None:
    (folder / "infeasible.yaml").write_text(broken(SMALL, "[20.0, null]", "[99.0, null]"))
    done = mmopt("optimise", "infeasible.yaml", "-o", "made", at=folder)
    assert done.returncode == 1
    assert "oxygen_saturation" in done.stderr
    assert "Traceback" not in done.stderr


def test_failed_run_says_why_in_its_last_line(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "made" / "surrogate", tmp_path / "surrogate")
    (tmp_path / "study.yaml").write_text(broken(SMALL, "[20.0, null]", "[99.0, null]") + "surrogate: surrogate\n")
    done = mmopt("run", "study.yaml", at=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mmopt: no controls were found that keep all limits: at the least, oxygen_saturation at ")


def test_surrogate_of_another_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SMALL + "surrogate: ecoli_ijo1366\n")
    done = mmopt("optimise", "study.yaml", at=tmp_path)
    assert done.returncode == 2
    assert "was made from another network" in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = mmopt("--debug", "run", "missing.yaml", at=tmp_path)
    assert "Traceback" in done.stderr


def test_case_study_builds_the_objects_a_script_would() -> None:
    problem = read_study(CASE).problem()
    assert problem.system.defaults["glucose_fed"] == 500.0
    assert problem.horizon.elements == 24


def test_study_can_say_what_a_control_may_do_and_what_a_batch_is_worth(tmp_path: Path) -> None:
    told = """
controls: {feed: {range: [0.0, 0.1], shape: lines, change: 0.05, windows: [[1.0, 3.0]], move_penalty: 0.0}}
final: {volume: [null, 2.1]}
soft: {oxygen_saturation: 5.0}
maximise: {worth: {biomass_amount: 2.0, volume: -1.0}, unit: EUR, scale: 10.0}
"""
    (tmp_path / "study.yaml").write_text(broken(SMALL, "controls: {feed: [0.0, 0.1]}\n", told))
    problem = read_study(tmp_path / "study.yaml").problem()
    assert problem.controls["feed"] == Control(0.0, 0.1, "lines", 0.05, ((1.0, 3.0),), 0.0)
    assert problem.final == {"volume": (None, 2.1)}
    assert problem.soft == {"oxygen_saturation": 5.0}
    assert problem.objective.value({"biomass_amount": 3.0, "volume": 1.0}, {}) == 5.0


def test_study_can_ask_for_productivity_on_a_graded_mesh(tmp_path: Path) -> None:
    told = "maximise: {productivity: biomass_amount, unit: g/h}\ncontrols:"
    text = broken(broken(SMALL, "controls:", told), "points: 3}", "points: 2, scheme: legendre, grading: 2.0}")
    (tmp_path / "study.yaml").write_text(text)
    problem = read_study(tmp_path / "study.yaml").problem()
    assert problem.objective.name == "biomass_amount per hour"
    assert problem.horizon == Horizon(3.0, 12, 2, "legendre", 2.0)

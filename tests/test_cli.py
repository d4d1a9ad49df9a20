"""The command line: one verb a command, one line an error, and a whole study from end to end."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib.metadata import version
from io import StringIO
from pathlib import Path

import pytest
import typer

from mmopt import Network, StudyError, load_trajectory, read_study
from mmopt.cli import end_with_code, main
from mmopt.ctrl_c import Watch
from mmopt.dataset import load_table, tabulate_fluxes
from mmopt.problem import Control, Horizon
from mmopt.report import RunSummary, read_summary
from mmopt.report.records import FeedRecord, SurrogateRecord, ViolationRow
from mmopt.study import open_run
from mmopt.study.description import describe_study
from mmopt.study.run import begin_run
from mmopt.study.tables import compute_table
from mmopt.terminal import show_results

CASE = Path(__file__).parent.parent / "case_studies" / "ecoli_fedbatch" / "study.yaml"

SMALL = """
title: Small fed-batch, textbook network
network: textbook
domain: {EX_glc__D_e: [0.0, 12.0], EX_o2_e: [0.0, 16.0], EX_ac_e: [0.0, 4.0]}
table: {size: 400, seed: 1}
training: {hidden: [10], iterations: 60, wanted: null}
problem:
  system: ecoli_fed_batch
  initial: {volume: 2.0, biomass: 0.5, glucose: 2.0, acetate: 0.0, oxygen: 0.2}
  horizon: {length: 3.0, elements: 6, points: 3}
  controls: {feed: [0.0, 0.1]}
  limits: {oxygen_saturation: [20.0, null]}
closed_loop:
  interval: 1.0
  disturbance: {kla: 280.0}
  estimated: {kla: 0.05}
  noise: {volume: 0.005, biomass: 0.1, glucose: 0.05, acetate: 0.02, oxygen: 0.003}
starvation: {feed: 0.005, feed_stops: 1.0, hours: 4.0}
"""


def mmopt(*arguments: object, at: Path) -> subprocess.CompletedProcess[str]:
    """The command line in this process, which spares every call the imports; `in_a_process` has its own."""
    out, errors, code = StringIO(), StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
        redirect_stdout(out),
        redirect_stderr(errors),
    ):
        patch.chdir(at)
        patch.setattr(sys, "argv", ["mmopt", *map(str, arguments)])
        patch.setattr(Watch, "start", lambda _: None)
        warnings.simplefilter("default")
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 1
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())


def in_a_process(*arguments: object, at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mmopt", *map(str, arguments)],
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
    done = in_a_process("run", "study.yaml", "--fresh", "-o", "run", at=at)
    assert done.returncode == 0, done.stderr
    return at


@pytest.mark.parametrize(
    "name",
    [
        "report.html",
        "summary.json",
        "feed.csv",
        "fluxes.nc",
        "optimum.nc",
        "replay.nc",
        "constant.nc",
        "closed_loop.nc",
    ],
)
def test_fresh_run_leaves_every_result(folder: Path, name: str) -> None:
    assert (folder / "run" / name).stat().st_size > 0


def test_run_leaves_no_temporary_file(folder: Path) -> None:
    assert [path.name for path in (folder / "run").rglob(".*")] == []


def test_run_leaves_no_journal(folder: Path) -> None:
    assert list((folder / "run").rglob("*.journal*")) == []


@pytest.mark.parametrize("source", ["atlas", "program"])
def test_interrupted_sampling_goes_on_from_its_journal(textbook: Network, tmp_path: Path, source: str) -> None:
    (tmp_path / "study.yaml").write_text(broken(SMALL, "seed: 1}", f"seed: 1, source: {source}}}"))
    study = read_study(tmp_path / "study.yaml")

    def interrupt(stage: str, done: int, total: int, detail: str = "", *, ended: bool = False) -> None:
        if stage == "fluxes" and done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute_table(study, open_run(tmp_path / "run", "small", interrupt), textbook)
    assert (tmp_path / "run" / "fluxes.journal").is_file()
    done = mmopt("tabulate", "study.yaml", "-o", "run", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "fluxes of e_coli_core at 400 points, in run/fluxes.nc" in done.stdout
    whole = compute_table(study, open_run(tmp_path / "whole", "small"), textbook)
    assert load_table(tmp_path / "run" / "fluxes.nc", textbook).data.identical(whole.data)
    assert list((tmp_path / "run").glob("*.journal*")) == []


def test_journal_of_another_study_ends_in_one_line(textbook: Network, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SMALL)
    box = read_study(tmp_path / "study.yaml").domain
    tabulate_fluxes(textbook, box, 40, 1, journal=tmp_path / "run" / "fluxes.journal")
    done = mmopt("tabulate", "study.yaml", "-o", "run", at=tmp_path)
    assert done.returncode == 2
    assert "belongs to another table of fluxes" in done.stderr
    assert "400 here, 40 in the journal" in done.stderr
    assert "Traceback" not in done.stderr


def test_report_of_a_run_misses_nothing(folder: Path) -> None:
    page = (folder / "run" / "report.html").read_text()
    assert "Not in this run" not in page


def test_feed_table_simulates_to_what_was_planned(folder: Path) -> None:
    done = mmopt("simulate", "study.yaml", "-o", "run", "--feed", "run/feed.csv", at=folder)
    assert done.returncode == 0, done.stderr
    planned = read_summary(folder / "run").row("optimum").integrated
    simulated = load_trajectory(folder / "run" / "simulation.nc").final("biomass_amount")
    assert simulated == pytest.approx(planned, rel=1.0e-5)


@pytest.mark.parametrize(
    ("table", "options", "said"),
    [
        ("from [h],to [h],rate [L/h]\n0,1,0.01\n", (), "1 h"),
        ("from [h],to [h],rate [L/h]\n0,3,-0.01\n", (), "below 0"),
        ("from [h],to [h],rate [g/h]\n0,3,12\n", (), "density"),
    ],
    ids=["too short", "negative", "mass without density"],
)
def test_feed_table_that_does_not_fit_is_bad_input(
    folder: Path, table: str, options: tuple[str, ...], said: str
) -> None:
    (folder / "bad.csv").write_text(table)
    done = mmopt("simulate", "study.yaml", "-o", "run", "--feed", "bad.csv", *options, at=folder)
    assert done.returncode == 2
    assert said in done.stderr


def test_feed_table_of_masses_takes_the_density(folder: Path) -> None:
    (folder / "mass.csv").write_text("from [h],to [h],rate [g/h]\n0,3,24\n")
    done = mmopt("simulate", "study.yaml", "-o", "run", "--feed", "mass.csv", "--density", "1.2", at=folder)
    assert done.returncode == 0, done.stderr
    assert load_trajectory(folder / "run" / "simulation.nc").final("volume") == pytest.approx(2.06, rel=1.0e-6)


def test_single_verbs_use_the_results_of_a_run(folder: Path) -> None:
    for verb in ("optimise", "closed-loop"):
        done = mmopt(verb, "study.yaml", "-o", "run", at=folder)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_help_names_every_verb(tmp_path: Path) -> None:
    text = mmopt("--help", at=tmp_path).stdout
    verbs = ("init", "run", "tabulate", "train", "simulate", "optimise", "closed-loop", "report", "schema", "doctor")
    assert all(verb in text for verb in (*verbs, "--debug", "--version"))


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
        ("biomass: 0.5", "biomass: .nan", 2, "study.yaml:9: problem.initial.biomass"),
        ("biomass: 0.5", "biomass: lots", 2, "study.yaml:9: problem.initial.biomass is 'lots'"),
        ("length: 3.0", "length: -3.0", 2, "problem.horizon: the horizon is -3 h long"),
        ("limits: {oxygen_saturation", "limits: {oxygen_saturatio", 2, "nearest known: oxygen_saturation"),
        ("[20.0, null]", "[20.0, 10.0]", 2, "no point can keep both"),
        ("title:", "titel:", 2, "title"),
        ("training: {hidden: [10]", "training: {hidden: [0]", 2, "training.hidden"),
        ("controls: {feed: [0.0, 0.1]}", "controls: {}", 2, "each control: feed"),
        ("{feed: [0.0, 0.1]}", "{feed: {low: 0.0, high: 0.1, shape: curves}}", 2, "controls.feed"),
        ("{feed: [0.0, 0.1]}", "{feed: {low: 0.0, high: 0.1, windows: [[2.0, 1.0]]}}", 2, "two finite ascending times"),
        ("controls:", "soft: {acetate: 1.0}\n  controls:", 2, "soft limit"),
        ("controls:", "maximise: {worth: {beer: 1.0}}\n  controls:", 2, "beer"),
    ],
)
def test_bad_study_ends_in_one_line(tmp_path: Path, old: str, new: str, code: int, said: str) -> None:
    (tmp_path / "study.yaml").write_text(broken(SMALL, old, new))
    done = mmopt("tabulate" if "EX_" in old or "network" in old else "run", "study.yaml", at=tmp_path)
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
    done = mmopt("tabulate", "study.yaml", at=tmp_path)
    assert done.returncode == 2
    assert "cell.xml" in done.stderr
    assert "Traceback" not in done.stderr


def test_truncated_surrogate_ends_in_one_line(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "surrogate"
    copy.mkdir()
    whole = (folder / "run" / "surrogate" / "arrays.npz").read_bytes()
    (copy / "arrays.npz").write_bytes(whole[: len(whole) // 2])
    (copy / "surrogate.json").write_text((folder / "run" / "surrogate" / "surrogate.json").read_text())
    (tmp_path / "study.yaml").write_text(SMALL + "surrogate: surrogate\n")
    done = mmopt("optimise", "study.yaml", at=tmp_path)
    assert done.returncode == 2
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_infeasible_limits_end_with_code_one(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run" / "surrogate", tmp_path / "surrogate")
    (tmp_path / "study.yaml").write_text(broken(SMALL, "[20.0, null]", "[99.0, null]") + "surrogate: surrogate\n")
    done = mmopt("optimise", "study.yaml", at=tmp_path)
    assert done.returncode == 1
    assert "oxygen_saturation" in done.stderr
    assert "Traceback" not in done.stderr


def test_failed_run_says_why_in_its_last_line(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run" / "surrogate", tmp_path / "surrogate")
    (tmp_path / "study.yaml").write_text(broken(SMALL, "[20.0, null]", "[99.0, null]") + "surrogate: surrogate\n")
    done = mmopt("run", "study.yaml", at=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mmopt: no controls were found that keep all limits: at the least, oxygen_saturation at ")


def test_surrogate_of_another_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SMALL + "surrogate: ecoli_ijo1366\n")
    done = mmopt("optimise", "study.yaml", at=tmp_path)
    assert done.returncode == 2
    assert "was trained with another network" in done.stderr


def test_version_is_that_of_the_package(tmp_path: Path) -> None:
    assert mmopt("--version", at=tmp_path).stdout == f"mmopt {version('mmopt')}\n"


def test_init_writes_a_study_that_can_be_read_and_overwrites_nothing(tmp_path: Path) -> None:
    done = mmopt("init", at=tmp_path)
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "study.yaml").read_text()
    assert read_study(tmp_path / "study.yaml").title
    assert "#" in content
    done = mmopt("init", "study.yaml", at=tmp_path)
    assert done.returncode == 2
    assert "study.yaml exists" in done.stderr
    assert (tmp_path / "study.yaml").read_text() == content


def test_schema_is_json(tmp_path: Path) -> None:
    schema = json.loads(mmopt("schema", at=tmp_path).stdout)
    assert {"title", "domain"} <= set(schema["properties"])


def test_report_writes_the_page_again(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run", tmp_path / "run")
    page = tmp_path / "run" / "report.html"
    page.unlink()
    done = mmopt("report", "run", at=tmp_path)
    assert (done.returncode, done.stdout) == (0, "run/report.html\n"), done.stderr
    assert "Small fed-batch, textbook network" in page.read_text()
    assert page.read_text().count('<figure class="map">') == 1


def test_report_of_a_folder_without_a_run_ends_in_one_line(tmp_path: Path) -> None:
    done = mmopt("report", "nowhere", at=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("mmopt: nowhere/summary.json cannot be read")
    assert len(done.stderr.splitlines()) == 1


def test_full_disk_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.yaml").write_text(
        SMALL.replace("network: textbook", "network: textbook\nsurrogate: ecoli_textbook")
    )

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("mmopt.study.starvation.save_fluxes", full)
        done = mmopt("run", "study.yaml", "-o", "run", at=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "mmopt: No space left on device; give another file or folder"


def test_malformed_summary_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "summary.json").write_text('{"title": "A", "timings": 3}')
    (tmp_path / "study.yaml").write_text(SMALL)
    done = mmopt("optimise", "study.yaml", "-o", "run", at=tmp_path)
    assert done.returncode == 2
    assert "timings is 3" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_in_place_of_the_run_folder_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SMALL)
    (tmp_path / "file").touch()
    done = mmopt("run", "study.yaml", "-o", "file/run", at=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("mmopt: file/run: Not a directory")
    assert "Traceback" not in done.stderr


def test_piped_progress_is_one_plain_line_when_a_stage_begins_and_one_when_it_ends(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SMALL)
    lines = mmopt("tabulate", "study.yaml", at=tmp_path).stderr.splitlines()
    assert [re.sub(r"\[ *[0-9.]+ s\] |[0-9.]+ s", "", line) for line in lines] == [
        "critical regions",
        "critical regions: done in ",
        "fluxes",
        "fluxes: done in ",
    ]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_run_says_where_its_results_are(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    (tmp_path / "study.yaml").write_text(SMALL)
    process = subprocess.Popen(
        [sys.executable, "-m", "mmopt", "run", "study.yaml", "--fresh", "-o", "run"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # the caller may ignore it
    )
    first = process.stderr.readline()
    process.send_signal(sent)
    _, rest = process.communicate(timeout=60.0)
    assert "network" in first
    assert process.returncode == code
    assert rest.splitlines()[-1] == "mmopt: interrupted; what was finished is in run"
    assert "Traceback" not in rest


def test_objective_is_shown_by_name_and_unit(folder: Path) -> None:
    worth = "maximise: {worth: {biomass_amount: 2.0}, unit: EUR, scale: 5.0}\n  controls:"
    (folder / "worth.yaml").write_text(broken(SMALL, "controls:", worth))
    shutil.copytree(folder / "run" / "surrogate", folder / "worth" / "surrogate")
    done = mmopt("optimise", "worth.yaml", "-o", "worth", at=folder)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"worth: planned \S+ EUR, integrated \S+ EUR, on the linear program \S+ EUR; .*\n", done.stdout)
    assert str(read_summary(folder / "worth").problem.objective) == "worth [EUR]"


def test_results_of_a_run_are_shown_with_unit(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"objective": {"name": "worth", "unit": "EUR"}}
    rows = [{"role": "optimum", "name": "Optimal feed", "reference": 12.345678}]
    loop = {"objective": 10.0, "reference_objective": 11.0, "steps": 3, "median_ms": 20.0}
    show_results(RunSummary(title="A run", problem=problem, results=rows, closed_loop=loop), Path("run"))
    shown = " ".join(capsys.readouterr().out.split())
    assert "worth [EUR], linear program" in shown
    assert "12.35" in shown
    assert "worth 10 EUR (11 EUR by a controller that knows the plant); 3 steps, 0 fallbacks, median 20 ms" in shown


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = mmopt("--debug", "run", "missing.yaml", at=tmp_path)
    assert "Traceback" in done.stderr


def test_case_study_builds_the_objects_a_script_would() -> None:
    problem = read_study(CASE).problem
    assert problem.system.defaults["glucose_fed"] == 500.0
    assert problem.horizon.elements == 24


def test_study_can_say_what_a_control_may_do_and_what_a_batch_is_worth(tmp_path: Path) -> None:
    settings = """
  controls: {feed: {low: 0.0, high: 0.1, shape: lines, rate_limit: 0.05, windows: [[1.0, 3.0]], move_penalty: 0.0}}
  final: {volume: [null, 2.1]}
  soft: {oxygen_saturation: 5.0}
  maximise: {worth: {biomass_amount: 2.0, volume: -1.0}, unit: EUR, scale: 10.0}
"""
    (tmp_path / "study.yaml").write_text(broken(SMALL, "  controls: {feed: [0.0, 0.1]}\n", settings))
    problem = read_study(tmp_path / "study.yaml").problem
    assert problem.controls["feed"] == Control(0.0, 0.1, "lines", 0.05, ((1.0, 3.0),), 0.0)
    assert problem.final == {"volume": (None, 2.1)}
    assert problem.soft == {"oxygen_saturation": 5.0}
    assert problem.objective.value({"biomass_amount": 3.0, "volume": 1.0}, {}) == 5.0


def test_study_can_ask_for_productivity_on_a_graded_mesh(tmp_path: Path) -> None:
    settings = "maximise: {productivity: biomass_amount, unit: g/h}\n  controls:"
    text = broken(broken(SMALL, "controls:", settings), "points: 3}", "points: 2, scheme: legendre, grading: 2.0}")
    (tmp_path / "study.yaml").write_text(text)
    problem = read_study(tmp_path / "study.yaml").problem
    assert problem.objective.name == "biomass_amount per hour"
    assert problem.horizon == Horizon(3.0, 6, 2, "legendre", 2.0)


def test_plan_that_does_not_keep_its_limits_ends_with_a_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    row = ViolationRow(limit="oxygen_saturation", allowed=20.0, reached=7.9, relative=0.605, unit="%")
    summary = RunSummary(title="A study", violations=(row,), limits_kept=False)
    show_results(summary, Path("run"))
    said = capsys.readouterr().out
    assert (
        "The plan does not keep its limits on the linear program: oxygen saturation reaches 7.9 %, allowed 20" in said
    )
    with pytest.raises(typer.Exit) as ended:
        end_with_code(summary)
    assert ended.value.exit_code == 3
    end_with_code(RunSummary(title="A study", violations=(), limits_kept=True))


def test_results_of_another_study_are_moved_and_never_mixed(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SMALL)
    first = read_study(tmp_path / "study.yaml").problem
    run = begin_run(tmp_path / "run", "A study", first, mark="whole")
    run.record(**describe_study("A study", first), feeds={"feed": FeedRecord(header=("a",), rows=((0.0,),))})
    for name in ("report.html", "closed_loop.nc", "fluxes_plan.nc", "fluxes_starvation.nc", "feed.csv", "mine.txt"):
        (tmp_path / "run" / name).write_text(name)
    assert begin_run(tmp_path / "run", "A study", first).summary.feeds is not None
    assert (tmp_path / "run" / "report.html").exists()
    other = begin_run(tmp_path / "run", "Another", replace(first, horizon=Horizon(5.0, 6)))
    assert other.summary == RunSummary(title="Another")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"previous", "mine.txt"}
    assert (tmp_path / "run" / "previous" / "closed_loop.nc").read_text() == "closed_loop.nc"


def test_run_states_wanted_errors_that_a_surrogate_does_not_reach(capsys: pytest.CaptureFixture[str]) -> None:
    missed = {"training_rounds": {"reached": False, "excess": [1.4], "ended": "all rounds were done"}}
    for card, stated in ((missed, True), ({"training_rounds": {"reached": True}}, False)):
        show_results(RunSummary(title="A run", surrogate=SurrogateRecord(name="cell", card=card)), Path("run"))
        assert ("The wanted errors are not reached" in capsys.readouterr().out) is stated

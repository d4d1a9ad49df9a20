"""What is no file is not read, what is in use is not written, and no name breaks a table."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mmopt import (
    ConstantFeed,
    NetworkError,
    StudyError,
    ecoli_fed_batch,
    load_surrogate,
    load_trajectory,
    read_network,
    simulate,
)
from mmopt.errors import nearest
from mmopt.io.files import read_whole
from mmopt.io.lock import one_process_in
from mmopt.pathways import load_flux_map
from mmopt.reactor import Parameter, Quantity, Species, read_feed
from mmopt.report import read_summary
from mmopt.study import study_template

START = {"volume": 2.0, "biomass": 0.5, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
UNFIT = [
    *("time", "a/b", "a\\b", "a,b", "a;b", "a\nb", "a\rb", "a\tb", "\x1b[2J", "=1+1", "+1", "-1", "@SUM(1)"),
    *(" a", "a ", 'a"b', "x" * 101),
]
FIT = ["glucose_2", "2-oxoglutarate", "O2 in the off-gas", "µ", "葡萄糖", "pH 7.0 (set)", "x" * 90]


def run_of_an_hour() -> Any:
    return simulate(
        ecoli_fed_batch(), START, {"feed": ConstantFeed(0.01)}, 1.0, load_surrogate("ecoli_textbook"), points=5
    )


# names


@pytest.mark.parametrize("name", UNFIT)
@pytest.mark.parametrize("build", [lambda name: Quantity(name, "g"), lambda name: Parameter(name, 1.0)])
def test_name_that_breaks_a_table_is_refused(build: Callable[[str], Any], name: str) -> None:
    with pytest.raises(StudyError, match="a quantity is called") as refused:
        build(name)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", FIT)
def test_any_other_name_goes_through_simulation_and_files(name: str, tmp_path: Path) -> None:
    reactor = ecoli_fed_batch()
    reactor = replace(reactor, species=(*reactor.species, Species(name, "EX_for_e", molar_mass=45.0)))
    surrogate = load_surrogate("ecoli_textbook")
    run = simulate(reactor, {**START, name: 0.0}, {"feed": ConstantFeed(0.01)}, 1.0, surrogate, points=5)
    assert load_trajectory(run.save(tmp_path / "run.nc")).final(name) == run.final(name)
    header = run.to_csv(tmp_path / "run.csv").read_text(encoding="utf-8").splitlines()[0]
    assert len(header.split(",")) == len(run.data.data_vars) + 1


@pytest.mark.parametrize("name", ["growth", "shortfall", "EX_ac_e"])
def test_state_with_the_name_of_a_rate_is_refused(name: str) -> None:
    reactor = ecoli_fed_batch()
    with pytest.raises(StudyError, match=f"'{name}' of Bioreactor is a rate of the cell, too"):
        replace(reactor, species=(*reactor.species, Species(name, "EX_for_e", molar_mass=45.0)))


# files


@pytest.fixture(params=["pipe", "device", "folder"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "device":
        return Path("/dev/zero")
    path = tmp_path / "file"
    os.mkfifo(path) if request.param == "pipe" else path.mkdir()
    return path


@pytest.mark.parametrize("read", [read_feed, load_flux_map, load_trajectory, read_summary])
def test_what_is_no_file_is_refused_at_once(read: Callable[[Path], Any], no_file: Path) -> None:
    refused: list[BaseException] = []

    def call() -> None:
        try:
            read(no_file)
        except StudyError as error:
            refused.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(10.0)
    assert refused


def test_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(101))
    assert len(read_whole(tmp_path / "file", 101)) == 101
    with pytest.raises(OSError, match="it has 0 MB, more than 0"):
        read_whole(tmp_path / "file", 100)


@pytest.mark.parametrize("change", ["external link", "soft link", "dataset elsewhere", "another value"])
def test_trajectory_that_was_changed_is_refused_before_hdf5_reads_it(tmp_path: Path, change: str) -> None:
    path, secret = run_of_an_hour().save(tmp_path / "run.nc"), tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["biomass"] = np.arange(5.0)
    with h5py.File(path, "a") as file:
        values = file["biomass"][()]
        del file["biomass"]
        if change == "external link":
            file["biomass"] = h5py.ExternalLink(str(secret), "biomass")
        elif change == "soft link":
            file["biomass"] = h5py.SoftLink("/glucose")
        elif change == "dataset elsewhere":
            layout = h5py.VirtualLayout(shape=(5,), dtype="f8")
            layout[:] = h5py.VirtualSource(str(secret), "biomass", shape=(5,))
            file.create_virtual_dataset("biomass", layout)
        else:
            file["biomass"] = 2.0 * values
    with pytest.raises(StudyError, match="checksum is missing or wrong"):
        load_trajectory(path)


# folders


def test_folder_is_held_by_one_process_until_it_ends(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with one_process_in(folder):
        tried = subprocess.run(
            [sys.executable, "-c", HOLD.format(folder=str(folder))],
            capture_output=True,
            text=True,
            timeout=60.0,
            check=False,
        )
    assert "is used by another mmopt; wait until it has ended" in tried.stderr
    assert not folder.exists()
    with one_process_in(folder):
        (folder / "result").touch()
    assert folder.exists()


HOLD = """
from pathlib import Path
from mmopt.io.lock import one_process_in
with one_process_in(Path({folder!r})):
    pass
"""


def test_folder_is_free_again_after_its_process_was_killed(tmp_path: Path) -> None:
    script = HOLD.format(folder=str(tmp_path)).replace("pass", "print('held', flush=True); import time; time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StudyError, match="is used by another mmopt"), one_process_in(tmp_path):
            pass
        process.kill()
    with one_process_in(tmp_path):
        pass


def test_python_without_docstrings_is_refused_with_the_reason() -> None:
    tried = subprocess.run(
        [sys.executable, "-OO", "-c", "import mmopt"], capture_output=True, text=True, timeout=60.0, check=False
    )
    assert tried.returncode == 1
    assert tried.stderr.splitlines()[-1].endswith("run Python without -OO")


# messages, encodings, duplicates


def test_nearest_names_of_any_kind_are_an_ending_of_a_message() -> None:
    assert nearest(3, [1, None, "a"]) == "known: 1, None, a"  # type: ignore[list-item]
    assert nearest("glucos", {"glucose": 0, 2: 1}) == "nearest known: glucose"  # type: ignore[arg-type]


def test_study_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(study_template().replace("Fed-batch", "Fed-bätch µ"), encoding="utf-8")
    ascii_alone = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    script = "from mmopt import read_study; print(ascii(read_study('study.yaml').title))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=ascii_alone, capture_output=True, text=True, check=True
    )
    assert done.stdout == ascii("Fed-bätch µ of E. coli") + "\n"


def test_file_with_an_identifier_thousands_of_times_is_refused(tmp_path: Path) -> None:
    species = (
        '<species id="a" compartment="c" constant="false" boundaryCondition="false" hasOnlySubstanceUnits="true"/>'
    )
    (tmp_path / "cell.xml").write_text(
        '<?xml version="1.0"?><sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"><model id="m">'
        '<listOfCompartments><compartment id="c" constant="true"/></listOfCompartments>'
        f"<listOfSpecies>{5000 * species}</listOfSpecies></model></sbml>"
    )
    with pytest.raises(NetworkError, match=r"cell\.xml"):
        read_network(tmp_path / "cell.xml")

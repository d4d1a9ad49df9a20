"""Whole runs that are killed: what continues them comes to the results of a run that nothing disturbed.

    python benchmarks/runs.py [--signals N]

`mmopt run` of a small study, with a surrogate trained anew, a closed loop and a campaign, gets signals (SIGKILL, SIGTERM,
SIGINT in turn) at random times, and is started again after each until it ends by itself. Its summary and trajectories are
compared with those of an undisturbed run; `results/runs.json`.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from mmopt.results import load_trajectory
from tests.test_resume import CLOSE, STUDY, differences, summary_of

TARGET = Path(__file__).parent / "results" / "runs.json"
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
COMMAND = (sys.executable, "-m", "mmopt", "run", "study.yaml", "--fresh", "-o", "run")


def started(folder: Path) -> subprocess.Popen[str]:
    """A run in a process of its own."""
    return subprocess.Popen(
        COMMAND,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def helpers_of(folder: Path) -> list[int]:
    """Processes that still work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").resolve() == folder.resolve():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def disturbed(at: Path, whole: Path, count: int, seconds: float) -> dict[str, Any]:
    """Send signals at random times; a run that ends by itself is compared, and the next begins in another folder."""
    data, rows, hits = np.random.default_rng(17), [], 0
    while hits < count or not rows:
        folder = at / f"disturbed_{len(rows)}"
        folder.mkdir()
        (folder / "study.yaml").write_text(STUDY)
        signals: list[str] = []
        codes: list[int] = []
        tracebacks: list[str] = []
        while True:
            process = started(folder)
            wait = float(data.uniform(0.1, 0.8)) * seconds if hits < count else None
            try:
                _, errors = process.communicate(timeout=wait)
                ended = True
            except subprocess.TimeoutExpired:
                sent = SIGNALS[hits % len(SIGNALS)]
                process.send_signal(sent)
                signals.append(sent.name)
                hits, ended = hits + 1, False
                _, errors = process.communicate(timeout=60.0)
            codes.append(process.returncode)
            if "Traceback" in errors:
                tracebacks.append(errors[-2000:])
            if ended or process.returncode == 0:  # it had its results when the signal came
                break
        time.sleep(1.0)
        row = {"signals": signals, "codes": codes, "tracebacks": tracebacks, "helpers_left": len(helpers_of(folder))}
        rows.append({**row, "same": same(whole / "run", folder / "run")})
        print(json.dumps(rows[-1]), flush=True)
    return {
        "signals": hits,
        "runs": len(rows),
        "ended with another code than 0": sum(row["codes"][-1] != 0 for row in rows),
        "tracebacks": sum(len(row["tracebacks"]) for row in rows),
        "processes left": sum(row["helpers_left"] for row in rows),
        "results that differ": sum(not equal for row in rows for equal in row["same"].values()),
        "rows": rows,
    }


def close(one: Any, other: Any) -> bool:
    """Whether two trajectories are those of one simulation."""
    return set(one.data.data_vars) == set(other.data.data_vars) and all(
        np.allclose(one.data[name], other.data[name], rtol=CLOSE, atol=CLOSE, equal_nan=True)
        for name in one.data.data_vars
    )


def same(one: Path, other: Path) -> dict[str, bool]:
    """Whether two run folders hold the same."""
    files = sorted(path.name for path in one.glob("*.nc") if path.name not in ("campaign.nc", "fluxes.nc"))
    files = [name for name in files if not name.startswith("fluxes_")]
    equal = {name: close(load_trajectory(one / name), load_trajectory(other / name)) for name in files}
    # a run that is killed after its end is begun anew
    names = [{path.name for path in folder.iterdir()} - {"previous"} for folder in (one, other)]
    for name in names[0] ^ names[1]:
        print("in one folder alone:", name, flush=True)
    return {
        "summary": not differences(summary_of(one), summary_of(other)),
        "files": names[0] == names[1],
        **equal,
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--signals", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as at:
        whole = Path(at) / "whole"
        whole.mkdir()
        (whole / "study.yaml").write_text(STUDY)
        begun = time.perf_counter()
        started(whole).communicate()
        result = disturbed(Path(at), whole, given.signals, time.perf_counter() - begun)
    sums = {name: value for name, value in result.items() if name != "rows"}
    print(json.dumps(sums, indent=1))
    TARGET.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if any(value for name, value in sums.items() if name not in ("signals", "runs")) else 0


if __name__ == "__main__":
    sys.exit(main())

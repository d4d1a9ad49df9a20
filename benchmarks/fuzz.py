"""Damaged input by the thousand: only errors of mmopt come out, soon, and in little memory.

    python benchmarks/fuzz.py [--count N] [--seed N]

A quarter each: study files with values, lines and bytes changed at random; feed tables likewise; saved files (surrogate,
atlas, flux table, trajectory, plan, closed loop, campaign, summary, journal) with bytes changed, cut off or added; public
constructors with one to three arguments of any kind. Blocks of cases run in processes of their own, so that a crash counts.
The results are `results/fuzz.json`; the command fails where a case raised anything else, took over 10 s or over 1 GB.
"""

import argparse
import json
import multiprocessing
import re
import resource
import shutil
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from mmopt import (
    Atlas,
    ConstantFeed,
    Domain,
    Horizon,
    MmoptError,
    Problem,
    ecoli_fed_batch,
    load_plan,
    load_surrogate,
    load_trajectory,
    optimise,
    read_feed,
    read_network,
    read_study,
    simulate,
    tabulate_fluxes,
)
from mmopt.control import ControlledBatch, load_campaign, load_closed_loop, run_campaign
from mmopt.dataset import load_table
from mmopt.fba import load_atlas
from mmopt.report import RunSummary, read_summary
from mmopt.study import study_template
from tests.test_arguments import CONSTRUCTORS
from tests.test_resume import STUDY

TARGET = Path(__file__).parent / "results" / "fuzz.json"
BLOCK, SLOW, LARGE, PATIENCE = 25, 10.0, 1024.0, 300.0
Draw = np.random.Generator

TABLES = (
    "from,to,rate\n0,1,0.01\n1,2,0.02\n2,4,0.03\n",
    "from [min];to [min];rate [mL/min]\n0;60;1,5\n60;120;2,5\n",
    "time [h]\tfeed [L/h]\n0\t0.01\n1\t0.02\n2\t0.05\n",
    '"von","bis","Rate (mL/h)"\n"0","1","10"\n"1","3","20"\n',
)

WORDS = (
    *("nan", "-inf", "1e400", "-1", "0", "null", "true", "x", "''", "[]", "{}", "[1, [2, [3]]]", "2026-11-27", "0x1f"),
    *(
        "!!python/object:os.system",
        "&a [*a]",
        "1_000",
        "日本",
        "\x00",
        "\ufeff",
        "9" * 400,
        "a: b: c",
        "- - -",
        "'",
        "%",
    ),
)

NUMBERS = ("0", "-1", "1e-300", "1e300", "1e6", "0.5", "3", "1000000000", "-0.0", "1e-9", "60", "24")


def anything(draw: Draw, depth: int = 0) -> Any:
    """A value of any kind."""
    makers: list[Callable[[], Any]] = [
        lambda: None,
        lambda: struct.unpack("d", draw.bytes(8))[0],
        lambda: int(draw.integers(-(2**62), 2**62)) ** int(draw.integers(1, 8)),
        lambda: float(draw.normal()),
        lambda: str(draw.choice(np.array(WORDS))),
        lambda: draw.bytes(5),
        lambda: bool(draw.integers(2)),
        lambda: draw.normal(size=tuple(draw.integers(0, 3, size=int(draw.integers(0, 3))))),
        lambda: np.array(["a", None], dtype=object),
        lambda: complex(*draw.normal(size=2)),
        object,
        lambda: float,
        lambda: lambda *_: struct.unpack("d", draw.bytes(8))[0],
    ]
    if depth < 2:
        makers += [
            lambda: [anything(draw, depth + 1) for _ in range(int(draw.integers(0, 4)))],
            lambda: tuple(anything(draw, depth + 1) for _ in range(int(draw.integers(0, 4)))),
            lambda: {
                str(draw.choice(np.array(WORDS))): anything(draw, depth + 1) for _ in range(int(draw.integers(0, 3)))
            },
            lambda: {"glucose": anything(draw, depth + 1), "feed": anything(draw, depth + 1)},
        ]
    return makers[int(draw.integers(len(makers)))]()


def changed_text(draw: Draw, text: str) -> str:
    """A text with lines, words or characters changed."""
    lines = text.splitlines()
    for _ in range(int(draw.integers(1, 4))):
        at = int(draw.integers(len(lines))) if lines else 0
        word = str(draw.choice(np.array(WORDS)))
        kind = int(draw.integers(12))
        if kind > 6:
            numbers = list(re.finditer(r"\d+\.?\d*", lines[at])) if lines else []
            if numbers:
                chosen = numbers[int(draw.integers(len(numbers)))]
                number = NUMBERS[int(draw.integers(len(NUMBERS)))] if draw.integers(2) else str(round(draw.normal(), 3))
                lines[at] = lines[at][: chosen.start()] + number + lines[at][chosen.end() :]
            continue
        if not lines or kind == 0:
            lines.insert(at, word)
        elif kind == 1:
            del lines[at]
        elif kind == 2:
            lines.insert(at, lines[int(draw.integers(len(lines)))])
        elif kind == 3:
            lines[at] = lines[at].partition(":")[0] + ": " + word
        elif kind == 4:
            parts = lines[at].replace(",", " , ").split(" ")
            parts[int(draw.integers(len(parts)))] = word
            lines[at] = " ".join(parts)
        elif kind == 5:
            lines[at] = " " * int(draw.integers(8)) + lines[at].strip()
        else:
            characters = list(lines[at] or "x")
            characters[int(draw.integers(len(characters)))] = chr(int(draw.integers(1, 300)))
            lines[at] = "".join(characters)
    return "\n".join(lines)


def changed_bytes(draw: Draw, content: bytes) -> bytes:
    """Bytes with some changed, cut off, or added."""
    kind = int(draw.integers(5))
    if kind == 0:
        return content[: int(draw.integers(len(content) + 1))]
    if kind == 1:
        at = int(draw.integers(len(content) + 1))
        return content[:at] + draw.bytes(int(draw.integers(1, 100))) + content[at:]
    data = bytearray(content)
    for _ in range(int(draw.integers(1, 2 if kind == 2 else 20))):
        data[int(draw.integers(min(len(data), 4096) if kind == 3 else len(data)))] = int(draw.integers(256))
    return bytes(data)


def saved_files(folder: Path) -> dict[str, tuple[Path, Callable[[Path], Any]]]:
    """One file of every kind that mmopt saves, and what reads it."""
    textbook = read_network("textbook")
    box = Domain({"EX_glc__D_e": (0.0, 12.0), "EX_o2_e": (0.0, 16.0)})
    cell = load_surrogate("ecoli_textbook")
    start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, 2), {"feed": (0.0, 0.1)}, {"volume": (None, 2.1)})
    atlas = Atlas(textbook, box)
    atlas.explore(most=20)
    run = simulate(problem.system, start, {"feed": ConstantFeed(0.01)}, 1.0, cell, points=5)
    campaign = run_campaign(
        ControlledBatch(problem, cell, cell, 1.0, noise={"biomass": 0.01}), range(2), folder=folder / "c"
    )
    plan = optimise(problem, cell)
    cell.save(folder / "cell")
    return {
        "surrogate document": (folder / "cell" / "surrogate.json", lambda path: load_surrogate(path.parent)),
        "surrogate arrays": (folder / "cell" / "arrays.npz", lambda path: load_surrogate(path.parent)),
        "atlas": (atlas.save(folder / "atlas.nc"), lambda path: load_atlas(path, textbook)),
        "table": (
            tabulate_fluxes(textbook, box, 20, 1).save(folder / "table.nc"),
            lambda path: load_table(path, textbook),
        ),
        "trajectory": (run.save(folder / "run.nc"), load_trajectory),
        "plan": (plan.save(folder / "plan.nc"), lambda path: load_plan(path, problem)),
        "closed loop": (folder / "c" / "seed_0.nc", load_closed_loop),
        "campaign": (campaign.save(folder / "campaign.nc"), load_campaign),
        "summary": (RunSummary(title="A").write(folder), lambda path: read_summary(path.parent)),
        "feed table": (plan.feed_table().to_csv(folder / "feed.csv"), read_feed),
    }


def cases(kind: str, files: dict[str, Any], at: Path, draw: Draw) -> tuple[str, Callable[[], Any]]:
    """A case of a kind: what it is, and what to call."""
    if kind == "studies":
        path, text = at / "study.yaml", STUDY if draw.integers(2) else study_template()
        content = changed_text(draw, text).encode("utf-8", "surrogatepass")
        path.write_bytes(changed_bytes(draw, content) if draw.integers(4) == 0 else content)
        return repr(content[-200:]), lambda: read_study(path)
    if kind == "feed tables":
        path, content = at / "feed.csv", changed_text(draw, str(draw.choice(np.array(TABLES)))).encode()
        path.write_bytes(changed_bytes(draw, content) if draw.integers(4) == 0 else content)
        hours, density = (None, 4.0)[int(draw.integers(2))], (None, 1.2)[int(draw.integers(2))]
        return repr(content), lambda: read_feed(path, hours=hours, density=density)
    if kind == "saved files":
        name = str(draw.choice(np.array(list(files))))
        path, read = files[name]
        if "surrogate" in name:
            shutil.copytree(path.parent, at / "cell", dirs_exist_ok=True)
            copy = at / "cell" / path.name
        else:
            copy = at / path.name
        copy.write_bytes(changed_bytes(draw, path.read_bytes()))
        return name, lambda: read(copy)
    name = str(draw.choice(np.array(list(CONSTRUCTORS))))
    build, arguments = CONSTRUCTORS[name]
    chosen = draw.choice(np.array(list(arguments)), size=min(len(arguments), int(draw.integers(1, 4))), replace=False)
    given = {**arguments, **{str(one): anything(draw) for one in chosen}}
    shown = {str(one): repr(given[str(one)])[:60] for one in chosen}
    return f"{name} {shown}", lambda: build(**given)


def block(kind: str, seeds: list[int], files: dict[str, Any], results: Any) -> None:
    """Run cases, and send the result of each."""
    warnings.simplefilter("ignore")
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            what, call = cases(kind, files, Path(folder), np.random.default_rng(seed))
            results.send((seed, what, "begun", 0.0, 0.0))
            begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            try:
                call()
                ended = "accepted"
            except MmoptError:
                ended = "refused"
            except BaseException as error:
                ended = f"{type(error).__name__}: {error}"[:300]
            taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024.0
            results.send((seed, what, ended, time.perf_counter() - begun, taken))
    results.close()


def run_block(kind: str, seeds: list[int], files: dict[str, Any]) -> list[tuple[int, str, str, float, float]]:
    """Run cases in a process; where it dies, that is the result of the case it was at."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=block, args=(kind, seeds, files, sender))
    process.start()
    sender.close()
    rows: list[tuple[int, str, str, float, float]] = []
    while True:
        try:
            row = receiver.recv() if receiver.poll(PATIENCE) else None
        except EOFError:
            break
        if row is None:
            process.kill()
            break
        if rows and rows[-1][2] == "begun":
            rows.pop()
        rows.append(row)
    process.join()
    if rows and rows[-1][2] == "begun":
        rows[-1] = (*rows[-1][:2], f"the process ended with {process.exitcode}", PATIENCE, 0.0)
    done = {row[0] for row in rows}
    rest = [seed for seed in seeds if seed not in done]
    return [*rows, *(run_block(kind, rest, files) if rest and rest != seeds else [])]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    results: dict[str, Any] = {}
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        files = saved_files(Path(folder))
        for path, read in files.values():
            read(path)  # as it is, every file is accepted
        for number, kind in enumerate(("studies", "feed tables", "saved files", "constructors")):
            first = 1_000_000 * given.seed + 100_000 * number
            seeds = list(range(first, first + given.count // 4))
            rows = [row for at in range(0, len(seeds), BLOCK) for row in run_block(kind, seeds[at : at + BLOCK], files)]
            wrong = [row for row in rows if row[2] not in ("accepted", "refused")]
            late = [row for row in rows if row[3] > SLOW or row[4] > LARGE]
            bad += len(wrong) + len(late)
            for row in [*wrong, *late]:
                print(kind, *row, flush=True)
            results[kind] = {
                "cases": len(rows),
                "refused": sum(row[2] == "refused" for row in rows),
                "accepted": sum(row[2] == "accepted" for row in rows),
                "other endings": len(wrong),
                "slowest [s]": round(max(row[3] for row in rows), 2),
                "most memory taken [MB]": round(max(row[4] for row in rows), 1),
            }
            print(kind, json.dumps(results[kind]), flush=True)
    TARGET.write_text(json.dumps({"seed": given.seed, **results}, indent=1) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

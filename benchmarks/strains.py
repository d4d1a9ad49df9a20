"""All genes of iJO1366 knocked out one at a time and ranked by what a fed-batch yields, on two processes, killed and resumed.

    python benchmarks/strains.py

The ranking runs in a process of its own that is killed after a third of the strains, and is resumed; the table is compared with
one that was made again for every tenth strain. Results go into ``results/strains.json``.
"""

import json
import multiprocessing
import tempfile
import time
from pathlib import Path

from mmopt import ExponentialFeed, Horizon, Problem, ecoli_fed_batch, load_surrogate, read_network
from mmopt.network.gene_rules import lost_by
from mmopt.strains import Ranking, rank_knockouts

TARGET = Path(__file__).parent / "results" / "strains.json"
START = {"volume": 2.0, "biomass": 0.5, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
WORKERS, HOURS, EVERY = 2, 12.0, 10


def ranked(folder: Path | None, genes: tuple[str, ...], workers: int = WORKERS) -> Ranking:
    """The ranking by biomass at the end of the batch, which is productivity times its hours."""
    limits = {"oxygen_saturation": (20.0, None)}
    problem = Problem(ecoli_fed_batch(), START, Horizon(HOURS, 24), {"feed": (0.0, 0.1)}, limits)
    feed = {"feed": ExponentialFeed(0.003, 0.2, start=2.0)}
    domain = load_surrogate("ecoli_ijo1366").domain
    return rank_knockouts(read_network("iJO1366"), problem, feed, domain, genes, folder=folder, workers=workers)


def main() -> None:
    network = read_network("iJO1366")
    kinds = len({(), *lost_by(network, network.genes).values()})
    with tempfile.TemporaryDirectory() as place:
        folder, begun = Path(place), time.perf_counter()
        first = multiprocessing.get_context("spawn").Process(target=ranked, args=(folder, network.genes))
        first.start()
        journal = folder / "strains.jsonl"
        while first.is_alive() and (not journal.exists() or len(journal.read_text().splitlines()) < kinds // 3):
            time.sleep(0.5)
        first.kill()
        first.join()
        saved, killed = len(journal.read_text().splitlines()) - 1, time.perf_counter() - begun
        whole = ranked(folder, network.genes)
        seconds = time.perf_counter() - begun
    again = ranked(None, network.genes[::EVERY], 1).table
    same = bool(again.drop(columns="gain").equals(whole.table.loc[again.index].drop(columns="gain")))
    found = {
        "genes": len(network.genes),
        "simulations": kinds,
        "seconds, with the kill": seconds,
        "saved at the kill": saved,
        "seconds at the kill": killed,
        "every tenth made again is the same": same,
        "without a result": int(whole.table["objective"].isna().sum()),
        "grow no tenth": int((whole.table["gain"] < -0.9).sum()),
        "better than the wild type": int((whole.table["gain"] > 1.0e-6).sum()),
        "best": whole.table["gain"].head(5).round(5).to_dict(),
    }
    print(json.dumps(found, indent=1))
    TARGET.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

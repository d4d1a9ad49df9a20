"""Knock-outs ranked by what a batch yields, with exact fluxes and without a surrogate."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mmopt.checking import shown
from mmopt.errors import StudyError, first_line
from mmopt.fba.domain import Domain
from mmopt.io.files import write_whole
from mmopt.io.seal import digest
from mmopt.network.gene_rules import lost_by, reactions_lost
from mmopt.network.network import Network
from mmopt.parallel.sharing import solved
from mmopt.plan.plan import KEPT
from mmopt.problem.content import content_of
from mmopt.problem.problem import Problem
from mmopt.reactor.profiles import Profile
from mmopt.strains.strain import Batch

Progress = Callable[[int, int], None]

WILD_TYPE: Final = "wild type"
_JOURNAL: Final = "strains.jsonl"
_JOINED: Final = "+"
_NOTHING: Final = 1.0e-5
"""Objective of the wild type to which nothing is relative, in scales of the objective."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Strains in a batch, the best first.

    Attributes
    ----------
    table
        Row by strain: ``lost`` (number of reactions), ``objective``, ``gain`` (relative to the wild type; NaN if that has next
        to nothing), every final state, ``violation`` (largest, relative to the limit), ``violated`` (its limit), ``shortfall``
        (largest, of maintenance [mmol/gDW/h]) and ``reason`` (why there is no result).
    lost
        Reactions that every strain does not have.
    objective
        Name and unit of the objective.

    Examples
    --------
    >>> import pandas as pd
    >>> from mmopt.strains import Ranking
    >>> table = pd.DataFrame({"objective": [2.0, 1.0], "violation": [0.3, 0.0]}, index=["PGI", "wild type"])
    >>> list(Ranking(table, {}, "biomass [g]").best().index)
    ['wild type']
    """

    table: pd.DataFrame
    lost: Mapping[str, tuple[str, ...]]
    objective: str

    def best(self, count: int = 10, within: float = KEPT) -> pd.DataFrame:
        """Return the best strains that keep the limits.

        Parameters
        ----------
        count
            Number of strains at most.
        within
            Largest violation that counts as none, relative to the limit; by default that of a plan.

        Returns
        -------
        pandas.DataFrame
        """
        return self.table[self.table["violation"] <= within].head(count)

    def __repr__(self) -> str:
        named = ", ".join(f"{name} {value:.4g}" for name, value in self.table["objective"].head(3).items())
        return f"Ranking of {len(self.table)} strains by {self.objective}: {named}"


def rank_knockouts(
    network: Network,
    problem: Problem,
    controls: Mapping[str, Profile],
    domain: Domain,
    knockouts: Sequence[str | Sequence[str]] | None = None,
    *,
    folder: str | Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Ranking:
    """Rank strains by the objective of a batch.

    Strains without the same reactions are simulated once, those that lose none are the wild type. Fluxes are exact, those of an
    `Atlas` of every strain.

    Parameters
    ----------
    network
        The network of the wild type.
    problem
        Reactor, initial states, parameters, horizon, limits and objective; limits are looked at, not kept.
    controls
        Profile of every control, the same for all strains, such as those of a plan.
    domain
        Uptake limits for which exact fluxes are kept, such as those of a surrogate.
    knockouts
        Genes or reactions, or sequences of those that are taken together; by default all genes, one at a time.
    folder
        Folder in which every result is saved when it is known; a ranking that was ended continues there, and comes to the same
        table. By default nothing is saved.
    workers
        Processes; 1 is this one.
    scheduler
        Address of a running Dask scheduler; its workers simulate then.
    progress
        Called with (done, total) after every simulation.

    Returns
    -------
    Ranking
        With the wild type.

    Raises
    ------
    StudyError
        If an argument is of another kind, or the folder holds another ranking.
    NetworkError
        If a gene or reaction is unknown, or the network has no genes and no knock-outs are given.
    SolverError
        If workers die again and again.

    Examples
    --------
    >>> network = read_network("textbook")
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 4.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0), {"feed": (0.0, 0.1)})
    >>> domain = Domain({"EX_glc__D_e": (0.0, 11.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 3.0)})
    >>> ranking = rank_knockouts(network, problem, {"feed": ConstantFeed(0.0)}, domain, ["b1723", "PGI", ("PFK", "PGI")])
    >>> ranking.table["objective"].round(2).to_dict()
    {'wild type': 5.28, 'b1723': 5.28, 'PGI': 5.09, 'PFK+PGI': 2.0}
    """
    batch = _checked(network, problem, controls, domain)
    lost = {WILD_TYPE: (), **_lost(network, knockouts)}
    saved = _Saved(None if folder is None else Path(folder), batch)
    kinds = list(dict.fromkeys(lost.values()))
    results = {kind: saved.results[kind] for kind in kinds if kind in saved.results}
    waiting = {number: list(kind) for number, kind in enumerate(kinds) if kind not in results}
    if progress is not None:
        progress(len(results), len(kinds))
    strains = solved(batch, waiting, lambda k: f"the strain without {kinds[k]}", "rank_knockouts", workers, scheduler)
    for number, result in strains:
        results[kinds[number]] = saved.keep(kinds[number], result)
        if progress is not None:
            progress(len(results), len(kinds))
    return Ranking(_table(lost, results, problem), lost, f"{problem.objective.name} [{problem.objective.unit}]")


def _checked(network: Network, problem: Problem, controls: Mapping[str, Profile], domain: Domain) -> Batch:
    for name, given, kind in (("network", network, Network), ("problem", problem, Problem), ("domain", domain, Domain)):
        if not isinstance(given, kind):
            raise StudyError(f"{name} is {shown(given)}; give a {kind.__name__}")
    if problem.has_choices:
        raise StudyError("strains are compared in one batch; give a fixed length, initial state and parameters")
    if not isinstance(controls, Mapping) or set(controls) != set(problem.controls):
        raise StudyError(f"controls is {shown(controls)}; give a profile of {', '.join(problem.controls)}")
    return Batch(network, problem, dict(controls), domain)


def _lost(network: Network, knockouts: Sequence[str | Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Reactions that every strain does not have, by its name."""
    if knockouts is None:
        if not network.genes:
            raise StudyError(f"{network.name} has no genes, since its source gives none; name reactions as knockouts=")
        knockouts = network.genes
    if isinstance(knockouts, str) or not isinstance(knockouts, Sequence) or not len(knockouts):
        raise StudyError(f"knockouts is {shown(knockouts)}; give genes or reactions, or sequences of them")
    for one in knockouts:
        names = [one] if isinstance(one, str) else one
        if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
            raise StudyError(f"knockouts names {shown(one)}; give the id of a gene or reaction, or a sequence of ids")
    single = [one for one in knockouts if isinstance(one, str)]
    lost = lost_by(network, single)
    together = {
        _JOINED.join(names): tuple(sorted(reactions_lost(network, *names), key=network.column))
        for names in knockouts
        if not isinstance(names, str)
    }
    return {**{name: lost[name] for name in single}, **together}


def _table(
    lost: Mapping[str, tuple[str, ...]], results: Mapping[tuple[str, ...], Mapping[str, Any]], problem: Problem
) -> pd.DataFrame:
    """The table, the best strain first; those without a result come last, and ties stay in the order given."""
    states = [state.name for state in problem.system.states]
    none = {
        "objective": float("nan"),
        "violation": float("nan"),
        "violated": "",
        "shortfall": float("nan"),
        "reason": "",
    }
    rows = {}
    for name, reactions in lost.items():
        result = {**none, **results[reactions]}
        final = result.pop("final", dict.fromkeys(states, float("nan")))
        rows[name] = {"lost": len(reactions), "objective": result["objective"], **final, **result}
    table = pd.DataFrame.from_dict(rows, orient="index")
    whole = float(table.loc[WILD_TYPE, "objective"])
    compared = abs(whole) > _NOTHING * problem.objective.scale
    table.insert(2, "gain", (table["objective"] - whole) / abs(whole) if compared else float("nan"))
    return table.sort_values("objective", ascending=False, kind="stable", na_position="last")


class _Saved:
    """Results in a folder, if there is one: a line each, the first of which says of which batch they are."""

    def __init__(self, folder: Path | None, batch: Batch) -> None:
        self._file = None if folder is None else folder / _JOURNAL
        self.results: dict[tuple[str, ...], dict[str, Any]] = {}
        if folder is None or self._file is None:
            return
        mark = json.dumps({"batch": digest(repr(content_of(batch)))})
        lines = self._file.read_bytes().decode("utf-8", "replace").split("\n")[:-1] if self._file.exists() else []
        if lines and lines[0] != mark:
            raise StudyError(f"{folder} holds the strains of another batch; give another folder, or remove this one")
        for number, line in enumerate(lines[1:], 2):
            try:
                reactions, result = json.loads(line)
                self.results[tuple(reactions)] = dict(result)
            except (ValueError, TypeError) as error:
                why = f"line {number} of {self._file} is no result ({first_line(error)})"
                raise StudyError(f"{why}; remove that line, and its strain is simulated again") from error
        kept = "".join(f"{line}\n" for line in lines or [mark])  # without a line that was not finished
        write_whole(self._file, lambda file: file.write_text(kept, encoding="utf-8"))

    def keep(self, reactions: tuple[str, ...], result: dict[str, Any]) -> dict[str, Any]:
        """Save a result, and return it as it is read again."""
        line = json.dumps([list(reactions), result])
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
                file.flush()
                os.fsync(file.fileno())
        return dict(json.loads(line)[1])

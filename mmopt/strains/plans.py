"""The best strains of a ranking, each with the optimal feed of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import pandas as pd

from mmopt.arguments import as_float, shown
from mmopt.errors import MmoptError, StudyError, first_line
from mmopt.fba.atlas import Atlas
from mmopt.fba.domain import Domain
from mmopt.network.network import Network
from mmopt.network.variants import knock_out
from mmopt.optimisation.optimise import optimise
from mmopt.plan.plan import Plan
from mmopt.problem.problem import Problem
from mmopt.search.options import OptimiseOptions
from mmopt.strains.ranking import WILD_TYPE, Ranking
from mmopt.surrogate.soft_law import soft_law

Progress = Callable[[int, int], None]

ERROR: Final = 0.05
"""Largest error of the soft law, relative to the range of any flux that matters."""


_DEFAULT: Final = OptimiseOptions()


@dataclass(frozen=True, eq=False)
class StrainPlans:
    """Strains with optimal feeds of their own, the best first.

    Attributes
    ----------
    table
        Row by strain: ``planned`` (objective of the plan), ``exact`` (of its replay on exact fluxes), ``gain`` (of that,
        relative to the wild type), ``keeps_limits``, and ``reason`` (why there is no plan).
    plans
        Plan by strain.

    Examples
    --------
    >>> StrainPlans(pd.DataFrame(index=["wild type"]), {}).table.index.to_list()
    ['wild type']
    """

    table: pd.DataFrame
    plans: Mapping[str, Plan]


def optimise_best(
    ranking: Ranking,
    network: Network,
    problem: Problem,
    domain: Domain,
    count: int = 3,
    *,
    error: float = ERROR,
    options: OptimiseOptions = _DEFAULT,
    progress: Progress | None = None,
) -> StrainPlans:
    """Optimise the best strains of a ranking and the wild type, each with its own soft law, replayed on its exact fluxes.

    A strain that violates limits with the feed of the ranking may keep them with its own, so all strains with a result count.

    Parameters
    ----------
    ranking
        The ranking.
    network
        The network of the wild type.
    problem
        What is optimised, such as that of the ranking.
    domain
        Uptake limits of the soft laws.
    count
        Number of strains besides the wild type; those that lose the same reactions count once.
    error
        Largest error of the soft laws, see `mmopt.soft_law`.
    options
        How optima are computed.
    progress
        Called with (done, total) after every strain.

    Returns
    -------
    StrainPlans

    Raises
    ------
    StudyError
        If an argument is of another kind, or ``count`` is no whole number from 1 up.

    Examples
    --------
    >>> network, feed = read_network("textbook"), {"feed": ConstantFeed(0.01)}
    >>> start = {"volume": 2.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.2}
    >>> problem = Problem(ecoli_fed_batch(), start, Horizon(2.0, 2), {"feed": (0.0, 0.1)}, {"oxygen_saturation": (20.0, None)})
    >>> domain = Domain({"EX_glc__D_e": (0.0, 11.0), "EX_o2_e": (0.0, 16.0), "EX_ac_e": (0.0, 3.0)})
    >>> from mmopt.strains import rank_knockouts
    >>> ranking = rank_knockouts(network, problem, feed, domain, ["PGI"])
    >>> plans = optimise_best(ranking, network, problem, domain, count=1)
    >>> sorted(plans.table.index), bool(plans.table["keeps_limits"].all())
    (['PGI', 'wild type'], True)
    """
    if not isinstance(ranking, Ranking):
        raise StudyError(f"ranking is {shown(ranking)}; give a Ranking, as rank_knockouts returns it")
    if not (as_float(count) >= 1.0 and as_float(count) % 1.0 == 0.0):
        raise StudyError(f"count is {shown(count)}; give a whole number, at least 1")
    strains = [WILD_TYPE, *_best(ranking, int(count))]
    plans, rows = {}, {}
    for done, name in enumerate(strains, 1):
        rows[name] = {"planned": float("nan"), "exact": float("nan"), "keeps_limits": False, "reason": ""}
        try:
            variant = knock_out(network, *ranking.lost[name]) if ranking.lost[name] else network
            atlas = Atlas(variant, domain)
            atlas.explore()
            plan = optimise(problem, soft_law(atlas, error=error), reference=atlas, options=options)
        except MmoptError as problem_of_strain:
            rows[name]["reason"] = first_line(problem_of_strain)
        else:
            exact = plan.on_reference or plan.replay(atlas)
            plans[name] = plan
            rows[name] |= {"planned": plan.objective, "exact": exact.objective, "keeps_limits": plan.keeps_limits}
        if progress is not None:
            progress(done, len(strains))
    table = pd.DataFrame.from_dict(rows, orient="index")
    whole = float(table.loc[WILD_TYPE, "exact"])
    table.insert(2, "gain", (table["exact"] - whole) / abs(whole))
    return StrainPlans(table.sort_values("exact", ascending=False, kind="stable"), plans)


def _best(ranking: Ranking, count: int) -> list[str]:
    """The best strains that lose other reactions than those before them."""
    best: list[str] = []
    seen = {ranking.lost[WILD_TYPE]}
    for name in ranking.table.index[ranking.table["objective"].notna()]:
        if ranking.lost[name] not in seen and len(best) < count:
            seen.add(ranking.lost[name])
            best.append(str(name))
    return best

"""Fluxes that change most between two times."""

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mmopt.arguments import whole
from mmopt.errors import StudyError
from mmopt.pathways.pathways import check_fluxes

_ROUNDING: Final = 1.0e-6
"""Change of a flux below which it counts as none [mmol/gDW/h]."""


def largest_changes(fluxes: xr.DataArray, begin: float, end: float, count: int = 12) -> pd.DataFrame:
    """Tabulate the fluxes that change most between two times.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns.
    begin, end
        The times [h]; the nearest ones of the trajectory are taken.
    count
        Rows, at most.

    Returns
    -------
    pandas.DataFrame
        By reaction: the flux at both times, and the change [mmol/gDW/h]; the largest change first.

    Raises
    ------
    StudyError
        If a time lies outside the trajectory, or the count is no whole number above zero.

    Examples
    --------
    >>> start = {"volume": 1.0, "biomass": 0.5, "glucose": 2.0, "acetate": 0.0, "oxygen": 0.2}
    >>> cell = load_surrogate("ecoli_textbook")
    >>> batch = simulate(ecoli_fed_batch(), start, {"feed": ConstantFeed(0.0)}, 4.0, cell)
    >>> largest_changes(batch.fluxes(cell), 0.0, 4.0, count=3).index.tolist()
    ['ATPS4r', 'NADH16', 'CYTBD']
    """
    check_fluxes(fluxes)
    count = whole("count", count, least=1)
    first, last = float(fluxes.time[0]), float(fluxes.time[-1])
    for time in (begin, end):
        if not first <= time <= last:
            raise StudyError(f"{time} h is outside the trajectory, {first:g} to {last:g} h")
    at = [fluxes.sel(time=fluxes.time[int(np.abs(fluxes.time.values - time).argmin())].item()) for time in (begin, end)]
    before, after = (one.values if one.ndim == 1 else one.values[:, -1] for one in at)
    change = after - before
    order = np.argsort(-np.abs(change), kind="stable")
    order = order[np.abs(change[order]) > _ROUNDING][:count]
    names = fluxes.reaction.values[order]
    columns = {f"{begin:g} h": before[order], f"{end:g} h": after[order], "change": change[order]}
    return pd.DataFrame(columns, index=pd.Index(names, name="reaction"))

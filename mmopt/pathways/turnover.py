"""Turnover of a metabolite, yields, and where the carbon goes."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from mmopt.checking import shown
from mmopt.errors import NetworkError, StudyError, nearest
from mmopt.network.network import Network
from mmopt.pathways.pathways import check_fluxes
from mmopt.units import RATE

_ROUNDING = 1.0e-9
"""Rate below which a flux counts as zero [mmol/gDW/h]."""


def turnover(fluxes: xr.DataArray, network: Network, metabolite: str) -> xr.DataArray:
    """Compute at which rate each reaction produces or consumes a metabolite.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns.
    network
        The network of the cell.
    metabolite
        Id of a metabolite, such as ``atp_c`` or ``nadph_c``.

    Returns
    -------
    xarray.DataArray
        Rates [mmol/gDW/h] by ``reaction`` and ``time``, above zero where it is produced; the reaction that turns over most
        comes first, and those that never do are left out. Their sum is zero at every time.

    Raises
    ------
    NetworkError
        If the network has no such metabolite, or the fluxes are of another network.

    Examples
    --------
    >>> network = read_network("textbook")
    >>> program = FluxProgram(network, ["EX_glc__D_e"])
    >>> fluxes = flux_array(program, np.array([[10.0]]), np.array([0.0]))
    >>> turnover(fluxes, network, "atp_c")[:2, 0].round(2).to_series()
    reaction
    Biomass_Ecoli_core   -52.27
    ATPS4r                45.51
    Name: atp_c, dtype: float64
    """
    check_fluxes(fluxes, network)
    if metabolite not in network.metabolites:
        raise NetworkError(
            f"{network.name} has no metabolite {shown(metabolite)}; {nearest(str(metabolite), network.metabolites)}"
        )
    columns = _columns(fluxes, network)
    row = network.stoichiometry[[network.metabolites.index(metabolite)], :].toarray()[0, columns]
    nonzero = np.flatnonzero(row)
    rates: xr.DataArray = fluxes[nonzero] * row[nonzero, None]
    largest = np.abs(rates.values).max(axis=1, initial=0.0)
    order = np.argsort(-largest, kind="stable")
    rates = rates[order[largest[order] > _ROUNDING]].rename(metabolite)
    return rates.assign_attrs(units=RATE, long_name=f"{metabolite} produced", biomass=fluxes.attrs["biomass"])


def yields(fluxes: xr.DataArray, substrate: str, products: Iterable[str] = ()) -> xr.DataArray:
    """Compute the yields on a substrate.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns.
    substrate
        Exchange of the substrate.
    products
        Exchanges of products [mol/mol]; the biomass comes first, in gDW/mmol.

    Returns
    -------
    xarray.DataArray
        By ``reaction`` and ``time``; NaN where no substrate is taken up.

    Raises
    ------
    StudyError
        If the fluxes have no such reaction.

    Examples
    --------
    >>> program = FluxProgram(read_network("textbook"), ["EX_glc__D_e", "EX_o2_e"])
    >>> fluxes = flux_array(program, np.array([[10.0, 15.0]]), np.array([0.0]))
    >>> yields(fluxes, "EX_glc__D_e", ["EX_ac_e"]).values.round(4).tolist()
    [[0.0718], [0.6811]]
    """
    check_fluxes(fluxes)
    taken = -_flux(fluxes, substrate)
    wanted = [fluxes.attrs["biomass"], *products]
    formed = xr.concat([_flux(fluxes, name) for name in wanted], dim="reaction")
    ratio = (formed / taken.where(taken > _ROUNDING)).rename("yield")
    ratio.attrs = {"long_name": f"yield on {substrate}", "units": "gDW/mmol for biomass, mol/mol for exchanges"}
    return ratio


def respiratory_quotient(
    fluxes: xr.DataArray, carbon_dioxide: str = "EX_co2_e", oxygen: str = "EX_o2_e"
) -> xr.DataArray:
    """Compute the respiratory quotient, carbon dioxide formed per oxygen taken up.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns.
    carbon_dioxide, oxygen
        Their exchanges.

    Returns
    -------
    xarray.DataArray
        By ``time`` [mol/mol]; NaN where no oxygen is taken up.

    Raises
    ------
    StudyError
        If the fluxes have no such reaction.

    Examples
    --------
    >>> program = FluxProgram(read_network("textbook"), ["EX_glc__D_e"])
    >>> respiratory_quotient(flux_array(program, np.array([[10.0]]), np.array([0.0]))).values.round(3).tolist()
    [1.046]
    """
    check_fluxes(fluxes)
    taken = -_flux(fluxes, oxygen)
    formed = _flux(fluxes, carbon_dioxide).drop_vars("reaction")
    quotient = (formed / taken.drop_vars("reaction").where(taken > _ROUNDING)).rename("respiratory_quotient")
    quotient.attrs = {"long_name": "respiratory quotient", "units": "mol/mol"}
    return quotient


def carbon_shares(fluxes: xr.DataArray, network: Network) -> xr.DataArray:
    """Compute where the carbon that is taken up goes.

    Parameters
    ----------
    fluxes
        What `Trajectory.fluxes` returns.
    network
        The network of the cell.

    Returns
    -------
    xarray.DataArray
        Fraction of the carbon taken up that leaves by each exchange, by ``reaction`` and ``time``; what stays is in the row
        of the biomass reaction. NaN where no carbon is taken up. Exchanges that never carry any are left out.

    Raises
    ------
    NetworkError
        If the fluxes are of another network.

    Examples
    --------
    >>> network = read_network("textbook")
    >>> program = FluxProgram(network, ["EX_glc__D_e"])
    >>> carbon_shares(flux_array(program, np.array([[10.0]]), np.array([0.0])), network).to_series().round(3).to_dict()
    {('Biomass_Ecoli_core', 0.0): 0.62, ('EX_co2_e', 0.0): 0.38}
    """
    check_fluxes(fluxes, network)
    _columns(fluxes, network)
    carbon = np.array([network.carbon.get(name, 0.0) for name in network.exchanges])
    through = fluxes.sel(reaction=list(network.exchanges)) * carbon[:, None]
    taken: xr.DataArray = -through.clip(max=0.0).sum("reaction")
    taken = taken.where(taken > _ROUNDING)
    leaving = through.clip(min=0.0) / taken
    leaving = leaving[np.flatnonzero(np.nan_to_num(leaving.values).max(axis=1, initial=0.0) > _ROUNDING)]
    staying = (
        (1.0 - leaving.sum("reaction", skipna=False)).where(taken.notnull()).expand_dims(reaction=[network.biomass])
    )
    shares = xr.concat([staying, leaving], dim="reaction").rename("carbon_share")
    shares.attrs = {"long_name": "fraction of the carbon taken up", "units": "1"}
    return shares


def _flux(fluxes: xr.DataArray, reaction: str) -> xr.DataArray:
    if reaction not in fluxes.reaction.values:
        raise StudyError(f"there is no reaction {shown(reaction)}; {nearest(str(reaction), fluxes.reaction.values)}")
    return fluxes.sel(reaction=reaction)


def _columns(fluxes: xr.DataArray, network: Network) -> list[int]:
    """Columns of the reactions in the network."""
    return [network.column(str(reaction)) for reaction in fluxes.reaction.values]

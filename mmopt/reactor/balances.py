"""Mass balances of a well-mixed bioreactor.

Everything here is plain arithmetic: floats, NumPy arrays and Pyomo expressions pass through unchanged, so simulation,
optimisation and estimation share one set of equations.
"""

from typing import Any


def volume_balance(feed: Any) -> Any:
    """Compute dV/dt of a vessel that is only fed.

    Parameters
    ----------
    feed
        Feed [L/h].

    Returns
    -------
    Any
        dV/dt [L/h].

    Examples
    --------
    >>> volume_balance(0.1)
    0.1
    """
    return feed


def biomass_balance(biomass: Any, growth: Any, decay: Any, dilution: Any) -> Any:
    """Compute dX/dt of the biomass.

    Parameters
    ----------
    biomass
        Concentration X [g/L].
    growth, decay, dilution
        Specific rates [1/h].

    Returns
    -------
    Any
        dX/dt [g/L/h].

    Examples
    --------
    >>> biomass_balance(10.0, growth=0.5, decay=0.0, dilution=0.25)
    2.5
    """
    return (growth - decay - dilution) * biomass


def species_balance(concentration: Any, fed: Any, dilution: Any, production: Any, transfer: Any = 0.0) -> Any:
    """Compute dC/dt of a dissolved species.

    Parameters
    ----------
    concentration, fed
        Concentration in the vessel and in the feed, in one unit.
    dilution
        Feed divided by volume [1/h].
    production, transfer
        Rates of production by the biomass and of transfer from the gas, in that unit per hour.

    Returns
    -------
    Any
        dC/dt, in that unit per hour.

    Examples
    --------
    >>> species_balance(concentration=1.0, fed=500.0, dilution=0.01, production=-4.0)
    0.9900000000000002
    """
    return dilution * (fed - concentration) + production + transfer


def oxygen_transfer(kla: Any, saturation: Any, concentration: Any) -> Any:
    """Compute the oxygen transfer rate, kLa (C* - C).

    Parameters
    ----------
    kla
        Volumetric mass transfer coefficient [1/h].
    saturation, concentration
        C* and C [mmol/L].

    Returns
    -------
    Any
        Transfer from gas to liquid [mmol/L/h].

    Examples
    --------
    >>> oxygen_transfer(kla=300.0, saturation=0.25, concentration=0.125)
    37.5
    """
    return kla * (saturation - concentration)

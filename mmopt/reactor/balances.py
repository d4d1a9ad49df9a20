"""Mass balances of a well-mixed bioreactor.

Everything here is plain arithmetic: floats, NumPy arrays and Pyomo expressions pass through unchanged, so simulation,
optimisation and estimation share one set of equations.
"""

from typing import Any


def volume_balance(feed: Any) -> Any:
    """dV/dt [L/h] of a vessel that is only fed [L/h]."""
    return feed


def biomass_balance(biomass: Any, growth: Any, decay: Any, dilution: Any) -> Any:
    """dX/dt [g/L/h] from growth, decay and dilution [1/h]."""
    return (growth - decay - dilution) * biomass


def species_balance(concentration: Any, fed: Any, dilution: Any, production: Any, transfer: Any = 0.0) -> Any:
    """dC/dt of a dissolved species.

    Parameters
    ----------
    concentration, fed
        In the vessel and in the feed, in one unit.
    dilution
        Feed over volume [1/h].
    production, transfer
        By the biomass and from the gas, in that unit per hour.

    Examples
    --------
    >>> species_balance(concentration=1.0, fed=500.0, dilution=0.01, production=-4.0)
    0.9900000000000002
    """
    return dilution * (fed - concentration) + production + transfer


def oxygen_transfer(kla: Any, saturation: Any, concentration: Any) -> Any:
    """Oxygen transfer rate, kLa (C* - C) [mmol/L/h]."""
    return kla * (saturation - concentration)

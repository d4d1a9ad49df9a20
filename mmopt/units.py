"""The unit of every quantity, once.

Concentrations are g/L for biomass and substrates, mmol/L where the field counts moles; specific rates mmol/gDW/h;
growth 1/h; volume L; feed L/h; flows of gas L/min; time h. Only `grams` and `millimoles` convert between millimoles and grams.
"""

from typing import Any, Final

TIME: Final = "h"
VOLUME: Final = "L"
FEED: Final = "L/h"
GAS_FLOW: Final = "L/min"
MASS_CONCENTRATION: Final = "g/L"
MOLAR_CONCENTRATION: Final = "mmol/L"
RATE: Final = "mmol/gDW/h"
GROWTH_UNIT: Final = "1/h"
TRANSFER: Final = "1/h"
TRANSFER_RATE: Final = "mmol/L/h"
HEAT: Final = "kJ/L/h"

_MILLI: Final = 1.0e-3


def grams(millimoles: Any, molar_mass: float) -> Any:
    """Convert an amount from mmol to g.

    Parameters
    ----------
    millimoles
        Amount [mmol]: a number, an array or a Pyomo expression.
    molar_mass
        Molar mass [g/mol].

    Returns
    -------
    Any
        Amount [g], of the same kind.

    Examples
    --------
    >>> grams(10.0, 180.156)
    1.80156
    """
    return millimoles * (molar_mass * _MILLI)


def millimoles(grams: Any, molar_mass: float) -> Any:
    """Convert an amount from g to mmol.

    Parameters
    ----------
    grams
        Amount [g]: a number, an array or a Pyomo expression.
    molar_mass
        Molar mass [g/mol].

    Returns
    -------
    Any
        Amount [mmol], of the same kind.

    Examples
    --------
    >>> round(millimoles(1.80156, 180.156), 9)
    10.0
    """
    return grams / (molar_mass * _MILLI)

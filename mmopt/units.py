"""The unit of every quantity, once.

Concentrations are g/L for biomass and for what is fed, mmol/L where the field counts moles; specific rates mmol/gDW/h;
growth 1/h; volume L; feed L/h; time h. Millimoles meet grams in `grams` and `millimoles` alone.
"""

from typing import Any, Final

TIME: Final = "h"
VOLUME: Final = "L"
FEED: Final = "L/h"
MASS_CONCENTRATION: Final = "g/L"
MOLAR_CONCENTRATION: Final = "mmol/L"
RATE: Final = "mmol/gDW/h"
GROWTH_UNIT: Final = "1/h"
TRANSFER: Final = "1/h"
TRANSFER_RATE: Final = "mmol/L/h"
HEAT: Final = "kJ/L/h"

_MILLI: Final = 1.0e-3


def grams(millimoles: Any, molar_mass: float) -> Any:
    """Turn an amount in mmol into g; ``molar_mass`` in g/mol.

    Examples
    --------
    >>> grams(10.0, 180.156)
    1.80156
    """
    return millimoles * (molar_mass * _MILLI)


def millimoles(grams: Any, molar_mass: float) -> Any:
    """Turn an amount in g into mmol; ``molar_mass`` in g/mol.

    Examples
    --------
    >>> round(millimoles(1.80156, 180.156), 9)
    10.0
    """
    return grams / (molar_mass * _MILLI)

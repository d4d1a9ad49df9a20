"""Components of a bioreactor: dissolved species, and aeration."""

from typing import Any

from mmopt.checking import Name, NotNegative, Positive, checked
from mmopt.errors import StudyError
from mmopt.reactor.uptake import Uptake
from mmopt.units import MASS_CONCENTRATION, MOLAR_CONCENTRATION, grams


@checked
class Species:
    """A dissolved species that the cell exchanges.

    Parameters
    ----------
    name
        Name of the state.
    exchange
        Exchange reaction in the network.
    unit
        ``g/L`` (then ``molar_mass`` is needed) or ``mmol/L``.
    molar_mass
        Molar mass [g/mol].
    uptake
        Uptake law; None if the species is only produced.
    fed
        Concentration in the feed, in its unit.
    scale
        Typical concentration, in its unit.

    Raises
    ------
    StudyError
        If an argument is of the wrong type or out of range, or the molar mass is missing.

    Examples
    --------
    >>> Species("acetate", "EX_ac_e", molar_mass=59.044).amount(10.0)
    0.59044
    """

    name: Name
    exchange: Name
    unit: str = MASS_CONCENTRATION
    molar_mass: Positive | None = None
    uptake: Uptake | None = None
    fed: NotNegative = 0.0
    scale: Positive = 1.0

    def __post_init__(self) -> None:
        if self.unit not in (MASS_CONCENTRATION, MOLAR_CONCENTRATION):
            raise StudyError(f"unit '{self.unit:.30}' of {self.name} is unknown; use g/L or mmol/L")
        if self.unit == MASS_CONCENTRATION and self.molar_mass is None:
            raise StudyError(f"{self.name} is in g/L and needs its molar mass; give molar_mass in g/mol")

    def amount(self, millimoles: Any) -> Any:
        """Convert mmol into the unit of this species.

        Parameters
        ----------
        millimoles
            Amount [mmol], or anything proportional to it.

        Returns
        -------
        Any
            The same in g, or in mmol.
        """
        if self.molar_mass is None or self.unit != MASS_CONCENTRATION:
            return millimoles
        return grams(millimoles, self.molar_mass)


@checked
class Aeration:
    """Oxygen transfer from gas.

    Parameters
    ----------
    kla
        Volumetric mass transfer coefficient [1/h]; None where a component of the reactor computes it, such as a
        `StirredTank`.
    saturation
        Concentration in equilibrium with the gas [mmol/L], such as `saturation` computes.
    species
        Name of the aerated species.

    Raises
    ------
    StudyError
        If a number is not finite, ``kla`` is negative, or ``saturation`` is not above 0.

    Examples
    --------
    >>> Aeration(kla=300.0, saturation=0.21).species
    'oxygen'
    """

    kla: NotNegative | None
    saturation: Positive
    species: Name = "oxygen"

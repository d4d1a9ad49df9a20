"""Parameters of a bench-scale fed-batch of *E. coli* on glucose, each with its source.

Overflow is not programmed in: acetate appears where the flux program takes up more glucose than the oxygen that it can take
up is able to burn.
"""

from types import MappingProxyType
from typing import Final

from mmopt.reactor.bioreactor import Bioreactor
from mmopt.reactor.species import Aeration, Species
from mmopt.reactor.uptake import Uptake
from mmopt.units import MOLAR_CONCENTRATION

SOURCES: Final = MappingProxyType(
    {
        "glucose_vmax": "Varma and Palsson (1994), Appl. Environ. Microbiol. 60:3724, as cited by Hanly and Henson (2011)",
        "glucose_half": "assumed, in the range of open implementations of the model of Xu et al. (1999)",
        "glucose_inhibition_by_acetate": "Xu, Jahic and Enfors (1999), Biotechnol. Prog. 15:81 (constant for growth)",
        "glucose_fed": "a usual feed concentration",
        "acetate_vmax": "0.15 g/gDW/h; Xu et al. (1999) measured 0.12 to 0.18",
        "acetate_half": "assumed, as for glucose",
        "oxygen_vmax": "Varma and Palsson (1994), as cited by Hanly and Henson (2011)",
        "oxygen_half": "assumed: 89 % of the largest uptake at the critical 0.0082 mmol/L of Bauer and Shiloach (1974)",
        "kla": "upper end of the bench fermenter of Badino et al. (2000), J. Chem. Technol. Biotechnol. 75:469",
        "saturation": "air; Mahadevan et al. (2002), Biophys. J. 83:1331",
        "death": "none assumed",
    }
)
"""Source of every parameter of `ecoli_fed_batch`."""


def ecoli_fed_batch() -> Bioreactor:
    """Return a stirred bench fermenter with *E. coli*: volume, biomass, glucose, acetate and dissolved oxygen.

    Returns
    -------
    Bioreactor
        The reactor; its parameters have the sources of `SOURCES`.

    Examples
    --------
    >>> ecoli_fed_batch().defaults["glucose_fed"]
    500.0
    """
    return Bioreactor(
        species=(
            Species(
                "glucose", "EX_glc__D_e", molar_mass=180.156, uptake=Uptake(10.5, 0.05, {"acetate": 9.0}), fed=500.0
            ),
            Species("acetate", "EX_ac_e", molar_mass=59.044, uptake=Uptake(2.54, 0.05)),
            Species("oxygen", "EX_o2_e", MOLAR_CONCENTRATION, uptake=Uptake(15.0, 0.001), scale=0.1),
        ),
        aeration=Aeration(kla=300.0, saturation=0.21),
        sources=dict(SOURCES),
    )

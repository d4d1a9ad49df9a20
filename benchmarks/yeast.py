"""The network of yeast that benchmarks use, its soft law and its reactor.

iMM904 (Mo, Palsson and Herrgard (2009), BMC Syst. Biol. 3:37) lies in the wheel of cameo, which ``make bench`` puts beside the
packages, without its dependencies.
"""

import sys
from functools import cache
from pathlib import Path

from mmopt import Atlas, Bioreactor, Domain, Network, read_network
from mmopt.reactor import Aeration, Species, Uptake
from mmopt.surrogate import SoftLaw, soft_law

_FOLDER = Path(sys.prefix) / "cameo"
_FILE = _FOLDER / "cameo" / "models" / "json" / "iMM904.json"
GLUCOSE, OXYGEN, ETHANOL = "EX_glc__D_e", "EX_o2_e", "EX_etoh_e"
BOX = Domain({GLUCOSE: (0.0, 10.0), OXYGEN: (0.0, 8.0), ETHANOL: (0.0, 5.0)})


def network() -> Network:
    """Read iMM904; say what to do where it is missing."""
    if not _FILE.is_file():
        sys.exit(f"{_FILE} is missing; run make bench, or: pip install --no-deps --target {_FOLDER} cameo==0.13.6")
    return read_network(_FILE)


@cache
def law() -> SoftLaw:
    """The soft law: growth climbs a cliff with a trace of oxygen, which a small trained network does not follow."""
    atlas = Atlas(network(), BOX)
    atlas.explore()
    return soft_law(atlas, error=0.05)


def fed_batch() -> Bioreactor:
    """A stirred fermenter with yeast on glucose.

    The largest uptake of oxygen is near the 8 mmol/gDW/h of Sonnleitner and Kaeppeli (1986), Biotechnol. Bioeng. 28:927;
    that of glucose is assumed, about half of theirs; transfer and feed are those of the fed-batch of *E. coli*.
    """
    return Bioreactor(
        species=(
            Species("glucose", GLUCOSE, molar_mass=180.156, uptake=Uptake(9.5, 0.1), fed=500.0),
            Species("ethanol", ETHANOL, molar_mass=46.068, uptake=Uptake(4.5, 0.1)),
            Species("oxygen", OXYGEN, "mmol/L", uptake=Uptake(7.5, 0.001), scale=0.1),
        ),
        aeration=Aeration(kla=300.0, saturation=0.21),
    )

"""Pathways of central carbon metabolism by reaction ids of BiGG, as in the core network and in iJO1366 of *E. coli*."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

PATHWAYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "glycolysis": ("GLCpts", "GLCptspp", "PGI", "PFK", "FBA", "GAPD", "PGK", "ENO", "PYK", "PDH"),
        "pentose phosphate": ("G6PDH2r", "PGL", "GND", "RPI", "RPE", "TKT1", "TALA", "TKT2", "EDA"),
        "TCA and glyoxylate": (
            "CS",
            "ACONTa",
            "ICDHyr",
            "AKGDH",
            "SUCOAS",
            "SUCDi",
            "FUM",
            "MDH",
            "ICL",
            "MALS",
            "PPC",
        ),
        "acetate": ("PTAr", "ACKr", "ACS", "POX", "ACt2r", "EX_ac_e"),
        "oxidative phosphorylation": (
            "NADH16",
            "NADH16pp",
            "CYTBD",
            "CYTBDpp",
            "CYTBO3_4pp",
            "ATPS4r",
            "ATPS4rpp",
            "ATPM",
        ),
    }
)
"""Reactions of each pathway; see King et al. (2016), Nucleic Acids Res. 44:D515-D522 (BiGG Models), for the ids."""


def shown_reactions(pathway: str, reactions: Iterable[str]) -> tuple[str, ...]:
    """Return the reactions of a pathway that a network has.

    Parameters
    ----------
    pathway
        A name in `PATHWAYS`.
    reactions
        Reactions of the network.

    Returns
    -------
    tuple of str
        In the order of the pathway.

    Examples
    --------
    >>> shown_reactions("acetate", read_network("textbook").reactions)
    ('PTAr', 'ACKr', 'ACt2r', 'EX_ac_e')
    """
    known = set(reactions)
    return tuple(reaction for reaction in PATHWAYS[pathway] if reaction in known)

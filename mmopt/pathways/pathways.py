"""Pathways of central carbon metabolism by reaction ids of BiGG, as in the core network and in iJO1366 of *E. coli*."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import xarray as xr

from mmopt.checking import shown
from mmopt.errors import StudyError, nearest
from mmopt.network.network import Network

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

    Raises
    ------
    StudyError
        If there is no such pathway.

    Examples
    --------
    >>> shown_reactions("acetate", read_network("textbook").reactions)
    ('PTAr', 'ACKr', 'ACt2r', 'EX_ac_e')
    """
    if pathway not in PATHWAYS:
        raise StudyError(f"there is no pathway {shown(pathway)}; {nearest(str(pathway), PATHWAYS)}")
    known = set(reactions)
    return tuple(reaction for reaction in PATHWAYS[pathway] if reaction in known)


def check_fluxes(fluxes: Any, network: Any = None) -> None:
    """Raise an error if fluxes are not what `Trajectory.fluxes` returns, or a network is none.

    Parameters
    ----------
    fluxes
        Fluxes over time.
    network
        The network of the cell, if it is needed.

    Raises
    ------
    StudyError
        If they are of another kind.
    """
    if not isinstance(fluxes, xr.DataArray) or not {"reaction", "time"} <= set(fluxes.dims):
        raise StudyError(f"fluxes is {shown(fluxes)}; give what Trajectory.fluxes returns")
    if network is not None and not isinstance(network, Network):
        raise StudyError(f"network is {shown(network)}; give a Network, see read_network")

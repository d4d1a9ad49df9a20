"""Which part of a domain an atlas covers, and why it is not all of it."""

from typing import Final

import numpy as np

from mmopt.errors import SurrogateError
from mmopt.fba.atlas import Atlas

EXPLORED: Final = 1.0 - 1.0e-4
"""Fraction of the domain that the regions of an atlas must fill: what is missing is thinner than arithmetic."""

_NEARLY: Final = 0.97
"""The same with an estimate of the fraction without a solution, from some thousand points."""


def is_explored(atlas: Atlas) -> bool:
    """Return whether the regions of an atlas fill the part of its domain that has a solution.

    Parameters
    ----------
    atlas
        The atlas.

    Returns
    -------
    bool
    """
    covered, without = atlas.coverage, atlas.infeasible
    return covered >= EXPLORED or (without > 0.0 and covered > 0.0 and covered + without >= _NEARLY)


def check_explored(atlas: Atlas, *, partial: bool = False) -> None:
    """Refuse an atlas whose regions do not fill the part of its domain that has a solution.

    Parameters
    ----------
    atlas
        The atlas.
    partial
        Accept regions that fill only some of it.

    Raises
    ------
    SurrogateError
        If it is not explored, or has no region at all.
    """
    covered = atlas.coverage
    if len(atlas.regions) and (
        partial or covered + atlas.infeasible >= (EXPLORED if not atlas.infeasible else _NEARLY)
    ):
        return
    raise SurrogateError(
        f"the {len(atlas.regions)} regions known fill {covered:.3%} of the domain; call atlas.explore() first, use a smaller "
        "domain or fewer inputs, or give partial=True for errors on what is covered"
    )


def domain_note(atlas: Atlas) -> str | None:
    """Return what part of the domain errors are for, if it is not all of it.

    Parameters
    ----------
    atlas
        The atlas.

    Returns
    -------
    str or None
        A sentence.
    """
    if atlas.coverage >= EXPLORED:
        return None
    if is_explored(atlas):
        return (
            f"{1.0 - atlas.coverage:.1%} of the domain has no solution, since a reaction must run that cannot run there; "
            "the surrogate is trained, and its errors are searched, on the rest."
        )
    return (
        f"The {len(atlas.regions)} critical regions known cover {atlas.coverage:.1%} of the domain; errors are searched there "
        "alone."
    )


def covered_points(atlas: Atlas, points: np.ndarray) -> np.ndarray:
    """Return the points that lie in known regions.

    Parameters
    ----------
    atlas
        The atlas.
    points
        Shape (points, inputs).

    Returns
    -------
    ndarray
        Shape (covered points, inputs).
    """
    return points if atlas.coverage >= EXPLORED else points[atlas.regions.locate(points) >= 0]

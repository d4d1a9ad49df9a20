"""Uptake laws: the rate at which a cell can take up a species, from concentrations. Plain arithmetic, in any unit."""

from typing import Any


def monod(concentration: Any, vmax: Any, half: Any) -> Any:
    """Compute Monod's law, ``vmax c / (half + |c|)``.

    No concentration is negative, but trial steps of solvers are. Through the absolute value the law stays smooth and
    monotone there; without it, a step past ``-half`` passes a pole and turns a lack into an abundance.

    Parameters
    ----------
    concentration
        Concentration c.
    vmax
        Largest rate.
    half
        Concentration at half of it, in the unit of ``concentration``.

    Returns
    -------
    Any
        The rate, in the unit of ``vmax``.

    References
    ----------
    Monod (1949), Annu. Rev. Microbiol. 3:371-394.

    Examples
    --------
    >>> monod(0.05, 10.0, 0.05)
    5.0
    """
    return vmax * concentration / (half + abs(concentration))


def inhibited(rate: Any, inhibitor: Any, constant: Any) -> Any:
    """Compute a rate under non-competitive inhibition, ``rate / (1 + i / constant)``.

    Parameters
    ----------
    rate
        Rate without the inhibitor.
    inhibitor
        Concentration i of the inhibitor.
    constant
        Concentration that halves the rate, in the unit of ``inhibitor``.

    Returns
    -------
    Any
        The rate, in its unit.

    References
    ----------
    Xu, Jahic and Enfors (1999), Biotechnol. Prog. 15:81-90 (acetate in *E. coli*).

    Examples
    --------
    >>> inhibited(10.0, 9.0, 9.0)
    5.0
    """
    return rate / (1.0 + inhibitor / constant)

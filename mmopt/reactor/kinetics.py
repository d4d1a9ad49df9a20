"""Uptake laws: the rate at which a cell can take up a species, from concentrations. Plain arithmetic, in any unit.

No concentration is negative, but trial steps of solvers are. Through absolute values every law stays smooth and monotone
there; without them, a step past ``-half`` passes a pole and turns a lack into an abundance.
"""

import math
from typing import Any, Final

_LN2: Final = math.log(2.0)
_TINY: Final = 1.0e-12
"""In place of 0/0."""


def monod(concentration: Any, vmax: Any, half: Any) -> Any:
    """Compute Monod's law, ``vmax c / (half + c)``.

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


def haldane(concentration: Any, vmax: Any, half: Any, inhibition: Any) -> Any:
    """Compute Haldane's law of a substrate that inhibits its own uptake, ``vmax c / (half + c + c2 / inhibition)``.

    It is highest at ``(half inhibition)^0.5``, and there below ``vmax``.

    Parameters
    ----------
    concentration, vmax, half
        As for `monod`.
    inhibition
        Inhibition constant, in the unit of ``concentration``.

    Returns
    -------
    Any
        The rate, in the unit of ``vmax``.

    References
    ----------
    Andrews (1968), Biotechnol. Bioeng. 10:707-723.

    Examples
    --------
    >>> haldane(1.0, 12.0, 0.5, 2.0)
    6.0
    """
    return vmax * concentration / (half + abs(concentration) + concentration**2 / inhibition)


def contois(concentration: Any, vmax: Any, half: Any, biomass: Any) -> Any:
    """Compute the law of Contois, ``vmax c / (half X + c)``: dense cultures are slower.

    Parameters
    ----------
    concentration, vmax
        As for `monod`.
    half
        Constant, in the unit of ``concentration`` per g/L of biomass.
    biomass
        Biomass X [g/L].

    Returns
    -------
    Any
        The rate, in the unit of ``vmax``.

    References
    ----------
    Contois (1959), J. Gen. Microbiol. 21:40-50.

    Examples
    --------
    >>> round(contois(1.0, 10.0, 0.1, 10.0), 9)
    5.0
    """
    return vmax * concentration / (half * (abs(biomass) + _TINY) + abs(concentration))


def moser(concentration: Any, vmax: Any, half: Any, exponent: Any) -> Any:
    """Compute Moser's law, ``vmax c^n / (half^n + c^n)``.

    Parameters
    ----------
    concentration, vmax, half
        As for `monod`.
    exponent
        Exponent n, at least 1.

    Returns
    -------
    Any
        The rate, in the unit of ``vmax``.

    Examples
    --------
    >>> round(moser(2.0, 10.0, 1.0, 2.0), 9)
    8.0
    """
    size = (abs(concentration) / half + _TINY) ** (exponent - 1.0) / half
    return vmax * concentration * size / (1.0 + abs(concentration) * size)


def tessier(concentration: Any, vmax: Any, half: Any) -> Any:
    """Compute the law of Tessier, ``vmax (1 - exp(-c ln 2 / half))``.

    Parameters
    ----------
    concentration, vmax, half
        As for `monod`: ``half`` is where half of the rate is reached, ln 2 times the constant of the exponential.

    Returns
    -------
    Any
        The rate, in the unit of ``vmax``.

    Examples
    --------
    >>> round(tessier(0.05, 10.0, 0.05), 9)
    5.0
    """
    size = abs(concentration) + _TINY * half
    return vmax * (concentration / size) * (1.0 - math.e ** (-size * _LN2 / half))


def inhibited(rate: Any, inhibitor: Any, constant: Any) -> Any:
    """Compute a rate under non-competitive inhibition, ``rate / (1 + i / constant)``; smooth below zero, too.

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
        The rate, in its unit; below zero of the inhibitor at most twice the rate.

    References
    ----------
    Xu, Jahic and Enfors (1999), Biotechnol. Prog. 15:81-90 (acetate in *E. coli*).

    Examples
    --------
    >>> inhibited(10.0, 9.0, 9.0), inhibited(10.0, -9.0, 9.0)
    (5.0, 15.0)
    """
    return rate * (1.0 - inhibitor / (constant + abs(inhibitor)))


def competed(half: Any, competitor: Any, constant: Any) -> Any:
    """Compute a half-saturation constant under competitive inhibition, ``half (1 + i / constant)``.

    Parameters
    ----------
    half
        The constant without the competitor.
    competitor
        Concentration i of the competitor.
    constant
        Concentration that doubles it, in the unit of ``competitor``.

    Returns
    -------
    Any
        The constant, in its unit.

    Examples
    --------
    >>> competed(0.05, 2.0, 1.0)
    0.15000000000000002
    """
    return half * (1.0 + abs(competitor) / constant)

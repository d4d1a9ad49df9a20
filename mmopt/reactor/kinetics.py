"""Uptake laws: how fast a cell can take up what surrounds it. Pure arithmetic; the caller minds the units."""

from typing import Any


def monod(concentration: Any, vmax: Any, half: Any) -> Any:
    """Monod's law, ``vmax c / (half + |c|)``; ``half`` in the unit of ``concentration``.

    No concentration is negative, but trial steps of solvers are. Through the absolute value the law stays smooth and
    monotone there; without it, a step past ``-half`` meets a pole and turns a lack into an abundance.

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
    """Non-competitive inhibition, ``rate / (1 + i / constant)``.

    References
    ----------
    Xu, Jahic and Enfors (1999), Biotechnol. Prog. 15:81-90 (acetate in *E. coli*).

    Examples
    --------
    >>> inhibited(10.0, 9.0, 9.0)
    5.0
    """
    return rate / (1.0 + inhibitor / constant)

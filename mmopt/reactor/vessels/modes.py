"""Modes of operation, each a `Bioreactor` composed of the same species with other feeds and outflows."""

from dataclasses import replace

from mmopt.arguments import shown
from mmopt.errors import StudyError
from mmopt.reactor.bioreactor import Bioreactor
from mmopt.reactor.components.flows import Harvest, Overflow


def batch(reactor: Bioreactor) -> Bioreactor:
    """Return a vessel without feed: nothing flows in or out.

    Parameters
    ----------
    reactor
        A reactor of any mode.

    Returns
    -------
    Bioreactor

    Raises
    ------
    StudyError
        If ``reactor`` is no `Bioreactor`.

    Examples
    --------
    >>> batch(ecoli_fed_batch()).controls
    ()
    """
    closed = _without_outflows(reactor)
    species = tuple(replace(one, fed=0.0) for one in closed.species)
    return replace(closed, species=species, feeds=())


def fed_batch(reactor: Bioreactor) -> Bioreactor:
    """Return a vessel with its feeds and without harvest: the volume rises.

    A repeated fed-batch is the same, emptied in component from time to time: see `mmopt.simulation.simulate_cycles`.

    Parameters
    ----------
    reactor
        A reactor of any mode.

    Returns
    -------
    Bioreactor

    Raises
    ------
    StudyError
        If ``reactor`` is no `Bioreactor`, or has no feed.

    Examples
    --------
    >>> [control.name for control in fed_batch(chemostat(ecoli_fed_batch())).controls]
    ['feed']
    """
    return _fed(_without_outflows(reactor))


def chemostat(reactor: Bioreactor) -> Bioreactor:
    """Return a vessel with its feeds and an overflow that keeps the volume: at steady state growth equals dilution.

    Parameters
    ----------
    reactor
        A reactor of any mode.

    Returns
    -------
    Bioreactor

    Raises
    ------
    StudyError
        If ``reactor`` is no `Bioreactor`, or has no feed.

    References
    ----------
    Herbert et al. (1956), J. Gen. Microbiol. 14:601.

    Examples
    --------
    >>> reactor = chemostat(ecoli_fed_batch())
    >>> states = {"volume": 1.0, "biomass": 1.0, "glucose": 1.0, "acetate": 0.0, "oxygen": 0.1}
    >>> cell = load_surrogate("ecoli_textbook").rate_function(reactor.readings)
    >>> reactor.derivative(states, {"feed": 0.1}, reactor.defaults, cell)["volume"]
    0.0
    """
    return turned_into(_fed(reactor), Overflow())


def perfusion(reactor: Bioreactor, retention: float = 1.0) -> Bioreactor:
    """Return a vessel with its feeds, a bleed, and a harvest through a filter that keeps the volume.

    Parameters
    ----------
    reactor
        A reactor of any mode.
    retention
        Fraction of the biomass that the filter keeps in the vessel, the parameter ``overflow_retention``.

    Returns
    -------
    Bioreactor
        Its controls are the feeds and ``bleed`` [L/h].

    Raises
    ------
    StudyError
        If ``reactor`` is no `Bioreactor`, has no feed, or ``retention`` is no number from 0 to 1.

    Examples
    --------
    >>> [control.name for control in perfusion(ecoli_fed_batch(), 0.98).controls]
    ['feed', 'bleed']
    """
    return turned_into(_fed(reactor), Harvest("bleed"), Overflow(retention))


def turned_into(reactor: Bioreactor, *outflows: Harvest | Overflow) -> Bioreactor:
    """Return a vessel with other outflows in place of its own.

    Parameters
    ----------
    reactor
        A reactor of any mode.
    outflows
        The outflows.

    Returns
    -------
    Bioreactor

    Raises
    ------
    StudyError
        If ``reactor`` is no `Bioreactor`.

    Examples
    --------
    >>> [control.name for control in turned_into(ecoli_fed_batch(), Harvest("draw")).controls]
    ['feed', 'draw']
    """
    closed = _without_outflows(reactor)
    return replace(closed, components=(*closed.components, *outflows))


def _without_outflows(reactor: Bioreactor) -> Bioreactor:
    if not isinstance(reactor, Bioreactor):
        raise StudyError(f"reactor is {shown(reactor)}; give a Bioreactor")
    left = tuple(one for one in reactor.components if not isinstance(one, Harvest | Overflow))
    return replace(reactor, components=left)


def _fed(reactor: Bioreactor) -> Bioreactor:
    if isinstance(reactor, Bioreactor) and reactor.feeds == ():
        raise StudyError("the reactor has no feed; give it one, in feeds")
    return reactor

"""Gene rules: reactions that are lost with genes.

A rule such as ``"b1 and (b2 or b3)"`` names the genes a reaction needs. cobra reads it; a rule it cannot read is an error
here, since an empty rule means that the reaction needs no gene at all.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from mmopt.checking import shown
from mmopt.errors import NetworkError, nearest
from mmopt.network.formats import quiet
from mmopt.network.network import Network, checked_network

if TYPE_CHECKING:
    from cobra.core.gene import GPR


def reactions_lost(network: Network, *names: str) -> tuple[str, ...]:
    """Compute which reactions cannot run without some genes and reactions.

    Parameters
    ----------
    network
        The metabolic network.
    *names
        Ids of genes or reactions; a name that is both counts as the gene.

    Returns
    -------
    tuple of str
        Ids of the reactions, in the order of the network.

    Raises
    ------
    NetworkError
        If an id is unknown (the nearest known ids are named), or the rule of a reaction cannot be read.

    Examples
    --------
    >>> reactions_lost(read_network("textbook"), "b1723"), reactions_lost(read_network("textbook"), "b1723", "b3916")
    ((), ('PFK',))
    """
    genes, reactions = _sorted(network, names)
    lost = {reaction for reaction, rule in _rules_with(network, genes).items() if not rule.eval(genes)}
    return tuple(sorted(lost.union(reactions), key=network.column))


def lost_by(network: Network, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Compute the reactions that are lost with single genes or reactions; every rule is read once.

    Parameters
    ----------
    network
        The metabolic network.
    names
        Ids of genes or reactions; a name that is both counts as the gene.

    Returns
    -------
    dict
        Ids of the reactions by name, as `reactions_lost` returns them.

    Raises
    ------
    NetworkError
        As in `reactions_lost`.
    """
    names = list(names)
    genes, _ = _sorted(network, names)
    lost: dict[str, list[str]] = {name: [] if name in genes else [name] for name in names}
    for reaction, rule in _rules_with(network, genes).items():
        for gene in rule.genes & genes:
            if not rule.eval({gene}):
                lost[gene].append(reaction)
    return {name: tuple(sorted(reactions, key=network.column)) for name, reactions in lost.items()}


def _sorted(network: Network, names: Iterable[str]) -> tuple[set[str], set[str]]:
    """The genes and the reactions among the names."""
    known, names = set(checked_network(network).genes), list(names)
    for name in names:
        if not isinstance(name, str) or (name not in known and name not in network.index):
            near = nearest(name, (*network.genes, *network.reactions))
            raise NetworkError(f"{network.name} has no gene or reaction {shown(name)}; {near}")
    genes = known.intersection(names)
    return genes, set(names) - genes


def _rules_with(network: Network, genes: Collection[str]) -> dict[str, "GPR"]:
    """Rules by reaction whose text contains one of the genes."""
    return {
        reaction: _read_rule(reaction, rule)
        for reaction, rule in network.rules.items()
        if any(gene in rule for gene in genes)
    }


def _read_rule(reaction: str, rule: str) -> "GPR":
    from cobra.core.gene import GPR

    with quiet():  # cobra warns of a rule it cannot read, and returns an empty one
        try:
            rule_tree = GPR.from_string(rule)
        except (TypeError, RecursionError, MemoryError):
            rule_tree = GPR()
    if rule.strip() and not rule_tree.body:
        raise NetworkError(
            f"the gene rule of reaction '{reaction}' cannot be read: {rule!r:.80}; write it with and, or"
        )
    return rule_tree

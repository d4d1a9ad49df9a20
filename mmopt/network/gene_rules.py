"""Gene rules: reactions that are lost with genes.

A rule such as ``"b1 and (b2 or b3)"`` names the genes a reaction needs. Fluxes need no rules, so one that cannot be read is
an error only where a gene of it is removed: without a rule the reaction would need no gene at all.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mmopt.checking import shown
from mmopt.errors import NetworkError, nearest
from mmopt.network.network import Network, checked_network

_TOKEN: Final = re.compile(r"[()]|&&?|\|\|?|[^\s()&|]+")

_GENE: Final = re.compile(r"[\w.:@'/~#-]+")

_WORDS: Final = {"and": "and", "&": "and", "&&": "and", "or": "or", "|": "or", "||": "or", "not": "not", "xor": "xor"}

_UNREAD: Final = "gene rule that cannot be read"
"""Note of a reaction of cobra that holds the text of such a rule."""

_DEEPEST: Final = 50
"""Deepest nesting of a rule; those of published networks nest about five deep."""


@dataclass(frozen=True)
class GeneRule:
    """A gene, or rules of which all, or one, must hold.

    Attributes
    ----------
    needs
        ``gene``, ``and`` or ``or``.
    operands
        The gene, or the rules.
    """

    needs: str
    operands: "tuple[str | GeneRule, ...]"

    @property
    def genes(self) -> frozenset[str]:
        """Ids of the genes in the rule."""
        return frozenset().union(*({one} if isinstance(one, str) else one.genes for one in self.operands))

    def holds(self, lost: Collection[str]) -> bool:
        """Return whether the reaction runs without some genes.

        Parameters
        ----------
        lost
            Ids of the genes.

        Returns
        -------
        bool
            Whether the rule holds.
        """
        holds = (one not in lost if isinstance(one, str) else one.holds(lost) for one in self.operands)
        return any(holds) if self.needs == "or" else all(holds)

    def __str__(self) -> str:
        inner = (f"({one})" if not isinstance(one, str) and one.needs != "gene" else str(one) for one in self.operands)
        return f" {self.needs} ".join(inner)


def gene_rule(text: str) -> GeneRule | None:
    """Read a gene rule.

    Parameters
    ----------
    text
        Genes joined by ``and`` and ``or``, in any case, or by ``&`` and ``|``, with parentheses.

    Returns
    -------
    GeneRule or None
        The rule; None if it cannot be read.

    Examples
    --------
    >>> str(gene_rule("b1 AND (b2 || b3)"))
    'b1 and (b2 or b3)'
    >>> gene_rule("b1 or") is None
    True
    """
    tokens = [_WORDS.get(token.lower(), token) for token in _TOKEN.findall(text.replace("()", " "))]
    try:
        rule = _either(tokens, 0)
    except (IndexError, ValueError):
        return None
    return None if tokens else rule


def _either(tokens: list[str], depth: int) -> GeneRule:
    """Read alternatives from the front of the tokens, which are removed."""
    return _joined(tokens, depth, "or")


def _joined(tokens: list[str], depth: int, needs: str) -> GeneRule:
    rules = [_operand(tokens, depth, needs)]
    while tokens and tokens[0] == needs:
        tokens.pop(0)
        rules.append(_operand(tokens, depth, needs))
    return (
        rules[0]
        if len(rules) == 1
        else GeneRule(needs, tuple(one.operands[0] if one.needs == "gene" else one for one in rules))
    )


def _operand(tokens: list[str], depth: int, needs: str) -> GeneRule:
    if needs == "or":
        return _joined(tokens, depth, "and")
    word = tokens.pop(0)
    if word == "(" and depth < _DEEPEST:
        rule = _either(tokens, depth + 1)
        if tokens.pop(0) != ")":
            raise ValueError
        return rule
    if word in _WORDS or not _GENE.fullmatch(word):
        raise ValueError
    return GeneRule("gene", (word,))


def genes_in(text: str) -> tuple[str, ...]:
    """Return the ids that may be genes in a rule, whether it can be read or not.

    Parameters
    ----------
    text
        The rule.

    Returns
    -------
    tuple of str
        The ids, in their order.
    """
    words = re.findall(r"[\w.:@'-]+", text)
    return tuple(dict.fromkeys(word for word in words if word.lower() not in _WORDS and not word.isdigit()))


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
    lost = {reaction for reaction, rule in _rules_with(network, genes).items() if not rule.holds(genes)}
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
            if not rule.holds({gene}):
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


def _rules_with(network: Network, genes: Collection[str]) -> dict[str, GeneRule]:
    """Rules by reaction whose text contains one of the genes."""
    return {
        reaction: _read_rule(reaction, rule)
        for reaction, rule in network.rules.items()
        if any(gene in rule for gene in genes)
    }


def _read_rule(reaction: str, rule: str) -> GeneRule:
    read = gene_rule(rule)
    if read is None:
        raise NetworkError(
            f"the gene rule of reaction '{reaction}' cannot be read: {rule!r:.80}; write it with and, or"
        )
    return read


def set_rules(raw: Any, rules: Mapping[str, str]) -> None:
    """Give a network of cobra the rules of its file; one that cannot be read is kept as it is written.

    Parameters
    ----------
    raw
        A ``cobra.Model``, which is changed.
    rules
        Text of the rule by reaction id.
    """
    for reaction, text in rules.items():
        one, rule = raw.reactions.get_by_id(reaction), gene_rule(text)
        if rule is not None and not one.gene_reaction_rule:
            one.gene_reaction_rule = str(rule)
        if text.strip() and not one.gene_reaction_rule:
            one.notes[_UNREAD] = text


def rules_of(raw: Any) -> dict[str, str]:
    """Return the gene rules of a network of cobra, those that cannot be read included.

    Parameters
    ----------
    raw
        A ``cobra.Model``.

    Returns
    -------
    dict
        Text of the rule by reaction id.
    """
    texts = {one.id: one.gene_reaction_rule or one.notes.get(_UNREAD, "") for one in raw.reactions}
    return {reaction: text for reaction, text in texts.items() if text}

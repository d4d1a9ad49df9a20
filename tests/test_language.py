"""Names, docstrings, comments and messages use the standard words of the field."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.sources import SOURCES, Breach, identifiers, listing, prose, words_of

NAMES = MappingProxyType(
    {
        "asked": "requested",
        "attempt": "multi-start",
        "attempts": "multi-start",
        "certificate": "error report; of a basis: optimality certificate",
        "certify": "worst_case_errors",
        "crew": "pool",
        "crews": "pool",
        "drawn": "back-off, or the thing's own name",
        "each": "the thing's own name: state, species, region",
        "elsewhere": "the thing's own name",
        "everybody": "the thing's own name",
        "extreme": "conic generator",
        "found": "result, or the thing's own name",
        "front": "Pareto front",
        "heights": "max-affine weights",
        "how": "options",
        "judge": "reference",
        "judged": "replay",
        "judgement": "active limits",
        "label": "fluxes",
        "labels": "fluxes",
        "laws": "affine laws, uptake laws",
        "learn": "train",
        "learnt": "trained",
        "led": "the thing's own name",
        "lesson": "training set",
        "made": "the thing's own name",
        "margin": "back-off",
        "margins": "back-off",
        "model": "network, surrogate, reactor or problem: it would mean all four",
        "models": "networks, surrogates, reactors or problems",
        "nobody": "the thing's own name",
        "parcel": "payload",
        "parcels": "payload",
        "part": "fraction, section, segment, array",
        "parts": "fractions, sections, segments, arrays",
        "place": "index, position",
        "places": "indices, positions",
        "polish": "joint fit",
        "polished": "joint fit",
        "proofs": "optimality certificates",
        "sample": "tabulate",
        "sampled": "tabulated",
        "settled": "quasi-steady, factorised, fixed",
        "sheet": "accumulator",
        "snake": "sweep order",
        "somebody": "the thing's own name",
        "starving": "feed gap",
        "statement": "nonlinear program",
        "ties": "alternate optima",
        "told": "record, message, as_dict",
        "unrest": "move penalty",
        "wish": "initial guess",
        "wishes": "initial guesses",
    }
)
"""Words that no name holds, and what is said instead."""

QUALIFIED = MappingProxyType(
    {
        "certificate": {"optimality", "optimal"},  # a proved optimum has one
        "certificates": {"optimality", "optimal"},
        "front": {"pareto"},  # the Pareto front is its name
        "laws": {"affine", "uptake", "soft"},  # which laws is said
        "sample": {"time"},  # of a controller, the sample time
    }
)
"""Words that are standard beside another word of the same name."""

NAMES_OF_OTHERS = frozenset(
    {
        "model_config",  # pydantic reads it
        "external_model",  # Pyomo's grey box
    }
)
"""Names another package reads, so that they are not ours to choose."""

PROSE = MappingProxyType(
    {
        r"asked": "requested, given",
        r"ask(?:s|ing)? for": "request",
        r"certif(?:y|ies|ied)": "compute the error report",
        r"certificates?": "error report",
        r"crews?": "pool",
        r"every ?body|some ?body|nobody|who answers": "the thing's own name",
        r"(?:is|are) found|what was found": "return, compute, contain",
        r"(?:is|are|was|were) made (?:of|from|by)": "consists of, is built from",
        r"judg(?:e|es|ed|ing|e?ments?)": "reference metabolism, validation",
        r"label(?:s|led)?": "fluxes",
        r"learn(?:s|t|ed|ing)?": "train, fit",
        r"lessons?": "training set",
        r"margins?": "back-off",
        r"parcels?": "payload",
        r"polish(?:es|ed|ing)?": "joint fit",
        r"snakes?": "sweep order",
        r"(?:is|are|was|were|be|been) drawn in": "tightened",
        r"tell(?:s|ing)?|told": "return, report, state",
        r"unrest": "move penalty",
        r"wish(?:es|ed)?": "initial guess, target",
    }
)
"""Words that no docstring, comment or message uses, and what is said instead."""

_BANNED = {re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE): instead for pattern, instead in PROSE.items()}

STANDARD_PHRASES = re.compile(
    r"optimality certificates?|certificates? of (?:an? )?optimal\w*|"  # what is proved
    r"certificate (?:file|chain|verif\w+)|TLS certificates?|"  # of a connection
    r"deep learning|machine learning|"  # names of fields
    r"margin(?:s|-\w+)?: ?[\w-]+|"  # CSS
    r"labels? (?:in the legend|of the (?:axis|axes|inputs|outputs))|"  # Matplotlib's, IDAES's
    r"(?:axis|tick|x|y|symbolic|symbolic_solver)[ _]labels?|label=|aria-label\S*|<label\S*|"  # of a figure, of a solver's file
    r"\S*(?:[/_`]|\.\w)\S*",  # identifiers in a sentence: the test of names covers ours
    re.IGNORECASE,
)
"""Phrases in which a banned word is the standard one."""


def is_banned(word: str, words: set[str]) -> bool:
    return word in NAMES and not QUALIFIED.get(word, set()) & words


def banned_names(paths: list[Path] = SOURCES) -> Iterator[Breach]:
    for path in paths:
        for name, line in dict.fromkeys(identifiers(path)):
            words = words_of(name)
            if name in NAMES_OF_OTHERS:
                continue
            for word in sorted(words):
                if is_banned(word, words):
                    yield Breach(path, line, f"{name}: say {NAMES[word]}")


def banned_prose(paths: list[Path] = SOURCES) -> Iterator[Breach]:
    for path in paths:
        for text, line in prose(path):
            rest = STANDARD_PHRASES.sub(" ", text)
            for pattern, instead in _BANNED.items():
                if match := pattern.search(rest):
                    yield Breach(path, line, f"{match[0]!r}: say {instead}")


SCANS: dict[str, Callable[[], Iterator[Breach]]] = {"banned names": banned_names, "banned words": banned_prose}


def test_names_use_standard_words() -> None:
    breaches = list(banned_names())
    assert not breaches, listing(breaches)


def test_docstrings_comments_and_messages_use_standard_words() -> None:
    breaches = list(banned_prose())
    assert not breaches, listing(breaches)


@pytest.mark.parametrize(
    ("identifier", "words"),
    [("read_model", {"read", "model"}), ("ConcreteModel", {"concrete", "model"}), ("remodelled", {"remodelled"})],
)
def test_identifier_is_cut_into_its_words(identifier: str, words: set[str]) -> None:
    assert words_of(identifier) == words


@pytest.mark.parametrize(
    ("source", "breaches"),
    [
        ("found_it = 1", 1),
        ("class Crew:\n    def told(self, each): ...", 3),
        ("optimality_certificate = pareto_front = 1", 0),
        ("import pyomo.environ as pyo\nproblem = pyo.ConcreteModel()", 0),
    ],
)
def test_banned_name_is_noticed(tmp_path: Path, source: str, breaches: int) -> None:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert len(list(banned_names([path]))) == breaches


@pytest.mark.parametrize(
    ("source", "breaches"),
    [
        ('"""The judge is told."""', 2),
        ("x = 1  # nobody knows", 1),
        ('axis.plot(x, y, label="feed")', 0),
        ('"""The optimality certificate of a basis."""', 0),
    ],
)
def test_banned_word_is_noticed(tmp_path: Path, source: str, breaches: int) -> None:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    assert len(list(banned_prose([path]))) == breaches

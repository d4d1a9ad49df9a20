"""Parsed sources of mmopt, for the tests that hold the rules on language, documentation and structure.

``python -m tests.sources`` prints how many places break each rule, by folder.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import mmopt

PACKAGE = Path(mmopt.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in SOURCES} - {PACKAGE})

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Breach(NamedTuple):
    """One place where a rule is broken."""

    path: Path
    line: int
    text: str

    @property
    def folder(self) -> str:
        return "." if self.path.parent == PACKAGE else self.path.parent.relative_to(PACKAGE).as_posix()

    def __str__(self) -> str:
        return f"mmopt/{self.path.relative_to(PACKAGE).as_posix()}:{self.line}: {self.text}"


def listing(breaches: Iterable[Breach]) -> str:
    """Counts by folder, then every place: the message of a failing test."""
    breaches = list(breaches)
    counts = Counter(breach.folder for breach in breaches)
    by_folder = ", ".join(f"{folder} {count}" for folder, count in sorted(counts.items()))
    return f"{len(breaches)} ({by_folder})\n" + "\n".join(map(str, breaches))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


def words_of(identifier: str) -> set[str]:
    """Words of an identifier: snake_case and CamelCase are cut apart."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", identifier)}


def identifiers(path: Path) -> Iterator[tuple[str, int]]:
    """Every name that a file defines: itself, functions, classes, arguments, variables, attributes, import aliases.

    Names that are only used belong to whoever defines them: `pyo.ConcreteModel` is Pyomo's.
    """
    yield (path.parent.name if path.stem == "__init__" else path.stem), 1
    for node in ast.walk(tree_of(path)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.alias(asname=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, getattr(node, "lineno", 0)
            case ast.ExceptHandler(name=str(name)):
                yield name, node.lineno


def prose(path: Path) -> Iterator[tuple[str, int]]:
    """Every comment, and every text with a space in it: docstrings and messages."""
    for token in tokenize.generate_tokens(io.StringIO(text_of(path)).readline):
        if token.type == tokenize.COMMENT and "noqa" not in token.string:
            yield token.string.lstrip("# "), token.start[0]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            for offset, line in enumerate(node.value.splitlines()):
                yield line, node.lineno + offset


def is_public(name: str) -> bool:
    return not name.startswith("_")


def definitions(path: Path) -> Iterator[tuple[Definition, ast.ClassDef | None]]:
    """Public functions and classes of a file, and the public methods of these, with their class."""
    for node in tree_of(path).body:
        if isinstance(node, Definition) and is_public(node.name):
            yield node, None
            if isinstance(node, ast.ClassDef):
                for method in node.body:
                    if isinstance(method, Function) and is_public(method.name):
                        yield method, node


def decorators(node: Definition) -> set[str]:
    return {ast.unparse(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list}


def bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}


def main() -> None:
    """Print what is left to do."""
    from tests import test_docstrings, test_language, test_structure

    for rules in (test_language, test_docstrings, test_structure):
        for title, scan in rules.SCANS.items():
            print(f"{title}: {listing(scan()).partition(chr(10))[0]}")


if __name__ == "__main__":
    main()

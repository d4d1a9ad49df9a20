"""Every public function, class and method with arguments has a numpydoc docstring, and every public name an example."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.sources import (
    FOLDERS,
    PACKAGE,
    SOURCES,
    Breach,
    Definition,
    Function,
    bases,
    decorators,
    definitions,
    listing,
    tree_of,
)

_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)
_CONTRACTS = frozenset({"Protocol", "TypedDict"})
_DATACLASSES = frozenset({"dataclass", "dataclasses.dataclass", "checked", "pydantic_dataclass"})
_NOT_BUILT_BY_USERS = re.compile(r"Error$|Warning$")
"""Errors are raised and caught: their one line says when."""


def sections(docstring: str) -> dict[str, str]:
    """Sections of a numpydoc docstring by title."""
    parts = _HEADING.split(docstring)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(section: str) -> set[str]:
    """Names that a section describes: the lines that are not indented."""
    heads = [line.partition(":")[0] for line in section.splitlines() if line and not line.startswith(" ")]
    return {name.strip(" *`") for head in heads for name in head.split(",")}


def arguments(function: Function, owner: ast.ClassDef | None) -> list[str]:
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args)]
    if owner is not None and "staticmethod" not in decorators(function):
        names = names[1:]
    names += [one.arg for one in given.kwonlyargs]
    names += [one.arg for one in (given.vararg, given.kwarg) if one is not None]
    return [name for name in names if not name.startswith("_")]


def fields(node: ast.ClassDef) -> list[str]:
    """Arguments with which a class is built."""
    constructor = next((one for one in node.body if isinstance(one, Function) and one.name == "__init__"), None)
    if constructor is not None:
        return arguments(constructor, node)
    if not decorators(node) & _DATACLASSES and "NamedTuple" not in bases(node):
        return []
    return [
        one.target.id
        for one in node.body
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and not one.target.id.startswith("_")
        and not ast.unparse(one.annotation).startswith(("ClassVar", "InitVar"))
        and not (one.value is not None and "init=False" in ast.unparse(one.value))
    ]


CLASSES = {node.name: node for path in SOURCES for node in tree_of(path).body if isinstance(node, ast.ClassDef)}


def described_by_a_base(function: Function, owner: ast.ClassDef) -> bool:
    """Whether a base class or protocol of mmopt has the same method, with its arguments described."""
    for base in bases(owner) & CLASSES.keys():
        for one in CLASSES[base].body:
            if isinstance(one, Function) and one.name == function.name:
                return not missing_sections(one, CLASSES[base])
        if described_by_a_base(function, CLASSES[base]):
            return True
    return False


def missing_sections(node: Definition, owner: ast.ClassDef | None) -> list[str]:
    docstring = ast.get_docstring(node)
    if not docstring:
        return ["docstring"]
    names = fields(node) if isinstance(node, ast.ClassDef) else arguments(node, owner)
    if not names:
        return []
    held = sections(docstring + "\n")
    described = documented(held.get("Parameters", "")) | documented(held.get("Other Parameters", ""))
    if isinstance(node, ast.ClassDef):
        described |= documented(held.get("Attributes", ""))
        returns = None
    else:
        returns = node.returns and ast.unparse(node.returns)
    missing = [f"parameter {name}" for name in names if name not in described]
    if returns not in (None, "None", "NoReturn", "Never") and not held.keys() & {"Returns", "Yields"}:
        missing.append("Returns")
    return missing


def exempt(node: Definition, owner: ast.ClassDef | None) -> bool:
    if decorators(node) & {"property", "cached_property", "functools.cached_property", "overload"}:
        return True  # no arguments
    if any(name.endswith((".setter", ".command", ".callback")) for name in decorators(node)):
        return True  # a command's arguments carry their own help, which Typer prints
    if owner is not None and bases(owner) & _CONTRACTS:
        return ast.get_docstring(node) is not None  # what implements it describes the arguments
    return owner is not None and isinstance(node, Function) and described_by_a_base(node, owner)


def undocumented() -> Iterator[Breach]:
    for path in SOURCES:
        for node, owner in definitions(path):
            if not exempt(node, owner) and (missing := missing_sections(node, owner)):
                name = node.name if owner is None else f"{owner.name}.{node.name}"
                yield Breach(path, node.lineno, f"{name}: {', '.join(missing)}")


def exported(folder_stub: ast.Module) -> set[tuple[str, str]]:
    """(Module, name) of every name that a folder exports."""
    return {
        (one.module or "", alias.asname or alias.name)
        for one in folder_stub.body
        if isinstance(one, ast.ImportFrom)
        for alias in one.names
    }


def has_example(node: Definition) -> bool:
    inside = (
        [node, *(one for one in node.body if isinstance(one, Function))] if isinstance(node, ast.ClassDef) else [node]
    )
    return any(">>>" in (ast.get_docstring(one) or "") for one in inside)


def without_example() -> Iterator[Breach]:
    for folder in [PACKAGE, *FOLDERS]:
        stub = folder / "__init__.pyi"
        if not stub.exists():
            continue
        for module, name in sorted(exported(ast.parse(stub.read_text(encoding="utf-8")))):
            path = folder.joinpath(*module.split(".")).with_suffix(".py")
            if not path.exists():
                continue  # the folder that holds it lists it
            node = next((one for one in tree_of(path).body if isinstance(one, Definition) and one.name == name), None)
            if node is None or _NOT_BUILT_BY_USERS.search(name):
                continue
            if isinstance(node, ast.ClassDef) and bases(node) & _CONTRACTS:
                continue
            if not has_example(node):
                yield Breach(path, node.lineno, name)


SCANS: dict[str, Callable[[], Iterator[Breach]]] = {"undocumented": undocumented, "without example": without_example}


def test_public_definitions_describe_their_arguments_and_results() -> None:
    breaches = list(undocumented())
    assert not breaches, listing(breaches)


def test_public_names_have_an_example() -> None:
    breaches = list(without_example())
    assert not breaches, listing(breaches)


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("def f(a): ...", ["docstring"]),
        ('def f(): """Do."""', []),
        ('def f(a) -> int: """Do."""', ["parameter a", "Returns"]),
        ('def f(a, *b):\n    """Do.\n\n    Parameters\n    ----------\n    a, *b\n        Both.\n    """', []),
        ('@checked\nclass A:\n    """An A."""\n    x: float\n    _y: float', ["parameter x"]),
    ],
)
def test_missing_section_is_noticed(source: str, missing: list[str]) -> None:
    node = ast.parse(source).body[0]
    assert isinstance(node, Definition)
    assert missing_sections(node, None) == missing

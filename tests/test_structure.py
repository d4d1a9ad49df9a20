"""Folders, files, functions and classes stay small, names resolve, and no file imports itself through others."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

import mmopt
from tests.sources import FOLDERS, PACKAGE, SOURCES, Breach, Function, decorators, listing, text_of, tree_of

FILE_LINES = 350
FOLDER_FILES = 14
FUNCTION_LINES = 40
CLASS_METHODS = 12
TOP_NAMES = 50

PUBLIC_FOLDERS = [folder for folder in FOLDERS if (folder / "__init__.pyi").exists()]
INTERNAL_FOLDERS = frozenset({"estimation", "io", "soft", "solvers"})
"""Folders that no user's script imports from."""


def long_files() -> Iterator[Breach]:
    for path in SOURCES:
        if (lines := len(text_of(path).splitlines())) > FILE_LINES:
            yield Breach(path, 1, f"{lines} lines")


def full_folders() -> Iterator[Breach]:
    for folder, count in Counter(path.parent for path in SOURCES).items():
        if count > FOLDER_FILES and folder != PACKAGE:
            yield Breach(folder / "__init__.py", 1, f"{count} files")


def code_lines(function: Function) -> int:
    """Lines from ``def`` to the end, without the docstring: that may be as long as it needs."""
    first = function.body[0]
    documents = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documents else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def long_functions() -> Iterator[Breach]:
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, Function) and (lines := code_lines(node)) > FUNCTION_LINES:
                yield Breach(path, node.lineno, f"{node.name} has {lines} lines")


def methods(node: ast.ClassDef) -> set[str]:
    """Methods and properties; what Python calls itself, and what only reads, is not counted."""
    return {
        one.name
        for one in node.body
        if isinstance(one, Function)
        and not one.name.startswith("__")
        and not decorators(one) & {"property", "cached_property", "functools.cached_property"}
    }


def crowded_classes() -> Iterator[Breach]:
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and len(methods(node)) > CLASS_METHODS:
                yield Breach(path, node.lineno, f"{node.name} has {len(methods(node))} methods")


def file_of(module: str) -> Path | None:
    """File of a module of mmopt, if it is one."""
    path = PACKAGE.joinpath(*module.split(".")[1:])
    if path.with_suffix(".py").exists() and path != PACKAGE:
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").exists() else None


def source_of(module: str, name: str) -> Path | None:
    """File that ``from module import name`` leads to: names of a folder are looked up in its stub."""
    if (submodule := file_of(f"{module}.{name}")) is not None:
        return submodule
    path = file_of(module)
    stub = path.with_suffix(".pyi") if path is not None else None
    if stub is not None and stub.exists():
        for node in ast.parse(text_of(stub)).body:
            if isinstance(node, ast.ImportFrom) and name in {alias.asname or alias.name for alias in node.names}:
                return source_of(f"{module}.{node.module}", name)
    return path


def imports(path: Path) -> set[Path]:
    """Files of mmopt that a file imports, in functions and for type checkers too."""
    targets: set[Path | None] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            targets |= {file_of(alias.name) for alias in node.names if alias.name.partition(".")[0] == "mmopt"}
        elif isinstance(node, ast.ImportFrom):
            package = ["mmopt", *path.relative_to(PACKAGE).parts[:-1]]
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            if module.partition(".")[0] == "mmopt":
                targets |= {source_of(module, alias.name) for alias in node.names}
    return {target for target in targets if target is not None} - {path}


def circles(graph: Mapping[Path, set[Path]]) -> list[list[Path]]:
    """Groups of files that reach each other (strongly connected components of more than one file)."""
    reach = {path: reachable(path, graph) for path in graph}
    groups = {
        frozenset(other for other in reach[path] if path in reach[other]) for path in graph if path in reach[path]
    }
    return [sorted(group) for group in groups]


def reachable(start: Path, graph: Mapping[Path, set[Path]]) -> set[Path]:
    seen: set[Path] = set()
    waiting = list(graph[start])
    while waiting:
        if (path := waiting.pop()) not in seen:
            seen.add(path)
            waiting += graph[path]
    return seen


def import_circles() -> Iterator[Breach]:
    for circle in circles({path: imports(path) for path in SOURCES}):
        yield Breach(circle[0], 1, ", ".join(path.relative_to(PACKAGE).as_posix() for path in circle))


SCANS: dict[str, Callable[[], Iterator[Breach]]] = {
    "long files": long_files,
    "full folders": full_folders,
    "long functions": long_functions,
    "crowded classes": crowded_classes,
    "import circles": import_circles,
}


@pytest.mark.parametrize("scan", SCANS.values(), ids=[title.replace(" ", "_") for title in SCANS])
def test_structure_has_no(scan: Callable[[], Iterator[Breach]]) -> None:
    breaches = list(scan())
    assert not breaches, listing(breaches)


def stub_names(folder: Path) -> list[str]:
    stub = ast.parse((folder / "__init__.pyi").read_text(encoding="utf-8"))
    return [
        alias.asname or alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]


def module_name(folder: Path) -> str:
    return ".".join(["mmopt", *folder.relative_to(PACKAGE).parts])


@pytest.mark.parametrize("folder", [PACKAGE, *PUBLIC_FOLDERS], ids=module_name)
def test_public_names_of_a_folder_resolve(folder: Path) -> None:
    module = import_module(module_name(folder))
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("folder", [PACKAGE, *PUBLIC_FOLDERS], ids=module_name)
def test_public_names_of_a_folder_are_listed_once_and_in_order(folder: Path) -> None:
    listed = import_module(module_name(folder)).__all__
    assert list(listed) == sorted(listed)
    assert [name for name, count in Counter(stub_names(folder)).items() if count > 1] == []


def test_public_name_of_two_folders_is_one_object() -> None:
    owners: dict[str, set[int]] = {}
    for folder in [PACKAGE, *PUBLIC_FOLDERS]:
        module = import_module(module_name(folder))
        for name in module.__all__:
            owners.setdefault(name, set()).add(id(getattr(module, name)))
    assert [name for name, objects in owners.items() if len(objects) > 1] == []


def test_folders_for_users_list_their_names() -> None:
    assert [
        folder.name for folder in FOLDERS if folder not in PUBLIC_FOLDERS and folder.name not in INTERNAL_FOLDERS
    ] == []


def test_names_at_the_top_fit_on_a_page() -> None:
    assert 40 <= len(mmopt.__all__) <= TOP_NAMES


def test_circle_is_noticed() -> None:
    a, b, c = Path("a"), Path("b"), Path("c")
    assert circles({a: {b}, b: {a}, c: {a}}) == [[a, b]]

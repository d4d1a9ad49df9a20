"""Importing mmopt is light, its public names exist, and the library validates without assert."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mmopt

SOURCES = sorted(Path(mmopt.__file__).parent.rglob("*.py"))
HEAVY = ("tensorflow", "keras", "pyomo", "cobra", "distributed", "pyarrow", "onnx", "optuna")


def imported_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter holds after the statement."""
    script = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def held_after_import() -> set[str]:
    return imported_by("import mmopt")


@pytest.mark.parametrize("package", HEAVY)
def test_import_does_not_load_a_heavy_package(held_after_import: set[str], package: str) -> None:
    assert package not in held_after_import


def test_errors_can_be_imported_alone() -> None:
    assert not imported_by("from mmopt import StudyError") & {*HEAVY, "numpy"}


@pytest.mark.parametrize("name", mmopt.__all__)
def test_public_name_resolves(name: str) -> None:
    assert getattr(mmopt, name).__name__ == name


def test_public_names_are_what_dir_lists() -> None:
    assert dir(mmopt) == mmopt.__all__


def test_unknown_public_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="optimize"):
        mmopt.optimize  # noqa: B018


def nodes(path: Path, *kinds: type[ast.AST]) -> list[ast.AST]:
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_library_never_validates_by_assert(path: Path) -> None:
    assert [node.lineno for node in nodes(path, ast.Assert)] == []  # type: ignore[attr-defined]

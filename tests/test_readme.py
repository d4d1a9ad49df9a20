"""What the pages show runs as it stands there, says what the shipped surrogate's card says, and links to what exists."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GENERATED = {ROOT / "docs" / "_build", ROOT / "docs" / "reference"}
PAGES = [README, *sorted(page for page in (ROOT / "docs").rglob("*.md") if not GENERATED & set(page.parents))]
EVERY_PAGE = [*PAGES, ROOT / "models" / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
CARD = ROOT / "models" / "ecoli_ijo1366" / "surrogate.json"

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
READING = re.compile(r"^\| (?:.*, )?`?(\w+)`? \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (?:1/h|mmol/gDW/h)", re.MULTILINE)


def blocks(page: Path) -> list[str]:
    """Python blocks of a page, each pushed down to its own line, so that a traceback points into the page."""
    text = page.read_text(encoding="utf-8")
    return ["\n" * text.count("\n", 0, match.start(1)) + match.group(1) for match in BLOCK.finditer(text)]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.pages
@pytest.mark.genome
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name_of)
def test_python_blocks_of_a_page_run_in_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "page"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), namespace)


def test_readme_script_fits_on_a_screen() -> None:
    assert len(blocks(README)[0].strip().splitlines()) <= 20


@pytest.mark.parametrize("page", [README, ROOT / "models" / "README.md"], ids=name_of)
def test_errors_in_a_table_are_those_of_the_shipped_card(page: Path) -> None:
    held_out = json.loads(CARD.read_text())["card"]["held_out"]
    stated = READING.findall(page.read_text(encoding="utf-8"))
    assert stated
    for reading, *numbers in stated:
        for number, figure in zip(numbers, ("worst", "mean", "range"), strict=True):
            digits = len(number.partition(".")[2])
            assert number == f"{held_out[reading][figure]:.{digits}f}", f"{reading}, {figure}"


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name_of)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("folder", sorted(path.parent for path in (ROOT / "mmopt").glob("*/__init__.py")), ids=name_of)
def test_design_names_every_folder(folder: Path) -> None:
    assert f"| `{folder.name}/` |" in DESIGN


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "index.md"], ids=name_of)
def test_every_page_is_reached_from_the_index(page: Path) -> None:
    name = page.stem if page.parent == ROOT / "docs" else f"{page.parent.name}/{page.stem}"
    index = page.with_name("index.md") if page.parent != ROOT else ROOT / "docs" / "index.md"
    assert page == README or re.search(rf"^{page.stem}$", index.read_text(encoding="utf-8"), re.MULTILINE), name


def test_readme_fits_on_three_screens() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    required = [*project["dependencies"], *(one for extra in extras for one in extra)]
    names = sorted({re.split(r"[><=;\[ ]", one)[0] for one in required} - {project["name"]})
    assert [
        name for name in names if not re.search(rf"^\| (?:.*, )?{re.escape(name)}(?:,.*)? \|", DESIGN, re.MULTILINE)
    ] == []

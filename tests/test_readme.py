"""What the pages show runs as it stands there, says what the shipped surrogate's card says, and links to what exists."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
EVERY_PAGE = [*PAGES, ROOT / "models" / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
CARD = ROOT / "models" / "ecoli_ijo1366" / "surrogate.json"

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
READING = re.compile(r"^\| (?:.*, )?`?(\w+)`? \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (?:1/h|mmol/gDW/h)", re.MULTILINE)


def blocks(page: Path) -> list[str]:
    """Python blocks of a page, each pushed down to its own line, so that a traceback points into the page."""
    text = page.read_text(encoding="utf-8")
    return ["\n" * text.count("\n", 0, found.start(1)) + found.group(1) for found in BLOCK.finditer(text)]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


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
    told = READING.findall(page.read_text(encoding="utf-8"))
    assert told
    for reading, *numbers in told:
        for number, figure in zip(numbers, ("worst", "mean", "range"), strict=True):
            digits = len(number.partition(".")[2])
            assert number == f"{held_out[reading][figure]:.{digits}f}", f"{reading}, {figure}"


@pytest.mark.parametrize("page", EVERY_PAGE, ids=name_of)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("source", sorted((ROOT / "mmopt").rglob("*.py")), ids=name_of)
def test_folder_map_names_every_file(source: Path) -> None:
    assert source.name == "__init__.py" or re.search(rf"── {source.name} ", DESIGN)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = [re.split(r"[><=;\[ ]", each)[0] for each in wanted]
    assert [
        name for name in names if not re.search(rf"^\| (?:.*, )?{re.escape(name)}(?:,.*)? \|", DESIGN, re.MULTILINE)
    ] == []

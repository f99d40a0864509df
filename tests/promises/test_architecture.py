"""docs/architecture.md is true: its links lead somewhere, its rooms are the folders, its drawing is up to date."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import draw_rooms
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("docs/architecture.md", "docs/logging.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGE = PAGES[0].read_text(encoding="utf-8")
LINKS = [
    pytest.param(page, text.strip("`"), target, id=f"{page.stem}-{text.strip('`')}")
    for page in PAGES
    for text, target in re.findall(r"\[(`?[^\]`]+`?)\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    if "://" not in target
]
FOUNDATION = {"errors", "json_types"}


def section(title: str) -> str:
    """Return what stands under a heading of the page."""
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def names_in(path: Path) -> set[str]:
    """Return the functions, classes, methods and constants of a module: `name` or `Class.name`."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{one.name}" for one in node.body if hasattr(one, "name")}
        names |= {target.id for target in targets_of(node) if isinstance(target, ast.Name)}
    return names


def targets_of(node: ast.stmt) -> list[ast.expr]:
    if isinstance(node, ast.AnnAssign):
        return [node.target]
    return node.targets if isinstance(node, ast.Assign) else []


@pytest.mark.parametrize(("page", "text", "target"), LINKS)
def test_a_link_leads_to_what_it_names(page: Path, text: str, target: str) -> None:
    path = (page.parent / target).resolve()
    assert path.exists(), f"{page.name} links to {target}"
    if path.suffix == ".py" and text != path.name:
        assert text in names_in(path), f"{page.name}: {target} has no {text}"


def test_a_record_takes_twelve_steps_and_each_is_linked() -> None:
    steps = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |^$|\Z)", section("The way of one record"), re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _ in steps] == list(range(1, 13))
    assert all("](../extract/" in text for _, text in steps)


def test_the_table_of_rooms_is_the_house() -> None:
    rooms = re.findall(r"^\| `(\w+)/` \| .+? \| ?(.*?) ?\|$", section("Rooms and floors"), re.MULTILINE)
    levels, needs = draw_rooms.floors(), draw_rooms.imports()
    floor_of = {room: number for number, level in enumerate(levels) for room in level}
    assert {room for room, _ in rooms} == {path.parent.name for path in draw_rooms.PACKAGE.glob("*/__init__.py")}
    assert [floor_of[room] for room, _ in rooms] == sorted(floor_of[room] for room, _ in rooms), "lowest first"
    for room, allowed in rooms:
        below = {other for other in floor_of if floor_of[other] < floor_of[room]} - FOUNDATION
        named = below if allowed == "all floors below" else {name for name in allowed.split(", ") if name}
        assert named == below, f"{room} may import {sorted(below)}"
        assert needs[room] - FOUNDATION <= named


def test_every_file_beside_the_rooms_is_named() -> None:
    loose = {path.name for path in draw_rooms.PACKAGE.glob("*.py")} - {"__init__.py"}
    assert {name for name in loose if f"`{name}`" in section("Rooms and floors")} == loose


def test_the_drawing_is_what_the_script_draws() -> None:
    drawn = draw_rooms.DRAWING.read_text(encoding="utf-8")
    assert drawn == draw_rooms.drawing(), "run `python scripts/draw_rooms.py`"


def test_a_line_that_follows_from_others_is_left_out() -> None:
    needs = {"top": {"middle", "ground"}, "middle": {"ground"}, "ground": set[str]()}
    assert draw_rooms.reduced(needs) == {"top": {"middle"}, "middle": {"ground"}, "ground": set()}

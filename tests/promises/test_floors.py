"""The house has floors: a module imports only from floors below its own, so no cycle can exist."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "extract"
FLOORS = (
    "errors json_types",
    "schema",
    "documents",
    "interactions",
    "limits io",
    "extractor",
    "results evaluation emulator",
    "runner report review testing",  # testing.py is no room but a face of the emulator, for users' tests
    "tuning",
    "distributed",
    "cli",
    "__main__",
)
LAZY_FACES = (PACKAGE / "distributed" / "__init__.py", PACKAGE / "testing.py")  # an extra's names, loaded on first use
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names.split()}


def modules() -> Iterator[Path]:
    yield from sorted(PACKAGE.rglob("*.py"))


def imports_of(path: Path, *, inside_functions: bool = False) -> Iterator[str]:
    """Yield the modules of this package that a file imports, as dotted names below `extract`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
    for node in ast.walk(tree):
        if inside_functions == (node in top):
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("extract."):
            yield node.module.removeprefix("extract.")
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("extract.") for a in node.names if a.name.startswith("extract."))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_module_stands_on_a_floor() -> None:
    assert {room_of(path) for path in modules()} - {"__init__"} == set(FLOOR_OF)


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in modules()])
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    others = {name.partition(".")[0] for name in imports_of(path)} - {room}
    above = {name for name in others if FLOOR_OF[name] >= FLOOR_OF[room]}
    assert not above, f"{room} must not import {sorted(above)}"


@pytest.mark.parametrize("package", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_a_package_has_no_cycle_inside(package: str) -> None:
    folder = PACKAGE / package
    needs: dict[str, set[str]] = {}
    for path in folder.rglob("*.py"):
        own = ".".join(path.relative_to(folder).with_suffix("").parts)
        inner = {name.partition(".")[2] for name in imports_of(path) if name.partition(".")[0] == package}
        needs[own.removesuffix("__init__").rstrip(".")] = {name for name in inner if name}
    while leaves := {name for name, wanted in needs.items() if not wanted & needs.keys()}:
        needs = {name: wanted for name, wanted in needs.items() if name not in leaves}
    assert not needs, f"these modules of {package} import each other: {sorted(needs)}"


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in modules()])
def test_late_imports_are_for_commands_and_optional_extras_only(path: Path) -> None:
    if room_of(path) in ("__init__", "cli") or path in LAZY_FACES:
        return
    assert not list(imports_of(path, inside_functions=True)), f"{path} imports inside a function"


def test_the_tests_stand_in_the_rooms_of_what_they_test() -> None:
    tests = PACKAGE.parent / "tests"
    folders = {path.parent.relative_to(tests).parts[:1] for path in tests.rglob("test_*.py")}
    rooms = {(room,) for room in FLOOR_OF if (PACKAGE / room).is_dir()}
    assert folders == rooms | {("promises",)}

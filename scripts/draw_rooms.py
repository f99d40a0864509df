"""Draws docs/rooms.svg, the rooms of the package on their floors: python scripts/draw_rooms.py [--check]

The floors are those of tests/promises/test_floors.py, the purposes those of the table in docs/architecture.md, and the
lines the imports that stand in the code. With --check nothing is written; exit status 1 where the drawing is outdated.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import combinations, permutations, product
from pathlib import Path
from textwrap import wrap

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "extract"
DRAWING = ROOT / "docs" / "rooms.svg"
FOUNDATION = "errors json_types"  # every room may import these: lines to them would say nothing
OTHER_PURPOSES = {
    "errors": "the exception tree",
    "json_types": "types of JSON values",
    "testing": "what users' own tests need",
    "__main__": "python -m extract",
}

WIDTH, LEFT, RIGHT, TOP = 960, 92, 28, 54
BOX_HEIGHT, GAP_Y, GAP_X, COLUMNS = 60, 42, 22, 3
INNER = WIDTH - LEFT - RIGHT
COLUMN = (INNER - GAP_X * (COLUMNS - 1)) / COLUMNS
PORT_GAP = 26  # between two lines that meet the same side of a box

STYLE = """
    text { font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
    .page { fill: #ffffff; }
    .floor { fill: #f4f5f7; }
    .number { fill: #7a8290; font-size: 12px; }
    .box { fill: #ffffff; stroke: #b9c0cc; stroke-width: 1.2; }
    .name { fill: #16324f; font-size: 15px; font-weight: 600; font-family: ui-monospace, Menlo, Consolas, monospace; }
    .purpose { fill: #4b5563; font-size: 11.5px; }
    .line { fill: none; stroke: #5b7fa6; stroke-width: 1.5; }
    .head { fill: #5b7fa6; }
    .title { fill: #16324f; font-size: 15px; font-weight: 600; }
    .note { fill: #7a8290; font-size: 11.5px; }"""
DARK = """
      .page { fill: #0d1117; }
      .floor { fill: #161b22; }
      .number, .note { fill: #8b949e; }
      .box { fill: #1f2630; stroke: #3d4754; }
      .name, .title { fill: #d7e6f7; }
      .purpose { fill: #aeb8c4; }
      .line { stroke: #7aa7d9; }
      .head { fill: #7aa7d9; }"""


@dataclass
class Box:
    """A room at its place; `ports_in` and `ports_out` are the centres of the rooms at the other ends of its lines."""

    name: str
    x: float
    y: float
    width: float
    ports_in: list[float] = field(default_factory=list)
    ports_out: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    def spans(self, x: float) -> bool:
        return self.x < x < self.x + self.width


def floors() -> list[list[str]]:
    """Return the floors, lowest first, as the test of the imports has them."""
    tree = ast.parse((ROOT / "tests" / "promises" / "test_floors.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "FLOORS":
            return [floor.split() for floor in ast.literal_eval(node.value)]
    raise SystemExit("tests/promises/test_floors.py has no FLOORS")


def imports() -> dict[str, set[str]]:
    """Return which rooms each room imports from, late imports included."""
    needs: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if room != "__init__":
            names = set(_imported(ast.parse(path.read_text(encoding="utf-8"))))
            needs.setdefault(room, set()).update(names - {room})
    return needs


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("extract."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (one.name.split(".")[1] for one in node.names if one.name.startswith("extract."))


def reduced(needs: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that do not follow from others. There is no circle: the floors see to that."""

    def reached(room: str) -> set[str]:
        return needs.get(room, set()).union(*(reached(other) for other in needs.get(room, ())))

    return {
        room: {one for one in others if not any(one in reached(other) for other in others - {one})}
        for room, others in needs.items()
    }


def purposes() -> dict[str, str]:
    """Return what each room is for, from the table of rooms."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return {**OTHER_PURPOSES, **dict(re.findall(r"^\| `(\w+)/` \| (.+?) \|", page, re.MULTILINE))}


def placed(levels: Sequence[Sequence[str]], lines: Sequence[tuple[str, str]]) -> dict[str, Box]:
    """Return the boxes: rooms of a floor side by side, in the order whose lines are short and cross little."""
    boxes = min(
        _arrangements(levels),
        key=lambda boxes: (_length(boxes, lines) + _crossings(boxes, lines) * COLUMN / 2, [*boxes]),
    )
    for number, level in enumerate(levels):
        if len(level) == 1 and (passing := list(_passing(level[0], number, levels, lines, boxes))):
            _make_room(boxes[level[0]], passing, [boxes[low].middle for high, low in lines if high == level[0]])
    return boxes


def _arrangements(levels: Sequence[Sequence[str]]) -> Iterator[dict[str, Box]]:
    for orders in product(*(permutations(level) for level in levels)):
        boxes: dict[str, Box] = {}
        for number, order in enumerate(orders):
            boxes |= _row(order, TOP + (len(levels) - 1 - number) * (BOX_HEIGHT + GAP_Y))
        yield boxes


def _row(order: Sequence[str], y: float) -> dict[str, Box]:
    width = (INNER - GAP_X * (len(order) - 1)) / len(order)
    return {name: Box(name, LEFT + place * (width + GAP_X), y, width) for place, name in enumerate(order)}


def _crossings(boxes: dict[str, Box], lines: Sequence[tuple[str, str]]) -> int:
    ends = [(boxes[high], boxes[low]) for high, low in lines]
    return sum(
        a.y == c.y and b.y == d.y and (a.middle - c.middle) * (b.middle - d.middle) < 0
        for (a, b), (c, d) in combinations(ends, 2)
    )


def _length(boxes: dict[str, Box], lines: Sequence[tuple[str, str]]) -> float:
    return sum(abs(boxes[high].middle - boxes[low].middle) for high, low in lines)


def _passing(
    room: str,
    number: int,
    levels: Sequence[Sequence[str]],
    lines: Sequence[tuple[str, str]],
    boxes: dict[str, Box],
) -> Iterator[float]:
    """Yield where lines pass the floor of a single room without ending there."""
    level_of = {name: place for place, level in enumerate(levels) for name in level}
    for high, low in lines:
        if level_of[low] < number < level_of[high] and room not in (high, low):
            yield boxes[low].middle


def _make_room(box: Box, passing: Sequence[float], targets: Sequence[float]) -> None:
    """Narrow a wide box to the free column nearest to what it imports, so that lines can pass it."""
    target = min(targets, key=lambda x: abs(x - box.middle))
    lefts = [LEFT + column * (COLUMN + GAP_X) for column in range(COLUMNS)]
    box.width = COLUMN
    for box.x in sorted(lefts, key=lambda left: abs(left + COLUMN / 2 - target)):
        if not any(box.spans(x) for x in passing):
            return
    raise AssertionError(f"lines cross the box of {box.name} in every column")


def drawing() -> str:
    """Return the whole drawing."""
    levels = floors()
    needs = {room: others - set(FOUNDATION.split()) for room, others in imports().items()}
    needs["schema"] = set(FOUNDATION.split())  # the ground that all stand on, drawn once
    lines = sorted((high, low) for high, lows in reduced(needs).items() for low in lows)
    boxes = placed(levels, lines)
    height = TOP + len(levels) * (BOX_HEIGHT + GAP_Y) + 6
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            'role="img" aria-labelledby="title">'
        ),
        '  <title id="title">The rooms of the package extract on their floors; imports point down</title>',
        f"  <style>{STYLE}\n    @media (prefers-color-scheme: dark) {{{DARK}\n    }}\n  </style>",
        f'  <rect class="page" width="{WIDTH}" height="{height}" rx="10"/>',
        f'  <text class="title" x="{LEFT}" y="30">extract: rooms and floors</text>',
        (
            f'  <text class="note" x="{WIDTH - RIGHT}" y="30" text-anchor="end">a line means: imports from, '
            "always from a higher floor to a lower one</text>"
        ),
        *(_stripe(number, len(levels)) for number in range(len(levels))),
        *_drawn_lines(boxes, lines),
        *(part for box in boxes.values() for part in _drawn_box(box, purposes().get(box.name, ""))),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _stripe(number: int, height: int) -> str:
    y = TOP + (height - 1 - number) * (BOX_HEIGHT + GAP_Y)
    return (
        f'  <rect class="floor" x="12" y="{y - 8}" width="{WIDTH - 24}" height="{BOX_HEIGHT + 16}" rx="8"/>\n'
        f'  <text class="number" x="26" y="{y + BOX_HEIGHT / 2 + 4:g}">floor {number + 1}</text>'
    )


def _drawn_lines(boxes: dict[str, Box], lines: Sequence[tuple[str, str]]) -> Iterator[str]:
    for high, low in lines:
        boxes[high].ports_out.append(boxes[low].middle)
        boxes[low].ports_in.append(boxes[high].middle)
    for high, low in lines:
        upper, lower = boxes[high], boxes[low]
        start = _port(upper, upper.ports_out, lower)
        end = _port(lower, lower.ports_in, upper)
        y1, y2 = upper.y + BOX_HEIGHT, lower.y - 6
        bend = min((y2 - y1) / 2, 40)
        yield (
            f'  <path class="line" d="M{start:.1f} {y1} C{start:.1f} {y1 + bend:g} {end:.1f} {y2 - bend:g} '
            f'{end:.1f} {y2}"/>'
        )
        yield f'  <path class="head" d="M{end - 4:.1f} {y2 - 1} h8 l-4 7 z"/>'


def _port(box: Box, others: Sequence[float], other: Box) -> float:
    """Return where a line meets a box: straight above or below a narrower one, else beside its neighbours."""
    if box.width > COLUMN * 1.1 and box.spans(other.middle) and (other.width < box.width or len(others) == 1):
        return other.middle
    return box.middle + PORT_GAP * (sorted(others).index(other.middle) - (len(others) - 1) / 2)


def _drawn_box(box: Box, purpose: str) -> Iterator[str]:
    rows = wrap(purpose, int(box.width / 6.2))[:2]
    first = box.y + BOX_HEIGHT / 2 + 5 - 8 * len(rows)  # the lines of text stand in the middle of the box
    yield f'  <rect class="box" x="{box.x:.1f}" y="{box.y}" width="{box.width:.1f}" height="{BOX_HEIGHT}" rx="7"/>'
    yield f'  <text class="name" x="{box.middle:.1f}" y="{first:g}" text-anchor="middle">{escape(box.name)}</text>'
    for number, row in enumerate(rows):
        yield (
            f'  <text class="purpose" x="{box.middle:.1f}" y="{first + 17 + 14 * number:g}" text-anchor="middle">'
            f"{escape(row, quote=False)}</text>"
        )


def main(arguments: Sequence[str]) -> int:
    text = drawing()
    if "--check" in arguments:
        if DRAWING.is_file() and DRAWING.read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write("docs/rooms.svg is outdated: run `python scripts/draw_rooms.py`\n")
        return 1
    DRAWING.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

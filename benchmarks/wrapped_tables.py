"""PDFs with tables whose cells wrap, and the values of these cells."""

from __future__ import annotations

import random
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from make_sample_pdfs import DRAWN, Page, pdf_of, wrapped_cells

__all__ = ["ORDERS", "WrappedTable", "wrapped_tables"]

ORDERS = (*DRAWN, "hyphenated", "middle", "ruled labels", "wide", "wide, line by line", "narrow gaps")
_WORDS = """
Garderobenbank Buche massiv geölt Regal nach Maß mit Rückwand Montage vor Ort einschließlich Anfahrt Türblatt Eiche
délai de livraison affiche sérigraphiée trois couleurs papier recyclé reprise des anciens meubles éclairage
hemp rope natural tarred three strand splice eye brass thimble galvanised shackle marine grade delivery to boathouse
suelo de madera tratada para exteriores incluye tornillos señal impermeable lámpara pequeña armario cocina
"""
# The left edges of the columns, and the characters of Helvetica 9 that fit them.
_COLUMNS = {
    "": ((50.0, 100.0, 250.0, 400.0, 500.0), (9, 26, 26, 17, 11)),
    "wide": ((40.0, 75.0, 270.0, 465.0, 555.0), (6, 38, 38, 16, 8)),
    "narrow": ((50.0, 80.0, 205.0, 330.0, 420.0), (6, 26, 26, 17, 11)),
}
_BOTTOM = 120


class WrappedTable(NamedTuple):
    """A PDF with a table, and the cells of each row; `wrapped` are those of several lines."""

    order: str
    data: bytes
    rows: list[dict[str, str]]
    wrapped: set[tuple[int, str]]


def wrapped_tables(order: str, *, count: int, seed: int = 0) -> Iterator[WrappedTable]:
    """Yield tables with two or three columns of wrapping text between columns of codes and amounts."""
    rng = random.Random(f"{seed} {order}")
    words = _WORDS.split()
    lefts, widths = _COLUMNS.get(order.replace(",", "").split()[0], _COLUMNS[""])
    ways = [way for way in DRAWN if way in order]
    for _ in range(count):
        page, y, rows, drawn = Page(), 760.0, list[dict[str, str]](), list[list[list[str]]]()
        while y > _BOTTOM:
            cells = {
                "code": f"{rng.choice('ABCDEFG')}{rng.randint(100, 999)}",
                "description": " ".join(rng.choices(words, k=rng.randint(3, 14))),
                "remark": " ".join(rng.choices(words, k=rng.randint(2, 12))),
                "place": " ".join(rng.choices(words, k=rng.randint(1, 5))),
                "amount": f"{rng.randint(2, 999)}.{rng.randint(10, 99)}",
            }
            lines = [_wrapped(text, width, order) for text, width in zip(cells.values(), widths, strict=True)]
            y -= max(map(len, lines)) * 11 + 6
            rows.append(cells)
            drawn.append(lines)
        page.text(50, 800, "Delivery note", font="bold")
        for left, head in zip(lefts, cells, strict=True):
            page.text(left, 780, head.title(), font="bold", size=9)
        if order == "ruled labels":
            for number, row in enumerate(drawn):
                row[0] = [f"{number + 1}.", *row[0]]
        wrapped_cells(page, drawn, lefts, 760, order=(*ways, "cell by cell")[0], middle=order == "middle")
        wrapped = {
            (number, name)
            for number, row in enumerate(drawn)
            for name, cell in zip(cells, row, strict=True)
            if len(cell) > 1 and name != "code"
        }
        yield WrappedTable(order, pdf_of([page]), rows, wrapped)


def _wrapped(text: str, width: int, order: str) -> list[str]:
    if order != "hyphenated":
        return textwrap.wrap(text, width, break_long_words=False)
    lines, rest = [], text
    while len(rest) > width:
        cut = width - 1
        if rest[cut - 2 : cut + 2].isalpha():
            lines.append(f"{rest[:cut]}-")
            rest = rest[cut:]
        else:
            cut = rest.rfind(" ", 0, width) if " " in rest[:width] else width
            lines.append(rest[:cut])
            rest = rest[cut:].lstrip()
    return [*lines, rest]

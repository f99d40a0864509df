"""`Span`: where a value stands in its source, `Box`: on a page. `column_path` names it by column and field."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Box", "Span", "Status", "column_path"]

Status: TypeAlias = Literal["exact", "normalised", "fuzzy", "missing"]


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a PDF page in points (1/72 inch), from the top left of the page as it is shown; pages count from 1.

    The page's rotation and its crop box are counted in.

    >>> box = Box(page=1, left=60, top=72, right=96, bottom=84)
    >>> box.right - box.left, box.bottom - box.top
    (36, 12)
    """

    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a value stands in its source.

    `path` is the value's JSON path. `start` and `end` are offsets in code points of the source, `text` what stands
    between them; `page` counts from 1, where the source has pages. `status` says how the value was found: *exact*, as
    it is; *normalised*, in another spelling or written form; *fuzzy*, in similar words; *missing*, nowhere. `score` is
    1.0 for exact and normalised, the similarity for fuzzy; for missing it is None, as are the offsets. `boxes` are the
    places on the pages of a PDF, one for each line and column of the words that belong to the value.

    >>> span = Span(path="$.total", status="normalised", start=7, end=12, score=1.0, text="12,50")
    >>> "Total: 12,50 EUR"[span.start : span.end] == span.text
    True
    """

    path: str
    status: Status
    start: int | None = None
    end: int | None = None
    score: float | None = None
    page: int | None = None
    text: str | None = None
    boxes: tuple[Box, ...] = ()


_STEP = re.compile(r'\.([A-Za-z_][A-Za-z0-9_]*)|\[("(?:[^"\\]|\\.)*")\]')


def column_path(path: str, columns: Mapping[str, str], members: Mapping[str, str]) -> str:
    """Return a JSON path with the names of columns and fields in place of the wire keys, where these differ.

    `columns` maps the first key of a path to its column, `members` the keys below to their fields.
    """
    first = True

    def named(step: re.Match[str]) -> str:
        nonlocal first
        names, first = columns if first else members, False
        key = step[1] or str(json.loads(step[2]))
        return _member(names[key]) if key in names else step[0]

    return _STEP.sub(named, path) if columns or members else path


def _member(name: str) -> str:
    step = f".{name}"
    return step if _STEP.fullmatch(step) else f"[{json.dumps(name, ensure_ascii=False)}]"

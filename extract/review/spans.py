"""Spans as the page shows them, and as it sends them back: bounded, and of known types only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from extract.errors import BadRecord, ConfigError, InvalidAnswer, Issue
from extract.json_types import JsonObject
from extract.review.document import Document
from extract.review.pdf_pages import PdfPages

__all__ = ["spans_given", "spans_shown"]

_MAX_SPANS: Final = 2_000
_MAX_PATH: Final = 1_000
_EDGES: Final = ("left", "top", "right", "bottom")


def spans_shown(spans: Any, column: str | None, document: Document | None) -> list[JsonObject]:
    """Return the spans of a row; `column` names the text that their offsets count in, None for a PDF's.

    An output of before spans had boxes gets them from its PDF.
    """
    given = spans if isinstance(spans, Sequence) else ()
    pages = document.pdf if document is not None and document.kind == "pdf" and column is None else None
    return [_shown(span, column, pages) for span in given[:_MAX_SPANS] if isinstance(span, Mapping)]


def _shown(span: Mapping[str, Any], column: str | None, pages: PdfPages | None) -> JsonObject:
    named = {name: span.get(name) for name in ("path", "start", "end", "status", "page", "score")}
    return named | {"column": column, "boxes": _boxes(span, pages)}


def _boxes(span: Mapping[str, Any], pages: PdfPages | None) -> list[list[Any]]:
    if "boxes" in span:
        return [[box.get("page"), *(box.get(edge) for edge in _EDGES)] for box in span["boxes"] or ()]
    start, end = span.get("start"), span.get("end")
    if pages is None or type(start) is not int or type(end) is not int:
        return []
    try:
        return pages.boxes(start, end)
    except (BadRecord, ConfigError):
        return []


def spans_given(spans: Any) -> list[JsonObject]:
    """Return the spans that a page has sent. Raises InvalidAnswer for what is none."""
    if spans is None:
        return []
    if not isinstance(spans, list) or len(spans) > _MAX_SPANS or not all(map(_is_span, spans)):
        raise InvalidAnswer((Issue("$", "the places of values in the source cannot be read"),))
    names = ("path", "start", "end", "column", "page", "boxes")
    return [{name: span[name] for name in names if span.get(name) is not None} for span in spans]


def _is_span(span: Any) -> bool:
    return (
        isinstance(span, dict)
        and isinstance(span.get("path"), str)
        and len(span["path"]) <= _MAX_PATH
        and all(_is_offset(span.get(name)) for name in ("start", "end", "page"))
        and (span.get("column") is None or (isinstance(span["column"], str) and len(span["column"]) <= _MAX_PATH))
        and _are_boxes(span.get("boxes"))
    )


def _is_offset(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value < 2**53)


def _are_boxes(boxes: Any) -> bool:
    if boxes is None:
        return True
    return isinstance(boxes, list) and len(boxes) <= _MAX_SPANS and all(map(_is_box, boxes))


def _is_box(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 5 and all(type(one) in (int, float) for one in box)

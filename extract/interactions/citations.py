"""The sources of an answer: the annotations of its texts, with byte offsets turned into text spans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from extract.json_types import JsonObject

__all__ = ["Citation", "citations_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One annotation of an answer. `start` and `end` count characters of the answer's text; `text` is what they span.

    `kind` is the service's own word, such as `url_citation`, and "" in the first form of the API, whose `source` is
    then a URL or a title. Unknown kinds are preserved in `raw`. What an annotation lacks is None.

        >>> note = {"type": "url_citation", "url": "https://example.com", "start_index": 0, "end_index": 5}
        >>> content = {"type": "text", "text": "Paris is large.", "annotations": [note]}
        >>> step = {"type": "model_output", "content": [content]}
        >>> [(citation.text, citation.source) for citation in Interaction(status="completed", steps=(step,)).citations]
        [('Paris', 'https://example.com')]
    """

    kind: str = ""
    start: int | None = None
    end: int | None = None
    text: str | None = None
    source: str | None = None
    title: str | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)


# In the order of preference: a URL where there is one.
_SOURCES = ("url", "document_uri", "source", "file_name", "media_id", "place_id")
_TITLES = ("title", "file_name", "name")


def citations_of(contents: Iterable[JsonObject]) -> tuple[Citation, ...]:
    """Return the citations of text contents; their spans are those of the texts joined to one.

    The service counts bytes of the UTF-8 form of each content. An offset inside a character is moved back to its
    beginning, one past the end to the end.
    """
    citations: list[Citation] = []
    before = 0
    for content in contents:
        text = str(content.get("text") or "")
        citations += _of_content(content, text, before)
        before += len(text)
    return tuple(citations)


def _of_content(content: JsonObject, text: str, before: int) -> Iterator[Citation]:
    annotations = content.get("annotations")
    known = [item for item in annotations if isinstance(item, dict)] if isinstance(annotations, list) else []
    if not known:
        return
    encoded = text.encode("utf-8", "surrogatepass")
    for item in known:
        span = _span(item, encoded)
        yield Citation(
            kind=_first_text(item, ("type",)) or "",
            start=None if span is None else before + span[0],
            end=None if span is None else before + span[1],
            text=None if span is None else text[span[0] : span[1]],
            source=_first_text(item, _SOURCES),
            title=_first_text(item, _TITLES),
            raw=item,
        )


def _span(item: JsonObject, encoded: bytes) -> tuple[int, int] | None:
    """Return an annotation's span in characters. A start that is left out is 0: the wire form drops zeros."""
    start, end = item.get("start_index", 0), item.get("end_index")
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        return None
    return _characters(encoded, start), _characters(encoded, end)


def _characters(encoded: bytes, offset: int) -> int:
    offset = min(offset, len(encoded))
    while 0 < offset < len(encoded) and encoded[offset] & 0xC0 == 0x80:
        offset -= 1
    return len(encoded[:offset].decode("utf-8", "surrogatepass"))


def _first_text(item: JsonObject, names: Iterable[str]) -> str | None:
    values: Iterator[Any] = (item.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)

"""What is said for one record, what makes two such questions one, and the text that the answer quotes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pydantic_core import to_json

from extract.documents.grounding import SourceText
from extract.documents.parts import MediaPart, Part, TextPart, Turn
from extract.documents.pdf import PdfText, need_pdfium, read_pdf

__all__ = ["Question", "Quoted", "canonical", "source_text", "turn_identity"]


class Quoted:
    """The cells in which the values of an answer are to be found again; the first that has a text counts.

    Raises ConfigError for a PDF where there is no pdfium to read it: before anything is asked.
    """

    def __init__(self, cells: Sequence[tuple[Part, ...]]) -> None:
        if any(_is_pdf(part) for parts in cells for part in parts):
            need_pdfium()
        self._cells = cells

    @cached_property
    def source(self) -> SourceText | None:
        """The text, read once for all answers to a record; None where there is none. Reading a PDF takes a moment."""
        return next(filter(None, map(source_text, self._cells)), None)


@dataclass(frozen=True, slots=True)
class Question:
    """What is said for one record, and its identity: the canonical JSON of all turns, which its content keys hash.

    `quoted` is where the values of the answer are to be found again. `sample` counts how often the same is asked anew.
    """

    turns: tuple[Turn, ...]
    identity: bytes
    quoted: Quoted | None = None
    sample: int = 0

    @classmethod
    def of(cls, turns: tuple[Turn, ...]) -> Question:
        """Raises UnicodeEncodeError for text that holds half a character."""
        said = [turn_identity(turn) for turn in turns]
        try:
            # Lists of texts and numbers: byte for byte what `_canonical` makes of them, at a quarter of the time.
            return cls(turns, to_json(said))
        except ValueError:
            return cls(turns, canonical(said))

    def sampled(self, number: int) -> Question:
        """Return the same question as one more sample; number 0 is the question itself."""
        return replace(self, sample=number) if number else self

    def followed_by(self, *turns: Turn) -> Question:
        """Return the question with more said after it."""
        more = Question.of(turns)
        return Question((*self.turns, *turns), self.identity[:-1] + b"," + more.identity[1:], self.quoted, self.sample)


def source_text(parts: Sequence[Part], *, whole: bool = False) -> SourceText | None:
    """Return the text of a cell: what it says, or the text layer of a PDF, which may come in several parts.

    None where there is no text, or, for the `whole` of it, where a page of a PDF is a picture. ConfigError for a PDF
    where there is no pdfium.
    """
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return SourceText(parts[0].text) if parts[0].text.strip() else None
    read = [read_pdf(part.data) for part in parts if isinstance(part, MediaPart) and part.data and _is_pdf(part)]
    if whole and any(text.pictures for text in read):
        return None
    document = PdfText(tuple(page for text in read for page in text.pages))
    return SourceText(document.text, page_starts=document.page_starts) if document.has_text_layer else None


def _is_pdf(part: Part) -> bool:
    return isinstance(part, MediaPart) and part.data is not None and part.mime_type == "application/pdf"


def turn_identity(turn: Turn) -> list[Any]:
    """Return what makes two turns one, as plain JSON: files by their hash."""
    return [turn.role, [_part_identity(part) for part in turn.parts]]


def _part_identity(part: Part) -> Any:
    if isinstance(part, TextPart):
        return part.text
    content = part.uri if part.sha256 is None else part.sha256.hex()
    identity: list[Any] = [part.kind, part.mime_type, content, part.resolution]
    # Only where there is one, so that the keys of all other answers stay what they were.
    return identity if part.processing is None else [*identity, repr(part.processing)]


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def canonical(value: Any) -> bytes:
    """Return the one JSON text that stands for a value, whatever the order of its keys."""
    return _ENCODER.encode(value).encode()

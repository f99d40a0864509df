"""What is said for one record, what makes two such questions one, and the text that the answer quotes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_json

from extract.documents.parts import Part, TextPart, Turn
from extract.documents.text_layer import QuotableText

__all__ = ["Question", "canonical", "turn_identity"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is said for one record, and its identity: the canonical JSON of all turns, which its content keys hash.

    `quoted` is where the values of the answer are to be found again. `sample` counts how often the same is asked anew.
    """

    turns: tuple[Turn, ...]
    identity: bytes
    quoted: QuotableText | None = None
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

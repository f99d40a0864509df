"""`Question`: the turns that are sent for one record, and the identity by which equal questions share an answer."""

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
    """The turns for one record, and their identity: the canonical JSON of all turns, which content keys hash.

    `quoted` is the text in which the values of the answer are searched. `sample` is the number of the sample, 0 for the
    first, where the same question is sent several times. With `packed` it is sent with other rows: its first turn is
    then its block alone, and `group` is what all rows of one request must have in common. `files` is the hash of the
    files that the record names. `ranking` are the labels that the record may be shown, by place, and `shown` the number
    of the round that shows some of them, from 0.
    """

    turns: tuple[Turn, ...]
    identity: bytes
    quoted: QuotableText | None = None
    sample: int = 0
    packed: bool = False
    group: str = ""
    files: str | None = None
    ranking: tuple[int, ...] = ()
    shown: int = 0

    @classmethod
    def of(cls, turns: tuple[Turn, ...], *, quoted: QuotableText | None = None, files: str | None = None) -> Question:
        """Return the question with these turns. Raises UnicodeEncodeError for text that holds half a character."""
        identities = [turn_identity(turn) for turn in turns]
        try:
            # For lists of texts and numbers this gives the same bytes as `canonical`, in a quarter of the time.
            return cls(turns, to_json(identities), quoted, files=files)
        except ValueError:
            return cls(turns, canonical(identities), quoted, files=files)

    def sampled(self, number: int) -> Question:
        """Return the same question with the number of a sample; 0 is the question itself."""
        return replace(self, sample=number) if number else self

    def followed_by(self, *turns: Turn) -> Question:
        """Return the question with more turns after it, such as a wrong answer and the request to repair it."""
        more = Question.of(turns)
        identity = self.identity[:-1] + b"," + more.identity[1:]
        return replace(self, turns=(*self.turns, *turns), identity=identity)

    def in_pack(self, block: str, group: str) -> Question:
        """Return the question as one that is sent with other rows. Its identity stays that of the whole prompt."""
        return replace(self, turns=(Turn.user(block),), packed=True, group=group)


def turn_identity(turn: Turn) -> list[Any]:
    """Return the identity of a turn as plain JSON, with files by their hash."""
    return [turn.role, [_part_identity(part) for part in turn.parts]]


def _part_identity(part: Part) -> Any:
    if isinstance(part, TextPart):
        return part.text
    content = part.uri if part.sha256 is None else part.sha256.hex()
    identity: list[Any] = [part.kind, part.mime_type, content, part.resolution]
    # Added only where it is set, so that the keys of answers from before this field existed stay valid.
    return identity if part.processing is None else [*identity, repr(part.processing)]


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of a value: keys sorted, no blanks."""
    return _ENCODER.encode(value).encode()

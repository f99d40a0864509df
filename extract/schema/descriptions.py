"""Constraints as English sentences: what the service will not enforce is at least stated in the description.

These sentences are sent: a change of one changes the requests of every schema that has the constraint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from extract.json_types import json_text
from extract.schema.marks import without_marks

__all__ = ["constraint_sentence", "with_sentences"]

_MAX_SENTENCE_LENGTH = 160

_FORMATS = {
    "email": "An e-mail address.",
    "uri": "A URI.",
    "uuid": "A UUID.",
    "date": "A date, such as 2024-05-01.",
    "date-time": "A date and time with a zone, such as 2024-05-01T09:30:00Z.",
    "time": "A time of day with a zone, such as 09:30:00Z.",
    "duration": "An ISO 8601 duration, such as PT1H30M.",
    "hostname": "A host name.",
    "ipv4": "An IPv4 address.",
    "ipv6": "An IPv6 address.",
    "base64": "Base64 text.",
    "base64url": "URL-safe Base64 text.",
    "hex": "Hexadecimal digits.",
    "regex": "A regular expression.",
    "json-pointer": "A JSON pointer.",
}


def _count(number: Any, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_SENTENCES: dict[str, Callable[[Any], str]] = {
    "const": lambda value: f"Exactly {json_text(value)}.",
    "enum": lambda value: f"One of {json_text(value)}.",
    "format": lambda value: _FORMATS.get(value, f"Format: {value}."),
    "minimum": lambda value: f"At least {value}.",
    "maximum": lambda value: f"At most {value}.",
    "minItems": lambda value: f"At least {_count(value, 'item')}.",
    "maxItems": lambda value: f"At most {_count(value, 'item')}.",
    "minLength": lambda value: f"At least {_count(value, 'character')}.",
    "maxLength": lambda value: f"At most {_count(value, 'character')}.",
    "minProperties": lambda value: f"At least {_count(value, 'member')}.",
    "maxProperties": lambda value: f"At most {_count(value, 'member')}.",
    "pattern": lambda value: f"Matches the regular expression {value}",
    "patternProperties": lambda value: f"Names of other members match {' or '.join(value)}",
    "propertyNames": lambda value: f"Names of members fit {json_text(value)}.",
    "exclusiveMinimum": lambda value: f"Greater than {value}.",
    "exclusiveMaximum": lambda value: f"Less than {value}.",
    "multipleOf": lambda value: f"A multiple of {value}.",
    "uniqueItems": lambda value: "No repeated items." if value else "",
    "contains": lambda value: f"Some item fits {json_text(value)}.",
    "not": lambda value: f"Must not fit {json_text(value)}.",
    "oneOf": lambda _: "Exactly one of the alternatives fits.",
    "dependentRequired": lambda value: " ".join(
        f"With {name} there must be {', '.join(needed)}." for name, needed in value.items()
    ),
}


def constraint_sentence(keyword: str, value: Any) -> str:
    """Return a short sentence for a constraint, "" for one without effect or whose sentence would be too long."""
    value = without_marks(value)
    write = _SENTENCES.get(keyword)
    sentence = write(value) if write else f"{keyword}: {json_text(value)}"
    return sentence if len(sentence) <= _MAX_SENTENCE_LENGTH else ""


def with_sentences(description: str | None, sentences: list[str]) -> str:
    """Return a description with sentences appended, each once."""
    added = list(dict.fromkeys(sentence for sentence in sentences if sentence))
    text = (description or "").rstrip()
    if text and added and text[-1] not in ".!?:;":
        text += "."
    return " ".join(part for part in (text, *added) if part)

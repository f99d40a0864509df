"""Finds the sign or short word of a currency in a source, from its ISO 4217 code: "EUR" -> "€", "MYR" -> "RM"."""

from __future__ import annotations

import re
from functools import lru_cache

from extract.documents.grounding.money import SIGNS
from extract.documents.grounding.places import Place
from extract.documents.grounding.source import SourceText

__all__ = ["currency_places"]


def currency_places(source: SourceText, code: str) -> list[Place]:
    """Return the places of a currency's signs in a source; [] for an unknown code."""
    pattern = _pattern(code)
    return [] if pattern is None else [Place(*match.span()) for match in pattern.finditer(source.text)]


@lru_cache(maxsize=64)
def _pattern(code: str) -> re.Pattern[str] | None:
    signs = SIGNS.get(code)
    if signs is None:
        return None
    return re.compile("|".join(map(_sign_pattern, sorted(signs.split(), key=len, reverse=True))))


def _sign_pattern(sign: str) -> str:
    """Return the pattern of a sign on its own; one that consists of letters must stand beside a number."""
    isolated = rf"(?<![^\W\d_]){re.escape(sign)}(?![^\W\d_])"
    return (
        rf"(?:(?<=\d){isolated}|(?<=\d\s){isolated}|{isolated}(?=\s?-?\d))" if sign.strip(".").isalpha() else isolated
    )

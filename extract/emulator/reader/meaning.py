"""What a field asks for, told from its name and description, and how well a label in the record answers it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from extract.emulator.reader.words import split_name, stem, terms, tokens

__all__ = ["RIVALS", "Wanted", "match"]

ROLES = {
    "vendor": "company",
    "phon": "phone",
    "reason": "snippet",
    "summary": "snippet",
    "subject": "snippet",
    "text": "snippet",
    "content": "snippet",
    "message": "snippet",
    "comment": "snippet",
    "number": "code",
} | {name: name for name in ("address", "email", "phone", "url", "currency", "date", "time", "confidence", "name")}
GENERIC = frozenset(("amount", "name", "valu", "of", "full", "text", "field", "is", "ha", "number"))
KIN = {
    head: frozenset(words.split())
    for head, words in {
        "total": "due amount",
        "due": "total amount",
        "amount": "total due price",
        "price": "amount",
        "number": "invoice",
        "vendor": "from",
        "customer": "to",
        "description": "name",
        "gross": "total",
        "net": "subtotal",
        "subtotal": "net",
    }.items()
}
RIVALS = frozenset(
    [
        "subtotal",
        "tax",
        "discount",
        "change",
        "cash",
        "rounding",
        "shipping",
        "quantity",
        "net",
        "due",
        "birth",
        "expiri",
        "price",
        "phone",
        "email",
    ]
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A field as the record may speak of it: terms of its name, stems of its description, its role."""

    words: tuple[str, ...]
    stems: tuple[str, ...]
    said: frozenset[str]
    role: str
    description: str
    path: tuple[str, ...] = ()

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(name: str, description: str = "", path: tuple[str, ...] = ()) -> Wanted:
        named = terms(split_name(name))
        roles = [ROLES[term] for term in reversed(named) if term in ROLES]
        role = next((role for role in roles if role != "name"), roles[0] if roles else "")
        told = frozenset(term for term in terms(description) if len(term) > 2)
        stems = tuple(stem(token) for token in tokens(split_name(name)))
        specific = tuple(term for term in named if term not in GENERIC and term != role) or (role,) * (role in named)
        return Wanted(specific or named, stems, told, role, description, path)


def match(words: Collection[str], label: Collection[str]) -> float:
    """Return how well `label` names `words`: 1 for all and nothing else, 0 for none; lower where it names a rival."""
    if not words or not label:
        return 0.0
    kin = [KIN.get(word, frozenset()) for word in words]
    hits = sum(
        1.0 if word in label else 0.6 if not near.isdisjoint(label) else 0.0
        for word, near in zip(words, kin, strict=True)
    )
    others = frozenset(label).difference(words)
    rivals = RIVALS.intersection(others).difference(*kin, ("tax",) if "gross" in others else ())
    return hits and hits / len(words) - 0.3 * len(rivals) - 0.03 * len(others) + 0.12 * ("gross" in others)

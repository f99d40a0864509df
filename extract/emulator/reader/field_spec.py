"""The meaning of a field by its name and description, and how well a label in the record matches it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from extract.emulator.reader.lexicon import KIN, RIVALS, vocabulary
from extract.emulator.reader.words import split_name, stem, terms, tokens

__all__ = ["FieldSpec", "match"]

SNIPPETS = vocabulary("reason summary subject text content message comment")
ROLES = {"vendor": "company", "number": "code", **dict.fromkeys(SNIPPETS, "snippet")} | {
    role: role
    for role in ("address", "email", "phone", "url", "iban", "bic", "currency", "date", "time", "confidence", "name")
}
PARTIES = vocabulary("vendor customer invoice shipping")
OF_A_PARTY = vocabulary("name address email phone code url")
MEANS = vocabulary("payment method")
GENERIC = vocabulary("amount name valu of full text field is ha number")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A field's name and description as terms that can be matched with the record.

    `words` are the terms of its name without generic ones, `stems` all stems of it, `described` the terms of its
    description; `role` is the kind of value (company, email, snippet ...) or "", `path` the names of the properties
    from the root to it.
    """

    words: tuple[str, ...]
    stems: tuple[str, ...]
    described: frozenset[str]
    role: str
    description: str
    path: tuple[str, ...]

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(name: str, description: str = "", path: tuple[str, ...] = ()) -> FieldSpec:
        """Return the spec of a field with this name and description."""
        named = terms(split_name(name))
        roles = [ROLES[term] for term in reversed(named) if term in ROLES]
        role = next((role for role in roles if role != "name"), roles[0] if roles else "")
        role = "payment" if set(named) >= MEANS else role
        specific = tuple(term for term in named if term not in GENERIC)
        if role in ("date", "time"):  # "due date" is matched by "payable until", too
            specific = tuple(term for term in specific if term != role) or specific
        stems = tuple(map(stem, tokens(split_name(name))))
        return FieldSpec(specific or named, stems, frozenset(terms(description)), role, description, path)

    def child(self, name: str, description: str) -> FieldSpec:
        """Return the spec of a property; the name of one such as `address` includes its object's name."""
        path = (*self.path, name)
        own = FieldSpec.of(name, description, path)
        if own.role in OF_A_PARTY and not PARTIES.isdisjoint(terms(self.path[-1] if self.path else "")):
            return FieldSpec.of(f"{self.path[-1]} {name}", description, path)
        return own


def match(words: Collection[str], label: Collection[str]) -> float:
    """Return how well `label` matches `words`: 1 for all and nothing else, 0 for none; less where it names a rival."""
    kin = {word: KIN.get(word, ()) for word in words}
    hits = sum(1.0 if word in label else 0.6 * any(near in label for near in kin[word]) for word in words)
    if not hits:
        return 0.0
    others = frozenset(label).difference(words)
    gross = "gross" in others  # "total including tax" is a total, not a tax
    net = "net" in label and any(
        word == "net" or "net" in kin[word] for word in words
    )  # and so "without tax" a net sum
    rivals = RIVALS.intersection(others).difference(*kin.values(), ("tax",) if gross or net else ())
    return hits / len(words) - 0.3 * len(rivals) - 0.03 * len(others) + 0.12 * gross

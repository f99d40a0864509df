"""What a field asks for, told from its name and description, and how well a label in the record answers it."""

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
    """A field as the record may speak of it.

    `words` are the telling terms of its name, `stems` all stems of it, `said` the terms of its description; `role` is
    the kind of value (company, email, snippet ...) or "", `path` the names that lead to it from the root.
    """

    words: tuple[str, ...]
    stems: tuple[str, ...]
    said: frozenset[str]
    role: str
    description: str
    path: tuple[str, ...]

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(name: str, description: str = "", path: tuple[str, ...] = ()) -> FieldSpec:
        """Return what a field of this name and description asks for."""
        named = terms(split_name(name))
        roles = [ROLES[term] for term in reversed(named) if term in ROLES]
        role = next((role for role in roles if role != "name"), roles[0] if roles else "")
        role = "payment" if set(named) >= MEANS else role
        telling = tuple(term for term in named if term not in GENERIC)
        if role in ("date", "time"):  # "due date" asks for what is due, however the record puts it
            telling = tuple(term for term in telling if term != role) or telling
        stems = tuple(map(stem, tokens(split_name(name))))
        return FieldSpec(telling or named, stems, frozenset(terms(description)), role, description, path)

    def child(self, name: str, description: str) -> FieldSpec:
        """Return what a property asks for; one such as `address` is read together with its object's name."""
        path = (*self.path, name)
        own = FieldSpec.of(name, description, path)
        if own.role in OF_A_PARTY and not PARTIES.isdisjoint(terms(self.path[-1] if self.path else "")):
            return FieldSpec.of(f"{self.path[-1]} {name}", description, path)
        return own


def match(words: Collection[str], label: Collection[str]) -> float:
    """Return how well `label` names `words`: 1 for all and nothing else, 0 for none; lower where it names a rival."""
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

"""Text as words: folded, lightly stemmed, and mapped to one name per business term."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from extract.emulator.reader.lexicon import CUES, DENIALS, STOP, SYNONYMS

__all__ = [
    "content",
    "cues",
    "features",
    "fold",
    "folded_tokens",
    "is_negation",
    "split_name",
    "stem",
    "terms",
    "tokens",
]

TOKEN = re.compile(r"[^\W\d_]+|\d+|#")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-./]+")
MARKS = re.compile(r"[\u0300-\u036f]+")
SHORT_FORMS = {
    "subtotal": r"\b(?:sub|sous)[ -]+total",
    "customer": r"\b(?:(?:bill(?:ed)?|sold|invoiced?) to|rechnung an|factuur aan|facturar a|fatturato a)\b",
    "email": r"\be-mail",
    "no ": r"\bn[°º]",
    "": r"(?<=\w)['’](?=\w)",
}
SHORT_FORM = re.compile("|".join(f"({form})" for form in SHORT_FORMS.values()))
WHOLE_WORDS = tuple(SHORT_FORMS)
ENDINGS = ("ings", "ing", "ions", "ion", "edly", "ed", "ies", "es", "en", "s", "ly")


def split_name(name: str) -> str:
    """Return a field name or label as words: `unitPrice` and `unit_price` become "unit Price" and "unit price"."""
    return " ".join(filter(None, HUMP.split(name)))


def fold(text: str) -> str:
    """Return `text` in lower case without accents, with short forms such as "sub total" made one word."""
    text = text.casefold()
    if not text.isascii():
        text = MARKS.sub("", unicodedata.normalize("NFKD", text))
    return SHORT_FORM.sub(lambda match: WHOLE_WORDS[(match.lastindex or 1) - 1], text)


def tokens(text: str) -> list[str]:
    """Return the folded words and numbers of `text` in order."""
    return folded_tokens(fold(text))


def folded_tokens(text: str) -> list[str]:
    """Return the tokens of a folded text; words of scripts without blanks are cut into pairs of characters."""
    words: list[str] = []
    for word in TOKEN.findall(text):
        wide = word[0] > "\u2e7f" and len(word) > 2
        words.extend([word[start : start + 2] for start in range(len(word) - 1)] if wide else [word])
    return words


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return `word` without its most common endings, so that forms of one word are equal."""
    # A few endings are enough: record and schema are stemmed alike, so that a wrong stem still equals itself.
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    if len(word) > 3 and (word[-1] == "e" or word[-1] == word[-2]):
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") else word


TERM_OF = {word: head for head, words in SYNONYMS.items() for word in (head, *words)}
COMPOUNDS = sorted((word for word in TERM_OF if len(word) >= 4), key=len, reverse=True)
CUES_OF = {stem(head): frozenset(map(stem, words)) for head, words in CUES.items()}
NEGATIONS = frozenset(map(stem, DENIALS))
STOP_STEMS = frozenset(map(stem, STOP))


@lru_cache(maxsize=65536)
def terms_of(word: str) -> tuple[str, ...]:
    """Return the terms of one token: its own, those of a compound's two halves, else its stem."""
    if word == "#":
        return ("number",)
    if word in TERM_OF:
        return (TERM_OF[word],)
    # German and Dutch compounds, with up to two letters between: "rechnungsnummer" is "rechnung" and "nummer".
    for first in COMPOUNDS if len(word) >= 8 else ():
        rest = word.removeprefix(first)
        if rest != word and (second := next((rest[start:] for start in range(3) if rest[start:] in TERM_OF), "")):
            return (TERM_OF[first], TERM_OF[second])
    return (stem(word),)


@lru_cache(maxsize=4096)
def terms(text: str) -> tuple[str, ...]:
    """Return the terms of `text` in order, without stop words. Cached, so meant for lines, not pages."""
    return tuple(term for word in tokens(text) if word not in STOP for term in terms_of(word))


def content(text: str) -> frozenset[str]:
    """Return the stems of `text`, without stop words."""
    return frozenset(stem(token) for token in tokens(text) if token not in STOP)


def cues(word: str) -> frozenset[str]:
    """Return the stems that are evidence for the stem `word` without naming it."""
    return CUES_OF.get(word, frozenset())


def is_negation(word: str) -> bool:
    """True where the stem `word` is a negation."""
    return word in NEGATIONS


def features(text: str) -> dict[str, float]:
    """Return weighted features for comparing short texts: words, word pairs, and letter groups of content words."""
    words = [stem(word) for word in tokens(text)]
    weights: dict[str, float] = {}
    for word in words:
        weights[word] = weights.get(word, 0.0) + (0.2 if word in STOP_STEMS else 1.0)
    # Pairs keep some of the order of words, groups of letters make inflected forms and typos alike.
    for pair in pairwise(words):
        key = " ".join(pair)
        weights[key] = weights.get(key, 0.0) + 0.3
    for word in words:
        framed = "" if word in STOP_STEMS else f"<{word}>"
        for group in (framed[start : start + size] for size in (3, 4) for start in range(len(framed) - size + 1)):
            weights["#" + group] = weights.get("#" + group, 0.0) + 0.3
    return weights

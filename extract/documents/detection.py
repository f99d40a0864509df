"""Tells the encoding of a text that says nothing of it. What the bytes leave open is refused, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from unicodedata import category, name

import chardet

__all__ = ["detect_encoding", "has_words"]

# Chosen on one half of benchmarks/text_encodings.py, proved on the other. The confidence of a short text is low however
# right it is, so a bound alone refuses too much: the reading must also lead all that read differently, and have words.
_MIN_CONFIDENCE = 0.15
_MIN_LEAD = 0.02  # of its confidence
_MAX_ODD_WORDS = 0.15  # of the words with letters beyond ASCII
_MAX_SAMPLE_BYTES = 200_000
_ALPHABETS = frozenset({"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI", "ARMENIAN", "GEORGIAN"})
_IMPOSSIBLE = frozenset({"Cc", "Cn", "Co", "Cs"})
_SYMBOLS = frozenset({"So", "Sm", "Sk", "No"})
_SYMBOLS_IN_WORDS = frozenset("´`¨·")
_MARKS_BETWEEN_WORDS = frozenset("¿¡‰†‡•¦§¶¸¤¥„‚‘“”…‹›«»")
_WORD = re.compile(r"[^\s!-&(-/:-@\[-_{-~]+")  # cells and attributes end at the signs of ASCII
_CONTROLS = re.compile(r"[\x80-\x9f]")  # "\x85" is a blank to Python
_GAP = re.compile(r"(?<=[^\W\d_])[\W\d_]+(?=[^\W\d_])")
# No reading of these is sure: their pages differ in a few letters, and in the marks of programs.
_OF_MAINFRAMES = re.compile(r"cp(?:037|273|424|500|875|1026|1140)")
# What the Latin pages of Windows, Western, Central European and Turkish, and ISO 8859-1 read alike, or have as a mark:
# too few letters for any statistics, and the same text in all of them.
_SAME_LETTERS = frozenset("äöüßéóáíúëçÄÖÜÉÁ")
_SAME_MARKS = frozenset("‘’“”–—…•€™©®°§µ±·«»\xa0\xad")


def detect_encoding(data: bytes) -> tuple[str, str] | None:
    """Return the encoding that bytes are written in, by Python's name, and their text. None where it is not clear."""
    sample = _sample(data)
    readings = [(lead, encoding) for lead, encoding, _ in _readings(sample)]
    if readings and readings[0][0] >= _MIN_CONFIDENCE and not _is_close(readings):
        encoding = readings[0][1]
        if _OF_MAINFRAMES.fullmatch(encoding):
            return None
    elif _is_plainly_western(sample):
        encoding = "cp1252"
    else:
        return None
    text = _decoded(data, encoding)
    return None if text is None else (encoding, text)


def _sample(data: bytes) -> bytes:
    """Return the data, of a large file the lines that are not ASCII: the others say nothing."""
    if len(data) <= _MAX_SAMPLE_BYTES:
        return data
    lines = b"\n".join(line for line in data.splitlines() if not line.isascii())
    return lines[: max(_MAX_SAMPLE_BYTES, lines.rfind(b"\n", 0, _MAX_SAMPLE_BYTES))] if lines else data


def _readings(sample: bytes) -> list[tuple[float, str, str]]:
    """Return the texts that the bytes may stand for, the likeliest first: confidence, encoding, text."""
    best: dict[str, tuple[float, str]] = {}
    for candidate in chardet.detect_all(
        sample, ignore_threshold=True, compat_names=False, exclude_encodings=["hp-roman8"]
    ):
        encoding = candidate["encoding"]
        text = None if encoding is None else _decoded(sample, encoding)
        if encoding is not None and text is not None and text not in best:
            best[text] = (candidate["confidence"], encoding)
    likely = ((lead, encoding, text) for text, (lead, encoding) in best.items() if lead * 2 >= _MIN_CONFIDENCE)
    return sorted((one for one in likely if has_words(one[2])), reverse=True)


def _is_close(readings: list[tuple[float, str]]) -> bool:
    return len(readings) > 1 and readings[1][0] > readings[0][0] * (1 - _MIN_LEAD)


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def has_words(text: str) -> bool:
    """True where words look like words. Letters of two alphabets in one, or a sign between two letters, do not."""
    words = list(_foreign_words(text))
    if _CONTROLS.search(text) or any(category(letter) in _IMPOSSIBLE for word in words for letter in word):
        return False
    return sum(map(_is_odd, words)) <= _MAX_ODD_WORDS * len(words)


def _foreign_words(text: str) -> Iterator[str]:
    return (word for word in _WORD.findall(text) if not word.isascii())


def _is_odd(word: str) -> bool:
    if len({_alphabet(letter) for letter in word} & _ALPHABETS) > 1:
        return True
    pairs = list(pairwise(word))
    if any(a.islower() and b.isupper() and not (a + b).isascii() for a, b in pairs):
        return True
    if any(_is_foreign_latin(a) and b.isdecimal() for a, b in pairs):
        return True
    return any(_parts_words(letter) for gap in _GAP.findall(word) for letter in gap)


def _is_foreign_latin(letter: str) -> bool:
    return not letter.isascii() and _alphabet(letter) == "LATIN"


def _parts_words(letter: str) -> bool:
    return letter in _MARKS_BETWEEN_WORDS or (category(letter) in _SYMBOLS and letter not in _SYMBOLS_IN_WORDS)


@lru_cache(maxsize=4096)
def _alphabet(letter: str) -> str:
    return name(letter, "").partition(" ")[0]


def _is_plainly_western(sample: bytes) -> bool:
    """True for nearly ASCII text whose few other letters are the same in all Latin pages of Windows."""
    text = _decoded(sample, "cp1252")
    if text is None or not all(letter.isascii() or letter in _SAME_LETTERS | _SAME_MARKS for letter in text):
        return False
    words = [letters for word in _foreign_words(text) for letters in re.findall(r"[^\W\d_]+", word)]
    foreign = sum(not letter.isascii() for word in words for letter in word)
    return not any(map(_is_odd, _foreign_words(text))) and foreign * 2 <= sum(map(len, words))

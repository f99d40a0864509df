"""Grapheme cluster boundaries (UAX 29): where a text may be cut without splitting a user-perceived character."""

from __future__ import annotations

from unicodedata import category, combining

__all__ = ["boundary_at_or_after", "boundary_at_or_before", "is_boundary"]

# Code points below this are graphemes by themselves, except for the two halves of a CRLF.
_FIRST_COMBINING = "\u0300"
_MARKS = frozenset({"Mn", "Mc", "Me"})
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_JOINER = "\u200d"
_MAX_MARKS = 32
_VIRAMA = 9  # combining class of the sign that joins two consonants of an Indic script into a conjunct


def _characters(*ranges: tuple[int, int]) -> frozenset[str]:
    return frozenset(chr(code) for first, last in ranges for code in range(first, last + 1))


# Not marks by category, yet part of the character before: joiners, tags, skin tones, halfwidth sound marks, the vowel
# "am" of Thai and Lao, Hangul vowels and finals, the vowels of Kirat Rai.
_TRAILING = _characters(
    (0x200C, 0x200D), (0xE0020, 0xE007F), (0x1F3FB, 0x1F3FF), (0xFF9E, 0xFF9F), (0x0E33, 0x0E33), (0x0EB3, 0x0EB3),
    (0x1160, 0x11FF), (0xD7B0, 0xD7FB), (0x16D63, 0x16D63), (0x16D67, 0x16D6A),
)  # fmt: skip
# Part of the character after them (Grapheme_Cluster_Break=Prepend).
_LEADING = _characters(
    (0x0600, 0x0605), (0x06DD, 0x06DD), (0x070F, 0x070F), (0x0890, 0x0891), (0x08E2, 0x08E2), (0x110BD, 0x110BD),
    (0x110CD, 0x110CD), (0x0D4E, 0x0D4E), (0x1CF5, 0x1CF6), (0x111C2, 0x111C3), (0x113D1, 0x113D1), (0x1193F, 0x1193F),
    (0x11941, 0x11941), (0x11A3A, 0x11A3A), (0x11A84, 0x11A89), (0x11D46, 0x11D46), (0x11F02, 0x11F02),
)  # fmt: skip
_HANGUL_INITIALS = _characters((0x1100, 0x115F), (0xA960, 0xA97C))
_HANGUL = _HANGUL_INITIALS | _characters((0xAC00, 0xD7A3))


def is_boundary(text: str, position: int) -> bool:
    """Whether a text may be cut at a position: no extended grapheme cluster spans it.

    It errs on the safe side only: after joiners and viramas, and beside characters that this Python's Unicode data does
    not know, it may return False for a boundary.
    """
    if not 0 < position < len(text):
        return True
    before, after = text[position - 1], text[position]
    if before < _FIRST_COMBINING and after < _FIRST_COMBINING:
        return not (before == "\r" and after == "\n")
    if _extends_cluster(after) or category(after) == "Cn":
        return False
    if before in _LEADING or before == _JOINER:
        return False
    if before in _HANGUL_INITIALS and after in _HANGUL:
        return False
    if before in _FLAG_LETTERS and after in _FLAG_LETTERS:
        return (position - len(text[:position].rstrip(_FLAG_LETTERS))) % 2 == 0
    return not _ends_in_conjunct(text[max(0, position - _MAX_MARKS) : position])


def _extends_cluster(character: str) -> bool:
    return character in _TRAILING or category(character) in _MARKS


def _ends_in_conjunct(before: str) -> bool:
    """Whether a text ends in a virama, perhaps with marks behind it, which joins the next consonant."""
    for character in reversed(before):
        if combining(character) == _VIRAMA:
            return True
        if not _extends_cluster(character):
            return False
    return len(before) == _MAX_MARKS  # unknown, as no more was read: assume it does


def boundary_at_or_before(text: str, position: int) -> int:
    """Return the last boundary at or before a position."""
    while not is_boundary(text, position):
        position -= 1
    return position


def boundary_at_or_after(text: str, position: int) -> int:
    """Return the first boundary at or after a position."""
    while not is_boundary(text, position):
        position += 1
    return position

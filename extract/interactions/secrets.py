"""Strikes a key out of what a service sends back, however it is escaped there."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

__all__ = ["holds_secret", "struck_out"]

_MIN_SECRET = 16  # characters: shorter ones are no keys, and words of every answer
_STRUCK = "[key]"
_LEVELS = 4
_MANY_SIGNS = 100_000
_CODE = re.compile(rb"\\{1,8}u00([2-7][0-9A-Fa-f])|&#[xX]0{0,6}([2-7][0-9A-Fa-f]);|&#0{0,6}(\d{2,3});")


def struck_out(body: bytes, key: str) -> bytes:
    """Return a text without the key, in UTF-8: as it is, or with any of its characters escaped, also more than once.

    Escapes are those of JSON (`\\/`, `\\u002d`), of addresses (`%2D`, `%252D`) and of HTML (`&#45;`). JSON stays JSON.
    """
    return _pattern(key).sub(_STRUCK.encode(), body)


def holds_secret(body: bytes, key: str) -> bool:
    """Return whether an answer holds the key, quickly for the many that do not."""
    if len(key) < _MIN_SECRET:
        return False
    secret = key.encode()
    if secret in body:
        return True
    # Without one of these signs, nothing is escaped that stands in a key. Written out: every answer passes here.
    has_signs = b"u00" in body or b"\\/" in body or b"%" in body or b"&#" in body
    if has_signs and body.count(b"%") > _MANY_SIGNS:  # taking them all out would hold up all other rows for seconds
        return _pattern(key).search(body) is not None
    return has_signs and secret in _unescaped(body)


def _unescaped(body: bytes) -> bytes:
    """Return a text with its escapes of ASCII taken out, some levels deep. What else it says may be lost."""
    for _ in range(_LEVELS):
        plain = _CODE.sub(_decoded, unquote_to_bytes(body) if b"%" in body else body).replace(b"\\/", b"/")
        if plain == body:
            break
        body = plain
    return body


def _decoded(match: re.Match[bytes]) -> bytes:
    hexadecimal, decimal = match[1] or match[2], match[3]
    return bytes([int(hexadecimal, 16) if hexadecimal else min(int(decimal), 127)])


@lru_cache(maxsize=16)
def _pattern(key: str) -> re.Pattern[bytes]:
    return re.compile("".join(map(_letter, key)).encode())


def _letter(letter: str) -> str:
    """Return the pattern of one character of a key, which is ASCII."""
    # Every repetition has a bound: a body of a million backslashes must not take long either.
    digits = f"(?i:{ord(letter):02x})"
    forms = (
        re.escape(letter),
        rf"\\{{1,8}}(?:u(?:00|\{{0{{0,6}}){digits}\}}?|x{digits}|{re.escape(letter)})",
        rf"%(?:25){{0,4}}{digits}",
        rf"&#(?:0{{0,6}}{ord(letter)}|[xX]0{{0,6}}{digits});?",
    )
    return f"(?:{'|'.join(forms)})"

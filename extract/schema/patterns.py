r"""Patterns of JSON Schemas in the notation of Rust's `regex`, which matches every one of them in linear time.

JSON Schema takes its patterns from ECMA-262. There `\d`, `\w` and `\b` are about ASCII, `\s` is a list of blanks, and
within brackets only `]`, `\`, `^` and `-` are special. Rust's engine also reads `&&`, `--`, `~~` and another `[` there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["conditions", "in_rust"]

_ESCAPE = (
    r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"  # one character in two halves
    r"|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]+\}|\\x[0-9A-Fa-f]{2}|\\[pP]\{[^}]*\}|\\c[A-Za-z]|\\."
)
_PART = re.compile(rf"{_ESCAPE}|\[\^?\]?(?:\\.|[^\]\\])*\]|\{{[0-9]*,?[0-9]*\}}|.", re.DOTALL)
_MEMBER = re.compile(rf"{_ESCAPE}|.", re.DOTALL)
_COUNT = re.compile(r"\{(?:[0-9]+,?[0-9]*|,[0-9]+)\}")
_BLANKS = r"\t\n\x0B\f\r \u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000\uFEFF"
_SETS = {
    "d": "[0-9]",
    "D": "[^0-9]",
    "w": "[A-Za-z0-9_]",
    "W": "[^A-Za-z0-9_]",
    "s": f"[{_BLANKS}]",
    "S": f"[^{_BLANKS}]",
}
_BOUNDARIES = {"b": r"(?-u:\b)", "B": r"(?-u:\B)", "Z": r"\z"}
_QUANTIFIERS = ("*", "+", "?", "{")


def in_rust(pattern: str) -> str:
    """Return a pattern of a JSON Schema as Rust's engine has to be given it to mean the same."""
    return "".join(map(_part, _PART.findall(pattern)))


def _part(part: str) -> str:
    if part[0] == "\\":
        return _BOUNDARIES.get(part[1:]) or _escape(part)[0]
    if part[0] == "[" and len(part) > 1:
        return _brackets(part)
    if part[0] == "{":
        # Whatever is no count is itself, as in `{id}`.
        return part.replace("{,", "{0,") if _COUNT.fullmatch(part) else "".join(map(_character, part))
    return part


def _escape(part: str) -> tuple[str, bool]:
    """Return an escape for Rust, and whether it stands for one character."""
    letter, rest = part[1:2], part[2:]
    if letter in _SETS:
        return _SETS[letter], False
    if letter in "pP" and letter:
        return part, False
    if letter == "u" and "\\" in rest:
        high, low = int(rest[:4], 16), int(rest[6:], 16)
        return f"\\x{{{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):x}}}", True
    if letter == "c" and rest:
        return _character(chr(ord(rest) % 32)), True
    if part == r"\0":
        return _character("\0"), True
    # Rust knows the others that are a letter or a digit, or refuses them: `\1` is a reference back.
    return (part if letter.isalnum() or not letter else _character(letter)), True


def _brackets(part: str) -> str:
    """Return a set of characters for Rust: what only it reads as an operator is written as a number."""
    negated = "^" if part[1] == "^" else ""
    members = _MEMBER.findall(part[1 + len(negated) : -1])
    return f"[{negated}{''.join(_members(members))}]"


def _members(members: list[str]) -> Iterator[str]:
    in_range = False  # the last one ended a range: a hyphen after it is a hyphen
    previous_single = False
    for number, member in enumerate(members):
        text, single = (_character("\b"), True) if member == r"\b" else _member(member)
        following = members[number + 1 : number + 2]
        if member == "-" and previous_single and not in_range and following and _member(following[0])[1]:
            yield "-"
            in_range, previous_single = True, False
            continue
        yield text
        in_range, previous_single = False, single and not in_range


def _member(member: str) -> tuple[str, bool]:
    if member[0] == "\\":
        return _escape(member)
    return (member if member.isalnum() else _character(member)), True


def _character(letter: str) -> str:
    return f"\\x{{{ord(letter):x}}}"


def conditions(pattern: str) -> list[tuple[str, bool]]:
    """Return the patterns that a pattern stands for, each with whether it must match or must not.

    A look-ahead directly behind the `^` of the whole pattern is a condition of its own, which needs no look-ahead:
    `^(?!admin)\\w+$` matches where `^\\w+$` does and `^(?:admin)` does not. All others stay where they are.
    """
    parts = _PART.findall(pattern)
    if not parts or parts[0] != "^" or _has_alternatives(parts):
        return [(pattern, True)]
    separate: list[tuple[str, bool]] = []
    at = 1
    while parts[at : at + 2] == ["(", "?"] and parts[at + 2 : at + 3] in (["="], ["!"]):
        end = _group_end(parts, at)
        if end is None or (parts[end : end + 1] and parts[end][0] in _QUANTIFIERS):
            break
        separate.append((f"^(?:{''.join(parts[at + 3 : end - 1])})", parts[at + 2] == "="))
        at = end
    return [*separate, ("^" + "".join(parts[at:]), True)]


def _group_end(parts: list[str], start: int) -> int | None:
    """Return the place behind the group that begins at `start`, None where it has no end."""
    depth = 0
    for place in range(start, len(parts)):
        depth += (parts[place] == "(") - (parts[place] == ")")
        if depth == 0:
            return place + 1
    return None


def _has_alternatives(parts: list[str]) -> bool:
    """Return whether the pattern as a whole is a choice between several."""
    depth = 0
    for part in parts:
        depth += (part == "(") - (part == ")")
        if part == "|" and depth == 0:
            return True
    return False

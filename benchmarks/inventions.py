"""Values that stand in a text with a letter, sign or digit added or taken: none of them stands there."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

from planted import SCRIPTS

__all__ = ["CHANGES", "INVENTED_SCRIPTS", "Invention", "inventions"]


class Invention(NamedTuple):
    """A text, a value that stands in it, and one made from that value, which does not stand there."""

    script: str
    change: str
    text: str
    value: str
    invented: str


INVENTED_SCRIPTS = tuple(script for script in SCRIPTS if script != "emoji")
_UNSPACED = ("Chinese", "Japanese", "Thai")
_ZEROS = {"Arabic": "٠", "Devanagari": "०", "Thai": "๐", "Tamil": "௦", "Bengali": "০"}
_CAPITALS = "ABCDEFGHJKLNPQUYZ"
_MAX_WORD = 11  # letters; a longer name with one letter wrong is similar, and is reported as such


def _number(rng: random.Random, script: str) -> str:
    digits = str(rng.randint(100, 999_999))
    zero = ord(_ZEROS.get(script, "0"))
    return "".join(chr(zero + int(digit)) for digit in digits) if rng.random() < 0.5 else digits


def _letters(rng: random.Random, script: str) -> str:
    if script in (*_UNSPACED, "Korean") or rng.random() < 0.5:
        return "".join(rng.choices(_CAPITALS, k=2))
    return "".join(rng.choices(_letters_of(script), k=2)).upper()


def _letters_of(script: str) -> list[str]:
    return sorted({char for word in SCRIPTS[script] for char in word if unicodedata.category(char)[0] == "L"})


def _code(rng: random.Random, script: str) -> str:
    return f"{_letters(rng, script)}{rng.choice(['', '-', '/'])}{_number(rng, script)}"


def _amount(rng: random.Random, _script: str) -> str:
    return f"{rng.randint(2, 9_999):,}.{rng.randint(1, 9)}{rng.randint(1, 9)}"


def _day(rng: random.Random, _script: str) -> str:
    return f"{rng.randint(13, 28)}.{rng.randint(10, 12)}.{rng.randint(2001, 2031)}"


def _word(rng: random.Random, script: str) -> str:
    return rng.choice([word for word in SCRIPTS[script] if 2 < len(word) <= _MAX_WORD] or SCRIPTS[script])


def _phrase(rng: random.Random, script: str) -> str:
    joint = "" if script in _UNSPACED else " "
    return joint.join([*rng.choices(SCRIPTS[script], k=3), _number(rng, script), rng.choice(SCRIPTS[script])])


_KINDS: dict[str, Callable[[random.Random, str], str]] = {
    "number": _number,
    "code": _code,
    "amount": _amount,
    "day": _day,
    "word": _word,
    "phrase": _phrase,
}


def _with_letter(value: str, rng: random.Random, script: str) -> str:
    if value[0].isalpha() and len(value) > _MAX_WORD:  # of a phrase, the letter is put beside its number
        place = next(index for index, char in enumerate(value) if char.isdecimal())
        return value[:place] + rng.choice(_CAPITALS) + value[place:]
    letters = rng.choice([rng.choice(_CAPITALS), _letters(rng, script), "INV-", rng.choice(_letters_of(script))])
    at_end = value[-1].isalpha() or (rng.random() < 0.3 and "-" not in letters)
    return value + letters if at_end else letters + value


def _without_letter(value: str, rng: random.Random, script: str) -> str:
    letters = [index for index, char in enumerate(value) if char.isalpha()]
    if not letters or len(value) > _MAX_WORD or (script in (*_UNSPACED, "Korean") and ord(value[letters[0]]) > 0x24F):
        return ""
    place = rng.choice([letters[0], letters[-1]])
    end = place + 1
    while end < len(value) and unicodedata.category(value[end])[0] == "M":
        end += 1
    return value[:place] + value[end:]


def _with_sign(value: str, rng: random.Random, _script: str) -> str:
    if value[0].isdecimal():
        return rng.choice(["-{}", "+{}", "\u2212{}", "#{}", "{}%", "{}-", "({})%"]).format(value)
    return rng.choice(["#{}", "@{}", "{}+", "{}#", "+{}"]).format(value)


def _without_sign(value: str, _rng: random.Random, _script: str) -> str:
    return value.removeprefix("-") if value[0] == "-" else ""


def _with_digit(value: str, rng: random.Random, _script: str) -> str:
    places = [index for index, char in enumerate(value) if char.isdecimal()]
    if not places:
        return f"{value}{rng.randint(2, 9)}"
    place = rng.choice([*places, places[-1] + 1])
    zero = ord(value[places[-1]]) - unicodedata.decimal(value[places[-1]])
    return value[:place] + chr(zero + rng.randint(1, 9)) + value[place:]


def _without_digit(value: str, rng: random.Random, _script: str) -> str:
    places = [index for index, char in enumerate(value) if char.isdecimal()]
    if len(places) < 2:
        return ""
    place = rng.choice(places)
    return value[:place] + value[place + 1 :]


CHANGES: dict[str, Callable[[str, random.Random, str], str]] = {
    "letters added": _with_letter,
    "letter taken": _without_letter,
    "sign added": _with_sign,
    "sign taken": _without_sign,
    "digit added": _with_digit,
    "digit taken": _without_digit,
}


def inventions(script: str, change: str, *, count: int, seed: int = 0) -> Iterator[Invention]:
    """Yield inventions of one kind: the value stands once in its text, between brackets or blanks."""
    rng = random.Random(f"{seed} {script} {change}")
    made = 0
    while made < count:
        kind = rng.choice(list(_KINDS))
        value = _KINDS[kind](rng, script)
        if change == "sign taken":
            value = f"-{value}" if kind in ("number", "amount") else value
        invented = CHANGES[change](value, rng, script)
        others = [word for word in SCRIPTS[script] if word not in value]
        text = " ".join(
            [*rng.choices(others, k=4), rng.choice(["({})", "{}", "{},"]).format(value), *rng.choices(others, k=4)]
        )
        if invented and invented != value and _bare(invented) not in _bare(text.replace(value, " ")):
            made += 1
            yield Invention(script, change, text, value, invented)


def _bare(text: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(char for char in folded if unicodedata.category(char)[0] not in "ZPC")

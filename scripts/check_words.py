"""Says where code or prose leaves plain English: python scripts/check_words.py [PATH ...]

Names are looked at in Python code, phrases in its strings and comments and in Markdown. Exit status 1 where any is
found. CONTRIBUTING.md gives the reasons.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = ("extract", "pipelines", "scripts", "docs", "README.md", "CONTRIBUTING.md", "SECURITY.md")

#: What a name must not be, and what to call it instead.
NAMES = {
    r"_?(told|said|heard|asked)": "message, reported, received, requested",
    r"_?(found|kept|taken)": "result, matches, stored, existing",
    r"_*(MOST|LONGEST|DEEPEST|LEAST)(_\w+)?": "MAX_..., MIN_...",
    r"_*(most|least|deepest)(_\w+)?": "max_..., min_...",
}
#: Parameters that users already write: renaming them would break their code.
PUBLIC = frozenset({"most_rounds"})
#: Phrases that cost a reader a second each, and what is plain.
PHRASES = {
    r"so many(?! that)": "n, up to n, that many",
    r"(of|none of) (ours|theirs)|of its own kind": "our, their, its",
    r"for want of": "without",
    r"in vain": "without success, failed",
    r"in another dress": "in another form",
    r"slips? of the pen": "typo",
    r"a talk of": "a conversation",
}
_NAME = re.compile("|".join(f"(?P<n{number}>{pattern})" for number, pattern in enumerate(NAMES)))
_PHRASE = re.compile("|".join(rf"(?P<p{n}>\b(?:{pattern})\b)" for n, pattern in enumerate(PHRASES)), re.IGNORECASE)
_FSTRING_TEXT = getattr(tokenize, "FSTRING_MIDDLE", -1)  # Python 3.12 and newer


def findings(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, what stands there, and what to write instead."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        for number, line in enumerate(text.splitlines(), start=1):
            yield from ((number, *phrase) for phrase in _phrases(line))
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME:
            if token.string not in PUBLIC and (match := _NAME.fullmatch(token.string)):
                yield token.start[0], token.string, [*NAMES.values()][int((match.lastgroup or "n0")[1:])]
        elif token.type in (tokenize.COMMENT, tokenize.STRING, _FSTRING_TEXT):
            for number, line in enumerate(token.string.splitlines(), start=token.start[0]):
                yield from ((number, *phrase) for phrase in _phrases(line))


def _phrases(line: str) -> Iterator[tuple[str, str]]:
    for match in _PHRASE.finditer(line):
        group = next(name for name, value in match.groupdict().items() if value is not None)
        yield match.group(), [*PHRASES.values()][int(group[1:])]


def main(arguments: list[str]) -> int:
    places = [Path(argument) for argument in arguments] or [ROOT / name for name in DEFAULT]
    count = 0
    for place in places:
        files = sorted(one for one in place.rglob("*") if one.suffix in (".py", ".md")) if place.is_dir() else [place]
        for path in files:
            if not path.is_file() or path.resolve() == Path(__file__).resolve():
                continue
            for number, what, instead in findings(path):
                count += 1
                sys.stdout.write(f"{path}:{number}: {what!r}: better {instead}\n")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

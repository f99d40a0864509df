"""Text for terminals and logs: colours, widths and signs that the stream can show, and no raw escapes."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TextIO

from rich.console import Console
from rich.text import Text

from extract.errors import ConfigError, ExtractError, SchemaError
from extract.limits import pricing as usage
from extract.results.run import Run
from extract.schema import OutputSchema

__all__ = [
    "INTERRUPTED",
    "Signs",
    "console_for",
    "duration",
    "exit_status",
    "is_live",
    "json_line",
    "money",
    "plain",
    "rate",
    "say_error",
    "say_warnings",
    "signs_for",
    "width_of",
]

STOPPED, WRONG_USAGE, SOME_REJECTED, INTERRUPTED = 1, 2, 3, 130
_UNWRAPPED = 10_000  # columns of what is not a terminal: a path in a log is not wrapped
_JOINERS = "\u200c\u200d"  # they shape letters and emoji, and move no cursor
_UNPRINTABLE = re.compile(r"[^\n -~]")


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs beyond ASCII in use, or ASCII in their place where the stream cannot show them."""

    dot: str = " · "
    line: str = "─"
    arrow: str = "→"
    cross: str = "✗"
    opening: str = "«"
    closing: str = "»"
    more: str = "…"


_ASCII = Signs(dot=" | ", line="-", arrow="->", cross="x", opening="[[", closing="]]", more="...")


def signs_for(console: Console) -> Signs:
    """Return the signs that the console's encoding has."""
    return Signs() if console.encoding.startswith("utf") else _ASCII


def console_for(file: TextIO) -> Console:
    """Return the console of a stream. Rich heeds FORCE_COLOR, TERM and COLUMNS."""
    # With NO_COLOR set, Rich would still write bold and dim.
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(
        file=file, stderr=file is sys.stderr, color_system=colours, highlight=False, emoji=False, markup=False
    )


def is_live(file: TextIO) -> bool:
    """Return whether lines can be redrawn. FORCE_COLOR gives a log colours, and does not make it a terminal."""
    return file.isatty() and not Console(file=file, force_terminal=True).is_dumb_terminal


def width_of(console: Console) -> int:
    """Return the width at which to wrap: that of a terminal, and practically none elsewhere."""
    return console.width if console.file.isatty() else _UNWRAPPED


def plain(text: object, console: Console | None = None) -> str:
    """Return a text that cannot move the cursor or set a colour: unprintable characters are written as escapes.

    Line breaks stay, tabs become spaces. With a console, what its encoding lacks is written as an escape, too.
    """
    shown = _UNPRINTABLE.sub(_escaped, str(text).expandtabs(4))
    encoding = "utf-8" if console is None else console.encoding
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def json_line(value: object) -> str:
    """Return a value as one line of JSON that a terminal can show: what `plain` escapes is escaped as JSON does."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return _UNPRINTABLE.sub(lambda match: match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1], text)


def _escaped(match: re.Match[str]) -> str:
    letter = match[0]
    return letter if letter.isprintable() or letter in _JOINERS else repr(letter)[1:-1]


def exit_status(result: Run | ExtractError) -> int:
    """Return the exit status for a run, or for the error that ended one."""
    if isinstance(result, ExtractError):
        return WRONG_USAGE if isinstance(result, ConfigError | SchemaError) else STOPPED
    if result.interrupted:
        return INTERRUPTED
    if result.stopped is not None:
        return exit_status(result.stopped)
    return SOME_REJECTED if result.totals.rejected else 0


def say_error(error: ExtractError) -> None:
    """Print an error as one line on stderr."""
    _say("error:", "bold red", error)


def say_warnings(schema: OutputSchema) -> None:
    """Print the reasons for which the service may refuse a schema, before anything is sent."""
    for warning in schema.complexity.warnings:
        _say("warning:", "bold yellow", warning)


def _say(head: str, style: str, what: object) -> None:
    console = console_for(sys.stderr)
    console.print(Text.assemble((head, style), " ", plain(what, console)), soft_wrap=True)


def money(dollars: Decimal | None) -> str:
    """Return an amount of US dollars as text, or that it is unknown."""
    return "cost unknown" if dollars is None else usage.money(dollars)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `42 s`, `3 min 5 s`, `2 h 13 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, names = (
        (whole // 60, whole % 60, ("min", "s")) if whole < 3600 else (whole // 3600, whole % 3600 // 60, ("h", "min"))
    )
    return f"{large:,} {names[0]}" + (f" {small} {names[1]}" if small else "")


def rate(per_second: float) -> str:
    """Return a rate as rows a second, or a minute where it is less than one a second."""
    number, unit = (per_second, "s") if per_second >= 1 else (per_second * 60, "min")
    return f"{number:,.0f} rows/{unit}" if number >= 10 else f"{number:.1f} rows/{unit}"

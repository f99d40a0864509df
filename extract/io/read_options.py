"""How a file of a table is to be read, where a user says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypedDict

from extract.errors import ConfigError

__all__ = ["ReadKeywords", "ReadOptions"]

_NAMES = {"tab": "\t", "\\t": "\t"}
_NO_QUOTE = "none"
_BACKSLASH = '\\"'


class ReadKeywords(TypedDict, total=False):
    """The keywords that say how a file is to be read; `run` explains them."""

    csv_separator: str | None
    csv_quote: str | None
    csv_encoding: str | None
    sheet: str | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What was said of a file; None is found out. ConfigError for a value that cannot be.

    `csv_separator` is one character, or "tab". `csv_quote` is one character, `\\"` for quotes that a backslash stands
    before, or "none". `csv_encoding` is a name that Python knows. `sheet` is the name of a sheet, or its number from 1.
    """

    csv_separator: str | None = None
    csv_quote: str | None = None
    csv_encoding: str | None = None
    sheet: str | int | None = None

    def __post_init__(self) -> None:
        if self.csv_separator is not None and not _is_separator(self.separator):
            raise ConfigError(f'csv_separator is one character, or "tab", not {self.csv_separator!r} (--csv-separator)')
        if self.csv_quote is not None and not _is_quote(self.csv_quote):
            raise ConfigError(
                f'csv_quote is one character, \\" or "none", not {self.csv_quote!r} (--csv-quote)',
            )
        if self.csv_encoding is not None and not _is_encoding(self.csv_encoding):
            raise ConfigError(f"csv_encoding {self.csv_encoding!r} is no encoding; cp1251 is one (--csv-encoding)")
        if self.sheet is not None and not _is_sheet(self.sheet):
            raise ConfigError(f"sheet is the name of a sheet, or its number from 1, not {self.sheet!r} (--sheet)")

    @classmethod
    def of(cls, keywords: Mapping[str, Any]) -> ReadOptions:
        """Return those of the keywords that are about reading."""
        return cls(**{one.name: keywords[one.name] for one in fields(cls) if one.name in keywords})

    @property
    def keywords(self) -> ReadKeywords:
        """The same as keywords of `open_source`."""
        return {
            "csv_separator": self.csv_separator,
            "csv_quote": self.csv_quote,
            "csv_encoding": self.csv_encoding,
            "sheet": self.sheet,
        }

    @property
    def separator(self) -> str | None:
        """The character between two cells."""
        return None if self.csv_separator is None else _NAMES.get(self.csv_separator, self.csv_separator)

    @property
    def quote(self) -> str | None:
        """The character around a cell; None where there is none, or nothing was said."""
        return None if self.csv_quote in (None, _NO_QUOTE) else self.csv_quote[-1]

    @property
    def escaped(self) -> bool:
        """True where a backslash stands before a quote that is a part of its cell."""
        return self.csv_quote == _BACKSLASH

    def of_kind(self, *, csv: bool, excel: bool) -> ReadOptions:
        """Return those of the options that fit a kind of file."""
        return replace(self if csv else ReadOptions(), sheet=self.sheet if excel else None)

    def check_for(self, what: str, *, csv: bool = False, excel: bool = False) -> None:
        """Raise ConfigError for an option that does not fit the kind of input."""
        given = [name for name in ("csv_separator", "csv_quote", "csv_encoding") if getattr(self, name) is not None]
        if given and not csv:
            raise ConfigError(f"{given[0]} (--{given[0].replace('_', '-')}) is about csv files, not about {what}")
        if self.sheet is not None and not excel:
            raise ConfigError(f"sheet (--sheet) is about Excel workbooks, not about {what}")


def _is_separator(character: Any) -> bool:
    return isinstance(character, str) and len(character) == 1 and character.isascii() and character not in '\r\n"'


def _is_quote(quote: Any) -> bool:
    if not isinstance(quote, str):
        return False
    return quote in (_NO_QUOTE, _BACKSLASH) or (len(quote) == 1 and quote.isascii() and quote not in "\r\n\\")


def _is_encoding(encoding: Any) -> bool:
    try:
        return isinstance(encoding, str) and bool("a".encode(encoding))
    except (LookupError, ValueError):
        return False


def _is_sheet(sheet: Any) -> bool:
    return isinstance(sheet, str) or (isinstance(sheet, int) and not isinstance(sheet, bool) and sheet > 0)

"""HTML, XML and JSON as the lines that a reader of the page sees: rows of cells, labels with their values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from json import JSONDecoder
from typing import Any

from extract.emulator.reader.words import split_name, terms

__all__ = ["plain_json", "plain_markup"]

PROBED = 20_000  # characters in which tags are counted
BLOCKS = frozenset(
    tag
    for line in (
        "address article aside blockquote body caption center dd div dl dt fieldset figcaption figure footer form",
        "h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol option p pre section select table tbody tfoot thead",
        "tr ul title br",
    )
    for tag in line.split()
)
HIDDEN = frozenset(("script", "style", "template", "noscript", "svg", "head"))
CELLS = frozenset(("td", "th"))
ROWS = frozenset(("tr", "table", "tbody", "thead", "tfoot"))
HTML_TAG = re.compile(r"<(/?)([A-Za-z!?][A-Za-z0-9:-]{0,40})(?:\s[^<>]*)?/?>")
GAP = "   "
HTML = re.compile(rf"<(?:!doctype\s+html|(?:{'|'.join(sorted(BLOCKS | CELLS))})(?:\s[^<>]*)?/?)>", re.IGNORECASE)
XML_HEAD = re.compile(r"\s*<\?xml\b[^<>]*>")
XML_TAG = re.compile(r"<(/?)([A-Za-z_][\w.:-]{0,80})((?:\s[^<>]*)?)>")
XML_LEAF = re.compile(r"<([A-Za-z_][\w.:-]{0,80})(?:\s[^<>]*)?>[^<>\n]*</\1\s*>")
BLANKS = re.compile(r"\s+")
XML_ATTRIBUTE = re.compile(r"([\w.:-]{1,80})\s?=\s?[\"']([^\"'<>]*)[\"']")
OF_ITS_PARENT = frozenset(("name", "number", "address", "email", "phone", "valu", "text", "date"))
DECODER = JSONDecoder()


@lru_cache(maxsize=64)
def plain_markup(text: str) -> str:
    """Return what HTML or XML shows, with the text before and after it; any other text as it is."""
    if "<" not in text:
        return text
    probe = text[:PROBED]
    if XML_HEAD.match(text) is None and sum(1 for _ in HTML.finditer(probe)) > 1:
        return shown(text)
    return spelled_out(text) if sum(1 for _ in XML_LEAF.finditer(probe)) > 1 else text


def plain_json(text: str) -> str:
    """Return JSON objects as lines "name: value", lists of objects as tables; any other text as it is."""
    at, lines = end_of_blanks(text, 0), list[str]()
    while text[at : at + 1] in ("{", "["):
        try:
            value, end = DECODER.raw_decode(text, at)
            lines += lines_of(value, "")
        except (ValueError, RecursionError):
            break
        at = end_of_blanks(text, end)
    return "\n".join([*lines, text[at:]]) if lines else text


def end_of_blanks(text: str, at: int) -> int:
    blanks = BLANKS.match(text, at)
    return blanks.end() if blanks else at


def shown(text: str) -> str:
    """Return the text of a page: a line for each block and each row of a table, wide gaps between cells."""
    page, at = Page(), 0
    text = without_comments(text)
    for tag in HTML_TAG.finditer(text):
        page.add_text(text[at : tag.start()])
        page.add_tag(tag[2].lower(), ends=bool(tag[1]))
        at = tag.end()
    page.add_text(text[at:])
    return "\n".join(filter(None, map(str.strip, "".join(page.pieces).split("\n"))))


class Page:
    """What a page shows, tag by tag."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.hidden: str = ""  # the outermost element that is not shown
        self.in_row: bool = False

    def add_text(self, text: str) -> None:
        if not self.hidden:
            self.pieces.append(BLANKS.sub(" ", unescape(text)))

    def add_tag(self, tag: str, *, ends: bool) -> None:
        if ends and tag == self.hidden:
            self.hidden = ""
        elif not ends and tag in HIDDEN:
            self.hidden = self.hidden or tag
        elif tag == "body" and self.hidden == "head":
            self.hidden = ""  # a head need not be closed
        if tag in CELLS and not ends:
            self.pieces.append(GAP)
            self.in_row = True
        elif tag in BLOCKS:
            self.in_row = self.in_row and tag not in ROWS
            self.pieces.append(" " if self.in_row else "\n")  # a paragraph in a cell does not end the row


def without_comments(text: str) -> str:
    first, *comments = text.split("<!--")
    return "".join([first, *(comment.partition("-->")[2] for comment in comments)])


def spelled_out(text: str) -> str:
    """Return XML with a line for each element without others inside, and for each attribute."""
    text = without_cdata(text)
    tags = list(XML_TAG.finditer(text))
    lines, path = [text[: tags[0].start()]], list[str]()
    for tag, after in zip(tags, [*tags[1:], None], strict=True):
        closing, name, rest = tag.groups()
        if closing:
            del path[-1:]
            continue
        path += [] if rest.endswith("/") else [name]
        is_leaf = after is not None and after[1] == "/" and after[2] == name
        inner = text[tag.end() : after.start()] if after is not None and is_leaf else ""
        above = path[-2] if len(path) > 1 else ""
        pairs = [(name, inner), *XML_ATTRIBUTE.findall(rest)]
        lines += [
            f"{label(named, above)}: {' '.join(value.split())}" for named, value in pairs if is_value(named, value)
        ]
    head = XML_HEAD.sub("", lines[0])
    return unescape("\n".join(filter(None, [head.strip(), *lines[1:], text[tags[-1].end() :].strip()])))


def without_cdata(text: str) -> str:
    """Return XML with what stands in CDATA sections as text."""
    first, *sections = text.split("<![CDATA[")
    parts = [section.partition("]]>") for section in sections]
    return "".join([first, *(inner.replace("<", " ") + rest for inner, _, rest in parts)])


def is_value(name: str, value: str) -> bool:
    return bool(value.strip()) and not name.startswith("xmlns") and "://" not in value


def label(name: str, above: str) -> str:
    """Return the words of a name without its prefix; `name` and its kind are those of what they are in."""
    words = split_name(name.rpartition(":")[2])
    return (
        f"{split_name(above.rpartition(':')[2])} {words}" if above and OF_ITS_PARENT.issuperset(terms(words)) else words
    )


def lines_of(value: Any, name: str, above: str = "") -> Iterator[str]:
    """Yield a JSON value as lines."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from lines_of(item, key, name)
    elif isinstance(value, list):
        yield from rows_of(value) if value and all(map(is_flat, value)) else joined(value, name)
    elif value is not None:
        yield f"{label(name, above)}: {written(value)}" if name else written(value)


def joined(values: list[Any], name: str) -> Iterator[str]:
    if not any(isinstance(value, dict | list) for value in values):
        yield f"{split_name(name)}: {', '.join(map(written, values))}"
        return
    for value in values:
        yield from lines_of(value, name)


def is_flat(value: Any) -> bool:
    return isinstance(value, dict) and not any(isinstance(item, dict | list) for item in value.values())


def rows_of(rows: list[dict[str, Any]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield GAP.join(map(split_name, names))
    yield from (GAP.join(written(row.get(name)) for name in names) for row in rows)


def written(value: Any) -> str:
    """Return a scalar as people write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2f}" if isinstance(value, float) and round(value, 2) == value else str(value)

"""Outputs to report on, and what a browser would make of a report's source."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, Field

from extract import Client, Emulator, Extractor, Limits, Retry, Run, run

__all__ = ["HOSTILE", "HOSTILE_ROW", "LETTERS", "Page", "answer_letter", "page_of", "run_of_letters"]

HOSTILE_ROW = '<script>document.title = "taken"</script> "><img src=x onerror="document.title = \'taken\'"> & so on'
HOSTILE = (
    HOSTILE_ROW,
    "</script><svg onload=alert(1)>",
    "</title><base href=//example.com>",
    "</style><iframe src=//example.com>",
    "<!-- <script>",
    "--><![CDATA[",
    "javascript:alert(1)",
    "&lt;b&gt;&#60;i&#62;",
    "{{ 7 * 7 }}{% raw %}",
    "a\u2028b\u2029c\x00\x0b\ufffe",
    "\u202e<b>",
    "\"'`",
)


class Letter(BaseModel):
    """What a letter says."""

    kind: Literal["order", "complaint", "other"]
    sender: str = Field(pattern=r"^.+$")
    amount: float
    topics: list[str]


LETTERS = Extractor(Letter, "{text}", grounding=("text",), system="Read this letter.", repairs=0)


def answer_letter(body: dict[str, Any]) -> str:
    """Answer as a model would, which cannot read what is illegible."""
    text = str(body["input"][0]["content"][-1]["text"])
    if "illegible" in text:
        return f"I cannot read {text}"
    kind = "complaint" if "broken" in text else "order"
    sender = text.split(",", maxsplit=1)[0]
    return json.dumps({"kind": kind, "sender": sender, "amount": float(len(text)), "topics": ["lamps", "chairs"]})


def run_of_letters(output: Path, *, rows: int = 12, **options: Any) -> Run:
    """Write an output of `rows` letters, the last ones hostile and illegible."""
    texts = [f"Ada Lovelace {n}, sends back a broken lamp for {n} pounds" for n in range(rows - 2)]
    letters = pl.DataFrame({"text": [*texts, HOSTILE_ROW, f"illegible {HOSTILE_ROW}"], "page": range(rows)})
    client = Client("key", transport=Emulator(answers=answer_letter).transport)
    limits = Limits(concurrency=8, retry=Retry(first_wait=0.001, longest_wait=0.01))
    options = {"cache": output.with_name(output.name + ".cache"), "provenance": True, "errors": "split"} | options
    return run(letters, LETTERS, client=client, limits=limits, output=output, **options)


@dataclass
class Page(HTMLParser):
    """The tags and attributes of a page, its text, and the records that stand in it."""

    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str | None]] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    sections: dict[str, str] = field(default_factory=dict)
    _inside: str = ""
    _section: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self._inside = tag
        if tag == "section":
            self._section = dict(attrs)["id"] or ""
        if tag == "script":
            self.scripts.append("")
        else:
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script" and self.scripts:
            self.scripts[-1] += data
        elif self._inside != "style":
            self.sections[self._section] = self.sections.get(self._section, "") + data

    def section(self, name: str) -> str:
        """Return the text of a section, blanks made one."""
        return " ".join(self.sections[name].split())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.sections.values()).split())

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.scripts[0])
        return data

    @property
    def records(self) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = self.data["records"]
        return records


def page_of(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text("utf-8"))
    page.close()
    return page

"""What notebooks show of a run: escaped, in the theme's own colours, and never a reason to fail."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import Client, Emulator, Extractor, SpotCheck, run
from extract.results.html import cell_text, link
from extract.results.spot_check import CheckedRow

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></table><style>*{}</style>",
    "&lt;b&gt;",
)
TAGS = {"a", "b", "br", "div", "em", "mark", "span", "table", "tbody", "td", "th", "thead", "tr"}


class Seen(HTMLParser):
    """Which tags and attributes a page has, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(page: str) -> Seen:
    seen = Seen(page)
    assert seen.tags <= TAGS
    assert seen.attributes <= {"style", "class", "title", "href", "target", "rel"}
    for colour in re.findall(r"(?:background|color): ([^;\"]+)", page):
        assert colour in ("inherit", "transparent") or re.fullmatch(r"rgba\(.*, 0\.[1-4]\d?\)", colour)
    return seen


def test_a_run_shows_counts_reasons_and_first_rows_and_nothing_hostile_runs() -> None:
    frame = pl.DataFrame({"text": [*HOSTILE, "fine"], "<b>name</b>": HOSTILE[0]})
    emulator = Emulator(answers=lambda body: '{"value": "good"}' if "fine" in str(body) else '{"value": "<script>"}')
    result = run(frame, Extractor(["good"], "{text}", repairs=0), client=Client("key", transport=emulator.transport))
    seen = checked(result._repr_html_())
    for text in (*HOSTILE, "<b>name</b>", "1 of 5 rows valid, 4 rejected", "invalid_answer", "$0.00"):
        assert text in seen.text
    drawn = checked(result.sample(5)._repr_html_())
    for text in HOSTILE:
        assert text in drawn.text


def test_a_run_links_to_its_report_and_files_and_does_not_mind_that_they_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(["a", "b"], Extractor(["a", "b"], "{text}"), offline=True, output="out.parquet")
    result.report = Path("my report <1>.html")
    page = result._repr_html_()
    checked(page)
    assert 'href="./my%20report%20%3C1%3E.html"' in page
    assert 'href="./out.parquet"' in page
    assert "to judge its rows: open_review('out.parquet')" in Seen(page).text
    assert "label" not in page
    (tmp_path / "out.parquet").unlink()
    assert "2 of 2 rows valid" in Seen(result._repr_html_()).text


def test_a_file_s_name_is_never_read_as_an_address() -> None:
    assert 'href="./javascript%3Aalert%281%29"' in link(Path("javascript:alert(1)"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "true"),
        (b"12345", "5 bytes"),
        ([1, {"a": None}], '[1,{"a":null}]'),
        ("x" * 300, "x" * 199 + "…"),
        (2.5, "2.5"),
    ],
)
def test_a_cell_is_short_and_readable(value: object, text: str) -> None:
    assert cell_text(value) == text


places = st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 60)), max_size=30)


@given(text=st.text(alphabet="ab<&\n ", max_size=12_000), places=places, before=st.text(alphabet="xy", max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_spans_give_the_text_in_order_or_what_is_around_them(
    text: str, places: list[tuple[int, int]], before: str
) -> None:
    spans = tuple(
        {"path": "$.a", "status": "exact", "start": start, "end": min(len(text), start + length), "text": ""}
        for start, length in places
        if start < len(text)
    )
    row = CheckedRow(row_id=1, prompt=before + text, answer={"a": 1}, source=text or None, spans=spans)
    shown = "".join(piece.text for piece in row.pieces())
    if len(before + text) <= 3_000:
        assert shown == before + text
    else:
        covered = sum(len(piece.text) for piece in row.pieces() if piece.status)
        assert len(shown) <= covered + 400 * (len(spans) + 2)
    checked(SpotCheck((row,))._repr_html_())
    assert all(len(line) <= 120 for line in repr(SpotCheck((row,))).splitlines())

"""The report in a browser: found, opened, highlighted, quiet, and reading well wide and narrow, light and dark."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pdfs import pdf_of
from reports import HOSTILE_ROW, run_of_letters

from extract import Client, Emulator, Extractor, run
from extract.report import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    run_of_letters(folder / "letters.parquet", rows=80)
    return write_report(folder / "letters.parquet", folder / "report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # Its sandbox needs rights that a container may not give; the page is ours and loads nothing.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Seen:
    """What a page did beside being looked at."""

    def __init__(self, page: Any) -> None:
        self.messages: list[str] = []
        self.requested: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("dialog", lambda dialog: self.messages.append(dialog.message))
        page.on("request", lambda request: self.requested.append(request.url))


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Any]:
    """Give a function that opens the report; nothing may be said in the console or asked of the network."""
    pages: list[tuple[Any, Seen]] = []

    def open_page(viewport: dict[str, int] = WIDE, scheme: str = "light") -> Any:
        page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()
        pages.append((page, Seen(page)))
        page.goto(report.as_uri())
        return page

    yield open_page
    for page, seen in pages:
        title = page.title()
        page.context.close()
        assert seen.messages == []
        assert [url for url in seen.requested if not url.startswith("data:")] == [report.as_uri()]
        assert title == "Letter – report"


def test_a_record_is_found_opened_and_its_spans_are_highlighted(opened: Any) -> None:
    page = opened()
    page.get_by_label("Search").fill("lovelace 42")
    assert page.locator("#found").inner_text() == "1 record"
    page.locator(".opener").click()
    assert page.locator(".opener").get_attribute("aria-expanded") == "true"
    assert page.locator(".source").inner_text() == "Ada Lovelace 42, sends back a broken lamp for 42 pounds"
    (mark,) = page.locator("mark").all()
    assert mark.inner_text() == "Ada Lovelace 42"
    page.locator("button.place", has_text="Ada Lovelace 42").click()
    assert "active" in (mark.get_attribute("class") or "")


def test_a_hostile_record_stays_text_and_runs_nothing(opened: Any) -> None:
    page = opened()
    page.get_by_label("Search").fill("onerror=")
    assert page.locator("#found").inner_text() == "2 records"
    for opener in page.locator(".opener").all():
        opener.click()
    assert page.get_by_role("region", name="Source text").inner_text() == HOSTILE_ROW
    assert HOSTILE_ROW in page.get_by_role("region", name="Rejected answer").inner_text()
    assert page.locator("#records img, #records script, #records svg").count() == 0
    assert page.locator("script").count() == 2


def test_what_nobody_has_said_is_not_found(opened: Any) -> None:
    page = opened()
    page.get_by_label("Search").fill("no such words anywhere")
    assert page.locator("#found").inner_text() == "0 records"
    assert page.locator(".record").count() == 0
    page.get_by_label("Search").fill("")
    page.get_by_label("Show").select_option(label="without an answer")
    assert page.locator(".record").count() == 1
    assert "invalid_answer" in page.locator(".record").inner_text()


def test_pages_are_turned(opened: Any) -> None:
    page = opened()
    assert page.locator(".record").count() == 50
    page.get_by_role("button", name="Next").click()
    assert page.locator(".record").count() == 30
    assert page.get_by_role("button", name="Next").is_disabled()
    page.get_by_role("button", name="Previous").click()
    assert page.locator(".record").count() == 50


def test_a_record_can_be_opened_and_closed_with_the_keyboard(opened: Any) -> None:
    page = opened()
    page.get_by_label("Search").fill("for 77 pounds")
    page.locator(".opener").focus()
    page.keyboard.press("Enter")
    assert page.locator(".detail").count() == 1
    page.keyboard.press("Enter")
    assert page.locator(".detail").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_is_wider_than_the_window_and_text_stands_out(opened: Any, viewport: Any, scheme: str) -> None:
    page = opened(viewport, scheme)
    for opener in page.locator(".opener").all()[:3]:
        opener.click()
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    for selector in ("body", ".muted", ".absent", "thead th", "#page"):
        assert contrast(page, selector) >= 4.5, selector


def test_the_scheme_can_be_changed_by_hand(opened: Any) -> None:
    page = opened(scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.get_by_role("button", name="Light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_a_table_becomes_cards_on_a_phone(opened: Any) -> None:
    page = opened(NARROW)
    row, cell = page.locator(".record").first, page.locator(".record td").first
    assert cell.bounding_box()["width"] > 0.8 * row.bounding_box()["width"]
    assert page.locator(".record td").first.get_attribute("data-label") in ("kind", "no answer")


def contrast(page: Any, selector: str) -> float:
    """Return the contrast of an element's text with the page, as WCAG has it."""
    looked_up = ((selector, "color"), ("body", "backgroundColor"))
    colours = [
        page.evaluate("([s, name]) => getComputedStyle(document.querySelector(s))[name]", one) for one in looked_up
    ]
    numbers = [[float(part) for part in re.findall(r"[\d.]+", colour)[:3]] for colour in colours]
    bright, dark = sorted(map(luminance, numbers), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: list[float]) -> float:
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_wrong_records_are_filtered_and_show_gold(browser: Any, tmp_path: Path) -> None:
    output = tmp_path / "letters.parquet"
    run_of_letters(output, rows=30)
    gold = pl.read_parquet(output).select(
        "page", kind=pl.when(pl.col("page") == 7).then(pl.lit("x")).otherwise(pl.col("kind").cast(pl.String))
    )
    written = write_report(output, tmp_path / "report.html", gold=gold, on="page")
    page = browser.new_context(viewport=WIDE).new_page()
    page.goto(written.as_uri())
    page.locator("#kind").select_option("wrong")
    assert page.locator("#found").inner_text() == "1 record"
    assert page.locator("td.wrong").count() == 1
    page.locator(".opener").click()
    assert page.locator(".gold").inner_text() == "x"
    assert page.locator(".predicted").inner_text() == "complaint"
    page.context.close()


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the report of a folder with a text and a PDF of two pages."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text(f"Invoice 4711\nTotal: 12.50 EUR\n{HOSTILE_ROW}")
    (tmp_path / "docs" / "b.pdf").write_bytes(pdf_of("Invoice 4711", "Total: 12.50 EUR"))
    monkeypatch.chdir(tmp_path)
    client = Client("key", transport=Emulator(answers=lambda _: '{"number": "4711", "total": 12.5}').transport)
    bill = {"type": "object", "properties": {"number": {"type": "string"}, "total": {"type": "number"}}}
    extractor = Extractor(bill, "Read this.", media=("path",), grounding=("path",))
    run("docs", extractor, client=client, output="bills.parquet", provenance=True)
    return write_report("bills.parquet", tmp_path / "report.html")


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_document_is_shown_by_page_with_its_values_marked(browser: Any, documents: Path, viewport: Any) -> None:
    pytest.importorskip("pypdfium2", reason="the extra `documents` is not installed")
    page = browser.new_context(viewport=viewport).new_page()
    seen = Seen(page)
    page.goto(documents.as_uri())
    page.locator(".opener").nth(1).click()
    assert page.locator("h5").all_inner_texts() == ["page 1", "page 2"]
    assert page.locator("mark").all_inner_texts() == ["4711", "12.50"]
    assert [text.split()[0] for text in page.locator(".source").all_inner_texts()] == ["Invoice", "Total:"]
    assert page.locator("svg.page-picture").count() == 2
    sizes = "[...document.querySelectorAll('svg.page-picture')].map((one) => one.getBoundingClientRect().height)"
    assert all(height > 300 for height in page.evaluate(sizes))
    page.locator("button.place").nth(1).click()
    assert page.locator("mark.active").inner_text() == "12.50"
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    assert seen.messages == []
    assert not [url for url in seen.requested if not url.startswith(("file:", "data:"))]
    page.context.close()


def test_a_hostile_document_stays_text_and_is_found(browser: Any, documents: Path) -> None:
    page = browser.new_context(viewport=WIDE).new_page()
    seen = Seen(page)
    page.goto(documents.as_uri())
    page.get_by_label("Search").fill("so on")
    assert page.locator("#found").inner_text() == "1 record"
    page.locator(".opener").click()
    assert HOSTILE_ROW in page.locator(".source").inner_text()
    assert page.locator("img").count() == 0
    assert page.title() != "taken"
    assert seen.messages == []
    page.context.close()


def test_boxes_on_the_picture_of_a_page_are_linked_with_values(browser: Any, documents: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra `documents` is not installed")
    output = documents.with_name("bills.parquet")
    rows, footer = pl.read_parquet(output), pl.read_parquet_metadata(output)
    box = {"page": 1, "left": 60.0, "top": 50.0, "right": 140.0, "bottom": 70.0}
    boxes = pl.lit([box], dtype=pl.List(pl.Struct({"page": pl.Int64, **dict.fromkeys(list(box)[1:], pl.Float64)})))
    spans = pl.col("_spans").list.eval(pl.element().struct.with_fields(boxes.alias("boxes")))
    metadata = {name: text for name, text in footer.items() if name != "ARROW:schema"}
    rows.with_columns(spans).write_parquet(output, metadata=metadata)
    page = browser.new_context(viewport=WIDE, color_scheme="dark").new_page()
    seen = Seen(page)
    page.goto(write_report(output, documents).as_uri())
    page.locator(".opener").nth(1).click()
    picture, drawn = page.locator(".page-picture").first.bounding_box(), page.locator("rect.box").first.bounding_box()
    assert page.locator("rect.box").count() == 2  # both values say so, on the first page only
    scale = picture["width"] / 595
    assert abs(drawn["x"] - picture["x"] - 59 * scale) < 3
    assert abs(drawn["y"] - picture["y"] - 49 * scale) < 3
    assert abs(drawn["width"] - 82 * scale) < 3
    page.locator("rect.box").last.click()
    assert page.locator(".place.active").inner_text() == "12.5"
    assert page.locator("mark.active").inner_text() == "12.50"
    assert seen.messages == []
    page.context.close()

"""The text of a page as it is laid out: columns, lines, and what is left in pdfium's order."""

from __future__ import annotations

import pytest
from clocks import cpu_bound
from pdfs import assembled, pages_of, pdf_of, placed_pdf, stream

from extract.documents.pdf import read_pdf
from extract.documents.pdf_layout import laid_out
from extract.documents.pdf_words import Word

pytest.importorskip("pypdfium2")

PROSE = ["the quick brown fox jumps over the lazy", "dog and then runs home to its den again"] * 5


def word(text: str, left: float, base: float, *, upright: bool = True) -> Word:
    return Word(text, left, left + 5 * len(text), base, 10, upright)


@pytest.mark.parametrize(
    ("placed", "text"),
    [
        ([(400, 700, "12.50"), (60, 700, "Total due")], "Total due   12.50"),
        ([(60, 680, "Tea"), (300, 680, "2"), (60, 700, "Item"), (300, 700, "Qty")], "Item   Qty\nTea   2"),
        ([(60, 700, "Invoice"), (98, 700, "no. 17")], "Invoice no. 17"),
        ([(60, 700, "Grand total"), (480, 701.5, "9.00"), (60, 686, "Thanks")], "Grand total   9.00\nThanks"),
        ([(60, 700, "hyphen-"), (60, 688, "ated word")], "hyphen-\nated word"),
        ([(60, 700, "seen"), (60, 900, "above the page"), (700, 700, "beside it")], "seen"),
    ],
    ids=["flush right", "table", "one label", "nearly one line", "hyphen", "off the page"],
)
def test_lines_and_columns_are_kept(placed: list[tuple[float, float, str]], text: str) -> None:
    assert read_pdf(placed_pdf(*placed)).text == text


def test_columns_of_running_text_are_read_one_after_the_other() -> None:
    columns = [(x, 700 - 12 * line, text) for x in (50, 320) for line, text in enumerate(PROSE)]
    assert read_pdf(placed_pdf(*columns)).text == "\n".join(PROSE * 2)


def test_a_page_that_stands_on_its_head_stays_in_its_order() -> None:
    data = placed_pdf((500, 100, "first"), (500, 120, "second"), turn="-1 0 0 -1")
    assert read_pdf(data).text.split() == ["first", "second"]


def test_turned_text_follows_the_rest() -> None:
    words = [word("Form", 20, 300, upright=False), word("right", 300, 700), word("left", 60, 700)]
    assert laid_out(words) == "left   right\nForm"
    assert laid_out([word("Form", 20, 300, upright=False), word("27b", 20, 340, upright=False)]) is None


def test_scripts_from_right_to_left_are_left_to_pdfium() -> None:
    assert laid_out([word("\u05e9\u05dc\u05d5\u05dd", 60, 700), word("17", 20, 700)]) is None


def test_halves_of_a_character_are_put_together_and_a_lone_one_is_dropped() -> None:
    assert laid_out([word("\ud83d\ude00", 60, 700), word("a\ud83d", 200, 700)]) == "\U0001f600   a"


def test_a_page_without_words_is_empty() -> None:
    assert laid_out([]) == ""
    assert read_pdf(assembled(pages_of([stream(b"BT /F 10 Tf ( ) Tj ET")]))).text == ""


def test_a_full_page_is_read_in_little_time() -> None:
    data = placed_pdf(*((60 + 5 * column, 800 - 5 * row, "x y z") for row in range(150) for column in range(0, 84, 6)))
    with cpu_bound(10):  # a tenth of a second; comparing each word with each takes minutes
        text = read_pdf(data).text
    assert len(text) > 8_000
    assert text == read_pdf(data).text


def test_places_in_the_text_stay_pages_apart() -> None:
    read = read_pdf(pdf_of("one\ntwo", "", "c"))
    assert (read.text, read.page_starts) == ("one\ntwo\f\fc", (0, 8, 9))

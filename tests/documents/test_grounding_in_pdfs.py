"""Values of a PDF whose text is laid out in columns: cells that wrap are found whole, with their page and place."""

from __future__ import annotations

import pytest
from pdfs import placed_pdf
from wrapped_tables import ORDERS, wrapped_tables

from extract.documents.grounding import SourceText, ground
from extract.documents.parts import MediaPart
from extract.documents.pdf import PdfText, read_pdf
from extract.documents.text_layer import source_text

pytest.importorskip("pypdfium2")

CELL_BY_CELL = (
    (60, 700, "Bench of beech,"),
    (60, 688, "oiled"),
    (300, 700, "Delivery to the"),
    (300, 688, "third floor"),
    (500, 700, "345.00"),
)
LINE_BY_LINE = tuple(sorted(CELL_BY_CELL, key=lambda piece: (-piece[1], piece[0])))


def source_of(*pdfs: bytes) -> SourceText:
    parts = [MediaPart(kind="document", mime_type="application/pdf", data=pdf) for pdf in pdfs]
    source = source_text(parts)
    assert source is not None
    return source


@pytest.mark.parametrize("placed", [CELL_BY_CELL, LINE_BY_LINE], ids=["cell by cell", "line by line"])
def test_a_cell_that_wraps_is_found_from_its_first_word_to_its_last(
    placed: tuple[tuple[float, float, str], ...],
) -> None:
    source = source_of(placed_pdf(*placed))
    assert source.text == "Bench of beech,   Delivery to the   345.00\noiled   third floor"
    spans = ground({"what": "Bench of beech, oiled", "where": "Delivery to the third floor"}, source)
    assert [(span.status, span.page) for span in spans] == [("normalised", 1)] * 2
    assert spans[0].text == "Bench of beech,   Delivery to the   345.00\noiled"
    assert spans[1].text == "Delivery to the   345.00\noiled   third floor"
    for span in spans:
        assert span.text == source.text[span.start : span.end]


def test_a_cell_on_a_later_part_of_a_long_pdf_has_its_page() -> None:
    source = source_of(placed_pdf((60, 700, "A first page")), placed_pdf(*CELL_BY_CELL))
    (span,) = ground({"what": "Bench of beech, oiled"}, source)
    assert (span.page, span.start) == (2, source.text.index("Bench"))


def test_a_date_that_wraps_is_found() -> None:
    source = source_of(
        placed_pdf((60, 700, "5 November"), (300, 700, "paid"), (60, 688, "2026"), (300, 688, "in cash"))
    )
    (span,) = ground({"day": "2026-11-05"}, source)
    assert span.status == "normalised"


def test_numbers_below_each_other_are_not_one_number() -> None:
    column = placed_pdf((60, 700, "1"), (300, 700, "tea"), (60, 688, "234"), (300, 688, "milk"))
    statuses = [span.status for span in ground({"number": 1234, "total": "1234", "code": "1234"}, source_of(column))]
    assert statuses == ["missing"] * 3


def test_the_end_of_one_cell_and_the_beginning_of_another_column_are_no_value() -> None:
    (span,) = ground({"v": "oiled Delivery"}, source_of(placed_pdf(*CELL_BY_CELL)))
    assert span.status == "missing"


@pytest.mark.parametrize("order", ORDERS)
def test_the_cells_of_whole_tables_are_found(order: str) -> None:
    found = total = 0
    for drawn in wrapped_tables(order, count=1, seed=7):
        spans = {span.path: span.status for span in ground({"rows": drawn.rows}, source_of(drawn.data))}
        statuses = [spans[f"$.rows[{number}].{name}"] for number, name in drawn.wrapped]
        total += len(statuses)
        found += sum(status in ("exact", "normalised") for status in statuses)
    assert total > 20
    assert found >= 0.95 * total


def test_a_page_that_is_read_in_one_order_only_has_no_other() -> None:
    assert read_pdf(placed_pdf((60, 700, "one line"))).orders == ((),)
    assert list(PdfText(("a", "b")).readings) == []
    assert PdfText.joined([PdfText(("a",)), PdfText(("b",), orders=(((0, 1), (0, 1)),) and ((((0, 1),),),))]).pages == (
        "a",
        "b",
    )


def test_a_value_has_a_box_on_its_page_for_each_line_and_column_of_its_words() -> None:
    source = source_of(placed_pdf((60, 700, "A first page")), placed_pdf(*CELL_BY_CELL))
    spans = ground({"what": "Bench of beech, oiled", "place": "third floor", "price": "345.00", "no": "x"}, source)
    what, place, price, missing = (span.boxes for span in spans)
    assert [(box.page, round(box.left)) for box in what] == [(2, 60), (2, 60)]
    assert what[0].top < what[0].bottom <= what[1].bottom
    assert what[0].right < 300  # not the words of the cells beside it, over which the span reaches
    assert [(box.page, round(box.left)) for box in place] == [(2, 300)]
    assert [(box.page, round(box.left)) for box in price] == [(2, 500)]
    assert missing == ()


def test_a_text_has_no_boxes() -> None:
    (span,) = ground({"v": "oak"}, SourceText("an oak"))
    assert (span.text, span.boxes) == ("oak", ())


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("one two", [1]),
        ("two\nthree four", [1, 1]),
        ("wo\nthree fo", [1, 1]),
        ("one   far", [1, 1]),
        ("far\fnext page", [1, 2]),
    ],
)
def test_words_that_follow_on_a_line_share_a_box(text: str, pages: list[int]) -> None:
    first = placed_pdf((60, 700, "one two"), (60, 688, "three four"), (60, 676, "one"), (300, 676, "far"))
    read = PdfText.joined([read_pdf(first), read_pdf(placed_pdf((60, 700, "next page")))])
    start = read.text.index(text)
    assert [box.page for box in read.boxes(start, start + len(text))] == pages

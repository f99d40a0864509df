"""The local text layer: pages, faults, parts. The order within a page: test_pdf_layout."""

from __future__ import annotations

import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pdfs import assembled, bomb_pdf, locked_pdf, pdf_of, restricted_pdf, stream

from extract.documents import pdf, pdf_opening
from extract.documents.pdf import check_pdf, count_pages, read_pdf, split_pdf
from extract.errors import BadRecord, ConfigError

pytest.importorskip("pypdfium2")


@pytest.fixture
def no_pdfium(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pdf, pdf_opening):
        monkeypatch.setattr(module, "has_pdfium", lambda: False)


def test_pages_are_joined_by_form_feeds_and_keep_their_lines() -> None:
    read = read_pdf(pdf_of("Invoice 17\nTotal: 12.50 €", "page two", "Grüße"))
    assert read.pages == ("Invoice 17\nTotal: 12.50 €", "page two", "Grüße")
    assert read.text == "Invoice 17\nTotal: 12.50 €\fpage two\fGrüße"
    assert [read.text[start : start + 4] for start in read.page_starts] == ["Invo", "page", "Grüß"]
    assert read.has_text_layer


def test_a_scan_has_no_text_layer() -> None:
    read = read_pdf(pdf_of("", ""))
    assert (read.pages, read.page_starts, read.has_text_layer) == (("", ""), (0, 1), False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pdf_of("a", "b"), None),
        (b"\xef\xbb\xbf\r\n" + pdf_of("a"), None),
        (pdf_of("a") + bytes(3000), None),
        (restricted_pdf(), None),
        (locked_pdf(), "is encrypted"),
        (pdf_of("a")[:300], "is damaged: its end is missing"),
        (b"%PDF-1.7\nnothing\n%%EOF\n", "is damaged: it cannot be opened"),
        (
            assembled([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"]),
            "is damaged: it cannot be opened",
        ),
        (
            assembled([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[9 0 R]/Count 1>>"]),
            "is damaged: it cannot be opened",
        ),
        (bomb_pdf(40), "would unpack to many times its size"),
        (assembled([stream(b"x", b"/Filter[/FlateDecode /FlateDecode]")]), "would unpack to many times its size"),
    ],
)
def test_a_pdf_that_cannot_be_read_is_refused_with_the_reason(data: bytes, reason: str | None) -> None:
    if reason is None:
        check_pdf(data)
    else:
        with pytest.raises(BadRecord, match=f"^scan: the PDF {reason}"):
            check_pdf(data, "scan")


def test_a_restricted_pdf_is_read_like_any_other() -> None:
    assert read_pdf(restricted_pdf("Total 12.50")).text == "Total 12.50"


def test_without_pdfium_the_marks_of_the_file_are_all_there_is(no_pdfium: None) -> None:
    check_pdf(pdf_of("a"))
    with pytest.raises(BadRecord, match="its end is missing"):
        check_pdf(pdf_of("a")[:300])
    with pytest.raises(BadRecord, match=r"save it without a password, or, .*\[documents\]"):
        check_pdf(restricted_pdf())
    for call in (count_pages, read_pdf, lambda data: list(split_pdf(data))):
        with pytest.raises(ConfigError, match=r"pip install 'extract-interactions\[documents\]'"):
            call(pdf_of("a"))


def test_a_pdf_is_split_by_pages_and_every_part_stands_alone() -> None:
    data = pdf_of(*(f"page {number}" for number in range(1, 8)))
    parts = list(split_pdf(data, max_pages=3))
    assert [(part.first, part.last) for part in parts] == [(1, 3), (4, 6), (7, 7)]
    assert [read_pdf(part.data).pages[0] for part in parts] == ["page 1", "page 4", "page 7"]
    assert parts == list(split_pdf(data, max_pages=3))


def test_parts_stay_below_the_limit_of_bytes() -> None:
    data = pdf_of(*("word " * 400 for _ in range(8)))
    parts = list(split_pdf(data, max_bytes=1_600))
    assert len(parts) == 4
    assert sum(part.last - part.first + 1 for part in parts) == 8
    assert max(len(part.data) for part in parts) <= 1_600
    assert [part.first for part in parts[1:]] == [part.last + 1 for part in parts[:-1]]
    with pytest.raises(BadRecord, match=r"a\.pdf: page 1 alone has [\d,]+ bytes \(at most 500\)"):
        list(split_pdf(data, max_bytes=500, where="a.pdf"))


def test_what_is_small_enough_stays_as_it_is() -> None:
    data = pdf_of("a", "b")
    assert [(part.first, part.last, part.data) for part in split_pdf(data)] == [(1, 2, data)]
    with pytest.raises(ConfigError, match="at least 1"):
        list(split_pdf(data, max_pages=0))


def test_more_pages_than_the_api_takes_are_told_before_anything_is_sent() -> None:
    data = pdf_of(*["x"] * 1_001)
    with pytest.raises(BadRecord, match=r"1,001 pages are too many \(at most 1,000\); split it"):
        check_pdf(data)
    assert [part.last for part in split_pdf(data)] == [1_000, 1_001]


def _refusal(data: bytes) -> str:
    try:
        check_pdf(data)
    except BadRecord as refusal:
        return str(refusal)
    return ""


def test_many_threads_take_turns() -> None:
    data = [pdf_of(f"document {number}", "more") for number in range(40)] + [b"%PDF-1.4 %%EOF"] * 10
    with ThreadPoolExecutor(8) as pool:
        reasons = list(pool.map(_refusal, data))
        texts = list(pool.map(lambda one: read_pdf(one).pages[0], data[:40]))
    assert reasons == [""] * 40 + ["the PDF: the PDF is damaged: it cannot be opened; fetch it again"] * 10
    assert texts == [f"document {number}" for number in range(40)]


def test_a_bomb_is_not_set_off() -> None:
    data = bomb_pdf(300)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadRecord, match="many times its size"):
        read_pdf(data)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 100_000_000


def test_real_invoices_have_their_text(shared_data: Path) -> None:
    texts = [
        read_pdf(path.read_bytes(), path.name).text for path in sorted((shared_data / "invoice_pdfs").glob("*.pdf"))
    ]
    assert len(texts) == 5
    assert "Invoice INV/2023/03/0008" in texts[0]
    assert "Totaal   € 717,97" in texts[2]

"""Pages as pictures, and where their words stand: a box drawn on the picture covers the ink of its word."""

from __future__ import annotations

import struct
import zlib
from itertools import count, product
from math import ceil, floor
from pathlib import Path

import pytest
from pdfs import assembled, bomb_pdf, locked_pdf, pages_of, pdf_of, placed_pdf, stream

from extract import Box
from extract.documents import page_pictures
from extract.documents.page_pictures import page_picture, page_size, page_words
from extract.documents.pdf import read_pdf
from extract.errors import BadRecord, ConfigError

pytest.importorskip("pypdfium2")

PLACED = ((100, 700, "Invoice"), (180, 700, "gyj Total,"), (400, 640, "12.50"), (120, 500, "Grand"), (300, 300, "end"))
QUARTERS = {
    "upright": "1 0 0 1",
    "quarter": "0 1 -1 0",
    "half": "-1 0 0 -1",
    "back": "0 -1 1 0",
    "aslant": ".8 .6 -.6 .8",
}
SCALE = 2  # pixels in a point


class Pixels:
    """A picture of a page; which of its pixels are dark, as (column, row)."""

    def __init__(self, png: bytes) -> None:
        assert png.startswith(b"\x89PNG\r\n\x1a\n")
        self.width, self.height = struct.unpack(">II", png[16:24])
        packed = png[png.index(b"IDAT") + 4 : png.rindex(b"IEND") - 8]
        rows, row = zlib.decompress(packed), 3 * self.width + 1
        assert len(rows) == row * self.height
        self.dark = {
            (x, y)
            for y in range(self.height)
            if min(line := rows[y * row + 1 : (y + 1) * row]) < 128
            for x in range(self.width)
            if line[3 * x + 1] < 128  # green: red text counts as dark, too
        }

    def inside(self, box: Box) -> set[tuple[int, int]]:
        """Return the dark pixels in a box, which may be one pixel larger than it says."""
        left, top, right, bottom = (SCALE * side for side in (box.left, box.top, box.right, box.bottom))
        columns, rows = range(floor(left) - 1, ceil(right) + 1), range(floor(top) - 1, ceil(bottom) + 1)
        return self.dark.intersection(product(columns, rows))


def picture_of(data: bytes) -> Pixels:
    wide, _ = page_size(data, 1)
    return Pixels(page_picture(data, 1, round(SCALE * wide)))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("crop", [b"", b"/CropBox[50 200 500 800]"], ids=["whole", "cropped"])
@pytest.mark.parametrize("turn", list(QUARTERS))
def test_a_box_covers_the_ink_of_its_word_and_of_no_other(turn: str, crop: bytes, rotation: int) -> None:
    data = placed_pdf(*PLACED, turn=QUARTERS[turn], entries=b"/Rotate %d%b" % (rotation, crop))
    words, picture = page_words(data, 1), picture_of(data)
    assert sorted(word.text for word in words) == sorted(["Invoice", "gyj", "Total,", "12.50", "Grand", "end"])
    inks = [picture.inside(word.box) for word in words]
    assert all(inks)
    assert set().union(*inks) == picture.dark
    if turn != "aslant":
        assert sum(map(len, inks)) == len(picture.dark)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_size_and_picture_are_those_of_the_page_as_it_is_shown(rotation: int) -> None:
    data = placed_pdf((100, 700, "x"), entries=b"/Rotate %d/CropBox[50 200 450 800]" % rotation)
    shown = (600, 400) if rotation % 180 else (400, 600)
    assert page_size(data, 1) == shown
    picture = Pixels(page_picture(data, 1, 200))
    assert (picture.width, picture.height) == (200, round(200 * shown[1] / shown[0]))


def test_words_have_their_places_in_the_text_of_the_page() -> None:
    data = placed_pdf((400, 700, "12.50"), (60, 700, "Total due"), (60, 680, "Thanks"))
    text = read_pdf(data).pages[0]
    assert text == "Total due   12.50\nThanks"
    words = page_words(data, 1)
    assert [word.text for word in words] == ["Total", "due", "12.50", "Thanks"]
    assert [text[word.start : word.end] for word in words] == [word.text for word in words]


def test_what_is_filled_into_a_form_is_drawn() -> None:
    field = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(x)/Rect[100 100 200 120]/F 4/AP<</N 6 0 R>>>>"
    page = pages_of([stream(b"")], b"/Annots[5 0 R]")
    page[0] = b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>"
    drawing = stream(b"0 g 0 0 100 20 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 100 20]")
    assert len(picture_of(assembled([*page, field, drawing])).dark) == pytest.approx(200 * 40, rel=0.1)


def test_a_picture_has_no_more_pixels_than_its_bound_at_any_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_pictures, "MAX_PIXELS", 10_000)
    for entries in (b"", b"/MediaBox[0 0 2 14000]", b"/MediaBox[0 0 14000 2]"):
        picture = Pixels(page_picture(placed_pdf((10, 1, "x"), entries=entries), 1, 4_000))
        assert 1 <= picture.width * picture.height <= 10_000


def test_a_page_that_is_drawn_for_too_long_is_given_up() -> None:
    data = placed_pdf(*((x, y, "word") for x in range(20, 500, 30) for y in range(20, 800, 12)))
    with pytest.raises(BadRecord, match=r"^scan: page 1 cannot be drawn in 5 s; open it in another program$"):
        page_picture(data, 1, 300, "scan", max_seconds=5, clock=count(step=10).__next__)
    assert Pixels(page_picture(data, 1, 300, max_seconds=5, clock=lambda: 0)).dark


@pytest.mark.parametrize(
    ("data", "page", "reason"),
    [
        (pdf_of("a", "b"), 3, "there is no page 3; it has 2"),
        (pdf_of("a"), 0, "there is no page 0; it has 1"),
        (locked_pdf(), 1, "is encrypted"),
        (b"%PDF-1.7\nnothing\n%%EOF\n", 1, "is damaged"),
        (bomb_pdf(40), 1, "would unpack to many times its size"),
    ],
)
def test_a_page_that_cannot_be_shown_is_a_bad_record(data: bytes, page: int, reason: str) -> None:
    for call in (page_picture, page_words, page_size):
        with pytest.raises(BadRecord, match=f"^scan: .*{reason}"):
            call(data, page, where="scan")


@pytest.mark.parametrize(
    ("entries", "is_huge"),
    [
        (b"/Subtype/Image/Width 4000/Height 6000/BitsPerComponent 8", False),
        (b"/Subtype/Image/Width 20000/Height 28000/BitsPerComponent 1", False),
        (b"/Subtype/Image/Width 20000/Height 28000/BitsPerComponent 8", True),
        (b"/Subtype/Im#61ge/W#69dth 20000/Height 28000", True),
        (b"/Height 9 0 R/Subtype/Image/Width 10", True),
        (b"/Width 100000/X(" + b"x" * 9_000 + b")/Height 100000", True),
    ],
    ids=["photo", "plan", "huge", "escaped", "elsewhere", "far apart"],
)
def test_an_image_that_would_fill_the_memory_is_not_drawn(entries: bytes, is_huge: bool) -> None:
    data = assembled([*pages_of([stream(b"")]), stream(b"x", entries)])
    if is_huge:
        with pytest.raises(BadRecord, match="an image in it is too large to be drawn"):
            page_picture(data, 1, 100)
    else:
        assert page_picture(data, 1, 100)


def test_a_picture_is_at_least_one_pixel_wide() -> None:
    with pytest.raises(ConfigError, match="at least 1 pixel wide, not 0"):
        page_picture(pdf_of("a"), 1, 0)


def test_the_words_of_real_invoices_have_ink_in_their_boxes(shared_data: Path) -> None:
    for path in sorted((shared_data / "invoice_pdfs").glob("*.pdf")):
        data = path.read_bytes()
        picture, words = picture_of(data), page_words(data, 1)
        inked = sum(bool(picture.inside(word.box)) for word in words)
        assert inked >= 0.95 * len(words), path.name  # the rest is white

"""The pages of a PDF for the review page: their sizes, their pictures, their words, and where a span stands on them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from extract.documents.page_pictures import page_picture, page_words
from extract.documents.pdf import PdfText, read_pdf
from extract.documents.pdf_boxes import view_of
from extract.documents.pdf_opening import as_bad_record, open_pdf
from extract.errors import BadRecord
from extract.json_types import JsonObject

__all__ = ["PdfPages"]

_MIN_WIDTH, _MAX_WIDTH = 100, 4_000


@dataclass(frozen=True)
class PdfPages:
    """The pages of a PDF that comes in one or more parts, counted from 1 through all of them."""

    parts: tuple[bytes, ...]
    name: str

    @cached_property
    def sizes(self) -> list[tuple[float, float]]:
        """Width and height of each page in points, as it is shown. Raises BadRecord."""
        return [size for part in self._sizes for size in part]

    @cached_property
    def _sizes(self) -> list[list[tuple[float, float]]]:
        return [self._sizes_of(part) for part in self.parts]

    def _sizes_of(self, data: bytes) -> list[tuple[float, float]]:
        sizes = []
        with as_bad_record(self.name), open_pdf(data) as document:
            for number in range(len(document)):
                with closing(document.get_page(number)) as page:
                    sizes.append(view_of(page).size)
        return sizes

    @cached_property
    def _text(self) -> PdfText:
        return PdfText.joined([read_pdf(part, self.name) for part in self.parts])

    def picture(self, page: int, width: int) -> bytes:
        """Return a page as a PNG. Raises BadRecord for a page that does not exist or cannot be drawn."""
        data, number = self._place(page)
        return page_picture(data, number, min(max(width, _MIN_WIDTH), _MAX_WIDTH), self.name)

    def words(self, page: int) -> JsonObject:
        """Return the words of a page; their offsets are those of the whole document's text. Raises BadRecord."""
        data, number = self._place(page)
        start = self._text.page_starts[page - 1]
        width, height = self.sizes[page - 1]
        words = [
            {
                "text": word.text,
                "start": start + word.start,
                "end": start + word.end,
                "box": [word.box.left, word.box.top, word.box.right, word.box.bottom],
            }
            for word in page_words(data, number, self.name)
        ]
        return {"page": page, "width": width, "height": height, "words": words}

    def boxes(self, start: int, end: int) -> list[list[float]]:
        """Return where a span of the document's text stands. Raises BadRecord."""
        return [[box.page, box.left, box.top, box.right, box.bottom] for box in self._text.boxes(start, end)]

    def _place(self, page: int) -> tuple[bytes, int]:
        """Return the part that a page is in, and its number there."""
        starts = accumulate((len(sizes) for sizes in self._sizes), initial=0)
        for data, sizes, start in zip(self.parts, self._sizes, starts, strict=False):
            if start < page <= start + len(sizes):
                return data, page - start
        raise BadRecord(f"{self.name}: there is no page {page}; it has {len(self.sizes)}")

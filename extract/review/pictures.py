"""The document of a row as bytes: pictures and recordings, the pages of a PDF, and the words on them."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from extract.review.document import Document, Shown
from extract.review.review import NoSuchRow, Review

__all__ = ["Pictures"]

_AS_FILE = {"content-disposition": "attachment"}  # opened by itself, it is saved, and never shown as a page


class Pictures:
    """Reads what a page shows beside the form."""

    def __init__(self, review: Review) -> None:
        self._review = review

    def media(self, number: int) -> Response:
        """Return the bytes of a picture or a recording. Raises NoSuchRow where the row has none."""
        document = self._document(number, "image", "audio", "video")
        return Response(document.parts[0], media_type=document.mime, headers=_AS_FILE)

    def page(self, number: int, page: int, width: int) -> Response:
        """Return a page of a row's PDF as a picture. Raises NoSuchRow, and BadRecord where it cannot be drawn."""
        picture = self._document(number, "pdf").pdf.picture(page, width)
        return Response(picture, media_type="image/png", headers=_AS_FILE)

    def words(self, number: int, page: int) -> Response:
        """Return the words of a page of a row's PDF, each with its place. Raises as `page` does."""
        return JSONResponse(self._document(number, "pdf").pdf.words(page))

    def _document(self, number: int, *kinds: Shown) -> Document:
        document = self._review.document(number)
        if document is None or document.kind not in kinds:
            raise NoSuchRow(f"this row has no {' or '.join(kinds)}")
        return document

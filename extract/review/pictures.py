"""The document of a row as bytes: pictures and recordings."""

from __future__ import annotations

from starlette.responses import Response

from extract.review.review import NoSuchRow, Review

__all__ = ["Pictures"]


class Pictures:
    """Reads what a page shows beside the form."""

    def __init__(self, review: Review) -> None:
        self._review = review

    def media(self, number: int) -> Response:
        """Return the bytes of a picture or a recording. Raises NoSuchRow where the row has none."""
        document = self._review.document(number)
        if document is None or document.kind not in ("image", "audio", "video"):
            raise NoSuchRow("this row has no picture or recording")
        return Response(document.parts[0], media_type=document.mime, headers={"content-disposition": "attachment"})

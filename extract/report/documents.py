"""The documents of records as a report shows them: their text, with where values stand in it, and pictures of pages.

Files are read when the report is written. What has changed since the run is never shown: the places of values count in
the text that the run has read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from extract.documents.grounding import SourceText
from extract.documents.parts import MediaPart, Part, TextPart
from extract.documents.pdf import count_pages
from extract.documents.text_layer import source_text
from extract.errors import BadRecord, ConfigError
from extract.json_types import JsonObject
from extract.report.document_files import DocumentFiles, Unshown, name_of
from extract.report.page_pictures import MAX_PAGES, PagePictures

__all__ = ["DocumentCells", "Documents"]

_MAX_DOCUMENTS = 300  # that are read for one report
_ALL_CHARACTERS = 3_000_000  # of the texts of all documents
_MIN_TEXT, _MAX_TEXT = 400, 20_000  # characters of one text
_PDF = "application/pdf"
_INSTALL = "pip install 'extract-interactions[documents]'"


class DocumentCells(NamedTuple):
    """What an output says of the files of one record: the cells that name them, and the spans of its values.

    `files` is the hash of what the run has read, None where the output does not say it.
    """

    cells: Mapping[str, Any]
    spans: Sequence[Mapping[str, Any]]
    files: str | None


class _Found(NamedTuple):
    """The text of a document, None where there is none, the parts that it is of, and what is to be said of it."""

    text: SourceText | None
    parts: tuple[Part, ...]
    notes: list[str]


@dataclass(slots=True)
class Documents:
    """Reads the documents of up to 300 records. `columns` name them, `quoted` are those in which values are looked up.

    `shown`, `unshown` and `unread` count records whose documents are shown, are not for a reason, or had no room.
    """

    columns: Sequence[str]
    quoted: Sequence[str]
    files: DocumentFiles
    pictures: PagePictures = field(default_factory=PagePictures)
    length: int = _MAX_TEXT
    shown: int = 0
    unshown: int = 0
    unread: int = 0

    def expect(self, records: int) -> None:
        """Divide the room among the documents of that many records."""
        self.length = min(_MAX_TEXT, max(_MIN_TEXT, _ALL_CHARACTERS // max(1, min(records, _MAX_DOCUMENTS))))

    def of(self, record: DocumentCells) -> JsonObject | None:
        """Return what is shown of a record's documents, as JSON, or why nothing is; None for one without any."""
        cells = {name: cell for name in self.columns if isinstance(cell := record.cells.get(name), str) and cell}
        if not cells:
            return None
        name = ", ".join(map(name_of, cells.values()))
        if self.shown + self.unshown >= _MAX_DOCUMENTS:
            self.unread += 1
            return {"name": name, "note": "Not read: the report holds enough documents. With fewer --rows it fits."}
        try:
            document = self._document(cells, record)
        except Unshown as reason:
            self.unshown += 1
            return {"name": name, "note": str(reason)}
        self.shown += 1
        return {"name": name, **document}

    def _document(self, cells: Mapping[str, str], record: DocumentCells) -> JsonObject:
        text, parts, notes = self._first_text(self.files.load(cells, record.files))
        document: JsonObject = {"placed": text is not None and _stand_in(text.text, record.spans)}
        if text is not None and not document["placed"]:
            if record.files is None:
                name = name_of(next(iter(cells.values())))
                raise Unshown(f"{name} has changed since the run, as its values show: it is not shown.")
            notes.append("This version reads its text in another way than the run: no values are marked.")
        if text is not None:
            cut = text.text[: self.length]
            document["text"] = cut if len(cut) == len(text.text) else [cut, len(text.text)]
            document["pages"] = [start for start in text.page_starts if start <= len(cut)]
        if len(parts) == 1 and isinstance(pdf := parts[0], MediaPart) and pdf.mime_type == _PDF and pdf.data:
            document["pictures"] = self._drawn(pdf.data, record.spans, notes)
        return document | ({"note": " ".join(notes)} if notes else {})

    def _first_text(self, parts: Mapping[str, tuple[Part, ...]]) -> _Found:
        """Return the first text: that in which values are looked up."""
        ordered = [parts[name] for name in dict.fromkeys((*self.quoted, *parts)) if name in parts]
        read = list(map(_read, ordered))
        return next((one for one in read if one.text is not None), read[0])

    def _drawn(self, pdf: bytes, spans: Sequence[Mapping[str, Any]], notes: list[str]) -> list[list[Any]]:
        """Return pictures of the pages on which values stand, and of the first ones."""
        try:
            pages = count_pages(pdf)
        except ConfigError:  # no pdfium: the note about the text says it
            return []
        with_values = sorted(page for span in spans if isinstance(page := span.get("page"), int) and 0 < page <= pages)
        wanted = list(dict.fromkeys((*with_values, *range(1, pages + 1))))[:MAX_PAGES]
        pictures = self.pictures.draw(pdf, sorted(wanted))
        if not pictures:
            enough = "are not drawn: the report holds enough pictures"
            notes.append(f"Its pages {'cannot be drawn' if self.pictures.has_room else enough}.")
        elif len(pictures) < pages:
            numbers = ", ".join(str(picture.page) for picture in pictures)
            notes.append(f"Of its {pages:,} pages only {numbers} {'is' if len(pictures) == 1 else 'are'} drawn.")
        return [list(picture) for picture in pictures]


def _read(parts: tuple[Part, ...]) -> _Found:
    """Return the text of a cell's files in which a run looks up values; without pdfium, that of PDFs is left out."""
    try:
        text, notes = source_text(parts), []
    except ConfigError:
        texts = tuple(part for part in parts if isinstance(part, TextPart))
        return _Found(source_text(texts), parts, [f"The text and the pictures of PDFs need pdfium: {_INSTALL}"])
    except BadRecord:
        return _Found(None, parts, ["Its text cannot be read."])
    if text is None:
        kinds = ", ".join(dict.fromkeys(part.mime_type for part in parts if isinstance(part, MediaPart)))
        notes = [f"It has no text that is read on this machine ({kinds})."]
    return _Found(text, parts, notes)


def _stand_in(text: str, spans: Sequence[Mapping[str, Any]]) -> bool:
    return all(text[start:end] == quoted for start, end, quoted in _places(spans))


def _places(spans: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, str]]:
    for span in spans:
        start, end, text = span.get("start"), span.get("end"), span.get("text")
        if isinstance(start, int) and isinstance(end, int) and isinstance(text, str):
            yield start, end, text

"""PDFs for the rule reader: their text layer in place of the file. They cost the tokens of a file all the same."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from extract.documents.pdf import has_pdfium, read_pdf
from extract.emulator.conversation import ParsedRequest, Turn, objects, parse_request, read_prefix, split_input
from extract.emulator.reader import is_prompt
from extract.emulator.stored_files import with_texts
from extract.errors import BadRecord
from extract.json_types import JsonObject

__all__ = ["with_pdfs_read"]

BytesAt: TypeAlias = Callable[[str], bytes | None]


def with_pdfs_read(
    request: ParsedRequest, body: JsonObject, bytes_at: BytesAt, history: tuple[Turn, ...] = ()
) -> ParsedRequest:
    """Return `request` with the text of the PDFs in `body`; `bytes_at` returns an uploaded PDF by its address.

    Scans, PDFs that cannot be opened, and all PDFs where pdfium is missing have no text, as pictures have none.
    """
    given = body.get("input")
    texts = {id(one): text for one in documents_in(given) if (text := text_of(one, bytes_at))} if has_pdfium() else {}
    if not texts:
        # Otherwise the prompt beside a picture would be read as the text of the picture.
        shows_only_files = any(request.input_tokens.keys() - {"text"}) and is_prompt(request.text)
        return replace(request, text="") if shows_only_files else request
    with_texts_read = body | {"input": with_texts(given, texts)}
    prefix = read_prefix(split_input(with_texts_read["input"])[0])
    read = parse_request(with_texts_read, prefix, request.schema, history=history)
    return replace(request, text=read.text, examples=read.examples)


def documents_in(given: Any) -> Iterator[JsonObject]:
    """Yield the documents of an input, in steps and turns too."""
    for one in objects([given] if isinstance(given, dict) else given):
        if one.get("type") == "document":
            yield one
        yield from documents_in(one.get("content"))


def text_of(document: JsonObject, bytes_at: BytesAt) -> str:
    """Return the text layer of a PDF, "" for one without a text layer and for anything else."""
    data = bytes_at(str(document["uri"])) if "uri" in document else inline(document)
    if data is None or b"%PDF-" not in data[:1024]:
        return ""
    try:
        return read_pdf(data).text.strip()
    except BadRecord:
        return ""


def inline(document: JsonObject) -> bytes | None:
    try:
        return binascii.a2b_base64(document.get("data") or "")
    except (ValueError, TypeError):
        return None

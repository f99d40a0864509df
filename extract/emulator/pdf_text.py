"""Files for the rule reader: their text in place of the file. They cost the tokens of a file all the same."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from extract.documents.mime import is_text
from extract.documents.pdf import read_pdf
from extract.documents.pdf_opening import has_pdfium
from extract.emulator.conversation import ParsedRequest, Turn, objects, parse_request, read_prefix, split_input
from extract.emulator.reader import beside_files, is_prompt
from extract.emulator.stored_files import with_texts
from extract.errors import BadRecord
from extract.json_types import JsonObject

__all__ = ["with_files_read"]

BytesAt: TypeAlias = Callable[[str], bytes | None]


def with_files_read(
    request: ParsedRequest, body: JsonObject, bytes_at: BytesAt, history: tuple[Turn, ...] = ()
) -> ParsedRequest:
    """Return `request` with the text of the files in `body`; `bytes_at` returns an uploaded PDF by its address.

    Scans, PDFs that cannot be opened, and all PDFs where pdfium is missing have no text, as pictures have none. Of a
    prompt beside a text only what is no instruction is read.
    """
    given = body.get("input")
    texts = {id(one): text for one in documents_in(given) if (text := text_of(one, bytes_at))}
    read_input = without_prompts(with_texts(given, texts) if texts else given)
    if read_input is given:
        # Otherwise the prompt beside a picture would be read as the text of the picture.
        shows_only_files = any(request.input_tokens.keys() - {"text"}) and is_prompt(request.text)
        return replace(request, text="") if shows_only_files else request
    with_texts_read = body | {"input": read_input}
    prefix = read_prefix(split_input(read_input)[0])
    read = parse_request(with_texts_read, prefix, request.schema, history=history)
    return replace(request, text=read.text, examples=read.examples)


def without_prompts(given: Any) -> Any:
    """Return an input in which the prompt beside other texts of a turn has lost its instruction; itself without any."""
    if isinstance(given, dict) and isinstance(given.get("content"), list):
        content = without_prompts(given["content"])
        return given if content is given["content"] else given | {"content": content}
    if not isinstance(given, list):
        return given
    texts = [place for place, one in enumerate(given) if isinstance(one, dict) and has_text(one)]
    if len(texts) < 2:
        items = list(map(without_prompts, given))
        return items if any(one is not other for one, other in zip(items, given, strict=True)) else given
    # A run writes its prompt behind the files; other programs also write it before them.
    for place in (texts[-1], texts[0]):
        rest = beside_files(given[place]["text"])
        if rest != given[place]["text"]:
            return [*given[:place], given[place] | {"text": rest}, *given[place + 1 :]]
    return given


def has_text(content: JsonObject) -> bool:
    return content.get("type") == "text" and isinstance(content.get("text"), str) and bool(content["text"].strip())


def documents_in(given: Any) -> Iterator[JsonObject]:
    """Yield the documents of an input, in steps and turns too."""
    for one in objects([given] if isinstance(given, dict) else given):
        if one.get("type") == "document":
            yield one
        yield from documents_in(one.get("content"))


def text_of(document: JsonObject, bytes_at: BytesAt) -> str:
    """Return the text layer of a PDF or the text of a text file; "" for what has none and for anything else."""
    data = bytes_at(str(document["uri"])) if "uri" in document else inline(document)
    if data is None:
        return ""
    if b"%PDF-" not in data[:1024]:
        return data.decode("utf-8", "replace") if is_text(str(document.get("mime_type"))) else ""
    try:
        return read_pdf(data).text.strip() if has_pdfium() else ""
    except BadRecord:
        return ""


def inline(document: JsonObject) -> bytes | None:
    try:
        return binascii.a2b_base64(document.get("data") or "")
    except (ValueError, TypeError):
        return None

"""PDFs offline: the rule reader reads their text layer, and they cost what a file costs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pdfs import bomb_pdf, locked_pdf, pdf_of
from pydantic import BaseModel
from pydantic_core import from_json

from extract import Client, Emulator, Extractor, MediaPart, Request, compile_schema, run
from extract.documents.parts import TextPart, Turn
from extract.emulator import pdf_text as documents
from extract.extractor.prompts import REPAIR_OPENING

pytest.importorskip("pypdfium2")

PAPER = pdf_of("Invoice number: INV-77", "Total: 12.50 EUR")


class Invoice(BaseModel):
    invoice_number: str | None
    total: float | None


SCHEMA = compile_schema(Invoice)
FOUND = '{"invoice_number": "INV-77", "total": 12.5}'
NOTHING = '{"invoice_number": null, "total": null}'


def part(data: bytes) -> MediaPart:
    return MediaPart(kind="document", mime_type="application/pdf", data=data)


def request_of(*turns: Turn) -> Request:
    return Request(model="gemini-3.5-flash-lite", input=turns, schema=SCHEMA.wire)


@pytest.mark.parametrize("dialect", ["steps", "outputs"])
def test_a_pdf_is_read_and_counted_as_a_file(dialect: Literal["steps", "outputs"]) -> None:
    with Client("key", dialect=dialect, transport=Emulator(dialect=dialect).transport) as client:
        read = client.create(request_of(Turn.user(part(PAPER), "Read this.")))
        scan = client.create(request_of(Turn.user(part(pdf_of("")), "Read this.")))
    assert (read.text, scan.text) == (FOUND, NOTHING)
    assert read.usage == scan.usage or read.usage.input_tokens == scan.usage.input_tokens


def test_the_prompt_beside_a_picture_is_not_read_as_what_it_shows() -> None:
    picture = MediaPart(kind="image", mime_type="image/png", data=b"\x89PNG\r\n\x1a\n")
    schema = {"type": "object", "properties": {"company": {"type": ["string", "null"]}}, "required": ["company"]}
    with Client("key", transport=Emulator().transport) as client:
        for prompt, expected in (("Read the receipt.", None), ("Read it.\n\nCompany: Acme Ltd", "Acme Ltd")):
            answer = client.create(Request(model="gemini-3.5-flash-lite", input=(picture, prompt), schema=schema))
            assert from_json(answer.text)["company"] == expected


def test_an_uploaded_pdf_is_read_too() -> None:
    with Client("key", transport=Emulator().transport) as client:
        file = client.files.wait(client.files.upload(PAPER, mime_type="application/pdf"))
        assert client.create(request_of(Turn.user(file.part(), "Read this."))).text == FOUND


def test_a_pdf_is_still_read_when_its_answer_is_to_be_repaired() -> None:
    turns = (Turn.user(part(PAPER), "Read this."), Turn.model("{}"), Turn.user(f"{REPAIR_OPENING} $: missing"))
    with Client("key", transport=Emulator().transport) as client:
        assert client.create(request_of(*turns)).text == FOUND


@pytest.mark.parametrize("data", [locked_pdf(), PAPER[:200], bomb_pdf(40), b"%PDF-", b"no pdf"])
def test_what_cannot_be_read_says_nothing(data: bytes) -> None:
    with Client("key", transport=Emulator().transport) as client:
        assert client.create(request_of(Turn.user(part(data), "Read this."))).text == NOTHING


def test_without_pdfium_a_pdf_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "has_pdfium", lambda: False)
    with Client("key", transport=Emulator().transport) as client:
        assert client.create(request_of(Turn.user(part(PAPER), TextPart("Read this.")))).text == NOTHING


def test_a_folder_of_texts_and_pdfs_is_read_offline(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(PAPER)
    (tmp_path / "b.txt").write_text("Invoice number: INV-78\nTotal: 1.00 EUR")
    result = run(tmp_path, Extractor(Invoice, "Read this.", media=("path",)), offline=True)
    assert result.frame["invoice_number"].to_list() == ["INV-77", "INV-78"]
    assert result.frame["total"].to_list() == [12.5, 1.0]

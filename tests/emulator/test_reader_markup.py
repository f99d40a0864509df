"""Text files offline: HTML, XML and JSON are read as what they show, and the words of the prompt are never values."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from clocks import cpu_bound
from pdfs import pdf_of
from pydantic import BaseModel

from extract import Client, Emulator, Extractor, MediaPart, Request, compile_schema, run
from extract.emulator.reader import RuleReader
from extract.emulator.reader.markup import plain_json, plain_markup


class Item(BaseModel):
    description: str
    quantity: float
    amount: float


class Invoice(BaseModel):
    vendor: str | None
    number: str | None
    date: date | None
    total: float | None
    currency: str | None
    items: list[Item]


HTML = """<!DOCTYPE html>
<html><head><title>Invoice</title><style>td {total: 5}</style><script>var vendor = "Evil: <b>Corp</b>";</script>
<body><!-- Vendor: Nobody --><h1>Tischlerei Ahornblatt GmbH</h1><p>S&auml;gewerkstra&szlig;e 4<br>99099 Kranichfeld</p>
<table><tr><td>Invoice number</td><td><p>RE-2026-0318</p></td></tr><tr><td><b>Date:</b></td><td>2026-03-18</td></tr>
</table><table><thead><tr><th>Description</th><th>Qty</th><th>Price</th><th>Amount</th></tr></thead><tbody>
<tr><td>Bench</td><td>2</td><td>345.00</td><td>690.00</td></tr>
<tr><td>Shelf</td><td>1</td><td>80.50</td><td>80.50</td></tr></tbody></table>
<p>Total: <span>770.50</span> EUR</p></body></html>
"""
XML = """<?xml version="1.0"?><Invoice xmlns="urn:x"><Vendor><Name>Tischlerei Ahornblatt GmbH</Name></Vendor>
<InvoiceNumber>RE-2026-0318</InvoiceNumber><IssueDate>2026-03-18</IssueDate>
<cbc:Total currency="EUR"><![CDATA[770.50]]></cbc:Total></Invoice>
"""
JSON = json.dumps(
    {
        "vendor": {"name": "Tischlerei Ahornblatt GmbH"},
        "invoice_number": "RE-2026-0318",
        "date": "2026-03-18",
        "lines": [
            {"description": "Bench", "qty": 2, "price": 345.0, "amount": 690.0},
            {"description": "Shelf", "qty": 1, "price": 80.5, "amount": 80.5},
        ],
        "total": 770.5,
        "currency": "EUR",
    }
)
TEXT = "Tischlerei Ahornblatt GmbH\nInvoice number: RE-2026-0318\nDate: 2026-03-18\nTotal: 770.50 EUR\n"
FILES: dict[str, str] = {"a.html": HTML, "b.xml": XML, "c.json": JSON, "d.txt": TEXT, "e.md": TEXT, "f.htm": HTML}
PROMPTS = [
    "Read the invoice.",
    "Read this.\nVendor: the name of the seller. Number: its invoice number. Total: what is to be paid.",
    "Extract vendor, number, date and total: all amounts in the currency of the document.",
]
ROW = ("Tischlerei Ahornblatt GmbH", "RE-2026-0318", date(2026, 3, 18), 770.5, "EUR")
ITEMS = [
    {"description": "Bench", "quantity": 2.0, "amount": 690.0},
    {"description": "Shelf", "quantity": 1.0, "amount": 80.5},
]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", FILES)
def test_a_text_file_is_read_as_what_it_shows(tmp_path: Path, name: str, prompt: str) -> None:
    (tmp_path / name).write_text(FILES[name])
    frame = run(tmp_path, Extractor(Invoice, prompt, media=("path",)), offline=True).frame
    assert frame.select("vendor", "number", "date", "total", "currency").row(0) == ROW
    if name in ("a.html", "c.json"):
        assert frame["items"].to_list() == [ITEMS]


@pytest.mark.parametrize("text", [HTML, JSON, XML])
def test_a_cell_of_markup_in_the_prompt_is_read_too(text: str) -> None:
    frame = run([text], Extractor(Invoice, "Extract the fields of this page:\n\n{text}"), offline=True).frame
    assert frame.select("vendor", "number", "date", "total").row(0) == ROW[:4]


def answer(*parts: Any) -> Any:
    with Client("key", transport=Emulator().transport) as client:
        request = Request(model="gemini-3.5-flash-lite", input=parts, schema=compile_schema(Invoice).wire)
        return json.loads(client.create(request).text)


def test_the_words_of_the_prompt_are_not_those_of_a_pdf() -> None:
    pytest.importorskip("pypdfium2")
    pdf = MediaPart(kind="document", mime_type="application/pdf", data=pdf_of("Total: 12.50 EUR"))
    found = answer(pdf, PROMPTS[1])
    assert (found["vendor"], found["number"], found["total"]) == (None, None, 12.5)


@pytest.mark.parametrize("mime_type", ["text/html", "text/plain", "text/xml"])
def test_an_inline_document_of_text_is_read(mime_type: str) -> None:
    text = TEXT if mime_type == "text/plain" else HTML if mime_type == "text/html" else XML
    found = answer(MediaPart(kind="document", mime_type=mime_type, data=text.encode()), PROMPTS[0])
    assert (found["vendor"], found["total"]) == (ROW[0], ROW[3])


def test_a_prompt_before_the_text_is_not_read_either() -> None:
    assert answer(PROMPTS[1], TEXT)["vendor"] == ROW[0]


def test_what_a_prompt_tells_of_the_record_is_still_read() -> None:
    assert answer("Total: 12.50 EUR", "Read this.\n\nVendor: Acme Ltd")["vendor"] == "Acme Ltd"
    assert answer("Total: 12.50 EUR", "Vendor: Acme Ltd")["vendor"] == "Acme Ltd"


def test_a_file_that_begins_like_an_order_is_read() -> None:
    assert answer("Return note\nVendor: Acme Ltd", "Read this.")["vendor"] == "Acme Ltd"


@pytest.mark.parametrize(
    "text",
    ["a < b and c > d", "<record>\nTotal: 5\n</record>", "use <b> for bold", "[draft] Total: 5", "{not json}", "", "<"],
)
def test_what_is_no_markup_stays_as_it_is(text: str) -> None:
    assert plain_json(plain_markup(text)) == text


def test_objects_one_per_line_are_read_one_after_the_other() -> None:
    assert plain_json('{"a": 1, "b": {"name": "x"}}\n{"a": [1, 2]}\n\nrest') == "a: 1\nb name: x\na: 1, 2\nrest"


OPENED = "<p></p><p></p>"
HOSTILE = [
    "<div", "<!--", "<p ", "<", "<script>", "&", '<a b="', "<?", "<!a", "</", "<textarea>", "<![CDATA[", "a=b ", "<td>",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_broken_markup_takes_no_longer_than_its_length(piece: str) -> None:
    with cpu_bound(5):  # a tenth of a second; Python's own parser takes minutes for some of them
        plain_markup(OPENED + piece * 50_000)
        plain_markup("<a>b</a><c>d</c>" + piece * 50_000)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "{}" * 50_000, '{"a": 1}\n' * 50_000])
def test_broken_json_takes_no_longer_than_its_length(text: str) -> None:
    with cpu_bound(5):
        RuleReader().read({"type": "object", "properties": {"a": {"type": "integer"}}}, text)


def test_an_uploaded_page_is_read() -> None:
    with Client("key", transport=Emulator().transport) as client:
        file = client.files.wait(client.files.upload(HTML.encode(), mime_type="text/html"))
        request = Request(
            model="gemini-3.5-flash-lite", input=(file.part(), PROMPTS[0]), schema=compile_schema(Invoice).wire
        )
        assert json.loads(client.create(request).text)["vendor"] == ROW[0]

"""Writes sample_data/invoices_pdf/ and its gold: invented invoices, drawn by a PDF writer of forty lines.

The same bytes come out everywhere: no time, no random id, nothing packed. Run it again after changing an invoice.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "sample_data" / "invoices_pdf"
GOLD = FOLDER.with_name("invoices_pdf.gold.jsonl")

FONTS = {"plain": b"Helvetica", "bold": b"Helvetica-Bold", "typed": b"Courier"}
# Widths of what amounts are made of, in thousandths of the size: enough to set a column of figures flush right.
WIDTHS = dict.fromkeys("0123456789$€£", 556) | dict.fromkeys(",. \u00a0", 278) | {"-": 333, "%": 889}
COURIER_WIDTH = 600


@dataclass
class Page:
    """One page, drawn from its lower left corner up, in points."""

    width: int = 595
    height: int = 842
    drawn: list[bytes] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, *, font: str = "plain", size: int = 10) -> None:
        escaped = re.sub(rb"([\\()])", rb"\\\1", text.encode("cp1252"))
        self.drawn.append(b"BT /%b %d Tf %.2f %.2f Td (%b) Tj ET" % (font.encode(), size, x, y, escaped))

    def flush_right(self, x: float, y: float, text: str, *, font: str = "plain", size: int = 10) -> None:
        widths = (COURIER_WIDTH if font == "typed" else WIDTHS.get(character, 600) for character in text)
        self.text(x - sum(widths) * size / 1000, y, text, font=font, size=size)

    def rule(self, x: float, y: float, end: float) -> None:
        self.drawn.append(b"0.5 w %.2f %.2f m %.2f %.2f l S" % (x, y, end, y))


def pdf_of(pages: list[Page]) -> bytes:
    """Return a PDF of these pages: catalog, page tree, fonts, then each page and what is drawn on it."""
    first = 3 + len(FONTS)
    kids = b" ".join(b"%d 0 R" % (first + 2 * index) for index in range(len(pages)))
    named = b" ".join(b"/%b %d 0 R" % (name.encode(), 3 + index) for index, name in enumerate(FONTS))
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, len(pages))]
    objects += [b"<</Type/Font/Subtype/Type1/BaseFont/%b/Encoding/WinAnsiEncoding>>" % font for font in FONTS.values()]
    for index, page in enumerate(pages):
        box = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents %d 0 R/Resources<</Font<<%b>>>>>>"
        drawn = b"\n".join(page.drawn)
        objects.append(box % (page.width, page.height, first + 2 * index + 1, named))
        objects.append(b"<</Length %d>>stream\n%b\nendstream" % (len(drawn), drawn))
    return assembled(objects)


def assembled(objects: list[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    table = bytearray(b"0000000000 65535 f \n")
    for number, body in enumerate(objects, start=1):
        table += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    ending = b"xref\n0 %d\n%btrailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return bytes(out + ending % (len(objects) + 1, table, len(objects) + 1, len(out)))


@dataclass(frozen=True)
class Item:
    """A position: what, how many, for how much each. The amount follows."""

    description: str
    quantity: str
    unit_price: str

    @property
    def amount(self) -> Decimal:
        return (Decimal(self.quantity) * Decimal(self.unit_price)).quantize(Decimal("0.01"))


@dataclass(frozen=True, kw_only=True)
class Invoice:
    """An invoice and how it is printed. `words` are the labels, title, number, date, three heads of the table,
    three sums, the fourth head, customer."""

    name: str
    vendor: str
    address: tuple[str, ...]
    customer: str
    customer_address: tuple[str, ...]
    number: str
    date: dt.date
    printed_date: str
    currency: str
    sign: str
    tax_percent: str
    items: tuple[Item, ...]
    words: tuple[str, ...]
    layout: Callable[[Invoice], list[Page]]
    marks: tuple[str, str] = (",", ".")
    note: str = ""

    @property
    def subtotal(self) -> Decimal:
        return sum((item.amount for item in self.items), Decimal())

    @property
    def tax(self) -> Decimal:
        return (self.subtotal * Decimal(self.tax_percent) / 100).quantize(Decimal("0.01"))

    def money(self, amount: Decimal | str) -> str:
        thousands, decimal = self.marks
        return f"{Decimal(amount):,.2f}".translate({ord(","): thousands, ord("."): decimal})

    @property
    def sums(self) -> list[tuple[str, str]]:
        amounts = (self.subtotal, self.tax, self.subtotal + self.tax)
        return [(word, self.money(amount)) for word, amount in zip(self.words[6:9], amounts, strict=True)]

    @property
    def gold(self) -> dict[str, Any]:
        items = [
            {
                "description": item.description,
                "quantity": float(item.quantity),
                "unit_price": float(item.unit_price),
                "amount": float(item.amount),
            }
            for item in self.items
        ]
        return {
            "name": self.name,
            "number": self.number,
            "date": self.date.isoformat(),
            "vendor": self.vendor,
            "customer": self.customer,
            "currency": self.currency,
            "line_items": items,
            "subtotal": float(self.subtotal),
            "tax": float(self.tax),
            "total": float(self.subtotal + self.tax),
        }


def lines(page: Page, x: float, y: float, texts: Sequence[str], *, step: float = 13, size: int = 10) -> None:
    for index, text in enumerate(texts):
        page.text(x, y - step * index, text, size=size)


def table(page: Page, invoice: Invoice, items: Sequence[Item], y: float, right: float = 535) -> None:
    """Draw the head and the rows of a table of four columns."""
    left = 60.0
    what, many, price, amount = invoice.words[3:6] + invoice.words[9:10]
    page.text(left, y, what, font="bold")
    for x, word in ((right - 190, many), (right - 130, price), (right - 50, amount)):
        page.text(x, y, word, font="bold")
    page.rule(left, y - 5, right)
    for item in items:
        y -= 20
        page.text(left, y, item.description)
        page.flush_right(right - 160, y, item.quantity.replace(".", invoice.marks[1]))
        page.flush_right(right - 80, y, invoice.money(item.unit_price))
        page.flush_right(right, y, invoice.money(item.amount))


DRAWN: dict[str, Callable[[Sequence[int]], tuple[int, ...]]] = {
    # From (row, line, column) of a piece of text to its place in the order in which it is drawn.
    "cell by cell": lambda place: (place[0], place[2], place[1]),
    "line by line": lambda place: (place[0], place[1], place[2]),
    "column by column": lambda place: (place[2], place[0], place[1]),
}


def wrapped_cells(
    page: Page,
    rows: Sequence[Sequence[Sequence[str]]],
    lefts: Sequence[float],
    y: float,
    *,
    order: str = "cell by cell",
    middle: bool = False,
    size: int = 9,
) -> float:
    """Draw rows whose cells have several lines each, in one of the orders of DRAWN; return where the next row begins.

    With `middle`, shorter cells stand in the middle of their row, between the lines of the longest.
    """
    pieces: list[tuple[tuple[int, int, int], float, float, str]] = []
    for number, row in enumerate(rows):
        height = max(map(len, row))
        for column, cell in enumerate(row):
            down = (height - len(cell)) / 2 if middle else 0
            for line, text in enumerate(cell):
                at = y - (down + line) * (size + 2)
                pieces.append(((number, line, column), lefts[column], at, text))
        y -= height * (size + 2) + 6
    for _, x, at, text in sorted(pieces, key=lambda piece: DRAWN[order](piece[0])):
        page.text(x, at, text, size=size)
    return y


def sums(page: Page, invoice: Invoice, y: float, x: float = 330, right: float = 535) -> None:
    for word, amount in invoice.sums:
        is_last = word == invoice.words[8]
        page.text(x, y, word, font="bold" if is_last else "plain")
        page.flush_right(right, y, f"{amount} {invoice.sign}", font="bold" if is_last else "plain")
        y -= 16
    if invoice.note:
        page.text(60, y - 20, invoice.note, size=9)


def letter(invoice: Invoice) -> list[Page]:
    """Sender above, receiver at the left, numbers at the right, the table across; as many pages as it takes."""
    rows = 22
    pages = []
    for start in range(0, len(invoice.items), rows):
        page = Page()
        if start == 0:
            page.text(60, 785, invoice.vendor, font="bold", size=16)
            lines(page, 60, 770, invoice.address, size=9)
            lines(page, 60, 690, (invoice.customer, *invoice.customer_address))
            page.text(60, 615, invoice.words[0], font="bold", size=14)
            lines(
                page, 360, 690, [f"{invoice.words[1]}: {invoice.number}", f"{invoice.words[2]}: {invoice.printed_date}"]
            )
        table(page, invoice, invoice.items[start : start + rows], 580)
        pages.append(page)
    sums(pages[-1], invoice, 560 - 20 * (len(invoice.items) % rows or rows) - 20)
    for number, page in enumerate(pages, start=1):
        page.text(280, 40, f"{number} / {len(pages)}", size=8)
    return pages


def boxed(invoice: Invoice) -> list[Page]:
    """Labels in one line with their values below, receiver at the right: as many programs print it."""
    page = Page(612, 792)
    page.text(60, 730, invoice.words[0].upper(), font="bold", size=20)
    lines(page, 60, 705, (invoice.vendor, *invoice.address), size=9)
    page.text(340, 705, invoice.words[10], font="bold")
    lines(page, 340, 690, (invoice.customer, *invoice.customer_address))
    for x, word, value in ((60, invoice.words[1], invoice.number), (200, invoice.words[2], invoice.printed_date)):
        page.text(x, 620, word, size=8)
        page.text(x, 606, value, font="bold")
    table(page, invoice, invoice.items, 560, right=550)
    sums(page, invoice, 500 - 20 * len(invoice.items), right=550)
    return [page]


def slip(invoice: Invoice) -> list[Page]:
    """A typed slip from a counter, one text line under the other."""
    page = Page(300, 420)
    printed = [invoice.vendor, *invoice.address, "", f"{invoice.words[0]} {invoice.number}", ""]
    printed += [f"{invoice.words[2]}: {invoice.printed_date}", f"{invoice.words[10]}: {invoice.customer}", ""]
    for item in invoice.items:
        printed += [f"{item.description:<28}{invoice.money(item.amount):>10}"]
        if item.quantity != "1":
            printed += [f"  {item.quantity} x {invoice.money(item.unit_price)}"]
    printed += ["", *(f"{word:<26}{amount:>8} {invoice.currency}" for word, amount in invoice.sums), "", invoice.note]
    for index, text in enumerate(printed):
        page.text(20, 390 - 12 * index, text, font="typed", size=9)
    return [page]


GERMAN = ("Rechnung", "Rechnungsnummer", "Rechnungsdatum", "Leistung", "Menge", "Einzelpreis", "Nettobetrag",
          "Umsatzsteuer 19 %", "Gesamtbetrag", "Betrag", "Kunde")  # fmt: skip
FRENCH = ("Facture", "Facture n°", "Date", "Désignation", "Qté", "Prix unit.", "Total HT", "TVA 20 %", "Total TTC",
          "Montant", "Client")  # fmt: skip
ENGLISH = ("Invoice", "Invoice no", "Date", "Description", "Qty", "Price", "Subtotal", "VAT 20%", "Total due",
           "Amount", "Bill to")  # fmt: skip
AMERICAN = ("Invoice", "Invoice #", "Invoice date", "Description", "Qty", "Rate", "Subtotal", "Sales tax 6%", "Total",
            "Amount", "Bill to")  # fmt: skip
SPANISH = ("Factura", "Factura n.º", "Fecha", "Concepto", "Cant.", "Precio", "Base imponible", "IVA 21 %", "Total",
           "Importe", "Cliente")  # fmt: skip

ROPES = tuple(
    Item(f"{kind} rope {size} mm, {metres} m", quantity, price)
    for kind, size, metres, quantity, price in (
        (kind, size, metres, str(1 + (size + metres) % 4), f"{size * metres * rate / 100:.2f}")
        for kind, rate in (("Hemp", 9), ("Nylon", 14), ("Sisal", 6))
        for size in (6, 8, 10, 12, 16)
        for metres in (20, 50)
    )
)

INVOICES = (
    Invoice(
        name="tischlerei.pdf", vendor="Tischlerei Ahornblatt GmbH", address=("Sägewerkstraße 4", "99099 Kranichfeld"),
        customer="Kindergarten Pusteblume", customer_address=("Wiesenweg 11", "99100 Amselbach"), number="RE-2026-0318",
        date=dt.date(2026, 3, 18), printed_date="18.03.2026", currency="EUR", sign="€", tax_percent="19",
        items=(Item("Garderobenbank Buche", "2", "345.00"), Item("Regal nach Maß", "1", "1280.50"),
               Item("Montage, Stunden", "6.5", "58.00")),
        words=GERMAN, layout=letter, marks=(".", ","), note="Zahlbar bis 01.04.2026 ohne Abzug.",
    ),
    Invoice(
        name="atelier.pdf", vendor="Atelier Brindille SARL", address=("8 quai des Tilleuls", "44999 Saint-Aubépin"),
        customer="Mairie de Valcreux", customer_address=("Place de l'Église", "44998 Valcreux"), number="F26-117",
        date=dt.date(2026, 2, 5), printed_date="5 février 2026", currency="EUR", sign="€", tax_percent="20",
        items=(Item("Affiche sérigraphiée", "40", "12.75"), Item("Livraison", "1", "18.00")),
        words=FRENCH, layout=boxed, marks=("\u00a0", ","), note="Règlement à trente jours.",
    ),
    Invoice(
        name="ropewalk.pdf", vendor="Gannet & Thrift Ropewalk Ltd", address=("The Old Ropewalk, Pennyhaven", "PH9 9ZZ"),
        customer="Pilot Gig Club Morwen", customer_address=("Boathouse Lane", "Morwen"), number="GT/4471",
        date=dt.date(2026, 1, 29), printed_date="29 January 2026", currency="GBP", sign="GBP", tax_percent="20",
        items=ROPES, words=ENGLISH, layout=letter, marks=(",", "."), note="Goods remain ours until paid for.",
    ),
    Invoice(
        name="tuner.pdf", vendor="Cedar Hollow Piano Service LLC",
        address=("214 Larkspur Rd", "Millbrook Falls, OH 00999"),
        customer="Ottoline Reyes", customer_address=("9 Quarry Ct", "Millbrook Falls, OH 00998"), number="10382",
        date=dt.date(2026, 3, 4), printed_date="03/04/2026", currency="USD", sign="USD", tax_percent="6",
        items=(Item("Pitch raise", "1", "85.00"), Item("Tuning, upright", "1", "140.00"),
               Item("Hammer felt", "3", "7.50")),
        words=AMERICAN, layout=boxed,
    ),
    Invoice(
        name="quiosco.pdf", vendor="Quiosco La Higuera", address=("Plaza del Pozo 3", "49999 Villaencina"),
        customer="Casa Rural Los Vencejos", customer_address=(), number="A-0092", date=dt.date(2026, 2, 14),
        printed_date="14-02-2026", currency="EUR", sign="EUR", tax_percent="21",
        items=(Item("Mapas del valle", "5", "4.20"), Item("Postales, caja", "2", "16.00"),
               Item("Rotulador", "1", "2.95")),
        words=SPANISH, layout=slip, marks=(".", ","), note="Gracias por su visita.",
    ),
)  # fmt: skip


def files() -> Iterator[tuple[Path, bytes]]:
    """Yield each file and its bytes."""
    for invoice in INVOICES:
        yield FOLDER / invoice.name, pdf_of(invoice.layout(invoice))
    gold = (json.dumps(invoice.gold, ensure_ascii=False) + "\n" for invoice in INVOICES)
    yield GOLD, "".join(gold).encode()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, data in files():
        path.write_bytes(data)

"""The rule reader: what it reads, and that its answer always fits the schema it was asked under."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from extract.emulator.reader import RuleReader

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
READER = RuleReader()
TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["number", "null"]}
DATE = {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def read(schema: dict[str, Any], text: str, examples: Any = (), **options: Any) -> Any:
    return json.loads(READER.read(schema, text, examples, **options))


def field(name: str, schema: dict[str, Any], text: str) -> Any:
    return read(obj(**{name: schema}), text)[name]


def is_valid(schema: dict[str, Any], answer: Any) -> bool:
    return Draft202012Validator(schema, format_checker=FormatChecker()).is_valid(answer)


# Schemas that admit a drawn value, so that an answer exists by construction -------------------------------------------

WORDS = st.sampled_from(
    ["total", "invoice_date", "email", "confidence", "tags", "vendor", "isUrgent", "reason", "x", "unit price", ""]
)
DATES = st.sampled_from(["2024-02-29", "1999-12-31", "2018-12-25"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.floats(-1000, 1000, allow_nan=False)
    | st.text(max_size=12)
    | DATES
    | DATES.map(lambda day: day + "T08:30:00Z")
    | st.just("08:30:00Z")
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)
KIND = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
RECORDS = st.text(max_size=200) | st.sampled_from(
    [
        "Invoice No: 17\nDate: 25/12/2018\nTotal: RM 1,234.50\nE-mail: a@example.org\nTags: a, b and c",
        "urgent! the app is broken, not spam\n\n- one 2 3.00 6.00\n- two 1 4.50 4.50",
        "Confidence: 7\nTotal: 99999999\nReason: none\nIs urgent: yes\nVendor:\nAcme Ltd\nx = 5 y = 6",
    ]
)


class SchemaDrawer:
    """Draws schemas; named parts go to `defs`."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.defs: dict[str, Any] = {}

    def admitting(self, value: Any, depth: int = 3) -> Any:
        """Return a schema that `value` is valid under."""
        forms = ["typed", "typed", "typed", "any", "enum"] + (["ref", "union", "union"] if depth else [])
        form = self.draw(st.sampled_from(forms))
        if form == "any":
            return self.draw(st.sampled_from([True, {}, {"description": "anything at all"}]))
        if form == "enum":
            return {"enum": self.draw(st.permutations([value, *self.draw(st.lists(SCALARS, max_size=3))]))}
        if form == "ref":
            return self.reference(value, depth)
        return self.typed(value, depth) | (self.union(value, depth) if form == "union" else {})

    def reference(self, value: Any, depth: int) -> dict[str, Any]:
        name = f"Part{len(self.defs)}"
        self.defs[name] = True
        self.defs[name] = self.admitting(value, depth - 1)
        beside = self.typed(value, 0) if self.draw(st.booleans()) else {"description": "a part"}
        return {"$ref": f"#/$defs/{name}"} | beside

    def union(self, value: Any, depth: int) -> dict[str, Any]:
        others = [self.admitting(other, depth - 1) for other in self.draw(st.lists(VALUES, max_size=2))]
        return {"anyOf": self.draw(st.permutations([self.admitting(value, depth - 1), *others]))}

    def typed(self, value: Any, depth: int) -> dict[str, Any]:
        kind = KIND[type(value)]
        declared = self.draw(
            st.sampled_from([{}, {"type": kind}, {"type": [kind, "null"]}, {"type": ["boolean", kind]}])
        )
        return declared | getattr(self, kind, lambda *_: {})(value, depth)

    def number(self, value: float, _: int) -> dict[str, Any]:
        low, high = self.draw(st.sampled_from([0, 0.5, 3])), self.draw(st.sampled_from([0, 0.25, 2]))
        return self.draw(
            st.sampled_from([{}, {"minimum": value - low}, {"minimum": value - low, "maximum": value + high}])
        )

    integer = number

    def string(self, value: str, _: int) -> dict[str, Any]:
        fitting = [{}] + [
            {"format": form} for form in ("date", "date-time", "time") if is_valid({"format": form}, value)
        ]
        return self.draw(st.sampled_from(fitting))

    def array(self, value: list[Any], depth: int) -> dict[str, Any]:
        split = self.draw(st.integers(0, len(value)))
        schema: dict[str, Any] = (
            {"prefixItems": [self.admitting(item, depth - 1) for item in value[:split]]} if split and depth else {}
        )
        if depth and len(set(map(repr, value[split:]))) == 1:
            schema["items"] = self.admitting(value[split], depth - 1)
        elif depth and not value[split:]:
            schema["items"] = self.draw(st.sampled_from([False, {"type": "string"}]))
        bounds = {"minItems": len(value), "maxItems": len(value) + self.draw(st.integers(0, 1))}
        return schema | {key: bounds[key] for key in self.draw(st.sets(st.sampled_from(sorted(bounds))))}

    def object(self, value: dict[str, Any], depth: int) -> dict[str, Any]:
        if not depth:
            return {"required": self.draw(st.lists(st.sampled_from(sorted(value)), unique=True))} if value else {}
        named = {name: self.admitting(item, depth - 1) for name, item in value.items() if self.draw(st.booleans())}
        others = {
            name: self.admitting(item, depth - 1)
            for name, item in self.draw(st.dictionaries(WORDS, VALUES, max_size=2)).items()
            if name not in value
        }
        schema: dict[str, Any] = {"properties": named | others} if named or others else {}
        required = [name for name in value if self.draw(st.booleans())]
        open_ended = (
            {} if len(named) < len(value) else self.draw(st.sampled_from([{}, {"additionalProperties": False}]))
        )
        return schema | ({"required": required} if required else {}) | open_ended


@st.composite
def satisfiable_schemas(draw: st.DrawFn) -> dict[str, Any]:
    drawer = SchemaDrawer(draw)
    schema = drawer.admitting(draw(VALUES))
    return (schema if isinstance(schema, dict) else {}) | {"$defs": drawer.defs}


@settings(max_examples=300, deadline=None)
@given(
    schema=satisfiable_schemas(), text=RECORDS, shown=st.lists(st.tuples(RECORDS, VALUES.map(json.dumps)), max_size=3)
)
def test_every_answer_is_valid_under_its_schema(
    schema: dict[str, Any], text: str, shown: list[tuple[str, str]]
) -> None:
    answer = READER.read(schema, text, shown)
    assert is_valid(schema, json.loads(answer)), answer


NEVER = {"type": "string", "enum": []}
RECURSIVE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": obj(name={"type": "string"}, children={"type": "array", "items": {"$ref": "#/$defs/Node"}}),
        "Chain": obj(next={"anyOf": [{"$ref": "#/$defs/Chain"}, {"type": "null"}]}),
    },
}


@pytest.mark.parametrize("name", ["Node", "Chain"])
def test_recursive_schemas_end(name: str) -> None:
    schema = RECURSIVE | {"$ref": f"#/$defs/{name}"}
    assert is_valid(schema, read(schema, "Name: root\n\nName: leaf\n\nName: twig"))


def test_a_required_recursion_is_cut_at_its_shortest_end() -> None:
    link = obj(next={"anyOf": [{"$ref": "#/$defs/Link"}, obj(end={"type": "boolean"})]})
    schema = {"$ref": "#/$defs/Link", "$defs": {"Link": link}}
    assert is_valid(schema, read(schema, ""))


@pytest.mark.parametrize("schema", [NEVER, obj(x=NEVER), {"type": "integer", "minimum": 0.2, "maximum": 0.8}])
def test_a_schema_that_nothing_fits_is_answered_with_null(schema: dict[str, Any]) -> None:
    assert read(schema, "anything") is None


def test_a_bottomless_nesting_is_answered_with_null() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(400):
        schema = obj(part=schema)
    assert read(schema, "Part: x") is None


def test_without_a_schema_the_reader_says_what_it_is() -> None:
    assert "offline rule reader" in READER.read(None, "Who are you?")


KEPT = {"type", "required", "enum", "minimum", "maximum", "minItems", "maxItems", "$ref", "description"}


def to_wire(schema: Any) -> Any:
    """Return a schema with the keywords of the wire only."""
    if not isinstance(schema, dict):
        return schema
    flat: dict[str, Any] = {}
    for key, value in schema.items():
        if key in ("properties", "$defs", "definitions"):
            flat[key] = {name: to_wire(part) for name, part in value.items()}
        elif key in ("items", "additionalProperties") and not isinstance(value, list):
            flat[key] = to_wire(value)
        elif key in ("anyOf", "prefixItems"):
            flat[key] = [to_wire(part) for part in value]
        elif key in KEPT and (key != "required" or isinstance(value, list)):
            flat[key] = value
    return flat


@pytest.mark.skipif(not DATA.exists(), reason="the shared data set of real schemas is not here")
@pytest.mark.parametrize(
    "folder", ["BFCL", "Github_easy", "Github_hard", "Glaiveai2K", "JME", "SchemaStore", "Snowplow"]
)
def test_real_schemas_are_answered_validly(folder: str) -> None:
    text = "Name: Bob\nDate: 1 May 2020\nVersion: 1.2\nEnabled: yes\nUrl: https://example.com\n- a\n- b"
    paths = sorted((DATA / "json_schemas" / folder).glob("*.json"))
    for path in paths:
        schema = to_wire(json.loads(path.read_text(encoding="utf-8"))["schema"])
        assert is_valid(schema, read(schema, text)), path.name
    assert paths


@given(text=RECORDS, examples=st.lists(st.tuples(RECORDS, st.just('{"label": "a"}')), max_size=2))
def test_the_same_request_has_the_same_answer(text: str, examples: list[tuple[str, str]]) -> None:
    schema = obj(label={"enum": ["a", "b"]}, total=NUMBER, tags={"type": "array", "items": {"type": "string"}})
    assert RuleReader().read(schema, text, examples) == READER.read(schema, text, examples)


# Values, by kind ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Date: 25/12/2018", "2018-12-25"),
        ("Date: 12/25/2018", "2018-12-25"),
        ("Date: 03/04/2018", "2018-04-03"),
        ("DATE 18-04-19", "2019-04-18"),
        ("10 MAR 2018 18:24", "2018-03-10"),
        ("2018-04-01", "2018-04-01"),
        ("printed 20180401", "2018-04-01"),
        ("Mar 10, 2018", "2018-03-10"),
        ("30 DEC 17", "2017-12-30"),
        ("Rechnungsdatum: 3. Oktober 2023", "2023-10-03"),
        ("Berlin, den 12. März 2021", "2021-03-12"),
        ("Date : 5 février 2024", "2024-02-05"),
        ("1er août 2022", "2022-08-01"),
        ("Fecha: 5 de mayo de 2019", "2019-05-05"),
        ("Data: 9 luglio 2020", "2020-07-09"),
        ("Datum: 7 maart 2020", "2020-03-07"),
        ("2024年3月5日", "2024-03-05"),
        ("31/02/2018", None),
        ("10 market 2018", None),
        ("no day at all", None),
    ],
)
def test_dates_are_read_in_many_forms(text: str, day: str | None) -> None:
    assert field("date", DATE, text) == day


def test_each_date_field_gets_its_own_date() -> None:
    schema = obj(invoice_date=DATE, due_date=DATE, birth_date=DATE)
    text = "Invoice date: 1 March 2024\nDue date: 31 March 2024"
    assert read(schema, text) == {"invoice_date": "2024-03-01", "due_date": "2024-03-31", "birth_date": None}


def test_moments_follow_their_format() -> None:
    schema = obj(
        start={"type": "string", "format": "date-time"},
        arrival={"type": "string", "format": "time"},
        date={"type": "string"},
        clock={"type": "string", "description": "Local time of day without a zone."},
        local={"type": "string", "description": "Local date and time without a zone."},
    )
    answer = read(
        schema,
        "Date: 1 May 2024\nStart: 2024-05-02 14:30\nWe plan our arrival at 5pm.\nLocal: 3.5.2024 08:15\nClock: 9:05 pm",
    )
    assert answer["start"] == "2024-05-02T14:30:00Z"
    assert answer["arrival"] == "17:00:00Z"
    assert answer["date"] == "1 May 2024"
    assert answer["local"] == "2024-05-03T08:15:00"
    assert answer["clock"] == "21:05:00"


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("TOTAL RM9.00", 9.0),
        ("Total: $1,234.50", 1234.5),
        ("Gesamtbetrag: 1.234,50 EUR", 1234.5),
        ("Summe 12,50 EUR", 12.5),
        ("Total TTC : 21,52 €", 21.52),
        ("Importe total: 77,00", 77.0),
        ("Totale 1'234.50", 1234.5),
        ("Totaal: € 3,00", 3.0),
        ("Total (5.00)", -5.0),
        ("Total: -5.00", -5.0),
        ("Total\n\n42", 42.0),
        ("合計 ¥13,970", 13970.0),
        ("SUBTOTAL 8.00\nTAX 1.00\nTOTAL 9.00\nCASH 20.00\nCHANGE 11.00", 9.0),
        ("Subtotal\nTax\nTotal\n8.00\n1.00\n9.00", 9.0),
        ("TOTAL 9.02\nROUNDING -0.02\nTOTAL ROUNDED 9.00", 9.0),
        ("Amount due: 12.00\nSubtotal: 10.00", 12.0),
        ("Total due                 12.40 GBP", 12.4),
        ("Netto   100,00 €\nUSt. 19 %   19,00 €\nGesamtbetrag   119,00 €", 119.0),
        ("Total HT   80,00 €\nTVA   16,00 €\nTotal TTC   96,00 €", 96.0),
        ("Base imponible   50,00\nIVA 21 %   10,50\nTotal factura   60,50", 60.5),
        ("nothing to pay", None),
    ],
)
def test_the_total_is_told_from_its_rivals(text: str, total: float | None) -> None:
    assert field("total", NUMBER, text) == total


def test_amounts_belong_to_their_labels() -> None:
    text = "Net 100.00\nVAT 20 % 20.00\nShipping 5.00\nDiscount -3.00\nTotal 122.00"
    schema = obj(tax=NUMBER, shipping_cost=NUMBER, discount=NUMBER, net_amount=NUMBER)
    assert read(schema, text) == {"tax": 20.0, "shipping_cost": 5.0, "discount": -3.0, "net_amount": 100.0}


@pytest.mark.parametrize(
    ("name", "text", "amount"),
    [
        ("tax", "Tax 15% on $ 80.00   $ 12.00\nTotal   $ 92.00", 12.0),
        ("vat_amount", "VAT no: GB123456789\nVAT 20%   14.00", 14.0),
        ("amount_untaxed", "Exclusief btw   € 50,00   Subtotaal   € 60,50\nBtw 21%   € 10,50", 50.0),
        ("subtotal", "Base imponible   55,95 EUR\nIVA 21 %   11,75 EUR", 55.95),
        ("subtotal", "Tea   9.00\nSubtotal   9.00\nCups   5.00\nSubtotal   5.00\nSubtotal   14.00", 14.0),
        ("subtotal", "Total excluding VAT   EUR   50.00\nVAT   EUR   10.00\nTotal   EUR   60.00", 50.0),
        ("net_amount", "Imponibile   200,00\nIVA 22%   44,00", 200.0),
    ],
)
def test_amounts_of_an_invoice_stand_in_the_last_column(name: str, text: str, amount: float) -> None:
    assert field(name, NUMBER, text) == amount


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Invoice date:   Due date:   Reference:\n03/20/2026   04/19/2026   KR4410", "2026-04-19"),
        ("Klant   Factuurdatum   Vervaldatum\nK10023   1-9-2026   15-9-2026", "2026-09-15"),
        ("Fälligkeitsdatum   3. Mai 2026", "2026-05-03"),
        ("Date d'échéance : 30/06/2026", "2026-06-30"),
        ("Scadenza   30/06/2026", "2026-06-30"),
    ],
)
def test_labels_above_their_values_are_read_column_by_column(text: str, day: str) -> None:
    assert field("due_date", DATE, f"Date: 1 February 2026\n{text}") == day


@pytest.mark.parametrize(
    ("text", "customer"),
    [
        ("Reed & Moss Ltd   Bill to\n4 Weir Lane   Ada Fenn\nMarlow   1 Quay", "Ada Fenn"),
        ("Moulin SARL   Client\n3 rue Basse   Mairie de Vaux", "Mairie de Vaux"),
        ("Kunde: Anna Beispiel   Datum: 1.2.2026", "Anna Beispiel"),
        ("Sold to     Ada Fenn\nTerms       Net 30", "Ada Fenn"),
        ("Bill to   Ship to\nAda Fenn   Ben Fenn", "Ada Fenn"),
        ("Cliente   Fecha\nTotal: 3.00   Nota: x", None),
        ("Reed & Moss Ltd\n4 Weir Lane", None),
    ],
)
def test_a_block_below_its_head_names_the_customer(text: str, customer: str | None) -> None:
    assert field("customer", TEXT, text) == customer


def test_accounts_are_told_by_their_form() -> None:
    schema = obj(iban=TEXT, bic=TEXT, phone=TEXT, payment_method=TEXT)
    text = "VAT NL810433941B01 [17589684]\n0.00   15.00   4.00\nGB82 WEST 1234 5698 7654 32   BIC WESTGB2L"
    text += "\n(0870) 555-0505\nPaid by credit card"
    assert read(schema, text) == {
        "iban": "GB82 WEST 1234 5698 7654 32",
        "bic": "WESTGB2L",
        "phone": "(0870) 555-0505",
        "payment_method": "credit card",
    }


def test_numbers_are_found_near_the_words_of_the_field() -> None:
    schema = obj(adults={"type": "integer"}, children={"type": "integer"}, pets={"type": ["integer", "null"]})
    assert read(schema, "We are 2 adults with 3 children.") == {"adults": 2, "children": 3, "pets": None}


def test_a_number_out_of_bounds_is_not_taken() -> None:
    rating = {"type": ["integer", "null"], "minimum": 1, "maximum": 5}
    assert field("rating", rating, "Rating: 4") == 4
    assert field("rating", rating, "Rating: 40") is None
    assert field("rating", rating, "Rating: 3.5") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Invoice No: INV-2024-017", "INV-2024-017"),
        ("INVOICE #1047", "1047"),
        ("Rechnungsnummer: 2023/118", "2023/118"),
        ("Rechnung Nr. 2026/0178", "2026/0178"),
        ("Facture n° F-0042", "F-0042"),
        ("Factura Nº: 77", "77"),
        ("Fattura numero 12/A", "12/A"),
        ("DOC NO\nCS00031663", "CS00031663"),
        ("Invoice no.   2026-17", "2026-17"),
        ("Numéro de facture   FA-0091", "FA-0091"),
        ("Harbour Ltd   Bill to\nInvoice no.   Date   Order\nKX20917   4 May 2026   PO7781", "KX20917"),
        ("Tel. No: 555 0100", None),
    ],
)
def test_invoice_numbers_are_read_in_several_languages(text: str, number: str | None) -> None:
    assert field("invoiceNumber", TEXT, text) == number


def test_forms_are_found_without_labels() -> None:
    schema = obj(email=TEXT, phone=TEXT, website=TEXT, currency=TEXT)
    text = (
        "Write to ann@example.org or call +49 (0)30 555 0100 (not 25/12/2018 or 1234.50). See www.example.org/x. 12 €"
    )
    assert read(schema, text) == {
        "email": "ann@example.org",
        "phone": "+49 (0)30 555 0100",
        "website": "www.example.org/x",
        "currency": "EUR",
    }


def test_a_letterhead_gives_company_and_address() -> None:
    text = "Anna Example\nBlue Door Trading Ltd (55501-X)\nNo 5, Mill Road,\nHarrowby,\n50010 Northtown\nTel: 555-0100"
    answer = read(obj(company=TEXT, address=TEXT), text)
    assert answer == {"company": "Blue Door Trading Ltd", "address": "No 5, Mill Road, Harrowby, 50010 Northtown"}


def test_labelled_parties_are_kept_apart() -> None:
    text = "Vendor: Acme Ltd\nBill to: Jane Roe\nVendor address: 1 High Street"
    schema = obj(vendor=obj(name=TEXT, address=TEXT), customer=TEXT)
    assert read(schema, text) == {"vendor": {"name": "Acme Ltd", "address": "1 High Street"}, "customer": "Jane Roe"}


@pytest.mark.parametrize(
    ("text", "urgent"),
    [
        ("Urgent: yes", True),
        ("Urgent: nein", False),
        ("This is urgent!", True),
        ("This is not urgent.", False),
        ("Es ist nicht da. Bitte dringend antworten", True),
        ("Please answer immediately", True),
        ("Take your time", False),
    ],
)
def test_booleans_follow_words_and_negations(text: str, urgent: bool) -> None:
    assert field("is_urgent", {"type": "boolean"}, text) is urgent


def test_optional_fields_without_a_finding_are_left_out_and_required_ones_plain() -> None:
    properties = {
        "city": {"type": "string"},
        "age": {"type": "integer", "minimum": 18},
        "colour": {"enum": ["red", "other"]},
    }
    assert read({"type": "object", "properties": properties}, "hello") == {}
    assert read(obj(**properties), "hello") == {"city": "", "age": 18, "colour": "other"}


# Labels ---------------------------------------------------------------------------------------------------------------

TOPIC = {
    "enum": ["billing", "delivery", "technical_problem", "other"],
    "description": "billing: charges and invoices; delivery: parcels; technical_problem: crashes; other: anything else",
}


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("I was charged twice, see my invoices", "billing"),
        ("Wo ist meine Lieferung?", "delivery"),
        ("The app crashes", "technical_problem"),
        ("Topic: technical problem\nIt is about billing", "technical_problem"),
        ("hm", "other"),
        ("", "other"),
    ],
)
def test_labels_are_chosen_by_wording(text: str, topic: str) -> None:
    assert field("topic", TOPIC, text) == topic


@pytest.mark.parametrize(
    "instruction", ["Sort this message into billing, delivery or other:\n\n", "Classify as billing or not: "]
)
def test_labels_in_the_instruction_do_not_win_over_the_record(instruction: str) -> None:
    assert read(obj(topic=TOPIC), f"{instruction}The app crashes")["topic"] == "technical_problem"


def examples_of(
    pairs: dict[str, Any], prompt: str = "Which kind of billing is this?\n\n{}\n\nAnswer now."
) -> list[tuple[str, str]]:
    return [(prompt.format(text), json.dumps(answer)) for text, answer in pairs.items()]


KINDS_SEEN = examples_of(
    {
        "the lamp arrived in pieces": {"kind": "b", "refund": False},
        "my lamp is broken": {"kind": "b", "refund": False},
        "I want my money back": {"kind": "a", "refund": True},
        "give me the money for the chair": {"kind": "a", "refund": True},
    }
)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("a broken chair in pieces", {"kind": "b", "refund": False}),
        ("where is the money", {"kind": "a", "refund": True}),
    ],
)
def test_labels_without_meaning_are_learned_from_examples(text: str, answer: dict[str, Any]) -> None:
    schema = obj(kind={"enum": ["a", "b", "c"]}, refund={"type": "boolean"})
    assert read(schema, f"Which kind of billing is this?\n\n{text}\n\nAnswer now.", KINDS_SEEN) == answer


def test_broken_examples_do_no_harm() -> None:
    schema = obj(kind={"enum": ["a", "b"]})
    assert read(schema, "x y", [("x y", "{oops"), ("z", '{"kind": 7}'), ("x y", '{"kind": "b"}')]) == {"kind": "b"}


def test_confidence_is_in_bounds_and_grows_with_the_evidence() -> None:
    schema = obj(topic=TOPIC, confidence={"type": "number", "minimum": 0, "maximum": 100})
    clear, vague = (read(schema, text)["confidence"] for text in ("crashes, a technical problem, it crashes", "hm"))
    assert 0 <= vague < clear <= 100


def test_the_reason_is_the_sentence_that_decided() -> None:
    schema = obj(reason={"type": "string"}, topic=TOPIC)
    answer = read(schema, "Hello there. I hope you are well. My parcel is lost. Bye")
    assert answer == {"reason": "My parcel is lost.", "topic": "delivery"}


# Lists, objects, unions -----------------------------------------------------------------------------------------------

ITEM = obj(description={"type": "string"}, quantity=NUMBER, unit_price=NUMBER, amount=NUMBER)


@pytest.mark.parametrize(
    "table",
    [
        "Item            Qty   Unit price   Amount\nBlue pen  2  4.50  9.00\nInk, 30 ml  10  1.25  12.50",
        "Artikel | Menge | Einzelpreis | Betrag\nBlue pen | 2 | 4,50 | 9,00\nInk, 30 ml | 10 | 1,25 | 12,50",
        "2 x Blue pen   4.50   9.00\n10 x Ink, 30 ml   1.25   12.50",
    ],
    ids=["columns", "bars", "counts"],
)
def test_rows_of_a_bill_become_objects(table: str) -> None:
    rows = field(
        "items", {"type": "array", "items": ITEM}, f"Acme Ltd\n\n{table}\n\nTotal   21.50\nThank you 1.00 2.00"
    )
    assert [tuple(row.values()) for row in rows] == [("Blue pen", 2.0, 4.5, 9.0), ("Ink, 30 ml", 10.0, 1.25, 12.5)]


CODES = """
Code   Omschrijving   Prijs   Btw   Aantal   Bedrag
E1031   Filter A7/10   4,50   21 %   2 st   9,00
E1035   Folder   0,00   21 %   1 st   0,00
"""
SECTIONS = """
Item   Quantity   Unit price   Discount   Amount
[A_1] Oil   1.00 L   1.00   10.00   $ 0.90
Subtotal   $ 0.90
Glass, as ever
Tax: 0.2%
[B_2] Figs   15.00 g   10.00   0.00   $ 150.00
Total   $ 150.90
"""


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (
            CODES,
            [("Filter A7/10", 2.0, 4.5, 9.0), ("Folder", 1.0, 0.0, 0.0)],
        ),
        (
            "Leistung   Menge   Einzelpreis   Betrag\nMontage, Stunden   6,5   58,00   377,00\nSumme   377,00",
            [("Montage, Stunden", 6.5, 58.0, 377.0)],
        ),
        (
            SECTIONS,
            [("Oil", 1.0, 1.0, 0.9), ("Figs", 15.0, 10.0, 150.0)],
        ),
        (
            "Mapas   21,00\n 5 x 4,20\nPostales, caja   32,00\n 2 x 16,00\nTotal   53,00",
            [("Mapas", 5.0, 4.2, 21.0), ("Postales, caja", 2.0, 16.0, 32.0)],
        ),
        (
            "Description   Qté   Prix unitaire   Montant\nAffiche   40   12,75   510,00\nLivraison   1   18,00   18,00",
            [("Affiche", 40.0, 12.75, 510.0), ("Livraison", 1.0, 18.0, 18.0)],
        ),
    ],
    ids=["codes and tax", "hours", "sections and discount", "counts below", "French"],
)
def test_rows_with_wide_gaps_fill_their_columns(table: str, rows: list[tuple[Any, ...]]) -> None:
    rows_read = field("items", {"type": "array", "items": ITEM}, f"Acme Ltd\n{table}")
    assert [tuple(row.values()) for row in rows_read] == rows


def test_a_line_amount_is_told_from_a_unit_price() -> None:
    item = obj(name=TEXT, qty=NUMBER, price_unit=NUMBER, price_subtotal=NUMBER)
    rows_read = field("lines", {"type": "array", "items": item}, "Item   Qty   Rate   Amount\nTea   2   4.50   9.00")
    assert rows_read == [{"name": "Tea", "qty": 2.0, "price_unit": 4.5, "price_subtotal": 9.0}]


def test_paragraphs_become_objects_where_there_is_no_table() -> None:
    people = field(
        "people",
        {"type": "array", "items": obj(name=TEXT, age=NUMBER)},
        "Name: Ann\nAge: 40\n\nName: Bo\nAge: 7\n\nEnd",
    )
    assert people == [{"name": "Ann", "age": 40.0}, {"name": "Bo", "age": 7.0}]


def test_lists_of_texts_dates_numbers_and_labels() -> None:
    schema = obj(
        tags={"type": "array", "items": {"type": "string"}},
        emails={"type": "array", "items": {"type": "string"}},
        days={"type": "array", "items": {"type": "string", "format": "date"}},
        scores={"type": "array", "items": {"type": "integer"}, "maxItems": 2},
        topics={"type": "array", "items": {"enum": ["billing", "delivery", "garden"]}},
    )
    text = "Tags: red, green and blue\na@example.org b@example.org\n1/2/2020, 3/2/2020\nScores: 4, 5, 6"
    text += "\nbilling and delivery"
    assert read(schema, text) == {
        "tags": ["red", "green", "blue"],
        "emails": ["a@example.org", "b@example.org"],
        "days": ["2020-02-01", "2020-02-03"],
        "scores": [4, 5],
        "topics": ["billing", "delivery"],
    }


def test_bullets_are_a_list() -> None:
    assert field("steps", {"type": "array", "items": {"type": "string"}}, "Do this:\n- mix\n- bake\n2) eat") == [
        "mix",
        "bake",
        "eat",
    ]


SPAM = {
    "SpamDetails": obj(
        spam_type={"enum": ["phishing", "scam", "unsolicited promotion", "other"]}, reason={"type": "string"}
    ),
    "NotSpamDetails": obj(
        summary={"type": "string"},
        is_safe={"type": "boolean", "description": "Whether the text is safe for everybody."},
    ),
}
MODERATION = obj(decision={"anyOf": [{"$ref": f"#/$defs/{name}"} for name in SPAM]}) | {"$defs": SPAM}


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("You won a prize! Claim it now", {"spam_type": "scam"}),
        ("Please verify your password or your account will be suspended", {"spam_type": "phishing"}),
        ("Lovely photo, where was it taken?", {"summary": "Lovely photo, where was it taken?", "is_safe": True}),
        ("I will kill you", {"is_safe": False}),
    ],
)
def test_a_union_takes_the_branch_with_the_evidence(text: str, decision: dict[str, Any]) -> None:
    assert read(MODERATION, f"Moderate the following content: '{text}'")["decision"].items() >= decision.items()


def test_a_union_follows_the_examples() -> None:
    shown = examples_of(
        {
            "knives at blades.example.com": {"decision": {"spam_type": "other", "reason": "x"}},
            "forks at forks.example.com": {"decision": {"spam_type": "other", "reason": "x"}},
            "the soup was too salty": {"decision": {"summary": "x", "is_safe": True}},
        },
        "{}",
    )
    assert "spam_type" in read(MODERATION, "spoons at spoons.example.com", shown)["decision"]
    assert "is_safe" in read(MODERATION, "the cake was salty", shown)["decision"]


def test_a_nullable_union_is_null_when_nothing_is_found() -> None:
    schema = {"anyOf": [obj(iban=TEXT), {"type": "null"}]}
    assert field("account", schema, "hello") is None
    assert field("account", schema, "IBAN: XX00 5550") == {"iban": "XX00 5550"}


# Odd texts ------------------------------------------------------------------------------------------------------------

INVOICE = obj(
    company=TEXT,
    address=TEXT,
    date=DATE,
    total=NUMBER,
    items={"type": "array", "items": ITEM},
    urgent={"type": "boolean"},
    topic=TOPIC,
)


REPEATED = ["a.", "1 ", "1,", "a@", "(", " ", "9", "ab ", "a:", "\n", "\n ", "|", "\t", "x. ", "```\n", "Total: 5.00\n"]


@pytest.mark.parametrize("piece", [*REPEATED, "1/1/2020 ", "- x 1.00 2.00\n"])
def test_long_repetitive_texts_are_read(piece: str) -> None:
    text = piece * (60_000 // len(piece))
    assert is_valid(INVOICE, read(INVOICE, text))


def test_lone_surrogates_do_not_reach_the_answer() -> None:
    READER.read(obj(name=TEXT), "Name: \ud800 Bob").encode("utf-8")


@pytest.mark.skipif(not DATA.exists(), reason="the shared receipts are not here")
def test_most_dates_and_totals_of_real_receipts_are_read() -> None:
    lines = (DATA / "sroie2019" / "receipts.jsonl").read_text(encoding="utf-8").splitlines()
    receipts = [json.loads(line) for line in lines[::10]]
    answers = [read(obj(company=TEXT, date=DATE, address=TEXT, total=NUMBER), receipt["text"]) for receipt in receipts]
    golds = [receipt["gold"] for receipt in receipts]
    totals = [answer["total"] == to_number(gold["total"]) for answer, gold in zip(answers, golds, strict=True)]
    days = [
        answer["date"] == "-".join(reversed(gold["date"].split("/")))
        for answer, gold in zip(answers, golds, strict=True)
        if re.fullmatch(r"\d\d/\d\d/\d{4}", gold["date"])
    ]
    assert sum(totals) / len(totals) >= 0.6
    assert sum(days) / len(days) >= 0.6


def to_number(written: str) -> float | None:
    digits = re.sub(r"[^\d.-]", "", written)
    return float(digits) if digits else None


def test_a_decimal_that_may_come_as_text_is_read_as_a_number_or_not_at_all() -> None:
    decimal = {
        "type": ["number", "string", "null"],
        "description": "A plain decimal number of at most 2 decimal places.",
    }
    schema = {"type": "object", "properties": {"total": decimal}, "required": ["total"]}
    assert json.loads(RuleReader().read(schema, "Total: 486,50 €")) == {"total": 486.5}
    assert json.loads(RuleReader().read(schema, "Total: CHANGE")) == {"total": None}

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from extract.documents.windows.conflicts import Candidate, Conflict
from extract.documents.windows.cutting import Rule, Union, Window, Windows, cut
from extract.documents.windows.merging import Merged, check_rules, merge
from extract.errors import ConfigError
from extract.schema import compile_schema


class Party(BaseModel):
    name: str
    city: str | None = None


class Line(BaseModel):
    number: str | None = None
    text: str
    price: float | None = None
    tags: list[str] = []


class Card(BaseModel):
    kind: Literal["card"]
    digits: str


class Transfer(BaseModel):
    kind: Literal["transfer"]
    iban: str


class Contract(BaseModel):
    title: str | None = None
    summary: str = ""
    signed: bool | None = None
    buyer: Party | None = None
    lines: list[Line] = []
    labels: list[str] = []
    payment: Card | Transfer | None = None
    span: tuple[int, int] | None = None
    notes: dict[str, str] = {}
    free: Any = None
    unit_price: float | None = Field(None, alias="unit price")


CONTRACT = compile_schema(Contract)


def apart(*texts: str) -> list[Window]:
    """Return windows that share nothing."""
    starts = [sum(map(len, texts[:number])) for number in range(len(texts))]
    return [
        Window(number, start, start + len(text), text)
        for number, (start, text) in enumerate(zip(starts, texts, strict=True), 1)
    ]


def overlapping(before: str, shared: str, after: str) -> list[Window]:
    start, end = len(before), len(before) + len(shared)
    return [Window(1, 0, end, before + shared), Window(2, start, end + len(after), shared + after)]


def merged(*answers: Any, windows: list[Window] | None = None, **rules: Rule) -> Merged:
    """Merge answers of neighbouring windows that share nothing, unless others are given."""
    seen = windows or apart(*["some text "] * len(answers))
    result = merge(list(zip(seen, answers, strict=True)), rules, CONTRACT)
    CONTRACT.validate(json.dumps(result.value))
    return result


@pytest.mark.parametrize(
    ("field", "values", "rule", "chosen", "windows"),
    [
        ("title", [None, "", "  ", "Lease", "Rent"], None, "Lease", (4,)),
        ("title", ["Lease", "Rent", "lease "], "first", "Lease", (1, 3)),
        ("title", ["Lease", "Rent", None], "last", "Rent", (2,)),
        ("title", ["Lease", "Lease of land", "Rent for land"], "longest", "Lease of land", (2,)),
        ("title", ["Lease", "Rent", "RENT"], "vote", "Rent", (2, 3)),
        ("title", ["Lease", "Rent"], "vote", "Lease", (1,)),
        ("signed", [None, False, True, True], None, False, (2,)),
        ("signed", [None, False, True, True], "vote", True, (3, 4)),
        ("unit price", [None, 0, 3.5], None, 0, (2,)),
        (
            "lines",
            [[], [{"text": "a"}], [{"text": "b"}, {"text": "c"}]],
            "longest",
            [{"text": "b"}, {"text": "c"}],
            (3,),
        ),
        ("labels", [["a"], ["b"]], "last", ["b"], (2,)),
        ("buyer", [None, {"name": "A"}, {"name": "B", "city": "X"}], "first", {"name": "A"}, (2,)),
    ],
)
def test_rules_choose_among_what_is_not_empty(
    field: str, values: list[Any], rule: Rule | None, chosen: Any, windows: tuple[int, ...]
) -> None:
    result = merged(*({field: value} for value in values), **({field: rule} if rule else {}))
    path = '$["unit price"]' if " " in field else f"$.{field}"
    assert result.value == {field: chosen}
    assert result.provenance == {path: windows}
    assert [conflict.chosen for conflict in result.conflicts] == [chosen]


def test_a_field_that_every_window_leaves_empty_stays_as_first_said() -> None:
    result = merged({"title": None, "summary": " ", "lines": []}, {"title": "", "summary": "", "lines": []})
    assert result.value == {"title": None, "summary": " ", "lines": []}
    assert result.conflicts == ()


def test_objects_are_merged_by_field_and_maps_by_key() -> None:
    result = merged(
        {"buyer": {"name": "Acme", "city": None}, "notes": {"a": "1"}},
        {"buyer": {"name": "ACME", "city": "Rome"}, "notes": {"b": "2", "a": "3"}},
        {"buyer": None},
    )
    assert result.value == {"buyer": {"name": "Acme", "city": "Rome"}, "notes": {"a": "1", "b": "2"}}
    assert result.conflicts == (Conflict("$.notes.a", (Candidate("1", (1,)), Candidate("3", (2,))), "1"),)
    assert result.provenance == {"$.buyer.name": (1, 2), "$.buyer.city": (2,), "$.notes.a": (1,), "$.notes.b": (2,)}


def test_alternatives_and_tuples_are_never_mixed() -> None:
    card, transfer = {"kind": "card", "digits": "1"}, {"kind": "transfer", "iban": "2"}
    result = merged({"payment": transfer, "span": [1, 2]}, {"payment": card, "span": [3, 4]})
    assert result.value == {"payment": transfer, "span": [1, 2]}
    assert [conflict.path for conflict in result.conflicts] == ["$.payment", "$.span"]


def test_what_the_schema_leaves_open_is_merged_by_what_it_is() -> None:
    result = merged({"free": {"a": [1], "b": "x"}}, {"free": {"a": [2, 1], "c": None}})
    assert result.value == {"free": {"a": [2, 1], "b": "x", "c": None}}
    assert merged({"free": [1]}, {"free": "x"}).value == {"free": [1]}


def test_plain_values_are_joined_and_kept_once() -> None:
    result = merged({"labels": ["sale", "Land"]}, {"labels": ["land ", "tax"]}, {"labels": ["tax", "sale"]})
    assert result.value == {"labels": ["sale", "Land", "tax"]}
    assert result.provenance == {"$.labels[0]": (1, 3), "$.labels[1]": (1, 2), "$.labels[2]": (2, 3)}
    result = merged({"labels": ["a"]}, {"labels": ["a"]}, labels=Union(repeats=True))
    assert result.value == {"labels": ["a", "a"]}


COFFEE = {"text": "Coffee", "price": 3.0}
TEA = {"text": "Tea", "price": 2.0}
BOLT = {"text": "Bolt", "tags": ["Iron"]}
SHIP = {"text": "Ship", "price": 1_234_567.5}


@pytest.mark.parametrize(
    ("texts", "before", "after", "lines"),
    [
        # Told twice, and it can only be the one in the text that both have read.
        (("Tea 2.0. ", "Coffee 3.0. ", "Juice."), [TEA, COFFEE], [COFFEE], [TEA, COFFEE]),
        # Equal lines in different places, none of them shared: a customer who came twice.
        (("Coffee 3.0. ", "Tea 2.0. ", "Coffee 3.0."), [COFFEE, TEA], [TEA, COFFEE], [COFFEE, TEA, COFFEE]),
        # One shared and one on either side.
        (("Coffee 3.0. ", "Coffee 3.0. ", "Coffee 3.0."), [COFFEE] * 2, [COFFEE] * 2, [COFFEE] * 3),
        # Both shared.
        (("Milk. ", "Coffee 3.0. Coffee 3.0. ", "Juice."), [COFFEE] * 2, [COFFEE] * 2, [COFFEE] * 2),
        # The second window missed one of them.
        (("Milk. ", "Coffee 3.0. Coffee 3.0. ", "Juice."), [COFFEE] * 2, [COFFEE], [COFFEE] * 2),
        # What is shared has the name, but with another price.
        (
            ("Coffee 3.0. All drink. ", "Coffee 4.0. ", "All drink. Coffee 3.0."),
            [COFFEE, COFFEE | {"price": 4.0}],
            [COFFEE | {"price": 4.0}, COFFEE],
            [COFFEE, COFFEE | {"price": 4.0}, COFFEE],
        ),
        # A price that stands everywhere does not tell where the coffee stands.
        (("Tea 3.0. ", "Coffee. ", "Tea 3.0."), [COFFEE], [COFFEE], [COFFEE]),
        # Nor does a heading, whether one window has seen it or both have.
        (("Iron: ", "Bolt. ", "Nut."), [BOLT], [BOLT], [BOLT]),
        (("Iron: ", "Bolt. ", "Iron: nut."), [BOLT], [BOLT], [BOLT]),
        # Numbers are found as people write them, and not inside others.
        (("Ship 1.234.567,50. ", "Boat 2. ", "Ship 1,234,567.50"), [SHIP], [SHIP], [SHIP, SHIP]),
        (("Coffee 3. ", "Coffees 13, 30. ", "Coffee 3,00"), [COFFEE], [COFFEE], [COFFEE, COFFEE]),
        (
            (f"{10**300}. ", "x. ", f"{10**300}."),
            [{"text": "x", "price": 10**300}],
            [],
            [{"text": "x", "price": 10**300}],
        ),
        # Told in other words than the text's: nothing speaks against one thing.
        (("Thé. ", "Café. ", "Jus."), [COFFEE], [COFFEE], [COFFEE]),
        (("Tea. ", "COFFEE   3.0. ", "Juice."), [COFFEE], [{"text": " coffee", "price": 3, "number": None}], [COFFEE]),
    ],
)
def test_equal_lines_are_one_only_where_shared_text_can_hold_them(
    texts: tuple[str, str, str], before: list[Any], after: list[Any], lines: list[Any]
) -> None:
    result = merged({"lines": before}, {"lines": after}, windows=overlapping(*texts))
    assert result.value == {"lines": lines}


def test_a_window_inside_another_shares_all_of_its_text() -> None:
    text = "Coffee 3.0. Tea 2.0. Coffee 3.0."
    windows = [Window(1, 0, len(text), text), Window(2, 12, 20, text[12:20])]
    result = merged({"lines": [COFFEE, TEA, COFFEE]}, {"lines": [TEA]}, windows=windows)
    assert result.value == {"lines": [COFFEE, TEA, COFFEE]}


def test_equal_lines_of_windows_that_share_nothing_are_all_kept_unless_told_otherwise() -> None:
    answers = [{"lines": [COFFEE, TEA]}, {"lines": [COFFEE]}]
    assert merged(*answers).value == {"lines": [COFFEE, TEA, COFFEE]}
    assert merged(*answers, lines="union").value == {"lines": [COFFEE, TEA, COFFEE]}
    assert merged(*answers, lines=Union(repeats=False)).value == {"lines": [COFFEE, TEA]}


def test_items_with_a_key_are_one_wherever_they_stand_and_merged_by_field() -> None:
    result = merged(
        {"lines": [{"number": "A1", "text": "Bolt", "price": None, "tags": ["iron"]}, {"text": "no number"}]},
        {"lines": [{"number": "B2", "text": "Nut"}]},
        {"lines": [{"number": "a1 ", "text": "Bolt, long", "price": 2.5, "tags": ["long"]}, {"text": "no number"}]},
        lines=Union(by=("number",)),
        **{"lines[].text": "longest"},
    )
    assert result.value["lines"] == [
        {"number": "A1", "text": "Bolt, long", "price": 2.5, "tags": ["iron", "long"]},
        {"text": "no number"},
        {"number": "B2", "text": "Nut"},
        {"text": "no number"},
    ]
    assert [conflict.path for conflict in result.conflicts] == ["$.lines[0].text"]
    assert result.provenance["$.lines[0]"] == (1, 3)
    assert result.provenance["$.lines[0].price"] == (3,)


def test_a_key_that_starts_anew_is_one_only_in_shared_text() -> None:
    one, two = {"number": "1", "text": "Bolt"}, {"number": "1", "text": "Nut"}
    rule = Union(by=("number",), repeats=True)
    assert merged({"lines": [one]}, {"lines": [two]}, lines=rule).value == {"lines": [one, two]}
    shared = merged({"lines": [one]}, {"lines": [one]}, windows=overlapping("x", "1 Bolt", "y"), lines=rule)
    assert shared.value == {"lines": [one]}


def test_items_that_a_pass_missed_come_where_the_other_saw_them() -> None:
    windows = [Window(1, 0, 200, ""), Window(2, 0, 100, "", pass_number=2), Window(3, 90, 210, "", pass_number=2)]
    lines = [[{"text": name} for name in names] for names in ("acd", "ab", "cxde")]
    result = merged(*({"lines": items} for items in lines), windows=windows)
    assert [line["text"] for line in result.value["lines"]] == list("abcxde")


def test_rejected_windows_are_left_out_and_named() -> None:
    result = merged({"title": "Lease"}, None, {"title": "Lease"}, None)
    assert result == Merged({"title": "Lease"}, (), {"$.title": (1, 3)}, (2, 4))
    assert merge([(window, None) for window in apart("a", "b")], {}, CONTRACT) == Merged(None, rejected=(1, 2))


def test_a_root_that_is_no_object_is_merged_under_its_column() -> None:
    schema = compile_schema(list[Line])
    answers = [(window, {"value": [{"number": "1", "text": "a"}]}) for window in apart("x", "y")]
    assert merge(answers, {"value": Union(by=("number",))}, schema).value == answers[0][1]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"titel": "first"}, "no 'titel'.*fields are title, summary"),
        ({"title": "union"}, "which is for lists"),
        ({"buyer": Union()}, "which is for lists"),
        ({"span": "union"}, "which is for lists"),
        ({"signed": "longest"}, "texts and lists"),
        ({"buyer": "longest"}, "texts and lists"),
        ({"lines": Union(by=("nr",))}, "no field 'nr'; there are number, text"),
        ({"labels": Union(by=("nr",))}, "no field 'nr'; there are none"),
        ({"lines[].text": "longest"}, r"'lines\[\].text' has no effect.*'lines' a rule such as Union"),
        ({"lines": "first", "lines[].text": "longest"}, "has no effect"),
        ({"buyer": "first", "buyer.city": "last"}, "'buyer' is chosen as a whole"),
        ({"payment.iban": "first"}, "no 'payment.iban'"),
        ({"title.x": "first"}, "no 'title.x'"),
        ({"title[]": "first"}, "only items"),
        ({"title[": "first"}, "is no path"),
        ({"title": "first", "$.title": "last"}, "mean the same field"),
    ],
)
def test_rules_that_do_not_fit_the_schema_are_refused(rules: dict[str, Rule], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_rules(rules, CONTRACT)
    with pytest.raises(ConfigError, match=message):
        merge([], rules, CONTRACT)


def test_rules_that_fit_the_schema_are_taken() -> None:
    class Tree(BaseModel):
        name: str
        payment: list[Card | Transfer] = []
        children: list[Tree] = []

    by_name = Union(by=("name",))
    check_rules(
        {"children": by_name, "children[].children": by_name, "payment": Union(by=("iban",))}, compile_schema(Tree)
    )
    check_rules({'$["unit price"]': "last", "$.buyer.city": "vote", "notes.a": "last"}, CONTRACT)
    check_rules({"free": Union(by=("x",)), "free[].y.z": "last", "payment": "vote"}, CONTRACT)


def test_an_object_that_forbids_more_fields_stays_valid() -> None:
    class Closed(Party):
        model_config = ConfigDict(extra="forbid")

    schema = compile_schema(Closed)
    answers = list(zip(apart("x", "y"), [{"name": "", "city": "Rome"}, {"name": "Acme"}], strict=True))
    assert schema.validate(json.dumps(merge(answers, {}, schema).value)) == Closed(name="Acme", city="Rome")
    with pytest.raises(ConfigError, match="no 'zip'"):
        check_rules({"zip": "first"}, schema)


WORDS = st.sampled_from(["", " ", "a", "A", "b", "ab c"])
LINES = st.fixed_dictionaries(
    {"text": WORDS}, optional={"number": st.none() | WORDS, "price": st.sampled_from([None, 0.0, 1.5])}
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "title": st.none() | WORDS,
        "summary": WORDS,
        "signed": st.sampled_from([None, True, False]),
        "buyer": st.none() | st.fixed_dictionaries({"name": WORDS}, optional={"city": st.none() | WORDS}),
        "lines": st.lists(LINES, max_size=4),
        "labels": st.lists(WORDS, max_size=4),
        "payment": st.sampled_from([None, {"kind": "card", "digits": "1"}, {"kind": "transfer", "iban": "2"}]),
        "span": st.sampled_from([None, [1, 2], [3, 4]]),
        "notes": st.dictionaries(WORDS, WORDS, max_size=2),
    },
)
RULES: st.SearchStrategy[dict[str, Rule]] = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["first", "last", "longest", "vote"]),
        "buyer": st.sampled_from(["first", "last", "vote"]),
        "lines": st.sampled_from(["union", Union(by=("number",)), Union(repeats=False), Union(repeats=True), "vote"]),
        "labels": st.sampled_from(["union", Union(repeats=True), "longest"]),
    },
)
TEXT = "a b ab c 0.0 1.5 " * 40
SEEN = cut(TEXT, Windows(characters=200, overlap=40, passes=2))


@st.composite
def window_answers(draw: st.DrawFn) -> list[tuple[Window, Any]]:
    windows = draw(st.lists(st.sampled_from(SEEN), min_size=1, max_size=5, unique_by=lambda window: window.number))
    return [(window, draw(st.none() | ANSWERS)) for window in windows]


@given(window_answers(), RULES, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_order_of_arrival_does_not_matter_and_validity_stays(
    answers: list[tuple[Window, Any]], rules: dict[str, Rule], rng: random.Random
) -> None:
    result = merge(answers, rules, CONTRACT)
    shuffled = rng.sample(answers, len(answers))
    assert merge(shuffled, rules, CONTRACT) == result
    if result.value is not None:
        CONTRACT.validate(json.dumps(result.value))
    assert result.rejected == tuple(sorted(window.number for window, value in answers if value is None))


@given(ANSWERS, RULES)
@settings(max_examples=200, deadline=None)
def test_one_answer_is_left_as_it_is(answer: Any, rules: dict[str, Rule]) -> None:
    result = merge([(SEEN[0], answer)], rules, CONTRACT)
    assert result.value == answer
    assert result.conflicts == ()


@given(ANSWERS, st.integers(2, 5))
@settings(max_examples=200, deadline=None)
def test_the_same_answer_from_windows_of_the_same_text_is_that_answer(answer: Any, count: int) -> None:
    windows = [Window(number, number, 100 + number, "") for number in range(1, count + 1)]
    result = merge([(window, answer) for window in windows], {}, CONTRACT)
    assert result.value == answer
    assert result.conflicts == ()


def _folded(value: Any) -> Any:
    return " ".join(value.casefold().split()) if isinstance(value, str) else value


def _items(value: Any, field: str) -> Counter[Any]:
    items = ((value or {}).get(field)) or []
    plain = [
        tuple(sorted((name, _folded(item[name])) for name in item if _folded(item[name]) not in ("", None)))
        if isinstance(item, dict)
        else _folded(item)
        for item in items
    ]
    return Counter(plain)


@given(window_answers(), st.sampled_from([Union(), Union(repeats=False), Union(repeats=True)]))
@settings(max_examples=200, deadline=None)
def test_a_union_loses_nothing_and_makes_nothing_up(answers: list[tuple[Window, Any]], rule: Union) -> None:
    result = merge(answers, {"lines": rule, "labels": rule}, CONTRACT)
    for field in ("lines", "labels"):
        joined = _items(result.value, field)
        each = [_items(value, field) for _, value in answers]
        for item in set().union(*each):
            assert max(items[item] for items in each) <= joined[item] <= sum(items[item] for items in each)
        assert set(joined) == set().union(*each)


@given(st.lists(st.lists(WORDS, max_size=4, unique=True), min_size=1, max_size=5))
@settings(max_examples=200, deadline=None)
def test_what_must_be_unique_stays_unique(lists: list[list[str]]) -> None:
    schema = compile_schema({
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "rows": {"type": "array", "items": {"type": "object"}, "uniqueItems": True},
        },
    })  # fmt: skip
    answers = [
        (window, {"tags": words, "rows": [{"word": word} for word in words]})
        for window, words in zip(apart(*["x"] * len(lists)), lists, strict=True)
    ]
    schema.validate(json.dumps(merge(answers, {}, schema).value))


# A document of 300 pages in which every item is known. The scripted service reads each window's own text.


class Item(BaseModel):
    number: str
    name: str
    quantity: int


class Sale(BaseModel):
    name: str
    quantity: int


class Book(BaseModel):
    title: str | None
    items: list[Item]
    sales: list[Sale]


BOOK = compile_schema(Book)
FILLER = [
    "The parties met again and nothing of note was said.",
    "Delivery follows the terms of the year before, as amended.",
    "See the annex for drawings, which form no part of this text.",
    "在此期间没有其他事项。",
    "Ничего больше не произошло.",
]
DRINKS = ["Coffee", "Tea", "Grüner Veltliner", "水"]


def _planted(rng: random.Random) -> tuple[str, list[str], Counter[tuple[str, int]]]:
    """Return 300 pages with 600 numbered items, each over several paragraphs, and 300 sales that repeat."""
    numbers, sales = iter(range(1, 601)), Counter[tuple[str, int]]()
    pages = []
    for page in range(300):
        blocks = [rng.choice(FILLER) + " " + rng.choice(FILLER) for _ in range(rng.randint(30, 50))]
        for number in (next(numbers), next(numbers)):
            item = f"Item No. {number:05d}\n\nName: part {number % 50}\n\nQuantity: {number % 7}"
            blocks.insert(rng.randint(0, len(blocks)), item)
        sale = (rng.choice(DRINKS), rng.randint(1, 2))
        sales[sale] += 1
        blocks.insert(rng.randint(0, len(blocks)), f"Sold: {sale[0]}, {sale[1]} pieces.")
        pages.append("\n\n".join(blocks))
        if page == 250:
            pages[-1] += "\n\nTitle: The long contract."
    text = "\f".join(pages)
    items = re.findall(r"Item No. (\d{5})", text)
    assert len(set(items)) == len(items) == 600
    return text, items, sales


def _reads(window: Window) -> Any:
    """Answer as a service that sees no more than a window."""
    item = re.compile(r"Item No\. (\d{5})\n\nName: (part \d+)\n\nQuantity: (\d)")
    title = re.search(r"Title: (.*?)\.", window.text)
    return {
        "title": title[1] if title else None,
        "items": [
            {"number": number, "name": name, "quantity": int(quantity)}
            for number, name, quantity in item.findall(window.text)
        ],
        "sales": [
            {"name": name, "quantity": int(quantity)}
            for name, quantity in re.findall(r"Sold: (.+?), (\d) pieces\.", window.text)
        ],
    }


def _cut_items(text: str, windows: list[Window]) -> int:
    """Return how many items reach over the beginning or end of a window."""
    places = {place for window in windows for place in (window.start, window.end)}
    spans = [match.span() for match in re.finditer(r"Item No\. \d{5}\n\nName: part \d+\n\nQuantity: \d", text)]
    return sum(any(start < place < end for place in places) for start, end in spans)


def _forgetful(answer: Callable[[Window], Any], rng: random.Random) -> Callable[[Window], Any]:
    """Answer, but overlook every tenth item."""

    def reads(window: Window) -> Any:
        full = answer(window)
        return full | {"items": [item for item in full["items"] if rng.random() > 0.1]}

    return reads


@pytest.mark.parametrize("by", [(), ("number",)], ids=["whole items", "by number"])
@pytest.mark.parametrize(
    "windows",
    [
        Windows(),
        Windows(passes=2),
        Windows(pages=True),
        Windows(pages=True, passes=2),
        Windows(characters=5_000, overlap=300, passes=3),
    ],
    ids=["one pass", "two passes", "pages", "pages twice", "small windows"],
)
def test_every_item_of_300_pages_is_found_once(windows: Windows, by: tuple[str, ...]) -> None:
    rng = random.Random(7)
    text, items, sales = _planted(rng)
    cut_up = cut(text, windows)
    assert _cut_items(text, cut_up) > 0  # or the test would prove little
    answers = [(window, _reads(window)) for window in cut_up]
    rng.shuffle(answers)
    result = merge(answers, {"items": Union(by=by)}, BOOK)
    value = BOOK.validate(json.dumps(result.value))
    assert [item.number for item in value.items] == items  # in the order of the text
    assert value.title == "The long contract"
    assert result.conflicts == ()
    merged_sales = Counter((sale.name, sale.quantity) for sale in value.sales)
    assert not sales - merged_sales  # equal sales in different places are all kept
    assert (merged_sales - sales).total() <= 0.01 * sales.total()


@pytest.mark.parametrize("passes", [1, 2])
def test_items_that_lie_on_the_borders_of_windows_are_found_once(passes: int) -> None:
    text = "\n\n".join(f"Item No. {number:05d}\n\nName: part {number}\n\nQuantity: 1" for number in range(600))
    windows = cut(text, Windows(characters=1_000, overlap=100, passes=passes))
    assert _cut_items(text, windows) > len(windows) // 2
    value = merge([(window, _reads(window)) for window in windows], {}, BOOK).value
    assert [item["number"] for item in value["items"]] == [f"{number:05d}" for number in range(600)]


def test_a_second_pass_finds_what_the_first_overlooked() -> None:
    text, items, _ = _planted(random.Random(7))
    shares = []
    for passes in (1, 2, 3):
        reads = _forgetful(_reads, random.Random(8))
        answers = [(window, reads(window)) for window in cut(text, Windows(passes=passes))]
        numbers = [item["number"] for item in merge(answers, {}, BOOK).value["items"]]
        assert len(numbers) == len(set(numbers))
        shares.append(len(numbers) / len(items))
    assert shares[0] < 0.95 < 0.98 < shares[1] < shares[2]

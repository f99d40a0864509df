"""The review page in a browser: by keyboard, on a phone in the dark, among hostile records, without its server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import SHARED_DATA
from pydantic import BaseModel
from reports import HOSTILE
from reviewing import CHROMIUM, Person, Serving

from extract import Client, Emulator, Extractor, run
from extract.review.decision_file import DecisionFile

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.browser

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # Its sandbox needs rights that a container may not give; the page is ours and loads nothing.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Person]]:
    """Give a function that opens a page; nothing may be said in the console or asked of another address."""
    everybody: list[Person] = []

    def open_page(link: str, viewport: dict[str, int] = WIDE, scheme: str = "light", **options: Any) -> Person:
        is_phone = viewport is PHONE
        context = browser.new_context(
            viewport=viewport, color_scheme=scheme, has_touch=is_phone, is_mobile=is_phone, **options
        )
        person = Person(context.new_page(), link)
        everybody.append(person)
        return person

    yield open_page
    for person in everybody:
        seen = person.seen
        person.page.context.close()
        assert seen.said == []
        assert seen.elsewhere(person.address) == []


def extract(*words: str | Path, folder: Path) -> str:
    """Run a command line, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "extract", *map(str, words)],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Labels --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def banking(tmp_path: Path) -> tuple[Path, dict[str, str], list[str]]:
    """An offline run over questions to a bank, the right label of each, and all 77 labels."""
    source = SHARED_DATA / "banking77"
    if not source.exists():
        pytest.skip(f"{source} is not there")
    labels = json.loads((source / "categories.json").read_text())
    rows = pl.read_csv(source / "test.csv").sample(160, seed=3, shuffle=True)
    run(rows.select("text"), Extractor(labels, "{text}"), offline=True, output=tmp_path / "bank.parquet")
    return tmp_path, dict(rows.iter_rows()), labels


def test_sixty_rows_labelled_by_keyboard_alone_are_the_gold_that_was_typed(opened: Any, banking: Any) -> None:
    folder, right, labels = banking
    extract("gold", "draw", "bank.parquet", "-o", "bank.db", "--rows", "60", "--seed", "5", folder=folder)
    typed: dict[str, str] = {}
    with Serving("bank.db", "--as", "ann", folder=folder) as server:
        person = opened(server.link)
        for row in range(1, 61):
            text = person.text
            assert person.position == f"{row} of 60"
            if row % 9 == 4:  # a slip, taken back, and typed again
                person.decides("1")
                person.decides("u")
                assert person.text == text
            if row % 13 == 7:
                person.decides("s")
                continue
            if row == 20:
                person.reload()
            if row == 35:
                server.kill()
                server.start()
                person.page.goto(server.link)
            assert person.text == text
            typed[text] = right[text]
            person.labels(right[text], labels)
        assert person.position == "All rows are decided"
    extract("gold", "write", "bank.db", "-o", "gold.csv", folder=folder)
    gold = pl.read_csv(folder / "gold.csv")
    assert len(typed) == 60 - len([row for row in range(1, 61) if row % 13 == 7])
    assert dict(gold.select("text", "value").iter_rows()) == typed


# Every kind of field --------------------------------------------------------------------------------------------------

EVERYTHING = """
import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from extract import Extractor


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: Decimal
    name: str | None


class Square(BaseModel):
    kind: Literal["square"]
    side: Decimal = Field(gt=0)
    name: str | None


class Node(BaseModel):
    name: str
    child: "Node | None"


class Everything(BaseModel):
    topic: Literal["bug", "billing", "other"]
    tags: list[Literal["red", "green", "blue"]]
    sure: bool
    mood: Literal["good", "bad"] | None
    count: int = Field(ge=1)
    price: Decimal
    day: dt.date
    clock: dt.time
    note: str | None
    remark: str | None
    code: str = Field(pattern="^[A-Z]+$")
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    pair: tuple[int, str]
    counts: dict[str, int]
    tree: Node
    words: list[str]


extractor = Extractor(Everything, "{text}")
"""


def test_every_kind_of_field_is_filled_by_keyboard_and_messages_stand_at_the_field(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "everything.py").write_text(EVERYTHING)
    pl.DataFrame({"id": ["a", "b"], "text": ["A red bug", "b"]}).write_parquet(tmp_path / "rows.parquet")
    extract(
        "gold", "draw", "rows.parquet", "-o", "rows.db", "--pipeline", "everything.py", "--on", "id", folder=tmp_path
    )
    with Serving("rows.db", "--pipeline", "everything.py", "--as", "ann", folder=tmp_path) as server:
        person = opened(server.link)
        row_id = re.search(r"row (\w)", person.page.locator("#reason").inner_text())
        person.press("2")  # topic: billing; the next choice is at hand
        person.press("1", "3")  # tags: red and blue
        person.press("Tab", "2")  # sure: false
        person.press("0")  # mood: null; the last choice
        person.fills("count", "0")
        person.fills("price", "12.50")
        person.fills("day", "2026-02-30")
        person.fills("clock", "10:20:30")
        person.field("note").locator("textarea").focus()
        person.press("Alt+n")  # from null to the empty text
        person.fills("code", "abc")
        person.field("shape").locator("label", has_text="Square").locator("input").focus()
        person.press("Space", "Tab")
        person.type("0.10")
        person.fills("pair", "7")
        person.press("Tab")
        person.type("seven")
        person.field("counts").get_by_role("button", name="Add entry").press("Enter")
        person.type("a b")
        person.press("Tab")
        person.type("3")
        person.field("tree").locator("textarea").first.focus()
        person.type("root")
        person.press("Tab", "Enter")
        person.type("leaf")
        person.field("words").get_by_role("button", name="Add").press("Enter")
        person.type("one")
        person.press("Alt+Enter")
        person.type("two")
        person.press("Alt+Enter")
        person.type("three")
        person.press("Alt+ArrowUp", "Alt+ArrowUp")  # three, one, two
        person.press("Tab", "Alt+Delete")  # without one
        person.press("Enter")
        person.page.locator(".message:not([hidden])").first.wait_for()
        assert person.messages.keys() == {"day"}
        person.fills("day", "2026-02-28")
        person.press("Enter")
        person.field("count").locator(".message:not([hidden])").wait_for()
        assert person.messages.keys() == {"count", "code"}
        assert person.field("count").locator("input").evaluate("node => node === document.activeElement")
        person.fills("count", "1")
        person.fills("code", "ABC")
        person.decides("Control+Enter")
    extract("gold", "write", "rows.db", "-o", "gold.jsonl", "--pipeline", "everything.py", folder=tmp_path)
    gold = json.loads((tmp_path / "gold.jsonl").read_text())
    assert row_id is not None
    assert gold["id"] == row_id[1]
    assert {name: gold[name] for name in ("topic", "tags", "sure", "mood", "count", "day", "clock")} == {
        "topic": "billing", "tags": ["red", "blue"], "sure": False, "mood": None, "count": 1, "day": "2026-02-28",
        "clock": "10:20:30",
    }  # fmt: skip
    assert (gold["note"], gold["remark"], gold["code"]) == ("", None, "ABC")
    assert (Decimal(gold["price"]), Decimal(gold["shape"]["side"])) == (Decimal("12.50"), Decimal("0.10"))
    assert (gold["shape"]["kind"], gold["shape"]["name"]) == ("square", None)
    assert gold["pair"] == [7, "seven"] or list(gold["pair"].values()) == [7, "seven"]
    assert gold["counts"] in ({"a b": 3}, [{"key": "a b", "value": 3}])
    assert gold["tree"]["name"] == "root"
    assert json.loads(gold["tree"]["child"]) == {"name": "leaf", "child": None}  # a type in itself is JSON in a column
    assert gold["words"] == ["three", "two"]


# A server that goes away ----------------------------------------------------------------------------------------------


def test_what_is_typed_outlives_a_server_that_is_killed_and_is_stored_once(opened: Any, tmp_path: Path) -> None:
    pl.DataFrame({"text": ["a red bug", "a late parcel"]}).write_parquet(tmp_path / "rows.parquet")
    extract("gold", "draw", "rows.parquet", "-o", "rows.db", "--labels", "bug,parcel", folder=tmp_path)
    with Serving("rows.db", "--as", "ann", folder=tmp_path) as server:
        person = opened(server.link)
        text = person.text
        server.kill()
        person.press("1")
        person.page.get_by_text("The server cannot be reached. What you typed is kept").wait_for()
        assert person.position == "1 of 2"
        server.start()
        box = person.page.get_by_label("Link")
        box.wait_for()
        before = person.position
        box.fill(server.link)
        person.page.get_by_role("button", name="Go on").press("Enter")
        person.page.wait_for_function(
            "before => document.querySelector('#position').textContent !== before", arg=before
        )
        person.ready()
        assert person.position == "2 of 2"
        assert "1 of 2 decided" in person.page.locator("#progress").inner_text()
        assert person.page.locator("#notice").is_hidden()
    extract("gold", "write", "rows.db", "-o", "gold.csv", folder=tmp_path)
    assert pl.read_csv(tmp_path / "gold.csv").select("text", "value").rows() == [(text, "bug")]


def test_a_half_filled_form_is_there_again_after_a_reload(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "everything.py").write_text(EVERYTHING)
    pl.DataFrame({"text": ["a"]}).write_parquet(tmp_path / "rows.parquet")
    extract("gold", "draw", "rows.parquet", "-o", "rows.db", "--pipeline", "everything.py", folder=tmp_path)
    with Serving("rows.db", "--pipeline", "everything.py", folder=tmp_path) as server:
        person = opened(server.link)
        person.press("3")
        person.fills("price", "3.50")
        person.fills("note", "half")
        person.reload()
        assert person.field("price").locator("input").input_value() == "3.50"
        assert person.field("note").locator("textarea").input_value() == "half"
        assert person.page.locator(".option[aria-checked=true]").all_inner_texts() == ["other"]


# Invoices on a phone, in the dark ------------------------------------------------------------------------------------

INVOICES = ROOT / "pipelines" / "extract_fields.py"


def plain(value: Any) -> Any:
    """Return a value as JSON has it, numbers by their worth."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return Decimal(value).normalize()
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Decimal(str(value)).normalize()
    return value if value is None or isinstance(value, str | bool) else str(value)


def test_invoices_are_corrected_on_a_phone_in_the_dark_and_the_gold_is_what_was_typed(
    opened: Any, tmp_path: Path
) -> None:
    rows = pl.read_ndjson(ROOT / "sample_data" / "invoices.jsonl").head(8)
    rows.write_ndjson(tmp_path / "invoices.jsonl")
    extract("run", INVOICES, "invoices.jsonl", "-o", "out.parquet", "--offline", "--id", "id", folder=tmp_path)
    answers = {row["id"]: plain(row) for row in pl.read_parquet(tmp_path / "out.parquet").to_dicts()}
    texts = dict(rows.select("id", "text").iter_rows())
    spans: dict[str, tuple[str, str]] = {}
    with Serving(
        "out.parquet", "--pipeline", INVOICES, "--decisions", "out.db", "--as", "ann", folder=tmp_path
    ) as server:
        person = opened(server.link, PHONE, "dark")
        for step in range(len(answers)):
            name = re.search(r"row (\w+)", person.page.locator("#reason").inner_text())
            assert name is not None
            answer = answers[name[1]]
            assert person.page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
            if step == 0:  # a position is added; its fields are typed
                person.field("line_items").locator("> .add").tap()
                person.type("Postage")
                for text in ("1", "4.90", "4.90"):
                    person.press("Tab")
                    person.type(text)
                item = {"description": "Postage", "quantity": 1, "unit_price": "4.90", "amount": "4.90"}
                answer["line_items"].append(plain(item))
            elif step == 1:  # the first position goes to the end, then the new first one away
                items = answer["line_items"]
                for _ in items[1:]:
                    person.page.get_by_role("button", name="Move down").first.tap()
                    items[0], items[1] = items[1], items[0]
                    break
                person.page.get_by_role("button", name="Remove (Alt+Delete)").first.tap()
                del items[0]
            elif step == 2:  # null is not the empty text
                person.fills("vendor", "")
                assert person.field("vendor").locator(".chip").inner_text() == "empty"
                person.field("vendor").locator(".chip").tap()
                assert person.field("vendor").locator(".chip").inner_text() == "null"
                answer["vendor"] = None
            elif step == 3:  # a field is filled with what is selected in the source
                person.field("customer").locator("textarea").tap()
                chosen = texts[name[1]].split("\n")[1].strip()
                person.selects(chosen)
                person.page.locator("#offer").tap()
                answer["customer"] = plain(chosen)
                spans[name[1]] = ("$.customer", chosen)
            before = person.position
            person.page.get_by_role("button", name="Accept").tap()
            person.leaves(before)
    extract("gold", "write", "out.db", "-o", "gold.jsonl", "--pipeline", INVOICES, folder=tmp_path)
    gold = {row["id"]: plain(row) for row in map(json.loads, (tmp_path / "gold.jsonl").read_text().splitlines())}
    fields = ("number", "date", "vendor", "customer", "currency", "line_items", "subtotal", "tax", "total")
    assert gold.keys() == answers.keys()
    for row_id, answer in answers.items():
        assert {name: gold[row_id][name] for name in fields} == {name: answer[name] for name in fields}
    ((row_id, (path, chosen)),) = spans.items()
    with DecisionFile.open(tmp_path / "out.db") as file:
        current = [file.current(task.number, "ann") for task in file.tasks(1, 100) if task.row_id == row_id]
    (span,) = [one for one in current[0].spans if one["path"] == path]
    assert texts[row_id][span["start"] : span["end"]] == chosen


# Hostile records and schemas ------------------------------------------------------------------------------------------

_RUN = "document.title='taken'"
PAYLOADS = [
    *HOSTILE,
    f"<script>{_RUN}</script>",
    f"<img src=x onerror={_RUN}>",
    f'"><svg/onload={_RUN}>',
    f"'><body onload={_RUN}>",
    f"<iframe srcdoc='<script>parent.{_RUN}</script>'></iframe>",
    f"<a href=javascript:{_RUN}>press</a>",
    "<img src=http://127.0.0.1:9/taken.png>",
    "<link rel=stylesheet href=//127.0.0.1:9/taken.css>",
    "<style>@import url(//127.0.0.1:9/taken.css)</style>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<base href=http://127.0.0.1:9/>",
    "<form action=http://127.0.0.1:9/><button autofocus>press</button></form>",
    "<video><source src=http://127.0.0.1:9/a.mp4></video>",
    "<object data=http://127.0.0.1:9/a></object><embed src=http://127.0.0.1:9/a>",
    f"<details open ontoggle={_RUN}>",
    f"<input autofocus onfocus={_RUN}>",
    f"<math><mtext><script>{_RUN}</script>",
    f"</title><script>{_RUN}</script>",
    f"</textarea><script>{_RUN}</script>",
    f"</option></select><img src=x onerror={_RUN}>",
    f"<template><script>{_RUN}</script></template>",
    f"${{{_RUN}}} `${{{_RUN}}}`",
    "__proto__",
    "constructor",
    "toString",
    "$.a[0]['b']",
    '\\"};' + _RUN + "//",
    "x" * 5000,
]


def test_forty_hostile_payloads_in_every_place_of_records_and_schema_stay_text(opened: Any, tmp_path: Path) -> None:
    assert len(PAYLOADS) == 40
    schema = hostile_schema()
    (tmp_path / "hostile.py").write_text(
        f"from extract import Extractor\nextractor = Extractor({schema!r}, '{{text}}')\n"
    )
    rows = pl.DataFrame({"id": PAYLOADS, "text": PAYLOADS, **dict.fromkeys(PAYLOADS[:12], PAYLOADS)})
    names = list(schema["properties"])

    def answer(body: dict[str, Any]) -> str:
        text = str(body["input"][0]["content"][-1]["text"])
        payload = next((one for one in PAYLOADS if one == text), PAYLOADS[0])
        values = [payload, payload, [payload], {payload: payload}]
        return json.dumps(dict(zip(names, values, strict=True)))

    client = Client("key", transport=Emulator(answers=answer).transport)
    run(rows, Extractor(schema, "{text}", grounding=("text",)), client=client, output=tmp_path / "out.parquet")
    words = ("out.parquet", "--pipeline", "hostile.py", "--decisions", "out.db", "--as", PAYLOADS[13], "--on", "id")
    with Serving(*words, folder=tmp_path) as server:
        person = opened(server.link)
        title = person.page.title()
        person.press("l", "i")
        seen: set[str] = set()
        for number in range(1, len(rows) + 1):
            assert person.position == f"{number} of {len(rows)}"
            person.page.locator(".others summary").click()
            seen.add(person.text)
            person.press("Escape")
            if number < len(rows):
                person.decides("ArrowRight")
        assert seen == set(PAYLOADS)
        person.decides("Enter")
        assert f"1 of {len(rows)} decided" in person.page.locator("#progress").inner_text()
        assert set(person.page.locator("#form .name").all_inner_texts()) >= {PAYLOADS[14]}
        assert person.page.title() == title
        inside = (
            "script:not([src='/page/main.js']), iframe, object, embed, base, style, form, video, #desk img, #desk svg"
        )
        assert person.page.locator(inside).count() == 0
        assert person.page.evaluate("Object.keys(Object.prototype).length") == 0


def test_forty_hostile_answers_that_were_rejected_stay_text(opened: Any, tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> str:
        text = str(body["input"][0]["content"][-1]["text"])
        return json.dumps({"value": "a"} if text == "valid" else {"value": text, text: text})

    texts = ["valid", *PAYLOADS]
    rows = pl.DataFrame({"id": texts, "text": texts})
    client = Client("key", transport=Emulator(answers=answer).transport)
    labels = Extractor(["a", "b"], "{text}", repairs=0)
    run(rows, labels, client=client, output=tmp_path / "out.parquet", row_id="id", errors="null")
    with Serving("out.parquet", "--decisions", "out.db", "--on", "id", folder=tmp_path) as server:
        person = opened(server.link)
        for number in range(1, 42):
            assert person.position == f"{number} of 41"
            if person.text != "valid":
                assert json.loads(person.page.locator(".rejected pre").inner_text())["value"] == person.text
            person.decides("2")
        assert person.position == "All rows are decided"


def hostile_schema() -> dict[str, Any]:
    """Return a JSON Schema with payloads as names, titles, descriptions and labels."""
    about = {"title": PAYLOADS[14], "description": PAYLOADS[13]}
    members: dict[str, Any] = {
        PAYLOADS[12]: {"type": "string", **about},
        PAYLOADS[29]: {"enum": PAYLOADS, **about},
        PAYLOADS[15]: {"type": "array", "items": {"type": "string", **about}},
        PAYLOADS[16]: {"type": "object", "additionalProperties": {"type": "string"}},
    }
    return {"type": "object", **about, "properties": members, "required": list(members), "additionalProperties": False}


# Pages of documents ---------------------------------------------------------------------------------------------------


def test_words_of_a_page_are_put_into_fields_by_touch_by_mouse_and_by_keys(
    opened: Any, tmp_path: Path, shared_data: Path
) -> None:
    extract("run", INVOICES, shared_data / "invoice_pdfs", "-o", "out.parquet", "--offline", folder=tmp_path)
    name = "saeco.pdf"
    table = pl.read_parquet(tmp_path / "out.parquet").filter(pl.col("path").str.ends_with(name))
    table.write_parquet(tmp_path / "one.parquet")
    words = ("one.parquet", "--pipeline", INVOICES, "--root", shared_data, "--blind", "--decisions", "one.db")
    with Serving(*words, "--as", "ann", folder=tmp_path) as server:
        phone = opened(server.link, PHONE, "dark")
        phone.field("number").locator("textarea").tap()
        phone.touches_word("VF1005193039")
        assert phone.page.locator("#offer").inner_text() == "Put in “VF1005193039”"
        phone.page.locator("#offer").tap()
        assert phone.field("number").locator("textarea").input_value() == "VF1005193039"
        wide = opened(server.link)
        wide.page.locator(".sheet img[src^='blob:']").wait_for()
        wide.field("date").locator("input.date").click()
        wide.drags_over("8-9-2022", "8-9-2022")
        assert wide.field("date").locator("input.date").input_value() == "8-9-2022"  # 8 September or 9 August
        wide.fills("date", "2022-09-08")
        wide.field("vendor").locator("textarea").click()
        wide.press("Alt+t", "ArrowDown", "Shift+ArrowRight")
        chosen = wide.chosen_words
        wide.press("Enter")
        assert wide.field("vendor").locator("textarea").input_value() == " ".join(chosen)
        assert len(chosen) == 2
        assert wide.page.locator(".boxes .mark.set").count() >= 1
        wide.press("Control+Enter")
        wide.leaves("1 of 1")
        assert wide.position == "All rows are decided"
    with DecisionFile.open(tmp_path / "one.db") as file:
        decided = file.current(1, "ann")
    assert decided is not None
    assert (str(decided.value["date"]), decided.value["vendor"]) == ("2022-09-08", " ".join(chosen))
    assert [(span["path"], span["page"]) for span in decided.spans] == [("$.vendor", 1)]


# The text beside the form, and what everybody needs -------------------------------------------------------------------

LETTER = "😀 Dear shop,\n\n" + "nothing is said in this line\n" * 120 + "\nTotal: 12,50 EUR for Ada Lovelace\n"


class Order(BaseModel):
    """What a letter orders."""

    sender: str | None
    total: Decimal | None
    place: str | None


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[tuple[Serving, Path]]:
    """A page over one answer that has its places in a long text."""
    client = Client("key", transport=Emulator(answers=lambda _: json.dumps(LETTER_ANSWER)).transport)
    orders = Extractor(Order, "{text}", grounding=("text",))
    run(pl.DataFrame({"text": [LETTER, LETTER]}), orders, client=client, output=tmp_path / "out.parquet")
    with Serving("out.parquet", "--decisions", "out.db", "--as", "ann", folder=tmp_path) as server:
        yield server, tmp_path / "out.db"


LETTER_ANSWER = {"sender": "Ada Lovelace", "total": "12.50", "place": None}


def test_a_field_shows_its_place_in_the_text_and_a_place_its_field(opened: Any, letters: Any) -> None:
    person = opened(letters[0].link)
    mark = person.page.locator("mark", has_text="12,50")
    assert not person.is_in_sight(mark)
    person.press("ArrowDown", "Tab")
    assert person.focused == "total"
    assert mark.get_attribute("class") == "normalised active"
    assert person.is_in_sight(mark)
    person.page.locator("mark", has_text="Ada Lovelace").click()
    assert person.focused == "sender"


def test_selected_text_goes_into_the_field_at_hand_with_its_span_in_code_points(opened: Any, letters: Any) -> None:
    server, path = letters
    person = opened(server.link)
    person.field("place").locator("textarea").click()
    person.double_clicks("shop")
    person.page.locator("mark.set").wait_for()
    assert person.field("place").locator("textarea").input_value() == "shop"
    assert person.focused == "place"
    assert person.page.locator("mark.set").inner_text() == "shop"
    person.field("sender").locator("textarea").click()
    person.press("Alt+t", *["ArrowLeft"] * 4, *["Shift+ArrowRight"] * 3, "x", "Enter")  # nothing is written there
    assert person.field("sender").locator("textarea").input_value() == "for"
    person.decides("Enter")
    with DecisionFile.open(path) as file:
        decided = file.current(1, "ann")
    assert decided is not None
    assert (decided.value["sender"], decided.value["place"]) == ("for", "shop")
    spans = {span["path"]: LETTER[span["start"] : span["end"]] for span in decided.spans}
    assert spans == {"$.sender": "for", "$.total": "12,50", "$.place": "shop"}


def test_what_is_typed_stays_with_its_row_also_when_one_looks_at_another(opened: Any, letters: Any) -> None:
    person = opened(letters[0].link)
    person.fills("place", "Rome")
    person.press("Escape")
    person.decides("ArrowRight")
    assert person.field("place").locator("textarea").input_value() == ""
    person.decides("ArrowLeft")
    assert person.field("place").locator("textarea").input_value() == "Rome"
    person.decides("Enter")
    person.decides("u")
    assert person.field("place").locator("textarea").input_value() == "Rome"
    person.reload()
    assert person.field("place").locator("textarea").input_value() == "Rome"


def test_an_answer_that_has_changed_is_shown_again_before_it_is_judged(opened: Any, letters: Any) -> None:
    person = opened(letters[0].link)
    told = {"error": {"code": "changed", "message": "look at the row again"}}
    person.page.route("**/decisions", lambda route: route.fulfill(status=409, json=told), times=1)
    asked = len([url for url in person.seen.requested if url.endswith("/api/rows/1")])
    person.press("Enter")
    person.page.get_by_text("The answer of this row has changed since it was shown").wait_for()
    assert len([url for url in person.seen.requested if url.endswith("/api/rows/1")]) == asked + 1
    assert person.position == "1 of 2"
    person.decides("Enter")


def test_a_key_that_is_held_down_decides_one_record(opened: Any, letters: Any) -> None:
    person = opened(letters[0].link)
    person.page.keyboard.down("Enter")
    person.leaves("1 of 2")
    person.page.keyboard.down("Enter")  # the keyboard repeats it
    person.page.keyboard.up("Enter")
    person.decides("s")
    assert "1 of 2 decided, 1 skipped" in person.page.locator("#progress").inner_text()


def test_an_empty_form_is_no_answer_by_one_slip_of_a_key(opened: Any, tmp_path: Path) -> None:
    pl.DataFrame({"text": ["a", "b"]}).write_parquet(tmp_path / "rows.parquet")
    (tmp_path / "order.py").write_text(
        "from pydantic import BaseModel\nfrom extract import Extractor\n"
        "class Order(BaseModel):\n    sender: str | None\n"
        "extractor = Extractor(Order, '{text}')\n"
    )
    extract("gold", "draw", "rows.parquet", "-o", "rows.db", "--pipeline", "order.py", folder=tmp_path)
    with Serving("rows.db", "--pipeline", "order.py", folder=tmp_path) as server:
        person = opened(server.link)
        person.press("Enter")
        person.page.get_by_text("Nothing is filled in. Press Enter once more").wait_for()
        assert person.position == "1 of 2"
        person.decides("Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_reads_well_and_everything_on_it_has_a_name(
    opened: Any, letters: Any, viewport: Any, scheme: str
) -> None:
    person = opened(letters[0].link, viewport, scheme, reduced_motion="reduce")
    page = person.page
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    for selector in (
        ".text",
        ".name",
        ".chip",
        ".place",
        "#accept",
        "#skip",
        ".counts",
        "mark",
        "#position",
        ".reason",
    ):
        assert person.contrast(selector) >= 4.5, selector
    assert page.locator("#form").get_by_role("textbox").count() == 3
    assert person.nameless == []
    person.press("ArrowDown")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.evaluate("getComputedStyle(document.querySelector('#skip')).transitionDuration") == "0s"
    assert page.locator("[aria-live=polite]").inner_text().startswith("Row 1 of 2")
    if viewport is PHONE:
        sizes = page.locator("#actions button, .where button").evaluate_all("all => all.map((one) => one.clientHeight)")
        assert min(sizes) >= 40
    person.press("Escape", "?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    person.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_a_long_list_of_rows_is_fetched_in_slices_and_any_row_is_reached(opened: Any, tmp_path: Path) -> None:
    pl.DataFrame({"text": [f"message {n}" for n in range(5000)]}).write_parquet(tmp_path / "rows.parquet")
    extract("gold", "draw", "rows.parquet", "-o", "rows.db", "--labels", "a,b", "--rows", "5000", folder=tmp_path)
    with Serving("rows.db", "--as", "ann", folder=tmp_path) as server:
        person = opened(server.link)
        person.press("l")
        person.page.locator("#list .open").first.wait_for()
        person.page.get_by_label("Go to row number").fill("4321")
        person.press("Enter")
        person.leaves("1 of 5,000")
        assert person.position == "4,321 of 5,000"
        person.page.locator("#list button.open[aria-current]").wait_for()
        person.decides("2")
        assert person.page.locator("#list button.corrected").count() == 1
        assert person.page.locator("#list li").count() < 60
        asked = [url for url in person.seen.requested if "/api/tasks?" in url]
        assert len(asked) <= 4

"""Long texts in a run: asked in windows, merged, validated once more, and never in part."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import BaseModel, Field

from extract import Client, ConfigError, Emulator, Extractor, Union, Windows, run
from extract.emulator.server import running_server
from extract.estimate import estimate
from extract.sources import open_source

pytest.importorskip("semantic_text_splitter", reason="the extra `documents` is not installed")

ITEM = re.compile(r"Item (\d+): (\w+) at (\d+\.\d\d)\.")


class Item(BaseModel):
    number: int
    name: str
    price: str


class Found(BaseModel):
    title: str | None
    items: list[Item]


def said(body: dict[str, Any]) -> str:
    return str(body["input"][0]["content"][-1]["text"])


def read(body: dict[str, Any]) -> str:
    """Answer for what stands in the request, and nothing else, as an attentive reader would."""
    text = said(body)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    items = [{"number": int(n), "name": name, "price": price} for n, name, price in ITEM.findall(text)]
    return json.dumps({"title": title[1] if title else None, "items": items})


def book(pages: int, items_a_page: int = 2) -> str:
    """Return a text of so many pages; every item stands in it once."""
    filler = "The committee met in the morning and spoke about the weather of the year before. " * 20
    text, number = ["# The great ledger\n"], 0
    for page in range(pages):
        parts = [f"Page {page + 1}\n\n"]
        for _ in range(items_a_page):
            parts.append(f"{filler}\n\nItem {number}: thing{number} at {number}.25. {filler}\n\n")
            number += 1
        text.append("".join(parts) + "\f")
    return "".join(text)


def asked(**options: Any) -> Extractor:
    return Extractor(Found, "{text}", windows=Windows(**options))


def client_of(answers: Callable[[dict[str, Any]], str], **options: Any) -> tuple[Client, Emulator]:
    emulator = Emulator(answers=answers, **options)
    return Client("k", transport=emulator.transport), emulator


@pytest.mark.parametrize("options", [{}, {"passes": 2}, {"pages": True}], ids=["plain", "two_passes", "pages"])
def test_every_item_of_three_hundred_pages_is_found_once(options: dict[str, Any]) -> None:
    text = book(300)
    emulator = Emulator(answers=read)
    with running_server(emulator) as url:
        result = run([text], asked(**options), client=Client("k", base_url=url), provenance=True)
    (row,) = result.frame.to_dicts()
    numbers = [item["number"] for item in row["items"]]
    assert numbers == list(range(600))
    assert row["title"] == "The great ledger"
    assert row["_extract"]["windows"] == emulator.stats()["requests"] == result.totals.requests > 10


def test_a_short_text_is_asked_as_ever(tmp_path: Path) -> None:
    client, emulator = client_of(read)
    text = book(1)
    plain = run([text], Extractor(Found, "{text}"), client=client, cache=tmp_path / "c")
    again = run([text], asked(), client=client, cache=tmp_path / "c", provenance=True)
    assert plain.frame["items"].to_list() == again.frame["items"].to_list()
    assert emulator.stats()["requests"] == 1
    assert again.frame["_extract"].struct.field("windows").to_list() == [None]


def test_the_estimate_knows_the_number_of_requests() -> None:
    client, emulator = client_of(read)
    rows = [book(20), book(3), "short"]
    told = estimate(open_source(rows), asked())
    run(rows, asked(), client=client)
    assert told.requests == emulator.stats()["requests"]


def test_a_window_that_fails_fails_the_record_and_only_that_window_is_asked_again(tmp_path: Path) -> None:
    broken = True

    def moody(body: dict[str, Any]) -> str:
        return '{"items": 3}' if broken and "Item 30:" in said(body) else read(body)

    client, emulator = client_of(moody)
    extractor = Extractor(Found, "{text}", windows=Windows(overlap=0), repairs=0)
    first = run([book(20)], extractor, client=client, cache=tmp_path / "c")
    (error,) = first.errors.rows(named=True)
    assert error["code"] == "invalid_answer"
    assert "in the window of characters" in error["message"]
    before, broken = emulator.stats()["requests"], False
    second = run([book(20)], extractor, client=client, cache=tmp_path / "c", retry_rejected=True)
    assert (second.totals.valid, emulator.stats()["requests"]) == (1, before + 1)


def test_what_windows_disagree_about_is_told_and_decided_by_the_rule() -> None:
    def numbered(body: dict[str, Any]) -> str:
        page = re.search(r"Page (\d+)", said(body))
        return json.dumps({"title": f"from page {page[1] if page else '?'}", "items": []})

    client, _ = client_of(numbered)
    last = asked(merge={"title": "last"})
    (row,) = run([book(20)], last, client=client, provenance=True).frame.to_dicts()
    (conflict,) = row["_extract"]["conflicts"]
    assert conflict["path"] == "$.title"
    assert json.loads(conflict["chosen"]) == row["title"]
    assert conflict["values"][0] == '"from page 1"'
    assert row["title"] != "from page 1"


def test_items_are_one_by_the_fields_that_name_them() -> None:
    def reader(body: dict[str, Any]) -> str:
        return json.dumps({"title": None, "items": [{"number": 7, "name": "seven", "price": str(len(said(body)))}]})

    client, _ = client_of(reader)
    (row,) = run([book(20)], asked(merge={"items": Union(by=("number",))}), client=client).frame.to_dicts()
    assert [item["number"] for item in row["items"]] == [7]


def test_what_was_merged_is_validated_once_more() -> None:
    class Few(BaseModel):
        items: list[int] = Field(max_length=3)

    def reader(body: dict[str, Any]) -> str:
        return json.dumps({"items": [int(n) for n, *_ in ITEM.findall(said(body))][:3]})

    client, _ = client_of(reader)
    result = run([book(20)], Extractor(Few, "{text}", windows=Windows()), client=client)
    assert result.errors["code"].to_list() == ["invalid_answer"]


def test_windows_count_in_ledger_budget_and_cache(tmp_path: Path) -> None:
    client, emulator = client_of(read)
    first = run([book(20)] * 2, asked(), client=client, cache=tmp_path / "c")
    stats = emulator.stats()
    assert first.usage.input_tokens == stats["input_tokens"]
    assert first.totals.requests == stats["requests"]
    second = run([book(20)] * 2, asked(), client=client, cache=tmp_path / "c")
    assert (emulator.stats()["requests"], second.totals.cached, second.totals.valid) == (stats["requests"], 2, 2)


def test_faults_in_some_windows_cost_retries_and_nothing_else() -> None:
    client, _ = client_of(read, faults="503=0.2,malformed=0.1,reset=0.1", seed=5)
    result = run([book(60)], Extractor(Found, "{text}", windows=Windows(), repairs=6), client=client)
    assert [item["number"] for item in result.frame["items"].to_list()[0]] == list(range(120))


def test_values_of_a_long_text_stand_in_the_whole_of_it() -> None:
    client, _ = client_of(read)
    text = book(20)
    extractor = Extractor(Found, "{text}", windows=Windows(), grounding=("text",))
    spans = run([text], extractor, client=client).frame["_spans"].to_list()[0]
    prices = [span for span in spans if span["path"].endswith(".name")]
    assert len(prices) == 40
    assert all(text[span["start"] : span["end"]] == span["text"] for span in spans if span["start"] is not None)
    assert [span["start"] for span in prices] == sorted(span["start"] for span in prices)


def test_a_long_file_is_cut_like_a_long_cell(tmp_path: Path) -> None:
    (tmp_path / "ledger.txt").write_text(book(20))
    client, emulator = client_of(read)
    result = run(tmp_path, Extractor(Found, "", media=("path",), windows=Windows()), client=client)
    assert len(result.frame["items"].to_list()[0]) == 40
    assert emulator.stats()["requests"] > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "{a} {b}", "windows": Windows()}, "name the column"),
        ({"prompt": "{a}", "windows": Windows(column="b")}, "neither in the prompt"),
    ],
)
def test_the_long_column_must_be_known(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Extractor(Found, **options)


def test_a_rule_for_a_field_that_is_not_there_is_told_before_anything_is_sent() -> None:
    client, emulator = client_of(read)
    with pytest.raises(ConfigError, match="titel"):
        run([book(1)], asked(merge={"titel": "last"}), client=client)
    assert emulator.stats()["requests"] == 0


def test_records_around_a_long_one_keep_their_order() -> None:
    client, _ = client_of(read)
    rows = pl.DataFrame({"text": [book(1), book(30), book(2)]})
    result = run(rows, asked(), client=client)
    assert [len(items) for items in result.frame["items"].to_list()] == [2, 60, 4]

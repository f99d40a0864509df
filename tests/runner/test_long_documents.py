"""Long texts in a run: asked in windows, merged, validated once more, and never in part."""

from __future__ import annotations

import json
import os
import pickle
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pdfs import assembled, pages_of, pdf_of, shown, stream
from pydantic import BaseModel, Field

from extract import (
    Budget,
    BudgetExceeded,
    Client,
    ConfigError,
    Denied,
    Emulator,
    Extractor,
    Limits,
    ResponseCache,
    Union,
    Windows,
    run,
)
from extract.io.sources import open_source
from extract.runner.estimate import estimate, pay_sample
from extract.testing import running_server

pytest.importorskip("semantic_text_splitter", reason="the extra `documents` is not installed")

ITEM = re.compile(r"Item (\d+): (\w+) at (\d+\.\d\d)\.")


class Item(BaseModel):
    number: int
    name: str
    price: str


class Found(BaseModel):
    title: str | None
    items: list[Item]


def text_of(body: dict[str, Any]) -> str:
    return str(body["input"][0]["content"][-1]["text"])


def read(body: dict[str, Any]) -> str:
    """Answer for what stands in the request, and nothing else, as an attentive reader would."""
    text = text_of(body)
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    items = [{"number": int(n), "name": name, "price": price} for n, name, price in ITEM.findall(text)]
    return json.dumps({"title": title[1] if title else None, "items": items})


def book(pages: int, items_a_page: int = 2) -> str:
    """Return a text of that many pages; every item stands in it once."""
    filler = "The committee met in the morning and spoke about the weather of the year before. " * 20
    text, number = ["# The great ledger\n"], 0
    for page in range(pages):
        parts = [f"Page {page + 1}\n\n"]
        for _ in range(items_a_page):
            parts.append(f"{filler}\n\nItem {number}: thing{number} at {number}.25. {filler}\n\n")
            number += 1
        text.append("".join(parts) + "\f")
    return "".join(text)


def extractor_with(**options: Any) -> Extractor:
    return Extractor(Found, "{text}", windows=Windows(**options))


def client_of(answers: Callable[[dict[str, Any]], str], **options: Any) -> tuple[Client, Emulator]:
    emulator = Emulator(answers=answers, **options)
    return Client("k", transport=emulator.transport), emulator


@pytest.mark.parametrize("options", [{}, {"passes": 2}, {"pages": True}], ids=["plain", "two_passes", "pages"])
def test_every_item_of_three_hundred_pages_is_found_once(options: dict[str, Any]) -> None:
    text = book(300)
    emulator = Emulator(answers=read)
    with running_server(emulator) as url:
        result = run([text], extractor_with(**options), client=Client("k", base_url=url), provenance=True)
    (row,) = result.frame.to_dicts()
    numbers = [item["number"] for item in row["items"]]
    assert numbers == list(range(600))
    assert row["title"] == "The great ledger"
    assert row["_extract"]["windows"] == emulator.stats()["requests"] == result.totals.requests > 10


def test_a_short_text_is_asked_as_ever(tmp_path: Path) -> None:
    client, emulator = client_of(read)
    text = book(1)
    plain = run([text], Extractor(Found, "{text}"), client=client, cache=tmp_path / "c")
    again = run([text], extractor_with(), client=client, cache=tmp_path / "c", provenance=True)
    assert plain.frame["items"].to_list() == again.frame["items"].to_list()
    assert emulator.stats()["requests"] == 1
    assert again.frame["_extract"].struct.field("windows").to_list() == [None]


def test_the_estimate_knows_the_number_of_requests() -> None:
    client, emulator = client_of(read)
    rows = [book(20), book(3), "short"]
    estimated = estimate(open_source(rows), extractor_with())
    run(rows, extractor_with(), client=client)
    assert estimated.requests == emulator.stats()["requests"]


def test_a_window_that_fails_fails_the_record_and_only_that_window_is_asked_again(tmp_path: Path) -> None:
    broken = True

    def moody(body: dict[str, Any]) -> str:
        return '{"items": 3}' if broken and "Item 30:" in text_of(body) else read(body)

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
        page = re.search(r"Page (\d+)", text_of(body))
        return json.dumps({"title": f"from page {page[1] if page else '?'}", "items": []})

    client, _ = client_of(numbered)
    last = extractor_with(merge={"title": "last"})
    (row,) = run([book(20)], last, client=client, provenance=True).frame.to_dicts()
    (conflict,) = row["_extract"]["conflicts"]
    assert conflict["path"] == "$.title"
    assert json.loads(conflict["chosen"]) == row["title"]
    assert conflict["values"][0] == '"from page 1"'
    assert row["title"] != "from page 1"


def test_items_are_one_by_the_fields_that_name_them() -> None:
    def reader(body: dict[str, Any]) -> str:
        return json.dumps({"title": None, "items": [{"number": 7, "name": "seven", "price": str(len(text_of(body)))}]})

    client, _ = client_of(reader)
    (row,) = run([book(20)], extractor_with(merge={"items": Union(by=("number",))}), client=client).frame.to_dicts()
    assert [item["number"] for item in row["items"]] == [7]


def test_what_was_merged_is_validated_once_more() -> None:
    class Few(BaseModel):
        items: list[int] = Field(max_length=3)

    def reader(body: dict[str, Any]) -> str:
        return json.dumps({"items": [int(n) for n, *_ in ITEM.findall(text_of(body))][:3]})

    client, _ = client_of(reader)
    result = run([book(20)], Extractor(Few, "{text}", windows=Windows()), client=client)
    assert result.errors["code"].to_list() == ["invalid_answer"]


def test_windows_count_in_ledger_budget_and_cache(tmp_path: Path) -> None:
    client, emulator = client_of(read)
    first = run([book(20)] * 2, extractor_with(), client=client, cache=tmp_path / "c")
    stats = emulator.stats()
    assert first.usage.input_tokens == stats["input_tokens"]
    assert first.totals.requests == stats["requests"]
    second = run([book(20)] * 2, extractor_with(), client=client, cache=tmp_path / "c")
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


def test_values_of_a_long_pdf_have_their_boxes_on_the_pages_of_the_whole(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra `documents` is not installed")
    pages = [
        f"Item {number}: thing{number} at {number}.25.\n" + "four words a line\n" * 40 for number in range(100, 160)
    ]
    (tmp_path / "ledger.pdf").write_bytes(pdf_of(*pages))
    client, emulator = client_of(lambda body: read({"input": [{"content": body["input"][0]["content"][:1]}]}))
    extractor = Extractor(Found, "Read it.", media=("path",), windows=Windows(), grounding=("path",))
    spans = run(tmp_path, extractor, client=client).frame["_spans"].to_list()[0]
    names = [span for span in spans if span["path"].endswith(".name")]
    assert emulator.stats()["requests"] > 1
    assert [(span["page"], *(box["page"] for box in span["boxes"])) for span in names] == [
        (page, page) for page in range(1, 61)
    ]


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
        run([book(1)], extractor_with(merge={"titel": "last"}), client=client)
    assert emulator.stats()["requests"] == 0


def test_records_around_a_long_one_keep_their_order() -> None:
    client, _ = client_of(read)
    rows = pl.DataFrame({"text": [book(1), book(30), book(2)]})
    result = run(rows, extractor_with(), client=client)
    assert [len(items) for items in result.frame["items"].to_list()] == [2, 60, 4]


SMALL = {"characters": 4_000, "overlap": 200}


def test_a_deadline_counts_from_the_first_window_and_bounds_the_row(tmp_path: Path) -> None:
    client, emulator = client_of(read, latency=0.1)
    limits = Limits(concurrency=1, deadline=0.5)
    late = run([book(20)], extractor_with(**SMALL), client=client, limits=limits, cache=tmp_path / "c")
    assert late.errors["code"].to_list() == ["timeout"]
    assert late.totals.requests <= 6
    paid = emulator.stats()["requests"]
    whole = run([book(20)], extractor_with(**SMALL), client=client, cache=tmp_path / "c")
    assert whole.totals.valid == 1
    assert whole.totals.requests < paid + whole.totals.requests == emulator.stats()["requests"]


def test_what_ends_the_run_is_heard_before_the_next_window_is_asked() -> None:
    client, emulator = client_of(read, faults="401=1.0")
    with pytest.raises(Denied):
        run([book(60)], extractor_with(**SMALL), client=client, limits=Limits(concurrency=4))
    assert emulator.stats()["requests"] <= 4


def test_a_service_that_refuses_a_window_is_not_asked_about_all_others() -> None:
    client, emulator = client_of(read, faults="blocked=1.0")
    result = run([book(60)], extractor_with(**SMALL), client=client, limits=Limits(concurrency=2))
    assert result.errors["code"].to_list() == ["bad_request"]
    assert "in the window of characters" in result.errors["message"][0]
    assert emulator.stats()["requests"] <= 4


def test_a_budget_that_ends_inside_a_record_loses_no_answer(tmp_path: Path) -> None:
    client, emulator = client_of(read)
    with pytest.raises(BudgetExceeded):
        run([book(20)], extractor_with(**SMALL), client=client, budget=Budget(requests=7), cache=tmp_path / "c")
    assert emulator.stats()["requests"] == 7
    second = run([book(20)], extractor_with(**SMALL), client=client, cache=tmp_path / "c")
    stats = emulator.stats()
    assert (second.totals.valid, second.totals.requests, stats["repeats"]) == (1, stats["requests"] - 7, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_an_interrupted_record_is_not_run_whatever_its_first_windows_said(tmp_path: Path) -> None:
    seen: list[str] = []

    def interrupting(body: dict[str, Any]) -> str:
        seen.append(text_of(body))
        if len(seen) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return '{"items": 3}' if "Item 0:" in seen[-1] else read(body)

    client, emulator = client_of(interrupting, latency=0.05)
    extractor = Extractor(Found, "{text}", windows=Windows(**SMALL), repairs=0)
    options: dict[str, Any] = {"client": client, "cache": tmp_path / "c", "limits": Limits(concurrency=2)}
    first = run([book(20)], extractor, **options)
    assert first.interrupted
    assert first.errors["code"].to_list() == ["not_run"]
    paid = emulator.stats()["requests"]
    second = run([book(20)], extractor, **options)
    assert second.errors["code"].to_list() == ["invalid_answer"]
    assert emulator.stats()["requests"] == paid + second.totals.requests
    assert emulator.stats()["repeats"] == 0


def test_long_rows_rejected_by_an_earlier_run_do_not_stop_this_one(tmp_path: Path) -> None:
    client, _ = client_of(lambda _: '{"items": 3}')
    rows = [f"{book(2)} {number}" for number in range(25)]
    extractor = Extractor(Found, "{text}", windows=Windows(**SMALL), repairs=0)
    run(rows, extractor, client=client, cache=tmp_path / "c", limits=Limits(stop_after_failures=0))
    again = run(rows, extractor, client=client, cache=tmp_path / "c")
    assert again.stopped is None
    assert (again.totals.rejected, again.totals.cached, again.totals.requests) == (25, 25, 0)
    assert again.errors["answer"].to_list() == ['{"items": 3}'] * 25


def test_short_rows_have_their_turn_beside_a_long_one() -> None:
    order: list[bool] = []

    def noting(body: dict[str, Any]) -> str:
        order.append("short" in text_of(body))
        return read(body)

    client, _ = client_of(noting, latency=0.002)
    rows = [book(150), *(f"# short {number}\n" for number in range(20))]
    run(rows, extractor_with(**SMALL), client=client, limits=Limits(concurrency=2))
    last_short = max(index for index, is_short in enumerate(order) if is_short)
    assert last_short < len(order) / 2


def test_what_a_paid_sample_tells_of_long_rows_is_what_the_run_takes(tmp_path: Path) -> None:
    client, emulator = client_of(read)
    rows = [book(10).replace("committee", f"committee {number:02}") for number in range(10)]
    source, extractor = open_source(rows), extractor_with(**SMALL)
    with ResponseCache(tmp_path / "c") as cache:
        paid = pay_sample(source, extractor, 4, client=client, cache=cache)
        sampled = emulator.stats()["requests"]
        again = pay_sample(source, extractor, 4, client=client, cache=cache)
        estimated = estimate(source, extractor, paid=paid)
        result = run(rows, extractor, client=client)
    assert (paid.rows, again.usage) == (4, paid.usage)
    assert sampled * 10 == estimated.requests * 4 == result.totals.requests * 4
    spent = result.usage.output_tokens + result.usage.thought_tokens
    assert estimated.output_tokens == pytest.approx(spent, rel=0.15)


def test_of_optional_columns_the_first_that_says_something_is_cut() -> None:
    client, _ = client_of(read)
    rows = pl.DataFrame({"head": ["", book(20)], "body": [book(20), None]})
    extractor = Extractor(Found, "{head}{body}", optional=("head", "body"), windows=Windows())
    result = run(rows, extractor, client=client, provenance=True)
    assert min(result.frame["_extract"].struct.field("windows").to_list()) > 1


def test_windows_of_nothing_but_blanks_are_not_asked() -> None:
    client, emulator = client_of(read)
    text = "Item 1: one at 1.25." + " \n" * 30_000 + "Item 2: two at 2.25."
    result = run([text], extractor_with(**SMALL), client=client)
    assert [item["number"] for item in result.frame["items"].to_list()[0]] == [1, 2]
    assert emulator.stats()["requests"] == estimate(open_source([text]), extractor_with(**SMALL)).requests <= 4


def test_a_pdf_with_a_page_that_is_a_picture_is_not_cut(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra `documents` is not installed")
    pages = [f"Item {number}: thing at 1.25." + "\nA line of no interest" * 40 for number in range(4)]
    picture = stream(b"0 0 300 300 re f")
    (tmp_path / "text.pdf").write_bytes(pdf_of(*pages, ""))
    (tmp_path / "mixed.pdf").write_bytes(assembled(pages_of([*(stream(shown(page)) for page in pages), picture])))
    client, _ = client_of(lambda _: '{"title": null, "items": []}')
    extractor = Extractor(Found, "Read it.", media=("path",), windows=Windows(characters=1_000, overlap=0))
    frame = run(tmp_path, extractor, client=client, provenance=True).frame.sort("name")
    mixed, text = frame["_extract"].struct.field("windows").to_list()
    assert mixed is None
    assert text >= 4


def test_values_of_a_long_text_must_stand_in_it_where_that_is_wanted() -> None:
    def inventing(body: dict[str, Any]) -> str:
        return json.dumps({"title": "Nothing of the kind", "items": []})

    client, _ = client_of(inventing)
    extractor = Extractor(Found, "{text}", windows=Windows(**SMALL), grounding=("text",), repairs=0)
    result = run([book(5)], extractor, client=client, require_grounding=True)
    assert result.errors["path"].to_list() == ["$.title"]


def test_an_extractor_with_windows_can_be_sent_to_another_process() -> None:
    extractor = extractor_with(merge={"items": Union(by=("number",)), "title": "last"})
    assert pickle.loads(pickle.dumps(extractor)) == extractor


@pytest.mark.parametrize("options", [{"characters": "8"}, {"overlap": None}, {"passes": 1.5}, {"merge": ["items"]}])
def test_windows_of_the_wrong_kind_are_refused_in_words(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        Windows(**options)


def test_a_missing_splitter_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "semantic_text_splitter", None)
    with pytest.raises(ConfigError, match=r"extract-interactions\[documents\]"):
        extractor_with()


def test_windows_are_given_as_such() -> None:
    with pytest.raises(ConfigError, match=r"Windows\(\.\.\.\)"):
        Extractor(Found, "{text}", windows=8_000)  # type: ignore[arg-type] # what a user may well try

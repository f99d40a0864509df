"""Examples chosen per record: which, in what form, and never the record itself."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from pydantic import BaseModel

from extract import (
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Nearest,
    ResponseCache,
    Windows,
    classify,
    estimate,
    lazy_run,
    run,
)
from extract.extractor.text_index import TextIndex

GOLD = [
    {"id": 1, "text": "I have lost my card", "label": "lost"},
    {"id": 2, "text": "My card was stolen yesterday", "label": "stolen"},
    {"id": 3, "text": "The top up did not arrive", "label": "top_up"},
    {"id": 4, "text": "How do I top up by cheque?", "label": "top_up"},
]
LABELS = ["lost", "stolen", "top_up"]


def extractor(gold: Any = GOLD, k: int = 2, **options: Any) -> Extractor:
    return Extractor(LABELS, "Message: {text}", examples=Nearest(gold, k, **{"answer": "label", **options}))


def asked_with(records: list[dict[str, Any]], asked: Extractor) -> list[list[str]]:
    """Return the texts of the turns of each request, as the service gets them."""
    emulator = Emulator(count_distinct=True)
    with Client("key", transport=emulator.transport) as client:
        run(records, asked, client=client)
    bodies = [request.body for request in emulator.requests]
    return [[turn["content"][0]["text"] for turn in body["input"]] for body in bodies]


def shown(record: dict[str, Any], asked: Extractor) -> list[str]:
    """Return the records of the examples that a record is sent with, without the prompt."""
    (turns,) = asked_with([record], asked)
    return [turn.removeprefix("Message: ") for turn in turns[:-1:2]]


def test_the_most_similar_gold_rows_stand_before_the_record_the_nearest_last() -> None:
    (turns,) = asked_with([{"text": "top up by cheque"}], extractor())
    assert turns == [
        "Message: The top up did not arrive",
        '{"value":"top_up"}',
        "Message: How do I top up by cheque?",
        '{"value":"top_up"}',
        "Message: top up by cheque",
    ]


def test_a_record_is_never_its_own_example() -> None:
    record = GOLD[0]
    assert record["text"] not in shown(record, extractor(k=4))
    assert record["text"] not in shown(record, extractor(k=4, on="id"))


def test_with_on_only_the_row_of_that_id_is_the_record_itself() -> None:
    twin = {**GOLD[0], "id": 9}
    assert shown(twin, extractor(k=1, on="id")) == [GOLD[0]["text"]]
    assert shown({"text": GOLD[0]["text"]}, extractor(k=1, on="id")) != [GOLD[0]["text"]]  # names no id


def test_ids_that_a_file_holds_as_text_are_the_same_ids(tmp_path: Path) -> None:
    pl.DataFrame(GOLD).write_csv(path := tmp_path / "gold.csv")
    assert GOLD[1]["text"] not in shown(GOLD[1], extractor(path, k=4, on="id"))


def test_where_nothing_is_similar_the_first_rows_show_the_form_of_an_answer() -> None:
    assert shown({"text": "zzz"}, extractor()) == [GOLD[1]["text"], GOLD[0]["text"]]


@pytest.mark.parametrize("kind", ["list", "polars", "pandas", "csv", "jsonl", "parquet"])
def test_gold_comes_as_a_table_of_any_kind(kind: str, tmp_path: Path) -> None:
    frame = pl.DataFrame(GOLD)
    path = tmp_path / f"gold.{kind}"
    writers: dict[str, Callable[[], Any]] = {
        "list": lambda: GOLD,
        "polars": lambda: frame,
        "pandas": lambda: pd.DataFrame(GOLD),
        "csv": lambda: frame.write_csv(path) or path,
        "jsonl": lambda: frame.write_ndjson(path) or path,
        "parquet": lambda: frame.write_parquet(path) or path,
    }
    assert shown({"text": "stolen card"}, extractor(writers[kind](), k=1)) == [GOLD[1]["text"]]


class Bill(BaseModel):
    number: str
    total: Decimal
    due: date | None
    items: list[str] = []


def test_values_of_a_csv_are_typed_and_validated_by_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text('text,number,total,due,items\nbill A,007,1.50,2026-05-04,"[""a""]"\nbill B,8,2,,[]\n')
    (turns,) = asked_with([{"text": "bill C"}], Extractor(Bill, "{text}", examples=Nearest(path, 2)))
    answers = sorted(turns[1:-1:2])
    assert [json.loads(answer) for answer in answers] == [
        {"number": "007", "total": "1.5", "due": "2026-05-04", "items": ["a"]},
        {"number": "8", "total": "2", "due": None, "items": []},
    ]


@pytest.mark.parametrize(
    ("gold", "options", "message"),
    [
        ([{"text": "a", "label": "lots"}], {}, "row 1 of the gold does not fit the schema"),
        ([{"text": "a"}], {"answer": None}, "no column of an answer"),
        ([{"text": "a"}], {}, "no column 'label'"),
        ([{"body": "a", "label": "lost"}], {}, "needs the columns"),
        (GOLD, {"k": 0}, "whole number of examples"),
        (GOLD, {"on": "key"}, "no column 'key'"),
        ([], {}, "no rows"),
        ([{"text": "a\ud800", "label": "lost"}], {}, "Unicode|cannot be read"),
    ],
)
def test_gold_that_cannot_serve_is_refused_in_one_line_before_anything_is_sent(
    gold: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        run([{"text": "x"}], extractor(gold, **options), offline=True)
    assert "\n" not in str(refused.value)


def test_documents_have_no_text_to_compare() -> None:
    with pytest.raises(ConfigError, match="compares texts"):
        Extractor(LABELS, "{text}", media=("path",), examples=Nearest(GOLD, answer="label"))


def test_what_a_record_was_shown_is_part_of_its_content_key(tmp_path: Path) -> None:
    records = [{"text": "a lost card"}, {"text": "a top up"}]
    more = [*GOLD, {"id": 5, "text": "top up of a top up", "label": "top_up"}]

    def requests(gold: Any) -> int:
        emulator = Emulator()
        with Client("key", transport=emulator.transport) as client, ResponseCache(tmp_path / "answers") as cache:
            run(records, extractor(gold, k=1), client=client, cache=cache)
        return int(emulator.stats()["requests"])

    assert [requests(GOLD), requests(GOLD), requests(more), requests(more)] == [2, 0, 1, 0]


def test_an_estimate_counts_the_tokens_of_the_examples() -> None:
    few, many = (estimate(["a lost card"], extractor(k=k)).input_tokens for k in (1, 4))
    assert many - few >= 3 * 5


def test_classify_and_lazy_run_take_them_too() -> None:
    gold = Nearest(GOLD, 1, answer="label")
    assert classify(["zz cheque"], LABELS, examples=gold, offline=True).frame["label"].to_list() == ["top_up"]
    rows = lazy_run(pl.LazyFrame({"text": ["zz cheque"]}), extractor(k=1), offline=True).collect()
    assert rows["value"].to_list() == ["top_up"]


def test_windows_of_a_long_text_have_examples_of_their_own() -> None:
    windows = Windows(characters=60, overlap=0, column="text")
    text = "The top up by cheque is late and slow.\n\n" + "Somebody has stolen my card in the street.\n\n"
    asked = Extractor(LABELS, "Message: {text}", windows=windows, examples=Nearest(GOLD, 1, answer="label"))
    examples = {turns[0] for turns in asked_with([{"text": text}], asked)}
    assert len(examples) == 2


def test_an_extractor_with_gold_travels_to_another_process_with_its_rows(tmp_path: Path) -> None:
    pl.DataFrame(GOLD).write_csv(path := tmp_path / "gold.csv")
    packed = pickle.dumps(extractor(path, k=1))
    path.unlink()
    assert shown({"text": "stolen card"}, pickle.loads(packed)) == [GOLD[1]["text"]]


def test_equally_similar_texts_come_in_their_order() -> None:
    assert TextIndex(["a card", "b", "a card", "a card"]).nearest("a card", 2) == [0, 2]
    assert TextIndex([]).nearest("a", 2) == []
    assert TextIndex(["", "  "]).nearest("", 2) == []


def test_a_look_up_adds_up_no_more_than_its_bound_whatever_the_number_of_texts() -> None:
    index = TextIndex(["the same words"] * 20_000)
    assert index.nearest("the same words", 3) == [0, 1, 2]
    assert len(index._scores("the same words")) <= 4_096


def test_scripts_without_blanks_and_long_texts_are_compared() -> None:
    index = TextIndex(["カードを紛失しました", "入金が届きません"])
    assert index.nearest("入金がまだ届きません", 1) == [1]
    assert TextIndex(["x " * 100_000, "top up"]).nearest("top up " + "y" * 100_000, 1) == [1]

"""Several samples per record: each asked, kept and paid like any request; a vote per field, and its agreement."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import httpx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, model_validator
from typer.testing import CliRunner

import extract
from extract import (
    AsyncClient,
    Budget,
    Client,
    ConfigError,
    Denied,
    Emulator,
    Extractor,
    Generation,
    Limits,
    Retry,
    Windows,
    compile_schema,
    run,
)
from extract.cli.app import app
from extract.runner.voting import vote
from extract.testing import running_server


class Ticket(BaseModel):
    topic: Literal["a", "b", "c"]
    urgent: bool


TICKET = Extractor(Ticket, "{text}", repairs=0)


def ticket(topic: str, *, urgent: bool = False) -> str:
    return json.dumps({"topic": topic, "urgent": urgent})


def text_of(body: dict[str, Any]) -> str:
    return str(body["input"][0]["content"][-1]["text"])


def in_turn(answers: Sequence[str]) -> Callable[[dict[str, Any]], str]:
    """Give each record these answers one after the other, whichever others are asked meanwhile."""
    requests: Counter[str] = Counter()
    lock = threading.Lock()

    def answer(body: dict[str, Any]) -> str:
        with lock:
            requests[text_of(body)] += 1
            return answers[(requests[text_of(body)] - 1) % len(answers)]

    return answer


def client_of(emulator: Emulator) -> Client:
    return Client("key", transport=emulator.transport, retry=Retry(failures=1))


def voted(answers: Sequence[str], rows: int = 1, **options: Any) -> tuple[extract.Run, Emulator]:
    emulator = Emulator(answers=in_turn(answers))
    frame = pl.DataFrame({"text": [f"row {number}" for number in range(rows)]})
    samples = options.pop("samples", len(answers))
    return run(
        frame, options.pop("extractor", TICKET), client=client_of(emulator), samples=samples, **options
    ), emulator


def test_the_value_of_a_field_is_what_most_samples_say() -> None:
    result, emulator = voted([ticket("a", urgent=True), ticket("b"), ticket("b")], rows=5)
    assert emulator.stats()["requests"] == 15
    assert result.frame["topic"].to_list() == ["b"] * 5
    assert result.frame["urgent"].to_list() == [False] * 5
    assert result.frame.columns == ["text", "topic", "urgent", "_agreement"]
    assert result.frame["_agreement"].dtype == pl.Struct({"topic": pl.Float64, "urgent": pl.Float64})
    assert result.frame["_agreement"].to_list() == [{"topic": 2 / 3, "urgent": 2 / 3}] * 5


def test_a_run_without_samples_has_no_agreement() -> None:
    result, emulator = voted([ticket("a")], rows=2, samples=1)
    assert (emulator.stats()["requests"], result.frame.columns) == (2, ["text", "topic", "urgent"])


def test_of_equally_many_the_first_sample_wins_and_its_key_is_that_of_a_plain_run(tmp_path: Path) -> None:
    first, _ = voted([ticket("c")], cache=tmp_path / "c")
    assert first.frame["topic"].to_list() == ["c"]
    result, emulator = voted([ticket("a"), ticket("b")], samples=3, cache=tmp_path / "c")
    assert emulator.stats()["requests"] == 2  # the answer of the plain run is the first sample
    assert result.frame["topic"].to_list() == ["c"]
    assert result.frame["_agreement"].to_list() == [{"topic": 1 / 3, "urgent": 1.0}]


def test_samples_are_kept_and_a_rerun_pays_for_the_missing_ones_only(tmp_path: Path) -> None:
    voted([ticket("a"), ticket("b")], rows=3, cache=tmp_path / "c")
    more, emulator = voted([ticket("b")], rows=3, samples=3, cache=tmp_path / "c")
    assert emulator.stats()["requests"] == 3
    assert more.frame["topic"].to_list() == ["b"] * 3
    again, emulator = voted([ticket("c")], rows=3, samples=3, cache=tmp_path / "c")
    assert (emulator.stats()["requests"], again.totals.cached) == (0, 3)
    assert again.frame.equals(more.frame)


def test_equal_rows_share_their_samples(tmp_path: Path) -> None:
    emulator = Emulator(answers=in_turn([ticket("a"), ticket("b"), ticket("b")]))
    frame = pl.DataFrame({"text": ["same"] * 4})
    result = run(frame, TICKET, client=client_of(emulator), samples=3, cache=tmp_path / "c")
    assert emulator.stats()["requests"] == 3
    assert result.frame["topic"].to_list() == ["b"] * 4


def test_a_sample_that_fails_leaves_the_vote_to_the_others() -> None:
    result, _ = voted(["{}", ticket("b"), ticket("b")], rows=2)
    assert result.totals.valid == 2
    assert result.frame["topic"].to_list() == ["b", "b"]
    assert result.frame["_agreement"].to_list() == [{"topic": 2 / 3, "urgent": 2 / 3}] * 2


def test_a_record_is_rejected_where_all_its_samples_fail() -> None:
    result, emulator = voted(["{}", "[]", "no"], rows=2, limits=Limits(stop_after_failures=0))
    assert (result.totals.rejected, emulator.stats()["requests"]) == (2, 6)
    assert result.errors["code"].to_list() == ["invalid_answer"] * 2
    assert result.frame["_agreement"].to_list() == [None, None]


class LateThird(httpx.AsyncBaseTransport):
    """Hands requests on, the third after half a minute."""

    def __init__(self, emulator: Emulator) -> None:
        self.inner, self.seen = emulator.transport, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen += 1
        if self.seen == 3:
            await asyncio.sleep(30)
        return await self.inner.handle_async_request(request)


def test_a_late_sample_leaves_the_vote_to_the_others() -> None:
    client = AsyncClient("key", transport=LateThird(Emulator(answers=in_turn([ticket("b")]))))
    frame = pl.DataFrame({"text": ["row"]})
    result = run(frame, TICKET, client=client, samples=3, limits=Limits(deadline=0.3))
    assert result.frame["_agreement"].to_list() == [{"topic": 2 / 3, "urgent": 2 / 3}]


def test_all_samples_are_paid_for_and_told() -> None:
    one, _ = voted([ticket("a")], provenance=True)
    three, _ = voted([ticket("a")], samples=3, provenance=True)
    assert one.cost is not None
    assert three.cost == 3 * one.cost > Decimal(0)
    assert (three.totals.requests, three.totals.rows) == (3, 1)
    took = three.frame["_extract"].to_list()[0]
    assert (took["attempts"], len(took["ledger"])) == (3, 3)


def test_a_budget_holds_for_samples_too() -> None:
    emulator = Emulator(answers=in_turn([ticket("a")]))
    frame = pl.DataFrame({"text": [f"row {number}" for number in range(20)]})
    budget, limits = Budget(requests=7), Limits(concurrency=1)
    result = run(frame, TICKET, client=client_of(emulator), samples=3, budget=budget, limits=limits)
    assert emulator.stats()["requests"] <= 7
    assert result.totals.valid == 2
    assert result.totals.not_run == 18


class DeniedThird(httpx.AsyncBaseTransport):
    """Hands requests on, and refuses the key at the third."""

    def __init__(self, emulator: Emulator) -> None:
        self.inner, self.seen = emulator.transport, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen += 1
        if self.seen == 3:
            return httpx.Response(403, json={"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}})
        return await self.inner.handle_async_request(request)


def test_a_record_whose_samples_were_not_all_asked_before_the_run_ended_is_not_run(tmp_path: Path) -> None:
    # Of three samples of two rows, two at a time, the third request is refused: the second row has one answer at most.
    client = AsyncClient("key", transport=DeniedThird(Emulator(answers=in_turn([ticket("a")]))))
    frame = pl.DataFrame({"text": ["one", "two"]})
    with pytest.raises(Denied):
        run(frame, TICKET, client=client, samples=3, limits=Limits(concurrency=2), cache=tmp_path / "c")
    emulator = Emulator(answers=in_turn([ticket("a")]))
    again = run(frame, TICKET, client=client_of(emulator), samples=3, cache=tmp_path / "c")
    assert again.totals.valid == 2
    assert emulator.stats()["requests"] < 5  # what was answered before the end is in the cache


class Sum(BaseModel):
    first: int
    second: int
    total: int
    note: str = ""

    @model_validator(mode="after")
    def adds_up(self) -> Sum:
        if self.first + self.second != self.total:
            raise ValueError("the total is wrong")
        return self


def adds(first: int, second: int, note: str = "") -> str:
    return json.dumps({"first": first, "second": second, "total": first + second, "note": note})


def test_fields_of_several_samples_that_fit_together_are_put_together() -> None:
    answers = [ticket("a"), ticket("b", urgent=True), ticket("a", urgent=True)]
    result, _ = voted([answers[0], answers[1], answers[2]], extractor=TICKET)
    assert result.frame.select("topic", "urgent").row(0) == ("a", True)
    mixed, _ = voted([adds(1, 2, "x"), adds(1, 2, "y"), adds(2, 1, "y")], extractor=Extractor(Sum, "{text}"))
    assert mixed.frame.select("first", "second", "total", "note").row(0) == (1, 2, 3, "y")


def test_fields_that_do_not_fit_together_give_way_to_the_sample_that_agrees_most() -> None:
    # The winners would be 1 + 1 = 4, which is wrong.
    answers = [adds(1, 3, "x"), adds(3, 1, "y"), adds(1, 1, "y")]
    schema = compile_schema(Sum)
    read = [schema.validate(text) for text in answers]
    result = vote([(value, schema.row(value)) for value in read], 3, schema)
    assert result.sample is not None
    assert result.answer[0] == read[result.sample]
    assert result.agreement == tuple(
        sum(cell == other for other in column) / 3
        for cell, column in zip(result.answer[1], zip(*map(schema.row, read), strict=True), strict=True)
    )


VALUES = st.lists(
    st.builds(
        Sum.model_construct, first=st.integers(0, 2), second=st.integers(0, 2), note=st.sampled_from(["x", "X "])
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_any_vote_fits_the_schema_and_its_agreement_is_counted_over_all_samples(values: list[Sum]) -> None:
    schema = compile_schema(Sum)
    read = [schema.validate(adds(one.first, one.second, one.note)) for one in values]
    rows = [schema.row(value) for value in read]
    result = vote(list(zip(read, rows, strict=True)), len(rows) + 1, schema)
    assert schema.validate(schema.to_json(result.answer[0])) == result.answer[0]
    folded = [[str(cell).casefold().strip() for cell in row] for row in (*rows, result.answer[1])]
    for at, share in enumerate(result.agreement):
        assert share == sum(row[at] == folded[-1][at] for row in folded[:-1]) / (len(rows) + 1)


def test_texts_that_differ_in_case_and_blanks_only_are_one_vote() -> None:
    result, _ = voted(
        ['{"value": "Acme  Ltd"}', '{"value": "other"}', '{"value": "ACME ltd"}'], extractor=Extractor(str, "{text}")
    )
    assert result.frame["_agreement"].to_list() == [{"value": 2 / 3}]


def test_long_texts_are_sampled_window_by_window() -> None:
    pytest.importorskip("semantic_text_splitter", reason="the extra `documents` is not installed")
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 60 for number in range(12))
    extractor = Extractor(list[str], "{text}", windows=Windows(characters=1_500, overlap=100))
    emulator = Emulator(answers=lambda body: json.dumps({"value": [text_of(body)[:12]]}))
    once = run(pl.DataFrame({"text": [text]}), extractor, client=client_of(emulator))
    before = emulator.stats()["requests"]
    twice = run(pl.DataFrame({"text": [text]}), extractor, client=client_of(emulator), samples=2)
    assert before > 1
    assert emulator.stats()["requests"] == 3 * before
    assert twice.frame["value"].to_list() == once.frame["value"].to_list()
    assert twice.frame["_agreement"].to_list() == [{"value": 1.0}]


def test_values_of_several_samples_are_found_in_the_record_again() -> None:
    pytest.importorskip("rapidfuzz", reason="the extra `documents` is not installed")

    class Bill(BaseModel):
        seller: str
        total: str

    pairs = [("Acme", "9.50"), ("Acme", "7.00"), ("Bolt", "7.00")]
    answers = [json.dumps({"seller": seller, "total": total}) for seller, total in pairs]
    extractor = Extractor(Bill, "{text}", grounding=("text",))
    frame = pl.DataFrame({"text": ["Bolt invoices Acme: net 7.00, gross 9.50"]})
    result = run(
        frame, extractor, client=client_of(Emulator(answers=in_turn([answers[0], answers[2], answers[1]]))), samples=3
    )
    assert result.frame.select("seller", "total").row(0) == ("Acme", "7.00")
    spans = {span["path"]: span["text"] for span in result.frame["_spans"].to_list()[0]}
    assert spans == {"$.seller": "Acme", "$.total": "7.00"}
    mixed = run(frame, extractor, client=client_of(Emulator(answers=in_turn([*answers[:1], *answers[2:]]))), samples=2)
    assert mixed.frame.select("seller", "total").row(0) == ("Acme", "9.50")


@pytest.mark.parametrize("samples", [0, -1, 101, 2.5, True])
def test_a_number_of_samples_that_cannot_be_is_refused(samples: Any) -> None:
    with pytest.raises(ConfigError, match="samples is a whole number from 1 to 100"):
        voted([ticket("a")], samples=samples)


@pytest.mark.parametrize("generation", [Generation(seed=1), Generation(temperature=0)])
def test_settings_that_make_all_samples_alike_are_refused_before_anything_is_paid(generation: Generation) -> None:
    with pytest.raises(ConfigError, match="would be the same answer"):
        voted([ticket("a")], samples=3, extractor=Extractor(Ticket, "{text}", generation=generation))


def test_a_lazy_run_knows_the_column_before_it_asks() -> None:
    emulator = Emulator(answers=in_turn([ticket("a"), ticket("b")]))
    frame = pl.LazyFrame({"text": ["one", "two"]})
    lazy: Any = frame.extract.run(TICKET, client=client_of(emulator), samples=2)  # type: ignore[attr-defined] # Polars has no types for namespaces
    assert lazy.collect_schema()["_agreement"] == pl.Struct({"topic": pl.Float64, "urgent": pl.Float64})
    assert emulator.stats()["requests"] == 0
    assert lazy.collect()["_agreement"].to_list() == [{"topic": 0.5, "urgent": 1.0}] * 2


def test_the_command_takes_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEMINI_API_KEY", "key")
    Path("p.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n')
    pl.DataFrame({"text": ["one", "two"]}).write_csv("in.csv")
    emulator = Emulator(answers=in_turn(['{"value": "a"}', '{"value": "b"}', '{"value": "b"}']))
    with running_server(emulator) as url:
        words = ["run", "p.py", "in.csv", "-o", "out.parquet", "--samples", "3", "--base-url", url, "--provenance"]
        done = CliRunner().invoke(app, words)
    assert (done.exit_code, emulator.stats()["requests"]) == (0, 6)
    frame = pl.read_parquet("out.parquet")
    assert frame.columns == ["text", "value", "_agreement", "_extract"]
    assert frame["_agreement"].to_list() == [{"value": 2 / 3}] * 2


class Measured(BaseModel):
    unit: Literal["m", "M"]
    units: list[Literal["m", "M"]] = []
    counts: dict[str, int] = {}


def measured(unit: str, units: Sequence[str] = (), **counts: int) -> str:
    return json.dumps({"unit": unit, "units": units, "counts": counts})


def votes(*answers: str) -> tuple[dict[str, Any], dict[str, Any]]:
    client = client_of(Emulator(answers=in_turn(answers)))
    row = extract.run(
        pl.DataFrame({"text": ["x"]}), Extractor(Measured, "{text}"), client=client, samples=len(answers)
    ).frame.to_dicts()[0]
    return row, row["_agreement"]


def test_labels_that_differ_in_case_only_are_votes_of_their_own() -> None:
    row, agreement = votes(measured("m", ["m"]), measured("M", ["M"]), measured("M", ["M"]))
    assert (row["unit"], row["units"]) == ("M", ["M"])
    assert agreement["unit"] == agreement["units"] == pytest.approx(2 / 3)


def test_the_order_of_keys_splits_no_vote() -> None:
    row, agreement = votes(measured("m", a=3), measured("m", a=1, b=2), measured("m", b=2, a=1))
    assert {pair["key"]: pair["value"] for pair in row["counts"]} == {"a": 1, "b": 2}
    assert agreement["counts"] == pytest.approx(2 / 3)

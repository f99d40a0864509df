"""Whole runs by the front door: data in, frame out, the emulator as the service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import httpx
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, computed_field

from extract import (
    AsyncClient,
    Client,
    ConfigError,
    Denied,
    Emulator,
    Example,
    Extractor,
    Limits,
    OutputError,
    Progress,
    QuotaExhausted,
    ResponseCache,
    Retry,
    Run,
    SchemaTooComplex,
    TooManyFailures,
    compile_schema,
    extract_one,
    run,
    run_async,
)
from extract.emulator.schema_gate import survey
from extract.io.cache.database import CacheFile
from extract.io.sources import Source, open_source
from extract.testing import running_server


class Label(BaseModel):
    """Spam or not."""

    label: Literal["spam", "ham"]
    score: int = Field(ge=0, le=10)


SPAM = Extractor(Label, "{body}")
QUICK = Limits(concurrency=8, retry=Retry(first_wait=0.001, longest_wait=0.01))
GOOD = '{"label": "ham", "score": 3}'


def record_of(body: dict[str, Any]) -> str:
    """Return the text of a request's first user input."""
    return str(body["input"][0]["content"][-1]["text"])


def score_by_length(body: dict[str, Any]) -> str:
    return json.dumps({"label": "ham", "score": len(record_of(body)) % 11})


def client_of(emulator: Emulator, **options: Any) -> Client:
    return Client("key", transport=emulator.transport, **options)


def ask(data: Any, emulator: Emulator, extractor: Extractor = SPAM, **options: Any) -> Run:
    return run(data, extractor, client=client_of(emulator), **({"limits": QUICK} | options))


def texts(count: int) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"r{n}" for n in range(count)], "body": ["x" * (n + 1) for n in range(count)]})


def test_all_input_columns_come_back_with_typed_columns_beside_them() -> None:
    result = ask(texts(3), Emulator(answers=score_by_length))
    assert dict(result.frame.schema) == {
        "id": pl.String,
        "body": pl.String,
        "label": pl.Enum(["spam", "ham"]),
        "score": pl.Int64,
    }
    assert result.frame["score"].to_list() == [1, 2, 3]
    assert result.errors.is_empty()
    assert result.complete


def test_every_request_is_stateless() -> None:
    emulator = Emulator(answers=score_by_length)
    ask(texts(20), emulator)
    assert emulator.stats()["store_true"] == 0
    assert all(request.body["store"] is False for request in emulator.requests)


@pytest.mark.parametrize("count", [1, 127, 128, 129, 1000])
def test_order_is_that_of_the_input_however_late_answers_come(count: int) -> None:
    result = ask(texts(count), Emulator(answers=score_by_length, faults="mixed=0.05", seed=count))
    assert result.frame["id"].to_list() == texts(count)["id"].to_list()
    assert result.frame["score"].to_list() == [(n + 1) % 11 for n in range(count)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bodies=st.lists(st.text(max_size=5) | st.none(), min_size=1, max_size=300),
    seed=st.integers(0, 1000),
    concurrency=st.integers(1, 40),
)
def test_one_row_out_for_every_row_in(bodies: list[str | None], seed: int, concurrency: int) -> None:
    emulator = Emulator(answers=score_by_length, faults="mixed=0.2,blocked=0.1,incomplete=0.1", seed=seed)
    data = pl.DataFrame({"body": bodies}, schema={"body": pl.String})
    limits = Limits(concurrency=concurrency, retry=Retry(first_wait=0.0001, longest_wait=0.001))
    result = ask(data, emulator, limits=limits)
    assert result.frame["body"].to_list() == bodies
    rejected = set(result.errors["row_id"].to_list())
    for row, body in enumerate(bodies):
        expected = None if row in rejected else len(body or "") % 11
        assert result.frame["score"][row] == expected
        assert row in rejected or (body or "").strip()


def test_a_broken_answer_is_asked_again_once_with_its_errors() -> None:
    emulator = Emulator(answers=["{oops", GOOD])
    result = ask(texts(1), emulator)
    assert result.frame["score"].to_list() == [3]
    assert [request.kind for request in emulator.requests] == ["ask", "repair"]
    question, answered, corrected = emulator.requests[1].body["input"]
    assert question == emulator.requests[0].body["input"][0]
    assert answered["content"][0]["text"] == "{oops"
    assert corrected["type"] == "user_input"
    assert (result.totals.requests, result.totals.repairs) == (2, 1)


def test_a_repair_names_the_path_and_keeps_the_context_constant() -> None:
    emulator = Emulator(answers=['{"label": "ham", "score": 99}'] * 3)
    result = ask(texts(1), emulator, Extractor(Label, "{body}", repairs=2))
    assert "$.score" in emulator.requests[1].body["input"][-1]["content"][0]["text"]
    assert [len(request.body["input"]) for request in emulator.requests] == [1, 3, 3]
    assert result.errors.select("code", "path", "answer").row(0) == (
        "invalid_answer",
        "$.score",
        '{"label": "ham", "score": 99}',
    )


def test_a_model_that_errs_the_same_way_twice_is_asked_a_third_time(tmp_path: Path) -> None:
    emulator = Emulator(answers=["{oops", "{oops", GOOD])
    result = ask(texts(1), emulator, cache=tmp_path / "c")
    assert (result.frame["score"].to_list(), len(emulator.requests)) == ([3], 3)


def test_without_repairs_a_wrong_answer_is_an_error_row_at_once() -> None:
    emulator = Emulator(answers=["{}"])
    result = ask(texts(1), emulator, Extractor(Label, "{body}", repairs=0))
    assert result.errors["code"].to_list() == ["invalid_answer"]
    assert len(emulator.requests) == 1


def test_rejected_rows_stay_as_nulls_or_leave() -> None:
    def answer(body: dict[str, Any]) -> str:
        return "{}" if record_of(body) == "xxx" else GOOD

    stored = ask(texts(4), Emulator(answers=answer))
    assert stored.frame["score"].to_list() == [3, 3, None, 3]
    split = ask(texts(4), Emulator(answers=answer), errors="split", row_id="id")
    assert split.frame["id"].to_list() == ["r0", "r1", "r3"]
    assert split.errors.select("row_id", "attempts").rows() == [("r2", 3)]


@pytest.mark.parametrize(
    ("fault", "code", "requests"),
    [
        ("blocked", "blocked", 1),
        ("blocked_failed", "blocked", 1),
        ("incomplete", "incomplete", 1),
        ("unknown_status", "invalid_answer", 3),
        ("empty_steps", "invalid_answer", 3),
        ("failed", "invalid_answer", 3),
        ("malformed", "invalid_answer", 3),
        ("mismatch", "invalid_answer", 3),
        ("500", "overloaded", 6),
        ("504", "overloaded", 6),
        ("html", "overloaded", 6),
        ("reset", "unreachable", 6),
        ("cut", "unreachable", 6),
    ],
)
def test_every_lasting_fault_has_its_code(fault: str, code: str, requests: int) -> None:
    emulator = Emulator(answers=lambda _: GOOD, faults=f"{fault}=1")
    result = ask(texts(2), emulator)
    assert result.errors["code"].to_list() == [code, code]
    assert result.frame["score"].to_list() == [None, None]
    assert len(emulator.requests) == 2 * requests == result.totals.requests
    assert result.errors["message"].str.len_chars().min() > 10


@pytest.mark.parametrize("fault", ["no_usage", "split", "unknown_extra", "continuation"])
def test_an_odd_but_whole_answer_is_taken(fault: str) -> None:
    result = ask(texts(30), Emulator(answers=score_by_length, faults=f"{fault}=1"))
    assert result.frame["score"].to_list() == [(n + 1) % 11 for n in range(30)]


def test_the_ledger_is_the_services_bill() -> None:
    emulator = Emulator(answers=score_by_length, faults="500=0.1,malformed=0.1,failed=0.1,continuation=0.1", seed=5)
    result = ask(texts(300), emulator)
    bill = emulator.stats()
    assert result.usage.input_tokens == bill["input_tokens"]
    assert result.usage.output_tokens == bill["output_tokens"]
    assert result.totals.requests == bill["requests"]
    assert result.cost is not None
    assert result.cost > 0


def test_an_unknown_price_is_none_and_an_answer_without_usage_is_counted() -> None:
    unpriced = ask(texts(3), Emulator(answers=score_by_length), Extractor(Label, "{body}", model="gemini-unpriced-1"))
    assert unpriced.cost is None
    silent = ask(texts(3), Emulator(answers=score_by_length, faults="no_usage=1"))
    assert silent.totals.unknown_attempts == 3


def test_offline_costs_nothing_and_needs_no_key() -> None:
    result = run(texts(2), SPAM, offline=True)
    assert result.cost == 0
    assert result.totals.valid == 2


@pytest.mark.parametrize("fault", ["401", "402", "quota_exceeded"])
def test_what_no_request_can_pass_stops_the_run_at_once(fault: str) -> None:
    emulator = Emulator(answers=lambda _: GOOD, faults=f"{fault}=1")
    with pytest.raises(Denied if fault == "401" else QuotaExhausted):
        ask(texts(1000), emulator)
    assert len(emulator.requests) == 1


def test_an_unknown_model_stops_the_run_at_once() -> None:
    emulator = Emulator(answers=lambda _: GOOD)
    with pytest.raises(Denied, match="--model"):
        ask(texts(100), emulator, Extractor(Label, "{body}", model="no-such-model"))
    assert len(emulator.requests) == 1


def test_a_stop_half_way_returns_what_there_is_and_marks_the_rest() -> None:
    seen = Counter[str]()

    def answer(body: dict[str, Any]) -> Any:
        seen["asked"] += 1
        if seen["asked"] == 40:
            emulator.set_faults("quota_exceeded=1")
        return score_by_length(body)

    emulator = Emulator(answers=answer)
    result = ask(texts(500), emulator)
    assert isinstance(result.stopped, QuotaExhausted)
    assert result.totals.valid + result.totals.not_run == 500
    assert 40 <= result.totals.valid < 100
    assert set(result.errors["code"]) == {"not_run"}
    assert result.frame.height == 500


def test_a_set_up_that_never_works_is_given_up_after_twenty_rows() -> None:
    emulator = Emulator(answers=lambda _: "{}")
    result = ask(texts(1000), emulator)
    assert isinstance(result.stopped, TooManyFailures)
    assert result.totals.rejected < 60
    assert result.totals.not_run == 1000 - result.totals.rejected


def test_blocked_rows_never_stop_a_run() -> None:
    def answer(body: dict[str, Any]) -> Any:
        return score_by_length(body)

    emulator = Emulator(answers=answer, faults="blocked=0.9", seed=1)
    result = ask(texts(400), emulator)
    assert result.complete
    assert result.totals.rejected > 300


def test_a_success_ends_the_watch_for_a_wrong_set_up() -> None:
    def answer(body: dict[str, Any]) -> str:
        return GOOD if len(record_of(body)) <= 3 else "{}"

    result = ask(texts(200), Emulator(answers=answer))
    assert result.complete
    assert (result.totals.valid, result.totals.rejected) == (3, 197)


def test_a_deadline_makes_an_error_row_not_a_wait() -> None:
    result = ask(texts(3), Emulator(answers=lambda _: GOOD, latency=5.0), limits=Limits(deadline=0.05))
    assert result.errors["code"].to_list() == ["timeout"] * 3
    assert result.totals.unknown_attempts == 3


def test_a_second_run_with_the_same_cache_asks_nothing(tmp_path: Path) -> None:
    emulator = Emulator(answers=score_by_length, faults="malformed=0.2", seed=2)
    first = ask(texts(50), emulator, cache=tmp_path / "c")
    requests = len(emulator.requests)
    second = ask(texts(50), emulator, cache=tmp_path / "c")
    assert len(emulator.requests) == requests
    assert second.totals.cached == 50
    assert second.cost == 0
    assert second.frame.equals(first.frame)


def test_only_new_rows_are_asked(tmp_path: Path) -> None:
    emulator = Emulator(answers=score_by_length)
    ask(texts(50), emulator, cache=tmp_path / "c")
    ask(texts(60), emulator, cache=tmp_path / "c")
    assert len(emulator.requests) == 60


@pytest.mark.parametrize(
    "other",
    [
        Extractor(Label, "{body}!"),
        Extractor(Label, "{body}", model="gemini-3.8-flash"),
        Extractor(Label, "{body}", system="Be strict."),
        Extractor(Label, "{body}", examples=(Example({"body": "a"}, Label(label="ham", score=1)),)),
    ],
)
def test_another_question_is_another_key(tmp_path: Path, other: Extractor) -> None:
    emulator = Emulator(answers=lambda _: GOOD)
    ask(texts(5), emulator, cache=tmp_path / "c")
    ask(texts(5), emulator, other, cache=tmp_path / "c")
    assert len(emulator.requests) == 10


def test_the_wire_form_is_not_part_of_the_key(tmp_path: Path) -> None:
    steps = Emulator(answers=lambda _: GOOD)
    outputs = Emulator(dialect="outputs", answers=lambda _: GOOD)
    ask(texts(5), steps, cache=tmp_path / "c")
    result = run(
        texts(5), SPAM, client=Client("key", dialect="outputs", transport=outputs.transport), cache=tmp_path / "c"
    )
    assert (result.totals.cached, outputs.requests) == (5, [])


def test_an_offline_answer_never_passes_for_a_paid_one(tmp_path: Path) -> None:
    run(texts(5), SPAM, offline=True, cache=tmp_path / "c")
    emulator = Emulator(answers=lambda _: GOOD)
    ask(texts(5), emulator, cache=tmp_path / "c")
    assert len(emulator.requests) == 5


def test_equal_rows_in_flight_are_asked_once() -> None:
    emulator = Emulator(answers=lambda _: GOOD, latency=0.02)
    result = ask(pl.DataFrame({"body": ["same"] * 8}), emulator, limits=Limits(concurrency=8))
    assert len(emulator.requests) == 1
    assert result.totals.valid == 8


def test_a_rejected_row_is_asked_anew_only_on_request(tmp_path: Path) -> None:
    emulator = Emulator(answers=["{}", "{}", GOOD])
    once = Extractor(Label, "{body}", repairs=1)
    for _ in range(2):
        rejected = ask(texts(1), emulator, once, cache=tmp_path / "c")
        assert rejected.errors["code"].to_list() == ["invalid_answer"]
        assert len(emulator.requests) == 2
    mended = ask(texts(1), emulator, once, cache=tmp_path / "c", retry_rejected=True)
    assert mended.frame["score"].to_list() == [3]
    assert (mended.totals.requests, mended.totals.repairs) == (1, 0)
    again = ask(texts(1), emulator, once, cache=tmp_path / "c")
    assert (again.frame["score"].to_list(), len(emulator.requests)) == ([3], 3)


async def test_a_run_inside_a_running_loop_leaves_it_in_peace() -> None:
    emulator = Emulator(answers=score_by_length)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    blocking = ask(texts(20), emulator)  # as in a notebook's cell: the loop is there, and is not touched
    awaited = await run_async(texts(20), SPAM, client=client_of(emulator), limits=QUICK)
    ticking.cancel()
    assert blocking.frame.equals(awaited.frame)
    assert ticks > 0


def test_a_run_works_in_a_thread() -> None:
    results: list[Run] = []
    thread = threading.Thread(target=lambda: results.append(ask(texts(5), Emulator(answers=score_by_length))))
    thread.start()
    thread.join()
    assert results[0].totals.valid == 5


def test_progress_is_told_and_ends_with_all_rows() -> None:
    events: list[tuple[int, int | None]] = []

    def listen(progress: Progress) -> None:
        events.append((progress.totals.rows, progress.total))

    ask(texts(300), Emulator(answers=score_by_length, latency=0.01), on_event=listen)
    assert events[-1] == (300, 300)
    assert len(events) > 1
    assert events == sorted(events)


def test_a_clash_of_names_is_refused_before_anything_is_sent() -> None:
    emulator = Emulator(answers=lambda _: GOOD)
    data = texts(2).with_columns(label=pl.lit("old"))
    with pytest.raises(ConfigError, match="prefix="):
        ask(data, emulator)
    assert emulator.requests == []
    assert ask(data, emulator, prefix="new_").frame.columns == ["id", "body", "label", "new_label", "new_score"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row_id": "nope"}, "nope"),
        ({"extractor": Extractor(Label, "{nope}")}, "nope"),
        ({"offline": True}, "client="),
        ({"output": "out.txt"}, "parquet"),
        ({"output": "missing/out.parquet"}, "no folder"),
    ],
)
def test_a_call_that_cannot_work_is_refused_before_anything_is_sent(options: dict[str, Any], message: str) -> None:
    emulator = Emulator(answers=lambda _: GOOD)
    with pytest.raises(ConfigError, match=message):
        ask(texts(2), emulator, **options)
    assert emulator.requests == []


def test_provenance_is_one_struct_column() -> None:
    result = ask(texts(2), Emulator(answers=score_by_length), provenance=True)
    origin = result.frame["_extract"].struct.unnest()
    assert origin["model"].to_list() == ["gemini-3.5-flash-lite"] * 2
    assert origin["attempts"].to_list() == [1, 1]
    assert origin["input_tokens"].sum() == result.usage.input_tokens


def test_media_go_before_the_prompt_and_a_missing_file_is_one_bad_row(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "b.txt").write_text("words")
    data = pl.DataFrame({"path": [str(tmp_path / name) for name in ("a.png", "b.txt", "missing.pdf")]})
    emulator = Emulator(answers=lambda _: GOOD)
    result = ask(data, emulator, Extractor(Label, "Sort it.", media=("path",)), limits=Limits(concurrency=1))
    sent = [request.body["input"][0]["content"] for request in emulator.requests]
    image, words = sorted(sent, key=lambda parts: str(parts[0]["type"]))  # files are read at once, in any order
    assert [part["type"] for part in image] == ["image", "text"]
    assert [part["text"] for part in words] == ["words", "Sort it."]
    assert result.errors.select("row_id", "code", "attempts").rows() == [(2, "bad_record", 0)]


def test_examples_are_turns_before_the_record() -> None:
    emulator = Emulator(answers=lambda _: GOOD)
    examples = (
        Example({"body": "win!!"}, Label(label="spam", score=9)),
        Example({"body": "hi"}, {"label": "ham", "score": 0}),
    )
    ask(texts(1), emulator, Extractor(Label, "<{body}>", examples=examples))
    turns = [(turn["type"], turn["content"][0]["text"]) for turn in emulator.requests[0].body["input"]]
    assert turns[0] == ("user_input", "<win!!>")
    assert json.loads(turns[1][1]) == {"label": "spam", "score": 9}
    assert turns[-1] == ("user_input", "<x>")


def test_an_example_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="example 1"):
        run(texts(1), Extractor(Label, "{body}", examples=(Example({"body": "a"}, {"label": "eggs"}),)), offline=True)


def test_one_record_can_be_asked_alone() -> None:
    emulator = Emulator(answers=["{oops", GOOD])
    outcome = extract_one({"body": "win!!"}, SPAM, client=client_of(emulator))
    assert outcome.value == Label(label="ham", score=3)
    assert (outcome.attempts, outcome.repairs, outcome.ok) == (2, 1, True)


def test_labels_alone_make_a_schema() -> None:
    result = ask(texts(2), Emulator(answers=lambda _: '{"value": "b"}'), Extractor(["a", "b"], "{body}"))
    assert result.frame["value"].to_list() == ["b", "b"]
    assert result.frame["value"].dtype == pl.Enum(["a", "b"])


def test_concurrency_is_a_ceiling_on_a_real_socket() -> None:
    emulator = Emulator(answers=score_by_length, latency=0.01, keep_requests=False)
    with running_server(emulator) as url:
        result = run(texts(400), SPAM, client=Client("key", base_url=url), limits=Limits(concurrency=24))
    assert result.totals.valid == 400
    assert 12 <= emulator.stats()["peak_in_flight"] <= 24


def test_a_cache_object_may_be_shared_between_runs(tmp_path: Path) -> None:
    emulator = Emulator(answers=score_by_length)
    with ResponseCache(tmp_path / "c") as cache:
        ask(texts(5), emulator, cache=cache)
        assert ask(texts(5), emulator, cache=cache).totals.cached == 5


def test_an_interrupt_before_the_first_request_sends_none(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = Emulator(answers=lambda _: GOOD)
    opened = threading.Event()

    def interrupted(data: Any, **_: Any) -> Source:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        opened.set()
        return open_source(data)

    monkeypatch.setattr("extract.runner.run.open_source", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(texts(5), emulator)
    assert opened.wait(5)
    time.sleep(0.2)
    assert emulator.requests == []


def test_equal_rows_share_a_deadline_and_are_not_answered_after_it() -> None:
    emulator = Emulator(answers=lambda _: GOOD, latency=1.0)
    result = ask(pl.DataFrame({"body": ["same"] * 3}), emulator, limits=Limits(concurrency=8, deadline=0.2))
    assert result.errors["code"].to_list() == ["timeout"] * 3
    assert result.seconds < 1


def test_rows_rejected_by_an_earlier_run_do_not_stop_a_later_one(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> str:
        return "{}" if len(record_of(body)) <= 25 else GOOD

    emulator = Emulator(answers=answer)
    options: dict[str, Any] = {"cache": tmp_path / "c", "limits": Limits(stop_after_failures=0)}
    first = ask(texts(60), emulator, **options)
    again = ask(texts(60), emulator, cache=tmp_path / "c")
    assert first.totals.rejected == again.totals.rejected == 25
    assert again.complete


def test_equal_rejected_rows_are_asked_anew_once(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: "{}", latency=0.01)
    data = pl.DataFrame({"body": ["same"] * 10})
    once = Extractor(Label, "{body}", repairs=0)
    result = ask(data, emulator, once, cache=tmp_path / "c", retry_rejected=True)
    assert (len(emulator.requests), result.totals.rejected) == (1, 10)
    ask(data, emulator, once, cache=tmp_path / "c", retry_rejected=True)
    assert len(emulator.requests) == 2


def test_an_equal_row_that_comes_while_an_answer_is_being_kept_does_not_ask_anew(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: "{}", latency=0.001)
    data = pl.DataFrame({"body": ["same"] * 400})
    once = Extractor(Label, "{body}", repairs=0)
    for _ in range(2):
        ask(data, emulator, once, cache=tmp_path / "c", retry_rejected=True, limits=Limits(concurrency=16))
    assert len(emulator.requests) == 2


def test_what_a_stop_cost_is_in_the_ledger() -> None:
    def answer(body: dict[str, Any]) -> Any:
        if len(emulator.requests) == 20:
            emulator.set_faults("quota_exceeded=1")
        return "{}"

    emulator = Emulator(answers=answer)
    result = ask(texts(100), emulator, limits=Limits(concurrency=4, stop_after_failures=0))
    bill = emulator.stats()
    assert isinstance(result.stopped, QuotaExhausted)
    assert result.totals.requests == bill["requests"]
    assert result.usage.input_tokens == bill["input_tokens"]


def test_a_body_that_is_no_json_is_retried_and_counted() -> None:
    step = {"type": "model_output", "content": [{"type": "text", "text": GOOD}]}
    whole = httpx.Response(200, json={"status": "completed", "steps": [step]})
    replies = [httpx.Response(200, content=b'{"status":"comp'), whole]
    client = AsyncClient("key", transport=httpx.MockTransport(lambda _: replies.pop(0)))
    result = run(texts(1), SPAM, client=client, limits=QUICK)
    assert (result.totals.valid, result.totals.requests) == (1, 2)
    assert result.totals.unknown_attempts == 2  # one garbled, one without usage


def test_a_hiccup_in_a_continuation_does_not_pay_for_the_first_part_again() -> None:
    emulator = Emulator(answers=score_by_length, faults="continuation=0.6,503=0.3", seed=2)
    result = ask(texts(40), emulator)
    firsts = [request for request in emulator.requests if request.kind == "ask" and request.status == 200]
    assert result.totals.valid == len(firsts) == 40


def test_a_wait_longer_than_the_patience_stops_the_run() -> None:
    def slow_down(_: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": "3600"}, json={"error": {"code": "rate_limit_exceeded"}})

    client = AsyncClient("key", transport=httpx.MockTransport(slow_down))
    with pytest.raises(QuotaExhausted, match="3,600 s"):
        run(texts(50), SPAM, client=client)


def test_the_clients_retries_hold_for_its_runs() -> None:
    emulator = Emulator(answers=lambda _: GOOD, faults="500=1")
    run(texts(1), SPAM, client=client_of(emulator, retry=Retry(failures=1)))
    assert len(emulator.requests) == 1


def test_a_transport_of_the_users_own_serves_many_runs() -> None:
    with running_server(Emulator(answers=score_by_length)) as url:
        client = AsyncClient("key", base_url=url, transport=httpx.AsyncHTTPTransport())
        for _ in range(2):
            assert run(texts(5), SPAM, client=client, limits=Limits(concurrency=4)).totals.valid == 5


def test_whatever_a_users_transport_raises_is_no_crash() -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise LookupError("mine")

    client = AsyncClient("key", transport=httpx.MockTransport(broken))
    with pytest.raises(TooManyFailures, match="LookupError mine"):
        run(texts(2), SPAM, client=client, limits=QUICK)


def test_a_listener_that_raises_stops_the_run_and_keeps_its_rows() -> None:
    def listen(progress: Progress) -> None:
        raise ValueError("mine")

    result = ask(texts(600), Emulator(answers=score_by_length, latency=0.01), on_event=listen)
    assert "on_event raised ValueError" in str(result.stopped)
    assert result.totals.valid > 0
    assert result.totals.rows == 600


@pytest.mark.parametrize("names", [["*"], ["^b$", "b"], ["len", "literal"], ["a b", "ä"]])
def test_a_column_may_have_any_name(names: list[str], tmp_path: Path) -> None:
    data = pl.DataFrame({name: ["x", "yy"] for name in names})
    data.write_csv(tmp_path / "in.csv")
    extractor = Extractor(Label, "".join(f"{{{name}}}" for name in names))
    for output in ("o.parquet", "o.csv", "o.jsonl"):
        result = ask(tmp_path / "in.csv", Emulator(answers=score_by_length), extractor, output=tmp_path / output)
        assert result.frame.columns == [*names, "label", "score"]
        assert result.frame["score"].to_list() == [len(names), 2 * len(names)]


@pytest.mark.parametrize("provenance", [True, False])
def test_a_clash_with_provenance_is_refused(provenance: bool) -> None:
    class Odd(BaseModel):
        extract_: str = Field(alias="_extract")

    schema = {"type": "object", "properties": {"_extract": {"type": "string"}}, "required": ["_extract"]}
    emulator = Emulator(answers=lambda _: '{"_extract": "x"}')
    if provenance:
        with pytest.raises(ConfigError, match="_extract"):
            ask(texts(1), emulator, Extractor(schema, "{body}"), provenance=True)
        assert emulator.requests == []
    else:
        assert ask(texts(1), emulator, Extractor(schema, "{body}")).frame["_extract"].to_list() == ["x"]


def test_what_a_format_cannot_hold_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: GOOD)
    data = texts(2).with_columns(blob=pl.Series([[b"a"], [b"b"]]))
    for ending in ("csv", "jsonl"):
        with pytest.raises(ConfigError, match="blob"):
            ask(data, emulator, output=tmp_path / f"o.{ending}")
    assert emulator.requests == []
    assert list(tmp_path.iterdir()) == []
    assert ask(data, emulator, output=tmp_path / "o.parquet").frame["blob"].to_list() == [[b"a"], [b"b"]]


def test_an_output_never_lands_in_its_input_or_its_cache(tmp_path: Path) -> None:
    texts(2).write_csv(tmp_path / "in.csv")
    emulator = Emulator(answers=lambda _: GOOD)
    for output, cache in ((tmp_path / "in.csv", None), (tmp_path / "o.csv", tmp_path / "o.csv")):
        with pytest.raises(ConfigError):
            ask(tmp_path / "in.csv", emulator, output=output, cache=cache, overwrite=True)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("x")
    with pytest.raises(ConfigError, match="part of the input"):
        documents = Extractor(Label, "", media=("path",))
        ask(tmp_path / "docs", emulator, documents, output=tmp_path / "docs" / "o.csv")
    assert emulator.requests == []


def test_a_damaged_answer_in_the_cache_is_asked_again(tmp_path: Path) -> None:
    emulator = Emulator(answers=score_by_length)
    ask(texts(3), emulator, cache=tmp_path / "c")
    with ResponseCache(tmp_path / "c") as cache:
        cache._file.connection.execute("UPDATE answers SET interaction = x'7b'")
        cache._file.connection.commit()
    for expected in (6, 6):
        assert ask(texts(3), emulator, cache=tmp_path / "c").totals.valid == 3
        assert len(emulator.requests) == expected


def test_text_that_is_no_unicode_is_a_bad_record() -> None:
    outcome = extract_one({"body": "\ud800"}, SPAM, client=client_of(Emulator(answers=[GOOD])))
    assert outcome.error is not None
    assert outcome.error.code == "bad_record"


@pytest.mark.parametrize("option", [{"errors": "Split"}, {"limit": 0}, {"limit": -1}])
def test_an_option_that_means_nothing_is_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ask(texts(2), Emulator(answers=[GOOD]), **option)


@pytest.mark.parametrize("limit", [{"concurrency": 0}, {"rpm": -1}, {"deadline": 0}, {"tpm": float("nan")}])
def test_limits_that_cannot_be_are_refused(limit: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(limit))):
        Limits(**limit)


class Wide(BaseModel):
    """A schema with something to drop on every rung."""

    score: int = Field(ge=0, le=1000)
    tags: list[Literal["a", "b"]] = Field(max_length=50)
    label: Literal[tuple(f"label_{number:04}" for number in range(400))]


def wide(body: dict[str, Any]) -> str:
    return json.dumps({"score": len(record_of(body)) % 1001, "tags": ["a"], "label": "label_0007"})


def costs(source: Any) -> list[int]:
    """Return what the emulator's own gate makes of each rung of a schema."""
    schema = compile_schema(source)
    return [survey(schema.relaxed(rung), "schema")[0] for rung in range(schema.rungs)]


@pytest.mark.parametrize("rung", [1, 2, 3])
def test_a_schema_that_is_too_complex_is_relaxed_once_for_the_run(rung: int, tmp_path: Path) -> None:
    limit = costs(Wide)[rung]
    emulator = Emulator(answers=wide, max_schema_cost=limit)
    result = ask(texts(200), emulator, Extractor(Wide, "{body}"), cache=tmp_path / "c")
    assert (result.totals.valid, result.rung) == (200, rung)
    assert emulator.stats()["by_status"] == {"400": rung, "200": 200}
    assert result.frame["label"].dtype == pl.Enum([f"label_{number:04}" for number in range(400)])
    again = ask(texts(210), emulator, Extractor(Wide, "{body}"), cache=tmp_path / "c")
    assert (again.totals.cached, again.rung) == (200, rung)
    assert emulator.stats()["by_status"] == {"400": rung, "200": 210}


def test_what_a_rung_drops_is_still_checked_here() -> None:
    wrong = '{"score": 5000, "tags": [], "label": "label_0001"}'
    emulator = Emulator(answers=lambda _: wrong, max_schema_cost=costs(Wide)[2])
    result = ask(texts(1), emulator, Extractor(Wide, "{body}", repairs=0))
    assert result.errors["path"].to_list() == ["$.score"]


def test_a_schema_refused_on_every_rung_stops_the_run() -> None:
    emulator = Emulator(answers=wide, max_schema_cost=0)
    with pytest.raises(SchemaTooComplex):
        ask(texts(50), emulator, Extractor(Wide, "{body}"))
    assert len(emulator.requests) == len(costs(Wide))


def test_a_mended_answer_costs_no_request_and_is_told() -> None:
    emulator = Emulator(answers=lambda _: f"```json\n{GOOD}\n```")
    result = ask(texts(3), emulator, provenance=True)
    assert (result.totals.valid, result.totals.mended, len(emulator.requests)) == (3, 3, 3)
    assert result.frame["_extract"].struct.field("mended").to_list() == [["fence"]] * 3


def test_a_schema_may_be_compiled_beforehand() -> None:
    schema = compile_schema({"type": "object", "properties": {"at": {"format": "date"}}}, assert_formats=False)
    result = ask(texts(1), Emulator(answers=lambda _: '{"at": "soon"}'), Extractor(schema, "{body}"))
    assert result.totals.valid == 1


def test_a_computed_field_is_a_column_that_nobody_was_asked_for() -> None:
    class Line(BaseModel):
        price: float
        count: int

        @computed_field
        @property
        def total(self) -> float:
            return self.price * self.count

    emulator = Emulator(answers=lambda _: '{"price": 2.5, "count": 4}')
    result = ask(texts(1), emulator, Extractor(Line, "{body}"))
    assert result.frame["total"].to_list() == [10.0]
    assert "total" not in json.dumps(emulator.requests[0].body["response_format"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: run(texts(1), Label, offline=True), "Extractor"),
        (lambda: run(texts(1), SPAM, offline=True, limits={"concurrency": 4}), "Limits"),
        (lambda: Extractor(Label, "Classify the text."), "names no"),
        (lambda: run(texts(1), Extractor(Label, '{body} as {"a": 1}'), offline=True), "{{"),
    ],
)
def test_a_mistaken_argument_is_told_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()


def test_a_run_says_in_its_repr_why_it_stopped() -> None:
    result = ask(texts(60), Emulator(answers=lambda _: "{}"))
    assert "20 rows failed" in repr(result)


def test_long_texts_are_asked_once_each_as_short_ones_are(tmp_path: Path) -> None:
    emulator = Emulator(answers=lambda _: '{"value": "bug"}')
    texts = [f"{number % 5} " + "word " * 20_000 for number in range(15)]
    client = Client("key", transport=emulator.transport)
    for _ in range(2):
        result = run(texts, Extractor(["bug"], "{text}"), client=client, cache=tmp_path / "cache")
        assert result.totals.valid == 15
    assert emulator.stats()["requests"] == 5


def test_a_cache_that_cannot_be_looked_through_ahead_is_asked_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    select = CacheFile.select

    def broken(file: CacheFile, query: str, *values: object) -> list[tuple[Any, ...]]:
        if "IN (" in query:
            raise OutputError("the cache cannot be read just now")
        return select(file, query, *values)

    emulator = Emulator(answers=lambda _: '{"value": "bug"}')
    client = Client("key", transport=emulator.transport)
    monkeypatch.setattr(CacheFile, "select", broken)
    for _ in range(2):
        assert run(["a", "b", "a"], Extractor(["bug"], "{text}"), client=client, cache=tmp_path / "c").totals.valid == 3
    assert emulator.stats()["requests"] == 2


def test_a_run_that_has_stopped_looks_up_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    prefetch = ResponseCache.prefetch

    async def counted(cache: ResponseCache, keys: Any) -> None:
        looked.append(len(keys))
        await prefetch(cache, keys)

    monkeypatch.setattr(ResponseCache, "prefetch", counted)
    emulator = Emulator(faults="401=1")
    rows = [f"row {number}" for number in range(5_000)]
    with pytest.raises(Denied):
        run(rows, Extractor(["bug"], "{text}"), client=Client("k", transport=emulator.transport), cache=tmp_path / "c")
    assert sum(looked) <= 512


def test_an_input_needs_only_one_of_the_optional_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("win!!")
    extractor = Extractor(Label, "{text}", media=("path",), optional=("text", "path"))
    emulator = Emulator(answers=lambda _: GOOD)
    ask(pl.DataFrame({"text": ["win!!"]}), emulator, extractor)
    ask(tmp_path, emulator, extractor)
    first, second = (request.body["input"] for request in emulator.requests)
    assert first == second
    with pytest.raises(ConfigError, match="needs one of the columns"):
        ask(pl.DataFrame({"body": ["win!!"]}), emulator, extractor)


def test_equal_rows_are_asked_once_however_long_the_cache_takes(tmp_path: Path) -> None:
    class Remote(ResponseCache):
        async def prefetch(self, keys: Sequence[bytes]) -> None:
            await asyncio.sleep(0.001)

        async def fetch(self, key: bytes) -> bytes | None:
            await asyncio.sleep(0.001)
            return self.get(key)

    emulator = Emulator()
    with Remote(tmp_path / "c") as cache:
        client = Client("key", transport=emulator.transport)
        result = run(["the same"] * 40, Extractor(["a", "b"], "{text}"), client=client, cache=cache)
    assert result.complete
    assert emulator.stats()["requests"] == 1

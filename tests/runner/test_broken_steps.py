"""Each step beside the rows breaks, one at a time: the run ends in one line and keeps what was paid for."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from uploads import Service

from extract import (
    AsyncClient,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Function,
    Limits,
    MediaPart,
    OutputError,
    ResponseCache,
    Retry,
    Run,
    Sink,
    Windows,
    function_tool,
    run,
)
from extract.documents.parts import Turn
from extract.errors import ExtractError
from extract.interactions.usage import Attempt
from extract.io.cache.uploaded_files import FileTable
from extract.io.cache.write_queue import WriteQueue
from extract.limits.billing import Billing
from extract.limits.limiter import Limiter
from extract.runner import scheduler
from extract.runner.event_loop import in_thread
from extract.runner.options import UploadPolicy
from extract.runner.pool import WorkerPool
from extract.runner.progress import ProgressReporter
from extract.runner.record import RecordExtractor
from extract.runner.repair import Repairs
from extract.runner.spill import SpillBuffer
from extract.runner.uploads import Uploads

ROWS = 300
ECHO = Extractor({"type": "object", "properties": {"copy": {"type": "string"}}, "required": ["copy"]}, "{text}")
LIMITS = Limits(concurrency=8, retry=Retry(first_wait=0.001, longest_wait=0.01))


class Panic(BaseException):
    """As Polars raises its own bugs: no Exception, and its message has several lines."""


FAILURES: dict[str, Callable[[], BaseException]] = {
    "exception": lambda: LookupError("two\nlines"),
    "panic": lambda: Panic("index out of bounds\nnote: run with RUST_BACKTRACE=1"),
    "exit": lambda: SystemExit(3),
    "memory": MemoryError,
    "next": StopIteration,
}
NAMES = ("LookupError", "Panic", "SystemExit", "MemoryError", "StopIteration", "cannot be read: two")


def echo(body: dict[str, Any]) -> str:
    return json.dumps({"copy": body["input"][0]["content"][0]["text"]})


def rows(number: int = ROWS) -> pl.DataFrame:
    return pl.DataFrame({"text": [f"row {n}" for n in range(number)]})


def within_a_minute(work: Callable[[], Run]) -> Run:
    """Return what `work` returns; fail where it hangs, and not the whole session with it."""
    results: list[Run] = []
    failures: list[BaseException] = []

    def target() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "the run hangs"
    if failures:
        raise failures[0]
    return results[0]


def nth(original: Callable[..., Any], at: int, failure: Callable[[], BaseException]) -> Callable[..., Any]:
    """Return a function that raises at its call number `at`, from 1, and else does what `original` does."""
    calls = count(1)

    def broken(*arguments: Any, **keywords: Any) -> Any:
        if next(calls) == at:
            raise failure()
        return original(*arguments, **keywords)

    return broken


class Rows(Sink):
    """The rows of a run in memory."""

    rows_at_once = 1

    def write(self, frame: pl.DataFrame) -> None:
        pass


def sink_of(**methods: Callable[..., Any]) -> dict[str, Any]:
    return {"sink": type("Broken", (Rows,), {name: staticmethod(method) for name, method in methods.items()})()}


# What breaks, by name: where it is, and at which call. Each of them is in the way of rows that have been paid for.
INSIDE: dict[str, tuple[Any, str, int]] = {
    "commit": (WriteQueue, "_write", 20),
    "look-up of a block": (ResponseCache, "find", 2),
    "look-up of a row": (ResponseCache, "fetch", 50),
    "keeping an answer": (ResponseCache, "keep", 50),
    "entry in the ledger": (ResponseCache, "note", 50),
    "questions": (RecordExtractor, "prepare", 2),
    "one row": (Repairs, "answer", 50),
    "columns": (scheduler, "block_columns", 2),
    "block that waits": (SpillBuffer, "put", 2),
    "block that comes back": (SpillBuffer, "pop", 2),
    "end of uploads": (Uploads, "close", 1),
    "bill": (Billing, "whole", 50),
}


def check(broken: Callable[[ResponseCache], Run], emulator: Emulator, path: Path, *, lost: int = 0) -> Run:
    """Check that a run ends for a reason in one line, and that the next one pays for what is missing and no more."""
    with ResponseCache(path) as cache:
        result = within_a_minute(lambda: broken(cache))
    assert result.stopped is not None
    assert "\n" not in str(result.stopped)
    assert any(name in str(result.stopped) for name in NAMES), result.stopped
    paid = emulator.stats()["requests"]
    assert paid > 0
    again = run(rows(), ECHO, client=Client("key", transport=emulator.transport), cache=path)
    assert (again.totals.valid, again.stopped) == (ROWS, None)
    assert again.frame["copy"].to_list() == rows()["text"].to_list()
    assert emulator.stats()["requests"] <= ROWS + lost
    return result


@pytest.mark.parametrize("failure", ["exception", "panic", "exit", "memory"])
@pytest.mark.parametrize("step", INSIDE)
def test_a_step_that_breaks_ends_the_run_in_one_line_and_keeps_what_was_paid_for(
    step: str, failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, name, at = INSIDE[step]
    emulator = Emulator(answers=echo, latency=0.001, keep_requests=False)

    def broken(cache: ResponseCache) -> Run:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, nth(getattr(place, name), at, FAILURES[failure]))
            client = Client("key", transport=emulator.transport)
            return run(rows(), ECHO, client=client, cache=cache, limits=LIMITS)

    # One answer is lost where the very step between its arrival and the cache breaks, and no other.
    lost = 1 if step in ("keeping an answer", "entry in the ledger", "bill") else 0
    check(broken, emulator, tmp_path / "c", lost=lost)


@pytest.mark.parametrize("watch", [(WorkerPool, "lend_slots"), (ProgressReporter, "keep_reporting")])
@pytest.mark.parametrize("failure", ["exception", "panic"])
def test_a_watch_that_breaks_ends_the_run_in_one_line_and_keeps_what_was_paid_for(
    failure: str, watch: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = Emulator(answers=echo, latency=0.001, keep_requests=False)

    async def breaks(_: Any) -> None:
        while emulator.stats()["requests"] < 50:  # noqa: ASYNC110 - the emulator has no event to wait for
            await asyncio.sleep(0.001)
        raise FAILURES[failure]()

    def broken(cache: ResponseCache) -> Run:
        with monkeypatch.context() as patch:
            patch.setattr(*watch, breaks)
            client = Client("key", transport=emulator.transport)
            return run(rows(), ECHO, client=client, cache=cache, limits=LIMITS)

    check(broken, emulator, tmp_path / "c")


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("step", ["write", "close", "on_event", "iterator"])
def test_a_users_code_that_breaks_ends_the_run_in_one_line_and_keeps_what_was_paid_for(
    step: str, failure: str, tmp_path: Path
) -> None:
    emulator = Emulator(answers=echo, latency=0.001, keep_requests=False)

    def fail(*_: Any, **__: Any) -> None:
        raise FAILURES[failure]()

    def items() -> Iterator[dict[str, str]]:
        for _ in range(6):  # more than are read to know the columns
            yield from rows().to_dicts()
        fail()

    def broken(cache: ResponseCache) -> Run:
        client = Client("key", transport=emulator.transport)
        options: dict[str, Any] = {"client": client, "cache": cache, "limits": LIMITS}
        if step == "iterator":
            return run(items(), ECHO, **options)
        if step == "on_event":
            return run(rows(), ECHO, on_event=fail, **options)
        return run(rows(), ECHO, **sink_of(**{step: fail}), **options)

    check(broken, emulator, tmp_path / "c")


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("windows", [None, Windows(characters=200, overlap=20)])
@pytest.mark.parametrize("failure", ["exit", "panic"])
def test_samples_and_windows_break_like_rows(
    failure: str, windows: Windows | None, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator = Emulator(answers=lambda _: {"copy": "x"}, keep_requests=False)
    extractor = Extractor(ECHO.schema, "{text}", windows=windows)
    monkeypatch.setattr(Repairs, "answer", nth(Repairs.answer, 20, FAILURES[failure]))
    long = pl.DataFrame({"text": [f"{n} words. " * 100 for n in range(40)]})
    client = Client("key", transport=emulator.transport)
    result = within_a_minute(lambda: run(long, extractor, client=client, samples=samples, limits=LIMITS))
    assert any(name in str(result.stopped) for name in NAMES)
    assert "\n" not in str(result.stopped)
    assert result.totals.rows == 40


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_function_that_exits_ends_the_run_and_names_itself(kind: str) -> None:
    def look_up() -> str:
        """Look something up."""
        raise SystemExit(3)

    async def look_up_later() -> str:
        """Look something up."""
        raise SystemExit(3)

    function: Function = function_tool(look_up if kind == "plain" else look_up_later, name="look_up")
    call = {"type": "function_call", "id": "c1", "name": "look_up", "arguments": {}}

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"status": "requires_action", "steps": [call]})

    client = AsyncClient("key", transport=httpx.MockTransport(answer))
    extractor = Extractor(ECHO.schema, "{text}", tools=(function,))
    with pytest.raises(ConfigError, match="'look_up' raised SystemExit: 3"):
        within_a_minute(lambda: run(rows(5), extractor, client=client, limits=LIMITS))


def test_a_price_that_cannot_be_told_reaches_the_row_that_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = Emulator(answers=echo, latency=0.001, keep_requests=False)
    monkeypatch.setattr(Billing, "worst", nth(Billing.worst, 60, FAILURES["exception"]))
    client = Client("key", transport=emulator.transport)
    extractor = Extractor(ECHO.schema, "{text}", model="gemini-3.5-flash-lite")
    result = within_a_minute(lambda: run(rows(), extractor, client=client, budget=5.0, limits=LIMITS))
    assert "LookupError" in str(result.stopped)
    assert result.totals.rows == ROWS


async def test_the_limiter_tells_its_waiters_what_went_wrong() -> None:
    limiter = Limiter(Limits(concurrency=1), asyncio.get_running_loop().time)
    permit = await limiter.acquire(1)

    def worst() -> Any:
        raise LookupError("no price")

    waiting = asyncio.ensure_future(limiter.acquire(1, worst))
    behind = asyncio.ensure_future(limiter.acquire(1))
    await asyncio.sleep(0)
    limiter.release(permit, None)
    with pytest.raises(LookupError):
        await waiting
    assert (await behind).tokens == 1


@pytest.mark.parametrize("failure", [StopIteration(), GeneratorExit(), asyncio.CancelledError()])
async def test_what_no_future_can_hold_comes_back_from_a_thread_as_a_failure(failure: BaseException) -> None:
    def work() -> None:
        raise failure

    with pytest.raises(RuntimeError, match=type(failure).__name__):
        await asyncio.wait_for(in_thread(work), 10)


def full(cache: ResponseCache) -> None:
    cache._file.connection.execute("PRAGMA max_page_count = 12")


def read_only(cache: ResponseCache) -> None:
    cache._file.connection.execute("PRAGMA query_only = ON")


@pytest.mark.parametrize(("state", "words"), [(full, "full"), (read_only, "readonly.*may only be read")])
def test_a_cache_that_takes_no_more_ends_the_run_and_the_next_one_pays_for_the_rest_only(
    state: Callable[[ResponseCache], None], words: str, tmp_path: Path
) -> None:
    emulator = Emulator(answers=echo, latency=0.001, keep_requests=False)
    client = Client("key", transport=emulator.transport)
    with ResponseCache(tmp_path / "c") as cache:
        run(rows(20), ECHO, client=client, cache=cache)
        state(cache)
        result = within_a_minute(lambda: run(rows(), ECHO, client=client, cache=cache, limits=LIMITS))
        assert isinstance(result.stopped, OutputError)
        assert re.search(words, str(result.stopped))
        asked = emulator.stats()["requests"]
        assert asked < ROWS
        cache._file.connection.execute("PRAGMA query_only = OFF")  # there is room again before the end
        cache._file.connection.execute("PRAGMA max_page_count = 1000000")
    again = run(rows(), ECHO, client=client, cache=tmp_path / "c")
    assert (again.totals.valid, again.totals.cached, emulator.stats()["requests"]) == (ROWS, asked, ROWS)


def test_a_cache_that_another_program_holds_ends_the_run_and_takes_the_answers_once_it_is_free(tmp_path: Path) -> None:
    emulator = Emulator(answers=echo, latency=0.001, keep_requests=False)
    client = Client("key", transport=emulator.transport)
    with ResponseCache(tmp_path / "c") as cache:
        cache._file.wait_for_others(0.05)
        other = sqlite3.connect(tmp_path / "c")
        other.execute("BEGIN IMMEDIATE")
        result = within_a_minute(lambda: run(rows(), ECHO, client=client, cache=cache, limits=LIMITS))
        assert "another program holds it" in str(result.stopped)
        other.rollback()
        other.close()
    asked = emulator.stats()["requests"]
    again = run(rows(), ECHO, client=client, cache=tmp_path / "c")
    assert (again.totals.cached, emulator.stats()["requests"]) == (asked, ROWS)


async def test_one_value_that_the_cache_cannot_hold_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c") as cache:
        cache.note(Attempt(kind="ask", model="\ud800"))  # no Unicode: SQLite takes no such text
        kept = await asyncio.gather(cache.keep(b"a", b"{}"), cache.keep(b"b", b"{}"), return_exceptions=True)
        assert [type(error) for error in kept] == [OutputError, OutputError]
        assert (cache.get(b"a"), cache.get(b"b")) == (b"{}", b"{}")
        await cache.keep(b"c", b"{}")


@pytest.mark.parametrize("number", [2**63, 2**64, 2**40, -1, True, 1.5, 1e30, "7", None])
@pytest.mark.parametrize("name", ["total_input_tokens", "total_output_tokens", "total_thought_tokens", "total_tokens"])
def test_a_count_that_cannot_be_is_an_unknown_one_and_no_run_hangs_on_it(
    name: str, number: Any, tmp_path: Path
) -> None:
    text = {"type": "text", "text": '{"copy": "x"}'}
    known = {"total_input_tokens": 5, "total_output_tokens": 5, "total_tokens": 10}

    def answer(_: httpx.Request) -> httpx.Response:
        steps = [{"type": "model_output", "content": [text]}]
        return httpx.Response(200, json={"status": "completed", "steps": steps, "usage": known | {name: number}})

    client = AsyncClient("key", transport=httpx.MockTransport(answer))
    options: dict[str, Any] = {"client": client, "cache": tmp_path / "c", "provenance": True}
    result = within_a_minute(lambda: run(rows(30), ECHO, **options))
    assert (result.totals.valid, result.stopped) == (30, None)
    again = run(rows(30), ECHO, **options)
    assert (again.totals.valid, again.totals.cached) == (30, 30)


def test_a_sink_that_is_a_closed_generator_ends_the_run_in_one_line() -> None:
    def fail(*_: Any) -> None:
        raise GeneratorExit

    client = Client("key", transport=Emulator(answers=echo).transport)
    result = within_a_minute(lambda: run(rows(), ECHO, client=client, limits=LIMITS, **sink_of(write=fail)))
    assert isinstance(result.stopped, OutputError)
    assert "GeneratorExit" in str(result.stopped)


class BrokenTable(FileTable):
    """A table of files that fails at the second entry."""

    entries = 0

    def add(self, row: Any) -> None:
        self.entries += 1
        if self.entries == 2:
            raise sqlite3.InterfaceError("no")
        super().add(row)


def picture(number: int) -> MediaPart:
    return MediaPart(kind="image", mime_type="image/png", data=b"\x89PNG\r\n\x1a\n" + bytes([number]) * 1_000)


def test_nobody_waits_for_the_room_of_a_file_that_could_not_be_entered() -> None:
    service = Service()

    async def use(uploads: Uploads, *numbers: int) -> str:
        try:
            async with uploads.placed([Turn.user(*map(picture, numbers))]):
                await asyncio.sleep(0.01)
        except (ExtractError, sqlite3.Error) as error:
            return type(error).__name__
        return "used"

    async def work() -> list[str]:
        async with AsyncClient("key", transport=service.transport) as client:
            table = BrokenTable()
            uploads = Uploads(client.files, "test", table, UploadPolicy(inline_limit=0), max_bytes=2_500)
            ended = await asyncio.gather(*(use(uploads, number, number + 1) for number in (1, 3, 5)))
            await uploads.close()
            return ended

    assert asyncio.run(asyncio.wait_for(work(), 30)) == ["InterfaceError", "used", "used"]
    assert service.left == 0

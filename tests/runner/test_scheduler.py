"""Scheduling: slots are used while records sleep, and one stuck record holds nothing back."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from extract import Client, Emulator, Extractor, Limits, OutputError, Retry, Sink, run
from extract.runner.spill import SpillBuffer

ECHO = Extractor({"type": "object", "properties": {"copy": {"type": "string"}}, "required": ["copy"]}, "{text}")


def echo(body: dict[str, Any]) -> str:
    return json.dumps({"copy": body["input"][0]["content"][0]["text"]})


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame({"text": [f"row {number}" for number in range(count)]})


class Failing(httpx.AsyncBaseTransport):
    """Fails every third of the first requests, and remembers which rows were asked about, in order."""

    def __init__(self, emulator: Emulator, failures: int) -> None:
        self.emulator, self.failures, self.rows = emulator, failures, list[str]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.rows.append(json.loads(request.content)["input"][0]["content"][0]["text"])
        if len(self.rows) <= 3 * self.failures and len(self.rows) % 3 == 0:  # more in a row would be an outage
            await asyncio.sleep(0.002)  # as the others, lest failures overtake answers
            return httpx.Response(500, json={"error": {"message": "just now"}})
        return await self.emulator.transport.handle_async_request(request)


def test_slots_are_used_while_records_wait_for_their_next_try() -> None:
    transport = Failing(Emulator(answers=echo, latency=0.002), failures=40)
    limits = Limits(concurrency=16, retry=Retry(first_wait=2.0, longest_wait=2.0))
    result = run(rows(400), ECHO, client=Client("key", transport=transport), limits=limits)
    assert result.frame["copy"].to_list() == rows(400)["text"].to_list()
    assert transport.emulator.stats()["peak_in_flight"] == 16
    begun = next(place for place, row in enumerate(transport.rows) if row in transport.rows[:place])
    assert begun > 60  # workers that sleep on their slots would have begun no more than twenty before the first retry


class Stuck(httpx.AsyncBaseTransport):
    """Holds the very first record back until all the others are answered, or for as long as it has patience."""

    def __init__(self, emulator: Emulator, others: int, patience: float = 100.0) -> None:
        self.emulator, self.others, self.patience = emulator, others, patience
        self.answered = 0
        self.rest = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if b'"row 0"' in request.content:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.rest.wait(), self.patience)
        response = await self.emulator.transport.handle_async_request(request)
        self.answered += 1
        if self.answered == self.others:
            self.rest.set()
        return response


def test_a_stuck_record_holds_back_neither_the_others_nor_the_order(tmp_path: Path) -> None:
    count = 6_000
    transport = Stuck(Emulator(answers=echo, keep_requests=False), count - 1)
    output = tmp_path / "out.parquet"
    result = run(rows(count), ECHO, client=Client("key", transport=transport), output=output)
    assert result.totals.valid == count
    assert_frame_equal(pl.read_parquet(output), rows(count).with_columns(copy=pl.col("text")))


class SlowSink(Sink):
    """Takes one frame, and no more before it is let go."""

    rows_at_once = 1

    def __init__(self, emulator: Emulator) -> None:
        self.emulator, self.frames, self.asked_meanwhile = emulator, 0, 0
        self.rest = threading.Event()

    def write(self, frame: pl.DataFrame) -> None:
        if self.frames == 0:
            self.rest.wait(1.0)
            self.asked_meanwhile = self.emulator.stats()["requests"]
        self.frames += 1


def test_no_more_is_asked_than_a_slow_sink_can_take() -> None:
    emulator = Emulator(answers=echo, keep_requests=False)
    sink = SlowSink(emulator)
    run(rows(8_000), ECHO, client=Client("key", transport=emulator.transport), sink=sink)
    assert sink.asked_meanwhile < 3_000
    assert sink.frames >= 8_000 // 128


def test_what_has_no_room_in_memory_comes_back_from_disk_and_leaves_nothing(tmp_path: Path) -> None:
    buffer = SpillBuffer(max_bytes=20_000)
    frames = [rows(100).with_columns(number=pl.lit(number)) for number in range(60)]
    for number in reversed(range(60)):
        buffer.put(number, frames[number])
    assert 0 < len(list(Path(buffer._folder.name).iterdir()) if buffer._folder else []) < 60
    for number in range(50):
        assert_frame_equal(buffer.pop(number), frames[number])
    folder = Path(buffer._folder.name) if buffer._folder else tmp_path
    assert folder != tmp_path
    buffer.close()
    assert not folder.exists()
    assert len(buffer) == 0


def test_a_full_temporary_folder_stops_the_run_and_loses_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_ipc", full)
    monkeypatch.setattr("extract.runner.spill._MAX_BYTES", 0)
    monkeypatch.setattr(SpillBuffer.__init__, "__defaults__", (0,))
    transport = Stuck(Emulator(answers=echo, keep_requests=False), 2_999, patience=4.0)
    result = run(rows(3_000), ECHO, client=Client("key", transport=transport))
    assert isinstance(result.stopped, OutputError)
    assert "put aside" in str(result.stopped)
    assert result.totals.rows == 3_000

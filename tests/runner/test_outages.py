"""The service goes away in the middle of a run: rows wait, one at a time is tried, and none is rejected for it."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx
import polars as pl
import pytest
from clocks import virtual_time

from extract import (
    AsyncClient,
    ConfigError,
    Emulator,
    Extractor,
    Limits,
    NotRun,
    Progress,
    Retry,
    Run,
    TooManyFailures,
    Unavailable,
    run,
    run_async,
)
from extract.cli.summary import say_summary
from extract.cli.terminal import exit_status
from extract.results.eta import Eta
from extract.results.progress_bar import status

ECHO = Extractor({"type": "object", "properties": {"copy": {"type": "string"}}, "required": ["copy"]}, "{text}")


def echo(body: dict[str, Any]) -> str:
    return json.dumps({"copy": body["input"][0]["content"][0]["text"]})


def rows(count: int) -> pl.DataFrame:
    return pl.DataFrame({"text": [f"row {number}" for number in range(count)]})


def refused_with(code: int) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(code, json={"error": {"message": "down"}})


def raising(error: Exception) -> Callable[[], httpx.Response]:
    def fail() -> httpx.Response:
        raise error

    return fail


FAILURES = {
    "refused": raising(httpx.ConnectError("refused")),
    "reset": raising(httpx.ReadError("reset")),
    "dns": raising(socket.gaierror(-2, "Name or service not known")),
    "proxy": raising(httpx.ProxyError("502 from the proxy")),
    "no handles": raising(OSError(errno.EMFILE, "Too many open files")),
    "500": refused_with(500),
    "502": refused_with(502),
    "503": refused_with(503),
    "429": refused_with(429),
}


class Service(httpx.AsyncBaseTransport):
    """Answers, but not while it is down: from the `after`th answer on, for `seconds` of the loop's time.

    `bad` rows are never answered. `page` is what the model's page shows while the service is up.
    """

    def __init__(
        self,
        failure: str = "502",
        *,
        after: int = 100,
        seconds: float = 60.0,
        bad: frozenset[str] = frozenset(),
        latency: float = 0.01,
    ) -> None:
        self.emulator = Emulator(answers=echo)
        self.fail, self.after, self.seconds, self.bad, self.latency = FAILURES[failure], after, seconds, bad, latency
        self.down_since: float | None = 0.0 if after == 0 else None
        self.answered, self.pages = list[str](), 0
        self.flying, self.at_once = 0, list[int]()
        self.while_down = list[tuple[float, str]]()

    @property
    def is_down(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self.down_since is not None and self.down_since <= now < self.down_since + self.seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.flying += 1
        await asyncio.sleep(self.latency)
        self.flying -= 1
        if request.method != "POST" or "interactions" not in request.url.path:
            self.pages += 1
            return self.fail() if self.is_down else await self.emulator.transport.handle_async_request(request)
        row = json.loads(request.content)["input"][0]["content"][0]["text"]
        if self.is_down:
            self.while_down.append((asyncio.get_running_loop().time(), row))
            return self.fail()
        if row in self.bad:
            raise httpx.ReadError("reset")
        self.answered.append(row)
        self.at_once.append(self.flying + 1)
        if len(self.answered) == self.after:
            self.down_since = asyncio.get_running_loop().time()
        return await self.emulator.transport.handle_async_request(request)


async def ask(service: Service, count: int = 400, **options: Any) -> Run:
    client = AsyncClient("key", transport=service)
    limits = options.pop("limits", Limits(concurrency=16))
    return await run_async(rows(count), options.pop("extractor", ECHO), client=client, limits=limits, **options)


@pytest.mark.parametrize("failure", FAILURES)
@virtual_time
async def test_an_outage_of_a_minute_rejects_no_row_and_pays_for_none_twice(failure: str) -> None:
    service = Service(failure)
    result = await ask(service)
    assert result.frame["copy"].to_list() == rows(400)["text"].to_list()
    assert sorted(service.answered) == sorted(rows(400)["text"])
    assert len(service.while_down) <= 16 + 8  # in flight, and probes after 0.5, 1, 2, ... seconds
    assert exit_status(result) == 0
    (outage,) = result.outages
    assert 60 <= outage.seconds <= 125
    assert outage.probes >= 6


@virtual_time
async def test_each_probe_is_sent_with_another_row() -> None:
    service = Service(seconds=300)
    await ask(service, limits=Limits(concurrency=4))
    probes = service.while_down[4:]
    assert len(probes) >= 9
    assert len({row for _, row in service.while_down}) == len(service.while_down)
    pauses = [later - earlier for (earlier, _), (later, _) in pairwise(probes)]
    assert max(pauses) <= 61


@pytest.mark.parametrize("retry", [Retry(failures=1), Retry(failures=2, first_wait=20.0)])
@virtual_time
async def test_probes_count_against_no_rows_attempts(retry: Retry) -> None:
    service = Service("refused", seconds=200)
    result = await ask(service, limits=Limits(concurrency=16, retry=retry))
    assert result.totals.valid == 400


@pytest.mark.parametrize("left", [0, 1, 3, 4])
@virtual_time
async def test_the_last_rows_are_held_too(left: int) -> None:
    service = Service("refused", after=400 - left or 399)
    result = await ask(service)
    assert result.totals.valid == 400
    assert service.pages >= (1 if left else 0)


@virtual_time
async def test_a_run_of_one_row_waits_for_the_service() -> None:
    service = Service("502", after=0, seconds=30)
    result = await ask(service, 1)
    assert (result.totals.valid, len(result.outages)) == (1, 1)
    assert service.pages >= 1


@pytest.mark.parametrize("concurrency", [1, 64])
@pytest.mark.parametrize("place", [0, 500, 999])
@virtual_time
async def test_one_bad_record_among_a_thousand_rejects_itself_only(place: int, concurrency: int) -> None:
    service = Service(after=-1, bad=frozenset({f"row {place}"}), latency=0.001)
    result = await ask(service, 1_000, limits=Limits(concurrency=concurrency))
    assert result.errors.select("row_id", "code", "attempts").rows() == [(place, "unreachable", 6)]
    assert (result.totals.valid, exit_status(result), result.outages) == (999, 3, ())


@virtual_time
async def test_a_bad_record_is_rejected_as_the_only_row() -> None:
    service = Service(after=-1, bad=frozenset({"row 0"}))
    result = await ask(service, 1)
    assert result.errors["code"].to_list() == ["unreachable"]
    assert service.pages == 1


@virtual_time
async def test_bad_rows_in_a_row_do_not_end_a_run_of_good_ones() -> None:
    bad = frozenset(f"row {number}" for number in range(100, 120))
    result = await ask(Service(after=-1, bad=bad), limits=Limits(concurrency=1))
    assert result.totals.valid == 380
    assert result.errors["row_id"].to_list() == list(range(100, 120))


@pytest.mark.parametrize("patience", [Limits(concurrency=16, patience=120), None])
@virtual_time
async def test_after_patience_the_run_stops_and_its_rows_are_not_run(patience: Limits | None) -> None:
    service = Service(seconds=1e6)
    began = asyncio.get_running_loop().time()
    result = await ask(service, limits=patience or Limits(concurrency=16))
    waited = asyncio.get_running_loop().time() - began
    assert isinstance(result.stopped, Unavailable)
    assert result.stopped.status == 502
    assert (result.totals.rejected, result.totals.valid, exit_status(result)) == (0, 100, 1)
    assert set(result.errors["code"]) == {"not_run"}
    assert (120 if patience else 900) <= waited <= (125 if patience else 905)
    assert len(result.outages) == 1


@pytest.mark.parametrize("count", [1, 3, 400])
@pytest.mark.parametrize("failure", ["refused", "502", "dns"])
@virtual_time
async def test_a_service_that_never_answered_stops_the_run_within_a_minute(failure: str, count: int) -> None:
    with pytest.raises(TooManyFailures, match="not answered once") as raised:
        await ask(Service(failure, after=0, seconds=1e6), count)
    assert asyncio.get_running_loop().time() <= 60
    assert exit_status(raised.value) == 1


@virtual_time
async def test_connections_that_take_their_time_to_fail_count_in_that_minute() -> None:
    with pytest.raises(TooManyFailures):
        await ask(Service("refused", after=0, seconds=1e6, latency=14.0), limits=Limits(concurrency=64))
    assert asyncio.get_running_loop().time() <= 60


@virtual_time
async def test_the_room_for_requests_is_as_wide_after_an_outage_of_503_as_it_was() -> None:
    service = Service("503", seconds=600)
    result = await ask(service, limits=Limits(concurrency=16))
    assert result.totals.valid == 400
    assert max(service.at_once[100:125]) >= 8  # halved once, by those that were in flight as it began


@virtual_time
async def test_probes_count_for_the_failures_that_stop_a_run() -> None:
    service = Service("refused", after=0, seconds=1e6)
    with pytest.raises(TooManyFailures, match="3 rows failed"):
        await ask(service, limits=Limits(concurrency=1, stop_after_failures=3))
    assert asyncio.get_running_loop().time() <= 10
    assert len(service.while_down) == 5 + 3


@virtual_time
async def test_a_run_that_is_never_to_stop_for_failures_judges_each_row_until_the_first_answer() -> None:
    service = Service("refused", after=0, seconds=1e6)
    result = await ask(service, 40, limits=Limits(concurrency=4, stop_after_failures=0))
    assert result.errors["code"].to_list() == ["unreachable"] * 40
    assert service.pages == 0
    service = Service("refused", after=100, seconds=120)
    result = await ask(service, limits=Limits(concurrency=4, stop_after_failures=0))
    assert result.totals.valid == 400


@virtual_time
async def test_a_deadline_does_not_run_while_the_service_is_down() -> None:
    result = await ask(Service("reset", seconds=300), limits=Limits(concurrency=16, deadline=100))
    assert result.totals.valid == 400


@virtual_time
async def test_all_samples_and_repairs_of_a_row_wait() -> None:
    result = await ask(Service("refused"), 60, samples=3, limits=Limits(concurrency=16, deadline=100))
    assert (result.totals.valid, result.totals.rejected) == (60, 0)
    assert result.frame["_agreement"].struct.field("copy").to_list() == [1.0] * 60


@virtual_time
async def test_uploads_wait_too() -> None:
    pictures = [b"\x89PNG\r\n\x1a\n" + bytes([number]) * 3_000 for number in range(12)]

    class Uploading(Service):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if self.down_since is None and asyncio.get_running_loop().time() >= 0.05:
                self.down_since = asyncio.get_running_loop().time()
            if self.is_down:
                raise httpx.ConnectError("refused")
            await asyncio.sleep(0.01)
            return await self.emulator.transport.handle_async_request(request)

    service = Uploading()
    service.emulator = Emulator(answers=[json.dumps({"value": "spam"})] * 12)
    extractor = Extractor(["spam", "ham"], "Which?", media=("file",))
    client = AsyncClient("key", transport=service)
    limits = Limits(concurrency=2)
    frame = pl.DataFrame({"file": pictures})
    result = await run_async(frame, extractor, client=client, limits=limits, inline_limit=1_000)
    assert (result.totals.valid, result.totals.rejected) == (12, 0)
    assert asyncio.get_running_loop().time() >= 60


def test_a_run_can_be_stopped_while_it_waits() -> None:
    def listener(progress: Progress) -> None:
        if progress.outage:
            raise ValueError("enough")

    client = AsyncClient("key", transport=Service(seconds=1e6))
    result = run(rows(400), ECHO, client=client, limits=Limits(concurrency=16), on_event=listener)
    assert isinstance(result.stopped, ConfigError)
    assert (result.totals.valid, result.totals.rejected) == (100, 0)


def test_progress_and_summary_tell_of_the_outage(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Progress] = []
    limits = Limits(concurrency=16, retry=Retry(first_wait=0.05, longest_wait=0.1))
    client = AsyncClient("key", transport=Service("refused", seconds=1.2))
    result = run(rows(400), ECHO, client=client, limits=limits, on_event=seen.append)
    down = [progress for progress in seen if progress.outage]
    assert 0.4 <= max(progress.outage for progress in down) <= result.seconds
    assert all(progress.limit == "" for progress in down)
    assert "no answer for" in status(down[0], Eta.of(down[0], None))
    (told,) = result.summary()["outages"]
    assert told["seconds"] >= 1.2
    assert told["reason"] == "unreachable"
    assert result.details.manifest["run"]["outages"] == [told]
    say_summary(result)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "did not answer (unreachable)" in line]
    assert " to " in line


@virtual_time
async def test_two_outages_are_told_apart() -> None:
    class Twice(Service):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if len(self.answered) >= 200 and self.after == 100:
                self.after = 300
            return await super().handle_async_request(request)

    result = await ask(Twice("refused"))
    assert result.totals.valid == 400
    assert len(result.outages) == 2
    assert all(60 <= outage.seconds <= 125 for outage in result.outages)


@virtual_time
async def test_rows_that_were_held_begin_their_tries_anew() -> None:
    bad = frozenset({"row 105"})
    result = await ask(Service("refused", bad=bad))
    assert result.errors["row_id"].to_list() == [105]
    assert not isinstance(result.stopped, NotRun)

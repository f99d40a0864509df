"""A service that names a wait: up to the patience it is waited for, a longer one stops the run and rejects no row."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from commands import in_process
from uploads import Service

from extract import (
    AsyncClient,
    Client,
    Emulator,
    Extractor,
    Limits,
    QuotaExhausted,
    RateLimited,
    Request,
    Retry,
    Unavailable,
    run,
)
from extract.cli.terminal import exit_status
from extract.interactions.http.retrying import Backoff

ECHO = Extractor({"type": "object", "properties": {"copy": {"type": "string"}}, "required": ["copy"]}, "{text}")
STATUSES = [429, 500, 502, 503, 504, 408]
QUICK = Limits(concurrency=4, retry=Retry(first_wait=0.001, longest_wait=0.01))


def echo(body: dict[str, Any]) -> str:
    return json.dumps({"copy": body["input"][0]["content"][0]["text"]})


def rows(count: int = 100) -> pl.DataFrame:
    return pl.DataFrame({"text": [f"row {number}" for number in range(count)]})


class Refusing(httpx.AsyncBaseTransport):
    """Answers `good` requests, then refuses one, or all further ones, with this status and headers."""

    def __init__(self, emulator: Emulator, status: int, headers: dict[str, str], *, good: int = 40, once: bool) -> None:
        self.emulator, self.status, self.headers, self.good, self.once = emulator, status, headers, good, once
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.requests <= self.good or (self.once and self.requests > self.good + 1):
            return await self.emulator.transport.handle_async_request(request)
        return httpx.Response(self.status, headers=self.headers, json={"error": {"message": "later"}})


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_a_wait_longer_than_the_patience_stops_the_run_whatever_the_status(
    status: int, once: bool, tmp_path: Path
) -> None:
    emulator = Emulator(answers=echo, latency=0.001, keep_requests=False)
    refusing = Refusing(emulator, status, {"retry-after": "86400"}, once=once)
    client = AsyncClient("key", transport=refusing)
    result = run(rows(), ECHO, client=client, limits=QUICK, cache=tmp_path / "c")
    assert isinstance(result.stopped, QuotaExhausted if status == 429 else Unavailable)
    assert "86,400 s" in str(result.stopped)
    assert "\n" not in str(result.stopped)
    assert (result.totals.rejected, exit_status(result)) == (0, 1)
    assert set(result.errors["code"]) == {"not_run"}
    assert result.totals.valid >= 40
    assert refusing.requests <= 40 + QUICK.concurrency
    again = run(rows(), ECHO, client=Client("key", transport=emulator.transport), cache=tmp_path / "c")
    assert (again.totals.valid, emulator.stats()["requests"]) == (100, 100)


@pytest.mark.parametrize("status", STATUSES)
def test_a_run_that_was_never_answered_raises_why(status: int) -> None:
    refusing = Refusing(Emulator(), status, {"retry-after": "901"}, good=0, once=False)
    with pytest.raises(QuotaExhausted if status == 429 else Unavailable, match="901 s") as raised:
        run(rows(), ECHO, client=AsyncClient("key", transport=refusing), limits=QUICK)
    assert raised.value.code == ("quota" if status == 429 else "unavailable")
    assert raised.value.status == status


@pytest.mark.parametrize("status", STATUSES)
def test_a_wait_within_the_patience_is_waited_for(status: int) -> None:
    refusing = Refusing(Emulator(answers=echo), status, {"retry-after-ms": "30"}, once=True)
    limits = Limits(concurrency=4, retry=Retry(first_wait=0.001, patience=0.03))
    result = run(rows(), ECHO, client=AsyncClient("key", transport=refusing), limits=limits)
    assert (result.totals.valid, result.totals.retries) == (100, 1)


NO_WAITS = [
    *("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 99999999999 Jan 2026 00:00:00 GMT"),
    *("Mon, 01 Jan 2026 00:00:00 +99999999999999999999999", "-5", "nan", "soon", "1e309", "Jan 1"),
]


@pytest.mark.parametrize("named", NO_WAITS)
@pytest.mark.parametrize("status", [429, 503])
def test_what_names_no_wait_is_a_refusal_like_any_other(status: int, named: str) -> None:
    refusing = Refusing(Emulator(answers=echo), status, {"retry-after": named}, once=True)
    result = run(rows(), ECHO, client=AsyncClient("key", transport=refusing), limits=QUICK)
    assert (result.totals.valid, result.totals.retries, result.stopped) == (100, 1, None)


@pytest.mark.parametrize("status", STATUSES)
def test_the_same_rule_holds_on_the_flex_tier(status: int) -> None:
    emulator = Emulator(answers=echo, keep_requests=False)
    refusing = Refusing(emulator, status, {"retry-after": "86400"}, once=False)
    limits = Limits(concurrency=4, deadline=120)
    result = run(rows(), ECHO, client=AsyncClient("key", transport=refusing), limits=limits, service_tier="flex")
    assert (result.totals.rejected, exit_status(result)) == (0, 1)
    assert emulator.stats()["requests"] == 40


@pytest.mark.parametrize("status", STATUSES)
def test_an_upload_that_is_to_wait_too_long_stops_the_run(status: int) -> None:
    service = Service()

    class NoUploads(httpx.AsyncBaseTransport):
        requests = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if "/upload" in request.url.path:
                NoUploads.requests += 1
                return httpx.Response(status, headers={"retry-after": "86400"}, json={"error": {"message": "later"}})
            response: httpx.Response = await service.transport.handle_async_request(request)
            return response

    pictures = [b"\x89PNG\r\n\x1a\n" + bytes([number]) * 3_000 for number in range(10)]
    frame = pl.DataFrame({"file": [pictures[0][:60], *pictures]})
    extractor = Extractor(["spam", "ham"], "Which?", media=("file",))
    result = run(frame, extractor, client=AsyncClient("key", transport=NoUploads()), limits=QUICK, inline_limit=1_000)
    assert isinstance(result.stopped, QuotaExhausted if status == 429 else Unavailable)
    assert (result.totals.valid, result.totals.rejected, exit_status(result)) == (1, 0, 1)
    assert NoUploads.requests <= 10


@pytest.mark.parametrize("status", STATUSES)
def test_a_client_raises_at_once_what_it_has_no_patience_for(status: int) -> None:
    def later(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"retry-after": "86400"}, json={"error": {"message": "later"}})

    with Client("key", transport=httpx.MockTransport(later)) as client, pytest.raises(RateLimited) as raised:
        client.create(Request(model="gemini-3.5-flash-lite", input="Hello"))
    assert raised.value.retry_after == 86400


def test_the_first_wait_may_take_all_of_the_patience() -> None:
    error = RateLimited("slow", status=429, retry_after=900.0)
    assert Backoff(Retry()).after(error).seconds == 900.0


class Later(BaseHTTPRequestHandler):
    """Refuses every request for a day."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503)
        self.send_header("retry-after", "86400")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_the_command_says_in_one_line_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spam.py").write_text("from extract import Extractor\nextractor = Extractor(['spam', 'ham'], '{text}')\n")
    rows(30).write_csv("in.csv")
    with ThreadingHTTPServer(("127.0.0.1", 0), Later) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        arguments = ("run", "spam.py", "in.csv", "-o", "out.parquet", "--base-url", url)
        done = in_process(monkeypatch, capfd)(*arguments, GEMINI_API_KEY="key")
        server.shutdown()
    assert done.returncode == 1
    assert "the service asks to come back in 86,400 s" in done.stderr
    assert not Path("out.parquet").exists()

"""Counting input tokens before asking."""

from __future__ import annotations

import httpx
import pytest

from extract import AsyncClient, Client, ConfigError, Emulator, MediaPart, Request, Retry, TextPart, Turn, Unreachable

MODEL = "gemini-3.5-flash-lite"


@pytest.mark.parametrize("dialect", ["steps", "outputs"])
async def test_a_text_and_a_request_are_counted(dialect: str) -> None:
    transport = Emulator().transport
    image = MediaPart(kind="image", mime_type="image/png", data=b"x")
    remote = MediaPart(kind="document", mime_type="application/pdf", uri="https://example.org/a.pdf")
    request = Request(
        model=MODEL,
        system="x" * 40,
        input=(Turn.user("x" * 8, image), Turn.model("x" * 4), Turn.user(TextPart("x" * 12), remote)),
    )
    with Client("key", transport=transport, dialect=dialect) as client:
        assert client.count_tokens("x" * 40, model=MODEL) == 10
        assert client.count_tokens(request) == 10 + 2 + 1 + 3 + 2 * 258
    async with AsyncClient("key", transport=transport, dialect=dialect) as other:
        assert await other.count_tokens("x" * 40, model=f"models/{MODEL}") == 10


def test_a_text_needs_a_model() -> None:
    with Client("key", transport=Emulator().transport) as client, pytest.raises(ConfigError, match="model="):
        client.count_tokens("x")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"totalTokens": "5"}', b'{"totalTokens": true}'])
def test_a_reply_without_a_count_is_no_zero(body: bytes) -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=body))
    with Client("key", transport=transport, retry=Retry(failures=1)) as client, pytest.raises(Unreachable):
        client.count_tokens("x", model=MODEL)


def test_a_passing_failure_is_repeated() -> None:
    replies = iter([httpx.Response(503), httpx.Response(200, json={"totalTokens": 5})])
    transport = httpx.MockTransport(lambda request: next(replies))
    with Client("key", transport=transport, retry=Retry(first_wait=0.001)) as client:
        assert client.count_tokens("x", model=MODEL) == 5

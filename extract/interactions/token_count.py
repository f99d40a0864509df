"""The number of input tokens of a text or a request, counted by the service."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pydantic_core import from_json

from extract.documents.parts import MediaPart, Part, TextPart, Turn
from extract.errors import ConfigError, Unreachable
from extract.interactions.http.calls import Base64, Call, Operation, Order, Reply, json_body
from extract.interactions.http.retrying import Retry, send
from extract.interactions.requests import Request
from extract.json_types import JsonObject

__all__ = ["count_tokens"]


def count_tokens(what: Request | str, model: str | None, retry: Retry) -> Operation[Order, int]:
    """Return the input tokens of a text, or of the turns and the system instruction of a request.

    There is no counter for interactions: the count is that of the older `countTokens`, whose `contents` hold neither
    the schema of the answer nor tools, nor steps that are no turns, nor the history behind a previous interaction. It
    is a lower bound. `model` is needed for a text.
    """
    name = model or (what.model if isinstance(what, Request) else None)
    if not name:
        raise ConfigError("count_tokens needs model=: each model counts by its own tokens")
    path = f"/models/{quote(name.removeprefix('models/'), safe='')}:countTokens"
    reply = yield from send(Call("POST", path, json_body({"contents": contents_of(what)})), retry)
    return _total(reply)


def contents_of(what: Request | str) -> list[JsonObject]:
    """Return a text or a request as the `contents` that the older API counts."""
    if isinstance(what, str):
        return [{"role": "user", "parts": [{"text": what}]}]
    system = [Turn.user(what.system)] if what.system else []
    turns = [turn for turn in what.turns if isinstance(turn, Turn)]
    return [{"role": turn.role, "parts": [_part(part) for part in turn.parts]} for turn in (*system, *turns)]


def _part(part: Part) -> JsonObject:
    if isinstance(part, TextPart):
        return {"text": part.text}
    return _media(part)


def _media(part: MediaPart) -> JsonObject:
    if part.data is None:
        return {"fileData": {"mimeType": part.mime_type, "fileUri": part.uri}}
    return {"inlineData": {"mimeType": part.mime_type, "data": Base64(part.data)}}


def _total(reply: Reply) -> int:
    try:
        body: Any = from_json(reply.body)
    except ValueError:
        body = None
    total = body.get("totalTokens") if isinstance(body, dict) else None
    if type(total) is not int or total < 0:
        raise Unreachable("countTokens: the reply holds no count")
    return total
